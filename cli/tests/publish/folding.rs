//! Deltas that have grown, folded into a full snapshot while others go on.

use crate::faults::times;
use crate::support::{History, House, Kind, MANY, Random, assert_code, decide, json, on_both};
use crate::watching::{Watcher, is, wait_for};
use keyward::engine::{Engine, Options};
use keyward::format::header::Header;
use keyward::reason::Reason;
use keyward::snapshot::delta_path;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

on_both!(
    nothing_waits_for_a_fold,
    a_watcher_that_is_killed_while_it_folds_loses_nothing,
    what_was_folded_and_noted_is_finished,
    a_fold_that_was_overtaken_is_dropped,
);

/// The publications that folded something, as the watcher told them.
fn folded(house: &House) -> Vec<Value> {
    let log = fs::read_to_string(house.path("log")).unwrap_or_default();
    let told = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    told.filter(|told| told["because"] == "the delta was folded into a full one").collect()
}

fn nothing_waits_for_a_fold(kind: Kind) {
    let house = House::published(kind, MANY);
    let _watcher = Watcher::start_with(&house, &["--fold", "20"]);
    let engine = house.engine();
    let mut store = house.store();
    let mut revoked = 0;
    // Two, and of them one with a delta on the new full snapshot.
    let enough = |told: &[Value]| told.len() > 1 && told.iter().any(|told| !told["base"].is_null());
    while revoked < 100 || !enough(&folded(&house)) {
        assert!(revoked < MANY / 2, "none was folded");
        house.revoke(&mut store, revoked..revoked + 1).unwrap();
        wait_for(&house, "a revocation", || is(&engine, revoked, Reason::Revoked));
        revoked += 1;
        // Whatever was folded into what, nobody comes back.
        for number in 0..revoked {
            assert_eq!(decide(&engine, number), Reason::Revoked, "{number} of {revoked}");
        }
    }
    assert_eq!(decide(&engine, revoked), Reason::Ok);
    History::default().check(&house);
    assert!(!house.path(".keys.kwd.tmp").exists());
}

/// The generation, the hash, and the base's hash of the file at `path`.
fn header(path: &Path) -> Option<(u64, Vec<u8>, Vec<u8>)> {
    let bytes = fs::read(path).ok()?;
    let header = Header::read(bytes.get(..4096)?, bytes.len() as u64).ok()?;
    Some((header.generation, Header::hash(&bytes)?.to_vec(), header.base_hash.to_vec()))
}

/// Whether a delta lies there that is newer than the full snapshot, and not one on it.
fn is_in_between(house: &House) -> bool {
    let (Some(full), Some(delta)) = (header(&house.snapshot()), header(&delta_path(&house.snapshot())))
    else {
        return false;
    };
    delta.0 > full.0 && delta.2 != full.1
}

fn start(house: &House) -> bool {
    Engine::open(&house.snapshot(), house.keyring(), Options::default()).is_ok()
}

fn a_watcher_that_is_killed_while_it_folds_loses_nothing(kind: Kind) {
    let house = House::published(kind, MANY);
    let (mut history, mut random) = (History::default(), Random(7));
    let mut store = house.store();
    let (mut next, mut between) = (0, 0);
    for turn in 0..times() {
        let watcher = Watcher::start_with(&house, &["--fold", "2"]);
        thread::sleep(Duration::from_millis(random.below(40)));
        let lives = turn.is_multiple_of(10);
        let before = folded(&house).len();
        for _ in 0..if lives { 4 } else { random.below(4) + 1 } {
            house.revoke(&mut store, next..next + 1).unwrap();
            next += 1;
            thread::sleep(Duration::from_millis(random.below(20)));
        }
        if lives {
            // However slow the machine is, some are killed right after a fold, and so before what follows it.
            wait_for(&house, "a fold", || folded(&house).len() > before);
        }
        drop(watcher);
        if is_in_between(&house) {
            between += 1;
            assert!(!start(&house), "an engine has started with a snapshot that lacks what was published");
            assert_code(&house.publish(["--yes"]), 0);
        }
        history.check(&house);
    }
    assert!(!folded(&house).is_empty(), "nothing was folded, {between} were in between");
    assert_code(&house.publish(["--yes"]), 0);
    history.check(&house);
    assert_eq!(json(&house.run(&["status", "--json"]))["agree"], true);
    assert!(!house.path(".keys.kwd.draft.tmp").exists());
}

/// Another configuration needs a full snapshot at once, and what was begun with the old one is of no use.
fn a_fold_that_was_overtaken_is_dropped(kind: Kind) {
    let house = House::published(kind, MANY);
    let configuration = fs::read_to_string(house.path("keyward.toml")).unwrap();
    let (mut history, mut random, mut store) = (History::default(), Random(8), house.store());
    let mut revoked = 0;
    {
        let _watcher = Watcher::start_with(&house, &["--fold", "2"]);
        let engine = house.engine();
        for turn in 0..40 {
            let titled = format!("[realm.shop]\ntitle = \"{turn}\"");
            for _ in 0..4 {
                house.revoke(&mut store, revoked..revoked + 1).unwrap();
                wait_for(&house, "a revocation", || is(&engine, revoked, Reason::Revoked));
                revoked += 1;
            }
            thread::sleep(Duration::from_millis(random.below(20)));
            fs::write(house.path("new.toml"), configuration.replace("[realm.shop]", &titled)).unwrap();
            fs::rename(house.path("new.toml"), house.path("keyward.toml")).unwrap();
        }
        house.revoke(&mut store, revoked..revoked + 1).unwrap();
        wait_for(&house, "the last revocation", || is(&engine, revoked, Reason::Revoked));
        for number in 0..revoked + 1 {
            assert_eq!(decide(&engine, number), Reason::Revoked, "{number} of {revoked}");
        }
        assert_eq!(decide(&engine, revoked + 1), Reason::Ok);
    }
    history.check(&house);
    let told = fs::read_to_string(house.path("log")).unwrap();
    assert!(told.contains("the configuration has changed"), "{told}");
    assert_code(&house.publish([]), 0);
    history.check(&house);
    assert_eq!(json(&house.run(&["status", "--json"]))["agree"], true);
}

/// Killed after both were noted: before either was put in its place, and when only the delta was.
fn what_was_folded_and_noted_is_finished(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut store = house.store();
    let mut revoked = 0;
    {
        let _watcher = Watcher::start_with(&house, &["--fold", "5"]);
        let engine = house.engine();
        while !folded(&house).iter().any(|told| !told["base"].is_null()) {
            assert!(revoked < MANY / 2, "none was folded");
            house.revoke(&mut store, revoked..revoked + 1).unwrap();
            wait_for(&house, "a revocation", || is(&engine, revoked, Reason::Revoked));
            revoked += 1;
        }
    }
    let (full, delta) = (house.snapshot(), delta_path(&house.snapshot()));
    let in_place = || (header(&full).unwrap(), header(&delta).unwrap());
    let expected = in_place();
    let told = folded(&house);
    let told = told.iter().rfind(|told| !told["base"].is_null()).unwrap();
    assert_eq!(expected.1.2, expected.0.1, "the delta is one on the full snapshot");
    assert!(expected.1.0 >= told["generation"].as_u64().unwrap());
    // The one before is kept, with its last delta.
    let mut kept: Vec<u64> = fs::read_dir(house.path("."))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("keys.kwd.")?.parse().ok())
        .collect();
    kept.sort_unstable();
    let kept = house.path(&format!("keys.kwd.{}", kept.last().unwrap()));
    for only_delta in [false, true] {
        fs::rename(&full, house.path(".keys.kwd.tmp")).unwrap();
        fs::hard_link(&kept, &full).unwrap();
        fs::rename(&delta, house.path(".keys.kwd.delta.tmp")).unwrap();
        fs::hard_link(delta_path(&kept), &delta).unwrap();
        let engine = house.engine();
        let before: Vec<_> = (0..revoked + 1).map(|number| decide(&engine, number)).collect();
        if only_delta {
            fs::rename(house.path(".keys.kwd.delta.tmp"), &delta).unwrap();
            assert!(is_in_between(&house));
            // Whoever serves goes on with what it has; nobody starts with less than was published.
            engine.reload().unwrap_err();
            assert!(!start(&house));
            let after: Vec<_> = (0..revoked + 1).map(|number| decide(&engine, number)).collect();
            assert_eq!(after, before);
        }
        assert_code(&house.publish([]), 0);
        assert_eq!(in_place(), expected);
        // Copied elsewhere without its delta, or beside an earlier one, it is no way back.
        fs::rename(&delta, house.path("aside")).unwrap();
        for earlier in [false, true] {
            if earlier {
                fs::hard_link(delta_path(&kept), &delta).unwrap();
            }
            let refused = engine.reload().unwrap_err().to_string();
            assert!(refused.contains("is whole only with the delta"), "{refused}");
            assert!(!start(&house));
            let after: Vec<_> = (0..revoked + 1).map(|number| decide(&engine, number)).collect();
            assert_eq!(after, before);
            let status = json(&house.run(&["status", "--json"]));
            assert_eq!(status["agree"], false, "{status}");
        }
        fs::rename(house.path("aside"), &delta).unwrap();
        engine.reload().unwrap();
        for number in 0..revoked {
            assert_eq!(decide(&engine, number), Reason::Revoked, "{number} of {revoked}");
        }
        History::default().check(&house);
    }
}
