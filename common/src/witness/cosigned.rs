//! The other side of witnessing: a log asks witnesses to cosign how far it has come, and knows how much of it a quorum has seen.
//!
//! A round signs one checkpoint, asks all witnesses for it at the same time, and keeps the note with what came back once the quorum
//! is met. What needs a witnessed log ([`Cosigned::everything`]) waits for a round that covers it.
//!
//! A witness that answers with a later checkpoint of ours, or another one, shows that this log has been put back or rewritten: the log
//! is then condemned, and records nothing more.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{Notify, watch};

use crate::{
    audit::{
        AuditLog, LogError, Party,
        checkpoints::{Contradiction, compare},
    },
    tlog::{CheckpointNote, Hash, NoteKey, TreeReader},
};

/// How long one witness has to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a witness is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The size that it is believed to have cosigned last.
    pub old_size: u64,
    /// That the checkpoint continues it.
    pub proof: Vec<Hash>,
    /// The checkpoint, signed by the log.
    pub checkpoint: Arc<CheckpointNote>,
}

/// What a witness said.
#[derive(Debug)]
pub enum Answer {
    /// It cosigned: the line, and the key that it is vouched to have.
    Cosigned {
        /// The signature line.
        line: Vec<u8>,
        /// Its witness key.
        key: NoteKey,
    },
    /// It cosigned this one last; `None`: none.
    Last(Option<Box<CheckpointNote>>),
    /// Nothing came, or a refusal: a code for the operator's log.
    Failed(&'static str),
}

/// Reaches witnesses. Implementations verify that a key is vouched for before they give it.
pub trait AskWitness: Send + Sync {
    /// Whom to ask.
    fn witnesses(&self) -> Vec<Party>;
    /// Asks one.
    fn ask(&self, witness: &Party, question: Question) -> impl Future<Output = Answer> + Send;
}

/// Which witnesses must have cosigned, by party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quorum {
    /// All of these.
    All(Vec<Party>),
    /// More than half of those that are asked.
    Majority,
}

impl Quorum {
    fn is_met(&self, asked: usize, by: &[Party]) -> bool {
        match self {
            Self::All(needed) => needed.iter().all(|party| by.contains(party)),
            Self::Majority => by.len() * 2 > asked,
        }
    }
}

/// How much of a log witnesses have seen.
#[derive(Debug)]
pub struct Cosigned {
    log: AuditLog,
    quorum: Quorum,
    /// The size of each shard that each witness has cosigned last, as far as is known.
    sizes: Mutex<BTreeMap<(Party, Box<str>), u64>>,
    /// Through all shards.
    size: watch::Sender<u64>,
    wanted: Notify,
}

impl Cosigned {
    /// For a log, of which nothing is known to be witnessed yet but what was kept.
    #[must_use]
    pub fn new(log: AuditLog, quorum: Quorum) -> Self {
        let kept = log.latest_checkpoint().map_or(0, |note| log.n_vouched(&note));
        let size = watch::Sender::new(kept);
        Self { log, quorum, sizes: Mutex::default(), size, wanted: Notify::new() }
    }

    /// How many entries the quorum has seen, through all shards that continue each other: a shard's first entry names those before it.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.size.borrow()
    }

    /// Tells whenever the quorum has seen more.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Waits until everything that is recorded now has been seen by the quorum.
    ///
    /// # Errors
    /// When it has not within `within`; [`keep_asking`](Self::keep_asking) goes on.
    pub async fn everything(&self, within: Duration) -> Result<(), LogError> {
        let target = self.log.n_entries();
        let mut size = self.size.subscribe();
        self.wanted.notify_one();
        let seen = tokio::time::timeout(within, size.wait_for(|size| *size >= target)).await;
        if matches!(seen, Ok(Ok(_))) { Ok(()) } else { Err(LogError::Unavailable) }
    }

    /// Asks whenever something waits for it, and `every` so often when there is something new. Ends with the caller.
    pub async fn keep_asking<A: AskWitness>(&self, witnesses: &A, every: Duration) {
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
            if self.log.n_entries() > self.size() {
                self.round(witnesses).await;
            }
        }
    }

    /// One round: one checkpoint, all witnesses.
    pub async fn round<A: AskWitness>(&self, witnesses: &A) {
        let tree = self.log.tree();
        let Ok(checkpoint) = self.log.sign(&tree) else { return };
        let mut note = checkpoint.clone();
        let checkpoint = Arc::new(checkpoint);
        let parties = witnesses.witnesses();
        let asked = parties.len();
        let mut answers: FuturesUnordered<_> = parties
            .into_iter()
            .map(|party| {
                let (tree, checkpoint) = (Arc::clone(&tree), Arc::clone(&checkpoint));
                async move {
                    let answer = self.ask(witnesses, &party, &tree, checkpoint).await;
                    (party, answer)
                }
            })
            .collect();
        let mut by = Vec::new();
        let mut n_kept = 0;
        // The quorum is believed as soon as it is met: one witness that hangs must not hold up a release.
        while let Some((party, answer)) = answers.next().await {
            match answer {
                Some((line, key)) if note.add(&line, &key).is_ok() => by.push(party),
                Some(_) => {
                    tracing::warn!(%party, "a witness's cosignature does not verify");
                    continue;
                }
                None => continue,
            }
            if n_kept == 0 && self.quorum.is_met(asked, &by) && self.keep(&note).await {
                n_kept = by.len();
            }
        }
        if n_kept > 0 && by.len() > n_kept {
            // Those that came after the quorum are evidence too.
            self.keep(&note).await;
        }
    }

    async fn keep(&self, note: &CheckpointNote) -> bool {
        let (log, kept) = (self.log.clone(), note.clone());
        let done = tokio::task::spawn_blocking(move || log.keep_checkpoint(&kept)).await;
        if !matches!(done, Ok(Ok(()))) {
            return false;
        }
        let size = self.log.n_vouched(note);
        self.size.send_if_modified(|seen| {
            let more = size > *seen;
            *seen = size.max(*seen);
            more
        });
        true
    }

    /// Asks one witness, again from where it says it is when it is elsewhere.
    async fn ask<A: AskWitness>(
        &self,
        witnesses: &A,
        party: &Party,
        tree: &TreeReader,
        checkpoint: Arc<CheckpointNote>,
    ) -> Option<(Vec<u8>, NoteKey)> {
        let about = (party.clone(), checkpoint.checkpoint().origin.clone());
        let mut old_size = self.sizes().get(&about).copied().unwrap_or(0);
        // Twice is enough: the second time its own words are the start.
        for _ in 0..2 {
            let size = tree.head().size;
            let proof = tree.prove_consistency(old_size, size).ok()?;
            let question = Question { old_size, proof, checkpoint: Arc::clone(&checkpoint) };
            let asking = witnesses.ask(party, question);
            let answer = tokio::time::timeout(ANSWER_WITHIN, asking).await;
            match answer.unwrap_or(Answer::Failed("deadline")) {
                Answer::Cosigned { line, key } => {
                    self.sizes().insert(about, size);
                    return Some((line, key));
                }
                Answer::Last(last) => {
                    old_size = self.continues(tree, last.as_deref())?;
                    self.sizes().insert(about.clone(), old_size);
                }
                Answer::Failed(code) => {
                    tracing::warn!(%party, code, "a witness did not cosign; it is asked again");
                    return None;
                }
            }
        }
        None
    }

    /// The size of what a witness cosigned last, when this log begins with it.
    fn continues(&self, tree: &TreeReader, last: Option<&CheckpointNote>) -> Option<u64> {
        let Some(last) = last else { return Some(0) };
        // What somebody else signed says nothing about this log.
        last.signed_by(self.log.note_key()).ok()?;
        match compare(last, tree) {
            Ok(Ok(())) => Some(last.checkpoint().head.size),
            // Another round of ours may have come further than the tree of this one.
            Ok(Err(Contradiction::RolledBack { .. })) => {
                let now = self.log.tree();
                if let Ok(Err(contradiction)) = compare(last, &now) {
                    self.log.condemn(contradiction);
                }
                None
            }
            Ok(Err(contradiction)) => {
                self.log.condemn(contradiction);
                None
            }
            Err(_) => None,
        }
    }

    fn sizes(&self) -> MutexGuard<'_, BTreeMap<(Party, Box<str>), u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
