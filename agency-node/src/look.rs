//! What the agency's own staff are shown on pages: whom they are asked about, and what their own agency holds of them.
//!
//! Each look is recorded, with who looked and how much they were shown, before anything is given out. The calls of the desk show
//! an assessor whom to rate and leave them to look at the record in the agency's own system; here the record stands beside the
//! form. It is the agency's own data, shown to its own staff, and nothing of it leaves by a look.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, EntryDraft},
    durable::StoreError,
    id::{CategoryCode, EnquiryRef, PersonRef, RequestId, StaffName},
    news::NewsKind,
    rating::{Colour, Topic},
    release::{DetailPlace, OwnLook, OwnText, Withheld},
    statement::{Body, PersonRole},
    time::Timestamp,
};

use crate::{
    answer_round::own_rating,
    conflict::{self, Links},
    desk::{name_of, told_of},
    guard::{Refusal, SignedIn},
    node::Shared,
    store::{
        Store,
        shapes::{
            ChallengeRecord, EnquiryPerson, EnquiryRecord, EntryRecord, Standing, StandingRating,
        },
    },
};

mod release;

pub use release::{Release, Weighed, release};

/// How much a look shows; the word stands in the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Names of whoever waits, in a list.
    Names,
    /// One person: who they are, what the agency has said of them.
    Person,
    /// And what the agency holds of them.
    Record,
    /// What one request for detail would let go.
    Release,
}

impl Extent {
    const fn word(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Person => "person",
            Self::Record => "record",
            Self::Release => "release",
        }
    }
}

/// The entry of a look.
fn entry(shared: &Shared, who: &SignedIn, extent: Extent) -> EntryDraft {
    let mut draft = who.signs(shared.draft(Action::OwnRecordShown));
    draft.decision = extent.word().parse().ok();
    draft
}

/// Records that somebody is about to be shown the names of whoever waits.
///
/// # Errors
/// When it can not be recorded.
pub async fn at_names(shared: &Arc<Shared>, who: &SignedIn) -> Result<(), Refusal> {
    shared.log.record(entry(shared, who, Extent::Names)).await?;
    Ok(())
}

/// Somebody whom the agency was asked about, in a list.
#[derive(Debug)]
pub struct Listed {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// When its round closes.
    pub answer_by: Timestamp,
    /// The person.
    pub person: PersonRef,
    /// Their part, as the co-ordinator sees it.
    pub role: Option<PersonRole>,
    /// Where they stand.
    pub standing: Standing,
    /// Their name; empty for a linked person, and for somebody else's record.
    pub name: String,
}

/// Everybody whom the agency was asked about, the newest round first; nobody of a family that the asking member of staff is linked to.
///
/// # Errors
/// When the store fails, or the look can not be recorded.
pub async fn people(shared: &Arc<Shared>, who: &SignedIn) -> Result<Vec<Listed>, Refusal> {
    let links = Links::of(shared, who.name());
    let read = move |store: &Store| {
        let mut listed = Vec::new();
        for (enquiry, about) in store.enquiries()? {
            if links.reach(store, &enquiry)? {
                continue;
            }
            for (person, known) in store.people_in(&enquiry)? {
                listed.push(Listed {
                    enquiry: enquiry.clone(),
                    answer_by: about.answer_by,
                    person,
                    role: known.role,
                    standing: known.standing,
                    name: known.opened.map(|one| name_of(&one.identity)).unwrap_or_default(),
                });
            }
        }
        Ok(listed)
    };
    let mut listed = shared.store.run(read).await?;
    listed.sort_by(|a, b| {
        (b.answer_by, &a.enquiry, &a.person).cmp(&(a.answer_by, &b.enquiry, &b.person))
    });
    at_names(shared, who).await?;
    Ok(listed)
}

/// One person whom the agency was asked about.
#[derive(Debug)]
pub struct Person {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// What the node was told of it.
    pub about: EnquiryRecord,
    /// The person.
    pub person: PersonRef,
    /// What the node knows of them there.
    pub known: EnquiryPerson,
    /// Their name; empty when the agency was not told, or it was erased.
    pub name: String,
    /// The agency's own id for them; empty when it has no record.
    pub record_id: String,
    /// The agency's own record, canonical.
    pub own: Option<Vec<u8>>,
    /// The others of the enquiry, with their names where the agency was told.
    pub others: Vec<Other>,
    /// The agency's rating in this enquiry.
    pub rating: Option<Given>,
    /// What it has judged before, whoever asked.
    pub standing_rating: Option<StandingRating>,
    /// Whether that is recent enough for the agreement.
    pub standing_is_fresh: bool,
    /// Challenges that wait for an answer.
    pub challenges: Vec<(RequestId, ChallengeRecord)>,
    /// Actions of the plan that the hub has given the agency about this person, by their names in the plan.
    pub actions: Vec<String>,
    /// What the agency holds; empty for a look at the person alone.
    pub held: Vec<Held>,
}

/// Another person of the enquiry.
#[derive(Debug)]
pub struct Other {
    /// The person.
    pub person: PersonRef,
    /// Their name; empty when the agency was not told.
    pub name: String,
    /// Their part, as the co-ordinator sees it.
    pub role: Option<PersonRole>,
    /// Whether the agency has a record of them.
    pub has_record: bool,
}

/// A rating of the agency's own.
#[derive(Debug)]
pub struct Given {
    /// The colour.
    pub colour: Colour,
    /// The analysis.
    pub analysis: String,
    /// Its topics.
    pub topics: Vec<Topic>,
    /// When it was judged.
    pub rated_at: Timestamp,
    /// Whose judgement it is.
    pub rated_by: Option<StaffName>,
    /// The linked person it rests on.
    pub via: Option<PersonRef>,
}

/// What the agency holds in one category.
#[derive(Debug)]
pub struct Held {
    /// The category.
    pub category: CategoryCode,
    /// Its entries.
    pub entries: Vec<HeldEntry>,
}

/// One entry.
#[derive(Debug)]
pub struct HeldEntry {
    /// The text; `None` for one that the agency has restricted, which is read in its own system only.
    pub text: Option<OwnText>,
    /// It is also about somebody else.
    pub third_party: bool,
    /// It has a handling code, and the exchange does not carry it.
    pub handling_code: bool,
}

/// Looks at one person, as far as `extent` says. Recorded before anything is opened.
///
/// # Errors
/// When the node was not told of the person, whoever looks is linked to the family, or the look can not be recorded.
pub async fn person(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    extent: Extent,
) -> Result<Person, Refusal> {
    conflict::free(shared, who, &enquiry).await?;
    let (about, known) = told_of(shared, &enquiry, &person).await?;
    let mut draft = entry(shared, who, extent);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(person.clone());
    draft.commitment = Some(known.commitment);
    // Number 0 is nobody's: records are numbered from 1.
    let record = known.opened.as_ref().map_or(0, |opened| opened.record);
    let look = shared.log.record(OwnLook { record, entry: draft }).await?;
    let reading = Arc::clone(shared);
    let read = move || {
        let seen = read(&reading, enquiry, about, person, known)?;
        let (Extent::Record, Some(_)) = (extent, &seen.own) else { return Ok(seen) };
        let held = reading.store.entries_of(record)?.into_iter().map(|entries| {
            let place = DetailPlace { record, category: entries.0 };
            let open = |entry: EntryRecord| {
                let text = match entry.restricted {
                    true => None,
                    false => {
                        let withheld = Withheld::from_sealed(place, entry.withheld);
                        let text = withheld.show(reading.store.detail_key(), &look);
                        Some(text.map_err(|_| Refusal::Internal)?)
                    }
                };
                let EntryRecord { third_party, handling_code, .. } = entry;
                Ok(HeldEntry { text, third_party, handling_code })
            };
            let opened = entries.1.into_iter().map(open).collect::<Result<_, Refusal>>()?;
            Ok(Held { category: entries.0, entries: opened })
        });
        let held = held.collect::<Result<_, Refusal>>()?;
        Ok(Person { held, ..seen })
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::Internal)?
}

/// Everything but what is held.
fn read(
    shared: &Shared,
    enquiry: EnquiryRef,
    about: EnquiryRecord,
    person: PersonRef,
    known: EnquiryPerson,
) -> Result<Person, Refusal> {
    let store = &shared.store;
    let mut seen = Person {
        name: known.opened.as_ref().map(|one| name_of(&one.identity)).unwrap_or_default(),
        record_id: String::new(),
        own: None,
        others: others(store, &enquiry, &person)?,
        rating: given(shared, &enquiry, &person)?,
        standing_rating: None,
        standing_is_fresh: false,
        challenges: Vec::new(),
        actions: Vec::new(),
        held: Vec::new(),
        enquiry,
        about,
        person,
        known,
    };
    if let Some(opened) = &seen.known.opened {
        if let Some(record) = store.person(opened.record)? {
            seen.record_id = record.source_id;
            seen.own = Some(record.identity);
        }
        seen.standing_rating = store.standing_rating(opened.record)?;
    }
    let now = shared.clock.now();
    let age_max = shared.agreement.agreement().rating().standing_age_max;
    seen.standing_is_fresh = seen.standing_rating.as_ref().is_some_and(|standing| {
        standing.rated_at <= now && now.duration_since(standing.rated_at) <= age_max
    });
    let waiting = store.challenges_in(&seen.enquiry)?.into_iter();
    seen.challenges = waiting
        .filter(|(_, record)| record.person == seen.person && record.ended.is_none())
        .collect();
    let news = store.news_in(&seen.enquiry)?;
    let planned = news.iter().filter(|told| {
        told.news.kind() == NewsKind::ActionPlanned && told.news.person() == Some(&seen.person)
    });
    seen.actions = planned.map(|told| told.news.about().to_owned()).collect();
    Ok(seen)
}

fn others(
    store: &Store,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<Vec<Other>, StoreError> {
    let all = store.people_in(enquiry)?.into_iter().filter(|(other, _)| other != person);
    Ok(all
        .map(|(person, known)| Other {
            person,
            role: known.role,
            has_record: known.opened.is_some(),
            name: known.opened.map(|one| name_of(&one.identity)).unwrap_or_default(),
        })
        .collect())
}

fn given(
    shared: &Shared,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<Option<Given>, Refusal> {
    let Some(rated) = own_rating(shared, enquiry, person)? else { return Ok(None) };
    let statement = rated.signed.read_unverified().map_err(|_| Refusal::Internal)?;
    let Body::Rating(rating) = statement.body else { return Ok(None) };
    Ok(Some(Given {
        colour: rating.colour,
        analysis: rated.analysis.text,
        topics: rating.topics.into_iter().collect(),
        rated_at: rating.rated_at,
        rated_by: statement.made_by,
        via: rating.via.map(|via| via.person),
    }))
}

/// The name of somebody of an enquiry; empty when the agency was not told.
fn name_in(store: &Store, enquiry: &EnquiryRef, person: &PersonRef) -> Result<String, StoreError> {
    let known = store.person_in(enquiry, person)?;
    Ok(known.and_then(|known| known.opened).map(|one| name_of(&one.identity)).unwrap_or_default())
}
