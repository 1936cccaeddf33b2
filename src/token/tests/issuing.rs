use super::*;
use crate::token::{Grant, IssueError, KeyClaim, issue};

const GRANT: Grant<'static> =
    Grant { subject: "ada", tenant: Some("acme"), scopes: &["read", "write"], key_id: "key_01" };

#[test]
fn what_is_issued_passes_for_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let key = key("k-1", algorithm);
        let mut rules = rules();
        rules.max_lifetime = Some(rules.lifetime);
        let token = issue(&rules, &key, &GRANT, Timestamp::new(NOW, 999_999_999).unwrap()).unwrap();
        let keys = [key, super::key("k-2", algorithm)];
        let claims = verify(token.as_bytes(), &rules, &keys, now()).unwrap();
        assert_eq!(claims.subject(), Some("ada"));
        assert_eq!(claims.key(), KeyClaim::Id("key_01"));
        assert!(claims.in_tenants("acme") && !claims.in_tenants("ada"));
        assert!(claims.has_scope("read") && claims.has_scope("write") && !claims.has_scope("admin"));
        let last = Timestamp::new(NOW + 3599, 999_999_999).unwrap();
        assert!(verify(token.as_bytes(), &rules, &keys, last).is_ok());
        let after = Timestamp::from_seconds(NOW + 3600);
        assert_eq!(verify(token.as_bytes(), &rules, &keys, after), Err(Fault::Expired));
    }
}

#[test]
fn a_public_half_verifies_what_the_private_half_issued() {
    for algorithm in Algorithm::ALL.into_iter().filter(|&algorithm| !takes_secret(algorithm)) {
        let pair = Pair::of(algorithm);
        let private = Key::from_pem("k".to_owned(), algorithm, None, Some(&pair.private)).unwrap();
        let public = Key::from_pem("k".to_owned(), algorithm, Some(&pair.public), None).unwrap();
        let token = issue(&rules(), &private, &GRANT, now()).unwrap();
        for key in [public, private] {
            assert!(verify(token.as_bytes(), &rules(), &[key], now()).is_ok(), "{algorithm}");
        }
    }
}

#[test]
fn the_claims_have_the_configured_names() {
    let rules = TokenRules {
        subject_claim: "user".to_owned(),
        tenants_claim: "businesses".to_owned(),
        scope_claim: "permissions".to_owned(),
        key_claim: "key".to_owned(),
        ..rules()
    };
    let part = |token: &str, index| {
        let part = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&part).unwrap()
    };
    let token = issue(&rules, &key("k", Algorithm::HS256), &GRANT, now()).unwrap();
    assert_eq!(part(&token, 0), serde_json::json!({"alg": "HS256", "typ": "JWT", "kid": "k"}));
    assert_eq!(
        part(&token, 1),
        serde_json::json!({
            "iss": "us", "aud": "them", "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "user": "ada",
            "businesses": ["acme"], "permissions": "read write", "key": "key_01",
        })
    );
    let bare = Grant { tenant: None, scopes: &[], ..GRANT };
    let token = issue(&rules, &key("k", Algorithm::HS256), &bare, now()).unwrap();
    assert_eq!(
        part(&token, 1),
        serde_json::json!({
            "iss": "us", "aud": "them", "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "user": "ada",
            "key": "key_01",
        })
    );
}

#[test]
fn no_token_is_issued_for_longer_than_it_would_be_accepted() {
    let keys = [key("k", Algorithm::HS256)];
    for (lifetime, max_lifetime, seconds) in
        [(3600, Some(600), 600), (u64::MAX, Some(600), 600), (600, Some(3600), 600), (600, None, 600)]
    {
        let rules = TokenRules { lifetime, max_lifetime, ..rules() };
        let token = issue(&rules, &keys[0], &GRANT, now()).unwrap();
        let decided =
            |after| verify(token.as_bytes(), &rules, &keys, Timestamp::from_seconds(NOW + after)).map(drop);
        assert_eq!(decided(seconds - 1), Ok(()), "{lifetime} {max_lifetime:?}");
        assert_eq!(decided(seconds), Err(Fault::Expired), "{lifetime} {max_lifetime:?}");
    }
}

#[test]
fn what_cannot_be_issued() {
    let secret = key("k", Algorithm::HS256);
    for algorithm in Algorithm::ALL.into_iter().filter(|&algorithm| !takes_secret(algorithm)) {
        let public =
            Key::from_pem("k".to_owned(), algorithm, Some(&Pair::of(algorithm).public), None).unwrap();
        assert!(!public.can_sign());
        let refused = issue(&rules(), &public, &GRANT, now());
        assert_eq!(refused, Err(IssueError::CannotSign { kid: "k".to_owned() }), "{algorithm}");
    }
    for scope in ["", " ", "read write", "read "] {
        let refused = issue(&rules(), &secret, &Grant { scopes: &["a", scope], ..GRANT }, now());
        assert_eq!(refused, Err(IssueError::Scope { scope: scope.to_owned() }));
    }
    let same = TokenRules { key_claim: "sub".to_owned(), ..rules() };
    assert_eq!(issue(&same, &secret, &GRANT, now()), Err(IssueError::ClaimName { name: "sub".to_owned() }));
    let subject = "x".repeat(8192);
    let refused = issue(&rules(), &secret, &Grant { subject: &subject, ..GRANT }, now());
    assert!(matches!(refused, Err(IssueError::TooLong { found }) if found > 8192), "{refused:?}");
}
