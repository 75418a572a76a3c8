//! What a witness has seen, in files that only grow: every checkpoint that it cosigned, and every receipt that it was given.
//!
//! `<dir>/<8 digits>.log`, with the frames of the log's own segments. A frame holds one [`Item`]. One thread writes; what waits while
//! the disk works goes with the next sync, so that many exchanges at a time cost few syncs. A file that has become long is followed
//! by another, which begins with what the witness remembers; so only the newest is read at a start, and older ones are evidence.
//!
//! INVARIANT: an item counts once its [`Ticket`] is redeemed: it is on the disk, and so is all that was written before it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
};

use tokio::sync::{oneshot, watch};

use super::receipt::Receipt;
use crate::{
    audit::{
        What,
        frame::{self, Frames, Step},
    },
    durable::dirs,
    tlog::CheckpointNote,
};

/// The folder of these files, within a witness's.
pub(super) const FOLDER: &str = "seen";

/// The size at which the next file begins, in bytes: as the log's segments.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The most items of one sync.
const MAX_BATCH: usize = 1024;

/// What the journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A checkpoint that this witness has cosigned.
    Cosigned(CheckpointNote),
    /// A receipt that came with an answer; its checkpoint is cosigned by this witness unless another came in between.
    Receipt(Box<Receipt>),
}

impl Item {
    /// The checkpoint in it.
    #[must_use]
    pub fn checkpoint(&self) -> &CheckpointNote {
        match self {
            Self::Cosigned(note) => note,
            Self::Receipt(receipt) => &receipt.proof.checkpoint,
        }
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Cosigned(note) => note.to_bytes().map_err(io::Error::other),
            Self::Receipt(receipt) => receipt.to_bytes().ok_or_else(too_long),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        if Receipt::begins(bytes) {
            return Some(Self::Receipt(Box::new(Receipt::parse(bytes)?)));
        }
        CheckpointNote::parse(bytes).ok().map(Self::Cosigned)
    }
}

fn too_long() -> io::Error {
    io::Error::other("it is too long to be kept")
}

/// Redeemed when an item is on the disk.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<bool>);

impl Ticket {
    /// Waits for the disk.
    ///
    /// # Errors
    /// When it failed: what depends on the item must not happen.
    pub async fn redeem(self) -> io::Result<()> {
        kept(self.0.await.unwrap_or(false))
    }

    /// As [`redeem`](Self::redeem), on a thread that may wait.
    ///
    /// # Errors
    /// As there.
    pub fn redeem_blocking(self) -> io::Result<()> {
        futures::executor::block_on(self.redeem())
    }
}

fn kept(kept: bool) -> io::Result<()> {
    if kept { Ok(()) } else { Err(io::Error::other("what was witnessed is not on the disk")) }
}

struct Job {
    /// `None` waits for what came before only.
    frame: Option<Vec<u8>>,
    /// With a new memory of a log: its name and the frame.
    remembered: Option<(String, Vec<u8>)>,
    done: oneshot::Sender<bool>,
}

/// The files of a witness that runs. The thread ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(super) struct Journal {
    /// `None` only while it is being dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    keeps: watch::Receiver<bool>,
}

impl Journal {
    /// Opens the files in `dir`; gives what the newest holds, oldest first. `is_memory` says whether the witness has cosigned an item's
    /// checkpoint.
    ///
    /// # Errors
    /// When the disk fails, or a file is damaged: with a hole in its memory a witness could cosign two histories.
    pub(super) fn open(
        dir: &Path,
        is_memory: impl Fn(&Item) -> bool,
    ) -> io::Result<(Self, Vec<Item>)> {
        dirs::create_dirs(dir)?;
        let number = numbers(dir)?.last().copied().unwrap_or(0);
        let path = path(dir, number);
        let file = open(&path)?;
        let bytes = fs::read(&path)?;
        let (items, n_bytes) = items(&path, &bytes)?;
        file.set_len(n_bytes)?;
        file.sync_all()?;
        dirs::sync_dir(dir)?;
        let mut remembered = BTreeMap::new();
        for item in items.iter().filter(|item| is_memory(item)) {
            let (name, frame) = remembered_of(item)?;
            remembered.insert(name, frame);
        }
        let (jobs, queue) = mpsc::channel();
        let (tell, keeps) = watch::channel(true);
        let disk =
            Disk { dir: dir.to_owned(), number, file, n_bytes, is_torn: false, remembered, tell };
        let thread =
            thread::Builder::new().name("witness".to_owned()).spawn(move || disk.run(&queue))?;
        Ok((Self { jobs: Some(jobs), thread: Some(thread), keeps }, items))
    }

    /// Writes an item behind all others.
    ///
    /// # Errors
    /// When it can not be written down; nothing was.
    pub(super) fn put(&self, item: &Item, is_memory: Memory) -> io::Result<Ticket> {
        let mut framed = Vec::new();
        frame::append(&mut framed, &bounded(item.to_bytes()?)?);
        let remembered = match is_memory {
            Memory::New => Some(remembered_of(item)?),
            Memory::Same => None,
        };
        self.send(Some(framed), remembered)
    }

    /// Waits for all that was written before.
    ///
    /// # Errors
    /// When the thread has ended.
    pub(super) fn wait(&self) -> io::Result<Ticket> {
        self.send(None, None)
    }

    /// Whether the last write reached the disk, as it changes.
    pub(super) fn keeps(&self) -> watch::Receiver<bool> {
        self.keeps.clone()
    }

    fn send(
        &self,
        frame: Option<Vec<u8>>,
        remembered: Option<(String, Vec<u8>)>,
    ) -> io::Result<Ticket> {
        let (done, ticket) = oneshot::channel();
        let ended = || io::Error::other("the witness has ended");
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(Job { frame, remembered, done }).map_err(|_| ended())?;
        Ok(Ticket(ticket))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.jobs = None;
        // A panic there has been reported.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Whether an item's checkpoint is what the witness remembers of its log from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It is.
    New,
    /// It is not: another came in between.
    Same,
}

fn bounded(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.len() > frame::MAX_PAYLOAD_BYTES { Err(too_long()) } else { Ok(bytes) }
}

/// The log that an item is of, and the frame that a new file begins with.
fn remembered_of(item: &Item) -> io::Result<(String, Vec<u8>)> {
    let note = item.checkpoint();
    let mut framed = Vec::new();
    frame::append(&mut framed, &note.to_bytes().map_err(io::Error::other)?);
    Ok((note.checkpoint().origin.to_string(), framed))
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

/// The numbers of the files, from the oldest.
fn numbers(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(dir)? {
        let name = file?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The items in a file's bytes, and where the last whole one ends.
fn items(path: &Path, bytes: &[u8]) -> io::Result<(Vec<Item>, u64)> {
    let damaged = |offset: u64| {
        let path = path.display();
        io::Error::other(format!("`{path}` is damaged at byte {offset}"))
    };
    let mut frames = Frames::new(bytes);
    let mut items = Vec::new();
    loop {
        let offset = frames.offset();
        match frames.step() {
            Step::Payload(payload) => {
                items.push(Item::parse(payload).ok_or_else(|| damaged(offset))?);
            }
            Step::End => return Ok((items, offset)),
            // The last write, cut off by the end of the program or of the power: nobody was told that it was done.
            Step::Broken(broken) if broken.what == What::Incomplete => return Ok((items, offset)),
            Step::Broken(_) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(from..).unwrap_or_default();
                // A length that reached the disk before its bytes.
                if rest.iter().all(|byte| *byte == 0) {
                    return Ok((items, offset));
                }
                return Err(damaged(offset));
            }
        }
    }
}

/// Everything in a witness's folder, oldest first. Nothing is verified.
///
/// # Errors
/// When a file can not be read or is damaged.
pub fn read(dir: &Path, see: &mut dyn FnMut(Item)) -> io::Result<()> {
    let dir = dir.join(FOLDER);
    let numbers = match numbers(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for number in numbers {
        let path = path(&dir, number);
        items(&path, &fs::read(&path)?)?.0.into_iter().for_each(&mut *see);
    }
    Ok(())
}

struct Disk {
    dir: PathBuf,
    number: u32,
    file: File,
    /// Where the last whole write ends.
    n_bytes: u64,
    /// Whether something of a write that failed may stand behind that.
    is_torn: bool,
    /// What is remembered of each log, as a frame.
    remembered: BTreeMap<String, Vec<u8>>,
    /// Whether the last write reached the disk.
    tell: watch::Sender<bool>,
}

impl Disk {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(job) = queue.try_recv()
            {
                batch.push(job);
            }
            let (mut frames, mut waiting) = (Vec::new(), Vec::with_capacity(batch.len()));
            for job in batch {
                frames.extend(job.frame.unwrap_or_default());
                self.remembered.extend(job.remembered);
                waiting.push(job.done);
            }
            // What can not be written is gone: whoever put it here is told, and uses nothing that depends on it.
            let written = self.write(&frames);
            if let Err(error) = &written {
                tracing::error!(%error, "what was witnessed can not be kept; nothing is cosigned");
            }
            self.tell.send_if_modified(|known| {
                std::mem::replace(known, written.is_ok()) != written.is_ok()
            });
            for done in waiting {
                // Whoever stopped waiting wants no answer.
                let _ = done.send(written.is_ok());
            }
        }
    }

    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            // A new handle: after a failed sync the old one proves nothing.
            self.file = open(&path(&self.dir, self.number))?;
            self.file.set_len(self.n_bytes)?;
            self.is_torn = false;
        }
        if self.n_bytes >= FILE_BYTES {
            self.begin_another()?;
        }
        self.is_torn = true;
        self.file.write_all(frames)?;
        self.file.sync_data()?;
        self.is_torn = false;
        self.n_bytes += frames.len() as u64;
        Ok(())
    }

    /// A new file, which begins with what is remembered. It is there whole before anything else is in it.
    fn begin_another(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let begin: Vec<u8> = self.remembered.values().flatten().copied().collect();
        dirs::replace(&path(&self.dir, number), &begin, 0o600)?;
        self.file = open(&path(&self.dir, number))?;
        (self.number, self.n_bytes) = (number, begin.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_failed_leaves_nothing_behind_and_the_next_one_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path(), 0);
        open(&file).unwrap();
        let mut framed = Vec::new();
        frame::append(&mut framed, b"one");
        let mut disk = Disk {
            dir: dir.path().to_owned(),
            number: 0,
            // It refuses to be written.
            file: File::open(&file).unwrap(),
            n_bytes: 0,
            is_torn: false,
            remembered: BTreeMap::new(),
            tell: watch::Sender::new(true),
        };
        disk.write(&framed).unwrap_err();
        // A part of it had reached the file.
        fs::write(&file, &framed[..framed.len() - 1]).unwrap();
        disk.write(&framed).unwrap();
        assert_eq!((fs::read(&file).unwrap(), disk.n_bytes), (framed.clone(), framed.len() as u64));
    }
}
