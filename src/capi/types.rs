//! The structs that cross the border, and the flags in them.
//!
//! A field is never moved, removed or given another meaning; new ones are added at the end, and 0 in them
//! means what was there before. Every struct that may grow is passed with its size.

use std::ffi::c_char;
use std::mem::MaybeUninit;

/// Bytes of the caller's. NULL with a length of 0 is empty. Where a field may be left out, NULL leaves it
/// out, and a pointer with a length of 0 is a text that is there and empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_bytes {
    /// The first byte.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// A header field as received, without its line end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_header {
    /// Its name, in any case.
    pub name: keyward_bytes,
    /// Its value; spaces around it do not matter.
    pub value: keyward_bytes,
}

/// `keyward_request.flags`: the request came over TLS, or from a proxy that says so and is believed.
pub const KEYWARD_TLS: u32 = 1;
/// `keyward_request.flags`: no path is handed in; what the realm requires by default counts, and the scopes
/// that the caller names. Without this flag an empty path is refused (`ambiguous_path`).
pub const KEYWARD_NO_ROUTING: u32 = 2;
/// `keyward_request.flags`: `now_seconds` and `now_nanoseconds` are the time to decide at. Without it the
/// system's coarse clock is read, if it is needed.
pub const KEYWARD_HAS_NOW: u32 = 4;
/// `keyward_request.flags`: the verdict is to name no key, tenant, environment and subject. Fetching them
/// takes memory accesses that whoever only wants the decision can spare.
pub const KEYWARD_NO_IDENTITY: u32 = 8;

/// `keyward_request.peer_family`: `peer` has the address as text; empty: nobody knows.
pub const KEYWARD_PEER_TEXT: u32 = 0;
/// `keyward_request.peer_family`: a Unix socket.
pub const KEYWARD_PEER_UNIX: u32 = 1;
/// `keyward_request.peer_family`: the first 4 bytes of `peer_address`, as `in_addr` has them.
pub const KEYWARD_PEER_IPV4: u32 = 4;
/// `keyward_request.peer_family`: the 16 bytes of `peer_address`, as `in6_addr` has them.
pub const KEYWARD_PEER_IPV6: u32 = 6;

/// A request to verify. All of it belongs to the caller and is only read during the call.
///
/// Set it to zero first, then what is known. The names of realms, environments and scopes are UTF-8.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_request {
    /// `KEYWARD_TLS` and the others, added up.
    pub flags: u32,
    /// What `peer` and `peer_address` are: `KEYWARD_PEER_TEXT` and the others.
    pub peer_family: u32,
    /// The realm that the request is for.
    pub realm: keyward_bytes,
    /// The method, as sent; NULL counts as GET.
    pub method: keyward_bytes,
    /// The request target as sent, still escaped. It is read up to the first `?`.
    pub path: keyward_bytes,
    /// What the client asked for as host, with or without a port. A Host header in the list is not looked at.
    pub host: keyward_bytes,
    /// The environment that keys must be of; NULL leaves it to the host.
    pub environment: keyward_bytes,
    /// Every header field as received, in order, repeats included.
    pub headers: *const keyward_header,
    /// How many there are.
    pub header_count: usize,
    /// Scopes that are needed besides the route's.
    pub scopes: *const keyward_bytes,
    /// How many there are.
    pub scope_count: usize,
    /// The other end of the connection as text: an IP address, or `unix:`. Anything else is nobody known.
    pub peer: keyward_bytes,
    /// The other end of the connection as bytes, in network order.
    pub peer_address: [u8; 16],
    /// Seconds since 1970-01-01T00:00:00Z.
    pub now_seconds: u64,
    /// Nanoseconds into that second, below 1000000000.
    pub now_nanoseconds: u32,
    /// 0.
    pub reserved: u32,
    /// Where the scopes of the key are to be listed, separated by spaces, with a NUL behind the last; NULL:
    /// nowhere. The one part of a request that is written to. The list is never cut: where it does not fit,
    /// there is an empty text, and `scopes_len` of the verdict is not below `scopes_capacity`.
    pub scopes_buffer: *mut c_char,
    /// The bytes of `scopes_buffer`.
    pub scopes_capacity: usize,
}

/// The bytes of `keyward_verdict.key_id` and `environment`: the longest one and a NUL.
pub const KEYWARD_NAME_SIZE: usize = 256;
/// The bytes of `keyward_verdict.tenant`: the longest one, a NUL, and zeros up to a multiple of 8.
pub const KEYWARD_TENANT_SIZE: usize = 520;
/// The bytes of `keyward_verdict.scope`. A longer scope is left out of the verdict and its answer.
pub const KEYWARD_SCOPE_SIZE: usize = 1024;
/// The bytes of `keyward_verdict.subject`: the longest one that fits into a token, and a NUL.
pub const KEYWARD_SUBJECT_SIZE: usize = 6152;

/// `keyward_verdict.challenge` and `scopes_of`: nothing to challenge for.
pub const KEYWARD_SCHEME_NONE: u8 = 0;
/// The credential is a bearer token.
pub const KEYWARD_SCHEME_BEARER: u8 = 1;
/// The credential is the Basic scheme's.
pub const KEYWARD_SCHEME_BASIC: u8 = 2;
/// The credential has a header of its own.
pub const KEYWARD_SCHEME_API_KEY: u8 = 3;

/// What was decided about a request. The caller's memory, flat, with nothing to free.
///
/// A call sets it to a denial before anything else: all fields before `key_id` to 0, and each text to an
/// empty one. Bytes of a text after its NUL are left as they were, so that a call costs what it writes.
///
/// Only `decision == KEYWARD_ALLOW` lets a request in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct keyward_verdict {
    /// `KEYWARD_ALLOW`, or `KEYWARD_DENY`, which is 0.
    pub decision: u32,
    /// `KEYWARD_REASON_...`: for logs and metrics, not for the client.
    pub reason: u32,
    /// The generation that decided; 0: there was none.
    pub generation: u64,
    /// Seconds after which the key may come again, where the reason is `KEYWARD_REASON_RATE_LIMITED`.
    pub retry_after: u64,
    /// The bytes of `key_id`; 0: none. Known as soon as authentication passed, so also with a 403 or a 429.
    pub key_id_len: u32,
    /// The bytes of `environment`; 0: none.
    pub environment_len: u32,
    /// The bytes of `tenant`; 0: none.
    pub tenant_len: u32,
    /// The bytes of `scope`; 0: none.
    pub scope_len: u32,
    /// The bytes of `subject`.
    pub subject_len: u32,
    /// The bytes that the list of the key's scopes has, where `scopes_buffer` of the request asked for it.
    pub scopes_len: u32,
    /// 1 where there is a subject, be it empty.
    pub has_subject: u8,
    /// `KEYWARD_SCHEME_...` of the credential that an answer challenges for.
    pub challenge: u8,
    /// 1 where that credential was missing, or counts as if it were.
    pub challenge_missing: u8,
    /// `KEYWARD_SCHEME_...` of the credential whose scopes were too few.
    pub scopes_of: u8,
    /// 0.
    pub reserved: u32,
    /// 0.
    pub reserved2: u64,
    /// The id of the key. UTF-8 with a NUL behind it, as all texts here.
    pub key_id: [MaybeUninit<c_char>; KEYWARD_NAME_SIZE],
    /// The key's environment.
    pub environment: [MaybeUninit<c_char>; KEYWARD_NAME_SIZE],
    /// The key's tenant.
    pub tenant: [MaybeUninit<c_char>; KEYWARD_TENANT_SIZE],
    /// The scope that is missing, where the reason is `KEYWARD_REASON_INSUFFICIENT_SCOPE`.
    pub scope: [MaybeUninit<c_char>; KEYWARD_SCOPE_SIZE],
    /// The subject of the token, where one was required.
    pub subject: [MaybeUninit<c_char>; KEYWARD_SUBJECT_SIZE],
}

/// How many headers an answer has room for.
pub const KEYWARD_RESPONSE_HEADERS: usize = 8;

/// What the client is told. Its pointers go into the buffer that was handed in with it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_response {
    /// The HTTP status.
    pub status: u32,
    /// How many of `headers` there are.
    pub header_count: u32,
    /// The Content-Type of the body; NULL: there is none.
    pub content_type: keyward_bytes,
    /// The body; NULL: there is none, and it is the server's to answer.
    pub body: keyward_bytes,
    /// The other headers to send, Content-Type not among them: `WWW-Authenticate`, of which there may be
    /// several, `Retry-After`, and what later versions add.
    pub headers: [keyward_header; KEYWARD_RESPONSE_HEADERS],
}

/// The bytes of a message, its NUL included.
pub const KEYWARD_MESSAGE_SIZE: usize = 488;

/// What went wrong. The caller's memory; no thread has a last error.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct keyward_error {
    /// The same number that the function returns.
    pub code: i32,
    /// The bytes of `message`, without its NUL.
    pub message_len: u32,
    /// What was found, what was expected and what to do, in UTF-8, with a NUL behind it. It holds no secret.
    /// What is too long is cut.
    pub message: [MaybeUninit<c_char>; KEYWARD_MESSAGE_SIZE],
}

/// `keyward_engine_info.flags`: there is a snapshot to decide from.
pub const KEYWARD_INFO_LOADED: u32 = 1;
/// `keyward_engine_info.flags`: its memory is the file's own, shared with other processes.
pub const KEYWARD_INFO_MAPPED: u32 = 2;
/// `keyward_engine_info.flags`: all its pages have been checked.
pub const KEYWARD_INFO_CHECKED: u32 = 4;
/// `keyward_engine_info.flags`: a page was found damaged, so that every verdict is unavailable.
pub const KEYWARD_INFO_DAMAGED: u32 = 8;
/// `keyward_engine_info.flags`: limits and usage are counted in memory that processes share.
pub const KEYWARD_INFO_STATE_SHARED: u32 = 16;
/// `keyward_engine_info.flags`: the state file cannot be used, so that they are counted by this process alone.
/// Where there is no other error, `last_error_message` says why.
pub const KEYWARD_INFO_STATE_FAILED: u32 = 32;

/// What an engine decides from, and how its last reload went. Times are nanoseconds since
/// 1970-01-01T00:00:00Z, ages are seconds; 0 is not known, or none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct keyward_engine_info {
    /// `KEYWARD_INFO_LOADED` and the others, added up.
    pub flags: u32,
    /// The status of the last reload or check that failed, until one succeeds: 0 where none did.
    pub last_error: i32,
    /// The generation in use.
    pub generation: u64,
    /// The generation that it is laid over; 0: it is whole.
    pub base_generation: u64,
    /// When it was made.
    pub created: i64,
    /// When it took over here.
    pub since: i64,
    /// How long ago it was made.
    pub age: u64,
    /// The age past which it is no longer used.
    pub max_age: u64,
    /// Its keys.
    pub keys: u64,
    /// Its realms.
    pub realms: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Generations that are not in use any more and are still held by somebody.
    pub retired: u64,
    /// Keys that the rate limiter has room for.
    pub limiter_slots: u64,
    /// Keys whose rate was forgotten because the limiter had no room. If it grows, it has too few slots.
    pub limiter_displaced: u64,
    /// When the shared state was made, in whole seconds.
    pub state_created: i64,
    /// Keys whose usage was given up because the shared state had no room.
    pub state_displaced: u64,
    /// When the last error was.
    pub last_error_at: i64,
    /// The bytes of `last_error_message`, without its NUL.
    pub last_error_message_len: u32,
    /// 0.
    pub reserved: u32,
    /// The message of the last error, cut where it is too long.
    pub last_error_message: [MaybeUninit<c_char>; KEYWARD_MESSAGE_SIZE],
}

// A size that changes is a change of the ABI: append the new field, and raise KEYWARD_ABI_VERSION. That there
// is no padding is what makes any bytes a value; each of these is the sum of the fields.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<keyward_bytes>() == 16);
    assert!(size_of::<keyward_header>() == 2 * 16);
    assert!(size_of::<keyward_request>() == 2 * 4 + 5 * 16 + 4 * 8 + 16 + 16 + 8 + 2 * 4 + 2 * 8);
    assert!(size_of::<keyward_verdict>() == 64 + 2 * 256 + 520 + 1024 + 6152);
    assert!(std::mem::offset_of!(keyward_verdict, key_id) == 2 * 4 + 2 * 8 + 6 * 4 + 4 + 4 + 8);
    assert!(size_of::<keyward_response>() == 2 * 4 + 2 * 16 + 8 * 32);
    assert!(size_of::<keyward_error>() == 2 * 4 + 488);
    assert!(size_of::<keyward_engine_info>() == 2 * 4 + 15 * 8 + 2 * 4 + 488);
};
