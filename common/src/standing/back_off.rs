//! How long to wait before another attempt: at random between nothing and a bound that doubles ("full jitter"), so that nodes which
//! lost the hub at the same moment do not come back at the same moment.

use std::time::Duration;

/// Doublings after which the bound is at its most in any case.
const DOUBLINGS_MAX: u32 = 30;

/// Waits between attempts that fail.
#[derive(Debug, Clone)]
pub struct BackOff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl BackOff {
    /// The bound is `first` after one failure, doubles with each further one, and is never more than `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// It failed. The wait before the next attempt, where `dice` is a random number.
    #[must_use]
    pub fn failed(&mut self, dice: u64) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        let nanos = bound.as_nanos().saturating_mul(u128::from(dice)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(bound)
    }

    /// It has gone well for long enough: the next failure is the first.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self) -> Duration {
        let factor = 1_u32 << self.failures.min(DOUBLINGS_MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_bound_and_never_negative(
            first in 1_u64..10_000, most in 1_u64..600_000, failures in 0_usize..100, dice: u64
        ) {
            let (first, most) = (Duration::from_millis(first), Duration::from_millis(most));
            let mut back_off = BackOff::new(first, most);
            let mut bound = first.min(most);
            for _ in 0..failures {
                prop_assert!(back_off.failed(dice) <= bound);
                bound = bound.saturating_mul(2).min(most);
            }
            prop_assert!(back_off.failed(u64::MAX) <= bound);
            back_off.reset();
            prop_assert!(back_off.failed(u64::MAX) <= first.min(most));
        }
    }

    #[test]
    fn the_whole_range_from_nothing_to_the_bound_is_used() {
        let mut back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(back_off.failed(0), Duration::ZERO);
        assert_eq!(back_off.failed(1 << 63), Duration::from_millis(100));
        let almost = back_off.failed(u64::MAX);
        assert!(almost > Duration::from_millis(399) && almost <= Duration::from_millis(400));
        for _ in 0..100 {
            assert!(back_off.failed(u64::MAX) <= Duration::from_secs(1));
        }
    }

    #[test]
    fn after_a_good_while_the_next_failure_is_the_first() {
        let mut back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(60));
        for _ in 0..5 {
            _ = back_off.failed(u64::MAX);
        }
        assert!(back_off.failed(u64::MAX) > Duration::from_secs(3));
        back_off.reset();
        assert!(back_off.failed(u64::MAX) <= Duration::from_millis(100));
    }
}
