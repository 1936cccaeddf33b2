//! A generation that is much like the last one is checked against it, page by page. That must find whatever
//! checking it from the start finds: neither less nor more.

use keyward::format::PAGE;
use keyward::format::header::Kind;
use keyward::format::record::RECORD_LENGTH;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Snapshot, SnapshotError};
use keyward_testkit::forge::Forge;
use keyward_testkit::{CONFIGURATION, KEYRING, KEYS, build, snapshot, stamp};
use rayon::prelude::*;

fn open(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Bytes::owned(bytes.to_vec()), Check::Whole)
}

/// Opens these bytes both ways, and returns whether they are good. Both must say the same of them.
fn is_good(bytes: &[u8], last: &Snapshot) -> bool {
    let (whole, like) = (open(bytes), Snapshot::open_like(Bytes::owned(bytes.to_vec()), last));
    if let Ok(like) = &like {
        assert!(like.is_checked(), "no page may be read unchecked");
    }
    assert_eq!(whole.as_ref().err(), like.as_ref().err());
    whole.is_ok()
}

/// The fixture with one of its keys suspended: nothing but a record differs.
fn with_a_key_suspended() -> Vec<u8> {
    let mut lines: Vec<_> = KEYS.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| !line.contains("status")).expect("one is active");
    lines[at] = lines[at].replacen('{', "{\"status\":\"suspended\",", 1);
    build(CONFIGURATION, KEYRING, &lines.join("\n"), stamp(2))
}

/// The fixture with a key more: parts move.
fn with_a_key_more() -> Vec<u8> {
    let line = KEYS.lines().find(|line| line.contains("\"key\"")).expect("one has its text");
    let keys = line.split("\"key\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a text");
    let id = line.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    // The last letter another: the same form, another key.
    let last = if keys.ends_with('a') { "b" } else { "a" };
    let another = line.replacen(keys, &format!("{}{last}", &keys[..keys.len() - 1]), 1).replacen(
        &format!("\"id\":\"{id}\""),
        "\"id\":\"one-more\"",
        1,
    );
    build(CONFIGURATION, KEYRING, &format!("{}\n{another}\n", KEYS.trim_end()), stamp(2))
}

#[test]
fn good_ones_are_good_either_way() {
    let last = open(&snapshot()).expect("it is good");
    assert!(is_good(&snapshot(), &last));
    for next in [with_a_key_suspended(), with_a_key_more()] {
        assert_ne!(next, snapshot());
        assert!(is_good(&next, &last));
        // And the way back, from a file of another layout.
        assert!(is_good(&snapshot(), &open(&next).expect("it is good")));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let last = open(&snapshot()).expect("it is good");
    let next = with_a_key_suspended();
    (0..next.len()).into_par_iter().for_each(|at| {
        let mut bytes = next.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(!is_good(&bytes, &last), "byte {at}");
    });
}

#[test]
fn every_cut_is_found() {
    let last = open(&snapshot()).expect("it is good");
    let next = with_a_key_suspended();
    for length in (0..next.len()).step_by(PAGE / 4) {
        assert!(!is_good(&next[..length], &last), "{length} bytes");
    }
}

/// With its hashes made right, a byte may be anything that it may be, and nothing else.
#[test]
fn forged_records_are_judged_alike() {
    let last = open(&snapshot()).expect("it is good");
    let forge = Forge::new(with_a_key_suspended());
    let index = forge.section(Kind::Index);
    let records = (index.offset as usize..).step_by(RECORD_LENGTH).take(index.items as usize);
    let taken: Vec<_> = records.filter(|at| forge.bytes[*at + RECORD_LENGTH - 1] != 0).collect();
    let offsets: Vec<_> = taken.iter().flat_map(|start| *start..start + RECORD_LENGTH).collect();
    let good =
        offsets.par_iter().flat_map(|at| [1, 2, 0x80, 0xFF].map(|bits| (*at, bits))).filter(|(at, bits)| {
            let mut forged = forge.clone();
            let byte = forged.bytes[*at] ^ bits;
            is_good(&forged.put(*at, &[byte]).seal(), &last)
        });
    // Another time, another status, another tenant are as good; digests out of order are not.
    let good = good.count();
    assert!(good > 0 && good < offsets.len() * 4, "{good} of {}", offsets.len() * 4);
}

/// The same for bytes that stand anywhere else.
#[test]
fn forged_bytes_are_judged_alike() {
    let last = open(&snapshot()).expect("it is good");
    let forge = Forge::new(with_a_key_suspended());
    let first = forge.section(Kind::Realms).offset as usize;
    (first..forge.bytes.len()).into_par_iter().step_by(3).for_each(|at| {
        let mut forged = forge.clone();
        let byte = forged.bytes[at] ^ 1;
        is_good(&forged.put(at, &[byte]).seal(), &last);
    });
}
