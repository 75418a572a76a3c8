//! Levels of agreement between two identities, field by field.
//!
//! Of several names, addresses and identifiers the pair that agrees best counts. A field that one side does not know has no
//! level. Everything is folded first, so every comparison takes bounded time.

use std::fmt;

use crate::matching::{
    identity::{BirthDate, Check, Identifier, IdentifierKind, Identity, Sex},
    normalise::{
        Postcode, are_forms_of_one_name, family_halves, fold, fold_family, fold_given,
        formal_given, house_number,
    },
};

/// Levels of the given name: equal, a slip, a short form or initial, like, open, apart; and swapped with the family name.
pub const GIVEN: usize = 7;
/// Levels of the family name: equal, a slip, one half of it, like, open, apart.
pub const FAMILY: usize = 6;
/// Levels of the birth: equal, day and month swapped, a slip, the known parts fit, two parts, one part, apart.
pub const BIRTH: usize = 7;
/// Levels of the place: number and whole postcode, number and district, number and street, street and area or whole
/// postcode, district, number or street, apart.
pub const PLACE: usize = 7;
/// Levels of the identifier: equal, a slip, different.
pub const IDENTIFIER: usize = 3;
/// Levels of the sex: equal, different.
pub const SEX: usize = 2;

/// The level of given and family name that have changed places; the family name then has none of its own.
pub const SWAPPED: usize = 6;

/// The level of births whose known parts fit: one is known in part, or may be a default for its year.
const KNOWN_PARTS_FIT: usize = 3;

/// Names at least this similar are like each other.
const LIKE: f64 = 0.85;
/// Names less similar than this are apart. Between the two it is open.
const APART: f64 = 0.70;
/// Streets at least this similar are one.
const SAME_STREET: f64 = 0.88;

/// A field that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Field {
    Given,
    Family,
    Birth,
    Place,
    Identifier,
    Sex,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 6] =
        [Self::Given, Self::Family, Self::Birth, Self::Place, Self::Identifier, Self::Sex];
}

/// An identity in the forms that are compared.
#[derive(Clone)]
pub struct Comparable {
    names: Vec<FoldedName>,
    birth: BirthDate,
    places: Vec<FoldedPlace>,
    /// Kind, number, and whether it passed its check.
    identifiers: Vec<(IdentifierKind, String)>,
    sex: Option<Sex>,
}

#[derive(Clone)]
struct FoldedName {
    given: String,
    family: String,
    halves: Vec<String>,
}

#[derive(Clone)]
struct FoldedPlace {
    postcode: Option<Postcode>,
    number: Option<String>,
    street: String,
}

impl Comparable {
    /// Folds an identity.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let names = identity.names().iter().map(|name| FoldedName {
            given: formal_given(&fold_given(name.given())).to_owned(),
            family: fold_family(name.family()),
            halves: family_halves(name.family()),
        });
        let places = identity.addresses().iter().map(|address| FoldedPlace {
            postcode: address.postcode().and_then(Postcode::parse),
            number: address.house().and_then(house_number),
            street: address.house().map(fold).unwrap_or_default(),
        });
        let valid = |one: &&Identifier| one.check() == Check::Valid;
        let identifiers = identity.identifiers().iter().filter(valid);
        Self {
            names: names.collect(),
            birth: identity.birth(),
            places: places.collect(),
            identifiers: identifiers.map(|one| (one.kind().clone(), one.normal())).collect(),
            sex: identity.sex(),
        }
    }

    /// The folded given and family name of the first name; empty where there is none.
    #[must_use]
    pub fn first_name(&self) -> (&str, &str) {
        self.names.first().map_or(("", ""), |name| (&name.given, &name.family))
    }
}

impl fmt::Debug for Comparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comparable([personal])")
    }
}

/// What agrees between two identities.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comparison {
    levels: [Option<usize>; 6],
    /// The given name, when it is equal.
    pub(super) given_name: Option<String>,
    /// The family name, when it is equal.
    pub(super) family_name: Option<String>,
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comparison([personal])")
    }
}

impl Comparison {
    /// Compares two identities.
    #[must_use]
    pub fn between(one: &Comparable, other: &Comparable) -> Self {
        let (given, family, names) = best_names(&one.names, &other.names);
        let (given_name, family_name) = match names {
            Some((given_name, family_name)) => (
                (given == Some(0)).then(|| given_name.to_owned()),
                (family == Some(0)).then(|| family_name.to_owned()),
            ),
            None => (None, None),
        };
        Self {
            levels: [
                given,
                family,
                birth_level(one.birth, other.birth),
                place_level(&one.places, &other.places),
                identifier_level(&one.identifiers, &other.identifiers),
                one.sex.zip(other.sex).map(|(one, other)| usize::from(one != other)),
            ],
            given_name,
            family_name,
        }
    }

    /// The level of a field; absent when a side does not know it.
    #[must_use]
    pub fn level(&self, field: Field) -> Option<usize> {
        self.levels.get(field as usize).copied().flatten()
    }

    /// Only the levels: two pairs with the same are counted together.
    #[must_use]
    pub const fn levels(&self) -> [Option<usize>; 6] {
        self.levels
    }

    pub(super) fn has_equal_identifier(&self) -> bool {
        self.level(Field::Identifier) == Some(0)
    }

    pub(super) fn has_another_identifier(&self) -> bool {
        self.level(Field::Identifier) == Some(2)
    }

    /// Whether births contradict or one is not known, and no identifier agrees.
    pub(super) fn could_be_namesakes(&self) -> bool {
        !self.has_equal_identifier() && matches!(self.level(Field::Birth), None | Some(5 | 6))
    }

    /// Whether everything that twins share agrees, no identifier does, and the given names are like each other, or one is an initial, but not by
    /// a slip of the pen.
    pub(super) fn could_be_twins(&self) -> bool {
        let level = |field| self.level(field);
        matches!(level(Field::Given), Some(2..=4))
            && level(Field::Family) == Some(0)
            && matches!(level(Field::Birth), Some(0 | KNOWN_PARTS_FIT))
            && !self.has_equal_identifier()
    }
}

/// The best pair of names: levels of given and family name, and both names of one side.
type Names<'a> = (Option<usize>, Option<usize>, Option<(&'a str, &'a str)>);

fn best_names<'a>(ones: &'a [FoldedName], others: &'a [FoldedName]) -> Names<'a> {
    let mut best: Option<(usize, Names<'a>)> = None;
    let mut offer = |given: Option<usize>, family: Option<usize>, name: &'a FoldedName| {
        // The lower the better; what is not known is as good as open.
        let rank = given.unwrap_or(4) + family.unwrap_or(4);
        let swapped_rank = if given == Some(SWAPPED) { 3 } else { rank };
        if best.as_ref().is_none_or(|(found, _)| swapped_rank < *found) {
            let names = Some((name.given.as_str(), name.family.as_str()));
            best = Some((swapped_rank, (given, family, names)));
        }
    };
    for one in ones {
        for other in others {
            let given = given_level(&one.given, &other.given);
            let family = family_level(one, other);
            offer(given, family, one);
            // Swapped counts only whole: a given name that is like a family name says nothing by itself.
            let crossed =
                given_level(&one.given, &other.family).zip(given_level(&one.family, &other.given));
            if crossed.is_some_and(|(a, b)| a <= 1 && b <= 1) {
                offer(Some(SWAPPED), None, one);
            }
        }
    }
    best.map_or((None, None, None), |(_, names)| names)
}

/// Twins share the rest, so two endings that turn one name into another (Theo and Thea, Daniel and Danielle) are no slip of the
/// pen, however close.
fn given_level(one: &str, other: &str) -> Option<usize> {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() {
        return None;
    }
    if one == other {
        return Some(0);
    }
    if is_slip(one, other) && !differ_as_names(one, other) {
        return Some(1);
    }
    if short.len() == 1 && long.starts_with(short) || are_forms_of_one_name(one, other) {
        return Some(2);
    }
    Some(similar(one, other))
}

/// One edit, or two in a longer name; an edit inserts, drops or changes a letter, or swaps two neighbours.
fn is_slip(one: &str, other: &str) -> bool {
    let most = match one.len().min(other.len()) {
        0..=2 => return false,
        3..=5 => 1,
        _ => 2,
    };
    strsim::osa_distance(one, other) <= most
}

/// Endings of given names that make another name, most often that of the other sex, of one that ends without.
const ENDINGS: [&str; 10] = ["A", "E", "ELLA", "ETTE", "IA", "INA", "INE", "LE", "LLE", "NE"];
/// Pairs of such endings, besides two different vowels.
const ENDING_PAIRS: [(&str, &str); 4] = [("ER", "RA"), ("US", "A"), ("E", "INE"), ("O", "IA")];

fn differ_as_names(one: &str, other: &str) -> bool {
    let n_shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let (one, other) =
        (one.get(n_shared..).unwrap_or_default(), other.get(n_shared..).unwrap_or_default());
    let vowel = |end: &str| matches!(end, "A" | "E" | "I" | "O" | "Y");
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.is_empty() && ENDINGS.contains(&long)
        || vowel(one) && vowel(other)
        || ENDING_PAIRS.contains(&(one, other))
        || ENDING_PAIRS.contains(&(other, one))
}

fn similar(one: &str, other: &str) -> usize {
    match strsim::jaro_winkler(one, other) {
        LIKE.. => 3,
        APART.. => 4,
        _ => 5,
    }
}

fn family_level(one: &FoldedName, other: &FoldedName) -> Option<usize> {
    let (a, b) = (&one.family, &other.family);
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if a == b {
        return Some(0);
    }
    if is_slip(a, b) {
        return Some(1);
    }
    if one.halves.contains(b) || other.halves.contains(a) {
        return Some(2);
    }
    Some(similar(a, b))
}

/// Whether a day may stand for "some day of that year": the first of January is what systems and officials write when only
/// the year is known (NHS Information Quality Assurance Programme, *Guidance on the use of default dates of birth*: 01/01 and the
/// year). Whoever was really born on it loses only the weight of the day, and no match key.
fn may_be_default(day: jiff::civil::Date) -> bool {
    (day.month(), day.day()) == (1, 1)
}

fn birth_level(one: BirthDate, other: BirthDate) -> Option<usize> {
    let (one_year, other_year) = one.year().zip(other.year())?;
    let Some((one_day, other_day)) = one.day().zip(other.day()) else {
        let months_fit = one.month().zip(other.month()).is_none_or(|(a, b)| a == b);
        return Some(if one_year == other_year && months_fit { KNOWN_PARTS_FIT } else { 6 });
    };
    if one_year == other_year && (may_be_default(one_day) || may_be_default(other_day)) {
        return Some(KNOWN_PARTS_FIT);
    }
    if one_day == other_day {
        return Some(0);
    }
    let parts = |date: jiff::civil::Date| (date.year(), date.month(), date.day());
    let ((year, month, day), (other_year, other_month, other_day_of)) =
        (parts(one_day), parts(other_day));
    if year == other_year && (month, day) == (other_day_of, other_month) {
        return Some(1);
    }
    let digits = |date: jiff::civil::Date| date.strftime("%Y%m%d").to_string();
    if strsim::osa_distance(&digits(one_day), &digits(other_day)) <= 1 {
        return Some(2);
    }
    let n_equal = usize::from(year == other_year)
        + usize::from(month == other_month)
        + usize::from(day == other_day_of);
    Some(6 - n_equal.min(2))
}

fn place_level(ones: &[FoldedPlace], others: &[FoldedPlace]) -> Option<usize> {
    ones.iter().flat_map(|one| others.iter().filter_map(|other| pair_of_places(one, other))).min()
}

fn pair_of_places(one: &FoldedPlace, other: &FoldedPlace) -> Option<usize> {
    let postcodes = one.postcode.as_ref().zip(other.postcode.as_ref());
    let district = postcodes.is_some_and(|(a, b)| a.district() == b.district());
    let whole = postcodes.is_some_and(|(a, b)| a == b && a.inward().is_some());
    let numbers = one.number.as_ref().zip(other.number.as_ref());
    let number = numbers.is_some_and(|(a, b)| a == b);
    let streets = !one.street.is_empty() && !other.street.is_empty();
    let street = streets && strsim::jaro_winkler(&one.street, &other.street) >= SAME_STREET;
    if postcodes.is_none() && numbers.is_none() && !streets {
        return None;
    }
    Some(match (number, street, whole, district) {
        (true, _, true, _) => 0,
        (true, _, _, true) => 1,
        (true, true, _, _) => 2,
        (_, true, _, true) | (_, _, true, _) => 3,
        (_, _, _, true) => 4,
        (true, _, _, _) | (_, true, _, _) => 5,
        _ => 6,
    })
}

/// One equal identifier outweighs others that differ: people are given second numbers.
fn identifier_level(
    ones: &[(IdentifierKind, String)],
    others: &[(IdentifierKind, String)],
) -> Option<usize> {
    let same_kind = ones.iter().flat_map(|one| {
        others.iter().filter(move |other| one.0 == other.0).map(move |other| (&one.1, &other.1))
    });
    let level = |(one, other): (&String, &String)| {
        // Without the check digit, which follows from the others and changes with any of them.
        let slip = one.len() == other.len() && strsim::osa_distance(body(one), body(other)) <= 1;
        if one == other { 0 } else { 2 - usize::from(slip) }
    };
    same_kind.map(level).min()
}

fn body(number: &str) -> &str {
    match number.len() {
        10 => number.get(..9).unwrap_or(number),
        _ => number.get(1..).unwrap_or(number),
    }
}
