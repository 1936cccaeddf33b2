//! What was published, and by whom.

use crate::house::{House, actor};
use keyward_keystore::{Entry, Publication, StoreError};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;
use std::time::{Duration, Instant};

fn publications_are_remembered(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    assert_eq!(store.read(|view| view.newest_publication()).unwrap(), None);
    let publication = |generation, base| Publication {
        generation,
        base,
        change: 7,
        configuration: "00ff".to_owned(),
        keys: 3,
        hash: "ab".to_owned(),
        published_at: 1_764_000_000,
    };
    let mut note = |publication: &Publication| {
        store.change::<_, StoreError>(&actor(), |change| {
            change.add_publication(publication)?;
            change.log(&Entry::new("publish"))
        })
    };
    note(&publication(1, None)).unwrap();
    note(&publication(2, Some(1))).unwrap();
    // No number is used twice.
    note(&publication(2, None)).unwrap_err();
    assert_eq!(store.read(|view| view.newest_publication()).unwrap(), Some(publication(2, Some(1))));
    assert_eq!(store.read(|view| view.publication(1)).unwrap(), Some(publication(1, None)));
}

fn one_connection_publishes_at_a_time(kind: Kind) {
    let (house, mut one) = House::furnished(kind);
    let mut other = house.open();
    assert!(one.lock_publisher().unwrap());
    assert!(!other.lock_publisher().unwrap());
    one.unlock_publisher().unwrap();
    assert!(other.lock_publisher().unwrap());
    assert!(!one.lock_publisher().unwrap());
    // However the connection ends.
    drop(other);
    let end = Instant::now() + Duration::from_secs(10);
    while !one.lock_publisher().unwrap() {
        assert!(Instant::now() < end, "the lock outlives its connection");
    }
    // Changes go on meanwhile.
    let change = |change: &mut keyward_keystore::Change<'_>| change.log(&Entry::new("test"));
    house.open().change::<_, StoreError>(&actor(), change).unwrap();
}

on_both!(publications_are_remembered, one_connection_publishes_at_a_time,);
