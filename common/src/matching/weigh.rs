//! What the hub makes of a node's answer: how likely is it that a candidate *is* the asked person?
//!
//! The whole pattern of keys is weighed, not key by key: [`model`] says how often each pattern is seen between two records
//! of one person, of twins, of one household and of strangers (Fellegi and Sunter, 1969, with classes for those who are
//! mistaken most easily). Whether somebody is known is all that is weighed here; it says nothing about risk.
//!
//! A hit counts only when its proof verifies, so a node can claim no key that it did not enrol.

use std::fmt;

use super::{
    keys::{KeyKind, QUERY_SLOTS},
    screen::ScreenAnswer,
    token::{AskedSlot, Handle, verify_hit},
    weights::Weights,
};
use crate::id::RequestId;

pub mod model;

use model::ScreenWeights;

/// Indexes are never taken for smaller than this: a small agency's people are each other's families.
const FEWEST_PEOPLE: u64 = 10_000;

/// The posteriors from which an identity is disclosed, and from which a person decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    disclose_from: f64,
    review_from: f64,
}

/// Thresholds that are not probabilities in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("thresholds must be 0 < `review_from` ≤ `disclose_from` < 1")]
pub struct BadThresholds;

impl Thresholds {
    /// 0.9 and 0.2. The aim at a million people: less than one unknown person in a thousand is disclosed to a wrong agency.
    pub const DEFAULT: Self = Self { disclose_from: 0.9, review_from: 0.2 };

    /// Both are posterior probabilities, 0 < `review_from` ≤ `disclose_from` < 1.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(disclose_from: f64, review_from: f64) -> Result<Self, BadThresholds> {
        let valid = 0.0 < review_from && review_from <= disclose_from && disclose_from < 1.0;
        if valid { Ok(Self { disclose_from, review_from }) } else { Err(BadThresholds) }
    }

    /// What follows from a posterior.
    #[must_use]
    pub fn verdict(self, posterior: f64) -> Verdict {
        if posterior >= self.disclose_from {
            Verdict::Known
        } else if posterior >= self.review_from {
            Verdict::Possible
        } else {
            Verdict::Unknown
        }
    }
}

/// Whether an agency knows the asked person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It does not.
    Unknown,
    /// It may: nothing is disclosed until a person has decided.
    Possible,
    /// It does: the identity is disclosed to it, and only to it.
    Known,
}

/// Kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(pub(super) u32);

impl Kinds {
    /// These kinds.
    #[must_use]
    pub fn of(kinds: &[KeyKind]) -> Self {
        kinds.iter().fold(Self::default(), |kinds, kind| kinds.with(*kind))
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, kind: KeyKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether the kind is one of these.
    #[must_use]
    pub const fn contains(self, kind: KeyKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// One bit for each kind, in the order of [`KeyKind::ALL`].
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A candidate, weighed.
#[derive(Clone, Copy, PartialEq)]
pub struct Weighed {
    /// The handle under which the node knows the candidate.
    pub handle: Handle,
    /// Kinds of key that provably hit; never empty.
    pub hits: Kinds,
    /// Probability, 0 to 1, that the candidate is the asked person.
    pub posterior: f64,
    /// What follows from it.
    pub verdict: Verdict,
}

impl fmt::Debug for Weighed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weighed({:?})", self.verdict)
    }
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The verdict of the best candidate; unknown when there is none.
    pub verdict: Verdict,
    /// Candidates with at least one proven hit, the most likely first. Several may be the same person, recorded twice.
    pub candidates: Vec<Weighed>,
}

/// Weighs an answer of an agency that has enrolled `n_people` people. Total: no answer can make it fail.
#[must_use]
pub fn weigh(
    query: &RequestId,
    asked: &[Option<AskedSlot>; QUERY_SLOTS],
    answer: &ScreenAnswer,
    n_people: u64,
    thresholds: Thresholds,
) -> Assessment {
    let kinds = asked.iter().flatten().fold(Kinds::default(), |kinds, slot| kinds.with(slot.kind));
    let mut candidates = Vec::new();
    for candidate in &answer.candidates {
        let mut hits = Kinds::default();
        for ((place, slot), proof) in (0..).zip(asked).zip(&candidate.proofs) {
            let Some(slot) = slot else { continue };
            if verify_hit(&slot.secret, query, place, &candidate.handle, proof) {
                hits = hits.with(slot.kind);
            }
        }
        if !hits.is_empty() {
            let posterior = posterior(kinds, hits, n_people);
            let verdict = thresholds.verdict(posterior);
            candidates.push(Weighed { handle: candidate.handle, hits, posterior, verdict });
        }
    }
    candidates.sort_by(|a, b| b.posterior.total_cmp(&a.posterior));
    let verdict = candidates.first().map_or(Verdict::Unknown, |best| best.verdict);
    Assessment { verdict, candidates }
}

/// Probability that a candidate is the asked person, from the kinds that were asked and those that hit.
#[must_use]
pub fn posterior(asked: Kinds, hits: Kinds, n_people: u64) -> f64 {
    posterior_with(&Weights::shipped().screen, asked, hits, n_people)
}

/// As [`posterior`], by other weights.
#[must_use]
pub fn posterior_with(weights: &ScreenWeights, asked: Kinds, hits: Kinds, n_people: u64) -> f64 {
    if hits.is_empty() {
        return 0.0;
    }
    weights.posterior(asked, hits, n_people.max(FEWEST_PEOPLE))
}

#[cfg(test)]
mod tests;
