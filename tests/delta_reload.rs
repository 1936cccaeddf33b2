//! Deltas beside a snapshot that is in use: an engine decides from a pair that was published together, never goes back,
//! and loses no revocation.

use keyward::build::{BuildError, PublishError, Publisher, Stamp};
use keyward::engine::{Engine, Options, Reload, ReloadError};
use keyward::format::header::{FormatError, Header, Kind};
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::snapshot::{DeltaError, Mode, Snapshot, SnapshotError, delta_path};
use keyward::time::Timestamp;
use keyward_testkit::{KEYRING, build, build_delta, keyring, options, stamp};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const REALM: &str = "[realm.r]\n[realm.r.credential.key]\nkind = \"key\"\nsource = \"header:X-Key\"\n";
const OTHER_REALM: &str =
    "[realm.r]\ntitle = \"R\"\n[realm.r.credential.key]\nkind = \"key\"\nsource = \"header:X-Key\"\n";

/// How many keys each generation has.
const KEYS_EACH: u64 = 8;

fn key(number: u64) -> String {
    format!("key-number-{number:08}")
}

fn line(number: u64, rest: &str) -> String {
    format!("{{\"realm\":\"r\",\"id\":\"id-{number}\",\"key\":\"{}\",{rest}}}\n", key(number))
}

/// Generation `g` has the keys `g` to `g + KEYS_EACH`, each with the generation as its tenant, whether it is one file
/// or two.
fn full_of(realm: &str, stamp: Stamp) -> Vec<u8> {
    let number = stamp.generation;
    let lines = (number..number + KEYS_EACH).map(|at| line(at, &format!("\"tenant\":\"of-{number}\"")));
    build(realm, KEYRING, &lines.collect::<String>(), stamp)
}

fn full(number: u64) -> Vec<u8> {
    full_of(REALM, stamp(number))
}

fn delta_of(realm: &str, base: &[u8], stamp: Stamp) -> Vec<u8> {
    let (number, before) = (stamp.generation, header(base).generation);
    let now = number..number + KEYS_EACH;
    let gone = (before..before + KEYS_EACH).filter(|at| !now.contains(at));
    let lines = now.clone().map(|at| line(at, &format!("\"tenant\":\"of-{number}\"")));
    let lines: String = gone.map(|at| line(at, "\"status\":\"removed\"")).chain(lines).collect();
    build_delta(base, realm, KEYRING, &lines, [], stamp).expect("it is sound")
}

fn delta(base: &[u8], number: u64) -> Vec<u8> {
    delta_of(REALM, base, stamp(number))
}

fn header(bytes: &[u8]) -> Header {
    Header::read(bytes, bytes.len() as u64).expect("it is good")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory is ours");
    folder
}

fn try_publish(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    let publisher = Publisher::lock(path)?;
    let header = header(bytes);
    let (generation, is_delta) = (header.generation, header.is_delta());
    let write = |file: &mut fs::File| {
        file.write_all(bytes).map_err(BuildError::Write)?;
        Ok(header)
    };
    match is_delta {
        true => publisher.publish_delta(generation, false, write),
        false => publisher.publish(generation, false, write),
    }
    .map(drop)
}

/// Publishes a snapshot, or a delta on the one in place.
fn publish(path: &Path, bytes: &[u8]) {
    try_publish(path, bytes).unwrap_or_else(|error| panic!("{error}"));
}

/// Puts these bytes there, whatever they are, as publishing would.
fn put(path: &Path, bytes: &[u8]) {
    put_all(&[(path, bytes)]);
}

/// The same with several files, one right after the other.
fn put_all(files: &[(&Path, &[u8])]) {
    let staged = |path: &Path| path.with_added_extension("new");
    for (path, bytes) in files {
        fs::write(staged(path), bytes).expect("there is room");
        fs::set_permissions(staged(path), Permissions::from_mode(0o444)).expect("it is ours");
    }
    for (path, _) in files {
        fs::rename(staged(path), path).expect("it is ours");
    }
}

fn open(path: &Path) -> Engine {
    Engine::open(path, keyring(KEYRING), options()).unwrap_or_else(|error| panic!("{error}"))
}

/// Verifies key `number`, and holds what it says against the generation that it says it is of.
fn consistent(engine: &Engine, number: u64) -> u64 {
    let text = key(number);
    let headers = [("X-Key", text.as_str())];
    let verdict = engine.verify(&Request::new("r", &headers[..]));
    let decided = verdict.generation().expect("there is one");
    let has = (decided..decided + KEYS_EACH).contains(&number);
    let expected = if has { Reason::Ok } else { Reason::UnknownKey };
    assert_eq!(verdict.reason(), expected, "key {number} in {decided}");
    assert_eq!(verdict.key_id(), has.then(|| format!("id-{number}")).as_deref());
    assert_eq!(verdict.tenant(), has.then(|| format!("of-{decided}")).as_deref());
    decided
}

/// That the engine serves this generation, all of it.
#[track_caller]
fn serves(engine: &Engine, generation: u64) {
    for number in generation.saturating_sub(KEYS_EACH)..generation + 2 * KEYS_EACH {
        assert_eq!(consistent(engine, number), generation);
    }
    let loaded = engine.info().loaded.expect("it is loaded");
    assert_eq!((loaded.generation, loaded.keys), (generation, KEYS_EACH));
}

fn loaded(generation: u64, replaced: u64) -> Option<Reload> {
    Some(Reload::Loaded { generation, replaced: Some(replaced) })
}

fn base_of(engine: &Engine) -> Arc<Snapshot> {
    Arc::clone(engine.pin().plan().expect("it is loaded").layers().base())
}

#[test]
fn a_delta_takes_over_and_its_base_stays_where_it_is() {
    let path = folder("takes-over").join("keys.kwd");
    let base = full(1);
    publish(&path, &base);
    let engine = open(&path);
    let there = base_of(&engine);
    for number in 2..12 {
        publish(&path, &delta(&base, number));
        assert_eq!(engine.reload().ok(), loaded(number, number - 1));
        assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
        serves(&engine, number);
        assert!(Arc::ptr_eq(&there, &base_of(&engine)), "it is not opened again");
        let info = engine.info();
        let told = info.loaded.expect("it is loaded");
        assert_eq!((told.base_generation, info.retired), (1, 0));
        serves(&open(&path), number);
    }
    // The same delta in another file.
    put(&delta_path(&path), &delta(&base, 11));
    assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
    // The same base in another file, and a newer delta.
    put(&path, &base);
    put(&delta_path(&path), &delta(&base, 12));
    assert_eq!(engine.reload().ok(), loaded(12, 11));
    assert!(Arc::ptr_eq(&there, &base_of(&engine)), "it is not kept twice");
    // A full one takes it all in.
    publish(&path, &full(13));
    assert!(!delta_path(&path).exists());
    assert_eq!(engine.reload().ok(), loaded(13, 12));
    serves(&engine, 13);
    assert_eq!(engine.info().loaded.map(|loaded| (loaded.base_generation, loaded.changes)), Some((0, 0)));
}

#[test]
fn a_stale_delta_is_passed_over() {
    let path = folder("stale").join("keys.kwd");
    let base = full(1);
    publish(&path, &base);
    publish(&path, &delta(&base, 5));
    let engine = open(&path);
    // As a publisher that was killed leaves it: the full one is in its place, and the delta still there.
    let old = fs::read(delta_path(&path)).expect("it is there");
    for number in [5, 6] {
        let path = folder("stale-by-number").join("keys.kwd");
        put(&path, &full(number));
        put(&delta_path(&path), &old);
        serves(&open(&path), number);
    }
    put(&path, &full(6));
    assert_eq!(engine.reload().ok(), loaded(6, 5));
    serves(&engine, 6);
    assert_eq!(engine.info().last_error, None);
    assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
    // It is taken away, another comes, and one for this base.
    fs::remove_file(delta_path(&path)).expect("it is there");
    assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
    put(&delta_path(&path), &delta(&base, 3));
    assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
    put(&delta_path(&path), &delta(&full(6), 7));
    assert_eq!(engine.reload().ok(), loaded(7, 6));
    serves(&engine, 7);
}

/// What lies beside the snapshot and is no delta on it that can be used: what is in use stays, and who starts does not.
#[test]
fn a_bad_delta_is_refused_and_said() {
    let path = folder("bad").join("keys.kwd");
    let (base, good) = (full(1), delta(&full(1), 3));
    publish(&path, &base);
    publish(&path, &delta(&base, 2));
    let engine = open(&path);
    let mut flipped = good.clone();
    let ids = header(&good).section(Kind::Ids).offset as usize;
    flipped[ids] ^= 4;
    let other = build(REALM, KEYRING, &line(9, "\"tenant\":\"of-1\""), stamp(1));
    let of_other_realms = {
        let base = full_of(OTHER_REALM, stamp(1));
        let mut forge = keyward_testkit::forge::Forge::new(delta_of(OTHER_REALM, &base, stamp(3)));
        forge.put(120, base_of(&engine).hash()).seal_header();
        forge.bytes
    };
    let format = |error| DeltaError::Snapshot(SnapshotError::Format(error));
    let other_base = |generation, base| DeltaError::OtherBase { generation, base, found: 1 };
    let cases: [(Vec<u8>, DeltaError); 8] = [
        (Vec::new(), format(FormatError::Empty)),
        (b"a letter".to_vec(), format(FormatError::Magic)),
        (good[..4096].to_vec(), format(FormatError::Truncated { found: 4096, expected: good.len() as u64 })),
        (flipped, format(FormatError::Hash { part: "ids" })),
        (full(3), format(FormatError::NotDelta)),
        (delta(&full(2), 3), other_base(3, 2)),
        (delta(&other, 3), other_base(3, 1)),
        (of_other_realms, DeltaError::Differs { what: "realms" }),
    ];
    for (bytes, expected) in cases {
        put(&delta_path(&path), &bytes);
        // Once read, and once remembered.
        for _ in 0..2 {
            match engine.reload() {
                Err(ReloadError::Delta(error)) => assert_eq!(error, expected),
                other => panic!("{expected}: {other:?}"),
            }
            serves(&engine, 2);
            assert!(engine.info().last_error.is_some_and(|error| error.message.contains("delta")));
        }
        let starts = Engine::open(&path, keyring(KEYRING), options());
        assert!(
            matches!(starts, Err(ReloadError::Delta(_))),
            "nobody knows what the delta would have revoked"
        );
    }
    // One that nobody can read.
    fs::remove_file(delta_path(&path)).expect("it is there");
    fs::create_dir(delta_path(&path)).expect("it is ours");
    for _ in 0..2 {
        assert!(matches!(engine.reload(), Err(ReloadError::Io { path: at, .. }) if at == delta_path(&path)));
        serves(&engine, 2);
    }
    fs::remove_dir(delta_path(&path)).expect("it is ours");
    // None at all would be going back, and so would an older one; the same number with other bytes is none.
    assert!(matches!(engine.reload(), Err(ReloadError::Older { found: 1, current: 2 })));
    put(&delta_path(&path), &delta_of(REALM, &base, Stamp { created: 5, ..stamp(2) }));
    assert!(matches!(engine.reload(), Err(ReloadError::Conflict { generation: 2 })));
    serves(&engine, 2);
    put(&delta_path(&path), &good);
    assert_eq!(engine.reload().ok(), loaded(3, 2));
    serves(&engine, 3);
    assert_eq!(engine.info().last_error, None);
    put(&delta_path(&path), &delta(&base, 2));
    assert!(matches!(engine.reload(), Err(ReloadError::Older { found: 2, current: 3 })));
    serves(&engine, 3);
}

/// A full snapshot that is newer revokes what it revokes, whatever lies beside it.
#[test]
fn a_bad_delta_does_not_keep_a_newer_snapshot_back() {
    let path = folder("newer").join("keys.kwd");
    let base = full(1);
    publish(&path, &base);
    publish(&path, &delta(&base, 2));
    let engine = open(&path);
    put(&delta_path(&path), b"a letter");
    put(&path, &full(3));
    for _ in 0..2 {
        assert!(matches!(engine.reload(), Err(ReloadError::Delta(_))));
        serves(&engine, 3);
        assert!(engine.info().last_error.is_some());
    }
    // An older one is no better for it.
    put(&path, &full(2));
    assert!(engine.reload().is_err());
    serves(&engine, 3);
    put(&path, &full(3));
    put(&delta_path(&path), &delta(&full(3), 4));
    assert_eq!(engine.reload().ok(), loaded(4, 3));
    serves(&engine, 4);
    // The same with one that cannot be read: it is said each time, and not forgotten.
    fs::remove_file(delta_path(&path)).expect("it is there");
    fs::create_dir(delta_path(&path)).expect("it is ours");
    put(&path, &full(5));
    for _ in 0..3 {
        assert!(matches!(engine.reload(), Err(ReloadError::Io { .. })));
        serves(&engine, 5);
    }
    fs::remove_dir(delta_path(&path)).expect("it is ours");
    assert_eq!(engine.reload().ok(), Some(Reload::Unchanged));
    assert_eq!(engine.info().last_error, None);
}

#[test]
fn a_delta_says_how_old_it_may_become() {
    let aged = Stamp { generation: 1, created: 1000, max_age: 100 };
    let base = full_of(REALM, aged);
    let engine = Engine::from_bytes(base.clone(), keyring(KEYRING), options()).expect("it is good");
    let at = |seconds| {
        let text = key(8);
        let headers = [("X-Key", text.as_str())];
        let now = Some(Timestamp::from_seconds(seconds));
        engine.verify(&Request { now, ..Request::new("r", &headers[..]) }).reason()
    };
    assert_eq!((at(1100), at(1101)), (Reason::Ok, Reason::Unavailable));
    engine
        .apply(delta_of(REALM, &base, Stamp { generation: 2, created: 2000, max_age: 50 }))
        .expect("it is good");
    assert_eq!((at(1101), at(2050), at(2051)), (Reason::Ok, Reason::Ok, Reason::Unavailable));
    assert_eq!(engine.info().loaded.and_then(|loaded| loaded.max_age), Some(Duration::from_secs(50)));
    engine.apply(delta_of(REALM, &base, stamp(3))).expect("it is good");
    assert_eq!(at(9_000_000_000), Reason::Ok);
    assert!(matches!(engine.reload(), Err(ReloadError::NoFile)));
}

/// How often each file is mapped by this process.
fn mappings(folder: &Path) -> BTreeMap<String, usize> {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux has it");
    let mut count = BTreeMap::new();
    let names = maps.lines().filter_map(|line| line.split_once(folder.to_str()?)).map(|(_, name)| name);
    for name in names {
        *count.entry(name.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    count
}

#[test]
fn what_is_replaced_is_let_go() {
    let folder = folder("let-go");
    let path = folder.join("keys.kwd");
    let mut base = full(1);
    publish(&path, &base);
    let engine = open(&path);
    let pinned = engine.pin();
    publish(&path, &delta(&base, 2));
    engine.reload().expect("it is good");
    assert_eq!(engine.info().retired, 1, "only what is held is kept");
    let text = key(1);
    let headers = [("X-Key", text.as_str())];
    assert_eq!(pinned.verify(&Request::new("r", &headers[..])).tenant(), Some("of-1"));
    drop(pinned);
    for number in 3..40 {
        if number % 10 == 0 {
            base = full(number);
            publish(&path, &base);
        } else {
            publish(&path, &delta(&base, number));
        }
        assert_eq!(engine.reload().ok(), loaded(number, number - 1));
        assert_eq!(engine.info().retired, 0);
        let mapped: usize = mappings(&folder).values().sum();
        assert_eq!(mapped, if number % 10 == 0 { 1 } else { 2 }, "{:?}", mappings(&folder));
    }
}

/// A publisher at full speed, of snapshots, deltas and both at once, an engine that follows as fast as it can, others
/// that start in the middle of it, and requests all the while. Whoever looks finds what was published together, and nothing older than what was there
/// when they began to look.
fn storm(mode: Mode) {
    const GENERATIONS: u64 = 400;
    let path = folder(&format!("delta-storm-{mode:?}")).join("keys.kwd");
    let options = || Options { mode, ..options() };
    // Made before, so that publishing is all there is to wait for.
    let mut base = full(1);
    publish(&path, &base);
    let made: Vec<(Option<_>, Option<_>)> = (2..=GENERATIONS)
        .map(|number| match number % 7 {
            0 => {
                base = full(number);
                (Some(base.clone()), None)
            }
            // Both at once: the snapshot has a generation that is never in place by itself.
            3 => (None, None),
            4 => {
                base = full(number - 1);
                (Some(base.clone()), Some(delta(&base, number)))
            }
            _ => (None, Some(delta(&base, number))),
        })
        .collect();
    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    let (published, done) = (AtomicU64::new(1), AtomicBool::new(false));
    let over = || done.load(Ordering::Acquire);
    let starts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over() {
                engine.reload().expect("nothing but good pairs is published");
            }
        });
        scope.spawn(|| {
            while !over() {
                let before = published.load(Ordering::Acquire);
                let started =
                    Engine::open(&path, keyring(KEYRING), options()).expect("it can start at any time");
                let decided = consistent(&started, before);
                assert!(decided >= before, "{decided} after {before} was published");
                starts.fetch_add(1, Ordering::Relaxed);
            }
        });
        for thread in 0..2 {
            let engine = &engine;
            scope.spawn(move || {
                let (mut seen, mut number) = (1, thread);
                while !over() {
                    number = (number * 31 + 7) % (2 * KEYS_EACH);
                    let decided = consistent(engine, (seen + number).saturating_sub(KEYS_EACH / 2));
                    assert!(decided >= seen, "{decided} after {seen}");
                    seen = decided;
                }
            });
        }
        for (made, number) in made.iter().zip(2..) {
            match made {
                (Some(full), Some(delta)) => put_all(&[(&delta_path(&path), delta), (&path, full)]),
                (Some(alone), None) | (None, Some(alone)) => publish(&path, alone),
                (None, None) => continue,
            }
            published.store(number, Ordering::Release);
            if number % 16 == 0 {
                // Every now and then everybody catches up.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        while starts.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Release);
    });
    engine.reload().expect("it is good");
    serves(&engine, GENERATIONS);
    let info = engine.info();
    assert_eq!((info.retired, info.last_error), (0, None));
}

#[test]
fn a_storm_of_mapped_pairs() {
    storm(Mode::Map);
}

#[test]
fn a_storm_of_copied_pairs() {
    storm(Mode::Copy);
}

#[test]
fn a_publisher_knows_what_a_delta_lies_on() {
    let path = folder("publisher").join("keys.kwd");
    let (base, other) = (full(1), full_of(REALM, Stamp { created: 7, ..stamp(1) }));
    assert!(matches!(try_publish(&path, &delta(&base, 2)), Err(PublishError::NoBase { .. })));
    publish(&path, &base);
    let refused = try_publish(&path, &delta(&other, 2));
    assert!(matches!(refused, Err(PublishError::OtherBase { base: 1, found: 1, .. })), "{refused:?}");
    publish(&path, &delta(&base, 4));
    let publisher = Publisher::lock(&path).expect("nobody else has it");
    assert_eq!(publisher.next_generation().ok(), Some(5));
    assert_eq!(
        publisher.full().map(|(header, hash)| (header.generation, *hash)),
        Some((1, header_hash(&base)))
    );
    assert_eq!(publisher.delta().map(|header| header.generation), Some(4));
    drop(publisher);
    for stale in [delta(&base, 3), delta(&base, 4), full(2), full(4)] {
        assert!(matches!(try_publish(&path, &stale), Err(PublishError::Stale { found: 4, .. })));
    }
    // A delta in the place of a snapshot, a snapshot in that of a delta.
    let publisher = Publisher::lock(&path).expect("nobody else has it");
    let mistaken = publisher.publish(9, false, |_| Ok(header(&delta(&base, 9))));
    assert!(matches!(mistaken, Err(PublishError::Foreign { error: FormatError::IsDelta { base: 1 }, .. })));
    let mistaken = publisher.publish_delta(9, false, |_| Ok(header(&full(9))));
    assert!(matches!(mistaken, Err(PublishError::Foreign { error: FormatError::NotDelta, .. })));
    drop(publisher);
    serves(&open(&path), 4);
    put(&delta_path(&path), b"a letter");
    let publisher = Publisher::lock(&path).expect("nobody else has it");
    let foreign = publisher.next_generation();
    assert!(matches!(foreign, Err(PublishError::Foreign { path: at, .. }) if at == delta_path(&path)));
    drop(publisher);
    publish(&path, &full(6));
    assert!(!delta_path(&path).exists());
    serves(&open(&path), 6);
}

fn header_hash(bytes: &[u8]) -> [u8; 32] {
    Header::hash(bytes).expect("it is whole")
}
