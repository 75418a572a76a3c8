//! Strangers, measured on random pairs; how common names are; and shares out of counts.

use std::collections::HashMap;

use super::observe::{Observable, Seen};
use crate::matching::{
    compare::{
        Frequencies, LevelRates,
        levels::{self, Comparison, Field},
    },
    weigh::model::{
        BIRTH_STATES, IDENTIFIER_STATES, NAME_STATES, PLACE_STATES, Rates, SWAPPED, State,
    },
};

/// Random pairs from which strangers are measured.
const STRANGER_PAIRS: usize = 4_000_000;
/// Most names whose share is listed.
const MOST_NAMES: usize = 150;
/// No rate is less, however rarely something was seen.
pub(super) const LEAST_RATE: f64 = 1e-7;
/// Two strangers with one valid number, for each pair: one number in 200 is mistyped, the check lets one of ten pass, and one
/// of a hundred of those is somebody else's; in a million people.
const SHARED_NUMBER: f64 = 1e-11;
/// What was measured of strangers: counts of each state.
#[derive(Default)]
pub(super) struct Strangers {
    names: [f64; NAME_STATES],
    birth: [f64; BIRTH_STATES],
    place: [f64; PLACE_STATES],
    identifier: [f64; IDENTIFIER_STATES],
    levels: [Vec<f64>; 6],
}

impl Strangers {
    pub(super) fn measure(&mut self, file: &[Observable]) {
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

    pub(super) fn rates(&self) -> Rates {
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

    pub(super) fn level_rates(&self) -> LevelRates {
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
pub(super) fn shares<const N: usize>(counts: [f64; N]) -> [f64; N] {
    let total: f64 = counts.iter().sum::<f64>() + 0.02 * N as f64;
    let mut shares = counts.map(|count| ((count + 0.02) / total).max(LEAST_RATE));
    normalise(&mut shares);
    shares
}

pub(super) fn normalise(row: &mut [f64]) {
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

pub(super) fn given_of(names: &[f64; NAME_STATES]) -> [f64; 5] {
    part_of(names, |place| place / 5)
}

pub(super) fn family_of(names: &[f64; NAME_STATES]) -> [f64; 5] {
    part_of(names, |place| place % 5)
}

pub(super) fn uniform_levels() -> LevelRates {
    LevelRates {
        given: [1.0 / 7.0; levels::GIVEN],
        family: [1.0 / 6.0; levels::FAMILY],
        birth: [1.0 / 7.0; levels::BIRTH],
        place: [1.0 / 7.0; levels::PLACE],
        identifier: [1.0 / 3.0; levels::IDENTIFIER],
        sex: [0.5; levels::SEX],
    }
}

/// Shares of names: the common ones listed, and one share for all others.
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub(super) fn frequencies<'a>(names: impl Iterator<Item = &'a str>) -> Frequencies {
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
