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
        (
            "by = [2]",
            "by = []\nrefuse = \"No.\"",
            "where nobody acts nothing is redacted or refused",
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
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/s4x.toml");
    let read = Scenario::parse(&file, &std::fs::read_to_string(&file).unwrap(), &agencies());
    assert_eq!(
        read.unwrap_or_else(|e| panic!("{e}")).starts_at(),
        "2027-03-05T22:10:00Z".parse().unwrap()
    );
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
    for text in ["", "2h", "+", "+2", "+2x", "+0h", "11:05", "+400d", "+2m3h", "+1s2m"] {
        assert!(text.parse::<At>().is_err(), "{text}");
    }
    let start: Timestamp = "2027-02-09T08:40:00Z".parse().unwrap();
    let at = |text: &str| text.parse::<At>().unwrap().after(start).to_string();
    assert_eq!(at("+2h25m"), "2027-02-09T11:05:00Z");
    assert_eq!(at("-13h25m"), "2027-02-08T19:15:00Z");
    assert_eq!(at("+14d"), "2027-02-23T08:40:00Z");
    assert_eq!(at("+24h50m1s"), "2027-02-10T09:30:01Z");
    for text in ["+1d0h50m01s", "-13h25m", "+2h05m"] {
        let moment = text.parse::<At>().unwrap().after(start);
        assert_eq!(At::of(moment, start).to_string(), text);
    }
}

#[test]
fn refuses_steps_of_an_enquirys_life_that_can_not_be() {
    let s4 = include_str!("../../scenarios/s4.toml");
    let cases = [
        ("id = \"A-5\"", "id = \"A-4\"", "the action `A-4` is planned twice"),
        ("owner = \"DAS\"", "owner = \"P1\"", "nobody of the family owns an action"),
        ("owner = \"POL\"", "owner = \"XYZ\"", "`XYZ` is no party, no label and not `family`"),
        ("action = \"A-3\"", "action = \"A-7\"", "no such action is planned before"),
        ("refused = \"CLOSE_BLOCKED\"", "refused = \"NO\"", "refused with NFA_BLOCKED or CLOSE"),
        (
            "\"uprated P3\", \"uprated P4\", \"rec",
            "\"uprated P9\", \"rec",
            "`uprated P9` is not about",
        ),
        ("unmet = []", "unmet = [\"missing_rating P3 EDU\"]", "is not about an agency, a person"),
    ];
    let mut text = s4.to_owned();
    for (from, to, _) in cases {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text.push_str("[[waive]]\nat = \"-1h\"\nagency = \"MHT\"\nperson = \"P1\"\nreason = \"no\"\n");
    let found = faults(&text);
    let early = "what co-ordinators record is recorded after the start";
    for what in cases.map(|(_, _, what)| what).into_iter().chain([early]) {
        assert!(found.contains(what), "{what} is not in:\n{found}");
    }
}

#[test]
fn a_flag_is_a_word_and_what_it_is_about() {
    let mark = |text: &str| text.parse::<Mark>().unwrap_or_else(|e| panic!("{e}"));
    for text in ["", " P1", "Uprated", "uprated  P1", "a B C D", "s47 "] {
        assert!(text.parse::<Mark>().is_err(), "{text}");
    }
    let found = Mark::found("missing_rating", "MHT", "P1");
    assert_eq!(found.to_string(), "missing_rating MHT P1");
    for text in
        ["missing_rating", "missing_rating MHT", "missing_rating P1", "missing_rating MHT P1"]
    {
        assert!(mark(text).means(&found), "{text}");
    }
    for text in ["uprated", "missing_rating POL", "missing_rating MHT P2"] {
        assert!(!mark(text).means(&found), "{text}");
    }
    assert!(!mark("uprated P1").means(&Mark::found("uprated", "", "")));
}

/// A folder with S4 and a variant of it.
fn a_variant(text: &str) -> Result<Scenario, Faults> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s4.toml"), include_str!("../../scenarios/s4.toml")).unwrap();
    Scenario::parse(&folder.path().join("v.toml"), text, &agencies())
}

#[test]
fn refuses_a_variant_with_faults_and_names_the_file_and_line_of_each() {
    let cases = [
        ("[variant]\nof = \"s4.toml\"", "v.toml:1: a variant is `of` another file"),
        ("[variant]\nof = \"s9.toml\"\nuntil = \"+1h\"", "v.toml:2: can not read `s9.toml`"),
        ("[variant]\nof = \"s4.toml\"\nuntil = \"Monday\"", "v.toml:3: `Monday` is not a time"),
        (
            "[variant]\nof = \"s4.toml\"\nuntil = \"+1h\"\n[[clos]]",
            "v.toml:4: unknown field `clos`",
        ),
        (
            "[variant]\nof = \"s4.toml\"\nuntil = \"+1h\"\n[[waive]]\nat = \"+2h\"\nagency = \"XYZ\"\nperson = \"P1\"\nreason = \"x\"",
            "v.toml:6: XYZ is not a party",
        ),
        // The rest of S4 is left out, and with it the plan that its variant goes on with.
        (
            "[variant]\nof = \"s4.toml\"\nuntil = \"+1h\"\n[[progress]]\nat = \"+2h\"\naction = \"A-3\"\nstate = \"done\"",
            "v.toml:6: no such action is planned before",
        ),
        ("title = 3\n[variant]\nof = \"s4.toml\"\nuntil = \"+1h\"", "v.toml:1: invalid type"),
    ];
    for (text, what) in cases {
        let found = a_variant(text).unwrap_err().to_string();
        assert!(found.contains(what), "{what} is not in:\n{found}");
    }
}

#[test]
fn a_variant_is_another_file_until_a_time_and_then_itself() {
    let whole = include_str!("../../scenarios/s4.toml");
    let whole = Scenario::parse(Path::new("s4.toml"), whole, &agencies()).unwrap();
    let text = "title = \"Other\"\n[variant]\nof = \"s4.toml\"\nuntil = \"+17h20m\"\n[[check]]\nat = \"+25h\"\nclosed = false\n";
    let variant = a_variant(text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(variant.title, "Other");
    assert_eq!(
        (variant.person.len(), variant.record.len()),
        (whole.person.len(), whole.record.len())
    );
    let until: At = "+17h20m".parse().unwrap();
    let before = |scenario: &Scenario| {
        scenario.events().into_iter().map(|(at, _)| at).filter(|at| *at < until).count()
    };
    assert_eq!(before(&variant), before(&whole));
    assert_eq!(variant.events().len(), before(&whole) + 1);
    assert!(whole.events().len() > before(&whole) + 5);
    assert!(variant.flags.all().next().is_some(), "what is not said anew stays");
}
