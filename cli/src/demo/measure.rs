//! What a verify costs on this machine.

use super::keys::{Good, Keys};
use keyward::engine::Engine;
use keyward::request::{Peer, Request};
use std::hint::black_box;
use std::time::Instant;

/// Requests that are measured as one: the clock is read twice for all of them.
pub(super) const BATCH: usize = 500;
/// Requests of one kind.
const REQUESTS: u64 = 200_000;
/// One in so many requests warms up and is not counted.
const WARM_UP: usize = 5;

pub(super) struct Cost {
    /// Nanoseconds a verify: the median of all batches.
    pub(super) median: f64,
    /// The batch that 99 in 100 are not slower than.
    pub(super) p99: f64,
    /// How many verifies were counted.
    pub(super) counted: usize,
}

/// Verifies of random made keys, each key new to the processor's caches as far as chance goes: header list
/// in, verdict out, by the system's coarse clock. With `known` false, of keys that look alike and do not
/// exist. `None` where there are too few keys to measure anything.
pub(super) fn measure(engine: &Engine, keys: &Keys, known: bool) -> Option<Cost> {
    let draws = (0..REQUESTS.min(keys.made())).filter_map(|draw| {
        let mut good = keys.good(keys.pick(draw, keys.made()))?;
        if !known {
            // Still of the right format, and the digest of nothing.
            let flipped = if good.header.1.ends_with('0') { '1' } else { '0' };
            good.header.1.pop();
            good.header.1.push(flipped);
        }
        Some(good)
    });
    let goods: Vec<Good> = draws.collect();
    let headers: Vec<[(&str, &str); 1]> =
        goods.iter().map(|good| [(good.header.0, good.header.1.as_str())]).collect();
    let requests: Vec<Request<'_, [(&str, &str)]>> = goods
        .iter()
        .zip(&headers)
        .map(|(good, headers)| Request {
            method: Some(b"GET"),
            path: Some(good.path.as_bytes()),
            host: Some(good.host.as_bytes()),
            peer: Peer::parse(b"203.0.113.7"),
            ..Request::new(good.realm, headers.as_slice())
        })
        .collect();
    let mut costs = Vec::new();
    for (number, batch) in requests.chunks_exact(BATCH).enumerate() {
        let started = Instant::now();
        let allowed = batch.iter().filter(|request| black_box(engine.verify(request)).is_allowed()).count();
        let elapsed = started.elapsed();
        // A batch with another verdict would be another measurement.
        if number >= requests.len() / BATCH / WARM_UP && allowed == if known { BATCH } else { 0 } {
            costs.push(elapsed.as_nanos() as f64 / BATCH as f64);
        }
    }
    costs.sort_by(f64::total_cmp);
    Some(Cost {
        median: *costs.get(costs.len() / 2)?,
        p99: *costs.get(costs.len() * 99 / 100)?,
        counted: costs.len() * BATCH,
    })
}
