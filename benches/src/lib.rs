//! What `keyward bench` and the benches measure with: one realm, any number of keys that are made from
//! their numbers, requests that present them, and the stores that keyward stands beside.
//!
//! Nothing here is read from a list that is kept in memory. A list of requests would either be so short
//! that its keys stay in the processor's cache, or so long that reading it is what is measured.

pub mod chain;
pub mod chase;
pub mod keys;
pub mod peers;
pub mod random;
pub mod requests;
pub mod store;

use keyward::build::{BuildError, PublishError};
use keyward::engine::ReloadError;
use keyward::realm::ConfigError;
use keyward::reason::Reason;
use keyward::snapshot::SnapshotError;
use std::io;
use thiserror::Error;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum Error {
    /// The bench's own configuration or keyring was refused.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The snapshot could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The engine refused it.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// It could not be opened beside the engine.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file of the bench's could not be written or read.
    #[error("the bench's own files: {0}")]
    Io(#[from] io::Error),
    /// LMDB did not work.
    #[error("LMDB: {0}")]
    Lmdb(#[from] heed::Error),
    /// What is measured does not do what it should, so that its time means nothing.
    #[error("{what} was decided as `{}`, not `{}`: the figures would mean nothing", found.name(), expected.name())]
    Verdict {
        /// What was measured.
        what: &'static str,
        /// The reason that came.
        found: Reason,
        /// The reason that should have come.
        expected: Reason,
    },
    /// A key that should be found was not, or the other way about.
    #[error("{what}: a key was looked up wrongly, so the figures would mean nothing")]
    Lookup {
        /// Where it was looked up.
        what: &'static str,
    },
}
