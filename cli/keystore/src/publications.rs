//! What was published from the keystore.

use crate::session::{Row, query_first, values};
use crate::{Change, StoreError, View};

/// One published generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number.
    pub generation: u64,
    /// The generation that a delta stands on; `None`: a full snapshot.
    pub base: Option<u64>,
    /// The newest change that is in it.
    pub change: i64,
    /// The hash of the configuration that it was built with, in hex.
    pub configuration: String,
    /// How many keys it holds.
    pub keys: u64,
    /// The hash that the file's header has, in hex: it stands for every byte of the file.
    pub hash: String,
    /// When, in Unix seconds.
    pub published_at: u64,
}

fn publication(mut row: Row) -> Result<Publication, StoreError> {
    Ok(Publication {
        generation: row.time()?,
        base: row.optional_time()?,
        change: row.integer()?,
        configuration: row.text()?,
        keys: row.time()?,
        hash: row.text()?,
        published_at: row.time()?,
    })
}

const PUBLICATION: &str =
    "SELECT generation, base, change, configuration, keys, hash, published_at FROM publication";

impl View<'_> {
    /// The newest generation that was published.
    pub fn newest_publication(&mut self) -> Result<Option<Publication>, StoreError> {
        query_first(
            self.session,
            &format!("{PUBLICATION} ORDER BY generation DESC LIMIT 1"),
            values![],
            publication,
        )
    }

    /// The publication of that generation.
    pub fn publication(&mut self, generation: u64) -> Result<Option<Publication>, StoreError> {
        let sql = format!("{PUBLICATION} WHERE generation = $1");
        query_first(self.session, &sql, values![generation], publication)
    }
}

impl Change<'_> {
    /// Notes what was published.
    pub fn add_publication(&mut self, publication: &Publication) -> Result<(), StoreError> {
        let sql = "INSERT INTO publication (generation, base, change, configuration, keys, hash, published_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let Publication { generation, base, change, configuration, keys, hash, published_at } = publication;
        self.writing()
            .execute(sql, values![*generation, *base, *change, configuration, *keys, hash, *published_at])?;
        Ok(())
    }
}
