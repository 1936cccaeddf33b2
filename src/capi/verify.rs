//! `keyward_verify`: a request in, a verdict out.

use super::answer::{Buffer, scheme_number};
use super::bare_key::{KeyHeader, header_of_key};
use super::boundary::boundary;
use super::handle::keyward_engine;
use super::input::Headers;
use super::numbers::*;
use super::request::{Checked, Scopes, empty_scopes};
use super::sized::{Output, Struct, input, zeroed};
use super::text::{is_ascii, set_bytes, set_text};
use super::types::*;
use crate::engine::Verdict;
use crate::time::Timestamp;
use arrayvec::ArrayVec;
use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};

// SAFETY: `repr(C)`, integers without padding; the texts may be unwritten.
unsafe impl Struct for keyward_verdict {
    const SMALLEST: usize = Self::HEAD;
    const HEAD: usize = offset_of!(Self, key_id);

    #[inline(always)]
    fn empty_texts(&mut self) {
        // A text that a caller prints without looking at its length is never that of an earlier request.
        empty(&mut self.key_id);
        empty(&mut self.environment);
        empty(&mut self.tenant);
        empty(&mut self.scope);
        empty(&mut self.subject);
    }
}

#[inline(always)]
fn empty<const SIZE: usize>(text: &mut [MaybeUninit<c_char>; SIZE]) {
    if let Some(first) = text.first_mut() {
        first.write(0);
    }
}

/// Decides one request.
///
/// @param engine        an engine that the caller holds
/// @param request       the request; only read, and only during the call
/// @param request_size  sizeof *request
/// @param verdict       what was decided: the caller's memory, a denial before anything else happens
/// @param verdict_size  sizeof *verdict
///
/// @return KEYWARD_OK where the request was decided, either way; 1xx where the caller is at fault, 5xx where
/// the library is. Only `verdict->decision == KEYWARD_ALLOW` lets a request in, whatever is returned.
///
/// It takes no lock, and for a key it allocates nothing and makes no system call, except the first time in
/// a thread.
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say; nobody writes to the request or touches the verdict during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_verify(
    engine: *const keyward_engine,
    request: *const keyward_request,
    request_size: usize,
    verdict: *mut keyward_verdict,
    verdict_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let mut output = unsafe { Output::new(verdict, verdict_size) };
    let mut denied = output;
    boundary(
        move || denied.deny(),
        move || {
            let done = match output.exact() {
                // SAFETY: as this function's own.
                Some(verdict) => unsafe { verify(engine, request, request_size, verdict) },
                // SAFETY: as this function's own.
                None => unsafe { verify_into_other_size(engine, request, request_size, &mut output) },
            };
            done.err().unwrap_or(KEYWARD_OK)
        },
    )
}

/// The work of keyward_verify. It becomes a part of that: what nearly every call does is one function, and the
/// gates, which it calls.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
unsafe fn verify(
    engine: *const keyward_engine,
    request: *const keyward_request,
    request_size: usize,
    verdict: &mut keyward_verdict,
) -> Result<(), i32> {
    // SAFETY: as this function's own.
    let handle = unsafe { keyward_engine::borrow(engine) }?;
    let mut space = MaybeUninit::uninit();
    // SAFETY: as this function's own.
    let request = unsafe { input(request, request_size, &mut space) }?;
    // SAFETY: as this function's own.
    let Some(plain) = (unsafe { Checked::plain(request) }) else {
        // SAFETY: as this function's own.
        return unsafe { decide_then(handle, request, verdict, |_, _| ()) };
    };
    let headers = plain.headers();
    let mut translated = plain.texts(&headers, &[]);
    plain.complete(&mut translated)?;
    let decided = handle.engine().verify(&translated);
    // SAFETY: as this function's own.
    unsafe { fill(&decided, request, verdict, Listing::No) }
}

/// # Safety
///
/// As of keyward_verify.
#[cold]
#[inline(never)]
unsafe fn verify_into_other_size(
    engine: *const keyward_engine,
    request: *const keyward_request,
    request_size: usize,
    output: &mut Output<keyward_verdict>,
) -> Result<(), i32> {
    // SAFETY: as this function's own.
    into_other_size(output, |verdict| unsafe { verify(engine, request, request_size, verdict) })
}

/// Decides one request that presents a key by itself, without headers: taken from a message, a connection
/// or the like. It is decided as if it stood where the realm takes its key from.
///
/// The realm needs a credential of kind `key`: its only one, or the first that it requires by default;
/// KEYWARD_E_NOT_A_KEY where there is none. `request->header_count` is 0. The rest is that of
/// keyward_verify.
///
/// @param engine        an engine that the caller holds
/// @param key           the key; only read, and only during the call. Empty: there is none.
/// @param request       everything else about the request; only read, and only during the call
/// @param request_size  sizeof *request
/// @param verdict       what was decided: the caller's memory, a denial before anything else happens
/// @param verdict_size  sizeof *verdict
///
/// @return as keyward_verify
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// As of keyward_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_verify_key(
    engine: *const keyward_engine,
    key: keyward_bytes,
    request: *const keyward_request,
    request_size: usize,
    verdict: *mut keyward_verdict,
    verdict_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let mut output = unsafe { Output::new(verdict, verdict_size) };
    let mut denied = output;
    boundary(
        move || denied.deny(),
        move || {
            let done = into_verdict(&mut output, |verdict| {
                // SAFETY: as this function's own.
                let handle = unsafe { keyward_engine::borrow(engine) }?;
                let mut space = MaybeUninit::uninit();
                // SAFETY: as this function's own.
                let request = unsafe { input(request, request_size, &mut space) }?;
                // SAFETY: as this function's own.
                let key = unsafe { key.get() }?;
                // SAFETY: as this function's own.
                unsafe { decide_key(handle, key, request, verdict) }
            });
            done.err().unwrap_or(KEYWARD_OK)
        },
    )
}

/// Lends the caller's verdict, set to a denial, to `work`.
#[inline]
pub(super) fn into_verdict(
    output: &mut Output<keyward_verdict>,
    work: impl FnOnce(&mut keyward_verdict) -> Result<(), i32>,
) -> Result<(), i32> {
    match output.exact() {
        Some(verdict) => work(verdict),
        None => into_other_size(output, work),
    }
}

/// Of a verdict of another size, a text that is not whole in it is not there.
#[cold]
fn into_other_size(
    output: &mut Output<keyward_verdict>,
    work: impl FnOnce(&mut keyward_verdict) -> Result<(), i32>,
) -> Result<(), i32> {
    output.check()?;
    output.deny();
    let mut verdict: keyward_verdict = zeroed();
    let done = work(&mut verdict);
    if done.is_ok() {
        let has_room_to = |end: usize| output.size() >= end;
        if !has_room_to(offset_of!(keyward_verdict, environment)) {
            verdict.key_id_len = 0;
        }
        if !has_room_to(offset_of!(keyward_verdict, tenant)) {
            verdict.environment_len = 0;
        }
        if !has_room_to(offset_of!(keyward_verdict, scope)) {
            verdict.tenant_len = 0;
        }
        if !has_room_to(offset_of!(keyward_verdict, subject)) {
            verdict.scope_len = 0;
        }
        if !has_room_to(size_of::<keyward_verdict>()) {
            (verdict.subject_len, verdict.has_subject) = (0, 0);
        }
        output.write(&verdict)?;
    }
    done
}

/// Decides a request, whichever, and hands the verdict itself to `then`, once it stands in `verdict`.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(never)]
pub(super) unsafe fn decide_then<T>(
    handle: &keyward_engine,
    request: &keyward_request,
    verdict: &mut keyward_verdict,
    then: impl FnOnce(&Verdict<'_>, Option<Timestamp>) -> T,
) -> Result<T, i32> {
    // SAFETY: as this function's own.
    unsafe { empty_scopes(request) };
    // SAFETY: as this function's own.
    let checked = unsafe { Checked::new(request) }?;
    let mut space = Scopes::new();
    // SAFETY: as this function's own.
    let scopes = unsafe { space.of(request) }?;
    let headers = checked.headers();
    let mut translated = checked.texts(&headers, scopes);
    checked.complete(&mut translated)?;
    let decided = handle.engine().verify(&translated);
    // SAFETY: as this function's own.
    unsafe { fill(&decided, request, verdict, Listing::IfAsked) }?;
    Ok(then(&decided, translated.now))
}

/// # Safety
///
/// As of keyward_verify.
unsafe fn decide_key(
    handle: &keyward_engine,
    key: &[u8],
    request: &keyward_request,
    verdict: &mut keyward_verdict,
) -> Result<(), i32> {
    // SAFETY: as this function's own.
    unsafe { empty_scopes(request) };
    if request.header_count != 0 {
        return Err(KEYWARD_E_VALUE);
    }
    // SAFETY: as this function's own.
    let checked = match unsafe { Checked::plain(request) } {
        Some(plain) => plain,
        // SAFETY: as this function's own.
        None => unsafe { Checked::new(request) }?,
    };
    let held = handle.engine().hold();
    let realms = held.as_deref().map(|plan| plan.layers().base().realms()).unwrap_or_default();
    let mut value = KeyHeader::new();
    let mut fields = ArrayVec::<keyward_header, 1>::new();
    // Without the realm the verdict is unavailable, whatever stands in the header.
    if let Some(realm) = realms.iter().find(|known| known.name == checked.realm())
        && !key.is_empty()
    {
        let name = header_of_key(realm, key, &mut value).ok_or(KEYWARD_E_NOT_A_KEY)?;
        fields.push(keyward_header { name: keyward_bytes::of(name), value: keyward_bytes::of(&value) });
    }
    // SAFETY: the name stands in the plan, which the verdict holds on to, and the value here.
    let headers = unsafe { Headers::new(fields.as_ptr(), fields.len()) };
    let mut space = Scopes::new();
    // SAFETY: as this function's own.
    let scopes = unsafe { space.of(request) }?;
    let mut translated = checked.texts(&headers, scopes);
    checked.complete(&mut translated)?;
    let decided = handle.engine().verify_from(held, &translated);
    // SAFETY: as this function's own.
    unsafe { fill(&decided, request, verdict, Listing::IfAsked) }
}

/// Writes a text of a verdict, which has room for the longest that keyward writes.
#[inline]
fn put<const SIZE: usize>(target: &mut [MaybeUninit<c_char>; SIZE], text: Option<&str>) -> Result<u32, i32> {
    put_bytes(target, text.map(str::as_bytes))
}

/// [`put`] of what is known to be UTF-8.
#[inline(always)]
fn put_bytes<const SIZE: usize>(
    target: &mut [MaybeUninit<c_char>; SIZE],
    text: Option<&[u8]>,
) -> Result<u32, i32> {
    match text {
        None => Ok(0),
        Some(text) if text.len() < SIZE => Ok(set_bytes(target, text) as u32),
        Some(_) => Err(KEYWARD_E_MALFORMED),
    }
}

/// Writes a name that stands in the snapshot. Nearly every one is ASCII, which is told sooner than UTF-8: only what
/// is not takes `text`, the way of those who need a `str`.
#[inline(always)]
fn put_name<'v, const SIZE: usize>(
    target: &mut [MaybeUninit<c_char>; SIZE],
    bytes: Option<&'v [u8]>,
    text: impl FnOnce() -> Option<&'v str>,
) -> Result<u32, i32> {
    match bytes {
        Some(name) if !is_ascii(name) => put(target, text()),
        name => put_bytes(target, name),
    }
}

/// Whether the scopes of the key are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// There is no buffer for them.
    No,
    /// If there is one.
    IfAsked,
}

/// Writes what was decided to a verdict that stands at a denial. Whoever is let in is written last.
///
/// # Safety
///
/// As of keyward_verify.
#[inline(always)]
unsafe fn fill(
    decided: &Verdict<'_>,
    request: &keyward_request,
    verdict: &mut keyward_verdict,
    listing: Listing,
) -> Result<(), i32> {
    let reason = reason_number(decided.reason());
    verdict.generation = decided.generation().unwrap_or(0);
    if request.flags & KEYWARD_NO_IDENTITY == 0 {
        verdict.key_id_len = put_name(&mut verdict.key_id, decided.key_id_bytes(), || decided.key_id())?;
        verdict.environment_len = put(&mut verdict.environment, decided.environment())?;
        verdict.tenant_len = put_name(&mut verdict.tenant, decided.tenant_bytes(), || decided.tenant())?;
        if let Some(subject) = decided.subject() {
            verdict.subject_len = put(&mut verdict.subject, Some(subject))?;
            verdict.has_subject = 1;
        }
    }
    if listing == Listing::IfAsked && !request.scopes_buffer.is_null() {
        // SAFETY: as this function's own.
        verdict.scopes_len = unsafe { list_scopes(decided, request) }?;
    }
    if decided.is_allowed() {
        verdict.reason = reason;
        verdict.decision = KEYWARD_ALLOW;
        return Ok(());
    }
    verdict.reason = reason;
    fill_refusal(decided, verdict);
    Ok(())
}

/// Lists the scopes of the key in the caller's buffer, and returns how long the list is.
///
/// # Safety
///
/// As of keyward_verify.
unsafe fn list_scopes(decided: &Verdict<'_>, request: &keyward_request) -> Result<u32, i32> {
    // SAFETY: as this function's own.
    let mut buffer = unsafe { Buffer::new(request.scopes_buffer.cast(), request.scopes_capacity) };
    for (at, scope) in decided.scopes().enumerate() {
        if at > 0 {
            buffer.put(b" ");
        }
        buffer.put(scope.as_bytes());
    }
    let length = buffer.used();
    buffer.put(b"\0");
    if buffer.used() > request.scopes_capacity {
        // SAFETY: as this function's own.
        unsafe { empty_scopes(request) };
    }
    u32::try_from(length).map_err(|_| KEYWARD_E_MALFORMED)
}

/// What an answer is made of.
fn fill_refusal(decided: &Verdict<'_>, verdict: &mut keyward_verdict) {
    let parts = decided.answer_parts();
    verdict.challenge = scheme_number(parts.challenge);
    verdict.challenge_missing = parts.missing.into();
    verdict.scopes_of = scheme_number(parts.scopes_of);
    verdict.retry_after = parts.retry_after.unwrap_or(0);
    // A scope that there is no room for is left out.
    verdict.scope_len = set_text(&mut verdict.scope, parts.scope.unwrap_or_default()) as u32;
}
