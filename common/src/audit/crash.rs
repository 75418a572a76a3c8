//! Power cuts without a power switch: a disk in memory that loses what was not synced.
//!
//! Goal: at whatever operation the power goes, no acknowledged entry is missing afterwards and the log
//! opens again. Method: a writer on a model disk, stopped at the n-th operation; then the disk keeps
//! what was synced and a random part of the rest; then the log is read back. That the check can fail
//! is shown by four mistakes, each of which it must find: files that are not synced, names that are not synced, an answer that
//! leaves before the sync, and an error of sync that is passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRunner},
};

use super::{
    entry::Entry,
    fixtures::{body, identity},
    frame::{Frames, Step, split},
    storage::Storage,
    writer::Writer,
};

/// What is done wrong: by the disk, or by a program that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Honest,
    NoSync,
    NoDirSync,
    /// The caller is told before the entries are synced.
    AnswerFirst,
    /// A sync that failed counts as one that did not.
    IgnoreSyncError,
}

/// One file: what is on the platter and what the kernel shows.
#[derive(Debug, Clone, Default)]
struct Contents {
    synced: Vec<u8>,
    shown: Vec<u8>,
    /// From here to there the kernel failed to write, and forgot that it has to: later syncs leave
    /// zeros. Cutting the file before it makes it good.
    forgotten: std::ops::Range<usize>,
}

impl Contents {
    fn sync(&mut self) {
        self.synced.clone_from(&self.shown);
        if let Some(lost) = self.synced.get_mut(self.forgotten.clone()) {
            lost.fill(0);
        }
    }

    fn fail_to_sync(&mut self) {
        self.forgotten = self.synced.len()..self.shown.len();
    }

    fn truncate(&mut self, n_bytes: usize) {
        self.shown.truncate(n_bytes);
        if n_bytes <= self.forgotten.start {
            self.forgotten = 0..0;
        }
    }
}

/// Files by number, and the two views of the directory that names them.
#[derive(Debug, Default)]
struct Platter {
    files: Vec<Contents>,
    synced_names: BTreeMap<u64, usize>,
    shown_names: BTreeMap<u64, usize>,
    /// Operations until the power goes.
    operations_left: usize,
    /// How much of the write at which the power goes still happens, out of 256.
    torn: u8,
    fails_syncs: bool,
    /// Syncs until one fails, counted down; `None`: none will.
    syncs_left: Option<usize>,
}

impl Platter {
    fn next_sync_fails(&mut self) -> bool {
        let fails = self.syncs_left == Some(0);
        self.syncs_left = self.syncs_left.and_then(|left| left.checked_sub(1));
        self.fails_syncs || fails
    }

    /// What is found after the power comes back: synced bytes, and of the others as many as `keep`
    /// says, the last of them garbage.
    fn cut_power(&mut self, keep: u8, garbage: bool) {
        for file in &mut self.files {
            let common = file.synced.len().min(file.shown.len());
            let unsynced = file.shown.get(common..).unwrap_or_default();
            let n_kept = unsynced.len() * usize::from(keep) / 256;
            let mut found = file.synced.clone();
            if file.shown.len() >= file.synced.len() {
                found.extend_from_slice(&unsynced[..n_kept]);
                if garbage && n_kept > 0 {
                    let last = found.len() - 1;
                    found[last] ^= 0xff;
                }
            }
            *file = Contents { synced: found.clone(), shown: found, forgotten: 0..0 };
        }
        // A new name that was not synced is found or not.
        if keep >= 128 {
            self.synced_names = self.shown_names.clone();
        }
        self.shown_names = self.synced_names.clone();
    }
}

#[derive(Debug, Clone)]
struct Model {
    platter: Arc<Mutex<Platter>>,
    disk: Disk,
    selected: Option<usize>,
}

impl Model {
    /// Counts one operation; the one at which the power goes, and all later ones, fail.
    fn operation(&self) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        match platter.operations_left.checked_sub(1) {
            Some(left) => platter.operations_left = left,
            None => return Err(io::Error::other("no power")),
        }
        Ok(())
    }

    fn with_file<T>(&self, act: impl FnOnce(&mut Contents, u8) -> T) -> io::Result<T> {
        let mut platter = self.platter.lock().unwrap();
        let torn = platter.torn;
        let file = self.selected.and_then(|at| platter.files.get_mut(at));
        Ok(act(file.ok_or_else(|| io::Error::other("nothing selected"))?, torn))
    }
}

impl Storage for Model {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        Ok(self.platter.lock().unwrap().shown_names.keys().copied().collect())
    }

    fn read(&mut self, first_seq: u64) -> io::Result<Vec<u8>> {
        let platter = self.platter.lock().unwrap();
        Ok(platter.files[platter.shown_names[&first_seq]].shown.clone())
    }

    fn create(&mut self, first_seq: u64) -> io::Result<()> {
        self.operation()?;
        let mut platter = self.platter.lock().unwrap();
        let at = platter.files.len();
        platter.files.push(Contents::default());
        platter.shown_names.insert(first_seq, at);
        self.selected = Some(at);
        Ok(())
    }

    fn resume(&mut self, first_seq: u64, n_bytes: u64) -> io::Result<()> {
        self.operation()?;
        self.selected = Some(self.platter.lock().unwrap().shown_names[&first_seq]);
        let n_bytes = usize::try_from(n_bytes).unwrap();
        self.with_file(|file, _| file.truncate(n_bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let powered = self.operation();
        self.with_file(|file, torn| match powered {
            Ok(()) => file.shown.extend_from_slice(bytes),
            Err(_) => {
                let n_written = bytes.len() * usize::from(torn) / 256;
                file.shown.extend_from_slice(&bytes[..n_written]);
            }
        })?;
        powered
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operation()?;
        if self.platter.lock().unwrap().next_sync_fails() {
            self.with_file(|file, _| file.fail_to_sync())?;
            return match self.disk {
                Disk::IgnoreSyncError => Ok(()),
                _ => Err(io::Error::other("the disk failed once")),
            };
        }
        if self.disk != Disk::NoSync {
            self.with_file(|file, _| file.sync())?;
        }
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.operation()?;
        if self.disk != Disk::NoDirSync {
            let mut platter = self.platter.lock().unwrap();
            platter.synced_names = platter.shown_names.clone();
        }
        Ok(())
    }

    fn scratch(&mut self) -> io::Result<std::fs::File> {
        tempfile::tempfile()
    }
}

/// One life of a program: how many entries go in each write, and how it ends.
#[derive(Debug, Clone)]
struct Life {
    batches: Vec<u8>,
    power_goes_after: usize,
    /// How many syncs work before one fails; `None`: all do.
    syncs_before_error: Option<usize>,
    torn: u8,
    keep: u8,
    garbage: bool,
}

/// What a check finds wrong.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    AcknowledgedEntryMissing,
    DoesNotOpen,
}

/// Lives one after the other on one disk; after each, everything ever acknowledged must be there.
fn check(disk: Disk, lives: &[Life]) -> Result<(), Finding> {
    let platter = Arc::new(Mutex::new(Platter::default()));
    let model = Model { platter: Arc::clone(&platter), disk, selected: None };
    // Small segments, so that new ones begin often.
    let open = || Writer::open(identity(1500), Box::new(model.clone()));
    let mut acknowledged = Vec::new();
    let mut count = 0;
    for life in lives {
        {
            let mut platter = platter.lock().unwrap();
            platter.operations_left = life.power_goes_after;
            platter.torn = life.torn;
            platter.syncs_left = life.syncs_before_error;
        }
        if let Ok((mut writer, _)) = open() {
            for n_entries in &life.batches {
                let group: Vec<_> = (count..).take(usize::from(*n_entries)).collect();
                count += u64::from(*n_entries);
                let bodies = group.iter().copied().map(body).collect();
                let told_too_early = (disk == Disk::AnswerFirst).then(|| group.clone());
                acknowledged.extend(told_too_early.into_iter().flatten());
                match writer.commit(&[bodies]) {
                    Ok(_) => acknowledged.extend(group),
                    // As the writer's thread does: read the disk again, and go on when that works.
                    Err(_) if writer.reopen().is_ok() => {}
                    Err(_) => break,
                }
            }
        }
        {
            let mut platter = platter.lock().unwrap();
            platter.cut_power(life.keep, life.garbage);
            platter.operations_left = usize::MAX;
            platter.syncs_left = None;
        }
        open().map_err(|_| Finding::DoesNotOpen)?;
        let found: BTreeSet<u64> = read_all(&mut model.clone()).into_iter().collect();
        if !acknowledged.iter().all(|count| found.contains(count)) {
            return Err(Finding::AcknowledgedEntryMissing);
        }
    }
    Ok(())
}

fn read_all(model: &mut Model) -> Vec<u64> {
    let mut counts = Vec::new();
    for segment in model.segments().unwrap() {
        let bytes = model.read(segment).unwrap();
        let mut frames = Frames::new(&bytes);
        while let Step::Payload(payload) = frames.step() {
            counts.push(Entry::decode(split(payload).unwrap().0).unwrap().count.unwrap());
        }
    }
    counts
}

fn a_life() -> impl Strategy<Value = Life> {
    let batches = prop::collection::vec(1..6_u8, 1..12);
    let syncs_before_error = prop::option::of(0..12_usize);
    let disk = (0..40_usize, syncs_before_error, any::<u8>(), any::<u8>(), any::<bool>());
    (batches, disk).prop_map(
        |(batches, (power_goes_after, syncs_before_error, torn, keep, garbage))| Life {
            batches,
            power_goes_after,
            syncs_before_error,
            torn,
            keep,
            garbage,
        },
    )
}

/// The first of so many runs, each of several lives that follow from its number alone, in which the check finds something.
fn first_finding(disk: Disk, n_runs: u64) -> Option<(u64, Finding)> {
    (0..n_runs).find_map(|run| {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&run.to_le_bytes());
        let rng = proptest::test_runner::TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let lives = prop::collection::vec(a_life(), 1..5).new_tree(&mut runner).unwrap().current();
        check(disk, &lives).err().map(|finding| (run, finding))
    })
}

/// A life that acknowledges several segments, and loses everything that was not synced.
fn a_full_life() -> Life {
    Life {
        batches: vec![3; 8],
        power_goes_after: 1000,
        syncs_before_error: None,
        torn: 0,
        keep: 0,
        garbage: false,
    }
}

#[test]
fn the_check_finds_a_disk_that_leaves_out_the_sync_of_files() {
    let finding = check(Disk::NoSync, &[a_full_life()]).unwrap_err();
    assert!(matches!(finding, Finding::AcknowledgedEntryMissing | Finding::DoesNotOpen));
}

#[test]
fn the_check_finds_a_disk_that_leaves_out_the_sync_of_the_directory() {
    let finding = check(Disk::NoDirSync, &[a_full_life()]);
    assert_eq!(finding, Err(Finding::AcknowledgedEntryMissing));
}

#[test]
fn an_honest_disk_loses_nothing_at_any_operation() {
    for power_goes_after in 0..60 {
        for keep in [0, 100, 255] {
            let life = Life { power_goes_after, keep, torn: keep, ..a_full_life() };
            assert_eq!(check(Disk::Honest, &[life.clone(), life]), Ok(()), "{power_goes_after}");
        }
    }
}

/// The kernel reports a failed write once and then shows bytes that are not on the disk. Continuing
/// behind them, as a reader of the file would, loses what comes after.
#[test]
fn a_disk_that_failed_once_is_continued_behind_the_last_acknowledged_entry() {
    let platter = Arc::new(Mutex::new(Platter { operations_left: 1000, ..Platter::default() }));
    let model = Model { platter: Arc::clone(&platter), disk: Disk::Honest, selected: None };
    let open = || Writer::open(identity(1 << 20), Box::new(model.clone()));
    let (mut writer, _) = open().unwrap();
    writer.commit(&[vec![body(0)]]).unwrap();
    platter.lock().unwrap().fails_syncs = true;
    writer.commit(&[vec![body(1)]]).unwrap_err();
    platter.lock().unwrap().fails_syncs = false;
    writer.reopen().unwrap();
    writer.commit(&[vec![body(2)]]).unwrap();
    platter.lock().unwrap().cut_power(0, false);
    open().unwrap();
    assert_eq!(read_all(&mut model.clone()), [0, 2]);
}

/// Two thousand runs, and each mistake is found within the first few dozen.
#[test]
fn no_acknowledged_entry_is_lost_over_thousands_of_power_cuts_and_every_mistake_is_found() {
    assert_eq!(first_finding(Disk::Honest, 2000), None);
    for mistake in [Disk::NoSync, Disk::NoDirSync, Disk::AnswerFirst, Disk::IgnoreSyncError] {
        let found = first_finding(mistake, 100);
        assert!(found.is_some(), "{mistake:?} is not found in a hundred runs");
    }
}
