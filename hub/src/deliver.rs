//! What agencies deliver of their own accord: late answers, signed facts, outcomes of releases. Delivering the
//! same thing twice changes nothing; sealed detail is passed on before it counts as delivered.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, Digest, EntryDraft, Party},
    enquiry::PersonAnswer,
    id::{AgencyId, AgreementDigest, EnquiryRef, PersonRef, RequestId},
    reason::Reason,
    statement::{Body, DecidedOutcome, ReleaseDecision, SignedStatement},
    tls::with_deadline,
    wire::{WireError, id, pb, release::MAX_SEALED_BYTES, statement::to_reasoned},
};

use crate::{
    guard::Refusal,
    hub::Shared,
    notify,
    release::{decision_of, fill, obligation_words, outcome},
    round::{client, envelope},
    store::{
        Change,
        shapes::{EnquiryRecord, OutcomeRecord, ReleaseRecord, StatementRecord},
    },
    take::{self, Taken, verify},
    view,
    withdraw::{self, Withdrawal},
};

mod reasoned;

/// Takes one delivery of `agency`.
///
/// # Errors
/// When it is not well-formed, not the agency's own, about an enquiry the hub does not have, or can not be
/// recorded or passed on.
pub async fn deliver(
    shared: &Arc<Shared>,
    agency: &AgencyId,
    message: pb::DeliverRequest,
) -> Result<(), Refusal> {
    shared.in_force()?;
    let request: RequestId = id("request_id", &message.request_id)?;
    let enquiry: EnquiryRef = id("enquiry", &message.enquiry)?;
    // What waited at the node since an earlier version: what was signed is believed by the version that it names.
    let named = AgreementDigest::try_from(message.agreement_digest.as_slice())
        .map_err(|_| WireError::invalid("agreement_digest", "32 bytes"))?;
    if shared.agreement.version_of(named).is_none() {
        let mismatch = shared.agreement.mismatch(named);
        tracing::warn!(%agency, %mismatch, "a node works under another version");
        return Err(Refusal::AnotherAgreement(Box::new(mismatch)));
    }
    // Who hears nothing says it again, perhaps while the first is still being taken.
    let _one = shared.deliveries.of(&enquiry, agency).await;
    let (by, looked_up) = (agency.clone(), request.clone());
    let delivered = shared.store.run(move |store| store.was_delivered(&by, &looked_up)).await?;
    let delivery = Delivery { shared, agency, enquiry, request };
    if delivered {
        // The answer was lost, or was not believed: this one has a receipt too.
        let mut draft = delivery.draft(Action::Delivered);
        draft.decision = "taken_before".parse().ok();
        shared.log.record(draft).await?;
        return Ok(());
    }
    match message.item.ok_or(WireError::Missing("item"))? {
        pb::deliver_request::Item::Answer(answer) => delivery.answer(answer.try_into()?).await,
        pb::deliver_request::Item::Fact(fact) => delivery.fact(fact.try_into()?).await,
        pb::deliver_request::Item::Outcome(outcome) => {
            if outcome.sealed.len() > MAX_SEALED_BYTES {
                return Err(WireError::invalid("sealed", "at most 128 KiB").into());
            }
            let signed = outcome.decision.ok_or(WireError::Missing("decision"))?.try_into()?;
            delivery.outcome(signed, outcome.sealed).await
        }
        pb::deliver_request::Item::Reasoned(message) => {
            let (signed, reason) = to_reasoned(message)?;
            delivery.reasoned(signed, reason).await
        }
    }
}

struct Delivery<'a> {
    shared: &'a Arc<Shared>,
    agency: &'a AgencyId,
    enquiry: EnquiryRef,
    request: RequestId,
}

impl Delivery<'_> {
    async fn answer(self, said: PersonAnswer) -> Result<(), Refusal> {
        let taken =
            Taken::answer(self.shared, &self.enquiry, self.agency, said.person, said.answer)?;
        if taken.is_forbidden_blue(self.shared, &self.known_enquiry().await?) {
            // The cell says why nothing counts, and the agency is told: the answer is missing until it is corrected.
            let refused = vec![taken.refused(Reason::BlueNotPermittedDa)];
            take::take(self.shared, &self.enquiry, self.agency, &self.request, refused).await?;
            let reason = Reason::BlueNotPermittedDa;
            return Err(Refusal::rule(reason.code(), reason.text()));
        }
        let change = self.delivered()?;
        let taken = vec![taken];
        take::take_with(self.shared, &self.enquiry, self.agency, &self.request, taken, change).await
    }

    async fn fact(self, signed: SignedStatement) -> Result<(), Refusal> {
        let statement = verify(self.shared, &self.enquiry, self.agency, &signed)?;
        let action = match &statement.body {
            Body::Link { .. } | Body::Role { .. } => Action::LinkConfirmed,
            Body::Assertion(_) => Action::AssertionMade,
            Body::Consent(_) => Action::ConsentRecorded,
            Body::Action { .. } => Action::PlanChanged,
            Body::RatingWithdrawn { .. } => Action::RatingWithdrawn,
            Body::Retraction(_) => Action::DetailRetracted,
            Body::Acknowledgement(_) => Action::RetractionAcknowledged,
            Body::Rating(_)
            | Body::Release(_)
            | Body::RatingChallenged(_)
            | Body::RatingKept(_) => {
                return Err(Refusal::Statement("it is not a fact"));
            }
        };
        take::about_its_people(&self.known_enquiry().await?, &statement.body)?;
        // What is shown of a release changes under the lock of its holder, whoever says what changes it.
        let _cells = match &statement.body {
            Body::Retraction(_) => {
                Some(self.shared.cell_locks.of(&self.enquiry, self.agency).await)
            }
            Body::Acknowledgement(said) => {
                Some(self.shared.cell_locks.of(&self.enquiry, &said.holder).await)
            }
            _ => None,
        };
        let (name, said) = (self.enquiry.clone(), statement.clone());
        let store = self.shared.store.clone();
        let follows =
            tokio::task::spawn_blocking(move || notify::consequences(&store, &name, &said))
                .await
                .map_err(|_| Refusal::Internal)??;
        let mut draft = self.draft(action);
        let evidence = Digest::of(&signed.payload);
        draft.evidence = vec![evidence];
        draft.person = subject(&statement.body);
        if let Body::Retraction(taken_back) = &statement.body {
            draft.category = Some(taken_back.category);
            draft.recipients = vec![Party::Agency(taken_back.recipient.clone())];
        }
        if let Some((release, record)) = &follows.release {
            draft.release = Some(release.clone());
            draft.reason = record.retraction.as_ref().map(|retraction| retraction.reason);
        }
        self.shared.log.record(draft).await?;
        let now = self.shared.clock.now();
        let mut change = self.delivered()?;
        notify::put(&mut change, &self.enquiry, &follows.tell, (&statement, &signed), now)?;
        if let Some((release, record)) = &follows.release {
            change.release(&self.enquiry, release, record)?;
        }
        change.statement(
            &self.enquiry,
            &statement.id,
            &StatementRecord { signed, received_at: now },
        )?;
        if let Body::RatingWithdrawn { person, rating, still_known } = &statement.body {
            let withdrawal = Withdrawal {
                enquiry: &self.enquiry,
                agency: self.agency,
                person: &person.person,
                rating,
                still_known: *still_known,
                statement: &statement.id,
                evidence,
                exchange: &self.request,
            };
            withdraw::withdraw(self.shared, withdrawal, change).await?;
        } else {
            self.shared.store.run(move |store| store.commit(change)).await?;
        }
        self.shared.tell(&self.enquiry, view::fact_event(now, statement.body.kind()));
        if let Some((release, record)) = &follows.release {
            let shown = view::release(release, record);
            self.shared.tell(&self.enquiry, view::release_event(now, shown));
        }
        for agency in &follows.tell {
            notify::start_one(self.shared, &self.enquiry, agency);
        }
        Ok(())
    }

    async fn outcome(self, signed: SignedStatement, sealed: Vec<u8>) -> Result<(), Refusal> {
        let decision = decision_of(self.shared, &self.enquiry, self.agency, &signed)?;
        self.asked(&decision).await?;
        let released = matches!(decision.outcome, DecidedOutcome::Release { .. });
        if released {
            self.relay(&decision, &signed, sealed).await?;
        }
        let next = outcome(decision.outcome.clone(), released);
        let mut draft = self.about(&decision, Action::ReleaseDecided);
        fill(&mut draft, &next);
        if let DecidedOutcome::Release { sealed_digest, .. } = &decision.outcome {
            draft.payload_digest = sealed_digest.map(Digest::from_bytes);
        }
        self.shared.log.record(draft).await?;
        let _cells = self.shared.cell_locks.of(&self.enquiry, self.agency).await;
        // Read again: the answer to the request may have been kept meanwhile, with its trace.
        let mut record = self.asked(&decision).await?;
        let ended =
            matches!(record.outcome, OutcomeRecord::Release { .. } | OutcomeRecord::Deny(_));
        if ended && matches!(next, OutcomeRecord::Review { .. }) {
            // How something waited says nothing once it was decided.
            let change = self.delivered()?;
            return Ok(self.shared.store.run(move |store| store.commit(change)).await?);
        }
        record.outcome = next;
        if released {
            // What would have changed a refusal no longer says anything.
            record.would_be_released_if = Vec::new();
        }
        let mut change = self.delivered()?;
        change.release(&self.enquiry, &decision.release, &record)?;
        self.shared.store.run(move |store| store.commit(change)).await?;
        let now = self.shared.clock.now();
        let view = view::release(&decision.release, &record);
        self.shared.tell(&self.enquiry, view::release_event(now, view));
        Ok(())
    }

    /// The request that a decision answers, as it is kept.
    async fn asked(&self, decision: &ReleaseDecision) -> Result<ReleaseRecord, Refusal> {
        let (enquiry, release) = (self.enquiry.clone(), decision.release.clone());
        let recipient = decision.recipient.clone();
        let asked =
            self.shared.store.run(move |s| s.release(&enquiry, &release, &recipient)).await?;
        let asked = asked.filter(|asked| {
            asked.holder == *self.agency
                && asked.person == decision.person.person
                && asked.category == decision.category.to_string()
        });
        asked.ok_or(Refusal::NotFound("request for detail"))
    }

    /// Passes sealed detail on to its recipient. It is in memory for this one call only.
    async fn relay(
        &self,
        decision: &ReleaseDecision,
        permit: &SignedStatement,
        sealed: Vec<u8>,
    ) -> Result<(), Refusal> {
        self.shared.still_party(&decision.recipient)?;
        let channel = self.shared.to_node(&decision.recipient);
        let channel = channel.ok_or(Refusal::NotFound("recipient among the parties"))?;
        let within = self.shared.config.fan_out.call_within.get();
        let envelope = envelope(self.shared, within)?;
        let mut draft = self.about(decision, Action::DetailRelayed);
        draft.exchange = Some(envelope.request_id.clone());
        draft.peer = Some(Party::Agency(decision.recipient.clone()));
        draft.payload_digest = Some(Digest::of(&sealed));
        if let DecidedOutcome::Release { obligations, .. } = &decision.outcome {
            draft.obligations = obligation_words(obligations);
        }
        let relaying = draft.clone();
        self.shared.log.record(draft).await?;
        let request = pb::ReceiveRequest {
            request_id: envelope.request_id.to_string(),
            agreement_digest: envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: envelope.valid_until.as_millisecond(),
            release: Some(pb::SealedRelease { permit: Some(permit.into()), sealed }),
        };
        match client(channel).receive(with_deadline(request, within)).await {
            Ok(_) => Ok(()),
            // It has it, and its answer was lost: a recipient takes no detail twice.
            Err(status) if brag_common::status::code_of(&status) == Some("received_already") => {
                Ok(())
            }
            Err(status) => {
                let code = brag_common::status::code_of(&status).unwrap_or("unreachable");
                tracing::warn!(code, recipient = %decision.recipient, "could not pass on detail");
                self.shared.record_no_response(relaying, code).await?;
                Err(Refusal::RecipientUnreachable)
            }
        }
    }

    fn about(&self, decision: &ReleaseDecision, action: Action) -> EntryDraft {
        let mut draft = self.draft(action);
        draft.person = Some(decision.person.person.clone());
        draft.commitment = Some(decision.person.commitment);
        draft.release = Some(decision.release.clone());
        draft.category = Some(decision.category);
        draft.recipients = vec![Party::Agency(decision.recipient.clone())];
        draft
    }

    fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = self.shared.draft(action);
        draft.enquiry = Some(self.enquiry.clone());
        draft.exchange = Some(self.request.clone());
        draft.peer = Some(Party::Agency(self.agency.clone()));
        draft
    }

    fn delivered(&self) -> Result<Change, Refusal> {
        let mut change = Change::new();
        change.delivered(self.agency, &self.request, self.shared.clock.now())?;
        Ok(change)
    }

    async fn known_enquiry(&self) -> Result<EnquiryRecord, Refusal> {
        let name = self.enquiry.clone();
        let found = self.shared.store.run(move |store| store.enquiry(&name)).await?;
        found.ok_or(Refusal::NotFound("enquiry"))
    }
}

/// The one person that a statement is about, as the entry of the agency that made it names them.
fn subject(body: &Body) -> Option<PersonRef> {
    let about = match body {
        Body::Link { from, .. } => from,
        Body::Role { person, .. } => person,
        Body::Consent(consent) => &consent.person,
        Body::Action { person, .. } | Body::RatingWithdrawn { person, .. } => person,
        Body::Retraction(taken_back) => &taken_back.person,
        Body::Acknowledgement(said) => &said.person,
        Body::Assertion(_)
        | Body::Rating(_)
        | Body::Release(_)
        | Body::RatingChallenged(_)
        | Body::RatingKept(_) => return None,
    };
    Some(about.person.clone())
}
