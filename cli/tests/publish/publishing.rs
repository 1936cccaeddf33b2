//! What is published, and what is held back.

use crate::support::{
    History, House, Kind, MANY, assert_code, assert_refused, cut, decide, json, on_both, stdout,
};
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::reason::Reason;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

on_both!(
    a_change_becomes_a_delta_and_many_a_full_snapshot,
    nothing_is_published_twice,
    many_revocations_are_held_back,
    a_snapshot_of_somebody_else_is_not_replaced_in_passing,
    what_is_swapped_or_cut_by_hand_is_published_anew,
    replaced_snapshots_are_kept_and_cleaned_up,
    a_changed_configuration_is_published_in_full,
    a_new_signing_key_is_published_in_full,
    a_pepper_that_nothing_uses_yet_changes_nothing,
    a_file_that_is_no_snapshot_is_not_replaced,
    an_unsigned_number_counts_for_nothing,
    damage_is_published_over,
);

fn a_change_becomes_a_delta_and_many_a_full_snapshot(kind: Kind) {
    let house = House::new(kind, MANY);
    let first = json(&house.publish(["--json"]));
    assert_eq!(
        (&first["generation"], &first["base"], &first["added"], &first["keys"]),
        (&1.into(), &serde_json::Value::Null, &MANY.into(), &MANY.into())
    );
    let engine = house.engine();
    assert_eq!(decide(&engine, 7), Reason::Ok);
    let mut store = house.store();
    house.revoke(&mut store, 7..8).unwrap();
    house.add(&mut store, MANY..MANY + 2);
    let second = json(&house.publish(["--json"]));
    assert_eq!((&second["generation"], &second["base"]), (&2.into(), &1.into()));
    assert_eq!((&second["added"], &second["revoked"], &second["changed"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!(second["keys"], MANY + 2);
    assert!(second["bytes"].as_u64() < first["bytes"].as_u64());
    engine.reload().unwrap();
    assert_eq!(decide(&engine, 7), Reason::Revoked);
    assert_eq!(decide(&engine, MANY + 1), Reason::Ok);
    // The next delta counts from the same full snapshot, and says what is new since the one before.
    house.revoke(&mut store, MANY..MANY + 1).unwrap();
    let third = json(&house.publish(["--json"]));
    assert_eq!((&third["generation"], &third["base"], &third["revoked"]), (&3.into(), &1.into(), &1.into()));
    engine.reload().unwrap();
    assert_eq!((decide(&engine, 7), decide(&engine, MANY)), (Reason::Revoked, Reason::Revoked));
    house.add(&mut store, MANY + 2..2 * MANY);
    let fourth = json(&house.publish(["--json"]));
    assert_eq!((&fourth["generation"], &fourth["base"]), (&4.into(), &serde_json::Value::Null));
    engine.reload().unwrap();
    assert_eq!((decide(&engine, 7), decide(&engine, 2 * MANY - 1)), (Reason::Revoked, Reason::Ok));
    History::default().check(&house);
}

fn nothing_is_published_twice(kind: Kind) {
    let house = House::published(kind, 5);
    let before = fs::read(house.snapshot()).unwrap();
    let again = house.publish([]);
    assert_code(&again, 0);
    assert!(stdout(&again).contains("nothing to publish"), "{}", stdout(&again));
    assert_eq!(fs::read(house.snapshot()).unwrap(), before);
    assert_eq!(json(&house.publish(["--full", "--json"]))["generation"], 2);
    // An age is kept up.
    assert_eq!(json(&house.publish(["--max-age", "1h", "--json"]))["generation"], 3);
    assert_eq!(json(&house.publish(["--max-age", "1h", "--json"]))["published"], false);
}

fn many_revocations_are_held_back(kind: Kind) {
    let house = House::published(kind, 200);
    let mut store = house.store();
    house.revoke(&mut store, 0..21).unwrap();
    assert_refused(&house.publish([]), 1, "of 200 published keys 21 would be revoked");
    assert_eq!(History::default().check(&house), 1);
    assert_code(&house.publish(["--brake", "50"]), 0);
    house.revoke(&mut store, 21..200).unwrap();
    assert_refused(&house.publish([]), 1, "--yes");
    assert_code(&house.publish(["--yes"]), 0);
    assert_eq!(History::default().check(&house), 3);
    // Keys that were dead before make nothing of it smaller.
    house.add(&mut store, 200..225);
    assert_code(&house.publish([]), 0);
    house.revoke(&mut store, 200..225).unwrap();
    assert_refused(&house.publish([]), 1, "of 25 published keys 25 would be revoked");
}

fn a_snapshot_of_somebody_else_is_not_replaced_in_passing(kind: Kind) {
    let (house, other) = (House::published(kind, 5), House::published(kind, 3));
    for _ in 0..3 {
        assert_code(&other.publish(["--full"]), 0);
    }
    let place = other.snapshot();
    let onto = |more: &[&str]| house.run(&[&["publish", "-o", place.to_str().unwrap()], more].concat());
    assert_refused(&onto(&[]), 1, "generation 4 is in place, and the keystore remembers no later one than 1");
    assert_eq!(json(&onto(&["--yes", "--json"]))["generation"], 5);
    // One that remembers more generations finds another's bytes under a number of its own.
    assert_code(&other.publish(["--full", "--yes"]), 0);
    assert_refused(&onto(&[]), 1, "the keystore remembers no later one than 5");
}

fn what_is_swapped_or_cut_by_hand_is_published_anew(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut history = History::default();
    let old = house.path("old.kwd");
    fs::copy(house.snapshot(), &old).unwrap();
    let mut store = house.store();
    house.revoke(&mut store, 0..1).unwrap();
    assert_code(&house.publish(["--full"]), 0);
    house.revoke(&mut store, 1..2).unwrap();
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 3);
    // An older one.
    fs::rename(&old, house.snapshot()).unwrap();
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 4);
    // One that is cut, a delta that is gone, and no snapshot at all.
    cut(&house.snapshot(), 4096);
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 5);
    house.revoke(&mut store, 2..3).unwrap();
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 6);
    fs::remove_file(house.path("keys.kwd.delta")).unwrap();
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 7);
    fs::remove_file(house.snapshot()).unwrap();
    assert_code(&house.publish([]), 0);
    assert_eq!(history.check(&house), 8);
    assert_eq!(decide(&house.engine(), 2), Reason::Revoked);
}

fn replaced_snapshots_are_kept_and_cleaned_up(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut store = house.store();
    house.revoke(&mut store, 0..1).unwrap();
    assert_code(&house.publish([]), 0);
    for _ in 0..3 {
        assert_code(&house.publish(["--full"]), 0);
    }
    let names = || {
        let mut names: Vec<String> = fs::read_dir(house.path("."))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("keys.kwd"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["keys.kwd", "keys.kwd.3", "keys.kwd.4"]);
    house.revoke(&mut store, 1..2).unwrap();
    assert_code(&house.publish([]), 0);
    assert_code(&house.publish(["--full", "--keep", "1"]), 0);
    assert_eq!(names(), ["keys.kwd", "keys.kwd.5", "keys.kwd.5.delta"]);
    assert_eq!(crate::support::open(&house.path("keys.kwd.5")).header().generation, 6);
    assert_code(&house.publish(["--full", "--keep", "0"]), 0);
    assert_eq!(names(), ["keys.kwd"]);
}

fn a_changed_configuration_is_published_in_full(kind: Kind) {
    let house = House::published(kind, MANY);
    let text = fs::read_to_string(house.path("keyward.toml")).unwrap();
    fs::write(house.path("keyward.toml"), text.replace("[realm.shop]", "[realm.shop]\ntitle = \"Shop\""))
        .unwrap();
    let published = json(&house.publish(["--json"]));
    assert_eq!((&published["generation"], &published["base"]), (&2.into(), &serde_json::Value::Null));
    assert_eq!(published["because"], "the configuration has changed");
    // A key that it has no place for is named, and nothing is published.
    fs::write(house.path("keyward.toml"), text.replace("realm.shop", "realm.store")).unwrap();
    assert_refused(&house.publish([]), 3, "key \"key_0\" of realm \"shop\": unknown `realm` \"shop\"");
    assert_eq!(History::default().check(&house), 2);
}

fn a_new_signing_key_is_published_in_full(kind: Kind) {
    let house = House::published(kind, MANY);
    let unsigned = fs::read_to_string(house.path("keyring.toml")).unwrap();
    let new_key = || {
        let made =
            Command::new(env!("CARGO_BIN_EXE_keyward")).args(["keyring", "signing-key"]).output().unwrap();
        String::from_utf8(made.stdout).unwrap()
    };
    let sign = |keys: &str| fs::write(house.path("keyring.toml"), format!("{unsigned}{keys}")).unwrap();
    let (one, other) = (new_key(), new_key());
    sign(&one);
    let faults = json(&house.run(&["status", "--json"]))["faults"].to_string();
    assert!(faults.contains("generation 1: "), "{faults}");
    let published = json(&house.publish(["--json"]));
    assert_eq!(
        (&published["generation"], &published["because"]),
        (&2.into(), &"the signing keys have changed".into())
    );
    house.revoke(&mut house.store(), 0..1).unwrap();
    // Deltas are signed as well.
    assert_eq!(json(&house.publish(["--json"]))["base"], 2);
    let opens = || {
        let keyring = Keyring::load(&house.path("keyring.toml")).unwrap();
        Engine::open(&house.snapshot(), keyring, Options::default()).is_ok()
    };
    assert!(opens());
    assert_eq!(json(&house.run(&["status", "--json"]))["agree"], true);
    sign(&other);
    assert!(!opens());
    assert_eq!(json(&house.publish(["--json"]))["generation"], 4);
    assert!(opens());
    // One more beside it signs as well, so that servers may follow one after the other.
    sign(&format!("{one}{other}"));
    assert_eq!(json(&house.publish(["--json"]))["generation"], 5);
    sign(&one);
    assert!(opens());
}

fn a_pepper_that_nothing_uses_yet_changes_nothing(kind: Kind) {
    let house = House::published(kind, MANY);
    let keyring = fs::read_to_string(house.path("keyring.toml")).unwrap();
    let another = keyring.replace("id = 1", "id = 2").replace("1011", "aabb");
    fs::write(house.path("keyring.toml"), format!("{keyring}{another}")).unwrap();
    let published = json(&house.publish(["--max-age", "1h", "--json"]));
    assert_eq!((&published["generation"], &published["base"]), (&2.into(), &1.into()));
    assert_eq!(History::default().check(&house), 2);
}

fn a_file_that_is_no_snapshot_is_not_replaced(kind: Kind) {
    let house = House::published(kind, 5);
    let notes = house.path("notes.txt");
    let text = "what to buy, and a good deal more than that\n".repeat(200);
    fs::write(&notes, &text).unwrap();
    for more in [&["publish", "-o"][..], &["publish", "--yes", "--full", "-o"]] {
        assert_refused(&house.run(&[more, &[notes.to_str().unwrap()]].concat()), 3, "notes.txt");
    }
    assert_eq!(fs::read_to_string(&notes).unwrap(), text);
}

/// Builds an empty snapshot of the last generation that a keystore could count to.
fn build_foreign(house: &House, keyring: &str, output: &str) {
    fs::write(house.path("none.jsonl"), "").unwrap();
    let built = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(["build", "--config", "keyward.toml", "--keyring", keyring, "--keys", "none.jsonl"])
        .args(["--generation", "9223372036854775807", "-o", output])
        .current_dir(house.path("."))
        .output()
        .unwrap();
    assert_code(&built, 0);
}

/// Whoever can write to the folder can put any number there; of those that nobody signed none is followed.
fn an_unsigned_number_counts_for_nothing(kind: Kind) {
    let house = House::published(kind, 5);
    let unsigned = fs::read_to_string(house.path("keyring.toml")).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_keyward")).args(["keyring", "signing-key"]).output().unwrap();
    let signed = unsigned.clone() + &String::from_utf8(made.stdout).unwrap();
    fs::write(house.path("keyring.toml"), &signed).unwrap();
    assert_eq!(json(&house.publish(["--json"]))["generation"], 2);
    fs::write(house.path("unsigned.toml"), &unsigned).unwrap();
    fs::set_permissions(house.path("unsigned.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    build_foreign(&house, "unsigned.toml", "foreign.kwd");
    fs::rename(house.path("foreign.kwd"), house.snapshot()).unwrap();
    assert_refused(&house.publish([]), 1, "9223372036854775807");
    assert_eq!(json(&house.publish(["--yes", "--json"]))["generation"], 3);
    assert_eq!(json(&house.publish(["--full", "--json"]))["generation"], 4);
    // Where nobody signs, it is believed, and cannot be counted on from.
    let house = House::published(kind, 5);
    build_foreign(&house, "keyring.toml", "keys.kwd");
    assert_refused(&house.publish(["--yes"]), 3, "generation 9223372036854775807 cannot be followed");
}

fn damage_is_published_over(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut bytes = fs::read(house.snapshot()).unwrap();
    let last = bytes.len() - 5000;
    bytes[last] ^= 1;
    fs::remove_file(house.snapshot()).unwrap();
    fs::write(house.snapshot(), bytes).unwrap();
    assert_code(&house.run(&["status"]), 1);
    let published = json(&house.publish(["--json"]));
    assert_eq!(
        (&published["generation"], &published["because"]),
        (&2.into(), &"the one in place is damaged".into())
    );
    assert_eq!(json(&house.run(&["status", "--json"]))["agree"], true);
    assert_eq!(json(&house.publish(["--json"]))["published"], false);
}
