//! New generations, and what becomes of old ones.

use super::Options;
use super::admission::{Known, check_follows, check_signed, serve};
use super::cell::Cell;
use crate::gates::{Plan, PlanError};
use crate::keyring::Keyring;
use crate::limits::{State as Counters, StateError, StateInfo};
use crate::memory::{Bytes, open_file};
use crate::signature::{Fingerprint, SignatureError};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::time::SteadyClock;
use parking_lot::Mutex;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// Why a snapshot did not take over. The last good generation goes on.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not a snapshot that can be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Nobody signed it who may publish.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It cannot be used with this keyring.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It is older than what is there.
    #[error(
        "the snapshot has generation {found}, and generation {current} is in use: it would go back; publish a newer one"
    )]
    Older {
        /// The generation that was found.
        found: u64,
        /// The generation in use.
        current: u64,
    },
    /// It says that it is what is there, and is not.
    #[error(
        "the snapshot has generation {generation}, which is in use, with other bytes: publish it with a new generation"
    )]
    Conflict {
        /// The generation.
        generation: u64,
    },
    /// A process that shares the state file has served a newer one.
    #[error(
        "the snapshot has generation {found}, and generation {served} of the realm \"{realm}\" was served by a process that shares the state file: it would go back; publish a newer one"
    )]
    Served {
        /// The generation that was found.
        found: u64,
        /// The highest generation that was served.
        served: u64,
        /// The realm that it was served of.
        realm: String,
    },
    /// A process that shares the state file has served other bytes of the same generation.
    #[error(
        "the snapshot has generation {generation}, of which a process that shares the state file served other bytes of the realm \"{realm}\": publish it with a new generation"
    )]
    ServedOther {
        /// The generation.
        generation: u64,
        /// The realm.
        realm: String,
    },
    /// It has nothing that is in use.
    #[error(
        "the snapshot has none of the realms in use ({current}), but {found}: put the right file in its place, or restart to use this one"
    )]
    OtherRealms {
        /// The realms that were found.
        found: String,
        /// The realms in use.
        current: String,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine was made from memory and has no file to look at.
    #[error("the engine was opened from memory: hand it new bytes instead")]
    NoFile,
}

/// The errors that a file with the same bytes would give again.
#[derive(Clone)]
enum Content {
    Snapshot(SnapshotError),
    Signature(SignatureError),
    Plan(PlanError),
    Older { found: u64, current: u64 },
    Conflict { generation: u64 },
    Served { found: u64, served: u64, realm: String },
    ServedOther { generation: u64, realm: String },
    OtherRealms { found: String, current: String },
}

impl Content {
    fn of(error: &ReloadError) -> Option<Self> {
        Some(match error {
            ReloadError::Snapshot(error) => Self::Snapshot(error.clone()),
            ReloadError::Signature(error) => Self::Signature(error.clone()),
            ReloadError::Plan(error) => Self::Plan(error.clone()),
            ReloadError::Served { found, served, realm } => {
                Self::Served { found: *found, served: *served, realm: realm.clone() }
            }
            ReloadError::ServedOther { generation, realm } => {
                Self::ServedOther { generation: *generation, realm: realm.clone() }
            }
            ReloadError::OtherRealms { found, current } => {
                Self::OtherRealms { found: found.clone(), current: current.clone() }
            }
            &ReloadError::Older { found, current } => Self::Older { found, current },
            &ReloadError::Conflict { generation } => Self::Conflict { generation },
            ReloadError::Io { .. } | ReloadError::State(_) | ReloadError::NoFile => return None,
        })
    }
}

impl From<Content> for ReloadError {
    fn from(content: Content) -> Self {
        match content {
            Content::Snapshot(error) => Self::Snapshot(error),
            Content::Signature(error) => Self::Signature(error),
            Content::Plan(error) => Self::Plan(error),
            Content::Served { found, served, realm } => Self::Served { found, served, realm },
            Content::ServedOther { generation, realm } => Self::ServedOther { generation, realm },
            Content::OtherRealms { found, current } => Self::OtherRealms { found, current },
            Content::Older { found, current } => Self::Older { found, current },
            Content::Conflict { generation } => Self::Conflict { generation },
        }
    }
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing: the file is the one in use.
    Unchanged,
    /// A new generation took over.
    Loaded {
        /// Its number.
        generation: u64,
        /// The one that it replaced.
        replaced: Option<u64>,
    },
}

/// What an engine decides from, and how its last reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The generation in use; `None`: every verdict is `unavailable`.
    pub loaded: Option<Loaded>,
    /// The last reload's error, until one succeeds.
    pub last_error: Option<LastError>,
    /// Generations that are not in use any more and are still held by somebody.
    pub retired: usize,
    /// Keys that the limiter has room for.
    pub limiter_slots: usize,
    /// Keys whose rate-limit state was given up because the limiter had no room
    /// ([`crate::limits::State::displaced`]).
    pub limiter_displaced: u64,
    /// The state file in use.
    pub state: Option<StateInfo>,
    /// Why the state file is not used, where it cannot be.
    pub state_error: Option<String>,
}

/// What is known of the generation in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its number.
    pub generation: u64,
    /// The generation that it is to be laid over; 0: it is whole.
    pub base_generation: u64,
    /// When it took over.
    pub since: SystemTime,
    /// Its keys.
    pub keys: u64,
    /// Its realms.
    pub realms: usize,
    /// Its bytes.
    pub length: u64,
    /// Who signed it, of those whose signature the keyring asks for; `None` where it asks for nobody's.
    pub signed_by: Option<Fingerprint>,
    /// When it was made, as it says itself; else when its file was last written.
    pub created: Option<SystemTime>,
    /// How long ago that was, by the clock that requests are decided by ([`super::Engine::now`]).
    pub age: Option<Duration>,
    /// The age past which it is no longer used.
    pub max_age: Option<Duration>,
    /// Whether its memory is the file's own, shared with other processes.
    pub mapped: bool,
    /// Whether all its pages have been checked.
    pub checked: bool,
    /// Whether a page was found damaged, so that every verdict is `unavailable`.
    pub damaged: bool,
}

/// An error, and when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The message.
    pub message: String,
    /// When.
    pub at: SystemTime,
}

/// Where snapshots come from.
pub(super) enum Origin {
    File(PathBuf),
    Memory,
}

/// What tells one file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

struct State {
    origin: Origin,
    /// The file that the current plan came from.
    identity: Option<Identity>,
    modified: Option<SystemTime>,
    /// When the current plan took over.
    since: SystemTime,
    /// Generations that were replaced. They are dropped here and nowhere else, once nobody holds them.
    graveyard: Vec<Arc<Plan>>,
    last_error: Option<LastError>,
    /// Who signed what the current plan came from.
    signed_by: Option<Fingerprint>,
    /// What was known of the marks when it took over.
    known: Known,
    /// The file that was refused last, and why: it is not read again until there is another, or a mark was moved
    /// back since, of which the number is the count.
    refused: Option<(Identity, Content, u64)>,
    state_error: Option<String>,
}

pub(super) struct Reloader {
    state: Mutex<State>,
    keyring: Arc<Keyring>,
    counters: Arc<Counters>,
    clock: Arc<SteadyClock>,
    options: Options,
}

impl Reloader {
    pub(super) fn new(
        origin: Origin,
        keyring: Arc<Keyring>,
        counters: Arc<Counters>,
        clock: Arc<SteadyClock>,
        options: Options,
    ) -> Self {
        let state = State {
            origin,
            identity: None,
            modified: None,
            since: SystemTime::UNIX_EPOCH,
            graveyard: Vec::new(),
            last_error: None,
            signed_by: None,
            known: Known::default(),
            refused: None,
            state_error: None,
        };
        Self { state: Mutex::new(state), keyring, counters, clock, options }
    }

    /// Remembers why the state file is not used.
    pub(super) fn note_state_error(&self, error: Option<StateError>) {
        self.state.lock().state_error = error.map(|error| error.to_string());
    }

    pub(super) fn reload(&self, cell: &Cell) -> Result<Reload, ReloadError> {
        let mut state = self.state.lock();
        let result = self.read_file(&mut state, cell);
        settle(&mut state, result)
    }

    pub(super) fn replace(&self, bytes: Vec<u8>, cell: &Cell) -> Result<Reload, ReloadError> {
        let mut state = self.state.lock();
        let result = self.take(&mut state, Bytes::owned(bytes), cell);
        if result.is_ok() {
            (state.origin, state.identity, state.modified) = (Origin::Memory, None, None);
        }
        settle(&mut state, result)
    }

    pub(super) fn check(&self, cell: &Cell) -> Result<(), ReloadError> {
        let result = cell.load().map_or(Ok(()), |plan| plan.snapshot().check());
        if let Err(error) = &result {
            self.state.lock().last_error = Some(last_error(error));
        }
        Ok(result?)
    }

    fn read_file(&self, state: &mut State, cell: &Cell) -> Result<Reload, ReloadError> {
        let Origin::File(path) = &state.origin else { return Err(ReloadError::NoFile) };
        let io_error = |error| ReloadError::Io { path: path.clone(), error };
        // Everything is asked of the open file, so that a rename in between changes nothing.
        let file = open_file(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        let identity = Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        // A file whose bytes went bad in memory is read again.
        let usable = cell.load().is_some_and(|plan| !plan.snapshot().is_damaged());
        if usable && state.identity == Some(identity) {
            return Ok(Reload::Unchanged);
        }
        let moves_back = self.counters.moves_back();
        if let Some((refused, why, moves)) = &state.refused
            && *refused == identity
            && *moves == moves_back
        {
            return Err(why.clone().into());
        }
        // Before the next one comes into memory, so that there are no more than two where nobody holds on to one.
        bury(&mut state.graveyard);
        let bytes = Bytes::open(&file, self.options.mode).map_err(io_error)?;
        let reload = self.take(state, bytes, cell).inspect_err(|error| {
            state.refused = Content::of(error).map(|why| (identity, why, moves_back));
        })?;
        (state.identity, state.modified) = (Some(identity), metadata.modified().ok());
        Ok(reload)
    }

    /// Lets the snapshot in `bytes` take over, if it may.
    fn take(&self, state: &mut State, bytes: Bytes, cell: &Cell) -> Result<Reload, ReloadError> {
        let signed = check_signed(&bytes, &self.keyring)?;
        let current = cell.load();
        let usable = current.as_ref().is_some_and(|plan| !plan.snapshot().is_damaged());
        // With nothing to stay with, a fast start is worth more than finding damage early: no verdict
        // comes from a page that was not checked.
        let snapshot = match &current {
            Some(plan) if usable => Snapshot::open_like(bytes, plan.snapshot())?,
            _ => Snapshot::open(bytes, self.options.check)?,
        };
        signed.as_ref().map_or(Ok(()), |signed| signed.check(&snapshot))?;
        let generation = snapshot.header().generation;
        let replaced = current.as_ref().map(|plan| plan.snapshot().header().generation);
        if let Some(plan) = &current {
            let same = plan.snapshot().hash() == snapshot.hash();
            if same && usable {
                return Ok(Reload::Unchanged);
            }
            if !self.options.going_back && !state.known.was_moved_back(&self.counters) {
                check_follows(plan, &snapshot)?;
            }
        }
        drop(current);
        let mut plan = Plan::new(snapshot, Arc::clone(&self.keyring))?;
        plan.count_in(&self.counters);
        // The last thing that can refuse it: from here on it is served.
        state.known = serve(&plan, &self.counters, self.options.going_back)?;
        state.signed_by = signed.map(|signed| signed.by);
        state.graveyard.extend(cell.replace(Arc::new(plan)));
        state.since = SystemTime::now();
        Ok(Reload::Loaded { generation, replaced })
    }

    pub(super) fn info(&self, cell: &Cell) -> Info {
        let state = self.state.lock();
        let now = self.clock.now();
        let now = Duration::new(now.seconds(), now.subsecond_nanoseconds());
        let now = SystemTime::UNIX_EPOCH.checked_add(now);
        let loaded = cell.load().map(|plan| {
            let snapshot = plan.snapshot();
            let header = snapshot.header();
            let seconds = |seconds: u64| (seconds != 0).then(|| Duration::from_secs(seconds));
            let stated = seconds(header.created).and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            let created = stated.or(state.modified);
            Loaded {
                generation: header.generation,
                base_generation: header.base_generation,
                since: state.since,
                keys: header.records,
                realms: snapshot.realms().len(),
                length: header.file_length,
                signed_by: state.signed_by,
                created,
                age: created.and_then(|created| now?.duration_since(created).ok()),
                max_age: seconds(header.max_age),
                mapped: snapshot.is_mapped(),
                checked: snapshot.is_checked(),
                damaged: snapshot.is_damaged(),
            }
        });
        Info {
            loaded,
            last_error: state.last_error.clone(),
            retired: state.graveyard.len(),
            limiter_slots: self.counters.limiter_slots(),
            limiter_displaced: self.counters.displaced(),
            state: self.counters.info(),
            state_error: state.state_error.clone(),
        }
    }
}

fn last_error(error: &impl ToString) -> LastError {
    LastError { message: error.to_string(), at: SystemTime::now() }
}

/// Remembers how a reload went, and buries the generations that nobody holds any more.
fn settle(state: &mut State, result: Result<Reload, ReloadError>) -> Result<Reload, ReloadError> {
    state.last_error = result.as_ref().err().map(last_error);
    bury(&mut state.graveyard);
    result
}

/// Drops the generations that nobody holds.
fn bury(graveyard: &mut Vec<Arc<Plan>>) {
    // A plan with one owner is held by the graveyard alone: the cell gave it up, and paid what readers
    // had only borrowed when it did. Nobody can get hold of it any more.
    graveyard.retain(|plan| Arc::strong_count(plan) > 1);
}
