//! The numbers that the screen and the confirmation weigh with.
//!
//! The shipped ones are `weights.toml`, whose `provenance` says what they were learned from; [`learn`](mod@learn) learns others
//! from two files of records, by expectation-maximisation and without knowing which pairs are the same.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{compare::ConfirmWeights, weigh::model::ScreenWeights};

pub mod learn;

/// Weights of both stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// What they were learned from, and when.
    pub provenance: String,
    /// Of the screen.
    pub screen: ScreenWeights,
    /// Of the confirmation.
    pub confirm: ConfirmWeights,
}

static SHIPPED: LazyLock<Weights> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a test reads the same bytes")]
    let weights = toml::from_str(include_str!("weights.toml")).expect("weights.toml is whole");
    weights
});

impl Weights {
    /// Those that the programs use unless they are told others.
    #[must_use]
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_weights_are_probabilities_that_add_up() {
        let Weights { screen, confirm, provenance } = Weights::shipped();
        assert!(!provenance.is_empty());
        let adds_up = |row: &[f64]| {
            assert!(row.iter().all(|rate| *rate > 0.0 && *rate < 1.0), "{row:?}");
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-3, "{row:?}");
        };
        for rates in [&screen.same, &screen.twin, &screen.member, &screen.stranger] {
            adds_up(&rates.names);
            adds_up(&rates.birth);
            adds_up(&rates.place);
            adds_up(&rates.identifier);
        }
        for rates in [&confirm.same, &confirm.twin, &confirm.member, &confirm.stranger] {
            for field in crate::matching::compare::levels::Field::ALL {
                adds_up(rates.row(field));
            }
        }
    }
}
