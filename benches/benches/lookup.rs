//! One key looked up, digest and all, in a snapshot and in the stores beside it.

mod disk;

use criterion::{Criterion, criterion_group, criterion_main};
use disk::{Redb, Sqlite};
use keyward::snapshot::Mode;
use keyward_benches::peers::{self, Hashbrown, Lmdb, Locked, Peer};
use keyward_benches::requests::Kind;
use keyward_benches::{store, timing};
use std::fs;

const KEYS: u64 = 1_000_000;

fn lookup(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("bench.kwd");
    let collection = store::collect(KEYS, None, &|_| {}).expect("the keys are good");
    store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot");
    drop(collection);
    let snapshot = store::snapshot(&path, Mode::Map).expect("the snapshot is good");
    let lmdb = folder.path().join("lmdb");
    fs::create_dir(&lmdb).expect("the folder takes another");
    let digest_key = store::digest_key();
    let peers: [Box<dyn Peer>; 5] = [
        Box::new(Hashbrown::new(peers::entries(KEYS))),
        Box::new(Locked::new(peers::entries(KEYS))),
        Box::new(Lmdb::new(&lmdb, peers::entries(KEYS)).expect("LMDB can be filled")),
        Box::new(Redb::new(&folder.path().join("redb"), peers::entries(KEYS)).expect("redb can be filled")),
        Box::new(
            Sqlite::new(&folder.path().join("sqlite"), peers::entries(KEYS)).expect("SQLite can be filled"),
        ),
    ];

    for (name, kind) in [("lookup hit", Kind::Allowed), ("lookup miss", Kind::Unknown)] {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("keyward", |bencher| {
            bencher.iter_custom(|calls| {
                timing::calls(kind, KEYS, calls, |_, key| snapshot.find(&digest_key.digest(key)))
            });
        });
        for peer in &peers {
            group.bench_function(peer.name(), |bencher| {
                bencher.iter_custom(|calls| {
                    timing::calls(kind, KEYS, calls, |_, key| peer.get(digest_key.digest(key).as_bytes()))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
