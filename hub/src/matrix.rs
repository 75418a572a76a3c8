//! The matrix: what every agency has said of every person. Pure: nothing here asks the time or a store.
//!
//! A person's level is the highest current rating; nothing averages, nothing out-votes, and silence is
//! not a colour: the statuses are never collapsed into one another.

use std::collections::BTreeMap;

use brag_common::{
    enquiry::Why,
    id::{AgencyId, PersonRef, StaffName},
    rating::{Colour, Topic},
    reason::Reason,
    time::Timestamp,
};

/// A rating as the matrix shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// The colour.
    pub colour: Colour,
    /// When the assessor judged.
    pub rated_at: Timestamp,
    /// The analysis.
    pub analysis: String,
    /// Its topics.
    pub topics: Vec<Topic>,
    /// The linked person it rests on; `None`: the agency's own record of the person.
    pub via: Option<PersonRef>,
    /// Whose judgement it is.
    pub by: Option<StaffName>,
}

/// What an agency said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A colour.
    Rated(Rated),
    /// Searched; no record.
    NotKnown,
    /// Perhaps known. The agency has been told nothing, and is not before a co-ordinator has authorised it.
    Possible,
    /// The agency has been told who is asked about, and one of its people compares.
    IdentityReview,
    /// Could not answer.
    Unable(Why),
    /// An assessor declined.
    Declined(Why),
}

/// Where one cell stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not asked yet, or an assessor has been asked.
    Pending,
    /// The call failed.
    NoResponse(Why),
    /// The agency has answered; `late` when the round had closed.
    Answered {
        /// What.
        said: Said,
        /// Whether the round had closed.
        late: bool,
    },
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
}

impl Cell {
    /// The state as it is to be shown at `now`: a cell that still waits when the round has closed is an
    /// answer that did not come.
    #[must_use]
    pub fn shown(&self, now: Timestamp, answer_by: Timestamp) -> State {
        match &self.state {
            State::Pending if now > answer_by => State::NoResponse(overdue()),
            state => state.clone(),
        }
    }

    /// The current rating, if there is one.
    #[must_use]
    pub const fn rated(&self) -> Option<&Rated> {
        match &self.state {
            State::Answered { said: Said::Rated(rated), .. } => Some(rated),
            State::Answered { .. } | State::Pending | State::NoResponse(_) => None,
        }
    }

    /// Whether the agency is still to say something final.
    #[must_use]
    pub const fn waits(&self) -> bool {
        match &self.state {
            State::Pending | State::NoResponse(_) => true,
            State::Answered { said, .. } => match said {
                Said::Unable(_) | Said::Possible | Said::IdentityReview => true,
                Said::Rated(_) | Said::NotKnown | Said::Declined(_) => false,
            },
        }
    }

    /// Whether the hub should ask again: nothing came back, or the agency could not answer. What only a person can answer is
    /// not asked again.
    #[must_use]
    pub fn ask_again(&self) -> bool {
        match &self.state {
            State::NoResponse(_) => true,
            State::Answered { said: Said::Unable(why), .. } => !waits_for_a_person(why.as_str()),
            State::Answered { .. } | State::Pending => false,
        }
    }
}

/// Whether an agency is unable to answer for this reason until one of its people acts: its node has refused the colour that its
/// assessor wanted to give, and would answer the hub only that it has an assessor.
#[must_use]
pub fn waits_for_a_person(why: &str) -> bool {
    why == Reason::BlueNotPermittedDa.code()
}

/// The word for a cell that waits although the round has closed.
fn overdue() -> Why {
    Why::parse("NO_ANSWER_BY_THE_END_OF_THE_ROUND").unwrap_or_else(Why::audit_unavailable)
}

/// All cells of an enquiry.
pub type Matrix = BTreeMap<(AgencyId, PersonRef), Cell>;

/// The highest current rating of a person; `None` when nobody has rated them.
#[must_use]
pub fn level(matrix: &Matrix, person: &PersonRef) -> Option<Colour> {
    colours(matrix, person).max()
}

/// Whether ratings of a person are two steps or more apart. Shown for discussion, never averaged.
#[must_use]
pub fn divergence(matrix: &Matrix, person: &PersonRef) -> bool {
    let (Some(low), Some(high)) = (colours(matrix, person).min(), colours(matrix, person).max())
    else {
        return false;
    };
    steps(high).saturating_sub(steps(low)) >= 2
}

/// Whether a level is above the referrer's first colour. A person the referrer gave none takes the
/// referrer's highest.
#[must_use]
pub fn uprated(
    level: Option<Colour>,
    initial: Option<Colour>,
    referrers_highest: Option<Colour>,
) -> bool {
    let before = initial.or(referrers_highest);
    matches!((level, before), (Some(level), Some(before)) if level > before)
}

fn colours<'a>(matrix: &'a Matrix, person: &'a PersonRef) -> impl Iterator<Item = Colour> + 'a {
    matrix
        .iter()
        .filter(move |((_, about), _)| about == person)
        .filter_map(|(_, cell)| cell.rated().map(|rated| rated.colour))
}

fn steps(colour: Colour) -> usize {
    Colour::ALL.iter().take_while(|known| **known < colour).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(state: State) -> Cell {
        Cell { state, since: Timestamp::UNIX_EPOCH }
    }

    fn rated(colour: Colour) -> State {
        let rated = Rated {
            colour,
            rated_at: Timestamp::UNIX_EPOCH,
            analysis: String::new(),
            topics: Vec::new(),
            via: None,
            by: None,
        };
        State::Answered { said: Said::Rated(rated), late: false }
    }

    fn matrix(states: &[State]) -> (Matrix, PersonRef) {
        let person = PersonRef::from_random([1; 16]);
        let cells = states.iter().enumerate().map(|(n, state)| {
            ((format!("A{n}").parse().unwrap(), person.clone()), cell(state.clone()))
        });
        (cells.collect(), person)
    }

    #[test]
    fn invariant_5_silence_is_not_a_colour() {
        let why = Why::audit_unavailable();
        for said in
            [Said::NotKnown, Said::Possible, Said::IdentityReview, Said::Unable(why.clone())]
        {
            let (cells, person) = matrix(&[State::Answered { said, late: false }]);
            assert_eq!(level(&cells, &person), None);
        }
        for state in [State::Pending, State::NoResponse(why)] {
            let (cells, person) = matrix(&[state]);
            assert_eq!(level(&cells, &person), None);
        }
    }

    #[test]
    fn a_cell_that_waits_past_the_round_is_no_response_and_not_before() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let waiting = cell(State::Pending);
        assert_eq!(waiting.shown(early, early), State::Pending);
        assert!(matches!(waiting.shown(late, early), State::NoResponse(_)));
    }

    #[test]
    fn an_agency_is_asked_again_unless_one_of_its_people_has_to_act() {
        let unable = |why| {
            let said = Said::Unable(Why::parse(why).unwrap());
            cell(State::Answered { said, late: false })
        };
        assert!(unable("AUDIT_UNAVAILABLE").ask_again());
        assert!(!unable("BLUE_NOT_PERMITTED_DA").ask_again());
        assert!(unable("BLUE_NOT_PERMITTED_DA").waits());
        // It was signed all the same, so it was refused here, and its node may say something else when it is asked.
        let why = Why::parse("BLUE_NOT_PERMITTED_DA").unwrap();
        assert!(cell(State::NoResponse(why)).ask_again());
    }

    #[test]
    fn divergence_is_two_steps_or_more() {
        let (cells, person) = matrix(&[rated(Colour::Green), rated(Colour::Amber)]);
        assert!(!divergence(&cells, &person));
        let (cells, person) = matrix(&[rated(Colour::Green), rated(Colour::Red)]);
        assert!(divergence(&cells, &person));
    }

    #[test]
    fn uprated_compares_with_the_referrers_highest_where_there_is_no_own_colour() {
        use Colour::{Amber, Green, Red};
        assert!(uprated(Some(Red), Some(Amber), None));
        assert!(!uprated(Some(Amber), Some(Amber), Some(Red)));
        assert!(!uprated(Some(Amber), None, Some(Amber)));
        assert!(!uprated(None, Some(Green), None));
    }

    proptest! {
        #[test]
        fn invariant_6_the_level_is_the_highest_and_no_rating_lowers_it(
            colours in prop::collection::vec(0..4usize, 1..10),
            another in 0..4usize,
        ) {
            let mut states: Vec<_> = colours.iter().map(|n| rated(Colour::ALL[*n])).collect();
            let (cells, person) = matrix(&states);
            let before = level(&cells, &person);
            prop_assert_eq!(before, colours.iter().max().map(|n| Colour::ALL[*n]));
            states.push(rated(Colour::ALL[another]));
            let (cells, person) = matrix(&states);
            prop_assert!(level(&cells, &person) >= before);
        }
    }
}
