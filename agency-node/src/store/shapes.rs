//! What stored records look like. The disk has its own shapes; `store.rs` turns them into the types the
//! node works with.

use std::fmt;

use brag_common::{
    agreement::ClockName,
    id::{
        AgencyId, AgreementDigest, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef,
        RequestId, StaffName,
    },
    news::News,
    rating::{Colour, Topic},
    statement::{PersonRole, ReviewStage, ReviewWait, SignedStatement},
    stored,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// `Debug` of a stored record names the type and nothing else: records are about people.
macro_rules! no_debug {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([personal])"))
            }
        })*
    };
}

/// A person of the agency's own records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// The agency's own id for the person.
    pub source_id: String,
    /// Canonical identity.
    #[serde(with = "stored::bytes")]
    pub identity: Vec<u8>,
}

/// One entry of a category, with the text withheld.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// Its category.
    pub category: CategoryCode,
    /// The text, sealed: see `brag_common::release::Withheld`.
    #[serde(with = "stored::bytes")]
    pub withheld: Vec<u8>,
    /// It also names somebody else.
    #[serde(default)]
    pub third_party: bool,
    /// The agency has restricted it.
    #[serde(default)]
    pub restricted: bool,
    /// It has a handling code that forbids sharing.
    #[serde(default)]
    pub handling_code: bool,
    /// Sharing would harm the person more than not sharing.
    #[serde(default)]
    pub more_detrimental: bool,
    /// Blinded digest of text and markings, so that an import sees a change without opening the text.
    #[serde(default, with = "stored::bytes")]
    pub digest: [u8; 16],
}

/// A rating that stands until it is too old, whoever asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRating {
    /// The colour.
    pub colour: Colour,
    /// The analysis.
    pub analysis: String,
    /// Its topics.
    #[serde(default)]
    pub topics: Vec<Topic>,
    /// Whose judgement it is.
    pub rated_by: StaffName,
    /// When they judged.
    pub rated_at: Timestamp,
}

/// A candidate that a screening answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The handle in the answer.
    #[serde(with = "stored::bytes")]
    pub handle: [u8; 16],
    /// The record behind it.
    pub record: u64,
}

/// The candidates of one screening, kept until the request is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screened {
    /// When it is dead.
    pub valid_until: Timestamp,
    /// Its candidates.
    pub candidates: Vec<Candidate>,
}

/// What the node was told of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnquiryRecord {
    /// Its purpose.
    pub purpose: String,
    /// When the round closes.
    pub answer_by: Timestamp,
    /// Whether there is evidence of domestic abuse.
    pub domestic_abuse: bool,
    /// The agreement it runs under.
    pub agreement: AgreementDigest,
    /// Links as claimed: from, to, kind.
    pub links: Vec<(PersonRef, PersonRef, String)>,
}

/// Where a person of an enquiry stands at this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// An assessor has been asked.
    ToRate,
    /// Unclear whether the record is the same person.
    IdentityReview,
    /// A rating was given.
    Rated,
    /// An assessor declined.
    Declined,
    /// Linked to a known person; may be rated.
    Linked,
    /// A person decided that the record is somebody else's; what was disclosed is erased.
    Different,
}

/// What a person decided about an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityVerdict {
    /// The record is the person asked about.
    Same,
    /// It is somebody else.
    Different,
}

impl IdentityVerdict {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
        }
    }
}

/// One decision about an identity. All are kept, the newest last.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjudication {
    /// What was decided.
    pub verdict: IdentityVerdict,
    /// By whom.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
    /// Why. It stays here.
    pub reason: String,
}

/// A person of an enquiry whose commitment the node was told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnquiryPerson {
    /// Commitment to the identity.
    pub commitment: Commitment,
    /// Their part, as the co-ordinator sees it.
    #[serde(with = "stored::role")]
    pub role: Option<PersonRole>,
    /// Age band.
    pub age_band: String,
    /// Where they stand.
    pub standing: Standing,
    /// Identity as opened, canonical; `None` for a linked person, and when it was erased.
    pub opened: Option<Opened>,
    /// What people have decided about the identity, oldest first.
    #[serde(default)]
    pub decisions: Vec<Adjudication>,
}

/// An identity that the hub disclosed and the node has checked against the commitment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Canonical identity.
    #[serde(with = "stored::bytes")]
    pub identity: Vec<u8>,
    /// The agency's record of the person.
    pub record: u64,
}

/// A statement kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStatement {
    /// As it travelled.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
}

/// An analysis of this node's, with the salt of its digest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisRecord {
    /// The salt.
    #[serde(with = "stored::bytes")]
    pub salt: [u8; 32],
    /// The text.
    pub text: String,
}

/// What stays at the node of what a person said about sharing; the statement has the rest.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// Why they were not asked themselves; empty when they were.
    pub not_asked_because: String,
    /// What they said when they withdrew; empty otherwise.
    pub reason: String,
}

/// A release that waits for people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The release.
    pub release: ReleaseRef,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The recipient it is about.
    pub recipient: AgencyId,
    /// The request as it came, without the evidence, which is kept on its own: it is decided again when
    /// people have approved.
    #[serde(with = "stored::bytes")]
    pub request: Vec<u8>,
    /// Approvals needed in all.
    pub approvals_needed: u32,
    /// Who has approved.
    pub approved_by: Vec<StaffName>,
    /// The gate it rests on, for display.
    pub gate: String,
    /// The clock that ran for the person when it was asked.
    pub clock: ClockName,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// From when on deputies are asked too.
    pub escalate_at: Timestamp,
    /// When it ends in a refusal.
    pub decide_by: Timestamp,
    /// When deputies were asked; `None` before.
    pub escalated_at: Option<Timestamp>,
    /// The text that the approvals given are for; `None`: they are for what is held.
    pub redaction: Option<Redaction>,
    /// How it ended; `None` while it waits.
    pub ended: Option<ReviewEnd>,
}

impl Review {
    /// For whom it waits, and until when.
    #[must_use]
    pub const fn wait(&self) -> ReviewWait {
        let stage = match self.escalated_at {
            None => ReviewStage::Approver,
            Some(_) => ReviewStage::DeputyApprover,
        };
        ReviewWait { stage, until: self.decide_by }
    }
}

/// A text that an approver gave in the place of what is held.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Its random name: another text has another.
    pub name: RequestId,
    /// The text.
    pub text: String,
    /// Who redacted.
    pub by: StaffName,
    /// Why. It stays here.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How a review ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewEnd {
    /// Released, or refused because the threshold was no longer met.
    Decided,
    /// An approver refused, for a reason that stays at the node.
    Refused {
        /// Who.
        by: StaffName,
        /// Why.
        reason: String,
    },
    /// Too few had approved in time.
    TimedOut,
}

/// Another agency's challenge of a rating of this one's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRecord {
    /// Who challenges.
    pub by: AgencyId,
    /// The member of its staff whose act it is.
    pub made_by: Option<StaffName>,
    /// When it was signed.
    pub made_at: Timestamp,
    /// Whose rating.
    pub person: PersonRef,
    /// Why.
    pub reason: String,
    /// As it travelled.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
    /// How it was answered; `None` while it waits.
    pub ended: Option<ChallengeEnd>,
}

/// How a challenge was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeEnd {
    /// The rating stays.
    Kept,
    /// The agency has rated anew, or withdrawn its rating.
    Changed,
}

/// Detail that another agency released to this one. While the view is open the detail is a blob at the same place, sealed
/// under a key that is kept elsewhere (`views.rs`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRecord {
    /// The holder's signed decision.
    #[serde(with = "stored::statement")]
    pub permit: SignedStatement,
    /// When it came.
    pub received_at: Timestamp,
    /// How the view ended; `None` while it is open.
    #[serde(default)]
    pub closed: Option<Closed>,
}

/// What this node released to one recipient: the decision, never the detail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedRecord {
    /// This node's own signed decision.
    #[serde(with = "stored::statement")]
    pub permit: SignedStatement,
    /// That it was taken back; `None` while it stands.
    pub retraction: Option<RetractedRecord>,
}

/// That a release was taken back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractedRecord {
    /// The signed retraction.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
    /// When.
    pub at: Timestamp,
    /// When a person at the recipient acknowledged it; `None` while nobody has.
    pub acknowledged: Option<Timestamp>,
}

/// That a holder took back what it had released to this agency.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// The holder's signed retraction.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
    /// When it came.
    pub received_at: Timestamp,
    /// Who acknowledged it; `None` while nobody has.
    pub acknowledged: Option<AcknowledgedRecord>,
}

/// News that the hub has told of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsRecord {
    /// What has come about.
    pub news: News,
    /// When the node was told.
    pub received_at: Timestamp,
}

/// Who acknowledged a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedRecord {
    /// The member of staff.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
}

/// How a view ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Why.
    pub why: CloseReason,
    /// When.
    pub at: Timestamp,
}

/// Why a view ended before or at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Its time has passed.
    Expired,
    /// The holder has taken the detail back.
    Retracted,
    /// The information sharing agreement is no longer in force.
    AgreementEnded,
    /// This agency has withdrawn from the agreement.
    PartyWithdrawn,
}

impl CloseReason {
    /// The word for it, in entries and on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "view_expired",
            Self::Retracted => "view_retracted",
            Self::AgreementEnded => "agreement_expired",
            Self::PartyWithdrawn => "party_withdrawn",
        }
    }

    /// What whoever wants to open it is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Expired => {
                "VIEW_EXPIRED: its time has passed and its key is destroyed; ask for the detail again"
            }
            Self::Retracted => {
                "VIEW_RETRACTED: the agency that released it has taken it back, and its key is destroyed"
            }
            Self::AgreementEnded => {
                "AGREEMENT_EXPIRED: the agreement is not in force, and the key of the view is destroyed"
            }
            Self::PartyWithdrawn => {
                "PARTY_WITHDRAWN: this agency has withdrawn from the agreement, and the key of the view is destroyed"
            }
        }
    }
}

no_debug!(
    PersonRecord,
    EntryRecord,
    AnalysisRecord,
    ConsentRecord,
    StandingRating,
    EnquiryPerson,
    Adjudication,
    Opened,
    Review,
    Redaction,
    ReviewEnd,
    ChallengeRecord,
    InboxRecord,
    ReleasedRecord,
    RetractedRecord,
    NoticeRecord,
    HandledRecord
);

/// How an alert was handled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandledRecord {
    /// By whom.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
    /// What they found and did.
    pub note: String,
}

/// That a member of staff is linked to the family of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// When they said so.
    pub at: Timestamp,
}
