//! A snapshot of the bench's keys, built, published and opened as any other.

use crate::Error;
use crate::keys::{self, CONFIGURATION, CREDENTIAL, KEYRING, Lines, PEPPER, REALM};
use keyward::build::{Collection, Progress, Published, Publisher, Source, Stamp};
use keyward::digest::DigestKey;
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::realm::Configuration;
use keyward::snapshot::{Check, Mode, Snapshot};
use std::fs::File;
use std::num::NonZero;
use std::path::Path;

/// The bench's keyring.
pub fn keyring() -> Result<Keyring, Error> {
    Keyring::read(KEYRING, "the bench's keyring").map_err(Error::snapshot)
}

/// The key that its digests are made with.
pub fn digest_key() -> DigestKey {
    DigestKey::derive(&PEPPER, REALM, CREDENTIAL)
}

/// Reads so many keys from JSON Lines that are made on the way.
pub fn collect(
    keys: u64,
    threads: Option<NonZero<usize>>,
    progress: &dyn Fn(Progress),
) -> Result<Collection, Error> {
    let configuration =
        Configuration::read(CONFIGURATION, "the bench's configuration").map_err(Error::snapshot)?;
    let source = Source { name: "the bench's keys", threads, progress };
    Collection::read(&configuration, &keyring()?, Lines::new(keys), &source).map_err(Error::snapshot)
}

/// Publishes the keys at `path`, as the generation that follows what stands there.
pub fn publish(
    collection: &Collection,
    path: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Published, Error> {
    let publisher = Publisher::lock(path).map_err(Error::snapshot)?;
    let generation = publisher.next_generation().map_err(Error::snapshot)?;
    let stamp = Stamp { generation, created: 0, max_age: 0 };
    let write = |file: &mut File| collection.write(stamp, file, progress);
    publisher.publish(generation, false, write).map_err(Error::snapshot)
}

/// An engine for the snapshot at `path`, with room in its limiter for all keys that have a limit.
pub fn open(path: &Path, mode: Mode, keys: u64) -> Result<Engine, Error> {
    let limiter_slots = usize::try_from(keys::limited_among(keys) * 2).unwrap_or(usize::MAX).max(1 << 10);
    let options = Options { mode, limiter_slots, ..Options::default() };
    Engine::open(path, keyring()?, options).map_err(Error::snapshot)
}

/// An engine for the snapshot at `path` that counts in a state file with twice as much room as `active` keys need.
pub fn open_counting(path: &Path, mode: Mode, state: &Path, active: u64) -> Result<Engine, Error> {
    let state_slots = usize::try_from(active * 2).unwrap_or(usize::MAX);
    let options = Options { mode, state: Some(state.to_owned()), state_slots, ..Options::default() };
    let engine = Engine::open(path, keyring()?, options).map_err(Error::snapshot)?;
    engine.check().map_err(Error::snapshot)?;
    Ok(engine)
}

/// The snapshot at `path`, checked whole, to look keys up in without the gates.
pub fn snapshot(path: &Path, mode: Mode) -> Result<Snapshot, Error> {
    Snapshot::open(Bytes::open(&File::open(path)?, mode)?, Check::Whole).map_err(Error::snapshot)
}
