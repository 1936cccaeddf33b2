//! The keys of the demo: the profiles' samples, and as many more as were asked for.

use keyward::build::{Collection, Source};
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, Read};

/// The configurations of the five profiles, one after the other.
pub(super) const CONFIGURATION: &str = concat!(
    include_str!("../../../profiles/aver/keyward.toml"),
    include_str!("../../../profiles/billoget/keyward.toml"),
    include_str!("../../../profiles/built/keyward.toml"),
    include_str!("../../../profiles/interstellas/keyward.toml"),
    include_str!("../../../profiles/onebalance/keyward.toml"),
);

const SAMPLES: &str = concat!(
    include_str!("../../../profiles/aver/keys.jsonl"),
    include_str!("../../../profiles/billoget/keys.jsonl"),
    include_str!("../../../profiles/built/keys.jsonl"),
    include_str!("../../../profiles/interstellas/keys.jsonl"),
    include_str!("../../../profiles/onebalance/keys.jsonl"),
);

/// Lines that are made at once.
const CHUNK: u64 = 1024;
/// One in so many of the made keys is revoked.
const REVOKED_SHARE: u64 = 50;

/// All keys of the demo. Made keys are never held: any of them can be made again from its number.
pub(super) struct Keys {
    seed: [u8; 32],
    made: u64,
}

/// The request that a made key is good for.
pub(super) struct Good {
    pub(super) realm: &'static str,
    pub(super) header: (&'static str, String),
    pub(super) path: &'static str,
    pub(super) host: &'static str,
}

impl Keys {
    /// `count` keys, samples included.
    pub(super) fn new(count: u64) -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { seed, made: count.saturating_sub(SAMPLES.lines().count() as u64) })
    }

    /// How many were made.
    pub(super) const fn made(&self) -> u64 {
        self.made
    }

    /// 32 hex digits that nobody can guess, another for each number.
    fn secret(&self, number: u64) -> String {
        let mut digits = blake3::keyed_hash(&self.seed, &number.to_le_bytes()).to_hex().to_string();
        digits.truncate(32);
        digits
    }

    /// A number below `below`, another for each `draw`; not the digits of a key.
    pub(super) fn pick(&self, draw: u64, below: u64) -> u64 {
        let hash = blake3::keyed_hash(&self.seed, &[&b"pick"[..], &draw.to_le_bytes()].concat());
        let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        number % below.max(1)
    }

    fn line(&self, number: u64, lines: &mut String) {
        let secret = self.secret(number);
        let status = if self.is_revoked(number) { "revoked" } else { "active" };
        let tenant = number / 5 % 50_000;
        let what = match number % 5 {
            0 => format!(
                r#""realm":"billoget","key":"bk_live_{secret}","environment":"live","scopes":["READ_BUDGETS","READ_PRODUCTS"]"#
            ),
            1 => format!(r#""realm":"built","key":"built-{secret}","environment":"production""#),
            2 => format!(r#""realm":"onebalance","key":"{secret}","rate_limit":"production""#),
            3 => format!(r#""realm":"aver","basic":{{"id":"account-{number}","secret":"{secret}"}}"#),
            _ => format!(r#""realm":"interstellas","key":"{secret}","environment":"sandbox""#),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"id":"made-{number}","tenant":"tenant-{tenant}","status":"{status}",{what}}}"#
        );
    }

    const fn is_revoked(&self, number: u64) -> bool {
        number % REVOKED_SHARE == REVOKED_SHARE - 1
    }

    /// The request that the made key with that number is good for, where it is active and one header is
    /// enough.
    pub(super) fn good(&self, number: u64) -> Option<Good> {
        let secret = self.secret(number);
        let good = |realm, name, value, path, host| Good { realm, header: (name, value), path, host };
        match number % 5 {
            _ if self.is_revoked(number) => None,
            0 => Some(good(
                "billoget",
                "Authorization",
                format!("Bearer bk_live_{secret}"),
                "/v1/api/public/budgets",
                "api.billoget.com",
            )),
            1 => Some(good(
                "built",
                "Authorization",
                format!("Bearer built-{secret}"),
                "/api/invoices",
                "web.builtaccounting.com",
            )),
            2 => Some(good("onebalance", "x-api-key", secret, "/api/assets/list", "be.onebalance.io")),
            _ => None,
        }
    }

    /// Every key as JSON Lines; the samples of these realms and ids with the status `revoked`.
    fn lines(&self, revoked: &[(&str, &str)]) -> Lines<'_> {
        let mut samples = String::with_capacity(SAMPLES.len());
        for line in SAMPLES.lines() {
            let Ok(mut record) = serde_json::from_str::<Value>(line) else { continue };
            if revoked.iter().any(|(realm, id)| record["realm"] == *realm && record["id"] == *id) {
                record["status"] = "revoked".into();
            }
            let _ = writeln!(samples, "{record}");
        }
        Lines { keys: self, next: 0, buffer: samples.into_bytes(), taken: 0 }
    }

    /// Reads them all, as from a file.
    pub(super) fn collect(
        &self,
        configuration: &Configuration,
        keyring: &Keyring,
        revoked: &[(&str, &str)],
        source: &Source<'_>,
    ) -> Result<Collection, keyward::build::BuildError> {
        Collection::read(configuration, keyring, self.lines(revoked), source)
    }
}

/// The keys as they would stand in a file, made while they are read.
struct Lines<'k> {
    keys: &'k Keys,
    next: u64,
    buffer: Vec<u8>,
    taken: usize,
}

impl Read for Lines<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            let end = (self.next + CHUNK).min(self.keys.made);
            let mut lines = String::with_capacity(CHUNK as usize * 192);
            for number in self.next..end {
                self.keys.line(number, &mut lines);
            }
            (self.next, self.buffer, self.taken) = (end, lines.into_bytes(), 0);
        }
        let read = self.buffer.get(self.taken..).unwrap_or_default().read(target)?;
        self.taken += read;
        Ok(read)
    }
}
