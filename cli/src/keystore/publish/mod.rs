//! `keyward publish`: what the keystore holds, put where servers look for it.

mod brake;
mod finish;
mod fold;
mod gather;
mod kept;
mod round;
mod stop;
mod summary;
mod watch;

use crate::failure::Failure;
use crate::keystore::place::PlaceArguments;
use crate::output::Output;
use crate::units;
use brake::{Consent, Doubt};
use clap::Args;
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use round::Publishing;
pub(crate) use round::{configuration_hash, hex};
use std::io::{self, BufRead, IsTerminal, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

/// Publish the keystore as a snapshot, or as a delta where that is smaller
///
/// The generation is counted by the keystore, which notes every publication. A file is written and synced first,
/// then noted, then renamed into its place, so that servers find the old generation whole or the new one whole,
/// whatever happens meanwhile, and no generation ever has two contents. Whoever publishes next finishes what was
/// noted and not put in its place.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward publish
  keyward publish --dir /etc/keyward -o /srv/keyward/keys.kwd --max-age 12h
  keyward publish --watch --store postgres://keyward@db/keyward

Exit codes: 0 published, or nothing had changed; 1 held back, since too many keys would go or
what is in place is not what this keystore has published, and nobody said yes; 2 the command
line is wrong; 3 nothing was published, because of a file or the keystore (the message says).")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// The snapshot to publish; a delta lies beside it [default: keys.kwd in the folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Stay, and publish whenever the keystore changes
    #[arg(long)]
    watch: bool,
    /// Write a full snapshot, even if nothing has changed
    #[arg(long, conflicts_with = "watch")]
    full: bool,
    /// Publish whatever is about to go
    #[arg(long)]
    yes: bool,
    /// Ask before more than this share of the keys is removed or revoked at once, in percent (and more than 20)
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    brake: u8,
    /// Replaced snapshots that are kept beside the new one, each with its last delta
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    /// The age past which engines refuse to decide from it: seconds, or with a unit: 90s, 15m, 12h, 7d; with --watch
    /// it is published anew at half of that [default: none]
    #[arg(long, value_name = "SPAN", value_parser = units::span)]
    max_age: Option<u64>,
    /// Threads to work with [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// With --watch: keys of a delta past which a full snapshot is made beside it, while deltas go on [default: 10000]
    #[arg(long, value_name = "N", requires = "watch")]
    fold: Option<u64>,
    /// Print what was published as one JSON object, on a line
    #[arg(long)]
    json: bool,
}

/// How to publish.
pub(crate) struct Settings {
    pub(crate) snapshot: PathBuf,
    pub(crate) full: bool,
    pub(crate) brake: u8,
    pub(crate) keep: usize,
    pub(crate) max_age: u64,
    pub(crate) threads: Option<NonZero<usize>>,
    /// How many keys of a delta are folded into a full snapshot while deltas go on; `None`: that is not done.
    pub(crate) fold: Option<u64>,
}

/// What is folded where nobody says another number: so soon that the fold is done before deltas take long.
const FOLD: u64 = 10_000;

/// What keys are held against.
pub(crate) struct Rules {
    pub(crate) configuration: Configuration,
    pub(crate) keyring: Keyring,
}

impl Rules {
    pub(crate) fn read(place: &PlaceArguments) -> Result<Self, Failure> {
        let configuration = place.configuration()?;
        let keyring = place.keyring(&configuration)?;
        Ok(Self { configuration, keyring })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let Arguments { place, output, full, brake, keep, max_age, threads, watch, fold, .. } = arguments;
    let settings = Settings {
        snapshot: output.clone().unwrap_or_else(|| place.snapshot()),
        full: *full,
        brake: *brake,
        keep: *keep,
        max_age: max_age.unwrap_or(0),
        threads: *threads,
        fold: watch.then(|| fold.unwrap_or(FOLD)),
    };
    if *watch {
        return watch::watch(place, &settings, arguments.yes, arguments.json);
    }
    let rules = Arc::new(Rules::read(place)?);
    let at = place.place()?;
    let mut publishing = Publishing::begin(&at, &settings)?;
    let mut consent = |doubt: &Doubt| arguments.yes || ask(doubt);
    let outcome = publishing.round(&rules, &mut consent as Consent<'_>)?;
    outcome.write(&mut Output::new(), &settings.snapshot, arguments.json)?;
    Ok(true)
}

/// Asks on the terminal; where there is none, the answer is no.
fn ask(doubt: &Doubt) -> bool {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return false;
    }
    let mut answer = String::new();
    let asked =
        write!(io::stderr(), "{doubt}. Publish all the same? [y/N] ").and_then(|()| io::stderr().flush());
    asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}
