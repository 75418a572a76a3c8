//! Secret key files: one line of text, private to their owner, never overwritten.
//!
//! Form: `<kind> <base64 of 32 bytes>` and a new line; the kind carries a version. Keys lie outside
//! the data folder, so that a copy of the data is of no use without them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{keys::SigningKey, secret::SecretBytes};

/// Longer than any key file, in bytes.
const FILE_MAX_BYTES: u64 = 256;

/// What a key is for. A file of one kind is never read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Signs statements, or a log: the seed of an Ed25519 key.
    Signing,
    /// Opens what is sealed to an agency: an X25519 private key.
    Sealing,
    /// Encrypts a store at rest.
    Store,
    /// Opens backups: an X25519 private key that is kept away from the machine.
    Recovery,
}

impl KeyKind {
    /// The first word of the file.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Signing => "brag-signing-key-v1",
            Self::Sealing => "brag-sealing-key-v1",
            Self::Store => "brag-store-key-v1",
            Self::Recovery => "brag-recovery-key-v1",
        }
    }
}

/// Why a key file can not be read or written. Carries the path, never a part of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A file is there already; it is left as it is.
    #[error("`{}` exists and is not overwritten; move it away first if it is no longer needed", .0.display())]
    Exists(PathBuf),
    /// Group or others can read or change the file.
    #[error("`{}` can be read or changed by other users; run: chmod 600 {}", .0.display(), .0.display())]
    NotPrivate(PathBuf),
    /// The file does not hold one key of this kind.
    #[error("`{}` is not a key file of kind `{kind}`; expected one line `{kind} <base64 of 32 bytes>`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The label of the kind that was expected.
        kind: &'static str,
    },
    /// The file system refused.
    #[error("key file `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// Writes a new key file with mode 0600 and makes it durable, with its folder entry.
///
/// # Errors
/// When a file is there already, or the file system refuses.
pub fn write(path: &Path, kind: KeyKind, key: &SecretBytes<32>) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(key.expose()));
    let line = Zeroizing::new(format!("{} {}\n", kind.label(), *encoded));
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyFileError::Exists(path.to_owned()));
        }
        Err(error) => return Err(io(error)),
    };
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

/// Reads a key file.
///
/// # Errors
/// When other users can read or change it, or it does not hold exactly one key of this kind.
pub fn read(path: &Path, kind: KeyKind) -> Result<SecretBytes<32>, KeyFileError> {
    let malformed = || KeyFileError::Malformed { path: path.to_owned(), kind: kind.label() };
    let mut text = Zeroizing::new(String::with_capacity(512));
    open_private(path)?.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(|source| {
        if source.kind() == io::ErrorKind::InvalidData {
            malformed()
        } else {
            KeyFileError::Io { path: path.to_owned(), source }
        }
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let encoded = line
        .strip_prefix(kind.label())
        .and_then(|rest| rest.strip_prefix(' '))
        .ok_or_else(malformed)?;
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| malformed())?);
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| malformed())?;
    Ok(SecretBytes::new(key))
}

/// Writes a signing key; see [`write`](fn@write).
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_signing_key(path: &Path, key: &SigningKey) -> Result<(), KeyFileError> {
    write(path, KeyKind::Signing, key.seed())
}

/// Reads a signing key; see [`read`].
///
/// # Errors
/// As [`read`].
pub fn read_signing_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    SigningKey::from_seed(read(path, KeyKind::Signing)?).map_err(|_| KeyFileError::Malformed {
        path: path.to_owned(),
        kind: KeyKind::Signing.label(),
    })
}

/// A key file and those beside it that were made to follow it: `statements.key`, then `statements-2.key`,
/// `statements-3.key` and so on. Which of them is in use is written in the agreement, or in what they opened.
///
/// # Errors
/// When the folder can not be read.
pub fn ring(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(stem), Some(folder)) = (path.file_stem().and_then(|s| s.to_str()), path.parent())
    else {
        return Ok(vec![path.to_owned()]);
    };
    let mut later = Vec::new();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in std::fs::read_dir(folder)? {
        let beside = entry?.path();
        let number = beside
            .file_stem()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix(stem)?.strip_prefix('-')?.parse::<u32>().ok())
            .filter(|number| *number >= 2 && beside.extension() == path.extension());
        later.extend(number.map(|number| (number, beside)));
    }
    later.sort();
    let later = later.into_iter().map(|(_, beside)| beside);
    // The first may have been taken away once it was no longer needed.
    let first = path.exists().then(|| path.to_owned());
    Ok(first.into_iter().chain(later).collect())
}

/// The path of the key that would follow the last of a [`ring()`].
///
/// # Errors
/// When the folder can not be read.
pub fn next_in_ring(path: &Path) -> io::Result<PathBuf> {
    let ring = ring(path)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let number = |path: &PathBuf| {
        let name = path.file_stem()?.to_str()?;
        name.strip_prefix(stem)?.strip_prefix('-')?.parse::<u32>().ok()
    };
    let last = ring.iter().filter_map(number).max().unwrap_or(1);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("key");
    Ok(path.with_file_name(format!("{stem}-{}.{extension}", last.saturating_add(1))))
}

/// Reads every signing key of a [`ring()`].
///
/// # Errors
/// As [`read`]; also when there is none.
pub fn read_signing_ring(path: &Path) -> Result<Vec<SigningKey>, KeyFileError> {
    paths_of(path)?.iter().map(|path| read_signing_key(path)).collect()
}

/// Reads every key of a [`ring()`].
///
/// # Errors
/// As [`read`]; also when there is none.
pub fn read_ring(path: &Path, kind: KeyKind) -> Result<Vec<SecretBytes<32>>, KeyFileError> {
    paths_of(path)?.iter().map(|path| read(path, kind)).collect()
}

fn paths_of(path: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let ring = ring(path).map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    // Reading it says why it is not there.
    Ok(if ring.is_empty() { vec![path.to_owned()] } else { ring })
}

/// Opens a file that only its owner may read or change.
///
/// # Errors
/// When it is not a plain file, or anybody else has any right to it.
pub(crate) fn open_private(path: &Path) -> Result<File, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // Of the open file, not of the path: it can not be exchanged in between.
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(io(io::Error::other("not a plain file")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFileError::NotPrivate(path.to_owned()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn refuses_a_file_that_others_can_read() {
        let folder = folder();
        let path = folder.path().join("store.key");
        write(&path, KeyKind::Store, &SecretBytes::new([7; 32])).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path, KeyKind::Store).unwrap_err();
            assert!(matches!(error, KeyFileError::NotPrivate(_)), "{mode:o}");
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())));
        }
    }

    #[test]
    fn never_overwrites() {
        let folder = folder();
        let path = folder.path().join("sealing.key");
        write(&path, KeyKind::Sealing, &SecretBytes::new([1; 32])).unwrap();
        let again = write(&path, KeyKind::Sealing, &SecretBytes::new([2; 32]));
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
        assert_eq!(read(&path, KeyKind::Sealing).unwrap().expose(), &[1; 32]);
    }

    #[test]
    fn refuses_another_kind_and_anything_but_one_key() {
        let folder = folder();
        let path = folder.path().join("a.key");
        write(&path, KeyKind::Store, &SecretBytes::new([7; 32])).unwrap();
        assert!(matches!(read(&path, KeyKind::Sealing), Err(KeyFileError::Malformed { .. })));
        let good = fs::read_to_string(&path).unwrap();
        for text in [
            String::new(),
            good.replace("v1", "v2"),
            good.replace(' ', "  "),
            format!("{good}\n"),
            format!("{good}{good}"),
            "brag-store-key-v1 AAAA\n".to_owned(),
            "x".repeat(1000),
        ] {
            fs::write(&path, &text).unwrap();
            assert!(matches!(read(&path, KeyKind::Store), Err(KeyFileError::Malformed { .. })));
        }
        fs::write(&path, [0xff; 20]).unwrap();
        assert!(matches!(read(&path, KeyKind::Store), Err(KeyFileError::Malformed { .. })));
        assert!(matches!(read(folder.path(), KeyKind::Store), Err(KeyFileError::Io { .. })));
    }

    #[test]
    fn keys_that_follow_a_key_are_read_in_their_order_and_others_are_not() {
        let folder = folder();
        let first = folder.path().join("store.key");
        assert!(read_ring(&first, KeyKind::Store).is_err());
        for (n, name) in ["store.key", "store-10.key", "store-2.key"].iter().enumerate() {
            let key = SecretBytes::new([u8::try_from(n).unwrap(); 32]);
            write(&folder.path().join(name), KeyKind::Store, &key).unwrap();
        }
        for other in ["store-1.key", "store-x.key", "store-2.key.old", "restore-2.key"] {
            fs::write(folder.path().join(other), "not a key").unwrap();
        }
        let ring = read_ring(&first, KeyKind::Store).unwrap();
        let firsts: Vec<u8> = ring.iter().map(|key| key.expose()[0]).collect();
        assert_eq!(firsts, [0, 2, 1]);
        assert_eq!(next_in_ring(&first).unwrap(), folder.path().join("store-11.key"));
        fs::remove_file(&first).unwrap();
        assert_eq!(read_ring(&first, KeyKind::Store).unwrap().len(), 2);
    }

    #[test]
    fn a_signing_key_round_trips_in_a_private_file() {
        let folder = folder();
        let path = folder.path().join("signing.key");
        let key = SigningKey::from_seed(SecretBytes::new([3; 32])).unwrap();
        write_signing_key(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_signing_key(&path).unwrap().verifying_key(), key.verifying_key());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "brag-signing-key-v1 AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n"
        );
    }
}
