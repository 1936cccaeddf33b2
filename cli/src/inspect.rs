//! `keyward inspect`: what a snapshot holds, and whether it is whole.

mod report;

use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use clap::Args;
use keyward::format::record::NEVER;
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::record::Status;
use keyward::signature::PublicKey;
use keyward::snapshot::{Check, Damaged, Mode, Snapshot};
use keyward::time::Timestamp;
use report::{Report, Signed};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

/// How many of the keys that expire soon are named.
const NAMED: usize = 10;
/// Entries between two looks at the clock.
const STRIDE: u64 = 1 << 16;

/// Show what a snapshot holds and who signed it, and check every hash in it; needs no keyring
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward inspect keys.kwd
  keyward inspect keys.kwd --expiring 7 --json
  keyward inspect keys.kwd --keyring server.toml    # would a server with this keyring take it?

Units: times are Unix seconds, lengths are bytes, the load is keys a home (0 to 1), a
displacement is how many records a key stands from its home.

Exit codes: 0 whole; 1 not signed as the keyring asks for; 2 the command line is wrong; 3 it cannot be read or is damaged, and
the message says which part of it.")]
pub(crate) struct Arguments {
    /// The snapshot
    snapshot: PathBuf,
    /// A keyring, to say whether the snapshot is signed as it asks for
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Days within which a key that expires is listed
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    expiring: u32,
    /// The time to count from, in Unix seconds [default: the clock's]
    #[arg(long, value_name = "SECONDS")]
    now: Option<Timestamp>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Keys of one realm and environment, by status.
type Counts = BTreeMap<(u16, u8), [u64; Status::ALL.len()]>;

/// What every record was looked at for.
#[derive(Default)]
struct Census {
    counts: Counts,
    displacement_sum: u64,
    expired: u64,
    expiring: u64,
    /// The soonest of them: when, realm, id.
    soonest: BTreeSet<(u64, String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let path = &arguments.snapshot;
    let keyring = arguments.keyring.as_deref().map(Keyring::load).transpose()?;
    let progress = Progress::new();
    let snapshot = open(path)?;
    let signed = keyring.as_ref().map(|keyring| Signed {
        verdict: keyring.check_signatures(snapshot.hash(), &snapshot.header().signatures),
        accepted: keyring.public_keys().iter().map(PublicKey::fingerprint).collect(),
    });
    let whole = snapshot.check();
    let good =
        |kind: u32| whole.is_ok() || snapshot.sections().any(|(section, good)| section.kind == kind && good);
    let header = snapshot.header();
    let sections: Vec<_> = header.sections.iter().map(|section| (*section, good(section.kind))).collect();
    let now = arguments.now.unwrap_or_else(Timestamp::coarse_now).seconds();
    let census = match whole {
        Ok(()) => Some(
            count(&snapshot, now, arguments.expiring, &progress)
                .map_err(|error| Failure::file(path, error))?,
        ),
        Err(_) => None,
    };
    drop(progress);
    let report = Report {
        path,
        snapshot: &snapshot,
        sections: &sections,
        signed: signed.as_ref(),
        census: census.as_ref(),
        now,
        days: arguments.expiring,
    };
    let mut output = Output::new();
    if arguments.json {
        report.write_json(&mut output)?
    } else {
        report.write(&mut output)?
    }
    whole.map_err(|error| Failure::file(path, error))?;
    Ok(signed.is_none_or(|signed| signed.verdict.is_ok()))
}

fn open(path: &Path) -> Result<Snapshot, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    let bytes = Bytes::open(&file, Mode::Map).map_err(|error| Failure::file(path, error))?;
    Snapshot::open(bytes, Check::Fast).map_err(|error| Failure::file(path, error))
}

fn count(snapshot: &Snapshot, now: u64, days: u32, progress: &Progress) -> Result<Census, Damaged> {
    let mut census = Census::default();
    let soon = now.saturating_add(u64::from(days) * 86_400);
    for (entry, number) in snapshot.entries().zip(0..) {
        let entry = entry?;
        if number % STRIDE == 0 {
            progress.show("looking", number, snapshot.header().records);
        }
        let attributes = entry.attributes();
        let realm = snapshot.realm_of(&entry)?;
        let counts = census.counts.entry((realm, attributes.environment)).or_default();
        if let Some(count) = Status::ALL.iter().zip(counts).find(|(status, _)| **status == attributes.status)
        {
            *count.1 += 1;
        }
        census.displacement_sum += snapshot.displacement(&entry)?;
        let expires_at = attributes.expires_at;
        if expires_at == NEVER || attributes.status == Status::Revoked {
            continue;
        }
        if expires_at <= now {
            census.expired += 1;
        } else if expires_at <= soon {
            census.expiring += 1;
            let full = census.soonest.len() == NAMED;
            if full && census.soonest.last().is_some_and(|(last, ..)| *last < expires_at) {
                continue;
            }
            let name = snapshot.realms().get(usize::from(realm)).map_or("", |realm| &realm.name);
            census.soonest.insert((expires_at, name.to_owned(), snapshot.id(&entry)?.to_owned()));
            if census.soonest.len() > NAMED {
                census.soonest.pop_last();
            }
        }
    }
    Ok(census)
}
