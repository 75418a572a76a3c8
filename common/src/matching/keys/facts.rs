//! The facts of a record that keys are made of, folded; and which facts make which key.

use std::collections::HashSet;

use super::{KeyKind, MatchKey};
use crate::matching::{
    identity::{Address, Check, IdentifierKind, Identity, Name, NameKind},
    normalise::{
        Postcode, family_halves, fold_family, fold_given, formal_given, house_number, soundex,
    },
};

/// Every key of a person once, those that say most first.
pub(super) fn all_keys(identity: &Identity) -> Vec<MatchKey> {
    let mut keys: Vec<((usize, usize), MatchKey)> = Vec::new();
    let born = identity.birth().day().map(|day| Born {
        year: day.strftime("%Y").to_string(),
        month: day.strftime("%m").to_string(),
        day: day.strftime("%d").to_string(),
        whole: day.strftime("%Y%m%d").to_string(),
    });
    let born = born.filter(|born| !PLACEHOLDER_BIRTHS.contains(&born.whole.as_str()));
    let (names, places) = (names(identity.names()), places(identity.addresses()));
    for (kind, number, part) in identifiers(identity) {
        let mut add = |kind, parts: &[&str]| keys.push(((0, 0), MatchKey::new(kind, parts)));
        add(KeyKind::Identifier, &[kind, &number]);
        if let Some(born) = &born {
            add(KeyKind::BirthIdentifier, &[&born.whole, kind, &part]);
        }
        if let Some(initials) = names.first().and_then(|name| name.initials.as_ref()) {
            add(KeyKind::InitialsIdentifier, &[initials, kind, &part]);
        }
        for (rank, place) in places.iter().enumerate() {
            let Some(born) = &born else { continue };
            if let Place { district: Some(district), number: Some(number) } = place {
                let parts = [&born.whole, district, number, kind];
                keys.push(((rank, 0), MatchKey::new(KeyKind::IdentifierOnRecord, &parts)));
            }
        }
    }
    for (name_rank, name) in names.iter().enumerate() {
        let mut facts = Facts { name, born: born.as_ref(), place: None };
        keys.extend(facts.keys().map(|key| ((name_rank, name_rank), key)));
        for (place_rank, place) in places.iter().enumerate() {
            facts.place = Some(place);
            keys.extend(facts.keys().map(|key| ((name_rank + place_rank, name_rank), key)));
        }
    }
    keys.sort_by_key(|((rank, name_rank), key)| {
        let rank = rank + usize::from(key.kind.is_marginal());
        (key.kind > KeyKind::InitialsIdentifier, rank, *name_rank, key.kind)
    });
    let mut seen = HashSet::new();
    keys.into_iter().map(|(_, key)| key).filter(|key| seen.insert(key.clone())).collect()
}

/// Kind, number and four characters of every checksum-valid NHS number and UPN.
///
/// The four are the last without the check digit. Numbers are given out in ranges, so the first are shared by many; those
/// of twins, which may follow each other, differ in the last.
fn identifiers(identity: &Identity) -> impl Iterator<Item = (&str, String, String)> {
    let valid = identity.identifiers().iter().filter(|one| one.check() == Check::Valid);
    valid.filter_map(|identifier| {
        let number = identifier.normal();
        let part = match identifier.kind() {
            IdentifierKind::Nhs => number.get(5..9)?,
            IdentifierKind::Upn => number.get(9..13)?,
            IdentifierKind::Police | IdentifierKind::Other(_) => return None,
        };
        let part = part.to_owned();
        Some((identifier.kind().word(), number, part))
    })
}

/// Days that systems write when they know none. Only such as nobody alive was born on: a real person must not lose keys.
const PLACEHOLDER_BIRTHS: [&str; 3] = ["18991231", "19000101", "19010101"];

/// Shorter names are initials, and say too little.
pub(in crate::matching) const MIN_NAME_LETTERS: usize = 2;

/// Most halves of one family name that have keys of their own.
const MAX_HALVES: usize = 2;

/// Folded words that are written where no name is known.
const PLACEHOLDER_NAMES: [&str; 14] = [
    "BABY",
    "CHILD",
    "FEMALE",
    "INFANT",
    "MALE",
    "NA",
    "NAMEUNKNOWN",
    "NK",
    "NONE",
    "NOTKNOWN",
    "NULL",
    "UNBORN",
    "UNKNOWN",
    "UNNAMED",
];

/// A day of birth and its parts, as digits.
struct Born {
    year: String,
    month: String,
    day: String,
    whole: String,
}

struct Folded {
    given: Option<String>,
    family: Option<String>,
    /// The starts of both names, in the alphabet's order; only when both are known, as the next two.
    initials: Option<String>,
    sounds: Option<String>,
    in_full: Option<String>,
}

impl Folded {
    fn new(given: Option<String>, family: Option<String>) -> Self {
        let pair = |form: &dyn Fn(&str) -> String| {
            let mut both = [form(given.as_deref()?), form(family.as_deref()?)];
            both.sort();
            Some(both.join("|"))
        };
        let (initials, sounds) = (pair(&start), pair(&soundex));
        let in_full = pair(&str::to_owned);
        Self { given, family, initials, sounds, in_full }
    }
}

/// The names, folded, current ones first; behind each the same with every half of a double-barrelled family name.
fn names(names: &[Name]) -> Vec<Folded> {
    let mut ordered: Vec<&Name> = names.iter().collect();
    ordered.sort_by_key(|name| name.kind() != NameKind::Current);
    let usable = |name: &str| {
        (name.len() >= MIN_NAME_LETTERS && !PLACEHOLDER_NAMES.contains(&name))
            .then(|| name.to_owned())
    };
    let fold = |name: &Name| {
        let given = usable(formal_given(&fold_given(name.given())));
        let halves = family_halves(name.family()).into_iter().take(MAX_HALVES);
        let families = std::iter::once(fold_family(name.family())).chain(halves);
        families.map(|family| Folded::new(given.clone(), usable(&family))).collect::<Vec<_>>()
    };
    ordered.into_iter().flat_map(fold).collect()
}

/// One name, the birth and one place, as far as they are known.
struct Facts<'a> {
    name: &'a Folded,
    born: Option<&'a Born>,
    place: Option<&'a Place>,
}

impl Facts<'_> {
    /// Without a place the keys that need none, with one those that do.
    fn keys(&self) -> impl Iterator<Item = MatchKey> {
        let kinds = KeyKind::without_identifier().iter();
        kinds.filter_map(|kind| self.key(*kind))
    }

    fn key(&self, kind: KeyKind) -> Option<MatchKey> {
        let Folded { initials, sounds, in_full, .. } = self.name;
        let given = || self.name.given.as_deref();
        let family = || self.name.family.as_deref();
        let start_of = |name: Option<&str>| name.map(start);
        let whole = || self.born.map(|born| born.whole.as_str());
        let district = || self.place.and_then(|place| place.district.as_deref());
        let number = || self.place.and_then(|place| place.number.as_deref());
        let key = |parts: &[&str]| Some(MatchKey::new(kind, parts));
        let away_from_place = self.place.is_none();
        match kind {
            KeyKind::NameBirth if away_from_place => key(&[family()?, given()?, whole()?]),
            KeyKind::InitialsBirth if away_from_place => key(&[initials.as_ref()?, whole()?]),
            KeyKind::SoundsYearDay if away_from_place => {
                let born = self.born?;
                key(&[sounds.as_ref()?, &born.year, &born.day])
            }
            KeyKind::SoundsYearMonth if away_from_place => {
                let born = self.born?;
                key(&[sounds.as_ref()?, &born.year, &born.month])
            }
            KeyKind::NamesMonthDay if away_from_place => {
                let born = self.born?;
                key(&[in_full.as_ref()?, &born.month, &born.day])
            }
            KeyKind::FamilyBirthPlace => key(&[&start_of(family())?, whole()?, district()?]),
            KeyKind::GivenBirthPlace => key(&[&start_of(given())?, whole()?, district()?]),
            KeyKind::InitialsHouse => key(&[initials.as_ref()?, district()?, number()?]),
            KeyKind::BirthHouse => key(&[whole()?, district()?, number()?]),
            KeyKind::FamilyBirthHouse => key(&[&start_of(family())?, whole()?, number()?]),
            KeyKind::GivenBirthHouse => key(&[&start_of(given())?, whole()?, number()?]),
            KeyKind::NameHouse => key(&[family()?, given()?, district()?, number()?]),
            KeyKind::NameYearPlace => key(&[family()?, given()?, &self.born?.year, district()?]),
            KeyKind::GivenYearHouse => {
                key(&[&start_of(given())?, &self.born?.year, district()?, number()?])
            }
            KeyKind::NameBirth
            | KeyKind::InitialsBirth
            | KeyKind::SoundsYearDay
            | KeyKind::SoundsYearMonth
            | KeyKind::NamesMonthDay
            | KeyKind::Identifier
            | KeyKind::BirthIdentifier
            | KeyKind::InitialsIdentifier
            | KeyKind::IdentifierOnRecord => None,
        }
    }
}

fn start(folded: &str) -> String {
    folded.chars().take(3).collect()
}

struct Place {
    district: Option<String>,
    number: Option<String>,
}

/// The addresses with a postcode or a number, the latest first.
fn places(addresses: &[Address]) -> Vec<Place> {
    let mut ordered: Vec<&Address> = addresses.iter().collect();
    ordered.sort_by_key(|address| {
        (address.to().is_some(), std::cmp::Reverse(address.to().max(address.from())))
    });
    let place = |address: &Address| {
        let postcode = address.postcode().and_then(Postcode::parse);
        let district = postcode.map(|postcode| postcode.district().to_owned());
        let number = address.house().and_then(house_number);
        (district.is_some() || number.is_some()).then_some(Place { district, number })
    };
    ordered.into_iter().filter_map(place).collect()
}
