//! The whole partnership with invented people, most of whom have a standing rating wherever they are known.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use brag_common::{
    id::{AgencyId, StaffName},
    time::{Clock as _, SharedClock, SignedDuration, SystemClock, Timestamp},
    tls::{Channel, ClientTls, connect},
    wire::pb::coordinator_service_client::CoordinatorServiceClient,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use toml_edit::{DocumentMut, value};
use tonic::transport::Endpoint;

use super::super::matching::allow_any_number;
use crate::{
    browser_client::Browser,
    partnership::Partnership,
    people::{Invented, Noise, Population, Random},
    player::{Narrator, share_known},
    processes::{Fleet, Ports, Programs},
};

/// From which the people follow.
pub(super) const SEED: u64 = 20_270_209;

/// The hub's name among the processes.
pub(super) const HUB: &str = "hub";

/// A second co-ordinator, whom the hub's configuration links to somebody whom nobody asks about.
pub(super) const COLLEAGUE: &str = "hub.colleague";

/// Programs at work at the same time while the stage is set: each keeps a core busy.
const AT_ONCE: usize = 2;

/// Of a thousand people whom an agency knows, those whom it has rated lately; it has to look at the others anew.
const RATED: u64 = 850;

/// Colours of standing ratings, from which one is drawn: most are not worried.
const COLOURS: [&str; 8] = ["blue", "blue", "green", "green", "green", "amber", "amber", "red"];

/// What every standing rating says: a length as people write it, and nobody's name.
const ANALYSIS: &str = "Known for some months. Contact was regular at first and has become rare; two appointments were \
     missed without a word. What is seen is out of keeping with what is said, and others should be heard.";

/// Hub and nodes, with their people.
pub(super) struct Stage {
    partnership: Partnership,
    programs: Programs,
    pub(super) people: Population,
    hub: SocketAddr,
    /// What runs.
    pub(super) fleet: Fleet,
}

impl Stage {
    /// Makes keys, certificates and agreement in `folder`, imports and enrols, and starts hub and nodes.
    pub(super) async fn set(
        folder: &Path,
        n_people: usize,
        narrator: &Narrator,
    ) -> anyhow::Result<Self> {
        let programs = Programs::beside_this(folder.join("captured"))?;
        let work = narrator.begin("Making keys and certificates, signing the agreement", 1);
        let now = SystemClock.now();
        let making = folder.to_owned();
        let partnership =
            tokio::task::spawn_blocking(move || Partnership::create(&making, now, |_| {}))
                .await??;
        work.done();
        let mut people = Population::generate(SEED, n_people + 1);
        let stranger = people.people.pop().context("nobody was invented")?;
        let agencies = partnership.agencies();
        let mut ports = Ports::reserve(agencies.len() + 1)?;
        let mut addresses = ports.addresses()?;
        let hub = addresses.pop().context("no ports")?;
        let nodes: BTreeMap<_, _> = agencies.iter().cloned().zip(addresses).collect();
        let hub_config = partnership.write_hub_config(hub, &nodes)?;
        partnership.add_console(&hub_config)?;
        as_in_service(&hub_config, &stranger)?;
        for (agency, listen) in &nodes {
            allow_any_number(&partnership.write_node_config(agency, *listen, hub)?)?;
        }
        let fleet = Fleet::new(programs.clone());
        let stage = Self { partnership, programs, people, hub, fleet };
        let what = format!("Importing records of {n_people} invented people at every agency");
        stage.everywhere(&what, narrator, async |agency| stage.import(agency, now).await).await?;
        ports.give_out(hub);
        stage.start_hub().await?;
        let what = "Enrolling them, blinded, at the hub";
        stage
            .everywhere(what, narrator, async |agency| stage.command(agency, &["enrol"]).await)
            .await?;
        let work = narrator.begin("Starting the nodes", nodes.len());
        for (agency, listen) in &nodes {
            ports.give_out(*listen);
            stage.fleet.start(agency.as_str(), "agency-node", &stage.config(agency)).await?;
            work.step();
        }
        work.done();
        Ok(stage)
    }

    /// The parties.
    pub(super) fn agencies(&self) -> &[AgencyId] {
        self.partnership.agencies()
    }

    /// Starts the hub and waits until it serves.
    pub(super) async fn start_hub(&self) -> anyhow::Result<()> {
        let config = self.partnership.hub_folder().join("hub.toml");
        self.fleet.start(HUB, "hub", &config).await
    }

    /// A new connection of one of the two co-ordinators.
    pub(super) fn coordinator(
        &self,
        name: &str,
    ) -> anyhow::Result<CoordinatorServiceClient<Channel>> {
        let ca = self.partnership.ca();
        let staff: StaffName = name.parse()?;
        let people = self.partnership.folder().join("people");
        fs::create_dir_all(&people)?;
        let files = ca.person(&staff).write(ca, &people, name);
        let domain = ca.trust_domain();
        let tls = ClientTls::load(files, domain.clone(), Arc::new(SystemClock))?;
        let endpoint = Endpoint::from_shared(format!("https://{}", self.hub))?;
        Ok(CoordinatorServiceClient::new(connect(&endpoint, domain.hub(), tls)))
    }

    /// A browser of the co-ordinator, who has just signed in at the hub's console.
    pub(super) async fn browser(&self, name: &str) -> anyhow::Result<Browser> {
        let folder = self.partnership.hub_folder();
        let mut browser = Browser::new(self.fleet.console(HUB)?, &folder.join("ca.pem"));
        let clock: SharedClock = Arc::new(SystemClock);
        browser.sign_in(&folder.join("data"), name, &clock).await;
        Ok(browser)
    }

    fn config(&self, agency: &AgencyId) -> PathBuf {
        self.partnership.node_folder(agency).join("agency-node.toml")
    }

    /// Does something for every agency, two at a time.
    async fn everywhere(
        &self,
        what: &str,
        narrator: &Narrator,
        each: impl AsyncFn(&AgencyId) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let work = narrator.begin(what, self.agencies().len());
        let each = self.agencies().iter().map(async |agency| {
            each(agency).await?;
            work.step();
            anyhow::Ok(())
        });
        futures::stream::iter(each).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        work.done();
        Ok(())
    }

    async fn import(&self, agency: &AgencyId, now: Timestamp) -> anyhow::Result<()> {
        let folder = self.partnership.node_folder(agency);
        let (csv, ratings) = (folder.join("people.csv"), folder.join("ratings.jsonl"));
        let share = share_known(agency);
        let out = BufWriter::new(File::create(&csv)?);
        self.people.write_csv(agency, share, &Noise::NONE, out)?;
        let known = self.people.known_to(agency, share);
        write_ratings(agency, &known, now, BufWriter::new(File::create(&ratings)?))?;
        let paths = [csv, ratings].map(|path| path.display().to_string());
        self.command(agency, &["import", &paths[0], &paths[1]]).await
    }

    /// Runs a command of an agency's node.
    async fn command(&self, agency: &AgencyId, args: &[&str]) -> anyhow::Result<()> {
        let config = self.config(agency).display().to_string();
        let name = format!("{agency}.{}", args[0]);
        let args = [args, &["--config", &config, "--json"]].concat();
        self.programs.run(&name, "agency-node", &args).await?.done(&name)
    }
}

/// The waits of a service and not of a test, and room for a day in minutes; and the colleague.
fn as_in_service(config: &Path, stranger: &Invented) -> anyhow::Result<()> {
    let person = config.with_file_name("linked-person.toml");
    let (given, family, born) = (&stranger.given, &stranger.family, stranger.born);
    fs::write(&person, format!("given = {given:?}\nfamily = {family:?}\nborn = {born}\n"))?;
    let mut document: DocumentMut = fs::read_to_string(config)?.parse()?;
    document.remove("fan_out");
    for key in [
        "enquiries_per_hour",
        "enquiries_per_day",
        "people_per_hour",
        "people_per_day",
        "people_per_referral",
    ] {
        document["budget"][key] = value(i64::from(u32::MAX));
    }
    let colleague = format!(
        "\n[[staff]]\nname = \"{COLLEAGUE}\"\nroles = [\"coordinator\"]\nlinked_to = [\"linked-person.toml\"]\n"
    );
    Ok(fs::write(config, format!("{document}{colleague}"))?)
}

/// Standing ratings of most of those whom an agency knows, a day to three weeks old.
fn write_ratings(
    agency: &AgencyId,
    known: &[usize],
    now: Timestamp,
    mut out: impl Write,
) -> io::Result<()> {
    let seed = agency.as_str().bytes().fold(SEED, |seed, byte| seed << 5 ^ u64::from(byte));
    let mut random = Random::new(seed);
    for place in known {
        if !random.happens(RATED) {
            continue;
        }
        let age = SignedDuration::from_hours(24 + 24 * (random.next() % 20).cast_signed());
        let row = json!({
            "record": "rating",
            "id": place.to_string(),
            "colour": random.choose(&COLOURS),
            "analysis": ANALYSIS,
            "rated_by": Partnership::assessor(agency),
            "rated_at": (now - age).to_string(),
        });
        writeln!(out, "{row}")?;
    }
    out.flush()
}
