//! Deltas: built on a snapshot, followed by whoever asks, told by inspect.

use crate::support::{BUILD_DELTA, CONFIGURATION, KEYS, Shop, assert_code, assert_refused, json, stdout};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;

/// A key is revoked, one is gone, one gets another secret, one is new.
const CHANGES: &str = r#"{"realm":"shop","id":"reader","key":"presented-key-0001","tenant":"acme","environment":"live","status":"revoked"}
{"realm":"shop","id":"slow","key":"presented-key-0004","environment":"test","status":"removed"}
{"realm":"shop","id":"writer","key":"presented-key-0003","environment":"live","status":"removed"}
{"realm":"shop","id":"writer","key":"presented-key-0013","environment":"live","scopes":["orders:write"]}
{"realm":"shop","id":"another","key":"presented-key-0014","environment":"test"}
"#;

impl Shop {
    fn change<const N: usize>(&self, changes: &str, more: [&str; N]) -> Output {
        self.write("changes.jsonl", changes);
        self.command(BUILD_DELTA).args(more).output().unwrap()
    }

    /// What becomes of a request with that key, which is the verdict's reason.
    fn reason(&self, key: &str) -> String {
        let header = format!("Authorization: Bearer {key}");
        let verdict = self.ask("verify", ["-H", &header, "--json"]);
        json(&verdict)["reason"].as_str().unwrap().to_owned()
    }
}

#[test]
fn what_has_changed_counts_at_once() {
    let shop = Shop::open();
    let full = fs::read(shop.path("keys.kwd")).unwrap();
    assert_eq!(shop.reason("presented-key-0001"), "ok");
    let built = shop.change(CHANGES, ["--json"]);
    assert_code(&built, 0);
    let built = json(&built);
    assert_eq!(built["path"], "keys.kwd.delta");
    assert_eq!(
        (&built["generation"], &built["base_generation"], &built["replaced"]),
        (&2.into(), &1.into(), &1.into())
    );
    let counts = (&built["added"], &built["changed"], &built["removed"], &built["keys"]);
    assert_eq!(counts, (&2.into(), &1.into(), &2.into(), &6.into()));
    assert_eq!(built["bytes"], fs::metadata(shop.path("keys.kwd.delta")).unwrap().len());
    assert!(fs::read(shop.path("keys.kwd")).unwrap() == full, "the snapshot stays as it is");
    let reasons =
        ["01", "03", "04", "06", "13", "14"].map(|key| shop.reason(&format!("presented-key-00{key}")));
    assert_eq!(reasons, ["revoked", "unknown_key", "unknown_key", "expired", "ok", "ok"]);

    // The next delta counts from the snapshot, and not from the delta before.
    let built = shop.change("", []);
    assert_code(&built, 0);
    let line = stdout(&built);
    assert!(
        line.starts_with("keys.kwd.delta: 0 added, 0 changed, 0 removed on generation 1: 6 keys, "),
        "{line}"
    );
    assert!(line.contains("generation 3, signed by "), "{line}");
    assert_eq!(shop.reason("presented-key-0001"), "ok");

    // The next snapshot takes its place.
    shop.write("keys.jsonl", KEYS.lines().next().unwrap());
    assert_eq!(json(&shop.build(["--json"]))["generation"], 4);
    assert!(!shop.path("keys.kwd.delta").exists());
    assert_eq!(shop.reason("presented-key-0013"), "unknown_key");
}

#[test]
fn what_cannot_be_a_delta_is_refused() {
    let shop = Shop::new();
    assert_refused(&shop.change(CHANGES, []), 3, "keys.kwd: ");
    assert_code(&shop.build([]), 0);
    let refused = |changes: &str, message: &str| {
        assert_refused(&shop.change(changes, []), 3, message);
        assert!(!shop.path("keys.kwd.delta").exists());
    };
    let removed = r#"{"realm":"shop","id":"slow","key":"presented-key-0004","status":"removed"}"#;
    let there = r#"{"realm":"shop","id":"slow","key":"presented-key-0004"}"#;
    refused(
        &format!("{removed}\n{there}"),
        "changes.jsonl:2: key \"slow\" is said to be removed as well (line 1)",
    );
    refused(
        &format!("{there}\n{removed}"),
        "changes.jsonl:1: key \"slow\" is said to be removed as well (line 2)",
    );
    refused(&format!("{there}\n{there}"), "changes.jsonl:2: ");
    refused(
        r#"{"realm":"shop","id":"slow","key":"presented-key-0099"}"#,
        "changes.jsonl:1: key \"slow\": realm \"shop\" has another key with this id",
    );
    refused(&there.replace('}', r#","status":"removde"}"#), "did you mean \"removed\"");
    // A list of all keys has no removed ones.
    let all = shop.build_from_input(removed);
    assert_refused(&all, 3, "unknown `status` \"removed\"");
    // Generations go on.
    shop.write("changes.jsonl", "");
    let with =
        |generation: &str| shop.command(BUILD_DELTA).args(["--generation", generation]).output().unwrap();
    assert_refused(&with("1"), 3, "would go back");
    assert_code(&with("7"), 0);
    assert_refused(&with("7"), 3, "would go back");
    fs::remove_file(shop.path("keys.kwd.delta")).unwrap();
    // Other realms or another pepper: only a full snapshot will do.
    shop.write("keyward.toml", &CONFIGURATION.replace("title = \"Shop\"", "title = \"Store\""));
    refused("", "the realms are not those of the snapshot");
    shop.write("keyward.toml", CONFIGURATION);
    let keyring = fs::read_to_string(shop.path("keyring.toml")).unwrap();
    shop.write("keyring.toml", &keyring.replace("[[pepper]]\nid = 1", "[[pepper]]\nid = 2"));
    refused(CHANGES, "the peppers are not those of the snapshot");
    shop.write("keyring.toml", &keyring);
    assert_refused(&shop.change("", ["-o", "other.kwd"]), 2, "--delta-on");
    assert_refused(&shop.run(&BUILD_DELTA[..7]), 2, "--output");
    let base = fs::read(shop.path("keys.kwd")).unwrap();
    shop.mode("keys.kwd", 0o644);
    fs::write(shop.path("keys.kwd"), &base[..base.len() - 1]).unwrap();
    refused("", "truncated");
}

#[test]
fn inspect_tells_both_together_and_each() {
    let shop = Shop::open();
    let inspect = |file: &str| shop.run(["inspect", file, "--json", "--now", "1764000000"]);
    let alone = json(&inspect("keys.kwd"));
    assert_eq!((&alone["delta"], &alone["base_generation"]), (&Value::Null, &Value::Null));
    assert_code(&shop.change(CHANGES, ["--created", "1763990000", "--max-age", "5h"]), 0);
    let both = inspect("keys.kwd");
    assert_code(&both, 0);
    let both = json(&both);
    assert_eq!(
        (&both["ok"], &both["generation"], &both["base_generation"]),
        (&true.into(), &2.into(), &1.into())
    );
    assert_eq!(
        (&both["keys"], &both["bytes"], &both["max_age"]),
        (&6.into(), &alone["bytes"], &18000.into())
    );
    let bytes = fs::metadata(shop.path("keys.kwd.delta")).unwrap().len();
    let delta = json!({ "generation": 2, "base_generation": 1, "bytes": bytes, "added_or_changed": 3, "removed": 2, "stale": false });
    assert_eq!(both["delta"], delta);

    // As if it had been built of all keys.
    let shop_of_all = Shop::new();
    let kept = KEYS
        .lines()
        .filter(|line| !["reader", "slow", "writer"].iter().any(|id| line.contains(&format!("\"{id}\""))));
    let now = CHANGES.lines().filter(|line| !line.contains("removed"));
    shop_of_all.write("keys.jsonl", &kept.chain(now).map(|line| format!("{line}\n")).collect::<String>());
    assert_code(&shop_of_all.build([]), 0);
    let whole = json(&shop_of_all.run(["inspect", "keys.kwd", "--json", "--now", "1764000000"]));
    for counted in ["keys", "counts", "expired", "expiring"] {
        assert_eq!(both[counted], whole[counted], "{counted}");
    }
    let text = stdout(&shop.run(["inspect", "keys.kwd"]));
    assert!(text.contains("3 added or changed, 2 removed on generation 1"), "{text}");

    let itself = inspect("keys.kwd.delta");
    assert_code(&itself, 0);
    let itself = json(&itself);
    assert_eq!((&itself["version"], &itself["keys"], &itself["delta"]), (&"1.2".into(), &6.into(), &delta));
    let live: u64 =
        itself["counts"].as_array().unwrap().iter().map(|row| row["active"].as_u64().unwrap()).sum();
    assert_eq!(live, 2);
    let text = stdout(&shop.run(["inspect", "keys.kwd.delta"]));
    assert!(text.starts_with("delta") && text.contains("3 added or changed, 2 removed"), "{text}");

    // A delta that is passed over, and one that is refused.
    let delta = fs::read(shop.path("keys.kwd.delta")).unwrap();
    assert_code(&shop.build([]), 0);
    fs::write(shop.path("keys.kwd.delta"), &delta).unwrap();
    let stale = inspect("keys.kwd");
    assert_code(&stale, 0);
    assert_eq!(json(&stale)["delta"], json!({ "generation": 2, "stale": true }));
    assert!(stdout(&shop.run(["inspect", "keys.kwd"])).contains("stale, passed over"));
    fs::write(shop.path("keys.kwd.delta"), &delta[..delta.len() - 1]).unwrap();
    let refused = inspect("keys.kwd");
    assert_refused(&refused, 3, "keys.kwd.delta: the delta: the snapshot is truncated");
    assert_eq!((&json(&refused)["ok"], &json(&refused)["keys"]), (&false.into(), &6.into()));
    assert_refused(&inspect("keys.kwd.delta"), 3, "truncated");
    let asked = shop.ask("verify", ["-H", "Authorization: Bearer presented-key-0001"]);
    assert_refused(&asked, 3, "the delta: the snapshot is truncated");
}
