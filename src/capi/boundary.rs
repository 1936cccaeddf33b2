//! The one place that a panic ends in before it would reach C, where it would end the process.

use super::numbers::KEYWARD_E_PANIC;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a function returns whose body panicked.
pub(super) trait Fallback {
    /// A value that lets nobody in and can be told from a good one, where the type has such.
    const FALLBACK: Self;
}

/// A status.
impl Fallback for i32 {
    const FALLBACK: Self = KEYWARD_E_PANIC;
}

/// A version; there is none of that number.
impl Fallback for u32 {
    const FALLBACK: Self = 0;
}

/// A static text. A `&CStr` and not a pointer, so that what is handed out cannot dangle.
impl Fallback for &'static CStr {
    const FALLBACK: Self = c"panic";
}

/// Does the work of one export. Where it panics, `deny` puts the outputs back to a denial: it must do
/// nothing that can panic.
#[inline]
pub(super) fn boundary<R: Fallback>(deny: impl FnOnce(), work: impl FnOnce() -> R) -> R {
    let result = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(keyward_force_panics)]
        force::here();
        work()
    }));
    result.unwrap_or_else(|payload| {
        deny();
        // What the panic carries is anybody's, and may panic itself when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        R::FALLBACK
    })
}

/// [`boundary`] for a function that returns a static text and has no outputs.
#[inline]
pub(super) fn static_text(work: impl FnOnce() -> &'static CStr) -> *const c_char {
    boundary(|| (), work).as_ptr()
}

/// A panic in every export, for the test that no export lets one out. Only in a library that was built for
/// that test, with `--cfg keyward_force_panics`.
#[cfg(keyward_force_panics)]
pub(super) mod force {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    static FORCED: AtomicBool = AtomicBool::new(false);

    #[inline(never)]
    pub(in super::super) fn here() {
        assert!(!FORCED.load(SeqCst), "this panic is forced by a test");
    }

    /// Makes every export panic from now on, or none.
    #[unsafe(no_mangle)]
    pub extern "C" fn keyward_test_force_panics(forced: u32) {
        FORCED.store(forced != 0, SeqCst);
    }
}
