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
