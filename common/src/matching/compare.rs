//! The node's confirmation: now that it has been told who is asked about, is its own record that person?
//!
//! Fellegi and Sunter's model (1969) over levels of agreement ([`levels`]): names by Jaro and Winkler's similarity, short
//! forms and halves; birth by its parts; address, identifier and sex. As in the screen, four classes of pairs are told
//! apart: the same person, twins, members of one household, and strangers. A name that agrees says the more, the
//! rarer it is. From the posterior follow three results; "unclear" is for a person to settle.
//!
//! Three rules stand above the numbers, because no numbers are learned from pairs that nobody has seen:
//! - a valid identifier of one kind that differs by more than a slip of the pen is never the same without a person, unless
//!   the weights were learned from records in which numbers are often wrong;
//! - births that contradict, or one that is not known, are never the same without an equal identifier or a person: a parent
//!   and a child of one name and house differ in nothing else; with the same exception;
//! - given names that differ only as those of twins do (Theo and Thea) are never the same without an equal identifier.

use serde::{Deserialize, Serialize};

use super::{identity::Identity, weights::Weights};

pub mod levels;

use levels::{Comparable, Comparison, Field};

/// Whether a record is the asked person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// It is.
    Same,
    /// A person has to compare.
    Unclear,
    /// It is somebody else.
    Different,
}

/// Compares what was asked with the node's own record. Symmetric, pure and total.
#[must_use]
pub fn confirm(asked: &Identity, own: &Identity) -> Confirmation {
    let comparison = Comparison::between(&Comparable::of(asked), &Comparable::of(own));
    Weights::shipped().confirm.decide(&comparison)
}

/// How often each level of each field is seen in one class of pairs; each row adds up to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRates {
    /// Of the given name.
    pub given: [f64; levels::GIVEN],
    /// Of the family name.
    pub family: [f64; levels::FAMILY],
    /// Of the birth.
    pub birth: [f64; levels::BIRTH],
    /// Of the place.
    pub place: [f64; levels::PLACE],
    /// Of the identifier.
    pub identifier: [f64; levels::IDENTIFIER],
    /// Of the sex.
    pub sex: [f64; levels::SEX],
}

impl LevelRates {
    /// The row of a field.
    #[must_use]
    pub const fn row(&self, field: Field) -> &[f64] {
        match field {
            Field::Given => &self.given,
            Field::Family => &self.family,
            Field::Birth => &self.birth,
            Field::Place => &self.place,
            Field::Identifier => &self.identifier,
            Field::Sex => &self.sex,
        }
    }

    /// The row of a field, to change.
    pub const fn row_mut(&mut self, field: Field) -> &mut [f64] {
        match field {
            Field::Given => &mut self.given,
            Field::Family => &mut self.family,
            Field::Birth => &mut self.birth,
            Field::Place => &mut self.place,
            Field::Identifier => &mut self.identifier,
            Field::Sex => &mut self.sex,
        }
    }

    /// How often these levels are seen; a field that a side does not know says nothing.
    #[must_use]
    pub fn of(&self, comparison: &Comparison) -> f64 {
        let rates = Field::ALL.iter().filter_map(|field| {
            let level = comparison.level(*field)?;
            self.row(*field).get(level).copied()
        });
        rates.product()
    }
}

/// How common names are, as shares of all people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frequencies {
    /// Two strangers have the same name with this probability; 0 switches the adjustment off.
    pub chance: f64,
    /// The share of a name that is not listed.
    pub rare: f64,
    /// Folded names and their shares, the common ones.
    pub common: std::collections::BTreeMap<String, f64>,
}

impl Frequencies {
    /// By how much less likely than on average two strangers agree in this name; above 1 for common names.
    fn factor(&self, name: &str) -> f64 {
        if self.chance > 0.0 {
            self.common.get(name).copied().unwrap_or(self.rare) / self.chance
        } else {
            1.0
        }
    }
}

/// Where the number or birth of one person differs in so many cases, it says little.
const OFTEN_WRONG: f64 = 0.02;

/// The weights of the confirmation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmWeights {
    /// Odds, before anything is compared, that the asked person is among the node's people.
    pub prior_odds: f64,
    /// Strangers among whom the record was found.
    pub strangers: f64,
    /// Twins of the asked person that an agency knows, on average.
    pub twins: f64,
    /// Other members of the household that it knows, on average.
    pub household: f64,
    /// The same from this posterior probability.
    pub same_from: f64,
    /// Unclear from this one.
    pub unclear_from: f64,
    /// Pairs of records of one person.
    pub same: LevelRates,
    /// … of twins.
    pub twin: LevelRates,
    /// … of members of one household.
    pub member: LevelRates,
    /// … of strangers.
    pub stranger: LevelRates,
    /// Of given names.
    pub given: Frequencies,
    /// Of family names.
    pub family: Frequencies,
}

impl ConfirmWeights {
    /// How many pairs with these levels are expected, by class: same, twin, member, stranger.
    #[must_use]
    pub fn expected(&self, comparison: &Comparison) -> [f64; 4] {
        let factor = |frequencies: &Frequencies, name: &Option<String>| {
            name.as_deref().map_or(1.0, |name| frequencies.factor(name))
        };
        let given = factor(&self.given, &comparison.given_name);
        let family = factor(&self.family, &comparison.family_name);
        [
            self.prior_odds * self.same.of(comparison),
            self.twins * self.twin.of(comparison),
            self.household * self.member.of(comparison) * given,
            self.strangers * self.stranger.of(comparison) * given * family,
        ]
    }

    /// Probability that the two records are of one person.
    #[must_use]
    pub fn posterior(&self, comparison: &Comparison) -> f64 {
        let [same, others @ ..] = self.expected(comparison);
        let all = same + others.iter().sum::<f64>();
        if all > 0.0 { same / all } else { 0.0 }
    }

    /// The result.
    #[must_use]
    pub fn decide(&self, comparison: &Comparison) -> Confirmation {
        let posterior = self.posterior(comparison);
        if posterior < self.unclear_from {
            // An equal number and nothing else that agrees: a record that was mixed up, or another person's number.
            return if comparison.has_equal_identifier() {
                Confirmation::Unclear
            } else {
                Confirmation::Different
            };
        }
        let [.., differs] = self.same.identifier;
        let another_number = comparison.has_another_identifier() && differs < OFTEN_WRONG;
        let [.., births_apart] = self.same.birth;
        let namesake = comparison.could_be_namesakes() && births_apart < OFTEN_WRONG;
        let is_for_a_person = another_number || namesake || comparison.could_be_twins();
        if posterior >= self.same_from && !is_for_a_person {
            Confirmation::Same
        } else {
            Confirmation::Unclear
        }
    }
}

#[cfg(test)]
mod tests;
