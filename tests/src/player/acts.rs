//! The play: what people do, in order, over gRPC; and what comes of it beside what had to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use brag_common::{
    agreement::LinkKind,
    id::AgencyId,
    status::code_of,
    time::{Clock as _, Timestamp},
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
    report::{Report, Row},
    requests::open_request,
    stage::Stage,
};
use crate::{
    processes::Fleet,
    scenario::{Accept, Assertion, At, Check, Confirm, Event, Rating, Scenario, Threshold},
};

/// How long something that follows from an act may take: a loaded machine and an unoptimised build.
pub(super) const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

/// How often something is looked at that is no event.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What the hub has told a watching co-ordinator.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cells: BTreeMap<(String, String), pb::MatrixCell>,
    pub(super) releases: BTreeMap<(String, String), pb::ReleaseView>,
    pub(super) n_facts: usize,
}

/// Where a play is played, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Those who act.
    pub people: &'a People<'a>,
    /// The stage.
    pub stage: &'a Stage,
    /// What runs on it.
    pub fleet: &'a Fleet,
}

/// A play under way.
pub struct Play<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) people: &'a People<'a>,
    pub(super) stage: &'a Stage,
    pub(super) fleet: &'a Fleet,
    pub(super) start: Timestamp,
    pub(super) enquiry: String,
    /// References by label, and labels by reference.
    pub(super) references: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) seen: watch::Receiver<Seen>,
    pub(super) n_facts: usize,
    /// What statements say, by their name.
    pub(super) statements: BTreeMap<String, String>,
    /// References of releases by row, and the last word on each row and recipient.
    pub(super) asked: BTreeMap<String, String>,
    /// Releases and recipients that have something coming to them.
    pub(super) on_the_way: BTreeSet<(String, String)>,
    /// Agencies whose node is away, and those whose log can not be written.
    pub(super) away: BTreeSet<AgencyId>,
    pub(super) full: BTreeSet<AgencyId>,
    pub(super) report: Report,
}

impl<'a> Play<'a> {
    /// Opens the enquiry and begins to watch it.
    ///
    /// # Errors
    /// When the hub refuses.
    pub async fn open(scenario: &'a Scenario, scene: Scene<'a>) -> anyhow::Result<Self> {
        let Scene { people, stage, fleet } = scene;
        let start = stage.start;
        let (away, full) = scene.set(scenario.from_the_start()).await?;
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
        let play = Self {
            scenario,
            people,
            stage,
            fleet,
            start,
            enquiry,
            references,
            labels,
            seen,
            n_facts: 0,
            statements: BTreeMap::new(),
            asked: BTreeMap::new(),
            on_the_way: BTreeSet::new(),
            away,
            full,
            report,
        };
        for agency in people.agencies() {
            play.is_asked(agency).await?;
        }
        Ok(play)
    }

    /// Plays every event, and gives what came of it. `step` is told of each.
    ///
    /// # Errors
    /// When somebody can not act. What comes out otherwise than expected is no error but a row.
    pub async fn play_out(mut self, step: impl Fn()) -> anyhow::Result<Report> {
        for (at, event) in self.scenario.events() {
            self.advance_to(at).await.with_context(|| format!("before {at}"))?;
            match event {
                Event::Leave(away) => self.leave(away).await,
                Event::Return(away) => self.come_back(away).await,
                Event::Fill(full) => self.fill(full).await,
                Event::Room(full) => self.make_room(full).await,
                Event::Confirm(confirm) => self.confirm(confirm).await,
                Event::Rating(rating) => self.rate(rating).await,
                Event::Assertion(assertion) => self.assert(assertion).await,
                Event::Consent(consent) => self.consent(consent).await,
                Event::Accept(accept) => self.accept(accept).await,
                Event::Check(check) => self.check(check).await,
                Event::Release(release) => self.release(release).await,
                Event::Review(review) => self.review(review).await,
                Event::Open(open) => self.open_later(open).await,
            }
            .with_context(|| format!("at {at}"))?;
            step();
        }
        self.at_rest().await?;
        self.inboxes().await?;
        self.last_words().await?;
        Ok(self.report)
    }

    /// Puts the clock ahead, once nothing is on its way any more: a request that is overtaken by hours is dead.
    async fn advance_to(&self, at: At) -> anyhow::Result<()> {
        let at = at.after(self.start);
        if at > self.stage.hand.clock().now() {
            self.at_rest().await?;
            self.stage.hand.advance_to(at)?;
        }
        Ok(())
    }

    /// Everything that was released has arrived.
    async fn at_rest(&self) -> anyhow::Result<()> {
        let arrived = |seen: &Seen| {
            let mut coming = self.on_the_way.iter();
            coming.all(|place| seen.releases.get(place).is_some_and(|view| view.relayed))
        };
        self.until("the arrival of what was released", arrived).await
    }

    pub(super) async fn confirm(&mut self, confirm: &Confirm) -> anyhow::Result<()> {
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

    pub(super) async fn rate(&mut self, rating: &Rating) -> anyhow::Result<()> {
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
            let signed = signed.await;
            if let Some(code) = &rating.refused {
                let what = format!("{agency} gives {label} {colour}");
                let found = match &signed {
                    Ok(_) => "taken".to_owned(),
                    Err(status) => format!("refused {}", code_of(status).unwrap_or("(no code)")),
                };
                self.report.acts.push(Row::compare(what, format!("refused {code}"), found));
                continue;
            }
            let signed = signed.map_err(refused(&format!("{agency} rates {label}")))?;
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

    pub(super) async fn assert(&mut self, assertion: &Assertion) -> anyhow::Result<()> {
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

    pub(super) async fn accept(&mut self, accept: &Accept) -> anyhow::Result<()> {
        let (agency, label) = (accept.agency.get_ref(), accept.person.get_ref());
        let request = pb::AcceptActionRequest {
            enquiry: self.enquiry.clone(),
            person: self.reference(label),
            action: accept.action.to_string(),
        };
        let desk = self.people.assessor(agency)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.accept_action(asked(request)).await }
        });
        let what = format!("{agency} accepts action {}", accept.action);
        let signed = signed.await.map_err(refused(&what))?;
        let says = format!("{agency}: action {} about {label}", accept.action);
        self.statements.insert(signed.into_inner().statement_id, says);
        self.n_facts += 1;
        self.facts_are_in().await
    }

    pub(super) async fn check(&mut self, check: &Check) -> anyhow::Result<()> {
        // What does not come about in time shows in the rows. The end of a round is no event, so the whole is shown
        // again, not followed.
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        let mut shown = self.show().await?;
        while !compare::agrees(self.scenario, check, &shown, &self.labels)
            && Instant::now() < deadline
        {
            sleep(LOOK_AGAIN).await;
            shown = self.show().await?;
        }
        let agencies: Vec<AgencyId> = self.people.agencies().to_vec();
        let report = compare::check(self.scenario, check, &agencies, &shown, &self.labels);
        self.report.checks.push(report);
        Ok(())
    }

    pub(super) async fn show(&self) -> anyhow::Result<pb::ShowResponse> {
        let request = asked(pb::ShowRequest { enquiry: self.enquiry.clone() });
        let shown = self.people.coordinator()?.show(request).await;
        Ok(shown.map_err(refused("showing the enquiry"))?.into_inner())
    }

    pub(super) async fn facts_are_in(&self) -> anyhow::Result<()> {
        let n_facts = self.n_facts;
        self.until("signed facts at the hub", |seen| seen.n_facts >= n_facts).await
    }

    pub(super) async fn until(&self, what: &str, so: impl Fn(&Seen) -> bool) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        match timeout(FOLLOWS_WITHIN, seen.wait_for(|seen| so(seen))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => anyhow::bail!("the hub no longer tells what happens, waiting for {what}"),
            Err(_) => anyhow::bail!("{what}: not within {FOLLOWS_WITHIN:?}"),
        }
    }

    pub(super) fn reference(&self, label: &str) -> String {
        self.references[label].clone()
    }
}

impl Seen {
    pub(super) fn take(&mut self, event: pb::WatchResponse) {
        match event.event {
            Some(pb::watch_response::Event::Cell(cell)) => {
                self.cells.insert((cell.agency.clone(), cell.person.clone()), cell);
            }
            Some(pb::watch_response::Event::Release(view)) => {
                self.releases.insert((view.release.clone(), view.recipient.clone()), view);
            }
            Some(pb::watch_response::Event::Fact(_)) => self.n_facts += 1,
            Some(
                pb::watch_response::Event::RatingChanged(_)
                | pb::watch_response::Event::Challenge(_),
            )
            | None => {}
        }
    }
}

/// Tries again while the node has not been asked about the person yet.
pub(super) async fn once_told<T, F>(attempt: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let deadline = Instant::now() + FOLLOWS_WITHIN;
    loop {
        match attempt().await {
            Err(status) if code_of(&status) == Some("not_found") && Instant::now() < deadline => {
                sleep(LOOK_AGAIN).await;
            }
            other => return other,
        }
    }
}

pub(super) fn refused(what: &str) -> impl Fn(Status) -> anyhow::Error {
    move |status| {
        let code = code_of(&status).unwrap_or("no code").to_owned();
        anyhow::anyhow!("{what}: {} ({code}, {})", status.message(), status.code())
    }
}
