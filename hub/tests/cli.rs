//! The `hub` program as its users meet it: help, exit codes, files, and a hub that serves.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a fault here is the test's"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use brag_common::{
    peer::TrustDomain,
    time::{Clock as _, SystemClock},
};
use brag_tests::partnership::{COORDINATOR, Partnership};
use serde_json::Value;

fn hub(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hub"))
        .args(arguments)
        .env_remove("BRAG_PROFILE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_not_a_command_exits_with_2() {
    for arguments in [
        &[][..],
        &["dance"],
        &["serve", "--confg", "x"],
        &["init", "somewhere"],
        &["init", "somewhere", "--trust-domain", "Not A Domain"],
        &["enquiry", "show", "E1"],
        &["enquiry", "list", "--limit", "0", "--profile", "p"],
        &["enquiry", "release", "E1", "--holder", "HLT", "--profile", "p"],
        &["agreement", "sign", "a", "--key", "k"],
    ] {
        assert_eq!(hub(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        &["init"][..],
        &["check-config"],
        &["serve"],
        &["agreement", "check"],
        &["agreement", "sign"],
        &["agreement", "decide"],
        &["enquiry", "open"],
        &["enquiry", "show"],
        &["enquiry", "list"],
        &["enquiry", "watch"],
        &["enquiry", "release"],
    ] {
        let help = hub(&[command, &["--help"]].concat());
        assert_eq!(help.status.code(), Some(0), "{command:?}");
        assert!(out(&help).contains(&format!("Example: hub {}", command.join(" "))), "{command:?}");
    }
    for command in [&["log", "verify"][..], &["log", "show"]] {
        assert_eq!(hub(&[command, &["--help"]].concat()).status.code(), Some(0));
    }
}

#[test]
fn the_help_of_release_names_every_word_of_the_closed_lists() {
    let help = out(&hub(&["enquiry", "release", "--help"]));
    let words = brag_common::agreement::ART6.iter().chain(&brag_common::agreement::GATEWAYS);
    for word in words.chain(&brag_hub::basis_file::CONFIDENTIALITY) {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn a_missing_file_exits_with_1_and_says_which() {
    for arguments in [
        &["serve", "--config", "/nowhere/hub.toml"][..],
        &["enquiry", "list", "--profile", "/nowhere/me.toml"],
        &["enquiry", "open", "/nowhere/e.toml", "--profile", "/nowhere/me.toml"],
        &["agreement", "check", "/nowhere/agreement.toml"],
    ] {
        let output = hub(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(err(&output).contains("/nowhere/"), "{}", err(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn decide_agrees_with_every_case_of_the_corpus() {
    let corpus = repository("tests/corpus/agreements/exampleshire");
    let agreement = corpus.join("agreement.toml");
    let mut n_cases = 0;
    for case in fs::read_dir(&corpus).unwrap() {
        let case = case.unwrap().path();
        if case.extension().is_some_and(|end| end == "json") {
            let decided = hub(&["agreement", "decide", text(&agreement), text(&case), "--check"]);
            assert_eq!(decided.status.code(), Some(0), "{}", out(&decided));
            n_cases += 1;
        }
    }
    assert!(n_cases >= 6, "{n_cases}");
}

#[test]
fn init_never_overwrites_and_makes_private_keys() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("hub");
    let first = hub(&["init", text(&dir), "--trust-domain", "ex.test"]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert!(out(&first).contains("[hub.keys]\ntls = \"spiffe://ex.test/hub\"\nsigning = \""));
    let read = || -> BTreeMap<PathBuf, Vec<u8>> {
        let keys = fs::read_dir(dir.join("keys")).unwrap().map(|entry| entry.unwrap().path());
        keys.chain([dir.join("hub.toml")]).map(|p| (p.clone(), fs::read(p).unwrap())).collect()
    };
    let before = read();
    assert_eq!(before.len(), 5);
    for path in before.keys().filter(|path| path.extension().is_some_and(|end| end == "key")) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = hub(&["init", text(&dir), "--trust-domain", "ex.test", "--json"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("hub.toml") && again.stdout.is_empty());
    assert_eq!(read(), before);

    // One file alone is enough to leave everything as it is.
    fs::remove_file(dir.join("hub.toml")).unwrap();
    assert_eq!(hub(&["init", text(&dir), "--trust-domain", "ex.test"]).status.code(), Some(1));
    assert!(!dir.join("hub.toml").exists());
}

#[test]
fn check_config_tells_several_faults_at_once_each_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("hub");
    hub(&["init", text(&dir), "--trust-domain", "ex.test"]);
    fs::set_permissions(dir.join("keys/log.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(dir.join("keys/store.key")).unwrap();
    let config = dir.join("hub.toml");
    let changed = fs::read_to_string(&config).unwrap().replace("127.0.0.1:7480", "0.0.0.0:7480");
    fs::write(&config, changed).unwrap();
    let checked = hub(&["check-config", "--config", text(&config), "--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let document = json(&checked);
    assert_eq!(document["ok"], false);
    let problems = document["problems"].as_array().unwrap();
    let checks: Vec<_> = problems.iter().map(|p| p["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["admin_listen", "staff", "keys.store", "keys.log", "agreement", "tls"]);
    assert!(problems.iter().all(|problem| !problem["remedy"].as_str().unwrap().is_empty()));
    let shown = out(&hub(&["check-config", "--config", text(&config)]));
    assert!(shown.contains("chmod 600") && shown.contains("6 problem(s)"), "{shown}");
}

#[test]
fn an_enquiry_file_with_faults_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.toml");
    let sample = fs::read_to_string(repository("deploy/samples/enquiry.toml")).unwrap();
    let spoilt = sample
        .replace("\"child_safeguarding\"", "\"curiosity\"")
        .replace("1992-03-04", "1792-03-04");
    fs::write(&file, spoilt).unwrap();
    // There is no such profile: the file is looked at first.
    let output = hub(&["enquiry", "open", text(&file), "--profile", "/nowhere/me.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = err(&output);
    assert!(shown.contains("purpose: ") && shown.contains("person[1].born: "), "{shown}");
    assert!(!shown.contains("1792") && !shown.contains("Nadia"), "{shown}");
}

/// A hub that serves in a process of its own, without any node.
struct Running {
    child: Child,
    listen: String,
}

impl Running {
    fn start(config: &Path, ready: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hub"))
            .args(["serve", "--config", text(config), "--ready-file", text(ready)])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while !ready.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the hub ended");
            assert!(Instant::now() < end, "the hub did not get ready");
            std::thread::yield_now();
        }
        let document: Value = serde_json::from_slice(&fs::read(ready).unwrap()).unwrap();
        assert!(document["admin"].as_str().unwrap().starts_with("127.0.0.1:"));
        Self { child, listen: document["listen"].as_str().unwrap().to_owned() }
    }

    fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_hub_serves_an_enquiry_to_its_co_ordinator_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let partnership = Partnership::create(folder.path(), SystemClock.now(), |_| {}).unwrap();
    let nobody = "127.0.0.1:9".parse().unwrap();
    let nodes = partnership.agencies().iter().map(|agency| (agency.clone(), nobody)).collect();
    let config = partnership.write_hub_config("127.0.0.1:0".parse().unwrap(), &nodes).unwrap();
    let checked = hub(&["check-config", "--config", text(&config)]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));

    let running = Running::start(&config, &folder.path().join("ready.json"));
    let domain: &TrustDomain = partnership.ca().trust_domain();
    let address = running.listen.parse().unwrap();
    let profile = partnership.write_profile(COORDINATOR, &domain.hub(), address).unwrap();
    let stranger = partnership.write_profile("some.body", &domain.hub(), address).unwrap();
    let profile = ["--profile", text(&profile)];

    let refused = hub(&["enquiry", "list", "--profile", text(&stranger)]);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert!(err(&refused).contains("not_staff"), "{}", err(&refused));

    let sample = repository("deploy/samples/enquiry.toml");
    let open = [&["enquiry", "open", text(&sample), "--json"], &profile[..]].concat();
    let opened = hub(&open);
    assert_eq!(opened.status.code(), Some(0), "{}", err(&opened));
    let enquiry = json(&opened)["enquiry"].as_str().unwrap().to_owned();

    let shown = hub(&[&["enquiry", "show", &enquiry, "--json"], &profile[..]].concat());
    let document = json(&shown);
    assert_eq!(document["people"][0]["name"], "Nadia Brookes");
    assert_eq!(document["cells"].as_array().unwrap().len(), 3 * partnership.agencies().len());
    assert!(document.get("family_level").is_none(), "silence is not a colour");

    let table = hub(&[&["enquiry", "show", &enquiry], &profile[..]].concat());
    assert!(!out(&table).contains('\x1b'), "colour on a terminal only");
    let list = hub(&[&["enquiry", "list"], &profile[..]].concat());
    assert!(out(&list).contains(&enquiry));
    let unknown = hub(&[&["enquiry", "show", "E-none"], &profile[..]].concat());
    assert_eq!(unknown.status.code(), Some(1), "{}", err(&unknown));

    // The holder can not be reached: nothing is decided, and that is a failure, not a refusal.
    let basis = repository("deploy/samples/basis.toml");
    let release = [
        &["enquiry", "release", &enquiry, "--holder", "HLT", "--person", "P1"][..],
        &["--category", "C06", "--to", "CSC,POL", "--basis", text(&basis)],
        &profile,
    ]
    .concat();
    let silent = hub(&release);
    assert_eq!(silent.status.code(), Some(1), "{}", err(&silent));
    assert!(out(&silent).contains("NO DECISION NO_RESPONSE"), "{}", out(&silent));

    assert_eq!(running.stop("-TERM"), Some(0));
    let log = partnership.hub_folder().join("data/log/1");
    let verified = hub(&["log", "verify", text(&log), "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{}", out(&verified));
    let entries = json(&hub(&["log", "show", text(&log), "--enquiry", &enquiry, "--json"]));
    let actions: Vec<_> =
        entries["entries"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    for action in ["enquiry_opened", "report_read", "release_asked", "no_response"] {
        assert!(actions.iter().any(|found| *found == action), "{action}: {actions:?}");
    }
    let log = fs::read_dir(&log).unwrap().flat_map(|file| fs::read(file.unwrap().path()).unwrap());
    let log: Vec<u8> = log.collect();
    assert!(!log.windows(7).any(|window| window == b"Brookes"), "nobody is named in the log");
}
