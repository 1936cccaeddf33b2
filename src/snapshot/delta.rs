//! A delta: what has changed since a full snapshot (docs/FORMAT.md section 7).

use super::view::{Damaged, Entry, Snapshot};
use super::{Check, SnapshotError};
use crate::digest::Digest;
use crate::format::header::{FormatError, Header, Kind};
use crate::memory::Bytes;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What the name of a delta has behind that of its base.
const SUFFIX: &str = ".delta";

/// Where the delta of the snapshot at `path` lies.
pub fn delta_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(SUFFIX);
    name.into()
}

/// Why a delta cannot be laid over a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeltaError {
    /// It is not a delta that can be used.
    #[error("the delta: {0}")]
    Snapshot(#[from] SnapshotError),
    /// It was made for another snapshot.
    #[error(
        "the delta of generation {generation} is one on generation {base}, and what lies beside it is generation \
         {found}, or another file of that number: publish the snapshot again"
    )]
    OtherBase {
        /// The generation of the delta.
        generation: u64,
        /// The generation that it is to be laid over.
        base: u64,
        /// The generation that is there.
        found: u64,
    },
    /// Its realms or its peppers are not those of the snapshot.
    #[error("the {what} of the delta are not those of its base: publish a full snapshot")]
    Differs {
        /// What.
        what: &'static str,
    },
    /// There is none on a snapshot that is whole only with one.
    #[error(
        "the snapshot of generation {generation} is whole only with the delta that was published with it, or a later \
         one on it, and none is there: put that beside it, or publish a full snapshot"
    )]
    Missing {
        /// The generation of the snapshot.
        generation: u64,
    },
}

impl From<FormatError> for DeltaError {
    fn from(error: FormatError) -> Self {
        Self::Snapshot(error.into())
    }
}

/// An open delta, all of which was checked.
///
/// By itself it decides nothing: [`super::Layers`] lays it over its base.
pub struct Delta(Snapshot);

/// What a delta says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone.
    Removed,
    /// It was added, or is now like this.
    Now(Entry),
}

impl Delta {
    /// Opens the delta that `bytes` are, for looking at it without its base.
    pub fn open(bytes: Bytes) -> Result<Self, SnapshotError> {
        let header = read_header(&bytes)?;
        Snapshot::open_any(bytes, header, Check::Whole, None).map(Self)
    }

    /// Opens the delta that `bytes` are, which must be one on `base`.
    pub fn open_on(bytes: Bytes, base: &Snapshot) -> Result<Self, DeltaError> {
        let header = read_header(&bytes)?;
        let own = base.header();
        if (header.base_generation, &header.base_hash) != (own.generation, base.hash()) {
            let (generation, base) = (header.generation, header.base_generation);
            return Err(DeltaError::OtherBase { generation, base, found: own.generation });
        }
        for (kind, what) in [(Kind::Realms, "realms"), (Kind::Peppers, "peppers")] {
            if !base.has_same(&header, kind) {
                return Err(DeltaError::Differs { what });
            }
        }
        let delta = Self(Snapshot::open_any(bytes, header, Check::Whole, Some(base))?);
        // Which of its keys the base has is not asked here: that would be a cache miss for each of them.
        let kept = own.records.checked_sub(delta.removed());
        let most = kept.and_then(|kept| kept.checked_add(delta.live()));
        let keys = delta.header().keys_in_all;
        if kept.is_none_or(|least| keys < least) || most.is_none_or(|most| keys > most) {
            return Err(FormatError::Malformed { what: "its number of keys in all cannot be" }.into());
        }
        Ok(delta)
    }

    /// Whether the delta that `header` heads is one on another full snapshot, of which `base` has taken in what it
    /// says. Such a delta is passed over.
    pub fn is_stale(header: &Header, base: &Snapshot) -> bool {
        let of_another = header.is_delta() && header.base_hash != *base.hash();
        of_another && header.generation <= base.header().generation
    }

    /// What the header says.
    pub const fn header(&self) -> &Header {
        self.0.header()
    }

    /// The keys that it adds or changes, with the names that their records go by. Keys that it removes are
    /// not among them.
    pub const fn keys(&self) -> &Snapshot {
        &self.0
    }

    /// How many keys it adds or changes.
    pub fn live(&self) -> u64 {
        self.header().section(Kind::Ids).items
    }

    /// How many keys it removes.
    pub fn removed(&self) -> u64 {
        // Opening has compared the two.
        self.header().records.saturating_sub(self.live())
    }

    /// What it says of the key with that digest, if anything.
    pub fn find(&self, digest: &Digest) -> Result<Option<Change>, Damaged> {
        let Some((slot, record)) = self.0.locate(digest)? else { return Ok(None) };
        if record.is_removed() {
            return Ok(Some(Change::Removed));
        }
        let packed = record.packed().ok_or_else(|| self.0.damaged())?;
        Ok(Some(Change::Now(Entry::new(slot, packed))))
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, FormatError> {
    let header = Header::read(bytes, bytes.len() as u64)?;
    if header.is_delta() { Ok(header) } else { Err(FormatError::NotDelta) }
}
