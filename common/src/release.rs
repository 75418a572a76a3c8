//! Detail at rest, and the only two ways to it.
//!
//! [`Withheld`] is a text that nobody can read: it has no accessor, is not `Clone` and not `Serialize`.
//! It leaves by a permit that has been recorded, about this very record and category, within its
//! time; what comes out is [`Released`], whose only use is to be sealed to the permit's recipient.
//! The holder's own staff read it by an [`OwnLook`] that has been recorded, about this very record; what comes out is
//! [`OwnText`], which nothing seals.
//! A permit for a redacted text opens nothing that is held: in its place goes a [`RedactedText`] that a
//! person has typed, by the same way out.
//!
//! ```compile_fail,E0616
//! use brag_common::release::Withheld;
//! fn peek(detail: &Withheld) -> &[u8] {
//!     &detail.ciphertext // private: there is no way to the text but `release`
//! }
//! ```
//!
//! A permit that was not recorded does not open anything:
//!
//! ```compile_fail,E0308
//! use brag_common::{release::{DetailKey, ReleasePermit, Released, Withheld}, time::Timestamp};
//! fn hasty(key: &DetailKey, detail: &Withheld, permit: &ReleasePermit, now: Timestamp) {
//!     let _ = detail.release(key, permit, now); // expected `&Recorded<ReleasePermit>`
//! }
//! ```
//!
//! Nor does a redacted text leave by one:
//!
//! ```compile_fail,E0308
//! use brag_common::{release::{RedactedText, ReleasePermit, Released}, time::Timestamp};
//! fn hasty(text: &RedactedText, permit: &ReleasePermit, now: Timestamp) {
//!     let _ = Released::redacted(permit, text, now); // expected `&Recorded<ReleasePermit>`
//! }
//! ```
//!
//! A look that was not recorded shows nothing either:
//!
//! ```compile_fail,E0308
//! use brag_common::release::{DetailKey, OwnLook, Withheld};
//! fn peek(key: &DetailKey, detail: &Withheld, look: &OwnLook) {
//!     let _ = detail.show(key, look); // expected `&Recorded<OwnLook>`
//! }
//! ```
//!
//! And a permit comes from the decision alone:
//!
//! ```compile_fail,E0451
//! use brag_common::agreement::Permit;
//! fn forge(permit: Permit) -> Permit {
//!     Permit { ..permit } // its fields are private
//! }
//! ```

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use zeroize::Zeroizing;

use crate::{
    agreement::Permit,
    audit::{
        Recordable, Recorded,
        entry::{Action, AgreementStamp, EntryDraft, Party, Word},
    },
    id::{
        AgencyId, AgreementDigest, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef,
        RequestId,
    },
    seal::{Binding, CannotOpen, SealingPublicKey},
    secret::{NoRandomness, SecretBytes, random_bytes},
    time::Timestamp,
};

/// The longest text of one entry, in bytes: detail is a summary, and full records are never carried.
pub const MAX_DETAIL_BYTES: usize = 32 * 1024;

/// The longest redacted text, in bytes: it is typed by hand, and goes before the next approver together with others.
pub const MAX_REDACTED_BYTES: usize = 8 * 1024;

/// The key under which a node withholds detail, derived from its store key.
pub struct DetailKey(LessSafeKey);

impl DetailKey {
    /// Derives the key (HKDF-SHA-256, RFC 5869), so that the store's own sealing and this never share one.
    ///
    /// # Panics
    /// Never: the lengths are those of the algorithms.
    #[must_use]
    #[expect(clippy::expect_used, reason = "32 bytes are the length of an AES-256 key")]
    pub fn derive(store_key: &SecretBytes<32>) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"brag-exchange/v1/withheld-detail");
        let secret = salt.extract(store_key.expose());
        let key = secret.expand(&[], &AES_256_GCM).map(UnboundKey::from);
        Self(LessSafeKey::new(key.expect("one block of output")))
    }
}

impl fmt::Debug for DetailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DetailKey([secret])")
    }
}

/// Where a detail belongs: part of what seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailPlace {
    /// The node's record of the person.
    pub record: u64,
    /// The category.
    pub category: CategoryCode,
}

impl DetailPlace {
    fn aad(self) -> Aad<Vec<u8>> {
        Aad::from(format!("{:016x}/{}", self.record, self.category).into_bytes())
    }
}

/// A detail that nobody can read without a recorded permit.
pub struct Withheld {
    place: DetailPlace,
    ciphertext: Vec<u8>,
}

impl fmt::Debug for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Withheld([sealed])")
    }
}

/// Why a detail does not open for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermitMismatch {
    /// The permit is for another record or category.
    #[error("the permit is for another record or category")]
    AnotherDetail,
    /// The permit's time has passed.
    #[error("the permit has expired")]
    Expired,
    /// The permit is for a redacted text, so what is held does not open for it.
    #[error("the permit is for a redacted text only")]
    OnlyRedacted,
    /// The permit is for the detail as it is held, so no other text goes in its place.
    #[error("the permit is not for a redacted text")]
    NotRedacted,
    /// The detail does not open under the node's key at this place.
    #[error("the detail does not open under this key at this place")]
    Unreadable,
}

impl Withheld {
    /// Withholds a text as it enters the node.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn keep(key: &DetailKey, place: DetailPlace, text: &str) -> Result<Self, NoRandomness> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        let mut sealed = text.as_bytes().to_vec();
        key.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place.aad(), &mut sealed)
            .map_err(|_| NoRandomness)?;
        Ok(Self { place, ciphertext: [nonce.as_slice(), &sealed].concat() })
    }

    /// The sealed bytes, for the store.
    #[must_use]
    pub fn into_sealed(self) -> Vec<u8> {
        self.ciphertext
    }

    /// Takes sealed bytes back from the store; whether they are of this place shows when they open.
    #[must_use]
    pub const fn from_sealed(place: DetailPlace, ciphertext: Vec<u8>) -> Self {
        Self { place, ciphertext }
    }

    /// Opens the detail for a permit that the log holds.
    ///
    /// # Errors
    /// When the permit is for another detail or a redacted text, has expired, or the bytes are not this place's.
    pub fn release(
        &self,
        key: &DetailKey,
        permit: &Recorded<ReleasePermit>,
        now: Timestamp,
    ) -> Result<Released, PermitMismatch> {
        let permit = permit.get();
        if permit.record != self.place.record || permit.permit.category() != self.place.category {
            return Err(PermitMismatch::AnotherDetail);
        }
        if permit.permit.is_redacted() {
            return Err(PermitMismatch::OnlyRedacted);
        }
        if permit.permit.expires() <= now {
            return Err(PermitMismatch::Expired);
        }
        self.open(key).map(Released)
    }

    /// Opens the detail for one of the holder's own staff, whose look the log holds.
    ///
    /// # Errors
    /// When the look is at another record, or the bytes are not this place's.
    pub fn show(
        &self,
        key: &DetailKey,
        look: &Recorded<OwnLook>,
    ) -> Result<OwnText, PermitMismatch> {
        if look.get().record != self.place.record {
            return Err(PermitMismatch::AnotherDetail);
        }
        let text = self.open(key)?;
        let text = str::from_utf8(&text).map_err(|_| PermitMismatch::Unreadable)?;
        Ok(OwnText(Zeroizing::new(text.to_owned())))
    }

    fn open(&self, key: &DetailKey) -> Result<Zeroizing<Vec<u8>>, PermitMismatch> {
        let (nonce, sealed) =
            self.ciphertext.split_first_chunk().ok_or(PermitMismatch::Unreadable)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let n_bytes = key
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), self.place.aad(), &mut text)
            .map_err(|_| PermitMismatch::Unreadable)?
            .len();
        text.truncate(n_bytes);
        Ok(text)
    }
}

/// That one of the holder's own staff is to be shown what it holds about one of its records. Once recorded it opens every category of
/// that record, and no other.
#[derive(Debug)]
pub struct OwnLook {
    /// The holder's number of the record.
    pub record: u64,
    /// Who looks, at whom, and in which enquiry.
    pub entry: EntryDraft,
}

impl Recordable for OwnLook {
    fn entry(&self) -> EntryDraft {
        self.entry.clone()
    }
}

/// What the holder's own staff read of what it holds. It is wiped when it is done with.
pub struct OwnText(Zeroizing<String>);

impl OwnText {
    /// The words, for a page.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Several texts of one category as they would leave: see [`Released::join`].
    #[must_use]
    pub fn join(parts: &[Self]) -> Self {
        let parts: Vec<&str> = parts.iter().map(Self::as_str).collect();
        Self(Zeroizing::new(parts.join(BETWEEN_ENTRIES)))
    }
}

impl fmt::Debug for OwnText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnText([personal])")
    }
}

/// What stands between entries of one category that go together.
const BETWEEN_ENTRIES: &str = "\n\n";

/// What a person at the holder has typed to go in the place of what is held: 1 byte to [`MAX_REDACTED_BYTES`], on as many
/// lines as they like.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedText(Zeroizing<String>);

impl fmt::Debug for RedactedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactedText([personal])")
    }
}

/// Why a text can not go in the place of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARedactedText {
    /// It says nothing.
    #[error("the redacted text is empty; to let nothing go, refuse")]
    Empty,
    /// It is too long.
    #[error("the redacted text is longer than {MAX_REDACTED_BYTES} bytes")]
    TooLong,
    /// It holds a control character.
    #[error("the redacted text has a control character; only new lines and tabs may be in it")]
    Control,
}

impl RedactedText {
    /// Takes a text as it was typed; line ends become new lines, white space around it is left out.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, NotARedactedText> {
        if text.len() > MAX_REDACTED_BYTES {
            return Err(NotARedactedText::TooLong);
        }
        let text = Zeroizing::new(text.trim().replace("\r\n", "\n"));
        if text.is_empty() {
            return Err(NotARedactedText::Empty);
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(NotARedactedText::Control);
        }
        Ok(Self(text))
    }

    /// The words, for the people at the holder who approve them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A detail on its way to one recipient.
pub struct Released(Zeroizing<Vec<u8>>);

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Released([personal])")
    }
}

impl Released {
    /// The text that goes in the place of what is held, of which nothing is opened.
    ///
    /// # Errors
    /// When the permit is not for a redacted text, or has expired.
    pub fn redacted(
        permit: &Recorded<ReleasePermit>,
        text: &RedactedText,
        now: Timestamp,
    ) -> Result<Self, PermitMismatch> {
        let permit = &permit.get().permit;
        if !permit.is_redacted() {
            return Err(PermitMismatch::NotRedacted);
        }
        if permit.expires() <= now {
            return Err(PermitMismatch::Expired);
        }
        Ok(Self(Zeroizing::new(text.as_str().as_bytes().to_vec())))
    }

    /// Joins several entries of one category into one text, one behind the other.
    #[must_use]
    pub fn join(parts: &[Self]) -> Self {
        let mut text = Zeroizing::new(Vec::new());
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                text.extend_from_slice(BETWEEN_ENTRIES.as_bytes());
            }
            text.extend_from_slice(&part.0);
        }
        Self(text)
    }

    /// Seals the detail to the recipient. This is the only thing that can be done with it.
    ///
    /// # Errors
    /// When the recipient's key is not usable.
    pub fn seal(self, to: &SealingPublicKey, binding: &Binding) -> Result<Vec<u8>, CannotOpen> {
        to.seal(binding, &self.0)
    }
}

/// A permit with everything its log entry says.
#[derive(Debug)]
pub struct ReleasePermit {
    /// What the decision allows.
    pub permit: Permit,
    /// The node's record that it is about; never logged.
    pub record: u64,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// Commitment to the person's identity.
    pub commitment: Commitment,
    /// The request for detail.
    pub release: ReleaseRef,
    /// The exchange it answers, or the delivery of what people have decided since.
    pub exchange: RequestId,
    /// The agreement it rests on.
    pub agreement: AgreementStamp,
    /// The agency that asked through the hub, and the lawful basis it stated.
    pub basis: BasisWords,
    /// Statements it rests on, by digest.
    pub evidence: Vec<crate::audit::entry::Digest>,
}

/// Words of a request's lawful basis that go into the log; free texts do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasisWords {
    /// The purpose.
    pub purpose: Option<Word>,
    /// UK GDPR article 6.
    pub art6: Option<Word>,
    /// Article 9 condition.
    pub art9: Option<Word>,
    /// Article 10 authority.
    pub art10: Option<Word>,
    /// Statutory gateway.
    pub gateway: Option<Word>,
    /// State of the person's own agreement.
    pub agreement_status: Option<Word>,
}

impl BasisWords {
    /// Writes the words into an entry.
    #[must_use]
    pub fn into_entry(self, mut draft: EntryDraft) -> EntryDraft {
        draft.purpose = self.purpose;
        draft.art6 = self.art6;
        draft.art9 = self.art9;
        draft.art10 = self.art10;
        draft.gateway = self.gateway;
        draft.agreement_status = self.agreement_status;
        draft
    }
}

impl Recordable for ReleasePermit {
    fn entry(&self) -> EntryDraft {
        let mut draft = EntryDraft::new(Action::ReleaseDecided);
        draft.enquiry = Some(self.enquiry.clone());
        draft.person = Some(self.permit.subject().clone());
        draft.commitment = Some(self.commitment);
        draft.exchange = Some(self.exchange.clone());
        draft.release = Some(self.release.clone());
        draft.peer = Some(Party::Hub);
        draft.category = Some(self.permit.category());
        draft.gate = self.permit.gate().word().parse().ok();
        draft.class = self.permit.class().word().parse().ok();
        draft.agreement = Some(self.agreement.clone());
        draft.evidence.clone_from(&self.evidence);
        draft.decision = "release".parse().ok();
        draft.recipients = vec![Party::Agency(self.permit.recipient().clone())];
        draft.obligations =
            self.permit.obligations().iter().filter_map(|o| o.code().parse().ok()).collect();
        self.basis.clone().into_entry(draft)
    }
}

/// What sealed detail is: everything that has to be the same where it is opened.
#[derive(Debug, Clone, Copy)]
pub struct SealedFor<'a> {
    /// The agreement.
    pub agreement: AgreementDigest,
    /// The enquiry.
    pub enquiry: &'a EnquiryRef,
    /// The person.
    pub person: &'a PersonRef,
    /// The category.
    pub category: CategoryCode,
    /// Who released it.
    pub holder: &'a AgencyId,
    /// For whom.
    pub recipient: &'a AgencyId,
    /// The request.
    pub release: &'a ReleaseRef,
    /// When the view ends, to the millisecond.
    pub expires: Timestamp,
}

/// The binding under which detail is sealed and opened.
#[must_use]
pub fn binding(what: &SealedFor<'_>) -> Binding {
    Binding::detail(&[
        what.agreement.as_bytes(),
        what.enquiry.as_str().as_bytes(),
        what.person.as_str().as_bytes(),
        what.category.to_string().as_bytes(),
        what.holder.as_str().as_bytes(),
        what.recipient.as_str().as_bytes(),
        what.release.as_str().as_bytes(),
        &what.expires.as_millisecond().to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests;
