//! Structs that come with their size, so that a program and a library of different versions agree.
//!
//! A field that one side does not know is 0 for the other. So an input may be shorter, and longer where the
//! rest is zeros; of an output as much is written as there is room for, and the rest is zeroed. A size
//! outside all reason is refused: it is more likely the size of something else.

use super::numbers::{KEYWARD_E_ALIGNMENT, KEYWARD_E_NULL, KEYWARD_E_STRUCT_SIZE};
use std::mem::MaybeUninit;
use std::ptr;

/// No struct will ever be larger.
const LARGEST: usize = 1 << 16;

/// A struct of the header.
///
/// # Safety
///
/// It is `repr(C)` and has no padding. Zeros are a value of it, any bytes that a caller hands in are, and a
/// value is there as soon as its first `HEAD` bytes were written.
pub(super) unsafe trait Struct: Copy {
    /// The smallest size that is taken: the end of the fields that no call can do without.
    const SMALLEST: usize;
    /// How much of an output is zeroed on entry; texts may stand behind that.
    const HEAD: usize = size_of::<Self>();

    /// Puts a NUL at the start of each text that is not zeroed.
    fn empty_texts(&mut self) {}
}

const fn size_is_possible<T: Struct>(size: usize) -> bool {
    // The size of a struct is a multiple of its alignment, so no field that is not made of bytes is cut.
    size >= T::SMALLEST && size <= LARGEST && size.is_multiple_of(align_of::<T>())
}

fn check<T: Struct>(pointer: *const T, size: usize) -> Result<(), i32> {
    if pointer.is_null() {
        Err(KEYWARD_E_NULL)
    } else if !size_is_possible::<T>(size) {
        Err(KEYWARD_E_STRUCT_SIZE)
    } else if !pointer.is_aligned() {
        Err(KEYWARD_E_ALIGNMENT)
    } else {
        Ok(())
    }
}

/// The struct at `pointer`, or a copy of it in `space` where its size is not ours.
///
/// # Safety
///
/// Where `pointer` is not NULL, `size` bytes can be read there, and nobody writes to them while the result is
/// in use.
#[inline]
pub(super) unsafe fn input<T: Struct>(
    pointer: *const T,
    size: usize,
    space: &mut MaybeUninit<T>,
) -> Result<&T, i32> {
    if size == size_of::<T>() && !pointer.is_null() && pointer.is_aligned() {
        // SAFETY: it is readable, aligned and as long as it should be; any bytes are a value.
        return Ok(unsafe { &*pointer });
    }
    // SAFETY: as this function's own.
    unsafe { copied(pointer, size, space) }
}

/// # Safety
///
/// As of [`input`].
#[cold]
unsafe fn copied<T: Struct>(pointer: *const T, size: usize, space: &mut MaybeUninit<T>) -> Result<&T, i32> {
    check(pointer, size)?;
    let known = size.min(size_of::<T>());
    let source = pointer.cast::<u8>();
    // SAFETY: `size` bytes are readable, and `known` is not more.
    let rest = unsafe { source.add(known) };
    // SAFETY: what follows the known bytes, up to `size`.
    let rest = unsafe { std::slice::from_raw_parts(rest, size - known) };
    if rest.iter().any(|&byte| byte != 0) {
        return Err(KEYWARD_E_STRUCT_SIZE);
    }
    *space = MaybeUninit::zeroed();
    // SAFETY: `known` bytes are readable there and writable here, and the two are apart: `space` is ours.
    unsafe { ptr::copy_nonoverlapping(source, space.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: every byte of it was written, and any bytes are a value.
    Ok(unsafe { space.assume_init_ref() })
}

/// An output struct of the caller's, or NULL where it wants none.
#[derive(Clone, Copy)]
pub(super) struct Output<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Struct> Output<T> {
    /// # Safety
    ///
    /// Where `pointer` is not NULL, `size` bytes can be written there, and nobody else looks at them while
    /// this exists.
    pub(super) const unsafe fn new(pointer: *mut T, size: usize) -> Self {
        Self { pointer, size }
    }

    /// Whether it is not NULL.
    pub(super) fn is_wanted(&self) -> bool {
        !self.pointer.is_null()
    }

    /// Whether it can be written to.
    pub(super) fn check(&self) -> Result<(), i32> {
        check(self.pointer, self.size)
    }

    /// Sets it to zero, if it can be. Never panics.
    pub(super) fn deny(&mut self) {
        if self.exact().is_none() && self.check().is_ok() {
            // SAFETY: so many bytes can be written, as `new` was promised.
            unsafe { ptr::write_bytes(self.pointer.cast::<u8>(), 0, self.size) };
        }
    }

    /// Sets it to zero and lends it, where its size is ours.
    #[inline]
    pub(super) fn exact(&mut self) -> Option<&mut T> {
        if self.size != size_of::<T>() || self.pointer.is_null() || !self.pointer.is_aligned() {
            return None;
        }
        // SAFETY: `HEAD` is within the struct, which is the caller's to let us write to.
        unsafe { ptr::write_bytes(self.pointer.cast::<u8>(), 0, T::HEAD) };
        // SAFETY: aligned, writable, nobody else's, and a value now that its head was written.
        let value = unsafe { &mut *self.pointer };
        value.empty_texts();
        Some(value)
    }

    /// Writes as much of `value` as there is room for, and zeros behind it.
    pub(super) fn write(&mut self, value: &T) -> Result<(), i32> {
        self.check()?;
        let known = self.size.min(size_of::<T>());
        let target = self.pointer.cast::<u8>();
        // SAFETY: `known` bytes are readable in `value` and writable there, and `value` is not the caller's.
        // They are copied as they are, because bytes of a text may be unwritten.
        unsafe { ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), target, known) };
        // SAFETY: within `size`.
        let rest = unsafe { target.add(known) };
        // SAFETY: what is left of `size`.
        unsafe { ptr::write_bytes(rest, 0, self.size - known) };
        Ok(())
    }

    /// The bytes that the caller has room for.
    pub(super) const fn size(&self) -> usize {
        self.size
    }
}

/// A zeroed value to fill and then to [`Output::write`], where the caller's size is not ours.
pub(super) fn zeroed<T: Struct>() -> T {
    // SAFETY: zeros are a value of every `Struct`.
    unsafe { MaybeUninit::zeroed().assume_init() }
}
