//! The load benchmark runs to its end and reports what it says it does. Its figures are looked at for being there, never
//! for being good.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a benchmark to its end: its report, and what it said meanwhile.
fn load(args: &[&str]) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(args)
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn a_small_load_of_matching_reports_every_figure_and_finds_whom_it_should() {
    let (report, said) =
        load(&["matching", "--people", "200", "--evaluate", "40", "--screens", "5"]);
    for ratio in ["enrolment_cpu", "enrolment_wall", "screen_hit", "screen_miss"] {
        assert!(report["ratios"][ratio].as_f64().unwrap() > 0.0, "{ratio}: {said}");
    }
    let sizes = report["sizes"].as_array().unwrap();
    let people: Vec<u64> = sizes.iter().map(|size| size["n_people"].as_u64().unwrap()).collect();
    assert_eq!(people, [5, 20, 200]);
    for size in sizes {
        let number = |pointer: &str| size.pointer(pointer).and_then(Value::as_f64).unwrap();
        for figure in [
            "/import/wall_seconds",
            "/import/peak_bytes",
            "/enrolment/wall_seconds",
            "/enrolment/node_peak_bytes",
            "/enrolment/hub_peak_bytes",
            "/enrolment/floor/cpu_microseconds/p50",
            "/service/start_seconds/p50",
            "/service/idle_bytes",
            "/service/peak_bytes",
            "/screens/miss/milliseconds/p99",
        ] {
            assert!(number(figure) > 0.0, "{figure} of {size}");
        }
        // People with a record of their own are hit by every key; of 64 bytes are the index's head.
        assert!(number("/screens/hit/n_known") >= 3.0, "{size}");
        assert_eq!(number("/screens/miss/n_known"), 0.0, "{size}");
        assert_eq!(number("/index/n_bytes"), 64.0 + 40.0 * number("/index/n_tokens"));
    }
    assert_eq!(sizes[2]["enrolment"]["n_evaluated"], 40);
    let of_all = sizes[2]["enrolment"]["again"]["n_tokens"].as_f64().unwrap();
    assert!(of_all > 4.0 * sizes[2]["enrolment"]["n_tokens"].as_f64().unwrap());
    assert_eq!(sizes[1]["enrolment"]["again"], Value::Null);
}

#[test]
fn a_small_load_of_the_log_reports_every_figure_of_both_sides() {
    let (report, said) =
        load(&["log", "--entries", "3000", "--writers", "16", "--seconds", "0.2", "--runs", "2"]);
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap();
    for side in ["bare", "log"] {
        for figure in ["per_second/p50", "milliseconds/p50", "milliseconds/p99", "milliseconds/max"]
        {
            assert!(number(&format!("/{side}/{figure}")) > 0.0, "{side} {figure}: {said}");
        }
        // Each writer waits for its entry, so no sync is for more of them than there are writers.
        assert!((0.5..=16.0).contains(&number(&format!("/{side}/mean_batch"))), "{report}");
        assert_eq!(number(&format!("/{side}/per_second/n")), 2.0);
    }
    for ratio in ["appends", "appends_by_turns", "verify_seconds"] {
        assert!(number(&format!("/ratios/{ratio}")) > 0.0, "{ratio}: {said}");
    }
    let n_entries = number("/verify/n_entries");
    assert!(n_entries >= 3000.0);
    for check in ["verify", "verify_complete", "verify_every_signature"] {
        assert_eq!(number(&format!("/{check}/n_entries")), n_entries);
        assert!(number(&format!("/{check}/wall_seconds")) > 0.0);
        assert!(number(&format!("/{check}/peak_bytes")) > 0.0);
    }
}

#[test]
fn a_small_load_of_a_day_reports_every_figure_and_lists_every_enquiry() {
    let (report, said) = load(&["day", "--enquiries", "3", "--people", "2", "--samples", "2"]);
    assert_eq!(report["n_agencies"], 14);
    let views = report["views"].as_array().unwrap();
    for view in views {
        let what = view["what"].as_str().unwrap();
        // A list and an agenda have a line for each enquiry; what is shown of one has a cell for each agency and person.
        let of_one = what.starts_with("show") || what.contains("new connection");
        let n_lines = if of_one { 28 } else { 3 };
        assert_eq!(view["n_lines"], n_lines, "{what}");
        assert_eq!(view["milliseconds"]["n"], 2, "{what}");
    }
    assert_eq!(views.len(), 8);
    assert_eq!(report["restart"]["n_lines"], 3);
    for figure in [
        "/opening/wall_seconds",
        "/opening/hub_cpu/user",
        "/opening/open_milliseconds/p50",
        "/opening/record_milliseconds/p99",
        "/opening/lists/p50",
        "/opening/agendas/p50",
        "/memory/resident",
        "/restart/serves_seconds",
        "/restart/first_list_seconds",
        "/restart/memory/resident",
    ] {
        let number = report.pointer(figure).and_then(Value::as_f64).unwrap();
        assert!(number > 0.0, "{figure}: {said}");
    }
}

#[test]
fn a_small_load_of_attacks_reports_the_caller_beside_each_attack() {
    let only = ["--only", "silence", "--only", "pings", "--only", "bodies"];
    let (report, said) =
        load(&[&["attacks", "--seconds", "0.5", "--runs", "1"], &only[..]].concat());
    let attacks = report["attacks"].as_array().unwrap();
    let words: Vec<_> = attacks.iter().map(|of| of["attack"].as_str().unwrap()).collect();
    assert_eq!(words, ["silence", "pings", "bodies"]);
    for of in attacks {
        assert_eq!(of["n_failed"], 0, "{said}");
        for figure in
            ["/p99_ratio", "/quiet/p99", "/attacked/p99", "/attacked/connect", "/per_second"]
        {
            let number = of.pointer(figure).and_then(Value::as_f64).unwrap();
            assert!(number > 0.0, "{figure}: {said}");
        }
    }
}
