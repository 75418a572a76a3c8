//! Taking a backup of a store and a log that are in use.
//!
//! The order makes it one moment: the store's rows go out first, with every change behind them; at the moment at which no change is left
//! the ends of the log are noted, and no change is made until they are. So the log in a backup has every entry that something in its
//! store rests on (an entry is durable before its change is made), and what the log has more is what a program that is killed leaves behind: every
//! start copes with it. Files that only grow are read up to where they ended then; others are replaced by name, so that one is read whole.
//!
//! Memory: a chunk, a piece of a file, and the changes that wait, bounded by [`durable`](crate::durable).

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    BackupError, RecoveryKey,
    archive::{FORMAT, FileHead, Header, LogEnd, Manifest, Writer},
    sealed::{Kind, Sealing},
};
use crate::{
    audit::{
        Action, AuditLog, Digest, EntryDraft, Party,
        checkpoints::CHECKPOINTS_FILE,
        frame::{HEADER_BYTES, MAX_PAYLOAD_BYTES},
        restored::RESTORED_FILE,
        shard,
        storage::{KEY_FILE, ORIGIN_FILE},
    },
    durable::Durable,
    id::EnquiryRef,
    keyfile,
    program::LOG_FOLDER,
    time::SharedClock,
};

/// The folder of the data, in a backup.
pub const DATA: &str = "data";
/// The folder of the keys.
pub const KEYS: &str = "keys";
/// The folder of the enquiry keys, in a backup of theirs.
pub const ENQUIRY_KEYS: &str = "enquiry-keys";
/// The configuration, as it was.
pub const CONFIG: &str = "config.toml";
/// The agreement that the configuration named.
pub const AGREEMENT: &str = "agreement.note";
/// The name of the key that marks a folder of enquiry keys as one store's.
pub const MARK: &str = "store.mark";
/// The folder of the store, within the data.
pub const STORE: &str = "store";
/// Bytes of an enquiry's key.
const KEY_BYTES: usize = 32;

/// Where the parts of a program are.
#[derive(Debug, Clone)]
pub struct Parts {
    /// `agency-node` or `hub`.
    pub program: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// Whose it is.
    pub party: Party,
    /// The configuration; absent when it was not read from a file.
    pub config: Option<PathBuf>,
    /// The data.
    pub data: PathBuf,
    /// The agreement that the configuration names.
    pub agreement: PathBuf,
    /// The keys of enquiries.
    pub enquiry_keys: PathBuf,
    /// The keys that go with the data: their names in the configuration, and their files, each with those that follow it. Never the keys of views,
    /// of the witness, of TLS.
    pub keys: Vec<(&'static str, PathBuf)>,
    /// For whom it is sealed.
    pub recovery_key: Option<RecoveryKey>,
}

/// Makes backups of one program.
#[derive(Debug, Clone)]
pub struct Backups {
    /// Where everything is.
    pub parts: Parts,
    /// The store.
    pub store: Durable,
    /// The log.
    pub log: AuditLog,
    /// The time.
    pub clock: SharedClock,
}

/// A backup but for its last chunk.
#[derive(Debug)]
pub struct Taken {
    /// What is in it.
    pub manifest: Manifest,
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// The last chunk. It is written once the log says that there is a backup.
    pub last: Vec<u8>,
}

impl Taken {
    /// The entry about it.
    #[must_use]
    pub fn entry(&self, kind: Kind) -> EntryDraft {
        let mut draft = EntryDraft::new(Action::BackupMade);
        let what = match kind {
            Kind::Data => "data",
            Kind::EnquiryKeys => "enquiry_keys",
        };
        draft.decision = what.parse().ok();
        draft.count = self.manifest.log.as_ref().map(|log| log.entries);
        draft.payload_digest = Some(self.digest);
        draft
    }
}

/// The ends of everything that grows, at one moment.
struct Ends {
    log: LogEnd,
    files: Vec<LogFile>,
}

/// A file of the log.
struct LogFile {
    path: PathBuf,
    name: String,
    /// Opened at the moment, where the name may stand for another file later.
    file: Option<File>,
    upto: UpTo,
}

/// How much of a file belongs to the moment.
enum UpTo {
    Bytes(u64),
    /// The first so many entries.
    Entries(u64),
}

impl Backups {
    /// Writes a backup to `out`, all but its last chunk. Blocking.
    ///
    /// # Errors
    /// When there is no recovery key, another backup is being made, or `out` or the disk fails.
    pub fn take(&self, kind: Kind, out: &mut dyn Write) -> Result<Taken, BackupError> {
        let Some(RecoveryKey(key)) = &self.parts.recovery_key else {
            return Err(BackupError::NoRecoveryKey);
        };
        let header = Header {
            format: FORMAT,
            program: self.parts.program.to_owned(),
            version: self.parts.version.to_owned(),
            party: self.parts.party.clone(),
            made: self.clock.now(),
        };
        let mut writer = Writer::begin(&header, Sealing::begin(kind, key, out)?)?;
        let log = match kind {
            Kind::Data => Some(self.data(&mut writer)?),
            Kind::EnquiryKeys => {
                self.enquiry_keys(&mut writer)?;
                None
            }
        };
        let (manifest, sealing) = writer.finish(log)?;
        let (out, last, digest) = sealing.finish()?;
        out.flush()?;
        Ok(Taken { manifest, digest, last })
    }

    fn data<W: Write>(&self, writer: &mut Writer<W>) -> Result<LogEnd, BackupError> {
        let ends = self.store.copy(&mut |key, value| writer.row(key, value), || self.ends())??;
        for LogFile { path, name, file, upto } in ends.files {
            let mut file = file.map_or_else(|| File::open(&path), Ok)?;
            let n_bytes = match upto {
                UpTo::Bytes(n_bytes) => n_bytes,
                UpTo::Entries(n_entries) => bytes_of(&mut file, n_entries)?,
            };
            writer.file(&FileHead { path: name, mode: 0o600 }, file, n_bytes)?;
        }
        below(&self.parts.data, DATA, &mut |path, name| put(writer, path, name))?;
        for (name, path) in &self.parts.keys {
            for file in keyfile::ring(path)? {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let own = file.file_stem().and_then(|own| own.to_str()).unwrap_or_default();
                let suffix = own.strip_prefix(stem).unwrap_or_default();
                put(writer, &file, &format!("{KEYS}/{name}{suffix}.key"))?;
            }
        }
        put(writer, &self.parts.agreement, AGREEMENT)?;
        if let Some(config) = &self.parts.config {
            put(writer, config, CONFIG)?;
        }
        Ok(ends.log)
    }

    /// Looks at the ends of the log. No change of the store is made meanwhile.
    fn ends(&self) -> io::Result<Ends> {
        let newest = self.log.newest_shard();
        let name = newest.origin().shard().to_owned();
        let logs = self.parts.data.join(LOG_FOLDER);
        let dir = logs.join(&name);
        let mut files = Vec::new();
        // Before the tree: no checkpoint in a backup is over more entries than there are.
        files.extend(opened(&dir, &name, CHECKPOINTS_FILE)?);
        let head = newest.tree().head();
        files.extend(segments(&dir, &name, Some(head.size))?);
        for one in [ORIGIN_FILE, KEY_FILE, RESTORED_FILE] {
            files.extend(opened(&dir, &name, one)?);
        }
        for former in shard::every(&logs)? {
            let of = former.file_name().and_then(|of| of.to_str()).unwrap_or_default().to_owned();
            let is_former = of.parse::<u32>().ok() < name.parse::<u32>().ok();
            if !is_former {
                continue;
            }
            files.extend(segments(&former, &of, None)?);
            for one in [CHECKPOINTS_FILE, ORIGIN_FILE, KEY_FILE, RESTORED_FILE] {
                files.extend(opened(&former, &of, one)?);
            }
        }
        let log = LogEnd {
            origin: newest.origin().to_string(),
            key: newest.note_key().key().to_string(),
            entries: head.size,
            root: Digest::from_bytes(*head.root.as_bytes()),
        };
        Ok(Ends { log, files })
    }

    fn enquiry_keys<W: Write>(&self, writer: &mut Writer<W>) -> Result<(), BackupError> {
        for item in fs::read_dir(&self.parts.enquiry_keys)? {
            let item = item?;
            let name = item.file_name();
            let is_key = |name: &&str| *name == MARK || name.parse::<EnquiryRef>().is_ok();
            let Some(name) = name.to_str().filter(is_key) else { continue };
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            // One that is destroyed meanwhile, or was cut off when it was made, is no key.
            let read = File::open(item.path()).and_then(|mut file| file.read_exact(&mut *key));
            if read.is_ok() && *key != [0; KEY_BYTES] {
                let head = FileHead { path: format!("{ENQUIRY_KEYS}/{name}"), mode: 0o600 };
                writer.file(&head, &key[..], KEY_BYTES as u64)?;
            }
        }
        Ok(())
    }
}

fn opened(dir: &Path, shard: &str, name: &str) -> io::Result<Option<LogFile>> {
    let path = dir.join(name);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let upto = UpTo::Bytes(file.metadata()?.len());
    let name = format!("{DATA}/{LOG_FOLDER}/{shard}/{name}");
    Ok(Some(LogFile { path, name, file: Some(file), upto }))
}

/// The segments of a shard; with `n_entries` of those only, the one that is written cut behind the last of them.
fn segments(dir: &Path, shard: &str, n_entries: Option<u64>) -> io::Result<Vec<LogFile>> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir)? {
        let name = item?.file_name();
        let Some(name) = name.to_str() else { continue };
        let first = name.strip_suffix(".seg").and_then(|first| first.parse::<u64>().ok());
        if let Some(first) = first.filter(|first| n_entries.is_none_or(|n| *first < n)) {
            found.push((first, name.to_owned()));
        }
    }
    found.sort();
    let n_found = found.len();
    let mut files = Vec::with_capacity(n_found);
    for (place, (first, name)) in found.into_iter().enumerate() {
        let path = dir.join(&name);
        let upto = match n_entries {
            // What stands behind is not acknowledged, and may be cut off again.
            Some(n_entries) if place + 1 == n_found => UpTo::Entries(n_entries - first),
            Some(_) | None => UpTo::Bytes(fs::metadata(&path)?.len()),
        };
        let name = format!("{DATA}/{LOG_FOLDER}/{shard}/{name}");
        files.push(LogFile { path, name, file: None, upto });
    }
    Ok(files)
}

/// Where the first so many entries of a segment end, in bytes; the file stands at its start afterwards.
fn bytes_of(file: &mut File, n_entries: u64) -> io::Result<u64> {
    let mut n_bytes = 0;
    let mut from = BufReader::new(&*file);
    for _ in 0..n_entries {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header)?;
        let [l0, l1, l2, l3, ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length as usize > MAX_PAYLOAD_BYTES {
            return Err(io::Error::other("an entry of the log is too long"));
        }
        from.seek_relative(i64::from(length))?;
        n_bytes += HEADER_BYTES as u64 + u64::from(length);
    }
    drop(from);
    file.seek(SeekFrom::Start(0))?;
    Ok(n_bytes)
}

/// Every file below the data but those of the store and the log, which go by themselves.
fn below(
    dir: &Path,
    name: &str,
    each: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
) -> io::Result<()> {
    let items = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        items => items?,
    };
    for item in items {
        let item = item?;
        let own = item.file_name();
        let own = own.to_str().ok_or_else(|| io::Error::other("a name in the data is no text"))?;
        let by_itself = name == DATA && [STORE, LOG_FOLDER].contains(&own);
        // What is being written beside is not there yet; a lock is nobody's data.
        let is_passing = own == "lock" || own.ends_with(".new") || own.ends_with(".tmp");
        if by_itself || is_passing {
            continue;
        }
        let kind = item.file_type()?;
        let name = format!("{name}/{own}");
        if kind.is_dir() {
            below(&item.path(), &name, each)?;
        } else if kind.is_file() {
            each(&item.path(), &name)?;
        }
    }
    Ok(())
}

/// One file, as long as it is when it is opened. One that is not there any more is left out.
fn put<W: Write>(writer: &mut Writer<W>, path: &Path, name: &str) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o700;
    writer.file(&FileHead { path: name.to_owned(), mode }, file, metadata.len())
}
