//! The handle: an engine, and how many hold it.

#![expect(non_camel_case_types, reason = "the name that C has for it")]

use super::numbers::{KEYWARD_E_ALIGNMENT, KEYWARD_E_HANDLE, KEYWARD_E_NULL, KEYWARD_E_VALUE, KEYWARD_OK};
use crate::engine::Engine;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize};

/// What a living handle starts with. A pointer to something else is told apart by it, as far as one can
/// without knowing all handles.
const LIVING: u64 = u64::from_le_bytes(*b"keyward\x01");
const RELEASED: u64 = 0;

/// No program holds as many; one that retains in a loop is stopped before the count comes round.
const MOST_HOLDERS: usize = isize::MAX as usize;

/// An engine. Opaque; it lives until everyone who holds it has released it. Everything may be asked of it by
/// any number of threads at the same time.
pub struct keyward_engine {
    magic: AtomicU64,
    holders: AtomicUsize,
    /// The status of the last reload or check that failed, until one succeeds.
    last_error: AtomicI32,
    engine: Engine,
}

impl keyward_engine {
    /// A handle that the caller holds.
    pub(super) fn new(engine: Engine, last_error: i32) -> *mut Self {
        Box::into_raw(Box::new(Self {
            magic: AtomicU64::new(LIVING),
            holders: AtomicUsize::new(1),
            last_error: AtomicI32::new(last_error),
            engine,
        }))
    }

    /// The handle that a caller's pointer is.
    ///
    /// # Safety
    ///
    /// Where `pointer` is not NULL, a handle's bytes can be read there, and if it is a handle, nobody
    /// releases it for the last time during `'a`.
    #[inline]
    pub(super) unsafe fn borrow<'a>(pointer: *const Self) -> Result<&'a Self, i32> {
        if pointer.is_null() {
            return Err(KEYWARD_E_NULL);
        }
        if !pointer.is_aligned() {
            return Err(KEYWARD_E_ALIGNMENT);
        }
        // SAFETY: aligned and readable, as the caller promised, whatever it is.
        let magic = unsafe { &(*pointer).magic };
        if magic.load(Relaxed) != LIVING {
            return Err(KEYWARD_E_HANDLE);
        }
        // SAFETY: it is one that `new` made, and it stays, as the caller promised.
        Ok(unsafe { &*pointer })
    }

    #[inline]
    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn last_error(&self) -> i32 {
        self.last_error.load(Relaxed)
    }

    pub(super) fn set_last_error(&self, status: i32) {
        self.last_error.store(status, Relaxed);
    }

    /// Adds a holder.
    pub(super) fn retain(&self) -> i32 {
        if self.holders.fetch_add(1, Relaxed) >= MOST_HOLDERS {
            self.holders.fetch_sub(1, Relaxed);
            return KEYWARD_E_VALUE;
        }
        KEYWARD_OK
    }

    /// Takes a holder away; the last one takes the engine with it.
    ///
    /// # Safety
    ///
    /// `pointer` was borrowed successfully, and the caller is one of the holders.
    pub(super) unsafe fn release(pointer: *mut Self) {
        // SAFETY: it is a handle, and not released, because the caller holds it.
        let handle = unsafe { &*pointer };
        if handle.holders.fetch_sub(1, Release) != 1 {
            return;
        }
        // Everything that others did with it comes before its end.
        handle.holders.load(Acquire);
        // A pointer that is used again is told apart while the memory has not been given to others.
        handle.magic.swap(RELEASED, AcqRel);
        // SAFETY: `new` made it from a box, and nobody holds it any more.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
