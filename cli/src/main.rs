//! The command `keyward`.

mod bench;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// API keys verified inside the server's own process.
#[derive(Debug, Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let Command { task: Task::Bench(arguments) } = Command::parse();
    match bench::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "keyward bench: {error}");
            ExitCode::from(3)
        }
    }
}
