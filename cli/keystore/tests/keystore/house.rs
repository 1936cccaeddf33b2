//! A keystore to work with, on one database or the other.

use keyward::keyring::Keyring;
use keyward::record::Status;
use keyward_keystore::{Actor, AuditFilter, AuditRow, Entry, KeyFilter, Place, Store, StoreError, StoredKey};
use keyward_testkit::databases::Kind;
use keyward_testkit::postgres::Server;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

/// A keystore of its own for each test.
pub(crate) struct House {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    _folder: TempDir,
}

impl House {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        let place = match kind {
            Kind::Sqlite => Place::Sqlite(folder.path().join("keystore.sqlite")),
            Kind::Postgres => Place::Postgres(Server::shared().database()),
        };
        Self { place, kind, _folder: folder }
    }

    /// With a tenant.
    pub(crate) fn furnished(kind: Kind) -> (Self, Store) {
        let house = Self::new(kind);
        let (mut store, _) = Store::create(&house.place).unwrap();
        store
            .change::<_, StoreError>(&actor(), |change| {
                change.use_pepper(keyring().newest_pepper().unwrap()).unwrap();
                change.add_tenant("shop", "acme", Some("Acme Ltd"), false)?;
                change.log(&Entry::new("tenant.add").realm("shop").tenant(Some("acme")))
            })
            .unwrap();
        (house, store)
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.place).unwrap()
    }

    /// A statement by another program, and what it says where it is refused.
    pub(crate) fn foreign(&self, sql: &str) -> Result<(), String> {
        match &self.place {
            Place::Sqlite(path) => {
                Connection::open(path).unwrap().execute_batch(sql).map_err(|error| error.to_string())
            }
            Place::Postgres(url) => {
                let database = url.rsplit('/').next().unwrap();
                let output = Server::shared().psql(database, &format!("SET search_path TO keyward; {sql}"));
                if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
            }
        }
    }
}

pub(crate) fn actor() -> Actor {
    Actor::current(None)
}

pub(crate) fn keyring() -> Keyring {
    Keyring::read(&format!("[[pepper]]\nid = 1\nkey = \"{}\"\n", "ab".repeat(32)), "keyring.toml").unwrap()
}

pub(crate) fn key(id: &str, byte: u8) -> StoredKey {
    StoredKey {
        realm: "shop".to_owned(),
        id: id.to_owned(),
        credential: "key".to_owned(),
        digest: [byte; 32],
        pepper: 1,
        sha256: false,
        login: None,
        tenant: Some("acme".to_owned()),
        environment: Some("live".to_owned()),
        status: Status::Active,
        scopes: vec!["a".to_owned(), "b c".to_owned()],
        allow_ips: vec!["203.0.113.0/24".to_owned()],
        rate_limit: None,
        not_before: None,
        expires_at: Some(2_000_000_000),
        metadata: json!({ "plan": "pro", "é": [1, null] }).as_object().unwrap().clone(),
        replaces: None,
        created_at: 1_764_000_000,
        added: 0,
        changed: 0,
        revoked: None,
    }
}

pub(crate) fn add(store: &mut Store, keys: &mut [StoredKey]) -> Result<(), StoreError> {
    store.change(&actor(), |change| {
        change.add_keys(keys)?;
        change.log(&Entry::new("key.import").realm("shop").details(json!({ "keys": keys.len() })))
    })
}

pub(crate) fn set_status(store: &mut Store, id: &str, status: Status) {
    store
        .change::<_, StoreError>(&actor(), |change| {
            let mut key = change.key("shop", id)?.unwrap();
            key.status = status;
            change.update_key(&mut key)?;
            change.log(&Entry::new("key.revoke").realm("shop").key(id))
        })
        .unwrap();
}

pub(crate) fn ids(store: &mut Store, filter: &KeyFilter<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    store
        .read::<_, StoreError>(|view| {
            view.keys(filter, |key| {
                ids.push(key.id);
                Ok(())
            })
        })
        .unwrap();
    ids
}

pub(crate) fn changed_since(store: &mut Store, change: i64) -> Vec<(String, i64)> {
    let mut keys = Vec::new();
    let collect = |key: StoredKey| {
        keys.push((key.id, key.changed));
        Ok::<_, StoreError>(())
    };
    store.read(|view| view.keys_changed_since(change, collect)).unwrap();
    keys
}

pub(crate) fn log(store: &mut Store, filter: &AuditFilter<'_>) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    store
        .read(|view| {
            view.audit(filter, |row| {
                rows.push(row);
                Ok(())
            })
        })
        .unwrap();
    rows
}
