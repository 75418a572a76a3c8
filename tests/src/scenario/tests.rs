//! Faults of scenario files, each with its place; and that S1 has none.

use super::*;
use crate::partnership::sample_parties;

fn agencies() -> Vec<AgencyId> {
    sample_parties().unwrap()
}

fn faults(text: &str) -> String {
    Scenario::parse(Path::new("s.toml"), text, &agencies()).unwrap_err().to_string()
}

#[test]
fn refuses_faults_of_meaning_all_at_once_each_with_its_line() {
    let cases = [
        ("label = \"P2\"", "label = \"P1\"", "the label `P1` is used twice"),
        ("999 000 0050", "943 476 5919", "not a valid NHS number of the test range 999"),
        ("SEALED-S1-DAS-C43", "SEALED-S1-DAS-P1-C51", "the marker `SEALED-S1-DAS-P1-C51` is used"),
        ("id = \"1.5b\"", "id = \"1.5a\"", "the row `1.5a` is there twice"),
        ("topics = [\"housing\"]", "topics = [\"mood\"]", "`mood` is not a topic"),
        ("matrix.MRC", "#", "the matrix has no row for MRC"),
    ];
    let mut text = S1.to_owned();
    for (from, to, _) in cases {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let found = faults(&text);
    for (_, _, what) in cases {
        let fault = found.lines().find(|line| line.contains(what));
        let fault = fault.unwrap_or_else(|| panic!("{what} is not in:\n{found}"));
        let line: usize = fault.split(':').nth(1).unwrap().parse().unwrap();
        assert!(line >= 1, "{fault}");
    }
}

#[test]
fn refuses_faults_of_form_with_line() {
    let line_of = |needle: &str| S1[..S1.find(needle).unwrap()].matches('\n').count() + 1;
    let cases = [
        ("role = \"victim\"", "rôle = \"victim\""),
        ("role = \"victim\"", "roll = \"victim\""),
        ("at = \"+2h25m\"", "at = \"11:05\""),
        ("reason = \"CATEGORY_NEVER\"", "reason = \"NO_WAY\""),
        ("levels = [\"R\"", "levels = [\"X\""),
        ("kind = \"contact_venue\"", "kind = \"cousin\""),
    ];
    for (from, to) in cases {
        let found = faults(&S1.replacen(from, to, 1));
        assert!(found.starts_with(&format!("s.toml:{}: ", line_of(from))), "{to}: {found}");
    }
}

#[test]
fn s1_has_no_faults_and_its_markers_are_in_every_payload() {
    let s1 =
        Scenario::parse(Path::new("s1.toml"), S1, &agencies()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(s1.person.len(), 6);
    assert!(s1.holding.iter().all(|held| held.payload().contains(held.marker.get_ref())));
    let decisions: usize = s1.release.iter().map(|release| release.to.len()).sum();
    assert_eq!((s1.release.len(), decisions), (15, 26));
}

#[test]
fn refuses_troubles_and_openings_that_can_not_be() {
    let s4 = include_str!("../../scenarios/s4.toml");
    let cases = [
        ("from = \"-1m\"\nuntil = \"+5m\"", "from = \"+9m\"\nuntil = \"+5m\"", "`until` is after"),
        (
            "agency = \"PRO\"\nat = \"+13h10m\"",
            "agency = \"XYZ\"\nat = \"+13h10m\"",
            "XYZ is not a party",
        ),
        (
            "would_be_released_if = [\"accepted_action\"]",
            "would_be_released_if = [\"luck\"]",
            "`luck` is nothing",
        ),
    ];
    let mut text = s4.to_owned();
    for (from, to, _) in cases {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text.push_str("[[open]]\nrelease = \"4.9\"\nrecipient = \"HLT\"\nat = \"+1h\"\n");
    let found = faults(&text);
    let unasked = "no earlier release of this row for this recipient";
    for what in cases.map(|(_, _, what)| what).into_iter().chain([unasked]) {
        assert!(found.contains(what), "{what} is not in:\n{found}");
    }
    let without_zone = s4.replacen("T22:10:00Z", "T22:10:00", 1);
    assert!(faults(&without_zone).contains("no distance from UTC"));
}

#[test]
fn every_scenario_reads_and_starts_on_its_day() {
    let days = [
        (S1, "2027-02-09T08:40:00Z"),
        (include_str!("../../scenarios/s2.toml"), "2027-03-15T09:30:00Z"),
        (include_str!("../../scenarios/s4.toml"), "2027-03-05T22:10:00Z"),
        (include_str!("../../scenarios/s5.toml"), "2027-04-13T08:10:00Z"),
    ];
    for (text, starts_at) in days {
        let read = Scenario::parse(Path::new("s.toml"), text, &agencies());
        let scenario = read.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(scenario.starts_at().to_string(), starts_at);
    }
}

#[test]
fn a_cell_reads_as_it_is_written_and_admits_a_reason_that_it_does_not_name() {
    let cell = |text: &str| text.parse::<Cell>().unwrap_or_else(|e| panic!("{e}"));
    for text in
        ["A", "R via P2", "NK", "UN AUDIT_UNAVAILABLE", "G late", "R via P2 late", "NK late"]
    {
        assert_eq!(cell(text).to_string(), text);
    }
    for text in ["", "X", "A because", "R via", "late", "LT", "nk"] {
        assert!(text.parse::<Cell>().is_err(), "{text}");
    }
    assert!(cell("NR").admits(&cell("NR UNREACHABLE")));
    assert!(!cell("NR DEADLINE").admits(&cell("NR UNREACHABLE")));
    assert!(!cell("NK").admits(&cell("NK late")));
    assert!(!cell("A").admits(&cell("A via P2")));
}

#[test]
fn events_come_in_order_of_time() {
    let s1 =
        Scenario::parse(Path::new("s1.toml"), S1, &agencies()).unwrap_or_else(|e| panic!("{e}"));
    let events = s1.events();
    assert!(events.is_sorted_by_key(|(at, _)| *at));
    assert!(events.iter().all(|(at, _)| !at.is_before_start()));
}

#[test]
fn times_are_relative_to_the_start() {
    for text in ["", "2h", "+", "+2", "+2x", "+0h", "11:05", "+400d", "+2m3h"] {
        assert!(text.parse::<At>().is_err(), "{text}");
    }
    let start: Timestamp = "2027-02-09T08:40:00Z".parse().unwrap();
    let at = |text: &str| text.parse::<At>().unwrap().after(start).to_string();
    assert_eq!(at("+2h25m"), "2027-02-09T11:05:00Z");
    assert_eq!(at("-13h25m"), "2027-02-08T19:15:00Z");
    assert_eq!(at("+14d"), "2027-02-23T08:40:00Z");
}
