//! Where an enquiry stands, worked out from made-up answers, statements and steps.

use std::collections::BTreeMap;

use brag_common::{
    agreement::{Agreement, Facts},
    id::{AgencyId, Commitment, EnquiryRef, PersonRef, RequestId},
    matching::identity::{BirthDate, Identity, IdentityParts, Name, NameKind},
    rating::{Colour, Topic},
    statement::{Body, PersonIn, PersonRole, Rating, Statement},
    time::{SignedDuration, Timestamp},
};
use proptest::prelude::*;

use super::{
    Case, Picture, Received,
    clocks::ClockState,
    closing::{Condition, unmet},
    flags::{Flag, standing},
    plan::Plan,
    words::Words,
};
use crate::{
    matrix::{Cell, Matrix, Rated, Said, State},
    report::testkit,
    store::{
        life::{Step, StepRecord},
        shapes::{EarlierRecord, EnquiryRecord, PersonRecord, Referral},
    },
    view::Linked,
};

/// An enquiry that a test makes up.
struct Made {
    agreement: Agreement,
    words: Words,
    record: EnquiryRecord,
    matrix: Matrix,
    received: Vec<Received>,
    facts: Facts,
    earlier: Vec<Linked>,
    steps: Vec<StepRecord>,
    now: Timestamp,
}

fn start() -> Timestamp {
    "2027-03-05T22:10:00Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    start().checked_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn agency(name: &str) -> AgencyId {
    name.parse().unwrap()
}

fn person(n: u8) -> PersonRef {
    PersonRef::from_random([n; 16])
}

fn born(years: i16) -> BirthDate {
    BirthDate::from_date(jiff::civil::Date::constant(2027 - years, 1, 1)).unwrap()
}

fn record_of(n: u8, role: Option<PersonRole>, birth: BirthDate) -> PersonRecord {
    let name = Name::new(NameKind::Current, "Ada", "Vane").unwrap();
    let parts = IdentityParts { names: vec![name], birth, ..IdentityParts::default() };
    PersonRecord {
        label: format!("P{n}"),
        person: person(n),
        commitment: Commitment::from_bytes([n; 32]),
        salt: [n; 32],
        identity: Identity::new(parts).unwrap().canonical_bytes(),
        role,
        initial: None,
    }
}

impl Made {
    /// A victim, who poses risk to her, and her child; everybody has been asked.
    fn new() -> Self {
        let people = vec![
            record_of(1, Some(PersonRole::Victim), born(31)),
            record_of(2, Some(PersonRole::PersonPosingRisk), born(35)),
            record_of(3, Some(PersonRole::Child), born(9)),
        ];
        Self::about(people)
    }

    fn about(people: Vec<PersonRecord>) -> Self {
        let agreement = testkit::agreement();
        let parties: Vec<AgencyId> = agreement.parties().map(|party| party.id().clone()).collect();
        let pending = Cell { state: State::Pending, since: start() };
        let places = parties.iter().flat_map(|agency| {
            people.iter().map(|one| ((agency.clone(), one.person.clone()), pending.clone()))
        });
        let facts = Facts {
            people: people.iter().map(|one| one.person.clone()).collect(),
            ..Facts::default()
        };
        Self {
            matrix: places.collect(),
            words: Words::load(None).unwrap(),
            agreement,
            received: Vec::new(),
            facts,
            earlier: Vec::new(),
            steps: Vec::new(),
            now: later(1),
            record: EnquiryRecord {
                purpose: "domestic_abuse_safety".to_owned(),
                opened_by: "hub.coordinator".parse().unwrap(),
                opened_at: start(),
                answer_by: later(24 * 60),
                domestic_abuse: true,
                referral: Referral {
                    agency: agency("POL"),
                    reference: "DA/1".to_owned(),
                    incident_at: None,
                    received_at: start(),
                    source: None,
                },
                people,
                links: Vec::new(),
                again_because: None,
            },
        }
    }

    fn set(&mut self, by: &str, about: u8, state: State, minute: i64) {
        let cell = Cell { state, since: later(minute) };
        self.matrix.insert((agency(by), person(about)), cell);
    }

    fn everybody_says_not_known(&mut self) {
        for cell in self.matrix.values_mut() {
            cell.state = State::Answered { said: Said::NotKnown, late: false };
        }
    }

    /// A rating, in the matrix and as a statement.
    fn rate(&mut self, by: &str, about: u8, colour: Colour, minute: i64) {
        self.rate_with(by, about, colour, minute, &[]);
    }

    fn rate_with(&mut self, by: &str, about: u8, colour: Colour, minute: i64, topics: &[Topic]) {
        let rated = Rated {
            colour,
            rated_at: later(minute),
            analysis: String::new(),
            topics: topics.to_vec(),
            via: None,
            by: None,
        };
        self.set(by, about, State::Answered { said: Said::Rated(rated), late: false }, minute);
        let body = Body::Rating(Rating {
            person: who(about),
            colour,
            analysis_digest: [0; 32],
            topics: topics.iter().copied().collect(),
            rated_at: later(minute),
            via: None,
            subject_is_child: false,
        });
        self.sign(by, body, minute);
        self.facts.ratings.push(brag_common::agreement::Rating {
            agency: agency(by),
            person: person(about),
            colour,
            basis: brag_common::rating::Basis::Direct,
            topics: topics.iter().copied().collect(),
            at: later(minute),
            evidence: brag_common::agreement::EvidenceId::new("e"),
        });
    }

    fn sign(&mut self, by: &str, body: Body, minute: i64) {
        let n = u8::try_from(self.received.len()).unwrap();
        let statement = Statement {
            id: RequestId::from_random([n; 16]),
            signer: agency(by),
            agreement: brag_common::id::AgreementDigest::from_bytes([0; 32]),
            enquiry: EnquiryRef::from_random([9; 16]),
            made_at: later(minute),
            made_by: None,
            body,
        };
        self.received.push(Received { statement, at: later(minute) });
    }

    fn step(&mut self, minute: i64, step: Step) {
        let by = "hub.coordinator".parse().unwrap();
        self.steps.push(StepRecord { at: later(minute), by, step });
    }

    fn act(&mut self, name: &str, word: &str, owner: &str, about: u8) {
        self.step(
            1,
            Step::Action {
                action: name.to_owned(),
                word: word.to_owned(),
                owner: agency(owner),
                person: person(about),
                what: "Something.".to_owned(),
                due_at: None,
            },
        );
    }

    fn decide_section_47(&mut self, minute: i64) {
        let missing = self.look(|_, picture| picture.missing.clone());
        self.step(
            minute,
            Step::Event {
                word: "section_47_decision".to_owned(),
                people: [].into(),
                agency: Some(agency("CSC")),
                happened_at: later(minute),
                note: String::new(),
                missing,
            },
        );
    }

    fn look<T>(&self, look: impl FnOnce(&Case<'_>, &Picture) -> T) -> T {
        let plan = Plan::of(&self.steps, &self.received);
        let case = Case {
            agreement: &self.agreement,
            words: &self.words,
            record: &self.record,
            matrix: &self.matrix,
            received: &self.received,
            facts: &self.facts,
            releases: Vec::new(),
            earlier: &self.earlier,
            plan: &plan,
            now: self.now,
        };
        look(&case, &Picture::of(&case))
    }

    fn flags(&self) -> Vec<String> {
        let name = |one: &AgencyId| one.to_string();
        let label = |one: &PersonRef| self.record.person(one).unwrap().label.clone();
        self.look(|case, picture| {
            let all = standing(case, picture).0.into_keys();
            all.map(|about| {
                let parts = [
                    Some(about.flag.word().to_owned()),
                    about.agency.as_ref().map(name),
                    about.person.as_ref().map(label),
                ];
                parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            })
            .collect()
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags().iter().any(|one| one == flag)
    }

    fn conditions(&self, no_further_action: bool) -> Vec<Condition> {
        self.look(|case, picture| {
            unmet(case, picture, no_further_action).into_iter().map(|one| one.condition).collect()
        })
    }
}

fn who(n: u8) -> PersonIn {
    PersonIn { person: person(n), commitment: Commitment::from_bytes([n; 32]) }
}

#[test]
fn nobody_is_missing_while_the_round_is_open_and_everybody_is_once_it_has_closed() {
    let mut made = Made::new();
    assert!(!made.flags().iter().any(|flag| flag.starts_with("missing_rating")));
    made.now = later(24 * 60 + 1);
    assert!(made.has("missing_rating HLT P1") && made.has("missing_rating MHT P3"));
    made.set("HLT", 1, State::Answered { said: Said::NotKnown, late: true }, 24 * 60 + 1);
    assert!(!made.has("missing_rating HLT P1") && made.has("late_rating HLT"));
}

#[test]
fn who_could_not_or_would_not_answer_is_missing_at_once() {
    let why = brag_common::enquiry::Why::audit_unavailable();
    for said in [Said::Unable(why.clone()), Said::Declined(why.clone()), Said::Possible] {
        let mut made = Made::new();
        made.set("HOU", 1, State::Answered { said, late: false }, 0);
        assert!(made.has("missing_rating HOU P1"));
    }
    let mut made = Made::new();
    made.set("HOU", 1, State::Answered { said: Said::Unable(why), late: false }, 0);
    assert!(made.has("node_degraded HOU"));
}

#[test]
fn probation_is_waited_for_only_while_somebody_is_red() {
    let mut made = Made::new();
    made.everybody_says_not_known();
    made.set("PRO", 2, State::Pending, 0);
    assert!(made.look(|_, picture| picture.missing.is_empty()));
    made.rate("POL", 1, Colour::Red, 1);
    assert!(made.look(|_, picture| picture.missing.contains(&(agency("PRO"), person(2)))));
}

#[test]
fn a_waiver_takes_a_recommended_answer_out_and_no_core_one() {
    let mut made = Made::new();
    made.everybody_says_not_known();
    made.set("MHT", 1, State::Pending, 0);
    made.set("CSC", 1, State::Pending, 0);
    for by in ["MHT", "CSC"] {
        let (agency, reason) = (agency(by), "Seen today.".to_owned());
        made.step(1, Step::Waiver { agency, person: person(1), reason });
    }
    made.look(|_, picture| assert_eq!(picture.missing, [(agency("CSC"), person(1))].into()));
}

#[test]
fn the_section_47_clock_is_24_elapsed_hours_over_a_weekend_and_starts_with_social_cares_red_on_a_child_alone()
 {
    let mut made = Made::new();
    made.rate("POL", 3, Colour::Red, 10);
    made.rate("CSC", 1, Colour::Red, 20);
    assert!(made.look(|_, picture| picture.section_47.is_none()));
    made.rate("CSC", 3, Colour::Red, 50);
    let clock = made.look(|_, picture| picture.section_47).unwrap();
    assert_eq!((clock.started_at, clock.due_at), (later(50), later(50 + 24 * 60)));
    assert!(made.has("missing_rating EDU P3"), "the decision would be made without it");
    made.now = later(50 + 24 * 60);
    assert_eq!(made.look(|_, picture| picture.section_47).unwrap().state, ClockState::Running);
    made.now = made.now.checked_add(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(made.look(|_, picture| picture.section_47).unwrap().state, ClockState::Breached);
    assert!(made.has("s47_clock_breached") && made.has("excluded_by_s47_timescale EDU"));
}

#[test]
fn a_clock_counts_elapsed_hours_when_summer_time_begins() {
    let mut made = Made::new();
    let red_at: Timestamp = "2027-03-27T23:00:00Z".parse().unwrap();
    made.record.opened_at = "2027-03-27T22:10:00Z".parse().unwrap();
    made.rate("CSC", 3, Colour::Red, 50);
    for one in &mut made.received {
        one.at = red_at;
        one.statement.made_at = red_at;
    }
    made.now = red_at;
    let clock = made.look(|_, picture| picture.section_47).unwrap();
    assert_eq!(clock.due_at, "2027-03-28T23:00:00Z".parse().unwrap());
}

#[test]
fn a_decision_stops_the_clock_and_keeps_who_was_missing_then() {
    let mut made = Made::new();
    made.rate("CSC", 3, Colour::Red, 50);
    made.now = later(17 * 60 + 20);
    made.decide_section_47(17 * 60 + 20);
    let clock = made.look(|_, picture| picture.section_47).unwrap();
    assert_eq!((clock.state, clock.ended_at), (ClockState::Met, Some(later(17 * 60 + 20))));
    made.everybody_says_not_known();
    assert!(made.has("excluded_by_s47_timescale EDU") && made.has("s47_clock_met"));
}

#[test]
fn somebody_whose_agency_rates_another_way_is_still_at_the_highest_and_that_shows() {
    let mut made = Made::new();
    made.rate("CSC", 3, Colour::Green, 1);
    assert!(!made.has("equal_voice_applied"));
    made.rate("DAS", 3, Colour::Red, 2);
    assert!(made.has("equal_voice_applied") && made.has("divergence P3"));
}

#[test]
fn a_specialist_is_prompted_when_others_raise_what_it_knows_about() {
    let mut made = Made::new();
    made.everybody_says_not_known();
    made.rate_with("HLT", 1, Colour::Amber, 1, &[Topic::MentalHealth]);
    assert!(made.has("specialist_prompt MHT P1") && !made.has("specialist_prompt SMS P1"));
    made.rate("MHT", 1, Colour::Green, 2);
    assert!(!made.has("specialist_prompt MHT P1"));
}

#[test]
fn parental_conflict_is_not_domestic_abuse_and_prompts_nobody() {
    let mut made = Made::new();
    made.record.domestic_abuse = false;
    made.everybody_says_not_known();
    made.rate_with("EDU", 3, Colour::Amber, 1, &[Topic::ParentalConflict]);
    assert!(!made.has("encompass_due P3"));
    assert!(!made.flags().iter().any(|flag| flag.starts_with("specialist_prompt")));
    assert!(!made.conditions(true).contains(&Condition::DomesticAbuse));
}

#[test]
fn encompass_is_due_for_children_at_school_until_the_school_knows_and_for_nobody_else() {
    let unborn = BirthDate::parse("2027-08-01").unwrap();
    let mut made = Made::about(vec![
        record_of(1, Some(PersonRole::Victim), born(31)),
        record_of(3, Some(PersonRole::Child), born(9)),
        record_of(4, Some(PersonRole::Child), born(2)),
        record_of(5, Some(PersonRole::Child), unborn),
        record_of(6, Some(PersonRole::Child), BirthDate::UNKNOWN),
        record_of(7, None, born(15)),
    ]);
    let due = |made: &Made| -> Vec<String> {
        made.flags().into_iter().filter(|flag| flag.starts_with("encompass_due")).collect()
    };
    assert_eq!(due(&made), ["encompass_due P3", "encompass_due P6", "encompass_due P7"]);
    made.step(
        5,
        Step::Event {
            word: "operation_encompass".to_owned(),
            people: [person(3)].into(),
            agency: Some(agency("POL")),
            happened_at: later(5),
            note: String::new(),
            missing: [].into(),
        },
    );
    assert_eq!(due(&made), ["encompass_due P6", "encompass_due P7"]);
}

#[test]
fn agencies_that_differ_on_the_part_of_somebody_show_and_a_child_is_a_victim_to_all() {
    let mut made = Made::new();
    made.sign("CSC", Body::Role { person: who(3), role: PersonRole::Victim }, 1);
    assert!(!made.has("role_conflict P3"));
    made.sign("POL", Body::Role { person: who(1), role: PersonRole::PersonPosingRisk }, 1);
    assert!(made.has("role_conflict P1"));
    assert!(
        made.has("no_action_perpetrator P1"),
        "who is said to pose risk needs an action about it"
    );
    made.sign("POL", Body::Role { person: who(1), role: PersonRole::Victim }, 2);
    assert!(!made.has("role_conflict P1"), "the newest of each agency counts");
}

#[test]
fn a_connected_person_whom_all_have_answered_about_and_nobody_rated_shows() {
    let mut made = Made::about(vec![
        record_of(1, Some(PersonRole::Victim), born(31)),
        record_of(6, Some(PersonRole::ConnectedPerson), born(66)),
    ]);
    assert!(!made.has("connected_person_unrated P6"));
    made.everybody_says_not_known();
    assert!(made.has("connected_person_unrated P6"));
    assert!(!made.has("no_action_for_member P6"));
    made.rate("POL", 6, Colour::Amber, 1);
    assert!(!made.has("connected_person_unrated P6"));
    assert!(made.has("no_action_for_member P6"), "an agency is worried about them");
}

#[test]
fn earlier_enquiries_show_by_person_date_and_level_only() {
    let mut made = Made::new();
    let linked = |about: u8, enquiry: u8, level, n_people| Linked {
        record: EarlierRecord {
            person: person(about),
            enquiry: EnquiryRef::from_random([enquiry; 16]),
            earlier_person: person(200),
            opened_at: later(-100_000),
        },
        level,
        n_people,
        closed_at: None,
    };
    made.earlier = vec![linked(2, 1, Some(Colour::Green), 4)];
    made.rate("POL", 2, Colour::Red, 1);
    for flag in [
        "linked_earlier_enquiry P2",
        "escalated_since_last_enquiry P2",
        "connected_person_in_other_family P2",
    ] {
        assert!(made.has(flag), "{flag}");
    }
    // Somebody else of this family was in it, too: it was the same family.
    made.earlier.push(linked(1, 1, None, 4));
    assert!(!made.has("connected_person_in_other_family P2"));
    assert!(!made.has("cumulative_history"));
    made.step(
        1,
        Step::History {
            agency: agency("CSC"),
            contacts: 11,
            last_closed_at: Some(later(-2 * 24 * 60)),
        },
    );
    assert!(made.has("cumulative_history") && made.has("recent_closure"));
}

#[test]
fn an_action_for_the_victim_is_no_action_about_who_poses_risk() {
    let mut made = Made::new();
    made.act("A-1", "idva_support", "DAS", 1);
    made.act("A-2", "health_follow_up", "HLT", 2);
    assert!(made.has("no_action_perpetrator P2") && !made.has("no_action_for_member P2"));
    made.act("A-3", "bail_conditions", "POL", 1);
    assert!(made.has("no_action_perpetrator P2"), "it is about somebody else");
    made.act("A-4", "bail_conditions", "POL", 2);
    assert!(!made.has("no_action_perpetrator P2"));
    made.step(2, Step::Progress { action: "A-4".to_owned(), done: false, note: "No.".to_owned() });
    assert!(made.has("no_action_perpetrator P2"), "it was dropped");
}

#[test]
fn no_further_action_is_no_outcome_where_there_is_evidence_of_domestic_abuse() {
    let mut made = Made::new();
    assert!(made.conditions(true).contains(&Condition::DomesticAbuse));
    assert!(!made.conditions(false).contains(&Condition::DomesticAbuse));
    made.record.domestic_abuse = false;
    assert!(!made.conditions(true).contains(&Condition::DomesticAbuse));
}

/// What a test does to an enquiry.
#[derive(Debug, Clone)]
enum Move {
    Say(usize, u8, Option<Colour>),
    Act(usize, u8, usize),
    Drop(usize),
    Lead,
    Waive(usize, u8),
    Decide,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..14_usize, 1..4_u8, prop::option::of(0..4_usize))
            .prop_map(|(by, about, colour)| Move::Say(by, about, colour.map(|n| Colour::ALL[n]))),
        3 => (0..14_usize, 1..4_u8, 0..3_usize).prop_map(|(by, about, word)| Move::Act(by, about, word)),
        1 => (0..8_usize).prop_map(Move::Drop),
        1 => Just(Move::Lead),
        1 => (0..14_usize, 1..4_u8).prop_map(|(by, about)| Move::Waive(by, about)),
        1 => Just(Move::Decide),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Said here once more in other words: what the parties, the plan and the matrix are, looked at one by one.
    #[test]
    fn nothing_stands_in_the_way_only_of_an_enquiry_that_has_everything(
        all_answered in any::<bool>(),
        moves in prop::collection::vec(moves(), 0..40),
    ) {
        let mut made = Made::new();
        let parties: Vec<String> =
            made.agreement.parties().map(|party| party.id().to_string()).collect();
        if all_answered {
            made.everybody_says_not_known();
        }
        let mut waived = BTreeMap::new();
        let mut minute = 2;
        for one in moves {
            minute += 1;
            match one {
                Move::Say(by, about, Some(colour)) => made.rate(&parties[by], about, colour, minute),
                Move::Say(by, about, None) => {
                    let why = brag_common::enquiry::Why::audit_unavailable();
                    let said = State::Answered { said: Said::Unable(why), late: false };
                    made.set(&parties[by], about, said, minute);
                }
                Move::Act(by, about, word) => {
                    let word = ["idva_support", "bail_conditions", "other"][word];
                    let name = format!("A-{}", made.steps.len());
                    made.act(&name, word, &parties[by], about);
                }
                Move::Drop(n) => {
                    let (action, note) = (format!("A-{n}"), "No.".to_owned());
                    made.step(minute, Step::Progress { action, done: false, note });
                }
                Move::Lead => {
                    made.step(minute, Step::Lead { agency: agency("CSC"), role: String::new() });
                }
                Move::Waive(by, about) => {
                    let (agency, person) = (agency(&parties[by]), person(about));
                    waived.insert((agency.clone(), person.clone()), ());
                    made.step(minute, Step::Waiver { agency, person, reason: "So.".to_owned() });
                }
                Move::Decide => made.decide_section_47(minute),
            }
        }
        made.now = later(minute + 1);
        let stands = made.conditions(false);
        let plan = Plan::of(&made.steps, &made.received);
        let red = made.matrix.values().any(|cell| cell.rated().is_some_and(|r| r.colour == Colour::Red));
        let mut lacks = plan.lead.is_none();
        for ((by, about), cell) in &made.matrix {
            let answered = cell.rated().is_some()
                || cell.state == (State::Answered { said: Said::NotKnown, late: false });
            let required = match by.to_string().as_str() {
                "CSC" | "POL" | "DAS" | "HLT" | "EDU" | "HOU" | "SMS" => true,
                "MHT" => !waived.contains_key(&(by.clone(), about.clone())),
                "PRO" => red,
                _ => true,
            };
            lacks |= required && !answered;
        }
        for n in 1..4 {
            let about = |one: &&super::plan::PlannedAction| {
                one.person == person(n) && one.state != super::plan::ActionState::Dropped
            };
            lacks |= !plan.actions.iter().any(|one| about(&one));
            lacks |= n == 2
                && !plan.actions.iter().any(|one| about(&one) && one.word == "bail_conditions");
        }
        let first_red = made.received.iter().filter(|one| {
            let Body::Rating(rating) = &one.statement.body else { return false };
            one.statement.signer == agency("CSC")
                && rating.colour == Colour::Red
                && rating.person.person == person(3)
        }).map(|one| one.at).min();
        let decided = plan.events.iter().map(|event| event.recorded_at).max();
        lacks |= first_red.is_some() && decided < first_red;
        prop_assert_eq!(!stands.is_empty(), lacks, "{:?}", stands);
        // Every flag that says that something is to be done has its condition.
        let flags = made.flags();
        for flag in ["lead_professional_missing", "no_action_perpetrator P2", "no_action_for_member P1"] {
            if flags.iter().any(|known| known == flag) {
                prop_assert!(!stands.is_empty());
            }
        }
    }

    #[test]
    fn the_order_in_which_answers_arrive_changes_no_flag(
        answers in prop::collection::vec((0..14_usize, 1..4_u8, 0..4_usize), 1..20),
        seed in any::<u64>(),
    ) {
        let parties: Vec<String> =
            testkit::agreement().parties().map(|party| party.id().to_string()).collect();
        let mut answers: Vec<_> = answers.into_iter().zip(1..).collect();
        // One answer of each agency about each person: which of two counts is the matrix's matter.
        let mut seen = std::collections::BTreeSet::new();
        answers.retain(|((by, about, _), _)| seen.insert((*by, *about)));
        let play = |answers: &[((usize, u8, usize), i64)]| {
            let mut made = Made::new();
            for ((by, about, colour), minute) in answers {
                made.rate(&parties[*by], *about, Colour::ALL[*colour], *minute);
            }
            made.now = later(100);
            (made.flags(), made.look(|_, picture| (picture.section_47, picture.response)))
        };
        let in_order = play(&answers);
        let mut state = seed | 1;
        for n in (1..answers.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (n + 1);
            answers.swap(n, other);
        }
        prop_assert_eq!(play(&answers), in_order);
    }
}

#[test]
fn every_flag_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Flag::ALL.iter().map(|flag| flag.word()).collect();
    assert_eq!(words.len(), Flag::ALL.len());
}
