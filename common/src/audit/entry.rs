//! What one entry says, and its canonical bytes.
//!
//! No personal data by construction: every field is a random reference, a digest, a code, or a
//! [`Word`] of a small alphabet that has no space. Payloads are named by digest, never carried.
//!
//! Encoding, version 1: one line of JSON without white space (serde_json), fields in the order of
//! [`Entry`], `v` first; absent options and empty lists are left out; times are RFC 3339 in UTC;
//! digests are lower-case hexadecimal. [`Entry::decode`] accepts exactly what [`Entry::encode`]
//! makes, so two encodings of one entry can not both verify.

mod action;
pub(crate) mod scan;
mod word;

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::{
    id::{
        AgreementDigest, AgreementId, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef,
        RequestId, StaffName,
    },
    reason::Reason,
    time::Timestamp,
};

pub use self::{
    action::{Action, UnknownAction},
    word::{Digest, InvalidWord, Party, Word},
};

/// The version of the encoding, the first field of every entry.
pub const SCHEMA_VERSION: u8 = 1;

/// The greatest length of an encoded entry, in bytes; C2SP tlog-tiles carry at most 65,535.
pub const MAX_ENTRY_BYTES: usize = 60 * 1024;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The program, by rule; nobody decided.
    Program,
    /// A signed-in member of staff.
    Staff {
        /// As named in the certificate they hold.
        name: StaffName,
        /// The role in which they acted, from the program's configuration.
        role: Word,
    },
}

/// The agreement under which something was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementStamp {
    /// The agreement's id.
    pub id: AgreementId,
    /// Its version.
    pub version: u32,
    /// The digest of the exact bytes all parties signed.
    pub digest: AgreementDigest,
}

/// What a caller wants recorded; the log adds number, chain, time and party.
///
/// Start with [`EntryDraft::new`] and set what is known: absent means that it does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDraft {
    /// What happened.
    pub action: Action,
    /// Who acted.
    pub actor: Actor,
    /// The enquiry it belongs to.
    pub enquiry: Option<EnquiryRef>,
    /// The person it is about, by reference within the enquiry.
    pub person: Option<PersonRef>,
    /// The commitment to that person's identity.
    pub commitment: Option<Commitment>,
    /// The exchange: the same id stands in the logs of both parties.
    pub exchange: Option<RequestId>,
    /// The request for detail it belongs to.
    pub release: Option<ReleaseRef>,
    /// The other party of the exchange.
    pub peer: Option<Party>,
    /// The category of detail.
    pub category: Option<CategoryCode>,
    /// The gate that was met or looked at, for example `g3`.
    pub gate: Option<Word>,
    /// The class of the category, for example `S2`.
    pub class: Option<Word>,
    /// The purpose of the exchange.
    pub purpose: Option<Word>,
    /// The UK GDPR article 6 basis.
    pub art6: Option<Word>,
    /// The article 9 condition.
    pub art9: Option<Word>,
    /// The article 10 condition.
    pub art10: Option<Word>,
    /// The statutory gateway.
    pub gateway: Option<Word>,
    /// The state of the person's own agreement to sharing.
    pub agreement_status: Option<Word>,
    /// The information sharing agreement.
    pub agreement: Option<AgreementStamp>,
    /// Digests of the signed statements that were weighed.
    pub evidence: Vec<Digest>,
    /// What was decided or answered, for example `released`, `refused`, `not_known`.
    pub decision: Option<Word>,
    /// The reason code of a refusal or a wait.
    pub reason: Option<Reason>,
    /// To whom.
    pub recipients: Vec<Party>,
    /// What the recipients must do with it.
    pub obligations: Vec<Word>,
    /// How many things, where an entry stands for many (records imported, keys evaluated).
    pub count: Option<u64>,
    /// Digest of the payload that travelled; the payload itself is never here.
    pub payload_digest: Option<Digest>,
}

impl EntryDraft {
    /// An entry by the program about `action`, with everything else absent.
    #[must_use]
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            actor: Actor::Program,
            enquiry: None,
            person: None,
            commitment: None,
            exchange: None,
            release: None,
            peer: None,
            category: None,
            gate: None,
            class: None,
            purpose: None,
            art6: None,
            art9: None,
            art10: None,
            gateway: None,
            agreement_status: None,
            agreement: None,
            evidence: Vec::new(),
            decision: None,
            reason: None,
            recipients: Vec::new(),
            obligations: Vec::new(),
            count: None,
            payload_digest: None,
        }
    }

    /// The same entry, by a member of staff in a role.
    #[must_use]
    pub fn by(mut self, name: StaffName, role: Word) -> Self {
        self.actor = Actor::Staff { name, role };
        self
    }
}

/// One entry of a log. The order of the fields is the order of the bytes: append, never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the encoding: [`SCHEMA_VERSION`].
    pub v: u8,
    /// Number in its log, from 0, without gaps.
    pub seq: u64,
    /// SHA-256 of the previous frame's payload; zero for the first entry.
    pub prev_hash: Digest,
    /// When it was written.
    pub ts: Timestamp,
    /// The party whose log this is.
    pub node: Party,
    /// Who acted.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// The enquiry it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enquiry: Option<EnquiryRef>,
    /// The person it is about, by reference within the enquiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonRef>,
    /// The commitment to that person's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Commitment>,
    /// The exchange: the same id stands in the logs of both parties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<RequestId>,
    /// The request for detail it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseRef>,
    /// The other party of the exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Party>,
    /// The category of detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<CategoryCode>,
    /// The gate that was met or looked at, for example `g3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Word>,
    /// The class of the category, for example `S2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Word>,
    /// The purpose of the exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Word>,
    /// The UK GDPR article 6 basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub art6: Option<Word>,
    /// The article 9 condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub art9: Option<Word>,
    /// The article 10 condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub art10: Option<Word>,
    /// The statutory gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Word>,
    /// The state of the person's own agreement to sharing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement_status: Option<Word>,
    /// The information sharing agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementStamp>,
    /// Digests of the signed statements that were weighed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Digest>,
    /// What was decided or answered, for example `released`, `refused`, `not_known`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Word>,
    /// The reason code of a refusal or a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// To whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Party>,
    /// What the recipients must do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Word>,
    /// How many things, where an entry stands for many (records imported, keys evaluated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Digest of the payload that travelled; the payload itself is never here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_digest: Option<Digest>,
    /// Whether it was made in a test environment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_env: bool,
}

/// Bytes that are not the canonical encoding of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    /// Not JSON of this shape, or of a later version.
    #[error("not an entry of version {SCHEMA_VERSION}")]
    Shape,
    /// It reads as an entry, but is not how that entry is written.
    #[error("not the canonical encoding of the entry")]
    NotCanonical,
}

/// Where an entry stands in its log, which the log alone decides.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) prev_hash: Digest,
    pub(crate) ts: Timestamp,
    pub(crate) node: Party,
}

impl Place {
    /// Appends the first fields of the encoding, up to the comma behind them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { seq, prev_hash, ts, node } = self;
        // Writing to memory can not fail. None of these texts has a character that JSON escapes.
        let _ = write!(
            out,
            r#"{{"v":{SCHEMA_VERSION},"seq":{seq},"prev_hash":"{prev_hash}","ts":"{ts}","node":"{node}","#
        );
    }
}

/// What a caller wants recorded, encoded but for the place. Callers do this at the same time as each other; the one log
/// puts the place before it.
#[derive(Debug, Clone)]
pub(crate) struct Body(Box<[u8]>);

impl Body {
    pub(crate) fn of(draft: EntryDraft, test_env: bool) -> Self {
        let (seq, prev_hash, ts, node) = (0, Digest::ZERO, Timestamp::UNIX_EPOCH, Party::Hub);
        let place = Place { seq, prev_hash, ts, node };
        let mut head = Vec::with_capacity(192);
        place.write(&mut head);
        let whole = Entry::at(place, draft, test_env).encode();
        // An entry that could not be encoded is empty, and so is its body: every reader refuses it.
        Self(whole.strip_prefix(head.as_slice()).unwrap_or_default().into())
    }

    /// The bytes that follow a place.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The entry's canonical bytes at its place.
    #[cfg(test)]
    pub(crate) fn at(&self, place: &Place) -> Vec<u8> {
        let mut json = Vec::new();
        place.write(&mut json);
        json.extend_from_slice(&self.0);
        json
    }
}

impl Entry {
    pub(crate) fn at(place: Place, draft: EntryDraft, test_env: bool) -> Self {
        let Place { seq, prev_hash, ts, node } = place;
        Self {
            v: SCHEMA_VERSION,
            seq,
            prev_hash,
            ts,
            node,
            actor: draft.actor,
            action: draft.action,
            enquiry: draft.enquiry,
            person: draft.person,
            commitment: draft.commitment,
            exchange: draft.exchange,
            release: draft.release,
            peer: draft.peer,
            category: draft.category,
            gate: draft.gate,
            class: draft.class,
            purpose: draft.purpose,
            art6: draft.art6,
            art9: draft.art9,
            art10: draft.art10,
            gateway: draft.gateway,
            agreement_status: draft.agreement_status,
            agreement: draft.agreement,
            evidence: draft.evidence,
            decision: draft.decision,
            reason: draft.reason,
            recipients: draft.recipients,
            obligations: draft.obligations,
            count: draft.count,
            payload_digest: draft.payload_digest,
            test_env,
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        // No map with other keys than text and no fallible `Serialize` is in an entry; were it to
        // fail all the same, the empty entry is refused by every reader.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// The entry with these canonical bytes.
    ///
    /// # Errors
    /// When they are not exactly what [`Entry::encode`] makes of a version that is known.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAnEntry> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|_| NotAnEntry::Shape)?;
        if entry.v != SCHEMA_VERSION {
            return Err(NotAnEntry::Shape);
        }
        if entry.encode() != bytes {
            return Err(NotAnEntry::NotCanonical);
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests;
