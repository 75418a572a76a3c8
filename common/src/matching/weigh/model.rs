//! How often a pattern of keys is seen, and between whom.
//!
//! Keys are made of few facts, so their hits are far from independent: adding up a weight for each would count the same fact
//! several times. The model is of the facts. A *state* says which facts of two records agree; it follows which keys hit.
//! How likely a pattern is, is the sum over all states that show it, of those keys that were asked.
//!
//! Four classes of pairs are told apart, each with its own table: the same person, twins, members of one household, and
//! strangers. Within a class names, birth, place and identifier are taken for independent. Twins and household members are
//! counted by how many of them one query meets, strangers by the number of people enrolled: so the prior moves with the index.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Kinds;
use crate::matching::keys::KeyKind;

/// States of a pair of names: five of the given name times five of the family name, and swapped.
pub const NAME_STATES: usize = 26;
/// The state in which given and family name have changed places.
pub const SWAPPED: usize = 25;
/// States of the birth: one bit each for year (1), month (2) and day (4) equal.
pub const BIRTH_STATES: usize = 8;
/// States of the place: one bit each for district (1) and house numbers (2) equal.
pub const PLACE_STATES: usize = 4;
/// States of the identifier: equal, equal in part, different, not on record at the other side.
pub const IDENTIFIER_STATES: usize = 4;
/// The state in which the other side has no identifier on record.
pub const NOT_ON_RECORD: usize = 3;

/// How two folded names agree, as far as keys can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameAgreement {
    /// In full.
    Full = 0,
    /// They begin and sound alike.
    StartAndSound = 1,
    /// They begin alike.
    Start = 2,
    /// They sound alike.
    Sound = 3,
    /// Neither, or one is not known.
    Apart = 4,
}

/// The state of two names.
#[must_use]
pub const fn name_state(given: NameAgreement, family: NameAgreement) -> usize {
    given as usize * 5 + family as usize
}

/// What agrees between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// Below [`NAME_STATES`].
    pub names: usize,
    /// Below [`BIRTH_STATES`].
    pub birth: usize,
    /// Below [`PLACE_STATES`].
    pub place: usize,
    /// Below [`IDENTIFIER_STATES`].
    pub identifier: usize,
}

impl State {
    /// The keys that hit.
    #[must_use]
    pub fn pattern(self) -> Kinds {
        let (given, family) = (self.names / 5, self.names % 5);
        let swapped = self.names == SWAPPED;
        let starts = |name: usize| !swapped && name <= NameAgreement::Start as usize;
        let sounds = |name: usize| !swapped && matches!(name, 0 | 1 | 3);
        let full = |name: usize| !swapped && name == NameAgreement::Full as usize;
        let both = |of: &dyn Fn(usize) -> bool| swapped || of(given) && of(family);
        let (year, month, day) = (self.birth & 1 != 0, self.birth & 2 != 0, self.birth & 4 != 0);
        let whole = year && month && day;
        let (district, number) = (self.place & 1 != 0, self.place & 2 != 0);
        let part = self.identifier <= 1;
        let hits = |kind: &KeyKind| match kind {
            KeyKind::Identifier => self.identifier == 0,
            KeyKind::BirthIdentifier => part && whole,
            KeyKind::InitialsIdentifier => part && both(&starts),
            KeyKind::IdentifierOnRecord => {
                self.identifier != NOT_ON_RECORD && whole && district && number
            }
            KeyKind::NameBirth => full(given) && full(family) && whole,
            KeyKind::InitialsBirth => both(&starts) && whole,
            KeyKind::FamilyBirthPlace => starts(family) && whole && district,
            KeyKind::GivenBirthPlace => starts(given) && whole && district,
            KeyKind::InitialsHouse => both(&starts) && district && number,
            KeyKind::BirthHouse => whole && district && number,
            KeyKind::FamilyBirthHouse => starts(family) && whole && number,
            KeyKind::GivenBirthHouse => starts(given) && whole && number,
            KeyKind::NameHouse => full(given) && full(family) && district && number,
            KeyKind::GivenYearHouse => starts(given) && year && district && number,
            KeyKind::SoundsYearDay => both(&sounds) && year && day,
            KeyKind::SoundsYearMonth => both(&sounds) && year && month,
            KeyKind::NamesMonthDay => both(&full) && month && day,
            KeyKind::NameYearPlace => full(given) && full(family) && year && district,
        };
        KeyKind::ALL
            .iter()
            .filter(|kind| hits(kind))
            .fold(Kinds::default(), |all, kind| all.with(*kind))
    }
}

/// Every state with its pattern.
static STATES: LazyLock<Vec<(State, Kinds)>> = LazyLock::new(|| {
    let mut states = Vec::new();
    for names in 0..NAME_STATES {
        for birth in 0..BIRTH_STATES {
            for place in 0..PLACE_STATES {
                for identifier in 0..IDENTIFIER_STATES {
                    let state = State { names, birth, place, identifier };
                    states.push((state, state.pattern()));
                }
            }
        }
    }
    states
});

/// How often each state of each fact is seen in one class of pairs; each row adds up to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Of the names.
    pub names: [f64; NAME_STATES],
    /// Of the birth.
    pub birth: [f64; BIRTH_STATES],
    /// Of the place.
    pub place: [f64; PLACE_STATES],
    /// Of the identifier.
    pub identifier: [f64; IDENTIFIER_STATES],
}

impl Rates {
    /// How often a state is seen.
    #[must_use]
    pub fn of(&self, state: State) -> f64 {
        let at = |row: &[f64], place: usize| row.get(place).copied().unwrap_or(0.0);
        at(&self.names, state.names)
            * at(&self.birth, state.birth)
            * at(&self.place, state.place)
            * at(&self.identifier, state.identifier)
    }
}

/// The weights of the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenWeights {
    /// Odds, before anything is known, that an agency knows a person it is asked about. A choice and not a measurement: all
    /// agencies are asked, also those for whom it is unlikely.
    pub prior_odds: f64,
    /// Twins of the asked person that an agency knows, on average.
    pub twins: f64,
    /// Other members of the household that it knows, on average.
    pub household: f64,
    /// Without an identifier the posterior odds are at most this: what no model has in it, such as a father and a son of
    /// one name and a wrong birth, stays possible.
    pub most_odds_without_identifier: f64,
    /// Pairs of records of one person.
    pub same: Rates,
    /// … of twins.
    pub twin: Rates,
    /// … of members of one household.
    pub member: Rates,
    /// … of strangers.
    pub stranger: Rates,
}

impl ScreenWeights {
    /// How many candidates with this state one query meets, by class: same, twin, member, stranger.
    #[must_use]
    pub fn expected(&self, state: State, n_people: f64) -> [f64; 4] {
        [
            self.prior_odds * self.same.of(state),
            self.twins * self.twin.of(state),
            self.household * self.member.of(state),
            n_people * self.stranger.of(state),
        ]
    }

    pub(super) fn posterior(&self, asked: Kinds, hits: Kinds, n_people: u64) -> f64 {
        let hits = consistent(asked, hits.and(asked));
        let n_people = n_people_of(n_people);
        let mut expected = [0.0; 4];
        for (state, pattern) in STATES.iter() {
            if pattern.and(asked) == hits {
                for (sum, one) in expected.iter_mut().zip(self.expected(*state, n_people)) {
                    *sum += one;
                }
            }
        }
        let [same, others @ ..] = expected;
        let others: f64 = others.iter().sum();
        // Not by way of the odds: `odds / (1.0 + odds)` may rise by a last bit when the odds fall.
        let posterior = if others > 0.0 { same / (same + others) } else { 0.0 };
        if hits.contains(KeyKind::Identifier) {
            posterior
        } else {
            let ceiling = self.most_odds_without_identifier;
            posterior.min(ceiling / (1.0 + ceiling))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size, to about 16 digits")]
const fn n_people_of(n_people: u64) -> f64 {
    n_people as f64
}

/// The pattern itself when a state shows it; else the one with most keys that it contains. People with several names or
/// addresses show patterns that no pair of single ones does; to leave hits out is to say less.
fn consistent(asked: Kinds, hits: Kinds) -> Kinds {
    let shown = STATES.iter().map(|(_, pattern)| pattern.and(asked));
    let within = shown.filter(|pattern| pattern.and(hits) == *pattern);
    within.max_by_key(|pattern| (pattern.bits().count_ones(), pattern.bits())).unwrap_or_default()
}
