//! The whole way of matching takes any input: text of any script and length, every date; normalise, keys, compare.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a fault here is the test's")]

use std::time::{Duration, Instant};

use brag_common::matching::{
    compare::{Confirmation, confirm},
    identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, IdentityProblem,
        MAX_ADDRESSES, MAX_IDENTIFIERS, MAX_NAMES, MAX_TEXT_CHARS, Name, NameKind, Sex,
    },
    keys::{ENROLMENT_SLOTS, QUERY_SLOTS, enrolment_keys, query_slots},
};
use proptest::prelude::*;
use rand_core::OsRng;

/// An identity of whatever of these texts is accepted.
fn identity(texts: &[String], numbers: &[String], born: BirthDate) -> Identity {
    let kinds = NameKind::ALL.iter().cycle();
    let next = |nth: usize| texts.get(nth % texts.len().max(1)).map_or("", String::as_str);
    let names = kinds.zip(0..texts.len().min(MAX_NAMES));
    let names = names.filter_map(|(kind, nth)| Name::new(*kind, next(nth), next(nth + 1)).ok());
    let addresses = (0..texts.len().min(MAX_ADDRESSES))
        .filter_map(|nth| Address::new(Some(next(nth)), Some(next(nth + 1)), None, None).ok());
    let identifiers = numbers.iter().take(MAX_IDENTIFIERS).flat_map(|number| {
        let kinds = [IdentifierKind::Nhs, IdentifierKind::Upn, IdentifierKind::Police];
        kinds.into_iter().filter_map(|kind| Identifier::new(kind, number).ok())
    });
    Identity::new(IdentityParts {
        names: names.collect(),
        birth: born,
        sex: texts.first().and_then(|text| Sex::parse(text).ok().flatten()),
        identifiers: identifiers.take(MAX_IDENTIFIERS).collect(),
        addresses: addresses.collect(),
    })
    .unwrap()
}

/// All the way; what must hold for any two people.
fn go(one: &Identity, other: &Identity) {
    for person in [one, other] {
        let keys = enrolment_keys(person);
        assert!(keys.len() <= ENROLMENT_SLOTS);
        assert!(keys.iter().all(|key| key.as_bytes().is_ascii() && key.as_bytes().len() <= 600));
        let asked = query_slots(person, &mut OsRng);
        assert_eq!(asked.iter().flatten().count(), keys.len().min(QUERY_SLOTS));
        assert!(asked.iter().flatten().all(|key| keys.contains(key)));
    }
    assert_eq!(confirm(one, other), confirm(other, one));
}

#[test]
fn ten_megabytes_are_refused_in_bounded_time() {
    let start = Instant::now();
    for unit in ["Ann ", "é", "李", "e\u{301}\u{302}", "محمد ", "\u{fdfa}", "-", "9"] {
        let text = unit.repeat(10_000_000 / unit.len());
        let too_long = IdentityProblem::TooLong { part: "given name", max: MAX_TEXT_CHARS };
        assert_eq!(Name::new(NameKind::Current, &text, "Lee"), Err(vec![too_long]));
        assert!(Address::new(Some(&text), Some(&text), None, None).is_err());
        assert!(Identifier::new(IdentifierKind::Nhs, &text).is_err());
        assert!(BirthDate::parse(&text).is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn the_largest_identity_of_any_script_takes_bounded_time() {
    let scripts = ["Ann", "Ó S", "李", "محمد", "ਕੌਰ", "שרה", "ნინო", "Ж", "Ω", "ﷺ", "𝔄", "🦊"];
    let texts: Vec<String> = scripts
        .iter()
        .flat_map(|unit| {
            let length = MAX_TEXT_CHARS / (unit.chars().count() + 1);
            [unit.repeat(length), format!("{unit} ").repeat(length), (*unit).to_owned()]
        })
        .collect();
    let numbers = ["943 476 5919".to_owned(), "R801200101001".to_owned(), "9".repeat(64)];
    let person = identity(&texts, &numbers, BirthDate::parse("1992-03-04").unwrap());
    assert_eq!(person.names().len(), MAX_NAMES);
    let start = Instant::now();
    go(&person, &person);
    // Sixteen names of 200 letters against sixteen: well under a second, unoptimised and alone.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(confirm(&person, &person), Confirmation::Same);
}

#[test]
fn every_date_goes_all_the_way() {
    let texts = ["Nadia".to_owned(), "Brookes".to_owned(), "ZZ1 2AB".to_owned()];
    let of = |born| identity(&texts, &[], born);
    let other = of(BirthDate::parse("1992-03-04").unwrap());
    let mut day = jiff::civil::date(1850, 1, 1);
    // A step that has no factor in common with a year: every day of every month, in some year.
    while day.year() <= 2200 {
        go(&of(BirthDate::from_date(day).unwrap()), &other);
        day = day.checked_add(jiff::Span::new().days(17)).unwrap();
    }
    for year in 1850..=2200 {
        go(&of(BirthDate::from_year(year).unwrap()), &other);
        for month in 1..=12 {
            go(&of(BirthDate::from_month(year, month).unwrap()), &other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_goes_all_the_way(
        texts in proptest::collection::vec("\\PC{0,60}", 0..8),
        others in proptest::collection::vec(any::<String>(), 0..4),
        numbers in proptest::collection::vec("[0-9 A-Z-]{0,16}", 0..4),
        born in "([0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?)?",
    ) {
        let born = BirthDate::parse(&born).unwrap_or_default();
        go(&identity(&texts, &numbers, born), &identity(&others, &numbers, born));
        go(&identity(&texts, &[], BirthDate::UNKNOWN), &identity(&texts, &numbers, born));
    }
}
