//! Memory in whole words that are read and written as atomics: a process's own, or a file's, which every
//! process that maps it shares.

use super::share::Shared;
use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};
use std::alloc::{Layout, handle_alloc_error};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a word.
pub const WORD: usize = size_of::<u64>();

/// Words that may be read and written from any thread, and, where they are a file's, from any process.
pub struct Words(Memory);

/// Whose memory it is.
enum Memory {
    Private(MmapRaw),
    Shared(Shared),
}

impl Words {
    /// So many words of this process alone, all zero, from the start of a page.
    pub fn private(count: usize) -> Self {
        let bytes = count.max(1).saturating_mul(WORD);
        match MmapMut::map_anon(bytes) {
            Ok(memory) => {
                // Only a wish, as for snapshots.
                let _ = memory.advise(Advice::HugePage);
                Self(Memory::Private(memory.into()))
            }
            // What every allocation does where there is no memory.
            Err(_) => handle_alloc_error(Layout::array::<u64>(count).unwrap_or(Layout::new::<u64>())),
        }
    }

    /// The words of a file that is open for reading and writing; bytes past the last whole word are left out.
    ///
    /// A file that is cut short while it is mapped ends the process that then touches what is gone (SIGBUS).
    pub fn share(file: &File) -> io::Result<Self> {
        Shared::new(file).map(|memory| Self(Memory::Shared(memory)))
    }

    /// Brings what stands in `words` of a file into memory, ready to be written, so that no request has to wait
    /// for it, and on huge pages if it can be. Only a wish.
    pub fn populate(&self, words: std::ops::Range<usize>) {
        if let Memory::Shared(memory) = &self.0 {
            memory.populate(words.start.saturating_mul(WORD)..words.end.saturating_mul(WORD));
        }
    }
}

/// A mapping of the system's: it starts on a page, its bytes stay where they are as long as it lives, and it gives out
/// no reference to them.
trait Mapping {
    /// Its first byte, and how many there are.
    fn span(&self) -> (*const u8, usize);
}

impl Mapping for MmapRaw {
    #[inline]
    fn span(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

impl Mapping for Shared {
    #[inline]
    fn span(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

/// The words of a mapping.
#[inline]
#[expect(unsafe_code, reason = "the one view of memory that others write to; see the comment on the block")]
fn words(memory: &impl Mapping) -> &[AtomicU64] {
    let (start, bytes) = memory.span();
    let (start, count) = (start.cast::<AtomicU64>(), bytes / WORD);
    // SAFETY: both kinds of `Mapping` are above, and no other module can add one. The mapping starts on a page, holds `count` whole words, and lives as long as it is borrowed.
    // Any bytes are a word. Nothing in this process reaches this memory but through these atomics (neither kind of
    // mapping gives out a reference of its own), so no access is a data race. What other processes do to it are
    // atomic accesses of the same kind; what somebody does who goes round them is seen before or after, a
    // word at a time, as in any memory that is shared with the world outside. A mapping that may only be
    // read is read with relaxed loads of a word, which are plain loads wherever this compiles
    // (`core::sync::atomic`, "Atomic accesses to read-only memory").
    unsafe { std::slice::from_raw_parts(start, count) }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        match &self.0 {
            Memory::Private(memory) => words(memory),
            Memory::Shared(memory) => words(memory),
        }
    }
}

/// The words of a file that others may be writing to, to be looked at.
pub struct WordReader(MmapRaw);

impl WordReader {
    /// The words of a file that is open for reading.
    pub fn open(file: &File) -> io::Result<Self> {
        MmapOptions::new().map_raw_read_only(file).map(Self)
    }
}

/// Words to be looked at.
pub trait ReadWords {
    /// The word at `index`; 0 where there is none.
    fn word(&self, index: usize) -> u64;
}

impl ReadWords for Words {
    fn word(&self, index: usize) -> u64 {
        self.get(index).map_or(0, |word| word.load(Relaxed))
    }
}

impl ReadWords for WordReader {
    fn word(&self, index: usize) -> u64 {
        words(&self.0).get(index).map_or(0, |word| word.load(Relaxed))
    }
}
