//! Times of a scenario: relative to its start.

use std::{fmt, str::FromStr};

use brag_common::time::{SignedDuration, Timestamp};
use serde::Deserialize;

/// Units in seconds.
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time relative to the start, for example `+2h10m`, `-13h25m`, `+14d`, `+24h50m1s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct At(SignedDuration);

impl At {
    /// Whether it is before the start.
    #[must_use]
    pub const fn is_before_start(self) -> bool {
        self.0.is_negative()
    }

    /// Whether it is after the start.
    #[must_use]
    pub const fn is_after_start(self) -> bool {
        self.0.is_positive()
    }

    /// The time of a moment, for a start.
    #[must_use]
    pub fn of(moment: Timestamp, start: Timestamp) -> Self {
        Self(moment.duration_since(start))
    }

    /// The moment, for a start.
    ///
    /// # Panics
    /// When it is outside the calendar; the bound on days keeps it inside.
    #[must_use]
    pub fn after(self, start: Timestamp) -> Timestamp {
        start.checked_add(self.0).unwrap()
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a time relative to the start: expected `0`, or a sign and days, hours, minutes and seconds, as in `+2h10m`"
            )
        };
        if text == "0" {
            return Ok(Self(SignedDuration::ZERO));
        }
        let (sign, mut rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(wrong()),
        };
        let mut seconds: i64 = 0;
        for (unit, worth) in [('d', DAY), ('h', HOUR), ('m', MINUTE), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            let number: u16 = number.parse().map_err(|_| wrong())?;
            seconds += i64::from(number) * worth;
            rest = after;
        }
        if !rest.is_empty() || seconds == 0 || seconds > 366 * DAY {
            return Err(wrong());
        }
        Ok(Self(SignedDuration::from_secs(sign * seconds)))
    }
}

impl TryFrom<String> for At {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.is_negative() { '-' } else { '+' };
        let of = |unit: i64| self.0.as_secs().unsigned_abs() / unit.unsigned_abs();
        let (days, hours, minutes) = (of(DAY), of(HOUR) % 24, of(MINUTE) % 60);
        f.write_fmt(format_args!("{sign}"))?;
        if days > 0 {
            write!(f, "{days}d")?;
        }
        write!(f, "{hours}h{minutes:02}m")?;
        match of(1) % 60 {
            0 => Ok(()),
            seconds => write!(f, "{seconds:02}s"),
        }
    }
}
