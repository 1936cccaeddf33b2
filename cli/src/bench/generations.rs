//! What opening a snapshot costs, and what replacing it costs those who verify meanwhile.

use super::clock::{Clock, quantile};
use keyward::build::Collection;
use keyward::engine::{Engine, Reload};
use keyward::snapshot::Mode;
use keyward_benches::random::Random;
use keyward_benches::requests::{Batch, Kind};
use keyward_benches::{Error, store};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// How often each is done.
const TIMES: usize = 3;

/// What came out.
pub(super) struct Reloads {
    /// Milliseconds of a reload.
    pub(super) milliseconds: f64,
    /// The slowest verify during one, and the 99th percentile, in nanoseconds.
    pub(super) worst: f64,
    pub(super) p99: f64,
}

/// Milliseconds from a path to the first verdict.
pub(super) fn open(path: &Path, mode: Mode, keys: u64) -> Result<f64, Error> {
    let mut times = Vec::new();
    let mut random = Random::new(2);
    for _ in 0..TIMES {
        let batch = Batch::new(Kind::Allowed, keys, &mut random);
        let headers = batch.headers();
        let [request, ..] = batch.requests(&headers);
        let start = Instant::now();
        let engine = store::open(path, mode, keys)?;
        black_box(engine.verify(&request).is_allowed());
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantile(&mut times, 0.5))
}

/// Publishes new generations and reloads them while another thread verifies.
pub(super) fn reload(
    engine: &Engine,
    collection: &Collection,
    path: &Path,
    clock: Clock,
    tick: &dyn Fn(usize, usize),
) -> Result<Reloads, Error> {
    let keys = collection.keys();
    let (reloading, done) = (&AtomicBool::new(false), &AtomicBool::new(false));
    thread::scope(|scope| {
        let verifier = scope.spawn(move || {
            let mut random = Random::new(3);
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let batch = Batch::new(Kind::Allowed, keys, &mut random);
                let headers = batch.headers();
                for request in &batch.requests(&headers) {
                    let before = reloading.load(Ordering::Relaxed);
                    let time = clock.time(|| drop(black_box(engine.verify(request))));
                    if before || reloading.load(Ordering::Relaxed) {
                        times.push(time);
                    }
                }
            }
            times
        });
        let reloads = (0..TIMES).map(|time| {
            tick(time, TIMES);
            store::publish(collection, path, &|_| {})?;
            let start = Instant::now();
            reloading.store(true, Ordering::Relaxed);
            let reload = engine.reload();
            reloading.store(false, Ordering::Relaxed);
            let milliseconds = start.elapsed().as_secs_f64() * 1e3;
            match reload.map_err(Error::snapshot)? {
                Reload::Loaded { .. } => Ok(milliseconds),
                Reload::Unchanged => Err(Error::Lookup { what: "a new generation" }),
            }
        });
        let reloads = reloads.collect::<Result<Vec<_>, Error>>();
        done.store(true, Ordering::Relaxed);
        let mut times = verifier.join().unwrap_or_default();
        Ok(Reloads {
            milliseconds: quantile(&mut reloads?, 0.5),
            worst: quantile(&mut times, 1.0),
            p99: quantile(&mut times, 0.99),
        })
    })
}
