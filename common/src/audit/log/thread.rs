//! The writer's thread: group commit while the disk works, refusals and back-off while it does not.
//!
//! Callers give their entries their places themselves, at the [`Desk`]. So all that is left to the thread between two syncs
//! is one signature, the tree and the answers. Order of promises: write, sync, extend the tree, answer.

use std::{
    io,
    ops::ControlFlow,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    LogError, MAX_RECORDED_AT_ONCE,
    desk::{Desk, Due, Job, Next},
    turn::{Opening, Shard},
};
use crate::{
    audit::{recover::NotRecovered, writer::Writer},
    tlog::TreeReader,
};

/// Pauses between attempts to reopen.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct BackOff {
    pub(in crate::audit) first: Duration,
    pub(in crate::audit) most: Duration,
}

/// The thread, which ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(super) struct WriterThread {
    desk: Arc<Desk>,
    /// `None` only while it is being dropped.
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(super) fn start(
        writer: Writer,
        tree: Arc<ArcSwap<TreeReader>>,
        turning: Turning,
        available: watch::Sender<bool>,
        back_off: BackOff,
    ) -> io::Result<Self> {
        let work = Work::new(writer, tree, Some(turning), available, MAX_RECORDED_AT_ONCE);
        let desk = Arc::clone(work.desk());
        let run = move || work.run(back_off);
        let thread = thread::Builder::new().name("audit-log".to_owned()).spawn(run)?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Gives a job's entries their place, or refuses the job.
    pub(super) fn hand_in(&self, job: Job) -> Result<(), LogError> {
        self.desk.hand_in(job)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.desk.close();
        // So that the directory is free when the log is gone. A panic there has been reported.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Says "not available" also when the thread ends in a way nobody foresaw.
struct Available {
    tell: watch::Sender<bool>,
    desk: Arc<Desk>,
}

impl Available {
    fn set(&self, available: bool) {
        self.tell.send_replace(available);
    }
}

impl Drop for Available {
    fn drop(&mut self) {
        self.set(false);
        self.desk.fail().into_iter().for_each(|one| one.finish(Err(LogError::Unavailable)));
    }
}

/// The log's shards, the newest of which is written, and how the next is opened.
#[derive(Debug)]
pub(in crate::audit) struct Turning {
    pub(super) opening: Opening,
    pub(super) shards: Arc<Shard>,
}

/// The thread's work, step by step.
pub(in crate::audit) struct Work {
    writer: Writer,
    /// Of the shard that is written.
    tree: Arc<ArcSwap<TreeReader>>,
    /// `None`: one shard is written, whatever the year.
    turning: Option<Turning>,
    desk: Arc<Desk>,
    available: Available,
}

impl Work {
    /// The work of a writer, and a desk before it; a write is full with `many` entries.
    pub(in crate::audit) fn new(
        writer: Writer,
        tree: Arc<ArcSwap<TreeReader>>,
        turning: Option<Turning>,
        available: watch::Sender<bool>,
        many: usize,
    ) -> Self {
        let base = turning.as_ref().map_or(0, |turning| turning.shards.newest().base);
        let desk = Arc::new(Desk::new(writer.composer(), base, many));
        let available = Available { tell: available, desk: Arc::clone(&desk) };
        Self { writer, tree, turning, desk, available }
    }

    pub(in crate::audit) const fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn run(mut self, back_off: BackOff) {
        loop {
            let done = match self.desk.next() {
                Next::Write(due) => self.commit(due),
                Next::Look => Ok(()),
                Next::Nothing => return,
            };
            if let Err(error) = done.and_then(|()| self.turn_when_due()) {
                tracing::error!(%error, "the audit log can not be written; nothing may leave");
                if self.mend(back_off).is_break() {
                    return;
                }
                tracing::info!("the audit log can be written again");
            }
        }
    }

    /// Has the next shard follow when the year is over. Callers wait meanwhile.
    fn turn_when_due(&mut self) -> io::Result<()> {
        let is_due = self.turning.as_ref().is_some_and(|Turning { opening, shards }| {
            opening.is_due(&self.writer, shards.newest())
        });
        if !is_due {
            return Ok(());
        }
        for due in self.desk.park() {
            self.commit(due)?;
        }
        match self.turn() {
            Ok(()) => {
                self.give_places();
                Ok(())
            }
            Err(error) => {
                self.available.set(false);
                let waiting = self.desk.fail();
                waiting.into_iter().for_each(|one| one.finish(Err(LogError::Unavailable)));
                Err(error)
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let Some(Turning { opening, shards }) = &self.turning else { return Ok(()) };
        let from = shards.newest();
        let turned = opening.turn(&mut self.writer, from).map_err(io::Error::other);
        let (writer, shard) = turned?;
        self.tree = Arc::clone(&shard.tree);
        self.writer = writer;
        Opening::follow(from, shard);
        Ok(())
    }

    fn give_places(&self) {
        let base = self.turning.as_ref().map_or(0, |turning| turning.shards.newest().base);
        self.desk.reopen(self.writer.composer(), base);
    }

    /// Writes, and answers those who wait for it; when the disk fails, all who wait.
    ///
    /// # Errors
    /// When the disk failed; [`Work::reopen`] comes next.
    pub(in crate::audit) fn commit(&mut self, (write, waiting): Due) -> io::Result<()> {
        let committed = self.writer.commit(write);
        // Order matters: whoever is told of an entry finds it in the tree.
        match committed.and_then(|()| self.writer.tree()) {
            Ok(tree) => {
                self.tree.store(Arc::new(tree));
                waiting.into_iter().for_each(|one| one.finish(Ok(())));
                Ok(())
            }
            Err(error) => {
                // Order matters: readiness is false before the first caller hears of the failure.
                self.available.set(false);
                let behind = self.desk.fail();
                waiting
                    .into_iter()
                    .chain(behind)
                    .for_each(|one| one.finish(Err(LogError::Unavailable)));
                Err(error)
            }
        }
    }

    /// Reads the log back after an error, and takes entries again.
    ///
    /// # Errors
    /// When the disk does not give back what was acknowledged.
    pub(in crate::audit) fn reopen(&mut self) -> Result<(), NotRecovered> {
        self.writer.reopen()?;
        if self.writer.is_closed() {
            // The disk failed in the middle of a turn.
            self.turn()?;
        }
        self.give_places();
        self.available.set(true);
        Ok(())
    }

    /// Reads the log back, again and again; every job is refused meanwhile. Breaks when nobody holds the log any more.
    fn mend(&mut self, back_off: BackOff) -> ControlFlow<()> {
        let mut pause = back_off.first;
        loop {
            self.desk.pause(pause)?;
            match self.reopen() {
                Ok(()) => return ControlFlow::Continue(()),
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::warn!("the audit log can not be reopened yet: {error:#}");
                    pause = (pause * 2).min(back_off.most);
                }
            }
        }
    }
}

#[cfg(test)]
impl Work {
    /// What must never be done: see [`Writer::commit_carelessly`].
    pub(in crate::audit) fn commit_carelessly(&mut self, (write, waiting): Due) {
        let done = self.writer.commit_carelessly(write);
        let outcome = done.map_err(|_| LogError::Unavailable);
        waiting.into_iter().for_each(|one| one.finish(outcome));
    }
}
