//! The file, section by section.

use super::intern::{Interner, order};
use super::layout::{Layout, place};
use super::{BuildError, Collection, Progress, Stamp};
use crate::digest::Digest;
use crate::format::header::{Header, Kind, MINOR, MINOR_OF_DELTAS, Section};
use crate::format::id_place::{self, GROUP_LENGTH, GROUP_SLOTS};
use crate::format::record::{self, PEPPER_LENGTH, Packed, RECORD_LENGTH, SET_LIMIT};
use crate::format::{HASH_LENGTH, PAGE, id_prefix, pages, table};
use crate::realm::Realm;
use std::io::{self, Seek, SeekFrom, Write};

/// Where writes end in the file: multiples of the size of a huge page, so that the system may keep what is
/// written, and what servers map, in huge pages.
const HUGE_PAGE: usize = 2 << 20;
/// How much is written at once, in bytes.
const WRITE: usize = 2 * HUGE_PAGE;

/// Takes bytes, pads sections to whole pages, and hashes each page on its way out.
struct PageWriter<'a, W> {
    output: &'a mut W,
    buffer: Vec<u8>,
    hashes: Vec<u8>,
    written: u64,
    total: u64,
    progress: &'a dyn Fn(Progress),
}

impl<W: Write> PageWriter<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < WRITE {
            return Ok(());
        }
        let end = (self.written + self.buffer.len() as u64) / HUGE_PAGE as u64 * HUGE_PAGE as u64;
        self.flush((end - self.written) as usize)
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        for _ in 0..count / PAGE as u64 {
            self.put(&[0; PAGE])?;
        }
        self.put([0; PAGE].get(..(count % PAGE as u64) as usize).unwrap_or_default())
    }

    /// Pads to the next page.
    fn end_section(&mut self) {
        self.buffer.resize(self.buffer.len().next_multiple_of(PAGE), 0);
    }

    /// Writes the first `length` bytes of the buffer, which are whole pages.
    fn flush(&mut self, length: usize) -> io::Result<()> {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        for page in bytes.as_chunks::<PAGE>().0 {
            self.hashes.extend_from_slice(blake3::hash(page).as_bytes());
        }
        self.output.write_all(bytes)?;
        self.buffer.drain(..length);
        self.written += length as u64;
        (self.progress)(Progress::Writing { bytes: self.written, total: self.total });
        Ok(())
    }

    /// Writes what is left after the last section.
    fn finish(&mut self) -> io::Result<()> {
        self.flush(self.buffer.len())
    }
}

/// What a delta is laid over; a full snapshot has nothing under it.
#[derive(Clone, Copy, Default)]
pub(super) struct Ground {
    /// The generation of the base.
    pub(super) generation: u64,
    /// The hash of the base.
    pub(super) hash: [u8; HASH_LENGTH],
    /// How many keys there are with the base.
    pub(super) keys_in_all: u64,
}

/// The sections that are small beside the index, and what records' numbers become.
struct Tables {
    scope_names: Vec<u8>,
    tenants: Vec<u8>,
    scope_sets: Vec<u8>,
    address_sets: Vec<u8>,
    tenant_places: Vec<u32>,
    scope_set_places: Vec<u32>,
    address_set_places: Vec<u32>,
}

fn too_many(what: &'static str, limit: u64) -> BuildError {
    BuildError::TooMany { what, limit }
}

fn texts(names: &Interner, what: &'static str) -> Result<(Vec<u8>, Vec<u32>), BuildError> {
    let ordered = order(names.items());
    let bytes = table::write(ordered.items.iter().copied(), 1);
    Ok((bytes.ok_or_else(|| too_many(what, u64::from(u32::MAX)))?, ordered.places))
}

impl Collection {
    fn tables(&self) -> Result<Tables, BuildError> {
        let (scope_names, scope_places) = texts(&self.scope_names, "bytes of scope names")?;
        let (tenants, tenant_places) = texts(&self.tenants, "bytes of tenant names")?;
        if self.scope_sets.len().max(self.address_sets.len()) > SET_LIMIT as usize {
            return Err(too_many("different sets of scopes or of addresses", SET_LIMIT.into()));
        }
        // Numbers of scopes become places in the order of the names, so a set is sorted once more.
        let sets = order(self.scope_sets.items().map(|set| {
            let numbers = set.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize);
            let mut places: Vec<u32> =
                numbers.filter_map(|number| scope_places.get(number).copied()).collect();
            places.sort_unstable();
            places.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()
        }));
        let lists = order(self.address_sets.items());
        let scope_sets = table::write(sets.items.iter().map(Vec::as_slice), 4);
        let address_sets = table::write(lists.items.iter().copied(), 8);
        Ok(Tables {
            scope_names,
            tenants,
            scope_sets: scope_sets.ok_or_else(|| too_many("scopes in sets", u64::from(u32::MAX)))?,
            address_sets: address_sets.ok_or_else(|| too_many("addresses in lists", u64::from(u32::MAX)))?,
            tenant_places,
            scope_set_places: sets.places,
            address_set_places: lists.places,
        })
    }

    /// Writes the snapshot to `output`, from its start, and returns its header. Nothing is flushed to a
    /// disk: that is the publisher's.
    pub fn write<W: Write + Seek>(
        &self,
        stamp: Stamp,
        output: &mut W,
        progress: &dyn Fn(Progress),
    ) -> Result<Header, BuildError> {
        self.write_over(Ground::default(), stamp, output, progress)
    }

    /// Writes a snapshot or a delta.
    pub(super) fn write_over<W: Write + Seek>(
        &self,
        ground: Ground,
        stamp: Stamp,
        output: &mut W,
        progress: &dyn Fn(Progress),
    ) -> Result<Header, BuildError> {
        if stamp.max_age != 0 && stamp.created == 0 {
            return Err(BuildError::NoCreated);
        }
        let keys = || too_many("keys", u64::from(u32::MAX) / 20 * 17);
        let tables = self.tables()?;
        let realms = serde_json::to_vec(&self.configuration)
            .map_err(|error| BuildError::Write(io::Error::other(error)))?;
        let peppers: Vec<u8> = (self.peppers.iter())
            .flat_map(|(id, check)| [&id.to_le_bytes()[..], &[0; 4], check].concat())
            .collect();
        let layout = Layout::of(self.items.iter().map(super::Item::prefix)).ok_or_else(keys)?;
        if layout.slots >= u64::from(u32::MAX) {
            return Err(keys());
        }
        let id_index = self.id_index(&layout);
        let id_layout = Layout::of(id_index.iter().map(|(prefix, _)| *prefix)).ok_or_else(keys)?;
        let ids_length = self.ids.len() as u64;
        let id_groups = layout.slots.div_ceil(GROUP_SLOTS);

        let sections = [
            (Kind::Realms, realms.len() as u64, self.configuration.realms.len() as u64),
            (Kind::Peppers, peppers.len() as u64, (peppers.len() / PEPPER_LENGTH) as u64),
            (Kind::ScopeNames, tables.scope_names.len() as u64, self.scope_names.len() as u64),
            (Kind::Tenants, tables.tenants.len() as u64, self.tenants.len() as u64),
            (Kind::ScopeSets, tables.scope_sets.len() as u64, self.scope_sets.len() as u64),
            (Kind::AddressSets, tables.address_sets.len() as u64, self.address_sets.len() as u64),
            (Kind::Index, layout.slots * RECORD_LENGTH as u64, layout.slots),
            (Kind::IdPlaces, id_groups * GROUP_LENGTH as u64, id_groups),
            (Kind::Ids, ids_length, self.items.iter().filter(|item| !item.is_removed()).count() as u64),
            (Kind::IdIndex, id_layout.slots * 4, id_layout.slots),
        ];
        let page_count = |length: u64| pages(length).ok_or_else(keys);
        let mut hashed = 0;
        for (_, length, _) in sections {
            hashed += page_count(length)?;
        }
        let list_pages = page_count(hashed * HASH_LENGTH as u64)?;
        let file_length = (1 + list_pages + hashed) * PAGE as u64;

        let start = (1 + list_pages) * PAGE as u64;
        output.seek(SeekFrom::Start(start)).map_err(BuildError::Write)?;
        let mut writer = PageWriter {
            output,
            buffer: Vec::with_capacity(WRITE + PAGE),
            hashes: Vec::with_capacity((hashed as usize) * HASH_LENGTH),
            written: start,
            total: file_length,
            progress,
        };
        let small = [
            &realms,
            &peppers,
            &tables.scope_names,
            &tables.tenants,
            &tables.scope_sets,
            &tables.address_sets,
        ];
        self.put_sections(&mut writer, &small, &tables, &layout, &id_index, &id_layout)
            .map_err(BuildError::Write)?;

        let hashes = std::mem::take(&mut writer.hashes);
        let list = Section {
            kind: Kind::PageHashes as u32,
            offset: PAGE as u64,
            length: hashes.len() as u64,
            items: hashed,
            hash: *blake3::hash(&hashes).as_bytes(),
        };
        let mut table = vec![list];
        let (mut page, mut rest) = (1 + list_pages, hashes.as_slice());
        for (kind, length, items) in sections {
            let count = page_count(length)?;
            let (own, after) = rest.split_at_checked(count as usize * HASH_LENGTH).unwrap_or((rest, &[]));
            let hash = *blake3::hash(own).as_bytes();
            table.push(Section { kind: kind as u32, offset: page * PAGE as u64, length, items, hash });
            (page, rest) = (page + count, after);
        }
        let mut header = Header {
            minor: if ground.generation == 0 { MINOR } else { MINOR_OF_DELTAS },
            compatible_features: 0,
            file_length,
            generation: stamp.generation,
            base_generation: ground.generation,
            base_hash: ground.hash,
            needs_delta: false,
            keys_in_all: ground.keys_in_all,
            created: stamp.created,
            max_age: stamp.max_age,
            records: self.keys(),
            capacity: layout.capacity,
            longest_displacement: layout.longest_displacement,
            id_capacity: id_layout.capacity,
            id_longest_displacement: id_layout.longest_displacement,
            sections: table,
            signatures: Vec::new(),
        };
        header.sign(&self.signing_keys).ok_or(BuildError::NotSigned)?;
        let head = || {
            output.seek(SeekFrom::Start(0))?;
            output.write_all(&header.write())?;
            output.write_all(&hashes)?;
            output.write_all(&vec![0; (list_pages as usize) * PAGE - hashes.len()])?;
            output.flush()
        };
        let mut head = head;
        head().map_err(BuildError::Write)?;
        Ok(header)
    }

    /// The slots of the keys that tokens can be bound to, by the prefix of their ids.
    fn id_index(&self, layout: &Layout) -> Vec<(u64, u32)> {
        let realms = self.realm_numbers();
        let bound: Vec<bool> = self.configuration.realms.iter().map(Realm::has_tokens).collect();
        let slots = place(self.items.iter().map(super::Item::prefix), layout.capacity);
        let entries = self.items.iter().zip(slots).filter_map(|(item, (slot, _))| {
            let realm = realms.get(usize::from(item.credential())).copied().filter(|_| !item.is_removed())?;
            let wanted = bound.get(usize::from(realm)).copied().unwrap_or(false);
            wanted.then(|| (id_prefix(realm.into(), self.id(item)), slot as u32))
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        entries
    }

    fn put_sections<W: Write>(
        &self,
        writer: &mut PageWriter<'_, W>,
        small: &[&Vec<u8>],
        tables: &Tables,
        layout: &Layout,
        id_index: &[(u64, u32)],
        id_layout: &Layout,
    ) -> io::Result<()> {
        for section in small {
            writer.put(section)?;
            writer.end_section();
        }
        let final_number = |places: &[u32], number: u32| {
            number.checked_sub(1).and_then(|number| places.get(number as usize)).map_or(0, |place| place + 1)
        };
        let mut next = 0;
        let slots = place(self.items.iter().map(super::Item::prefix), layout.capacity);
        for (item, (slot, _)) in self.items.iter().zip(slots) {
            writer.zeros((slot - next) * RECORD_LENGTH as u64)?;
            next = slot + 1;
            // A key that is gone has no attributes.
            let attributes = Packed::new(&item.attributes).map_or(item.attributes, |packed| {
                let mut attributes = packed.attributes();
                attributes.tenant = final_number(&tables.tenant_places, attributes.tenant);
                attributes.scope_set = final_number(&tables.scope_set_places, attributes.scope_set);
                attributes.address_set = final_number(&tables.address_set_places, attributes.address_set);
                attributes.write()
            });
            writer.put(&record::write(&Digest::from_bytes(item.digest), attributes))?;
        }
        writer.zeros((layout.slots - next) * RECORD_LENGTH as u64)?;
        writer.end_section();
        let slots = place(self.items.iter().map(super::Item::prefix), layout.capacity);
        let lengths = self.items.iter().zip(slots).map(|(item, (slot, _))| (slot, item.id.length()));
        for group in id_place::groups(layout.slots, lengths) {
            writer.put(&group)?;
        }
        writer.end_section();
        for item in &self.items {
            writer.put(self.id(item).as_bytes())?;
        }
        writer.end_section();
        let mut next = 0;
        let places = place(id_index.iter().map(|(prefix, _)| *prefix), id_layout.capacity);
        for ((_, slot), (place, _)) in id_index.iter().zip(places) {
            writer.zeros((place - next) * 4)?;
            next = place + 1;
            writer.put(&(slot + 1).to_le_bytes())?;
        }
        writer.zeros((id_layout.slots - next) * 4)?;
        writer.end_section();
        writer.finish()
    }
}
