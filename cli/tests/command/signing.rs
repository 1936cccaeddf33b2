//! Signing keys: made, handed to servers, rotated, and what is refused without them.

use crate::support::{KEY, Shop, assert_code, assert_refused, json, stderr, stdout};
use keyward::keyring::Keyring;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What the signing keys of a keyring are called.
fn names(shop: &Shop, keyring: &str) -> Vec<String> {
    let keyring = Keyring::load(&shop.path(keyring)).unwrap();
    keyring.public_keys().iter().map(|key| key.fingerprint().to_string()).collect()
}

fn ask(shop: &Shop, keyring: &str) -> std::process::Output {
    let header = format!("Authorization: Bearer {KEY}");
    shop.run([
        "verify",
        "keys.kwd",
        "--keyring",
        keyring,
        "--realm",
        "shop",
        "--now",
        "1764000000",
        "-H",
        &header,
    ])
}

fn server(shop: &Shop, output: &str) {
    assert_code(&shop.run(["keyring", "server", "--keyring", "keyring.toml", "-o", output]), 0);
}

fn build_with(shop: &Shop, keyring: &str) -> std::process::Output {
    shop.run([
        "build",
        "--config",
        "keyward.toml",
        "--keyring",
        keyring,
        "--keys",
        "keys.jsonl",
        "-o",
        "keys.kwd",
    ])
}

#[test]
fn one_keyring_signs_and_another_verifies() {
    let shop = Shop::new();
    server(&shop, "server.toml");
    let text = shop.read("server.toml");
    assert!(
        !text.contains("PRIVATE KEY") && text.contains("PUBLIC KEY") && text.contains("kid = \"k1\""),
        "{text}"
    );
    assert_eq!(fs::metadata(shop.path("server.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = shop.run(["keyring", "server", "--keyring", "keyring.toml", "-o", "server.toml"]);
    assert_refused(&again, 3, "never overwritten");
    let built = json(&shop.build(["--json"]));
    assert_eq!(built["signed_by"], json!(names(&shop, "keyring.toml")));
    for keyring in ["keyring.toml", "server.toml"] {
        assert_code(&ask(&shop, keyring), 0);
    }
    // The servers' one cannot publish, and nothing is.
    let before = fs::read(shop.path("keys.kwd")).unwrap();
    assert_refused(&build_with(&shop, "server.toml"), 3, "build with the publisher's keyring");
    assert_eq!(fs::read(shop.path("keys.kwd")).unwrap(), before);
    // A keyring without one has nothing for servers.
    let plain = text.split("[[signing_key]]").next().unwrap().to_owned();
    shop.write("plain.toml", &plain);
    shop.mode("plain.toml", 0o600);
    let none = shop.run(["keyring", "server", "--keyring", "plain.toml", "-o", "none.toml"]);
    assert_refused(&none, 3, "it has no signing key");
    assert!(!shop.path("none.toml").exists());
    // What it builds is not signed: whoever asks for nobody's signature takes it, others do not.
    assert!(stdout(&build_with(&shop, "plain.toml")).contains("generation 2, not signed;"));
    assert_code(&ask(&shop, "plain.toml"), 0);
    assert_refused(&ask(&shop, "server.toml"), 3, "the snapshot is not signed");
}

#[test]
fn inspect_says_who_signed_it() {
    let shop = Shop::open();
    server(&shop, "server.toml");
    assert_code(&shop.run(["keyring", "new", "-o", "other.toml"]), 0);
    let (ours, theirs) = (names(&shop, "keyring.toml"), names(&shop, "other.toml"));
    let inspect = |more: &[&str]| shop.run([&["inspect", "keys.kwd", "--now", "1764000000"], more].concat());
    let found = json(&inspect(&["--json"]));
    assert_eq!(
        found["signatures"],
        json!([{ "generation": 1, "key": ours[0], "good": true, "accepted": null }])
    );
    assert_eq!(found["accepted"], Value::Null);
    assert!(
        stdout(&inspect(&[])).contains(&format!("signed by      {}", ours[0])),
        "{}",
        stdout(&inspect(&[]))
    );

    let taken = inspect(&["--keyring", "server.toml"]);
    assert_code(&taken, 0);
    assert!(stdout(&taken).contains("takes it"));
    let refused = inspect(&["--keyring", "other.toml"]);
    assert_code(&refused, 1);
    let text = stdout(&refused);
    assert!(text.contains("REFUSES it") && text.contains(&ours[0]) && text.contains(&theirs[0]), "{text}");
    let found = json(&inspect(&["--keyring", "other.toml", "--json"]));
    assert_eq!((&found["accepted"], &found["signatures"][0]["accepted"]), (&false.into(), &false.into()));

    // A signature that is damaged; everything else is whole.
    let mut bytes = fs::read(shop.path("keys.kwd")).unwrap();
    bytes[3150] ^= 1;
    fs::remove_file(shop.path("keys.kwd")).unwrap();
    fs::write(shop.path("keys.kwd"), bytes).unwrap();
    assert_eq!(json(&inspect(&["--json"]))["signatures"][0]["good"], false);
    let refused = inspect(&["--keyring", "server.toml"]);
    assert_code(&refused, 1);
    assert!(stdout(&refused).contains("is not good"));
    assert_refused(&ask(&shop, "server.toml"), 3, "is not good");
}

#[test]
fn a_key_is_rotated() {
    let shop = Shop::open();
    server(&shop, "old.toml");
    let added = shop.run(["keyring", "signing-key"]);
    assert_code(&added, 0);
    assert_eq!(stderr(&added), "");
    let text = shop.read("keyring.toml");
    shop.write("keyring.toml", &(text.clone() + &stdout(&added)));
    server(&shop, "both.toml");
    let both = names(&shop, "both.toml");
    assert_eq!(both.len(), 2);
    assert_eq!(both[..1], names(&shop, "old.toml"));
    assert_code(&shop.build([]), 0);
    for keyring in ["old.toml", "both.toml", "keyring.toml"] {
        assert_code(&ask(&shop, keyring), 0);
    }
    // The old one goes.
    let (before, after) = text.split_once("[[signing_key]]").unwrap();
    let rest = after.split_once("-----END PRIVATE KEY-----\n\"\"\"").unwrap().1;
    shop.write("keyring.toml", &format!("{before}{rest}{}", stdout(&added)));
    server(&shop, "new.toml");
    assert_eq!(names(&shop, "new.toml"), both[1..]);
    assert_code(&shop.build([]), 0);
    assert_code(&ask(&shop, "both.toml"), 0);
    assert_code(&ask(&shop, "new.toml"), 0);
    let refused = ask(&shop, "old.toml");
    assert_refused(&refused, 3, &format!("is signed by {}", both[1]));
    assert_refused(&refused, 3, &format!("only what {} has signed", both[0]));
}
