//! No way back: the highest generation of each realm that any process has served.
//!
//! A mark is of a realm and not of a snapshot or its path. A path means something else in another container; a
//! realm's name is what requests are decided by, and what the state file counts by already. So several snapshots
//! share a state file without standing in each other's way, as long as none of them has a realm of another's.
//!
//! A mark is three words: the generation; how often the mark was moved back, with bits of the snapshot's hash; and a
//! hash of both and of the realm's name. It stands twice, in two pages. Words are changed one at a time, each only if
//! it still is what it was when the mark was read, and between the first step and the last the hash is a wrong one. So
//! a mark that somebody was killed in the middle of, or that was damaged, counts for nothing.
//!
//! Whoever raises a mark changes the copy that is worth less, the first where both are worth the same, and the other
//! one only after that has become good. A copy that is good is therefore changed only while the other is good and worth
//! no less: of two that would change one each, both would have to be worth less, or both the first. So at every
//! moment one of them is good and says what was served, whoever is killed, stopped or late.
//!
//! Moving back is moving forward to a mark that says that it was moved back once more, so that marks only ever rise.

use super::layout::{Layout, MARK, MOVES_BACK, realm_hash};
use super::{State, Where};
use crate::memory::ReadWords;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bits of a mark's second word that count how often it was moved back. The others are of the snapshot's hash.
const MOVES_BITS: u32 = 24;
const MOST_MOVES: u32 = (1 << MOVES_BITS) - 1;
/// What tells the hash of a mark from every other that is made of the same words.
const SEED: u64 = u64::from_le_bytes(*b"kwd mark");
/// How often the second copy of a mark is tried while others change it.
const ATTEMPTS: usize = 8;

/// What was served last of a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// How often the mark was moved back.
    pub moves_back: u32,
    /// The generation.
    pub generation: u64,
    /// Bits of the hash of the snapshot's header.
    fingerprint: u64,
}

impl Mark {
    /// What a snapshot of that generation, with that hash of its header, leaves behind.
    pub const fn new(generation: u64, hash: &[u8; 32]) -> Self {
        let [a, b, c, d, e, ..] = *hash;
        Self { moves_back: 0, generation, fingerprint: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]) }
    }

    /// Whether a snapshot that leaves `next` behind may be served after this one.
    fn admits(&self, next: &Self) -> bool {
        self.generation < next.generation
            || (self.generation == next.generation && self.fingerprint == next.fingerprint)
    }

    fn words(&self, realm: u64) -> [u64; MARK] {
        let second = self.fingerprint << MOVES_BITS | u64::from(self.moves_back);
        [self.generation, second, check(realm, self.generation, second)]
    }

    /// The mark in `words`, if they are one of that realm.
    fn read(words: [u64; MARK], realm: u64) -> Option<Self> {
        let [generation, second, found] = words;
        // No snapshot has generation 0: words that nobody wrote to are no mark.
        if generation == 0 || found != check(realm, generation, second) {
            return None;
        }
        let moves_back = second as u32 & MOST_MOVES;
        Some(Self { moves_back, generation, fingerprint: second >> MOVES_BITS })
    }
}

fn check(realm: u64, generation: u64, second: u64) -> u64 {
    let words = [realm, generation, second].map(u64::to_le_bytes);
    xxh3_64_with_seed(words.as_flattened(), SEED)
}

/// A newer generation of a realm, or other bytes of the same one, has been served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("generation {} of the realm \"{realm}\" has been served", .mark.generation)]
pub struct Passed {
    /// The realm.
    pub realm: String,
    /// What was served.
    pub mark: Mark,
}

impl State {
    /// What was served last of that realm, by any process; `None` where nothing is known, as of counts that are
    /// this process's own.
    pub fn mark(&self, realm: &str) -> Option<Mark> {
        match self.place {
            Where::Own(_) => None,
            Where::Shared { .. } => self.best(realm_hash(realm)),
        }
    }

    /// How often a mark was moved back.
    pub fn moves_back(&self) -> u64 {
        self.words.word(MOVES_BACK)
    }

    /// Notes that a snapshot with these realms is about to be served, after everything else about it was checked.
    /// One that a newer one of any of its realms was served before is refused, unless `going_back` moves the mark
    /// back, for all processes. Returns the marks as they are then; of realms that there is no row for there is none.
    pub fn serve(&self, realms: &[&str], snapshot: Mark, going_back: bool) -> Result<Vec<Mark>, Passed> {
        if matches!(self.place, Where::Own(_)) {
            return Ok(Vec::new());
        }
        // All of them are looked at before one of them is changed.
        for realm in realms.iter().filter(|_| !going_back) {
            if let Some(mark) = self.best(realm_hash(realm)).filter(|mark| !mark.admits(&snapshot)) {
                return Err(Passed { realm: (*realm).to_owned(), mark });
            }
        }
        let mut marks = Vec::with_capacity(realms.len());
        let mut moved = false;
        for realm in realms {
            let row = usize::from(self.realm(realm).0);
            if row == 0 {
                continue;
            }
            let before = self.best(realm_hash(realm));
            let mark = self
                .raise(row, realm_hash(realm), snapshot, going_back)
                .map_err(|mark| Passed { realm: (*realm).to_owned(), mark })?;
            moved |= before.is_some_and(|before| before.moves_back < mark.moves_back);
            marks.push(mark);
        }
        if moved && let Some(word) = self.words.get(MOVES_BACK) {
            word.fetch_add(1, SeqCst);
        }
        Ok(marks)
    }

    /// Raises the mark of one realm, or says what is in the way.
    fn raise(&self, row: usize, realm: u64, snapshot: Mark, going_back: bool) -> Result<Mark, Mark> {
        let (mut attempts, places) = (0, self.layout.marks(row));
        loop {
            let view = self.view();
            let found = view.of(row);
            let target = match view.best(realm) {
                None => snapshot,
                Some(mark) if mark.admits(&snapshot) => Mark { moves_back: mark.moves_back, ..snapshot },
                Some(mark) if going_back && mark.moves_back < MOST_MOVES => {
                    Mark { moves_back: mark.moves_back + 1, ..snapshot }
                }
                Some(mark) => return Err(mark),
            };
            let [first, second] = found.map(|words| Mark::read(words, realm));
            let whole = [first, second].iter().filter(|copy| **copy == Some(target)).count();
            // One copy is enough where others are changing the second all the time.
            attempts += whole;
            if whole == 2 || attempts > ATTEMPTS {
                return Ok(target);
            }
            // `None` is less than every mark.
            let (place, words) = match (places, found) {
                ([_, place], [_, words]) if first > second => (place, words),
                ([place, _], [words, _]) => (place, words),
            };
            self.change(place, words, target.words(realm));
        }
    }

    /// Changes the mark at `place` from `old` to `new`, if nobody else does.
    fn change(&self, place: usize, old: [u64; MARK], new: [u64; MARK]) {
        for (at, old, new) in steps(old, new) {
            let word = self.words.get(place + at);
            if word.is_none_or(|word| word.compare_exchange(old, new, SeqCst, SeqCst).is_err()) {
                return;
            }
        }
    }

    fn view(&self) -> View {
        View::read(&self.words, self.layout)
    }

    /// The highest good mark of a realm.
    fn best(&self, realm: u64) -> Option<Mark> {
        self.view().best(realm)
    }
}

/// What was served last of the realm of that name.
pub(super) fn read(words: &impl ReadWords, layout: Layout, realm: &str) -> Option<Mark> {
    View::read(words, layout).best(realm_hash(realm))
}

/// The steps from one mark to another: the place of a word, what it is before, and after.
const fn steps(old: [u64; MARK], new: [u64; MARK]) -> [(usize, u64, u64); 4] {
    let ([old_generation, old_second, old_check], [generation, second, check]) = (old, new);
    [(2, old_check, !check), (0, old_generation, generation), (1, old_second, second), (2, !check, check)]
}

/// What stood in the places for marks at one moment: two for each row but the first.
struct View(Vec<[u64; MARK]>);

impl View {
    /// All places as they are at one moment: read until they are the same twice. Nobody changes them but to raise a
    /// mark, so whoever has to read again has seen another get on.
    fn read(words: &impl ReadWords, layout: Layout) -> Self {
        let places = || (1..layout.realms).flat_map(|row| layout.marks(row));
        let read = |place: usize| -> [u64; MARK] { std::array::from_fn(|at| words.word(place + at)) };
        loop {
            let found: Vec<_> = places().map(read).collect();
            // A word that is the same before and after was so at this moment.
            fence(SeqCst);
            if places().map(read).eq(found.iter().copied()) {
                return Self(found);
            }
        }
    }

    /// The copies of the mark of the realm of that row.
    fn of(&self, row: usize) -> [[u64; MARK]; 2] {
        let first = row.saturating_sub(1) * 2;
        [first, first + 1].map(|at| self.0.get(at).copied().unwrap_or_default())
    }

    /// The highest good mark of a realm, in whatever row: where its own row was damaged, it has another by now.
    fn best(&self, realm: u64) -> Option<Mark> {
        self.0.iter().filter_map(|words| Mark::read(*words, realm)).max()
    }
}

#[cfg(test)]
mod tests;
