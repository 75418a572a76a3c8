//! The play: what people do, in order, over gRPC; and what comes of it beside what had to.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use brag_common::{
    agreement::LinkKind,
    id::AgencyId,
    rating::Colour,
    status::code_of,
    time::Timestamp,
    wire::{pb, words},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tonic::Status;

use super::{
    compare,
    people::{People, asked},
    report::{ReleaseRow, Report, Row},
};
use crate::scenario::{
    Assertion, Check, Confirm, Event, Expected, Rating, Release, Review, Role, Scenario, Threshold,
};

/// How long something that follows from an act may take: a loaded machine and an unoptimised build.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

/// What the hub has told a watching co-ordinator.
#[derive(Debug, Default)]
struct Seen {
    cells: BTreeMap<(String, String), pb::MatrixCell>,
    releases: BTreeMap<(String, String), pb::ReleaseView>,
    n_facts: usize,
}

/// A play under way.
pub struct Play<'a> {
    scenario: &'a Scenario,
    people: &'a People<'a>,
    start: Timestamp,
    enquiry: String,
    /// References by label, and labels by reference.
    references: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    seen: watch::Receiver<Seen>,
    n_facts: usize,
    /// What statements say, by their name.
    statements: BTreeMap<String, String>,
    /// References of releases by row, and the last word on each row and recipient.
    asked: BTreeMap<String, String>,
    report: Report,
}

impl<'a> Play<'a> {
    /// Opens the enquiry and begins to watch it.
    ///
    /// # Errors
    /// When the hub refuses.
    pub async fn open(
        scenario: &'a Scenario,
        people: &'a People<'a>,
        start: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut coordinator = people.coordinator()?;
        let opened = coordinator.open(asked(open_request(scenario, start)?)).await;
        let enquiry = opened.map_err(refused("opening the enquiry"))?.into_inner().enquiry;
        let request = pb::WatchRequest { enquiry: enquiry.clone() };
        let events = coordinator.watch(request).await.map_err(refused("watching the enquiry"))?;
        let (tell, seen) = watch::channel(Seen::default());
        let mut events = events.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(event)) = events.message().await {
                tell.send_modify(|seen| seen.take(event));
            }
        });
        let shown = coordinator.show(asked(pb::ShowRequest { enquiry: enquiry.clone() })).await;
        let shown = shown.map_err(refused("showing the enquiry"))?.into_inner();
        let pairs = shown.people.iter().map(|p| (p.label.clone(), p.person.clone()));
        let references: BTreeMap<_, _> = pairs.collect();
        let labels = references.iter().map(|(l, p)| (p.clone(), l.clone())).collect();
        let mut report = Report { scenario: scenario.title.clone(), ..Report::default() };
        report.enquiry.clone_from(&enquiry);
        report.people = scenario.person.iter().map(compare::person_line).collect();
        Ok(Self {
            scenario,
            people,
            start,
            enquiry,
            references,
            labels,
            seen,
            n_facts: 0,
            statements: BTreeMap::new(),
            asked: BTreeMap::new(),
            report,
        })
    }

    /// Plays every event, and gives what came of it. `step` is told of each.
    ///
    /// # Errors
    /// When somebody can not act. What comes out otherwise than expected is no error but a row.
    pub async fn play_out(mut self, step: impl Fn()) -> anyhow::Result<Report> {
        for (at, event) in self.scenario.events() {
            match event {
                Event::Confirm(confirm) => self.confirm(confirm).await,
                Event::Rating(rating) => self.rate(rating).await,
                Event::Assertion(assertion) => self.assert(assertion).await,
                Event::Check(check) => self.check(check).await,
                Event::Release(release) => self.release(release).await,
                Event::Review(review) => self.review(review).await,
            }
            .with_context(|| format!("at {at}"))?;
            step();
        }
        self.inboxes().await?;
        self.last_words().await?;
        Ok(self.report)
    }

    async fn confirm(&mut self, confirm: &Confirm) -> anyhow::Result<()> {
        let agency = confirm.agency.get_ref();
        let knows = |label: &str| {
            let mut records = self.scenario.record.iter();
            records.any(|r| r.agency.get_ref() == agency && r.person.get_ref() == label)
        };
        let links: Vec<(&str, LinkKind, &str)> = self
            .scenario
            .links()
            .filter(|(from, kind, to)| confirm.kinds.contains(kind) && knows(from) && knows(to))
            .collect();
        for (from, kind, to) in links {
            let request = pb::ConfirmLinkRequest {
                enquiry: self.enquiry.clone(),
                link: Some(pb::ClaimedLink {
                    from: self.reference(from),
                    to: self.reference(to),
                    kind: words::link_kind(kind).into(),
                }),
            };
            let desk = self.people.assessor(agency)?;
            let signed = once_told(|| {
                let (mut desk, request) = (desk.clone(), request.clone());
                async move { desk.confirm_link(asked(request)).await }
            });
            let signed = signed.await.map_err(refused(&format!("{agency} confirms a link")))?;
            let says = format!("{agency}: {from} {} {to}", kind.word());
            self.statements.insert(signed.into_inner().statement_id, says);
            self.n_facts += 1;
        }
        self.facts_are_in().await
    }

    async fn rate(&mut self, rating: &Rating) -> anyhow::Result<()> {
        let agency = rating.agency.get_ref();
        let via = rating.via.as_ref().map(|label| self.reference(label.get_ref()));
        for (label, colour) in &rating.colours {
            let label = label.get_ref();
            let request = pb::GiveRatingRequest {
                enquiry: self.enquiry.clone(),
                person: self.reference(label),
                colour: words::colour(*colour).into(),
                analysis: rating.analysis.clone(),
                topics: rating.topics.clone(),
                via: via.clone().unwrap_or_default(),
                decline_reason: String::new(),
            };
            let desk = self.people.assessor(agency)?;
            let signed = once_told(|| {
                let (mut desk, request) = (desk.clone(), request.clone());
                async move { desk.give_rating(asked(request)).await }
            });
            let signed = signed.await.map_err(refused(&format!("{agency} rates {label}")))?;
            let says = format!("{agency}: {colour} for {label}");
            self.statements.insert(signed.into_inner().statement_id, says);
            let cell = (agency.to_string(), self.reference(label));
            let wanted = i32::from(words::colour(*colour));
            let via = via.clone().unwrap_or_default();
            self.until(&format!("{agency}'s colour for {label} at the hub"), |seen| {
                seen.cells.get(&cell).is_some_and(|c| c.colour == wanted && c.via == via)
            })
            .await?;
        }
        Ok(())
    }

    async fn assert(&mut self, assertion: &Assertion) -> anyhow::Result<()> {
        let agency = assertion.agency.get_ref();
        let meeting = assertion.meeting.map(|at| at.after(self.start).as_millisecond());
        let (kind, word) = match assertion.kind {
            Threshold::Section47 => (pb::AssertionKind::Section47, "section 47"),
            Threshold::Marac => (pb::AssertionKind::Marac, "Marac"),
            Threshold::CareAct42 => (pb::AssertionKind::CareAct42, "Care Act section 42"),
        };
        let request = pb::MakeAssertionRequest {
            enquiry: self.enquiry.clone(),
            kind: kind.into(),
            people: assertion.people.iter().map(|p| self.reference(p.get_ref())).collect(),
            dash_ticks: assertion.dash_ticks,
            professional_judgement: assertion.judgement,
            reports_in_12_months: assertion.reports,
            repeat: assertion.repeat,
            meeting_at_unix_ms: meeting.unwrap_or_default(),
        };
        let desk = self.people.assessor(agency)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.make_assertion(asked(request)).await }
        });
        let signed = signed.await.map_err(refused(&format!("{agency} states {word}")))?;
        let says = match assertion.dash_ticks {
            0 => format!("{agency}: {word}"),
            ticks => format!("{agency}: {word}, Dash {ticks}"),
        };
        self.statements.insert(signed.into_inner().statement_id, says);
        self.n_facts += 1;
        self.facts_are_in().await
    }

    async fn check(&mut self, check: &Check) -> anyhow::Result<()> {
        let agrees = |seen: &Seen| {
            check.matrix.iter().all(|(agency, cells)| {
                cells.iter().zip(self.scenario.labels()).all(|(expected, label)| {
                    let place = (agency.get_ref().to_string(), self.reference(label));
                    let found = seen.cells.get(&place);
                    found.is_some_and(|cell| {
                        compare::cell(cell, &self.labels) == expected.to_string()
                    })
                })
            })
        };
        // What does not come about in time shows in the rows.
        let _ = self.until("the matrix", agrees).await;
        let shown = self.show().await?;
        let agencies: Vec<AgencyId> = self.people.agencies().to_vec();
        let report = compare::check(self.scenario, check, &agencies, &shown, &self.labels);
        self.report.checks.push(report);
        Ok(())
    }

    async fn release(&mut self, release: &Release) -> anyhow::Result<()> {
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
        let answer = self.people.coordinator()?.request_release(asked(request)).await;
        let views = answer.map_err(refused(&format!("row {id}")))?.into_inner().releases;
        for to in &release.to {
            let recipient = to.get_ref();
            let view = views.iter().find(|view| view.recipient == recipient.as_str());
            let view = view.with_context(|| format!("row {id}: no answer for {recipient}"))?;
            self.asked.insert(id.clone(), view.release.clone());
            let expected = release.expect.iter().find(|(known, _)| known.get_ref() == recipient);
            let (_, expected) = expected.context("nothing is expected")?;
            let (decided, differences) =
                compare::decision(expected, view, self.start, &self.statements);
            let mut row = ReleaseRow {
                id: id.clone(),
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

    async fn review(&mut self, review: &Review) -> anyhow::Result<()> {
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
                    desk.refuse(asked(request)).await.map_err(refused("an approver refuses"))?;
                    reviewed.push(format!("approver {n} of {holder} refused"));
                }
                None => {
                    let approved = desk.approve(asked(pb::ApproveRequest { work })).await;
                    let needed = approved.map_err(refused("an approver approves"))?.into_inner();
                    let needed = needed.approvals_needed;
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

    /// The recipient opens what was released to it, and reads exactly what the holder holds.
    async fn open_detail(
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
                let request = pb::OpenDetailRequest {
                    release: reference.to_owned(),
                    obligations_accepted: true,
                };
                let opened = self.people.assessor(recipient)?.open_detail(asked(request)).await;
                opened.map(|opened| opened.into_inner().text).map_err(|s| s.message().to_owned())
            }
        };
        let held = compare::held(self.scenario, release);
        // INVARIANT: no payload is repeated in a row; whether it is the right one is all that is said.
        let found = match read {
            Ok(text) if compare::is_whole(&text, &held) => "the holder's text".to_owned(),
            Ok(_) => "another text".to_owned(),
            Err(why) => why,
        };
        let opened = Row::compare(what, "the holder's text".to_owned(), found);
        row.differences.extend(opened.difference.clone());
        row.opened = Some(opened);
        Ok(())
    }

    /// Every agency has what was released to it in this enquiry, and nothing else.
    async fn inboxes(&mut self) -> anyhow::Result<()> {
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
    async fn last_words(&mut self) -> anyhow::Result<()> {
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
    fn final_word(&self, row: &ReleaseRow) -> Option<(&'a Expected, bool)> {
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

    async fn show(&self) -> anyhow::Result<pb::ShowResponse> {
        let request = asked(pb::ShowRequest { enquiry: self.enquiry.clone() });
        let shown = self.people.coordinator()?.show(request).await;
        Ok(shown.map_err(refused("showing the enquiry"))?.into_inner())
    }

    async fn facts_are_in(&self) -> anyhow::Result<()> {
        let n_facts = self.n_facts;
        self.until("signed facts at the hub", |seen| seen.n_facts >= n_facts).await
    }

    async fn until(&self, what: &str, so: impl Fn(&Seen) -> bool) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        match timeout(FOLLOWS_WITHIN, seen.wait_for(|seen| so(seen))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => anyhow::bail!("the hub no longer tells what happens, waiting for {what}"),
            Err(_) => anyhow::bail!("{what}: not within {FOLLOWS_WITHIN:?}"),
        }
    }

    fn reference(&self, label: &str) -> String {
        self.references[label].clone()
    }
}

impl Seen {
    fn take(&mut self, event: pb::WatchResponse) {
        match event.event {
            Some(pb::watch_response::Event::Cell(cell)) => {
                self.cells.insert((cell.agency.clone(), cell.person.clone()), cell);
            }
            Some(pb::watch_response::Event::Release(view)) => {
                self.releases.insert((view.release.clone(), view.recipient.clone()), view);
            }
            Some(pb::watch_response::Event::Fact(_)) => self.n_facts += 1,
            None => {}
        }
    }
}

/// Tries again while the node has not been asked about the person yet.
async fn once_told<T, F>(attempt: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let deadline = Instant::now() + FOLLOWS_WITHIN;
    loop {
        match attempt().await {
            Err(status) if code_of(&status) == Some("not_found") && Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            other => return other,
        }
    }
}

fn refused(what: &str) -> impl Fn(Status) -> anyhow::Error {
    move |status| {
        let code = code_of(&status).unwrap_or("no code").to_owned();
        anyhow::anyhow!("{what}: {} ({code}, {})", status.message(), status.code())
    }
}

fn open_request(scenario: &Scenario, start: Timestamp) -> anyhow::Result<pb::OpenRequest> {
    let people = scenario.person.iter().map(|person| {
        let identity = person.identity(start).map_err(anyhow::Error::msg)?;
        let role = match person.role {
            None => pb::PersonRole::Unspecified,
            Some(Role::Victim) => pb::PersonRole::Victim,
            Some(Role::Child) => pb::PersonRole::Child,
            Some(Role::PersonPosingRisk) => pb::PersonRole::PersonPosingRisk,
            Some(Role::ConnectedPerson) => pb::PersonRole::ConnectedPerson,
            Some(Role::Unclear) => pb::PersonRole::Unclear,
        };
        let initial =
            |colour: Option<Colour>| colour.map_or(pb::Colour::Unspecified, words::colour);
        Ok(pb::EnquiryPerson {
            label: person.label.get_ref().clone(),
            identity: identity.canonical_bytes(),
            role: role.into(),
            initial: initial(person.initial).into(),
        })
    });
    Ok(pb::OpenRequest {
        purpose: scenario.purpose.clone(),
        referral: Some(pb::Referral {
            agency: scenario.referral.agency.get_ref().to_string(),
            reference: scenario.referral.reference.clone(),
            incident_at_unix_ms: scenario.referral.incident.after(start).as_millisecond(),
            received_at_unix_ms: start.as_millisecond(),
        }),
        people: people.collect::<anyhow::Result<_>>()?,
        links: scenario
            .links()
            .map(|(from, kind, to)| pb::ClaimedLink {
                from: from.to_owned(),
                to: to.to_owned(),
                kind: words::link_kind(kind).into(),
            })
            .collect(),
        domestic_abuse: scenario.domestic_abuse,
        answer_within_s: 0,
    })
}

/// The usual basis of a safeguarding request, with what the row says instead.
fn basis(release: &Release) -> pb::LawfulBasis {
    let mut basis = pb::LawfulBasis {
        art6: "UKGDPR_6_1_E".to_owned(),
        art9_condition: "UKGDPR_9_2_G".to_owned(),
        art10_authority: "DPA18_SCH1_P18".to_owned(),
        dpa_schedule_para: "DPA18_SCH1_P18".to_owned(),
        statutory_gateway: "CA2004_S10_S11_S16E".to_owned(),
        confidentiality_justification: "overriding_public_interest".to_owned(),
        agreement_status: "not_sought".to_owned(),
        necessity: "To plan the safety of the family.".to_owned(),
        proportionality: "This category only, to those who act on it.".to_owned(),
        asked_subject: false,
        not_asked_because: "Asking would raise the risk.".to_owned(),
    };
    for (field, text) in &release.basis {
        let place = match field.get_ref().as_str() {
            "art6" => &mut basis.art6,
            "art9_condition" => &mut basis.art9_condition,
            "art10_authority" => &mut basis.art10_authority,
            "dpa_schedule_para" => &mut basis.dpa_schedule_para,
            "statutory_gateway" => &mut basis.statutory_gateway,
            "confidentiality_justification" => &mut basis.confidentiality_justification,
            "agreement_status" => &mut basis.agreement_status,
            "necessity" => &mut basis.necessity,
            "proportionality" => &mut basis.proportionality,
            "not_asked_because" => &mut basis.not_asked_because,
            // The reading of the file knows these fields and no others.
            _ => continue,
        };
        place.clone_from(text);
    }
    basis
}
