//! Configuration, keyring and keys, with a line `---` between them: whatever is accepted makes a snapshot that
//! opens, whatever the order of the lines.

use crate::{options, stamp};
use keyward::build::{Collection, Source};
use keyward::engine::{Engine, ReloadError};
use keyward::gates::PlanError;
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::request::{NO_HEADERS, Request};
use std::io::Cursor;
use std::num::NonZero;

/// Builds a snapshot and opens it.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, "\n---\n");
    let [configuration, secrets, keys] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let read_keyring = || Keyring::read(secrets, "keyring.toml");
    let (configuration, keyring) = (Configuration::read(configuration, "keyward.toml"), read_keyring());
    let (configuration, keyring) = match (configuration, keyring) {
        (Ok(configuration), Ok(keyring)) => (configuration, keyring),
        (configuration, keyring) => {
            let _ = (
                configuration.map_err(|error| error.to_string()),
                keyring.map_err(|error| error.to_string()),
            );
            return;
        }
    };
    if keyring.check_realms(&configuration).is_err() {
        return;
    }
    let build = |keys: &str| {
        let source = Source { name: "keys.jsonl", threads: NonZero::new(1), progress: &|_| {} };
        let collection = Collection::read(&configuration, &keyring, keys.as_bytes(), &source);
        let collection = collection.map_err(|error| error.to_string())?;
        let mut output = Cursor::new(Vec::new());
        collection.write(stamp(1), &mut output, &|_| {}).map_err(|error| error.to_string())?;
        Ok::<_, String>((output.into_inner(), collection.keys()))
    };
    let built = build(keys);
    let reversed: Vec<&str> = keys.lines().rev().collect();
    let again = build(&reversed.join("\n"));
    let (bytes, count) = match (built, again) {
        (Ok(built), Ok(again)) => {
            assert!(built == again, "the order of the lines changes the bytes");
            built
        }
        (Err(_), Err(_)) => return,
        (one, other) => panic!("the order of the lines decides: {:?} {:?}", one.err(), other.err()),
    };
    let keyring = read_keyring().expect("it was read before");
    let engine = match Engine::from_bytes(bytes, keyring, options()) {
        // The keyring has no key of a kind that can be asked for, and then nothing can be decided.
        Err(ReloadError::Plan(PlanError::PepperMissing { .. })) => return,
        other => other.unwrap_or_else(|error| panic!("what was built does not open: {error}")),
    };
    assert_eq!(engine.info().loaded.map(|loaded| loaded.keys), Some(count));
    for realm in &configuration.realms {
        for path in
            realm.routes.iter().map(|route| Some(route.path.as_bytes())).chain([None, Some(&b"/"[..])])
        {
            let verdict = engine.verify(&Request { path, ..Request::new(&realm.name, NO_HEADERS) });
            let _ = verdict.answer();
            let needs = verdict.is_allowed() && verdict.key_id().is_some();
            assert!(!needs, "no credential is no key");
        }
    }
}
