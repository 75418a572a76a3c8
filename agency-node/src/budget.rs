//! How much the hub may ask: whoever holds the hub could ask about a whole region, and every node counts for itself. Beyond the budget a
//! screening is refused, recorded, and told to information governance.
//!
//! What counts is what the log says was answered, so a restart forgets nothing, and what is being answered, so that screenings at the same
//! time do not slip through together.

use std::sync::{Arc, Mutex, PoisonError};

use brag_common::{
    alert::window::Window,
    audit::entry::{Action, Entry},
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

use crate::{config::Budget, guard::Refusal};

/// Screenings that were answered or are being answered.
#[derive(Debug)]
pub struct Screenings {
    budget: Budget,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    hour: Window,
    day: Window,
    under_way: usize,
}

impl Screenings {
    /// None so far.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let window = |hours, most| Window::new(SignedDuration::from_hours(hours), most);
        let counted = Counted {
            hour: window(1, at_most(budget.screenings_per_hour)),
            day: window(24, at_most(budget.screenings_per_day)),
            under_way: 0,
        };
        Self { budget, counted: Mutex::new(counted) }
    }

    /// Counts an entry of the log from before the program started.
    pub fn saw(&self, entry: &Entry) {
        if entry.action == Action::ScreenAnswered {
            self.count(entry.seq, entry.ts);
        }
    }

    /// Takes a place within the budget for one screening.
    ///
    /// # Errors
    /// When there is none.
    pub fn begin(self: &Arc<Self>, now: Timestamp) -> Result<Place, Refusal> {
        self.with(|counted| {
            // How many answered ones leave no place beside those under way.
            let is_full = |window: &Window, most| {
                window.reaches(at_most(most).saturating_sub(counted.under_way), now)
            };
            if is_full(&counted.hour, self.budget.screenings_per_hour)
                || is_full(&counted.day, self.budget.screenings_per_day)
            {
                return Err(Refusal::rule(
                    Reason::BudgetExceeded.code(),
                    "BUDGET_EXCEEDED: the hub has asked this agency about as many people as its operator allows; both sides' information \
                     governance should look into it",
                ));
            }
            counted.under_way = counted.under_way.saturating_add(1);
            Ok(Place(Arc::clone(self)))
        })
    }

    fn count(&self, seq: u64, at: Timestamp) {
        self.with(|counted| {
            counted.hour.add(seq, at);
            counted.day.add(seq, at);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Counted) -> T) -> T {
        work(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn at_most(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// A place within the budget; free again when this is dropped, unless the screening was answered.
#[derive(Debug)]
pub struct Place(Arc<Screenings>);

impl Place {
    /// The screening was answered, by this entry.
    pub fn answered(self, seq: u64, at: Timestamp) {
        self.0.count(seq, at);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.with(|counted| counted.under_way = counted.under_way.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use brag_common::status::PeerFacing as _;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        let start: Timestamp = "2027-02-09T10:00:00Z".parse().unwrap();
        start.checked_add(SignedDuration::from_mins(minute)).unwrap()
    }

    fn screenings() -> Arc<Screenings> {
        Arc::new(Screenings::new(Budget { screenings_per_hour: 2, screenings_per_day: 3 }))
    }

    fn is_full(screenings: &Arc<Screenings>, minute: i64) -> bool {
        match screenings.begin(at(minute)) {
            Ok(_) => false,
            Err(refusal) => {
                assert_eq!(refusal.code(), "BUDGET_EXCEEDED");
                true
            }
        }
    }

    #[test]
    fn what_is_answered_counts_for_an_hour_and_for_a_day() {
        let screenings = screenings();
        for (seq, minute) in [(1, 0), (2, 10)] {
            screenings.begin(at(minute)).unwrap().answered(seq, at(minute));
        }
        assert!(is_full(&screenings, 59));
        screenings.begin(at(60)).unwrap().answered(3, at(60));
        assert!(is_full(&screenings, 23 * 60));
        assert!(!is_full(&screenings, 24 * 60));
    }

    #[test]
    fn what_is_under_way_counts_and_what_fails_does_not() {
        let screenings = screenings();
        let (one, two) = (screenings.begin(at(0)).unwrap(), screenings.begin(at(0)).unwrap());
        assert!(is_full(&screenings, 0));
        drop(one);
        drop(two);
        assert!(!is_full(&screenings, 0));
    }

    #[test]
    fn a_budget_of_none_answers_nothing() {
        let none = Budget { screenings_per_hour: 0, screenings_per_day: 0 };
        assert!(is_full(&Arc::new(Screenings::new(none)), 0));
    }
}
