//! Screening and round on the wire.

use super::{MAX_PEOPLE, WireError, bounded, id, pb, statement, time, words};
use crate::{
    enquiry::{
        Answer, ClaimedLink, Envelope, LinkedPerson, PersonAnswer, RatePerson, RateQuery,
        RatedAnswer, SLOT_TAGS, SLOTS_STEP, ScreenQuery, SlotTags, Why,
    },
    id::AgreementDigest,
    rating::SaltedAnalysis,
};

/// The most bytes of one sealed identity.
pub const MAX_SEALED_IDENTITY: usize = 32 * 1024;
/// The most links of an enquiry.
pub const MAX_LINKS: usize = 256;
/// Candidates in one answer to a slot.
pub const CANDIDATES: usize = 4;
/// Bytes of one answer to a slot: each candidate has a handle and a proof for each tag.
pub const SLOT_ANSWER_BYTES: usize = CANDIDATES * (16 + 16 * SLOT_TAGS);

/// The head of a request.
///
/// # Errors
/// When a part is missing or not of its form.
pub fn envelope(
    request_id: &str,
    agreement_digest: &[u8],
    valid_until_unix_ms: i64,
) -> Result<Envelope, WireError> {
    Ok(Envelope {
        request_id: id("request_id", request_id)?,
        agreement: AgreementDigest::try_from(agreement_digest)
            .map_err(|_| WireError::invalid("agreement_digest", "32 bytes"))?,
        valid_until: time("valid_until_unix_ms", valid_until_unix_ms)?,
    })
}

impl From<&ScreenQuery> for pb::ScreenRequest {
    fn from(query: &ScreenQuery) -> Self {
        Self {
            request_id: query.envelope.request_id.to_string(),
            agreement_digest: query.envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: query.envelope.valid_until.as_millisecond(),
            epoch: query.epoch,
            slots: query.slots.iter().map(|tags| tags.concat()).collect(),
            public_key: query.public_key.to_vec(),
            newest_epoch: query.newest_epoch,
        }
    }
}

impl TryFrom<pb::ScreenRequest> for ScreenQuery {
    type Error = WireError;

    fn try_from(message: pb::ScreenRequest) -> Result<Self, WireError> {
        let n_slots = message.slots.len();
        if n_slots == 0 || n_slots > MAX_PEOPLE || !n_slots.is_multiple_of(SLOTS_STEP) {
            return Err(WireError::invalid("slots", "12 or 24 slots"));
        }
        if message.epoch == 0 {
            return Err(WireError::Missing("epoch"));
        }
        Ok(Self {
            envelope: envelope(
                &message.request_id,
                &message.agreement_digest,
                message.valid_until_unix_ms,
            )?,
            epoch: message.epoch,
            public_key: message
                .public_key
                .as_slice()
                .try_into()
                .map_err(|_| WireError::invalid("public_key", "32 bytes"))?,
            newest_epoch: message.newest_epoch.max(message.epoch),
            slots: message.slots.iter().map(|slot| tags(slot)).collect::<Result<_, _>>()?,
        })
    }
}

fn tags(bytes: &[u8]) -> Result<SlotTags, WireError> {
    let mut tags = [[0; 16]; SLOT_TAGS];
    if bytes.len() != 16 * SLOT_TAGS {
        return Err(WireError::invalid("slots", "288 bytes each"));
    }
    for (tag, bytes) in tags.iter_mut().zip(bytes.chunks_exact(16)) {
        tag.copy_from_slice(bytes);
    }
    Ok(tags)
}

impl From<&RateQuery> for pb::RateRequest {
    fn from(query: &RateQuery) -> Self {
        Self {
            request_id: query.envelope.request_id.to_string(),
            agreement_digest: query.envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: query.envelope.valid_until.as_millisecond(),
            enquiry: query.enquiry.to_string(),
            purpose: query.purpose.clone(),
            answer_by_unix_ms: query.answer_by.as_millisecond(),
            screen_request_id: query.screen.to_string(),
            people: query
                .people
                .iter()
                .map(|asked| pb::RatePerson {
                    person: Some(statement::person(&asked.person)),
                    sealed_identity: asked.sealed_identity.clone(),
                    handle: asked.handle.to_vec(),
                    role: words::role(asked.role).into(),
                    possible_match: asked.possible_match,
                })
                .collect(),
            linked: query
                .linked
                .iter()
                .map(|linked| pb::LinkedPerson {
                    person: Some(statement::person(&linked.person)),
                    role: words::role(linked.role).into(),
                    age_band: linked.age_band.clone(),
                })
                .collect(),
            links: query.links.iter().map(claimed_link).collect(),
            domestic_abuse: query.domestic_abuse,
        }
    }
}

impl TryFrom<pb::RateRequest> for RateQuery {
    type Error = WireError;

    fn try_from(message: pb::RateRequest) -> Result<Self, WireError> {
        bounded("people", &message.people, 1..=MAX_PEOPLE, "1 to 24 people")?;
        bounded("linked", &message.linked, 0..=MAX_PEOPLE, "at most 24 people")?;
        Ok(Self {
            envelope: envelope(
                &message.request_id,
                &message.agreement_digest,
                message.valid_until_unix_ms,
            )?,
            enquiry: id("enquiry", &message.enquiry)?,
            purpose: short_text("purpose", message.purpose)?,
            answer_by: time("answer_by_unix_ms", message.answer_by_unix_ms)?,
            screen: id("screen_request_id", &message.screen_request_id)?,
            people: message.people.into_iter().map(to_rate_person).collect::<Result<_, _>>()?,
            linked: message.linked.into_iter().map(to_linked).collect::<Result<_, _>>()?,
            links: to_claimed_links(&message.links)?,
            domestic_abuse: message.domestic_abuse,
        })
    }
}

fn to_rate_person(message: pb::RatePerson) -> Result<RatePerson, WireError> {
    if message.sealed_identity.len() > MAX_SEALED_IDENTITY {
        return Err(WireError::invalid("sealed_identity", "at most 32 KiB"));
    }
    Ok(RatePerson {
        person: statement::to_person(message.person.as_ref())?,
        handle: message
            .handle
            .as_slice()
            .try_into()
            .map_err(|_| WireError::invalid("handle", "16 bytes"))?,
        role: words::to_role(message.role)?,
        sealed_identity: message.sealed_identity,
        possible_match: message.possible_match,
    })
}

fn to_linked(message: pb::LinkedPerson) -> Result<LinkedPerson, WireError> {
    Ok(LinkedPerson {
        person: statement::to_person(message.person.as_ref())?,
        role: words::to_role(message.role)?,
        age_band: short_text("age_band", message.age_band)?,
    })
}

/// A text of at most 64 bytes without control characters.
pub(crate) fn short_text(field: &'static str, text: String) -> Result<String, WireError> {
    if text.len() > 64 || text.chars().any(char::is_control) {
        return Err(WireError::invalid(field, "at most 64 bytes on one line"));
    }
    Ok(text)
}

/// A claimed link as a wire message.
#[must_use]
pub fn claimed_link(link: &ClaimedLink) -> pb::ClaimedLink {
    pb::ClaimedLink {
        from: link.from.to_string(),
        to: link.to.to_string(),
        kind: words::link_kind(link.kind).into(),
    }
}

/// One claimed link.
///
/// # Errors
/// When a part is missing or not of its form.
pub fn to_claimed_link(link: &pb::ClaimedLink) -> Result<ClaimedLink, WireError> {
    Ok(ClaimedLink {
        from: id("from", &link.from)?,
        to: id("to", &link.to)?,
        kind: words::to_link_kind(link.kind)?,
    })
}

/// The claimed links of an enquiry.
///
/// # Errors
/// When there are too many, or one is not well-formed.
pub fn to_claimed_links(links: &[pb::ClaimedLink]) -> Result<Vec<ClaimedLink>, WireError> {
    bounded("links", links, 0..=MAX_LINKS, "at most 256 links")?;
    links.iter().map(to_claimed_link).collect()
}

impl From<&PersonAnswer> for pb::PersonAnswer {
    fn from(said: &PersonAnswer) -> Self {
        let mut message = Self { person: said.person.to_string(), ..Self::default() };
        let status = match &said.answer {
            Answer::Rated(rated) => {
                message.rating = Some((&rated.signed).into());
                message.analysis.clone_from(&rated.analysis.text);
                message.analysis_salt = rated.analysis.salt.to_vec();
                pb::AnswerStatus::Rated
            }
            Answer::NotKnown => pb::AnswerStatus::NotKnown,
            Answer::IdentityReview => pb::AnswerStatus::IdentityReview,
            Answer::Unable(why) => {
                message.reason = why.as_str().to_owned();
                pb::AnswerStatus::Unable
            }
            Answer::Declined(why) => {
                message.reason = why.as_str().to_owned();
                pb::AnswerStatus::Declined
            }
            Answer::Pending => pb::AnswerStatus::Pending,
        };
        message.set_status(status);
        message
    }
}

impl TryFrom<pb::PersonAnswer> for PersonAnswer {
    type Error = WireError;

    fn try_from(message: pb::PersonAnswer) -> Result<Self, WireError> {
        let why = || {
            Why::parse(&message.reason)
                .ok_or(WireError::invalid("reason", "1 to 64 letters, digits or `_`"))
        };
        let answer = match message.status() {
            pb::AnswerStatus::Rated => Answer::Rated(RatedAnswer {
                signed: message.rating.clone().ok_or(WireError::Missing("rating"))?.try_into()?,
                analysis: SaltedAnalysis {
                    salt: message
                        .analysis_salt
                        .as_slice()
                        .try_into()
                        .map_err(|_| WireError::invalid("analysis_salt", "32 bytes"))?,
                    text: message.analysis.clone(),
                },
            }),
            pb::AnswerStatus::NotKnown => Answer::NotKnown,
            pb::AnswerStatus::IdentityReview => Answer::IdentityReview,
            pb::AnswerStatus::Unable => Answer::Unable(why()?),
            pb::AnswerStatus::Declined => Answer::Declined(why()?),
            pb::AnswerStatus::Pending => Answer::Pending,
            pb::AnswerStatus::Unspecified
            | pb::AnswerStatus::NoResponse
            | pb::AnswerStatus::Late => {
                return Err(WireError::invalid("status", "a status that an agency may give"));
            }
        };
        Ok(Self { person: id("person", &message.person)?, answer })
    }
}
