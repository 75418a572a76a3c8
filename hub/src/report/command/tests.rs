use brag_common::{audit::entry::Action, reason::Reason};
use clap::Parser;
use serde_json::Value;

use super::*;
use crate::report::testkit::{Entries, agreement_file};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    report: ReportCommand,
}

/// A small month: seven requests, some of which tell small numbers.
fn small_log() -> Entries {
    let mut log = Entries::new();
    log.staff(Action::ReportRead, "coordinator", None);
    log.opened("e1", "child_safeguarding", 2);
    for (person, agency, said) in [
        ("p1", "POL", "rated"),
        ("p1", "SMS", "pending"),
        ("p2", "POL", "not_known"),
        ("p1", "HLT", "declined"),
    ] {
        log.answered("e1", person, agency, said);
    }
    log.silent("e1", "p2", "SMS");
    log.at("2027-02-09T10:40:00Z");
    log.answered("e1", "p1", "SMS", "rated");
    log.late("e1", "p1", "SMS", "rated");
    log.at("2027-02-09T11:05:00Z");
    log.asked("r1", "SMS", "C33", &["CSC", "POL", "DAS", "HLT", "EHT", "EDU"]);
    for to in ["CSC", "POL", "DAS", "HLT", "EHT"] {
        log.decided("r1", "SMS", "C33", to, "release", Some("g3"), None);
    }
    let refused = Some(Reason::RecipientCategoryNotPermitted);
    log.decided("r1", "SMS", "C33", "EDU", "deny", None, refused);
    log.asked("r2", "DAS", "C43", &["CSC"]);
    log.decided("r2", "DAS", "C43", "CSC", "deny", None, Some(Reason::CategoryNever));
    log.alert("category_never");
    log.of("CSC");
    log.staff(Action::DetailOpened, "assessor", None);
    log
}

struct Made {
    folder: tempfile::TempDir,
    hub: PathBuf,
    csc: PathBuf,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = small_log();
        let hub = log.write(&Party::Hub, folder.path());
        let csc = log.write(&"CSC".parse().unwrap(), folder.path());
        Self { folder, hub, csc }
    }

    fn run(&self, arguments: &[&str]) -> (anyhow::Result<Exit>, String) {
        let agreement = agreement_file();
        let place = |argument: &&str| match *argument {
            "HUB" => self.hub.to_str().unwrap().to_owned(),
            "CSC-LOG" => self.csc.to_str().unwrap().to_owned(),
            "AGREEMENT" => agreement.to_str().unwrap().to_owned(),
            other => other.to_owned(),
        };
        let arguments = ["report".to_owned()].into_iter().chain(arguments.iter().map(place));
        let cli = Cli::try_parse_from(arguments).unwrap();
        let mut out = Vec::new();
        let exit = run(&cli.report, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    fn dpia(&self, more: &[&str]) -> String {
        let mut arguments = vec!["dpia", "--log", "HUB", "--node-log", "CSC-LOG"];
        arguments.extend(["--agreement", "AGREEMENT", "--month", "2027-02"]);
        arguments.extend(more);
        let (exit, out) = self.run(&arguments);
        assert_eq!(exit.unwrap(), Exit::Done);
        out
    }
}

/// A text with every digest replaced.
fn without_digests(text: &str) -> String {
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        out.push_str(if is_digest(word) { "DIGEST" } else { word });
        out.push_str(piece.strip_prefix(word).unwrap_or_default());
    }
    out
}

/// Compares with a file beside this one. With BRAG_GOLDEN=write it is written anew, for a person to look at.
/// Digests are left out: they follow from bytes that other tests look after.
fn golden(name: &str, found: &str) {
    let found = without_digests(found);
    let found = found.as_str();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/command/golden").join(name);
    if option_env!("BRAG_GOLDEN") == Some("write") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    for (n, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "{name}, line {}", n + 1);
    }
    assert_eq!(expected, found);
}

#[test]
fn a_log_that_is_no_log_of_the_hub_is_refused() {
    let made = Made::new();
    let (exit, _) = made.run(&["nfa-audit", "--log", "CSC-LOG", "--month", "2027-02"]);
    assert!(exit.unwrap_err().to_string().contains("is the log of CSC"));
    let (exit, _) = made.run(&["nfa-audit", "--log", "/", "--month", "2027-02"]);
    assert!(format!("{:#}", exit.unwrap_err()).contains("holds no log"));
}

#[test]
fn the_same_log_is_not_counted_twice() {
    let made = Made::new();
    let (exit, _) = made.run(&[
        "dpia",
        "--log",
        "HUB",
        "--node-log",
        "HUB",
        "--agreement",
        "AGREEMENT",
        "--month",
        "2027-02",
    ]);
    assert!(exit.unwrap_err().to_string().contains("given already"));
}

#[test]
fn a_log_that_does_not_verify_is_counted_up_to_its_first_wrong_entry_and_says_so() {
    let made = Made::new();
    let segment = fs::read_dir(&made.hub)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(10).position(|part| part == b"\"r1\",\"peer").unwrap();
    bytes[at + 1] = b's';
    fs::write(&segment, bytes).unwrap();
    let (exit, out) =
        made.run(&["dpia", "--log", "HUB", "--agreement", "AGREEMENT", "--month", "2027-02"]);
    assert_eq!(exit.unwrap(), Exit::VerificationFailed);
    assert!(out.contains("NOT IN ORDER at entry 9"), "{out}");
    assert!(!out.contains("refusals."), "nothing behind it is counted");
    assert!(out.contains("enquiries.child_safeguarding"));
}

#[test]
fn a_key_of_ones_own_that_did_not_sign_the_log_finds_it_out_of_order() {
    let made = Made::new();
    let keys = made.folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    let other =
        brag_common::keys::SigningKey::from_seed(brag_common::secret::SecretBytes::new([8; 32]));
    fs::write(keys.join("hub.pub"), other.unwrap().verifying_key().to_string()).unwrap();
    let keys = keys.to_str().unwrap();
    let (exit, _) = made.run(&["nfa-audit", "--log", "HUB", "--keys", keys, "--month", "2027-02"]);
    assert_eq!(exit.unwrap(), Exit::VerificationFailed);
}

#[test]
fn x24_a_month_in_which_nothing_was_closed_says_so() {
    let made = Made::new();
    let (exit, out) = made.run(&[
        "nfa-audit",
        "--log",
        "HUB",
        "--agreement",
        "AGREEMENT",
        "--month",
        "2027-02",
        "--json",
    ]);
    assert_eq!(exit.unwrap(), Exit::Done);
    let document: Value = serde_json::from_str(&out).unwrap();
    let blocks = document["sections"][0]["blocks"].as_array().unwrap();
    assert!(blocks.iter().any(|block| block["text"] == "Nothing was closed in this period."));
    let closings = blocks.iter().find(|block| block["table"]["id"] == "closings").unwrap();
    assert_eq!(closings["table"]["rows"].as_array().unwrap().len(), 0);
}

#[test]
fn a_figure_that_is_not_there_is_not_explained() {
    let made = Made::new();
    let (exit, _) = made.run(&[
        "dpia",
        "--log",
        "HUB",
        "--agreement",
        "AGREEMENT",
        "--month",
        "2027-02",
        "--explain",
        "nothing",
    ]);
    assert!(exit.unwrap_err().to_string().contains("no figure `nothing`"));
}

#[test]
fn every_figure_is_explained_by_as_many_things_as_it_says_and_by_entries_that_exist() {
    let made = Made::new();
    let document: Value = serde_json::from_str(&made.dpia(&["--json"])).unwrap();
    let mut n_figures = 0;
    for section in document["sections"].as_array().unwrap() {
        let tables =
            section["blocks"].as_array().unwrap().iter().filter_map(|block| block.get("table"));
        for row in tables.flat_map(|table| table["rows"].as_array().unwrap()) {
            for name in row["figures"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                // A ratio may stand beside a figure in which nothing was counted.
                let (exit, out) = made.run(&[
                    "dpia",
                    "--log",
                    "HUB",
                    "--node-log",
                    "CSC-LOG",
                    "--agreement",
                    "AGREEMENT",
                    "--month",
                    "2027-02",
                    "--json",
                    "--explain",
                    name,
                ]);
                let Ok(exit) = exit else {
                    assert!(name.ends_with(".released"), "{name}");
                    continue;
                };
                assert_eq!(exit, Exit::Done);
                let explained: Value = serde_json::from_str(&out).unwrap();
                let counted = explained["counted"].as_array().unwrap();
                assert_eq!(explained["to_date"], counted.len(), "{name}");
                let cells = row["cells"].as_array().unwrap();
                assert!(cells.contains(&explained["in_period"]), "{name}: {cells:?}");
                for unit in counted {
                    for entry in unit["entries"].as_array().unwrap() {
                        assert!(entry["seq"].as_u64().unwrap() < 20, "{name}");
                    }
                }
                n_figures += 1;
            }
        }
    }
    assert!(n_figures > 30, "{n_figures}");
}

#[test]
fn the_shared_form_shows_no_count_from_1_to_4() {
    let made = Made::new();
    let document: Value = serde_json::from_str(&made.dpia(&["--json", "--shared"])).unwrap();
    assert_eq!(document["shared"], true);
    let (mut shown, mut withheld) = (0, 0);
    for section in document["sections"].as_array().unwrap() {
        let tables =
            section["blocks"].as_array().unwrap().iter().filter_map(|block| block.get("table"));
        for row in tables.flat_map(|table| table["rows"].as_array().unwrap()) {
            for cell in row["cells"].as_array().unwrap() {
                withheld += usize::from(cell.is_null());
                if let Some(n) = cell.as_u64() {
                    assert!(n == 0 || n > 4, "{row}");
                    shown += 1;
                }
            }
        }
    }
    assert!(shown >= 5 && withheld > 10, "{shown} {withheld}");
}

#[test]
fn the_record_of_a_party_that_does_not_exist_is_not_made() {
    let made = Made::new();
    let (exit, _) = made.run(&["article-30", "--agreement", "AGREEMENT", "--agency", "XYZ"]);
    assert!(exit.unwrap_err().to_string().contains("is not a party"));
}

#[test]
fn the_record_of_each_controller_has_every_point_of_article_30_1() {
    let made = Made::new();
    let (exit, out) = made.run(&["article-30", "--agreement", "AGREEMENT", "--json"]);
    assert_eq!(exit.unwrap(), Exit::Done);
    let document: Value = serde_json::from_str(&out).unwrap();
    let sections = document["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 15, "fourteen parties and the hub");
    for section in &sections[..14] {
        let text = section.to_string();
        for point in ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)", "Schedule 1 paragraph 18"] {
            assert!(text.contains(point), "{point}");
        }
        assert!(text.contains("8 years"));
    }
    assert!(sections[14].to_string().contains("controller, joint controller, or processor"));
}

#[test]
fn a_record_may_say_how_often() {
    let made = Made::new();
    let (_, out) = made.run(&[
        "article-30",
        "--agreement",
        "AGREEMENT",
        "--agency",
        "SMS",
        "--log",
        "HUB",
        "--month",
        "2027-02",
    ]);
    let line = out.lines().find(|line| line.contains("holders.SMS.released")).unwrap();
    assert!(line.contains(" 5 "), "{line}");
}

#[test]
fn the_policy_has_a_place_for_each_principle() {
    let made = Made::new();
    let (exit, out) = made.run(&["policy", "--agreement", "AGREEMENT"]);
    assert_eq!(exit.unwrap(), Exit::Done);
    for point in ["5(1)(a)", "5(1)(b)", "5(1)(c)", "5(1)(d)", "5(1)(e)", "5(1)(f)", "5(2)"] {
        assert!(out.contains(&format!("(Article {point})")), "{point}");
    }
    for text in ["C33", "8 years", "12 months", "TO BE WRITTEN [storage-schedule]"] {
        assert!(out.contains(text), "{text}");
    }
}

#[test]
fn the_pack_of_a_small_log_as_text_and_json() {
    let made = Made::new();
    golden("dpia.txt", &made.dpia(&[]));
    golden("dpia-shared.txt", &made.dpia(&["--shared"]));
    golden("dpia.json", &made.dpia(&["--json"]));
    golden("explain.txt", &made.dpia(&["--explain", "refusals.CATEGORY_NEVER"]));
}

#[test]
fn a_document_goes_to_the_file_that_is_named() {
    let made = Made::new();
    let file = made.folder.path().join("policy.html");
    let (_, out) = made.run(&[
        "policy",
        "--agreement",
        "AGREEMENT",
        "--format",
        "html",
        "--out",
        file.to_str().unwrap(),
    ]);
    assert!(out.is_empty());
    assert!(fs::read_to_string(file).unwrap().starts_with("<!DOCTYPE html>"));
}
