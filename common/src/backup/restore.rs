//! Putting a backup back: everything is put together beside its place, verified there, and takes its name as the last step.
//!
//! A run that is cut off leaves a folder beside that has a mark in it, which the next one begins anew. Nothing is ever put over anything.
//!
//! What comes out is not what was: the log goes on in a new shard whose second entry says what the backup held (see
//! [`audit::restored`](crate::audit::restored)), and the witness has a new key, since the old one has cosigned what the backup does not know of.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml_edit::{DocumentMut, Item, value};

use super::{
    BackupError,
    archive::{self, FileHead, Header, Manifest, Take},
    sealed::{Kind, Opening},
    take::{AGREEMENT, CONFIG, DATA, ENQUIRY_KEYS, KEYS, STORE},
};
use crate::{
    audit::{
        Digest, Origin,
        restored::Restored,
        shard,
        storage::{KEY_FILE, ORIGIN_FILE},
        verify_dir,
    },
    durable::{Filling, StoreError, dirs},
    keyfile,
    keys::{SigningKey, VerifyingKey},
    program::LOG_FOLDER,
    secret::SecretBytes,
    time::Timestamp,
    tlog::{Checkpoint, Hash, TreeHead},
};

/// What marks a folder as one that a restore is putting together; it is locked by the one that does.
const MARK: &str = "restore.unfinished";

/// Memory that the store may use while it is filled, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The suffix of the folder of enquiry keys, beside the data.
const ENQUIRY_KEYS_BESIDE: &str = "data-enquiry-keys";
/// The file by which an operator says that the keys of enquiries are lost.
const KEYS_ARE_LOST: &str = "keys-are.lost";

/// How often and how far apart it is looked whether the store has been let go of: five seconds in all.
const LOOKS: u32 = 500;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(10);

/// What to put back, and where.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// `agency-node` or `hub`; a backup of the other one is refused.
    pub program: &'a str,
    /// The backup.
    pub file: &'a Path,
    /// The private half of the recovery key.
    pub key: &'a SecretBytes<32>,
    /// The folder that is made; it is not there, or empty.
    pub into: &'a Path,
    /// The backup of the enquiry keys; `None`: they are lost, and with them every enquiry.
    pub enquiry_keys: Option<&'a Path>,
    /// The time.
    pub now: Timestamp,
}

/// What was put back.
#[derive(Debug, Clone, Serialize)]
pub struct PutBack {
    /// Whose it is and when it was made.
    pub header: Header,
    /// What was in it.
    pub manifest: Manifest,
    /// SHA-256 of the file, to be held against the entry `backup_made` of the log that goes on elsewhere.
    pub digest: Digest,
    /// When the log's last entry in it was written.
    pub last: Option<Timestamp>,
    /// The shard that the log goes on in.
    pub shard: String,
    /// The configuration.
    pub config: PathBuf,
    /// Files that the configuration names and that no backup has.
    pub to_provide: Vec<PathBuf>,
}

/// Reads a backup, counting its digest.
struct Hashed<R>(R, ring::digest::Context);

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.0.read(bytes)?;
        self.1.update(bytes.get(..n_bytes).unwrap_or_default());
        Ok(n_bytes)
    }
}

/// Takes nothing.
struct Nothing;

impl Take for Nothing {
    fn row(&mut self, _: &[u8], _: Option<&[u8]>) -> Result<(), BackupError> {
        Ok(())
    }

    fn file(&mut self, _: &FileHead) -> Result<(), BackupError> {
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> Result<(), BackupError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), BackupError> {
        Ok(())
    }
}

/// Reads a backup from its first byte to its last, and says what is in it. Nothing is written.
///
/// # Errors
/// When it does not open, or is not what it says.
pub fn verify(
    kind: Kind,
    file: &Path,
    key: &SecretBytes<32>,
) -> Result<(Header, Manifest, Digest), BackupError> {
    read(kind, file, key, &mut Nothing, |_| Ok(()))
}

fn read(
    kind: Kind,
    file: &Path,
    key: &SecretBytes<32>,
    take: &mut dyn Take,
    accept: impl FnOnce(&Header) -> Result<(), BackupError>,
) -> Result<(Header, Manifest, Digest), BackupError> {
    let mut from = Hashed(BufReader::new(File::open(file)?), archive::sha256());
    let mut opening = Opening::begin(kind, key, &mut from)?;
    let header = archive::header(&mut opening)?;
    accept(&header)?;
    let manifest = archive::read(&mut opening, take)?;
    drop(opening);
    Ok((header, manifest, archive::ended(from.1)))
}

/// Puts files and rows below a folder.
struct Building<'a> {
    dir: &'a Path,
    /// Which first parts of a path are taken, and what stands for them.
    names: &'static [(&'static str, &'static str)],
    store: Option<Filling>,
    file: Option<File>,
}

impl Take for Building<'_> {
    fn row(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), BackupError> {
        let store = self.store.as_mut();
        Ok(store.ok_or(BackupError::Malformed("it has rows of a store"))?.take(key, value)?)
    }

    fn file(&mut self, head: &FileHead) -> Result<(), BackupError> {
        let (first, rest) = head.path.split_once('/').unwrap_or((&head.path, ""));
        let named = self.names.iter().find(|(name, _)| *name == first);
        let (_, place) = named.ok_or(BackupError::Malformed("a file has no place"))?;
        let path =
            if rest.is_empty() { self.dir.join(place) } else { self.dir.join(place).join(rest) };
        let folder = dirs::parent_of(&path);
        make_folder(folder)?;
        let mode = 0o600 | (head.mode & 0o700);
        let mut options = File::options();
        self.file = Some(options.write(true).create_new(true).mode(mode).open(&path)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let file = self.file.as_mut().ok_or(BackupError::Malformed("bytes without a file"))?;
        Ok(file.write_all(bytes)?)
    }

    fn end(&mut self) -> Result<(), BackupError> {
        let file = self.file.take().ok_or(BackupError::Malformed("an end without a file"))?;
        Ok(file.sync_all()?)
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts a backup back. `check` is the program's own look at what was put together, by its configuration: that the store opens and every value
/// in it, and that the agreement verifies. Blocking.
///
/// # Errors
/// When something is there, or the backup or anything in it does not verify; then nothing has taken the place.
pub fn restore(
    what: &Restoring<'_>,
    check: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> Result<PutBack, BackupError> {
    let into = std::path::absolute(what.into)?;
    let is_free = match fs::read_dir(&into) {
        Ok(mut items) => items.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(_) => false,
    };
    if !is_free {
        return Err(BackupError::NotEmpty(into));
    }
    let (building, lock) = begin(&into)?;
    let (header, manifest, digest) = fill(what, &building)?;
    let (last, next) = look_at_log(what, &building, &manifest, digest)?;
    let key = SigningKey::generate().map_err(io::Error::other)?;
    keyfile::write_signing_key(&building.join(KEYS).join("witness.key"), &key)?;
    let config = format!("{}.toml", what.program);
    let to_provide = write_config(&building, &config)?;
    let checked = check(&building.join(&config));
    checked.map_err(|error| BackupError::NotInOrder(format!("{error:#}")))?;
    let_go(&building.join(DATA).join(STORE))?;
    fs::remove_file(building.join(MARK))?;
    sync_below(&building)?;
    dirs::create_dirs(dirs::parent_of(&into))?;
    // Over an empty folder, or over nothing.
    fs::rename(&building, &into)?;
    dirs::sync_dir(dirs::parent_of(&into))?;
    drop(lock);
    Ok(PutBack {
        header,
        manifest,
        digest,
        last,
        shard: next,
        config: into.join(config),
        to_provide: to_provide.into_iter().map(|path| into.join(path)).collect(),
    })
}

/// Begins the folder beside, anew where a run was cut off. The lock is held until it has its name.
fn begin(into: &Path) -> Result<(PathBuf, File), BackupError> {
    let mut beside = into.as_os_str().to_owned();
    beside.push(".restoring");
    let beside = PathBuf::from(beside);
    if beside.exists() {
        // Only what carries the mark is a restore's.
        let mark =
            File::open(beside.join(MARK)).map_err(|_| BackupError::NotEmpty(beside.clone()))?;
        if mark.try_lock().is_err() {
            return Err(BackupError::UnderWay(into.to_owned()));
        }
        fs::remove_dir_all(&beside)?;
    }
    dirs::create_dirs(dirs::parent_of(into))?;
    fs::DirBuilder::new().mode(0o700).create(&beside)?;
    let mark = File::create_new(beside.join(MARK))?;
    mark.try_lock().map_err(|_| BackupError::UnderWay(into.to_owned()))?;
    Ok((beside, mark))
}

fn fill(what: &Restoring<'_>, building: &Path) -> Result<(Header, Manifest, Digest), BackupError> {
    let is_wanted = |header: &Header| {
        if header.program == what.program {
            return Ok(());
        }
        let (found, wanted) = (header.program.clone(), what.program.to_owned());
        Err(BackupError::OfAnother { found, wanted })
    };
    make_folder(&building.join(DATA))?;
    make_folder(&building.join(KEYS))?;
    let mut data = Building {
        dir: building,
        names: &[(DATA, DATA), (KEYS, KEYS), (AGREEMENT, AGREEMENT), (CONFIG, CONFIG)],
        store: Some(Filling::begin(&building.join(DATA).join(STORE), CACHE_BYTES)?),
        file: None,
    };
    let (header, manifest, digest) = read(Kind::Data, what.file, what.key, &mut data, is_wanted)?;
    if let Some(store) = data.store.take() {
        store.finish()?;
    }
    let keys = building.join(ENQUIRY_KEYS_BESIDE);
    make_folder(&keys)?;
    match what.enquiry_keys {
        Some(file) => {
            let names = &[(ENQUIRY_KEYS, ENQUIRY_KEYS_BESIDE)];
            let mut taking = Building { dir: building, names, store: None, file: None };
            let (of, ..) = read(Kind::EnquiryKeys, file, what.key, &mut taking, is_wanted)?;
            if of.party != header.party {
                let (found, wanted) = (of.party.to_string(), header.party.to_string());
                return Err(BackupError::OfAnother { found, wanted });
            }
        }
        None => File::create_new(keys.join(KEYS_ARE_LOST))?.sync_all()?,
    }
    Ok((header, manifest, digest))
}

/// Verifies every shard, holds the last one against the manifest, and begins the next. When the last entry was written, and the next shard.
fn look_at_log(
    what: &Restoring<'_>,
    building: &Path,
    manifest: &Manifest,
    backup: Digest,
) -> Result<(Option<Timestamp>, String), BackupError> {
    let said = manifest.log.as_ref().ok_or(BackupError::Malformed("it says nothing of the log"))?;
    let logs = building.join(DATA).join(LOG_FOLDER);
    let mut found = None;
    for dir in shard::every(&logs)? {
        let text = |name| fs::read_to_string(dir.join(name));
        let no_name = BackupError::Malformed("a shard of the log has no name or key");
        let origin: Option<Origin> = text(ORIGIN_FILE)?.trim().parse().ok();
        let key: Option<VerifyingKey> = text(KEY_FILE)?.trim().parse().ok();
        let (Some(origin), Some(key)) = (origin, key) else { return Err(no_name) };
        let summary = verify_dir(&dir, &key, &origin)?;
        found = Some((origin, key, summary));
    }
    let Some((origin, key, summary)) = found else { return Err(BackupError::AnotherLog) };
    let root = Digest::from_bytes(*summary.root.as_bytes());
    let is_said = origin.as_str() == said.origin
        && key.to_string() == said.key
        && (summary.n_entries, root, summary.n_unfinished_bytes) == (said.entries, said.root, 0);
    if !is_said {
        return Err(BackupError::AnotherLog);
    }
    let head = TreeHead { size: said.entries, root: Hash::from_bytes(*said.root.as_bytes()) };
    let own = keyfile::read_signing_key(&building.join(KEYS).join("log.key"))?;
    let checkpoint = Checkpoint { origin: origin.as_str().into(), head };
    let note = checkpoint.sign(&origin.key(key), &own).map_err(|_| BackupError::AnotherLog)?;
    let note = note.to_bytes().map_err(io::Error::other)?;
    let next = next_shard(origin.shard(), what.now);
    let dir = logs.join(&next);
    make_folder(&dir)?;
    let restored = Restored {
        backup,
        origin: said.origin.clone(),
        key: said.key.clone(),
        entries: said.entries,
        root: said.root,
        checkpoint: String::from_utf8(note).map_err(io::Error::other)?,
    };
    restored.keep(&dir)?;
    Ok((summary.last_ts, next))
}

/// The number of the shard that a log goes on in when it was put back at `now`: the minute, since 1970. What was lost may have begun shards
/// of its own, and the same backup may be put back twice: none of them has this number, so nobody has seen a log of this name.
fn next_shard(former: &str, now: Timestamp) -> String {
    let minute = u32::try_from(now.as_second() / 60).unwrap_or(0);
    let after = former.parse::<u32>().map_or(1, |former| former.saturating_add(1));
    minute.max(after).to_string()
}

/// Writes the configuration anew, with the places that were made here; gives what it names and nobody has put here, by paths below the
/// folder.
fn write_config(building: &Path, name: &str) -> Result<Vec<PathBuf>, BackupError> {
    let malformed = || BackupError::Malformed("its configuration does not read");
    let text = match fs::read_to_string(building.join(CONFIG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(malformed()),
        text => text?,
    };
    let mut config: DocumentMut = text.parse().map_err(|_| malformed())?;
    config.insert("data", value(DATA));
    config.insert("agreement", value(AGREEMENT));
    for own in ["view_keys", "enquiry_keys"] {
        config.remove(own);
    }
    if let Some(keys) = config.get_mut("keys").and_then(Item::as_table_like_mut) {
        let names: Vec<String> = keys.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let path = format!("{KEYS}/{name}.key");
            keys.insert(&name, value(path));
        }
    }
    let mut to_provide = Vec::new();
    if let Some(tls) = config.get_mut("tls").and_then(Item::as_table_like_mut) {
        let paths = tls.iter().filter_map(|(name, path)| Some((name, path.as_str()?)));
        let named: Vec<(String, String)> = paths
            .filter_map(|(name, path)| {
                let file = Path::new(path).file_name()?.to_str()?;
                Some((name.to_owned(), format!("tls/{file}")))
            })
            .collect();
        for (name, path) in named {
            tls.insert(&name, value(&path));
            to_provide.push(PathBuf::from(path));
        }
    }
    fs::remove_file(building.join(CONFIG))?;
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(building.join(name))?;
    file.write_all(config.to_string().as_bytes())?;
    file.sync_all()?;
    Ok(to_provide)
}

/// Waits until whoever looked at the store has let go of it: sled's threads take a moment.
fn let_go(store: &Path) -> Result<(), BackupError> {
    for _ in 0..LOOKS {
        if File::open(store.join("db"))?.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err(StoreError::Locked { path: store.to_owned() }.into())
}

/// Makes everything below a folder durable, names and all.
fn sync_below(dir: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            sync_below(&item.path())?;
        } else {
            File::open(item.path())?.sync_all()?;
        }
    }
    dirs::sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_put_back_goes_on_under_a_number_that_none_had_before() {
        let now: Timestamp = "2027-02-09T09:00:00Z".parse().unwrap();
        let next: u32 = next_shard("1", now).parse().unwrap();
        assert!(next > 1_000_000);
        let later: u32 = next_shard("1", "2027-02-09T09:01:00Z".parse().unwrap()).parse().unwrap();
        assert_eq!(later, next + 1);
        // A clock that is wrong does not make it go back.
        assert_eq!(next_shard("4000000000", now), "4000000001");
    }

    #[test]
    fn a_folder_that_is_not_a_restores_is_never_begun_anew() {
        let root = tempfile::tempdir().unwrap();
        let into = root.path().join("a");
        let beside = root.path().join("a.restoring");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("file"), b"somebody's").unwrap();
        assert!(matches!(begin(&into), Err(BackupError::NotEmpty(_))));
        assert!(beside.join("file").exists());
        fs::write(beside.join(MARK), b"").unwrap();
        let (_, held) = begin(&into).unwrap();
        assert!(!beside.join("file").exists());
        assert!(matches!(begin(&into), Err(BackupError::UnderWay(_))));
        drop(held);
        begin(&into).unwrap();
    }

    #[test]
    fn the_configuration_names_what_is_there_and_says_what_is_not() {
        let root = tempfile::tempdir().unwrap();
        let text = "# words\nagency = \"CSC\"\ndata = \"/var/lib/x\"\nview_keys = \"/v\"\nenquiry_keys = \"/e\"\n\
                    agreement = \"/etc/a.note\"\n[tls]\ncertificate = \"/etc/tls/node.pem\"\n[keys]\nlog = \"/k/l.key\"\n";
        fs::write(root.path().join(CONFIG), text).unwrap();
        let to_provide = write_config(root.path(), "agency-node.toml").unwrap();
        assert_eq!(to_provide, [PathBuf::from("tls/node.pem")]);
        let written = fs::read_to_string(root.path().join("agency-node.toml")).unwrap();
        assert_eq!(
            written,
            "# words\nagency = \"CSC\"\ndata = \"data\"\nagreement = \"agreement.note\"\n[tls]\ncertificate = \
             \"tls/node.pem\"\n[keys]\nlog = \"keys/log.key\"\n"
        );
    }
}
