//! The partnership that is put under faults: a hub and four nodes with their people, everything between them through relays.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    id::AgencyId,
    time::{Clock as _, SignedDuration, SystemClock},
};
use serde_json::json;
use toml_edit::{DocumentMut, value};

use super::{
    control::{self, Word},
    disk::Disk,
    relay::Relay,
    unit::{Kit, Started, Unit},
};
use crate::{
    federation::{ANALYSIS, keep_parties},
    partnership::Partnership,
    people::{Invented, Noise, Population},
    player::Narrator,
    processes::Programs,
};

/// The hub's name among the programs.
pub const HUB: &str = "hub";

/// Whose detail is asked for.
pub const HOLDER: &str = "SMS";
/// Who gets it.
pub const RECIPIENT: &str = "CSC";
/// Agencies whose people rate. The fourth has standing ratings, and answers at once.
pub const RATERS: [&str; 3] = [HOLDER, RECIPIENT, "POL"];
/// Whose standing ratings are fresh.
pub const STANDING: &str = "DAS";

/// What is asked for and released once somebody is red.
pub const RELEASED: &str = "C33";
/// What is asked for and stays: nothing that happens here opens it.
pub const WITHHELD: &str = "C42";

/// People whom every agency knows, each of a household of their own.
pub const N_PEOPLE: usize = 40;

/// How long a node has for a call, in seconds: the life of a request, but for what clocks may differ.
pub const CALL_WITHIN_SECONDS: u32 = 8;

/// The partnership.
#[derive(Debug)]
pub struct Stage {
    /// Its files.
    pub partnership: Partnership,
    /// The hub, then the nodes.
    pub units: Vec<Unit>,
    /// For each node its two ways: to the hub, and from it.
    pub ways: Vec<[Relay; 2]>,
    /// Those who are asked about.
    pub people: Vec<Invented>,
    /// What everything printed.
    pub captured: PathBuf,
}

impl Stage {
    /// Makes everything in `folder`, imports, enrols, and starts all programs.
    ///
    /// # Errors
    /// When something can not be made or started, or does not go through the library.
    pub async fn set(folder: &Path, seed: u64, narrator: &Narrator) -> anyhow::Result<Self> {
        let captured = folder.join("captured");
        let programs = Programs::beside_this(captured.clone())?;
        let library = control::build(folder)?;
        let folder_of = programs.path(HUB).parent().context("no folder")?.to_owned();
        let kit = Kit { library, captured: captured.clone(), folder: folder_of };
        let parties: Vec<AgencyId> = RATERS
            .iter()
            .chain([&STANDING])
            .map(|name| name.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| anyhow::anyhow!("no agency's name"))?;
        let now = SystemClock.now();
        let making = folder.join("partnership");
        let partnership = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&making)?;
            Partnership::create(&making, now, |document| keep_parties(document, &parties))
        })
        .await??;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut ways, mut to_nodes) = (Vec::new(), BTreeMap::new());
        for agency in partnership.agencies() {
            let both = [Relay::listen().await?, Relay::listen().await?];
            to_nodes.insert(agency.clone(), both[1].address());
            ways.push(both);
        }
        let config = partnership.write_hub_config(any, &to_nodes)?;
        in_a_hurry(&config)?;
        let disk = Disk::new(partnership.hub_folder().join("data"))?;
        let to_hub = ways.iter().map(|both: &[Relay; 2]| both[0].clone()).collect();
        let relays = (Relay::listen().await?, to_hub);
        let mut units = vec![Unit::new((HUB, "hub"), config, kit.clone(), disk, relays)?];
        for (agency, both) in partnership.agencies().iter().zip(&ways) {
            let config = partnership.write_node_config(agency, any, both[0].address())?;
            let most = u32::MAX;
            let budget =
                format!("\n[budget]\nscreenings_per_hour = {most}\nscreenings_per_day = {most}\n");
            File::options().append(true).open(&config)?.write_all(budget.as_bytes())?;
            let disk = Disk::new(partnership.node_folder(agency).join("data"))?;
            let relays = (Relay::listen().await?, vec![both[1].clone()]);
            let name = (agency.as_str(), "agency-node");
            units.push(Unit::new(name, config, kit.clone(), disk, relays)?);
        }
        let mut households = BTreeMap::new();
        for person in Population::generate(seed, N_PEOPLE * 6).people {
            households.entry(person.household).or_insert(person);
        }
        let people: Vec<Invented> = households.into_values().take(N_PEOPLE).collect();
        anyhow::ensure!(people.len() == N_PEOPLE, "too few households");
        let stage = Self { partnership, units, ways, people, captured };
        stage.raise(seed, narrator).await?;
        Ok(stage)
    }

    async fn raise(&self, seed: u64, narrator: &Narrator) -> anyhow::Result<()> {
        let work = narrator.begin("Importing, enrolling and starting", self.units.len());
        let population = Population::generate(seed, N_PEOPLE * 6);
        for unit in &self.units {
            if unit.name != HUB {
                self.import(unit, &population).await?;
            }
        }
        for unit in &self.units {
            if unit.name != HUB {
                unit.run(&["enrol"]).await?;
            }
            let started = unit.start().await?;
            anyhow::ensure!(started == Started::Serves, "{}: {started:?}", unit.name);
            work.step();
            let [log, store] =
                [Word::LogSyncs, Word::StoreSyncs].map(|word| unit.control.read(word));
            let all_through = log? > 0 && store? > 0;
            anyhow::ensure!(
                all_through,
                "{} does not sync log and store through the library",
                unit.name
            );
        }
        work.done();
        Ok(())
    }

    async fn import(&self, unit: &Unit, population: &Population) -> anyhow::Result<()> {
        let folder = unit.folder();
        let (csv, rows) = (folder.join("people.csv"), folder.join("records.jsonl"));
        let agency: AgencyId = unit.name.parse().map_err(|_| anyhow::anyhow!("no agency"))?;
        let mut places = Vec::new();
        for person in &self.people {
            let place = population.people.iter().position(|known| known == person);
            places.push(place.context("somebody is not in the population")?);
        }
        let out = BufWriter::new(File::create(&csv)?);
        population.write_rows(&agency, places.iter().copied(), &Noise::NONE, out)?;
        let mut out = BufWriter::new(File::create(&rows)?);
        let rated_at = SystemClock.now() - SignedDuration::from_hours(30);
        for place in &places {
            if unit.name == HOLDER {
                for category in [RELEASED, WITHHELD] {
                    let row = json!({
                        "record": "entry", "id": place.to_string(), "entry": category, "category": category,
                        "text": marker(category, *place), "flags": [],
                    });
                    writeln!(out, "{row}")?;
                }
            }
            if unit.name == STANDING {
                let row = json!({
                    "record": "rating", "id": place.to_string(), "colour": "green", "analysis": ANALYSIS,
                    "rated_by": Partnership::assessor(&agency), "rated_at": rated_at.to_string(),
                });
                writeln!(out, "{row}")?;
            }
        }
        out.flush()?;
        drop(out);
        let paths = [&csv, &rows].map(|path| path.display().to_string());
        unit.run(&["import", &paths[0], &paths[1]]).await?;
        // From here on the records are in the store only, sealed.
        fs::remove_file(csv)?;
        Ok(fs::remove_file(rows)?)
    }

    /// The program of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn unit(&self, name: &str) -> anyhow::Result<&Unit> {
        self.units.iter().find(|unit| unit.name == name).with_context(|| format!("no {name}"))
    }

    /// Words of detail that may be nowhere unsealed.
    #[must_use]
    pub fn markers() -> Vec<String> {
        vec!["MARKER-C33-of-somebody".to_owned(), "MARKER-C42-of-somebody".to_owned()]
    }

    /// What tells who somebody is, and may be in no log and no output: long enough not to be there by chance.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let of = |person: &Invented| {
            let name = format!("{} {}", person.given, person.family);
            [
                Some(name),
                person.nhs.clone(),
                Some(person.house.clone()),
                Some(person.postcode.clone()),
            ]
        };
        self.people.iter().flat_map(of).flatten().filter(|word| word.len() >= 7).collect()
    }
}

/// What the holder holds.
#[must_use]
pub fn marker(category: &str, place: usize) -> String {
    format!("MARKER-{category}-of-somebody number {place}, seen twice this autumn.")
}

/// Short waits, and room for any number of enquiries.
fn in_a_hurry(config: &Path) -> anyhow::Result<()> {
    let mut document: DocumentMut = fs::read_to_string(config)?.parse()?;
    document["fan_out"]["call_within"] = value(format!("{CALL_WITHIN_SECONDS}s"));
    document["fan_out"]["ask_again_after"] = value("1s");
    for key in [
        "enquiries_per_hour",
        "enquiries_per_day",
        "people_per_hour",
        "people_per_day",
        "people_per_referral",
        "enquiries_per_person",
    ] {
        document["budget"][key] = value(i64::from(u32::MAX));
    }
    Ok(fs::write(config, document.to_string())?)
}
