//! A snapshot that is open: its bytes in memory, checked, and what can be asked of them. A delta is one that is
//! laid over another.

mod delta;
mod layers;
mod open;
mod pages;
mod structure;
mod view;

pub use crate::memory::Mode;
pub use delta::{Change, Delta, DeltaError, delta_path};
pub use layers::{Found, Layers};
pub use open::SnapshotError;
pub use view::{CredentialPlace, Damaged, Entry, PepperEntry, Scopes, Snapshot};

/// When the hashes of a snapshot's pages are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Check {
    /// Before it is used, where that takes a few milliseconds (files up to [`SMALL`] bytes); else each
    /// page when it is first read from. Either way nothing is read from a page that was not checked.
    #[default]
    Fast,
    /// All of it before it is used.
    Whole,
}

/// The length up to which [`Check::Fast`] checks a file before it is used.
pub const SMALL: u64 = 32 << 20;
