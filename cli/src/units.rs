//! Spans of time as the command line takes and shows them.

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
