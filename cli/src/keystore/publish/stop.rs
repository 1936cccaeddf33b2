//! Why a round of publishing came to nothing.

use super::brake::Doubt;
use crate::failure::Failure;
use keyward::build::{BuildError, LineError, PublishError};
use keyward::snapshot::SnapshotError;
use keyward_keystore::{PepperError, StoreError};
use std::io;
use thiserror::Error;

/// Why nothing was published.
#[derive(Debug, Error)]
pub(crate) enum Stop {
    /// The keystore.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyring is not the one that the keystore's digests were made with.
    #[error(transparent)]
    Pepper(#[from] PepperError),
    /// The files.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A key that the configuration has no place for.
    #[error("key {id:?} of realm {realm:?}: {error}")]
    Key {
        /// Its realm.
        realm: String,
        /// Its id.
        id: String,
        /// What is wrong with it.
        error: Box<LineError>,
    },
    /// A snapshot that could not be built, or the like.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The snapshot in place.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The system.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another publisher has the keystore.
    #[error(
        "somebody else publishes from this keystore (as `keyward publish --watch` does for as long as it runs)"
    )]
    Busy,
    /// Another publisher has published from the keystore since it was read.
    #[error("somebody else has published generation {generation} from this keystore meanwhile; try again")]
    Overtaken {
        /// What it published.
        generation: u64,
    },
    /// There is no number left.
    #[error(
        "generation {found} cannot be followed by another: find out where it comes from, and move the file away"
    )]
    NoNext {
        /// The generation in place, or noted.
        found: u64,
    },
    /// Nobody said yes.
    #[error("held back: {0}. Look with `keyward audit`; `keyward publish --yes` publishes it all the same")]
    Held(Doubt),
}

impl Stop {
    /// Whether it may go well when it is tried again, with nobody doing anything about it.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Store(error) | Self::Pepper(PepperError::Store(error)) => error.is_lost_connection(),
            Self::Publish(PublishError::Busy { .. }) | Self::Busy | Self::Overtaken { .. } => true,
            _ => false,
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Held(_) => Self::check(stop),
            other => Self::data(other),
        }
    }
}
