//! What is counted entry by entry: enquiries, changes of ratings, retractions, alerts, and what staff did. Some of it stands in the
//! hub's log alone, some in every log.

use brag_common::audit::entry::{Action, Actor, Entry, Party, Word};

use super::{
    count::{Figures, Unit},
    measures::{
        ACCESS, ALERTS, APPROVALS, CALLS_REFUSED, CHANGES, CLOSED, ENQUIRIES, PEOPLE, RETRACTIONS,
        TOTALS,
    },
    period::Period,
};

/// Figures that say 0 when nothing happened.
pub fn declare(figures: &mut Figures) {
    for what in [
        "enquiries",
        "people",
        "closed",
        "alerts",
        "alerts_handled",
        "retractions",
        "released_without_agreement",
    ] {
        figures.declare(&TOTALS, &[&what]);
    }
}

/// Counts an entry of any log.
pub fn count(entry: &Entry, period: &Period, figures: &mut Figures) {
    let (unit, now) = (Unit::of(entry), period.holds(entry.ts));
    if entry.node == Party::Hub {
        count_hub(entry, &unit, now, figures);
    }
    let mut add = |measure, by: &[&dyn std::fmt::Display]| figures.count(measure, by, &unit, now);
    let word = |word: &Option<Word>| {
        word.as_ref().map_or_else(|| "not_stated".to_owned(), Word::to_string)
    };
    match entry.action {
        Action::AlertRaised => {
            add(&ALERTS, &[&entry.node, &word(&entry.decision), &"raised"]);
        }
        Action::AlertHandled => {
            add(&ALERTS, &[&entry.node, &word(&entry.decision), &"handled"]);
        }
        Action::RequestRefused => add(&CALLS_REFUSED, &[&entry.node]),
        Action::ReviewApproved => {
            let how = entry.decision.as_ref().map_or("approved", Word::as_str);
            add(&APPROVALS, &[&entry.node, &how]);
        }
        Action::ReviewRefused => add(&APPROVALS, &[&entry.node, &"refused"]),
        Action::ReviewEscalated => add(&APPROVALS, &[&entry.node, &"escalated"]),
        Action::ReviewExpired => add(&APPROVALS, &[&entry.node, &"expired"]),
        _ => {}
    }
    if let Actor::Staff { role, .. } = &entry.actor {
        let decision = entry.decision.as_ref().map(Word::as_str);
        let what = match (entry.action, decision) {
            (Action::ReportRead, Some("find_person")) => "found_person",
            (Action::ReportRead, _) => "looked",
            (Action::DetailOpened, _) => "opened",
            (Action::DetailExpired, _) => "not_opened",
            _ => "acted",
        };
        add(&ACCESS, &[&entry.node, role, &what]);
    }
}

fn count_hub(entry: &Entry, unit: &Unit, now: bool, figures: &mut Figures) {
    let word = |word: &Option<Word>| {
        word.as_ref().map_or_else(|| "not_stated".to_owned(), Word::to_string)
    };
    let peer = || entry.peer.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let mut add = |measure, by: &[&dyn std::fmt::Display]| figures.count(measure, by, unit, now);
    match entry.action {
        Action::EnquiryOpened => {
            let purpose = word(&entry.purpose);
            add(&ENQUIRIES, &[&purpose]);
            add(&TOTALS, &[&"enquiries"]);
            for part in 1..=entry.count.unwrap_or_default().min(MAX_PEOPLE) {
                let person = unit.part(part);
                figures.count(&PEOPLE, &[&purpose], &person, now);
                figures.count(&TOTALS, &[&"people"], &person, now);
            }
        }
        Action::EnquiryClosed => {
            add(&CLOSED, &[&word(&entry.decision)]);
            add(&TOTALS, &[&"closed"]);
        }
        // Those of holders would count the same request again.
        Action::AlertRaised => add(&TOTALS, &[&"alerts"]),
        Action::AlertHandled => add(&TOTALS, &[&"alerts_handled"]),
        Action::RatingChanged => add(&CHANGES, &[&peer(), &word(&entry.decision)]),
        Action::RatingChallenged => add(&CHANGES, &[&peer(), &"challenged"]),
        Action::RatingKept => add(&CHANGES, &[&peer(), &"kept"]),
        Action::DetailRetracted => {
            add(&RETRACTIONS, &[&peer(), &"retracted"]);
            add(&TOTALS, &[&"retractions"]);
        }
        Action::RetractionAcknowledged => add(&RETRACTIONS, &[&peer(), &"acknowledged"]),
        _ => {}
    }
}

/// No enquiry has more people (the hub takes at most 24); a log that says otherwise does not make the report grow.
const MAX_PEOPLE: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testkit::{Entries, february};

    #[test]
    fn counts_what_each_entry_says_and_nothing_of_what_it_does_not() {
        let mut log = Entries::new();
        log.opened("e1", "child_safeguarding", 6);
        log.alert("category_never");
        log.staff(Action::ReportRead, "auditor", None);
        log.staff(Action::ReportRead, "auditor", Some("find_person"));
        log.staff(Action::AlertHandled, "auditor", Some("category_never"));
        log.of("CSC");
        log.staff(Action::DetailOpened, "assessor", None);
        log.staff(Action::DetailExpired, "assessor", Some("view_expired"));
        log.staff(Action::ReviewApproved, "approver", Some("redacted"));
        let mut figures = Figures::default();
        declare(&mut figures);
        log.all().iter().for_each(|entry| count(entry, &february(), &mut figures));
        let n = |name: &str| figures.named(name).map(|(_, figure)| figure.in_period.len());
        assert_eq!(n("totals.closed"), Some(0));
        assert_eq!(n("enquiries.child_safeguarding"), Some(1));
        assert_eq!(n("people.child_safeguarding"), Some(6));
        assert_eq!(n("alerts.hub.category_never.raised"), Some(1));
        assert_eq!(n("alerts.hub.category_never.handled"), Some(1));
        assert_eq!(n("access.hub.auditor.looked"), Some(1));
        assert_eq!(n("access.hub.auditor.found_person"), Some(1));
        assert_eq!(n("access.CSC.assessor.opened"), Some(1));
        assert_eq!(n("access.CSC.assessor.not_opened"), Some(1));
        assert_eq!(n("approvals.CSC.redacted"), Some(1));
    }

    #[test]
    fn a_log_that_claims_too_many_people_does_not_make_the_report_grow() {
        let mut log = Entries::new();
        log.opened("e1", "early_help", u64::MAX);
        let mut figures = Figures::default();
        log.all().iter().for_each(|entry| count(entry, &february(), &mut figures));
        let (_, people) = figures.named("people.early_help").unwrap();
        assert_eq!(people.in_period.len(), 1_000);
    }
}
