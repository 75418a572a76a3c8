//! What stored records look like at the hub. Identities and analyses are sealed with everything else; sealed
//! detail never comes here at all.

use std::fmt;

use brag_common::{
    agreement::LinkKind,
    audit::entry::Digest,
    id::{AgencyId, Commitment, EnquiryRef, PersonRef, RequestId, StaffName},
    news::News,
    rating::{Colour, Topic},
    reason::Reason,
    statement::{PersonRole, ReviewWait, SignedStatement},
    stored,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::inspect::question::Question;

/// One enquiry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnquiryRecord {
    /// Why, in the agreement's words.
    pub purpose: String,
    /// Who opened it.
    pub opened_by: StaffName,
    /// When.
    pub opened_at: Timestamp,
    /// When the round closes.
    pub answer_by: Timestamp,
    /// Whether there is evidence of domestic abuse.
    pub domestic_abuse: bool,
    /// Where it came from.
    pub referral: Referral,
    /// Its people, in the order entered.
    pub people: Vec<PersonRecord>,
    /// Links between them, as the co-ordinator entered them.
    pub links: Vec<Link>,
    /// Why somebody was asked about again a short time after; absent where nobody was, or none was given.
    #[serde(default)]
    pub again_because: Option<String>,
}

impl EnquiryRecord {
    /// One of its people.
    #[must_use]
    pub fn person(&self, person: &PersonRef) -> Option<&PersonRecord> {
        self.people.iter().find(|known| known.person == *person)
    }
}

/// That an enquiry was opened, as far as budgets count it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningRecord {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: StaffName,
    /// About how many people.
    pub people: u32,
    /// Agency and reference of its referral, in one form; absent where the reference is none.
    pub referral: Option<String>,
}

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

/// A request to answer a person who wants access to what is kept about them. It is of no enquiry, and says who the person is by a salted
/// digest only: what is held is looked up anew at every step, and goes with its enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// Who asked.
    pub asked_by: StaffName,
    /// When.
    pub asked_at: Timestamp,
    /// The salt of the person's commitment and of every draft's digest.
    #[serde(with = "stored::bytes")]
    pub salt: [u8; 32],
    /// Commitment to the identity with which it was asked.
    pub person: Commitment,
    /// Agencies whose analyses are included although the program proposes to leave them out.
    pub analyses_of: Vec<AgencyId>,
    /// Who has approved a draft, each with the latest that they approved.
    pub approvals: Vec<AccessApproval>,
    /// When the document was last issued; `None` while it was not.
    pub issued_at: Option<Timestamp>,
}

/// Somebody's approval of one draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessApproval {
    /// Who.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
    /// The draft's digest, under the request's salt.
    pub draft: Digest,
}

/// Where an enquiry came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// The agency that referred.
    pub agency: AgencyId,
    /// Its own reference.
    pub reference: String,
    /// When it happened.
    pub incident_at: Option<Timestamp>,
    /// When the referral came in.
    pub received_at: Timestamp,
    /// How it came, in a word of the trade; absent where it was not said.
    #[serde(default)]
    pub source: Option<String>,
}

/// One person of an enquiry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// The co-ordinator's label.
    pub label: String,
    /// The random reference.
    pub person: PersonRef,
    /// Commitment to the identity.
    pub commitment: Commitment,
    /// Salt of the commitment.
    #[serde(with = "stored::bytes")]
    pub salt: [u8; 32],
    /// Canonical identity.
    #[serde(with = "stored::bytes")]
    pub identity: Vec<u8>,
    /// Their part, as the co-ordinator sees it.
    #[serde(with = "stored::role")]
    pub role: Option<PersonRole>,
    /// The referrer's first colour.
    pub initial: Option<Colour>,
}

/// A link as the co-ordinator entered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The first person.
    pub from: PersonRef,
    /// The second.
    pub to: PersonRef,
    /// Their relation.
    pub kind: LinkKind,
}

/// Where one cell of the matrix stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord {
    /// Where it stands.
    pub state: CellState,
    /// Since when.
    pub since: Timestamp,
}

/// Where a cell stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// Not asked yet, or an assessor has been asked.
    Pending,
    /// The call failed, for this reason.
    NoResponse(String),
    /// Answered; `late` when the round had closed.
    Answered {
        /// What.
        said: SaidRecord,
        /// Whether the round had closed.
        late: bool,
    },
}

/// What an agency said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidRecord {
    /// A colour.
    Rated {
        /// The colour.
        colour: Colour,
        /// When the assessor judged.
        rated_at: Timestamp,
        /// The analysis.
        analysis: String,
        /// Its topics.
        topics: Vec<Topic>,
        /// The linked person it rests on.
        via: Option<PersonRef>,
        /// Whose judgement it is.
        by: Option<StaffName>,
    },
    /// Searched; no record.
    NotKnown,
    /// Perhaps known; the agency has been told nothing.
    Possible,
    /// The agency has been told, and compares.
    IdentityReview,
    /// Could not answer.
    Unable(String),
    /// An assessor declined.
    Declined(String),
}

/// A signed statement that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRecord {
    /// As it travelled.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
    /// When it came.
    pub received_at: Timestamp,
}

/// A rating that was replaced or withdrawn.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatingChangeRecord {
    /// Whose rating.
    pub agency: AgencyId,
    /// Of whom.
    pub person: PersonRef,
    /// When the hub took the change.
    pub at: Timestamp,
    /// The rating before.
    pub before: SaidRecord,
    /// The rating after; `None`: none is left.
    pub after: Option<SaidRecord>,
    /// It was withdrawn, and not replaced.
    pub withdrawn: bool,
}

/// One agency's challenge of another's rating.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRecord {
    /// Who challenges.
    pub by: AgencyId,
    /// Whose rating it is.
    pub of: AgencyId,
    /// Of whom.
    pub person: PersonRef,
    /// The member of staff who challenges.
    pub made_by: Option<StaffName>,
    /// When it was signed.
    pub made_at: Timestamp,
    /// Why.
    pub reason: String,
    /// The salt of the reason's digest.
    #[serde(with = "stored::bytes")]
    pub salt: [u8; 32],
    /// As it travelled.
    #[serde(with = "stored::statement")]
    pub signed: SignedStatement,
    /// What came of it.
    pub status: ChallengeStatus,
}

/// What came of a challenge.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeStatus {
    /// Not answered.
    Open {
        /// Whether the agency has been told.
        told: bool,
    },
    /// The rating stays.
    Kept {
        /// Why.
        answer: String,
        /// When the answer came.
        at: Timestamp,
    },
    /// The agency has rated anew, or withdrawn its rating.
    Changed {
        /// When.
        at: Timestamp,
    },
    /// The agency had given no rating.
    NoRating,
}

/// A request for detail, for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// The agency that holds it.
    pub holder: AgencyId,
    /// About whom.
    pub person: PersonRef,
    /// The category.
    pub category: String,
    /// For whom.
    pub recipient: AgencyId,
    /// Who asked.
    pub asked_by: StaffName,
    /// When.
    pub asked_at: Timestamp,
    /// What came of it.
    pub outcome: OutcomeRecord,
    /// Which rules were applied, as the holder told it.
    pub trace: Vec<TraceRecord>,
    /// What would change a refusal.
    pub would_be_released_if: Vec<String>,
    /// How to reach the team.
    pub contact_route: String,
    /// That the holder took it back; `None` while it stands.
    #[serde(default)]
    pub retraction: Option<RetractionRecord>,
}

/// That a holder took back what it had released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractionRecord {
    /// The retraction's own name.
    pub id: RequestId,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
    /// Who at the recipient acknowledged it; `None` while nobody has.
    pub acknowledged: Option<AcknowledgedRecord>,
}

/// Who acknowledged a retraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedRecord {
    /// The member of staff, as the recipient's statement says; `None` when it does not.
    pub by: Option<StaffName>,
    /// When.
    pub at: Timestamp,
}

/// Something that waits for the agency that it concerns, told by its field: what was signed is stored as it was before there
/// were news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NoticeRecord {
    /// A notice of another agency.
    Signed {
        /// As it was signed.
        #[serde(with = "stored::statement")]
        signed: SignedStatement,
    },
    /// The hub's own word.
    News {
        /// What has come about.
        news: News,
    },
}

/// A co-ordinator's authority that an agency compares a person it may know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityReviewRecord {
    /// Who authorised it.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
    /// Why. It stays here.
    pub reason: String,
    /// When the agency took it up; `None` while it has still to be told.
    pub told_at: Option<Timestamp>,
}

/// An earlier enquiry about one of the people of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRecord {
    /// The person in the later enquiry.
    pub person: PersonRef,
    /// The earlier enquiry.
    pub enquiry: EnquiryRef,
    /// The person there.
    pub earlier_person: PersonRef,
    /// When the earlier enquiry was opened.
    pub opened_at: Timestamp,
}

/// The match keys by which somebody of an enquiry is found, under the store's own key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindableRecord {
    /// 16 bytes each.
    pub keys: Vec<[u8; 16]>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeRecord {
    /// The holder did not answer.
    NoResponse,
    /// Released.
    Release {
        /// The gate.
        gate: String,
        /// Obligations.
        obligations: Vec<String>,
        /// When the view ends.
        view_expires_at: Timestamp,
        /// Whether it has reached the recipient.
        relayed: bool,
    },
    /// Waits for people at the holder.
    Review {
        /// The gate.
        gate: String,
        /// Approvals that are still needed.
        approvals_needed: u32,
        /// Who may act, and until when; `None`: the holder does not say.
        #[serde(default)]
        wait: Option<ReviewWait>,
    },
    /// Refused.
    Deny(Reason),
}

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRecord {
    /// The stage.
    pub stage: String,
    /// The rule.
    pub rule: String,
    /// What it gave.
    pub result: String,
    /// The evidence it rests on.
    pub evidence: Vec<String>,
}

/// The epochs of one agency that have a secret: at most these two.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochsRecord {
    /// What it is screened with; absent until its first enrolment is complete.
    pub screening: Option<EpochRecord>,
    /// What it enrols in, when that is another.
    pub enrolling: Option<EpochRecord>,
}

impl EpochsRecord {
    /// What it enrols in now; absent before its first batch.
    #[must_use]
    pub const fn newest(&self) -> Option<&EpochRecord> {
        match &self.enrolling {
            Some(enrolling) => Some(enrolling),
            None => self.screening.as_ref(),
        }
    }

    /// As [`Self::newest`], to count in.
    #[must_use]
    pub const fn newest_mut(&mut self) -> Option<&mut EpochRecord> {
        match &mut self.enrolling {
            Some(enrolling) => Some(enrolling),
            None => self.screening.as_mut(),
        }
    }

    /// Whether the agency can be screened, now that an epoch may take over.
    #[must_use]
    pub fn can_be_screened(&self, now: Timestamp) -> bool {
        self.screening.is_some()
            || self.enrolling.as_ref().is_some_and(|next| next.is_effective(now))
    }
}

/// The hub's key for one agency in one epoch, and what the agency declared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Seed of the function's key; independent for every agency and epoch.
    #[serde(with = "stored::bytes")]
    pub seed: [u8; 32],
    /// When it was prepared.
    pub begun_at: Timestamp,
    /// How many people the agency declared first in this epoch; 0 before it did.
    pub declared_first: u64,
    /// How many people the agency last declared.
    pub declared_people: u64,
    /// How many elements were evaluated in this epoch.
    pub evaluated: u64,
    /// The day that `evaluated_today` is of, in days since 1970.
    pub day: i64,
    /// How many elements were evaluated on that day after the enrolment was complete.
    pub evaluated_today: u64,
    /// From when on it is screened with; absent until the agency says that everybody is enrolled.
    pub effective_at: Option<Timestamp>,
}

impl EpochRecord {
    /// Whether the enrolment is complete and its cut has come.
    #[must_use]
    pub fn is_effective(&self, now: Timestamp) -> bool {
        self.effective_at.is_some_and(|from| from <= now)
    }
}

macro_rules! no_debug {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([personal])"))
            }
        })*
    };
}

no_debug!(
    EnquiryRecord,
    PersonRecord,
    CellRecord,
    CellState,
    SaidRecord,
    RatingChangeRecord,
    ChallengeRecord,
    ChallengeStatus,
    EpochRecord,
    IdentityReviewRecord,
    FindableRecord,
    EpochsRecord,
    HandledRecord
);

/// A question to the log that an auditor keeps: references and the log's words, under a name of such words. It says nothing about an
/// enquiry that the log does not keep as long, and is of none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionRecord {
    /// What it is called.
    pub name: String,
    /// Who keeps it.
    pub by: StaffName,
    /// Since when.
    pub at: Timestamp,
    /// What it asks.
    pub question: Question,
}

/// That a member of staff is linked to the family of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// When they said so.
    pub at: Timestamp,
}
