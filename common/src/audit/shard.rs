//! Shards: a party's log is a series of logs, `<data>/log/1`, `2` and so on, each with a name of its own. The newest is written.
//!
//! A new one is begun, by a person, when the present one can not go on: after a restore from a backup, since what others have seen of it
//! can not be unsaid, or after damage. The old one stays as it is. The first entry of a new shard names the last
//! checkpoint of the one before, so that the two read as one history, with the break in the open.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    checkpoints,
    entry::{Action, Digest, EntryDraft},
    storage::is_locked,
};
use crate::{durable::dirs, program::LOG_SHARD};

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

/// Every shard in the folder `logs`, oldest first.
///
/// # Errors
/// When the folder can not be read.
pub fn every(logs: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(numbers(logs)?.into_iter().map(|number| logs.join(number.to_string())).collect())
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
    }
}
