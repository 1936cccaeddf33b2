//! Bytes and lists of the caller's.

use super::numbers::{KEYWARD_E_ALIGNMENT, KEYWARD_E_LENGTH, KEYWARD_E_UTF8};
use super::text::is_ascii;
use super::types::{keyward_bytes, keyward_header};
use crate::request::HeaderList;

/// The list of `count` items at `data`.
///
/// # Safety
///
/// Where `data` is not NULL, so many items can be read there and nobody writes to them during `'a`.
#[inline(always)]
pub(super) unsafe fn list<'a, T>(data: *const T, count: usize) -> Result<&'a [T], i32> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() || count > isize::MAX as usize / size_of::<T>() {
        return Err(KEYWARD_E_LENGTH);
    }
    if !data.is_aligned() {
        return Err(KEYWARD_E_ALIGNMENT);
    }
    // SAFETY: not NULL, aligned, no longer than memory can be, and readable as the caller promised.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// The list of `count` items at `data`, where that is known to be one.
///
/// # Safety
///
/// There are no items, or [`list`] finds nothing wrong with it; and as of that.
#[inline(always)]
pub(super) unsafe fn known_list<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: as `list` finds it.
    unsafe { std::slice::from_raw_parts(data, count) }
}

impl keyward_bytes {
    pub(super) const EMPTY: Self = Self { data: std::ptr::null(), len: 0 };

    /// The library's own bytes.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), len: bytes.len() }
    }

    /// Whether it is there, be it empty.
    #[inline]
    pub(super) const fn is_given(self) -> bool {
        !self.data.is_null() || self.len != 0
    }

    /// Whether there can be such bytes, without a branch.
    #[inline(always)]
    pub(super) const fn is_possible(self) -> bool {
        (!self.data.is_null() | (self.len == 0)) & (self.len <= isize::MAX as usize)
    }

    /// The bytes, or none.
    ///
    /// # Safety
    ///
    /// Where `data` is not NULL, `len` bytes can be read there and nobody writes to them during `'a`.
    #[inline(always)]
    pub(super) unsafe fn get<'a>(self) -> Result<&'a [u8], i32> {
        // SAFETY: as this function's own.
        unsafe { list(self.data, self.len) }
    }

    /// The text.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    pub(super) unsafe fn text<'a>(self) -> Result<&'a str, i32> {
        // SAFETY: as this function's own.
        let bytes = unsafe { self.get() }?;
        if is_ascii(bytes) {
            // SAFETY: ASCII is UTF-8.
            return Ok(unsafe { str::from_utf8_unchecked(bytes) });
        }
        str::from_utf8(bytes).map_err(|_| KEYWARD_E_UTF8)
    }

    /// The text, or `None` where it is left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    pub(super) unsafe fn optional_text<'a>(self) -> Result<Option<&'a str>, i32> {
        if !self.is_given() {
            return Ok(None);
        }
        // SAFETY: as this function's own.
        unsafe { self.text() }.map(Some)
    }

    /// The bytes, where they are known to be possible: all that is left to do is to put something in the place
    /// of NULL.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`], and [`keyward_bytes::is_possible`].
    #[inline(always)]
    pub(super) unsafe fn known<'a>(self) -> &'a [u8] {
        let data = if self.data.is_null() { std::ptr::dangling() } else { self.data };
        // SAFETY: not NULL, no longer than memory can be, readable as the caller promised; NULL has length 0.
        unsafe { std::slice::from_raw_parts(data, self.len) }
    }

    /// The bytes, where they are known to be possible, or `None` where they are left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::known`].
    #[inline(always)]
    pub(super) unsafe fn known_optional<'a>(self) -> Option<&'a [u8]> {
        if self.data.is_null() {
            return None;
        }
        // SAFETY: not NULL, no longer than memory can be, and readable as the caller promised.
        Some(unsafe { std::slice::from_raw_parts(self.data, self.len) })
    }
}

/// The caller's header list, read where it stands.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    fields: &'a [keyward_header],
}

impl<'a> Headers<'a> {
    /// # Safety
    ///
    /// As of [`known_list`], and of [`keyward_bytes::known`] for each name and value.
    #[inline(always)]
    pub(super) unsafe fn new(fields: *const keyward_header, count: usize) -> Self {
        // SAFETY: as this function's own.
        Self { fields: unsafe { known_list(fields, count) } }
    }
}

impl HeaderList for Headers<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.fields.len()
    }

    #[inline(always)]
    fn field(&self, index: usize) -> (&[u8], &[u8]) {
        match self.fields.get(index) {
            Some(field) => {
                // SAFETY: `new` was promised it for each name.
                let name = unsafe { field.name.known() };
                // SAFETY: the same for each value.
                (name, unsafe { field.value.known() })
            }
            None => (&[], &[]),
        }
    }
}
