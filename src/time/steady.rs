//! A clock that never goes back, whatever is done to the system's.

use super::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Says what time it is, and never an earlier time than it has said before.
///
/// It follows the system's real-time clock as long as that goes forward. Where that was set back, time goes on from
/// where it was, by the monotonic clock, until the other has caught up: what had expired stays expired, and rates go
/// on being counted. A clock that was set forward is believed, and not forgotten when it is set right again.
///
/// A reading that is not earlier than the last costs one load and a comparison more than the system's clock.
#[derive(Debug, Default)]
pub struct SteadyClock {
    /// The latest time that was said, in nanoseconds since the epoch.
    latest: AtomicU64,
    /// The most that the real-time clock was ahead of the monotonic one, in nanoseconds.
    ahead: AtomicU64,
}

impl SteadyClock {
    /// One that has said nothing yet.
    pub const fn new() -> Self {
        Self { latest: AtomicU64::new(0), ahead: AtomicU64::new(0) }
    }

    /// What time it is.
    #[inline]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::coarse_now();
        // The system's clock moves every few milliseconds, so that nearly always they are equal.
        if now.saturating_nanoseconds() == self.latest.load(Relaxed) {
            now
        } else {
            self.moved(now, monotonic)
        }
    }

    /// What time it is where the system says `now`, which is not what was said last.
    #[cold]
    fn moved(&self, now: Timestamp, monotonic: impl Fn() -> u64) -> Timestamp {
        let system = now.saturating_nanoseconds();
        let latest = self.latest.load(Relaxed);
        if system >= latest {
            self.ahead.fetch_max(system.saturating_sub(monotonic()), Relaxed);
            let before = self.latest.fetch_max(system, Relaxed);
            return if before > system { Timestamp::from_nanoseconds(before) } else { now };
        }
        // It was set back, or another thread has read it a moment later.
        let steady = self.ahead.load(Relaxed).saturating_add(monotonic());
        let before = self.latest.fetch_max(steady, Relaxed);
        Timestamp::from_nanoseconds(before.max(steady))
    }
}

/// The system's monotonic clock in its coarse form, in nanoseconds.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    /// A clock whose two sources are set by hand.
    #[derive(Default)]
    struct Bench {
        clock: SteadyClock,
        monotonic: Cell<u64>,
    }

    impl Bench {
        fn read(&self, system: u64) -> u64 {
            let now = Timestamp::from_nanoseconds(system);
            self.clock.moved(now, || self.monotonic.get()).saturating_nanoseconds()
        }
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_follows_a_clock_that_goes_forward() {
        let bench = Bench::default();
        for (system, monotonic) in [(1000, 5), (1000, 5), (1001, 6), (5000, 7), (5001, 8)] {
            bench.monotonic.set(monotonic * SECOND);
            assert_eq!(bench.read(system * SECOND), system * SECOND);
        }
    }

    #[test]
    fn it_goes_on_where_the_clock_was_set_back() {
        let bench = Bench::default();
        bench.monotonic.set(50 * SECOND);
        assert_eq!(bench.read(10_000 * SECOND), 10_000 * SECOND);
        // An hour back, and time passes.
        bench.monotonic.set(53 * SECOND);
        assert_eq!(bench.read(6_403 * SECOND), 10_003 * SECOND);
        bench.monotonic.set(60 * SECOND);
        assert_eq!(bench.read(6_410 * SECOND), 10_010 * SECOND);
        // Set right again.
        bench.monotonic.set(61 * SECOND);
        assert_eq!(bench.read(10_011 * SECOND), 10_011 * SECOND);
        assert_eq!(bench.read(10_500 * SECOND), 10_500 * SECOND);
    }

    #[test]
    fn a_clock_that_was_set_forward_is_not_forgotten() {
        let bench = Bench::default();
        bench.monotonic.set(SECOND);
        assert_eq!(bench.read(1_000 * SECOND), 1_000 * SECOND);
        assert_eq!(bench.read(9_000 * SECOND), 9_000 * SECOND);
        bench.monotonic.set(11 * SECOND);
        assert_eq!(bench.read(1_010 * SECOND), 9_010 * SECOND);
    }

    #[test]
    fn it_is_the_systems_clock() {
        let clock = SteadyClock::new();
        let before = Timestamp::coarse_now();
        let said = clock.now();
        // Another reading, of the same tick or a later one.
        assert!(before <= said && said <= clock.now());
        assert!(clock.now() <= Timestamp::coarse_now() || clock.ahead.load(Relaxed) > 0);
    }

    #[test]
    fn threads_see_it_go_forward() {
        let clock = SteadyClock::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = Timestamp::default();
                    for _ in 0..100_000 {
                        let now = clock.now();
                        assert!(now >= last);
                        last = now;
                    }
                });
            }
        });
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_it_never_goes_back(
            steps in proptest::collection::vec((0_u64..=u64::MAX, 0_u64..1 << 40), 1..50)
        ) {
            let bench = Bench::default();
            let mut last = 0;
            for (system, passed) in steps {
                bench.monotonic.set(bench.monotonic.get().saturating_add(passed));
                let said = bench.read(system);
                prop_assert!(said >= last && said >= system);
                last = said;
            }
        }
    }
}
