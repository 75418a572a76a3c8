//! Challenges: an assessor asks another agency to look again at its rating, and answers when others ask. Also taking back a
//! rating of one's own. Nobody but the agency that gave a rating changes it.

use std::sync::Arc;

use brag_common::{
    agreement::Seen,
    audit::entry::{Action, Digest, Party},
    enquiry::Envelope,
    id::{AgencyId, EnquiryRef, PersonRef, RequestId, StaffName},
    rating::{Analysis, Colour, SaltedAnalysis},
    statement::{Body, Challenge, Kept, PersonIn, SignedStatement},
    wire::statement::reasoned,
};

use crate::{
    analysis::Named,
    answer_round::{own_rating, own_ratings},
    conflict::Links,
    desk::{Act, send, told_of},
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox,
    store::{
        Change, Store,
        shapes::{ChallengeEnd, ChallengeRecord, EnquiryPerson, Standing},
    },
};

/// The longest reason that stays at the node, in characters.
const MAX_REASON_CHARS: usize = 600;

/// A challenge that waits, with the colour that the agency gives the person now.
#[derive(Debug)]
pub struct Waiting {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The challenge, by its statement's name.
    pub id: RequestId,
    /// What was challenged, by whom, and why.
    pub record: ChallengeRecord,
    /// The colour now; `None` when the rating was withdrawn meanwhile.
    pub colour: Option<Colour>,
}

/// Keeps a challenge that the hub passes on. The same challenge twice is kept once.
///
/// # Errors
/// When it is stale or repeated, another party did not sign it for this agency, or nothing can be recorded.
pub async fn receive(
    shared: &Arc<Shared>,
    envelope: &Envelope,
    signed: SignedStatement,
    reason: SaltedAnalysis,
) -> Result<(), Refusal> {
    shared.admit(envelope)?;
    shared.under_agreement(envelope)?;
    let claimed = signed.read_unverified().map_err(|_| not_a_challenge())?;
    let statement = shared
        .agreement
        .believe(&signed, &shared.realm, &claimed.enquiry, Seen::New)
        .map_err(|_| not_a_challenge())?;
    let Body::RatingChallenged(challenge) = statement.body else { return Err(not_a_challenge()) };
    let own = &shared.config.agency;
    if challenge.of != *own
        || statement.signer == *own
        || reason.digest() != challenge.reason_digest
    {
        return Err(not_a_challenge());
    }
    let terms = shared.agreement.agreement().rating();
    Analysis::parse(&reason.text, terms.analysis).map_err(|_| not_a_challenge())?;
    let _alone = shared.at_desk.lock().await;
    let (_, known) = told_of(shared, &statement.enquiry, &challenge.person.person).await?;
    if known.commitment != challenge.person.commitment {
        return Err(not_a_challenge());
    }
    let mut draft = shared.draft(Action::RatingChallenged);
    draft.enquiry = Some(statement.enquiry.clone());
    draft.person = Some(challenge.person.person.clone());
    draft.exchange = Some(envelope.request_id.clone());
    draft.peer = Some(Party::Hub);
    draft.evidence = vec![Digest::of(&signed.payload)];
    shared.log.record(draft).await?;
    let (enquiry, id) = (statement.enquiry.clone(), statement.id.clone());
    if shared.store.run(move |store| store.challenge(&enquiry, &id)).await?.is_some() {
        return Ok(());
    }
    let record = ChallengeRecord {
        by: statement.signer,
        made_by: statement.made_by,
        made_at: statement.made_at,
        person: challenge.person.person,
        reason: reason.text,
        signed,
        ended: None,
    };
    let mut change = Change::new();
    change.challenge(&statement.enquiry, &statement.id, &record)?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

fn not_a_challenge() -> Refusal {
    Refusal::rule(
        "not_a_challenge",
        "another party has not signed this challenge of a rating of this agency's",
    )
}

/// Challenges that wait for an answer, oldest first; none about a family that the asking member of staff is linked to.
///
/// # Errors
/// When the store fails.
pub async fn waiting(shared: &Arc<Shared>, who: &StaffName) -> Result<Vec<Waiting>, Refusal> {
    let reading = Arc::clone(shared);
    let links = Links::of(shared, who);
    let read = move || {
        let mut waiting = Vec::new();
        for (enquiry, id, record) in reading.store.challenges()? {
            if record.ended.is_some() || links.reach(&reading.store, &enquiry)? {
                continue;
            }
            let rating = own_rating(&reading, &enquiry, &record.person)?;
            let colour = rating.and_then(|rated| match rated.signed.read_unverified().ok()?.body {
                Body::Rating(rating) => Some(rating.colour),
                _ => None,
            });
            waiting.push(Waiting { enquiry, id, record, colour });
        }
        waiting.sort_by_key(|waiting| waiting.record.made_at);
        Ok(waiting)
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::Internal)?
}

/// Signs a challenge of another agency's rating. It goes to the hub, which passes it on.
///
/// # Errors
/// When the node was not told of the person, the agency is no other party, the reason is not within the agreement, or
/// nothing can be recorded.
pub async fn challenge(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    of: AgencyId,
    reason: &str,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let other = of != shared.config.agency;
    if !other || shared.agreement.agreement().party(&of).is_none() {
        return Err(Refusal::rule(
            "not_another_party",
            "name another party to the agreement; a rating of your own you change by rating again",
        ));
    }
    let reason = reason_of(shared, &enquiry, reason).await?;
    let (_, known) = told_of(shared, &enquiry, &person).await?;
    let body = Body::RatingChallenged(Challenge {
        person: PersonIn { person: person.clone(), commitment: known.commitment },
        of,
        reason_digest: reason.digest(),
    });
    let action = Action::RatingChallenged;
    let act = Act { enquiry: &enquiry, person: Some(&person), action, body };
    state(shared, who, act, &reason, Change::new()).await
}

/// Answers a challenge: the rating stays.
///
/// # Errors
/// When there is no such challenge that waits, no rating to keep, the reason is not within the agreement, or nothing can
/// be recorded.
pub async fn keep(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    challenge: RequestId,
    reason: &str,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let reason = reason_of(shared, &enquiry, reason).await?;
    let _alone = shared.at_desk.lock().await;
    let (name, id) = (enquiry.clone(), challenge.clone());
    let record = shared.store.run(move |store| store.challenge(&name, &id)).await?;
    let mut record = record.ok_or(Refusal::NotFound("challenge of this agency's rating"))?;
    if record.ended.is_some() {
        return Err(Refusal::rule("challenge_answered", "this challenge was answered before"));
    }
    let person = record.person.clone();
    let (_, known) = told_of(shared, &enquiry, &person).await?;
    let rating = newest(shared, &enquiry, &person).await?.ok_or_else(no_rating)?;
    let body = Body::RatingKept(Kept {
        person: PersonIn { person: person.clone(), commitment: known.commitment },
        challenge: challenge.clone(),
        rating,
        reason_digest: reason.digest(),
    });
    record.ended = Some(ChallengeEnd::Kept);
    let mut change = Change::new();
    change.challenge(&enquiry, &challenge, &record)?;
    let action = Action::RatingKept;
    let act = Act { enquiry: &enquiry, person: Some(&person), action, body };
    state(shared, who, act, &reason, change).await
}

/// Takes back the agency's newest rating of a person whom it knows. The earlier one counts again, where there is one;
/// otherwise the person waits for a rating.
///
/// # Errors
/// When there is no rating, the reason is missing, or nothing can be recorded.
pub async fn withdraw(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    reason: &str,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    if !(1..=MAX_REASON_CHARS).contains(&reason.trim().chars().count()) {
        return Err(Refusal::rule("reason_missing", "give a reason of 1 to 600 characters"));
    }
    let _alone = shared.at_desk.lock().await;
    let (_, known) = told_of(shared, &enquiry, &person).await?;
    let rating = newest(shared, &enquiry, &person).await?.ok_or_else(no_rating)?;
    let body = Body::RatingWithdrawn {
        person: PersonIn { person: person.clone(), commitment: known.commitment },
        rating: rating.clone(),
        still_known: true,
    };
    let mut change = Change::new();
    let action = Action::RatingWithdrawn;
    let act = Act { enquiry: &enquiry, person: Some(&person), action, body };
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    let (reading, name, about) = (Arc::clone(shared), enquiry.clone(), person.clone());
    let left = tokio::task::spawn_blocking(move || own_ratings(&reading, &name));
    let left = left.await.map_err(|_| Refusal::Internal)??;
    let left = left.iter().any(|(id, given, _)| *id != rating && given.person.person == about);
    let standing = match (left, known.opened.is_some()) {
        (true, _) => Standing::Rated,
        (false, true) => Standing::ToRate,
        (false, false) => Standing::Linked,
    };
    change.person_in(&enquiry, &person, &EnquiryPerson { standing, ..known })?;
    // Kept beside the statement, as the analysis of a rating is; it is not sent.
    let kept = SaltedAnalysis::new(reason.trim()).map_err(|_| Refusal::Internal)?;
    change.words_of(&enquiry, &id, &kept)?;
    end_by_change(shared, &enquiry, &person, &mut change).await?;
    outbox::put_fact(shared, &id, &enquiry, &signed, &mut change);
    send(shared, change).await?;
    Ok(id)
}

/// A rating that is given or withdrawn answers every challenge of the one before.
///
/// # Errors
/// When the store fails.
pub async fn end_by_change(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    person: &PersonRef,
    change: &mut Change,
) -> Result<(), Refusal> {
    let name = enquiry.clone();
    let read = move |store: &Store| store.challenges_in(&name);
    for (id, record) in shared.store.run(read).await? {
        if record.person == *person && record.ended.is_none() {
            let ended = ChallengeRecord { ended: Some(ChallengeEnd::Changed), ..record };
            change.challenge(enquiry, &id, &ended)?;
        }
    }
    Ok(())
}

/// Signs and records a statement with its reason, and puts both out for delivery.
async fn state(
    shared: &Arc<Shared>,
    who: &SignedIn,
    act: Act<'_>,
    reason: &SaltedAnalysis,
    mut change: Change,
) -> Result<RequestId, Refusal> {
    let enquiry = act.enquiry;
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    change.words_of(enquiry, &id, reason)?;
    outbox::put_reasoned(shared, &id, enquiry, reasoned(&signed, reason), &mut change);
    send(shared, change).await?;
    Ok(id)
}

/// A reason that others read: within the agreement's bounds for an analysis.
async fn reason_of(
    shared: &Shared,
    enquiry: &EnquiryRef,
    reason: &str,
) -> Result<SaltedAnalysis, Refusal> {
    let bounds = shared.agreement.agreement().rating().analysis;
    let name = enquiry.clone();
    // It travels as an analysis does, and may say as little.
    let named = shared.store.run(move |store| Named::in_enquiry(store, &name)).await?;
    let reason = named
        .analysis(reason, bounds)
        .map_err(|words| Refusal::rule("reason_not_accepted", words))?;
    SaltedAnalysis::new(reason.as_str()).map_err(|_| Refusal::Internal)
}

/// The name of the newest rating that counts.
async fn newest(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    person: &PersonRef,
) -> Result<Option<RequestId>, Refusal> {
    let (reading, enquiry, person) = (Arc::clone(shared), enquiry.clone(), person.clone());
    let read = move || {
        let rated = own_rating(&reading, &enquiry, &person)?;
        Ok(rated.and_then(|rated| rated.signed.read_unverified().ok()).map(|given| given.id))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::Internal)?
}

fn no_rating() -> Refusal {
    Refusal::rule("no_rating", "the agency gives this person no rating now")
}
