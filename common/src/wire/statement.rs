//! Statements on the wire. Encoding happens once, before signing; afterwards the bytes travel.

use prost::Message as _;

use super::{WireError, bounded, commitment, id, optional_id, optional_time, pb, time, words};
use crate::{
    id::{AgencyId, AgreementDigest, CategoryCode},
    rating::{SaltedAnalysis, Topic},
    reason::Reason,
    statement::{
        Acknowledgement, Assertion, Body, Challenge, Consent, ConsentState, DecidedOutcome, Kept,
        MAX_PAYLOAD_BYTES, MaracGrounds, PersonIn, Rating, ReleaseDecision, Retraction, ReviewWait,
        SignedStatement, Statement, Threshold,
    },
    time::Timestamp,
};

impl From<&SignedStatement> for pb::Statement {
    fn from(signed: &SignedStatement) -> Self {
        Self { payload: signed.payload.clone(), signature: signed.signature.clone() }
    }
}

impl From<SignedStatement> for pb::Statement {
    fn from(signed: SignedStatement) -> Self {
        Self { payload: signed.payload, signature: signed.signature }
    }
}

impl TryFrom<pb::Statement> for SignedStatement {
    type Error = WireError;

    fn try_from(message: pb::Statement) -> Result<Self, WireError> {
        if message.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(WireError::invalid("payload", "at most 16 KiB"));
        }
        if message.signature.len() != 64 {
            return Err(WireError::invalid("signature", "64 bytes"));
        }
        Ok(Self { payload: message.payload, signature: message.signature })
    }
}

/// The bytes that are signed.
#[must_use]
pub fn encode(statement: &Statement) -> Vec<u8> {
    pb::StatementPayload {
        statement_id: statement.id.to_string(),
        signer: statement.signer.to_string(),
        agreement_digest: statement.agreement.as_bytes().to_vec(),
        enquiry: statement.enquiry.to_string(),
        made_at_unix_ms: statement.made_at.as_millisecond(),
        made_by: statement.made_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        body: Some(encode_body(&statement.body)),
    }
    .encode_to_vec()
}

/// Reads signed bytes. It says nothing about who signed them.
///
/// # Errors
/// When they are not a well-formed payload.
pub fn decode(payload: &[u8]) -> Result<Statement, WireError> {
    let message = pb::StatementPayload::decode(payload)
        .map_err(|_| WireError::invalid("payload", "a StatementPayload"))?;
    Ok(Statement {
        id: id("statement_id", &message.statement_id)?,
        signer: id("signer", &message.signer)?,
        agreement: AgreementDigest::try_from(message.agreement_digest.as_slice())
            .map_err(|_| WireError::invalid("agreement_digest", "32 bytes"))?,
        enquiry: id("enquiry", &message.enquiry)?,
        made_at: time("made_at_unix_ms", message.made_at_unix_ms)?,
        made_by: optional_id("made_by", &message.made_by)?,
        body: decode_body(message.body.ok_or(WireError::Missing("body"))?)?,
    })
}

/// A person of an enquiry, as a wire message.
#[must_use]
pub fn person(person: &PersonIn) -> pb::PersonCommitment {
    pb::PersonCommitment {
        person: person.person.to_string(),
        commitment: person.commitment.as_bytes().to_vec(),
    }
}

/// A person of an enquiry.
///
/// # Errors
/// When it is absent or a part is not valid.
pub fn to_person(message: Option<&pb::PersonCommitment>) -> Result<PersonIn, WireError> {
    let message = message.ok_or(WireError::Missing("person"))?;
    Ok(PersonIn {
        person: id("person", &message.person)?,
        commitment: commitment("commitment", &message.commitment)?,
    })
}

fn encode_body(body: &Body) -> pb::statement_payload::Body {
    use pb::statement_payload::Body as Wire;
    match body {
        Body::Rating(rating) => Wire::Rating(pb::RatingBody {
            person: Some(person(&rating.person)),
            colour: words::colour(rating.colour).into(),
            analysis_digest: rating.analysis_digest.to_vec(),
            topics: rating.topics.iter().map(|topic| topic.word().to_owned()).collect(),
            rated_at_unix_ms: rating.rated_at.as_millisecond(),
            via: rating.via.as_ref().map(person),
            subject_is_child: rating.subject_is_child,
        }),
        Body::Link { from, to, kind } => Wire::Link(pb::LinkBody {
            from: Some(person(from)),
            to: Some(person(to)),
            kind: words::link_kind(*kind).into(),
        }),
        Body::Role { person: who, role } => Wire::Role(pb::RoleBody {
            person: Some(person(who)),
            role: words::role(Some(*role)).into(),
        }),
        Body::Assertion(assertion) => Wire::Assertion(encode_assertion(assertion)),
        Body::Consent(consent) => Wire::Consent(pb::ConsentBody {
            person: Some(person(&consent.person)),
            state: ConsentState::ALL
                .iter()
                .find(|(state, _)| *state == consent.state)
                .map_or_else(String::new, |(_, word)| (*word).to_owned()),
            categories: consent.categories.iter().map(ToString::to_string).collect(),
            recipients: consent.recipients.iter().map(ToString::to_string).collect(),
            expires_at_unix_ms: consent.expires_at.map_or(0, Timestamp::as_millisecond),
            asked_by: consent.asked_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        }),
        Body::Action { person: who, action } => Wire::Action(pb::ActionBody {
            person: Some(person(who)),
            action_id: action.to_string(),
        }),
        Body::Release(decision) => Wire::Release(encode_release(decision)),
        Body::RatingWithdrawn { person: who, rating, still_known } => {
            Wire::RatingWithdrawn(pb::RatingWithdrawnBody {
                person: Some(person(who)),
                statement_id: rating.to_string(),
                still_known: *still_known,
            })
        }
        Body::RatingChallenged(challenge) => Wire::RatingChallenged(pb::RatingChallengedBody {
            person: Some(person(&challenge.person)),
            of: challenge.of.to_string(),
            reason_digest: challenge.reason_digest.to_vec(),
        }),
        Body::RatingKept(kept) => Wire::RatingKept(pb::RatingKeptBody {
            person: Some(person(&kept.person)),
            challenge: kept.challenge.to_string(),
            rating: kept.rating.to_string(),
            reason_digest: kept.reason_digest.to_vec(),
        }),
        Body::Retraction(retraction) => Wire::Retraction(pb::RetractionBody {
            release: retraction.release.to_string(),
            person: Some(person(&retraction.person)),
            category: retraction.category.to_string(),
            recipient: retraction.recipient.to_string(),
            reason: retraction.reason.code().to_owned(),
        }),
        Body::Acknowledgement(said) => Wire::Acknowledgement(pb::AcknowledgementBody {
            retraction: said.retraction.to_string(),
            release: said.release.to_string(),
            person: Some(person(&said.person)),
            holder: said.holder.to_string(),
        }),
    }
}

fn encode_assertion(assertion: &Assertion) -> pb::AssertionBody {
    let (kind, grounds) = match assertion.threshold {
        Threshold::Section47 => (pb::AssertionKind::Section47, MaracGrounds::default()),
        Threshold::Marac(grounds) => (pb::AssertionKind::Marac, grounds),
        Threshold::CareAct42 => (pb::AssertionKind::CareAct42, MaracGrounds::default()),
    };
    pb::AssertionBody {
        kind: kind.into(),
        people: assertion.people.iter().map(person).collect(),
        dash_ticks: grounds.dash_ticks,
        professional_judgement: grounds.professional_judgement,
        reports_in_12_months: grounds.reports_in_12_months,
        repeat: grounds.repeat,
        meeting_at_unix_ms: grounds.meeting_at.map_or(0, Timestamp::as_millisecond),
    }
}

fn encode_release(decision: &ReleaseDecision) -> pb::ReleaseBody {
    let mut message = pb::ReleaseBody {
        release: decision.release.to_string(),
        person: Some(person(&decision.person)),
        category: decision.category.to_string(),
        recipient: decision.recipient.to_string(),
        ..pb::ReleaseBody::default()
    };
    match &decision.outcome {
        DecidedOutcome::Release { gate, obligations, view_expires_at, sealed_digest } => {
            message.set_decision(pb::Decision::Release);
            message.gate.clone_from(gate);
            message.obligations.clone_from(obligations);
            message.view_expires_at_unix_ms = view_expires_at.as_millisecond();
            message.sealed_digest = sealed_digest.map(Vec::from).unwrap_or_default();
        }
        DecidedOutcome::Review { gate, approvals_needed, wait } => {
            message.set_decision(pb::Decision::Review);
            message.gate.clone_from(gate);
            message.approvals_needed = *approvals_needed;
            if let Some(ReviewWait { stage, until }) = wait {
                message.set_review_stage(words::review_stage(*stage));
                message.review_until_unix_ms = until.as_millisecond();
            }
            message.reason = Reason::PendingApproval.code().to_owned();
        }
        DecidedOutcome::Deny(reason) => {
            message.set_decision(pb::Decision::Deny);
            message.reason = reason.code().to_owned();
        }
    }
    message
}

fn decode_body(body: pb::statement_payload::Body) -> Result<Body, WireError> {
    use pb::statement_payload::Body as Wire;
    Ok(match body {
        Wire::Rating(rating) => Body::Rating(decode_rating(&rating)?),
        Wire::Link(link) => Body::Link {
            from: to_person(link.from.as_ref())?,
            to: to_person(link.to.as_ref())?,
            kind: words::to_link_kind(link.kind)?,
        },
        Wire::Role(role) => Body::Role {
            person: to_person(role.person.as_ref())?,
            role: words::to_role(role.role)?.ok_or(WireError::Missing("role"))?,
        },
        Wire::Assertion(assertion) => Body::Assertion(decode_assertion(&assertion)?),
        Wire::Consent(consent) => Body::Consent(decode_consent(&consent)?),
        Wire::Action(action) => Body::Action {
            person: to_person(action.person.as_ref())?,
            action: id("action_id", &action.action_id)?,
        },
        Wire::Release(release) => Body::Release(decode_release(&release)?),
        Wire::RatingWithdrawn(withdrawn) => Body::RatingWithdrawn {
            person: to_person(withdrawn.person.as_ref())?,
            rating: id("statement_id", &withdrawn.statement_id)?,
            still_known: withdrawn.still_known,
        },
        Wire::RatingChallenged(challenge) => Body::RatingChallenged(Challenge {
            person: to_person(challenge.person.as_ref())?,
            of: id("of", &challenge.of)?,
            reason_digest: digest("reason_digest", &challenge.reason_digest)?,
        }),
        Wire::RatingKept(kept) => Body::RatingKept(Kept {
            person: to_person(kept.person.as_ref())?,
            challenge: id("challenge", &kept.challenge)?,
            rating: id("rating", &kept.rating)?,
            reason_digest: digest("reason_digest", &kept.reason_digest)?,
        }),
        Wire::Retraction(retraction) => Body::Retraction(Retraction {
            release: id("release", &retraction.release)?,
            person: to_person(retraction.person.as_ref())?,
            category: id("category", &retraction.category)?,
            recipient: id("recipient", &retraction.recipient)?,
            reason: reason(&retraction.reason)?,
        }),
        Wire::Acknowledgement(said) => Body::Acknowledgement(Acknowledgement {
            retraction: id("retraction", &said.retraction)?,
            release: id("release", &said.release)?,
            person: to_person(said.person.as_ref())?,
            holder: id("holder", &said.holder)?,
        }),
    })
}

fn digest(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], WireError> {
    bytes.try_into().map_err(|_| WireError::invalid(field, "32 bytes"))
}

/// A signed statement and the reason that goes with it, as a wire message.
#[must_use]
pub fn reasoned(signed: &SignedStatement, reason: &SaltedAnalysis) -> pb::ReasonedStatement {
    pb::ReasonedStatement {
        statement: Some(signed.into()),
        reason: reason.text.clone(),
        reason_salt: reason.salt.to_vec(),
    }
}

/// A signed statement and the reason that came with it; whether the two belong together is not checked here.
///
/// # Errors
/// When a part is missing or not of its form.
pub fn to_reasoned(
    message: pb::ReasonedStatement,
) -> Result<(SignedStatement, SaltedAnalysis), WireError> {
    let signed = message.statement.ok_or(WireError::Missing("statement"))?.try_into()?;
    let salt = digest("reason_salt", &message.reason_salt)?;
    Ok((signed, SaltedAnalysis { salt, text: message.reason }))
}

fn decode_rating(rating: &pb::RatingBody) -> Result<Rating, WireError> {
    bounded("topics", &rating.topics, 0..=Topic::ALL.len(), "at most 11, each once")?;
    Ok(Rating {
        person: to_person(rating.person.as_ref())?,
        colour: words::to_colour(rating.colour)?,
        topics: rating
            .topics
            .iter()
            .map(|word| Topic::from_word(word))
            .collect::<Option<_>>()
            .ok_or(WireError::invalid("topics", "topics this version knows"))?,
        analysis_digest: rating
            .analysis_digest
            .as_slice()
            .try_into()
            .map_err(|_| WireError::invalid("analysis_digest", "32 bytes"))?,
        rated_at: time("rated_at_unix_ms", rating.rated_at_unix_ms)?,
        via: rating.via.as_ref().map(|via| to_person(Some(via))).transpose()?,
        subject_is_child: rating.subject_is_child,
    })
}

fn decode_assertion(assertion: &pb::AssertionBody) -> Result<Assertion, WireError> {
    bounded("people", &assertion.people, 1..=super::MAX_PEOPLE, "1 to 24 people")?;
    let threshold = threshold(assertion.kind(), assertion)?;
    let people = assertion.people.iter().map(|person| to_person(Some(person)));
    Ok(Assertion { threshold, people: people.collect::<Result<_, _>>()? })
}

/// A threshold, with the grounds that the message gives.
///
/// # Errors
/// When the kind is absent, or a time is outside the calendar.
pub fn threshold(
    kind: pb::AssertionKind,
    grounds: &pb::AssertionBody,
) -> Result<Threshold, WireError> {
    Ok(match kind {
        pb::AssertionKind::Section47 => Threshold::Section47,
        pb::AssertionKind::CareAct42 => Threshold::CareAct42,
        pb::AssertionKind::Marac => Threshold::Marac(MaracGrounds {
            dash_ticks: grounds.dash_ticks,
            professional_judgement: grounds.professional_judgement,
            reports_in_12_months: grounds.reports_in_12_months,
            repeat: grounds.repeat,
            meeting_at: optional_time("meeting_at_unix_ms", grounds.meeting_at_unix_ms)?,
        }),
        pb::AssertionKind::Unspecified => return Err(WireError::Missing("kind")),
    })
}

fn decode_consent(consent: &pb::ConsentBody) -> Result<Consent, WireError> {
    bounded("categories", &consent.categories, 0..=99, "at most 99")?;
    bounded("recipients", &consent.recipients, 0..=64, "at most 64")?;
    Ok(Consent {
        person: to_person(consent.person.as_ref())?,
        state: ConsentState::ALL
            .iter()
            .find(|(_, word)| *word == consent.state)
            .map(|(state, _)| *state)
            .ok_or(WireError::invalid("state", "`valid`, `refused` or `withdrawn`"))?,
        categories: consent
            .categories
            .iter()
            .map(|code| id::<CategoryCode>("categories", code))
            .collect::<Result<_, _>>()?,
        recipients: consent
            .recipients
            .iter()
            .map(|agency| id::<AgencyId>("recipients", agency))
            .collect::<Result<_, _>>()?,
        expires_at: optional_time("expires_at_unix_ms", consent.expires_at_unix_ms)?,
        asked_by: optional_id("asked_by", &consent.asked_by)?,
    })
}

fn reason(code: &str) -> Result<Reason, WireError> {
    code.parse().map_err(|_| WireError::invalid("reason", "a reason code this version knows"))
}

fn decode_release(release: &pb::ReleaseBody) -> Result<ReleaseDecision, WireError> {
    let outcome = match release.decision() {
        pb::Decision::Release => DecidedOutcome::Release {
            gate: release.gate.clone(),
            obligations: release.obligations.clone(),
            view_expires_at: time("view_expires_at_unix_ms", release.view_expires_at_unix_ms)?,
            sealed_digest: match release.sealed_digest.as_slice() {
                [] => None,
                bytes => Some(
                    bytes
                        .try_into()
                        .map_err(|_| WireError::invalid("sealed_digest", "32 bytes"))?,
                ),
            },
        },
        pb::Decision::Review => DecidedOutcome::Review {
            gate: release.gate.clone(),
            approvals_needed: release.approvals_needed,
            wait: words::to_review_stage(release.review_stage())
                .zip(optional_time("review_until_unix_ms", release.review_until_unix_ms)?)
                .map(|(stage, until)| ReviewWait { stage, until }),
        },
        pb::Decision::Deny => DecidedOutcome::Deny(reason(&release.reason)?),
        pb::Decision::Unspecified => return Err(WireError::Missing("decision")),
    };
    Ok(ReleaseDecision {
        release: id("release", &release.release)?,
        person: to_person(release.person.as_ref())?,
        category: id("category", &release.category)?,
        recipient: id("recipient", &release.recipient)?,
        outcome,
    })
}
