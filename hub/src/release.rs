//! Requests for detail: the hub gathers the signed evidence and asks the holder, who decides. The hub never
//! sees detail; what passes through it is sealed to the recipient, and it keeps none of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use brag_common::{
    agreement::LawfulBasis,
    alert::Alert,
    audit::{
        LogError,
        entry::{Action, EntryDraft, Party, Word},
    },
    enquiry::ReleaseQuery,
    id::{AgencyId, CategoryCode, EnquiryRef, PersonRef, ReleaseRef},
    reason::Reason,
    release::BasisWords,
    secret::random_bytes,
    statement::{Body, DecidedOutcome, ReleaseDecision, SignedStatement},
    tls::with_deadline,
    wire::pb,
    witness::layer::WitnessedChannel,
};

use crate::{
    enquiry,
    guard::{Refusal, SignedIn},
    hub::Shared,
    notify,
    round::{self, client, in_enquiry},
    store::{
        Change,
        shapes::{OutcomeRecord, ReleaseRecord, TraceRecord},
    },
    take::verify,
    view::{self, Whole},
    withdraw::withdrawn,
};

/// What a co-ordinator asks for.
#[derive(Debug)]
pub struct Wanted {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The agency that holds it.
    pub holder: AgencyId,
    /// About whom.
    pub person: PersonRef,
    /// The category.
    pub category: CategoryCode,
    /// For whom.
    pub recipients: Vec<AgencyId>,
    /// On what basis.
    pub basis: LawfulBasis,
    /// What for; empty: the enquiry's own purpose.
    pub purpose: String,
}

/// Asks the holder, keeps what it decided, and tells those who watch.
///
/// # Errors
/// When there is no such enquiry or holder, or nothing can be recorded.
pub async fn request(
    shared: &Arc<Shared>,
    who: &SignedIn,
    wanted: Wanted,
) -> Result<Vec<pb::ReleaseView>, Refusal> {
    shared.in_force()?;
    let channel = shared.to_node(&wanted.holder);
    let channel = channel.ok_or(Refusal::NotFound("holder among the parties"))?;
    let whole = enquiry::whole(shared, &wanted.enquiry).await?;
    let within = shared.config.fan_out.call_within.get();
    let release = random_bytes().map(ReleaseRef::from_random).map_err(|_| Refusal::Internal)?;
    let purpose = match wanted.purpose.as_str() {
        "" => whole.record.purpose.clone(),
        purpose => purpose.to_owned(),
    };
    let query = ReleaseQuery {
        envelope: round::envelope(shared, within)?,
        release: release.clone(),
        enquiry: wanted.enquiry.clone(),
        people: whole.record.people.iter().map(in_enquiry).collect(),
        subject: wanted.person.clone(),
        category: wanted.category,
        recipients: wanted.recipients.clone(),
        purpose,
        basis: wanted.basis.clone(),
        requested_by: who.name().clone(),
        evidence: current_evidence(&whole),
    };
    let mut draft = asked(shared, &query, Action::ReleaseAsked, &wanted.holder);
    draft.recipients = wanted.recipients.iter().cloned().map(Party::Agency).collect();
    shared.log.record(who.signs(draft)).await?;

    let now = shared.clock.now();
    let unanswered = |recipient: &AgencyId| ReleaseRecord {
        holder: wanted.holder.clone(),
        person: wanted.person.clone(),
        category: wanted.category.to_string(),
        recipient: recipient.clone(),
        asked_by: who.name().clone(),
        asked_at: now,
        outcome: OutcomeRecord::NoResponse,
        trace: Vec::new(),
        would_be_released_if: Vec::new(),
        contact_route: String::new(),
        retraction: None,
    };
    let mut records: Vec<ReleaseRecord> = wanted.recipients.iter().map(unanswered).collect();
    // Kept before the holder is asked: the outcome of a review may come before the answer to this call.
    keep(shared, &wanted.enquiry, &release, &records).await?;
    match ask(channel, &query, within).await {
        Asked::Answered(response) => {
            take_decisions(shared, &query, &wanted.holder, response, &mut records);
        }
        Asked::LogUnavailable => {
            let refused = OutcomeRecord::Deny(Reason::LogUnavailable);
            records.iter_mut().for_each(|record| record.outcome = refused.clone());
        }
        Asked::NoResponse => {}
    }
    alert(shared, who, &query, &wanted.holder, &records).await?;
    let views = settle(shared, &query, &wanted.holder, records).await?;
    notify::tell_what_it_was_not_shown(shared, &query, &wanted.holder).await?;
    Ok(views)
}

/// Raises what a holder's refusal says about whoever asked, once for each kind. For forged evidence that is this hub itself, and its
/// information governance hears it from here as well as from the holder.
async fn alert(
    shared: &Shared,
    who: &SignedIn,
    query: &ReleaseQuery,
    holder: &AgencyId,
    records: &[ReleaseRecord],
) -> Result<(), Refusal> {
    let alerts: BTreeSet<(Alert, Reason)> = records
        .iter()
        .filter_map(|record| match record.outcome {
            OutcomeRecord::Deny(reason) => Some((Alert::of(reason)?, reason)),
            OutcomeRecord::NoResponse
            | OutcomeRecord::Release { .. }
            | OutcomeRecord::Review { .. } => None,
        })
        .collect();
    for (alert, reason) in alerts {
        let mut draft = asked(shared, query, Action::AlertRaised, holder);
        draft.reason = Some(reason);
        shared.log.record(who.signs(shared.alerts.raise(alert, draft))).await?;
    }
    Ok(())
}

/// The newest rating of every agency about every person, and every other fact. Ratings that were replaced
/// prove nothing, and the request has a size.
fn current_evidence(whole: &Whole) -> Vec<SignedStatement> {
    let mut ratings = BTreeMap::new();
    let mut evidence = Vec::new();
    let withdrawn = withdrawn(&whole.statements);
    for kept in &whole.statements {
        let Ok(statement) = kept.signed.read_unverified() else { continue };
        if withdrawn.contains(&(statement.signer.clone(), statement.id.clone())) {
            continue;
        }
        match statement.body {
            Body::Rating(rating) => {
                let key = (statement.signer, rating.person.person);
                let newer = ratings.get(&key).is_none_or(|(at, _)| *at <= rating.rated_at);
                if newer {
                    ratings.insert(key, (rating.rated_at, kept.signed.clone()));
                }
            }
            // Outcomes, and words about ratings: they open nothing.
            Body::Release(_) | Body::RatingChallenged(_) | Body::RatingKept(_) | Body::Retraction(_) | Body::Acknowledgement(_) => {}
            Body::Link { .. }
            | Body::Role { .. }
            | Body::Assertion(_)
            | Body::Consent(_)
            | Body::Action { .. }
            // Every holder has to see it, so that the rating can not be shown to it alone.
            | Body::RatingWithdrawn { .. } => evidence.push(kept.signed.clone()),
        }
    }
    evidence.extend(ratings.into_values().map(|(_, signed)| signed));
    evidence
}

/// What came of asking a holder.
enum Asked {
    /// Its decisions.
    Answered(pb::ReleaseResponse),
    /// It records nothing at the moment, so it decides nothing. Nobody need sign that: nothing follows from it.
    LogUnavailable,
    /// Nothing that can be used.
    NoResponse,
}

async fn ask(channel: WitnessedChannel<Shared>, query: &ReleaseQuery, within: Duration) -> Asked {
    let request = with_deadline(pb::ReleaseRequest::from(query), within);
    match client(channel).release(request).await {
        Ok(response) => Asked::Answered(response.into_inner()),
        Err(status) => {
            let code = brag_common::status::code_of(&status).unwrap_or("unreachable");
            tracing::warn!(code, "a holder gave no decision");
            if code == LogError::Unavailable.code() {
                Asked::LogUnavailable
            } else {
                Asked::NoResponse
            }
        }
    }
}

/// Checks every decision's signature and fills it in. A decision that is not the holder's own counts as none.
fn take_decisions(
    shared: &Shared,
    query: &ReleaseQuery,
    holder: &AgencyId,
    response: pb::ReleaseResponse,
    records: &mut [ReleaseRecord],
) {
    for decided in response.decisions {
        let signed = decided.decision.and_then(|signed| SignedStatement::try_from(signed).ok());
        let Some(signed) = signed else { continue };
        let Ok(decision) = decision_of(shared, &query.enquiry, holder, &signed) else {
            // Under another version its signature can not be believed, but that it refuses because of it gives nothing.
            if let Some(recipient) = refused_for_version(shared, &signed)
                && let Some(record) = records.iter_mut().find(|r| r.recipient == recipient)
            {
                shared.note_other_version(holder, "");
                record.outcome = OutcomeRecord::Deny(Reason::AgreementVersionMismatch);
            }
            continue;
        };
        let about_this = decision.release == query.release
            && decision.person.person == query.subject
            && decision.category == query.category;
        let Some(record) = records.iter_mut().find(|r| r.recipient == decision.recipient) else {
            continue;
        };
        if !about_this {
            continue;
        }
        record.outcome = outcome(decision.outcome, false);
        record.trace = decided
            .trace
            .into_iter()
            .take(128)
            .map(|step| TraceRecord {
                stage: step.stage,
                rule: step.rule,
                result: step.result,
                evidence: step.evidence,
            })
            .collect();
        record.would_be_released_if = decided.would_be_released_if;
        record.contact_route = decided.contact_route;
    }
}

/// The recipient of a refusal that was signed under another version of the agreement, because of that.
fn refused_for_version(shared: &Shared, signed: &SignedStatement) -> Option<AgencyId> {
    let statement = signed.read_unverified().ok()?;
    let Body::Release(decision) = statement.body else { return None };
    let refuses = decision.outcome == DecidedOutcome::Deny(Reason::AgreementVersionMismatch);
    (statement.agreement != shared.agreement.digest() && refuses).then_some(decision.recipient)
}

/// Records and keeps what was decided. What was delivered meanwhile is newer and stays.
async fn settle(
    shared: &Arc<Shared>,
    query: &ReleaseQuery,
    holder: &AgencyId,
    mut records: Vec<ReleaseRecord>,
) -> Result<Vec<pb::ReleaseView>, Refusal> {
    let drafts = records.iter().map(|record| decided(shared, query, holder, record)).collect();
    shared.log.record_all::<EntryDraft>(drafts).await?;
    let _cells = shared.cell_locks.of(&query.enquiry, holder).await;
    for record in &mut records {
        let (enquiry, release) = (query.enquiry.clone(), query.release.clone());
        let recipient = record.recipient.clone();
        let kept = shared.store.run(move |s| s.release(&enquiry, &release, &recipient)).await?;
        if let Some(kept) = kept.filter(|kept| kept.outcome != OutcomeRecord::NoResponse) {
            record.outcome = kept.outcome;
            record.retraction = kept.retraction;
            if matches!(record.outcome, OutcomeRecord::Release { .. }) {
                record.would_be_released_if = Vec::new();
            }
        }
    }
    keep(shared, &query.enquiry, &query.release, &records).await?;
    let now = shared.clock.now();
    let views: Vec<_> =
        records.iter().map(|record| view::release(&query.release, record)).collect();
    for view in &views {
        shared.tell(&query.enquiry, view::release_event(now, view.clone()));
    }
    Ok(views)
}

async fn keep(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    release: &ReleaseRef,
    records: &[ReleaseRecord],
) -> Result<(), Refusal> {
    let mut change = Change::new();
    for record in records {
        change.release(enquiry, release, record)?;
    }
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

fn asked(shared: &Shared, query: &ReleaseQuery, action: Action, holder: &AgencyId) -> EntryDraft {
    let mut draft = shared.draft(action);
    draft.enquiry = Some(query.enquiry.clone());
    draft.person = Some(query.subject.clone());
    draft.exchange = Some(query.envelope.request_id.clone());
    draft.release = Some(query.release.clone());
    draft.peer = Some(Party::Agency(holder.clone()));
    draft.category = Some(query.category);
    let word = |field: &Option<Box<str>>| field.as_deref().and_then(|text| text.parse().ok());
    BasisWords {
        purpose: query.purpose.parse().ok(),
        art6: word(&query.basis.art6),
        art9: word(&query.basis.art9_condition),
        art10: word(&query.basis.art10_authority),
        gateway: word(&query.basis.gateway),
        agreement_status: word(&query.basis.agreement_status),
    }
    .into_entry(draft)
}

fn decided(
    shared: &Shared,
    query: &ReleaseQuery,
    holder: &AgencyId,
    record: &ReleaseRecord,
) -> EntryDraft {
    let action = match record.outcome {
        // Nothing was decided.
        OutcomeRecord::NoResponse => Action::NoResponse,
        OutcomeRecord::Release { .. } | OutcomeRecord::Review { .. } | OutcomeRecord::Deny(_) => {
            Action::ReleaseDecided
        }
    };
    let mut draft = asked(shared, query, action, holder);
    draft.recipients = vec![Party::Agency(record.recipient.clone())];
    fill(&mut draft, &record.outcome);
    draft
}

/// Writes an outcome into an entry.
pub fn fill(draft: &mut EntryDraft, outcome: &OutcomeRecord) {
    let word = match outcome {
        OutcomeRecord::NoResponse => "no_response",
        OutcomeRecord::Release { gate, obligations, .. } => {
            draft.gate = gate.parse().ok();
            draft.obligations = obligation_words(obligations);
            "release"
        }
        OutcomeRecord::Review { gate, .. } => {
            draft.gate = gate.parse().ok();
            draft.reason = Some(Reason::PendingApproval);
            "review"
        }
        OutcomeRecord::Deny(reason) => {
            draft.reason = Some(*reason);
            "deny"
        }
    };
    draft.decision = word.parse().ok();
}

/// The codes of obligations, without what they are of.
#[must_use]
pub fn obligation_words(obligations: &[String]) -> Vec<Word> {
    let codes = obligations.iter().filter_map(|word| word.split('=').next());
    codes.filter_map(|code| code.parse().ok()).collect()
}

/// The holder's decision in a signed statement.
///
/// # Errors
/// When it is not this holder's, for this enquiry, or not a decision.
pub fn decision_of(
    shared: &Shared,
    enquiry: &EnquiryRef,
    holder: &AgencyId,
    signed: &SignedStatement,
) -> Result<ReleaseDecision, Refusal> {
    match verify(shared, enquiry, holder, signed)?.body {
        Body::Release(decision) => Ok(decision),
        _ => Err(Refusal::Statement("it is not a decision")),
    }
}

/// An outcome as it is stored.
#[must_use]
pub fn outcome(decided: DecidedOutcome, relayed: bool) -> OutcomeRecord {
    match decided {
        DecidedOutcome::Release { gate, obligations, view_expires_at, .. } => {
            OutcomeRecord::Release { gate, obligations, view_expires_at, relayed }
        }
        DecidedOutcome::Review { gate, approvals_needed, wait } => {
            OutcomeRecord::Review { gate, approvals_needed, wait }
        }
        DecidedOutcome::Deny(reason) => OutcomeRecord::Deny(reason),
    }
}
