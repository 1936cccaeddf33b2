//! Times and spans as the command line takes and shows them.

use keyward::time::Timestamp;

/// Reads Unix seconds: digits, and a fraction if need be, which is cut to whole nanoseconds.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    const EXPECTED: &str = "expected Unix seconds, such as 1764000000 or 1764000000.25";
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(EXPECTED.to_owned());
    }
    let seconds = whole.parse().map_err(|_| "it is later than any time that can be told".to_owned())?;
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = nanoseconds.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Timestamp::new(seconds, nanoseconds).ok_or_else(|| EXPECTED.to_owned())
}

/// Reads a span: seconds, or a number and one of `s`, `m`, `h`, `d`.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let unit = |letter: &str| match letter {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, letter) = text.split_at_checked(end).unwrap_or((text, ""));
    let seconds =
        number.parse::<u64>().ok().zip(unit(letter)).and_then(|(number, unit)| number.checked_mul(unit));
    match seconds {
        Some(0) => Err("a span of nothing; leave it out for none".to_owned()),
        Some(seconds) => Ok(seconds),
        None => Err("expected seconds, or a number and a unit: 90s, 15m, 12h, 7d".to_owned()),
    }
}

/// A span in the largest unit that leaves at least two of it.
pub(crate) fn rough(seconds: u64) -> String {
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(unit, _)| seconds / unit >= 2);
    match unit {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_decimal_number_cut_to_nanoseconds() {
        assert_eq!(timestamp("17").ok(), Timestamp::new(17, 0));
        assert_eq!(timestamp("17.0000000019").ok(), Timestamp::new(17, 1));
        assert_eq!(timestamp("17.25").ok(), Timestamp::new(17, 250_000_000));
        for wrong in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1 ", "1.2.3", "99999999999999999999"] {
            assert!(timestamp(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn spans_have_one_unit() {
        assert_eq!(span("90"), Ok(90));
        assert_eq!(span("15m"), Ok(900));
        assert_eq!(span("7d"), Ok(604_800));
        for wrong in ["", "h", "0", "0h", "1w", "1h30m", "-1", "1.5h", "1é", "213503982334602d"] {
            assert!(span(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rough_spans_keep_two_of_a_unit() {
        assert_eq!(rough(119), "119 s");
        assert_eq!(rough(7199), "119 minutes");
        assert_eq!(rough(172_800), "2 days");
    }
}
