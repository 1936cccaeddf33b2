//! How an engine is opened.

use super::numbers::KEYWARD_E_VALUE;
use super::sized::{Struct, input};
use super::types::keyward_bytes;
use crate::engine::Options;
use crate::snapshot::{Check, Mode};
use std::ffi::OsStr;
use std::mem::{MaybeUninit, offset_of};
use std::os::unix::ffi::OsStrExt;

/// `keyward_options.mode`: the file is mapped, and shared by all processes that map it. The default.
pub const KEYWARD_MODE_MAP: u32 = 1;
/// `keyward_options.mode`: the file is read into private memory.
pub const KEYWARD_MODE_COPY: u32 = 2;

/// `keyward_options.check`: pages of a large file are checked when they are first read from. The default.
pub const KEYWARD_CHECK_FAST: u32 = 1;
/// `keyward_options.check`: all of it is checked before it is used.
pub const KEYWARD_CHECK_WHOLE: u32 = 2;

/// `keyward_options.flags`: a snapshot that is missing or bad does not keep the engine from opening: every
/// verdict is unavailable until a reload finds a good one.
pub const KEYWARD_OPEN_LATER: u32 = 1;
/// `keyward_options.flags`: a reload may go back to an older generation, or to other bytes of the same one.
pub const KEYWARD_GOING_BACK: u32 = 2;

/// How an engine works. 0 is the default of every field, and NULL in place of the struct is all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct keyward_options {
    /// `KEYWARD_MODE_...`: how the snapshot comes into memory.
    pub mode: u32,
    /// `KEYWARD_CHECK_...`: when its pages are checked.
    pub check: u32,
    /// `KEYWARD_OPEN_LATER` and the others, added up.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// Keys that the rate limiter has room for; twice as many as are active at one time is a good number.
    /// Each takes 16 bytes. 0: 131072.
    pub limiter_slots: u64,
    /// The file of limits and usage that processes share; empty: they are kept in private memory.
    pub state_path: keyward_bytes,
}

// SAFETY: `repr(C)`, integers and a pointer without padding; the pointer is only followed where the caller
// promises that it can be.
unsafe impl Struct for keyward_options {
    const SMALLEST: usize = offset_of!(Self, limiter_slots);
}

/// The options, and whether a bad snapshot is no obstacle.
///
/// # Safety
///
/// `pointer` is NULL or `size` bytes can be read there; its path too.
pub(super) unsafe fn read(pointer: *const keyward_options, size: usize) -> Result<(Options, bool), i32> {
    let defaults = Options::default();
    if pointer.is_null() {
        return Ok((defaults, false));
    }
    let mut space = MaybeUninit::uninit();
    // SAFETY: as this function's own.
    let given = unsafe { input(pointer, size, &mut space) }?;
    if given.flags & !(KEYWARD_OPEN_LATER | KEYWARD_GOING_BACK) != 0 || given.reserved != 0 {
        return Err(KEYWARD_E_VALUE);
    }
    // SAFETY: as this function's own.
    let state = unsafe { given.state_path.get() }?;
    let options = Options {
        mode: match given.mode {
            0 => defaults.mode,
            KEYWARD_MODE_MAP => Mode::Map,
            KEYWARD_MODE_COPY => Mode::Copy,
            _ => return Err(KEYWARD_E_VALUE),
        },
        check: match given.check {
            0 => defaults.check,
            KEYWARD_CHECK_FAST => Check::Fast,
            KEYWARD_CHECK_WHOLE => Check::Whole,
            _ => return Err(KEYWARD_E_VALUE),
        },
        going_back: given.flags & KEYWARD_GOING_BACK != 0,
        limiter_slots: match given.limiter_slots {
            0 => defaults.limiter_slots,
            // More than this is no number of keys, and the memory for it would not be there.
            slots if slots > MOST_SLOTS => return Err(KEYWARD_E_VALUE),
            slots => usize::try_from(slots).map_err(|_| KEYWARD_E_VALUE)?,
        },
        state: (!state.is_empty()).then(|| OsStr::from_bytes(state).into()),
        ..defaults
    };
    Ok((options, given.flags & KEYWARD_OPEN_LATER != 0))
}

/// 16 GiB of rates.
const MOST_SLOTS: u64 = 1 << 30;
