//! Points in time as the command line takes and shows them.

use crate::units;
use keyward::time::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// 9999-12-31: what has more digits is not shown as a date.
const LAST_DATE: u64 = 253_402_300_799;

/// This second.
pub(crate) fn now() -> u64 {
    Timestamp::coarse_now().seconds()
}

/// A point in time that may be said from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(u64),
    After(u64),
    Never,
}

impl When {
    /// In Unix seconds; `None`: never.
    pub(crate) fn from(self, now: u64) -> Option<u64> {
        match self {
            Self::At(time) => Some(time),
            Self::After(span) => Some(now.saturating_add(span)),
            Self::Never => None,
        }
    }
}

/// Unix seconds, a date, or a date and time in UTC.
pub(crate) fn point(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let parsed = humantime::parse_rfc3339_weak(&whole).ok();
    let seconds = parsed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    seconds
        .map(|time| time.as_secs())
        .ok_or_else(|| "expected Unix seconds, 2027-01-31, or 2027-01-31T12:00:00Z".to_owned())
}

/// A point, `now`, `never`, or `+` and a span.
pub(crate) fn when(text: &str) -> Result<When, String> {
    match (text, text.strip_prefix('+')) {
        ("never", _) => Ok(When::Never),
        ("now", _) => Ok(When::After(0)),
        (_, Some(span)) => units::span(span).map(When::After),
        (_, None) => point(text).map(When::At).map_err(|error| format!("{error}, +90d, now or never")),
    }
}

/// A point in the past: as [`point`], or a span with a unit that it is ago.
pub(crate) fn past(text: &str) -> Result<u64, String> {
    match point(text) {
        Ok(time) => Ok(time),
        Err(error) => match units::span(text) {
            Ok(span) => Ok(now().saturating_sub(span)),
            Err(_) => Err(format!("{error}, or a span that it is ago: 90d")),
        },
    }
}

/// The time for people.
pub(crate) fn shown(time: u64) -> String {
    if time > LAST_DATE {
        return time.to_string();
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time)).to_string()
}

/// The same, or what is said where there is none.
pub(crate) fn shown_or(time: Option<u64>, none: &str) -> String {
    time.map_or_else(|| none.to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_seconds_or_dates() {
        assert_eq!(point("1764000000"), Ok(1_764_000_000));
        assert_eq!(point("2025-11-24"), Ok(1_763_942_400));
        assert_eq!(point("2025-11-24T16:00:00Z"), Ok(1_764_000_000));
        for wrong in ["", "tomorrow", "-1", "2025-13-01", "1969-12-31"] {
            assert!(point(wrong).is_err(), "{wrong}");
        }
        assert_eq!(shown(1_764_000_000), "2025-11-24T16:00:00Z");
        assert_eq!(shown(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn later_and_earlier_may_be_said_from_now() {
        assert_eq!(when("+2h"), Ok(When::After(7200)));
        assert_eq!((when("now"), when("never")), (Ok(When::After(0)), Ok(When::Never)));
        assert_eq!(When::After(5).from(10), Some(15));
        assert!(when("2h").is_err() && when("+0").is_err());
        assert!(now().abs_diff(past("2h").unwrap() + 7200) < 5);
    }
}
