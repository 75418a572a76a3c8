//! The report for a person: the matrix in colour and in letters and words, and a mark on every row.

use std::fmt::Write as _;

use brag_common::rating::Colour;
use brag_hub::render::{self, Paint};

use super::report::{ActionLine, CheckReport, Decided, LifeReport, ReleaseRow, Report, Row};

/// The whole report.
#[must_use]
pub fn text(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\n{}\nEnquiry {}\n", report.scenario, report.enquiry);
    for person in &report.people {
        let role = person.role.as_deref().unwrap_or("role not stated");
        let _ = writeln!(out, "  {}  {}, {role}", person.label, person.name);
    }
    for check in &report.checks {
        check_text(&mut out, check, paint);
    }
    let _ = writeln!(out, "\nRequests for detail");
    for row in &report.releases {
        release_text(&mut out, row, paint);
    }
    if !report.acts.is_empty() {
        let _ = writeln!(out, "\nBesides");
    }
    for row in &report.acts {
        let _ = writeln!(out, "  {} {}: {}", mark(row.ok, paint), row.what, row.found);
    }
    life_text(&mut out, &report.life, paint);
    let wrong: Vec<&Row> = report.inboxes.iter().filter(|row| !row.ok).collect();
    let n_inboxes = report.inboxes.len();
    let _ = writeln!(
        out,
        "\n{} Inboxes: {} of {n_inboxes} agencies have what was released to them, and nothing else",
        mark(wrong.is_empty(), paint),
        n_inboxes - wrong.len()
    );
    let n_wrong = report.receipts.iter().filter(|row| !row.ok).count();
    let n_receipts = report.receipts.len();
    let _ = writeln!(
        out,
        "{} Logs beside each other: {} of {n_receipts} decisions stand once at the holder and once at the hub",
        mark(n_wrong == 0, paint),
        n_receipts - n_wrong
    );
    let reconciled = &report.reconciled;
    let _ = writeln!(
        out,
        "{} Logs reconciled: {} exchanges reconciled, {} one-sided, {} different",
        mark(reconciled.ok, paint),
        reconciled.exchanges,
        reconciled.one_sided,
        reconciled.different
    );
    let _ = writeln!(out, "\nLogs");
    for log in &report.logs {
        let said = log.fault.as_deref().unwrap_or("in order");
        let mark = mark(log.ok, paint);
        let _ = writeln!(out, "  {mark} {:<4} {:>5} entries, {said}", log.party, log.n_entries);
    }
    let _ = writeln!(out, "\nSweep for leaks");
    for sweep in &report.sweeps {
        let swept = &sweep.swept;
        let _ = writeln!(
            out,
            "  {} {}: {} words in {} files ({:.1} MB), {} found",
            mark(sweep.ok, paint),
            sweep.what,
            swept.n_words,
            swept.n_files,
            megabytes(swept.n_bytes),
            swept.leaks.len()
        );
    }
    let differences = report.differences();
    if report.passed {
        let n_cells: usize = report.checks.iter().map(|check| check.rows().count()).sum();
        let _ = writeln!(
            out,
            "\n{} All as expected: {n_cells} rows of the checks, {} decisions, {} logs.",
            mark(true, paint),
            report.releases.len(),
            report.logs.len()
        );
    } else {
        let _ = writeln!(out, "\n{} NOT as expected:", mark(false, paint));
        for difference in differences {
            let _ = writeln!(out, "  {difference}");
        }
    }
    out
}

fn check_text(out: &mut String, check: &CheckReport, paint: Paint) {
    if check.matrix.is_empty() {
        let _ = writeln!(out, "\nAt {}", check.at);
    } else {
        let _ = writeln!(out, "\nColours at {}", check.at);
        matrix_text(out, check, paint);
    }
    for row in &check.life {
        let _ = writeln!(out, "  {} {}: {}", mark(row.ok, paint), row.what, row.found);
    }
    for row in check.rows().filter_map(|row| row.difference.as_ref()) {
        let _ = writeln!(out, "  {} {row}", mark(false, paint));
    }
}

fn matrix_text(out: &mut String, check: &CheckReport, paint: Paint) {
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    let head = check.people.iter().map(|label| Piece::plain(label));
    rows.push(std::iter::once(Piece::plain("")).chain(head).collect());
    for line in &check.matrix {
        let cells = line.cells.iter().map(Piece::of);
        rows.push(std::iter::once(Piece::plain(&line.agency)).chain(cells).collect());
    }
    let levels = check.levels.iter().map(Piece::of);
    rows.push(std::iter::once(Piece::plain("level")).chain(levels).collect());
    table(out, &rows, paint);
    for line in check.matrix.iter().filter(|line| !line.analyses.is_empty()) {
        for analysis in &line.analyses {
            let _ = writeln!(out, "  {}: \"{analysis}\"", line.agency);
        }
    }
    for label in &check.people {
        let of = |rows: &[Row]| -> Vec<String> {
            let mine = rows.iter().filter(|row| row.what.split(' ').any(|word| word == label));
            mine.map(|row| {
                let what = row.what.replace(&format!(" for {label}"), "");
                let what = what.replace(&format!("{label} "), "");
                format!("{what} {} {}", row.found, mark(row.ok, paint))
            })
            .collect()
        };
        let gates = of(&check.gates).join(", ");
        let _ = writeln!(out, "  {label}  {gates}; {}", of(&check.flags).join(", "));
    }
    let n_wrong = check.rules.iter().filter(|row| !row.ok).count();
    let _ = writeln!(
        out,
        "  {} every level is the highest colour, and no other answer is missing",
        mark(n_wrong == 0, paint)
    );
}

/// The enquiry's life, times relative to the start.
fn life_text(out: &mut String, life: &LifeReport, paint: Paint) {
    if !life.flags.is_empty() {
        let _ = writeln!(out, "\nFlags");
    }
    for line in &life.flags {
        let cleared = line.cleared.as_deref();
        let cleared = cleared.map_or("stands".to_owned(), |at| format!("cleared {at}"));
        let _ = writeln!(out, "  {:<36} raised {:>11}, {cleared}", line.flag, line.raised);
    }
    if !life.rows.is_empty() {
        let n_ok = life.rows.iter().filter(|row| row.ok).count();
        let n = life.rows.len();
        let ok = mark(n_ok == n, paint);
        let _ = writeln!(out, "  {ok} {n_ok} of {n} flags came, stayed and went as they had to");
    }
    if !life.clocks.is_empty() {
        let _ = writeln!(out, "\nClocks");
    }
    for clock in &life.clocks {
        let ended = clock.ended.as_ref().map(|at| format!(" {at}")).unwrap_or_default();
        let (name, started, due) = (&clock.clock, &clock.started, &clock.due);
        let _ = writeln!(out, "  {name}: started {started}, due {due}, {}{ended}", clock.state);
    }
    if !life.events.is_empty() {
        let _ = writeln!(out, "\nWhat happened");
    }
    for event in &life.events {
        let _ = writeln!(out, "  {event}");
    }
    if !life.plan.is_empty() {
        let _ = writeln!(out, "\nPlan");
    }
    for action in &life.plan {
        let ActionLine { action: name, word, owner, person, what, state, .. } = action;
        let since = action.since.as_ref().map(|at| format!(" {at}")).unwrap_or_default();
        let due = action.due.as_ref().map(|at| format!(", due {at}")).unwrap_or_default();
        let _ = writeln!(out, "  {name:<5} {owner} for {person}: {word}, {state}{since}{due}");
        let _ = writeln!(out, "        {what}");
    }
    let lead = life.lead.as_deref().unwrap_or("nobody yet");
    let closed = life.closed.as_deref().map_or("open".to_owned(), |how| format!("closed {how}"));
    let _ = writeln!(out, "\nLead: {lead}. The enquiry is {closed}.");
}

fn release_text(out: &mut String, row: &ReleaseRow, paint: Paint) {
    let ReleaseRow { id, holder, person, category, recipient, .. } = row;
    let ask = format!("{id:<9} {holder} {person} {category} to {recipient}");
    let _ = writeln!(out, "  {} {ask}: {}", mark(row.ok, paint), decided_text(&row.decided, paint));
    details(out, &row.decided);
    for reviewed in &row.reviewed {
        let _ = writeln!(out, "        then: {reviewed}");
    }
    if let Some(finally) = &row.finally {
        let _ = writeln!(out, "        in the end: {}", decided_text(finally, paint));
        if !row.reviewed.is_empty() {
            details(out, finally);
        }
    }
    if let Some(opened) = row.opened.as_ref().filter(|opened| opened.ok) {
        let _ = writeln!(out, "        {} and reads {}", opened.what, opened.found);
    }
    for difference in &row.differences {
        let _ = writeln!(out, "      {} {difference}", mark(false, paint));
    }
}

fn decided_text(decided: &Decided, paint: Paint) -> String {
    let word = match decided.decision.as_str() {
        "release" => "RELEASED",
        "review" => "WAITS",
        "deny" => "REFUSED",
        _ => "NO DECISION",
    };
    let word = match paint {
        Paint::Plain => word.to_owned(),
        Paint::Colour => format!("\x1b[1m{word}\x1b[0m"),
    };
    match decided.decision.as_str() {
        "release" => format!("{word} by {}", render::gate_words(&decided.gate)),
        "review" => format!(
            "{word} for {} approval(s), by {}; {}: {}",
            decided.approvals,
            render::gate_words(&decided.gate),
            decided.reason,
            decided.words
        ),
        _ => format!("{word} {}: {}", decided.reason, decided.words),
    }
}

fn details(out: &mut String, decided: &Decided) {
    if !decided.rests_on.is_empty() {
        let _ = writeln!(out, "        rests on {}", decided.rests_on.join("; "));
    }
    if let Some(until) = &decided.view_until {
        let obligations = decided.obligations.join(", ");
        let _ = writeln!(out, "        to be viewed until {until}; {obligations}");
    }
    if !decided.contact_route.is_empty() {
        let _ = writeln!(out, "        instead: {}", decided.contact_route);
    }
    if !decided.would_be_released_if.is_empty() {
        let ways = decided.would_be_released_if.join(", or ");
        let _ = writeln!(out, "        would be released if {ways}");
    }
}

struct Piece {
    text: String,
    colour: Option<Colour>,
    ok: Option<bool>,
}

impl Piece {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), colour: None, ok: None }
    }

    /// A cell or level: its letter and word, never a colour alone.
    fn of(row: &Row) -> Self {
        let letter = row.found.split(' ').next().unwrap_or_default();
        let colour = Colour::ALL.into_iter().find(|c| c.letter().to_string() == letter);
        let words = match (colour, row.found.as_str()) {
            (Some(colour), found) => format!("{letter} {}{}", colour.word(), &found[1..]),
            (None, "NK") => "· not known".to_owned(),
            (None, "-") => "– not rated".to_owned(),
            (None, found) => found.to_owned(),
        };
        Self { text: words, colour, ok: Some(row.ok) }
    }

    fn width(&self) -> usize {
        self.text.chars().count() + if self.ok.is_some() { 2 } else { 0 }
    }
}

fn table(out: &mut String, rows: &[Vec<Piece>], paint: Paint) {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns)
        .map(|n| rows.iter().filter_map(|row| row.get(n)).map(Piece::width).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::from("  ");
        for (piece, width) in row.iter().zip(&widths) {
            line.push_str(&painted(&piece.text, piece.colour, paint));
            if let Some(ok) = piece.ok {
                let _ = write!(line, " {}", mark(ok, paint));
            }
            line.extend(std::iter::repeat_n(' ', width - piece.width() + 2));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn painted(text: &str, colour: Option<Colour>, paint: Paint) -> String {
    let code = match (paint, colour) {
        (Paint::Plain, _) | (Paint::Colour, None) => return text.to_owned(),
        (Paint::Colour, Some(Colour::Blue)) => "97;44",
        (Paint::Colour, Some(Colour::Green)) => "30;42",
        (Paint::Colour, Some(Colour::Amber)) => "30;43",
        (Paint::Colour, Some(Colour::Red)) => "97;41",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn mark(ok: bool, paint: Paint) -> &'static str {
    match (ok, paint) {
        (true, Paint::Plain) => "✓",
        (false, Paint::Plain) => "✗",
        (true, Paint::Colour) => "\x1b[32m✓\x1b[0m",
        (false, Paint::Colour) => "\x1b[1;31m✗\x1b[0m",
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(n_bytes: u64) -> f64 {
    n_bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(found: &str) -> Row {
        Row::compare("CSC P1".to_owned(), "G".to_owned(), found.to_owned())
    }

    #[test]
    fn no_colour_is_shown_by_colour_alone() {
        for (letter, word) in [("B", "blue"), ("G", "green"), ("A", "amber"), ("R", "red")] {
            let piece = Piece::of(&row(letter));
            for paint in [Paint::Plain, Paint::Colour] {
                let shown = painted(&piece.text, piece.colour, paint);
                assert!(shown.contains(&format!("{letter} {word}")), "{shown}");
                assert_eq!(shown.contains('\x1b'), paint == Paint::Colour);
            }
        }
        assert_eq!(Piece::of(&row("R via P2")).text, "R red via P2");
    }

    #[test]
    fn a_difference_is_shown_with_its_words() {
        let difference = row("R").difference.unwrap();
        assert_eq!(difference, "CSC P1: expected G, found R");
        assert!(row("G").difference.is_none());
    }
}
