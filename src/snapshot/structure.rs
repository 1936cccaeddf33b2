//! Whether what a snapshot says can be: one pass over all of it.
//!
//! Hashes tell whether bytes are those that were written; this tells whether they were written by
//! somebody who keeps to docs/FORMAT.md. Reading never depends on it for its bounds.

use super::view::{Entry, Placed, Snapshot, stored_ranges};
use crate::digest::DIGEST_LENGTH;
use crate::format::header::{FormatError, Kind};
use crate::format::id_place::{self, GROUP_SLOTS, IdTag};
use crate::format::record::{ATTRIBUTES_LENGTH, Attributes, RECORD_LENGTH, Slot};
use crate::format::table::Table;
use crate::format::{PAGE, home, id_prefix};
use crate::realm::CredentialKind;

const fn malformed(what: &'static str) -> FormatError {
    FormatError::Malformed { what }
}

impl Snapshot {
    /// Checks records, tables and the id index against each other.
    pub(super) fn check_structure(&self) -> Result<(), FormatError> {
        if !self.has_zero_padding() {
            return Err(malformed("the padding of a section is not zero"));
        }
        self.check_tables()?;
        let bound = self.check_index()?;
        self.check_id_index(bound)
    }

    /// Whether this is `good`, which was checked, but for the pages `changed`, and whether there too nothing
    /// differs but what records say of their keys, which is valid. Then all else about it is as good.
    ///
    /// So it is where keys were suspended, revoked or changed, and none was added.
    pub(super) fn differs_in_attributes_alone(&self, good: &Self, changed: &[usize]) -> bool {
        let index = self.header().section(Kind::Index);
        let first = (index.offset / PAGE as u64) as usize;
        let (Some(new), Some(old)) = (self.index_bytes(), good.index_bytes()) else { return false };
        let bounds = self.bounds();
        changed.iter().all(|page| {
            let Some(start) = page.checked_sub(first).map(|number| number * PAGE) else { return false };
            // The padding behind the last record is as good as its hash only if it is zero.
            let range = start..start + PAGE;
            let (Some(new), Some(old)) = (new.get(range.clone()), old.get(range)) else { return false };
            let records = new.as_chunks::<RECORD_LENGTH>().0.iter().zip(old.as_chunks::<RECORD_LENGTH>().0);
            records.filter(|(new, old)| new != old).all(|(new, old)| {
                let (new_slot, old_slot) = (Slot::new(new), Slot::new(old));
                let (Some(packed), Some(before)) = (new_slot.packed(), old_slot.packed()) else {
                    return false;
                };
                let (attributes, before) = (packed.attributes(), before.attributes());
                new.first_chunk::<DIGEST_LENGTH>() == old.first_chunk::<DIGEST_LENGTH>()
                    && (attributes.id_tag, attributes.credential) == (before.id_tag, before.credential)
                    && self.fits(&attributes, &bounds).is_some()
            })
        })
    }

    fn check_tables(&self) -> Result<(), FormatError> {
        let texts = |table: &Placed, what| ascending(table, |number| self.item(table, number), what);
        let parts = self.tables();
        for table in [&parts.scope_names, &parts.tenants] {
            texts(table, "a table of texts")?;
            let valid = (0..items(&table.table))
                .all(|number| self.item(table, number).is_some_and(|text| str::from_utf8(text).is_ok()));
            if !valid {
                return Err(malformed("a name is not UTF-8"));
            }
        }
        texts(&parts.scope_sets, "the scope sets")?;
        let names = parts.scope_names.table.len();
        let valid = (0..items(&parts.scope_sets.table)).all(|number| {
            let numbers = self.item(&parts.scope_sets, number).map(|set| set.as_chunks::<4>());
            numbers.is_some_and(|(numbers, rest)| {
                let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
                let ascend = numbers.is_sorted_by(|a, b| number(a) < number(b));
                ascend && rest.is_empty() && numbers.iter().all(|bytes| u64::from(number(bytes)) < names)
            })
        });
        if !valid {
            return Err(malformed("a scope set names scopes that do not exist, or not in order"));
        }
        texts(&parts.address_sets, "the address sets")?;
        let valid = (0..items(&parts.address_sets.table))
            .all(|number| self.item(&parts.address_sets, number).is_some_and(is_address_list));
        if valid { Ok(()) } else { Err(malformed("an address set's ranges are not in order")) }
    }

    /// Checks every record, and counts those that tokens can be bound to.
    fn check_index(&self) -> Result<u64, FormatError> {
        let header = self.header();
        let bytes = self.index_bytes().ok_or(malformed("its index"))?;
        let bounds = self.bounds();
        let places = self.id_place_bytes().ok_or(malformed("its id places"))?;
        let mut groups = places.as_chunks().0.iter();
        // The lengths of the group at hand that no slot has asked for.
        let mut unused = [0; GROUP_SLOTS as usize];
        let (mut records, mut ids, mut bound, mut next, mut longest, mut id_end) = (0, 0, 0, 0, 0, 0);
        let mut previous: Option<&[u8]> = None;
        for (record, slot) in bytes.as_chunks::<RECORD_LENGTH>().0.iter().zip(0u64..) {
            let view = Slot::new(record);
            if slot.is_multiple_of(GROUP_SLOTS) {
                let (start, lengths) = groups.next().map_or_else(Default::default, id_place::read);
                if start != id_end {
                    return Err(malformed("the ids are not in the order of the records"));
                }
                unused = lengths;
            }
            let length = unused.get_mut((slot % GROUP_SLOTS) as usize).map(std::mem::take);
            if view.is_free() {
                if record != &[0; RECORD_LENGTH] {
                    return Err(malformed("a free slot of the index is not zero"));
                }
                if length != Some(0) {
                    return Err(malformed("a free slot of the index has an id"));
                }
                continue;
            }
            let digest = record.get(..RECORD_LENGTH - ATTRIBUTES_LENGTH);
            if previous.is_some() && previous >= digest {
                return Err(malformed("records are not in the order of their digests"));
            }
            let home = home(view.prefix(), header.capacity);
            if slot != home.max(next) {
                return Err(malformed("a record does not stand in the first free slot from its home"));
            }
            longest = longest.max(slot - home);
            (previous, next) = (digest, slot + 1);
            records += 1;
            if header.is_delta() && view.is_removed() {
                if !view.is_bare_removal() || length != Some(0) {
                    return Err(malformed("a removed key has an id, or more that it may not have"));
                }
                continue;
            }
            let packed = view.packed().ok_or(malformed("a record has a status that does not exist"))?;
            let attributes = packed.attributes();
            let Some(bounds) = self.fits(&attributes, &bounds) else {
                return Err(malformed("a record names something that does not exist"));
            };
            let id = self.id(&Entry::new(slot as u32, packed));
            let id = id.map_err(|_| malformed("an id is not UTF-8, or not there"))?;
            if attributes.id_tag != IdTag::of(bounds.realm, id) {
                return Err(malformed("a record's id tag is not that of its id"));
            }
            id_end += id.len() as u64;
            ids += 1;
            bound += u64::from(bounds.bound);
        }
        let as_stated = records == header.records
            && ids == header.section(Kind::Ids).items
            && longest == header.longest_displacement
            && id_end == self.ids_length()
            && unused.iter().all(|&length| length == 0)
            && next.max(header.capacity) == bytes.len() as u64 / RECORD_LENGTH as u64;
        if as_stated { Ok(bound) } else { Err(malformed("the header's numbers are not those of the index")) }
    }

    /// What the records of each credential may say.
    fn bounds(&self) -> Vec<Bounds<'_>> {
        (self.realms().iter())
            .flat_map(|realm| realm.credentials.iter().map(move |credential| (realm, credential)))
            .map(|(realm, credential)| Bounds {
                realm: &realm.name,
                keys: matches!(credential.kind, CredentialKind::Key(_) | CredentialKind::Basic(_)),
                environments: realm.environments.len(),
                rate_limits: realm.rate_limits.len(),
                bound: realm.has_tokens(),
            })
            .collect()
    }

    /// The bounds that a record keeps to; `None` where it names something that does not exist.
    fn fits<'b>(&self, attributes: &Attributes, bounds: &'b [Bounds<'b>]) -> Option<&'b Bounds<'b>> {
        let tables = self.tables();
        let numbers = u64::from(attributes.tenant) <= tables.tenants.table.len()
            && u64::from(attributes.scope_set) <= tables.scope_sets.table.len()
            && u64::from(attributes.address_set) <= tables.address_sets.table.len();
        bounds.get(usize::from(attributes.credential)).filter(|bounds| {
            numbers
                && bounds.keys
                && usize::from(attributes.environment) <= bounds.environments
                && usize::from(attributes.rate_limit) <= bounds.rate_limits
        })
    }

    fn check_id_index(&self, bound: u64) -> Result<(), FormatError> {
        let header = self.header();
        let bytes = self.id_index_bytes().ok_or(malformed("its id index"))?;
        let (mut entries, mut next, mut longest) = (0, 0, 0);
        let mut previous = None;
        for (place, at) in bytes.as_chunks::<4>().0.iter().zip(0u64..) {
            let Some(slot) = u32::from_le_bytes(*place).checked_sub(1) else { continue };
            let named = self.entry(slot).ok().flatten().and_then(|entry| {
                let realm = self.realm_of(&entry).ok()?;
                Some(id_prefix(realm.into(), self.id(&entry).ok()?))
            });
            let prefix = named.ok_or(malformed("the id index names a record that does not exist"))?;
            if previous >= Some((prefix, slot)) {
                return Err(malformed("the id index is not in order"));
            }
            let home = home(prefix, header.id_capacity);
            if at != home.max(next) {
                return Err(malformed("an entry of the id index does not stand where it belongs"));
            }
            longest = longest.max(at - home);
            (previous, next) = (Some((prefix, slot)), at + 1);
            entries += 1;
        }
        let as_stated = entries == bound
            && longest == header.id_longest_displacement
            && next.max(header.id_capacity) == bytes.len() as u64 / 4;
        if as_stated { Ok(()) } else { Err(malformed("the header's numbers are not those of the id index")) }
    }
}

/// What the records of a credential may say.
struct Bounds<'a> {
    realm: &'a str,
    keys: bool,
    environments: usize,
    rate_limits: usize,
    bound: bool,
}

fn items(table: &Table) -> u32 {
    u32::try_from(table.len()).unwrap_or(u32::MAX)
}

fn ascending<'a>(
    placed: &Placed,
    item: impl Fn(u32) -> Option<&'a [u8]>,
    what: &'static str,
) -> Result<(), FormatError> {
    let mut previous = None;
    for number in 0..items(&placed.table) {
        let item = item(number).ok_or(malformed(what))?;
        if previous.is_some_and(|previous| previous >= item) {
            return Err(malformed(what));
        }
        previous = Some(item);
    }
    Ok(())
}

/// Whether the bytes are a list of addresses: ranges that ascend and neither touch nor overlap.
fn is_address_list(list: &[u8]) -> bool {
    stored_ranges(list).is_some_and(|(v4, v6)| {
        let v4 = v4.iter().map(|range| range.map(|bytes| u128::from(u32::from_le_bytes(bytes))));
        let v6 = v6.iter().map(|range| range.map(u128::from_le_bytes));
        are_apart(v4) && are_apart(v6)
    })
}

/// Whether these ranges are in order, with something between each and the next.
fn are_apart(ranges: impl Iterator<Item = [u128; 2]>) -> bool {
    let ranges: Vec<[u128; 2]> = ranges.collect();
    ranges.iter().all(|[first, last]| first <= last)
        && ranges
            .is_sorted_by(|[_, last], [first, _]| last.checked_add(1).is_some_and(|after| after < *first))
}
