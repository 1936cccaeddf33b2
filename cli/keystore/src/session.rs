//! What the rest of the keystore asks of a database, and nothing that only one of the two has.
//!
//! Statements are written once, in the SQL that SQLite and PostgreSQL share: numbers are 64 bits wide, times are
//! Unix seconds, lists are JSON texts, and parameters are `$1`, `$2`, … in the order of their first use.

use crate::StoreError;
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// A value on its way into or out of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// Times and generations, which stay far below 2^63.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Values for the parameters of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::session::Value::from($value)),*][..]
    };
}
pub(crate) use values;

/// A row, whose columns are taken from the left.
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or(StoreError::Unreadable("a row has too few columns"))
    }

    pub(crate) fn optional_integer(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(number)),
            _ => Err(StoreError::Unreadable("a column holds no number")),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64, StoreError> {
        self.optional_integer()?.ok_or(StoreError::Unreadable("a column holds nothing"))
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<u64>, StoreError> {
        let time = self.optional_integer()?.map(u64::try_from).transpose();
        time.map_err(|_| StoreError::Unreadable("a column holds a time before 1970"))
    }

    pub(crate) fn time(&mut self) -> Result<u64, StoreError> {
        self.optional_time()?.ok_or(StoreError::Unreadable("a column holds nothing"))
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(StoreError::Unreadable("a column holds no text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or(StoreError::Unreadable("a column holds nothing"))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.next()? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(StoreError::Unreadable("a column holds no bytes")),
        }
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&self.text()?)
            .map_err(|_| StoreError::Unreadable("a column holds no list of texts"))
    }

    pub(crate) fn object(&mut self) -> Result<Map<String, Json>, StoreError> {
        serde_json::from_str(&self.text()?)
            .map_err(|_| StoreError::Unreadable("a column holds no JSON object"))
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It sees what is committed when it begins, however long it takes, and changes nothing.
    Reading,
    /// It changes something.
    Changing,
}

/// A connection.
pub(crate) trait Session: Send {
    /// What the placeholders of a migration become here, and what it runs besides.
    fn dialect(&self) -> &'static Dialect;

    /// Runs statements without parameters.
    fn batch(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Runs a statement, and says how many rows it touched.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    /// Hands over the rows of a query one by one, so that millions of them need no memory.
    fn rows(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    fn begin(&mut self, begin: Begin) -> Result<(), StoreError>;

    /// Keeps others from migrating at the same time, and makes room for tables; in a transaction.
    fn lock_schema(&mut self) -> Result<(), StoreError>;

    fn has_table(&mut self, name: &str) -> Result<bool, StoreError>;

    /// Tells those who wait that this change is there, once the transaction is committed.
    fn announce(&mut self, change: i64) -> Result<(), StoreError>;

    /// Waits until something may have changed since the last call, at most so long.
    fn wait(&mut self, most: Duration) -> Result<(), StoreError>;

    /// Takes the right to publish; whether nobody else has it.
    fn lock_publisher(&mut self) -> Result<bool, StoreError>;

    fn unlock_publisher(&mut self) -> Result<(), StoreError>;

    /// What the database knows of who is connected.
    fn origin(&mut self) -> Result<Map<String, Json>, StoreError>;
}

/// In what the two differ where a migration is concerned.
pub(crate) struct Dialect {
    /// What stands in a migration, and what it becomes.
    pub(crate) words: &'static [(&'static str, &'static str)],
    /// Which of the two texts of [`crate::migrations::Migration`] is this one's.
    pub(crate) own: fn(&crate::migrations::Migration) -> &'static str,
}

/// The rows of a query, made into something.
pub(crate) fn query<T>(
    session: &mut dyn Session,
    sql: &str,
    values: &[Value],
    read: impl Fn(Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    session.rows(sql, values, &mut |row| {
        all.push(read(row)?);
        Ok(())
    })?;
    Ok(all)
}

/// The first row of a query, if there is one.
pub(crate) fn query_first<T>(
    session: &mut dyn Session,
    sql: &str,
    values: &[Value],
    read: impl Fn(Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(query(session, sql, values, read)?.into_iter().next())
}
