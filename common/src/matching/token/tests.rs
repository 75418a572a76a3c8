use proptest::prelude::*;
use rand_core::OsRng;

use super::*;
use crate::matching::{
    identity::{BirthDate, Identity, IdentityParts, Name, NameKind},
    keys::enrolment_keys,
};

fn secret(agency: &str, epoch: u64) -> EpochSecret {
    let seed = SecretBytes::new([7; 32]);
    EpochSecret::derive(&seed, &agency.parse().unwrap(), Epoch(epoch)).unwrap()
}

fn keys(given: &str) -> Vec<MatchKey> {
    let parts = IdentityParts {
        names: vec![Name::new(NameKind::Current, given, "Brookes").unwrap()],
        birth: BirthDate::parse("1992-03-04").unwrap(),
        ..IdentityParts::default()
    };
    enrolment_keys(&Identity::new(parts).unwrap())
}

fn query() -> RequestId {
    RequestId::from_random([3; 16])
}

#[test]
fn refuses_batches_of_another_size_and_points_that_are_none() {
    let secret = secret("CSC", 1);
    let batch = BlindBatch::new(&keys("Nadia"), &mut OsRng).unwrap();
    let short = &batch.elements()[1..];
    assert_eq!(secret.evaluate_batch(short, &mut OsRng), Err(TokenFailure::BatchSize(511)));
    let mut elements = batch.elements().to_vec();
    for bad in [[0; 32], [255; 32]] {
        elements[4] = bad;
        let refused = secret.evaluate_batch(&elements, &mut OsRng);
        assert_eq!(refused, Err(TokenFailure::BadElement(4)));
    }
    let many = vec![keys("Nadia")[0].clone(); BATCH + 1];
    assert_eq!(BlindBatch::new(&many, &mut OsRng).unwrap_err(), TokenFailure::BatchSize(513));
}

#[test]
fn refuses_a_batch_evaluated_under_another_secret_or_altered() {
    let (right, wrong) = (secret("CSC", 1), secret("CSC", 2));
    let batch = BlindBatch::new(&keys("Nadia"), &mut OsRng).unwrap();
    let evaluated = right.evaluate_batch(batch.elements(), &mut OsRng).unwrap();
    let failure = |evaluated: &EvaluatedBatch, key: &ElementBytes| {
        batch.finalize(evaluated, key).unwrap_err()
    };
    assert_eq!(failure(&evaluated, &wrong.public_key()), TokenFailure::Proof);
    assert_eq!(failure(&evaluated, &[0; 32]), TokenFailure::BadPublicKey);
    let mut altered = evaluated.clone();
    altered.elements.swap(0, 1);
    assert_eq!(failure(&altered, &right.public_key()), TokenFailure::Proof);
    altered = evaluated.clone();
    altered.proof[0] ^= 1;
    assert!(matches!(
        failure(&altered, &right.public_key()),
        TokenFailure::Proof | TokenFailure::BadProof
    ));
    altered.proof = [255; PROOF_BYTES];
    assert_eq!(failure(&altered, &right.public_key()), TokenFailure::BadProof);
    altered = evaluated;
    altered.elements.pop();
    assert_eq!(failure(&altered, &right.public_key()), TokenFailure::BatchSize(511));
}

#[test]
fn node_and_hub_get_the_same_output_for_the_same_key() {
    let secret = secret("CSC", 1);
    let keys = keys("Nadia");
    let batch = BlindBatch::new(&keys, &mut OsRng).unwrap();
    let evaluated = secret.evaluate_batch(batch.elements(), &mut OsRng).unwrap();
    let outputs = batch.finalize(&evaluated, &secret.public_key()).unwrap();
    assert_eq!(outputs.len(), keys.len());
    for ((place, output), expected) in outputs.iter().zip(0..) {
        assert_eq!(*place, expected);
        let own = secret.evaluate(&keys[*place]).unwrap();
        assert_eq!((output.tag, output.secret.expose()), (own.tag, own.secret.expose()));
        assert_ne!(output.tag, *output.secret.expose());
    }
}

#[test]
fn a_batch_looks_alike_whatever_is_in_it() {
    let (empty, some) = (
        BlindBatch::new(&[], &mut OsRng).unwrap(),
        BlindBatch::new(&keys("Nadia"), &mut OsRng).unwrap(),
    );
    assert_eq!((empty.elements().len(), some.elements().len()), (BATCH, BATCH));
    let again = BlindBatch::new(&keys("Nadia"), &mut OsRng).unwrap();
    assert!(some.elements().iter().all(|element| !again.elements().contains(element)));
}

#[test]
fn agencies_and_epochs_share_no_tag() {
    let key = &keys("Nadia")[0];
    let tag = |agency, epoch| secret(agency, epoch).evaluate(key).unwrap().tag;
    assert_ne!(tag("CSC", 1), tag("CSC", 2));
    assert_ne!(tag("CSC", 1), tag("POL", 1));
    assert_eq!(tag("CSC", 1), tag("CSC", 1));
}

#[test]
fn a_hit_proof_is_worth_nothing_elsewhere() {
    let secret = SecretBytes::new([1; 16]);
    let proof = prove_hit(secret.expose(), &query(), 4, &[9; 16]);
    assert!(verify_hit(&secret, &query(), 4, &[9; 16], &proof));
    let other = RequestId::from_random([4; 16]);
    assert!(!verify_hit(&secret, &other, 4, &[9; 16], &proof));
    assert!(!verify_hit(&secret, &query(), 5, &[9; 16], &proof));
    assert!(!verify_hit(&secret, &query(), 4, &[8; 16], &proof));
    assert!(!verify_hit(&SecretBytes::new([2; 16]), &query(), 4, &[9; 16], &proof));
    assert!(!verify_hit(&secret, &query(), 4, &[9; 16], &[0; 16]));
}

#[test]
fn dummies_of_a_query_are_random_and_keep_no_secret() {
    let secret = secret("CSC", 1);
    let mut slots = [const { None }; QUERY_SLOTS];
    slots[3] = Some(keys("Nadia")[0].clone());
    let (first, second) = (
        secret.prepare_query(&slots, &mut OsRng).unwrap(),
        secret.prepare_query(&slots, &mut OsRng).unwrap(),
    );
    for slot in 0..QUERY_SLOTS {
        assert_eq!(first.asked[slot].is_some(), slot == 3);
        assert_eq!(first.tags[slot] == second.tags[slot], slot == 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn decoding_takes_any_bytes(bytes in any::<[u8; 32]>(), proof in any::<[[u8; 32]; 2]>()) {
        let secret = secret("CSC", 1);
        let _ = secret.evaluate_batch(&vec![bytes; BATCH], &mut OsRng);
        let batch = BlindBatch::new(&[], &mut OsRng).unwrap();
        let proof = proof.concat().try_into().unwrap();
        let evaluated = EvaluatedBatch { elements: vec![bytes; BATCH], proof };
        prop_assert!(batch.finalize(&evaluated, &secret.public_key()).is_err());
    }
}
