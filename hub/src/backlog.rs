//! Which agency is asked again in which enquiry, and when. Pure: time is counted in turns of the caller's clock.
//!
//! No agency is asked twice at the same time, and each failure makes the next wait one turn longer: one that stays
//! away for a month is asked some seven hundred times at the usual pause, not a hundred and seventy thousand.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::id::{AgencyId, EnquiryRef};

/// One agency in one enquiry.
pub type Place = (EnquiryRef, AgencyId);

/// What is waiting to be asked again.
#[derive(Debug, Default)]
pub struct Backlog(BTreeMap<Place, Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// How often it was asked again.
    n_asked: u32,
    /// Turns left until it is asked.
    turns: u32,
    /// Whether it is being asked now.
    under_way: bool,
}

impl Backlog {
    /// One turn: of everything whose answer is missing, what is to be asked now. What is no longer missing is
    /// forgotten.
    pub fn turn(&mut self, missing: BTreeSet<Place>) -> Vec<Place> {
        self.0.retain(|place, waiting| waiting.under_way || missing.contains(place));
        let mut now = Vec::new();
        for place in missing {
            let waiting = self.0.entry(place.clone()).or_default();
            if waiting.under_way {
                continue;
            }
            if let Some(fewer) = waiting.turns.checked_sub(1) {
                waiting.turns = fewer;
                continue;
            }
            waiting.under_way = true;
            waiting.turns = waiting.n_asked;
            waiting.n_asked = waiting.n_asked.saturating_add(1);
            now.push(place);
        }
        now
    }

    /// It has been asked; whether it answered shows at the next turn.
    pub fn asked(&mut self, place: &Place) {
        if let Some(waiting) = self.0.get_mut(place) {
            waiting.under_way = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(agency: &str) -> Place {
        (EnquiryRef::from_random([1; 16]), agency.parse().unwrap())
    }

    fn missing(agencies: &[&str]) -> BTreeSet<Place> {
        agencies.iter().map(|agency| place(agency)).collect()
    }

    #[test]
    fn nobody_is_asked_twice_at_the_same_time_and_a_slow_one_holds_up_no_other() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.turn(missing(&["SLOW"])), [place("SLOW")]);
        assert_eq!(backlog.turn(missing(&["POL", "SLOW"])), [place("POL")]);
        backlog.asked(&place("SLOW"));
        assert_eq!(backlog.turn(missing(&["SLOW"])), [place("SLOW")]);
    }

    #[test]
    fn each_failure_makes_the_next_wait_one_turn_longer() {
        let mut backlog = Backlog::default();
        let asked: Vec<usize> = (0..16)
            .filter(|_| {
                let asked = !backlog.turn(missing(&["POL"])).is_empty();
                backlog.asked(&place("POL"));
                asked
            })
            .collect();
        assert_eq!(asked, [0, 1, 3, 6, 10, 15]);
    }

    #[test]
    fn who_has_answered_begins_anew() {
        let mut backlog = Backlog::default();
        for _ in 0..3 {
            backlog.turn(missing(&["POL"]));
            backlog.asked(&place("POL"));
        }
        assert!(backlog.turn(BTreeSet::new()).is_empty());
        assert_eq!(backlog.turn(missing(&["POL"])), [place("POL")]);
    }
}
