//! Directories that survive a power cut.
//!
//! A new file or directory is found after a power cut only when the directory that names it has been
//! synced (fsync(2): "also … on the directory"). So every directory made here is synced, and the one
//! that holds it.

use std::{
    fs::{self, File},
    io,
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
    fn refuses_a_file_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), b"").unwrap();
        assert!(create_dirs(&root.path().join("a/b")).is_err());
    }
}
