//! The engine: a snapshot to decide from, replaced while others decide.
//!
//! ```no_run
//! use keyward::engine::{Engine, Options};
//! use keyward::keyring::Keyring;
//! use keyward::request::Request;
//!
//! let keyring = Keyring::load("keyring.toml".as_ref())?;
//! let engine = Engine::open("keys.kwd".as_ref(), keyring, Options::default())?;
//! let headers: &[(&[u8], &[u8])] = &[(b"Authorization", b"Bearer bk_live_0123456789abcdef")];
//! let verdict = engine.verify(&Request::new("billoget", headers));
//! if verdict.is_allowed() {
//!     println!("{:?} of {:?}", verdict.key_id(), verdict.tenant());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything may be called from any thread at any time. Verifying takes no lock, and for keys neither
//! allocates nor asks the system for anything.

mod admission;
mod cell;
mod files;
mod refusal;
mod reload;

pub use cell::Held;
pub use refusal::ReloadError;
pub use reload::{Info, LastError, Loaded, Reload};

use crate::gates::{self, Observer, Plan};
use crate::keyring::Keyring;
use crate::limits::{Counts, State, StateError};
use crate::request::{HeaderList, Request};
use crate::snapshot::{Check, Mode};
use crate::time::{SteadyClock, Timestamp};
use cell::Cell;
use reload::{Origin, Reloader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The verdict of [`Engine::verify`].
pub type Verdict<'r> = gates::Verdict<'r, Held>;

// What is no larger is moved in registers, and not by a call that copies.
const _: () = assert!(size_of::<Verdict<'_>>() <= 128);

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the snapshot comes into memory.
    pub mode: Mode,
    /// When its pages are checked.
    pub check: Check,
    /// Whether a reload may go back to an older generation, to other bytes of the same one, or to a snapshot that has
    /// none of the realms in use. With `state` this is for all processes that name it: whoever goes back moves the
    /// mark back that keeps the others from it.
    pub going_back: bool,
    /// Keys that the rate limiter has room for; twice as many as are active at one time is a good number.
    /// Each takes 16 bytes. With `state` this counts for nothing.
    pub limiter_slots: usize,
    /// A file in which rate limits and the use of each key are counted together with every other process that
    /// names it, and in which stands the highest generation of each realm that any of them has served: none of them
    /// goes back behind it. Made where it is not there. `None`: limits are this process's own, the use of keys is
    /// not counted, and a process that is started anew takes any generation.
    pub state: Option<PathBuf>,
    /// Without a file, whether rate limits, and what becomes of requests, are counted together with the processes
    /// that are forked from this one. The use of each key is not counted: nobody could look at it.
    pub state_inherited: bool,
    /// Keys that a new state has room for; twice as many as are active at one time is a good number. Each
    /// takes 448 bytes on disk. A file that is there keeps its own size.
    pub state_slots: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            check: Check::default(),
            going_back: false,
            limiter_slots: 1 << 17,
            state: None,
            state_inherited: false,
            state_slots: 1 << 16,
        }
    }
}

/// Decides requests from the newest good snapshot that it was given.
pub struct Engine {
    cell: Cell,
    state: Arc<State>,
    clock: Arc<SteadyClock>,
    reloader: Reloader,
}

impl Engine {
    /// An engine for the snapshot at `path`, which it does not look at yet: until [`Engine::reload`] has
    /// found a good one, every verdict is `unavailable`. For hosts that must start all the same: where the
    /// state file cannot be used, it counts in memory of its own, and [`Info::state_error`] says why.
    pub fn new(path: &Path, keyring: Keyring, options: Options) -> Self {
        let (engine, error) = Self::with(Origin::File(path.to_owned()), keyring, options);
        engine.reloader.note_state_error(error);
        engine
    }

    /// An engine for the snapshot at `path`, which must be good, and so must the state file.
    pub fn open(path: &Path, keyring: Keyring, options: Options) -> Result<Self, ReloadError> {
        let (engine, state_error) = Self::with(Origin::File(path.to_owned()), keyring, options);
        state_error.map_or(Ok(()), Err)?;
        engine.reload()?;
        Ok(engine)
    }

    /// An engine for a snapshot that is in memory.
    pub fn from_bytes(bytes: Vec<u8>, keyring: Keyring, options: Options) -> Result<Self, ReloadError> {
        let (engine, state_error) = Self::with(Origin::Memory, keyring, options);
        state_error.map_or(Ok(()), Err)?;
        engine.replace(bytes)?;
        Ok(engine)
    }

    fn with(origin: Origin, keyring: Keyring, options: Options) -> (Self, Option<StateError>) {
        // The first reading of the clock asks the system where it stands in this process's memory. Here,
        // so that no verify has to.
        let clock = Arc::new(SteadyClock::new());
        let _ = clock.now();
        let opened = match &options.state {
            Some(path) => State::open(path, options.state_slots),
            None if options.state_inherited => State::inherited(options.state_slots),
            None => Ok(State::private(options.limiter_slots)),
        };
        let (state, error) = match opened {
            Ok(state) => (state, None),
            Err(error) => (State::private(options.limiter_slots), Some(error)),
        };
        let state = Arc::new(state);
        let keyring = Arc::new(keyring);
        let reloader = Reloader::new(origin, keyring, Arc::clone(&state), Arc::clone(&clock), options);
        (Self { cell: Cell::empty(), state, clock, reloader }, error)
    }

    /// Decides one request.
    #[inline]
    pub fn verify<'r, H: HeaderList + ?Sized>(&self, request: &Request<'r, H>) -> Verdict<'r> {
        self.verify_from(self.cell.load(), request)
    }

    /// The plan of this moment, for [`Engine::verify_from`] when something has been looked up in it.
    #[cfg(feature = "capi")]
    pub(crate) fn hold(&self) -> Option<Held> {
        self.cell.load()
    }

    /// Decides one request from `plan`.
    #[inline]
    pub(crate) fn verify_from<'r, H: HeaderList + ?Sized>(
        &self,
        plan: Option<Held>,
        request: &Request<'r, H>,
    ) -> Verdict<'r> {
        Verdict::decide(plan, request, (&self.state, &self.clock), None, &mut gates::Silent)
    }

    /// Decides one request, and tells `observer` what each gate saw.
    pub fn explain<'r, H: HeaderList + ?Sized>(
        &self,
        request: &Request<'r, H>,
        observer: &mut impl Observer,
    ) -> Verdict<'r> {
        Verdict::decide(self.cell.load(), request, (&self.state, &self.clock), None, observer)
    }

    /// Holds on to the generation of this moment, to decide several requests from it.
    pub fn pin(&self) -> Pinned<'_> {
        Pinned { plan: self.cell.load(), state: &self.state, clock: &self.clock }
    }

    /// Takes the newest snapshot from the file, if it has changed, with the delta that lies beside it
    /// (`keys.kwd.delta` beside `keys.kwd`). Verifying goes on meanwhile, and a request sees one generation.
    /// Whatever is wrong with the files, the last good generation stays.
    ///
    /// The new one is checked whole before it takes over, except where there is none to stay with. A new delta is
    /// laid over the full snapshot that is in memory, which takes as long as the delta is large. Old
    /// generations are unmapped here, once nobody holds them, so that no request ever waits for it. One
    /// reload at a time: another thread's waits.
    pub fn reload(&self) -> Result<Reload, ReloadError> {
        self.reloader.reload(&self.cell)
    }

    /// The same as [`Engine::reload`] with a snapshot in memory, which then counts as the engine's origin.
    pub fn replace(&self, bytes: Vec<u8>) -> Result<Reload, ReloadError> {
        self.reloader.replace(bytes, &self.cell)
    }

    /// Lays a delta in memory over the full snapshot in use, in the place of the delta that is over it now. Both
    /// then count as the engine's origin.
    pub fn apply(&self, delta: Vec<u8>) -> Result<Reload, ReloadError> {
        self.reloader.apply(delta, &self.cell)
    }

    /// Checks every page of the current generation that was not checked yet, and brings it into memory.
    /// For a thread of the host's after a fast start; requests go on meanwhile.
    pub fn check(&self) -> Result<(), ReloadError> {
        self.reloader.check(&self.cell)
    }

    /// What it decides from at the moment, and how the last reload went.
    pub fn info(&self) -> Info {
        self.reloader.info(&self.cell)
    }

    /// What time it is where a request does not say. It goes forward with the system's real-time clock and never
    /// back, so that what had expired stays so as long as this engine lives.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What became of requests, by realm and reason: since this engine was made, or with a state file, since
    /// that was, in all processes that use it.
    pub fn counts(&self) -> Counts {
        self.state.counts()
    }
}

/// One generation, held on to.
///
/// Hold it for a batch, not for long: its memory stays until it is dropped.
pub struct Pinned<'e> {
    plan: Option<Held>,
    state: &'e State,
    clock: &'e SteadyClock,
}

/// How many lookups are under way at once in a batch: about as many cache misses as a core can wait for.
const LOOKUPS_AT_ONCE: usize = 16;

impl Pinned<'_> {
    /// The generation's number, where there is one.
    pub fn generation(&self) -> Option<u64> {
        Some(self.plan.as_deref()?.layers().header().generation)
    }

    /// The plan that it decides from, where there is one.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// Decides one request.
    pub fn verify<'r, 'p, H: HeaderList + ?Sized>(
        &'p self,
        request: &Request<'r, H>,
    ) -> gates::Verdict<'r, &'p Plan> {
        gates::Verdict::decide(
            self.plan.as_deref(),
            request,
            (self.state, self.clock),
            None,
            &mut gates::Silent,
        )
    }

    /// Decides requests in their order, with the memory that their lookups need under way side by side:
    /// each verdict is what [`Pinned::verify`] would have given. They are appended to `verdicts`.
    pub fn verify_batch<'r, 'p, H: HeaderList + ?Sized>(
        &'p self,
        requests: &[Request<'r, H>],
        verdicts: &mut Vec<gates::Verdict<'r, &'p Plan>>,
    ) {
        let plan = self.plan.as_deref();
        verdicts.reserve(requests.len());
        for group in requests.chunks(LOOKUPS_AT_ONCE) {
            let mut prepared = [const { None }; LOOKUPS_AT_ONCE];
            for (slot, request) in prepared.iter_mut().zip(group) {
                *slot = plan.and_then(|plan| gates::Prepared::of(plan, request));
            }
            for (slot, request) in prepared.iter().zip(group) {
                let prepared = slot.as_ref();
                verdicts.push(gates::Verdict::decide(
                    plan,
                    request,
                    (self.state, self.clock),
                    prepared,
                    &mut gates::Silent,
                ));
            }
        }
    }
}
