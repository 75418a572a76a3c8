//! Keys that can be destroyed: one small file for each, in a folder of its own.
//!
//! They are not in [`Durable`](super::Durable) because what is removed there stays in its file until the place is
//! reused, and because whoever copies a store copies everything in it. A key here is overwritten, removed, and the
//! folder synced before [`KeyFolder::destroy`] returns; nothing else that the program writes has its bytes.
//!
//! What this proves: after `destroy` the files of the folder and of the store do not hold the key, and a copy of the
//! store alone never did. What it does not: a copy of *this folder*, a snapshot of the disk below it, or a file system
//! or drive that writes elsewhere when it overwrites may still hold it. So the folder of view keys is left out of backups, that
//! of enquiry keys has a short-lived one of its own (docs/agency-it.md), and both lie on an encrypted disk of the machine's own.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    marker::PhantomData,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use zeroize::Zeroizing;

use super::{StoreError, dirs};
use crate::{id::ReleaseRef, secret::SecretBytes};

/// Bytes of one key.
const KEY_BYTES: usize = 32;

/// The file of the key that marks a folder as one store's; no reference has a `.`.
const MARK: &str = "store.mark";

/// The file by which an operator says that the keys are lost.
const LOST: &str = "keys-are.lost";

/// A folder of keys, each named by the reference of what it belongs to: a release, or an enquiry.
#[derive(Debug, Clone)]
pub struct KeyFolder<N = ReleaseRef> {
    folder: PathBuf,
    named_by: PhantomData<fn() -> N>,
}

impl<N: Display + FromStr> KeyFolder<N> {
    /// Opens the folder, and makes it, for its owner only, when there is none.
    ///
    /// # Errors
    /// When it can not be made, is no folder, or others may read it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        if !folder.exists() {
            dirs::create_dirs(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let metadata = fs::metadata(folder)?;
        if !metadata.is_dir() || metadata.mode() & 0o077 != 0 {
            let text = "a folder of keys is not its owner's alone; chmod 700 it";
            return Err(StoreError::Io(io::Error::new(io::ErrorKind::PermissionDenied, text)));
        }
        Ok(Self { folder: folder.to_owned(), named_by: PhantomData })
    }

    /// A reference is letters, digits, `-` and `_`: it names a file in the folder and nothing else.
    fn path(&self, name: &N) -> PathBuf {
        self.folder.join(name.to_string())
    }

    /// Keeps a key, durably. One of the same name, left by a run that was cut off, is destroyed first.
    ///
    /// # Errors
    /// When the disk fails; then there may be a file that is not a whole key, which reads as none.
    pub fn put(&self, name: &N, key: &SecretBytes<KEY_BYTES>) -> Result<(), StoreError> {
        self.put_at(&self.path(name), key)
    }

    fn put_at(&self, path: &Path, key: &SecretBytes<KEY_BYTES>) -> Result<(), StoreError> {
        self.destroy_at(path)?;
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(key.expose())?;
        file.sync_all()?;
        Ok(dirs::sync_dir(&self.folder)?)
    }

    /// The key; `None` when there is none, or it was destroyed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn key(&self, name: &N) -> Result<Option<SecretBytes<KEY_BYTES>>, StoreError> {
        Self::key_at(&self.path(name))
    }

    fn key_at(path: &Path) -> Result<Option<SecretBytes<KEY_BYTES>>, StoreError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match file.read_exact(bytes.as_mut_slice()) {
            // A run was cut off while it wrote or overwrote.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let is_key = *bytes != [0; KEY_BYTES];
        Ok(is_key.then(|| SecretBytes::new(*bytes)))
    }

    /// Destroys a key: overwrites it, removes it, and makes both durable. None there is no error.
    ///
    /// # Errors
    /// When the disk fails; then the key may still be there.
    pub fn destroy(&self, name: &N) -> Result<(), StoreError> {
        self.destroy_at(&self.path(name))
    }

    fn destroy_at(&self, path: &Path) -> Result<(), StoreError> {
        let mut file = match File::options().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        file.write_all(&[0; KEY_BYTES])?;
        file.sync_all()?;
        drop(file);
        fs::remove_file(path)?;
        Ok(dirs::sync_dir(&self.folder)?)
    }

    /// The key that says to which store the folder belongs; `None` in a folder that belongs to none yet.
    pub(super) fn mark(&self) -> Result<Option<SecretBytes<KEY_BYTES>>, StoreError> {
        Self::key_at(&self.folder.join(MARK))
    }

    /// From now on the folder belongs to the store that knows this key.
    pub(super) fn set_mark(&self, key: &SecretBytes<KEY_BYTES>) -> Result<(), StoreError> {
        self.put_at(&self.folder.join(MARK), key)
    }

    /// Whether the operator says, by a file of this name, that the keys of a store are lost for good; asked once.
    pub(super) fn keys_are_lost(&self) -> Result<bool, StoreError> {
        match fs::remove_file(self.folder.join(LOST)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of all keys.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn names(&self) -> Result<Vec<N>, StoreError> {
        let mut names = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let name = item?.file_name();
            // Nothing else is written here; what somebody else has put there is left alone.
            names.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, KeyFolder) {
        let root = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(&root.path().join("view-keys")).unwrap();
        (root, keys)
    }

    fn name(byte: u8) -> ReleaseRef {
        ReleaseRef::from_random([byte; 16])
    }

    #[test]
    fn refuses_a_folder_that_others_can_read() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(<KeyFolder>::open(&open).is_err());
        fs::write(root.path().join("file"), b"").unwrap();
        assert!(<KeyFolder>::open(&root.path().join("file")).is_err());
    }

    #[test]
    fn a_destroyed_key_is_gone_from_the_folder_and_destroying_it_again_is_no_error() {
        let (root, keys) = folder();
        keys.put(&name(1), &SecretBytes::new([7; 32])).unwrap();
        keys.put(&name(2), &SecretBytes::new([8; 32])).unwrap();
        assert_eq!(keys.key(&name(1)).unwrap().unwrap().expose(), &[7; 32]);
        keys.destroy(&name(1)).unwrap();
        keys.destroy(&name(1)).unwrap();
        assert!(keys.key(&name(1)).unwrap().is_none());
        assert_eq!(keys.names().unwrap(), [name(2)]);
        assert_eq!(fs::read_dir(root.path().join("view-keys")).unwrap().count(), 1);
    }

    #[test]
    fn destroying_overwrites_the_very_file() {
        let (root, keys) = folder();
        keys.put(&name(1), &SecretBytes::new([7; 32])).unwrap();
        // A second name for the file shows what became of its bytes.
        let seen = root.path().join("seen");
        fs::hard_link(root.path().join("view-keys").join(name(1).as_str()), &seen).unwrap();
        keys.destroy(&name(1)).unwrap();
        assert_eq!(fs::read(seen).unwrap(), [0; 32]);
    }

    #[test]
    fn a_key_that_was_cut_off_is_none_and_is_replaced() {
        let (root, keys) = folder();
        let path = root.path().join("view-keys").join(name(1).as_str());
        for torn in [&[7_u8; 20][..], &[], &[0; 32]] {
            fs::write(&path, torn).unwrap();
            assert!(keys.key(&name(1)).unwrap().is_none());
        }
        keys.put(&name(1), &SecretBytes::new([9; 32])).unwrap();
        assert_eq!(keys.key(&name(1)).unwrap().unwrap().expose(), &[9; 32]);
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }
}
