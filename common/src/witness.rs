//! A witness of other parties' logs: it remembers how far it has seen each, and cosigns only what continues that.
//!
//! INVARIANTS
//! - Of one log, a witness never cosigns two histories: a checkpoint is cosigned only with a proof that it begins with all of the one
//!   cosigned before (C2SP tlog-witness, `add-checkpoint`).
//! - What was cosigned is on the disk, synced, before the cosignature leaves; what it says never goes back.
//! - A checkpoint that a log has signed and that does not continue what it signed before is kept: the two together are the evidence.
//!
//! One call at a time changes a witness, so two checkpoints of one log can not both be held against the same earlier one.
//!
//! [`keys`] is how a party's log and witness keys are vouched for; [`cosigned`] is the other side, the log that wants to be witnessed;
//! [`grpc`] carries both between programs; [`in_band`] does it with each exchange, and [`layer`] puts that around hub and nodes.
//! [`gap`] asks what others have seen of a log that was put back from a backup.
//! [`journal`] is what a witness has on the disk, [`receipt`] what others have promised it.

pub mod cosigned;
pub mod gap;
pub mod grpc;
pub mod in_band;
pub mod journal;
pub mod keys;
pub mod layer;
pub mod receipt;

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use self::{
    journal::{Item, Journal, Ticket},
    receipt::Receipt,
};
use crate::{
    audit::{Digest, Origin, Party},
    durable::dirs,
    id::RequestId,
    keys::SigningKey,
    time::Timestamp,
    tlog::{
        CheckpointNote, Hash, NoteKey, Proof, TreeHead, checkpoint::CheckpointError,
        tree::NotProven,
    },
};

/// The folder of a witness, within a program's data.
pub const FOLDER: &str = "witness";
/// In it: the witness's verifier key, for whoever writes a policy.
pub const KEY_FILE: &str = "witness.pub";
/// Below it: what was refused.
const REFUSED: &str = "refused";
/// The most refused checkpoints that are kept; whoever signs more of them is in breach already.
const MAX_REFUSED: usize = 1000;
/// The most logs that are remembered: those of a partnership, and of its years.
const MAX_LOGS: usize = 10_000;
/// How many of the heads that were cosigned last are remembered of each log, so that what was under way when one was is still held
/// against the one before. More than the calls that one party has under way at a time.
const MAX_RECENT: usize = 256;

/// Why a checkpoint was not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// Not signed by the log, or malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The caller started from another size than the one that was cosigned last.
    #[error("the last checkpoint that was cosigned has another size")]
    Conflict {
        /// The checkpoint that was cosigned last; `None`: none was.
        kept: Option<Box<CheckpointNote>>,
    },
    /// It does not begin with what was cosigned before.
    #[error("the checkpoint does not continue the one that was cosigned before")]
    Inconsistent {
        /// The checkpoint that was cosigned last.
        kept: Box<CheckpointNote>,
    },
    /// The log of this name has another key.
    #[error("a log of this name is known under another key")]
    AnotherKey,
    /// The entry that a receipt is for is not where it says.
    #[error("the entry of the exchange is not in the log that the checkpoint is of")]
    NoEntry(#[from] NotProven),
    /// There are too many logs.
    #[error("too many logs are witnessed here")]
    TooMany,
    /// The disk failed; nothing was cosigned.
    #[error("what was witnessed can not be kept")]
    Io(#[from] io::Error),
}

/// Remembers and cosigns.
#[derive(Debug)]
pub struct Witness {
    dir: PathBuf,
    public: NoteKey,
    key: SigningKey,
    journal: Journal,
    /// By the log's name.
    memory: Mutex<HashMap<Box<str>, Memory>>,
}

/// What is remembered of one log.
#[derive(Debug)]
struct Memory {
    /// What was cosigned last, with the own line.
    kept: CheckpointNote,
    /// The log's key, once it is known.
    log: Option<NoteKey>,
    /// What was cosigned before, and last; the newest at the end.
    recent: VecDeque<TreeHead>,
}

/// A checkpoint that somebody shows, and what it is said to continue.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The size of the one that is believed to have been cosigned last; 0: none was.
    pub old_size: u64,
    /// That the log has grown from there (RFC 6962, section 2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint.
    pub note: CheckpointNote,
    /// The entry that the checkpoint is shown for.
    pub entry: Option<ShownEntry>,
}

/// An entry of an exchange, with its place.
#[derive(Debug, Clone)]
pub struct ShownEntry {
    /// The exchange.
    pub exchange: RequestId,
    /// Its canonical bytes.
    pub json: Vec<u8>,
    /// Its number.
    pub index: u64,
    /// That it is in the log that the checkpoint is of.
    pub proof: Vec<Hash>,
}

/// A checkpoint that is believed.
#[derive(Debug)]
pub struct Believed {
    /// The line of this witness; `None` when another checkpoint of the log was cosigned in between, so that this one is only known to
    /// continue what was cosigned before.
    pub line: Option<Vec<u8>>,
    ticket: Ticket,
}

impl Believed {
    /// Waits until it is on the disk. Nothing may follow from it before that.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn kept(self) -> io::Result<Option<Vec<u8>>> {
        self.ticket.redeem().await?;
        Ok(self.line)
    }
}

impl Witness {
    /// Opens a witness's folder, and makes it where there is none.
    ///
    /// # Errors
    /// When the disk fails, or what is remembered is damaged, or was not written by this witness: start it with the files that it had.
    pub fn open(dir: PathBuf, public: NoteKey, key: SigningKey) -> io::Result<Self> {
        dirs::create_dirs(&dir.join(REFUSED))?;
        fs::write(dir.join(KEY_FILE), format!("{public}\n"))?;
        let is_memory = |item: &Item| item.checkpoint().has_line_of(&public);
        let (journal, items) = Journal::open(&dir.join(journal::FOLDER), is_memory)?;
        let mut memory = HashMap::new();
        for note in items.iter().filter(|item| is_memory(item)).map(Item::checkpoint) {
            let recent = VecDeque::from([note.checkpoint().head]);
            let one = Memory { kept: note.clone(), log: None, recent };
            memory.insert(note.checkpoint().origin.clone(), one);
        }
        // The witness believes only what it has cosigned itself: a file that anybody else wrote is no memory.
        for Memory { kept, .. } in memory.values() {
            let own = kept.cosignatures(std::slice::from_ref(&public));
            if !own.is_ok_and(|own| !own.is_empty()) {
                let what = "a remembered checkpoint is not one that this witness cosigned";
                return Err(io::Error::other(what));
            }
        }
        Ok(Self { dir, public, key, journal, memory: Mutex::new(memory) })
    }

    /// The witness's public key.
    #[must_use]
    pub const fn public(&self) -> &NoteKey {
        &self.public
    }

    /// Cosigns a checkpoint of `log` that continues the one of `old_size`, which was cosigned last (0: none was). The line, without
    /// its new line. Blocking.
    ///
    /// # Errors
    /// See [`NotCosigned`].
    pub fn add(
        &self,
        log: &NoteKey,
        old_size: u64,
        proof: &[Hash],
        note: CheckpointNote,
        now: Timestamp,
    ) -> Result<Vec<u8>, NotCosigned> {
        let shown = Shown { old_size, proof: proof.to_vec(), note, entry: None };
        let believed = self.look(log, shown, now)?;
        let Some(line) = believed.line else {
            return Err(NotCosigned::Conflict { kept: self.kept(log).map(Box::new) });
        };
        // Order matters: remembered before anybody can hold the cosignature against us.
        believed.ticket.redeem_blocking()?;
        Ok(line)
    }

    /// Looks at a checkpoint of `log`: cosigns it when it continues the one that was cosigned last, and believes it when it
    /// continues one that was cosigned a little earlier. What is believed is on its way to the disk. Computes, and blocks when it
    /// refuses.
    ///
    /// # Errors
    /// See [`NotCosigned`].
    pub fn look(
        &self,
        log: &NoteKey,
        shown: Shown,
        now: Timestamp,
    ) -> Result<Believed, NotCosigned> {
        let Shown { old_size, proof, mut note, entry } = shown;
        let mut all = self.memory();
        let n_logs = all.len();
        let memory = all.get_mut(log.key_name());
        let mut is_known = false;
        if let Some(memory) = &memory {
            match &memory.log {
                Some(known) if known == log => {}
                None if memory.kept.signed_by(log).is_ok() => {}
                Some(_) | None => return Err(NotCosigned::AnotherKey),
            }
            // It was verified when it was cosigned.
            is_known = *note.checkpoint().origin == *log.key_name()
                && memory.recent.contains(&note.checkpoint().head);
        }
        if !is_known {
            note.signed_by(log)?;
        }
        let head = note.checkpoint().head;
        if let Some(entry) = &entry {
            head.check_inclusion(entry.index, Hash::of_leaf(&entry.json), &entry.proof)?;
        }
        let kept = memory.as_ref().map(|memory| memory.kept.clone());
        let last = kept.as_ref().map_or(TreeHead::EMPTY, |kept| kept.checkpoint().head);
        let mut earlier = (last.size == old_size).then_some(last);
        if let Some(memory) = &memory
            && earlier.is_none()
        {
            // Everything continues nothing: the first exchanges of two parties may overtake each other.
            let empty = entry.as_ref().map(|_| &TreeHead::EMPTY);
            let mut recent = memory.recent.iter().rev().chain(empty);
            earlier = recent.find(|head| head.size == old_size).copied();
        }
        // Two roots of one size are two histories, whatever it is said to continue.
        let is_fork = |known: &TreeHead| known.size == head.size && known.root != head.root;
        if let Some(memory) = &memory
            && let Some(kept) = kept.as_ref()
            && memory.recent.iter().any(is_fork)
        {
            self.keep_refused(log, &note)?;
            return Err(NotCosigned::Inconsistent { kept: Box::new(kept.clone()) });
        }
        let Some(earlier) = earlier else {
            return Err(NotCosigned::Conflict { kept: kept.map(Box::new) });
        };
        if let Err(_not_proven) = head.check_consistency(&earlier, &proof) {
            let Some(kept) = kept.filter(|_| earlier != TreeHead::EMPTY) else {
                return Err(CheckpointError::Malformed.into());
            };
            self.keep_refused(log, &note)?;
            return Err(NotCosigned::Inconsistent { kept: Box::new(kept) });
        }
        let continues = earlier == last;
        let line = if continues {
            if memory.is_none() && n_logs >= MAX_LOGS {
                return Err(NotCosigned::TooMany);
            }
            Some(note.cosign(&self.public, now, &self.key)?)
        } else {
            note.drop_lines_of(&self.public);
            None
        };
        // Under the lock: the order on the disk is that in which it came about.
        let item = match entry {
            Some(ShownEntry { exchange, json, index, proof }) => {
                let proof = Proof { index, hashes: proof, checkpoint: note.clone() };
                Item::Receipt(Box::new(Receipt::new(exchange, &json, proof)))
            }
            None => Item::Cosigned(note.clone()),
        };
        let ticket = match (&item, continues) {
            (_, true) => self.journal.put(&item, journal::Memory::New)?,
            (Item::Receipt(_), false) => self.journal.put(&item, journal::Memory::Same)?,
            // What was cosigned since is on its way; of this one nothing follows.
            (Item::Cosigned(_), false) => self.journal.wait()?,
        };
        if continues {
            let mut recent =
                memory.map_or_else(VecDeque::new, |memory| std::mem::take(&mut memory.recent));
            if recent.back() != Some(&head) {
                recent.push_back(head);
            }
            if recent.len() > MAX_RECENT {
                recent.pop_front();
            }
            let log_key = Some(log.clone());
            all.insert(log.key_name().into(), Memory { kept: note, log: log_key, recent });
        }
        Ok(Believed { line, ticket })
    }

    /// The checkpoint of a log that was cosigned last.
    #[must_use]
    pub fn kept(&self, log: &NoteKey) -> Option<CheckpointNote> {
        self.memory().get(log.key_name()).map(|memory| memory.kept.clone())
    }

    /// The newest log of a party that is remembered, and how much of it was cosigned last. The newest is the one whose shard comes
    /// last: of numbers the greatest, of years the latest.
    #[must_use]
    pub fn newest_of(&self, party: &Party) -> Option<(Box<str>, u64)> {
        let memory = self.memory();
        let of_party = memory.iter().filter_map(|(name, memory)| {
            let origin: Origin = name.parse().ok()?;
            let shard = origin.shard().to_owned();
            (origin.party() == party).then_some((shard.len(), shard, name, memory))
        });
        let newest = of_party.max_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        newest.map(|(_, _, name, memory)| (name.clone(), memory.kept.checkpoint().head.size))
    }

    /// Whether what was witnessed last could be kept, as it changes.
    #[must_use]
    pub fn keeps(&self) -> watch::Receiver<bool> {
        self.journal.keeps()
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Box<str>, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_refused(&self, log: &NoteKey, note: &CheckpointNote) -> io::Result<()> {
        let dir = self.dir.join(REFUSED);
        if fs::read_dir(&dir)?.count() >= MAX_REFUSED {
            return Ok(());
        }
        let bytes = note.to_bytes().map_err(io::Error::other)?;
        let name = format!("{}-{}", file_name(log.key_name()), Digest::of(&bytes));
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(dir.join(name)) {
            Ok(mut file) => {
                file.write_all(&bytes)?;
                file.sync_all()?;
                dirs::sync_dir(&dir)
            }
            // The same one again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The name of the file about a log: of any origin, a name without a separator.
#[must_use]
pub fn file_name(origin: &str) -> String {
    Digest::of(origin.as_bytes()).to_string()
}

/// Every checkpoint of the log `origin` that a witness has seen, from its folder: those that it cosigned, those that came with
/// receipts, and those that it refused. Nothing is verified: whoever reads holds them against the log.
///
/// # Errors
/// When a file can not be read, or there is no witness's folder.
pub fn kept_in(dir: &Path, origin: &str) -> io::Result<Vec<CheckpointNote>> {
    let mut notes: Vec<CheckpointNote> = Vec::new();
    journal::read(dir, &mut |item| {
        let note = item.checkpoint();
        let is_new = notes.last().is_none_or(|last| last.checkpoint() != note.checkpoint());
        if *note.checkpoint().origin == *origin && is_new {
            notes.push(note.clone());
        }
    })?;
    let name = file_name(origin);
    let files = match fs::read_dir(dir.join(REFUSED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(notes),
        other => other?,
    };
    for file in files {
        let file = file?;
        if file.file_name().to_str().is_some_and(|found| found.starts_with(&name)) {
            let note = CheckpointNote::parse(&fs::read(file.path())?);
            notes.push(note.map_err(io::Error::other)?);
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests;
