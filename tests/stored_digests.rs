//! Snapshots that are built from the digests of a keystore, which has not kept the keys.

use keyward::build::{BuildError, Collection, Digests, Source, Stamp};
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::record::{KeyRecord, RecordRules, StoredDigest};
use keyward_testkit::{CONFIGURATION, GOOD, KEYRING, KEYS, request};
use std::io::Cursor;
use std::path::Path;

fn configuration() -> Configuration {
    Configuration::read(CONFIGURATION, "keyward.toml").unwrap()
}

/// The fixture's keyring with a second, newer pepper.
fn two_peppers() -> Keyring {
    let second = format!("[[pepper]]\nid = 7\nkey = \"{}\"\n", "5a".repeat(32));
    Keyring::read(&format!("{KEYRING}{second}"), "keyring.toml").unwrap()
}

/// The fixture's keys with their digests in place of all that is secret; of every other one under that pepper.
fn stored(keyring: &Keyring, peppers: [u32; 2]) -> String {
    let configuration = configuration();
    let rules = RecordRules::new(&configuration).unwrap();
    let digests = peppers.map(|id| Digests::new(&configuration, keyring.pepper(id).unwrap()));
    let lines = KEYS.lines().filter(|line| !line.is_empty()).enumerate().map(|(number, line)| {
        let record = KeyRecord::parse(line.as_bytes()).unwrap();
        let StoredDigest { pepper, sha256, digest } =
            digests[number % 2].of(&rules.resolve(&record).unwrap()).unwrap();
        let mut members: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        members.retain(|name, _| !["key", "basic", "digest"].contains(&name.as_str()));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let alg = if sha256 { "blake3-sha256" } else { "blake3" };
        members.insert("digest".to_owned(), serde_json::json!({ "alg": alg, "hex": hex, "pepper": pepper }));
        serde_json::Value::Object(members).to_string() + "\n"
    });
    lines.collect()
}

fn build(keyring: &Keyring, keys: &str) -> Result<Vec<u8>, BuildError> {
    let source = Source { name: "keys", threads: None, progress: &|_| () };
    let collection = Collection::read(&configuration(), keyring, keys.as_bytes(), &source)?;
    let mut file = Cursor::new(Vec::new());
    collection.write(Stamp { generation: 1, created: 0, max_age: 0 }, &mut file, &|_| ())?;
    Ok(file.into_inner())
}

#[test]
fn digests_make_the_same_snapshot_as_keys() {
    let keyring = Keyring::read(KEYRING, "keyring.toml").unwrap();
    let lines = stored(&keyring, [1, 1]);
    assert!(!lines.contains("sk_live_") && !lines.contains("s3cr3t"));
    assert!(build(&keyring, &lines).unwrap() == build(&keyring, KEYS).unwrap());
}

#[test]
fn digests_of_two_peppers_are_found_alike() {
    let keyring = two_peppers();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two-peppers.kwd");
    std::fs::write(&path, build(&keyring, &stored(&keyring, [1, 7])).unwrap()).unwrap();
    let engine = Engine::open(&path, two_peppers(), Options::default()).unwrap();
    for (realm, headers) in GOOD {
        let verdict = engine.verify(&request(realm, headers));
        assert_ne!(verdict.reason(), keyward::reason::Reason::UnknownKey, "{headers:?}");
        assert!(verdict.key_id().is_some(), "{headers:?}: {:?}", verdict.reason());
    }
    // Only what is needed is asked of a server's keyring.
    let old = Keyring::read(KEYRING, "keyring.toml").unwrap();
    assert!(Engine::open(&path, old, Options::default()).is_err());
    std::fs::write(&path, build(&keyring, &stored(&keyring, [1, 1])).unwrap()).unwrap();
    let old = Keyring::read(KEYRING, "keyring.toml").unwrap();
    Engine::open(&path, old, Options::default()).unwrap();
}

#[test]
fn a_digest_that_no_request_would_come_to_is_refused() {
    let both = two_peppers();
    let lines = stored(&both, [7, 7]);
    let old = Keyring::read(KEYRING, "keyring.toml").unwrap();
    let missing = build(&old, &lines).unwrap_err();
    assert!(matches!(missing, BuildError::PepperMissing { id: 7, .. }), "{missing}");
    let other = lines.replacen("\"blake3\"", "\"blake3-sha256\"", 1);
    let error = build(&both, &other).unwrap_err().to_string();
    assert!(error.starts_with("keys:1: the digest was made when credential \"key\" was with"), "{error}");
    let other = lines.replace("\"blake3-sha256\"", "\"blake3\"");
    assert!(build(&both, &other).unwrap_err().to_string().contains("\"key\" was without \"sha256\""));
}
