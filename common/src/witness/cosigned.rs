//! The other side of witnessing: a log asks witnesses to cosign how far it has come, and knows how much of it a quorum has seen.
//!
//! A round signs one checkpoint, asks all witnesses for it at the same time, and keeps the note with what came back once the quorum
//! is met. What needs a witnessed log ([`Cosigned::everything`]) waits for a round that covers it.
//!
//! A witness that answers with a later checkpoint of ours, or another one, shows that this log has been put back or rewritten: the log
//! is then condemned, and records nothing more.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{Notify, watch};

use crate::{
    audit::{AuditLog, LogError, Party, checkpoints::compare},
    tlog::{CheckpointNote, Hash, NoteKey, Policy, TreeReader},
};

/// How long one witness has to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// With how many checkpoints a round tries, where witnesses have seen more by the time that they are asked.
const MAX_CHECKPOINTS: usize = 8;

/// What came of asking with one checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Asking again at once would come to the same.
    Ended,
    /// A newer checkpoint was cosigned meanwhile.
    Overtaken,
}

/// Who is asked to cosign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A party: the hub or a node.
    Party(Party),
    /// A witness that is no party, by the name of its key.
    Independent(Box<str>),
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(party) => party.fmt(f),
            Self::Independent(name) => f.pad(name),
        }
    }
}

/// What a witness is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The shard's key.
    pub log: NoteKey,
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
    fn witnesses(&self) -> Vec<Asked>;
    /// Asks one.
    fn ask(&self, witness: &Asked, question: Question) -> impl Future<Output = Answer> + Send;
}

/// Which witnesses must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quorum {
    /// All of these parties.
    All(Vec<Party>),
    /// More than half of the parties that are asked.
    Majority,
    /// Whom the operator's policy names.
    Policy(Box<Policy>),
}

impl Quorum {
    fn is_met(&self, asked: &[Asked], by: &[Asked], note: &CheckpointNote) -> bool {
        let n_parties =
            |all: &[Asked]| all.iter().filter(|one| matches!(one, Asked::Party(_))).count();
        match self {
            Self::All(needed) => {
                needed.iter().all(|party| by.contains(&Asked::Party(party.clone())))
            }
            Self::Majority => n_parties(by) * 2 > n_parties(asked),
            Self::Policy(policy) => policy.is_cosigned(note).is_ok(),
        }
    }
}

/// How much of a log witnesses have seen.
#[derive(Debug)]
pub struct Cosigned {
    log: AuditLog,
    quorum: Quorum,
    /// The size of each shard that each witness has cosigned last, as far as is known.
    sizes: Mutex<BTreeMap<(Asked, Box<str>), u64>>,
    /// Through all shards.
    size: watch::Sender<u64>,
    wanted: Notify,
}

impl Cosigned {
    /// For a log, of which nothing is known to be witnessed yet but what was kept.
    #[must_use]
    pub fn new(log: AuditLog, quorum: Quorum) -> Self {
        let kept = log.latest_checkpoint().filter(|note| match &quorum {
            // What was kept before may have been kept for another quorum.
            Quorum::Policy(policy) => policy.is_cosigned(note).is_ok(),
            Quorum::All(_) | Quorum::Majority => true,
        });
        let size = watch::Sender::new(kept.map_or(0, |note| log.n_vouched(&note)));
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

    /// The size of what a party has cosigned last of a shard, as far as is known; 0: nothing.
    #[must_use]
    pub fn last_of(&self, party: &Party, shard: &str) -> u64 {
        self.sizes().get(&(Asked::Party(party.clone()), shard.into())).copied().unwrap_or(0)
    }

    /// A party has cosigned a shard when it had `size` entries.
    pub(super) fn was_cosigned(&self, party: &Party, shard: &str, size: u64) {
        let mut sizes = self.sizes();
        let last = sizes.entry((Asked::Party(party.clone()), shard.into())).or_default();
        *last = size.max(*last);
    }

    /// A party says what it has cosigned of a shard last; when that is not what this log is, the log is condemned.
    pub(super) fn cosigned_last(&self, party: &Party, shard: &str, last: Option<&CheckpointNote>) {
        if let Some(size) = self.continues(shard, last) {
            self.was_cosigned(party, shard, size);
        }
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

    /// One round: one checkpoint, all witnesses; and again with a newer one when a witness has seen more by then, as it does with each
    /// exchange, and too few have cosigned without it.
    pub async fn round<A: AskWitness>(&self, witnesses: &A) {
        for _ in 0..MAX_CHECKPOINTS {
            if self.attempt(witnesses).await != Attempt::Overtaken {
                return;
            }
        }
    }

    async fn attempt<A: AskWitness>(&self, witnesses: &A) -> Attempt {
        let shard = self.log.newest_shard();
        let tree = shard.tree();
        let Ok(checkpoint) = self.log.sign(&tree) else { return Attempt::Ended };
        let mut note = checkpoint.clone();
        let checkpoint = Arc::new(checkpoint);
        let asked = witnesses.witnesses();
        let mut answers: FuturesUnordered<_> = asked
            .iter()
            .map(|witness| {
                let (tree, checkpoint) = (Arc::clone(&tree), Arc::clone(&checkpoint));
                let log = shard.note_key().clone();
                async move {
                    let answer = self.ask(witnesses, witness, (log, &tree), checkpoint).await;
                    (witness.clone(), answer)
                }
            })
            .collect();
        let mut by = Vec::new();
        let mut n_kept = 0;
        let mut is_overtaken = false;
        // The quorum is believed as soon as it is met: one witness that hangs must not hold up a release.
        while let Some((witness, answer)) = answers.next().await {
            match answer {
                Ok((line, key)) if note.add(&line, &key).is_ok() => {
                    self.is_in_policy(&witness, &key);
                    by.push(witness);
                }
                Ok(_) => {
                    tracing::warn!(%witness, "a witness's cosignature does not verify");
                    continue;
                }
                Err(attempt) => {
                    is_overtaken |= attempt == Attempt::Overtaken;
                    continue;
                }
            }
            if n_kept == 0 && self.quorum.is_met(&asked, &by, &note) && self.keep(&note).await {
                n_kept = by.len();
            }
        }
        if n_kept > 0 && by.len() > n_kept {
            // Those that came after the quorum are evidence too.
            self.keep(&note).await;
        }
        if is_overtaken && n_kept == 0 { Attempt::Overtaken } else { Attempt::Ended }
    }

    /// Says it to the operator when the policy names another key for a witness: its cosignatures count for nothing then.
    fn is_in_policy(&self, witness: &Asked, key: &NoteKey) {
        let Quorum::Policy(policy) = &self.quorum else { return };
        let of_name = policy.witnesses().filter(|known| known.key_name() == key.key_name());
        let of_name: Vec<&NoteKey> = of_name.collect();
        if !of_name.is_empty() && !of_name.contains(&key) {
            tracing::error!(%witness, %key, "the policy names another key for this witness");
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
        witness: &Asked,
        (log, tree): (NoteKey, &TreeReader),
        checkpoint: Arc<CheckpointNote>,
    ) -> Result<(Vec<u8>, NoteKey), Attempt> {
        let shard = checkpoint.checkpoint().origin.clone();
        let about = (witness.clone(), shard.clone());
        let mut old_size = self.sizes().get(&about).copied().unwrap_or(0);
        // Twice is enough: the second time its own words are the start.
        for _ in 0..2 {
            let size = tree.head().size;
            if old_size > size {
                return Err(Attempt::Overtaken);
            }
            let proof = tree.prove_consistency(old_size, size).map_err(|_| Attempt::Ended)?;
            let (log, checkpoint) = (log.clone(), Arc::clone(&checkpoint));
            let question = Question { log, old_size, proof, checkpoint };
            let asking = witnesses.ask(witness, question);
            let answer = tokio::time::timeout(ANSWER_WITHIN, asking).await;
            match answer.unwrap_or(Answer::Failed("deadline")) {
                Answer::Cosigned { line, key } => {
                    self.sizes().insert(about, size);
                    return Ok((line, key));
                }
                Answer::Last(last) => {
                    old_size = self.continues(&shard, last.as_deref()).ok_or(Attempt::Ended)?;
                    self.sizes().insert(about.clone(), old_size);
                }
                Answer::Failed(code) => {
                    tracing::warn!(%witness, code, "a witness did not cosign; it is asked again");
                    return Err(Attempt::Ended);
                }
            }
        }
        // Both times something was cosigned in between.
        Err(Attempt::Overtaken)
    }

    /// The size of what a witness cosigned last of a shard, when the shard begins with it.
    fn continues(&self, shard: &str, last: Option<&CheckpointNote>) -> Option<u64> {
        let Some(last) = last.filter(|last| *last.checkpoint().origin == *shard) else {
            // Of nothing; what is said of another shard answers another question.
            return last.is_none().then_some(0);
        };
        // What somebody else signed says nothing about this log.
        let signed = self.log.shard_signed_in(last)?;
        match compare(last, &signed.tree()) {
            Ok(Ok(())) => Some(last.checkpoint().head.size),
            Ok(Err(contradiction)) => {
                self.log.condemn(contradiction);
                None
            }
            Err(_) => None,
        }
    }

    fn sizes(&self) -> MutexGuard<'_, BTreeMap<(Asked, Box<str>), u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
