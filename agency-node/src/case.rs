//! The case of one request for detail: its verified evidence, what is held, and the decision on it. Nothing is recorded,
//! opened or sent here; that follows in `answer_release.rs`.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    agreement::{
        Holding, Identity, Moment, Purpose, RecipientDecision, Request, SignedAgreement, decide,
    },
    audit::entry::Digest,
    enquiry::ReleaseQuery,
    evidence::{Evidence, People},
    id::{AgencyId, Commitment, PersonRef, RequestId},
    release::BasisWords,
    secret::random_bytes,
    statement::{Body, DecidedOutcome, PersonIn, ReleaseDecision, SignedStatement, Statement},
    time::Timestamp,
    versions::Version,
};

use crate::{
    ground::NodeKeys,
    guard::Refusal,
    node::Shared,
    store::{
        Change,
        shapes::{EnquiryPerson, EntryRecord, Standing},
    },
};

/// What a decision is about: the parts that do not differ between recipients.
#[derive(Debug)]
pub struct Case<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    /// The version by which it is decided, sealed and signed.
    pub(crate) version: &'a Version<NodeKeys>,
    pub(crate) query: &'a ReleaseQuery,
    pub(crate) subject: PersonIn,
    pub(crate) person: Option<EnquiryPerson>,
    pub(crate) entries: Vec<EntryRecord>,
    pub(crate) evidence: Evidence,
}

impl<'a> Case<'a> {
    /// Verifies the evidence and looks up what is held. Newly verified statements are kept, so that a later
    /// request can not show an older one in their place.
    ///
    /// # Errors
    /// When the store fails, or the subject is not among the people of the request.
    pub async fn weigh(shared: &'a Arc<Shared>, query: &'a ReleaseQuery) -> Result<Self, Refusal> {
        Self::weigh_under(shared, shared.agreement.versions().current(), query).await
    }

    /// As [`Case::weigh`], by a version that the caller has chosen.
    ///
    /// # Errors
    /// As [`Case::weigh`].
    pub async fn weigh_under(
        shared: &'a Arc<Shared>,
        version: &'a Version<NodeKeys>,
        query: &'a ReleaseQuery,
    ) -> Result<Self, Refusal> {
        let (enquiry, subject) = (query.enquiry.clone(), query.subject.clone());
        let category = query.category;
        let (opened, known) = shared
            .store
            .run(move |store| Ok((store.people_in(&enquiry)?, store.statements(&enquiry)?)))
            .await?;
        let people = people_as_opened(
            &query.people,
            opened.iter().map(|(person, known)| (person, known.commitment)),
        );
        let person = opened.into_iter().find(|(p, _)| *p == subject).map(|(_, person)| person);
        let evidence = Evidence::verify(
            &version.agreement,
            &version.realm,
            &query.enquiry,
            &people,
            &query.evidence,
            &known,
        );
        let mut change = Change::new();
        for (statement, signed) in &evidence.accepted {
            if !known.contains(signed) {
                change.statement(&query.enquiry, &statement.id, signed)?;
            }
        }
        shared.store.run(move |store| store.commit_if_any(change)).await?;
        // What is held is looked up only where holding it could matter. Below the threshold the answer has then taken
        // the same path, and the same time, whether anything is held or not (invariant 7).
        let record = person.as_ref().and_then(|person| Some(person.opened.as_ref()?.record));
        let could_open = circumstances(shared, version, person.as_ref(), Holding::PLAIN, true)
            .decide(query, &evidence)
            .iter()
            .any(|decision| decision.outcome.is_allowed());
        let entries = match record {
            Some(record) if could_open => {
                shared.store.run(move |store| store.entries(record, category)).await?
            }
            Some(_) | None => Vec::new(),
        };
        let subject = PersonIn {
            person: query.subject.clone(),
            // A subject outside the enquiry is refused by the decision; it needs a value all the same.
            commitment: people
                .get(&query.subject)
                .copied()
                .unwrap_or_else(|| Commitment::from_bytes([0; 32])),
        };
        Ok(Self { shared, version, query, subject, person, entries, evidence })
    }

    /// Decides for every recipient of the request.
    #[must_use]
    pub fn decide(&self, log_available: bool) -> Vec<RecipientDecision> {
        let Self { shared, version, query, .. } = self;
        let held = holding(&self.entries);
        circumstances(shared, version, self.person.as_ref(), held, log_available)
            .decide(query, &self.evidence)
    }

    /// Signs what was decided for one recipient.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn sign(
        &self,
        recipient: &AgencyId,
        outcome: DecidedOutcome,
    ) -> Result<SignedStatement, Refusal> {
        // One version for all of it: another may take over at any moment.
        let version = self.version;
        let statement = Statement {
            id: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
            signer: self.shared.config.agency.clone(),
            agreement: version.agreement.digest(),
            enquiry: self.query.enquiry.clone(),
            made_at: self.shared.clock.now(),
            made_by: None,
            body: Body::Release(ReleaseDecision {
                release: self.query.release.clone(),
                person: self.subject.clone(),
                category: self.query.category,
                recipient: recipient.clone(),
                outcome,
            }),
        };
        Ok(SignedStatement::sign(&statement, &version.realm, &version.keys.statements))
    }

    pub(crate) fn basis_words(&self) -> BasisWords {
        let basis = &self.query.basis;
        let word = |field: &Option<Box<str>>| field.as_deref().and_then(|text| text.parse().ok());
        BasisWords {
            purpose: self.query.purpose.parse().ok(),
            art6: word(&basis.art6),
            art9: word(&basis.art9_condition),
            art10: word(&basis.art10_authority),
            gateway: word(&basis.gateway),
            agreement_status: word(&basis.agreement_status),
        }
    }

    pub(crate) fn evidence_digests(&self) -> Vec<Digest> {
        let digests: BTreeSet<_> = self
            .evidence
            .accepted
            .iter()
            .filter(|(statement, _)| {
                let is_outcome = matches!(
                    statement.body,
                    Body::Release(_) | Body::Retraction(_) | Body::Acknowledgement(_)
                );
                !is_outcome
            })
            .map(|(_, signed)| Digest::of(&signed.payload))
            .collect();
        digests.into_iter().collect()
    }
}

/// What a node brings to a decision besides the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The agreement it works under.
    pub agreement: &'a SignedAgreement,
    /// The agency whose node it is.
    pub holder: &'a AgencyId,
    /// The time.
    pub now: Timestamp,
    /// Whether the log can be written.
    pub log_available: bool,
    /// Whether it is settled who the person is in its records.
    pub identity: Identity,
    /// What it holds of the category.
    pub holding: Holding,
}

impl Circumstances<'_> {
    /// Decides a request for every recipient.
    #[must_use]
    pub fn decide(self, query: &ReleaseQuery, evidence: &Evidence) -> Vec<RecipientDecision> {
        let request = Request {
            holder: self.holder.clone(),
            person: query.subject.clone(),
            category: query.category,
            recipients: query.recipients.clone(),
            purpose: Purpose::from_word(&query.purpose),
            basis: query.basis.clone(),
        };
        let moment = Moment {
            now: self.now,
            log_available: self.log_available,
            agreement_matches: query.envelope.agreement == self.agreement.digest(),
            enquiry_open: true,
            within_budget: true,
            identity: self.identity,
            holding: self.holding,
        };
        decide(self.agreement.agreement(), &request, &evidence.facts, &moment)
    }
}

fn circumstances<'s>(
    shared: &'s Shared,
    version: &'s Version<NodeKeys>,
    person: Option<&EnquiryPerson>,
    holding: Holding,
    log_available: bool,
) -> Circumstances<'s> {
    let ambiguous = person.is_some_and(|person| person.standing == Standing::IdentityReview);
    Circumstances {
        agreement: &version.agreement,
        holder: &shared.config.agency,
        now: shared.clock.now(),
        log_available,
        identity: if ambiguous { Identity::Ambiguous } else { Identity::Resolved },
        holding,
    }
}

/// The people of a request. The node's own opening of a commitment outranks what the hub now says it is: evidence
/// about another commitment is then not about this person.
pub fn people_as_opened<'p>(
    asked: &[PersonIn],
    opened: impl IntoIterator<Item = (&'p PersonRef, Commitment)>,
) -> People {
    let mut people: People = asked.iter().map(|p| (p.person.clone(), p.commitment)).collect();
    for (person, own) in opened {
        if let Some(commitment) = people.get_mut(person) {
            *commitment = own;
        }
    }
    people
}

fn holding(entries: &[EntryRecord]) -> Holding {
    if entries.is_empty() {
        return Holding::NotHeld;
    }
    // The strictest of all entries governs: they leave together.
    Holding::Held {
        third_party: entries.iter().any(|entry| entry.third_party),
        restricted: entries.iter().any(|entry| entry.restricted),
        handling_code: entries.iter().any(|entry| entry.handling_code),
        more_detrimental: entries.iter().any(|entry| entry.more_detrimental),
    }
}
