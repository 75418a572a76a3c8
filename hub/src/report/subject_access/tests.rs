//! What reaches an answer, and what does not: the profile case by case, the whole document line by line, and, for any enquiry, that
//! nothing of anybody else comes through to a person who poses risk.

use std::collections::BTreeSet;

use brag_common::{
    agreement::LinkKind,
    matching::identity::Identity,
    rating::{Colour, Topic},
    reason::Reason,
    statement::PersonRole::{Child, ConnectedPerson, PersonPosingRisk, Victim},
};
use proptest::prelude::*;
use serde_json::Value;

use super::{
    draft::Draft,
    held::About,
    profile::{Because, causes},
    testkit::{Family, agreement, called},
};
use crate::report::{document::Document, html::html, json::json, text::text};

fn mother() -> Identity {
    called("Nadia", "Brookes")
}

fn father() -> Identity {
    called("Gareth", "Pell")
}

fn child() -> Identity {
    called("Theo", "Pell")
}

/// P1 and her child P3, to whom P2 poses risk, and P4, his mother.
fn family() -> Family {
    let (p1, p2, p3, p4) = (mother(), father(), child(), called("Moira", "Pell"));
    Family::of(&[
        (&p1, Some(Victim)),
        (&p2, Some(PersonPosingRisk)),
        (&p3, Some(Child)),
        (&p4, Some(ConnectedPerson)),
    ])
    .link("P1", LinkKind::AtRiskFrom, "P2")
    .link("P2", LinkKind::PosesRiskTo, "P3")
    .link("P4", LinkKind::ContactVenue, "P2")
}

fn because(all: &[About]) -> Option<Because> {
    causes(all).first().map(|cause| cause.because)
}

fn draft(all: &[About], include: &[&str]) -> Draft {
    let include: BTreeSet<_> = include.iter().map(|agency| agency.parse().unwrap()).collect();
    Draft::new(&agreement(), &mother(), all, &include)
}

/// The rows of a table of the document.
fn rows(document: &Document, table: &str) -> Vec<Vec<String>> {
    let document = json(document);
    let sections = document["sections"].as_array().unwrap().iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().unwrap());
    let found = blocks.map(|block| &block["table"]).find(|found| found["id"] == table);
    let rows = found.and_then(|found| found["rows"].as_array()).map(Vec::as_slice);
    let cells = |row: &Value| -> Vec<String> {
        let cells = row["cells"].as_array().unwrap().iter();
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    rows.unwrap_or_default().iter().map(cells).collect()
}

fn every_form(document: &Document) -> String {
    [text(document), html(document), json(document).to_string()].concat()
}

#[test]
fn whoever_poses_risk_by_any_word_of_anybody_is_answered_safely() {
    let (p1, p2) = (mother(), father());
    let two = || Family::of(&[(&p1, None), (&p2, None)]);
    assert_eq!(because(&two().about("P2")), None);
    for (family, why) in [
        (Family::of(&[(&p1, None), (&p2, Some(PersonPosingRisk))]), Because::Recorded),
        (two().stated("HOU", "P2", PersonPosingRisk), Because::Stated),
        (two().link("P2", LinkKind::PosesRiskTo, "P1"), Because::Linked),
        (two().link("P1", LinkKind::AtRiskFrom, "P2"), Because::Linked),
        (two().linked("CSC", "P2", LinkKind::PosesRiskTo, "P1"), Because::Linked),
        (two().linked("CSC", "P1", LinkKind::AtRiskFrom, "P2"), Because::Linked),
        // Also somebody who is a victim too: once said, it counts for good.
        (two().stated("DAS", "P2", Victim).stated("POL", "P2", PersonPosingRisk), Because::Stated),
    ] {
        assert_eq!(because(&family.about("P2")), Some(why));
    }
}

#[test]
fn a_child_and_a_bystander_of_somebody_who_poses_risk_are_answered_safely_and_who_is_at_risk_is_not()
 {
    assert_eq!(because(&family().about("P3")), Some(Because::Child));
    assert_eq!(because(&family().about("P4")), Some(Because::Bystander));
    assert_eq!(because(&family().about("P1")), None);
    let (p1, p2) = (mother(), child());
    let alone = || Family::of(&[(&p1, None), (&p2, Some(Child))]);
    assert_eq!(because(&alone().about("P2")), None);
    assert_eq!(because(&alone().about("P1")), None);
}

#[test]
fn one_unclear_enquiry_among_others_is_cause_enough_and_is_not_shown() {
    let mut all = family().about("P1");
    let mut other = family().about("P2");
    other[0].unclear = true;
    all.append(&mut other);
    assert_eq!(causes(&all).len(), 1);
    let mut unclear = family().about("P1");
    unclear[0].unclear = true;
    let draft = draft(&unclear, &[]);
    assert!(!draft.is_safe());
    assert!(text(&draft.document).contains("nothing is kept that is known to be about you"));
    let left_out = rows(&draft.document, "left-out-table");
    assert_eq!(
        left_out,
        [[
            "an enquiry",
            "1",
            "IDENTITY_UNCLEAR",
            "not settled that it is about this person, so no answer to this request"
        ]]
    );
}

/// P1 of the family, as agencies have answered about her and others.
fn answered() -> Family {
    let own = "Tenancy matters only. No reports of disturbance this year.";
    family()
        .rated("HOU", "P1", (Colour::Green, own, &[Topic::Housing]), None)
        .rated("POL", "P1", (Colour::Amber, "Assault last night.", &[Topic::Physical]), None)
        .rated("HLT", "P1", (Colour::Amber, "Low mood.", &[Topic::MentalHealth]), None)
        .rated("DAS", "P1", (Colour::Red, "Fear is high.", &[]), None)
        .rated("EDU", "P1", (Colour::Red, "By way of a child.", &[Topic::Housing]), Some("P3"))
        .rated("SMS", "P2", (Colour::Red, "Drinking heavily.", &[Topic::Substance]), None)
        .changed("CSC", "P1", Colour::Blue)
        .asked(("DAS", "P1", "C43"), "CSC", Some(Reason::CategoryNever))
        .asked(("POL", "P1", "C11"), "HLT", None)
        .asked(("POL", "P1", "C11"), "SMS", Some(Reason::RecipientConflict))
        .asked(("SMS", "P2", "C33"), "CSC", None)
        .agrees("DAS", "P1", "C50", "CSC")
        .section_47("CSC", "P1")
        .linked("POL", "P2", LinkKind::PosesRiskTo, "P1")
}

#[test]
fn who_is_at_risk_gets_their_own_ratings_decisions_recipients_and_sources_and_nothing_of_others() {
    let draft = draft(&answered().about("P1"), &[]);
    assert!(!draft.is_safe());
    assert_eq!(draft.needed(), 1);
    let document = &draft.document;
    let day = "2027-02-09";
    assert_eq!(
        rows(document, "enquiry-1-ratings"),
        [
            [
                "Housing service (HOU)",
                "green",
                day,
                "Tenancy matters only. No reports of disturbance this year."
            ],
            ["Exampleshire Police (POL)", "amber", day, "left out: THIRD_PARTY"],
            ["Exampleshire Health (HLT)", "amber", day, "left out: DPA18_SCH3"],
            ["Domestic abuse service (DAS)", "red", day, "left out: THIRD_PARTY"],
            [
                "an agency, from what it knows of another person",
                "red",
                day,
                "left out: THIRD_PARTY"
            ],
        ]
        .map(|row| row.map(str::to_owned).to_vec())
        .map(with_names)
    );
    let decisions = rows(document, "enquiry-1-decisions");
    assert_eq!(decisions.len(), 2);
    assert_eq!(decisions[0][4], "refused");
    assert_eq!(decisions[0][5], Reason::CategoryNever.text());
    assert_eq!(decisions[1][4], "released");
    assert_eq!(rows(document, "enquiry-1-changes").len(), 1);
    assert_eq!(rows(document, "enquiry-1-agreed")[0][1], "valid");
    let left_out = rows(document, "left-out-table");
    let code = |what: &str| left_out.iter().find(|row| row[0] == what).map(|row| row[2].as_str());
    for (what, why) in [
        ("which agency gave a colour", "THIRD_PARTY"),
        ("the reason for a colour", "THIRD_PARTY"),
        ("a request for detail", "THIRD_PARTY"),
        ("another person of an enquiry, with all about them", "THIRD_PARTY"),
        ("a link between you and another person", "THIRD_PARTY"),
        ("a statement about a legal threshold", "DPA18_SCH2_P2"),
    ] {
        assert_eq!(code(what), Some(why), "{what}");
    }
    // That the service knows only the other person stays unsaid, and so does everybody else.
    let whole = every_form(document);
    for word in ["SMS", "Gareth", "Pell", "Theo", "Moira", "EDU", "Quarryside", "ZZ9"] {
        assert!(!whole.contains(word), "{word}");
    }
    // The reviewers' notes are theirs.
    assert!(!whole.contains("Low mood."));
    let notes = every_form(&draft.with_notes(7, draft.digest(&[0; 32]), 0));
    assert!(notes.contains("Low mood.") && notes.contains("NOT TO BE GIVEN OUT"));
}

/// A row of ratings with the agency's name as the agreement has it.
fn with_names(mut row: Vec<String>) -> Vec<String> {
    let agreement = agreement();
    let named = agreement.parties().find(|party| row[0].ends_with(&format!("({})", party.id())));
    if let Some(party) = named {
        row[0] = format!("{} ({})", party.name(), party.id());
    }
    row
}

#[test]
fn an_analysis_is_included_when_asked_for_but_never_by_way_of_another_naming_somebody_or_of_a_child()
 {
    let why = |document: &Document, agency: &str| {
        let rows = rows(document, "enquiry-1-ratings");
        let row = rows.into_iter().find(|row| row[0].ends_with(&format!("({agency})")));
        row.map(|row| row[3].clone()).unwrap_or_default()
    };
    let asked = draft(&answered().about("P1"), &["DAS", "POL", "EDU"]);
    assert_eq!(why(&asked.document, "DAS"), "Fear is high.");
    assert_eq!(why(&asked.document, "POL"), "Assault last night.");
    assert!(!every_form(&asked.document).contains("By way of a child."));
    let named = family().rated(
        "HOU",
        "P1",
        (Colour::Green, "Gareth holds the tenancy.", &[Topic::Housing]),
        None,
    );
    let named = draft(&named.about("P1"), &["HOU"]);
    assert_eq!(why(&named.document, "HOU"), "left out: THIRD_PARTY");
    let (p1, p2) = (mother(), child());
    let alone = Family::of(&[(&p2, Some(Child)), (&p1, None)]).rated(
        "HOU",
        "P1",
        (Colour::Green, "Well housed.", &[Topic::Housing]),
        None,
    );
    assert_eq!(
        why(&draft(&alone.about("P1"), &["HOU"]).document, "HOU"),
        "left out: DPA18_SCH3_P5"
    );
}

#[test]
fn a_draft_is_another_under_another_salt_and_when_anything_that_is_shown_changes() {
    let (all, other) = (answered().about("P1"), family().about("P1"));
    let digest = |all: &[About], salt| draft(all, &[]).digest(&[salt; 32]);
    assert_eq!(digest(&all, 1), digest(&all, 1));
    assert_ne!(digest(&all, 1), digest(&all, 2));
    assert_ne!(digest(&all, 1), digest(&other, 1));
}

/// Names that no text of the program has.
fn strange_name() -> impl Strategy<Value = String> {
    "[B-DF-HJ-NP-TV-XZ][bcdfghjklmnpqrstvwxz]{5,9}"
}

const AGENCIES: [&str; 14] = [
    "CSC", "POL", "DAS", "HLT", "EDU", "HOU", "SMS", "MHT", "PRO", "EHT", "ASC", "CAM", "YOS",
    "MRC",
];

/// What agencies and the co-ordinator may say in an enquiry about P1, who poses risk, and two others.
#[derive(Debug, Clone)]
struct Said {
    risk: usize,
    ratings: Vec<(usize, usize, usize, usize, Option<usize>)>,
    requests: Vec<(usize, usize, usize, usize)>,
    facts: Vec<(usize, usize, usize)>,
}

fn said() -> impl Strategy<Value = Said> {
    let agency = 0..AGENCIES.len();
    let rating =
        (agency.clone(), 1..4_usize, 0..4_usize, 0..11_usize, prop::option::of(1..4_usize));
    let request = (agency.clone(), 1..4_usize, agency.clone(), 0..Reason::ALL.len() + 1);
    let fact = (agency, 0..4_usize, 1..4_usize);
    (
        0..6_usize,
        prop::collection::vec(rating, 0..12),
        prop::collection::vec(request, 0..8),
        prop::collection::vec(fact, 0..6),
    )
        .prop_map(|(risk, ratings, requests, facts)| Said { risk, ratings, requests, facts })
}

impl Said {
    /// P1 poses risk, in one of the ways in which that can be said, and everything else is said too.
    fn of(&self, people: [&Identity; 3], analysis: &str) -> Family {
        let [p1, p2, p3] = people;
        let recorded = (self.risk == 0).then_some(PersonPosingRisk);
        let family = Family::of(&[(p1, recorded), (p2, Some(Victim)), (p3, Some(Child))]);
        let mut family = match self.risk {
            1 => family.stated("POL", "P1", PersonPosingRisk),
            2 => family.link("P1", LinkKind::PosesRiskTo, "P2"),
            3 => family.link("P3", LinkKind::AtRiskFrom, "P1"),
            4 => family.linked("DAS", "P1", LinkKind::PosesRiskTo, "P3"),
            5 => family.linked("EDU", "P3", LinkKind::AtRiskFrom, "P1"),
            _ => family,
        };
        let label = |n: usize| format!("P{n}");
        for (agency, person, colour, topic, via) in &self.ratings {
            let topic = [Topic::ALL[*topic].0];
            let via = via.map(label);
            family = family.rated(
                AGENCIES[*agency],
                &label(*person),
                (Colour::ALL[*colour], analysis, &topic),
                via.as_deref(),
            );
            family = family.changed(AGENCIES[*agency], &label(*person), Colour::ALL[*colour]);
        }
        for (holder, person, recipient, reason) in &self.requests {
            let refused = Reason::ALL.get(*reason).copied();
            let asked = (AGENCIES[*holder], label(*person));
            family = family.asked((asked.0, &asked.1, "C33"), AGENCIES[*recipient], refused);
        }
        for (agency, kind, person) in &self.facts {
            let (agency, person) = (AGENCIES[*agency], label(*person));
            family = match kind {
                0 => family.stated(agency, &person, ConnectedPerson),
                1 => family.section_47(agency, &person),
                2 => family.agrees(agency, &person, "C50", "DAS"),
                _ => family.linked(agency, &person, LinkKind::Household, "P2"),
            };
        }
        family
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn for_any_enquiry_nothing_that_anybody_said_reaches_the_answer_to_a_person_who_poses_risk(
        said in said(),
        names in prop::collection::vec(strange_name(), 6),
        analysis in strange_name(),
    ) {
        let own = called(&names[0], &names[1]);
        let (mother, child) = (called(&names[2], &names[3]), called(&names[4], &names[5]));
        let all = said.of([&own, &mother, &child], &analysis).about("P1");
        let agreement = agreement();
        let include: BTreeSet<_> = AGENCIES.iter().map(|agency| agency.parse().unwrap()).collect();
        let draft = Draft::new(&agreement, &own, &all, &include);
        prop_assert!(draft.is_safe());
        prop_assert_eq!(draft.needed(), 2);
        // Nobody's name, no agency of any kind, no colour, no analysis, no date; in the notes neither.
        let whole = every_form(&draft.document);
        let notes = every_form(&draft.with_notes(7, draft.digest(&[0; 32]), 1));
        let forbidden = names[2..].iter().chain([&analysis]);
        for word in forbidden.filter(|word| !names[..2].contains(word)) {
            prop_assert!(!whole.contains(word.as_str()), "{}", word);
            prop_assert!(!notes.contains(word.as_str()), "{}", word);
        }
        for party in agreement.parties() {
            for form in [&whole, &notes] {
                prop_assert!(!form.contains(party.id().as_str()), "{}", party.id());
                prop_assert!(!form.contains(party.name()), "{}", party.name());
            }
        }
        let words: BTreeSet<String> = whole
            .split(|c: char| !c.is_alphanumeric())
            .map(str::to_lowercase)
            .collect();
        for trace in [
            "red", "amber", "green", "blue", "domestic", "refuge", "school", "education", "dvds",
            "marac", "help", "2027", "victim", "child", "quarryside",
        ] {
            prop_assert!(!words.contains(trace), "{}", trace);
        }
        // Byte for byte what it would be had nobody answered anything.
        let nobody = Said { ratings: Vec::new(), requests: Vec::new(), facts: Vec::new(), ..said };
        let silent = nobody.of([&own, &mother, &child], "").about("P1");
        let silent = Draft::new(&agreement, &own, &silent, &BTreeSet::new());
        prop_assert_eq!(whole, every_form(&silent.document));
    }
}
