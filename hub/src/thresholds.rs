//! Which thresholds are met for each person of an enquiry, on what evidence, what would meet the others, and what may then be
//! released: the same rules that every holder applies for itself, in words.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    agreement::{
        Agreement, AssertionKind, Class, EvidenceId, Facts, Gate, GateNumbers, LinkKind, Mode,
        gates::{self, OpenGates},
    },
    id::PersonRef,
    time::Timestamp,
};

use crate::{
    hub::Shared,
    life::{Case, Ground},
    view::Whole,
};

/// The thresholds of one person.
#[derive(Debug)]
pub(crate) struct Thresholds {
    /// Whose.
    pub(crate) person: PersonRef,
    /// Every gate of the agreement, in its order.
    pub(crate) gates: Vec<GateState>,
    /// What may be released under the gates that are open: for each class, the widest way.
    pub(crate) classes: Vec<(Class, Option<Mode>)>,
}

/// One gate for one person.
#[derive(Debug)]
pub(crate) struct GateState {
    /// Which.
    pub(crate) gate: Gate,
    /// On what it is open, in words; `None`: it is not.
    pub(crate) open_on: Option<Vec<Evidence>>,
    /// What opens it.
    pub(crate) opened_by: String,
}

/// A piece of evidence in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evidence {
    /// What it says.
    pub(crate) text: String,
    /// When it was made; `None` where that does not matter.
    pub(crate) at: Option<Timestamp>,
}

/// The thresholds of everybody in an enquiry, as it was just read.
#[must_use]
pub(crate) fn of(
    shared: &Arc<Shared>,
    name: &brag_common::id::EnquiryRef,
    whole: &Whole,
) -> Vec<Thresholds> {
    let ground = Ground::of(shared, name, whole);
    let case = ground.case(shared, shared.clock.now());
    let label = |person: &PersonRef| {
        let known = case.record.person(person);
        known.map_or_else(|| "somebody".to_owned(), |known| known.label.clone())
    };
    case.people().map(|person| of_person(&case, person, &label)).collect()
}

fn of_person(
    case: &Case<'_>,
    person: &PersonRef,
    label: &dyn Fn(&PersonRef) -> String,
) -> Thresholds {
    let open = gates::open(case.agreement, case.facts, person, case.now);
    let gates = Gate::ALL
        .iter()
        .map(|gate| GateState {
            gate: *gate,
            open_on: open
                .iter()
                .find(|(one, _)| one == gate)
                .map(|(_, evidence)| in_words(case.facts, evidence, label)),
            opened_by: opened_by(*gate, &case.agreement.gates()),
        })
        .collect();
    let classes =
        Class::ALL.iter().map(|class| (*class, widest(case.agreement, *class, &open))).collect();
    Thresholds { person: person.clone(), gates, classes }
}

/// The widest way in which a class may be released under gates that are open.
fn widest(agreement: &Agreement, class: Class, open: &OpenGates) -> Option<Mode> {
    open.iter().filter_map(|(gate, _)| Some(agreement.disclosure(class, gate)?.mode)).min()
}

/// What opens a gate, in words, with the agreement's numbers.
fn opened_by(gate: Gate, numbers: &GateNumbers) -> String {
    match gate {
        Gate::G1 => "The person agrees to it, and an agency has recorded that.".to_owned(),
        Gate::G2 => format!(
            "{} agencies rate the person Amber or above; or one does, and somebody who is linked to them by household or risk is Red.",
            numbers.amber_agencies
        ),
        Gate::G3 => {
            "One agency rates the person Red, or somebody who is Red is linked to them by risk."
                .to_owned()
        }
        Gate::G4 => {
            "Children's social care asserts section 47 for the person, or rates a child Red with whom they live or to whom they pose \
             risk."
                .to_owned()
        }
        Gate::G5 => format!(
            "Police, a domestic abuse service or the Marac co-ordinator state the Marac threshold: {} Dash ticks, professional judgement, \
             {} reports in 12 months, or a repeat.",
            numbers.marac_dash_ticks, numbers.marac_reports
        ),
        Gate::G6 => "Adult social care asserts section 42 of the Care Act for the person.".to_owned(),
    }
}

/// Evidence in words. What is not among the facts is not there.
fn in_words(
    facts: &Facts,
    evidence: &BTreeSet<EvidenceId>,
    label: &dyn Fn(&PersonRef) -> String,
) -> Vec<Evidence> {
    let mut found = Vec::new();
    for rating in facts.ratings.iter().filter(|one| evidence.contains(&one.evidence)) {
        let (whom, colour) =
            (label(&rating.person), brag_common::console::shown::spoken(rating.colour.word()));
        let text = format!("{} rates {whom} {colour}", rating.agency);
        found.push(Evidence { text, at: Some(rating.at) });
    }
    for link in facts.links.iter().filter(|one| evidence.contains(&one.evidence)) {
        let (from, to) = (label(&link.from), label(&link.to));
        let text = match link.kind {
            LinkKind::Household => format!("{from} and {to} live in one household"),
            LinkKind::PosesRiskTo => format!("{from} poses risk to {to}"),
            LinkKind::AtRiskFrom => format!("{from} is at risk from {to}"),
            LinkKind::Relative => format!("{from} and {to} are relatives"),
            LinkKind::ContactVenue => format!("{from} and {to} meet at a contact venue"),
        };
        found.push(Evidence { text: format!("Signed link: {text}"), at: None });
    }
    for assertion in facts.assertions.iter().filter(|one| evidence.contains(&one.evidence)) {
        let what = match assertion.kind {
            AssertionKind::Section47 => "section 47",
            AssertionKind::Marac(_) => "the Marac threshold",
            AssertionKind::CareAct42 => "section 42 of the Care Act",
        };
        let text = format!("{} asserts {what}", assertion.by);
        found.push(Evidence { text, at: Some(assertion.at) });
    }
    for consent in facts.consents.iter().filter(|one| evidence.contains(&one.evidence)) {
        let text = format!(
            "{} has agreed to sharing, for what the agreement names",
            label(&consent.person)
        );
        found.push(Evidence { text, at: None });
    }
    found.sort();
    found.dedup();
    found
}
