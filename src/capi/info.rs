//! What an engine tells about itself.

use super::boundary::boundary;
use super::fault::cut_message;
use super::handle::keyward_engine;
use super::input::list;
use super::numbers::*;
use super::sized::{Output, Struct, zeroed};
use super::text::set_text;
use super::types::*;
use crate::engine::Info;
use std::time::{SystemTime, UNIX_EPOCH};

// SAFETY: `repr(C)`, integers without padding and a text.
unsafe impl Struct for keyward_engine_info {
    const SMALLEST: usize = std::mem::offset_of!(Self, created);
}

/// Tells what an engine decides from, and how its last reload went.
///
/// @param engine     an engine that the caller holds
/// @param info       the caller's memory
/// @param info_size  sizeof *info
///
/// @return KEYWARD_OK, or 1xx
///
/// Threads: any; it waits for a reload that is under way. After fork: as keyward_reload.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_info(
    engine: *const keyward_engine,
    info: *mut keyward_engine_info,
    info_size: usize,
) -> i32 {
    // SAFETY: as this function's own.
    let mut output = unsafe { Output::new(info, info_size) };
    let mut denied = output;
    boundary(
        move || denied.deny(),
        move || {
            output.deny();
            let tell = || {
                output.check()?;
                // SAFETY: as this function's own.
                let handle = unsafe { keyward_engine::borrow(engine) }?;
                output.write(&described(&handle.engine().info(), handle.last_error()))
            };
            let mut tell = tell;
            tell().err().unwrap_or(KEYWARD_OK)
        },
    )
}

fn described(known: &Info, last_error: i32) -> keyward_engine_info {
    let flag = |is: bool, flag: u32| if is { flag } else { 0 };
    let nanoseconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    };
    let mut info: keyward_engine_info = zeroed();
    if let Some(loaded) = &known.loaded {
        info.flags = KEYWARD_INFO_LOADED
            | flag(loaded.mapped, KEYWARD_INFO_MAPPED)
            | flag(loaded.checked, KEYWARD_INFO_CHECKED)
            | flag(loaded.damaged, KEYWARD_INFO_DAMAGED);
        info.generation = loaded.generation;
        info.base_generation = loaded.base_generation;
        info.created = loaded.created.map_or(0, nanoseconds);
        info.since = nanoseconds(loaded.since);
        info.age = loaded.age.map_or(0, |age| age.as_secs());
        info.max_age = loaded.max_age.map_or(0, |age| age.as_secs());
        info.keys = loaded.keys;
        info.realms = loaded.realms as u64;
        info.bytes = loaded.length;
    }
    info.retired = known.retired as u64;
    info.limiter_slots = known.limiter_slots as u64;
    info.limiter_displaced = known.limiter_displaced;
    info.flags |= flag(known.state.is_some(), KEYWARD_INFO_STATE_SHARED)
        | flag(known.state_error.is_some(), KEYWARD_INFO_STATE_FAILED);
    if let Some(state) = &known.state {
        info.state_created = i64::try_from(state.created).unwrap_or(i64::MAX);
        info.state_displaced = state.displaced;
    }
    let mut message = known.state_error.as_deref().unwrap_or_default();
    if let Some(error) = &known.last_error {
        info.last_error = last_error;
        info.last_error_at = nanoseconds(error.at);
        message = &error.message;
    }
    info.last_error_message_len = set_text(&mut info.last_error_message, cut_message(message)) as u32;
    info
}

/// Tells how many requests were decided with each reason: by this engine since it was opened, or where the
/// state is shared, by all processes since it was made.
///
/// @param engine  an engine that the caller holds
/// @param counts  the caller's memory: as many numbers as `count` says. The one at KEYWARD_REASON_... is
///                that of the reason; those past the last reason are set to 0.
/// @param count   how many numbers there is room for
///
/// @return KEYWARD_OK, or 1xx
///
/// Threads: any, at the same time. After fork: each process counts for itself, where the state is not shared.
///
/// # Safety
///
/// What the parameters say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keyward_counts(
    engine: *const keyward_engine,
    counts: *mut u64,
    count: usize,
) -> i32 {
    let fill = |numbers: &mut dyn Iterator<Item = u64>| -> Result<(), i32> {
        // What `list` refuses cannot be written to either.
        // SAFETY: as this function's own; the list itself is not looked at.
        unsafe { list(counts.cast_const(), count) }.map(drop)?;
        for at in 0..count {
            // SAFETY: within the caller's numbers.
            let place = unsafe { counts.add(at) };
            // SAFETY: so many numbers can be written there.
            unsafe { place.write(numbers.next().unwrap_or(0)) };
        }
        Ok(())
    };
    boundary(
        || {
            let _ = fill(&mut std::iter::empty());
        },
        || {
            let tell = || {
                fill(&mut std::iter::empty())?;
                // SAFETY: as this function's own.
                let handle = unsafe { keyward_engine::borrow(engine) }?;
                let known = handle.engine().counts();
                let count = |(number, _): &(u32, _)| reason_of(*number).map_or(0, |reason| known.of(reason));
                fill(&mut REASON_NAMES.iter().map(count))
            };
            tell().err().unwrap_or(KEYWARD_OK)
        },
    )
}
