//! Match keys: the tight combinations of facts that two agencies compare.
//!
//! A key that hits tells a node its components, so each kind must be tight by itself. Measured on an invented region of
//! 1.07 million people (false candidates for one query among a million) and on FEBRL4 (recall of one kind alone):
//!
//! | kind | made of | recall | false candidates |
//! |---|---|---|---|
//! | `K1` | one checksum-valid NHS number or UPN | 0.912 | 0 |
//! | `K2` | first three letters of family and of given name, in either order; day of birth | 0.671 | 0.0008 |
//! | `K3` | first three letters of the given name; day of birth; postcode district | 0.577 | 0.009 |
//! | `K4` | as `K2` without the birth; postcode district; house numbers | 0.507 | 0.008 |
//! | `K5` | family name, given name and day of birth in full | 0.426 | 0.0001 |
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
    normalise::{Postcode, fold_family, fold_given, house_number},
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
    /// `K5`: family name, given name and day of birth in full.
    NameBirth,
    /// `K2`: starts of both names in either order, and day of birth.
    InitialsBirth,
    /// `K3`: start of the given name, day of birth and postcode district.
    GivenBirthPlace,
    /// `K4`: starts of both names in either order, postcode district and house numbers.
    InitialsHouse,
}

impl KeyKind {
    /// Every kind, the one that says most first: the order in which slots are given out.
    pub const ALL: [Self; 5] = [
        Self::Identifier,
        Self::NameBirth,
        Self::InitialsBirth,
        Self::GivenBirthPlace,
        Self::InitialsHouse,
    ];

    /// The kind's name and version in the text of a key.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Identifier => "K1v1",
            Self::InitialsBirth => "K2v1",
            Self::GivenBirthPlace => "K3v1",
            Self::InitialsHouse => "K4v1",
            Self::NameBirth => "K5v1",
        }
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
    let identifiers = identity.identifiers().iter();
    for identifier in identifiers.filter(|identifier| identifier.check() == Check::Valid) {
        if matches!(identifier.kind(), IdentifierKind::Nhs | IdentifierKind::Upn) {
            let parts = [identifier.kind().word(), &identifier.normal()];
            keys.push(((0, 0), MatchKey::new(KeyKind::Identifier, &parts)));
        }
    }
    let born = identity.birth().day().map(|day| day.strftime("%Y%m%d").to_string());
    let born = born.as_deref().filter(|born| !PLACEHOLDER_BIRTHS.contains(born));
    let places = places(identity.addresses());
    for (name_rank, name) in names(identity.names()).iter().enumerate() {
        if let Some(born) = born {
            keys.extend(name.with_birth(born).map(|key| ((name_rank, 0), key)));
        }
        for (place_rank, place) in places.iter().enumerate() {
            let rank = (name_rank + place_rank, name_rank);
            keys.extend(name.with_place(born, place).map(|key| (rank, key)));
        }
    }
    keys.sort_by_key(|(rank, key)| (key.kind != KeyKind::Identifier, *rank, key.kind));
    let mut seen = HashSet::new();
    keys.into_iter().map(|(_, key)| key).filter(|key| seen.insert(key.clone())).collect()
}

/// Days that systems write when they know none. Only such as nobody alive was born on: a real person must not lose keys.
const PLACEHOLDER_BIRTHS: [&str; 3] = ["18991231", "19000101", "19010101"];

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

struct Folded {
    given: Option<String>,
    /// Both names and the starts of both, in the alphabet's order; only when both are known.
    both: Option<(String, String)>,
    initials: Option<String>,
}

/// The names, folded, current ones first.
fn names(names: &[Name]) -> Vec<Folded> {
    let mut ordered: Vec<&Name> = names.iter().collect();
    ordered.sort_by_key(|name| name.kind() != NameKind::Current);
    let usable = |name: String| {
        (name.len() >= 2 && !PLACEHOLDER_NAMES.contains(&name.as_str())).then_some(name)
    };
    let fold = |name: &Name| {
        let given = usable(fold_given(name.given()));
        let both = given.clone().zip(usable(fold_family(name.family())));
        let initials = both.as_ref().map(|(given, family)| {
            let mut starts = [start(given), start(family)];
            starts.sort();
            starts.join("|")
        });
        Folded { given, both, initials }
    };
    ordered.into_iter().map(fold).collect()
}

impl Folded {
    fn with_birth(&self, born: &str) -> impl Iterator<Item = MatchKey> {
        let exact = self
            .both
            .as_ref()
            .map(|(given, family)| MatchKey::new(KeyKind::NameBirth, &[family, given, born]));
        let initials = self.initials.as_ref();
        let initials = initials.map(|both| MatchKey::new(KeyKind::InitialsBirth, &[both, born]));
        exact.into_iter().chain(initials)
    }

    fn with_place(&self, born: Option<&str>, place: &Place) -> impl Iterator<Item = MatchKey> {
        let birth = self.given.as_ref().zip(born).map(|(given, born)| {
            MatchKey::new(KeyKind::GivenBirthPlace, &[&start(given), born, &place.district])
        });
        let house = self.initials.as_ref().zip(place.number.as_ref()).map(|(both, number)| {
            MatchKey::new(KeyKind::InitialsHouse, &[both, &place.district, number])
        });
        birth.into_iter().chain(house)
    }
}

fn start(folded: &str) -> String {
    folded.chars().take(3).collect()
}

struct Place {
    district: String,
    number: Option<String>,
}

/// The addresses with a postcode, the latest first.
fn places(addresses: &[Address]) -> Vec<Place> {
    let mut ordered: Vec<&Address> = addresses.iter().collect();
    ordered.sort_by_key(|address| {
        (address.to().is_some(), std::cmp::Reverse(address.to().max(address.from())))
    });
    let place = |address: &Address| {
        let district = Postcode::parse(address.postcode()?)?.district().to_owned();
        Some(Place { district, number: address.house().and_then(house_number) })
    };
    ordered.into_iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests;
