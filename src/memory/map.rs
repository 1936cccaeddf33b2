//! The bytes of a file that does not change: mapped or copied.

use memmap2::{Advice, Mmap, MmapMut};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// How a snapshot's bytes come into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// The file is mapped, and shared by all processes that map it. Only files that nobody may write to
    /// are mapped, which is how they are published; any other is copied.
    #[default]
    Map,
    /// The file is read into private memory, in huge pages where the system has them. Whatever happens
    /// to the file afterwards does not matter.
    Copy,
}

/// Opens the file at `path` for reading, without waiting where it is a pipe that nobody writes to:
/// [`Bytes::open`] refuses that.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
}

/// Bytes that the processor brings at one time.
const CACHE_LINE: usize = 64;

/// Bytes that do not change any more.
pub struct Bytes(Holder);

enum Holder {
    Mapped(Mmap),
    Copied(Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    /// The bytes of an open file.
    ///
    /// [`Mode::Map`] maps it only where no permission bit lets anybody write to it, as publishing leaves
    /// a snapshot, and copies it otherwise. [`Bytes::is_mapped`] tells which it became.
    pub fn open(file: &File, mode: Mode) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let write_once = metadata.mode() & 0o222 == 0;
        if metadata.len() == 0 {
            // Nothing can be mapped; what reads it says that it is empty.
            return Ok(Self::owned(Vec::new()));
        }
        match mode {
            Mode::Map if write_once => {
                let map = Self::map(file)?;
                // Only a wish, as in `copy`. What `build::write` wrote comes in huge pages where system and file system
                // can, as long as it stays in memory; this is for when it has to come from the disk again.
                let _ = map.advise(Advice::HugePage);
                Ok(Self(Holder::Mapped(map)))
            }
            Mode::Map | Mode::Copy => copy(file, metadata.len()),
        }
    }

    /// Bytes that are in memory already.
    pub const fn owned(bytes: Vec<u8>) -> Self {
        Self(Holder::Owned(bytes))
    }

    /// Whether the memory is the file's, shared with every process that maps it.
    pub const fn is_mapped(&self) -> bool {
        matches!(self.0, Holder::Mapped(_))
    }

    /// Asks the processor to bring the `lines` cache lines from `offset` on closer, and does not wait for
    /// them. Nothing happens past the end.
    #[inline]
    pub fn prefetch(&self, offset: usize, lines: usize) {
        let behind = self.get(offset..).unwrap_or_default();
        for line in behind.chunks(CACHE_LINE).take(lines) {
            super::prefetch(line);
        }
    }

    #[expect(unsafe_code, reason = "the one mapping of a file; see the comment on the block")]
    fn map(file: &File) -> io::Result<Mmap> {
        // SAFETY: a mapping must not change while it is borrowed as `&[u8]`. The caller has seen that no
        // permission bit lets anybody write to this file, and publishing replaces a snapshot by renaming
        // another file into its place and never opens a live one for writing. What is left is somebody
        // with the owner's rights or root's who lifts the write protection or goes round it to damage
        // the file in place: they could as well write to this process's memory through /proc. Every read
        // of the mapping is bounds-checked at the place where it is used and no bound, length or offset
        // is read twice, so that even then wrong bytes give a wrong answer and not a wild access; a file
        // cut short ends the process (SIGBUS) instead of letting anyone in. `Mode::Copy` is for hosts that
        // cannot live with that.
        unsafe { Mmap::map(file) }
    }
}

/// Reads `length` bytes into anonymous memory. A file that changes its length meanwhile is refused.
fn copy(file: &File, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut memory = MmapMut::map_anon(length)?;
    // Only a wish: a lookup in huge pages saves a walk through the page tables. Kernels without
    // transparent huge pages refuse it, which costs nothing but that.
    let _ = memory.advise(Advice::HugePage);
    let mut file = file;
    file.read_exact(&mut memory)?;
    if file.read(&mut [0])? != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file grew while it was read"));
    }
    Ok(Bytes(Holder::Copied(memory.make_read_only()?)))
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Holder::Mapped(map) | Holder::Copied(map) => map,
            Holder::Owned(bytes) => bytes,
        }
    }
}
