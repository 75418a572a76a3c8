//! The information sharing agreement, and what it makes of a request for detail.
//!
//! Everything a partnership may decide is data in one TOML file ([`Agreement::parse`]); all parties
//! sign its exact bytes ([`SignedAgreement`]). What the code fixes whatever a file says: deny by
//! default, the order of evaluation ([`decide()`]), and the categories that are never carried
//! ([`NEVER_CARRIED`]).
//!
//! Nothing here reads a clock, a disk or the network: [`decide()`] is a total function of the
//! agreement, the request, the verified [`Facts`] and the [`Moment`]. Verifying signatures on facts
//! is the caller's work, before this; recording and sealing come after.

mod admission;
pub mod cases;
mod catalogue;
pub mod clock;
mod decide;
mod decision;
mod diff;
mod document;
mod facts;
mod faults;
mod former;
pub mod gates;
mod hypothesis;
mod lawful;
mod model;
mod moment;
mod note;
mod obligation;
mod parties;
mod party;
mod period;
mod reader;
mod revoked;
mod terms;
mod values;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testkit;

pub use clock::WorkingHours;
pub use decide::decide;
pub use decision::{
    Approvals, NotApproved, Obligation, Outcome, PendingPermit, Permit, RecipientDecision, Stage,
    Step, StepResult,
};
pub use diff::{Difference, Effect, diff};
pub use facts::{
    AcceptedAction, Assertion, AssertionKind, Consent, ConsentStatus, EvidenceId, EvidenceKind,
    Facts, Link, Marac, MaracGround, Rating, RejectedEvidence, Rejection, SpecialistPrompt,
};
pub use faults::{AgreementFaults, Fault};
pub use former::{Former, Mismatch, Seen};
pub use hypothesis::Hypothesis;
pub use lawful::{ART6, AskedSubject, GATEWAYS, LawfulBasis};
pub use model::{Agreement, KeyHolder, KeysMissing, NEVER_CARRIED};
pub use moment::{Holding, Identity, Moment, Request};
pub use note::{NOTE_BYTES_MAX, NoteError, Signatory, SignedAgreement, collect, sign, text_of};
pub use party::{HubKeys, Party, PartyKeys, TlsName};
pub use period::Period;
pub use revoked::Revoked;
pub use terms::{
    Class, ClockName, ClockRuns, Condition, Environment, Gate, LinkKind, Mode, PartyType, Purpose,
    Requirement, ReviewAuthority, Special, Weekday,
};
pub use values::{
    Category, Cell, Clocks, Contacts, Freshness, GateNumbers, Limit, MatchingTerms, RatingTerms,
    Retention, ReviewTerms,
};
