//! What people say about sharing, as agencies record it; and what is taken back because of it.

use anyhow::Context as _;
use brag_common::{id::AgencyId, wire::pb};
use tokio::time::{Instant, sleep};

use super::{
    acts::{FOLLOWS_WITHIN, LOOK_AGAIN, Play, refused},
    people::asked,
    report::Row,
};
use crate::scenario::{Acknowledge, Consent, ConsentSaid};

impl Play<'_> {
    /// An assessor records it, and the hub has it.
    pub(super) async fn consent(&mut self, consent: &Consent) -> anyhow::Result<()> {
        let (agency, label) = (consent.agency.get_ref(), consent.person.get_ref());
        let says = format!("{agency}: {label} {}", consent.said.word());
        let signed = match consent.said {
            ConsentSaid::Agreed | ConsentSaid::Refused => {
                self.hands().record_consent(agency, self.record(consent)).await
            }
            ConsentSaid::Withdrawn => {
                let request = pb::WithdrawConsentRequest {
                    enquiry: self.enquiry.clone(),
                    person: self.reference(label),
                    reason: String::new(),
                };
                self.hands().withdraw_consent(agency, request).await
            }
        };
        let id = signed.map_err(refused(&says))?;
        self.statements.extend(id.map(|id| (id, says)));
        *self.n_facts.entry("consent").or_default() += 1;
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

    /// What was released by a row has been taken back from a recipient, for the right reason; it acknowledges that, and the
    /// hub knows.
    pub(super) async fn acknowledge(&mut self, back: &Acknowledge) -> anyhow::Result<()> {
        let (agency, id) = (back.agency.get_ref(), back.release.get_ref());
        let reference = self.asked.get(id).context("the row was not asked")?.clone();
        let what = format!("{id} is taken back from {agency}");
        let notice = self.notice(agency, &reference).await?;
        let found = notice.as_ref().map_or("not taken back", |notice| &notice.reason).to_owned();
        self.report.acts.push(Row::compare(what, back.reason.code().to_owned(), found));
        let Some(notice) = notice else { return Ok(()) };
        let acknowledged = self.hands().acknowledge(agency, notice).await;
        acknowledged.map_err(refused(&format!("{agency} acknowledges")))?;
        let what = format!("{agency} has acknowledged that {id} is taken back");
        let known = self.acknowledged(agency, &reference).await?;
        let found = if known { "known to the hub" } else { "not known to the hub" };
        let expected = "known to the hub".to_owned();
        self.report.acts.push(Row::compare(what, expected, found.to_owned()));
        Ok(())
    }

    async fn notice(
        &self,
        agency: &AgencyId,
        reference: &str,
    ) -> anyhow::Result<Option<pb::Notice>> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let inbox = self.people.assessor(agency)?.inbox(asked(pb::InboxRequest {})).await;
            let notices = inbox.map_err(refused("an inbox"))?.into_inner().notices;
            let found = notices.into_iter().find(|notice| notice.release == reference);
            if found.is_some() || Instant::now() >= deadline {
                return Ok(found);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn acknowledged(&self, agency: &AgencyId, reference: &str) -> anyhow::Result<bool> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let shown = self.show().await?;
            let known = shown.releases.iter().any(|view| {
                view.release == reference
                    && view.recipient == agency.as_str()
                    && !view.retraction_acknowledged_by.is_empty()
            });
            if known || Instant::now() >= deadline {
                return Ok(known);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
