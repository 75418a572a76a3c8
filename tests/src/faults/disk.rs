//! The disk under a program's data: a small file system of its own in memory, which can be filled.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

/// How large it is: far more than a run needs, and quickly filled.
const SIZE: &str = "256m";

/// The file that fills it.
const FILLING: &str = "filling";

/// Set by [`own_mounts`] for the program that it starts.
const OWN_MOUNTS: &str = "BRAG_FAULTS_OWN_MOUNTS";

/// Whether this process may mount, and whatever it mounts ends with it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a word from this program to itself, across its new start"
)]
pub fn can_mount() -> bool {
    std::env::var_os(OWN_MOUNTS).is_some()
}

/// Starts this program anew in a mount namespace of its own, when this is root and that is possible: returns only when it is not.
/// What is mounted there ends with the last process in it, whatever ends this one.
pub fn own_mounts() {
    use std::os::unix::process::CommandExt as _;
    let in_one = ["--mount", "--propagation", "private", "--"];
    let possible = rustix::process::geteuid().is_root()
        && !can_mount()
        && Command::new("unshare")
            .args(in_one)
            .args(["sh", "-c", "d=$(mktemp -d) && mount -t tmpfs none $d && umount $d && rmdir $d"])
            .output()
            .is_ok_and(|tried| tried.status.success());
    if let (true, Ok(this)) = (possible, std::env::current_exe()) {
        // Returns only when it fails; then nothing is mounted.
        let _ = Command::new("unshare")
            .args(in_one)
            .arg(this)
            .args(std::env::args_os().skip(1))
            .env(OWN_MOUNTS, "1")
            .exec();
    }
}

/// The disk.
#[derive(Debug)]
pub struct Disk {
    data: PathBuf,
    is_own: bool,
}

impl Disk {
    /// A file system of its own in the new folder `data`, where this process may mount; else a folder.
    ///
    /// # Errors
    /// When it can not be made.
    pub fn new(data: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&data)?;
        let is_own = can_mount();
        if is_own {
            let size = format!("size={SIZE},mode=0700");
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "brag-faults"])
                .arg(&data)
                .status()
                .context("`mount` can not be started")?;
            anyhow::ensure!(mounted.success(), "`{}` can not be mounted", data.display());
        }
        Ok(Self { data, is_own })
    }

    /// Whether it can be filled.
    #[must_use]
    pub const fn can_be_filled(&self) -> bool {
        self.is_own
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// Fills it but for `left` bytes. Blocks.
    ///
    /// # Errors
    /// When it is no file system of its own, or the file can not be written for another reason than that it is full.
    pub fn fill(&self, left: u64) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_own, "it is not a file system of its own");
        let mut file = File::create(self.data.join(FILLING))?;
        let piece = vec![0; 1 << 20];
        let mut n_bytes = 0;
        loop {
            match file.write(&piece) {
                Ok(n) => n_bytes += n as u64,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(file.set_len(n_bytes.saturating_sub(left))?)
    }

    /// Makes room again.
    pub fn free(&self) {
        // Where it was not filled there is nothing to remove.
        let _ = fs::remove_file(self.data.join(FILLING));
    }
}

/// Copies what lies on file systems of their own beside them, where it stays: `data.kept` beside `data`. Gives the folder.
///
/// # Errors
/// When something can not be copied.
pub fn keep(folder: &Path) -> anyhow::Result<PathBuf> {
    if can_mount() {
        for data in data_folders(folder)? {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(&data)
                .arg(data.with_extension("kept"))
                .status()?;
            anyhow::ensure!(copied.success(), "`{}` can not be copied", data.display());
        }
    }
    Ok(folder.to_owned())
}

/// Removes everything below a folder, and the folder.
///
/// # Errors
/// When something can not be removed.
pub fn remove(folder: &Path) -> anyhow::Result<()> {
    if can_mount() {
        for data in data_folders(folder)? {
            let _ = Command::new("umount").arg(&data).status()?;
        }
    }
    Ok(fs::remove_dir_all(folder)?)
}

fn data_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let partnership = folder.join("partnership");
    let mut folders = vec![partnership.join("hub/data")];
    if let Ok(nodes) = fs::read_dir(partnership.join("nodes")) {
        for node in nodes {
            folders.push(node?.path().join("data"));
        }
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}
