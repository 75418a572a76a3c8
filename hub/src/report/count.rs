//! Figures that can be traced: a figure is the set of things that were counted, and each thing is the entries that tell of it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use brag_common::audit::entry::{Entry, Party};
use serde::Serialize;

/// One entry of one log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Source {
    /// Whose log.
    pub party: Party,
    /// The number of the entry in it.
    pub seq: u64,
}

impl Source {
    /// The place of an entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self { party: entry.node.clone(), seq: entry.seq }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.party, self.seq)
    }
}

/// One thing that was counted. Two figures that count the same thing share it, which is how what one figure tells of another
/// is found out.
#[derive(Debug, Clone)]
pub struct Unit {
    sources: Arc<[Source]>,
    /// Which of several that one entry stands for; 0 when it stands for one.
    part: u64,
    /// Entries that show why it counts in one figure. They are not what it is: the same thing may have others in another figure.
    shown_by: Arc<[Source]>,
}

impl Unit {
    /// What these entries tell of together, in the order in which they were read.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Self {
        Self { sources: sources.into_iter().collect(), part: 0, shown_by: Arc::default() }
    }

    /// What one entry tells of.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self::new([Source::of(entry)])
    }

    /// One of several that an entry stands for, from 1.
    #[must_use]
    pub fn part(&self, part: u64) -> Self {
        Self { sources: Arc::clone(&self.sources), part, shown_by: Arc::clone(&self.shown_by) }
    }

    /// The same thing, with the entries that show why it counts.
    #[must_use]
    pub fn shown_by(&self, sources: impl IntoIterator<Item = Source>) -> Self {
        Self { shown_by: sources.into_iter().collect(), ..self.clone() }
    }

    /// The entries: those that tell of it, then those that show why it counts.
    pub fn entries(&self) -> impl Iterator<Item = &Source> {
        let further = self.shown_by.iter().filter(|source| !self.sources.contains(source));
        self.sources.iter().chain(further)
    }

    fn identity(&self) -> (&[Source], u64) {
        (&self.sources, self.part)
    }
}

impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Unit {}

impl PartialOrd for Unit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Unit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

/// What is counted: one table of figures.
#[derive(Debug, PartialEq, Eq)]
pub struct Measure {
    /// The first part of its figures' ids.
    pub name: &'static str,
    /// The table's caption.
    pub caption: &'static str,
    /// What its figures are told apart by; the headings of the table's first columns.
    pub by: &'static [&'static str],
    /// What one figure counts, in a sentence or two.
    pub means: &'static str,
}

/// A count, in the period and from the beginning of the log to the period's end.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// What was counted in the period.
    pub in_period: BTreeSet<Unit>,
    /// What was counted up to its end, the period included.
    pub to_date: BTreeSet<Unit>,
}

/// The name of a figure: its measure and what tells it apart, for example `exchanges.g3.S2.SMS.released`. It is the same in every
/// report and in every form of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureId {
    measure: &'static str,
    by: Vec<String>,
}

impl FigureId {
    /// The figure of a measure with these values.
    #[must_use]
    pub fn new(measure: &Measure, by: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let by = by.into_iter().map(|value| value.to_string()).collect();
        Self { measure: measure.name, by }
    }

    /// Whether it is a figure of this measure.
    #[must_use]
    pub fn is_of(&self, measure: &Measure) -> bool {
        self.measure == measure.name
    }

    /// What tells it apart from others of its measure.
    #[must_use]
    pub fn by(&self) -> &[String] {
        &self.by
    }
}

impl fmt::Display for FigureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.measure)?;
        self.by.iter().try_for_each(|value| write!(f, ".{value}"))
    }
}

/// Every figure of a report.
#[derive(Debug, Clone, Default)]
pub struct Figures(BTreeMap<FigureId, Figure>);

impl Figures {
    /// Has a figure although nothing may be counted in it: then it says 0.
    pub fn declare(&mut self, measure: &Measure, by: &[&dyn fmt::Display]) {
        self.0.entry(FigureId::new(measure, by)).or_default();
    }

    /// Counts a thing; `in_period` says whether also in the period.
    pub fn count(
        &mut self,
        measure: &Measure,
        by: &[&dyn fmt::Display],
        unit: &Unit,
        in_period: bool,
    ) {
        let figure = self.0.entry(FigureId::new(measure, by)).or_default();
        figure.to_date.insert(unit.clone());
        if in_period {
            figure.in_period.insert(unit.clone());
        }
    }

    /// The figures of a measure, in the order of what tells them apart.
    pub fn of<'a>(
        &'a self,
        measure: &'a Measure,
    ) -> impl Iterator<Item = (&'a FigureId, &'a Figure)> {
        self.0.iter().filter(|(id, _)| id.measure == measure.name)
    }

    /// The figure with these values; `None` when nothing was counted in it.
    #[must_use]
    pub fn get(&self, id: &FigureId) -> Option<&Figure> {
        self.0.get(id)
    }

    /// The figure whose name is written so.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&FigureId, &Figure)> {
        self.0.iter().find(|(id, _)| id.to_string() == name)
    }

    /// Every figure, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&FigureId, &Figure)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure = Measure { name: "things", caption: "", by: &["kind"], means: "" };

    fn unit(seq: u64) -> Unit {
        Unit::new([Source { party: Party::Hub, seq }])
    }

    #[test]
    fn the_same_thing_is_counted_once() {
        let mut figures = Figures::default();
        figures.count(&MEASURE, &[&"a"], &unit(1), true);
        figures.count(&MEASURE, &[&"a"], &unit(1), true);
        figures.count(&MEASURE, &[&"a"], &unit(2), false);
        let (id, figure) = figures.named("things.a").unwrap();
        assert_eq!((figure.in_period.len(), figure.to_date.len()), (1, 2));
        assert_eq!(id.by(), ["a"]);
    }

    #[test]
    fn the_same_thing_shown_by_other_entries_is_the_same_thing() {
        let source = |seq| Source { party: Party::Hub, seq };
        let shown = unit(1).shown_by([source(1), source(7)]);
        assert_eq!(shown, unit(1));
        assert_eq!(shown.entries().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 7]);
    }

    #[test]
    fn several_that_one_entry_stands_for_are_several() {
        let mut figures = Figures::default();
        for part in 1..=3 {
            figures.count(&MEASURE, &[&"a"], &unit(1).part(part), true);
        }
        figures.declare(&MEASURE, &[&"b"]);
        let counts: Vec<usize> = figures.of(&MEASURE).map(|(_, f)| f.to_date.len()).collect();
        assert_eq!(counts, [3, 0]);
    }
}
