//! `keyward publish --watch`.

use crate::faults::times;
use crate::support::{History, House, Kind, MANY, Random, assert_code, decide, json, on_both};
use keyward::engine::Engine;
use keyward::reason::Reason;
use keyward_keystore::Store;
use keyward_testkit::postgres::Server;
use std::fs::File;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

on_both!(
    changes_are_published_as_they_come,
    a_killed_watcher_is_followed_by_the_next,
    what_is_held_back_can_be_published_by_hand,
);

/// A publisher that stays, and is killed at the end.
pub(crate) struct Watcher(Child);

impl Watcher {
    fn start(house: &House) -> Self {
        Self::start_with(house, &[])
    }

    pub(crate) fn start_with(house: &House, more: &[&str]) -> Self {
        let log = || Stdio::from(File::options().create(true).append(true).open(house.path("log")).unwrap());
        let mut command = house.command(&[&["publish", "--watch", "--json"], more].concat());
        Self(command.stdout(log()).stderr(log()).spawn().unwrap())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[track_caller]
pub(crate) fn wait_for(house: &House, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        let log = || std::fs::read_to_string(house.path("log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: {}", log());
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn is(engine: &Engine, number: u32, reason: Reason) -> bool {
    let _ = engine.reload();
    decide(engine, number) == reason
}

fn changes_are_published_as_they_come(kind: Kind) {
    let house = House::new(kind, MANY);
    let _watcher = Watcher::start(&house);
    wait_for(&house, "the first publication", || house.snapshot().exists());
    let engine = house.engine();
    let mut store = house.store();
    for number in 0..20 {
        house.revoke(&mut store, number..number + 1).unwrap();
        wait_for(&house, "a revocation", || is(&engine, number, Reason::Revoked));
    }
    // Many at once: one publication takes in what came while another was on its way.
    for number in 20..60 {
        house.revoke(&mut store, number..number + 1).unwrap();
    }
    house.add(&mut store, MANY..MANY + 1);
    wait_for(&house, "the last of many", || is(&engine, MANY, Reason::Ok));
    for number in 0..60 {
        assert_eq!(decide(&engine, number), Reason::Revoked);
    }
    History::default().check(&house);
}

fn a_killed_watcher_is_followed_by_the_next(kind: Kind) {
    let house = House::published(kind, MANY);
    let (mut history, mut random) = (History::default(), Random(5));
    let mut store = house.store();
    let mut published = 0;
    for turn in 0..times() {
        let watcher = Watcher::start(&house);
        thread::sleep(Duration::from_millis(random.below(60)));
        house.revoke(&mut store, turn..turn + 1).unwrap();
        thread::sleep(Duration::from_millis(random.below(60)));
        drop(watcher);
        let before = history.newest();
        published += u32::from(history.check(&house) > before);
    }
    assert!(published > times() / 4, "{published} published something before they were killed");
    assert_code(&house.publish(["--yes"]), 0);
    history.check(&house);
    assert_eq!(json(&house.run(&["status", "--json"]))["agree"], true);
}

fn what_is_held_back_can_be_published_by_hand(kind: Kind) {
    let house = House::published(kind, MANY);
    let _watcher = Watcher::start(&house);
    let engine = house.engine();
    let mut store = house.store();
    house.revoke(&mut store, 0..1).unwrap();
    wait_for(&house, "the watcher", || is(&engine, 0, Reason::Revoked));
    house.revoke(&mut store, 1..MANY / 2).unwrap();
    let log = || std::fs::read_to_string(house.path("log")).unwrap();
    wait_for(&house, "that it is held back", || {
        log().contains("held back: of 1999 published keys 999 would be revoked")
    });
    assert!(is(&engine, 1, Reason::Ok));
    // The watcher has the locks for a moment, now and then.
    wait_for(&house, "that it is published by hand", || house.publish(["--yes"]).status.success());
    assert!(is(&engine, 1, Reason::Revoked));
    house.revoke(&mut store, MANY / 2..MANY / 2 + 1).unwrap();
    wait_for(&house, "that the watcher goes on", || is(&engine, MANY / 2, Reason::Revoked));
    History::default().check(&house);
}

/// Another keystore in the place of the one that is open, as after a restore: what is in it is followed.
#[test]
fn a_replaced_file_is_noticed() {
    let house = House::published(Kind::Sqlite, MANY);
    let _watcher = Watcher::start(&house);
    let engine = house.engine();
    house.revoke(&mut house.store(), 0..1).unwrap();
    wait_for(&house, "the watcher", || is(&engine, 0, Reason::Revoked));
    // All of it: what was in the log beside the file is in it once the last connection is closed.
    let file = house.path("keystore.sqlite");
    let copy = house.path("copy.sqlite");
    let vacuum = format!("VACUUM INTO '{}'", copy.display());
    rusqlite::Connection::open(&file).unwrap().execute_batch(&vacuum).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(house.path(&format!("keystore.sqlite{suffix}")));
    }
    std::fs::rename(&copy, &file).unwrap();
    house.revoke(&mut house.store(), 1..2).unwrap();
    wait_for(&house, "a change of the new file", || is(&engine, 1, Reason::Revoked));
}

/// PostgreSQL is stopped and started under a watcher: it connects again and misses nothing.
#[test]
fn a_restarted_server_is_found_again() {
    let server = Server::start();
    let house = House::at(Some(server.database()), MANY);
    let _watcher = Watcher::start(&house);
    wait_for(&house, "the first publication", || house.snapshot().exists());
    let engine = house.engine();
    let mut random = Random(6);
    for turn in 0..times() {
        let number = turn * 2;
        // What is committed just before is either published before the server goes, or found when it is back.
        house.revoke(&mut house.store(), number..number + 1).unwrap();
        thread::sleep(Duration::from_millis(random.below(30)));
        server.restart(if turn % 2 == 0 { "fast" } else { "immediate" });
        let mut store = loop {
            if let Ok(store) = Store::open(&house.place) {
                break store;
            }
        };
        house.revoke(&mut store, number + 1..number + 2).unwrap();
        wait_for(&house, "what came before", || is(&engine, number, Reason::Revoked));
        wait_for(&house, "what came after", || is(&engine, number + 1, Reason::Revoked));
    }
    History::default().check(&house);
}
