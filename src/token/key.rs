//! The keys that tokens are signed with.

use super::algorithm::{Algorithm, KeyKind, Scheme};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicKey as RsaPublicKey;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm,
};
use zeroize::Zeroizing;

/// The smallest RSA modulus, in bits (RFC 7518 section 3.3).
const RSA_SMALLEST: usize = 2048;
/// The largest RSA modulus, in bits: what a check costs grows with its square.
const RSA_LARGEST: usize = 8192;

/// A key of the keyring, for one algorithm (RFC 8725 section 3.1). Neither printed nor copied; the
/// cryptographic library wipes its memory when it is dropped.
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    material: Material,
    /// Of every signature that it makes or accepts, in bytes.
    signature_length: usize,
}

enum Material {
    Secret(Box<hmac::Key>),
    Pair { public: Box<ParsedPublicKey>, private: Option<Private> },
}

enum Private {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The field of the keyring that a key was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `public_key`.
    Public,
    /// `private_key`.
    Private,
}

impl Part {
    const fn labels(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC KEY or RSA PUBLIC KEY",
            Self::Private => "PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public_key",
            Self::Private => "private_key",
        })
    }
}

/// Why a key cannot be used. None of the messages has a byte of a key in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The algorithm takes a secret.
    #[error("token key `{kid}`: {algorithm} takes `secret`, found PEM keys; give `secret` alone")]
    NotASecret {
        /// The key's id.
        kid: String,
        /// The algorithm named for it.
        algorithm: Algorithm,
    },
    /// The algorithm takes PEM keys.
    #[error(
        "token key `{kid}`: {algorithm} takes PEM keys, found `secret`; give `public_key` or `private_key`"
    )]
    NotPem {
        /// The key's id.
        kid: String,
        /// The algorithm named for it.
        algorithm: Algorithm,
    },
    /// The secret is shorter than the hash (RFC 7518 section 3.2).
    #[error(
        "token key `{kid}`: the secret has {found} bytes, {algorithm} needs {expected} or more; generate a \
         longer one"
    )]
    ShortSecret {
        /// The key's id.
        kid: String,
        /// The algorithm named for it.
        algorithm: Algorithm,
        /// The length of the secret, in bytes.
        found: usize,
        /// The least length, in bytes.
        expected: usize,
    },
    /// Neither half of the pair is there.
    #[error(
        "token key `{kid}`: found no key, {algorithm} takes `public_key`, or `private_key` to issue tokens"
    )]
    Missing {
        /// The key's id.
        kid: String,
        /// The algorithm named for it.
        algorithm: Algorithm,
    },
    /// The text is not PEM.
    #[error("token key `{kid}`: `{part}` is not one PEM block (RFC 7468); expected {}", part.labels())]
    Pem {
        /// The key's id.
        kid: String,
        /// The field.
        part: Part,
    },
    /// The PEM block holds something else.
    #[error("token key `{kid}`: `{part}` holds a PEM block of another label; expected {}", part.labels())]
    Label {
        /// The key's id.
        kid: String,
        /// The field.
        part: Part,
    },
    /// The key is of another kind than the algorithm takes.
    #[error("token key `{kid}`: `{part}` is {found}, {algorithm} takes {expected}; correct `alg` or the key")]
    Kind {
        /// The key's id.
        kid: String,
        /// The field.
        part: Part,
        /// The algorithm named for it.
        algorithm: Algorithm,
        /// What is there.
        found: KeyKind,
        /// What should be there.
        expected: KeyKind,
    },
    /// The key is damaged, or of a kind that no algorithm here takes.
    #[error(
        "token key `{kid}`: `{part}` cannot be read as RSA, P-256, P-384 or Ed25519 key, {algorithm} takes \
         {expected}; export it again, unencrypted"
    )]
    Unreadable {
        /// The key's id.
        kid: String,
        /// The field.
        part: Part,
        /// The algorithm named for it.
        algorithm: Algorithm,
        /// What should be there.
        expected: KeyKind,
    },
    /// The RSA modulus is too small, or so large that checking would be slow.
    #[error("token key `{kid}`: the RSA key has {found} bits, expected 2048 to 8192; generate another")]
    RsaSize {
        /// The key's id.
        kid: String,
        /// The size of the modulus, in bits.
        found: usize,
    },
    /// The two halves are of different pairs.
    #[error(
        "token key `{kid}`: `public_key` is not that of `private_key`; give both of one pair, or one alone"
    )]
    NotAPair {
        /// The key's id.
        kid: String,
    },
}

impl Key {
    /// An HMAC key. The secret is at least as long as the hash (RFC 7518 section 3.2).
    pub fn from_secret(kid: String, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let Scheme::Hmac(scheme) = algorithm.scheme() else {
            return Err(KeyError::NotPem { kid, algorithm });
        };
        let expected = scheme.digest_algorithm().output_len();
        if secret.len() < expected {
            return Err(KeyError::ShortSecret { kid, algorithm, found: secret.len(), expected });
        }
        let material = Material::Secret(Box::new(hmac::Key::new(scheme, secret)));
        Ok(Self { kid, algorithm, material, signature_length: expected })
    }

    /// A key of one of the other algorithms, as PEM: the public half (SubjectPublicKeyInfo or PKCS #1), the
    /// private half (PKCS #8, PKCS #1 or SEC 1) or both, which then belong together. The public half of a
    /// private one that stands alone is computed.
    pub fn from_pem(
        kid: String,
        algorithm: Algorithm,
        public: Option<&str>,
        private: Option<&str>,
    ) -> Result<Self, KeyError> {
        let pem = PemKey { kid: &kid, algorithm };
        let Some(expected) = expected_kind(algorithm) else {
            return Err(KeyError::NotASecret { kid, algorithm });
        };
        let private = private.map(|text| pem.private(text, expected)).transpose()?;
        let public = match (public, &private) {
            (Some(text), _) => pem.public(text, expected)?,
            (None, Some(private)) => pem.public_of(private, expected)?,
            (None, None) => return Err(KeyError::Missing { kid, algorithm }),
        };
        let signature_length = match expected {
            KeyKind::Rsa => {
                RsaPublicKey::from_der(public.as_ref()).map_or(0, |key| modulus_bits(&key).div_ceil(8))
            }
            KeyKind::P256 | KeyKind::Ed25519 => 64,
            KeyKind::P384 => 96,
        };
        let material = Material::Pair { public: Box::new(public), private };
        let key = Self { kid, algorithm, material, signature_length };
        if key.can_sign() {
            // The public half may be written in several ways, so the two are compared by what they do.
            const PROBE: &[u8] = b"keyward: do these halves belong together?";
            let together = key.sign(PROBE).is_some_and(|signature| key.accepts(PROBE, &signature));
            if !together {
                return Err(KeyError::NotAPair { kid: key.kid });
            }
        }
        Ok(key)
    }

    /// What tokens name the key by.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether tokens can be issued with it: a secret, or the private half is there.
    pub fn can_sign(&self) -> bool {
        matches!(self.material, Material::Secret(_) | Material::Pair { private: Some(_), .. })
    }

    /// Whether it is for HMAC.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.material, Material::Secret(_))
    }

    /// How many bytes a signature has. None of another length is accepted.
    pub(super) fn signature_length(&self) -> usize {
        self.signature_length
    }

    /// Whether `signature` is one of `message`.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => hmac::verify(secret, message, signature).is_ok(),
            Material::Pair { public, .. } => public.verify_sig(message, signature).is_ok(),
        }
    }

    /// A signature of `message`; `None` where the key cannot sign, or the library would not.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match (&self.material, self.algorithm.scheme()) {
            (Material::Secret(secret), _) => Some(hmac::sign(secret, message).as_ref().to_vec()),
            (Material::Pair { private: Some(Private::Rsa(pair)), .. }, Scheme::Rsa { sign, .. }) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(sign, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            (Material::Pair { private: Some(Private::Ecdsa(pair)), .. }, _) => {
                Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
            }
            (Material::Pair { private: Some(Private::Ed25519(pair)), .. }, _) => {
                Some(pair.try_sign(message).ok()?.as_ref().to_vec())
            }
            _ => None,
        }
    }
}

fn expected_kind(algorithm: Algorithm) -> Option<KeyKind> {
    match algorithm.scheme() {
        Scheme::Hmac(_) => None,
        Scheme::Rsa { .. } => Some(KeyKind::Rsa),
        Scheme::Ecdsa { kind, .. } => Some(kind),
        Scheme::Ed25519 => Some(KeyKind::Ed25519),
    }
}

/// What a PEM key is read for.
struct PemKey<'a> {
    kid: &'a str,
    algorithm: Algorithm,
}

impl PemKey<'_> {
    fn public(&self, text: &str, expected: KeyKind) -> Result<ParsedPublicKey, KeyError> {
        let part = Part::Public;
        let der = self.read(text, part)?;
        self.expect(part, expected, public_kind(&der))?;
        self.parse_public(&der, part, expected)
    }

    fn private(&self, text: &str, expected: KeyKind) -> Result<Private, KeyError> {
        let part = Part::Private;
        let der = self.read(text, part)?;
        let private = match self.algorithm.scheme() {
            Scheme::Hmac(_) => None,
            Scheme::Rsa { .. } => read_rsa(&der).map(Private::Rsa),
            Scheme::Ecdsa { sign, .. } => {
                EcdsaKeyPair::from_private_key_der(sign, &der).ok().map(Private::Ecdsa)
            }
            Scheme::Ed25519 => Ed25519KeyPair::from_pkcs8(&der).ok().map(Private::Ed25519),
        };
        let Some(private) = private else {
            self.expect(part, expected, private_kind(&der))?;
            // The library refuses an RSA key of another size without saying which it is.
            return Err(match rsa_private_bits(&der) {
                Some(found) if expected == KeyKind::Rsa && !has_good_size(found) => {
                    KeyError::RsaSize { kid: self.kid.to_owned(), found }
                }
                _ => self.unreadable(part, expected),
            });
        };
        Ok(private)
    }

    fn public_of(&self, private: &Private, expected: KeyKind) -> Result<ParsedPublicKey, KeyError> {
        let public = match private {
            Private::Rsa(pair) => pair.public_key().as_ref(),
            Private::Ecdsa(pair) => pair.public_key().as_ref(),
            Private::Ed25519(pair) => pair.public_key().as_ref(),
        };
        self.parse_public(public, Part::Private, expected)
    }

    fn parse_public(&self, der: &[u8], part: Part, expected: KeyKind) -> Result<ParsedPublicKey, KeyError> {
        let verification: &'static dyn VerificationAlgorithm = match self.algorithm.scheme() {
            Scheme::Hmac(_) => return Err(self.unreadable(part, expected)),
            Scheme::Rsa { verify, .. } => {
                let found = RsaPublicKey::from_der(der).map_or(0, |key| modulus_bits(&key));
                if !has_good_size(found) {
                    return Err(KeyError::RsaSize { kid: self.kid.to_owned(), found });
                }
                verify
            }
            Scheme::Ecdsa { verify, .. } => verify,
            Scheme::Ed25519 => &signature::ED25519,
        };
        ParsedPublicKey::new(verification, der).map_err(|_| self.unreadable(part, expected))
    }

    /// The bytes in the PEM block, wiped once they are read. What the label promises is checked here only
    /// for the half; the bytes themselves say what kind of key they are.
    fn read(&self, text: &str, part: Part) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let not_pem = |_| KeyError::Pem { kid: self.kid.to_owned(), part };
        // Lines are 64 characters long (RFC 7468 section 2), but some encoders write longer ones.
        let mut decoder = pem_rfc7468::Decoder::new_detect_wrap(text.trim().as_bytes()).map_err(not_pem)?;
        let label = decoder.type_label();
        let mut der = Zeroizing::new(Vec::new());
        decoder.decode_to_end(&mut der).map_err(not_pem)?;
        let fits = match part {
            Part::Public => matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY"),
            Part::Private => matches!(label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"),
        };
        if fits { Ok(der) } else { Err(KeyError::Label { kid: self.kid.to_owned(), part }) }
    }

    fn expect(&self, part: Part, expected: KeyKind, found: Option<KeyKind>) -> Result<(), KeyError> {
        match found {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(KeyError::Kind {
                kid: self.kid.to_owned(),
                part,
                algorithm: self.algorithm,
                found,
                expected,
            }),
            None => Err(self.unreadable(part, expected)),
        }
    }

    fn unreadable(&self, part: Part, expected: KeyKind) -> KeyError {
        KeyError::Unreadable { kid: self.kid.to_owned(), part, algorithm: self.algorithm, expected }
    }
}

fn read_rsa(der: &[u8]) -> Option<RsaKeyPair> {
    RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok()
}

fn public_kind(der: &[u8]) -> Option<KeyKind> {
    let reads = |algorithm: &'static dyn VerificationAlgorithm| ParsedPublicKey::new(algorithm, der).is_ok();
    if reads(&signature::ED25519) {
        Some(KeyKind::Ed25519)
    } else if reads(&signature::ECDSA_P256_SHA256_FIXED) {
        Some(KeyKind::P256)
    } else if reads(&signature::ECDSA_P384_SHA384_FIXED) {
        Some(KeyKind::P384)
    } else if RsaPublicKey::from_der(der).is_ok() {
        Some(KeyKind::Rsa)
    } else {
        None
    }
}

fn private_kind(der: &[u8]) -> Option<KeyKind> {
    let on_curve = |sign| EcdsaKeyPair::from_private_key_der(sign, der).is_ok();
    if Ed25519KeyPair::from_pkcs8(der).is_ok() {
        Some(KeyKind::Ed25519)
    } else if on_curve(&signature::ECDSA_P256_SHA256_FIXED_SIGNING) {
        Some(KeyKind::P256)
    } else if on_curve(&signature::ECDSA_P384_SHA384_FIXED_SIGNING) {
        Some(KeyKind::P384)
    } else if rsa_private_bits(der).is_some() {
        Some(KeyKind::Rsa)
    } else {
        None
    }
}

fn modulus_bits(key: &RsaPublicKey) -> usize {
    bits(key.modulus().big_endian_without_leading_zero())
}

/// The length of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let unused = number.get(zeros).map_or(0, |first| first.leading_zeros() as usize);
    (number.len() - zeros) * 8 - unused
}

fn has_good_size(modulus_bits: usize) -> bool {
    (RSA_SMALLEST..=RSA_LARGEST).contains(&modulus_bits)
}

/// The size of the modulus of an RSA private key of whatever size: RSAPrivateKey (RFC 8017 appendix A.1.2),
/// alone or in PrivateKeyInfo (RFC 5208 section 5).
fn rsa_private_bits(der: &[u8]) -> Option<usize> {
    const INTEGER: u8 = 0x02;
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let (outer, _) = split_der(der, SEQUENCE)?;
    let (_version, rest) = split_der(outer, INTEGER)?;
    let numbers = match split_der(rest, SEQUENCE) {
        None => rest,
        Some((_algorithm, rest)) => {
            let (wrapped, _) = split_der(rest, OCTET_STRING)?;
            let (inner, _) = split_der(wrapped, SEQUENCE)?;
            split_der(inner, INTEGER)?.1
        }
    };
    let (modulus, rest) = split_der(numbers, INTEGER)?;
    let (_public_exponent, _) = split_der(rest, INTEGER)?;
    Some(bits(modulus))
}

/// What is in the first value of `der`, which has that tag, and what comes after it (X.690 section 8.1).
fn split_der(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0x00..=0x7f => (usize::from(length), rest),
        // More octets than these no key of a keyring needs for its length.
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (octets.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
