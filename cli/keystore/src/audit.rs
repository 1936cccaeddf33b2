//! The audit log: who did what, when and from where. Rows are added, and never changed or taken away; triggers see
//! to that on both databases. No secret is ever in one.

use crate::StoreError;
use crate::session::{Row, values};
use crate::view::View;
use nix::unistd::{Uid, User, gethostname};
use serde_json::{Map, Value, json};
use std::process;
use thiserror::Error;

/// Who asks for a change.
#[derive(Clone, Debug)]
pub struct Actor {
    user: String,
    member: Option<String>,
    host: String,
    pid: u32,
}

impl Actor {
    /// The user of the system that runs this process, for a member where `member` names one.
    pub fn current(member: Option<&str>) -> Self {
        let uid = Uid::current();
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        Self {
            user: name.unwrap_or_else(|| format!("uid {uid}")),
            member: member.map(str::to_owned),
            host: gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            pid: process::id(),
        }
    }

    /// The member, if it is for one.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// From where, with what the database knows of the connection.
    pub(crate) fn origin(&self, connection: Map<String, Value>) -> Value {
        let mut origin = Map::new();
        origin.insert("host".to_owned(), self.host.clone().into());
        origin.insert("pid".to_owned(), self.pid.into());
        origin.extend(connection);
        Value::Object(origin)
    }
}

/// A change that nobody has logged.
#[derive(Debug, Error)]
#[error("a change of the keystore was not logged, and so not made; this is a fault of keyward")]
pub struct LogError;

/// One thing that was done, for the log.
#[derive(Clone, Debug)]
pub struct Entry<'e> {
    /// What, such as `key.revoke`.
    pub action: &'static str,
    /// The realm that it is about.
    pub realm: Option<&'e str>,
    /// The tenant.
    pub tenant: Option<&'e str>,
    /// The key.
    pub key: Option<&'e str>,
    /// What was and became, as a JSON object without a secret.
    pub details: Value,
}

impl<'e> Entry<'e> {
    /// An entry about nothing in particular yet.
    pub fn new(action: &'static str) -> Self {
        Self { action, realm: None, tenant: None, key: None, details: json!({}) }
    }

    /// About this realm.
    #[must_use]
    pub fn realm(self, realm: &'e str) -> Self {
        Self { realm: Some(realm), ..self }
    }

    /// About this tenant.
    #[must_use]
    pub fn tenant(self, tenant: Option<&'e str>) -> Self {
        Self { tenant, ..self }
    }

    /// About this key.
    #[must_use]
    pub fn key(self, key: &'e str) -> Self {
        Self { key: Some(key), ..self }
    }

    /// With these details.
    #[must_use]
    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Its number, from 1, without gaps.
    pub number: i64,
    /// When, in Unix seconds.
    pub at: u64,
    /// The user of the system.
    pub actor: String,
    /// The member that it was done for.
    pub member: Option<String>,
    /// From where.
    pub origin: Map<String, Value>,
    /// What.
    pub action: String,
    /// The realm that it is about.
    pub realm: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// What was and became.
    pub details: Map<String, Value>,
    /// The change of what snapshots hold that it belongs to.
    pub change: Option<i64>,
}

/// Which rows of the log.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter<'f> {
    /// About this realm.
    pub realm: Option<&'f str>,
    /// About this tenant.
    pub tenant: Option<&'f str>,
    /// About this key, and about the import that it came with.
    pub key: Option<&'f str>,
    /// By this user or member.
    pub who: Option<&'f str>,
    /// This action, or all that begin with it and a dot: `key` has `key.revoke`.
    pub action: Option<&'f str>,
    /// At this time or later.
    pub since: Option<u64>,
    /// The newest so many.
    pub newest: Option<u64>,
}

const COLUMNS: &str = "number, at, actor, member, origin, action, realm, tenant, key_id, details, change";

fn read(mut row: Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        number: row.integer()?,
        at: row.time()?,
        actor: row.text()?,
        member: row.optional_text()?,
        origin: row.object()?,
        action: row.text()?,
        realm: row.optional_text()?,
        tenant: row.optional_text()?,
        key: row.optional_text()?,
        details: row.object()?,
        change: row.optional_integer()?,
    })
}

impl View<'_> {
    /// Rows of the log, the newest first.
    pub fn audit(
        &mut self,
        filter: &AuditFilter<'_>,
        mut each: impl FnMut(AuditRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut conditions = crate::view::Conditions::new();
        conditions.equal("realm", filter.realm);
        conditions.equal("tenant", filter.tenant);
        if let Some(key) = filter.key {
            let own = conditions.value(key);
            let same = conditions.value(key);
            conditions.add(format!(
                "(key_id = {own} OR (key_id IS NULL AND change IN (SELECT added FROM api_key WHERE id = {same})))"
            ));
        }
        if let Some(who) = filter.who {
            let user = conditions.value(who);
            let member = conditions.value(who);
            conditions.add(format!("(actor = {user} OR member = {member})"));
        }
        if let Some(action) = filter.action {
            let whole = conditions.value(action);
            let start = conditions.value(format!("{action}."));
            let end = conditions.value(format!("{action}/"));
            conditions.add(format!("(action = {whole} OR (action >= {start} AND action < {end}))"));
        }
        if let Some(since) = filter.since {
            let since = conditions.value(since);
            conditions.add(format!("at >= {since}"));
        }
        let mut sql = format!("SELECT {COLUMNS} FROM audit{conditions} ORDER BY number DESC");
        if let Some(newest) = filter.newest {
            sql.push_str(&format!(" LIMIT {}", conditions.value(newest)));
        }
        self.session.rows(&sql, conditions.values(), &mut |row| each(read(row)?))
    }
}

/// The statement that adds a row, and its values are in the order of [`COLUMNS`].
pub(crate) fn insert(
    session: &mut dyn crate::session::Session,
    number: i64,
    at: u64,
    actor: &Actor,
    origin: &str,
    entry: &Entry<'_>,
    change: Option<i64>,
) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    let details = entry.details.to_string();
    session.execute(
        &sql,
        values![
            number,
            at,
            actor.user(),
            actor.member(),
            origin,
            entry.action,
            entry.realm,
            entry.tenant,
            entry.key,
            details,
            change
        ],
    )?;
    Ok(())
}
