use std::{fs, sync::OnceLock};

use proptest::prelude::*;

use super::*;
use crate::{
    audit::{
        entry::Place,
        fixtures::{body, key, origin, write_log, write_log_in},
        frame::{self, HEADER_BYTES},
    },
    keys::Context,
};

const N_ENTRIES: usize = 1_000;

/// As many entries in each write of a log, over and over.
const WRITES: [&[u64]; 2] = [&[1], &[3, 1, 7, 2, 1, 6]];

/// Where the last write of such a log begins.
const LAST_WRITES: [usize; 2] = [N_ENTRIES - 1, N_ENTRIES - 3];

/// Segments of a log in order, each a list of whole frames.
type Segments = Vec<(u64, Vec<Vec<u8>>)>;

/// A log of one entry in each write, or of several in some.
fn sample(several: usize) -> &'static Segments {
    static SAMPLES: [OnceLock<Segments>; 2] = [const { OnceLock::new() }; 2];
    SAMPLES[several].get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let writes: Vec<u64> = WRITES[several].iter().cycle().take(N_ENTRIES).copied().collect();
        let mut left = LAST_WRITES[several] as u64;
        let mut writes: Vec<u64> = writes
            .into_iter()
            .map_while(|n_entries| {
                let n_now = n_entries.min(left);
                left -= n_now;
                (n_now > 0).then_some(n_now)
            })
            .collect();
        writes.push((N_ENTRIES - LAST_WRITES[several]) as u64);
        write_log_in(dir.path(), &writes, 16 * 1024);
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

/// A segment of so many entries, and the hash of its last payload; `sign` gives the signature of each.
fn chained(
    n_entries: u64,
    sign: impl Fn(u64, &[u8]) -> crate::keys::Signature,
) -> (Vec<u8>, Digest) {
    let (mut bytes, mut prev_hash) = (Vec::new(), Digest::ZERO);
    for seq in 0..n_entries {
        let (ts, node) = ("2027-01-02T03:04:05Z".parse().unwrap(), "CSC".parse().unwrap());
        let json = body(seq).at(&Place { seq, prev_hash, ts, node });
        let payload = frame::payload(&json, &sign(seq, &json));
        prev_hash = Digest::of(&payload);
        frame::append(&mut bytes, &payload);
    }
    (bytes, prev_hash)
}

fn signed(json: &[u8]) -> crate::keys::Signature {
    key().sign(Context::LogEntry, &[origin().as_str().as_bytes(), json])
}

#[test]
fn entries_that_nothing_signed_follows_are_a_write_under_way_at_the_end_and_a_fault_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let seal = |seq, json: &[u8]| if seq == 1 { signed(json) } else { NOT_SIGNED };
    let (bytes, prev_hash) = chained(4, seal);
    fs::write(segment_path(dir.path(), 0), &bytes).unwrap();
    let public = key().verifying_key();
    let summary = verify_dir(dir.path(), &public, &origin()).unwrap();
    assert_eq!(summary.n_entries, 2);
    assert_eq!(summary.n_unfinished_bytes, bytes.len() as u64 / 2);
    let shown: Vec<_> = entries(dir.path()).unwrap().map(|entry| entry.unwrap().seq).collect();
    assert_eq!(shown, [0, 1]);

    let (ts, node) = ("2027-01-02T03:04:05Z".parse().unwrap(), "CSC".parse().unwrap());
    let json = body(4).at(&Place { seq: 4, prev_hash, ts, node });
    let mut next = Vec::new();
    frame::append(&mut next, &frame::payload(&json, &signed(&json)));
    fs::write(segment_path(dir.path(), 4), next).unwrap();
    let checked = verify_dir(dir.path(), &public, &origin());
    assert!(matches!(
        checked,
        Err(VerifyError::Fault(Fault { seq: 2, n_vouched: 2, what: What::NotSigned, .. }))
    ));
}

#[test]
fn a_fault_says_how_far_signatures_reach_before_it() {
    let mut segments = sample(1).clone();
    // Entries 4 to 10 are one write.
    let frame = frame_mut(&mut segments, 7);
    let at = String::from_utf8_lossy(&frame[HEADER_BYTES..]).find("rate_answered").unwrap();
    edit(frame, at, 1);
    let found = fault(&segments);
    assert_eq!((found.seq, found.n_vouched, found.what), (7, 4, What::NotAnEntry));
    let mut segments = sample(1).clone();
    let frame = frame_mut(&mut segments, 7);
    let at = String::from_utf8_lossy(&frame[HEADER_BYTES..]).find(r#""count":7"#).unwrap();
    edit(frame, at + 8, 1);
    let found = fault(&segments);
    assert_eq!((found.seq, found.n_vouched, found.what), (7, 4, What::Altered));
    // Cut at its border: the rest of the write is not vouched for.
    let mut segments = sample(1).clone();
    remove(&mut segments, 10);
    let found = fault(&segments);
    assert_eq!((found.seq, found.n_vouched, found.what), (10, 4, What::Seq { found: 11 }));
}

/// Only who holds the key can do this: the chain continues over a frame with a signature that is none.
#[test]
fn a_false_signature_under_a_signed_end_is_found_when_every_signature_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, prev_hash) = chained(3, |seq, json| if seq == 1 { [7; 64] } else { signed(json) });
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
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_flipped_bit_names_its_entry(several in 0..2_usize, seq in 0..N_ENTRIES, at: usize, bit in 0..8_u8) {
        let mut segments = sample(several).clone();
        let frame = frame_mut(&mut segments, seq);
        let at = at % frame.len();
        frame[at] ^= 1 << bit;
        match check(&segments) {
            Err(VerifyError::Fault(fault)) => prop_assert_eq!(fault.seq, seq as u64),
            // Only a length of the very last frame can make it look like a write under way.
            Ok(summary) => {
                prop_assert!(seq == N_ENTRIES - 1 && at < 4);
                prop_assert_eq!(summary.n_entries, LAST_WRITES[several] as u64);
                prop_assert!(summary.n_unfinished_bytes > 0);
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_edited_entry_with_a_fitting_checksum_is_named(
        several in 0..2_usize, seq in 0..N_ENTRIES, at: usize, flip in 1..=255_u8
    ) {
        let mut segments = sample(several).clone();
        edit(frame_mut(&mut segments, seq), at, flip);
        prop_assert_eq!(fault(&segments).seq, seq as u64);
    }

    #[test]
    fn a_deleted_entry_is_named(several in 0..2_usize, seq in 0..N_ENTRIES - 1) {
        let mut segments = sample(several).clone();
        remove(&mut segments, seq);
        prop_assert_eq!(fault(&segments).seq, seq as u64);
    }

    #[test]
    fn swapped_entries_are_named(
        several in 0..2_usize, first in 0..N_ENTRIES - 1, distance in 1..N_ENTRIES
    ) {
        let second = (first + distance).min(N_ENTRIES - 1);
        let mut segments = sample(several).clone();
        let taken = std::mem::take(frame_mut(&mut segments, first));
        let other = std::mem::replace(frame_mut(&mut segments, second), taken);
        *frame_mut(&mut segments, first) = other;
        prop_assert_eq!(fault(&segments).seq, first as u64);
    }

    #[test]
    fn a_segment_that_was_cut_or_taken_away_is_named(
        several in 0..2_usize, index: prop::sample::Index, keep: prop::sample::Index
    ) {
        let mut segments = sample(several).clone();
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
