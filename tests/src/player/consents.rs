//! What people say about sharing, as agencies record it.

use brag_common::wire::pb;

use super::{
    acts::{Play, once_told, refused},
    people::asked,
};
use crate::scenario::{Consent, ConsentSaid};

impl Play<'_> {
    /// An assessor records it, and the hub has it.
    pub(super) async fn consent(&mut self, consent: &Consent) -> anyhow::Result<()> {
        let (agency, label) = (consent.agency.get_ref(), consent.person.get_ref());
        let says = format!("{agency}: {label} {}", consent.said.word());
        let desk = self.people.assessor(agency)?;
        let signed = match consent.said {
            ConsentSaid::Agreed | ConsentSaid::Refused => {
                let request = self.record(consent);
                let recorded = once_told(|| {
                    let (mut desk, request) = (desk.clone(), request.clone());
                    async move { desk.record_consent(asked(request)).await }
                });
                recorded.await.map(|answer| answer.into_inner().statement_id)
            }
            ConsentSaid::Withdrawn => {
                let request = pb::WithdrawConsentRequest {
                    enquiry: self.enquiry.clone(),
                    person: self.reference(label),
                    reason: String::new(),
                };
                let withdrawn = desk.clone().withdraw_consent(asked(request)).await;
                withdrawn.map(|answer| answer.into_inner().statement_id)
            }
        };
        let id = signed.map_err(refused(&says))?;
        self.statements.insert(id, says);
        self.n_facts += 1;
        self.facts_are_in().await
    }

    fn record(&self, consent: &Consent) -> pb::RecordConsentRequest {
        let answer = match consent.said {
            ConsentSaid::Agreed => pb::ConsentAnswer::Agreed,
            ConsentSaid::Refused | ConsentSaid::Withdrawn => pb::ConsentAnswer::Refused,
        };
        let expires = consent.expires.map(|at| at.after(self.start).as_millisecond());
        pb::RecordConsentRequest {
            enquiry: self.enquiry.clone(),
            person: self.reference(consent.person.get_ref()),
            answer: answer.into(),
            categories: consent.categories.iter().map(ToString::to_string).collect(),
            recipients: consent.recipients.iter().map(|to| to.get_ref().to_string()).collect(),
            expires_at_unix_ms: expires.unwrap_or_default(),
            asked_by: String::new(),
            not_asked_because: consent.not_asked.clone(),
        }
    }
}
