//! Every enquiry that was closed in the period: by whom, with which decision and reason, and which answers were missing then.
//!
//! What was missing is said twice: by the closing entry, and by the entries before it in the hub's log. The two have to agree. Beside it
//! stands every attempt at closing that the hub refused.

use brag_common::{
    agreement::Agreement,
    audit::entry::{Action, Actor, Entry, Word},
    time::Timestamp,
};

use super::{
    answers::{Answers, Missing},
    count::{FigureId, Figures, Unit},
    document::{Block, Cell, Document, Row, Section, Table},
    logs::{Log, Verdict},
    measures::{CLOSED, CLOSED_WITH_MISSING, TOTALS},
    performance::{course::CLOSING_REFUSED, measures::CLOSING},
    period::Period,
};

/// One closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// The number of its entry.
    pub seq: u64,
    /// The enquiry, by reference.
    pub enquiry: String,
    /// Who closed it, and in which role; `the program` when nobody did.
    pub by: String,
    /// The decision.
    pub decision: String,
    /// The reason code; `–` when there is none.
    pub reason: String,
    /// How many ratings were missing, as the entry says; `None` when it does not.
    pub recorded: Option<u64>,
    /// Who was missing that the agreement requires, by the entries before: agency and person.
    pub required: Vec<String>,
    /// Who else was missing.
    pub others: Vec<String>,
}

impl Closing {
    /// Whether an answer was missing that had to be there.
    #[must_use]
    pub fn lacked_something(&self) -> bool {
        self.recorded.is_some_and(|n| n > 0) || !self.required.is_empty()
    }
}

/// An attempt at closing that the hub refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// The number of its entry.
    pub seq: u64,
    /// The enquiry, by reference.
    pub enquiry: String,
    /// Who wanted to close it, and in which role.
    pub by: String,
    /// The code with which it was refused.
    pub code: &'static str,
}

/// The closings of a log.
#[derive(Debug, Default)]
pub struct Closings {
    answers: Answers,
    all: Vec<Closing>,
    refused: Vec<Refused>,
    /// Closings and refusals of the period, as figures.
    pub figures: Figures,
}

impl Closings {
    /// None so far, and figures that say so.
    #[must_use]
    pub fn new() -> Self {
        let mut figures = Figures::default();
        figures.declare(&TOTALS, &[&"closed"]);
        for by in ["recorded", "log"] {
            figures.declare(&CLOSED_WITH_MISSING, &[&by]);
        }
        for code in CLOSING_REFUSED {
            figures.declare(&CLOSING, &[&code]);
        }
        Self { answers: Answers::default(), all: Vec::new(), refused: Vec::new(), figures }
    }

    /// Those of the hub's log, as far as it reaches into the period.
    ///
    /// # Errors
    /// When the log can not be read.
    pub fn of(log: &Log, agreement: Option<&Agreement>, period: &Period) -> anyhow::Result<Self> {
        let mut closings = Self::new();
        log.read(|entry| {
            if period.reaches(entry.ts) {
                closings.read(entry, agreement, period);
            }
        })?;
        Ok(closings)
    }

    /// Reads the next entry of the hub's log. The agreement says whose answers are required; without it all are.
    pub fn read(&mut self, entry: &Entry, agreement: Option<&Agreement>, period: &Period) {
        self.answers.read(entry);
        if entry.action == Action::RequestRefused {
            self.read_refused(entry, period);
        }
        if entry.action != Action::EnquiryClosed {
            return;
        }
        let missing = entry
            .enquiry
            .as_ref()
            .map_or_else(Vec::new, |enquiry| self.answers.missing(enquiry, agreement));
        let (required, others) = missing.into_iter().partition::<Vec<_>, _>(|one| one.required);
        let words = |missing: Vec<Missing>| -> Vec<String> {
            let word = |one: Missing| {
                let waived = if one.waived { " (waived)" } else { "" };
                format!("{} about {}{waived}", one.agency, one.person)
            };
            missing.into_iter().map(word).collect()
        };
        let (required, others) = (words(required), words(others));
        let word = |word: Option<&Word>| word.map_or_else(|| "–".to_owned(), Word::to_string);
        let closing = Closing {
            at: entry.ts,
            seq: entry.seq,
            enquiry: enquiry_of(entry),
            by: actor_of(entry),
            decision: word(entry.decision.as_ref()),
            reason: entry.reason.map_or_else(|| "–".to_owned(), |reason| reason.code().to_owned()),
            recorded: entry.count,
            required,
            others,
        };
        let (unit, now) = (Unit::of(entry), period.holds(entry.ts));
        let mut count = |measure, by: &[&dyn std::fmt::Display]| {
            self.figures.count(measure, by, &unit, now);
        };
        count(&TOTALS, &[&"closed"]);
        count(&CLOSED, &[&closing.decision]);
        if closing.recorded.is_some_and(|n| n > 0) {
            count(&CLOSED_WITH_MISSING, &[&"recorded"]);
        }
        if !closing.required.is_empty() {
            count(&CLOSED_WITH_MISSING, &[&"log"]);
        }
        if now {
            self.all.push(closing);
        }
    }

    fn read_refused(&mut self, entry: &Entry, period: &Period) {
        let decision = entry.decision.as_ref().map_or("", Word::as_str);
        let Some(code) = CLOSING_REFUSED.into_iter().find(|code| *code == decision) else { return };
        let now = period.holds(entry.ts);
        self.figures.count(&CLOSING, &[&code], &Unit::of(entry), now);
        if now {
            self.refused.push(Refused {
                at: entry.ts,
                seq: entry.seq,
                enquiry: enquiry_of(entry),
                by: actor_of(entry),
                code,
            });
        }
    }

    /// Refusals of the period, in the order in which they were recorded.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Those of the period, in the order in which they were recorded.
    #[must_use]
    pub fn in_period(&self) -> &[Closing] {
        &self.all
    }
}

fn enquiry_of(entry: &Entry) -> String {
    entry.enquiry.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
}

fn actor_of(entry: &Entry) -> String {
    match &entry.actor {
        Actor::Program => "the program".to_owned(),
        Actor::Staff { name, role } => format!("{name} ({role})"),
    }
}

/// The list as a document. It names staff, and is not for sharing.
#[must_use]
pub fn nfa_audit(
    closings: &Closings,
    log: &Log,
    with_agreement: bool,
    period: &Period,
) -> Document {
    let in_period = closings.in_period();
    let mut summary = Section::new("summary", "What was closed");
    if let Verdict::NotInOrder { seq, what } = &log.verdict {
        let text = format!(
            "The log is NOT IN ORDER at entry {seq}: {what}. What was closed from there on is not here."
        );
        summary = summary.block(Block::Warning(text));
    }
    summary = if in_period.is_empty() {
        summary.text("Nothing was closed in this period.")
    } else {
        summary
    };
    let lacking = in_period.iter().filter(|closing| closing.lacked_something()).count();
    if lacking > 0 {
        let text = format!("{lacking} enquiries were closed while a required answer was missing.");
        summary = summary.block(Block::Warning(text));
    }
    let differs = in_period.iter().filter(|closing| {
        closing.recorded.is_some_and(|n| usize::try_from(n) != Ok(closing.required.len()))
    });
    let differs = differs.count();
    if differs > 0 {
        let text = format!(
            "For {differs} of them the closing entry and the entries before it do not say the same about how many were missing."
        );
        summary = summary.block(Block::Warning(text));
    }
    if !with_agreement {
        summary = summary
            .text("Made without the agreement: every agency that was asked counts as required.");
    }
    let summary = summary
        .table(figures(&closings.figures))
        .table(list(in_period))
        .table(refusals(closings.refused()));
    Document {
        kind: "nfa_audit",
        title: "Audit of enquiries closed".to_owned(),
        shared: false,
        facts: vec![
            ("Period".to_owned(), format!("{period}, days of local time")),
            ("Log".to_owned(), log.origin.to_string()),
            (
                "Verification".to_owned(),
                match &log.verdict {
                    Verdict::InOrder { n_entries, last_hash } => {
                        format!("in order, {n_entries} entries, ends in {last_hash}")
                    }
                    Verdict::NotInOrder { seq, .. } => format!("NOT IN ORDER at entry {seq}"),
                },
            ),
        ],
        sections: vec![summary],
    }
}

fn figures(figures: &Figures) -> Table {
    let closed = FigureId::new(&TOTALS, ["closed"]);
    let rows = figures
        .of(&CLOSED_WITH_MISSING)
        .chain(figures.of(&CLOSING))
        .chain(figures.get(&closed).map(|figure| (&closed, figure)))
        .map(|(id, figure)| Row {
            figures: vec![id.clone()],
            cells: vec![
                id.by().join(" ").into(),
                Cell::Count(figure.in_period.len()),
                Cell::Count(figure.to_date.len()),
            ],
        })
        .collect();
    Table {
        id: "closed".to_owned(),
        caption: "Closed, closed while an answer was missing, and attempts refused".to_owned(),
        columns: ["What", "in the period", "to date"].map(str::to_owned).to_vec(),
        rows,
        note: format!("{} {}", CLOSED_WITH_MISSING.means, CLOSING.means),
    }
}

fn refusals(refused: &[Refused]) -> Table {
    let rows = refused.iter().map(|refused| {
        [
            refused.at.to_string(),
            refused.enquiry.clone(),
            refused.by.clone(),
            refused.code.to_owned(),
            format!("hub {}", refused.seq),
        ]
    });
    let columns = ["At", "Enquiry", "By", "Code", "Entry"];
    Table::texts("closing-refused", "Attempts at closing that were refused", columns, rows)
}

fn list(closings: &[Closing]) -> Table {
    let rows = closings.iter().map(|closing| {
        let missing =
            |who: &[String]| if who.is_empty() { "none".to_owned() } else { who.join("; ") };
        let cells = vec![
            closing.at.to_string().into(),
            closing.enquiry.as_str().into(),
            closing.by.as_str().into(),
            closing.decision.as_str().into(),
            closing.reason.as_str().into(),
            closing
                .recorded
                .map_or(Cell::Nothing, |n| usize::try_from(n).map_or(Cell::Nothing, Cell::Count)),
            missing(&closing.required).into(),
            missing(&closing.others).into(),
            format!("hub {}", closing.seq).into(),
        ];
        Row { figures: Vec::new(), cells }
    });
    Table {
        id: "closings".to_owned(),
        caption: "Enquiries closed in the period".to_owned(),
        columns: [
            "Closed",
            "Enquiry",
            "By",
            "Decision",
            "Reason",
            "Missing, as recorded",
            "Required and missing, by the log",
            "Others missing",
            "Entry",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows.collect(),
        note: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use brag_common::reason::Reason;

    use super::*;
    use crate::report::testkit::{Entries, agreement, february};

    fn closings(log: &Entries) -> Closings {
        let (agreement, mut closings) = (agreement(), Closings::new());
        log.all().iter().for_each(|entry| closings.read(entry, Some(&agreement), &february()));
        closings
    }

    #[test]
    fn x24_closing_while_a_required_answer_is_missing_is_found_whatever_the_entry_says() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "POL", "rated");
        log.silent("e1", "p1", "MHT");
        log.silent("e1", "p1", "CAM");
        log.closed("e1", "nfa", None, Some(0));
        let closings = closings(&log);
        let [closing] = closings.in_period() else { panic!("one") };
        assert_eq!(closing.required, ["MHT about p1"]);
        // A conditional party of which nobody knows whether it knows the person.
        assert_eq!(closing.others, ["CAM about p1"]);
        assert!(closing.lacked_something());
        let n = |name: &str| closings.figures.named(name).unwrap().1.in_period.len();
        assert_eq!((n("closed_with_missing.log"), n("closed_with_missing.recorded")), (1, 0));
    }

    #[test]
    fn x24_each_close_is_listed_with_who_closed_it_and_why() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "POL", "rated");
        log.answered("e1", "p1", "MHT", "not_known");
        log.closed("e1", "nfa", Some(Reason::ThresholdNotMet), Some(0));
        log.at("2027-03-01T00:00:00Z");
        log.closed("e2", "plan", None, Some(0));
        let closings = closings(&log);
        let [closing] = closings.in_period() else { panic!("one in February") };
        assert_eq!(closing.by, "j.okafor (coordinator)");
        assert_eq!(
            (closing.decision.as_str(), closing.reason.as_str()),
            ("nfa", "THRESHOLD_NOT_MET")
        );
        assert_eq!(closing.recorded, Some(0));
        assert!(!closing.lacked_something());
        let n = |name: &str| closings.figures.named(name).unwrap().1.in_period.len();
        assert_eq!((n("totals.closed"), n("closed_with_missing.log")), (1, 0));
    }

    #[test]
    fn x24_one_who_will_not_rate_was_missing_and_one_that_was_waived_is_named() {
        let mut log = Entries::new();
        log.answered("e1", "p1", "POL", "declined");
        log.silent("e1", "p1", "MHT");
        log.waived("e1", "p1", "MHT");
        log.closed("e1", "multi_agency_plan", None, Some(0));
        let closings = closings(&log);
        let [closing] = closings.in_period() else { panic!("one") };
        assert_eq!(closing.required, ["POL about p1"]);
        assert_eq!(closing.others, ["MHT about p1 (waived)"]);
    }

    #[test]
    fn x24_each_attempt_that_was_refused_is_listed_and_counted_and_no_other_refusal_is() {
        let mut log = Entries::new();
        log.refused("e1", "BUDGET_EXCEEDED");
        log.refused("e1", "NFA_BLOCKED");
        log.refused("e1", "NFA_BLOCKED");
        log.refused("e2", "CLOSE_BLOCKED");
        log.closed("e1", "child_in_need_plan", None, Some(0));
        let closings = closings(&log);
        let refused: Vec<_> =
            closings.refused().iter().map(|one| (one.enquiry.as_str(), one.code)).collect();
        assert_eq!(
            refused,
            [("e1", "NFA_BLOCKED"), ("e1", "NFA_BLOCKED"), ("e2", "CLOSE_BLOCKED")]
        );
        assert_eq!(closings.refused()[0].by, "j.okafor (coordinator)");
        let n = |name: &str| closings.figures.named(name).unwrap().1.in_period.len();
        assert_eq!((n("closing.NFA_BLOCKED"), n("closing.CLOSE_BLOCKED")), (2, 1));
    }

    #[test]
    fn an_answer_that_comes_after_the_closing_was_missing_all_the_same() {
        let mut log = Entries::new();
        log.silent("e1", "p1", "MHT");
        log.closed("e1", "nfa", None, Some(1));
        log.answered("e1", "p1", "MHT", "rated");
        assert!(closings(&log).in_period()[0].lacked_something());
    }
}
