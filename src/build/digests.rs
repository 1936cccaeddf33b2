//! Digests of keys, as a snapshot has them.

use crate::digest::{DigestKey, sha256};
use crate::keyring::Pepper;
use crate::realm::{Configuration, CredentialKind};
use crate::record::{Material, ResolvedKey, StoredDigest};
use zeroize::Zeroize;

/// What the digests of a configuration's credentials are made with under one pepper. A keystore makes them once, and
/// keeps nothing else of a key.
pub struct Digests<'c> {
    configuration: &'c Configuration,
    pepper: u32,
    /// Of every credential, in the order of all credentials; `None` for those without digests.
    keys: Vec<Option<DigestKey>>,
    /// The number of each realm's first credential in that order.
    first_credentials: Vec<usize>,
}

impl<'c> Digests<'c> {
    /// Prepares every credential.
    pub fn new(configuration: &'c Configuration, pepper: &Pepper) -> Self {
        let credentials = configuration.realms.iter().flat_map(|realm| {
            realm.credentials.iter().map(|credential| match credential.kind {
                CredentialKind::Key(_) | CredentialKind::Basic(_) => {
                    Some(DigestKey::derive(pepper.key(), &realm.name, &credential.name))
                }
                CredentialKind::Token(_) | CredentialKind::Tenant => None,
            })
        });
        Self {
            configuration,
            pepper: pepper.id(),
            keys: credentials.collect(),
            first_credentials: first_credentials(configuration),
        }
    }

    /// The digest of what the key is presented as. A stored one comes back as it is. `None` for a key that was
    /// resolved against another configuration.
    pub fn of(&self, key: &ResolvedKey<'_>) -> Option<StoredDigest> {
        let realm = self.configuration.realms.get(key.realm)?;
        let hashes = match &realm.credentials.get(key.credential)?.kind {
            CredentialKind::Key(rules) | CredentialKind::Basic(rules) => rules.sha256,
            CredentialKind::Token(_) | CredentialKind::Tenant => return None,
        };
        let own = self.keys.get(self.first_credentials.get(key.realm)? + key.credential)?.as_ref()?;
        let text = |presented: &[u8]| {
            if hashes { own.digest(&sha256(presented)) } else { own.digest(presented) }
        };
        let digest = match key.material {
            Material::Key(key) => text(key),
            Material::Pair { id, secret } => {
                let mut pair = [id, b":", secret].concat();
                let digest = text(&pair);
                pair.zeroize();
                digest
            }
            // Only credentials that hash everything first take these.
            Material::Sha256(hash) if hashes => own.digest(hash),
            Material::Sha256(_) => return None,
            Material::Stored(stored) => return Some(*stored),
        };
        Some(StoredDigest { pepper: self.pepper, sha256: hashes, digest: *digest.as_bytes() })
    }
}

/// The number of each realm's first credential in the list of all credentials.
pub(super) fn first_credentials(configuration: &Configuration) -> Vec<usize> {
    let credentials = configuration.realms.iter().map(|realm| realm.credentials.len());
    credentials.scan(0, |next, count| Some(std::mem::replace(next, *next + count))).collect()
}
