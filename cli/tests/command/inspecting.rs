//! Inspect: what is in a snapshot, and which part of a damaged one is.

use crate::support::{Shop, assert_code, assert_refused, json, stderr, stdout};
use keyward::format::header::Header;
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_snapshot_is_told_in_full_without_a_keyring() {
    let shop = Shop::open();
    fs::remove_file(shop.path("keyring.toml")).unwrap();
    let output = shop.run(["inspect", "keys.kwd", "--json", "--now", "1764000000", "--expiring", "10"]);
    assert_code(&output, 0);
    let found = json(&output);
    assert_eq!((&found["ok"], &found["keys"], &found["generation"]), (&true.into(), &6.into(), &1.into()));
    assert_eq!((&found["version"], &found["realms"]), (&"1.1".into(), &json!(["shop"])));
    assert_eq!(found["bytes"], fs::metadata(shop.path("keys.kwd")).unwrap().len());
    let sections = found["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 11);
    assert!(sections.iter().all(|section| section["hash_ok"] == true));
    assert_eq!(
        found["counts"],
        json!([
            { "realm": "shop", "environment": null, "active": 2, "suspended": 0, "revoked": 1, "pending": 0 },
            { "realm": "shop", "environment": "live", "active": 2, "suspended": 0, "revoked": 0, "pending": 0 },
            { "realm": "shop", "environment": "test", "active": 1, "suspended": 0, "revoked": 0, "pending": 0 },
        ])
    );
    assert_eq!(found["expired"], 1);
    assert_eq!(found["expiring"]["keys"], 1);
    assert_eq!(
        found["expiring"]["soonest"],
        json!([{ "realm": "shop", "id": "writer", "expires_at": 1_764_864_000 }])
    );
    let longest = found["longest_displacement"].as_u64().unwrap() as f64;
    let mean = found["mean_displacement"].as_f64().unwrap();
    assert!(mean <= longest && found["load"].as_f64().unwrap() <= 1.0, "{found}");
    let text = stdout(&shop.run(["inspect", "keys.kwd", "--now", "1764000000"]));
    assert!(text.contains("expired: 1; within 30 days: 2"), "{text}");
    assert!(text.contains("writer  at 1764864000, in 10 days"), "{text}");
}

#[test]
fn the_soonest_to_expire_are_named_first() {
    let shop = Shop::new();
    let lines: String = (0..25)
        .map(|n| {
            format!(
                "{{\"realm\":\"shop\",\"id\":\"k{n}\",\"key\":\"made-{n}\",\"expires_at\":{}}}\n",
                1_764_000_100 + (n * 7) % 25
            )
        })
        .collect();
    shop.write("keys.jsonl", &lines);
    assert_code(&shop.build([]), 0);
    let found = json(&shop.run(["inspect", "keys.kwd", "--json", "--now", "1764000000"]));
    assert_eq!(found["expiring"]["keys"], 25);
    let soonest = found["expiring"]["soonest"].as_array().unwrap();
    let times: Vec<_> = soonest.iter().map(|key| key["expires_at"].as_u64().unwrap()).collect();
    assert_eq!(times, (1_764_000_100..1_764_000_110).collect::<Vec<_>>());
}

/// One flipped bit in each section, in a small snapshot and in one that is too large to be checked when it
/// is opened.
#[test]
fn damage_is_found_and_its_part_is_named() {
    for (keys, checked_when_opened) in [(0, true), (420_000, false)] {
        let shop = Shop::new();
        let made = (0..keys).map(|n| {
            format!("{{\"realm\":\"shop\",\"id\":\"k{n}\",\"key\":\"made-{n}\",\"tenant\":\"t\"}}\n")
        });
        shop.write("keys.jsonl", &made.chain([crate::support::KEYS.to_owned()]).collect::<String>());
        assert_code(&shop.build([]), 0);
        let good = fs::read(shop.path("keys.kwd")).unwrap();
        let header = Header::read(&good, good.len() as u64).unwrap();
        assert_eq!(good.len() as u64 <= keyward::snapshot::SMALL, checked_when_opened);
        let names = json(&shop.run(["inspect", "keys.kwd", "--json"]));
        for (number, section) in header.sections.iter().enumerate() {
            if section.length == 0 {
                continue;
            }
            let mut bytes = good.clone();
            bytes[(section.offset + section.length - 1) as usize] ^= 1;
            fs::write(shop.path("bad.kwd"), bytes).unwrap();
            let name = names["sections"][number]["name"].as_str().unwrap();
            let inspected = shop.run(["inspect", "bad.kwd", "--json"]);
            assert_refused(
                &inspected,
                3,
                &format!("bad.kwd: the snapshot is damaged: the hash of its {name} does not match"),
            );
            if !inspected.stdout.is_empty() {
                let found = json(&inspected);
                assert_eq!(found["ok"], false);
                let flags =
                    found["sections"].as_array().unwrap().iter().map(|section| section["hash_ok"] == true);
                let expected = (0..header.sections.len()).map(|other| other != number);
                assert!(flags.eq(expected), "{found}");
                assert!(stdout(&shop.run(["inspect", "bad.kwd"])).contains("DAMAGED"));
            }
        }
    }
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let shop = Shop::open();
    let bytes = fs::read(shop.path("keys.kwd")).unwrap();
    let longer = [&bytes[..], b"\0"].concat();
    let files: [(&str, &[u8], &str); 5] = [
        ("empty.kwd", b"", "empty"),
        ("cut.kwd", &bytes[..bytes.len() - 1], "truncated"),
        ("head.kwd", &bytes[..4096], "truncated"),
        ("longer.kwd", &longer, "longer"),
        ("text.kwd", b"not a snapshot", "not a"),
    ];
    for (name, bytes, message) in files {
        fs::write(shop.path(name), bytes).unwrap();
        let refused = shop.run(["inspect", name]);
        assert_refused(&refused, 3, message);
        assert!(stderr(&refused).starts_with(&format!("keyward: {name}: ")), "{}", stderr(&refused));
    }
    assert_refused(&shop.run(["inspect", "nothing.kwd"]), 3, "nothing.kwd: ");
    assert_refused(&shop.run(["inspect", "."]), 3, "not a regular file");
    assert_refused(&shop.run(["inspect"]), 2, "SNAPSHOT");
}

#[test]
fn an_empty_snapshot_is_whole() {
    let shop = Shop::new();
    shop.write("keys.jsonl", "");
    assert_code(&shop.build([]), 0);
    let output = shop.run(["inspect", "keys.kwd", "--json"]);
    assert_code(&output, 0);
    assert_eq!((&json(&output)["keys"], &json(&output)["bytes_per_key"]), (&0.into(), &Value::Null));
    assert_code(&shop.run(["inspect", "keys.kwd"]), 0);
}
