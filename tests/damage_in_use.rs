//! What becomes of an engine whose snapshot is damaged, gone, old or another: it goes on with the last good one, or lets
//! nobody in.

use keyward::build::Stamp;
use keyward::engine::{Engine, Options, ReloadError};
use keyward::format::PAGE;
use keyward::format::header::{FormatError, Kind};
use keyward::gates::PlanError;
use keyward::memory::Bytes;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::snapshot::{Check, Mode, SMALL, Snapshot, SnapshotError};
use keyward::time::Timestamp;
use keyward_testkit::ask::{ask_engine, ask_snapshot};
use keyward_testkit::forge::{Forge, edges, number_at};
use keyward_testkit::{
    BAD, CONFIGURATION, GOOD, KEYRING, KEYS, NOW, OTHER_KEYRING, build, engine, keyring, options, request,
    snapshot, stamp,
};
use rayon::prelude::*;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Opens these bytes as the engine does, with every page checked.
fn open(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Bytes::owned(bytes.to_vec()), Check::Whole)
}

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory is ours");
    folder
}

/// A file too large to be checked at once is checked page by page: whichever byte is wrong, a verdict is
/// the one that it was, or none is given.
#[test]
fn damage_that_is_found_late_denies() {
    // A section of a kind of some later version makes it large.
    let good = Forge::new(snapshot());
    let large = with_unknown_section(&good, SMALL as usize);
    let path = folder("late").join("keys.kwd");
    fs::write(&path, &large).expect("there is room");
    let file = OpenOptions::new().write(true).open(&path).expect("it is ours");
    fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("it is ours");
    let options = || Options { check: Check::Fast, mode: Mode::Map, ..options() };

    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    let loaded = engine.info().loaded.expect("it is loaded");
    assert!(loaded.mapped && !loaded.checked, "{loaded:?}");
    let reasons = |engine: &Engine| -> Vec<Reason> {
        GOOD.iter()
            .chain(&BAD)
            .map(|(realm, headers)| engine.verify(&request(realm, headers)).reason())
            .collect()
    };
    let expected = reasons(&engine);
    engine.check().expect("it is good");
    assert!(engine.info().loaded.is_some_and(|loaded| loaded.checked));

    let sections = good.header().sections.iter();
    let used = sections.filter(|section| section.kind != Kind::PageHashes as u32);
    // The list of page hashes is longer here, so everything after it stands further back.
    let shift = Forge::new(large.clone()).section(Kind::Realms).offset - good.section(Kind::Realms).offset;
    let shift = shift as usize;
    let offsets =
        used.flat_map(|section| section.offset as usize..(section.offset + section.length) as usize);
    let mut late = 0;
    for at in offsets.map(|at| at + shift).chain([large.len() - 1, large.len() - PAGE]) {
        let byte = large[at] ^ (1 << (at % 8));
        file.write_all_at(&[byte], at as u64).expect("there is room");
        match Engine::open(&path, keyring(KEYRING), options()) {
            Err(ReloadError::Snapshot(SnapshotError::Format(FormatError::Hash { .. }))) => {}
            Err(other) => panic!("byte {at}: {other}"),
            Ok(engine) => {
                late += 1;
                for (reason, expected) in reasons(&engine).into_iter().zip(&expected) {
                    assert!(reason == *expected || reason == Reason::Unavailable, "byte {at}: {reason:?}");
                }
                let refused = engine.check();
                assert!(matches!(
                    refused,
                    Err(ReloadError::Snapshot(SnapshotError::Format(FormatError::Hash { .. })))
                ));
                let loaded = engine.info().loaded.expect("it is loaded");
                assert!(loaded.damaged && !loaded.checked, "byte {at}");
                for (realm, headers) in GOOD {
                    assert_eq!(
                        engine.verify(&request(realm, headers)).reason(),
                        Reason::Unavailable,
                        "byte {at}"
                    );
                }
            }
        }
        file.write_all_at(&large[at..=at], at as u64).expect("there is room");
    }
    assert!(late > 500, "damage in the index, the ids, the tenants and the sets is found late: {late}");
}

/// The same snapshot with a section of `length` bytes of a kind that nobody knows.
fn with_unknown_section(good: &Forge, length: usize) -> Vec<u8> {
    let mut header = good.header().clone();
    let old_list = good.section(Kind::PageHashes);
    let start = (old_list.offset + old_list.length).next_multiple_of(PAGE as u64) as usize;
    let mut body = good.bytes[start..].to_vec();
    body.resize(body.len() + length, 0x5A);
    let hashes: Vec<u8> =
        body.par_chunks(PAGE).flat_map_iter(|page| *blake3::hash(page).as_bytes()).collect();
    let mut list = hashes.clone();
    list.resize(hashes.len().next_multiple_of(PAGE), 0);
    let shift = (PAGE + list.len() - start) as u64;
    for section in &mut header.sections {
        if section.kind == Kind::PageHashes as u32 {
            (section.length, section.items) = (hashes.len() as u64, hashes.len() as u64 / 32);
            section.hash = *blake3::hash(&hashes).as_bytes();
        } else {
            section.offset += shift;
        }
    }
    header.file_length = (PAGE + list.len() + body.len()) as u64;
    let own = &hashes[hashes.len() - length.div_ceil(PAGE) * 32..];
    header.sections.push(keyward::format::header::Section {
        kind: 77,
        offset: header.file_length - length as u64,
        length: length as u64,
        items: 1,
        hash: *blake3::hash(own).as_bytes(),
    });
    [&header.write()[..], &list, &body].concat()
}

#[test]
fn each_thing_that_is_no_snapshot_has_its_error() {
    let folder = folder("errors");
    let path = folder.join("keys.kwd");
    let good = Forge::new(snapshot());
    let format = |error| ReloadError::Snapshot(SnapshotError::Format(error)).to_string();
    let with = |offset: usize, bytes: &[u8]| {
        let mut forge = good.clone();
        forge.put(offset, bytes).seal_header();
        forge.bytes
    };
    let cases: Vec<(Vec<u8>, FormatError)> = vec![
        (Vec::new(), FormatError::Empty),
        (b"KEYWARE\0 and more".to_vec(), FormatError::Magic),
        (with(0, b"k"), FormatError::Magic),
        (with(8, &[2, 0]), FormatError::Version { found: 2 }),
        (with(8, &[0, 0]), FormatError::Version { found: 0 }),
        (with(24, &[8]), FormatError::Features { found: 8 }),
        (with(12, &[2]), FormatError::DigestSuite { found: 2 }),
        (good.bytes[..5].to_vec(), FormatError::Truncated { found: 5, expected: PAGE as u64 }),
        (
            good.bytes[..PAGE].to_vec(),
            FormatError::Truncated { found: PAGE as u64, expected: good.bytes.len() as u64 },
        ),
        (
            [&good.bytes[..], b"x"].concat(),
            FormatError::TooLong { found: good.bytes.len() as u64 + 1, expected: good.bytes.len() as u64 },
        ),
        (with(40, &[0]), FormatError::Malformed { what: "its generation is 0" }),
    ];
    for mode in [Mode::Map, Mode::Copy] {
        for (bytes, expected) in &cases {
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes).expect("there is room");
            fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("it is ours");
            let refused = Engine::open(&path, keyring(KEYRING), Options { mode, ..options() }).err();
            match refused {
                Some(ReloadError::Snapshot(SnapshotError::Format(error))) => assert_eq!(error, *expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
    // The features and the version of the future are named before the hash is looked at, which may be elsewhere then.
    for (offset, value, error) in
        [(8, 9, FormatError::Version { found: 9 }), (24, 24, FormatError::Features { found: 24 })]
    {
        let name = format(error);
        let refused = open(good.clone().put(offset, &[value]).bytes.as_slice()).err();
        assert_eq!(refused.map(|error| error.to_string()), Some(name));
    }

    let refused = Engine::from_bytes(snapshot(), keyring(OTHER_KEYRING), options()).err();
    assert!(matches!(refused, Some(ReloadError::Plan(PlanError::PepperWrong { id: 1 }))), "{refused:?}");
    let no_pepper = KEYRING.replace("[[pepper]]\nid = 1", "[[pepper]]\nid = 2");
    let refused = Engine::from_bytes(snapshot(), keyring(&no_pepper), options()).err();
    assert!(matches!(refused, Some(ReloadError::Plan(PlanError::PepperMissing { id: 1 }))), "{refused:?}");

    fs::remove_file(&path).expect("it is there");
    let kind = |path: &Path| match Engine::open(path, keyring(KEYRING), options()).err() {
        Some(ReloadError::Io { error, path: named }) => {
            assert_eq!(named, path);
            error.kind()
        }
        other => panic!("{}: {other:?}", path.display()),
    };
    assert_eq!(kind(&path), std::io::ErrorKind::NotFound);
    assert_eq!(kind(&folder), std::io::ErrorKind::InvalidInput);
    assert_eq!(kind(&path.join("below")), std::io::ErrorKind::NotFound);
    // Nobody writes to this pipe: whoever waits for that waits for ever.
    let pipe = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is everywhere");
    assert!(made.success());
    assert_eq!(kind(&pipe), std::io::ErrorKind::InvalidInput);
    assert_eq!(kind(Path::new("/dev/zero")), std::io::ErrorKind::InvalidInput);
}

#[test]
fn the_last_good_generation_goes_on() {
    let path = folder("goes-on").join("keys.kwd");
    let good = snapshot();
    fs::write(&path, &good).expect("there is room");
    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    let goes_on = |engine: &Engine, generation: u64, error: bool| {
        for (realm, headers) in GOOD {
            assert_eq!(engine.verify(&request(realm, headers)).reason(), Reason::Ok);
        }
        let info = engine.info();
        assert_eq!(info.loaded.map(|loaded| loaded.generation), Some(generation));
        assert_eq!(info.last_error.is_some(), error);
    };
    let next = build(CONFIGURATION, KEYRING, KEYS, stamp(2));
    let mut flipped = next.clone();
    flipped[good.len() - 1] ^= 1;
    let bad = [
        Vec::new(),
        b"not a snapshot".to_vec(),
        next[..next.len() - PAGE].to_vec(),
        [&next[..], &[0; PAGE]].concat(),
        flipped,
        build(CONFIGURATION, OTHER_KEYRING, KEYS, stamp(2)),
        build(CONFIGURATION, KEYRING, "", stamp(1)),
    ];
    for (at, bytes) in bad.iter().enumerate() {
        let other = path.with_extension("new");
        fs::write(&other, bytes).expect("there is room");
        fs::rename(&other, &path).expect("it is ours");
        let refused = engine.reload();
        assert!(refused.is_err(), "bad file {at}");
        goes_on(&engine, 1, true);
        assert!(engine.replace(bytes.clone()).is_err(), "bad bytes {at}");
        goes_on(&engine, 1, true);
    }
    fs::remove_file(&path).expect("it is there");
    assert!(matches!(engine.reload(), Err(ReloadError::Io { .. })));
    goes_on(&engine, 1, true);
    fs::write(&path, &next).expect("there is room");
    engine.reload().expect("it is good");
    goes_on(&engine, 2, false);
}

#[test]
fn without_a_good_one_everything_is_unavailable() {
    let path = folder("none").join("keys.kwd");
    let engine = Engine::new(&path, keyring(KEYRING), options());
    for attempt in 0..2 {
        for (realm, headers) in GOOD {
            let verdict = engine.verify(&request(realm, headers));
            assert_eq!((verdict.reason(), verdict.answer().status), (Reason::Unavailable, 503));
        }
        assert_eq!(engine.reload().is_err(), attempt < 2);
    }
}

#[test]
fn past_its_max_age_everything_is_unavailable() {
    let stamp = Stamp { generation: 1, created: NOW, max_age: 60 };
    let engine = engine(build(CONFIGURATION, KEYRING, KEYS, stamp));
    let (realm, headers) = GOOD[0];
    let at = |seconds, nanoseconds| {
        let now = Timestamp::new(seconds, nanoseconds);
        engine.verify(&Request { now, ..request(realm, headers) }).reason()
    };
    // A clock behind the builder's does not make it old.
    assert_eq!(at(NOW - 10, 0), Reason::Ok);
    assert_eq!(at(NOW + 60, 0), Reason::Ok);
    assert_eq!(at(NOW + 60, 1), Reason::Unavailable);
    assert_eq!(at(u64::MAX, 999_999_999), Reason::Unavailable);
}

/// A mapped file can be changed by somebody with the owner's rights. Wrong bytes give a wrong answer at
/// worst, and no crash: reading does not depend on what opening saw.
#[test]
fn a_mapped_file_that_changes_does_no_harm() {
    let path = folder("changes").join("keys.kwd");
    let good = Forge::new(snapshot());
    fs::write(&path, &good.bytes).expect("there is room");
    let file = OpenOptions::new().write(true).open(&path).expect("it is ours");
    fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("it is ours");
    let map = || Bytes::open(&File::open(&path).expect("it is there"), Mode::Map).expect("it can be mapped");
    let open = || {
        let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
        assert!(engine.info().loaded.is_some_and(|loaded| loaded.mapped && loaded.checked));
        (engine, Snapshot::open(map(), Check::Whole).expect("it is good"))
    };
    let (mut engine, mut opened) = open();
    let write = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at).expect("there is room");

    let sections = good.header().sections.iter().filter(|section| section.kind > Kind::Realms as u32);
    for (at, width) in
        sections.flat_map(|section| (section.offset..section.offset + section.length).map(|at| (at, 4)))
    {
        let at = (at as usize).min(good.bytes.len() - width);
        let bits =
            (0..8).map(|bit| u64::from(good.bytes[at] ^ (1 << bit)) | number_at(&good.bytes, at + 1, 3) << 8);
        let edges =
            if at.is_multiple_of(4) { edges(number_at(&good.bytes, at, width), width) } else { Vec::new() };
        for value in bits.chain(edges) {
            write(at as u64, &value.to_le_bytes()[..width]);
            ask_engine(&engine);
            ask_snapshot(&opened);
            write(at as u64, &good.bytes[at..at + width]);
            // What has seen damage does not look any further.
            if engine.info().loaded.is_some_and(|loaded| loaded.damaged) || opened.is_damaged() {
                (engine, opened) = open();
            }
        }
    }
    for byte in 0..=255 {
        let (engine, opened) = open();
        write(0, &vec![byte; good.bytes.len()]);
        for (realm, headers) in GOOD.iter().chain(&BAD) {
            assert!(!engine.verify(&request(realm, headers)).is_allowed(), "{byte:#x}: {realm} {headers:?}");
        }
        ask_engine(&engine);
        ask_snapshot(&opened);
        write(0, &good.bytes);
    }
}
