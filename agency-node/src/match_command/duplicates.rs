//! People of one agency who are likely recorded twice.

use std::collections::HashMap;

use brag_common::matching::{
    compare::{
        Confirmation,
        levels::{Comparable, Comparison},
    },
    keys::enrolment_keys,
    weights::Weights,
};

use super::people::People;

/// A key that more people share is not followed: they are not one person.
const MOST_SHARING: usize = 64;

/// Two records that may be of one person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) one: String,
    pub(super) other: String,
    pub(super) result: Confirmation,
    pub(super) posterior: f64,
}

impl Pair {
    pub(super) const fn word(&self) -> &'static str {
        match self.result {
            Confirmation::Same => "same",
            Confirmation::Unclear => "unclear",
            Confirmation::Different => "different",
        }
    }
}

/// The pairs that share a key and are not clearly different, the likeliest first.
pub(super) fn find(people: &People) -> Vec<Pair> {
    let mut by_key: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (place, (_, person)) in people.iter().enumerate() {
        for key in enrolment_keys(person) {
            by_key.entry(key.as_bytes().to_vec()).or_default().push(place);
        }
    }
    let mut candidates: Vec<(usize, usize)> = Vec::new();
    for sharing in by_key.values().filter(|sharing| (2..=MOST_SHARING).contains(&sharing.len())) {
        for (nth, one) in sharing.iter().enumerate() {
            candidates.extend(sharing.iter().skip(nth + 1).map(|other| (*one, *other)));
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    let mut pairs = Vec::new();
    for (one, other) in candidates {
        let (Some((one_id, one)), Some((other_id, other))) = (people.get(one), people.get(other))
        else {
            continue;
        };
        let comparison = Comparison::between(&Comparable::of(one), &Comparable::of(other));
        let weights = &Weights::shipped().confirm;
        let result = weights.decide(&comparison);
        if result != Confirmation::Different {
            let posterior = weights.posterior(&comparison);
            pairs.push(Pair { one: one_id.clone(), other: other_id.clone(), result, posterior });
        }
    }
    pairs.sort_by(|a, b| b.posterior.total_cmp(&a.posterior).then_with(|| a.one.cmp(&b.one)));
    pairs
}
