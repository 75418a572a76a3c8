//! The play: what people do, in order, over gRPC; and what comes of it beside what had to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use brag_common::{
    id::AgencyId,
    status::code_of,
    time::{Clock as _, Timestamp},
    wire::pb,
};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{
    KillHub, compare, flags,
    hands::{Desks, Hands},
    people::{People, asked},
    report::Report,
    requests::{open_form, open_request},
    seen::{Seen, Tell, follow},
    stage::Stage,
};
use crate::{
    processes::Fleet,
    scenario::{At, Check, Event, Scenario},
};

/// How long something that follows from an act may take: a loaded machine and an unoptimised build.
pub(super) const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

/// How often something is looked at that is no event.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where a play is played, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Those who act.
    pub people: &'a People<'a>,
    /// The stage.
    pub stage: &'a Stage,
    /// What runs on it.
    pub fleet: &'a Fleet,
    /// Those who use consoles; `None`: nobody.
    pub desks: Option<&'a Desks>,
}

impl<'a> Scene<'a> {
    /// The hands of everybody, for whom `labels` are known.
    const fn hands(&self, labels: &'a BTreeMap<String, String>) -> Hands<'a> {
        let Self { people, stage, fleet, desks } = *self;
        Hands { people, stage, fleet, desks, labels }
    }
}

/// A play under way.
pub struct Play<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) people: &'a People<'a>,
    pub(super) stage: &'a Stage,
    pub(super) fleet: &'a Fleet,
    pub(super) desks: Option<&'a Desks>,
    pub(super) start: Timestamp,
    pub(super) enquiry: String,
    /// References by label, and labels by reference.
    pub(super) references: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) tell: Tell,
    /// Signed facts that there have to be, by kind.
    pub(super) n_facts: BTreeMap<&'static str, usize>,
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
        let Scene { people, stage, fleet, desks } = scene;
        let start = stage.start;
        let (away, full) = scene.set(scenario.from_the_start()).await?;
        let mut coordinator = people.coordinator()?;
        let nobody = BTreeMap::new();
        let form = open_form(scenario, start);
        let opened = scene.hands(&nobody).open(open_request(scenario, start)?, form).await;
        let enquiry = opened.map_err(refused("opening the enquiry"))?;
        let tell = Tell::default();
        follow(people, &enquiry, &tell).await?;
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
            desks,
            start,
            enquiry,
            references,
            labels,
            tell,
            n_facts: BTreeMap::new(),
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
    pub async fn play_out(mut self, kill_hub: KillHub, step: impl Fn()) -> anyhow::Result<Report> {
        for (at, event) in self.scenario.events() {
            if kill_hub == KillHub::AtEveryStep {
                self.kill_hub().await.with_context(|| format!("before {at}"))?;
            }
            self.advance_to(at).await.with_context(|| format!("before {at}"))?;
            match event {
                Event::Leave(away) => self.leave(away).await,
                Event::Return(away) => self.come_back(away).await,
                Event::Fill(full) => self.fill(full).await,
                Event::Room(full) => self.make_room(full).await,
                Event::HubRestart(_) => self.restart_hub().await,
                Event::History(history) => self.history(history).await,
                Event::Confirm(confirm) => self.confirm(confirm).await,
                Event::Rating(rating) => self.rate(rating).await,
                Event::Assertion(assertion) => self.assert(assertion).await,
                Event::Consent(consent) => self.consent(consent).await,
                Event::Planned(action) => self.plan(action).await,
                Event::Accept(accept) => self.accept(accept).await,
                Event::Progress(progress) => self.progress(progress).await,
                Event::Happening(event) => self.happen(event).await,
                Event::Leader(lead) => self.lead(lead).await,
                Event::Meeting(meeting) => self.meet(meeting).await,
                Event::Waive(waive) => self.waive(waive).await,
                Event::Close(close) => self.close(close).await,
                Event::Acknowledge(acknowledge) => self.acknowledge(acknowledge).await,
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
        self.life_at_the_end().await?;
        Ok(self.report)
    }

    /// Puts the clock ahead, once nothing is on its way any more: a request that is overtaken by hours is dead.
    async fn advance_to(&self, at: At) -> anyhow::Result<()> {
        let at = at.after(self.start);
        if at > self.stage.hand.clock().now() {
            self.at_rest().await?;
            // Whoever looks settles which flags stand, so that none is raised or cleared at the next moment only.
            self.show().await?;
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

    pub(super) async fn check(&mut self, check: &Check) -> anyhow::Result<()> {
        // What does not come about in time shows in the rows. The end of a round is no event, so the whole is shown
        // again, not followed.
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        let agrees = |shown: &pb::ShowResponse| {
            let life = flags::rows(check, shown, self.start, &self.labels);
            life.iter().all(|row| row.ok)
                && compare::agrees(self.scenario, check, shown, &self.labels)
        };
        let mut shown = self.show().await?;
        while !agrees(&shown) && Instant::now() < deadline {
            sleep(LOOK_AGAIN).await;
            shown = self.show().await?;
        }
        let agencies: Vec<AgencyId> = self.people.agencies().to_vec();
        let mut report = compare::check(self.scenario, check, &agencies, &shown, &self.labels);
        report.life = flags::rows(check, &shown, self.start, &self.labels);
        self.report.checks.push(report);
        Ok(())
    }

    pub(super) async fn show(&self) -> anyhow::Result<pb::ShowResponse> {
        let request = asked(pb::ShowRequest { enquiry: self.enquiry.clone() });
        let shown = self.people.coordinator()?.show(request).await;
        Ok(shown.map_err(refused("showing the enquiry"))?.into_inner())
    }

    pub(super) const fn hands(&self) -> Hands<'_> {
        let Self { people, stage, fleet, desks, .. } = *self;
        Hands { people, stage, fleet, desks, labels: &self.labels }
    }

    pub(super) fn reference(&self, label: &str) -> String {
        self.references[label].clone()
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
