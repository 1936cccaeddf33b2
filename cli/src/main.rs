//! The command `keyward`: keyrings, snapshots, and what an engine decides from them; with the feature `keystore`, which
//! is on where nothing is said, also keys from their making to their end.

mod bench;
mod beside;
mod build;
mod conformance;
mod demo;
mod failure;
mod inspect;
mod keyring;
#[cfg(feature = "keystore")]
mod keystore;
mod output;
mod progress;
mod request;
mod table;
mod token;
mod units;
mod usage;
mod verdict;
mod verify;

use clap::{Parser, Subcommand};
use failure::{Code, Failure};
use std::io::Write;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  allowed, or done
  1  denied, or a check failed
  2  the command line cannot be understood
  3  a file cannot be read, written or used: the system refused, its content is
     wrong (configuration, keyring, keys) or damaged (a snapshot), or nothing
     could be decided from it (the verdict is `unavailable`)

Start with:
  keyward demo
  keyward init shop --profile billoget
  keyward keyring new -o keyring.toml
  keyward build --config keyward.toml --keyring keyring.toml --keys keys.jsonl -o keys.kwd
  keyward inspect keys.kwd
  keyward explain keys.kwd --keyring keyring.toml --realm NAME -X GET --path / -H 'Authorization: Bearer KEY'";

/// API keys verified inside the server's own process, from one mapped snapshot of hashed keys.
#[derive(Parser)]
#[command(name = "keyward", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "keystore")]
    #[command(flatten)]
    Keystore(keystore::Command),
    Keyring(keyring::Arguments),
    Build(build::Arguments),
    Inspect(inspect::Arguments),
    Verify(verify::Arguments),
    Explain(verify::ExplainArguments),
    Token(token::Arguments),
    Usage(usage::Arguments),
    Conformance(conformance::Arguments),
    Bench(bench::Arguments),
    Demo(demo::Arguments),
}

impl Command {
    /// Does it; `false` where a request was denied or a check failed.
    fn run(&self) -> Result<bool, Failure> {
        match self {
            #[cfg(feature = "keystore")]
            Self::Keystore(command) => command.run(),
            Self::Keyring(arguments) => keyring::run(arguments),
            Self::Build(arguments) => build::run(arguments),
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Verify(arguments) => verify::run(arguments),
            Self::Explain(arguments) => verify::explain(arguments),
            Self::Token(arguments) => token::run(arguments),
            Self::Usage(arguments) => usage::run(arguments),
            Self::Conformance(arguments) => conformance::run(arguments),
            Self::Bench(arguments) => bench::run(arguments).map(|()| true),
            Self::Demo(arguments) => demo::run(arguments),
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => Code::Failed.into(),
        Err(failure) => {
            // Where even this cannot be written, the exit code still tells.
            let _ = writeln!(anstream::stderr(), "keyward: {}", failure.message());
            failure.code().into()
        }
    }
}
