//! The co-ordinator's calls: open an enquiry, look at it, follow it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use brag_common::{
    agreement::{LinkKind, Purpose},
    alert::Alert,
    audit::entry::{Action, EntryDraft},
    durable::StoreError,
    id::{EnquiryRef, PersonRef},
    matching::identity::{CanonicalIdentity, commit},
    reason::Reason,
    secret::random_bytes,
    time::{SignedDuration, Timestamp},
    wire::{MAX_PEOPLE, WireError, bounded, id, optional_time, pb, round::MAX_LINKS, words},
};

use crate::{
    budget::{self, Recent},
    conflict, earlier,
    guard::{Refusal, SignedIn},
    hub::Shared,
    life::{plan::Plan, words::Kind},
    matrix::{self, Matrix},
    round,
    store::{
        Change, Store,
        shapes::{EnquiryRecord, Link, OpeningRecord, PersonRecord, Referral},
    },
    take,
    view::{Linked, Whole},
};

/// The longest a round may be open: 30 days.
const MAX_ANSWER_WITHIN_S: u32 = 30 * 86_400;

/// The longest reason why somebody is asked about again, in characters.
pub const MAX_REASON_CHARS: usize = 600;

/// Opens an enquiry: recorded and kept, then every agency is asked.
///
/// # Errors
/// When it is not well-formed, its purpose is not in the agreement, it is beyond a budget or asks again without a reason, or it can not
/// be recorded.
pub async fn open(
    shared: &Arc<Shared>,
    who: &SignedIn,
    message: pb::OpenRequest,
) -> Result<EnquiryRef, Refusal> {
    shared.in_force()?;
    let purposes = shared.agreement.agreement().purposes();
    if !Purpose::from_word(&message.purpose).is_some_and(|word| purposes.contains(&word)) {
        let draft = who.signs(shared.draft(Action::AlertRaised));
        shared.log.record(shared.alerts.raise(Alert::Purpose, draft)).await?;
        let reason = Reason::PurposeNotPermitted;
        return Err(Refusal::rule(reason.code(), reason.text()));
    }
    let record = parse(shared, who, message)?;
    conflict::may_open(shared, who, &record).await?;
    // Until it is kept: enquiries that are opened at the same time count for each other.
    let _one_at_a_time = shared.opening.lock().await;
    let Within { n_recent, over } = within_budget(shared, &record).await?;
    let name = random_bytes().map(EnquiryRef::from_random).map_err(|_| Refusal::Internal)?;
    let mut draft = shared.draft(Action::EnquiryOpened);
    draft.enquiry = Some(name.clone());
    draft.purpose = record.purpose.parse().ok();
    draft.count = u64::try_from(record.people.len()).ok();
    let mut drafts = vec![who.signs(draft)];
    if n_recent > 0 {
        let mut again = shared.draft(Action::SecondEnquiry);
        again.enquiry = Some(name.clone());
        again.count = u64::try_from(n_recent).ok();
        drafts.push(who.signs(again));
    }
    shared.log.record_all::<EntryDraft>(drafts).await?;

    let mut change = Change::new();
    change.enquiry(&name, &record)?;
    change.opening(&name, &budget::opening(&record))?;
    over.iter().for_each(|old| change.opening_is_over(old));
    for agency in shared.nodes.keys() {
        for person in &record.people {
            let cell = take::not_asked_yet(record.opened_at);
            change.cell(&name, agency, &person.person, &cell)?;
        }
    }
    let (opened, bounds) = (name.clone(), earlier::Bounds::agreement(&shared.agreement));
    shared
        .store
        .run(move |store| {
            earlier::link(store, &opened, &record, bounds, &mut change)?;
            store.commit(change)
        })
        .await?;
    round::start(shared, &name);
    Ok(name)
}

/// What was found of an enquiry that is within the budgets.
struct Within {
    /// In how many recent enquiries its people are.
    n_recent: usize,
    /// Openings that no budget counts any more.
    over: Vec<EnquiryRef>,
}

/// Refuses an enquiry beyond the budgets, or about somebody who was asked about a short time before without a reason.
async fn within_budget(shared: &Arc<Shared>, record: &EnquiryRecord) -> Result<Within, Refusal> {
    let (budget, bounds) = (shared.config.budget, earlier::Bounds::agreement(&shared.agreement));
    let asked = record.clone();
    let (openings, recent) = shared
        .store
        .run(move |store| {
            let at = asked.opened_at;
            Ok((store.openings()?, Recent::find(store, &asked, bounds, (at, &budget))?))
        })
        .await?;
    let counts = |one: &OpeningRecord| record.opened_at.duration_since(one.at) < budget::KEPT;
    let (openings, over): (Vec<_>, Vec<_>) =
        openings.into_iter().partition(|(_, opening)| counts(opening));
    let openings: Vec<OpeningRecord> = openings.into_iter().map(|(_, opening)| opening).collect();
    budget::allows(&budget, &openings, &budget::opening(record))?;
    recent.allows(record.again_because.as_deref(), &budget)?;
    let over = over.into_iter().map(|(name, _)| name).collect();
    Ok(Within { n_recent: recent.enquiries.len(), over })
}

fn parse(
    shared: &Shared,
    who: &SignedIn,
    message: pb::OpenRequest,
) -> Result<EnquiryRecord, Refusal> {
    let now = shared.clock.now();
    bounded("people", &message.people, 1..=MAX_PEOPLE, "1 to 24 people")?;
    bounded("links", &message.links, 0..=MAX_LINKS, "at most 256 links")?;
    let answer_within = match message.answer_within_s {
        0 => SignedDuration::try_from(shared.config.fan_out.answer_within.get())
            .map_err(|_| Refusal::Internal)?,
        s if s <= MAX_ANSWER_WITHIN_S => SignedDuration::from_secs(i64::from(s)),
        _ => return Err(WireError::invalid("answer_within_s", "at most 30 days").into()),
    };
    let again_because = message.again_because.trim();
    if again_because.chars().count() > MAX_REASON_CHARS {
        return Err(WireError::invalid("again_because", "at most 600 characters").into());
    }
    let mut people = Vec::with_capacity(message.people.len());
    for person in &message.people {
        people.push(parse_person(person)?);
    }
    let by_label: BTreeMap<&str, &PersonRef> =
        people.iter().map(|person| (person.label.as_str(), &person.person)).collect();
    if by_label.len() != people.len() {
        return Err(WireError::invalid("people.label", "labels that differ").into());
    }
    let links = message
        .links
        .iter()
        .map(|link| {
            let end = |label: &str| {
                by_label
                    .get(label)
                    .map(|person| (*person).clone())
                    .ok_or(WireError::invalid("links", "labels of people in the enquiry"))
            };
            let kind: LinkKind = words::to_link_kind(link.kind)?;
            Ok(Link { from: end(&link.from)?, to: end(&link.to)?, kind })
        })
        .collect::<Result<_, WireError>>()?;
    Ok(EnquiryRecord {
        purpose: message.purpose,
        opened_by: who.name().clone(),
        opened_at: now,
        answer_by: now.checked_add(answer_within).map_err(|_| Refusal::Internal)?,
        domestic_abuse: message.domestic_abuse,
        referral: parse_referral(shared, message.referral, now)?,
        people,
        links,
        again_because: (!again_because.is_empty()).then(|| again_because.to_owned()),
    })
}

fn parse_referral(
    shared: &Shared,
    referral: Option<pb::Referral>,
    now: Timestamp,
) -> Result<Referral, Refusal> {
    let referral = referral.ok_or(WireError::Missing("referral"))?;
    let agency = id("referral.agency", &referral.agency)?;
    let source = (!referral.source.is_empty()).then_some(referral.source);
    if source.as_ref().is_some_and(|word| shared.words.get(Kind::Source, word).is_none()) {
        let expected = "a source of referrals; `hub words` lists them";
        return Err(WireError::invalid("referral.source", expected).into());
    }
    if shared.agreement.agreement().party(&agency).is_none() {
        return Err(WireError::invalid("referral.agency", "a party to the agreement").into());
    }
    let reference = referral.reference.trim().to_owned();
    if reference.is_empty() {
        return Err(WireError::Missing("referral.reference").into());
    }
    if reference.len() > 64 || reference.chars().any(char::is_control) {
        let expected = "at most 64 bytes on one line";
        return Err(WireError::invalid("referral.reference", expected).into());
    }
    Ok(Referral {
        agency,
        reference,
        incident_at: optional_time("referral.incident_at", referral.incident_at_unix_ms)?,
        received_at: optional_time("referral.received_at", referral.received_at_unix_ms)?
            .unwrap_or(now),
        source,
    })
}

fn parse_person(person: &pb::EnquiryPerson) -> Result<PersonRecord, Refusal> {
    let label: PersonRef = id("people.label", &person.label)?;
    let identity = CanonicalIdentity::decode(&person.identity)
        .map_err(|_| WireError::invalid("people.identity", "a canonical identity"))?;
    let salt: [u8; 32] = random_bytes().map_err(|_| Refusal::Internal)?;
    Ok(PersonRecord {
        label: label.to_string(),
        person: random_bytes().map(PersonRef::from_random).map_err(|_| Refusal::Internal)?,
        commitment: commit(&salt, identity.bytes()),
        salt,
        identity: identity.bytes().to_vec(),
        role: words::to_role(person.role)?,
        initial: words::to_optional_colour(person.initial)?,
    })
}

/// Everything that is stored about one enquiry.
///
/// # Errors
/// When there is none of this name, or the store fails.
pub async fn whole(shared: &Arc<Shared>, name: &EnquiryRef) -> Result<Whole, Refusal> {
    let reading = name.clone();
    let whole = shared
        .store
        .run(move |store| {
            let Some(record) = store.enquiry(&reading)? else { return Ok(None) };
            // What tells of a change comes before what it changed: whoever sees that a rating was replaced never sees the old one beside it,
            // when the change is made between two of these. What is missed is read anew at the next look, which the change asks for.
            let flags = store.flags(&reading)?;
            let changes = store.rating_changes(&reading)?;
            let challenges = store.challenges(&reading)?;
            let steps = store.steps(&reading)?;
            let earlier = linked(store, &reading)?;
            let releases = store.releases(&reading)?;
            let statements = store.statements(&reading)?;
            let cells = store.cells(&reading)?;
            Ok::<_, StoreError>(Some(Whole {
                record,
                cells,
                statements,
                releases,
                earlier,
                changes,
                challenges,
                steps,
                flags,
            }))
        })
        .await?;
    whole.ok_or(Refusal::NotFound("enquiry"))
}

/// Earlier enquiries about the people of one, as they stand.
fn linked(store: &Store, name: &EnquiryRef) -> Result<Vec<Linked>, StoreError> {
    let mut linked = Vec::new();
    for record in store.earlier(name)? {
        let cells = store.cells(&record.enquiry)?;
        let matrix: Matrix = cells
            .into_iter()
            .map(|(agency, person, cell)| ((agency, person), take::cell(&cell)))
            .collect();
        let level = matrix::level(&matrix, &record.earlier_person);
        let closed_at =
            Plan::of(&store.steps(&record.enquiry)?, &[]).closed.map(|closed| closed.at);
        let people: BTreeSet<_> = matrix.keys().map(|(_, person)| person).collect();
        linked.push(Linked { n_people: people.len(), record, level, closed_at });
    }
    Ok(linked)
}
