//! What checkpoints and their witnesses add to the commands.

use std::{fs, path::Path, sync::Arc};

use super::*;
use crate::{
    audit::{
        AuditLog, LogOptions,
        fixtures::{clock, draft, origin},
    },
    id::RequestId,
    keys::SigningKey,
    secret::SecretBytes,
    tlog::{KeyKind, NoteKey, Policy},
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
            .map(|(name, key)| NoteKey::new(name, KeyKind::Witness, key.verifying_key()).unwrap())
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
    assert_eq!((code, &found["contradiction"]["code"]), (NOT_VERIFIED, &"quorum_missing".into()));
    let (code, found) = stage.verify(&["--policy", &stage.strict]);
    assert_eq!((code, &found["contradiction"]["code"]), (NOT_VERIFIED, &"quorum_missing".into()));
    let (_, text) = run_words(&["verify", &stage.log, "--policy", &stage.strict]);
    assert!(text.contains("too few witnesses have cosigned: only witness-1"), "{text}");
    let (_, text) = run_words(&["verify", &stage.log, "--policy", &stage.policy]);
    assert!(text.contains("seen     5 entries, by hub, last at 2027-01-02T03:04:06Z"), "{text}");
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
    assert!(text.contains(&stage.witness) && text.contains("has signed that it had 5"), "{text}");
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
