//! The numbers of the C ABI. None is ever used again for something else: a number that is retired stays
//! here as a comment. `docs/ABI.md` has the rules.

use crate::reason::Reason;
use std::ffi::CStr;

/// The version of this ABI: the major version in the upper 16 bits, which is the number in the SONAME, the
/// minor version in the lower. A library fits a header where the major versions are equal and its minor
/// version is not lower than the header's.
pub const KEYWARD_ABI_VERSION: u32 = 1;

/// `keyward_verdict.decision`: the request is refused. Also where nothing could be decided: its reason is
/// then `KEYWARD_REASON_UNAVAILABLE`.
pub const KEYWARD_DENY: u32 = 0;
/// `keyward_verdict.decision`: the request may go on. Nothing else lets it.
pub const KEYWARD_ALLOW: u32 = 0x6b77_0001;

/// It went well.
pub const KEYWARD_OK: i32 = 0;

// 1xx: the caller's fault.

/// A pointer is NULL that must not be.
pub const KEYWARD_E_NULL: i32 = 101;
/// A struct has a size that no version of it had, or its bytes that this library does not know are not zero.
pub const KEYWARD_E_STRUCT_SIZE: i32 = 102;
/// It is not an engine, or one that was released.
pub const KEYWARD_E_HANDLE: i32 = 103;
/// A pointer is not aligned for what it points to.
pub const KEYWARD_E_ALIGNMENT: i32 = 104;
/// Bytes or a list are NULL and have a length, or a length that no memory has.
pub const KEYWARD_E_LENGTH: i32 = 105;
/// A text that has to be UTF-8 is not.
pub const KEYWARD_E_UTF8: i32 = 106;
/// A flag or a number that this library does not know, or two that exclude each other.
pub const KEYWARD_E_VALUE: i32 = 107;
/// The buffer is too small; what is needed has been told.
pub const KEYWARD_E_BUFFER: i32 = 108;
/// The snapshot does not have the realm.
pub const KEYWARD_E_NO_REALM: i32 = 110;
/// The realm does not have the environment.
pub const KEYWARD_E_NO_ENVIRONMENT: i32 = 111;
/// The realm does not have the key, any more or at all.
pub const KEYWARD_E_NO_KEY: i32 = 112;
/// The index is past the last one.
pub const KEYWARD_E_END: i32 = 113;
/// The realm does not take one key by itself.
pub const KEYWARD_E_NOT_A_KEY: i32 = 114;

// 2xx: the system's.

/// The file is not there.
pub const KEYWARD_E_NOT_FOUND: i32 = 201;
/// The file may not be read.
pub const KEYWARD_E_PERMISSION: i32 = 202;
/// Another error of the system.
pub const KEYWARD_E_IO: i32 = 203;

// 3xx: the content's.

/// It is not a snapshot.
pub const KEYWARD_E_NOT_A_SNAPSHOT: i32 = 301;
/// It is a snapshot that needs another version of this library.
pub const KEYWARD_E_VERSION: i32 = 302;
/// The snapshot is shorter or longer than it says.
pub const KEYWARD_E_TRUNCATED: i32 = 303;
/// Bytes of the snapshot are not those that were written.
pub const KEYWARD_E_DAMAGED: i32 = 304;
/// The snapshot says what cannot be.
pub const KEYWARD_E_MALFORMED: i32 = 305;
/// The snapshot is older than the one in use, or than one that a process served which shares the state.
pub const KEYWARD_E_OLDER: i32 = 306;
/// The snapshot has the generation in use, or the one that was served last, and other bytes.
pub const KEYWARD_E_CONFLICT: i32 = 307;
/// The snapshot is not signed by a key that the keyring accepts.
pub const KEYWARD_E_SIGNATURE: i32 = 308;
/// The snapshot has none of the realms in use.
pub const KEYWARD_E_REALMS: i32 = 309;
/// The delta beside the snapshot is one on another snapshot, or has other realms; or the snapshot is whole only with a
/// delta, and there is none.
pub const KEYWARD_E_DELTA: i32 = 310;
/// The keyring breaks a rule.
pub const KEYWARD_E_KEYRING: i32 = 311;
/// Others than its owner may read or write the keyring.
pub const KEYWARD_E_KEYRING_EXPOSED: i32 = 312;
/// The keyring lacks a pepper of the snapshot, or has another one of that id.
pub const KEYWARD_E_PEPPER: i32 = 313;
/// A token cannot be issued by the realm's rules, or with the keyring's keys.
pub const KEYWARD_E_TOKEN: i32 = 314;
/// What is there is not a state file, or one that others may write to.
pub const KEYWARD_E_STATE: i32 = 315;

// 4xx: not in this state.

/// No snapshot has been good yet.
pub const KEYWARD_E_NO_SNAPSHOT: i32 = 401;
/// The engine has its snapshot from memory, and no file to look at.
pub const KEYWARD_E_NO_FILE: i32 = 402;
/// The request was refused; the verdict says why.
pub const KEYWARD_E_DENIED: i32 = 403;

// 5xx: a fault of the library.

/// The library panicked, which was caught.
pub const KEYWARD_E_PANIC: i32 = 501;

/// The name of every status.
pub(super) const STATUS_NAMES: &[(i32, &CStr)] = &[
    (KEYWARD_OK, c"ok"),
    (KEYWARD_E_NULL, c"null"),
    (KEYWARD_E_STRUCT_SIZE, c"struct_size"),
    (KEYWARD_E_HANDLE, c"handle"),
    (KEYWARD_E_ALIGNMENT, c"alignment"),
    (KEYWARD_E_LENGTH, c"length"),
    (KEYWARD_E_UTF8, c"utf8"),
    (KEYWARD_E_VALUE, c"value"),
    (KEYWARD_E_BUFFER, c"buffer"),
    (KEYWARD_E_NO_REALM, c"no_realm"),
    (KEYWARD_E_NO_ENVIRONMENT, c"no_environment"),
    (KEYWARD_E_NO_KEY, c"no_key"),
    (KEYWARD_E_END, c"end"),
    (KEYWARD_E_NOT_A_KEY, c"not_a_key"),
    (KEYWARD_E_NOT_FOUND, c"not_found"),
    (KEYWARD_E_PERMISSION, c"permission"),
    (KEYWARD_E_IO, c"io"),
    (KEYWARD_E_NOT_A_SNAPSHOT, c"not_a_snapshot"),
    (KEYWARD_E_VERSION, c"version"),
    (KEYWARD_E_TRUNCATED, c"truncated"),
    (KEYWARD_E_DAMAGED, c"damaged"),
    (KEYWARD_E_MALFORMED, c"malformed"),
    (KEYWARD_E_OLDER, c"older"),
    (KEYWARD_E_CONFLICT, c"conflict"),
    (KEYWARD_E_SIGNATURE, c"signature"),
    (KEYWARD_E_REALMS, c"realms"),
    (KEYWARD_E_DELTA, c"delta"),
    (KEYWARD_E_KEYRING, c"keyring"),
    (KEYWARD_E_KEYRING_EXPOSED, c"keyring_exposed"),
    (KEYWARD_E_PEPPER, c"pepper"),
    (KEYWARD_E_TOKEN, c"token"),
    (KEYWARD_E_STATE, c"state"),
    (KEYWARD_E_NO_SNAPSHOT, c"no_snapshot"),
    (KEYWARD_E_NO_FILE, c"no_file"),
    (KEYWARD_E_DENIED, c"denied"),
    (KEYWARD_E_PANIC, c"panic"),
];

// The reasons of verdicts; `docs/DECISIONS.md` section 8 says what they mean.

/// No verdict.
pub const KEYWARD_REASON_NONE: u32 = 0;
/// `ok`
pub const KEYWARD_REASON_OK: u32 = 1;
/// `unavailable`
pub const KEYWARD_REASON_UNAVAILABLE: u32 = 2;
/// `ambiguous_path`
pub const KEYWARD_REASON_AMBIGUOUS_PATH: u32 = 3;
/// `tls_required`
pub const KEYWARD_REASON_TLS_REQUIRED: u32 = 4;
/// `missing_credential`
pub const KEYWARD_REASON_MISSING_CREDENTIAL: u32 = 5;
/// `ambiguous_credential`
pub const KEYWARD_REASON_AMBIGUOUS_CREDENTIAL: u32 = 6;
/// `malformed_credential`
pub const KEYWARD_REASON_MALFORMED_CREDENTIAL: u32 = 7;
/// `unknown_key`
pub const KEYWARD_REASON_UNKNOWN_KEY: u32 = 8;
/// `revoked`
pub const KEYWARD_REASON_REVOKED: u32 = 9;
/// `not_yet_valid`
pub const KEYWARD_REASON_NOT_YET_VALID: u32 = 10;
/// `expired`
pub const KEYWARD_REASON_EXPIRED: u32 = 11;
/// `wrong_environment`
pub const KEYWARD_REASON_WRONG_ENVIRONMENT: u32 = 12;
/// `invalid_token`
pub const KEYWARD_REASON_INVALID_TOKEN: u32 = 13;
/// `token_expired`
pub const KEYWARD_REASON_TOKEN_EXPIRED: u32 = 14;
/// `token_not_yet_valid`
pub const KEYWARD_REASON_TOKEN_NOT_YET_VALID: u32 = 15;
/// `token_revoked`
pub const KEYWARD_REASON_TOKEN_REVOKED: u32 = 16;
/// `suspended`
pub const KEYWARD_REASON_SUSPENDED: u32 = 17;
/// `pending`
pub const KEYWARD_REASON_PENDING: u32 = 18;
/// `tenant_mismatch`
pub const KEYWARD_REASON_TENANT_MISMATCH: u32 = 19;
/// `ip_not_allowed`
pub const KEYWARD_REASON_IP_NOT_ALLOWED: u32 = 20;
/// `route_not_allowed`
pub const KEYWARD_REASON_ROUTE_NOT_ALLOWED: u32 = 21;
/// `insufficient_scope`
pub const KEYWARD_REASON_INSUFFICIENT_SCOPE: u32 = 22;
/// `rate_limited`
pub const KEYWARD_REASON_RATE_LIMITED: u32 = 23;

/// The name of every reason.
pub(super) const REASON_NAMES: &[(u32, &CStr)] = &[
    (KEYWARD_REASON_NONE, c"none"),
    (KEYWARD_REASON_OK, c"ok"),
    (KEYWARD_REASON_UNAVAILABLE, c"unavailable"),
    (KEYWARD_REASON_AMBIGUOUS_PATH, c"ambiguous_path"),
    (KEYWARD_REASON_TLS_REQUIRED, c"tls_required"),
    (KEYWARD_REASON_MISSING_CREDENTIAL, c"missing_credential"),
    (KEYWARD_REASON_AMBIGUOUS_CREDENTIAL, c"ambiguous_credential"),
    (KEYWARD_REASON_MALFORMED_CREDENTIAL, c"malformed_credential"),
    (KEYWARD_REASON_UNKNOWN_KEY, c"unknown_key"),
    (KEYWARD_REASON_REVOKED, c"revoked"),
    (KEYWARD_REASON_NOT_YET_VALID, c"not_yet_valid"),
    (KEYWARD_REASON_EXPIRED, c"expired"),
    (KEYWARD_REASON_WRONG_ENVIRONMENT, c"wrong_environment"),
    (KEYWARD_REASON_INVALID_TOKEN, c"invalid_token"),
    (KEYWARD_REASON_TOKEN_EXPIRED, c"token_expired"),
    (KEYWARD_REASON_TOKEN_NOT_YET_VALID, c"token_not_yet_valid"),
    (KEYWARD_REASON_TOKEN_REVOKED, c"token_revoked"),
    (KEYWARD_REASON_SUSPENDED, c"suspended"),
    (KEYWARD_REASON_PENDING, c"pending"),
    (KEYWARD_REASON_TENANT_MISMATCH, c"tenant_mismatch"),
    (KEYWARD_REASON_IP_NOT_ALLOWED, c"ip_not_allowed"),
    (KEYWARD_REASON_ROUTE_NOT_ALLOWED, c"route_not_allowed"),
    (KEYWARD_REASON_INSUFFICIENT_SCOPE, c"insufficient_scope"),
    (KEYWARD_REASON_RATE_LIMITED, c"rate_limited"),
];

/// The number of a reason.
pub(super) const fn reason_number(reason: Reason) -> u32 {
    match reason {
        Reason::Ok => KEYWARD_REASON_OK,
        Reason::Unavailable => KEYWARD_REASON_UNAVAILABLE,
        Reason::AmbiguousPath => KEYWARD_REASON_AMBIGUOUS_PATH,
        Reason::TlsRequired => KEYWARD_REASON_TLS_REQUIRED,
        Reason::MissingCredential => KEYWARD_REASON_MISSING_CREDENTIAL,
        Reason::AmbiguousCredential => KEYWARD_REASON_AMBIGUOUS_CREDENTIAL,
        Reason::MalformedCredential => KEYWARD_REASON_MALFORMED_CREDENTIAL,
        Reason::UnknownKey => KEYWARD_REASON_UNKNOWN_KEY,
        Reason::Revoked => KEYWARD_REASON_REVOKED,
        Reason::NotYetValid => KEYWARD_REASON_NOT_YET_VALID,
        Reason::Expired => KEYWARD_REASON_EXPIRED,
        Reason::WrongEnvironment => KEYWARD_REASON_WRONG_ENVIRONMENT,
        Reason::InvalidToken => KEYWARD_REASON_INVALID_TOKEN,
        Reason::TokenExpired => KEYWARD_REASON_TOKEN_EXPIRED,
        Reason::TokenNotYetValid => KEYWARD_REASON_TOKEN_NOT_YET_VALID,
        Reason::TokenRevoked => KEYWARD_REASON_TOKEN_REVOKED,
        Reason::Suspended => KEYWARD_REASON_SUSPENDED,
        Reason::Pending => KEYWARD_REASON_PENDING,
        Reason::TenantMismatch => KEYWARD_REASON_TENANT_MISMATCH,
        Reason::IpNotAllowed => KEYWARD_REASON_IP_NOT_ALLOWED,
        Reason::RouteNotAllowed => KEYWARD_REASON_ROUTE_NOT_ALLOWED,
        Reason::InsufficientScope => KEYWARD_REASON_INSUFFICIENT_SCOPE,
        Reason::RateLimited => KEYWARD_REASON_RATE_LIMITED,
    }
}

/// The reason of that number.
pub(super) fn reason_of(number: u32) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason_number(*reason) == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_its_number_and_its_name() {
        for reason in Reason::ALL {
            let number = reason_number(reason);
            assert_eq!(reason_of(number), Some(reason));
            let names: Vec<_> = REASON_NAMES.iter().filter(|(known, _)| *known == number).collect();
            assert_eq!(names.len(), 1, "{reason:?}");
            assert_eq!(names[0].1.to_str(), Ok(reason.name()));
        }
        assert_eq!(REASON_NAMES.len(), Reason::ALL.len() + 1);
        // keyward_counts goes by the place in the list.
        assert!(REASON_NAMES.iter().zip(0..).all(|((number, _), place)| *number == place));
        assert_eq!(reason_of(KEYWARD_REASON_NONE), None);
    }

    #[test]
    fn no_status_has_the_number_or_the_name_of_another() {
        let numbers: BTreeSet<_> = STATUS_NAMES.iter().map(|(number, _)| number).collect();
        let names: BTreeSet<_> = STATUS_NAMES.iter().map(|(_, name)| name).collect();
        assert_eq!((numbers.len(), names.len()), (STATUS_NAMES.len(), STATUS_NAMES.len()));
    }
}
