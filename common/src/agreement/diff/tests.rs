use super::*;
use crate::agreement::testkit::{SAMPLE, sample};

/// The sample as a second version with several texts replaced, each of which must be there.
fn amended(changes: &[(&str, &str)]) -> Agreement {
    let mut text = SAMPLE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the sample holds no {from:?}");
        text = text.replacen(from, to, 1);
    }
    Agreement::parse(&text).unwrap()
}

fn told(changes: &[(&str, &str)]) -> Vec<String> {
    diff(&sample(), &amended(changes)).iter().map(ToString::to_string).collect()
}

#[test]
fn an_agreement_does_not_differ_from_itself() {
    assert!(diff(&sample(), &sample()).is_empty());
}

#[test]
fn every_number_says_which_way_it_goes() {
    let number = |line: &str| {
        let from = SAMPLE.lines().find(|known| known.starts_with(line)).unwrap();
        from.split('#').next().unwrap().trim_end().to_owned()
    };
    for (key, value, effect, words) in [
        ("marac_dash_ticks", "13", Effect::Loosens, "ticks on the Dash"),
        ("marac_dash_ticks", "20", Effect::Tightens, "ticks on the Dash"),
        ("amber_agencies", "3", Effect::Tightens, "agencies at Amber"),
        ("analysis_max_chars", "601", Effect::Changes, "characters of an analysis, at most"),
        ("standing_max_age", "\"1h\"", Effect::Tightens, "a standing rating answers for: 1 hours"),
    ] {
        let from = number(key);
        let found = diff(&sample(), &amended(&[(&from, &format!("{key} = {value}"))]));
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        assert_eq!((found[0].effect, &found[0].whom), (effect, &None), "{key}");
        assert!(found[0].words.contains(words), "{}", found[0].words);
    }
}

#[test]
fn a_party_that_withdraws_joins_or_changes_is_named() {
    let csc = "id = \"CSC\"\nname = \"Exampleshire Children's Social Care\"";
    let lines = told(&[(csc, &format!("withdrawn_at = 2027-06-30T17:00:00Z\n{csc}"))]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("CSC: withdraws at 2027-06-30T17:00:00Z"), "{}", lines[0]);
    assert!(lines[0].contains("stays attributable") && lines[0].ends_with("(tightens)"));

    let joins = "[[party]]\nid = \"NEW\"\nname = \"New Service\"\ntype = \"health\"\nrequirement = \"core\"\n[[party]]\n";
    let lines = told(&[("[[party]]\n", joins)]);
    assert_eq!(lines, ["NEW: joins as a party: New Service, health (loosens)"]);
    // The other way round it leaves, and is not forgotten.
    let found = diff(&amended(&[("[[party]]\n", joins)]), &sample());
    assert_eq!(found[0].effect, Effect::Tightens);
    assert!(found[0].words.contains("no longer listed"));

    let lines = told(&[("answer_within = \"30s\"", "answer_within = \"45s\"")]);
    assert_eq!(lines, ["HLT: its node answers within: 45 seconds, was 30 seconds"]);
}

#[test]
fn disclosure_purposes_and_lists_say_which_way_they_go() {
    let lines = told(&[(", \"early_help\"]", "]")]);
    assert_eq!(lines, ["everybody: early_help is no purpose any more (tightens)"]);
    let cell = |mode, recipients: Option<&[&str]>| Cell {
        mode,
        recipients: recipients.map(|names| names.iter().map(|n| n.parse().unwrap()).collect()),
    };
    let (auto, review) = (cell(Mode::Auto, None), cell(Mode::Review, None));
    let few = cell(Mode::Auto, Some(&["POL"]));
    let more = cell(Mode::Auto, Some(&["POL", "CSC"]));
    let others = cell(Mode::Auto, Some(&["DAS"]));
    let slower = cell(Mode::Review2, Some(&["POL", "CSC"]));
    for (old, new, effect) in [
        (None, Some(&auto), Effect::Loosens),
        (Some(&auto), None, Effect::Tightens),
        (Some(&review), Some(&auto), Effect::Loosens),
        (Some(&auto), Some(&review), Effect::Tightens),
        (Some(&few), Some(&more), Effect::Loosens),
        (Some(&auto), Some(&few), Effect::Tightens),
        (Some(&few), Some(&others), Effect::Changes),
        (Some(&few), Some(&slower), Effect::Changes),
    ] {
        assert_eq!(disclosure_effect(old, new), effect, "{old:?} to {new:?}");
    }
}

#[test]
fn what_is_signed_anew_tells_of_dates_versions_and_revoked_keys() {
    let key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let revoked = format!(
        "schema = 2\n[[revoked]]\nkey = \"{key}\"\nrevoked_at = 2027-03-01T09:00:00Z\nreason = \"lost laptop\"\n"
    );
    let lines = told(&[
        ("schema = 1\n", &revoked),
        ("version = 3", "version = 4"),
        ("valid_to = 2027-12-31", "valid_to = 2028-12-31"),
    ]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "everybody: version: 4, was 3");
    assert_eq!(lines[1], "everybody: last day: 2028-12-31, was 2027-12-31 (loosens)");
    assert!(
        lines[2].contains("revoked from 2027-03-01T09:00:00Z on (lost laptop)"),
        "{}",
        lines[2]
    );
}
