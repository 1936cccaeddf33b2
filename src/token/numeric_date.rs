//! Times in claims (NumericDate, RFC 7519 section 2) and what is compared with them.

use crate::time::{FURTHEST, Timestamp, decimal_nanoseconds};

const SECOND: i128 = 1_000_000_000;

/// Nanoseconds since the epoch, or between two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanoseconds(i128);

impl Nanoseconds {
    /// The time that `text`, a JSON number, says, cut to whole nanoseconds; `None` where it is not a number.
    pub(super) fn read(text: &str) -> Option<Self> {
        decimal_nanoseconds(text).map(Self)
    }

    pub(super) fn since_epoch(time: Timestamp) -> Self {
        // Below 2^94 (2^64 seconds of 10^9 nanoseconds).
        Self(i128::try_from(time.nanoseconds()).unwrap_or(FURTHEST))
    }

    pub(super) fn from_seconds(seconds: u64) -> Self {
        Self(i128::from(seconds) * SECOND)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{FURTHEST, Nanoseconds};
    use crate::time::Timestamp;

    #[test]
    fn the_furthest_lies_beyond_every_timestamp() {
        let last = Nanoseconds::since_epoch(Timestamp::new(u64::MAX, 999_999_999).unwrap());
        assert!(last.plus(Nanoseconds::from_seconds(u64::MAX)) < Nanoseconds(FURTHEST));
        assert!(Nanoseconds(FURTHEST).minus(last) > Nanoseconds::from_seconds(u64::MAX));
        assert_eq!(Nanoseconds(-FURTHEST).minus(Nanoseconds(FURTHEST)), Nanoseconds(-2 * FURTHEST));
    }
}
