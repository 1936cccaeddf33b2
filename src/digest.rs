//! Keyed digests: all that a snapshot knows of a key.
//!
//! A digest is keyed BLAKE3 under a key of its own for every realm and credential, derived from the
//! pepper, so that a snapshot without its keyring tells nothing about keys, and the digests of one realm
//! tell nothing about those of another. Equality is in constant time and is the only comparison of whole
//! digests; the order that the index is sorted by is only asked for when one is built.

use constant_time_eq::constant_time_eq_32;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes in a digest.
pub const DIGEST_LENGTH: usize = 32;

const KEY_CONTEXT: &str = "keyward 2026-11-22 digest key v1";
const CHECK_CONTEXT: &str = "keyward 2026-11-22 pepper check v1";

/// The digest of a presented credential. It can be compared, and looked up; it is not printed.
#[derive(Clone, Copy)]
pub struct Digest([u8; DIGEST_LENGTH]);

impl Digest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; DIGEST_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LENGTH] {
        &self.0
    }

    /// The first eight bytes as a big-endian number: what a home in the index is computed from.
    #[inline]
    pub fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl PartialEq for Digest {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq_32(&self.0, &other.0)
    }
}

impl Eq for Digest {}

/// The key that one credential's digests are made with under one pepper.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DigestKey([u8; blake3::KEY_LEN]);

impl DigestKey {
    /// Derives the key of `credential` in `realm` from `pepper` (docs/FORMAT.md section 3).
    pub fn derive(pepper: &[u8; 32], realm: &str, credential: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        hasher.update(pepper);
        for name in [realm, credential] {
            hasher.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        let mut output = hasher.finalize();
        hasher.zeroize();
        let key = Self(*output.as_bytes());
        output.zeroize();
        key
    }

    /// The digest of what a client presented.
    #[inline]
    pub fn digest(&self, presented: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(&self.0, presented).as_bytes())
    }
}

/// The SHA-256 of what a client presented, for credentials whose keys may be given that way.
pub fn sha256(presented: &[u8]) -> [u8; 32] {
    Sha256::digest(presented).into()
}

/// A value that tells a wrong pepper from the right one, and tells nothing else about it.
pub fn pepper_check(pepper: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(CHECK_CONTEXT, pepper)
}
