//! A snapshot put in its place, or a delta in its own beside it, so that whoever looks finds the old one whole or
//! the new one whole.

use super::BuildError;
use crate::format::header::{FormatError, Header};
use crate::format::{HASH_LENGTH, PAGE};
use crate::memory::open_file;
use crate::snapshot::delta_path;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why nothing was published. What stood there before still does.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Another publisher is at work on the same file.
    #[error("{path}: somebody else is publishing to it at this moment; try again")]
    Busy {
        /// The snapshot.
        path: PathBuf,
    },
    /// What stands there is not a snapshot.
    #[error("{path}: {error} (remove the file, or name the generation, to replace it)")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FormatError,
    },
    /// What stands there is as new or newer.
    #[error(
        "{path} has generation {found}; generation {asked} would go back (ask for it to replace it all the same)"
    )]
    Stale {
        /// The file.
        path: PathBuf,
        /// Its generation.
        found: u64,
        /// The generation that was to be published.
        asked: u64,
    },
    /// There is no full snapshot that a delta could be laid over.
    #[error("{path}: there is no snapshot here that a delta could be laid over: publish a full one")]
    NoBase {
        /// Where it should be.
        path: PathBuf,
    },
    /// The delta is one on another snapshot.
    #[error(
        "{path}: the delta is one on generation {base}, and generation {found}, or another file of that number, is in place: \
         build it on that, or publish a full one"
    )]
    OtherBase {
        /// The snapshot.
        path: PathBuf,
        /// The generation that the delta is to be laid over.
        base: u64,
        /// The generation in place.
        found: u64,
    },
    /// The snapshot could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The header of the new file.
    pub header: Header,
    /// The generation that stood there before.
    pub replaced: Option<u64>,
}

/// Holds the place of one snapshot, and that of the delta beside it. While it lives, no other publisher has them; a
/// crash releases them.
pub struct Publisher {
    path: PathBuf,
    delta_path: PathBuf,
    directory: PathBuf,
    temporary: PathBuf,
    /// Locked. It is a file of its own, and stays: a lock on the file that is renamed would end up on
    /// the live snapshot.
    _lock: File,
    current: Result<Option<InPlace>, FormatError>,
    delta: Result<Option<InPlace>, FormatError>,
}

/// What stands in a place.
struct InPlace {
    header: Header,
    hash: [u8; HASH_LENGTH],
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    |error| PublishError::Io { path: path.to_owned(), error }
}

impl Publisher {
    /// Takes the place of the snapshot at `path`, and reads what stands there.
    pub fn lock(path: &Path) -> Result<Self, PublishError> {
        let name = path.file_name().ok_or_else(|| PublishError::Io {
            path: path.to_owned(),
            error: io::Error::new(io::ErrorKind::InvalidInput, "it does not name a file"),
        })?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let sibling = |suffix: &str| {
            let mut sibling = OsString::from(".");
            sibling.push(name);
            sibling.push(suffix);
            directory.join(sibling)
        };
        let lock_path = sibling(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io_error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PublishError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io_error(&lock_path)(error)),
        }
        let current = match read_header(path).map_err(io_error(path))? {
            Ok(Some(found)) if found.header.is_delta() => {
                Err(FormatError::IsDelta { base: found.header.base_generation })
            }
            other => other,
        };
        let delta_path = delta_path(path);
        let delta = match read_header(&delta_path).map_err(io_error(&delta_path))? {
            Ok(Some(found)) if !found.header.is_delta() => Err(FormatError::NotDelta),
            other => other,
        };
        let (path, temporary) = (path.to_owned(), sibling(".tmp"));
        Ok(Self { path, delta_path, directory, temporary, _lock: lock, current, delta })
    }

    /// The header of the full snapshot that stands there, and its hash; `None` where there is none, or what is there
    /// is not one.
    pub fn full(&self) -> Option<(&Header, &[u8; HASH_LENGTH])> {
        self.current.as_ref().ok()?.as_ref().map(|found| (&found.header, &found.hash))
    }

    /// The header of the delta that lies beside it, if it is one on what stands there.
    pub fn delta(&self) -> Option<&Header> {
        let (_, hash) = self.full()?;
        let delta = self.delta.as_ref().ok()?.as_ref()?;
        (delta.header.base_hash == *hash).then_some(&delta.header)
    }

    /// The newest generation that stands there.
    fn newest(&self) -> Option<u64> {
        let generation = |place: &Result<Option<InPlace>, FormatError>| {
            Some(place.as_ref().ok()?.as_ref()?.header.generation)
        };
        generation(&self.current).max(generation(&self.delta))
    }

    /// The generation that follows what stands there; an error where that is no snapshot.
    pub fn next_generation(&self) -> Result<u64, PublishError> {
        let foreign = |path: &Path, error: &FormatError| PublishError::Foreign {
            path: path.to_owned(),
            error: error.clone(),
        };
        self.current.as_ref().map_err(|error| foreign(&self.path, error))?;
        self.delta.as_ref().map_err(|error| foreign(&self.delta_path, error))?;
        Ok(self.newest().map_or(1, |generation| generation.saturating_add(1)))
    }

    /// Puts what `write` writes in the snapshot's place: a temporary file in the same directory, written,
    /// synchronized, write-protected and renamed, and the directory synchronized. The delta that lies beside it is
    /// removed, since it is one on what was there before.
    ///
    /// A generation that is not newer than what stands there is refused, unless `going_back` allows it.
    pub fn publish(
        &self,
        generation: u64,
        going_back: bool,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Published, PublishError> {
        let check = |header: &Header| match header.base_generation {
            0 => Ok(()),
            base => {
                let error = FormatError::IsDelta { base };
                Err(PublishError::Foreign { path: self.temporary.clone(), error })
            }
        };
        let published = self.put(&self.path, generation, going_back, write, check)?;
        // Not before: engines that look in between must not take the old snapshot for whole without its delta.
        // Where it stays, engines pass over it, as long as it is older.
        let _ = fs::remove_file(&self.delta_path);
        Ok(published)
    }

    /// Puts the delta that `write` writes in its place beside the snapshot, in the same way.
    ///
    /// It must be one on the snapshot that stands there.
    pub fn publish_delta(
        &self,
        generation: u64,
        going_back: bool,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Published, PublishError> {
        let path = || self.path.clone();
        let (full, hash) = self.full().ok_or_else(|| PublishError::NoBase { path: path() })?;
        let check = |header: &Header| {
            if header.is_delta() && header.base_hash == *hash {
                return Ok(());
            }
            let (base, found) = (header.base_generation, full.generation);
            Err(PublishError::OtherBase { path: path(), base, found })
        };
        self.put(&self.delta_path, generation, going_back, write, check)
    }

    /// Puts what `write` writes at `path`, if `check` finds nothing against it.
    fn put(
        &self,
        path: &Path,
        generation: u64,
        going_back: bool,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
        check: impl FnOnce(&Header) -> Result<(), PublishError>,
    ) -> Result<Published, PublishError> {
        let replaced = self.newest();
        if let Some(found) = replaced.filter(|found| generation <= *found && !going_back) {
            return Err(PublishError::Stale { path: self.path.clone(), found, asked: generation });
        }
        let result = self.write_temporary(write).and_then(|header| {
            check(&header)?;
            fs::rename(&self.temporary, path).map_err(io_error(path))?;
            File::open(&self.directory)
                .and_then(|directory| directory.sync_all())
                .map_err(io_error(&self.directory))?;
            Ok(Published { header, replaced })
        });
        if result.is_err() {
            // What a failed attempt leaves behind is of no use. One that was killed leaves it for the
            // next, which writes over it.
            let _ = fs::remove_file(&self.temporary);
        }
        result
    }

    fn write_temporary(
        &self,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Header, PublishError> {
        // A new file each time: what a killed publisher left may be write-protected.
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&self.temporary)(error));
            }
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&self.temporary);
        let mut file = file.map_err(io_error(&self.temporary))?;
        let header = write(&mut file)?;
        // Nobody may write to it from here on, not even its owner: servers map it. The creation mode
        // already went through the umask, so this only takes rights away.
        let protect = || {
            let mode = file.metadata()?.permissions().mode() & 0o444;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        };
        protect().map_err(io_error(&self.temporary))?;
        Ok(header)
    }
}

/// The header of the file at `path`, and its hash, if there is one.
fn read_header(path: &Path) -> io::Result<Result<Option<InPlace>, FormatError>> {
    let mut file = match open_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
        other => other?,
    };
    let length = file.metadata()?.len();
    let mut page = Vec::with_capacity(PAGE);
    file.by_ref().take(PAGE as u64).read_to_end(&mut page)?;
    Ok(Header::read(&page, length).and_then(|header| {
        let hash = Header::hash(&page).ok_or(FormatError::Empty)?;
        Ok(Some(InPlace { header, hash }))
    }))
}
