//! What is counted, and what each figure means. The words stand under the tables, and `--explain` repeats them.

use super::count::Measure;

/// Headline figures.
pub const TOTALS: Measure = Measure {
    name: "totals",
    caption: "In all",
    by: &["what"],
    means: "Each thing once. A request for detail counts once for each recipient, in the period in which it was asked for, with what had become of it by the end of \
            the period. Alerts are those in the hub's log.",
};

/// Enquiries.
pub const ENQUIRIES: Measure = Measure {
    name: "enquiries",
    caption: "Enquiries opened, by purpose",
    by: &["purpose"],
    means: "Entries `enquiry_opened` of the hub.",
};

/// People in enquiries.
pub const PEOPLE: Measure = Measure {
    name: "people",
    caption: "People in the enquiries opened, by purpose",
    by: &["purpose"],
    means: "People as the enquiries name them: somebody who is in two enquiries counts twice, since the log does not know who they are.",
};

/// Enquiries closed.
pub const CLOSED: Measure = Measure {
    name: "closed",
    caption: "Enquiries closed, by decision",
    by: &["decision"],
    means: "Entries `enquiry_closed`.",
};

/// Answers of agencies.
pub const ANSWERS: Measure = Measure {
    name: "answers",
    caption: "What agencies answered about the people they were asked about",
    by: &["agency", "answer"],
    means: "One agency's answer about one person in one enquiry, as it stood at the end of the period, in the period in which the agency was asked. `missing`: no \
            answer, only `pending`, `unable` or silence, or a rating that was withdrawn; `comparing`: a possible match that nobody had decided.",
};

/// Late answers.
pub const LATE: Measure = Measure {
    name: "late",
    caption: "Answers that came after their round had closed",
    by: &["agency"],
    means: "Those of the answers for which the hub recorded `answer_late`.",
};

/// Ratings that changed.
pub const CHANGES: Measure = Measure {
    name: "changes",
    caption: "Ratings replaced, withdrawn, challenged and kept",
    by: &["agency", "what"],
    means: "Entries `rating_changed`, `rating_challenged` and `rating_kept` of the hub, by the agency whose call they are about.",
};

/// Decisions by gate, class, holder and outcome.
pub const EXCHANGES: Measure = Measure {
    name: "exchanges",
    caption: "Exchanges of detail by gate, class, holder and outcome",
    by: &["gate", "class", "holder", "outcome"],
    means: "One category about one person, asked of one holder for one recipient. The gate is the one on which it was decided, `none` when no gate was met; the \
            class is that of the category in the agreement, `never` for what the exchange never carries.",
};

/// Decisions by holder and outcome.
pub const HOLDERS: Measure = Measure {
    name: "holders",
    caption: "Requests for detail by holder and outcome",
    by: &["holder", "outcome"],
    means: "The same exchanges, by who holds.",
};

/// Releases by recipient.
pub const RECIPIENTS: Measure = Measure {
    name: "recipients",
    caption: "Detail released, by recipient",
    by: &["recipient"],
    means: "Those of the exchanges that were released, by who received.",
};

/// Refusals by reason.
pub const REFUSALS: Measure = Measure {
    name: "refusals",
    caption: "Requests refused, by reason",
    by: &["reason"],
    means: "Those of the exchanges that were refused, by the reason code that was given last.",
};

/// Categories asked and released.
pub const CATEGORIES: Measure = Measure {
    name: "categories",
    caption: "Categories asked for and released",
    by: &["category", "what"],
    means: "The same exchanges, by category; `released` are those of the `asked` that were released.",
};

/// Releases without the person's agreement.
pub const WITHOUT_AGREEMENT: Measure = Measure {
    name: "without_agreement",
    caption: "Releases without the person's agreement, by gate, how the agreement stood, and statutory gateway",
    by: &["gate", "agreement status", "gateway"],
    means: "Those of the exchanges that were released on another gate than g1. How the person's agreement stood, and the gateway, are the codes that the request \
            stated; the sentences behind them are in the enquiry, not in the log. `not_in_code`: it was stated in words that the log does not carry.",
};

/// Reviews by holder and how they ended.
pub const REVIEWS: Measure = Measure {
    name: "reviews",
    caption: "Reviews by people at the holder, and how they ended",
    by: &["holder", "ended"],
    means: "Those of the exchanges that had to be approved by people.",
};

/// What approvers did.
pub const APPROVALS: Measure = Measure {
    name: "approvals",
    caption: "What approvers and clocks did with reviews, from the logs of the nodes",
    by: &["node", "what"],
    means: "Entries `review_approved` (or `redacted`, with a redacted text), `review_refused`, `review_escalated` and `review_expired`. One review may need two \
            approvals.",
};

/// Retractions.
pub const RETRACTIONS: Measure = Measure {
    name: "retractions",
    caption: "Detail taken back by its holder, and acknowledged by its recipient",
    by: &["agency", "what"],
    means: "Entries `detail_retracted` and `retraction_acknowledged` of the hub.",
};

/// Alerts.
pub const ALERTS: Measure = Measure {
    name: "alerts",
    caption: "Alerts, and how many were handled",
    by: &["log", "alert", "what"],
    means: "Entries `alert_raised` and `alert_handled`. A request that both sides alert of stands in both logs.",
};

/// What staff did, by role.
pub const ACCESS: Measure = Measure {
    name: "access",
    caption: "What staff did, by role",
    by: &["log", "role", "what"],
    means: "Entries that name a member of staff. `looked`: at an enquiry; `found_person`: for subject access; `opened`: a view of released detail; `not_opened`: \
            wanted to, when it had ended or their terms were not met; `acted`: everything else.",
};

/// Calls refused before a decision.
pub const CALLS_REFUSED: Measure = Measure {
    name: "calls_refused",
    caption: "Calls refused before anything was decided",
    by: &["log"],
    means: "Entries `request_refused`: unknown peers, repeated or stale requests, and the like.",
};

/// From the first colour to the decision.
pub const COLOUR_TO_DECISION: Measure = Measure {
    name: "colour_to_decision",
    caption: "From the first colour about a person to the decision on detail about them",
    by: &["outcome"],
    means: "The exchanges that were decided and about whom a colour had reached the hub before. From the first colour to the holder's last word.",
};

/// From the request to the decision.
pub const REQUEST_TO_DECISION: Measure = Measure {
    name: "request_to_decision",
    caption: "From the request to the decision",
    by: &["outcome"],
    means: "The exchanges that were decided, from when the co-ordinator asked to the holder's last word.",
};

/// Enquiries closed while a required rating was missing.
pub const CLOSED_WITH_MISSING: Measure = Measure {
    name: "closed_with_missing",
    caption: "Enquiries closed while an answer was missing",
    by: &["found by"],
    means: "`recorded`: the closing entry itself says how many were missing; `log`: the entries before it show an agency whose answer the agreement requires, about \
            somebody in the enquiry, and no answer.",
};

/// Every measure, in the order of the document.
pub const ALL: &[&Measure] = &[
    &TOTALS,
    &ENQUIRIES,
    &PEOPLE,
    &CLOSED,
    &ANSWERS,
    &LATE,
    &CHANGES,
    &EXCHANGES,
    &HOLDERS,
    &RECIPIENTS,
    &REFUSALS,
    &CATEGORIES,
    &WITHOUT_AGREEMENT,
    &REVIEWS,
    &APPROVALS,
    &RETRACTIONS,
    &ALERTS,
    &ACCESS,
    &CALLS_REFUSED,
    &COLOUR_TO_DECISION,
    &REQUEST_TO_DECISION,
    &CLOSED_WITH_MISSING,
];
