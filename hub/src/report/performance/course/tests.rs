use super::*;
use crate::report::testkit::{Entries, agreement, february};

/// Those whose answers the sample agreement always requires.
const REQUIRED: [&str; 8] = ["CSC", "POL", "DAS", "HLT", "EDU", "HOU", "SMS", "MHT"];

fn counted(log: &Entries) -> (Figures, Times) {
    let mut course = Course::default();
    log.all().iter().for_each(|entry| course.read(entry));
    let (mut figures, mut times) = (Figures::default(), Times::default());
    course.count(&agreement(), &february(), &mut figures, &mut times);
    (figures, times)
}

fn n(figures: &Figures, name: &str) -> usize {
    figures.named(name).map_or(0, |(_, figure)| figure.in_period.len())
}

/// The median of a figure in the period, in minutes.
fn minutes(times: &Times, id: &FigureId) -> Option<i64> {
    times.typical(id).0.map(|typical| typical.median.as_mins())
}

fn answered_by_all(log: &mut Entries, enquiry: &str, person: &str) {
    REQUIRED.iter().for_each(|agency| log.answered(enquiry, person, agency, "not_known"));
}

#[test]
fn a_matrix_is_not_full_while_a_required_answer_is_missing_or_somebody_was_not_asked_about() {
    let mut log = Entries::new();
    // One will not rate; of one no entry tells about the second person; of one there is silence.
    log.opened("e1", "child_safeguarding", 1);
    answered_by_all(&mut log, "e1", "p1");
    log.opened("e2", "child_safeguarding", 2);
    answered_by_all(&mut log, "e2", "p2");
    log.opened("e3", "child_safeguarding", 1);
    answered_by_all(&mut log, "e3", "p3");
    log.answered("e3", "p3", "PRO", "pending");
    log.opened("e4", "child_safeguarding", 1);
    for agency in REQUIRED {
        let said = if agency == "CSC" { "declined" } else { "rated" };
        log.answered("e4", "p4", agency, said);
    }
    let (figures, _) = counted(&log);
    assert_eq!(n(&figures, "full_matrix.full"), 1, "only the first");
    assert_eq!(n(&figures, "full_matrix.not_full"), 3);
}

#[test]
fn a_matrix_is_full_with_the_last_required_first_answer() {
    let mut log = Entries::new();
    log.at("2027-02-09T09:00:00Z");
    log.opened("e1", "child_safeguarding", 1);
    answered_by_all(&mut log, "e1", "p1");
    log.answered("e1", "p1", "PRO", "pending");
    // Nobody knows whether these know the person, so nobody waits for them.
    log.silent("e1", "p1", "CAM");
    log.at("2027-02-09T11:30:00Z");
    log.answered("e1", "p1", "PRO", "rated");
    log.at("2027-02-10T09:00:00Z");
    log.answered("e1", "p1", "PRO", "rated");
    log.answered("e1", "p1", "CAM", "rated");
    let (figures, times) = counted(&log);
    // It knows the person after all, and then it was waited for.
    assert_eq!(n(&figures, "full_matrix_within.72_hours"), 1);
    assert_eq!(minutes(&times, &FigureId::new(&FULL_MATRIX, ["full"])), Some(24 * 60));
    let (_, figure) = figures.named("full_matrix.full").unwrap();
    let entries = figure.in_period.first().unwrap().entries().count();
    assert_eq!(entries, 1 + 8 + 3 + 2, "its opening, and every entry of the answers waited for");
}

#[test]
fn a_recommended_answer_that_was_waived_is_not_waited_for() {
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    for agency in REQUIRED {
        log.answered("e1", "p1", agency, if agency == "MHT" { "unable" } else { "rated" });
    }
    assert_eq!(n(&counted(&log).0, "full_matrix.full"), 0);
    log.waived("e1", "p1", "MHT");
    let (figures, _) = counted(&log);
    assert_eq!(n(&figures, "full_matrix.full"), 1);
    assert_eq!(n(&figures, "steps.answer.waived"), 1);
}

#[test]
fn what_each_agency_was_asked_is_what_it_answered_and_what_it_did_not() {
    let mut log = Entries::new();
    log.at("2027-02-09T09:00:00Z");
    log.opened("e1", "child_safeguarding", 4);
    log.at("2027-02-09T09:10:00Z");
    log.answered("e1", "p1", "MHT", "rated");
    log.silent("e1", "p2", "MHT");
    log.silent("e1", "p3", "MHT");
    log.answered("e1", "p4", "MHT", "pending");
    log.at("2027-02-09T15:00:00Z");
    log.answered("e1", "p2", "MHT", "declined");
    log.late("e1", "p2", "MHT", "declined");
    let (figures, times) = counted(&log);
    let all: Vec<usize> =
        COLUMNS.iter().map(|what| n(&figures, &format!("answering.MHT.{what}"))).collect();
    assert_eq!(all, [4, 2, 1, 1, 2, 3], "{COLUMNS:?}");
    let typical = times.typical(&FigureId::new(&ANSWERING, ["MHT", "answered"])).0.unwrap();
    assert_eq!((typical.median.as_mins(), typical.nine_in_ten.as_mins()), (185, 360));
}

#[test]
fn an_answer_counts_in_the_period_in_which_its_enquiry_was_opened() {
    let mut log = Entries::new();
    log.at("2027-01-31T23:00:00Z");
    log.opened("e1", "child_safeguarding", 1);
    log.at("2027-02-01T09:00:00Z");
    log.answered("e1", "p1", "CSC", "rated");
    // Its opening stands in an earlier log.
    log.answered("e0", "p1", "CSC", "rated");
    let (figures, _) = counted(&log);
    let (_, figure) = figures.named("answering.CSC.in_time").unwrap();
    assert_eq!((figure.in_period.len(), figure.to_date.len()), (0, 1));
    assert_eq!(n(&figures, "totals.enquiries"), 0);
}

#[test]
fn a_clock_that_was_breached_stays_breached() {
    let mut log = Entries::new();
    for (enquiry, flags) in [
        ("e1", &["s47_clock_started", "s47_clock_breached", "s47_clock_met"][..]),
        ("e2", &["s47_clock_started", "s47_clock_met", "response_clock_met"]),
        ("e3", &["s47_clock_started", "response_clock_breached"]),
        ("e4", &[]),
    ] {
        log.opened(enquiry, "child_safeguarding", 1);
        flags.iter().for_each(|flag| log.flag(enquiry, flag));
    }
    let (figures, _) = counted(&log);
    let of = |clock: &str| {
        ["started", "met", "breached", "running"]
            .map(|state| n(&figures, &format!("clocks.{clock}.{state}")))
    };
    assert_eq!(of("section_47"), [3, 1, 1, 1]);
    assert_eq!(of("response"), [0, 1, 1, 2]);
}

#[test]
fn a_flag_stands_until_it_is_cleared_for_everybody_it_was_raised_for() {
    let mut log = Entries::new();
    for enquiry in ["e1", "e2"] {
        log.opened(enquiry, "child_safeguarding", 2);
        for person in ["p1", "p2"] {
            log.course(enquiry, Action::FlagRaised, "missing_rating", Some("MHT"), Some(person));
        }
        log.course(enquiry, Action::FlagCleared, "missing_rating", Some("MHT"), Some("p1"));
    }
    log.course("e2", Action::FlagCleared, "missing_rating", Some("MHT"), Some("p2"));
    let (figures, _) = counted(&log);
    assert_eq!(n(&figures, "flags.missing_rating.raised"), 2);
    assert_eq!(n(&figures, "flags.missing_rating.standing"), 1);
    let (_, figure) = figures.named("flags.missing_rating.standing").unwrap();
    assert_eq!(figure.in_period.first().unwrap().entries().count(), 1 + 3);
}

#[test]
fn re_referrals_and_late_notifications_are_counts_of_the_enquiries_opened() {
    let mut log = Entries::new();
    for enquiry in ["e1", "e2", "e3"] {
        log.opened(enquiry, "child_safeguarding", 1);
    }
    log.course("e1", Action::SecondEnquiry, "x", None, None);
    log.course("e2", Action::FlagRaised, "linked_earlier_enquiry", None, Some("p1"));
    log.flag("e2", "notification_lag");
    let (figures, _) = counted(&log);
    for (name, expected) in [
        ("totals.enquiries", 3),
        ("re_referrals.linked", 2),
        ("re_referrals.not_linked", 1),
        ("re_referrals.with_reason", 1),
        ("notified.over_the_limit", 1),
        ("notified.not_over", 2),
    ] {
        assert_eq!(n(&figures, name), expected, "{name}");
    }
}

#[test]
fn closings_by_outcome_and_refusals_by_code_are_all_attempts() {
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    log.refused("e1", "BUDGET_EXCEEDED");
    log.refused("e1", "NFA_BLOCKED");
    log.refused("e1", "CLOSE_BLOCKED");
    log.closed("e1", "child_in_need_plan", None, Some(0));
    log.closed("e2", "no_further_action", None, Some(0));
    log.at("2027-03-01T09:00:00Z");
    log.closed("e3", "no_further_action", None, Some(0));
    let (figures, _) = counted(&log);
    for (name, expected) in [
        ("totals.closed", 2),
        ("closed.child_in_need_plan", 1),
        ("closed.no_further_action", 1),
        ("closing.NFA_BLOCKED", 1),
        ("closing.CLOSE_BLOCKED", 1),
        ("closing.all", 4),
    ] {
        assert_eq!(n(&figures, name), expected, "{name}");
    }
}

#[test]
fn what_was_recorded_is_counted_by_its_word() {
    let mut log = Entries::new();
    log.opened("e1", "child_safeguarding", 1);
    log.course("e1", Action::EventRecorded, "strategy_meeting", None, None);
    log.course("e1", Action::PlanChanged, "proposed", Some("POL"), Some("p1"));
    log.course("e1", Action::PlanChanged, "done", Some("POL"), Some("p1"));
    log.course("e1", Action::LeadNamed, "x", Some("CSC"), None);
    log.course("e1", Action::MeetingHeld, "x", Some("CSC"), None);
    let (figures, _) = counted(&log);
    let names: Vec<String> = figures.of(&STEPS).map(|(id, _)| id.to_string()).collect();
    assert_eq!(
        names,
        [
            "steps.action.done",
            "steps.action.proposed",
            "steps.event.strategy_meeting",
            "steps.lead.named",
            "steps.meeting.held",
        ]
    );
}

#[test]
fn a_log_that_claims_too_many_people_does_not_make_the_report_grow() {
    let mut log = Entries::new();
    log.opened("e1", "early_help", u64::MAX);
    assert_eq!(n(&counted(&log).0, "totals.people"), 1_000);
}
