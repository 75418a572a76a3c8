//! What holds of every decision, over random enquiries.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{testkit::*, *};
use crate::{
    id::{AgencyId, CategoryCode, PersonRef},
    rating::{Basis, Colour, Topic},
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

const PEOPLE: [&str; 5] = ["P1", "P2", "P3", "P4", "P5"];
/// Parties of the sample, and somebody who is none.
const AGENCIES: [&str; 15] = [
    "CSC", "POL", "DAS", "HLT", "EDU", "HOU", "SMS", "MHT", "PRO", "EHT", "ASC", "CAM", "YOS",
    "MRC", "XYZ",
];

/// Mostly the first two, so that evidence meets.
fn a_person() -> impl Strategy<Value = PersonRef> {
    prop_oneof![1 => select(&PEOPLE[..]), 2 => select(&PEOPLE[..2])].prop_map(person)
}

/// Mostly one of those that may receive anything.
fn an_agency() -> impl Strategy<Value = AgencyId> {
    prop_oneof![1 => select(&AGENCIES[..]), 2 => select(&AGENCIES[..4])].prop_map(agency)
}

fn a_category() -> impl Strategy<Value = CategoryCode> {
    // Every one of the catalogue, some that are never carried, some that do not exist.
    let listed: Vec<_> = sample().categories().keys().copied().collect();
    prop_oneof![9 => select(listed), 1 => (1..72_u8).prop_map(|n| CategoryCode::new(n).unwrap())]
}

fn a_colour() -> impl Strategy<Value = Colour> {
    prop_oneof![1 => select(&Colour::ALL[..]), 1 => select(&Colour::ALL[2..])]
}

/// Mostly fresh, sometimes at a limit, too old, or in the future.
fn a_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        12 => (1..48_i64).prop_map(hours_ago),
        1 => (-2..200_i64).prop_map(hours_ago),
        1 => select(vec![hours_ago(72), hours_ago(168), noon()]),
    ]
}

fn a_rating() -> impl Strategy<Value = Rating> {
    let basis = prop_oneof![
        3 => Just(Basis::Direct),
        1 => a_person().prop_map(Basis::ViaLinkedPerson),
    ];
    let topics = prop::collection::btree_set(select(vec![Topic::SelfHarm, Topic::Substance]), 0..2);
    (an_agency(), a_person(), a_colour(), basis, topics, a_time(), any::<u16>()).prop_map(
        |(agency, person, colour, basis, topics, at, n)| {
            let evidence = EvidenceId::new(format!("rating {n}"));
            Rating { agency, person, colour, basis, topics, at, evidence }
        },
    )
}

fn a_link() -> impl Strategy<Value = Link> {
    (a_person(), a_person(), select(LinkKind::ALL)).prop_map(|(from, to, kind)| Link {
        evidence: EvidenceId::new(format!("{from} {kind} {to}")),
        from,
        to,
        kind,
    })
}

fn an_assertion() -> impl Strategy<Value = Assertion> {
    let stated = (0..28_u32, any::<bool>(), 0..6_u32, any::<bool>()).prop_map(
        |(dash, judgement, reports, repeat)| MaracGround::Stated {
            dash_ticks: Some(dash),
            judgement,
            reports_in_12_months: Some(reports),
            repeat,
        },
    );
    let ground = prop_oneof![Just(MaracGround::WorkedOut), stated];
    let marac = (ground, prop::option::of((-400..400_i64).prop_map(hours_ago)))
        .prop_map(|(ground, meeting)| AssertionKind::Marac(Marac { ground, meeting }));
    // Mostly made by somebody who may.
    let by = |id: &'static str| prop_oneof![4 => Just(agency(id)), 1 => an_agency()];
    let made = prop_oneof![
        (by("CSC"), Just(AssertionKind::Section47)),
        (by("ASC"), Just(AssertionKind::CareAct42)),
        (by("MRC"), marac),
    ];
    (made, prop::collection::btree_set(a_person(), 0..4), a_time(), any::<u16>()).prop_map(
        |((by, kind), people, at, n)| {
            let evidence = EvidenceId::new(format!("assertion {n}"));
            Assertion { by, kind, people, at, evidence }
        },
    )
}

fn a_consent() -> impl Strategy<Value = Consent> {
    let status = select(vec![
        ConsentStatus::Valid,
        ConsentStatus::Valid,
        ConsentStatus::Refused,
        ConsentStatus::Withdrawn,
        ConsentStatus::Expired,
    ]);
    let categories = prop::collection::btree_set(a_category(), 0..24);
    let recipients = prop::collection::btree_set(an_agency(), 0..7);
    let expires = prop::option::of((-400..100_i64).prop_map(hours_ago));
    (a_person(), status, categories, recipients, expires, any::<u16>()).prop_map(
        |(person, status, categories, recipients, expires, n)| {
            let evidence = EvidenceId::new(format!("consent {n}"));
            Consent { person, status, categories, recipients, expires, evidence }
        },
    )
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let all = PEOPLE.into_iter().map(person).collect::<BTreeSet<_>>();
    let people = prop_oneof![4 => Just(all), 1 => prop::collection::btree_set(a_person(), 1..5)];
    let roles = (
        prop::collection::btree_set(a_person(), 0..2),
        prop::collection::btree_set(a_person(), 0..3),
    );
    let evidence = (
        vec(a_link(), 0..5),
        vec(a_rating(), 0..12),
        vec(an_assertion(), 0..3),
        vec(a_consent(), 0..3),
    );
    let actions = vec((an_agency(), a_person()), 0..3);
    (people, roles, evidence, actions).prop_map(
        |(people, (posing_risk, children), (links, ratings, assertions, consents), actions)| {
            let accepted = |(agency, person)| AcceptedAction { agency, person };
            Facts {
                people,
                posing_risk,
                children,
                links,
                ratings,
                assertions,
                consents,
                accepted_actions: actions.into_iter().map(accepted).collect(),
                ..Facts::default()
            }
        },
    )
}

fn a_request() -> impl Strategy<Value = Request> {
    (an_agency(), a_person(), a_category(), an_agency()).prop_map(
        |(holder, person, category, recipient)| Request {
            holder,
            person,
            category,
            recipients: vec![recipient],
            purpose: Some(Purpose::ChildSafeguarding),
            basis: LawfulBasis::complete(),
        },
    )
}

fn a_holding() -> impl Strategy<Value = Holding> {
    let held = any::<(bool, bool, bool, bool)>().prop_map(
        |(third_party, restricted, handling_code, more_detrimental)| Holding::Held {
            third_party,
            restricted,
            handling_code,
            more_detrimental,
        },
    );
    prop_oneof![1 => Just(Holding::NotHeld), 1 => held, 2 => Just(Holding::PLAIN)]
}

fn fair() -> Moment {
    Moment::fair(noon())
}

/// How widely something is released: 0 not at all, 3 at once.
fn width(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Deny(_) => 0,
        Outcome::Review(pending) => 3 - u8::try_from(pending.approvals().count()).unwrap(),
        Outcome::Release(_) => 3,
    }
}

fn open_gates(agreement: &Agreement, facts: &Facts, whom: &PersonRef) -> BTreeSet<Gate> {
    gates::open(agreement, facts, whom, noon()).iter().map(|(gate, _)| gate).collect()
}

/// The properties would say little about enquiries in which nothing ever happens.
#[test]
fn random_enquiries_reach_every_gate_and_most_reasons() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let agreement = sample();
    let mut runner = TestRunner::deterministic();
    let strategy = (some_facts(), a_request(), a_holding());
    let (mut gates, mut reasons, mut widths) = (BTreeSet::new(), BTreeSet::new(), [0; 4]);
    for _ in 0..3000 {
        let (facts, request, holding) = strategy.new_tree(&mut runner).unwrap().current();
        let outcome = decided(&agreement, &request, &facts, &Moment { holding, ..fair() }).outcome;
        widths[usize::from(width(&outcome))] += 1;
        match outcome {
            Outcome::Release(permit) => drop(gates.insert(permit.gate())),
            Outcome::Review(pending) => drop(gates.insert(pending.details().gate())),
            Outcome::Deny(reason) => drop(reasons.insert(reason)),
        }
    }
    assert_eq!(gates.len(), Gate::ALL.len(), "{gates:?}");
    assert!(reasons.len() >= 16, "{reasons:?}");
    assert!(widths.iter().all(|n| *n >= 5), "{widths:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn raising_a_threshold_never_releases_more(
        facts in some_facts(), request in a_request(),
        amber in 2..6_usize, ticks in 14..28_u32, reports in 3..9_u32,
        amber_hours in 1..72_i64, red_hours in 1..168_i64,
    ) {
        let agreement = sample();
        let mut stricter = sample();
        stricter.gates.amber_agencies = amber;
        stricter.gates.marac_dash_ticks = ticks;
        stricter.gates.marac_reports = reports;
        stricter.freshness.amber = SignedDuration::from_hours(amber_hours);
        stricter.freshness.red = SignedDuration::from_hours(red_hours);
        let before = decided(&agreement, &request, &facts, &fair()).outcome;
        let after = decided(&stricter, &request, &facts, &fair()).outcome;
        prop_assert!(width(&after) <= width(&before), "{:?} then {:?}", before, after);
    }

    #[test]
    fn a_rating_of_another_agency_never_closes_a_gate(
        facts in some_facts(), rating in a_rating(), whom in a_person(),
    ) {
        // Another agency: one that has not rated this person, so that nothing is replaced.
        prop_assume!(!facts.ratings.iter().any(|r| (&r.agency, &r.person) == (&rating.agency, &rating.person)));
        let agreement = sample();
        let before = open_gates(&agreement, &facts, &whom);
        let mut more = facts;
        more.ratings.push(rating);
        prop_assert!(before.is_subset(&open_gates(&agreement, &more, &whom)));
    }

    #[test]
    fn a_rating_of_another_agency_takes_a_release_from_nobody_else(
        facts in some_facts(), request in a_request(), rating in a_rating(),
    ) {
        prop_assume!(!facts.ratings.iter().any(|r| (&r.agency, &r.person) == (&rating.agency, &rating.person)));
        // A recipient's own rating may involve it, or show that it works with the one posing risk.
        prop_assume!(rating.agency != request.recipients[0]);
        let agreement = sample();
        let before = decided(&agreement, &request, &facts, &fair()).outcome;
        let mut more = facts;
        more.ratings.push(rating);
        let after = decided(&agreement, &request, &more, &fair()).outcome;
        prop_assert!(width(&after) >= width(&before), "{:?} then {:?}", before, after);
    }

    #[test]
    fn green_blue_and_not_known_open_no_gate(facts in some_facts(), whom in a_person()) {
        let agreement = sample();
        let mut fewer = facts.clone();
        // NOT_KNOWN is the absence of a rating.
        fewer.ratings.retain(|rating| rating.colour >= Colour::Amber);
        let without = open_gates(&agreement, &fewer, &whom);
        let with = open_gates(&agreement, &facts, &whom);
        prop_assert!(with.is_subset(&without), "{:?} and {:?}", with, without);
    }

    #[test]
    fn who_gave_the_only_red_changes_no_gate_but_section_47(
        facts in some_facts(), whom in a_person(), rated in a_person(),
        one in select(&AGENCIES[..14]), other in select(&AGENCIES[..14]),
    ) {
        let agreement = sample();
        let mut facts = facts;
        facts.ratings.retain(|r| r.colour < Colour::Amber && ![one, other].contains(&r.agency.as_str()));
        let with_red_of = |id: &str| {
            let mut facts = facts.clone();
            facts.ratings.push(Rating { person: rated.clone(), ..rating(id, "P1", Colour::Red) });
            let mut gates = open_gates(&agreement, &facts, &whom);
            gates.remove(&Gate::G4);
            gates
        };
        prop_assert_eq!(with_red_of(one), with_red_of(other));
    }

    #[test]
    fn who_gave_the_only_red_changes_no_decision_for_others(
        facts in some_facts(), request in a_request(), rated in a_person(),
        one in select(&["POL", "DAS", "HOU", "HLT", "EDU"][..]),
        other in select(&["POL", "DAS", "HOU", "HLT", "EDU"][..]),
    ) {
        let agreement = sample();
        let mut facts = facts;
        facts.ratings.retain(|r| r.colour < Colour::Amber && ![one, other].contains(&r.agency.as_str()));
        prop_assume!(![one, other].contains(&request.recipients[0].as_str()));
        let with_red_of = |id: &str| {
            let mut facts = facts.clone();
            facts.ratings.push(Rating { person: rated.clone(), ..rating(id, "P1", Colour::Red) });
            decided(&agreement, &request, &facts, &fair()).outcome
        };
        prop_assert_eq!(with_red_of(one), with_red_of(other));
    }

    #[test]
    fn the_order_of_evidence_changes_nothing(
        (facts, shuffled) in some_facts().prop_flat_map(|facts| {
            let parts = (
                Just(facts.ratings.clone()).prop_shuffle(),
                Just(facts.links.clone()).prop_shuffle(),
                Just(facts.assertions.clone()).prop_shuffle(),
                Just(facts.consents.clone()).prop_shuffle(),
                Just(facts.accepted_actions.clone()).prop_shuffle(),
            );
            let whole = facts.clone();
            let shuffled = parts.prop_map(move |(ratings, links, assertions, consents, actions)| Facts {
                ratings, links, assertions, consents, accepted_actions: actions, ..whole.clone()
            });
            (Just(facts), shuffled)
        }),
        request in a_request(),
    ) {
        let agreement = sample();
        prop_assert_eq!(
            decide(&agreement, &request, &facts, &fair()),
            decide(&agreement, &request, &shuffled, &fair())
        );
    }

    #[test]
    fn no_rule_means_no_release(facts in some_facts(), request in a_request()) {
        let agreement = sample();
        let outcome = decided(&agreement, &request, &facts, &fair()).outcome;
        let permit = match &outcome {
            Outcome::Release(permit) => permit,
            Outcome::Review(pending) => pending.details(),
            Outcome::Deny(_) => return Ok(()),
        };
        // Without its own cell the release goes by another gate or not at all, and never wider.
        let mut without_cell = sample();
        without_cell.disclosure.remove(&(permit.class(), permit.gate()));
        let after = decided(&without_cell, &request, &facts, &fair()).outcome;
        prop_assert!(width(&after) <= width(&outcome));
        if let Outcome::Release(other) = &after {
            prop_assert_ne!(other.gate(), permit.gate());
        }
        let mut without_table = sample();
        without_table.disclosure.clear();
        let mut without_catalogue = sample();
        without_catalogue.categories.clear();
        let mut without_parties = sample();
        without_parties.parties.clear();
        let mut without_purposes = sample();
        without_purposes.purposes.clear();
        for empty in [without_table, without_catalogue, without_parties, without_purposes] {
            prop_assert!(!decided(&empty, &request, &facts, &fair()).outcome.is_allowed());
        }
    }

    #[test]
    fn hints_never_depend_on_what_is_held(
        facts in some_facts(), request in a_request(), one in a_holding(), other in a_holding(),
    ) {
        let agreement = sample();
        let with = |holding| decided(&agreement, &request, &facts, &Moment { holding, ..fair() });
        let (one, other) = (with(one), with(other));
        prop_assert_eq!(one.would_be_released_if, other.would_be_released_if);
    }

    #[test]
    fn below_the_threshold_what_is_held_makes_no_difference(
        facts in some_facts(), request in a_request(), one in a_holding(), other in a_holding(),
    ) {
        let agreement = sample();
        let plain = decided(&agreement, &request, &facts, &fair());
        prop_assume!(!plain.outcome.is_allowed());
        let with = |holding| decided(&agreement, &request, &facts, &Moment { holding, ..fair() });
        prop_assert_eq!(&with(one), &plain);
        prop_assert_eq!(&with(other), &plain);
    }

    #[test]
    fn what_is_held_never_widens_a_release(
        facts in some_facts(), request in a_request(), holding in a_holding(),
    ) {
        let agreement = sample();
        let plain = decided(&agreement, &request, &facts, &fair()).outcome;
        let found = decided(&agreement, &request, &facts, &Moment { holding, ..fair() }).outcome;
        prop_assert!(width(&found) <= width(&plain));
    }

    #[test]
    fn every_release_keeps_the_fixed_rules(facts in some_facts(), request in a_request()) {
        let agreement = sample();
        let outcome = decided(&agreement, &request, &facts, &fair()).outcome;
        let permit = match &outcome {
            Outcome::Release(permit) => permit,
            Outcome::Review(pending) => pending.details(),
            Outcome::Deny(_) => return Ok(()),
        };
        prop_assert!(!agreement.never_carries(permit.category()));
        prop_assert!(facts.people.contains(permit.subject()));
        prop_assert!(agreement.party(permit.recipient()).is_some());
        prop_assert!(open_gates(&agreement, &facts, permit.subject()).contains(&permit.gate()));
        prop_assert!(noon() < permit.expires() && permit.expires() <= agreement.ends());
        prop_assert!(permit.obligations().contains(&Obligation::NoOnward));
        match permit.class() {
            Class::S1 | Class::S2 => {}
            Class::S3 => prop_assert_eq!(width(&outcome), 2),
            Class::S4 => prop_assert_eq!(width(&outcome), 1),
        }
    }

    #[test]
    fn is_total_and_gives_every_recipient_one_decision_with_its_reason(
        facts in some_facts(), request in a_request(), recipients in vec(an_agency(), 0..4),
        holding in a_holding(), flags in any::<(bool, bool, bool, bool, bool)>(),
        purpose in prop::option::of(select(Purpose::ALL)), at in any::<i32>(), bare in any::<bool>(),
    ) {
        let agreement = sample();
        let (log_available, agreement_matches, enquiry_open, within_budget, resolved) = flags;
        let moment = Moment {
            now: Timestamp::from_second(noon().as_second() + i64::from(at)).unwrap(),
            log_available,
            agreement_matches,
            enquiry_open,
            within_budget,
            identity: if resolved { Identity::Resolved } else { Identity::Ambiguous },
            holding,
        };
        let basis = if bare { LawfulBasis::default() } else { LawfulBasis::complete() };
        let request = Request { recipients, purpose, basis, ..request };
        let decisions = decide(&agreement, &request, &facts, &moment);
        let to: Vec<_> = decisions.iter().map(|decision| decision.recipient.clone()).collect();
        prop_assert_eq!(&to, &request.recipients);
        for decision in &decisions {
            let last = decision.trace.last().map(|step| step.result);
            match &decision.outcome {
                Outcome::Deny(reason) => {
                    prop_assert_eq!(last, Some(StepResult::Refused(*reason)));
                    let elsewhere = [Reason::PendingApproval, Reason::ApproverRefused];
                    prop_assert!(!elsewhere.contains(reason));
                }
                Outcome::Release(_) | Outcome::Review(_) => {
                    prop_assert_eq!(last, Some(StepResult::Met));
                    prop_assert!(log_available && agreement_matches && enquiry_open && resolved);
                    prop_assert!(!bare && purpose.is_some());
                }
            }
        }
    }
}
