//! H: what one keyed BLAKE3 of a key costs, each begun once the one before it is done.

use crate::keys::{self, LENGTH};
use std::hint::black_box;

/// A text that is hashed, again and again.
pub struct Chain {
    key: [u8; 32],
    text: [u8; LENGTH],
    /// Zero, which the compiler does not know.
    zero: u8,
}

impl Default for Chain {
    fn default() -> Self {
        Self { key: keys::PEPPER, text: keys::text(0), zero: black_box(0) }
    }
}

impl Chain {
    /// Hashes so many times. Where the text starts depends on the hash before.
    #[inline]
    pub fn steps(&self, steps: usize) -> u8 {
        (0..steps).fold(0, |last, _| {
            let text = self.text.get(usize::from(last & self.zero)..).unwrap_or_default();
            let [first, ..] = *blake3::keyed_hash(&self.key, text).as_bytes();
            first
        })
    }
}
