//! M: what one dependent read of a cache line costs in memory of the index's size and kind.

use crate::random::{Random, mix};
use keyward::memory::Bytes;
use keyward::snapshot::Mode;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Bytes in a line, and in a record of the index.
pub const LINE: usize = 64;

/// A file of lines, each of which says which line is read next, in one random cycle through all of them.
///
/// It comes into memory the way a snapshot does, so that pages, sharing and page tables are alike.
pub struct Chase {
    bytes: Bytes,
    at: u64,
}

impl Chase {
    /// A cycle through `lines` lines, at least one, in a new file at `path`.
    pub fn new(path: &Path, lines: u64, mode: Mode) -> io::Result<Self> {
        let lines = u32::try_from(lines.max(1)).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // Sattolo's shuffle: all in one cycle.
        let mut next: Vec<u32> = (0..lines).collect();
        let mut random = Random::new(u64::from(lines));
        for last in (1..next.len()).rev() {
            next.swap(last, random.below(last as u64) as usize);
        }
        // In steps as large as a snapshot's, so that the system keeps both in pages of the same size.
        let mut file = BufWriter::with_capacity(4 << 20, File::create_new(path)?);
        for (line, next) in (0u64..).zip(next) {
            // The next line is the sum of all eight words, so that the whole line has to come.
            let words = [1, 2, 3, 4, 5, 6, 7].map(|word| mix(line * 8 + word));
            let first = words.iter().fold(u64::from(next), |sum, word| sum ^ word);
            file.write_all(&first.to_le_bytes())?;
            for word in words {
                file.write_all(&word.to_le_bytes())?;
            }
        }
        let file = file.into_inner()?;
        // As a published snapshot is; only such files are mapped.
        file.set_permissions(Permissions::from_mode(0o400))?;
        file.sync_all()?;
        let chase = Self { bytes: Bytes::open(&File::open(path)?, mode)?, at: 0 };
        // What is mapped stays; the name is not needed any more.
        fs::remove_file(path)?;
        chase.touch_all();
        Ok(chase)
    }

    /// Brings every page into the process, as the engine's check does with a snapshot's.
    fn touch_all(&self) {
        let sum = self.bytes.chunks(4096).filter_map(<[u8]>::first).fold(0u8, |sum, byte| sum ^ byte);
        std::hint::black_box(sum);
    }

    /// Reads so many lines, one after the other.
    #[inline]
    pub fn steps(&mut self, steps: usize) {
        let lines = self.bytes.as_chunks::<LINE>().0;
        for _ in 0..steps {
            let Some(line) = lines.get(self.at as usize) else { return };
            self.at = line.as_chunks::<8>().0.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_once_in_a_round() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [Mode::Map, Mode::Copy] {
            let mut chase = Chase::new(&folder.path().join("lines"), 1000, mode).unwrap();
            let mut seen = vec![false; 1000];
            for _ in 0..1000 {
                assert!(!std::mem::replace(&mut seen[chase.at as usize], true));
                chase.steps(1);
            }
            assert_eq!(chase.at, 0);
        }
    }
}
