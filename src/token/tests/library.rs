//! That the library refuses what docs/DECISIONS.md section 7 relies on it for: a change of library, or of its
//! version, fails here first.

use super::*;

const MESSAGE: &[u8] = b"header.payload";

#[test]
fn hmac_takes_whole_tags_alone() {
    let key = key("k", Algorithm::HS256);
    let tag = key.sign(MESSAGE).unwrap();
    assert!(key.accepts(MESSAGE, &tag));
    for length in 0..tag.len() {
        assert!(!key.accepts(MESSAGE, &tag[..length]), "{length}");
    }
    assert!(!key.accepts(MESSAGE, &[&tag[..], &[0]].concat()));
}

#[test]
fn ecdsa_takes_two_numbers_in_range_of_fixed_length() {
    for (algorithm, half) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48)] {
        let key = key("k", algorithm);
        let signature = key.sign(MESSAGE).unwrap();
        assert_eq!(signature.len(), 2 * half);
        assert!(key.accepts(MESSAGE, &signature));
        let (r, s) = signature.split_at(half);
        let (zero, largest, mut one) = (vec![0; half], vec![0xff; half], vec![0; half]);
        one[half - 1] = 1;
        for (r, s) in [
            (&zero[..], &zero[..]),
            (r, &zero),
            (&zero, s),
            (&largest, s),
            (r, &largest),
            (s, r),
            (&one, &zero),
            (&one, &one),
        ] {
            assert!(!key.accepts(MESSAGE, &[r, s].concat()));
        }
        // The form of X.509, which some verifiers take for JWS (CVE-2022-21449 was about zeros in it).
        let der = |r: &[u8], s: &[u8]| {
            let number = |bytes: &[u8]| [&[2, bytes.len() as u8 + 1, 0][..], bytes].concat();
            let body = [number(r), number(s)].concat();
            [&[0x30, body.len() as u8][..], &body].concat()
        };
        assert!(!key.accepts(MESSAGE, &der(r, s)));
        assert!(!key.accepts(MESSAGE, &der(&zero, &zero)));
        assert!(!key.accepts(MESSAGE, &[&[0], r, &[0], s].concat()));
    }
}

#[test]
fn ed25519_takes_one_form_of_a_signature() {
    // RFC 8032 section 5.1.7: S is below the order of the group. S + order satisfies the same equation.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = key("k", Algorithm::EdDSA);
    let signature = key.sign(MESSAGE).unwrap();
    let mut other = signature.clone();
    let mut carry = 0;
    for (byte, order) in other[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(key.accepts(MESSAGE, &signature));
    assert!(!key.accepts(MESSAGE, &other));
}

#[test]
fn rsa_paddings_and_hashes_are_not_mixed() {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    let algorithms = [RS256, RS384, RS512, PS256, PS384, PS512];
    for signer in algorithms {
        let signature = key("k", signer).sign(MESSAGE).unwrap();
        for verifier in algorithms {
            assert_eq!(
                key("k", verifier).accepts(MESSAGE, &signature),
                signer == verifier,
                "{signer}, {verifier}"
            );
        }
    }
}

#[test]
fn pss_salts_have_the_length_of_the_hash() {
    // RFC 7518 section 3.5.
    use aws_lc_rs::rsa::RsaPssSaltLength;
    let (_, der) = pem_rfc7468::decode_vec(RSA.private.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let key = key("k", Algorithm::PS256);
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    for (length, accepted) in [(0, false), (31, false), (32, true), (33, false), (64, false)] {
        let encoding = match length {
            0 => &const { signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0)) },
            31 => &const { signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(31)) },
            32 => &const { signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(32)) },
            33 => &const { signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(33)) },
            _ => &const { signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(64)) },
        };
        pair.sign(encoding, &random, MESSAGE, &mut signature).unwrap();
        assert_eq!(key.accepts(MESSAGE, &signature), accepted, "{length}");
    }
}

#[test]
fn a_key_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Key>();
}
