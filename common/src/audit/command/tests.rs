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

mod with_witnesses {
    use std::sync::Arc;

    use super::*;
    use crate::{
        audit::{
            AuditLog, LogOptions,
            fixtures::{clock, draft, origin},
        },
        id::RequestId,
        keys::SigningKey,
        secret::SecretBytes,
        tlog::{KeyKind, NoteKey},
        witness::Witness,
    };

    const EXCHANGE: &str = "00112233445566778899aabbccddeeff";

    /// A log of six entries; five of them cosigned by the hub's witness. Beside it a policy that asks for the hub, and one that
    /// asks for two.
    struct Stage {
        dir: tempfile::TempDir,
        log: String,
        policy: String,
        strict: String,
        witness: String,
    }

    impl Stage {
        fn new() -> Self {
            tokio::runtime::Runtime::new().unwrap().block_on(Self::build())
        }

        async fn build() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
            let options = LogOptions::new(path("log"), origin(), key(), clock()).segment_bytes(1);
            let log = AuditLog::open(options).unwrap();
            let keys = [30, 31]
                .map(|seed| Arc::new(SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()));
            let names = ["hub", "ig"].into_iter().zip(&keys);
            let publics: Vec<NoteKey> = names
                .map(|(name, key)| {
                    NoteKey::new(name, KeyKind::Witness, key.verifying_key()).unwrap()
                })
                .collect();
            let secret = SigningKey::from_seed(SecretBytes::new([30; 32])).unwrap();
            let hub = Witness::open(path("witness").into(), publics[0].clone(), secret).unwrap();
            for count in 0..6 {
                let mut draft = draft(count);
                if count == 3 {
                    draft.exchange = Some(EXCHANGE.parse::<RequestId>().unwrap());
                }
                log.record(draft).await.unwrap();
                if count == 4 {
                    let mut note = log.sign(&log.tree()).unwrap();
                    let now = "2027-01-02T03:04:06Z".parse().unwrap();
                    let line = hub.add(log.note_key(), 0, &[], note.clone(), now).unwrap();
                    note.add(&line, &publics[0]).unwrap();
                    log.keep_checkpoint(&note).unwrap();
                }
            }
            for (name, least) in [("policy", 1), ("strict", 2)] {
                let policy = Policy::of(log.note_key(), &publics[..least], least).unwrap();
                fs::write(path(name), policy.to_string()).unwrap();
            }
            let folder = log.dir().to_str().unwrap().to_owned();
            let (policy, strict) = (path("policy"), path("strict"));
            let witness = path("witness");
            Self { log: folder, policy, strict, witness, dir }
        }

        fn verify(&self, words: &[&str]) -> (u8, serde_json::Value) {
            run_json(&[&["verify", &self.log], words].concat())
        }
    }

    #[test]
    fn verify_with_a_policy_says_how_far_its_witnesses_have_seen_the_log() {
        let stage = Stage::new();
        let (code, found) = stage.verify(&["--policy", &stage.policy]);
        assert_eq!((code, &found["key_from_log"]), (DONE, &false.into()), "{found}");
        assert_eq!(found["witnessed"]["accepted"]["size"], 5);
        assert_eq!(found["witnessed"]["accepted"]["by"][0], "hub");
        assert_eq!(found["witnessed"]["n_unseen"], 1);
        let (code, found) = stage.verify(&["--policy", &stage.policy, "--complete"]);
        assert_eq!(
            (code, &found["contradiction"]["code"]),
            (NOT_VERIFIED, &"quorum_missing".into())
        );
        let (code, found) = stage.verify(&["--policy", &stage.strict]);
        assert_eq!(
            (code, &found["contradiction"]["code"]),
            (NOT_VERIFIED, &"quorum_missing".into())
        );
        let (_, text) = run_words(&["verify", &stage.log, "--policy", &stage.strict]);
        assert!(text.contains("too few witnesses have cosigned: only witness-1"), "{text}");
        let (_, text) = run_words(&["verify", &stage.log, "--policy", &stage.policy]);
        assert!(
            text.contains("seen     5 entries, by hub, last at 2027-01-02T03:04:06Z"),
            "{text}"
        );
    }

    #[test]
    fn x6_entries_cut_off_the_end_are_named_also_when_the_logs_own_memory_was_cut_with_them() {
        let stage = Stage::new();
        for seq in [3, 4, 5] {
            fs::remove_file(segment_path(Path::new(&stage.log), seq)).unwrap();
        }
        let (code, found) = stage.verify(&[]);
        assert_eq!((code, &found["status"]), (NOT_VERIFIED, &"contradicted".into()));
        assert_eq!(found["contradiction"]["code"], "rolled_back");
        assert_eq!(found["contradiction"]["seq"], 3);
        fs::remove_file(Path::new(&stage.log).join("checkpoints.log")).unwrap();
        assert_eq!(stage.verify(&[]).0, DONE, "a shorter log is a log");
        let (code, found) = stage.verify(&["--witness", &stage.witness]);
        assert_eq!((code, &found["contradiction"]["seq"]), (NOT_VERIFIED, &3.into()));
        let text = found["contradiction"]["text"].as_str().unwrap();
        assert!(
            text.contains(&stage.witness) && text.contains("has signed that it had 5"),
            "{text}"
        );
    }

    #[test]
    fn a_policy_that_is_not_one_or_is_of_another_log_is_refused() {
        let stage = Stage::new();
        let file = stage.dir.path().join("wrong");
        fs::write(&file, "log nonsense\n").unwrap();
        let (code, found) = stage.verify(&["--policy", file.to_str().unwrap()]);
        assert_eq!(code, FAILED);
        assert!(found["error"].as_str().unwrap().contains("line 1"), "{found}");
        let other = origin().to_string().replace("CSC", "POL");
        let key = NoteKey::new(&other, KeyKind::Log, key().verifying_key()).unwrap();
        fs::write(&file, Policy::of(&key, &[], 0).unwrap().to_string()).unwrap();
        let (code, found) = stage.verify(&["--policy", file.to_str().unwrap()]);
        assert_eq!(code, FAILED);
        assert!(found["error"].as_str().unwrap().contains("the policy has no log"), "{found}");
    }

    #[test]
    fn a_receipt_of_an_exchange_is_good_for_its_entry_alone() {
        let stage = Stage::new();
        let out = stage.dir.path().join("receipts");
        let out = out.to_str().unwrap();
        let words = ["prove", &stage.log, EXCHANGE, "--policy", &stage.policy, "--out", out];
        let (code, text) = run_words(&words);
        assert_eq!(code, DONE, "{text}");
        let paths: Vec<&str> = text.lines().collect();
        let [proof, entry] = paths[..] else { panic!("{text}") };
        assert!(proof.ends_with("example-CSC-2027-3.tlog-proof"), "{text}");
        let check = |proof: &str, entry: &str, policy: &str| {
            run_words(&["check-proof", proof, entry, "--policy", policy])
        };
        let (code, text) = check(proof, entry, &stage.policy);
        assert_eq!(code, DONE, "{text}");
        assert!(text.contains("entry    3 of 5") && text.contains("seen by  hub at"), "{text}");
        assert_eq!(check(proof, entry, &stage.strict).0, NOT_VERIFIED);
        assert_eq!(run_words(&words).0, FAILED, "nothing is overwritten");
        let changed = fs::read_to_string(entry).unwrap().replace("\"count\":3", "\"count\":4");
        fs::write(entry, changed).unwrap();
        assert_eq!(check(proof, entry, &stage.policy).0, NOT_VERIFIED);
        let (code, text) = run_words(&["prove", &stage.log, "5", "--out", out]);
        assert_eq!(code, FAILED);
        assert!(text.contains("entry 5 is not covered by a checkpoint yet"), "{text}");
        assert_eq!(run_words(&["prove", &stage.log, "99", "--out", out]).0, FAILED);
    }

    #[test]
    fn tiles_hold_what_the_largest_checkpoint_is_over() {
        let stage = Stage::new();
        let out = stage.dir.path().join("tiles");
        let words = ["tiles", &stage.log, "--out", out.to_str().unwrap()];
        let (code, text) = run_words(&words);
        assert_eq!(code, DONE, "{text}");
        assert_eq!(fs::metadata(out.join("tile/0/000.p/5")).unwrap().len(), 5 * 32);
        let note = crate::tlog::CheckpointNote::parse(&fs::read(out.join("checkpoint")).unwrap());
        assert_eq!(note.unwrap().checkpoint().head.size, 5);
        assert_eq!(run_words(&words).0, FAILED, "nothing is overwritten");
    }
}
