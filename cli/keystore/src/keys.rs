//! Keys.

use crate::session::{Row, Value, query, query_first, values};
use crate::view::Conditions;
use crate::{Change, StoreError, View};
use keyward::digest::DIGEST_LENGTH;
use keyward::record::Status;
use serde_json::{Map, Value as Json};

/// A key as it is stored.
#[derive(Clone)]
pub struct StoredKey {
    /// The realm.
    pub realm: String,
    /// The id, which no other key of the realm has.
    pub id: String,
    /// The credential that it is presented as.
    pub credential: String,
    /// The digest of what is presented.
    pub digest: [u8; DIGEST_LENGTH],
    /// The id of the pepper that the digest was made with.
    pub pepper: u32,
    /// Whether the digest goes over the SHA-256 of what is presented.
    pub sha256: bool,
    /// The id half of a pair.
    pub login: Option<String>,
    /// Whose it is.
    pub tenant: Option<String>,
    /// What it is for.
    pub environment: Option<String>,
    /// Whether it may be used.
    pub status: Status,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Where it may be used from; empty: anywhere.
    pub allow_ips: Vec<String>,
    /// How often it may be used; `None`: what the realm says.
    pub rate_limit: Option<String>,
    /// When it begins, in Unix seconds.
    pub not_before: Option<u64>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<u64>,
    /// What else is known of it.
    pub metadata: Map<String, Json>,
    /// The id of the key whose place it took.
    pub replaces: Option<String>,
    /// When it was added, in Unix seconds.
    pub created_at: u64,
    /// The change that added it. Adding sets it.
    pub added: i64,
    /// The newest change of it. Adding and changing set it.
    pub changed: i64,
    /// The change that revoked it. Adding and changing set it.
    pub revoked: Option<i64>,
}

/// What can be done with a key at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It may be used.
    Active,
    /// It authenticates, and is refused.
    Suspended,
    /// It is at an end.
    Revoked,
    /// It is not approved yet.
    Pending,
    /// Its time is over.
    Expired,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Active, Self::Suspended, Self::Revoked, Self::Pending, Self::Expired];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => Status::Active.name(),
            Self::Suspended => Status::Suspended.name(),
            Self::Revoked => Status::Revoked.name(),
            Self::Pending => Status::Pending.name(),
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl StoredKey {
    /// What can be done with it at this time.
    pub fn state(&self, now: u64) -> KeyState {
        match self.status {
            Status::Revoked => KeyState::Revoked,
            _ if self.expires_at.is_some_and(|end| end <= now) => KeyState::Expired,
            Status::Active => KeyState::Active,
            Status::Suspended => KeyState::Suspended,
            Status::Pending => KeyState::Pending,
        }
    }
}

/// Which keys.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter<'f> {
    /// Of this realm.
    pub realm: Option<&'f str>,
    /// With this id.
    pub id: Option<&'f str>,
    /// Of this tenant.
    pub tenant: Option<&'f str>,
    /// Of this environment.
    pub environment: Option<&'f str>,
    /// In this state, at this time.
    pub state: Option<(KeyState, u64)>,
    /// That end before this time, and have not ended yet at the second.
    pub expiring: Option<(u64, u64)>,
}

const COLUMNS: &str = "realm, id, credential, digest, pepper, sha256, login, tenant, environment, status, scopes, \
                       allow_ips, rate_limit, not_before, expires_at, metadata, replaces, created_at, added, \
                       changed, revoked";
const COLUMN_COUNT: usize = 21;
/// Rows of one statement. SQLite takes 32,766 parameters in one, PostgreSQL 65,535.
const ROWS: usize = 500;

fn key(mut row: Row) -> Result<StoredKey, StoreError> {
    let unreadable = StoreError::Unreadable;
    Ok(StoredKey {
        realm: row.text()?,
        id: row.text()?,
        credential: row.text()?,
        digest: row.bytes()?.try_into().map_err(|_| unreadable("a digest has another length"))?,
        pepper: u32::try_from(row.integer()?).map_err(|_| unreadable("a pepper has an id that is none"))?,
        sha256: row.integer()? != 0,
        login: row.optional_text()?,
        tenant: row.optional_text()?,
        environment: row.optional_text()?,
        status: Status::from_name(&row.text()?).ok_or(unreadable("a key has a status that is none"))?,
        scopes: row.texts()?,
        allow_ips: row.texts()?,
        rate_limit: row.optional_text()?,
        not_before: row.optional_time()?,
        expires_at: row.optional_time()?,
        metadata: row.object()?,
        replaces: row.optional_text()?,
        created_at: row.time()?,
        added: row.integer()?,
        changed: row.integer()?,
        revoked: row.optional_integer()?,
    })
}

fn list(texts: &[String]) -> String {
    Json::from(texts).to_string()
}

/// The values of a key in the order of [`COLUMNS`].
fn row(key: &StoredKey) -> [Value; COLUMN_COUNT] {
    [
        (&key.realm).into(),
        (&key.id).into(),
        (&key.credential).into(),
        key.digest[..].into(),
        key.pepper.into(),
        key.sha256.into(),
        key.login.as_ref().into(),
        key.tenant.as_ref().into(),
        key.environment.as_ref().into(),
        key.status.name().into(),
        list(&key.scopes).into(),
        list(&key.allow_ips).into(),
        key.rate_limit.as_ref().into(),
        key.not_before.into(),
        key.expires_at.into(),
        Json::Object(key.metadata.clone()).to_string().into(),
        key.replaces.as_ref().into(),
        key.created_at.into(),
        key.added.into(),
        key.changed.into(),
        key.revoked.into(),
    ]
}

/// `($1, $2, …), ($4, $5, …)`.
fn parameters(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let names: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", names.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

impl View<'_> {
    /// The key of that id.
    pub fn key(&mut self, realm: &str, id: &str) -> Result<Option<StoredKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_key WHERE realm = $1 AND id = $2");
        query_first(self.session, &sql, values![realm, id], key)
    }

    /// The id of the key that took this one's place.
    pub fn successor(&mut self, realm: &str, id: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT id FROM api_key WHERE realm = $1 AND replaces = $2";
        query_first(self.session, sql, values![realm, id], |mut row| row.text())
    }

    /// Keys, one by one, by realm and id.
    pub fn keys<E: From<StoreError>>(
        &mut self,
        filter: &KeyFilter<'_>,
        mut each: impl FnMut(StoredKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut conditions = Conditions::new();
        conditions.equal("realm", filter.realm);
        conditions.equal("id", filter.id);
        conditions.equal("tenant", filter.tenant);
        conditions.equal("environment", filter.environment);
        match filter.state {
            None => {}
            Some((KeyState::Revoked, _)) => conditions.add("status = 'revoked'".to_owned()),
            Some((KeyState::Expired, now)) => {
                let now = conditions.value(now);
                conditions.add(format!("status <> 'revoked' AND expires_at <= {now}"));
            }
            Some((state, now)) => {
                conditions.equal("status", Some(state.name()));
                let now = conditions.value(now);
                conditions.add(format!("(expires_at IS NULL OR expires_at > {now})"));
            }
        }
        if let Some((before, now)) = filter.expiring {
            let now = conditions.value(now);
            let before = conditions.value(before);
            conditions.add(format!("status <> 'revoked' AND expires_at > {now} AND expires_at < {before}"));
        }
        let sql = format!("SELECT {COLUMNS} FROM api_key{conditions} ORDER BY realm, id");
        self.each_key(&sql, conditions.values(), &mut each)
    }

    /// Keys that were added or changed after the change of that number, the oldest change first,
    /// those of one change by realm and id. With 0: every key.
    pub fn keys_changed_since<E: From<StoreError>>(
        &mut self,
        change: i64,
        mut each: impl FnMut(StoredKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("SELECT {COLUMNS} FROM api_key WHERE changed > $1 ORDER BY changed, realm, id");
        self.each_key(&sql, values![change], &mut each)
    }

    /// The error of `each` goes through the session, which knows only its own.
    fn each_key<E: From<StoreError>>(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(StoredKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        let result = self.session.rows(sql, values, &mut |row| {
            each(key(row)?).map_err(|error| {
                stopped = Some(error);
                StoreError::Unreadable("stopped")
            })
        });
        match stopped {
            Some(error) => Err(error),
            None => Ok(result?),
        }
    }

    /// How many keys there are, and how many of them have a status other than revoked.
    pub fn count_keys(&mut self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*), count(CASE WHEN status <> 'revoked' THEN 1 END) FROM api_key";
        let counts = query_first(self.session, sql, values![], |mut row| Ok((row.time()?, row.time()?)))?;
        counts.ok_or(StoreError::Unreadable("a count gave nothing"))
    }

    /// The keys of a tenant in an environment that count against a limit of their number: not revoked, not expired
    /// at `now`, and not replaced by another.
    pub fn standing_keys(
        &mut self,
        realm: &str,
        credential: &str,
        tenant: &str,
        environment: Option<&str>,
        now: u64,
    ) -> Result<Vec<String>, StoreError> {
        let mut conditions = Conditions::new();
        for (column, value) in [("realm", realm), ("credential", credential), ("tenant", tenant)] {
            conditions.equal(column, Some(value));
        }
        match environment {
            Some(environment) => conditions.equal("environment", Some(environment)),
            None => conditions.add("environment IS NULL".to_owned()),
        }
        let now = conditions.value(now);
        conditions.add(format!("status <> 'revoked' AND (expires_at IS NULL OR expires_at > {now})"));
        conditions.add(
            "NOT EXISTS (SELECT 1 FROM api_key next WHERE next.realm = api_key.realm AND next.replaces = api_key.id \
             AND next.status <> 'revoked')"
                .to_owned(),
        );
        let sql = format!("SELECT id FROM api_key{conditions} ORDER BY id");
        query(self.session, &sql, conditions.values(), |mut row| row.text())
    }

    /// Which of these ids the realm has.
    pub fn known_ids(&mut self, realm: &str, ids: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut known = Vec::new();
        for ids in ids.chunks(ROWS) {
            let mut conditions = Conditions::new();
            conditions.equal("realm", Some(realm));
            let list: Vec<String> = ids.iter().map(|id| conditions.value(*id)).collect();
            conditions.add(format!("id IN ({})", list.join(", ")));
            let sql = format!("SELECT id FROM api_key{conditions}");
            known.extend(query(self.session, &sql, conditions.values(), |mut row| row.text())?);
        }
        Ok(known)
    }

    /// Which of these digests the credential has, and the ids of their keys.
    pub fn known_digests(
        &mut self,
        realm: &str,
        credential: &str,
        digests: &[[u8; DIGEST_LENGTH]],
    ) -> Result<Vec<([u8; DIGEST_LENGTH], String)>, StoreError> {
        let mut known = Vec::new();
        for digests in digests.chunks(ROWS) {
            let mut conditions = Conditions::new();
            conditions.equal("realm", Some(realm));
            conditions.equal("credential", Some(credential));
            let list: Vec<String> = digests.iter().map(|digest| conditions.value(&digest[..])).collect();
            conditions.add(format!("digest IN ({})", list.join(", ")));
            let sql = format!("SELECT digest, id FROM api_key{conditions}");
            known.extend(query(self.session, &sql, conditions.values(), |mut row| {
                let digest = row.bytes()?.try_into();
                let digest = digest.map_err(|_| StoreError::Unreadable("a digest has another length"))?;
                Ok((digest, row.text()?))
            })?);
        }
        Ok(known)
    }
}

impl Change<'_> {
    /// Adds keys whose ids and digests are new. Numbers of changes are set here.
    pub fn add_keys(&mut self, keys: &mut [StoredKey]) -> Result<(), StoreError> {
        let number = self.stamp();
        for key in &mut *keys {
            (key.added, key.changed) = (number, number);
            key.revoked = (key.status == Status::Revoked).then_some(number);
        }
        for keys in keys.chunks(ROWS) {
            let places = parameters(keys.len(), COLUMN_COUNT);
            let sql = format!("INSERT INTO api_key ({COLUMNS}) VALUES {places}");
            let values: Vec<Value> = keys.iter().flat_map(row).collect();
            self.writing().execute(&sql, &values)?;
        }
        Ok(())
    }

    /// Writes what of a key can change: status, scopes, addresses, limit and times.
    pub fn update_key(&mut self, key: &mut StoredKey) -> Result<(), StoreError> {
        let number = self.stamp();
        key.changed = number;
        if key.status == Status::Revoked {
            key.revoked.get_or_insert(number);
        }
        let sql = "UPDATE api_key SET status = $1, scopes = $2, allow_ips = $3, rate_limit = $4, not_before = $5, \
                   expires_at = $6, changed = $7, revoked = $8 WHERE realm = $9 AND id = $10";
        let (scopes, allow_ips) = (list(&key.scopes), list(&key.allow_ips));
        self.writing().execute(
            sql,
            values![
                key.status.name(),
                scopes,
                allow_ips,
                key.rate_limit.as_ref(),
                key.not_before,
                key.expires_at,
                key.changed,
                key.revoked,
                &key.realm,
                &key.id
            ],
        )?;
        Ok(())
    }
}
