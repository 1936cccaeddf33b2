//! `keyward_issue_token`: a token for a key that passed.

use super::answer::Buffer;
use super::boundary::boundary;
use super::engine::Slot;
use super::fault::Fault;
use super::handle::keyward_engine;
use super::numbers::*;
use super::sized::{Output, Struct, input};
use super::types::*;
use super::verify::{decide_then, into_verdict};
use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};

/// The bytes of the longest token that is accepted, and a NUL.
pub const KEYWARD_TOKEN_SIZE: usize = 8193;

/// What a token is to say. 0 is the default of every field, and NULL in place of the struct is all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_token_options {
    /// The realm's token credential whose rules hold; left out: its only one.
    pub credential: keyward_bytes,
    /// The id of the key that signs; left out: the last one in the keyring that can.
    pub kid: keyward_bytes,
    /// Whom it is about; left out: the id of the key that passed.
    pub subject: keyward_bytes,
}

// SAFETY: `repr(C)`, pointers and lengths without padding.
unsafe impl Struct for keyward_token_options {
    const SMALLEST: usize = offset_of!(Self, kid);
}

/// Decides one request, as keyward_verify does, and where it is allowed with a key, issues a token that is
/// bound to that key and signed with a key of the keyring.
///
/// @param engine        an engine that the caller holds
/// @param request       the request; only read, and only during the call
/// @param request_size  sizeof *request
/// @param options       what the token says, or NULL; only read, and only during the call
/// @param options_size  sizeof *options, or 0
/// @param verdict       what was decided: the caller's memory, a denial before anything else happens
/// @param verdict_size  sizeof *verdict
/// @param token         the caller's memory, for the token and a NUL behind it
/// @param capacity      its bytes: at least KEYWARD_TOKEN_SIZE
/// @param length        the bytes of the token, without its NUL; 0 where there is none; or NULL
/// @param error         what went wrong, or NULL
/// @param error_size    sizeof *error, or 0
///
/// @return KEYWARD_OK where a token was issued; KEYWARD_E_DENIED where the request was refused or let in
/// without a key, which the verdict tells; KEYWARD_E_TOKEN; 1xx. It allocates.
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_issue_token(
    engine: *const keyward_engine,
    request: *const keyward_request,
    request_size: usize,
    options: *const keyward_token_options,
    options_size: usize,
    verdict: *mut keyward_verdict,
    verdict_size: usize,
    token: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let mut output = unsafe { Output::new(verdict, verdict_size) };
    // SAFETY: as this function's own.
    let mut told = unsafe { Output::new(error, error_size) };
    // SAFETY: as this function's own.
    let length = unsafe { Slot::new(length) };
    // SAFETY: as this function's own.
    let mut buffer = unsafe { Buffer::new(token.cast(), capacity) };
    let (mut denied, mut untold) = (output, told);
    let deny = move || {
        denied.deny();
        untold.deny();
        length.set(0);
    };
    boundary(deny, move || {
        told.deny();
        length.set(0);
        let mut issued = Err(Fault::from(KEYWARD_E_DENIED));
        let decided = into_verdict(&mut output, |verdict| {
            told.check_wanted()?;
            // Known before anything is decided, so that nothing is counted for nothing.
            if token.is_null() || capacity < KEYWARD_TOKEN_SIZE {
                return Err(if token.is_null() { KEYWARD_E_NULL } else { KEYWARD_E_BUFFER });
            }
            // SAFETY: as this function's own.
            let handle = unsafe { keyward_engine::borrow(engine) }?;
            let mut space = MaybeUninit::uninit();
            // SAFETY: as this function's own.
            let request = unsafe { input(request, request_size, &mut space) }?;
            // SAFETY: as this function's own.
            let (credential, kid, subject) = unsafe { wishes(options, options_size) }?;
            // SAFETY: as this function's own.
            issued = unsafe {
                decide_then(handle, request, verdict, |decided, now| {
                    let now = now.unwrap_or_else(|| handle.engine().now());
                    decided.issue(credential, kid, subject, now).map_err(Fault::from)
                })
            }?;
            Ok(())
        });
        let issued = decided.map_err(Fault::from).and(issued).and_then(|text| {
            buffer.put(text.as_bytes());
            buffer.put(b"\0");
            buffer.finish(length)?;
            length.set(text.len());
            Ok(())
        });
        issued.map_or_else(|fault| told.tell(&fault), |()| KEYWARD_OK)
    })
}

type Wishes<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// The credential, the key id and the subject that are asked for.
///
/// # Safety
///
/// `pointer` is NULL or `size` bytes can be read there; its texts too, for `'a`.
unsafe fn wishes<'a>(pointer: *const keyward_token_options, size: usize) -> Result<Wishes<'a>, i32> {
    if pointer.is_null() {
        return Ok((None, None, None));
    }
    let mut space = MaybeUninit::uninit();
    // SAFETY: as this function's own.
    let given = *unsafe { input(pointer, size, &mut space) }?;
    // SAFETY: as this function's own.
    let credential = unsafe { given.credential.optional_text() }?;
    // SAFETY: as this function's own.
    let kid = unsafe { given.kid.optional_text() }?;
    // SAFETY: as this function's own.
    let subject = unsafe { given.subject.optional_text() }?;
    Ok((credential, kid, subject))
}
