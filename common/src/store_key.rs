//! The key that encrypts a store, and the key file that wraps it.
//!
//! What encrypts the store (the data key) lies in the data folder, wrapped: sealed under the key in the key file. So the key
//! file can be exchanged in a moment, while the program runs, without writing the store anew. Whoever has a former key file
//! *and* a copy of the data folder from its time can still open that copy: destroy both.
//!
//! A store that is older than this has no wrapped key: its key file is itself the data key. The first exchange wraps it, and
//! what then opens it is still the data key that the former file holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    durable::dirs,
    keyfile::{self, KeyFileError, KeyKind},
    secret::SecretBytes,
    symmetric::{NotSealed, SymmetricKey},
};

/// The wrapped data key, in the data folder: one line.
const FILE: &str = "store.wrapped";

/// The first word of the line.
const LABEL: &str = "brag-wrapped-store-key-v1";

/// What a wrapping key is derived for, so that a key file's own bytes encrypt nothing.
const WRAP: &[u8] = b"brag-exchange/v1/wrap-store-key\0";

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
pub enum StoreKeyError {
    /// A key file can not be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// No key file opens the wrapped key.
    #[error(
        "no key file beside `{}` opens `{}`; put back the key that was in use when the data was written",
        key.display(), wrapped.display()
    )]
    NoneOpens {
        /// The key file of the configuration.
        key: PathBuf,
        /// The wrapped key.
        wrapped: PathBuf,
    },
    /// The file system refused.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The machine gives no randomness, or a key is refused.
    #[error("the store's key can not be made")]
    NotMade,
}

/// A key file that was exchanged.
#[derive(Debug)]
pub struct Rotated {
    /// The new key file.
    pub path: PathBuf,
    /// The former files; none of them is needed for the data as it is now.
    pub former: Vec<PathBuf>,
    /// Whether the first of the former files holds the data key itself.
    pub former_is_data_key: bool,
}

/// The data key of the store in `data`; for a new store a new one, wrapped.
///
/// # Errors
/// When no key file opens it, or it can not be kept.
pub fn open(data: &Path, key_file: &Path) -> Result<SecretBytes<32>, StoreKeyError> {
    let ring = keyfile::read_ring(key_file, KeyKind::Store)?;
    let wrapped = data.join(FILE);
    match fs::read_to_string(&wrapped) {
        // The newest first: it is the one in use.
        Ok(line) => ring
            .iter()
            .rev()
            .find_map(|key| unwrap_key(key, &line))
            .ok_or_else(|| StoreKeyError::NoneOpens { key: key_file.to_owned(), wrapped }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if data.join("store").exists() {
                let oldest = ring.into_iter().next();
                return oldest.ok_or(StoreKeyError::NotMade);
            }
            let fresh = SecretBytes::random().map_err(|_| StoreKeyError::NotMade)?;
            let newest = ring.last().ok_or(StoreKeyError::NotMade)?;
            keep(data, &wrap_key(newest, &fresh)?)?;
            Ok(fresh)
        }
        Err(source) => Err(StoreKeyError::Io { path: wrapped, source }),
    }
}

/// Makes a new key file beside the present one, and wraps the data key with it. A program that runs goes on; the next start
/// reads the new file.
///
/// # Errors
/// When the data key does not open, or something can not be written; then the former file still opens it.
pub fn rotate(data: &Path, key_file: &Path) -> Result<Rotated, StoreKeyError> {
    let io = |path: &Path, source| StoreKeyError::Io { path: path.to_owned(), source };
    let data_key = open(data, key_file)?;
    let former_is_data_key = !data.join(FILE).exists();
    let former = keyfile::ring(key_file).map_err(|source| io(key_file, source))?;
    let path = keyfile::next_in_ring(key_file).map_err(|source| io(key_file, source))?;
    let key = SecretBytes::random().map_err(|_| StoreKeyError::NotMade)?;
    // The new file is durable before anything needs it.
    keyfile::write(&path, KeyKind::Store, &key)?;
    keep(data, &wrap_key(&key, &data_key)?)?;
    Ok(Rotated { path, former, former_is_data_key })
}

impl From<NotSealed> for StoreKeyError {
    fn from(_: NotSealed) -> Self {
        Self::NotMade
    }
}

fn wrap_key(key: &SecretBytes<32>, data_key: &SecretBytes<32>) -> Result<String, StoreKeyError> {
    let wrapping = SymmetricKey::derive(key, WRAP)?;
    let sealed = wrapping.seal(LABEL.as_bytes(), data_key.expose())?;
    Ok(format!("{LABEL} {}\n", BASE64_STANDARD.encode(sealed)))
}

fn unwrap_key(key: &SecretBytes<32>, line: &str) -> Option<SecretBytes<32>> {
    let encoded = line.strip_suffix('\n')?.strip_prefix(LABEL)?.strip_prefix(' ')?;
    let sealed = BASE64_STANDARD.decode(encoded).ok()?;
    let opened = SymmetricKey::derive(key, WRAP).ok()?.open(LABEL.as_bytes(), &sealed)?;
    let data_key = Zeroizing::new(<[u8; 32]>::try_from(opened.as_slice()).ok()?);
    Some(SecretBytes::new(*data_key))
}

/// Replaces the wrapped key, whole or not at all.
fn keep(data: &Path, line: &str) -> Result<(), StoreKeyError> {
    let path = data.join(FILE);
    let kept = dirs::create_dirs(data).and_then(|()| dirs::replace(&path, line.as_bytes(), 0o600));
    kept.map_err(|source| StoreKeyError::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data folder, and a key file outside of it.
    fn folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (data, keys) = (folder.path().join("data"), folder.path().join("keys"));
        fs::create_dir(&keys).unwrap();
        let key = keys.join("store.key");
        keyfile::write(&key, KeyKind::Store, &SecretBytes::new([7; 32])).unwrap();
        (folder, data, key)
    }

    #[test]
    fn refuses_a_key_that_does_not_open_it_and_any_changed_byte() {
        let (_folder, data, key) = folder();
        let own = open(&data, &key).unwrap();
        assert_ne!(own.expose(), &[7; 32], "the key file is not the data key");
        assert_eq!(open(&data, &key).unwrap().expose(), own.expose());
        let line = fs::read_to_string(data.join(FILE)).unwrap();
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] ^= 1;
            fs::write(data.join(FILE), changed).unwrap();
            assert!(open(&data, &key).is_err(), "byte {at}");
        }
        fs::write(data.join(FILE), &line).unwrap();
        fs::remove_file(&key).unwrap();
        keyfile::write(&key, KeyKind::Store, &SecretBytes::new([8; 32])).unwrap();
        assert!(matches!(open(&data, &key), Err(StoreKeyError::NoneOpens { .. })));
    }

    #[test]
    fn a_new_key_file_opens_the_same_data_key_and_the_former_one_no_more() {
        let (_folder, data, key) = folder();
        let own = open(&data, &key).unwrap();
        let rotated = rotate(&data, &key).unwrap();
        assert_eq!(rotated.path, key.with_file_name("store-2.key"));
        assert!(!rotated.former_is_data_key);
        assert_eq!(open(&data, &key).unwrap().expose(), own.expose());
        fs::rename(&rotated.path, key.with_file_name("away")).unwrap();
        assert!(open(&data, &key).is_err(), "the former key alone opens nothing");
        fs::rename(key.with_file_name("away"), &rotated.path).unwrap();
        fs::remove_file(&key).unwrap();
        assert_eq!(open(&data, &key).unwrap().expose(), own.expose());
        assert_eq!(rotate(&data, &key).unwrap().path, key.with_file_name("store-3.key"));
    }

    #[test]
    fn a_store_that_is_older_opens_with_its_key_file_and_says_so_when_it_is_exchanged() {
        let (_folder, data, key) = folder();
        fs::create_dir_all(data.join("store")).unwrap();
        assert_eq!(open(&data, &key).unwrap().expose(), &[7; 32]);
        let rotated = rotate(&data, &key).unwrap();
        assert!(rotated.former_is_data_key);
        assert_eq!(open(&data, &key).unwrap().expose(), &[7; 32]);
    }

    /// A line as data folders have it since the first version: the data key `[9; 32]` under the key file `[7; 32]`.
    const WRITTEN_BEFORE: &str = "brag-wrapped-store-key-v1 uUxP6oLHWmfFaXUShPemkFG0o48E1EGOYblej3CDwrpZFGhHLWxJRiKs709tdCEMrXJ039DC/VGTuFyl\n";

    #[test]
    fn a_key_that_an_earlier_version_wrapped_opens_under_its_key_file_alone() {
        let (_folder, data, key) = folder();
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join(FILE), WRITTEN_BEFORE).unwrap();
        assert!(unwrap_key(&SecretBytes::new([8; 32]), WRITTEN_BEFORE).is_none());
        assert_eq!(open(&data, &key).unwrap().expose(), &[9; 32]);
    }
}
