//! One fixed-size table of arrival times, in memory that threads, and processes, share.
//!
//! # Layout
//!
//! An array of entries of a few little words each, of which the first two are the tag and the arrival time;
//! what else an entry holds is its keeper's ([`Keep`]). All zero is the empty table, and an entry whose first
//! word is 0 is empty. There is no pointer, no lock, no length and nothing that belongs to one process, so
//! the same bytes work at any address.
//!
//! The first word holds the 48 bits of the tag, above 16 bits of which the lowest is set and the rest are the
//! keeper's.
//!
//! # Where an entry stands
//!
//! A tag's window starts at the line `(tag * lines) >> 48` and is [`WINDOW`] entries long, round the end of
//! the table. A new tag goes into the first empty entry of its window, by one compare-and-swap of the
//! tag, and entries never become empty again: two threads that insert one tag therefore try the same
//! entry, and the one that loses finds the tag there. The arrival time of a new entry is 0, long past.
//!
//! A window without an empty entry gives up the entry that is nearest to its expiry; of those that have
//! expired, the one that was used least recently, as far as its keeper knows. That is again one
//! compare-and-swap of the tag; whoever takes the entry then replaces the arrival time with its own in the
//! same step that admits its first request.
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
//! that some two of a million keys do has one chance in 560.
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
use crate::format::id_place::IdTag;
use crate::memory::prefetch_to_write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Words in a cache line: where windows start.
const LINE: usize = 8;

/// The first entries of a window, in which nearly all tags stand: 96 in 100 where every second entry is taken. They
/// are sent for ahead of time.
const NEAR: usize = 4;

/// Entries in which a tag can stand, so that a lookup is bounded.
pub(super) const WINDOW: usize = 64;

/// How often a request starts anew because its entry was taken from it. Each time another key got a
/// place, so that even twice is rare.
const ATTEMPTS: usize = 16;

/// The bit of an entry's first word that says that it is taken.
const TAKEN: u64 = 1;
/// Bits of the first word below the tag.
const TAG_SHIFT: u32 = 16;

/// The first word of an entry that was taken for `tag` just now.
const fn first_word(tag: IdTag) -> u64 {
    tag.number() << TAG_SHIFT | TAKEN
}

/// Whether the first word of an entry says that it belongs to `tag`.
#[inline]
const fn belongs(word: u64, tag: IdTag) -> bool {
    word >> TAG_SHIFT == tag.number() && word != 0
}

/// The tag in the first word of an entry; `None` for an empty one.
pub(super) const fn owner(word: u64) -> Option<IdTag> {
    if word == 0 { None } else { Some(IdTag::from_number(word >> TAG_SHIFT)) }
}

/// Whoever keeps more than the arrival time in the entries of a table.
pub(super) trait Keep {
    /// What was counted in an entry.
    type Counted;

    /// When the entry at `index` was last used, in nanoseconds; 0 where nobody knows.
    fn last_use(&self, index: usize) -> u64;

    /// Takes out what was counted in the entry at `index`, which is about to be given up: before it is, so that
    /// whoever dies in between has lost counts and not added them to another key's.
    fn take_counts(&self, index: usize) -> Self::Counted;

    /// Puts back what was taken out of an entry that was not given up after all.
    fn put_back(&self, index: usize, counted: Self::Counted);
}

/// Nobody.
impl Keep for () {
    type Counted = ();

    #[inline]
    fn last_use(&self, _: usize) -> u64 {
        0
    }

    #[inline]
    fn take_counts(&self, _: usize) {}

    #[inline]
    fn put_back(&self, _: usize, (): ()) {}
}

/// What became of a request, and what it did to the table.
pub(super) struct Admission {
    /// Admitted, or the seconds to wait.
    pub(super) outcome: Result<(), u64>,
    /// How many entries that had not expired were given up for it.
    pub(super) displaced: u64,
    /// How many entries were given up for it, expired or not.
    pub(super) given_up: u64,
}

/// The entry of a tag, as [`Table::place`] found or made it.
pub(super) struct Place<'a> {
    pub(super) index: usize,
    pub(super) tag: &'a AtomicU64,
    arrival: &'a AtomicU64,
    /// The arrival time that the entry had under the tag it was taken from, where it was.
    inherited: Option<u64>,
    /// Whether an entry that had not expired was given up for it.
    pub(super) displaced: bool,
    /// Whether an entry was given up for it.
    pub(super) given_up: bool,
}

/// The table over its entries, wherever they are.
#[derive(Clone, Copy)]
pub(super) struct Table<'a, const WORDS: usize> {
    entries: &'a [[AtomicU64; WORDS]],
}

impl<'a, const WORDS: usize> Table<'a, WORDS> {
    const GROUP: usize = LINE / WORDS;

    /// Takes words from the start of a cache line, a whole number of lines.
    #[inline]
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        Self { entries: words.as_chunks().0 }
    }

    /// Counts a request of `tag` at `now`, if `rate` admits it.
    #[inline]
    pub(super) fn admit(self, tag: IdTag, rate: Gcra, now: u64, keep: &impl Keep) -> Admission {
        let near = self.near(tag).map(|entry| entry.as_slice());
        if let Some([word, arrival, ..]) = near
            && let Some(outcome) = admit(word, arrival, None, tag, rate, now)
        {
            return Admission { outcome, displaced: 0, given_up: 0 };
        }
        self.admit_far(tag, rate, now, keep)
    }

    /// [`Table::admit`] where the entry is elsewhere or not there yet.
    #[inline(never)]
    fn admit_far(self, tag: IdTag, rate: Gcra, now: u64, keep: &impl Keep) -> Admission {
        let (mut displaced, mut given_up) = (0, 0);
        for _ in 0..ATTEMPTS {
            let Some(place) = self.place(tag, now, keep) else { continue };
            displaced += u64::from(place.displaced);
            given_up += u64::from(place.given_up);
            if let Some(outcome) = admit(place.tag, place.arrival, place.inherited, tag, rate, now) {
                return Admission { outcome, displaced, given_up };
            }
        }
        // Sixteen other keys took this one's entry within one call. It cannot be counted, so it waits.
        Admission { outcome: Err(1), displaced, given_up }
    }

    /// The entry of `tag`, if it stands where [`Table::prefetch`] sent for it, as nearly all do.
    #[inline]
    pub(super) fn near(self, tag: IdTag) -> Option<&'a [AtomicU64; WORDS]> {
        let home = self.home(tag);
        let near = self.entries.get(home..(home + NEAR).min(self.entries.len()))?;
        near.iter().find(|entry| entry.first().is_some_and(|word| belongs(word.load(Relaxed), tag)))
    }

    /// The entry of `tag`, taken if it has none; `None` where another key took that entry first.
    #[inline]
    pub(super) fn place(self, tag: IdTag, now: u64, keep: &impl Keep) -> Option<Place<'a>> {
        for index in self.window(tag) {
            let [word, arrival, ..] = self.entries.get(index)?.as_slice() else { return None };
            let mut found = word.load(Relaxed);
            if found == 0 {
                match word.compare_exchange(0, first_word(tag), Relaxed, Relaxed) {
                    Ok(_) => found = first_word(tag),
                    Err(other) => found = other,
                }
            }
            if belongs(found, tag) {
                return Some(Place {
                    index,
                    tag: word,
                    arrival,
                    inherited: None,
                    displaced: false,
                    given_up: false,
                });
            }
        }
        self.take_over(tag, now, keep)
    }

    /// Gives an entry of a full window to `tag`.
    #[cold]
    fn take_over(self, tag: IdTag, now: u64, keep: &impl Keep) -> Option<Place<'a>> {
        let words = |index: usize| match self.entries.get(index)?.as_slice() {
            [word, arrival, ..] => Some((word, arrival)),
            _ => None,
        };
        let weighed = self.window(tag).filter_map(|index| {
            let (word, arrival) = words(index)?;
            let (word, arrival) = (word.load(Relaxed), arrival.load(Acquire));
            // Everything that has expired is equally near, and then it counts when it was used.
            Some(((arrival.max(now), keep.last_use(index)), index, word, arrival))
        });
        let (_, index, owner, arrival_then) = weighed.min_by_key(|(weight, ..)| *weight)?;
        let (word, arrival) = words(index)?;
        let counted = keep.take_counts(index);
        if word.compare_exchange(owner, first_word(tag), Relaxed, Relaxed).is_err() {
            keep.put_back(index, counted);
            return None;
        }
        let displaced = arrival_then > now;
        let first = self
            .window(tag)
            .find(|&index| words(index).is_some_and(|(word, _)| belongs(word.load(Relaxed), tag)));
        Some(match first {
            Some(first) if first != index => {
                let (tag, arrival) = words(first)?;
                Place { index: first, tag, arrival, inherited: None, displaced, given_up: true }
            }
            _ => {
                Place { index, tag: word, arrival, inherited: Some(arrival_then), displaced, given_up: true }
            }
        })
    }

    /// Sends for the lines in one of which the entry of `tag` stands if all is well, to write to it.
    #[inline]
    pub(super) fn prefetch(self, tag: IdTag) {
        let home = self.home(tag);
        for entry in (home..home + NEAR).step_by(Self::GROUP).filter_map(|first| self.entries.get(first)) {
            prefetch_to_write(entry);
        }
    }

    /// The first entry in which `tag` can stand.
    #[inline]
    const fn home(self, tag: IdTag) -> usize {
        let lines = (self.entries.len() / Self::GROUP) as u128;
        // Below the number of lines, so it fits a usize.
        ((tag.number() as u128 * lines) >> 48) as usize * Self::GROUP
    }

    /// The entries in which `tag` can stand, in the order of probing.
    #[inline]
    fn window(self, tag: IdTag) -> impl Iterator<Item = usize> + use<WORDS> {
        let (home, count) = (self.home(tag), self.entries.len());
        let round = (home + WINDOW).saturating_sub(count).min(home);
        (home..(home + WINDOW).min(count)).chain(0..round)
    }
}

impl Place<'_> {
    /// Drops the arrival time of the key that the entry was taken from, for one that has none.
    pub(super) fn forget_inherited(&self) {
        if let Some(inherited) = self.inherited.filter(|inherited| *inherited != 0) {
            let _ = self.arrival.compare_exchange(inherited, 0, Release, Relaxed);
        }
    }
}

/// Counts a request in the entry of those words, whose arrival time is nobody's debt where it is `inherited`; `None`
/// where the entry has come to belong to another tag.
#[inline]
fn admit(
    word: &AtomicU64,
    arrival: &AtomicU64,
    inherited: Option<u64>,
    tag: IdTag,
    rate: Gcra,
    now: u64,
) -> Option<Result<(), u64>> {
    let mut found = arrival.load(Acquire);
    loop {
        if !belongs(word.load(Relaxed), tag) {
            return None;
        }
        // What the entry inherited is not this key's debt; anything else in it is.
        let own = if inherited == Some(found) { 0 } else { found };
        let next = match rate.decide(own, now) {
            Ok(next) => next,
            Err(seconds) => return Some(Err(seconds)),
        };
        // With T = 0 the time may stand still, and then there is nothing to write.
        if next == found {
            return Some(Ok(()));
        }
        match arrival.compare_exchange_weak(found, next, Release, Acquire) {
            Ok(_) => return Some(Ok(())),
            Err(other) => found = other,
        }
    }
}
