//! Rate limits: GCRA per key (docs/DECISIONS.md section 7.1), counted in one fixed-size table that takes no
//! lock, allocates nothing after it was made, and loses nothing but counts.

mod gcra;
mod table;

#[cfg(test)]
mod tests;

pub use gcra::Gcra;

use crate::format::id_place::IdTag;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use table::{ENTRIES_PER_LINE, Line, Table};

/// The rate-limit state of every key, for all threads of this process.
///
/// A table of `slots` entries of 16 bytes. Give it twice as many slots as keys are active at one time:
/// what [`Limiter::displaced`] counts says when that was too few.
pub struct Limiter {
    lines: Box<[Line]>,
    displaced: AtomicU64,
}

impl Limiter {
    /// A limiter with room for `slots` keys, rounded up to whole cache lines of four.
    pub fn new(slots: usize) -> Self {
        let lines = slots.div_ceil(ENTRIES_PER_LINE).max(1);
        Self {
            lines: std::iter::repeat_with(Line::default).take(lines).collect(),
            displaced: AtomicU64::new(0),
        }
    }

    /// Admits a request of the key called `tag` at `now_ns` nanoseconds after the epoch, or
    /// says after how many seconds, at least 1, it may come again. A refused request uses up nothing.
    ///
    /// A time too late for a `u64` is to be handed in as `u64::MAX`; then every request is refused.
    pub fn admit(&self, tag: IdTag, rate: Gcra, now_ns: u64) -> Result<(), u64> {
        // The upper bits say where an entry stands, and no entry's tag is 0.
        let tag = tag.number() << 16 | 1;
        let admission = Table::new(&self.lines).admit(tag, rate, now_ns);
        if admission.displaced > 0 {
            self.displaced.fetch_add(admission.displaced, Relaxed);
        }
        admission.outcome
    }

    /// How many keys lost their state before it expired because their part of the table was full. If it
    /// grows, the limiter has too few slots, and keys get more than their rate.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// How many keys the table has room for.
    pub fn slots(&self) -> usize {
        self.lines.len() * ENTRIES_PER_LINE
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Limiter")
            .field("slots", &self.slots())
            .field("displaced", &self.displaced())
            .finish()
    }
}
