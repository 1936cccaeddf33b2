//! Tokens for keys that passed: what a token endpoint answers with.

use super::plan::{KindPlan, Plan};
use super::verdict::Verdict;
use crate::time::Timestamp;
use crate::token::{self, Grant};
use std::ops::Deref;
use thiserror::Error;

/// Why no token was issued.
#[derive(Debug, Error)]
pub enum IssueRefusal {
    /// The request was not allowed, or not with a key.
    #[error("a token is issued for a key whose request was allowed; this verdict is not one of those")]
    NotAKey,
    /// The realm has no such token credential.
    #[error("the realm has no token credential{}: name one that it has", name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default())]
    NoCredential {
        /// The name that was asked for; `None`: the only one was asked for, and there is none or several.
        name: Option<String>,
    },
    /// The keyring has no such key that can sign.
    #[error("the keyring has no token key{} of the realm that can sign: add its secret or its private_key", kid.as_ref().map(|kid| format!(" \"{kid}\"")).unwrap_or_default())]
    NoSigningKey {
        /// The key id that was asked for.
        kid: Option<String>,
    },
    /// The library refused.
    #[error(transparent)]
    Token(#[from] token::IssueError),
}

impl<P: Deref<Target = Plan>> Verdict<'_, P> {
    /// Issues a token that is bound to the key of this allowed verdict, under the rules of the realm's
    /// token credential of that name (or the only one), signed with the token key `kid` (or the last one
    /// listed that can sign). The subject is the key's id where no other is named.
    pub fn issue(
        &self,
        credential: Option<&str>,
        kid: Option<&str>,
        subject: Option<&str>,
        now: Timestamp,
    ) -> Result<String, IssueRefusal> {
        let key_id = self.key_id().filter(|_| self.is_allowed()).ok_or(IssueRefusal::NotAKey)?;
        let plan = self.plan.as_deref().ok_or(IssueRefusal::NotAKey)?;
        let realm = self
            .outcome
            .realm
            .and_then(|number| plan.realm_by_number(number))
            .ok_or(IssueRefusal::NotAKey)?;
        let mut rules = realm.credentials.iter().filter_map(|known| match &known.kind {
            KindPlan::Token(rules) if credential.is_none_or(|name| *known.name == *name) => Some(rules),
            _ => None,
        });
        let (Some(rules), None) = (rules.next(), rules.next()) else {
            return Err(IssueRefusal::NoCredential { name: credential.map(str::to_owned) });
        };
        let mut keys = plan.keyring().token_keys(&realm.name).iter().rev();
        let key = keys
            .find(|key| key.can_sign() && kid.is_none_or(|kid| key.kid() == kid))
            .ok_or_else(|| IssueRefusal::NoSigningKey { kid: kid.map(str::to_owned) })?;
        let scopes: Vec<&str> = self.scopes().collect();
        let grant =
            Grant { subject: subject.unwrap_or(key_id), tenant: self.tenant(), scopes: &scopes, key_id };
        Ok(token::issue(rules, key, &grant, now)?)
    }
}
