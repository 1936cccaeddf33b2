//! Commands that work on a keystore: the life of a key, and publishing what is in it.

mod audit;
mod init;
mod issuing;
mod key;
mod maker;
mod member;
mod place;
mod publish;
mod scan;
mod seal;
mod status;
mod tenant;
mod times;

use crate::failure::Failure;
use clap::Subcommand;
use keyward_keystore::{PepperError, StoreError};

/// They stand before the others in the command's help.
#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::Arguments),
    Tenant(tenant::Arguments),
    Member(member::Arguments),
    Key(key::Arguments),
    Audit(audit::Arguments),
    Publish(publish::Arguments),
    Status(status::Arguments),
    Scan(scan::Arguments),
}

impl Command {
    /// Does it; `false` where a check failed.
    pub(crate) fn run(&self) -> Result<bool, Failure> {
        match self {
            Self::Init(arguments) => init::run(arguments),
            Self::Tenant(arguments) => tenant::run(arguments),
            Self::Member(arguments) => member::run(arguments),
            Self::Key(arguments) => key::run(arguments),
            Self::Audit(arguments) => audit::run(arguments),
            Self::Publish(arguments) => publish::run(arguments),
            Self::Status(arguments) => status::run(arguments),
            Self::Scan(arguments) => scan::run(arguments),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::data(error)
    }
}

impl From<PepperError> for Failure {
    fn from(error: PepperError) -> Self {
        Self::data(error)
    }
}
