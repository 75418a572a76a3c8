use clap::Parser as _;

use super::*;
use crate::audit::{
    fixtures::{key, write_log},
    storage::segment_path,
};

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
