//! The first page of a snapshot: versions, numbers, and where the sections stand.

use super::{DISPLACEMENT_LIMIT, HASH_LENGTH, PAGE, bytes_at, pages, signatures, u32_at, u64_at};
use crate::signature::{Signature, SigningKey};
use std::ops::Range;
use thiserror::Error;

/// The first eight bytes of every snapshot.
pub const MAGIC: [u8; 8] = *b"KEYWARD\0";
/// The version that this code writes, and the only major version that it reads.
pub const MAJOR: u16 = 1;
/// The minor version of a file that uses no addition. Each addition says which version it came with.
pub const MINOR: u16 = 0;
/// The minor version that signatures came with.
pub const MINOR_OF_SIGNATURES: u16 = 1;
/// The minor version that deltas came with.
pub const MINOR_OF_DELTAS: u16 = 2;
/// The minor version that full snapshots came with that are whole only with a delta.
pub const MINOR_OF_NEEDED_DELTAS: u16 = 3;
/// Incompatible feature: the file is signed (docs/FORMAT.md section 1.5).
pub const SIGNED: u64 = 1;
/// Incompatible feature: the file is a delta (docs/FORMAT.md section 7).
pub const DELTA: u64 = 2;
/// Incompatible feature: the file is whole only with a delta over it (docs/FORMAT.md section 7).
pub const NEEDS_DELTA: u64 = 4;
/// Keyed BLAKE3 under derived keys (docs/FORMAT.md section 3).
pub const DIGEST_SUITE: u32 = 1;

const BASE_HASH_OFFSET: usize = 120;
const KEYS_IN_ALL_OFFSET: usize = BASE_HASH_OFFSET + HASH_LENGTH;
const SECTION_TABLE: usize = 160;
const SECTION_ENTRY: usize = 64;
const SECTION_LIMIT: usize = 44;
const HASH_OFFSET: usize = 3040;
/// Where the signatures start, right behind the hash that they are of.
pub(super) const SIGNATURES_OFFSET: usize = HASH_OFFSET + HASH_LENGTH;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// BLAKE3 of every page after this section.
    PageHashes = 1,
    /// The configuration as JSON.
    Realms = 2,
    /// Which peppers the digests were made with.
    Peppers = 3,
    /// A table of the names of scopes.
    ScopeNames = 4,
    /// A table of the names of tenants.
    Tenants = 5,
    /// A table of sets of scopes.
    ScopeSets = 6,
    /// A table of address lists.
    AddressSets = 7,
    /// The records, sorted by digest, with gaps.
    Index = 8,
    /// Where the ids of the keys stand, by slot.
    IdPlaces = 9,
    /// The ids of the keys.
    Ids = 10,
    /// Slots of the keys that tokens can be bound to, by id.
    IdIndex = 11,
}

impl Kind {
    /// Every kind of version 1.0, in the order of the file.
    pub const ALL: [Self; 11] = [
        Self::PageHashes,
        Self::Realms,
        Self::Peppers,
        Self::ScopeNames,
        Self::Tenants,
        Self::ScopeSets,
        Self::AddressSets,
        Self::Index,
        Self::IdPlaces,
        Self::Ids,
        Self::IdIndex,
    ];

    /// The name that docs/FORMAT.md and messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageHashes => "page hashes",
            Self::Realms => "realms",
            Self::Peppers => "peppers",
            Self::ScopeNames => "scope names",
            Self::Tenants => "tenants",
            Self::ScopeSets => "scope sets",
            Self::AddressSets => "address sets",
            Self::Index => "index",
            Self::IdPlaces => "id places",
            Self::Ids => "ids",
            Self::IdIndex => "id index",
        }
    }

    /// How many bytes an item of the section has, where all have the same.
    const fn item_length(self) -> Option<u64> {
        match self {
            Self::PageHashes => Some(HASH_LENGTH as u64),
            Self::Peppers => Some(super::record::PEPPER_LENGTH as u64),
            Self::Index => Some(super::record::RECORD_LENGTH as u64),
            Self::IdPlaces => Some(super::id_place::GROUP_LENGTH as u64),
            Self::IdIndex => Some(4),
            _ => None,
        }
    }
}

/// One entry of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Section {
    /// The number of its kind; kinds of later minor versions are carried along.
    pub kind: u32,
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes, without padding.
    pub length: u64,
    /// How many items it holds.
    pub items: u64,
    /// The hash of the hashes of its pages; of its bytes for the page hashes themselves.
    pub hash: [u8; HASH_LENGTH],
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// The minor version.
    pub minor: u16,
    /// Bits of additions that a reader may ignore.
    pub compatible_features: u64,
    /// The length of the file in bytes.
    pub file_length: u64,
    /// The generation, at least 1.
    pub generation: u64,
    /// The generation that this one is laid over; 0: none, it is whole.
    pub base_generation: u64,
    /// The hash of the file that this one is laid over; zeros where it is whole.
    pub base_hash: [u8; HASH_LENGTH],
    /// Whether it is whole only with a delta over it, since earlier generations have what it lacks.
    pub needs_delta: bool,
    /// How many keys there are with the base under this one; 0 where it is whole.
    pub keys_in_all: u64,
    /// When it was made, Unix seconds; 0: not stated.
    pub created: u64,
    /// Seconds after `created` past which it is no longer used; 0: none.
    pub max_age: u64,
    /// Records in the index.
    pub records: u64,
    /// Homes in the index.
    pub capacity: u64,
    /// The furthest that a record stands from its home.
    pub longest_displacement: u64,
    /// Homes in the id index.
    pub id_capacity: u64,
    /// The furthest that an entry of the id index stands from its home.
    pub id_longest_displacement: u64,
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
    /// Who says that this is what was published, in the order of their public keys. Whether it is true is for
    /// whoever knows the keys ([`crate::keyring::Keyring::check_signatures`]).
    pub signatures: Vec<Signature>,
}

/// Why the bytes are not a snapshot that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Nothing is there.
    #[error("the file is empty; a snapshot has at least {PAGE} bytes")]
    Empty,
    /// The first eight bytes are others.
    #[error("this is not a keyward snapshot: it does not start with the bytes \"KEYWARD\\0\"")]
    Magic,
    /// A version that this code does not read.
    #[error(
        "the snapshot has format version {found}; this keyward reads version {MAJOR}: build the snapshot \
         again, or update keyward"
    )]
    Version {
        /// The major version of the file.
        found: u16,
    },
    /// Something that a reader must know, and this one does not.
    #[error("the snapshot needs features that this keyward does not have (bits {found:#x}): update keyward")]
    Features {
        /// The unknown bits.
        found: u64,
    },
    /// Digests of a kind that this code does not make.
    #[error("the snapshot has digest suite {found}; this keyward has suite {DIGEST_SUITE}: update keyward")]
    DigestSuite {
        /// The suite of the file.
        found: u32,
    },
    /// The file ends too early.
    #[error("the snapshot is truncated: {found} bytes where {expected} are expected; publish it again")]
    Truncated {
        /// The bytes that are there.
        found: u64,
        /// The bytes that should be.
        expected: u64,
    },
    /// The file goes on after its end.
    #[error(
        "the snapshot is longer than it says: {found} bytes where {expected} are expected; publish it again"
    )]
    TooLong {
        /// The bytes that are there.
        found: u64,
        /// The bytes that should be.
        expected: u64,
    },
    /// Bytes are not those that were written.
    #[error("the snapshot is damaged: the hash of its {part} does not match; publish it again")]
    Hash {
        /// Which bytes.
        part: &'static str,
    },
    /// A delta stands where a full snapshot is expected.
    #[error(
        "the file is a delta on generation {base}, and no snapshot by itself: name the snapshot that it lies beside"
    )]
    IsDelta {
        /// The generation that it is to be laid over.
        base: u64,
    },
    /// A full snapshot stands where a delta is expected.
    #[error(
        "the file is a full snapshot, and no delta: put it in the place of the snapshot that it is to replace"
    )]
    NotDelta,
    /// The hashes match, but what was written cannot be.
    #[error("the snapshot is not well-formed: {what}; it was not written by keyward, or by one with a fault")]
    Malformed {
        /// What cannot be.
        what: &'static str,
    },
}

pub(super) const fn malformed(what: &'static str) -> FormatError {
    FormatError::Malformed { what }
}

impl Header {
    /// Whether the file is a delta.
    pub const fn is_delta(&self) -> bool {
        self.base_generation != 0
    }

    /// How many keys there are: in the file, or with the base under it where it is a delta.
    pub const fn keys(&self) -> u64 {
        if self.is_delta() { self.keys_in_all } else { self.records }
    }

    /// Whether everything stands in the same places as in the file that `other` heads, so that only what stands
    /// there may differ.
    pub fn has_layout_of(&self, other: &Self) -> bool {
        let place = |section: &Section| (section.kind, section.offset, section.length, section.items);
        let numbers = |header: &Self| {
            let index = (header.capacity, header.longest_displacement);
            (header.records, index, header.id_capacity, header.id_longest_displacement)
        };
        numbers(self) == numbers(other)
            && self.sections.iter().map(place).eq(other.sections.iter().map(place))
    }

    /// Reads the header of a file of `file_length` bytes from `bytes`, which hold at least its first page
    /// where it has one.
    ///
    /// What it returns can be relied on: the sections of version 1.0 are all there, inside the file, on
    /// whole pages, in order and without gaps, and their numbers fit their lengths.
    pub fn read(bytes: &[u8], file_length: u64) -> Result<Self, FormatError> {
        if bytes.is_empty() {
            return Err(FormatError::Empty);
        }
        let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if magic != MAGIC.get(..magic.len()).unwrap_or(&[]) {
            return Err(FormatError::Magic);
        }
        let truncated = FormatError::Truncated { found: bytes.len() as u64, expected: PAGE as u64 };
        let page: &[u8; PAGE] = bytes.first_chunk().ok_or(truncated)?;
        // Versions and features come before the hash: a later version may put it elsewhere.
        let short = |offset| bytes_at::<2>(page, offset).map_or(0, u16::from_le_bytes);
        let word = |offset| u32_at(page, offset).unwrap_or_default();
        let long = |offset| u64_at(page, offset).unwrap_or_default();
        if short(8) != MAJOR {
            return Err(FormatError::Version { found: short(8) });
        }
        let features = long(24);
        let unknown = features & !(SIGNED | DELTA | NEEDS_DELTA);
        if unknown != 0 {
            return Err(FormatError::Features { found: unknown });
        }
        let part = |range: Range<usize>| page.get(range).unwrap_or_default();
        let (head, hash) = (part(0..HASH_OFFSET), part(HASH_OFFSET..SIGNATURES_OFFSET));
        if blake3::hash(head).as_bytes() != hash {
            return Err(FormatError::Hash { part: "header" });
        }
        if word(12) != DIGEST_SUITE {
            return Err(FormatError::DigestSuite { found: word(12) });
        }
        let expected = long(32);
        if file_length < expected {
            return Err(FormatError::Truncated { found: file_length, expected });
        }
        if file_length > expected {
            return Err(FormatError::TooLong { found: file_length, expected });
        }
        let count = word(112) as usize;
        let table = SECTION_TABLE..SECTION_TABLE + count.min(SECTION_LIMIT) * SECTION_ENTRY;
        let reserved = [116..BASE_HASH_OFFSET, table.end..HASH_OFFSET];
        let zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        if !reserved.into_iter().all(|range| page.get(range).is_some_and(zero)) {
            return Err(malformed("reserved bytes of the header are not zero"));
        }
        let sections = page.get(table).unwrap_or(&[]).chunks_exact(SECTION_ENTRY).map(|entry| {
            if u32_at(entry, 4) != Some(0) {
                return None;
            }
            Some(Section {
                kind: u32_at(entry, 0)?,
                offset: u64_at(entry, 8)?,
                length: u64_at(entry, 16)?,
                items: u64_at(entry, 24)?,
                hash: bytes_at(entry, 32)?,
            })
        });
        let header = Self {
            minor: short(10),
            compatible_features: long(16),
            file_length,
            generation: long(40),
            base_generation: long(48),
            base_hash: bytes_at(page, BASE_HASH_OFFSET).unwrap_or_default(),
            needs_delta: features & NEEDS_DELTA != 0,
            keys_in_all: long(KEYS_IN_ALL_OFFSET),
            created: long(56),
            max_age: long(64),
            records: long(72),
            capacity: long(80),
            longest_displacement: long(88),
            id_capacity: long(96),
            id_longest_displacement: long(104),
            sections: sections
                .collect::<Option<_>>()
                .ok_or(malformed("reserved bytes of the section table are not zero"))?,
            signatures: signatures::read(page, features & SIGNED != 0)?,
        };
        if header.is_delta() != (features & DELTA != 0) {
            return Err(malformed("it is marked as a delta and names no base, or the other way round"));
        }
        if header.is_delta() && header.needs_delta {
            return Err(malformed("it is marked as a delta that needs another"));
        }
        header.check(count)?;
        Ok(header)
    }

    fn check(&self, count: usize) -> Result<(), FormatError> {
        if self.generation == 0 {
            return Err(malformed("its generation is 0"));
        }
        if self.is_delta() && self.generation <= self.base_generation {
            return Err(malformed("a delta is not newer than its base"));
        }
        if !self.is_delta() && (self.base_hash, self.keys_in_all) != ([0; HASH_LENGTH], 0) {
            return Err(malformed("a full snapshot names a base"));
        }
        if count != self.sections.len() {
            return Err(malformed("it has more sections than the table has room for"));
        }
        let mut page = 1;
        let mut kind = 0;
        for section in &self.sections {
            if section.kind <= kind {
                return Err(malformed("its sections are not in the order of their kinds"));
            }
            kind = section.kind;
            if Some(section.offset) != u64::checked_mul(page, PAGE as u64) {
                return Err(malformed("a section does not start where the one before it ends"));
            }
            page = pages(section.length)
                .and_then(|pages| pages.checked_add(page))
                .ok_or(malformed("a section is longer than any file"))?;
        }
        if Some(self.file_length) != page.checked_mul(PAGE as u64) {
            return Err(malformed("its sections do not end where the file ends"));
        }
        for kind in Kind::ALL {
            let section = self.find(kind).ok_or(malformed("a section is missing"))?;
            if kind
                .item_length()
                .is_some_and(|length| section.items.checked_mul(length) != Some(section.length))
            {
                return Err(malformed("a section's length does not fit its number of items"));
            }
        }
        // Page 1 on is the page hashes' own; they list the pages after them.
        let hashes = self.section(Kind::PageHashes);
        let hashed = pages(hashes.length).and_then(|own| page.checked_sub(1)?.checked_sub(own));
        if hashed != Some(hashes.items) {
            return Err(malformed("the number of page hashes is not the number of pages"));
        }
        let slots = self.section(Kind::Index).items;
        if slots < self.capacity || self.records > slots || slots >= u64::from(u32::MAX) {
            return Err(malformed("the index has fewer slots than homes or records, or too many"));
        }
        if self.section(Kind::IdPlaces).items != slots.div_ceil(super::id_place::GROUP_SLOTS) {
            return Err(malformed("the id places are not those of the index's slots"));
        }
        let id_slots = self.section(Kind::IdIndex).items;
        if id_slots < self.id_capacity {
            return Err(malformed("the id index has fewer slots than homes"));
        }
        if self.longest_displacement > DISPLACEMENT_LIMIT || self.id_longest_displacement > DISPLACEMENT_LIMIT
        {
            return Err(malformed("a record stands further from its home than any record may"));
        }
        Ok(())
    }

    fn find(&self, kind: Kind) -> Option<Section> {
        self.sections.iter().find(|section| section.kind == kind as u32).copied()
    }

    /// The section of that kind. [`Header::read`] has seen that every kind is there; a header made by
    /// hand without it has an empty one.
    pub fn section(&self, kind: Kind) -> Section {
        self.find(kind).unwrap_or_default()
    }

    /// The header's page.
    pub fn write(&self) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        let mut put = |offset: usize, bytes: &[u8]| {
            for (target, byte) in page.iter_mut().skip(offset).zip(bytes) {
                *target = *byte;
            }
        };
        put(0, &MAGIC);
        put(8, &MAJOR.to_le_bytes());
        put(10, &self.minor.to_le_bytes());
        put(12, &DIGEST_SUITE.to_le_bytes());
        let numbers = [
            self.compatible_features,
            self.incompatible_features(),
            self.file_length,
            self.generation,
            self.base_generation,
            self.created,
            self.max_age,
            self.records,
            self.capacity,
            self.longest_displacement,
            self.id_capacity,
            self.id_longest_displacement,
        ];
        for (index, number) in numbers.into_iter().enumerate() {
            put(16 + index * 8, &number.to_le_bytes());
        }
        put(BASE_HASH_OFFSET, &self.base_hash);
        put(KEYS_IN_ALL_OFFSET, &self.keys_in_all.to_le_bytes());
        put(112, &u32::try_from(self.sections.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (index, section) in self.sections.iter().take(SECTION_LIMIT).enumerate() {
            let entry = SECTION_TABLE + index * SECTION_ENTRY;
            put(entry, &section.kind.to_le_bytes());
            put(entry + 8, &section.offset.to_le_bytes());
            put(entry + 16, &section.length.to_le_bytes());
            put(entry + 24, &section.items.to_le_bytes());
            put(entry + 32, &section.hash);
        }
        let hash = blake3::hash(page.get(..HASH_OFFSET).unwrap_or_default());
        for (target, byte) in page.iter_mut().skip(HASH_OFFSET).zip(hash.as_bytes()) {
            *target = *byte;
        }
        signatures::write(&self.signatures, &mut page);
        page
    }

    const fn incompatible_features(&self) -> u64 {
        (if self.signatures.is_empty() { 0 } else { SIGNED })
            | (if self.is_delta() { DELTA } else { 0 })
            | (if self.needs_delta { NEEDS_DELTA } else { 0 })
    }

    /// Signs the header as it is now, with each of `keys`, in place of who signed it before. Nothing else of it may
    /// change after that. `None` where the library would not sign.
    pub fn sign(&mut self, keys: &[SigningKey]) -> Option<()> {
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_unstable_by_key(|key| key.public());
        keys.dedup_by_key(|key| key.public());
        if keys.is_empty() {
            self.signatures.clear();
            return Some(());
        }
        self.minor = self.minor.max(MINOR_OF_SIGNATURES);
        // That there are signatures is signed as well, so the hash is that of a header which has some.
        self.signatures = vec![Signature { key: [0; 32], bytes: [0; 64] }];
        let hash = Self::hash(&self.write())?;
        self.signatures = keys.iter().map(|key| key.sign(&hash)).collect::<Option<_>>()?;
        Some(())
    }

    /// The hash in a header's page, which stands for the whole file: it covers the hashes of all pages.
    pub fn hash(page: &[u8]) -> Option<[u8; HASH_LENGTH]> {
        bytes_at(page, HASH_OFFSET)
    }
}
