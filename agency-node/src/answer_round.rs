//! The round: confirm who is asked about, answer with a standing rating where there is a fresh one, and
//! ask an assessor otherwise. Nothing is answered before it is kept and recorded.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    audit::{
        LogError, Recordable, Recorded,
        entry::{Action, Digest, EntryDraft, Party},
    },
    enquiry::{Answer, PersonAnswer, RatePerson, RateQuery, RatedAnswer, Why},
    id::{EnquiryRef, PersonRef, RequestId},
    matching::{
        compare::{Confirmation, confirm},
        identity::{CanonicalIdentity, commit},
    },
    seal::Binding,
    statement::{Body, Rating, SignedStatement},
    time::Timestamp,
};

use crate::{
    analysis::Named,
    erasure::not_erased,
    guard::Refusal,
    node::Shared,
    standing::{Rateable, today},
    store::{
        Change,
        shapes::{EnquiryPerson, EnquiryRecord, Opened, Standing},
    },
};

/// What the node says of one person, and the entry that tells of it.
#[derive(Debug)]
pub struct Said {
    draft: EntryDraft,
    answer: PersonAnswer,
}

impl Recordable for Said {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// An answer that may leave: it is recorded, or it says that nothing can be recorded.
#[derive(Debug)]
pub struct Sayable(PersonAnswer);

impl Sayable {
    fn recorded(said: Recorded<Said>) -> Self {
        Self(said.into_inner().answer)
    }

    /// The only answer that needs no entry: the log can not take one (invariant 2).
    fn audit_unavailable(person: PersonRef) -> Self {
        Self(PersonAnswer { person, answer: Answer::Unable(Why::audit_unavailable()) })
    }

    /// The answer.
    #[must_use]
    pub const fn get(&self) -> &PersonAnswer {
        &self.0
    }
}

/// Answers a round by the hub, one answer for each person, in the order asked.
///
/// # Errors
/// When the request is stale, repeated or under another agreement.
pub async fn answer_round(shared: &Arc<Shared>, query: RateQuery) -> Result<Vec<Sayable>, Refusal> {
    shared.admit(&query.envelope)?;
    shared.under_agreement(&query.envelope)?;
    not_erased(shared, &query.enquiry)?;
    let people: Vec<PersonRef> = query.people.iter().map(|p| p.person.person.clone()).collect();
    let all_unable = || people.iter().cloned().map(Sayable::audit_unavailable).collect();
    if !shared.log.is_available() {
        return Ok(all_unable());
    }
    let weighing = Arc::clone(shared);
    let (change, said) =
        tokio::task::spawn_blocking(move || Round { shared: &weighing, query: &query }.answer())
            .await
            .map_err(|_| Refusal::Internal)??;
    shared.store.run(move |store| store.commit(change)).await?;
    match shared.log.record_all(said).await {
        Ok(recorded) => Ok(recorded.into_iter().map(Sayable::recorded).collect()),
        Err(LogError::Unavailable) => Ok(all_unable()),
        Err(error) => Err(error.into()),
    }
}

/// What the node has about a person who is asked about.
enum Found {
    /// An answer, without looking at a record.
    Answer(Answer),
    /// A record that may be theirs.
    Record {
        /// Its number.
        record: u64,
        /// The person, as asked about.
        identity: CanonicalIdentity,
        /// The person on record.
        own: CanonicalIdentity,
    },
}

struct Round<'a> {
    shared: &'a Shared,
    query: &'a RateQuery,
}

impl Round<'_> {
    fn answer(&self) -> Result<(Change, Vec<Said>), Refusal> {
        let mut change = Change::new();
        let query = self.query;
        change.enquiry(
            &query.enquiry,
            &EnquiryRecord {
                purpose: query.purpose.clone(),
                answer_by: query.answer_by,
                domestic_abuse: query.domestic_abuse,
                agreement: query.envelope.agreement,
                links: query
                    .links
                    .iter()
                    .map(|l| (l.from.clone(), l.to.clone(), l.kind.word().to_owned()))
                    .collect(),
            },
        )?;
        // Everybody first: a standing rating of one may not name another of the same round.
        let mut named = Named::in_enquiry(&self.shared.store, &query.enquiry)?;
        let mut found = Vec::with_capacity(query.people.len());
        for asked in &query.people {
            let one = self.find(asked)?;
            if let Found::Record { identity, own, .. } = &one {
                named.and(identity);
                named.and(own);
            }
            found.push(one);
        }
        let mut said = Vec::with_capacity(query.people.len());
        let mut knows_somebody = false;
        for (asked, found) in query.people.iter().zip(found) {
            let answer = self.answer_one(asked, found, &named, &mut change)?;
            knows_somebody |= !matches!(answer, Answer::NotKnown);
            said.push(self.said(asked, answer));
        }
        // Linked people are there for an assessor who knows somebody; a node that knows nobody keeps
        // nothing about anyone.
        if knows_somebody {
            self.keep_linked(&mut change)?;
        } else {
            change = Change::new();
        }
        Ok((change, said))
    }

    /// Who the person is here, or what was said about them before.
    fn find(&self, asked: &RatePerson) -> Result<Found, Refusal> {
        let Self { shared, query } = self;
        let person = &asked.person.person;
        let known = shared.store.person_in(&query.enquiry, person)?;
        // A person has decided; the identity that comes again is not opened again.
        if let Some(known) = &known
            && known.standing == Standing::Different
        {
            return Ok(Found::Answer(Answer::NotKnown));
        }
        // Asked again (the hub lost the answer): what was said is said again.
        if let Some(known) = known.filter(|known| known.opened.is_some()) {
            if known.commitment != asked.person.commitment {
                return Err(commitment_refused());
            }
            return self.said_before(person, &known).map(Found::Answer);
        }
        let identity = self.open_identity(asked)?;
        let Some(record) = shared.screened_record(&query.screen, &asked.handle) else {
            return Err(Refusal::NotFound("candidate; screen again"));
        };
        let Some(own) = shared.store.person(record)? else {
            return Ok(Found::Answer(Answer::NotKnown));
        };
        let own = CanonicalIdentity::decode(&own.identity).map_err(|_| Refusal::Internal)?;
        Ok(Found::Record { record, identity, own })
    }

    fn answer_one(
        &self,
        asked: &RatePerson,
        found: Found,
        named: &Named,
        change: &mut Change,
    ) -> Result<Answer, Refusal> {
        let Self { shared, query } = self;
        let (record, identity, own) = match found {
            Found::Answer(answer) => return Ok(answer),
            Found::Record { record, identity, own } => (record, identity, own),
        };
        let standing = match confirm(identity.identity(), own.identity()) {
            // Disclosed so that a person compares: no rule decides for them, and no standing rating answers.
            _ if asked.possible_match => Standing::IdentityReview,
            Confirmation::Different => return Ok(Answer::NotKnown),
            Confirmation::Unclear => Standing::IdentityReview,
            Confirmation::Same => Standing::ToRate,
        };
        let mut kept = EnquiryPerson {
            commitment: asked.person.commitment,
            role: asked.role,
            age_band: self.age_band(&identity),
            standing,
            opened: Some(Opened { identity: identity.bytes().to_vec(), record }),
            decisions: Vec::new(),
        };
        let answer = match standing {
            Standing::IdentityReview => Answer::IdentityReview,
            Standing::ToRate
            | Standing::Rated
            | Standing::Declined
            | Standing::Linked
            | Standing::Different => {
                let rateable = Rateable {
                    enquiry: &query.enquiry,
                    person: &asked.person,
                    domestic_abuse: query.domestic_abuse,
                };
                match rateable.standing_rating(shared, record, &identity, named)? {
                    Some((id, rated)) => {
                        kept.standing = Standing::Rated;
                        change.rating(&query.enquiry, &id, &rated)?;
                        Answer::Rated(rated)
                    }
                    None => Answer::Pending,
                }
            }
        };
        change.person_in(&query.enquiry, &asked.person.person, &kept)?;
        Ok(answer)
    }

    /// Opens the identity and checks that it is the one the commitment is to.
    fn open_identity(&self, asked: &RatePerson) -> Result<CanonicalIdentity, Refusal> {
        let binding = identity_binding(self.shared, &self.query.enquiry, asked);
        let opened = self
            .shared
            .sealing
            .open(&binding, &asked.sealed_identity)
            .map_err(|_| commitment_refused())?;
        let (salt, canonical) = opened.split_first_chunk::<32>().ok_or_else(commitment_refused)?;
        if commit(salt, canonical) != asked.person.commitment {
            return Err(commitment_refused());
        }
        CanonicalIdentity::decode(canonical).map_err(|_| commitment_refused())
    }

    fn said_before(&self, person: &PersonRef, known: &EnquiryPerson) -> Result<Answer, Refusal> {
        Ok(match known.standing {
            Standing::ToRate | Standing::Linked => Answer::Pending,
            Standing::IdentityReview => Answer::IdentityReview,
            Standing::Different => Answer::NotKnown,
            Standing::Declined => Answer::Declined(declined()),
            Standing::Rated => own_rating(self.shared, &self.query.enquiry, person)?
                .map_or(Answer::Pending, Answer::Rated),
        })
    }

    fn keep_linked(&self, change: &mut Change) -> Result<(), Refusal> {
        let Self { shared, query } = self;
        for linked in &query.linked {
            let person = &linked.person.person;
            let asked = query.people.iter().any(|asked| asked.person.person == *person);
            if asked || shared.store.person_in(&query.enquiry, person)?.is_some() {
                continue;
            }
            let kept = EnquiryPerson {
                commitment: linked.person.commitment,
                role: linked.role,
                age_band: linked.age_band.clone(),
                standing: Standing::Linked,
                opened: None,
                decisions: Vec::new(),
            };
            change.person_in(&query.enquiry, person, &kept)?;
        }
        Ok(())
    }

    fn age_band(&self, identity: &CanonicalIdentity) -> String {
        let today = today(self.shared.clock.now());
        identity.identity().age_band(today).word().to_owned()
    }

    fn said(&self, asked: &RatePerson, answer: Answer) -> Said {
        let mut draft = self.shared.draft(Action::RateAnswered);
        draft.enquiry = Some(self.query.enquiry.clone());
        draft.person = Some(asked.person.person.clone());
        draft.commitment = Some(asked.person.commitment);
        draft.exchange = Some(self.query.envelope.request_id.clone());
        draft.peer = Some(Party::Hub);
        draft.purpose = self.query.purpose.parse().ok();
        draft.decision = answer.word().parse().ok();
        if let Answer::Rated(rated) = &answer {
            draft.evidence = vec![Digest::of(&rated.signed.payload)];
        }
        Said { draft, answer: PersonAnswer { person: asked.person.person.clone(), answer } }
    }
}

/// The newest rating this node has signed of a person in an enquiry, with its analysis.
///
/// # Errors
/// When the store fails.
pub fn own_rating(
    shared: &Shared,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<Option<RatedAnswer>, Refusal> {
    let mut newest: Option<(Timestamp, RequestId, SignedStatement)> = None;
    for (id, rating, signed) in own_ratings(shared, enquiry)? {
        if rating.person.person == *person
            && newest.as_ref().is_none_or(|(at, _, _)| *at <= rating.rated_at)
        {
            newest = Some((rating.rated_at, id, signed));
        }
    }
    let Some((_, id, signed)) = newest else { return Ok(None) };
    let analysis = shared.store.analysis(enquiry, &id)?;
    Ok(analysis.map(|analysis| RatedAnswer { signed, analysis }))
}

/// Every rating this node has signed in an enquiry and has not withdrawn.
///
/// # Errors
/// When the store fails.
pub fn own_ratings(
    shared: &Shared,
    enquiry: &EnquiryRef,
) -> Result<Vec<(RequestId, Rating, SignedStatement)>, Refusal> {
    let mut ratings = Vec::new();
    let mut withdrawn = BTreeSet::new();
    for signed in shared.store.statements(enquiry)? {
        let Ok(statement) = signed.read_unverified() else { continue };
        if statement.signer != shared.config.agency {
            continue;
        }
        match statement.body {
            Body::Rating(rating) => ratings.push((statement.id, rating, signed)),
            Body::RatingWithdrawn { rating, .. } => _ = withdrawn.insert(rating),
            _ => {}
        }
    }
    ratings.retain(|(id, _, _)| !withdrawn.contains(id));
    Ok(ratings)
}

/// What an identity is sealed as: the same at the hub that seals and the node that opens.
#[must_use]
pub fn identity_binding(shared: &Shared, enquiry: &EnquiryRef, asked: &RatePerson) -> Binding {
    Binding::identity(&[
        shared.agreement.digest().as_bytes(),
        enquiry.as_str().as_bytes(),
        asked.person.person.as_str().as_bytes(),
        asked.person.commitment.as_bytes(),
        shared.config.agency.as_str().as_bytes(),
    ])
}

fn declined() -> Why {
    Why::parse("DECLINED").unwrap_or_else(Why::audit_unavailable)
}

fn commitment_refused() -> Refusal {
    Refusal::rule(
        "commitment_refused",
        "the identity does not open, or is not the one the commitment is to",
    )
}
