//! The floor of the log: group commit and nothing else. One thread takes what is queued, writes it with one write, syncs it
//! with one `fdatasync`, and answers. Nothing is encoded, hashed, signed or kept in a tree; the bytes are ready.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use anyhow::Context as _;
use brag_common::audit::log::MAX_RECORDED_AT_ONCE;
use tokio::sync::oneshot;

struct Job {
    bytes: Arc<[u8]>,
    done: oneshot::Sender<()>,
}

/// One file, and the thread that writes it; the thread ends with the last [`Appender`].
pub(super) struct Log {
    jobs: Appender,
    n_syncs: Arc<AtomicU64>,
}

/// Hands entries over.
#[derive(Clone)]
pub(super) struct Appender(Sender<Job>);

impl Log {
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        file.sync_all()?;
        let (jobs, queue) = mpsc::channel();
        let n_syncs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&n_syncs);
        thread::Builder::new().spawn(move || write(file, &queue, &counted))?;
        Ok(Self { jobs: Appender(jobs), n_syncs })
    }

    pub(super) fn appender(&self) -> Appender {
        self.jobs.clone()
    }

    pub(super) fn n_syncs(&self) -> u64 {
        self.n_syncs.load(Ordering::SeqCst)
    }
}

impl Appender {
    /// Waits until the bytes are durable.
    pub(super) async fn append(&self, bytes: Arc<[u8]>) -> anyhow::Result<()> {
        let (done, outcome) = oneshot::channel();
        self.0.send(Job { bytes, done }).ok().context("the bare loop has ended")?;
        outcome.await.context("the bare loop could not write")
    }
}

fn write(mut file: File, queue: &Receiver<Job>, n_syncs: &AtomicU64) {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(MAX_RECORDED_AT_ONCE - 1));
        batch.iter().for_each(|job: &Job| bytes.extend_from_slice(&job.bytes));
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        n_syncs.fetch_add(1, Ordering::SeqCst);
        bytes.clear();
        for job in batch.drain(..) {
            // A caller that stopped waiting wants no answer.
            let _ = job.done.send(());
        }
    }
}
