//! A keystore in a file: SQLite.

use crate::StoreError;
use crate::session::{Begin, Dialect, Row, Session, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use serde_json::{Map, Value as Json};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long somebody else's change is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a waiting publisher looks. A look is one read of a page in memory.
const LOOK: Duration = Duration::from_millis(5);
/// Memory for pages, in KiB. Digests go to random places of their index: with SQLite's 2 MB an import of millions reads
/// and writes it over and over.
const CACHE: i64 = 128 << 10;
/// "kwds": what `file` and the like know such a file by.
const APPLICATION: i32 = 0x6b77_6473;

pub(crate) const DIALECT: Dialect = Dialect {
    words: &[("{text}", "TEXT"), ("{integer}", "INTEGER"), ("{bytes}", "BLOB"), ("{strict}", " STRICT")],
    own: |migration| migration.sqlite,
};

pub(crate) struct Sqlite {
    connection: Connection,
    /// What `PRAGMA data_version` last said.
    seen: i64,
    path: PathBuf,
    /// Device and inode of the file that is open.
    file: (u64, u64),
    /// A locked file beside it, for as long as this one publishes.
    publisher: Option<File>,
}

impl Sqlite {
    /// Makes an empty file that nobody else can read, where there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(StoreError::File { path: path.to_owned(), error })
            }
            _ => Self::open(path),
        }
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { place: path.display().to_string() });
        }
        let file = identity(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Nobody's revocation may be lost with the power: FULL, which in this mode syncs each commit.
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match application {
            APPLICATION => {}
            0 if tables == 0 => connection.pragma_update(None, "application_id", APPLICATION)?,
            _ => return Err(StoreError::Foreign { place: path.display().to_string() }),
        }
        let mut session = Self { connection, seen: 0, path: path.to_owned(), file, publisher: None };
        session.seen = session.data_version()?;
        Ok(session)
    }

    fn data_version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}

/// What tells a file from another in its place.
fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    let found = std::fs::metadata(path).map_err(|error| StoreError::File { path: path.to_owned(), error })?;
    Ok((found.dev(), found.ino()))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(StoreError::Unreadable("a text is not UTF-8")),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(StoreError::Unreadable("a column holds a fraction")),
    })
}

impl Session for Sqlite {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let touched = self.connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
        Ok(touched as u64)
    }

    fn rows(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| value(row.get_ref(column)?)).collect::<Result<_, _>>()?;
            each(Row::new(values))?;
        }
        Ok(())
    }

    fn begin(&mut self, begin: Begin) -> Result<(), StoreError> {
        self.batch(match begin {
            Begin::Reading => "BEGIN DEFERRED",
            // The right to write at once: a transaction that asks for it half-way can be refused it.
            Begin::Changing => "BEGIN IMMEDIATE",
        })
    }

    /// The transaction has the right to write already.
    fn lock_schema(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn has_table(&mut self, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let count: i64 = self.connection.query_row(sql, [name], |row| row.get(0))?;
        Ok(count > 0)
    }

    /// Who waits sees it in the file.
    fn announce(&mut self, _change: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn wait(&mut self, most: Duration) -> Result<(), StoreError> {
        if identity(&self.path)? != self.file {
            return Err(StoreError::Replaced { place: self.path.display().to_string() });
        }
        let end = Instant::now() + most;
        loop {
            let version = self.data_version()?;
            if version != self.seen || Instant::now() >= end {
                self.seen = version;
                return Ok(());
            }
            thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// The lock is one of a file of its own: SQLite's come and go with its transactions.
    fn lock_publisher(&mut self) -> Result<bool, StoreError> {
        if self.publisher.is_some() {
            return Ok(true);
        }
        let mut name = OsString::from(&self.path);
        name.push(".publisher");
        let path = PathBuf::from(name);
        let refused = |error| StoreError::File { path: path.clone(), error };
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(refused)?;
        match file.try_lock() {
            Ok(()) => self.publisher = Some(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        Ok(self.publisher.is_some())
    }

    fn unlock_publisher(&mut self) -> Result<(), StoreError> {
        self.publisher = None;
        Ok(())
    }

    fn origin(&mut self) -> Result<Map<String, Json>, StoreError> {
        Ok(Map::new())
    }
}
