use std::{collections::BTreeSet, path::Path};

use super::*;
use crate::{
    audit::{
        LogOptions,
        checkpoints::Contradiction,
        fixtures::{clock, draft, key, origin},
    },
    keys::SigningKey,
    secret::SecretBytes,
    tlog::KeyKind,
    witness::{NotCosigned, Witness},
};

/// Real witnesses, without a network between; some do not answer.
struct Bench {
    witnesses: BTreeMap<Party, Witness>,
    silent: Mutex<BTreeSet<Party>>,
    log: NoteKey,
    n_asked: Mutex<usize>,
    _dirs: Vec<tempfile::TempDir>,
}

impl Bench {
    fn new(log: &AuditLog, parties: &[&str]) -> Self {
        let mut bench = Self {
            witnesses: BTreeMap::new(),
            silent: Mutex::default(),
            log: log.note_key().clone(),
            n_asked: Mutex::default(),
            _dirs: Vec::new(),
        };
        for (n, party) in (20..).zip(parties) {
            let dir = tempfile::tempdir().unwrap();
            let key = SigningKey::from_seed(SecretBytes::new([n; 32])).unwrap();
            let public = NoteKey::new(party, KeyKind::Witness, key.verifying_key()).unwrap();
            let witness = Witness::open(dir.path().to_owned(), public, key).unwrap();
            bench.witnesses.insert(party.parse().unwrap(), witness);
            bench._dirs.push(dir);
        }
        bench
    }

    fn silence(&self, parties: &[&str]) {
        *self.silent.lock().unwrap() = parties.iter().map(|p| p.parse().unwrap()).collect();
    }
}

impl AskWitness for Bench {
    fn witnesses(&self) -> Vec<Asked> {
        self.witnesses.keys().cloned().map(Asked::Party).collect()
    }

    async fn ask(&self, asked: &Asked, question: Question) -> Answer {
        let Asked::Party(party) = asked else { panic!("nobody else is on the bench") };
        *self.n_asked.lock().unwrap() += 1;
        if self.silent.lock().unwrap().contains(party) {
            return Answer::Failed("unreachable");
        }
        let witness = &self.witnesses[party];
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let Question { log: _, old_size, proof, checkpoint } = question;
        match witness.add(&self.log, old_size, &proof, (*checkpoint).clone(), now) {
            Ok(line) => Answer::Cosigned { line, key: witness.public().clone() },
            Err(NotCosigned::Conflict { kept }) => Answer::Last(kept),
            Err(NotCosigned::Inconsistent { kept }) => Answer::Last(Some(kept)),
            Err(_) => Answer::Failed("refused"),
        }
    }
}

fn open(dir: &Path) -> AuditLog {
    AuditLog::open(LogOptions::new(dir, origin(), key(), clock()).segment_bytes(1)).unwrap()
}

async fn record(log: &AuditLog, n: u64) {
    for count in 0..n {
        log.record(draft(count)).await.unwrap();
    }
}

#[tokio::test]
async fn a_quorum_that_is_not_met_covers_nothing_and_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    record(&log, 3).await;
    let bench = Bench::new(&log, &["hub", "CSC", "POL"]);
    let cosigned = Cosigned::new(log.clone(), Quorum::Majority);
    bench.silence(&["hub", "CSC"]);
    cosigned.round(&bench).await;
    assert_eq!((cosigned.size(), log.latest_checkpoint()), (0, None));
    assert_eq!(cosigned.everything(Duration::ZERO).await, Err(LogError::Unavailable));
    bench.silence(&["CSC"]);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.size(), 3);
    assert_eq!(cosigned.everything(Duration::ZERO).await, Ok(()));
    record(&log, 1).await;
    assert_eq!(cosigned.everything(Duration::ZERO).await, Err(LogError::Unavailable));
}

#[tokio::test]
async fn a_policy_of_the_operator_is_the_quorum_and_what_was_kept_for_another_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    record(&log, 2).await;
    let bench = Bench::new(&log, &["hub", "CSC", "POL"]);
    let key = |party: &str| bench.witnesses[&party.parse::<Party>().unwrap()].public().clone();
    bench.silence(&["POL"]);
    Cosigned::new(log.clone(), Quorum::Majority).round(&bench).await;
    let policy = Policy::of(log.note_key(), &[key("hub"), key("POL")], 2).unwrap();
    let cosigned = Cosigned::new(log.clone(), Quorum::Policy(Box::new(policy.clone())));
    assert_eq!(cosigned.size(), 0);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.everything(Duration::ZERO).await, Err(LogError::Unavailable));
    bench.silence(&["CSC"]);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.everything(Duration::ZERO).await, Ok(()));
    drop((cosigned, log));
    assert_eq!(Cosigned::new(open(dir.path()), Quorum::Policy(Box::new(policy))).size(), 2);
}

#[tokio::test]
async fn every_party_of_a_strict_quorum_is_needed_and_what_came_is_kept_with_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    record(&log, 2).await;
    let bench = Bench::new(&log, &["hub", "CSC"]);
    let quorum = Quorum::All(vec![Party::Hub]);
    let cosigned = Cosigned::new(log.clone(), quorum.clone());
    bench.silence(&["hub"]);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.size(), 0);
    bench.silence(&[]);
    cosigned.round(&bench).await;
    let keys: Vec<NoteKey> = bench.witnesses.values().map(|w| w.public().clone()).collect();
    let kept = log.latest_checkpoint().unwrap();
    assert_eq!(kept.cosignatures(&keys).unwrap().len(), 2);
    drop((cosigned, log));
    // What was kept is known again after a restart.
    let log = open(dir.path());
    assert_eq!(Cosigned::new(log, quorum).size(), 2);
}

#[tokio::test]
async fn after_a_restart_a_witness_says_itself_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let bench = Bench::new(&log, &["hub"]);
    for n in 1..4 {
        record(&log, 5).await;
        let cosigned = Cosigned::new(log.clone(), Quorum::Majority);
        cosigned.round(&bench).await;
        assert_eq!(cosigned.size(), n * 5);
    }
    // Once at first, then twice after each restart.
    assert_eq!(*bench.n_asked.lock().unwrap(), 5);
}

#[tokio::test]
async fn a_log_that_was_put_back_with_its_checkpoints_is_condemned_by_a_witness_that_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let bench = Bench::new(&log, &["hub"]);
    record(&log, 4).await;
    Cosigned::new(log.clone(), Quorum::Majority).round(&bench).await;
    let folder = log.dir().to_owned();
    drop(log);
    // As a copy from before would be: two entries, and no checkpoint over more.
    for file in ["00000000000000000002.seg", "00000000000000000003.seg", "checkpoints.log"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    let log = open(dir.path());
    let cosigned = Cosigned::new(log.clone(), Quorum::Majority);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.size(), 0);
    assert!(!log.is_available());
    let why = log.condemned().get().cloned();
    assert_eq!(why, Some(Contradiction::RolledBack { n_entries: 2, size: 4 }));
}

#[tokio::test]
async fn a_log_that_was_written_anew_is_condemned_by_a_witness_of_the_first() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(dir.path());
    let bench = Bench::new(&log, &["hub"]);
    record(&log, 4).await;
    Cosigned::new(log, Quorum::Majority).round(&bench).await;
    let rewritten = open(other.path());
    for count in 0..9 {
        rewritten.record(draft(count + 100)).await.unwrap();
    }
    let cosigned = Cosigned::new(rewritten.clone(), Quorum::Majority);
    cosigned.round(&bench).await;
    assert_eq!(cosigned.size(), 0);
    let why = rewritten.condemned().get().cloned();
    assert_eq!(why, Some(Contradiction::Rewritten { size: 4 }));
}

#[tokio::test]
async fn what_waits_is_covered_as_soon_as_the_quorum_answers() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let bench = Bench::new(&log, &["hub"]);
    let cosigned = Cosigned::new(log.clone(), Quorum::Majority);
    record(&log, 3).await;
    let asking = cosigned.keep_asking(&bench, Duration::from_secs(3600));
    tokio::select! {
        () = asking => panic!("it goes on asking"),
        covered = cosigned.everything(Duration::from_secs(60)) => assert_eq!(covered, Ok(())),
    }
    assert_eq!(cosigned.size(), 3);
}

/// A witness that has seen more than the checkpoint it is asked about, as with each exchange, `n_times`.
struct Overtaking {
    bench: Bench,
    log: AuditLog,
    n_times: Mutex<u64>,
}

impl AskWitness for Overtaking {
    fn witnesses(&self) -> Vec<Asked> {
        self.bench.witnesses()
    }

    async fn ask(&self, asked: &Asked, question: Question) -> Answer {
        let overtakes = {
            let mut left = self.n_times.lock().unwrap();
            let overtakes = *left > 0;
            *left = left.saturating_sub(1);
            overtakes
        };
        if overtakes {
            record(&self.log, 1).await;
            let Asked::Party(party) = asked else { panic!("nobody else is on the bench") };
            let witness = &self.bench.witnesses[party];
            let tree = self.log.tree();
            let old_size =
                witness.kept(&self.bench.log).map_or(0, |kept| kept.checkpoint().head.size);
            let proof = tree.prove_consistency(old_size, tree.head().size).unwrap();
            let note = self.log.sign(&tree).unwrap();
            witness
                .add(
                    &self.bench.log,
                    old_size,
                    &proof,
                    note,
                    "2027-01-01T00:00:00Z".parse().unwrap(),
                )
                .unwrap();
        }
        self.bench.ask(asked, question).await
    }
}

#[tokio::test]
async fn a_witness_that_has_seen_more_meanwhile_is_asked_with_a_newer_checkpoint_but_not_for_ever()
{
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    record(&log, 1).await;
    let bench = Bench::new(&log, &["hub"]);
    let overtaking = Overtaking { bench, log: log.clone(), n_times: Mutex::new(3) };
    let cosigned = Cosigned::new(log.clone(), Quorum::Majority);
    cosigned.round(&overtaking).await;
    assert_eq!((cosigned.size(), log.n_entries()), (4, 4));
    *overtaking.n_times.lock().unwrap() = u64::MAX;
    cosigned.round(&overtaking).await;
    assert!(log.is_available());
    assert_eq!(cosigned.size(), 4);
}
