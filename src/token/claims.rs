//! What a verified token says.

use super::strict_json::Object;
use crate::realm::TokenRules;
use serde_json::Value;

/// The claims of a token that passed, as the gates ask for them. A claim of another type than it should
/// have says nothing (docs/DECISIONS.md section 7), except that of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    subject: Option<String>,
    tenants: Vec<String>,
    scope: Option<String>,
    key: Option<Option<String>>,
}

/// What a token says about the key that it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyClaim<'a> {
    /// Nothing: it is bound to none.
    Absent,
    /// The key's id.
    Id(&'a str),
    /// Something that is no string, which names no key: a token for that is refused.
    NotAnId,
}

impl Claims {
    pub(super) fn of(payload: &Object<'_>, rules: &TokenRules) -> Self {
        let one_tenant = payload.read_as(&rules.tenants_claim).map(|tenant| vec![tenant]);
        let tenants = one_tenant.or_else(|| payload.read_as(&rules.tenants_claim));
        Self {
            subject: payload.read_as(&rules.subject_claim),
            tenants: tenants.unwrap_or_default(),
            scope: payload.read_as(&rules.scope_claim),
            key: payload.has(&rules.key_claim).then(|| payload.read_as(&rules.key_claim)),
        }
    }

    /// Whom the token is about.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether `tenant` is in the tenants claim, a string or a list of nothing but strings, byte for byte.
    pub fn in_tenants(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|listed| listed == tenant)
    }

    /// Whether `scope` is in the scope claim. Only spaces separate scopes (RFC 6749 section 3.3).
    pub fn has_scope(&self, scope: &str) -> bool {
        let listed = self.scope.as_deref().unwrap_or("");
        !scope.is_empty() && listed.split(' ').any(|one| one == scope)
    }

    /// The key that the token is bound to.
    pub fn key(&self) -> KeyClaim<'_> {
        match &self.key {
            None => KeyClaim::Absent,
            Some(None) => KeyClaim::NotAnId,
            Some(Some(id)) => KeyClaim::Id(id),
        }
    }
}

/// Whether `aud` is `audience`, or a list that contains it (RFC 7519 section 4.1.3). What else is in the
/// list is for others.
pub(super) fn is_for(payload: &Object<'_>, audience: &str) -> bool {
    match payload.read_as("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}
