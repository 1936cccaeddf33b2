//! What a verify of a key asks of the process and the system: no memory and no call.

use allocation_counter::{AllocationInfo, measure};
use keyward::engine::{Engine, Options};
use keyward::reason::Reason;
use keyward::request::{Peer, Request};
use keyward::time::Timestamp;
use keyward_testkit::{
    BAD, CONFIGURATION, GOOD, KEYRING, NOW, build, delta, engine, keyring, options, request, snapshot, stamp,
};
use serde_json::Value;
use std::fs;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::Command;

/// Allocations that these verifies make, once this thread has verified before: the first load of a thread
/// makes its place in arc-swap's list of readers.
fn allocations(engine: &Engine, requests: &[Request<'_, [(&str, &str)]>]) -> (AllocationInfo, Vec<Reason>) {
    let _ = engine.verify(&Request::new("shop", &[][..] as &[(&str, &str)]));
    let mut reasons = Vec::with_capacity(requests.len());
    let counted = measure(|| reasons.extend(requests.iter().map(|request| engine.verify(request).reason())));
    (counted, reasons)
}

/// An engine over the fixture with a state file of its own.
fn with_state(name: &str, slots: usize) -> Engine {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot-path");
    fs::create_dir_all(&folder).expect("there is room");
    let path = folder.join(name);
    let _ = fs::remove_file(&path);
    let options = Options { state: Some(path), state_slots: slots, ..options() };
    Engine::from_bytes(snapshot(), keyring(KEYRING), options).expect("the snapshot and the state are good")
}

/// An engine over the fixture with its delta.
fn with_delta() -> Engine {
    let engine = engine(snapshot());
    engine.apply(delta()).expect("it is one on the fixture");
    engine
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);
}

#[test]
fn a_key_is_decided_without_an_allocation() {
    use Reason::{
        AmbiguousCredential, AmbiguousPath, InsufficientScope, MalformedCredential, MissingCredential, Ok,
        RateLimited, RouteNotAllowed,
    };
    for (now, engine) in [None, Some(Timestamp::from_seconds(NOW))].into_iter().flat_map(|now| {
        [(now, engine(snapshot())), (now, with_state("allocations", 64)), (now, with_delta())]
    }) {
        let changed: (&str, &[_]) = ("shop", &[("Authorization", "Bearer sk_test_0000000000000015")]);
        for (realm, headers) in GOOD.into_iter().chain(BAD).chain([changed]) {
            let (counted, reasons) = allocations(&engine, &[Request { now, ..request(realm, headers) }]);
            assert_eq!(counted.count_total, 0, "{realm} {headers:?}: {reasons:?}");
        }
    }
    // Scopes of a key of the delta, which have numbers of their own.
    let headers = [("X-Forwarded-For", "203.0.113.9"), ("Authorization", "Bearer sk_test_0000000000000015")];
    for (scopes, expected) in [(&["admin", "parcels:read"], Ok), (&["admin", "read"], InsufficientScope)] {
        let asked = Request { path: Some(b"/orders/7"), scopes, ..request("shop", &headers) };
        let (counted, reasons) = allocations(&with_delta(), &[asked]);
        assert_eq!((counted.count_total, reasons), (0, vec![expected]));
    }
    // Routes, a missing scope of the route and of the caller, a rate limit, a folded header, a long
    // credential, an escaped path.
    let key = [("Authorization", "Bearer sk_live_0000000000000001")];
    let slow = [("Authorization", "Bearer sk_live_0000000000000004")];
    let doubled = [key[0], key[0]];
    let long = "x".repeat(100_000);
    let long_key = [("Authorization", long.as_str())];
    let long_bearer = format!("Bearer {long}");
    let long_bearer = [("authorization", long_bearer.as_str())];
    let aliased = [("X_Key", "a"), ("X-Key", "b"), ("X-Tenant", "t")];
    let with = |path: &'static [u8], headers| Request { path: Some(path), ..request("shop", headers) };
    let cases = [
        (Request { method: Some(b"GET"), ..with(b"/orders", &key) }, Ok),
        (Request { method: Some(b"HEAD"), ..with(b"/%6Frders?x=%", &key) }, Ok),
        (with(b"/health", &[]), Ok),
        (with(b"/nowhere", &key), RouteNotAllowed),
        (with(b"/a//b", &key), AmbiguousPath),
        (with(b"/%", &key), AmbiguousPath),
        (with(b"/orders/7", &key), InsufficientScope),
        (Request { scopes: &["orders:read", "more"], ..request("shop", &key) }, InsufficientScope),
        (Request { scopes: &["orders:read"], ..request("shop", &key) }, Ok),
        (request("shop", &slow), Ok),
        (request("shop", &slow), RateLimited),
        (request("shop", &doubled), AmbiguousCredential),
        (request("shop", &long_key), MissingCredential),
        (request("shop", &long_bearer), MalformedCredential),
        (request("files", &aliased), AmbiguousCredential),
        (Request { peer: Peer::Unix, ..request("shop", &key) }, Ok),
    ];
    for engine in [engine(snapshot()), with_state("cases", 64)] {
        for (request, expected) in &cases {
            let (counted, reasons) = allocations(&engine, std::slice::from_ref(request));
            assert_eq!(reasons, [*expected]);
            assert_eq!(counted.count_total, 0, "{expected:?}");
        }
    }
}

#[test]
fn the_table_of_limits_does_not_grow() {
    let keys: String = (0..500)
        .map(|at| format!("{{\"realm\":\"shop\",\"id\":\"k{at}\",\"key\":\"sk_live_{at:016x}\",\"environment\":\"live\"}}\n"))
        .collect();
    let engine = Engine::from_bytes(
        build(CONFIGURATION, KEYRING, &keys, stamp(1)),
        keyring(KEYRING),
        Options { limiter_slots: 16, ..options() },
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("full.state");
    let _ = fs::remove_file(&path);
    let shared = Engine::from_bytes(
        build(CONFIGURATION, KEYRING, &keys, stamp(1)),
        keyring(KEYRING),
        Options { state: Some(path), state_slots: 16, ..options() },
    );
    let credentials: Vec<String> = (0..500).map(|at| format!("Bearer sk_live_{at:016x}")).collect();
    let headers: Vec<[(&str, &str); 1]> =
        credentials.iter().map(|text| [("Authorization", text.as_str())]).collect();
    let requests: Vec<_> = headers.iter().map(|headers| request("shop", headers)).collect();
    for engine in [engine, shared] {
        let engine = engine.expect("it is good");
        let (counted, reasons) = allocations(&engine, &requests);
        assert!(reasons.iter().all(|reason| *reason == Reason::Ok));
        assert_eq!(counted.count_total, 0);
        assert!(engine.info().limiter_displaced > 0, "the table was full");
    }
}

/// Every request of the vectors whose realm takes no token, whatever becomes of it.
#[test]
fn no_request_of_the_vectors_allocates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    let (mut measured, mut realms) = (0, std::collections::BTreeSet::new());
    for file in fs::read_dir(folder).expect("the vectors are beside the code") {
        let path = file.expect("it is readable").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vectors: Value =
            serde_json::from_slice(&fs::read(&path).expect("it is readable")).expect("it is JSON");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(configuration), Some(secrets)) = (text(&vectors["config"]), text(&vectors["keyring"]))
        else {
            panic!("{} has a configuration and a keyring", path.display());
        };
        let keys: String =
            vectors["keys"].as_array().into_iter().flatten().map(|key| format!("{key}\n")).collect();
        let engine = Engine::from_bytes(
            build(&configuration, &secrets, &keys, stamp(1)),
            keyring(&secrets),
            options(),
        );
        let engine = engine.expect("the vectors' snapshot is good");
        let with_tokens = |realm: &str| {
            configuration.split("\n[realm.").any(|table| {
                table.trim_start_matches("[realm.").starts_with(&format!("{realm}.credential."))
                    && table.contains("kind = \"token\"")
            })
        };
        for case in vectors["cases"].as_array().into_iter().flatten() {
            let request = &case["request"];
            let realm = request["realm"].as_str().expect("a request names its realm");
            if with_tokens(realm) {
                continue;
            }
            let latin1 = |value: &Value| -> Vec<u8> {
                value
                    .as_str()
                    .unwrap_or_default()
                    .chars()
                    .map(|c| u8::try_from(u32::from(c)).expect("it is Latin-1"))
                    .collect()
            };
            let headers: Vec<(Vec<u8>, Vec<u8>)> = request["headers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| (latin1(&field[0]), latin1(&field[1])))
                .collect();
            let scopes: Vec<&str> =
                request["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let bytes = |name: &str| request[name].as_str().map(str::as_bytes);
            let ready = Request {
                method: bytes("method"),
                path: bytes("path"),
                host: bytes("host"),
                peer: request["ip"].as_str().map_or(Peer::Unknown, |ip| Peer::parse(ip.as_bytes())),
                tls: request["tls"].as_bool().unwrap_or(true),
                environment: request["environment"].as_str(),
                scopes: &scopes,
                now: case["now"].as_u64().map(Timestamp::from_seconds),
                ..Request::new(realm, headers.as_slice())
            };
            let _ = engine.verify(&ready);
            let counted = measure(|| drop(engine.verify(&ready)));
            // Only a path of more than 2048 bytes with escapes in it has to be written somewhere else.
            let long = ready.path.is_some_and(|path| path.len() > 2048);
            assert!(counted.count_total == 0 || long, "{}: {}", path.display(), case["name"]);
            measured += 1;
            realms.insert(realm.to_owned());
        }
    }
    assert!(measured > 300 && realms.len() > 30, "{measured} requests of {} realms", realms.len());
}

/// Whether this process is the one that runs under strace.
const TRACED: &str = "KEYWARD_TEST_TRACED";

/// The test runs itself once more, under strace. There it decides between two calls of `getppid`, which
/// nothing else calls, and here it looks at what stands between them.
#[test]
fn a_key_is_decided_without_a_system_call() {
    if std::env::var_os(TRACED).is_some() {
        return decide_between_marks();
    }
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot-path.strace");
    let traced = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().expect("a test has a file"))
        .args(["--exact", "a_key_is_decided_without_a_system_call", "--test-threads=1", "--nocapture"])
        .env(TRACED, "1")
        .output();
    let traced = match traced {
        Ok(output) => output,
        Err(error) => panic!("strace: {error}. Install it: scripts/setup.sh, or apt-get install strace"),
    };
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let log = fs::read_to_string(log).expect("strace wrote it");
    let calls: Vec<(&str, &str)> =
        log.lines().filter_map(|line| line.split_once(char::is_whitespace)).collect();
    let is_mark = |call: &str| call.trim_start().starts_with("getppid(");
    let thread =
        calls.iter().find(|(_, call)| is_mark(call)).map(|(thread, _)| *thread).expect("there are marks");
    // Where another thread's call comes in between, strace tells the end of a mark on a line of its own.
    let own: Vec<&str> = (calls.iter())
        .filter(|(from, _)| *from == thread)
        .map(|(_, call)| call.trim_start())
        .filter(|call| !call.starts_with("<... getppid resumed>"))
        .collect();
    let marks: Vec<usize> =
        own.iter().enumerate().filter(|(_, call)| is_mark(call)).map(|(at, _)| at).collect();
    // Two around a call that strace must see, and two around the verifies.
    let [opened, closed, first, last] = marks[..] else { panic!("{} marks, not four", marks.len()) };
    assert!(closed > opened + 1, "strace does not see what lies between marks");
    assert_eq!(own[first + 1..last], [""; 0], "a verify asks the system");
}

fn decide_between_marks() {
    let engines = [engine(snapshot()), with_state("marks", 64)];
    let cases: Vec<_> = GOOD.into_iter().chain(BAD).collect();
    let slow = [("Authorization", "Bearer sk_live_0000000000000004")];
    let mut requests: Vec<_> = cases.iter().map(|(realm, headers)| request(realm, headers)).collect();
    requests.extend([request("shop", &slow), request("shop", &slow)]);
    let key = [("Authorization", "Bearer sk_live_0000000000000001")];
    requests.push(Request { path: Some(b"/orders/7"), ..request("shop", &key) });
    requests.push(Request { path: Some(b"/%6frders"), method: None, ..request("shop", &key) });
    let coarse = cases.iter().map(|(realm, headers)| Request { now: None, ..request(realm, headers) });
    requests.extend(coarse);

    let _ = parent_id();
    let _ = fs::metadata("/");
    let _ = parent_id();
    engines.iter().for_each(|engine| drop(engine.verify(&requests[0])));
    let mut allowed = 0;
    let _ = parent_id();
    for engine in [0, 1].into_iter().cycle().take(2000).filter_map(|at: usize| engines.get(at)) {
        allowed += requests.iter().filter(|request| engine.verify(request).is_allowed()).count();
    }
    let _ = parent_id();
    assert!(allowed > 2000 * GOOD.len());
}
