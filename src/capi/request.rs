//! A request of C's as the library's own.

use super::input::{Headers, known_list, list};
use super::numbers::*;
use super::sized::Struct;
use super::types::*;
use crate::request::{HeaderList, Peer, Request};
use crate::time::Timestamp;
use arrayvec::ArrayVec;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};

// SAFETY: `repr(C)`, pointers and integers without padding; any bytes are a value, and pointers are only
// followed where the caller promises that they can be.
unsafe impl Struct for keyward_request {
    const SMALLEST: usize = offset_of!(Self, scopes);
}

/// The flags that there are.
const FLAGS: u32 = KEYWARD_TLS | KEYWARD_NO_ROUTING | KEYWARD_HAS_NOW | KEYWARD_NO_IDENTITY;

/// A request whose header list and texts are good: nothing but its scopes and numbers is left to look at.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a>(&'a keyward_request);

impl<'a> Checked<'a> {
    /// Looks at all of a request at once, and only where that finds something, at each part.
    ///
    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    #[inline(always)]
    pub(super) unsafe fn new(request: &'a keyward_request) -> Result<Self, i32> {
        // SAFETY: as this function's own.
        if !unsafe { is_plain(request) } {
            // SAFETY: as this function's own.
            unsafe { find_fault(request) }?;
        }
        Ok(Self(request))
    }

    #[inline(always)]
    pub(super) fn given(self) -> &'a keyward_request {
        self.0
    }

    /// The name of the realm.
    #[inline(always)]
    pub(super) fn realm(self) -> &'a str {
        // SAFETY: `new` was promised it, and looked at it.
        let realm = unsafe { self.0.realm.known() };
        // SAFETY: `new` saw that it is UTF-8.
        unsafe { str::from_utf8_unchecked(realm) }
    }

    /// The header list.
    #[inline(always)]
    pub(super) fn headers(self) -> Headers<'a> {
        // SAFETY: `new` was promised the list and what is in it, and looked at it.
        unsafe { Headers::new(self.0.headers, self.0.header_count) }
    }

    /// Hands the library's request to `work`. It is made where it stays: a struct as large as this one that
    /// a function returns is copied, and a verify is short enough for that to be seen.
    #[inline(always)]
    pub(super) fn translated<H: HeaderList + ?Sized, T>(
        self,
        headers: &H,
        scopes: &[&str],
        work: impl FnOnce(&Request<'_, H>) -> Result<T, i32>,
    ) -> Result<T, i32> {
        let given = self.0;
        if given.flags & !FLAGS | given.reserved != 0 {
            return Err(KEYWARD_E_VALUE);
        }
        // SAFETY: `new` was promised it, and looked at it.
        let method = unsafe { given.method.known_optional() };
        // SAFETY: as of the method.
        let path = unsafe { given.path.known() };
        // SAFETY: as of the method.
        let host = unsafe { given.host.known_optional() };
        // SAFETY: as of the method.
        let environment = unsafe { given.environment.known_optional() };
        // SAFETY: `new` saw that it is UTF-8.
        let environment = environment.map(|name| unsafe { str::from_utf8_unchecked(name) });
        let mut request = Request {
            realm: self.realm(),
            method,
            path: Some(path),
            host,
            peer: Peer::Unknown,
            tls: given.flags & KEYWARD_TLS != 0,
            environment,
            scopes,
            headers,
            now: None,
        };
        if given.flags & KEYWARD_NO_ROUTING != 0 {
            // Whoever hands in a path has not left routing out.
            if !path.is_empty() {
                return Err(KEYWARD_E_VALUE);
            }
            request.path = None;
        }
        if given.flags & KEYWARD_HAS_NOW != 0 {
            let now = Timestamp::new(given.now_seconds, given.now_nanoseconds);
            request.now = Some(now.ok_or(KEYWARD_E_VALUE)?);
        }
        match given.peer_family {
            KEYWARD_PEER_IPV4 => {
                let [a, b, c, d, ..] = given.peer_address;
                request.peer = Peer::Address(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            KEYWARD_PEER_IPV6 => {
                request.peer = Peer::Address(IpAddr::from(given.peer_address).to_canonical());
            }
            KEYWARD_PEER_TEXT => {
                // SAFETY: `new` was promised it.
                let text = unsafe { given.peer.get() }?;
                if !text.is_empty() {
                    request.peer = Peer::parse(text);
                }
            }
            KEYWARD_PEER_UNIX => request.peer = Peer::Unix,
            _ => return Err(KEYWARD_E_VALUE),
        }
        work(&request)
    }
}

/// Whether the header list and the texts of a request are as nearly all are, and good. It says no to some that
/// are good all the same: so it takes few branches and no calls.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
unsafe fn is_plain(request: &keyward_request) -> bool {
    // In numbers, because a compiler makes a branch of each condition else. A length that nothing stands at:
    let lost = |bytes: keyward_bytes| if bytes.data.is_null() { bytes.len } else { 0 };
    // And one that no memory has, by its highest bit.
    const fn too_long(lengths: usize) -> usize {
        lengths >> (usize::BITS - 1)
    }
    let texts = [request.realm, request.method, request.path, request.host, request.environment];
    let lengths = texts.iter().fold(0, |all, text| all | text.len);
    let wrong = texts.iter().fold(0, |all, text| all | lost(*text)) | too_long(lengths);
    let no_list = if request.headers.is_null() { request.header_count } else { 0 };
    let wrong = wrong
        | no_list
        | request.headers.addr() % align_of::<keyward_header>()
        | request.header_count.checked_shr(usize::BITS - 1 - size_of::<keyward_header>().ilog2()).unwrap_or(0);
    if wrong != 0 {
        return false;
    }
    // SAFETY: as `list` would find it, and as the caller promised.
    let fields = unsafe { known_list(request.headers, request.header_count) };
    let (mut nulls, mut lengths) = (0_usize, 0);
    for field in fields {
        nulls += usize::from(field.name.data.is_null());
        nulls += usize::from(field.value.data.is_null());
        lengths |= field.name.len | field.value.len;
    }
    if nulls | too_long(lengths) != 0 {
        return false;
    }
    // SAFETY: it is possible, and readable as the caller promised.
    let realm = unsafe { request.realm.known() };
    // SAFETY: the same.
    let environment = unsafe { request.environment.known() };
    is_ascii(realm) && (environment.is_empty() || is_ascii(environment))
}

/// Whether a text is ASCII, which is UTF-8. Names are short: a look at the first and the last word does.
#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let seen = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        if text.len() > 16 {
            return is_ascii_throughout(text);
        }
        u64::from_le_bytes(*first) | u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last))
    } else {
        text.iter().fold(0, |seen, &byte| seen | u64::from(byte))
    };
    seen & HIGH == 0
}

#[inline(never)]
fn is_ascii_throughout(text: &[u8]) -> bool {
    text.is_ascii()
}

/// What is wrong with a request, if anything is.
///
/// # Safety
///
/// As of keyward_verify.
#[cold]
#[inline(never)]
unsafe fn find_fault(request: &keyward_request) -> Result<(), i32> {
    // SAFETY: as this function's own.
    let fields = unsafe { list(request.headers, request.header_count) }?;
    if !fields.iter().all(|field| field.name.is_possible() && field.value.is_possible()) {
        return Err(KEYWARD_E_LENGTH);
    }
    // SAFETY: as this function's own.
    for scope in unsafe { list(request.scopes, request.scope_count) }? {
        // SAFETY: as this function's own.
        unsafe { scope.text() }?;
    }
    if request.flags & !FLAGS | request.reserved != 0 {
        return Err(KEYWARD_E_VALUE);
    }
    // SAFETY: as this function's own.
    let path = unsafe { request.path.get() }?;
    // Whoever hands in a path has not left routing out.
    if request.flags & KEYWARD_NO_ROUTING != 0 && !path.is_empty() {
        return Err(KEYWARD_E_VALUE);
    }
    if request.flags & KEYWARD_HAS_NOW != 0 {
        Timestamp::new(request.now_seconds, request.now_nanoseconds).ok_or(KEYWARD_E_VALUE)?;
    }
    // SAFETY: as this function's own.
    unsafe { request.realm.text() }?;
    // SAFETY: as this function's own.
    unsafe { request.method.get() }?;
    // SAFETY: as this function's own.
    unsafe { request.host.get() }?;
    match request.peer_family {
        KEYWARD_PEER_TEXT => {
            // SAFETY: as this function's own.
            unsafe { request.peer.get() }?;
        }
        KEYWARD_PEER_UNIX | KEYWARD_PEER_IPV4 | KEYWARD_PEER_IPV6 => {}
        _ => return Err(KEYWARD_E_VALUE),
    }
    // SAFETY: as this function's own.
    unsafe { request.environment.text() }?;
    Ok(())
}

/// The scopes that a caller asks for: the first few without an allocation.
pub(super) struct Scopes<'a> {
    few: ArrayVec<&'a str, 16>,
    many: Vec<&'a str>,
}

impl<'a> Scopes<'a> {
    pub(super) const fn new() -> Self {
        Self { few: ArrayVec::new_const(), many: Vec::new() }
    }

    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    pub(super) unsafe fn of(&mut self, request: &keyward_request) -> Result<&[&'a str], i32> {
        // SAFETY: as this function's own.
        let asked = unsafe { list(request.scopes, request.scope_count) }?;
        if asked.len() > self.few.capacity() {
            self.many.reserve(asked.len());
        }
        for scope in asked {
            // SAFETY: as this function's own.
            let scope = unsafe { scope.text() }?;
            if self.many.capacity() > 0 {
                self.many.push(scope);
            } else {
                // There is room for as many as were asked for.
                let _ = self.few.try_push(scope);
            }
        }
        Ok(if self.many.is_empty() { &self.few } else { &self.many })
    }
}

/// Makes the text empty that the scopes of the key are listed in, before anything is decided.
///
/// # Safety
///
/// As of keyward_verify.
#[inline]
pub(super) unsafe fn empty_scopes(request: &keyward_request) {
    if !request.scopes_buffer.is_null() && request.scopes_capacity > 0 {
        // SAFETY: it has at least one byte.
        unsafe { request.scopes_buffer.write(0) };
    }
}
