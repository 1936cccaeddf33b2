//! `keyward publish --watch`: published as soon as it has changed.
//!
//! Whatever it missed while it was not connected, or while nobody told it, it finds by itself: it compares the
//! numbers of changes, and a notification only makes it look sooner.

use super::brake::Doubt;
use super::round::Publishing;
use super::stop::Stop;
use super::{Rules, Settings};
use crate::failure::Failure;
use crate::keystore::place::{CONFIGURATION, KEYRING, PlaceArguments};
use crate::output::Output;
use keyward_keystore::Place;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long nothing is looked at where nobody tells of a change.
const LOOK: Duration = Duration::from_secs(1);
/// How long is waited before a fault is looked at again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What was read of configuration and keyring, and which files that was.
struct Followed<'f> {
    place: &'f PlaceArguments,
    rules: Arc<Rules>,
    files: Vec<Option<(u64, i64, i64, u64)>>,
}

impl<'f> Followed<'f> {
    fn new(place: &'f PlaceArguments) -> Result<Self, Failure> {
        let files = Self::look(place);
        Ok(Self { place, rules: Arc::new(Rules::read(place)?), files })
    }

    fn look(place: &PlaceArguments) -> Vec<Option<(u64, i64, i64, u64)>> {
        let identity = |path: PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
        };
        [CONFIGURATION, KEYRING].map(|name| identity(place.dir.join(name))).to_vec()
    }

    /// Reads the files again where they are others. Where they cannot be used, what was read before goes on.
    fn follow(&mut self) -> Result<(), Failure> {
        let files = Self::look(self.place);
        if files != self.files {
            self.files = files;
            self.rules = Arc::new(Rules::read(self.place)?);
        }
        Ok(())
    }
}

/// Says faults on standard error, each once for as long as it lasts.
#[derive(Default)]
struct Told(Option<String>);

impl Told {
    fn tell(&mut self, message: &str) {
        if self.0.as_deref() != Some(message) {
            let _ = writeln!(anstream::stderr(), "keyward: {message}");
            self.0 = Some(message.to_owned());
        }
    }

    fn good_again(&mut self) {
        if self.0.take().is_some() {
            let _ = writeln!(anstream::stderr(), "keyward: publishing again");
        }
    }
}

/// Publishes until it is ended. Nothing has to be done when it is: whatever the moment, the next one goes on.
pub(super) fn watch(
    arguments: &PlaceArguments,
    settings: &Settings,
    yes: bool,
    json: bool,
) -> Result<bool, Failure> {
    let place = arguments.place()?;
    let mut followed = Followed::new(arguments)?;
    let (mut told, mut pause, mut began) = (Told::default(), FIRST_WAIT, false);
    loop {
        let mut rounds = 0;
        let stop = follow(&place, settings, &mut followed, &mut told, yes, json, &mut rounds);
        began |= rounds > 0;
        if !(began || stop.passes() || matches!(stop, Stop::Held(_))) {
            return Err(stop.into());
        }
        told.tell(&format!("{stop}; trying again"));
        pause = if rounds > 0 { FIRST_WAIT } else { (pause * 2).min(LONGEST_WAIT) };
        thread::sleep(pause);
    }
}

/// Publishes for as long as nothing goes wrong. In between it holds no lock, so that somebody else can publish what
/// this one may not.
fn follow(
    place: &Place,
    settings: &Settings,
    followed: &mut Followed<'_>,
    told: &mut Told,
    yes: bool,
    json: bool,
    rounds: &mut u64,
) -> Stop {
    let mut work = || {
        let mut publishing = Publishing::begin(place, settings)?;
        loop {
            if let Err(failure) = followed.follow() {
                // Once: it is read again when it is another.
                let _ = writeln!(anstream::stderr(), "keyward: {}", failure.message());
            }
            let outcome = publishing.round(&followed.rules, &mut |_: &Doubt| yes)?;
            if *rounds == 0 || matches!(outcome, super::summary::Outcome::Published(_)) {
                outcome.write(&mut Output::new(), &settings.snapshot, json)?;
            }
            *rounds += 1;
            told.good_again();
            publishing.store().wait(outcome.change(), LOOK)?;
        }
    };
    let stopped: Result<std::convert::Infallible, Stop> = work();
    match stopped {
        Ok(never) => match never {},
        Err(stop) => stop,
    }
}
