//! What was measured of a day, as one document and as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Cpu, Machine, Memory, Sample};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// From which the people followed.
    pub seed: u64,
    /// Agencies, each with a node that ran.
    pub n_agencies: usize,
    /// Enquiries.
    pub n_enquiries: usize,
    /// People in each.
    pub n_people: usize,
    /// How they were opened.
    pub opening: Opening,
    /// Processor seconds of the hub for each second in which nobody asked anything.
    pub idle_share: f64,
    /// The hub's memory before the first enquiry.
    pub memory_before: Memory,
    /// The hub's memory with all of them.
    pub memory: Memory,
    /// What co-ordinators look at.
    pub views: Vec<Viewed>,
    /// The hub's restart.
    pub restart: Restart,
}

/// How the enquiries were opened.
#[derive(Debug, Serialize)]
pub struct Opening {
    /// For all of them.
    pub wall_seconds: f64,
    /// Of the hub.
    pub hub_cpu: Cpu,
    /// Of all nodes together.
    pub nodes_cpu: Cpu,
    /// The call that opens.
    pub open_milliseconds: Sample,
    /// From that call until every agency had said something about somebody. Those that took longer than a minute are not in it.
    pub spoken_seconds: Sample,
    /// A call that records a step.
    pub record_milliseconds: Sample,
    /// Lists of 100 lines while the last fifth was opened.
    pub lists: Sample,
    /// Agendas of 100 lines meanwhile.
    pub agendas: Sample,
}

/// One kind of call, while nothing else was asked.
#[derive(Debug, Serialize)]
pub struct Viewed {
    /// Which.
    pub what: String,
    /// Lines of the answer, or cells.
    pub n_lines: usize,
    /// The answer's length on the wire.
    pub n_bytes: usize,
    /// Processor time of the hub for each call, whatever else it did meanwhile.
    pub hub_cpu_milliseconds: f64,
    /// From the call to the answer.
    pub milliseconds: Sample,
}

/// The hub's restart. Seconds count from the program's start.
#[derive(Debug, Serialize)]
pub struct Restart {
    /// Until it serves.
    pub serves_seconds: f64,
    /// Until the first list was there, asked for as soon as it served.
    pub first_list_seconds: f64,
    /// What the hub had used then.
    pub first_list_cpu: Cpu,
    /// Lines of that list.
    pub n_lines: usize,
    /// From when on five lists in a row were fast; absent when they never were.
    pub fast_seconds: Option<f64>,
    /// The hub's memory then.
    pub memory: Memory,
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below the limit")]
pub(super) const fn count(n: usize) -> f64 {
    n as f64
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
    let Report { machine, opening, views, restart, .. } = report;
    writeln!(
        out,
        "{} enquiries about {} people each, {} agencies\n",
        report.n_enquiries, report.n_people, report.n_agencies
    )?;
    writeln!(out, "{:<46}{:>8}{:>8}{:>8}{:>12}{:>8}", "ms", "p50", "p99", "max", "hub cpu", "n")?;
    let mut line = |what: &str, sample: &Sample, cpu: String| {
        let Sample { n, p50, p99, max } = sample;
        writeln!(out, "{what:<46}{p50:>8.1}{p99:>8.1}{max:>8.1}{cpu:>12}{n:>8}")
    };
    for view in views {
        line(&view.what, &view.milliseconds, format!("{:.1}", view.hub_cpu_milliseconds))?;
    }
    let none = String::new;
    line("list, 100 lines, while enquiries are opened", &opening.lists, none())?;
    line("agenda, 100 lines, while enquiries are opened", &opening.agendas, none())?;
    line("opening one", &opening.open_milliseconds, none())?;
    line("recording a step", &opening.record_milliseconds, none())?;
    let spoken = opening.spoken_seconds;
    writeln!(
        out,
        "\nuntil every agency had spoken: p50 {:.1} s, p99 {:.1} s, max {:.1} s, {} of {}",
        spoken.p50, spoken.p99, spoken.max, spoken.n, report.n_enquiries
    )?;
    writeln!(
        out,
        "opening all: {:.0} s, processor s: hub {:.1}, nodes {:.1}",
        opening.wall_seconds,
        opening.hub_cpu.total(),
        opening.nodes_cpu.total()
    )?;
    writeln!(out, "the quiet hub uses {:.1} % of a core", report.idle_share * 100.0)?;
    writeln!(
        out,
        "hub memory MB: {} before, {} with all (peak {}), {} after its restart",
        mb(report.memory_before.resident),
        mb(report.memory.resident),
        mb(report.memory.peak),
        mb(restart.memory.resident)
    )?;
    let fast = restart.fast_seconds.map_or("never".to_owned(), |s| format!("after {s:.1} s"));
    writeln!(
        out,
        "restart: serves after {:.1} s, first list after {:.1} s (processor s {:.1}), lists are fast {fast}",
        restart.serves_seconds,
        restart.first_list_seconds,
        restart.first_list_cpu.total()
    )?;
    writeln!(out, "\n{}", machine.text())
}

const fn mb(n_bytes: u64) -> u64 {
    n_bytes / 1_000_000
}
