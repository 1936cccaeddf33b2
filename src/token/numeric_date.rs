//! Times in claims (NumericDate, RFC 7519 section 2) and what is compared with them.

use crate::time::Timestamp;

const SECOND: i128 = 1_000_000_000;
/// Stands for every time that lies further out: beyond any [`Timestamp`] with any leeway added, and small
/// enough that the difference of two is no overflow.
const FURTHEST: i128 = 10_i128.pow(FURTHEST_DIGITS as u32);
const FURTHEST_DIGITS: i64 = 30;

/// Nanoseconds since the epoch, or between two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanoseconds(i128);

impl Nanoseconds {
    /// The time that `text`, a JSON number, says: the decimal number as written, cut to whole nanoseconds.
    /// A double would not do: it has no tenth of a second, and steps of 238 ns in this century.
    ///
    /// `None` where `text` is not a number at all.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (number, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if !whole.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let exponent = saturating_integer(exponent);
        let zeros = |digits: &str| digits.bytes().take_while(|&digit| digit == b'0').count();
        let leading = match zeros(whole) {
            all if all == whole.len() => all + zeros(fraction),
            some => some,
        };
        // How many digits the time has before the point when it is written in nanoseconds.
        let length =
            length_of(whole).saturating_add(exponent).saturating_add(9).saturating_sub(leading as i64);
        let digits = whole.bytes().chain(fraction.bytes()).skip(leading);
        let value = if digits.clone().next().is_none() || length <= 0 {
            0
        } else if length > FURTHEST_DIGITS {
            FURTHEST
        } else {
            let padded = digits.chain(std::iter::repeat(b'0'));
            padded
                .take(length as usize)
                .fold(0, |value, digit| value * 10 + i128::from(digit.wrapping_sub(b'0')))
        };
        Some(Self(if negative { -value } else { value }))
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

fn length_of(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// The exponent of a JSON number; one that does not fit is as large as can be.
fn saturating_integer(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 })
}

#[cfg(test)]
mod tests {
    use super::{FURTHEST, Nanoseconds, SECOND};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn nanoseconds(text: &str) -> i128 {
        Nanoseconds::read(text).unwrap().0
    }

    #[test]
    fn the_number_as_written() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e5", 0),
            ("1764000000", 1_764_000_000 * SECOND),
            ("1764000000.5", 1_764_000_000 * SECOND + 500_000_000),
            ("1764000000.1", 1_764_000_000 * SECOND + 100_000_000),
            ("1764000000.3000000009", 1_764_000_000 * SECOND + 300_000_000),
            ("1764000000.300000001", 1_764_000_000 * SECOND + 300_000_001),
            ("1764000000.999999999999999999999999999999999", 1_764_000_000 * SECOND + 999_999_999),
            ("1.764e9", 1_764_000_000 * SECOND),
            ("1.7640000001E+9", 1_764_000_000 * SECOND + 100_000_000),
            ("17640000000000000000e-10", 1_764_000_000 * SECOND),
            ("0.000000001764e18", 1_764_000_000 * SECOND),
            ("0.0000000019", 1),
            ("-0.0000000019", -1),
            ("-1.5", -SECOND - 500_000_000),
            ("9007199254740993", 9_007_199_254_740_993 * SECOND),
            ("99999999999999999999", 99_999_999_999_999_999_999 * SECOND),
            ("999999999999999999999.999999999", 999_999_999_999_999_999_999 * SECOND + 999_999_999),
            ("1000000000000000000000", FURTHEST),
            ("1000000000000000000001", FURTHEST),
            ("1e300", FURTHEST),
            ("-1e300", -FURTHEST),
            ("1e-300", 0),
            ("0e999999999999999999999", 0),
            ("1e999999999999999999999", FURTHEST),
            ("1e-999999999999999999999", 0),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["null", "true", "\"1\"", "[1]", "{}", "", "-"] {
            assert_eq!(Nanoseconds::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_furthest_lies_beyond_every_timestamp() {
        let last = Nanoseconds::since_epoch(Timestamp::new(u64::MAX, 999_999_999).unwrap());
        assert!(last.plus(Nanoseconds::from_seconds(u64::MAX)) < Nanoseconds(FURTHEST));
        assert!(Nanoseconds(FURTHEST).minus(last) > Nanoseconds::from_seconds(u64::MAX));
        assert_eq!(Nanoseconds(-FURTHEST).minus(Nanoseconds(FURTHEST)), Nanoseconds(-2 * FURTHEST));
    }

    proptest! {
        #[test]
        fn shifting_the_point_changes_nothing(
            seconds in 0_u64..,
            fraction in 0_u32..1_000_000_000,
            shift in 0_usize..40,
        ) {
            let expected = i128::from(seconds) * SECOND + i128::from(fraction);
            let digits = format!("{}{fraction:09}", seconds);
            let at = digits.len().saturating_sub(shift).max(1);
            let (whole, rest) = digits.split_at(at);
            // `0` may not stand before other digits in JSON, but the reader takes it.
            let text = format!("{whole}.{rest}0e{}", rest.len() as i64 - 9);
            prop_assert_eq!(nanoseconds(&text), expected);
        }
    }
}
