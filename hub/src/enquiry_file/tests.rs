use std::path::PathBuf;

use brag_common::matching::identity::Identity;

use super::*;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples/enquiry.toml")
}

fn loaded(name: &str, text: &str) -> Result<pb::OpenRequest, FileProblems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    load(&path)
}

fn places(text: &str) -> Vec<String> {
    loaded("e.toml", text).unwrap_err().problems.into_iter().map(|problem| problem.place).collect()
}

#[test]
fn every_fault_is_told_with_its_place_and_without_its_value() {
    let text = r#"
purpose = "curiosity"
answer_within = "60d"
[referral]
agency = "school"
reference = " "
incident_at = "yesterday"
[[person]]
label = "P 1"
born = "31/02/1992"
sex = "Zorro"
[[person]]
label = "P2"
given = "Zorro"
role = "villain"
initial = "purple"
names = [{ kind = "stage", given = "Z" }]
identifiers = [{ kind = "Bad Kind", value = "1" }]
addresses = [{ from = "2020" }]
[[person]]
label = "P2"
family = "Zorro"
[[link]]
from = "P2"
to = "P9"
kind = "knows"
[[link]]
from = "P2"
to = "P2"
kind = "relative"
"#;
    let error = loaded("e.toml", text).unwrap_err();
    let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "purpose",
            "person[1].label",
            "person[1].given",
            "person[1].born",
            "person[1].sex",
            "person[2].role",
            "person[2].initial",
            "person[2].names[1].kind",
            "person[2].identifiers[1].kind",
            "person[2].addresses[1].from",
            "person[2].addresses[1]",
            "person[3].label",
            "link[1].to",
            "link[1].kind",
            "link[2].to",
            "referral.agency",
            "referral.reference",
            "referral.incident_at",
            "answer_within",
        ]
    );
    let shown = format!("{error} {error:?}");
    for value in ["Zorro", "31/02", "yesterday", "villain", "purple"] {
        assert!(!shown.contains(value), "{value}: {shown}");
    }
    assert!(shown.contains("`child_safeguarding`"), "{shown}");
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let text = std::fs::read_to_string(sample()).unwrap();
    let error = loaded("e.toml", &text.replacen("family =", "surname =", 1)).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert!(error.problems[0].place.starts_with("line "), "{error}");
    assert!(error.problems[0].text.contains("`surname`"), "{error}");
}

#[test]
fn a_wrong_type_does_not_repeat_the_value() {
    let error = loaded("e.toml", "purpose = \"x\"\ndomestic_abuse = \"Zorro\"\n").unwrap_err();
    assert!(!error.to_string().contains("Zorro"), "{error}");
    let error =
        loaded("e.json", "{\"purpose\": \"x\",\n\"domestic_abuse\": \"Zorro\"}").unwrap_err();
    assert!(!error.to_string().contains("Zorro"), "{error}");
    assert_eq!(error.problems[0].place, "line 2");
}

#[test]
fn an_enquiry_about_nobody_is_refused() {
    let text = "purpose = \"early_help\"\n[referral]\nagency = \"SCH\"\nreference = \"1\"\n";
    assert_eq!(places(text), ["person"]);
}

#[test]
fn the_sample_opens_an_enquiry_about_whom_it_says() {
    let request = load(&sample()).unwrap();
    assert_eq!(request.purpose, "child_safeguarding");
    assert_eq!(request.answer_within_s, 4 * 3600);
    assert!(request.domestic_abuse);
    assert_eq!(request.people.len(), 3);
    assert_eq!(request.links[1].kind(), pb::LinkKind::PosesRiskTo);
    assert_eq!(request.people[0].initial(), pb::Colour::Amber);
    assert_eq!(request.people[1].initial(), pb::Colour::Unspecified);
    assert_eq!(request.referral.unwrap().incident_at_unix_ms, 1_772_401_200_000);
    let first = Identity::from_canonical_bytes(&request.people[0].identity).unwrap();
    assert_eq!(first.names().len(), 2);
    assert_eq!(first.birth().to_string(), "1992-03-04");
    assert_eq!(first.addresses().len(), 2);
    let third = Identity::from_canonical_bytes(&request.people[2].identity).unwrap();
    assert_eq!(third.birth().to_string(), "1989");
}

#[test]
fn json_of_the_same_shape_is_the_same_enquiry() {
    let json = r#"{
        "purpose": "early_help",
        "referral": { "agency": "SCH", "reference": "1", "received_at": "2026-03-02T08:15:00Z" },
        "person": [{ "label": "P1", "names": [{ "kind": "alias", "given": "Ann" }], "born": 1992 }]
    }"#;
    let request = loaded("e.JSON", json).unwrap();
    assert_eq!(request.answer_within_s, 0);
    let identity = Identity::from_canonical_bytes(&request.people[0].identity).unwrap();
    assert_eq!(identity.current_name().unwrap().full(), "Ann");
}

#[test]
fn a_reason_to_ask_again_is_taken_without_its_edges_and_not_longer_than_it_may_be() {
    let sample = std::fs::read_to_string(sample()).unwrap();
    let with = |reason: &str| format!("again_because = \"{reason}\"\n{sample}");
    assert_eq!(loaded("e.toml", &sample).unwrap().again_because, "");
    let request = loaded("e.toml", &with(" A second incident. ")).unwrap();
    assert_eq!(request.again_because, "A second incident.");
    assert_eq!(places(&with(&"x".repeat(601))), ["again_because"]);
}
