//! Matching at full size: agencies with a hundredth, a tenth and all of the people import, enrol, start and are screened.
//!
//! Import and enrolment are the programs' own commands. During an enrolment both programs are stopped for a moment
//! now and then, and the bare loop of the `voprf` crate is measured instead. Screenings are real calls over mutual TLS with
//! the hub's certificate and tokens made with the hub's secrets; they go to the agencies by turns, so that whatever
//! else the machine does weighs on all of them alike.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufWriter,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use brag_common::{
    id::AgencyId,
    store_key,
    time::{Clock as _, SystemClock},
};
use brag_hub::store::{Store as HubStore, shapes::EpochRecord};
use serde_json::Value;

use super::{
    Sample, floor,
    process::{self, Cpu, Measured, Paused},
};
use crate::{
    partnership::Partnership,
    people::{Noise, Region},
    player::Narrator,
    processes::{Fleet, Ports, Programs},
};

mod report;
mod screen;

pub use report::{
    Again, Enrolment, Floor, Import, Index, Ratios, Report, Screened, Screens, Service, Size, text,
};

/// From which the people follow.
const SEED: u64 = 20_270_209;

/// The agencies, from the one that knows fewest, and the share of all people that each knows.
const AGENCIES: [(&str, usize); 3] = [("DAS", 100), ("CSC", 10), ("HLT", 1)];

/// People whom nobody knows, to ask about.
const STRANGERS: usize = 2_000;

/// How long programs run between two samples of the floor, at least.
const FLOOR_EVERY: Duration = Duration::from_secs(5);

/// Samples of the floor in a run so far, at most, so that an hour of them does not become a second hour.
const FLOORS: u32 = 50;

/// How often each node is started to time it.
const STARTS: usize = 5;

/// How long a node that has started is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty.
    pub folder: PathBuf,
    /// People at the largest agency.
    pub n_people: usize,
    /// People whose keys the hub evaluates at each agency, at most; tokens of the others are made up.
    pub n_evaluated: usize,
    /// Screenings that hit, and as many that miss, at each agency.
    pub n_screens: usize,
}

/// One agency while it is measured.
struct Agency {
    id: AgencyId,
    n_people: usize,
    /// Of them the first, whose keys the hub evaluates.
    n_evaluated: usize,
    listen: SocketAddr,
}

struct Stage {
    partnership: Partnership,
    programs: Programs,
    region: Region,
    /// Programs run so far, so that each has its own output.
    n_runs: AtomicU32,
}

/// Measures. Everything that was started has ended when this returns.
///
/// # Errors
/// When a program fails, with its last words, or a figure can not be read.
pub async fn run(options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let n_people = options.n_people;
    let programs = Programs::beside_this(options.folder.join("captured"))?;
    let work = narrator.begin(&format!("Inventing {n_people} people"), 1);
    let region =
        tokio::task::spawn_blocking(move || Region::generate(SEED, n_people + STRANGERS)).await?;
    let partnership = Partnership::create(&options.folder, SystemClock.now(), |_| {})?;
    work.done();
    let mut stage = Stage { partnership, programs, region, n_runs: AtomicU32::new(0) };

    // The hub wants to know where everybody is; only three will be there.
    let parties = stage.partnership.agencies();
    let mut ports = Ports::reserve(parties.len() + 1)?;
    let mut addresses = ports.addresses()?;
    let hub = addresses.pop().context("no ports")?;
    let nodes: BTreeMap<_, _> = parties.iter().cloned().zip(addresses).collect();
    let hub_config = stage.partnership.write_hub_config(hub, &nodes)?;
    let mut agencies = Vec::new();
    for (id, share) in AGENCIES {
        let id: AgencyId = id.parse()?;
        let listen = *nodes.get(&id).context("not a party")?;
        let config = stage.partnership.write_node_config(&id, listen, hub)?;
        allow_any_number(&config)?;
        let n_people = (n_people / share).max(5);
        let n_evaluated = options.n_evaluated.min(n_people);
        agencies.push(Agency { id, n_people, n_evaluated, listen });
    }

    let strangers = stage.region.population.people.split_off(n_people);
    ports.give_out(hub);
    let fleet = Fleet::new(stage.programs.clone());
    fleet.start("hub", "hub", &hub_config).await?;
    let hub_id = fleet.process("hub").context("the hub has ended")?;
    let (mut imports, mut enrolments) = (Vec::new(), Vec::new());
    for agency in &agencies {
        let work = narrator.begin(&format!("Importing {} people", agency.n_evaluated), 1);
        let mut imported = import(&stage, agency, 0..agency.n_evaluated).await?;
        work.done();
        let work = narrator.begin(&format!("Enrolling {} people", agency.n_evaluated), 1);
        let mut enrolled = enrol(&stage, agency, hub_id).await?;
        work.done();
        if agency.n_evaluated < agency.n_people {
            let n_more = agency.n_people - agency.n_evaluated;
            let work = narrator.begin(&format!("Importing {n_more} people more"), 1);
            imported.and(import(&stage, agency, agency.n_evaluated..agency.n_people).await?);
            work.done();
            let work = narrator.begin("Making up their tokens, and writing the index", 1);
            make_up(&stage, agency).await?;
            enrol_again(&stage, agency, hub_id, &mut enrolled).await?;
            work.done();
        }
        imports.push(imported);
        enrolments.push(enrolled);
    }
    fleet.stop().await?;

    let keys = keys(&stage.partnership, &agencies)?;
    let mut nodes = Fleet::new(stage.programs.clone());
    let mut services = Vec::new();
    for agency in &agencies {
        ports.give_out(agency.listen);
        let work = narrator.begin(&format!("Starting with {} people", agency.n_people), 1);
        services.push(start(&stage, agency, &mut nodes).await?);
        work.done();
    }
    let work = narrator.begin(&format!("Screening {} times", options.n_screens * 6), 1);
    let screens =
        screen::run(&stage, &agencies, &keys, &strangers, options.n_screens, &nodes).await?;
    work.done();
    for (service, agency) in services.iter_mut().zip(&agencies) {
        let id = nodes.process(agency.id.as_str()).context("a node has ended")?;
        service.peak_bytes = process::memory(id)?.peak;
    }
    nodes.stop().await?;

    let mut sizes = Vec::new();
    let parts = imports.into_iter().zip(enrolments).zip(services).zip(screens);
    for (agency, (((import, enrolment), service), screens)) in agencies.iter().zip(parts) {
        let index = index(&stage, agency, enrolment.n_indexed())?;
        let n_people = agency.n_people;
        sizes.push(Size { n_people, import, enrolment, index, service, screens });
    }
    Report::of(SEED, sizes)
}

fn node_config(stage: &Stage, agency: &Agency) -> PathBuf {
    stage.partnership.node_folder(&agency.id).join("agency-node.toml")
}

/// Runs a command of the node that prints a JSON document.
async fn command(
    stage: &Stage,
    agency: &Agency,
    args: &[&str],
    between: impl AsyncFnMut(u32) -> anyhow::Result<Duration>,
) -> anyhow::Result<(Measured, Value)> {
    let config = node_config(stage, agency).display().to_string();
    let args = [args, &["--config", &config, "--json"]].concat();
    let n_run = stage.n_runs.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}.{}.{n_run}", agency.id, args[0]);
    let measured = process::run(&stage.programs, &name, &args, between).await?;
    measured.ended.done(&name)?;
    let document = serde_json::from_str(&measured.ended.stdout)?;
    Ok((measured, document))
}

async fn import(
    stage: &Stage,
    agency: &Agency,
    places: std::ops::Range<usize>,
) -> anyhow::Result<Import> {
    let csv = stage.partnership.folder().join("people.csv");
    let out = BufWriter::new(File::create(&csv)?);
    let people = &stage.region.population;
    people.write_rows(&agency.id, places, &Noise::TYPICAL, out)?;
    let csv_bytes = fs::metadata(&csv)?.len();
    let path = csv.display().to_string();
    let (measured, _) =
        command(stage, agency, &["import", &path], async |_| Ok(Duration::ZERO)).await?;
    fs::remove_file(&csv)?;
    Ok(Import {
        wall_seconds: measured.wall_seconds,
        cpu: measured.cpu,
        peak_bytes: measured.peak_bytes,
        csv_bytes,
        store_bytes: bytes_below(&data(stage, agency).join("store"))?,
    })
}

async fn enrol(stage: &Stage, agency: &Agency, hub: u32) -> anyhow::Result<Enrolment> {
    let mut floors = vec![tokio::task::spawn_blocking(floor::sample).await??];
    let (hub_before, _) = process::cpu(hub)?;
    let started = Instant::now();
    let mut last = Instant::now();
    let between = async |node| {
        if last.elapsed() < FLOOR_EVERY.max(started.elapsed() / FLOORS) {
            return Ok(Duration::ZERO);
        }
        let began = Instant::now();
        let paused = Paused::new(&[node, hub]);
        floors.push(tokio::task::spawn_blocking(floor::sample).await??);
        drop(paused);
        last = Instant::now();
        Ok(began.elapsed())
    };
    let (measured, document) = command(stage, agency, &["enrol"], between).await?;
    let (hub_after, _) = process::cpu(hub)?;
    floors.push(tokio::task::spawn_blocking(floor::sample).await??);
    let number = |name: &str| document[name].as_u64().context("the enrolment's document");
    Ok(Enrolment {
        n_evaluated: number("evaluated")?,
        n_batches: number("batches")?,
        n_tokens: number("tokens")?,
        wall_seconds: measured.wall_seconds,
        node_cpu: measured.cpu,
        hub_cpu: hub_after.since(hub_before),
        node_peak_bytes: measured.peak_bytes,
        hub_peak_bytes: process::memory(hub)?.peak,
        store_bytes: bytes_below(&data(stage, agency).join("store"))?,
        floor: Floor::of(&floors),
        again: None,
    })
}

/// Enrols when everybody has tokens.
async fn enrol_again(
    stage: &Stage,
    agency: &Agency,
    hub: u32,
    enrolled: &mut Enrolment,
) -> anyhow::Result<()> {
    let (measured, document) =
        command(stage, agency, &["enrol"], async |_| Ok(Duration::ZERO)).await?;
    anyhow::ensure!(document["evaluated"] == 0, "somebody had no tokens");
    enrolled.node_peak_bytes = enrolled.node_peak_bytes.max(measured.peak_bytes);
    enrolled.hub_peak_bytes = process::memory(hub)?.peak;
    enrolled.store_bytes = bytes_below(&data(stage, agency).join("store"))?;
    enrolled.again = Some(Again {
        n_tokens: document["tokens"].as_u64().context("the enrolment's document")?,
        wall_seconds: measured.wall_seconds,
        node_cpu: measured.cpu,
    });
    Ok(())
}

/// Gives everybody tokens who has none.
async fn make_up(stage: &Stage, agency: &Agency) -> anyhow::Result<()> {
    let config = brag_agency_node::Config::load(&node_config(stage, agency))?;
    let key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
    let keep = move || {
        let store = brag_agency_node::store::Store::open(
            config.data.as_path(),
            &config.enquiry_key_folder(),
            &key,
        )?;
        brag_agency_node::enrol::keep_made_up(&store)
    };
    let n_people = tokio::task::spawn_blocking(keep).await??;
    anyhow::ensure!(n_people > 0, "everybody had tokens");
    Ok(())
}

/// A measurement asks more in a minute than a partnership in a year.
pub(super) fn allow_any_number(config: &Path) -> anyhow::Result<()> {
    let most = u32::MAX;
    let text = std::fs::read_to_string(config)?;
    let budget = format!("[budget]\nscreenings_per_hour = {most}\nscreenings_per_day = {most}\n");
    Ok(std::fs::write(config, format!("{text}\n{budget}"))?)
}

/// The hub's secrets of these agencies, read from its store while it is stopped.
fn keys(partnership: &Partnership, agencies: &[Agency]) -> anyhow::Result<Vec<EpochRecord>> {
    let folder = partnership.hub_folder();
    let data = folder.join("data");
    let key = store_key::open(&data, &folder.join("keys/store.key"))?;
    let store = HubStore::open(&data, &folder.join("data-enquiry-keys"), &key)?;
    let newest = |agency: &Agency| {
        store.epochs(&agency.id)?.newest().cloned().context("the agency has not enrolled")
    };
    agencies.iter().map(newest).collect()
}

fn data(stage: &Stage, agency: &Agency) -> PathBuf {
    stage.partnership.node_folder(&agency.id).join("data")
}

fn index(stage: &Stage, agency: &Agency, n_tokens: u64) -> anyhow::Result<Index> {
    let n_bytes =
        fs::metadata(data(stage, agency).join(brag_agency_node::hot_index::NEWEST))?.len();
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let bytes_per_token = n_bytes as f64 / n_tokens.max(1) as f64;
    Ok(Index { n_tokens, n_bytes, bytes_per_token })
}

/// Starts the node several times; it is left running.
async fn start(stage: &Stage, agency: &Agency, nodes: &mut Fleet) -> anyhow::Result<Service> {
    let config = node_config(stage, agency);
    let mut seconds = Vec::new();
    for n in 0..STARTS {
        let mut alone = Fleet::new(stage.programs.clone());
        let fleet = if n + 1 == STARTS { &mut *nodes } else { &mut alone };
        let began = Instant::now();
        fleet.start(agency.id.as_str(), "agency-node", &config).await?;
        seconds.push(began.elapsed().as_secs_f64());
        alone.stop().await?;
    }
    tokio::time::sleep(SETTLE).await;
    let id = nodes.process(agency.id.as_str()).context("the node has ended")?;
    let memory = process::memory(id)?;
    Ok(Service { start_seconds: Sample::of(seconds), idle_bytes: memory.resident, peak_bytes: 0 })
}

/// Bytes of all files below a folder, as they take space on the disk.
fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut n_bytes = 0;
    for item in fs::read_dir(folder)? {
        let item = item?;
        let metadata = item.metadata()?;
        n_bytes +=
            if metadata.is_dir() { bytes_below(&item.path())? } else { metadata.blocks() * 512 };
    }
    Ok(n_bytes)
}
