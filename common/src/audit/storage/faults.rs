//! A disk that fails when a test says so.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::Storage;

/// Makes the disk under a log fail, and heals it. Clones switch the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultSwitch(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    writes: AtomicBool,
    syncs: AtomicBool,
    skipped: AtomicBool,
    /// Operations until all fail, and one more; 0: none will.
    left: AtomicU64,
    n_syncs: AtomicU64,
}

impl FaultSwitch {
    /// From now on every write fails.
    pub fn fail_writes(&self) {
        self.0.writes.store(true, Ordering::SeqCst);
    }

    /// From now on every sync fails; writes still reach the file.
    pub fn fail_syncs(&self) {
        self.0.syncs.store(true, Ordering::SeqCst);
    }

    /// So many more operations work, and none after them.
    pub fn fail_after(&self, n_operations: u64) {
        self.0.left.store(n_operations + 1, Ordering::SeqCst);
    }

    /// Counts an operation, when operations are counted.
    fn count(&self) -> io::Result<()> {
        let one_less = |left: u64| if left > 1 { Some(left - 1) } else { None };
        match self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Err(1) => Err(io::Error::other("an operation was made to fail")),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// From now on syncs are left out and said to have been done: what a log must never do.
    pub fn skip_syncs(&self) {
        self.0.skipped.store(true, Ordering::SeqCst);
    }

    fn skips_syncs(&self) -> bool {
        self.0.skipped.load(Ordering::SeqCst)
    }

    /// How many syncs of a segment were asked for, which is how many writes were made and a few more.
    #[must_use]
    pub fn n_syncs(&self) -> u64 {
        self.0.n_syncs.load(Ordering::SeqCst)
    }

    /// From now on nothing fails. The log finds out by itself, after its back-off.
    pub fn heal(&self) {
        self.0.writes.store(false, Ordering::SeqCst);
        self.0.syncs.store(false, Ordering::SeqCst);
        self.0.skipped.store(false, Ordering::SeqCst);
        self.0.left.store(0, Ordering::SeqCst);
    }

    fn write(&self) -> io::Result<()> {
        self.count()?;
        if self.0.writes.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "a write was made to fail"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.count()?;
        if self.0.syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("a sync was made to fail"));
        }
        Ok(())
    }
}

/// A disk with a switch.
#[derive(Debug)]
pub(crate) struct Faulty<S> {
    pub(crate) disk: S,
    pub(crate) switch: FaultSwitch,
}

impl<S: Storage> Storage for Faulty<S> {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        self.disk.segments()
    }

    fn read(&mut self, first_seq: u64) -> io::Result<Vec<u8>> {
        self.disk.read(first_seq)
    }

    fn create(&mut self, first_seq: u64) -> io::Result<()> {
        self.switch.write()?;
        self.disk.create(first_seq)
    }

    fn resume(&mut self, first_seq: u64, n_bytes: u64) -> io::Result<()> {
        self.switch.write()?;
        self.disk.resume(first_seq, n_bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.switch.write() {
            // As a full disk does: the first half of the bytes is there.
            let (half, _) = bytes.split_at(bytes.len() / 2);
            self.disk.append(half)?;
            return Err(error);
        }
        self.disk.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.switch.0.n_syncs.fetch_add(1, Ordering::SeqCst);
        self.switch.sync()?;
        if self.switch.skips_syncs() { Ok(()) } else { self.disk.sync() }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.switch.sync()?;
        if self.switch.skips_syncs() { Ok(()) } else { self.disk.sync_dir() }
    }

    fn scratch(&mut self) -> io::Result<std::fs::File> {
        self.disk.scratch()
    }
}
