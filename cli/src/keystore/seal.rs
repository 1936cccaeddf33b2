//! Secrets that their owners may read again: sealed with AES-256-GCM under a key of the keyring, and bound to the key
//! that they belong to, so that none can be put in the place of another.

use crate::failure::Failure;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use keyward::keyring::{Keyring, SealingKey};
use keyward_keystore::SealedSecret;
use zeroize::{Zeroize, Zeroizing};

/// What is bound to the secret: each part with its length, so that no two pairs read alike.
fn context(realm: &str, id: &str) -> Vec<u8> {
    let mut context = b"keyward sealed secret v1".to_vec();
    for part in [realm, id] {
        context.extend((part.len() as u64).to_le_bytes());
        context.extend(part.as_bytes());
    }
    context
}

fn cipher(key: &SealingKey) -> Result<RandomizedNonceKey, Failure> {
    RandomizedNonceKey::new(&AES_256_GCM, key.key())
        .map_err(|_| Failure::data("the sealing key cannot be used"))
}

/// Seals the secret of the key with the newest sealing key. The nonce stands before what is sealed.
pub(crate) fn seal(keyring: &Keyring, realm: &str, id: &str, secret: &str) -> Result<SealedSecret, Failure> {
    let key = keyring.newest_sealing_key().ok_or_else(|| {
        Failure::data(
            "keys of this credential are kept sealed, and the keyring has no [[sealing_key]]: add one with an `id` and \
             a `key` of 64 hex digits (openssl rand -hex 32)",
        )
    })?;
    // Room for the tag, so that the secret is not copied on the way.
    let mut bytes = Vec::with_capacity(secret.len() + AES_256_GCM.tag_len());
    bytes.extend(secret.as_bytes());
    let nonce = cipher(key)?.seal_in_place_append_tag(Aad::from(context(realm, id)), &mut bytes);
    let Ok(nonce) = nonce else {
        bytes.zeroize();
        return Err(Failure::data("the secret could not be sealed"));
    };
    Ok(SealedSecret { sealing_key: key.id(), sealed: [nonce.as_ref(), &bytes[..]].concat() })
}

/// The secret again.
pub(crate) fn open(
    keyring: &Keyring,
    realm: &str,
    id: &str,
    secret: &SealedSecret,
) -> Result<Zeroizing<String>, Failure> {
    let number = secret.sealing_key;
    let key = keyring.sealing_key(number).ok_or_else(|| {
        Failure::data(format_args!(
            "the keyring lacks the [[sealing_key]] {number}, under which the key is sealed"
        ))
    })?;
    let damaged = || {
        Failure::data("the sealed key does not open: the keyring's sealing key is another, or it was changed")
    };
    let (nonce, sealed) = secret.sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let opened = cipher(key)?
        .open_in_place(nonce, Aad::from(context(realm, id)), &mut bytes)
        .map_err(|_| damaged())?;
    let text = str::from_utf8(opened).map_err(|_| damaged())?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(keys: &[(u32, &str)]) -> Keyring {
        let keys = keys
            .iter()
            .map(|(id, byte)| format!("[[sealing_key]]\nid = {id}\nkey = \"{}\"\n", byte.repeat(32)));
        Keyring::read(&keys.collect::<String>(), "keyring.toml").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_key_alone() {
        let keyring_one = keyring(&[(1, "ab")]);
        let sealed = seal(&keyring_one, "shop", "one", "the secret").unwrap();
        assert!(sealed.sealing_key == 1 && !sealed.sealed.windows(10).any(|bytes| bytes == b"the secret"));
        assert!(seal(&keyring_one, "shop", "one", "the secret").unwrap() != sealed);
        assert_eq!(*open(&keyring_one, "shop", "one", &sealed).unwrap(), "the secret");
        // A newer key beside it changes nothing for what is sealed already.
        let both = keyring(&[(1, "ab"), (2, "cd")]);
        assert_eq!(*open(&both, "shop", "one", &sealed).unwrap(), "the secret");
        assert_eq!(seal(&both, "shop", "one", "x").unwrap().sealing_key, 2);
        for (realm, id) in [("shop", "two"), ("sho", "pone"), ("other", "one")] {
            assert!(open(&keyring_one, realm, id, &sealed).is_err(), "{realm} {id}");
        }
        assert!(open(&keyring(&[(1, "ef")]), "shop", "one", &sealed).is_err());
        assert!(open(&keyring(&[(2, "ab")]), "shop", "one", &sealed).is_err());
        for place in 0..sealed.sealed.len() {
            let mut damaged = sealed.clone();
            damaged.sealed[place] ^= 1;
            assert!(open(&keyring_one, "shop", "one", &damaged).is_err(), "{place}");
        }
        for length in 0..sealed.sealed.len() {
            let cut = SealedSecret { sealed: sealed.sealed[..length].to_vec(), ..sealed.clone() };
            assert!(open(&keyring_one, "shop", "one", &cut).is_err(), "{length}");
        }
        assert!(seal(&keyring(&[]), "shop", "one", "x").is_err());
    }
}
