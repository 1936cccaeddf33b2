//! What can be read from a keystore. Each module adds what it knows of.

use crate::StoreError;
use crate::session::{Session, Value, query_first, values};
use std::fmt;

/// A keystore to look at, in a transaction.
pub struct View<'s> {
    pub(crate) session: &'s mut dyn Session,
}

impl<'s> View<'s> {
    pub(crate) fn new(session: &'s mut dyn Session) -> Self {
        Self { session }
    }

    /// The number of the newest change of what a snapshot holds; 0: there was none.
    pub fn newest_change(&mut self) -> Result<i64, StoreError> {
        let change =
            query_first(self.session, "SELECT change FROM keystore", values![], |mut row| row.integer())?;
        change.ok_or(StoreError::Unreadable("the table keystore is empty"))
    }
}

/// What rows must be, and the values that this names.
pub(crate) struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    pub(crate) fn new() -> Self {
        Self { texts: Vec::new(), values: Vec::new() }
    }

    /// The parameter for a value. Parameters must come into the text in the order in which they were asked for.
    pub(crate) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    pub(crate) fn add(&mut self, text: String) {
        self.texts.push(text);
    }

    /// That the column is equal to the value, if there is one.
    pub(crate) fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let parameter = self.value(value);
            self.add(format!("{column} = {parameter}"));
        }
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// ` WHERE …`, or nothing.
impl fmt::Display for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, text) in self.texts.iter().enumerate() {
            formatter.write_str(if number == 0 { " WHERE " } else { " AND " })?;
            formatter.write_str(text)?;
        }
        Ok(())
    }
}
