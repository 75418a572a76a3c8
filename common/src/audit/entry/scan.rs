//! A look at an entry's bytes without making an [`Entry`](super::Entry) of them: for whoever reads a million of them and wants
//! to know of each whether it is canonical and where it stands.
//!
//! It accepts exactly the bytes that [`Entry::decode`](super::Entry::decode) accepts. The encoding has one order of fields, no white space,
//! and no character that JSON escapes, so a walk from left to right is enough.

use std::fmt::{self, Write as _};

use super::{Action, Digest, NotAnEntry, Party, Word};
use crate::{
    id::{
        AgreementDigest, AgreementId, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef,
        RequestId, StaffName,
    },
    reason::Reason,
    text_form::OneText,
    time::Timestamp,
};

/// What an entry says of its place, and what that takes from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline<'a> {
    pub(crate) seq: u64,
    pub(crate) prev_hash: Digest,
    pub(crate) ts: Timestamp,
    /// The party, as text.
    pub(crate) node: &'a str,
}

/// Looks at the canonical bytes of an entry.
///
/// # Errors
/// When they are not the canonical bytes of an entry of this version.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, NotAnEntry> {
    // Every text of an entry is ASCII, so bytes that are no text are no entry.
    let text = std::str::from_utf8(bytes).map_err(|_| NotAnEntry::Shape)?;
    Scanner(text).entry().ok_or(NotAnEntry::NotCanonical)
}

/// What is left of the bytes.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn entry(mut self) -> Option<Outline<'a>> {
        self.literal(r#"{"v":1,"seq":"#)?;
        let seq = self.number()?;
        self.literal(r#","prev_hash":""#)?;
        let prev_hash = self.text::<Digest>()?.parse().ok()?;
        self.literal(r#","ts":""#)?;
        let ts = self.timestamp()?;
        self.literal(r#","node":""#)?;
        let node = self.text::<Party>()?;
        self.literal(r#","actor":"#)?;
        self.actor()?;
        self.literal(r#","action":""#)?;
        self.text::<Action>()?;
        // In the order of the fields of `Entry`.
        self.optional::<EnquiryRef>(r#","enquiry":""#)?;
        self.optional::<PersonRef>(r#","person":""#)?;
        self.optional::<Commitment>(r#","commitment":""#)?;
        self.optional::<RequestId>(r#","exchange":""#)?;
        self.optional::<ReleaseRef>(r#","release":""#)?;
        self.optional::<Party>(r#","peer":""#)?;
        self.optional::<CategoryCode>(r#","category":""#)?;
        self.optional::<Word>(r#","gate":""#)?;
        self.optional::<Word>(r#","class":""#)?;
        self.optional::<Word>(r#","purpose":""#)?;
        self.optional::<Word>(r#","art6":""#)?;
        self.optional::<Word>(r#","art9":""#)?;
        self.optional::<Word>(r#","art10":""#)?;
        self.optional::<Word>(r#","gateway":""#)?;
        self.optional::<Word>(r#","agreement_status":""#)?;
        if self.takes(r#","agreement":{"id":""#) {
            self.text::<AgreementId>()?;
            self.literal(r#","version":"#)?;
            u32::try_from(self.number()?).ok()?;
            self.literal(r#","digest":""#)?;
            self.text::<AgreementDigest>()?;
            self.literal("}")?;
        }
        self.list::<Digest>(r#","evidence":[""#)?;
        self.optional::<Word>(r#","decision":""#)?;
        self.optional::<Reason>(r#","reason":""#)?;
        self.list::<Party>(r#","recipients":[""#)?;
        self.list::<Word>(r#","obligations":[""#)?;
        if self.takes(r#","count":"#) {
            self.number()?;
        }
        self.optional::<Digest>(r#","payload_digest":""#)?;
        self.takes(r#","test_env":true"#);
        self.literal("}")?;
        self.0.is_empty().then_some(Outline { seq, prev_hash, ts, node })
    }

    /// Passes over `literal`, if it stands here.
    fn takes(&mut self, literal: &str) -> bool {
        let rest = self.0.strip_prefix(literal);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.takes(literal).then_some(())
    }

    /// A text up to its closing quote, which is passed over.
    fn quoted(&mut self) -> Option<&'a str> {
        let (text, rest) = self.0.split_once('"')?;
        self.0 = rest;
        Some(text)
    }

    /// The text of a value of `T`; its opening quote has been passed over.
    fn text<T: OneText>(&mut self) -> Option<&'a str> {
        self.quoted().filter(|text| T::stands(text))
    }

    /// A field that may be absent; `name` ends with the opening quote of its value.
    fn optional<T: OneText>(&mut self, name: &str) -> Option<()> {
        if self.takes(name) { self.text::<T>().map(drop) } else { Some(()) }
    }

    /// A list, which is absent when it is empty; `name` ends with the opening quote of its first value.
    fn list<T: OneText>(&mut self, name: &str) -> Option<()> {
        if self.takes(name) {
            self.text::<T>()?;
            while self.takes(r#",""#) {
                self.text::<T>()?;
            }
            self.literal("]")?;
        }
        Some(())
    }

    /// A number without sign or leading noughts.
    fn number(&mut self) -> Option<u64> {
        let end = self.0.bytes().position(|b| !b.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (digits == "0" || !digits.starts_with('0')).then(|| digits.parse().ok())?
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        let text = self.quoted()?;
        let time: Timestamp = text.parse().ok()?;
        let mut due = Due(text);
        // The parser takes other forms of the same moment.
        write!(due, "{time}").ok()?;
        due.0.is_empty().then_some(time)
    }

    fn actor(&mut self) -> Option<()> {
        if self.takes(r#""program""#) {
            return Some(());
        }
        self.literal(r#"{"staff":{"name":""#)?;
        self.text::<StaffName>()?;
        self.literal(r#","role":""#)?;
        self.text::<Word>()?;
        self.literal("}}")
    }
}

/// Takes only the text that is due.
struct Due<'a>(&'a str);

impl fmt::Write for Due<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
