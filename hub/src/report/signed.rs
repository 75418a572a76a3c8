//! The agreement that a report is made from, and who has signed it.

use std::{fmt, fs, path::Path};

use anyhow::Context as _;
use brag_common::{
    agreement::{self, Agreement, NoteError, Signatory},
    audit::entry::Digest,
};

/// An agreement as it lies in a file.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it says.
    pub agreement: Agreement,
    /// SHA-256 of its text: what every entry of a log names.
    pub digest: Digest,
    /// Who has signed.
    pub by: SignedBy,
}

/// Who has signed an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Every party and the hub.
    All,
    /// Not these.
    NotBy(Vec<Signatory>),
    /// It names no keys yet, so nobody could.
    Draft,
}

impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("signed by every party and the hub"),
            Self::NotBy(missing) => {
                f.write_str("NOT YET SIGNED by")?;
                missing.iter().try_for_each(|signatory| write!(f, " {signatory}"))
            }
            Self::Draft => {
                f.write_str("A DRAFT: it names no keys for everybody, and is not signed")
            }
        }
    }
}

/// A signature of the agreement that does not verify.
#[derive(Debug, thiserror::Error)]
#[error("the agreement's signatures are not in order")]
pub struct NotSigned(#[source] NoteError);

impl Signed {
    /// Reads an agreement: a note, each of whose signatures is verified with the keys in its text, or the text alone.
    ///
    /// # Errors
    /// [`NotSigned`] when a signature does not verify; otherwise when it can not be read or is no agreement.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading {}", path.display());
        let bytes = fs::read(path).with_context(reading)?;
        let text = agreement::text_of(&bytes).with_context(reading)?;
        let agreement = Agreement::parse(&text).with_context(reading)?;
        let digest = Digest::of(text.as_bytes());
        let by = match agreement::collect(&[bytes]) {
            Ok((_, missing)) if missing.is_empty() => SignedBy::All,
            Ok((_, missing)) => SignedBy::NotBy(missing),
            Err(NoteError::Keys(_)) => SignedBy::Draft,
            Err(error) => return Err(NotSigned(error)).with_context(reading),
        };
        Ok(Self { agreement, digest, by })
    }
}
