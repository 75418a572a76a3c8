//! The node's confirmation: now that it has been told who is asked about, is its own record that person?
//!
//! Read from the top, the first line that applies decides:
//!
//! | what agrees | result |
//! |---|---|
//! | a checksum-valid identifier is the same; names and birth do not both contradict it | same |
//! | … and both do | unclear |
//! | a valid identifier of one kind differs, and so do names or birth | different |
//! | … and neither does | unclear |
//! | given names differ clearly: twins differ in nothing else | different |
//! | births contradict: no part agrees well enough | different |
//! | given and family names are close, and birth is the same day | same |
//! | … birth fits in part or with day and month swapped, and an address agrees | same |
//! | given and birth agree, family name does not, and an address agrees (a marriage) | unclear |
//! | given and family names are close, and birth fits or is not known | unclear |
//! | anything else | different |
//!
//! "Unclear" is for a person to settle. Closeness is Jaro and Winkler's similarity of the folded names, for the best pair of
//! names the two sides have, given and family also swapped; of a given name at most one letter may differ.

use super::{
    identity::{Address, BirthDate, Check, Identity},
    normalise::{Postcode, fold_family, fold_given, house_number},
};

/// Names at least this similar are one name, misspelt.
const CLOSE: f64 = 0.88;
/// Given names less similar than this are two names. Between the two it is open: short forms, other spellings.
const APART: f64 = 0.70;

/// Whether a record is the asked person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// It is.
    Same,
    /// A person has to compare.
    Unclear,
    /// It is somebody else.
    Different,
}

/// Compares what was asked with the node's own record. Symmetric, pure and total.
#[must_use]
pub fn confirm(asked: &Identity, own: &Identity) -> Confirmation {
    let birth = compare_births(asked.birth(), own.birth());
    let names = compare_names(asked, own);
    let place = shares_address(asked.addresses(), own.addresses());
    let contradicts = |birth| matches!(birth, Births::Apart);
    match compare_identifiers(asked, own) {
        Identifiers::Equal if names.given == Closeness::Apart && contradicts(birth) => {
            return Confirmation::Unclear;
        }
        Identifiers::Equal => return Confirmation::Same,
        Identifiers::Contradict => {
            let alike = names.given == Closeness::Close && names.family == Closeness::Close;
            return if alike && !contradicts(birth) {
                Confirmation::Unclear
            } else {
                Confirmation::Different
            };
        }
        Identifiers::Nothing => {}
    }
    if names.given == Closeness::Apart || contradicts(birth) {
        return Confirmation::Different;
    }
    match (names.given, names.family, birth, place) {
        (Closeness::Close, Closeness::Close, Births::Same, _)
        | (Closeness::Close, Closeness::Close, Births::Partly | Births::Swapped, true) => {
            Confirmation::Same
        }
        (Closeness::Close, Closeness::Close, _, _) => Confirmation::Unclear,
        (Closeness::Open, Closeness::Close, Births::Same | Births::Partly, _)
        | (Closeness::Close, Closeness::Open, Births::Same | Births::Partly, _)
        | (
            Closeness::Close | Closeness::Open,
            Closeness::Open | Closeness::Apart,
            Births::Same,
            true,
        ) => Confirmation::Unclear,
        _ => Confirmation::Different,
    }
}

enum Identifiers {
    Equal,
    Contradict,
    Nothing,
}

/// One equal identifier outweighs others that differ: people are given second numbers.
fn compare_identifiers(asked: &Identity, own: &Identity) -> Identifiers {
    let mut found = Identifiers::Nothing;
    for one in asked.identifiers().iter().filter(|one| one.check() == Check::Valid) {
        for other in own.identifiers().iter().filter(|other| other.check() == Check::Valid) {
            if one.kind() == other.kind() {
                if one.normal() == other.normal() {
                    return Identifiers::Equal;
                }
                found = Identifiers::Contradict;
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Births {
    Same,
    /// The known parts agree, at least a year.
    Partly,
    Swapped,
    /// One side knows nothing.
    Unknown,
    Apart,
}

fn compare_births(asked: BirthDate, own: BirthDate) -> Births {
    let (Some(one_year), Some(other_year)) = (asked.year(), own.year()) else {
        return Births::Unknown;
    };
    if one_year != other_year {
        return Births::Apart;
    }
    match (asked.day(), own.day()) {
        (Some(one), Some(other)) if one == other => Births::Same,
        (Some(one), Some(other)) if (one.month(), one.day()) == (other.day(), other.month()) => {
            Births::Swapped
        }
        (Some(_), Some(_)) => Births::Apart,
        _ => match asked.month().zip(own.month()) {
            Some((one, other)) if one != other => Births::Apart,
            _ => Births::Partly,
        },
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Apart,
    /// Not clear, or not known.
    Open,
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Names {
    given: Closeness,
    family: Closeness,
}

/// The best pair of names; when one side has none, everything is open.
fn compare_names(asked: &Identity, own: &Identity) -> Names {
    let folded = |identity: &Identity| -> Vec<(String, String)> {
        let names = identity.names().iter();
        names.map(|name| (fold_given(name.given()), fold_family(name.family()))).collect()
    };
    let (asked, own) = (folded(asked), folded(own));
    let pairs = asked.iter().flat_map(|one| own.iter().map(move |other| (one, other)));
    let both_ways = pairs.flat_map(|((given, family), (other_given, other_family))| {
        let straight = Names {
            given: compare_given(given, other_given),
            family: compare_family(family, other_family),
        };
        let swapped = Names {
            given: compare_given(given, other_family),
            family: compare_given(family, other_given),
        };
        // Swapped counts only whole: a given name that is like a family name says nothing by itself.
        let whole = Names { given: Closeness::Close, family: Closeness::Close };
        [Some(straight), (swapped == whole).then_some(swapped)].into_iter().flatten()
    });
    both_ways.max().unwrap_or(Names { given: Closeness::Open, family: Closeness::Open })
}

/// Stricter than for family names, because twins share the rest: at most one letter may differ, and not the last,
/// which is how many languages turn one name into another (Theo and Thea, Mario and Maria).
fn compare_given(one: &str, other: &str) -> Closeness {
    let ending = |name: &str| name.chars().next_back();
    let slip = ending(one) == ending(other) && strsim::levenshtein(one, other) <= 1;
    match compare_family(one, other) {
        Closeness::Close if !slip => Closeness::Open,
        closeness => closeness,
    }
}

fn compare_family(one: &str, other: &str) -> Closeness {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() {
        return Closeness::Open;
    }
    let similarity = strsim::jaro_winkler(one, other);
    if similarity >= CLOSE && (short.len() > 1 || one == other) {
        Closeness::Close
    } else if similarity >= APART || long.starts_with(short) {
        // The second is an initial or a short form that begins the long one.
        Closeness::Open
    } else {
        Closeness::Apart
    }
}

/// Whether an address agrees: the district and the house numbers; or the whole postcode where a side has no number.
fn shares_address(asked: &[Address], own: &[Address]) -> bool {
    let key = |address: &Address| {
        let postcode = Postcode::parse(address.postcode()?)?;
        Some((postcode, address.house().and_then(house_number)))
    };
    let own: Vec<_> = own.iter().filter_map(key).collect();
    asked.iter().filter_map(key).any(|(postcode, number)| {
        own.iter().any(|(other, other_number)| match (&number, other_number) {
            (Some(one), Some(two)) => one == two && postcode.district() == other.district(),
            _ => postcode == *other && postcode.inward().is_some(),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::identity::{Identifier, IdentifierKind, IdentityParts, Name, NameKind};

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
        assert_eq!(confirmed(["Grace", "Brookes", "1992-03-04", "3", ""]), Confirmation::Different);
        assert_eq!(confirmed(["Nadia", "Brookes", "1971-08-09", "3", ""]), Confirmation::Different);
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
        let cases = [
            ["Nadia", "Pell", "1992-03-04", "3", ""],
            ["Nadia", "Brookes", "", "", ""],
            ["Nadia", "Brookes", "1992-04-03", "", ""],
            ["N", "Brookes", "1992-03-04", "", ""],
        ];
        for own in cases {
            assert_eq!(confirmed(own), Confirmation::Unclear, "{own:?}");
        }
    }

    #[test]
    fn twins_with_like_names_are_not_the_same() {
        for (one, two) in [
            ("Alexander", "Alexandra"),
            ("Theo", "Thea"),
            ("Daniel", "Danielle"),
            ("Mary", "Martin"),
        ] {
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
}
