use std::fs;

use brag_common::{audit::entry::Party, store_key};
use clap::Parser as _;
use serde_json::Value;

use crate::{
    agreement_command::Exit,
    cli::{self, Cli},
    config::Config,
    report::testkit::{EnteredPerson, Entries, agreement_file, fill, html_faults, kept_enquiry},
    store::Store,
};

/// A log of one enquiry, and a hub's folder with the store to it.
struct Office {
    folder: tempfile::TempDir,
    log: String,
    config: String,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Entries::new();
        log.at("2027-02-09T09:00:00Z");
        log.opened("e1", "child_safeguarding", 2);
        log.flag("e1", "s47_clock_started");
        for (person, agency, said) in
            [("p1", "POL", "rated"), ("p1", "CSC", "rated"), ("p2", "POL", "not_known")]
        {
            log.answered("e1", person, agency, said);
        }
        log.silent("e1", "p2", "CSC");
        log.refused("e1", "NFA_BLOCKED");
        log.closed("e1", "child_protection_plan", None, Some(0));
        let dir = log.write(&Party::Hub, folder.path());
        let hub = folder.path().join("the-hub");
        let config = hub.join("hub.toml");
        let office = Self {
            log: dir.to_str().unwrap().to_owned(),
            config: config.to_str().unwrap().to_owned(),
            folder,
        };
        let (exit, _) =
            office.hub(&["init", hub.to_str().unwrap(), "--trust-domain", "exampleshire"]);
        assert_eq!(exit.unwrap(), Exit::Done.code());
        office
    }

    fn with_store() -> Self {
        let office = Self::new();
        let store = office.store();
        let ratings: &[(&str, &str)] = &[("POL", "green"), ("CSC", "red")];
        let people: &[EnteredPerson<'_>] = &[("p1", Some("green"), ratings), ("p2", None, &[])];
        fill(
            &store,
            &[
                kept_enquiry("e1", "2027-02-09T09:00:00Z", people, &[]),
                kept_enquiry("e2", "2027-09-09T09:00:00Z", people, &["e1"]),
            ],
        );
        drop(store);
        office
    }

    fn store(&self) -> Store {
        let config = Config::load(self.config.as_ref()).unwrap();
        let data = config.data.as_path();
        fs::create_dir_all(data).unwrap();
        let key = store_key::open(data, config.keys.store.as_path()).unwrap();
        Store::open(data, &config.enquiry_key_folder(), &key).unwrap()
    }

    fn hub(&self, arguments: &[&str]) -> (anyhow::Result<u8>, String) {
        let agreement = agreement_file();
        let arguments = arguments.iter().map(|argument| match *argument {
            "LOG" => self.log.as_str(),
            "CONFIG" => self.config.as_str(),
            "AGREEMENT" => agreement.to_str().unwrap(),
            other => other,
        });
        let cli = Cli::try_parse_from(["hub"].into_iter().chain(arguments)).unwrap();
        let mut out = Vec::new();
        let exit = cli::run(&cli, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    fn performance(&self, more: &[&str]) -> (anyhow::Result<u8>, String) {
        let mut arguments = vec!["report", "performance", "--log", "LOG"];
        arguments.extend(["--agreement", "AGREEMENT", "--month", "2027-02"]);
        arguments.extend(more);
        self.hub(&arguments)
    }

    fn made(&self, more: &[&str]) -> String {
        let (exit, out) = self.performance(more);
        assert_eq!(exit.unwrap(), 0, "{out}");
        out
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let office = Office::new();
    let data = Config::load(office.config.as_ref()).unwrap().data.as_path().join("store");
    let (exit, _) = office.performance(&["--config", "CONFIG"]);
    assert!(format!("{:#}", exit.unwrap_err()).contains("no store"));
    assert!(!data.exists());
}

#[test]
fn the_store_of_a_hub_that_runs_is_not_read() {
    let office = Office::with_store();
    let _running = office.store();
    let (exit, _) = office.performance(&["--config", "CONFIG"]);
    assert!(format!("{:#}", exit.unwrap_err()).contains("while the hub is stopped"));
}

#[test]
fn a_figure_that_is_not_there_is_not_explained_and_others_are_given_no_explanation() {
    let office = Office::new();
    let (exit, _) = office.performance(&["--explain", "colours.POL.green"]);
    assert!(exit.unwrap_err().to_string().contains("no figure `colours.POL.green`"));
    let both =
        ["hub", "report", "performance", "--log", "x", "--agreement", "y", "--month", "2027-02"];
    let both = both.into_iter().chain(["--shared", "--explain", "totals.closed"]);
    assert!(Cli::try_parse_from(both).is_err());
}

#[test]
fn every_figure_is_explained_by_as_many_things_as_it_says_and_by_entries_that_exist() {
    let office = Office::with_store();
    let document: Value =
        serde_json::from_str(&office.made(&["--config", "CONFIG", "--json"])).unwrap();
    let sections = document["sections"].as_array().unwrap().iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().unwrap());
    let mut figures = Vec::new();
    for table in blocks.filter_map(|block| block.get("table")) {
        let is_to_date = table["id"].as_str().unwrap().ends_with("-to-date");
        for row in table["rows"].as_array().unwrap() {
            let counts: Vec<u64> =
                row["cells"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            for (n, name) in row["figures"].as_array().unwrap().iter().enumerate() {
                figures.push((name.as_str().unwrap(), counts[n], is_to_date));
            }
        }
    }
    assert!(figures.len() > 60, "{}", figures.len());
    for name in ["colours.POL.green", "uprated.cases.uprated", "closing.NFA_BLOCKED"] {
        assert!(figures.iter().any(|(found, n, _)| *found == name && *n == 1), "{name}");
    }
    // Opening the store takes a moment each time; a third of them tells as much.
    for (name, n, is_to_date) in figures.iter().step_by(3) {
        let out = office.made(&["--config", "CONFIG", "--json", "--explain", name]);
        let explained: Value = serde_json::from_str(&out).unwrap();
        let span = if *is_to_date { "to_date" } else { "in_period" };
        assert_eq!(explained[span], *n, "{name}");
        assert!(!explained["means"].as_str().unwrap().is_empty(), "{name}");
        for unit in explained["counted"].as_array().unwrap() {
            let entries = unit["entries"].as_array().unwrap();
            assert!(!entries.is_empty(), "{name}");
            assert!(entries.iter().all(|entry| entry["seq"].as_u64().unwrap() < 8), "{name}");
        }
    }
}

#[test]
fn the_document_says_what_comes_from_the_store_and_that_it_can_not_be_traced() {
    let office = Office::with_store();
    let with = office.made(&["--config", "CONFIG", "--json"]);
    assert!(with.contains("can not be traced to entries"));
    assert!(with.contains("made again after an erasure, the same period has less"));
    assert!(with.contains("Cases uprated, of those with a first colour and a completed round"));
    let without = office.made(&["--json"]);
    assert!(without.contains("The hub's store was not read"));
    assert!(!without.contains("uprated.cases"));
}

#[test]
fn each_form_is_made_and_each_table_is_a_file() {
    let office = Office::with_store();
    let tables = office.folder.path().join("tables");
    let page = office.made(&[
        "--config",
        "CONFIG",
        "--format",
        "html",
        "--tables",
        tables.to_str().unwrap(),
    ]);
    assert_eq!(html_faults(&page), Vec::<String>::new());
    let colours = fs::read_to_string(tables.join("colours.csv")).unwrap();
    let lines: Vec<&str> = colours.lines().collect();
    assert_eq!(lines[0], "agency,blue,green,amber,red,rated,figures");
    assert!(lines[1].starts_with("CSC,0,0,0,1,1,colours.CSC.blue "));
    assert!(tables.join("colours-to-date.csv").exists());
    let listed = office.made(&["--format", "csv"]);
    assert!(listed.contains("\r\nagencies,answering,"));
}

#[test]
fn the_audit_after_a_year_names_what_was_closed_and_who_came_back() {
    let office = Office::with_store();
    let audit = |more: &[&str]| {
        let mut arguments = vec!["report", "re-audit", "--log", "LOG", "--json"];
        arguments.extend(more);
        let (exit, out) = office.hub(&arguments);
        assert_eq!(exit.unwrap(), 0);
        let document: Value = serde_json::from_str(&out).unwrap();
        let blocks = document["sections"][0]["blocks"].as_array().unwrap();
        let table = blocks.iter().find_map(|block| block.get("table")).unwrap();
        table["rows"].as_array().unwrap().clone()
    };
    // By the log's own last month nothing is a year old.
    assert!(audit(&[]).is_empty());
    assert!(audit(&["--month", "2028-03"]).is_empty());
    let due = audit(&["--month", "2028-02"]);
    let cells = due[0]["cells"].as_array().unwrap();
    assert_eq!(cells[..4], ["e1", "2027-02-09", "child_protection_plan", "2028-02-09"]);
    assert_eq!(cells[4], "not known: the store was not read");
    let due = audit(&["--month", "2028-02", "--config", "CONFIG"]);
    assert_eq!(due[0]["cells"][4], "yes: e2 on 2027-09-09");
    let (_, page) = office
        .hub(&["report", "re-audit", "--log", "LOG", "--month", "2028-02", "--format", "html"]);
    assert_eq!(html_faults(&page), Vec::<String>::new());
}
