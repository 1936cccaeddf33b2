//! How much more several threads decide than one.

use super::clock::quantile;
use keyward::engine::Engine;
use keyward_benches::random::Random;
use keyward_benches::requests::{Batch, Kind};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long each number of threads works at once.
const TURN: Duration = Duration::from_millis(100);
/// Turns of each, one after the other.
const TURNS: usize = 15;

/// Verifies a second, of one thread and of several.
pub(super) struct Throughput {
    pub(super) one: f64,
    pub(super) all: f64,
}

impl Throughput {
    /// How many times as many.
    pub(super) fn speedup(&self) -> f64 {
        self.all / self.one
    }
}

pub(super) fn measure(engine: &Engine, keys: u64, threads: usize, tick: &dyn Fn(usize, usize)) -> Throughput {
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        tick(turn, TURNS);
        one.push(rate(engine, keys, 1, turn));
        all.push(rate(engine, keys, threads, turn));
    }
    Throughput { one: quantile(&mut one, 0.5), all: quantile(&mut all, 0.5) }
}

/// Verifies a second of so many threads. Making the requests is part of it: it is the same for any number.
fn rate(engine: &Engine, keys: u64, threads: usize, turn: usize) -> f64 {
    let (stop, barrier) = (&AtomicBool::new(false), &Barrier::new(threads + 1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = Random::new((turn * threads + thread) as u64);
                    barrier.wait();
                    let (start, mut verified) = (Instant::now(), 0u64);
                    while !stop.load(Ordering::Relaxed) {
                        let batch = Batch::new(Kind::Allowed, keys, &mut random);
                        let headers = batch.headers();
                        for request in &batch.requests(&headers) {
                            verified += u64::from(black_box(engine.verify(request)).is_allowed());
                        }
                    }
                    verified as f64 / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        barrier.wait();
        thread::sleep(TURN);
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    })
}
