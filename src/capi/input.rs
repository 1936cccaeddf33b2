//! Bytes and lists of the caller's.

use super::numbers::{KEYWARD_E_ALIGNMENT, KEYWARD_E_LENGTH, KEYWARD_E_UTF8};
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
    #[inline(always)]
    pub(super) unsafe fn get<'a>(self) -> Result<&'a [u8], i32> {
        // SAFETY: as this function's own.
        unsafe { list(self.data, self.len) }
    }

    /// The bytes, or `None` where they are left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    #[inline(always)]
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
    #[inline(always)]
    pub(super) unsafe fn text<'a>(self) -> Result<&'a str, i32> {
        // SAFETY: as this function's own.
        let bytes = unsafe { self.get() }?;
        if bytes.is_ascii() {
            // SAFETY: ASCII is UTF-8, and nearly every name is; a look at short texts is cheaper so.
            return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
        }
        std::str::from_utf8(bytes).map_err(|_| KEYWARD_E_UTF8)
    }

    /// The text, or `None` where it is left out.
    ///
    /// # Safety
    ///
    /// As of [`keyward_bytes::get`].
    #[inline(always)]
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
}

impl<'a> Headers<'a> {
    /// # Safety
    ///
    /// As of [`list`], and of [`keyward_bytes::get`] for each name and value.
    #[inline(always)]
    pub(super) unsafe fn new(fields: *const keyward_header, count: usize) -> Result<Self, i32> {
        // SAFETY: as this function's own.
        let fields = unsafe { list(fields, count) }?;
        // All of them at once, without a branch for each: they are looked at more than once.
        let possible = |bytes: keyward_bytes| {
            (!bytes.data.is_null() | (bytes.len == 0)) & (bytes.len <= isize::MAX as usize)
        };
        let sound = fields.iter().fold(true, |all, field| all & possible(field.name) & possible(field.value));
        if sound { Ok(Self { fields }) } else { Err(KEYWARD_E_LENGTH) }
    }
}

/// The bytes of a field of [`Headers`].
///
/// # Safety
///
/// They are possible, as `Headers::new` found, and can be read for `'a` where there are any.
#[inline(always)]
unsafe fn known<'a>(bytes: keyward_bytes) -> &'a [u8] {
    let data = if bytes.data.is_null() { std::ptr::dangling() } else { bytes.data };
    // SAFETY: not NULL, no longer than memory can be, and readable as the caller promised; NULL has length 0.
    unsafe { std::slice::from_raw_parts(data, bytes.len) }
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
                // SAFETY: `new` was promised it for each name, and looked at them.
                let name = unsafe { known(field.name) };
                // SAFETY: the same for each value.
                (name, unsafe { known(field.value) })
            }
            None => (&[], &[]),
        }
    }
}
