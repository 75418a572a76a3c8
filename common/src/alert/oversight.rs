//! What the operator of a program says of its people's work, so that the watch can tell the unusual.

use jiff::civil::Time;
use serde::Deserialize;

use crate::{
    agreement::{Weekday, WorkingHours},
    time::SignedDuration,
};

/// The `[oversight]` table of a configuration. It changes what information governance is told of, never what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Written")]
pub struct Oversight {
    /// Days on which people work. Default: Monday to Friday.
    pub days: Vec<Weekday>,
    /// From when on they work, local time in the United Kingdom. Default 07:00.
    pub from: Time,
    /// Until when. Default 20:00.
    pub to: Time,
    /// How many details one person opens within 24 hours before it is unusual. Default 30.
    pub openings_per_day: u32,
    /// How many refusals of one person or party within an hour are ordinary. Default 10.
    pub refusals_per_hour: u32,
}

impl Default for Oversight {
    fn default() -> Self {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        Self {
            days: vec![Monday, Tuesday, Wednesday, Thursday, Friday],
            // Early and late desks included; who works nights is configured.
            from: Time::constant(7, 0, 0, 0),
            to: Time::constant(20, 0, 0, 0),
            // A busy assessor's inbox has a handful a day.
            openings_per_day: 30,
            refusals_per_hour: 10,
        }
    }
}

impl Oversight {
    /// The hours in which work is usual.
    #[must_use]
    pub fn hours(&self) -> WorkingHours {
        // Checked when it was read; the default is the agreement's.
        WorkingHours::new(&self.days, self.from, self.to).unwrap_or_default()
    }
}

/// For how long somebody is not told of again after an alert about their hours: a night, or a day of a weekend.
pub const SAME_SHIFT: SignedDuration = SignedDuration::from_hours(12);

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    days: Option<Vec<Weekday>>,
    from: Option<String>,
    to: Option<String>,
    openings_per_day: Option<u32>,
    refusals_per_hour: Option<u32>,
}

/// A table that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NotOversight {
    #[error("`from` and `to` are times of day, for example \"07:00\"")]
    Time,
    #[error("`days` names at least one day, and `to` is later than `from`")]
    NoHours,
}

impl TryFrom<Written> for Oversight {
    type Error = NotOversight;

    fn try_from(written: Written) -> Result<Self, NotOversight> {
        let usual = Self::default();
        let time = |text: Option<String>, usual| match text {
            None => Ok(usual),
            Some(text) => Time::strptime("%H:%M", text).map_err(|_| NotOversight::Time),
        };
        let read = Self {
            days: written.days.unwrap_or(usual.days),
            from: time(written.from, usual.from)?,
            to: time(written.to, usual.to)?,
            openings_per_day: written.openings_per_day.unwrap_or(usual.openings_per_day),
            refusals_per_hour: written.refusals_per_hour.unwrap_or(usual.refusals_per_hour),
        };
        match WorkingHours::new(&read.days, read.from, read.to) {
            Some(_) => Ok(read),
            None => Err(NotOversight::NoHours),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_are_none_are_refused_and_what_is_left_out_is_usual() {
        let read = |text: &str| toml::from_str::<Oversight>(text);
        for wrong in ["days = []", "from = \"20:00\"", "to = \"noon\"", "nights = true"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("").unwrap(), Oversight::default());
        let nights = read("days = [\"saturday\"]\nfrom = \"00:00\"\nto = \"23:59\"").unwrap();
        assert!(nights.hours().cover("2027-02-13T03:00:00Z".parse().unwrap()));
        assert!(!nights.hours().cover("2027-02-12T12:00:00Z".parse().unwrap()));
    }
}
