//! A full snapshot that is written before it is known which generation it will be.

use super::publish::{io_error, new_file, protect};
use super::{BuildError, PublishError, Stamp};
use crate::format::header::{Header, MINOR_OF_NEEDED_DELTAS};
use crate::signature::SigningKey;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A full snapshot in a file of its own, on the disk but for the generation that it will have. It takes long to make,
/// and meanwhile other generations may be published; giving it a number takes no time
/// ([`super::Publisher::stage_draft`]). Dropped, it is removed.
pub struct Draft {
    path: PathBuf,
    file: File,
    header: Header,
}

impl Draft {
    /// Has `write` write a full snapshot to a new file at `path`, in the place of what another draft left there. It
    /// may say any generation.
    pub fn write(
        path: &Path,
        write: impl FnOnce(&mut File) -> Result<Header, BuildError>,
    ) -> Result<Self, PublishError> {
        let file = new_file(path)?;
        // Whatever goes wrong from here on, the file is removed.
        let mut draft = Self { path: path.to_owned(), file, header: Header::default() };
        draft.header = write(&mut draft.file)?;
        draft.file.sync_all().map_err(io_error(path))?;
        Ok(draft)
    }

    /// What it says of itself; generation, time and signatures are not yet those that it will have.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Gives it its number, and has it signed anew.
    pub(super) fn stamp(
        &mut self,
        stamp: Stamp,
        needs_delta: bool,
        keys: &[SigningKey],
    ) -> Result<(), PublishError> {
        let Stamp { generation, created, max_age } = stamp;
        if needs_delta {
            self.header.needs_delta = true;
            self.header.minor = self.header.minor.max(MINOR_OF_NEEDED_DELTAS);
        }
        self.header.generation = generation;
        self.header.created = created;
        self.header.max_age = max_age;
        self.header.sign(keys).ok_or(BuildError::NotSigned)?;
        let mut write = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&self.header.write())
        };
        write().map_err(io_error(&self.path))
    }

    /// Moves the file to another place, for good, and returns what it says of itself. Nobody may write to it from here on.
    pub(super) fn move_to(self, path: &Path) -> Result<Header, PublishError> {
        protect(&self.file).and_then(|()| fs::rename(&self.path, path)).map_err(io_error(path))?;
        Ok(self.header.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // One that was moved is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}
