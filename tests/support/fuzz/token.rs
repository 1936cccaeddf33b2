//! Tokens. `t` and a token as it is, or `s`, the number of a key, and on two lines a header and a payload that
//! are signed with that key, so that what is behind the signature is reached.

use super::lines;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use keyward::realm::TokenRules;
use keyward::time::Timestamp;
use keyward::token::{Algorithm, Key, KeyClaim, verify};
use serde_json::Value;

/// When tokens are verified.
const NOW: u64 = 1_764_000_000;

const SECRETS: [(&str, &str); 3] = [
    ("HS256", "dGhpcnR5LXR3byBieXRlcywgbm90IG9uZSBtb3JlLi4="),
    ("HS384", "Zm9ydHktZWlnaHQgYnl0ZXMgYXJlIHdoYXQgSFMzODQgYXNrcyBmb3IsIGhlcmUu"),
    ("HS512", "c2l4dHktZm91ciBieXRlcyBhcmUgd2hhdCBIUzUxMiBhc2tzIGZvciwgYW5kIHNvIHRoZXkgYXJlIGhlcmUuLg=="),
];

fn secret(number: usize) -> Vec<u8> {
    BASE64_STANDARD.decode(SECRETS[number].1).expect("it is base64")
}

fn sign(number: usize, message: &[u8]) -> Vec<u8> {
    let scheme = [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512][number];
    hmac::sign(&hmac::Key::new(scheme, &secret(number)), message).as_ref().to_vec()
}

fn rules(max_lifetime: Option<u64>) -> TokenRules {
    TokenRules {
        issuer: "https://issuer.example.com".to_owned(),
        audience: "many".to_owned(),
        leeway: 30,
        lifetime: 600,
        max_lifetime,
        subject_claim: "sub".to_owned(),
        tenants_claim: "tenants".to_owned(),
        scope_claim: "scope".to_owned(),
        key_claim: "client_id".to_owned(),
    }
}

/// Verifies a token.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let token = match how {
        b't' => rest.to_vec(),
        b's' => {
            let Some((&number, rest)) = rest.split_first() else { return };
            let mut lines = lines(rest);
            let parts = [lines.next(), lines.next()]
                .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.unwrap_or_default()));
            let signed = parts.join(".");
            let signature = sign(usize::from(number) % 3, signed.as_bytes());
            format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into_bytes()
        }
        _ => return,
    };
    let keys: Vec<Key> = SECRETS
        .iter()
        .enumerate()
        .map(|(number, (name, _))| {
            let algorithm = Algorithm::from_name(name).expect("it is one");
            Key::from_secret(format!("k-{name}"), algorithm, &secret(number)).expect("it is long enough")
        })
        .collect();
    let now = Timestamp::from_seconds(NOW);
    for (keys, max_lifetime) in
        [(&keys[..], None), (&keys[..], Some(600)), (&keys[..1], None), (&[][..], None)]
    {
        let rules = rules(max_lifetime);
        let verified = verify(&token, &rules, keys, now);
        let Ok(claims) = &verified else { continue };
        let payload = accepted(&token, keys, max_lifetime);
        assert_eq!(claims.subject(), payload["sub"].as_str());
        match (claims.key(), payload.get("client_id")) {
            (KeyClaim::Absent, None) => {}
            (KeyClaim::Id(id), Some(said)) => assert_eq!(Some(id), said.as_str()),
            (KeyClaim::NotAnId, Some(said)) => assert!(!said.is_string()),
            (found, said) => panic!("{found:?} of {said:?}"),
        }
        let later = verify(&token, &rules, keys, Timestamp::from_seconds(u64::MAX));
        assert!(
            later.is_err() || payload["exp"].as_f64().is_some_and(|exp| exp > 1e19),
            "no token lives for ever"
        );
        let mut flipped = token.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        assert!(verify(&flipped, &rules, keys, now).is_err(), "a changed token is another");
    }
}

/// Holds a token that was accepted against what docs/DECISIONS.md section 7 asks of one; its payload.
fn accepted(token: &[u8], keys: &[Key], max_lifetime: Option<u64>) -> Value {
    let text = str::from_utf8(token).expect("base64url is text");
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{} parts", parts.len()) };
    let json = |part: &str| -> Value {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("canonical base64url");
        serde_json::from_slice(&bytes).expect("it is JSON")
    };
    let (header, claims) = (json(header), json(payload));
    assert!(header.is_object() && claims.is_object() && header.get("crit").is_none());
    let kid = header.get("kid").map(|kid| kid.as_str().expect("a name"));
    let key = keys.iter().find(|key| kid.is_none_or(|kid| key.kid() == kid)).expect("a key of the realm");
    assert!(kid.is_some() || keys.len() == 1);
    assert_eq!(header["alg"].as_str(), Some(key.algorithm().name()));
    let number = SECRETS.iter().position(|(name, _)| *name == key.algorithm().name()).expect("it is known");
    let signed = &text[..text.len() - signature.len() - 1];
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(sign(number, signed.as_bytes())), signature);
    let typ = header.get("typ").map(|typ| typ.as_str().expect("a text").to_ascii_lowercase());
    assert!(typ.is_none_or(|typ| ["jwt", "at+jwt", "application/at+jwt"].contains(&&*typ)));
    assert_eq!(claims["iss"], "https://issuer.example.com");
    assert!(
        claims["aud"] == "many"
            || claims["aud"].as_array().is_some_and(|list| list.contains(&Value::from("many")))
    );
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().expect("a number"));
    let (now, exp) = (NOW as f64, time("exp").expect("it ends"));
    // A double is exact to a fraction of a microsecond here.
    assert!(now < exp + 30.0 + 1e-3);
    assert!(time("nbf").is_none_or(|nbf| now >= nbf - 30.0 - 1e-3));
    assert!(time("iat").is_none_or(|iat| iat <= now + 30.0 + 1e-3));
    if let Some(longest) = max_lifetime {
        assert!(exp - time("iat").expect("it says since when") <= longest as f64 + 1e-3);
    }
    claims
}
