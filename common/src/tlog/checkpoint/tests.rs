use proptest::prelude::*;

use super::*;
use crate::secret::SecretBytes;

pub(in crate::tlog) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()
}

pub(in crate::tlog) fn named(name: &str, kind: KeyKind, seed: u8) -> NoteKey {
    NoteKey::new(name, kind, key(seed).verifying_key()).unwrap()
}

pub(in crate::tlog) fn log() -> NoteKey {
    named("example/CSC/1", KeyKind::Log, 1)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(in crate::tlog) fn signed(size: u64) -> CheckpointNote {
    let head = TreeHead { size, root: Hash::of_leaf(&size.to_be_bytes()) };
    Checkpoint { origin: "example/CSC/1".into(), head }.sign(&log(), &key(1)).unwrap()
}

#[test]
fn refuses_notes_that_are_no_checkpoint_in_its_one_form() {
    let good = String::from_utf8(signed(7).to_bytes().unwrap()).unwrap();
    let wrong = [
        good.replacen("\n7\n", "\n07\n", 1),
        good.replacen("\n7\n", "\n+7\n", 1),
        good.replacen("\n7\n", "\n9223372036854775808\n", 1),
        good.replacen("\n\n", "\nextension\n\n", 1),
        good.replacen("example", "exa\rmple", 1),
        good.replacen("\n\n", "\n", 1),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        String::new(),
        format!("{good}{}", "— x AAAAAAAA\n".repeat(2000)),
    ];
    for text in wrong {
        let parsed = CheckpointNote::parse(text.as_bytes());
        assert_eq!(parsed, Err(CheckpointError::Malformed), "{text:.80}");
    }
}

#[test]
fn a_checkpoint_is_signed_only_with_the_key_of_its_log() {
    let checkpoint = signed(7).checkpoint().clone();
    let witness = named("example/CSC/1", KeyKind::Witness, 1);
    let other_name = named("example/POL/1", KeyKind::Log, 1);
    for (public, secret) in [(log(), key(2)), (witness, key(1)), (other_name, key(1))] {
        assert_eq!(checkpoint.sign(&public, &secret), Err(CheckpointError::OtherKey));
    }
    let note = signed(7);
    assert_eq!(note.signed_by(&log()), Ok(()));
    let same_name = named("example/CSC/1", KeyKind::Log, 9);
    assert_eq!(note.signed_by(&same_name), Err(CheckpointError::NotSigned));
    let other_log = named("example/POL/1", KeyKind::Log, 1);
    assert_eq!(note.signed_by(&other_log), Err(CheckpointError::OtherKey));
}

#[test]
fn a_changed_size_is_no_longer_signed() {
    let text = String::from_utf8(signed(7).to_bytes().unwrap()).unwrap();
    let changed = CheckpointNote::parse(text.replacen("\n7\n", "\n8\n", 1).as_bytes()).unwrap();
    assert_eq!(changed.signed_by(&log()), Err(CheckpointError::BadSignature));
}

#[test]
fn a_cosignature_names_its_witness_and_time_and_replaces_its_earlier_one() {
    let witness = named("example/hub/witness", KeyKind::Witness, 2);
    let mut note = signed(7);
    let before = note.clone();
    let line = note.cosign(&witness, at(100), &key(2)).unwrap();
    note.cosign(&witness, at(200), &key(2)).unwrap();
    let note = CheckpointNote::parse(&note.to_bytes().unwrap()).unwrap();
    let found = note.cosignatures(std::slice::from_ref(&witness)).unwrap();
    assert_eq!(found, [Cosignature { key: witness.clone(), at: at(200) }]);
    assert_eq!(note.signed_by(&log()), Ok(()));

    let mut elsewhere = before;
    assert_eq!(elsewhere.add(&line, &witness).unwrap().at, at(100));
    let other = named("example/hub/witness", KeyKind::Witness, 3);
    assert_eq!(elsewhere.add(&line, &other), Err(CheckpointError::OtherKey));
    let mut another = signed(8);
    assert_eq!(another.add(&line, &witness), Err(CheckpointError::BadSignature));
    assert_eq!(another.add(b"nothing", &witness), Err(CheckpointError::Malformed));
}

#[test]
fn lines_of_unknown_keys_are_passed_over_and_bad_lines_of_known_ones_are_not() {
    let witness = named("example/hub/witness", KeyKind::Witness, 2);
    let mut note = signed(7);
    note.cosign(&witness, at(100), &key(2)).unwrap();
    assert_eq!(note.cosignatures(&[named("else", KeyKind::Witness, 5)]).unwrap(), []);
    let mut line = note.lines[1].clone();
    line.signature[20] ^= 1;
    note.put(line);
    assert_eq!(note.cosignatures(&[witness]), Err(CheckpointError::BadSignature));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = CheckpointNote::parse(&bytes);
    }

    #[test]
    fn what_is_read_is_written_back_byte_for_byte(size in 0..=MAX_SIZE, n_lines in 0..5_u8) {
        let mut note = signed(size);
        for n in 0..n_lines {
            let witness = named(&format!("w{n}"), KeyKind::Witness, 10 + n);
            note.cosign(&witness, at(1), &key(10 + n)).unwrap();
        }
        let bytes = note.to_bytes().unwrap();
        let read = CheckpointNote::parse(&bytes).unwrap();
        prop_assert_eq!(&read, &note);
        prop_assert_eq!(read.to_bytes().unwrap(), bytes);
    }
}
