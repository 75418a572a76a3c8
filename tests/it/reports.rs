//! The documents of information governance, made from the logs that a play of each scenario left, beside the tables from which the
//! scenarios were written. The numbers here are counted by hand in those tables.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use brag_hub::cli::{self, Cli};
use clap::Parser as _;
use serde_json::Value;

use crate::scenarios::Played;

/// What `hub report` printed, and how it ended.
fn report(arguments: &[&str]) -> (u8, String) {
    let mut out = Vec::new();
    let cli = Cli::try_parse_from(["hub", "report"].iter().chain(arguments)).unwrap();
    let exit = cli::run(&cli, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

/// A play, its logs, and the keys that information governance keeps.
struct Office {
    folder: tempfile::TempDir,
    played: Played,
    days: [&'static str; 2],
}

impl Office {
    fn after(scenario: &str, days: [&'static str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let played = Played::keeping(scenario, &folder.path().join("play"));
        let office = Self { folder, played, days };
        fs::create_dir(office.keys()).unwrap();
        for (party, dir) in office.logs() {
            let key = office.keys().join(format!("{party}.pub"));
            fs::copy(dir.join("log.pub"), key).unwrap();
        }
        office
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn logs(&self) -> Vec<(String, PathBuf)> {
        let rows = self.played.0["logs"].as_array().unwrap().iter();
        rows.map(|row| {
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            (text("party"), PathBuf::from(text("dir")))
        })
        .collect()
    }

    fn dpia(&self, more: &[&str]) -> String {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let logs = self.logs();
        let (hub, nodes): (Vec<_>, Vec<_>) = logs.iter().partition(|(party, _)| party == "hub");
        let mut arguments = vec!["dpia".to_owned(), "--log".to_owned(), text(&hub[0].1)];
        for (_, dir) in nodes {
            arguments.extend(["--node-log".to_owned(), text(dir)]);
        }
        let agreement = self.played.0["agreement"].as_str().unwrap();
        arguments.extend(["--keys".to_owned(), text(&self.keys())]);
        arguments.extend(["--agreement".to_owned(), agreement.to_owned()]);
        arguments.extend(["--from", self.days[0], "--to", self.days[1]].map(str::to_owned));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (exit, out) = report(&arguments);
        assert_eq!(exit, 0, "{out}");
        out
    }

    fn pack(&self) -> Pack {
        Pack(serde_json::from_str(&self.dpia(&["--json"])).unwrap())
    }

    /// How the exchange works, with the store of the hub, which has stopped.
    fn performance(&self, more: &[&str]) -> String {
        let (_, log) = self.logs().into_iter().find(|(party, _)| party == "hub").unwrap();
        let config = log.ancestors().nth(3).unwrap().join("hub.toml");
        let agreement = self.played.0["agreement"].as_str().unwrap();
        let (log, config, keys) = (log.to_str().unwrap(), config.to_str().unwrap(), self.keys());
        let mut arguments = vec!["performance", "--log", log, "--keys", keys.to_str().unwrap()];
        arguments.extend(["--agreement", agreement, "--config", config]);
        arguments.extend(["--from", self.days[0], "--to", self.days[1]]);
        arguments.extend(more);
        let (exit, out) = report(&arguments);
        assert_eq!(exit, 0, "{out}");
        out
    }

    fn performance_pack(&self) -> Pack {
        Pack(serde_json::from_str(&self.performance(&["--json"])).unwrap())
    }

    /// The pack's totals against every row of the play, as it came out at last.
    fn totals_equal_the_rows(&self, pack: &Pack) {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |name: String| *expected.entry(name).or_default() += 1;
        for row in self.played.rows() {
            let finally = row.get("finally").unwrap_or(&row["decided"]);
            let outcome = match finally["decision"].as_str().unwrap() {
                "release" => "released",
                "deny" => "refused",
                "review" => "waiting",
                "no_response" => "unanswered",
                other => panic!("{other}"),
            };
            let holder = row["holder"].as_str().unwrap();
            add("totals.requests".to_owned());
            add(format!("totals.{outcome}"));
            add(format!("holders.{holder}.{outcome}"));
            add(format!("categories.{}.asked", row["category"].as_str().unwrap()));
            if outcome == "refused" {
                add(format!("refusals.{}", finally["reason"].as_str().unwrap()));
            }
            if outcome == "released" {
                add(format!("recipients.{}", row["recipient"].as_str().unwrap()));
            }
            if row["decided"]["decision"] == "review" {
                add("totals.reviewed".to_owned());
            }
        }
        for (name, n) in &expected {
            assert_eq!(pack.figure(name), *n, "{name}");
        }
        // And nothing beside them.
        for measure in ["holders", "refusals", "recipients"] {
            let found: u64 = pack.measure(measure).values().sum();
            let wanted =
                expected.iter().filter(|(name, _)| name.starts_with(&format!("{measure}.")));
            assert_eq!(found, wanted.map(|(_, n)| n).sum::<u64>(), "{measure}");
        }
        let by_gate: u64 = pack.measure("exchanges").values().sum();
        assert_eq!(by_gate, pack.figure("totals.requests"));
    }

    /// Every log verified, with the keys that information governance keeps.
    fn every_log_is_in_order(&self, pack: &Pack) {
        let facts = pack.0["facts"].as_array().unwrap();
        let logs: Vec<&str> = facts
            .iter()
            .filter(|fact| fact["term"].as_str().unwrap().starts_with("Log of "))
            .map(|fact| fact["is"].as_str().unwrap())
            .collect();
        assert_eq!(logs.len(), 15);
        assert!(logs.iter().all(|log| log.starts_with("in order, ") && !log.contains("beside")));
    }

    /// The form for others shows no small count, and less than what the pack shows.
    fn the_shared_form_withholds_small_counts(&self) {
        let shared = Pack(serde_json::from_str(&self.dpia(&["--json", "--shared"])).unwrap());
        let mut withheld = 0;
        for (_, row) in shared.rows() {
            for cell in row["cells"].as_array().unwrap() {
                withheld += usize::from(cell.is_null());
                assert!(cell.as_u64().is_none_or(|n| n == 0 || n >= 5), "{row}");
            }
        }
        assert!(withheld > 10);
    }

    /// Nobody's name is in any form of it.
    fn no_name_is_in_it(&self) {
        let forms: Vec<String> = ["text", "html", "csv", "json"]
            .iter()
            .map(|form| self.dpia(&["--format", form]))
            .collect();
        for person in self.played.0["people"].as_array().unwrap() {
            for form in &forms {
                assert!(!form.contains(person["name"].as_str().unwrap()));
            }
        }
    }
}

struct Pack(Value);

impl Pack {
    /// Every row of a table with figures, with the names of its figures.
    fn rows(&self) -> Vec<(Vec<&str>, &Value)> {
        let sections = self.0["sections"].as_array().unwrap().iter();
        let blocks = sections.flat_map(|section| section["blocks"].as_array().unwrap());
        let rows = blocks.filter_map(|block| block["table"]["rows"].as_array()).flatten();
        let names =
            |row: &'_ Value| row["figures"].as_array().is_some_and(|names| !names.is_empty());
        rows.filter(|row| names(row))
            .map(|row| {
                let figures = row["figures"].as_array().unwrap();
                (figures.iter().map(|name| name.as_str().unwrap()).collect(), row)
            })
            .collect()
    }

    /// The count of a figure in the period; 0 when there is none.
    fn figure(&self, name: &str) -> u64 {
        let rows = self.rows();
        let found = rows.iter().find_map(|(names, row)| {
            let at = names.iter().position(|found| *found == name)?;
            let mut counts = row["cells"].as_array().unwrap().iter().filter_map(Value::as_u64);
            counts.nth(at)
        });
        found.unwrap_or(0)
    }

    /// Every figure of a measure.
    fn measure(&self, measure: &str) -> BTreeMap<String, u64> {
        let of = |name: &&str| name.split('.').next() == Some(measure);
        let rows = self.rows();
        let names: Vec<&str> = rows.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        names.iter().filter(|n| of(n)).map(|name| ((*name).to_owned(), self.figure(name))).collect()
    }

    fn figures<const N: usize>(&self, expected: [(&str, u64); N]) {
        for (name, n) in expected {
            assert_eq!(self.figure(name), n, "{name}");
        }
    }
}

#[test]
fn x25_the_pack_of_s1_adds_up_to_its_table() {
    let office = Office::after("s1.toml", ["2027-02-01", "2027-02-28"]);
    let pack = office.pack();
    office.every_log_is_in_order(&pack);
    office.totals_equal_the_rows(&pack);
    pack.figures([
        ("totals.enquiries", 1),
        ("totals.people", 6),
        ("totals.requests", 26),
        ("totals.released", 15),
        ("totals.refused", 11),
        ("totals.waiting", 0),
        ("totals.reviewed", 3),
        // Row 1.5b waits in the table; by the evening its four working hours are over.
        ("refusals.APPROVAL_TIMEOUT", 1),
        ("refusals.APPROVER_REFUSED", 1),
        ("refusals.RECIPIENT_CATEGORY_NOT_PERMITTED", 2),
        ("refusals.RECIPIENT_CONFLICT", 1),
        ("refusals.CATEGORY_NEVER", 4),
        ("refusals.RECIPIENT_NOT_PERMITTED_FOR_GATE", 1),
        ("refusals.THRESHOLD_NOT_MET", 1),
        ("holders.SMS.released", 5),
        ("holders.SMS.refused", 2),
        ("holders.POL.released", 3),
        ("holders.POL.refused", 4),
        ("holders.EDU.waiting", 0),
        ("reviews.SMS.refused", 1),
        ("reviews.EDU.released", 1),
        ("reviews.EDU.waiting", 0),
        ("reviews.EDU.timed_out", 1),
        ("approvals.EDU.approved", 2),
    ]);
    // Colours by agency, as in the table of ratings; the conditional ones know nobody.
    pack.figures([
        ("answers.POL.rated", 5),
        ("answers.CSC.rated", 5),
        ("answers.HLT.rated", 4),
        ("answers.EDU.rated", 2),
        ("answers.HOU.rated", 2),
        ("answers.DAS.rated", 5),
        ("answers.SMS.rated", 4),
        ("totals.ratings", 27),
        ("totals.answers", 84),
        ("totals.missing_answers", 0),
        ("totals.late_answers", 0),
        // Children's social care rates the three children again at 13:30.
        ("changes.CSC.replaced", 3),
        // Four requests for what is never carried (row 1.4 to three holders), alerted at the hub and at each holder.
        ("totals.alerts", 4),
        ("alerts.hub.category_never.raised", 4),
        ("alerts.DAS.category_never.raised", 1),
        ("alerts.POL.category_never.raised", 1),
    ]);
    let opened = pack.measure("access");
    let opened = opened.iter().filter(|(name, _)| name.ends_with(".opened"));
    assert_eq!(opened.map(|(_, n)| n).sum::<u64>(), 15);
    office.the_shared_form_withholds_small_counts();
    office.no_name_is_in_it();
    // A refusal leads to the entries that tell of it.
    let explained = office.dpia(&["--json", "--explain", "refusals.APPROVER_REFUSED"]);
    let explained: Value = serde_json::from_str(&explained).unwrap();
    let counted = explained["counted"].as_array().unwrap();
    assert_eq!(counted.len(), 1);
    assert!(counted[0]["entries"].as_array().unwrap().len() >= 3, "asked, waits, refused");
    // Colours as they stood at the end, from the table of ratings and the change at 13:30; nobody has rated the sixth person.
    let performance = office.performance_pack();
    performance.figures([
        ("totals.enquiries", 1),
        ("totals.people", 6),
        ("full_matrix.full", 1),
        ("full_matrix_within.4_hours", 1),
        ("answering.CSC.asked", 6),
        ("answering.CSC.in_time", 6),
        ("answering.CSC.missing_at_the_end", 0),
        ("answering.MRC.in_time", 6),
        ("colours.POL.green", 3),
        ("colours.POL.amber", 2),
        ("colours.CSC.green", 2),
        ("colours.CSC.red", 3),
        ("colours.CSC.rated", 5),
        ("colours.DAS.amber", 3),
        ("colours.DAS.red", 2),
        ("colours.SMS.red", 4),
        ("colours.HOU.green", 2),
        ("divergence.two_steps_apart", 5),
        ("divergence.rated_by_two", 5),
        ("uprated.cases.uprated", 1),
        ("uprated.cases.all", 1),
        ("uprated.people.uprated", 5),
        ("uprated.people.all", 6),
        ("lag.POL", 1),
    ]);
    let text = office.performance(&[]);
    assert!(text.contains("13 h 25 min 00 s"), "from the incident to the referral");
    for person in office.played.0["people"].as_array().unwrap() {
        assert!(!text.contains(person["name"].as_str().unwrap()));
    }
    // It was closed with every required answer, after closing with no further action had been refused; the audit of closings says so.
    let (_, hub) = office.logs().into_iter().find(|(party, _)| party == "hub").unwrap();
    let (exit, audit) = report(&[
        "nfa-audit",
        "--log",
        hub.to_str().unwrap(),
        "--agreement",
        office.played.0["agreement"].as_str().unwrap(),
        "--month",
        "2027-02",
        "--json",
    ]);
    assert_eq!(exit, 0);
    for told in ["multi_agency_plan", "NFA_BLOCKED"] {
        assert!(audit.contains(told), "{told}");
    }
    assert!(!audit.contains("while a required answer was missing"), "x24: no row lacks an answer");
}

#[test]
fn x25_the_pack_of_s2_adds_up_to_its_table() {
    let office = Office::after("s2.toml", ["2027-03-01", "2027-03-31"]);
    let pack = office.pack();
    office.every_log_is_in_order(&pack);
    office.totals_equal_the_rows(&pack);
    pack.figures([
        ("totals.people", 4),
        ("totals.requests", 18),
        ("totals.released", 12),
        ("totals.refused", 5),
        ("totals.unanswered", 1),
        ("totals.reviewed", 2),
        ("refusals.NOTHING_HELD", 2),
        ("refusals.CATEGORY_NEVER", 1),
        ("refusals.RECIPIENT_NOT_INVOLVED", 1),
        ("refusals.THRESHOLD_NOT_MET", 1),
        ("holders.MHT.unanswered", 1),
        ("approvals.DAS.redacted", 1),
        ("answers.POL.rated", 3),
        ("answers.CSC.rated", 3),
        ("answers.HLT.rated", 2),
        ("answers.DAS.rated", 3),
        ("answers.EDU.rated", 1),
        ("answers.HOU.rated", 2),
        ("answers.SMS.rated", 1),
        ("totals.ratings", 15),
        // Its node was down while the round was open.
        ("answers.MHT.not_known", 4),
        ("late.MHT", 4),
        ("totals.late_answers", 4),
        ("totals.missing_answers", 0),
    ]);
    office.performance_pack().figures([
        ("full_matrix.full", 1),
        // Opened at 09:20; the last required answer came at 13:10.
        ("full_matrix_within.4_hours", 1),
        ("answering.MHT.asked", 4),
        ("answering.MHT.in_time", 0),
        ("answering.MHT.late", 4),
        ("answering.MHT.missing_at_the_end", 4),
        ("answering.DAS.in_time", 4),
        ("uprated.people.uprated", 3),
        ("uprated.people.all", 4),
    ]);
}

#[test]
fn x25_the_pack_of_s4_adds_up_to_its_table() {
    let office = Office::after("s4.toml", ["2027-03-01", "2027-03-31"]);
    let pack = office.pack();
    office.every_log_is_in_order(&pack);
    office.totals_equal_the_rows(&pack);
    pack.figures([
        ("totals.people", 6),
        ("totals.requests", 24),
        ("totals.released", 18),
        ("totals.refused", 6),
        ("totals.reviewed", 3),
        ("refusals.LAWFUL_BASIS_INCOMPLETE", 1),
        ("refusals.RECIPIENT_CONFLICT", 2),
        ("refusals.THRESHOLD_NOT_MET", 1),
        ("refusals.LOG_UNAVAILABLE", 1),
        ("refusals.RECIPIENT_NOT_PERMITTED_FOR_GATE", 1),
        ("answers.POL.rated", 4),
        ("answers.CSC.rated", 6),
        ("answers.DAS.rated", 4),
        ("answers.HLT.rated", 3),
        ("answers.PRO.rated", 1),
        ("answers.HOU.rated", 1),
        ("answers.EDU.rated", 2),
        ("totals.ratings", 21),
        // Schools do not answer at a weekend.
        ("late.EDU", 2),
        ("totals.late_answers", 2),
        ("totals.missing_answers", 0),
    ]);
}

#[test]
fn x25_the_pack_of_s5_adds_up_to_its_table() {
    let office = Office::after("s5.toml", ["2027-04-01", "2027-05-31"]);
    let pack = office.pack();
    office.every_log_is_in_order(&pack);
    office.totals_equal_the_rows(&pack);
    pack.figures([
        ("totals.people", 4),
        ("totals.released", 7),
        // On the person's own agreement four, on two Ambers three.
        ("totals.released_without_agreement", 3),
        ("refusals.CONSENT_REQUIRED", 2),
        ("refusals.CATEGORY_NOT_IN_AGREEMENT", 2),
        ("refusals.RECIPIENT_CATEGORY_NOT_PERMITTED", 1),
        ("refusals.CATEGORY_NOT_IN_TIER", 1),
        ("totals.reviewed", 2),
        ("retractions.DAS.retracted", 2),
        ("retractions.CSC.acknowledged", 1),
        ("retractions.EHT.acknowledged", 1),
        ("answers.POL.rated", 4),
        ("answers.CSC.rated", 4),
        ("answers.HLT.rated", 3),
        ("answers.EDU.rated", 2),
        ("answers.DAS.rated", 4),
        ("answers.HOU.rated", 1),
        ("totals.ratings", 18),
        ("totals.missing_answers", 0),
    ]);
}
