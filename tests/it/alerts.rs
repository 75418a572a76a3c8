//! What is told to information governance: what is refused at once, what adds up, who reads it, and what becomes of it.

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, Colour, Decision},
};
use brag_tests::{
    federation::{
        ANALYSIS, Auditor, Enquiry, Federation, Holding, contains, eventually, fresh, id,
        lawful_basis, person_of,
    },
    partnership::{AUDITOR, COORDINATOR},
};
use clap::Parser as _;

/// What SMS holds.
const HELD: &str = "MARKER-C33 drinks daily since the autumn";

async fn one_red() -> (Federation, Enquiry) {
    let known = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", Holding::of(known.clone()).entry("C33", HELD))
        .holds("CSC", Holding::of(known.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &known)]).await;
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P1", pb::AnswerStatus::Rated).await;
    (federation, enquiry)
}

/// The alerts in a log, each as its word, its reason's code, and who is told as its cause.
fn alerts(log: &[Entry]) -> Vec<(String, Option<&'static str>, bool)> {
    log.iter()
        .filter(|entry| entry.action == Action::AlertRaised)
        .map(|entry| {
            let word = entry.decision.as_ref().unwrap().as_str().to_owned();
            (
                word,
                entry.reason.map(|reason| reason.code()),
                matches!(entry.actor, Actor::Staff { .. }),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x22_an_enquiry_for_immigration_enforcement_is_refused_asks_nobody_and_alerts() {
    let (federation, _) = one_red().await;
    let asked = federation.log_of("SMS").len();
    let wanted = pb::OpenRequest {
        purpose: "immigration_enforcement".to_owned(),
        ..Federation::opening(&[("P1", &person_of(0))])
    };
    let refused = federation.coordinator().open(wanted).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("PURPOSE_NOT_PERMITTED"));
    let raised = ("purpose_not_permitted".to_owned(), None, true);
    assert_eq!(alerts(&federation.hub_log()), [raised]);
    assert_eq!(federation.log_of("SMS").len(), asked);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x22_detail_for_another_purpose_is_refused_by_the_holder_and_alerts_both_sides() {
    let (federation, enquiry) = one_red().await;
    let wanted = pb::RequestReleaseRequest {
        enquiry: enquiry.name.clone(),
        holder: "SMS".to_owned(),
        person: enquiry.person("P1"),
        category: "C33".to_owned(),
        recipients: vec!["CSC".to_owned(), "POL".to_owned()],
        lawful_basis: Some(lawful_basis()),
        purpose: "immigration_enforcement".to_owned(),
    };
    let views = federation.coordinator().request_release(wanted).await.unwrap().into_inner();
    for view in views.releases {
        let told = (view.decision(), view.reason.as_str());
        assert_eq!(told, (Decision::Deny, "PURPOSE_NOT_PERMITTED"));
    }
    let raised = |by_somebody| {
        vec![("purpose_not_permitted".to_owned(), Some("PURPOSE_NOT_PERMITTED"), by_somebody)]
    };
    assert_eq!(alerts(&federation.hub_log()), raised(true));
    assert_eq!(alerts(&federation.log_of("SMS")), raised(false));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_category_that_is_never_carried_alerts_both_sides_and_a_missed_threshold_nobody() {
    let (federation, enquiry) = one_red().await;
    let missed = federation.ask_detail(&enquiry, "SMS", "P1", "C35", &["POL"]).await.unwrap();
    assert_eq!(missed[0].decision(), Decision::Deny);
    assert_eq!(alerts(&federation.hub_log()), []);
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C60", &["CSC"]).await.unwrap();
    assert_eq!((views[0].decision(), views[0].reason.as_str()), (Decision::Deny, "CATEGORY_NEVER"));
    let raised =
        |by_somebody| vec![("category_never".to_owned(), Some("CATEGORY_NEVER"), by_somebody)];
    assert_eq!(alerts(&federation.hub_log()), raised(true));
    assert_eq!(alerts(&federation.log_of("SMS")), raised(false));
    federation.finish().await;
}

/// As [`one_red`], and CSC has been released what SMS holds; gives the name of the release.
async fn released() -> (Federation, Enquiry, String) {
    let (federation, enquiry) = one_red().await;
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    assert_eq!(views[0].decision(), Decision::Release, "{views:?}");
    let item = eventually("the detail has arrived", async || {
        let inbox = federation.assessor("CSC").inbox(pb::InboxRequest {}).await.ok()?;
        inbox.into_inner().items.into_iter().next()
    })
    .await;
    (federation, enquiry, item.release)
}

async fn open(federation: &Federation, release: &str) {
    let request = pb::OpenDetailRequest { release: release.to_owned(), obligations_accepted: true };
    federation.assessor("CSC").open_detail(request).await.unwrap();
}

async fn open_alerts(auditor: &mut Auditor) -> Vec<pb::AlertLine> {
    let request = pb::ListAlertsRequest { open_only: true, ..pb::ListAlertsRequest::default() };
    auditor.list_alerts(request).await.unwrap().into_inner().alerts
}

fn words(log: &[Entry]) -> Vec<String> {
    alerts(log).into_iter().map(|(word, _, _)| word).collect()
}

/// The looks of an auditor in a log, by what they looked at.
fn looks(log: &[Entry], name: &str) -> Vec<String> {
    let by = |entry: &&Entry| matches!(&entry.actor, Actor::Staff { name: by, .. } if by.as_str() == name);
    log.iter()
        .filter(|entry| entry.action == Action::ReportRead)
        .filter(by)
        .map(|entry| entry.decision.as_ref().unwrap().to_string())
        .collect()
}

async fn reads_all(auditor: &mut Auditor, name: &str, log: impl Fn() -> Vec<Entry>) {
    assert_eq!(open_alerts(auditor).await, []);
    let read = auditor.list_entries(pb::ListEntriesRequest::default()).await.unwrap().into_inner();
    assert_eq!(looks(&log(), name), ["alerts", "entries"]);
    // The very entries, the reading's own among them.
    let recorded: Vec<String> = log()
        .iter()
        .map(|entry| String::from_utf8(entry.encode()).unwrap())
        .take(read.entries.len())
        .collect();
    assert_eq!(read.entries, recorded);
    assert!(read.entries.iter().any(|entry| entry.contains("\"report_read\"")));
    let text = read.entries.concat();
    assert!(!contains(text.as_bytes(), ANALYSIS) && !text.contains(HELD));
    let unknown = pb::ListEntriesRequest {
        action: "no_such_action".to_owned(),
        ..pb::ListEntriesRequest::default()
    };
    let refused = auditor.list_entries(unknown).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("invalid_message"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x14_an_auditor_reads_entries_and_alerts_without_a_word_about_anybody_and_each_look_is_recorded()
 {
    let (federation, _, release) = released().await;
    open(&federation, &release).await;
    reads_all(&mut federation.hub_auditor(), AUDITOR, || federation.hub_log()).await;
    let mut auditor = federation.auditor("CSC");
    reads_all(&mut auditor, "csc.auditor", || federation.log_of("CSC")).await;
    let opened = pb::ListEntriesRequest {
        action: "detail_opened".to_owned(),
        ..pb::ListEntriesRequest::default()
    };
    let read = auditor.list_entries(opened).await.unwrap().into_inner();
    assert_eq!(read.entries.len(), 1);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x14_an_auditor_opens_no_detail_and_sees_no_analysis_no_worklist_and_no_enquiry() {
    let (federation, enquiry, release) = released().await;
    let mut desk = federation.desk("CSC", "csc.auditor");
    let opening = pb::OpenDetailRequest { release, obligations_accepted: true };
    let mut refused = vec![
        desk.open_detail(opening).await.unwrap_err(),
        desk.inbox(pb::InboxRequest {}).await.unwrap_err(),
        desk.worklist(pb::WorklistRequest {}).await.unwrap_err(),
    ];
    let mut hub = federation.coordinator_as(AUDITOR);
    let name = enquiry.name.clone();
    refused.extend([
        hub.show(pb::ShowRequest { enquiry: name.clone() }).await.unwrap_err(),
        hub.list(pb::ListRequest { limit: 0 }).await.unwrap_err(),
        hub.watch(pb::WatchRequest { enquiry: name }).await.map(|_| ()).unwrap_err(),
    ]);
    for refused in &refused {
        assert_eq!(code_of(refused), Some("role_missing"), "{refused:?}");
    }
    // What an auditor of the hub may find is without analyses, and each look is recorded.
    let identity = person_of(0).canonical_bytes();
    let found = hub.find_person(pb::FindPersonRequest { identity }).await.unwrap().into_inner();
    let cells: Vec<_> = found.exchanges.iter().flat_map(|one| &one.cells).collect();
    assert!(cells.iter().any(|cell| cell.colour() == Colour::Red));
    assert!(cells.iter().all(|cell| cell.analysis.is_empty()));
    let log = federation.log_of("CSC");
    assert!(log.iter().all(|entry| entry.action != Action::DetailOpened));
    // And nobody else reads as an auditor.
    let mut others = vec![federation.auditor_as("CSC", "csc.assessor")];
    others.push(federation.hub_auditor_as(COORDINATOR));
    for mut other in others {
        let refused = other.list_alerts(pb::ListAlertsRequest::default()).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("role_missing"));
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_open_until_a_person_has_handled_it_and_what_they_wrote_is_sealed() {
    const NOTE: &str = "MARKER-NOTE spoke to her manager";
    let (mut federation, _) = one_red().await;
    let wanted = pb::OpenRequest {
        purpose: "immigration_enforcement".to_owned(),
        ..Federation::opening(&[("P1", &person_of(0))])
    };
    federation.coordinator().open(wanted).await.unwrap_err();
    let mut auditor = federation.hub_auditor();
    let open = open_alerts(&mut auditor).await;
    assert_eq!(open.len(), 1);
    let alert = &open[0];
    assert_eq!(
        (alert.alert.as_str(), alert.about.as_str()),
        ("purpose_not_permitted", COORDINATOR)
    );
    assert_eq!((alert.handled_at_unix_ms, alert.note.as_str()), (0, ""));

    let handling = |number, note: &str| pb::HandleAlertRequest { number, note: note.to_owned() };
    for (number, note, code) in [
        (alert.number + 1, NOTE, "alert_not_found"),
        (alert.number, " ", "note_missing"),
        (alert.number, &"x".repeat(4001), "note_missing"),
    ] {
        let refused = auditor.handle_alert(handling(number, note)).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code));
    }
    auditor.handle_alert(handling(alert.number, NOTE)).await.unwrap();
    let refused = auditor.handle_alert(handling(alert.number, NOTE)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("alert_handled"));

    // A restart changes nothing about it.
    federation.stop_hub().await;
    federation.start_hub().await;
    assert_eq!(open_alerts(&mut federation.hub_auditor()).await, []);
    let all = pb::ListAlertsRequest::default();
    let all = federation.hub_auditor().list_alerts(all).await.unwrap().into_inner().alerts;
    assert_eq!((all[0].handled_by.as_str(), all[0].note.as_str()), (AUDITOR, NOTE));
    let log = federation.hub_log();
    let handled: Vec<_> = log.iter().filter(|entry| entry.action == Action::AlertHandled).collect();
    assert_eq!(handled.len(), 1);
    assert_eq!(handled[0].count, Some(alert.number));
    assert!(matches!(&handled[0].actor, Actor::Staff { name, .. } if name.as_str() == AUDITOR));
    assert!(!contains(&federation.bytes_below("hub"), "MARKER-NOTE"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_co_ordinator_who_works_at_night_is_told_of_once_and_their_work_goes_on() {
    let (federation, enquiry) = one_red().await;
    assert_eq!(words(&federation.hub_log()), [] as [&str; 0]);
    // From nine in the morning to nine in the evening.
    federation.advance(SignedDuration::from_hours(12));
    for _ in 0..3 {
        federation.show(&enquiry.name).await;
    }
    let log = federation.hub_log();
    assert_eq!(words(&log), ["unusual_hour"]);
    let raised = log.iter().find(|entry| entry.action == Action::AlertRaised).unwrap();
    assert!(matches!(&raised.actor, Actor::Staff { name, .. } if name.as_str() == COORDINATOR));
    assert_eq!(raised.enquiry.as_ref().unwrap().as_str(), enquiry.name);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_who_opens_more_detail_than_a_day_has_is_told_of_also_over_a_restart() {
    let (mut federation, _, release) = released().await;
    for _ in 0..20 {
        open(&federation, &release).await;
    }
    federation.stop_node("CSC").await;
    federation.start_node("CSC").await;
    for _ in 0..10 {
        open(&federation, &release).await;
    }
    assert_eq!(words(&federation.log_of("CSC")), [] as [&str; 0]);
    open(&federation, &release).await;
    let log = federation.log_of("CSC");
    assert_eq!(words(&log), ["unusual_volume"]);
    let raised = log.iter().find(|entry| entry.action == Action::AlertRaised).unwrap();
    assert_eq!(raised.count, Some(31));
    assert_eq!(open_alerts(&mut federation.auditor("CSC")).await[0].about, "csc.assessor");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_is_refused_again_and_again_is_told_of_also_over_a_restart() {
    let (mut federation, _) = one_red().await;
    let refuse = async |federation: &Federation| {
        let nothing = pb::DeliverRequest { request_id: fresh(), ..pb::DeliverRequest::default() };
        federation.as_node("SMS").deliver(nothing).await.unwrap_err();
    };
    for _ in 0..6 {
        refuse(&federation).await;
    }
    federation.stop_hub().await;
    federation.start_hub().await;
    for _ in 0..4 {
        refuse(&federation).await;
    }
    assert_eq!(words(&federation.hub_log()), [] as [&str; 0]);
    refuse(&federation).await;
    let open = open_alerts(&mut federation.hub_auditor()).await;
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].alert.as_str(), open[0].count), ("repeated_refusals", 11));
    assert_eq!((open[0].about.as_str(), open[0].peer.as_str()), ("", "SMS"));
    federation.finish().await;
}

/// Runs an auditor's command of a program as a person types it; gives its exit code and what it prints.
async fn typed(program: &'static str, profile: &std::path::Path, words: &[&str]) -> (u8, String) {
    let profile = ["--profile", profile.to_str().unwrap()];
    let line: Vec<String> = std::iter::once(program)
        .chain(["alert"])
        .chain(words.iter().copied())
        .chain(profile)
        .map(str::to_owned)
        .collect();
    // A command brings a runtime of its own.
    let run = move || {
        let mut out = Vec::new();
        let code = if program == "hub" {
            let command = brag_hub::cli::Cli::try_parse_from(line).unwrap();
            brag_hub::cli::run(&command, &mut out).unwrap()
        } else {
            let command = brag_agency_node::cli::Cli::try_parse_from(line).unwrap();
            brag_agency_node::cli::run(command, &mut out).unwrap().code()
        };
        (code, String::from_utf8(out).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_lists_handles_and_reads_from_the_command_line_at_the_hub_and_at_a_node() {
    let (federation, enquiry) = one_red().await;
    // A category that is never carried alerts both sides.
    federation.ask_detail(&enquiry, "SMS", "P1", "C60", &["CSC"]).await.unwrap();
    let partnership = federation.partnership();
    let domain = partnership.ca().trust_domain();
    let at_hub =
        partnership.write_profile(AUDITOR, &domain.hub(), federation.hub_address()).unwrap();
    let node = (domain.agency(id("SMS")), federation.node_address("SMS"));
    let at_node = partnership.write_profile("sms.auditor", &node.0, node.1).unwrap();
    let other = partnership.write_profile("sms.assessor", &node.0, node.1).unwrap();
    for (program, profile) in [("hub", &at_hub), ("agency-node", &at_node)] {
        let (code, text) = typed(program, profile, &["list", "--open"]).await;
        assert_eq!(code, 0);
        assert!(text.contains("category_never") && text.ends_with("OPEN\n"), "{text}");
        let number = text.split_whitespace().next().unwrap();
        let handle = ["handle", number, "--note", "A wrong key; she knows now."];
        assert_eq!(typed(program, profile, &handle).await.0, 0);
        // Handled before: refused by a rule.
        assert_eq!(typed(program, profile, &handle).await.0, 3);
        assert_eq!(typed(program, profile, &["list", "--open"]).await, (0, String::new()));
        let (_, json) = typed(program, profile, &["list", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["alerts"][0]["number"].to_string(), number);
        assert_eq!(json["alerts"][0]["note"], "A wrong key; she knows now.");
        let entries = ["entries", "--action", "alert_handled"];
        let (code, text) = typed(program, profile, &entries).await;
        assert_eq!((code, text.lines().count()), (0, 1), "{text}");
        assert!(text.contains(&format!("\"count\":{number}")), "{text}");
    }
    assert_eq!(typed("agency-node", &other, &["list"]).await.0, 3);
    federation.finish().await;
}
