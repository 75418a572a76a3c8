//! What verifiers of a log read: receipts, with the checkpoint in them, and policies.

use std::sync::LazyLock;

use brag_common::{
    keys::SigningKey,
    secret::SecretBytes,
    tlog::{Checkpoint, Hash, KeyKind, NoteKey, Policy, Proof, Tree, TreeHead},
};

/// The entries of the one log that there is.
pub(crate) const ENTRIES: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];

/// A log, its witness, and whom to believe about it.
pub(crate) struct Log {
    pub(crate) policy: Policy,
    pub(crate) head: TreeHead,
    pub(crate) receipt: String,
}

pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| {
    let key = |seed| SigningKey::from_seed(SecretBytes::new([seed; 32])).expect("a key");
    let named = |name, kind, seed| {
        NoteKey::new(name, kind, key(seed).verifying_key()).expect("a name of a key")
    };
    let log = named("fuzz/CSC/1", KeyKind::Log, 150);
    let witness = named("fuzz/hub/witness", KeyKind::Witness, 151);
    let mut tree = Tree::new(tempfile::tempfile().expect("a file"));
    for entry in ENTRIES {
        tree.push(Hash::of_leaf(entry)).expect("it is written");
    }
    let reader = tree.reader().expect("it is read");
    let head = reader.head();
    let checkpoint = Checkpoint { origin: "fuzz/CSC/1".into(), head };
    let mut checkpoint = checkpoint.sign(&log, &key(150)).expect("it is signed");
    let at = "2027-01-02T03:04:05Z".parse().expect("a time");
    checkpoint.cosign(&witness, at, &key(151)).expect("it is cosigned");
    let hashes = reader.prove_inclusion(2, 5).expect("it is proven");
    let proof = Proof { index: 2, hashes, checkpoint };
    Log {
        policy: Policy::of(&log, &[witness], 1).expect("a policy"),
        head,
        receipt: proof.to_text().expect("it is written"),
    }
});

/// A receipt: written back as it was read, and good only for what is in the one log, at its place.
pub(crate) fn receipt(bytes: &[u8]) -> bool {
    let Ok(proof) = Proof::parse(bytes) else { return false };
    let text = proof.to_text().expect("what was read can be written");
    assert_eq!(text.as_bytes(), bytes, "read in one way and written in another");
    for (index, entry) in (0_u64..).zip(ENTRIES) {
        if proof.check(entry, &LOG.policy).is_ok() {
            assert_eq!(proof.index, index, "an entry at a place where it is not");
            assert_eq!(proof.checkpoint.checkpoint().head, LOG.head, "a tree nobody has signed");
        }
    }
    assert!(proof.check(b"never written", &LOG.policy).is_err(), "an entry that is not there");
    true
}

/// A policy: the same when it is written and read again, and content with nothing it should not be.
pub(crate) fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(policy) = text.parse::<Policy>() else { return false };
    let again: Policy = policy.to_string().parse().expect("what was written can be read");
    assert_eq!(again, policy);
    let proof = Proof::parse(LOG.receipt.as_bytes()).expect("the sample is a receipt");
    if policy.accept(&proof.checkpoint).is_ok() {
        assert!(policy.log("fuzz/CSC/1").is_some(), "a log that the policy does not name");
    }
    true
}
