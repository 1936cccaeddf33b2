//! Tokens: JWS compact (RFC 7515) with claims (RFC 7519), verified and issued after RFC 8725.
//!
//! docs/DECISIONS.md section 7 lists what is refused. Signatures are aws-lc-rs's, base64url is that of `base64`,
//! JSON that of serde_json, PEM that of `pem-rfc7468`; what is here holds them together and leaves a token
//! no choice: the key is found by its id among those of the realm, and the key says the algorithm.

mod algorithm;
mod claims;
mod issue;
mod key;
mod numeric_date;
mod strict_json;
mod verify;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, KeyKind};
pub use claims::{Claims, KeyClaim};
pub use issue::{Grant, IssueError, issue};
pub use key::{Key, KeyError, Part};
pub use verify::{Fault, verify};

/// The most bytes that a token has (docs/DECISIONS.md section 3).
pub const LONGEST: usize = 8192;
