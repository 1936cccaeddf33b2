//! What a server asks about a realm when it reads its configuration.

use super::answer::Buffer;
use super::boundary::boundary;
use super::engine::Slot;
use super::handle::keyward_engine;
use super::numbers::*;
use super::types::keyward_bytes;
use crate::realm::{CredentialKind, Realm};
use crate::request::source::Source;
use std::ffi::c_char;

/// `flags` of keyward_credential_header: a key may stand in it as the user of the Basic scheme, so that the
/// user's name is a secret, which servers write to their logs otherwise.
pub const KEYWARD_HEADER_SECRET_USER: u32 = 1;

/// Says whether the engine's current generation has a realm.
///
/// @param engine  an engine that the caller holds
/// @param realm   its name; UTF-8
///
/// @return KEYWARD_OK where it has it, KEYWARD_E_NO_REALM, KEYWARD_E_NO_SNAPSHOT, or another 1xx
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_check_realm(engine: *const keyward_engine, realm: keyward_bytes) -> i32 {
    boundary(
        || (),
        || {
            // SAFETY: as this function's own.
            let found = unsafe { with_realm(engine, realm, |_| Ok(())) };
            found.err().unwrap_or(KEYWARD_OK)
        },
    )
}

/// Says whether a realm has an environment.
///
/// @param engine       an engine that the caller holds
/// @param realm        the name of the realm; UTF-8
/// @param environment  the name of the environment; UTF-8
///
/// @return KEYWARD_OK where it has it, KEYWARD_E_NO_ENVIRONMENT, KEYWARD_E_NO_REALM, KEYWARD_E_NO_SNAPSHOT,
/// or another 1xx
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_check_environment(
    engine: *const keyward_engine,
    realm: keyward_bytes,
    environment: keyward_bytes,
) -> i32 {
    boundary(
        || (),
        || {
            let has = |realm: &Realm| {
                // SAFETY: as this function's own.
                let name = unsafe { environment.text() }?;
                let known = realm.environments.iter().any(|known| known == name);
                known.then_some(()).ok_or(KEYWARD_E_NO_ENVIRONMENT)
            };
            // SAFETY: as this function's own.
            let found = unsafe { with_realm(engine, realm, has) };
            found.err().unwrap_or(KEYWARD_OK)
        },
    )
}

/// Names a header that carries credentials of a realm, for a server that does not pass them on. Go through
/// them from index 0 until KEYWARD_E_END.
///
/// A header whose name equals such a name in any case, once every `-`, `_` and `.` in both is read as `-`,
/// is to be taken for it: programs behind the server may do the same.
///
/// @param engine    an engine that the caller holds
/// @param realm     the name of the realm; UTF-8
/// @param index     which one
/// @param flags     KEYWARD_HEADER_... of it, added up; or NULL
/// @param buffer    the caller's memory, for the name and a NUL behind it
/// @param capacity  its bytes
/// @param needed    the bytes that were, or would have been, used, the NUL among them; or NULL
///
/// @return KEYWARD_OK, KEYWARD_E_END past the last one, KEYWARD_E_BUFFER where `buffer` is too small,
/// KEYWARD_E_NO_REALM, KEYWARD_E_NO_SNAPSHOT, or another 1xx
///
/// Threads: any, at the same time. After fork: as before.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_credential_header(
    engine: *const keyward_engine,
    realm: keyward_bytes,
    index: usize,
    flags: *mut u32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> i32 {
    // SAFETY: as this function's own.
    let flags = unsafe { Slot::new(flags) };
    // SAFETY: as this function's own.
    let needed = unsafe { Slot::new(needed) };
    let clear = move || {
        flags.set(0);
        needed.set(0);
    };
    // SAFETY: as this function's own.
    let mut buffer = unsafe { Buffer::new(buffer.cast(), capacity) };
    boundary(clear, move || {
        clear();
        let tell = |realm: &Realm| {
            let headers = credential_headers(realm);
            let (name, known) = headers.get(index).ok_or(KEYWARD_E_END)?;
            flags.set(*known);
            buffer.put(&[name.as_bytes(), b"\0"].concat());
            buffer.finish(needed)
        };
        // SAFETY: as this function's own.
        let found = unsafe { with_realm(engine, realm, tell) };
        found.err().unwrap_or(KEYWARD_OK)
    })
}

/// The names of the headers that a realm takes credentials from, each once, and their flags.
fn credential_headers(realm: &Realm) -> Vec<(&str, u32)> {
    let mut headers: Vec<(&str, u32)> = Vec::new();
    for credential in &realm.credentials {
        for source in &credential.sources {
            let is_key = matches!(credential.kind, CredentialKind::Key(_));
            let (name, flag) = match source {
                Source::Basic if is_key => (AUTHORIZATION, KEYWARD_HEADER_SECRET_USER),
                Source::Bearer | Source::Basic => (AUTHORIZATION, 0),
                Source::Header(name) => (name.as_str(), 0),
            };
            match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, flags)) => *flags |= flag,
                None => headers.push((name, flag)),
            }
        }
    }
    headers
}

const AUTHORIZATION: &str = "Authorization";

/// Lends the realm of that name to `ask`.
///
/// # Safety
///
/// `engine` and `realm` are what an export was called with.
unsafe fn with_realm<T>(
    engine: *const keyward_engine,
    realm: keyward_bytes,
    ask: impl FnOnce(&Realm) -> Result<T, i32>,
) -> Result<T, i32> {
    // SAFETY: as this function's own.
    let handle = unsafe { keyward_engine::borrow(engine) }?;
    // SAFETY: as this function's own.
    let name = unsafe { realm.text() }?;
    let pinned = handle.engine().pin();
    let realms = pinned.plan().ok_or(KEYWARD_E_NO_SNAPSHOT)?.layers().base().realms();
    ask(realms.iter().find(|known| known.name == name).ok_or(KEYWARD_E_NO_REALM)?)
}
