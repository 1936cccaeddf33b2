//! What has changed since a full snapshot, as a delta: docs/FORMAT.md section 7.

use super::lines::{self, Content};
use super::write::Ground;
use super::{BuildError, Collection, IdSpan, Item, LineError, Progress, Source, Stamp};
use crate::digest::Digest;
use crate::format::header::Header;
use crate::format::record::removal;
use crate::keyring::Keyring;
use crate::realm::{Configuration, Realm};
use crate::snapshot::Snapshot;
use std::io::{self, Seek, Write};

/// What has changed since a full snapshot, ready to be written as a delta on it.
///
/// All work is in proportion to the changes: the base is asked for the keys that they are about, and for nothing
/// else.
pub struct Changes {
    collection: Collection,
    ground: Ground,
    added: u64,
    changed: u64,
    removed: u64,
}

impl Changes {
    /// Reads what has changed since `base` from `input`: a JSON object a line, which is the record of a key as it
    /// is now, or with the status `removed` that of a key that is gone. `removed` are digests of further keys that
    /// are gone, as `base` has them. What is gone and was not in `base` is passed over.
    ///
    /// Configuration and peppers must be those of `base`; [`BuildError::Differs`] says where they are not, and
    /// that a full snapshot is needed.
    ///
    /// An id that another key of `base` has is refused in realms whose keys tokens can be bound to. In other realms
    /// a snapshot cannot be asked for an id, and it is the caller who knows that it is unique.
    pub fn read(
        base: &Snapshot,
        configuration: &Configuration,
        keyring: &Keyring,
        input: impl io::Read + Send,
        removed: impl IntoIterator<Item = Digest>,
        source: &Source<'_>,
    ) -> Result<Self, BuildError> {
        let threads = source.threads();
        let collection = lines::read(configuration, keyring, Content::Changes, input, source, threads)?;
        Self::of(base, collection, removed, source)
    }

    /// The same of keys that were read before: `keys` are those that were added to `base` or changed since.
    pub fn of(
        base: &Snapshot,
        keys: Collection,
        removed: impl IntoIterator<Item = Digest>,
        source: &Source<'_>,
    ) -> Result<Self, BuildError> {
        check_same(base, &keys)?;
        let mut collection = keys;
        collection.peppers = base.peppers().iter().map(|pepper| (pepper.id, pepper.check)).collect();
        let nowhere = IdSpan::new(0, 0).unwrap_or(IdSpan([0; 6]));
        collection.items.extend(removed.into_iter().map(|digest| Item {
            digest: *digest.as_bytes(),
            attributes: removal(),
            line: 0,
            id: nowhere,
        }));
        (source.progress)(Progress::Sorting);
        collection.sort(source, source.threads())?;
        Self::against(base, collection, source)
    }

    /// Holds sorted changes against their base.
    fn against(base: &Snapshot, mut collection: Collection, source: &Source<'_>) -> Result<Self, BuildError> {
        let (mut added, mut changed, mut removed) = (0, 0, 0);
        let mut kept = Vec::with_capacity(collection.items.len());
        for item in std::mem::take(&mut collection.items) {
            let in_base = base.find(&Digest::from_bytes(item.digest))?.is_some();
            match (item.is_removed(), in_base) {
                // It came and went since.
                (true, false) => continue,
                (true, true) => removed += 1,
                (false, true) => changed += 1,
                (false, false) => added += 1,
            }
            kept.push(item);
        }
        collection.items = kept;
        collection.check_ids(base, source)?;
        let ground = Ground {
            generation: base.header().generation,
            hash: *base.hash(),
            keys_in_all: (base.header().records + added).saturating_sub(removed),
        };
        Ok(Self { collection, ground, added, changed, removed })
    }

    /// How many keys the base does not have.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// How many keys of the base are given anew.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// How many keys of the base are gone.
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// How many keys there are in all.
    pub fn keys(&self) -> u64 {
        self.ground.keys_in_all
    }

    /// Writes the delta to `output`, from its start, and returns its header. Nothing is flushed to a disk: that is
    /// the publisher's.
    pub fn write<W: Write + Seek>(
        &self,
        stamp: Stamp,
        output: &mut W,
        progress: &dyn Fn(Progress),
    ) -> Result<Header, BuildError> {
        if stamp.generation <= self.ground.generation {
            return Err(BuildError::NotNewer { base: self.ground.generation, asked: stamp.generation });
        }
        self.collection.write_over(self.ground, stamp, output, progress)
    }
}

/// Whether realms are those of `base`, and every pepper one of its.
fn check_same(base: &Snapshot, keys: &Collection) -> Result<(), BuildError> {
    let realms = serde_json::to_vec(&keys.configuration)
        .map_err(|error| BuildError::Write(io::Error::other(error)))?;
    if realms != base.realms_text()? {
        return Err(BuildError::Differs { what: "realms" });
    }
    let has = |(id, check): &(u32, [u8; 32])| {
        base.peppers().iter().any(|pepper| (pepper.id, pepper.check) == (*id, *check))
    };
    // Where there is no digest, none depends on a pepper.
    if keys.items.is_empty() || keys.peppers.iter().all(has) {
        Ok(())
    } else {
        Err(BuildError::Differs { what: "peppers" })
    }
}

impl Collection {
    /// Refuses an id that `base` has for another key which stays as it is, where that can be found out.
    fn check_ids(&self, base: &Snapshot, source: &Source<'_>) -> Result<(), BuildError> {
        let realms = self.realm_numbers();
        let bound: Vec<bool> = self.configuration.realms.iter().map(Realm::has_tokens).collect();
        let mut first: Option<(&Item, u16)> = None;
        for item in self.items.iter().filter(|item| !item.is_removed()) {
            let realm = realms.get(usize::from(item.credential())).copied().unwrap_or_default();
            if !bound.get(usize::from(realm)).copied().unwrap_or(false) {
                continue;
            }
            let Some(other) = base.find_id(realm, self.id(item))? else { continue };
            let other = base.digest(&other)?;
            let replaced = self.items.binary_search_by(|item| item.digest.cmp(other.as_bytes())).is_ok();
            if !replaced && first.is_none_or(|(first, _)| item.line < first.line) {
                first = Some((item, realm));
            }
        }
        let Some((item, realm)) = first else { return Ok(()) };
        let realm = self.configuration.realms.get(usize::from(realm)).map(|realm| realm.name.clone());
        let error = LineError::IdInBase { id: self.id(item).to_owned(), realm: realm.unwrap_or_default() };
        Err(BuildError::Line { file: source.name.to_owned(), line: item.line.into(), error })
    }
}
