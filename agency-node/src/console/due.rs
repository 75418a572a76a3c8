//! When something is due, in words.

use brag_common::{console::shown::when, time::Timestamp};

/// A time by which something has to be done, or since which it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// For example `in 3 hours` or `5 minutes ago`.
    pub(super) words: String,
    /// The time itself.
    pub(super) at: String,
    /// It has passed.
    pub(super) overdue: bool,
    /// It comes within an hour.
    pub(super) soon: bool,
}

/// Within so many milliseconds something is due soon.
const SOON_MS: i64 = 3_600_000;

impl Due {
    /// By when, seen from `now`.
    pub(super) fn by(at_unix_ms: i64, now: Timestamp) -> Self {
        let left = at_unix_ms.saturating_sub(now.as_millisecond());
        let overdue = left <= 0;
        let long = long(left);
        let words = if overdue { format!("{long} ago") } else { format!("in {long}") };
        Self { words, at: when(at_unix_ms), overdue, soon: !overdue && left <= SOON_MS }
    }

    /// Since when: nothing ends, so it is never overdue.
    pub(super) fn since(at_unix_ms: i64, now: Timestamp) -> Self {
        let words = format!("for {}", long(now.as_millisecond().saturating_sub(at_unix_ms)));
        Self { words, at: when(at_unix_ms), overdue: false, soon: false }
    }
}

/// A length of time in its two largest units, rounded down; the sign is left out.
fn long(ms: i64) -> String {
    let minutes = ms.unsigned_abs() / 60_000;
    let (days, hours, left) = (minutes / 1_440, minutes % 1_440 / 60, minutes % 60);
    match (days, hours, left) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => counted(minutes, "minute"),
        (0, hours, 0) => counted(hours, "hour"),
        (0, hours, minutes) => format!("{} {}", counted(hours, "hour"), counted(minutes, "minute")),
        (days, 0, _) => counted(days, "day"),
        (days, hours, _) => format!("{} {}", counted(days, "day"), counted(hours, "hour")),
    }
}

/// A number and what it counts, for example `1 hour` or `2 hours`.
pub(super) fn counted(n: u64, what: &str) -> String {
    let many = if n == 1 { "" } else { "s" };
    format!("{n} {what}{many}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(left_ms: i64) -> Due {
        let now: Timestamp = "2027-02-09T09:00:00Z".parse().unwrap();
        Due::by(now.as_millisecond() + left_ms, now)
    }

    #[test]
    fn what_has_passed_is_overdue_from_the_very_moment() {
        assert!(due(0).overdue && due(-1).overdue && !due(1).overdue);
        assert_eq!(due(-125 * 60_000).words, "2 hours 5 minutes ago");
    }

    #[test]
    fn what_is_to_come_is_told_in_its_two_largest_units() {
        assert_eq!(due(59_999).words, "in less than a minute");
        assert_eq!(due(61 * 60_000).words, "in 1 hour 1 minute");
        assert_eq!(due(26 * 3_600_000).words, "in 1 day 2 hours");
        assert!(due(SOON_MS).soon && !due(SOON_MS + 1).soon && !due(-1).soon);
    }

    #[test]
    fn what_waits_without_an_end_is_not_overdue() {
        let now: Timestamp = "2027-02-09T09:00:00Z".parse().unwrap();
        let waits = Due::since(now.as_millisecond() - 3_600_000, now);
        assert_eq!((waits.words.as_str(), waits.overdue), ("for 1 hour", false));
    }
}
