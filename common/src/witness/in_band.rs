//! Witnessing within each exchange: a request shows the caller's log, the answer shows that the callee's log has the entry of just this
//! exchange. Each side verifies, cosigns and keeps what it was shown before it uses what came with it.
//!
//! - The callee answers nothing to a caller whose log does not continue what it cosigned before.
//! - The caller uses no answer without a receipt: an entry of this exchange, in a log that continues what it cosigned before, under a
//!   checkpoint signed with the key that the other party vouches for. The receipt is on the caller's disk first.
//!
//! Calls of one pair of parties overtake each other. A checkpoint that continues what was cosigned when the call was made, while
//! another was cosigned in between, is believed and, with its receipt, kept; only it is not cosigned. Two such checkpoints that contradict
//! each other are found when the receipts are held against the log (`log verify --witness`, `log reconcile --witness`).
//!
//! Nothing here knows of HTTP: [`layer`](super::layer) carries it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Believed, NotCosigned,
    cosigned::Cosigned,
    grpc::{Refused, WitnessHost},
    keys::{LogKeys, NotVouched},
};
use crate::{
    audit::{AuditLog, Entry, LogShard, NotedEntry, Party},
    id::RequestId,
    keys::VerifyingKey,
    status::PeerFacing,
    telemetry::calls::AskedCalls,
    tlog::{NoteKey, TreeHead, TreeReader},
    wire::{
        WireError,
        pb::{self, witnessing::Outcome},
        witness as wire,
    },
};

/// What a program's exchanges stand on.
pub trait Exchanging: WitnessHost {
    /// The program's log.
    fn log(&self) -> &AuditLog;
    /// How much of it others have seen.
    fn cosigned(&self) -> &Cosigned;
    /// What is remembered between exchanges.
    fn in_band(&self) -> &InBand;
    /// Where its calls of other parties are counted.
    fn asked_calls(&self) -> &AskedCalls;
    /// The key that the agreement names for this program's own statements.
    fn own_statement_key(&self) -> Option<VerifyingKey>;
    /// A party's answer came without a good receipt: for information governance.
    fn no_receipt(&self, party: &Party) -> impl Future<Output = ()> + Send;
}

/// What is remembered between exchanges: only what saves looking again.
#[derive(Debug, Default)]
pub struct InBand {
    own: Mutex<Option<Own>>,
    vouched: Mutex<BTreeMap<Party, (VerifyingKey, pb::LogKeys, LogKeys)>>,
    signed: Mutex<Option<(TreeHead, Arc<[u8]>)>>,
    /// Whose answers had no good receipt since they last had one.
    without: Mutex<BTreeSet<Party>>,
}

#[derive(Debug)]
struct Own {
    statements: VerifyingKey,
    keys: LogKeys,
}

/// What a request showed, for whoever judges its answer.
#[derive(Debug, Clone)]
pub struct Sent {
    exchange: RequestId,
    seen_log: Box<str>,
    seen: u64,
    /// The own shard, and how long it was.
    shard: Box<str>,
    size: u64,
}

/// Why an answer is not used.
#[derive(Debug, thiserror::Error)]
pub enum NoReceipt {
    /// It has none.
    #[error("the answer has no receipt")]
    Missing,
    /// It is not well-formed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Its keys are not the party's.
    #[error("the keys are not vouched for: {0}")]
    NotVouched(#[from] NotVouched),
    /// Its entry is of another exchange, or in another party's log.
    #[error("the receipt is not of this exchange")]
    AnotherExchange,
    /// Its log is not what was asked about, or not what it was.
    #[error(transparent)]
    NotCosigned(#[from] NotCosigned),
    /// Something that can not fail did.
    #[error("the receipt could not be looked at")]
    Internal,
}

impl NoReceipt {
    /// Whether it says something about the party that answered. What it does not is this program's own trouble.
    fn is_theirs(&self) -> bool {
        match self {
            Self::Internal
            | Self::NotCosigned(NotCosigned::Io(_) | NotCosigned::TooMany)
            // So many were cosigned in the meantime that the one from which it starts is forgotten.
            | Self::NotCosigned(NotCosigned::Conflict { .. }) => false,
            Self::Missing
            | Self::Wire(_)
            | Self::NotVouched(_)
            | Self::AnotherExchange
            | Self::NotCosigned(_) => true,
        }
    }
}

/// The code of an answer that is not used.
pub const NO_RECEIPT: &str = "receipt_refused";
/// The code of an answer that can not be used, because what came with it can not be kept here.
pub const NOT_KEPT: &str = "receipt_not_kept";

impl PeerFacing for NoReceipt {
    fn code(&self) -> &'static str {
        if self.is_theirs() { NO_RECEIPT } else { NOT_KEPT }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        // Never one that says that the other side refused for good.
        if self.is_theirs() { tonic::Code::DataLoss } else { tonic::Code::Unavailable }
    }
}

/// What became of the checkpoint in a request.
#[derive(Debug)]
pub enum Heard {
    /// Believed, and on its way to the disk.
    Believed(Believed),
    /// Another one was cosigned last.
    Last(Vec<u8>),
}

impl Heard {
    /// What the answer says of it, once it is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn outcome(self) -> Result<Option<Outcome>, Refused> {
        match self {
            Self::Believed(believed) => {
                let kept = believed.kept().await;
                Ok(kept
                    .map_err(|error| Refused::NotCosigned(error.into()))?
                    .map(Outcome::Cosignature))
            }
            Self::Last(last) => Ok(Some(Outcome::Last(last))),
        }
    }
}

impl InBand {
    /// What a request of `exchange` to `to` shows; `None` when this program can not state its keys.
    #[must_use]
    pub fn show<H: Exchanging>(
        &self,
        host: &H,
        to: &Party,
        exchange: RequestId,
    ) -> Option<(pb::Witnessing, Sent)> {
        let (seen_log, seen) = host.witness().newest_of(to).unwrap_or_default();
        let log = host.log().newest_shard();
        let shard = log.origin().as_str().into();
        // Order matters: the tree is never behind what was cosigned of it.
        let old_size = host.cosigned().last_of(to, log.origin().as_str());
        let tree = log.tree();
        let size = tree.head().size;
        let message = pb::Witnessing {
            seen_log: seen_log.to_string(),
            seen,
            ..self.shown(host, log, &tree, old_size)?
        };
        Some((message, Sent { exchange, seen_log, seen, shard, size }))
    }

    /// How far a shard of the own log has come since it had `old_size` entries.
    fn shown<H: Exchanging>(
        &self,
        host: &H,
        log: LogShard<'_>,
        tree: &TreeReader,
        old_size: u64,
    ) -> Option<pb::Witnessing> {
        let proof = tree.prove_consistency(old_size, tree.head().size).ok()?;
        Some(pb::Witnessing {
            keys: Some(self.own_keys(host, log.note_key())?),
            old_size,
            proof: wire::from_proof(&proof),
            checkpoint: self.checkpoint(host, tree)?.to_vec(),
            ..pb::Witnessing::default()
        })
    }

    /// One signature vouches for everybody who is shown the same tree.
    fn checkpoint<H: Exchanging>(&self, host: &H, tree: &TreeReader) -> Option<Arc<[u8]>> {
        let head = tree.head();
        let mut signed = lock(&self.signed);
        if let Some((known, bytes)) = &*signed
            && *known == head
        {
            return Some(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = host.log().sign(tree).ok()?.to_bytes().ok()?.into();
        *signed = Some((head, Arc::clone(&bytes)));
        Some(bytes)
    }

    fn own_keys<H: Exchanging>(&self, host: &H, log: &NoteKey) -> Option<pb::LogKeys> {
        let statements = host.own_statement_key()?;
        let mut own = lock(&self.own);
        // What was stated with a key holds as long as the agreement names the key.
        if own.as_ref().is_none_or(|own| own.statements != statements || own.keys.log != *log) {
            *own = Some(Own { statements, keys: host.own_keys_with(log)? });
        }
        own.as_ref().map(|own| (&own.keys).into())
    }

    /// A party's keys, which it has vouched for.
    fn keys_of<H: WitnessHost>(
        &self,
        host: &H,
        party: &Party,
        stated: Option<pb::LogKeys>,
    ) -> Result<LogKeys, NoReceipt> {
        let stated = stated.ok_or(WireError::Missing("keys"))?;
        let key = host.statement_key(party).ok_or(NotVouched::OtherParty)?;
        if let Some((by, known, keys)) = lock(&self.vouched).get(party)
            && (by, known) == (&key, &stated)
        {
            return Ok(keys.clone());
        }
        let keys: LogKeys = stated.clone().try_into()?;
        keys.verify(host.trust_domain(), party, &key)?;
        lock(&self.vouched).insert(party.clone(), (key, stated, keys.clone()));
        Ok(keys)
    }

    /// Hears what a request of `from` shows.
    ///
    /// # Errors
    /// When the request is not to be answered: its log is not vouched for, or does not continue what it was.
    pub async fn hear<H: Exchanging>(
        &self,
        host: &Arc<H>,
        from: &Party,
        message: &pb::Witnessing,
    ) -> Result<Heard, Refused> {
        let keys =
            self.keys_of(&**host, from, message.keys.clone()).map_err(|error| match error {
                NoReceipt::Wire(error) => Refused::Wire(error),
                NoReceipt::NotVouched(error) => Refused::NotVouched(error),
                _ => Refused::Internal,
            })?;
        let (_, shown) = wire::to_shown(message)?;
        let (looking, now) = (Arc::clone(host), host.now());
        let look = move || looking.witness().look(&keys.log, shown, now);
        match tokio::task::spawn_blocking(look).await.map_err(|_| Refused::Internal)? {
            Ok(believed) => Ok(Heard::Believed(believed)),
            Err(NotCosigned::Conflict { kept }) => {
                let last = kept.map(|kept| kept.to_bytes()).transpose();
                Ok(Heard::Last(last.map_err(|_| Refused::Internal)?.unwrap_or_default()))
            }
            Err(error) => {
                if matches!(error, NotCosigned::Inconsistent { .. }) {
                    tracing::error!(party = %from, "a log does not continue what it was; its checkpoint is kept");
                    host.inconsistent(from).await;
                }
                Err(Refused::NotCosigned(error))
            }
        }
    }

    /// The receipt of an exchange, of what was noted while it was answered; `None` when nothing of it was recorded.
    #[must_use]
    pub fn receipt<H: Exchanging>(
        &self,
        host: &H,
        exchange: &RequestId,
        asked: &pb::Witnessing,
        noted: Vec<NotedEntry>,
    ) -> Option<pb::Witnessing> {
        let entry = noted.into_iter().rfind(|entry| entry.exchange().as_ref() == Some(exchange))?;
        // Its own shard, though another may be written by now. The tree holds the entry before anybody is told of it.
        let log = host.log().shard_behind(entry.base)?;
        let tree = log.tree();
        let size = tree.head().size;
        let is_this_log = asked.seen_log == log.origin().as_str();
        // A size beyond the end: the caller has seen more of this log than there is. It has to say so itself, with what it kept.
        let old_size = if is_this_log && asked.seen <= size { asked.seen } else { 0 };
        let inclusion = tree.prove_inclusion(entry.seq, size).ok()?;
        Some(pb::Witnessing {
            entry: entry.json.into(),
            index: entry.seq,
            inclusion: wire::from_proof(&inclusion),
            ..self.shown(host, log, &tree, old_size)?
        })
    }

    /// Judges the receipt in an answer of `from`: when it is good, what was cosigned of it is kept, and the answer may be used.
    ///
    /// # Errors
    /// When the answer may not be used; information governance has been told.
    pub async fn judge<H: Exchanging>(
        &self,
        host: &Arc<H>,
        from: &Party,
        sent: &Sent,
        answer: Option<pb::Witnessing>,
    ) -> Result<(), NoReceipt> {
        let judged = self.judged(host, from, sent, answer).await;
        match &judged {
            Ok(()) => _ = lock(&self.without).remove(from),
            Err(NoReceipt::NotCosigned(NotCosigned::Inconsistent { .. })) => {
                tracing::error!(party = %from, "a log does not continue what it was; its checkpoint is kept");
                host.inconsistent(from).await;
            }
            Err(error) if error.is_theirs() => {
                tracing::error!(party = %from, %error, "an answer has no good receipt; it is not used");
                // Once until it has a good one again: what is asked again and again says nothing new.
                let is_first = lock(&self.without).insert(from.clone());
                if is_first {
                    host.no_receipt(from).await;
                }
            }
            Err(error) => tracing::warn!(party = %from, %error, "an answer can not be used"),
        }
        judged
    }

    async fn judged<H: Exchanging>(
        &self,
        host: &Arc<H>,
        from: &Party,
        sent: &Sent,
        answer: Option<pb::Witnessing>,
    ) -> Result<(), NoReceipt> {
        let answer = answer.ok_or(NoReceipt::Missing)?;
        let keys = self.keys_of(&**host, from, answer.keys.clone())?;
        let (_, mut shown) = wire::to_shown(&answer)?;
        // It continues what it was asked to continue, and nothing that the other side chose.
        let is_same_log = keys.log.key_name() == &*sent.seen_log;
        let expected = if is_same_log { sent.seen } else { 0 };
        if shown.old_size != expected {
            if is_same_log && shown.note.checkpoint().head.size < expected {
                shown.note.signed_by(&keys.log).map_err(NotCosigned::from)?;
                // Signed, and shorter than what it has signed before: it was put back.
                return Err(self.rolled_back(host, keys, shown).await);
            }
            return Err(NoReceipt::AnotherExchange);
        }
        let entry = wire::to_shown_entry(&answer, &sent.exchange)?;
        let says = Entry::decode(&entry.json).map_err(|_| NoReceipt::AnotherExchange)?;
        if says.exchange.as_ref() != Some(&sent.exchange)
            || says.node != *from
            || says.seq != entry.index
        {
            return Err(NoReceipt::AnotherExchange);
        }
        shown.entry = Some(entry);
        let (looking, now) = (Arc::clone(host), host.now());
        let look = move || looking.witness().look(&keys.log, shown, now);
        let believed =
            tokio::task::spawn_blocking(look).await.map_err(|_| NoReceipt::Internal)??;
        believed.kept().await.map_err(NotCosigned::from)?;
        match &answer.outcome {
            Some(Outcome::Cosignature(_)) => {
                host.cosigned().was_cosigned(from, &sent.shard, sent.size)
            }
            // An empty one says that none was cosigned yet.
            Some(Outcome::Last(last)) => {
                let last = wire::to_checkpoint(last).ok();
                host.cosigned().cosigned_last(from, &sent.shard, last.as_ref());
            }
            None => {}
        }
        Ok(())
    }

    /// Keeps the checkpoint of a log that was put back as evidence: held against what was cosigned last, it proves nothing.
    async fn rolled_back<H: Exchanging>(
        &self,
        host: &Arc<H>,
        keys: LogKeys,
        shown: super::Shown,
    ) -> NoReceipt {
        let (looking, now) = (Arc::clone(host), host.now());
        let look = move || {
            let witness = looking.witness();
            let old_size = witness.kept(&keys.log).map_or(0, |kept| kept.checkpoint().head.size);
            witness.look(&keys.log, super::Shown { old_size, proof: Vec::new(), ..shown }, now)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) | Err(_) => NoReceipt::AnotherExchange,
        }
    }
}

/// What these locks guard is whole at every moment, so one that a panic left is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
