//! What the gates tell somebody who wants to know how a decision came about. Never a secret.

use crate::reason::Reason;
use std::fmt::Display;

/// A gate, as docs/DECISIONS.md section 7 numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Gate 0: is there a snapshot to decide from?
    Snapshot,
    /// Gate 1, and the route that was found.
    Path,
    /// Gate 2.
    Tls,
    /// Gate 3.
    Public,
    /// Gate 4: taking credentials out of the request.
    Extraction,
    /// Gate 4: verifying each of them.
    Credential,
    /// Gate 5: the status of the key.
    Status,
    /// Gate 5: the tenant.
    Tenant,
    /// Gate 5: the client's address.
    Address,
    /// Gate 5: whether a route had to match.
    Route,
    /// Gate 5: scopes.
    Scopes,
    /// Gate 5: the rate limit.
    RateLimit,
}

impl Gate {
    /// The name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Path => "path",
            Self::Tls => "tls",
            Self::Public => "public",
            Self::Extraction => "extraction",
            Self::Credential => "credential",
            Self::Status => "status",
            Self::Tenant => "tenant",
            Self::Address => "address",
            Self::Route => "route",
            Self::Scopes => "scopes",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// What a gate saw.
#[derive(Clone, Copy)]
pub enum Finding<'a> {
    /// It let the request through, and why.
    Passed(&'static str),
    /// It let the request through with the snapshot of this generation.
    Generation(u64),
    /// The route with this path matched.
    Route(&'a str),
    /// The credential of that name was taken out, or verified; its text is not told.
    Credential(&'a str, &'static str),
    /// The credential of that name was refused.
    RefusedCredential(&'a str, Reason),
    /// Something that the gate compared, such as the client's address.
    Saw(&'a dyn Display, &'static str),
    /// It refused the request, and why.
    Refused(Reason, &'static str),
    /// A required scope is missing.
    MissingScope(&'a str),
    /// The key may come again after so many seconds.
    RetryAfter(u64),
}

/// Somebody who is told what the gates see.
pub trait Observer {
    /// A gate has looked.
    fn saw(&mut self, gate: Gate, finding: Finding<'_>);

    /// Whether it wants to know of gates whose finding changes nothing any more.
    fn listens(&self) -> bool {
        true
    }
}

/// Nobody: what a verify call tells.
pub(crate) struct Silent;

impl Observer for Silent {
    #[inline(always)]
    fn saw(&mut self, _: Gate, _: Finding<'_>) {}

    #[inline(always)]
    fn listens(&self) -> bool {
        false
    }
}
