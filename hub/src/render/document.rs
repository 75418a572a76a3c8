//! Enquiries as JSON, a stable shape: fields are added, never renamed. Words in snake case, times in RFC 3339,
//! what is absent is left out.

use brag_common::{
    rating::Colour,
    statement::ReviewStage,
    time::Timestamp,
    wire::{pb, words},
};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Enquiry<'a> {
    enquiry: &'a str,
    purpose: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referral: Option<Referral<'a>>,
    /// Why somebody was asked about again a short time after.
    #[serde(skip_serializing_if = "str::is_empty")]
    again_because: &'a str,
    /// For display only.
    #[serde(skip_serializing_if = "Option::is_none")]
    family_level: Option<Colour>,
    people: Vec<Person<'a>>,
    cells: Vec<Cell<'a>>,
    releases: Vec<Release<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    linked_earlier_enquiry: Vec<Earlier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rating_changes: Vec<Change<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    challenges: Vec<Challenge<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agreement_mismatches: Vec<Mismatch<'a>>,
}

/// An agency whose node works under another version of the agreement.
#[derive(Serialize)]
struct Mismatch<'a> {
    agency: &'a str,
    explanation: &'a str,
}

/// A rating that was replaced or withdrawn.
#[derive(Serialize)]
struct Change<'a> {
    agency: &'a str,
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<String>,
    withdrawn: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Version<'a>>,
    /// Absent: no rating is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<Colour>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rated_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    rated_by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    analysis: &'a str,
}

#[derive(Serialize)]
struct Challenge<'a> {
    challenge: &'a str,
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    by: &'a str,
    made_by: &'a str,
    of: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_at: Option<String>,
    /// `open`, `kept`, `changed` or `no_rating`.
    status: &'a str,
    told: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    answer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<String>,
}

#[derive(Serialize)]
struct Earlier<'a> {
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    enquiry: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<String>,
    /// Absent: nobody has rated them there, which is not a colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Colour>,
}

#[derive(Serialize)]
struct Exchange<'a> {
    enquiry: &'a str,
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<String>,
    purpose: &'a str,
    unclear: bool,
    cells: Vec<Cell<'a>>,
    releases: Vec<Release<'a>>,
}

#[derive(Serialize)]
struct Referral<'a> {
    agency: &'a str,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    source: &'a str,
}

#[derive(Serialize)]
struct Person<'a> {
    label: &'a str,
    person: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<Colour>,
    /// Absent: nobody has rated them, which is not a colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Colour>,
    gates: &'a [String],
    uprated: bool,
    divergence: bool,
    victim: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signed_roles: Vec<SignedRole<'a>>,
}

/// The part of a person, as an agency has signed it.
#[derive(Serialize)]
struct SignedRole<'a> {
    agency: &'a str,
    role: &'static str,
}

#[derive(Serialize)]
struct Cell<'a> {
    agency: &'a str,
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    status: &'static str,
    /// With the status `late`: what the answer was.
    #[serde(skip_serializing_if = "Option::is_none")]
    late_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<Colour>,
    #[serde(skip_serializing_if = "str::is_empty")]
    analysis: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    topics: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    via: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    rated_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rated_at: Option<String>,
    /// The colour is from before this enquiry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

#[derive(Serialize)]
struct Release<'a> {
    release: &'a str,
    holder: &'a str,
    person: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    category: &'a str,
    recipient: &'a str,
    /// `release`, `review`, `deny`, or `no_response`, which is not a decision.
    decision: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_text: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals_needed: Option<u32>,
    /// `approver`, or `deputy_approver` once it was escalated. Absent: the holder does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decide_by: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    gate: &'a str,
    obligations: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    view_expires_at: Option<String>,
    relayed: bool,
    trace: Vec<Step<'a>>,
    would_be_released_if: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    contact_route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retracted_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    retraction_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retraction_acknowledged_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    retraction_acknowledged_by: &'a str,
}

#[derive(Serialize)]
struct Step<'a> {
    stage: &'a str,
    rule: &'a str,
    result: &'a str,
    evidence: &'a [String],
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// `cell`, `release`, `fact`, `rating_changed`, `challenge`, `flag` or `step`, with the field of that name.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<Cell<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<Release<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating_changed: Option<Change<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<Challenge<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    enquiry: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<String>,
    people: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_level: Option<Colour>,
    waiting: u32,
    closed: bool,
    /// When the clock that runs out first runs out; absent: none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    overdue: bool,
    flags: &'a [String],
}

/// The document of `enquiry show --json`.
#[must_use]
pub fn show_json(show: &pb::ShowResponse) -> Value {
    let label = |person: &str| {
        show.people.iter().find(|known| known.person == person).map(|known| known.label.as_str())
    };
    let people = show.people.iter().map(|person| Person {
        victim: person.victim,
        signed_roles: person
            .signed_roles
            .iter()
            .filter_map(|signed| {
                let role = words::to_role(signed.role).ok().flatten()?;
                Some(SignedRole { agency: &signed.agency, role: role.word() })
            })
            .collect(),
        label: &person.label,
        person: &person.person,
        name: &person.name,
        role: words::to_role(person.role).ok().flatten().map(|role| role.word()),
        initial: colour(person.initial),
        level: colour(person.level),
        gates: &person.gates,
        uprated: person.uprated,
        divergence: person.divergence,
    });
    let mut document = value(&Enquiry {
        enquiry: &show.enquiry,
        purpose: &show.purpose,
        opened_at: time(show.opened_at_unix_ms),
        answer_by: time(show.answer_by_unix_ms),
        referral: show.referral.as_ref().map(|referral| Referral {
            agency: &referral.agency,
            reference: &referral.reference,
            incident_at: time(referral.incident_at_unix_ms),
            received_at: time(referral.received_at_unix_ms),
            source: &referral.source,
        }),
        again_because: &show.again_because,
        family_level: colour(show.family_level),
        people: people.collect(),
        cells: show.cells.iter().map(|c| cell(c, label(&c.person))).collect(),
        releases: show.releases.iter().map(|r| release(r, label(&r.person))).collect(),
        linked_earlier_enquiry: show
            .linked_earlier_enquiry
            .iter()
            .map(|earlier| Earlier {
                person: &earlier.person,
                label: label(&earlier.person),
                enquiry: &earlier.enquiry,
                opened_at: time(earlier.opened_at_unix_ms),
                level: colour(earlier.level),
            })
            .collect(),
        rating_changes: show.rating_changes.iter().map(|c| change(c, label(&c.person))).collect(),
        challenges: show.challenges.iter().map(|c| challenge(c, label(&c.person))).collect(),
        agreement_mismatches: show
            .agreement_mismatches
            .iter()
            .map(|one| Mismatch { agency: &one.agency, explanation: &one.explanation })
            .collect(),
    });
    if let Some(fields) = document.as_object_mut() {
        super::life::add(show, fields);
    }
    document
}

fn change<'a>(change: &'a pb::RatingChange, label: Option<&'a str>) -> Change<'a> {
    let version = |version: &'a pb::RatingVersion| Version {
        colour: colour(version.colour),
        rated_at: time(version.rated_at_unix_ms),
        rated_by: &version.rated_by,
        analysis: &version.analysis,
    };
    Change {
        agency: &change.agency,
        person: &change.person,
        label,
        changed_at: time(change.changed_at_unix_ms),
        withdrawn: change.withdrawn,
        before: change.before.as_ref().map(version),
        after: change.after.as_ref().map(version),
    }
}

fn challenge<'a>(challenge: &'a pb::RatingChallenge, label: Option<&'a str>) -> Challenge<'a> {
    Challenge {
        challenge: &challenge.challenge,
        person: &challenge.person,
        label,
        by: &challenge.by,
        made_by: &challenge.made_by,
        of: &challenge.of,
        reason: &challenge.reason,
        made_at: time(challenge.made_at_unix_ms),
        status: &challenge.status,
        told: challenge.told,
        answer: &challenge.answer,
        answered_at: time(challenge.answered_at_unix_ms),
    }
}

/// The document of `enquiry find-person --json`.
#[must_use]
pub fn found_json(found: &pb::FindPersonResponse) -> Value {
    let exchanges = found.exchanges.iter().map(|one| Exchange {
        enquiry: &one.enquiry,
        person: &one.person,
        opened_at: time(one.opened_at_unix_ms),
        purpose: &one.purpose,
        unclear: one.unclear,
        cells: one.cells.iter().map(|c| cell(c, None)).collect(),
        releases: one.releases.iter().map(|r| release(r, None)).collect(),
    });
    serde_json::json!({ "exchanges": exchanges.map(|one| value(&one)).collect::<Vec<_>>() })
}

/// One request for detail, as in `enquiry show --json`.
#[must_use]
pub fn release_json(labels: &super::Labels, view: &pb::ReleaseView) -> Value {
    value(&release(view, Some(labels.label(&view.person))))
}

/// One line of `enquiry watch --json`.
#[must_use]
pub fn event_json(labels: &super::Labels, event: &pb::WatchResponse) -> Value {
    use pb::watch_response::Event as Happened;
    let mut shown = Event {
        at: time(event.at_unix_ms),
        event: "unknown",
        cell: None,
        release: None,
        fact: None,
        rating_changed: None,
        challenge: None,
        flag: None,
        step: None,
    };
    match &event.event {
        Some(Happened::Cell(c)) => {
            shown.event = "cell";
            shown.cell = Some(cell(c, Some(labels.label(&c.person))));
        }
        Some(Happened::Release(r)) => {
            shown.event = "release";
            shown.release = Some(release(r, Some(labels.label(&r.person))));
        }
        Some(Happened::Fact(kind)) => {
            shown.event = "fact";
            shown.fact = Some(kind);
        }
        Some(Happened::RatingChanged(c)) => {
            shown.event = "rating_changed";
            shown.rating_changed = Some(change(c, Some(labels.label(&c.person))));
        }
        Some(Happened::Challenge(c)) => {
            shown.event = "challenge";
            shown.challenge = Some(challenge(c, Some(labels.label(&c.person))));
        }
        Some(Happened::Flag(flag)) => {
            shown.event = "flag";
            shown.flag = Some(super::life::flag_json(labels, flag));
        }
        Some(Happened::Step(kind)) => {
            shown.event = "step";
            shown.step = Some(kind);
        }
        None => {}
    }
    value(&shown)
}

/// The document of `enquiry list --json`.
#[must_use]
pub fn list_json(list: &pb::ListResponse) -> Value {
    serde_json::json!({ "enquiries": list.enquiries.iter().map(line_json).collect::<Vec<_>>() })
}

/// One enquiry in a line.
pub(super) fn line_json(line: &pb::EnquiryLine) -> Value {
    value(&Line {
        enquiry: &line.enquiry,
        opened_at: time(line.opened_at_unix_ms),
        people: line.people,
        family_level: colour(line.family_level),
        waiting: line.waiting,
        closed: line.closed,
        due_at: time(line.due_at_unix_ms),
        overdue: line.overdue,
        flags: &line.flags,
    })
}

fn cell<'a>(cell: &'a pb::MatrixCell, label: Option<&'a str>) -> Cell<'a> {
    let late = cell.status() == pb::AnswerStatus::Late;
    Cell {
        agency: &cell.agency,
        person: &cell.person,
        label,
        status: status(cell.status()),
        late_status: late.then(|| status(cell.late_status())),
        colour: colour(cell.colour),
        analysis: &cell.analysis,
        topics: &cell.topics,
        via: &cell.via,
        reason: &cell.reason,
        since: time(cell.since_unix_ms),
        rated_by: &cell.rated_by,
        rated_at: time(cell.rated_at_unix_ms),
        repeated: cell.repeated,
    }
}

fn release<'a>(release: &'a pb::ReleaseView, label: Option<&'a str>) -> Release<'a> {
    let decision = release.decision();
    Release {
        release: &release.release,
        holder: &release.holder,
        person: &release.person,
        label,
        category: &release.category,
        recipient: &release.recipient,
        decision: match decision {
            pb::Decision::Release => "release",
            pb::Decision::Review => "review",
            pb::Decision::Deny => "deny",
            pb::Decision::Unspecified => "no_response",
        },
        reason: &release.reason,
        reason_text: (!release.reason.is_empty()).then(|| super::reason_text(&release.reason)),
        approvals_needed: (decision == pb::Decision::Review).then_some(release.approvals_needed),
        waits_for: words::to_review_stage(release.review_stage()).map(ReviewStage::word),
        decide_by: time(release.review_until_unix_ms),
        gate: &release.gate,
        obligations: &release.obligations,
        view_expires_at: time(release.view_expires_at_unix_ms),
        relayed: release.relayed,
        trace: release
            .trace
            .iter()
            .map(|step| Step {
                stage: &step.stage,
                rule: &step.rule,
                result: &step.result,
                evidence: &step.evidence,
            })
            .collect(),
        would_be_released_if: &release.would_be_released_if,
        contact_route: &release.contact_route,
        asked_at: time(release.asked_at_unix_ms),
        retracted_at: time(release.retracted_at_unix_ms),
        retraction_reason: &release.retraction_reason,
        retraction_acknowledged_at: time(release.retraction_acknowledged_at_unix_ms),
        retraction_acknowledged_by: &release.retraction_acknowledged_by,
    }
}

const fn status(status: pb::AnswerStatus) -> &'static str {
    match status {
        pb::AnswerStatus::Unspecified => "unknown",
        pb::AnswerStatus::Rated => "rated",
        pb::AnswerStatus::NotKnown => "not_known",
        pb::AnswerStatus::IdentityReview => "identity_review",
        pb::AnswerStatus::Unable => "unable",
        pb::AnswerStatus::Declined => "declined",
        pb::AnswerStatus::Pending => "pending",
        pb::AnswerStatus::NoResponse => "no_response",
        pb::AnswerStatus::Late => "late",
    }
}

pub(super) fn colour(number: i32) -> Option<Colour> {
    words::to_optional_colour(number).ok().flatten()
}

pub(super) fn time(unix_ms: i64) -> Option<String> {
    (unix_ms != 0)
        .then(|| Timestamp::from_millisecond(unix_ms).ok())
        .flatten()
        .map(|at| at.to_string())
}

/// These shapes have text keys only, so nothing here can fail.
fn value(shape: &impl Serialize) -> Value {
    serde_json::to_value(shape).unwrap_or_default()
}
