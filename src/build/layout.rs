//! Where records stand: sorted by digest, each in the first free slot at or after its home.

use super::{BuildError, Collection, Item, LineError, Source};
use crate::format::{capacity, home};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use std::io;

/// The slots that entries with these prefixes get, which ascend.
pub(super) struct Layout {
    /// Homes.
    pub(super) capacity: u64,
    /// Slots: as many as homes, or more where the last entries run past them.
    pub(super) slots: u64,
    /// The furthest that an entry stands from its home.
    pub(super) longest_displacement: u64,
}

impl Layout {
    pub(super) fn of(prefixes: impl ExactSizeIterator<Item = u64>) -> Option<Self> {
        let capacity = capacity(prefixes.len() as u64)?;
        let mut layout = Self { capacity, slots: capacity, longest_displacement: 0 };
        for (slot, home) in place(prefixes, capacity) {
            layout.longest_displacement = layout.longest_displacement.max(slot - home);
            layout.slots = layout.slots.max(slot + 1);
        }
        Some(layout)
    }
}

/// Slot and home of each entry, in order.
pub(super) fn place(prefixes: impl Iterator<Item = u64>, capacity: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut next = 0;
    prefixes.map(move |prefix| {
        let home = home(prefix, capacity);
        let slot = home.max(next);
        next = slot + 1;
        (slot, home)
    })
}

impl Item {
    pub(super) fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether it says that a key is gone.
    pub(super) fn is_removed(&self) -> bool {
        self.id.length() == 0
    }

    pub(super) fn credential(&self) -> u16 {
        let [.., c0, c1, _, _] = self.attributes;
        u16::from_le_bytes([c0, c1])
    }
}

/// Two records that say the same, of which one must go.
struct Pair {
    first: Item,
    second: Item,
    same_id: bool,
}

impl Collection {
    /// Puts the items into the order of their digests, and refuses ids and secrets that stand twice. That a key is gone
    /// may be said more than once.
    pub(super) fn sort(&mut self, source: &Source<'_>, threads: usize) -> Result<(), BuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| BuildError::Read {
            file: source.name.to_owned(),
            error: io::Error::other(error),
        })?;
        let realms = self.realm_numbers();
        let twins = pool.install(|| {
            let ids = self.same_ids(&realms);
            self.items.par_sort_unstable_by(|a, b| {
                a.prefix().cmp(&b.prefix()).then_with(|| a.digest.cmp(&b.digest)).then(a.line.cmp(&b.line))
            });
            self.items.dedup_by(|b, a| a.is_removed() && b.is_removed() && a.digest == b.digest);
            ids.into_iter().chain(self.same_digests()).min_by_key(|pair| pair.second.line)
        });
        let Some(Pair { first, second, same_id }) = twins else { return Ok(()) };
        let (id, other) = (self.id(&second).to_owned(), self.id(&first).to_owned());
        let other_line = u64::from(first.line);
        if first.is_removed() || second.is_removed() {
            let (gone, there) = if first.is_removed() { (&first, &second) } else { (&second, &first) };
            let (id, other_line) = (self.id(there).to_owned(), Some(u64::from(gone.line)));
            let error = LineError::RemovedToo { id, other_line: other_line.filter(|line| *line != 0) };
            return Err(BuildError::Line { file: source.name.to_owned(), line: there.line.into(), error });
        }
        let error = if same_id {
            let realm = realms.get(usize::from(second.credential())).copied().unwrap_or_default();
            let realm = self.configuration.realms.get(usize::from(realm));
            let realm = realm.map(|realm| realm.name.clone()).unwrap_or_default();
            LineError::DuplicateId { id, other, realm, other_line }
        } else {
            LineError::DuplicateSecret { id, other, other_line }
        };
        Err(BuildError::Line { file: source.name.to_owned(), line: second.line.into(), error })
    }

    /// The number of the realm of every credential.
    pub(super) fn realm_numbers(&self) -> Vec<u16> {
        let realms = self.configuration.realms.iter().zip(0..);
        realms.flat_map(|(realm, number)| realm.credentials.iter().map(move |_| number)).collect()
    }

    /// The first record whose id stands before it in its realm. Ids are compared by a fast hash first,
    /// and by their text where those are equal.
    fn same_ids(&self, realms: &[u16]) -> Option<Pair> {
        let realm_of = |item: &Item| realms.get(usize::from(item.credential())).copied().unwrap_or_default();
        let mut hashes: Vec<[u32; 3]> = Vec::with_capacity(self.items.len());
        self.items
            .par_iter()
            .zip(0..u32::MAX)
            .map(|(item, number)| {
                let hash =
                    xxhash_rust::xxh3::xxh3_64_with_seed(self.id(item).as_bytes(), realm_of(item).into());
                [(hash >> 32) as u32, hash as u32, number]
            })
            .collect_into_vec(&mut hashes);
        let is_removed = |number: u32| self.items.get(number as usize).is_some_and(Item::is_removed);
        if self.items.iter().any(Item::is_removed) {
            hashes.retain(|[_, _, number]| !is_removed(*number));
        }
        hashes.par_sort_unstable();
        let runs = hashes.chunk_by(|[a, b, _], [c, d, _]| (a, b) == (c, d)).filter(|run| run.len() > 1);
        let twins = runs.flat_map(|run| {
            // Within a run numbers ascend, and so do lines.
            let items = || run.iter().filter_map(|[_, _, number]| self.items.get(*number as usize));
            items().enumerate().find_map(|(at, second)| {
                let first = items()
                    .take(at)
                    .find(|first| realm_of(first) == realm_of(second) && self.id(first) == self.id(second))?;
                Some(Pair { first: *first, second: *second, same_id: true })
            })
        });
        twins.min_by_key(|pair| pair.second.line)
    }

    /// The first record whose digest is that of one before it.
    fn same_digests(&self) -> Option<Pair> {
        let pairs = self.items.par_windows(2).filter_map(|pair| match pair {
            [first, second] if first.digest == second.digest => {
                Some(Pair { first: *first, second: *second, same_id: false })
            }
            _ => None,
        });
        pairs.min_by_key(|pair| pair.second.line)
    }
}
