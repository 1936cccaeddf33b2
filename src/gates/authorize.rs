//! Gate 5: may whoever it is do this, from here, now?

use super::authenticate::Identity;
use super::observe::{Finding, Gate, Observer};
use super::plan::ScopePlan;
use super::verdict::{MissingScope, Outcome};
use super::{Passage, Refusal, Routing};
use crate::realm::Unmatched;
use crate::reason::Reason;
use crate::record::Status;
use crate::request::address::client;
use crate::request::{HeaderList, Peer, Request};
use crate::snapshot::{Found, Scopes};

#[inline]
pub(super) fn authorize<'r, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'r, H>,
    identity: &Identity<'_>,
    outcome: &mut Outcome<'r>,
    observer: &mut O,
) -> Result<(), Refusal> {
    check_status(identity, observer)?;
    check_tenants(passage, identity, observer)?;
    if let Some(entry) = &identity.key {
        check_address(passage, request, entry, observer)?;
    }
    if matches!(passage.routing, Routing::Unmatched) && passage.realm.unmatched == Unmatched::Deny {
        observer.saw(Gate::Route, Finding::Refused(Reason::RouteNotAllowed, "no route matches"));
        return Err(Reason::RouteNotAllowed.into());
    }
    check_scopes(passage, request, identity, outcome, observer)?;
    if let Some(entry) = &identity.key {
        check_rate(passage, entry, outcome, observer)?;
    }
    Ok(())
}

/// The status of the key, and of every key that a token is bound to.
#[inline]
fn check_status<O: Observer>(identity: &Identity<'_>, observer: &mut O) -> Result<(), Refusal> {
    let of_key = |status| identity.key.is_some_and(|entry| entry.attributes().status == status);
    let of_bound = |status| identity.bound().any(|entry| entry.attributes().status == status);
    for (status, reason) in [(Status::Suspended, Reason::Suspended), (Status::Pending, Reason::Pending)] {
        if of_key(status) || (!identity.is_key_alone() && of_bound(status)) {
            observer.saw(Gate::Status, Finding::Refused(reason, status.name()));
            return Err(reason.into());
        }
    }
    observer.saw(Gate::Status, Finding::Passed("active"));
    Ok(())
}

/// What each tenant credential says, against the key's tenant and the tenants of every token.
#[inline]
fn check_tenants<O: Observer>(
    passage: &Passage<'_>,
    identity: &Identity<'_>,
    observer: &mut O,
) -> Result<(), Refusal> {
    if identity.is_key_alone() {
        return Ok(());
    }
    for said in identity.tenants() {
        let of_key = match &identity.key {
            None => true,
            Some(entry) => {
                passage.plan.layers().tenant(entry)?.is_some_and(|tenant| tenant.as_bytes() == said)
            }
        };
        let of_tokens = || {
            let said = str::from_utf8(said).ok();
            identity.tokens().all(|claims| said.is_some_and(|said| claims.in_tenants(said)))
        };
        if !(of_key && of_tokens()) {
            observer.saw(Gate::Tenant, Finding::Refused(Reason::TenantMismatch, "the tenants differ"));
            return Err(Reason::TenantMismatch.into());
        }
        observer.saw(Gate::Tenant, Finding::Passed("the same tenant"));
    }
    Ok(())
}

/// The client's address, against the key's list.
#[inline]
fn check_address<H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'_, H>,
    entry: &Found,
    observer: &mut O,
) -> Result<(), Refusal> {
    if entry.attributes().address_set == 0 {
        observer.saw(Gate::Address, Finding::Passed("the key may be used from anywhere"));
        return Ok(());
    }
    let client = match &passage.realm.client_ip_header {
        None => request.peer,
        Some(header) => client(request.peer, &passage.realm.proxies, header, request.headers),
    };
    let address = match client {
        Peer::Address(address) => Some(address),
        Peer::Unknown | Peer::Unix => None,
    };
    if passage.plan.layers().allows_address(entry, address)? {
        observer.saw(Gate::Address, Finding::Saw(&client, "in the key's list"));
        return Ok(());
    }
    observer.saw(Gate::Address, Finding::Saw(&client, "not in the key's list"));
    observer
        .saw(Gate::Address, Finding::Refused(Reason::IpNotAllowed, "the address is not in the key's list"));
    Err(Reason::IpNotAllowed.into())
}

/// Which scopes a request holds.
enum Held<'s, 'i> {
    /// Those of the key, which stands in the full snapshot.
    Key(Scopes<'s>),
    /// Those of the key, which stands in the delta, where scopes have other numbers.
    Changed(Scopes<'s>, &'i Found),
    /// Those of the first token.
    Token(&'i crate::token::Claims),
    /// None.
    Nobody,
}

#[inline]
fn check_scopes<'r, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'r, H>,
    identity: &Identity<'_>,
    outcome: &mut Outcome<'r>,
    observer: &mut O,
) -> Result<(), Refusal> {
    let (scopes, any_scopes): (&[ScopePlan], &[ScopePlan]) = match passage.routing {
        Routing::Route(route) => (&route.scopes, &route.any_scopes),
        Routing::LeftOut | Routing::Unmatched => (&[], &[]),
    };
    if scopes.is_empty() && any_scopes.is_empty() && request.scopes.is_empty() {
        observer.saw(Gate::Scopes, Finding::Passed("none required"));
        return Ok(());
    }
    let layers = passage.plan.layers();
    // Nearly every request: a key that has what its route asks for.
    if let Some(entry) = &identity.key
        && identity.by_key
        && !entry.is_in_delta()
        && request.scopes.is_empty()
    {
        let held = layers.scopes(entry)?;
        let holds = |scope: &ScopePlan| scope.number.is_some_and(|number| held.contains(number));
        if scopes.iter().all(holds) && (any_scopes.is_empty() || any_scopes.iter().any(holds)) {
            observer.saw(Gate::Scopes, Finding::Passed("all held"));
            return Ok(());
        }
    }
    check_each_scope(passage, request, identity, (scopes, any_scopes), outcome, observer)
}

/// [`check_scopes`] where it has to be known which scope is missing, or whose they are.
#[inline(never)]
fn check_each_scope<'r, H: HeaderList + ?Sized, O: Observer>(
    passage: &Passage<'_>,
    request: &Request<'r, H>,
    identity: &Identity<'_>,
    (scopes, any_scopes): (&[ScopePlan], &[ScopePlan]),
    outcome: &mut Outcome<'r>,
    observer: &mut O,
) -> Result<(), Refusal> {
    let layers = passage.plan.layers();
    let held = match (&identity.key, identity.tokens().next()) {
        (Some(entry), _) if identity.by_key && entry.is_in_delta() => {
            Held::Changed(layers.scopes(entry)?, entry)
        }
        (Some(entry), _) if identity.by_key => Held::Key(layers.scopes(entry)?),
        (_, Some(claims)) => Held::Token(claims),
        (_, None) => Held::Nobody,
    };
    // `number` is the name's in the full snapshot.
    let holds = |name: &str, number: Option<u32>| match &held {
        Held::Key(scopes) => number.is_some_and(|number| scopes.contains(number)),
        Held::Changed(scopes, entry) => {
            layers.scope_number(entry, name).is_some_and(|number| scopes.contains(number))
        }
        Held::Token(claims) => claims.has_scope(name),
        Held::Nobody => false,
    };
    let holds_planned = |scope: &&ScopePlan| holds(&scope.name, scope.number);
    let missing_all = scopes.iter().position(|scope| !holds_planned(&scope));
    let missing_any =
        || (!any_scopes.is_empty() && !any_scopes.iter().any(|scope| holds_planned(&scope))).then_some(0);
    let missing_asked = || request.scopes.iter().find(|name| !holds(name, layers.base().scope_number(name)));
    let missing = if let Some(at) = missing_all {
        scopes.get(at).map(|scope| MissingScope::Required(scope.name.clone()))
    } else if let Some(at) = missing_any() {
        any_scopes.get(at).map(|scope| MissingScope::Required(scope.name.clone()))
    } else {
        missing_asked().map(|name| MissingScope::Asked(name))
    };
    let Some(missing) = missing else {
        observer.saw(Gate::Scopes, Finding::Passed("all held"));
        return Ok(());
    };
    observer.saw(Gate::Scopes, Finding::MissingScope(missing.name()));
    outcome.scope = Some(missing);
    outcome.scopes_of = identity.scopes_of;
    Err(Reason::InsufficientScope.into())
}

#[inline]
fn check_rate<O: Observer>(
    passage: &Passage<'_>,
    entry: &Found,
    outcome: &mut Outcome<'_>,
    observer: &mut O,
) -> Result<(), Refusal> {
    let Some(number) = entry.attributes().rate_limit.checked_sub(1) else {
        observer.saw(Gate::RateLimit, Finding::Passed("unlimited"));
        return Ok(());
    };
    let rate = *passage.realm.rates.get(usize::from(number)).ok_or(Reason::Unavailable)?;
    let tag = entry.attributes().id_tag;
    let now = u64::try_from(passage.now().nanoseconds()).unwrap_or(u64::MAX);
    match passage.state.admit(tag, rate, now) {
        Ok(()) => {
            observer.saw(Gate::RateLimit, Finding::Passed("within the limit"));
            Ok(())
        }
        Err(seconds) => {
            observer.saw(Gate::RateLimit, Finding::RetryAfter(seconds));
            outcome.retry_after = seconds;
            Err(Reason::RateLimited.into())
        }
    }
}
