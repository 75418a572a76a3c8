use std::{collections::BTreeMap, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::report::{
    document::{Cell, Row},
    html::html,
    testkit::{
        EnteredPerson, Entries, agreement_file, february, html_faults, kept_enquiry, store_of,
    },
};

static SIGNED: LazyLock<Signed> = LazyLock::new(|| Signed::read(&agreement_file()).unwrap());

/// A log for the documents' facts; what they count is given beside it.
static LOG: LazyLock<(tempfile::TempDir, Log)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    let dir = log.write(&brag_common::audit::entry::Party::Hub, folder.path());
    let log = Log::open(&dir, None).unwrap();
    (folder, log)
});

fn counted(log: &Entries, kept: Option<&Kept>) -> Counted<'static> {
    let mut reading = Reading::default();
    log.all().iter().for_each(|entry| reading.read(entry, &SIGNED, &february()));
    reading.counted(&LOG.1, &SIGNED, kept, february())
}

fn n(counted: &Counted<'_>, name: &str) -> (usize, usize) {
    let figure = counted.figures.named(name).map(|(_, figure)| figure);
    figure.map_or((0, 0), |figure| (figure.in_period.len(), figure.to_date.len()))
}

fn rows(document: &Document) -> impl Iterator<Item = &Row> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let tables = blocks.filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    tables.flat_map(|table| &table.rows)
}

/// What each agency says of somebody: which answer, and which colour where it is a rating.
type Said = Vec<(usize, usize)>;

/// An enquiry of a month: for each person the referrer's first colour, and what the agencies say, those that rate with their colour.
#[derive(Debug, Clone)]
struct Case {
    people: Vec<(Option<usize>, Said)>,
    flags: Vec<usize>,
    outcome: usize,
    refused: usize,
}

const AGENCIES: [&str; 9] = ["CSC", "POL", "DAS", "HLT", "EDU", "HOU", "SMS", "MHT", "PRO"];
const COLOURS: [&str; 4] = ["blue", "green", "amber", "red"];
const FLAGS: [&str; 7] = [
    "linked_earlier_enquiry",
    "notification_lag",
    "s47_clock_started",
    "s47_clock_met",
    "s47_clock_breached",
    "response_clock_met",
    "nfa_blocked",
];

fn case() -> impl Strategy<Value = Case> {
    let said = (0..6_usize, 0..4_usize);
    let person = (prop::option::of(0..4_usize), prop::collection::vec(said, AGENCIES.len()));
    (
        prop::collection::vec(person, 1..3),
        prop::collection::vec(0..FLAGS.len(), 0..4),
        0..4_usize,
        0..3_usize,
    )
        .prop_map(|(people, flags, outcome, refused)| Case { people, flags, outcome, refused })
}

/// The log and the store of a month of such cases.
fn month(cases: &[Case]) -> (Entries, Kept) {
    let mut log = Entries::new();
    let mut kept = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let name = format!("e{number}");
        let opened_at = format!("2027-02-{:02}T09:00:00Z", 1 + number % 20);
        log.at(&opened_at);
        log.opened(&name, "child_safeguarding", case.people.len() as u64);
        for flag in &case.flags {
            log.flag(&name, FLAGS[*flag]);
        }
        let mut people = Vec::new();
        for (person, (initial, said)) in case.people.iter().enumerate() {
            let person = format!("p{person}");
            let mut ratings = Vec::new();
            for (agency, (what, colour)) in AGENCIES.iter().zip(said) {
                log.at(&opened_at.replace("T09", ["T09", "T12", "T18"][what % 3]));
                match what {
                    0 => log.silent(&name, &person, agency),
                    1 => log.answered(&name, &person, agency, "not_known"),
                    2 => log.answered(&name, &person, agency, "declined"),
                    what => {
                        log.answered(&name, &person, agency, "rated");
                        if *what == 3 {
                            log.late(&name, &person, agency, "rated");
                        }
                        ratings.push((*agency, COLOURS[*colour]));
                    }
                }
            }
            people.push((person, initial.map(|n| COLOURS[n]), ratings));
        }
        (0..case.refused).for_each(|n| log.refused(&name, CLOSING_REFUSED[n % 2]));
        if let Some(outcome) =
            ["no_further_action", "child_in_need_plan", "marac_plan"].get(case.outcome)
        {
            log.closed(&name, outcome, None, Some(0));
        }
        let people: Vec<EnteredPerson<'_>> = people
            .iter()
            .map(|(person, initial, ratings)| (person.as_str(), *initial, ratings.as_slice()))
            .collect();
        kept.push(kept_enquiry(&name, &opened_at, &people, &[]));
    }
    let (store, _folder) = store_of(&kept);
    let kept = Kept::of(&store).unwrap();
    (log, kept)
}

#[test]
fn without_the_store_nothing_is_said_that_only_it_has() {
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    log.answered("e1", "p1", "CSC", "rated");
    let counted = counted(&log, None);
    let document = performance(&counted, false);
    for measure in [&m::COLOURS, &m::DIVERGENCE, &m::UPRATED, &m::LAG] {
        assert_eq!(counted.figures.of(measure).count(), 0);
        assert!(rows(&document).all(|row| !row.figures.iter().any(|id| id.is_of(measure))));
    }
}

#[test]
fn an_enquiry_that_is_not_in_the_log_and_a_rating_that_came_later_are_left_out() {
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    log.answered("e1", "p1", "CSC", "rated");
    log.answered("e1", "p1", "POL", "pending");
    let ratings = &[("CSC", "green"), ("POL", "red")];
    let (store, _folder) = store_of(&[
        kept_enquiry("e1", "2027-02-09T08:40:00Z", &[("p1", None, ratings)], &[]),
        kept_enquiry("e0", "2027-02-09T08:40:00Z", &[("p1", None, ratings)], &[]),
    ]);
    let counted = counted(&log, Some(&Kept::of(&store).unwrap()));
    assert_eq!(counted.from_store, Some(1));
    assert_eq!(n(&counted, "colours.CSC.rated"), (1, 1));
    assert_eq!(n(&counted, "colours.POL.rated"), (0, 0));
}

#[test]
fn uprated_is_of_cases_with_a_first_colour_whose_round_is_over_and_of_the_people_in_them() {
    let mut log = Entries::new();
    let times = [
        ("e1", "2027-02-09T09:00:00Z"),
        ("e2", "2027-02-10T09:00:00Z"),
        ("e3", "2027-02-11T09:00:00Z"),
        // Its round closes in March.
        ("e4", "2027-02-28T23:00:00Z"),
    ];
    for (enquiry, at) in times {
        log.at(at);
        log.opened(enquiry, "child_safeguarding", 3);
    }
    let red: &[(&str, &str)] = &[("CSC", "red"), ("POL", "green")];
    let amber: &[(&str, &str)] = &[("CSC", "amber"), ("POL", "green")];
    let (store, _folder) = store_of(&[
        // The second has no colour of its own, and takes the referrer's highest: amber is not above it, red is.
        kept_enquiry(
            "e1",
            times[0].1,
            &[("p1", Some("amber"), amber), ("p2", None, red), ("p3", None, &[])],
            &[],
        ),
        kept_enquiry("e2", times[1].1, &[("p1", Some("red"), red), ("p2", None, amber)], &[]),
        kept_enquiry("e3", times[2].1, &[("p1", None, red)], &[]),
        kept_enquiry("e4", times[3].1, &[("p1", Some("green"), red)], &[]),
    ]);
    let counted = counted(&log, Some(&Kept::of(&store).unwrap()));
    for (name, expected) in [
        ("uprated.cases.all", 2),
        ("uprated.cases.uprated", 1),
        ("uprated.people.all", 5),
        ("uprated.people.uprated", 1),
        ("uprated.people.not_uprated", 4),
        // Whom two agencies rate, in every enquiry.
        ("divergence.rated_by_two", 6),
        ("divergence.two_steps_apart", 4),
        ("divergence.closer", 2),
        ("lag.POL", 4),
    ] {
        assert_eq!(n(&counted, name).0, expected, "{name}");
    }
    let lag = counted.times.typical(&FigureId::new(&m::LAG, ["POL"])).0.unwrap();
    assert_eq!(lag.median.as_hours(), 1);
    let document = performance(&counted, false);
    let Block::Facts(facts) = &document.sections[1].blocks[0] else { panic!("facts") };
    let of = |term: &str| &facts.iter().find(|(t, _)| t.starts_with(term)).unwrap().1;
    assert_eq!(of("Cases uprated"), "1 of 2 (50.0 %)");
    assert_eq!(of("People uprated"), "1 of 5 (20.0 %)");
}

#[test]
fn the_page_is_valid_html_with_charts_that_have_a_title_and_a_table() {
    let cases: Vec<Case> = (0..12)
        .map(|n| Case {
            people: vec![(Some(1), (0..9).map(|a| ((n + a) % 6, (n * a) % 4)).collect())],
            flags: vec![n % 7],
            outcome: n % 4,
            refused: n % 3,
        })
        .collect();
    let (log, kept) = month(&cases);
    let counted = counted(&log, Some(&kept));
    for shared in [false, true] {
        let page = html(&performance(&counted, shared));
        assert_eq!(html_faults(&page), Vec::<String>::new());
        let charts = page.matches("<svg role=\"img\"").count();
        assert!(charts >= 3, "{charts}");
        assert_eq!(page.matches("</title>").count(), 1 + charts);
        assert_eq!(page.matches("<figcaption>").count(), charts);
    }
}

/// Sums that a reader of the document knows to hold: a figure, and those that it is the sum of. Names that end in `*` stand for all that
/// begin so.
const SUMS: [(&str, &[&str]); 12] = [
    ("totals.enquiries", &["full_matrix.full", "full_matrix.not_full"]),
    ("full_matrix.full", &["full_matrix_within.*"]),
    ("totals.enquiries", &["re_referrals.linked", "re_referrals.not_linked"]),
    ("totals.enquiries", &["notified.over_the_limit", "notified.not_over"]),
    (
        "clocks.section_47.started",
        &["clocks.section_47.met", "clocks.section_47.breached", "clocks.section_47.running"],
    ),
    (
        "totals.enquiries",
        &["clocks.response.met", "clocks.response.breached", "clocks.response.running"],
    ),
    ("totals.closed", &["closed.*"]),
    ("closing.all", &["totals.closed", "closing.NFA_BLOCKED", "closing.CLOSE_BLOCKED"]),
    ("divergence.rated_by_two", &["divergence.two_steps_apart", "divergence.closer"]),
    ("uprated.cases.all", &["uprated.cases.uprated", "uprated.cases.not_uprated"]),
    ("uprated.people.all", &["uprated.people.uprated", "uprated.people.not_uprated"]),
    ("clocks.section_47.started", &["flags.s47_clock_started.raised"]),
];

/// Every such sum by the names of figures, those of agencies among them.
fn sums(counted: &Counted<'_>) -> Vec<(String, Vec<String>)> {
    let expand = |name: &str| -> Vec<String> {
        match name.strip_suffix('*') {
            None => vec![name.to_owned()],
            Some(start) => counted
                .figures
                .iter()
                .map(|(id, _)| id.to_string())
                .filter(|id| id.starts_with(start))
                .collect(),
        }
    };
    let mut all: Vec<(String, Vec<String>)> = SUMS
        .iter()
        .map(|(sum, parts)| ((*sum).to_owned(), parts.iter().flat_map(|p| expand(p)).collect()))
        .collect();
    for agency in AGENCIES {
        let of = |what: &str| format!("answering.{agency}.{what}");
        all.extend([
            (of("asked"), vec![of("answered"), of("not_answered")]),
            (of("answered"), vec![of("in_time"), of("late")]),
            (of("missing_at_the_end"), vec![of("late"), of("not_answered")]),
            // Every agency is asked about everybody.
            (of("asked"), vec!["totals.people".to_owned()]),
            (
                format!("colours.{agency}.rated"),
                expand(&format!("colours.{agency}.*"))
                    .into_iter()
                    .filter(|name| !name.ends_with("rated"))
                    .collect(),
            ),
        ]);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_shared_form_shows_no_small_number_and_no_sum_gives_one_away(
        cases in prop::collection::vec(case(), 0..24),
    ) {
        let (log, kept) = month(&cases);
        let counted = counted(&log, Some(&kept));
        let document = performance(&counted, true);
        let mut shown: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for row in rows(&document) {
            let figures = row.cells.iter().filter(|cell| cell.is_figure());
            for (id, cell) in row.figures.iter().zip(figures) {
                let value = match cell {
                    Cell::Count(n) => {
                        prop_assert!(!SMALL.contains(n), "{} shows {}", id, n);
                        Some(*n)
                    }
                    _ => None,
                };
                let before = shown.insert(id.to_string(), value);
                prop_assert!(before.is_none_or(|before| before == value), "{} differs", id);
            }
        }
        // What is not in the document was 0.
        let value = |name: &str| shown.get(name).copied().unwrap_or(Some(0));
        for (sum, parts) in sums(&counted) {
            let terms: Vec<&String> = parts.iter().chain([&sum]).collect();
            let hidden: Vec<_> = terms.iter().filter(|name| value(name).is_none()).collect();
            prop_assert_ne!(hidden.len(), 1, "{:?} is what is left of {} = {:?}", hidden, sum, parts);
        }
        // Nor does a share, or a chart.
        let page = html(&document);
        for n in SMALL {
            let in_chart = format!(">{n}</text>");
            let (part, whole) = (format!("<dd>{n} of "), format!(" of {n} ("));
            for text in [in_chart, part, whole] {
                prop_assert!(!page.contains(&text), "{}", text);
            }
        }
        prop_assert_eq!(html_faults(&page), Vec::<String>::new());
    }

    #[test]
    fn every_figure_for_information_governance_is_the_sum_that_it_should_be(
        cases in prop::collection::vec(case(), 0..12),
    ) {
        let (log, kept) = month(&cases);
        let counted = counted(&log, Some(&kept));
        for (sum, parts) in sums(&counted) {
            let of_agency = sum.starts_with("answering.") && n(&counted, &sum).0 == 0;
            let total: usize = parts.iter().map(|part| n(&counted, part).0).sum();
            if !of_agency {
                prop_assert_eq!(n(&counted, &sum).0, total, "{} = {:?}", sum, parts);
            }
        }
    }
}
