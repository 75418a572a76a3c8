//! What makes frames a log: numbers without gaps, each entry naming the one before, each write signed for this origin.
//!
//! The last entry of a write carries the signature. It vouches for the whole write, and for all before it, since each entry names
//! the one before. A write is one entry when the log has time, and more when many are waiting; a signature for each would
//! cost ten times what everything else does.

use std::{fmt, str::FromStr};

use super::{
    entry::{Digest, Party},
    frame,
    segment::Told,
};
use crate::{
    keys::{Context, VerifyingKey},
    tlog::{KeyKind, NoteKey},
};

/// The name of one log: `<trust domain>/<party>/<shard>`, for example `exampleshire/CSC/2027`.
///
/// It is part of what is signed, so an entry of one log is nothing in another. A new shard, with a
/// new name, begins after a restore from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    text: Box<str>,
    party: Party,
    shard: Box<str>,
}

/// A text that is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the origin of a log: expected `<trust domain>/<hub or agency id>/<shard>` in lower-case \
     letters, digits, `.` and `-`"
)]
pub struct InvalidOrigin;

impl Origin {
    /// The origin of one shard of a party's log.
    ///
    /// # Errors
    /// When the trust domain (1 to 128 characters) or the shard (1 to 32) is not made of lower-case
    /// letters, digits, `.` and `-`, beginning with a letter or digit.
    pub fn new(trust_domain: &str, party: Party, shard: &str) -> Result<Self, InvalidOrigin> {
        // No `/` and no leading `.`: the shard is also the name of a directory.
        let valid = |text: &str, max| {
            (1..=max).contains(&text.len())
                && text.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-')
                })
                && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if !valid(trust_domain, 128) || !valid(shard, 32) {
            return Err(InvalidOrigin);
        }
        let text = format!("{trust_domain}/{party}/{shard}").into();
        Ok(Self { text, party, shard: shard.into() })
    }

    /// The origin of another shard of the same log.
    ///
    /// # Errors
    /// When the shard is not a name for one.
    pub fn with_shard(&self, shard: &str) -> Result<Self, InvalidOrigin> {
        let trust_domain = self.text.split('/').next().unwrap_or_default();
        Self::new(trust_domain, self.party.clone(), shard)
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A log's key under this name, as checkpoints and policies write it.
    #[must_use]
    pub fn key(&self, key: VerifyingKey) -> NoteKey {
        NoteKey::named(&self.text, KeyKind::Log, key)
    }

    /// The party whose log it is.
    #[must_use]
    pub const fn party(&self) -> &Party {
        &self.party
    }

    /// The shard, which is also the name of its directory.
    #[must_use]
    pub fn shard(&self) -> &str {
        &self.shard
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(trust_domain), Some(party), Some(shard), None) => {
                Self::new(trust_domain, party.parse().map_err(|_| InvalidOrigin)?, shard)
            }
            _ => Err(InvalidOrigin),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What is wrong at one place of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The bytes end within a frame.
    #[error("the frame is incomplete")]
    Incomplete,
    /// The length is not one a frame can have.
    #[error("the length of the frame is impossible")]
    Length,
    /// The checksum does not fit.
    #[error("the checksum does not fit")]
    Crc,
    /// The payload is not a canonical entry and a signature.
    #[error("the payload is not an entry")]
    NotAnEntry,
    /// Another number was due: an entry is missing, doubled or out of place.
    #[error("the entry here has number {found}")]
    Seq {
        /// The number that stands here.
        found: u64,
    },
    /// It does not name the entry before it.
    #[error("it does not follow from the entry before it")]
    PrevHash,
    /// It is another party's.
    #[error("it is an entry of another party")]
    Party,
    /// It is not signed by the log's key for this origin.
    #[error("the signature does not verify")]
    Signature,
    /// Nothing in its segment is signed from here on, and the segment is not the last.
    #[error("it has no signature, and no entry behind it vouches for it")]
    NotSigned,
    /// It was changed: the entries behind it, up to a good signature, name another one here.
    #[error("it is not the entry that was signed for")]
    Altered,
    /// The next segment does not begin with the number that is due.
    #[error("a segment is missing or out of place: the next one begins at {found}")]
    Segment {
        /// The number in the segment's name.
        found: u64,
    },
    /// There is no segment where there must be one.
    #[error("the log has no segment")]
    NoSegment,
}

impl What {
    /// A stable code for scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Length => "length",
            Self::Crc => "checksum",
            Self::NotAnEntry => "not_an_entry",
            Self::Seq { .. } => "sequence",
            Self::PrevHash => "chain",
            Self::Party => "party",
            Self::Signature => "signature",
            Self::NotSigned => "not_signed",
            Self::Altered => "altered",
            Self::Segment { .. } => "segment",
            Self::NoSegment => "no_segment",
        }
    }
}

/// Whose log it is.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    origin: Origin,
    key: VerifyingKey,
}

impl Terms {
    pub(crate) const fn new(origin: Origin, key: VerifyingKey) -> Self {
        Self { origin, key }
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the payload is signed by the log's key for this origin.
    pub(crate) fn signed(&self, payload: &[u8]) -> Result<(), What> {
        let (json, signature) = frame::split(payload).ok_or(What::NotAnEntry)?;
        self.key
            .verify(Context::LogEntry, &[self.origin.text.as_bytes(), json], signature)
            .map_err(|_| What::Signature)
    }
}

/// A log read so far: what the next entry must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) next_seq: u64,
    pub(crate) prev_hash: Digest,
}

impl Chain {
    /// The chain before its first entry.
    pub(crate) const START: Self = Self { next_seq: 0, prev_hash: Digest::ZERO };

    /// Takes the next entry, but does not look at its signature (see [`Terms::signed`]).
    pub(crate) fn accept(&mut self, told: Result<Told, What>) -> Result<Told, What> {
        let told = told?;
        if told.seq != self.next_seq {
            return Err(What::Seq { found: told.seq });
        }
        if told.prev_hash != self.prev_hash {
            return Err(What::PrevHash);
        }
        if !told.is_ours {
            return Err(What::Party);
        }
        *self = Self { next_seq: self.next_seq + 1, prev_hash: told.hash };
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_origins_that_could_leave_the_directory_or_forge_a_part() {
        for text in ["a/hub/..", "a/hub", "a/hub/b/c", "a//b", "A/hub/b", "a/hub/", "a/b c/d", ""] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
        let origin = "exampleshire/CSC/2027".parse::<Origin>().unwrap();
        assert_eq!((origin.shard(), origin.party().to_string().as_str()), ("2027", "CSC"));
        assert_eq!(origin.as_str(), "exampleshire/CSC/2027");
    }
}
