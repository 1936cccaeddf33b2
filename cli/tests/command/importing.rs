//! Keys that another system has issued, and lists of what is there.

use crate::desk::{Desk, Kind, on_both};
use crate::support::{assert_code, stderr, stdout};
use serde_json::{Value, json};

/// A realm that takes keys as their SHA-256.
const REALM: &str = r#"
[realm.shop]
environments = ["live", "test"]
[realm.shop.credential.key]
kind = "key"
source = "header:X-Key"
digests = ["blake3", "sha256"]
[realm.shop.issuing]
approval_required_for = ["live"]
"#;

/// SHA-256 of "imported-key-0000000001".
const HASHED: &str = "imported-key-0000000001";

fn sha256(text: &str) -> String {
    keyward::digest::sha256(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shop(kind: Kind) -> Desk {
    let desk = Desk::empty(kind);
    desk.write("keyward.toml", REALM);
    desk.ok(["init", "."]);
    desk
}

fn header(key: &str) -> String {
    format!("X-Key: {key}")
}

fn digests_and_keys_move_without_reissuing(kind: Kind) {
    let desk = shop(kind);
    desk.write(
        "keys.csv",
        &format!(
            "id,sha256,key,tenant,environment,scopes,expires_at\n\
             one,{},,acme,live,read; write,2030-01-01\n\
             two,,plain-key-00000000002,acme,test,,\n\
             ,,plain-key-00000000003,,test,,1893456000\n",
            sha256(HASHED)
        ),
    );
    let dry = desk.run(["key", "import", "keys.csv", "--dry-run", "--add-tenants"]);
    assert_code(&dry, 0);
    assert!(
        stdout(&dry).contains("3 keys read: 3 would be taken, 0 refused; nothing was kept"),
        "{}",
        stdout(&dry)
    );
    assert!(
        desk.json(["key", "list", "--json"]).is_empty() && desk.json(["tenant", "list", "--json"]).is_empty()
    );
    let done = desk.ok(["key", "import", "keys.csv", "--add-tenants"]);
    assert!(done.contains("3 taken, 0 refused") && done.contains("1 tenant added"), "{done}");
    let keys = desk.json(["key", "list", "--json"]);
    assert_eq!(keys.len(), 3);
    assert_eq!(desk.shown("one")["scopes"], json!(["read", "write"]));
    assert_eq!(desk.shown("one")["expires_at"], 1_893_456_000);
    assert_eq!(keys.iter().filter(|key| key["id"].as_str().unwrap().starts_with("key_")).count(), 1);
    desk.publish();
    for key in [HASHED, "plain-key-00000000002", "plain-key-00000000003"] {
        assert_eq!(desk.reason("shop", ["-H", &header(key)]), "ok", "{key}");
    }
    // One entry for all of them, which each key's own log has.
    assert_eq!(desk.json(["audit", "--key", "two", "--json"])[0]["details"]["keys"], 3);
    // The same once more: everything is refused, by the id of the key that is there.
    let again = desk.run(["key", "import", "keys.csv", "--json"]);
    assert_code(&again, 1);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["taken"], again["refused"].as_array().unwrap().len()), (&json!(0), 3));
    assert!(again["refused"][2]["reason"].as_str().unwrap().contains("it is the key \"key_"), "{again}");
}

fn what_is_refused_is_counted_and_named_without_a_key(kind: Kind) {
    let desk = shop(kind);
    desk.ok(["tenant", "add", "acme"]);
    let lines = [
        r#"{"id":"good","key":"secret-good-0000000001","tenant":"acme","environment":"test"}"#.to_owned(),
        r#"{"id":"good","key":"secret-other-000000001","environment":"test"}"#.to_owned(),
        r#"{"id":"twin","key":"secret-good-0000000001","environment":"test"}"#.to_owned(),
        format!(
            r#"{{"id":"hashed","digest":{{"alg":"sha256","hex":"{}"}}}}"#,
            sha256("secret-good-0000000001")
        ),
        r#"{"id":"live","key":"secret-live-0000000001","tenant":"acme","environment":"live"}"#.to_owned(),
        r#"{"id":"stranger","key":"secret-stranger-000001","tenant":"nobody"}"#.to_owned(),
        r#"{"id":"scope","key":"secret-scope-000000001","scope":["x"]}"#.to_owned(),
        r#"{"id":"control","key":"secret\u0007control"}"#.to_owned(),
        "secret-not-json".to_owned(),
        r#"{"id":"last","key":"secret-last-0000000001"}"#.to_owned(),
    ];
    desk.write("keys.jsonl", &(lines.join("\n\n") + "\n"));
    for more in [&["--dry-run"][..], &[]] {
        let output = desk.run(["key", "import", "keys.jsonl"].iter().chain(more));
        assert_code(&output, 1);
        let said = stdout(&output) + &stderr(&output);
        assert!(
            said.contains("10 keys read") && said.contains("8 refused") || said.contains("8 are refused"),
            "{said}"
        );
        for (line, why) in [
            (3, "already"),
            (5, "\"good\""),
            (7, "\"good\""),
            (9, "not approved"),
            (11, "--add-tenants"),
            (13, "did you mean \"scopes\"?"),
            (15, "no request can present"),
            (17, "JSON"),
        ] {
            let named = said.lines().find(|text| text.starts_with(&format!("  line {line}"))).unwrap();
            assert!(named.contains(why), "{named}");
        }
        assert!(!said.contains("secret"), "{said}");
        assert!(desk.json(["key", "list", "--json"]).is_empty());
    }
    let output = desk.run(["key", "import", "keys.jsonl", "--skip-refused"]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains("2 taken, 8 refused"));
    let ids: Vec<Value> = desk.json(["key", "list", "--json"]).iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids, ["good", "last"]);
}

/// More than one batch, with a repetition in another batch than its first.
fn many_keys_are_taken_together(kind: Kind) {
    let desk = shop(kind);
    let line = |number: usize| format!("{{\"id\":\"k{number}\",\"key\":\"many-keys-{number:012}\"}}\n");
    let mut lines: String = (0..4_500).map(line).collect();
    desk.write("twice.jsonl", &(lines.clone() + "{\"id\":\"again\",\"key\":\"many-keys-000000000007\"}\n"));
    let twice = desk.run(["key", "import", "twice.jsonl"]);
    assert_code(&twice, 1);
    assert!(stdout(&twice).contains("line 4501 again: it is the key \"k7\""), "{}", stdout(&twice));
    lines.push_str(&line(4_500));
    desk.write("keys.jsonl", &lines);
    assert!(desk.ok(["key", "import", "keys.jsonl"]).contains("4501 taken"));
    assert_eq!(desk.json(["key", "list", "--json"]).len(), 4_501);
}

fn a_limit_of_keys_holds_for_imports(kind: Kind) {
    let desk = Desk::new(kind, "interstellas");
    desk.ok(["tenant", "add", "north"]);
    desk.write(
        "keys.csv",
        "id,key,environment,tenant,status\n\
         a,imported-north-000001,production,north,revoked\n\
         b,imported-north-000002,production,north,\n\
         c,imported-north-000003,production,north,\n\
         d,imported-north-000004,sandbox,north,\n",
    );
    let output = desk.run(["key", "import", "keys.csv", "--skip-refused"]);
    assert!(
        stdout(&output).contains("3 taken, 1 refused")
            && stdout(&output).contains("line 4 c: tenant \"north\"")
    );
    // What came as text is kept sealed, as a new key is.
    assert_eq!(desk.ok(["key", "reveal", "b"]), "imported-north-000002\n");
}

fn files_that_are_none_are_refused(kind: Kind) {
    let desk = shop(kind);
    desk.write("keys.csv", "id,kee\na,hidden-0001\n");
    let said = desk.refused(3, ["key", "import", "keys.csv"]);
    assert!(said.contains("unknown column \"kee\"") && !said.contains("hidden"), "{said}");
    desk.write("keys.csv", "id,key\na,hidden-0001,more\n");
    let output = desk.run(["key", "import", "keys.csv"]);
    assert_code(&output, 1);
    let said = stdout(&output) + &stderr(&output);
    assert!(said.contains("line 2: the line has 3 cells, and the heading 2"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
    assert!(desk.refused(3, ["key", "import", "nowhere.jsonl"]).contains("nowhere.jsonl"));
}

fn keys_are_listed_and_filtered(kind: Kind) {
    let desk = shop(kind);
    desk.ok(["tenant", "add", "acme", "--approved"]);
    desk.ok(["tenant", "add", "zoo"]);
    let live = desk.create("live", ["--tenant", "acme", "--environment", "live", "--expires", "+10d"]);
    desk.create("test", ["--tenant", "acme", "--environment", "test"]);
    desk.create("zoo", ["--tenant", "zoo", "--environment", "test", "--expires", "+90d"]);
    desk.create("none", []);
    desk.ok(["key", "suspend", "test"]);
    desk.ok(["key", "revoke", "none"]);
    let list = |more: &[&str]| -> Vec<String> {
        let keys = desk.json(["key", "list", "--json"].iter().chain(more));
        keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list(&[]), ["live", "none", "test", "zoo"]);
    assert_eq!(list(&["--tenant", "acme"]), ["live", "test"]);
    assert_eq!(list(&["--environment", "test", "--tenant", "zoo"]), ["zoo"]);
    assert_eq!(list(&["--status", "active"]), ["live", "zoo"]);
    assert_eq!(list(&["--status", "revoked"]), ["none"]);
    assert_eq!(list(&["--expiring-before", "+30d"]), ["live"]);
    assert_eq!(list(&["--expiring-before", "2100-01-01"]), ["live", "zoo"]);
    assert!(desk.refused(2, ["key", "list", "--status", "dead"]).contains("expected one of active"));
    let table = desk.ok(["key", "list", "--tenant", "acme"]);
    assert!(
        table.starts_with("realm  id    tenant  environment  state") && table.lines().count() == 3,
        "{table}"
    );

    // What a state file knows of use.
    desk.publish();
    assert_eq!(desk.reason("shop", ["-H", &header(&live), "--state", "state"]), "ok");
    let unused = ["--state", "state", "--unused-since"];
    assert_eq!(list(&[unused[0], unused[1], unused[2], "1h"]), ["none", "test", "zoo"]);
    assert_eq!(list(&[unused[0], unused[1], unused[2], "2100-01-01"]), ["live", "none", "test", "zoo"]);
    assert!(desk.refused(2, ["key", "list", "--unused-since", "1h"]).contains("--state"));
    let shown = desk.json(["key", "show", "live", "--state", "state", "--json"]).remove(0);
    assert!(shown["last_use"].is_u64());
    assert!(desk.ok(["key", "show", "zoo", "--state", "state"]).contains("not since"));
}

on_both!(
    digests_and_keys_move_without_reissuing,
    what_is_refused_is_counted_and_named_without_a_key,
    many_keys_are_taken_together,
    a_limit_of_keys_holds_for_imports,
    files_that_are_none_are_refused,
    keys_are_listed_and_filtered,
);
