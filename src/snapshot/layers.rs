//! A full snapshot with the newest delta laid over it, or alone: what one generation is decided from.

use super::delta::{Change, Delta, DeltaError};
use super::view::{Damaged, Entry, Layer, Scopes, Snapshot};
use crate::digest::Digest;
use crate::format::HASH_LENGTH;
use crate::format::header::{FormatError, Header};
use crate::format::record::Attributes;
use crate::memory::Bytes;
use std::net::IpAddr;
use std::sync::Arc;

/// One generation. It answers as if its keys had been built into one file.
///
/// The base is shared: the next delta is laid over the same, which is neither opened nor read again.
pub struct Layers {
    base: Arc<Snapshot>,
    delta: Option<Delta>,
}

/// A record that was found, and which of the files it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(Entry);

impl Found {
    #[inline(always)]
    const fn in_base(entry: Entry) -> Self {
        Self(entry)
    }

    const fn in_delta(entry: Entry) -> Self {
        let mut entry = entry;
        entry.layer = Layer::Delta;
        Self(entry)
    }

    /// What the record says.
    #[inline(always)]
    pub fn attributes(&self) -> Attributes {
        self.0.attributes()
    }

    /// Whether it stands in the delta, and not in the base.
    #[inline]
    pub const fn is_in_delta(&self) -> bool {
        matches!(self.0.layer, Layer::Delta)
    }
}

impl From<Snapshot> for Layers {
    fn from(base: Snapshot) -> Self {
        Self::full(Arc::new(base))
    }
}

impl Layers {
    /// A full snapshot alone.
    pub const fn full(base: Arc<Snapshot>) -> Self {
        Self { base, delta: None }
    }

    /// The delta that `bytes` are, laid over `base`. It is checked whole.
    pub fn with_delta(base: Arc<Snapshot>, bytes: Bytes) -> Result<Self, DeltaError> {
        let delta = Some(Delta::open_on(bytes, &base)?);
        Ok(Self { base, delta })
    }

    /// Whether that is all there is to it: no delta is missing.
    pub fn check_whole(&self) -> Result<(), DeltaError> {
        let header = self.base.header();
        if header.needs_delta && self.delta.is_none() {
            return Err(DeltaError::Missing { generation: header.generation });
        }
        Ok(())
    }

    /// The full snapshot.
    pub const fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// The delta over it.
    pub const fn delta(&self) -> Option<&Delta> {
        self.delta.as_ref()
    }

    /// The header of the newest file, which says the generation and how old it may become.
    #[inline]
    pub fn header(&self) -> &Header {
        match &self.delta {
            None => self.base.header(),
            Some(delta) => delta.header(),
        }
    }

    /// The hashes of the files, which say whether two are the same.
    pub fn hashes(&self) -> (&[u8; HASH_LENGTH], Option<&[u8; HASH_LENGTH]>) {
        (self.base.hash(), self.delta.as_ref().map(|delta| delta.keys().hash()))
    }

    /// How many bytes the files have.
    pub fn length(&self) -> u64 {
        let over = self.delta.as_ref().map_or(0, |delta| delta.header().file_length);
        self.base.header().file_length.saturating_add(over)
    }

    /// Whether damage was found after it was opened. Nothing may be decided from it then.
    #[inline]
    pub fn is_damaged(&self) -> bool {
        self.base.is_damaged() || self.delta.as_ref().is_some_and(|delta| delta.keys().is_damaged())
    }

    /// Whether every page has been checked.
    pub fn is_checked(&self) -> bool {
        // A delta is checked when it is opened.
        self.base.is_checked()
    }

    /// Checks what was not checked yet ([`Snapshot::check`]).
    pub fn check(&self) -> Result<(), FormatError> {
        self.base.check()
    }

    /// The file that a record stands in. Its names and sets are numbered there.
    #[inline]
    fn file(&self, found: &Found) -> &Snapshot {
        match &self.delta {
            Some(delta) if found.is_in_delta() => delta.keys(),
            _ => &self.base,
        }
    }

    /// The key with that digest.
    #[inline(always)]
    pub fn find(&self, digest: &Digest) -> Result<Option<Found>, Damaged> {
        match &self.delta {
            None => Ok(self.base.find(digest)?.map(Found::in_base)),
            Some(delta) => self.find_under(delta, digest),
        }
    }

    #[inline(never)]
    fn find_under(&self, delta: &Delta, digest: &Digest) -> Result<Option<Found>, Damaged> {
        Ok(match delta.find(digest)? {
            None => self.base.find(digest)?.map(Found::in_base),
            Some(Change::Removed) => None,
            Some(Change::Now(entry)) => Some(Found::in_delta(entry)),
        })
    }

    /// Sends for the records that `digest` may be found among ([`Snapshot::prefetch`]).
    #[inline]
    pub fn prefetch(&self, digest: &Digest) {
        // The base's first, which is the farther away.
        self.base.prefetch(digest);
        if let Some(delta) = &self.delta {
            delta.keys().prefetch(digest);
        }
    }

    /// The key of that realm with that id, where tokens can be bound to the realm's keys.
    pub fn find_id(&self, realm: u16, id: &str) -> Result<Option<Found>, Damaged> {
        let Some(delta) = &self.delta else {
            return Ok(self.base.find_id(realm, id)?.map(Found::in_base));
        };
        if let Some(entry) = delta.keys().find_id(realm, id)? {
            return Ok(Some(Found::in_delta(entry)));
        }
        let Some(entry) = self.base.find_id(realm, id)? else { return Ok(None) };
        // What the delta says of the same digest replaces this record, and the id in it.
        let replaced = delta.find(&self.base.digest(&entry)?)?.is_some();
        Ok((!replaced).then_some(Found::in_base(entry)))
    }

    /// Every key. Those of the delta come last.
    pub fn entries(&self) -> impl Iterator<Item = Result<Found, Damaged>> {
        let base = self.base.entries().filter_map(|entry| {
            let is_current = |entry: &Entry| match &self.delta {
                None => Ok(true),
                Some(delta) => Ok(delta.find(&self.base.digest(entry)?)?.is_none()),
            };
            match entry.and_then(|entry| Ok((entry, is_current(&entry)?))) {
                Ok((entry, true)) => Some(Ok(Found::in_base(entry))),
                Ok((_, false)) => None,
                Err(damaged) => Some(Err(damaged)),
            }
        });
        let over = self.delta.iter().flat_map(|delta| delta.keys().entries());
        base.chain(over.map(|entry| entry.map(Found::in_delta)))
    }

    /// How far the record stands from its home in its file, in records.
    pub fn displacement(&self, found: &Found) -> Result<u64, Damaged> {
        self.file(found).displacement(&found.0)
    }

    /// The number of the realm that the key belongs to.
    pub fn realm_of(&self, found: &Found) -> Result<u16, Damaged> {
        self.file(found).realm_of(&found.0)
    }

    /// The key's id.
    pub fn id(&self, found: &Found) -> Result<&str, Damaged> {
        self.file(found).id(&found.0)
    }

    /// The bytes of the key's id ([`Snapshot::id_bytes`]).
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn id_bytes(&self, found: &Found) -> Result<&[u8], Damaged> {
        self.file(found).id_bytes(&found.0)
    }

    /// Whether the names that a verdict gives can be read ([`Snapshot::ensure_names`]).
    #[inline(always)]
    pub fn ensure_names(&self, found: &Found) -> Result<(), Damaged> {
        self.file(found).ensure_names(&found.0)
    }

    /// The key's tenant.
    pub fn tenant(&self, found: &Found) -> Result<Option<&str>, Damaged> {
        self.file(found).tenant(&found.0)
    }

    /// The bytes of the key's tenant ([`Snapshot::tenant_bytes`]).
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn tenant_bytes(&self, found: &Found) -> Result<Option<&[u8]>, Damaged> {
        self.file(found).tenant_bytes(&found.0)
    }

    /// The key's scopes, with the numbers of its file.
    pub fn scopes(&self, found: &Found) -> Result<Scopes<'_>, Damaged> {
        self.file(found).scopes(&found.0)
    }

    /// The name of a scope, by its number in the file of `found`.
    pub fn scope_name(&self, found: &Found, number: u32) -> Result<&str, Damaged> {
        self.file(found).scope_name(number)
    }

    /// The number of a scope's name in the file of `found`; `None`: no key of it has it.
    pub fn scope_number(&self, found: &Found, name: &str) -> Option<u32> {
        self.file(found).scope_number(name)
    }

    /// Whether the key may be used from anywhere, or else from `address`.
    pub fn allows_address(&self, found: &Found, address: Option<IpAddr>) -> Result<bool, Damaged> {
        self.file(found).allows_address(&found.0, address)
    }
}
