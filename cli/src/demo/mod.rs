//! `keyward demo`: five documented APIs, decided from one snapshot.

mod keys;
mod measure;
mod revoke;
mod scene;
mod scenes;
mod stage;

use crate::failure::Failure;
use crate::output::Output;
use anstyle::{AnsiColor, Style};
use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use scene::Row;
use stage::Stage;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

/// Billoget's sample key with every scope.
const BILLOGET_KEY: &str = "bk_live_1234567890abcdef1234567890abcdef";
/// What is revoked: realm and id.
const REVOKED: [(&str, &str); 2] = [("built", "acme-production-2"), ("aver", "portal")];

/// Five documented APIs decided from one snapshot of a million keys, in a temporary folder
///
/// Makes a keyring, builds and publishes a snapshot, maps it, decides the requests that each API documents,
/// the good ones and the errors, revokes a key, and says what a verify cost on this machine.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward demo
  keyward demo --keys 10000000
  keyward demo --keep

Exit codes: 0 every request was answered as its API documents it; 1 one was not; 3 the
temporary folder cannot be used.")]
pub(crate) struct Arguments {
    /// Keys in the snapshot, the profiles' samples included
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    keys: u64,
    /// Keep the folder, to try the other commands on it
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let mut folder = tempfile::Builder::new().prefix("keyward-demo-").tempdir()?;
    folder.disable_cleanup(arguments.keep);
    let mut output = Output::new();
    let good = play(arguments, folder.path(), &mut output)?;
    next(arguments, folder.path(), &mut output)?;
    Ok(good)
}

fn title(output: &mut Output, text: &str) -> io::Result<()> {
    let style = Style::new().bold();
    writeln!(output, "\n{style}{text}{style:#}")
}

fn play(arguments: &Arguments, folder: &Path, output: &mut Output) -> Result<bool, Failure> {
    title(output, "1. A keyring and a snapshot")?;
    writeln!(output, "In {}, from the five profiles and generated keys:", folder.display())?;
    output.flush()?;
    let stage = Stage::new(folder, arguments.keys)?;
    let (published, took) = stage.publish(&[])?;
    let header = &published.header;
    writeln!(
        output,
        "{} keys of five realms, {}, {:.1} bytes a key: built, checked and published in {:.2} s ({} keys/s).",
        HumanCount(header.records),
        HumanBytes(header.file_length),
        header.file_length as f64 / header.records as f64,
        took.as_secs_f64(),
        HumanCount((header.records as f64 / took.as_secs_f64()) as u64),
    )?;
    let started = Instant::now();
    let engine = stage.engine(folder)?;
    writeln!(output, "Opened and mapped in {:.1} ms.", started.elapsed().as_secs_f64() * 1e3)?;
    engine.check()?;

    title(output, "2. What the five APIs document")?;
    let token = scenes::exchange(&engine)?;
    let rows: Vec<Row> = scenes::all(&stage, &token)?.iter().map(|scene| scene.play(&engine)).collect();
    write_rows(&rows, output)?;
    let mut wrong = rows.iter().filter(|row| !row.as_documented).count();
    writeln!(output, "\n{} requests, {} answered with another status than documented.", rows.len(), wrong)?;

    title(output, "3. A key is revoked")?;
    output.flush()?;
    let revocation = revoke::revoke(&stage, &engine, &REVOKED, &scenes::watched("", 200))?;
    writeln!(
        output,
        "Built's \"acme-production-2\" and Aver's \"portal\" are revoked in generation {}, all {} keys built again in {:.2} s.",
        revocation.published.header.generation,
        HumanCount(revocation.published.header.records),
        revocation.build.as_secs_f64(),
    )?;
    writeln!(
        output,
        "First refused {:.1} ms after the new file was in its place: a watcher looks every {} ms, and every hash\n\
         is checked before a generation takes over. {} requests were decided meanwhile, the slowest in {:.0} µs.",
        revocation.delay.as_secs_f64() * 1e3,
        revoke::WATCH.as_millis(),
        HumanCount(revocation.decided),
        revocation.slowest.as_secs_f64() * 1e6,
    )?;
    let rows: Vec<Row> = scenes::after_revocation(&token).iter().map(|scene| scene.play(&engine)).collect();
    write_rows(&rows, output)?;
    wrong += rows.iter().filter(|row| !row.as_documented).count();

    title(output, "4. What a verify costs here")?;
    engine.check()?;
    for (known, what) in [(true, "a good key"), (false, "a key that does not exist")] {
        match measure::measure(&engine, &stage.keys, known) {
            Some(cost) => writeln!(
                output,
                "{what:<26} {:>5.0} ns   (99 in 100 batches below {:.0} ns; {} verifies)",
                cost.median,
                cost.p99,
                HumanCount(cost.counted as u64)
            )?,
            None => writeln!(output, "{what}: too few keys to measure; ask for --keys 100000 or more")?,
        }
    }
    writeln!(
        output,
        "One thread; median of batches of {} whole verifies (headers in, verdict out) of random keys of Billoget,\n\
         Built and OneBalance out of the {}. `keyward bench` measures every part, and other stores beside it.",
        measure::BATCH,
        HumanCount(arguments.keys),
    )?;
    Ok(wrong == 0)
}

/// Widths of the columns before the body, and of the gaps between them.
const BEFORE_BODY: usize = 2 + 33 + 2 + 31 + 2 + 3 + 2 + 20 + 2;
/// A body with less room goes on a line of its own.
const BODY: usize = 60;
/// What it is indented by there.
const BELOW: &str = "      ";

fn write_rows(rows: &[Row], output: &mut Output) -> io::Result<()> {
    let width = terminal_width();
    let dim = Style::new().dimmed();
    let mut realm = "";
    for row in rows {
        if row.realm != realm {
            realm = row.realm;
            let style = AnsiColor::Cyan.on_default();
            writeln!(output, "{style}{realm}{style:#}")?;
        }
        let colour = match row.status {
            200 => AnsiColor::Green,
            429 | 503 => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let style = if row.as_documented { colour.on_default() } else { colour.on_default().invert() };
        write!(output, "  {:<33}  {:<31}  {style}{}{style:#}  ", row.request, row.what, row.status)?;
        let beside = width.is_none_or(|width| width >= BEFORE_BODY + BODY);
        let room = width.map(|width| width.saturating_sub(if beside { BEFORE_BODY } else { BELOW.len() }));
        let body = shortened(&row.body, room);
        match body.as_str() {
            "" => writeln!(output, "{}", row.reason)?,
            _ if beside => writeln!(output, "{:<20}  {dim}{body}{dim:#}", row.reason)?,
            _ => writeln!(output, "{}\n{BELOW}{dim}{body}{dim:#}", row.reason)?,
        }
    }
    Ok(())
}

/// The columns of the terminal; `None` where standard output is none, and nothing has to fit.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

fn shortened(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        _ => text.to_owned(),
    }
}

fn next(arguments: &Arguments, folder: &Path, output: &mut Output) -> io::Result<()> {
    title(output, "Where to go next")?;
    if arguments.keep {
        let folder = folder.display();
        writeln!(output, "  keyward inspect {folder}/keys.kwd")?;
        writeln!(
            output,
            "  keyward explain {folder}/keys.kwd --keyring {folder}/keyring.toml --realm billoget \\\n    \
             --path /v1/api/public/budgets -H 'Authorization: Bearer {BILLOGET_KEY}'"
        )?;
    } else {
        writeln!(
            output,
            "  keyward demo --keep      the same, and the folder stays for `inspect` and `explain`"
        )?;
    }
    writeln!(output, "  profiles/README.md       the five configurations, with the reason for every line")?;
    writeln!(output, "  keyward build --help     a snapshot of your own keys")?;
    writeln!(output, "  docs/FORMAT.md           the snapshot, byte by byte")
}
