//! Keys as the lines that a snapshot is built from.

use crate::StoredKey;
use keyward::record::Status;
use serde::Serialize;
use std::fmt::Write as _;
use std::io;

/// The digest in the form that a builder takes it in.
#[derive(Serialize)]
struct Digest<'k> {
    alg: &'static str,
    hex: &'k str,
    pepper: u32,
}

/// What a snapshot holds of a key.
#[derive(Serialize)]
struct Line<'k> {
    realm: &'k str,
    id: &'k str,
    credential: &'k str,
    digest: Digest<'k>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'k str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'k str>,
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scopes: &'k [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allow_ips: &'k [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<&'k str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl StoredKey {
    /// The key as a line of JSON that builds take (docs/DECISIONS.md section 2), with its digest in place of a secret.
    pub fn record(&self) -> String {
        let mut line = Vec::new();
        let written = self.write_record(&mut line);
        debug_assert!(written.is_ok(), "memory takes every byte");
        String::from_utf8(line).unwrap_or_default()
    }

    /// Writes the same.
    pub fn write_record(&self, output: impl io::Write) -> io::Result<()> {
        let mut hex = String::with_capacity(2 * self.digest.len());
        for byte in &self.digest {
            let _ = write!(hex, "{byte:02x}");
        }
        let alg = if self.sha256 { "blake3-sha256" } else { "blake3" };
        // Of a revoked key these count for nothing, and must not keep it from being published as revoked.
        let counts = self.status != Status::Revoked;
        let line = Line {
            realm: &self.realm,
            id: &self.id,
            credential: &self.credential,
            digest: Digest { alg, hex: &hex, pepper: self.pepper },
            tenant: self.tenant.as_deref(),
            environment: self.environment.as_deref(),
            status: self.status.name(),
            scopes: &self.scopes,
            allow_ips: &self.allow_ips,
            rate_limit: self.rate_limit.as_deref().filter(|_| counts),
            not_before: self.not_before.filter(|_| counts),
            expires_at: self.expires_at.filter(|_| counts),
        };
        Ok(serde_json::to_writer(output, &line)?)
    }
}
