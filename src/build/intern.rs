//! Names and sets, each kept once.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Byte strings with numbers, in the order in which they were first seen.
///
/// The bytes lie one after the other, so that ten million names cost what they are long and some twenty
/// bytes each.
pub(super) struct Interner {
    table: HashTable<u32>,
    ends: Vec<u64>,
    bytes: Vec<u8>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self {
            table: HashTable::new(),
            ends: Vec::new(),
            bytes: Vec::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of `item`, which is added if it is new; `None` where there are more than can be counted.
    pub(super) fn intern(&mut self, item: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(item);
        let (ends, bytes, hasher) = (&self.ends, &self.bytes, &self.hasher);
        if let Some(&number) = self.table.find(hash, |&number| get(ends, bytes, number) == item) {
            return Some(number);
        }
        let number = u32::try_from(ends.len()).ok()?;
        self.table.insert_unique(hash, number, |&number| hasher.hash_one(get(ends, bytes, number)));
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len() as u64);
        Some(number)
    }

    /// The item with that number, which [`Interner::intern`] returned; nothing for another.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        get(&self.ends, &self.bytes, number)
    }

    /// Every item, by its number.
    pub(super) fn items(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|number| self.get(number as u32))
    }
}

fn get<'a>(ends: &[u64], bytes: &'a [u8], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(number).copied().unwrap_or(start);
    bytes.get(start as usize..end as usize).unwrap_or_default()
}

/// Items in the order of their bytes, and the place that each number has in that order.
pub(super) struct Ordered<T> {
    pub(super) items: Vec<T>,
    pub(super) places: Vec<u32>,
}

/// Puts items into the order of their bytes.
pub(super) fn order<T: AsRef<[u8]>>(items: impl Iterator<Item = T>) -> Ordered<T> {
    let mut numbered: Vec<(T, u32)> = items.zip(0..).collect();
    numbered.sort_unstable_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
    let mut places = vec![0; numbered.len()];
    for ((_, number), place) in numbered.iter().zip(0..) {
        if let Some(target) = places.get_mut(*number as usize) {
            *target = place;
        }
    }
    Ordered { items: numbered.into_iter().map(|(item, _)| item).collect(), places }
}
