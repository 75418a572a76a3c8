//! What came of a play, row by row beside what had to come of it. The JSON document is these types.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::progress::Phase;
use crate::sweep::Swept;

/// Everything that came of a play.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The scenario's title.
    pub scenario: String,
    /// Whether every row came out as expected, every log verifies and nothing leaked.
    pub passed: bool,
    /// The enquiry's reference.
    pub enquiry: String,
    /// The people: label, name and role.
    pub people: Vec<PersonLine>,
    /// What had to be so at a time.
    pub checks: Vec<CheckReport>,
    /// What people did that the programs had to take or to refuse, beyond what the checks show.
    pub acts: Vec<Row>,
    /// The enquiry's life: flags, clocks, the plan, and how it was closed.
    pub life: LifeReport,
    /// Requests for detail, one for each recipient, in the order asked.
    pub releases: Vec<ReleaseRow>,
    /// What lay in each agency's inbox at the end.
    pub inboxes: Vec<Row>,
    /// That each decision stands once in the holder's log and once, in the same exchange, in the hub's.
    pub receipts: Vec<Row>,
    /// What `log reconcile` says of the hub's log and every node's.
    pub reconciled: Reconciled,
    /// The agreement that everybody signed, in the play's folder.
    pub agreement: PathBuf,
    /// The enquiry at the end as the hub shows it, without anything that is random: the same scenario gives the same.
    pub shown: serde_json::Value,
    /// The logs.
    pub logs: Vec<LogRow>,
    /// The sweeps for leaks.
    pub sweeps: Vec<SweepRow>,
    /// How long each part took.
    pub phases: Vec<Phase>,
}

/// A person, for the table's head.
#[derive(Debug, Serialize)]
pub struct PersonLine {
    /// The label.
    pub label: String,
    /// The name.
    pub name: String,
    /// The role; absent when none is stated.
    pub role: Option<String>,
}

/// Something that had to be so.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is about, for example `CSC P3`.
    pub what: String,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub found: String,
    /// Whether the two agree.
    pub ok: bool,
    /// The difference in words; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

impl Row {
    /// A row that is right when the two texts are alike.
    #[must_use]
    pub fn compare(what: String, expected: String, found: String) -> Self {
        let ok = expected == found;
        let difference = (!ok).then(|| format!("{what}: expected {expected}, found {found}"));
        Self { what, expected, found, ok, difference }
    }

    /// A row that is right although the two texts may differ: what was found says more than what had to be.
    #[must_use]
    pub fn met(what: String, expected: &impl fmt::Display, found: &impl fmt::Display) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { what, expected, found, ok: true, difference: None }
    }
}

/// What one check found.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    /// When, relative to the start.
    pub at: String,
    /// Labels of the people, in the order of the cells.
    pub people: Vec<String>,
    /// One line for each agency.
    pub matrix: Vec<MatrixLine>,
    /// Levels, in the order of the people.
    pub levels: Vec<Row>,
    /// Gates, by person.
    pub gates: Vec<Row>,
    /// Flags, by person.
    pub flags: Vec<Row>,
    /// Rules that hold of every matrix: the level is the highest colour; nobody's answer is missing.
    pub rules: Vec<Row>,
    /// Flags, clocks, what stands in the way of closing, who leads, and whether it is closed.
    pub life: Vec<Row>,
}

impl CheckReport {
    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let cells = self.matrix.iter().flat_map(|line| &line.cells);
        let of_people = cells.chain(&self.levels).chain(&self.gates).chain(&self.flags);
        of_people.chain(&self.rules).chain(&self.life)
    }
}

/// The enquiry's life, as it stands at the end. Times are relative to the start.
#[derive(Debug, Default, Serialize)]
pub struct LifeReport {
    /// Flags, in the order in which they were raised; without those that came and went in one moment.
    pub flags: Vec<FlagLine>,
    /// Clocks, in the order in which they started.
    pub clocks: Vec<ClockLine>,
    /// What happened: when, the word, whom it concerns, and who did it.
    pub events: Vec<String>,
    /// The plan.
    pub plan: Vec<ActionLine>,
    /// Who leads; absent: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<String>,
    /// When it was closed, and how it ended; absent: it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Flags that had to be raised, cleared, standing or never raised.
    pub rows: Vec<Row>,
}

/// One flag.
#[derive(Debug, Serialize)]
pub struct FlagLine {
    /// The flag, as a scenario writes it.
    pub flag: String,
    /// Since when.
    pub raised: String,
    /// When it was cleared; absent: it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared: Option<String>,
}

/// One clock.
#[derive(Debug, Serialize)]
pub struct ClockLine {
    /// Which.
    pub clock: String,
    /// When it started.
    pub started: String,
    /// When it runs out.
    pub due: String,
    /// `running`, `met` or `breached`.
    pub state: String,
    /// When what it waits for came; absent: it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// One action of the plan.
#[derive(Debug, Serialize)]
pub struct ActionLine {
    /// Its name.
    pub action: String,
    /// The kind of action.
    pub word: String,
    /// The agency that owns it.
    pub owner: String,
    /// Label of the person whom it is about.
    pub person: String,
    /// What is to be done.
    pub what: String,
    /// When it is due; absent: no date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// `proposed`, `accepted`, `done` or `dropped`.
    pub state: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What one agency said of everybody.
#[derive(Debug, Serialize)]
pub struct MatrixLine {
    /// The agency.
    pub agency: String,
    /// Its cells.
    pub cells: Vec<Row>,
    /// Its analyses, each once, in the order of the people.
    pub analyses: Vec<String>,
}

/// One request for detail, for one recipient.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseRow {
    /// The scenario's row.
    pub id: String,
    /// The hub's name of the request.
    pub release: String,
    /// When, relative to the start.
    pub at: String,
    /// The agency asked.
    pub holder: String,
    /// Label.
    pub person: String,
    /// Category.
    pub category: String,
    /// The recipient.
    pub recipient: String,
    /// What the holder decided at once.
    pub decided: Decided,
    /// What people at the holder then did; empty when nobody had to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviewed: Vec<String>,
    /// What it came to, when people at the holder acted or it was still waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finally: Option<Decided>,
    /// Whether the recipient opened it and read exactly what the holder holds; absent when nobody opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Row>,
    /// Whether all of this is as expected.
    pub ok: bool,
    /// Differences in words.
    pub differences: Vec<String>,
}

/// A decision as it was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Decided {
    /// What had to be decided.
    pub expected: String,
    /// `release`, `review`, `deny` or `no_response`.
    pub decision: String,
    /// The reason code; empty for a release.
    pub reason: String,
    /// The reason in plain words; empty for a release.
    pub words: String,
    /// Approvals that were still needed.
    pub approvals: u32,
    /// The gate; empty for a refusal.
    pub gate: String,
    /// What it rests on: signed statements, or the rule that refused.
    pub rests_on: Vec<String>,
    /// Obligations.
    pub obligations: Vec<String>,
    /// When the view ends (RFC 3339); absent unless released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_until: Option<String>,
    /// How to reach the team, with a category that is never carried.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact_route: String,
    /// What would change a refusal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_be_released_if: Vec<String>,
}

/// What the comparison of all logs said.
#[derive(Debug, Default, Serialize)]
pub struct Reconciled {
    /// Whether the command ended with 0.
    pub ok: bool,
    /// Exchanges that were compared.
    pub exchanges: u64,
    /// … that both sides have, alike.
    pub agreed: u64,
    /// … that came to nothing, or are on one side only, for a reason that is in order: how many for each.
    pub explained: serde_json::Value,
    /// … that one side lacks.
    pub one_sided: u64,
    /// … that the two sides have otherwise.
    pub different: u64,
    /// Every difference, as the command prints it, or why it could not compare.
    pub differences: Vec<String>,
}

/// What the verification of one log said.
#[derive(Debug, Serialize)]
pub struct LogRow {
    /// Whose.
    pub party: String,
    /// Whether it is in order.
    pub ok: bool,
    /// The folder of the log, for whoever reads it after a play whose data is kept.
    pub dir: PathBuf,
    /// Entries.
    pub n_entries: u64,
    /// What is wrong; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What one sweep found.
#[derive(Debug, Serialize)]
pub struct SweepRow {
    /// For what, and where.
    pub what: String,
    /// Whether nothing was found.
    pub ok: bool,
    /// The sweep.
    #[serde(flatten)]
    pub swept: Swept,
}

impl Report {
    /// Every difference in words: empty when all is as expected.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut all = Vec::new();
        for check in &self.checks {
            let found = check.rows().filter_map(|row| row.difference.as_ref());
            all.extend(found.map(|difference| format!("at {}: {difference}", check.at)));
        }
        for row in self.releases.iter().filter(|row| !row.ok) {
            let found = row.differences.iter();
            all.extend(found.map(|what| format!("row {} to {}: {what}", row.id, row.recipient)));
        }
        let others = self.acts.iter().chain(&self.life.rows).chain(&self.inboxes);
        let others = others.chain(&self.receipts);
        all.extend(others.filter_map(|row| row.difference.clone()));
        all.extend(
            self.reconciled.differences.iter().map(|what| format!("the logs differ: {what}")),
        );
        for log in self.logs.iter().filter(|log| !log.ok) {
            let fault = log.fault.as_deref().unwrap_or("not in order");
            all.push(format!("the log of {}: {fault}", log.party));
        }
        for leak in self.sweeps.iter().flat_map(|sweep| &sweep.swept.leaks) {
            let file: &PathBuf = &leak.file;
            all.push(format!("leak: {} in {} ({})", leak.word, file.display(), leak.form));
        }
        all
    }

    /// Works out whether all is as expected.
    pub fn conclude(&mut self) {
        self.passed = self.differences().is_empty()
            && self.releases.iter().all(|row| row.ok)
            && self.reconciled.ok
            && self.logs.iter().all(|log| log.ok)
            && self.sweeps.iter().all(|sweep| sweep.ok);
    }
}
