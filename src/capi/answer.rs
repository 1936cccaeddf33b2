//! `keyward_answer`: what the client is told.

use super::boundary::boundary;
use super::engine::Slot;
use super::handle::keyward_engine;
use super::numbers::*;
use super::sized::{Output, Struct, input, zeroed};
use super::types::*;
use crate::gates::{Answer, AnswerParts, Scheme};
use crate::reason::Reason;
use std::ffi::c_char;
use std::mem::MaybeUninit;

// SAFETY: `repr(C)`, integers and pointers without padding.
unsafe impl Struct for keyward_response {
    const SMALLEST: usize = size_of::<Self>();
}

pub(super) const fn scheme_number(scheme: Option<Scheme>) -> u8 {
    match scheme {
        None => KEYWARD_SCHEME_NONE,
        Some(Scheme::Bearer) => KEYWARD_SCHEME_BEARER,
        Some(Scheme::Basic) => KEYWARD_SCHEME_BASIC,
        Some(Scheme::ApiKey) => KEYWARD_SCHEME_API_KEY,
    }
}

fn scheme_of(number: u8) -> Result<Option<Scheme>, i32> {
    Ok(match number {
        KEYWARD_SCHEME_NONE => None,
        KEYWARD_SCHEME_BEARER => Some(Scheme::Bearer),
        KEYWARD_SCHEME_BASIC => Some(Scheme::Basic),
        KEYWARD_SCHEME_API_KEY => Some(Scheme::ApiKey),
        _ => return Err(KEYWARD_E_VALUE),
    })
}

/// The text of a verdict that a caller hands back.
///
/// # Safety
///
/// The first `length` bytes of `text` were written.
unsafe fn text_of<const SIZE: usize>(text: &[MaybeUninit<c_char>; SIZE], length: u32) -> Result<&str, i32> {
    let length = usize::try_from(length).map_err(|_| KEYWARD_E_VALUE)?;
    let text = text.get(..length).ok_or(KEYWARD_E_VALUE)?;
    // SAFETY: those were written, and a `c_char` is a byte.
    let bytes = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), text.len()) };
    std::str::from_utf8(bytes).map_err(|_| KEYWARD_E_UTF8)
}

/// A buffer of the caller's that texts are put into one after the other. It counts on where it is full.
pub(super) struct Buffer {
    pointer: *mut u8,
    capacity: usize,
    used: usize,
}

impl Buffer {
    /// # Safety
    ///
    /// Where `pointer` is not NULL, `capacity` bytes can be written there, and nobody else looks at them
    /// while this exists.
    pub(super) unsafe fn new(pointer: *mut u8, capacity: usize) -> Self {
        let capacity = if pointer.is_null() { 0 } else { capacity };
        Self { pointer, capacity, used: 0 }
    }

    /// Puts `bytes` behind the others, where they fit, and says where they are.
    pub(super) fn put(&mut self, bytes: &[u8]) -> keyward_bytes {
        let start = self.used;
        self.used = self.used.saturating_add(bytes.len());
        if self.used > self.capacity || self.pointer.is_null() {
            return keyward_bytes::EMPTY;
        }
        // SAFETY: `start` is not past the end of the buffer.
        let target = unsafe { self.pointer.add(start) };
        // SAFETY: there is room for so many bytes, and `bytes` are the library's own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        keyward_bytes { data: target, len: bytes.len() }
    }

    /// The bytes that were put, or would have been.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Tells how many bytes were needed, and whether they were there.
    pub(super) fn finish(&self, needed: Slot<usize>) -> Result<(), i32> {
        needed.set(self.used);
        if self.used > self.capacity { Err(KEYWARD_E_BUFFER) } else { Ok(()) }
    }
}

/// Renders what the client is told of a verdict: status, headers and body.
///
/// The words are those that the engine's current generation has for the realm, also where an older one
/// decided. A verdict that says nothing, as one that is all zeros, is answered as unavailable.
///
/// @param engine         an engine that the caller holds
/// @param realm          the realm of the request; UTF-8
/// @param verdict        a verdict; only read, and only during the call
/// @param verdict_size   sizeof *verdict
/// @param response       the caller's memory; its pointers go into `buffer`. All zeros where it failed
/// @param response_size  sizeof *response
/// @param buffer         the caller's memory, for the texts
/// @param capacity       its bytes; 4096 do for most configurations
/// @param needed         the bytes that were, or would have been, used; or NULL
///
/// @return KEYWARD_OK, KEYWARD_E_BUFFER where `buffer` is too small, or another 1xx
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_answer(
    engine: *const keyward_engine,
    realm: keyward_bytes,
    verdict: *const keyward_verdict,
    verdict_size: usize,
    response: *mut keyward_response,
    response_size: usize,
    buffer: *mut u8,
    capacity: usize,
    needed: *mut usize,
) -> i32 {
    // SAFETY: as this function's own.
    let mut output = unsafe { Output::new(response, response_size) };
    // SAFETY: as this function's own.
    let needed = unsafe { Slot::new(needed) };
    let mut denied = output;
    let deny = move || {
        denied.deny();
        needed.set(0);
    };
    boundary(deny, move || {
        output.deny();
        needed.set(0);
        let work = || {
            output.check()?;
            // SAFETY: as this function's own.
            let handle = unsafe { keyward_engine::borrow(engine) }?;
            // SAFETY: as this function's own.
            let realm = unsafe { realm.text() }?;
            let mut space = MaybeUninit::uninit();
            // SAFETY: as this function's own.
            let verdict = unsafe { input(verdict, verdict_size, &mut space) }?;
            // SAFETY: a verdict has as many bytes of a text as it says.
            let scope = unsafe { text_of(&verdict.scope, verdict.scope_len) }?;
            let answer = rendered(handle, realm, verdict, scope)?;
            // SAFETY: as this function's own.
            let mut buffer = unsafe { Buffer::new(buffer, capacity) };
            let response = placed(&answer, &mut buffer);
            buffer.finish(needed)?;
            output.write(&response)
        };
        let mut work = work;
        work().err().unwrap_or(KEYWARD_OK)
    })
}

fn rendered(
    handle: &keyward_engine,
    realm: &str,
    verdict: &keyward_verdict,
    scope: &str,
) -> Result<Answer, i32> {
    let reason = match verdict.reason {
        KEYWARD_REASON_NONE => Reason::Unavailable,
        number => reason_of(number).ok_or(KEYWARD_E_VALUE)?,
    };
    // Nothing but an allowed verdict is answered as one.
    if (reason == Reason::Ok) != (verdict.decision == KEYWARD_ALLOW) {
        return Err(KEYWARD_E_VALUE);
    }
    let parts = AnswerParts {
        reason,
        challenge: scheme_of(verdict.challenge)?,
        missing: verdict.challenge_missing != 0,
        scopes_of: scheme_of(verdict.scopes_of)?,
        scope: (reason == Reason::InsufficientScope).then_some(scope),
        retry_after: (reason == Reason::RateLimited).then_some(verdict.retry_after),
    };
    let pinned = handle.engine().pin();
    Ok(match pinned.plan() {
        Some(plan) => plan.answer(realm, &parts),
        None => Answer::of_nobody(reason),
    })
}

/// Puts the texts of an answer into the buffer.
fn placed(answer: &Answer, buffer: &mut Buffer) -> keyward_response {
    let mut response: keyward_response = zeroed();
    response.status = answer.status.into();
    let mut text = |text: &Option<String>| {
        text.as_ref().map_or(keyward_bytes::EMPTY, |text| buffer.put(text.as_bytes()))
    };
    response.content_type = text(&answer.content_type);
    response.body = text(&answer.body);
    let retry_after = answer.retry_after.map(|seconds| seconds.to_string());
    let headers = [("WWW-Authenticate", &answer.www_authenticate), ("Retry-After", &retry_after)];
    let sent = headers.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    for (place, (name, value)) in response.headers.iter_mut().zip(sent) {
        *place = keyward_header { name: buffer.put(name.as_bytes()), value: buffer.put(value.as_bytes()) };
        response.header_count += 1;
    }
    response
}
