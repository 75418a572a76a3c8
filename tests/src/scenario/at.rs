//! Times of a scenario: relative to its start.

use std::{fmt, str::FromStr};

use brag_common::time::{SignedDuration, Timestamp};
use serde::Deserialize;

/// A time relative to the start, for example `+2h10m`, `-13h25m`, `+14d`.
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
                "`{text}` is not a time relative to the start: expected `0`, or a sign and days, hours and minutes, as in `+2h10m`"
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
        let mut minutes: i64 = 0;
        for (unit, worth) in [('d', 24 * 60), ('h', 60), ('m', 1)] {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            let number: u16 = number.parse().map_err(|_| wrong())?;
            minutes += i64::from(number) * worth;
            rest = after;
        }
        if !rest.is_empty() || minutes == 0 || minutes > 366 * 24 * 60 {
            return Err(wrong());
        }
        Ok(Self(SignedDuration::from_mins(sign * minutes)))
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
        let minutes = self.0.as_mins().unsigned_abs();
        let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
        f.write_fmt(format_args!("{sign}"))?;
        if days > 0 {
            write!(f, "{days}d")?;
        }
        write!(f, "{hours}h{minutes:02}m")
    }
}
