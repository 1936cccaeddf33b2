//! Points in time, as the gates compare them: whole seconds since the Unix epoch and nanoseconds.

mod steady;

pub use steady::SteadyClock;

use rustix::time::{ClockId, clock_gettime};
use std::str::FromStr;
use thiserror::Error;

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
        Self { seconds, nanoseconds: 0 }
    }

    /// The point `seconds` and `nanoseconds` after the epoch; `None` where `nanoseconds` fills a second.
    pub const fn new(seconds: u64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 { Some(Self { seconds, nanoseconds }) } else { None }
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

    /// The same in 64 bits, which end in the year 2554.
    #[inline]
    const fn saturating_nanoseconds(self) -> u64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(self.nanoseconds as u64)
    }

    #[inline]
    const fn from_nanoseconds(nanoseconds: u64) -> Self {
        let subsecond = (nanoseconds % 1_000_000_000) as u32;
        Self { seconds: nanoseconds / 1_000_000_000, nanoseconds: subsecond }
    }
}

/// Why a text is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{found:?} is not a time: Unix seconds as a decimal number are expected, such as 1764000000 or 1764000000.25"
)]
pub struct TimestampError {
    found: String,
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads Unix seconds as a JSON number writes them: the decimal number, cut to whole nanoseconds.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let nanoseconds = decimal_nanoseconds(text).and_then(|nanoseconds| u128::try_from(nanoseconds).ok());
        let point = nanoseconds.and_then(|nanoseconds| {
            let seconds = u64::try_from(nanoseconds / NANOSECONDS).ok()?;
            Self::new(seconds, u32::try_from(nanoseconds % NANOSECONDS).ok()?)
        });
        point.ok_or_else(|| TimestampError { found: text.to_owned() })
    }
}

const NANOSECONDS: u128 = 1_000_000_000;

/// Stands for every time that lies further out: beyond any [`Timestamp`], and small enough that the
/// difference of two is no overflow.
pub(crate) const FURTHEST: i128 = 10_i128.pow(FURTHEST_DIGITS as u32);
const FURTHEST_DIGITS: i64 = 30;

/// The nanoseconds in `text`, a JSON number of seconds: the decimal number as written, cut to whole
/// nanoseconds. A double would not do: it has no tenth of a second, and steps of 238 ns in this century.
///
/// `None` where `text` is not such a number.
pub(crate) fn decimal_nanoseconds(text: &str) -> Option<i128> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (number, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let exponent = saturating_integer(exponent)?;
    let digits = || whole.bytes().chain(fraction.bytes());
    let leading = digits().take_while(|&digit| digit == b'0').count();
    // How many digits the time has before the point when it is written in nanoseconds.
    let length = i64::try_from(whole.len()).ok()?.saturating_add(exponent).saturating_add(9);
    let length = length.saturating_sub(i64::try_from(leading).ok()?);
    let value = if digits().nth(leading).is_none() || length <= 0 {
        0
    } else if length > FURTHEST_DIGITS {
        FURTHEST
    } else {
        let padded = digits().skip(leading).chain(std::iter::repeat(b'0'));
        padded.take(length as usize).fold(0, |value, digit| value * 10 + i128::from(digit - b'0'))
    };
    Some(if negative { -value } else { value })
}

/// A decimal integer with an optional sign, or the furthest that an `i64` goes in its direction.
fn saturating_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i128 = NANOSECONDS as i128;

    #[test]
    fn a_fraction_is_the_decimal_number_as_written() {
        let read =
            |text: &str| text.parse::<Timestamp>().ok().map(|t| (t.seconds(), t.subsecond_nanoseconds()));
        assert_eq!(read("1764000000"), Some((1_764_000_000, 0)));
        assert_eq!(read("1764000000.1"), Some((1_764_000_000, 100_000_000)));
        assert_eq!(read("1764000000.1234567899"), Some((1_764_000_000, 123_456_789)));
        assert_eq!(read("1.764e9"), Some((1_764_000_000, 0)));
        assert_eq!(read("17640000005E-1"), Some((1_764_000_000, 500_000_000)));
        assert_eq!(read("0.0000000009"), Some((0, 0)));
        assert_eq!(read("-0"), Some((0, 0)));
        assert_eq!(read("18446744073709551615"), Some((u64::MAX, 0)));
        for wrong in [
            "",
            "-1",
            ".5",
            "1.",
            "1e",
            "0x10",
            "1 ",
            "18446744073709551616",
            "1e99999999999999999999",
            "NaN",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
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
            assert_eq!(decimal_nanoseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["null", "true", "\"1\"", "[1]", "{}", "", "-"] {
            assert_eq!(decimal_nanoseconds(text), None, "{text}");
        }
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
            prop_assert_eq!(decimal_nanoseconds(&text), Some(expected));
        }
    }
}
