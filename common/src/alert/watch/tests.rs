use proptest::{collection::vec, prelude::*};

use super::*;

/// A log as far as the watch sees it: drafts with the times at which they were written.
type Log = Vec<(EntryDraft, Timestamp)>;

fn at(minute: i64) -> Timestamp {
    // A Tuesday, ten in the morning.
    let start: Timestamp = "2027-02-09T10:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_mins(minute)).unwrap()
}

fn by(name: &str, role: &str, action: Action) -> EntryDraft {
    EntryDraft::new(action).by(name.parse().unwrap(), role.parse().unwrap())
}

fn refusal_of(agency: &str) -> EntryDraft {
    let mut draft = EntryDraft::new(Action::RequestRefused);
    draft.peer = Some(Party::Agency(agency.parse().unwrap()));
    draft
}

fn seq(log: &Log) -> u64 {
    u64::try_from(log.len()).unwrap()
}

/// A program that records what happens and what becomes due; where it `dies`, before an alert is recorded.
fn record(watch: &mut Watch, log: &mut Log, draft: &EntryDraft, at: Timestamp, dies: bool) {
    let number = seq(log);
    log.push((draft.clone(), at));
    for due in watch.see(&Seen::recorded(draft, number, at)) {
        if !dies {
            raise(watch, log, &due, at);
        }
    }
}

fn raise(watch: &mut Watch, log: &mut Log, due: &Due, at: Timestamp) {
    let mut draft = due.draft();
    draft.decision = due.alert.word().parse().ok();
    let number = seq(log);
    log.push((draft.clone(), at));
    assert_eq!(watch.see(&Seen::recorded(&draft, number, at)), []);
}

/// A new watch that is shown the log, and raises what is due still.
fn restart(log: &mut Log) -> Watch {
    let mut watch = Watch::new(&oversight());
    for (n, (draft, at)) in (0..).zip(log.iter()) {
        watch.see(&Seen::recorded(draft, n, *at));
    }
    for due in watch.due() {
        raise(&mut watch, log, &due, due.at);
    }
    watch
}

/// Small numbers, so that short logs have alerts.
fn oversight() -> Oversight {
    Oversight { openings_per_day: 3, refusals_per_hour: 2, ..Oversight::default() }
}

fn alerts(log: &Log) -> Vec<(String, u64)> {
    let raised = log.iter().filter(|(draft, _)| draft.action == Action::AlertRaised);
    raised
        .map(|(draft, _)| (draft.decision.clone().unwrap().to_string(), draft.count.unwrap()))
        .collect()
}

fn watch_all(entries: impl IntoIterator<Item = (EntryDraft, Timestamp)>) -> Log {
    let (mut watch, mut log) = (Watch::new(&oversight()), Log::new());
    for (draft, at) in entries {
        record(&mut watch, &mut log, &draft, at, false);
    }
    log
}

#[test]
fn as_many_refusals_as_are_ordinary_are_no_alert_and_one_more_is() {
    let refused = |minutes: &[i64]| {
        alerts(&watch_all(minutes.iter().map(|minute| (refusal_of("POL"), at(*minute)))))
    };
    assert_eq!(refused(&[0, 1]), []);
    assert_eq!(refused(&[0, 1, 60]), []);
    assert_eq!(refused(&[0, 1, 59]), [("repeated_refusals".to_owned(), 3)]);
    // Told once for the time of the rule, then again while it goes on.
    assert_eq!(refused(&[0, 1, 2, 3, 4, 5]).len(), 1);
    assert_eq!(refused(&[0, 1, 2, 30, 61, 62, 63]).len(), 2);
}

#[test]
fn refusals_of_two_parties_and_of_people_do_not_add_up() {
    let two = [refusal_of("POL"), refusal_of("CSC"), refusal_of("POL"), refusal_of("CSC")];
    assert_eq!(alerts(&watch_all(two.map(|draft| (draft, at(0))))), []);
    let people = ["a", "b", "a", "b"].map(|name| by(name, "assessor", Action::RequestRefused));
    assert_eq!(alerts(&watch_all(people.map(|draft| (draft, at(0))))), []);
}

#[test]
fn a_refusal_that_is_an_alert_by_itself_counts_as_one() {
    let mut purpose = by("a", "coordinator", Action::AlertRaised);
    purpose.decision = "purpose_not_permitted".parse().ok();
    let log = watch_all(vec![(purpose, at(0)); 3]);
    assert_eq!(log.last().unwrap().0.decision.as_ref().unwrap().as_str(), "repeated_refusals");
}

#[test]
fn a_budget_that_is_exceeded_is_told_once_an_hour() {
    let mut over = by("a", "coordinator", Action::RequestRefused);
    over.reason = Some(Reason::BudgetExceeded);
    let log = watch_all([(over.clone(), at(0)), (over.clone(), at(1)), (over, at(61))]);
    let told: Vec<_> = alerts(&log).into_iter().map(|(word, _)| word).collect();
    assert_eq!(told, ["budget_exceeded", "budget_exceeded"]);
    let raised = log.iter().find(|(draft, _)| draft.action == Action::AlertRaised).unwrap();
    assert_eq!(raised.0.reason, Some(Reason::BudgetExceeded));
    assert!(matches!(&raised.0.actor, Actor::Staff { name, .. } if name.as_str() == "a"));
}

#[test]
fn work_outside_of_the_hours_is_told_of_coordinators_and_of_whoever_opens_detail() {
    let night = at(12 * 60);
    for (draft, told) in [
        (by("a", "coordinator", Action::EnquiryOpened), true),
        (by("a", "coordinator", Action::ReportRead), true),
        (by("a", "assessor", Action::DetailOpened), true),
        (by("a", "assessor", Action::RatingGiven), false),
        (EntryDraft::new(Action::ServiceStarted), false),
    ] {
        let action = draft.action;
        let expected = if told { vec![("unusual_hour".to_owned(), 1)] } else { Vec::new() };
        assert_eq!(alerts(&watch_all([(draft.clone(), night)])), expected, "{action}");
        assert_eq!(alerts(&watch_all([(draft, at(0))])), [], "{action} by day");
    }
}

#[test]
fn a_night_of_work_is_one_alert_and_the_next_night_another() {
    let hour = |n: i64| (by("a", "coordinator", Action::ReportRead), at(n * 60));
    // From ten in the evening to five in the morning, and again at eleven.
    let log = watch_all([12, 13, 15, 19, 37].map(hour));
    assert_eq!(alerts(&log).len(), 2);
}

#[test]
fn one_person_who_opens_unusually_much_is_told_of() {
    let opened = |n: i64| (by("a", "assessor", Action::DetailOpened), at(n));
    assert_eq!(alerts(&watch_all((0..3).map(opened))), []);
    assert_eq!(alerts(&watch_all((0..9).map(opened))), [("unusual_volume".to_owned(), 4)]);
}

#[test]
fn a_rule_that_is_new_does_not_dig_up_what_is_long_over() {
    let mut watch = Watch::new(&oversight());
    for n in 0..5 {
        watch.see(&Seen::recorded(&refusal_of("POL"), n, at(0)));
    }
    assert_eq!(watch.due().len(), 1);
    watch.see(&Seen::recorded(&EntryDraft::new(Action::ServiceStopped), 5, at(120)));
    assert_eq!(watch.due(), []);
}

#[test]
fn what_is_watched_at_a_time_is_bounded() {
    let mut watch = Watch::new(&oversight());
    for n in 0..u64::try_from(MAX_WATCHED).unwrap() + 500 {
        let draft = by(&format!("s{n}"), "assessor", Action::RequestRefused);
        watch.see(&Seen::recorded(&draft, n, at(0)));
        assert!(watch.states.len() <= MAX_WATCHED);
    }
}

fn an_entry() -> impl Strategy<Value = (EntryDraft, i64)> {
    let mut over = by("a", "coordinator", Action::RequestRefused);
    over.reason = Some(Reason::BudgetExceeded);
    let drafts = vec![
        over,
        by("a", "coordinator", Action::EnquiryOpened),
        by("a", "assessor", Action::DetailOpened),
        by("b", "assessor", Action::DetailOpened),
        refusal_of("POL"),
        refusal_of("CSC"),
        EntryDraft::new(Action::ServiceStarted),
    ];
    (prop::sample::select(drafts), 0_i64..200)
}

proptest! {
    #[test]
    fn alerts_do_not_depend_on_where_a_restart_cut_the_log(
        entries in vec(an_entry(), 1..60), cuts in vec(any::<bool>(), 60), dies in vec(any::<bool>(), 60),
    ) {
        let mut minute = 0;
        let timed: Vec<_> = entries
            .into_iter()
            .map(|(draft, step)| {
                minute += step;
                (draft, at(minute))
            })
            .collect();
        let whole = watch_all(timed.clone());
        let (mut watch, mut log) = (Watch::new(&oversight()), Log::new());
        for (n, (draft, at)) in timed.into_iter().enumerate() {
            // Where it dies, it dies before the alert is recorded.
            record(&mut watch, &mut log, &draft, at, cuts[n] && dies[n]);
            if cuts[n] {
                watch = restart(&mut log);
            }
        }
        prop_assert_eq!(alerts(&log), alerts(&whole));
    }

    #[test]
    fn an_entry_that_is_shown_twice_changes_nothing(entries in vec(an_entry(), 1..60)) {
        let (mut once, mut twice) = (Watch::new(&oversight()), Watch::new(&oversight()));
        for (n, (draft, minute)) in (0..).zip(entries) {
            let seen = Seen::recorded(&draft, n, at(minute));
            let due = once.see(&seen);
            prop_assert_eq!(&due, &twice.see(&seen));
            prop_assert_eq!(twice.see(&seen), vec![]);
        }
    }
}
