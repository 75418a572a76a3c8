use proptest::prelude::*;

use super::*;

/// A table of counts with the totals of its rows and columns and the grand total, as figures: cells row by row, then the totals
/// of rows, of columns, and of all.
fn figures_of(table: &[Vec<usize>]) -> Vec<BTreeSet<(usize, usize, usize)>> {
    let n_columns = table[0].len();
    let cell = |r: usize, c: usize| (0..table[r][c]).map(move |n| (r, c, n));
    let mut figures = Vec::new();
    for r in 0..table.len() {
        for c in 0..n_columns {
            figures.push(cell(r, c).collect());
        }
    }
    for r in 0..table.len() {
        figures.push((0..n_columns).flat_map(|c| cell(r, c)).collect());
    }
    for c in 0..n_columns {
        figures.push((0..table.len()).flat_map(|r| cell(r, c)).collect());
    }
    let all = (0..table.len()).flat_map(|r| (0..n_columns).map(move |c| (r, c)));
    figures.push(all.flat_map(|(r, c)| cell(r, c)).collect());
    figures
}

fn withheld(table: &[Vec<usize>]) -> Vec<bool> {
    let figures = figures_of(table);
    withhold(&figures.iter().collect::<Vec<_>>(), &[])
}

/// The sizes of the same figures.
fn sizes_of(table: &[Vec<usize>]) -> Vec<usize> {
    let rows = table.iter().map(|row| row.iter().sum());
    let columns = (0..table[0].len()).map(|c| table.iter().map(|row| row[c]).sum());
    let cells = table.iter().flatten().copied();
    let all = table.iter().flatten().sum();
    cells.chain(rows).chain(columns).chain([all]).collect()
}

/// Whether a table agrees with all that is shown of another, and with what a reader knows of what is withheld: it is 1 or more.
fn agrees(table: &[Vec<usize>], shown: &[(usize, bool)]) -> bool {
    sizes_of(table)
        .into_iter()
        .zip(shown)
        .all(|(size, (true_size, withheld))| if *withheld { size >= 1 } else { size == *true_size })
}

/// Every table of this shape with cells up to `most`, as an attacker would try them.
fn tables(rows: usize, columns: usize, most: usize) -> impl Iterator<Item = Vec<Vec<usize>>> {
    let n = (most + 1).pow(u32::try_from(rows * columns).unwrap());
    (0..n).map(move |mut code| {
        let mut next = || {
            let digit = code % (most + 1);
            code /= most + 1;
            digit
        };
        (0..rows).map(|_| (0..columns).map(|_| next()).collect()).collect()
    })
}

#[test]
fn a_small_cell_is_not_what_is_left_of_its_row() {
    let withheld = withheld(&[vec![3, 20, 30], vec![40, 50, 60]]);
    // The small one, one beside it, one below it, and what closes the square.
    assert_eq!(withheld[..6], [true, true, false, true, true, false]);
    // Totals stay.
    assert!(withheld[6..].iter().all(|withheld| !withheld));
}

#[test]
fn nothing_and_what_is_large_is_shown() {
    assert!(withheld(&[vec![0, 20], vec![40, 5]]).iter().all(|withheld| !withheld));
}

#[test]
fn a_single_small_figure_without_a_total_needs_no_other() {
    let (small, large) = (BTreeSet::from([1, 2]), (10..20).collect::<BTreeSet<i32>>());
    assert_eq!(withhold(&[&small, &large], &[]), [true, false]);
}

#[test]
fn what_one_table_withholds_is_not_left_over_in_another() {
    // Ten refusals: by reason 7 and 3; by holder 5 and 5; and how many there are.
    let all: BTreeSet<u32> = (0..10).collect();
    let (often, seldom) = (all.range(..7).copied().collect(), all.range(7..).copied().collect());
    let (one, other): (BTreeSet<u32>, BTreeSet<u32>) = all.iter().partition(|n| *n % 2 == 0);
    let withheld = withhold(&[&all, &often, &seldom, &one, &other], &[]);
    assert!(withheld[2]);
    // Either the other reason goes, or every way to the total.
    assert!(withheld[1] || (withheld[0] && (withheld[3] || withheld[4])), "{withheld:?}");
}

#[test]
fn what_is_left_of_a_total_that_is_known_anyway_is_not_given_away() {
    let all: BTreeSet<u32> = (0..6).collect();
    let (five, one): (BTreeSet<u32>, BTreeSet<u32>) = all.iter().partition(|n| **n < 5);
    assert_eq!(withhold(&[&five, &one], &[]), [false, true]);
    assert_eq!(withhold(&[&five, &one], &[&all]), [true, true]);
    // What is known can not be hidden, so it is not tried.
    assert_eq!(withhold(&[&all, &five, &one], &[&all]), [false, true, true]);
}

#[test]
fn ones_that_only_ones_can_be_are_not_given_away_by_their_total() {
    let withheld = withheld(&[vec![1, 1, 1, 1, 1]]);
    assert!(withheld[..5].iter().all(|withheld| *withheld));
    assert!(withheld[5] && withheld[11], "the total of five withheld counts says that each is 1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Tries every table there is: for each withheld figure at least two values remain possible.
    #[test]
    fn no_withheld_figure_is_determined_by_what_is_shown(
        table in prop::collection::vec(prop::collection::vec(0_usize..=5, 2), 2..=3),
    ) {
        let withheld = withheld(&table);
        let shown: Vec<(usize, bool)> = sizes_of(&table).into_iter().zip(withheld).collect();
        for (size, withheld) in &shown {
            prop_assert!(*withheld || !SMALL.contains(size), "a small figure is shown");
        }
        let mut possible: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); shown.len()];
        for other in tables(table.len(), 2, 6).filter(|other| agrees(other, &shown)) {
            for (values, size) in possible.iter_mut().zip(sizes_of(&other)) {
                values.insert(size);
            }
        }
        for (n, (size, withheld)) in shown.iter().enumerate() {
            prop_assert!(!*withheld || possible[n].len() > 1, "figure {n} can only be {size}: {shown:?}");
        }
    }

    #[test]
    fn large_documents_end_and_show_no_small_figure(
        things in prop::collection::vec((0_u8..6, 0_u8..4, 0_u8..8, 0_u8..3), 0..120),
    ) {
        let by = |key: fn(&(u8, u8, u8, u8)) -> u32| {
            let mut sets: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
            for (n, thing) in things.iter().enumerate() {
                sets.entry(key(thing)).or_default().insert(n);
            }
            sets.into_values()
        };
        let mut figures: Vec<BTreeSet<usize>> = vec![(0..things.len()).collect()];
        figures.extend(by(|t| u32::from(t.0)));
        figures.extend(by(|t| u32::from(t.1)));
        figures.extend(by(|t| u32::from(t.2) * 10 + u32::from(t.3)));
        figures.extend(by(|t| u32::from(t.0) * 1000 + u32::from(t.1) * 100 + u32::from(t.3)));
        let withheld = withhold(&figures.iter().collect::<Vec<_>>(), &[]);
        for (figure, withheld) in figures.iter().zip(withheld) {
            prop_assert!(withheld || !SMALL.contains(&figure.len()));
        }
    }
}
