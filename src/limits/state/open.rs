//! State files: found, made, and put in their place so that all who start at once use the same one.

use super::layout::{HEADER, Layout, MAGIC, MOST_SLOTS};
use crate::memory::{ReadWords, WORD, Words};
use crate::time::Timestamp;
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a state file is not used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The system refused.
    #[error("the state file {path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// There is something else at the path.
    #[error("{path} is not a state file of keyward, and is left as it is: name another path, or remove it")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Everybody may write to it.
    #[error(
        "the state file {path} has mode {mode:04o}, so that anybody may change what is counted; take the write permission of others away (chmod o-w)"
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// More slots than there may be, or none.
    #[error("a state file has 1 to {MOST_SLOTS} slots, not {found}")]
    Slots {
        /// The number that was asked for.
        found: usize,
    },
    /// It is one, but not one that this program can read. An engine replaces it; somebody who looks cannot.
    #[error("the state file {path} cannot be read: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Rows of realms in a new file, of which the first is for requests without one.
const REALMS: usize = 256;
/// Shards in a new file.
const SHARDS: usize = 16;

/// What was found at a path.
enum Found<T> {
    Nothing,
    /// One that has to be replaced, and why.
    Unusable(&'static str),
    Usable(T),
}

/// A state file that is open.
pub(super) struct Opened {
    pub(super) words: Words,
    pub(super) layout: Layout,
    pub(super) created: u64,
    /// Why the file that was there had to be replaced, where it had.
    pub(super) replaced: Option<&'static str>,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    |error| StateError::Io { path: path.to_owned(), error }
}

/// Opens the state file at `path`, or makes one with room for `slots` keys.
pub(super) fn open(path: &Path, slots: usize) -> Result<Opened, StateError> {
    if slots == 0 || slots > MOST_SLOTS {
        return Err(StateError::Slots { found: slots });
    }
    if let Found::Usable(opened) = find(path)? {
        return Ok(opened);
    }
    // One at a time from here on. A lock on the directory leaves nothing behind, and is gone with its holder.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent).map_err(io_error(parent))?;
    directory.lock().map_err(io_error(parent))?;
    let replaced = match find(path)? {
        Found::Usable(opened) => return Ok(opened),
        Found::Unusable(why) => Some(why),
        Found::Nothing => None,
    };
    make(path, Layout { slots, realms: REALMS, shards: SHARDS }).map_err(io_error(path))?;
    // The name is there at once for everybody on the machine; after a crash of it counts are lost anyway.
    let _ = directory.sync_all();
    match find(path)? {
        Found::Usable(opened) => Ok(Opened { replaced, ..opened }),
        Found::Unusable(why) => Err(StateError::Unusable { path: path.to_owned(), why }),
        Found::Nothing => Err(io_error(path)(Errno::NOENT.into())),
    }
}

/// Makes a state in memory without a name.
pub(super) fn inherited(slots: usize) -> Result<Opened, StateError> {
    if slots == 0 || slots > MOST_SLOTS {
        return Err(StateError::Slots { found: slots });
    }
    let layout = Layout { slots, realms: REALMS, shards: SHARDS };
    let made = || {
        let file = unnamed()?;
        let created = write_header(&file, layout)?;
        file.set_len(layout.bytes())?;
        Ok(Opened { words: Words::share(&file)?, layout, created, replaced: None })
    };
    made().map_err(io_error(Path::new("(memory)")))
}

/// A file that is in memory alone and has no name.
#[cfg(target_os = "linux")]
fn unnamed() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("keyward-state", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

fn find(path: &Path) -> Result<Found<Opened>, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let (file, length) = match look(path, &options)? {
        Found::Usable(file) => file,
        Found::Unusable(why) => return Ok(Found::Unusable(why)),
        Found::Nothing => return Ok(Found::Nothing),
    };
    // A hole in the file would be a bus error where the disk has no room for it.
    reserve(&file, length).map_err(io_error(path))?;
    let words = Words::share(&file).map_err(io_error(path))?;
    Ok(match Layout::read(&words, length) {
        Ok((layout, created)) => Found::Usable(Opened { words, layout, created, replaced: None }),
        Err(why) => Found::Unusable(why),
    })
}

/// The file at `path`, if it is a state file, and its length: at least a header.
fn look(path: &Path, options: &OpenOptions) -> Result<Found<(File, u64)>, StateError> {
    let foreign = || StateError::Foreign { path: path.to_owned() };
    let file = match options.clone().custom_flags(OFlags::NONBLOCK.bits() as i32).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Err(foreign()),
        Err(error) => return Err(io_error(path)(error)),
    };
    let metadata = file.metadata().map_err(io_error(path))?;
    if !metadata.is_file() {
        return Err(foreign());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(StateError::Writable { path: path.to_owned(), mode });
    }
    let mut first = [0; WORD];
    let length = metadata.len();
    let read = length.min(WORD as u64) as usize;
    let head = first.get_mut(..read).unwrap_or_default();
    file.read_exact_at(head, 0).map_err(io_error(path))?;
    if u64::from_ne_bytes(first) == MAGIC {
        if length < (HEADER * WORD) as u64 {
            return Ok(Found::Unusable("it has been cut short"));
        }
        return Ok(Found::Usable((file, length)));
    }
    // What a crash of the machine leaves of a new file. Nobody can miss it.
    if first == [0; WORD] && is_zero(&file, length).map_err(io_error(path))? {
        return Ok(Found::Unusable("it holds nothing"));
    }
    Err(foreign())
}

/// Whether the first page holds nothing but zeros.
fn is_zero(file: &File, length: u64) -> io::Result<bool> {
    let mut page = vec![0; length.min((HEADER * WORD) as u64) as usize];
    file.read_exact_at(&mut page, 0)?;
    Ok(page.iter().all(|&byte| byte == 0))
}

/// For somebody who only looks: the words of the state file at `path`.
pub(super) fn open_reader(path: &Path) -> Result<(crate::memory::WordReader, Layout, u64), StateError> {
    let unusable = |why| StateError::Unusable { path: path.to_owned(), why };
    let (file, length) = match look(path, OpenOptions::new().read(true))? {
        Found::Usable(file) => file,
        Found::Unusable(why) => return Err(unusable(why)),
        Found::Nothing => return Err(io_error(path)(Errno::NOENT.into())),
    };
    let words = crate::memory::WordReader::open(&file).map_err(io_error(path))?;
    if words.word(0) != MAGIC {
        return Err(unusable("it changed while it was opened"));
    }
    let (layout, created) = Layout::read(&words, length).map_err(unusable)?;
    Ok((words, layout, created))
}

/// Puts a new state at `path`, whole from the moment that it is there. The directory is locked.
fn make(path: &Path, layout: Layout) -> io::Result<()> {
    let name =
        path.file_name().ok_or(io::Error::new(io::ErrorKind::InvalidInput, "it does not name a file"))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".tmp");
    let temporary = path.with_file_name(temporary);
    // Left by somebody who was killed here: nobody else has the lock.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let made = fill(&temporary, layout).and_then(|()| fs::rename(&temporary, path));
    if made.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    made
}

fn fill(path: &Path, layout: Layout) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    reserve(&file, layout.bytes())?;
    write_header(&file, layout)?;
    file.sync_all()
}

/// Writes the words that never change, and returns when the state was made.
fn write_header(file: &File, layout: Layout) -> io::Result<u64> {
    let created = Timestamp::coarse_now().seconds();
    let header: Vec<u8> = layout.header(created).iter().flat_map(|word| word.to_ne_bytes()).collect();
    file.write_all_at(&header, 0)?;
    Ok(created)
}

/// Sees to it that a file has `length` bytes, all of them with a place on the disk. It never cuts one short.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        // A file system that cannot: bytes that are not there yet are written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let mut end = file.metadata()?.len();
            let zeros = vec![0; 1 << 16];
            let mut file = file;
            io::Seek::seek(&mut file, io::SeekFrom::Start(end))?;
            while end < length {
                let count = (length - end).min(zeros.len() as u64);
                file.write_all(zeros.get(..count as usize).unwrap_or_default())?;
                end += count;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
