use proptest::prelude::*;
use ring::digest::{SHA256, digest};

use super::*;

/// RFC 6962, section 2.1, word for word: slow, and written without a look at the library.
mod rfc {
    use super::{Hash, SHA256, digest};

    fn sha(parts: &[&[u8]]) -> Hash {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
        Hash::from_bytes(bytes)
    }

    /// The largest power of two smaller than `n`.
    fn split(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(d: &[Vec<u8>]) -> Hash {
        match d {
            [] => sha(&[]),
            [one] => sha(&[&[0], one]),
            _ => {
                let (left, right) = d.split_at(split(d.len()));
                sha(&[&[1], mth(left).as_bytes(), mth(right).as_bytes()])
            }
        }
    }

    pub(super) fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        if d.len() == 1 {
            return Vec::new();
        }
        let k = split(d.len());
        let (left, right) = d.split_at(k);
        let (mut path, sibling) =
            if m < k { (path(m, left), mth(right)) } else { (path(m - k, right), mth(left)) };
        path.push(sibling);
        path
    }

    pub(super) fn proof(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        subproof(m, d, true)
    }

    fn subproof(m: usize, d: &[Vec<u8>], whole: bool) -> Vec<Hash> {
        if m == d.len() {
            return if whole { Vec::new() } else { vec![mth(d)] };
        }
        let k = split(d.len());
        let (left, right) = d.split_at(k);
        let (mut proof, other) = if m <= k {
            (subproof(m, left, whole), mth(right))
        } else {
            (subproof(m - k, right, false), mth(left))
        };
        proof.push(other);
        proof
    }
}

fn entries(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|n| format!("entry {n}").into_bytes()).collect()
}

fn tree(entries: &[Vec<u8>]) -> Tree {
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    for entry in entries {
        tree.push(Hash::of_leaf(entry)).unwrap();
    }
    tree
}

#[test]
fn refuses_what_is_not_a_hash_and_proofs_beyond_any_tree() {
    assert_eq!("AAAA".parse::<Hash>(), Err(NotProven::NotAHash));
    let head = TreeHead { size: MAX_SIZE + 1, ..TreeHead::EMPTY };
    assert_eq!(head.check_inclusion(0, Hash([0; 32]), &[]), Err(NotProven::TooLarge));
    let head = TreeHead { size: 8, ..TreeHead::EMPTY };
    let long = vec![Hash([0; 32]); MAX_PROOF_HASHES + 1];
    assert_eq!(head.check_inclusion(0, Hash([0; 32]), &long), Err(NotProven::TooLarge));
    assert_eq!(head.check_consistency(&TreeHead::EMPTY, &long), Err(NotProven::TooLarge));
}

#[test]
fn an_empty_tree_is_the_beginning_of_every_tree_and_of_nothing_else_by_its_root() {
    let head = tree(&entries(5)).reader().unwrap().head();
    assert_eq!(head.check_consistency(&TreeHead::EMPTY, &[]), Ok(()));
    let false_empty = TreeHead { size: 0, root: head.root };
    assert_eq!(head.check_consistency(&false_empty, &[]), Err(NotProven::Invalid));
    let other = TreeHead { size: 5, root: TreeHead::EMPTY.root };
    assert_eq!(head.check_consistency(&other, &[]), Err(NotProven::Invalid));
    assert_eq!(TreeHead::EMPTY.root, rfc::mth(&[]));
}

#[test]
fn a_reader_keeps_its_size_while_the_tree_grows_past_what_is_held_in_memory() {
    let mut tree = tree(&entries(3));
    let before = tree.reader().unwrap();
    for n in 3..MAX_PENDING / HASH_BYTES + 10 {
        tree.push(Hash::of_leaf(format!("entry {n}").as_bytes())).unwrap();
    }
    let after = tree.reader().unwrap();
    assert_eq!(before.head(), TreeHead { size: 3, root: rfc::mth(&entries(3)) });
    let proof = after.prove_consistency(3, after.head().size).unwrap();
    assert_eq!(after.head().check_consistency(&before.head(), &proof), Ok(()));
    assert!(after.head_at(after.head().size + 1000).is_err());
    assert!(after.prove_inclusion(7, 7).is_err());
}

/// The root that is kept while the tree grows, and the one that is read from the file, over sizes with every pattern of
/// subtrees up to eleven levels.
#[test]
fn the_root_while_the_tree_grows_is_the_one_that_its_file_gives() {
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    for size in 0..1100 {
        let reader = tree.reader().unwrap();
        assert_eq!(reader.head(), reader.head_at(size).unwrap());
        assert_eq!(reader.head().size, size);
        tree.push(Hash::of_leaf(&size.to_be_bytes())).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn roots_and_proofs_are_those_of_the_rfc(n in 1..140_usize, m: prop::sample::Index) {
        let entries = entries(n);
        let m = m.index(n);
        let reader = tree(&entries).reader().unwrap();
        let head = reader.head();
        prop_assert_eq!(head.root, rfc::mth(&entries));
        prop_assert_eq!(reader.head_at(m as u64).unwrap().root, rfc::mth(&entries[..m]));
        let path = reader.prove_inclusion(m as u64, n as u64).unwrap();
        prop_assert_eq!(&path, &rfc::path(m, &entries));
        prop_assert_eq!(head.check_inclusion(m as u64, Hash::of_leaf(&entries[m]), &path), Ok(()));
        if m > 0 {
            let proof = reader.prove_consistency(m as u64, n as u64).unwrap();
            prop_assert_eq!(&proof, &rfc::proof(m, &entries));
            let earlier = reader.head_at(m as u64).unwrap();
            prop_assert_eq!(head.check_consistency(&earlier, &proof), Ok(()));
        }
    }

    #[test]
    fn a_proof_for_another_entry_place_root_or_with_a_changed_hash_does_not_hold(
        n in 2..140_usize, m: prop::sample::Index, flip: prop::sample::Index
    ) {
        let entries = entries(n);
        let m = m.index(n);
        let reader = tree(&entries).reader().unwrap();
        let head = reader.head();
        let path = reader.prove_inclusion(m as u64, n as u64).unwrap();
        let leaf = Hash::of_leaf(&entries[m]);
        prop_assert!(head.check_inclusion(m as u64, Hash::of_leaf(b"another"), &path).is_err());
        let elsewhere = (m + 1) % n;
        prop_assert!(head.check_inclusion(elsewhere as u64, leaf, &path).is_err());
        prop_assert!(head.check_inclusion(n as u64, leaf, &path).is_err());
        let mut changed = path.clone();
        let at = flip.index(changed.len());
        changed[at].0[flip.index(32)] ^= 1;
        prop_assert!(head.check_inclusion(m as u64, leaf, &changed).is_err());
        prop_assert!(head.check_inclusion(m as u64, leaf, &path[1..]).is_err());
        let other = TreeHead { root: leaf, ..head };
        prop_assert!(other.check_inclusion(m as u64, leaf, &path).is_err());
    }

    #[test]
    fn sizes_and_proofs_that_somebody_invents_are_refused_without_a_panic(
        size: u64, earlier: u64, index: u64, n_hashes in 0..70_usize
    ) {
        let head = TreeHead { size, root: Hash([1; 32]) };
        let proof = vec![Hash([2; 32]); n_hashes];
        prop_assert!(head.check_inclusion(index, Hash([3; 32]), &proof).is_err());
        if earlier != 0 && earlier != size {
            let earlier = TreeHead { size: earlier, root: Hash([4; 32]) };
            prop_assert!(head.check_consistency(&earlier, &proof).is_err());
        }
    }
}
