//! `keyward keyring`: keyrings for who publishes, and for servers.

use crate::failure::Failure;
use crate::output::Output;
use clap::{Args, Subcommand};
use keyward::keyring::Keyring;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make a keyring: the secrets that are needed to publish keys and to verify them
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a new keyring with one pepper and one signing key from the system's random source
    ///
    /// The file gets mode 0600, which every command asks for, and never takes the place of another: keys
    /// built with a pepper that is gone have to be issued anew. Its comments say how to change the pepper and
    /// the signing key, and how to add the keys that tokens are signed with.
    ///
    /// Where snapshots are built and verified on one machine, this one file is all that is needed. Servers that
    /// only verify get what `keyward keyring server` makes of it.
    #[command(after_help = "\
Example:\n  keyward keyring new -o keyring.toml\n\nExit codes: 0 written; 2 the command line is wrong; 3 it exists or cannot be written.")]
    New {
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Write the keyring for servers that publish nothing: without the private signing keys
    ///
    /// It has the peppers, the token keys, and the public half of every signing key, so that a server with it takes
    /// what was signed with the other half, and nothing else. Nobody who gets hold of it can sign. Comments are left
    /// out.
    #[command(after_help = "\
Example:
  keyward keyring server --keyring keyring.toml -o server.toml

Exit codes: 0 written; 2 the command line is wrong; 3 a file cannot be read, used or written,
or the keyring has no signing key.")]
    Server {
        /// The publisher's keyring
        #[arg(long, value_name = "FILE")]
        keyring: PathBuf,
        /// Where to write the servers' keyring
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Print a new signing key, to be added to the publisher's keyring
    ///
    /// A snapshot is signed with every private signing key of the keyring, so that servers that know the old one and
    /// servers that know the new one both take it.
    #[command(after_help = "\
Example:\n  keyward keyring signing-key >> keyring.toml\n\nExit codes: 0 printed; 2 the command line is wrong; 3 it cannot be made.")]
    SigningKey,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    match &arguments.command {
        Command::New { output } => {
            let text = Keyring::generate()?;
            create(output, &text)?;
            writeln!(
                Output::new(),
                "{}: a new keyring with one pepper and one signing key, {}. Keep it secret, and a copy of it safe.",
                output.display(),
                fingerprints(&text, output)?,
            )?;
        }
        Command::Server { keyring, output } => {
            let name = keyring.to_string_lossy();
            let text = Keyring::for_servers(&Keyring::load_text(keyring)?, &name)?;
            let keys = fingerprints(&text, output)?;
            if keys.is_empty() {
                let why = "it has no signing key, so that servers would take what anybody made; add one \
                           (`keyward keyring signing-key`)";
                return Err(Failure::file(keyring, why));
            }
            create(output, &text)?;
            writeln!(
                Output::new(),
                "{}: a keyring for servers, which take what {keys} has signed.",
                output.display()
            )?;
        }
        Command::SigningKey => write!(Output::new(), "\n{}", *Keyring::generate_signing_key()?)?,
    }
    Ok(true)
}

/// What the signing keys of a keyring are called.
fn fingerprints(text: &str, path: &Path) -> Result<String, Failure> {
    let keyring = Keyring::read(text, &path.to_string_lossy())?;
    let names: Vec<_> = keyring.public_keys().iter().map(|key| key.fingerprint().to_string()).collect();
    Ok(names.join(" or "))
}

/// Writes a keyring where there is none, for its owner alone.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Failure> {
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
