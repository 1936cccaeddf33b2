//! What was decided, and whose request it was.

use super::plan::Plan;
use crate::reason::{Decision, Reason};
use crate::snapshot::Found;
use std::ops::Deref;
use std::sync::Arc;

/// The credential that a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// The number of the credential in its realm.
    pub(super) credential: u16,
    /// The number of the source that it came from, or would have.
    pub(super) source: u8,
    /// Whether it is missing, or counts as if it were.
    pub(super) missing: bool,
}

impl Challenge {
    /// The challenge for a credential that was presented by the source with that number, of which there
    /// are fewer than 256.
    #[inline]
    pub(super) fn of_presented(credential: u16, source: usize) -> Self {
        Self { credential, source: u8::try_from(source).unwrap_or(u8::MAX), missing: false }
    }

    /// The challenge of a reason that is no credential's.
    #[inline]
    pub(super) fn of_first(require: &[u16]) -> Option<Self> {
        require.first().map(|&credential| Self { credential, source: 0, missing: true })
    }
}

/// A scope that is required and not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MissingScope<'r> {
    /// The route asks for it. Shared, because a verify allocates nothing.
    Required(Arc<str>),
    /// The caller does.
    Asked(&'r str),
}

impl MissingScope<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Required(name) => name,
            Self::Asked(name) => name,
        }
    }
}

/// What the gates found out.
#[derive(Debug)]
pub(super) struct Outcome<'r> {
    pub(super) reason: Reason,
    /// The number of the realm.
    pub(super) realm: Option<u16>,
    pub(super) key: Option<Found>,
    pub(super) subject: Option<Box<str>>,
    pub(super) scope: Option<MissingScope<'r>>,
    /// 0: the reason is another.
    pub(super) retry_after: u64,
    /// The credential that a 401 challenges for.
    pub(super) challenge: Option<Challenge>,
    /// The credential whose scopes were too few.
    pub(super) scopes_of: Option<Challenge>,
}

impl Outcome<'_> {
    pub(super) const fn unavailable() -> Self {
        Self {
            reason: Reason::Unavailable,
            realm: None,
            key: None,
            subject: None,
            scope: None,
            retry_after: 0,
            challenge: None,
            scopes_of: None,
        }
    }

    pub(super) const fn retry_after(&self) -> Option<u64> {
        if self.retry_after == 0 { None } else { Some(self.retry_after) }
    }

    /// Nothing that was read on the way to an unavailable verdict is told.
    pub(super) fn forget(&mut self) {
        self.key = None;
        self.subject = None;
        self.scope = None;
        self.retry_after = 0;
    }
}

/// What was decided about one request, and whose request it was.
///
/// It holds on to the generation that decided it, so that all it says is of that one.
pub struct Verdict<'r, P> {
    /// The plan that decided; `None` where there was none.
    pub(super) plan: Option<P>,
    pub(super) outcome: Outcome<'r>,
}

impl<'r, P: Deref<Target = Plan>> Verdict<'r, P> {
    /// What stands before anything was decided.
    #[inline]
    pub(super) const fn unavailable(plan: Option<P>) -> Self {
        Self { plan, outcome: Outcome::unavailable() }
    }

    /// Whether the request may go on. Nothing else does.
    #[inline]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.outcome.reason, Reason::Ok)
    }

    /// What was decided.
    pub const fn decision(&self) -> Decision {
        self.outcome.reason.decision()
    }

    /// Why. For the caller, its logs and metrics, not for the client.
    #[inline]
    pub const fn reason(&self) -> Reason {
        self.outcome.reason
    }

    /// The generation that decided, where there was one.
    pub fn generation(&self) -> Option<u64> {
        Some(self.plan.as_deref()?.layers().header().generation)
    }

    #[inline(always)]
    fn with_key<'s, T: 's>(&'s self, read: impl FnOnce(&'s Plan, &'s Found) -> Option<T>) -> Option<T> {
        read(self.plan.as_deref()?, self.outcome.key.as_ref()?)
    }

    /// The id of the key, once authentication passed with one.
    pub fn key_id(&self) -> Option<&str> {
        self.with_key(|plan, entry| plan.layers().id(entry).ok())
    }

    /// The key's tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.with_key(|plan, entry| plan.layers().tenant(entry).ok().flatten())
    }

    /// The bytes of [`Verdict::key_id`]; nobody has looked yet whether they are UTF-8.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn key_id_bytes(&self) -> Option<&[u8]> {
        self.with_key(|plan, entry| plan.layers().id_bytes(entry).ok())
    }

    /// The bytes of [`Verdict::tenant`]; nobody has looked yet whether they are UTF-8.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn tenant_bytes(&self) -> Option<&[u8]> {
        self.with_key(|plan, entry| plan.layers().tenant_bytes(entry).ok().flatten())
    }

    /// The key's environment.
    pub fn environment(&self) -> Option<&str> {
        self.with_key(|plan, entry| {
            let realm = plan.realm_by_number(self.outcome.realm?)?;
            let number = entry.attributes().environment.checked_sub(1)?;
            realm.environments.get(usize::from(number)).map(|name| &**name)
        })
    }

    /// The names of the key's scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes =
            self.with_key(|plan, entry| Some((plan.layers(), entry, plan.layers().scopes(entry).ok()?)));
        scopes.into_iter().flat_map(|(layers, entry, scopes)| {
            scopes.into_numbers().filter_map(|number| layers.scope_name(entry, number).ok())
        })
    }

    /// The subject of the token, where one was required.
    pub fn subject(&self) -> Option<&str> {
        self.outcome.subject.as_deref()
    }

    /// The scope that is missing, where the reason is `insufficient_scope`.
    pub fn scope(&self) -> Option<&str> {
        self.outcome.scope.as_ref().map(MissingScope::name)
    }

    /// Seconds after which the key may come again, where the reason is `rate_limited`.
    pub const fn retry_after(&self) -> Option<u64> {
        self.outcome.retry_after()
    }
}
