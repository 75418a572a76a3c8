use std::collections::HashSet;

use proptest::prelude::*;
use rand_core::OsRng;

use super::*;
use crate::matching::identity::{
    Address, BirthDate, Identifier, IdentifierKind, IdentityParts, Name, NameKind,
};

fn texts(keys: &[MatchKey]) -> Vec<String> {
    keys.iter().map(|key| key.text.to_string()).collect()
}

fn named(given: &str, family: &str) -> IdentityParts {
    let name = Name::new(NameKind::Current, given, family).unwrap();
    IdentityParts { names: vec![name], ..IdentityParts::default() }
}

fn full() -> IdentityParts {
    IdentityParts {
        birth: BirthDate::parse("1992-03-04").unwrap(),
        identifiers: vec![Identifier::new(IdentifierKind::Nhs, "943 476 5919").unwrap()],
        addresses: vec![Address::new(Some("3 Mill Lane"), Some("zz1 2ab"), None, None).unwrap()],
        ..named("Nadia Jane", "Brookes")
    }
}

fn keys_of(parts: IdentityParts) -> Vec<MatchKey> {
    enrolment_keys(&Identity::new(parts).unwrap())
}

#[test]
fn too_little_or_placeholders_give_no_key() {
    assert!(keys_of(named("Nadia", "Brookes")).is_empty());
    assert!(
        keys_of(IdentityParts {
            birth: BirthDate::parse("1992-03").unwrap(),
            ..named("Nadia", "Brookes")
        })
        .is_empty()
    );
    assert!(
        keys_of(IdentityParts {
            birth: BirthDate::parse("1900-01-01").unwrap(),
            ..named("Nadia", "Brookes")
        })
        .is_empty()
    );
    let baby = keys_of(IdentityParts {
        birth: BirthDate::parse("2026-03-04").unwrap(),
        ..named("Baby", "Brookes")
    });
    assert!(baby.is_empty());
    let wrong = Identifier::new(IdentifierKind::Nhs, "9434765918").unwrap();
    assert!(
        keys_of(IdentityParts { identifiers: vec![wrong], ..IdentityParts::default() }).is_empty()
    );
}

#[test]
fn keys_are_golden() {
    // Part of the protocol: two agencies that disagree on one letter never match.
    let expected = [
        "brag/v1|K1v1|nhs|9434765919",
        "brag/v1|K13v1|19920304|nhs|6591",
        "brag/v1|K14v1|BRO|NAD|nhs|6591",
        "brag/v1|K17v1|19920304|ZZ1|3|nhs",
        "brag/v1|K5v2|BROOKES|NADIA|19920304",
        "brag/v1|K2v2|BRO|NAD|19920304",
        "brag/v1|K6v1|BRO|19920304|ZZ1",
        "brag/v1|K3v2|NAD|19920304|ZZ1",
        "brag/v1|K4v2|BRO|NAD|ZZ1|3",
        "brag/v1|K7v1|19920304|ZZ1|3",
        "brag/v1|K8v1|BRO|19920304|3",
        "brag/v1|K9v1|NAD|19920304|3",
        "brag/v1|K15v1|NAD|1992|ZZ1|3",
        "brag/v1|K10v1|B622|N300|1992|04",
        "brag/v1|K11v1|B622|N300|1992|03",
        "brag/v1|K12v1|BROOKES|NADIA|03|04",
        "brag/v1|K16v2|BROOKES|NADIA|ZZ1|3",
        "brag/v1|K18v1|BROOKES|NADIA|1992|ZZ1",
    ];
    assert_eq!(texts(&keys_of(full())), expected);
}

#[test]
fn a_number_on_record_is_told_only_by_kind_and_only_where_the_rest_of_the_key_agrees() {
    let on_record = |parts: IdentityParts| {
        texts(&keys_of(parts)).into_iter().filter(|key| key.contains("K17v1")).collect::<Vec<_>>()
    };
    assert!(on_record(IdentityParts { identifiers: Vec::new(), ..full() }).is_empty());
    assert!(on_record(IdentityParts { addresses: Vec::new(), ..full() }).is_empty());
    assert!(on_record(IdentityParts { birth: BirthDate::UNKNOWN, ..full() }).is_empty());
    let unchecked = Identifier::new(IdentifierKind::Nhs, "943 476 5918").unwrap();
    assert!(on_record(IdentityParts { identifiers: vec![unchecked], ..full() }).is_empty());
    let other = Identifier::new(IdentifierKind::Nhs, "999 000 0018").unwrap();
    assert_eq!(on_record(IdentityParts { identifiers: vec![other], ..full() }), on_record(full()));
}

#[test]
fn a_query_with_everything_asks_by_every_kind() {
    let slots = query_slots(&Identity::new(full()).unwrap(), &mut OsRng);
    let asked: HashSet<_> = slots.iter().flatten().map(MatchKey::kind).collect();
    assert_eq!(asked, HashSet::from(KeyKind::ALL));
    assert!(QUERY_SLOTS.is_multiple_of(2) && QUERY_SLOTS - KeyKind::ALL.len() < 2);
}

#[test]
fn swapped_names_share_the_keys_on_their_starts() {
    let swapped = IdentityParts { names: named("Brookes", "Nadia").names, ..full() };
    let (straight, swapped) = (texts(&keys_of(full())), texts(&keys_of(swapped)));
    for kind in ["K2v2", "K4v2", "K10v1", "K11v1", "K12v1", "K14v1"] {
        let of_kind = |keys: &[String]| keys.iter().find(|key| key.contains(kind)).cloned();
        assert_eq!(of_kind(&straight), of_kind(&swapped));
    }
}

#[test]
fn former_names_and_addresses_have_keys_of_their_own_behind_the_current_ones() {
    let mut parts = full();
    parts.names.insert(0, Name::new(NameKind::Former, "Nadia", "Pell").unwrap());
    parts.addresses.insert(
        0,
        Address::new(Some("9"), Some("ZZ2 1AA"), None, Some(jiff::civil::date(2019, 1, 1)))
            .unwrap(),
    );
    let keys = texts(&keys_of(parts));
    let place = |text: &str| keys.iter().position(|key| key == text).unwrap();
    assert!(
        place("brag/v1|K5v2|BROOKES|NADIA|19920304") < place("brag/v1|K5v2|PELL|NADIA|19920304")
    );
    assert!(place("brag/v1|K4v2|BRO|NAD|ZZ1|3") < place("brag/v1|K4v2|BRO|NAD|ZZ2|9"));
    assert!(keys.len() > 20 && keys.len() <= ENROLMENT_SLOTS, "{}", keys.len());
}

#[test]
fn a_person_with_many_names_and_addresses_stays_within_the_slots() {
    let mut parts = full();
    for n in 0..15 {
        let family = format!("{}son", char::from(b'A' + n).to_string().repeat(3));
        parts.names.push(Name::new(NameKind::Alias, "Nadia", &family).unwrap());
        parts
            .addresses
            .push(Address::new(Some("9"), Some(&format!("ZZ{n} 1AA")), None, None).unwrap());
    }
    let identity = Identity::new(parts).unwrap();
    assert_eq!(enrolment_keys(&identity).len(), ENROLMENT_SLOTS);
    let slots = query_slots(&identity, &mut OsRng);
    assert!(slots.iter().all(Option::is_some));
    for kind in KeyKind::ALL.iter().filter(|kind| !kind.is_marginal()) {
        assert!(slots.iter().flatten().any(|key| key.kind() == *kind), "{kind:?}");
    }
}

#[test]
fn a_short_form_and_one_half_of_a_family_name_meet_the_whole() {
    let whole =
        texts(&keys_of(IdentityParts { names: named("William", "Smith-Jones").names, ..full() }));
    let part = texts(&keys_of(IdentityParts { names: named("Bill", "Jones").names, ..full() }));
    assert!(part.iter().filter(|key| whole.contains(key)).count() > 10);
}

#[test]
fn no_fact_is_left_out_of_a_key_and_every_label_is_its_own() {
    let labels: HashSet<_> = KeyKind::ALL.iter().map(|kind| kind.label()).collect();
    assert_eq!(labels.len(), KeyKind::ALL.len());
    for (place, kind) in KeyKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, place);
    }
}

#[test]
fn every_day_of_three_centuries_is_taken() {
    let mut day = jiff::civil::date(1850, 1, 1);
    while day.year() < 2150 {
        let birth = BirthDate::from_date(day).unwrap();
        assert!(keys_of(IdentityParts { birth, ..full() }).len() >= 3);
        day = day.tomorrow().unwrap();
    }
}

#[test]
fn a_query_is_padded_and_its_order_is_random() {
    let identity =
        Identity::new(IdentityParts { identifiers: Vec::new(), addresses: Vec::new(), ..full() })
            .unwrap();
    let first_key = || query_slots(&identity, &mut OsRng).iter().position(Option::is_some).unwrap();
    let slots = query_slots(&identity, &mut OsRng);
    assert_eq!(slots.iter().flatten().count(), 5);
    // Thirteen of eighteen slots are dummies: forty draws that all begin alike do not happen.
    assert!((0..40).map(|_| first_key()).collect::<HashSet<_>>().len() > 1);
}

#[test]
fn debug_does_not_show_a_key() {
    assert!(!format!("{:?}", keys_of(full())).contains("NAD"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_name_gives_bounded_distinct_keys(given in "\\PC{1,200}", family in "\\PC{0,200}", house in "\\PC{1,100}") {
        let Ok(name) = Name::new(NameKind::Current, &given, &family) else { return Ok(()) };
        let Ok(address) = Address::new(Some(&house), Some("ZZ1 2AB"), None, None) else { return Ok(()) };
        let keys = keys_of(IdentityParts { names: vec![name.clone(), name], addresses: vec![address], ..full() });
        prop_assert!(keys.len() <= ENROLMENT_SLOTS);
        prop_assert!(keys.iter().all(|key| key.as_bytes().is_ascii() && key.as_bytes().len() <= 600));
    }
}
