//! Where a keystore and the files that go with it are.

use crate::build::read_configuration;
use crate::failure::Failure;
use clap::Args;
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward_keystore::{Place, Store, StoreError, file_in};
use std::path::PathBuf;

/// What every command of the keystore takes.
#[derive(Args, Clone)]
pub(crate) struct Folder {
    /// The folder that `keyward init` has made
    #[arg(long, value_name = "DIR", env = "KEYWARD_DIR", default_value = ".")]
    dir: PathBuf,
    /// The keystore: a file, or postgres://USER@HOST/DATABASE [default: keystore.sqlite in the folder]
    #[arg(long, value_name = "PLACE", env = "KEYWARD_STORE", hide_env_values = true)]
    store: Option<String>,
    /// The configuration [default: keyward.toml in the folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The keyring [default: keyring.toml in the folder]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

impl Folder {
    /// Where the keystore is.
    pub(crate) fn place(&self) -> Result<Place, StoreError> {
        self.store.as_ref().map_or_else(|| Ok(Place::Sqlite(file_in(&self.dir))), |text| text.parse())
    }

    /// Opens the keystore.
    pub(crate) fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.place()?)
    }

    /// The path of the configuration.
    pub(crate) fn configuration_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.dir.join("keyward.toml"))
    }

    /// The path of the keyring.
    pub(crate) fn keyring_path(&self) -> PathBuf {
        self.keyring.clone().unwrap_or_else(|| self.dir.join("keyring.toml"))
    }

    /// The path of the snapshot, where no other is named.
    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.dir.join("keys.kwd")
    }

    /// Reads the configuration.
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        read_configuration(&self.configuration_path())
    }

    /// Reads the keyring.
    pub(crate) fn keyring(&self) -> Result<Keyring, Failure> {
        Ok(Keyring::load(&self.keyring_path())?)
    }
}
