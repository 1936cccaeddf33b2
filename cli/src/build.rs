//! `keyward build`: configuration, keyring and keys in, a published snapshot out, or a delta on one.

use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::units;
use clap::Args;
use indicatif::HumanCount;
use keyward::build::{Changes, Collection, Published, Publisher, Source, Stamp};
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::realm::Configuration;
use keyward::snapshot::{Check, Mode, Snapshot, delta_path};
use keyward::time::Timestamp;
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Build a snapshot from a configuration, a keyring and keys, and publish it
///
/// The snapshot is written beside its place and renamed into it, so that a server that looks finds the old
/// one whole or the new one whole, whatever happens meanwhile. Where anything is wrong, nothing is published.
/// The same input gives the same bytes, whatever the order of the keys and the number of threads.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward build --config keyward.toml --keyring keyring.toml --keys keys.jsonl -o keys.kwd
  psql -Atc 'select record from keys' | keyward build --config keyward.toml \\
    --keyring keyring.toml --keys - -o keys.kwd --max-age 12h
  keyward build --config keyward.toml --keyring keyring.toml --keys changes.jsonl \\
    --delta-on keys.kwd

A key is one JSON object on a line of its own:
  {\"realm\":\"billoget\",\"id\":\"key_01\",\"key\":\"bk_live_0123456789abcdef\",\"environment\":\"live\"}

With --delta-on, --keys has what has changed since that snapshot: the records of keys that are new or
otherwise, as they are now, and those of keys that are gone with \"status\":\"removed\". What is published
is a delta beside the snapshot (keys.kwd.delta), which servers lay over it, in the place of the one
before: each has everything since the snapshot.

Exit codes: 0 published; 2 the command line is wrong; 3 nothing was published, because a
file cannot be read or written or what it says is wrong (the message names file and line).")]
pub(crate) struct Arguments {
    /// The configuration: realms, credentials, routes, rate limits, answers
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The keyring, which nobody but its owner may have access to (mode 0600)
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
    /// The keys, a JSON object a line; `-` for standard input
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// The snapshot to publish
    #[arg(short, long, value_name = "FILE", required_unless_present = "delta_on")]
    output: Option<PathBuf>,
    /// Publish a delta on this snapshot, beside it, instead of a snapshot
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    delta_on: Option<PathBuf>,
    /// The generation [default: one more than that of the snapshot in place, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    generation: Option<u64>,
    /// Let --generation be as old as the snapshot in place, or older; engines refuse it unless asked likewise
    #[arg(long)]
    going_back: bool,
    /// When the snapshot is made, in Unix seconds [default: not stated, so that the same input gives the same
    /// bytes; the clock's time where --max-age needs one]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    created: Option<u64>,
    /// The age past which engines refuse to decide from it: seconds, or with a unit: 90s, 15m, 12h, 7d
    /// [default: none]
    #[arg(long, value_name = "SPAN", value_parser = units::span)]
    max_age: Option<u64>,
    /// Threads to work with [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Print what was published as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let started = Instant::now();
    let configuration = read_configuration(&arguments.config)?;
    let keyring = Keyring::load(&arguments.keyring)?;
    keyring.check_realms(&configuration)?;
    let place = arguments.output.as_ref().or(arguments.delta_on.as_ref());
    let place = place.ok_or_else(|| Failure::usage("--output or --delta-on is missing"))?;
    check_place(place)?;
    let base = arguments.delta_on.as_deref().map(open_base).transpose()?;

    let input = Input::open(&arguments.keys)?;
    let progress = Progress::new();
    let report = |done| progress.show_build(done, input.length);
    let source = Source { name: &input.name, threads: arguments.threads, progress: &report };
    let built = match &base {
        None => Built::Full(Collection::read(&configuration, &keyring, input.reader, &source)?),
        Some(base) => Built::Delta(Changes::read(base, &configuration, &keyring, input.reader, [], &source)?),
    };

    // Only now: whoever reads keys from a slow pipe keeps nobody else from publishing.
    let publisher = Publisher::lock(place)?;
    let generation = match arguments.generation {
        Some(generation) => generation,
        None => publisher.next_generation()?,
    };
    let clock = || arguments.max_age.map(|_| Timestamp::coarse_now().seconds());
    let stamp = Stamp {
        generation,
        created: arguments.created.or_else(clock).unwrap_or(0),
        max_age: arguments.max_age.unwrap_or(0),
    };
    let going_back = arguments.going_back;
    let published = match &built {
        Built::Full(keys) => {
            publisher.publish(generation, going_back, |file| keys.write(stamp, file, &report))?
        }
        Built::Delta(changes) => {
            publisher.publish_delta(generation, going_back, |file| changes.write(stamp, file, &report))?
        }
    };
    drop(progress);
    let summary = Summary {
        path: match built {
            Built::Full(_) => place.clone(),
            Built::Delta(_) => delta_path(place),
        },
        realms: configuration.realms.len(),
        built: &built,
        published: &published,
        seconds: started.elapsed().as_secs_f64(),
    };
    let mut output = Output::new();
    if arguments.json {
        summary.write_json(&mut output)?
    } else {
        summary.write(&mut output)?
    }
    Ok(true)
}

/// What was read and is about to be published.
enum Built {
    Full(Collection),
    Delta(Changes),
}

/// The snapshot that a delta is laid over. Only the pages that the changes are about are read.
fn open_base(path: &Path) -> Result<Snapshot, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    let bytes = Bytes::open(&file, Mode::Map).map_err(|error| Failure::file(path, error))?;
    Snapshot::open(bytes, Check::Fast).map_err(|error| Failure::file(path, error))
}

/// The configuration in the file at `path`.
pub(crate) fn read_configuration(path: &Path) -> Result<Configuration, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
    Ok(Configuration::read(&text, &path.to_string_lossy())?)
}

/// Says that a folder is missing before millions of keys were read for it.
fn check_place(output: &Path) -> Result<(), Failure> {
    let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let metadata = fs::metadata(folder).map_err(|error| Failure::file(folder, error))?;
    if metadata.is_dir() { Ok(()) } else { Err(Failure::file(folder, "it is not a folder")) }
}

/// Keys that are about to be read.
struct Input {
    /// What errors call them.
    name: String,
    /// How many bytes they have, where that is known.
    length: Option<u64>,
    reader: Box<dyn Read + Send>,
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self {
                name: "standard input".to_owned(),
                length: None,
                reader: Box::new(io::stdin()),
            });
        }
        let unreadable = |error| Failure::file(path, error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self { name: path.to_string_lossy().into_owned(), length, reader: Box::new(file) })
    }
}

/// What was published, for people and for programs.
struct Summary<'a> {
    path: PathBuf,
    realms: usize,
    built: &'a Built,
    published: &'a Published,
    seconds: f64,
}

impl Summary<'_> {
    fn keys_per_second(&self) -> f64 {
        self.published.header.records as f64 / self.seconds
    }

    fn signers(&self) -> Vec<String> {
        let signatures = self.published.header.signatures.iter();
        signatures.map(|signature| signature.fingerprint().to_string()).collect()
    }

    fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let header = &self.published.header;
        let stated = |number: u64| (number != 0).then_some(number);
        let mut summary = json!({
            "path": self.path.to_string_lossy(),
            "keys": header.keys(),
            "realms": self.realms,
            "bytes": header.file_length,
            "generation": header.generation,
            "base_generation": stated(header.base_generation),
            "replaced": self.published.replaced,
            "created": stated(header.created),
            "max_age": stated(header.max_age),
            "signed_by": self.signers(),
            "seconds": self.seconds,
            "keys_per_second": self.keys_per_second(),
        });
        if let Built::Delta(changes) = self.built {
            summary["added"] = changes.added().into();
            summary["changed"] = changes.changed().into();
            summary["removed"] = changes.removed().into();
        }
        writeln!(output, "{summary}")
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let header = &self.published.header;
        let count = |count: u64| HumanCount(count).to_string();
        let keys = format!("{} {}", count(header.keys()), if header.keys() == 1 { "key" } else { "keys" });
        let what = match self.built {
            Built::Full(_) => {
                format!("{keys}, {} {}", self.realms, if self.realms == 1 { "realm" } else { "realms" })
            }
            Built::Delta(changes) => format!(
                "{} added, {} changed, {} removed on generation {}: {keys}",
                count(changes.added()),
                count(changes.changed()),
                count(changes.removed()),
                header.base_generation
            ),
        };
        let signers = self.signers();
        let signed = match signers.as_slice() {
            [] => "not signed".to_owned(),
            signers => format!("signed by {}", signers.join(" and ")),
        };
        writeln!(
            output,
            "{}: {what}, {} bytes, generation {}, {signed}; {:.2} s, {} keys/s",
            self.path.display(),
            count(header.file_length),
            header.generation,
            self.seconds,
            count(self.keys_per_second() as u64),
        )
    }
}
