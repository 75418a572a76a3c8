//! A day of enquiries: a whole partnership of real processes, one enquiry after the other, and how quickly the co-ordinator sees them all.
//!
//! Every enquiry is about people of its own. Most of those whom an agency knows have a standing rating there, so that most cells are
//! answered at once and the others wait, as on a working day. Calls are real ones over mutual TLS, timed at the caller; the processor time
//! of the hub stands beside each, for it alone says something where the machine is shared.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use brag_common::{
    tls::{Channel, with_deadline},
    wire::pb::{self, coordinator_service_client::CoordinatorServiceClient},
};
use prost::Message as _;

use super::{
    Machine, Sample,
    process::{self, Cpu, Memory},
};
use crate::{browser_client::Browser, partnership::COORDINATOR, player::Narrator};

mod open;
mod report;
mod stage;

pub use report::{Opening, Report, Restart, Viewed, text};
use stage::{COLLEAGUE, HUB, SEED, Stage};

/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(300);

/// A list that comes within this time is fast.
const FAST: Duration = Duration::from_millis(100);

/// So many fast lists one after the other after a restart: from the first of them on lists are fast.
const IN_A_ROW: usize = 5;

/// How long lists may take to become fast.
const FAST_WITHIN: Duration = Duration::from_secs(300);

/// The hub is quiet when it has used less than a twentieth of a core for so many seconds.
const QUIET_SECONDS: usize = 3;

/// How long it may take to become quiet.
const QUIET_WITHIN: Duration = Duration::from_secs(120);

/// How long the quiet hub is looked at: longer than it waits before it looks for answers that are missing.
const IDLE: Duration = Duration::from_secs(20);

/// What to measure.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty.
    pub folder: PathBuf,
    /// Enquiries.
    pub n_enquiries: usize,
    /// People in each.
    pub n_people: usize,
    /// Calls of each kind.
    pub n_samples: usize,
}

/// Measures. Everything that was started has ended when this returns.
///
/// # Errors
/// When a program fails, with its last words, a call is refused, or a figure can not be read.
pub async fn run(options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let n_people = options.n_enquiries * options.n_people;
    let stage = Stage::set(&options.folder, n_people, narrator).await?;
    let measured = tokio::select! {
        measured = measure(&stage, options, narrator) => measured,
        died = stage.fleet.one_has_died() => Err(died),
    };
    let stopped = stage.fleet.stop().await;
    let report = measured?;
    stopped?;
    Ok(report)
}

async fn measure(stage: &Stage, options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let before = process::memory(hub(stage)?)?;
    let opening = open::all(stage, options, narrator).await?;
    let work = narrator.begin("Waiting until the hub is quiet, and looking at it", 1);
    quiet(stage).await?;
    let idle = hub_cpu(stage)?;
    tokio::time::sleep(IDLE).await;
    let idle_share = hub_cpu(stage)?.since(idle).total() / IDLE.as_secs_f64();
    let memory = process::memory(hub(stage)?)?;
    work.done();
    let work = narrator.begin("Asking for lists and agendas", 1);
    let views = views(stage, options.n_samples).await?;
    work.done();
    let work = narrator.begin("Starting the hub again", 1);
    let restart = restart(stage).await?;
    work.done();
    Ok(Report {
        machine: Machine::this()?,
        seed: SEED,
        n_agencies: stage.agencies().len(),
        n_enquiries: options.n_enquiries,
        n_people: options.n_people,
        opening,
        idle_share,
        memory_before: before,
        memory,
        views,
        restart,
    })
}

fn hub(stage: &Stage) -> anyhow::Result<u32> {
    stage.fleet.process(HUB).context("the hub has ended")
}

fn hub_cpu(stage: &Stage) -> anyhow::Result<Cpu> {
    Ok(process::cpu(hub(stage)?)?.0)
}

/// Processor time of all nodes together.
fn nodes_cpu(stage: &Stage) -> anyhow::Result<Cpu> {
    let mut all = Cpu::default();
    for agency in stage.agencies() {
        let id = stage.fleet.process(agency.as_str()).context("a node has ended")?;
        let (cpu, _) = process::cpu(id)?;
        all.user += cpu.user;
        all.system += cpu.system;
    }
    Ok(all)
}

/// Until the hub has nothing to do, or a time has passed.
async fn quiet(stage: &Stage) -> anyhow::Result<()> {
    let deadline = Instant::now() + QUIET_WITHIN;
    let mut n_quiet = 0;
    while n_quiet < QUIET_SECONDS && Instant::now() < deadline {
        let before = hub_cpu(stage)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = hub_cpu(stage)?.since(before).total() >= 0.05;
        n_quiet = if busy { 0 } else { n_quiet + 1 };
    }
    Ok(())
}

/// What a call gave.
struct Answer {
    milliseconds: f64,
    n_lines: usize,
    n_bytes: usize,
}

type Client = CoordinatorServiceClient<Channel>;

async fn list(client: &mut Client, limit: u32) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let answer = client.list(with_deadline(pb::ListRequest { limit }, CALL_WITHIN)).await?;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let answer = answer.into_inner();
    Ok(Answer { milliseconds, n_lines: answer.enquiries.len(), n_bytes: answer.encoded_len() })
}

async fn agenda(client: &mut Client, limit: u32) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let answer = client.agenda(with_deadline(pb::AgendaRequest { limit }, CALL_WITHIN)).await?;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let answer = answer.into_inner();
    Ok(Answer { milliseconds, n_lines: answer.enquiries.len(), n_bytes: answer.encoded_len() })
}

async fn show(client: &mut Client, enquiry: &str) -> anyhow::Result<Answer> {
    let request = pb::ShowRequest { enquiry: enquiry.to_owned() };
    let began = Instant::now();
    let answer = client.show(with_deadline(request, CALL_WITHIN)).await?;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let answer = answer.into_inner();
    Ok(Answer { milliseconds, n_lines: answer.cells.len(), n_bytes: answer.encoded_len() })
}

/// The page of one enquiry, as a browser asks for it: with a connection of its own, and so a handshake.
async fn page(browser: &mut Browser, path: &str) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let answer = browser.get(path).await;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    anyhow::ensure!(answer.status == 200, "the page is not there: {}", answer.text());
    let n_lines = answer.body.matches("<td class=\"govuk-table__cell\" id=\"cell-").count();
    Ok(Answer { milliseconds, n_lines, n_bytes: answer.body.len() })
}

/// Calls of every kind, one after the other, while nothing else is asked.
async fn views(stage: &Stage, n_samples: usize) -> anyhow::Result<Vec<Viewed>> {
    let mut client = stage.coordinator(COORDINATOR)?;
    let mut colleague = stage.coordinator(COLLEAGUE)?;
    let newest = pb::ListRequest { limit: 1 };
    let newest = client.list(with_deadline(newest, CALL_WITHIN)).await?.into_inner().enquiries;
    let newest = newest.into_iter().next().context("there is no enquiry")?.enquiry;
    // Connects before it counts.
    list(&mut colleague, 1).await?;
    let mut browser = stage.browser(COORDINATOR).await?;
    let (matrix, part) = (format!("/enquiries/{newest}"), format!("/enquiries/{newest}/matrix"));
    Ok(vec![
        viewed(stage, "list, 100 lines", n_samples, async || list(&mut client, 100).await).await?,
        viewed(stage, "list, 1,000 lines", n_samples, async || list(&mut client, 1000).await)
            .await?,
        viewed(stage, "agenda, 100 lines", n_samples, async || agenda(&mut client, 100).await)
            .await?,
        viewed(stage, "agenda, 1,000 lines", n_samples, async || agenda(&mut client, 1000).await)
            .await?,
        viewed(stage, "list, 1,000 lines, caller linked to somebody", n_samples, async || {
            list(&mut colleague, 1000).await
        })
        .await?,
        viewed(stage, "show, one enquiry", n_samples, async || show(&mut client, &newest).await)
            .await?,
        viewed(stage, "page of one enquiry, new connection", n_samples, async || {
            page(&mut browser, &matrix).await
        })
        .await?,
        viewed(stage, "its matrix alone, new connection", n_samples, async || {
            page(&mut browser, &part).await
        })
        .await?,
    ])
}

async fn viewed(
    stage: &Stage,
    what: &str,
    n_samples: usize,
    mut call: impl AsyncFnMut() -> anyhow::Result<Answer>,
) -> anyhow::Result<Viewed> {
    let before = hub_cpu(stage)?;
    let (mut milliseconds, mut last) = (Vec::with_capacity(n_samples), None);
    for _ in 0..n_samples {
        let answer = call().await?;
        milliseconds.push(answer.milliseconds);
        last = Some(answer);
    }
    let spent = hub_cpu(stage)?.since(before).total();
    let last = last.context("nothing was asked")?;
    Ok(Viewed {
        what: what.to_owned(),
        n_lines: last.n_lines,
        n_bytes: last.n_bytes,
        hub_cpu_milliseconds: spent * 1000.0 / report::count(n_samples),
        milliseconds: Sample::of(milliseconds),
    })
}

/// Stops the hub and starts it again: how long until it serves, until the first list, and until lists are fast.
async fn restart(stage: &Stage) -> anyhow::Result<Restart> {
    stage.fleet.send_away(HUB).await?;
    let began = Instant::now();
    stage.start_hub().await?;
    let serves_seconds = began.elapsed().as_secs_f64();
    let mut client = stage.coordinator(COORDINATOR)?;
    let first = list(&mut client, 100).await?;
    let first_list_seconds = began.elapsed().as_secs_f64();
    let first_list_cpu = hub_cpu(stage)?;
    let mut n_fast = 0;
    let mut row_began = began.elapsed();
    while n_fast < IN_A_ROW && began.elapsed() < FAST_WITHIN {
        let asked_at = began.elapsed();
        let answer = list(&mut client, 100).await?;
        if answer.milliseconds > FAST.as_secs_f64() * 1000.0 {
            n_fast = 0;
            continue;
        }
        if n_fast == 0 {
            row_began = asked_at;
        }
        n_fast += 1;
    }
    Ok(Restart {
        serves_seconds,
        first_list_seconds,
        first_list_cpu,
        n_lines: first.n_lines,
        fast_seconds: (n_fast == IN_A_ROW).then_some(row_began.as_secs_f64()),
        memory: process::memory(hub(stage)?)?,
    })
}
