//! The configuration: realms with their credentials, routes, rate limits and answers.
//!
//! These types are what `keyward.toml` says once it has been read and checked ([`Configuration::read`]),
//! and what a snapshot carries to the servers, as JSON. Whoever holds one may rely on every rule of
//! docs/DECISIONS.md sections 1, 4 and 10; what comes out of a snapshot is put through the same checks again
//! ([`Realm::check`]), because a file can say anything.

pub(crate) mod document;
mod fault;
mod issuing;
pub mod key_format;
#[cfg(feature = "build")]
mod new_key;
mod read;
mod route_rules;
mod rules;

pub(crate) use fault::known_names;
pub use fault::{ConfigError, Fault, KeyPath, Step};
pub use issuing::Issuing;
#[cfg(feature = "build")]
pub use new_key::NewKeyError;
pub use route_rules::{MOST_SEGMENTS, PathError, Segment, segments};
pub use rules::{MAX_CREDENTIALS, MAX_ENVIRONMENTS, MAX_NAME, MAX_RATE_LIMITS};
pub(crate) use rules::{MAX_KEY, MAX_PAIR, MAX_SECONDS};

use crate::request::credential::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that `keyward.toml` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The realms, in the order of their names.
    pub realms: Vec<Realm>,
}

/// One protected API (RFC 9110 section 11.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Realm {
    /// The name that requests give.
    pub name: String,
    /// What challenges call it; bytes 0x20 to 0x7E.
    pub title: String,
    /// The closed list of environments, as configured.
    pub environments: Vec<String>,
    /// Host, in lower case, to the environment that its requests expect; `None`: hosts are not consulted.
    pub hosts: Option<BTreeMap<String, String>>,
    /// Whether requests without TLS are refused.
    pub require_tls: bool,
    /// Names of the credentials that a request needs where its route says nothing.
    pub default_require: Vec<String>,
    /// What happens to an authenticated request that no route matches.
    pub unmatched: Unmatched,
    /// Peers whose `client_ip_header` is believed, as configured: addresses, CIDRs and `unix`.
    pub trusted_proxies: Vec<String>,
    /// The header that trusted proxies name the client in.
    pub client_ip_header: Option<String>,
    /// The rate limit of keys that name none.
    pub default_rate_limit: Option<String>,
    /// The credentials, in the order of their names.
    pub credentials: Vec<Credential>,
    /// The routes, as configured.
    pub routes: Vec<Route>,
    /// The rate limits, in the order of their names.
    pub rate_limits: Vec<RateLimit>,
    /// Answers that differ from the default, by the name of a reason or a group.
    pub errors: BTreeMap<String, AnswerOverride>,
    /// Rules for making keys; no snapshot has them.
    #[serde(skip)]
    pub issuing: Issuing,
}

impl Realm {
    /// Whether keys are looked up by their digests, for which a pepper is needed.
    pub fn needs_digests(&self) -> bool {
        let digested =
            |kind: &CredentialKind| matches!(kind, CredentialKind::Key(_) | CredentialKind::Basic(_));
        self.credentials.iter().any(|credential| digested(&credential.kind))
    }

    /// Whether tokens can be bound to the realm's keys.
    pub fn has_tokens(&self) -> bool {
        self.credentials.iter().any(|credential| matches!(credential.kind, CredentialKind::Token(_)))
    }
}

/// What happens to an authenticated request that no route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It is refused as `route_not_allowed`.
    Deny,
    /// Authentication is enough.
    Authenticated,
}

/// A named thing that a request presents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The name that routes require it by, and part of what its digests are derived from.
    pub name: String,
    /// Where it is looked for, in the order configured; at least one.
    pub sources: Vec<Source>,
    /// What it is.
    pub kind: CredentialKind,
}

/// What a credential is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An opaque text that a key is looked up by.
    Key(KeyRules),
    /// An id and a secret that a key is looked up by.
    Basic(KeyRules),
    /// A signed token (JWS compact).
    Token(TokenRules),
    /// The name of a tenant.
    Tenant,
}

/// The rules of a credential that keys are looked up by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRules {
    /// The format of the key, or of the pair's secret; `None`: whatever extraction lets through.
    pub format: Option<key_format::KeyFormat>,
    /// Whether keys may be given as their SHA-256 digest. Then every digest of this credential goes
    /// over the SHA-256 of what was presented, so that a key is found however it was given.
    pub sha256: bool,
    /// Whether a keystore keeps keys sealed, so that their owners may read them again; no snapshot says so.
    #[serde(skip)]
    pub retrievable: bool,
}

/// The rules of a token credential. Claim names are the top-level members of the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRules {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// How far clocks may differ, in seconds.
    pub leeway: u64,
    /// How long a token that keyward issues is valid, in seconds.
    pub lifetime: u64,
    /// The longest `exp - iat` that is accepted, in seconds; a token without `iat` is then refused.
    pub max_lifetime: Option<u64>,
    /// The claim that names the subject.
    pub subject_claim: String,
    /// The claim that lists the tenants.
    pub tenants_claim: String,
    /// The claim that lists the scopes, separated by spaces.
    pub scope_claim: String,
    /// The claim that names the key that the token is bound to.
    pub key_claim: String,
}

/// A method and path, with what it requires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The methods; `None`: every method. Never empty.
    pub methods: Option<Vec<String>>,
    /// Literal segments, `{name}` and, last, `{*rest}`.
    pub path: String,
    /// Names of the credentials that it needs; empty: public. Already `default_require` where the
    /// configuration says nothing.
    pub require: Vec<String>,
    /// Scopes that are all needed.
    pub scopes: Vec<String>,
    /// Scopes of which one is needed, where there are any.
    pub any_scopes: Vec<String>,
}

/// How many requests a key may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The name that keys choose it by.
    pub name: String,
    /// Requests in a period; at least 1.
    pub requests: u64,
    /// Seconds; at least 1.
    pub period: u64,
    /// Requests that may come at once; at least 1.
    pub burst: u64,
}

/// What an answer has in place of the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerOverride {
    /// The status, 400 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The `Content-Type` of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body, with placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}
