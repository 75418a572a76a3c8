//! A person asks what is held about them. The family is that of the scenario S1, with as many agencies as it takes: a mother, the father
//! who poses risk to her and the child, a refuge service and a school among those who answer.

use std::{collections::BTreeSet, fs};

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    id::EnquiryRef,
    status::code_of,
    time::SignedDuration,
    wire::{
        pb::{self, Colour, DocumentForm},
        records,
    },
};
use brag_tests::{
    federation::{contains, eventually, id},
    partnership::{AUDITOR, AUDITOR_COLLEAGUES, COORDINATOR, HUB_GOVERNANCE},
};
use clap::Parser as _;
use serde_json::Value;
use tonic::Status;

mod family;

use family::{FORMS, Family, write_person};

/// What nothing about the father may tell, in any form; with small letters.
const TRACES: [&str; 14] = [
    "domestic",
    "refuge",
    "school",
    "education",
    "early help",
    "dvds",
    "marac",
    "victim",
    "child ",
    "amber",
    "green",
    "2027",
    "fear",
    "tenancy",
];

fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(code_of(&status), Some(code), "{status:?}");
}

/// Nothing of the mother, the child, or of any agency is in it.
fn gives_nobody_away(family: &Family, document: &str) {
    let own = Family::names_of(&[&family.father]);
    for name in Family::names_of(&[&family.mother, &family.child]).difference(&own) {
        assert!(!document.contains(name.as_str()), "{name}");
    }
    for agency in family.federation.partnership().agencies() {
        assert!(!document.contains(agency.as_str()), "{agency}");
    }
    let small = document.to_lowercase();
    for trace in TRACES {
        assert!(!small.contains(trace), "{trace}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x12_a_person_who_poses_risk_is_told_nothing_of_others_after_two_approvals_and_all_is_recorded()
 {
    let family = Family::new(true).await;
    let (a, [b, c]) = (AUDITOR, AUDITOR_COLLEAGUES);
    refused(family.ask(COORDINATOR, &family.father).await, "role_missing");
    let (request, draft) = family.ask(a, &family.father).await.unwrap();
    assert!(draft.safety_profile);
    assert_eq!((draft.approvals, draft.approvals_needed), (0, 2));
    let it = (request, &family.father);

    // Refused: too early, by the asker, another draft, another person, twice.
    refused(family.issue(a, it, DocumentForm::Text).await, "approvals_missing");
    refused(family.approve(a, it, &draft.digest).await, "own_request");
    refused(family.approve(b, it, &[0; 32]).await, "draft_changed");
    refused(family.approve(b, (request, &family.mother), &draft.digest).await, "other_person");
    refused(family.show(b, (request + 100_000, &family.father)).await, "not_found");
    assert_eq!(family.approve(b, it, &draft.digest).await.unwrap(), (1, 2));
    refused(family.approve(b, it, &draft.digest).await, "approved_already");
    refused(family.issue(a, it, DocumentForm::Text).await, "approvals_missing");
    let shown = family.show(c, it).await.unwrap();
    assert_eq!((shown.approvals, &shown.digest), (1, &draft.digest));
    assert_eq!(family.approve(c, it, &shown.digest).await.unwrap(), (2, 2));

    // Neither the documents nor the drafts that were read give anybody away.
    for form in FORMS {
        let document = family.issue(a, it, form).await.unwrap();
        gives_nobody_away(&family, &document);
        assert!(document.contains("Public bodies with a safeguarding duty"));
        assert!(document.contains("Information Commissioner"));
        assert!(!document.contains("NOT TO BE GIVEN OUT"));
    }
    let read = String::from_utf8(shown.document).unwrap();
    assert!(read.contains("NOT TO BE GIVEN OUT") && read.contains("APPLIES"));
    for agency in family.federation.partnership().agencies() {
        assert!(!read.contains(agency.as_str()), "{agency}");
    }

    // Each step is an entry with its person and number, each refusal too, and nothing personal.
    let entries = family.entries(request);
    let of = |action: Action| entries.iter().filter(move |entry| entry.action == action);
    let by = |entry: &Entry| match &entry.actor {
        Actor::Staff { name, .. } => name.to_string(),
        Actor::Program => panic!("a person did it"),
    };
    // One for the step, and one for the enquiry that it looked at.
    assert_eq!(of(Action::SubjectAccessAsked).count(), 2);
    assert_eq!(of(Action::SubjectAccessIssued).count(), 2 * FORMS.len());
    assert_eq!(of(Action::SubjectAccessApproved).map(by).collect::<Vec<_>>(), [b, c]);
    let digests: BTreeSet<_> = of(Action::SubjectAccessApproved)
        .chain(of(Action::SubjectAccessIssued))
        .map(|entry| *entry.payload_digest.unwrap().as_bytes())
        .collect();
    assert_eq!(
        digests.into_iter().collect::<Vec<_>>(),
        [<[u8; 32]>::try_from(&*draft.digest).unwrap()]
    );
    let refusals: Vec<_> = of(Action::RequestRefused)
        .map(|entry| entry.decision.as_ref().unwrap().as_str().to_owned())
        .collect();
    assert_eq!(
        refusals,
        [
            "approvals_missing",
            "own_request",
            "draft_changed",
            "other_person",
            "approved_already",
            "approvals_missing"
        ]
    );
    let files = family.federation.bytes_below("hub/data");
    for name in Family::names_of(&[&family.mother, &family.father, &family.child]) {
        assert!(!contains(&files, &name), "{name}");
    }
    let listed = family.as_person(b).list_subject_access(pb::ListSubjectAccessRequest {}).await;
    let listed = listed.unwrap().into_inner().requests;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].request, listed[0].asked_by.as_str()), (request, a));
    assert_eq!(listed[0].approved_by, [b, c]);

    // After its time the request is gone, whatever was approved.
    family.federation.advance(SignedDuration::from_hours(93 * 24));
    refused(family.issue(a, it, DocumentForm::Text).await, "not_found");
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x12_the_answer_to_a_person_who_poses_risk_is_the_same_whether_or_not_a_refuge_or_a_school_answered()
 {
    let (with, without) = (Family::new(true).await, Family::new(false).await);
    let answers = with.issued(&with.father).await;
    assert_eq!(answers, without.issued(&without.father).await);
    // Nor does the child's answer, which is read at the same table, differ by it.
    let child = with.issued(&with.child).await;
    assert_eq!(child, without.issued(&without.child).await);
    with.federation.finish().await;
    without.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_to_somebody_who_is_linked_to_the_family_or_while_nothing_can_be_recorded()
{
    let mut family = Family::new(false).await;
    let config = family.federation.hub_config().to_owned();
    write_person(&config.with_file_name("linked.toml"), &family.mother);
    let text = fs::read_to_string(&config).unwrap();
    let staff = format!("name = \"{AUDITOR}\"\n");
    let linked = text.replace(&staff, &format!("{staff}linked_to = [\"linked.toml\"]\n"));
    assert_ne!(linked, text);
    fs::write(&config, linked).unwrap();
    family.federation.stop_hub().await;
    family.federation.start_hub().await;
    refused(family.ask(AUDITOR, &family.father).await, "conflict_of_interest");
    let [b, _] = AUDITOR_COLLEAGUES;
    let (request, draft) = family.ask(b, &family.mother).await.unwrap();
    let it = (request, &family.mother);
    refused(family.approve(AUDITOR, it, &draft.digest).await, "conflict_of_interest");
    family.federation.hub_fault_switch().fail_syncs();
    refused(family.show(b, it).await, "log_unavailable");
    refused(family.ask(b, &family.mother).await, "log_unavailable");
    family.federation.hub_fault_switch().heal();
    eventually("the hub is ready", async || {
        (family.federation.hub_ready().await.0 == 200).then_some(())
    })
    .await;
    let listed = family.as_person(b).list_subject_access(pb::ListSubjectAccessRequest {}).await;
    assert_eq!(listed.unwrap().into_inner().requests.len(), 1);
    family.federation.finish().await;
}

/// The rows of a table of a document in JSON.
fn rows(document: &Value, table: &str) -> Vec<Vec<String>> {
    let sections = document["sections"].as_array().unwrap().iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().unwrap());
    let found = blocks.map(|block| &block["table"]).find(|found| found["id"] == table).unwrap();
    let cells = |row: &Value| -> Vec<String> {
        let cells = row["cells"].as_array().unwrap().iter();
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    found["rows"].as_array().unwrap().iter().map(cells).collect()
}

/// The list of a section.
fn list_of(document: &Value, section: &str) -> Vec<String> {
    let sections = document["sections"].as_array().unwrap().iter();
    let found = sections.into_iter().find(|one| one["id"] == section).unwrap();
    let list =
        found["blocks"].as_array().unwrap().iter().find_map(|block| block["list"].as_array());
    list.unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x13_who_is_at_risk_gets_own_ratings_decisions_recipients_and_sources_and_what_is_left_out_has_its_reason()
 {
    let family = Family::new(true).await;
    let (a, [b, _]) = (AUDITOR, AUDITOR_COLLEAGUES);
    let (request, draft) = family.ask(a, &family.mother).await.unwrap();
    assert!(!draft.safety_profile);
    assert_eq!(draft.approvals_needed, 1);
    let it = (request, &family.mother);
    refused(family.approve(a, it, &draft.digest).await, "own_request");
    refused(family.issue(a, it, DocumentForm::Json).await, "approvals_missing");
    family.approve(b, it, &draft.digest).await.unwrap();
    let text = family.issue(a, it, DocumentForm::Json).await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();

    let brief = |row: &Vec<String>| {
        let agency = row[0].split('(').nth(1).unwrap().trim_end_matches(')').to_owned();
        (agency, row[1].clone(), row[2].clone(), row[3].clone())
    };
    let ratings: BTreeSet<_> = rows(&document, "enquiry-1-ratings").iter().map(brief).collect();
    let tenancy = "Tenancy matters only. No reports of disturbance this year.";
    let expected = [
        ("CSC", "green", "left out: THIRD_PARTY"),
        ("DAS", "red", "left out: THIRD_PARTY"),
        ("HOU", "green", tenancy),
        ("POL", "amber", "left out: THIRD_PARTY"),
    ]
    .map(|(agency, colour, why)| {
        (agency.to_owned(), colour.to_owned(), "2027-02-09".to_owned(), why.to_owned())
    });
    assert_eq!(ratings, BTreeSet::from(expected));

    // Who was refused because of somebody else is not in it; what was refused for another reason is.
    let decisions = rows(&document, "enquiry-1-decisions");
    let decided: BTreeSet<_> =
        decisions.iter().map(|row| (row[1].split(' ').next().unwrap(), row[4].as_str())).collect();
    assert_eq!(decided, BTreeSet::from([("C11", "released"), ("C43", "refused")]));
    let left_out = rows(&document, "left-out-table");
    let left_out: BTreeSet<_> =
        left_out.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str())).collect();
    for row in [
        ("a request for detail", "1", "THIRD_PARTY"),
        ("the reason for a colour", "3", "THIRD_PARTY"),
        ("another person of an enquiry, with all about them", "2", "THIRD_PARTY"),
        ("a link between you and another person", "2", "THIRD_PARTY"),
    ] {
        assert!(left_out.contains(&row), "{row:?} is not among {left_out:?}");
    }
    let ends_with = |list: Vec<String>, agencies: &[&str]| {
        let has = |agency: &&str| list.iter().any(|item| item.ends_with(&format!("({agency})")));
        assert!(agencies.iter().all(has), "{list:?}");
    };
    ends_with(list_of(&document, "recipients"), &["CSC", "DAS", "HOU", "POL"]);
    ends_with(list_of(&document, "sources"), &["CSC", "DAS", "HOU", "POL"]);

    // Nothing of the father, the child, or of who knows only them.
    let own = Family::names_of(&[&family.mother]);
    for name in Family::names_of(&[&family.father, &family.child]).difference(&own) {
        assert!(!text.contains(name.as_str()), "{name}");
    }
    for trace in ["SMS", "EDU", "bereavement", "Monday"] {
        assert!(!text.contains(trace), "{trace}");
    }

    // What has changed since it was approved is not issued, and not approved unread.
    let newer = "Tenancy matters, and repairs that were asked for this month.";
    let again = pb::GiveRatingRequest {
        enquiry: family.enquiry.name.clone(),
        person: family.enquiry.person("P1"),
        colour: Colour::Amber.into(),
        analysis: newer.to_owned(),
        topics: vec!["housing".to_owned()],
        ..pb::GiveRatingRequest::default()
    };
    family.federation.assessor("HOU").give_rating(again).await.unwrap();
    family
        .federation
        .until(&family.enquiry, "the newer rating is there", |show| {
            show.cells.iter().any(|cell| cell.analysis == newer)
        })
        .await;
    refused(family.issue(a, it, DocumentForm::Json).await, "approvals_missing");
    refused(family.approve(b, it, &draft.digest).await, "draft_changed");
    let shown = family.show(b, it).await.unwrap();
    family.approve(b, it, &shown.digest).await.unwrap();
    let text = family.issue(a, it, DocumentForm::Json).await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows(&document, "enquiry-1-changes").len(), 1);

    // What is erased is in no answer any more.
    let enquiry: EnquiryRef = id(&family.enquiry.name);
    let [first, second] = HUB_GOVERNANCE.map(|name| {
        records::Client::new(family.federation.to_hub(&family.federation.person(name)))
    });
    first.ask(&enquiry, "opened about the wrong family").await.unwrap();
    second.confirm(&enquiry).await.unwrap();
    refused(family.issue(a, it, DocumentForm::Json).await, "approvals_missing");
    let shown = family.show(b, it).await.unwrap();
    assert!(contains(&shown.document, "nothing is kept that is known to be about you"));
    family.federation.finish().await;
}

/// Runs `hub report subject-access …`, and gives how it ended and what it printed.
async fn typed(words: &[&str]) -> (u8, String) {
    let line: Vec<String> = ["hub", "report", "subject-access"]
        .iter()
        .chain(words)
        .map(|word| (*word).to_owned())
        .collect();
    // A command brings a runtime of its own.
    let run = move || {
        let mut out = Vec::new();
        let command = brag_hub::cli::Cli::try_parse_from(line).unwrap();
        let code = brag_hub::cli::run(&command, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x13_from_the_command_line_it_is_asked_read_approved_and_written_to_print() {
    let family = Family::new(false).await;
    let (federation, partnership) = (&family.federation, family.federation.partnership());
    let hub = partnership.ca().trust_domain().hub();
    let profile = |person: &str| {
        let path = partnership.write_profile(person, &hub, federation.hub_address()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (profile(AUDITOR), profile(AUDITOR_COLLEAGUES[0]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("person.toml");
    write_person(&file, &family.mother);
    let person = file.to_str().unwrap();
    let (code, draft) = typed(&["ask", person, "--profile", &a, "--format", "json"]).await;
    assert_eq!(code, 0);
    let draft: Value = serde_json::from_str(&draft).unwrap();
    let fact = |term: &str| {
        let facts = draft["facts"].as_array().unwrap().iter();
        let found = facts.into_iter().find(|fact| fact["term"] == term);
        found.unwrap()["is"].as_str().unwrap().to_owned()
    };
    let (request, digest) = (fact("Request"), fact("Draft"));
    let approve = |profile: &str| {
        let words = ["approve", &request, person, "--draft", &digest, "--profile", profile];
        words.map(str::to_owned)
    };
    let approve_as = async |profile: &str| {
        let words = approve(profile);
        typed(&words.each_ref().map(String::as_str)).await
    };
    assert_eq!(approve_as(&a).await.0, 3);
    let (code, shown) = typed(&["show", &request, person, "--profile", &b]).await;
    assert!(code == 0 && shown.contains("DRAFT, NOT TO BE GIVEN OUT"));
    assert_eq!(approve_as(&b).await, (0, "Approved and recorded: 1 of 1.\n".to_owned()));
    let out = folder.path().join("answer.html");
    let words = ["issue", &request, person, "--profile", &a, "--format", "html", "--out"];
    let words: Vec<&str> = words.into_iter().chain([out.to_str().unwrap()]).collect();
    assert_eq!(typed(&words).await, (0, String::new()));
    let page = fs::read_to_string(out).unwrap();
    assert!(page.contains("<h1>What is held about you") && page.contains("Tenancy matters only."));
    let (_, list) = typed(&["list", "--profile", &b]).await;
    assert!(list.contains(&format!("approved by {}", AUDITOR_COLLEAGUES[0])), "{list}");
    family.federation.finish().await;
}
