//! Why a request was decided as it was: docs/DECISIONS.md section 8, the one table of reasons.

/// What a verify call decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The request may go on.
    Allow,
    /// The request is refused.
    Deny,
    /// Nothing could be decided, so the request is refused: there is no usable snapshot for its realm.
    Unavailable,
}

impl Decision {
    /// The name used in vectors, logs and output for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What reasons have in common: the default status, and a name that configuration may give answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// 401: the credentials do not authenticate the request.
    Unauthorized,
    /// 400: the request can be read in two ways.
    BadRequest,
    /// 403: authenticated, but not allowed.
    Forbidden,
    /// 429: allowed, but not now.
    TooManyRequests,
    /// 503: nothing could be decided.
    Unavailable,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 5] =
        [Self::Unauthorized, Self::BadRequest, Self::Forbidden, Self::TooManyRequests, Self::Unavailable];

    /// The name that `[realm.NAME.errors.GROUP]` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden",
            Self::TooManyRequests => "too_many_requests",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status of the group's reasons where configuration says nothing else.
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::TooManyRequests => 429,
            Self::Unavailable => 503,
        }
    }
}

macro_rules! reasons {
    ($($variant:ident, $name:literal, $group:expr, $message:literal;)*) => {
        /// Why a request was decided as it was. It goes to the caller, to logs and metrics; a client
        /// sees only the answer that the realm renders for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $message] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the gates.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name used in configuration, vectors, logs and output for programs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The group, or `None` for [`Reason::Ok`].
            pub const fn group(self) -> Option<Group> {
                match self { $(Self::$variant => $group,)* }
            }

            /// One short English sentence: what `{message}` in a configured body becomes.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }
        }
    };
}

use Group::{BadRequest, Forbidden, TooManyRequests, Unauthorized, Unavailable};

reasons! {
    Ok, "ok", None, "The request is allowed.";
    Unavailable, "unavailable", Some(Unavailable), "The request cannot be verified at the moment.";
    AmbiguousPath, "ambiguous_path", Some(BadRequest), "The path can be read in more than one way.";
    TlsRequired, "tls_required", Some(Forbidden), "The request must be made over TLS.";
    MissingCredential, "missing_credential", Some(Unauthorized), "A required credential is missing.";
    AmbiguousCredential, "ambiguous_credential", Some(BadRequest), "A credential was sent more than once.";
    MalformedCredential, "malformed_credential", Some(Unauthorized), "A credential is not well-formed.";
    UnknownKey, "unknown_key", Some(Unauthorized), "The key is not known.";
    Revoked, "revoked", Some(Unauthorized), "The key has been revoked.";
    NotYetValid, "not_yet_valid", Some(Unauthorized), "The key is not valid yet.";
    Expired, "expired", Some(Unauthorized), "The key has expired.";
    WrongEnvironment, "wrong_environment", Some(Unauthorized), "The key belongs to another environment.";
    InvalidToken, "invalid_token", Some(Unauthorized), "The token is not valid.";
    TokenExpired, "token_expired", Some(Unauthorized), "The token has expired.";
    TokenNotYetValid, "token_not_yet_valid", Some(Unauthorized), "The token is not valid yet.";
    TokenRevoked, "token_revoked", Some(Unauthorized), "The key that the token is bound to is no longer valid.";
    Suspended, "suspended", Some(Forbidden), "The key is suspended.";
    Pending, "pending", Some(Forbidden), "The key is waiting for approval.";
    TenantMismatch, "tenant_mismatch", Some(Forbidden), "The credentials belong to different tenants.";
    IpNotAllowed, "ip_not_allowed", Some(Forbidden), "The key may not be used from this address.";
    RouteNotAllowed, "route_not_allowed", Some(Forbidden), "There is nothing here that the key may use.";
    InsufficientScope, "insufficient_scope", Some(Forbidden), "The key does not have a required scope.";
    RateLimited, "rate_limited", Some(TooManyRequests), "Too many requests.";
}

impl Reason {
    /// What the reason decides.
    pub const fn decision(self) -> Decision {
        match self {
            Self::Ok => Decision::Allow,
            Self::Unavailable => Decision::Unavailable,
            _ => Decision::Deny,
        }
    }

    /// The HTTP status where configuration says nothing else.
    pub const fn status(self) -> u16 {
        match self.group() {
            None => 200,
            Some(group) => group.status(),
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
