use proptest::prelude::*;

use super::*;
use crate::matching::identity::{Address, IdentityParts, Name, NameKind};

fn person(names: &[(&str, &str)], house: Option<&str>) -> Identity {
    let kinds = [NameKind::Current, NameKind::KnownAs, NameKind::Former];
    Identity::new(IdentityParts {
        names: names
            .iter()
            .zip(kinds)
            .map(|((given, family), kind)| Name::new(kind, given, family).unwrap())
            .collect(),
        addresses: house
            .map(|house| Address::new(Some(house), Some("ZZ1 2AB"), None, None).unwrap())
            .into_iter()
            .collect(),
        ..IdentityParts::default()
    })
    .unwrap()
}

/// What is found, with the text that it points at.
fn found<'a>(text: &'a str, people: &[&Identity]) -> Vec<(Found, &'a str)> {
    let at = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    let there = |finding: &Finding| text.get(at(finding.from - 1)..at(finding.to)).unwrap();
    findings(text, people).iter().map(|finding| (finding.found, there(finding))).collect()
}

#[test]
fn postcodes_are_found_however_they_are_written() {
    for (text, there) in [
        ("Moved to EX4 6QD last week", "EX4 6QD"),
        ("now at ex46qd, alone", "ex46qd"),
        ("near SW1A-2AB", "SW1A-2AB"),
        ("stays (m1 1aa)", "m1 1aa"),
        ("ＥＸ４ ６ＱＤ", "ＥＸ４ ６ＱＤ"),
        ("E\u{200b}X4 6Q\u{ad}D", "E\u{200b}X4 6Q\u{ad}D"),
    ] {
        assert_eq!(found(text, &[]), [(Found::Postcode, there)], "{text}");
    }
}

#[test]
fn telephone_numbers_are_found_however_they_are_grouped() {
    for there in
        ["07700 900123", "+44 7700 900 123", "(0117) 496 0123", "0117.496.0123", "01632-960001"]
    {
        let text = format!("Call {there} first");
        let inside = there.trim_start_matches('(');
        assert_eq!(found(&text, &[]), [(Found::Telephone, inside)], "{text}");
    }
}

#[test]
fn mail_and_account_names_are_found() {
    assert_eq!(found("write to a.b-c@example.org.", &[]), [(Found::Mail, "a.b-c@example.org.")]);
    assert_eq!(found("posts as @quiet_one", &[]), [(Found::Mail, "@quiet_one")]);
    assert_eq!(found("seen @ school", &[]), []);
}

#[test]
fn a_number_with_the_check_digit_of_an_nhs_number_is_called_one() {
    assert_eq!(found("NHS 943 476 5919 given", &[]), [(Found::NhsNumber, "943 476 5919")]);
    assert_eq!(found("ref 943 476 5918", &[]), [(Found::LongNumber, "943 476 5918")]);
    assert_eq!(found("crime ref 2212345678901", &[]), [(Found::LongNumber, "2212345678901")]);
}

#[test]
fn streets_and_homes_are_found() {
    for (text, there) in [
        ("lives at 12 Mill Lane now", "12 Mill Lane"),
        ("lives at 12a mill lane now", "12a mill lane"),
        ("seen in Old Mill Road again", "Old Mill Road"),
        ("moved to Flat 3 there", "Flat 3"),
        ("is at 7 Priory Court", "7 Priory Court"),
    ] {
        assert_eq!(found(text, &[]), [(Found::Address, there)], "{text}");
    }
}

#[test]
fn a_street_of_somebody_in_the_enquiry_is_found_without_its_number() {
    let known = person(&[("Theo", "Pell")], Some("4 Harbour View"));
    let there = [(Found::Address, "harbour view")];
    assert_eq!(found("often at harbour view at night", &[&known]), there);
    assert_eq!(found("often at harbour view at night", &[]), []);
}

#[test]
fn names_aliases_and_short_forms_are_found_in_any_spelling() {
    let known = person(&[("Katherine", "Ó Súilleabháin"), ("Kit", "Marsh-Pell")], None);
    for there in
        ["Katherine", "KATHERINE", "katherine", "Kate", "Kit's", "Marsh", "pell", "Súilleabháin"]
    {
        let text = format!("We think {there} is afraid");
        assert_eq!(found(&text, &[&known]), [(Found::Name, there)], "{text}");
    }
    let text = "We think Ó Súilleabháin is afraid";
    assert!(found(text, &[&known]).contains(&(Found::Name, "Ó Súilleabháin")));
    assert_eq!(found("K\u{200b}ate hides", &[&known]).len(), 1);
}

#[test]
fn a_name_that_is_a_word_is_a_name_only_with_a_capital() {
    let known = person(&[("Will", "Green")], None);
    assert_eq!(found("things will get worse; rated green before", &[&known]), []);
    assert_eq!(found("seen with Will again", &[&known]), [(Found::Name, "Will")]);
    assert_eq!(found("seen with William again", &[&known]), [(Found::Name, "William")]);
}

#[test]
fn an_analysis_that_names_nobody_passes() {
    let people = [
        person(&[("Nadia", "Brookes")], Some("12 Mill Lane")),
        person(&[("Gareth", "Pell")], Some("3 Harbour View")),
    ];
    let people: Vec<&Identity> = people.iter().collect();
    for text in [
        "Assault at a contact hand-over last night. Dash high. Previous reports logged. Children were nearby.",
        "Serious assault on 5/3/2027, 9 incidents since 2025-11-01; Dash 17. Family Court order of 2024.",
        "Ten contacts in 10 years, 11 calls in 12 months, two on the road home and 3 in a house next door.",
        "Seen at 2pm and 10 am; weight 45 kg; 20 mg daily; 1st, 2nd and 3rd visit missed; 50% attendance.",
        "Plan closed two days ago; s47 threshold met; C10, C11 and C71 held; P1 and P2 known to us.",
        "Close to the family. Court on Monday. Way of speaking has changed. Likely to close.",
    ] {
        assert_eq!(found(text, &people), [], "{text}");
    }
}

#[test]
fn the_error_says_where_and_never_repeats_the_text() {
    let known = person(&[("Theo", "Pell")], None);
    let refused = check("Ring 07700 900123 for Theo", &[&known]).unwrap_err();
    let words = refused.to_string();
    assert!(words.ends_with("characters 6 to 17: a telephone number; characters 23 to 26: the name of somebody in the enquiry"), "{words}");
    assert!(!words.contains("Theo") && !words.contains("07700"));
}

proptest! {
    #[test]
    fn any_text_is_searched_and_every_place_lies_within_it(text in "\\PC{0,200}", given in "\\PC{1,12}") {
        let people: Vec<Identity> = Name::new(NameKind::Current, &given, "Pell")
            .map(|_| person(&[(&given, "Pell")], None))
            .into_iter()
            .collect();
        let people: Vec<&Identity> = people.iter().collect();
        let n_chars = text.chars().count();
        for finding in findings(&text, &people) {
            prop_assert!(1 <= finding.from && finding.from <= finding.to && finding.to <= n_chars);
        }
    }

    #[test]
    fn a_name_between_any_words_is_found(before in "[a-z ]{0,40}", after in "[a-z ]{0,40}") {
        let known = person(&[("Zephaniah", "Quillfeather")], None);
        let text = format!("{before} Quillfeather {after}");
        prop_assert!(found(&text, &[&known]).iter().any(|(what, _)| *what == Found::Name));
    }
}
