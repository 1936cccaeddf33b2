//! The life of an engine: open, reload, release.

use super::boundary::boundary;
use super::fault::Fault;
use super::handle::keyward_engine;
use super::numbers::*;
use super::options::{self, keyward_options};
use super::sized::Output;
use super::types::*;
use crate::engine::{Engine, Reload};
use crate::keyring::Keyring;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A pointer that an export writes a number or a handle to. NULL where the caller does not want it.
#[derive(Clone, Copy)]
pub(super) struct Slot<T>(*mut T);

impl<T: Copy> Slot<T> {
    /// # Safety
    ///
    /// It is NULL, or a `T` can be written there and nobody else looks at it while this exists.
    pub(super) const unsafe fn new(pointer: *mut T) -> Self {
        Self(pointer)
    }

    /// Refuses what cannot be written to.
    pub(super) fn check(self) -> Result<(), i32> {
        if self.0.is_null() {
            Err(KEYWARD_E_NULL)
        } else if !self.0.is_aligned() {
            Err(KEYWARD_E_ALIGNMENT)
        } else {
            Ok(())
        }
    }

    /// Writes `value`, where it can be written.
    pub(super) fn set(self, value: T) {
        if self.check().is_ok() {
            // SAFETY: not NULL and aligned; writable, as `new` was promised.
            unsafe { self.0.write(value) };
        }
    }
}

/// # Safety
///
/// As of [`keyward_bytes::get`].
unsafe fn path<'a>(bytes: keyward_bytes) -> Result<&'a Path, i32> {
    // SAFETY: as this function's own.
    let bytes = unsafe { bytes.get() }?;
    if bytes.is_empty() { Err(KEYWARD_E_NULL) } else { Ok(Path::new(OsStr::from_bytes(bytes))) }
}

/// Opens an engine that decides from the snapshot in a file.
///
/// @param snapshot      the path of the snapshot; keyward_reload looks there again
/// @param keyring       the path of the keyring, which nobody but its owner may have access to
/// @param options       how it works, or NULL
/// @param options_size  sizeof *options, or 0
/// @param engine        the engine, which the caller then holds and gives to keyward_release; NULL where it
///                      failed
/// @param error         what went wrong, or NULL
/// @param error_size    sizeof *error, or 0
///
/// @return KEYWARD_OK, or a status of any group
///
/// It reads files and allocates. It starts no thread, installs no signal handler, reads no environment
/// variable and writes nothing.
///
/// Threads: any. After fork: an engine may be used in every process that comes from the one that opened
/// it, and each releases its own. See docs/ABI.md on what they share.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_open(
    snapshot: keyward_bytes,
    keyring: keyward_bytes,
    options: *const keyward_options,
    options_size: usize,
    engine: *mut *mut keyward_engine,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let slot = unsafe { Slot::new(engine) };
    // SAFETY: as this function's own.
    let mut told = unsafe { Output::new(error, error_size) };
    let open = || -> Result<(Engine, i32), Fault> {
        // SAFETY: as this function's own.
        let snapshot = unsafe { path(snapshot) }?;
        // SAFETY: as this function's own.
        let keyring = unsafe { path(keyring) }?;
        // SAFETY: as this function's own.
        let (options, later) = unsafe { options::read(options, options_size) }?;
        let keyring = Keyring::load(keyring)?;
        if !later {
            return Ok((Engine::open(snapshot, keyring, options)?, KEYWARD_OK));
        }
        let engine = Engine::new(snapshot, keyring, options);
        let last_error = engine.reload().err().map_or(KEYWARD_OK, |error| Fault::from(error).status);
        Ok((engine, last_error))
    };
    opened(slot, &mut told, open)
}

/// Opens an engine that decides from a snapshot in memory, which is copied.
///
/// @param snapshot      the bytes of the snapshot; only read, and only during the call
/// @param keyring       the path of the keyring, which nobody but its owner may have access to
/// @param options       how it works, or NULL. KEYWARD_OPEN_LATER does not go with it.
/// @param options_size  sizeof *options, or 0
/// @param engine        the engine, which the caller then holds and gives to keyward_release; NULL where it
///                      failed
/// @param error         what went wrong, or NULL
/// @param error_size    sizeof *error, or 0
///
/// @return KEYWARD_OK, or a status of any group
///
/// Threads: any. After fork: as keyward_open.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_open_bytes(
    snapshot: keyward_bytes,
    keyring: keyward_bytes,
    options: *const keyward_options,
    options_size: usize,
    engine: *mut *mut keyward_engine,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let slot = unsafe { Slot::new(engine) };
    // SAFETY: as this function's own.
    let mut told = unsafe { Output::new(error, error_size) };
    let open = || -> Result<(Engine, i32), Fault> {
        // SAFETY: as this function's own.
        let bytes = unsafe { snapshot.get() }?;
        // SAFETY: as this function's own.
        let keyring = unsafe { path(keyring) }?;
        // SAFETY: as this function's own.
        let (options, later) = unsafe { options::read(options, options_size) }?;
        if later {
            return Err(KEYWARD_E_VALUE.into());
        }
        Ok((Engine::from_bytes(bytes.to_vec(), Keyring::load(keyring)?, options)?, KEYWARD_OK))
    };
    opened(slot, &mut told, open)
}

fn opened(
    slot: Slot<*mut keyward_engine>,
    told: &mut Output<keyward_error>,
    open: impl FnOnce() -> Result<(Engine, i32), Fault>,
) -> i32 {
    let mut denied = *told;
    let deny = move || {
        slot.set(std::ptr::null_mut());
        denied.deny();
    };
    boundary(deny, move || {
        slot.set(std::ptr::null_mut());
        told.deny();
        let result = slot.check().and_then(|()| told.check_wanted()).map_err(Fault::from);
        match result.and_then(|()| open()) {
            Ok((engine, last_error)) => {
                slot.set(keyward_engine::new(engine, last_error));
                KEYWARD_OK
            }
            Err(fault) => told.tell(&fault),
        }
    })
}

/// Holds an engine once more, so that it lives until keyward_release was called once more.
///
/// @param engine  an engine that the caller holds
///
/// @return KEYWARD_OK, or 1xx
///
/// Threads: any, at the same time. After fork: as before; each process counts for itself.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_retain(engine: *mut keyward_engine) -> i32 {
    boundary(
        || (),
        || {
            // SAFETY: as this function's own.
            let handle = unsafe { keyward_engine::borrow(engine) };
            handle.map_or_else(|status| status, keyward_engine::retain)
        },
    )
}

/// Gives up an engine that was opened or retained. The last one who does frees it, with its snapshots.
///
/// @param engine  an engine that the caller holds, and must not use any more; NULL does nothing
///
/// @return KEYWARD_OK, or 1xx
///
/// Threads: any; nobody may still be in a call with a hold that was given up. After fork: each process
/// gives up its own.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_release(engine: *mut keyward_engine) -> i32 {
    boundary(
        || (),
        || {
            if engine.is_null() {
                return KEYWARD_OK;
            }
            // SAFETY: as this function's own.
            if let Err(status) = unsafe { keyward_engine::borrow(engine) } {
                return status;
            }
            // SAFETY: it was borrowed just now, and the caller holds it.
            unsafe { keyward_engine::release(engine) };
            KEYWARD_OK
        },
    )
}

/// Takes the newest snapshot from the file, if it has changed. Verifying goes on meanwhile. Whatever is
/// wrong with the file, the last good generation stays.
///
/// It reads the file and may take long for a large one; another reload, check or info waits for it. The delta
/// beside the file is looked at with it. Where nothing changed it costs an open, a fstat and a stat of each.
///
/// @param engine      an engine that the caller holds
/// @param changed     1 where a new generation took over, else 0; or NULL
/// @param error       what went wrong, or NULL
/// @param error_size  sizeof *error, or 0
///
/// @return KEYWARD_OK, also where nothing changed; 2xx or 3xx where the file is not good, KEYWARD_E_NO_FILE
///
/// Threads: any. After fork: as before, unless another thread was in a reload, check or info at the time of
/// the fork: the child must then not call any of them.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_reload(
    engine: *mut keyward_engine,
    changed: *mut u32,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let slot = unsafe { Slot::new(changed) };
    // SAFETY: as this function's own.
    let told = unsafe { Output::new(error, error_size) };
    reloaded(engine, slot, told, |engine| Ok(engine.reload()?))
}

/// Takes the snapshot in `snapshot`, which is copied, in the place of the one in use. From then on the
/// engine has no file to look at.
///
/// @param engine      an engine that the caller holds
/// @param snapshot    the bytes of the snapshot; only read, and only during the call
/// @param changed     1 where a new generation took over, else 0; or NULL
/// @param error       what went wrong, or NULL
/// @param error_size  sizeof *error, or 0
///
/// @return KEYWARD_OK, also where nothing changed; 3xx where the snapshot is not good
///
/// Threads: any. After fork: as keyward_reload.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_replace_bytes(
    engine: *mut keyward_engine,
    snapshot: keyward_bytes,
    changed: *mut u32,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let slot = unsafe { Slot::new(changed) };
    // SAFETY: as this function's own.
    let told = unsafe { Output::new(error, error_size) };
    reloaded(engine, slot, told, |engine| {
        // SAFETY: as this function's own.
        let bytes = unsafe { snapshot.get() }?;
        Ok(engine.replace(bytes.to_vec())?)
    })
}

/// Checks every page of the current generation that was not checked yet, and brings it into memory. For a
/// thread of the host's after a fast start; requests go on meanwhile.
///
/// @param engine      an engine that the caller holds
/// @param error       what went wrong, or NULL
/// @param error_size  sizeof *error, or 0
///
/// @return KEYWARD_OK, or KEYWARD_E_DAMAGED: then every verdict is unavailable until a reload finds a good
/// file
///
/// Threads: any. After fork: as keyward_reload.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_check_pages(
    engine: *mut keyward_engine,
    error: *mut keyward_error,
    error_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let told = unsafe { Output::new(error, error_size) };
    let mut nowhere = 0;
    // SAFETY: it is there for as long as the slot is.
    let slot = unsafe { Slot::new(&raw mut nowhere) };
    reloaded(engine, slot, told, |engine| {
        engine.check()?;
        Ok(Reload::Unchanged)
    })
}

/// What reloads have in common. `engine` is what keyward_reload was called with.
fn reloaded(
    engine: *mut keyward_engine,
    changed: Slot<u32>,
    mut told: Output<keyward_error>,
    work: impl FnOnce(&Engine) -> Result<Reload, Fault>,
) -> i32 {
    let mut denied = told;
    let deny = move || {
        changed.set(0);
        denied.deny();
    };
    boundary(deny, move || {
        changed.set(0);
        told.deny();
        let result = told.check_wanted().map_err(Fault::from).and_then(|()| {
            // SAFETY: the callers are exports whose own contract says so.
            let handle = unsafe { keyward_engine::borrow(engine) }?;
            let result = work(handle.engine());
            handle.set_last_error(result.as_ref().err().map_or(KEYWARD_OK, |fault| fault.status));
            result
        });
        match result {
            Ok(reload) => {
                changed.set(matches!(reload, Reload::Loaded { .. }).into());
                KEYWARD_OK
            }
            Err(fault) => told.tell(&fault),
        }
    })
}
