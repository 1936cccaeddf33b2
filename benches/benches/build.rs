//! A snapshot from JSON Lines: read and sorted, and published.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyward_benches::store;

const KEYS: u64 = 100_000;

fn build(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("bench.kwd");
    let collect = || store::collect(KEYS, None, &|_| {}).expect("the keys are good");
    let collection = collect();
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10).throughput(Throughput::Elements(KEYS));
    group.bench_function("read", |bencher| bencher.iter_with_large_drop(collect));
    group.bench_function("publish", |bencher| {
        bencher.iter(|| store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot"));
    });
    group.finish();
}

criterion_group!(benches, build);
criterion_main!(benches);
