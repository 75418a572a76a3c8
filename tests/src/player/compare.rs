//! What was found beside what was expected, as rows with the difference in words.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    id::AgencyId,
    rating::Colour,
    reason::Reason,
    time::{SignedDuration, Timestamp},
    wire::{pb, words},
};
use brag_hub::render;

use super::report::{CheckReport, Decided, MatrixLine, PersonLine, Row};
use crate::scenario::{self, Check, Expected, Level, Person, Release, Said, Scenario};

/// How far the end of a view may be from what is expected: times travel in whole milliseconds.
const VIEW_TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// A person, for the table's head.
pub fn person_line(person: &Person) -> PersonLine {
    PersonLine {
        label: person.label.get_ref().clone(),
        name: format!("{} {}", person.given, person.family),
        role: person.role.map(|role| {
            match role {
                scenario::Role::Victim => "victim",
                scenario::Role::Child => "child",
                scenario::Role::PersonPosingRisk => "person posing risk",
                scenario::Role::ConnectedPerson => "connected person",
                scenario::Role::Unclear => "unclear",
            }
            .to_owned()
        }),
    }
}

/// A cell as the scenario would write it.
pub fn cell(cell: &pb::MatrixCell, labels: &BTreeMap<String, String>) -> scenario::Cell {
    let late = cell.status() == pb::AnswerStatus::Late;
    let status = if late { cell.late_status() } else { cell.status() };
    let said = match colour(cell.colour) {
        Some(colour) if status == pb::AnswerStatus::Rated => {
            let via = (!cell.via.is_empty())
                .then(|| labels.get(&cell.via).cloned().unwrap_or_else(|| "?".to_owned()));
            Said::Rated { colour, via }
        }
        // Rated without a colour shows as a status that no scenario can want.
        _ => Said::Status(status, (!cell.reason.is_empty()).then(|| cell.reason.clone())),
    };
    scenario::Cell { said, late }
}

/// Whether every cell of a check is as it has to be.
pub fn agrees(
    scenario: &Scenario,
    check: &Check,
    shown: &pb::ShowResponse,
    labels: &BTreeMap<String, String>,
) -> bool {
    check.matrix.iter().all(|(agency, cells)| {
        scenario.labels().zip(cells).all(|(label, expected)| {
            let found = shown.cells.iter().find(|cell| {
                cell.agency == agency.get_ref().as_str()
                    && labels.get(&cell.person).is_some_and(|known| known == label)
            });
            found.is_some_and(|found| expected.admits(&cell(found, labels)))
        })
    })
}

/// Compares an enquiry as the hub shows it with a check.
pub fn check(
    scenario: &Scenario,
    check: &Check,
    agencies: &[AgencyId],
    shown: &pb::ShowResponse,
    labels: &BTreeMap<String, String>,
) -> CheckReport {
    let mut report = CheckReport {
        at: check.at.to_string(),
        people: scenario.labels().map(str::to_owned).collect(),
        matrix: Vec::new(),
        levels: Vec::new(),
        gates: Vec::new(),
        flags: Vec::new(),
        rules: Vec::new(),
        life: Vec::new(),
    };
    for agency in agencies {
        let expected = check.matrix.iter().find(|(known, _)| known.get_ref() == agency);
        let Some((_, expected)) = expected else { continue };
        report.matrix.push(matrix_line(agency, expected, shown, labels));
    }
    for (person, expected) in shown.people.iter().zip(&check.levels) {
        let found = Level(colour(person.level)).to_string();
        let what = format!("level of {}", person.label);
        report.levels.push(Row::compare(what, expected.to_string(), found));
    }
    for gates in &check.gates {
        for label in &gates.people {
            let label = label.get_ref();
            let found = shown.people.iter().find(|person| person.label == *label);
            let found: BTreeSet<&str> =
                found.iter().flat_map(|p| &p.gates).map(String::as_str).collect();
            for (gates, state, other) in
                [(&gates.open, "open", "shut"), (&gates.shut, "shut", "open")]
            {
                for gate in gates {
                    let is_open = found.contains(gate.word());
                    let as_wanted = is_open == (state == "open");
                    let what = format!("{} for {label}", gate.word());
                    let found = if as_wanted { state } else { other };
                    report.gates.push(Row::compare(what, state.to_owned(), found.to_owned()));
                }
            }
        }
    }
    report.flags = flags(check, shown);
    if !check.matrix.is_empty() {
        report.rules = rules(check, shown);
    }
    report
}

fn matrix_line(
    agency: &AgencyId,
    expected: &[scenario::Cell],
    shown: &pb::ShowResponse,
    labels: &BTreeMap<String, String>,
) -> MatrixLine {
    let mut line =
        MatrixLine { agency: agency.to_string(), cells: Vec::new(), analyses: Vec::new() };
    for (person, expected) in shown.people.iter().zip(expected) {
        let found = shown
            .cells
            .iter()
            .find(|cell| cell.agency == agency.as_str() && cell.person == person.person);
        let what = format!("{agency} {}", person.label);
        let row = match found.map(|found| cell(found, labels)) {
            None => Row::compare(what, expected.to_string(), "no cell".to_owned()),
            Some(found) if expected.admits(&found) => Row::met(what, expected, &found),
            Some(found) => Row::compare(what, expected.to_string(), found.to_string()),
        };
        line.cells.push(row);
        let analysis = found.map(|cell| cell.analysis.clone()).unwrap_or_default();
        if !analysis.is_empty() && !line.analyses.contains(&analysis) {
            line.analyses.push(analysis);
        }
    }
    line
}

fn flags(check: &Check, shown: &pb::ShowResponse) -> Vec<Row> {
    let yes_no = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let mut rows = Vec::new();
    for person in &shown.people {
        let names = |labels: &[toml::Spanned<String>]| {
            labels.iter().any(|label| *label.get_ref() == person.label)
        };
        if let Some(uprated) = &check.uprated {
            let what = format!("{} uprated", person.label);
            rows.push(Row::compare(what, yes_no(names(uprated)), yes_no(person.uprated)));
        }
        for (expected, wanted) in [(&check.divergence, true), (&check.no_divergence, false)] {
            if names(expected) {
                let what = format!("{} divergence", person.label);
                rows.push(Row::compare(what, yes_no(wanted), yes_no(person.divergence)));
            }
        }
    }
    rows
}

/// What holds of every scenario: the level is the highest colour, and no answer is missing but those that the check
/// says are.
fn rules(check: &Check, shown: &pb::ShowResponse) -> Vec<Row> {
    let mut rows = Vec::new();
    for (n, person) in shown.people.iter().enumerate() {
        let cells = shown.cells.iter().filter(|cell| cell.person == person.person);
        let highest = cells.clone().filter_map(|cell| colour(cell.colour)).max();
        let what = format!("level of {} is its highest colour", person.label);
        let found = Level(colour(person.level)).to_string();
        rows.push(Row::compare(what, Level(highest).to_string(), found));
        let n_waiting =
            cells.filter(|found| !cell(found, &BTreeMap::new()).is_final()).count().to_string();
        let column = check.matrix.values().filter_map(|cells| cells.get(n));
        let n_missing = column.filter(|expected| !expected.is_final()).count().to_string();
        let what = format!("answers missing for {}", person.label);
        rows.push(Row::compare(what, n_missing, n_waiting));
    }
    rows
}

/// The decision's word, as the scenario writes it.
pub fn decision_word(view: &pb::ReleaseView) -> &'static str {
    match view.decision() {
        pb::Decision::Release => "release",
        pb::Decision::Review => "review",
        pb::Decision::Deny => "deny",
        pb::Decision::Unspecified => "no_response",
    }
}

/// Compares a decision with what is expected: the decision as it was found, and every difference in words.
pub fn decision(
    expected: &Expected,
    view: &pb::ReleaseView,
    start: Timestamp,
    statements: &BTreeMap<String, String>,
) -> (Decided, Vec<String>) {
    let mut differences = Vec::new();
    let mut differ = |what: &str, expected: &str, found: &str| {
        if expected != found {
            differences.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let word = decision_word(view);
    let reason = if word == "release" { "" } else { &view.reason };
    differ("decision", expected.decision.word(), word);
    if expected.decision.word() == word {
        if let Some(code) = expected.reason {
            differ("reason", code.code(), reason);
        }
        if let Some(approvals) = expected.approvals {
            differ("approvals", &approvals.to_string(), &view.approvals_needed.to_string());
        }
        if let Some(gate) = expected.gate {
            differ("gate", gate.word(), &view.gate);
        }
        let has = |wanted: &String| {
            view.obligations.iter().any(|o| o == wanted || o.split('=').next() == Some(wanted))
        };
        for missing in expected.obligations.iter().filter(|wanted| !has(wanted)) {
            differ("obligation", missing, "none such");
        }
        for unwanted in expected.no_obligations.iter().filter(|unwanted| has(unwanted)) {
            differ("obligation", &format!("no {unwanted}"), unwanted);
        }
        for word in &expected.would_be_released_if {
            if !view.would_be_released_if.contains(word) {
                let found = view.would_be_released_if.join(", ");
                differ("would be released if", word, &found);
            }
        }
        if let Some(until) = expected.view_until {
            let (wanted, found) = (until.after(start), view_until(view));
            let near =
                found.is_some_and(|found| found.duration_since(wanted).abs() <= VIEW_TOLERANCE);
            let found = found.map_or_else(|| "no end".to_owned(), |at| at.to_string());
            if !near {
                differ("end of the view", &format!("about {wanted}"), &found);
            }
        }
        if expected.contact_route && view.contact_route.is_empty() {
            differ("contact route", "one", "none");
        }
    } else {
        differ("reason", expected.reason.map_or("none", |code| code.code()), reason);
    }
    let decided = Decided {
        expected: expected_words(expected),
        decision: word.to_owned(),
        reason: reason.to_owned(),
        words: if reason.is_empty() {
            String::new()
        } else {
            render::reason_text(reason).to_owned()
        },
        approvals: view.approvals_needed,
        gate: view.gate.clone(),
        rests_on: rests_on(view, statements),
        obligations: view.obligations.clone(),
        view_until: view_until(view).map(|at| format!("{at:.0}")),
        contact_route: view.contact_route.clone(),
        would_be_released_if: view
            .would_be_released_if
            .iter()
            .map(|word| render::hypothesis_words(word))
            .collect(),
    };
    (decided, differences)
}

/// What is expected, in short.
fn expected_words(expected: &Expected) -> String {
    let word = expected.decision.word();
    match (expected.reason, expected.approvals) {
        (Some(reason), _) => format!("{word} {reason}"),
        (None, Some(n)) => format!("{word}, {n} approval(s)"),
        (None, None) => word.to_owned(),
    }
}

fn view_until(view: &pb::ReleaseView) -> Option<Timestamp> {
    let at = view.view_expires_at_unix_ms;
    (at != 0).then(|| Timestamp::from_millisecond(at).ok()).flatten()
}

/// The signed statements behind the gate; for a refusal the rule that refused.
fn rests_on(view: &pb::ReleaseView, statements: &BTreeMap<String, String>) -> Vec<String> {
    if view.reason == Reason::ApproverRefused.code() {
        return vec!["a person at the holder".to_owned()];
    }
    if view.decision() == pb::Decision::Deny {
        let last = view.trace.last();
        return last.map(|step| format!("{}: {}", step.stage, step.rule)).into_iter().collect();
    }
    let of_gate = |step: &&pb::TraceStep| step.stage == "gate" && step.rule == view.gate;
    let evidence: BTreeSet<&String> =
        view.trace.iter().filter(of_gate).flat_map(|step| &step.evidence).collect();
    let mut rests: Vec<String> =
        evidence.iter().filter_map(|id| statements.get(*id)).cloned().collect();
    rests.sort();
    let n_others = evidence.len() - rests.len();
    if n_others > 0 {
        rests.push(format!("{n_others} standing rating(s)"));
    }
    rests
}

/// What a holder holds of what is asked for.
pub fn held(scenario: &Scenario, release: &Release) -> Vec<String> {
    let held = scenario.holding.iter().filter(|holding| {
        holding.agency.get_ref() == release.holder.get_ref()
            && holding.person.get_ref() == release.person.get_ref()
            && *holding.category.get_ref() == release.category
    });
    held.map(scenario::Holding::payload).collect()
}

/// Whether a text is everything that is held, and nothing else.
pub fn is_whole(text: &str, held: &[String]) -> bool {
    let mut parts: Vec<&str> = text.split("\n\n").collect();
    let mut held: Vec<&str> = held.iter().map(String::as_str).collect();
    parts.sort_unstable();
    held.sort_unstable();
    !held.is_empty() && parts == held
}

fn colour(number: i32) -> Option<Colour> {
    words::to_optional_colour(number).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_exactly_what_is_held_is_not_it() {
        let held = ["one [M-1]".to_owned(), "two [M-2]".to_owned()];
        assert!(is_whole("two [M-2]\n\none [M-1]", &held));
        for text in ["one [M-1]", "", "one [M-1]\n\ntwo [M-2]\n\nthree"] {
            assert!(!is_whole(text, &held), "{text}");
        }
        assert!(!is_whole("", &[]));
    }

    #[test]
    fn every_difference_of_a_decision_is_told() {
        let expected: Expected = toml::from_str(
            "decision = 'release'\ngate = 'g3'\nobligations = ['NO_ONWARD']\nview_until = '+7d'",
        )
        .unwrap();
        let mut view = pb::ReleaseView { gate: "g5".to_owned(), ..pb::ReleaseView::default() };
        view.set_decision(pb::Decision::Release);
        let start = Timestamp::UNIX_EPOCH;
        let (_, found) = decision(&expected, &view, start, &BTreeMap::new());
        assert_eq!(found.len(), 3, "{found:?}");
        view.set_decision(pb::Decision::Deny);
        view.reason = "THRESHOLD_NOT_MET".to_owned();
        let (_, found) = decision(&expected, &view, start, &BTreeMap::new());
        assert_eq!(
            found,
            [
                "decision: expected release, found deny",
                "reason: expected none, found THRESHOLD_NOT_MET"
            ]
        );
    }
}
