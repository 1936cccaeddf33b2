//! The arithmetic of GCRA: docs/DECISIONS.md section 7.1, in whole nanoseconds, without any state.

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// A rate: how many requests a key may make, in the two numbers that GCRA works with.
///
/// T is the time that one request uses up, tau how far ahead of the clock a key may get. Both stop at
/// `u64::MAX`, which changes no answer: a theoretical arrival time is a `u64` as well, so that nothing
/// can tell a longer time from that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    interval: u64,
    tolerance: u64,
}

impl Gcra {
    /// `requests` in `period` seconds, of which `burst` may come at once; `None` where one of them is 0,
    /// which no configuration lets through.
    ///
    /// More requests than the period has nanoseconds make T 0: such a rate refuses nobody unless the
    /// clock steps back.
    pub const fn new(requests: u64, period: u64, burst: u64) -> Option<Self> {
        if requests == 0 || period == 0 || burst == 0 {
            return None;
        }
        // u64 * u64 cannot overflow a u128; the second product can, where a period of ages meets a huge
        // burst.
        let interval = period as u128 * NANOSECONDS_PER_SECOND as u128 / requests as u128;
        let tolerance = interval.saturating_mul(burst as u128 - 1);
        Some(Self { interval: clamp(interval), tolerance: clamp(tolerance) })
    }

    /// What a request at `now` does to a key whose theoretical arrival time is `arrival` (0: no request
    /// so far): the next arrival time, or the seconds to wait, at least 1.
    ///
    /// An arrival time past the year 2554 does not fit. A key that owes nothing is let through once even
    /// then; otherwise the request is refused, because a limiter that cannot count must not let pass.
    pub(super) const fn decide(self, arrival: u64, now: u64) -> Result<u64, u64> {
        let limit = now.saturating_add(self.tolerance);
        if limit < arrival {
            return Err(whole_seconds(arrival - limit));
        }
        let start = if arrival > now { arrival } else { now };
        match start.checked_add(self.interval) {
            Some(next) => Ok(next),
            None if arrival <= now && now < u64::MAX => Ok(u64::MAX),
            None => Err(whole_seconds(arrival.saturating_sub(now))),
        }
    }
}

const fn clamp(nanoseconds: u128) -> u64 {
    if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 }
}

/// Rounded up, at least 1: what `Retry-After` says.
const fn whole_seconds(nanoseconds: u64) -> u64 {
    let seconds = nanoseconds.div_ceil(NANOSECONDS_PER_SECOND);
    if seconds == 0 { 1 } else { seconds }
}
