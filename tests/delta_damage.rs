//! Deltas that are not what was written, or not for this snapshot: refused with a typed error, and what was in use goes
//! on; never a panic, a hang, an allow, or a delta that is taken for a snapshot.

use keyward::build::BuildError;
use keyward::engine::{Engine, ReloadError};
use keyward::format::PAGE;
use keyward::format::header::{DELTA, FormatError, Header, Kind, NEEDS_DELTA};
use keyward::format::record::RECORD_LENGTH;
use keyward::memory::Bytes;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::snapshot::{Check, Delta, DeltaError, Layers, Snapshot, SnapshotError};
use keyward_testkit::ask::{ask_engine, ask_layers};
use keyward_testkit::forge::{Forge, HASH, TABLE};
use keyward_testkit::{
    CHANGES, CONFIGURATION, KEYRING, KEYS, OTHER_KEYRING, build, build_delta, engine, keyring, options,
    request, snapshot, stamp,
};
use rayon::prelude::*;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static FULL: LazyLock<Vec<u8>> = LazyLock::new(snapshot);
static BASE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Arc::new(open(&FULL).expect("it is good")));
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(keyward_testkit::delta);

/// The fixture's delta. Building has a pool of threads of its own, so that it must not begin within another's.
fn delta() -> Vec<u8> {
    LazyLock::force(&BASE);
    GOOD.clone()
}

fn open(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Bytes::owned(bytes.to_vec()), Check::Whole)
}

/// Lays these bytes over the fixture.
fn lay(bytes: &[u8]) -> Result<Layers, DeltaError> {
    Layers::with_delta(Arc::clone(&BASE), Bytes::owned(bytes.to_vec()))
}

/// Lays these bytes over the fixture, and if that works asks everything that can be asked. Returns whether it worked.
fn ask_everything(bytes: Vec<u8>) -> bool {
    let started = Instant::now();
    let laid = lay(&bytes);
    if let Ok(layers) = &laid {
        ask_layers(layers);
    }
    let engine = engine(FULL.clone());
    let applied = engine.apply(bytes);
    assert_eq!(laid.is_ok(), applied.is_ok(), "{applied:?}");
    let info = engine.info();
    let generation = info.loaded.map(|loaded| loaded.generation);
    assert_eq!((generation == Some(1), info.last_error.is_some()), (applied.is_err(), applied.is_err()));
    ask_engine(&engine);
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    applied.is_ok()
}

fn ask(engine: &Engine, key: &str) -> Reason {
    let bearer = format!("Bearer {key}");
    let headers = [("X-Forwarded-For", "203.0.113.9"), ("Authorization", bearer.as_str())];
    let request = Request { path: Some(b"/orders/7"), ..request("shop", &headers) };
    let verdict = engine.verify(&request);
    assert_eq!(
        verdict.key_id() == Some("newest"),
        verdict.tenant() == Some("quay"),
        "names are of the right file"
    );
    verdict.reason()
}

#[test]
fn the_fixture_is_good() {
    use Reason::{InsufficientScope, Ok, Revoked, UnknownKey};
    let engine = engine(snapshot());
    let reasons = |engine: &Engine| {
        [
            "sk_live_0000000000000001",
            "sk_test_0000000000000002",
            "sk_live_0000000000000004",
            "sk_live_0000000000000014",
            "sk_live_0000000000000007",
            "sk_test_0000000000000015",
        ]
        .map(|key| ask(engine, key))
    };
    let before = reasons(&engine);
    assert_eq!(before, [InsufficientScope, Ok, InsufficientScope, UnknownKey, Reason::Expired, UnknownKey]);
    engine.apply(delta()).expect("it is good");
    assert_eq!(reasons(&engine), [Revoked, Ok, UnknownKey, InsufficientScope, UnknownKey, Ok]);
    let loaded = engine.info().loaded.expect("it is loaded");
    let lengths = (snapshot().len() + delta().len()) as u64;
    assert_eq!(
        (loaded.generation, loaded.base_generation, loaded.keys, loaded.changes, loaded.length),
        (2, 1, 11, 7, lengths)
    );
    let good = Delta::open(Bytes::owned(delta())).expect("it is good");
    assert_eq!((good.live(), good.removed()), (4, 3));
    for kind in Kind::ALL {
        assert_ne!(good.header().section(kind).length, 0, "{} has something to damage", kind.name());
    }
    let mut forge = Forge::new(delta());
    assert_eq!(forge.bytes.clone(), forge.seal(), "the hashes of a forgery are those of the format");
}

/// An older reader refuses by the feature, before it looks at anything else.
#[test]
fn a_delta_is_no_snapshot() {
    assert_eq!(delta()[24..32], DELTA.to_le_bytes());
    assert_eq!(open(&delta()).err(), Some(FormatError::IsDelta { base: 1 }.into()));
    let alone = Engine::from_bytes(delta(), keyring(KEYRING), options()).err();
    assert!(matches!(
        alone,
        Some(ReloadError::Snapshot(SnapshotError::Format(FormatError::IsDelta { base: 1 })))
    ));
    assert_eq!(lay(&snapshot()).err(), Some(FormatError::NotDelta.into()));
    // Nor does one need another.
    let bytes = delta();
    let mut header = Header::read(&bytes, bytes.len() as u64).expect("it is good");
    header.needs_delta = true;
    let page = header.write();
    assert_eq!(page[24..32], (DELTA | NEEDS_DELTA).to_le_bytes());
    assert!(matches!(Header::read(&page, bytes.len() as u64), Err(FormatError::Malformed { .. })));
    let engine = engine(snapshot());
    assert!(engine.replace(delta()).is_err());
    assert!(engine.apply(snapshot()).is_err());
    let empty = Engine::new("nowhere".as_ref(), keyring(KEYRING), options());
    assert!(matches!(empty.apply(delta()), Err(ReloadError::NoBase)));
    // What only a delta may say.
    let good = Forge::new(snapshot());
    for (offset, bytes) in [(24, &[2][..]), (48, &[1]), (120, &[1]), (152, &[1])] {
        let mut forge = good.clone();
        forge.put(offset, bytes).seal_header();
        let refused = open(&forge.bytes).err();
        assert!(
            matches!(
                refused,
                Some(SnapshotError::Format(FormatError::Malformed { .. } | FormatError::IsDelta { .. }))
            ),
            "{offset}: {refused:?}"
        );
    }
    let index = good.section(Kind::Index);
    for slot in 0..index.items as usize {
        let at = index.offset as usize + slot * RECORD_LENGTH;
        let mut forge = good.clone();
        let sealed = forge.put(at + 32, &[0; 31]).put(at + 63, &[5]).seal();
        assert!(open(&sealed).is_err(), "slot {slot}");
    }
}

#[test]
fn every_bit_counts() {
    let good = delta();
    (0..good.len()).into_par_iter().for_each(|at| {
        let mut bad = good.clone();
        for bit in [at % 8, (at + 3) % 8] {
            bad[at] ^= 1 << bit;
            assert!(lay(&bad).is_err(), "bit {bit} of byte {at} is not noticed");
            bad[at] ^= 1 << bit;
        }
    });
}

#[test]
fn every_length_but_its_own_is_refused() {
    let good = delta();
    (0..good.len()).into_par_iter().step_by(5).for_each(|length| match lay(&good[..length]).err() {
        Some(DeltaError::Snapshot(SnapshotError::Format(FormatError::Empty))) => assert_eq!(length, 0),
        Some(DeltaError::Snapshot(SnapshotError::Format(FormatError::Truncated { found, .. }))) => {
            assert_eq!(found, length as u64);
        }
        other => panic!("truncated to {length}: {other:?}"),
    });
    for more in [1, 4095, 4096, 4097, 1 << 20] {
        let mut long = good.clone();
        long.resize(good.len() + more, 0);
        let refused = lay(&long).err();
        let too_long = DeltaError::Snapshot(SnapshotError::Format(FormatError::TooLong {
            found: long.len() as u64,
            expected: good.len() as u64,
        }));
        assert_eq!(refused, Some(too_long));
    }
}

#[test]
fn every_number_of_the_header_at_its_edges() {
    let good = Forge::new(delta());
    let values = [0, 1, 2, 3, 6, 8, 11, 12, 13, 255, 4096, 1 << 31, u64::from(u32::MAX), 1 << 63, u64::MAX];
    // Offset, and whether the delta may be good with another value.
    let numbers =
        [(8, false), (24, false), (32, false), (40, true), (48, false), (56, true), (64, true), (72, false)];
    let more = [(80, true), (88, true), (96, true), (104, true), (112, false), (116, false), (152, true)];
    let named = (120..152).step_by(8).map(|at| (at, false));
    numbers.into_iter().chain(more).chain(named).for_each(|(offset, free)| {
        for value in values {
            let mut forge = good.clone();
            forge.put(offset, &value.to_le_bytes()).seal_header();
            let changed = forge.bytes != good.bytes;
            let opened = ask_everything(forge.bytes);
            assert!(free || !changed || !opened, "{value:#x} at {offset} is not noticed");
        }
    });
    // How many keys there are in all is one of few numbers.
    let kept = good.header().records - good.section(Kind::Ids).items;
    let least = BASE.header().records - kept;
    let possible = least..=least + good.section(Kind::Ids).items;
    for keys in 0..30 {
        let mut forge = good.clone();
        forge.put(152, &u64::to_le_bytes(keys)).seal_header();
        assert_eq!(lay(&forge.bytes).is_ok(), possible.contains(&keys), "{keys}");
    }
    for byte in (116..120).chain(TABLE + good.header().sections.len() * 64..HASH) {
        let mut forge = good.clone();
        forge.put(byte, &[1]).seal_header();
        assert!(lay(&forge.bytes).is_err(), "{byte}");
    }
}

#[test]
fn records_of_removed_keys_say_nothing_else() {
    let good = Forge::new(delta());
    let index = good.section(Kind::Index);
    let removed: Vec<usize> = (0..index.items as usize)
        .map(|slot| index.offset as usize + slot * RECORD_LENGTH)
        .filter(|at| good.bytes[at + 63] == 5)
        .collect();
    assert_eq!(removed.len(), 3);
    for at in removed {
        for byte in 32..63 {
            let mut forge = good.clone();
            assert!(!ask_everything(forge.put(at + byte, &[1]).seal()), "byte {byte}");
        }
        for status in (0..=255).filter(|status| *status != 5) {
            let mut forge = good.clone();
            assert!(!ask_everything(forge.put(at + 63, &[status]).seal()), "status {status}");
        }
    }
}

/// With its hashes right a changed delta is a forgery, which only a signature could tell. It may decide otherwise,
/// but not crash, and lets nobody in whose key does not exist.
#[test]
fn every_byte_of_the_contents_with_its_hashes_right() {
    let good = Forge::new(delta());
    let contents = good.header().sections.iter().filter(|section| section.kind > Kind::Peppers as u32);
    let bytes: Vec<usize> = contents
        .flat_map(|section| section.offset as usize..(section.offset + section.length) as usize)
        .collect();
    bytes.par_iter().for_each(|&at| {
        for bits in [0x01, 0x80, 0xFF] {
            let mut forge = good.clone();
            forge.bytes[at] ^= bits;
            ask_everything(forge.seal());
        }
    });
}

#[test]
fn only_its_own_base_will_do() {
    let engine_of = |bytes| Engine::from_bytes(bytes, keyring(KEYRING), options()).expect("it is good");
    let refused = |base: Vec<u8>, delta: Vec<u8>| match engine_of(base).apply(delta) {
        Err(ReloadError::Delta(error)) => error,
        other => panic!("{other:?}"),
    };
    let other = |generation, found| DeltaError::OtherBase { generation, base: 1, found };
    // Another generation, and another file of the same number.
    assert_eq!(refused(build(CONFIGURATION, KEYRING, KEYS, stamp(2)), delta()), other(2, 2));
    let fewer: String = KEYS.lines().skip(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(refused(build(CONFIGURATION, KEYRING, &fewer, stamp(1)), delta()), other(2, 1));

    // Made for it, by the hash that it names, and yet of other realms or peppers.
    let forged = |configuration: &str, keyring_text: &str| {
        let base = build(configuration, keyring_text, KEYS, stamp(1));
        let made = build_delta(&base, configuration, keyring_text, CHANGES.trim_start(), [], stamp(2));
        let mut forge = Forge::new(made.expect("it is sound"));
        forge.put(120, BASE.hash()).seal_header();
        forge.bytes
    };
    let differs = |what| DeltaError::Differs { what };
    let titled = CONFIGURATION.replace("title = ", "title = \"A\" # ");
    assert_eq!(refused(snapshot(), forged(&titled, KEYRING)), differs("realms"));
    assert_eq!(refused(snapshot(), forged(CONFIGURATION, OTHER_KEYRING)), differs("peppers"));

    // Nor is one built.
    let built = |configuration: &str, keyring_text: &str| {
        build_delta(&snapshot(), configuration, keyring_text, CHANGES.trim_start(), [], stamp(2)).err()
    };
    assert!(matches!(built(&titled, KEYRING), Some(BuildError::Differs { what: "realms" })));
    assert!(matches!(built(CONFIGURATION, OTHER_KEYRING), Some(BuildError::Differs { what: "peppers" })));
    let not_newer = build_delta(&snapshot(), CONFIGURATION, KEYRING, "", [], stamp(1)).err();
    assert!(matches!(not_newer, Some(BuildError::NotNewer { base: 1, asked: 1 })));
}

#[test]
fn a_refused_delta_leaves_what_was_there() {
    let engine = engine(snapshot());
    engine.apply(delta()).expect("it is good");
    let newest = |engine: &Engine| ask(engine, "sk_test_0000000000000015");
    assert_eq!(newest(&engine), Reason::Ok);
    let next = build_delta(&snapshot(), CONFIGURATION, KEYRING, "", [], stamp(3)).expect("it is sound");
    let mut flipped = next.clone();
    let last = flipped.len() - PAGE;
    flipped[last] ^= 1;
    for bad in [flipped, next[..next.len() - 1].to_vec(), Vec::new(), snapshot()] {
        assert!(engine.apply(bad).is_err());
        assert_eq!(
            (newest(&engine), engine.info().loaded.map(|loaded| loaded.generation)),
            (Reason::Ok, Some(2))
        );
        assert!(engine.info().last_error.is_some());
    }
    let other = build_delta(&snapshot(), CONFIGURATION, KEYRING, "", [], stamp(2)).expect("it is sound");
    assert!(matches!(engine.apply(other), Err(ReloadError::Conflict { generation: 2 })));
    engine.apply(next).expect("it is newer");
    assert_eq!((newest(&engine), engine.info().last_error), (Reason::UnknownKey, None));
    assert!(matches!(engine.apply(delta()), Err(ReloadError::Older { found: 2, current: 3 })));
    let header = Header::read(&delta(), delta().len() as u64).expect("it is good");
    assert_eq!((header.generation, header.base_generation, header.base_hash), (2, 1, *BASE.hash()));
}
