//! The agreement as all parties signed it: a C2SP signed note over its exact bytes.
//!
//! A party's key name is `<agreement-id>/<AGENCY>`, the hub's `<agreement-id>/hub`. Which keys
//! have to have signed is written in the text itself, so the text alone proves nothing: anybody
//! can write an agreement with keys of their own. **The trust root is the reader's own signature.**
//! A node accepts an agreement only when its own key, which it holds and nobody else does, is the
//! one the text names for it and has signed the text; having signed, its people vouched for every
//! other key in it.
//!
//! Strict: every signature line has to be one that is expected, and has to verify.

use std::{fmt, sync::Arc};

use ring::digest::{SHA256, digest};
use signed_note::{Note, NoteError as FormatError, Signature, Verifier, VerifierList, key_id};

use super::{
    faults::AgreementFaults,
    former::Former,
    model::{Agreement, KeysMissing},
};
use crate::{
    id::{AgencyId, AgreementDigest, AgreementId},
    keys::{SigningKey, VerifyingKey},
};

/// The longest note, in bytes: what the note format's library reads, a little under 1 MiB.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// Who signs an agreement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signatory {
    /// A party.
    Party(AgencyId),
    /// The hub.
    Hub,
}

impl Signatory {
    fn key_name(&self, agreement: &AgreementId) -> String {
        format!("{agreement}/{self}")
    }

    /// The key the agreement names for this signatory.
    fn key_in(&self, agreement: &Agreement) -> Option<VerifyingKey> {
        match self {
            Self::Party(id) => agreement.party(id)?.keys().map(|keys| keys.signing),
            Self::Hub => agreement.hub().map(|keys| keys.signing),
        }
    }
}

impl fmt::Display for Signatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(id) => fmt::Display::fmt(id, f),
            Self::Hub => f.pad("hub"),
        }
    }
}

/// Why a note was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("the signed agreement is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a signed note.
    #[error("not a signed note: expected the text, a blank line, and signature lines")]
    Malformed,
    /// The text is not a valid agreement.
    #[error("the text of the note is not a valid agreement")]
    Agreement(#[source] AgreementFaults),
    /// The text names no keys for somebody.
    #[error("the agreement can not be signed yet")]
    Keys(#[source] KeysMissing),
    /// The key at hand is not the one the agreement names for its holder.
    #[error("the key is not the one the agreement names for `{0}`")]
    OtherKey(Signatory),
    /// Parties that have not signed.
    #[error("not signed by {}", list(.0))]
    Missing(Vec<Signatory>),
    /// A signature that does not verify with the key the agreement names.
    #[error("the signature of `{0}` does not verify")]
    Bad(Box<str>),
    /// A signature of somebody, or with a key, that the agreement does not name.
    #[error("signed by `{0}` with a key the agreement does not name")]
    Unknown(Box<str>),
    /// Not the same text.
    #[error("it is another text")]
    OtherText,
    /// A signatory has more than one signature line.
    #[error("a signatory has signed twice")]
    Repeated,
}

fn list(signatories: &[Signatory]) -> String {
    let names: Vec<_> = signatories.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// An agreement that every party has signed, and the reader too.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedAgreement {
    agreement: Agreement,
    text: Box<str>,
    digest: AgreementDigest,
    hub_signed: bool,
    /// What it superseded at this reader, oldest first; none as it is read.
    pub(super) former: Vec<Arc<Former>>,
}

impl SignedAgreement {
    /// Verifies a note as the party `own`, whose public key is the trust root.
    ///
    /// Asks for the signature of every party in the list, withdrawn ones too: a withdrawal is a
    /// term of the agreement like any other. A hub's signature need not be there; one that is has to
    /// verify.
    ///
    /// # Errors
    /// When anything is missing, does not verify, or is not expected; the node must not start.
    pub fn verify(note: &[u8], own: (&AgencyId, VerifyingKey)) -> Result<Self, NoteError> {
        let (id, key) = own;
        Self::verify_as(note, &Signatory::Party(id.clone()), key)
    }

    /// Verifies a note as the hub, whose public key is then the trust root: the hub has signed it.
    ///
    /// # Errors
    /// As [`Self::verify`], and when the hub has not signed.
    pub fn verify_as_hub(note: &[u8], own: VerifyingKey) -> Result<Self, NoteError> {
        Self::verify_as(note, &Signatory::Hub, own)
    }

    /// Reads a former version, vouched for by `digest`, with which a version that the reader has signed names it. The
    /// reader may no longer have the key that it had then.
    ///
    /// # Errors
    /// When it is another text, or anything in it is missing or does not verify.
    pub fn vouched_for(note: &[u8], digest: AgreementDigest) -> Result<Self, NoteError> {
        let opened = open(note)?;
        if digest_of(&opened.text) != digest {
            return Err(NoteError::OtherText);
        }
        Self::verified(opened, None)
    }

    fn verify_as(note: &[u8], own: &Signatory, key: VerifyingKey) -> Result<Self, NoteError> {
        let opened = open(note)?;
        opened.agreement.ready().map_err(NoteError::Keys)?;
        if own.key_in(&opened.agreement) != Some(key) {
            return Err(NoteError::OtherKey(own.clone()));
        }
        Self::verified(opened, Some(own))
    }

    fn verified(opened: Opened, own: Option<&Signatory>) -> Result<Self, NoteError> {
        let agreement = opened.agreement;
        agreement.ready().map_err(NoteError::Keys)?;
        let parties = agreement.parties().map(|party| Signatory::Party(party.id().clone()));
        let expected: Vec<_> = parties.chain([Signatory::Hub]).collect();
        let signed = verified(&opened.note, &agreement, &expected)?;
        let needed = |signatory: &Signatory| {
            matches!(signatory, Signatory::Party(_)) || Some(signatory) == own
        };
        let missing: Vec<_> = expected
            .into_iter()
            .filter(|signatory| needed(signatory) && !signed.contains(signatory))
            .collect();
        if !missing.is_empty() {
            return Err(NoteError::Missing(missing));
        }
        let digest = digest_of(&opened.text);
        let hub_signed = signed.contains(&Signatory::Hub);
        Ok(Self { agreement, text: opened.text, digest, hub_signed, former: Vec::new() })
    }

    /// The agreement.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The exact text that was signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the exact text that was signed.
    #[must_use]
    pub const fn digest(&self) -> AgreementDigest {
        self.digest
    }

    /// Whether the hub has signed too.
    #[must_use]
    pub const fn hub_signed(&self) -> bool {
        self.hub_signed
    }
}

/// Adds one signature to an agreement: `input` is its text, or a note others have signed already.
/// Signing again replaces the earlier signature.
///
/// # Errors
/// When the text is not an agreement with everybody's keys, when `key` is not the one it names for
/// the signatory, or when the result would be too long.
pub fn sign(input: &[u8], signatory: &Signatory, key: &SigningKey) -> Result<Vec<u8>, NoteError> {
    let opened = match open(input) {
        // No signature block: a text that nobody has signed yet.
        Err(NoteError::Malformed) if !has_signature_block(input) => open_text(input)?,
        opened => opened?,
    };
    let agreement = &opened.agreement;
    agreement.ready().map_err(NoteError::Keys)?;
    if signatory.key_in(agreement) != Some(key.verifying_key()) {
        return Err(NoteError::OtherKey(signatory.clone()));
    }
    let name = signatory.key_name(agreement.id());
    let id = ed25519_key_id(&name, key.verifying_key());
    let mut signatures = signatures(&opened.note)?;
    signatures.retain(|signature| (signature.name(), signature.id()) != (&name, id));
    let signature = Signature::new(name, id, key.sign_note(opened.note.text()).to_vec());
    signatures.push(signature.map_err(|_| NoteError::Malformed)?);
    let note = Note::new(opened.note.text(), &signatures).map_err(|_| NoteError::Malformed)?;
    let note = note.to_bytes();
    if note.len() > NOTE_BYTES_MAX { Err(NoteError::TooLong) } else { Ok(note) }
}

/// Puts the signatures of several notes over one text together, so that parties can sign apart from one another. Every
/// signature has to be one that the text expects, and to verify; whose are still missing is given beside the note.
///
/// # Errors
/// When the notes are not over one text, or a signature does not verify.
pub fn collect(notes: &[Vec<u8>]) -> Result<(Vec<u8>, Vec<Signatory>), NoteError> {
    let mut lines: Vec<Signature> = Vec::new();
    let mut first: Option<Opened> = None;
    for note in notes {
        let opened = match open(note) {
            Err(NoteError::Malformed) if !has_signature_block(note) => open_text(note)?,
            opened => opened?,
        };
        if first.as_ref().is_some_and(|first| first.text != opened.text) {
            return Err(NoteError::OtherText);
        }
        for line in signatures(&opened.note)? {
            let known = |known: &Signature| (known.name(), known.id()) == (line.name(), line.id());
            if !lines.iter().any(known) {
                lines.push(line);
            }
        }
        first.get_or_insert(opened);
    }
    let opened = first.ok_or(NoteError::Malformed)?;
    let agreement = &opened.agreement;
    agreement.ready().map_err(NoteError::Keys)?;
    let note = Note::new(opened.note.text(), &lines).map_err(|_| NoteError::Malformed)?;
    let parties = agreement.parties().map(|party| Signatory::Party(party.id().clone()));
    let expected: Vec<_> = parties.chain([Signatory::Hub]).collect();
    let signed = if lines.is_empty() { Vec::new() } else { verified(&note, agreement, &expected)? };
    let missing = expected.into_iter().filter(|one| !signed.contains(one)).collect();
    let bytes = note.to_bytes();
    if bytes.len() > NOTE_BYTES_MAX { Err(NoteError::TooLong) } else { Ok((bytes, missing)) }
}

/// The text of an agreement file that may be a plain text or a note. Nothing is verified.
///
/// # Errors
/// When it is too long or not UTF-8.
pub fn text_of(input: &[u8]) -> Result<String, NoteError> {
    if input.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let note = has_signature_block(input).then(|| Note::from_bytes(input)).and_then(Result::ok);
    let text = note.as_ref().map_or(input, Note::text);
    String::from_utf8(text.to_vec()).map_err(|_| NoteError::Malformed)
}

fn digest_of(text: &str) -> AgreementDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    AgreementDigest::from_bytes(bytes)
}

struct Opened {
    note: Note,
    text: Box<str>,
    agreement: Agreement,
}

fn open(note: &[u8]) -> Result<Opened, NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let opened = Note::from_bytes(note).map_err(|_| NoteError::Malformed)?;
    // One way to write each note: what is parsed and what was read are the same bytes.
    if opened.to_bytes() != note {
        return Err(NoteError::Malformed);
    }
    with_agreement(opened)
}

fn open_text(text: &[u8]) -> Result<Opened, NoteError> {
    let parsed = std::str::from_utf8(text).map_err(|_| NoteError::Malformed)?;
    Agreement::parse(parsed).map_err(NoteError::Agreement)?;
    with_agreement(Note::new(text, &[]).map_err(|_| NoteError::Malformed)?)
}

fn with_agreement(note: Note) -> Result<Opened, NoteError> {
    let text = std::str::from_utf8(note.text()).map_err(|_| NoteError::Malformed)?;
    let text: Box<str> = text.into();
    let agreement = Agreement::parse(&text).map_err(NoteError::Agreement)?;
    Ok(Opened { note, text, agreement })
}

/// Whether the last lines look like signatures, so that a damaged note is not taken for a text.
fn has_signature_block(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    text.lines().next_back().is_some_and(|line| line.starts_with('—'))
}

/// Who of `expected` has signed; any other signature is an error.
fn verified(
    note: &Note,
    agreement: &Agreement,
    expected: &[Signatory],
) -> Result<Vec<Signatory>, NoteError> {
    let verifiers = expected.iter().filter_map(|signatory| {
        let key = signatory.key_in(agreement)?;
        let name = signatory.key_name(agreement.id());
        Some(Box::new(NoteVerifier { name, key }) as Box<dyn Verifier>)
    });
    let known = VerifierList::new(verifiers.collect());
    let (good, unknown) = match note.verify(&known) {
        Ok(signatures) => signatures,
        Err(FormatError::InvalidSignature { name, .. }) => return Err(NoteError::Bad(name.into())),
        // No line at all is from a known key.
        Err(FormatError::UnverifiedNote) => (Vec::new(), signatures(note)?),
        Err(_) => return Err(NoteError::Malformed),
    };
    if let Some(signature) = unknown.first() {
        return Err(NoteError::Unknown(signature.name().into()));
    }
    // The library skips a second line of the same key without verifying it.
    if signatures(note)?.len() != good.len() {
        return Err(NoteError::Repeated);
    }
    let name_of = |signatory: &&Signatory| signatory.key_name(agreement.id());
    let has_signed = |name: &str| good.iter().any(|signature| signature.name() == name);
    Ok(expected.iter().filter(|signatory| has_signed(&name_of(signatory))).cloned().collect())
}

/// The signature lines of a note, in order.
fn signatures(note: &Note) -> Result<Vec<Signature>, NoteError> {
    let bytes = note.to_bytes();
    let block = bytes.get(note.text().len() + 1..).unwrap_or_default();
    let lines = block.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Signature::from_bytes(line).map_err(|_| NoteError::Malformed)).collect()
}

/// The type byte of an Ed25519 key in a note's key id (C2SP signed-note, "Signatures").
const ED25519: u8 = 1;

fn ed25519_key_id(name: &str, key: VerifyingKey) -> u32 {
    key_id(name, &[&[ED25519], key.as_bytes().as_slice()].concat())
}

struct NoteVerifier {
    name: String,
    key: VerifyingKey,
}

impl Verifier for NoteVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        ed25519_key_id(&self.name, self.key)
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify_note(text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests;
