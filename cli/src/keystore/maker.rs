//! From a record with a secret to a key that can be stored: its digest, and nothing of the secret.

use crate::failure::Failure;
use crate::keystore::seal;
use keyward::build::Digests;
use keyward::keyring::Keyring;
use keyward::realm::{Configuration, CredentialKind, Realm};
use keyward::record::{KeyRecord, Material, RecordRules};
use keyward_keystore::{Change, StoredKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// What a record says besides what it is found by. Its names and values have been checked where this is read.
#[derive(Deserialize)]
struct Rest {
    tenant: Option<String>,
    environment: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    allow_ips: Vec<String>,
    rate_limit: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    basic: Option<Login>,
}

#[derive(Deserialize)]
struct Login {
    id: String,
}

/// A key that can be stored, and what is known of its secret.
pub(crate) struct Made<'c> {
    pub(crate) realm: &'c Realm,
    pub(crate) key: StoredKey,
    /// Its digest under every pepper of the keyring: under any of them it may be stored already.
    pub(crate) digests: Vec<[u8; 32]>,
    /// What is presented, where the credential's keys may be read again and the record had it.
    pub(crate) retrievable: Option<Zeroizing<String>>,
}

/// A configuration and a keyring, ready to make keys with.
pub(crate) struct Maker<'c> {
    configuration: &'c Configuration,
    keyring: &'c Keyring,
    rules: RecordRules<'c>,
    /// For each pepper, the newest last.
    digests: Vec<Digests<'c>>,
}

impl<'c> Maker<'c> {
    pub(crate) fn new(configuration: &'c Configuration, keyring: &'c Keyring) -> Result<Self, Failure> {
        let digests = keyring.peppers().iter().map(|pepper| Digests::new(configuration, pepper));
        Ok(Self {
            configuration,
            keyring,
            rules: RecordRules::new(configuration).map_err(Failure::data)?,
            digests: digests.collect(),
        })
    }

    /// What a line of JSON becomes (docs/DECISIONS.md section 2), at this time; or why it cannot be stored.
    pub(crate) fn make(&self, line: &[u8], now: u64) -> Result<Made<'c>, String> {
        let record = KeyRecord::parse(line).map_err(|error| error.to_string())?;
        let key = self.rules.resolve(&record).map_err(|error| error.to_string())?;
        let (Some(realm), Some(newest)) = (self.configuration.realms.get(key.realm), self.digests.last())
        else {
            return Err(
                "the keyring has no pepper: add a [[pepper]] (`keyward keyring new` makes one)".to_owned()
            );
        };
        let unfit = || "the record does not fit the configuration".to_owned();
        let credential = realm.credentials.get(key.credential).ok_or_else(unfit)?;
        let stored = newest.of(&key).ok_or_else(unfit)?;
        let digests = self.digests.iter().filter_map(|digests| digests.of(&key)).map(|stored| stored.digest);
        let keeps = match &credential.kind {
            CredentialKind::Key(rules) | CredentialKind::Basic(rules) => rules.retrievable,
            CredentialKind::Token(_) | CredentialKind::Tenant => false,
        };
        let text = |parts: &[&[u8]]| String::from_utf8(parts.concat()).ok().map(Zeroizing::new);
        let retrievable = match key.material {
            Material::Key(key) if keeps => text(&[key]),
            Material::Pair { id, secret } if keeps => text(&[id, b":", secret]),
            _ => None,
        };
        // Everything in it was understood once, so this can only say what was said above.
        let rest: Rest = serde_json::from_slice(line).map_err(|_| unfit())?;
        Ok(Made {
            realm,
            digests: digests.collect(),
            retrievable,
            key: StoredKey {
                realm: realm.name.clone(),
                id: key.id.to_owned(),
                credential: credential.name.clone(),
                digest: stored.digest,
                pepper: stored.pepper,
                sha256: stored.sha256,
                login: rest.basic.map(|pair| pair.id),
                tenant: rest.tenant,
                environment: rest.environment,
                status: key.status,
                scopes: rest.scopes,
                allow_ips: rest.allow_ips,
                rate_limit: rest.rate_limit,
                not_before: key.not_before,
                expires_at: key.expires_at,
                metadata: rest.metadata,
                replaces: None,
                created_at: now,
                added: 0,
                changed: 0,
                revoked: None,
            },
        })
    }

    /// That a stored key is one that snapshots can be built with; for what was changed in it.
    pub(crate) fn check(&self, key: &StoredKey) -> Result<(), Failure> {
        let line = key.record();
        let record = KeyRecord::parse(line.as_bytes()).map_err(Failure::usage)?;
        self.rules.resolve(&record).map_err(Failure::usage)?;
        Ok(())
    }

    /// Notes the peppers that keys are stored under.
    pub(crate) fn use_pepper(&self, change: &mut Change<'_>) -> Result<(), Failure> {
        match self.keyring.newest_pepper() {
            Some(pepper) => Ok(change.use_pepper(pepper)?),
            None => Ok(()),
        }
    }

    /// Keeps the secret of a key that is stored, sealed, where its owner may read it again.
    pub(crate) fn keep(&self, change: &mut Change<'_>, made: &Made<'_>) -> Result<(), Failure> {
        let Some(secret) = &made.retrievable else { return Ok(()) };
        let (realm, id) = (&made.key.realm, &made.key.id);
        Ok(change.put_sealed_secret(realm, id, &seal::seal(self.keyring, realm, id, secret)?)?)
    }
}
