//! All that is counted, in one piece of memory: of this process alone, or of a file that every process of the
//! machine may map.
//!
//! The file is made once, under a lock and by rename, with all its room on the disk, and never cut short or
//! written as a whole again. Everything after that is an atomic operation on one word, so that a process that
//! is killed at any instruction leaves nothing that another would have to wait for or mend: at worst the count
//! of the request that it was at.
//!
//! # Generations
//!
//! `marks` has the highest generation that was served of each realm, by any process.
//!
//! # The table of keys
//!
//! With a file, rate limits and usage of a key stand in half a cache line (`table` has the rules of its first two
//! words), so that counting both costs one miss; why it was refused stands apart. An entry is taken by writing its tag; whoever then finds that
//! it has no name yet writes it: the same bytes whoever does, and none of them is believed unless the whole
//! name has the entry's tag. Then one bit says that it is there.
//!
//! Where a key's window is full, the entry of the key that was used least recently is given up, with its
//! usage; one whose rate limit still counts only when all do. What was counted is taken out of the entry before
//! it changes hands, so that a crash in between loses it and gives it to nobody else. A request that is in the
//! middle of counting while its entry changes hands may be counted for the new owner: one for each thread that
//! is in there.

mod layout;
mod marks;
mod open;
pub(super) mod read;

pub use marks::{Mark, Passed};
pub use open::StateError;

use super::counts::Counts;
use super::gcra::Gcra;
use super::table::{Keep, Place, Table, owner};
use super::{Limiter, thread};
use crate::format::id_place::IdTag;
use crate::memory::Words;
use crate::reason::Reason;
use crate::time::Timestamp;
use layout::{
    ALLOWED, COLD, COLD_COUNTS, COLD_REASONS, DISPLACED_LIMITS, DISPLACED_USAGE, HOT, ID, KEY, LAST_USE,
    Layout, NAME, SINCE, name_words, realm_hash,
};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// How often a request looks for an entry of its key before it goes uncounted.
const ATTEMPTS: usize = 16;
/// The bit of an entry's first word that says that its name is there.
const NAMED: u64 = 2;
/// Realms that are told apart where the counts are of this process alone.
const OWN_REALMS: usize = 64;

/// What is counted, and where.
pub struct State {
    words: Words,
    layout: Layout,
    /// Where the table of keys stands among the words.
    hot: Range<usize>,
    place: Where,
}

/// Where a state's words are.
enum Where {
    /// In this process; limits in a table of their own, and no usage.
    Own(Limiter),
    /// In a file, or in memory without a name that is inherited like one.
    Shared { path: Option<PathBuf>, created: u64, replaced: Option<&'static str> },
}

/// What is known of shared counts in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateInfo {
    /// The file; `None`: memory that processes forked from this one share.
    pub path: Option<PathBuf>,
    /// When it was made, Unix seconds.
    pub created: u64,
    /// Keys that it has room for: its own number, whatever this engine was asked for.
    pub slots: usize,
    /// Why this engine replaced a file that was there, where it did.
    pub replaced: Option<&'static str>,
    /// Keys whose usage was given up because there was no room.
    pub displaced: u64,
}

/// The row of a realm in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RealmRow(u16);

/// The use of a key that is to be counted.
pub(crate) struct Use {
    pub(crate) tag: IdTag,
    pub(crate) realm: RealmRow,
    pub(crate) reason: Reason,
    pub(crate) now: Timestamp,
}

impl State {
    /// In the memory of this process, with room for the limits of so many keys.
    pub fn private(limiter_slots: usize) -> Self {
        let layout = Layout { slots: 0, realms: OWN_REALMS, shards: thread::ROWS };
        let place = Where::Own(Limiter::new(limiter_slots));
        Self::new(Words::private(layout.words()), layout, place)
    }

    /// In the file at `path`, which is made with room for `slots` keys where it is not there. One that is there
    /// keeps its own size.
    ///
    /// A file that is a state but cannot be used (damaged, cut short, of another version) is replaced, and its
    /// counts are lost; one that is none is refused.
    pub fn open(path: &Path, slots: usize) -> Result<Self, StateError> {
        let open::Opened { words, layout, created, replaced } = open::open(path, slots)?;
        words.populate(0..layout.cold_start());
        Ok(Self::new(words, layout, Where::Shared { path: Some(path.to_owned()), created, replaced }))
    }

    /// In memory that processes forked from this one share, with room for the limits of `slots` keys. It is gone
    /// with the last of them.
    pub fn inherited(slots: usize) -> Result<Self, StateError> {
        let open::Opened { words, layout, created, replaced } = open::inherited(slots)?;
        Ok(Self::new(words, layout, Where::Shared { path: None, created, replaced }))
    }

    const fn new(words: Words, layout: Layout, place: Where) -> Self {
        Self { words, layout, hot: layout.hot_start()..layout.cold_start(), place }
    }

    /// What is known of counts that are shared.
    pub fn info(&self) -> Option<StateInfo> {
        let Where::Shared { path, created, replaced } = &self.place else { return None };
        Some(StateInfo {
            path: path.clone(),
            created: *created,
            slots: self.layout.slots,
            replaced: *replaced,
            displaced: self.load(DISPLACED_USAGE),
        })
    }

    /// Keys that limits are counted for at one time.
    pub fn limiter_slots(&self) -> usize {
        match &self.place {
            Where::Own(limiter) => limiter.slots(),
            Where::Shared { .. } => self.layout.slots,
        }
    }

    /// Keys whose rate-limit state was given up before it expired.
    pub fn displaced(&self) -> u64 {
        match &self.place {
            Where::Own(limiter) => limiter.displaced(),
            Where::Shared { .. } => self.load(DISPLACED_LIMITS),
        }
    }

    /// What became of requests so far.
    pub fn counts(&self) -> Counts {
        read::counts(&self.words, self.layout)
    }

    /// Sends for what counting a request of the key called `tag` will need.
    #[inline]
    pub(crate) fn prefetch(&self, tag: IdTag, limited: bool) {
        match &self.place {
            Where::Own(limiter) if limited => limiter.prefetch(tag),
            Where::Shared { .. } if limited || self.counts_keys() => self.table().prefetch(tag),
            Where::Own(_) | Where::Shared { .. } => {}
        }
    }

    /// As [`Limiter::admit`].
    #[inline]
    pub fn admit(&self, tag: IdTag, rate: Gcra, now_ns: u64) -> Result<(), u64> {
        match &self.place {
            Where::Own(limiter) => limiter.admit(tag, rate, now_ns),
            Where::Shared { .. } => {
                let admission = self.table().admit(tag, rate, now_ns, self);
                if admission.given_up > 0 {
                    self.add(DISPLACED_USAGE, admission.given_up);
                    self.add(DISPLACED_LIMITS, admission.displaced);
                }
                admission.outcome
            }
        }
    }

    /// Counts a decision.
    #[inline(always)]
    pub(crate) fn count(&self, realm: RealmRow, reason: Reason) {
        let row = usize::from(realm.0);
        match &self.place {
            Where::Own(_) => {
                let (shard, own) = thread::row();
                let Some(word) = self.words.get(self.layout.outcome(shard, row, reason)) else { return };
                if own {
                    // Nobody else writes to it.
                    word.store(word.load(Relaxed).wrapping_add(1), Relaxed);
                } else {
                    word.fetch_add(1, Relaxed);
                }
            }
            Where::Shared { .. } => {
                let (processor, shards) = (processor(), self.layout.shards);
                // A division takes as long as counting does.
                let shard = if processor < shards { processor } else { processor % shards };
                self.add(self.layout.outcome(shard, row, reason), 1)
            }
        }
    }

    /// Whether it counts how each key is used: where somebody can look.
    #[inline]
    pub(crate) const fn counts_keys(&self) -> bool {
        matches!(self.place, Where::Shared { path: Some(_), .. })
    }

    /// Counts a use of a key, where that is counted. `id` is asked for where the key is new here.
    #[inline]
    pub(crate) fn count_use<'n>(&self, of: &Use, id: impl FnOnce() -> Option<&'n str>) {
        if of.reason == Reason::Ok
            && let Some([tag, _, allowed, last_use]) = self.table().near(of.tag)
            && tag.load(Relaxed) & NAMED != 0
        {
            allowed.fetch_add(1, Relaxed);
            note(last_use, of.now);
        } else {
            self.count_rare(of, id);
        }
    }

    /// [`State::count_use`] where the request was refused, or the entry is elsewhere or not there yet.
    #[inline(never)]
    fn count_rare<'n>(&self, of: &Use, id: impl FnOnce() -> Option<&'n str>) {
        let now = u64::try_from(of.now.nanoseconds()).unwrap_or(u64::MAX);
        let table = self.table();
        let Some(place) = (0..ATTEMPTS).find_map(|_| table.place(of.tag, now, self)) else { return };
        if place.given_up {
            self.gave_up(&place);
        }
        if place.tag.load(Relaxed) & NAMED == 0 {
            self.name(&place, of, id());
        }
        let hot = self.layout.hot(place.index);
        let word = match of.reason {
            Reason::Ok => hot + ALLOWED,
            reason => self.reason_word(place.index, reason),
        };
        self.add(word, 1);
        if let Some(last_use) = self.words.get(hot + LAST_USE) {
            note(last_use, of.now);
        }
    }

    /// The word that counts uses of the key in `slot` that were refused for `reason`.
    #[inline]
    fn reason_word(&self, slot: usize, reason: Reason) -> usize {
        let at = COLD_REASONS.iter().position(|known| *known == reason).unwrap_or(COLD_REASONS.len());
        self.layout.cold(slot) + COLD_COUNTS + at
    }

    #[cold]
    fn gave_up(&self, place: &Place<'_>) {
        self.add(DISPLACED_USAGE, 1);
        self.add(DISPLACED_LIMITS, u64::from(place.displaced));
        place.forget_inherited();
    }

    /// Writes what the key in an entry is called. Whoever does it twice writes the same.
    #[cold]
    fn name(&self, place: &Place<'_>, of: &Use, id: Option<&str>) {
        let Some(id) = id else { return };
        let taken = place.tag.load(Relaxed);
        if owner(taken) != Some(of.tag) {
            return;
        }
        let cold = self.layout.cold(place.index);
        let put = |index: usize, value: u64| {
            if let Some(word) = self.words.get(index) {
                word.store(value, Relaxed);
            }
        };
        put(cold + KEY, u64::from(of.realm.0) | (id.len() as u64) << 16);
        put(cold + SINCE, of.now.seconds());
        for (word, value) in (cold + ID..cold + ID + NAME).zip(name_words(id)) {
            put(word, value);
        }
        // Where the entry has changed hands meanwhile, its new owner is not named by this.
        let _ = place.tag.compare_exchange(taken, taken | NAMED, Release, Relaxed);
    }

    /// The row of the realm of that name, which gets one if it has none. The first row is for realms that
    /// there is no room for.
    pub(crate) fn realm(&self, name: &str) -> RealmRow {
        let (hash, most) = (realm_hash(name), self.layout.realms - 1);
        for probe in 0..most {
            // Row 0 is nobody's.
            let row = 1 + (hash as usize).wrapping_add(probe) % most;
            let range = self.layout.realm_row(row);
            let [first, length, words @ ..] = self.words.get(range).unwrap_or_default() else { break };
            let found = first.compare_exchange(0, hash, Relaxed, Relaxed).unwrap_or_else(|found| found);
            if found != 0 && found != hash {
                continue;
            }
            // Whoever was first may have been killed before the name was there.
            length.store(name.len() as u64, Relaxed);
            words.iter().zip(name_words(name)).for_each(|(word, value)| word.store(value, Relaxed));
            return RealmRow(row as u16);
        }
        RealmRow::default()
    }

    #[inline]
    fn table(&self) -> Table<'_, HOT> {
        Table::new(self.words.get(self.hot.clone()).unwrap_or_default())
    }

    #[inline]
    fn add(&self, index: usize, more: u64) {
        if let Some(word) = self.words.get(index) {
            word.fetch_add(more, Relaxed);
        }
    }

    fn load(&self, index: usize) -> u64 {
        self.words.get(index).map_or(0, |word| word.load(Relaxed))
    }

    /// The words in which uses of the key in `slot` are counted.
    fn use_words(&self, slot: usize) -> impl Iterator<Item = &AtomicU64> {
        let (hot, cold) = (self.layout.hot(slot), self.layout.cold(slot));
        let words = |range: Range<usize>| self.words.get(range).unwrap_or_default().iter();
        words(hot + ALLOWED..hot + HOT).chain(words(cold + COLD_COUNTS..cold + ID))
    }
}

/// Counts of the words of [`State::use_words`].
pub(super) type UseCounts = [u64; (HOT - ALLOWED) + (COLD - NAME - COLD_COUNTS)];

impl Keep for State {
    type Counted = UseCounts;

    fn last_use(&self, index: usize) -> u64 {
        self.load(self.layout.hot(index) + LAST_USE).saturating_mul(1_000_000_000)
    }

    fn take_counts(&self, index: usize) -> UseCounts {
        let mut words = self.use_words(index);
        std::array::from_fn(|_| words.next().map_or(0, |word| word.swap(0, Relaxed)))
    }

    fn put_back(&self, index: usize, counted: UseCounts) {
        for (at, (word, count)) in self.use_words(index).zip(counted).enumerate() {
            // The second is a time and no count.
            if at == LAST_USE - ALLOWED {
                word.fetch_max(count, Relaxed);
            } else if count > 0 {
                word.fetch_add(count, Relaxed);
            }
        }
    }
}

/// Notes when a key was last used: a word that others write to once a second at most.
#[inline]
fn note(last_use: &AtomicU64, now: Timestamp) {
    let seconds = now.seconds();
    if last_use.load(Relaxed) < seconds {
        last_use.store(seconds, Relaxed);
    }
}

/// The processor that this runs on, by the system's own page: threads on different ones count in different
/// cache lines. It may be another by the time that it is used, which costs no more than a miss.
#[inline]
fn processor() -> usize {
    #[cfg(target_os = "linux")]
    return rustix::thread::sched_getcpu();
    #[cfg(not(target_os = "linux"))]
    return thread::row().0;
}
