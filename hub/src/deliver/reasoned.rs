//! Challenges of another agency's rating, and their answers. A challenge changes nothing: only the agency that gave a
//! rating can change it.

use brag_common::{
    audit::entry::{Action, Digest, Party},
    id::RequestId,
    rating::{Analysis, SaltedAnalysis},
    statement::{Body, Challenge, Kept, SignedStatement, Statement},
};

use super::Delivery;
use crate::{
    changes,
    guard::Refusal,
    store::shapes::{ChallengeRecord, ChallengeStatus},
    take::{self, verify},
    view,
};

impl Delivery<'_> {
    /// Takes a challenge or an answer with the reason that its signer gives.
    pub(super) async fn reasoned(
        self,
        signed: SignedStatement,
        reason: SaltedAnalysis,
    ) -> Result<(), Refusal> {
        let statement = verify(self.shared, &self.enquiry, self.agency, &signed)?;
        let (Body::RatingChallenged(Challenge { reason_digest, .. })
        | Body::RatingKept(Kept { reason_digest, .. })) = &statement.body
        else {
            return Err(Refusal::Statement("it is neither a challenge nor its answer"));
        };
        if reason.digest() != *reason_digest {
            return Err(Refusal::Statement("the reason is not the one it was signed with"));
        }
        let bounds = self.shared.agreement.agreement().rating().analysis;
        Analysis::parse(&reason.text, bounds)
            .map_err(|_| Refusal::Statement("the reason is not within the agreement"))?;
        take::about_its_people(&self.known_enquiry().await?, &statement.body)?;
        match statement.body.clone() {
            Body::RatingChallenged(challenge) => {
                self.challenged(statement, challenge, signed, reason).await
            }
            Body::RatingKept(kept) => self.kept(kept, &signed, reason).await,
            _ => Err(Refusal::Internal),
        }
    }

    async fn challenged(
        self,
        statement: Statement,
        challenge: Challenge,
        signed: SignedStatement,
        reason: SaltedAnalysis,
    ) -> Result<(), Refusal> {
        let Self { shared, agency, enquiry, .. } = &self;
        let is_party = shared.agreement.agreement().party(&challenge.of).is_some();
        if challenge.of == **agency || !is_party {
            return Err(Refusal::Statement("it does not challenge another party"));
        }
        let mut draft = self.draft(Action::RatingChallenged);
        draft.person = Some(challenge.person.person.clone());
        draft.recipients = vec![Party::Agency(challenge.of.clone())];
        draft.evidence = vec![Digest::of(&signed.payload)];
        shared.log.record(draft).await?;
        // Whether there is a rating to challenge: it may be changing just now.
        let cells = shared.cell_locks.of(enquiry, &challenge.of).await;
        let (name, of) = (enquiry.clone(), challenge.of.clone());
        let person = challenge.person.person.clone();
        let cell = shared.store.run(move |store| store.cell(&name, &of, &person)).await?;
        let rated = cell.is_some_and(|cell| changes::rating_in(&cell.state).is_some());
        let status =
            if rated { ChallengeStatus::Open { told: false } } else { ChallengeStatus::NoRating };
        let record = ChallengeRecord {
            by: (*agency).clone(),
            of: challenge.of,
            person: challenge.person.person,
            made_by: statement.made_by,
            made_at: statement.made_at,
            reason: reason.text,
            salt: reason.salt,
            signed,
            status,
        };
        self.keep_challenge(&statement.id, &record).await?;
        drop(cells);
        self.shared.challenged.notify_one();
        Ok(())
    }

    async fn kept(
        self,
        kept: Kept,
        signed: &SignedStatement,
        reason: SaltedAnalysis,
    ) -> Result<(), Refusal> {
        let Self { shared, agency, enquiry, .. } = &self;
        let mut draft = self.draft(Action::RatingKept);
        draft.person = Some(kept.person.person.clone());
        draft.evidence = vec![Digest::of(&signed.payload)];
        shared.log.record(draft).await?;
        let _cells = shared.cell_locks.of(enquiry, agency).await;
        let (name, id) = (enquiry.clone(), kept.challenge.clone());
        let known = shared.store.run(move |store| store.challenge(&name, &id)).await?;
        let known =
            known.filter(|known| known.of == **agency && known.person == kept.person.person);
        let mut record = known.ok_or(Refusal::NotFound("challenge of this agency's rating"))?;
        // A rating that has changed meanwhile is an answer already.
        if matches!(record.status, ChallengeStatus::Open { .. }) {
            let at = shared.clock.now();
            record.status = ChallengeStatus::Kept { answer: reason.text, at };
        }
        self.keep_challenge(&kept.challenge, &record).await
    }

    async fn keep_challenge(
        &self,
        id: &RequestId,
        record: &ChallengeRecord,
    ) -> Result<(), Refusal> {
        let mut change = self.delivered()?;
        change.challenge(&self.enquiry, id, record)?;
        self.shared.store.run(move |store| store.commit(change)).await?;
        let now = self.shared.clock.now();
        self.shared.tell(&self.enquiry, view::challenge_event(now, id, record));
        Ok(())
    }
}
