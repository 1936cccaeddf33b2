//! `keyward scan`: live keys in files, and never the key in what it prints.

use crate::support::{House, Kind, MANY, assert_code, assert_refused, key_text, on_both, stderr, stdout};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

on_both!(live_keys_are_found_wherever_they_stand);

/// What a scan of the folder `tree` says, which never is the secret of a key.
fn scan(house: &House, more: &[&str]) -> Output {
    let output = house.run(&[&["scan"], more].concat());
    for text in [stdout(&output), stderr(&output)] {
        for number in 0..10 {
            assert!(!text.contains(&key_text(number)[3..]), "{text}");
        }
    }
    output
}

fn live_keys_are_found_wherever_they_stand(kind: Kind) {
    let house = House::published(kind, 10);
    house.revoke(&mut house.store(), 3..4).unwrap();
    let tree = house.path("tree");
    fs::create_dir_all(tree.join("deep/.hidden")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(tree.join(name), bytes).unwrap();
    let root = tree.to_str().unwrap();
    write("clean.txt", b"sk_ is how keys begin; sk_0123 is too short");
    let clean = scan(&house, &[root]);
    assert_code(&clean, 0);
    assert!(stdout(&clean).contains("0 live keys"), "{}", stdout(&clean));

    write("revoked.txt", format!("old: {}\n", key_text(3)).as_bytes());
    write("unknown.txt", format!("never: {}\n", key_text(77)).as_bytes());
    let dead = scan(&house, &[root]);
    assert_code(&dead, 0);
    assert!(
        stdout(&dead).contains("revoked.txt:1: key key_3 of shop of acme (revoked)"),
        "{}",
        stdout(&dead)
    );
    assert!(stdout(&dead).contains("unknown.txt:1: looks like a key of shop"), "{}", stdout(&dead));

    write("config.env", format!("A=1\nKEY=\"{}\"\nB=2\n", key_text(1)).as_bytes());
    // Bytes of any kind around it, a file without lines, and letters that could belong to it.
    let binary = [&[0, 0xFF, 0xC3, b'\n', 0x80][..], key_text(2).as_bytes(), b"abcdef\0\n"].concat();
    write("deep/binary.bin", &binary);
    write("deep/.hidden/notes", format!("x{}y", key_text(4)).as_bytes());
    let mut large = vec![b'z'; (4 << 20) - (16 << 10) - 10];
    large.extend(key_text(5).as_bytes());
    large.extend(vec![b'\n'; 6 << 20]);
    large.extend(key_text(6).as_bytes());
    write("large", &large);
    let found = scan(&house, &[root]);
    assert_code(&found, 1);
    let text = stdout(&found);
    let expected = [
        "config.env:2: LIVE key key_1 of shop of acme (active)",
        "binary.bin:2: LIVE key key_2 ",
        "notes:1: LIVE key key_4 ",
        "large:1: LIVE key key_5 ",
        &format!("large:{}: LIVE key key_6 ", (6 << 20) + 1),
        "5 live keys, 1 revoked or expired, 1 unknown",
    ];
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }

    // The same from the snapshot, which knows nothing of the revocation before it is published.
    let snapshot = house.snapshot();
    let from_snapshot = scan(&house, &["--snapshot", snapshot.to_str().unwrap(), root]);
    assert_code(&from_snapshot, 1);
    assert!(stdout(&from_snapshot).contains("6 live keys, 0 revoked"), "{}", stdout(&from_snapshot));
    assert_code(&house.publish(["--full"]), 0);
    let from_snapshot = scan(&house, &["--snapshot", snapshot.to_str().unwrap(), root]);
    assert!(stdout(&from_snapshot).contains("5 live keys, 1 revoked"), "{}", stdout(&from_snapshot));

    // What git passes over is passed over, but for what is named.
    fs::create_dir(tree.join(".git")).unwrap();
    write(".gitignore", b"config.env\nlarge\ndeep/\n");
    write(".git/config", key_text(1).as_bytes());
    assert_code(&scan(&house, &[root]), 0);
    assert_code(&scan(&house, &[tree.join("config.env").to_str().unwrap()]), 1);
    assert_code(&scan(&house, &["--no-ignore", root]), 1);
}

#[test]
fn standard_input_is_looked_through() {
    let house = House::published(Kind::Sqlite, 2);
    let mut child = house.command(&["scan", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    let text = format!("one\ntwo {}\n", key_text(1));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["line"], 2);
    assert_eq!(
        (&found["id"], &found["live"], &found["state"]),
        (&"key_1".into(), &true.into(), &"active".into())
    );
    assert!(!stdout(&output).contains(&key_text(1)));
}

#[test]
fn pairs_are_found_in_both_forms() {
    let house = House::published(Kind::Sqlite, 0);
    let secret = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE";
    let pair = format!("someone:{secret}");
    house.add_pair(&mut house.store(), "pair_1", &pair);
    let leak = house.path("leak");
    let found_in = |text: &str| {
        fs::write(&leak, text).unwrap();
        let output = house.run(&["scan", leak.to_str().unwrap()]);
        let text = stdout(&output);
        assert!(!text.contains("someone") && !text.contains(secret), "{text}");
        (output.status.code(), text.contains("LIVE key pair_1"))
    };
    assert_eq!(found_in(&format!("curl -u '{pair}' https://example.com")), (Some(1), true));
    assert_eq!(found_in(&format!("https://{pair}@example.com/")), (Some(1), true));
    let encoded = STANDARD.encode(&pair);
    assert_eq!(found_in(&format!("authorization: basic {encoded}\r\n")), (Some(1), true));
    assert_eq!(
        found_in(&format!("somebody:{secret} Basic {}", STANDARD.encode("someone:else"))),
        (Some(0), false)
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let house = House::published(Kind::Sqlite, 2);
    assert_refused(&house.run(&["scan", house.path("nothing").to_str().unwrap()]), 3, "nothing");
    fs::write(house.path("leak"), key_text(1)).unwrap();
    let both =
        house.run(&["scan", house.path("nothing").to_str().unwrap(), house.path("leak").to_str().unwrap()]);
    assert_code(&both, 1);
}

/// As servers do: it is what a killed publisher leaves, and all that it says is in the snapshot.
#[test]
fn a_delta_of_an_earlier_snapshot_is_passed_over() {
    let house = House::published(Kind::Sqlite, MANY);
    house.revoke(&mut house.store(), 1..2).unwrap();
    assert_code(&house.publish([]), 0);
    let (delta, kept) = (house.path("keys.kwd.delta"), house.path("kept"));
    fs::copy(&delta, &kept).unwrap();
    assert_code(&house.publish(["--full"]), 0);
    fs::rename(&kept, &delta).unwrap();
    fs::write(house.path("leak"), key_text(2)).unwrap();
    let (snapshot, leak) = (house.snapshot(), house.path("leak"));
    let found = scan(&house, &["--snapshot", snapshot.to_str().unwrap(), leak.to_str().unwrap()]);
    assert_code(&found, 1);
    assert!(stdout(&found).contains("LIVE key key_2 of shop of acme"), "{}", stdout(&found));
}
