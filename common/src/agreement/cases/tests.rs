use super::{super::testkit::sample, *};

const FILES: [(&str, &str); 6] = [
    ("s1", include_str!("../../../../tests/corpus/agreements/exampleshire/s1.json")),
    ("s1b", include_str!("../../../../tests/corpus/agreements/exampleshire/s1b.json")),
    ("s1c", include_str!("../../../../tests/corpus/agreements/exampleshire/s1c.json")),
    ("s2", include_str!("../../../../tests/corpus/agreements/exampleshire/s2.json")),
    ("s4", include_str!("../../../../tests/corpus/agreements/exampleshire/s4.json")),
    ("s5", include_str!("../../../../tests/corpus/agreements/exampleshire/s5.json")),
];

#[test]
fn refuses_unknown_fields_and_words() {
    let known = FILES[0].1;
    for (from, to) in [
        ("\"holder\"", "\"houlder\""),
        ("\"poses_risk_to\"", "\"dislikes\""),
        ("\"amber\"", "\"orange\""),
        ("\"marac\"", "\"panel\""),
        ("\"CATEGORY_NEVER\"", "\"BECAUSE\""),
        ("\"name\"", "\"hold\": true, \"name\""),
    ] {
        assert!(known.contains(from));
        assert!(CaseFile::parse(&known.replacen(from, to, 1)).is_err(), "{to}");
    }
}

#[test]
fn a_wrong_expectation_is_reported() {
    let json = FILES[0].1.replacen("\"RECIPIENT_CONFLICT\"", "\"NOTHING_HELD\"", 1);
    let agreement = sample();
    let file = CaseFile::parse(&json).unwrap();
    let cases = file.cases(agreement.starts());
    let lines: Vec<_> =
        cases.iter().flat_map(|case| case.mismatches(&case.decide(&agreement))).collect();
    assert_eq!(lines, ["1.3 SMS: expected deny NOTHING_HELD, found deny RECIPIENT_CONFLICT"]);
}

#[test]
fn every_case_comes_out_as_expected() {
    let agreement = sample();
    for (name, json) in FILES {
        let file = CaseFile::parse(json).unwrap();
        assert_eq!(file.uprating_mismatches(), Vec::<String>::new(), "{name}");
        for case in file.cases(agreement.starts()) {
            let decisions = case.decide(&agreement);
            assert_eq!(case.mismatches(&decisions), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn every_refusal_for_want_of_agreement_says_that_agreement_would_help() {
    let agreement = sample();
    let file = CaseFile::parse(FILES[5].1).unwrap();
    let cases = file.cases(agreement.starts());
    let case = cases.iter().find(|case| case.id == "5.1a").unwrap();
    let [decision] = &case.decide(&agreement)[..] else { panic!("one recipient") };
    assert!(decision.would_be_released_if.contains(&super::super::Hypothesis::Agreement));
}
