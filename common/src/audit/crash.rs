//! Power cuts without a power switch: a disk in memory that loses what was not synced.
//!
//! Goal: at whatever operation the power goes, no acknowledged entry is missing afterwards and the log
//! opens again. Method: the log's own desk and writer on a model disk, stopped at the n-th operation; then the disk keeps
//! what was synced and a random part of the rest; then the log is read back. While one write is at the disk, others are composed behind
//! it. That the check can fail is shown by five mistakes, each of which it must find: files that are not synced, names that are not
//! synced, an answer that leaves before the sync, an error of sync that is passed over, and what was composed behind a write that failed
//! being written all the same.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRunner},
};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    entry::Entry,
    fixtures::{body, identity},
    frame::{Frames, Step, split},
    log::{
        LogError,
        desk::{Due, Job, Next, Written},
        thread::Work,
    },
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
    /// Whoever waits for a write that failed is told so, and what was composed behind it is written all the same.
    GoOn,
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

/// One life of a program: how many entries each caller hands in, and how it ends.
#[derive(Debug, Clone)]
struct Life {
    groups: Vec<u8>,
    /// How many callers come while a write is at the disk. With more than [`MANY`] entries of them, several writes wait.
    n_at_once: usize,
    power_goes_after: usize,
    /// How many syncs work before one fails; `None`: all do.
    syncs_before_error: Option<usize>,
    torn: u8,
    keep: u8,
    garbage: bool,
}

/// With how many entries a write is full here.
const MANY: usize = 4;

/// What a check finds wrong.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    AcknowledgedEntryMissing,
    /// The answer to a caller was not the number under which the entry stands.
    WrongNumber,
    DoesNotOpen,
}

/// A caller's entries, and the answer.
struct Call {
    group: Vec<u64>,
    answer: oneshot::Receiver<Result<Written, LogError>>,
}

/// A program: the log's desk and writer, without the thread, so that everything happens in one order.
struct Program {
    work: Work,
    callers: Arc<Semaphore>,
    calls: Vec<Call>,
}

impl Program {
    fn start(mut writer: Writer) -> io::Result<Self> {
        let tree = Arc::new(ArcSwap::from_pointee(writer.tree()?));
        let work = Work::new(writer, tree, None, watch::Sender::new(true), MANY);
        Ok(Self { work, callers: Arc::new(Semaphore::new(1000)), calls: Vec::new() })
    }

    fn hand_in(&mut self, group: Vec<u64>) {
        let (done, answer) = oneshot::channel();
        let bodies = group.iter().copied().map(body).collect();
        let turn = Arc::clone(&self.callers).try_acquire_owned().unwrap();
        self.work.desk().hand_in(Job { bodies, done, turn, is_noted: false }).unwrap();
        self.calls.push(Call { group, answer });
    }

    /// The entries of those who have been told that theirs are durable, with the numbers of their first.
    fn acknowledged(&mut self) -> Vec<(u64, Vec<u64>)> {
        let mut told = Vec::new();
        self.calls.retain_mut(|call| match call.answer.try_recv() {
            Ok(answer) => {
                told.extend(
                    answer.ok().map(|one| (one.first.seq, std::mem::take(&mut call.group))),
                );
                false
            }
            Err(oneshot::error::TryRecvError::Empty) => true,
            Err(oneshot::error::TryRecvError::Closed) => false,
        });
        told
    }

    /// What the thread would take from the desk next.
    fn next(&self) -> Due {
        match self.work.desk().next() {
            Next::Write(due) => due,
            Next::Look | Next::Nothing => panic!("nobody has handed in anything"),
        }
    }

    /// Whether the program goes on after a write that it took from the desk.
    fn write(&mut self, disk: Disk, due: Due) -> bool {
        if disk == Disk::GoOn {
            self.work.commit_carelessly(due);
            return true;
        }
        // As the writer's thread does: read the disk again, and go on when that works.
        self.work.commit(due).is_ok() || self.work.reopen().is_ok()
    }
}

/// Lives one after the other on one disk; after each, everything ever acknowledged must be there.
fn check(disk: Disk, lives: &[Life]) -> Result<(), Finding> {
    let platter = Arc::new(Mutex::new(Platter::default()));
    let model = Model { platter: Arc::clone(&platter), disk, selected: None };
    // Small segments, so that new ones begin often.
    let open = || Writer::open(identity(1500), Box::new(model.clone()));
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let mut count = 0;
    for life in lives {
        {
            let mut platter = platter.lock().unwrap();
            platter.operations_left = life.power_goes_after;
            platter.torn = life.torn;
            platter.syncs_left = life.syncs_before_error;
        }
        let started = open().ok().and_then(|(writer, _)| Program::start(writer).ok());
        if let Some(mut program) = started {
            let mut groups = life.groups.iter();
            let mut hand_in = |program: &mut Program, n: usize| {
                for n_entries in groups.by_ref().take(n) {
                    let group: Vec<_> = (count..).take(usize::from(*n_entries)).collect();
                    count += u64::from(*n_entries);
                    program.hand_in(group);
                }
            };
            hand_in(&mut program, 1);
            while !program.calls.is_empty() {
                let due = program.next();
                // The disk is busy: the next ones come.
                hand_in(&mut program, life.n_at_once);
                if disk == Disk::AnswerFirst {
                    let early = program.calls.iter().flat_map(|call| call.group.iter());
                    acknowledged.extend(early.map(|count| (*count, u64::MAX)));
                }
                let goes_on = program.write(disk, due);
                for (first, group) in program.acknowledged() {
                    acknowledged.extend(group.into_iter().zip(first..));
                }
                if !goes_on {
                    break;
                }
                if program.calls.is_empty() {
                    hand_in(&mut program, 1);
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
        let found = read_all(&mut model.clone());
        for (count, seq) in &acknowledged {
            match found.iter().position(|found| found == count) {
                None => return Err(Finding::AcknowledgedEntryMissing),
                Some(at) if *seq != u64::MAX && at as u64 != *seq => {
                    return Err(Finding::WrongNumber);
                }
                Some(_) => {}
            }
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
    let groups = (prop::collection::vec(1..6_u8, 1..12), 0..5_usize);
    let syncs_before_error = prop::option::of(0..12_usize);
    let disk = (0..40_usize, syncs_before_error, any::<u8>(), any::<u8>(), any::<bool>());
    (groups, disk).prop_map(
        |((groups, n_at_once), (power_goes_after, syncs_before_error, torn, keep, garbage))| Life {
            groups,
            n_at_once,
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
        groups: vec![3; 8],
        n_at_once: 1,
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
            for n_at_once in [0, 1, 3] {
                let life = Life { power_goes_after, keep, torn: keep, n_at_once, ..a_full_life() };
                let found = check(Disk::Honest, &[life.clone(), life]);
                assert_eq!(found, Ok(()), "{power_goes_after} {n_at_once}");
            }
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
    writer.record(&[body(0)]).unwrap();
    platter.lock().unwrap().fails_syncs = true;
    writer.record(&[body(1)]).unwrap_err();
    platter.lock().unwrap().fails_syncs = false;
    writer.reopen().unwrap();
    writer.record(&[body(2)]).unwrap();
    platter.lock().unwrap().cut_power(0, false);
    open().unwrap();
    assert_eq!(read_all(&mut model.clone()), [0, 2]);
}

/// The next write is composed while the disk works, and three more are full already: when the first fails, all of them are refused, nothing
/// of them is on the disk, and the log goes on behind what was acknowledged.
#[test]
fn a_write_that_fails_takes_all_writes_composed_behind_it_with_it() {
    let platter = Arc::new(Mutex::new(Platter { operations_left: 1000, ..Platter::default() }));
    let mut model = Model { platter: Arc::clone(&platter), disk: Disk::Honest, selected: None };
    let (writer, _) = Writer::open(identity(1 << 20), Box::new(model.clone())).unwrap();
    let mut program = Program::start(writer).unwrap();
    program.hand_in(vec![0]);
    let due = program.next();
    program.work.commit(due).unwrap();
    assert_eq!(program.acknowledged(), [(0, vec![0])]);

    program.hand_in(vec![1]);
    let due = program.next();
    for group in [vec![2, 3, 4, 5], vec![6, 7, 8, 9], vec![10]] {
        program.hand_in(group);
    }
    platter.lock().unwrap().syncs_left = Some(0);
    program.work.commit(due).unwrap_err();
    assert_eq!(program.acknowledged(), []);
    assert!(program.calls.is_empty(), "everybody has an answer");
    let (done, _answer) = oneshot::channel();
    let turn = Arc::clone(&program.callers).try_acquire_owned().unwrap();
    let job = Job { bodies: vec![body(11)], done, turn, is_noted: false };
    let refused = program.work.desk().hand_in(job);
    assert_eq!(refused, Err(LogError::Unavailable));

    program.work.reopen().unwrap();
    program.hand_in(vec![12]);
    let due = program.next();
    program.work.commit(due).unwrap();
    assert_eq!(program.acknowledged(), [(1, vec![12])]);
    platter.lock().unwrap().cut_power(0, false);
    assert_eq!(read_all(&mut model), [0, 12]);
}

/// Three thousand runs, and each mistake is found within the first few dozen.
#[test]
fn no_acknowledged_entry_is_lost_over_thousands_of_power_cuts_and_every_mistake_is_found() {
    assert_eq!(first_finding(Disk::Honest, 3000), None);
    for mistake in
        [Disk::NoSync, Disk::NoDirSync, Disk::AnswerFirst, Disk::IgnoreSyncError, Disk::GoOn]
    {
        let found = first_finding(mistake, 100);
        assert!(found.is_some(), "{mistake:?} is not found in a hundred runs");
    }
}
