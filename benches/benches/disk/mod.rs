//! Stores on disk that only the benches know.

use keyward_benches::peers::{Digest, Peer, Value};
use redb::{Database, ReadableDatabase, TableDefinition};
use rusqlite::Connection;
use std::error::Error;
use std::path::Path;

/// What building one may say.
type Failure = Box<dyn Error>;

/// SQLite, with a statement that is prepared once.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    /// Fills a new one at `path`.
    pub(crate) fn new(path: &Path, entries: impl Iterator<Item = (Digest, Value)>) -> Result<Self, Failure> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "mmap_size", 1_i64 << 40)?;
        connection.execute_batch(
            "CREATE TABLE keys (digest BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        )?;
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO keys VALUES (?1, ?2)")?;
            for (digest, value) in &entries {
                insert.execute((digest, value))?;
            }
        }
        transaction.commit()?;
        Ok(Self(connection))
    }
}

impl Peer for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn get(&self, digest: &Digest) -> Option<Value> {
        let mut select = self.0.prepare_cached("SELECT value FROM keys WHERE digest = ?1").ok()?;
        select.query_row((digest,), |row| row.get(0)).ok()
    }
}

const TABLE: TableDefinition<'_, &[u8; 32], &[u8; 32]> = TableDefinition::new("keys");

/// redb, with a transaction a call.
pub(crate) struct Redb(Database);

impl Redb {
    /// Fills a new one at `path`.
    pub(crate) fn new(path: &Path, entries: impl Iterator<Item = (Digest, Value)>) -> Result<Self, Failure> {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        let database = Database::create(path)?;
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (digest, value) in &entries {
                table.insert(digest, value)?;
            }
        }
        transaction.commit()?;
        Ok(Self(database))
    }
}

impl Peer for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn get(&self, digest: &Digest) -> Option<Value> {
        let transaction = self.0.begin_read().ok()?;
        let table = transaction.open_table(TABLE).ok()?;
        table.get(digest).ok()?.map(|value| *value.value())
    }
}
