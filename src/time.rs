//! Points in time, as the gates compare them: whole seconds since the Unix epoch and nanoseconds.

use rustix::time::{ClockId, clock_gettime};

/// A point in time: seconds since 1970-01-01T00:00:00Z, and nanoseconds into that second.
///
/// Ordering is chronological.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    seconds: u64,
    nanoseconds: u32,
}

impl Timestamp {
    /// The point `seconds` after the epoch.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }

    /// The point `seconds` and `nanoseconds` after the epoch; `None` where `nanoseconds` fills a second.
    pub const fn new(seconds: u64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 {
            Some(Self {
                seconds,
                nanoseconds,
            })
        } else {
            None
        }
    }

    /// The system's real-time clock in its coarse form: a few nanoseconds to read, a few milliseconds
    /// exact, which is finer than anything that a key's record can say.
    ///
    /// A clock that stands before the epoch reads as the epoch.
    pub fn coarse_now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self {
            seconds: u64::try_from(now.tv_sec).unwrap_or(0),
            nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// Nanoseconds into the second, below 1,000,000,000.
    pub const fn subsecond_nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Nanoseconds since the epoch. Wide enough for every `Timestamp`.
    pub const fn nanoseconds(self) -> u128 {
        self.seconds as u128 * 1_000_000_000 + self.nanoseconds as u128
    }
}
