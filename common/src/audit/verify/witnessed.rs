//! Holding a log against what it has signed before: its own checkpoints, and those that witnesses remember.
//!
//! The segments show that nothing was changed, inserted or taken out of the middle. Checkpoints show that nothing was cut off the end, or
//! written anew by whoever has the log's key, since a witness saw it. How far that reaches is in [`Witnessed`].

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::VerifyError;
use crate::{
    audit::checkpoints::{self, Contradiction, compare},
    time::Timestamp,
    tlog::{CheckpointNote, NoteKey, Policy, TreeReader, policy::NotAccepted},
    witness,
};

/// What checkpoints say of a log that agrees with all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// How many checkpoints were held against it.
    pub n_checkpoints: usize,
    /// The largest that the policy accepts; absent without a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// Entries behind it, which no quorum has seen yet: all of them, without a policy.
    pub n_unseen: u64,
}

/// A checkpoint that a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// How many entries it is over.
    pub size: u64,
    /// The witnesses whose cosignatures are good, by the names of their keys.
    pub by: Vec<String>,
    /// When the last of them saw it, by its own clock; absent when the policy asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Holds a log that is in order, with this tree, against its checkpoints in `dir`, against the folders of `witnesses`, and, with a
/// policy, asks for a checkpoint that it accepts.
///
/// # Errors
/// The first contradiction; that no checkpoint is accepted; or that a file can not be read.
pub fn check(
    dir: &Path,
    log: &NoteKey,
    tree: &TreeReader,
    policy: Option<&Policy>,
    witnesses: &[PathBuf],
) -> Result<Witnessed, VerifyError> {
    let mut found = Found { log, tree, policy, n: 0, accepted: None, refused: None };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| VerifyError::Io { path, source }
    };
    let contradicted = |contradiction| VerifyError::Contradicted { witness: None, contradiction };
    let own = checkpoints::read(dir).map_err(io(dir))?.map_err(contradicted)?;
    for (offset, note) in own {
        if note.signed_by(log).is_err() {
            return Err(contradicted(Contradiction::NotOurs { offset }));
        }
        found.take(&note).map_err(io(dir))?.map_err(contradicted)?;
    }
    for folder in witnesses {
        for note in witness::kept_in(folder, log.key_name()).map_err(io(folder))? {
            // What the log has not signed says nothing about it.
            if note.signed_by(log).is_err() {
                continue;
            }
            found.take(&note).map_err(io(folder))?.map_err(|contradiction| {
                VerifyError::Contradicted { witness: Some(folder.clone()), contradiction }
            })?;
        }
    }
    if policy.is_some() && found.accepted.is_none() {
        return Err(VerifyError::NotAccepted(found.refused));
    }
    let seen = found.accepted.as_ref().map_or(0, |accepted| accepted.size);
    let n_unseen = tree.head().size - seen;
    Ok(Witnessed { n_checkpoints: found.n, accepted: found.accepted, n_unseen })
}

struct Found<'a> {
    log: &'a NoteKey,
    tree: &'a TreeReader,
    policy: Option<&'a Policy>,
    n: usize,
    accepted: Option<Accepted>,
    refused: Option<NotAccepted>,
}

impl Found<'_> {
    fn take(&mut self, note: &CheckpointNote) -> std::io::Result<Result<(), Contradiction>> {
        debug_assert_eq!(*note.checkpoint().origin, *self.log.key_name());
        if let Err(contradiction) = compare(note, self.tree)? {
            return Ok(Err(contradiction));
        }
        self.n += 1;
        let size = note.checkpoint().head.size;
        let larger = self.accepted.as_ref().is_none_or(|known| known.size <= size);
        if let Some(policy) = self.policy.filter(|_| larger) {
            match policy.accept(note) {
                Ok(seen) => {
                    let by = seen.iter().map(|one| one.key.key_name().to_owned()).collect();
                    let at = seen.iter().map(|one| one.at).max();
                    self.accepted = Some(Accepted { size, by, at });
                }
                Err(why) => self.refused = Some(why),
            }
        }
        Ok(Ok(()))
    }
}
