//! The demo, run as the program it is: what it refuses, how it ends, and what it leaves behind.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use brag_tests::scenario::S1;

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
