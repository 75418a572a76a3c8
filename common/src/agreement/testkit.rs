//! The sample agreement and small facts, for tests.

use std::collections::BTreeSet;

use super::*;
use crate::{
    id::{AgencyId, CategoryCode, PersonRef},
    rating::{Basis, Colour},
    time::{SignedDuration, Timestamp},
};

pub(super) const SAMPLE: &str =
    include_str!("../../../tests/corpus/agreements/exampleshire/agreement.toml");

pub(super) fn sample() -> Agreement {
    Agreement::parse(SAMPLE).unwrap()
}

/// The sample with one text replaced, which must be there.
pub(super) fn sample_with(from: &str, to: &str) -> String {
    assert!(SAMPLE.contains(from), "the sample holds no {from:?}");
    SAMPLE.replacen(from, to, 1)
}

pub(super) fn noon() -> Timestamp {
    "2027-02-09T12:00:00Z".parse().unwrap()
}

pub(super) fn hours_ago(hours: i64) -> Timestamp {
    noon() - SignedDuration::from_hours(hours)
}

pub(super) fn agency(id: &str) -> AgencyId {
    id.parse().unwrap()
}

pub(super) fn person(id: &str) -> PersonRef {
    id.parse().unwrap()
}

pub(super) fn category(code: &str) -> CategoryCode {
    code.parse().unwrap()
}

pub(super) fn rating(by: &str, whom: &str, colour: Colour) -> Rating {
    Rating {
        agency: agency(by),
        person: person(whom),
        colour,
        basis: Basis::Direct,
        topics: BTreeSet::new(),
        at: hours_ago(1),
        evidence: EvidenceId::new(format!("{by} {colour} {whom}")),
    }
}

pub(super) fn link(from: &str, kind: LinkKind, to: &str) -> Link {
    let evidence = EvidenceId::new(format!("{from} {kind} {to}"));
    Link { from: person(from), to: person(to), kind, evidence }
}

pub(super) fn assertion(by: &str, kind: AssertionKind, people: &[&str]) -> Assertion {
    Assertion {
        by: agency(by),
        kind,
        people: people.iter().map(|id| person(id)).collect(),
        at: hours_ago(1),
        evidence: EvidenceId::new(format!("{by} assertion")),
    }
}

pub(super) fn consent(whom: &str, status: ConsentStatus, what: &str, to: &str) -> Consent {
    Consent {
        person: person(whom),
        status,
        categories: BTreeSet::from([category(what)]),
        recipients: BTreeSet::from([agency(to)]),
        expires: None,
        evidence: EvidenceId::new("agreement"),
    }
}

/// A victim P1, a person posing risk to them P2, a child P3 of their household, and P4, linked to
/// nobody.
pub(super) fn family() -> Facts {
    Facts {
        people: ["P1", "P2", "P3", "P4"].into_iter().map(person).collect(),
        posing_risk: BTreeSet::from([person("P2")]),
        children: BTreeSet::from([person("P3")]),
        links: vec![link("P2", LinkKind::PosesRiskTo, "P1"), link("P1", LinkKind::Household, "P3")],
        ..Facts::default()
    }
}

pub(super) fn request(holder: &str, whom: &str, what: &str, to: &[&str]) -> Request {
    Request {
        holder: agency(holder),
        person: person(whom),
        category: category(what),
        recipients: to.iter().map(|id| agency(id)).collect(),
        purpose: Some(Purpose::ChildSafeguarding),
        basis: LawfulBasis::complete(),
    }
}

/// The one decision on a request for one recipient.
pub(super) fn decided(
    agreement: &Agreement,
    request: &Request,
    facts: &Facts,
    moment: &Moment,
) -> RecipientDecision {
    let mut decisions = decide(agreement, request, facts, moment);
    assert_eq!(decisions.len(), 1);
    decisions.remove(0)
}
