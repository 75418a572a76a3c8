//! Release: verify the evidence, decide, record, and only then open, seal and send. The decision is this
//! node's own; a statement by the hub is never enough.

use std::sync::Arc;

use brag_common::{
    agreement::{Outcome, RecipientDecision, Step},
    audit::{
        Recordable, Recorded,
        entry::{Action, Digest, EntryDraft, Party},
    },
    enquiry::ReleaseQuery,
    id::{AgencyId, RequestId, StaffName, WorkRef},
    program::stamp,
    reason::Reason,
    release::{DetailPlace, ReleasePermit, Released, Withheld},
    seal::Binding,
    secret::random_bytes,
    statement::{DecidedOutcome, SignedStatement},
    time::Timestamp,
};

use crate::{
    case::Case,
    guard::Refusal,
    node::Shared,
    outbox,
    store::{Change, shapes::Review},
};

/// What goes back to the hub for one recipient.
#[derive(Debug)]
pub struct Reply {
    /// The recipient.
    pub recipient: AgencyId,
    /// The exchange in which it is told: the request's own, or the delivery of what people have decided since.
    pub exchange: RequestId,
    /// The signed decision.
    pub decision: SignedStatement,
    /// Which rules were applied.
    pub trace: Vec<Step>,
    /// What would change a refusal.
    pub would_be_released_if: Vec<String>,
    /// With a category that is never carried: how to reach the team.
    pub contact_route: Option<String>,
}

/// A decision that does not release now, and the entry that tells of it.
#[derive(Debug)]
pub struct Withholding {
    outcome: DecidedOutcome,
    draft: EntryDraft,
}

impl Recordable for Withholding {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// Sealed detail for one recipient, and the entry that tells of it.
struct Parcel {
    recipient: AgencyId,
    outcome: DecidedOutcome,
    sealed: Vec<u8>,
    draft: EntryDraft,
    exchange: RequestId,
}

impl Recordable for Parcel {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// Answers a request for detail by the hub, one decision for each recipient.
///
/// # Errors
/// When the request is stale or repeated, or the store fails. Everything else is a decision.
pub async fn answer_release(
    shared: &Arc<Shared>,
    query: ReleaseQuery,
) -> Result<Vec<Reply>, Refusal> {
    shared.admit(&query.envelope)?;
    let case = Case::weigh(shared, &query).await?;
    let decisions = case.decide(shared.log.is_available());
    case.settle(decisions, Vec::new()).await
}

impl Case<'_> {
    /// Records every decision, carries it out, and gives what goes back to the hub. `approved_by` are the
    /// people who approved, for decisions that are reviewed.
    ///
    /// # Errors
    /// When the store or the machine fails; then nothing was released that is not recorded.
    pub async fn settle(
        &self,
        decisions: Vec<RecipientDecision>,
        approved_by: Vec<StaffName>,
    ) -> Result<Vec<Reply>, Refusal> {
        let mut change = Change::new();
        let mut settled = Vec::with_capacity(decisions.len());
        let mut explained = Vec::with_capacity(decisions.len());
        for decision in decisions {
            let RecipientDecision { recipient, outcome, trace, would_be_released_if } = decision;
            let mut to_record = self.to_record(&recipient, outcome, &approved_by, &mut change)?;
            let mut exchange = self.query.envelope.request_id.clone();
            // After a review the caller of old has gone; a refusal is delivered, as an exchange of its own.
            if let Err(withheld) = &mut to_record
                && !approved_by.is_empty()
                && matches!(withheld.outcome, DecidedOutcome::Deny(_))
            {
                exchange = outbox::new_exchange()?;
                withheld.draft.exchange = Some(exchange.clone());
            }
            settled.push(to_record);
            explained.push((recipient, exchange, trace, would_be_released_if));
        }
        let outcomes = match self.shared.log.record_all(settled).await {
            Ok(recorded) => self.carry_out(recorded, &mut change).await?,
            // The log can take no entry: nothing is released or kept, and that is the answer (invariant 2).
            Err(_) => {
                change = Change::new();
                // What was weighed has no entry either, so it does not leave: a trace tells what is held.
                for (_, _, trace, would) in &mut explained {
                    trace.clear();
                    would.clear();
                }
                vec![DecidedOutcome::Deny(Reason::LogUnavailable); explained.len()]
            }
        };
        let mut replies = Vec::with_capacity(outcomes.len());
        for ((recipient, exchange, trace, would), outcome) in explained.into_iter().zip(outcomes) {
            let contact_route = matches!(outcome, DecidedOutcome::Deny(Reason::CategoryNever))
                .then(|| self.shared.config.contact_route.clone());
            replies.push(Reply {
                decision: self.sign(&recipient, outcome)?,
                recipient,
                exchange,
                trace,
                would_be_released_if: would.iter().map(ToString::to_string).collect(),
                contact_route,
            });
        }
        self.shared.store.run(move |store| store.commit_if_any(change)).await?;
        self.shared.outbox.notify_one();
        Ok(replies)
    }

    /// Carries out what is recorded: opens and seals where there is a permit.
    async fn carry_out(
        &self,
        recorded: Vec<Recorded<Result<ReleasePermit, Withholding>>>,
        change: &mut Change,
    ) -> Result<Vec<DecidedOutcome>, Refusal> {
        let mut outcomes = Vec::with_capacity(recorded.len());
        let mut sealed = Vec::new();
        for decision in recorded {
            match decision.transpose() {
                Ok(permit) => {
                    let parcel = self.seal(&permit)?;
                    outcomes.push(parcel.outcome.clone());
                    sealed.push(parcel);
                }
                Err(withheld) => outcomes.push(withheld.into_inner().outcome),
            }
        }
        if sealed.is_empty() {
            return Ok(outcomes);
        }
        let Ok(parcels) = self.shared.log.record_all(sealed).await else {
            // The log failed between the decision and the sealing: what was to go stays (invariant 2).
            let stays = |outcome| match outcome {
                DecidedOutcome::Release { .. } => DecidedOutcome::Deny(Reason::LogUnavailable),
                other @ (DecidedOutcome::Review { .. } | DecidedOutcome::Deny(_)) => other,
            };
            return Ok(outcomes.into_iter().map(stays).collect());
        };
        for parcel in parcels {
            let parcel = parcel.into_inner();
            let decision = self.sign(&parcel.recipient, parcel.outcome)?;
            let sealed = Some(parcel.sealed.as_slice());
            let (exchange, enquiry) = (&parcel.exchange, &self.query.enquiry);
            outbox::put_outcome(self.shared, exchange, enquiry, &decision, sealed, change);
        }
        Ok(outcomes)
    }

    /// A permit with its entry, or a refusal or a wait with theirs.
    fn to_record(
        &self,
        recipient: &AgencyId,
        outcome: Outcome,
        approved_by: &[StaffName],
        change: &mut Change,
    ) -> Result<Result<ReleasePermit, Withholding>, Refusal> {
        let permit = match outcome {
            Outcome::Release(permit) => permit,
            Outcome::Deny(reason) => return Ok(Err(self.withholding(recipient, reason, None))),
            Outcome::Review(pending) => {
                match pending.approve(&self.query.requested_by, approved_by) {
                    Ok(permit) => permit,
                    Err(not_yet) => {
                        let gate = not_yet.pending.details().gate().word();
                        if approved_by.is_empty() {
                            let needed = not_yet.pending.approvals().count();
                            self.keep_review(recipient, needed, gate, change)?;
                        }
                        let waits = Some((gate, not_yet.n_missing));
                        return Ok(Err(self.withholding(
                            recipient,
                            Reason::PendingApproval,
                            waits,
                        )));
                    }
                }
            }
        };
        // A permit without a record behind it can not come about: `NothingHeld` comes first. Fail closed.
        let Some(opened) = self.person.as_ref().and_then(|person| person.opened.as_ref()) else {
            return Ok(Err(self.withholding(recipient, Reason::NothingHeld, None)));
        };
        Ok(Ok(ReleasePermit {
            permit,
            record: opened.record,
            enquiry: self.query.enquiry.clone(),
            commitment: self.subject.commitment,
            release: self.query.release.clone(),
            exchange: self.query.envelope.request_id.clone(),
            agreement: stamp(&self.version.agreement),
            basis: self.basis_words(),
            evidence: self.evidence_digests(),
        }))
    }

    fn withholding(
        &self,
        recipient: &AgencyId,
        reason: Reason,
        waits: Option<(&str, usize)>,
    ) -> Withholding {
        let mut draft = self.shared.draft(Action::ReleaseDecided);
        draft.enquiry = Some(self.query.enquiry.clone());
        draft.person = Some(self.query.subject.clone());
        draft.commitment = Some(self.subject.commitment);
        draft.exchange = Some(self.query.envelope.request_id.clone());
        draft.release = Some(self.query.release.clone());
        draft.peer = Some(Party::Hub);
        draft.category = Some(self.query.category);
        draft.evidence = self.evidence_digests();
        draft.reason = Some(reason);
        draft.recipients = vec![Party::Agency(recipient.clone())];
        let (word, outcome) = match waits {
            Some((gate, n_missing)) => {
                draft.gate = gate.parse().ok();
                let approvals_needed = u32::try_from(n_missing).unwrap_or(u32::MAX);
                ("review", DecidedOutcome::Review { gate: gate.to_owned(), approvals_needed })
            }
            None => ("deny", DecidedOutcome::Deny(reason)),
        };
        draft.decision = word.parse().ok();
        Withholding { outcome, draft: self.basis_words().into_entry(draft) }
    }

    fn keep_review(
        &self,
        recipient: &AgencyId,
        n_needed: usize,
        gate: &str,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        let mut query = self.query.clone();
        query.evidence.clear();
        let work = random_bytes().map(WorkRef::from_random).map_err(|_| Refusal::Internal)?;
        let review = Review {
            release: self.query.release.clone(),
            enquiry: self.query.enquiry.clone(),
            recipient: recipient.clone(),
            request: brag_common::wire::release::encode(&query),
            approvals_needed: u32::try_from(n_needed).unwrap_or(u32::MAX),
            approved_by: Vec::new(),
            gate: gate.to_owned(),
            ended: None,
        };
        Ok(change.review(&work, &review)?)
    }

    /// Opens what is held for a recorded permit and seals it to the recipient.
    fn seal(&self, permit: &Recorded<ReleasePermit>) -> Result<Parcel, Refusal> {
        let now = self.shared.clock.now();
        let allowed = &permit.get().permit;
        let place = DetailPlace { record: permit.get().record, category: allowed.category() };
        let released = self
            .entries
            .iter()
            .map(|entry| {
                Withheld::from_sealed(place, entry.withheld.clone()).release(
                    self.shared.store.detail_key(),
                    permit,
                    now,
                )
            })
            .collect::<Result<Vec<Released>, _>>()
            .map_err(|_| Refusal::Internal)?;
        let recipient = allowed.recipient();
        let parties = self.version.agreement.agreement();
        let key = parties
            .party(recipient)
            .and_then(|party| party.keys())
            .ok_or(Refusal::Internal)?
            .sealing;
        let binding = self.detail_binding(recipient, allowed.expires());
        let sealed =
            Released::join(&released).seal(&key, &binding).map_err(|_| Refusal::Internal)?;
        let digest = Digest::of(&sealed);
        let mut draft = permit.get().entry();
        draft.action = Action::DetailSealed;
        draft.payload_digest = Some(digest);
        let exchange = outbox::new_exchange()?;
        draft.exchange = Some(exchange.clone());
        Ok(Parcel {
            exchange,
            recipient: recipient.clone(),
            outcome: DecidedOutcome::Release {
                gate: allowed.gate().word().to_owned(),
                obligations: allowed.obligations().iter().map(ToString::to_string).collect(),
                view_expires_at: allowed.expires(),
                sealed_digest: Some(*digest.as_bytes()),
            },
            sealed,
            draft,
        })
    }

    /// What detail is sealed as: the same at the holder that seals and the recipient that opens.
    fn detail_binding(&self, recipient: &AgencyId, expires: Timestamp) -> Binding {
        brag_common::release::binding(&brag_common::release::SealedFor {
            agreement: self.version.agreement.digest(),
            enquiry: &self.query.enquiry,
            person: &self.query.subject,
            category: self.query.category,
            holder: &self.shared.config.agency,
            recipient,
            release: &self.query.release,
            expires,
        })
    }
}
