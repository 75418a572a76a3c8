//! News that the hub tells of an enquiry in which the agency has a part: that it is closed, who leads, that an agency answered
//! late, and the like. They are the hub's own word: nothing is opened, closed or decided by them, and they hold a reference at the
//! most. An agency that referred the family may be told without knowing anybody of it; then the reference is all that it keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use brag_common::{
    agreement::{Agreement, clock::in_words},
    audit::entry::{Action, EntryDraft, Party},
    durable::StoreError,
    id::{AgencyId, EnquiryRef, StaffName},
    news::{InformQuery, News, NewsKind},
};

use crate::{
    conflict::Links,
    erasure::not_erased,
    guard::Refusal,
    node::Shared,
    store::{Change, Store, shapes::NewsRecord},
};

/// The most news that are kept of one enquiry; beyond it the oldest are forgotten.
pub const MAX_OF_ENQUIRY: usize = 200;

/// The most enquiries of which nothing but news is kept: the hub alone says that there are such enquiries.
const MAX_UNKNOWN: usize = 10_000;

/// Keeps news that the hub tells. The same news again change nothing.
///
/// # Errors
/// When the call is stale, repeated or under another agreement, there are too many enquiries of which nothing else is known, or
/// nothing can be recorded.
pub async fn informed(shared: &Arc<Shared>, query: InformQuery) -> Result<(), Refusal> {
    let InformQuery { envelope, enquiry, news } = query;
    shared.admit(&envelope)?;
    shared.under_agreement(&envelope)?;
    not_erased(shared, &enquiry)?;
    let name = enquiry.clone();
    if !shared.store.run(move |store| has_room(store, &name)).await? {
        return Err(Refusal::rule(
            "too_many_news",
            "the node keeps news of too many enquiries of which it knows nothing else",
        ));
    }
    let draft = EntryDraft {
        enquiry: Some(enquiry.clone()),
        person: news.person().cloned(),
        exchange: Some(envelope.request_id),
        peer: Some(Party::Hub),
        decision: news.kind().word().parse().ok(),
        ..shared.draft(Action::NewsReceived)
    };
    shared.log.record(draft).await?;
    let record = NewsRecord { news, received_at: shared.clock.now() };
    Ok(shared.store.run(move |store| keep(store, &enquiry, &record)).await?)
}

/// Whether something more may be kept of an enquiry.
fn has_room(store: &Store, enquiry: &EnquiryRef) -> Result<bool, StoreError> {
    if store.enquiry(enquiry)?.is_some() {
        return Ok(true);
    }
    let told: BTreeSet<EnquiryRef> =
        store.news_places()?.into_iter().map(|(enquiry, _)| enquiry).collect();
    if told.contains(enquiry) || told.len() < MAX_UNKNOWN {
        return Ok(true);
    }
    let mut n_unknown = 0;
    for enquiry in &told {
        n_unknown += usize::from(store.enquiry(enquiry)?.is_none());
    }
    Ok(n_unknown < MAX_UNKNOWN)
}

fn keep(store: &Store, enquiry: &EnquiryRef, record: &NewsRecord) -> Result<(), StoreError> {
    let kept = store.news_places_of(enquiry)?;
    let known = format!("-{}", record.news.name());
    if kept.iter().any(|place| place.ends_with(&known)) {
        return Ok(());
    }
    let mut change = Change::new();
    let n_too_many = kept.len().saturating_add(1).saturating_sub(MAX_OF_ENQUIRY);
    for oldest in kept.iter().take(n_too_many) {
        change.forget_news(oldest);
    }
    change.news(enquiry, record)?;
    store.commit(change)
}

/// News for a member of staff, those that came last first, at most so many; nothing of a family that they are linked to.
///
/// # Errors
/// When the store fails.
pub async fn list(
    shared: &Arc<Shared>,
    who: &StaffName,
    limit: usize,
) -> Result<Vec<(EnquiryRef, NewsRecord)>, Refusal> {
    let links = Links::of(shared, who);
    let read = move |store: &Store| {
        let mut all = store.news()?;
        all.sort_by_key(|(_, record)| std::cmp::Reverse((record.received_at, record.news.at())));
        let mut linked: BTreeMap<EnquiryRef, bool> = BTreeMap::new();
        let mut listed = Vec::new();
        for (enquiry, record) in all {
            if listed.len() >= limit {
                break;
            }
            let is_linked = match linked.get(&enquiry) {
                Some(known) => *known,
                None => links.reach(store, &enquiry)?,
            };
            linked.insert(enquiry.clone(), is_linked);
            if !is_linked {
                listed.push((enquiry, record));
            }
        }
        Ok(listed)
    };
    Ok(shared.store.run(read).await?)
}

/// News in a sentence, for people: agencies by the names that the agreement gives them.
#[must_use]
pub fn sentence(agreement: &Agreement, enquiry: &EnquiryRef, news: &News) -> String {
    let (at, about) = (in_words(news.at()), news.about());
    let words = || about.replace('_', " ");
    let agency = || {
        let party = about.parse::<AgencyId>().ok().and_then(|id| agreement.party(&id));
        party.map_or_else(|| about.to_owned(), |party| party.name().to_owned())
    };
    let said = match news.kind() {
        NewsKind::Closed => format!("closed on {at}, outcome: {}", words()),
        NewsKind::LeadNamed => format!("{} leads since {at}", agency()),
        NewsKind::LateRating => {
            format!("{} answered on {at}, after the round had closed", agency())
        }
        NewsKind::ClockBreached => format!("the clock “{}” ran out on {at}", words()),
        NewsKind::ActionPlanned => {
            let person = news.person().map(|person| format!(" about {person}"));
            let person = person.unwrap_or_default();
            format!("since {at} your agency has action {about}{person} in the plan")
        }
        NewsKind::ConnectedPersonInOtherFamily => {
            format!("somebody of it is also in another enquiry since {at}; ask the co-ordinator")
        }
    };
    format!("Enquiry {enquiry}: {said}.")
}

#[cfg(test)]
mod tests;
