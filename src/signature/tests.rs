use super::*;
use proptest::prelude::*;

/// RFC 8410 section 10.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

fn made() -> SigningKey {
    SigningKey::generate().expect("there is a random source")
}

#[test]
fn keys_are_read_and_written_as_others_do() {
    let key = SigningKey::from_pem(PRIVATE).expect("it is the RFC's");
    assert_eq!(PublicKey::from_pem(PUBLIC), Ok(key.public()));
    assert_eq!(key.to_pem().expect("it can be written").trim(), PRIVATE);
    assert_eq!(key.public_to_pem().expect("it can be written").as_str(), PUBLIC);
    // printf … | xxd -r -p | sha256sum
    assert_eq!(key.public().fingerprint().to_string(), "e744c0791320c328");
    assert_eq!(format!("{:?}", key.public()), "PublicKey(e744c0791320c328)");
}

#[test]
fn what_is_no_such_key_is_refused() {
    let rsa = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK0=\n-----END PUBLIC KEY-----";
    let ed448 = "-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoAC+CfdNEnBJU7KYjagohIj/r1CAzzSIcTBOT/pQ791wj2n7OV
PdsS3SJWCVIYDuLl6RlYXqoEGu2A
-----END PUBLIC KEY-----";
    let longer = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuEA\n-----END PUBLIC KEY-----";
    for text in [rsa, ed448, longer] {
        assert_eq!(PublicKey::from_pem(text), Err(KeyError::NotEd25519), "{text}");
    }
    assert_eq!(PublicKey::from_pem(PRIVATE), Err(KeyError::Label));
    assert_eq!(PublicKey::from_pem("MCowBQYDK2VwAyEA"), Err(KeyError::Pem));
    assert_eq!(SigningKey::from_pem(PUBLIC).err(), Some(KeyError::Label));
    let cut = PRIVATE.replace("RHVYQg", "").replace("9EdVhC", "");
    assert!(matches!(SigningKey::from_pem(&cut).err(), Some(KeyError::Pem | KeyError::NotEd25519)));
}

#[test]
fn a_signature_is_of_one_hash_and_one_key() {
    let (key, other) = (made(), made());
    let hash = [7; 32];
    let signature = key.sign(&hash).expect("it signs");
    assert!(signature.is_good(&hash));
    assert!(!signature.is_good(&[8; 32]));
    assert!(!Signature { key: other.public().0, ..signature }.is_good(&hash));
    // What is signed is not the hash alone, and not the hash behind another text.
    for foreign in [hash.to_vec(), [&PREFIX[..39], b"2", &hash].concat(), [&b""[..], &hash, PREFIX].concat()]
    {
        let bytes = key.pair.sign(&foreign).as_ref().try_into().expect("64 bytes");
        assert!(!Signature { bytes, ..signature }.is_good(&hash));
    }
    for at in 0..SIGNATURE_LENGTH * 8 {
        let mut bad = signature;
        bad.bytes[at / 8] ^= 1 << (at % 8);
        assert!(!bad.is_good(&hash), "bit {at}");
    }
    for at in 0..PUBLIC_KEY_LENGTH * 8 {
        let mut bad = signature;
        bad.key[at / 8] ^= 1 << (at % 8);
        assert!(!bad.is_good(&hash), "bit {at} of the key");
    }
    // S + L is the same number to a lax verifier (RFC 8032 section 8.4).
    let order = hex(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut malleable = signature;
    let mut carry = 0;
    for (byte, more) in malleable.bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert!(malleable != signature && !malleable.is_good(&hash));
}

/// Each of the points does what it is refused for: a signature without a private key is good for one in eight
/// messages or more.
#[test]
fn points_of_small_order_are_refused_because_anybody_can_sign_for_them() {
    let identity = SMALL_ORDER[0];
    let bytes: [u8; 64] = [identity, [0; 32]].concat().try_into().expect("64 bytes");
    let mut refused = 0;
    for y in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut key = y;
            key[31] |= sign;
            assert_eq!(PublicKey::from_bytes(key), Err(KeyError::SmallOrder));
            let forged = (0..200u8).any(|at| ED25519.verify_sig(&key, &message(&[at; 32]), &bytes).is_ok());
            // Where x is 0 it has no sign, and the library refuses the second encoding itself.
            refused += u32::from(!forged);
            assert!((0..200u8).all(|at| !Signature { key, bytes }.is_good(&[at; 32])));
        }
    }
    assert_eq!(refused, 2);
    assert!(PublicKey::from_bytes(made().public().0).is_ok());
}

#[test]
fn what_is_accepted() {
    let (old, new, foreign) = (made(), made(), made());
    let hash = [1; 32];
    let by = |keys: &[&SigningKey]| -> Vec<_> { keys.iter().filter_map(|key| key.sign(&hash)).collect() };
    let name = |key: &SigningKey| key.public().fingerprint();
    let both = [old.public(), new.public()];
    assert_eq!(check(&[], &hash, &[]), Ok(None));
    assert_eq!(check(&[], &hash, &by(&[&foreign])), Ok(None));
    assert_eq!(check(&both, &hash, &by(&[&old])), Ok(Some(name(&old))));
    assert_eq!(check(&both, &hash, &by(&[&new])), Ok(Some(name(&new))));
    assert_eq!(check(&both[1..], &hash, &by(&[&old, &new])), Ok(Some(name(&new))));
    assert_eq!(check(&both, &hash, &by(&[&foreign, &new])), Ok(Some(name(&new))));
    let accepted = vec![name(&old), name(&new)];
    assert_eq!(check(&both, &hash, &[]), Err(SignatureError::Unsigned { accepted: accepted.clone() }));
    let error = check(&both, &hash, &by(&[&foreign])).expect_err("nobody knows it");
    assert_eq!(error, SignatureError::OtherKey { found: vec![name(&foreign)], accepted });
    let text = error.to_string();
    assert!([&old, &new, &foreign].iter().all(|key| text.contains(&name(key).to_string())), "{text}");
    // One that is bad spoils those that are good, if it is by somebody who is known.
    let mut signatures = by(&[&old, &new, &foreign]);
    signatures[2].bytes[5] ^= 1;
    assert!(check(&both, &hash, &signatures).is_ok());
    signatures[1].bytes[5] ^= 1;
    assert_eq!(check(&both, &hash, &signatures), Err(SignatureError::Bad { key: name(&new) }));
}

proptest! {
    #[test]
    fn bytes_that_nobody_signed_are_no_signature(key: [u8; 32], low: [u8; 32], high: [u8; 32], hash: [u8; 32]) {
        let bytes = [low, high].concat().try_into().expect("64 bytes");
        let nobodys = Signature { key, bytes };
        prop_assert!(!nobodys.is_good(&hash));
    }
}
