//! `keyward inspect`: what a snapshot holds, and whether it is whole.

mod records;
mod report;
mod signed;

use crate::beside::{Laid, lay_over};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use clap::Args;
use keyward::format::header::{FormatError, Header};
use keyward::format::record::NEVER;
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::record::Status;
use keyward::snapshot::{Check, Damaged, Delta, Layers, Mode, Snapshot, delta_path};
use keyward::time::Timestamp;
use records::Records;
use report::Report;
use signed::Signed;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many of the keys that expire soon are named.
const NAMED: usize = 10;
/// Entries between two looks at the clock.
const STRIDE: u64 = 1 << 16;

/// Show what a snapshot holds and who signed it, and check every hash in it; needs no keyring
///
/// Where a delta lies beside the snapshot (keys.kwd.delta), the generation, the keys and their counts are those of both
/// together, as servers have them. A delta can be named itself: then they are those of the keys that it adds or
/// changes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward inspect keys.kwd
  keyward inspect keys.kwd --expiring 7 --json
  keyward inspect keys.kwd --keyring server.toml    # would a server with this keyring take it?
  keyward inspect keys.kwd.delta

Units: times are Unix seconds, lengths are bytes, the load is keys a home (0 to 1), a
displacement is how many records a key stands from its home.

Exit codes: 0 whole; 1 not signed as the keyring asks for; 2 the command line is wrong;
3 it cannot be read or is damaged, and the message says which part of it.")]
pub(crate) struct Arguments {
    /// The snapshot, or a delta
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
    keys: u64,
    displacement_sum: u64,
    expired: u64,
    expiring: u64,
    /// The soonest of them: when, realm, id.
    soonest: BTreeSet<(u64, String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let path = &arguments.snapshot;
    let keyring = arguments.keyring.as_deref().map(Keyring::load).transpose()?;
    let bytes = read(path)?;
    if Header::read(&bytes, bytes.len() as u64).is_ok_and(|header| header.is_delta()) {
        return look_at_delta(arguments, keyring.as_ref(), bytes);
    }
    let base = Snapshot::open(bytes, Check::Fast).map_err(|error| Failure::file(path, error))?;
    let base = Arc::new(base);
    let whole = base.check();
    let beside = delta_path(path);
    let (layers, over) = match lay_over(&base, &beside) {
        _ if whole.is_err() => (Layers::full(base), Over::Nothing),
        Ok(None) => (Layers::full(base), Over::Nothing),
        Ok(Some(Laid::Stale(generation))) => (Layers::full(base), Over::Stale(generation)),
        Ok(Some(Laid::On(layers))) => (*layers, Over::Delta),
        Err(error) => (Layers::full(base), Over::Refused(error)),
    };
    let file = Arc::clone(layers.base());
    let look = Look { path, header: layers.header(), delta: layers.delta(), file: &file, over: &over };
    let refused = match &over {
        Over::Refused(error) => Err(Failure::file(&beside, error)),
        _ => Ok(()),
    };
    let (full, delta) = (file.header(), layers.delta());
    let over = delta.map(|delta| (delta.header(), delta.keys().hash()));
    let files = [(full, file.hash())].into_iter().chain(over).collect();
    let signed = Signed { files, keyring: keyring.as_ref() };
    look_at(arguments, &look, &layers, &signed, &whole)?;
    whole.map_err(|error| Failure::file(path, error))?;
    refused.map(|()| signed.is_taken())
}

/// A delta by itself.
fn look_at_delta(arguments: &Arguments, keyring: Option<&Keyring>, bytes: Bytes) -> Result<bool, Failure> {
    let path = &arguments.snapshot;
    let delta = Delta::open(bytes).map_err(|error| Failure::file(path, error))?;
    let (file, over) = (delta.keys(), Over::Itself);
    let look = Look { path, header: file.header(), delta: Some(&delta), file, over: &over };
    let signed = Signed { files: vec![(file.header(), file.hash())], keyring };
    look_at(arguments, &look, file, &signed, &Ok(()))?;
    Ok(signed.is_taken())
}

/// What lies beside a snapshot.
enum Over {
    /// Nothing.
    Nothing,
    /// A delta, which is in use.
    Delta,
    /// A delta of that generation, which servers pass over.
    Stale(u64),
    /// Something that servers refuse, and why.
    Refused(String),
    /// The file that is looked at is a delta itself.
    Itself,
}

/// What is looked at.
struct Look<'a> {
    path: &'a Path,
    /// The header that says the generation.
    header: &'a Header,
    delta: Option<&'a Delta>,
    /// The file whose sections are told.
    file: &'a Snapshot,
    over: &'a Over,
}

fn look_at<R: Records>(
    arguments: &Arguments,
    look: &Look<'_>,
    records: &R,
    signed: &Signed<'_>,
    whole: &Result<(), FormatError>,
) -> Result<(), Failure> {
    let progress = Progress::new();
    let good =
        |kind: u32| whole.is_ok() || look.file.sections().any(|(section, good)| section.kind == kind && good);
    let sections = look.file.header().sections.iter();
    let sections: Vec<_> = sections.map(|section| (*section, good(section.kind))).collect();
    let now = arguments.now.unwrap_or_else(Timestamp::coarse_now).seconds();
    let census = match whole {
        Ok(()) => Some(
            count(records, look, now, arguments.expiring, &progress)
                .map_err(|error| Failure::file(look.path, error))?,
        ),
        Err(_) => None,
    };
    drop(progress);
    let report =
        Report { look, signed, sections: &sections, census: census.as_ref(), now, days: arguments.expiring };
    let mut output = Output::new();
    if arguments.json {
        report.write_json(&mut output)?
    } else {
        report.write(&mut output)?
    }
    Ok(())
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    Bytes::open(&file, Mode::Map).map_err(|error| Failure::file(path, error))
}

fn count<R: Records>(
    records: &R,
    look: &Look<'_>,
    now: u64,
    days: u32,
    progress: &Progress,
) -> Result<Census, Damaged> {
    let mut census = Census::default();
    let soon = now.saturating_add(u64::from(days) * 86_400);
    for (entry, number) in records.entries().zip(0..) {
        let entry = entry?;
        if number % STRIDE == 0 {
            progress.show("looking", number, look.header.keys());
        }
        let attributes = R::attributes(&entry);
        let realm = records.realm_of(&entry)?;
        census.keys += 1;
        let counts = census.counts.entry((realm, attributes.environment)).or_default();
        if let Some(count) = Status::ALL.iter().zip(counts).find(|(status, _)| **status == attributes.status)
        {
            *count.1 += 1;
        }
        census.displacement_sum += records.displacement(&entry)?;
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
            let name = look.file.realms().get(usize::from(realm)).map_or("", |realm| &realm.name);
            census.soonest.insert((expires_at, name.to_owned(), records.id(&entry)?.to_owned()));
            if census.soonest.len() > NAMED {
                census.soonest.pop_last();
            }
        }
    }
    Ok(census)
}
