//! One fixed-size table of arrival times, in memory that threads, and later processes, share.
//!
//! # Layout
//!
//! An array of 64-byte lines of four entries; an entry is two little words, `tag` and `arrival`. All
//! zero is the empty table, and an entry whose tag is 0 is empty. There is no pointer, no lock, no
//! length and nothing that belongs to one process, so the same bytes work at any address.
//!
//! # Where an entry stands
//!
//! A tag's window starts at line `(tag * lines) >> 64` and is [`WINDOW_LINES`] long, round the end of
//! the table. A new tag goes into the first empty entry of its window, by one compare-and-swap of the
//! tag, and entries never become empty again: two threads that insert one tag therefore try the same
//! entry, and the one that loses finds the tag there. The arrival time of a new entry is 0, long past.
//!
//! A window without an empty entry gives up the entry that is nearest to its expiry, the first one if
//! several have expired: an entry whose arrival time is past says nothing that a new one does not.
//! That is again one compare-and-swap of the tag; whoever takes the entry then replaces the arrival
//! time with its own in the same step that admits its first request.
//!
//! # What is exact
//!
//! While windows have empty or expired entries and the clock goes forward, every request is counted
//! once, whatever the number of threads. Where a live entry has to be given up ([`Admission::displaced`]):
//!
//! - its key starts anew when it comes back, so it may pass up to `burst` requests more than its rate;
//! - a request that is in the middle of [`Table::admit`] for either key at that moment may be counted
//!   for the other key, or not at all: at most one for each thread that is in there;
//! - two threads that take over entries for one tag may take different ones. Both look again from the
//!   start of the window and go on with the first, so at most one request each stays uncounted, and
//!   the other entry expires.
//!
//! Taking over an expired entry can do the last two as well. Two keys with the same tag share one rate:
//! with a million keys that is one chance in thirty-six million.
//!
//! # Crashes
//!
//! Every step is one atomic operation, and the table is usable after each: a tag without its own
//! arrival time has 0, or inherits one that passes like any other.
//!
//! # Memory ordering
//!
//! Each word is consistent by itself with `Relaxed`, and insertion needs no more: nobody writes the
//! arrival time of an empty entry. Taking over changes two words: the new tag is written before the new
//! arrival time, which is `Release`; arrival times are read with `Acquire` and the tag once more after
//! that. So a thread that sees the arrival time of a new owner also sees that the owner is another.

use super::gcra::Gcra;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Entries in a line.
pub(super) const ENTRIES_PER_LINE: usize = 4;

/// Lines in which a tag can stand: 64 entries, so that a lookup is bounded.
pub(super) const WINDOW_LINES: usize = 16;

/// How often a request starts anew because its entry was taken from it. Each time another key got a
/// place, so that even twice is rare.
const ATTEMPTS: usize = 16;

/// A tag and its theoretical arrival time.
#[derive(Default)]
#[repr(C)]
pub(super) struct Entry {
    tag: AtomicU64,
    arrival: AtomicU64,
}

/// One cache line of entries.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Line([Entry; ENTRIES_PER_LINE]);

/// What became of a request, and what it did to the table.
pub(super) struct Admission {
    /// Admitted, or the seconds to wait.
    pub(super) outcome: Result<(), u64>,
    /// How many entries that had not expired were given up for it.
    pub(super) displaced: u64,
}

/// The entry of a tag, as [`Table::place`] found or made it.
struct Place<'a> {
    entry: &'a Entry,
    /// The arrival time that the entry had under the tag it was taken from, where it was.
    inherited: Option<u64>,
    displaced: bool,
}

/// The table over its lines, wherever they are.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    lines: &'a [Line],
}

impl<'a> Table<'a> {
    pub(super) const fn new(lines: &'a [Line]) -> Self {
        Self { lines }
    }

    /// Counts a request of `tag` (not 0) at `now`, if `rate` admits it.
    pub(super) fn admit(self, tag: u64, rate: Gcra, now: u64) -> Admission {
        let mut displaced = 0;
        for _ in 0..ATTEMPTS {
            let Some(place) = self.place(tag, now) else { continue };
            displaced += u64::from(place.displaced);
            if let Some(outcome) = place.admit(tag, rate, now) {
                return Admission { outcome, displaced };
            }
        }
        // Sixteen other keys took this one's entry within one call. It cannot be counted, so it waits.
        Admission { outcome: Err(1), displaced }
    }

    /// The entry of `tag`, taken if it has none; `None` where another key took that entry first.
    fn place(self, tag: u64, now: u64) -> Option<Place<'a>> {
        let mut nearest: Option<(&Entry, u64, u64)> = None;
        for entry in self.window(tag) {
            let mut found = entry.tag.load(Relaxed);
            if found == 0 {
                match entry.tag.compare_exchange(0, tag, Relaxed, Relaxed) {
                    Ok(_) => return Some(Place { entry, inherited: None, displaced: false }),
                    Err(other) => found = other,
                }
            }
            if found == tag {
                return Some(Place { entry, inherited: None, displaced: false });
            }
            // Everything that has expired is equally near.
            let arrival = entry.arrival.load(Acquire);
            if nearest.is_none_or(|(_, _, least)| arrival.max(now) < least.max(now)) {
                nearest = Some((entry, found, arrival));
            }
        }
        let (entry, owner, arrival) = nearest?;
        entry.tag.compare_exchange(owner, tag, Relaxed, Relaxed).ok()?;
        let displaced = arrival > now;
        let first = self.window(tag).find(|entry| entry.tag.load(Relaxed) == tag);
        Some(match first {
            Some(first) if !std::ptr::eq(first, entry) => Place { entry: first, inherited: None, displaced },
            _ => Place { entry, inherited: Some(arrival), displaced },
        })
    }

    /// The entries in which `tag` can stand, in the order of probing.
    fn window(self, tag: u64) -> impl Iterator<Item = &'a Entry> {
        // Below the number of lines, so it fits a usize.
        let home = ((u128::from(tag) * self.lines.len() as u128) >> 64) as usize;
        let (before, after) = self.lines.split_at_checked(home).unwrap_or((self.lines, &[]));
        after.iter().chain(before).take(WINDOW_LINES).flat_map(|line| &line.0)
    }
}

impl Place<'_> {
    /// Counts a request in this entry; `None` where the entry has come to belong to another tag.
    fn admit(&self, tag: u64, rate: Gcra, now: u64) -> Option<Result<(), u64>> {
        let mut arrival = self.entry.arrival.load(Acquire);
        loop {
            if self.entry.tag.load(Relaxed) != tag {
                return None;
            }
            // What the entry inherited is not this key's debt; anything else in it is.
            let own = if self.inherited == Some(arrival) { 0 } else { arrival };
            let next = match rate.decide(own, now) {
                Ok(next) => next,
                Err(seconds) => return Some(Err(seconds)),
            };
            // With T = 0 the time may stand still, and then there is nothing to write.
            if next == arrival {
                return Some(Ok(()));
            }
            match self.entry.arrival.compare_exchange_weak(arrival, next, Release, Acquire) {
                Ok(_) => return Some(Ok(())),
                Err(other) => arrival = other,
            }
        }
    }
}
