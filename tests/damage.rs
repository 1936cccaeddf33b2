//! Snapshots that are not what was written, exhaustively: whatever is wrong with the bytes gives a typed
//! error or a denial, and never a panic, a hang or an allow.

use keyward::build::Stamp;
use keyward::engine::{Engine, Options, ReloadError};
use keyward::format::PAGE;
use keyward::format::header::{FormatError, Kind};
use keyward::format::record::RECORD_LENGTH;
use keyward::gates::PlanError;
use keyward::memory::Bytes;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::snapshot::{Check, Mode, SMALL, Snapshot, SnapshotError};
use keyward::time::Timestamp;
use keyward_testkit::ask::{ask_engine, ask_snapshot};
use keyward_testkit::forge::{ENTRY, Forge, HASH, TABLE};
use keyward_testkit::{
    BAD, CONFIGURATION, GOOD, IMPORTED, KEYRING, KEYS, NOW, OTHER_KEYRING, build, engine, keyring, options,
    request, snapshot, stamp,
};
use rayon::prelude::*;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Opens these bytes as the engine does, with every page checked.
fn open(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Bytes::owned(bytes.to_vec()), Check::Whole)
}

/// Opens these bytes, and if that works asks them everything that can be asked. Returns whether it worked.
fn ask_everything(bytes: Vec<u8>) -> bool {
    let started = Instant::now();
    let whole = open(&bytes);
    if let Ok(snapshot) = &whole {
        ask_snapshot(snapshot);
    }
    let opened = Engine::from_bytes(bytes, keyring(KEYRING), options());
    if let Ok(engine) = &opened {
        ask_engine(engine);
        let _ = (engine.check(), engine.reload().is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(60), "it took {:?}", started.elapsed());
    // What cannot be read cannot be decided from.
    assert!(whole.is_ok() || opened.is_err());
    opened.is_ok()
}

/// Values at which a number of `width` bytes that is now `value` may go over an edge.
fn edges(value: u64, width: usize) -> Vec<u64> {
    let most = u64::MAX >> (64 - 8 * width);
    let mut edges = vec![
        0,
        1,
        2,
        3,
        255,
        256,
        4095,
        4096,
        4097,
        65_535,
        65_536,
        1 << 31,
        u64::from(u32::MAX),
        1 << 32,
        (1 << 40) - 1,
        1 << 52,
        1 << 63,
        (1 << 63) - 1,
        most.saturating_sub(4096),
        most - 1,
        most,
    ];
    edges.extend([value.wrapping_sub(1), value.wrapping_add(1), value / 2, value.wrapping_mul(2)]);
    edges.extend([value.wrapping_add(4096), value ^ (1 << (8 * width - 1)), value.swap_bytes()]);
    edges.retain(|edge| *edge <= most && *edge != value);
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn number_at(bytes: &[u8], offset: usize, width: usize) -> u64 {
    bytes[offset..offset + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn the_fixture_is_good() {
    use Reason::{
        Expired, MalformedCredential, MissingCredential, Revoked, Suspended, TenantMismatch, Unavailable,
        UnknownKey,
    };
    let engine = engine(snapshot());
    for (realm, headers) in GOOD {
        assert_eq!(engine.verify(&request(realm, headers)).reason(), Reason::Ok, "{realm} {headers:?}");
    }
    let imported = [("X-Key", IMPORTED), ("X-Tenant", "acme")];
    assert_eq!(engine.verify(&request("files", &imported)).reason(), TenantMismatch);
    let reasons = BAD.map(|(realm, headers)| engine.verify(&request(realm, headers)).reason());
    let expected = [
        UnknownKey,
        Revoked,
        Suspended,
        Expired,
        MalformedCredential,
        MissingCredential,
        TenantMismatch,
        Unavailable,
    ];
    assert_eq!(reasons, expected);
    let snapshot = open(&snapshot()).expect("it is good");
    for kind in Kind::ALL {
        assert_ne!(snapshot.header().section(kind).length, 0, "{} has something to damage", kind.name());
    }
    let mut forge = Forge::new(build(CONFIGURATION, KEYRING, KEYS, stamp(1)));
    assert_eq!(forge.bytes.clone(), forge.seal(), "the hashes of a forgery are those of the format");
}

#[test]
fn every_bit_counts() {
    let good = snapshot();
    (0..good.len()).into_par_iter().for_each(|at| {
        let mut bad = good.clone();
        for bit in 0..8 {
            bad[at] ^= 1 << bit;
            let opened = open(&bad);
            assert!(opened.is_err(), "bit {bit} of byte {at} is not noticed");
            bad[at] ^= 1 << bit;
        }
    });
}

#[test]
fn every_length_but_its_own_is_refused() {
    let good = snapshot();
    (0..good.len()).into_par_iter().for_each(|length| match open(&good[..length]).err() {
        Some(SnapshotError::Format(FormatError::Empty)) => assert_eq!(length, 0),
        Some(SnapshotError::Format(FormatError::Truncated { found, expected })) => {
            assert_eq!(found, length as u64);
            assert_eq!(expected, if length < PAGE { PAGE } else { good.len() } as u64);
        }
        other => panic!("truncated to {length}: {other:?}"),
    });
    let lengthened = (1..=2 * PAGE + 1).chain([1 << 20, 1 << 24]).collect::<Vec<_>>();
    lengthened.into_par_iter().for_each(|more| {
        for filling in [0, 0xA5] {
            let mut long = good.clone();
            long.resize(good.len() + more, filling);
            let (found, expected) = (long.len() as u64, good.len() as u64);
            assert_eq!(open(&long).err(), Some(FormatError::TooLong { found, expected }.into()));
        }
    });
}

#[test]
fn every_number_of_the_header_at_its_edges() {
    let good = Forge::new(snapshot());
    // Offset, width, and whether the snapshot may be good with another value.
    let mut numbers =
        vec![(8, 2, false), (10, 2, true), (12, 4, false), (16, 8, true), (24, 8, false), (32, 8, false)];
    numbers.extend([
        (40, 8, true),
        (48, 8, false),
        (56, 8, true),
        (64, 8, true),
        (72, 8, true),
        (80, 8, true),
    ]);
    numbers.extend([(88, 8, true), (96, 8, true), (104, 8, true), (112, 4, false)]);
    for entry in 0..good.header().sections.len() {
        let start = TABLE + entry * ENTRY;
        numbers.extend([
            (start, 4, false),
            (start + 4, 4, false),
            (start + 8, 8, false),
            (start + 16, 8, true),
            (start + 24, 8, true),
        ]);
    }
    numbers.par_iter().for_each(|&(offset, width, free)| {
        for edge in edges(number_at(&good.bytes, offset, width), width) {
            let mut forge = good.clone();
            forge.put(offset, &edge.to_le_bytes()[..width]).seal_header();
            let opened = ask_everything(forge.bytes);
            assert!(free || !opened, "{edge:#x} at {offset} is not noticed");
        }
    });
    // Reserved bytes: each of them.
    let reserved =
        (116..TABLE).chain(TABLE + good.header().sections.len() * ENTRY..HASH).chain(HASH + 32..PAGE);
    for offset in reserved {
        let mut forge = good.clone();
        forge.put(offset, &[1]).seal_header();
        let refused = open(&forge.bytes).err();
        assert!(
            matches!(refused, Some(SnapshotError::Format(FormatError::Malformed { .. }))),
            "{offset}: {refused:?}"
        );
    }
    // Two sections in each other's place, and pairs of numbers that are absurd together.
    for (one, other) in
        Kind::ALL.into_iter().flat_map(|one| Kind::ALL.map(|other| (one, other))).filter(|(a, b)| a < b)
    {
        for part in [0..ENTRY, 0..4, 8..16, 8..32, 32..64] {
            let mut forge = good.clone();
            let (first, second) = (good.entry(one) + part.start, good.entry(other) + part.start);
            forge.put(first, &good.bytes[second..][..part.len()]);
            forge.put(second, &good.bytes[first..][..part.len()]).seal_header();
            let changed = forge.bytes != good.bytes;
            assert!(
                !changed || !ask_everything(forge.bytes) || part == (8..16),
                "{one:?} {other:?} {part:?}"
            );
        }
    }
}

#[test]
fn padding_is_zero() {
    let good = Forge::new(snapshot());
    for section in &good.header().sections {
        let end = (section.offset + section.length) as usize;
        for at in [end, end.next_multiple_of(PAGE) - 1] {
            let mut forge = good.clone();
            let sealed = forge.put(at, &[1]).seal();
            assert!(open(&sealed).is_err(), "byte {at}, after section {}", section.kind);
        }
    }
}

#[test]
fn absurd_numbers_together() {
    let good = Forge::new(snapshot());
    let values = [0, 1, 13, 14, 15, 4096, u64::from(u32::MAX), 1 << 57, 1 << 58, u64::MAX];
    for offsets in [[72, 80, 88], [80, 88, 32], [96, 104, 80]] {
        for [a, b, c] in
            values.iter().flat_map(|a| values.iter().flat_map(move |b| values.map(|c| [*a, *b, c])))
        {
            let mut forge = good.clone();
            for (offset, value) in offsets.into_iter().zip([a, b, c]) {
                forge.put(offset, &value.to_le_bytes());
            }
            forge.seal_header();
            ask_everything(forge.bytes);
        }
    }
    for kind in Kind::ALL {
        let entry = good.entry(kind);
        for (length, items) in values.iter().flat_map(|length| values.map(|items| (*length, items))) {
            let mut forge = good.clone();
            forge.put(entry + 16, &length.to_le_bytes()).put(entry + 24, &items.to_le_bytes()).seal_header();
            ask_everything(forge.bytes);
        }
    }
}

#[test]
fn every_field_of_every_record_at_its_edges() {
    let good = Forge::new(snapshot());
    let index = good.section(Kind::Index);
    let fields = [
        (0, 8),
        (24, 8),
        (32, 6),
        (38, 4),
        (42, 3),
        (45, 3),
        (48, 5),
        (53, 5),
        (58, 2),
        (60, 2),
        (62, 1),
        (63, 1),
    ];
    let slots: Vec<usize> = (0..index.items as usize).collect();
    slots.par_iter().for_each(|slot| {
        for (field, width) in fields {
            let offset = index.offset as usize + slot * RECORD_LENGTH + field;
            for edge in edges(number_at(&good.bytes, offset, width), width) {
                ask_everything(good.clone().put(offset, &edge.to_le_bytes()[..width]).seal());
            }
        }
    });
}

#[test]
fn every_number_of_the_tables_at_its_edges() {
    let good = Forge::new(snapshot());
    let kinds = [
        Kind::Peppers,
        Kind::ScopeNames,
        Kind::Tenants,
        Kind::ScopeSets,
        Kind::AddressSets,
        Kind::IdPlaces,
        Kind::IdIndex,
    ];
    for kind in kinds {
        let section = good.section(kind);
        let words: Vec<usize> =
            (section.offset as usize..(section.offset + section.length) as usize - 3).step_by(4).collect();
        words.par_iter().for_each(|&offset| {
            for edge in edges(number_at(&good.bytes, offset, 4), 4) {
                ask_everything(good.clone().put(offset, &(edge as u32).to_le_bytes()).seal());
            }
        });
    }
}

/// With its hashes right a changed snapshot is a forgery, which only a signature could tell. It may decide
/// otherwise, but not crash.
#[test]
fn every_bit_of_the_contents_with_its_hashes_right() {
    let good = Forge::new(snapshot());
    let contents = good.header().sections.iter().filter(|section| section.kind != Kind::PageHashes as u32);
    let bytes: Vec<usize> = contents
        .flat_map(|section| section.offset as usize..(section.offset + section.length) as usize)
        .collect();
    bytes.par_iter().for_each(|&at| {
        for bit in 0..8 {
            let mut forge = good.clone();
            forge.bytes[at] ^= 1 << bit;
            ask_everything(forge.seal());
        }
    });
}

/// A configuration of more than can be counted, in a snapshot whose hashes are right.
#[test]
fn too_many_realms_or_credentials_are_refused() {
    let configuration = "[realm.a]\n[realm.a.credential.key]\nkind = \"key\"\nsource = \"bearer\"\n";
    let template = open(&build(configuration, KEYRING, "", stamp(1))).expect("it is good");
    let realm = serde_json::to_value(&template.realms()[0]).expect("it was JSON");
    let of = |realms: Vec<serde_json::Value>| {
        let text = serde_json::to_vec(&serde_json::json!({ "realms": realms })).expect("it is JSON");
        forged_realms(&text, realms.len() as u64)
    };
    let mut several = realm.clone();
    several["credentials"] = (0..100_000)
        .map(|number| {
            let mut credential = realm["credentials"][0].clone();
            credential["name"] = format!("c{number:06}").into();
            credential
        })
        .collect();
    several["default_require"] = serde_json::json!(["c000000"]);
    let many = (0..100_000).map(|number| {
        let mut realm = realm.clone();
        realm["name"] = format!("r{number:06}").into();
        realm
    });
    for bytes in [of(vec![several]), of(many.collect())] {
        let refused = open(&bytes).err();
        assert!(matches!(refused, Some(SnapshotError::Realms(_))), "{refused:?}");
    }
}

/// A snapshot whose section *realms* has this text.
fn forged_realms(text: &[u8], items: u64) -> Vec<u8> {
    use keyward::format::header::Section;
    let mut pages: Vec<(Kind, Vec<u8>, u64)> = vec![(Kind::Realms, text.to_vec(), items)];
    pages.extend(Kind::ALL.into_iter().skip(2).map(|kind| (kind, Vec::new(), 0)));
    let hashed: u64 = pages.iter().map(|(_, bytes, _)| bytes.len().div_ceil(PAGE) as u64).sum();
    let list_pages = (hashed * 32).div_ceil(PAGE as u64);
    let (mut body, mut hashes, mut sections) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, bytes, items) in &pages {
        let offset = (1 + list_pages) * PAGE as u64 + body.len() as u64;
        let mut padded = bytes.clone();
        padded.resize(bytes.len().next_multiple_of(PAGE), 0);
        let own: Vec<u8> = padded.chunks(PAGE).flat_map(|page| *blake3::hash(page).as_bytes()).collect();
        let hash = *blake3::hash(&own).as_bytes();
        sections.push(Section {
            kind: *kind as u32,
            offset,
            length: bytes.len() as u64,
            items: *items,
            hash,
        });
        hashes.extend(own);
        body.extend(padded);
    }
    let list_hash = *blake3::hash(&hashes).as_bytes();
    let length = hashes.len() as u64;
    sections.insert(
        0,
        Section {
            kind: Kind::PageHashes as u32,
            offset: PAGE as u64,
            length,
            items: hashed,
            hash: list_hash,
        },
    );
    hashes.resize(hashes.len().next_multiple_of(PAGE), 0);
    let file_length = (PAGE + hashes.len() + body.len()) as u64;
    let header =
        keyward::format::header::Header { file_length, generation: 1, sections, ..Default::default() };
    [&header.write()[..], &hashes, &body].concat()
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
        (with(24, &[4]), FormatError::Features { found: 4 }),
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
        [(8, 9, FormatError::Version { found: 9 }), (24, 12, FormatError::Features { found: 12 })]
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
