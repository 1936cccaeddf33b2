//! Other places to look a key up in: the same digests, and 32 bytes beside each as a record has.

mod lmdb;

pub use lmdb::Lmdb;

use crate::{keys, store};
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::collections;
use std::hash::{BuildHasherDefault, Hasher};

/// A digest.
pub type Digest = [u8; 32];
/// What stands beside it.
pub type Value = [u8; 32];

/// A store of digests.
pub trait Peer {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// What stands beside the digest.
    fn get(&self, digest: &Digest) -> Option<Value>;
}

/// The digests of the first `keys` keys and what stands beside them.
pub fn entries(keys: u64) -> impl ExactSizeIterator<Item = (Digest, Value)> {
    let digest_key = store::digest_key();
    let keys = usize::try_from(keys).unwrap_or(usize::MAX);
    (0..keys).map(move |number| {
        let mut value = [0; 32];
        value[..8].clone_from_slice(&(number as u64).to_le_bytes());
        (*digest_key.digest(&keys::text(number as u64)).as_bytes(), value)
    })
}

/// Takes the first eight bytes of a digest as its hash: they are as random as any hash of them. Of the
/// writes that hashing an array makes, the digest's is the last.
#[derive(Default)]
pub struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |prefix| u64::from_le_bytes(*prefix));
    }
}

/// `hashbrown::HashMap`, with digests as their own hashes.
pub struct Hashbrown(HashMap<Digest, Value, BuildHasherDefault<Prefix>>);

impl Hashbrown {
    /// Fills it.
    pub fn new(entries: impl ExactSizeIterator<Item = (Digest, Value)>) -> Self {
        let mut map = HashMap::with_capacity_and_hasher(entries.len(), BuildHasherDefault::default());
        map.extend(entries);
        Self(map)
    }
}

impl Peer for Hashbrown {
    fn name(&self) -> &'static str {
        "hashbrown"
    }

    #[inline]
    fn get(&self, digest: &Digest) -> Option<Value> {
        self.0.get(digest).copied()
    }
}

/// `RwLock<HashMap>` of the standard library with its own hasher, as one would write it: keys that can be
/// replaced while they are looked up.
pub struct Locked(RwLock<collections::HashMap<Digest, Value>>);

impl Locked {
    /// Fills it.
    pub fn new(entries: impl ExactSizeIterator<Item = (Digest, Value)>) -> Self {
        let mut map = collections::HashMap::with_capacity(entries.len());
        map.extend(entries);
        Self(RwLock::new(map))
    }
}

impl Peer for Locked {
    fn name(&self) -> &'static str {
        "rwlock_hashmap"
    }

    #[inline]
    fn get(&self, digest: &Digest) -> Option<Value> {
        self.0.read().get(digest).copied()
    }
}
