//! `keyward keyring`: a new keyring.

use crate::failure::Failure;
use crate::output::Output;
use clap::{Args, Subcommand};
use keyward::keyring::Keyring;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make a keyring: the secrets that a server needs to verify keys
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a new keyring with one pepper from the system's random source
    ///
    /// The file gets mode 0600, which every command asks for, and never takes the place of another: keys
    /// built with a pepper that is gone have to be issued anew. Its comments say how to change the pepper
    /// and how to add the keys that tokens are signed with.
    #[command(after_help = "\
Example:\n  keyward keyring new -o keyring.toml\n\nExit codes: 0 written; 2 the command line is wrong; 3 it exists or cannot be written.")]
    New {
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let Command::New { output } = &arguments.command;
    create(output)?;
    writeln!(
        Output::new(),
        "{}: a new keyring with one pepper. Keep it secret, and a copy of it safe.",
        output.display()
    )?;
    Ok(true)
}

fn create(path: &Path) -> Result<(), Failure> {
    let text = Keyring::generate()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
        |error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::file(path, "it exists, and a keyring is never overwritten; name another file")
            }
            _ => Failure::file(path, error),
        },
    )?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a keyring is of no use, and would be in the way.
        let _ = fs::remove_file(path);
        Failure::file(path, error)
    })
}
