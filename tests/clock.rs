//! Clocks that are set back and forward: what has expired stays so as long as the process lives.
//!
//! The test runs itself once more under libfaketime, which has it see any time that stands in a file.

use keyward::build::Stamp;
use keyward::engine::Engine;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::time::Timestamp;
use keyward_testkit::{KEYRING, build, keyring, options, stamp};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIGURATION: &str = r#"
[realm.r]
[realm.r.credential.key]
kind = "key"
source = "header:X-Key"
[realm.r.rate_limit.one]
requests = 1
period = 60
"#;
/// When the key expires.
const END: u64 = 1_800_000_000;
const CLOCK: &str = "KEYWARD_TEST_CLOCK";

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists()).expect("libfaketime is there: scripts/setup.sh installs it")
}

/// Has this process see that time from now on.
fn set(now: f64) {
    let path = PathBuf::from(std::env::var(CLOCK).expect("it is set"));
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("{now:.6}\n")).expect("there is room");
    fs::rename(&fresh, &path).expect("there is room");
    let seen = Timestamp::coarse_now();
    assert_eq!(seen.seconds(), now as u64, "libfaketime is in the way of the clock");
}

fn engine(stamp: Stamp) -> Engine {
    let line = |id: &str, more: &str| {
        format!("{{\"realm\":\"r\",\"id\":\"{id}\",\"key\":\"secret-of-{id:0>16}\"{more}}}\n")
    };
    let keys = [
        line("ends", &format!(",\"expires_at\":{END}")),
        line("begins", &format!(",\"not_before\":{END}")),
        line("slow", ",\"rate_limit\":\"one\""),
    ];
    let bytes = build(CONFIGURATION, KEYRING, &keys.concat(), stamp);
    Engine::from_bytes(bytes, keyring(KEYRING), options()).expect("it is good")
}

fn ask_at(engine: &Engine, id: &str, now: Option<u64>) -> Reason {
    let key = format!("secret-of-{id:0>16}");
    let headers = [("X-Key", key.as_str())];
    let now = now.map(Timestamp::from_seconds);
    engine.verify(&Request { now, ..Request::new("r", &headers[..]) }).reason()
}

fn ask(engine: &Engine, id: &str) -> Reason {
    ask_at(engine, id, None)
}

fn under_another_clock() {
    let end = END as f64;
    set(end - 10.0);
    let engine = engine(stamp(1));
    assert_eq!((ask(&engine, "ends"), ask(&engine, "begins")), (Reason::Ok, Reason::NotYetValid));
    set(end - 0.25);
    assert_eq!(ask(&engine, "ends"), Reason::Ok);
    set(end + 0.25);
    assert_eq!((ask(&engine, "ends"), ask(&engine, "begins")), (Reason::Expired, Reason::Ok));
    for back in [0.2, 0.3, 1.0, 3600.0, 1e9] {
        set(end - back);
        assert_eq!((ask(&engine, "ends"), ask(&engine, "begins")), (Reason::Expired, Reason::Ok), "{back}");
        let pinned = engine.pin();
        let headers = [("X-Key", "secret-of-000000000000ends")];
        assert_eq!(pinned.verify(&Request::new("r", &headers[..])).reason(), Reason::Expired);
        let batch = [Request::new("r", &headers[..])];
        let mut verdicts = Vec::new();
        pinned.verify_batch(&batch, &mut verdicts);
        assert!(verdicts.iter().all(|verdict| verdict.reason() == Reason::Expired));
        assert!(engine.now() >= Timestamp::from_seconds(END));
    }
    // A caller's own clock is the caller's.
    assert_eq!(ask_at(&engine, "ends", Some(END - 1)), Reason::Ok);
    // Rates go on being counted while the clock is behind: time passes all the same.
    assert_eq!((ask(&engine, "slow"), ask(&engine, "slow")), (Reason::Ok, Reason::RateLimited));
    let before = engine.now();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(engine.now() > before, "it does not stand still");
    // Another engine, another process: it knows what its own clock says.
    assert_eq!(ask(&self::engine(stamp(1)), "begins"), Reason::NotYetValid);

    // An age is held when the clock is set back, and when it is set forward and back again.
    let aged = Stamp { generation: 1, created: END, max_age: 100 };
    set(end + 99.5);
    let engine = self::engine(aged);
    assert_eq!(ask(&engine, "begins"), Reason::Ok);
    set(end + 101.5);
    assert_eq!(ask(&engine, "begins"), Reason::Unavailable);
    set(end + 50.0);
    assert_eq!(ask(&engine, "begins"), Reason::Unavailable);
    let age = engine.info().loaded.and_then(|loaded| loaded.age).expect("it was made at some time");
    assert!(age.as_secs() >= 101, "{age:?}");
    engine
        .replace({
            let bytes =
                build(CONFIGURATION, KEYRING, "", Stamp { generation: 2, created: END + 60, max_age: 100 });
            assert!(!bytes.is_empty());
            bytes
        })
        .expect("it is newer");
    assert_eq!(ask(&engine, "begins"), Reason::UnknownKey, "a newer snapshot is young enough");
}

#[test]
fn a_clock_that_is_set_back_revives_nothing() {
    if std::env::var_os(CLOCK).is_some() {
        return under_another_clock();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock");
    fs::create_dir_all(&folder).expect("there is room");
    let clock = folder.join("now");
    fs::write(&clock, format!("{END}\n")).expect("there is room");
    let output = Command::new(std::env::current_exe().expect("a test has a file"))
        .args(["--exact", "a_clock_that_is_set_back_revives_nothing", "--test-threads=1", "--nocapture"])
        .env(CLOCK, &clock)
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_FMT", "%s")
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("TZ", "UTC")
        .output()
        .expect("it can be started");
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
