use super::{
    super::{testkit::*, *},
    *,
};
use Colour::{Amber, Green, Red};

fn gates(facts: &Facts, whom: &str) -> Vec<&'static str> {
    let open = open(&sample(), facts, &person(whom), noon());
    open.iter().map(|(gate, _)| gate.word()).collect()
}

fn rated(ratings: &[(&str, &str, Colour)]) -> Facts {
    let ratings = ratings.iter().map(|(by, whom, colour)| rating(by, whom, *colour)).collect();
    Facts { ratings, ..family() }
}

fn marac(ground: MaracGround, meeting: Option<Timestamp>) -> AssertionKind {
    AssertionKind::Marac(Marac { ground, meeting })
}

#[test]
fn nothing_is_open_without_evidence_or_for_strangers() {
    assert!(gates(&family(), "P1").is_empty());
    assert!(gates(&rated(&[("POL", "P9", Red)]), "P9").is_empty());
}

#[test]
fn one_amber_opens_nothing_and_two_of_one_agency_are_one() {
    assert!(gates(&rated(&[("POL", "P4", Amber)]), "P4").is_empty());
    assert!(gates(&rated(&[("POL", "P4", Amber), ("POL", "P4", Amber)]), "P4").is_empty());
    assert_eq!(gates(&rated(&[("POL", "P4", Amber), ("DAS", "P4", Amber)]), "P4"), ["g2"]);
}

#[test]
fn one_amber_beside_a_red_in_the_household_opens_the_second_gate() {
    assert_eq!(gates(&rated(&[("EDU", "P3", Amber), ("HLT", "P1", Red)]), "P3"), ["g2"]);
    assert!(gates(&rated(&[("EDU", "P3", Green), ("HLT", "P1", Red)]), "P3").is_empty());
}

#[test]
fn a_red_reaches_people_linked_by_risk_both_ways_and_nobody_else() {
    assert_eq!(gates(&rated(&[("HOU", "P2", Red)]), "P1"), ["g3"]);
    assert_eq!(gates(&rated(&[("HOU", "P1", Red)]), "P2"), ["g3"]);
    assert!(gates(&rated(&[("HOU", "P2", Red)]), "P4").is_empty());
}

#[test]
fn ratings_of_strangers_and_of_withdrawn_parties_do_not_count() {
    assert!(gates(&rated(&[("XYZ", "P4", Red)]), "P4").is_empty());
    let text = sample_with("id = \"POL\"\n", "id = \"POL\"\nwithdrawn_at = 2027-02-01T00:00:00Z\n");
    let agreement = Agreement::parse(&text).unwrap();
    let facts = rated(&[("POL", "P4", Red)]);
    assert!(open(&agreement, &facts, &person("P4"), noon()).is_empty());
}

#[test]
fn ratings_that_are_too_old_or_from_the_future_do_not_count() {
    let at = |hours: i64| {
        let mut facts = rated(&[("POL", "P4", Red)]);
        facts.ratings[0].at = hours_ago(hours);
        gates(&facts, "P4")
    };
    assert_eq!(at(7 * 24), ["g3"]);
    assert!(at(7 * 24 + 1).is_empty());
    assert!(at(-1).is_empty());
}

#[test]
fn of_two_ratings_by_one_agency_the_newer_counts() {
    let mut facts = rated(&[("POL", "P4", Red), ("POL", "P4", Green)]);
    assert!(gates(&facts, "P4").is_empty(), "at the same instant the less worried counts");
    facts.ratings[1].at = hours_ago(2);
    assert_eq!(gates(&facts, "P4"), ["g3"]);
    facts.ratings[1].at = hours_ago(0);
    assert!(gates(&facts, "P4").is_empty());
}

#[test]
fn a_rating_through_somebody_counts_only_beside_a_link() {
    let mut facts = rated(&[("SMS", "P1", Red)]);
    facts.ratings[0].basis = Basis::ViaLinkedPerson(person("P2"));
    assert_eq!(gates(&facts, "P1"), ["g3"]);
    facts.ratings[0].basis = Basis::ViaLinkedPerson(person("P4"));
    assert!(gates(&facts, "P1").is_empty());
    facts.ratings[0].basis = Basis::ViaLinkedPerson(person("P1"));
    assert!(gates(&facts, "P1").is_empty());
}

#[test]
fn section_47_is_for_social_care_to_assert() {
    let mut facts = family();
    facts.assertions.push(assertion("POL", AssertionKind::Section47, &["P4"]));
    assert!(gates(&facts, "P4").is_empty());
    facts.assertions.push(assertion("CSC", AssertionKind::Section47, &["P4"]));
    assert_eq!(gates(&facts, "P4"), ["g4"]);
    assert!(gates(&facts, "P1").is_empty());
    facts.assertions[1].at = hours_ago(-1);
    assert!(gates(&facts, "P4").is_empty(), "from the future");
}

#[test]
fn a_red_of_social_care_on_a_child_opens_section_47_for_the_household() {
    let mut facts = rated(&[("CSC", "P3", Red)]);
    facts.links.push(link("P3", LinkKind::AtRiskFrom, "P2"));
    assert_eq!(gates(&facts, "P3"), ["g3", "g4"]);
    assert_eq!(gates(&facts, "P2"), ["g3", "g4"], "poses risk to the child");
    assert_eq!(gates(&facts, "P1"), ["g4"], "of the household");
    assert!(gates(&facts, "P4").is_empty());
    assert_eq!(gates(&rated(&[("POL", "P3", Red)]), "P3"), ["g3"]);
    assert_eq!(gates(&rated(&[("CSC", "P4", Red)]), "P4"), ["g3"], "not a child");
}

#[test]
fn marac_asks_for_a_ground_that_meets_the_agreement() {
    let stated = |dash_ticks, judgement, reports_in_12_months, repeat| {
        let ground = MaracGround::Stated { dash_ticks, judgement, reports_in_12_months, repeat };
        let mut facts = family();
        facts.assertions.push(assertion("DAS", marac(ground, None), &["P1"]));
        gates(&facts, "P1")
    };
    assert!(stated(Some(13), false, Some(2), false).is_empty());
    assert!(stated(None, false, None, false).is_empty());
    assert_eq!(stated(Some(14), false, None, false), ["g5"]);
    assert_eq!(stated(None, true, None, false), ["g5"]);
    assert_eq!(stated(None, false, Some(3), false), ["g5"]);
    assert_eq!(stated(None, false, None, true), ["g5"]);
}

#[test]
fn marac_is_for_its_referrers_and_ends_a_fortnight_after_the_meeting() {
    let asserted = |by: &str, meeting| {
        let mut facts = family();
        facts.assertions.push(assertion(by, marac(MaracGround::WorkedOut, meeting), &["P1"]));
        gates(&facts, "P1")
    };
    assert!(asserted("HLT", None).is_empty());
    assert_eq!(asserted("MRC", Some(hours_ago(14 * 24 - 1))), ["g5"]);
    assert!(asserted("MRC", Some(hours_ago(14 * 24))).is_empty());
}

#[test]
fn the_care_act_is_for_adult_social_care_to_assert() {
    let mut facts = family();
    facts.assertions.push(assertion("CSC", AssertionKind::CareAct42, &["P1"]));
    assert!(gates(&facts, "P1").is_empty());
    facts.assertions.push(assertion("ASC", AssertionKind::CareAct42, &["P1"]));
    assert_eq!(gates(&facts, "P1"), ["g6"]);
}

#[test]
fn a_persons_agreement_opens_the_first_gate_until_it_ends() {
    let mut facts = family();
    facts.consents.push(consent("P1", ConsentStatus::Refused, "C50", "CSC"));
    assert!(gates(&facts, "P1").is_empty());
    facts.consents.push(consent("P1", ConsentStatus::Valid, "C50", "CSC"));
    assert_eq!(gates(&facts, "P1"), ["g1"]);
    facts.consents[1].expires = Some(noon());
    assert!(gates(&facts, "P1").is_empty());
}
