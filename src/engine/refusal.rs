//! Why a snapshot did not take over.

use crate::gates::PlanError;
use crate::limits::StateError;
use crate::signature::SignatureError;
use crate::snapshot::{DeltaError, SnapshotError};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a snapshot did not take over. The last good generation goes on.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not a snapshot that can be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Nobody signed it who may publish.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The delta beside it cannot be used.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// It cannot be used with this keyring.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It is older than what is there.
    #[error(
        "the snapshot has generation {found}, and generation {current} is in use: it would go back; publish a newer one"
    )]
    Older {
        /// The generation that was found.
        found: u64,
        /// The generation in use.
        current: u64,
    },
    /// It says that it is what is there, and is not.
    #[error(
        "the snapshot has generation {generation}, which is in use, with other bytes: publish it with a new generation"
    )]
    Conflict {
        /// The generation.
        generation: u64,
    },
    /// A process that shares the state file has served a newer one.
    #[error(
        "the snapshot has generation {found}, and generation {served} of the realm \"{realm}\" was served by a process that shares the state file: it would go back; publish a newer one"
    )]
    Served {
        /// The generation that was found.
        found: u64,
        /// The highest generation that was served.
        served: u64,
        /// The realm that it was served of.
        realm: String,
    },
    /// A process that shares the state file has served other bytes of the same generation.
    #[error(
        "the snapshot has generation {generation}, of which a process that shares the state file served other bytes of the realm \"{realm}\": publish it with a new generation"
    )]
    ServedOther {
        /// The generation.
        generation: u64,
        /// The realm.
        realm: String,
    },
    /// It has nothing that is in use.
    #[error(
        "the snapshot has none of the realms in use ({current}), but {found}: put the right file in its place, or restart to use this one"
    )]
    OtherRealms {
        /// The realms that were found.
        found: String,
        /// The realms in use.
        current: String,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is nothing that a delta could be laid over.
    #[error("there is no snapshot yet that a delta could be laid over: hand in a full one first")]
    NoBase,
    /// The engine was made from memory and has no file to look at.
    #[error("the engine was opened from memory: hand it new bytes instead")]
    NoFile,
}

/// The errors that a file with the same bytes would give again.
#[derive(Clone)]
pub(super) enum Content {
    Snapshot(SnapshotError),
    Signature(SignatureError),
    Delta(DeltaError),
    Plan(PlanError),
    Older { found: u64, current: u64 },
    Conflict { generation: u64 },
    Served { found: u64, served: u64, realm: String },
    ServedOther { generation: u64, realm: String },
    OtherRealms { found: String, current: String },
}

impl Content {
    /// The error, if it is one of them.
    pub(super) fn of(error: &ReloadError) -> Option<Self> {
        Some(match error {
            ReloadError::Snapshot(error) => Self::Snapshot(error.clone()),
            ReloadError::Signature(error) => Self::Signature(error.clone()),
            ReloadError::Delta(error) => Self::Delta(error.clone()),
            ReloadError::Plan(error) => Self::Plan(error.clone()),
            ReloadError::Served { found, served, realm } => {
                Self::Served { found: *found, served: *served, realm: realm.clone() }
            }
            ReloadError::ServedOther { generation, realm } => {
                Self::ServedOther { generation: *generation, realm: realm.clone() }
            }
            ReloadError::OtherRealms { found, current } => {
                Self::OtherRealms { found: found.clone(), current: current.clone() }
            }
            &ReloadError::Older { found, current } => Self::Older { found, current },
            &ReloadError::Conflict { generation } => Self::Conflict { generation },
            ReloadError::Io { .. } | ReloadError::State(_) | ReloadError::NoBase | ReloadError::NoFile => {
                return None;
            }
        })
    }
}

impl From<Content> for ReloadError {
    fn from(content: Content) -> Self {
        match content {
            Content::Snapshot(error) => Self::Snapshot(error),
            Content::Signature(error) => Self::Signature(error),
            Content::Delta(error) => Self::Delta(error),
            Content::Plan(error) => Self::Plan(error),
            Content::Served { found, served, realm } => Self::Served { found, served, realm },
            Content::ServedOther { generation, realm } => Self::ServedOther { generation, realm },
            Content::OtherRealms { found, current } => Self::OtherRealms { found, current },
            Content::Older { found, current } => Self::Older { found, current },
            Content::Conflict { generation } => Self::Conflict { generation },
        }
    }
}
