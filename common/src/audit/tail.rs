//! A log read onwards from a place, a piece at a time, through its segments and shards, while the program writes it.
//!
//! Only what has been acknowledged is read of the shard that is written: an entry that a failed write may take back is not there yet.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    AuditLog,
    entry::Entry,
    frame::{Frames, HEADER_BYTES, MAX_PAYLOAD_BYTES, Step, split},
    shard,
    storage::segment_path,
};

/// How much of a segment is read at once; several of the longest frames.
const PIECE_BYTES: usize = 4 * (HEADER_BYTES + MAX_PAYLOAD_BYTES);

/// A place between two entries of a log. What is before it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The shard's number.
    pub shard: u32,
    /// The number of the segment's first entry.
    pub segment: u64,
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// The number of the next entry in its shard.
    pub seq: u64,
}

impl Place {
    const fn start_of(shard: u32) -> Self {
        Self { shard, segment: 0, offset: 0, seq: 0 }
    }
}

/// Entries, each with its canonical bytes.
pub type Encoded = Vec<(Entry, Vec<u8>)>;

/// Entries that follow each other.
#[derive(Debug)]
pub struct Piece {
    /// The entries.
    pub entries: Encoded,
    /// Behind the last of them.
    pub next: Place,
    /// Damage that was passed over, because a later shard goes on behind it; in words.
    pub passed_over: Option<String>,
}

/// A log that can be read onwards. Clones write nothing.
#[derive(Debug, Clone)]
pub struct Tail {
    log: AuditLog,
    logs: PathBuf,
}

impl Tail {
    /// Of a log that this program has opened.
    #[must_use]
    pub fn of(log: AuditLog) -> Self {
        let logs = log.dir().parent().map_or_else(PathBuf::new, Path::to_owned);
        Self { log, logs }
    }

    /// The start of the oldest shard.
    ///
    /// # Errors
    /// When the folder can not be read, or has no shard.
    pub fn start(&self) -> io::Result<Place> {
        let first = self.shards()?.first().copied();
        first.map(Place::start_of).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How many entries stand in the log behind `place`, as far as they are numbered through.
    #[must_use]
    pub fn n_behind(&self, place: &Place) -> u64 {
        let before = shard::base(&self.dir_of(place.shard)).unwrap_or(0);
        self.log.n_entries().saturating_sub(before.saturating_add(place.seq))
    }

    /// The name of the log's shard, for whoever holds entries against it.
    #[must_use]
    pub fn name_of(&self, shard: u32) -> String {
        let origin = self.log.origin();
        origin.with_shard(&shard.to_string()).map_or_else(|_| origin.to_string(), |o| o.to_string())
    }

    /// The next entries behind `place`: none when all have been read. Blocks on the disk.
    ///
    /// # Errors
    /// When the disk fails, or the log is damaged there and no later shard goes on.
    pub fn read(&self, place: &Place) -> io::Result<Piece> {
        let mut place = place.clone();
        loop {
            // Order matters: a shard is closed before the next is begun, so one that has a successor now is read to its end.
            let later = self.shards()?.into_iter().find(|number| *number > place.shard);
            let read = self.read_here(&place);
            match (read, later) {
                (Ok(entries), _) if !entries.0.is_empty() => {
                    let (entries, next) = entries;
                    return Ok(Piece { entries, next, passed_over: None });
                }
                (Ok((_, next)), _) if next != place => place = next,
                (Ok(_), Some(later)) => place = Place::start_of(later),
                (Ok((entries, next)), None) => {
                    return Ok(Piece { entries, next, passed_over: None });
                }
                (Err(error), Some(later)) => {
                    let passed_over = Some(format!("shard {}: {error}", place.shard));
                    let next = Place::start_of(later);
                    return Ok(Piece { entries: Vec::new(), next, passed_over });
                }
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// What follows in the segment of `place`, or the start of the next segment.
    fn read_here(&self, place: &Place) -> io::Result<(Encoded, Place)> {
        // Before the file is read: what is acknowledged by now stands in it whole.
        let limit = self.acknowledged(place.shard);
        let mut entries = Vec::new();
        let mut next = place.clone();
        if next.seq >= limit {
            return Ok((entries, next));
        }
        let dir = self.dir_of(place.shard);
        let mut file = File::open(segment_path(&dir, place.segment))?;
        file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = Vec::new();
        file.take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
        let is_end_of_file = bytes.len() < PIECE_BYTES;
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut frames = Frames::new(&bytes);
        while next.seq < limit {
            match frames.step() {
                Step::Payload(payload) => {
                    let json = split(payload).map(|(json, _)| json);
                    let json = json.ok_or_else(|| damaged("not an entry"))?;
                    let entry = Entry::decode(json).map_err(|_| damaged("not an entry"))?;
                    if entry.seq != next.seq {
                        return Err(damaged("an entry is not where it should be"));
                    }
                    entries.push((entry, json.to_vec()));
                    next.offset = place.offset.saturating_add(frames.offset());
                    next.seq = next.seq.saturating_add(1);
                }
                Step::End => break,
                // The border of what was read, or the torn end of a shard that was left.
                Step::Broken(_) if !is_end_of_file && !entries.is_empty() => break,
                Step::Broken(broken) if limit == u64::MAX && !broken.followed => break,
                Step::Broken(_) => return Err(damaged("a frame is not whole")),
            }
        }
        let follows = next.seq > next.segment && next.seq < limit;
        if entries.is_empty() && follows && segment_path(&dir, next.seq).is_file() {
            next.segment = next.seq;
            next.offset = 0;
        } else if entries.is_empty() && limit != u64::MAX {
            return Err(damaged("entries are missing"));
        }
        Ok((entries, next))
    }

    /// Up to which number entries of a shard count.
    fn acknowledged(&self, shard: u32) -> u64 {
        let newest = self.log.newest_shard();
        let Ok(written) = newest.origin().shard().parse::<u32>() else { return 0 };
        match shard.cmp(&written) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => newest.tree().head().size,
            std::cmp::Ordering::Greater => 0,
        }
    }

    fn dir_of(&self, shard: u32) -> PathBuf {
        self.logs.join(shard.to_string())
    }

    fn shards(&self) -> io::Result<Vec<u32>> {
        let shards = shard::every(&self.logs)?;
        let number = |dir: &PathBuf| dir.file_name()?.to_str()?.parse().ok();
        Ok(shards.iter().filter_map(number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        LogOptions, Origin,
        fixtures::{clock, draft, key},
    };

    fn open(logs: &Path) -> AuditLog {
        let shard = shard::current(logs).unwrap();
        let origin = Origin::new("example", "CSC".parse().unwrap(), &shard).unwrap();
        // A segment for every few entries.
        AuditLog::open(LogOptions::new(logs, origin, key(), clock()).segment_bytes(2000)).unwrap()
    }

    fn all(tail: &Tail) -> Vec<(u32, u64)> {
        let mut place = tail.start().unwrap();
        let mut read = Vec::new();
        loop {
            let piece = tail.read(&place).unwrap();
            if piece.entries.is_empty() && piece.passed_over.is_none() {
                assert_eq!(piece.next, tail.read(&piece.next).unwrap().next);
                return read;
            }
            for (entry, json) in piece.entries {
                assert_eq!(entry.encode(), json);
                read.push((piece.next.shard, entry.seq));
            }
            place = piece.next;
        }
    }

    #[tokio::test]
    async fn a_log_is_read_through_segments_and_shards_and_goes_on_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        for n in 0..40 {
            log.record(draft(n)).await.unwrap();
        }
        assert!(crate::audit::storage::list_segments(log.dir()).unwrap().len() > 2);
        let tail = Tail::of(log.clone());
        assert_eq!(all(&tail), (0..40).map(|n| (1, n)).collect::<Vec<_>>());
        let mut place = tail.start().unwrap();
        while let Some(piece) = Some(tail.read(&place).unwrap()).filter(|p| !p.entries.is_empty()) {
            place = piece.next;
        }
        assert_eq!(tail.n_behind(&place), 0);
        log.record(draft(40)).await.unwrap();
        assert_eq!(tail.n_behind(&place), 1);
        let piece = tail.read(&place).unwrap();
        assert_eq!(piece.entries.iter().map(|(entry, _)| entry.seq).collect::<Vec<_>>(), [40]);
        drop((tail, log));
        shard::begin(dir.path()).unwrap();
        let log = open(dir.path());
        log.record(draft(0)).await.unwrap();
        let read = all(&Tail::of(log));
        assert_eq!((read.len(), read.last()), (42, Some(&(2, 0))));
    }

    #[tokio::test]
    async fn damage_is_told_and_passed_over_only_when_a_later_shard_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        for n in 0..3 {
            log.record(draft(n)).await.unwrap();
        }
        let tail = Tail::of(log.clone());
        let start = tail.start().unwrap();
        let segment = segment_path(log.dir(), 0);
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[60] ^= 1;
        std::fs::write(&segment, &bytes).unwrap();
        assert_eq!(tail.read(&start).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop((tail, log));
        shard::begin(dir.path()).unwrap();
        let log = open(dir.path());
        log.record(draft(0)).await.unwrap();
        let tail = Tail::of(log);
        let piece = tail.read(&start).unwrap();
        assert!(piece.passed_over.unwrap().contains("shard 1"));
        assert_eq!(tail.read(&piece.next).unwrap().entries.len(), 1);
    }
}
