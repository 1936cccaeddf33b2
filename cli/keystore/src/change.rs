//! A transaction that changes the keystore.

use crate::audit::{self, Actor, Entry, LogError};
use crate::session::{Session, query_first, values};
use crate::{StoreError, View};
use keyward::time::Timestamp;
use std::ops::{Deref, DerefMut};

/// A change on its way: it reads as a [`View`] does, and every other change waits for its end.
pub struct Change<'s> {
    view: View<'s>,
    actor: &'s Actor,
    origin: String,
    now: u64,
    /// The newest change and entry of the log before this one.
    newest: i64,
    logged_before: i64,
    logged: i64,
    /// Whether it changed anything.
    dirty: bool,
    /// Whether it changed what a snapshot holds.
    stamped: bool,
}

impl<'s> Change<'s> {
    pub(crate) fn begin(session: &'s mut dyn Session, actor: &'s Actor) -> Result<Self, StoreError> {
        // Takes the lock that all changes take first.
        let sql = "UPDATE keystore SET audit = audit RETURNING change, audit";
        let numbers = query_first(session, sql, values![], |mut row| Ok((row.integer()?, row.integer()?)))?;
        let (newest, logged) = numbers.ok_or(StoreError::Unreadable("the table keystore is empty"))?;
        let origin = actor.origin(session.origin()?).to_string();
        Ok(Self {
            view: View::new(session),
            actor,
            origin,
            now: Timestamp::coarse_now().seconds(),
            newest,
            logged_before: logged,
            logged,
            dirty: false,
            stamped: false,
        })
    }

    /// Who asks.
    pub fn actor(&self) -> &Actor {
        self.actor
    }

    /// When, in Unix seconds: one time for all that the transaction writes.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Writes an entry of the log.
    pub fn log(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        self.logged += 1;
        let change = self.stamped.then_some(self.newest + 1);
        audit::insert(self.view.session, self.logged, self.now, self.actor, &self.origin, entry, change)
    }

    /// The session, to change what no snapshot holds.
    pub(crate) fn writing(&mut self) -> &mut dyn Session {
        self.dirty = true;
        self.view.session
    }

    /// The number of this change, to stamp rows with that a snapshot holds.
    pub(crate) fn stamp(&mut self) -> i64 {
        self.dirty = true;
        self.stamped = true;
        self.newest + 1
    }

    /// Writes the numbers; whether there is something to commit.
    pub(crate) fn end(self) -> Result<bool, StoreError> {
        if self.logged == self.logged_before {
            return if self.dirty { Err(LogError.into()) } else { Ok(false) };
        }
        let change = self.newest + i64::from(self.stamped);
        let session = self.view.session;
        session.execute("UPDATE keystore SET change = $1, audit = $2", values![change, self.logged])?;
        if self.stamped {
            session.announce(change)?;
        }
        Ok(true)
    }
}

impl<'s> Deref for Change<'s> {
    type Target = View<'s>;

    fn deref(&self) -> &View<'s> {
        &self.view
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}
