//! Where configuration, keyring and keystore are, and who asks.

use crate::build::read_configuration;
use crate::failure::Failure;
use clap::Args;
use keyward::keyring::Keyring;
use keyward::realm::{Configuration, Realm};
use keyward_keystore::{Actor, Place, Store, file_in};
use std::path::{Path, PathBuf};

pub(crate) const CONFIGURATION: &str = "keyward.toml";
pub(crate) const KEYRING: &str = "keyring.toml";
const SNAPSHOT: &str = "keys.kwd";

/// The folder and the keystore.
#[derive(Args)]
pub(crate) struct PlaceArguments {
    /// The folder with keyward.toml, keyring.toml and the keystore
    #[arg(long, value_name = "DIR", default_value = ".", env = "KEYWARD_DIR", help_heading = "Keystore")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// The keystore.
#[derive(Args)]
pub(crate) struct StoreArguments {
    /// The keystore: a file, or postgres://USER@HOST/DATABASE [default: keystore.sqlite in the folder]
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "KEYWARD_STORE",
        hide_env_values = true,
        help_heading = "Keystore"
    )]
    store: Option<String>,
}

impl StoreArguments {
    /// Where the keystore of this folder is.
    pub(crate) fn place(&self, dir: &Path) -> Result<Place, Failure> {
        match &self.store {
            None => Ok(Place::Sqlite(file_in(dir))),
            Some(text) => text.parse().map_err(Failure::usage),
        }
    }
}

/// Who asks for a change.
#[derive(Args)]
pub(crate) struct ActorArguments {
    /// The member of the tenant who asks for it. It is noted and held against the realm's rules; who runs the
    /// command vouches for it
    #[arg(id = "as", long = "as", value_name = "MEMBER")]
    member: Option<String>,
}

impl ActorArguments {
    pub(crate) fn actor(&self) -> Actor {
        Actor::current(self.member.as_deref())
    }
}

impl PlaceArguments {
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        read_configuration(&self.dir.join(CONFIGURATION))
    }

    pub(crate) fn keyring(&self, configuration: &Configuration) -> Result<Keyring, Failure> {
        let keyring = Keyring::load(&self.dir.join(KEYRING))?;
        keyring.check_realms(configuration)?;
        Ok(keyring)
    }

    /// Where the keystore is.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        self.store.place(&self.dir)
    }

    pub(crate) fn open(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.place()?)?)
    }

    /// Where the snapshot is that is published from it.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.dir.join(SNAPSHOT)
    }
}

/// The realm of that name, or the only one.
pub(crate) fn realm<'c>(configuration: &'c Configuration, name: Option<&str>) -> Result<&'c Realm, Failure> {
    let names = || {
        let names: Vec<&str> = configuration.realms.iter().map(|realm| realm.name.as_str()).collect();
        names.join(", ")
    };
    match (name, &configuration.realms[..]) {
        (Some(name), realms) => realms.iter().find(|realm| realm.name == name).ok_or_else(|| {
            Failure::usage(format_args!("there is no realm {name:?}; the configuration has {}", names()))
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format_args!("name the realm with --realm: one of {}", names()))),
    }
}
