//! The `agency-node` program as its operator meets it: a process, its exit codes, its texts and its files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here is the test"
)]

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use brag_agency_node::{Config, cli::Cli};
use clap::CommandFactory as _;
use serde_json::{Value, json};

mod connectors;
mod support;

use support::{Folder, agency_node, json, stderr, stdout};

fn commands(command: &clap::Command, path: &[String], all: &mut Vec<(Vec<String>, clap::Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        all.push((path.clone(), sub.clone()));
        commands(sub, &path, all);
    }
}

#[test]
fn every_command_and_option_has_help() {
    let mut all = Vec::new();
    commands(&Cli::command(), &[], &mut all);
    let names: BTreeSet<String> = all.iter().map(|(path, _)| path.join(" ")).collect();
    for expected in [
        "init",
        "check-config",
        "doctor",
        "certificate request",
        "certificate install",
        "certificate show",
        "serve",
        "import",
        "connector list",
        "connector test",
        "connector run",
        "enrol",
        "worklist",
        "rate",
        "confirm-link",
        "state-role",
        "assert",
        "consent record",
        "consent refuse",
        "consent withdraw",
        "consent show",
        "approve",
        "refuse",
        "inbox",
        "news",
        "open",
        "acknowledge",
        "hold set",
        "hold lift",
        "hold list",
        "erase",
        "erasure report",
        "alert list",
        "alert handle",
        "alert entries",
        "log verify",
        "log show",
    ] {
        assert!(names.contains(expected), "{expected}");
    }
    for (path, command) in all {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let help = agency_node(&args);
        assert!(help.status.success(), "{path:?}");
        let text = stdout(&help);
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path:?} {}", arg.get_id());
            if let Some(long) = arg.get_long() {
                assert!(text.contains(&format!("--{long}")), "{path:?} --{long}");
            }
        }
        assert!(command.get_about().is_some(), "{path:?}");
        if path.first().is_none_or(|first| first != "log") {
            assert!(text.contains("Example"), "{path:?} shows no example");
        }
    }
}

#[test]
fn a_command_that_is_not_one_exits_2() {
    let cases: &[&[&str]] = &[
        &[],
        &["sing"],
        &["init", "x"],
        &["rate", "E", "P", "--profile", "p.toml"],
        &["rate", "E", "P", "--colour", "purple", "--analysis", "x", "--profile", "p.toml"],
        &["rate", "E", "P", "--colour", "red", "--profile", "p.toml"],
        &["confirm-link", "E", "A", "neighbour", "B", "--profile", "p.toml"],
        &["assert", "E", "section-47", "--person", "P", "--judgement", "--profile", "p.toml"],
        &["news", "--limit", "1001", "--profile", "p.toml"],
        &["approve", "W", "--redacted", "text", "--profile", "p.toml"],
        &["approve", "W", "--reason", "x", "--profile", "p.toml"],
        &["approve", "W", "--redacted", "-", "--reason", "x", "--as-redacted", "N"],
        &["import"],
    ];
    for args in cases {
        let output = agency_node(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!stderr(&output).is_empty() && stdout(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn what_fails_exits_1_and_says_what_on_standard_error() {
    let cases: &[(&[&str], &str)] = &[
        (&["serve", "--config", "/nowhere/node.toml"], "/nowhere/node.toml"),
        (&["import", "x.csv", "--config", "/nowhere/node.toml"], "/nowhere/node.toml"),
        (&["worklist", "--profile", "/nowhere/me.toml"], "/nowhere/me.toml"),
    ];
    for (args, names) in cases {
        let output = agency_node(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains(names) && stdout(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn init_makes_private_keys_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("node");
    let args = ["init", dir.to_str().unwrap(), "--agency", "CSC", "--trust-domain", "exampleshire"];
    let output = agency_node(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("[party.keys]\ntls = \"spiffe://exampleshire/agency/CSC\""), "{text}");
    let config = Config::load(&dir.join("agency-node.toml")).unwrap();
    assert_eq!(config.agency.as_str(), "CSC");
    let files = || {
        let mut files: Vec<_> = [
            "agency-node.toml",
            "keys/statements.key",
            "keys/sealing.key",
            "keys/store.key",
            "keys/log.key",
            "keys/witness.key",
        ]
        .iter()
        .map(|name| (*name, std::fs::read(dir.join(name)).unwrap()))
        .collect();
        files.sort();
        files
    };
    for (name, _) in files().iter().filter(|(name, _)| name.starts_with("keys/")) {
        let mode = std::fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let before = files();
    let again = agency_node(&args);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("agency-node.toml") && stderr(&again).contains("log.key"));
    assert_eq!(files(), before);
    // One key alone is enough to keep everything as it is.
    std::fs::remove_file(dir.join("agency-node.toml")).unwrap();
    assert_eq!(agency_node(&args).status.code(), Some(1));
    assert!(!dir.join("agency-node.toml").exists());
}

#[test]
fn init_asks_for_a_certificate_with_our_name_and_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("node");
    let args = ["init", dir.to_str().unwrap(), "--agency", "CSC", "--trust-domain", "exampleshire"];
    let refused = agency_node(&[&args[..], &["--host", "not a host"]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    assert!(!dir.exists(), "nothing is half done");
    let made = agency_node(&[&args[..], &["--json", "--host", "node.csc.example"]].concat());
    let made = json(&made);
    assert_eq!(made["hosts"], json!(["node.csc.example"]));
    assert_eq!(made["certificate_request"], json!(dir.join("tls/node.csr")));
    let text = std::fs::read_to_string(dir.join("tls/node.csr")).unwrap();
    assert!(text.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{text}");
    let mode = std::fs::metadata(dir.join("tls/node.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_certificate_is_requested_refused_with_3_installed_and_shown() {
    let folder = Folder::new();
    let requested = folder.run(&["certificate", "request", "--json"]);
    assert_eq!(requested.status.code(), Some(0), "{}", stderr(&requested));
    assert_eq!(json(&requested)["name"], "spiffe://exampleshire/agency/CSC");
    assert_eq!(json(&requested)["hosts"], json!(["localhost", "127.0.0.1", "::1"]));
    let shown = |what: &str| json(&folder.run(&["certificate", "show", "--json"]))[what].clone();
    let before = shown("certificates");
    assert_eq!(shown("new_key_waits"), true);

    let of_another = folder.sign("POL");
    let args = ["certificate", "install", of_another.to_str().unwrap(), "--json"];
    let refused = folder.run(&args);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert_eq!(json(&refused)["code"], "certificate_of_another");
    assert_eq!(shown("certificates"), before);
    let nothing = folder.run(&["certificate", "install", "/nowhere.pem"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("/nowhere.pem"));

    let own = folder.sign("CSC");
    let installed = folder.run(&["certificate", "install", own.to_str().unwrap()]);
    assert_eq!(installed.status.code(), Some(0), "{}", stdout(&installed));
    assert!(stdout(&installed).contains("with its new key"), "{}", stdout(&installed));
    assert_ne!(shown("certificates"), before);
    assert_eq!(shown("new_key_waits"), false);
    assert_eq!(folder.run(&["check-config"]).status.code(), Some(0));
}

#[test]
fn the_doctor_exits_with_1_when_something_is_to_be_done_and_says_what() {
    let folder = Folder::new();
    let looked = folder.run(&["doctor", "--json"]);
    assert_eq!(looked.status.code(), Some(1), "{}", stderr(&looked));
    let looked = json(&looked);
    assert_eq!(looked["ok"], false);
    let findings = looked["findings"].as_array().unwrap();
    let actions: Vec<_> = findings.iter().filter(|found| found["severity"] == "action").collect();
    // The hub of the sample is nowhere; everything else is in order, as far as this machine is.
    for found in &actions {
        let subject = found["subject"].as_str().unwrap();
        assert!(["peer", "disk", "inodes"].contains(&subject), "{found:#}");
        assert!(!found["remedy"].as_str().unwrap().is_empty());
    }
    assert!(actions.iter().any(|found| found["subject"] == "peer"), "{looked:#}");
    let text = stdout(&folder.run(&["doctor"]));
    assert!(text.contains("to do  peer: the hub at") && text.contains("mend: "), "{text}");
}

#[test]
fn check_config_says_everything_that_is_wrong_at_once() {
    let folder = Folder::new();
    let keys = folder.path().join("node/keys");
    std::fs::set_permissions(keys.join("store.key"), PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::remove_file(keys.join("log.key")).unwrap();
    std::fs::remove_file(folder.path().join("node/tls/node.pem")).unwrap();
    let config = std::fs::read_to_string(folder.config()).unwrap();
    let config = config
        .replace("admin_listen = \"127.0.0.1:0\"", "admin_listen = \"0.0.0.0:0\"")
        .replace("https://hub", "http://hub");
    std::fs::write(folder.config(), config).unwrap();
    let output = folder.run(&["check-config", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = json(&output);
    assert_eq!(found["ok"], false);
    let subjects: BTreeSet<&str> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert!(!problem["remedy"].as_str().unwrap().is_empty());
            problem["subject"].as_str().unwrap()
        })
        .collect();
    let expected = ["admin_listen", "hub.endpoint", "keys.log", "keys.store", "tls"];
    assert_eq!(subjects, BTreeSet::from(expected), "{found:#}");
    let text = stdout(&folder.run(&["check-config"]));
    assert!(text.contains("5 problems") && text.contains("to do: "), "{text}");
}

#[test]
fn check_config_names_the_key_and_line_of_a_mistake_in_the_file() {
    let folder = Folder::new();
    let config = std::fs::read_to_string(folder.config()).unwrap();
    std::fs::write(folder.config(), config.replace("[hub]", "[hub]\nport = 1")).unwrap();
    let output = folder.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("hub.port"), "{}", stdout(&output));
}

#[test]
fn check_config_finds_a_whole_node_in_order() {
    let folder = Folder::new();
    let output = folder.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(!folder.path().join("node/data").exists(), "a check changes nothing");
}

#[test]
fn an_agreement_that_names_another_key_is_a_problem() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path().join("node/keys/statements.key")).unwrap();
    let key = brag_common::keys::SigningKey::generate().unwrap();
    let path = folder.path().join("node/keys/statements.key");
    brag_common::keyfile::write_signing_key(&path, &key).unwrap();
    let found = json(&folder.run(&["check-config", "--json"]));
    assert_eq!(found["problems"][0]["subject"], "agreement", "{found:#}");
}

#[test]
fn import_rejects_bad_rows_exits_1_with_a_count_and_again_changes_nothing() {
    let folder = Folder::new();
    let mut file = b"record,id,given,family,born\nperson,1,Nadia,Brookes,1992-03-04\n".to_vec();
    file.extend_from_slice(b"person,2,Th\xffo,Pell,2016-03-04\n"); // a bad byte
    file.extend_from_slice(b"person,3,Isla,Pell,2016-02-30\n"); // a bad date
    file.extend_from_slice(b"person,1,Grace,Adeyemi,1971-08-09\n"); // a duplicate id
    file.extend_from_slice(b"person,4,Omar\n"); // missing columns
    file.extend_from_slice(b"person,5,");
    file.extend(std::iter::repeat_n(b'x', 10_000_000)); // 10 MB
    file.extend_from_slice(b",Pell,2016-03-04\nperson,6,Omar,Hale,1988\n");
    let people = folder.path().join("people.csv");
    let rejects = folder.path().join("rejects.csv");
    std::fs::write(&people, file).unwrap();
    let args =
        ["import", people.to_str().unwrap(), "--rejects", rejects.to_str().unwrap(), "--json"];

    let dry = folder.run(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(json(&dry)["rows"]["new"], 2);
    let first = folder.run(&args);
    assert_eq!(first.status.code(), Some(1), "{}", stderr(&first));
    let rows = |new, unchanged| json!({"read": 7, "new": new, "changed": 0, "unchanged": unchanged, "rejected": 5});
    assert_eq!(json(&first)["rows"], rows(2, 0));
    let list = std::fs::read_to_string(&rejects).unwrap();
    let lines: Vec<&str> =
        list.lines().map(|line| line.rsplit_once(".csv\",").map_or(line, |x| x.1)).collect();
    let expected = ["file,line,field,reason", "3,given,", "4,born,", "5,id,", "6,,", "7,given,"];
    assert_eq!(lines.len(), expected.len(), "{list}");
    assert!(lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{list}");
    for personal in ["Nadia", "Isla", "Grace", "Omar", "xxx"] {
        assert!(!list.contains(personal));
    }
    let second = folder.run(&args);
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(json(&second)["rows"], rows(0, 2));
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), list);

    let log = folder.path().join("node/data/log/1");
    let shown = agency_node(&[
        "log",
        "show",
        log.to_str().unwrap(),
        "--action",
        "records_imported",
        "--json",
    ]);
    let text = stdout(&shown);
    assert_eq!(text.matches("records_imported").count(), 2, "{text}");
    assert_eq!(agency_node(&["log", "verify", log.to_str().unwrap()]).status.code(), Some(0));
    // The folder above holds every shard. The one above that holds no log: that is not the same as a log with nothing in it.
    let shards = log.parent().unwrap();
    assert_eq!(agency_node(&["log", "show", shards.to_str().unwrap()]).status.code(), Some(0));
    let above = shards.parent().unwrap().to_str().unwrap();
    assert_eq!(agency_node(&["log", "show", above]).status.code(), Some(1));
}

#[test]
fn an_unusable_file_exits_1_and_what_came_before_it_stays() {
    let folder = Folder::new();
    let good = folder.path().join("good.csv");
    let bad = folder.path().join("bad.csv");
    std::fs::write(&good, "record,id,given,family\nperson,1,Nadia,Brookes\n").unwrap();
    std::fs::write(&bad, "record,given,family\nperson,Nadia,Brookes\n").unwrap();
    let args = ["import", good.to_str().unwrap(), bad.to_str().unwrap(), "--json"];
    let output = folder.run(&args);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    assert_eq!(told["rows"]["new"], 1);
    assert!(told["failed"]["problem"].as_str().unwrap().contains("`id` is missing"), "{told:#}");
}

#[test]
fn likely_duplicates_of_the_store_are_listed_by_id_and_relatives_are_not() {
    let folder = Folder::new();
    let people = folder.path().join("people.csv");
    let rows = "record,id,given,family,born,sex,nhs,house,postcode\n\
         person,1,Nadia,Brookes,1992-03-04,female,,3 Mill Lane,ZZ1 2AB\n\
         person,2,Nadia,Brooks,1992-03-04,female,,3 Mill Lane,ZZ1 2AB\n\
         person,3,Isla,Pell,2016-03-04,female,,9 High Street,ZZ2 2AB\n\
         person,4,Theo,Pell,2016-03-04,male,,9 High Street,ZZ2 2AB\n\
         person,5,Grace,Adeyemi,1971-08-09,female,943 476 5919,1 High Street,ZZ9 1AA\n\
         person,6,G,Adeyemi-Hale,,,943 476 5919,,\n";
    std::fs::write(&people, rows).unwrap();
    assert!(folder.run(&["import", people.to_str().unwrap()]).status.success());
    let listed = folder.run(&["match", "duplicates", "--json"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    let mut found = json(&listed);
    assert_eq!(found["people"], 6);
    // Any digits may stand in the time that it took.
    found.as_object_mut().unwrap().remove("seconds");
    let mut pairs: Vec<[String; 3]> = found["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| ["one", "other", "result"].map(|key| pair[key].as_str().unwrap().to_owned()))
        .collect();
    for pair in &mut pairs {
        pair[..2].sort();
    }
    assert!(pairs.contains(&["1", "2", "same"].map(str::to_owned)), "{pairs:?}");
    assert!(pairs.iter().any(|[one, other, _]| (one.as_str(), other.as_str()) == ("5", "6")));
    assert!(!pairs.iter().any(|[one, _, result]| one == "3" && result == "same"), "{pairs:?}");
    let text = stdout(&folder.run(&["match", "duplicates"]));
    assert!(text.contains("among 6 people."), "{text}");
    for personal in ["Nadia", "Brook", "Pell", "943", "1992"] {
        assert!(!text.contains(personal) && !found.to_string().contains(personal), "{personal}");
    }
}

/// A served node; killed when dropped.
struct Served {
    child: Child,
    listen: String,
    admin: String,
}

impl Served {
    fn start(folder: &Folder) -> Self {
        let ready = folder.path().join("ready.json");
        let child = Command::new(env!("CARGO_BIN_EXE_agency-node"))
            .args(["serve", "--config", folder.config().to_str().unwrap()])
            .args(["--ready-file", ready.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut served = Self { child, listen: String::new(), admin: String::new() };
        let found = served.wait_for(&ready);
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        (served.listen, served.admin) = (text("listen"), text("admin"));
        served
    }

    fn wait_for(&mut self, ready: &Path) -> Value {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(bytes) = std::fs::read(ready) {
                return serde_json::from_slice(&bytes).unwrap();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                let lines = BufReader::new(self.child.stderr.take().unwrap()).lines();
                panic!("ended with {status}: {:?}", lines.collect::<Vec<_>>());
            }
            assert!(Instant::now() < until, "not ready in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_served_node_answers_its_staff_and_stops_cleanly_on_sigterm() {
    let folder = Folder::new();
    let mut served = Served::start(&folder);
    assert!(!served.admin.is_empty());
    let endpoint = format!("https://{}", served.listen);
    let assessor = folder.profile("j.okafor", &endpoint);
    let list = agency_node(&["worklist", "--profile", assessor.to_str().unwrap(), "--json"]);
    assert_eq!(list.status.code(), Some(0), "{}", stderr(&list));
    assert_eq!(json(&list), json!({"ratings": [], "reviews": [], "challenges": []}));
    let inbox = agency_node(&["inbox", "--profile", assessor.to_str().unwrap()]);
    assert_eq!(stdout(&inbox), "The inbox is empty.\n");
    let news = agency_node(&["news", "--limit", "5", "--profile", assessor.to_str().unwrap()]);
    assert_eq!(stdout(&news), "There is no news.\n");

    // A refusal by rule says its code and exits 3; something that is not there exits 1.
    let stranger = folder.profile("a.stranger", &endpoint);
    let refused = agency_node(&["worklist", "--profile", stranger.to_str().unwrap(), "--json"]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert_eq!(json(&refused)["refused"]["code"], "not_staff");
    let approve = agency_node(&["approve", "W1", "--profile", assessor.to_str().unwrap()]);
    assert_eq!(approve.status.code(), Some(3));
    assert!(stdout(&approve).contains("role_missing"), "{}", stdout(&approve));
    let rate = agency_node(&[
        "rate",
        "E1",
        "P1",
        "--colour",
        "red",
        "--analysis",
        "Worried.",
        "--profile",
        assessor.to_str().unwrap(),
    ]);
    assert_eq!(rate.status.code(), Some(1));
    assert!(stderr(&rate).contains("(not_found)"), "{}", stderr(&rate));

    // What works on the store says plainly that the node is in the way.
    let people = folder.path().join("people.csv");
    std::fs::write(&people, "record,id,given,family\nperson,1,Nadia,Brookes\n").unwrap();
    let import = folder.run(&["import", people.to_str().unwrap()]);
    assert_eq!(import.status.code(), Some(1));
    assert!(stderr(&import).contains("stop the node first"), "{}", stderr(&import));

    served.signal("-TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    let log = folder.path().join("node/data/log/1");
    let shown = agency_node(&["log", "show", log.to_str().unwrap(), "--json"]);
    assert!(stdout(&shown).contains("service_stopped"));
    assert!(folder.run(&["import", people.to_str().unwrap()]).status.success());
}

#[test]
fn a_served_node_stops_cleanly_on_sigint() {
    let folder = Folder::new();
    let mut served = Served::start(&folder);
    served.signal("-INT");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_node_that_is_not_there_exits_1() {
    let folder = Folder::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let profile = folder.profile("j.okafor", &endpoint);
    let output = agency_node(&["inbox", "--profile", profile.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("can not be reached"), "{}", stderr(&output));
}

#[test]
fn the_sample_configurations_are_read_and_the_advanced_one_has_every_option() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config/agency-node");
    Config::load(&folder.join("basic.toml")).unwrap();
    let advanced = Config::load(&folder.join("advanced.toml")).unwrap();
    // Debug shows every field of the parsed configuration; each has to be written in the file.
    let shown = format!("{advanced:#?}");
    let text = std::fs::read_to_string(folder.join("advanced.toml")).unwrap();
    let written: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| {
            let line = line.trim_start_matches('[').trim_end_matches(']');
            let name = (!line.starts_with('#')).then(|| line.split(" =").next()).flatten()?;
            // A table within a table is written with the name of both.
            name.rsplit('.').next()
        })
        .collect();
    let mut n_fields = 0;
    for field in shown.lines().filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
    {
        if field.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            n_fields += 1;
            assert!(written.contains(field), "`{field}` is not in advanced.toml");
        }
    }
    assert!(n_fields > 15, "{shown}");
}
