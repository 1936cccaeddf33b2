//! No way back: what one process has served, no other that shares its state file goes back behind.

use keyward::engine::{Engine, Options, Reload, ReloadError};
use keyward::limits::{Mark, State, StateReader};
use keyward::memory::Words;
use keyward::request::Request;
use keyward::signature::SigningKey;
use keyward::snapshot::delta_path;
use keyward_testkit::parts::{self, part};
use keyward_testkit::{KEYRING, OTHER_KEYRING, build, build_delta, keyring, options, stamp};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

fn configuration(realms: &[&str]) -> String {
    let one = |name: &&str| {
        format!("[realm.{name}]\n[realm.{name}.credential.key]\nkind = \"key\"\nsource = \"header:X-Key\"\n")
    };
    realms.iter().map(one).collect()
}

/// A snapshot of these realms. Every realm has one key, which says of which generation it is.
fn snapshot(realms: &[&str], generation: u64) -> Vec<u8> {
    variant(realms, generation, "")
}

/// Other bytes of the same generation.
fn variant(realms: &[&str], generation: u64, other: &str) -> Vec<u8> {
    let line = |realm: &&str| {
        format!(
            "{{\"realm\":\"{realm}\",\"id\":\"of-{generation}{other}\",\"key\":\"secret-of-{realm:0>16}\",\
             \"tenant\":\"of-{generation}\"}}\n"
        )
    };
    build(&configuration(realms), KEYRING, &realms.iter().map(line).collect::<String>(), stamp(generation))
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("back").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("there is room");
    path
}

fn with_state(path: &Path) -> Options {
    Options { state: Some(path.to_owned()), state_slots: 16, ..options() }
}

/// An engine of a process that has just started.
fn started(bytes: Vec<u8>, state: &Path) -> Result<Engine, ReloadError> {
    Engine::from_bytes(bytes, keyring(KEYRING), with_state(state))
}

/// The generation that decides about a request for `realm`, which it lets in.
fn decides(engine: &Engine, realm: &str) -> Option<u64> {
    let key = format!("secret-of-{realm:0>16}");
    let headers = [("X-Key", key.as_str())];
    let verdict = engine.verify(&Request::new(realm, &headers[..]));
    verdict.is_allowed().then(|| verdict.generation()).flatten()
}

/// Puts a file in place as publishing does, whatever stands there.
fn put(path: &Path, bytes: &[u8]) {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    fs::write(&fresh, bytes).expect("there is room");
    fs::set_permissions(&fresh, Permissions::from_mode(0o444)).expect("it is ours");
    fs::rename(&fresh, path).expect("there is room");
}

fn child(name: &str, part: &[&str]) -> Child {
    let mut command = parts::child(name, part);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it can be started")
}

#[test]
fn a_process_that_starts_anew_does_not_go_back() {
    let folder = folder("anew");
    let (state, path) = (folder.join("state"), folder.join("keys.kwd"));
    assert_eq!(decides(&started(snapshot(&["a"], 5), &state).expect("it is the first"), "a"), Some(5));
    for older in [1, 4] {
        put(&path, &snapshot(&["a"], older));
        let opened = Engine::open(&path, keyring(KEYRING), with_state(&state));
        let error = opened.err().expect("it is older");
        let ReloadError::Served { found, served, realm } = &error else { panic!("{error}") };
        assert_eq!((*found, *served, realm.as_str()), (older, 5, "a"));
        // Who must start all the same decides nothing from it, and says why.
        let engine = Engine::new(&path, keyring(KEYRING), with_state(&state));
        assert!(engine.reload().is_err());
        assert_eq!(decides(&engine, "a"), None);
        assert_eq!(engine.info().last_error.expect("it says so").message, error.to_string());
        // It takes the right one as soon as it is there.
        put(&path, &snapshot(&["a"], 5));
        assert_eq!(
            engine.reload().expect("it is the last"),
            Reload::Loaded { generation: 5, replaced: None }
        );
    }
    let error = started(variant(&["a"], 5, "-other"), &state).err().expect("it has other bytes");
    assert!(matches!(&error, ReloadError::ServedOther { generation: 5, realm } if realm == "a"), "{error}");
    assert_eq!(decides(&started(snapshot(&["a"], 6), &state).expect("it is newer"), "a"), Some(6));
    // Without the file nothing is known.
    assert!(Engine::from_bytes(snapshot(&["a"], 1), keyring(KEYRING), options()).is_ok());
}

/// What one of them reads may be old by the time that another has taken the newer one: that is nobody's fault, and it
/// reads the newer one too.
#[test]
fn who_is_overtaken_while_reading_reads_what_is_there_now() {
    const GENERATIONS: u64 = 500;
    let folder = folder("overtaken");
    let (state, path) = (&folder.join("state"), &folder.join("keys.kwd"));
    put(path, &snapshot(&["a"], 1));
    let published = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..4 {
            let published = &published;
            scope.spawn(move || {
                let engine =
                    Engine::open(path, keyring(KEYRING), with_state(state)).expect("nothing is wrong");
                while decides(&engine, "a") < Some(GENERATIONS) {
                    let before = published.load(SeqCst);
                    engine.reload().expect("nothing is wrong");
                    assert!(decides(&engine, "a") >= Some(before));
                }
                assert_eq!(engine.info().last_error, None);
            });
        }
        for generation in 2..=GENERATIONS {
            put(path, &snapshot(&["a"], generation));
            published.store(generation, SeqCst);
        }
    });
}

#[test]
fn of_processes_that_share_it_none_is_left_behind() {
    if let Some(part) = part() {
        let state = Path::new(&part[0]);
        let generation = part[1].parse().expect("it is a number");
        drop(started(snapshot(&["a", "b"], generation), state).expect("it is newer"));
        return;
    }
    let name = "of_processes_that_share_it_none_is_left_behind";
    let folder = folder("share");
    let (state, path) = (folder.join("state"), folder.join("keys.kwd"));
    put(&path, &snapshot(&["a", "b"], 3));
    let engine = Engine::open(&path, keyring(KEYRING), with_state(&state)).expect("it is good");
    let path_text = state.to_str().expect("it is text");
    assert!(child(name, &[path_text, "7"]).wait().expect("it ends").success());
    // Another process is ahead: this one may wait with the file that it has, but not take up another old one.
    put(&path, &snapshot(&["a", "b"], 6));
    let error = engine.reload().expect_err("it is older than what the other has served");
    assert!(matches!(error, ReloadError::Served { found: 6, served: 7, .. }), "{error}");
    assert!(engine.reload().is_err(), "nor the next time");
    assert_eq!(decides(&engine, "a"), Some(3));
    put(&path, &snapshot(&["a", "b"], 7));
    assert_eq!(
        engine.reload().expect("all have it now"),
        Reload::Loaded { generation: 7, replaced: Some(3) }
    );
}

#[test]
fn going_back_on_purpose_is_for_all_processes() {
    let folder = folder("purpose");
    let (state, path) = (folder.join("state"), folder.join("keys.kwd"));
    put(&path, &snapshot(&["a"], 9));
    let open = |going_back| {
        let options = Options { going_back, ..with_state(&state) };
        Engine::open(&path, keyring(KEYRING), options).expect("it is good")
    };
    let (follower, willing) = (open(false), open(true));
    put(&path, &snapshot(&["a"], 4));
    assert!(matches!(follower.reload(), Err(ReloadError::Older { found: 4, current: 9 })));
    assert_eq!(willing.reload().expect("it is asked"), Reload::Loaded { generation: 4, replaced: Some(9) });
    // The file that was refused is looked at once more, because somebody said that it may be.
    assert_eq!(follower.reload().expect("it may now"), Reload::Loaded { generation: 4, replaced: Some(9) });
    assert_eq!((decides(&follower, "a"), follower.info().last_error), (Some(4), None));
    assert!(started(snapshot(&["a"], 3), &state).is_err(), "and no further");
    assert!(started(snapshot(&["a"], 4), &state).is_ok());
    put(&path, &snapshot(&["a"], 5));
    assert!(follower.reload().is_ok() && willing.reload().is_ok());
    assert!(matches!(follower.replace(snapshot(&["a"], 4)), Err(ReloadError::Older { .. })));
}

#[test]
fn snapshots_of_other_realms_share_a_file() {
    let state = folder("others").join("state");
    let first = started(snapshot(&["a", "b"], 50), &state).expect("it is good");
    let second = started(snapshot(&["c"], 3), &state).expect("it has other realms");
    assert!(first.replace(snapshot(&["a", "b"], 51)).is_ok());
    assert!(second.replace(snapshot(&["c"], 4)).is_ok());
    assert!(started(snapshot(&["c"], 3), &state).is_err());
    // A realm of both stands in the way: its requests are counted together as well.
    let error = started(snapshot(&["b", "c"], 10), &state).err().expect("realm b is at 51");
    assert!(matches!(&error, ReloadError::Served { served: 51, realm, .. } if realm == "b"), "{error}");
    let marks = StateReader::open(&state).expect("it is good").marks();
    let told: Vec<_> = marks.iter().map(|(realm, mark)| (realm.as_str(), mark.generation)).collect();
    assert_eq!(told, [("a", 51), ("b", 51), ("c", 4)]);
}

/// A full snapshot of generation 5, and a delta of generation 7 on it that revokes the key of the realm `a`.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let full = snapshot(&["a"], 5);
    let line =
        "{\"realm\":\"a\",\"id\":\"of-5\",\"key\":\"secret-of-000000000000000a\",\"status\":\"revoked\"}\n";
    let delta = build_delta(&full, &configuration(&["a"]), KEYRING, line, [], stamp(7)).expect("it is sound");
    (full, delta)
}

#[test]
fn a_snapshot_without_its_delta_is_a_way_back() {
    let folder = folder("delta");
    let (state, path) = (folder.join("state"), folder.join("keys.kwd"));
    let (full, delta) = pair();
    let open = || Engine::open(&path, keyring(KEYRING), with_state(&state));
    let beside = delta_path(&path);
    put(&path, &full);
    fs::write(&beside, &delta).expect("there is room");
    // Both are one generation: the full one by itself was never served.
    let engine = open().expect("it is good");
    let mark =
        |realm: &str| State::open(&state, 16).expect("it is good").mark(realm).map(|mark| mark.generation);
    assert_eq!((mark("a"), decides(&engine, "a")), (Some(7), None));
    assert!(open().is_ok(), "a restart takes both again");
    // Without the delta the key would be good again: for this engine, and for one that starts.
    fs::remove_file(&beside).expect("it is there");
    assert!(matches!(engine.reload(), Err(ReloadError::Older { found: 5, current: 7 })));
    assert!(matches!(open().err(), Some(ReloadError::Served { found: 5, served: 7, .. })));
    // Nor with half of it.
    fs::write(&beside, &delta[..delta.len() - 1]).expect("there is room");
    assert!(engine.reload().is_err() && open().is_err());
    assert_eq!(decides(&engine, "a"), None);
    fs::remove_file(&beside).expect("it is there");
    put(&path, &snapshot(&["a"], 8));
    assert!(engine.reload().is_ok() && open().is_ok());
    assert_eq!(mark("a"), Some(8));
}

#[test]
fn what_is_refused_leaves_no_mark() {
    let state = folder("refused").join("state");
    let signing = SigningKey::generate().expect("there is a random source");
    let table = |name: &str, pem: &str| format!("[[signing_key]]\n{name} = \"\"\"\n{pem}\"\"\"\n");
    let server =
        format!("{KEYRING}{}", table("public_key", &signing.public_to_pem().expect("it is written")));
    let publisher = format!("{KEYRING}{}", table("private_key", &signing.to_pem().expect("it is written")));
    let of = |generation, keyring: &str| build(&configuration(&["a"]), keyring, "", stamp(generation));
    let engine = Engine::from_bytes(of(5, &publisher), keyring(&server), with_state(&state));
    let engine = engine.expect("it is signed");
    // Not signed, damaged, of another pepper, with none of the realms.
    let key = "{\"realm\":\"a\",\"id\":\"x\",\"key\":\"0123456789abcdef\"}\n";
    let mut damaged = of(100, &publisher);
    let last = damaged.len() - 4000;
    damaged[last] ^= 1;
    let other = publisher.replace(KEYRING, OTHER_KEYRING);
    let wrong = [
        of(100, KEYRING),
        damaged,
        build(&configuration(&["a"]), &other, key, stamp(100)),
        build(&configuration(&["z"]), &publisher, "", stamp(100)),
    ];
    for (at, bytes) in wrong.into_iter().enumerate() {
        assert!(engine.replace(bytes).is_err(), "number {at}");
        let mark = State::open(&state, 16).expect("it is good").mark("a");
        assert_eq!(mark.map(|mark| mark.generation), Some(5), "number {at}");
    }
    assert!(engine.replace(of(6, &publisher)).is_ok());
}

#[test]
fn a_snapshot_of_another_realm_set_is_refused() {
    let engine =
        Engine::from_bytes(snapshot(&["a", "b"], 1), keyring(KEYRING), options()).expect("it is good");
    let error = engine.replace(snapshot(&["x", "y"], 2)).expect_err("it is another service's");
    let ReloadError::OtherRealms { found, current } = &error else { panic!("{error}") };
    assert_eq!((found.as_str(), current.as_str()), ("x, y", "a, b"));
    assert_eq!(engine.info().last_error.expect("it says so").message, error.to_string());
    assert_eq!(decides(&engine, "b"), Some(1));
    // A realm may come and go.
    assert!(engine.replace(snapshot(&["b", "c"], 2)).is_ok());
    assert_eq!(
        (decides(&engine, "a"), decides(&engine, "b"), decides(&engine, "c")),
        (None, Some(2), Some(2))
    );
    // Whoever asks for it gets it.
    let willing = Options { going_back: true, ..options() };
    let willing = Engine::from_bytes(snapshot(&["a"], 1), keyring(KEYRING), willing).expect("it is good");
    assert!(willing.replace(snapshot(&["x"], 2)).is_ok());
}

/// Where eight bytes that are those of `number` stand in a file.
fn places(bytes: &[u8], number: u64) -> Vec<usize> {
    let words = bytes.as_chunks::<8>().0.iter().enumerate();
    words.filter(|(_, word)| **word == number.to_ne_bytes()).map(|(at, _)| at * 8).collect()
}

#[test]
fn a_damaged_mark_neither_opens_nor_locks() {
    const GENERATION: u64 = 0x0123_4567_89ab_cdef;
    let state = folder("damaged").join("state");
    drop(started(snapshot(&["a"], GENERATION), &state).expect("it is the first"));
    let good = fs::read(&state).expect("it is there");
    let copies = places(&good, GENERATION);
    let &[first, second] = &copies[..] else { panic!("it stands twice: {copies:?}") };
    assert_ne!(first / 4096, second / 4096, "in two pages");
    let file = OpenOptions::new().write(true).open(&state).expect("it is ours");
    let with = |damage: &[(usize, Vec<u8>)]| {
        file.write_all_at(&good, 0).expect("there is room");
        for (at, bytes) in damage {
            file.write_all_at(bytes, *at as u64).expect("there is room");
        }
    };
    let page = |at: usize, byte: u8| (at / 4096 * 4096, vec![byte; 4096]);
    let flipped = |at: usize| (at, vec![good[at] ^ 0x10]);
    for at in copies.iter().flat_map(|copy| *copy..copy + 24) {
        with(&[flipped(at)]);
        assert!(started(snapshot(&["a"], GENERATION - 1), &state).is_err(), "byte {at} of {copies:?}");
        assert!(started(snapshot(&["a"], GENERATION), &state).is_ok(), "byte {at} of {copies:?}");
        assert!(started(snapshot(&["a"], GENERATION + 1), &state).is_ok(), "byte {at} of {copies:?}");
    }
    for (place, byte) in copies.iter().flat_map(|copy| [0, 1, 0xff].map(|byte| (*copy, byte))) {
        with(&[page(place, byte)]);
        assert!(started(snapshot(&["a"], GENERATION - 1), &state).is_err(), "the page of {place} is {byte}");
        assert!(started(snapshot(&["a"], GENERATION + 1), &state).is_ok());
    }
    // Nothing is left of it: nobody is locked out.
    with(&[page(first, 0xff), page(second, 0xff)]);
    assert!(started(snapshot(&["a"], 1), &state).is_ok());
}

/// What a process that will be killed has begun and done: words of a file of its own.
fn tally(path: &Path) -> Words {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    Words::share(&file).expect("it can be mapped")
}

#[test]
fn processes_that_are_killed_while_the_mark_moves_leave_what_they_served() {
    const KILLS: u64 = 200;
    let hash = |generation: u64| -> [u8; 32] {
        std::array::from_fn(|at| generation.to_le_bytes().get(at).copied().unwrap_or(0xa5))
    };
    if let Some(part) = part() {
        let state = State::open(Path::new(&part[0]), 16).expect("it is good");
        let (next, done) = (tally(Path::new(&part[1])), tally(Path::new(&part[2])));
        loop {
            // A generation that nobody has had yet, and after that what was served for certain.
            let generation = next[0].fetch_add(1, SeqCst) + 1;
            if state.serve(&["a", "b"], Mark::new(generation, &hash(generation)), false).is_ok() {
                done[0].fetch_max(generation, SeqCst);
            }
        }
    }
    let name = "processes_that_are_killed_while_the_mark_moves_leave_what_they_served";
    let folder = folder("killed");
    let [state, next, done] = ["state", "next", "done"].map(|name| folder.join(name));
    for path in [&next, &done] {
        fs::write(path, [0; 8]).expect("there is room");
    }
    let texts = [&state, &next, &done].map(|path| path.to_str().expect("it is text"));
    let looking = State::open(&state, 16).expect("it can be made");
    let (next, done) = (tally(&next), tally(&done));
    let (mut seed, mut running) = (7_u64, Vec::new());
    let mut moved = 0;
    for _ in 0..KILLS {
        while running.len() < 3 {
            running.push(child(name, &texts));
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_micros(5_000 + (seed >> 33) % 40_000));
        let served = done[0].load(SeqCst);
        let mark = |realm| looking.mark(realm).map_or(0, |mark: Mark| mark.generation);
        // Two others are at it meanwhile, and the mark is never behind what any of them has served.
        let seen = mark("a").min(mark("b"));
        assert!(seen >= served, "{seen} {served}");
        let mut oldest: Child = running.remove(0);
        oldest.kill().expect("it is ours");
        oldest.wait().expect("it is ours");
        moved += 1;
    }
    for mut process in running {
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
    }
    let (served, begun) = (done[0].load(SeqCst), next[0].load(SeqCst));
    assert!(moved == KILLS && served > 10 * KILLS, "{served}");
    for realm in ["a", "b"] {
        let mark = looking.mark(realm).expect("there is one").generation;
        assert!((served..=begun).contains(&mark), "{served} {mark} {begun}");
    }
    let serve = |generation| looking.serve(&["a", "b"], Mark::new(generation, &hash(generation)), false);
    assert!(serve(served - 1).is_err());
    assert!(serve(begun + 1).is_ok(), "whoever comes after finds nothing in the way");
    assert!(serve(begun).is_err());
    let _ = writeln!(std::io::stdout(), "{served} generations were served, {begun} begun");
}
