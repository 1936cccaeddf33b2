//! New generations, and what becomes of old ones.

use super::Options;
use super::admission::{Known, check_follows, check_signed, serve};
use super::cell::Cell;
use super::files::{ATTEMPTS, Files, Identity};
use super::refusal::{Content, ReloadError};
use crate::format::header::Header;
use crate::gates::Plan;
use crate::keyring::Keyring;
use crate::limits::{State as Counters, StateError, StateInfo};
use crate::memory::Bytes;
use crate::signature::Fingerprint;
use crate::snapshot::{Delta, DeltaError, Snapshot};
use crate::time::SteadyClock;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

/// How long a reload lets a publisher rename the second of two files before it looks once more, [`ATTEMPTS`] times at
/// most. A rename takes some microseconds; whoever is in the middle of two may have to wait for a processor.
const BETWEEN_RENAMES: Duration = Duration::from_millis(10);

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
    /// The generation of the full snapshot that the newest delta is laid over; 0: there is no delta.
    pub base_generation: u64,
    /// Keys that the delta adds, changes or removes.
    pub changes: u64,
    /// When it took over.
    pub since: SystemTime,
    /// Its keys.
    pub keys: u64,
    /// Its realms.
    pub realms: usize,
    /// Its bytes, the delta's with them.
    pub length: u64,
    /// Who signed its newest file, of those whose signature the keyring asks for; `None` where it asks for nobody's.
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

struct State {
    origin: Origin,
    /// The files that the current plan came from.
    identity: Option<Identity>,
    modified: Option<SystemTime>,
    /// When the current plan took over.
    since: SystemTime,
    /// Generations that were replaced. They are dropped here and nowhere else, once nobody holds them.
    graveyard: Vec<Arc<Plan>>,
    last_error: Option<LastError>,
    /// What was known of the marks when the current plan took over.
    known: Known,
    /// The files that were refused last, and why: they are not read again until there are others, or a mark was moved
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
        let result = self.take_full(&mut state, Bytes::owned(bytes), cell);
        settle_in_memory(&mut state, result)
    }

    pub(super) fn apply(&self, delta: Vec<u8>, cell: &Cell) -> Result<Reload, ReloadError> {
        let mut state = self.state.lock();
        let result = match cell.load() {
            Some(ground) => self
                .lay_over(&ground, Some(Bytes::owned(delta)))
                .and_then(|plan| self.swap(&mut state, plan, cell)),
            None => Err(ReloadError::NoBase),
        };
        settle_in_memory(&mut state, result)
    }

    pub(super) fn check(&self, cell: &Cell) -> Result<(), ReloadError> {
        let result = cell.load().map_or(Ok(()), |plan| plan.layers().check());
        if let Err(error) = &result {
            self.state.lock().last_error = Some(last_error(error));
        }
        Ok(result?)
    }

    /// Takes what stands in the files. Where that is refused, others may have come in their place meanwhile, which a
    /// process that shares the state file may serve already: then nothing is wrong, and they are looked at instead.
    /// A delta whose base is still to come is waited for, the first time that it is seen.
    fn read_file(&self, state: &mut State, cell: &Cell) -> Result<Reload, ReloadError> {
        let mut files = open_files(state)?;
        let refused_before = state.refused.as_ref().map(|(files, ..)| *files);
        for _ in 1..ATTEMPTS {
            let identity = files.identity();
            let refused = match self.take_newest(state, files, cell) {
                Err(refused) => refused,
                taken => return taken,
            };
            let may_come = awaits_base(&refused) && refused_before != Some(identity);
            if may_come {
                thread::sleep(BETWEEN_RENAMES);
            }
            match open_files(state) {
                Ok(newer) if may_come || newer.identity() != identity => files = newer,
                _ => return Err(refused),
            }
        }
        self.take_newest(state, files, cell)
    }

    /// Lets what stands in the files take over, if it is not what is in use or was refused before.
    fn take_newest(&self, state: &mut State, files: Files, cell: &Cell) -> Result<Reload, ReloadError> {
        // A file whose bytes went bad in memory is read again.
        let usable = is_usable(cell);
        if usable && files.are(state.identity) {
            return Ok(Reload::Unchanged);
        }
        let moves_back = self.counters.moves_back();
        if let Some((refused, why, moves)) = &state.refused
            && files.are(Some(*refused))
            && *moves == moves_back
        {
            return Err(why.clone().into());
        }
        // Before the next one comes into memory, so that there are no more than two where nobody holds on to one.
        bury(&mut state.graveyard);
        let identity = files.identity();
        let same_full = usable && state.identity.is_some_and(|known| known.full == identity.full);
        let reload = self.take_files(state, files, same_full, cell).inspect_err(|error| {
            state.refused = Content::of(error).map(|why| (identity, why, moves_back));
        })?;
        state.identity = Some(identity);
        Ok(reload)
    }

    /// Lets what stands in the files take over, if it may. `same_full`: the full snapshot in use came from the same
    /// file, and only the delta is another.
    fn take_files(
        &self,
        state: &mut State,
        files: Files,
        same_full: bool,
        cell: &Cell,
    ) -> Result<Reload, ReloadError> {
        let current = cell.load().filter(|_| is_usable(cell));
        let (full, modified) = (files.identity().full, files.modified());
        let opened =
            if same_full { None } else { Some(self.open_full(files.full(self.options.mode)?, cell)?) };
        let ground = match (&opened, &current) {
            // The same bytes in another file: what is in memory stays there.
            (Some(plan), Some(current)) if plan.layers().base().hash() == current.layers().base().hash() => {
                current
            }
            (Some(plan), _) => plan,
            (None, Some(current)) => &**current,
            (None, None) => return Err(ReloadError::NoBase),
        };
        let over = files.delta(self.options.mode).and_then(|bytes| {
            let bytes = bytes.filter(|bytes| !is_stale(bytes, ground));
            self.lay_over(ground, bytes)
        });
        let refused = match over {
            Ok(plan) => {
                let reload = self.swap(state, plan, cell)?;
                state.modified = modified;
                return Ok(reload);
            }
            Err(refused) => refused,
        };
        // The delta is no good. A newer full snapshot than what is in use is all the same, and whatever it revokes is
        // revoked. Where nothing is in use, nobody knows what the delta would have revoked.
        if let (Some(plan), Some(current)) = (opened, current) {
            let newer = generation(&plan) > generation(&current);
            drop(current);
            if newer && self.swap(state, plan, cell).is_ok() {
                state.modified = modified;
                state.identity = Some(Identity { full, delta: None });
            }
        }
        Err(refused)
    }

    fn take_full(&self, state: &mut State, bytes: Bytes, cell: &Cell) -> Result<Reload, ReloadError> {
        let plan = self.open_full(bytes, cell)?;
        self.swap(state, plan, cell)
    }

    /// Opens a full snapshot that was signed by somebody who may publish, and makes it ready.
    fn open_full(&self, bytes: Bytes, cell: &Cell) -> Result<Plan, ReloadError> {
        let signed = check_signed(&bytes, &self.keyring)?;
        // With nothing to stay with, a fast start is worth more than finding damage early: no verdict
        // comes from a page that was not checked.
        let snapshot = match cell.load() {
            Some(plan) if !plan.layers().is_damaged() => Snapshot::open_like(bytes, plan.layers().base())?,
            _ => Snapshot::open(bytes, self.options.check)?,
        };
        signed.check(snapshot.hash())?;
        Ok(Plan::new(snapshot, Arc::clone(&self.keyring), &self.counters)?)
    }

    /// Lays a delta that was signed by somebody who may publish over the full snapshot of `ground`; none at all leaves
    /// that alone.
    fn lay_over(&self, ground: &Plan, delta: Option<Bytes>) -> Result<Plan, ReloadError> {
        let signed = delta.as_ref().map(|bytes| check_signed(bytes, &self.keyring));
        let signed = signed.transpose().map_err(|error| match error {
            ReloadError::Snapshot(error) => DeltaError::Snapshot(error).into(),
            other => other,
        })?;
        let plan = ground.with_delta(delta)?;
        if let (Some(signed), (_, Some(hash))) = (signed, plan.layers().hashes()) {
            signed.check(hash)?;
        }
        Ok(plan)
    }

    /// Puts `plan` in the place of the current one, unless that is the same or would be going back.
    fn swap(&self, state: &mut State, plan: Plan, cell: &Cell) -> Result<Reload, ReloadError> {
        let found = generation(&plan);
        plan.layers().check_whole()?;
        let mut replaced = None;
        if let Some(in_use) = cell.load() {
            let same = in_use.layers().hashes() == plan.layers().hashes();
            if same && !in_use.layers().is_damaged() {
                return Ok(Reload::Unchanged);
            }
            if !self.options.going_back && !state.known.was_moved_back(&self.counters) {
                check_follows(&in_use, &plan)?;
            }
            replaced = Some(generation(&in_use));
        }
        // The last thing that can refuse it: from here on it is served.
        state.known = serve(&plan, &self.counters, self.options.going_back)?;
        state.graveyard.extend(cell.replace(Arc::new(plan)));
        state.since = SystemTime::now();
        Ok(Reload::Loaded { generation: found, replaced })
    }

    pub(super) fn info(&self, cell: &Cell) -> Info {
        let state = self.state.lock();
        let now = self.clock.now();
        let now = Duration::new(now.seconds(), now.subsecond_nanoseconds());
        let now = SystemTime::UNIX_EPOCH.checked_add(now);
        let loaded = cell.load().map(|plan| {
            let layers = plan.layers();
            let header = layers.header();
            let seconds = |seconds: u64| (seconds != 0).then(|| Duration::from_secs(seconds));
            let stated = seconds(header.created).and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            let created = stated.or(state.modified);
            Loaded {
                generation: header.generation,
                base_generation: header.base_generation,
                since: state.since,
                changes: layers.delta().map_or(0, |delta| delta.header().records),
                keys: header.keys(),
                realms: layers.base().realms().len(),
                length: layers.length(),
                signed_by: self.keyring.signer(&header.signatures),
                created,
                age: created.and_then(|created| now?.duration_since(created).ok()),
                max_age: seconds(header.max_age),
                mapped: layers.base().is_mapped(),
                checked: layers.is_checked(),
                damaged: layers.is_damaged(),
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

/// Opens what stands in the files at this moment.
fn open_files(state: &State) -> Result<Files, ReloadError> {
    match &state.origin {
        Origin::File(path) => Files::open(path),
        Origin::Memory => Err(ReloadError::NoFile),
    }
}

/// Whether a delta is there whose base is newer than the snapshot beside it: a publisher that puts both in their places
/// has renamed the one, and not yet the other.
const fn awaits_base(refused: &ReloadError) -> bool {
    matches!(refused, ReloadError::Delta(DeltaError::OtherBase { base, found, .. }) if *base > *found)
}

fn generation(plan: &Plan) -> u64 {
    plan.layers().header().generation
}

/// Whether there is a plan that can be decided from.
fn is_usable(cell: &Cell) -> bool {
    cell.load().is_some_and(|plan| !plan.layers().is_damaged())
}

/// Whether the delta that `bytes` are was made for another full snapshot than that of `ground`, which has taken
/// in what it says. Where they are no delta, whoever opens them says so.
fn is_stale(bytes: &Bytes, ground: &Plan) -> bool {
    Header::read(bytes, bytes.len() as u64).is_ok_and(|delta| Delta::is_stale(&delta, ground.layers().base()))
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

/// The same, where the bytes were handed in: from then on they are the origin.
fn settle_in_memory(state: &mut State, result: Result<Reload, ReloadError>) -> Result<Reload, ReloadError> {
    if result.is_ok() {
        (state.origin, state.identity, state.modified) = (Origin::Memory, None, None);
    }
    settle(state, result)
}

/// Drops the generations that nobody holds.
fn bury(graveyard: &mut Vec<Arc<Plan>>) {
    // A plan with one owner is held by the graveyard alone: the cell gave it up, and paid what readers
    // had only borrowed when it did. Nobody can get hold of it any more.
    graveyard.retain(|plan| Arc::strong_count(plan) > 1);
}
