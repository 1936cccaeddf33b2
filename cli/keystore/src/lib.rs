//! The keystore: tenants, members, keys and their audit log, in SQLite or PostgreSQL.
//!
//! A keystore holds digests, never keys. Whatever changes it is one transaction ([`Store::change`]), which begins by
//! locking the one row of the table `keystore` and ends by writing what was done into the audit log; a transaction
//! that changed something and logged nothing is rolled back. What a snapshot holds carries the number of the change
//! that wrote it, and numbers ascend in the order of commits on both databases, so that "what changed since N"
//! ([`View::keys_changed_since`]) misses nothing.
//!
//! The two databases differ in `sqlite.rs`, `postgres.rs` and their part of each migration, and nowhere else.

mod audit;
mod change;
mod error;
mod keys;
mod lines;
mod migrations;
mod peppers;
mod postgres;
mod publications;
mod secrets;
mod session;
mod sqlite;
mod tenants;
mod view;

pub use audit::{Actor, AuditFilter, AuditRow, Entry};
pub use change::Change;
pub use error::StoreError;
pub use keys::{KeyFilter, KeyState, StoredKey};
pub use peppers::PepperError;
pub use publications::Publication;
pub use secrets::SealedSecret;
pub use tenants::{Member, Role, Tenant};
pub use view::View;

use session::{Begin, Session, query_first, values};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Where a keystore is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A URL with the scheme `postgres` or `postgresql`. It may hold a password, so it is not shown.
    Postgres(String),
}

impl FromStr for Place {
    type Err = StoreError;

    /// `postgres://…`, or the path of a file, with or without `sqlite:` before it.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            Some(_) => Err(StoreError::Scheme),
            None if text.is_empty() => Err(StoreError::Scheme),
            None => Ok(Self::Sqlite(text.strip_prefix("sqlite:").unwrap_or(text).into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(_) => formatter.write_str("the PostgreSQL keystore"),
        }
    }
}

/// Shows no password.
impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What [`Store::create`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the schema that was there; 0: none.
    pub from: i64,
    /// The version that is there now.
    pub to: i64,
}

/// An open keystore.
pub struct Store {
    session: Box<dyn Session>,
    id: String,
}

impl Store {
    /// Makes a keystore, or brings one that is there to this version of the schema.
    pub fn create(place: &Place) -> Result<(Self, Migrated), StoreError> {
        let mut session: Box<dyn Session> = match place {
            Place::Sqlite(path) => Box::new(sqlite::Sqlite::create(path)?),
            Place::Postgres(url) => Box::new(postgres::Postgres::connect(url)?),
        };
        let migrated = migrations::run(&mut *session, place)?;
        Ok((Self::of(session)?, migrated))
    }

    /// Opens a keystore that is there, of exactly this version.
    pub fn open(place: &Place) -> Result<Self, StoreError> {
        let mut session: Box<dyn Session> = match place {
            Place::Sqlite(path) => Box::new(sqlite::Sqlite::open(path)?),
            Place::Postgres(url) => Box::new(postgres::Postgres::connect(url)?),
        };
        migrations::check(&mut *session, place)?;
        Self::of(session)
    }

    fn of(mut session: Box<dyn Session>) -> Result<Self, StoreError> {
        let id = query_first(&mut *session, "SELECT id FROM keystore", values![], |mut row| row.text())?;
        let id = id.ok_or(StoreError::Unreadable("the table keystore is empty"))?;
        Ok(Self { session, id })
    }

    /// Made when the keystore was: no other keystore has it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Looks at one state of the keystore, however long it takes and whatever is committed meanwhile.
    pub fn read<T, E: From<StoreError>>(
        &mut self,
        look: impl FnOnce(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.session.begin(Begin::Reading)?;
        let result = look(&mut View::new(&mut *self.session));
        // Nothing was written, so it ends in the same way whether it went well or not.
        let ended = self.session.batch("ROLLBACK");
        let seen = result?;
        ended?;
        Ok(seen)
    }

    /// Changes the keystore in one transaction, or not at all.
    ///
    /// It waits for every other change, and none begins before it has ended. Whatever goes wrong, and a change that
    /// was not logged, rolls it back; where nothing was changed, nothing is committed.
    pub fn change<T, E: From<StoreError>>(
        &mut self,
        actor: &Actor,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.session.begin(Begin::Changing)?;
        let result = Change::begin(&mut *self.session, actor).map_err(E::from).and_then(|mut begun| {
            let done = change(&mut begun)?;
            Ok((done, begun.end()?))
        });
        match result {
            Ok((done, true)) => {
                self.session.batch("COMMIT").map_err(|error| E::from(StoreError::Commit(Box::new(error))))?;
                Ok(done)
            }
            Ok((done, false)) => {
                self.session.batch("ROLLBACK")?;
                Ok(done)
            }
            Err(error) => {
                // A connection that is gone has rolled back already.
                let _ = self.session.batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Takes the right to publish, which one connection has at a time; `false`: another has it. It goes with the
    /// connection, however that ends.
    pub fn lock_publisher(&mut self) -> Result<bool, StoreError> {
        self.session.lock_publisher()
    }

    /// Gives the right to publish back.
    pub fn unlock_publisher(&mut self) -> Result<(), StoreError> {
        self.session.unlock_publisher()
    }

    /// The number of the newest change of what a snapshot holds; 0: there was none.
    pub fn newest_change(&mut self) -> Result<i64, StoreError> {
        View::new(&mut *self.session).newest_change()
    }

    /// Waits until the newest change is another than `seen`, at most so long, and returns its number.
    pub fn wait(&mut self, seen: i64, most: Duration) -> Result<i64, StoreError> {
        let end = Instant::now() + most;
        loop {
            let newest = self.newest_change()?;
            let left = end.saturating_duration_since(Instant::now());
            if newest != seen || left.is_zero() {
                return Ok(newest);
            }
            self.session.wait(left)?;
        }
    }
}

/// The path of the keystore in a folder that has one in a file.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("keystore.sqlite")
}
