//! The work of the agency's people: what waits, colours, links, thresholds, approvals. Every act carries the
//! person who made it, is signed by the agency, recorded, and put out for delivery to the hub.

use std::sync::Arc;

use brag_common::{
    agreement::{LinkKind, PartyType},
    audit::{
        Recordable,
        entry::{Action, Digest, EntryDraft, Party},
    },
    enquiry::{Answer, PersonAnswer, RatedAnswer, Why},
    id::{EnquiryRef, PersonRef, RequestId, StaffName},
    matching::identity::CanonicalIdentity,
    rating::{Colour, SaltedAnalysis, Topic},
    reason::Reason,
    secret::random_bytes,
    statement::{
        Assertion, Body, PersonIn, PersonRole, Rating, SignedStatement, Statement, Threshold,
    },
    wire,
};

use crate::{
    analysis::Named,
    challenge,
    conflict::Links,
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox,
    standing::is_child,
    store::{
        Change,
        shapes::{EnquiryPerson, EnquiryRecord, Standing},
    },
};

/// A person who waits for a rating.
#[derive(Debug)]
pub struct ToRate {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// What the node was told of it.
    pub about: EnquiryRecord,
    /// The person.
    pub person: PersonRef,
    /// What the node knows of them there.
    pub known: EnquiryPerson,
    /// Their name in the enquiry; empty for a linked person.
    pub name: String,
    /// The agency's own id for them; empty for a linked person.
    pub record_id: String,
    /// The agency's own record, canonical, where a person has to compare; `None` otherwise.
    pub own: Option<Vec<u8>>,
}

/// People to rate, the soonest to close first, without enquiries about a family that the asking member of staff is linked to.
///
/// # Errors
/// When the store fails.
pub async fn to_rate(shared: &Arc<Shared>, who: &StaffName) -> Result<Vec<ToRate>, Refusal> {
    let links = Links::of(shared, who);
    let mut ratings = shared
        .store
        .run(move |store| {
            let mut ratings = Vec::new();
            for (enquiry, about) in store.enquiries()? {
                if links.reach(store, &enquiry)? {
                    continue;
                }
                for (person, known) in store.people_in(&enquiry)? {
                    if matches!(
                        known.standing,
                        Standing::Rated | Standing::Declined | Standing::Different
                    ) {
                        continue;
                    }
                    let (mut name, mut record_id, mut own) = Default::default();
                    if let Some(opened) = &known.opened {
                        name = name_of(&opened.identity);
                        if let Some(record) = store.person(opened.record)? {
                            record_id = record.source_id;
                            let compare = known.standing == Standing::IdentityReview;
                            own = compare.then_some(record.identity);
                        }
                    }
                    let (enquiry, about) = (enquiry.clone(), about.clone());
                    let work = ToRate { enquiry, about, person, known, name, record_id, own };
                    ratings.push(work);
                }
            }
            Ok(ratings)
        })
        .await?;
    ratings.sort_by(|a, b| (a.about.answer_by, &a.person).cmp(&(b.about.answer_by, &b.person)));
    Ok(ratings)
}

pub(crate) fn name_of(canonical: &[u8]) -> String {
    CanonicalIdentity::decode(canonical)
        .ok()
        .and_then(|identity| Some(identity.identity().current_name()?.full()))
        .unwrap_or_default()
}

/// A colour as an assessor gives it.
#[derive(Debug)]
pub struct Judgement {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The person.
    pub person: PersonRef,
    /// The colour.
    pub colour: Colour,
    /// The analysis, not yet checked.
    pub analysis: String,
    /// Its topics.
    pub topics: Vec<Topic>,
    /// The linked person it rests on; `None`: the agency's own record of the person.
    pub via: Option<PersonRef>,
}

/// Signs a rating, records it, and puts it out for delivery.
///
/// # Errors
/// When the node was not told of the person, the colour or the analysis is not allowed, or nothing can be
/// recorded.
pub async fn rate(
    shared: &Arc<Shared>,
    who: &SignedIn,
    judgement: Judgement,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let Judgement { enquiry, person, colour, analysis, topics, via } = judgement;
    let _alone = shared.at_desk.lock().await;
    let (about, known) = settled(shared, &enquiry, &person).await?;
    let terms = shared.agreement.agreement().rating();
    if colour == Colour::Blue && about.domestic_abuse && terms.forbid_blue_with_domestic_abuse {
        let reason = Reason::BlueNotPermittedDa;
        if known.standing == Standing::ToRate {
            unable(shared, who, &enquiry, person, reason).await?;
        }
        return Err(Refusal::rule(reason.code(), reason.text()));
    }
    let name = enquiry.clone();
    let named = shared.store.run(move |store| Named::in_enquiry(store, &name)).await?;
    let analysis = named
        .analysis(&analysis, terms.analysis)
        .map_err(|words| Refusal::rule("analysis_not_accepted", words))?;
    let analysis = SaltedAnalysis::new(analysis.as_str()).map_err(|_| Refusal::Internal)?;
    let now = shared.clock.now();
    let (via, subject_is_child) = match (&via, &known.opened) {
        (None, Some(opened)) => {
            let identity =
                CanonicalIdentity::decode(&opened.identity).map_err(|_| Refusal::Internal)?;
            (None, is_child(&identity, now))
        }
        (None, None) => {
            return Err(Refusal::rule(
                "via_needed",
                "the agency has no record of this person; name the linked person whose record the \
                 rating rests on",
            ));
        }
        (Some(via), _) => {
            let (_, through) = settled(shared, &enquiry, via).await?;
            let linked = about.links.iter().any(|(from, to, _)| {
                (from == via && *to == person) || (*from == person && to == via)
            });
            if through.opened.is_none() || !linked {
                return Err(Refusal::rule(
                    "via_not_linked",
                    "the agency has no record of the person named, or the two are not linked",
                ));
            }
            (Some(PersonIn { person: via.clone(), commitment: through.commitment }), false)
        }
    };
    let body = Body::Rating(Rating {
        person: PersonIn { person: person.clone(), commitment: known.commitment },
        colour,
        analysis_digest: analysis.digest(),
        topics: topics.into_iter().collect(),
        rated_at: now,
        via,
        subject_is_child,
    });
    let act = Act { enquiry: &enquiry, person: Some(&person), action: Action::RatingGiven, body };
    let mut change = Change::new();
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    change.person_in(&enquiry, &person, &EnquiryPerson { standing: Standing::Rated, ..known })?;
    let rated = RatedAnswer { signed, analysis };
    change.rating(&enquiry, &id, &rated)?;
    challenge::end_by_change(shared, &enquiry, &person, &mut change).await?;
    let answer = PersonAnswer { person, answer: Answer::Rated(rated) };
    // A statement's name serves as that of its delivery.
    outbox::put_answer(shared, &id, &enquiry, &answer, &mut change);
    send(shared, change).await?;
    Ok(id)
}

/// Tells the hub why a person still has no rating of this agency's although somebody wanted to give one: the rule that refused it.
/// The person stays on the worklist, and the rating that is given then takes its place.
async fn unable(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: &EnquiryRef,
    person: PersonRef,
    reason: Reason,
) -> Result<(), Refusal> {
    let answer = Answer::Unable(Why::parse(reason.code()).ok_or(Refusal::Internal)?);
    let mut draft = by(shared, Action::RatingGiven, who);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(person.clone());
    draft.decision = answer.word().parse().ok();
    draft.reason = Some(reason);
    let exchange = outbox::new_exchange()?;
    draft.exchange = Some(exchange.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    outbox::put_answer(shared, &exchange, enquiry, &PersonAnswer { person, answer }, &mut change);
    send(shared, change).await
}

/// Declines to rate, for a reason that the hub is told as a word.
///
/// # Errors
/// When the node was not told of the person, or nothing can be recorded.
pub async fn decline(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    why: Why,
) -> Result<(), Refusal> {
    let _alone = shared.at_desk.lock().await;
    let (_, known) = settled(shared, &enquiry, &person).await?;
    let mut draft = by(shared, Action::RatingGiven, who);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(person.clone());
    draft.decision = "declined".parse().ok();
    let exchange = outbox::new_exchange()?;
    draft.exchange = Some(exchange.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.person_in(
        &enquiry,
        &person,
        &EnquiryPerson { standing: Standing::Declined, ..known },
    )?;
    let answer = PersonAnswer { person, answer: Answer::Declined(why) };
    outbox::put_answer(shared, &exchange, &enquiry, &answer, &mut change);
    send(shared, change).await
}

/// Signs a link between two people whose commitments the node has opened.
///
/// # Errors
/// When it has not opened both, or nothing can be recorded.
pub async fn confirm_link(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    from: PersonRef,
    to: PersonRef,
    kind: LinkKind,
) -> Result<RequestId, Refusal> {
    let from = opened(shared, &enquiry, from).await?;
    let to = opened(shared, &enquiry, to).await?;
    let person = from.person.clone();
    let body = Body::Link { from, to, kind };
    let action = Action::LinkConfirmed;
    state(shared, who, Act { enquiry: &enquiry, person: Some(&person), action, body }).await
}

/// Signs which part a person has, whose commitment the node has opened. Agencies may differ, each from its own record.
///
/// # Errors
/// When it has not opened it, or nothing can be recorded.
pub async fn state_role(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    role: PersonRole,
) -> Result<RequestId, Refusal> {
    let named = opened(shared, &enquiry, person).await?;
    let person = named.person.clone();
    let body = Body::Role { person: named, role };
    let action = Action::LinkConfirmed;
    state(shared, who, Act { enquiry: &enquiry, person: Some(&person), action, body }).await
}

/// Signs a threshold that this kind of agency may state, about people the node was told of.
///
/// # Errors
/// When the agency may not state it, the node was not told of somebody, or nothing can be recorded.
pub async fn assert(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    threshold: Threshold,
    people: Vec<PersonRef>,
) -> Result<RequestId, Refusal> {
    let kind = shared.agreement.agreement().party(&shared.config.agency).map(|p| p.kind());
    let allowed: &[PartyType] = match threshold {
        Threshold::Section47 => &[PartyType::ChildrensSocialCare],
        Threshold::Marac(_) => {
            &[PartyType::Police, PartyType::DomesticAbuseService, PartyType::Marac]
        }
        Threshold::CareAct42 => &[PartyType::AdultSocialCare],
    };
    if !kind.is_some_and(|kind| allowed.contains(&kind)) {
        return Err(Refusal::rule(
            "assertion_not_permitted",
            "the agreement does not let this kind of agency state this",
        ));
    }
    if people.is_empty() || people.len() > wire::MAX_PEOPLE {
        return Err(Refusal::rule("people_missing", "name 1 to 24 people"));
    }
    let mut scope = Vec::with_capacity(people.len());
    for person in people {
        let (_, known) = settled(shared, &enquiry, &person).await?;
        scope.push(PersonIn { person, commitment: known.commitment });
    }
    let body = Body::Assertion(Assertion { threshold, people: scope });
    let action = Action::AssertionMade;
    state(shared, who, Act { enquiry: &enquiry, person: None, action, body }).await
}

/// Signs a fact, records it, and puts it out for delivery.
pub(crate) async fn state(
    shared: &Arc<Shared>,
    who: &SignedIn,
    act: Act<'_>,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let enquiry = act.enquiry;
    let mut change = Change::new();
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    outbox::put_fact(shared, &id, enquiry, &signed, &mut change);
    send(shared, change).await?;
    Ok(id)
}

/// Something that a member of staff states.
pub(crate) struct Act<'a> {
    pub(crate) enquiry: &'a EnquiryRef,
    pub(crate) person: Option<&'a PersonRef>,
    pub(crate) action: Action,
    pub(crate) body: Body,
}

impl Act<'_> {
    /// Signs the statement and records it; the change keeps it.
    pub(crate) async fn sign_and_record(
        self,
        shared: &Arc<Shared>,
        who: &SignedIn,
        change: &mut Change,
    ) -> Result<(RequestId, SignedStatement), Refusal> {
        // One version for all of it: another may take over at any moment.
        let version = shared.agreement.versions().current();
        let statement = Statement {
            id: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
            signer: shared.config.agency.clone(),
            agreement: version.agreement.digest(),
            enquiry: self.enquiry.clone(),
            made_at: shared.clock.now(),
            made_by: Some(who.name().clone()),
            body: self.body,
        };
        let signed = SignedStatement::sign(&statement, &version.realm, &version.keys.statements);
        let mut draft = by(shared, self.action, who);
        draft.enquiry = Some(self.enquiry.clone());
        draft.person = self.person.cloned();
        draft.exchange = Some(statement.id.clone());
        draft.evidence = vec![Digest::of(&signed.payload)];
        let recorded = shared.log.record(Stated { draft, signed }).await?.into_inner();
        change.statement(self.enquiry, &statement.id, &recorded.signed)?;
        Ok((statement.id, recorded.signed))
    }
}

/// A statement and the entry that tells of it.
struct Stated {
    draft: EntryDraft,
    signed: SignedStatement,
}

impl Recordable for Stated {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

pub(crate) fn by(shared: &Shared, action: Action, who: &SignedIn) -> EntryDraft {
    let mut draft = shared.draft(action);
    draft.peer = Some(Party::Hub);
    who.signs(draft)
}

pub(crate) async fn send(shared: &Arc<Shared>, change: Change) -> Result<(), Refusal> {
    shared.store.run(move |store| store.commit(change)).await?;
    shared.outbox.notify_one();
    Ok(())
}

/// As [`told_of`], for acts that need to know who the person is: refused while a person has still to compare.
pub(crate) async fn settled(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<(EnquiryRecord, EnquiryPerson), Refusal> {
    let (about, known) = told_of(shared, enquiry, person).await?;
    if known.standing == Standing::IdentityReview {
        return Err(Refusal::rule(
            "identity_not_decided",
            "decide first whether the agency's record is this person",
        ));
    }
    Ok((about, known))
}

pub(crate) async fn told_of(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<(EnquiryRecord, EnquiryPerson), Refusal> {
    let (enquiry, person) = (enquiry.clone(), person.clone());
    let found = shared
        .store
        .run(move |store| Ok((store.enquiry(&enquiry)?, store.person_in(&enquiry, &person)?)))
        .await?;
    match found {
        (Some(about), Some(known)) => Ok((about, known)),
        _ => Err(Refusal::NotFound("person in an enquiry that this node was asked about")),
    }
}

pub(crate) async fn opened(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    person: PersonRef,
) -> Result<PersonIn, Refusal> {
    let (_, known) = settled(shared, enquiry, &person).await?;
    if known.opened.is_none() {
        return Err(Refusal::rule(
            "commitment_not_opened",
            "the agency has no record of one of the two, so it can not vouch for it",
        ));
    }
    Ok(PersonIn { person, commitment: known.commitment })
}
