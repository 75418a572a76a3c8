//! Comparing the hub's log with the logs of nodes, exchange by exchange: neither side can leave one out, or write it
//! otherwise, without the other side's log showing it.
//!
//! The rules are data ([`rules`]): which entries belong together, what has to be on both sides, and which fields have to
//! agree. What is on one side only for a good reason – a call that never arrived, an answer that was lost – has a class of its
//! own ([`Explained`]) and is no difference.
//!
//! Memory: about 150 bytes for each entry that belongs to an exchange, whatever its text; the logs are read once, and those
//! with differences a second time for the values.
//!
//! Signatures are not looked at: verify the logs first. What two parties leave out together is on neither side.
//!
//! Reading order: [`rules`], then `judge`, then `seen`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::Serialize;

use self::{
    judge::{Finding, judge},
    promised::Promises,
    rules::{Field, terms},
    seen::{Exchanges, Log, Reading, Seen, Shrink, kind_of, value},
};
use super::{
    chain::Origin,
    entry::{Action, Party},
    shard,
    storage::ORIGIN_FILE,
    verify::{Fault, VerifyError},
};
use crate::{id::RequestId, time::Timestamp};

mod judge;
mod promised;
pub mod rules;
mod seen;

pub use promised::Promised;
pub use rules::{Explained, Kind, Side};
pub use seen::Gap;

/// What to compare.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The hub's log: the directory with the `.seg` files, or the one with the shards in it.
    pub hub: PathBuf,
    /// Logs of nodes, and further shards of the hub's.
    pub others: Vec<PathBuf>,
    /// Folders of witnesses, whose receipts have to be in these logs; copied before the logs were.
    pub witnesses: Vec<PathBuf>,
    /// Only exchanges that began at or after this time.
    pub from: Option<Timestamp>,
    /// Only exchanges that began before this time.
    pub to: Option<Timestamp>,
    /// List what is explained, too.
    pub list_explained: bool,
}

/// Why logs can not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A directory holds no log.
    #[error("`{}` holds no log: it has no readable file `{ORIGIN_FILE}`", .0.display())]
    NotALog(PathBuf),
    /// The first log is not the hub's.
    #[error("`{}` is the log of {party}: name the hub's log first", dir.display())]
    NotTheHub {
        /// The directory.
        dir: PathBuf,
        /// Whose log it is.
        party: Party,
    },
    /// A log is of another partnership.
    #[error("`{}` is a log of another partnership: {origin}", dir.display())]
    AnotherPartnership {
        /// The directory.
        dir: PathBuf,
        /// The log's name.
        origin: Origin,
    },
    /// The same log was named twice.
    #[error("`{}` is a log that was named before: {origin}", dir.display())]
    Twice {
        /// The directory.
        dir: PathBuf,
        /// The log's name.
        origin: Origin,
    },
    /// A log can not be read.
    #[error(transparent)]
    Unreadable(#[from] VerifyError),
    /// Whoever was told of the progress said to stop.
    #[error("the comparison was stopped before its end")]
    Stopped,
    /// Receipts can not be read.
    #[error("the receipts of a witness can not be read")]
    Receipts(#[from] std::io::Error),
}

/// One log that took part.
#[derive(Debug, Clone, Serialize)]
pub struct LogRead {
    /// Its name.
    pub origin: String,
    /// Where it lies.
    pub dir: PathBuf,
    /// Entries that were read.
    pub entries: u64,
    /// Entries of no exchange: acts that involve no other party.
    pub local: u64,
    /// When the first entry was written; absent in an empty log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last entry was written; absent in an empty log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Where it is not in order; what stands behind it was not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What it lost when it was put back from a backup, as it says itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// How many exchanges came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// On both sides, and the same.
    pub agreed: u64,
    /// On one side only, or come to nothing, for a reason that is in order.
    pub explained: u64,
    /// On one side only, where both must have it.
    pub one_sided: u64,
    /// On both sides, and not the same.
    pub different: u64,
}

impl Counts {
    fn add(&mut self, worst: &Finding) {
        match worst {
            Finding::Agreed => self.agreed += 1,
            Finding::Explained(_) => self.explained += 1,
            Finding::Missing(_) => self.one_sided += 1,
            Finding::Differs { .. } => self.different += 1,
        }
    }

    /// How many exchanges.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.agreed + self.explained + self.one_sided + self.different
    }
}

/// An entry of an exchange, for whoever looks it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryNumber {
    /// Its number in its log.
    pub seq: u64,
    /// What happened.
    pub action: Action,
}

/// A field in which two entries differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Which.
    pub field: Field,
    /// What the hub's log says; absent when it says nothing.
    pub hub: Option<String>,
    /// What the node's log says; absent when it says nothing.
    pub node: Option<String>,
}

/// One difference, or one exchange that is explained.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The exchange.
    pub exchange: RequestId,
    /// What it was for.
    pub kind: Kind,
    /// The agency; absent when no entry of the hub's names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// When it began.
    pub began: Timestamp,
    /// Why it is in order all the same; absent for a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    /// The side that lacks an entry; absent when both have theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_at: Option<Side>,
    /// Fields that differ, with the values of both sides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDifference>,
    /// It began after the last entry of the log that lacks it: that log is older, or was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_the_end: bool,
    /// It falls into what the log that lacks it lost when it was put back from a backup ([`LogRead::gaps`]). It is a difference all the same: that
    /// the log says so itself does not bring the entry back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_gap: bool,
    /// The hub's entries of the exchange.
    pub hub: Vec<EntryNumber>,
    /// The node's.
    pub node: Vec<EntryNumber>,
}

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Every log that took part, the hub's first.
    pub logs: Vec<LogRead>,
    /// All exchanges.
    pub total: Counts,
    /// By kind; kinds without an exchange are left out.
    pub kinds: BTreeMap<Kind, Counts>,
    /// How many are explained by what.
    pub classes: BTreeMap<Explained, u64>,
    /// Exchanges with agencies whose log was not given: left out.
    pub not_given: BTreeMap<Party, u64>,
    /// Every difference, in the order of time.
    pub differences: Vec<Difference>,
    /// Entries that a log has promised in a receipt, and does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promised: Vec<Promised>,
    /// Every exchange that is explained, when they are wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Difference>,
}

impl Report {
    /// Whether every exchange that was compared is in order, and every log could be read to its end.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
            && self.promised.is_empty()
            && self.logs.iter().all(|log| log.fault.is_none())
    }
}

/// Compares logs. `progress` is told after every entry how many have been read.
///
/// # Errors
/// When one of them is not a log, is of another partnership, was named twice, or can not be read.
pub fn reconcile(wanted: &Wanted, progress: &mut dyn FnMut(u64)) -> Result<Report, ReconcileError> {
    reconcile_while(wanted, &mut |n_entries| {
        progress(n_entries);
        ControlFlow::Continue(())
    })
}

/// As [`reconcile`]; stops where `progress` breaks.
///
/// # Errors
/// As [`reconcile`], and [`ReconcileError::Stopped`].
pub fn reconcile_while(
    wanted: &Wanted,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Report, ReconcileError> {
    let mut logs = open(wanted)?;
    let mut promises = Promises::read(&logs, &wanted.witnesses)?;
    let (mut shrink, mut exchanges, mut n_read) = (Shrink::default(), Exchanges::new(), 0);
    for (place, log) in (0_u16..).zip(&mut logs) {
        let dir = log.dir.clone();
        let mut fault = None;
        let mut reading = Reading::new(log, place);
        for item in shard::placed(&dir)? {
            match item {
                Ok(one) => {
                    promises.saw((place, one.shard), &one.entry);
                    reading.take(&one.numbered(), &mut shrink, &mut exchanges);
                }
                Err(VerifyError::Fault(found)) => fault = Some(found),
                Err(error) => return Err(error.into()),
            }
            n_read += 1;
            if progress(n_read).is_break() {
                return Err(ReconcileError::Stopped);
            }
        }
        log.fault = fault;
    }
    let mut found = Judging::new(&logs, &mut shrink);
    for (exchange, seen) in &exchanges {
        found.exchange(exchange, seen, wanted);
    }
    let Judging { mut report, fields, .. } = found;
    report.promised = promises.broken(&wanted.witnesses, wanted.to)?;
    for promised in &mut report.promised {
        let party = promised.origin.parse::<Origin>().map(|origin| origin.party().clone());
        let of_party =
            logs.iter().filter(|log| party.as_ref().is_ok_and(|p| log.origin.party() == p));
        promised.in_gap = of_party.flat_map(|log| &log.gaps).any(|gap| promised.seq >= gap.kept);
    }
    let values = Values::read(&logs, &fields)?;
    for (difference, (hub, node, fields)) in report.differences.iter_mut().zip(&fields) {
        difference.fields = fields
            .iter()
            .map(|field| FieldDifference {
                field: *field,
                hub: values.of(*hub, *field),
                node: values.of(*node, *field),
            })
            .collect();
    }
    for list in [&mut report.differences, &mut report.explained] {
        list.sort_by(|a, b| (a.began, &a.exchange).cmp(&(b.began, &b.exchange)));
    }
    Ok(report)
}

fn open(wanted: &Wanted) -> Result<Vec<Log>, ReconcileError> {
    let mut logs: Vec<Log> = Vec::new();
    for dir in std::iter::once(&wanted.hub).chain(&wanted.others) {
        let origin = origin(dir).ok_or_else(|| ReconcileError::NotALog(dir.clone()))?;
        match logs.first() {
            None if *origin.party() != Party::Hub => {
                let party = origin.party().clone();
                return Err(ReconcileError::NotTheHub { dir: dir.clone(), party });
            }
            Some(hub) if domain(&hub.origin) != domain(&origin) => {
                return Err(ReconcileError::AnotherPartnership { dir: dir.clone(), origin });
            }
            None | Some(_) => {}
        }
        if logs.iter().any(|known| known.origin == origin) {
            return Err(ReconcileError::Twice { dir: dir.clone(), origin });
        }
        let dir = dir.clone();
        let (n_entries, n_local, first_ts, last_ts) = (0, 0, None, None);
        let (fault, gaps) = (None, Vec::new());
        logs.push(Log { dir, origin, n_entries, n_local, first_ts, last_ts, fault, gaps });
    }
    Ok(logs)
}

fn origin(dir: &Path) -> Option<Origin> {
    // Of a log of several shards, it is the newest one's.
    let dir = shard::newest_within(dir).ok()?;
    std::fs::read_to_string(dir.join(ORIGIN_FILE)).ok()?.trim().parse().ok()
}

fn domain(origin: &Origin) -> Option<&str> {
    origin.as_str().split('/').next()
}

/// An entry's log and number.
type Place = (u16, u64);

/// Two entries that differ, and where: the hub's, the node's. Nothing for what is missing.
type Fields = (Option<Place>, Option<Place>, Vec<Field>);

/// Collects what exchanges come to.
struct Judging<'a> {
    logs: &'a [Log],
    /// Whose log each is, by the number of the party.
    of_log: Vec<u16>,
    parties: HashMap<u16, Party>,
    report: Report,
    /// For each difference of the report.
    fields: Vec<Fields>,
}

impl<'a> Judging<'a> {
    fn new(logs: &'a [Log], shrink: &mut Shrink) -> Self {
        let of_log = logs.iter().map(|log| shrink.party(log.origin.party())).collect();
        let report = Report {
            logs: logs.iter().map(shown).collect(),
            total: Counts::default(),
            kinds: BTreeMap::new(),
            classes: BTreeMap::new(),
            not_given: BTreeMap::new(),
            differences: Vec::new(),
            promised: Vec::new(),
            explained: Vec::new(),
        };
        Self { logs, of_log, parties: shrink.parties(), report, fields: Vec::new() }
    }

    /// The party of a node's entry, or the one that the hub's names.
    fn party(&self, seen: &Seen) -> Option<u16> {
        match seen.side {
            Side::Hub => seen.peer,
            Side::Node => self.of_log.get(usize::from(seen.log)).copied(),
        }
    }

    fn exchange(&mut self, exchange: &RequestId, all: &[Seen], wanted: &Wanted) {
        let named: BTreeSet<u16> = all.iter().filter_map(|seen| self.party(seen)).collect();
        let parties: Vec<Option<u16>> =
            if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() };
        for party in parties {
            // An entry of the hub's that names nobody is of everybody who has the exchange.
            let of_party = |seen: &&Seen| match self.party(seen) {
                Some(named) => Some(named) == party,
                None => true,
            };
            let seen: Vec<&Seen> = all.iter().filter(of_party).collect();
            let kind = kind_of(&seen);
            let Some(began) = began(kind, &seen) else { continue };
            if wanted.from.is_some_and(|from| began < from)
                || wanted.to.is_some_and(|to| began >= to)
            {
                continue;
            }
            let given = party.is_none_or(|party| self.of_log.contains(&party));
            if !given && kind != Kind::Unasked {
                if let Some(party) = party.and_then(|party| self.parties.get(&party)) {
                    *self.report.not_given.entry(party.clone()).or_default() += 1;
                }
                continue;
            }
            self.count(exchange, (kind, party, began), &seen, wanted.list_explained);
        }
    }

    fn count(
        &mut self,
        exchange: &RequestId,
        (kind, party, began): (Kind, Option<u16>, Timestamp),
        seen: &[&Seen],
        list_explained: bool,
    ) {
        let findings = judge(kind, seen);
        let Some(worst) = findings.last() else { return };
        self.report.total.add(worst);
        self.report.kinds.entry(kind).or_default().add(worst);
        if let Finding::Explained(why) = worst {
            *self.report.classes.entry(*why).or_default() += 1;
        }
        let entries = |side| {
            let of_side = seen.iter().filter(|one| one.side == side);
            of_side.map(|one| EntryNumber { seq: one.seq, action: one.action }).collect()
        };
        let blank = || Difference {
            exchange: exchange.clone(),
            kind,
            party: party.and_then(|party| self.parties.get(&party)).cloned(),
            began,
            explained: None,
            missing_at: None,
            fields: Vec::new(),
            after_the_end: false,
            in_gap: false,
            hub: entries(Side::Hub),
            node: entries(Side::Node),
        };
        let mut before = None;
        for finding in &findings {
            // The same of another person or recipient is not said again.
            if before == Some(finding) {
                continue;
            }
            before = Some(finding);
            match finding {
                Finding::Agreed => {}
                Finding::Explained(why) if list_explained => {
                    let explained = Some(*why);
                    self.report.explained.push(Difference { explained, ..blank() });
                }
                Finding::Explained(_) => {}
                Finding::Missing(side) => {
                    let after_the_end = self.is_after_the_end(*side, party, began);
                    let (missing_at, in_gap) = (Some(*side), self.is_in_gap(*side, party, began));
                    let difference = Difference { missing_at, after_the_end, in_gap, ..blank() };
                    self.report.differences.push(difference);
                    self.fields.push((None, None, Vec::new()));
                }
                Finding::Differs { caller, called, fields } => {
                    let difference = blank();
                    self.report.differences.push(difference);
                    let by_node = terms(kind).is_some_and(|terms| terms.caller == Side::Node);
                    let (hub, node) = if by_node { (called, caller) } else { (caller, called) };
                    self.fields.push((Some(*hub), Some(*node), fields.clone()));
                }
            }
        }
    }

    /// The logs of a side of an exchange with a party.
    fn of_side(&self, side: Side, party: Option<u16>) -> impl Iterator<Item = &Log> {
        let of_party = move |place: usize| match side {
            Side::Hub => true,
            Side::Node => self.of_log.get(place).copied() == party,
        };
        let logs = self.logs.iter().enumerate();
        let mine = logs.filter(move |(place, log)| log.side() == side && of_party(*place));
        mine.map(|(_, log)| log)
    }

    fn is_after_the_end(&self, side: Side, party: Option<u16>, began: Timestamp) -> bool {
        let last = self.of_side(side, party).filter_map(|log| log.last_ts).max();
        last.is_none_or(|last| began > last)
    }

    fn is_in_gap(&self, side: Side, party: Option<u16>, began: Timestamp) -> bool {
        self.of_side(side, party).any(|log| log.gaps.iter().any(|gap| gap.holds(began)))
    }
}

fn shown(log: &Log) -> LogRead {
    let words = |fault: &Fault| format!("entry {}: {}", fault.seq, fault.what);
    LogRead {
        origin: log.origin.to_string(),
        dir: log.dir.clone(),
        entries: log.n_entries,
        local: log.n_local,
        first: log.first_ts,
        last: log.last_ts,
        fault: log.fault.as_ref().map(words),
        gaps: log.gaps.clone(),
    }
}

/// When an exchange began: by the caller's clock where the caller has it.
fn began(kind: Kind, seen: &[&Seen]) -> Option<Timestamp> {
    let caller = terms(kind).map(|terms| terms.caller);
    let of_caller = seen.iter().filter(|one| Some(one.side) == caller).map(|one| one.ts).min();
    of_caller.or_else(|| seen.iter().map(|one| one.ts).min())
}

/// The values of the fields that differ, read a second time: the first time only their prints were kept.
#[derive(Default)]
struct Values(HashMap<(Place, Field), String>);

impl Values {
    fn read(logs: &[Log], fields: &[Fields]) -> Result<Self, ReconcileError> {
        let mut wanted: HashMap<Place, Vec<Field>> = HashMap::new();
        for (hub, node, fields) in fields {
            for place in [hub, node].into_iter().flatten() {
                wanted.entry(*place).or_default().extend(fields);
            }
        }
        let mut values = Self::default();
        for (number, log) in (0_u16..).zip(logs) {
            if !wanted.keys().any(|(of, _)| *of == number) {
                continue;
            }
            for entry in shard::joined(&log.dir)?.map_while(Result::ok) {
                let place = (number, entry.seq);
                for field in wanted.get(&place).into_iter().flatten() {
                    if let Some(text) = value(&entry, log.side(), *field) {
                        values.0.insert((place, *field), text);
                    }
                }
            }
        }
        Ok(values)
    }

    fn of(&self, place: Option<Place>, field: Field) -> Option<String> {
        self.0.get(&(place?, field)).cloned()
    }
}

#[cfg(test)]
mod tests;
