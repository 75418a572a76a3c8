//! What is the same in every partnership: how data flows, which risks are known, which measures there are, and where each is
//! enforced. Files are named by their place in the source of this program, so that a reader can look.

/// How data flows: from where, to where, what, and how it is protected.
pub const FLOWS: [[&str; 4]; 7] = [
    [
        "co-ordinator to hub",
        "who an enquiry is about, their links, what for",
        "mutual TLS 1.3; kept encrypted at the hub",
        "hub/src/enquiry.rs",
    ],
    [
        "hub to every node",
        "blinded tokens of each person",
        "a node that does not know the person can not tell who is meant",
        "common/src/matching/, hub/src/screening.rs",
    ],
    [
        "hub to a node that knows the person",
        "who is asked about",
        "sealed to that agency alone; checked against the hub's commitment",
        "hub/src/round.rs, agency-node/src/answer_round.rs",
    ],
    [
        "node to hub",
        "a colour and a short analysis for each person, or why there is none",
        "signed by the agency; searched for names, addresses and numbers first",
        "agency-node/src/desk.rs, common/src/lint.rs",
    ],
    [
        "hub to a holder",
        "a request for one category about one person, with its lawful basis and the signed evidence",
        "the holder verifies every signature and decides by itself",
        "hub/src/release.rs, agency-node/src/answer_release.rs",
    ],
    [
        "holder to recipient, by way of the hub",
        "the released detail",
        "sealed to the recipient; the hub has no key for it and keeps none of it",
        "common/src/seal.rs, hub/src/deliver.rs",
    ],
    [
        "recipient's node to one person",
        "the released detail",
        "a view that ends; every opening is recorded with who opened it",
        "agency-node/src/views.rs",
    ],
];

/// Known risks: what can happen, to whom it does harm, and what is done about it.
pub const RISKS: [[&str; 4]; 12] = [
    [
        "R1",
        "A protected address or a school reaches a person who poses risk.",
        "Locations of safety are never carried; a home address or a school needs two approvals and one of few recipients; analyses are searched for \
         addresses before they are signed.",
        "common/src/agreement/decide.rs, common/src/lint.rs",
    ],
    [
        "R2",
        "That a specialist service has rated somebody is itself special category data.",
        "Only the parties of the agreement see who rated; below the threshold `held` and `not held` are the same answer.",
        "tests/it/existence.rs",
    ],
    [
        "R3",
        "The hub is a place worth attacking.",
        "It never holds detail, and can not open what passes through it; a holder re-computes every threshold from signed evidence.",
        "tests/it/malicious_hub.rs, tests/model/",
    ],
    [
        "R4",
        "A colour is seen by somebody who has no part in the enquiry.",
        "Named staff with roles; those who are linked to the family are kept out; every look is recorded.",
        "hub/src/guard.rs, hub/src/conflict.rs, tests/it/authz_coverage.rs",
    ],
    [
        "R5",
        "Somebody is taken for another person.",
        "A person at the agency compares where matching is uncertain; what was decided can be undone, and ratings that rest on it are withdrawn.",
        "agency-node/src/identity.rs, tests/it/identity.rs",
    ],
    [
        "R6",
        "A person who poses risk learns that information was shared.",
        "The obligation `DO_NOT_TELL_SUBJECT`; agencies whose only client is that person do not receive what is about the victim.",
        "common/src/agreement/admission.rs, tests/it/release.rs",
    ],
    [
        "R7",
        "Information is used for another purpose, such as immigration enforcement.",
        "Four purposes exist; a request for any other, or for immigration status, is refused and alerted.",
        "common/src/agreement/terms.rs, tests/it/alerts.rs",
    ],
    [
        "R8",
        "Staff look for people out of curiosity.",
        "Every act names who did it and in which role; this report counts them by role; agencies do not learn whom others know.",
        "hub/src/find_person.rs",
    ],
    [
        "R9",
        "Silence is taken for safety.",
        "No answer is never shown as a colour; missing answers are counted here.",
        "hub/src/matrix.rs, tests/it/partial_failure.rs",
    ],
    [
        "R10",
        "More is shared than is needed.",
        "One category about one person at a time, for named recipients, with necessity and proportionality stated; special detail only after a person approved.",
        "common/src/agreement/lawful.rs, agency-node/src/review.rs",
    ],
    [
        "R11",
        "What was shared stays after it is no longer needed, or after the person took their agreement back.",
        "Views end and their keys are destroyed; a withdrawal closes them and is acknowledged. What a person has read can not be taken back.",
        "agency-node/src/views.rs, agency-node/src/retract.rs, tests/it/retraction.rs",
    ],
    [
        "R12",
        "The record of what happened is changed.",
        "Signed and chained logs on both sides, written before anything leaves; both sides name the same exchanges.",
        "common/src/audit/, tests/it/log_failure.rs",
    ],
];

/// Measures: what it is, what it does, and where it is shown to hold.
pub const MEASURES: [[&str; 3]; 10] = [
    [
        "No detail without proof",
        "Detail leaves only on a threshold that its holder computed from evidence it verified.",
        "invariant 1",
    ],
    [
        "Recorded before released",
        "Without a durable entry nothing is answered or released.",
        "invariant 2",
    ],
    [
        "The hub never holds detail",
        "What passes through it is sealed to the recipient.",
        "invariant 3",
    ],
    [
        "A miss teaches nothing",
        "An agency that does not know a person learns nothing about who was asked about.",
        "invariant 4",
    ],
    [
        "Silence is not a colour",
        "Not known, unable, declined, pending and no response stay apart.",
        "invariant 5",
    ],
    [
        "Equal voice",
        "A level is the highest current rating; only who gave a rating changes it.",
        "invariant 6",
    ],
    [
        "Unknown means no",
        "What the agreement does not say is refused, in the same way whether anything is held or not.",
        "invariant 7",
    ],
    [
        "One node never sinks an enquiry",
        "Answers of the others are delivered; stale and repeated requests do nothing.",
        "invariant 8",
    ],
    [
        "No personal data in logs",
        "Logs, metrics and errors hold references and codes.",
        "invariant 9",
    ],
    [
        "A person decides",
        "Every rating and every reviewed release names who made it; no risk score is computed.",
        "invariant 10",
    ],
];

/// Security measures in general (Article 30(1)(g), Article 32).
pub const SECURITY: [&str; 8] = [
    "Mutual TLS 1.3 between named parties; every call is allowed for a role or refused.",
    "Statements, ratings and decisions are signed by the agency that made them.",
    "Detail is sealed to its recipient's key (HPKE, RFC 9180) and ends with its view.",
    "Stores are encrypted at rest (AES-256-GCM); keys lie outside of the data folder.",
    "An audit log on each side, signed and chained, durable before anything leaves.",
    "People are found by blinded tokens (RFC 9497), so that nobody learns who was asked about without knowing them.",
    "Analyses are searched for names, addresses and numbers before they are signed.",
    "Staff who are linked to a family are kept out; what should not happen raises an alert.",
];

/// Who the data is about.
pub const SUBJECTS: [&str; 5] = [
    "adults who are victims of domestic abuse or otherwise at risk",
    "children",
    "people who pose risk",
    "people connected with them: relatives, carers, members of the household",
    "staff of the parties, by their names in logs and statements",
];
