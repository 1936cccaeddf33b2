//! Tokens that keyward issues itself, bound to a key.

use super::LONGEST;
use super::key::Key;
use crate::realm::TokenRules;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// What an issued token says besides the rules of its credential.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whom it is about.
    pub subject: &'a str,
    /// The tenant, where the key has one.
    pub tenant: Option<&'a str>,
    /// The scopes; none of them empty or with a space in it.
    pub scopes: &'a [&'a str],
    /// The id of the key that it is bound to: revoking that revokes the token.
    pub key_id: &'a str,
}

/// Why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The key has no private half.
    #[error("token key `{kid}` has no `private_key`, so it cannot issue tokens; add it to the keyring")]
    CannotSign {
        /// The key's id.
        kid: String,
    },
    /// The scope claim cannot say this scope.
    #[error(
        "the scope `{scope}` is empty or has a space in it, and spaces separate scopes in a token; rename it"
    )]
    Scope {
        /// The scope.
        scope: String,
    },
    /// Two claims have the same name.
    #[error("two claims of the token would be named `{name}`; give each `…_claim` a name of its own")]
    ClaimName {
        /// The name.
        name: String,
    },
    /// The token would be refused for its size.
    #[error(
        "the token would have {found} bytes, more than the {LONGEST} that are accepted; grant fewer scopes"
    )]
    TooLong {
        /// How long it would be.
        found: usize,
    },
}

/// Issues a token by the rules of a credential: signed with `key`, for what `grant` says, from `now` on.
pub fn issue(rules: &TokenRules, key: &Key, grant: &Grant<'_>, now: Timestamp) -> Result<String, IssueError> {
    let header = json!({ "alg": key.algorithm().name(), "typ": "JWT", "kid": key.kid() });
    let payload = payload(rules, grant, now.seconds())?;
    let mut token = encode(&header);
    token.push('.');
    token.push_str(&encode(&payload));

    let signature =
        key.sign(token.as_bytes()).ok_or_else(|| IssueError::CannotSign { kid: key.kid().to_owned() })?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    if token.len() > LONGEST {
        return Err(IssueError::TooLong { found: token.len() });
    }
    Ok(token)
}

fn payload(rules: &TokenRules, grant: &Grant<'_>, now: u64) -> Result<Value, IssueError> {
    // A token that lived longer would be refused, and the default of `lifetime` may be longer.
    let lifetime = rules.max_lifetime.map_or(rules.lifetime, |longest| rules.lifetime.min(longest));
    if let Some(scope) = grant.scopes.iter().find(|scope| scope.is_empty() || scope.contains(' ')) {
        return Err(IssueError::Scope { scope: (*scope).to_owned() });
    }
    let claims = [
        ("iss", Some(json!(rules.issuer))),
        ("aud", Some(json!(rules.audience))),
        ("iat", Some(json!(now))),
        ("nbf", Some(json!(now))),
        ("exp", Some(json!(now.saturating_add(lifetime)))),
        (&rules.subject_claim, Some(json!(grant.subject))),
        (&rules.tenants_claim, grant.tenant.map(|tenant| json!([tenant]))),
        (&rules.scope_claim, (!grant.scopes.is_empty()).then(|| json!(grant.scopes.join(" ")))),
        (&rules.key_claim, Some(json!(grant.key_id))),
    ];
    let mut payload = Map::new();
    for (name, value) in claims {
        let Some(value) = value else { continue };
        if payload.insert(name.to_owned(), value).is_some() {
            return Err(IssueError::ClaimName { name: name.to_owned() });
        }
    }
    Ok(Value::Object(payload))
}

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}
