//! What is counted of how the exchange works, and what each figure means. The words stand under the tables, and `--explain` repeats
//! them.

use crate::report::count::Measure;

/// How long it took until everybody had answered.
pub const FULL_MATRIX: Measure = Measure {
    name: "full_matrix",
    caption: "From the opening of an enquiry to the last required first answer",
    by: &["matrix"],
    means: "Enquiries opened in the period. `full`: every answer that the agreement requires about every one of its people has come once, a colour or that the \
            person is not known, by the end of the period; the time is that of the last of them. A recommended answer that was waived is not waited for, that of a \
            conditional party only once its node has said that it knows the person.",
};

/// The same times in classes.
pub const FULL_MATRIX_WITHIN: Measure = Measure {
    name: "full_matrix_within",
    caption: "How many had the full matrix within which time",
    by: &["within"],
    means: "Those of the full ones. Each class has what the ones before it have not.",
};

/// How agencies answer.
pub const ANSWERING: Measure = Measure {
    name: "answering",
    caption: "Answers of each agency about the people it was asked about",
    by: &["agency", "what"],
    means: "One answer about one person in one enquiry, in the period in which the enquiry was opened. `answered`: it came by the period's end: a colour, not known, or \
            declined. `in_time` and `late`: before and after its round had closed (`answer_late`). `missing_at_the_end`: what was late, and what has not come; the log does not say \
            when a round closes, so those of rounds that were open at the period's end are among them. Median and nine in ten: from the opening to the first answer.",
};

/// How enquiries were closed, and how often that was refused.
pub const CLOSING: Measure = Measure {
    name: "closing",
    caption: "Attempts at closing an enquiry",
    by: &["what"],
    means: "Entries `enquiry_closed` and `request_refused` in the period. `NFA_BLOCKED`: no further action was refused, for a required rating was missing or there was evidence \
            of domestic abuse. `CLOSE_BLOCKED`: another outcome was refused. One enquiry may have several refusals.",
};

/// Enquiries about people who were asked about before.
pub const RE_REFERRALS: Measure = Measure {
    name: "re_referrals",
    caption: "Enquiries about somebody who was in an earlier enquiry",
    by: &["what"],
    means: "Enquiries opened in the period. `linked`: the hub linked at least one of its people to an earlier enquiry, however old (`flag_raised` \
            linked_earlier_enquiry), or they were asked about again within the time for which the hub wants a reason (`second_enquiry`). `with_reason`: \
            the latter. An earlier enquiry that was erased links nobody.",
};

/// Notifications that came late.
pub const NOTIFIED: Measure = Measure {
    name: "notified",
    caption: "Referrals that came later after the incident than the agreement allows",
    by: &["what"],
    means: "Enquiries opened in the period. `over_the_limit`: with a `flag_raised` notification_lag. `not_over`: without one, also where nobody entered when the \
            incident was.",
};

/// Clocks.
pub const CLOCKS: Measure = Measure {
    name: "clocks",
    caption: "Clocks of enquiries, as they stood at the end of the period",
    by: &["clock", "state"],
    means: "Enquiries opened in the period. `section_47`: from the first Red of children's social care on a child, or its assertion of section 47, to the recorded decision; \
            `response`: until every required answer was there, by the limit for the level. `running`: neither met nor breached. A clock that was breached stays so.",
};

/// Flags.
pub const FLAGS: Measure = Measure {
    name: "flags",
    caption: "Enquiries with a flag",
    by: &["flag", "what"],
    means: "Enquiries opened in the period, by the words in `flag_raised` up to its end: `raised` at any time for anybody in it; `standing`: and not cleared since.",
};

/// What staff recorded.
pub const STEPS: Measure = Measure {
    name: "steps",
    caption: "What was recorded of enquiries",
    by: &["step", "word"],
    means: "Entries of the hub in the period: `event_recorded`, `plan_changed`, `lead_named`, `meeting_held` and `answer_waived`.",
};

/// Colours by agency.
pub const COLOURS: Measure = Measure {
    name: "colours",
    caption: "Colours that each agency gives",
    by: &["agency", "colour"],
    means: "From the store, not from the log, which has no colours: the entries show that the agency rated, not how. Current ratings when this was made, of people in \
            enquiries opened in the period, for answers that had come by its end. How agencies differ is for them to talk about; none of it is a target.",
};

/// Ratings that lie apart.
pub const DIVERGENCE: Measure = Measure {
    name: "divergence",
    caption: "People whose ratings are two steps or more apart",
    by: &["what"],
    means: "From the store. Of people in enquiries opened in the period whom two or more agencies rate now. Such ratings are shown for discussion and never averaged.",
};

/// Levels above the referrer's first colour.
pub const UPRATED: Measure = Measure {
    name: "uprated",
    caption: "Cases and people whose level is above the referrer's first colour",
    by: &["of", "what"],
    means: "From the store. Of enquiries opened in the period for which the referrer gave a colour and whose round was over by its end, and of the people in them. A person for whom the \
            referrer gave none takes the referrer's highest. A case is uprated when one of its people is. The level is the one now.",
};

/// How long referrals took to come.
pub const LAG: Measure = Measure {
    name: "lag",
    caption: "From the incident to the referral, by referring agency",
    by: &["referred by"],
    means: "From the store. Enquiries opened in the period for which both times were entered.",
};

/// Every measure that is only counted here, in the order of the document.
pub const ALL: &[&Measure] = &[
    &FULL_MATRIX,
    &FULL_MATRIX_WITHIN,
    &ANSWERING,
    &CLOSING,
    &RE_REFERRALS,
    &NOTIFIED,
    &CLOCKS,
    &FLAGS,
    &STEPS,
    &COLOURS,
    &DIVERGENCE,
    &UPRATED,
    &LAG,
];
