//! Opening a snapshot: is it one, is it whole, and is every part of it what was written?

use super::pages::Pages;
use super::view::{CredentialPlace, PepperEntry, Placed, Snapshot, Tables, usize_range};
use super::{Check, SMALL};
use crate::format::header::{FormatError, Header, Kind};
use crate::format::record::PEPPER_LENGTH;
use crate::format::table::Table;
use crate::format::{HASH_LENGTH, PAGE, bytes_at, u32_at};
use crate::memory::Bytes;
use crate::realm::{Configuration, Realm};
use hashbrown::HashMap;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The bytes are not a snapshot, or not a whole one.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The configuration in it is not one that keyward writes.
    #[error("the snapshot's configuration cannot be used: {0}")]
    Realms(String),
}

fn malformed(what: &'static str) -> SnapshotError {
    FormatError::Malformed { what }.into()
}

impl Snapshot {
    /// Opens the snapshot that `bytes` are. A file that is damaged, truncated, foreign or of another
    /// version is refused whole.
    ///
    /// A delta is no snapshot by itself, and refused as well.
    pub fn open(bytes: Bytes, check: Check) -> Result<Self, SnapshotError> {
        let header = read_full_header(&bytes)?;
        Self::open_any(bytes, header, check, None)
    }

    /// Opens the snapshot or delta that `bytes` are, which `header` heads. What was read of `base` stands for the same
    /// sections of this file, where they are the same.
    pub(super) fn open_any(
        bytes: Bytes,
        header: Header,
        check: Check,
        base: Option<&Self>,
    ) -> Result<Self, SnapshotError> {
        let hash = Header::hash(&bytes).ok_or(FormatError::Empty)?;
        let list = header.section(Kind::PageHashes);
        let hashes =
            usize_range(list.offset..list.offset + list.length).ok_or(malformed("it is too long"))?;
        check_hash_list(&bytes, &header, &hashes)?;
        let whole = check == Check::Whole || bytes.len() as u64 <= SMALL;
        let pages = Pages::new(bytes, hashes);
        if whole {
            for section in &header.sections {
                let range = usize_range(section.offset..section.offset + section.length);
                if !range.is_some_and(|range| pages.check(range)) {
                    return Err(FormatError::Hash { part: part_name(section.kind) }.into());
                }
            }
            // Every page belongs to a section.
            pages.mark_checked();
        }
        let snapshot = Self::read(pages, header, hash, base)?;
        if whole {
            snapshot.check_structure()?;
        }
        Ok(snapshot)
    }

    /// Opens the snapshot that `bytes` are and checks all of it, as [`Snapshot::open`] with [`Check::Whole`]
    /// does, and several times as quickly where it is much like `good`, all of which was checked before: what
    /// did not change is compared with what is known to be good.
    pub fn open_like(bytes: Bytes, good: &Self) -> Result<Self, SnapshotError> {
        let header = read_full_header(&bytes)?;
        if !(good.is_checked() && header.has_layout_of(&good.header)) {
            return Self::open(bytes, Check::Whole);
        }
        let hash = Header::hash(&bytes).ok_or(FormatError::Empty)?;
        let list = header.section(Kind::PageHashes);
        let hashes =
            usize_range(list.offset..list.offset + list.length).ok_or(malformed("it is too long"))?;
        check_hash_list(&bytes, &header, &hashes)?;
        let pages = Pages::new(bytes, hashes);
        let Some(changed) = pages.check_all_like(&good.pages) else {
            // Once more from the start, for the name of the part that is damaged.
            let part = header.sections.iter().find(|section| {
                let range = usize_range(section.offset..section.offset + section.length);
                !range.is_some_and(|range| pages.check(range))
            });
            return Err(FormatError::Hash { part: part.map_or("pages", |part| part_name(part.kind)) }.into());
        };
        let snapshot = Self::read(pages, header, hash, None)?;
        if !snapshot.differs_in_attributes_alone(good, &changed) {
            snapshot.check_structure()?;
        }
        Ok(snapshot)
    }

    fn read(
        pages: Pages,
        header: Header,
        hash: [u8; HASH_LENGTH],
        base: Option<&Self>,
    ) -> Result<Self, SnapshotError> {
        let bytes_of = |kind: Kind| {
            let section = header.section(kind);
            usize_range(section.offset..section.offset + section.length)
                .and_then(|range| pages.read(range))
                .ok_or(FormatError::Hash { part: kind.name() })
        };
        let placed = |kind: Kind, unit| {
            let section = header.section(kind);
            Table::new(section.items, section.length, unit)
                .map(|table| Placed { table, offset: section.offset, length: section.length })
                .ok_or(malformed("a table is shorter than its number of items"))
        };
        let (realms, peppers) = (bytes_of(Kind::Realms)?, bytes_of(Kind::Peppers)?);
        let (realms, credentials, peppers) = match base {
            Some(base) if base.has_same(&header, Kind::Realms) && base.has_same(&header, Kind::Peppers) => {
                (Arc::clone(&base.realms), Arc::clone(&base.credentials), Arc::clone(&base.peppers))
            }
            _ => {
                let realms = read_realms(realms, header.section(Kind::Realms).items)?;
                let places = realms.iter().zip(0u16..).flat_map(|(realm, number)| {
                    // The range last: it would count one further than the last credential, which may be 65,534.
                    let credentials = realm.credentials.iter().zip(0u16..);
                    credentials.map(move |(_, credential)| CredentialPlace { realm: number, credential })
                });
                let credentials = places.collect();
                (realms, credentials, read_peppers(peppers)?)
            }
        };
        let mut snapshot = Self {
            credentials,
            peppers,
            scope_numbers: HashMap::new(),
            tables: Tables {
                scope_names: placed(Kind::ScopeNames, 1)?,
                tenants: placed(Kind::Tenants, 1)?,
                scope_sets: placed(Kind::ScopeSets, 4)?,
                address_sets: placed(Kind::AddressSets, 8)?,
            },
            index: header.section(Kind::Index),
            id_places: header.section(Kind::IdPlaces),
            ids: header.section(Kind::Ids),
            id_index: header.section(Kind::IdIndex),
            realms,
            header,
            hash,
            pages,
        };
        snapshot.scope_numbers = snapshot.read_scope_names().ok_or_else(|| match snapshot.is_damaged() {
            true => FormatError::Hash { part: Kind::ScopeNames.name() }.into(),
            false => malformed("the names of its scopes"),
        })?;
        Ok(snapshot)
    }

    /// Whether the file that `other` heads has the same bytes in that section.
    pub(super) fn has_same(&self, other: &Header, kind: Kind) -> bool {
        let (own, other) = (self.header.section(kind), other.section(kind));
        (own.length, own.items, own.hash) == (other.length, other.items, other.hash)
    }

    fn read_scope_names(&self) -> Option<HashMap<Box<str>, u32>> {
        let table = self.tables.scope_names.table;
        (0..u32::try_from(table.len()).ok()?)
            .map(|number| Some((self.text(&self.tables.scope_names, number)?.into(), number)))
            .collect()
    }

    /// Checks every page that was not checked yet, which also brings the file into memory, and whether
    /// the whole can be what it says. It takes about half a second a gigabyte, may run in any thread while
    /// others verify, and is done once.
    pub fn check(&self) -> Result<(), FormatError> {
        if self.pages.is_checked() {
            return Ok(());
        }
        if !self.pages.check_all() {
            let damaged = self.sections().find(|(_, good)| !good);
            return Err(FormatError::Hash {
                part: damaged.map_or("pages", |(section, _)| part_name(section.kind)),
            });
        }
        self.check_structure().inspect_err(|_| self.pages.mark_damaged())
    }
}

/// The header of a full snapshot.
fn read_full_header(bytes: &[u8]) -> Result<Header, FormatError> {
    let header = Header::read(bytes, bytes.len() as u64)?;
    match header.base_generation {
        0 => Ok(header),
        base => Err(FormatError::IsDelta { base }),
    }
}

fn read_realms(text: &[u8], items: u64) -> Result<Arc<[Realm]>, SnapshotError> {
    let configuration: Configuration =
        serde_json::from_slice(text).map_err(|error| SnapshotError::Realms(error.to_string()))?;
    // It also counts realms and credentials, whose numbers have 16 bits.
    configuration.check().map_err(|error| SnapshotError::Realms(error.to_string()))?;
    let Configuration { realms } = configuration;
    if realms.len() as u64 != items {
        return Err(malformed("the number of its realms is another"));
    }
    if !realms.is_sorted_by(|a, b| a.name < b.name) {
        return Err(malformed("its realms are not in the order of their names"));
    }
    Ok(realms.into())
}

fn read_peppers(bytes: &[u8]) -> Result<Arc<[PepperEntry]>, SnapshotError> {
    let peppers = bytes.chunks_exact(PEPPER_LENGTH).map(|entry| {
        Some(PepperEntry { id: u32_at(entry, 0)?, check: bytes_at(entry, 8)? })
            .filter(|_| u32_at(entry, 4) == Some(0))
    });
    peppers.collect::<Option<_>>().ok_or(malformed("reserved bytes of a pepper are not zero"))
}

fn part_name(kind: u32) -> &'static str {
    Kind::ALL.into_iter().find(|known| *known as u32 == kind).map_or("section of an unknown kind", Kind::name)
}

/// Compares the list of page hashes with its own hash, and each entry's hash with its part of the list.
fn check_hash_list(bytes: &[u8], header: &Header, range: &Range<usize>) -> Result<(), SnapshotError> {
    let damaged = |part| FormatError::Hash { part };
    let list = header.section(Kind::PageHashes);
    let hashes = bytes.get(range.clone()).ok_or(malformed("its list of page hashes"))?;
    if *blake3::hash(hashes).as_bytes() != list.hash {
        return Err(damaged(Kind::PageHashes.name()).into());
    }
    let padding = bytes.get(range.end..range.end.next_multiple_of(PAGE)).unwrap_or(&[]);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(damaged(Kind::PageHashes.name()).into());
    }
    let mut rest = hashes;
    for section in header.sections.iter().filter(|section| section.kind != Kind::PageHashes as u32) {
        let length = section.length.div_ceil(PAGE as u64) as usize * HASH_LENGTH;
        let (own, after) =
            rest.split_at_checked(length).ok_or(malformed("its list of page hashes is too short"))?;
        if *blake3::hash(own).as_bytes() != section.hash {
            return Err(damaged(part_name(section.kind)).into());
        }
        rest = after;
    }
    Ok(())
}
