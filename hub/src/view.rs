//! Enquiries as co-ordinators see them: from stored records to wire messages. Nothing is decided here.

use brag_common::{
    agreement::gates,
    evidence::People,
    id::{AgencyId, EnquiryRef, PersonRef, ReleaseRef, RequestId},
    matching::identity::Identity,
    rating::Colour,
    time::Timestamp,
    wire::{pb, words},
};

use crate::{
    hub::Shared,
    life::{self, Case, Ground},
    matrix::{self, Cell, Matrix, Said, State},
    store::{
        CellRow,
        life::{FlagRecord, StepRecord},
        shapes::{
            ChallengeRecord, ChallengeStatus, EarlierRecord, EnquiryRecord, OutcomeRecord,
            RatingChangeRecord, ReleaseRecord, SaidRecord, StatementRecord,
        },
    },
    take,
};

/// Everything that is stored about one enquiry.
#[derive(Debug)]
pub struct Whole {
    /// The enquiry.
    pub record: EnquiryRecord,
    /// Its cells.
    pub cells: Vec<CellRow>,
    /// Signed statements.
    pub statements: Vec<StatementRecord>,
    /// Requests for detail.
    pub releases: Vec<(ReleaseRef, ReleaseRecord)>,
    /// Earlier enquiries about its people.
    pub earlier: Vec<Linked>,
    /// Ratings that were replaced or withdrawn.
    pub changes: Vec<RatingChangeRecord>,
    /// Challenges of ratings.
    pub challenges: Vec<(RequestId, ChallengeRecord)>,
    /// The steps of its life.
    pub steps: Vec<StepRecord>,
    /// Its flags, as they were last looked at.
    pub flags: Vec<FlagRecord>,
}

/// An earlier enquiry about somebody of an enquiry, and their level there.
#[derive(Debug)]
pub struct Linked {
    /// Which, and who.
    pub record: EarlierRecord,
    /// The highest rating there; `None` when nobody has rated them.
    pub level: Option<Colour>,
    /// How many people it asks about.
    pub n_people: usize,
    /// When it was closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
}

impl Whole {
    /// The matrix.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        self.cells
            .iter()
            .map(|(agency, person, record)| ((agency.clone(), person.clone()), take::cell(record)))
            .collect()
    }

    /// The people as commitments.
    #[must_use]
    pub fn people(&self) -> People {
        self.record.people.iter().map(|p| (p.person.clone(), p.commitment)).collect()
    }
}

/// One enquiry as it stands.
#[must_use]
pub fn show(shared: &Shared, name: &EnquiryRef, whole: &Whole) -> pb::ShowResponse {
    let now = shared.clock.now();
    let record = &whole.record;
    let ground = Ground::of(shared, name, whole);
    let case = ground.case(shared, now);
    let matrix = case.matrix;
    let referrers_highest = record.people.iter().filter_map(|person| person.initial).max();
    let people: Vec<pb::MatrixPerson> = record
        .people
        .iter()
        .map(|person| {
            let level = case.level(&person.person);
            pb::MatrixPerson {
                label: person.label.clone(),
                person: person.person.to_string(),
                name: name_of(&person.identity),
                role: words::role(person.role).into(),
                initial: optional(person.initial),
                level: optional(level),
                gates: open_gates(&case, &person.person),
                uprated: matrix::uprated(level, person.initial, referrers_highest),
                divergence: matrix::divergence(matrix, &person.person),
                victim: life::show::is_victim(&case, person),
                signed_roles: life::show::signed_roles(&case, &person.person),
            }
        })
        .collect();
    let mut shown = pb::ShowResponse {
        enquiry: name.to_string(),
        purpose: record.purpose.clone(),
        opened_at_unix_ms: record.opened_at.as_millisecond(),
        answer_by_unix_ms: record.answer_by.as_millisecond(),
        people,
        cells: matrix
            .iter()
            .map(|((agency, person), cell)| matrix_cell(agency, person, cell, now, record))
            .collect(),
        releases: whole.releases.iter().map(|(name, record)| release(name, record)).collect(),
        family_level: optional(case.family_level()),
        again_because: record.again_because.clone().unwrap_or_default(),
        referral: Some(pb::Referral {
            agency: record.referral.agency.to_string(),
            reference: record.referral.reference.clone(),
            incident_at_unix_ms: record.referral.incident_at.map_or(0, Timestamp::as_millisecond),
            received_at_unix_ms: record.referral.received_at.as_millisecond(),
            source: record.referral.source.clone().unwrap_or_default(),
        }),
        linked_earlier_enquiry: whole
            .earlier
            .iter()
            .map(|linked| pb::LinkedEarlierEnquiry {
                person: linked.record.person.to_string(),
                enquiry: linked.record.enquiry.to_string(),
                opened_at_unix_ms: linked.record.opened_at.as_millisecond(),
                level: optional(linked.level),
            })
            .collect(),
        rating_changes: whole.changes.iter().map(rating_change).collect(),
        challenges: whole.challenges.iter().map(|(id, record)| challenge(id, record)).collect(),
        agreement_mismatches: shared
            .mismatches
            .all()
            .into_iter()
            .map(|(agency, explanation)| pb::AgreementMismatch {
                agency: agency.to_string(),
                explanation,
            })
            .collect(),
        ..pb::ShowResponse::default()
    };
    life::show::fill(&mut shown, &case, &whole.flags);
    shown
}

fn rating_change(record: &RatingChangeRecord) -> pb::RatingChange {
    pb::RatingChange {
        agency: record.agency.to_string(),
        person: record.person.to_string(),
        changed_at_unix_ms: record.at.as_millisecond(),
        before: version(&record.before),
        after: record.after.as_ref().and_then(version),
        withdrawn: record.withdrawn,
    }
}

/// A rating as a version; `None` for what is no rating.
fn version(said: &SaidRecord) -> Option<pb::RatingVersion> {
    let SaidRecord::Rated { colour, rated_at, analysis, by, .. } = said else { return None };
    Some(pb::RatingVersion {
        colour: words::colour(*colour).into(),
        rated_at_unix_ms: rated_at.as_millisecond(),
        rated_by: by.as_ref().map(ToString::to_string).unwrap_or_default(),
        analysis: analysis.clone(),
    })
}

fn challenge(id: &RequestId, record: &ChallengeRecord) -> pb::RatingChallenge {
    let (status, told, answer, answered_at) = match &record.status {
        ChallengeStatus::Open { told } => ("open", *told, "", None),
        ChallengeStatus::Kept { answer, at } => ("kept", true, answer.as_str(), Some(*at)),
        ChallengeStatus::Changed { at } => ("changed", true, "", Some(*at)),
        ChallengeStatus::NoRating => ("no_rating", false, "", None),
    };
    pb::RatingChallenge {
        challenge: id.to_string(),
        person: record.person.to_string(),
        by: record.by.to_string(),
        of: record.of.to_string(),
        reason: record.reason.clone(),
        made_at_unix_ms: record.made_at.as_millisecond(),
        status: status.to_owned(),
        told,
        answer: answer.to_owned(),
        answered_at_unix_ms: answered_at.map_or(0, Timestamp::as_millisecond),
        made_by: record.made_by.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Gates that are open on the evidence the hub holds; the same code that each holder runs for itself.
fn open_gates(case: &Case<'_>, person: &PersonRef) -> Vec<String> {
    let open = gates::open(case.agreement, case.facts, person, case.now);
    open.iter().map(|(gate, _)| gate.word().to_owned()).collect()
}

fn name_of(identity: &[u8]) -> String {
    Identity::from_canonical_bytes(identity)
        .ok()
        .and_then(|identity| Some(identity.current_name()?.full()))
        .unwrap_or_default()
}

/// One cell as it is shown at `now`.
#[must_use]
pub fn matrix_cell(
    agency: &AgencyId,
    person: &PersonRef,
    cell: &Cell,
    now: Timestamp,
    enquiry: &EnquiryRecord,
) -> pb::MatrixCell {
    let mut message = pb::MatrixCell {
        agency: agency.to_string(),
        person: person.to_string(),
        since_unix_ms: cell.since.as_millisecond(),
        ..pb::MatrixCell::default()
    };
    match cell.shown(now, enquiry.answer_by) {
        State::Pending => message.set_status(pb::AnswerStatus::Pending),
        State::NoResponse(why) => {
            message.set_status(pb::AnswerStatus::NoResponse);
            message.reason = why.as_str().to_owned();
        }
        State::Answered { said, late } => {
            let status = fill(&mut message, &said, enquiry.opened_at);
            if late {
                message.set_status(pb::AnswerStatus::Late);
                message.set_late_status(status);
            } else {
                message.set_status(status);
            }
        }
    }
    message
}

fn fill(message: &mut pb::MatrixCell, said: &Said, opened_at: Timestamp) -> pb::AnswerStatus {
    match said {
        Said::Rated(rated) => {
            message.set_colour(words::colour(rated.colour));
            message.analysis.clone_from(&rated.analysis);
            message.topics = rated.topics.iter().map(|topic| topic.word().to_owned()).collect();
            message.via = rated.via.as_ref().map(ToString::to_string).unwrap_or_default();
            message.rated_at_unix_ms = rated.rated_at.as_millisecond();
            message.repeated = rated.rated_at < opened_at;
            message.rated_by = rated.by.as_ref().map(ToString::to_string).unwrap_or_default();
            pb::AnswerStatus::Rated
        }
        Said::NotKnown => pb::AnswerStatus::NotKnown,
        Said::Possible => {
            message.reason = "possible".to_owned();
            pb::AnswerStatus::IdentityReview
        }
        Said::IdentityReview => {
            message.reason = "comparing".to_owned();
            pb::AnswerStatus::IdentityReview
        }
        Said::Unable(why) => {
            message.reason = why.as_str().to_owned();
            pb::AnswerStatus::Unable
        }
        Said::Declined(why) => {
            message.reason = why.as_str().to_owned();
            pb::AnswerStatus::Declined
        }
    }
}

/// A request for detail, for one recipient.
#[must_use]
pub fn release(name: &ReleaseRef, record: &ReleaseRecord) -> pb::ReleaseView {
    let mut message = pb::ReleaseView {
        release: name.to_string(),
        holder: record.holder.to_string(),
        person: record.person.to_string(),
        category: record.category.clone(),
        recipient: record.recipient.to_string(),
        trace: record
            .trace
            .iter()
            .map(|step| pb::TraceStep {
                stage: step.stage.clone(),
                rule: step.rule.clone(),
                result: step.result.clone(),
                evidence: step.evidence.clone(),
            })
            .collect(),
        would_be_released_if: record.would_be_released_if.clone(),
        contact_route: record.contact_route.clone(),
        asked_at_unix_ms: record.asked_at.as_millisecond(),
        ..pb::ReleaseView::default()
    };
    if let Some(retraction) = &record.retraction {
        message.retracted_at_unix_ms = retraction.at.as_millisecond();
        message.retraction_reason = retraction.reason.code().to_owned();
        if let Some(done) = &retraction.acknowledged {
            message.retraction_acknowledged_at_unix_ms = done.at.as_millisecond();
            message.retraction_acknowledged_by =
                done.by.as_ref().map(ToString::to_string).unwrap_or_default();
        }
    }
    match &record.outcome {
        OutcomeRecord::NoResponse => message.reason = "NO_RESPONSE".to_owned(),
        OutcomeRecord::Release { gate, obligations, view_expires_at, relayed } => {
            message.set_decision(pb::Decision::Release);
            message.gate.clone_from(gate);
            message.obligations.clone_from(obligations);
            message.view_expires_at_unix_ms = view_expires_at.as_millisecond();
            message.relayed = *relayed;
        }
        OutcomeRecord::Review { gate, approvals_needed, wait } => {
            message.set_decision(pb::Decision::Review);
            message.reason = brag_common::reason::Reason::PendingApproval.code().to_owned();
            message.gate.clone_from(gate);
            message.approvals_needed = *approvals_needed;
            if let Some(wait) = wait {
                message.set_review_stage(words::review_stage(wait.stage));
                message.review_until_unix_ms = wait.until.as_millisecond();
            }
        }
        OutcomeRecord::Deny(reason) => {
            message.set_decision(pb::Decision::Deny);
            message.reason = reason.code().to_owned();
        }
    }
    message
}

/// A colour that may be absent, as the wire's number.
fn optional(colour: Option<Colour>) -> i32 {
    colour.map_or(pb::Colour::Unspecified, words::colour).into()
}

/// A cell has changed.
#[must_use]
pub fn cell_event(at: Timestamp, cell: pb::MatrixCell) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Cell(cell))
}

/// A request for detail has changed.
#[must_use]
pub fn release_event(at: Timestamp, release: pb::ReleaseView) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Release(release))
}

/// A flag was raised or cleared.
#[must_use]
pub fn flag_event(at: Timestamp, flag: &FlagRecord) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Flag(life::show::flag(flag)))
}

/// A step in the life of the enquiry was recorded.
#[must_use]
pub fn step_event(at: Timestamp, kind: &str) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Step(kind.to_owned()))
}

/// A signed fact has come in.
#[must_use]
pub fn fact_event(at: Timestamp, kind: &str) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Fact(kind.to_owned()))
}

/// A rating was replaced or withdrawn.
#[must_use]
pub fn rating_changed_event(record: &RatingChangeRecord) -> pb::WatchResponse {
    event(record.at, pb::watch_response::Event::RatingChanged(rating_change(record)))
}

/// What has changed and was challenged before somebody watches.
#[must_use]
pub fn changes_so_far(now: Timestamp, whole: &Whole) -> Vec<pb::WatchResponse> {
    let changes = whole.changes.iter().map(rating_changed_event);
    let challenges = whole.challenges.iter().map(|(id, known)| challenge_event(now, id, known));
    changes.chain(challenges).collect()
}

/// A challenge has changed.
#[must_use]
pub fn challenge_event(
    at: Timestamp,
    id: &RequestId,
    record: &ChallengeRecord,
) -> pb::WatchResponse {
    event(at, pb::watch_response::Event::Challenge(challenge(id, record)))
}

fn event(at: Timestamp, event: pb::watch_response::Event) -> pb::WatchResponse {
    pb::WatchResponse { at_unix_ms: at.as_millisecond(), event: Some(event) }
}
