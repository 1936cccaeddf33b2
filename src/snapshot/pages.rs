//! Which pages of a snapshot have been checked: bytes are given out only after their hash was compared.
//!
//! A file of ten million keys takes a quarter of a second to hash, and a server that starts should not
//! wait for that. So each page is hashed when it is first read from, as fs-verity does, and a bit says
//! that it was; [`Pages::check_all`] does the rest whenever the host likes, after which no bit is looked
//! at any more.

use crate::format::{HASH_LENGTH, PAGE};
use crate::memory::Bytes;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(super) struct Pages {
    bytes: Bytes,
    /// Where the list of page hashes stands in the file, and the page that its first entry is for.
    hashes: Range<usize>,
    first: usize,
    /// A bit a page, set once its hash was compared. Racing checkers set the same bit: `Relaxed` is
    /// enough, since the bytes never change and the bit carries nothing else.
    checked: Box<[AtomicU64]>,
    all_checked: AtomicBool,
    damaged: AtomicBool,
}

impl Pages {
    /// Takes the bytes of a file whose page hashes stand at `hashes` and have been compared with their
    /// own hash; the first of them is for the page after the section.
    pub(super) fn new(bytes: Bytes, hashes: Range<usize>) -> Self {
        let first = hashes.end.div_ceil(PAGE);
        let words = bytes.len().div_ceil(PAGE).div_ceil(64);
        Self {
            bytes,
            hashes,
            first,
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
            all_checked: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether a page was found damaged. It stays so: a snapshot is good as a whole or not at all.
    #[inline]
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_checked(&self) -> bool {
        self.all_checked.load(Ordering::Relaxed)
    }

    pub(super) fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// The bytes of a range of the file, if they are there and are those that were written.
    #[inline(always)]
    pub(super) fn read(&self, range: Range<usize>) -> Option<&[u8]> {
        if !self.all_checked.load(Ordering::Relaxed) && !self.ensure(&range) {
            return None;
        }
        self.bytes.get(range)
    }

    #[inline]
    fn ensure(&self, range: &Range<usize>) -> bool {
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        pages.into_iter().all(|page| {
            let bit = 1 << (page % 64);
            let Some(word) = self.checked.get(page / 64) else { return false };
            word.load(Ordering::Relaxed) & bit != 0 || self.compare(page, word, bit)
        })
    }

    #[cold]
    fn compare(&self, page: usize, word: &AtomicU64, bit: u64) -> bool {
        let good = self.matches(page);
        if good {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.mark_damaged();
        }
        good
    }

    /// Whether the page's hash is the one in the list. Pages before the list are checked by whoever made
    /// this.
    fn matches(&self, page: usize) -> bool {
        if page < self.first {
            return true;
        }
        let (expected, bytes) = (self.listed(page), self.page(page));
        matches!((expected, bytes), (Some(expected), Some(bytes)) if blake3::hash(bytes).as_bytes() == expected)
    }

    /// Whether the page is the same as that of `good`, whose pages have all been checked: then its hash is the
    /// one in the list if that is the same as well, which is told several times as quickly as by hashing.
    fn equals(&self, page: usize, good: &Self) -> bool {
        page >= self.first && self.listed(page) == good.listed(page) && self.page(page) == good.page(page)
    }

    /// The hash that the list has for a page.
    fn listed(&self, page: usize) -> Option<&[u8]> {
        let entry = self.hashes.start + page.checked_sub(self.first)? * HASH_LENGTH;
        self.bytes.get(entry..entry + HASH_LENGTH).filter(|_| entry < self.hashes.end)
    }

    fn page(&self, page: usize) -> Option<&[u8]> {
        self.bytes.get(page * PAGE..(page + 1) * PAGE)
    }

    /// Compares the hash of every page that lies in `range`.
    pub(super) fn check(&self, range: Range<usize>) -> bool {
        let good = (range.start / PAGE..range.end.div_ceil(PAGE)).all(|page| self.matches(page));
        if !good {
            self.mark_damaged();
        }
        good
    }

    /// Compares every hash; then reading asks no more.
    pub(super) fn check_all(&self) -> bool {
        let good = self.is_checked() || self.check(0..self.bytes.len());
        if good {
            self.mark_checked();
        }
        good
    }

    /// The same, with the help of a file like it whose pages have all been checked. Returns the pages that are
    /// not as they are there; `None` where one is damaged.
    pub(super) fn check_all_like(&self, good: &Self) -> Option<Vec<usize>> {
        let alike = good.is_checked() && self.first == good.first && self.bytes.len() == good.bytes.len();
        let pages = self.first..self.bytes.len().div_ceil(PAGE);
        let changed: Vec<_> = pages.filter(|&page| !(alike && self.equals(page, good))).collect();
        if !changed.iter().all(|&page| self.matches(page)) {
            self.mark_damaged();
            return None;
        }
        self.mark_checked();
        Some(changed)
    }

    /// Says that every hash was compared.
    pub(super) fn mark_checked(&self) {
        self.all_checked.store(true, Ordering::Relaxed);
    }
}
