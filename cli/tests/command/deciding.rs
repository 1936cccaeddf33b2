//! Verify, explain and token: verdicts, answers and what may never be printed.

use crate::support::{KEY, SECRET, Shop, assert_code, assert_refused, json, stderr, stdout};
use keyward::digest::{DigestKey, sha256};
use keyward::keyring::Keyring;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

const READER: &str = "Authorization: Bearer presented-key-0001";

#[test]
fn an_allowed_request_ends_with_zero() {
    let shop = Shop::open();
    let allowed = shop.ask("verify", ["-H", READER, "--json"]);
    assert_code(&allowed, 0);
    let verdict = json(&allowed);
    let expected = [
        ("decision", Value::from("allow")),
        ("reason", "ok".into()),
        ("status", 200.into()),
        ("key_id", "reader".into()),
        ("tenant", "acme".into()),
        ("environment", "live".into()),
        ("generation", 1.into()),
    ];
    for (name, value) in expected {
        assert_eq!(verdict[name], value, "{name}");
    }
    let object = verdict.as_object().unwrap();
    for name in ["subject", "scope", "retry_after", "www_authenticate", "content_type", "body"] {
        assert_eq!(object.get(name), Some(&Value::Null), "{name}");
    }
    let text = stdout(&shop.ask("verify", ["-H", READER]));
    assert!(text.starts_with("allow  ok") && text.contains("reader"), "{text}");
}

#[test]
fn a_denied_request_ends_with_one_and_shows_the_answer() {
    let shop = Shop::open();
    let denied = shop.ask("verify", ["-H", READER, "-X", "POST", "--path", "/orders?x=1", "--json"]);
    assert_code(&denied, 1);
    let verdict = json(&denied);
    assert_eq!((&verdict["decision"], &verdict["reason"]), (&"deny".into(), &"insufficient_scope".into()));
    assert_eq!((&verdict["status"], &verdict["scope"]), (&403.into(), &"orders:write".into()));
    let challenge = r#"Bearer realm="Shop", error="insufficient_scope", scope="orders:write""#;
    assert_eq!(verdict["www_authenticate"], challenge);
    assert_eq!(verdict["body"], r#"{"type":"about:blank","title":"Forbidden","status":403}"#);
    let text = stdout(&shop.ask("verify", ["-H", READER, "-X", "POST", "--path", "/orders"]));
    for part in [
        "deny  insufficient_scope",
        "403 Forbidden\n",
        challenge,
        "Content-Type: application/problem+json\n\n{",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// Each part of a request reaches the engine.
#[test]
fn every_part_of_a_request_counts() {
    let shop = Shop::open();
    let reason = |more: &[&str]| {
        let start = ["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "--json"];
        json(&shop.command(start).args(more).output().unwrap())["reason"].as_str().unwrap().to_owned()
    };
    let bearer = |key: &str| format!("Authorization: Bearer {key}");
    let office = bearer("presented-key-0006");
    let early = "1704067199.999999999";
    assert_eq!(reason(&[]), "missing_credential");
    assert_eq!(reason(&["-H", READER, "-H", READER]), "ambiguous_credential");
    assert_eq!(reason(&["-H", READER, "--no-tls"]), "tls_required");
    assert_eq!(reason(&["-H", READER, "--path", ""]), "ambiguous_path");
    assert_eq!(reason(&["-H", READER, "--environment", "test"]), "wrong_environment");
    assert_eq!(reason(&["-H", READER, "--scope", "a", "--scope", "b"]), "insufficient_scope");
    assert_eq!(reason(&["-H", &bearer("presented-key-0005")]), "revoked");
    assert_eq!(reason(&["-H", &office, "--ip", "203.0.113.7", "--now", early]), "ok");
    assert_eq!(reason(&["-H", &office, "--ip", "203.0.113.7", "--now", "1704067200"]), "expired");
    assert_eq!(reason(&["-H", &office, "--ip", "unix:", "--now", early]), "ip_not_allowed");
    assert_eq!(reason(&["-H", &office, "--now", early]), "ip_not_allowed");
    let writer = bearer("presented-key-0003");
    assert_eq!(reason(&["-H", &writer, "--now", "1764000000", "-X", "POST", "--path", "/orders"]), "ok");
    assert_eq!(reason(&["-u", &format!("someone:{SECRET}"), "--path", "/token", "-X", "POST"]), "ok");
    assert_eq!(reason(&["-u", "someone:else", "--path", "/token", "-X", "POST"]), "unknown_key");
    let slow = bearer("presented-key-0004");
    assert_eq!(reason(&["-H", &slow, "--now", "1764000000"]), "ok");
    assert_eq!(reason(&["-H", &slow, "--now", "1764000000", "--repeat", "2"]), "rate_limited");
}

#[test]
fn header_bytes_are_passed_as_given() {
    let shop = Shop::open();
    let ask = |value: &[u8]| {
        let header = [b"AUTHORIZATION:\t Bearer ", value].concat();
        let mut command =
            shop.command(["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "--json"]);
        json(&command.arg("-H").arg(OsStr::from_bytes(&header)).output().unwrap())["reason"].clone()
    };
    assert_eq!(ask(b"presented-key-0001 \t"), "ok");
    assert_eq!(ask(b"presented-key-0001\xff"), "malformed_credential");
    assert_eq!(ask(b""), "malformed_credential");
    shop.write("headers.txt", &format!("X-Other: 1\r\n{READER}\r\n\r\n"));
    assert_eq!(json(&shop.ask("verify", ["-H", "@headers.txt", "--json"]))["reason"], "ok");
    let arguments =
        ["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "-H", "@-", "--json"];
    assert_eq!(json(&shop.with_input(&arguments, READER))["reason"], "ok");
}

#[test]
fn wrong_command_lines_end_with_two_and_repeat_no_secret() {
    let shop = Shop::open();
    assert_refused(&shop.ask("verify", ["-H", KEY]), 2, "no colon");
    assert!(!stderr(&shop.ask("verify", ["-H", KEY])).contains(KEY));
    assert_refused(&shop.ask("verify", ["-u", KEY]), 2, "no colon");
    assert!(!stderr(&shop.ask("verify", ["-u", KEY])).contains(KEY));
    assert_refused(&shop.run(["verify", "keys.kwd", "--realm", "shop"]), 2, "--keyring");
    assert_refused(
        &shop.run(["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "--now", "soon"]),
        2,
        "Unix seconds",
    );
    assert_refused(&shop.run(["pubish"]), 2, "publish");
    assert_refused(&shop.ask("verify", ["-H", "@nothing.txt"]), 3, "nothing.txt");
}

#[test]
fn what_cannot_be_decided_ends_with_three() {
    let shop = Shop::open();
    let unavailable =
        shop.run(["verify", "keys.kwd", "--keyring", "keyring.toml", "--realm", "sohp", "--json"]);
    assert_refused(&unavailable, 3, "does not have the realm");
    assert_eq!(
        (&json(&unavailable)["decision"], &json(&unavailable)["status"]),
        (&"unavailable".into(), &503.into())
    );
    let missing = shop.run(["verify", "nothing.kwd", "--keyring", "keyring.toml", "--realm", "shop"]);
    assert_refused(&missing, 3, "nothing.kwd");
    let bytes = std::fs::read(shop.path("keys.kwd")).unwrap();
    for length in [0, 1, 4096, bytes.len() - 1] {
        std::fs::write(shop.path("cut.kwd"), &bytes[..length]).unwrap();
        let cut =
            shop.run(["verify", "cut.kwd", "--keyring", "keyring.toml", "--realm", "shop", "-H", READER]);
        assert_refused(&cut, 3, "cut.kwd: ");
        assert_eq!(stdout(&cut), "");
    }
}

#[test]
fn explain_names_every_gate_and_no_secret() {
    let shop = Shop::open();
    let token = issue(&shop);
    let keyring = Keyring::load(&shop.path("keyring.toml")).unwrap();
    let pepper = keyring.newest_pepper().unwrap().key();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = |credential: &str, presented: &[u8]| {
        hex(DigestKey::derive(pepper, "shop", credential).digest(presented).as_bytes())
    };
    let secrets = [
        KEY.to_owned(),
        SECRET.to_owned(),
        token.clone(),
        token.rsplit_once('.').unwrap().1.to_owned(),
        digest("key", KEY.as_bytes()),
        digest("pair", format!("someone:{SECRET}").as_bytes()),
        hex(&sha256(KEY.as_bytes())),
        hex(pepper),
        "c29tZW9uZTpwcmVzZW50ZWQ6c2VjcmV0LTAwMDI=".to_owned(),
    ];
    let bearer = format!("Authorization: Bearer {token}");
    let unknown = format!("Authorization: Bearer {KEY}-unknown");
    let pair = format!("someone:{SECRET}");
    let requests: [&[&str]; 6] = [
        &["-H", READER],
        &["-H", &unknown],
        &["-H", READER, "-H", READER],
        &["-H", &bearer, "--path", "/me"],
        &["-u", &pair, "-X", "POST", "--path", "/token"],
        &["-H", READER, "-X", "POST", "--path", "/orders", "--ip", "192.0.2.1"],
    ];
    for request in requests {
        for command in ["explain", "verify"] {
            for json in [&["--json"][..], &[]] {
                let start = [
                    command,
                    "keys.kwd",
                    "--keyring",
                    "keyring.toml",
                    "--realm",
                    "shop",
                    "--now",
                    "1764000000",
                ];
                let output = shop.command(start).args(request).args(json).output().unwrap();
                for secret in &secrets {
                    let said = stdout(&output) + &stderr(&output);
                    assert!(!said.contains(secret.as_str()), "{request:?}: {said}");
                }
            }
        }
    }
    let explained = json(&shop.ask("explain", ["-H", READER, "--json"]));
    let gates: Vec<_> =
        explained["gates"].as_array().unwrap().iter().map(|gate| gate["gate"].as_str().unwrap()).collect();
    assert_eq!(gates.first(), Some(&"snapshot"));
    assert_eq!(gates.last(), Some(&"rate_limit"));
    for gate in ["path", "tls", "extraction", "credential", "status", "address", "scopes"] {
        assert!(gates.contains(&gate), "{gate} is not in {gates:?}");
    }
    let text = stdout(&shop.ask("explain", ["-H", READER, "-X", "POST", "--path", "/orders"]));
    assert!(text.contains("route /orders") && text.contains("\"orders:write\" is missing"), "{text}");
}

fn issue(shop: &Shop) -> String {
    let start =
        ["token", "issue", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop", "--now", "1764000000"];
    let issued = shop
        .command(start)
        .args(["-u", &format!("someone:{SECRET}"), "-X", "POST", "--path", "/token"])
        .output();
    let issued = issued.unwrap();
    assert_code(&issued, 0);
    stdout(&issued).trim_end().to_owned()
}

#[test]
fn issued_tokens_are_taken_and_denied_requests_get_none() {
    let shop = Shop::open();
    let token = issue(&shop);
    let verdict =
        shop.ask("verify", ["-H", &format!("Authorization: Bearer {token}"), "--path", "/me", "--json"]);
    assert_code(&verdict, 0);
    assert_eq!((&json(&verdict)["subject"], &json(&verdict)["key_id"]), (&"pair".into(), &"pair".into()));
    let start = ["token", "issue", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop"];
    let denied =
        shop.command(start).args(["-u", "someone:else", "-X", "POST", "--path", "/token"]).output().unwrap();
    assert_refused(&denied, 1, "unknown_key");
    assert_eq!(stdout(&denied), "");
    let unsigned = shop.command(start).args(["-H", READER, "--kid", "k2"]).output().unwrap();
    assert_refused(&unsigned, 3, "\"k2\"");
}

/// Whoever reads may stop; the exit code is still the verdict.
#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let shop = Shop::open();
    for (headers, code) in [(&["-H", READER][..], 0), (&[], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let start = ["explain", "keys.kwd", "--keyring", "keyring.toml", "--realm", "shop"];
        let status = shop.command(start).args(headers).stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}
