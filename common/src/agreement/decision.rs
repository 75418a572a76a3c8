//! What was decided for one recipient, and why.
//!
//! INVARIANT: a [`Permit`] is made only in this module's parent, by a decision that allows the
//! release; a reviewed release yields one only through [`PendingPermit::approve`]. Neither can be
//! copied: one decision, one release. A node that has to wait for a review across a restart decides
//! again when it is approved.

use std::{collections::BTreeSet, fmt};

use super::{
    facts::EvidenceId,
    hypothesis::Hypothesis,
    terms::{Class, Gate},
};
use crate::{
    id::{AgencyId, CategoryCode, PersonRef, StaffName},
    reason::Reason,
    time::Timestamp,
};

/// What was decided for one recipient.
#[derive(Debug, PartialEq, Eq)]
pub struct RecipientDecision {
    /// The recipient.
    pub recipient: AgencyId,
    /// What was decided.
    pub outcome: Outcome,
    /// Every rule that was looked at, in order.
    pub trace: Vec<Step>,
    /// What would turn a refusal into a release or a review, each alone. Computed from the facts of
    /// the enquiry, never from what the holder holds. Empty unless refused.
    pub would_be_released_if: Vec<Hypothesis>,
}

/// Release, review or refusal.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Release at once.
    Release(Permit),
    /// Release once people at the holder have approved.
    Review(PendingPermit),
    /// Refuse.
    Deny(Reason),
}

impl Outcome {
    /// The reason code: of a refusal, or that approval is pending; `None` for a release.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Release(_) => None,
            Self::Review(_) => Some(Reason::PendingApproval),
            Self::Deny(reason) => Some(*reason),
        }
    }

    /// Whether the detail may leave, at once or after approval.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Release(_) | Self::Review(_))
    }
}

/// How many different people at the holder have to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approvals {
    /// One.
    One,
    /// Two.
    Two,
}

impl Approvals {
    /// The number.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Proof that one category about one person may leave one holder for one recipient.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    holder: AgencyId,
    subject: PersonRef,
    category: CategoryCode,
    recipient: AgencyId,
    gate: Gate,
    class: Class,
    expires: Timestamp,
    obligations: Vec<Obligation>,
}

/// The parts of a permit, for the one place that makes them.
#[derive(Debug)]
pub(super) struct PermitParts {
    pub(super) holder: AgencyId,
    pub(super) subject: PersonRef,
    pub(super) category: CategoryCode,
    pub(super) recipient: AgencyId,
    pub(super) gate: Gate,
    pub(super) class: Class,
    pub(super) expires: Timestamp,
    pub(super) obligations: Vec<Obligation>,
}

impl Permit {
    pub(super) fn new(parts: PermitParts) -> Self {
        let PermitParts { holder, subject, category, recipient, gate, class, expires, obligations } =
            parts;
        Self { holder, subject, category, recipient, gate, class, expires, obligations }
    }

    /// Whose record it is about.
    #[must_use]
    pub const fn holder(&self) -> &AgencyId {
        &self.holder
    }

    /// About whom.
    #[must_use]
    pub const fn subject(&self) -> &PersonRef {
        &self.subject
    }

    /// What may leave.
    #[must_use]
    pub const fn category(&self) -> CategoryCode {
        self.category
    }

    /// Who may receive it.
    #[must_use]
    pub const fn recipient(&self) -> &AgencyId {
        &self.recipient
    }

    /// Under which gate.
    #[must_use]
    pub const fn gate(&self) -> Gate {
        self.gate
    }

    /// How sensitive it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// When the recipient can no longer open it.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// What the recipient has to keep to.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// The same permit for a text that a person at the holder has redacted: what is held does not open for it.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        if !self.is_redacted() {
            self.obligations.push(Obligation::ThirdPartyRedacted);
        }
        self
    }

    /// Whether only a redacted text may leave.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        self.obligations.contains(&Obligation::ThirdPartyRedacted)
    }
}

/// A release that waits for approval.
#[derive(Debug, PartialEq, Eq)]
pub struct PendingPermit {
    permit: Permit,
    approvals: Approvals,
}

/// Too few people have approved so far.
#[derive(Debug, PartialEq, Eq)]
pub struct NotApproved {
    /// What still waits.
    pub pending: Box<PendingPermit>,
    /// How many more different people have to approve.
    pub n_missing: usize,
}

impl fmt::Display for NotApproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} more approval(s) of other people are needed", self.n_missing)
    }
}

impl std::error::Error for NotApproved {}

impl PendingPermit {
    pub(super) const fn new(permit: Permit, approvals: Approvals) -> Self {
        Self { permit, approvals }
    }

    /// How many different people have to approve.
    #[must_use]
    pub const fn approvals(&self) -> Approvals {
        self.approvals
    }

    /// What will be permitted: to show to the approver, not to release by.
    #[must_use]
    pub const fn details(&self) -> &Permit {
        &self.permit
    }

    /// The permit, once enough different people have approved. Who made the request does not count
    /// as one of them.
    ///
    /// # Errors
    /// When too few have; the pending permit comes back.
    pub fn approve(
        self,
        requester: &StaffName,
        approvers: &[StaffName],
    ) -> Result<Permit, NotApproved> {
        let distinct: BTreeSet<_> = approvers.iter().filter(|name| *name != requester).collect();
        match self.approvals.count().saturating_sub(distinct.len()) {
            0 => Ok(self.permit),
            n_missing => Err(NotApproved { pending: Box::new(self), n_missing }),
        }
    }
}

/// What a recipient has to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obligation {
    /// Not to be passed on without the holder's consent.
    NoOnward,
    /// For safeguarding only.
    SafeguardingPurposeOnly,
    /// To be deleted after this time.
    DeleteAfter(Timestamp),
    /// The person must not learn of it.
    DoNotTellSubject,
    /// No contact at the person's home.
    NoHomeContact,
    /// Somebody at the holder has taken out what is about others.
    ThirdPartyRedacted,
    /// The recipient otherwise works with a person posing risk only.
    RoleConflictNote,
}

impl Obligation {
    /// Its code, without the time of `DELETE_AFTER`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoOnward => "NO_ONWARD",
            Self::SafeguardingPurposeOnly => "SAFEGUARDING_PURPOSE_ONLY",
            Self::DeleteAfter(_) => "DELETE_AFTER",
            Self::DoNotTellSubject => "DO_NOT_TELL_SUBJECT",
            Self::NoHomeContact => "NO_HOME_CONTACT",
            Self::ThirdPartyRedacted => "THIRD_PARTY_REDACTED",
            Self::RoleConflictNote => "ROLE_CONFLICT_NOTE",
        }
    }
}

impl fmt::Display for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteAfter(at) => write!(f, "{}={at}", self.code()),
            _ => f.write_str(self.code()),
        }
    }
}

/// A stage of the evaluation; the first failure wins, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The log can be written.
    Log,
    /// The agreement is in force and holder and recipient are in it.
    Agreement,
    /// The enquiry is open, the person in it, the purpose allowed.
    Enquiry,
    /// The holder knows who the person is.
    Identity,
    /// The category is one the exchange carries.
    Never,
    /// The recipient may receive the category at all.
    Recipient,
    /// The lawful basis is stated.
    LawfulBasis,
    /// The evidence is signed and fresh.
    Evidence,
    /// A gate is open, and this recipient may receive under it.
    Gate,
    /// The gate opens this class.
    Disclosure,
    /// The holder's own stricter rules.
    Holder,
}

impl Stage {
    /// Its word in a trace.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Agreement => "agreement",
            Self::Enquiry => "enquiry",
            Self::Identity => "identity",
            Self::Never => "never",
            Self::Recipient => "recipient",
            Self::LawfulBasis => "lawful_basis",
            Self::Evidence => "evidence",
            Self::Gate => "gate",
            Self::Disclosure => "disclosure",
            Self::Holder => "holder",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// At which stage.
    pub stage: Stage,
    /// The rule, for example `disclosure.S2.g3`.
    pub rule: String,
    /// What came of it.
    pub result: StepResult,
    /// The evidence it rests on, in order of name.
    pub evidence: BTreeSet<EvidenceId>,
}

/// What came of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// It is met.
    Met,
    /// It is not met, and another may be.
    NotMet(Reason),
    /// It decided the refusal.
    Refused(Reason),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.stage, self.rule)?;
        match self.result {
            StepResult::Met => f.write_str("met")?,
            StepResult::NotMet(reason) => write!(f, "not met ({reason})")?,
            StepResult::Refused(reason) => write!(f, "refused ({reason})")?,
        }
        for (n, evidence) in self.evidence.iter().enumerate() {
            write!(f, "{}{evidence}", if n == 0 { " by " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use static_assertions::assert_not_impl_any;

    use super::*;

    // One decision, one release.
    assert_not_impl_any!(Permit: Clone, serde::de::DeserializeOwned);
    assert_not_impl_any!(PendingPermit: Clone, serde::de::DeserializeOwned);
}
