//! The demo, run as the program it is. What it printed is compared here with scenario S1 by hand and with the decision
//! cases of the corpus, not with the scenario file that it plays.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use brag_tests::scenario::S1;
use serde_json::Value;

const CASES: &str = include_str!("../corpus/agreements/exampleshire/s1.json");

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    demo(args).output().unwrap()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first check's cells of an agency, in the order of the people.
fn cells<'a>(report: &'a Value, agency: &str) -> Vec<&'a str> {
    let lines = report["checks"][0]["matrix"].as_array().unwrap();
    let line = lines.iter().find(|line| line["agency"] == agency).unwrap();
    line["cells"].as_array().unwrap().iter().map(|cell| cell["found"].as_str().unwrap()).collect()
}

#[test]
fn a_scenario_with_faults_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    let line = S1[..S1.find("role = \"victim\"").unwrap()].matches('\n').count() + 1;
    std::fs::write(&file, S1.replacen("role = \"victim\"", "role = \"witness\"", 1)).unwrap();
    let output = run(&["--scenario", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output.stderr);
    assert!(said.contains(&format!("bad.toml:{line}: ")), "{said}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    let output = run(&["--data", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Everything is asserted of one run, because a run takes ten seconds: first what must not be, then what must.
#[test]
fn s1_comes_out_as_it_is_written() {
    let output = run(&["--json", "--people", "300"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        words(&output.stderr),
        words(&output.stdout)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let nobody = ["NK"; 6];
    for agency in ["MHT", "PRO", "EHT", "ASC", "CAM", "YOS", "MRC"] {
        assert_eq!(cells(&report, agency), nobody, "{agency}");
    }
    assert_eq!(cells(&report, "POL"), ["A", "A", "G", "G", "G", "NK"]);
    assert_eq!(cells(&report, "CSC"), ["G", "G", "G", "G", "G", "NK"]);
    assert_eq!(cells(&report, "HLT"), ["A", "NK", "G", "G", "G", "NK"]);
    assert_eq!(cells(&report, "EDU"), ["NK", "NK", "A", "G", "NK", "NK"]);
    assert_eq!(cells(&report, "HOU"), ["G", "G", "NK", "NK", "NK", "NK"]);
    assert_eq!(cells(&report, "DAS"), ["R", "R", "A", "A", "A", "NK"]);
    assert_eq!(cells(&report, "SMS"), ["NK", "R", "R via P2", "R via P2", "R via P2", "NK"]);
    let levels = report["checks"][0]["levels"].as_array().unwrap();
    let levels: Vec<&Value> = levels.iter().map(|level| &level["found"]).collect();
    assert_eq!(levels, ["R", "R", "R", "R", "R", "-"]);

    let rows = report["releases"].as_array().unwrap();
    let row = |id: &str, recipient: &str| {
        let found = rows.iter().find(|row| row["id"] == id && row["recipient"] == recipient);
        found.unwrap_or_else(|| panic!("no row {id} to {recipient}"))
    };
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let mut n_compared = 0;
    for request in cases["requests"].as_array().unwrap() {
        let id = request["id"].as_str().unwrap();
        for (recipient, expected) in request["expect"].as_object().unwrap() {
            let decided = &row(id, recipient)["decided"];
            assert_eq!(decided["decision"], expected["decision"], "{id} {recipient}");
            if let Some(reason) = expected["reason"].as_str() {
                assert_eq!(decided["reason"], reason, "{id} {recipient}");
            }
            if let Some(approvals) = expected["approvals"].as_u64() {
                assert_eq!(decided["approvals"], approvals, "{id} {recipient}");
            }
            n_compared += 1;
        }
    }
    assert_eq!(n_compared, 24);
    assert_eq!(row("1.2", "CSC")["finally"]["reason"], "APPROVER_REFUSED");
    assert_eq!(row("1.5b", "DAS")["finally"]["decision"], "review");
    let released = &row("1.11", "CSC")["finally"];
    assert_eq!(released["decision"], "release");
    let obligations = released["obligations"].as_array().unwrap();
    assert!(obligations.iter().any(|obligation| obligation == "NO_HOME_CONTACT"));
    let n_opened = rows.iter().filter(|row| row["opened"]["ok"] == true).count();
    assert_eq!(n_opened, 15);

    assert_eq!(report["logs"].as_array().unwrap().len(), 15);
    for sweep in report["sweeps"].as_array().unwrap() {
        assert_eq!(sweep["leaks"].as_array().unwrap().len(), 0);
        assert!(sweep["n_files"].as_u64().unwrap() > 100);
    }
    assert_eq!(report["passed"], true);
}

#[test]
fn a_wrong_expectation_ends_with_1_and_names_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    let wrong = S1.replace(
        "expect.CSC = { decision = \"deny\", reason = \"THRESHOLD_NOT_MET\" }",
        "expect.CSC = { decision = \"deny\", reason = \"CONSENT_REQUIRED\" }",
    );
    assert_ne!(wrong, S1);
    std::fs::write(&file, wrong).unwrap();
    let output = run(&["--scenario", file.to_str().unwrap(), "--people", "60"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output.stderr));
    let said = words(&output.stdout);
    let difference = "row 1.10 to CSC: reason: expected CONSENT_REQUIRED, found THRESHOLD_NOT_MET";
    assert!(said.contains(difference), "{said}");
    assert!(!said.contains('\x1b'), "no terminal, no colours");
}

#[test]
fn an_interrupt_stops_every_program_and_leaves_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(&["--people", "60"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The hub's store is there: the hub has started, and enrolment is under way.
    let deadline = Instant::now() + Duration::from_secs(60);
    let hub_runs = |folder: &Path| {
        let mut data = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        data.any(|data| data.join("captured/hub.ready").exists())
    };
    while !hub_runs(folder.path()) {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // Every program's command line names the folder; none may be left.
    let left = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|process| {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(folder.path().to_str().unwrap())
    });
    assert!(!left, "a program still runs");
}
