//! Names and parameters of the signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1).

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::RsaParameters;
use aws_lc_rs::signature::{self, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, RsaSignatureEncoding};
use std::fmt;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519; Ed448, which has the same name in RFC 8037, is not offered.
    EdDSA,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Every name that [`Algorithm::from_name`] knows, in the order of [`Algorithm::ALL`].
    pub const NAMES: [&'static str; 12] = {
        let mut names = [""; 12];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].name();
            at += 1;
        }
        names
    };

    /// The algorithm of that name. Names are case-sensitive (RFC 7515 section 4.1.1), and `none` is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The name in a token's header and in the keyring.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::HS256 => Scheme::Hmac(hmac::HMAC_SHA256),
            Self::HS384 => Scheme::Hmac(hmac::HMAC_SHA384),
            Self::HS512 => Scheme::Hmac(hmac::HMAC_SHA512),
            Self::RS256 => Scheme::Rsa {
                verify: &signature::RSA_PKCS1_2048_8192_SHA256,
                sign: &signature::RSA_PKCS1_SHA256,
            },
            Self::RS384 => Scheme::Rsa {
                verify: &signature::RSA_PKCS1_2048_8192_SHA384,
                sign: &signature::RSA_PKCS1_SHA384,
            },
            Self::RS512 => Scheme::Rsa {
                verify: &signature::RSA_PKCS1_2048_8192_SHA512,
                sign: &signature::RSA_PKCS1_SHA512,
            },
            Self::PS256 => {
                Scheme::Rsa { verify: &signature::RSA_PSS_2048_8192_SHA256, sign: &signature::RSA_PSS_SHA256 }
            }
            Self::PS384 => {
                Scheme::Rsa { verify: &signature::RSA_PSS_2048_8192_SHA384, sign: &signature::RSA_PSS_SHA384 }
            }
            Self::PS512 => {
                Scheme::Rsa { verify: &signature::RSA_PSS_2048_8192_SHA512, sign: &signature::RSA_PSS_SHA512 }
            }
            Self::ES256 => Scheme::Ecdsa {
                kind: KeyKind::P256,
                verify: &signature::ECDSA_P256_SHA256_FIXED,
                sign: &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            },
            Self::ES384 => Scheme::Ecdsa {
                kind: KeyKind::P384,
                verify: &signature::ECDSA_P384_SHA384_FIXED,
                sign: &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            },
            Self::EdDSA => Scheme::Ed25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The kind of asymmetric key that an algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// An RSA key.
    Rsa,
    /// A key on the curve P-256.
    P256,
    /// A key on the curve P-384.
    P384,
    /// An Ed25519 key.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "a P-256 key",
            Self::P384 => "a P-384 key",
            Self::Ed25519 => "an Ed25519 key",
        })
    }
}

/// What the cryptographic library is told for an [`Algorithm`].
pub(super) enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa { verify: &'static RsaParameters, sign: &'static RsaSignatureEncoding },
    Ecdsa { kind: KeyKind, verify: &'static EcdsaVerificationAlgorithm, sign: &'static EcdsaSigningAlgorithm },
    Ed25519,
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    #[test]
    fn a_name_is_found_only_as_it_is_written() {
        for (algorithm, name) in Algorithm::ALL.into_iter().zip(Algorithm::NAMES) {
            assert_eq!(Algorithm::from_name(name), Some(algorithm));
        }
        for name in
            ["", "none", "None", "hs256", "HS256 ", "HS1", "RS1", "ES512", "ES256K", "Ed25519", "EDDSA"]
        {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
