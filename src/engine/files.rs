//! The files that a generation comes from: a full snapshot, and the delta beside it.

use super::refusal::ReloadError;
use crate::memory::{Bytes, Mode, open_file};
use crate::snapshot::delta_path;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How often files are looked at once more where others came in their place meanwhile.
pub(super) const ATTEMPTS: usize = 16;

/// What tells one file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What tells one pair of files from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) full: FileIdentity,
    pub(super) delta: Option<FileIdentity>,
}

/// An open file. Everything is asked of it and not of its name, so that a rename in between changes nothing.
struct Opened {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

impl Opened {
    fn open(path: &Path) -> Result<Self, ReloadError> {
        let opened = open_file(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| io_error(path, error))?;
        Ok(Self { path: path.to_owned(), file, metadata })
    }

    /// [`Opened::open`], where a file may be missing.
    fn open_if_there(path: &Path) -> Result<Option<Self>, ReloadError> {
        match Self::open(path) {
            Err(ReloadError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    fn identity(&self) -> FileIdentity {
        (&self.metadata).into()
    }

    fn bytes(&self, mode: Mode) -> Result<Bytes, ReloadError> {
        Bytes::open(&self.file, mode).map_err(|error| io_error(&self.path, error))
    }
}

fn io_error(path: &Path, error: io::Error) -> ReloadError {
    ReloadError::Io { path: path.to_owned(), error }
}

/// A full snapshot and the delta beside it, both open, which were in their places at one moment.
pub(super) struct Files {
    full: Opened,
    /// An error does not keep anybody from the full one.
    delta: Result<Option<Opened>, ReloadError>,
}

impl Files {
    /// Opens the files of the snapshot at `path`.
    ///
    /// Whoever publishes a full snapshot has it take in the delta before, which is then stale or gone. So the full
    /// one is looked at before the delta and after: where it is the same, both stood there when the delta was
    /// opened, and neither an old full one without its delta nor a new delta over an old full one is taken for
    /// what was published.
    pub(super) fn open(path: &Path) -> Result<Self, ReloadError> {
        let beside = delta_path(path);
        let mut full = Opened::open(path)?;
        for _ in 0..ATTEMPTS {
            let delta = Opened::open_if_there(&beside);
            let again = fs::metadata(path).map_err(|error| io_error(path, error))?;
            if FileIdentity::from(&again) == full.identity() {
                return Ok(Self { full, delta });
            }
            full = Opened::open(path)?;
        }
        let busy = "full snapshots are published faster than they can be looked at";
        Err(io_error(path, io::Error::new(ErrorKind::ResourceBusy, busy)))
    }

    /// What tells this pair from another.
    pub(super) fn identity(&self) -> Identity {
        let delta = self.delta.as_ref().ok().and_then(Option::as_ref);
        Identity { full: self.full.identity(), delta: delta.map(Opened::identity) }
    }

    /// Whether the pair is the one that was in use last. One whose delta cannot be opened is none.
    pub(super) fn are(&self, known: Option<Identity>) -> bool {
        self.delta.is_ok() && known == Some(self.identity())
    }

    /// When the newest of them was written.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        let delta = self.delta.as_ref().ok().and_then(Option::as_ref);
        delta.unwrap_or(&self.full).metadata.modified().ok()
    }

    /// The bytes of the full snapshot.
    pub(super) fn full(&self, mode: Mode) -> Result<Bytes, ReloadError> {
        self.full.bytes(mode)
    }

    /// The bytes of the delta, if there is one.
    pub(super) fn delta(self, mode: Mode) -> Result<Option<Bytes>, ReloadError> {
        self.delta?.map(|delta| delta.bytes(mode)).transpose()
    }
}
