//! What a keystore stands in, and who may open it.

use crate::house::House;
use keyward_keystore::{Migrated, Place, Store, StoreError};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;
use rusqlite::Connection;
use std::thread;
use tempfile::TempDir;

fn a_keystore_is_made_once_and_kept(kind: Kind) {
    let house = House::new(kind);
    assert!(matches!(Store::open(&house.place), Err(StoreError::Missing { .. })));
    let (store, migrated) = Store::create(&house.place).unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: 1 });
    let id = store.id().to_owned();
    assert_eq!(id.len(), 32);
    let (again, migrated) = Store::create(&house.place).unwrap();
    assert_eq!((again.id(), migrated), (&id[..], Migrated { from: 1, to: 1 }));
    assert_eq!(house.open().id(), id);
    assert_ne!(Store::create(&House::new(kind).place).unwrap().0.id(), id);
}

fn many_may_make_it_at_once(kind: Kind) {
    let house = House::new(kind);
    let ids: Vec<String> = thread::scope(|scope| {
        let makers: Vec<_> =
            (0..6).map(|_| scope.spawn(|| Store::create(&house.place).unwrap().0.id().to_owned())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

fn a_newer_schema_is_refused_and_left_alone(kind: Kind) {
    let (house, _) = House::furnished(kind);
    house.foreign("INSERT INTO schema_version (version, at) VALUES (99, 0)").unwrap();
    for refused in [Store::open(&house.place).err(), Store::create(&house.place).err()] {
        assert!(matches!(refused, Some(StoreError::Newer { found: 99, known: 1, .. })));
    }
}

on_both!(
    a_keystore_is_made_once_and_kept,
    many_may_make_it_at_once,
    a_newer_schema_is_refused_and_left_alone,
);

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    for refused in
        [Store::open(&Place::Sqlite(path.clone())).err(), Store::create(&Place::Sqlite(path)).err()]
    {
        assert!(matches!(refused, Some(StoreError::Foreign { .. })));
    }
}

#[test]
fn a_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keystore.sqlite");
    let (mut store, _) = Store::create(&Place::Sqlite(path)).unwrap();
    store.newest_change().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn no_message_shows_a_password() {
    let url = "postgres://keyward:hunter2@127.0.0.1:1/none?connect_timeout=1&sslmode=disable";
    let place: Place = url.parse().unwrap();
    let error = Store::open(&place).err().unwrap();
    assert!(error.is_lost_connection(), "{error}");
    for text in [error.to_string(), format!("{error:?}"), place.to_string(), format!("{place:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let wrong: Place = "postgres://keyward:hunter2@h/d?nonsense=hunter2".parse().unwrap();
    let error = Store::open(&wrong).err().unwrap();
    assert!(matches!(error, StoreError::Url));
    assert!("mysql://hunter2".parse::<Place>().is_err());
}
