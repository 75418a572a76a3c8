//! The desk of the log: callers hand in, and the writer's thread takes away.
//!
//! Callers give their entries their places themselves, one at a time, while the disk syncs the write before. What was composed behind a
//! write that fails goes with it, and everybody who waits for it is told.

use std::{
    collections::VecDeque,
    mem,
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{LogError, NotedEntry};
use crate::audit::{
    entry::Body,
    writer::{Composer, Write},
};

/// How often the thread looks at the clock when nobody comes.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Entries that go together, and who waits for them.
#[derive(Debug)]
pub(in crate::audit) struct Job {
    pub(in crate::audit) bodies: Vec<Body>,
    pub(in crate::audit) done: oneshot::Sender<Result<Written, LogError>>,
    /// One of the bounded places in the queue, freed with the job.
    pub(in crate::audit) turn: OwnedSemaphorePermit,
    /// Whether the caller wants its last entry as it was written.
    pub(in crate::audit) is_noted: bool,
}

/// What became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::audit) struct Written {
    pub(in crate::audit) first: Placed,
    /// The job's last entry, where it is noted.
    pub(in crate::audit) last: Option<NotedEntry>,
}

/// Where the first of a job's entries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Placed {
    /// Its number in its shard.
    pub(in crate::audit) seq: u64,
    /// How many entries stand in the shards before.
    pub(in crate::audit) base: u64,
}

/// Somebody whose entries have their place.
#[derive(Debug)]
pub(in crate::audit) struct Waiting {
    written: Written,
    done: oneshot::Sender<Result<Written, LogError>>,
    _turn: OwnedSemaphorePermit,
}

impl Waiting {
    pub(super) fn finish(self, outcome: Result<(), LogError>) {
        // A caller that stopped waiting wants no answer.
        let _ = self.done.send(outcome.map(|()| self.written));
    }
}

/// A write, and who waits for it.
pub(in crate::audit) type Due = (Write, Vec<Waiting>);

/// Where callers hand in and the thread takes away.
#[derive(Debug)]
pub(in crate::audit) struct Desk {
    heap: Mutex<Heap>,
    /// Rung when there is something to write, or nothing ever again.
    bell: Condvar,
}

#[derive(Debug)]
struct Heap {
    composer: Composer,
    /// Whose entries the composer has.
    waiting: Vec<Waiting>,
    /// Writes that are full, before those that the composer has.
    full: VecDeque<Due>,
    /// Who came while one shard follows another; their entries have no place yet.
    parked: Vec<Job>,
    /// How many entries stand in the shards before.
    base: u64,
    /// With how many entries a write is full.
    many: usize,
    state: State,
    /// Whether the thread waits for the bell.
    is_idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// One shard follows another.
    Turning,
    /// The disk has failed, and has not been read again yet.
    Failed,
    /// Nobody holds the log any more.
    Closed,
}

impl Desk {
    /// A desk before a writer whose entries the composer continues, with `base` entries in the shards before; a write is full with `many`.
    pub(super) const fn new(composer: Composer, base: u64, many: usize) -> Self {
        let heap = Heap {
            composer,
            waiting: Vec::new(),
            // Its bound is the number of `Job::turn`s.
            full: VecDeque::new(),
            parked: Vec::new(),
            base,
            many,
            state: State::Open,
            is_idle: false,
        };
        Self { heap: Mutex::new(heap), bell: Condvar::new() }
    }

    fn heap(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::audit) fn hand_in(&self, job: Job) -> Result<(), LogError> {
        let mut heap = self.heap();
        match heap.state {
            State::Open => heap.take(job)?,
            State::Turning => heap.parked.push(job),
            State::Failed | State::Closed => return Err(LogError::Unavailable),
        }
        let wakes = mem::take(&mut heap.is_idle);
        drop(heap);
        if wakes {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// The next write; waits for one.
    pub(in crate::audit) fn next(&self) -> Next {
        let mut heap = self.heap();
        loop {
            if let Some(due) = heap.due() {
                return Next::Write(due);
            }
            if heap.state == State::Closed {
                return Next::Nothing;
            }
            heap.is_idle = true;
            let (woken, waited) =
                self.bell.wait_timeout(heap, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner);
            heap = woken;
            if waited.timed_out() {
                return Next::Look;
            }
        }
    }

    /// Gives nobody a place until [`Desk::reopen`]. What has one already, and is not written.
    pub(super) fn park(&self) -> Vec<Due> {
        let mut heap = self.heap();
        if heap.state == State::Open {
            heap.state = State::Turning;
        }
        std::iter::from_fn(|| heap.due()).collect()
    }

    /// Takes nothing from now on. Those whose entries were composed behind what failed.
    pub(super) fn fail(&self) -> Vec<Waiting> {
        let mut heap = self.heap();
        if heap.state != State::Closed {
            heap.state = State::Failed;
        }
        let parked = mem::take(&mut heap.parked);
        parked.into_iter().for_each(|job| job.refuse(LogError::Unavailable));
        let full = mem::take(&mut heap.full).into_iter().flat_map(|(_, waiting)| waiting);
        full.chain(mem::take(&mut heap.waiting)).collect()
    }

    /// Gives places again, behind what the disk holds, first to those who came meanwhile.
    pub(super) fn reopen(&self, composer: Composer, base: u64) {
        let mut heap = self.heap();
        (heap.composer, heap.base) = (composer, base);
        if matches!(heap.state, State::Failed | State::Turning) {
            heap.state = State::Open;
        }
        for job in mem::take(&mut heap.parked) {
            // Told, when it is refused.
            let _ = heap.take(job);
        }
    }

    pub(super) fn close(&self) {
        self.heap().state = State::Closed;
        self.bell.notify_one();
    }

    /// Waits, unless the desk is closed before.
    pub(super) fn pause(&self, pause: Duration) -> ControlFlow<()> {
        let until = Instant::now() + pause;
        let mut heap = self.heap();
        loop {
            if heap.state == State::Closed {
                return ControlFlow::Break(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return ControlFlow::Continue(());
            }
            let waited = self.bell.wait_timeout(heap, left);
            heap = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the thread is to do.
#[expect(clippy::large_enum_variant, reason = "taken apart as soon as it is made")]
pub(in crate::audit) enum Next {
    Write(Due),
    /// Nothing was handed in for a while.
    Look,
    /// Nothing will be handed in again.
    Nothing,
}

impl Job {
    fn refuse(self, why: LogError) {
        // A caller that stopped waiting wants no answer.
        let _ = self.done.send(Err(why));
    }
}

impl Heap {
    /// Gives a job's entries their places; an oversized one is refused, and told so.
    fn take(&mut self, job: Job) -> Result<(), LogError> {
        let seq = match self.composer.take(&job.bodies) {
            Ok(seq) => seq,
            Err(oversized) => {
                let why = LogError::TooLarge { n_bytes: oversized.n_bytes };
                job.refuse(why);
                return Err(why);
            }
        };
        let base = self.base;
        let last = self.composer.last().filter(|_| job.is_noted);
        let last = last.map(|(seq, json)| NotedEntry { base, seq, json: json.into() });
        let written = Written { first: Placed { seq, base }, last };
        self.waiting.push(Waiting { written, done: job.done, _turn: job.turn });
        if self.composer.n_entries() >= self.many {
            self.seal();
        }
        Ok(())
    }

    /// The next write, if anybody has handed in anything.
    fn due(&mut self) -> Option<Due> {
        if self.full.is_empty() {
            self.seal();
        }
        self.full.pop_front()
    }

    /// Signs what the composer has, if anything.
    fn seal(&mut self) {
        if let Some(write) = self.composer.seal() {
            self.full.push_back((write, mem::take(&mut self.waiting)));
        }
    }
}
