//! The library that programs are started with, and the page by which it is told what to do: `tests/faults/preload.c`.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

/// The library's source.
const SOURCE: &str = include_str!("../../faults/preload.c");

/// Numbers of eight bytes on the page.
const N_WORDS: u64 = 8;

/// A number on the page. The order is that of `struct control` in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Not nought: every sync of a file fails.
    FailSyncs,
    /// Is added to the wall clock, in nanoseconds.
    SkewNs,
    /// `n`: the `n`-th write to a file from now on is cut in half, and the program ends with it.
    DieInWrite,
    /// Syncs of the audit log.
    LogSyncs,
    /// Syncs of the store.
    StoreSyncs,
    /// Syncs that were made to fail.
    FailedSyncs,
    /// Readings of the wall clock that were skewed.
    SkewedReads,
    /// Writes that were cut in half.
    CutWrites,
}

/// Builds the library in `folder`, with the C compiler of this machine.
///
/// # Errors
/// When there is none, or it does not compile.
pub fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (folder.join("preload.c"), folder.join("preload.so"));
    fs::write(&source, SOURCE)?;
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .context("`cc` can not be started (Debian: apt-get install build-essential)")?;
    let said = String::from_utf8_lossy(&built.stderr);
    anyhow::ensure!(built.status.success(), "the library does not compile:\n{said}");
    Ok(library)
}

/// The page of one program. It outlives the program's processes, and so do its counts.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    page: File,
}

impl Control {
    /// A page on which everything is nought.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn new(path: PathBuf) -> anyhow::Result<Self> {
        let page = File::options().read(true).write(true).create_new(true).open(&path)?;
        page.set_len(N_WORDS * 8)?;
        Ok(Self { path, page })
    }

    /// The file, for the program's environment.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a number, which the running program sees at once.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn set(&self, word: Word, value: i64) -> anyhow::Result<()> {
        Ok(self.page.write_all_at(&value.to_ne_bytes(), word as u64 * 8)?)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn read(&self, word: Word) -> anyhow::Result<i64> {
        let mut bytes = [0; 8];
        self.page.read_exact_at(&mut bytes, word as u64 * 8)?;
        Ok(i64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Output;

    use super::*;

    fn run(library: &Path, control: &Control, command: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env("LD_PRELOAD", library);
        shell.env("BRAG_FAULTS_CONTROL", control.path()).output().unwrap()
    }

    #[test]
    fn a_program_with_the_library_has_the_clock_the_disk_and_the_end_that_the_page_says() {
        let folder = tempfile::tempdir().unwrap();
        let library = build(folder.path()).unwrap();
        let control = Control::new(folder.path().join("page")).unwrap();
        let file = folder.path().join("log");
        let write =
            format!("printf 0123456789 | dd of={} bs=10 conv=fsync status=none", file.display());

        assert!(run(&library, &control, &write).status.success());
        assert_eq!(control.read(Word::FailedSyncs).unwrap(), 0);
        control.set(Word::FailSyncs, 1).unwrap();
        assert!(!run(&library, &control, &write).status.success());
        assert_eq!(control.read(Word::FailedSyncs).unwrap(), 1);
        control.set(Word::FailSyncs, 0).unwrap();

        let clock = |control: &Control| {
            let said = run(&library, control, "date -u +%s").stdout;
            String::from_utf8(said).unwrap().trim().parse::<i64>().unwrap()
        };
        let before = clock(&control);
        control.set(Word::SkewNs, -3_600_000_000_000).unwrap();
        let behind = before - clock(&control);
        assert!((3_590..=3_600).contains(&behind), "{behind}");
        control.set(Word::SkewNs, 0).unwrap();

        fs::remove_file(&file).unwrap();
        control.set(Word::DieInWrite, 1).unwrap();
        // What goes to standard output is left alone, so that it has to be a file that the program opens itself.
        let copy = format!("printf 0123456789 | cp /dev/stdin {}", file.display());
        assert!(!run(&library, &control, &copy).status.success());
        assert_eq!(control.read(Word::CutWrites).unwrap(), 1);
        assert_eq!(fs::metadata(&file).unwrap().len(), 5, "half of it was written");
    }
}
