//! A snapshot put in its place, or a delta in its own beside it, so that whoever looks finds the old one whole or
//! the new one whole.
//!
//! It happens in two steps, and whoever keeps a record of what was published writes it between them: a file is
//! staged, which is to say complete and on the disk under a name that nobody looks at, and then renamed.

use super::{BuildError, Draft, Stamp};
use crate::format::header::{FormatError, Header};
use crate::format::{HASH_LENGTH, PAGE};
use crate::memory::{Bytes, Mode, open_file};
use crate::signature::SigningKey;
use crate::snapshot::{Check, Delta, Snapshot, delta_path};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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

/// What a file is, and so where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A full snapshot.
    Full,
    /// A delta on one.
    Delta,
}

/// A file that is complete and on the disk, and waits to be put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    form: Form,
    header: Header,
    hash: [u8; HASH_LENGTH],
}

impl Staged {
    /// What it says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hash that stands for all of it.
    pub const fn hash(&self) -> &[u8; HASH_LENGTH] {
        &self.hash
    }
}

/// Holds the place of one snapshot, and that of the delta beside it. While it lives, no other publisher has them; a
/// crash releases them.
pub struct Publisher {
    path: PathBuf,
    delta_path: PathBuf,
    directory: PathBuf,
    temporary: PathBuf,
    delta_temporary: PathBuf,
    draft: PathBuf,
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

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
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
        // Whoever can read the file can hold a lock on it: nobody else may.
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(io_error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PublishError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io_error(&lock_path)(error)),
        }
        let mut publisher = Self {
            path: path.to_owned(),
            delta_path: delta_path(path),
            temporary: sibling(".tmp"),
            delta_temporary: sibling(".delta.tmp"),
            draft: sibling(".draft.tmp"),
            directory,
            _lock: lock,
            current: Ok(None),
            delta: Ok(None),
        };
        publisher.look()?;
        Ok(publisher)
    }

    /// Reads once more what stands there.
    pub fn look(&mut self) -> Result<(), PublishError> {
        self.current = read_full(&self.path)?;
        self.delta = read_delta(&self.delta_path)?;
        Ok(())
    }

    /// What is wrong with what stands there, and with the delta beside it, where it is none of ours.
    pub fn faults(&self) -> impl Iterator<Item = (&Path, &FormatError)> {
        let full = self.current.as_ref().err().map(|error| (self.path.as_path(), error));
        full.into_iter().chain(self.delta.as_ref().err().map(|error| (self.delta_path.as_path(), error)))
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

    /// The hash of the delta that lies beside it, if it is one on what stands there.
    pub fn delta_hash(&self) -> Option<&[u8; HASH_LENGTH]> {
        self.delta()?;
        self.any_delta_hash()
    }

    /// The newest generation that stands there.
    pub fn newest(&self) -> Option<u64> {
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
        let published = self.publish_as(Form::Full, generation, going_back, write)?;
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
        if self.full().is_none() {
            return Err(PublishError::NoBase { path: self.path.clone() });
        }
        self.publish_as(Form::Delta, generation, going_back, write)
    }

    fn publish_as(
        &self,
        form: Form,
        generation: u64,
        going_back: bool,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Published, PublishError> {
        let replaced = self.newest();
        if let Some(found) = replaced.filter(|found| generation <= *found && !going_back) {
            return Err(PublishError::Stale { path: self.path.clone(), found, asked: generation });
        }
        let staged = self.stage(form, write)?;
        self.put(&staged).inspect_err(|_| {
            let _ = fs::remove_file(self.temporary(form));
        })?;
        Ok(Published { header: staged.header, replaced })
    }

    fn temporary(&self, form: Form) -> &Path {
        match form {
            Form::Full => &self.temporary,
            Form::Delta => &self.delta_temporary,
        }
    }

    /// Writes a file that [`Publisher::put`] can put in its place later, also from another process after this one
    /// was killed: a temporary file in the same directory, written, write-protected and synchronized.
    pub fn stage(
        &self,
        form: Form,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Staged, PublishError> {
        let staged = self.write_temporary(form, write).and_then(|header| {
            let error = match (form, header.base_generation) {
                (Form::Full, 0) | (Form::Delta, 1..) => {
                    let hash = Header::hash(&header.write()).unwrap_or_default();
                    return Ok(Staged { form, header, hash });
                }
                (Form::Full, base) => FormatError::IsDelta { base },
                (Form::Delta, 0) => FormatError::NotDelta,
            };
            Err(PublishError::Foreign { path: self.temporary(form).to_owned(), error })
        });
        if staged.is_err() {
            // What a failed attempt leaves behind is of no use. One that was killed leaves it for the
            // next, which writes over it.
            let _ = fs::remove_file(self.temporary(form));
        }
        staged
    }

    /// Where a [`Draft`] of this snapshot belongs.
    pub fn draft_path(&self) -> &Path {
        &self.draft
    }

    /// Stages what was written before, as the generation that it is to be from here on, signed with `keys`.
    ///
    /// `needs_delta`: earlier generations have what it lacks, since they were published after it was begun, and it will
    /// be put in its place with a delta that has all that ([`Publisher::put_both`]). No engine takes it without one.
    pub fn stage_draft(
        &self,
        mut draft: Draft,
        stamp: Stamp,
        needs_delta: bool,
        keys: &[SigningKey],
    ) -> Result<Staged, PublishError> {
        draft.stamp(stamp, needs_delta, keys)?;
        let header = draft.move_to(self.temporary(Form::Full))?;
        let hash = Header::hash(&header.write()).unwrap_or_default();
        Ok(Staged { form: Form::Full, header, hash })
    }

    /// Opens a staged file.
    pub fn open_staged(&self, staged: &Staged) -> Result<File, PublishError> {
        let path = self.temporary(staged.form);
        open_file(path).map_err(io_error(path))
    }

    /// What a publisher that was killed had staged, if it is there and whole.
    pub fn staged(&self, form: Form) -> Option<Staged> {
        let file = open_file(self.temporary(form)).ok()?;
        let bytes = Bytes::open(&file, Mode::Map).ok()?;
        let opened = match form {
            Form::Full => {
                Snapshot::open(bytes, Check::Whole).map(|full| (full.header().clone(), *full.hash()))
            }
            Form::Delta => {
                Delta::open(bytes).map(|delta| (delta.keys().header().clone(), *delta.keys().hash()))
            }
        };
        let (header, hash) = opened.ok()?;
        Some(Staged { form, header, hash })
    }

    /// Renames a staged file into its place, and synchronizes the directory. A delta must be one on what stood there
    /// when it was looked at last; one that lies beside a new full snapshot is left for [`Publisher::clear_delta`].
    pub fn put(&self, staged: &Staged) -> Result<(), PublishError> {
        let path = match staged.form {
            Form::Full => &self.path,
            Form::Delta => {
                let base = staged.header.base_generation;
                let (full, hash) =
                    self.full().ok_or_else(|| PublishError::NoBase { path: self.path.clone() })?;
                if staged.header.base_hash != *hash {
                    let (path, found) = (self.path.clone(), full.generation);
                    return Err(PublishError::OtherBase { path, base, found });
                }
                &self.delta_path
            }
        };
        fs::rename(self.temporary(staged.form), path).map_err(io_error(path))?;
        self.sync_directory()
    }

    /// Renames a staged full snapshot and a staged delta on it into their places.
    ///
    /// The delta first: until the snapshot is in its place, too, engines find a delta that is on another snapshot and
    /// newer than the one there, and wait a moment; then they stay with what they have. Whoever is killed in between
    /// leaves the snapshot staged.
    pub fn put_both(&self, full: &Staged, delta: &Staged) -> Result<(), PublishError> {
        if delta.header.base_hash != full.hash {
            let (path, base) = (self.path.clone(), delta.header.base_generation);
            return Err(PublishError::OtherBase { path, base, found: full.header.generation });
        }
        for (staged, path) in [(delta, &self.delta_path), (full, &self.path)] {
            fs::rename(self.temporary(staged.form), path).map_err(io_error(path))?;
        }
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), PublishError> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(io_error(&self.directory))
    }

    /// The hash of the delta that lies in its place, whatever it is one on.
    pub fn any_delta_hash(&self) -> Option<&[u8; HASH_LENGTH]> {
        self.delta.as_ref().ok()?.as_ref().map(|found| &found.hash)
    }

    /// Removes what lies beside the snapshot in a delta's place and is not a delta on it.
    pub fn clear_delta(&self) -> Result<(), PublishError> {
        if self.delta().is_some() || matches!(self.delta, Ok(None)) {
            return Ok(());
        }
        match fs::remove_file(&self.delta_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&self.delta_path)(error)),
            _ => Ok(()),
        }
    }

    fn write_temporary(
        &self,
        form: Form,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Header, PublishError> {
        let temporary = self.temporary(form);
        let mut file = new_file(temporary)?;
        let header = write(&mut file)?;
        protect(&file).map_err(io_error(temporary))?;
        Ok(header)
    }
}

/// A new file each time: what a killed publisher left may be write-protected.
pub(super) fn new_file(path: &Path) -> Result<File, PublishError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(path)(error)),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(io_error(path))
}

/// Nobody may write to it from here on, not even its owner: servers map it. The creation mode already went through the
/// umask, so this only takes rights away. What was written is on the disk then.
pub(super) fn protect(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o444;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// The full snapshot at `path`; an error inside where it is something else.
fn read_full(path: &Path) -> Result<Result<Option<InPlace>, FormatError>, PublishError> {
    Ok(match read_header(path).map_err(io_error(path))? {
        Ok(Some(found)) if found.header.is_delta() => {
            Err(FormatError::IsDelta { base: found.header.base_generation })
        }
        other => other,
    })
}

/// The delta at `path`; an error inside where it is something else.
fn read_delta(path: &Path) -> Result<Result<Option<InPlace>, FormatError>, PublishError> {
    Ok(match read_header(path).map_err(io_error(path))? {
        Ok(Some(found)) if !found.header.is_delta() => Err(FormatError::NotDelta),
        other => other,
    })
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
