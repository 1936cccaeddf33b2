//! The records that are looked at: those of a snapshot with its delta, or those of a delta by itself.

use keyward::format::record::Attributes;
use keyward::snapshot::{Damaged, Entry, Found, Layers, Snapshot};

/// Somewhere that records stand.
pub(super) trait Records {
    /// A record.
    type Entry: Copy;

    /// All of them.
    fn entries(&self) -> impl Iterator<Item = Result<Self::Entry, Damaged>>;
    /// What it says.
    fn attributes(entry: &Self::Entry) -> Attributes;
    /// The number of its realm.
    fn realm_of(&self, entry: &Self::Entry) -> Result<u16, Damaged>;
    /// The key's id.
    fn id(&self, entry: &Self::Entry) -> Result<&str, Damaged>;
    /// How far it stands from its home.
    fn displacement(&self, entry: &Self::Entry) -> Result<u64, Damaged>;
}

impl Records for Layers {
    type Entry = Found;

    fn entries(&self) -> impl Iterator<Item = Result<Found, Damaged>> {
        self.entries()
    }

    fn attributes(entry: &Found) -> Attributes {
        entry.attributes()
    }

    fn realm_of(&self, entry: &Found) -> Result<u16, Damaged> {
        self.realm_of(entry)
    }

    fn id(&self, entry: &Found) -> Result<&str, Damaged> {
        self.id(entry)
    }

    fn displacement(&self, entry: &Found) -> Result<u64, Damaged> {
        self.displacement(entry)
    }
}

impl Records for Snapshot {
    type Entry = Entry;

    fn entries(&self) -> impl Iterator<Item = Result<Entry, Damaged>> {
        self.entries()
    }

    fn attributes(entry: &Entry) -> Attributes {
        entry.attributes()
    }

    fn realm_of(&self, entry: &Entry) -> Result<u16, Damaged> {
        self.realm_of(entry)
    }

    fn id(&self, entry: &Entry) -> Result<&str, Damaged> {
        self.id(entry)
    }

    fn displacement(&self, entry: &Entry) -> Result<u64, Damaged> {
        self.displacement(entry)
    }
}
