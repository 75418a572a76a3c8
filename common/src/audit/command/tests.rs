use std::{fs, path::Path};

use clap::Parser as _;

use super::*;
use crate::{
    audit::{
        entry::EntryDraft,
        fixtures::{clock, key, write_log},
        log::{AuditLog, LogOptions},
        storage::segment_path,
    },
    time::SignedDuration,
};

mod with_witnesses;

#[derive(Debug, clap::Parser)]
struct Program {
    #[command(subcommand)]
    command: LogCommand,
}

/// The log's directory with 5 entries, as a program would have made it.
fn a_log() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), 5, 1 << 20);
    dir
}

fn run_words(words: &[&str]) -> (u8, String) {
    let program = Program::try_parse_from([&["program"], words].concat()).unwrap();
    let mut out = Vec::new();
    let code = run(&program.command, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

fn run_json(words: &[&str]) -> (u8, serde_json::Value) {
    let (code, out) = run_words(&[words, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap())
}

#[test]
fn verify_names_the_entry_that_is_wrong_and_exits_with_4() {
    let dir = a_log();
    let path = dir.path().to_str().unwrap();
    let segment = segment_path(dir.path(), 0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (code, document) = run_json(&["verify", path]);
    assert_eq!(code, NOT_VERIFIED);
    assert_eq!(document["status"], "fault");
    assert_eq!(document["fault"]["seq"], 0);
    assert_eq!(document["fault"]["code"], "checksum");
    let (code, text) = run_words(&["verify", path]);
    assert_eq!(code, NOT_VERIFIED);
    assert!(text.contains("NOT IN ORDER: entry 0"));
}

#[test]
fn verify_with_another_key_exits_with_4() {
    let dir = a_log();
    let other = crate::keys::SigningKey::generate().unwrap().verifying_key().to_string();
    let path = dir.path().to_str().unwrap();
    // Joined, for a key may begin with what looks like another option.
    let (code, document) = run_json(&["verify", path, &format!("--key={other}")]);
    assert_eq!((code, &document["fault"]["code"]), (NOT_VERIFIED, &"signature".into()));
}

#[test]
fn verify_of_what_is_no_log_exits_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let (code, document) = run_json(&["verify", dir.path().to_str().unwrap()]);
    assert_eq!((code, &document["status"]), (FAILED, &"unreadable".into()));
    let (code, document) = run_json(&["show", "/nowhere/at/all"]);
    assert_eq!(code, FAILED);
    assert!(document["error"].as_str().unwrap().contains("/nowhere/at/all"));
}

#[test]
fn verify_says_when_it_believed_the_key_beside_the_log() {
    let dir = a_log();
    let path = dir.path().to_str().unwrap();
    let (code, document) = run_json(&["verify", path]);
    assert_eq!((code, &document["key_from_log"]), (DONE, &true.into()));
    assert_eq!(document["n_entries"], 5);
    assert!(run_words(&["verify", path]).1.contains("give --key"));

    let file = dir.path().join("trusted.pub");
    fs::write(&file, format!("{}\n", key().verifying_key())).unwrap();
    let (code, document) =
        run_json(&["verify", path, "--every-signature", "--key-file", file.to_str().unwrap()]);
    assert_eq!((code, &document["key_from_log"]), (DONE, &false.into()));
}

#[test]
fn show_prints_only_what_was_asked_for() {
    let dir = a_log();
    let path = dir.path().to_str().unwrap();
    let n_shown = |words: &[&str]| {
        let (code, document) = run_json(&[&["show", path], words].concat());
        assert_eq!(code, DONE);
        document["entries"].as_array().unwrap().len()
    };
    assert_eq!(n_shown(&[]), 5);
    assert_eq!(n_shown(&["--enquiry", "e1", "--action", "rate_answered"]), 5);
    assert_eq!(n_shown(&["--enquiry", "e2"]), 0);
    assert_eq!(n_shown(&["--action", "detail_opened"]), 0);
    // The clock of these entries stands at 2027-01-02T03:04:05Z.
    assert_eq!(n_shown(&["--from", "2027-01-02T03:04:05Z"]), 5);
    assert_eq!(n_shown(&["--to", "2027-01-02T03:04:05Z"]), 0);
    let (_, text) = run_words(&["show", path]);
    assert_eq!(text.lines().count(), 5);
    assert!(text.contains("CSC program rate_answered enquiry=e1 count=0"), "{text}");
}

#[test]
fn refuses_words_that_are_no_action_or_time() {
    for words in [["--action", "anything"], ["--from", "yesterday"], ["--enquiry", "a b"]] {
        assert!(Program::try_parse_from([&["program", "show", "."][..], &words].concat()).is_err());
    }
}

/// The log of a party in a folder of its own, with these entries; its directory.
async fn a_log_of(folder: &Path, origin: &str, drafts: Vec<EntryDraft>) -> PathBuf {
    let clock = clock();
    let at = folder.join(origin.replace('/', "-"));
    let options = LogOptions::new(&at, origin.parse().unwrap(), key(), clock.clone());
    let log = AuditLog::open(options).unwrap();
    for draft in drafts {
        clock.advance(SignedDuration::from_mins(1));
        log.record(draft).await.unwrap();
    }
    log.dir().to_owned()
}

fn screened(action: Action, exchange: &str, peer: &str) -> EntryDraft {
    let mut draft = EntryDraft::new(action);
    draft.exchange = exchange.parse().ok();
    draft.peer = peer.parse().ok();
    draft.count = Some(4);
    draft
}

/// The hub asked CSC twice, at one and at two minutes past; CSC has only the first.
async fn two_logs(folder: &Path) -> [String; 2] {
    let asked = |exchange| screened(Action::ScreenAsked, exchange, "CSC");
    let hub = a_log_of(folder, "example/hub/1", vec![asked("x1"), asked("x2")]).await;
    let answered = vec![screened(Action::ScreenAnswered, "x1", "hub")];
    let csc = a_log_of(folder, "example/CSC/1", answered).await;
    [hub, csc].map(|dir| dir.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn reconcile_prints_each_difference_on_a_line_and_exits_with_4() {
    let folder = tempfile::tempdir().unwrap();
    let [hub, csc] = &two_logs(folder.path()).await;
    let (code, text) = run_words(&["reconcile", hub, csc]);
    assert_eq!(code, NOT_VERIFIED);
    let line = "screen x2 CSC: MISSING in the node's log; hub: 1 screen_asked; node: none";
    assert_eq!(text.lines().filter(|found| found.contains(line)).count(), 1, "{text}");
    assert!(text.contains("it began after the last entry of the log that lacks it"), "{text}");
    let words: Vec<&str> =
        text.lines().find(|l| l.starts_with("all")).unwrap().split_whitespace().collect();
    assert_eq!(words, ["all", "1", "0", "1", "0"]);
    let (code, document) = run_json(&["reconcile", hub, csc]);
    assert_eq!((code, &document["status"]), (NOT_VERIFIED, &"differ".into()));
    assert_eq!(document["total"]["agreed"], 1);
    assert_eq!(document["differences"][0]["hub"][0]["seq"], 1);
    assert_eq!(document["differences"][0]["missing_at"], "node");
}

#[tokio::test]
async fn reconcile_compares_what_began_within_the_time_given() {
    let folder = tempfile::tempdir().unwrap();
    let [hub, csc] = &two_logs(folder.path()).await;
    // The clock of these entries begins at 2027-01-02T03:04:05Z.
    let to = run_json(&["reconcile", hub, csc, "--to", "2027-01-02T03:06:05Z"]);
    assert_eq!((to.0, &to.1["total"]["agreed"]), (DONE, &1.into()));
    let from = run_json(&["reconcile", hub, csc, "--from", "2027-01-02T03:06:05Z"]);
    assert_eq!((from.0, &from.1["total"]["one_sided"]), (NOT_VERIFIED, &1.into()));
    let after = run_words(&["reconcile", hub, csc, "--from", "2027-01-03T00:00:00Z"]);
    assert_eq!(after.0, DONE);
}

#[tokio::test]
async fn reconcile_of_logs_that_do_not_belong_together_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let [hub, csc] = &two_logs(folder.path()).await;
    let other = a_log_of(folder.path(), "elsewhere/CSC/1", Vec::new()).await;
    let nothing = folder.path().to_str().unwrap();
    for (dirs, why) in [
        ([csc.as_str(), hub], "name the hub's log first"),
        ([hub, nothing], "holds no log"),
        ([hub, other.to_str().unwrap()], "another partnership"),
        ([hub, hub], "named before"),
    ] {
        let (code, document) = run_json(&["reconcile", dirs[0], dirs[1]]);
        assert_eq!((code, &document["status"]), (FAILED, &"unreadable".into()));
        assert!(document["error"].as_str().unwrap().contains(why), "{document}");
    }
}

#[tokio::test]
async fn reconcile_of_a_log_with_a_fault_compares_what_precedes_it_and_exits_with_4() {
    let folder = tempfile::tempdir().unwrap();
    let [hub, csc] = &two_logs(folder.path()).await;
    let segment = segment_path(Path::new(hub), 0);
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (code, document) = run_json(&["reconcile", hub, csc]);
    assert_eq!((code, &document["status"]), (NOT_VERIFIED, &"differ".into()));
    assert_eq!(document["total"]["agreed"], 1);
    assert!(document["differences"].as_array().unwrap().is_empty());
    assert!(document["logs"][0]["fault"].as_str().unwrap().starts_with("entry 1"), "{document}");
}

#[test]
fn export_of_what_is_no_log_exits_with_1_and_writes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.csv");
    let words = ["export", folder.path().to_str().unwrap(), "--out", file.to_str().unwrap()];
    let (code, said) = run_words(&words);
    assert_eq!(code, FAILED);
    assert!(said.contains("holds no log"), "{said}");
    assert!(!file.exists());
}

#[test]
fn export_never_writes_over_a_file() {
    let dir = a_log();
    let file = dir.path().join("out.csv");
    fs::write(&file, "mine").unwrap();
    let words = ["export", dir.path().to_str().unwrap(), "--out", file.to_str().unwrap()];
    let (code, said) = run_words(&words);
    assert_eq!(code, FAILED);
    assert!(said.contains("exists"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::remove_file(&file).unwrap();
    let (code, said) = run_words(&words);
    assert_eq!(code, DONE);
    assert!(said.starts_with("5 entries in"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 6, "a header, and a row each");
}

#[test]
fn export_as_json_lines_is_each_entry_as_it_stands_in_the_log() {
    let dir = a_log();
    let path = dir.path().to_str().unwrap();
    let (code, text) = run_words(&["export", path, "--format", "jsonl"]);
    assert_eq!(code, DONE);
    let lines: Vec<Entry> =
        text.lines().map(|line| Entry::decode(line.as_bytes()).unwrap()).collect();
    let all: Vec<Entry> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, all);
    let to = ["export", path, "--format", "jsonl", "--to", "2027-01-02T03:04:05Z"];
    assert_eq!(run_words(&to), (DONE, String::new()));
}

#[test]
fn export_of_a_log_with_a_fault_gives_what_precedes_it_and_exits_with_4() {
    let dir = a_log();
    let segment = segment_path(dir.path(), 0);
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let file = dir.path().join("out.csv");
    let words = ["export", dir.path().to_str().unwrap(), "--out", file.to_str().unwrap()];
    let (code, said) = run_words(&words);
    assert_eq!(code, NOT_VERIFIED);
    assert!(said.contains("NOT IN ORDER: entry 4"), "{said}");
    assert!(said.contains("4 entries that precede it were exported"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 5);
}
