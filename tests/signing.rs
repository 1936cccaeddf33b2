//! Who may publish: snapshots that are signed, and those that are refused because they are not.

use keyward::build::{BuildError, Collection, Source};
use keyward::engine::{Engine, Reload, ReloadError};
use keyward::format::PAGE;
use keyward::format::header::{FormatError, Header, Kind, SIGNED};
use keyward::gates::PlanError;
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::realm::Configuration;
use keyward::signature::{Fingerprint, SignatureError, SigningKey};
use keyward::snapshot::{Check, Snapshot, SnapshotError, delta_path};
use keyward_testkit::forge::{Forge, HASH};
use keyward_testkit::{
    BAD, CHANGES, CONFIGURATION, GOOD, KEYRING, KEYS, OTHER_KEYRING, build, build_delta, keyring, options,
    request, snapshot, stamp,
};
use rayon::prelude::*;
use std::fs;
use std::path::Path;

/// Where the signatures stand, and each of them.
const SIGNATURES: usize = HASH + 32;
const FIRST: usize = SIGNATURES + 8;

/// A signing key, as the publisher has it and as servers do.
struct Pair {
    private: String,
    public: String,
    name: Fingerprint,
}

fn pair() -> Pair {
    let key = SigningKey::generate().expect("there is a random source");
    let table = |name: &str, pem: &str| format!("[[signing_key]]\n{name} = \"\"\"\n{pem}\"\"\"\n");
    Pair {
        private: table("private_key", &key.to_pem().expect("it can be written")),
        public: table("public_key", &key.public_to_pem().expect("it can be written")),
        name: key.public().fingerprint(),
    }
}

/// The fixture's keyring with these signing keys.
fn with(tables: &[&str]) -> String {
    format!("{KEYRING}{}", tables.concat())
}

/// The fixture's snapshot, signed with the keys of that keyring.
fn signed(generation: u64, keyring: &str) -> Vec<u8> {
    build(CONFIGURATION, keyring, KEYS, stamp(generation))
}

fn open(bytes: Vec<u8>, text: &str) -> Result<Engine, ReloadError> {
    Engine::from_bytes(bytes, keyring(text), options())
}

fn refusal(opened: Result<Engine, ReloadError>) -> ReloadError {
    opened.err().expect("it is refused")
}

fn signature_refusal(opened: Result<Engine, ReloadError>) -> SignatureError {
    match refusal(opened) {
        ReloadError::Signature(error) => error,
        other => panic!("{other}"),
    }
}

fn header(bytes: &[u8]) -> Header {
    Header::read(bytes, bytes.len() as u64).expect("it is good")
}

#[test]
fn what_one_of_the_keys_has_signed_is_taken_and_nothing_else() {
    let (ours, theirs) = (pair(), pair());
    let (publisher, server) = (with(&[&ours.private]), with(&[&ours.public]));
    let engine = open(signed(1, &publisher), &server).expect("it is ours");
    assert!(engine.verify(&request(GOOD[0].0, GOOD[0].1)).is_allowed());
    assert_eq!(engine.info().loaded.expect("it is loaded").signed_by, Some(ours.name));

    // Nobody's, and somebody else's: in the place of nothing, and in the place of a good one.
    let unsigned = SignatureError::Unsigned { accepted: vec![ours.name] };
    let foreign = SignatureError::OtherKey { found: vec![theirs.name], accepted: vec![ours.name] };
    for (bytes, expected) in [
        (build(CONFIGURATION, KEYRING, KEYS, stamp(2)), unsigned),
        (signed(2, &with(&[&theirs.private])), foreign),
    ] {
        assert_eq!(signature_refusal(open(bytes.clone(), &server)), expected);
        assert!(matches!(engine.replace(bytes), Err(ReloadError::Signature(error)) if error == expected));
        let info = engine.info();
        let told = info.last_error.expect("it says so").message;
        assert!(told.contains(&ours.name.to_string()), "{told}");
        assert_eq!(info.loaded.expect("the last good one stays").generation, 1);
        for (realm, headers) in GOOD {
            assert!(engine.verify(&request(realm, headers)).is_allowed());
        }
        assert!(!engine.verify(&request(BAD[1].0, BAD[1].1)).is_allowed());
    }
    assert_eq!(
        engine.replace(signed(2, &publisher)).expect("it is ours"),
        Reload::Loaded { generation: 2, replaced: Some(1) }
    );
    assert_eq!(engine.info().last_error, None);
}

#[test]
fn a_keyring_without_signing_keys_takes_both() {
    let ours = pair();
    let bytes = signed(1, &with(&[&ours.private]));
    let engine = open(bytes, KEYRING).expect("nobody is asked for");
    assert_eq!(engine.info().loaded.expect("it is loaded").signed_by, None);
    assert!(engine.replace(build(CONFIGURATION, KEYRING, KEYS, stamp(2))).is_ok());
    // What needs no signature has none, and is a file of version 1.0.
    let plain = header(&snapshot());
    assert_eq!((plain.minor, plain.signatures.len()), (0, 0));
}

#[test]
fn keys_are_rotated_without_a_gap() {
    let (old, new) = (pair(), pair());
    let (knows_old, knows_new) = (with(&[&old.public]), with(&[&new.public]));
    let knows_both = with(&[&old.public, &new.public]);
    // The publisher adds the new one: what it signs is signed with both, and every server takes it.
    let both = signed(2, &with(&[&old.private, &new.private]));
    assert_eq!(header(&both).signatures.len(), 2);
    for server in [&knows_old, &knows_new, &knows_both] {
        assert!(open(both.clone(), server).is_ok());
    }
    // The old one goes from the publisher, and then from the servers.
    let after = signed(3, &with(&[&new.private]));
    assert!(open(after.clone(), &knows_both).is_ok() && open(after.clone(), &knows_new).is_ok());
    let error = signature_refusal(open(after, &knows_old));
    assert_eq!(error, SignatureError::OtherKey { found: vec![new.name], accepted: vec![old.name] });
    // What the old one signed is nothing to who no longer knows it.
    assert!(open(signed(1, &with(&[&old.private])), &knows_new).is_err());
    // The publisher's own keyring verifies as well, and the order of its keys is not in the file.
    let turned = with(&[&new.private, &old.private]);
    assert_eq!(signed(2, &turned), both);
    assert!(open(both, &turned).is_ok());
}

#[test]
fn every_bit_of_a_signed_header_counts() {
    let ours = pair();
    let server = with(&[&ours.public]);
    let good = signed(1, &with(&[&ours.private]));
    assert!(open(good.clone(), &server).is_ok());
    (0..PAGE).into_par_iter().for_each(|at| {
        let mut bad = good.clone();
        for bit in 0..8 {
            bad[at] ^= 1 << bit;
            let error = refusal(open(bad.clone(), &server));
            let expected = match at {
                FIRST.. if at < FIRST + 32 => {
                    matches!(error, ReloadError::Signature(SignatureError::OtherKey { .. }))
                }
                FIRST.. if at < FIRST + 96 => {
                    matches!(error, ReloadError::Signature(SignatureError::Bad { key }) if key == ours.name)
                }
                _ => matches!(error, ReloadError::Snapshot(SnapshotError::Format(_))),
            };
            assert!(expected, "bit {bit} of byte {at}: {error}");
            bad[at] ^= 1 << bit;
        }
    });
}

#[test]
fn a_signature_is_of_one_snapshot() {
    let ours = pair();
    let (publisher, server) = (with(&[&ours.private]), with(&[&ours.public]));
    let (first, second) = (signed(1, &publisher), signed(2, &publisher));
    // The signature of the one on the other.
    let mut swapped = second.clone();
    swapped.splice(SIGNATURES..PAGE, first[SIGNATURES..PAGE].iter().copied());
    assert_eq!(signature_refusal(open(swapped, &server)), SignatureError::Bad { key: ours.name });
    // The generation raised by somebody who can make hashes and no signature.
    let mut raised = Forge::new(first.clone());
    raised.put(40, &9_u64.to_le_bytes()).seal_header();
    assert_eq!(signature_refusal(open(raised.bytes, &server)), SignatureError::Bad { key: ours.name });
    // Another key's status, with all hashes right.
    let mut changed = Forge::new(first.clone());
    let index = changed.section(Kind::Index);
    let place = (0..index.items as usize).map(|slot| index.offset as usize + slot * 64 + 63);
    let revoked = place.into_iter().find(|&at| changed.bytes[at] == 3).expect("one is revoked");
    let changed = changed.put(revoked, &[1]).seal();
    assert!(open(changed.clone(), KEYRING).is_ok(), "hashes alone do not keep anybody from it");
    assert_eq!(signature_refusal(open(changed, &server)), SignatureError::Bad { key: ours.name });
    // The signature taken away, and with it what says that there is one.
    let mut stripped = Forge::new(first.clone());
    stripped.put(SIGNATURES, &[0; PAGE - SIGNATURES]);
    let still = refusal(open(stripped.bytes.clone(), &server));
    assert!(matches!(still, ReloadError::Snapshot(SnapshotError::Format(FormatError::Malformed { .. }))));
    stripped.put(24, &[0; 8]).seal_header();
    let accepted = vec![ours.name];
    assert_eq!(signature_refusal(open(stripped.bytes, &server)), SignatureError::Unsigned { accepted });
    // Every page after the header, since the hash stands for them.
    let at = first.len() - 10;
    let mut damaged = first.clone();
    damaged[at] ^= 1;
    let error = refusal(open(damaged, &server));
    assert!(
        matches!(error, ReloadError::Snapshot(SnapshotError::Format(FormatError::Hash { .. }))),
        "{error}"
    );
    for length in [0, 1, PAGE - 1, PAGE, first.len() - 1] {
        assert!(matches!(refusal(open(first[..length].to_vec(), &server)), ReloadError::Snapshot(_)));
    }
}

/// What nobody signed is not read any further than its header.
#[test]
fn the_signature_comes_first() {
    let ours = pair();
    let mut forge = Forge::new(snapshot());
    let realms = forge.section(Kind::Realms).offset as usize;
    let forged = forge.put(realms, b"no JSON").seal();
    assert!(matches!(
        refusal(open(forged.clone(), KEYRING)),
        ReloadError::Snapshot(SnapshotError::Realms(_))
    ));
    let accepted = vec![ours.name];
    let server = with(&[&ours.public]);
    assert_eq!(signature_refusal(open(forged, &server)), SignatureError::Unsigned { accepted });
    // A pepper is asked for after it.
    let other = format!("{OTHER_KEYRING}{}", ours.public);
    assert!(matches!(signature_refusal(open(snapshot(), &other)), SignatureError::Unsigned { .. }));
    let error = refusal(open(signed(1, &with(&[&ours.private])), &other));
    assert!(matches!(error, ReloadError::Plan(PlanError::PepperWrong { id: 1 })), "{error}");
}

#[test]
fn signatures_stand_in_order_and_no_key_twice() {
    let keys: Vec<Pair> = (0..10).map(|_| pair()).collect();
    let private: Vec<&str> = keys.iter().map(|key| key.private.as_str()).collect();
    let good = signed(1, &with(&private));
    let entries = header(&good).signatures;
    assert_eq!(entries.len(), 10);
    assert!(entries.is_sorted_by(|a, b| a.key < b.key));
    let snapshot = Snapshot::open(Bytes::owned(good.clone()), Check::Whole).expect("it is good");
    assert!(entries.iter().all(|entry| entry.is_good(snapshot.hash())));
    assert_eq!(snapshot.header().minor, 1);
    let eleven = with(&[&private[..], &[&pair().private]].concat());
    let error = Keyring::read(&eleven, "keyring.toml").err().expect("it has too many").to_string();
    assert!(error.contains("signing_key[10].private_key") && error.contains("at most 10"), "{error}");

    let malformed = |change: &dyn Fn(&mut Forge)| {
        let mut forge = Forge::new(good.clone());
        change(&mut forge);
        forge.seal_header();
        let read = Header::read(&forge.bytes, forge.bytes.len() as u64);
        assert!(matches!(read, Err(FormatError::Malformed { .. })), "{read:?}");
    };
    let (one, two) = (good[FIRST..FIRST + 96].to_vec(), good[FIRST + 96..FIRST + 192].to_vec());
    malformed(&|forge| {
        forge.put(FIRST, &two).put(FIRST + 96, &one);
    });
    malformed(&|forge| {
        forge.put(FIRST + 96, &one);
    });
    for count in [0, 9, 11, u32::MAX] {
        malformed(&|forge| {
            forge.put(SIGNATURES, &count.to_le_bytes());
        });
    }
    malformed(&|forge| {
        forge.put(SIGNATURES + 4, &[1]);
    });
    malformed(&|forge| {
        forge.put(PAGE - 1, &[1]);
    });
    malformed(&|forge| {
        forge.put(24, &[0; 8]);
    });
    let mut unknown = Forge::new(good.clone());
    unknown.put(24, &(SIGNED | 1 << 63).to_le_bytes()).seal_header();
    let read = Header::read(&unknown.bytes, unknown.bytes.len() as u64);
    assert_eq!(read, Err(FormatError::Features { found: 1 << 63 }));
}

#[test]
fn a_servers_keyring_builds_nothing() {
    let ours = pair();
    let configuration = Configuration::read(CONFIGURATION, "keyward.toml").expect("it is sound");
    let source = Source { name: "keys.jsonl", threads: None, progress: &|_| {} };
    let build = |text: &str| Collection::read(&configuration, &keyring(text), &b""[..], &source).err();
    assert!(matches!(build(&with(&[&ours.public])), Some(BuildError::CannotSign)));
    assert!(build(&with(&[&ours.public, &pair().private])).is_none());
}

#[test]
fn a_keyring_for_servers_has_everything_but_private_signing_keys() {
    let (one, two, three) = (pair(), pair(), pair());
    let control = "[[token_key]]\nrealm = \"hub\"\nkid = \"a \\\"quoted\\\" \\\\ \\u007F kid\"\nalg = \"HS256\"\n\
                   secret = \"YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE=\"\n";
    let text = format!(
        "# private_key = \"left here by somebody\"\n{}{control}",
        with(&[&one.private, &two.public, &three.private])
    );
    let server = Keyring::for_servers(&text, "keyring.toml").expect("it can be read");
    assert!(!server.contains("PRIVATE KEY") && !server.contains("left here"), "{}", *server);
    let (full, made) = (keyring(&text), keyring(&server));
    assert_eq!(made.public_keys(), full.public_keys());
    assert_eq!((full.signing_keys().len(), made.signing_keys().len()), (2, 0));
    assert_eq!(made.peppers().len(), full.peppers().len());
    assert!(made.peppers().iter().zip(full.peppers()).all(|(a, b)| (a.id(), a.key()) == (b.id(), b.key())));
    let kids = |keyring: &Keyring| -> Vec<_> {
        keyring.token_keys("hub").iter().map(|key| (key.kid().to_owned(), key.can_sign())).collect()
    };
    assert_eq!(kids(&made), kids(&full));
    // What it makes of itself is itself.
    assert_eq!(*Keyring::for_servers(&server, "server.toml").expect("it can be read"), *server);
    // It takes what the publisher made.
    assert!(open(signed(1, &text), &server).is_ok());
    // A keyring that cannot be used is none for servers either.
    assert!(Keyring::for_servers("[[pepper]]\nid = 1\n", "keyring.toml").is_err());
}

#[test]
fn faults_of_signing_keys_name_the_place_and_no_key() {
    let (one, two) = (pair(), pair());
    let body = |table: &str| table.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    let rsa = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK0=\n-----END PUBLIC KEY-----\n";
    let small = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    for (text, expected) in [
        ("[[signing_key]]\n".to_owned(), "keyring.toml:1: signing_key[0].public_key: is missing"),
        ("[[signing_key]]\npublic_kye = \"\"\n".to_owned(), "did you mean \"public_key\"?"),
        ("[[signing_key]]\npublic_key = \"abc\"\n".to_owned(), "public_key: not one PEM block"),
        (format!("[[signing_key]]\npublic_key = '''\n{rsa}'''\n"), "not an Ed25519 key"),
        (format!("[[signing_key]]\npublic_key = '''\n{small}'''\n"), "a point of small order"),
        (one.private.replace("private_key", "public_key"), "public_key: a PEM block of another label"),
        (one.public.replace("public_key", "private_key"), "private_key: a PEM block of another label"),
        (format!("{}{}", one.public, one.private), "signing_key[1].private_key: the key "),
        (format!("{}{}", one.public, body(&two.private)), "expected that of `private_key`"),
    ] {
        let error = Keyring::read(&text, "keyring.toml").err().unwrap_or_else(|| panic!("accepted: {text}"));
        let told = format!("{error} {error:?}");
        assert!(told.contains(expected), "{told}");
        let secret = one.private.lines().nth(3).expect("the second line of PEM");
        assert!(secret.len() > 40 && !told.contains(secret), "{told}");
    }
    let both = format!("{}{}", one.public, body(&one.private));
    assert_eq!(keyring(&both).signing_keys().len(), 1);
}

#[test]
fn a_delta_is_signed_as_its_base_is() {
    let (ours, theirs) = (pair(), pair());
    let (publisher, server) = (with(&[&ours.private]), with(&[&ours.public]));
    let base = signed(1, &publisher);
    let delta = |generation, keyring: &str| {
        let changes = CHANGES.trim_start();
        build_delta(&base, CONFIGURATION, keyring, changes, [], stamp(generation)).expect("it is sound")
    };
    let engine = open(base.clone(), &server).expect("it is ours");
    let revoked = request("shop", &[("Authorization", "Bearer sk_live_0000000000000001")]);
    let accepted = vec![ours.name];
    for (bytes, expected) in [
        (delta(2, KEYRING), SignatureError::Unsigned { accepted: accepted.clone() }),
        (
            delta(2, &with(&[&theirs.private])),
            SignatureError::OtherKey { found: vec![theirs.name], accepted },
        ),
    ] {
        assert!(matches!(engine.apply(bytes), Err(ReloadError::Signature(error)) if error == expected));
        assert!(engine.verify(&revoked).is_allowed(), "the last good generation stays");
    }
    let good = delta(2, &publisher);
    let head = header(&good);
    assert_eq!((head.minor, head.signatures.len(), head.base_hash), (2, 1, *open_snapshot(&base).hash()));
    // Each bit that is signed, and the signature itself.
    for at in [24, 40, 48, 120, 152, 200, HASH, FIRST + 40] {
        let mut bad = Forge::new(base.clone());
        bad.bytes.clone_from(&good);
        let byte = bad.bytes[at] ^ 4;
        bad.put(at, &[byte]);
        if at < HASH {
            bad.seal_header();
        }
        let refused = engine.apply(bad.bytes);
        assert!(
            matches!(refused, Err(ReloadError::Signature(_) | ReloadError::Delta(_))),
            "{at}: {refused:?}"
        );
    }
    assert_eq!(engine.apply(good).expect("it is ours"), Reload::Loaded { generation: 2, replaced: Some(1) });
    assert!(!engine.verify(&revoked).is_allowed());
    assert_eq!(engine.info().loaded.expect("it is loaded").signed_by, Some(ours.name));
}

fn open_snapshot(bytes: &[u8]) -> Snapshot {
    Snapshot::open(Bytes::owned(bytes.to_vec()), Check::Whole).expect("it is good")
}

#[test]
fn a_delta_beside_a_snapshot_is_asked_for_its_signature() {
    let ours = pair();
    let (publisher, server) = (with(&[&ours.private]), with(&[&ours.public]));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signed-delta");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("there is room");
    let path = folder.join("keys.kwd");
    let base = signed(1, &publisher);
    let delta = |keyring: &str| {
        build_delta(&base, CONFIGURATION, keyring, CHANGES.trim_start(), [], stamp(2)).expect("it is sound")
    };
    let beside = delta_path(&path);
    fs::write(&path, &base).expect("there is room");
    let engine = Engine::open(&path, keyring(&server), options()).expect("it is good");
    fs::write(&beside, delta(KEYRING)).expect("there is room");
    assert!(matches!(engine.reload(), Err(ReloadError::Signature(SignatureError::Unsigned { .. }))));
    assert_eq!(engine.info().loaded.expect("it stays").generation, 1);
    // Who starts with it does not start with half of it.
    assert!(Engine::open(&path, keyring(&server), options()).is_err());
    fs::remove_file(&beside).expect("it is there");
    fs::write(&beside, delta(&publisher)).expect("there is room");
    assert_eq!(engine.reload().expect("it is good"), Reload::Loaded { generation: 2, replaced: Some(1) });
}
