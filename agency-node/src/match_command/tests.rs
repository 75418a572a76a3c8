use std::fs;

use clap::Parser as _;
use serde_json::Value;

use crate::cli::{self, Cli};

const HEADER: &str = "record,id,given,family,born,nhs,house,postcode\n";

fn run(arguments: &[&str]) -> (anyhow::Result<cli::Exit>, String) {
    let mut out = Vec::new();
    let cli = Cli::try_parse_from([&["agency-node", "match"], arguments].concat()).unwrap();
    let ended = cli::run(cli, &mut out);
    (ended, String::from_utf8(out).unwrap())
}

/// Files with Nadia on both sides, misspelt; Theo and his twin; and a stranger.
fn files() -> (tempfile::TempDir, [String; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let left = format!(
        "{HEADER}person,a1,Nadia,Brookes,1992-03-04,999 000 0018,3 Mill Lane,ZZ1 2AB\n\
         person,a2,Theo,Pell,2016-03-04,,9 High Street,ZZ2 2AB\nperson,a3,Grace,Adeyemi,1971-08-09,,1,ZZ9 1AA\n"
    );
    let right = format!(
        "{HEADER}person,b1,Nadja,Brooks,1992-03-04,999 000 0018,3 Mill Lane,ZZ1 2AB\n\
         person,b2,Isla,Pell,2016-03-04,,9 High Street,ZZ2 2AB\n"
    );
    let files = [
        write("left.csv", left),
        write("right.csv", right),
        write("truth.csv", "left_id,right_id\na1,b1\n".to_owned()),
    ];
    (folder, files)
}

#[test]
fn a_file_that_is_not_there_or_names_nobody_fails() {
    let (folder, [left, right, _]) = files();
    let missing = folder.path().join("none").display().to_string();
    let (ended, _) = run(&["eval", "--left", &left, "--right", &right, "--truth", &missing]);
    assert!(ended.is_err());
    let wrong = folder.path().join("wrong.csv").display().to_string();
    fs::write(&wrong, "left_id,right_id\na1,nobody\n").unwrap();
    let (ended, _) = run(&["eval", "--left", &left, "--right", &right, "--truth", &wrong]);
    assert!(ended.is_err());
}

#[test]
fn the_person_is_found_and_the_twin_is_not_disclosed() {
    let (_folder, [left, right, truth]) = files();
    let arguments = ["eval", "--left", &left, "--right", &right, "--truth", &truth, "--json"];
    let (ended, out) = run(&arguments);
    assert_eq!(ended.unwrap(), cli::Exit::Done);
    let measured: Value = serde_json::from_str(&out).unwrap();
    let all = &measured["all"];
    assert_eq!(all["queries"]["unknown"], 2);
    assert_eq!(all["screen"]["right"], 1);
    assert_eq!(all["disclosed_for_unknown"], 0);
    assert_eq!(all["confirmed"]["right"], 1);
    assert_eq!(all["confirmed"]["wrong"], 0);
    assert!(!out.contains("Nadia") && !out.contains("9990000018"));
}

#[test]
fn learned_weights_read_back() {
    let (folder, [left, right, truth]) = files();
    let weights = folder.path().join("weights.toml").display().to_string();
    let (ended, _) = run(&["train", "--left", &left, "--right", &right, "--out", &weights]);
    assert_eq!(ended.unwrap(), cli::Exit::Done);
    let arguments =
        ["eval", "--left", &left, "--right", &right, "--truth", &truth, "--weights", &weights];
    let (ended, out) = run(&arguments);
    assert_eq!(ended.unwrap(), cli::Exit::Done);
    assert!(out.contains("screen: disclosed"));
}

#[test]
fn duplicates_are_listed_by_id_and_twins_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.csv");
    let text = format!(
        "{HEADER}person,c1,Nadia,Brookes,1992-03-04,,3 Mill Lane,ZZ1 2AB\n\
         person,c2,Nadia,Brooks,1992-03-04,,3 Mill Lane,ZZ1 2AB\n\
         person,c3,Theo,Pell,2016-03-04,,9,ZZ2 2AB\nperson,c4,Isla,Pell,2016-03-04,,9,ZZ2 2AB\n"
    );
    fs::write(&file, text).unwrap();
    let (ended, out) = run(&["duplicates", "--file", &file.display().to_string(), "--json"]);
    assert_eq!(ended.unwrap(), cli::Exit::Done);
    let found: Value = serde_json::from_str(&out).unwrap();
    let same: Vec<&Value> =
        found["pairs"].as_array().unwrap().iter().filter(|pair| pair["result"] == "same").collect();
    assert_eq!(same.len(), 1, "{out}");
    assert_eq!((same[0]["one"].as_str(), same[0]["other"].as_str()), (Some("c1"), Some("c2")));
}
