//! Hints to the processor about what will be read or written next.

/// Asks the processor to bring the cache line that `item` starts in closer, and does not wait for it.
///
/// A load would do the same, but the processor holds back what comes some hundred instructions after it until
/// it has arrived, and a verify wants to do more than that meanwhile.
#[inline]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a hint that no safe function gives"))]
pub(crate) fn prefetch<T: ?Sized>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the address is that of something that is borrowed here. The instruction is a hint: it reads
    // nothing that the program sees, and faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(std::ptr::from_ref(item).cast::<u8>());
}

/// The same for a line that will be written, so that no other processor has to be asked for it again then.
#[inline]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a hint that no safe function gives"))]
pub(crate) fn prefetch_to_write<T: ?Sized>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `prefetch`.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(item).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(std::ptr::from_ref(item).cast::<u8>());
}
