//! What keys are called, and where their ids stand: docs/FORMAT.md section 2.1.

use arrayvec::ArrayVec;
use std::ops::Range;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Slots of the index that an entry of the section *id places* is for.
pub const GROUP_SLOTS: u64 = 16;
/// Bytes of an entry.
pub const GROUP_LENGTH: usize = 8 + GROUP_SLOTS as usize;

/// What a key is called where requests are counted: the upper 48 bits of XXH3, seed 0, of the realm's name,
/// a 0 byte and the key's id.
///
/// It goes by names alone, so that a key keeps its counts from one snapshot to the next. XXH3 is no
/// cryptographic hash: who chooses ids can make two of them share a rate, but ids are the operator's. By
/// chance alone, some two of a million keys do with a probability of one in 560.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdTag(u64);

impl IdTag {
    /// The tag of the key with that id in that realm.
    pub fn of(realm: &str, id: &str) -> Self {
        // XXH3 is several times as fast over one short piece as over a stream.
        let mut name = ArrayVec::<u8, 240>::new();
        let parts = [realm.as_bytes(), &[0], id.as_bytes()];
        let hash = if parts.iter().all(|part| name.try_extend_from_slice(part).is_ok()) {
            xxh3_64(&name)
        } else {
            let mut stream = Xxh3Default::new();
            parts.iter().for_each(|part| stream.update(part));
            stream.digest()
        };
        Self(hash >> 16)
    }

    /// The tag with that number, of which the lower 48 bits count.
    #[inline]
    pub const fn from_number(number: u64) -> Self {
        Self(number & ((1 << 48) - 1))
    }

    /// Its number, below 2^48.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn to_bytes(self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.0.to_le_bytes();
        [a, b, c, d, e, f]
    }
}

/// Where the entry for `slot` stands in the section.
#[inline]
pub const fn group(slot: u32) -> Range<u64> {
    let start = slot as u64 / GROUP_SLOTS * GROUP_LENGTH as u64;
    start..start + GROUP_LENGTH as u64
}

/// What an entry says: where the first of its ids starts, and the length of each slot's.
#[inline]
pub const fn read(group: &[u8; GROUP_LENGTH]) -> (u64, [u8; GROUP_SLOTS as usize]) {
    let [a, b, c, d, e, f, g, h, lengths @ ..] = *group;
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), lengths)
}

/// Where the id of the record in `slot` stands in the section *ids*, by its entry; `None` where the entry says
/// that no record stands there, or what cannot be.
#[inline]
pub fn place(group: &[u8; GROUP_LENGTH], slot: u32) -> Option<Range<u64>> {
    let number = (u64::from(slot) % GROUP_SLOTS) as usize;
    let (first, lengths) = read(group);
    let start = first.checked_add(sum(u128::from_le_bytes(lengths) & !(u128::MAX << (8 * number))))?;
    let length = lengths.get(number).copied().filter(|&length| length > 0)?;
    Some(start..start.checked_add(length.into())?)
}

/// The sum of the sixteen bytes of a number: halves of it are added until four sums of 16 bits are left, and a product
/// has their sum in its highest ones.
#[inline]
const fn sum(bytes: u128) -> u64 {
    const EVERY_OTHER: u128 =
        u128::from_le_bytes([0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0]);
    let pairs = (bytes & EVERY_OTHER) + (bytes >> 8 & EVERY_OTHER);
    let fours = (pairs as u64) + (pairs >> 64) as u64;
    fours.wrapping_mul(0x0001_0001_0001_0001) >> 48
}

/// The bytes of the section for ids of these lengths, each with its slot, in the order of the slots.
pub fn groups(
    slots: u64,
    lengths: impl IntoIterator<Item = (u64, u8)>,
) -> impl Iterator<Item = [u8; GROUP_LENGTH]> {
    let mut lengths = lengths.into_iter().peekable();
    let mut start = 0_u64;
    (0..slots.div_ceil(GROUP_SLOTS)).map(move |group| {
        let mut bytes = [0; GROUP_LENGTH];
        let (head, own) = bytes.split_at_mut_checked(8).unwrap_or_default();
        head.iter_mut().zip(start.to_le_bytes()).for_each(|(target, byte)| *target = byte);
        while let Some((slot, length)) = lengths.next_if(|(slot, _)| slot / GROUP_SLOTS == group) {
            start += u64::from(length);
            if let Some(target) = own.get_mut((slot % GROUP_SLOTS) as usize) {
                *target = length;
            }
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_their_derivation() {
        // Computed by another implementation: the values may not change, because counts outlive programs.
        assert_eq!(IdTag::of("", "").number(), 0xc44b_dff4_074e);
        assert_eq!(IdTag::of("meter", "usual-1").number(), 0xdc25_9cb6_8164);
        assert_eq!(IdTag::of("meter", &"i".repeat(1000)).number(), 0x5808_5eab_1d58);
        assert_ne!(IdTag::of("ab", "c"), IdTag::of("a", "bc"));
        // On both sides of the length from which a name is hashed as a stream.
        for length in [233, 234, 235] {
            let id = "i".repeat(length);
            let whole = xxh3_64(format!("meter\0{id}").as_bytes());
            assert_eq!(IdTag::of("meter", &id).number(), whole >> 16, "{length}");
        }
    }

    #[test]
    fn what_groups_say_is_found() {
        let lengths = [(0, 3), (1, 255), (15, 1), (16, 7), (47, 2)];
        let bytes: Vec<u8> = groups(50, lengths).flatten().collect();
        assert_eq!(bytes.len(), 4 * GROUP_LENGTH);
        let mut next = 0;
        for slot in 0..50 {
            let range = group(slot);
            let found = place(bytes[range.start as usize..].first_chunk().expect("it is whole"), slot);
            let length =
                lengths.iter().find(|(of, _)| *of == u64::from(slot)).map(|(_, length)| u64::from(*length));
            assert_eq!(found, length.map(|length| next..next + length), "{slot}");
            next += length.unwrap_or(0);
        }
        let all = groups(16, (0..16).map(|slot| (slot, 255))).next().expect("there is one");
        for slot in 0..16 {
            let start = u64::from(slot) * 255;
            assert_eq!(place(&all, slot), Some(start..start + 255));
        }
        let mut far = [255; GROUP_LENGTH];
        assert_eq!(place(&far, 3), None);
        far[..8].fill(0);
        assert_eq!(place(&far, 15), Some(15 * 255..16 * 255));
    }
}
