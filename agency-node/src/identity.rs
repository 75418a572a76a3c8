//! Adjudication: a person compares who is asked about with the agency's own record, and decides whether it is the same.
//!
//! The decision is recorded and kept with the person. `Same` lets the agency rate; `different` tells the hub that the
//! agency does not know the person, and erases what was disclosed. A later `different` undoes `same`.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, Digest, EntryDraft},
    enquiry::{Answer, PersonAnswer},
    id::{EnquiryRef, PersonRef, RequestId},
    matching::identity::CanonicalIdentity,
    statement::{Body, PersonIn},
};

use crate::{
    analysis::Named,
    answer_round::own_ratings,
    desk::{Act, by, send, told_of},
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox,
    standing::Rateable,
    store::{
        Change,
        shapes::{Adjudication, EnquiryPerson, IdentityVerdict, Opened, Standing},
    },
};

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 600;

/// What somebody decided.
#[derive(Debug)]
pub struct Decision {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The person.
    pub person: PersonRef,
    /// Whether the agency's record is that person.
    pub verdict: IdentityVerdict,
    /// Why; it stays at the node.
    pub reason: String,
}

/// Decides about an identity. Gives the standing rating that answered, where one did.
///
/// # Errors
/// When the reason is missing, the node was told no identity or has erased it, it was decided the same way before, or
/// nothing can be recorded.
pub async fn decide(
    shared: &Arc<Shared>,
    who: &SignedIn,
    decision: Decision,
) -> Result<Option<RequestId>, Refusal> {
    shared.in_force()?;
    let n_chars = decision.reason.trim().chars().count();
    if !(1..=MAX_REASON_CHARS).contains(&n_chars) {
        return Err(Refusal::rule("reason_missing", "give a reason of 1 to 600 characters"));
    }
    let _alone = shared.at_desk.lock().await;
    let (about, mut known) = told_of(shared, &decision.enquiry, &decision.person).await?;
    let opened = known.opened.take().ok_or_else(|| {
        let text = "the node has no identity to compare: it was not told, or it was erased; the hub asks in a new enquiry";
        Refusal::rule("identity_not_told", text)
    })?;
    known.decisions.push(Adjudication {
        verdict: decision.verdict,
        by: who.name().clone(),
        at: shared.clock.now(),
        reason: decision.reason.trim().to_owned(),
    });
    let deciding = Deciding { shared, who, decision: &decision, known, opened };
    match decision.verdict {
        IdentityVerdict::Same => deciding.same(about.domestic_abuse).await,
        IdentityVerdict::Different => deciding.different().await.map(|()| None),
    }
}

/// A decision on its way.
struct Deciding<'a> {
    shared: &'a Arc<Shared>,
    who: &'a SignedIn,
    decision: &'a Decision,
    /// With the decision, and without the identity.
    known: EnquiryPerson,
    opened: Opened,
}

impl Deciding<'_> {
    async fn same(mut self, domestic_abuse: bool) -> Result<Option<RequestId>, Refusal> {
        if self.known.standing != Standing::IdentityReview {
            return Err(Refusal::rule(
                "identity_decided",
                "it is the same already; a mistake is undone by deciding that it is different",
            ));
        }
        let identity =
            CanonicalIdentity::decode(&self.opened.identity).map_err(|_| Refusal::Internal)?;
        let (shared, record) = (Arc::clone(self.shared), self.opened.record);
        let enquiry = self.decision.enquiry.clone();
        let person = self.person();
        // A read of the store and a signature, off the runtime's threads.
        let rated = tokio::task::spawn_blocking(move || {
            let rateable = Rateable { enquiry: &enquiry, person: &person, domestic_abuse };
            let mut named = Named::in_enquiry(&shared.store, &enquiry)?;
            named.and(&identity);
            rateable.standing_rating(&shared, record, &identity, &named)
        });
        let rated = rated.await.map_err(|_| Refusal::Internal)??;
        let mut change = Change::new();
        let (exchange, answer) = match rated {
            Some((id, rated)) => {
                change.rating(&self.decision.enquiry, &id, &rated)?;
                self.known.standing = Standing::Rated;
                (id, Answer::Rated(rated))
            }
            None => {
                self.known.standing = Standing::ToRate;
                (outbox::new_exchange()?, Answer::Pending)
            }
        };
        let mut draft = self.entry(&exchange);
        let mut rating = None;
        if let Answer::Rated(rated) = &answer {
            draft.evidence = vec![Digest::of(&rated.signed.payload)];
            rating = Some(exchange.clone());
        }
        self.known.opened = Some(self.opened.clone());
        self.finish(draft, &exchange, answer, change).await?;
        Ok(rating)
    }

    async fn different(mut self) -> Result<(), Refusal> {
        self.known.standing = Standing::Different;
        // What the identity told goes with it.
        "unknown".clone_into(&mut self.known.age_band);
        let exchange = outbox::new_exchange()?;
        let draft = self.entry(&exchange);
        let mut change = Change::new();
        self.withdraw_ratings(&mut change).await?;
        self.finish(draft, &exchange, Answer::NotKnown, change).await
    }

    /// Takes back every rating that rests on the record: of the person, and of others through them.
    async fn withdraw_ratings(&self, change: &mut Change) -> Result<(), Refusal> {
        let Self { shared, who, decision: Decision { enquiry, person, .. }, .. } = self;
        let (reading, name) = (Arc::clone(shared), enquiry.clone());
        let given = tokio::task::spawn_blocking(move || own_ratings(&reading, &name));
        for (id, rating, _) in given.await.map_err(|_| Refusal::Internal)?? {
            let rests_here = match &rating.via {
                None => rating.person.person == *person,
                Some(via) => via.person == *person,
            };
            if !rests_here {
                continue;
            }
            let about = rating.person.person.clone();
            let body =
                Body::RatingWithdrawn { person: rating.person, rating: id, still_known: false };
            let action = Action::RatingWithdrawn;
            let act = Act { enquiry, person: Some(&about), action, body };
            let (id, signed) = act.sign_and_record(shared, who, change).await?;
            outbox::put_fact(shared, &id, enquiry, &signed, change);
            if about != *person {
                self.may_be_rated_again(&about, change).await?;
            }
        }
        Ok(())
    }

    /// A person who was rated through this one has no rating of this agency any more.
    async fn may_be_rated_again(
        &self,
        about: &PersonRef,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        let enquiry = &self.decision.enquiry;
        let (_, known) = told_of(self.shared, enquiry, about).await?;
        let standing = if known.opened.is_some() { Standing::ToRate } else { Standing::Linked };
        change.person_in(enquiry, about, &EnquiryPerson { standing, ..known })?;
        Ok(())
    }

    /// Records, and only then keeps and sends.
    async fn finish(
        self,
        draft: EntryDraft,
        exchange: &RequestId,
        answer: Answer,
        mut change: Change,
    ) -> Result<(), Refusal> {
        let Self { shared, decision: Decision { enquiry, person, .. }, known, .. } = self;
        shared.log.record(draft).await?;
        change.person_in(enquiry, person, &known)?;
        let answer = PersonAnswer { person: person.clone(), answer };
        outbox::put_answer(shared, exchange, enquiry, &answer, &mut change);
        send(shared, change).await
    }

    fn entry(&self, exchange: &RequestId) -> EntryDraft {
        let mut draft = by(self.shared, Action::IdentityReviewed, self.who);
        draft.enquiry = Some(self.decision.enquiry.clone());
        draft.person = Some(self.decision.person.clone());
        draft.commitment = Some(self.known.commitment);
        draft.exchange = Some(exchange.clone());
        draft.decision = self.decision.verdict.word().parse().ok();
        draft
    }

    fn person(&self) -> PersonIn {
        PersonIn { person: self.decision.person.clone(), commitment: self.known.commitment }
    }
}
