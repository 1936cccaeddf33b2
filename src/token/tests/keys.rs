use super::*;
use crate::token::{KeyError, KeyKind, Part};

/// 2047 bits, in as many bytes as 2048.
const RSA_2047: &str = "-----BEGIN PUBLIC KEY-----
MIIBITANBgkqhkiG9w0BAQEFAAOCAQ4AMIIBCQKCAQBWuAOJKa6lLStEk/6F+KT0
JT3t3YPpkMw/zLeuSxi9a6pP9mR5xjVwbQKpzs7kZBSu1iOYC/PM84YXWkP9vpKY
mwnDBPNrLh9OIkgZCCoXTawCSCFMGVCSOIEZxzs0Btev/7smvcw89pbP2I2tZKm5
226rN125kiYMC865P90t0y+XPaOvSe25btW+YBGVvfjNGJWCvFn4vmsfkzlkJbA6
e+pLwojzvtSG0ilzkr16YLlEIor1QPh8MfFF60HICB4Qtd7lyC3GE4Ci7VlZos9J
1YVhL+fJNvyvOOklkSQ+O+BF5ayyamndF8aSyKEkU8mgxb7TkYXQmd1AX9JuI0eb
AgMBAAE=
-----END PUBLIC KEY-----";
const P521: &str = "-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAtmmLFwhTPs2Zn1fkRqRB7cx0nEWF
zXs7GJ0LE8QBNq5ijFNBlZyRfxUfjHoTbs0hJkk+7KyivcQ7cG5PhoECwAUAQdnA
58ELpyP9VHqec/XxVZMY5ZXkTBqA2z6vgD89istwEhu3sBYE6o6qXMh/Cs+SaMBe
iaqv4W9XErzq4IAZJmU=
-----END PUBLIC KEY-----";
const ED448: &str = "-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoAC+CfdNEnBJU7KYjagohIj/r1CAzzSIcTBOT/pQ791wj2n7OV
PdsS3SJWCVIYDuLl6RlYXqoEGu2A
-----END PUBLIC KEY-----";
const SECP256K1: &str = "-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEVXwTaAjQjKRynNLRq7++V5BK8d86jFh1
YoUNppJU9Z0YCaStdAfCG6MNv6/Czj2O6FI2qPNOGkVbNEcRQERtHw==
-----END PUBLIC KEY-----";

const PEM_ALGORITHMS: [Algorithm; 9] = {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
};

fn pem(algorithm: Algorithm, public: Option<&str>, private: Option<&str>) -> Result<Key, KeyError> {
    Key::from_pem("k".to_owned(), algorithm, public, private)
}

fn refusal(made: Result<Key, KeyError>) -> KeyError {
    made.err().expect("the key is refused")
}

fn kind(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::ES256 => KeyKind::P256,
        Algorithm::ES384 => KeyKind::P384,
        Algorithm::EdDSA => KeyKind::Ed25519,
        _ => KeyKind::Rsa,
    }
}

#[test]
fn secrets_are_as_long_as_the_hash() {
    for (algorithm, expected) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        let made = |length: usize| Key::from_secret("k".to_owned(), algorithm, &vec![7; length]);
        for found in [0, 1, expected - 1] {
            let error = KeyError::ShortSecret { kid: "k".to_owned(), algorithm, found, expected };
            assert_eq!(refusal(made(found)), error);
        }
        for length in [expected, expected + 1, 1000] {
            let key = made(length).ok().unwrap();
            assert!(key.can_sign() && key.algorithm() == algorithm && key.kid() == "k");
        }
    }
}

#[test]
fn secrets_and_pem_keys_are_not_mixed_up() {
    for algorithm in PEM_ALGORITHMS {
        let error = refusal(Key::from_secret("k".to_owned(), algorithm, SECRET));
        assert_eq!(error, KeyError::NotPem { kid: "k".to_owned(), algorithm });
        assert_eq!(refusal(pem(algorithm, None, None)), KeyError::Missing { kid: "k".to_owned(), algorithm });
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let error = refusal(pem(algorithm, Some(&RSA.public), None));
        assert_eq!(error, KeyError::NotASecret { kid: "k".to_owned(), algorithm });
    }
}

#[test]
fn a_key_of_another_kind_is_named() {
    let pairs = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    for algorithm in PEM_ALGORITHMS {
        let expected = kind(algorithm);
        for found in pairs.into_iter().map(kind).filter(|&found| found != expected) {
            let pair = Pair::of(pairs.into_iter().find(|&one| kind(one) == found).unwrap());
            let error = |part| KeyError::Kind { kid: "k".to_owned(), part, algorithm, found, expected };
            assert_eq!(refusal(pem(algorithm, Some(&pair.public), None)), error(Part::Public));
            assert_eq!(refusal(pem(algorithm, None, Some(&pair.private))), error(Part::Private));
        }
        for unknown in [P521, ED448, SECP256K1] {
            let error = KeyError::Unreadable { kid: "k".to_owned(), part: Part::Public, algorithm, expected };
            assert_eq!(refusal(pem(algorithm, Some(unknown), None)), error);
        }
    }
    let message = refusal(pem(Algorithm::ES256, Some(&RSA.public), None)).to_string();
    assert_eq!(
        message,
        "token key `k`: `public_key` is an RSA key, ES256 takes a P-256 key; correct `alg` or the key"
    );
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    let size = |public: &str| refusal(pem(Algorithm::PS256, Some(public), None));
    assert_eq!(size(RSA_2047), KeyError::RsaSize { kid: "k".to_owned(), found: 2047 });
    let large = Pair::large_rsa_public();
    assert_eq!(size(&large), KeyError::RsaSize { kid: "k".to_owned(), found: 8200 });
    assert!(pem(Algorithm::RS256, Some(&RSA.public), None).is_ok());
}

#[test]
fn rsa_private_keys_of_another_size_are_told_it() {
    for found in [512, 1024, 2047, 8193, 16_384] {
        for private in Pair::rsa_private_forms(found) {
            let error = KeyError::RsaSize { kid: "k".to_owned(), found };
            assert_eq!(refusal(pem(Algorithm::RS256, None, Some(&private))), error);
            assert_eq!(refusal(pem(Algorithm::PS512, Some(&RSA.public), Some(&private))), error);
            let error = refusal(pem(Algorithm::ES256, None, Some(&private)));
            assert!(matches!(error, KeyError::Kind { found: KeyKind::Rsa, .. }), "{error}");
        }
    }
    // Of a good size, but no key.
    for found in [2048, 8192] {
        for private in Pair::rsa_private_forms(found) {
            let error = refusal(pem(Algorithm::RS256, None, Some(&private)));
            assert!(matches!(error, KeyError::Unreadable { part: Part::Private, .. }), "{error}");
        }
    }
}

#[test]
fn a_private_key_cut_off_anywhere_is_refused() {
    let whole = pem_rfc7468::decode_vec(Pair::rsa_private_forms(1024)[1].as_bytes()).unwrap().1;
    for length in 1..whole.len() {
        let cut = pem_rfc7468::encode_string("PRIVATE KEY", LineEnding::LF, &whole[..length]).unwrap();
        let error = refusal(pem(Algorithm::RS256, None, Some(&cut)));
        assert!(matches!(error, KeyError::Unreadable { .. }), "{length}: {error}");
    }
}

#[test]
fn a_signature_has_the_length_that_the_key_says() {
    for algorithm in Algorithm::ALL {
        let key = key("k", algorithm);
        assert_eq!(key.sign(b"message").unwrap().len(), key.signature_length(), "{algorithm}");
    }
}

#[test]
fn both_halves_belong_together() {
    for (algorithm, other) in [
        (Algorithm::RS256, Pair::rsa(KeySize::Rsa2048)),
        (Algorithm::ES256, Pair::ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
        (Algorithm::ES384, Pair::ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
        (Algorithm::EdDSA, Pair::ed25519()),
    ] {
        let pair = Pair::of(algorithm);
        assert!(pem(algorithm, Some(&pair.public), Some(&pair.private)).is_ok_and(|key| key.can_sign()));
        assert!(pem(algorithm, None, Some(&pair.private)).is_ok_and(|key| key.can_sign()));
        assert!(pem(algorithm, Some(&pair.public), None).is_ok_and(|key| !key.can_sign()));
        let mixed = refusal(pem(algorithm, Some(&pair.public), Some(&other.private)));
        assert_eq!(mixed, KeyError::NotAPair { kid: "k".to_owned() });
    }
}

#[test]
fn the_halves_do_not_change_places() {
    for algorithm in PEM_ALGORITHMS {
        let pair = Pair::of(algorithm);
        let error = |part| KeyError::Label { kid: "k".to_owned(), part };
        assert_eq!(refusal(pem(algorithm, Some(&pair.private), None)), error(Part::Public));
        assert_eq!(refusal(pem(algorithm, None, Some(&pair.public))), error(Part::Private));
        // Nor under a wrong label.
        let public = pair.private.replace("PRIVATE", "PUBLIC");
        assert!(matches!(refusal(pem(algorithm, Some(&public), None)), KeyError::Unreadable { .. }));
    }
}

#[test]
fn older_encodings() {
    let der = |text: &str| pem_rfc7468::decode_vec(text.as_bytes()).unwrap().1;
    let encode = |label: &str, der: &[u8]| pem_rfc7468::encode_string(label, LineEnding::CRLF, der).unwrap();
    // PKCS #1 is what PKCS #8 and SubjectPublicKeyInfo wrap, in a header of 26 and 24 bytes at this size.
    let public = encode("RSA PUBLIC KEY", &der(&RSA.public)[24..]);
    let private = encode("RSA PRIVATE KEY", &der(&RSA.private)[26..]);
    assert!(pem(Algorithm::RS256, Some(&public), Some(&private)).is_ok());
    assert!(pem(Algorithm::RS256, Some(&RSA.public), Some(&private)).is_ok());

    let pair =
        EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der(&P256.private)).unwrap();
    let sec_1 = encode("EC PRIVATE KEY", pair.private_key().as_der().unwrap().as_ref());
    assert!(pem(Algorithm::ES256, Some(&P256.public), Some(&sec_1)).is_ok());
    assert!(matches!(refusal(pem(Algorithm::ES384, None, Some(&sec_1))), KeyError::Kind { .. }));
}

#[test]
fn what_is_no_pem() {
    let good = &ED25519.public;
    let public = |text: &str| pem(Algorithm::EdDSA, Some(text), None);
    for accepted in [good.trim().to_owned(), format!("\n\n{good}\n\n"), good.replace('\n', "\r\n")] {
        assert!(public(&accepted).is_ok(), "{accepted}");
    }
    for bad in [
        "",
        "AAAA",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        &format!("{good}{good}"),
        &good[1..],
    ] {
        let error = refusal(public(bad));
        assert!(matches!(error, KeyError::Pem { .. } | KeyError::Unreadable { .. }), "{bad}: {error}");
    }
    let certificate = good.replace("PUBLIC KEY", "CERTIFICATE");
    assert_eq!(refusal(public(&certificate)), KeyError::Label { kid: "k".to_owned(), part: Part::Public });
    let damaged = good.replace("MCow", "MCox");
    assert!(matches!(refusal(public(&damaged)), KeyError::Unreadable { .. }));
}
