use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::{
    audit::{
        entry::Place,
        fixtures::{draft, key, origin, write_log},
        frame::{self, HEADER_BYTES},
    },
    keys::Context,
};

const N_ENTRIES: usize = 200;

/// Segments of a log in order, each a list of whole frames.
type Segments = Vec<(u64, Vec<Vec<u8>>)>;

fn sample() -> &'static Segments {
    static SAMPLE: OnceLock<Segments> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), N_ENTRIES as u64, 16 * 1024);
        let segments = list_segments(dir.path()).unwrap();
        assert!(segments.len() > 3);
        segments.into_iter().map(|segment| (segment, frames_of(dir.path(), segment))).collect()
    })
}

fn frames_of(dir: &Path, segment: u64) -> Vec<Vec<u8>> {
    let bytes = read(dir, segment).unwrap();
    let mut frames = Frames::new(&bytes);
    let mut list = Vec::new();
    while let Step::Payload(payload) = frames.step() {
        let mut frame = Vec::new();
        frame::append(&mut frame, payload);
        list.push(frame);
    }
    list
}

fn check(segments: &Segments) -> Result<Summary, VerifyError> {
    let dir = tempfile::tempdir().unwrap();
    for (segment, frames) in segments {
        fs::write(segment_path(dir.path(), *segment), frames.concat()).unwrap();
    }
    verify_dir(dir.path(), &key().verifying_key(), &origin())
}

fn fault(segments: &Segments) -> Fault {
    match check(segments) {
        Err(VerifyError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// The frame of entry `seq`.
fn frame_mut(segments: &mut Segments, seq: usize) -> &mut Vec<u8> {
    segments.iter_mut().flat_map(|(_, frames)| frames).nth(seq).unwrap()
}

fn remove(segments: &mut Segments, seq: usize) {
    let first = |segment: u64| usize::try_from(segment).unwrap();
    let (start, frames) =
        segments.iter_mut().rev().find(|(segment, _)| first(*segment) <= seq).unwrap();
    let at = seq - first(*start);
    frames.remove(at);
}

/// The same payload with one byte changed and a checksum that fits: what an editor would do.
fn edit(frame: &mut Vec<u8>, at: usize, flip: u8) {
    let mut payload = frame[HEADER_BYTES..].to_vec();
    let at = at % payload.len();
    payload[at] ^= flip;
    frame.clear();
    frame::append(frame, &payload);
}

#[test]
fn refuses_a_directory_without_segments() {
    assert_eq!(fault(&Vec::new()).what, What::NoSegment);
}

#[test]
fn refuses_another_key_and_another_origin() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), 3, 16 * 1024);
    let public = key().verifying_key();
    let other = crate::keys::SigningKey::generate().unwrap().verifying_key();
    for (key, origin) in [
        (other, origin()),
        (public, "example/CSC/2028".parse().unwrap()),
        (public, "other/CSC/2027".parse().unwrap()),
    ] {
        let checked = verify_dir(dir.path(), &key, &origin);
        assert!(matches!(
            checked,
            Err(VerifyError::Fault(Fault { seq: 0, what: What::Signature, .. }))
        ));
    }
    assert_eq!(verify_dir(dir.path(), &public, &origin()).unwrap().n_entries, 3);
}

#[test]
fn a_write_under_way_is_noted_and_not_blamed_and_its_entry_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), 3, 16 * 1024);
    let path = segment_path(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let summary = verify_dir(dir.path(), &key().verifying_key(), &origin()).unwrap();
    assert_eq!(summary.n_entries, 2);
    assert!(summary.n_unfinished_bytes > 0);
    assert_eq!(entries(dir.path()).unwrap().filter(Result::is_ok).count(), 2);
}

/// Only who holds the key can do this: the chain continues over a frame that nobody signed.
#[test]
fn an_unsigned_entry_under_a_signed_end_is_found_when_every_signature_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, mut prev_hash) = (Vec::new(), Digest::ZERO);
    for seq in 0..3 {
        let (ts, node) = ("2027-01-02T03:04:05Z".parse().unwrap(), "CSC".parse().unwrap());
        let place = Place { seq, prev_hash, ts, node, test_env: true };
        let json = Entry::at(place, draft(seq)).encode();
        let signature = match seq {
            1 => [0; 64],
            _ => key().sign(Context::LogEntry, &[origin().as_str().as_bytes(), &json]),
        };
        let payload = frame::payload(&json, &signature);
        prev_hash = Digest::of(&payload);
        frame::append(&mut bytes, &payload);
    }
    fs::write(segment_path(dir.path(), 0), bytes).unwrap();
    let public = key().verifying_key();
    let checked = verify_every_signature(dir.path(), &public, &origin());
    assert!(matches!(
        checked,
        Err(VerifyError::Fault(Fault { seq: 1, what: What::Signature, .. }))
    ));
    assert_eq!(verify_dir(dir.path(), &public, &origin()).unwrap().last_hash, prev_hash);
}

#[test]
fn entries_come_in_order_and_end_at_the_first_that_can_not_be_read() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), 40, 4 * 1024);
    let seqs: Vec<_> = entries(dir.path()).unwrap().map(|entry| entry.unwrap().seq).collect();
    assert_eq!(seqs, (0..40).collect::<Vec<_>>());
    let path = segment_path(dir.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER_BYTES + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let items: Vec<_> = entries(dir.path()).unwrap().collect();
    assert!(matches!(items.as_slice(), [Err(VerifyError::Fault(Fault { seq: 0, .. }))]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_names_its_entry(seq in 0..N_ENTRIES, at: usize, bit in 0..8_u8) {
        let mut segments = sample().clone();
        let frame = frame_mut(&mut segments, seq);
        let at = at % frame.len();
        frame[at] ^= 1 << bit;
        match check(&segments) {
            Err(VerifyError::Fault(fault)) => prop_assert_eq!(fault.seq, seq as u64),
            // Only a length of the very last frame can make it look like a write under way.
            Ok(summary) => {
                prop_assert!(seq == N_ENTRIES - 1 && at < 4);
                prop_assert_eq!(summary.n_entries, seq as u64);
                prop_assert!(summary.n_unfinished_bytes > 0);
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_edited_entry_with_a_fitting_checksum_is_named(seq in 0..N_ENTRIES, at: usize, flip in 1..=255_u8) {
        let mut segments = sample().clone();
        edit(frame_mut(&mut segments, seq), at, flip);
        prop_assert_eq!(fault(&segments).seq, seq as u64);
    }

    #[test]
    fn a_deleted_entry_is_named(seq in 0..N_ENTRIES - 1) {
        let mut segments = sample().clone();
        remove(&mut segments, seq);
        prop_assert_eq!(fault(&segments).seq, seq as u64);
    }

    #[test]
    fn swapped_entries_are_named(first in 0..N_ENTRIES - 1, distance in 1..N_ENTRIES) {
        let second = (first + distance).min(N_ENTRIES - 1);
        let mut segments = sample().clone();
        let taken = std::mem::take(frame_mut(&mut segments, first));
        let other = std::mem::replace(frame_mut(&mut segments, second), taken);
        *frame_mut(&mut segments, first) = other;
        prop_assert_eq!(fault(&segments).seq, first as u64);
    }

    #[test]
    fn a_segment_that_was_cut_or_taken_away_is_named(index: prop::sample::Index, keep: prop::sample::Index) {
        let mut segments = sample().clone();
        let index = index.index(segments.len() - 1);
        let (start, frames) = &mut segments[index];
        let kept = keep.index(frames.len());
        frames.truncate(kept);
        let expected = *start + kept as u64;
        prop_assert_eq!(fault(&segments).seq, expected);
        let start = segments.remove(index).0;
        prop_assert_eq!(fault(&segments).seq, start);
    }
}
