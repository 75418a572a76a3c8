use brag_common::wire::pb;

use super::*;

fn cell(agency: &str, person: &str, status: pb::AnswerStatus) -> pb::MatrixCell {
    let mut cell = pb::MatrixCell {
        agency: agency.to_owned(),
        person: person.to_owned(),
        since_unix_ms: 1_767_225_600_000,
        ..pb::MatrixCell::default()
    };
    cell.set_status(status);
    cell
}

fn rated(agency: &str, person: &str, colour: pb::Colour, analysis: &str) -> pb::MatrixCell {
    let mut cell = cell(agency, person, pb::AnswerStatus::Rated);
    cell.set_colour(colour);
    analysis.clone_into(&mut cell.analysis);
    cell
}

fn person(label: &str, reference: &str) -> pb::MatrixPerson {
    pb::MatrixPerson {
        label: label.to_owned(),
        person: reference.to_owned(),
        name: format!("{label} Name"),
        ..pb::MatrixPerson::default()
    }
}

fn sample() -> pb::ShowResponse {
    let mut late = rated("CSC", "r1", pb::Colour::Red, "Known for long.");
    late.set_status(pb::AnswerStatus::Late);
    late.set_late_status(pb::AnswerStatus::Rated);
    let mut unable = cell("CSC", "r2", pb::AnswerStatus::Unable);
    unable.reason = "AUDIT_UNAVAILABLE".to_owned();
    let mut silent = cell("POL", "r2", pb::AnswerStatus::NoResponse);
    silent.reason = "UNREACHABLE".to_owned();
    let mut one = person("P1", "r1");
    one.set_level(pb::Colour::Red);
    one.set_initial(pb::Colour::Amber);
    one.uprated = true;
    one.divergence = true;
    one.gates = vec!["g3".to_owned()];
    let mut show = pb::ShowResponse {
        enquiry: "E1".to_owned(),
        purpose: "child_safeguarding".to_owned(),
        opened_at_unix_ms: 1_767_225_600_000,
        people: vec![one, person("P2", "r2")],
        cells: vec![
            late,
            unable,
            cell("HLT", "r1", pb::AnswerStatus::NotKnown),
            pb::MatrixCell {
                reason: "possible".to_owned(),
                ..cell("HLT", "r2", pb::AnswerStatus::IdentityReview)
            },
            cell("POL", "r1", pb::AnswerStatus::Pending),
            silent,
        ],
        ..pb::ShowResponse::default()
    };
    show.set_family_level(pb::Colour::Red);
    show
}

fn release(decision: pb::Decision, reason: &str) -> pb::ReleaseView {
    let mut view = pb::ReleaseView {
        release: "R1".to_owned(),
        holder: "CSC".to_owned(),
        person: "r1".to_owned(),
        category: "C03".to_owned(),
        recipient: "POL".to_owned(),
        reason: reason.to_owned(),
        ..pb::ReleaseView::default()
    };
    view.set_decision(decision);
    view
}

#[test]
fn every_status_has_its_own_words_and_none_is_read_as_another() {
    let table = matrix_table(&sample(), Paint::Plain);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows,
        [
            "agency  P1           P2",
            "CSC     late R red   ! unable: AUDIT_UNAVAILABLE",
            "HLT     · not known  ? identity review: possible",
            "POL     … pending    – no response: UNREACHABLE",
            "level   R red        not rated",
        ]
    );
}

#[test]
fn a_colour_from_before_the_enquiry_says_from_when_it_is() {
    let mut show = sample();
    let mut repeated = rated("SMS", "r1", pb::Colour::Amber, "Known for long.");
    repeated.rated_at_unix_ms = 1_767_225_600_000 - 86_400_000;
    repeated.repeated = true;
    show.cells = vec![repeated, rated("SMS", "r2", pb::Colour::Green, "Seen today.")];
    let table = matrix_table(&show, Paint::Plain);
    assert!(table.contains("A amber, as rated on 2025-12-31  G green\n"), "{table}");
    let document = show_json(&show);
    assert_eq!(document["cells"][0]["repeated"], true);
    assert_eq!(document["cells"][0]["rated_at"], "2025-12-31T00:00:00Z");
    assert_eq!(document["cells"][1].get("repeated"), None);
}

#[test]
fn why_somebody_is_asked_about_again_is_shown_without_tricks() {
    let mut show = sample();
    assert!(!show_text(&show, Analyses::Hidden, Paint::Plain).contains("again"));
    show.again_because = "A second\x1b[2J incident.".to_owned();
    let text = show_text(&show, Analyses::Hidden, Paint::Plain);
    assert!(text.contains("Asked again because: A second\u{fffd}[2J incident.\n"), "{text}");
}

#[test]
fn plain_text_has_no_escape_and_colour_keeps_the_words() {
    assert!(!show_text(&sample(), Analyses::Shown, Paint::Plain).contains('\x1b'));
    let coloured = matrix_table(&sample(), Paint::Colour);
    assert!(coloured.contains("\x1b[97;41mlate R red\x1b[0m"), "{coloured:?}");
}

#[test]
fn what_agencies_write_can_not_play_tricks_on_a_terminal() {
    let mut show = sample();
    show.cells.push(rated("HLT\x1b[2J", "r1", pb::Colour::Blue, "a\x1b[31mb\r\nHLT\u{202e}"));
    let mut view = release(pb::Decision::Deny, "CATEGORY_NEVER");
    view.contact_route = "\x1b]0;x\x07".to_owned();
    show.releases.push(view);
    let text = show_text(&show, Analyses::Shown, Paint::Plain);
    assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text:?}");
}

#[test]
fn a_person_without_ratings_has_no_level() {
    let document = show_json(&sample());
    assert!(document["people"][1].get("level").is_none());
    assert_eq!(document["people"][0]["level"], "red");
    let lines = people_lines(&sample(), Paint::Plain);
    assert!(lines.contains("P2 Name: level not rated"), "{lines}");
    assert!(lines.contains("UPRATED") && lines.contains("DIVERGENCE"), "{lines}");
    assert!(lines.contains("g3 (Red)"), "{lines}");
}

#[test]
fn analyses_show_on_request_only() {
    let hidden = show_text(&sample(), Analyses::Hidden, Paint::Plain);
    assert!(!hidden.contains("Known for long."));
    assert!(show_text(&sample(), Analyses::Shown, Paint::Plain).contains("Known for long."));
}

#[test]
fn a_review_says_who_has_to_act_and_by_when_as_far_as_the_holder_does() {
    let labels = Labels::of(&sample());
    let mut view = release(pb::Decision::Review, "PENDING_APPROVAL");
    (view.gate, view.approvals_needed) = ("g3".to_owned(), 2);
    let line = release_line(&labels, &view, Paint::Plain);
    assert!(line.contains("REVIEW by g3 (Red), 2 approval(s) needed; PENDING_APPROVAL"), "{line}");
    let mut show = sample();
    show.releases.push(view.clone());
    assert!(show_json(&show)["releases"][0].get("waits_for").is_none());
    view.review_until_unix_ms = 1_767_225_600_000;
    for (stage, words, word) in [
        (pb::ReviewStage::Approver, "from an approver by 2026-01-01T00:00:00Z;", "approver"),
        (
            pb::ReviewStage::DeputyApprover,
            "from an approver or deputy approver by 2026-01-01T00:00:00Z;",
            "deputy_approver",
        ),
    ] {
        view.set_review_stage(stage);
        let line = release_line(&labels, &view, Paint::Plain);
        assert!(line.contains(words), "{line}");
        show.releases = vec![view.clone()];
        let document = &show_json(&show)["releases"][0];
        assert_eq!(document["waits_for"], word);
        assert_eq!(document["decide_by"], "2026-01-01T00:00:00Z");
    }
}

#[test]
fn a_refusal_says_its_code_why_and_what_would_change_it() {
    let mut view = release(pb::Decision::Deny, "THRESHOLD_NOT_MET");
    view.would_be_released_if = vec!["another_red".to_owned(), "section_47".to_owned()];
    let line = release_line(&Labels::of(&sample()), &view, Paint::Plain);
    assert!(line.starts_with("CSC C03 about P1 to POL: REFUSED THRESHOLD_NOT_MET: "), "{line}");
    assert!(line.contains(
        "would be released if another agency rates them Red, or children's social care asserts section 47"
    ));
}

#[test]
fn a_holder_that_did_not_answer_has_decided_nothing() {
    let view = release(pb::Decision::Unspecified, "NO_RESPONSE");
    let line = release_line(&Labels::default(), &view, Paint::Plain);
    assert!(line.contains("NO DECISION NO_RESPONSE"), "{line}");
    assert_eq!(release_json(&Labels::default(), &view)["decision"], "no_response");
}

#[test]
fn a_release_says_gate_expiry_and_obligations() {
    let mut view = release(pb::Decision::Release, "");
    view.gate = "g3".to_owned();
    view.relayed = true;
    view.view_expires_at_unix_ms = 1_767_225_600_000;
    view.obligations = vec!["NO_ONWARD".to_owned()];
    let line = release_line(&Labels::default(), &view, Paint::Plain);
    assert!(
        line.contains("RELEASED by g3 (Red), passed on, to be viewed until 2026-01-01T00:00:00Z")
    );
    assert!(line.contains("obligations: NO_ONWARD"), "{line}");
}

#[test]
fn the_document_has_words_and_times_never_numbers() {
    let document = show_json(&sample());
    assert_eq!(document["opened_at"], "2026-01-01T00:00:00Z");
    assert!(document.get("answer_by").is_none());
    let statuses: Vec<_> =
        document["cells"].as_array().unwrap().iter().map(|cell| cell["status"].clone()).collect();
    assert_eq!(
        statuses,
        ["late", "unable", "not_known", "identity_review", "pending", "no_response"]
    );
    assert_eq!(document["cells"][0]["late_status"], "rated");
    assert_eq!(document["cells"][0]["label"], "P1");
    assert_eq!(document["family_level"], "red");
}

#[test]
fn every_hypothesis_and_gate_has_plain_words() {
    for hypothesis in Hypothesis::ALL {
        assert_ne!(hypothesis_words(hypothesis.word()), hypothesis.word());
    }
    for gate in ["g1", "g2", "g3", "g4", "g5", "g6"] {
        assert!(gate_words(gate).contains('('), "{gate}");
    }
}

#[test]
fn an_event_is_one_line() {
    let mut event = pb::WatchResponse { at_unix_ms: 1_767_225_600_000, event: None };
    event.event =
        Some(pb::watch_response::Event::Cell(cell("POL", "r1", pb::AnswerStatus::Pending)));
    let labels = Labels::of(&sample());
    let line = event_line(&labels, &event, Paint::Plain);
    assert_eq!(line, "2026-01-01T00:00:00Z POL about P1: … pending");
    assert_eq!(event_json(&labels, &event)["event"], "cell");
    assert_eq!(event_json(&labels, &event)["cell"]["status"], "pending");
}

#[test]
fn a_label_or_a_reference_names_a_person_and_nothing_else_does() {
    let labels = Labels::of(&sample());
    assert_eq!(labels.reference("P1"), Some("r1"));
    assert_eq!(labels.reference("r1"), Some("r1"));
    assert_eq!(labels.reference("P9"), None);
}
