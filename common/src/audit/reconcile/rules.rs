//! Which entries belong together, as data: for every kind of exchange what each side writes of it, what has to be on both
//! sides, and which fields have to agree.
//!
//! To add a call, add its rows and its terms; `reconcile.rs` needs no change.

use serde::Serialize;

use crate::audit::entry::Action;

/// A side of an exchange. Nodes speak with the hub alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The hub.
    Hub,
    /// An agency's node.
    Node,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Hub => Self::Node,
            Self::Node => Self::Hub,
        }
    }
}

/// What an exchange was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The hub asked, by tokens, whether an agency knows people.
    Screen,
    /// The hub asked an agency to rate people.
    Rate,
    /// The hub asked a holder for detail.
    Release,
    /// The hub passed sealed detail on to its recipient.
    Receive,
    /// The hub passed a signed notice on.
    Notice,
    /// The hub told news of an enquiry.
    News,
    /// The hub passed a challenge of a rating on.
    Challenge,
    /// An agency delivered a rating, or that it gives none, of its own accord.
    DeliveredRating,
    /// An agency delivered a signed fact, a retraction or an acknowledgement.
    DeliveredFact,
    /// A holder delivered what came of a request for detail.
    DeliveredOutcome,
    /// An agency had match keys evaluated, or said that everybody is enrolled.
    Enrolment,
    /// The hub found by itself that an agency can not be asked.
    Unasked,
    /// Nothing but a refusal, or an entry that belongs to no kind.
    Unknown,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Screen,
        Self::Rate,
        Self::Release,
        Self::Receive,
        Self::Notice,
        Self::News,
        Self::Challenge,
        Self::DeliveredRating,
        Self::DeliveredFact,
        Self::DeliveredOutcome,
        Self::Enrolment,
        Self::Unasked,
        Self::Unknown,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Rate => "rate",
            Self::Release => "release",
            Self::Receive => "receive",
            Self::Notice => "notice",
            Self::News => "news",
            Self::Challenge => "challenge",
            Self::DeliveredRating => "delivered_rating",
            Self::DeliveredFact => "delivered_fact",
            Self::DeliveredOutcome => "delivered_outcome",
            Self::Enrolment => "enrolment",
            Self::Unasked => "unasked",
            Self::Unknown => "unknown",
        }
    }
}

/// What an entry is in its exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The caller wrote it before it called.
    Opens,
    /// The called side wrote it when it took or answered the call.
    Takes,
    /// The caller wrote it of what came back.
    Returns,
    /// A deliverer wrote it when the hub had the delivery, or had refused it for good.
    Receipt,
}

/// A condition on an entry, where its action alone does not say what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// A member of staff acted: something of the agency's own, not something that it heard.
    ByStaff,
    ByProgram,
    /// It names recipients.
    ToSomebody,
    ToNobody,
    /// It states a lawful basis: it is of the request, not of a later delivery.
    OnABasis,
    OnNoBasis,
}

/// One kind of entry, and what it is.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) side: Side,
    pub(super) action: Action,
    pub(super) when: When,
    pub(super) kind: Kind,
    pub(super) part: Part,
}

const fn row(side: Side, action: Action, when: When, kind: Kind, part: Part) -> Row {
    Row { side, action, when, kind, part }
}

/// Every kind of entry that has another side. The order matters: an exchange is of the kind of the first row that one of its
/// entries matches, so the surest come first. `request_refused` and `no_response` are read by themselves.
pub(super) const ROWS: &[Row] = {
    use Action as A;
    use Kind as K;
    use Part::{Opens, Receipt, Returns, Takes};
    use Side::{Hub, Node};
    use When::{Always, ByProgram, ByStaff, OnABasis, OnNoBasis, ToNobody, ToSomebody};
    &[
        row(Hub, A::ScreenAsked, Always, K::Screen, Opens),
        row(Hub, A::RateAsked, Always, K::Rate, Opens),
        row(Hub, A::ReleaseAsked, Always, K::Release, Opens),
        row(Hub, A::DetailRelayed, Always, K::Receive, Opens),
        row(Hub, A::NoticeRelayed, Always, K::Notice, Opens),
        row(Hub, A::NewsTold, Always, K::News, Opens),
        row(Hub, A::RatingChallenged, ToNobody, K::Challenge, Opens),
        row(Node, A::EnrolmentEvaluated, Always, K::Enrolment, Opens),
        row(Node, A::EnrolmentCompleted, Always, K::Enrolment, Opens),
        row(Node, A::RatingGiven, Always, K::DeliveredRating, Opens),
        row(Node, A::IdentityReviewed, Always, K::DeliveredRating, Opens),
        row(Node, A::DetailSealed, Always, K::DeliveredOutcome, Opens),
        row(Node, A::ReviewRefused, Always, K::DeliveredOutcome, Opens),
        row(Node, A::ReviewExpired, Always, K::DeliveredOutcome, Opens),
        row(Node, A::ReviewEscalated, Always, K::DeliveredOutcome, Opens),
        row(Node, A::LinkConfirmed, Always, K::DeliveredFact, Opens),
        row(Node, A::AssertionMade, Always, K::DeliveredFact, Opens),
        row(Node, A::ConsentRecorded, ByStaff, K::DeliveredFact, Opens),
        row(Node, A::PlanChanged, Always, K::DeliveredFact, Opens),
        row(Node, A::RatingWithdrawn, Always, K::DeliveredFact, Opens),
        row(Node, A::DetailRetracted, ToSomebody, K::DeliveredFact, Opens),
        row(Node, A::RetractionAcknowledged, ByStaff, K::DeliveredFact, Opens),
        row(Node, A::RatingChallenged, ByStaff, K::DeliveredFact, Opens),
        row(Node, A::RatingKept, Always, K::DeliveredFact, Opens),
        row(Node, A::ScreenAnswered, Always, K::Screen, Takes),
        row(Node, A::RateAnswered, Always, K::Rate, Takes),
        row(Node, A::DetailReceived, Always, K::Receive, Takes),
        row(Node, A::ConsentRecorded, ByProgram, K::Notice, Takes),
        row(Node, A::DetailRetracted, ToNobody, K::Notice, Takes),
        row(Node, A::RetractionAcknowledged, ByProgram, K::Notice, Takes),
        row(Node, A::NewsReceived, Always, K::News, Takes),
        row(Node, A::RatingChallenged, ByProgram, K::Challenge, Takes),
        row(Hub, A::ReleaseDecided, OnABasis, K::Release, Returns),
        row(Hub, A::NoResponse, OnABasis, K::Release, Returns),
        row(Hub, A::ReleaseDecided, OnNoBasis, K::DeliveredOutcome, Takes),
        row(Hub, A::RateAnswered, Always, K::DeliveredRating, Takes),
        row(Hub, A::LinkConfirmed, Always, K::DeliveredFact, Takes),
        row(Hub, A::AssertionMade, Always, K::DeliveredFact, Takes),
        row(Hub, A::ConsentRecorded, Always, K::DeliveredFact, Takes),
        row(Hub, A::PlanChanged, Always, K::DeliveredFact, Takes),
        row(Hub, A::RatingWithdrawn, Always, K::DeliveredFact, Takes),
        row(Hub, A::DetailRetracted, Always, K::DeliveredFact, Takes),
        row(Hub, A::RetractionAcknowledged, Always, K::DeliveredFact, Takes),
        row(Hub, A::RatingChallenged, ToSomebody, K::DeliveredFact, Takes),
        row(Hub, A::RatingKept, Always, K::DeliveredFact, Takes),
        row(Hub, A::EnrolmentEvaluated, Always, K::Enrolment, Takes),
        row(Hub, A::EnrolmentCompleted, Always, K::Enrolment, Takes),
        // A holder's own decision is the answer to a request, or, with a receipt, one that was delivered later.
        row(Node, A::Delivered, Always, K::DeliveredOutcome, Receipt),
        row(Node, A::ReleaseDecided, Always, K::Release, Takes),
    ]
};

/// Entries that say what they are only when another one has told the kind.
pub(super) const FURTHER: &[Row] = {
    use Action as A;
    use Kind as K;
    use Part::{Opens, Receipt, Returns};
    use Side::{Hub, Node};
    use When::Always;
    &[
        row(Node, A::ReleaseDecided, Always, K::DeliveredOutcome, Opens),
        row(Node, A::Delivered, Always, K::DeliveredRating, Receipt),
        row(Node, A::Delivered, Always, K::DeliveredFact, Receipt),
        row(Hub, A::RateAnswered, Always, K::Screen, Returns),
        row(Hub, A::NoResponse, Always, K::Screen, Returns),
        row(Hub, A::RateAnswered, Always, K::Rate, Returns),
        row(Hub, A::NoResponse, Always, K::Rate, Returns),
        row(Hub, A::NoResponse, Always, K::Receive, Returns),
        row(Hub, A::NoResponse, Always, K::Notice, Returns),
        row(Hub, A::NoResponse, Always, K::News, Returns),
        row(Hub, A::NoResponse, Always, K::Challenge, Returns),
        row(Node, A::NoResponse, Always, K::Enrolment, Returns),
    ]
};

/// A field of an entry that two sides can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// What happened.
    Action,
    /// The enquiry.
    Enquiry,
    /// The person.
    Person,
    /// The commitment to their identity.
    Commitment,
    /// The request for detail.
    Release,
    /// The category of detail.
    Category,
    /// The gate.
    Gate,
    /// The purpose.
    Purpose,
    /// Article 6.
    Art6,
    /// Article 9.
    Art9,
    /// Article 10.
    Art10,
    /// The statutory gateway.
    Gateway,
    /// How the person's own agreement stands.
    AgreementStatus,
    /// Id, version and digest of the information sharing agreement.
    Agreement,
    /// Digests of signed statements.
    Evidence,
    /// What was decided or answered.
    Decision,
    /// The reason code.
    Reason,
    /// To whom.
    Recipients,
    /// Under which duties.
    Obligations,
    /// How many.
    Count,
    /// The digest of what travelled.
    PayloadDigest,
    /// Whether it was a test.
    TestEnv,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 22] = [
        Self::Action,
        Self::Enquiry,
        Self::Person,
        Self::Commitment,
        Self::Release,
        Self::Category,
        Self::Gate,
        Self::Purpose,
        Self::Art6,
        Self::Art9,
        Self::Art10,
        Self::Gateway,
        Self::AgreementStatus,
        Self::Agreement,
        Self::Evidence,
        Self::Decision,
        Self::Reason,
        Self::Recipients,
        Self::Obligations,
        Self::Count,
        Self::PayloadDigest,
        Self::TestEnv,
    ];

    /// The field's name in an entry.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Enquiry => "enquiry",
            Self::Person => "person",
            Self::Commitment => "commitment",
            Self::Release => "release",
            Self::Category => "category",
            Self::Gate => "gate",
            Self::Purpose => "purpose",
            Self::Art6 => "art6",
            Self::Art9 => "art9",
            Self::Art10 => "art10",
            Self::Gateway => "gateway",
            Self::AgreementStatus => "agreement_status",
            Self::Agreement => "agreement",
            Self::Evidence => "evidence",
            Self::Decision => "decision",
            Self::Reason => "reason",
            Self::Recipients => "recipients",
            Self::Obligations => "obligations",
            Self::Count => "count",
            Self::PayloadDigest => "payload_digest",
            Self::TestEnv => "test_env",
        }
    }
}

/// What one exchange has an entry for on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    /// The exchange as a whole.
    Exchange,
    /// Every person asked about: the answer stands on both sides.
    Person,
    /// Every recipient asked for: the decision stands on both sides.
    Recipient,
}

/// What has to be on both sides of a kind.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) caller: Side,
    pub(super) each: Each,
    /// Fields that agree, where one side alone has one too: between the question and its taking, or for each person or
    /// recipient between the answer as it was given and as it came.
    pub(super) same: &'static [Field],
    /// Fields that agree where both have them: one of the two may not know it.
    pub(super) where_both: &'static [Field],
    /// Fields of the question that every answer repeats, for kinds with an answer for each person or recipient.
    pub(super) asked: &'static [Field],
}

/// The terms of a kind; `None` for what has no other side.
pub(super) const fn terms(kind: Kind) -> Option<&'static Terms> {
    use Field as F;
    // Two versions of the agreement may hold while a delivery waits, or an enrolment runs: those may name either.
    match kind {
        Kind::Screen => Some(&Terms {
            caller: Side::Hub,
            each: Each::Exchange,
            // That is all: a node is told neither enquiry nor people, and says the same hit or miss.
            same: &[F::Count, F::Agreement, F::TestEnv],
            where_both: &[],
            asked: &[],
        }),
        Kind::Rate => Some(&Terms {
            caller: Side::Hub,
            each: Each::Person,
            same: &[F::Enquiry, F::Person, F::Decision, F::Evidence, F::Agreement],
            where_both: &[F::Commitment],
            asked: &[F::Enquiry, F::Purpose, F::Agreement, F::TestEnv],
        }),
        Kind::Release => Some(&Terms {
            caller: Side::Hub,
            each: Each::Recipient,
            same: &[
                F::Enquiry,
                F::Person,
                F::Release,
                F::Category,
                F::Gate,
                F::Purpose,
                F::Art6,
                F::Art9,
                F::Art10,
                F::Gateway,
                F::AgreementStatus,
                F::Decision,
                F::Reason,
                F::Recipients,
                F::Obligations,
                F::Agreement,
            ],
            where_both: &[F::Commitment],
            asked: &[F::Enquiry, F::Person, F::Release, F::Category, F::Purpose, F::TestEnv],
        }),
        Kind::Receive => Some(&Terms {
            caller: Side::Hub,
            each: Each::Exchange,
            same: &[
                F::Enquiry,
                F::Person,
                F::Release,
                F::Category,
                F::Obligations,
                F::PayloadDigest,
                F::Agreement,
                F::TestEnv,
            ],
            where_both: &[F::Commitment],
            asked: &[],
        }),
        Kind::Notice => Some(&Terms {
            caller: Side::Hub,
            each: Each::Exchange,
            same: &[F::Enquiry, F::Evidence, F::Agreement, F::TestEnv],
            where_both: &[F::Person],
            asked: &[],
        }),
        Kind::News => Some(&Terms {
            caller: Side::Hub,
            each: Each::Exchange,
            same: &[F::Enquiry, F::Person, F::Decision, F::Agreement, F::TestEnv],
            where_both: &[],
            asked: &[],
        }),
        Kind::Challenge => Some(&Terms {
            caller: Side::Hub,
            each: Each::Exchange,
            same: &[F::Enquiry, F::Person, F::Evidence, F::Agreement, F::TestEnv],
            where_both: &[],
            asked: &[],
        }),
        Kind::DeliveredRating => Some(&Terms {
            caller: Side::Node,
            each: Each::Exchange,
            same: &[F::Enquiry, F::Person, F::Decision, F::Evidence, F::TestEnv],
            where_both: &[F::Commitment],
            asked: &[],
        }),
        Kind::DeliveredFact => Some(&Terms {
            caller: Side::Node,
            each: Each::Exchange,
            same: &[F::Action, F::Enquiry, F::Person, F::Evidence, F::TestEnv],
            where_both: &[F::Release, F::Category, F::Reason, F::Recipients],
            asked: &[],
        }),
        Kind::DeliveredOutcome => Some(&Terms {
            caller: Side::Node,
            each: Each::Exchange,
            same: &[
                F::Enquiry,
                F::Person,
                F::Release,
                F::Category,
                F::Decision,
                F::Reason,
                F::Recipients,
                F::Obligations,
                F::PayloadDigest,
                F::TestEnv,
            ],
            where_both: &[F::Commitment, F::Gate],
            asked: &[],
        }),
        Kind::Enrolment => Some(&Terms {
            caller: Side::Node,
            each: Each::Exchange,
            same: &[F::Action, F::Count, F::TestEnv],
            where_both: &[],
            asked: &[],
        }),
        Kind::Unasked | Kind::Unknown => None,
    }
}

/// Why an exchange is on one side only, or came to nothing, without anything being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Explained {
    /// The caller recorded that nothing came back, and the called side has nothing.
    NotArrived,
    /// The called side answered, and the caller recorded that nothing (that counts) came back.
    AnswerLost,
    /// The called side said that its log could take no entry.
    NotRecorded,
    /// The called side refused, and its log says so.
    Refused,
    /// An agency has something to deliver that the hub has not taken yet.
    NotDelivered,
    /// The program that called was killed while the call was under way.
    CutOff,
    /// The hub found by itself that an agency can not be asked, and called nobody.
    NotAsked,
}

impl Explained {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::NotArrived,
        Self::AnswerLost,
        Self::NotRecorded,
        Self::Refused,
        Self::NotDelivered,
        Self::CutOff,
        Self::NotAsked,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotArrived => "not_arrived",
            Self::AnswerLost => "answer_lost",
            Self::NotRecorded => "not_recorded",
            Self::Refused => "refused",
            Self::NotDelivered => "not_delivered",
            Self::CutOff => "cut_off",
            Self::NotAsked => "not_asked",
        }
    }

    /// What it says, in one sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotArrived => {
                "The call came to nothing, says who made it, and who was called has no trace of it."
            }
            Self::AnswerLost => {
                "Who was called has answered, and who called says that no answer came, or none that counts."
            }
            Self::NotRecorded => {
                "Who was called could write no entry and said so; nothing but that left it."
            }
            Self::Refused => "Who was called refused before any decision, and recorded it.",
            Self::NotDelivered => "The agency has yet to deliver it; the hub has not taken it.",
            Self::CutOff => "The program that called was killed while the call was under way.",
            Self::NotAsked => {
                "The hub found by itself that the agency could not be asked; nobody was called."
            }
        }
    }
}
