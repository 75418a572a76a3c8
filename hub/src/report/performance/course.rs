//! What the hub's log tells of the course of each enquiry: its opening, its flags, its clocks, and how it was closed.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    agreement::{Agreement, Requirement},
    audit::entry::{Action, Entry, Party, Word},
    id::{EnquiryRef, PersonRef},
    time::{SignedDuration, Timestamp},
};

use super::measures::{
    ANSWERING, CLOCKS, CLOSING, FLAGS, FULL_MATRIX, FULL_MATRIX_WITHIN, NOTIFIED, RE_REFERRALS,
    STEPS,
};
use crate::report::{
    answers::{Answers, Cell},
    count::{FigureId, Figures, Source, Unit},
    measures::{CLOSED, TOTALS},
    period::Period,
    waiting::Times,
};

/// Codes with which closing is refused, each a figure of [`CLOSING`].
pub const CLOSING_REFUSED: [&str; 2] = ["NFA_BLOCKED", "CLOSE_BLOCKED"];

/// The columns of [`ANSWERING`].
pub const COLUMNS: [&str; 6] =
    ["asked", "answered", "in_time", "late", "not_answered", "missing_at_the_end"];

/// Classes of the time to the full matrix: the word, and the time within which it lies in hours; the last has no end.
pub const CLASSES: [(&str, i64); 6] = [
    ("1_hour", 1),
    ("4_hours", 4),
    ("24_hours", 24),
    ("72_hours", 72),
    ("7_days", 7 * 24),
    ("longer", i64::MAX),
];

/// No enquiry has more people (the hub takes at most 24); a log that says otherwise does not make the report grow.
const MAX_PEOPLE: u64 = 1_000;

/// What a flag is about: an agency, a person, or neither.
type About = (Option<Party>, Option<PersonRef>);

/// A flag as the log tells of it.
#[derive(Debug, Default)]
struct Flag {
    standing: BTreeSet<About>,
    sources: Vec<Source>,
}

/// One enquiry.
#[derive(Debug)]
pub struct Enquiry {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The thing that is counted: its opening.
    pub unit: Unit,
    n_people: u64,
    second: Option<Source>,
    flags: BTreeMap<String, Flag>,
}

impl Enquiry {
    /// One of its people, from 1 on, as the thing that is counted.
    #[must_use]
    pub fn person(&self, number: u64) -> Unit {
        self.unit.part(number)
    }

    fn with(&self, flag: &Flag) -> Unit {
        self.unit.shown_by(flag.sources.iter().cloned())
    }
}

/// Every enquiry of a log, as far as it has been read.
#[derive(Debug, Default)]
pub struct Course {
    enquiries: BTreeMap<EnquiryRef, Enquiry>,
    /// What agencies answered.
    pub answers: Answers,
    /// What is counted by itself: closings, refusals to close, and steps.
    acts: Vec<Act>,
}

/// An entry that is counted by itself.
#[derive(Debug)]
struct Act {
    at: Timestamp,
    unit: Unit,
    what: What,
}

#[derive(Debug)]
enum What {
    Closed(String),
    Refused(&'static str),
    Step(&'static str, String),
}

impl Course {
    /// Reads the next entry of the hub's log.
    pub fn read(&mut self, entry: &Entry) {
        self.answers.read(entry);
        let word = || entry.decision.as_ref().map_or("not_stated", Word::as_str).to_owned();
        let what = match entry.action {
            Action::EnquiryClosed => What::Closed(word()),
            Action::RequestRefused => {
                let code = CLOSING_REFUSED.into_iter().find(|code| *code == word());
                let Some(code) = code else { return };
                What::Refused(code)
            }
            Action::EventRecorded => What::Step("event", word()),
            Action::PlanChanged => What::Step("action", word()),
            Action::LeadNamed => What::Step("lead", "named".to_owned()),
            Action::MeetingHeld => What::Step("meeting", "held".to_owned()),
            Action::AnswerWaived => What::Step("answer", "waived".to_owned()),
            _ => {
                self.read_enquiry(entry);
                return;
            }
        };
        self.acts.push(Act { at: entry.ts, unit: Unit::of(entry), what });
    }

    fn read_enquiry(&mut self, entry: &Entry) {
        let Some(name) = &entry.enquiry else { return };
        if entry.action == Action::EnquiryOpened {
            self.enquiries.entry(name.clone()).or_insert_with(|| Enquiry {
                opened_at: entry.ts,
                unit: Unit::of(entry),
                n_people: entry.count.unwrap_or_default().min(MAX_PEOPLE),
                second: None,
                flags: BTreeMap::new(),
            });
            return;
        }
        let Some(enquiry) = self.enquiries.get_mut(name) else { return };
        match (entry.action, &entry.decision) {
            (Action::SecondEnquiry, _) => enquiry.second = Some(Source::of(entry)),
            (Action::FlagRaised, Some(word)) => {
                let flag = enquiry.flags.entry(word.to_string()).or_default();
                flag.standing.insert((entry.peer.clone(), entry.person.clone()));
                flag.sources.push(Source::of(entry));
            }
            (Action::FlagCleared, Some(word)) => {
                let flag = enquiry.flags.entry(word.to_string()).or_default();
                flag.standing.remove(&(entry.peer.clone(), entry.person.clone()));
                flag.sources.push(Source::of(entry));
            }
            _ => {}
        }
    }

    /// An enquiry whose opening stands in the log.
    #[must_use]
    pub fn enquiry(&self, name: &EnquiryRef) -> Option<&Enquiry> {
        self.enquiries.get(name)
    }

    /// Every enquiry whose opening stands in the log.
    pub fn enquiries(&self) -> impl Iterator<Item = (&EnquiryRef, &Enquiry)> {
        self.enquiries.iter()
    }

    /// Counts everything that the log tells.
    pub fn count(
        &self,
        agreement: &Agreement,
        period: &Period,
        figures: &mut Figures,
        times: &mut Times,
    ) {
        declare(figures);
        for act in &self.acts {
            act.count(period, figures);
        }
        for enquiry in self.enquiries.values() {
            enquiry.count(period.holds(enquiry.opened_at), figures);
        }
        self.count_answers(period, figures, times);
        self.count_matrices(agreement, period, figures, times);
    }

    fn count_answers(&self, period: &Period, figures: &mut Figures, times: &mut Times) {
        for (name, _, agency, cell) in self.answers.cells() {
            let Some(enquiry) = self.enquiries.get(name) else { continue };
            let (unit, now) = (cell.unit(), period.holds(enquiry.opened_at));
            COLUMNS.iter().for_each(|what| figures.declare(&ANSWERING, &[agency, what]));
            let mut add = |what: &str| figures.count(&ANSWERING, &[agency, &what], &unit, now);
            add("asked");
            match cell.first_answer() {
                None => {
                    add("not_answered");
                    add("missing_at_the_end");
                }
                Some(at) => {
                    add("answered");
                    let id = FigureId::new(&ANSWERING, [agency.to_string().as_str(), "answered"]);
                    times.add(id, since(enquiry.opened_at, at), now);
                    if cell.is_late() {
                        add("late");
                        add("missing_at_the_end");
                    } else {
                        add("in_time");
                    }
                }
            }
        }
    }

    fn count_matrices(
        &self,
        agreement: &Agreement,
        period: &Period,
        figures: &mut Figures,
        times: &mut Times,
    ) {
        let mut by_enquiry: BTreeMap<&EnquiryRef, Vec<(&Party, &Cell)>> = BTreeMap::new();
        for (name, _, agency, cell) in self.answers.cells() {
            by_enquiry.entry(name).or_default().push((agency, cell));
        }
        for (name, enquiry) in &self.enquiries {
            let now = period.holds(enquiry.opened_at);
            let cells = by_enquiry.get(name).map_or(&[][..], Vec::as_slice);
            let Some((full_at, sources)) = full(enquiry, cells, agreement) else {
                figures.count(&FULL_MATRIX, &[&"not_full"], &enquiry.unit, now);
                continue;
            };
            let unit = enquiry.unit.shown_by(sources);
            figures.count(&FULL_MATRIX, &[&"full"], &unit, now);
            let took = since(enquiry.opened_at, full_at);
            times.add(FigureId::new(&FULL_MATRIX, ["full"]), took, now);
            let class = CLASSES.iter().find(|(_, hours)| took.as_hours() < *hours);
            if let Some((class, _)) = class {
                figures.count(&FULL_MATRIX_WITHIN, &[class], &unit, now);
            }
        }
    }
}

/// Figures that say 0 when nothing happened, so that their tables always have the same rows.
fn declare(figures: &mut Figures) {
    for what in ["enquiries", "people", "closed"] {
        figures.declare(&TOTALS, &[&what]);
    }
    for what in ["full", "not_full"] {
        figures.declare(&FULL_MATRIX, &[&what]);
    }
    for (class, _) in &CLASSES {
        figures.declare(&FULL_MATRIX_WITHIN, &[class]);
    }
    for what in CLOSING_REFUSED.iter().chain(&["all"]) {
        figures.declare(&CLOSING, &[what]);
    }
    for what in ["linked", "not_linked", "with_reason"] {
        figures.declare(&RE_REFERRALS, &[&what]);
    }
    for what in ["over_the_limit", "not_over"] {
        figures.declare(&NOTIFIED, &[&what]);
    }
    for state in ["started", "met", "breached", "running"] {
        figures.declare(&CLOCKS, &[&"section_47", &state]);
    }
    for state in ["met", "breached", "running"] {
        figures.declare(&CLOCKS, &[&"response", &state]);
    }
}

impl Act {
    fn count(&self, period: &Period, figures: &mut Figures) {
        let now = period.holds(self.at);
        let mut add = |measure, by: &[&dyn std::fmt::Display]| {
            figures.count(measure, by, &self.unit, now);
        };
        match &self.what {
            What::Closed(outcome) => {
                add(&TOTALS, &[&"closed"]);
                add(&CLOSED, &[outcome]);
                add(&CLOSING, &[&"all"]);
            }
            What::Refused(code) => {
                add(&CLOSING, &[code]);
                add(&CLOSING, &[&"all"]);
            }
            What::Step(step, word) => add(&STEPS, &[step, word]),
        }
    }
}

impl Enquiry {
    fn count(&self, now: bool, figures: &mut Figures) {
        figures.count(&TOTALS, &[&"enquiries"], &self.unit, now);
        for number in 1..=self.n_people {
            figures.count(&TOTALS, &[&"people"], &self.person(number), now);
        }
        for (word, flag) in &self.flags {
            figures.count(&FLAGS, &[word, &"raised"], &self.with(flag), now);
            if !flag.standing.is_empty() {
                figures.count(&FLAGS, &[word, &"standing"], &self.with(flag), now);
            }
        }
        let mut add = |measure, by: &[&dyn std::fmt::Display], flag: Option<&Flag>| {
            let unit = flag.map_or_else(|| self.unit.clone(), |flag| self.with(flag));
            figures.count(measure, by, &unit, now);
        };
        let linked = self.flags.get("linked_earlier_enquiry");
        if linked.is_some() || self.second.is_some() {
            add(&RE_REFERRALS, &[&"linked"], linked);
        } else {
            add(&RE_REFERRALS, &[&"not_linked"], None);
        }
        let late = self.flags.get("notification_lag");
        add(&NOTIFIED, &[&if late.is_some() { "over_the_limit" } else { "not_over" }], late);
        if let Some(started) = self.flags.get("s47_clock_started") {
            add(&CLOCKS, &[&"section_47", &"started"], Some(started));
            let (state, flag) = self.clock("s47_clock_met", "s47_clock_breached");
            add(&CLOCKS, &[&"section_47", &state], flag.or(Some(started)));
        }
        let (state, flag) = self.clock("response_clock_met", "response_clock_breached");
        add(&CLOCKS, &[&"response", &state], flag);
        if let Some(second) = &self.second {
            let unit = self.unit.shown_by([second.clone()]);
            figures.count(&RE_REFERRALS, &[&"with_reason"], &unit, now);
        }
    }

    /// How a clock stands by its flags. What was breached stays breached, whatever came after it.
    fn clock(&self, met: &str, breached: &str) -> (&'static str, Option<&Flag>) {
        match (self.flags.get(met), self.flags.get(breached)) {
            (_, Some(breached)) => ("breached", Some(breached)),
            (Some(met), None) => ("met", Some(met)),
            (None, None) => ("running", None),
        }
    }
}

/// When the last required first answer of an enquiry came, and the entries of the answers; `None` while one is missing.
fn full(
    enquiry: &Enquiry,
    cells: &[(&Party, &Cell)],
    agreement: &Agreement,
) -> Option<(Timestamp, Vec<Source>)> {
    let always = agreement.parties().filter(|party| {
        party.requirement() != Requirement::Conditional && party.in_force(enquiry.opened_at)
    });
    // Somebody of whom no entry tells has not been asked about yet.
    for party in always {
        let told = cells.iter().filter(|(agency, _)| **agency == Party::Agency(party.id().clone()));
        if u64::try_from(told.count()).ok()? < enquiry.n_people {
            return None;
        }
    }
    let (mut last, mut sources) = (enquiry.opened_at, Vec::new());
    for (agency, cell) in cells {
        let waited_for = cell.is_required(agreement, agency);
        match cell.complete_at() {
            Some(at) if waited_for => {
                last = last.max(at);
                sources.extend(cell.sources().iter().cloned());
            }
            None if waited_for => return None,
            Some(_) | None => {}
        }
    }
    Some((last, sources))
}

/// How long it is since; a clock that was put back may make it negative, and it took no time then.
fn since(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests;
