//! What people do while everything around them fails: enquiries are opened, rated, detail is asked for and read. Nobody repeats an act
//! whose outcome they can not see: they look first whether it is still to be done, as a person would.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use brag_common::{
    id::AgencyId,
    tls::with_deadline,
    wire::pb::{self, Colour, Decision},
};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{
    ledger::{Acknowledged, Ledger},
    stage::{HOLDER, RATERS, RECIPIENT, RELEASED, Stage, WITHHELD},
};
use crate::{
    federation::{ANALYSIS, Federation, lawful_basis},
    people::Random,
    player::people::People,
};

/// How long anybody waits for one call.
const CALL_WITHIN: Duration = Duration::from_secs(12);

/// The pause before somebody looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// How long one enquiry is followed before the next is opened: what is missing then may come all the same.
const FOLLOW_FOR: Duration = Duration::from_secs(12);

/// How many acts were tried, and how many of them came to nothing that could be seen.
#[derive(Debug, Default)]
pub struct Tries {
    /// Acts.
    pub n_tried: AtomicU64,
    /// Those that were refused or got no answer.
    pub n_unanswered: AtomicU64,
}

/// A request with the deadline of all calls here.
pub fn asked<T>(message: T) -> tonic::Request<T> {
    with_deadline(message, CALL_WITHIN)
}

/// Those who work, in one round.
#[derive(Debug)]
pub struct Work<'a> {
    /// The partnership.
    pub stage: &'a Stage,
    /// Who they are.
    pub people: &'a People<'a>,
    /// Where acknowledgements are written down.
    pub ledger: &'a Ledger,
    /// How much was tried.
    pub tries: &'a Tries,
    /// The round.
    pub round: u64,
    /// When nobody begins anything more.
    pub until: Instant,
}

impl Work<'_> {
    /// One enquiry after the other until the time is over.
    ///
    /// # Errors
    /// When an acknowledgement can not be written down, or detail was read that is not what is held.
    pub async fn keep_on(&self, mut random: Random) -> anyhow::Result<()> {
        while Instant::now() < self.until {
            match self.open(&mut random).await? {
                Some(enquiry) => self.follow(&enquiry, &mut random).await?,
                None => sleep(LOOK_AGAIN * 2).await,
            }
        }
        Ok(())
    }

    /// Counts an act, and gives what came of it when it was acknowledged.
    fn outcome<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Option<T> {
        self.tries.n_tried.fetch_add(1, Ordering::Relaxed);
        if answer.is_err() {
            self.tries.n_unanswered.fetch_add(1, Ordering::Relaxed);
        }
        answer.ok().map(tonic::Response::into_inner)
    }

    async fn open(&self, random: &mut Random) -> anyhow::Result<Option<String>> {
        let first = random.below(self.stage.people.len());
        let second =
            (first + 1 + random.below(self.stage.people.len() - 1)) % self.stage.people.len();
        let two = [first, second].map(|place| self.stage.people[place].identity());
        let request = Federation::opening(&[("P1", &two[0]), ("P2", &two[1])]);
        let answer = self.people.coordinator()?.open(asked(request)).await;
        let Some(opened) = self.outcome(answer) else { return Ok(None) };
        let enquiry = opened.enquiry;
        self.ledger.note(self.round, Acknowledged::Opened { enquiry: enquiry.clone() })?;
        Ok(Some(enquiry))
    }

    async fn show(&self, enquiry: &str) -> anyhow::Result<Option<pb::ShowResponse>> {
        let request = pb::ShowRequest { enquiry: enquiry.to_owned() };
        let shown = self.people.coordinator()?.show(asked(request)).await;
        Ok(shown.ok().map(tonic::Response::into_inner))
    }

    /// Rates whoever waits, asks for detail once the gate is open, and reads it.
    async fn follow(&self, enquiry: &str, random: &mut Random) -> anyhow::Result<()> {
        let ends = (Instant::now() + FOLLOW_FOR).min(self.until);
        let mut asked_for = BTreeSet::new();
        let mut read = BTreeSet::new();
        let mut red = BTreeMap::new();
        while Instant::now() < ends {
            for agency in RATERS {
                self.rate_all(enquiry, agency, &mut red, random).await?;
            }
            let Some(shown) = self.show(enquiry).await? else {
                sleep(LOOK_AGAIN).await;
                continue;
            };
            for person in
                shown.people.iter().filter(|one| one.gates.iter().any(|gate| gate == "g3"))
            {
                for category in [RELEASED, WITHHELD] {
                    // What was asked for before and got no answer is not asked for again.
                    let is_known = shown
                        .releases
                        .iter()
                        .any(|view| view.person == person.person && view.category == category);
                    let place = (person.person.clone(), category);
                    if !is_known && !asked_for.contains(&place) && Instant::now() < ends {
                        asked_for.insert(place);
                        self.ask(enquiry, &person.person, category).await?;
                    }
                }
            }
            self.read_all(enquiry, &mut read).await?;
            if !read.is_empty() && red.values().all(|acknowledged| *acknowledged) {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Rates everybody of the enquiry who is on the agency's worklist.
    async fn rate_all(
        &self,
        enquiry: &str,
        agency: &str,
        red: &mut BTreeMap<String, bool>,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let id: AgencyId = agency.parse().map_err(|_| anyhow::anyhow!("no agency"))?;
        let mut desk = self.people.assessor(&id)?;
        let Ok(list) = desk.worklist(asked(pb::WorklistRequest {})).await else { return Ok(()) };
        let waits = list.into_inner().ratings.into_iter();
        for work in waits.filter(|work| work.enquiry == enquiry && work.kind == "rate") {
            let colour = match agency {
                HOLDER => Colour::Red,
                _ => *random.choose(&[Colour::Green, Colour::Amber]),
            };
            let request = pb::GiveRatingRequest {
                enquiry: enquiry.to_owned(),
                person: work.person.clone(),
                colour: colour.into(),
                analysis: ANALYSIS.to_owned(),
                topics: vec!["substance".to_owned()],
                ..pb::GiveRatingRequest::default()
            };
            let given = self.outcome(desk.give_rating(asked(request)).await);
            if agency == HOLDER {
                red.insert(work.person.clone(), given.is_some());
            }
            if let Some(given) = given {
                let rated = Acknowledged::Rated {
                    enquiry: enquiry.to_owned(),
                    agency: agency.to_owned(),
                    person: work.person,
                    colour: colour.into(),
                    statement: given.statement_id,
                };
                self.ledger.note(self.round, rated)?;
            }
        }
        Ok(())
    }

    async fn ask(&self, enquiry: &str, person: &str, category: &str) -> anyhow::Result<()> {
        let request = pb::RequestReleaseRequest {
            enquiry: enquiry.to_owned(),
            holder: HOLDER.to_owned(),
            person: person.to_owned(),
            category: category.to_owned(),
            recipients: vec![RECIPIENT.to_owned()],
            lawful_basis: Some(lawful_basis()),
            purpose: String::new(),
        };
        let answer = self.people.coordinator()?.request_release(asked(request)).await;
        let Some(answer) = self.outcome(answer) else { return Ok(()) };
        for view in answer.releases {
            self.ledger.note(self.round, decided(enquiry, &view))?;
        }
        Ok(())
    }

    /// Reads what came to the recipient.
    async fn read_all(&self, enquiry: &str, read: &mut BTreeSet<String>) -> anyhow::Result<()> {
        let id: AgencyId = RECIPIENT.parse().map_err(|_| anyhow::anyhow!("no agency"))?;
        let mut desk = self.people.assessor(&id)?;
        let Ok(inbox) = desk.inbox(asked(pb::InboxRequest {})).await else { return Ok(()) };
        let items = inbox.into_inner().items.into_iter();
        for item in items.filter(|item| item.enquiry == enquiry && item.closed.is_empty()) {
            if read.contains(&item.release) {
                continue;
            }
            let release = item.release.clone();
            let request = pb::OpenDetailRequest { release, obligations_accepted: true };
            let opened = desk.open_detail(asked(request)).await;
            let Some(opened) = self.outcome(opened) else { continue };
            let is_held = opened.text.starts_with("MARKER-C33-of-somebody number ");
            anyhow::ensure!(is_held, "what was read of {} is not what is held", item.release);
            read.insert(item.release.clone());
            let acknowledged = Acknowledged::Read {
                enquiry: enquiry.to_owned(),
                release: item.release,
                recipient: RECIPIENT.to_owned(),
            };
            self.ledger.note(self.round, acknowledged)?;
        }
        Ok(())
    }
}

/// What the hub tells of a request, to be written down.
#[must_use]
pub fn decided(enquiry: &str, view: &pb::ReleaseView) -> Acknowledged {
    Acknowledged::Decided {
        enquiry: enquiry.to_owned(),
        release: view.release.clone(),
        holder: view.holder.clone(),
        recipient: view.recipient.clone(),
        person: view.person.clone(),
        category: view.category.clone(),
        decision: decision_word(view).to_owned(),
        reason: view.reason.clone(),
    }
}

/// What was decided, in the word of the logs.
#[must_use]
pub fn decision_word(view: &pb::ReleaseView) -> &'static str {
    match view.decision() {
        Decision::Release => "release",
        Decision::Review => "review",
        Decision::Deny => "deny",
        Decision::Unspecified => "no_response",
    }
}
