//! New generations while others decide: a verdict is that of one generation, and no wrong one is given.

use keyward::build::{BuildError, Publisher, Stamp};
use keyward::engine::{Engine, Options, Reload, ReloadError};
use keyward::format::header::Header;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::snapshot::Mode;
use keyward_testkit::{CONFIGURATION, GOOD, KEYRING, KEYS, build, keyring, options, stamp};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const REALM: &str = "[realm.r]\n[realm.r.credential.key]\nkind = \"key\"\nsource = \"header:X-Key\"\n";

/// How many keys each generation has.
const KEYS_EACH: u64 = 8;

fn key(number: u64) -> String {
    format!("key-number-{number:08}")
}

/// Generation `g` has the keys `g` to `g + KEYS_EACH`, each with the generation as its tenant.
fn generation(number: u64) -> Vec<u8> {
    let keys = (number..number + KEYS_EACH).map(|at| {
        format!("{{\"realm\":\"r\",\"id\":\"id-{at}\",\"key\":\"{}\",\"tenant\":\"of-{number}\"}}\n", key(at))
    });
    build(REALM, KEYRING, &keys.collect::<String>(), stamp(number))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory is ours");
    folder
}

fn publish(path: &Path, number: u64, going_back: bool, bytes: &[u8]) {
    let publisher = Publisher::lock(path).expect("nobody else has it");
    let published = publisher.publish(number, going_back, |file| {
        file.write_all(bytes).map_err(BuildError::Write)?;
        Ok(Header { generation: number, ..Header::default() })
    });
    published.expect("there is room");
}

/// Verifies key `number`, and holds what it says against the generation that it says it is of.
fn consistent(engine: &Engine, number: u64) -> u64 {
    let text = key(number);
    let headers = [("X-Key", text.as_str())];
    let verdict = engine.verify(&Request::new("r", &headers[..]));
    let decided = verdict.generation().expect("there is one");
    let has = (decided..decided + KEYS_EACH).contains(&number);
    assert_eq!(
        verdict.reason(),
        if has { Reason::Ok } else { Reason::UnknownKey },
        "key {number} in {decided}"
    );
    assert_eq!(verdict.key_id(), has.then(|| format!("id-{number}")).as_deref());
    assert_eq!(verdict.tenant(), has.then(|| format!("of-{decided}")).as_deref());
    decided
}

fn storm(mode: Mode) {
    const GENERATIONS: u64 = 300;
    let path = folder(&format!("storm-{mode:?}")).join("keys.kwd");
    publish(&path, 1, false, &generation(1));
    let engine = Engine::open(&path, keyring(KEYRING), Options { mode, ..options() }).expect("it is good");
    assert_eq!(engine.info().loaded.map(|loaded| loaded.mapped), Some(mode == Mode::Map));
    let (done, verdicts) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (engine, done, verdicts) = (&engine, &done, &verdicts);
            scope.spawn(move || {
                let (mut seen, mut number) = (1, thread);
                while !done.load(Ordering::Acquire) {
                    number = (number * 31 + 7) % (2 * KEYS_EACH);
                    let decided = consistent(engine, (seen + number).saturating_sub(KEYS_EACH / 2));
                    assert!(decided >= seen, "{decided} after {seen}");
                    seen = decided;
                    verdicts.fetch_add(1, Ordering::Relaxed);
                    if number == 0 {
                        // A batch sees one generation from its start to its end.
                        let pinned = engine.pin();
                        let of = pinned.generation();
                        std::thread::sleep(Duration::from_micros(200));
                        let text = key(seen);
                        let headers = [("X-Key", text.as_str())];
                        assert_eq!(pinned.verify(&Request::new("r", &headers[..])).generation(), of);
                    }
                }
            });
        }
        let mut most = 0;
        for number in 2..=GENERATIONS {
            publish(&path, number, false, &generation(number));
            let loaded = engine.reload().expect("it is good");
            assert_eq!(loaded, Reload::Loaded { generation: number, replaced: Some(number - 1) });
            most = most.max(engine.info().retired);
            assert_eq!(engine.reload().expect("it is the same"), Reload::Unchanged);
        }
        while verdicts.load(Ordering::Relaxed) < 1000 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Release);
        assert!(most < 32, "{most} generations waited to be let go");
    });
    assert_eq!(engine.reload().expect("it is the same"), Reload::Unchanged);
    let info = engine.info();
    assert_eq!((info.retired, info.last_error), (0, None));
    assert_eq!(info.loaded.map(|loaded| loaded.generation), Some(GENERATIONS));
}

#[test]
fn a_storm_of_mapped_generations() {
    storm(Mode::Map);
}

#[test]
fn a_storm_of_copied_generations() {
    storm(Mode::Copy);
}

#[test]
fn what_is_held_stays_until_it_is_let_go() {
    let engine = Engine::from_bytes(generation(1), keyring(KEYRING), options()).expect("it is good");
    let pinned = engine.pin();
    for number in 2..5 {
        engine.replace(generation(number)).expect("it is newer");
        let text = key(1);
        let headers = [("X-Key", text.as_str())];
        assert_eq!(pinned.verify(&Request::new("r", &headers[..])).tenant(), Some("of-1"));
        assert_eq!(engine.info().retired, 1, "only the held one is kept");
    }
    drop(pinned);
    assert_eq!(engine.replace(generation(4)).expect("it is the same"), Reload::Unchanged);
    assert_eq!(engine.info().retired, 0);
}

#[test]
fn generations_do_not_go_back() {
    let path = folder("back").join("keys.kwd");
    publish(&path, 5, false, &generation(5));
    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    let willing = Options { going_back: true, ..options() };
    let willing = Engine::open(&path, keyring(KEYRING), willing).expect("it is good");
    publish(&path, 4, true, &generation(4));
    assert!(matches!(engine.reload(), Err(ReloadError::Older { found: 4, current: 5 })));
    assert_eq!(
        willing.reload().expect("it was asked for"),
        Reload::Loaded { generation: 4, replaced: Some(5) }
    );
    assert_eq!((consistent(&engine, 5), consistent(&willing, 4)), (5, 4));
    // The same generation with other bytes.
    let other = build(REALM, KEYRING, "", stamp(5));
    publish(&path, 5, true, &other);
    assert!(matches!(engine.reload(), Err(ReloadError::Conflict { generation: 5 })));
    assert!(engine.info().last_error.is_some());
    assert_eq!(consistent(&engine, 5), 5);
    assert!(willing.reload().is_ok());
    // The same bytes in another file.
    publish(&path, 5, true, &generation(5));
    assert_eq!(engine.reload().expect("it is the same"), Reload::Unchanged);
    assert_eq!(engine.info().last_error, None);
    publish(&path, 6, false, &generation(6));
    assert_eq!(engine.reload().expect("it is newer"), Reload::Loaded { generation: 6, replaced: Some(5) });
    assert!(matches!(
        Engine::from_bytes(generation(1), keyring(KEYRING), options()).expect("it is good").reload(),
        Err(ReloadError::NoFile)
    ));
}

#[test]
fn an_aged_snapshot_comes_back_with_a_new_one() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("it is after 1970")
        .as_secs();
    let aged = |generation, created| {
        build(CONFIGURATION, KEYRING, KEYS, Stamp { generation, created, max_age: 100 })
    };
    let engine = Engine::from_bytes(aged(1, now - 200), keyring(KEYRING), options()).expect("it is good");
    let (realm, headers) = GOOD[0];
    let verify =
        || engine.verify(&Request { now: None, ..keyward_testkit::request(realm, headers) }).reason();
    assert_eq!(verify(), Reason::Unavailable);
    let loaded = engine.info().loaded.expect("it is loaded");
    assert_eq!(loaded.max_age, Some(Duration::from_secs(100)));
    assert!(loaded.age.is_some_and(|age| age >= Duration::from_secs(200)));
    engine.replace(aged(2, now)).expect("it is newer");
    assert_eq!(verify(), Reason::Ok);
}

#[test]
fn a_damaged_file_and_then_a_good_one() {
    let path = folder("damaged").join("keys.kwd");
    publish(&path, 1, false, &generation(1));
    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    for round in 0..50 {
        let mut bytes = generation(2 + round);
        let at = (round as usize * 997 + 13) % bytes.len();
        bytes[at] ^= 0x10;
        publish(&path, 2 + round, true, &bytes);
        assert!(engine.reload().is_err(), "byte {at}");
        assert_eq!(consistent(&engine, 1 + round), 1 + round);
        assert!(engine.info().last_error.is_some());
        publish(&path, 2 + round, true, &generation(2 + round));
        assert_eq!(
            engine.reload().expect("it is good"),
            Reload::Loaded { generation: 2 + round, replaced: Some(1 + round) }
        );
        let info = engine.info();
        assert_eq!((info.last_error, info.retired), (None, 0));
    }
}

/// The engine's cell against a lock that cannot be wrong: both are replaced in step, so that a reader who
/// asks the lock, the engine and the lock again must see generations in that order.
#[test]
fn the_cell_is_as_good_as_a_lock() {
    const GENERATIONS: u64 = 2000;
    let engine = Engine::from_bytes(generation(1), keyring(KEYRING), options()).expect("it is good");
    let twin = RwLock::new(Arc::new(1u64));
    let ahead = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (engine, twin, ahead) = (&engine, &twin, &ahead);
            scope.spawn(move || {
                loop {
                    // The twin is replaced after the engine, and `ahead` before it.
                    let before = **twin.read().expect("nobody panics");
                    let decided = consistent(engine, before);
                    let after = ahead.load(Ordering::SeqCst);
                    assert!(before <= decided && decided <= after, "{before}, {decided}, {after}");
                    if before == GENERATIONS {
                        return;
                    }
                }
            });
        }
        for number in 2..=GENERATIONS {
            let bytes = generation(number);
            ahead.store(number, Ordering::SeqCst);
            engine.replace(bytes).expect("it is newer");
            *twin.write().expect("nobody panics") = Arc::new(number);
        }
    });
    engine.replace(generation(GENERATIONS)).expect("it is the same");
    assert_eq!(engine.info().retired, 0);
}
