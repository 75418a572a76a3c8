use std::sync::Arc;

use super::*;
use crate::{
    secret::SecretBytes,
    tlog::{Checkpoint, KeyKind, Tree, TreeReader},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()
}

fn now() -> Timestamp {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn log() -> NoteKey {
    NoteKey::new("example/CSC/1", KeyKind::Log, key(1).verifying_key()).unwrap()
}

fn open(dir: &Path) -> Witness {
    let public = NoteKey::new("example/hub/witness", KeyKind::Witness, key(2).verifying_key());
    Witness::open(dir.to_owned(), public.unwrap(), key(2)).unwrap()
}

/// A history of entries that begin with `first`.
fn history(first: &str, n: usize) -> TreeReader {
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    for n in 0..n {
        tree.push(Hash::of_leaf(format!("{first} {n}").as_bytes())).unwrap();
    }
    tree.reader().unwrap()
}

fn note(tree: &TreeReader, size: u64) -> CheckpointNote {
    let head = tree.head_at(size).unwrap();
    Checkpoint { origin: "example/CSC/1".into(), head }.sign(&log(), &key(1)).unwrap()
}

fn add(witness: &Witness, tree: &TreeReader, old: u64, size: u64) -> Result<Vec<u8>, NotCosigned> {
    let proof = tree.prove_consistency(old, size).unwrap();
    witness.add(&log(), old, &proof, note(tree, size), now())
}

#[test]
fn cosigns_a_log_as_it_grows_and_remembers_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let tree = history("a", 20);
    for (old, size) in [(0, 3), (3, 3), (3, 17), (17, 20)] {
        let witness = open(dir.path());
        let line = add(&witness, &tree, old, size).unwrap();
        let found = note(&tree, size).add(&line, witness.public()).unwrap();
        assert_eq!(found.at, now());
        assert_eq!(witness.kept(&log()).unwrap().checkpoint().head.size, size);
    }
}

#[test]
fn refuses_another_history_and_keeps_it_as_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let (tree, other) = (history("a", 20), history("b", 20));
    add(&witness, &tree, 0, 10).unwrap();
    for size in [10, 15, 15] {
        let refused = add(&witness, &other, 10, size).unwrap_err();
        let NotCosigned::Inconsistent { kept } = refused else { panic!("{refused:?}") };
        assert_eq!(kept.checkpoint(), note(&tree, 10).checkpoint());
    }
    // What was cosigned, and each refused checkpoint once.
    let evidence = kept_in(dir.path(), "example/CSC/1").unwrap();
    let sizes: Vec<u64> = evidence.iter().map(|note| note.checkpoint().head.size).collect();
    assert_eq!((sizes.len(), sizes[0]), (3, 10));
    assert!(evidence.iter().all(|note| note.signed_by(&log()).is_ok()));
    assert_eq!(kept_in(dir.path(), "example/POL/1").unwrap(), []);
    add(&witness, &tree, 10, 20).unwrap();
}

#[test]
fn never_goes_back_and_says_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let tree = history("a", 20);
    add(&witness, &tree, 0, 10).unwrap();
    for (old, size) in [(0, 20), (5, 20), (20, 20)] {
        let refused = add(&witness, &tree, old, size).unwrap_err();
        let NotCosigned::Conflict { kept: Some(kept) } = refused else { panic!("{refused:?}") };
        assert_eq!(kept.checkpoint().head.size, 10);
    }
    // Back to five entries, and forward by a proof that is none.
    let back = witness.add(&log(), 10, &[], note(&tree, 5), now());
    assert!(matches!(back, Err(NotCosigned::Inconsistent { .. })));
    let unproven = witness.add(&log(), 10, &[Hash::of_leaf(b"x")], note(&tree, 20), now());
    assert!(matches!(unproven, Err(NotCosigned::Inconsistent { .. })));
    assert_eq!(witness.kept(&log()).unwrap().checkpoint().head.size, 10);
}

#[test]
fn a_log_that_is_known_does_not_change_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let tree = history("a", 20);
    add(&witness, &tree, 0, 10).unwrap();
    let other = NoteKey::new("example/CSC/1", KeyKind::Log, key(9).verifying_key()).unwrap();
    let checkpoint = note(&tree, 20).checkpoint().clone();
    let with_other = checkpoint.sign(&other, &key(9)).unwrap();
    let proof = tree.prove_consistency(10, 20).unwrap();
    let refused = witness.add(&other, 10, &proof, with_other, now());
    assert!(matches!(refused, Err(NotCosigned::AnotherKey)));
    // Nor is a checkpoint taken that the log has not signed.
    let unsigned = witness.add(&other, 0, &[], note(&tree, 20), now());
    assert!(unsigned.is_err());
}

#[test]
fn a_memory_that_somebody_else_wrote_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let tree = history("a", 20);
    add(&witness, &tree, 0, 10).unwrap();
    drop(witness);
    let path = dir.path().join("seen/00000000.log");
    let good = fs::read(&path).unwrap();
    let open = || {
        let public = NoteKey::new("example/hub/witness", KeyKind::Witness, key(2).verifying_key());
        Witness::open(dir.path().to_owned(), public.unwrap(), key(2))
    };
    // A line that names this witness, and is not its own.
    let mut forged = note(&tree, 3);
    let other = NoteKey::new("example/hub/witness", KeyKind::Witness, key(2).verifying_key());
    let line = note(&tree, 5).cosign(&other.unwrap(), now(), &key(2)).unwrap();
    let text = [forged.to_bytes().unwrap(), line, b"\n".to_vec()].concat();
    forged = CheckpointNote::parse(&text).unwrap();
    let mut frame = Vec::new();
    crate::audit::frame::append(&mut frame, &forged.to_bytes().unwrap());
    fs::write(&path, [good.clone(), frame].concat()).unwrap();
    assert!(open().unwrap_err().to_string().contains("not one that this witness cosigned"));
    let mut changed = good.clone();
    changed[20] ^= 1;
    for (wrong, what) in
        [(changed, "damaged"), ([good.clone(), b"nothing, and more".to_vec()].concat(), "damaged")]
    {
        fs::write(&path, wrong).unwrap();
        assert!(open().unwrap_err().to_string().contains(what));
    }
    // A write that never finished is none.
    fs::write(&path, [&good[..], &good[..100]].concat()).unwrap();
    let witness = open().unwrap();
    assert_eq!(witness.kept(&log()).unwrap().checkpoint().head.size, 10);
    assert_eq!(fs::read(&path).unwrap(), good);
}

/// An entry of an exchange at `index` in the history that begins with `first`, under a checkpoint of `size`.
fn receipt(tree: &TreeReader, first: &str, index: u64, old_size: u64, size: u64) -> Shown {
    let entry = ShownEntry {
        exchange: RequestId::from_random([9; 16]),
        json: format!("{first} {index}").into_bytes(),
        index,
        proof: tree.prove_inclusion(index, size).unwrap(),
    };
    let proof = tree.prove_consistency(old_size, size).unwrap();
    Shown { old_size, proof, note: note(tree, size), entry: Some(entry) }
}

#[test]
fn a_receipt_whose_entry_is_not_in_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let (tree, other) = (history("{a", 20), history("{b", 20));
    add(&witness, &tree, 0, 10).unwrap();
    let mut wrong = receipt(&tree, "{a", 14, 10, 15);
    wrong.entry.as_mut().unwrap().json = b"{a 13".to_vec();
    let refused = witness.look(&log(), wrong, now());
    assert!(matches!(refused, Err(NotCosigned::NoEntry(_))));
    let elsewhere = witness.look(&log(), receipt(&other, "{b", 14, 10, 15), now());
    assert!(matches!(elsewhere, Err(NotCosigned::Inconsistent { .. })));
    assert_eq!(witness.kept(&log()).unwrap().checkpoint().head.size, 10);
}

#[test]
fn receipts_that_overtake_each_other_are_believed_and_one_of_them_is_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let (tree, other) = (history("{a", 20), history("{b", 20));
    add(&witness, &tree, 0, 10).unwrap();
    let look = |shown| witness.look(&log(), shown, now());
    let later = look(receipt(&tree, "{a", 14, 10, 15)).unwrap();
    assert!(later.line.is_some());
    for size in [12, 18] {
        let overtaken = look(receipt(&tree, "{a", 11, 10, size)).unwrap();
        assert!(overtaken.line.is_none());
    }
    assert_eq!(witness.kept(&log()).unwrap().checkpoint().head.size, 15);
    // Another history is refused from any place that was cosigned, and so is another root of the same size.
    for (size, old_size) in [(15, 10), (17, 10), (17, 15)] {
        let fork = look(receipt(&other, "{b", 14, old_size, size));
        assert!(matches!(fork, Err(NotCosigned::Inconsistent { .. })), "{size}");
    }
    drop(witness);
    let mut receipts = Vec::new();
    receipt::read(dir.path(), &mut |receipt| receipts.push(receipt)).unwrap();
    let sizes: Vec<u64> =
        receipts.iter().map(|one| one.proof.checkpoint.checkpoint().head.size).collect();
    assert_eq!(sizes, [15, 12, 18]);
    // What was only believed is no memory, though it was written last.
    assert_eq!(open(dir.path()).kept(&log()).unwrap().checkpoint().head.size, 15);
}

#[test]
fn of_two_histories_that_come_at_once_one_is_cosigned() {
    for _ in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let witness = Arc::new(open(dir.path()));
        let both = ["a", "b"].map(|first| {
            let witness = Arc::clone(&witness);
            std::thread::spawn(move || add(&witness, &history(first, 20), 0, 20).is_ok())
        });
        let n_cosigned = both.into_iter().map(|one| one.join().unwrap());
        assert_eq!(n_cosigned.filter(|cosigned| *cosigned).count(), 1);
    }
}
