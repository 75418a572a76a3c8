//! What was measured, as one document and as text: ratios first.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Cpu, Sample};
use crate::load::{Machine, floor::FloorSample};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// From which the people followed.
    pub seed: u64,
    /// What the targets are about.
    pub ratios: Ratios,
    /// Each agency, from the smallest.
    pub sizes: Vec<Size>,
}

/// Ours to what it is compared with.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// Tokens for each processor second (node and hub together) to those of the bare loop, at the largest agency.
    pub enrolment_cpu: f64,
    /// Tokens a second to those of the bare loop on all cores, at the largest agency. On a shared machine it says little.
    pub enrolment_wall: f64,
    /// Median of a screening that hits at the largest agency to that at the smallest.
    pub screen_hit: f64,
    /// Median of a screening that misses at the largest agency to that at the smallest.
    pub screen_miss: f64,
}

/// One agency.
#[derive(Debug, Serialize)]
pub struct Size {
    /// People it knows.
    pub n_people: usize,
    /// How its records came in.
    pub import: Import,
    /// How its people were enrolled.
    pub enrolment: Enrolment,
    /// Its token index.
    pub index: Index,
    /// Its node, while it serves.
    pub service: Service,
    /// Screenings of it.
    pub screens: Screens,
}

/// An import from CSV.
#[derive(Debug, Serialize)]
pub struct Import {
    /// From the program's start to its end.
    pub wall_seconds: f64,
    /// Of the program.
    pub cpu: Cpu,
    /// The most memory it had.
    pub peak_bytes: u64,
    /// Length of the file.
    pub csv_bytes: u64,
    /// What the store then takes on the disk.
    pub store_bytes: u64,
}

/// An enrolment.
#[derive(Debug, Serialize)]
pub struct Enrolment {
    /// People whose keys the hub evaluated.
    pub n_evaluated: u64,
    /// Batches the hub evaluated.
    pub n_batches: u64,
    /// Their tokens.
    pub n_tokens: u64,
    /// From the program's start to its end, without the time of the floor's samples.
    pub wall_seconds: f64,
    /// Of the node's program.
    pub node_cpu: Cpu,
    /// Of the hub meanwhile.
    pub hub_cpu: Cpu,
    /// The most memory the node's program had.
    pub node_peak_bytes: u64,
    /// The most memory the hub has had since it started.
    pub hub_peak_bytes: u64,
    /// What the node's store then takes on the disk.
    pub store_bytes: u64,
    /// The bare loop, before, meanwhile and after.
    pub floor: Floor,
    /// The enrolment after it, when the others were given tokens that are made up: it evaluates nothing, reads everything
    /// and writes the index of all. Absent when everybody was evaluated.
    pub again: Option<Again>,
}

/// An enrolment of people who all have tokens.
#[derive(Debug, Serialize)]
pub struct Again {
    /// Tokens of the index.
    pub n_tokens: u64,
    /// From the program's start to its end.
    pub wall_seconds: f64,
    /// Of the node's program.
    pub node_cpu: Cpu,
}

impl Import {
    /// Takes in a second import.
    pub(super) fn and(&mut self, second: Self) {
        self.wall_seconds += second.wall_seconds;
        self.cpu.user += second.cpu.user;
        self.cpu.system += second.cpu.system;
        self.peak_bytes = self.peak_bytes.max(second.peak_bytes);
        self.csv_bytes += second.csv_bytes;
        self.store_bytes = second.store_bytes;
    }
}

impl Enrolment {
    /// Tokens of the index in the end.
    #[must_use]
    pub fn n_indexed(&self) -> u64 {
        self.again.as_ref().map_or(self.n_tokens, |again| again.n_tokens)
    }

    /// Processor microseconds of node and hub for each token.
    #[must_use]
    pub fn cpu_microseconds(&self) -> f64 {
        (self.node_cpu.total() + self.hub_cpu.total()) * 1e6 / count(self.n_tokens)
    }

    /// Tokens a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        count(self.n_tokens) / self.wall_seconds
    }
}

/// The bare loop of the `voprf` crate.
#[derive(Debug, Serialize)]
pub struct Floor {
    /// Processor microseconds for each element.
    pub cpu_microseconds: Sample,
    /// Elements a second on all cores.
    pub per_second: Sample,
}

impl Floor {
    pub(super) fn of(samples: &[FloorSample]) -> Self {
        let each =
            |figure: fn(&FloorSample) -> f64| Sample::of(samples.iter().map(figure).collect());
        Self {
            cpu_microseconds: each(|s| s.cpu_seconds * 1e6 / count(s.n_elements)),
            per_second: each(|s| count(s.n_elements) / s.wall_seconds),
        }
    }
}

/// A token index on the disk.
#[derive(Debug, Serialize)]
pub struct Index {
    /// Its tokens.
    pub n_tokens: u64,
    /// Its length.
    pub n_bytes: u64,
    /// The one for each of the other.
    pub bytes_per_token: f64,
}

/// A node that serves.
#[derive(Debug, Serialize)]
pub struct Service {
    /// From the program's start until it serves; files in the system's cache.
    pub start_seconds: Sample,
    /// Memory after the start, before the first call.
    pub idle_bytes: u64,
    /// The most memory it had, up to the end of the screenings.
    pub peak_bytes: u64,
}

/// Screenings of an agency.
#[derive(Debug, Serialize)]
pub struct Screens {
    /// Of people it knows.
    pub hit: Screened,
    /// Of people it does not know.
    pub miss: Screened,
}

/// Screenings of one kind.
#[derive(Debug, Serialize)]
pub struct Screened {
    /// From the call to the answer.
    pub milliseconds: Sample,
    /// After how many of them the hub would take the person for known.
    pub n_known: usize,
}

impl Report {
    pub(super) fn of(seed: u64, sizes: Vec<Size>) -> anyhow::Result<Self> {
        let (Some(smallest), Some(largest)) = (sizes.first(), sizes.last()) else {
            anyhow::bail!("nothing was measured");
        };
        let floor = &largest.enrolment.floor;
        let median = |screened: &Screened| screened.milliseconds.p50;
        let ratios = Ratios {
            enrolment_cpu: floor.cpu_microseconds.p50 / largest.enrolment.cpu_microseconds(),
            enrolment_wall: largest.enrolment.per_second() / floor.per_second.p50,
            screen_hit: median(&largest.screens.hit) / median(&smallest.screens.hit),
            screen_miss: median(&largest.screens.miss) / median(&smallest.screens.miss),
        };
        Ok(Self { machine: Machine::this()?, seed, ratios, sizes })
    }
}

/// The report for a person.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text can not fail.
    let _ = write_text(report, &mut out);
    out
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    let Report { machine, ratios, sizes, .. } = report;
    writeln!(
        out,
        "enrolment, tokens for each processor second, to the bare loop: {:.2}",
        ratios.enrolment_cpu
    )?;
    writeln!(
        out,
        "enrolment, tokens a second, to the bare loop on all cores:     {:.2}",
        ratios.enrolment_wall
    )?;
    writeln!(
        out,
        "screening that hits, median, largest to smallest:              {:.2}",
        ratios.screen_hit
    )?;
    writeln!(
        out,
        "screening that misses, median, largest to smallest:            {:.2}",
        ratios.screen_miss
    )?;
    let mut line = |name: &str, figure: &dyn Fn(&Size) -> String| -> std::fmt::Result {
        write!(out, "{name:<42}")?;
        for size in sizes {
            write!(out, " {:>14}", figure(size))?;
        }
        writeln!(out)
    };
    line("\npeople", &|s| s.n_people.to_string())?;
    line("import: wall s", &|s| format!("{:.1}", s.import.wall_seconds))?;
    line("import: processor s", &|s| format!("{:.1}", s.import.cpu.total()))?;
    line("import: peak memory MB", &|s| mb(s.import.peak_bytes))?;
    line("import: store on disk MB", &|s| mb(s.import.store_bytes))?;
    line("enrolment: people evaluated", &|s| s.enrolment.n_evaluated.to_string())?;
    line("enrolment: wall s", &|s| format!("{:.1}", s.enrolment.wall_seconds))?;
    line("enrolment: node processor s", &|s| format!("{:.1}", s.enrolment.node_cpu.total()))?;
    line("enrolment: hub processor s", &|s| format!("{:.1}", s.enrolment.hub_cpu.total()))?;
    line("enrolment: processor µs a token", &|s| {
        format!("{:.0}", s.enrolment.cpu_microseconds())
    })?;
    line("bare loop: processor µs an element", &|s| {
        format!("{:.0}", s.enrolment.floor.cpu_microseconds.p50)
    })?;
    line("enrolment: tokens a second", &|s| format!("{:.0}", s.enrolment.per_second()))?;
    line("bare loop: elements a second", &|s| format!("{:.0}", s.enrolment.floor.per_second.p50))?;
    let again = |s: &Size, figure: fn(&Again) -> f64| {
        s.enrolment.again.as_ref().map_or_else(String::new, |again| format!("{:.1}", figure(again)))
    };
    line("index of all, written anew: wall s", &|s| again(s, |again| again.wall_seconds))?;
    line("index of all: node processor s", &|s| again(s, |again| again.node_cpu.total()))?;
    line("enrolment: node peak memory MB", &|s| mb(s.enrolment.node_peak_bytes))?;
    line("enrolment: hub peak memory MB", &|s| mb(s.enrolment.hub_peak_bytes))?;
    line("enrolment: store on disk MB", &|s| mb(s.enrolment.store_bytes))?;
    line("index: tokens", &|s| s.index.n_tokens.to_string())?;
    line("index: MB", &|s| mb(s.index.n_bytes))?;
    line("index: bytes a token", &|s| format!("{:.1}", s.index.bytes_per_token))?;
    line("service: start s, median", &|s| format!("{:.2}", s.service.start_seconds.p50))?;
    line("service: idle memory MB", &|s| mb(s.service.idle_bytes))?;
    line("service: peak memory MB", &|s| mb(s.service.peak_bytes))?;
    line("screening that hits: p50 ms", &|s| format!("{:.2}", s.screens.hit.milliseconds.p50))?;
    line("screening that hits: p99 ms", &|s| format!("{:.2}", s.screens.hit.milliseconds.p99))?;
    line("screening that misses: p50 ms", &|s| format!("{:.2}", s.screens.miss.milliseconds.p50))?;
    line("screening that misses: p99 ms", &|s| format!("{:.2}", s.screens.miss.milliseconds.p99))?;
    let known = |s: &Screened| format!("{} of {}", s.n_known, s.milliseconds.n);
    line("screening that hits: taken for known", &|s| known(&s.screens.hit))?;
    line("screening that misses: taken for known", &|s| known(&s.screens.miss))?;
    writeln!(out, "\n{}", machine.text())
}

fn mb(n_bytes: u64) -> String {
    format!("{:.1}", count(n_bytes) / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn count(n: u64) -> f64 {
    n as f64
}
