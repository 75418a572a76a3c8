//! The writer's thread: group commit while the disk works, refusals and back-off while it does not.

use std::{
    io,
    sync::Arc,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{LogError, MAX_RECORDED_AT_ONCE};
use crate::{
    audit::{entry::Body, writer::Writer},
    tlog::TreeReader,
};

/// Pauses between attempts to reopen.
#[derive(Debug, Clone, Copy)]
pub(super) struct BackOff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

/// Entries that go together, and who waits for them.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) bodies: Vec<Body>,
    pub(super) done: oneshot::Sender<Result<u64, LogError>>,
    /// One of the bounded places in the queue, freed with the job.
    pub(super) _turn: OwnedSemaphorePermit,
}

impl Job {
    fn finish(self, outcome: Result<u64, LogError>) {
        // A caller that stopped waiting wants no answer.
        let _ = self.done.send(outcome);
    }
}

/// The thread, which ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(super) struct WriterThread {
    /// `None` only while it is being dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(super) fn start(
        writer: Writer,
        tree: Arc<ArcSwap<TreeReader>>,
        available: watch::Sender<bool>,
        back_off: BackOff,
    ) -> io::Result<Self> {
        // Unbounded, for its bound is the number of `Job::_turn`s.
        let (jobs, queue) = mpsc::channel();
        let run =
            move || Loop { writer, tree, queue, available: Available(available), back_off }.run();
        let thread = thread::Builder::new().name("audit-log".to_owned()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn send(&self, job: Job) -> Result<(), LogError> {
        let jobs = self.jobs.as_ref().ok_or(LogError::Unavailable)?;
        jobs.send(job).map_err(|_| LogError::Unavailable)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.jobs = None;
        // So that the directory is free when the log is gone. A panic there has been reported.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Says "not available" also when the thread ends in a way nobody foresaw.
struct Available(watch::Sender<bool>);

impl Available {
    fn set(&self, available: bool) {
        self.0.send_replace(available);
    }
}

impl Drop for Available {
    fn drop(&mut self) {
        self.set(false);
    }
}

struct Loop {
    writer: Writer,
    tree: Arc<ArcSwap<TreeReader>>,
    queue: Receiver<Job>,
    available: Available,
    back_off: BackOff,
}

impl Loop {
    fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            let batch = self.batch(first);
            if let Err(error) = self.commit(batch) {
                tracing::error!(%error, "the audit log can not be written; nothing may leave");
                if self.mend().is_break() {
                    return;
                }
                tracing::info!("the audit log can be written again");
            }
        }
    }

    /// The first job and what else is queued, up to a bound.
    fn batch(&self, first: Job) -> Vec<Job> {
        let mut n_entries = first.bodies.len();
        let mut batch = vec![first];
        while n_entries < MAX_RECORDED_AT_ONCE
            && let Ok(job) = self.queue.try_recv()
        {
            n_entries += job.bodies.len();
            batch.push(job);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Job>) -> io::Result<()> {
        let groups: Vec<_> = batch.iter_mut().map(|job| std::mem::take(&mut job.bodies)).collect();
        let committed = self.writer.commit(&groups);
        // Order matters: whoever is told of an entry finds it in the tree.
        match committed.and_then(|outcomes| Ok((outcomes, self.writer.tree()?))) {
            Ok((outcomes, tree)) => {
                self.tree.store(Arc::new(tree));
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    job.finish(
                        outcome
                            .map_err(|oversized| LogError::TooLarge { n_bytes: oversized.n_bytes }),
                    );
                }
                Ok(())
            }
            Err(error) => {
                // Order matters: readiness is false before the first caller hears of the failure.
                self.available.set(false);
                batch.into_iter().for_each(|job| job.finish(Err(LogError::Unavailable)));
                Err(error)
            }
        }
    }

    /// Refuses every job until the log has been read back. Breaks when nobody holds the log any more.
    fn mend(&mut self) -> std::ops::ControlFlow<()> {
        let mut pause = self.back_off.first;
        loop {
            let until = Instant::now() + pause;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                match self.queue.recv_timeout(left) {
                    Ok(job) => job.finish(Err(LogError::Unavailable)),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        return std::ops::ControlFlow::Break(());
                    }
                }
            }
            match self.writer.reopen() {
                Ok(()) => {
                    // Queued while the disk was read: they were sent to a log that had failed.
                    while let Ok(job) = self.queue.try_recv() {
                        job.finish(Err(LogError::Unavailable));
                    }
                    self.available.set(true);
                    return std::ops::ControlFlow::Continue(());
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::warn!("the audit log can not be reopened yet: {error:#}");
                    pause = (pause * 2).min(self.back_off.most);
                }
            }
        }
    }
}
