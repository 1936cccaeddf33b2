//! LMDB, through heed.

use super::{Digest, Peer, Value};
use crate::Error;
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, PutFlags};
use std::path::Path;

/// Entries that are written in one transaction.
const AT_ONCE: usize = 1 << 20;

/// An LMDB database that is read with a transaction a call.
pub struct Lmdb {
    env: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    /// Fills a new one in the directory `path`.
    pub fn new(path: &Path, entries: impl ExactSizeIterator<Item = (Digest, Value)>) -> Result<Self, Error> {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        let size = (entries.len() * 256).next_multiple_of(1 << 20).max(1 << 24);
        let env = open(path, size)?;
        let mut transaction = env.write_txn()?;
        let database = env.create_database::<Bytes, Bytes>(&mut transaction, None)?;
        transaction.commit()?;
        for entries in entries.chunks(AT_ONCE) {
            let mut transaction = env.write_txn()?;
            for (digest, value) in entries {
                database.put_with_flags(&mut transaction, PutFlags::APPEND, digest, value)?;
            }
            transaction.commit()?;
        }
        Ok(Self { env, database })
    }
}

#[expect(unsafe_code, reason = "heed opens LMDB in no other way; see the comment on the block")]
fn open(path: &Path, size: usize) -> Result<Env, heed::Error> {
    let mut options = EnvOpenOptions::new();
    options.map_size(size);
    // SAFETY: the files are in a directory that the caller has just made for this process alone, so
    // nobody changes what is mapped, and this is the one environment that is opened there.
    unsafe { options.open(path) }
}

impl Peer for Lmdb {
    fn name(&self) -> &'static str {
        "lmdb"
    }

    #[inline]
    fn get(&self, digest: &Digest) -> Option<Value> {
        let transaction = self.env.read_txn().ok()?;
        self.database.get(&transaction, digest).ok()?.and_then(|value| value.first_chunk().copied())
    }
}
