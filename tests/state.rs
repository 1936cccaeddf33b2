//! The state file: counts that processes share, whatever happens to them or to it.

use keyward::engine::{Engine, Options, ReloadError};
use keyward::limits::{KeyUsage, State, StateError, StateReader};
use keyward::memory::Words;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::time::Timestamp;
use keyward_testkit::parts::{self, part};
use keyward_testkit::{BAD, GOOD, KEYRING, NOW, build, keyring, options, request, snapshot, stamp};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

/// A realm with a thousand keys without a limit, and some that may come a thousand times.
const CONFIGURATION: &str = r#"
[realm.api]
[realm.api.credential.key]
kind = "key"
source = "bearer"
[realm.api.rate_limit.burst]
requests = 1000
period = 3600
"#;
const KEYS: usize = 1000;
const BURST: u64 = 1000;

fn keys() -> String {
    let line = |id: String, limit: &str| {
        format!("{{\"realm\":\"api\",\"id\":\"{id}\",\"key\":\"secret-of-{id:0>16}\"{limit}}}\n")
    };
    let limited = (0..10).map(|at| line(format!("limited-{at}"), ",\"rate_limit\":\"burst\""));
    (0..KEYS).map(|at| line(format!("key-{at}"), "")).chain(limited).collect()
}

fn engine_with(options: Options) -> Engine {
    let bytes = build(CONFIGURATION, KEYRING, &keys(), stamp(1));
    Engine::from_bytes(bytes, keyring(KEYRING), options).expect("the snapshot and the state are good")
}

fn with_state(path: &Path, state_slots: usize) -> Options {
    Options { state: Some(path.to_owned()), state_slots, ..options() }
}

/// An engine over [`keys`] with the state at `path`.
fn engine(path: &Path, slots: usize) -> Engine {
    engine_with(with_state(path, slots))
}

/// A request with the key of that id.
fn ask(engine: &Engine, id: &str, now: u64) -> Reason {
    let authorization = format!("Bearer secret-of-{id:0>16}");
    let headers = [("Authorization", authorization.as_str())];
    let now = Some(Timestamp::from_seconds(now));
    engine.verify(&Request { now, ..Request::new("api", &headers[..]) }).reason()
}

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("state").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("there is room");
    path
}

fn usage(path: &Path) -> HashMap<String, KeyUsage> {
    let reader = StateReader::open(path).expect("it is good");
    let named = |key: KeyUsage| (key.name.clone().expect("it has a name").1, key);
    let keys: Vec<_> = reader.keys().map(named).collect();
    let count = keys.len();
    let keys: HashMap<_, _> = keys.into_iter().collect();
    assert_eq!(keys.len(), count, "no key stands twice");
    keys
}

/// Runs the test `name` once more in a process of its own, which finds `part` there.
fn child(name: &str, part: &[&str]) -> Child {
    let mut command = parts::child(name, part);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be started")
}

/// Waits for a child and returns the number that it printed after `word`.
fn told(child: Child, word: &str) -> u64 {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("it is text");
    let (_, after) = text.split_once(word).expect("it told");
    after.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
}

/// Tells the parent a number.
fn tell(word: &str, number: usize) {
    writeln!(std::io::stdout(), "{word} {number}").expect("the parent listens");
}

/// Waits until the parent closes the pipe, so that all children start at once.
fn wait_for_start() {
    let _ = std::io::read_to_string(std::io::stdin());
}

#[test]
fn without_a_file_decisions_are_counted_by_reason() {
    let engine = keyward_testkit::engine(snapshot());
    for (realm, headers) in GOOD.into_iter().chain(BAD) {
        let _ = engine.verify(&request(realm, headers));
    }
    let counts = engine.counts();
    assert_eq!(counts.requests(), (GOOD.len() + BAD.len()) as u64);
    assert_eq!(counts.of(Reason::Ok), GOOD.len() as u64);
    let shop = counts.realm("shop").expect("it was asked for");
    for reason in [Reason::UnknownKey, Reason::Revoked, Reason::Suspended, Reason::Expired] {
        assert_eq!((shop.of(reason), counts.of(reason)), (1, 1), "{reason:?}");
    }
    assert_eq!(counts.realm("files").map(|realm| realm.of(Reason::TenantMismatch)), Some(1));
    assert_eq!(
        counts.realm("").map(|none| none.of(Reason::Unavailable)),
        Some(1),
        "a realm that is not there"
    );
    assert_eq!(engine.info().state, None);
    // Many threads, more than have rows of their own.
    let before = counts.requests();
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let _ = engine.verify(&request(GOOD[0].0, GOOD[0].1));
                }
            });
        }
    });
    assert_eq!(engine.counts().requests(), before + 4000);
}

#[test]
fn a_file_tells_how_each_key_is_used() {
    let path = folder("tells").join("state");
    let options = with_state(&path, 100);
    let open = || Engine::from_bytes(snapshot(), keyring(KEYRING), options.clone()).expect("it is good");
    let first = open();
    for (realm, headers) in GOOD.into_iter().chain(BAD) {
        let _ = first.verify(&request(realm, headers));
    }
    drop(first);
    // Another engine goes on where the first stopped, and somebody looks while it is there.
    let engine = open();
    let slow = [("Authorization", "Bearer sk_live_0000000000000004")];
    for second in 0..3 {
        let now = Some(Timestamp::from_seconds(NOW + second));
        let _ = engine.verify(&Request { now, ..request("shop", &slow) });
    }
    let reader_key = [("Authorization", "Bearer sk_live_0000000000000001")];
    let _ = engine.verify(&Request { scopes: &["more"], ..request("shop", &reader_key) });
    let foreign = Request { environment: Some("test"), ..request("shop", &reader_key) };
    let _ = engine.verify(&foreign);

    let keys = usage(&path);
    let of = |id: &str| &keys[id];
    let denied = |id: &str| of(id).denied.clone();
    assert_eq!(of("reader").allowed, 2, "by bearer and by basic");
    assert_eq!(denied("reader"), [(Reason::InsufficientScope, 1), (Reason::WrongEnvironment, 1)]);
    assert_eq!((of("reader").requests(), of("reader").refused()), (4, 2));
    assert_eq!((of("slow").allowed, denied("slow")), (1, vec![(Reason::RateLimited, 2)]));
    assert_eq!((of("slow").since, of("slow").last_use), (NOW, NOW + 2));
    assert_eq!((of("gone").allowed, denied("gone")), (0, vec![(Reason::Revoked, 1)]));
    assert_eq!(denied("held"), [(Reason::Suspended, 1)]);
    assert_eq!(denied("past"), [(Reason::Expired, 1)]);
    assert_eq!(denied("plain"), [(Reason::TenantMismatch, 1)]);
    assert_eq!(of("portal").name, Some(("hub".to_owned(), "portal".to_owned())));
    let used = ["reader", "writer", "office", "slow", "gone", "held", "past", "plain", "portal"];
    assert_eq!(keys.len(), used.len(), "keys that nobody used are not there");

    let reader = StateReader::open(&path).expect("it is good");
    assert_eq!(reader.counts(), engine.counts());
    assert_eq!(reader.counts().requests(), (GOOD.len() + BAD.len()) as u64 + 5);
    assert_eq!((reader.slots(), reader.displaced()), (100, 0));
    let info = engine.info().state.expect("it has one");
    assert_eq!((info.path, info.slots, info.created), (Some(path), 100, reader.created()));
}

#[test]
fn the_longest_names_are_whole() {
    let path = folder("names").join("state");
    let realm = "r".repeat(255);
    let configuration =
        format!("[realm.{realm}]\n[realm.{realm}.credential.key]\nkind = \"key\"\nsource = \"bearer\"\n");
    let ids: Vec<String> =
        [1, 7, 8, 9, 64, 254, 255].map(|length| "ü".repeat(length / 2) + &"i".repeat(length % 2)).into();
    let keys: String = (ids.iter().enumerate())
        .map(|(at, id)| format!("{{\"realm\":\"{realm}\",\"id\":\"{id}\",\"key\":\"secret-of-{at:016}\"}}\n"))
        .collect();
    let bytes = build(&configuration, KEYRING, &keys, stamp(1));
    let engine = Engine::from_bytes(bytes, keyring(KEYRING), with_state(&path, 64)).expect("it is good");
    for at in 0..ids.len() {
        let authorization = format!("Bearer secret-of-{at:016}");
        let headers = [("Authorization", authorization.as_str())];
        assert!(engine.verify(&Request::new(&realm, &headers[..])).is_allowed());
    }
    let found = usage(&path);
    assert!(ids.iter().all(|id| found[id].name == Some((realm.clone(), id.clone()))));
}

#[test]
fn more_realms_than_there_is_room_for_are_counted_together() {
    let path = folder("realms").join("state");
    let configuration: String = (0..300)
        .map(|at| {
            format!("[realm.r{at}]\n[realm.r{at}.credential.key]\nkind = \"key\"\nsource = \"bearer\"\n")
        })
        .collect();
    let keys: String = (0..300)
        .map(|at| format!("{{\"realm\":\"r{at}\",\"id\":\"k{at}\",\"key\":\"secret-of-{at:016}\"}}\n"))
        .collect();
    let bytes = build(&configuration, KEYRING, &keys, stamp(1));
    let engine = Engine::from_bytes(bytes, keyring(KEYRING), with_state(&path, 1000)).expect("it is good");
    for at in 0..300 {
        let (realm, authorization) = (format!("r{at}"), format!("Bearer secret-of-{at:016}"));
        let headers = [("Authorization", authorization.as_str())];
        assert!(engine.verify(&Request::new(&realm, &headers[..])).is_allowed());
    }
    let reader = StateReader::open(&path).expect("it is good");
    let counts = reader.counts();
    assert_eq!((counts.realms.len(), counts.requests()), (256, 300));
    assert_eq!(counts.realm("").map(|rest| rest.of(Reason::Ok)), Some(45));
    let keys: Vec<_> = reader.keys().collect();
    assert_eq!((keys.len(), keys.iter().filter(|key| key.name.is_none()).count()), (300, 45));
}

#[test]
fn eight_processes_pass_one_burst_between_them() {
    const EACH: u64 = 2000;
    if let Some(part) = part() {
        let engine = engine(Path::new(&part[0]), 64);
        wait_for_start();
        let passed = (0..EACH).filter(|_| ask(&engine, "limited-0", NOW) == Reason::Ok).count();
        return tell("passed", passed);
    }
    let path = folder("burst").join("state");
    let path_text = path.to_str().expect("it is text");
    let name = "eight_processes_pass_one_burst_between_them";
    let children: Vec<_> = (0..8).map(|_| child(name, &[path_text])).collect();
    // Dropping the pipe of each, in `wait_with_output`, starts it; so all are started here first.
    let children = children.into_iter().map(|mut child| {
        drop(child.stdin.take());
        child
    });
    let passed: u64 = children.collect::<Vec<_>>().into_iter().map(|child| told(child, "passed ")).sum();
    assert_eq!(passed, BURST);
    let key = &usage(&path)["limited-0"];
    assert_eq!((key.allowed, key.denied.clone()), (BURST, vec![(Reason::RateLimited, 8 * EACH - BURST)]));
    let counts = StateReader::open(&path).expect("it is good").counts();
    assert_eq!((counts.of(Reason::Ok), counts.of(Reason::RateLimited)), (BURST, 8 * EACH - BURST));
}

#[test]
fn processes_that_start_at_once_use_one_file() {
    const EACH: u64 = 50;
    if let Some(part) = part() {
        wait_for_start();
        let engine = engine(Path::new(&part[0]), 64);
        let passed = (0..EACH).filter(|_| ask(&engine, "key-7", NOW) == Reason::Ok).count();
        return tell("passed", passed);
    }
    let folder = folder("at-once");
    for round in 0..10 {
        let path = folder.join(format!("state-{round}"));
        // What is there may be nothing, half a new file of somebody who was killed, or one that is damaged.
        fs::write(folder.join(format!(".state-{round}.tmp")), "half a file").expect("there is room");
        if round % 2 == 1 {
            fs::write(&path, b"KEYWARD\x01 and too short").expect("there is room");
        }
        let path_text = path.to_str().expect("it is text");
        let name = "processes_that_start_at_once_use_one_file";
        let mut children: Vec<_> = (0..4).map(|_| child(name, &[path_text])).collect();
        children.iter_mut().for_each(|child| drop(child.stdin.take()));
        let passed: u64 = children.into_iter().map(|child| told(child, "passed ")).sum();
        assert_eq!(passed, 4 * EACH);
        assert_eq!(usage(&path)["key-7"].allowed, 4 * EACH);
        assert!(!folder.join(format!(".state-{round}.tmp")).exists());
    }
    // The same within one process, many times.
    for round in 0..50 {
        let path = folder.join(format!("threads-{round}"));
        let barrier = Barrier::new(4);
        let inodes: Vec<u64> = thread::scope(|scope| {
            let open = || {
                barrier.wait();
                let state = State::open(&path, 64).expect("it can be made");
                assert_eq!(state.info().expect("it is a file").replaced, None);
                fs::metadata(&path).expect("it is there").ino()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        assert!(inodes.iter().all(|inode| *inode == inodes[0]));
    }
}

/// What a process that will be killed counts for itself: words of a file of its own, before and after each
/// request, so that the parent knows how many there were.
struct Tally(Words);

impl Tally {
    fn make(path: &Path) -> Self {
        fs::write(path, [0; 16]).expect("there is room");
        Self::open(path)
    }

    fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("it is there");
        Self(Words::share(&file).expect("it can be mapped"))
    }

    fn around(&self, request: impl FnOnce()) {
        self.0[0].fetch_add(1, Relaxed);
        request();
        self.0[1].fetch_add(1, Relaxed);
    }

    fn bounds(&self) -> (u64, u64) {
        (self.0[1].load(Relaxed), self.0[0].load(Relaxed))
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Starts processes that ask for random ones of the first `keys` keys and the limited ones, kills each after a
/// random while, `kills` times in all, and returns how many requests there were at least and at most.
fn kill(name: &str, state: &Path, slots: usize, keys: usize, kills: u64) -> (u64, u64) {
    let folder = state.parent().expect("it has one");
    let mut numbers = Numbers(kills);
    let (mut least, mut most) = (0, 0);
    let mut running: Vec<(Child, Tally, Instant)> = Vec::new();
    let mut started = 0;
    while started < kills || !running.is_empty() {
        if started < kills && running.len() < 4 {
            let tally = folder.join(format!("tally-{started}"));
            let text = |path: &Path| path.to_str().expect("it is text").to_owned();
            let part = [text(state), text(&tally), slots.to_string(), keys.to_string(), started.to_string()];
            let words = Tally::make(&tally);
            let process = child(name, &part.each_ref().map(String::as_str));
            // Some are killed while they start, and the most in the middle of counting.
            let life = Duration::from_micros(20_000 + numbers.next(60_000));
            running.push((process, words, Instant::now() + life));
            started += 1;
        }
        running.retain_mut(|(process, tally, end)| {
            if Instant::now() < *end {
                return true;
            }
            process.kill().expect("it is ours");
            process.wait().expect("it is ours");
            let (after, before) = tally.bounds();
            (least, most) = (least + after, most + before);
            false
        });
        thread::sleep(Duration::from_micros(500));
    }
    (least, most)
}

/// The part of a process that will be killed.
fn count_until_killed(part: &[String]) {
    let number = |at: usize| part[at].parse::<u64>().expect("it is a number");
    let (tally, mut numbers) = (Tally::open(Path::new(&part[1])), Numbers(number(4)));
    let engine = engine(Path::new(&part[0]), number(2) as usize);
    let all = number(3);
    loop {
        let key = numbers.next(all + 10);
        let id = if key < all { format!("key-{key}") } else { format!("limited-{}", key - all) };
        tally.around(|| {
            let _ = ask(&engine, &id, NOW);
        });
    }
}

#[test]
fn killed_processes_lose_at_most_the_request_that_they_were_at() {
    if let Some(part) = part() {
        return count_until_killed(&part);
    }
    const KILLS: u64 = 200;
    let path = folder("killed").join("state");
    let name = "killed_processes_lose_at_most_the_request_that_they_were_at";
    let (least, most) = kill(name, &path, 512, 20, KILLS);
    assert!(least > 10 * KILLS && most - least <= KILLS, "{least} {most}");
    let reader = StateReader::open(&path).expect("it is good");
    let counted = reader.counts().requests();
    assert!((least..=most).contains(&counted), "{least} {counted} {most}");
    let keys = usage(&path);
    let used: u64 = keys.values().map(KeyUsage::requests).sum();
    assert!((least..=most).contains(&used), "{least} {used} {most}");
    // A limit is never more than its burst, and each kill may have taken one away.
    for at in 0..10 {
        let key = &keys[&format!("limited-{at}")];
        assert!(key.allowed <= BURST, "{key:?}");
        let spent = key.requests() > BURST + KILLS;
        assert!(!spent || key.allowed + KILLS >= BURST, "{key:?}");
    }
    // Nothing is stuck: who comes after counts as if nothing had been.
    let engine = engine(&path, 512);
    for _ in 0..3 {
        for id in keys.keys() {
            assert!(matches!(ask(&engine, id, NOW + 3600), Reason::Ok));
        }
    }
    let after = usage(&path);
    assert!(keys.iter().all(|(id, key)| after[id].allowed == key.allowed + 3));
}

#[test]
fn killed_processes_on_a_full_table_add_nothing_and_stop_nobody() {
    if let Some(part) = part() {
        return count_until_killed(&part);
    }
    const KILLS: u64 = 200;
    let path = folder("killed-full").join("state");
    let name = "killed_processes_on_a_full_table_add_nothing_and_stop_nobody";
    let (least, most) = kill(name, &path, 64, KEYS, KILLS);
    assert!(least > 10 * KILLS, "{least}");
    let reader = StateReader::open(&path).expect("it is good");
    let counted = reader.counts().requests();
    assert!((least..=most).contains(&counted), "{least} {counted} {most}");
    assert!(reader.displaced() > 100, "{}", reader.displaced());
    let used: u64 = reader.keys().map(|key| key.requests()).sum();
    assert!(used <= most, "{used} {most}");
    assert!(reader.keys().count() <= 64);
    // Every place can be taken, and every name is whole, of the keys that come from now on.
    let engine = engine(&path, 64);
    for at in 0..64 {
        assert_eq!(ask(&engine, &format!("key-{at}"), NOW + 10), Reason::Ok);
        let last = usage_of(&path, &format!("key-{at}")).expect("it is there");
        assert_eq!(last.last_use, NOW + 10);
    }
}

/// The usage of one key, in a file in which some names may be half written.
fn usage_of(path: &Path, id: &str) -> Option<KeyUsage> {
    let reader = StateReader::open(path).expect("it is good");
    let mut keys = reader.keys();
    keys.find(|key| key.name.as_ref().is_some_and(|(_, found)| found == id))
}

#[test]
fn on_a_full_table_the_key_that_was_used_least_recently_goes() {
    let path = folder("full").join("state");
    let engine = engine(&path, 64);
    for at in 0..64 {
        assert_eq!(ask(&engine, &format!("key-{at}"), NOW + at), Reason::Ok);
    }
    assert_eq!(ask(&engine, "key-0", NOW + 100), Reason::Ok);
    assert_eq!(engine.info().state.expect("it has one").displaced, 0);
    assert_eq!(ask(&engine, "limited-0", NOW + 101), Reason::Ok);
    assert_eq!(ask(&engine, "key-64", NOW + 102), Reason::Ok);
    let keys = usage(&path);
    assert_eq!(keys.len(), 64);
    assert!(!keys.contains_key("key-1") && !keys.contains_key("key-2"), "they were the oldest");
    assert_eq!((keys["key-0"].allowed, keys["key-64"].allowed, keys["key-64"].since), (2, 1, NOW + 102));
    assert_eq!(engine.info().state.expect("it has one").displaced, 2);
    // A key that owes something stays until all do.
    for at in 100..400 {
        assert_eq!(ask(&engine, &format!("key-{at}"), NOW + at), Reason::Ok);
    }
    assert!(usage(&path).contains_key("limited-0") || NOW + 101 + 4 < NOW + 400);
    assert_eq!(engine.info().limiter_displaced, 0);
}

#[test]
fn threads_on_one_file_count_every_request() {
    let path = folder("threads").join("state");
    let engines = [engine(&path, 4096), engine(&path, 4096)];
    thread::scope(|scope| {
        for number in 0..8 {
            let engine = &engines[number % 2];
            scope.spawn(move || {
                for at in 0..2000 {
                    assert_eq!(ask(engine, &format!("key-{}", at % KEYS), NOW + at as u64), Reason::Ok);
                }
            });
        }
    });
    let keys = usage(&path);
    assert_eq!(keys.len(), KEYS);
    for (id, key) in &keys {
        let at: u64 = id.trim_start_matches("key-").parse().expect("it is a number");
        assert_eq!((key.allowed, key.requests(), key.last_use), (16, 16, NOW + 1000 + at), "{id}");
    }
    assert_eq!(engines[0].counts(), engines[1].counts());
    assert_eq!(engines[0].counts().of(Reason::Ok), 16_000);
}

/// What is not usable is replaced, and who may enter does not depend on it.
#[test]
fn a_damaged_file_loses_counts_and_nothing_else() {
    let path = folder("damaged").join("state");
    let _ = ask(&engine(&path, 100), "key-0", NOW);
    let good = fs::read(&path).expect("it is there");
    let works = |bytes: &[u8]| {
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, bytes).expect("there is room");
        let engine = engine(&path, 200);
        for id in ["key-0", "key-1", "limited-0"] {
            assert_eq!(ask(&engine, id, NOW), Reason::Ok, "{id}");
        }
        assert_eq!(ask(&engine, "nobody", NOW), Reason::UnknownKey);
        let info = engine.info().state.expect("it has one");
        assert_eq!(
            fs::metadata(&path).expect("it is there").mode() & 0o7777 == 0o600,
            info.replaced.is_some()
        );
        assert_eq!(info.slots, if info.replaced.is_some() { 200 } else { 100 });
        info.replaced
    };
    assert_eq!(works(&good), None);
    for length in [0, 8, 9, 100, 4095, 4096, 4097, good.len() / 2, good.len() - 4096, good.len() - 1] {
        assert!(works(&good[..length]).is_some(), "cut to {length}");
    }
    assert!(works(&[&good[..], &[0; 8]].concat()).is_some(), "longer");
    assert!(works(&vec![0; good.len()]).is_some(), "what a crash of the machine can leave");
    for at in 8..72 {
        for bit in [0, 7] {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(works(&bad).is_some(), "bit {bit} of byte {at} is not noticed");
        }
    }
    // Past the header there is nothing that is believed: whatever stands there, nobody gets in who may not, and
    // somebody who looks gets an answer. A key whose own limit was written over may have to wait.
    let mut numbers = Numbers(1);
    for filling in 0..40 {
        let mut bad = good.clone();
        for byte in bad.iter_mut().skip(4096) {
            match filling {
                0 => *byte = 0xff,
                1 => *byte = 0,
                2 => *byte = 1,
                filling if filling < 20 => *byte = numbers.next(256) as u8,
                _ if numbers.next(500) == 0 => *byte ^= 1 << numbers.next(8),
                _ => {}
            }
        }
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, &bad).expect("there is room");
        let engine = engine(&path, 100);
        for at in 0..150 {
            assert_eq!(ask(&engine, &format!("key-{at}"), NOW), Reason::Ok);
        }
        assert_eq!(ask(&engine, "nobody", NOW), Reason::UnknownKey);
        let reader = StateReader::open(&path).expect("its header is good");
        for key in reader.keys() {
            let _ = (key.requests(), key.refused());
        }
        let _ = reader.counts().requests();
        let _ = engine.info();
    }
}

#[test]
fn what_is_no_state_file_is_refused_and_left_as_it_is() {
    let folder = folder("foreign");
    let path = folder.join("state");
    let refused = |path: &Path| {
        let state = with_state(path, 100);
        let opened = Engine::from_bytes(snapshot(), keyring(KEYRING), state.clone());
        let Some(ReloadError::State(error)) = opened.err() else { panic!("{} is taken", path.display()) };
        let unopened = folder.join("keys.kwd");
        fs::write(&unopened, snapshot()).expect("there is room");
        let opened = Engine::open(&unopened, keyring(KEYRING), state.clone());
        assert!(matches!(opened.err(), Some(ReloadError::State(_))));
        // Who must start all the same does, and says why it counts for itself.
        let engine = Engine::new(&unopened, keyring(KEYRING), state);
        engine.reload().expect("it is good");
        assert!(engine.verify(&request(GOOD[0].0, GOOD[0].1)).is_allowed());
        let info = engine.info();
        assert_eq!((info.state, info.state_error), (None, Some(error.to_string())));
        assert_eq!(engine.counts().of(Reason::Ok), 1);
        fs::remove_file(&unopened).expect("it is there");
        let reader = StateReader::open(path).err();
        assert!(reader.is_some());
        error
    };
    for bytes in
        [&b"[[pepper]]\nid = 1\n"[..], b"x", b"KEYWARD\0", &[0, 0, 0, 0, 0, 0, 0, 0, 1], &[7; 10_000]]
    {
        fs::write(&path, bytes).expect("there is room");
        assert!(matches!(refused(&path), StateError::Foreign { .. }));
        assert_eq!(fs::read(&path).expect("it is there"), bytes);
    }
    fs::write(&path, snapshot()).expect("there is room");
    assert!(matches!(refused(&path), StateError::Foreign { .. }), "a snapshot");
    fs::remove_file(&path).expect("it is there");
    assert!(matches!(refused(&folder), StateError::Foreign { .. }), "a directory");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo is everywhere");
    assert!(made.success() && matches!(refused(&path), StateError::Foreign { .. }), "a pipe");
    fs::remove_file(&path).expect("it is there");
    assert!(matches!(
        refused(Path::new("/dev/null")),
        StateError::Foreign { .. } | StateError::Writable { .. }
    ));
    let nowhere = folder.join("nowhere").join("state");
    assert!(matches!(refused(&nowhere), StateError::Io { path, .. } if path == folder.join("nowhere")));
    drop(State::open(&path, 100).expect("it can be made"));
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
    assert!(matches!(refused(&path), StateError::Writable { mode: 0o666, .. }));
    fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("it is ours");
    drop(State::open(&path, 100).expect("a group may share it"));
    for slots in [0, usize::MAX] {
        assert!(
            matches!(State::open(&path, slots).err(), Some(StateError::Slots { found }) if found == slots)
        );
    }
}

#[test]
fn a_file_that_is_gone_or_read_only_stops_nobody() {
    let folder = folder("gone");
    let path = folder.join("state");
    let engine = engine(&path, 100);
    assert_eq!(ask(&engine, "limited-0", NOW), Reason::Ok);
    fs::set_permissions(&path, Permissions::from_mode(0o400)).expect("it is ours");
    assert_eq!(usage(&path)["limited-0"].allowed, 1, "to look needs no right to write");
    fs::remove_file(&path).expect("it is there");
    // It goes on in the file that no longer has a name.
    for _ in 1..BURST {
        assert_eq!(ask(&engine, "limited-0", NOW), Reason::Ok);
    }
    assert_eq!(ask(&engine, "limited-0", NOW), Reason::RateLimited);
    // The next one makes a new file, and its counts start anew.
    let other = self::engine(&path, 100);
    assert_eq!(ask(&other, "limited-0", NOW), Reason::Ok);
    assert_eq!(usage(&path)["limited-0"].requests(), 1);
}

#[test]
fn without_a_name_forked_processes_share_it() {
    let engine = engine_with(Options { state_inherited: true, state_slots: 100, ..options() });
    for _ in 0..BURST {
        assert_eq!(ask(&engine, "limited-0", NOW), Reason::Ok);
    }
    assert_eq!(ask(&engine, "limited-0", NOW), Reason::RateLimited);
    let info = engine.info().state.expect("it has one");
    assert_eq!((info.path, info.slots, info.replaced), (None, 100, None));
    assert_eq!(engine.counts().requests(), BURST + 1);
    // Nobody could look at what is counted of keys, so nothing is: those without a limit take no room from the rest.
    for _ in 0..2 {
        (0..1000).for_each(|number| assert_eq!(ask(&engine, &format!("key-{number}"), NOW), Reason::Ok));
    }
    let info = engine.info().state.expect("it has one");
    assert_eq!((info.displaced, engine.info().limiter_displaced), (0, 0));
    assert_eq!(ask(&engine, "limited-0", NOW), Reason::RateLimited);
    // A shared mapping of something that has no name in any folder: what fork passes on.
    let maps = fs::read_to_string("/proc/self/maps").expect("it is there");
    assert!(maps.lines().any(|line| line.contains("rw-s") && line.contains("/memfd:keyward-state")));
}

#[test]
fn a_state_file_has_all_its_room_on_the_disk() {
    let path = folder("room").join("state");
    drop(State::open(&path, 1000).expect("it can be made"));
    let whole = fs::metadata(&path).expect("it is there");
    assert!(whole.blocks() * 512 >= whole.len(), "{} of {}", whole.blocks() * 512, whole.len());
    assert_eq!(whole.mode() & 0o7777, 0o600);
    // A copy with holes gets its room back when it is opened.
    let bytes = fs::read(&path).expect("it is there");
    let sparse = File::create(path.with_extension("sparse")).expect("there is room");
    sparse.set_len(whole.len()).expect("there is room");
    sparse.write_all_at(&bytes[..4096], 0).expect("there is room");
    assert!(sparse.metadata().expect("it is there").blocks() * 512 < whole.len());
    let state = State::open(&path.with_extension("sparse"), 1).expect("it is good");
    assert_eq!(state.info().map(|info| (info.slots, info.replaced)), Some((1000, None)));
    let filled = sparse.metadata().expect("it is there");
    assert!(filled.blocks() * 512 >= filled.len());
}
