use proptest::prelude::*;

use super::*;
use crate::matching::identity::{
    Address, BirthDate, Check, Identifier, IdentifierKind, IdentityParts, Name, NameKind,
};

fn person(given: &str, family: &str, born: &str, house: &str, nhs: &str) -> Identity {
    Identity::new(IdentityParts {
        names: Name::new(NameKind::Current, given, family).into_iter().collect(),
        birth: BirthDate::parse(born).unwrap(),
        identifiers: Identifier::new(IdentifierKind::Nhs, nhs).into_iter().collect(),
        addresses: Address::new(Some(house), Some("ZZ1 2AB"), None, None)
            .into_iter()
            .filter(|a| a.house().is_some())
            .collect(),
        ..IdentityParts::default()
    })
    .unwrap()
}

const NHS: &str = "943 476 5919";
const OTHER_NHS: &str = "999 000 0018";

fn confirmed(own: [&str; 5]) -> Confirmation {
    let asked = person("Nadia", "Brookes", "1992-03-04", "3", NHS);
    let [given, family, born, house, nhs] = own;
    confirm(&asked, &person(given, family, born, house, nhs))
}

#[test]
fn another_given_name_is_another_person_whatever_else_agrees() {
    assert_ne!(confirmed(["Grace", "Brookes", "1992-03-04", "3", ""]), Confirmation::Same);
    assert_ne!(confirmed(["Nadia", "Brookes", "1971-08-09", "3", ""]), Confirmation::Same);
    assert_eq!(confirmed(["Grace", "Adeyemi", "1971-08-09", "3", ""]), Confirmation::Different);
}

#[test]
fn an_equal_number_decides_unless_names_and_birth_both_contradict() {
    assert_eq!(confirmed(["Nadia", "Pell", "", "", NHS]), Confirmation::Same);
    assert_eq!(confirmed(["Grace", "Adeyemi", "1971-08-09", "9", NHS]), Confirmation::Unclear);
}

#[test]
fn another_number_needs_a_person_at_best() {
    assert_eq!(Identifier::new(IdentifierKind::Nhs, OTHER_NHS).unwrap().check(), Check::Valid);
    assert_eq!(
        confirmed(["Nadia", "Brookes", "1992-03-04", "3", OTHER_NHS]),
        Confirmation::Unclear
    );
    assert_eq!(
        confirmed(["Grace", "Brookes", "1992-03-04", "3", OTHER_NHS]),
        Confirmation::Different
    );
}

#[test]
fn the_first_of_january_may_stand_for_its_year_but_not_for_a_twin() {
    let confirmed = |given: &str, asked: &str, own: &str| {
        let asked = person("Nadia", "Brookes", asked, "3", "");
        confirm(&asked, &person(given, "Brookes", own, "3", ""))
    };
    assert_eq!(confirmed("Nadia", "1992-03-04", "1992-01-01"), Confirmation::Same);
    assert_eq!(confirmed("Nadia", "1992-01-01", "1992-01-01"), Confirmation::Same);
    assert_ne!(confirmed("Nadia", "1992-03-04", "1991-01-01"), Confirmation::Same);
    assert_ne!(confirmed("Nadja", "1992-03-04", "1971-01-01"), Confirmation::Same);
    assert_ne!(confirmed("Nadie", "1992-01-01", "1992-01-01"), Confirmation::Same);
}

#[test]
fn misspelt_swapped_and_partly_known_people_are_the_same() {
    let cases = [
        ["Nadja", "Brooks", "1992-03-04", "", ""],
        ["Brookes", "Nadia", "1992-03-04", "", ""],
        ["Nadia", "Brookes", "1992", "3", ""],
        ["Nadia", "Brookes", "1992-04-03", "3", ""],
    ];
    for own in cases {
        assert_eq!(confirmed(own), Confirmation::Same, "{own:?}");
    }
}

#[test]
fn what_could_be_is_left_to_a_person() {
    let cases = [["N", "Brookes", "1992-03-04", "", ""]];
    for own in cases {
        assert_eq!(confirmed(own), Confirmation::Unclear, "{own:?}");
    }
}

#[test]
fn parent_and_child_of_one_name_and_house_are_not_the_same() {
    for born in ["1971-08-09", "2022", "", "2019-03-11"] {
        assert_ne!(confirmed(["Nadia", "Brookes", born, "3", ""]), Confirmation::Same, "{born}");
    }
}

#[test]
fn twins_with_like_names_are_not_the_same() {
    for (one, two) in
        [("Alexander", "Alexandra"), ("Theo", "Thea"), ("Daniel", "Danielle"), ("Mary", "Martin")]
    {
        let (one, two) = (
            person(one, "Pell", "2016-03-04", "3", ""),
            person(two, "Pell", "2016-03-04", "3", ""),
        );
        assert_ne!(confirm(&one, &two), Confirmation::Same);
    }
}

#[test]
fn nothing_known_is_different() {
    let nobody = Identity::new(IdentityParts::default()).unwrap();
    assert_eq!(confirm(&nobody, &nobody), Confirmation::Different);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn comparing_is_symmetric(
        a in "[A-Za-zé]{0,8}", b in "[A-Z]{0,6}", c in "[A-Za-zé]{0,8}", d in "[A-Z]{0,6}",
        born in proptest::sample::select(vec!["", "1992", "1992-03", "1992-03-04", "1992-04-03"]),
        other in proptest::sample::select(vec!["", "1992", "1992-03", "1992-03-04", "1971-04-03"]),
    ) {
        let (one, two) = (person(&a, &b, born, "3", ""), person(&c, &d, other, "3", NHS));
        prop_assert_eq!(confirm(&one, &two), confirm(&two, &one));
    }
}
