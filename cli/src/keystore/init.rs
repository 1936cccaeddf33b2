//! `keyward init`: a folder with everything that keys are made and published with.

use crate::failure::Failure;
use crate::keyring;
use crate::keystore::place::{CONFIGURATION, KEYRING, StoreArguments};
use crate::output::Output;
use clap::{Args, ValueEnum};
use keyward::keyring::Keyring;
use keyward::realm::{Configuration, CredentialKind};
use keyward_keystore::{Migrated, Store};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Make a folder with a configuration, a keyring and a keystore
///
/// The configuration is that of a ready profile, or a small one to start from. What is there already is kept as it is,
/// so that it can be run again: for a folder that has half of it, for a second machine that works with the same
/// PostgreSQL keystore, and to bring a keystore up to date after an update of this command.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward init shop
  keyward init billoget --profile billoget
  keyward init shop --store postgres://keyward@db.example.com/keyward

Exit codes: 0 done; 2 the command line is wrong; 3 a file cannot be written, or the keystore cannot be used.")]
pub(crate) struct Arguments {
    /// The folder, made where it is missing
    dir: PathBuf,
    /// The API that the configuration is for
    #[arg(long, value_enum, default_value_t = Profile::Plain)]
    profile: Profile,
    #[command(flatten)]
    store: StoreArguments,
}

/// Configurations that a folder can start with.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// One realm with live and test keys, to be changed as you like.
    Plain,
    Aver,
    Billoget,
    Built,
    Interstellas,
    Onebalance,
}

impl Profile {
    const fn text(self) -> &'static str {
        match self {
            Self::Plain => include_str!("init/plain.toml"),
            Self::Aver => include_str!("../../../profiles/aver/keyward.toml"),
            Self::Billoget => include_str!("../../../profiles/billoget/keyward.toml"),
            Self::Built => include_str!("../../../profiles/built/keyward.toml"),
            Self::Interstellas => include_str!("../../../profiles/interstellas/keyward.toml"),
            Self::Onebalance => include_str!("../../../profiles/onebalance/keyward.toml"),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let dir = &arguments.dir;
    let place = arguments.store.place(dir)?;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| Failure::file(dir, error))?;
    let mut output = Output::new();
    let path = dir.join(CONFIGURATION);
    let made = write_new(&path, arguments.profile.text())?;
    writeln!(output, "{}: {}", path.display(), if made { "a new configuration" } else { "kept as it is" })?;
    let configuration = crate::build::read_configuration(&path)?;

    let (mut store, Migrated { from, to }) = Store::create(&place)?;
    let path = dir.join(KEYRING);
    if path.try_exists().map_err(|error| Failure::file(&path, error))? {
        writeln!(output, "{}: kept as it is", path.display())?;
    } else {
        let (keys, _) = store.read(|view| view.count_keys())?;
        if keys > 0 {
            return Err(Failure::file(&path, NoKeyring { place: &place.to_string(), keys }));
        }
        let mut parts = vec![Keyring::generate()?];
        if keeps_keys(&configuration) {
            parts.push(Keyring::generate_sealing_key(1)?);
        }
        let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
        keyring::create(&path, &Zeroizing::new(parts.join("\n")))?;
        writeln!(output, "{}: a new keyring. Keep it secret, and a copy of it safe.", path.display())?;
    }

    let done = match from {
        0 => "a new keystore".to_owned(),
        _ if from == to => "kept as it is".to_owned(),
        _ => format!("brought from version {from} of the schema to {to}"),
    };
    writeln!(output, "{place}: {done}")?;
    for realm in configuration.realms.iter().filter(|realm| realm.has_tokens()) {
        writeln!(
            output,
            "Realm {} takes tokens: add the [[token_key]] to the keyring that {CONFIGURATION} speaks of.",
            realm.name
        )?;
    }
    Ok(true)
}

/// A keyring is missing whose pepper keys depend on. A new one would make every one of them unknown.
#[derive(Debug, Error)]
#[error(
    "there is none, and {place} holds keys ({keys}) whose digests were made with one: copy it here from where they were made, or from a backup"
)]
struct NoKeyring<'p> {
    place: &'p str,
    keys: u64,
}

/// Whether keys are kept that may be read again, for which a sealing key is needed.
fn keeps_keys(configuration: &Configuration) -> bool {
    let mut credentials = configuration.realms.iter().flat_map(|realm| &realm.credentials);
    credentials.any(|credential| match &credential.kind {
        CredentialKind::Key(rules) | CredentialKind::Basic(rules) => rules.retrievable,
        CredentialKind::Token(_) | CredentialKind::Tenant => false,
    })
}

/// Writes a file where there is none; whether it did.
fn write_new(path: &Path, text: &str) -> Result<bool, Failure> {
    let write = |mut file: File| -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => write(file).map(|()| true).map_err(|error| {
            // Half a file would be in the way.
            let _ = fs::remove_file(path);
            Failure::file(path, error)
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Failure::file(path, error)),
    }
}
