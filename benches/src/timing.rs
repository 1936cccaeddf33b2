//! Times of calls whose requests are made outside of what is timed.

use crate::random::Random;
use crate::requests::{BATCH, Batch, Kind};
use keyward::request::Request;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long so many calls take, by batches: each is made, and then `call` is timed for all of its requests.
pub fn calls<T>(
    kind: Kind,
    keys: u64,
    calls: u64,
    mut call: impl FnMut(&Request<'_>, &[u8]) -> T,
) -> Duration {
    batches(kind, keys, calls, |batch, requests| {
        for (request, sample) in requests.iter().zip(batch.samples()) {
            black_box(call(request, sample.credential()));
        }
    })
}

/// The same for what takes a batch at once.
pub fn batches(
    kind: Kind,
    keys: u64,
    calls: u64,
    mut all: impl FnMut(&Batch, &[Request<'_>; BATCH]),
) -> Duration {
    let mut random = Random::new(calls);
    let (mut total, batches) = (Duration::ZERO, calls.div_ceil(BATCH as u64));
    for _ in 0..batches {
        let batch = Batch::new(kind, keys, &mut random);
        let headers = batch.headers();
        let requests = batch.requests(&headers);
        let start = Instant::now();
        all(&batch, &requests);
        total += start.elapsed();
    }
    // The last batch may have more calls than were asked for.
    total.mul_f64(calls as f64 / (batches * BATCH as u64) as f64)
}
