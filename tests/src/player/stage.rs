//! The stage: a partnership in a folder, every agency's records imported, its people enrolled, hub and nodes running.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufWriter,
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::Context as _;
use brag_common::{id::AgencyId, time::Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};

use super::progress::Narrator;
use crate::{
    partnership::Partnership,
    people::{Noise, Population},
    processes::{Fleet, Ports, Programs},
    scenario::Scenario,
    staging::Stagehand,
};

/// From which the invented people follow.
const SEED: u64 = 20_270_209;

/// Programs at work at the same time: each keeps a core busy.
const AT_ONCE: usize = 2;

/// The hub's name among the processes.
pub const HUB: &str = "hub";

/// A partnership with its records, not running yet.
#[derive(Debug)]
pub struct Stage {
    /// The partnership.
    pub partnership: Partnership,
    /// The programs as they are.
    pub programs: Programs,
    /// The programs on stage.
    pub staged: Programs,
    /// Who puts the clock ahead.
    pub hand: Stagehand,
    /// The scenario's start.
    pub start: Timestamp,
}

/// Where everybody is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The hub.
    pub hub: SocketAddr,
    /// The nodes.
    pub nodes: BTreeMap<AgencyId, SocketAddr>,
}

impl Stage {
    /// Makes keys, certificates and the signed agreement in `folder`, and imports every agency's records.
    ///
    /// # Errors
    /// When a file can not be written or an import fails.
    pub async fn set(
        folder: PathBuf,
        scenario: &Scenario,
        n_people: usize,
        narrator: &Narrator,
    ) -> anyhow::Result<Self> {
        let programs = Programs::beside_this(folder.join("captured"))?;
        let start = scenario.starts_at();
        let hand = Stagehand::set_up(folder.join("stage"), start)?;
        let staged = programs.on_stage(hand.folder());
        let work = narrator.begin("Making keys and certificates, signing the agreement", 1);
        let making = folder.clone();
        let partnership =
            tokio::task::spawn_blocking(move || Partnership::create(&making, start, |_| {}))
                .await??;
        work.done();
        let stage = Self { partnership, programs, staged, hand, start };
        // Addresses are not known yet, and not needed to import.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        for agency in stage.partnership.agencies() {
            stage.partnership.write_node_config(agency, nowhere, nowhere)?;
        }
        stage.import(scenario, n_people, narrator).await?;
        Ok(stage)
    }

    async fn import(
        &self,
        scenario: &Scenario,
        n_people: usize,
        narrator: &Narrator,
    ) -> anyhow::Result<()> {
        let agencies = self.partnership.agencies();
        let mut population = Population::generate(SEED, n_people);
        // Nobody else may have the number of somebody in the scenario.
        let taken = scenario.numbers();
        population.people.retain(|person| !person.nhs.iter().any(|nhs| taken.contains(nhs)));
        let files = self.partnership.folder().join("import");
        fs::create_dir(&files)?;
        let what = format!("Importing records of {n_people} invented people at 14 agencies");
        let what = what.replace("14", &agencies.len().to_string());
        let work = narrator.begin(&what, agencies.len());
        let imports = agencies.iter().map(|agency| {
            let (population, files, work) = (&population, &files, &work);
            async move {
                let csv = files.join(format!("{agency}.csv"));
                let layout = if scenario.has_csv(agency) { "csv" } else { "jsonl" };
                let records = files.join(format!("{agency}.of-scenario.{layout}"));
                let out = BufWriter::new(File::create(&csv)?);
                population.write_csv(agency, share_known(agency), &Noise::TYPICAL, out)?;
                let assessor = Partnership::assessor(agency);
                let out = BufWriter::new(File::create(&records)?);
                scenario.write_records(agency, &assessor, self.start, out)?;
                let config = self.config(agency);
                let (csv, records) = (csv.display().to_string(), records.display().to_string());
                let args = ["import", &csv, &records, "--config", &config, "--json"];
                let name = format!("{agency}.import");
                let ended = self.staged.run(&name, "agency-node", &args).await?;
                ended.done(&format!("the import of {agency}"))?;
                work.step();
                anyhow::Ok(())
            }
        });
        futures::stream::iter(imports).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        // From here on the records are in the stores only, sealed.
        fs::remove_dir_all(&files)?;
        work.done();
        Ok(())
    }

    /// Starts the hub.
    ///
    /// # Errors
    /// When it does not serve, with its last words.
    pub async fn start_hub(&self, fleet: &Fleet) -> anyhow::Result<()> {
        fleet.start(HUB, "hub", &self.partnership.hub_folder().join("hub.toml")).await
    }

    /// Starts one node.
    ///
    /// # Errors
    /// When it does not serve, with its last words.
    pub async fn start_node(&self, fleet: &Fleet, agency: &AgencyId) -> anyhow::Result<()> {
        let config = self.partnership.node_folder(agency).join("agency-node.toml");
        fleet.start(agency.as_str(), "agency-node", &config).await
    }

    fn config(&self, agency: &AgencyId) -> String {
        self.partnership.node_folder(agency).join("agency-node.toml").display().to_string()
    }

    /// Starts the hub, enrols every agency's people, and starts the nodes.
    ///
    /// # Errors
    /// When a program fails, with its last words.
    pub async fn raise(&self, fleet: &Fleet, narrator: &Narrator) -> anyhow::Result<Addresses> {
        match self.raise_once(fleet, narrator).await {
            // Somebody else has taken a port between its reservation and its use: once more, with others.
            Err(error) if format!("{error:#}").contains("can not listen on") => {
                narrator.say("A port was taken meanwhile; starting again with others.");
                fleet.stop().await?;
                self.raise_once(fleet, narrator).await
            }
            other => other,
        }
    }

    async fn raise_once(&self, fleet: &Fleet, narrator: &Narrator) -> anyhow::Result<Addresses> {
        let agencies = self.partnership.agencies();
        let mut ports = Ports::reserve(agencies.len() + 1)?;
        let mut free = ports.addresses()?.into_iter();
        let mut next = || free.next().context("no more ports");
        let hub = next()?;
        let mut nodes = BTreeMap::new();
        for agency in agencies {
            let listen = next()?;
            let config = self.partnership.write_node_config(agency, listen, hub)?;
            self.partnership.add_console(&config)?;
            nodes.insert(agency.clone(), listen);
        }
        let config = self.partnership.write_hub_config(hub, &nodes)?;
        self.partnership.add_console(&config)?;
        ports.give_out(hub);
        self.start_hub(fleet).await?;

        let work = narrator.begin("Enrolling people, blinded, at the hub", agencies.len());
        let enrolments = agencies.iter().map(|agency| {
            let work = &work;
            async move {
                let config = self.config(agency);
                let args = ["enrol", "--config", &config, "--json"];
                let name = format!("{agency}.enrol");
                let ended = self.staged.run(&name, "agency-node", &args).await?;
                ended.done(&format!("the enrolment of {agency}"))?;
                work.step();
                anyhow::Ok(())
            }
        });
        futures::stream::iter(enrolments).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        work.done();

        let work = narrator.begin("Starting the nodes", agencies.len());
        for (agency, listen) in &nodes {
            ports.give_out(*listen);
            self.start_node(fleet, agency).await?;
            work.step();
        }
        work.done();
        Ok(Addresses { hub, nodes })
    }
}

/// How many of a thousand people an agency knows, roughly: universal services many, specialists few.
pub(crate) fn share_known(agency: &AgencyId) -> u64 {
    match agency.as_str() {
        "HLT" => 400,
        "POL" | "HOU" => 250,
        "EDU" => 200,
        "CSC" | "MHT" => 80,
        "DAS" | "SMS" | "PRO" | "EHT" | "ASC" | "CAM" => 40,
        _ => 15,
    }
}
