//! Texts on their way to C: looked at and copied without a call, since most are short.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;

/// Whether a text is ASCII, which is UTF-8. Names are short: a look at the first and the last word does.
#[inline(always)]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let seen = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        if text.len() > 16 {
            return is_ascii_throughout(text);
        }
        u64::from_le_bytes(*first) | u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last))
    } else {
        text.iter().fold(0, |seen, &byte| seen | u64::from(byte))
    };
    seen & HIGH == 0
}

#[inline(never)]
fn is_ascii_throughout(text: &[u8]) -> bool {
    text.is_ascii()
}

/// Writes `text` and a NUL, and returns its length; nothing but the NUL where it does not fit.
#[inline]
pub(super) fn set_text<const SIZE: usize>(target: &mut [MaybeUninit<c_char>; SIZE], text: &str) -> usize {
    set_bytes(target, text.as_bytes())
}

/// [`set_text`] of what is known to be UTF-8.
#[inline(always)]
pub(super) fn set_bytes<const SIZE: usize>(target: &mut [MaybeUninit<c_char>; SIZE], text: &[u8]) -> usize {
    let text = if text.len() < SIZE { text } else { &[] };
    // SAFETY: `text.len()` is below SIZE, and what is borrowed mutably overlaps with nothing.
    unsafe { copy(text.as_ptr(), target.as_mut_ptr().cast(), text.len()) };
    if let Some(end) = target.get_mut(text.len()) {
        end.write(0);
    }
    text.len()
}

/// Copies `length` bytes. Names are short, and a call for each would take longer than the copy itself.
///
/// # Safety
///
/// So many bytes can be read at `source` and written at `target`, and the two are apart.
#[inline(always)]
unsafe fn copy(source: *const u8, target: *mut u8, length: usize) {
    match length {
        // SAFETY: as this function's own, and there are one to two of that type.
        16..=32 => unsafe { copy_ends::<u128>(source, target, length) },
        // SAFETY: the same.
        8..=15 => unsafe { copy_ends::<u64>(source, target, length) },
        // SAFETY: the same.
        4..=7 => unsafe { copy_ends::<u32>(source, target, length) },
        // SAFETY: as this function's own.
        _ => unsafe { ptr::copy_nonoverlapping(source, target, length) },
    }
}

/// Copies the first and the last bytes that a `T` has room for; where it is not twice as many, they overlap.
///
/// # Safety
///
/// As of [`copy`], and `length` is at least the size of a `T`, and at most twice that.
#[inline(always)]
unsafe fn copy_ends<T: Copy>(source: *const u8, target: *mut u8, length: usize) {
    let last = length - size_of::<T>();
    // SAFETY: so many bytes can be read there.
    let start = unsafe { source.cast::<T>().read_unaligned() };
    // SAFETY: these are the last of `length`.
    let end = unsafe { source.wrapping_add(last).cast::<T>().read_unaligned() };
    // SAFETY: so many bytes can be written there.
    unsafe { target.cast::<T>().write_unaligned(start) };
    // SAFETY: these are the last of `length`.
    unsafe { target.wrapping_add(last).cast::<T>().write_unaligned(end) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_copied_with_its_end_and_nothing_behind_it() {
        let text = "0123456789".repeat(8);
        for length in 0..=text.len() {
            let mut target = [MaybeUninit::new(c_char::MAX); 72];
            let written = set_text(&mut target, &text[..length]);
            let fits = if length < target.len() { length } else { 0 };
            assert_eq!(written, fits);
            // SAFETY: all of it was written.
            let target = target.map(|byte| unsafe { byte.assume_init() } as u8);
            assert_eq!(&target[..fits], &text.as_bytes()[..fits]);
            assert_eq!(target[fits], 0);
            assert!(target[fits + 1..].iter().all(|byte| *byte == c_char::MAX as u8), "{length}");
        }
    }

    #[test]
    fn a_text_is_ascii_where_each_byte_is() {
        for length in 0..40 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text), "{length}");
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{at} of {length}");
                text[at] = b'a';
            }
        }
    }
}
