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
    compare::levels::{Comparable, Comparison, Field},
    identity::Identity,
    keys::enrolment_keys,
};

mod maximise;
mod observe;
mod strangers;

use maximise::{learn_confirm, learn_screen};
pub use observe::Observable;
use observe::Seen;
use strangers::{Strangers, frequencies, normalise};

/// A key that more records share is not followed: it says little and costs much.
const MOST_SHARING: usize = 64;
/// Twins of whom an agency knows one, for each person asked about, at least: about one birth in 65 in the United Kingdom is of
/// twins (Office for National Statistics, *Birth characteristics*), of whom the other is known as often as not.
const FEWEST_TWINS: f64 = 0.01;
/// Other members of the household, at least.
const FEWEST_HOUSEHOLD: f64 = 0.3;
/// One person's numbers differ, or differ in part, in so many cases of those in which both sides have one, at least. Check digits
/// catch the slips, so what is left are numbers of somebody else: a choice, on the safe side of what is published.
const WRONG_NUMBER: f64 = 0.005;
/// Agencies have no identifier of the kind for so many people: a choice. It is the same for all classes of pairs, so that a
/// number which is not on record says nothing.
const NOT_ON_RECORD_ANYWHERE: f64 = 0.34;

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
        let [_, wrong @ .., _] = &mut screen.same.identifier;
        wrong.iter_mut().for_each(|rate| *rate = rate.max(WRONG_NUMBER));
        let [_, wrong @ ..] = &mut confirm.same.identifier;
        wrong.iter_mut().for_each(|rate| *rate = rate.max(WRONG_NUMBER));
        normalise(&mut confirm.same.identifier);
        for rates in [&mut screen.same, &mut screen.twin, &mut screen.member, &mut screen.stranger]
        {
            let [on_record @ .., not_on_record] = &mut rates.identifier;
            normalise(on_record);
            on_record.iter_mut().for_each(|rate| *rate *= 1.0 - NOT_ON_RECORD_ANYWHERE);
            *not_on_record = NOT_ON_RECORD_ANYWHERE;
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

/// What these records do not show at all, others will: each level of one person is seen at least so often elsewhere.
const RARE_AT_ONE: f64 = 0.002;

fn at_least(row: &mut [f64], least: f64) {
    row.iter_mut().for_each(|rate| *rate = rate.max(least));
    normalise(row);
}
