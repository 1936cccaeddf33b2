//! The schema, in numbered steps that each database has taken all or none of.

use crate::session::{Session, query_first, values};
use crate::{Migrated, Place, StoreError};

/// One step: what both take, and what each takes besides.
pub(crate) struct Migration {
    pub(crate) common: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// All steps. A step that was released is never changed; what comes after it is a new one.
const MIGRATIONS: &[Migration] = &[Migration {
    common: include_str!("../migrations/1.sql"),
    sqlite: include_str!("../migrations/1.sqlite.sql"),
    postgres: include_str!("../migrations/1.postgres.sql"),
}];

const VERSIONS: &str =
    "CREATE TABLE schema_version (version {integer} PRIMARY KEY, at {integer} NOT NULL){strict}";

fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

fn version(session: &mut dyn Session) -> Result<i64, StoreError> {
    if !session.has_table("schema_version")? {
        return Ok(0);
    }
    let sql = "SELECT max(version) FROM schema_version";
    Ok(query_first(session, sql, values![], |mut row| row.optional_integer())?.flatten().unwrap_or(0))
}

/// That the schema is the one that this code is written for.
pub(crate) fn check(session: &mut dyn Session, place: &Place) -> Result<(), StoreError> {
    let (found, known, place) = (version(session)?, newest(), place.to_string());
    match found {
        0 => Err(StoreError::Missing { place }),
        _ if found > known => Err(StoreError::Newer { place, found, known }),
        _ if found < known => Err(StoreError::Older { place, found, known }),
        _ => Ok(()),
    }
}

/// Takes the steps that are left, in one transaction.
pub(crate) fn run(session: &mut dyn Session, place: &Place) -> Result<Migrated, StoreError> {
    session.begin(crate::Begin::Changing)?;
    let result = steps(session, place);
    match &result {
        Ok(_) => session.batch("COMMIT")?,
        Err(_) => {
            let _ = session.batch("ROLLBACK");
        }
    }
    result
}

fn steps(session: &mut dyn Session, place: &Place) -> Result<Migrated, StoreError> {
    session.lock_schema()?;
    let from = version(session)?;
    if from > newest() {
        return Err(StoreError::Newer { place: place.to_string(), found: from, known: newest() });
    }
    if from == 0 {
        let sql = in_dialect(session, VERSIONS);
        session.batch(&sql)?;
    }
    for (migration, number) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, number)| *number > from) {
        let common = in_dialect(session, migration.common);
        session.batch(&common)?;
        let own = (session.dialect().own)(migration);
        session.batch(own)?;
        let now = keyward::time::Timestamp::coarse_now().seconds();
        session.execute("INSERT INTO schema_version (version, at) VALUES ($1, $2)", values![number, now])?;
        if number == 1 {
            let sql = "INSERT INTO keystore (one, id, change, audit) VALUES (1, $1, 0, 0)";
            session.execute(sql, values![new_id()?])?;
        }
    }
    Ok(Migrated { from, to: newest() })
}

fn in_dialect(session: &dyn Session, sql: &str) -> String {
    session.dialect().words.iter().fold(sql.to_owned(), |sql, (word, own)| sql.replace(word, own))
}

fn new_id() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| StoreError::Unreadable("the system gives no random numbers for an id"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_known_to_both() {
        let words = |text: &str| -> Vec<String> {
            let parts = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
            parts.map(|(word, _)| format!("{{{word}}}")).collect()
        };
        for migration in MIGRATIONS {
            for word in words(migration.common) {
                for dialect in [&crate::sqlite::DIALECT, &crate::postgres::DIALECT] {
                    assert!(dialect.words.iter().any(|(known, _)| *known == word), "{word}");
                }
            }
        }
    }
}
