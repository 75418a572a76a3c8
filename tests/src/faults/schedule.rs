//! Which fault comes when: it follows from the seed and the number of the round alone.

use std::{fmt, time::Duration};

use crate::people::Random;

/// How long the faults of one round last.
pub const LASTS: Duration = Duration::from_secs(10);

/// Skews are at most so far from the true time. Clocks that are further apart than five minutes are refused by rule: some of these are.
const SKEW_SECONDS: usize = 9 * 60;

/// What is done to a program or to a way between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed, and started again after a pause.
    Kill {
        /// How long it is away.
        away: Duration,
    },
    /// The program ends in the middle of its `nth` write to a file, and is started again after a pause.
    KillInWrite {
        /// Which write, from 1.
        nth: i64,
        /// How long it is away.
        away: Duration,
    },
    /// The program is killed, and killed again while it starts.
    KillInStart {
        /// How long its start is let go on.
        after: Duration,
    },
    /// The way to the hub is cut, both directions.
    Cut {
        /// How long.
        lasts: Duration,
    },
    /// What passes between the program and the hub is held up, both directions.
    Slow {
        /// Each piece, by so much.
        by: Duration,
        /// How long.
        lasts: Duration,
    },
    /// The disk of the program's data is full.
    Fill {
        /// Bytes that are left.
        left: u64,
        /// How long.
        lasts: Duration,
    },
    /// Every sync of the program fails.
    FailSyncs {
        /// How long.
        lasts: Duration,
    },
    /// The program's wall clock is wrong until the round's end.
    Skew {
        /// By so many seconds.
        seconds: i64,
    },
}

impl Fault {
    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill { .. } => "kills",
            Self::KillInWrite { .. } => "kills_in_a_write",
            Self::KillInStart { .. } => "kills_while_starting",
            Self::Cut { .. } => "cuts",
            Self::Slow { .. } => "delays",
            Self::Fill { .. } => "fills",
            Self::FailSyncs { .. } => "failing_syncs",
            Self::Skew { .. } => "skews",
        }
    }
}

/// A fault, when, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Since the round began.
    pub at: Duration,
    /// Which program: 0 is the hub, the nodes follow. A way is named by its node.
    pub who: usize,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} ms  program {}  {:?}", self.at.as_millis(), self.who, self.fault)
    }
}

/// The faults of a round, in the order of time: at least one of every kind.
#[must_use]
pub fn of_round(seed: u64, round: u64, n_nodes: usize) -> Vec<Planned> {
    let mut random =
        Random::new(Random::new(seed).next() ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut planned = Vec::new();
    let millis = |random: &mut Random, least: usize, most: usize| {
        Duration::from_millis((least + random.below(most - least)) as u64)
    };
    for kind in 0..10 {
        let any = random.below(n_nodes + 1);
        let node = 1 + random.below(n_nodes);
        // The hub is killed in every round: everything goes through it.
        let (who, fault) = match kind {
            0 => (0, Fault::Kill { away: millis(&mut random, 0, 2500) }),
            1 | 2 => (node, Fault::Kill { away: millis(&mut random, 0, 2500) }),
            3 => {
                let nth = 1 + random.below(12) as i64;
                (any, Fault::KillInWrite { nth, away: millis(&mut random, 0, 1500) })
            }
            4 => (any, Fault::KillInStart { after: millis(&mut random, 5, 900) }),
            5 => (node, Fault::Cut { lasts: millis(&mut random, 200, 5000) }),
            6 => {
                let by = millis(&mut random, 5, 1500);
                (node, Fault::Slow { by, lasts: millis(&mut random, 1000, 6000) })
            }
            7 => {
                let left = random.below(96 * 1024) as u64;
                (any, Fault::Fill { left, lasts: millis(&mut random, 300, 3000) })
            }
            8 => (any, Fault::FailSyncs { lasts: millis(&mut random, 100, 2500) }),
            _ => {
                let seconds = random.below(2 * SKEW_SECONDS + 1) as i64 - SKEW_SECONDS as i64;
                (any, Fault::Skew { seconds })
            }
        };
        planned.push(Planned {
            at: millis(&mut random, 0, LASTS.as_millis() as usize),
            who,
            fault,
        });
    }
    planned.sort_by_key(|one| one.at);
    planned
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_round_follows_from_its_seed_and_number_and_has_every_kind_of_fault() {
        assert_eq!(of_round(7, 3, 4), of_round(7, 3, 4));
        assert_ne!(of_round(7, 3, 4), of_round(7, 4, 4));
        assert_ne!(of_round(7, 3, 4), of_round(8, 3, 4));
        for round in 0..100 {
            let planned = of_round(1, round, 4);
            let kinds: BTreeSet<_> = planned.iter().map(|one| one.fault.word()).collect();
            assert_eq!(kinds.len(), 8);
            assert!(planned.iter().all(|one| one.who <= 4 && one.at < LASTS));
            assert!(planned.is_sorted_by_key(|one| one.at));
        }
    }
}
