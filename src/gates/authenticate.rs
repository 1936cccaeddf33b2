//! Gate 4: is every required credential there, and is it good?

use super::observe::{Finding, Gate, Observer};
use super::plan::{CredentialPlan, Expected, KeyPlan, KindPlan};
use super::verdict::{Challenge, Outcome};
use super::{Passage, Refusal};
use crate::digest::sha256;
use crate::format::record::NEVER;
use crate::realm::TokenRules;
use crate::realm::key_format::Fit;
use crate::reason::Reason;
use crate::record::Status;
use crate::request::credential::{Fault, Presented, Scratch};
use crate::request::{HeaderList, Request};
use crate::snapshot::Entry;
use crate::time::Timestamp;
use crate::token::{self, Claims, KeyClaim};
use arrayvec::ArrayVec;

/// Who a request comes from, as far as the gates that follow ask.
#[derive(Default)]
pub(super) struct Identity<'h> {
    /// The key: of the first required key or basic credential; with none required, the one that a token
    /// is bound to.
    pub(super) key: Option<Entry>,
    /// Whether a key or basic credential was required.
    pub(super) by_key: bool,
    /// The keys that tokens are bound to.
    pub(super) bound: Few<Entry>,
    /// The claims of each token, with the credential that gave it.
    pub(super) tokens: Few<Claims>,
    /// What tenant credentials said.
    pub(super) tenants: Few<&'h [u8]>,
    /// The credential whose scopes count, as a challenge.
    pub(super) scopes_of: Option<Challenge>,
}

impl Identity<'_> {
    /// The subject, where a token was required.
    pub(super) fn subject(&self) -> Option<Box<str>> {
        self.tokens.iter().next().and_then(|claims| claims.subject()).map(Box::from)
    }
}

/// A list that is almost always short: the first few without an allocation.
pub(super) struct Few<T> {
    first: ArrayVec<T, 2>,
    rest: Vec<T>,
}

impl<T> Default for Few<T> {
    #[inline]
    fn default() -> Self {
        Self { first: ArrayVec::new_const(), rest: Vec::new() }
    }
}

impl<T> Few<T> {
    #[inline]
    fn push(&mut self, item: T) {
        if let Err(full) = self.first.try_push(item) {
            self.rest.push(full.element());
        }
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }
}

/// Takes every required credential out of the request, in order, and then verifies each.
///
/// While it works, `outcome.challenge` is that of the credential at hand.
#[inline]
pub(super) fn authenticate<'h, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'h, H>,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<Identity<'h>, Refusal> {
    let mut scratch = Scratch::new();
    let mut identity = Identity::default();
    // What was taken out, for up to four credentials; further ones are taken out again when their turn
    // comes.
    let mut presented: ArrayVec<Presented<'h>, 4> = ArrayVec::new_const();
    for &number in passage.require {
        let credential = passage.realm.credential(number).ok_or(Reason::Unavailable)?;
        let taken = extract(credential, number, request, &mut scratch, outcome, observer)?;
        let _ = presented.try_push(taken);
    }
    for (at, &number) in passage.require.iter().enumerate() {
        let credential = passage.realm.credential(number).ok_or(Reason::Unavailable)?;
        let again;
        let presented = match presented.get(at) {
            Some(presented) => presented,
            None => {
                again = extract(credential, number, request, &mut scratch, outcome, observer)?;
                &again
            }
        };
        let challenge = Challenge { credential: number, source: presented.source(), missing: false };
        outcome.challenge = Some(challenge);
        let verified =
            match &credential.kind {
                KindPlan::Key(keys) => verify_key(passage, request, credential, keys, presented, &scratch)
                    .map(|entry| {
                        if !identity.by_key {
                            identity.key = Some(entry);
                            identity.scopes_of = Some(challenge);
                            identity.by_key = true;
                        }
                    }),
                KindPlan::Token(rules) => verify_token(passage, request, rules, presented.bytes(&scratch))
                    .map(|(claims, bound)| {
                        if let Some(entry) = bound {
                            identity.bound.push(entry);
                        }
                        identity.tokens.push(claims);
                        identity.scopes_of.get_or_insert(challenge);
                    }),
                KindPlan::Tenant => {
                    identity.tenants.push(presented.header_value().unwrap_or_default());
                    Ok(())
                }
            };
        if let Err(refusal) = verified {
            if let Refusal::Reason(reason) = refusal {
                observer.saw(Gate::Credential, Finding::RefusedCredential(&credential.name, reason));
            }
            return Err(refusal);
        }
        observer.saw(Gate::Credential, Finding::Credential(&credential.name, "good"));
    }
    if !identity.by_key {
        identity.key = identity.bound.iter().next().copied();
    }
    Ok(identity)
}

#[inline]
fn extract<'h, H: HeaderList + ?Sized, O: Observer>(
    credential: &CredentialPlan,
    number: u16,
    request: &Request<'h, H>,
    scratch: &mut Scratch,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<Presented<'h>, Refusal> {
    match credential.extractor.extract(request.headers, scratch) {
        Ok(presented) => {
            observer.saw(Gate::Extraction, Finding::Credential(&credential.name, "presented"));
            Ok(presented)
        }
        Err(failure) => {
            let missing = failure.fault == Fault::Missing;
            outcome.challenge = Some(Challenge { credential: number, source: failure.source, missing });
            let reason = failure.fault.reason();
            observer.saw(Gate::Extraction, Finding::RefusedCredential(&credential.name, reason));
            Err(reason.into())
        }
    }
}

/// The environment that the request expects keys of.
#[inline]
fn expected<H: HeaderList + ?Sized>(passage: &Passage<'_>, request: &Request<'_, H>) -> Expected {
    match request.environment {
        Some(name) => passage.realm.named_environment(name),
        None => passage.realm.host_environment(request.host),
    }
}

#[inline]
fn verify_key<H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    credential: &CredentialPlan,
    keys: &KeyPlan,
    presented: &Presented<'_>,
    scratch: &Scratch,
) -> Result<Entry, Refusal> {
    let whole = presented.bytes(scratch);
    if let Some(matcher) = &keys.matcher {
        // The format of a pair is that of its secret.
        let formatted = presented.pair(scratch).map_or(whole, |(_, secret)| secret);
        if matcher.fit(formatted) == Fit::Not {
            return Err(Reason::MalformedCredential.into());
        }
    }
    let hash;
    let hashed = if keys.sha256 {
        hash = sha256(whole);
        &hash[..]
    } else {
        whole
    };
    let mut found = None;
    for (pepper, key) in keys.digest_keys.iter().enumerate() {
        let prepared = passage.prepared.filter(|prepared| prepared.is_for(credential.number, pepper));
        let digest = prepared.map_or_else(|| key.digest(hashed), |prepared| prepared.digest);
        found = passage.plan.snapshot().find(&digest)?;
        if found.is_some() {
            break;
        }
    }
    let entry = found.ok_or(Reason::UnknownKey)?;
    // A digest belongs to one credential by the key that it was made with; a file that says otherwise
    // was not written by keyward.
    if entry.attributes().credential != credential.number {
        return Err(Reason::Unavailable.into());
    }
    let attributes = entry.attributes();
    if attributes.status == Status::Revoked {
        return Err(Reason::Revoked.into());
    }
    if passage.now < Timestamp::from_seconds(attributes.not_before) {
        return Err(Reason::NotYetValid.into());
    }
    if has_expired(&entry, passage.now) {
        return Err(Reason::Expired.into());
    }
    if !expected(passage, request).accepts(attributes.environment) {
        return Err(Reason::WrongEnvironment.into());
    }
    passage.plan.snapshot().ensure_names(&entry)?;
    Ok(entry)
}

#[inline]
fn has_expired(entry: &Entry, now: Timestamp) -> bool {
    let expires_at = entry.attributes().expires_at;
    expires_at != NEVER && now >= Timestamp::from_seconds(expires_at)
}

fn verify_token<H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    rules: &TokenRules,
    presented: &[u8],
) -> Result<(Claims, Option<Entry>), Refusal> {
    let keys = passage.plan.keyring().token_keys(&passage.realm.name);
    let claims = token::verify(presented, rules, keys, passage.now).map_err(|fault| match fault {
        token::Fault::Invalid => Reason::InvalidToken,
        token::Fault::Expired => Reason::TokenExpired,
        token::Fault::NotYetValid => Reason::TokenNotYetValid,
    })?;
    let bound = match claims.key() {
        KeyClaim::Absent => None,
        KeyClaim::NotAnId => return Err(Reason::TokenRevoked.into()),
        KeyClaim::Id(id) => Some(bound_key(passage, request, id)?),
    };
    Ok((claims, bound))
}

/// The key that a token names, if it still counts.
fn bound_key<H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    id: &str,
) -> Result<Entry, Refusal> {
    let snapshot = passage.plan.snapshot();
    let entry = snapshot.find_id(passage.number, id)?.ok_or(Reason::TokenRevoked)?;
    if entry.attributes().status == Status::Revoked || has_expired(&entry, passage.now) {
        return Err(Reason::TokenRevoked.into());
    }
    if !expected(passage, request).accepts(entry.attributes().environment) {
        return Err(Reason::WrongEnvironment.into());
    }
    snapshot.ensure_names(&entry)?;
    Ok(entry)
}
