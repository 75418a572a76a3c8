//! Checkpoints: what a log says of itself, and who has seen it (C2SP tlog-checkpoint).
//!
//! The text is three lines: the log's origin, how many entries it has, and the root of its tree. It is signed by the log and cosigned
//! by witnesses. A note that is parsed is not yet believed: [`CheckpointNote::signed_by`] and
//! [`Policy::accept`](super::Policy::accept) say who vouches for it.

use signed_note::{Note, Signature, Verifier as _, VerifierList};

use super::{
    key::{KeyKind, NoteKey, cosigned_at},
    tree::{Hash, MAX_SIZE, TreeHead},
};
use crate::{keys::SigningKey, time::Timestamp};

/// The longest note, in bytes; room for some sixty signature lines.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;

/// The most signature lines that are looked at (C2SP signed-note asks for at least 16).
pub const MAX_SIGNATURES: usize = 64;

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: Box<str>,
    /// Size and root.
    pub head: TreeHead,
}

/// Bytes that are not a checkpoint, or not a believable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, not a checkpoint, too long, or with too many signatures.
    #[error("not a checkpoint: expected origin, size and root, a blank line, and signature lines")]
    Malformed,
    /// The log has not signed it, or the signature does not verify.
    #[error("the checkpoint is not signed by the log's key")]
    NotSigned,
    /// A line of a known key does not verify.
    #[error("a signature under the checkpoint does not verify")]
    BadSignature,
    /// The key does not sign this: a log's key for witnesses, or another log's.
    #[error("the key is not the one for this")]
    OtherKey,
}

impl Checkpoint {
    fn text(&self) -> Result<Vec<u8>, CheckpointError> {
        let root = tlog_tiles::Hash(*self.head.root.as_bytes());
        let checkpoint = tlog_tiles::Checkpoint::new(&self.origin, self.head.size, root, "");
        Ok(checkpoint.map_err(|_| CheckpointError::Malformed)?.to_bytes())
    }

    /// The checkpoint, signed by the log whose public key is `public`.
    ///
    /// # Errors
    /// When `public` is not a log's key of this origin, or not that of `key`.
    pub fn sign(
        &self,
        public: &NoteKey,
        key: &SigningKey,
    ) -> Result<CheckpointNote, CheckpointError> {
        let fits = public.kind() == KeyKind::Log
            && public.key_name() == &*self.origin
            && *public.key() == key.verifying_key();
        if !fits {
            return Err(CheckpointError::OtherKey);
        }
        let text = self.text()?;
        let line = public.sign(&text, key).ok_or(CheckpointError::Malformed)?;
        CheckpointNote::with_lines(&text, vec![line])
    }
}

/// A checkpoint with its signature lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointNote {
    checkpoint: Checkpoint,
    text: Box<[u8]>,
    lines: Vec<Line>,
}

/// A signature line; compared by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: Box<str>,
    id: u32,
    signature: Box<[u8]>,
}

impl From<Signature> for Line {
    fn from(line: Signature) -> Self {
        Self { name: line.name().into(), id: line.id(), signature: line.signature().into() }
    }
}

impl Line {
    fn signature(&self) -> Result<Signature, CheckpointError> {
        Signature::new(self.name.to_string(), self.id, self.signature.to_vec())
            .map_err(|_| CheckpointError::Malformed)
    }
}

/// A cosignature that has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness's key.
    pub key: NoteKey,
    /// When the witness saw the checkpoint, by its own clock.
    pub at: Timestamp,
}

impl CheckpointNote {
    /// Reads a note. Nothing is verified.
    ///
    /// # Errors
    /// When it is not a checkpoint in its one way of being written, or beyond a bound.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::Malformed);
        }
        // The library of notes refuses control characters, which that of checkpoints alone does not.
        let note = Note::from_bytes(bytes).map_err(|_| CheckpointError::Malformed)?;
        if note.to_bytes() != bytes {
            return Err(CheckpointError::Malformed);
        }
        let block = bytes.get(note.text().len() + 1..).unwrap_or_default();
        let lines = block.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let lines: Result<Vec<Signature>, _> = lines.map(Signature::from_bytes).collect();
        Self::with_lines(note.text(), lines.map_err(|_| CheckpointError::Malformed)?)
    }

    fn with_lines(text: &[u8], lines: Vec<Signature>) -> Result<Self, CheckpointError> {
        let parsed =
            tlog_tiles::Checkpoint::from_bytes(text).map_err(|_| CheckpointError::Malformed)?;
        let within_bounds = parsed.size() <= MAX_SIZE && lines.len() <= MAX_SIGNATURES;
        if !within_bounds || !parsed.extension().is_empty() || parsed.to_bytes() != text {
            return Err(CheckpointError::Malformed);
        }
        let head = TreeHead { size: parsed.size(), root: Hash::from_bytes(parsed.hash().0) };
        Ok(Self {
            checkpoint: Checkpoint { origin: parsed.origin().into(), head },
            text: text.into(),
            lines: lines.into_iter().map(Line::from).collect(),
        })
    }

    /// What the log says, believed or not.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note's bytes.
    ///
    /// # Errors
    /// When it has become longer than a note may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let lines: Result<Vec<Signature>, _> = self.lines.iter().map(Line::signature).collect();
        let note = Note::new(&self.text, &lines?).map_err(|_| CheckpointError::Malformed)?;
        let bytes = note.to_bytes();
        if bytes.len() > MAX_NOTE_BYTES { Err(CheckpointError::Malformed) } else { Ok(bytes) }
    }

    /// The names of everybody whose lines are on it, the log's own among them. Nothing is verified.
    pub fn signers(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| &*line.name)
    }

    /// Whether the log with this key has signed it.
    ///
    /// # Errors
    /// When it has not, or the key is another log's.
    pub fn signed_by(&self, log: &NoteKey) -> Result<(), CheckpointError> {
        if log.kind() != KeyKind::Log || log.key_name() != &*self.checkpoint.origin {
            return Err(CheckpointError::OtherKey);
        }
        if self.verified(std::slice::from_ref(log))?.is_empty() {
            return Err(CheckpointError::NotSigned);
        }
        Ok(())
    }

    /// The cosignatures of these witnesses, each verified. Lines of others are passed over, as the format asks.
    ///
    /// # Errors
    /// When a line of one of them does not verify.
    pub fn cosignatures(&self, witnesses: &[NoteKey]) -> Result<Vec<Cosignature>, CheckpointError> {
        let of_witnesses: Vec<NoteKey> =
            witnesses.iter().filter(|key| key.kind() == KeyKind::Witness).cloned().collect();
        let verified = self.verified(&of_witnesses)?;
        let found = verified.into_iter().filter_map(|line| {
            let of = |key: &&NoteKey| key.key_name() == line.name() && key.key_id() == line.id();
            let key = of_witnesses.iter().find(of)?.clone();
            Some(Cosignature { key, at: cosigned_at(line.signature())? })
        });
        Ok(found.collect())
    }

    /// Whether there is a line of this key, good or bad.
    #[must_use]
    pub fn has_line_of(&self, key: &NoteKey) -> bool {
        self.lines.iter().any(|line| *line.name == *key.key_name() && line.id == key.key_id())
    }

    /// Takes out every line of this key.
    pub fn drop_lines_of(&mut self, key: &NoteKey) {
        self.lines.retain(|line| *line.name != *key.key_name() || line.id != key.key_id());
    }

    /// The lines of known keys.
    fn verified(&self, known: &[NoteKey]) -> Result<Vec<Signature>, CheckpointError> {
        let lines: Result<Vec<Signature>, _> = self.lines.iter().map(Line::signature).collect();
        let note = Note::new(&self.text, &lines?).map_err(|_| CheckpointError::Malformed)?;
        let list = known.iter().map(|key| Box::new(key.clone()) as Box<dyn signed_note::Verifier>);
        match note.verify(&VerifierList::new(list.collect())) {
            Ok((good, _)) => Ok(good),
            Err(signed_note::NoteError::UnverifiedNote) => Ok(Vec::new()),
            Err(_) => Err(CheckpointError::BadSignature),
        }
    }

    /// Adds the line of a witness that saw it at `at`, in place of an earlier one of the same key; returns the line alone.
    ///
    /// # Errors
    /// When `public` is not a witness's key, or not that of `key`.
    pub fn cosign(
        &mut self,
        public: &NoteKey,
        at: Timestamp,
        key: &SigningKey,
    ) -> Result<Vec<u8>, CheckpointError> {
        if public.kind() != KeyKind::Witness || *public.key() != key.verifying_key() {
            return Err(CheckpointError::OtherKey);
        }
        let line = public.cosign(&self.text, at, key).ok_or(CheckpointError::Malformed)?;
        let mut bytes = line.to_bytes();
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        self.put(line.into());
        Ok(bytes)
    }

    /// Adds a witness's line, verified, in place of an earlier one of the same key.
    ///
    /// # Errors
    /// When it is not a line of this witness over this checkpoint.
    pub fn add(&mut self, line: &[u8], witness: &NoteKey) -> Result<Cosignature, CheckpointError> {
        let line = Signature::from_bytes(line).map_err(|_| CheckpointError::Malformed)?;
        let is_theirs = witness.kind() == KeyKind::Witness
            && (line.name(), line.id()) == (witness.key_name(), witness.key_id());
        if !is_theirs {
            return Err(CheckpointError::OtherKey);
        }
        if !witness.verify(&self.text, line.signature()) {
            return Err(CheckpointError::BadSignature);
        }
        let at = cosigned_at(line.signature()).ok_or(CheckpointError::BadSignature)?;
        self.put(line.into());
        Ok(Cosignature { key: witness.clone(), at })
    }

    fn put(&mut self, line: Line) {
        self.lines.retain(|known| (&known.name, known.id) != (&line.name, line.id));
        self.lines.push(line);
    }
}

#[cfg(test)]
pub(super) mod tests;
