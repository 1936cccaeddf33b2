//! `keyward status`: what it finds, and what it says to do.

use crate::support::{House, Kind, MANY, assert_code, assert_refused, cut, json, on_both, stdout};
use keyward_keystore::Store;
use std::fs;

on_both!(agreement_is_said, faults_are_named);

fn faults(house: &House) -> Vec<String> {
    let output = house.run(&["status", "--json"]);
    let status = json(&output);
    let faults: Vec<String> = status["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            assert!(!fault["mend"].as_str().unwrap().is_empty());
            fault["fault"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_code(&output, i32::from(!faults.is_empty()));
    assert_eq!(status["agree"], faults.is_empty());
    faults
}

#[track_caller]
fn assert_fault(house: &House, expected: &str) {
    let faults = faults(house);
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected:?} is not in {faults:?}");
}

fn agreement_is_said(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut store = house.store();
    house.revoke(&mut store, 0..1).unwrap();
    assert_code(&house.publish([]), 0);
    let status = json(&house.run(&["status", "--json"]));
    assert_eq!(status["agree"], true, "{status}");
    assert_eq!(status["keystore"]["change"], 2);
    assert_eq!(
        (&status["keystore"]["keys"], &status["keystore"]["not_revoked"]),
        (&MANY.into(), &(MANY - 1).into())
    );
    assert_eq!((&status["in_place"]["generation"], &status["in_place"]["base"]), (&2.into(), &1.into()));
    assert_eq!(status["published"]["hash"], status["in_place"]["hash"]);
    assert_eq!(status["publisher_at_work"], false);
    assert!(store.lock_publisher().unwrap());
    assert_eq!(json(&house.run(&["status", "--json"]))["publisher_at_work"], true);
    let text = stdout(&house.run(&["status"]));
    for part in
        ["change 2; 2,000 keys, 1,999 not revoked", "a delta on 1", "everything is published and in place"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

fn faults_are_named(kind: Kind) {
    let house = House::new(kind, MANY);
    assert_fault(&house, "No such file");
    assert_fault(&house, "the newest change is 1, and 0 is the newest that was published");
    assert_code(&house.publish([]), 0);
    assert_eq!(faults(&house), [""; 0]);
    let old = house.path("old.kwd");
    fs::copy(house.snapshot(), &old).unwrap();
    let mut store = house.store();
    house.revoke(&mut store, 0..1).unwrap();
    assert_fault(&house, "the newest change is 2, and 1 is the newest that was published");
    assert_code(&house.publish(["--full"]), 0);
    // An older one put in place by hand.
    let good = house.path("good.kwd");
    fs::rename(house.snapshot(), &good).unwrap();
    fs::copy(&old, house.snapshot()).unwrap();
    assert_fault(&house, "generation 1 is in place, and 2 was published after it");
    // One that is cut, and one that is damaged.
    cut(&house.snapshot(), 1);
    assert_fault(&house, "truncated");
    fs::remove_file(house.snapshot()).unwrap();
    let mut bytes = fs::read(&good).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(house.snapshot(), &bytes).unwrap();
    assert_fault(&house, "damaged");
    // Another house's, under a number that was published here.
    let other = House::published(kind, 3);
    assert_code(&other.publish(["--full"]), 0);
    fs::remove_file(house.snapshot()).unwrap();
    fs::copy(other.snapshot(), house.snapshot()).unwrap();
    assert_fault(&house, "has other bytes than were published");
    assert_code(&other.publish(["--full"]), 0);
    fs::remove_file(house.snapshot()).unwrap();
    fs::copy(other.snapshot(), house.snapshot()).unwrap();
    assert_fault(&house, "the keystore remembers no later one than 2");
    fs::remove_file(house.snapshot()).unwrap();
    fs::rename(&good, house.snapshot()).unwrap();
    assert_eq!(faults(&house), [""; 0]);
    // A keyring that its keys were not digested with, and a configuration that is another.
    let keyring = fs::read_to_string(house.path("keyring.toml")).unwrap();
    fs::write(house.path("keyring.toml"), keyring.replace("101112", "202122")).unwrap();
    assert_fault(&house, "the keyring lacks pepper 1");
    fs::write(house.path("keyring.toml"), keyring).unwrap();
    let configuration = fs::read_to_string(house.path("keyward.toml")).unwrap();
    fs::write(
        house.path("keyward.toml"),
        configuration.replace("[realm.shop]", "[realm.shop]\ntitle = \"Shop\""),
    )
    .unwrap();
    assert_fault(&house, "the configuration has changed");
    fs::write(house.path("keyward.toml"), "[realm").unwrap();
    assert_fault(&house, "keyward.toml:1");
}

#[test]
fn without_a_keystore_there_is_no_status() {
    let house = House::new(Kind::Sqlite, 0);
    drop(Store::open(&house.place).unwrap());
    fs::remove_file(house.path("keystore.sqlite")).unwrap();
    for command in ["status", "publish"] {
        assert_refused(&house.run(&[command]), 3, "there is no keystore");
    }
}
