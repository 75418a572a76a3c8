//! Learning weights from two files of records, without knowing which pairs are the same.
//!
//! Strangers are measured: random pairs within a file. For the others, expectation-maximisation (Dempster, Laird and Rubin,
//! 1977) over the pairs that share a match key: each pair is divided among same, twin, household and stranger as the current
//! rates say, and the rates of *same* follow from that. Twins and household members are not learned freely but made of what
//! is known of them: twins share family name, birth and place and differ in the given name; household members share family
//! name and place.

use std::collections::{BTreeMap, HashMap};

use super::Weights;
use crate::matching::{
    compare::{
        ConfirmWeights, Frequencies, LevelRates,
        levels::{self, Comparable, Comparison, Field},
    },
    identity::Identity,
    keys::enrolment_keys,
    weigh::model::{
        BIRTH_STATES, IDENTIFIER_STATES, NAME_STATES, PLACE_STATES, Rates, SWAPPED, ScreenWeights,
        State,
    },
};

mod observe;

pub use observe::Observable;
use observe::Seen;

/// Rounds of expectation-maximisation; the rates stand still long before.
const ROUNDS: usize = 60;
/// Random pairs from which strangers are measured.
const STRANGER_PAIRS: usize = 4_000_000;
/// A key that more records share is not followed: it says little and costs much.
const MOST_SHARING: usize = 64;
/// Most names whose share is listed.
const MOST_NAMES: usize = 150;
/// No rate is less, however rarely something was seen.
const LEAST_RATE: f64 = 1e-7;
/// Odds that a screen hit without an identifier never exceeds.
const MOST_ODDS_WITHOUT_IDENTIFIER: f64 = 200.0;
/// Twins of whom an agency knows one, for each person asked about, at least: about one birth in 65 in the United Kingdom is of
/// twins (Office for National Statistics, *Birth characteristics*), of whom the other is known as often as not.
const FEWEST_TWINS: f64 = 0.01;
/// While learning, twins are never taken for more than this: a record with another given name looks like a twin's, and
/// would otherwise be explained as one where no twins are.
const MOST_TWINS: f64 = 0.005;
/// Two strangers with one valid number, for each pair: one number in 200 is mistyped, the check lets one of ten pass, and one
/// of a hundred of those is somebody else's; in a million people.
const SHARED_NUMBER: f64 = 1e-11;
/// Other members of the household, at least.
const FEWEST_HOUSEHOLD: f64 = 0.3;
/// What the numbers are to stand for, besides the records they are learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// Records as these, and as many: the odds that somebody is known, and twins and household members, are as learned.
    AsLearned,
    /// Any agency: odds of its own, so many strangers, and no fewer twins and household members than there are in the
    /// United Kingdom.
    Anywhere {
        /// Odds, before anything is known, that an agency knows whom it is asked about.
        prior_odds: f64,
        /// Strangers among whom the confirmation compares.
        strangers: f64,
    },
}

/// Learns weights from two files of records.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub fn learn(
    left: &[Identity],
    right: &[Identity],
    standing: Standing,
    provenance: &str,
) -> Weights {
    let pairs = candidate_pairs(left, right);
    let lefts: Vec<Observable> = left.iter().map(Observable::of).collect();
    let rights: Vec<Observable> = right.iter().map(Observable::of).collect();
    let mut strangers = Strangers::default();
    for file in [&lefts, &rights] {
        strangers.measure(file);
    }
    let mut seen: BTreeMap<Seen, f64> = BTreeMap::new();
    let mut compared: BTreeMap<Comparison, f64> = BTreeMap::new();
    for (one, other) in pairs {
        if let (Some(one), Some(other)) = (lefts.get(one), rights.get(other)) {
            *seen.entry(Seen::between(one, other)).or_default() += 1.0;
            let comparison = Comparison::between(&one.comparable, &other.comparable);
            *compared.entry(comparison).or_default() += 1.0;
        }
    }
    let names = |part: fn(&Comparable) -> &str| {
        let all = lefts.iter().chain(&rights).map(|one| part(&one.comparable));
        frequencies(all.filter(|name| !name.is_empty()))
    };
    let given = names(|one| one.first_name().0);
    let family = names(|one| one.first_name().1);
    let size = (left.len().max(1) as f64, right.len().max(1) as f64);
    let mut screen = learn_screen(&seen, &strangers, size);
    let mut confirm = learn_confirm(&compared, &strangers, size, given, family);
    if let Standing::Anywhere { prior_odds, strangers } = standing {
        (screen.prior_odds, confirm.prior_odds) = (prior_odds, prior_odds);
        confirm.strangers = strangers;
        at_least(&mut screen.same.names, 0.1 * RARE_AT_ONE);
        at_least(&mut screen.same.birth, 0.1 * RARE_AT_ONE);
        at_least(&mut screen.same.place, 0.1 * RARE_AT_ONE);
        for field in Field::ALL.into_iter().filter(|field| *field != Field::Identifier) {
            at_least(confirm.same.row_mut(field), RARE_AT_ONE);
        }
        screen.twins = screen.twins.max(FEWEST_TWINS);
        confirm.twins = confirm.twins.max(FEWEST_TWINS);
        screen.household = screen.household.max(FEWEST_HOUSEHOLD);
        confirm.household = confirm.household.max(FEWEST_HOUSEHOLD);
    }
    Weights { provenance: provenance.to_owned(), screen, confirm }
}

/// Places in the two files of every pair that shares a key, each once.
fn candidate_pairs(left: &[Identity], right: &[Identity]) -> Vec<(usize, usize)> {
    let mut index: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (place, person) in left.iter().enumerate() {
        for key in enrolment_keys(person) {
            index.entry(key.as_bytes().to_vec()).or_default().push(place);
        }
    }
    let mut pairs = Vec::new();
    for (place, person) in right.iter().enumerate() {
        for key in enrolment_keys(person) {
            let sharing = index.get(key.as_bytes()).filter(|all| all.len() <= MOST_SHARING);
            pairs.extend(sharing.into_iter().flatten().map(|other| (*other, place)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// What was measured of strangers: counts of each state.
#[derive(Default)]
struct Strangers {
    names: [f64; NAME_STATES],
    birth: [f64; BIRTH_STATES],
    place: [f64; PLACE_STATES],
    identifier: [f64; IDENTIFIER_STATES],
    levels: [Vec<f64>; 6],
}

impl Strangers {
    fn measure(&mut self, file: &[Observable]) {
        let mut random = 0x1234_5678_9abc_def1_u64;
        let mut draw = || {
            // Xorshift (Marsaglia, 2003): a fixed sample, so that the same files give the same weights.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % (file.len().max(1) as u64)).ok()
        };
        for _ in 0..STRANGER_PAIRS / 2 {
            let (one, other) = (draw(), draw());
            // Neighbours in a file may be of one household.
            let (Some(one), Some(other)) = (one, other) else { continue };
            if one.abs_diff(other) < 20 {
                continue;
            }
            let (Some(one), Some(other)) = (file.get(one), file.get(other)) else { continue };
            let seen = Seen::between(one, other);
            let State { names, birth, place, identifier } = seen.state;
            count(&mut self.names, seen.knows.names.then_some(names));
            count(&mut self.birth, seen.knows.birth.then_some(birth));
            count(&mut self.place, seen.knows.place.then_some(place));
            count(&mut self.identifier, seen.knows.identifier.then_some(identifier));
            let comparison = Comparison::between(&one.comparable, &other.comparable);
            for (counts, level) in self.levels.iter_mut().zip(comparison.levels()) {
                let Some(level) = level else { continue };
                if counts.len() <= level {
                    counts.resize(level + 1, 0.0);
                }
                count(counts, Some(level));
            }
        }
    }

    fn rates(&self) -> Rates {
        let mut rates = Rates {
            names: shares(self.names),
            birth: shares(self.birth),
            place: shares(self.place),
            identifier: shares(self.identifier),
        };
        if let Some(equal) = rates.identifier.first_mut() {
            *equal = SHARED_NUMBER;
        }
        // Rare pairs of names are not seen often enough: from the two parts.
        let (given, family) = (given_of(&rates.names), family_of(&rates.names));
        for (place, rate) in rates.names.iter_mut().enumerate().take(SWAPPED) {
            if self.names.get(place).is_some_and(|count| *count < 30.0) {
                let at = |row: &[f64; 5], at: usize| row.get(at).copied().unwrap_or(0.0);
                *rate = (at(&given, place / 5) * at(&family, place % 5)).max(LEAST_RATE);
            }
        }
        rates
    }

    fn level_rates(&self) -> LevelRates {
        let mut rates = uniform_levels();
        for (field, counts) in Field::ALL.into_iter().zip(&self.levels) {
            let row = rates.row_mut(field);
            let total: f64 = counts.iter().sum();
            for (place, rate) in row.iter_mut().enumerate() {
                let count = counts.get(place).copied().unwrap_or(0.0);
                *rate = ((count + 0.05) / (total + 0.35)).max(LEAST_RATE);
            }
            normalise(row);
        }
        if let Some(equal) = rates.identifier.first_mut() {
            *equal = SHARED_NUMBER;
        }
        rates
    }
}

fn count(counts: &mut [f64], place: Option<usize>) {
    if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
        *count += 1.0;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of states")]
fn shares<const N: usize>(counts: [f64; N]) -> [f64; N] {
    let total: f64 = counts.iter().sum::<f64>() + 0.02 * N as f64;
    let mut shares = counts.map(|count| ((count + 0.02) / total).max(LEAST_RATE));
    normalise(&mut shares);
    shares
}

/// What these records do not show at all, others will: each level of one person is seen at least so often elsewhere.
const RARE_AT_ONE: f64 = 0.002;

fn at_least(row: &mut [f64], least: f64) {
    row.iter_mut().for_each(|rate| *rate = rate.max(least));
    normalise(row);
}

fn normalise(row: &mut [f64]) {
    let total: f64 = row.iter().sum();
    row.iter_mut().for_each(|rate| *rate /= total);
}

fn part_of(names: &[f64; NAME_STATES], part: impl Fn(usize) -> usize) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for (place, rate) in names.iter().enumerate().take(SWAPPED) {
        if let Some(sum) = sums.get_mut(part(place)) {
            *sum += rate;
        }
    }
    normalise(&mut sums);
    sums
}

fn given_of(names: &[f64; NAME_STATES]) -> [f64; 5] {
    part_of(names, |place| place / 5)
}

fn family_of(names: &[f64; NAME_STATES]) -> [f64; 5] {
    part_of(names, |place| place % 5)
}

/// Given names of two children of one house: hardly ever equal, and alike more often than those of strangers.
const SIBLINGS_EQUAL: f64 = 0.001;
const SIBLINGS_ALIKE: f64 = 3.0;

fn joined(given: [f64; 5], family: [f64; 5]) -> [f64; NAME_STATES] {
    let mut names = [LEAST_RATE; NAME_STATES];
    for (place, rate) in names.iter_mut().enumerate().take(SWAPPED) {
        let at = |row: [f64; 5], at: usize| row.get(at).copied().unwrap_or(0.0);
        *rate = (at(given, place / 5) * at(family, place % 5)).max(LEAST_RATE);
    }
    normalise(&mut names);
    names
}

fn siblings_given(stranger: &[f64; NAME_STATES]) -> [f64; 5] {
    let [_, a, b, c, apart] = given_of(stranger);
    let mut given =
        [SIBLINGS_EQUAL, a * SIBLINGS_ALIKE, b * SIBLINGS_ALIKE, c * SIBLINGS_ALIKE, apart];
    normalise(&mut given);
    given
}

fn twin_of(same: &Rates, stranger: &Rates) -> Rates {
    let mut birth = [0.001; BIRTH_STATES];
    if let Some(whole) = birth.last_mut() {
        *whole = 0.993;
    }
    let names = joined(siblings_given(&stranger.names), family_of(&same.names));
    Rates { names, birth, place: same.place, identifier: stranger.identifier }
}

fn member_of(same: &Rates, stranger: &Rates) -> Rates {
    let names = joined(siblings_given(&stranger.names), family_of(&same.names));
    Rates { names, birth: stranger.birth, place: same.place, identifier: stranger.identifier }
}

fn learn_screen(
    seen: &BTreeMap<Seen, f64>,
    strangers: &Strangers,
    (n_left, n_right): (f64, f64),
) -> ScreenWeights {
    let stranger = strangers.rates();
    let same = first_guess();
    let (twin, member) = (twin_of(&same, &stranger), member_of(&same, &stranger));
    let mut weights = ScreenWeights {
        prior_odds: 0.5,
        twins: MOST_TWINS,
        household: FEWEST_HOUSEHOLD,
        most_odds_without_identifier: MOST_ODDS_WITHOUT_IDENTIFIER,
        same,
        twin,
        member,
        stranger,
    };
    for _ in 0..ROUNDS {
        let mut totals = [0.0; 4];
        let (mut names, mut birth) = ([0.0; NAME_STATES], [0.0; BIRTH_STATES]);
        let (mut place, mut identifier) = ([0.0; PLACE_STATES], [0.0; IDENTIFIER_STATES]);
        for (seen, n) in seen {
            let expected = seen.expected(&weights, n_right);
            let all: f64 = expected.iter().sum();
            if all <= 0.0 {
                continue;
            }
            for (total, one) in totals.iter_mut().zip(expected) {
                *total += n * one / all;
            }
            let [same, ..] = expected;
            let share = n * same / all;
            let add = |row: &mut [f64], place: usize, known: bool| {
                if let Some(sum) = row.get_mut(place).filter(|_| known) {
                    *sum += share;
                }
            };
            add(&mut names, seen.state.names, seen.knows.names);
            add(&mut birth, seen.state.birth, seen.knows.birth);
            add(&mut place, seen.state.place, seen.knows.place);
            add(&mut identifier, seen.state.identifier, seen.knows.identifier);
        }
        let [n_same, n_twins, n_members, _] = totals;
        weights.prior_odds = n_same / n_left;
        weights.twins = (n_twins / n_left).clamp(MOST_TWINS / 50.0, MOST_TWINS);
        weights.household = (n_members / n_left).max(FEWEST_HOUSEHOLD / 100.0);
        weights.same = Rates {
            names: shares(names),
            birth: shares(birth),
            place: shares(place),
            identifier: shares(identifier),
        };
        weights.twin = twin_of(&weights.same, &weights.stranger);
        weights.member = member_of(&weights.same, &weights.stranger);
    }
    weights
}

/// Most agrees between two records of one person; expectation-maximisation finds the rest.
fn first_guess() -> Rates {
    let name = [0.7, 0.1, 0.05, 0.05, 0.1];
    let mut birth = [0.1 / 7.0; BIRTH_STATES];
    if let Some(whole) = birth.last_mut() {
        *whole = 0.9;
    }
    Rates {
        names: joined(name, name),
        birth,
        place: [0.1, 0.1, 0.1, 0.7],
        identifier: [0.85, 0.05, 0.1],
    }
}

fn uniform_levels() -> LevelRates {
    LevelRates {
        given: [1.0 / 7.0; levels::GIVEN],
        family: [1.0 / 6.0; levels::FAMILY],
        birth: [1.0 / 7.0; levels::BIRTH],
        place: [1.0 / 7.0; levels::PLACE],
        identifier: [1.0 / 3.0; levels::IDENTIFIER],
        sex: [0.5; levels::SEX],
    }
}

/// Twins and household members, from what is known of the same and of strangers.
fn relatives(same: &LevelRates, stranger: &LevelRates) -> (LevelRates, LevelRates) {
    let mut given = stranger.given;
    for (rate, factor) in
        given.iter_mut().zip([0.0, SIBLINGS_ALIKE, 1.0, SIBLINGS_ALIKE, SIBLINGS_ALIKE, 1.0, 1.0])
    {
        *rate *= factor;
    }
    if let Some(equal) = given.first_mut() {
        *equal = SIBLINGS_EQUAL;
    }
    normalise(&mut given);
    let member = LevelRates {
        given,
        family: same.family,
        birth: stranger.birth,
        place: same.place,
        identifier: stranger.identifier,
        sex: [0.5, 0.5],
    };
    let mut birth = [0.001; levels::BIRTH];
    if let Some(equal) = birth.first_mut() {
        *equal = 0.994;
    }
    (LevelRates { birth, ..member.clone() }, member)
}

fn learn_confirm(
    compared: &BTreeMap<Comparison, f64>,
    strangers: &Strangers,
    (n_left, n_right): (f64, f64),
    given: Frequencies,
    family: Frequencies,
) -> ConfirmWeights {
    let stranger = strangers.level_rates();
    let same = LevelRates {
        given: [0.7, 0.1, 0.03, 0.05, 0.05, 0.04, 0.03],
        family: [0.75, 0.1, 0.03, 0.05, 0.04, 0.03],
        birth: [0.9, 0.02, 0.03, 0.02, 0.01, 0.01, 0.01],
        place: [0.5, 0.2, 0.05, 0.05, 0.1, 0.05, 0.05],
        identifier: [0.9, 0.07, 0.03],
        sex: [0.98, 0.02],
    };
    let (twin, member) = relatives(&same, &stranger);
    let mut weights = ConfirmWeights {
        prior_odds: 0.5,
        strangers: n_right,
        twins: MOST_TWINS,
        household: FEWEST_HOUSEHOLD,
        same_from: 0.85,
        unclear_from: 0.1,
        same,
        twin,
        member,
        stranger,
        given,
        family,
    };
    for _ in 0..ROUNDS {
        let mut totals = [0.0; 4];
        let mut sums = uniform_levels();
        for field in Field::ALL {
            sums.row_mut(field).fill(0.02);
        }
        for (comparison, n) in compared {
            let expected = weights.expected(comparison);
            let all: f64 = expected.iter().sum();
            if all <= 0.0 {
                continue;
            }
            for (total, one) in totals.iter_mut().zip(expected) {
                *total += n * one / all;
            }
            let [same, ..] = expected;
            for field in Field::ALL {
                let Some(level) = comparison.level(field) else { continue };
                if let Some(sum) = sums.row_mut(field).get_mut(level) {
                    *sum += n * same / all;
                }
            }
        }
        for field in Field::ALL {
            normalise(sums.row_mut(field));
        }
        let [n_same, n_twins, n_members, _] = totals;
        weights.prior_odds = n_same / n_left;
        weights.twins = (n_twins / n_left).clamp(MOST_TWINS / 50.0, MOST_TWINS);
        weights.household = (n_members / n_left).max(FEWEST_HOUSEHOLD / 100.0);
        weights.same = sums;
        (weights.twin, weights.member) = relatives(&weights.same, &weights.stranger);
    }
    weights
}

/// Shares of names: the common ones listed, and one share for all others.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn frequencies<'a>(names: impl Iterator<Item = &'a str>) -> Frequencies {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut total = 0_u64;
    for name in names {
        *counts.entry(name).or_default() += 1;
        total += 1;
    }
    let total = f64::max(total as f64, 1.0);
    let share = |n: u64| n as f64 / total;
    let chance = counts.values().map(|n| share(*n).powi(2)).sum();
    let mut ordered: Vec<(&str, u64)> = counts.into_iter().collect();
    ordered.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let rest = ordered.get(MOST_NAMES..).unwrap_or_default();
    let n_rest: u64 = rest.iter().map(|(_, n)| n).sum();
    // A person with an unlisted name has, on average, a name of this share.
    let squares: f64 = rest.iter().map(|(_, n)| share(*n).powi(2)).sum();
    let rare = if n_rest > 0 { squares / share(n_rest) } else { 1.0 / total };
    let listed = ordered.iter().take(MOST_NAMES);
    Frequencies {
        chance,
        rare,
        common: listed.map(|(name, n)| ((*name).to_owned(), share(*n))).collect(),
    }
}
