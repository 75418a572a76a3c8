//! Figures from the store: how agencies rate, whether their ratings lie apart, and whether levels are above the referrer's first
//! colour. The things that are counted are those of the log (an answer, a person, an enquiry), so that what one table tells of another is
//! found out across both; an enquiry whose opening is not in the log is left out.

use brag_common::{audit::entry::Party, rating::Colour, time::SignedDuration};

use super::{
    course::{Course, Enquiry},
    kept::{Kept, KeptEnquiry},
    measures::{COLOURS, DIVERGENCE, LAG, UPRATED},
};
use crate::report::{
    answers::Said,
    count::{FigureId, Figures},
    period::Period,
    waiting::Times,
};

/// Counts what the store tells; gives how many of its enquiries are not in the log.
#[must_use]
pub fn count(
    kept: &Kept,
    course: &Course,
    period: &Period,
    figures: &mut Figures,
    times: &mut Times,
) -> usize {
    declare(figures);
    let mut not_in_log = 0;
    for (name, one) in kept.enquiries().filter(|(_, one)| period.reaches(one.opened_at)) {
        let Some(enquiry) = course.enquiry(name) else {
            not_in_log += 1;
            continue;
        };
        let now = period.holds(enquiry.opened_at);
        for person in &one.people {
            for (agency, colour) in &person.ratings {
                let agency = Party::Agency(agency.clone());
                columns().iter().for_each(|word| figures.declare(&COLOURS, &[&agency, word]));
                let cell = course.answers.about(name, &person.person, &agency);
                // One that came after the period's end is not of it.
                let Some(cell) = cell.filter(|cell| cell.said() == Said::Rated) else { continue };
                let unit = cell.unit();
                figures.count(&COLOURS, &[&agency, &colour.word()], &unit, now);
                figures.count(&COLOURS, &[&agency, &"rated"], &unit, now);
            }
        }
        count_people(one, enquiry, now, figures);
        if period.reaches(one.answer_by) {
            count_uprated(one, enquiry, now, figures);
        }
        if let Some(lag) = one.lag {
            let id = FigureId::new(&LAG, [&one.referred_by]);
            figures.count(&LAG, &[&one.referred_by], &enquiry.unit, now);
            times.add(id, lag.max(SignedDuration::ZERO), now);
        }
    }
    not_in_log
}

fn declare(figures: &mut Figures) {
    for what in ["two_steps_apart", "closer", "rated_by_two"] {
        figures.declare(&DIVERGENCE, &[&what]);
    }
    for of in ["cases", "people"] {
        for what in ["uprated", "not_uprated", "all"] {
            figures.declare(&UPRATED, &[&of, &what]);
        }
    }
}

fn count_people(one: &KeptEnquiry, enquiry: &Enquiry, now: bool, figures: &mut Figures) {
    for (number, person) in (1..).zip(&one.people) {
        if person.ratings.len() < 2 {
            continue;
        }
        let unit = enquiry.person(number);
        let what = if person.divergent { "two_steps_apart" } else { "closer" };
        figures.count(&DIVERGENCE, &[&what], &unit, now);
        figures.count(&DIVERGENCE, &[&"rated_by_two"], &unit, now);
    }
}

fn count_uprated(one: &KeptEnquiry, enquiry: &Enquiry, now: bool, figures: &mut Figures) {
    if !one.people.iter().any(|person| person.initial.is_some()) {
        return;
    }
    let word = |uprated: bool| if uprated { "uprated" } else { "not_uprated" };
    let case = one.people.iter().any(|person| person.uprated);
    figures.count(&UPRATED, &[&"cases", &word(case)], &enquiry.unit, now);
    figures.count(&UPRATED, &[&"cases", &"all"], &enquiry.unit, now);
    for (number, person) in (1..).zip(&one.people) {
        let unit = enquiry.person(number);
        figures.count(&UPRATED, &[&"people", &word(person.uprated)], &unit, now);
        figures.count(&UPRATED, &[&"people", &"all"], &unit, now);
    }
}

/// The columns of [`COLOURS`].
#[must_use]
pub fn columns() -> Vec<&'static str> {
    Colour::ALL.iter().map(|colour| colour.word()).chain(["rated"]).collect()
}
