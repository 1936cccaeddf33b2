//! How an engine is opened.

use super::numbers::KEYWARD_E_VALUE;
use super::sized::{Struct, input};
use super::types::keyward_bytes;
use crate::engine::Options;
use crate::snapshot::{Check, Mode};
use std::ffi::OsStr;
use std::mem::{MaybeUninit, offset_of};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

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
/// `keyward_options.flags`: without a state file, limits are counted in memory that is shared with
/// the processes that are forked from this one.
pub const KEYWARD_STATE_INHERITED: u32 = 4;

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
    /// Each takes 16 bytes. 0: 131072. Counts for nothing where the state is shared.
    pub limiter_slots: u64,
    /// The file in which limits and the use of each key are counted together with every other process that
    /// names it; made where it is not there. Empty: limits are counted by this process alone, and the use of
    /// keys is not.
    pub state_path: keyward_bytes,
    /// Keys that a new shared state has room for; twice as many as are active at one time is a good number.
    /// Each takes 448 bytes. 0: 65536. A file that is there keeps its own size.
    pub state_slots: u64,
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
    if given.flags & !(KEYWARD_OPEN_LATER | KEYWARD_GOING_BACK | KEYWARD_STATE_INHERITED) != 0
        || given.reserved != 0
    {
        return Err(KEYWARD_E_VALUE);
    }
    // SAFETY: as this function's own.
    let state = unsafe { given.state_path.get() }?;
    let inherited = given.flags & KEYWARD_STATE_INHERITED != 0;
    if inherited && !state.is_empty() {
        return Err(KEYWARD_E_VALUE);
    }
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
        limiter_slots: slots(given.limiter_slots, defaults.limiter_slots)?,
        state: (!state.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(state))),
        state_inherited: inherited,
        state_slots: slots(given.state_slots, defaults.state_slots)?,
    };
    Ok((options, given.flags & KEYWARD_OPEN_LATER != 0))
}

/// A number of keys; more is none, and the memory for it would not be there.
fn slots(given: u64, default: usize) -> Result<usize, i32> {
    const MOST: u64 = 1 << 30;
    match given {
        0 => Ok(default),
        1..=MOST => usize::try_from(given).map_err(|_| KEYWARD_E_VALUE),
        _ => Err(KEYWARD_E_VALUE),
    }
}
