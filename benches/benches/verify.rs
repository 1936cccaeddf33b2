//! Whole verifies: header list in, verdict out.
//!
//! At 100 thousand and 1 million keys; `KEYWARD_BENCH_KEYS=100000,1000000,10000000` says otherwise.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use keyward::engine::Engine;
use keyward::snapshot::Mode;
use keyward_benches::requests::{BATCH, Kind};
use keyward_benches::{store, timing};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, thread};

/// How many keys, where the environment does not say.
const KEYS: &str = "100000,1000000";

const KINDS: [(&str, Kind); 4] = [
    ("verify", Kind::Allowed),
    ("verify unknown", Kind::Unknown),
    ("verify malformed", Kind::Malformed),
    ("verify limited", Kind::Limited),
];

fn verify(criterion: &mut Criterion) {
    let list = env::var("KEYWARD_BENCH_KEYS").unwrap_or_else(|_| KEYS.to_owned());
    for keys in list.split(',') {
        let keys: u64 = keys.trim().parse().expect("KEYWARD_BENCH_KEYS is numbers, separated by commas");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("bench.kwd");
        let collection = store::collect(keys, None, &|_| {}).expect("the keys are good");
        store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot");
        let engine = store::open(&path, Mode::Map, keys).expect("the snapshot is good");
        engine.check().expect("the snapshot is good");

        for (name, kind) in KINDS {
            criterion.bench_with_input(BenchmarkId::new(name, keys), &kind, |bencher, &kind| {
                bencher.iter_custom(|calls| {
                    timing::calls(kind, keys, calls, |request, _| engine.verify(request).is_allowed())
                });
            });
        }
        criterion.bench_with_input(BenchmarkId::new("verify batch", keys), &keys, |bencher, &keys| {
            bencher.iter_custom(|calls| {
                timing::batches(Kind::Allowed, keys, calls, |_, requests| {
                    let pinned = engine.pin();
                    let mut verdicts = Vec::with_capacity(BATCH);
                    pinned.verify_batch(requests, &mut verdicts);
                })
            });
        });

        let publish = || {
            store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot");
        };
        while_reloading(&engine, &publish, || {
            criterion.bench_with_input(
                BenchmarkId::new("verify under reload", keys),
                &keys,
                |bencher, &keys| {
                    bencher.iter_custom(|calls| {
                        timing::calls(Kind::Allowed, keys, calls, |request, _| {
                            engine.verify(request).is_allowed()
                        })
                    });
                },
            );
        });
    }
}

/// Does `work` while another thread publishes and reloads one generation after the other.
fn while_reloading(engine: &Engine, publish: &(impl Fn() + Sync), work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                publish();
                engine.reload().expect("the new generation is good");
            }
        });
        work();
        done.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
