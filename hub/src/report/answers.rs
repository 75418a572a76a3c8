//! What agencies answered, from the hub's log: one cell for each enquiry, person and agency.

use std::collections::BTreeMap;

use brag_common::{
    agreement::{Agreement, Requirement},
    audit::entry::{Action, Entry, Party, Word},
    id::{EnquiryRef, PersonRef},
    time::Timestamp,
};

use super::{
    count::{Figures, Source, Unit},
    measures::{ANSWERS, LATE, TOTALS},
    period::Period,
};

/// What an agency has said about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A colour.
    Rated,
    /// That it does not know them.
    NotKnown,
    /// That it will not rate.
    Declined,
    /// Nothing yet: whether it is the same person is being compared.
    Comparing,
    /// Nothing: an assessor was asked, the node could not answer, or it was silent.
    Missing,
}

impl Said {
    const fn word(self) -> &'static str {
        match self {
            Self::Rated => "rated",
            Self::NotKnown => "not_known",
            Self::Declined => "declined",
            Self::Comparing => "comparing",
            Self::Missing => "missing",
        }
    }

    /// Whether it is an answer.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        match self {
            Self::Rated | Self::NotKnown | Self::Declined => true,
            Self::Comparing | Self::Missing => false,
        }
    }

    /// Whether the matrix waits for nothing more: an agency that will not rate leaves its place empty.
    #[must_use]
    pub const fn completes(self) -> bool {
        match self {
            Self::Rated | Self::NotKnown => true,
            Self::Declined | Self::Comparing | Self::Missing => false,
        }
    }

    fn of(entry: &Entry) -> Self {
        match (entry.action, entry.decision.as_ref().map(Word::as_str)) {
            (Action::RateAnswered, Some("rated")) => Self::Rated,
            (Action::RateAnswered, Some("not_known")) => Self::NotKnown,
            (Action::RateAnswered, Some("declined")) => Self::Declined,
            (Action::RateAnswered, Some("possible" | "identity_review")) => Self::Comparing,
            _ => Self::Missing,
        }
    }
}

/// One agency's answer about one person.
#[derive(Debug, Clone)]
pub struct Cell {
    said: Said,
    late: bool,
    /// Whether its node has said that it knows the person.
    known: bool,
    asked_at: Timestamp,
    first_colour: Option<Timestamp>,
    first_answer: Option<Timestamp>,
    complete_at: Option<Timestamp>,
    /// Whether the hub was told not to wait for it.
    waived: bool,
    sources: Vec<Source>,
}

impl Cell {
    /// What the agency has said, as things stand.
    #[must_use]
    pub const fn said(&self) -> Said {
        self.said
    }

    /// When it first answered: a colour, that it does not know them, or that it will not rate.
    #[must_use]
    pub const fn first_answer(&self) -> Option<Timestamp> {
        self.first_answer
    }

    /// When it first gave what the matrix waits for: a colour, or that it does not know them.
    #[must_use]
    pub const fn complete_at(&self) -> Option<Timestamp> {
        self.complete_at
    }

    /// Whether it answered after the round had closed.
    #[must_use]
    pub const fn is_late(&self) -> bool {
        self.late
    }

    /// The thing that is counted.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::new(self.sources.iter().cloned())
    }

    /// The entries that tell of it.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the agreement awaits the answer of this party: that of a recommended one unless it was waived, that of a conditional
    /// one when its node has said that it knows the person.
    #[must_use]
    pub fn is_required(&self, agreement: &Agreement, party: &Party) -> bool {
        let Party::Agency(id) = party else { return false };
        agreement.party(id).is_some_and(|party| match party.requirement() {
            Requirement::Core => true,
            Requirement::Recommended => !self.waived,
            Requirement::Conditional => self.known,
        })
    }

    fn hear(&mut self, entry: &Entry) {
        self.sources.push(Source::of(entry));
        let said = Said::of(entry);
        let word = entry.decision.as_ref().map(Word::as_str);
        self.known |= matches!(word, Some("pending" | "rated" | "identity_review"));
        if said == Said::Rated {
            self.first_colour.get_or_insert(entry.ts);
        }
        if said.is_answer() {
            self.first_answer.get_or_insert(entry.ts);
        }
        if said.completes() {
            self.complete_at.get_or_insert(entry.ts);
        }
        // Silence takes nothing back, and only a rating replaces a rating.
        let stays = match self.said {
            Said::Rated => said != Said::Rated,
            Said::NotKnown | Said::Declined => !said.is_answer() && said != Said::Comparing,
            Said::Comparing => said == Said::Missing && entry.action == Action::NoResponse,
            Said::Missing => false,
        };
        if !stays {
            self.said = said;
        }
    }
}

/// Every answer of a log, as far as it has been read.
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<(EnquiryRef, PersonRef, Party), Cell>);

impl Answers {
    /// Reads the next entry of the hub's log.
    pub fn read(&mut self, entry: &Entry) {
        let (Some(enquiry), Some(person), Some(agency)) =
            (&entry.enquiry, &entry.person, &entry.peer)
        else {
            return;
        };
        let key = (enquiry.clone(), person.clone(), agency.clone());
        match entry.action {
            Action::RateAnswered => self.cell(key, entry).hear(entry),
            // That of a request for detail is no answer about a person.
            Action::NoResponse if entry.release.is_none() => self.cell(key, entry).hear(entry),
            Action::AnswerLate => {
                let cell = self.cell(key, entry);
                cell.late = true;
                cell.sources.push(Source::of(entry));
            }
            Action::AnswerWaived => {
                let cell = self.cell(key, entry);
                cell.waived = true;
                cell.sources.push(Source::of(entry));
            }
            Action::RatingChanged
                if entry.decision.as_ref().is_some_and(|word| word.as_str() == "withdrawn") =>
            {
                let cell = self.cell(key, entry);
                cell.said = Said::Missing;
                cell.sources.push(Source::of(entry));
            }
            _ => {}
        }
    }

    fn cell(&mut self, key: (EnquiryRef, PersonRef, Party), entry: &Entry) -> &mut Cell {
        self.0.entry(key).or_insert_with(|| Cell {
            said: Said::Missing,
            late: false,
            known: false,
            asked_at: entry.ts,
            first_colour: None,
            first_answer: None,
            complete_at: None,
            waived: false,
            sources: Vec::new(),
        })
    }

    /// When the first colour about a person reached the hub.
    #[must_use]
    pub fn first_colour(&self, enquiry: &EnquiryRef, person: &PersonRef) -> Option<Timestamp> {
        // The hub stands before every agency.
        let cells = self.0.range((enquiry.clone(), person.clone(), Party::Hub)..);
        let cells = cells.take_while(|((e, p, _), _)| e == enquiry && p == person);
        cells.filter_map(|(_, cell)| cell.first_colour).min()
    }

    /// Every answer, in the order of enquiry, person and agency.
    pub fn cells(&self) -> impl Iterator<Item = (&EnquiryRef, &PersonRef, &Party, &Cell)> {
        self.0.iter().map(|((enquiry, person, agency), cell)| (enquiry, person, agency, cell))
    }

    /// One agency's answer about one person; `None` when no entry tells of it.
    #[must_use]
    pub fn about(&self, enquiry: &EnquiryRef, person: &PersonRef, agency: &Party) -> Option<&Cell> {
        self.0.get(&(enquiry.clone(), person.clone(), agency.clone()))
    }

    /// Answers that are missing in an enquiry, as things stand: there is no colour, and not that the person is not known. Without an
    /// agreement that says who has to answer, everybody has to who was not waived.
    #[must_use]
    pub fn missing(&self, enquiry: &EnquiryRef, agreement: Option<&Agreement>) -> Vec<Missing> {
        let cells = self.0.iter().filter(|((e, _, _), _)| e == enquiry);
        cells
            .filter(|(_, cell)| !cell.said.completes())
            .map(|((_, person, agency), cell)| Missing {
                agency: agency.clone(),
                person: person.clone(),
                waived: cell.waived,
                required: agreement
                    .map_or(!cell.waived, |agreement| cell.is_required(agreement, agency)),
            })
            .collect()
    }

    /// Counts them.
    pub fn count(&self, period: &Period, figures: &mut Figures) {
        for what in ["answers", "ratings", "late_answers", "missing_answers"] {
            figures.declare(&TOTALS, &[&what]);
        }
        for ((_, _, agency), cell) in &self.0 {
            let unit = cell.unit();
            let now = period.holds(cell.asked_at);
            let mut count = |measure, by: &[&dyn std::fmt::Display]| {
                figures.count(measure, by, &unit, now);
            };
            count(&ANSWERS, &[agency, &cell.said.word()]);
            if cell.said.is_answer() {
                count(&TOTALS, &[&"answers"]);
            }
            if cell.said == Said::Rated {
                count(&TOTALS, &[&"ratings"]);
            }
            if cell.said == Said::Missing {
                count(&TOTALS, &[&"missing_answers"]);
            }
            if cell.late {
                count(&LATE, &[agency]);
                count(&TOTALS, &[&"late_answers"]);
            }
        }
    }
}

/// Somebody whose answer is missing about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The agency.
    pub agency: Party,
    /// The person, by reference.
    pub person: PersonRef,
    /// Whether the hub was told not to wait for it.
    pub waived: bool,
    /// Whether the agreement awaits it.
    pub required: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testkit::{Entries, february};

    fn counted(log: &Entries) -> Figures {
        let mut answers = Answers::default();
        log.all().iter().for_each(|entry| answers.read(entry));
        let mut figures = Figures::default();
        answers.count(&february(), &mut figures);
        figures
    }

    fn n(figures: &Figures, name: &str) -> usize {
        figures.named(name).map_or(0, |(_, figure)| figure.in_period.len())
    }

    #[test]
    fn silence_is_missing_and_takes_no_answer_back() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "MHT", "pending");
        log.silent("e1", "p2", "MHT");
        log.answered("e1", "p3", "MHT", "rated");
        log.silent("e1", "p3", "MHT");
        let figures = counted(&log);
        assert_eq!(n(&figures, "answers.MHT.missing"), 2);
        assert_eq!(n(&figures, "answers.MHT.rated"), 1);
        assert_eq!(n(&figures, "totals.missing_answers"), 2);
    }

    #[test]
    fn a_rating_that_is_given_again_is_one_answer() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "CSC", "rated");
        log.answered("e1", "p1", "CSC", "rated");
        log.answered("e1", "p1", "CSC", "not_known");
        assert_eq!(n(&counted(&log), "totals.ratings"), 1);
        assert_eq!(n(&counted(&log), "totals.answers"), 1);
    }

    #[test]
    fn a_late_answer_is_an_answer_and_late() {
        let mut log = Entries::new();
        log.silent("e1", "p1", "MHT");
        log.answered("e1", "p1", "MHT", "not_known");
        log.late("e1", "p1", "MHT", "not_known");
        let figures = counted(&log);
        assert_eq!(n(&figures, "late.MHT"), 1);
        assert_eq!(n(&figures, "answers.MHT.not_known"), 1);
        assert_eq!(n(&figures, "answers.MHT.missing"), 0);
    }

    #[test]
    fn the_first_answer_stays_the_first_and_one_who_will_not_rate_leaves_the_matrix_open() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "POL", "declined");
        log.at("2027-02-09T09:40:00Z");
        log.answered("e1", "p1", "POL", "rated");
        log.at("2027-02-09T10:40:00Z");
        log.answered("e1", "p1", "POL", "rated");
        let mut answers = Answers::default();
        log.all().iter().for_each(|entry| answers.read(entry));
        let (_, _, _, cell) = answers.cells().next().unwrap();
        assert_eq!(cell.first_answer().unwrap().to_string(), "2027-02-09T08:40:00Z");
        assert_eq!(cell.complete_at().unwrap().to_string(), "2027-02-09T09:40:00Z");
    }

    #[test]
    fn only_a_recommended_answer_can_be_waived() {
        let mut log = Entries::new();
        for agency in ["POL", "MHT"] {
            log.silent("e1", "p1", agency);
            log.waived("e1", "p1", agency);
        }
        let mut answers = Answers::default();
        log.all().iter().for_each(|entry| answers.read(entry));
        let agreement = crate::report::testkit::agreement();
        let missing = answers.missing(&"e1".parse().unwrap(), Some(&agreement));
        let required = |agency: &str| {
            missing.iter().find(|one| one.agency.to_string() == agency).unwrap().required
        };
        assert!(required("POL"), "police are a core party");
        assert!(!required("MHT"));
    }

    #[test]
    fn no_answer_about_detail_is_no_answer_about_a_person() {
        let mut log = Entries::new();
        log.asked("r1", "SMS", "C33", &["CSC"]);
        log.unanswered("r1", "SMS", "C33", "CSC");
        assert_eq!(counted(&log).of(&ANSWERS).count(), 0);
    }
}
