//! `keyward bench`: what a verify costs on this machine, beside what it cannot cost less than.
//!
//! In one process, one after the other and in turn: H, one keyed BLAKE3 of a key; M, one dependent random
//! read in memory of the index's size and kind; everything that a verify does; and the same lookups in
//! other stores. Keys are random among all, and every request is made just before it is timed.

mod clock;
mod generations;
mod report;
#[cfg(feature = "keystore")]
mod revoke;
mod rounds;
mod threads;

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use clock::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use keyward::build::Progress;
use keyward::format::header::Kind;
use keyward::snapshot::Mode;
use keyward_benches::chase::{Chase, LINE};
use keyward_benches::peers::{self, Hashbrown, Lmdb, Locked, Peer};
use keyward_benches::{Error, keys, store};
use report::{Build, Report};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Measure what a verify costs on this machine.
///
/// Builds a snapshot of that many keys in a temporary folder, and measures everything that a verify does
/// beside H, one keyed BLAKE3 of a key, and M, one dependent random read of a cache line in memory of the
/// index's size, and beside other stores. Ten million keys take a few minutes, 7 GB of memory and 5 GB of
/// disk.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many keys.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=keys::MOST))]
    keys: u64,
    /// How many threads to set beside one.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// How the snapshot comes into memory.
    #[arg(long, value_enum, default_value_t = PageMode::Map)]
    mode: PageMode,
    /// Where the temporary folder is made; the system's own place for it where nothing is said.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[cfg(feature = "keystore")]
    #[command(flatten)]
    revoke: revoke::Arguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How a snapshot comes into memory.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PageMode {
    /// The file is mapped and shared.
    Map,
    /// It is read into private memory.
    Copy,
}

/// A line on the terminal that says what is being done; nothing where there is no terminal.
struct Line(ProgressBar);

impl Line {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg} {wide_bar} {percent}%");
        let bar = ProgressBar::new(1);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    fn start(&self, what: &'static str) {
        self.0.set_position(0);
        self.0.set_message(what);
    }

    fn tick(&self, done: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }

    fn built(&self, keys: u64, progress: Progress) {
        match progress {
            Progress::Reading { keys: read, .. } => self.tick(read as usize, keys as usize),
            Progress::Sorting => self.start("sorting keys"),
            Progress::Writing { bytes, total } => {
                self.0.set_message("writing the snapshot");
                self.tick(bytes as usize, total as usize);
            }
        }
    }
}

/// Measures, and prints what came out.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    #[cfg(feature = "keystore")]
    if arguments.revoke.revoke {
        return revoke::run(arguments);
    }
    let report = measure(arguments).map_err(Failure::data)?;
    let mut output = io::stdout().lock();
    if arguments.json {
        writeln!(output, "{:#}", report.json())?;
    } else {
        report.print(&mut output)?;
    }
    Ok(output.flush()?)
}

fn measure(arguments: &Arguments) -> Result<Report, Error> {
    let keys = arguments.keys;
    let mode = match arguments.mode {
        PageMode::Map => Mode::Map,
        PageMode::Copy => Mode::Copy,
    };
    let folder = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let path = folder.path().join("bench.kwd");
    let line = Line::new();

    line.start("reading keys");
    let start = Instant::now();
    let collection = store::collect(keys, None, &|progress| line.built(keys, progress))?;
    let published = store::publish(&collection, &path, &|progress| line.built(keys, progress))?;
    let build = Build {
        seconds: start.elapsed().as_secs_f64(),
        peak: peak_memory(),
        length: published.header.file_length,
    };

    line.start("opening");
    let open = generations::open(&path, mode, keys)?;
    let engine = store::open(&path, mode, keys)?;
    engine.check().map_err(Error::snapshot)?;
    let [all, few] = rounds::Stage::active(keys);
    // Where a state file belongs: in memory, which is never written back.
    let shared = Path::new("/dev/shm");
    let states = if shared.is_dir() { tempfile::tempdir_in(shared)? } else { tempfile::tempdir()? };
    let counting = |name: &str, active| store::open_counting(&path, mode, &states.path().join(name), active);
    let all_active = counting("all", all)?;
    // Some of the requests are of other keys, so that as many of them have a limit.
    let few_active = counting("few", few * 2)?;
    let last_use = counting("last-use", few)?;
    let snapshot = store::snapshot(&path, mode)?;

    line.start("filling the stores beside it");
    line.tick(0, 4);
    let lines = published.header.section(Kind::Index).length / LINE as u64;
    let chase = Chase::new(&folder.path().join("lines"), lines, mode)?;
    line.tick(1, 4);
    let hashbrown = Hashbrown::new(peers::entries(keys));
    line.tick(2, 4);
    let locked = Locked::new(peers::entries(keys));
    line.tick(3, 4);
    let lmdb_path = folder.path().join("lmdb");
    fs::create_dir(&lmdb_path)?;
    let lmdb = Lmdb::new(&lmdb_path, peers::entries(keys))?;
    let peers: [Box<dyn Peer>; 3] = [Box::new(hashbrown), Box::new(locked), Box::new(lmdb)];

    line.start("measuring");
    let clock = Clock::new();
    let tick = |done, of| line.tick(done, of);
    let stage = rounds::Stage {
        keys,
        engine: &engine,
        snapshot: &snapshot,
        peers: &peers,
        all_active: &all_active,
        few_active: &few_active,
        last_use: &last_use,
    };
    let rows = rounds::measure(&stage, chase, clock, &tick)?;
    drop((snapshot, peers, all_active, few_active, last_use));
    line.start("measuring threads");
    let threads = usize::from(arguments.threads);
    let throughput = threads::measure(&engine, keys, threads, &tick);
    line.start("measuring reloads");
    let reloads = generations::reload(&engine, &collection, &path, clock, &tick)?;
    line.0.finish_and_clear();
    Ok(Report { keys, threads, mode, build, open, rows, throughput, reloads })
}

/// The most memory that this process had so far, in bytes, where the system tells (Linux, `proc(5)`).
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
