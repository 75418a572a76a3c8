//! Directories that survive a power cut.
//!
//! A new file or directory is found after a power cut only when the directory that names it has been
//! synced (fsync(2): "also … on the directory"). So every directory made here is synced, and the one
//! that holds it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Makes `dir` and what is missing above it, each synced into its parent.
pub(crate) fn create_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    create_dirs(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_dir(dir)?;
    sync_dir(parent)
}

/// Makes what `dir` names durable; the contents of the files themselves need their own sync.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces the file at `path`, or makes it, with all of `bytes` or not at all; durable when it returns `Ok`. It is written beside,
/// with the extension `new`, and has `mode` (less the process's mask).
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    // Order matters: the new file is whole before it takes the old one's name.
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_dir(parent_of(path))
}

/// The directory that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_every_missing_directory_and_is_content_when_all_are_there() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        create_dirs(&deep).unwrap();
        create_dirs(&deep).unwrap();
        assert!(deep.is_dir());
    }

    #[test]
    fn a_file_that_is_replaced_has_the_new_bytes_and_leaves_nothing_beside_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        for text in ["long before", "now"] {
            replace(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(replace(&root.path().join("none/a"), b"", 0o600).is_err());
    }

    #[test]
    fn refuses_a_file_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), b"").unwrap();
        assert!(create_dirs(&root.path().join("a/b")).is_err());
    }
}
