//! Which strings are keys: by looking up their digests.

use super::formats::Candidate;
use crate::beside::{Laid, lay_over};
use crate::failure::Failure;
use crate::keystore::publish::Rules;
use keyward::digest::{Digest, DigestKey, pepper_check, sha256};
use keyward::format::record::NEVER;
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::realm::Realm;
use keyward::record::Status;
use keyward::snapshot::{Check, Layers, Mode, Snapshot, delta_path};
use keyward_keystore::{KeyState, Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key that was found.
pub(super) struct Hit {
    pub(super) id: String,
    pub(super) tenant: Option<String>,
    pub(super) state: KeyState,
}

impl Hit {
    /// Whether it lets somebody in, or may again: only what is revoked or expired never does.
    pub(super) const fn is_live(&self) -> bool {
        !matches!(self.state, KeyState::Revoked | KeyState::Expired)
    }
}

/// Where keys are looked up.
enum Source {
    Store(Box<Store>),
    Snapshot(Box<Layers>),
}

/// Everything that is needed to look a string up.
pub(super) struct Known {
    source: Source,
    peppers: Vec<Zeroizing<[u8; 32]>>,
    /// By realm and credential, one for each pepper.
    keys: BTreeMap<(String, String), Vec<DigestKey>>,
    now: u64,
}

impl Known {
    /// In the keystore.
    pub(super) fn store(mut store: Store, rules: Rules, now: u64) -> Result<Self, Failure> {
        // With another pepper no key would be found, and that is not the same as finding none.
        store.read(|view| view.check_peppers(rules.keyring.peppers()))?;
        let peppers = rules.keyring.peppers().iter().map(|pepper| Zeroizing::new(*pepper.key())).collect();
        Ok(Self { source: Source::Store(Box::new(store)), peppers, keys: BTreeMap::new(), now })
    }

    /// In a snapshot, with the delta that lies beside it.
    pub(super) fn snapshot(path: &Path, keyring: &Keyring, now: u64) -> Result<Self, Failure> {
        let bytes = File::open(path).and_then(|file| Bytes::open(&file, Mode::Map));
        let bytes = bytes.map_err(|error| Failure::file(path, error))?;
        let base = Snapshot::open(bytes, Check::Fast).map_err(|error| Failure::file(path, error))?;
        let base = Arc::new(base);
        let over = delta_path(path);
        let layers = match lay_over(&base, &over).map_err(|error| Failure::file(&over, error))? {
            None | Some(Laid::Stale(_)) => Layers::full(base),
            Some(Laid::On(layers)) => *layers,
        };
        let mut peppers = Vec::new();
        for entry in layers.base().peppers() {
            let pepper = keyring.pepper(entry.id).filter(|own| pepper_check(own.key()) == entry.check);
            let missing = || {
                Failure::file(
                    path,
                    format_args!("the keyring lacks pepper {}, which it was built with", entry.id),
                )
            };
            peppers.push(Zeroizing::new(*pepper.ok_or_else(missing)?.key()));
        }
        Ok(Self { source: Source::Snapshot(Box::new(layers)), peppers, keys: BTreeMap::new(), now })
    }

    /// The realms of a snapshot.
    pub(super) fn realms(&self) -> &[Realm] {
        match &self.source {
            Source::Snapshot(layers) => layers.base().realms(),
            Source::Store(_) => &[],
        }
    }

    /// The keys that a candidate may be.
    pub(super) fn look_up(&mut self, candidate: &Candidate) -> Result<Vec<Hit>, Failure> {
        let Candidate { realm, credential, .. } = candidate;
        let Self { source, peppers, keys, now } = self;
        let of_credential = keys.entry((realm.clone(), credential.clone())).or_insert_with(|| {
            peppers.iter().map(|pepper| DigestKey::derive(pepper, realm, credential)).collect()
        });
        let digests: Vec<Digest> = candidate
            .presented
            .iter()
            .flat_map(|text| {
                let hashed = candidate.sha256.then(|| sha256(text));
                of_credential.iter().map(move |key| match &hashed {
                    Some(hashed) => key.digest(hashed),
                    None => key.digest(text),
                })
            })
            .collect();
        match source {
            Source::Snapshot(layers) => in_snapshot(layers, &digests, *now),
            Source::Store(store) => Ok(in_store(store, realm, credential, &digests, *now)?),
        }
    }
}

fn in_snapshot(layers: &Layers, digests: &[Digest], now: u64) -> Result<Vec<Hit>, Failure> {
    let mut hits = Vec::new();
    for digest in digests {
        let Some(found) = layers.find(digest).map_err(Failure::data)? else { continue };
        let attributes = found.attributes();
        let expired = attributes.expires_at != NEVER && attributes.expires_at <= now;
        let state = match attributes.status {
            Status::Revoked => KeyState::Revoked,
            _ if expired => KeyState::Expired,
            Status::Active => KeyState::Active,
            Status::Suspended => KeyState::Suspended,
            Status::Pending => KeyState::Pending,
        };
        hits.push(Hit {
            id: layers.id(&found).map_err(Failure::data)?.to_owned(),
            tenant: layers.tenant(&found).map_err(Failure::data)?.map(str::to_owned),
            state,
        });
    }
    Ok(hits)
}

fn in_store(
    store: &mut Store,
    realm: &str,
    credential: &str,
    digests: &[Digest],
    now: u64,
) -> Result<Vec<Hit>, StoreError> {
    let digests: Vec<[u8; 32]> = digests.iter().map(|digest| *digest.as_bytes()).collect();
    store.read(|view| {
        let mut hits = Vec::new();
        for (_, id) in view.known_digests(realm, credential, &digests)? {
            let Some(key) = view.key(realm, &id)? else { continue };
            hits.push(Hit { id, state: key.state(now), tenant: key.tenant });
        }
        Ok(hits)
    })
}
