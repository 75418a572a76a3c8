//! Shards: a party's log is a series of logs, `<data>/log/1`, `2` and so on, each with a name of its own. The newest is written.
//!
//! A new one is begun by the program at the turn of the year: it *continues* the one before, whose last entry closes it, and its
//! first entry names how many entries stand before it and the root over them.
//!
//! A new one is begun by a person when the present one can not go on: after a restore from a backup, since what others have seen of it
//! can not be unsaid, or after damage. The old one stays as it is. The first entry of a new shard names the last
//! checkpoint of the one before, so that the two read as one history, with the break in the open.
//!
//! Entries are numbered in their shard. Where a number has to mean one entry of all, it is the number through all shards that continue
//! each other: as many are added as stand before the shard ([`history`]). After a break numbers begin anew.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    checkpoints,
    entry::{Action, Digest, Entry, EntryDraft},
    frame::{Frames, HEADER_BYTES, MAX_PAYLOAD_BYTES, Step, split},
    storage::{ORIGIN_FILE, is_locked, segment_path},
    verify::{VerifyError, entries},
};
use crate::{
    durable::dirs,
    program::LOG_SHARD,
    tlog::{CheckpointNote, TreeHead},
};

/// Why no new shard was begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// There is no log in this folder.
    #[error("`{}` holds no log; name the folder with the shards in it, `data/log`", path.display())]
    NoLog {
        /// The folder.
        path: PathBuf,
    },
    /// A program writes the present shard.
    #[error("the log in `{}` is in use; stop the program first", path.display())]
    InUse {
        /// The present shard.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("can not begin a shard in `{}`", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The numbers of the shards in the folder `logs`, ascending. Other names are not shards.
fn numbers(logs: &Path) -> io::Result<Vec<u32>> {
    let files = match fs::read_dir(logs) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for file in files {
        let name = file?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        // One way to write each: `01` is no shard.
        numbers.extend(number.filter(|number| name.to_str() == Some(&number.to_string())));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The shard that is written now: the newest in the folder `logs`, or the first.
///
/// # Errors
/// When the folder can not be read.
pub fn current(logs: &Path) -> io::Result<String> {
    let newest = numbers(logs)?.last().map(ToString::to_string);
    Ok(newest.unwrap_or_else(|| LOG_SHARD.to_owned()))
}

/// Every shard in the folder `logs` that has been begun, oldest first. The folder of one may be there a little earlier, without its name.
///
/// # Errors
/// When the folder can not be read.
pub fn every(logs: &Path) -> io::Result<Vec<PathBuf>> {
    let folders = numbers(logs)?.into_iter().map(|number| logs.join(number.to_string()));
    Ok(folders.filter(|shard| shard.join(ORIGIN_FILE).is_file()).collect())
}

/// The shard before the one in `dir`, if there is one.
///
/// # Errors
/// When the folder can not be read.
pub fn former(dir: &Path) -> io::Result<Option<PathBuf>> {
    let (Some(logs), Some(name)) = (dir.parent(), dir.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(None);
    };
    let Ok(own) = name.parse::<u32>() else { return Ok(None) };
    let before = numbers(logs)?.into_iter().rfind(|number| *number < own);
    Ok(before.map(|number| logs.join(number.to_string())))
}

/// The shards in `dir`, oldest first: `dir` itself when it is a shard, otherwise those in it.
///
/// # Errors
/// When the folder can not be read.
pub fn within(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let shards = if dir.join(ORIGIN_FILE).is_file() { Vec::new() } else { every(dir)? };
    Ok(if shards.is_empty() { vec![dir.to_owned()] } else { shards })
}

/// The number of the shard that comes after the one in `dir`.
pub(crate) fn number_after(dir: &Path) -> io::Result<u32> {
    let name = dir.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.parse::<u32>().ok()).and_then(|own| own.checked_add(1));
    number.ok_or_else(|| io::Error::other("the shard's folder has no number for a name"))
}

/// How many entries stand in the shards that the one in `dir` continues; 0 when it continues none.
pub(crate) fn base(dir: &Path) -> io::Result<u64> {
    Ok(match first_of(dir)? {
        Some(first) if first.action == Action::ShardContinued => first.count.unwrap_or(0),
        _ => 0,
    })
}

/// Whether the shard in `dir` continues the one before.
///
/// # Errors
/// When it can not be read.
pub fn is_continuation(dir: &Path) -> io::Result<bool> {
    Ok(first_of(dir)?.is_some_and(|first| first.action == Action::ShardContinued))
}

/// The first entry of the shard in `dir`; `None` when there is none that can be read: what is wrong with a log is for others to say.
pub(crate) fn first_of(dir: &Path) -> io::Result<Option<Entry>> {
    let file = match fs::File::open(segment_path(dir, 0)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take((HEADER_BYTES + MAX_PAYLOAD_BYTES) as u64).read_to_end(&mut bytes)?;
    Ok(match Frames::new(&bytes).step() {
        Step::Payload(payload) => split(payload).and_then(|(json, _)| Entry::decode(json).ok()),
        Step::End | Step::Broken(_) => None,
    })
}

/// The entries of the shard in `dir` and of those that it continues, oldest first, each with its number through all of them in place of
/// its number in its shard.
///
/// # Errors
/// When a folder can not be read; later errors come as items.
pub fn history(
    dir: &Path,
) -> Result<impl Iterator<Item = Result<Entry, VerifyError>>, VerifyError> {
    let failed = |source| VerifyError::Io { path: dir.to_owned(), source };
    let mut shards = vec![(dir.to_owned(), base(dir).map_err(failed)?)];
    while let Some((oldest, n_before)) = shards.last()
        && *n_before > 0
        && let Some(former) = former(oldest).map_err(failed)?
    {
        let n_before = base(&former).map_err(failed)?;
        shards.push((former, n_before));
    }
    let mut read = Vec::new();
    for (shard, n_before) in shards.into_iter().rev() {
        read.push((n_before, entries(&shard)?));
    }
    Ok(read.into_iter().flat_map(|(n_before, entries)| {
        entries.map(move |entry| {
            entry.map(|entry| Entry { seq: n_before.saturating_add(entry.seq), ..entry })
        })
    }))
}

/// The entries of every shard in `dir`, oldest first (see [`within`]), each with the number of entries that were read before it in place of
/// its number in its shard. Ends with the first that can not be read.
///
/// # Errors
/// When a folder can not be read; later errors come as items.
pub fn joined(dir: &Path) -> Result<impl Iterator<Item = Result<Entry, VerifyError>>, VerifyError> {
    Ok(placed(dir)?.map(|one| one.map(InShard::numbered)))
}

/// An entry, and where it stands.
pub(crate) struct InShard {
    /// Which of the shards that are read, from 0.
    pub(crate) shard: usize,
    /// With its number in its shard.
    pub(crate) entry: Entry,
    /// How many entries were read before it.
    number: u64,
}

impl InShard {
    /// The entry with the number of entries that were read before it in place of its number in its shard.
    pub(crate) fn numbered(self) -> Entry {
        Entry { seq: self.number, ..self.entry }
    }
}

/// As [`joined`], each entry with its place.
pub(crate) fn placed(
    dir: &Path,
) -> Result<impl Iterator<Item = Result<InShard, VerifyError>>, VerifyError> {
    let failed = |source| VerifyError::Io { path: dir.to_owned(), source };
    let mut read = Vec::new();
    for (shard, dir) in within(dir).map_err(failed)?.iter().enumerate() {
        read.push(entries(dir)?.map(move |entry| (shard, entry)));
    }
    let mut fails = false;
    let all = read.into_iter().flatten().take_while(move |(_, entry)| {
        let goes_on = !fails;
        fails |= entry.is_err();
        goes_on
    });
    Ok((0..).zip(all).map(|(number, (shard, entry))| Ok(InShard { shard, entry: entry?, number })))
}

/// The newest of the shards in `dir`.
///
/// # Errors
/// When the folder can not be read.
pub fn newest_within(dir: &Path) -> io::Result<PathBuf> {
    Ok(within(dir)?.pop().unwrap_or_else(|| dir.to_owned()))
}

/// The first entry of a shard that continues one which ends in `last`, its own checkpoint over all of it.
pub(crate) fn continuing(base: u64, head: TreeHead, last: &CheckpointNote) -> EntryDraft {
    let mut draft = EntryDraft::new(Action::ShardContinued);
    draft.count = Some(base.saturating_add(head.size));
    draft.evidence = vec![Digest::from_bytes(*head.root.as_bytes())];
    draft.payload_digest = last.to_bytes().ok().map(|bytes| Digest::of(&bytes));
    draft
}

/// Whether `first`, the first entry of a shard, continues the shard before, which has this head, its entries behind `base` others; `None`
/// when it does not say that it continues one.
#[must_use]
pub fn continues(first: &Entry, base: u64, head: TreeHead) -> Option<bool> {
    (first.action == Action::ShardContinued).then(|| {
        first.count == base.checked_add(head.size)
            && first.evidence == [Digest::from_bytes(*head.root.as_bytes())]
    })
}

/// Begins a new shard in the folder `logs`; the program writes it from its next start on. Returns its folder.
///
/// # Errors
/// When there is no log, a program writes it, or the disk fails.
pub fn begin(logs: &Path) -> Result<PathBuf, NotBegun> {
    let failed = |source| NotBegun::Io { path: logs.to_owned(), source };
    let Some(newest) = numbers(logs).map_err(failed)?.last().copied() else {
        return Err(NotBegun::NoLog { path: logs.to_owned() });
    };
    let present = logs.join(newest.to_string());
    if is_locked(&present).map_err(failed)? {
        return Err(NotBegun::InUse { path: present });
    }
    let next = logs.join((newest + 1).to_string());
    dirs::create_dirs(&next).map_err(failed)?;
    Ok(next)
}

/// What the first entry of the shard in `dir` says of the one before; `None` when it is the first shard.
///
/// # Errors
/// When the folder can not be read. A former shard whose checkpoints can not be read is named without them.
pub(crate) fn first_entry(dir: &Path) -> io::Result<Option<EntryDraft>> {
    let Some(former) = former(dir)? else { return Ok(None) };
    let mut draft = EntryDraft::new(Action::ShardBegun);
    let number = former.file_name().and_then(|name| name.to_str());
    draft.count = number.and_then(|number| number.parse().ok());
    if let Ok(Ok(kept)) = checkpoints::read(&former) {
        let last = kept.into_iter().map(|(_, note)| note).max_by_key(|n| n.checkpoint().head.size);
        draft.payload_digest =
            last.and_then(|note| note.to_bytes().ok()).map(|bytes| Digest::of(&bytes));
    }
    Ok(Some(draft))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        AuditLog, LogOptions, Origin, entries,
        fixtures::{clock, draft, key},
    };

    fn open(logs: &Path) -> AuditLog {
        let shard = current(logs).unwrap();
        let origin = Origin::new("example", "CSC".parse().unwrap(), &shard).unwrap();
        AuditLog::open(LogOptions::new(logs, origin, key(), clock())).unwrap()
    }

    #[test]
    fn there_is_nothing_to_begin_where_there_is_no_log() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(current(dir.path()).unwrap(), "1");
        for folder in [dir.path().to_owned(), dir.path().join("nowhere")] {
            assert!(matches!(begin(&folder), Err(NotBegun::NoLog { .. })));
        }
        for name in ["01", "x", "-1"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(current(dir.path()).unwrap(), "1");
    }

    #[tokio::test]
    async fn a_shard_is_begun_while_nobody_writes_and_names_the_last_checkpoint_of_the_one_before()
    {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        log.record(draft(0)).await.unwrap();
        let note = log.sign(&log.tree()).unwrap();
        log.keep_checkpoint(&note).unwrap();
        assert!(matches!(begin(dir.path()), Err(NotBegun::InUse { .. })));
        assert_eq!(first_entry(log.dir()).unwrap(), None);
        drop(log);
        let next = begin(dir.path()).unwrap();
        assert_eq!(
            (next.as_path(), current(dir.path()).unwrap().as_str()),
            (&*dir.path().join("2"), "2")
        );
        let log = open(dir.path());
        assert_eq!((log.dir(), log.tree().head().size), (next.as_path(), 0));
        let first = first_entry(log.dir()).unwrap().unwrap();
        assert_eq!((first.action, first.count), (Action::ShardBegun, Some(1)));
        assert_eq!(first.payload_digest, Some(Digest::of(&note.to_bytes().unwrap())));
        log.record(first).await.unwrap();
        // The old one is as it was.
        assert_eq!(entries(&former(log.dir()).unwrap().unwrap()).unwrap().count(), 1);
        // The folder of the one after is there before anything is in it.
        drop(log);
        begin(dir.path()).unwrap();
        assert_eq!(current(dir.path()).unwrap(), "3");
        assert_eq!(within(dir.path()).unwrap().last(), Some(&next));
        assert_eq!(joined(dir.path()).unwrap().count(), 2);
    }
}
