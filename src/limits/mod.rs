//! What is counted: rate limits (GCRA per key, docs/DECISIONS.md section 7.1), what becomes of requests, and,
//! in a state file that processes share, how each key is used.
//!
//! All of it stands in memory of a fixed size, takes no lock, and allocates nothing to count. What is lost with it is
//! counts, and what generation was served last.

mod counts;
mod gcra;
mod state;
mod table;
mod thread;

#[cfg(test)]
mod tests;

pub use counts::{Counts, REASONS, RealmCounts};
pub use gcra::Gcra;
pub use state::read::{KeyUsage, StateReader};
pub use state::{Mark, Passed, State, StateError, StateInfo};
pub(crate) use state::{RealmRow, Use};

use crate::format::id_place::IdTag;
use crate::memory::Words;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use table::Table;

/// Words of an entry of a limiter: a tag and an arrival time.
const ENTRY: usize = 2;
/// Entries in a cache line.
const ENTRIES_PER_LINE: usize = 4;

/// The rate-limit state of every key, for all threads of this process.
///
/// A table of `slots` entries of 16 bytes. Give it twice as many slots as keys are active at one time:
/// what [`Limiter::displaced`] counts says when that was too few.
pub struct Limiter {
    words: Words,
    slots: usize,
    displaced: AtomicU64,
}

impl Limiter {
    /// A limiter with room for `slots` keys, rounded up to whole cache lines of four.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(1).next_multiple_of(ENTRIES_PER_LINE);
        Self { words: Words::private(slots.saturating_mul(ENTRY)), slots, displaced: AtomicU64::new(0) }
    }

    #[inline]
    fn table(&self) -> Table<'_, ENTRY> {
        Table::new(&self.words)
    }

    /// Admits a request of the key called `tag` at `now_ns` nanoseconds after the epoch, or
    /// says after how many seconds, at least 1, it may come again. A refused request uses up nothing.
    ///
    /// A time too late for a `u64` is to be handed in as `u64::MAX`; then every request is refused.
    #[inline]
    pub fn admit(&self, tag: IdTag, rate: Gcra, now_ns: u64) -> Result<(), u64> {
        let admission = self.table().admit(tag, rate, now_ns, &());
        if admission.displaced > 0 {
            self.displaced.fetch_add(admission.displaced, Relaxed);
        }
        admission.outcome
    }

    /// Sends for what [`Limiter::admit`] will need for `tag`.
    #[inline]
    pub(crate) fn prefetch(&self, tag: IdTag) {
        self.table().prefetch(tag);
    }

    /// How many keys lost their state before it expired because their part of the table was full. If it
    /// grows, the limiter has too few slots, and keys get more than their rate.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// How many keys the table has room for.
    pub const fn slots(&self) -> usize {
        self.slots
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
