//! What the sections of an agreement say, as plain values: any combination of them is fine.

use std::collections::BTreeSet;

use super::{
    clock::WorkingHours,
    period::Period,
    terms::{Class, ClockRuns, Mode, ReviewAuthority, Special},
};
use crate::{
    id::AgencyId,
    rating::{AnalysisBounds, Colour},
    time::SignedDuration,
};

/// One cell of the disclosure table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// How a release happens.
    pub mode: Mode,
    /// Who alone may receive; absent means anybody the other rules allow.
    pub recipients: Option<BTreeSet<AgencyId>>,
}

/// A category of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its title, for people.
    pub title: Box<str>,
    /// How sensitive it is.
    pub class: Class,
    /// Which further conditions of the UK GDPR a request for it must state.
    pub special: BTreeSet<Special>,
}

/// Rules for ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatingTerms {
    /// Whether Blue is refused where there is evidence of domestic abuse.
    pub forbid_blue_with_domestic_abuse: bool,
    /// Bounds on an analysis.
    pub analysis: AnalysisBounds,
    /// How old a standing rating may be before an assessor is asked again.
    pub standing_age_max: SignedDuration,
}

/// The numbers in the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateNumbers {
    /// Agencies at Amber or above that open gate 2.
    pub amber_agencies: usize,
    /// Dash ticks that meet the Marac threshold.
    pub marac_dash_ticks: u32,
    /// Reports in twelve months that meet the Marac threshold.
    pub marac_reports: u32,
    /// Earlier contacts from which an enquiry is flagged.
    pub cumulative_history: u32,
}

/// When an agency is taken to know a person: bounds on the posterior probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchingTerms {
    /// At or above: the identity is disclosed, sealed, to that agency.
    pub disclose_from: f64,
    /// At or above, and below `disclose_from`: somebody authorises, then a person compares.
    pub review_from: f64,
    /// Who authorises.
    pub review_authorised_by: ReviewAuthority,
}

/// How long a rating counts towards a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// An Amber.
    pub amber: SignedDuration,
    /// A Red.
    pub red: SignedDuration,
}

impl Freshness {
    /// How long a rating of this colour counts; `None` for colours that count towards no gate.
    #[must_use]
    pub const fn limit(&self, colour: Colour) -> Option<SignedDuration> {
        match colour {
            Colour::Blue | Colour::Green => None,
            Colour::Amber => Some(self.amber),
            Colour::Red => Some(self.red),
        }
    }
}

/// One clock: how much time, and which hours it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How much time.
    pub limit: SignedDuration,
    /// Which hours.
    pub runs: ClockRuns,
}

/// The clocks of an enquiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// From a section 47 assertion to its decision.
    pub section_47: Limit,
    /// For a Red.
    pub red: Limit,
    /// For an Amber.
    pub amber: Limit,
    /// For a Green.
    pub green: Limit,
    /// From the incident to the notification.
    pub notification_lag: Limit,
    /// What clocks that run in working hours count.
    pub working_hours: WorkingHours,
}

/// Human approval at the holder. A review that nobody decides always ends in refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewTerms {
    /// After which share of the running clock a review is escalated, in percent.
    pub escalate_at_percent: u8,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Ratings, after an enquiry is closed.
    pub ratings_after_close: Period,
    /// The audit log.
    pub audit_log: Period,
}

/// Who is told when something is late or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contacts {
    /// The data protection officer.
    pub data_protection_officer: Box<str>,
    /// The out-of-hours team.
    pub out_of_hours: Box<str>,
    /// The safeguarding board.
    pub board: Box<str>,
}
