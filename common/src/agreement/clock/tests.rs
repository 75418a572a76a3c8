use proptest::prelude::*;

use super::{
    super::{
        Assertion, AssertionKind, Rating,
        testkit::{
            SAMPLE, assertion, consent, family, link, noon, person, rating, sample, sample_with,
        },
    },
    *,
};
use crate::agreement::{ConsentStatus, LinkKind};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

/// From, working hours, and when they are over; in winter local time is UTC.
const WORKING: [(&str, i64, &str); 11] = [
    // A Tuesday.
    ("2027-02-09T09:00:00Z", 4, "2027-02-09T13:00:00Z"),
    ("2027-02-09T15:30:00Z", 4, "2027-02-10T11:30:00Z"),
    // Before and after the day's work.
    ("2027-02-09T06:00:00Z", 4, "2027-02-09T13:00:00Z"),
    ("2027-02-09T20:00:00Z", 4, "2027-02-10T13:00:00Z"),
    // A full day ends with that day, not with the beginning of the next.
    ("2027-02-09T09:00:00Z", 8, "2027-02-09T17:00:00Z"),
    ("2027-02-09T17:00:00Z", 8, "2027-02-10T17:00:00Z"),
    // Over a weekend: Friday afternoon, Saturday, Sunday.
    ("2027-02-12T16:00:00Z", 4, "2027-02-15T12:00:00Z"),
    ("2027-02-13T10:00:00Z", 4, "2027-02-15T13:00:00Z"),
    ("2027-02-14T23:00:00Z", 24, "2027-02-17T17:00:00Z"),
    // The clocks go forward on Sunday 28 March: Monday's nine o'clock is 08:00 UTC.
    ("2027-03-26T16:00:00Z", 4, "2027-03-29T11:00:00Z"),
    // They go back on Sunday 31 October: Friday's five o'clock is 16:00 UTC, Monday's nine is 09:00 UTC.
    ("2027-10-29T15:00:00Z", 4, "2027-11-01T12:00:00Z"),
];

#[test]
fn working_hours_pass_on_weekdays_from_nine_to_five_of_local_time() {
    for (start, length, end) in WORKING {
        let found = WorkingHours::default().after(at(start), hours(length));
        assert_eq!(found, at(end), "{length} h from {start}");
    }
}

#[test]
fn hours_cover_their_first_moment_and_not_their_last_by_local_time() {
    let hours = WorkingHours::default();
    for (moment, covered) in [
        ("2027-02-09T08:59:59Z", false),
        ("2027-02-09T09:00:00Z", true),
        ("2027-02-09T17:00:00Z", false),
        // In summer nine o'clock is 08:00 UTC.
        ("2027-07-06T08:00:00Z", true),
        ("2027-07-06T16:00:00Z", false),
        // A Saturday.
        ("2027-02-13T12:00:00Z", false),
    ] {
        assert_eq!(hours.cover(at(moment)), covered, "{moment}");
    }
}

#[test]
fn elapsed_hours_pass_by_night_on_weekends_and_over_clock_changes() {
    let clocks = sample().clocks();
    let end = clocks.end(ClockName::Section47, at("2027-03-05T23:00:00Z"));
    assert_eq!(end, at("2027-03-06T23:00:00Z"));
    let end = clocks.end(ClockName::Section47, at("2027-03-27T12:00:00Z"));
    assert_eq!(end, at("2027-03-28T12:00:00Z"));
}

#[test]
fn half_of_a_working_clock_is_half_of_its_working_time() {
    let clocks = sample().clocks();
    // Amber: 24 working hours; twelve of them from Friday noon are over on Monday at four.
    let friday = at("2027-02-12T12:00:00Z");
    assert_eq!(clocks.share(ClockName::Amber, 50, friday), at("2027-02-15T16:00:00Z"));
    assert_eq!(clocks.end(ClockName::Amber, friday), at("2027-02-17T12:00:00Z"));
}

#[test]
fn an_agreement_may_state_other_working_hours_and_is_refused_where_they_are_none() {
    let stating = |table: &str| {
        let text = sample_with("green = { limit", &format!("{table}\ngreen = {{ limit"));
        Agreement::parse(&text)
    };
    for (wrong, said) in [
        (r#"working_hours = "always""#, "expected a table"),
        (r#"working_hours = { days = [], from = "09:00", to = "17:00" }"#, "must not be empty"),
        (r#"working_hours = { days = ["monday"], from = "17:00", to = "09:00" }"#, "later than"),
        (r#"working_hours = { days = ["moonday"], from = "09:00", to = "17:00" }"#, "moonday"),
        (r#"working_hours = { days = ["monday"], from = "9", to = "17:00" }"#, "time of day"),
        (r#"working_hours = { days = ["monday"], from = "09:00", to = "25:00" }"#, "time of day"),
        (r#"working_hours = { days = ["monday"], from = "09:00" }"#, "is missing"),
    ] {
        let faults = stating(wrong).expect_err(wrong);
        assert_eq!(faults.as_slice().len(), 1, "{wrong}: {faults}");
        assert!(faults.to_string().contains(said), "{wrong}: {faults}");
    }
    let always =
        r#"working_hours = { days = ["saturday", "monday"], from = "08:00", to = "10:00" }"#;
    let clocks = stating(always).unwrap().clocks();
    let friday = at("2027-02-12T12:00:00Z");
    assert_eq!(clocks.end(ClockName::Red, friday), at("2027-02-15T10:00:00Z"));
    assert!(!SAMPLE.contains("working_hours"), "the sample leaves the usual hours");
    assert_eq!(sample().clocks().working_hours, WorkingHours::default());
}

#[test]
fn section_47_runs_before_any_colour_and_the_highest_colour_before_a_lower_one() {
    let agreement = sample();
    let with = |ratings: Vec<Rating>, assertions: Vec<Assertion>| {
        let facts = Facts { ratings, assertions, ..family() };
        running(&agreement, &facts, &person("P1"), noon())
    };
    assert_eq!(with(vec![], vec![]), ClockName::Green);
    assert_eq!(with(vec![rating("HLT", "P1", Colour::Green)], vec![]), ClockName::Green);
    assert_eq!(with(vec![rating("HLT", "P1", Colour::Amber)], vec![]), ClockName::Amber);
    let amber_and_red = vec![rating("HLT", "P1", Colour::Amber), rating("DAS", "P1", Colour::Red)];
    assert_eq!(with(amber_and_red.clone(), vec![]), ClockName::Red);
    let section_47 = vec![assertion("CSC", AssertionKind::Section47, &["P1"])];
    assert_eq!(with(amber_and_red, section_47), ClockName::Section47);
}

#[test]
fn a_gate_that_somebody_else_opened_lends_its_colour_and_an_agreement_lends_none() {
    let agreement = sample();
    // P2 is Red and poses risk to P1, whom nobody has rated.
    let linked = Facts { ratings: vec![rating("DAS", "P2", Colour::Red)], ..family() };
    assert_eq!(running(&agreement, &linked, &person("P1"), noon()), ClockName::Red);
    let agreed = Facts {
        links: vec![link("P1", LinkKind::Relative, "P2")],
        consents: vec![consent("P1", ConsentStatus::Valid, "C33", "CSC")],
        ..family()
    };
    assert_eq!(running(&agreement, &agreed, &person("P1"), noon()), ClockName::Green);
}

proptest! {
    #[test]
    fn a_clock_never_ends_before_its_time_nor_before_a_shorter_one(
        start in 1_700_000_000_i64..2_000_000_000,
        minutes in 1_i64..20_000,
        more in 0_i64..20_000,
    ) {
        let (start, hours) = (Timestamp::from_second(start).unwrap(), WorkingHours::default());
        let end = hours.after(start, SignedDuration::from_mins(minutes));
        prop_assert!(end >= start + SignedDuration::from_mins(minutes));
        let longer = hours.after(start, SignedDuration::from_mins(minutes + more));
        prop_assert!(longer >= end);
        // It ends within working hours of local time.
        let zone = united_kingdom().unwrap();
        let local = zone.to_datetime(end);
        prop_assert!(local.date().weekday().to_monday_zero_offset() < 5);
        prop_assert!((9..=17).contains(&local.hour()));
    }
}
