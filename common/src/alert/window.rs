//! Counting within a sliding length of time.

use std::collections::BTreeMap;

use crate::time::{SignedDuration, Timestamp};

/// The newest entries of one kind within a length of time: by their numbers, so that none counts twice, and no more of them than matter,
/// so that memory is bounded whatever happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    kept: BTreeMap<u64, Timestamp>,
    length: SignedDuration,
    most: usize,
}

impl Window {
    /// An empty window of this length that tells numbers up to `most`, at least 1, apart.
    #[must_use]
    pub const fn new(length: SignedDuration, most: usize) -> Self {
        Self { kept: BTreeMap::new(), length, most: if most == 0 { 1 } else { most } }
    }

    /// Counts an entry. Entries may come in any order; one that was counted is not counted again.
    pub fn add(&mut self, seq: u64, at: Timestamp) {
        self.kept.insert(seq, at);
        let begins = self.begins(at);
        while self.kept.first_key_value().is_some_and(|(_, oldest)| *oldest <= begins)
            || self.kept.len() > self.most
        {
            self.kept.pop_first();
        }
    }

    /// How many entries lie within the window that ends at `now`: exactly up to `most`, and never more.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> usize {
        let begins = self.begins(now);
        self.kept.values().filter(|at| **at > begins).count()
    }

    /// Whether at least `n` entries lie within the window that ends at `now`. Quick while there are few.
    #[must_use]
    pub fn reaches(&self, n: usize, now: Timestamp) -> bool {
        n == 0 || (self.kept.len() >= n && self.count(now) >= n)
    }

    /// Whether nothing lies within the window that ends at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.count(now) == 0
    }

    fn begins(&self, end: Timestamp) -> Timestamp {
        end.checked_sub(self.length).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn of(most: usize) -> Window {
        Window::new(SignedDuration::from_secs(60), most)
    }

    #[test]
    fn an_entry_leaves_when_its_time_is_over() {
        let mut window = of(10);
        window.add(1, at(0));
        window.add(2, at(30));
        assert_eq!(window.count(at(59)), 2);
        assert_eq!(window.count(at(60)), 1);
        assert!(window.is_over(at(90)) && !window.reaches(1, at(90)));
        assert!(window.reaches(2, at(59)) && !window.reaches(3, at(59)));
        assert!(window.reaches(0, at(90)));
    }

    proptest! {
        #[test]
        fn no_entry_counts_twice_and_order_does_not_matter(
            seconds in vec(0_i64..60, 1..40), again in vec(0_usize..40, 0..40), turned in any::<bool>(),
        ) {
            let mut entries: Vec<(u64, i64)> = (0_u64..).zip(seconds.iter().copied()).collect();
            let repeats: Vec<_> = again.iter().filter_map(|n| entries.get(*n).copied()).collect();
            entries.extend(repeats);
            if turned {
                entries.reverse();
            }
            let mut window = of(1000);
            for (seq, second) in entries {
                window.add(seq, at(second));
            }
            // All of them lie within one length of time of each other.
            prop_assert_eq!(window.count(at(59)), seconds.len());
        }

        #[test]
        fn never_more_is_kept_than_matters(seconds in vec(0_i64..600, 0..200), most in 0_usize..20) {
            let mut window = of(most);
            for (seq, second) in (0_u64..).zip(seconds) {
                window.add(seq, at(second));
                prop_assert!(window.kept.len() <= most.max(1));
            }
        }
    }
}
