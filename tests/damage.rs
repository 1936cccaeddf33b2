//! Snapshots that are not what was written, exhaustively: whatever is wrong with the bytes gives a typed
//! error or a denial, and never a panic, a hang or an allow.

use keyward::engine::Engine;
use keyward::format::PAGE;
use keyward::format::header::{FormatError, Kind};
use keyward::format::record::RECORD_LENGTH;
use keyward::memory::Bytes;
use keyward::reason::Reason;
use keyward::snapshot::{Check, Snapshot, SnapshotError};
use keyward_testkit::ask::{ask_engine, ask_snapshot};
use keyward_testkit::forge::{ENTRY, Forge, HASH, TABLE, edges, number_at};
use keyward_testkit::{
    BAD, CONFIGURATION, GOOD, IMPORTED, KEYRING, KEYS, build, engine, keyring, options, request, snapshot,
    stamp,
};
use rayon::prelude::*;
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
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    // What cannot be read cannot be decided from.
    assert!(whole.is_ok() || opened.is_err());
    opened.is_ok()
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
