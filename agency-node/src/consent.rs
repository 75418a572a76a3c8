//! A person's own agreement to sharing: what they said, to whom, about what, until when; or that they refused, or have
//! taken it back. It is kept apart from the lawful basis of a request, which each request states for itself: consent is
//! usually not that basis, and a refusal below the threshold does not stop anything above it.
//!
//! Each act is signed by the agency, carries the person who made it, and goes to the hub as evidence. Why somebody was
//! not asked, and what they said when they withdrew, stays at this node.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    agreement::ConsentStatus,
    audit::entry::Action,
    evidence::{Evidence, People},
    id::{AgencyId, CategoryCode, EnquiryRef, PersonRef, RequestId, StaffName},
    statement::{Body, Consent, ConsentState, Statement},
    time::Timestamp,
};

use crate::{
    desk::{Act, opened, send},
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox, retract,
    store::{Change, shapes::ConsentRecord},
};

/// The longest text that is kept with a record, in characters.
const MAX_TEXT_CHARS: usize = 600;

/// Who asked the person.
#[derive(Debug)]
pub enum Asked {
    /// A member of staff.
    By(StaffName),
    /// The person was not asked, for this reason: somebody else decided for them, for example.
    NotAsked(String),
}

/// What a person said when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// They agreed.
    Agreed,
    /// They refused.
    Refused,
}

/// A person's answer, as it is recorded.
#[derive(Debug)]
pub struct Record {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The person.
    pub person: PersonRef,
    /// What they said.
    pub answer: Answer,
    /// Categories it names; for a refusal none means all.
    pub categories: BTreeSet<CategoryCode>,
    /// Recipients it names; for a refusal none means all.
    pub recipients: BTreeSet<AgencyId>,
    /// When the agreement ends; `None`: it has no end of its own.
    pub expires: Option<Timestamp>,
    /// Who asked.
    pub asked: Asked,
}

/// Records what a person said about sharing.
///
/// # Errors
/// When the agency has no record of the person, the answer names nothing, something the exchange never carries or nobody
/// of the partnership, its end has passed, or it can not be recorded.
pub async fn record(
    shared: &Arc<Shared>,
    who: &SignedIn,
    record: Record,
) -> Result<RequestId, Refusal> {
    let Record { enquiry, person, answer, categories, recipients, expires, asked } = record;
    if answer == Answer::Agreed && (categories.is_empty() || recipients.is_empty()) {
        return Err(Refusal::rule(
            "consent_names_nothing",
            "an agreement names at least one category and one recipient",
        ));
    }
    let agreement = shared.agreement.agreement();
    if categories.iter().any(|category| agreement.category(*category).is_none()) {
        return Err(Refusal::rule(
            "category_never",
            "CATEGORY_NEVER: nobody's agreement lets the exchange carry one of these categories",
        ));
    }
    if recipients.iter().any(|recipient| agreement.party(recipient).is_none()) {
        return Err(Refusal::rule(
            "recipient_not_party",
            "RECIPIENT_NOT_PARTY: one of these recipients is not a party to the agreement",
        ));
    }
    if expires.is_some_and(|end| end <= shared.clock.now()) {
        return Err(Refusal::rule(
            "consent_expired",
            "CONSENT_EXPIRED: its end has passed already",
        ));
    }
    let (state, expires_at) = match answer {
        Answer::Agreed => (ConsentState::Valid, expires),
        Answer::Refused => (ConsentState::Refused, None),
    };
    let (asked_by, not_asked_because) = match asked {
        Asked::By(name) => (Some(name), String::new()),
        Asked::NotAsked(why) => (None, text("not_asked_because", &why)?),
    };
    let kept = ConsentRecord { not_asked_because, reason: String::new() };
    let said = Said { state, categories, recipients, expires_at, asked_by, kept };
    state_it(shared, who, enquiry, person, said).await
}

/// Records that a person has taken back everything they agreed to in this enquiry, whoever recorded it. What rests on it is
/// closed to its recipients.
///
/// # Errors
/// When the agency has no record of the person, or nothing can be recorded.
pub async fn withdraw(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    reason: &str,
) -> Result<RequestId, Refusal> {
    let reason = if reason.is_empty() { String::new() } else { text("reason", reason)? };
    let said = Said {
        state: ConsentState::Withdrawn,
        categories: BTreeSet::new(),
        recipients: BTreeSet::new(),
        expires_at: None,
        asked_by: None,
        kept: ConsentRecord { not_asked_because: String::new(), reason },
    };
    state_it(shared, who, enquiry, person, said).await
}

/// What is signed, and what stays here.
struct Said {
    state: ConsentState,
    categories: BTreeSet<CategoryCode>,
    recipients: BTreeSet<AgencyId>,
    expires_at: Option<Timestamp>,
    asked_by: Option<StaffName>,
    kept: ConsentRecord,
}

async fn state_it(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    said: Said,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let Said { state, categories, recipients, expires_at, asked_by, kept } = said;
    let about = opened(shared, &enquiry, person.clone()).await?;
    let body = Body::Consent(Consent {
        person: about,
        state,
        categories,
        recipients,
        expires_at,
        asked_by,
    });
    let act =
        Act { enquiry: &enquiry, person: Some(&person), action: Action::ConsentRecorded, body };
    let mut change = Change::new();
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    change.consent(&enquiry, &id, &kept)?;
    outbox::put_fact(shared, &id, &enquiry, &signed, &mut change);
    send(shared, change).await?;
    // What this agency itself released on it is taken back at once.
    retract::reconsider(shared, &enquiry).await?;
    Ok(id)
}

fn text(field: &'static str, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if (1..=MAX_TEXT_CHARS).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(Refusal::rule("text_missing", format!("give `{field}` in 1 to 600 characters")))
    }
}

/// One statement about a person's agreement, as this node knows it.
#[derive(Debug)]
pub struct Known {
    /// The statement.
    pub statement: Statement,
    /// What it says.
    pub consent: Consent,
    /// How it stands now: `valid`, `expired`, `refused`, `withdrawn`, or `taken_back` when a later statement has taken its
    /// place or part of it.
    pub stands: &'static str,
    /// Why the person was not asked; empty for another agency's statement, and when they were.
    pub not_asked_because: String,
    /// What they said when they withdrew; empty for another agency's statement.
    pub reason: String,
}

/// Every statement about the agreement of people of an enquiry that this node has signed or verified, oldest first;
/// about one person when `person` says so.
///
/// # Errors
/// When the store fails.
pub async fn show(
    shared: &Arc<Shared>,
    enquiry: EnquiryRef,
    person: Option<PersonRef>,
) -> Result<Vec<Known>, Refusal> {
    let name = enquiry.clone();
    let (people, statements, kept) = shared
        .store
        .run(move |store| {
            Ok((store.people_in(&name)?, store.statements(&name)?, store.consents(&name)?))
        })
        .await?;
    let people: People = people.into_iter().map(|(p, known)| (p, known.commitment)).collect();
    let version = shared.agreement.versions().current();
    let evidence =
        Evidence::verify(&version.agreement, &version.realm, &enquiry, &people, &[], &statements);
    let now = shared.clock.now();
    let mut all = Vec::new();
    for (statement, _) in evidence.accepted {
        let Body::Consent(consent) = statement.body.clone() else { continue };
        if person.as_ref().is_some_and(|person| *person != consent.person.person) {
            continue;
        }
        let facts = || evidence.facts.consents.iter();
        let own = facts().filter(|fact| fact.evidence.as_str() == statement.id.as_str());
        let pairs: usize = own.clone().map(|f| f.categories.len() * f.recipients.len()).sum();
        let whole = pairs == consent.categories.len() * consent.recipients.len();
        let stands = match own.map(|fact| fact.status_at(now)).min() {
            Some(ConsentStatus::Valid) if whole => "valid",
            Some(ConsentStatus::Expired) if whole => "expired",
            Some(ConsentStatus::Withdrawn) => "withdrawn",
            Some(ConsentStatus::Refused) => "refused",
            Some(ConsentStatus::Valid | ConsentStatus::Expired) | None => "taken_back",
        };
        let record = kept.iter().find(|(id, _)| *id == statement.id).map(|(_, record)| record);
        let ConsentRecord { not_asked_because, reason } = record.cloned().unwrap_or_default();
        all.push(Known { statement, consent, stands, not_asked_because, reason });
    }
    all.sort_by_key(|known| known.statement.made_at);
    Ok(all)
}
