//! What goes wrong in a play on purpose: nodes that are away, logs that can not be written; and waiting until everybody
//! has been asked, so that no clock overtakes a question.

use std::collections::BTreeSet;

use brag_common::{
    id::AgencyId,
    wire::pb::{self, AnswerStatus},
};
use tokio::time::{Instant, sleep};

use super::{
    acts::{FOLLOWS_WITHIN, LOOK_AGAIN, Play, Scene, refused},
    people::asked,
    seen::follow,
    stage::HUB,
};
use crate::{
    scenario::{Away, Event, LogFull},
    staging::LogDisk,
};

/// Why the hub has no answer from an agency whose clock is another's.
const CLOCKS_DIFFER: &str = "CLOCKS_DIFFER";

/// An enquiry without since when answers are awaited: a hub that has just started asks again whoever has not answered yet or could
/// not, may fail to reach a node at its first try, and the time then counts from the second. What stands there, why, and everything
/// else, is as before.
fn as_it_stands(mut shown: pb::ShowResponse) -> pb::ShowResponse {
    for cell in &mut shown.cells {
        if matches!(
            cell.status(),
            AnswerStatus::Pending | AnswerStatus::Unable | AnswerStatus::NoResponse
        ) {
            cell.since_unix_ms = 0;
        }
    }
    shown
}

impl Scene<'_> {
    /// Sets what is so already when the enquiry is opened: agencies that are away, and those whose log is full.
    pub(super) async fn set(
        &self,
        events: impl Iterator<Item = Event<'_>>,
    ) -> anyhow::Result<(BTreeSet<AgencyId>, BTreeSet<AgencyId>)> {
        let (mut away, mut full) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            match event {
                Event::Leave(Away { agency, .. }) => {
                    self.fleet.send_away(agency.get_ref().as_str()).await?;
                    away.insert(agency.get_ref().clone());
                }
                Event::Fill(LogFull { agency, .. }) => {
                    self.log_disk(agency.get_ref(), LogDisk::Full).await?;
                    full.insert(agency.get_ref().clone());
                }
                _ => {}
            }
        }
        Ok((away, full))
    }

    async fn log_disk(&self, agency: &AgencyId, disk: LogDisk) -> anyhow::Result<()> {
        self.stage.hand.set_log_disk(agency.as_str(), disk, FOLLOWS_WITHIN).await
    }
}

impl Play<'_> {
    const fn scene(&self) -> Scene<'_> {
        Scene { people: self.people, stage: self.stage, fleet: self.fleet, desks: self.desks }
    }

    pub(super) async fn leave(&mut self, away: &Away) -> anyhow::Result<()> {
        let agency = away.agency.get_ref();
        self.fleet.send_away(agency.as_str()).await?;
        self.away.insert(agency.clone());
        Ok(())
    }

    /// The node serves again, and the hub has asked it what it could not ask before.
    pub(super) async fn come_back(&mut self, away: &Away) -> anyhow::Result<()> {
        let agency = away.agency.get_ref();
        self.stage.start_node(self.fleet, agency).await?;
        self.away.remove(agency);
        self.is_asked(agency).await
    }

    pub(super) async fn fill(&mut self, full: &LogFull) -> anyhow::Result<()> {
        let agency = full.agency.get_ref();
        self.scene().log_disk(agency, LogDisk::Full).await?;
        self.full.insert(agency.clone());
        Ok(())
    }

    /// There is room again, and the hub has asked what could not be answered before.
    pub(super) async fn make_room(&mut self, full: &LogFull) -> anyhow::Result<()> {
        let agency = full.agency.get_ref();
        self.scene().log_disk(agency, LogDisk::Roomy).await?;
        self.full.remove(agency);
        self.is_asked(agency).await
    }

    /// The hub ends while nothing is on its way, and starts again; it has lost nothing. What it asks anew at its start may take a
    /// moment to be answered as before.
    pub(super) async fn restart_hub(&self) -> anyhow::Result<()> {
        let before = as_it_stands(self.with_one_clock().await?);
        self.kill_hub().await?;
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let after = as_it_stands(self.show().await?);
            if after == before {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let stands = |same: bool| if same { "as before" } else { "OTHERWISE" };
                let pairs = before.cells.iter().zip(&after.cells);
                let changed: Vec<String> = pairs
                    .filter(|(before, after)| before != after)
                    .map(|(before, after)| {
                        let (agency, was, is) = (&after.agency, before.status(), after.status());
                        format!("{agency} {was:?} {} now {is:?} {}", before.reason, after.reason)
                    })
                    .collect();
                anyhow::bail!(
                    "the hub has lost something: cells {} ({}), flags {}, clocks {}, plan {}",
                    stands(after.cells == before.cells),
                    changed.join("; "),
                    stands(after.flags == before.flags),
                    stands(after.clocks == before.clocks),
                    stands(after.plan == before.plan),
                );
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The enquiry once no agency's clock is behind: the player has just put them all ahead, and whoever was asked in that moment
    /// is asked again.
    async fn with_one_clock(&self) -> anyhow::Result<pb::ShowResponse> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let shown = self.show().await?;
            let behind = shown.cells.iter().find(|cell| cell.reason == CLOCKS_DIFFER);
            let Some(behind) = behind else { return Ok(shown) };
            let agency = &behind.agency;
            anyhow::ensure!(Instant::now() < deadline, "{agency}'s clock stays behind");
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The hub ends in the middle of what it does and starts again; it is watched anew. An agency from which an answer is awaited is
    /// asked again at once: that is waited for, too, so that no clock overtakes the question.
    pub(super) async fn kill_hub(&self) -> anyhow::Result<()> {
        let asked_before = self.answers_awaited().await?;
        self.fleet.kill(HUB).await?;
        self.stage.start_hub(self.fleet).await?;
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        // The old connection may end only when it is used.
        while let Err(error) = follow(self.people, &self.enquiry, &self.tell).await {
            anyhow::ensure!(Instant::now() < deadline, "the hub can not be watched again: {error}");
            sleep(LOOK_AGAIN).await;
        }
        for (agency, before) in asked_before {
            while self.fleet.n_answered(&agency, "rate")? <= before {
                anyhow::ensure!(Instant::now() < deadline, "{agency} is not asked again");
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Agencies whose assessors have been asked and have not answered, and how often each node has taken a question.
    async fn answers_awaited(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let shown = self.show().await?;
        let awaited = shown.cells.iter().filter(|cell| cell.status() == AnswerStatus::Pending);
        let agencies: BTreeSet<&String> = awaited.map(|cell| &cell.agency).collect();
        let count = |agency: &String| Ok((agency.clone(), self.fleet.n_answered(agency, "rate")?));
        agencies.into_iter().map(count).collect()
    }

    /// Waits until the hub has asked an agency about everybody and has its first word: that nothing comes back, that it
    /// is unable, a colour, not known; or until its assessor has been asked.
    pub(super) async fn is_asked(&self, agency: &AgencyId) -> anyhow::Result<()> {
        for label in self.scenario.labels() {
            let place = (agency.to_string(), self.reference(label));
            let what = format!("the first word of {agency} about {label}");
            let said = |so: fn(AnswerStatus) -> bool| {
                let place = place.clone();
                self.until(&what, move |seen| {
                    seen.cells.get(&place).is_some_and(|cell| so(cell.status()))
                })
            };
            if self.away.contains(agency) {
                said(|status| status == AnswerStatus::NoResponse).await?;
            } else if self.full.contains(agency) {
                said(|status| status == AnswerStatus::Unable).await?;
            } else if self.waits_for_an_assessor(agency, label) {
                self.is_on_worklist(agency, &place.1).await?;
            } else {
                said(|status| {
                    !matches!(
                        status,
                        AnswerStatus::Pending | AnswerStatus::NoResponse | AnswerStatus::Unable
                    )
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Whether the agency has the person on record, and no standing rating that answers.
    fn waits_for_an_assessor(&self, agency: &AgencyId, label: &str) -> bool {
        let has_record = self
            .scenario
            .record
            .iter()
            .any(|r| r.agency.get_ref() == agency && r.person.get_ref() == label);
        let stands = self.scenario.rating.iter().any(|rating| {
            rating.agency.get_ref() == agency
                && rating.at.is_before_start()
                && rating.colours.keys().any(|known| known.get_ref() == label)
        });
        has_record && !stands
    }

    async fn is_on_worklist(&self, agency: &AgencyId, person: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let mut desk = self.people.assessor(agency)?;
            let list = desk.worklist(asked(pb::WorklistRequest {})).await;
            let list = list.map_err(refused("a worklist"))?.into_inner();
            let waits = |work: &pb::RatingWork| {
                work.enquiry == self.enquiry && work.person == person && work.kind == "rate"
            };
            if list.ratings.iter().any(waits) {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "nobody of {agency} was asked about somebody it has on record"
            );
            sleep(LOOK_AGAIN).await;
        }
    }
}
