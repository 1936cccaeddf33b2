//! Gate 4: is every required credential there, and is it good?

use super::early::{Early, KeyForm};
use super::observe::{Finding, Gate, Observer};
use super::plan::{CredentialPlan, Expected, KeyPlan, KindPlan};
use super::verdict::{Challenge, Outcome};
use super::{Passage, Refusal};
use crate::format::record::NEVER;
use crate::realm::TokenRules;
use crate::reason::Reason;
use crate::record::Status;
use crate::request::credential::{Failure, Fault, Presented, Scratch};
use crate::request::{HeaderList, Request};
use crate::snapshot::{Damaged, Found};
use crate::time::Timestamp;
use crate::token::{self, Claims, KeyClaim};
use arrayvec::ArrayVec;

/// Who a request comes from, as far as the gates that follow ask.
#[derive(Default)]
pub(super) struct Identity<'h> {
    /// The key: of the first required key or basic credential; with none required, the one that a token
    /// is bound to.
    pub(super) key: Option<Found>,
    /// Whether a key or basic credential was required.
    pub(super) by_key: bool,
    /// The credential whose scopes count, as a challenge.
    pub(super) scopes_of: Option<Challenge>,
    /// What requests with a key alone do not have.
    others: Option<Others<'h>>,
}

/// What tokens and tenant credentials said.
#[derive(Default)]
struct Others<'h> {
    bound: Few<Found>,
    tokens: Few<Claims>,
    tenants: Few<&'h [u8]>,
}

impl<'h> Identity<'h> {
    #[inline]
    fn others(&mut self) -> &mut Others<'h> {
        self.others.get_or_insert_default()
    }

    /// The keys that tokens are bound to.
    #[inline]
    pub(super) fn bound(&self) -> impl Iterator<Item = &Found> {
        self.others.iter().flat_map(|others| others.bound.iter())
    }

    /// The claims of each token.
    #[inline]
    pub(super) fn tokens(&self) -> impl Iterator<Item = &Claims> {
        self.others.iter().flat_map(|others| others.tokens.iter())
    }

    /// What tenant credentials said.
    #[inline]
    pub(super) fn tenants(&self) -> impl Iterator<Item = &'h [u8]> {
        self.others.iter().flat_map(|others| others.tenants.iter().copied())
    }

    /// Whether there was nothing but a key.
    #[inline]
    pub(super) const fn is_key_alone(&self) -> bool {
        self.others.is_none()
    }

    /// The subject, where a token was required.
    #[inline]
    pub(super) fn subject(&self) -> Option<Box<str>> {
        if self.is_key_alone() {
            return None;
        }
        self.tokens().next().and_then(|claims| claims.subject()).map(Box::from)
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
    early: &Option<Early<'h>>,
    scratch: &mut Scratch,
    identity: &mut Identity<'h>,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<(), Refusal> {
    match passage.require {
        // Nearly every request.
        &[number] => {
            let credential = passage.realm.credential(number).ok_or(Reason::Unavailable)?;
            let own;
            let (taken, form) = match early {
                Some(early) if early.credential == number => (&early.taken, Some(&early.form)),
                _ => {
                    own = credential.extractor.extract(request.headers, scratch);
                    (&own, None)
                }
            };
            let presented = settle(credential, number, taken, outcome, observer)?;
            verify_one(passage, request, number, presented, scratch, form, identity, outcome, observer)?;
        }
        several => {
            authenticate_each(passage, request, several, early, scratch, identity, outcome, observer)?;
        }
    }
    if !identity.by_key {
        let bound = identity.bound().next().copied();
        identity.key = bound;
    }
    Ok(())
}

/// [`authenticate`] where there are several credentials, or none.
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "one step of `authenticate`, with all that it has at hand")]
fn authenticate_each<'h, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'h, H>,
    several: &[u16],
    early: &Option<Early<'h>>,
    scratch: &mut Scratch,
    identity: &mut Identity<'h>,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<(), Refusal> {
    // What was taken out, for up to four credentials; further ones are taken out again when their
    // turn comes.
    let mut presented: ArrayVec<Presented<'h>, 4> = ArrayVec::new_const();
    for &number in several {
        let taken = take(passage, request, number, scratch, outcome, observer)?;
        let _ = presented.try_push(taken);
    }
    for (at, &number) in several.iter().enumerate() {
        let again;
        let presented = match presented.get(at) {
            Some(presented) => presented,
            None => {
                again = take(passage, request, number, scratch, outcome, observer)?;
                &again
            }
        };
        let form = early.as_ref().filter(|early| early.credential == number).map(|early| &early.form);
        verify_one(passage, request, number, presented, scratch, form, identity, outcome, observer)?;
    }
    Ok(())
}

/// Takes one of several required credentials out of the request.
fn take<'h, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'h, H>,
    number: u16,
    scratch: &mut Scratch,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<Presented<'h>, Refusal> {
    let credential = passage.realm.credential(number).ok_or(Reason::Unavailable)?;
    let taken = credential.extractor.extract(request.headers, scratch);
    settle(credential, number, &taken, outcome, observer).cloned()
}

/// Verifies one credential that was taken out, and adds what it says of the client to `identity`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one step of `authenticate`, with all that it has at hand")]
fn verify_one<'h, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'h, H>,
    number: u16,
    presented: &Presented<'h>,
    scratch: &Scratch,
    form: Option<&KeyForm>,
    identity: &mut Identity<'h>,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<(), Refusal> {
    let credential = passage.realm.credential(number).ok_or(Reason::Unavailable)?;
    let challenge = Challenge::of_presented(number, presented.source());
    outcome.challenge = Some(challenge);
    let verified = verify_kind(passage, request, credential, challenge, presented, scratch, form, identity);
    match &verified {
        Ok(()) => observer.saw(Gate::Credential, Finding::Credential(&credential.name, "good")),
        Err(Refusal::Reason(reason)) => {
            observer.saw(Gate::Credential, Finding::RefusedCredential(&credential.name, *reason));
        }
        Err(Refusal::Damaged) => {}
    }
    verified
}

/// Verifies a credential by the rules of its kind.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one step of `authenticate`, with all that it has at hand")]
fn verify_kind<'h, H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'h, H>,
    credential: &CredentialPlan,
    challenge: Challenge,
    presented: &Presented<'h>,
    scratch: &Scratch,
    form: Option<&KeyForm>,
    identity: &mut Identity<'h>,
) -> Result<(), Refusal> {
    match &credential.kind {
        KindPlan::Key(keys) => {
            // Where it is not the first one, it has to be good, and nothing else is asked of it.
            let key = if identity.by_key { &mut None } else { &mut identity.key };
            verify_key(passage, request, credential, keys, presented, scratch, form, key)?;
            if !identity.by_key {
                identity.scopes_of = Some(challenge);
                identity.by_key = true;
            }
        }
        KindPlan::Token(rules) => {
            let (claims, bound) = verify_token(passage, request, rules, presented.bytes(scratch))?;
            if let Some(entry) = bound {
                identity.others().bound.push(entry);
            }
            identity.others().tokens.push(claims);
            identity.scopes_of.get_or_insert(challenge);
        }
        KindPlan::Tenant => identity.others().tenants.push(presented.header_value().unwrap_or_default()),
    }
    Ok(())
}

/// Turns what extraction found into what goes on, or into the reason that a verdict gives.
#[inline]
fn settle<'t, 'h, O: Observer>(
    credential: &CredentialPlan,
    number: u16,
    taken: &'t Result<Presented<'h>, Failure>,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<&'t Presented<'h>, Refusal> {
    match taken {
        Ok(presented) => {
            observer.saw(Gate::Extraction, Finding::Credential(&credential.name, "presented"));
            Ok(presented)
        }
        Err(failure) => {
            let challenge = Challenge::of_presented(number, failure.source);
            outcome.challenge = Some(Challenge { missing: failure.fault == Fault::Missing, ..challenge });
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

/// Verifies a key, which goes to `key`. Not to the caller: a record and a reason in the same place are moved byte by
/// byte.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one step of `authenticate`, with all that it has at hand")]
fn verify_key<H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    credential: &CredentialPlan,
    keys: &KeyPlan,
    presented: &Presented<'_>,
    scratch: &Scratch,
    form: Option<&KeyForm>,
    key: &mut Option<Found>,
) -> Result<(), Refusal> {
    let ahead = match form {
        Some(KeyForm::Digest(digest)) => Some(digest),
        Some(KeyForm::Malformed) => return Err(Reason::MalformedCredential.into()),
        Some(KeyForm::Absent) | None if keys.is_well_formed(presented, scratch) => None,
        _ => return Err(Reason::MalformedCredential.into()),
    };
    // Asked for while the record is on its way.
    let (expected, now) = (expected(passage, request), passage.now());
    let found = match ahead {
        Some(digest) => passage.plan.layers().find(digest)?,
        None => None,
    };
    let found = match found {
        None => find_under_peppers(passage, keys, presented, scratch, usize::from(ahead.is_some()))?,
        found => found,
    };
    let Some(entry) = found else { return Err(Reason::UnknownKey.into()) };
    // A digest belongs to one credential by the key that it was made with; a file that says otherwise
    // was not written by keyward.
    if entry.attributes().credential != credential.number {
        return Err(Reason::Unavailable.into());
    }
    passage.found(&entry);
    let attributes = entry.attributes();
    if attributes.status == Status::Revoked {
        return Err(Reason::Revoked.into());
    }
    if now < Timestamp::from_seconds(attributes.not_before) {
        return Err(Reason::NotYetValid.into());
    }
    if has_expired(&entry, now) {
        return Err(Reason::Expired.into());
    }
    if !expected.accepts(attributes.environment) {
        return Err(Reason::WrongEnvironment.into());
    }
    passage.plan.layers().ensure_names(&entry)?;
    *key = Some(entry);
    Ok(())
}

/// The key with the digest of what was presented under a pepper, from the one with number `from` on.
#[inline(never)]
fn find_under_peppers(
    passage: &Passage<'_>,
    keys: &KeyPlan,
    presented: &Presented<'_>,
    scratch: &Scratch,
    from: usize,
) -> Result<Option<Found>, Damaged> {
    for pepper in from..keys.digest_keys.len() {
        let digest = keys.digest(pepper, presented, scratch).ok_or(Damaged)?;
        let found = passage.plan.layers().find(&digest)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[inline]
fn has_expired(entry: &Found, now: Timestamp) -> bool {
    let expires_at = entry.attributes().expires_at;
    expires_at != NEVER && now >= Timestamp::from_seconds(expires_at)
}

fn verify_token<H: HeaderList + ?Sized>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    rules: &TokenRules,
    presented: &[u8],
) -> Result<(Claims, Option<Found>), Refusal> {
    let keys = passage.plan.keyring().token_keys(&passage.realm.name);
    let claims = token::verify(presented, rules, keys, passage.now()).map_err(|fault| match fault {
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
) -> Result<Found, Refusal> {
    let layers = passage.plan.layers();
    let entry = layers.find_id(passage.number, id)?.ok_or(Reason::TokenRevoked)?;
    passage.found(&entry);
    if entry.attributes().status == Status::Revoked || has_expired(&entry, passage.now()) {
        return Err(Reason::TokenRevoked.into());
    }
    if !expected(passage, request).accepts(entry.attributes().environment) {
        return Err(Reason::WrongEnvironment.into());
    }
    layers.ensure_names(&entry)?;
    Ok(entry)
}
