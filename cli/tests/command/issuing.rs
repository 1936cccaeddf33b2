//! The life of a key, with the rules of the five documented APIs.

use crate::desk::{Desk, Kind, on_both};
use crate::support::{assert_code, stderr, stdout};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const BUDGETS: [&str; 2] = ["--path", "/v1/api/public/budgets"];

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}")
}

fn a_folder_is_made_and_kept(kind: Kind) {
    let desk = Desk::empty(kind);
    let first = desk.ok(["init", "deep/folder"]);
    assert_eq!(first.matches(": a new ").count(), 3, "{first}");
    let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("deep/folder"), mode("deep/folder/keyring.toml")), (0o700, 0o600));
    let keyring = std::fs::read(desk.path("deep/folder/keyring.toml")).unwrap();
    let again = desk.ok(["init", "deep/folder", "--profile", "built"]);
    assert_eq!(again.matches("kept as it is").count(), 3, "{again}");
    assert!(std::fs::read(desk.path("deep/folder/keyring.toml")).unwrap() == keyring);
    let key = desk.ok(["key", "create", "--dir", "deep/folder", "--environment", "live"]);
    assert!(key.starts_with("ak_live_") && key.len() == "ak_live_".len() + 43 + 1 + 6 + 1, "{}", key.len());
    let nowhere = desk.refused(3, ["key", "list", "--store", "nowhere.sqlite"]);
    assert!(nowhere.contains("nowhere.sqlite: there is no keystore"), "{nowhere}");
    assert!(!desk.path("nowhere.sqlite").exists());
}

fn a_key_is_printed_once_and_works(kind: Kind) {
    let desk = Desk::new(kind, "billoget");
    desk.ok(["tenant", "add", "acme"]);
    let arguments = ["--tenant", "acme", "--environment", "live", "--scope", "READ_BUDGETS"];
    let keys: HashSet<String> = (0..3).map(|n| desk.create(&format!("k{n}"), arguments)).collect();
    assert_eq!(keys.len(), 3);
    let test = desk.create("t", ["--tenant", "acme", "--environment", "test", "--scope", "READ_BUDGETS"]);
    assert!(test.starts_with("bk_test_") && keys.iter().all(|key| key.starts_with("bk_live_")));
    desk.publish();
    for key in keys.iter().chain([&test]) {
        assert_eq!(desk.reason("billoget", ["-H", &bearer(key), BUDGETS[0], BUDGETS[1]]), "ok");
    }
    let other = format!("bk_live_{}", "0".repeat(64));
    assert_eq!(desk.reason("billoget", ["-H", &bearer(&other), BUDGETS[0], BUDGETS[1]]), "unknown_key");
    // Nothing that was ever stored or said holds one of them.
    let stored = desk.bytes();
    let said =
        desk.ok(["audit", "--json"]) + &desk.ok(["key", "list", "--json"]) + &desk.ok(["key", "show", "t"]);
    for key in keys.iter().chain([&test]) {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!said.contains(secret));
        assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
    }
}

/// A terminal gets a line that says so, and the id; a pipe the key alone.
fn a_terminal_is_told_that_it_is_the_only_time(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    let mut command = desk.command([""; 0]);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    let line = format!("{} key create --id mine --environment live", env!("CARGO_BIN_EXE_keyward"));
    command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(desk.path("")).stdin(Stdio::null());
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().unwrap();
    assert_code(&output, 0);
    let printed = stdout(&output);
    assert!(printed.starts_with("ak_live_") && printed.contains("mine, shown this once"), "{printed}");
    let printed = desk.json(["key", "create", "--environment", "live", "--json"]).remove(0);
    assert!(printed["id"].as_str().unwrap().starts_with("key_") && printed["realm"] == "api");
    assert!(printed["key"].as_str().unwrap().starts_with("ak_live_"));
}

fn a_key_that_nobody_got_is_said_to_be_lost(kind: Kind) {
    let desk = Desk::new(kind, "plain");
    let mut command = desk.command(["key", "create", "--id", "lost", "--environment", "live"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    assert_code(&output, 3);
    assert!(
        stderr(&output).contains("key \"lost\" is stored, and could not be printed"),
        "{}",
        stderr(&output)
    );
}

fn built(kind: Kind) {
    let desk = Desk::new(kind, "built");
    let create = |tenant: &str, environment: &str, more: &[&str]| {
        let start = ["key", "create", "--tenant", tenant, "--environment", environment];
        desk.run(start.into_iter().chain(more.iter().copied()))
    };
    let refused = |output: std::process::Output, why: &str| {
        assert_code(&output, 1);
        assert!(stdout(&output).is_empty() && stderr(&output).contains(why), "{}", stderr(&output));
    };
    refused(create("acme", "staging", &["--as", "ada"]), "no tenant \"acme\"");
    desk.ok(["tenant", "add", "acme", "--title", "Acme Ltd"]);
    refused(create("acme", "staging", &["--as", "ada"]), "\"ada\" is no member of tenant \"acme\"");
    for (name, role) in [("ada", "owner"), ("bob", "developer"), ("eve", "viewer")] {
        desk.ok(["member", "add", "acme", name, "--role", role]);
    }
    refused(create("acme", "staging", &[]), "name one with --as");
    refused(create("acme", "staging", &["--as", "bob"]), "\"bob\" is none");
    refused(create("acme", "staging", &["--as", "eve"]), "may look at the keys");
    let staging = create("acme", "staging", &["--as", "ada", "--id", "staging"]);
    assert_code(&staging, 0);
    refused(create("acme", "production", &["--as", "ada"]), "\"acme\" is not approved");
    desk.ok(["tenant", "approve", "acme"]);
    // Several keys of a tenant.
    let production = desk.create("p1", ["--tenant", "acme", "--environment", "production", "--as", "ada"]);
    desk.create("p2", ["--tenant", "acme", "--environment", "production", "--as", "ada"]);
    // A developer may end keys, and hand none on; somebody who looks may do neither.
    assert!(desk.refused(1, ["key", "rotate", "p2", "--as", "bob"]).contains("owner"));
    assert!(desk.refused(1, ["key", "suspend", "p2", "--as", "eve"]).contains("may look"));
    desk.ok(["key", "suspend", "p2", "--as", "bob"]);
    desk.publish();
    let host = "web.builtaccounting.com";
    assert_eq!(
        desk.reason("built", ["-H", &bearer(&production), "--host", host, "--path", "/api/invoices"]),
        "ok"
    );
    let staging = stdout(&staging);
    let staging = bearer(staging.trim_end());
    assert_eq!(
        desk.reason("built", ["-H", &staging, "--host", host, "--path", "/api/invoices"]),
        "wrong_environment"
    );
    let tenant = desk.json(["tenant", "list", "--json"]).remove(0);
    assert!(
        tenant["approved_at"].is_u64() && tenant["members"][0] == json!({ "name": "ada", "role": "owner" })
    );
}

fn billoget(kind: Kind) {
    let desk = Desk::new(kind, "billoget");
    desk.ok(["tenant", "add", "acme"]);
    let key = desk.create("k", ["--tenant", "acme", "--environment", "live", "--scope", "READ_BUDGETS"]);
    let ask = |more: &[&str]| {
        desk.publish();
        let header = bearer(&key);
        let start = [
            "verify",
            "keys.kwd",
            "--keyring",
            "keyring.toml",
            "--realm",
            "billoget",
            "--json",
            "-H",
            &header,
        ];
        let output = desk.run(start.into_iter().chain(BUDGETS).chain(more.iter().copied()));
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        verdict["reason"].as_str().unwrap().to_owned()
    };
    let post = ["-X", "POST"];
    assert_eq!(ask(&post), "insufficient_scope");
    assert!(
        desk.ok(["key", "scopes", "k", "--add", "WRITE_BUDGETS"]).contains("READ_BUDGETS, WRITE_BUDGETS")
    );
    assert_eq!(ask(&post), "ok");
    desk.ok(["key", "scopes", "k", "--remove", "WRITE_BUDGETS"]);
    assert_eq!(ask(&post), "insufficient_scope");
    assert!(desk.refused(1, ["key", "scopes", "k", "--remove", "WRITE_BUDGETS"]).contains("does not have"));
    desk.ok(["key", "ips", "k", "--set", "203.0.113.0/24"]);
    assert_eq!(ask(&["--ip", "198.51.100.1"]), "ip_not_allowed");
    assert_eq!(ask(&["--ip", "203.0.113.9"]), "ok");
    assert!(desk.refused(2, ["key", "ips", "k", "--add", "203.0.113.1/24"]).contains("allow_ips"));
    desk.ok(["key", "ips", "k", "--none"]);
    assert_eq!(ask(&["--ip", "198.51.100.1"]), "ok");
    // Suspension is apart from revocation: it can be taken back.
    desk.ok(["key", "suspend", "k", "--reason", "asked for"]);
    assert_eq!(ask(&[]), "suspended");
    assert!(desk.ok(["key", "suspend", "k"]).contains("was suspended already"));
    desk.ok(["key", "resume", "k"]);
    assert_eq!(ask(&[]), "ok");
    desk.ok(["key", "expire", "k", "now"]);
    assert_eq!(ask(&[]), "expired");
    desk.ok(["key", "expire", "k", "+7d"]);
    assert_eq!(ask(&[]), "ok");
    desk.ok(["key", "revoke", "k", "--reason", "leaked"]);
    assert_eq!(ask(&[]), "revoked");
    for end in
        [&["key", "resume", "k"][..], &["key", "expire", "k", "never"], &["key", "scopes", "k", "--none"]]
    {
        assert!(desk.refused(1, end).contains("that is for good"));
    }
    assert!(desk.ok(["key", "revoke", "k"]).contains("was revoked already"));
    let log = desk.json(["audit", "--key", "k", "--json"]);
    let actions: Vec<&str> = log.iter().rev().map(|row| row["action"].as_str().unwrap()).collect();
    let wanted =
        ["create", "scopes", "scopes", "ips", "ips", "suspend", "resume", "expire", "expire", "revoke"];
    assert_eq!(actions, wanted.map(|action| format!("key.{action}")));
    assert_eq!(
        log[0]["details"],
        json!({ "reason": "leaked", "status": { "from": "active", "to": "revoked" } })
    );
    assert_eq!(log[8]["details"]["scopes"]["to"], json!(["READ_BUDGETS", "WRITE_BUDGETS"]));
    assert!(desk.ok(["audit", "--action", "key.revoke"]).contains("reason leaked, status active to revoked"));
}

fn aver(kind: Kind) {
    let desk = Desk::new(kind, "aver");
    desk.append(
        "keyring.toml",
        "[[token_key]]\nrealm = \"aver\"\nkid = \"a\"\nalg = \"HS256\"\nsecret = \"YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE=\"\n",
    );
    desk.ok(["tenant", "add", "harbor"]);
    let pair = desk.create("portal", ["--tenant", "harbor", "--login", "portal-1"]);
    let (id, secret) = pair.split_once(':').unwrap();
    assert!(id == "portal-1" && secret.len() == 43);
    let own = desk.create("batch", ["--tenant", "harbor"]);
    assert!(own.starts_with("batch:"));
    desk.publish();
    assert_eq!(desk.reason("aver", ["-u", &pair, "-X", "POST", "--path", "/api/auth"]), "ok");
    let wrong = format!("portal-1:{}", own.split_once(':').unwrap().1);
    assert_eq!(desk.reason("aver", ["-u", &wrong, "-X", "POST", "--path", "/api/auth"]), "unknown_key");
    let token = desk.ok([
        "token",
        "issue",
        "keys.kwd",
        "--keyring",
        "keyring.toml",
        "--realm",
        "aver",
        "-X",
        "POST",
        "--path",
        "/api/auth",
        "-u",
        &pair,
    ]);
    let header = bearer(token.trim_end());
    assert_eq!(desk.reason("aver", ["-H", &header, "--path", "/api/x"]), "ok");
    // A new pair of the same id; and revoking a key ends its tokens.
    let next = desk.ok(["key", "rotate", "portal", "--overlap", "1h"]);
    assert!(next.starts_with("portal-1:") && next.trim_end() != pair);
    desk.ok(["key", "revoke", "portal"]);
    desk.publish();
    assert_eq!(desk.reason("aver", ["-H", &header, "--path", "/api/x"]), "token_revoked");
    assert_eq!(desk.reason("aver", ["-u", next.trim_end(), "-X", "POST", "--path", "/api/auth"]), "ok");
}

fn onebalance(kind: Kind) {
    const PUBLIC: &str = "42bb629272001ee1163ca0dbbbc07bcbb0ef57a57baf16c4b1d4672db4562c11";
    let desk = Desk::new(kind, "onebalance");
    desk.write("public.txt", &format!("{PUBLIC}\n"));
    desk.ok(["tenant", "add", "everybody"]);
    let given = ["--tenant", "everybody", "--given", "public.txt", "--limit", "development"];
    assert_eq!(desk.create("public", given), PUBLIC);
    let again = desk.refused(1, ["key", "create", "--given", "public.txt", "--limit", "production"]);
    assert!(again.contains("the key \"public\"") && !again.contains(PUBLIC), "{again}");
    desk.ok(["tenant", "add", "one"]);
    let production = desk.create("one", ["--tenant", "one", "--limit", "production", "--scope", "execute"]);
    desk.publish();
    let header = |key: &str| format!("x-api-key: {key}");
    let execute = ["--path", "/api/quotes/execute-quote"];
    let ask = |key: &str, path: [&str; 2]| desk.reason("onebalance", ["-H", &header(key), path[0], path[1]]);
    assert_eq!(ask(PUBLIC, ["--path", "/api/assets/list"]), "ok");
    assert_eq!(ask(PUBLIC, execute), "insufficient_scope");
    assert_eq!(ask(&production, execute), "ok");
    // Its own limit: 600 a minute, 50 at once.
    let repeated = desk.reason(
        "onebalance",
        ["-H", &header(PUBLIC), "--path", "/", "--repeat", "51", "--now", "1764000000"],
    );
    assert_eq!(repeated, "rate_limited");
    let repeated = desk.reason(
        "onebalance",
        ["-H", &header(&production), "--path", "/", "--repeat", "51", "--now", "1764000000"],
    );
    assert_eq!(repeated, "ok");
    assert!(
        desk.refused(2, ["key", "create", "--limit", "developement"])
            .contains("did you mean \"development\"?")
    );
}

fn interstellas(kind: Kind) {
    let desk = Desk::new(kind, "interstellas");
    desk.ok(["tenant", "add", "north"]);
    desk.ok(["member", "add", "north", "ada", "--role", "developer"]);
    desk.ok(["member", "add", "north", "eve", "--role", "viewer"]);
    let first = desk.create("north-1", ["--tenant", "north", "--environment", "production"]);
    // One in each environment.
    desk.create("north-s", ["--tenant", "north", "--environment", "sandbox"]);
    let second = desk.refused(1, ["key", "create", "--tenant", "north", "--environment", "production"]);
    assert!(second.contains("1 of at most 1 such keys: north-1"), "{second}");
    assert_eq!(desk.ok(["key", "reveal", "north-1", "--as", "ada"]).trim_end(), first);
    assert!(desk.refused(1, ["key", "reveal", "north-1", "--as", "eve"]).contains("may look"));
    let log = desk.json(["audit", "--action", "key.reveal", "--json"]);
    assert_eq!((log.len(), &log[0]["member"], &log[0]["key"]), (1, &json!("ada"), &json!("north-1")));
    // Sealed, and in no snapshot.
    desk.publish();
    let snapshot = std::fs::read(desk.path("keys.kwd")).unwrap();
    for bytes in [desk.bytes(), snapshot] {
        assert!(!bytes.windows(first.len()).any(|window| window == first.as_bytes()));
    }
    let next = desk.ok(["key", "rotate", "north-1", "--new-id", "north-2", "--overlap", "24h"]);
    assert_eq!(desk.ok(["key", "reveal", "north-2"]), next);
    assert_eq!(desk.ok(["key", "reveal", "north-1"]).trim_end(), first);
    desk.ok(["key", "revoke", "north-1"]);
    let gone = desk.refused(1, ["key", "reveal", "north-1"]);
    assert!(gone.contains("thrown away"), "{gone}");
    // The keyring that sealed it is needed, and no other opens it.
    let keyring = std::fs::read_to_string(desk.path("keyring.toml")).unwrap();
    let (before, _) = keyring.split_once("[[sealing_key]]").unwrap();
    desk.write("keyring.toml", before);
    assert!(desk.refused(3, ["key", "reveal", "north-2"]).contains("lacks the [[sealing_key]] 1"));
    desk.append("keyring.toml", &format!("[[sealing_key]]\nid = 1\nkey = \"{}\"\n", "ab".repeat(32)));
    assert!(desk.refused(3, ["key", "reveal", "north-2"]).contains("does not open"));
    // A key that is a digest alone cannot be shown again.
    let other = Desk::new(kind, "plain");
    other.create("k", ["--environment", "live"]);
    assert!(other.refused(1, ["key", "reveal", "k"]).contains("not `retrievable`"));
}

fn a_key_is_rotated_with_an_overlap(kind: Kind) {
    let desk = Desk::new(kind, "billoget");
    desk.ok(["tenant", "add", "acme"]);
    let rights = [
        "--tenant",
        "acme",
        "--environment",
        "live",
        "--scope",
        "READ_BUDGETS",
        "--ip",
        "203.0.113.9",
        "--limit",
        "hourly",
        "--meta",
        "plan=pro",
        "--expires",
        "+30d",
    ];
    let old = desk.create("old", rights);
    let output = desk.run(["key", "rotate", "old", "--new-id", "new", "--overlap", "24h"]);
    assert_code(&output, 0);
    let new = stdout(&output).trim_end().to_owned();
    assert!(new.starts_with("bk_live_") && stderr(&output).contains("old goes on until"));
    let (before, after) = (desk.shown("old"), desk.shown("new"));
    for shared in
        ["realm", "credential", "tenant", "environment", "scopes", "allow_ips", "rate_limit", "metadata"]
    {
        assert_eq!(before[shared], after[shared], "{shared}");
    }
    assert_eq!((&before["replaced_by"], &after["replaces"]), (&json!("new"), &json!("old")));
    let end = |key: &Value| key["expires_at"].as_u64().unwrap();
    let made = after["created_at"].as_u64().unwrap();
    assert_eq!(end(&before), made + 86_400);
    assert!(end(&after).abs_diff(made + 30 * 86_400) <= 5);
    assert!(desk.ok(["key", "show", "old"]).contains("replaced by  new"));
    desk.publish();
    for (key, now, reason) in [
        (&old, made, "ok"),
        (&old, made + 86_399, "ok"),
        (&old, made + 86_400, "expired"),
        (&new, made + 86_400, "ok"),
    ] {
        let now = now.to_string();
        let arguments = ["-H", &bearer(key), "--ip", "203.0.113.9", "--now", &now, BUDGETS[0], BUDGETS[1]];
        assert_eq!(desk.reason("billoget", arguments), reason);
    }
    assert!(desk.refused(1, ["key", "rotate", "old"]).contains("replaced already, by \"new\""));
    // Without an overlap the old one is revoked at once.
    desk.ok(["key", "rotate", "new", "--new-id", "newest"]);
    assert_eq!(desk.shown("new")["state"], "revoked");
    assert!(desk.refused(1, ["key", "rotate", "nobody"]).contains("there is no key \"nobody\""));
    desk.ok(["key", "suspend", "newest"]);
    assert!(desk.refused(1, ["key", "rotate", "newest"]).contains("resume"));
}

fn what_a_command_cannot_mean_is_refused(kind: Kind) {
    let desk = Desk::new(kind, "billoget");
    desk.ok(["tenant", "add", "acme"]);
    for (arguments, code, why) in [
        (&["--tenant", "acme"][..], 2, "name their environment"),
        (&["--tenant", "acme", "--environment", "lvie"], 2, "no environment \"lvie\""),
        (&["--tenant", "acme", "--environment", "live", "--scope", "\u{e9}"], 2, "is no scope"),
        (&["--tenant", "acme", "--environment", "live", "--credential", "nope"], 2, "api_key"),
        (&["--tenant", "acme", "--environment", "live", "--realm", "nope"], 2, "there is no realm"),
        (&["--tenant", "nobody", "--environment", "live"], 1, "no tenant \"nobody\""),
        (&["--environment", "live", "--login", "me"], 2, "are no pairs"),
        (&["--environment", "live", "--expires", "1", "--not-before", "2"], 2, "never be valid"),
        (&["--environment", "live", "--as", "ada"], 1, "no tenant"),
    ] {
        let said = desk.refused(code, ["key", "create"].iter().chain(arguments));
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    assert!(desk.refused(1, ["tenant", "add", "acme"]).contains("already"));
    assert!(desk.refused(2, ["tenant", "add", ""]).contains("1 to 512 bytes"));
    desk.create("k", ["--environment", "live"]);
    assert!(desk.refused(1, ["key", "create", "--environment", "live", "--id", "k"]).contains("already"));
    // None of it left a trace but what went well.
    assert_eq!(desk.json(["audit", "--json"]).len(), 2);
}

on_both!(
    a_folder_is_made_and_kept,
    a_key_is_printed_once_and_works,
    a_terminal_is_told_that_it_is_the_only_time,
    a_key_that_nobody_got_is_said_to_be_lost,
    built,
    billoget,
    aver,
    onebalance,
    interstellas,
    a_key_is_rotated_with_an_overlap,
    what_a_command_cannot_mean_is_refused,
);
