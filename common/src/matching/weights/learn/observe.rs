//! What the screen's model sees of a pair of records.

use std::fmt;

use crate::matching::{
    compare::levels::Comparable,
    identity::{Check, IdentifierKind, Identity},
    keys::MIN_NAME_LETTERS,
    normalise::{Postcode, fold_family, fold_given, formal_given, house_number, soundex},
    weigh::model::{NOT_ON_RECORD, NameAgreement, SWAPPED, ScreenWeights, State, name_state},
};

/// A record in the forms that the models look at.
pub struct Observable {
    pub(super) comparable: Comparable,
    /// Given and family name, with their sounds.
    names: Vec<[(String, String); 2]>,
    born: Option<(i16, i8, i8)>,
    places: Vec<(Option<String>, Option<String>)>,
    identifiers: Vec<(IdentifierKind, String, String)>,
}

impl Observable {
    /// Folds a record.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let with_sound = |name: String| {
            let sound = soundex(&name);
            (name, sound)
        };
        let names = identity.names().iter().map(|name| {
            let given = formal_given(&fold_given(name.given())).to_owned();
            [with_sound(given), with_sound(fold_family(name.family()))]
        });
        let places = identity.addresses().iter().map(|address| {
            let postcode = address.postcode().and_then(Postcode::parse);
            let district = postcode.map(|postcode| postcode.district().to_owned());
            (district, address.house().and_then(house_number))
        });
        let valid = identity.identifiers().iter().filter(|one| one.check() == Check::Valid);
        let identifiers = valid.filter_map(|one| {
            let number = one.normal();
            let part = number.get(number.len().checked_sub(5)?..number.len() - 1)?.to_owned();
            Some((one.kind().clone(), number, part))
        });
        Self {
            comparable: Comparable::of(identity),
            names: names.collect(),
            born: identity.birth().day().map(|day| (day.year(), day.month(), day.day())),
            places: places.collect(),
            identifiers: identifiers.collect(),
        }
    }
}

impl fmt::Debug for Observable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observable([personal])")
    }
}

/// Which facts both records know enough of; the others say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "four facts, each known or not")]
pub(super) struct Knows {
    pub(super) names: bool,
    pub(super) birth: bool,
    pub(super) place: bool,
    pub(super) identifier: bool,
}

/// What agrees between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) knows: Knows,
}

impl Seen {
    /// The asking record's gaps say nothing; those of the other count as disagreement, as they do in the screen.
    pub(super) fn between(asking: &Observable, own: &Observable) -> Self {
        let knows = Knows {
            names: !asking.names.is_empty(),
            birth: asking.born.is_some(),
            place: !asking.places.is_empty(),
            identifier: !asking.identifiers.is_empty(),
        };
        let pairs = asking.names.iter().flat_map(|one| own.names.iter().map(move |two| (one, two)));
        let names = pairs.map(|(one, two)| names_of(one, two)).min_by_key(|state| match *state {
            SWAPPED => 4,
            straight => straight / 5 + straight % 5,
        });
        let birth = asking.born.zip(own.born).map_or(0, |(one, two)| {
            usize::from(one.0 == two.0)
                | usize::from(one.1 == two.1) << 1
                | usize::from(one.2 == two.2) << 2
        });
        let places =
            asking.places.iter().flat_map(|one| own.places.iter().map(move |two| (one, two)));
        let equal =
            |one: &Option<String>, two: &Option<String>| usize::from(one.is_some() && one == two);
        let place = places.map(|(one, two)| equal(&one.0, &two.0) | equal(&one.1, &two.1) << 1);
        let numbers = asking.identifiers.iter().flat_map(|one| {
            own.identifiers
                .iter()
                .filter(move |two| one.0 == two.0)
                .map(move |two| if one.1 == two.1 { 0 } else { 2 - usize::from(one.2 == two.2) })
        });
        let state = State {
            names: names.unwrap_or(name_state(NameAgreement::Apart, NameAgreement::Apart)),
            birth,
            place: place.max().unwrap_or(0),
            identifier: numbers.min().unwrap_or(NOT_ON_RECORD),
        };
        Self { state, knows }
    }

    /// As [`ScreenWeights::expected`], without the facts that are not known.
    pub(super) fn expected(&self, weights: &ScreenWeights, n_people: f64) -> [f64; 4] {
        let at = |row: &[f64], place: usize, known: bool| {
            if known { row.get(place).copied().unwrap_or(0.0) } else { 1.0 }
        };
        let classes = [
            (weights.prior_odds, &weights.same),
            (weights.twins, &weights.twin),
            (weights.household, &weights.member),
            (n_people, &weights.stranger),
        ];
        classes.map(|(n, rates)| {
            n * at(&rates.names, self.state.names, self.knows.names)
                * at(&rates.birth, self.state.birth, self.knows.birth)
                * at(&rates.place, self.state.place, self.knows.place)
                * at(&rates.identifier, self.state.identifier, self.knows.identifier)
        })
    }
}

fn names_of(one: &[(String, String); 2], two: &[(String, String); 2]) -> usize {
    let ([given, family], [other_given, other_family]) = (one, two);
    let straight = name_state(agreement(given, other_given), agreement(family, other_family));
    let full = |a, b| agreement(a, b) == NameAgreement::Full;
    if straight != 0 && full(given, other_family) && full(family, other_given) {
        SWAPPED
    } else {
        straight
    }
}

fn agreement(one: &(String, String), two: &(String, String)) -> NameAgreement {
    if one.0.len() < MIN_NAME_LETTERS || two.0.len() < MIN_NAME_LETTERS {
        return NameAgreement::Apart;
    }
    let start = one.0.bytes().take(3).eq(two.0.bytes().take(3));
    match (one.0 == two.0, start, one.1 == two.1) {
        (true, ..) => NameAgreement::Full,
        (_, true, true) => NameAgreement::StartAndSound,
        (_, true, false) => NameAgreement::Start,
        (_, false, true) => NameAgreement::Sound,
        (false, false, false) => NameAgreement::Apart,
    }
}
