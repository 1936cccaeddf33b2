//! Bytes and lists of the caller's.

use super::numbers::{KEYWARD_E_ALIGNMENT, KEYWARD_E_LENGTH, KEYWARD_E_UTF8};
use super::types::{keyward_bytes, keyward_header};
use crate::request::HeaderList;
use std::cell::Cell;

/// The list of `count` items at `data`.
///
/// # Safety
///
/// Where `data` is not NULL, so many items can be read there and nobody writes to them during `'a`.
#[inline]
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

impl keyward_bytes {
    pub(super) const EMPTY: Self = Self { data: std::ptr::null(), len: 0 };

    /// Whether it is there, be it empty.
    #[inline]
    pub(super) const fn is_given(self) -> bool {
        !self.data.is_null() || self.len != 0
    }

    /// The bytes, or none.
    ///
    /// # Safety
    ///
    /// Where `data` is not NULL, `len` bytes can be read there and nobody writes to them during `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(self) -> Result<&'a [u8], i32> {
        // SAFETY: as this function's own.
        unsafe { list(self.data, self.len) }
    }

    /// The bytes, or `None` where they are left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    #[inline]
    pub(super) unsafe fn optional<'a>(self) -> Result<Option<&'a [u8]>, i32> {
        if !self.is_given() {
            return Ok(None);
        }
        // SAFETY: as this function's own.
        unsafe { self.get() }.map(Some)
    }

    /// The text.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    #[inline]
    pub(super) unsafe fn text<'a>(self) -> Result<&'a str, i32> {
        // SAFETY: as this function's own.
        let bytes = unsafe { self.get() }?;
        std::str::from_utf8(bytes).map_err(|_| KEYWARD_E_UTF8)
    }

    /// The text, or `None` where it is left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    #[inline]
    pub(super) unsafe fn optional_text<'a>(self) -> Result<Option<&'a str>, i32> {
        if !self.is_given() {
            return Ok(None);
        }
        // SAFETY: as this function's own.
        unsafe { self.text() }.map(Some)
    }
}

/// The caller's header list, read where it stands.
pub(super) struct Headers<'a> {
    fields: &'a [keyward_header],
    /// Whether a field that was asked for is no bytes at all. Nothing that was decided then counts.
    broken: Cell<bool>,
}

impl<'a> Headers<'a> {
    /// # Safety
    ///
    /// As of [`list`], and of [`keyward_bytes::get`] for each name and value.
    #[inline]
    pub(super) unsafe fn new(fields: *const keyward_header, count: usize) -> Result<Self, i32> {
        // SAFETY: as this function's own.
        Ok(Self { fields: unsafe { list(fields, count) }?, broken: Cell::new(false) })
    }

    /// Whether a field that was asked for could not be read.
    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    #[inline]
    fn bytes(&self, bytes: keyward_bytes) -> &[u8] {
        // SAFETY: `new` was promised it for each name and value.
        unsafe { bytes.get() }.unwrap_or_else(|_| self.note_broken())
    }

    #[cold]
    fn note_broken(&self) -> &[u8] {
        self.broken.set(true);
        &[]
    }
}

impl HeaderList for Headers<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    fn field(&self, index: usize) -> (&[u8], &[u8]) {
        match self.fields.get(index) {
            Some(field) => (self.bytes(field.name), self.bytes(field.value)),
            None => (&[], &[]),
        }
    }
}
