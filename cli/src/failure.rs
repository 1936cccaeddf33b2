//! Why a command ends otherwise than well, and the exit code that tells it to a script.

use keyward::build::{BuildError, PublishError};
use keyward::engine::ReloadError;
use keyward::keyring::KeyringError;
use keyward::limits::StateError;
use keyward::realm::ConfigError;
use keyward::snapshot::SnapshotError;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// What an exit code says. Nothing but these numbers ever leaves the process; 0 is allowed, or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The request is denied, or a check failed.
    Failed = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// A file could not be read, written or used: the system refused, or its content is damaged or wrong.
    Data = 3,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// The command line asks for what cannot be.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: Code::Usage, message: message.to_string() }
    }

    /// A check failed.
    pub(crate) fn check(message: impl Display) -> Self {
        Self { code: Code::Failed, message: message.to_string() }
    }

    /// A file, or the system, is at fault.
    pub(crate) fn data(message: impl Display) -> Self {
        Self { code: Code::Data, message: message.to_string() }
    }

    /// The file at `path` is at fault.
    pub(crate) fn file(path: &Path, error: impl Display) -> Self {
        Self::data(format_args!("{}: {error}", path.display()))
    }

    /// What the exit code is.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// What to tell the user.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// Errors that say themselves which file they are about.
macro_rules! data {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::data(error)
            }
        })*
    };
}

data!(
    BuildError,
    PublishError,
    ReloadError,
    KeyringError,
    ConfigError,
    SnapshotError,
    StateError,
    std::io::Error
);
