//! What people said about sharing, between messages of the desk and values.

use brag_common::wire::{WireError, bounded, id, optional_id, optional_time, pb};

use crate::{
    consent::{Answer, Asked, Known, Record},
    guard::SignedIn,
};

/// A person's answer, as a member of staff records it.
pub(super) fn record(
    who: &SignedIn,
    message: &pb::RecordConsentRequest,
) -> Result<Record, WireError> {
    bounded("categories", &message.categories, 0..=99, "at most 99")?;
    bounded("recipients", &message.recipients, 0..=64, "at most 64")?;
    let asked_by = optional_id("asked_by", &message.asked_by)?;
    let asked = match (asked_by, message.not_asked_because.as_str()) {
        (Some(_), why) if !why.is_empty() => {
            let expected = "absent when somebody asked";
            return Err(WireError::invalid("not_asked_because", expected));
        }
        (Some(name), _) => Asked::By(name),
        (None, "") => Asked::By(who.name().clone()),
        (None, why) => Asked::NotAsked(why.to_owned()),
    };
    let categories = message.categories.iter().map(|code| id("categories", code));
    let recipients = message.recipients.iter().map(|agency| id("recipients", agency));
    Ok(Record {
        enquiry: id("enquiry", &message.enquiry)?,
        person: id("person", &message.person)?,
        answer: match message.answer() {
            pb::ConsentAnswer::Agreed => Answer::Agreed,
            pb::ConsentAnswer::Refused => Answer::Refused,
            pb::ConsentAnswer::Unspecified => return Err(WireError::Missing("answer")),
        },
        categories: categories.collect::<Result<_, _>>()?,
        recipients: recipients.collect::<Result<_, _>>()?,
        expires: optional_time("expires_at_unix_ms", message.expires_at_unix_ms)?,
        asked,
    })
}

/// What the node knows of a person's agreement, for its own staff.
pub(super) fn known(known: &Known) -> pb::KnownConsent {
    let Known { statement, consent, stands, not_asked_because, reason } = known;
    let name = |name: &Option<brag_common::id::StaffName>| {
        name.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    pb::KnownConsent {
        statement_id: statement.id.to_string(),
        person: consent.person.person.to_string(),
        agency: statement.signer.to_string(),
        recorded_by: name(&statement.made_by),
        recorded_at_unix_ms: statement.made_at.as_millisecond(),
        state: consent.state.word().to_owned(),
        stands: (*stands).to_owned(),
        categories: consent.categories.iter().map(ToString::to_string).collect(),
        recipients: consent.recipients.iter().map(ToString::to_string).collect(),
        expires_at_unix_ms: consent.expires_at.map_or(0, |end| end.as_millisecond()),
        asked_by: name(&consent.asked_by),
        not_asked_because: not_asked_because.clone(),
        reason: reason.clone(),
    }
}
