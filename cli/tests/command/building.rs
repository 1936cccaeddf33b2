//! Keyrings and builds: what comes out, and what is refused with nothing published.

use crate::support::{CONFIGURATION, KEY, KEYS, Shop, assert_code, assert_refused, json, stderr, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_new_keyring_is_private_and_takes_no_others_place() {
    let shop = Shop::new();
    assert_code(&shop.run(["keyring", "new", "-o", "new.toml"]), 0);
    assert_eq!(fs::metadata(shop.path("new.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read(shop.path("new.toml")).unwrap();
    assert_refused(&shop.run(["keyring", "new", "-o", "new.toml"]), 3, "never overwritten");
    assert_eq!(fs::read(shop.path("new.toml")).unwrap(), text);
    assert_refused(&shop.run(["keyring", "new", "-o", "nowhere/new.toml"]), 3, "nowhere/new.toml");
}

#[test]
fn a_build_in_a_pipe_says_one_line_and_nothing_else() {
    let shop = Shop::new();
    let built = shop.build([]);
    assert_code(&built, 0);
    assert_eq!(stderr(&built), "");
    let line = stdout(&built);
    assert_eq!(line.lines().count(), 1);
    assert!(line.starts_with("keys.kwd: 6 keys, 1 realm, "), "{line}");
    assert!(line.contains("generation 1, signed by "), "{line}");
}

#[test]
fn a_build_tells_programs_what_it_published() {
    let shop = Shop::new();
    let built = json(&shop.build(["--json"]));
    assert_eq!((&built["keys"], &built["realms"]), (&6.into(), &1.into()));
    assert_eq!(built["bytes"], fs::metadata(shop.path("keys.kwd")).unwrap().len());
    assert_eq!((&built["generation"], &built["replaced"]), (&1.into(), &serde_json::Value::Null));
    assert!(built["created"].is_null() && built["max_age"].is_null());
    let built = json(&shop.build(["--json", "--created", "1700000000", "--max-age", "2h"]));
    assert_eq!((&built["generation"], &built["replaced"]), (&2.into(), &1.into()));
    assert_eq!((&built["created"], &built["max_age"]), (&1_700_000_000.into(), &7200.into()));
    // The snapshot is long past its age, by the clock as by this time.
    assert_refused(&shop.ask("verify", ["-H", "Authorization: Bearer x"]), 3, "max_age");
    let built = json(&shop.build(["--json", "--max-age", "1h"]));
    assert!(built["created"].as_u64().unwrap() > 1_764_000_000, "{built}");
    let built =
        shop.command(crate::support::BUILD).arg("--json").env("SOURCE_DATE_EPOCH", "1234567890").output();
    assert_eq!(json(&built.unwrap())["created"], 1_234_567_890);
}

#[test]
fn the_same_keys_give_the_same_bytes() {
    let shop = Shop::new();
    let mut lines: Vec<String> = (0..20_000)
        .map(|n| {
            format!(
                r#"{{"realm":"shop","id":"k{n}","key":"made-{n}","tenant":"t{}","scopes":["s{}"]}}"#,
                n % 70,
                n % 9
            )
        })
        .collect();
    shop.write("keys.jsonl", &lines.join("\n"));
    assert_code(&shop.build(["--generation", "7", "--threads", "1"]), 0);
    let first = fs::read(shop.path("keys.kwd")).unwrap();
    lines.reverse();
    lines.rotate_left(777);
    shop.write("keys.jsonl", &lines.join("\n"));
    for threads in ["1", "2", "5"] {
        assert_code(&shop.build(["--generation", "7", "--going-back", "--threads", threads]), 0);
        assert!(fs::read(shop.path("keys.kwd")).unwrap() == first, "with {threads} threads");
    }
    fs::remove_file(shop.path("keys.kwd")).unwrap();
    assert_code(&shop.build_from_input(KEYS), 0);
    let piped = fs::read(shop.path("keys.kwd")).unwrap();
    fs::remove_file(shop.path("keys.kwd")).unwrap();
    shop.write("keys.jsonl", KEYS);
    assert_code(&shop.build([]), 0);
    assert!(fs::read(shop.path("keys.kwd")).unwrap() == piped);
}

#[test]
fn generations_go_back_only_when_asked() {
    let shop = Shop::new();
    assert_code(&shop.build(["--generation", "5"]), 0);
    for generation in ["5", "4"] {
        assert_refused(&shop.build(["--generation", generation]), 3, "generation 5");
    }
    assert_code(&shop.build(["--generation", "4", "--going-back"]), 0);
    let built = json(&shop.build(["--json"]));
    assert_eq!((&built["generation"], &built["replaced"]), (&5.into(), &4.into()));
    assert_refused(&shop.build(["--generation", "0"]), 2, "--generation");
}

#[test]
fn bad_lines_are_named_and_nothing_is_published() {
    let shop = Shop::open();
    let before = fs::read(shop.path("keys.kwd")).unwrap();
    let bad = [
        (r#"{"realm":"shop","id":"new""#, "keys.jsonl:7: "),
        (r#"{"realm":"shopp","id":"new","key":"a-new-key"}"#, "did you mean \"shop\"?"),
        (r#"{"realm":"shop","id":"new","key":"presented-key-0001"}"#, "\"reader\""),
        (r#"{"realm":"shop","id":"reader","key":"a-new-key"}"#, "line 1"),
        (r#"{"realm":"shop","id":"new","key":"a-new-key","rate_limit":"slwo"}"#, "slow"),
        ("\u{feff}", "keys.jsonl:7: "),
    ];
    for (line, message) in bad {
        shop.write("keys.jsonl", &format!("{KEYS}{line}\n"));
        let refused = shop.build([]);
        assert_refused(&refused, 3, message);
        assert!(stderr(&refused).contains("keys.jsonl:7:"), "{}", stderr(&refused));
        assert!(!stderr(&refused).contains(KEY) && !stderr(&refused).contains("a-new-key"));
        assert_eq!(stdout(&refused), "");
        assert!(fs::read(shop.path("keys.kwd")).unwrap() == before);
    }
    let refused = shop.build_from_input("{}");
    assert_refused(&refused, 3, "standard input:1: ");
    fs::remove_file(shop.path("keys.kwd")).unwrap();
    assert_code(&shop.build([]), 3);
    assert!(!shop.path("keys.kwd").exists());
}

#[test]
fn bad_configurations_and_places_are_named() {
    let shop = Shop::new();
    shop.write("keyward.toml", &CONFIGURATION.replace("require_tls", "requier_tls"));
    assert_refused(&shop.build([]), 3, "did you mean \"require_tls\"?");
    assert_refused(&shop.build([]), 3, "keyward.toml:5: ");
    shop.write("keyward.toml", &CONFIGURATION.replace("realm.shop", "realm.store"));
    assert_refused(&shop.build([]), 3, "unknown realm \"shop\"");
    fs::remove_file(shop.path("keyward.toml")).unwrap();
    assert_refused(&shop.build([]), 3, "keyward.toml: ");
    shop.write("keyward.toml", CONFIGURATION);
    assert_refused(&shop.build(["-o", "nowhere/keys.kwd"]), 2, "--output");
    let elsewhere = crate::support::BUILD
        .map(|argument| if argument == "keys.kwd" { "nowhere/keys.kwd" } else { argument });
    assert_refused(&shop.run(elsewhere), 3, "nowhere: ");
    // What is no snapshot is not replaced by chance.
    shop.write("keys.kwd", "not a snapshot");
    assert_refused(&shop.build([]), 3, "keys.kwd: ");
    assert_eq!(fs::read(shop.path("keys.kwd")).unwrap(), b"not a snapshot");
    assert_code(&shop.build(["--generation", "1"]), 0);
    fs::remove_file(shop.path("keys.jsonl")).unwrap();
    assert_refused(&shop.build([]), 3, "keys.jsonl: ");
}

#[test]
fn keyrings_that_will_not_do_are_refused_everywhere() {
    let shop = Shop::open();
    let keyring = fs::read_to_string(shop.path("keyring.toml")).unwrap();
    let both = |message: &str| {
        assert_refused(&shop.build([]), 3, message);
        assert_refused(&shop.ask("verify", ["-H", "Authorization: Bearer x"]), 3, message);
    };
    for mode in [0o640, 0o604, 0o660] {
        shop.mode("keyring.toml", mode);
        both("chmod 600");
    }
    shop.mode("keyring.toml", 0o600);
    shop.write("keyring.toml", &keyring[keyring.rfind("[[token_key]]").unwrap()..]);
    both("pepper");
    shop.write("keyring.toml", &keyring.replace("[[pepper]]\nid = 1", "[[pepper]]\nid = 2"));
    assert_refused(&shop.ask("explain", []), 3, "no pepper with id 1");
    fs::remove_file(shop.path("keyring.toml")).unwrap();
    both("keyring.toml");
    assert_code(&shop.run(["keyring", "new", "-o", "keyring.toml"]), 0);
    assert_refused(&shop.ask("verify", []), 3, "the snapshot is signed by ");
    // With the right signing key, and another pepper.
    let other = shop.read("keyring.toml");
    let (pepper, signing) =
        (other.find("[[signing_key]]").unwrap(), keyring.find("[[signing_key]]").unwrap());
    shop.write("keyring.toml", &(other[..pepper].to_owned() + &keyring[signing..]));
    assert_refused(&shop.ask("verify", []), 3, "not the one that the snapshot's digests were made with");
}
