//! A request of C's as the library's own.

use super::input::list;
use super::numbers::KEYWARD_E_VALUE;
use super::sized::Struct;
use super::types::*;
use crate::request::{HeaderList, Peer, Request};
use crate::time::Timestamp;
use arrayvec::ArrayVec;
use std::mem::offset_of;

// SAFETY: `repr(C)`, pointers and integers without padding; any bytes are a value, and pointers are only
// followed where the caller promises that they can be.
unsafe impl Struct for keyward_request {
    const SMALLEST: usize = offset_of!(Self, scopes);
}

/// Hands the library's request to `work`. It is made where it stays: a struct as large as this one that a
/// function returns is copied, and a verify is short enough for that to be seen.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
pub(super) unsafe fn with_translated<H: HeaderList + ?Sized, T>(
    request: &keyward_request,
    headers: &H,
    work: impl FnOnce(&Request<'_, H>) -> Result<T, i32>,
) -> Result<T, i32> {
    const KNOWN: u32 = KEYWARD_TLS | KEYWARD_NO_ROUTING | KEYWARD_HAS_NOW | KEYWARD_NO_IDENTITY;
    let mut space = Scopes::new();
    // SAFETY: as this function's own.
    let scopes = unsafe { space.of(request) }?;
    if request.flags & !KNOWN != 0 || request.reserved != 0 {
        return Err(KEYWARD_E_VALUE);
    }
    // SAFETY: as this function's own.
    let path = match unsafe { request.path.get() }? {
        path if request.flags & KEYWARD_NO_ROUTING == 0 => Some(path),
        [] => None,
        // Whoever hands in a path has not left routing out.
        _ => return Err(KEYWARD_E_VALUE),
    };
    let now = match request.flags & KEYWARD_HAS_NOW {
        0 => None,
        _ => {
            let now = Timestamp::new(request.now_seconds, request.now_nanoseconds);
            Some(now.ok_or(KEYWARD_E_VALUE)?)
        }
    };
    // SAFETY: as this function's own.
    let realm = unsafe { request.realm.text() }?;
    // SAFETY: as this function's own.
    let method = unsafe { request.method.optional() }?;
    // SAFETY: as this function's own.
    let host = unsafe { request.host.optional() }?;
    // SAFETY: as this function's own.
    let peer = unsafe { peer(request) }?;
    // SAFETY: as this function's own.
    let environment = unsafe { request.environment.optional_text() }?;
    let tls = request.flags & KEYWARD_TLS != 0;
    work(&Request { realm, method, path, host, peer, tls, environment, scopes, headers, now })
}

/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
unsafe fn peer(request: &keyward_request) -> Result<Peer, i32> {
    let address = &request.peer_address;
    Ok(match request.peer_family {
        KEYWARD_PEER_TEXT => {
            // SAFETY: as this function's own.
            let text = unsafe { request.peer.get() }?;
            if text.is_empty() { Peer::Unknown } else { Peer::parse(text) }
        }
        KEYWARD_PEER_UNIX => Peer::Unix,
        KEYWARD_PEER_IPV4 => match address.first_chunk::<4>() {
            Some(first) => Peer::Address((*first).into()),
            None => Peer::Unknown,
        },
        KEYWARD_PEER_IPV6 => Peer::Address(std::net::IpAddr::from(*address).to_canonical()),
        _ => return Err(KEYWARD_E_VALUE),
    })
}

/// The scopes that a caller asks for: the first few without an allocation.
struct Scopes<'a> {
    few: ArrayVec<&'a str, 16>,
    many: Vec<&'a str>,
}

impl<'a> Scopes<'a> {
    #[inline(always)]
    const fn new() -> Self {
        Self { few: ArrayVec::new_const(), many: Vec::new() }
    }

    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    #[inline(always)]
    unsafe fn of(&mut self, request: &keyward_request) -> Result<&[&'a str], i32> {
        if request.scope_count == 0 {
            return Ok(&[]);
        }
        // SAFETY: as this function's own.
        unsafe { self.read(request) }
    }

    /// # Safety
    ///
    /// As of keyward_verify, for `'a`.
    unsafe fn read(&mut self, request: &keyward_request) -> Result<&[&'a str], i32> {
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
