//! Match keys: the tight combinations of facts that two agencies compare.
//!
//! A key that hits tells a node its components, so each kind must be tight by itself: [`KeyKind::ALL`] is the set, and
//! [`KeyKind::measured`] how often each finds the same person and hits another.
//!
//! | name | made of |
//! |---|---|
//! | `K1` | one checksum-valid NHS number or UPN |
//! | `K13` | day of birth; four digits of that number |
//! | `K14` | starts of both names in either order; four digits of that number |
//! | `K5` | family name, given name and day of birth in full |
//! | `K2` | starts of both names in either order; day of birth |
//! | `K6` | start of the family name; day of birth; postcode district |
//! | `K3` | start of the given name; day of birth; postcode district |
//! | `K4` | starts of both names in either order; postcode district; house numbers |
//! | `K7` | day of birth; postcode district; house numbers |
//! | `K8` | start of the family name; day of birth; house numbers |
//! | `K9` | start of the given name; day of birth; house numbers |
//! | `K16` | family name and given name in full; postcode district |
//! | `K15` | start of the given name; year of birth; postcode district; house numbers |
//! | `K10` | sounds of both names in either order; year and day of the month of birth |
//! | `K11` | sounds of both names in either order; year and month of birth |
//! | `K12` | both names in full in either order; month and day of birth |
//!
//! A start is three letters, a sound the Soundex code, a given name its formal form (Bob is Robert). Three of them (`K5`, `K15`,
//! `K16`) repeat in full what others ask in part: they tell twins and relatives from the person.
//!
//! A kind whose facts are missing, or are placeholders such as `1900-01-01` and `Unknown`, gives no key. The text of a key
//! starts with `brag/v1|` and its kind and version, so keys of two kinds or versions never meet.

use std::{
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
};

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::{
    identity::{Address, Check, IdentifierKind, Identity, Name, NameKind},
    normalise::{
        Postcode, family_halves, fold_family, fold_given, formal_given, house_number, soundex,
    },
};

/// Keys in a query, dummies included: always as many, so that their number tells nothing.
pub const QUERY_SLOTS: usize = 16;
/// Most keys that one person is enrolled under.
pub const ENROLMENT_SLOTS: usize = 32;

/// A kind of match key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `K1`: a checksum-valid NHS number or UPN.
    Identifier,
    /// `K13`: day of birth and part of the identifier.
    BirthIdentifier,
    /// `K14`: starts of both names in either order and part of the identifier.
    InitialsIdentifier,
    /// `K5`: family name, given name and day of birth in full.
    NameBirth,
    /// `K2`: starts of both names in either order, and day of birth.
    InitialsBirth,
    /// `K6`: start of the family name, day of birth and postcode district.
    FamilyBirthPlace,
    /// `K3`: start of the given name, day of birth and postcode district.
    GivenBirthPlace,
    /// `K4`: starts of both names in either order, postcode district and house numbers.
    InitialsHouse,
    /// `K7`: day of birth, postcode district and house numbers.
    BirthHouse,
    /// `K8`: start of the family name, day of birth and house numbers.
    FamilyBirthHouse,
    /// `K9`: start of the given name, day of birth and house numbers.
    GivenBirthHouse,
    /// `K16`: family name, given name and postcode district.
    NamePlace,
    /// `K15`: start of the given name, year of birth, postcode district and house numbers.
    GivenYearHouse,
    /// `K10`: sounds of both names in either order, year and day of the month of birth.
    SoundsYearDay,
    /// `K11`: sounds of both names in either order, year and month of birth.
    SoundsYearMonth,
    /// `K12`: both names in full in either order, month and day of birth.
    NamesMonthDay,
}

/// What was measured of a kind of key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Of 5,000 pairs of FEBRL 4, the share that the kind alone finds.
    pub recall_febrl4: f64,
    /// Other people hit by one query among a million of an invented population.
    pub false_candidates: f64,
}

impl KeyKind {
    /// Every kind, the one that says most first: the order in which slots are given out.
    pub const ALL: [Self; 16] = [
        Self::Identifier,
        Self::BirthIdentifier,
        Self::InitialsIdentifier,
        Self::NameBirth,
        Self::InitialsBirth,
        Self::FamilyBirthPlace,
        Self::GivenBirthPlace,
        Self::InitialsHouse,
        Self::BirthHouse,
        Self::FamilyBirthHouse,
        Self::GivenBirthHouse,
        Self::NamePlace,
        Self::GivenYearHouse,
        Self::SoundsYearDay,
        Self::SoundsYearMonth,
        Self::NamesMonthDay,
    ];

    /// The kinds that need no identifier.
    #[must_use]
    pub fn without_identifier() -> &'static [Self] {
        const { Self::ALL.split_at(3).1 }
    }

    /// The kind's name and version in the text of a key.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Identifier => "K1v1",
            Self::InitialsBirth => "K2v2",
            Self::GivenBirthPlace => "K3v2",
            Self::InitialsHouse => "K4v2",
            Self::NameBirth => "K5v2",
            Self::FamilyBirthPlace => "K6v1",
            Self::BirthHouse => "K7v1",
            Self::FamilyBirthHouse => "K8v1",
            Self::GivenBirthHouse => "K9v1",
            Self::SoundsYearDay => "K10v1",
            Self::SoundsYearMonth => "K11v1",
            Self::NamesMonthDay => "K12v1",
            Self::BirthIdentifier => "K13v1",
            Self::InitialsIdentifier => "K14v1",
            Self::GivenYearHouse => "K15v1",
            Self::NamePlace => "K16v1",
        }
    }

    /// What was measured of the kind; `docs/matching-measured.md` has data and method.
    #[must_use]
    pub const fn measured(self) -> Measured {
        let (recall_febrl4, false_candidates) = match self {
            Self::Identifier => (0.9122, 0.0),
            Self::BirthIdentifier => (0.8158, 0.004),
            Self::InitialsIdentifier => (0.6808, 0.01145),
            Self::NameBirth => (0.4202, 0.000275),
            Self::InitialsBirth => (0.6674, 0.00555),
            Self::FamilyBirthPlace => (0.6222, 0.018175),
            Self::GivenBirthPlace => (0.5752, 0.00835),
            Self::InitialsHouse => (0.5022, 0.0478),
            Self::BirthHouse => (0.6080, 0.0168),
            Self::FamilyBirthHouse => (0.6024, 0.011025),
            Self::GivenBirthHouse => (0.5554, 0.0019),
            Self::NamePlace => (0.3948, 0.15955),
            Self::GivenYearHouse => (0.4638, 0.01315),
            Self::SoundsYearDay => (0.5886, 0.008025),
            Self::SoundsYearMonth => (0.5866, 0.0199),
            Self::NamesMonthDay => (0.4610, 0.0149),
        };
        Measured { recall_febrl4, false_candidates }
    }

    /// Slots are given to these last: each adds little to the others, so another name or address goes before them.
    const fn is_marginal(self) -> bool {
        matches!(self, Self::SoundsYearDay | Self::SoundsYearMonth | Self::NamesMonthDay)
    }
}

/// A match key. Personal: its text can be read back.
#[derive(Clone, PartialEq, Eq)]
pub struct MatchKey {
    kind: KeyKind,
    text: Zeroizing<String>,
}

impl MatchKey {
    fn new(kind: KeyKind, parts: &[&str]) -> Self {
        let text = format!("brag/v1|{}|{}", kind.label(), parts.join("|"));
        Self { kind, text: Zeroizing::new(text) }
    }

    /// Which facts the key is made of.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The input of the pseudorandom function: ASCII, at most 600 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Hash for MatchKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.as_bytes().hash(state);
    }
}

impl fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchKey({}, [personal])", self.kind.label())
    }
}

/// The keys under which a person is enrolled: distinct, at most [`ENROLMENT_SLOTS`], those that say most first.
#[must_use]
pub fn enrolment_keys(identity: &Identity) -> Vec<MatchKey> {
    let mut keys = all_keys(identity);
    keys.truncate(ENROLMENT_SLOTS);
    keys
}

/// The slots of a query in random order; an absent key is a dummy. When there are more keys than slots, identifiers go
/// first, then the keys of the current name and address.
pub fn query_slots<R: RngCore + CryptoRng>(
    identity: &Identity,
    rng: &mut R,
) -> [Option<MatchKey>; QUERY_SLOTS] {
    let mut slots = [const { None }; QUERY_SLOTS];
    for (slot, key) in slots.iter_mut().zip(all_keys(identity)) {
        *slot = Some(key);
    }
    shuffle(&mut slots, rng);
    slots
}

/// Fisher and Yates' shuffle, the index drawn without bias.
pub(super) fn shuffle<T, R: RngCore>(items: &mut [T], rng: &mut R) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}

/// A random number below `bound`, which is at least 1, by rejection.
fn below<R: RngCore>(bound: usize, rng: &mut R) -> usize {
    let bound = bound as u64;
    let usable = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = rng.next_u64();
        if drawn < usable {
            return usize::try_from(drawn % bound).unwrap_or(0);
        }
    }
}

/// Every key of a person once, those that say most first.
fn all_keys(identity: &Identity) -> Vec<MatchKey> {
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
pub(super) const MIN_NAME_LETTERS: usize = 2;

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
            KeyKind::NamePlace => key(&[family()?, given()?, district()?]),
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
            | KeyKind::InitialsIdentifier => None,
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

#[cfg(test)]
mod tests;
