//! A key on its way to whoever asked for it: the only time that it is seen.

use crate::failure::Failure;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// A secret, and the key that it is of.
pub(super) struct Shown<'s> {
    pub(super) realm: &'s str,
    pub(super) id: &'s str,
    /// What is presented; of a pair `id:secret`.
    pub(super) secret: &'s str,
    /// What is said on a terminal.
    pub(super) note: &'s str,
    /// Whether it can be printed again.
    pub(super) kept: bool,
    pub(super) json: bool,
}

impl Shown<'_> {
    /// Prints it: for a program or a pipe alone, on a terminal with its id and what to do with it.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut output = io::stdout();
        let terminal = output.is_terminal();
        let mut write = || {
            if self.json {
                let shown = json!({ "realm": self.realm, "id": self.id, "key": self.secret });
                writeln!(output, "{shown}")?;
            } else if terminal {
                writeln!(output, "{}\n\n{}, {}", self.secret, self.id, self.note)?;
            } else {
                writeln!(output, "{}", self.secret)?;
            }
            output.flush()
        };
        // Whoever stops reading has not got it either.
        write().map_err(|error| {
            let id = self.id;
            Failure::data(match self.kept {
                true => format!("key {id:?} could not be printed ({error}); `keyward key reveal` prints it again"),
                false => format!(
                    "key {id:?} is stored, and could not be printed ({error}); it cannot be had again: revoke it with \
                     `keyward key revoke`, and make another"
                ),
            })
        })
    }
}
