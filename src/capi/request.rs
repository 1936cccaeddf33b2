//! A request of C's as the library's own.

use super::input::{Headers, known_list, list};
use super::numbers::*;
use super::sized::Struct;
use super::text::is_ascii;
use super::types::*;
use crate::request::{HeaderList, Peer, Request};
use crate::time::Timestamp;
use arrayvec::ArrayVec;
use std::hint::assert_unchecked;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};

// SAFETY: `repr(C)`, pointers and integers without padding; any bytes are a value, and pointers are only
// followed where the caller promises that they can be.
unsafe impl Struct for keyward_request {
    const SMALLEST: usize = offset_of!(Self, scopes);
}

/// The flags that there are.
const FLAGS: u32 = KEYWARD_TLS | KEYWARD_NO_ROUTING | KEYWARD_HAS_NOW | KEYWARD_NO_IDENTITY;

/// A request whose header list and texts are good: nothing but its numbers and scopes is left to look at.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a>(&'a keyward_request);

impl<'a> Checked<'a> {
    /// Looks at each part of a request.
    ///
    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    pub(super) unsafe fn new(request: &'a keyward_request) -> Result<Self, i32> {
        // SAFETY: as this function's own.
        unsafe { find_fault(request) }?;
        Ok(Self(request))
    }

    /// Looks at all of a request at once, if it is one as servers hand in, which say what HTTP says of a request
    /// and ask for no scopes. Others are for [`Checked::new`], be they good or not.
    ///
    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    #[inline(always)]
    pub(super) unsafe fn plain(request: &'a keyward_request) -> Option<Self> {
        // SAFETY: as this function's own.
        unsafe { is_plain(request) }.then_some(Self(request))
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

    /// The library's request, but for what [`Checked::complete`] adds.
    #[inline(always)]
    pub(super) fn texts<'r, H: HeaderList + ?Sized>(
        self,
        headers: &'r H,
        scopes: &'r [&'r str],
    ) -> Request<'r, H>
    where
        'a: 'r,
    {
        // SAFETY: `new` was promised it, and looked at it.
        let method = unsafe { self.0.method.known_optional() };
        // SAFETY: as of the method.
        let path = unsafe { self.0.path.known() };
        // SAFETY: as of the method.
        let host = unsafe { self.0.host.known_optional() };
        // SAFETY: as of the method.
        let environment = unsafe { self.0.environment.known_optional() };
        // SAFETY: `new` saw that it is UTF-8.
        let environment = environment.map(|name| unsafe { str::from_utf8_unchecked(name) });
        Request {
            realm: self.realm(),
            method,
            path: Some(path),
            host,
            peer: Peer::Unknown,
            tls: self.0.flags & KEYWARD_TLS != 0,
            environment,
            scopes,
            headers,
            now: None,
        }
    }

    /// Adds what numbers say. To a request that stays where it is: one that is returned together with a status
    /// would be copied, and a verify is short enough for that to be seen.
    #[inline(always)]
    pub(super) fn complete<H: HeaderList + ?Sized>(self, request: &mut Request<'_, H>) -> Result<(), i32> {
        let given = self.0;
        if given.flags & !FLAGS | given.reserved != 0 {
            return Err(KEYWARD_E_VALUE);
        }
        if given.flags & KEYWARD_NO_ROUTING != 0 {
            // Whoever hands in a path has not left routing out.
            if given.path.len != 0 {
                return Err(KEYWARD_E_VALUE);
            }
            request.path = None;
        }
        if given.flags & KEYWARD_HAS_NOW != 0 {
            let now = Timestamp::new(given.now_seconds, given.now_nanoseconds);
            request.now = Some(now.ok_or(KEYWARD_E_VALUE)?);
        }
        if given.peer_family == KEYWARD_PEER_IPV4 {
            let [a, b, c, d, ..] = given.peer_address;
            request.peer = Peer::Address(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
        } else {
            request.peer = self.other_peer()?;
        }
        Ok(())
    }

    #[inline(never)]
    fn other_peer(self) -> Result<Peer, i32> {
        match self.0.peer_family {
            KEYWARD_PEER_IPV6 => Ok(Peer::Address(IpAddr::from(self.0.peer_address).to_canonical())),
            KEYWARD_PEER_TEXT => {
                // SAFETY: `new` was promised it.
                let text = unsafe { self.0.peer.get() }?;
                Ok(if text.is_empty() { Peer::Unknown } else { Peer::parse(text) })
            }
            KEYWARD_PEER_UNIX => Ok(Peer::Unix),
            _ => Err(KEYWARD_E_VALUE),
        }
    }
}

/// What [`Checked::plain`] asks. It is in numbers that are put together, because of conditions a compiler makes
/// one branch each, and it leaves whatever else may be good to others.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
unsafe fn is_plain(request: &keyward_request) -> bool {
    let is_null = |bytes: keyward_bytes| usize::from(bytes.data.is_null());
    // Where there is nothing, a length of something.
    let lost = |is_null: bool, length: usize| if is_null { length } else { 0 };
    // The highest bit of this is set by a NULL, and by a length that no memory has.
    let sign = |bytes: keyward_bytes| bytes.data.addr().wrapping_sub(1) | bytes.len;
    let signs = |all: usize| all >> (usize::BITS - 1);

    let texts = sign(request.realm) | sign(request.method) | sign(request.path) | sign(request.host);
    let environment = request.environment;
    let flags = request.flags & KEYWARD_NO_ROUTING;
    let misaligned = request.headers.addr() % align_of::<keyward_header>();
    let too_many = request.header_count >> (usize::BITS - 1 - size_of::<keyward_header>().ilog2());
    let wrong = signs(texts | environment.len)
        | lost(environment.data.is_null(), environment.len)
        | lost(request.headers.is_null(), request.header_count)
        | misaligned
        | too_many
        | request.scope_count
        | request.scopes_buffer.addr()
        | flags as usize;
    if wrong != 0 {
        return false;
    }
    // SAFETY: as `list` would find it, and as the caller promised.
    let fields = unsafe { known_list(request.headers, request.header_count) };
    let (mut names, mut values, mut lengths) = (0, 0, 0);
    for field in fields {
        names += is_null(field.name);
        values += is_null(field.value);
        lengths |= field.name.len | field.value.len;
    }
    if names | values | signs(lengths) != 0 {
        return false;
    }
    // SAFETY: of NULL, the highest bit of `texts` would be set.
    unsafe { assert_unchecked(!request.realm.data.is_null()) };
    // SAFETY: the same.
    unsafe { assert_unchecked(!request.path.data.is_null()) };
    // SAFETY: it is possible, and readable as the caller promised.
    let realm = unsafe { request.realm.known() };
    // SAFETY: the same.
    let environment = unsafe { environment.known() };
    is_ascii(realm) && (environment.is_empty() || is_ascii(environment))
}

/// What is wrong with a request, if anything is.
///
/// # Safety
///
/// As of keyward_verify.
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
