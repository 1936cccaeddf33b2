//! Tables of interned items: texts, sets of scopes, lists of addresses (docs/FORMAT.md section 4).
//!
//! A [`Table`] reads its section a piece at a time through a function that gives the bytes of a range, so
//! that whoever holds the bytes can check them before they are read.

use super::u32_at;
use std::ops::Range;

/// A table whose items are counted in units of so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    items: u64,
    length: u64,
    unit: u64,
    /// Where the first item starts, in bytes.
    start: u64,
}

impl Table {
    /// A table of `items` items in a section of `length` bytes; `None` where they do not fit.
    pub fn new(items: u64, length: u64, unit: u64) -> Option<Self> {
        if items == 0 {
            return (length == 0).then_some(Self { items, length, unit, start: 0 });
        }
        let start = items.checked_add(1)?.checked_mul(4)?.checked_next_multiple_of(unit)?;
        (u32::try_from(items).is_ok() && start <= length).then_some(Self { items, length, unit, start })
    }

    /// How many items there are.
    pub const fn len(&self) -> u64 {
        self.items
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The bytes of the item with that number; `None` where it does not exist, `read` refuses, or the
    /// table says what cannot be.
    #[inline]
    pub fn item<'a>(&self, number: u32, read: impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        let number = u64::from(number);
        if number >= self.items {
            return None;
        }
        let bounds = read(number * 4..number * 4 + 8)?;
        let (first, last) = (u64::from(u32_at(bounds, 0)?), u64::from(u32_at(bounds, 4)?));
        // Products and sums of 32-bit numbers and a length below 2^63: none overflows.
        let range = self.start + first * self.unit..self.start + last * self.unit;
        if range.start > range.end || range.end > self.length {
            return None;
        }
        read(range)
    }
}

/// The bytes of a table of these items, which ascend; `None` where they are more than offsets can count.
pub fn write<'a>(items: impl ExactSizeIterator<Item = &'a [u8]> + Clone, unit: usize) -> Option<Vec<u8>> {
    if items.len() == 0 {
        return Some(Vec::new());
    }
    let mut bytes = Vec::new();
    let mut position: u32 = 0;
    for item in items.clone() {
        bytes.extend_from_slice(&position.to_le_bytes());
        position = position.checked_add(u32::try_from(item.len().div_ceil(unit)).ok()?)?;
    }
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(unit), 0);
    for item in items {
        bytes.extend_from_slice(item);
        bytes.resize(bytes.len().next_multiple_of(unit), 0);
    }
    Some(bytes)
}
