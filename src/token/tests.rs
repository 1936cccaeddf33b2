//! What the tests of this module share: keys that are made for the run, and tokens written by hand.

mod issuing;
mod keys;
mod library;
mod refusals;
mod strict_json;
mod vectors;

use super::{Algorithm, Claims, Fault, Key, verify};
use crate::realm::TokenRules;
use crate::time::Timestamp;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pem_rfc7468::LineEnding;
use std::sync::LazyLock;

const NOW: u64 = 1_764_000_000;
const SECRET: &[u8; 64] = &[b's'; 64];
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"k"}"#;
const PAYLOAD: &str = r#"{"iss":"us","aud":"them","sub":"ada","exp":1764000300}"#;

/// Both halves of a key pair, as PEM.
struct Pair {
    public: String,
    private: String,
}

impl Pair {
    fn new(public: &impl AsDer<PublicKeyX509Der<'static>>, private: &[u8]) -> Self {
        let pem = |label, der| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap();
        Self {
            public: pem("PUBLIC KEY", public.as_der().unwrap().as_ref()),
            private: pem("PRIVATE KEY", private),
        }
    }

    fn rsa(size: KeySize) -> Self {
        let pair = RsaKeyPair::generate(size).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Self::new(pair.public_key(), private.as_ref())
    }

    fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> Self {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        Self::new(pair.public_key(), pair.to_pkcs8v1().unwrap().as_ref())
    }

    fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self::new(pair.public_key(), pair.to_pkcs8v1().unwrap().as_ref())
    }

    /// A public key of 8200 bits, which nobody has the private half of.
    fn large_rsa_public() -> String {
        let key = der(0x30, &[rsa_modulus(8200), vec![2, 3, 1, 0, 1]].concat());
        pem_rfc7468::encode_string("RSA PUBLIC KEY", LineEnding::LF, &key).unwrap()
    }

    /// What has the form of a private key with a modulus of `bits`, as PKCS #1 and as PKCS #8.
    fn rsa_private_forms(bits: usize) -> [String; 2] {
        let pem = |label, der: &[u8]| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap();
        // Public exponent, private exponent, the two primes and what is computed from them.
        let others = [&[2, 3, 1, 0, 1][..], &[2, 1, 1].repeat(6)].concat();
        let pkcs_1 = der(0x30, &[&[2, 1, 0][..], &rsa_modulus(bits), &others].concat());
        // rsaEncryption (RFC 8017 appendix A.1).
        let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
        let pkcs_8 = der(0x30, &[&[2, 1, 0][..], &algorithm, &der(4, &pkcs_1)].concat());
        [pem("RSA PRIVATE KEY", &pkcs_1), pem("PRIVATE KEY", &pkcs_8)]
    }

    /// The pair that tests of `algorithm` use.
    fn of(algorithm: Algorithm) -> &'static Self {
        match algorithm {
            Algorithm::ES256 => &P256,
            Algorithm::ES384 => &P384,
            Algorithm::EdDSA => &ED25519,
            _ => &RSA,
        }
    }
}

static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::rsa(KeySize::Rsa2048));
static P256: LazyLock<Pair> = LazyLock::new(|| Pair::ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING));
static P384: LazyLock<Pair> = LazyLock::new(|| Pair::ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING));
static ED25519: LazyLock<Pair> = LazyLock::new(Pair::ed25519);

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, content].concat()
}

fn rsa_modulus(bits: usize) -> Vec<u8> {
    let first = 0xff_u8 >> (bits.wrapping_neg() % 8);
    der(2, &[&[0, first][..], &vec![0xff; bits.div_ceil(8) - 1]].concat())
}

fn takes_secret(algorithm: Algorithm) -> bool {
    algorithm.name().starts_with("HS")
}

/// A key that can sign.
fn key(kid: &str, algorithm: Algorithm) -> Key {
    let made = if takes_secret(algorithm) {
        Key::from_secret(kid.to_owned(), algorithm, SECRET)
    } else {
        let pair = Pair::of(algorithm);
        Key::from_pem(kid.to_owned(), algorithm, Some(&pair.public), Some(&pair.private))
    };
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn rules() -> TokenRules {
    TokenRules {
        issuer: "us".to_owned(),
        audience: "them".to_owned(),
        leeway: 0,
        lifetime: 3600,
        max_lifetime: None,
        subject_claim: "sub".to_owned(),
        tenants_claim: "tenants".to_owned(),
        scope_claim: "scope".to_owned(),
        key_claim: "client_id".to_owned(),
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with a good signature by `key`, whatever header and payload say.
fn signed(key: &Key, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(signature))
}

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

/// What the rules above and the one key `k` make of header and payload, well signed.
fn verdict(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Result<Claims, Fault> {
    let key = key("k", Algorithm::HS256);
    verify(signed(&key, header, payload).as_bytes(), &rules(), &[key], now())
}

/// The good payload with `claims` in place of `exp`, under rules that `change` was made to.
fn timed(claims: &str, change: impl FnOnce(&mut TokenRules), now: Timestamp) -> Result<Claims, Fault> {
    let key = key("k", Algorithm::HS256);
    let mut rules = rules();
    change(&mut rules);
    let payload = format!(r#"{{"iss":"us","aud":"them"{claims}}}"#);
    verify(signed(&key, HEADER, payload).as_bytes(), &rules, &[key], now)
}
