//! The gates that a request goes through: docs/DECISIONS.md sections 7 and 8, in their own order.

mod answer;
mod authenticate;
mod authorize;
mod early;
mod issue;
mod observe;
mod plan;
pub mod router;
mod verdict;

pub use answer::{Answer, AnswerParts, Scheme};
pub(crate) use early::Prepared;
pub use issue::IssueRefusal;
pub(crate) use observe::Silent;
pub use observe::{Finding, Gate, Observer};
pub use plan::{Plan, PlanError};
pub use verdict::Verdict;

use crate::limits::{RealmRow, State, Use};
use crate::reason::Reason;
use crate::request::credential::Scratch;
use crate::request::path::{AmbiguousPath, PathBuffer, Plain, normalize, plain};
use crate::request::{HeaderList, Request};
use crate::snapshot::{Damaged, Found};
use crate::time::{SteadyClock, Timestamp};
use authenticate::{Identity, authenticate};
use authorize::authorize;
use early::Early;
use plan::{RealmPlan, RoutePlan};
use std::cell::Cell;
use std::ops::Deref;
use verdict::{Challenge, Outcome};

impl<'r, P: Deref<Target = Plan>> Verdict<'r, P> {
    /// Decides a request from a plan, and tells `observer` what each gate saw.
    #[inline]
    pub(crate) fn decide<H: HeaderList + ?Sized, O: Observer>(
        plan: Option<P>,
        request: &Request<'r, H>,
        (state, clock): (&State, &SteadyClock),
        prepared: Option<&Prepared>,
        observer: &mut O,
    ) -> Self {
        let mut verdict = Self::unavailable(plan);
        let Some(plan) = verdict.plan.as_deref() else {
            let why = "there is no usable snapshot";
            observer.saw(Gate::Snapshot, Finding::Refused(Reason::Unavailable, why));
            state.count(RealmRow::default(), Reason::Unavailable);
            return verdict;
        };
        let outcome = &mut verdict.outcome;
        let trace = Trace { clock: Clock::new(request.now, clock), found: Cell::new(None) };
        let reason = match pass(plan, request, state, &trace, prepared, observer, outcome) {
            Ok(reason) | Err(Refusal::Reason(reason)) => reason,
            Err(Refusal::Damaged) => Reason::Unavailable,
        };
        // Damage that was found on the way, in whatever part: nothing may be decided from this snapshot.
        outcome.reason = if plan.layers().is_damaged() { Reason::Unavailable } else { reason };
        if outcome.reason == Reason::Unavailable {
            outcome.forget();
        }
        count(plan, state, &trace, outcome);
        verdict
    }
}

/// Counts what was decided, and whose key it was about.
#[inline]
fn count(plan: &Plan, state: &State, trace: &Trace<'_>, outcome: &Outcome<'_>) {
    let realm = outcome.realm.and_then(|number| plan.realm_by_number(number));
    let row = realm.map_or(RealmRow::default(), |realm| realm.row);
    state.count(row, outcome.reason);
    if !state.counts_keys() || outcome.reason == Reason::Unavailable {
        return;
    }
    let found;
    let entry = match &outcome.key {
        Some(entry) => entry,
        None => {
            found = trace.found.get();
            let Some(entry) = &found else { return };
            entry
        }
    };
    let tag = entry.attributes().id_tag;
    let of = Use { tag, realm: row, reason: outcome.reason, now: trace.clock.now() };
    state.count_use(&of, || plan.layers().id(entry).ok());
}

/// What is noted of a request on its way, for counting it.
struct Trace<'c> {
    clock: Clock<'c>,
    /// The first key that was found for it, good or not.
    found: Cell<Option<Found>>,
}

/// Why a request got no further.
enum Refusal {
    Reason(Reason),
    Damaged,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

impl From<Damaged> for Refusal {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// What is known of a request on its way through the gates.
struct Passage<'p> {
    plan: &'p Plan,
    /// The number of the realm.
    number: u16,
    realm: &'p RealmPlan,
    state: &'p State,
    trace: &'p Trace<'p>,
    routing: Routing<'p>,
    require: &'p [u16],
}

/// The time of one request: the caller's, or the engine's, which is read once and only if it is asked for.
struct Clock<'c> {
    time: Cell<Option<Timestamp>>,
    engine: &'c SteadyClock,
}

impl<'c> Clock<'c> {
    #[inline]
    const fn new(given: Option<Timestamp>, engine: &'c SteadyClock) -> Self {
        Self { time: Cell::new(given), engine }
    }

    #[inline]
    fn now(&self) -> Timestamp {
        self.time.get().unwrap_or_else(|| {
            let now = self.engine.now();
            self.time.set(Some(now));
            now
        })
    }
}

impl Passage<'_> {
    #[inline]
    fn now(&self) -> Timestamp {
        self.trace.clock.now()
    }

    /// Notes the key that was found for a request, and sends for what counting it will need. What is left of
    /// the gates passes meanwhile.
    #[inline(always)]
    fn found(&self, entry: &Found) {
        let attributes = entry.attributes();
        self.state.prefetch(attributes.id_tag, attributes.rate_limit != 0);
        if self.state.counts_keys() && self.trace.found.get().is_none() {
            self.trace.found.set(Some(*entry));
        }
    }
}

/// Whether a route matched.
#[derive(Clone, Copy)]
enum Routing<'p> {
    /// The caller left routing out.
    LeftOut,
    /// No route matched.
    Unmatched,
    /// This one did.
    Route(&'p RoutePlan),
}

/// The route of a request, where one matches and it is `asked` for.
#[inline]
fn route<'p>(
    realm: &'p RealmPlan,
    target: &[u8],
    method: &[u8],
    asked: bool,
) -> Result<Option<&'p RoutePlan>, AmbiguousPath> {
    match plain(target)? {
        Plain::Whole(_) if !asked => Ok(None),
        Plain::Whole(path) => Ok(realm.route(path, method)),
        Plain::Doubtful(_) => route_of_doubtful(realm, target, method),
    }
}

/// [`route`] of a path that needs a closer look, and room for what comes of it.
#[inline(never)]
fn route_of_doubtful<'p>(
    realm: &'p RealmPlan,
    target: &[u8],
    method: &[u8],
) -> Result<Option<&'p RoutePlan>, AmbiguousPath> {
    let mut buffer = PathBuffer::new();
    Ok(realm.route(normalize(target, &mut buffer)?, method))
}

#[inline]
fn pass<'r, H: HeaderList + ?Sized, O: Observer>(
    plan: &Plan,
    request: &Request<'r, H>,
    state: &State,
    trace: &Trace<'_>,
    prepared: Option<&Prepared>,
    observer: &mut O,
    outcome: &mut Outcome<'r>,
) -> Result<Reason, Refusal> {
    let Some((number, realm)) = plan.realm(request.realm) else {
        observer.saw(
            Gate::Snapshot,
            Finding::Refused(Reason::Unavailable, "the snapshot does not have the realm"),
        );
        return Err(Reason::Unavailable.into());
    };
    outcome.realm = Some(number);
    if let Some(why) = plan.unusable(realm, &trace.clock) {
        observer.saw(Gate::Snapshot, Finding::Refused(Reason::Unavailable, why));
        return Err(Reason::Unavailable.into());
    }
    observer.saw(Gate::Snapshot, Finding::Generation(plan.layers().header().generation));

    let mut scratch = Scratch::new();
    let early = Early::of(plan, realm, request, &mut scratch, prepared);

    // Gate 1. The challenge of a reason that is no credential's is that of the first required one.
    outcome.challenge = Challenge::of_first(&realm.default_require);
    let routing = match request.path {
        None => Routing::LeftOut,
        Some(target) => {
            // A credential that is refused by itself is refused on every route where all ask for the same: to whoever
            // tries many it is not worth a look at the routes.
            let asked =
                !(realm.is_uniform && !observer.listens() && early.as_ref().is_some_and(Early::is_refused));
            let Ok(route) = route(realm, target, request.method.unwrap_or(b"GET"), asked) else {
                observer
                    .saw(Gate::Path, Finding::Refused(Reason::AmbiguousPath, "it can be read in two ways"));
                return Err(Reason::AmbiguousPath.into());
            };
            route.map_or(Routing::Unmatched, Routing::Route)
        }
    };
    let require = match routing {
        Routing::Route(route) => &route.require,
        Routing::LeftOut | Routing::Unmatched => &realm.default_require,
    };
    outcome.challenge = Challenge::of_first(require);
    observer.saw(
        Gate::Path,
        match routing {
            Routing::LeftOut => Finding::Passed("routing is left out"),
            Routing::Unmatched => Finding::Passed("no route matches"),
            Routing::Route(route) => Finding::Route(&route.path),
        },
    );

    // Gate 2.
    if realm.require_tls && !request.tls {
        observer.saw(Gate::Tls, Finding::Refused(Reason::TlsRequired, "the request came without TLS"));
        return Err(Reason::TlsRequired.into());
    }
    observer.saw(
        Gate::Tls,
        Finding::Passed(if request.tls { "with TLS" } else { "without TLS, which is allowed" }),
    );

    // Gate 3.
    if matches!(routing, Routing::Route(_)) && require.is_empty() {
        observer.saw(Gate::Public, Finding::Passed("the route is public"));
        return Ok(Reason::Ok);
    }

    // Gates 4 and 5.
    let passage = Passage { plan, number, realm, state, trace, routing, require };
    let mut identity = Identity::default();
    authenticate(&passage, request, &early, &mut scratch, &mut identity, outcome, observer)?;
    outcome.key = identity.key;
    outcome.subject = identity.subject();
    outcome.challenge = Challenge::of_first(require);
    authorize(&passage, request, &identity, outcome, observer)?;
    Ok(Reason::Ok)
}
