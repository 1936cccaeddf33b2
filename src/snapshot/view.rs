//! What can be asked of an open snapshot. Every accessor answers from bytes that were checked, and says
//! [`Damaged`] where they were not what was written or cannot be what they say.

use super::pages::Pages;
use super::{Check, SMALL};
use crate::digest::Digest;
use crate::format::header::{FormatError, Header, Kind, Section};
use crate::format::record::{Attributes, PEPPER_LENGTH, Packed, RECORD_LENGTH, Slot};
use crate::format::table::Table;
use crate::format::{HASH_LENGTH, PAGE, bytes_at, home, id_place, id_prefix, u32_at};
use crate::memory::Bytes;
use crate::realm::{Configuration, Realm};
use crate::request::address::in_ranges;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use thiserror::Error;

/// A page that was read from is not the page that was written, or a record says what cannot be.
///
/// The snapshot remembers it: from then on [`Snapshot::is_damaged`] is true, and nothing may be decided
/// from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the snapshot is damaged")]
pub struct Damaged;

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

/// A record that was found: the slot that it stands in, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    slot: u32,
    packed: Packed,
}

impl Entry {
    pub(super) const fn new(slot: u32, packed: Packed) -> Self {
        Self { slot, packed }
    }

    /// What the record says.
    #[inline(always)]
    pub fn attributes(&self) -> Attributes {
        self.packed.attributes()
    }
}

/// A table and where its section starts in the file.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) table: Table,
    offset: u64,
}

/// The tables of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) scope_names: Placed,
    pub(super) tenants: Placed,
    pub(super) scope_sets: Placed,
    pub(super) address_sets: Placed,
}

/// A credential's place in the configuration, by its number in the list of all credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialPlace {
    /// The number of its realm.
    pub realm: u16,
    /// Its number in the realm.
    pub credential: u16,
}

/// An open snapshot.
pub struct Snapshot {
    pages: Pages,
    header: Header,
    hash: [u8; HASH_LENGTH],
    realms: Vec<Realm>,
    credentials: Vec<CredentialPlace>,
    peppers: Vec<PepperEntry>,
    scope_numbers: HashMap<Box<str>, u32>,
    tables: Tables,
    index: Section,
    id_places: Section,
    ids: Section,
    id_index: Section,
}

/// Which pepper digests were made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperEntry {
    /// Its id in the keyring.
    pub id: u32,
    /// What [`crate::digest::pepper_check`] says of the right one.
    pub check: [u8; HASH_LENGTH],
}

/// Records that are sent for ahead of a lookup.
const PREFETCHED: usize = 8;

fn usize_range(range: Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

fn malformed(what: &'static str) -> SnapshotError {
    FormatError::Malformed { what }.into()
}

impl Snapshot {
    /// Opens the snapshot that `bytes` are. A file that is damaged, truncated, foreign or of another
    /// version is refused whole.
    pub fn open(bytes: Bytes, check: Check) -> Result<Self, SnapshotError> {
        let header = Header::read(&bytes, bytes.len() as u64)?;
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
        let snapshot = Self::read(pages, header, hash)?;
        if whole {
            snapshot.check_structure()?;
        }
        Ok(snapshot)
    }

    /// Opens the snapshot that `bytes` are and checks all of it, as [`Snapshot::open`] with [`Check::Whole`]
    /// does, and several times as quickly where it is much like `good`, all of which was checked before: what
    /// did not change is compared with what is known to be good.
    pub fn open_like(bytes: Bytes, good: &Self) -> Result<Self, SnapshotError> {
        let header = Header::read(&bytes, bytes.len() as u64)?;
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
        let snapshot = Self::read(pages, header, hash)?;
        if !snapshot.differs_in_attributes_alone(good, &changed) {
            snapshot.check_structure()?;
        }
        Ok(snapshot)
    }

    fn read(pages: Pages, header: Header, hash: [u8; HASH_LENGTH]) -> Result<Self, SnapshotError> {
        let bytes_of = |kind: Kind| {
            let section = header.section(kind);
            usize_range(section.offset..section.offset + section.length)
                .and_then(|range| pages.read(range))
                .ok_or(FormatError::Hash { part: kind.name() })
        };
        let placed = |kind: Kind, unit| {
            let section = header.section(kind);
            Table::new(section.items, section.length, unit)
                .map(|table| Placed { table, offset: section.offset })
                .ok_or(malformed("a table is shorter than its number of items"))
        };
        let configuration: Configuration = serde_json::from_slice(bytes_of(Kind::Realms)?)
            .map_err(|error| SnapshotError::Realms(error.to_string()))?;
        // It also counts realms and credentials, whose numbers have 16 bits.
        configuration.check().map_err(|error| SnapshotError::Realms(error.to_string()))?;
        let Configuration { realms } = configuration;
        if realms.len() as u64 != header.section(Kind::Realms).items {
            return Err(malformed("the number of its realms is another"));
        }
        if !realms.is_sorted_by(|a, b| a.name < b.name) {
            return Err(malformed("its realms are not in the order of their names"));
        }
        let places = realms.iter().zip(0u16..).flat_map(|(realm, number)| {
            // The range last: it would count one further than the last credential, which may be 65,534.
            let credentials = realm.credentials.iter().zip(0u16..);
            credentials.map(move |(_, credential)| CredentialPlace { realm: number, credential })
        });
        let peppers = bytes_of(Kind::Peppers)?.chunks_exact(PEPPER_LENGTH).map(|entry| {
            Some(PepperEntry { id: u32_at(entry, 0)?, check: bytes_at(entry, 8)? })
                .filter(|_| u32_at(entry, 4) == Some(0))
        });
        let mut snapshot = Self {
            credentials: places.collect(),
            peppers: peppers
                .collect::<Option<_>>()
                .ok_or(malformed("reserved bytes of a pepper are not zero"))?,
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

    fn read_scope_names(&self) -> Option<HashMap<Box<str>, u32>> {
        let table = self.tables.scope_names.table;
        (0..u32::try_from(table.len()).ok()?)
            .map(|number| Some((self.text(&self.tables.scope_names, number)?.into(), number)))
            .collect()
    }

    /// What the header says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hash that stands for the whole file.
    pub const fn hash(&self) -> &[u8; HASH_LENGTH] {
        &self.hash
    }

    /// The realms, in the order of their names.
    pub fn realms(&self) -> &[Realm] {
        &self.realms
    }

    /// The peppers that its digests were made with.
    pub fn peppers(&self) -> &[PepperEntry] {
        &self.peppers
    }

    /// Whether the memory is the file's own.
    pub fn is_mapped(&self) -> bool {
        self.pages.bytes().is_mapped()
    }

    /// Whether damage was found after it was opened. Nothing may be decided from it then.
    #[inline]
    pub fn is_damaged(&self) -> bool {
        self.pages.is_damaged()
    }

    /// Whether every page has been checked.
    pub fn is_checked(&self) -> bool {
        self.pages.is_checked()
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

    pub(super) const fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn index_bytes(&self) -> Option<&[u8]> {
        self.bytes(&self.index, 0..self.index.length)
    }

    pub(super) fn id_place_bytes(&self) -> Option<&[u8]> {
        self.bytes(&self.id_places, 0..self.id_places.length)
    }

    pub(super) fn id_index_bytes(&self) -> Option<&[u8]> {
        self.bytes(&self.id_index, 0..self.id_index.length)
    }

    /// Whether the bytes between the end of each section and that of its last page are zero.
    pub(super) fn has_zero_padding(&self) -> bool {
        self.header.sections.iter().all(|section| {
            let end = section.offset + section.length;
            let padding =
                usize_range(end..end.next_multiple_of(PAGE as u64)).and_then(|range| self.pages.read(range));
            padding.is_some_and(|padding| padding.iter().all(|&byte| byte == 0))
        })
    }

    pub(super) const fn ids_length(&self) -> u64 {
        self.ids.length
    }

    /// Every section, and whether all its pages are those that were written.
    pub fn sections(&self) -> impl Iterator<Item = (&Section, bool)> {
        self.header.sections.iter().map(|section| {
            let range = usize_range(section.offset..section.offset + section.length);
            (section, range.is_some_and(|range| self.pages.check(range)))
        })
    }

    /// The credential with that number in the list of all credentials.
    pub fn credential_place(&self, number: u16) -> Option<CredentialPlace> {
        self.credentials.get(usize::from(number)).copied()
    }

    #[inline]
    fn bytes(&self, section: &Section, range: Range<u64>) -> Option<&[u8]> {
        if range.end > section.length {
            return None;
        }
        self.pages.read(usize_range(section.offset + range.start..section.offset + range.end)?)
    }

    /// Remembers that a record said what cannot be.
    #[cold]
    fn damaged(&self) -> Damaged {
        self.pages.mark_damaged();
        Damaged
    }

    /// The record with that digest.
    ///
    /// One dependent cache miss: the records that may stand between a digest's home and its place are
    /// neighbours in memory.
    #[inline(always)]
    pub fn find(&self, digest: &Digest) -> Result<Option<Entry>, Damaged> {
        let prefix = digest.prefix();
        let first = home(prefix, self.header.capacity);
        let last = (first + self.header.longest_displacement + 1).min(self.index.items);
        let length = RECORD_LENGTH as u64;
        let window = self.bytes(&self.index, first * length..last * length).ok_or_else(|| self.damaged())?;
        for (at, record) in window.as_chunks::<RECORD_LENGTH>().0.iter().enumerate() {
            let record = Slot::new(record);
            let found = record.prefix();
            if found > prefix || (found == 0 && record.is_free()) {
                break;
            }
            // Records with the same first eight bytes stand side by side; random digests have none.
            if found == prefix && record.digest().as_ref() == Some(digest) {
                let packed = record.packed().ok_or_else(|| self.damaged())?;
                return Ok(Some(Entry { slot: first as u32 + at as u32, packed }));
            }
        }
        Ok(None)
    }

    /// Sends for the records that `digest` may be found among, without waiting for them: its home and
    /// the next few, since at this load a record stands three slots from its home on average.
    #[inline]
    pub fn prefetch(&self, digest: &Digest) {
        let first = home(digest.prefix(), self.header.capacity) * RECORD_LENGTH as u64;
        let offset = usize::try_from(self.index.offset + first).unwrap_or(usize::MAX);
        self.pages.bytes().prefetch(offset, PREFETCHED);
    }

    /// The record in that slot; `None` for a free one.
    pub(super) fn entry(&self, slot: u32) -> Result<Option<Entry>, Damaged> {
        let start = u64::from(slot) * RECORD_LENGTH as u64;
        let bytes = self.bytes(&self.index, start..start + RECORD_LENGTH as u64);
        let record =
            bytes.and_then(|bytes| bytes.first_chunk()).map(Slot::new).ok_or_else(|| self.damaged())?;
        if record.is_free() {
            return Ok(None);
        }
        let packed = record.packed().ok_or_else(|| self.damaged())?;
        Ok(Some(Entry { slot, packed }))
    }

    /// Every record, in the order of the index.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Damaged>> {
        (0..u32::try_from(self.index.items).unwrap_or(u32::MAX))
            .filter_map(|slot| self.entry(slot).transpose())
    }

    /// How far the record stands from its home, in records.
    pub fn displacement(&self, entry: &Entry) -> Result<u64, Damaged> {
        let start = u64::from(entry.slot) * RECORD_LENGTH as u64;
        let bytes = self.bytes(&self.index, start..start + RECORD_LENGTH as u64);
        let record =
            bytes.and_then(|bytes| bytes.first_chunk()).map(Slot::new).ok_or_else(|| self.damaged())?;
        let home = home(record.prefix(), self.header.capacity);
        u64::from(entry.slot).checked_sub(home).ok_or_else(|| self.damaged())
    }

    /// The key of that realm with that id, where tokens can be bound to the realm's keys.
    pub fn find_id(&self, realm: u16, id: &str) -> Result<Option<Entry>, Damaged> {
        let first = home(id_prefix(u32::from(realm), id), self.header.id_capacity);
        let last = (first + self.header.id_longest_displacement + 1).min(self.id_index.items);
        let window = self.bytes(&self.id_index, first * 4..last * 4).ok_or_else(|| self.damaged())?;
        for place in window.as_chunks::<4>().0 {
            let Some(slot) = u32::from_le_bytes(*place).checked_sub(1) else { break };
            let entry = self.entry(slot)?.ok_or_else(|| self.damaged())?;
            if self.realm_of(&entry)? == realm && self.id(&entry)? == id {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The number of the realm that the key belongs to.
    pub fn realm_of(&self, entry: &Entry) -> Result<u16, Damaged> {
        let place = self.credential_place(entry.attributes().credential);
        place.map(|place| place.realm).ok_or_else(|| self.damaged())
    }

    /// The key's id.
    pub fn id(&self, entry: &Entry) -> Result<&str, Damaged> {
        let place = self.bytes(&self.id_places, id_place::group(entry.slot));
        let range = place.and_then(|place| id_place::place(place.first_chunk()?, entry.slot));
        let bytes = range.and_then(|range| self.bytes(&self.ids, range));
        bytes.and_then(|bytes| str::from_utf8(bytes).ok()).ok_or_else(|| self.damaged())
    }

    /// Whether the names that a verdict gives, the id and the tenant, can be read. Their bytes are only
    /// touched where their pages were not checked yet.
    #[inline]
    pub fn ensure_names(&self, entry: &Entry) -> Result<(), Damaged> {
        if u64::from(entry.attributes().tenant) > self.tables.tenants.table.len() {
            return Err(self.damaged());
        }
        if !self.is_checked() {
            self.id(entry)?;
            self.tenant(entry)?;
        }
        Ok(())
    }

    /// The key's tenant.
    pub fn tenant(&self, entry: &Entry) -> Result<Option<&str>, Damaged> {
        match entry.attributes().tenant.checked_sub(1) {
            None => Ok(None),
            Some(number) => self.text(&self.tables.tenants, number).map(Some).ok_or_else(|| self.damaged()),
        }
    }

    /// The number of a scope's name; `None`: no key has it.
    pub fn scope_number(&self, name: &str) -> Option<u32> {
        self.scope_numbers.get(name).copied()
    }

    /// The key's scopes.
    pub fn scopes(&self, entry: &Entry) -> Result<Scopes<'_>, Damaged> {
        let set = match entry.attributes().scope_set.checked_sub(1) {
            None => Some(&[][..]),
            Some(number) => self.item(&self.tables.scope_sets, number),
        };
        set.map(|set| Scopes { numbers: set.as_chunks().0 }).ok_or_else(|| self.damaged())
    }

    /// The name of a scope.
    pub fn scope_name(&self, number: u32) -> Result<&str, Damaged> {
        self.text(&self.tables.scope_names, number).ok_or_else(|| self.damaged())
    }

    /// Whether the key may be used from anywhere, or else from `address`.
    pub fn allows_address(&self, entry: &Entry, address: Option<IpAddr>) -> Result<bool, Damaged> {
        let Some(number) = entry.attributes().address_set.checked_sub(1) else { return Ok(true) };
        let set = self.item(&self.tables.address_sets, number).ok_or_else(|| self.damaged())?;
        let Some(address) = address else { return Ok(false) };
        stored_list_contains(set, address).ok_or_else(|| self.damaged())
    }

    pub(super) fn item(&self, placed: &Placed, number: u32) -> Option<&[u8]> {
        placed.table.item(number, |range| {
            self.pages.read(usize_range(placed.offset + range.start..placed.offset + range.end)?)
        })
    }

    fn text(&self, placed: &Placed, number: u32) -> Option<&str> {
        str::from_utf8(self.item(placed, number)?).ok()
    }
}

/// The scopes of a key: numbers of names, ascending.
#[derive(Clone, Copy)]
pub struct Scopes<'a> {
    numbers: &'a [[u8; 4]],
}

impl<'a> Scopes<'a> {
    /// Whether the scope with that number is among them.
    #[inline]
    pub fn contains(&self, number: u32) -> bool {
        self.numbers.binary_search_by_key(&number, |bytes| u32::from_le_bytes(*bytes)).is_ok()
    }

    /// Their numbers.
    pub fn into_numbers(self) -> impl Iterator<Item = u32> + use<'a> {
        self.numbers.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// The ranges of a stored list: pairs of a first and a last address, each in so many bytes.
type StoredRanges<'a, const N: usize> = &'a [[[u8; N]; 2]];

/// The ranges of the list with these bytes (docs/FORMAT.md section 4), IPv4 and IPv6; `None` where the
/// bytes are no list.
pub(super) fn stored_ranges(list: &[u8]) -> Option<(StoredRanges<'_, 4>, StoredRanges<'_, 16>)> {
    let (n4, n6) = (u32_at(list, 0)? as usize, u32_at(list, 4)? as usize);
    let (v4, v6) = list.get(8..)?.split_at_checked(n4.checked_mul(8)?)?;
    let whole = v6.len() == n6.checked_mul(32)?;
    whole.then_some((v4.as_chunks().0.as_chunks().0, v6.as_chunks().0.as_chunks().0))
}

/// Whether a stored list contains the address; `None` where the bytes are no list.
fn stored_list_contains(list: &[u8], address: IpAddr) -> Option<bool> {
    fn read<const N: usize, T>(
        ranges: StoredRanges<'_, N>,
        number: impl Fn([u8; N]) -> T,
        at: usize,
    ) -> (T, T) {
        let [first, last] = ranges.get(at).copied().unwrap_or([[0; N]; 2]);
        (number(first), number(last))
    }
    let (v4, v6) = stored_ranges(list)?;
    Some(match address.to_canonical() {
        IpAddr::V4(address) => in_ranges(v4.len(), |at| read(v4, u32::from_le_bytes, at), &address.to_bits()),
        IpAddr::V6(address) => {
            in_ranges(v6.len(), |at| read(v6, u128::from_le_bytes, at), &address.to_bits())
        }
    })
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
