//! Frames: how entries stand in a segment file.
//!
//! `length u32 LE | crc32c u32 LE | payload`, the CRC over the payload. A payload is the entry's
//! canonical JSON, a new line, and the 64 bytes of its signature, or 64 zeros when it is not the last of its write.
//!
//! The CRC tells a torn write from a whole one; it protects against nobody. The signature does.

use super::{chain::What, entry::MAX_ENTRY_BYTES};
use crate::keys::Signature;

/// Bytes before a payload.
pub const HEADER_BYTES: usize = 8;
/// What follows the JSON in a payload: a new line and an Ed25519 signature.
const TRAILER_BYTES: usize = 1 + 64;
/// The greatest payload.
pub const MAX_PAYLOAD_BYTES: usize = MAX_ENTRY_BYTES + TRAILER_BYTES;
/// What stands in place of a signature when the next entry that has one vouches for this one too.
pub(crate) const NOT_SIGNED: Signature = [0; 64];
/// How every entry of version 1 begins; used to look for whole frames behind a bad one.
const ENTRY_START: &[u8] = br#"{"v":1,"seq":"#;

/// The payload of an entry.
#[cfg(test)]
pub(crate) fn payload(json: &[u8], signature: &Signature) -> Vec<u8> {
    let mut payload = Vec::with_capacity(json.len() + TRAILER_BYTES);
    payload.extend_from_slice(json);
    payload.push(b'\n');
    payload.extend_from_slice(signature);
    payload
}

/// The JSON and the signature of a payload; `None` when it has not that form.
pub(crate) fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (json, trailer) = payload.split_at_checked(payload.len().checked_sub(TRAILER_BYTES)?)?;
    let (new_line, signature) = trailer.split_first()?;
    (*new_line == b'\n').then_some((json, signature))
}

/// Appends the frame of `payload`, which is at most [`MAX_PAYLOAD_BYTES`] long.
pub(crate) fn append(frames: &mut Vec<u8>, payload: &[u8]) {
    let open = open(frames);
    frames.extend_from_slice(payload);
    close(frames, open);
}

/// Where a frame that is being written begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

/// Begins a frame whose payload is appended next.
pub(crate) fn open(frames: &mut Vec<u8>) -> Open {
    let open = Open(frames.len());
    frames.extend_from_slice(&[0; HEADER_BYTES]);
    open
}

/// The payload so far of the frame that begins at `open` and reaches to the end of `frames`.
pub(crate) fn payload_of(frames: &[u8], open: Open) -> &[u8] {
    frames.get(open.0 + HEADER_BYTES..).unwrap_or_default()
}

/// Ends the payload's JSON with a place for its signature, which is [`NOT_SIGNED`] so far.
pub(crate) fn leave_unsigned(frames: &mut Vec<u8>) {
    frames.push(b'\n');
    frames.extend_from_slice(&NOT_SIGNED);
}

/// Puts a signature in its place, at the end of the last frame.
pub(crate) fn put_signature(frames: &mut [u8], signature: &Signature) {
    if let Some(place) = frames.last_chunk_mut() {
        *place = *signature;
    }
}

/// Ends the frame that begins at `open`: puts length and checksum before its payload. It may be done again after the payload has changed.
pub(crate) fn close(frames: &mut [u8], open: Open) {
    let frame = frames.get_mut(open.0..).and_then(<[u8]>::split_first_chunk_mut::<HEADER_BYTES>);
    let Some((header, payload)) = frame else { return };
    // The bound is far below 4 GiB; were it ever passed, the length would not fit its CRC's frame
    // and every reader would refuse it.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let [l0, l1, l2, l3] = length.to_le_bytes();
    let [c0, c1, c2, c3] = crc32c::crc32c(payload).to_le_bytes();
    *header = [l0, l1, l2, l3, c0, c1, c2, c3];
}

/// Walks the frames of one segment, held in memory (a segment is at most about 64 MiB).
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
    offset: u64,
}

/// What stands at the present offset.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A whole frame with this payload.
    Payload(&'a [u8]),
    /// Nothing: the segment ends at the border of a frame.
    End,
    /// Something that is not a whole frame.
    Broken(Broken),
}

/// A frame that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) what: What,
    /// Whether a whole frame follows: then this was not the last write, so it is not a torn one.
    pub(crate) followed: bool,
    /// Bytes from the broken frame to the end of the segment.
    pub(crate) n_bytes: u64,
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(segment: &'a [u8]) -> Self {
        Self { rest: segment, offset: 0 }
    }

    /// Where the next frame begins, in bytes from the start of the segment.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn step(&mut self) -> Step<'a> {
        if self.rest.is_empty() {
            return Step::End;
        }
        match whole_frame(self.rest) {
            Ok((payload, rest)) => {
                self.offset += (HEADER_BYTES + payload.len()) as u64;
                self.rest = rest;
                Step::Payload(payload)
            }
            Err(what) => Step::Broken(Broken {
                what,
                followed: is_followed(self.rest),
                n_bytes: self.rest.len() as u64,
            }),
        }
    }
}

fn whole_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), What> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(What::Incomplete)?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(What::Incomplete)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| What::Length)?;
    if !(TRAILER_BYTES..=MAX_PAYLOAD_BYTES).contains(&length) {
        return Err(What::Length);
    }
    let (payload, rest) = rest.split_at_checked(length).ok_or(What::Incomplete)?;
    if crc32c::crc32c(payload) != u32::from_le_bytes(*crc) {
        return Err(What::Crc);
    }
    Ok((payload, rest))
}

/// Whether a whole frame begins anywhere after the first byte.
fn is_followed(bytes: &[u8]) -> bool {
    bytes
        .windows(HEADER_BYTES + ENTRY_START.len())
        .enumerate()
        .skip(1)
        .filter(|(_, window)| window.ends_with(ENTRY_START))
        .any(|(at, _)| bytes.get(at..).is_some_and(|rest| whole_frame(rest).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(texts: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in texts {
            let json = format!(r#"{{"v":1,"seq":{text}}}"#);
            append(&mut bytes, &payload(json.as_bytes(), &[7; 64]));
        }
        bytes
    }

    fn walk(bytes: &[u8]) -> (usize, Option<Broken>) {
        let mut frames = Frames::new(bytes);
        let mut n_frames = 0;
        loop {
            match frames.step() {
                Step::Payload(payload) => {
                    assert!(split(payload).is_some());
                    n_frames += 1;
                }
                Step::End => return (n_frames, None),
                Step::Broken(broken) => return (n_frames, Some(broken)),
            }
        }
    }

    #[test]
    fn a_cut_anywhere_in_the_last_frame_is_incomplete_and_not_followed() {
        let whole = segment(&["0", "1", "2"]);
        let border = segment(&["0", "1"]).len();
        for cut in border + 1..whole.len() {
            let (n_frames, broken) = walk(&whole[..cut]);
            let broken = broken.unwrap();
            assert_eq!((n_frames, broken.what, broken.followed), (2, What::Incomplete, false));
        }
        assert_eq!(walk(&whole), (3, None));
    }

    #[test]
    fn a_broken_length_before_other_frames_is_not_taken_for_the_end() {
        let mut bytes = segment(&["0", "1", "2"]);
        bytes[1] ^= 0x40;
        let broken = walk(&bytes).1.unwrap();
        assert_eq!((broken.what, broken.followed), (What::Incomplete, true));
    }

    #[test]
    fn zeros_behind_the_last_frame_are_no_frame() {
        let mut bytes = segment(&["0"]);
        bytes.extend_from_slice(&[0; 4096]);
        let broken = walk(&bytes).1.unwrap();
        assert_eq!((broken.what, broken.followed, broken.n_bytes), (What::Length, false, 4096));
    }
}
