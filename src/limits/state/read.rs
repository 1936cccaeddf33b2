//! What a state says, for people and programs.

use super::layout::{
    ALLOWED, COLD_COUNTS, COLD_REASONS, DISPLACED_LIMITS, DISPLACED_USAGE, ID, KEY, LAST_USE, Layout, SINCE,
    read_name, realm_hash,
};
use super::marks::{self, Mark};
use super::open::{StateError, open_reader};
use crate::format::id_place::IdTag;
use crate::limits::counts::{Counts, REASONS, RealmCounts};
use crate::limits::table::owner;
use crate::memory::{ReadWords, WordReader};
use crate::reason::Reason;
use std::collections::BTreeMap;
use std::path::Path;

/// How a key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// What it is called in the table.
    pub tag: IdTag,
    /// Its realm and its id; `None` where they have not been written, by somebody who was stopped just then.
    pub name: Option<(String, String)>,
    /// When it was first counted, Unix seconds.
    pub since: u64,
    /// When it was last used, whatever became of the request, Unix seconds.
    pub last_use: u64,
    /// Requests that were allowed.
    pub allowed: u64,
    /// Requests that were refused, by reason, where there were any.
    pub denied: Vec<(Reason, u64)>,
    /// Requests that were refused for a reason that is not counted by itself for a key.
    pub denied_otherwise: u64,
}

impl KeyUsage {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.allowed.saturating_add(self.refused())
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.denied.iter().fold(self.denied_otherwise, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// A state file that is looked at while others count in it. Nothing is ever written.
pub struct StateReader {
    words: WordReader,
    layout: Layout,
    created: u64,
    realms: BTreeMap<usize, String>,
}

impl StateReader {
    /// Opens the state file at `path`.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let (words, layout, created) = open_reader(path)?;
        let realms = realms(&words, layout).collect();
        Ok(Self { words, layout, created, realms })
    }

    /// When it was made, Unix seconds.
    pub const fn created(&self) -> u64 {
        self.created
    }

    /// Keys that it has room for.
    pub const fn slots(&self) -> usize {
        self.layout.slots
    }

    /// Keys whose usage was given up because there was no room.
    pub fn displaced(&self) -> u64 {
        self.words.word(DISPLACED_USAGE)
    }

    /// Keys whose rate-limit state was given up before it expired.
    pub fn displaced_limits(&self) -> u64 {
        self.words.word(DISPLACED_LIMITS)
    }

    /// What became of requests.
    pub fn counts(&self) -> Counts {
        counts(&self.words, self.layout)
    }

    /// Every key that was used, in the order of the table.
    pub fn keys(&self) -> impl Iterator<Item = KeyUsage> {
        (0..self.layout.slots).filter_map(|slot| self.key(slot))
    }

    /// The highest generation that was served of each realm, by their names.
    pub fn marks(&self) -> Vec<(String, Mark)> {
        let mark = |realm: &String| Some((realm.clone(), marks::read(&self.words, self.layout, realm)?));
        let mut marks: Vec<_> = self.realms.values().filter_map(mark).collect();
        marks.sort_by(|(a, _), (b, _)| a.cmp(b));
        marks
    }

    fn key(&self, slot: usize) -> Option<KeyUsage> {
        let (hot, cold) = (self.layout.hot(slot), self.layout.cold(slot));
        let word = |index: usize| self.words.word(index);
        let tag = owner(word(hot))?;
        let denied = COLD_REASONS.into_iter().zip(cold + COLD_COUNTS..);
        let denied = denied.map(|(reason, index)| (reason, word(index)));
        let named = word(cold + KEY);
        let (row, length) = ((named & 0xffff) as usize, (named >> 16) as usize);
        let name = || {
            let id = read_name(&self.words, cold + ID, length)?;
            let realm = self.realms.get(&row)?;
            // Half a name, or another key's, does not have this tag.
            (IdTag::of(realm, &id) == tag).then(|| (realm.clone(), id))
        };
        Some(KeyUsage {
            tag,
            name: name(),
            since: word(cold + SINCE),
            last_use: word(hot + LAST_USE),
            allowed: word(hot + ALLOWED),
            denied: denied.filter(|(_, count)| *count > 0).collect(),
            denied_otherwise: word(cold + COLD_COUNTS + COLD_REASONS.len()),
        })
    }
}

/// The realms that have a row, and its number.
fn realms(words: &impl ReadWords, layout: Layout) -> impl Iterator<Item = (usize, String)> {
    (1..layout.realms).filter_map(move |row| {
        let start = layout.realm_row(row).start;
        let name = read_name(words, start + 2, usize::try_from(words.word(start + 1)).ok()?)?;
        (words.word(start) == realm_hash(&name)).then_some((row, name))
    })
}

pub(super) fn counts(words: &impl ReadWords, layout: Layout) -> Counts {
    let by_reason = |row: usize| -> [u64; REASONS] {
        Reason::ALL.map(|reason| {
            let shards = (0..layout.shards).map(|shard| words.word(layout.outcome(shard, row, reason)));
            shards.fold(0, u64::wrapping_add)
        })
    };
    let named = realms(words, layout).map(|(row, realm)| RealmCounts { realm, by_reason: by_reason(row) });
    let nameless = RealmCounts { realm: String::new(), by_reason: by_reason(0) };
    let mut realms: Vec<_> = std::iter::once(nameless).chain(named).collect();
    realms.retain(|realm| !realm.realm.is_empty() || realm.by_reason.iter().any(|&count| count > 0));
    realms.sort_by(|a, b| a.realm.cmp(&b.realm));
    Counts { realms }
}
