//! Repeated measurements, and what is told of them.

use serde::Serialize;

/// The figures of repeated measurements, in the unit of the measurements.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// How many there are.
    pub n: usize,
    /// The median.
    pub p50: f64,
    /// Of a hundred, one is larger.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Sample {
    /// The figures of some measurements; all nought when there are none.
    #[must_use]
    pub fn of(mut measured: Vec<f64>) -> Self {
        measured.sort_by(f64::total_cmp);
        // The nearest rank: of an even number, the lower one of the middle.
        let rank = |per_cent: usize| {
            let place = (measured.len() * per_cent).div_ceil(100).max(1) - 1;
            measured.get(place).copied().unwrap_or(0.0)
        };
        Self { n: measured.len(), p50: rank(50), p99: rank(99), max: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = Sample::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((hundred.n, hundred.p50, hundred.p99, hundred.max), (100, 50.0, 99.0, 100.0));
        let one = Sample::of(vec![7.0]);
        assert_eq!((one.p50, one.p99, one.max), (7.0, 7.0, 7.0));
        assert_eq!(Sample::of(Vec::new()).n, 0);
    }
}
