//! What the hub tells a co-ordinator who watches, and waiting for it.

use std::{collections::BTreeMap, sync::Arc};

use brag_common::wire::pb;
use tokio::{sync::watch, time::timeout};

use super::{
    acts::{FOLLOWS_WITHIN, Play, refused},
    people::People,
};

/// What the hub has told a watching co-ordinator.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cells: BTreeMap<(String, String), pb::MatrixCell>,
    pub(super) releases: BTreeMap<(String, String), pb::ReleaseView>,
    /// Signed facts, by kind.
    pub(super) n_facts: BTreeMap<String, usize>,
}

/// Where it comes in.
pub(super) type Tell = Arc<watch::Sender<Seen>>;

/// Begins to watch an enquiry. The hub tells first what has happened; signed facts it tells only as they come.
pub(super) async fn follow(people: &People<'_>, enquiry: &str, tell: &Tell) -> anyhow::Result<()> {
    let request = pb::WatchRequest { enquiry: enquiry.to_owned() };
    let events = people.coordinator()?.watch(request).await;
    let mut events = events.map_err(refused("watching the enquiry"))?.into_inner();
    let tell = Arc::clone(tell);
    tokio::spawn(async move {
        while let Ok(Some(event)) = events.message().await {
            tell.send_modify(|seen| seen.take(event));
        }
    });
    Ok(())
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
            Some(pb::watch_response::Event::Fact(kind)) => {
                *self.n_facts.entry(kind).or_default() += 1;
            }
            Some(
                pb::watch_response::Event::RatingChanged(_)
                | pb::watch_response::Event::Challenge(_)
                | pb::watch_response::Event::Flag(_)
                | pb::watch_response::Event::Step(_),
            )
            | None => {}
        }
    }
}

impl Play<'_> {
    pub(super) async fn facts_are_in(&self) -> anyhow::Result<()> {
        let all_in = |seen: &Seen| {
            self.n_facts.iter().all(|(kind, n)| seen.n_facts.get(*kind).is_some_and(|m| m >= n))
        };
        self.until("signed facts at the hub", all_in).await
    }

    pub(super) async fn until(&self, what: &str, so: impl Fn(&Seen) -> bool) -> anyhow::Result<()> {
        let mut seen = self.tell.subscribe();
        match timeout(FOLLOWS_WITHIN, seen.wait_for(|seen| so(seen))).await {
            Ok(_) => Ok(()),
            Err(_) => anyhow::bail!("{what}: not within {FOLLOWS_WITHIN:?}"),
        }
    }
}
