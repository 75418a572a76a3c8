//! How the exchange works, for the partnership's board: how soon agencies answer, how they rate, how enquiries end. Counts always with
//! what they are counts of, never a share alone.
//!
//! Reading order: [`measures`] says what each figure is; [`course`] counts what the hub's log tells, [`kept`] reads what only its store
//! has, and [`colours`] counts that.

pub mod colours;
pub mod course;
pub mod kept;
pub mod measures;

use std::collections::BTreeSet;

use brag_common::audit::entry::{Digest, Entry};

use super::{
    count::{FigureId, Figures, Measure, Unit},
    document::{Block, Document, Section},
    dpia::verdict,
    logs::Log,
    measures::{CLOSED, TOTALS},
    period::Period,
    signed::{Signed, SignedBy},
    tables::{Span, Tables},
    terms,
    waiting::Times,
    withhold::SMALL,
};
use course::{CLASSES, CLOSING_REFUSED, COLUMNS, Course};
use kept::Kept;
use measures as m;

/// What the document is made from.
#[derive(Debug)]
pub struct Counted<'a> {
    signed: &'a Signed,
    log: &'a Log,
    period: Period,
    /// What was counted.
    pub figures: Figures,
    times: Times,
    /// Whether the store was read, and how many of its enquiries are not in the log.
    from_store: Option<usize>,
    under_other_versions: u64,
    test_entries: bool,
}

impl<'a> Counted<'a> {
    /// Counts the hub's log and, where there is one, what its store has.
    ///
    /// # Errors
    /// When the log can not be read.
    pub fn of(
        log: &'a Log,
        signed: &'a Signed,
        kept: Option<&Kept>,
        period: Period,
    ) -> anyhow::Result<Self> {
        let mut reading = Reading::default();
        log.read(|entry: &Entry| reading.read(entry, signed, &period))?;
        Ok(reading.counted(log, signed, kept, period))
    }
}

/// A log that is being read.
#[derive(Debug, Default)]
struct Reading {
    course: Course,
    under_other_versions: u64,
    test_entries: bool,
}

impl Reading {
    fn read(&mut self, entry: &Entry, signed: &Signed, period: &Period) {
        if !period.reaches(entry.ts) {
            return;
        }
        self.course.read(entry);
        self.test_entries |= entry.test_env;
        let other = entry
            .agreement
            .as_ref()
            .is_some_and(|stamp| Digest::from_bytes(*stamp.digest.as_bytes()) != signed.digest);
        self.under_other_versions += u64::from(other);
    }

    fn counted<'a>(
        self,
        log: &'a Log,
        signed: &'a Signed,
        kept: Option<&Kept>,
        period: Period,
    ) -> Counted<'a> {
        let Self { course, under_other_versions, test_entries } = self;
        let (mut figures, mut times) = (Figures::default(), Times::default());
        course.count(&signed.agreement, &period, &mut figures, &mut times);
        let from_store =
            kept.map(|kept| colours::count(kept, &course, &period, &mut figures, &mut times));
        Counted {
            signed,
            log,
            period,
            figures,
            times,
            from_store,
            under_other_versions,
            test_entries,
        }
    }
}

/// The document. `shared`: the form for others, without small figures and without counts to date.
#[must_use]
pub fn performance(counted: &Counted<'_>, shared: bool) -> Document {
    let known = if shared { asked(&counted.figures) } else { Vec::new() };
    let tables = Tables::new(&counted.figures, &counted.times, shared, &known);
    let mut facts = vec![("Period".to_owned(), format!("{}, days of local time", counted.period))];
    facts.extend(terms::facts(counted.signed));
    facts.push(("Log of hub".to_owned(), verdict(counted.log)));
    let read = if counted.from_store.is_some() { "read" } else { "not read" };
    facts.push(("Store of hub".to_owned(), read.to_owned()));
    let sections = vec![
        status(counted, shared),
        summary(counted, &tables),
        time(&tables),
        agencies(&tables),
        ratings(counted, &tables),
        endings(&tables),
        before(counted, &tables),
        course_of(&tables),
        reading(),
    ];
    Document {
        kind: "performance",
        title: "How the exchange works".to_owned(),
        shared,
        facts,
        sections,
    }
}

/// What a reader has to know before any figure.
fn status(counted: &Counted<'_>, shared: bool) -> Section {
    let mut section = Section::new("status", "About this document").text(
        "Counted by program, from a copy of the hub's audit log. Every figure has a name; `--explain NAME` lists the entries behind it. A count stands beside what it is a \
         count of. What belongs to an enquiry counts in the period in which it was opened, as it stood at the period's end; closings and what was recorded count when they happened.",
    );
    if !counted.log.is_in_order() {
        section = section.block(Block::Warning(
            "The log does not verify. The figures end before its first wrong entry. Keep the files as they are and find out why."
                .to_owned(),
        ));
    }
    if counted.signed.by != SignedBy::All {
        let text = format!("The agreement is {}.", counted.signed.by);
        section = section.block(Block::Warning(text));
    }
    if counted.log.key_from_log {
        section = section.text(
            "The log was verified with the key that lies beside it, which whoever changed the log could have changed too. Give `--keys` with the keys that you keep.",
        );
    }
    if counted.test_entries {
        section = section.text("Entries were made in a test environment: the people are invented.");
    }
    if counted.under_other_versions > 0 {
        section = section.text(
            "Part of the log was made under another version of the agreement. Whose answers are required is read in the version named above.",
        );
    }
    section = match counted.from_store {
        None => section.text(
            "The hub's store was not read: colours, levels above the referrer's, and how old incidents were are not in the log, so there are no figures of them here.",
        ),
        Some(not_in_log) => {
            let section = section.text(
                "Colours, divergence, levels above the referrer's first colour, and the time from incident to referral come from the hub's store, which the log by design does not hold. They \
                 can not be traced to entries: the entries show that an agency rated, or that an enquiry was opened, and no entry shows a colour. They are as they stood when this was made, and \
                 what is erased is not among them: made again after an erasure, the same period has less.",
            );
            if not_in_log == 0 {
                section
            } else {
                section.text(format!(
                    "{} of the store's enquiries are left out of these: their opening is not in the log that was given.",
                    if shared && SMALL.contains(&not_in_log) {
                        "A few".to_owned()
                    } else {
                        not_in_log.to_string()
                    }
                ))
            }
        }
    };
    if shared {
        section = section.text(
            "Form for others. Counts of 1 to 4 are withheld, and so is whatever would give one of them away; what is withheld looks the same in both cases, and 0 is shown. There are no counts \
             to date, because two reports could be subtracted. Do not share another report over days that overlap with these, nor for the same days another document that counts the same things.",
        );
    }
    section
}

/// A figure of a measure.
fn id<const N: usize>(measure: &Measure, by: [&str; N]) -> FigureId {
    FigureId::new(measure, by)
}

/// The counts that a board asks for first, each with what it is a count of.
fn summary(counted: &Counted<'_>, tables: &Tables<'_>) -> Section {
    let (enquiries, closed) = (id(&TOTALS, ["enquiries"]), id(&TOTALS, ["closed"]));
    let fact = |term: &str, part: FigureId, whole: &FigureId| {
        (term.to_owned(), tables.part_of(&part, whole))
    };
    let mut facts = vec![
        fact(
            "Enquiries with a full matrix, of those opened",
            id(&m::FULL_MATRIX, ["full"]),
            &enquiries,
        ),
        fact(
            "Linked to an earlier enquiry, of those opened",
            id(&m::RE_REFERRALS, ["linked"]),
            &enquiries,
        ),
        fact(
            "Notified later than the agreement allows, of those opened",
            id(&m::NOTIFIED, ["over_the_limit"]),
            &enquiries,
        ),
        fact(
            "Section 47 clocks met, of those started",
            id(&m::CLOCKS, ["section_47", "met"]),
            &id(&m::CLOCKS, ["section_47", "started"]),
        ),
        fact(
            "No further action refused, of all attempts at closing",
            id(&m::CLOSING, ["NFA_BLOCKED"]),
            &id(&m::CLOSING, ["all"]),
        ),
        fact(
            "Closed with no further action, of all closed",
            id(&CLOSED, ["no_further_action"]),
            &closed,
        ),
    ];
    if counted.from_store.is_some() {
        facts.extend([
            fact(
                "Cases uprated, of those with a first colour and a completed round",
                id(&m::UPRATED, ["cases", "uprated"]),
                &id(&m::UPRATED, ["cases", "all"]),
            ),
            fact(
                "People uprated, of the people in those cases",
                id(&m::UPRATED, ["people", "uprated"]),
                &id(&m::UPRATED, ["people", "all"]),
            ),
            fact(
                "People with ratings two steps apart, of those whom two agencies rate",
                id(&m::DIVERGENCE, ["two_steps_apart"]),
                &id(&m::DIVERGENCE, ["rated_by_two"]),
            ),
        ]);
    }
    Section::new("summary", "In short").block(Block::Facts(facts)).table(tables.of(&TOTALS))
}

fn time(tables: &Tables<'_>) -> Section {
    let ids = [
        id(&m::FULL_MATRIX, ["full"]),
        id(&m::FULL_MATRIX, ["not_full"]),
        id(&TOTALS, ["enquiries"]),
    ];
    let classes: Vec<FigureId> =
        CLASSES.iter().map(|(class, _)| id(&m::FULL_MATRIX_WITHIN, [class])).collect();
    Section::new("time", "How soon the matrix is full")
        .table(tables.spread(&m::FULL_MATRIX, &ids))
        .charted(
            tables.of_these(&m::FULL_MATRIX_WITHIN, &classes),
            "Enquiries by the time to the full matrix",
            &[1],
        )
}

fn agencies(tables: &Tables<'_>) -> Section {
    let pivot = |span| tables.pivot(&m::ANSWERING, &COLUMNS, Some("answered"), span);
    let mut section = Section::new("agencies", "How agencies answer").charted(
        pivot(Span::Period),
        "Answers in time, late and not there, by agency",
        &[3, 4, 5],
    );
    if !tables.is_shared() {
        section = section.table(pivot(Span::ToDate));
    }
    section
}

fn ratings(counted: &Counted<'_>, tables: &Tables<'_>) -> Section {
    let section = Section::new("ratings", "How agencies rate");
    if counted.from_store.is_none() {
        return section.text(
            "Not made: the store was not read. Give `--config`, with the hub stopped or on a copy.",
        );
    }
    let columns = colours::columns();
    let pivot = |span| tables.pivot(&m::COLOURS, &columns, None, span);
    let mut section = section.charted(
        pivot(Span::Period),
        "People by the colour that each agency gives them",
        &[1, 2, 3, 4],
    );
    if !tables.is_shared() {
        section = section.table(pivot(Span::ToDate));
    }
    let apart =
        ["two_steps_apart", "closer", "rated_by_two"].map(|what| id(&m::DIVERGENCE, [what]));
    let uprated = ["cases", "people"]
        .map(|of| ["uprated", "not_uprated", "all"].map(|what| id(&m::UPRATED, [of, what])));
    section
        .table(tables.of_these(&m::DIVERGENCE, &apart))
        .table(tables.of_these(&m::UPRATED, uprated.as_flattened()))
}

fn endings(tables: &Tables<'_>) -> Section {
    let mut attempts = vec![id(&TOTALS, ["closed"])];
    attempts.extend(CLOSING_REFUSED.map(|code| id(&m::CLOSING, [code])));
    attempts.push(id(&m::CLOSING, ["all"]));
    Section::new("endings", "How enquiries end")
        .charted(tables.of(&CLOSED), "Enquiries closed, by outcome", &[1])
        .table(tables.of_these(&m::CLOSING, &attempts))
        .text("`hub report nfa-audit` names each closing with what was missing, and each refusal.")
}

fn before(counted: &Counted<'_>, tables: &Tables<'_>) -> Section {
    let opened = || id(&TOTALS, ["enquiries"]);
    let linked = ["linked", "not_linked", "with_reason"].map(|what| id(&m::RE_REFERRALS, [what]));
    let notified = ["over_the_limit", "not_over"].map(|what| id(&m::NOTIFIED, [what]));
    let with =
        |ids: &[FigureId]| -> Vec<FigureId> { ids.iter().cloned().chain([opened()]).collect() };
    let section = Section::new("before", "What came before")
        .table(tables.of_these(&m::RE_REFERRALS, &with(&linked)))
        .table(tables.of_these(&m::NOTIFIED, &with(&notified)));
    if counted.from_store.is_none() {
        return section;
    }
    let ids: Vec<FigureId> = tables.figures(&m::LAG).map(|(id, _)| id.clone()).collect();
    section.table(tables.spread(&m::LAG, &ids))
}

fn course_of(tables: &Tables<'_>) -> Section {
    Section::new("course", "Clocks, flags and what was recorded")
        .table(tables.of(&m::CLOCKS))
        .table(tables.of(&m::FLAGS))
        .table(tables.of(&m::STEPS))
}

/// What the figures do not say.
fn reading() -> Section {
    Section::new("reading", "How to read this")
        .list([
            "None of the figures is a target. A higher share of uprated cases or of divergent ratings is neither good nor bad by itself: it shows where agencies know different things.",
            "Compare counts, and what they are counts of: when more enquiries are opened, shares move although nothing else does.",
            "A difference between two periods has no cause in it. What changed meanwhile is for people to say.",
            "The log does not know who somebody is: a person in two enquiries is counted twice.",
            "A long time may be an agency that works carefully, or one that was not reachable; the log says which (`no_response`).",
        ])
        .slot("comment", "What the partnership makes of these figures, and what it will do.")
}

/// What each agency was asked, and the people. Every agency is asked about everybody, so a reader who knows how many people there are
/// knows how many answers each owes, and what one answer leaves for another; and the other way round.
fn asked(figures: &Figures) -> Vec<BTreeSet<Unit>> {
    let people = figures.get(&id(&TOTALS, ["people"])).map(|figure| &figure.in_period);
    let Some(people) = people.filter(|people| !SMALL.contains(&people.len())) else {
        return Vec::new();
    };
    let asked = figures
        .of(&m::ANSWERING)
        .filter(|(id, _)| id.by().last().is_some_and(|what| what == "asked"))
        .map(|(_, figure)| &figure.in_period);
    asked.chain([people]).filter(|set| !set.is_empty()).cloned().collect()
}

#[cfg(test)]
mod tests;
