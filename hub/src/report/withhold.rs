//! Which figures a shared report withholds, so that nobody can be recognised behind a small number.
//!
//! Rule. A count of 1 to 4 is withheld; 0 is shown, since it is about nobody. Then more are withheld, until no withheld count can be
//! worked out from what is shown: for every one of them there is another way in which everything could have happened, under which
//! everything that is shown stays as it is, every withheld count is still 1 or more, and this one is different. A withheld count
//! looks the same whether it is small or protects one that is.
//!
//! It is looked at across all tables of the document at once. Tables count the same things by different properties, so a count that
//! one table withholds could be what is left over in another. Things that the same figures count are one group; a figure is a sum of
//! groups; what is shown are equations over their sizes. A withheld figure is safe when a solution of these equations in whole
//! numbers, other than the true one, gives it another value. One is looked for among the simplest directions in which the sizes can
//! move; where none is found, the smallest shown figure that gives the withheld one away is withheld too, rather one beside it than
//! a total in which it is.
//!
//! What this does not give: a withheld count may still be known to lie within bounds, and two reports over periods that overlap can
//! be subtracted from one another. Share one series of periods only. For the same reason the shared form has no counts to date.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// Counts that are withheld for themselves.
pub const SMALL: RangeInclusive<usize> = 1..=4;

/// For each figure, given as the set of what it counts, whether it is withheld. Of the sets in `known` a reader knows how many they
/// are whatever is withheld, because something else tells.
#[must_use]
pub fn withhold<U: Ord>(figures: &[&BTreeSet<U>], known: &[&BTreeSet<U>]) -> Vec<bool> {
    let mut problem = Problem::new(figures, known);
    while problem.withhold_more() {}
    problem.figures.into_iter().take(figures.len()).map(|figure| figure.withheld).collect()
}

/// A prime: equations are solved in whole numbers modulo it, and what is found is checked in plain whole numbers.
const PRIME: u64 = (1 << 31) - 1;

struct Figure {
    /// The groups it is the sum of.
    groups: Vec<usize>,
    size: usize,
    withheld: bool,
    /// To withhold it would hide nothing.
    is_known: bool,
}

struct Problem {
    /// How many things each group has, at least 1.
    sizes: Vec<i64>,
    figures: Vec<Figure>,
}

impl Problem {
    fn new<U: Ord>(figures: &[&BTreeSet<U>], known: &[&BTreeSet<U>]) -> Self {
        let sets: Vec<&BTreeSet<U>> = figures.iter().chain(known).copied().collect();
        let n_figures = figures.len();
        let mut counted_by: BTreeMap<&U, Vec<usize>> = BTreeMap::new();
        for (n, set) in sets.iter().enumerate() {
            for thing in set.iter() {
                counted_by.entry(thing).or_default().push(n);
            }
        }
        let mut groups: BTreeMap<Vec<usize>, i64> = BTreeMap::new();
        for figures in counted_by.into_values() {
            *groups.entry(figures).or_default() += 1;
        }
        let mut figures: Vec<Figure> = sets
            .iter()
            .enumerate()
            .map(|(n, set)| {
                let (size, is_known) = (set.len(), n >= n_figures);
                let withheld = !is_known && SMALL.contains(&size);
                Figure { groups: Vec::new(), size, withheld, is_known }
            })
            .collect();
        let mut sizes = Vec::with_capacity(groups.len());
        for (group, (counted_by, size)) in groups.into_iter().enumerate() {
            sizes.push(size);
            for n in counted_by {
                if let Some(figure) = figures.get_mut(n) {
                    figure.groups.push(group);
                }
            }
        }
        let mut problem = Self { sizes, figures };
        problem.find_what_is_known();
        problem
    }

    /// Marks figures that follow from what is known anyway.
    fn find_what_is_known(&mut self) {
        let known: Vec<usize> =
            self.figures.iter().enumerate().filter(|(_, f)| f.is_known).map(|(n, _)| n).collect();
        let equations = Equations::of(self, &known);
        let n_groups = self.sizes.len();
        for figure in self.figures.iter_mut().filter(|figure| !figure.withheld) {
            figure.is_known |= !equations.what_gives_away(&figure.groups, n_groups).is_empty();
        }
    }

    /// Withholds what gives a withheld figure away; `false` when nothing does.
    fn withhold_more(&mut self) -> bool {
        let shown: Vec<usize> = self
            .figures
            .iter()
            .enumerate()
            .filter(|(_, figure)| !figure.withheld && figure.size > 0)
            .map(|(n, _)| n)
            .collect();
        let equations = Equations::of(self, &shown);
        let mut open: BTreeSet<usize> = (0..self.figures.len())
            .filter(|n| self.figure(*n).is_some_and(|f| f.withheld))
            .collect();
        for direction in equations.directions(self.sizes.len()) {
            if open.is_empty() {
                break;
            }
            for sign in [1, -1] {
                self.strike_out_moved(&direction, sign, &mut open);
            }
        }
        // One at a time, the smallest first: what hides it often hides the others too.
        let size = |n: &usize| self.figure(*n).map_or(usize::MAX, |figure| figure.size);
        let mut open: Vec<usize> = open.into_iter().collect();
        open.sort_by_key(size);
        let next = open.iter().find_map(|n| self.what_to_withhold_for(*n, &shown, &equations));
        match next.and_then(|n| self.figures.get_mut(n)) {
            Some(figure) => figure.withheld = true,
            None => return false,
        }
        true
    }

    /// What is withheld next, so that a figure is not given away.
    fn what_to_withhold_for(
        &self,
        open: usize,
        shown: &[usize],
        equations: &Equations,
    ) -> Option<usize> {
        let open = self.figure(open)?;
        let counts_the_same = |n: &usize| {
            self.figure(*n)
                .is_some_and(|f| f.groups.iter().any(|group| open.groups.contains(group)))
        };
        let can_be_withheld = |n: &usize| self.figure(*n).is_some_and(|figure| !figure.is_known);
        let mut from = equations.what_gives_away(&open.groups, self.sizes.len());
        from.retain(can_be_withheld);
        if from.is_empty() {
            // No sum gives it away, yet nothing else is possible: whatever counts the same things says too much.
            from = shown.iter().copied().filter(counts_the_same).filter(can_be_withheld).collect();
        }
        // Rather another count than a total in which it is.
        let size = |n: &usize| self.figure(*n).map_or(usize::MAX, |figure| figure.size);
        from.into_iter().min_by_key(|n| (counts_the_same(n), size(n)))
    }

    /// Takes out of `open` what a move of the sizes would change, when it is a possible one.
    fn strike_out_moved(&self, direction: &[(usize, i64)], sign: i64, open: &mut BTreeSet<usize>) {
        let step: BTreeMap<usize, i64> = direction.iter().map(|(g, by)| (*g, sign * by)).collect();
        let possible = step.iter().all(|(group, by)| {
            self.sizes.get(*group).is_some_and(|size| size.saturating_add(*by) >= 0)
        });
        if !possible {
            return;
        }
        let mut moved = Vec::new();
        for (n, figure) in self.figures.iter().enumerate() {
            let change: i64 = figure.groups.iter().filter_map(|group| step.get(group)).sum();
            let size = i64::try_from(figure.size).unwrap_or(i64::MAX);
            match (figure.withheld, change) {
                (_, 0) => {}
                (true, _) if size.saturating_add(change) >= 1 => moved.push(n),
                // A figure that is shown would change, or a withheld one vanish.
                (false | true, _) => return,
            }
        }
        for n in moved {
            open.remove(&n);
        }
    }

    fn figure(&self, n: usize) -> Option<&Figure> {
        self.figures.get(n)
    }
}

/// What is shown, as equations over the sizes of groups, solved as far as they can be.
struct Equations {
    rows: Vec<Row>,
    /// The figure of each equation.
    shown: Vec<usize>,
}

/// A sum of equations in which `pivot` is a group that no other row has.
struct Row {
    pivot: usize,
    groups: Vec<u64>,
    /// Which equations, how often each.
    of: Vec<u64>,
}

impl Equations {
    fn of(problem: &Problem, shown: &[usize]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for (equation, n) in shown.iter().enumerate() {
            let mut groups = vec![0; problem.sizes.len()];
            if let Some(figure) = problem.figure(*n) {
                set_ones(&mut groups, &figure.groups);
            }
            let mut of = vec![0; shown.len()];
            set_ones(&mut of, &[equation]);
            for row in &rows {
                let times = negative(at(&groups, row.pivot));
                add(&mut groups, &row.groups, times);
                add(&mut of, &row.of, times);
            }
            let Some(pivot) = groups.iter().position(|value| *value != 0) else { continue };
            let inverse = power(at(&groups, pivot), PRIME - 2);
            for value in groups.iter_mut().chain(&mut of) {
                *value = *value * inverse % PRIME;
            }
            for row in &mut rows {
                let times = negative(at(&row.groups, pivot));
                add(&mut row.groups, &groups, times);
                add(&mut row.of, &of, times);
            }
            rows.push(Row { pivot, groups, of });
        }
        Self { rows, shown: shown.to_vec() }
    }

    /// Directions in which the sizes can move while everything shown stays as it is: one for each group that the equations leave
    /// free, as changes by group.
    fn directions(&self, n_groups: usize) -> impl Iterator<Item = Vec<(usize, i64)>> {
        let bound: BTreeSet<usize> = self.rows.iter().map(|row| row.pivot).collect();
        (0..n_groups).filter(move |group| !bound.contains(group)).map(|free| {
            let mut direction = vec![(free, 1)];
            for row in &self.rows {
                let by = signed(negative(at(&row.groups, free)));
                if by != 0 {
                    direction.push((row.pivot, by));
                }
            }
            direction
        })
    }

    /// The shown figures of which a sum of groups is a combination; none when it is not one.
    fn what_gives_away(&self, sum: &[usize], n_groups: usize) -> Vec<usize> {
        let mut left = vec![0; n_groups];
        set_ones(&mut left, sum);
        let mut of = vec![0; self.shown.len()];
        for row in &self.rows {
            let times = negative(at(&left, row.pivot));
            add(&mut left, &row.groups, times);
            add(&mut of, &row.of, times);
        }
        if left.iter().any(|value| *value != 0) {
            return Vec::new();
        }
        let used = self.shown.iter().zip(of).filter(|(_, times)| *times != 0);
        used.map(|(figure, _)| *figure).collect()
    }
}

fn at(values: &[u64], n: usize) -> u64 {
    values.get(n).copied().unwrap_or_default()
}

fn set_ones(values: &mut [u64], places: &[usize]) {
    for place in places {
        if let Some(value) = values.get_mut(*place) {
            *value = 1;
        }
    }
}

fn add(to: &mut [u64], what: &[u64], times: u64) {
    if times != 0 {
        for (value, add) in to.iter_mut().zip(what) {
            *value = (*value + add * times) % PRIME;
        }
    }
}

const fn negative(value: u64) -> u64 {
    (PRIME - value) % PRIME
}

/// The whole number nearest to 0 that a remainder stands for.
fn signed(value: u64) -> i64 {
    let as_signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    if value <= PRIME / 2 { as_signed(value) } else { as_signed(value) - as_signed(PRIME) }
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests;
