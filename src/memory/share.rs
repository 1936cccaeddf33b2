//! A file that processes share, mapped to be written to.

#![expect(unsafe_code, reason = "the system's own calls; see the comment on each block")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// What a huge page is aligned to, of the size that every processor here has.
const HUGE: usize = 2 << 20;

/// A mapping of a whole file, readable and writable. Where it is large, it starts where a huge page may.
pub(super) struct Shared {
    start: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: it owns its mapping as a box owns its memory, and gives out nothing but an address and a length.
unsafe impl Send for Shared {}
// SAFETY: as above; nothing that takes `&self` changes the mapping but in ways that no reader can see.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn new(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let place = if length < HUGE { ptr::null_mut() } else { room(length)? };
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping: without MAP_FIXED the place is a wish, and no memory that is in use is touched.
        let start = unsafe { libc::mmap(place, length, rights, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        Ok(Self { start: mapped(start)?, length })
    }

    #[inline]
    pub(super) const fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr().cast_const().cast()
    }

    /// In bytes.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Brings those bytes into memory, ready to be written, on huge pages if the file is one in memory: an access
    /// to a place that was not used for a while then costs one miss, and not the walk through the page tables
    /// besides. Only wishes: systems that do not know them, and files that are on disks, stay as they are.
    pub(super) fn populate(&self, bytes: Range<usize>) {
        #[cfg(target_os = "linux")]
        {
            let end = bytes.end.min(self.length).next_multiple_of(HUGE).min(self.length / HUGE * HUGE);
            self.advise(bytes.start / HUGE * HUGE..end, libc::MADV_COLLAPSE);
            self.advise(bytes, libc::MADV_POPULATE_WRITE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }

    #[cfg(target_os = "linux")]
    fn advise(&self, bytes: Range<usize>, advice: libc::c_int) {
        if bytes.is_empty() || bytes.end > self.length {
            return;
        }
        // SAFETY: within the mapping, as was just looked at.
        let start = unsafe { self.start.byte_add(bytes.start) };
        // SAFETY: both kinds of advice leave every byte as it is.
        let _ = unsafe { libc::madvise(start.as_ptr(), bytes.len(), advice) };
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody has a reference into any more.
        let _ = unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

/// An address where so many bytes have room, at the start of a huge page. Somebody else may take it before it is
/// used; then the mapping goes elsewhere.
fn room(length: usize) -> io::Result<*mut libc::c_void> {
    let more = length.saturating_add(HUGE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
    // SAFETY: a new mapping that nobody may access.
    let start = unsafe { libc::mmap(ptr::null_mut(), more, libc::PROT_NONE, flags, -1, 0) };
    let start = mapped(start)?;
    // SAFETY: the mapping that was just made, into which there is no reference.
    let _ = unsafe { libc::munmap(start.as_ptr(), more) };
    Ok(start.as_ptr().map_addr(|address| address.next_multiple_of(HUGE)))
}

fn mapped(start: *mut libc::c_void) -> io::Result<NonNull<libc::c_void>> {
    match NonNull::new(start) {
        Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(start),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::{WORD, Words};
    use super::*;
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_large_file_is_where_a_huge_page_may_be_and_keeps_what_stands_in_it() {
        let file: File = memfd_create("words", MemfdFlags::CLOEXEC).expect("there is memory").into();
        let length = 2 * HUGE + 4096;
        file.set_len(length as u64).expect("there is room");
        file.write_all_at(&7_u64.to_ne_bytes(), HUGE as u64).expect("there is room");
        // Another test may take the place in between, but not every time.
        let aligned = || Shared::new(&file).expect("it can be mapped").as_ptr().addr().is_multiple_of(HUGE);
        assert!((0..10).any(|_| aligned()));
        let words = Words::share(&file).expect("it can be mapped");
        words.populate(0..words.len());
        assert_eq!((words.len(), words[HUGE / WORD].load(Relaxed)), (length / WORD, 7));
        words[length / WORD - 1].store(8, Relaxed);
        let mut last = [0; WORD];
        file.read_exact_at(&mut last, (length - WORD) as u64).expect("it is there");
        assert_eq!(u64::from_ne_bytes(last), 8);
    }
}
