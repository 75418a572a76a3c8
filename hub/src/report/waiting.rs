//! How long things took: mean, median and the time within which nine of ten were done; and how long decisions took.

use std::collections::BTreeMap;

use brag_common::time::SignedDuration;

use super::{
    answers::Answers,
    count::{FigureId, Figures, Measure},
    exchanges::Exchanges,
    measures::{COLOUR_TO_DECISION, REQUEST_TO_DECISION},
    period::Period,
};

/// What is typical of some times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typical {
    /// The mean, to the second below.
    pub mean: SignedDuration,
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: SignedDuration,
    /// The one within which nine of ten lie: of `n` in their order the one at place 9n/10, rounded up.
    pub nine_in_ten: SignedDuration,
    /// How many took as long as that or longer, by their places; itself included.
    pub n_longest: usize,
}

impl Typical {
    /// Of these times; `None` when there are none.
    #[must_use]
    pub fn of(mut times: Vec<SignedDuration>) -> Option<Self> {
        times.sort_unstable();
        let n = i64::try_from(times.len()).ok().filter(|n| *n > 0)?;
        let sum: i128 = times.iter().map(|time| i128::from(time.as_secs())).sum();
        let mean = i64::try_from(sum.checked_div(i128::from(n))?).ok()?;
        let upper = times.get(times.len() / 2)?.as_secs();
        let lower = times.get((times.len() - 1) / 2)?.as_secs();
        let median = lower.checked_add(upper.checked_sub(lower)? / 2)?;
        let place = times.len().checked_mul(9)?.div_ceil(10).checked_sub(1)?;
        Some(Self {
            mean: SignedDuration::from_secs(mean),
            median: SignedDuration::from_secs(median),
            nine_in_ten: SignedDuration::from_secs(times.get(place)?.as_secs()),
            n_longest: times.len().checked_sub(place)?,
        })
    }
}

/// Times by figure: in the period, and up to its end.
#[derive(Debug, Default)]
pub struct Times(BTreeMap<FigureId, (Vec<SignedDuration>, Vec<SignedDuration>)>);

impl Times {
    /// What is typical of a figure: in the period, and up to its end.
    #[must_use]
    pub fn typical(&self, id: &FigureId) -> (Option<Typical>, Option<Typical>) {
        let Some((in_period, to_date)) = self.0.get(id) else { return (None, None) };
        (Typical::of(in_period.clone()), Typical::of(to_date.clone()))
    }

    /// How long one of the things took that the figure counts; `now` says whether it counts in the period.
    pub fn add(&mut self, id: FigureId, time: SignedDuration, now: bool) {
        let (in_period, to_date) = self.0.entry(id).or_default();
        to_date.push(time);
        if now {
            in_period.push(time);
        }
    }
}

/// How long each decision took, counted in `figures`.
#[must_use]
pub fn measure(
    exchanges: &Exchanges,
    answers: &Answers,
    period: &Period,
    figures: &mut Figures,
) -> Times {
    let mut times = Times::default();
    for exchange in exchanges.iter().filter(|exchange| exchange.outcome.is_decided()) {
        let (unit, now) = (exchange.unit(), period.holds(exchange.asked_at));
        let by = exchange.outcome.word();
        let mut took = |measure: &Measure, since: brag_common::time::Timestamp| {
            // A clock that was put back may make it negative; it took no time then.
            let time = exchange.decided_at.duration_since(since).max(SignedDuration::ZERO);
            figures.count(measure, &[&by], &unit, now);
            times.add(FigureId::new(measure, [by]), time, now);
        };
        took(&REQUEST_TO_DECISION, exchange.asked_at);
        let colour = exchange.about.as_ref().and_then(|(e, p)| answers.first_colour(e, p));
        if let Some(colour) = colour.filter(|colour| *colour <= exchange.decided_at) {
            took(&COLOUR_TO_DECISION, colour);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::testkit::{Entries, february};

    #[test]
    fn of_nothing_nothing_is_typical() {
        assert_eq!(Typical::of(Vec::new()), None);
    }

    #[test]
    fn of_an_even_number_the_median_lies_between_the_two_in_the_middle() {
        let times = [10, 1, 3, 100].map(SignedDuration::from_secs).to_vec();
        let typical = Typical::of(times).unwrap();
        assert_eq!((typical.mean.as_secs(), typical.median.as_secs()), (28, 6));
    }

    #[test]
    fn nine_in_ten_are_done_within_a_time_that_one_of_them_took() {
        let of = |n: i64| Typical::of((1..=n).map(SignedDuration::from_secs).collect()).unwrap();
        assert_eq!((of(1).nine_in_ten.as_secs(), of(1).n_longest), (1, 1));
        assert_eq!((of(10).nine_in_ten.as_secs(), of(10).n_longest), (9, 2));
        assert_eq!((of(11).nine_in_ten.as_secs(), of(11).n_longest), (10, 2));
        assert_eq!((of(100).nine_in_ten.as_secs(), of(100).n_longest), (90, 11));
    }

    #[test]
    fn counts_from_the_first_colour_about_that_person() {
        let mut log = Entries::new();
        log.at("2027-02-09T09:00:00Z");
        log.answered("e1", "p9", "POL", "rated");
        log.at("2027-02-09T10:00:00Z");
        log.answered("e1", "p1", "SMS", "rated");
        log.at("2027-02-09T10:30:00Z");
        log.answered("e1", "p1", "POL", "rated");
        log.at("2027-02-09T11:00:00Z");
        log.asked("r1", "SMS", "C33", &["CSC"]);
        log.at("2027-02-09T11:00:30Z");
        log.decided("r1", "SMS", "C33", "CSC", "release", Some("g3"), None);
        let (mut exchanges, mut answers) = (Exchanges::default(), Answers::default());
        for entry in log.all() {
            exchanges.read(entry);
            answers.read(entry);
        }
        let mut figures = Figures::default();
        let times = measure(&exchanges, &answers, &february(), &mut figures);
        let of = |measure| times.typical(&FigureId::new(measure, ["released"])).0.unwrap();
        assert_eq!(of(&COLOUR_TO_DECISION).median.as_secs(), 3630);
        assert_eq!(of(&REQUEST_TO_DECISION).mean.as_secs(), 30);
    }

    proptest! {
        #[test]
        fn mean_and_median_lie_between_the_least_and_the_greatest(
            times in prop::collection::vec(0_i64..10_000_000, 1..40),
        ) {
            let (least, greatest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            let typical =
                Typical::of(times.iter().copied().map(SignedDuration::from_secs).collect()).unwrap();
            for time in [typical.mean, typical.median, typical.nine_in_ten].map(|time| time.as_secs()) {
                prop_assert!((*least..=*greatest).contains(&time));
            }
        }
    }
}
