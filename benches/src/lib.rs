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
pub mod timing;

use keyward::reason::Reason;
use std::io;
use thiserror::Error;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum Error {
    /// Building, publishing or opening the snapshot failed.
    #[error(transparent)]
    Snapshot(Box<dyn std::error::Error + Send + Sync>),
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

impl Error {
    /// An error of keyward's own.
    pub fn snapshot(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Snapshot(Box::new(error))
    }
}
