//! `keyward scan`: keys that stand in files where they should not.

mod formats;
mod known;
mod pieces;

use crate::failure::Failure;
use crate::keystore::place::{KEYRING, PlaceArguments};
use crate::keystore::publish::Rules;
use crate::output::{Output, visible};
use clap::Args;
use formats::Formats;
use ignore::WalkBuilder;
use keyward::keyring::Keyring;
use keyward::time::Timestamp;
use known::{Hit, Known};
use pieces::Pieces;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Find keys in files, and say which of them are live
///
/// Looks for strings of the formats that the realms' keys have, whatever kind of file they stand in, and looks each
/// up. It prints where a key stands and the key's id, never the key. A realm without a format is looked through for
/// the keys that keyward makes for it. A pair is found as `id:secret`, and in `Basic` headers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward scan .
  keyward scan --snapshot keys.kwd src/ docs/
  git diff --cached --no-color -U0 | grep '^+' | keyward scan --dir /etc/keyward -

Folders are walked as git does: what .gitignore names is passed over, and so is .git. Hidden
files are not. Compressed files and UTF-16 are not looked into. What is named on the command line is always read; `-` is standard input.

Exit codes: 0 no live key; 1 at least one; 2 the command line is wrong; 3 something could not be
read, and there is no live key in the rest.")]
pub(crate) struct Arguments {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    /// Look keys up in this snapshot, with the keyring, and not in the keystore; its realms say the formats
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Read what .gitignore names as well
    #[arg(long)]
    no_ignore: bool,
    /// The time to count from, in Unix seconds [default: the clock's]
    #[arg(long, value_name = "SECONDS")]
    now: Option<Timestamp>,
    /// Print one JSON object for each string that is found, on a line
    #[arg(long)]
    json: bool,
}

/// What a scan has come to.
#[derive(Default)]
struct Found {
    live: u64,
    dead: u64,
    unknown: u64,
    files: u64,
    unreadable: u64,
}

struct Scan<'a> {
    formats: Formats,
    known: Known,
    found: Found,
    output: Output,
    arguments: &'a Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let now = arguments.now.unwrap_or_else(Timestamp::coarse_now).seconds();
    let Arguments { place, .. } = arguments;
    let (formats, known) = match &arguments.snapshot {
        Some(path) => {
            let known = Known::snapshot(path, &Keyring::load(&place.dir.join(KEYRING))?, now)?;
            (Formats::new(known.realms())?, known)
        }
        None => {
            let rules = Rules::read(place)?;
            let formats = Formats::new(&rules.configuration.realms)?;
            (formats, Known::store(place.open()?, rules, now)?)
        }
    };
    let mut scan = Scan { formats, known, found: Found::default(), output: Output::new(), arguments };
    for path in &arguments.paths {
        scan.path(path)?;
    }
    scan.conclude()
}

impl Scan<'_> {
    fn path(&mut self, path: &Path) -> Result<(), Failure> {
        if path.as_os_str() == "-" {
            return self.read(Path::new("standard input"), io::stdin().lock());
        }
        let wanted = !self.arguments.no_ignore;
        let mut walk = WalkBuilder::new(path);
        walk.hidden(false)
            .ignore(wanted)
            .git_ignore(wanted)
            .git_global(wanted)
            .git_exclude(wanted)
            .parents(wanted);
        walk.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
        for entry in walk.build() {
            match entry {
                Ok(entry)
                    if entry
                        .file_type()
                        .is_some_and(|kind| kind.is_file() || (entry.depth() == 0 && kind.is_symlink())) =>
                {
                    match File::open(entry.path()) {
                        Ok(file) => self.read(entry.path(), file)?,
                        Err(error) => self.unreadable(entry.path(), &error),
                    }
                }
                Ok(_) => {}
                Err(error) => self.unreadable(path, &error),
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &Path, error: &dyn std::fmt::Display) {
        self.found.unreadable += 1;
        let _ = writeln!(anstream::stderr(), "keyward: {}: {error}", path.display());
    }

    fn read(&mut self, path: &Path, reader: impl Read) -> Result<(), Failure> {
        self.found.files += 1;
        let mut pieces = Pieces::new(reader);
        let mut told = BTreeSet::new();
        loop {
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.unreadable(path, &error);
                    return Ok(());
                }
            };
            for candidate in self.formats.candidates(&piece) {
                let line = piece.line_of(candidate.start);
                let hits = self.known.look_up(&candidate)?;
                if hits.is_empty() && candidate.telling && told.insert((line, candidate.realm.clone(), None))
                {
                    self.found.unknown += 1;
                    self.tell(path, line, &candidate.realm, None)?;
                }
                for hit in hits {
                    if told.insert((line, candidate.realm.clone(), Some(hit.id.clone()))) {
                        let count = if hit.is_live() { &mut self.found.live } else { &mut self.found.dead };
                        *count += 1;
                        self.tell(path, line, &candidate.realm, Some(&hit))?;
                    }
                }
            }
        }
    }

    fn tell(&mut self, path: &Path, line: u64, realm: &str, hit: Option<&Hit>) -> io::Result<()> {
        let state = hit.map_or("unknown", |hit| hit.state.name());
        let (id, tenant) = (hit.map(|hit| &hit.id), hit.and_then(|hit| hit.tenant.as_ref()));
        if self.arguments.json {
            let found = json!({
                "file": path.to_string_lossy(), "line": line, "realm": realm, "id": id, "tenant": tenant,
                "state": state, "live": hit.is_some_and(Hit::is_live),
            });
            return writeln!(self.output, "{found}");
        }
        let place = format!("{}:{line}", path.display());
        let place = visible(&place).replace('\n', "\\n");
        match hit {
            None => writeln!(self.output, "{place}: looks like a key of {realm}, and is none"),
            Some(hit) => {
                let live = if hit.is_live() { "LIVE " } else { "" };
                let tenant = hit.tenant.as_ref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
                writeln!(
                    self.output,
                    "{place}: {live}key {} of {realm}{} ({state})",
                    visible(&hit.id),
                    visible(&tenant)
                )
            }
        }
    }

    fn conclude(mut self) -> Result<bool, Failure> {
        let Found { live, dead, unknown, files, unreadable } = self.found;
        if !self.arguments.json {
            writeln!(
                self.output,
                "{files} {}: {live} live {}, {dead} revoked or expired, {unknown} unknown",
                if files == 1 { "file" } else { "files" },
                if live == 1 { "key" } else { "keys" },
            )?;
        }
        self.output.flush()?;
        match (live, unreadable) {
            (0, 0) => Ok(true),
            (0, count) => Err(Failure::data(format_args!("{count} of the files could not be read"))),
            _ => Ok(false),
        }
    }
}
