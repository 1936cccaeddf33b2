//! Who published a snapshot: Ed25519 signatures over the hash of its header (docs/FORMAT.md section 1.5).

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, VerificationAlgorithm as _};
use pem_rfc7468::LineEnding;
use sha2::{Digest as _, Sha256};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a public key.
pub const PUBLIC_KEY_LENGTH: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 64;
/// What is signed starts with this, so that no signature made for something else is one of a snapshot.
const PREFIX: &[u8; 40] = b"keyward 2026-11-22 snapshot signature v1";

/// SubjectPublicKeyInfo of an Ed25519 key up to the key itself: RFC 8410 section 4 leaves no choice.
const SUBJECT_PUBLIC_KEY_INFO: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The y coordinates of the points whose order divides 8, as they are encoded without the sign of x. With such a
/// point for a public key anybody can make signatures.
const SMALL_ORDER: [[u8; PUBLIC_KEY_LENGTH]; 5] = [
    hex(b"0100000000000000000000000000000000000000000000000000000000000000"),
    hex(b"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex(b"0000000000000000000000000000000000000000000000000000000000000000"),
    hex(b"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    hex(b"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];

const fn hex(text: &[u8; 2 * PUBLIC_KEY_LENGTH]) -> [u8; PUBLIC_KEY_LENGTH] {
    const fn digit(byte: u8) -> u8 {
        if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
    }
    let mut bytes = [0; PUBLIC_KEY_LENGTH];
    let mut at = 0;
    while at < PUBLIC_KEY_LENGTH {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// What people call a public key: the first eight bytes of its SHA-256, as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// The fingerprint of a public key.
    pub fn of(key: &[u8; PUBLIC_KEY_LENGTH]) -> Self {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(key).into();
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Why a key cannot be used. No message has a byte of a key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is not one PEM block.
    #[error("not one PEM block (RFC 7468)")]
    Pem,
    /// The block holds something else.
    #[error("a PEM block of another label")]
    Label,
    /// It is not an Ed25519 key.
    #[error("not an Ed25519 key, or a damaged one")]
    NotEd25519,
    /// Anybody could sign for it.
    #[error("a point of small order, for which anybody can make signatures")]
    SmallOrder,
    /// The library could not make one.
    #[error("the system's random source gave nothing")]
    NotMade,
}

/// A key that signatures are checked with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; PUBLIC_KEY_LENGTH]);

impl PublicKey {
    /// The key with these bytes (RFC 8032 section 5.1.5).
    pub fn from_bytes(bytes: [u8; PUBLIC_KEY_LENGTH]) -> Result<Self, KeyError> {
        let mut y = bytes;
        let [.., last] = &mut y;
        *last &= 0x7f;
        if SMALL_ORDER.contains(&y) { Err(KeyError::SmallOrder) } else { Ok(Self(bytes)) }
    }

    /// Reads `PUBLIC KEY`, a SubjectPublicKeyInfo (RFC 8410).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = read_pem(text, "PUBLIC KEY")?;
        let key = der.strip_prefix(&SUBJECT_PUBLIC_KEY_INFO).and_then(|key| key.try_into().ok());
        Self::from_bytes(key.ok_or(KeyError::NotEd25519)?)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LENGTH] {
        &self.0
    }

    /// What people call it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.fingerprint())
    }
}

/// A key that snapshots are signed with. Neither printed nor copied; the cryptographic library wipes its memory when
/// it is dropped.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new one, from the system's random source.
    pub fn generate() -> Result<Self, KeyError> {
        Ed25519KeyPair::generate().map_err(|_| KeyError::NotMade).and_then(Self::of)
    }

    /// Reads `PRIVATE KEY`, a PKCS #8 (RFC 8410).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = read_pem(text, "PRIVATE KEY")?;
        Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyError::NotEd25519).and_then(Self::of)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes = pair.public_key().as_ref().try_into().map_err(|_| KeyError::NotEd25519)?;
        Ok(Self { public: PublicKey::from_bytes(bytes)?, pair })
    }

    /// The key that its signatures are checked with.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// As `PRIVATE KEY`, a PKCS #8.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        // Version 1, which every other tool reads. The library wipes its document.
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::NotMade)?;
        write_pem("PRIVATE KEY", der.as_ref())
    }

    /// Its public half as `PUBLIC KEY`, a SubjectPublicKeyInfo.
    pub fn public_to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| KeyError::NotMade)?;
        write_pem("PUBLIC KEY", der.as_ref())
    }

    /// Its signature of a snapshot whose header has that hash; `None` where the library would not.
    pub fn sign(&self, hash: &[u8; 32]) -> Option<Signature> {
        let signature = self.pair.try_sign(&message(hash)).ok()?;
        Some(Signature { key: self.public.0, bytes: signature.as_ref().try_into().ok()? })
    }
}

/// A signature as it stands in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The public key that it says it can be checked with.
    pub key: [u8; PUBLIC_KEY_LENGTH],
    /// The signature.
    pub bytes: [u8; SIGNATURE_LENGTH],
}

impl Signature {
    /// Whether it is one of a snapshot whose header has that hash, by the key that it names: which is nobody's as
    /// long as that key is not known.
    pub fn is_good(&self, hash: &[u8; 32]) -> bool {
        PublicKey::from_bytes(self.key).is_ok()
            && ED25519.verify_sig(&self.key, &message(hash), &self.bytes).is_ok()
    }

    /// What people call the key that it names.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signature(by {})", self.fingerprint())
    }
}

/// Why a snapshot is not one that somebody who may publish has made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Nobody signed it.
    #[error(
        "the snapshot is not signed, and the keyring takes only what {} has signed: publish it with the keyring that has its private key",
        list(accepted)
    )]
    Unsigned {
        /// The keys of the keyring.
        accepted: Vec<Fingerprint>,
    },
    /// Nobody signed it who may.
    #[error(
        "the snapshot is signed by {}, and the keyring takes only what {} has signed: publish it with the right keyring, or add the public key to this one",
        list(found),
        list(accepted)
    )]
    OtherKey {
        /// The keys that it says signed it.
        found: Vec<Fingerprint>,
        /// The keys of the keyring.
        accepted: Vec<Fingerprint>,
    },
    /// A signature by a key of the keyring is not one of this snapshot.
    #[error(
        "the snapshot's signature by {key} is not good: it is damaged, or was made for another snapshot; publish it again"
    )]
    Bad {
        /// The key.
        key: Fingerprint,
    },
}

fn list(keys: &[Fingerprint]) -> String {
    keys.iter().map(Fingerprint::to_string).collect::<Vec<_>>().join(" or ")
}

/// Whether a snapshot whose header has that hash is signed by one of `accepted`, and by which; `None` where there is
/// nobody whose signature is asked for.
pub fn check(
    accepted: &[PublicKey],
    hash: &[u8; 32],
    signatures: &[Signature],
) -> Result<Option<Fingerprint>, SignatureError> {
    if accepted.is_empty() {
        return Ok(None);
    }
    let names = || accepted.iter().map(PublicKey::fingerprint).collect();
    let mut signer = None;
    for signature in signatures {
        if !accepted.iter().any(|known| known.0 == signature.key) {
            continue;
        }
        let key = signature.fingerprint();
        if !signature.is_good(hash) {
            return Err(SignatureError::Bad { key });
        }
        signer.get_or_insert(key);
    }
    match signer {
        Some(_) => Ok(signer),
        None if signatures.is_empty() => Err(SignatureError::Unsigned { accepted: names() }),
        None => Err(SignatureError::OtherKey {
            found: signatures.iter().map(Signature::fingerprint).collect(),
            accepted: names(),
        }),
    }
}

fn message(hash: &[u8; 32]) -> [u8; 72] {
    let mut message = [0; 72];
    for (target, byte) in message.iter_mut().zip(PREFIX.iter().chain(hash)) {
        *target = *byte;
    }
    message
}

/// The bytes in a PEM block with that label, wiped when they are dropped.
fn read_pem(text: &str, expected: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut decoder =
        pem_rfc7468::Decoder::new_detect_wrap(text.trim().as_bytes()).map_err(|_| KeyError::Pem)?;
    let label = decoder.type_label();
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut der = Zeroizing::new(Vec::with_capacity(decoder.remaining_len()));
    decoder.decode_to_end(&mut der).map_err(|_| KeyError::Pem)?;
    if label == expected { Ok(der) } else { Err(KeyError::Label) }
}

fn write_pem(label: &str, der: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).map(Zeroizing::new).map_err(|_| KeyError::NotMade)
}

#[cfg(test)]
mod tests;
