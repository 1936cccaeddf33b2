//! Changes, their numbers, and who looks at them or waits for them.

use crate::house::{House, actor, add, changed_since, key, log, set_status};
use keyward::record::Status;
use keyward_keystore::{AuditFilter, Entry, Role, StoreError};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn changes_are_numbered_and_found_by_number(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    assert_eq!(store.newest_change().unwrap(), 0);
    add(&mut store, &mut [key("one", 1), key("two", 2)]).unwrap();
    add(&mut store, &mut [key("three", 3)]).unwrap();
    set_status(&mut store, "one", Status::Revoked);
    assert_eq!(store.newest_change().unwrap(), 3);
    let owned = |list: &[(&str, i64)]| -> Vec<(String, i64)> {
        list.iter().map(|(id, change)| ((*id).to_owned(), *change)).collect()
    };
    assert_eq!(changed_since(&mut store, 0), owned(&[("two", 1), ("three", 2), ("one", 3)]));
    assert_eq!(changed_since(&mut store, 2), owned(&[("one", 3)]));
    assert!(changed_since(&mut store, 3).is_empty());
    let one = store.read(|view| view.key("shop", "one")).unwrap().unwrap();
    assert_eq!((one.added, one.changed, one.revoked), (1, 3, Some(3)));
    // Tenants and members are in no snapshot.
    store
        .change::<_, StoreError>(&actor(), |change| {
            change.put_member("shop", "acme", "ada", Role::Owner)?;
            change.log(&Entry::new("member.add").realm("shop").tenant(Some("acme")))
        })
        .unwrap();
    assert_eq!(store.newest_change().unwrap(), 3);
}

/// Whoever reads while others write never finds a number beyond which a smaller one turns up later.
fn numbers_ascend_as_they_are_committed(kind: Kind) {
    const WRITERS: u8 = 4;
    const EACH: u8 = 12;
    let (house, mut store) = House::furnished(kind);
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let house = &house;
                scope.spawn(move || {
                    let mut store = house.open();
                    for number in 0..EACH {
                        let id = format!("{writer}-{number}");
                        add(&mut store, &mut [key(&id, writer * EACH + number + 1)]).unwrap();
                    }
                })
            })
            .collect();
        let (house, done) = (&house, &done);
        let reader = scope.spawn(move || {
            let mut store = house.open();
            let (mut newest, mut seen) = (0, Vec::new());
            loop {
                let last = done.load(Ordering::SeqCst);
                let (until, keys) = store
                    .read::<_, StoreError>(|view| {
                        let until = view.newest_change()?;
                        let mut keys = Vec::new();
                        view.keys_changed_since(newest, |key| {
                            keys.push(key.changed);
                            Ok::<_, StoreError>(())
                        })?;
                        Ok((until, keys))
                    })
                    .unwrap();
                assert!(
                    keys.iter().all(|change| (newest + 1..=until).contains(change)),
                    "{newest} {until} {keys:?}"
                );
                seen.extend(keys);
                newest = until;
                if last {
                    return seen;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    let wanted: Vec<i64> = (1..=i64::from(WRITERS) * i64::from(EACH)).collect();
    assert_eq!(seen, wanted);
    let numbers: Vec<i64> =
        log(&mut store, &AuditFilter::default()).iter().rev().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=wanted.len() as i64 + 1).collect::<Vec<_>>());
}

fn a_look_sees_one_state(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let mut other = house.open();
    store
        .read::<_, StoreError>(|view| {
            assert_eq!(view.newest_change()?, 1);
            add(&mut other, &mut [key("two", 2)])?;
            assert_eq!((view.newest_change()?, view.count_keys()?), (1, (1, 1)));
            Ok(())
        })
        .unwrap();
    assert_eq!(store.newest_change().unwrap(), 2);
}

fn who_waits_is_told(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    let mut waiting = house.open();
    let before = Instant::now();
    assert_eq!(waiting.wait(0, Duration::from_millis(60)).unwrap(), 0);
    assert!(before.elapsed() >= Duration::from_millis(60));
    for number in 1..=5 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let started = Instant::now();
                (waiting.wait(number - 1, Duration::from_secs(20)).unwrap(), started.elapsed())
            });
            thread::sleep(Duration::from_millis(30));
            add(&mut store, &mut [key(&format!("key-{number}"), number as u8)]).unwrap();
            let (seen, took) = waiter.join().unwrap();
            assert_eq!(seen, number);
            assert!(took < Duration::from_secs(15), "{took:?}");
        });
    }
    // What was committed before anybody waited is not missed.
    assert_eq!(waiting.wait(2, Duration::from_secs(20)).unwrap(), 5);
}

on_both!(
    changes_are_numbered_and_found_by_number,
    numbers_ascend_as_they_are_committed,
    a_look_sees_one_state,
    who_waits_is_told,
);
