//! Why the keystore did not do what it was asked.

use crate::audit::LogError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the keystore did not do what it was asked. No message holds a password or a digest.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none.
    #[error("{place}: there is no keystore; `keyward init` makes one")]
    Missing {
        /// Where it was looked for.
        place: String,
    },
    /// It is something else.
    #[error("{place}: this is no keystore of keyward")]
    Foreign {
        /// Where.
        place: String,
    },
    /// A newer version of the command has made it or brought it up to date.
    #[error(
        "{place}: the keystore has version {found} of the schema, and this command knows up to {known}; use a newer keyward"
    )]
    Newer {
        /// Where.
        place: String,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// It has to be brought up to date first.
    #[error(
        "{place}: the keystore has version {found} of the schema, and this command needs {known}; `keyward init` brings it up to date (make a backup before)"
    )]
    Older {
        /// Where.
        place: String,
        /// Its version.
        found: i64,
        /// The version that is needed.
        known: i64,
    },
    /// What `--store` says is neither a URL of PostgreSQL nor a path.
    #[error("a keystore is the path of a file, or postgres://USER@HOST/DATABASE")]
    Scheme,
    /// A URL of PostgreSQL that cannot be understood.
    #[error(
        "the URL of the keystore cannot be understood; expected postgres://USER@HOST/DATABASE?sslmode=require"
    )]
    Url,
    /// TLS cannot be used.
    #[error("TLS to the keystore: {0}")]
    Tls(String),
    /// The file that was open is not the one of that name any more.
    #[error("{place}: another file was put in the keystore's place")]
    Replaced {
        /// Where.
        place: String,
    },
    /// The file cannot be made.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What a row holds is not what the schema says.
    #[error("the keystore is damaged, or something else has written to it: {0}")]
    Unreadable(&'static str),
    /// SQLite refused.
    #[error("the keystore: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// PostgreSQL refused.
    #[error("the keystore: {0}")]
    Postgres(String),
    /// The connection was lost, or could not be made.
    #[error("the keystore's server cannot be reached: {0}")]
    Unreachable(String),
    /// Whether a transaction was committed is not known.
    #[error("{0}; whether the change was made is not known: look with `keyward audit`")]
    Commit(#[source] Box<StoreError>),
    /// Something was changed, and nobody has logged it: a fault of the command.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl StoreError {
    /// Whether it may go well when it is tried again with a new connection.
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Replaced { .. } => true,
            Self::Commit(error) => error.is_lost_connection(),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        match error.as_db_error() {
            // The details may quote a row.
            Some(found) if !is_shutdown(found.code()) => {
                Self::Postgres(format!("{} ({})", found.message(), found.code().code()))
            }
            Some(found) => Self::Unreachable(found.message().to_owned()),
            None => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                Self::Unreachable(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }
}

/// Class 57P and 08: the server goes down or comes up, or the connection broke.
fn is_shutdown(code: &postgres::error::SqlState) -> bool {
    code.code().starts_with("57P") || code.code().starts_with("08")
}
