//! Opening enquiries as a co-ordinator does, a few at a time: opened, followed until every agency has spoken, and the first steps of
//! its life recorded. While the last of them are opened, somebody else reads lists.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use brag_common::{
    tls::with_deadline,
    wire::pb::{self, AnswerStatus, record_request::Step, watch_response::Event},
};
use futures::StreamExt as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    CALL_WITHIN, Client, Opening, Options, Sample, agenda, hub_cpu, list, nodes_cpu, stage::Stage,
};
use crate::{
    partnership::COORDINATOR,
    people::{Invented, TODAY},
    player::Narrator,
};

/// Enquiries that are being opened at the same time.
const AT_ONCE: usize = 3;

/// The share of the enquiries, in per cent, behind which the reader begins.
const READ_FROM: usize = 80;

/// The reader's pause between a list and an agenda.
const READ_EVERY: Duration = Duration::from_millis(250);

/// How long the agencies have to speak before the next enquiry is opened all the same.
const SPEAK_WITHIN: Duration = Duration::from_secs(60);

/// How an enquiry was opened.
struct Opened {
    open_milliseconds: f64,
    /// Until every agency had said something; absent when one did not in time.
    spoken_seconds: Option<f64>,
    /// One call that records a step.
    record_milliseconds: Vec<f64>,
}

/// Opens all.
pub(super) async fn all(
    stage: &Stage,
    options: &Options,
    narrator: &Narrator,
) -> anyhow::Result<Opening> {
    let client = stage.coordinator(COORDINATOR)?;
    let families: Vec<&[Invented]> = stage.people.people.chunks(options.n_people.max(1)).collect();
    let work = narrator.begin(&format!("Opening {} enquiries", families.len()), families.len());
    let (hub_before, nodes_before) = (hub_cpu(stage)?, nodes_cpu(stage)?);
    let began = Instant::now();
    let openings = families.iter().zip(1..).map(|(family, number)| {
        let client = client.clone();
        one(stage, client, number, family)
    });
    let mut openings = futures::stream::iter(openings).buffer_unordered(AT_ONCE);
    let stop = CancellationToken::new();
    // The reader ends when this returns, however it does.
    let _stops = stop.clone().drop_guard();
    let mut reader = None;
    let mut opened = Vec::with_capacity(families.len());
    while let Some(one) = openings.next().await {
        opened.push(one?);
        work.step();
        if reader.is_none() && opened.len() * 100 >= families.len() * READ_FROM {
            let client = stage.coordinator(COORDINATOR)?;
            reader = Some(tokio::spawn(read(client, stop.clone())));
        }
    }
    let wall_seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    let (lists, agendas) = reader.context("nothing was opened")?.await??;
    work.done();
    let each =
        |figure: fn(&Opened) -> Vec<f64>| Sample::of(opened.iter().flat_map(figure).collect());
    Ok(Opening {
        wall_seconds,
        hub_cpu: hub_cpu(stage)?.since(hub_before),
        nodes_cpu: nodes_cpu(stage)?.since(nodes_before),
        open_milliseconds: each(|one| vec![one.open_milliseconds]),
        spoken_seconds: each(|one| one.spoken_seconds.into_iter().collect()),
        record_milliseconds: each(|one| one.record_milliseconds.clone()),
        lists: Sample::of(lists),
        agendas: Sample::of(agendas),
    })
}

/// Reads a list and an agenda by turns until told to stop; gives how long each took, in milliseconds.
async fn read(mut client: Client, stop: CancellationToken) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let (mut lists, mut agendas) = (Vec::new(), Vec::new());
    loop {
        lists.push(list(&mut client, 100).await?.milliseconds);
        tokio::time::sleep(READ_EVERY).await;
        agendas.push(agenda(&mut client, 100).await?.milliseconds);
        tokio::select! {
            () = stop.cancelled() => return Ok((lists, agendas)),
            () = tokio::time::sleep(READ_EVERY) => {}
        }
    }
}

async fn one(
    stage: &Stage,
    mut client: Client,
    number: usize,
    family: &[Invented],
) -> anyhow::Result<Opened> {
    let began = Instant::now();
    let opened = client.open(with_deadline(request(number, family), CALL_WITHIN)).await?;
    let open_milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let enquiry = opened.into_inner().enquiry;
    let spoken = timeout(SPEAK_WITHIN, all_have_spoken(stage, client.clone(), &enquiry)).await;
    let spoken_seconds = match spoken {
        Ok(spoken) => spoken.map(|()| Some(began.elapsed().as_secs_f64()))?,
        Err(_) => None,
    };
    let request = with_deadline(pb::ShowRequest { enquiry: enquiry.clone() }, CALL_WITHIN);
    let shown = client.show(request).await?.into_inner();
    let first = shown.people.first().context("the enquiry has no people")?;
    let mut record_milliseconds = Vec::new();
    for step in steps(&first.person) {
        let request = pb::RecordRequest { enquiry: enquiry.clone(), step: Some(step) };
        let began = Instant::now();
        client.record(with_deadline(request, CALL_WITHIN)).await?;
        record_milliseconds.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Opened { open_milliseconds, spoken_seconds, record_milliseconds })
}

/// Follows an enquiry until every agency has said something about somebody.
async fn all_have_spoken(stage: &Stage, mut client: Client, enquiry: &str) -> anyhow::Result<()> {
    let request = pb::WatchRequest { enquiry: enquiry.to_owned() };
    let mut events = client.watch(request).await?.into_inner();
    let mut silent: BTreeSet<&str> = stage.agencies().iter().map(|one| one.as_str()).collect();
    while !silent.is_empty() {
        let event = events.message().await?.context("the hub has stopped telling")?;
        if let Some(Event::Cell(cell)) = event.event
            && cell.status() != AnswerStatus::Pending
        {
            silent.remove(cell.agency.as_str());
        }
    }
    Ok(())
}

/// An enquiry about a family: the first is the victim, the second poses a risk unless they are a child, and so on.
fn request(number: usize, family: &[Invented]) -> pb::OpenRequest {
    let people = family.iter().zip(1..).map(|(person, n)| {
        let is_child = person.born.year() > TODAY.year() - 18;
        let role = match (is_child, n) {
            (true, _) => pb::PersonRole::Child,
            (false, 1) => pb::PersonRole::Victim,
            (false, 2) => pb::PersonRole::PersonPosingRisk,
            (false, _) => pb::PersonRole::ConnectedPerson,
        };
        pb::EnquiryPerson {
            label: format!("P{n}"),
            identity: person.identity().canonical_bytes(),
            role: role.into(),
            initial: if n == 1 { pb::Colour::Amber } else { pb::Colour::Unspecified }.into(),
        }
    });
    pb::OpenRequest {
        purpose: "child_safeguarding".to_owned(),
        referral: Some(pb::Referral {
            agency: "POL".to_owned(),
            reference: format!("DAY-{number}"),
            source: "police_notification".to_owned(),
            ..pb::Referral::default()
        }),
        people: people.collect(),
        domestic_abuse: number.is_multiple_of(3),
        // Some of the invented have a name and a birthday in common.
        again_because: "A day of enquiries is measured.".to_owned(),
        ..pb::OpenRequest::default()
    }
}

/// What is recorded of every enquiry.
fn steps(person: &str) -> [Step; 3] {
    let lead = pb::Lead {
        agency: "CSC".to_owned(),
        role: "social worker".to_owned(),
        ..pb::Lead::default()
    };
    let action = pb::PlannedAction {
        action: "A-1".to_owned(),
        word: "child_in_need_plan".to_owned(),
        owner: "CSC".to_owned(),
        person: person.to_owned(),
        what: "Visit the family, and see everybody alone.".to_owned(),
        ..pb::PlannedAction::default()
    };
    let event = pb::Event {
        word: "strategy_meeting".to_owned(),
        agency: "CSC".to_owned(),
        ..pb::Event::default()
    };
    [Step::Lead(lead), Step::Action(action), Step::Event(event)]
}
