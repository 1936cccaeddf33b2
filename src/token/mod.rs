//! Stub.

/// Stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HS.
    Hs(usize),
    /// Others.
    Other,
}

impl Algorithm {
    /// Names.
    pub const NAMES: &[&str] = &[
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
        "ES384", "EdDSA",
    ];

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs(32)),
            "HS384" => Some(Self::Hs(48)),
            "HS512" => Some(Self::Hs(64)),
            "ES256" | "ES384" | "EdDSA" => Some(Self::Hs(usize::MAX)),
            _ => Self::NAMES.contains(&name).then_some(Self::Other),
        }
    }
}

/// Stub.
#[derive(Debug, thiserror::Error)]
#[error("the key does not fit its alg: {0}")]
pub struct KeyError(&'static str);

/// Stub.
pub struct Key {
    kid: String,
}

impl Key {
    /// Stub.
    pub fn from_secret(kid: String, alg: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        match alg {
            Algorithm::Hs(least) if secret.len() >= least => Ok(Self { kid }),
            _ => Err(KeyError("too short")),
        }
    }

    /// Stub.
    pub fn from_pem(
        kid: String,
        alg: Algorithm,
        public: Option<&str>,
        private: Option<&str>,
    ) -> Result<Self, KeyError> {
        match public.or(private) {
            Some(pem) if alg != Algorithm::Other || pem.len() > 300 => Ok(Self { kid }),
            _ => Err(KeyError("too short")),
        }
    }

    /// Stub.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}
