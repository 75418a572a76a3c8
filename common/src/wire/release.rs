//! Requests for detail, and decisions on them, on the wire.

use prost::Message as _;

use super::{MAX_PEOPLE, WireError, bounded, id, pb, round, statement};
use crate::{
    agreement::{AskedSubject, LawfulBasis, Step, StepResult},
    enquiry::ReleaseQuery,
    statement::SignedStatement,
};

/// The most recipients of one request.
pub const MAX_RECIPIENTS: usize = 32;
/// The most statements of evidence in one request.
pub const MAX_EVIDENCE: usize = 1024;
/// The longest free text of a lawful basis, in bytes.
const MAX_BASIS_TEXT: usize = 2400;
/// The most bytes of sealed detail, with the encapsulated key.
pub const MAX_SEALED_BYTES: usize = 128 * 1024;

impl From<&ReleaseQuery> for pb::ReleaseRequest {
    fn from(query: &ReleaseQuery) -> Self {
        Self {
            request_id: query.envelope.request_id.to_string(),
            agreement_digest: query.envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: query.envelope.valid_until.as_millisecond(),
            release: query.release.to_string(),
            enquiry: query.enquiry.to_string(),
            people: query.people.iter().map(statement::person).collect(),
            subject: query.subject.to_string(),
            category: query.category.to_string(),
            recipients: query.recipients.iter().map(ToString::to_string).collect(),
            purpose: query.purpose.clone(),
            lawful_basis: Some(lawful_basis(&query.basis)),
            requested_by: query.requested_by.to_string(),
            evidence: query.evidence.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::ReleaseRequest> for ReleaseQuery {
    type Error = WireError;

    fn try_from(message: pb::ReleaseRequest) -> Result<Self, WireError> {
        bounded("people", &message.people, 1..=MAX_PEOPLE, "1 to 24 people")?;
        bounded("recipients", &message.recipients, 1..=MAX_RECIPIENTS, "1 to 32 agencies")?;
        bounded("evidence", &message.evidence, 0..=MAX_EVIDENCE, "at most 1,024 statements")?;
        Ok(Self {
            envelope: round::envelope(
                &message.request_id,
                &message.agreement_digest,
                message.valid_until_unix_ms,
            )?,
            release: id("release", &message.release)?,
            enquiry: id("enquiry", &message.enquiry)?,
            people: message
                .people
                .iter()
                .map(|person| statement::to_person(Some(person)))
                .collect::<Result<_, _>>()?,
            subject: id("subject", &message.subject)?,
            category: id("category", &message.category)?,
            recipients: message
                .recipients
                .iter()
                .map(|agency| id("recipients", agency))
                .collect::<Result<_, _>>()?,
            purpose: round::short_text("purpose", message.purpose)?,
            basis: to_lawful_basis(message.lawful_basis.unwrap_or_default())?,
            requested_by: id("requested_by", &message.requested_by)?,
            evidence: message
                .evidence
                .into_iter()
                .map(SignedStatement::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// A lawful basis as a wire message.
#[must_use]
pub fn lawful_basis(basis: &LawfulBasis) -> pb::LawfulBasis {
    let text = |field: &Option<Box<str>>| field.as_deref().unwrap_or_default().to_owned();
    pb::LawfulBasis {
        art6: text(&basis.art6),
        art9_condition: text(&basis.art9_condition),
        art10_authority: text(&basis.art10_authority),
        dpa_schedule_para: text(&basis.schedule_paragraph),
        statutory_gateway: text(&basis.gateway),
        confidentiality_justification: text(&basis.confidentiality),
        agreement_status: text(&basis.agreement_status),
        necessity: text(&basis.necessity),
        proportionality: text(&basis.proportionality),
        asked_subject: matches!(basis.asked_subject, Some(AskedSubject::Asked)),
        not_asked_because: match &basis.asked_subject {
            Some(AskedSubject::NotAsked(why)) => why.to_string(),
            Some(AskedSubject::Asked) | None => String::new(),
        },
    }
}

/// A lawful basis as stated. What is missing is for the decision to find.
///
/// # Errors
/// When a text is too long or holds a control character.
pub fn to_lawful_basis(message: pb::LawfulBasis) -> Result<LawfulBasis, WireError> {
    let text = |field: &'static str, text: String, most: usize| {
        if text.len() > most || text.chars().any(char::is_control) {
            return Err(WireError::invalid(field, "a text on one line within its bound"));
        }
        Ok((!text.is_empty()).then(|| text.into_boxed_str()))
    };
    let not_asked = text("not_asked_because", message.not_asked_because, MAX_BASIS_TEXT)?;
    Ok(LawfulBasis {
        art6: text("art6", message.art6, 64)?,
        art9_condition: text("art9_condition", message.art9_condition, 64)?,
        art10_authority: text("art10_authority", message.art10_authority, 64)?,
        schedule_paragraph: text("dpa_schedule_para", message.dpa_schedule_para, 64)?,
        gateway: text("statutory_gateway", message.statutory_gateway, 64)?,
        confidentiality: text(
            "confidentiality_justification",
            message.confidentiality_justification,
            64,
        )?,
        agreement_status: text("agreement_status", message.agreement_status, 64)?,
        necessity: text("necessity", message.necessity, MAX_BASIS_TEXT)?,
        proportionality: text("proportionality", message.proportionality, MAX_BASIS_TEXT)?,
        asked_subject: match (message.asked_subject, not_asked) {
            (true, _) => Some(AskedSubject::Asked),
            (false, Some(why)) => Some(AskedSubject::NotAsked(why)),
            (false, None) => None,
        },
    })
}

/// A step of a decision as a wire message.
#[must_use]
pub fn trace_step(step: &Step) -> pb::TraceStep {
    pb::TraceStep {
        stage: step.stage.word().to_owned(),
        rule: step.rule.clone(),
        result: match step.result {
            StepResult::Met => "met".to_owned(),
            StepResult::NotMet(reason) => format!("not_met:{reason}"),
            StepResult::Refused(reason) => format!("refused:{reason}"),
        },
        evidence: step.evidence.iter().map(ToString::to_string).collect(),
    }
}

/// A request as bytes, for a store.
#[must_use]
pub fn encode(query: &ReleaseQuery) -> Vec<u8> {
    pb::ReleaseRequest::from(query).encode_to_vec()
}

/// A request from a store.
///
/// # Errors
/// When the bytes are not a request.
pub fn decode(bytes: &[u8]) -> Result<ReleaseQuery, WireError> {
    pb::ReleaseRequest::decode(bytes)
        .map_err(|_| WireError::invalid("request", "a ReleaseRequest"))?
        .try_into()
}
