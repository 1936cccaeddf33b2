//! Builds that are killed, and builds that run at the same time.

use crate::support::{BUILD, Shop, assert_code, assert_refused, json, stderr};
use keyward::build::Publisher;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Snapshot};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

const KILLS: u32 = 50;

fn many_keys(count: u32) -> String {
    let mut keys = String::new();
    for n in 0..count {
        writeln!(keys, r#"{{"realm":"shop","id":"k{n}","key":"made-{n}","tenant":"t{n}"}}"#).unwrap();
    }
    keys
}

/// The snapshot in place, every hash of it checked.
fn whole(shop: &Shop) -> Snapshot {
    let bytes = fs::read(shop.path("keys.kwd")).unwrap();
    Snapshot::open(Bytes::owned(bytes), Check::Whole).unwrap()
}

#[test]
fn a_killed_build_leaves_the_old_snapshot_or_the_new() {
    let shop = Shop::new();
    shop.write("keys.jsonl", &many_keys(4_000));
    let started = Instant::now();
    assert_code(&shop.build([]), 0);
    let took = started.elapsed();
    let mut generation = 1;
    let (mut killed, mut published) = (0, 0);
    for kill in 0..KILLS {
        let mut child = shop.command(BUILD).spawn().unwrap();
        // Spread over the whole build and a little beyond, in no order that repeats with it.
        thread::sleep(took.mul_f64(f64::from(kill * 37 % KILLS) / f64::from(KILLS) * 1.1));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal().is_some());
        let snapshot = whole(&shop);
        let found = snapshot.header().generation;
        assert!(found == generation || found == generation + 1, "{found} after {generation}");
        assert_eq!(snapshot.header().records, 4_000);
        published += u32::from(found != generation);
        generation = found;
    }
    assert!(killed > KILLS / 4, "{killed} of {KILLS} were killed at work, {published} had published");
    // What they left behind is in nobody's way.
    let built = json(&shop.build(["--json"]));
    assert_eq!(built["generation"], generation + 1);
    let names: Vec<_> =
        fs::read_dir(shop.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

#[test]
fn a_place_that_is_taken_is_left_alone() {
    let shop = Shop::open();
    let publisher = Publisher::lock(&shop.path("keys.kwd")).unwrap();
    let before = fs::read(shop.path("keys.kwd")).unwrap();
    assert_refused(&shop.build([]), 3, "somebody else is publishing");
    assert!(fs::read(shop.path("keys.kwd")).unwrap() == before);
    drop(publisher);
    assert_code(&shop.build([]), 0);
}

#[test]
fn builds_at_once_publish_one_after_the_other_or_give_way() {
    let shop = Shop::new();
    shop.write("keys.jsonl", &many_keys(5_000));
    let children: Vec<_> = (0..6)
        .map(|_| {
            thread::sleep(Duration::from_millis(2));
            shop.command(BUILD).spawn().unwrap()
        })
        .collect();
    let mut published = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            published += 1;
        } else {
            assert_code(&output, 3);
            assert!(stderr(&output).contains("somebody else is publishing"), "{}", stderr(&output));
        }
    }
    assert!(published >= 1);
    // Each generation was published once.
    assert_eq!(whole(&shop).header().generation, published);
}
