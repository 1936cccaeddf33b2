//! What can be asked of an open snapshot. Every accessor answers from bytes that were checked, and says
//! [`Damaged`] where they were not what was written or cannot be what they say.

use super::pages::Pages;
use crate::digest::Digest;
#[cfg(feature = "build")]
use crate::format::header::Kind;
use crate::format::header::{Header, Section};
use crate::format::record::{Attributes, Packed, RECORD_LENGTH, Slot};
use crate::format::table::Table;
use crate::format::{HASH_LENGTH, PAGE, home, id_place, id_prefix, u32_at};
use crate::realm::Realm;
use crate::request::address::in_ranges;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// A page that was read from is not the page that was written, or a record says what cannot be.
///
/// The snapshot remembers it: from then on [`Snapshot::is_damaged`] is true, and nothing may be decided
/// from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the snapshot is damaged")]
pub struct Damaged;

/// A record that was found: the slot that it stands in, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    packed: Packed,
    slot: u32,
    /// What [`Layers`](super::Layers) notes of it: here there is room for it, and a verdict is no larger for it.
    pub(super) layer: Layer,
}

/// Which file a record stands in. As wide as the room for it, so that no padding is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Layer {
    Base,
    Delta,
}

impl Entry {
    #[inline]
    pub(super) const fn new(slot: u32, packed: Packed) -> Self {
        Self { packed, slot, layer: Layer::Base }
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
    pub(super) offset: u64,
    pub(super) length: u64,
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
    pub(super) pages: Pages,
    pub(super) header: Header,
    pub(super) hash: [u8; HASH_LENGTH],
    // Shared with the deltas that are laid over it, which have the same.
    pub(super) realms: Arc<[Realm]>,
    pub(super) credentials: Arc<[CredentialPlace]>,
    pub(super) peppers: Arc<[PepperEntry]>,
    pub(super) scope_numbers: HashMap<Box<str>, u32>,
    pub(super) tables: Tables,
    pub(super) index: Section,
    pub(super) id_places: Section,
    pub(super) ids: Section,
    pub(super) id_index: Section,
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

pub(super) fn usize_range(range: Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

impl Snapshot {
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

    /// The text of the section *realms*.
    #[cfg(feature = "build")]
    pub(crate) fn realms_text(&self) -> Result<&[u8], Damaged> {
        let section = self.header.section(Kind::Realms);
        self.bytes(&section, 0..section.length).ok_or_else(|| self.damaged())
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
    #[inline]
    pub fn is_checked(&self) -> bool {
        self.pages.is_checked()
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
    pub(super) fn bytes(&self, section: &Section, range: Range<u64>) -> Option<&[u8]> {
        if range.end > section.length {
            return None;
        }
        self.pages.read(usize_range(section.offset + range.start..section.offset + range.end)?)
    }

    /// Remembers that a record said what cannot be.
    #[cold]
    pub(super) fn damaged(&self) -> Damaged {
        self.pages.mark_damaged();
        Damaged
    }

    /// The record with that digest.
    ///
    /// One dependent cache miss: the records that may stand between a digest's home and its place are
    /// neighbours in memory.
    #[inline(always)]
    pub fn find(&self, digest: &Digest) -> Result<Option<Entry>, Damaged> {
        let Some((slot, record)) = self.locate(digest)? else { return Ok(None) };
        let packed = record.packed().ok_or_else(|| self.damaged())?;
        Ok(Some(Entry::new(slot, packed)))
    }

    /// The slot that the record with that digest stands in, whatever it says.
    #[inline(always)]
    pub(super) fn locate(&self, digest: &Digest) -> Result<Option<(u32, Slot<'_>)>, Damaged> {
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
                return Ok(Some((first as u32 + at as u32, record)));
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

    fn slot(&self, slot: u32) -> Result<Slot<'_>, Damaged> {
        let start = u64::from(slot) * RECORD_LENGTH as u64;
        let bytes = self.bytes(&self.index, start..start + RECORD_LENGTH as u64);
        bytes.and_then(|bytes| bytes.first_chunk()).map(Slot::new).ok_or_else(|| self.damaged())
    }

    /// The digest of that record.
    pub(crate) fn digest(&self, entry: &Entry) -> Result<Digest, Damaged> {
        self.slot(entry.slot)?.digest().ok_or_else(|| self.damaged())
    }

    /// The key whose record stands in that slot; `None` for a free one, and for a key that is gone.
    pub(super) fn entry(&self, slot: u32) -> Result<Option<Entry>, Damaged> {
        let record = self.slot(slot)?;
        if record.is_free() || (self.header.is_delta() && record.is_removed()) {
            return Ok(None);
        }
        let packed = record.packed().ok_or_else(|| self.damaged())?;
        Ok(Some(Entry::new(slot, packed)))
    }

    /// Every key, in the order of the index.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Damaged>> {
        (0..u32::try_from(self.index.items).unwrap_or(u32::MAX))
            .filter_map(|slot| self.entry(slot).transpose())
    }

    /// How far the record stands from its home, in records.
    pub fn displacement(&self, entry: &Entry) -> Result<u64, Damaged> {
        let home = home(self.slot(entry.slot)?.prefix(), self.header.capacity);
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
        self.utf8(self.id_bytes(entry)?)
    }

    /// The bytes of the key's id; nobody has looked yet whether they are UTF-8.
    #[inline(always)]
    pub(super) fn id_bytes(&self, entry: &Entry) -> Result<&[u8], Damaged> {
        let place = self.bytes(&self.id_places, id_place::group(entry.slot));
        let range = place.and_then(|place| id_place::place(place.first_chunk()?, entry.slot));
        range.and_then(|range| self.bytes(&self.ids, range)).ok_or_else(|| self.damaged())
    }

    fn utf8<'s>(&'s self, bytes: &'s [u8]) -> Result<&'s str, Damaged> {
        str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    /// Whether the names that a verdict gives, the id and the tenant, can be read. Their bytes are only
    /// touched where their pages were not checked yet.
    #[inline(always)]
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
        self.tenant_bytes(entry)?.map(|bytes| self.utf8(bytes)).transpose()
    }

    /// The bytes of the key's tenant; nobody has looked yet whether they are UTF-8.
    #[inline(always)]
    pub(super) fn tenant_bytes(&self, entry: &Entry) -> Result<Option<&[u8]>, Damaged> {
        match entry.attributes().tenant.checked_sub(1) {
            None => Ok(None),
            Some(number) => self.item(&self.tables.tenants, number).map(Some).ok_or_else(|| self.damaged()),
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

    #[inline(always)]
    pub(super) fn item(&self, placed: &Placed, number: u32) -> Option<&[u8]> {
        if self.is_checked() {
            // Nearly always, and the section's place is looked at only once then.
            let section = usize_range(placed.offset..placed.offset + placed.length)?;
            let section = self.pages.bytes().get(section)?;
            return placed.table.item(number, |range| section.get(usize_range(range)?));
        }
        placed.table.item(number, |range| {
            self.pages.read(usize_range(placed.offset + range.start..placed.offset + range.end)?)
        })
    }

    pub(super) fn text(&self, placed: &Placed, number: u32) -> Option<&str> {
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
