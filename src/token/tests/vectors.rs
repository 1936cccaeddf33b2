//! The token cases of the vectors (docs/DECISIONS.md section 9), without the gates around them.

use super::*;
use crate::token::KeyClaim;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

struct Realm {
    rules: TokenRules,
    keys: Vec<Key>,
    header: Option<String>,
}

/// The realms of a file, read with as little as the token's part of them needs.
fn realms(file: &Value) -> BTreeMap<String, Realm> {
    let config: toml::Table = file["config"].as_str().unwrap().parse().unwrap();
    let keyring: toml::Table = file["keyring"].as_str().unwrap().parse().unwrap();
    let mut realms = BTreeMap::new();
    for (name, realm) in config["realm"].as_table().unwrap() {
        let credentials = realm["credential"].as_table().unwrap();
        let Some(token) = credentials.values().find(|one| one["kind"].as_str() == Some("token")) else {
            continue;
        };
        let text = |field: &str, default: &str| {
            token.get(field).map_or(default, |value| value.as_str().unwrap()).to_owned()
        };
        let number = |field: &str| token.get(field).map(|value| value.as_integer().unwrap() as u64);
        let rules = TokenRules {
            issuer: text("issuer", ""),
            audience: text("audience", ""),
            leeway: number("leeway").unwrap_or(0),
            lifetime: number("lifetime").unwrap_or(3600),
            max_lifetime: number("max_lifetime"),
            subject_claim: text("subject_claim", "sub"),
            tenants_claim: text("tenants_claim", "tenants"),
            scope_claim: text("scope_claim", "scope"),
            key_claim: text("key_claim", "client_id"),
        };
        let sources = token["source"].as_array().into_iter().flatten().filter_map(|one| one.as_str());
        let header = sources.filter_map(|one| one.strip_prefix("header:")).map(str::to_owned).next();
        let listed = keyring["token_key"].as_array().unwrap();
        let keys = listed.iter().filter(|key| key["realm"].as_str() == Some(name)).map(read_key).collect();
        realms.insert(name.clone(), Realm { rules, keys, header });
    }
    realms
}

fn read_key(listed: &toml::Value) -> Key {
    let text = |field: &str| listed.get(field).and_then(toml::Value::as_str);
    let kid = text("kid").unwrap().to_owned();
    let algorithm = Algorithm::from_name(text("alg").unwrap()).unwrap();
    let made = match text("secret") {
        Some(secret) => Key::from_secret(kid, algorithm, &BASE64_STANDARD.decode(secret).unwrap()),
        None => Key::from_pem(kid, algorithm, text("public_key"), text("private_key")),
    };
    made.unwrap_or_else(|error| panic!("{error}"))
}

/// The one token that a request presents, where it presents one.
fn token_of<'a>(request: &'a Value, realm: &Realm) -> Option<&'a str> {
    let headers = request["headers"].as_array()?;
    let mut tokens = headers.iter().filter_map(|header| {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        if name.eq_ignore_ascii_case("authorization") {
            let (scheme, rest) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
        } else {
            realm.header.as_ref().filter(|known| known.eq_ignore_ascii_case(name)).map(|_| value)
        }
    });
    tokens.next().filter(|_| tokens.next().is_none())
}

fn time(number: &Value) -> Timestamp {
    let text = number.to_string();
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    Timestamp::new(seconds.parse().unwrap(), format!("{fraction:0<9}").parse().unwrap()).unwrap()
}

/// What `reason` says about the token; `None` where it may say nothing.
fn expected(reason: &str) -> Option<Result<(), Fault>> {
    match reason {
        "invalid_token" => Some(Err(Fault::Invalid)),
        "token_expired" => Some(Err(Fault::Expired)),
        "token_not_yet_valid" => Some(Err(Fault::NotYetValid)),
        "ok" | "token_revoked" | "wrong_environment" | "suspended" | "pending" | "tenant_mismatch"
        | "ip_not_allowed" | "insufficient_scope" | "rate_limited" => Some(Ok(())),
        _ => None,
    }
}

#[test]
fn vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    for (name, least) in [("tokens.json", 120), ("aver.json", 15), ("interstellas.json", 20)] {
        let file: Value = serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        let realms = realms(&file);
        let mut tried = 0;
        for case in file["cases"].as_array().unwrap() {
            let (request, expect) = (&case["request"], &case["expect"]);
            let realm = &realms[request["realm"].as_str().unwrap()];
            let public = request["path"] == "/auth/signin";
            let (Some(expected), Some(token), false) =
                (expected(expect["reason"].as_str().unwrap()), token_of(request, realm), public)
            else {
                continue;
            };
            tried += 1;
            let case_name = format!("{name}: {}", case["name"]);
            let verdict = verify(token.as_bytes(), &realm.rules, &realm.keys, time(&case["now"]));
            assert_eq!(verdict.as_ref().map(|_| ()), expected.as_ref().map(|&()| ()), "{case_name}");
            let Ok(claims) = verdict else { continue };
            if let Some(subject) = expect["subject"].as_str() {
                assert_eq!(claims.subject(), Some(subject), "{case_name}");
            }
            if let (Some(scope), "tokens.json") = (expect["scope"].as_str(), name) {
                assert!(!claims.has_scope(scope), "{case_name}");
            }
            if let (Some(key_id), "tokens.json") = (expect["key_id"].as_str(), name) {
                assert_eq!(claims.key(), KeyClaim::Id(key_id), "{case_name}");
            }
            if expect["reason"] == "token_revoked" {
                assert_ne!(claims.key(), KeyClaim::Absent, "{case_name}");
            }
        }
        assert!(tried >= least, "{name}: only {tried} cases concern tokens");
    }
}
