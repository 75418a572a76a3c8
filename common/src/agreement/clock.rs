//! When a clock of the agreement runs out, in elapsed time or in working hours.
//!
//! Working hours are local time in the United Kingdom, so they follow summer time. Bank holidays are not known: they count
//! like any other day, and a clock that runs over one ends early, never late.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    facts::Facts,
    gates,
    model::Agreement,
    terms::{ClockName, ClockRuns, Gate, Weekday},
    values::{Clocks, Limit},
};
use crate::{
    id::PersonRef,
    rating::Colour,
    time::{SignedDuration, Timestamp},
};

/// Local time in the United Kingdom, as a rule and not as a database: an agreement has to mean the
/// same on every machine, also on one without time zone data. Summer Time Act 1972 as amended by
/// S.I. 2002/262: from 01:00 UTC on the last Sunday of March to that of October.
const UNITED_KINGDOM: &str = "GMT0BST,M3.5.0/1,M10.5.0";

/// Local time in the United Kingdom; `None` can not come about, as the rule is a constant.
#[must_use]
pub fn united_kingdom() -> Option<TimeZone> {
    TimeZone::posix(UNITED_KINGDOM).ok()
}

/// A time as people in the United Kingdom read it, for example `28 Nov 2026, 14:05`.
#[must_use]
pub fn in_words(at: Timestamp) -> String {
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%-d %b %Y, %H:%M").to_string()
}

/// The hours that a clock which runs in working hours counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkingHours {
    /// From Monday on: whether anybody works.
    days: [bool; 7],
    from: Time,
    to: Time,
}

impl Default for WorkingHours {
    /// Monday to Friday, 09:00 to 17:00.
    fn default() -> Self {
        let days = [true, true, true, true, true, false, false];
        Self { days, from: Time::constant(9, 0, 0, 0), to: Time::constant(17, 0, 0, 0) }
    }
}

impl WorkingHours {
    /// The same hours on each of these days; `None` when they are no hours, or there is no day.
    #[must_use]
    pub fn new(days: &[Weekday], from: Time, to: Time) -> Option<Self> {
        if days.is_empty() || from >= to {
            return None;
        }
        let mut worked = [false; 7];
        for (worked, day) in worked.iter_mut().zip(Weekday::ALL) {
            *worked = days.contains(day);
        }
        Some(Self { days: worked, from, to })
    }

    /// When so much working time has passed since `start`: the end of a working day, not the beginning of the next.
    #[must_use]
    pub fn after(&self, start: Timestamp, length: SignedDuration) -> Timestamp {
        // Fail towards the earlier end.
        let Some(zone) = united_kingdom() else { return later(start, length) };
        let mut left = length;
        let mut day = zone.to_datetime(start).date();
        loop {
            if let Some((opens, closes)) = self.on(day, &zone) {
                let from = opens.max(start);
                let counted = closes.duration_since(from);
                if counted >= left {
                    return later(from, left);
                }
                left -= counted.max(SignedDuration::ZERO);
            }
            let Ok(tomorrow) = day.tomorrow() else { return Timestamp::MAX };
            day = tomorrow;
        }
    }

    /// Whether a moment is within the hours. Where local time can not be told, nothing is.
    #[must_use]
    pub fn cover(&self, at: Timestamp) -> bool {
        let Some(zone) = united_kingdom() else { return false };
        let open = self.on(zone.to_datetime(at).date(), &zone);
        open.is_some_and(|(opens, closes)| opens <= at && at < closes)
    }

    /// From when to when there is work on a day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let place = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        self.days.get(place).filter(|worked| **worked)?;
        let at = |time| zone.to_timestamp(day.to_datetime(time)).ok();
        at(self.from).zip(at(self.to))
    }
}

impl Clocks {
    /// One of the clocks.
    #[must_use]
    pub const fn limit(&self, clock: ClockName) -> Limit {
        match clock {
            ClockName::Section47 => self.section_47,
            ClockName::Red => self.red,
            ClockName::Amber => self.amber,
            ClockName::Green => self.green,
        }
    }

    /// When a clock that started at `start` runs out.
    #[must_use]
    pub fn end(&self, clock: ClockName, start: Timestamp) -> Timestamp {
        self.share(clock, 100, start)
    }

    /// When so many percent of a clock that started at `start` are used up.
    #[must_use]
    pub fn share(&self, clock: ClockName, percent: u8, start: Timestamp) -> Timestamp {
        let Limit { limit, runs } = self.limit(clock);
        let part = limit.checked_mul(i32::from(percent)).map_or(limit, |many| many / 100);
        match runs {
            ClockRuns::Elapsed => later(start, part),
            ClockRuns::Working => self.working_hours.after(start, part),
        }
    }
}

/// The clock that runs for what is decided about a person: section 47 where that gate is open, otherwise the colour's. The
/// colour is the highest that any agency gives the person, or that opened a gate for them by way of somebody else.
#[must_use]
pub fn running(
    agreement: &Agreement,
    facts: &Facts,
    person: &PersonRef,
    now: Timestamp,
) -> ClockName {
    let open = gates::open(agreement, facts, person, now);
    if open.is_open(Gate::G4) {
        return ClockName::Section47;
    }
    let ratings = facts.current_ratings(agreement);
    let level = ratings.iter().filter(|rating| rating.person == *person).map(|r| r.colour).max();
    if open.is_open(Gate::G3) || level == Some(Colour::Red) {
        ClockName::Red
    } else if open.is_open(Gate::G2) || level == Some(Colour::Amber) {
        ClockName::Amber
    } else {
        ClockName::Green
    }
}

fn later(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
