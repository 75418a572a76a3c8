//! The disk under the log: segment files, and when their bytes are safe.
//!
//! Contract: what `Storage::append` took is durable once `Storage::sync` has returned `Ok`, and a
//! segment can be found again once `Storage::sync_dir` has returned `Ok` after it was made. After
//! any error the state of the disk is unknown: the kernel may have marked a page clean that it failed
//! to write, so a second sync on the same handle proves nothing. The writer then reads the disk again.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{chain::Origin, log::OpenLogError};
use crate::{durable::dirs, keys::VerifyingKey};

#[cfg(any(test, feature = "test-util"))]
mod faults;
#[cfg(any(test, feature = "test-util"))]
pub use faults::FaultSwitch;
#[cfg(any(test, feature = "test-util"))]
pub(crate) use faults::Faulty;

/// The file that names the log; see [`Origin`].
pub const ORIGIN_FILE: &str = "origin";
/// The file with the public key that signs the log's entries, in base64.
pub const KEY_FILE: &str = "log.pub";
const LOCK_FILE: &str = "lock";

/// Segments of one log. A segment is named by the number of its first entry.
pub(crate) trait Storage: Send + fmt::Debug {
    /// The numbers of the segments, ascending.
    fn segments(&mut self) -> io::Result<Vec<u64>>;
    /// All bytes of a segment.
    fn read(&mut self, first_seq: u64) -> io::Result<Vec<u8>>;
    /// Makes a new segment and selects it for appending.
    fn create(&mut self, first_seq: u64) -> io::Result<()>;
    /// Selects a segment for appending, on a new handle, and cuts it to `n_bytes`.
    fn resume(&mut self, first_seq: u64, n_bytes: u64) -> io::Result<()>;
    /// Appends all of `bytes` to the selected segment.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the contents of the selected segment durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the names of the segments durable.
    fn sync_dir(&mut self) -> io::Result<()>;
    /// An empty file without a name, for what is derived from the segments.
    fn scratch(&mut self) -> io::Result<File>;
}

/// Segment files in a directory that this program alone writes.
#[derive(Debug)]
pub(crate) struct FileStorage {
    dir: PathBuf,
    selected: Option<File>,
    /// Held, never read: the lock goes with the handle, also when the program is killed.
    _lock: File,
}

impl FileStorage {
    /// Makes or opens the directory, locks it, and checks that it is this log's.
    pub(crate) fn open(
        dir: &Path,
        origin: &Origin,
        key: &VerifyingKey,
    ) -> Result<Self, OpenLogError> {
        let failed = |source| OpenLogError::Io { path: dir.to_owned(), source };
        dirs::create_dirs(dir).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenLogError::Locked { path: dir.to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let is_new = list_segments(dir).map_err(failed)?.is_empty();
        for (file, text) in [(KEY_FILE, key.to_string()), (ORIGIN_FILE, origin.to_string())] {
            let path = dir.join(file);
            match fs::read_to_string(&path) {
                Ok(found) if found.trim_end() == text => {}
                Ok(_) => return Err(OpenLogError::AnotherLog { path }),
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => {
                    write_whole(&path, &format!("{text}\n")).map_err(failed)?;
                }
                Err(source) => return Err(OpenLogError::Io { path, source }),
            }
        }
        dirs::sync_dir(dir).and_then(|()| dirs::sync_dir(dirs::parent_of(dir))).map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), selected: None, _lock: lock })
    }

    fn selected(&mut self) -> io::Result<&mut File> {
        self.selected.as_mut().ok_or_else(|| io::Error::other("no segment is open"))
    }
}

impl Storage for FileStorage {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        list_segments(&self.dir)
    }

    fn read(&mut self, first_seq: u64) -> io::Result<Vec<u8>> {
        fs::read(segment_path(&self.dir, first_seq))
    }

    fn create(&mut self, first_seq: u64) -> io::Result<()> {
        let path = segment_path(&self.dir, first_seq);
        self.selected = Some(OpenOptions::new().create_new(true).append(true).open(path)?);
        Ok(())
    }

    fn resume(&mut self, first_seq: u64, n_bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(segment_path(&self.dir, first_seq))?;
        file.set_len(n_bytes)?;
        self.selected = Some(file);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.selected()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.selected()?.sync_data()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        dirs::sync_dir(&self.dir)
    }

    fn scratch(&mut self) -> io::Result<File> {
        tempfile::tempfile_in(&self.dir)
    }
}

/// Whether a program writes the log in `dir`.
pub(crate) fn is_locked(dir: &Path) -> io::Result<bool> {
    let lock = match OpenOptions::new().write(true).open(dir.join(LOCK_FILE)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// A file that is there with all of its text, or not at all.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

pub(crate) fn segment_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.seg"))
}

/// The segments in a directory, ascending. A `.seg` file with another name is an error: it would be
/// left out unseen.
pub(crate) fn list_segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for file in fs::read_dir(dir)? {
        let name = file?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".seg")) else {
            continue;
        };
        let is_number = number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit());
        match number.parse() {
            Ok(first_seq) if is_number => segments.push(first_seq),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a misnamed segment")),
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    fn origin(shard: &str) -> Origin {
        format!("example/CSC/{shard}").parse().unwrap()
    }

    #[test]
    fn refuses_a_second_program_another_key_and_another_origin() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap().verifying_key();
        let first = FileStorage::open(dir.path(), &origin("a"), &key).unwrap();
        let second = FileStorage::open(dir.path(), &origin("a"), &key);
        assert!(matches!(second, Err(OpenLogError::Locked { .. })));
        drop(first);
        let other = SigningKey::generate().unwrap().verifying_key();
        let other_key = FileStorage::open(dir.path(), &origin("a"), &other);
        assert!(matches!(other_key, Err(OpenLogError::AnotherLog { .. })));
        let other_origin = FileStorage::open(dir.path(), &origin("b"), &key);
        assert!(matches!(other_origin, Err(OpenLogError::AnotherLog { .. })));
        FileStorage::open(dir.path(), &origin("a"), &key).unwrap();
    }

    #[test]
    fn refuses_a_log_whose_names_were_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap().verifying_key();
        FileStorage::open(dir.path(), &origin("a"), &key).unwrap().create(0).unwrap();
        fs::remove_file(dir.path().join(KEY_FILE)).unwrap();
        let opened = FileStorage::open(dir.path(), &origin("a"), &key);
        assert!(matches!(opened, Err(OpenLogError::Io { .. })));
    }

    #[test]
    fn a_misnamed_segment_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("7.seg"), b"").unwrap();
        assert!(list_segments(dir.path()).is_err());
    }
}
