//! Figures as tables, in the form in which they are given: for information governance with everything, for others without small
//! numbers and what would give them away, and without counts to date.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::time::SignedDuration;

use super::{
    count::{Figure, FigureId, Figures, Measure, Unit},
    document::{Cell, Row, Table},
    measures::TOTALS,
    terms,
    waiting::{Times, Typical},
    withhold::{SMALL, withhold},
};

/// Which time a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The period of the report.
    Period,
    /// From the beginning of the log to the period's end.
    ToDate,
}

/// Figures in the form in which they are given.
#[derive(Debug)]
pub struct Tables<'a> {
    figures: &'a Figures,
    times: &'a Times,
    shared: bool,
    /// Figures that are withheld.
    withheld: Vec<FigureId>,
}

impl<'a> Tables<'a> {
    /// `shared`: the form for others. Of the sets in `known` its reader knows how many they are, whatever is withheld.
    #[must_use]
    pub fn new(
        figures: &'a Figures,
        times: &'a Times,
        shared: bool,
        known: &[BTreeSet<Unit>],
    ) -> Self {
        let mut withheld = Vec::new();
        if shared {
            let all: Vec<(&FigureId, &Figure)> = figures.iter().collect();
            let sets: Vec<_> = all.iter().map(|(_, figure)| &figure.in_period).collect();
            let found = withhold(&sets, &known.iter().collect::<Vec<_>>());
            withheld.extend(
                all.iter().zip(found).filter(|(_, w)| *w).map(|((id, _), _)| (*id).clone()),
            );
        }
        Self { figures, times, shared, withheld }
    }

    /// Whether it is the form for others.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether a figure is withheld.
    #[must_use]
    pub fn is_withheld(&self, id: &FigureId) -> bool {
        self.withheld.binary_search(id).is_ok()
    }

    /// How many in the period, unless that is withheld.
    #[must_use]
    pub fn in_period(&self, id: &FigureId) -> Cell {
        if self.is_withheld(id) {
            return Cell::Withheld;
        }
        Cell::Count(self.figures.get(id).map_or(0, |figure| figure.in_period.len()))
    }

    /// How many up to the period's end; nothing in the form for others.
    #[must_use]
    pub fn to_date(&self, id: &FigureId) -> Cell {
        if self.shared {
            return Cell::Nothing;
        }
        Cell::Count(self.figures.get(id).map_or(0, |figure| figure.to_date.len()))
    }

    fn cell(&self, id: &FigureId, span: Span) -> Cell {
        match span {
            Span::Period => self.in_period(id),
            Span::ToDate => self.to_date(id),
        }
    }

    /// Figures of a measure that the form shows: for others only what happened in the period, and totals.
    pub fn figures(&self, measure: &'static Measure) -> impl Iterator<Item = (&FigureId, &Figure)> {
        let always = measure.name == TOTALS.name;
        self.figures
            .of(measure)
            .filter(move |(_, figure)| always || !self.shared || !figure.in_period.is_empty())
    }

    /// A measure as a table: one row for each figure.
    #[must_use]
    pub fn of(&self, measure: &'static Measure) -> Table {
        let rows = self.figures(measure).map(|(id, _)| self.row(id));
        self.table(measure, &[], rows.collect())
    }

    /// As [`Tables::of`], of these figures only, whether anything was counted in them or not.
    #[must_use]
    pub fn of_these(&self, measure: &'static Measure, ids: &[FigureId]) -> Table {
        self.table(measure, &[], ids.iter().map(|id| self.row(id)).collect())
    }

    fn row(&self, id: &FigureId) -> Row {
        let mut cells: Vec<Cell> = id.by().iter().map(|by| Cell::from(by.as_str())).collect();
        cells.push(self.in_period(id));
        if !self.shared {
            cells.push(self.to_date(id));
        }
        Row { figures: vec![id.clone()], cells }
    }

    /// A measure of things that took time, with mean and median.
    #[must_use]
    pub fn times(&self, measure: &'static Measure) -> Table {
        let rows = self.figures(measure).map(|(id, _)| {
            let [now, to_date] = self.typical(id);
            let mut row = self.row(id);
            row.cells.extend([time(now.map(|t| t.mean)), time(now.map(|t| t.median))]);
            if !self.shared {
                row.cells.extend([time(to_date.map(|t| t.mean)), time(to_date.map(|t| t.median))]);
            }
            row
        });
        let more: &[&str] = if self.shared {
            &["mean", "median"]
        } else {
            &["mean", "median", "mean to date", "median to date"]
        };
        self.table(measure, more, rows.collect())
    }

    /// Figures of things that took time, with median and the time within which nine of ten were done.
    #[must_use]
    pub fn spread(&self, measure: &'static Measure, ids: &[FigureId]) -> Table {
        let rows = ids.iter().map(|id| {
            let mut row = self.row(id);
            row.cells.extend(self.spread_cells(id, Span::Period));
            if !self.shared {
                row.cells.extend(self.spread_cells(id, Span::ToDate));
            }
            row
        });
        let more: &[&str] = if self.shared {
            &["median", "nine in ten within"]
        } else {
            &["median", "nine in ten within", "median to date", "nine in ten to date"]
        };
        self.table(measure, more, rows.collect())
    }

    /// Median, and the time within which nine of ten were done. In the form for others the second only where more than a small number
    /// took as long: else it tells of one of them.
    fn spread_cells(&self, id: &FigureId, span: Span) -> [Cell; 2] {
        let [now, to_date] = self.typical(id);
        let typical = match span {
            Span::Period => now,
            Span::ToDate => to_date,
        };
        let tells_of_few = |typical: &Typical| self.shared && typical.n_longest <= *SMALL.end();
        let nine = typical.filter(|typical| !tells_of_few(typical));
        [time(typical.map(|t| t.median)), time(nine.map(|t| t.nine_in_ten))]
    }

    /// What is typical of a figure in the period and to date, as far as the form shows it.
    fn typical(&self, id: &FigureId) -> [Option<Typical>; 2] {
        let (now, to_date) = self.times.typical(id);
        [now.filter(|_| !self.is_withheld(id)), to_date.filter(|_| !self.shared)]
    }

    /// A measure by two things as a table with a row for each of the first and a column for each of the second; with the times of
    /// the figures of one column beside it, where it names one.
    #[must_use]
    pub fn pivot(
        &self,
        measure: &'static Measure,
        columns: &[&str],
        timed: Option<&str>,
        span: Span,
    ) -> Table {
        let mut by_first: BTreeMap<&str, bool> = BTreeMap::new();
        for (id, figure) in self.figures.of(measure) {
            let is_shown = !self.shared || !figure.in_period.is_empty();
            let first = id.by().first().map_or("", String::as_str);
            *by_first.entry(first).or_default() |= is_shown;
        }
        let rows = by_first.into_iter().filter(|(_, is_shown)| *is_shown).map(|(first, _)| {
            let ids: Vec<FigureId> =
                columns.iter().map(|column| FigureId::new(measure, [first, column])).collect();
            let mut cells = vec![Cell::from(first)];
            cells.extend(ids.iter().map(|id| self.cell(id, span)));
            if let Some(timed) = timed {
                cells.extend(self.spread_cells(&FigureId::new(measure, [first, timed]), span));
            }
            Row { figures: ids, cells }
        });
        let mut headings: Vec<String> =
            measure.by.iter().take(1).map(|by| (*by).to_owned()).collect();
        headings.extend(columns.iter().map(|column| terms::spoken(column)));
        if timed.is_some() {
            headings.extend(["median", "nine in ten within"].map(str::to_owned));
        }
        let (id, caption, note) = match span {
            Span::Period => (measure.name.to_owned(), measure.caption.to_owned(), measure.means),
            Span::ToDate => {
                (format!("{}-to-date", measure.name), format!("{}, to date", measure.caption), "")
            }
        };
        Table { id, caption, columns: headings, rows: rows.collect(), note: note.to_owned() }
    }

    /// How many of how many, with their share where both are shown: never a share alone.
    #[must_use]
    pub fn part_of(&self, part: &FigureId, whole: &FigureId) -> String {
        let (part, whole) = (self.in_period(part), self.in_period(whole));
        let share = match (&part, &whole) {
            (Cell::Count(part), Cell::Count(whole)) => share(*part, *whole),
            _ => String::new(),
        };
        format!("{} of {}{share}", part.text(), whole.text())
    }

    fn table(&self, measure: &'static Measure, more: &[&str], rows: Vec<Row>) -> Table {
        let mut columns: Vec<String> = measure.by.iter().map(|by| (*by).to_owned()).collect();
        columns.push("in the period".to_owned());
        if !self.shared {
            columns.push("to date".to_owned());
        }
        columns.extend(more.iter().map(|column| (*column).to_owned()));
        Table {
            id: measure.name.to_owned(),
            caption: measure.caption.to_owned(),
            columns,
            rows,
            note: measure.means.to_owned(),
        }
    }
}

fn time(time: Option<SignedDuration>) -> Cell {
    time.map_or(Cell::Nothing, |time| terms::elapsed(time).into())
}

/// A share in percent, to a tenth; of nothing there is none.
fn share(part: usize, whole: usize) -> String {
    let per_mille = part.checked_mul(1_000).and_then(|part| part.checked_add(whole / 2));
    match per_mille.and_then(|part| part.checked_div(whole)) {
        Some(per_mille) => format!(" ({}.{} %)", per_mille / 10, per_mille % 10),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use brag_common::audit::entry::Party;

    use super::*;
    use crate::report::count::Source;

    const WAITS: Measure =
        Measure { name: "waits", caption: "Waits", by: &["agency", "what"], means: "" };

    fn unit(seq: u64) -> Unit {
        Unit::new([Source { party: Party::Hub, seq }])
    }

    /// `n` that took 1 to `n` seconds.
    fn waits(n: u64) -> (Figures, Times) {
        let (mut figures, mut times) = (Figures::default(), Times::default());
        for seq in 1..=n {
            figures.count(&WAITS, &[&"CSC", &"done"], &unit(seq), true);
            let took = SignedDuration::from_secs(i64::try_from(seq).unwrap());
            times.add(FigureId::new(&WAITS, ["CSC", "done"]), took, true);
        }
        (figures, times)
    }

    fn nine_in_ten(n: u64, shared: bool) -> Cell {
        let (figures, times) = waits(n);
        let tables = Tables::new(&figures, &times, shared, &[]);
        let table = tables.pivot(&WAITS, &["done"], Some("done"), Span::Period);
        table.rows[0].cells[3].clone()
    }

    #[test]
    fn others_are_not_told_how_long_the_longest_few_took() {
        // Of 39 four took as long as nine in ten, of 40 five.
        assert_eq!(nine_in_ten(39, true), Cell::Nothing);
        assert_ne!(nine_in_ten(40, true), Cell::Nothing);
        assert_ne!(nine_in_ten(1, false), Cell::Nothing);
    }

    #[test]
    fn others_are_told_no_time_of_a_small_number() {
        let (figures, times) = waits(4);
        let tables = Tables::new(&figures, &times, true, &[]);
        let table = tables.pivot(&WAITS, &["done"], Some("done"), Span::Period);
        assert_eq!(table.rows[0].cells[1..], [Cell::Withheld, Cell::Nothing, Cell::Nothing]);
    }

    #[test]
    fn a_share_stands_beside_what_it_is_a_share_of_and_never_beside_what_is_withheld() {
        let (mut figures, times) = waits(8);
        (1..=3).for_each(|seq| figures.count(&WAITS, &[&"CSC", &"late"], &unit(seq), true));
        let id = |what: &str| FigureId::new(&WAITS, ["CSC", what]);
        let open = Tables::new(&figures, &times, false, &[]);
        assert_eq!(open.part_of(&id("late"), &id("done")), "3 of 8 (37.5 %)");
        assert_eq!(open.part_of(&id("never"), &id("nothing")), "0 of 0");
        let shared = Tables::new(&figures, &times, true, &[]);
        assert_eq!(shared.part_of(&id("late"), &id("done")), "withheld of 8");
    }
}
