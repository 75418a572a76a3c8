//! What the hub makes of a node's answer: how likely is it that a candidate *is* the asked person?
//!
//! Fellegi and Sunter's model (1969): each kind of key that was asked adds ln(m/u) when it hit and ln((1−m)/(1−u)) when it
//! did not; m is how often it hits for the same person, u how often for another. Whether somebody is known is all that
//! is weighed here; it says nothing about risk.
//!
//! A hit counts only when its proof verifies, so a node can claim no key that it did not enrol. Kinds that imply each other
//! are not counted twice: an exact name and birth hits its own initials, and missed initials can not hit exactly.

use std::fmt;

use super::{
    keys::{KeyKind, QUERY_SLOTS},
    screen::ScreenAnswer,
    token::{AskedSlot, Handle, verify_hit},
};
use crate::id::RequestId;

/// How much a kind of key says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// How often the key hits for the same person, 0 to 1.
    pub m: f64,
    /// How many *other* people it hits for one query among a million enrolled people.
    pub false_candidates: f64,
}

impl Weight {
    /// The measured weight of a kind.
    ///
    /// m is the recall of the kind alone on FEBRL4 (5,000 pairs, dirtier than agency data); false candidates are from an invented
    /// UK-like region of 1.07 million people in households, with twins. For `K1` none was seen in 20,000 queries; its value is
    /// reckoned: one number in 200 is mistyped, the check lets one of ten pass, and one of a hundred of those is somebody
    /// else's who is enrolled; doubled.
    #[must_use]
    pub const fn of(kind: KeyKind) -> Self {
        let (m, false_candidates) = match kind {
            KeyKind::Identifier => (0.912, 0.000_01),
            KeyKind::NameBirth => (0.426, 0.000_1),
            KeyKind::InitialsBirth => (0.671, 0.000_8),
            KeyKind::GivenBirthPlace => (0.577, 0.009),
            KeyKind::InitialsHouse => (0.507, 0.008),
        };
        Self { m, false_candidates }
    }

    /// Log-odds of a hit among `n_people` enrolled people. u is the number of strangers a query hits among them all, which
    /// already counts that there are many: so two hits of one stranger are taken for less rare than if they were
    /// independent, as they are not.
    fn hit(self, n_people: u64) -> f64 {
        (self.m / (self.false_candidates * per_million(n_people)).min(HIGHEST_U)).ln()
    }

    /// Log-odds of a miss. u is that of one stranger here: almost every stranger misses.
    fn miss(self) -> f64 {
        ((1.0 - self.m) / (1.0 - self.false_candidates / 1e6)).ln()
    }
}

/// Prior odds that an agency knows a person it is asked about: one in five. A choice, not a measurement: all agencies are
/// asked, also those for whom it is unlikely, and a lower prior only sends more people to review.
pub const PRIOR_ODDS: f64 = 0.25;

/// Names, birth and address together say no more than this, however many of them agree: twins, and children named after
/// a parent in the same house, agree in all. Measured without identifiers at a million people: the person is found in
/// 89.0 % of cases, and in 0.14 % somebody else is; ln(0.890 / 0.0014).
pub const WITHOUT_IDENTIFIER_MOST: f64 = 6.45;

/// What the same evidence says when the names in full were asked too and missed, though their beginnings hit: a misspelt
/// name, or a twin with a name that begins alike. Nothing in the keys can tell the two apart, and a given name that
/// differs is a veto: with [`PRIOR_ODDS`] this is even odds, which is for a person to settle.
pub const NAMES_IN_FULL_MISSED_MOST: f64 = 1.39;

/// A kind that hits one stranger in two says nothing more.
const HIGHEST_U: f64 = 0.5;
/// Indexes are never taken for smaller than this: a small agency's people are each other's families.
const FEWEST_PEOPLE: u64 = 10_000;

#[expect(clippy::cast_precision_loss, reason = "a size, to about 16 digits")]
fn per_million(n_people: u64) -> f64 {
    n_people.max(FEWEST_PEOPLE) as f64 / 1e6
}

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

    fn verdict(self, posterior: f64) -> Verdict {
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
pub struct Kinds(u8);

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
    let mut evidence = 0.0;
    for kind in KeyKind::ALL {
        let implied = match kind {
            // The exact key hits its own initials …
            KeyKind::InitialsBirth => hits.contains(KeyKind::NameBirth),
            // … and where those were missed, it could not hit.
            KeyKind::NameBirth => {
                asked.contains(KeyKind::InitialsBirth)
                    && !hits.contains(KeyKind::InitialsBirth)
                    && !hits.contains(KeyKind::NameBirth)
            }
            KeyKind::Identifier | KeyKind::GivenBirthPlace | KeyKind::InitialsHouse => false,
        };
        if implied {
            continue;
        }
        if hits.contains(kind) {
            evidence += Weight::of(kind).hit(n_people);
        } else if asked.contains(kind) {
            evidence += Weight::of(kind).miss();
        }
    }
    if !hits.contains(KeyKind::Identifier) {
        let names_missed = asked.contains(KeyKind::NameBirth) && !hits.contains(KeyKind::NameBirth);
        let most = if names_missed { NAMES_IN_FULL_MISSED_MOST } else { WITHOUT_IDENTIFIER_MOST };
        evidence = evidence.min(most);
    }
    let odds = PRIOR_ODDS * evidence.exp();
    odds / (1.0 + odds)
}

#[cfg(test)]
mod tests;
