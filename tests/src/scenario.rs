//! A scenario: people, what agencies hold on them, what people do and when, and what has to come of it.
//!
//! The format is told in `scenarios/README.md`. Times are relative to the start, which may be any day; the clock of the
//! play goes by them, and nobody waits.

use std::{fmt, path::Path};

use brag_common::{
    agreement::LinkKind,
    config::DurationText,
    id::AgencyId,
    time::{Clock as _, SystemClock, Timestamp},
};
use jiff::{RoundMode, TimestampRound, Unit};
use serde::{Deserialize, Deserializer, de::Error as _};

mod at;
mod check;
mod csv;
mod does;
mod events;
mod expect;
mod has;
mod life;
mod mark;
mod people;
mod variant;
mod who;

pub use at::At;
pub use does::{
    Accept, Acknowledge, Assertion, Away, Confirm, Consent, ConsentSaid, HubRestart, LogFull, Open,
    Rating, Release, Review, Threshold,
};
pub use events::Event;
pub use expect::{Cell, Check, Decided, Expected, Gates, Level, Said, letter};
pub use has::{Holding, Part, Record};
pub use life::{
    Close, Ended, FAMILY, Happening, History, Leader, Meeting, Planned, Progress, Waive,
};
pub use mark::{ClockName, ClockStands, ClockState, Flags, Mark};
pub use who::{Address, Link, OtherName, Person, Referral, Role};

use variant::Sources;

/// S1, the first scenario: built in, so that the demo needs no file.
pub const S1: &str = include_str!("../scenarios/s1.toml");

/// A whole scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub title: String,
    /// When it starts, with its distance from UTC; absent: at the present minute.
    #[serde(default, deserialize_with = "start")]
    pub start: Option<Timestamp>,
    /// How long the round is open, at most 30 days; absent: what the hub's configuration says.
    pub answer_within: Option<DurationText>,
    /// The purpose of the enquiry, in the agreement's words.
    pub purpose: String,
    /// Whether there is evidence of domestic abuse.
    #[serde(default)]
    pub domestic_abuse: bool,
    /// Where the enquiry comes from.
    pub referral: Referral,
    /// The people of the enquiry, in the order of the matrix.
    pub person: Vec<Person>,
    /// Links between them, as the co-ordinator enters them.
    #[serde(default)]
    pub link: Vec<Link>,
    /// Who has whom on record.
    #[serde(default)]
    pub record: Vec<Record>,
    /// Agencies that import what they have as CSV; the others do so as JSON Lines.
    #[serde(default)]
    pub csv: Vec<toml::Spanned<AgencyId>>,
    /// What agencies hold.
    #[serde(default)]
    pub holding: Vec<Holding>,
    /// Colours that agencies give, before the start or during play.
    #[serde(default)]
    pub rating: Vec<Rating>,
    /// Links that agencies sign.
    #[serde(default)]
    pub confirm: Vec<Confirm>,
    /// Thresholds that agencies sign.
    #[serde(default)]
    pub assertion: Vec<Assertion>,
    /// Requests for detail.
    #[serde(default)]
    pub release: Vec<Release>,
    /// What approvers do.
    #[serde(default)]
    pub review: Vec<Review>,
    /// What people say about sharing.
    #[serde(default)]
    pub consent: Vec<Consent>,
    /// Actions that agencies accept.
    #[serde(default)]
    pub accept: Vec<Accept>,
    /// Detail that was taken back, which recipients acknowledge.
    #[serde(default)]
    pub acknowledge: Vec<Acknowledge>,
    /// What recipients open later.
    #[serde(default)]
    pub open: Vec<Open>,
    /// Nodes that are away for a time.
    #[serde(default)]
    pub away: Vec<Away>,
    /// Logs that can not be written for a time.
    #[serde(default)]
    pub log_full: Vec<LogFull>,
    /// When the hub is killed and starts again.
    #[serde(default)]
    pub hub_restart: Vec<HubRestart>,
    /// What agencies know of earlier contacts with the family.
    #[serde(default)]
    pub history: Vec<History>,
    /// What happens, in words of the trade.
    #[serde(default)]
    pub event: Vec<Happening>,
    /// Actions of the plan.
    #[serde(default)]
    pub action: Vec<Planned>,
    /// How actions end.
    #[serde(default)]
    pub progress: Vec<Progress>,
    /// Who leads.
    #[serde(default)]
    pub lead: Vec<Leader>,
    /// Meetings.
    #[serde(default)]
    pub meeting: Vec<Meeting>,
    /// Answers that are not waited for.
    #[serde(default)]
    pub waive: Vec<Waive>,
    /// When somebody closes it, or tries to.
    #[serde(default)]
    pub close: Vec<Close>,
    /// What has to be so at a time.
    #[serde(default)]
    pub check: Vec<Check>,
    /// What has to have become of flags at the end.
    #[serde(default)]
    pub flags: Flags,
}

/// TOML's own date and time with its distance from UTC.
fn start<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let written = toml::value::Datetime::deserialize(from)?.to_string();
    let read = written.parse().map(Some);
    read.map_err(|_| {
        D::Error::custom(format!("`{written}` has no time of day, or no distance from UTC"))
    })
}

/// What is wrong with a scenario file: every fault with its place.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

impl Scenario {
    /// Reads a scenario. `file` names it in faults, and a variant's other file is beside it; `agencies` are the parties of the
    /// agreement.
    ///
    /// # Errors
    /// Everything that is wrong with it, as `file:line: what`.
    pub fn parse(file: &Path, text: &str, agencies: &[AgencyId]) -> Result<Self, Faults> {
        let sources = Sources::of(file, text)?;
        let scenario = sources.read().map_err(|error| sources.fault(&error))?;
        let faults = check::faults(&scenario, agencies);
        if faults.is_empty() {
            return Ok(scenario);
        }
        let told = faults.into_iter().map(|(at, what)| format!("{}: {what}", sources.place(at)));
        Err(Faults(told.collect()))
    }

    /// When it starts: as it is written, or else the present minute.
    ///
    /// # Panics
    /// Never: a minute can be rounded to.
    #[must_use]
    pub fn starts_at(&self) -> Timestamp {
        let whole_minute = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Trunc);
        self.start.unwrap_or_else(|| SystemClock.now().round(whole_minute).unwrap())
    }

    /// The person with a label.
    ///
    /// # Panics
    /// When there is none, which the reading of the file rules out.
    #[must_use]
    pub fn person(&self, label: &str) -> &Person {
        self.person.iter().find(|person| person.label.get_ref() == label).unwrap()
    }

    /// Labels in the order of the matrix.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.person.iter().map(|person| person.label.get_ref().as_str())
    }

    /// Links as pairs.
    pub fn links(&self) -> impl Iterator<Item = (&str, LinkKind, &str)> {
        self.link.iter().flat_map(|link| {
            link.to
                .iter()
                .map(|to| (link.from.get_ref().as_str(), link.kind, to.get_ref().as_str()))
        })
    }

    /// Every text that nobody but a holder and its recipients may have: the markers of what is held, and what approvers wrote in
    /// the place of it.
    #[must_use]
    pub fn markers(&self) -> Vec<String> {
        let held = self.holding.iter().map(|holding| holding.marker.get_ref().clone());
        held.chain(self.review.iter().filter_map(|review| review.redact.clone())).collect()
    }

    /// NHS numbers of the people, as they are written and without spaces.
    #[must_use]
    pub fn numbers(&self) -> Vec<String> {
        let written = self.person.iter().filter_map(|person| person.nhs.as_ref());
        written.flat_map(|nhs| [nhs.get_ref().clone(), nhs.get_ref().replace(' ', "")]).collect()
    }

    /// Full names of the people, also as agencies spell them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let full = |given: &str, family: &str| format!("{given} {family}");
        let mut names: Vec<String> =
            self.person.iter().map(|person| full(&person.given, &person.family)).collect();
        for record in &self.record {
            let person = self.person(record.person.get_ref());
            names.push(full(
                record.given.as_deref().unwrap_or(&person.given),
                record.family.as_deref().unwrap_or(&person.family),
            ));
        }
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests;
