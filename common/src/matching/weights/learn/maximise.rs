//! Expectation-maximisation: the rates of one person, and what follows from them for twins and households.

use std::collections::BTreeMap;

use super::{
    FEWEST_HOUSEHOLD,
    observe::Seen,
    strangers::{LEAST_RATE, Strangers, family_of, given_of, normalise, shares, uniform_levels},
};
use crate::matching::{
    compare::{
        ConfirmWeights, Frequencies, LevelRates,
        levels::{Comparison, Field},
    },
    weigh::model::{
        BIRTH_STATES, IDENTIFIER_STATES, NAME_STATES, PLACE_STATES, Rates, SWAPPED, ScreenWeights,
    },
};

/// Rounds of expectation-maximisation; the rates stand still long before.
const ROUNDS: usize = 60;
/// Odds that a screen hit without an identifier never exceeds.
const MOST_ODDS_WITHOUT_IDENTIFIER: f64 = 200.0;
/// While learning, twins are never taken for more than this: a record with another given name looks like a twin's, and
/// would otherwise be explained as one where no twins are.
const MOST_TWINS: f64 = 0.005;
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

/// A twin is born on the same day, and its recorded birth goes wrong as often as the person's own.
fn twin_of(same: &Rates, stranger: &Rates) -> Rates {
    let names = joined(siblings_given(&stranger.names), family_of(&same.names));
    Rates { names, birth: same.birth, place: same.place, identifier: stranger.identifier }
}

fn member_of(same: &Rates, stranger: &Rates) -> Rates {
    let names = joined(siblings_given(&stranger.names), family_of(&same.names));
    Rates { names, birth: stranger.birth, place: same.place, identifier: stranger.identifier }
}

pub(super) fn learn_screen(
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
        identifier: [0.85, 0.05, 0.05, 0.05],
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
    (LevelRates { birth: same.birth, ..member.clone() }, member)
}

pub(super) fn learn_confirm(
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
