//! Former versions: what was signed under one stays good for its time.
//!
//! A version holds until the next one does. A statement is believed under the version it names, with the key that its signer
//! had in it, when it was made before that version was superseded. The date in a statement is its signer's word: whoever has
//! a former key could write an earlier one, which gains nothing that the limits of freshness do not end, and nothing at
//! all once the key is revoked.

use std::{fmt, sync::Arc};

use super::{model::Agreement, note::SignedAgreement};
use crate::{
    id::{AgreementDigest, AgreementId, EnquiryRef},
    statement::{Realm, Refused, SignedStatement, Statement},
    time::Timestamp,
};

/// A version that another has superseded.
#[derive(Debug, Clone, PartialEq)]
pub struct Former {
    agreement: Agreement,
    digest: AgreementDigest,
    superseded_at: Timestamp,
}

impl Former {
    /// What it said.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// SHA-256 of its exact text.
    #[must_use]
    pub const fn digest(&self) -> AgreementDigest {
        self.digest
    }

    /// From when on the next version held here.
    #[must_use]
    pub const fn superseded_at(&self) -> Timestamp {
        self.superseded_at
    }
}

/// Two parties that work under different versions, told so that both sides know which each of them holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    here: (AgreementId, u32, AgreementDigest),
    named: (Option<u32>, AgreementDigest),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, version, digest) = &self.here;
        write!(
            f,
            "AGREEMENT_VERSION_MISMATCH: version {version} of `{id}` ({digest}) holds here, "
        )?;
        match &self.named {
            (Some(named), digest) => write!(
                f,
                "and the other side works under version {named} ({digest}), which it has superseded; install version \
                 {version} there"
            ),
            (None, digest) => write!(
                f,
                "and the other side works under {digest}, which was never accepted here; whoever has the lower version \
                 installs the newer one"
            ),
        }
    }
}

/// How a statement comes before its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// For the first time.
    New,
    /// The reader has had it before.
    Before,
}

impl SignedAgreement {
    /// The same agreement as the one that took over from `previous` at `superseded_at`.
    #[must_use]
    pub fn after(mut self, previous: &Self, superseded_at: Timestamp) -> Self {
        self.former.clone_from(&previous.former);
        self.former.push(Arc::new(Former {
            agreement: previous.agreement().clone(),
            digest: previous.digest(),
            superseded_at,
        }));
        self
    }

    /// Versions that it superseded here, oldest first.
    pub fn former(&self) -> impl Iterator<Item = &Former> {
        self.former.iter().map(AsRef::as_ref)
    }

    /// The number of the version with this digest: this one, or a former one; `None` for any other.
    #[must_use]
    pub fn version_of(&self, digest: AgreementDigest) -> Option<u32> {
        if digest == self.digest() {
            return Some(self.agreement().version());
        }
        let former = self.former().find(|former| former.digest == digest);
        former.map(|former| former.agreement.version())
    }

    /// That this version holds here, and another side named the one with this digest.
    #[must_use]
    pub fn mismatch(&self, named: AgreementDigest) -> Mismatch {
        let agreement = self.agreement();
        Mismatch {
            here: (agreement.id().clone(), agreement.version(), self.digest()),
            named: (self.version_of(named), named),
        }
    }

    /// Verifies a statement by the version that it names, and the key that its signer had in it.
    ///
    /// # Errors
    /// When it is malformed or not signed by the agency it names; when it names a version that this reader never had, or was
    /// made after that version was superseded; when the key has been revoked.
    pub fn believe(
        &self,
        signed: &SignedStatement,
        realm: &Realm,
        enquiry: &EnquiryRef,
        seen: Seen,
    ) -> Result<Statement, Refused> {
        let named = signed.read_unverified()?.agreement;
        let former = self.former().find(|former| former.digest == named);
        let agreement = former.map_or_else(|| self.agreement(), Former::agreement);
        // Whether it is this version or one that nobody here knows is for `verify` to say.
        let digest = former.map_or_else(|| self.digest(), Former::digest);
        let realm = Realm { agreement: digest, ..realm.clone() };
        let mut used = None;
        let statement = signed.verify(&realm, enquiry, |signer| {
            used = agreement.party(signer).and_then(|party| Some(party.keys()?.signing));
            used
        })?;
        if former.is_some_and(|former| statement.made_at >= former.superseded_at) {
            return Err(Refused::OtherAgreement);
        }
        let revoked = used.and_then(|key| self.agreement().revoked(key.as_bytes()));
        match revoked {
            Some(revoked) if seen == Seen::New || statement.made_at >= revoked.at => {
                Err(Refused::RevokedKey)
            }
            Some(_) | None => Ok(statement),
        }
    }
}
