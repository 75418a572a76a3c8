//! Release: verify the evidence, decide, record, and only then open, seal and send. The decision is this
//! node's own; a statement by the hub is never enough.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    agreement::{Outcome, PendingPermit, RecipientDecision, Step, clock},
    alert::Alert,
    audit::{
        Recordable, Recorded,
        entry::{Action, Digest, EntryDraft, Party},
    },
    enquiry::ReleaseQuery,
    id::{AgencyId, EnquiryRef, RequestId, WorkRef},
    program::stamp,
    reason::Reason,
    release::{DetailPlace, RedactedText, ReleasePermit, Released, Withheld},
    seal::Binding,
    secret::random_bytes,
    statement::{DecidedOutcome, ReviewWait, SignedStatement},
    status::PeerFacing as _,
    time::Timestamp,
};

use crate::{
    case::Case,
    erasure::not_erased,
    guard::Refusal,
    node::Shared,
    outbox, retract,
    store::{
        Change,
        shapes::{ReleasedRecord, Review},
    },
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
    /// The review that begins with it.
    began: Option<Review>,
}

/// What a review waits for.
#[derive(Clone, Copy)]
struct Waits<'a> {
    gate: &'a str,
    n_missing: usize,
    wait: Option<ReviewWait>,
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
    not_erased(shared, &query.enquiry)?;
    let case = Case::weigh(shared, &query).await?;
    let decisions = case.decide(shared.log.is_available());
    case.alert(&decisions).await;
    let Settled { replies, change, reviewed_from } = case.settle(decisions, None).await?;
    shared.store.run(move |store| store.commit_if_any(change)).await?;
    shared.outbox.notify_one();
    shared.deadlines.bring_forward(reviewed_from);
    look_again(shared, &query.enquiry).await;
    Ok(replies)
}

/// The evidence may have brought a withdrawal, and one may have come while this was decided. What can not be recorded now is taken
/// back when the next one is looked at.
pub(crate) async fn look_again(shared: &Arc<Shared>, enquiry: &EnquiryRef) {
    if let Err(error) = retract::reconsider(shared, enquiry).await {
        tracing::warn!(code = error.code(), "could not look at what was released before");
    }
}

/// What people have approved of a release that waited, and how it stands.
#[derive(Debug, Clone, Copy)]
pub struct Approved<'a> {
    /// The review, with everybody who has approved.
    pub review: &'a Review,
    /// The text that goes in the place of what is held; `None`: what is held.
    pub redacted: Option<&'a RedactedText>,
}

/// What was decided and recorded. It takes effect with its change, which whoever called commits, with what belongs to it.
#[derive(Debug)]
pub struct Settled {
    /// One for each recipient.
    pub replies: Vec<Reply>,
    /// Reviews that begin, and detail that is to be delivered.
    pub change: Change,
    /// When the first of the reviews that begin is escalated.
    pub reviewed_from: Option<Timestamp>,
}

impl Case<'_> {
    /// Records every decision, carries it out, and gives what goes back to the hub. `approved` is what people have
    /// approved; `None` when the hub has just asked.
    ///
    /// # Errors
    /// When the machine fails; then nothing was released that is not recorded.
    pub async fn settle(
        &self,
        decisions: Vec<RecipientDecision>,
        approved: Option<Approved<'_>>,
    ) -> Result<Settled, Refusal> {
        let (mut change, mut reviewed_from) = (Change::new(), None);
        let mut settled = Vec::with_capacity(decisions.len());
        let mut explained = Vec::with_capacity(decisions.len());
        for decision in decisions {
            let RecipientDecision { recipient, outcome, trace, would_be_released_if } = decision;
            let mut to_record = self.to_record(&recipient, outcome, approved)?;
            if let Err(Withholding { began: Some(review), .. }) = &to_record {
                let work =
                    random_bytes().map(WorkRef::from_random).map_err(|_| Refusal::Internal)?;
                change.review(&work, review)?;
                reviewed_from = reviewed_from.into_iter().chain([review.escalate_at]).min();
            }
            let mut exchange = self.query.envelope.request_id.clone();
            // After a review the caller of old has gone; what was decided is delivered, as an exchange of its own.
            if approved.is_some() {
                exchange = outbox::new_exchange()?;
                match &mut to_record {
                    Ok(permit) => permit.exchange = exchange.clone(),
                    Err(withheld) => withheld.draft.exchange = Some(exchange.clone()),
                }
            }
            settled.push(to_record);
            explained.push((recipient, exchange, trace, would_be_released_if));
        }
        let outcomes = match self.shared.log.record_all(settled).await {
            Ok(recorded) => {
                let redacted = approved.and_then(|approved| approved.redacted);
                self.carry_out(recorded, redacted, &mut change).await?
            }
            // The log can take no entry: nothing is released or kept, and that is the answer (invariant 2).
            Err(_) => {
                (change, reviewed_from) = (Change::new(), None);
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
        Ok(Settled { replies, change, reviewed_from })
    }

    /// Raises what a refusal says about whoever asked, once for each request. A log that can not be written refuses the request itself.
    async fn alert(&self, decisions: &[RecipientDecision]) {
        let alerts: BTreeSet<(Alert, Reason)> = decisions
            .iter()
            .filter_map(|decision| match decision.outcome {
                Outcome::Deny(reason) => Some((Alert::of(reason)?, reason)),
                Outcome::Release(_) | Outcome::Review(_) => None,
            })
            .collect();
        for (alert, reason) in alerts {
            let mut draft = self.about(Action::AlertRaised);
            draft.reason = Some(reason);
            let _unavailable =
                self.shared.log.record(self.shared.alerts.raise(alert, draft)).await.is_err();
        }
    }

    /// Carries out what is recorded: where there is a permit, opens and seals what is held, or seals what goes in its place.
    async fn carry_out(
        &self,
        recorded: Vec<Recorded<Result<ReleasePermit, Withholding>>>,
        redacted: Option<&RedactedText>,
        change: &mut Change,
    ) -> Result<Vec<DecidedOutcome>, Refusal> {
        let mut outcomes = Vec::with_capacity(recorded.len());
        let mut sealed = Vec::new();
        for decision in recorded {
            match decision.transpose() {
                Ok(permit) => {
                    let parcel = self.seal(&permit, redacted)?;
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
            let released = ReleasedRecord { permit: decision, retraction: None };
            change.released(enquiry, &self.query.release, &parcel.recipient, &released)?;
        }
        Ok(outcomes)
    }

    /// A permit with its entry, or a refusal or a wait with theirs.
    fn to_record(
        &self,
        recipient: &AgencyId,
        outcome: Outcome,
        approved: Option<Approved<'_>>,
    ) -> Result<Result<ReleasePermit, Withholding>, Refusal> {
        let permit = match outcome {
            Outcome::Release(permit) => permit,
            Outcome::Deny(reason) => return Ok(Err(self.withholding(recipient, reason, None))),
            Outcome::Review(pending) => {
                let approvers = approved.map_or(&[][..], |a| a.review.approved_by.as_slice());
                match pending.approve(&self.query.requested_by, approvers) {
                    Ok(permit) => permit,
                    Err(not_yet) => {
                        let gate = not_yet.pending.details().gate().word();
                        let began = match approved {
                            Some(_) => None,
                            None => Some(self.review(recipient, &not_yet.pending)),
                        };
                        let wait = approved.map_or_else(
                            || began.as_ref().map(Review::wait),
                            |approved| Some(approved.review.wait()),
                        );
                        let waits = Waits { gate, n_missing: not_yet.n_missing, wait };
                        let withholding =
                            self.withholding(recipient, Reason::PendingApproval, Some(waits));
                        return Ok(Err(Withholding { began, ..withholding }));
                    }
                }
            }
        };
        // Whoever redacted had a reason for it, whatever the decision asks.
        let permit = match approved.and_then(|approved| approved.redacted) {
            Some(_) => permit.redacted(),
            None => permit,
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
        waits: Option<Waits<'_>>,
    ) -> Withholding {
        let mut draft = self.about(Action::ReleaseDecided);
        draft.commitment = Some(self.subject.commitment);
        draft.evidence = self.evidence_digests();
        draft.reason = Some(reason);
        draft.recipients = vec![Party::Agency(recipient.clone())];
        let (word, outcome) = match waits {
            Some(Waits { gate, n_missing, wait }) => {
                draft.gate = gate.parse().ok();
                let approvals_needed = u32::try_from(n_missing).unwrap_or(u32::MAX);
                let gate = gate.to_owned();
                ("review", DecidedOutcome::Review { gate, approvals_needed, wait })
            }
            None => ("deny", DecidedOutcome::Deny(reason)),
        };
        draft.decision = word.parse().ok();
        Withholding { outcome, draft: self.basis_words().into_entry(draft), began: None }
    }

    /// An entry about the request.
    fn about(&self, action: Action) -> EntryDraft {
        let mut draft = EntryDraft::new(action);
        draft.agreement = Some(stamp(&self.version.agreement));
        draft.enquiry = Some(self.query.enquiry.clone());
        draft.person = Some(self.query.subject.clone());
        draft.exchange = Some(self.query.envelope.request_id.clone());
        draft.release = Some(self.query.release.clone());
        draft.peer = Some(Party::Hub);
        draft.category = Some(self.query.category);
        draft
    }

    /// The review that begins: its clock is the one that runs for the person now.
    fn review(&self, recipient: &AgencyId, pending: &PendingPermit) -> Review {
        let mut query = self.query.clone();
        query.evidence.clear();
        let (agreement, now) = (self.version.agreement.agreement(), self.shared.clock.now());
        let clocks = agreement.clocks();
        let clock = clock::running(agreement, &self.evidence.facts, &self.query.subject, now);
        Review {
            release: self.query.release.clone(),
            enquiry: self.query.enquiry.clone(),
            recipient: recipient.clone(),
            request: brag_common::wire::release::encode(&query),
            approvals_needed: u32::try_from(pending.approvals().count()).unwrap_or(u32::MAX),
            approved_by: Vec::new(),
            gate: pending.details().gate().word().to_owned(),
            clock,
            asked_at: now,
            escalate_at: clocks.share(clock, agreement.review().escalate_at_percent, now),
            decide_by: clocks.end(clock, now),
            escalated_at: None,
            redaction: None,
            ended: None,
        }
    }

    /// Seals to the recipient of a recorded permit what is held, or the redacted text in its place.
    fn seal(
        &self,
        permit: &Recorded<ReleasePermit>,
        redacted: Option<&RedactedText>,
    ) -> Result<Parcel, Refusal> {
        let now = self.shared.clock.now();
        let allowed = &permit.get().permit;
        let place = DetailPlace { record: permit.get().record, category: allowed.category() };
        let key = self.shared.store.detail_key();
        let released = match redacted {
            Some(text) => Released::redacted(permit, text, now),
            None => self
                .entries
                .iter()
                .map(|entry| {
                    Withheld::from_sealed(place, entry.withheld.clone()).release(key, permit, now)
                })
                .collect::<Result<Vec<Released>, _>>()
                .map(|parts| Released::join(&parts)),
        };
        let released = released.map_err(|_| Refusal::Internal)?;
        let recipient = allowed.recipient();
        let parties = self.version.agreement.agreement();
        let key = parties
            .party(recipient)
            .and_then(|party| party.keys())
            .ok_or(Refusal::Internal)?
            .sealing;
        let binding = self.detail_binding(recipient, allowed.expires());
        let sealed = released.seal(&key, &binding).map_err(|_| Refusal::Internal)?;
        let digest = Digest::of(&sealed);
        let mut draft = permit.get().entry();
        draft.action = Action::DetailSealed;
        draft.payload_digest = Some(digest);
        let exchange = match permit.get().exchange.clone() {
            asked if asked == self.query.envelope.request_id => outbox::new_exchange()?,
            delivery => delivery,
        };
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
