//! Times, as medians of many.

use std::hint::black_box;
use std::time::Instant;

/// How often the clock is asked to find out what asking costs.
const ASKED: usize = 20_001;

/// A clock that knows what asking it costs.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    cost: f64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self { cost: 0.0 };
        let mut costs: Vec<f64> = (0..ASKED).map(|_| clock.time(|| {})).collect();
        Self { cost: quantile(&mut costs, 0.5) }
    }

    /// Nanoseconds that `work` takes, without the clock's own.
    #[inline]
    pub(super) fn time<T>(&self, work: impl FnOnce() -> T) -> f64 {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_nanos() as f64 - self.cost
    }
}

/// The value that such a share of `values` is below; 0 of none.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
