use proptest::prelude::*;

use super::*;
use crate::tlog::{
    checkpoint::{
        Checkpoint,
        tests::{key, log},
    },
    tree::Tree,
};

const ENTRIES: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];

fn proof(index: u64) -> Proof {
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    ENTRIES.iter().for_each(|entry| tree.push(Hash::of_leaf(entry)).unwrap());
    let reader = tree.reader().unwrap();
    let checkpoint = Checkpoint { origin: "example/CSC/1".into(), head: reader.head() };
    Proof {
        index,
        hashes: reader.prove_inclusion(index, 5).unwrap(),
        checkpoint: checkpoint.sign(&log(), &key(1)).unwrap(),
    }
}

fn policy() -> Policy {
    Policy::of(&log(), &[], 0).unwrap()
}

#[test]
fn refuses_texts_that_are_no_receipt_in_its_one_form() {
    let good = proof(2).to_text().unwrap();
    let first_hash = proof(2).hashes[0].to_string();
    for text in [
        good.replacen("@v1", "@v2", 1),
        good.replacen("index 2", "index 02", 1),
        good.replacen("index 2", "extra AAAA\nindex 2", 1),
        good.replacen(&first_hash, "AAAA", 1),
        good.replacen(&first_hash, &vec![first_hash.clone(); 64].join("\n"), 1),
        good.replacen("\n\n", "\n", 1),
        String::new(),
    ] {
        assert_eq!(Proof::parse(text.as_bytes()), Err(ProofError::Malformed), "{text:.60}");
    }
    assert_eq!(Proof::parse(&[0xff; 100]), Err(ProofError::Malformed));
    assert_eq!(Proof::parse(&vec![b'x'; MAX_PROOF_BYTES + 1]), Err(ProofError::Malformed));
}

#[test]
fn a_receipt_is_good_for_its_entry_and_no_other() {
    for (index, entry) in ENTRIES.iter().enumerate() {
        let text = proof(index as u64).to_text().unwrap();
        let read = Proof::parse(text.as_bytes()).unwrap();
        assert_eq!(read.check(entry, &policy()), Ok(Vec::new()));
        let refused = read.check(b"another", &policy());
        assert_eq!(refused, Err(ProofError::Entry(NotProven::Invalid)));
    }
    let elsewhere = Proof { index: 3, ..proof(2) };
    assert!(matches!(elsewhere.check(b"c", &policy()), Err(ProofError::Entry(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Proof::parse(&bytes);
    }
}
