//! Names and versions: texts that live as long as the library.

use super::boundary::{boundary, static_text};
use super::numbers::{KEYWARD_ABI_VERSION, REASON_NAMES, STATUS_NAMES};
use std::ffi::{CStr, c_char};

fn name_of<T: PartialEq>(names: &[(T, &'static CStr)], number: &T) -> &'static CStr {
    names.iter().find(|(known, _)| known == number).map_or(c"unknown", |(_, name)| name)
}

/// The name of a reason, such as `unknown_key`; `unknown` where there is no such number.
///
/// Owner: the library, for as long as it is loaded. Threads: any. After fork: as before. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn keyward_reason_name(reason: u32) -> *const c_char {
    static_text(|| name_of(REASON_NAMES, &reason))
}

/// The name of a status that a function returned, such as `not_found`; `unknown` where there is no such
/// number.
///
/// Owner: the library, for as long as it is loaded. Threads: any. After fork: as before. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn keyward_status_name(status: i32) -> *const c_char {
    static_text(|| name_of(STATUS_NAMES, &status))
}

/// KEYWARD_ABI_VERSION of the library, to compare with that of the header: its upper 16 bits must be equal,
/// its lower not less. 0: it failed.
///
/// Threads: any. After fork: as before.
#[unsafe(no_mangle)]
pub extern "C" fn keyward_abi_version() -> u32 {
    boundary(|| (), || KEYWARD_ABI_VERSION)
}

/// The version of the library, such as `0.1.0`.
///
/// Owner: the library, for as long as it is loaded. Threads: any. After fork: as before. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn keyward_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    static_text(|| VERSION)
}
