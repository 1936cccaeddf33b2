//! What a state file has counted.

use crate::support::{Shop, assert_code, assert_refused, json, stdout};
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::request::Request;
use serde_json::{Value, json as value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Keys whose ids and tenants are as awkward as they may be.
const AWKWARD: &str = r#"{"realm":"shop","id":"a\"b\\c {x=\"y\"} é","key":"presented-key-0101","environment":"live"}
{"realm":"shop","id":"reader","key":"presented-key-0001","environment":"live"}
{"realm":"shop","id":"slow","key":"presented-key-0004","rate_limit":"slow","environment":"test"}
{"realm":"shop","id":"gone","key":"presented-key-0005","status":"revoked"}
"#;

/// A shop with a state file in which some requests were counted.
fn counted() -> Shop {
    let shop = Shop::new();
    shop.write("keys.jsonl", AWKWARD);
    assert_code(&shop.build([]), 0);
    let ask = |key: &str, more: &[&str], code: i32| {
        let header = format!("Authorization: Bearer {key}");
        let mut command =
            shop.command(["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop"]);
        command.args(["--now", "1764000000", "--state", "state", "-H", &header]).args(more);
        assert_code(&command.output().unwrap(), code);
    };
    ask("presented-key-0001", &["--repeat", "5"], 0);
    ask("presented-key-0101", &[], 0);
    ask("presented-key-0101", &["--environment", "test"], 1);
    ask("presented-key-0004", &["--repeat", "3"], 1);
    ask("presented-key-0005", &[], 1);
    ask("nobody-knows-this", &[], 1);
    shop
}

const AWKWARD_ID: &str = "a\"b\\c {x=\"y\"} é";

#[test]
fn requests_denials_and_last_use_are_told_for_people() {
    let shop = counted();
    let output = shop.run(["usage", "state"]);
    assert_code(&output, 0);
    let text = stdout(&output);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        &["shop", "ok", "7"][..],
        &["shop", "unknown_key", "1"],
        &["shop", "rate_limited", "2"],
        &["shop", "reader", "5", "0", "1764000000"],
        &["shop", "slow", "3", "2", "1764000000", "rate_limited", "2"],
        &["shop", "gone", "1", "1", "1764000000", "revoked", "1"],
    ] {
        assert!(rows.iter().any(|found| found == row), "{row:?} is not in {text}");
    }
    assert!(text.starts_with("12 requests since "), "{text}");
    assert!(text.contains("4 keys of at most 65536"), "{text}");
    assert!(text.contains(AWKWARD_ID), "{text}");
    let place = |id: &str| text.find(&format!("\nshop   {id} ")).unwrap();
    assert!(place("reader") < place("slow") && place("slow") < place("gone"), "{text}");
}

#[test]
fn programs_get_every_number() {
    let shop = counted();
    let report = |more: &[&str]| {
        let output = shop.command(["usage", "state", "--json"]).args(more).output().unwrap();
        assert_code(&output, 0);
        json(&output)
    };
    let ids = |report: &Value| -> Vec<String> {
        let keys = report["keys"].as_array().unwrap().iter();
        keys.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = report(&[]);
    assert_eq!(all["requests"], 12);
    assert_eq!(
        (&all["known_keys"], &all["slots"], &all["displaced"]),
        (&value!(4), &value!(65536), &value!(0))
    );
    assert_eq!(
        all["realms"],
        value!([{"realm": "shop", "requests": {
            "ok": 7, "unknown_key": 1, "revoked": 1, "wrong_environment": 1, "rate_limited": 2
        }}])
    );
    assert_eq!(ids(&all), ["reader", "slow", AWKWARD_ID, "gone"]);
    let slow = &all["keys"][1];
    assert_eq!((&slow["allowed"], &slow["denied"], &slow["requests"]), (&value!(1), &value!(2), &value!(3)));
    assert_eq!(slow["denials"], value!({"rate_limited": 2}));
    assert_eq!((&slow["last_use"], &slow["since"]), (&value!(1_764_000_000), &value!(1_764_000_000)));
    assert_eq!(ids(&report(&["--top", "1"])), ["reader"]);
    assert_eq!(ids(&report(&["--sort", "denials", "--top", "1"])), ["slow"]);
    assert_eq!(ids(&report(&["--sort", "name"])), [AWKWARD_ID, "gone", "reader", "slow"]);
    assert_eq!(ids(&report(&["--denied", "--sort", "name"])), [AWKWARD_ID, "gone", "slow"]);
    assert_eq!(ids(&report(&["--id", "re"])), ["reader"]);
    assert_eq!(ids(&report(&["--unused-since", "1764000000"])), [""; 0]);
    assert_eq!(ids(&report(&["--unused-since", "1764000001"])).len(), 4);
    assert_eq!(ids(&report(&["--realm", "shop"])).len(), 4);
    let other = report(&["--realm", "other"]);
    assert_eq!((ids(&other).len(), &other["realms"], &other["requests"]), (0, &value!([]), &value!(0)));
}

#[test]
fn what_was_served_last_is_told() {
    let shop = counted();
    let open = |going_back| {
        let keyring = Keyring::load(&shop.path("keyring.toml")).unwrap();
        let options = Options { state: Some(shop.path("state")), going_back, ..Options::default() };
        Engine::open(&shop.path("keys.kwd"), keyring, options)
    };
    let told = |more: &[&str]| {
        let output = shop.command(["usage", "state"]).args(more).output().unwrap();
        assert_code(&output, 0);
        output
    };
    let is_told = |generation: u64, moves_back: u64| {
        let report = json(&told(&["--json"]));
        let mark = value!({"realm": "shop", "generation": generation, "moves_back": moves_back});
        assert_eq!(report["served"], value!([mark]));
        let text = stdout(&told(&["--prometheus"]));
        for line in [
            format!("keyward_served_generation{{realm=\"shop\"}} {generation}"),
            format!("keyward_served_moves_back_total{{realm=\"shop\"}} {moves_back}"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        // The last section, behind the keys.
        let text = stdout(&told(&[]));
        let [.., "", heading, row] = *text.lines().collect::<Vec<_>>() else { panic!("{text}") };
        assert_eq!(heading, "realm  generation served  times moved back", "{text}");
        let row: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(row, ["shop", &generation.to_string(), &moves_back.to_string()], "{text}");
    };
    is_told(1, 0);
    assert_code(&shop.build([]), 0);
    is_told(1, 0);
    drop(open(false).unwrap());
    is_told(2, 0);
    assert_code(&shop.build(["--generation", "1", "--going-back"]), 0);
    assert!(open(false).is_err());
    is_told(2, 0);
    drop(open(true).unwrap());
    is_told(1, 1);
    // Also where no key is shown; but of no realm that was not asked for.
    assert!(stdout(&told(&["--id", "nobody"])).contains("times moved back"));
    assert!(!stdout(&told(&["--realm", "other"])).contains("times moved back"));
    assert_eq!(json(&told(&["--realm", "other", "--json"]))["served"], value!([]));
}

#[test]
fn prometheus_can_read_it() {
    let shop = counted();
    let output = shop.run(["usage", "state", "--prometheus"]);
    assert_code(&output, 0);
    let text = stdout(&output);
    let awkward = r#"realm="shop",key_id="a\"b\\c {x=\"y\"} é""#;
    for line in [
        "# TYPE keyward_requests_total counter",
        "keyward_requests_total{realm=\"shop\",reason=\"ok\"} 7",
        "keyward_requests_total{realm=\"shop\",reason=\"suspended\"} 0",
        "keyward_key_requests_total{realm=\"shop\",key_id=\"reader\"} 5",
        &format!("keyward_key_requests_total{{{awkward}}} 2"),
        &format!("keyward_key_denials_total{{{awkward},reason=\"wrong_environment\"}} 1"),
        "keyward_key_last_use_timestamp_seconds{realm=\"shop\",key_id=\"gone\"} 1764000000",
        "keyward_state_keys 4",
        "keyward_state_displaced_total 0",
        "# HELP keyward_served_generation The generation of a realm that was served last; no older one is served.",
        "# TYPE keyward_served_generation gauge",
        "keyward_served_generation{realm=\"shop\"} 1",
        "# TYPE keyward_served_moves_back_total counter",
        "keyward_served_moves_back_total{realm=\"shop\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    // Each metric is told of once, right before its samples; counters say so in their names.
    let mut metric = "";
    let mut seen = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(!seen.contains(&name), "{line}");
            seen.push(name);
            metric = name;
        } else if !line.starts_with("# HELP ") {
            let end = line.find(['{', ' ']).unwrap();
            assert_eq!(&line[..end], metric, "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<u64>().is_ok(), "{line}");
        }
    }
    assert_eq!(seen.len(), 11);
    assert_code(&shop.run(["usage", "state", "--prometheus", "--json"]), 2);
}

#[test]
fn a_file_in_use_can_be_looked_at() {
    let shop = counted();
    let keyring = Keyring::load(&shop.path("keyring.toml")).unwrap();
    let options = Options { state: Some(shop.path("state")), ..Options::default() };
    let engine = Engine::open(&shop.path("keys.kwd"), keyring, options).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let headers = [("Authorization", "Bearer presented-key-0001")];
            let end = Instant::now() + Duration::from_secs(60);
            while !done.load(Ordering::Relaxed) && Instant::now() < end {
                assert!(engine.verify(&Request::new("shop", &headers[..])).is_allowed());
            }
        });
        let end = Instant::now() + Duration::from_secs(30);
        let (mut last, mut rises) = (5, 0);
        while rises < 3 && Instant::now() < end {
            let output = shop.run(["usage", "state", "--json", "--id", "reader"]);
            assert_code(&output, 0);
            let requests = json(&output)["keys"][0]["requests"].as_u64().unwrap();
            assert!(requests >= last, "{requests} {last}");
            rises += u32::from(requests > last);
            last = requests;
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(rises, 3, "it stands still");
    });
}

#[test]
fn what_is_no_state_is_told() {
    let shop = counted();
    assert_refused(&shop.run(["usage", "nothing"]), 3, "nothing: No such file");
    assert_refused(&shop.run(["usage", "keys.kwd"]), 3, "is not a state file of keyward");
    std::fs::write(shop.path("short"), b"KEYWARD\x01").unwrap();
    assert_refused(&shop.run(["usage", "short"]), 3, "cannot be read: it has been cut short");
    shop.mode("state", 0o602);
    assert_refused(&shop.run(["usage", "state"]), 3, "mode 0602");
    let ask = shop.ask("verify", ["-H", "Authorization: Bearer presented-key-0001", "--state", "keys.jsonl"]);
    assert_refused(&ask, 3, "is not a state file of keyward");
}
