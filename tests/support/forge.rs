//! Snapshots that were tampered with and whose hashes are right all the same: what only somebody who
//! knows the format can make.

use keyward::format::PAGE;
use keyward::format::header::{Header, Kind, Section};

/// Where the section table starts in the header, and the bytes of an entry.
pub const TABLE: usize = 160;
/// Bytes of an entry of the section table.
pub const ENTRY: usize = 64;
/// Where the hash of the header stands.
pub const HASH: usize = 3040;

/// A snapshot on the bench.
#[derive(Clone)]
pub struct Forge {
    /// Its bytes, to be changed at will.
    pub bytes: Vec<u8>,
    header: Header,
}

impl Forge {
    /// Takes a good snapshot, and remembers where its parts are.
    pub fn new(bytes: Vec<u8>) -> Self {
        let header = Header::read(&bytes, bytes.len() as u64).expect("it is good so far");
        Self { bytes, header }
    }

    /// The header that it had when it was good.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The section of that kind, as it was when it was good.
    pub fn section(&self, kind: Kind) -> Section {
        self.header.section(kind)
    }

    /// Where the entry of that kind stands in the section table.
    pub fn entry(&self, kind: Kind) -> usize {
        let number = self.header.sections.iter().position(|section| section.kind == kind as u32);
        TABLE + number.expect("all kinds are there") * ENTRY
    }

    /// Writes `bytes` at `offset`.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[offset..offset + bytes.len()].clone_from_slice(bytes);
        self
    }

    /// Makes every hash right for the bytes as they are now, with the parts where they were.
    pub fn seal(&mut self) -> Vec<u8> {
        let list = self.section(Kind::PageHashes);
        let start = list.offset as usize;
        let first = (start + list.length as usize).next_multiple_of(PAGE);
        let hashes: Vec<u8> =
            self.bytes[first..].chunks(PAGE).flat_map(|page| *blake3::hash(page).as_bytes()).collect();
        assert_eq!(hashes.len() as u64, list.length, "the parts are where they were");
        self.put(start, &hashes);
        let mut rest = &hashes[..];
        for (number, section) in self.header.sections.clone().iter().enumerate() {
            let own = if section.kind == Kind::PageHashes as u32 {
                &hashes[..]
            } else {
                let (own, after) = rest
                    .split_at_checked(section.length.div_ceil(PAGE as u64) as usize * 32)
                    .expect("a hash for each page");
                rest = after;
                own
            };
            let hash = blake3::hash(own);
            self.bytes[TABLE + number * ENTRY + 32..][..32].clone_from_slice(hash.as_bytes());
        }
        self.seal_header();
        self.bytes.clone()
    }

    /// Makes the header's hash right.
    pub fn seal_header(&mut self) {
        let hash = blake3::hash(&self.bytes[..HASH]);
        self.put(HASH, hash.as_bytes());
    }
}

/// Values at which a number of `width` bytes that is now `value` may go over an edge.
pub fn edges(value: u64, width: usize) -> Vec<u64> {
    let most = u64::MAX >> (64 - 8 * width);
    let mut edges = vec![
        0,
        1,
        2,
        3,
        255,
        256,
        4095,
        4096,
        4097,
        65_535,
        65_536,
        1 << 31,
        u64::from(u32::MAX),
        1 << 32,
        (1 << 40) - 1,
        1 << 52,
        1 << 63,
        (1 << 63) - 1,
        most.saturating_sub(4096),
        most - 1,
        most,
    ];
    edges.extend([value.wrapping_sub(1), value.wrapping_add(1), value / 2, value.wrapping_mul(2)]);
    edges.extend([value.wrapping_add(4096), value ^ (1 << (8 * width - 1)), value.swap_bytes()]);
    edges.retain(|edge| *edge <= most && *edge != value);
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The number of `width` bytes that stands at `offset`.
pub fn number_at(bytes: &[u8], offset: usize, width: usize) -> u64 {
    bytes[offset..offset + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
