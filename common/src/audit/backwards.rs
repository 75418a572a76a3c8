//! A log read from its end: the newest entries first, one segment in memory at a time (64 MiB at most), and an entry is taken
//! apart only when its bytes may be wanted. The reading stops as soon as whoever reads has enough.
//!
//! Checksums are looked at in the segments that are read; signatures are not. It finds and does not verify.

use std::{fs, io, ops::ControlFlow, path::Path};

use super::{
    chain::What,
    entry::Entry,
    frame::{Frames, NOT_SIGNED, Step, split},
    storage::{list_segments, segment_path},
    verify::{Fault, VerifyError},
};

/// Says of an entry's canonical bytes whether it may be wanted; quick, and never wrong when it says no.
pub type MayBeWanted<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// Is given each entry's number, and the entry when it may be wanted. Breaks to stop.
pub type EachBackwards<'a> = dyn FnMut(u64, Option<Entry>) -> ControlFlow<()> + 'a;

/// Reads the entries of the log in `dir` whose numbers are less than `below`, the newest first. Gives what is wrong in the
/// segments that were read, if anything: the earliest such place. What stands behind it in the same segment can not be read.
///
/// # Errors
/// When the log can not be read.
pub fn backwards(
    dir: &Path,
    below: Option<u64>,
    may_be_wanted: &MayBeWanted<'_>,
    each: &mut EachBackwards<'_>,
) -> Result<Option<Fault>, VerifyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| VerifyError::Io { path, source }
    };
    let segments = list_segments(dir).map_err(failed(dir))?;
    let last = segments.last().copied();
    let mut fault = None;
    for segment in segments.into_iter().rev() {
        if below.is_some_and(|below| segment >= below) {
            continue;
        }
        let path = segment_path(dir, segment);
        let bytes = fs::read(&path).map_err(failed(&path))?;
        let read = Payloads::of(&bytes, segment, Some(segment) == last);
        fault = read.fault.or(fault);
        for (n, payload) in read.whole.iter().enumerate().rev() {
            let seq = segment.saturating_add(n as u64);
            if below.is_some_and(|below| seq >= below) {
                continue;
            }
            let json = split(payload).map_or(&[][..], |(json, _)| json);
            let entry = if may_be_wanted(json) { Entry::decode(json).ok() } else { None };
            if each(seq, entry).is_break() {
                return Ok(fault);
            }
        }
    }
    Ok(fault)
}

/// The payloads of a segment up to its end or the first frame that is not whole.
struct Payloads<'a> {
    whole: Vec<&'a [u8]>,
    fault: Option<Fault>,
}

impl<'a> Payloads<'a> {
    fn of(bytes: &'a [u8], segment: u64, is_last: bool) -> Self {
        let mut frames = Frames::new(bytes);
        let (mut whole, mut n_signed, mut fault) = (Vec::new(), 0, None);
        loop {
            let offset = frames.offset();
            match frames.step() {
                Step::Payload(payload) => {
                    whole.push(payload);
                    if split(payload).is_none_or(|(_, signature)| *signature != NOT_SIGNED) {
                        n_signed = whole.len();
                    }
                    continue;
                }
                Step::End => {}
                Step::Broken(broken)
                    if is_last && !broken.followed && broken.what == What::Incomplete => {}
                Step::Broken(broken) => {
                    let seq = segment.saturating_add(whole.len() as u64);
                    fault = Some(Fault { segment, offset, seq, n_vouched: 0, what: broken.what });
                }
            }
            // Entries at the very end that nothing vouches for yet are a write under way.
            if is_last && fault.is_none() {
                whole.truncate(n_signed);
            }
            return Self { whole, fault };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixtures::{write_log, write_log_in};

    /// Numbers as they are given, at most so many.
    fn numbers(dir: &Path, below: Option<u64>, most: usize) -> (Vec<u64>, Option<Fault>) {
        let mut seen = Vec::new();
        let fault = backwards(dir, below, &|_| true, &mut |seq, entry| {
            assert_eq!(entry.map(|entry| entry.seq), Some(seq));
            seen.push(seq);
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (seen, fault.unwrap())
    }

    #[test]
    fn entries_come_newest_first_over_all_segments_and_only_as_many_as_are_wanted() {
        let dir = tempfile::tempdir().unwrap();
        write_log_in(dir.path(), &[3, 1, 7, 2, 40, 6], 4 * 1024);
        assert!(list_segments(dir.path()).unwrap().len() > 2);
        let all: Vec<u64> = (0..59).rev().collect();
        assert_eq!(numbers(dir.path(), None, usize::MAX), (all.clone(), None));
        assert_eq!(numbers(dir.path(), Some(50), 3), (vec![49, 48, 47], None));
        assert_eq!(numbers(dir.path(), Some(0), 3), (Vec::new(), None));
        assert_eq!(numbers(dir.path(), Some(u64::MAX), usize::MAX).0, all);
    }

    #[test]
    fn what_can_not_be_wanted_is_counted_and_not_taken_apart() {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), 30, 4 * 1024);
        let wanted = |json: &[u8]| json.windows(10).any(|part| part == br#""count":7,"#);
        let (mut n_looked, mut found) = (0, Vec::new());
        let read = backwards(dir.path(), None, &wanted, &mut |seq, entry| {
            n_looked += 1;
            found.extend(entry.map(|_| seq));
            ControlFlow::Continue(())
        });
        assert_eq!(read.unwrap(), None);
        assert_eq!((n_looked, found), (30, vec![7]));
    }

    #[test]
    fn a_write_under_way_is_left_out_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), 10, 1024 * 1024);
        let path = segment_path(dir.path(), 0);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(numbers(dir.path(), None, 1), (vec![8], None));
        let mut flipped = whole;
        let n_bytes = flipped.len() / 10;
        flipped[n_bytes * 4 + n_bytes / 2] ^= 1;
        fs::write(&path, flipped).unwrap();
        let (seen, fault) = numbers(dir.path(), None, usize::MAX);
        assert_eq!(
            (seen, fault.map(|fault| (fault.seq, fault.what))),
            (vec![3, 2, 1, 0], Some((4, What::Crc)))
        );
    }
}
