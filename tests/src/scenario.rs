//! A scenario: people, what agencies hold on them, what people do and when, and what has to come of it.
//!
//! The format is told in `scenarios/README.md`. Times are relative to the start, so that a scenario plays on any
//! day; they order what happens, nobody waits for them.

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr};

use brag_common::{
    agreement::LinkKind,
    id::{AgencyId, CategoryCode},
    matching::identity::{NameKind, Sex},
    rating::Colour,
    time::{SignedDuration, Timestamp},
};
use serde::Deserialize;
use toml::Spanned;

mod check;
mod expect;
mod people;

pub use expect::{Cell, Check, Decided, Expected, Gates, Level, letter, status_words};
pub use people::Event;

/// S1, the first scenario: built in, so that the demo needs no file.
pub const S1: &str = include_str!("../scenarios/s1.toml");

/// A whole scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub title: String,
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
    /// What has to be so at a time.
    #[serde(default)]
    pub check: Vec<Check>,
}

/// Where an enquiry comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    /// The agency that referred.
    pub agency: Spanned<AgencyId>,
    /// Its reference.
    pub reference: String,
    /// When it happened.
    pub incident: At,
}

/// One person of the enquiry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Short label, unique.
    pub label: Spanned<String>,
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// Other names.
    #[serde(default)]
    pub other_names: Vec<OtherName>,
    /// Age in years at the start; or else `born`.
    pub age: Option<u8>,
    /// Birth, as far as it is known; or else `age`.
    pub born: Option<String>,
    /// Sex as recorded; absent when none is.
    #[serde(default, deserialize_with = "expect::sex")]
    pub sex: Option<Sex>,
    /// Invented NHS number of the test range 999; absent when there is none.
    pub nhs: Option<Spanned<String>>,
    /// Addresses, the present one first.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Part in the enquiry.
    pub role: Option<Role>,
    /// The referrer's first colour; absent when it gave none.
    pub initial: Option<Colour>,
}

/// A former name, an alias, or what somebody is known as.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherName {
    /// `former`, `alias` or `known_as`.
    #[serde(deserialize_with = "expect::name_kind")]
    pub kind: NameKind,
    /// Given name; absent when it is that of the person.
    pub given: Option<String>,
    /// Family name; absent when it is that of the person.
    pub family: Option<String>,
}

/// An address. Days are not written: the first is the present one, the others came before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// First line.
    pub house: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
}

/// Part of a person in the enquiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Role {
    Victim,
    Child,
    PersonPosingRisk,
    ConnectedPerson,
    Unclear,
}

/// A link, as the co-ordinator enters it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Label.
    pub from: Spanned<String>,
    /// Kind.
    pub kind: LinkKind,
    /// Labels: one link to each.
    pub to: Vec<Spanned<String>>,
}

/// That an agency has a person on record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// The agency's own id for them.
    pub id: String,
    /// Given name as the agency spells it.
    pub given: Option<String>,
    /// Family name as the agency spells it.
    pub family: Option<String>,
    /// What the agency does not have: `nhs`, `born`, `addresses`.
    #[serde(default)]
    pub without: Vec<Part>,
}

/// A part of a record that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Part {
    Nhs,
    Born,
    Addresses,
}

/// Something an agency holds about a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// Category.
    pub category: Spanned<CategoryCode>,
    /// A word that is in the payload and nowhere else, so that a leak can be found.
    pub marker: Spanned<String>,
    /// The payload without the marker.
    pub text: String,
    /// `third_party`, `restricted`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The holder's own marking.
    pub handling_code: Option<String>,
}

impl Holding {
    /// The payload as it is imported.
    #[must_use]
    pub fn payload(&self) -> String {
        format!("{} [{}]", self.text, self.marker.get_ref())
    }
}

/// Colours an agency gives to people, for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When. Before the start: a standing rating, imported with the records.
    pub at: At,
    /// The analysis.
    pub analysis: String,
    /// Its topics.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The person whose record the ratings rest on; absent: each person's own.
    pub via: Option<Spanned<String>>,
    /// Colours by label.
    pub colours: BTreeMap<Spanned<String>, Colour>,
}

/// That an agency signs the enquiry's links of some kinds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Kinds.
    pub kinds: Vec<LinkKind>,
}

/// A threshold that an agency signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Which.
    pub kind: Threshold,
    /// Labels of the people in its scope.
    pub people: Vec<Spanned<String>>,
    /// Marac: ticks on the Dash.
    #[serde(default)]
    pub dash_ticks: u32,
    /// Marac: professional judgement.
    #[serde(default)]
    pub judgement: bool,
    /// Marac: reports in twelve months.
    #[serde(default)]
    pub reports: u32,
    /// Marac: a repeat.
    #[serde(default)]
    pub repeat: bool,
    /// Marac: when the meeting is.
    pub meeting: Option<At>,
}

/// What is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Threshold {
    #[serde(rename = "section_47")]
    Section47,
    Marac,
    #[serde(rename = "care_act_42")]
    CareAct42,
}

/// A request for detail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The row's number.
    pub id: Spanned<String>,
    /// When.
    pub at: At,
    /// The agency that would release.
    pub holder: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// Category.
    pub category: CategoryCode,
    /// Recipients, in the order asked.
    pub to: Vec<Spanned<AgencyId>>,
    /// Fields of the lawful basis that differ from the usual ones.
    #[serde(default)]
    pub basis: BTreeMap<Spanned<String>, String>,
    /// What has to be decided, by recipient.
    pub expect: BTreeMap<Spanned<AgencyId>, Expected>,
    /// Recipients that then open the detail.
    #[serde(default)]
    pub opened_by: Vec<Spanned<AgencyId>>,
}

/// What approvers do about one release that waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The release's row.
    pub release: Spanned<String>,
    /// The recipient.
    pub recipient: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Which of the holder's two approvers act, in order.
    pub by: Vec<u8>,
    /// They refuse, for this reason; absent: they approve.
    pub refuse: Option<String>,
    /// What it comes to.
    pub expect: Expected,
    /// The recipient then opens the detail.
    #[serde(default)]
    pub opened: bool,
}

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
    /// Reads a scenario. `file` names it in faults; `agencies` are the parties of the agreement.
    ///
    /// # Errors
    /// Everything that is wrong with it, as `file:line: what`.
    pub fn parse(file: &Path, text: &str, agencies: &[AgencyId]) -> Result<Self, Faults> {
        let place = |at: usize| {
            let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
            format!("{}:{line}", file.display())
        };
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Faults(vec![format!("{}: {}", place(at), error.message())])
        })?;
        let faults = check::faults(&scenario, agencies);
        if faults.is_empty() {
            return Ok(scenario);
        }
        Err(Faults(faults.into_iter().map(|(at, what)| format!("{}: {what}", place(at))).collect()))
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

    /// Every marker.
    #[must_use]
    pub fn markers(&self) -> Vec<String> {
        self.holding.iter().map(|holding| holding.marker.get_ref().clone()).collect()
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
