//! The play's requests for detail: what holders decide, what people approve and refuse, and who opens what.

use anyhow::Context as _;
use brag_common::{id::AgencyId, status::code_of, wire::pb};

use super::{
    compare,
    people::asked,
    report::{ReleaseRow, Row},
};
use crate::scenario::{Decided, Expected, Open, Release, Review};

use super::{
    acts::{Play, refused},
    requests::basis,
};

impl<'a> Play<'a> {
    pub(super) async fn release(&mut self, release: &Release) -> anyhow::Result<()> {
        let id = release.id.get_ref();
        let request = pb::RequestReleaseRequest {
            enquiry: self.enquiry.clone(),
            holder: release.holder.get_ref().to_string(),
            person: self.reference(release.person.get_ref()),
            category: release.category.to_string(),
            recipients: release.to.iter().map(|to| to.get_ref().to_string()).collect(),
            lawful_basis: Some(basis(release)),
            purpose: String::new(),
        };
        let answer = self.hands().request_release(request).await;
        let views = answer.map_err(refused(&format!("row {id}")))?;
        for to in &release.to {
            let recipient = to.get_ref();
            let view = views.iter().find(|view| view.recipient == recipient.as_str());
            let view = view.with_context(|| format!("row {id}: no answer for {recipient}"))?;
            self.asked.insert(id.clone(), view.release.clone());
            if view.decision() == pb::Decision::Release {
                self.on_the_way.insert((view.release.clone(), recipient.to_string()));
            }
            let expected = release.expect.iter().find(|(known, _)| known.get_ref() == recipient);
            let (_, expected) = expected.context("nothing is expected")?;
            let (decided, differences) =
                compare::decision(expected, view, self.start, &self.statements);
            let mut row = ReleaseRow {
                id: id.clone(),
                release: view.release.clone(),
                at: release.at.to_string(),
                holder: release.holder.get_ref().to_string(),
                person: release.person.get_ref().clone(),
                category: release.category.to_string(),
                recipient: recipient.to_string(),
                decided,
                reviewed: Vec::new(),
                finally: None,
                opened: None,
                ok: true,
                differences,
            };
            if release.opened_by.iter().any(|by| by.get_ref() == recipient)
                && view.decision() == pb::Decision::Release
            {
                self.open_detail(release, recipient, &view.release, &mut row).await?;
            }
            row.ok = row.differences.is_empty();
            self.report.releases.push(row);
        }
        Ok(())
    }

    pub(super) async fn review(&mut self, review: &Review) -> anyhow::Result<()> {
        let (id, recipient) = (review.release.get_ref(), review.recipient.get_ref());
        let rows = &self.scenario.release;
        let release = rows.iter().find(|r| r.id.get_ref() == id).context("no such row")?;
        let holder = release.holder.get_ref();
        let reference = self.asked.get(id).context("the row was not asked")?.clone();
        let mut reviewed = Vec::new();
        for n in &review.by {
            let mut desk = self.people.approver(holder, *n)?;
            let list = desk.worklist(asked(pb::WorklistRequest {})).await;
            let list = list.map_err(refused("an approver's worklist"))?.into_inner();
            let waits = |work: &&pb::ReviewWork| {
                work.release == reference && work.recipient == recipient.as_str()
            };
            let Some(work) = list.reviews.iter().find(waits).map(|work| work.work.clone()) else {
                reviewed.push(format!("approver {n} of {holder} found nothing to decide"));
                continue;
            };
            match &review.refuse {
                Some(reason) => {
                    let request = pb::RefuseRequest { work, reason: reason.clone() };
                    let said = self.hands().refuse((holder, *n), request).await;
                    said.map_err(refused("an approver refuses"))?;
                    reviewed.push(format!("approver {n} of {holder} refused"));
                }
                None => {
                    let redacted_text = review.redact.clone().unwrap_or_default();
                    let reason = match &review.redact {
                        Some(_) => "The rest is about others.".to_owned(),
                        None => String::new(),
                    };
                    let redaction = String::new();
                    let request = pb::ApproveRequest { work, redacted_text, reason, redaction };
                    let approved = self.hands().approve((holder, *n), request).await;
                    let needed = approved.map_err(refused("an approver approves"))?;
                    reviewed
                        .push(format!("approver {n} of {holder} approved, {needed} more needed"));
                }
            }
        }
        let place = (reference.clone(), recipient.to_string());
        let wanted = review.expect.decision.word();
        let _ = self
            .until("the outcome of a review", |seen| {
                let view = seen.releases.get(&place);
                view.is_some_and(|view| compare::decision_word(view) == wanted)
            })
            .await;
        if review.expect.decision == Decided::Release {
            self.on_the_way.insert(place.clone());
        }
        let mut rows = std::mem::take(&mut self.report.releases);
        let found = rows.iter_mut().find(|row| row.id == *id && row.recipient == place.1);
        if let Some(row) = found {
            row.reviewed = reviewed;
            if review.opened {
                self.open_detail(release, recipient, &reference, row).await?;
            }
            row.ok = row.differences.is_empty();
        }
        self.report.releases = rows;
        Ok(())
    }

    /// A recipient opens, or tries to, what came to it before.
    pub(super) async fn open_later(&mut self, open: &Open) -> anyhow::Result<()> {
        let (id, recipient) = (open.release.get_ref(), open.recipient.get_ref());
        let rows = &self.scenario.release;
        let release = rows.iter().find(|r| r.id.get_ref() == id).context("no such row")?;
        let reference = self.asked.get(id).context("the row was not asked")?;
        let opened = self.hands().open_detail(recipient, reference.clone()).await;
        // INVARIANT: no payload is repeated in a row.
        let found = match opened {
            Ok(opened) => {
                let sent = self.sent(release, recipient);
                let whole = compare::is_whole(&opened, &sent);
                if whole { "the holder's text" } else { "another text" }.to_owned()
            }
            Err(status) => format!("refused {}", code_of(&status).unwrap_or("(no code)")),
        };
        let expected = match &open.refused {
            Some(code) => format!("refused {code}"),
            None => "the holder's text".to_owned(),
        };
        let what = format!("{recipient} opens {id} at {}", open.at);
        self.report.acts.push(Row::compare(what, expected, found));
        Ok(())
    }

    /// What goes to a recipient: what the holder holds, or the text that its approvers gave in the place of it.
    fn sent(&self, release: &Release, recipient: &AgencyId) -> Vec<String> {
        let reviewed = self.scenario.review.iter().find(|review| {
            review.release.get_ref() == release.id.get_ref()
                && review.recipient.get_ref() == recipient
        });
        match reviewed.and_then(|review| review.redact.clone()) {
            Some(text) => vec![text],
            None => compare::held(self.scenario, release),
        }
    }

    /// The recipient opens what was released to it, and reads exactly what went to it.
    pub(super) async fn open_detail(
        &self,
        release: &Release,
        recipient: &AgencyId,
        reference: &str,
        row: &mut ReleaseRow,
    ) -> anyhow::Result<()> {
        let place = (reference.to_owned(), recipient.to_string());
        let arrived = self.until("the arrival of detail", |seen| {
            seen.releases.get(&place).is_some_and(|view| view.relayed)
        });
        let what = format!("{recipient} opens {}", release.category);
        let read = match arrived.await {
            Err(error) => Err(error.to_string()),
            Ok(()) => {
                let opened = self.hands().open_detail(recipient, reference.to_owned()).await;
                opened.map_err(|status| status.message().to_owned())
            }
        };
        let sent = self.sent(release, recipient);
        // INVARIANT: no payload is repeated in a row; whether it is the right one is all that is said.
        let found = match read {
            Ok(text) if compare::is_whole(&text, &sent) => "the holder's text".to_owned(),
            Ok(_) => "another text".to_owned(),
            Err(why) => why,
        };
        let opened = Row::compare(what, "the holder's text".to_owned(), found);
        row.differences.extend(opened.difference.clone());
        row.opened = Some(opened);
        Ok(())
    }

    /// Every agency has what was released to it in this enquiry, and nothing else.
    pub(super) async fn inboxes(&mut self) -> anyhow::Result<()> {
        let shown = self.show().await?;
        for agency in self.people.agencies() {
            let inbox = self.people.assessor(agency)?.inbox(asked(pb::InboxRequest {})).await;
            let inbox = inbox.map_err(refused("an inbox"))?.into_inner();
            let item = |holder: &str, person: &str, category: &str| {
                let label = self.labels.get(person).map_or("?", String::as_str);
                format!("{holder} {label} {category}")
            };
            let mut found: Vec<String> = inbox
                .items
                .iter()
                .filter(|known| known.enquiry == self.enquiry)
                .map(|known| item(&known.holder, &known.person, &known.category))
                .collect();
            let mut expected: Vec<String> = shown
                .releases
                .iter()
                .filter(|view| view.recipient == agency.as_str())
                .filter(|view| view.decision() == pb::Decision::Release)
                .map(|view| item(&view.holder, &view.person, &view.category))
                .collect();
            found.sort();
            expected.sort();
            let list = |items: Vec<String>| match items.len() {
                0 => "nothing".to_owned(),
                _ => items.join(", "),
            };
            let what = format!("inbox of {agency}");
            self.report.inboxes.push(Row::compare(what, list(expected), list(found)));
        }
        Ok(())
    }

    /// Where every row stands in the end.
    pub(super) async fn last_words(&mut self) -> anyhow::Result<()> {
        let shown = self.show().await?;
        let mut rows = std::mem::take(&mut self.report.releases);
        for row in &mut rows {
            let Some((expected, reviewed)) = self.final_word(row) else { continue };
            let reference = self.asked.get(&row.id).cloned().unwrap_or_default();
            let view = shown
                .releases
                .iter()
                .find(|view| view.release == reference && view.recipient == row.recipient);
            let view = view.context("a request for detail is not shown")?;
            let (decided, differences) =
                compare::decision(expected, view, self.start, &self.statements);
            row.differences.extend(differences.into_iter().map(|what| format!("finally: {what}")));
            row.ok = row.differences.is_empty();
            row.finally = (reviewed || !row.ok || decided.decision == "review").then_some(decided);
        }
        self.report.releases = rows;
        Ok(())
    }

    /// What a row has to come to, and whether people at the holder had a part in it.
    pub(super) fn final_word(&self, row: &ReleaseRow) -> Option<(&'a Expected, bool)> {
        let of_review = self.scenario.review.iter().find(|review| {
            *review.release.get_ref() == row.id
                && review.recipient.get_ref().as_str() == row.recipient
        });
        if let Some(review) = of_review {
            return Some((&review.expect, true));
        }
        let release = self.scenario.release.iter().find(|r| *r.id.get_ref() == row.id)?;
        let mut expected = release.expect.iter();
        let (_, expected) = expected.find(|(to, _)| to.get_ref().as_str() == row.recipient)?;
        Some((expected, false))
    }
}
