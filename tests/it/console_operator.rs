//! The pages of whoever runs a node: how program, configuration, records and connections are, for operators alone, and nothing about
//! anybody on any of them.

use brag_agency_node::{
    Config,
    records::{ImportJob, import_files},
};
use brag_common::{
    audit::entry::Action,
    id::AgencyId,
    wire::pb::{self, Colour},
};
use brag_tests::{
    browser_client::{Answer, Browser},
    federation::{Enquiry, Federation, Holding, eventually, id, person_of},
    partnership::Partnership,
};

/// What SMS holds of P1.
const HELD: &str = "MARKER-C33 drinks daily since the autumn";

const PAGES: [(&str, &str); 4] = [
    ("/operator/health", "Health"),
    ("/operator/configuration", "Configuration"),
    ("/operator/records", "Records"),
    ("/operator/connections", "Connections"),
];

/// SMS is asked about P1, of whom it holds something.
async fn asked() -> (Federation, Enquiry) {
    let federation = Federation::builder()
        .consoles()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", Holding::of(person_of(0)).entry("C33", HELD))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &person_of(0))]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    (federation, enquiry)
}

async fn operator(federation: &Federation) -> Browser {
    let mut browser = federation.browser_at("SMS", &Partnership::operator(&id("SMS"))).await;
    browser.get("/operator/health").await;
    browser
}

/// That nothing of anybody is on a page: no name, no birth, no address, no reference, nothing that is held.
fn is_about_nobody(answer: &Answer, enquiry: &Enquiry) {
    let person = person_of(0);
    let name = person.current_name().unwrap();
    let mut of_people = vec![
        name.given().to_owned(),
        name.family().to_owned(),
        person.birth().to_string(),
        enquiry.name.clone(),
        "source-0".to_owned(),
        HELD.to_owned(),
    ];
    of_people.extend(person.addresses()[0].postcode().map(str::to_owned));
    for text in of_people {
        assert!(!answer.body.contains(&text), "{text}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_rates_or_approves_does_not_run_the_node_and_whoever_runs_it_sees_nobody() {
    let (federation, enquiry) = asked().await;
    let sms = id("SMS");
    for name in
        [Partnership::assessor(&sms), Partnership::approver(&sms, 1), Partnership::auditor(&sms)]
    {
        let mut other = federation.browser_at("SMS", &name).await;
        for (path, _) in PAGES {
            let answer = other.get(path).await;
            assert_eq!(answer.status, 403, "{name} {path}: {}", answer.text());
            assert!(!answer.body.contains("/operator/"), "{name} is led to {path}");
        }
    }
    let here = format!("/people/{}/{}", enquiry.name, enquiry.person("P1"));
    let mut browser = operator(&federation).await;
    assert_eq!(browser.get("/").await.header("location"), "/operator/health");
    let of_people = ["/worklist", "/people", "/inbox", "/news", &here, &format!("{here}/identity")];
    for path in of_people {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        is_about_nobody(&answer, &enquiry);
    }
    let rate = [("colour", "red"), ("analysis", "Relapse this month; contact is not safe.")];
    assert_eq!(browser.post(&format!("{here}/rate"), &rate).await.status, 403);
    assert_eq!(browser.get("/operator/else").await.status, 404);

    for (path, heading) in PAGES {
        let shown = browser.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert!(shown.body.contains(&format!("<h1 class=\"govuk-heading-l\">{heading}</h1>")));
        is_about_nobody(&shown, &enquiry);
    }
    // Nothing of anybody was shown, so that no look at anybody is in the log; that they signed in is.
    let log = federation.log_of("SMS");
    let by_operator = |action: Action| {
        let by = |entry: &&brag_common::audit::entry::Entry| {
            entry.action == action && format!("{:?}", entry.actor).contains("sms.operator")
        };
        log.iter().filter(by).count()
    };
    assert_eq!((by_operator(Action::AccountSetUp), by_operator(Action::OwnRecordShown)), (1, 0));
    assert_eq!(by_operator(Action::RatingGiven), 0);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_can_not_be_written_is_said_on_the_page_of_health_and_so_is_that_it_can_again() {
    let (federation, enquiry) = asked().await;
    let mut browser = operator(&federation).await;
    let whole = browser.get("/operator/health").await;
    assert!(whole.text().contains("The node answers the hub and its staff."), "{}", whole.text());
    federation.fault_switch("SMS").fail_writes();
    let refused = federation.try_rate("SMS", &enquiry, "P1", Colour::Red, None).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unavailable);
    let broken = browser.get("/operator/health").await;
    assert_eq!(broken.status, 200, "{}", broken.text());
    let text = broken.text();
    assert!(
        text.contains("Not ready") && text.contains("the audit log can not be written"),
        "{text}"
    );
    assert!(text.contains("Can not be written"), "{text}");
    is_about_nobody(&broken, &enquiry);
    // The same that a monitor is told.
    assert_eq!(federation.ready("SMS").await.0, 503);
    federation.fault_switch("SMS").heal();
    eventually("the log can be written again", async || {
        federation.try_rate("SMS", &enquiry, "P1", Colour::Red, None).await.ok()
    })
    .await;
    let mended = browser.get("/operator/health").await.text();
    assert!(!mended.contains("Not ready"), "{mended}");
    federation.finish().await;
}

/// An export with a row that is right and three that are not, each with something of somebody in the field that is wrong.
const EXPORT: &str = "record,id,given,family,born,house,postcode\n\
    person,7,Agatha,MARKER-Fine,1970-01-02,1,ZZ1 2AB\n\
    person,8,Berta,MARKER-Late,MARKER-31-of-June,1,ZZ1 2AB\n\
    person,,Clara,MARKER-Far,1970-01-02,1,ZZ1 2AB\n\
    pers0n,10,Dora,MARKER-Kind,1970-01-02,1,ZZ1 2AB\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejects_of_an_import_are_shown_by_line_field_and_reason_without_what_was_written() {
    let (mut federation, enquiry) = asked().await;
    let before = operator(&federation).await.get("/operator/records").await.text();
    assert!(before.contains("No import is known.") && before.contains("1 of 1"), "{before}");
    federation.stop_node("SMS").await;
    let folder = federation.partnership().node_folder(&id::<AgencyId>("SMS"));
    let config = Config::load(&folder.join("agency-node.toml")).unwrap();
    let file = folder.join("MARKER-file.csv");
    std::fs::write(&file, EXPORT).unwrap();
    let imported = import_files(config, federation.clock(), ImportJob::load(vec![file])).await;
    assert!(!imported.unwrap().is_complete());
    federation.start_node("SMS").await;

    let mut browser = operator(&federation).await;
    let shown = browser.get("/operator/records").await;
    let text = shown.text();
    assert!(!shown.body.contains("MARKER"), "{text}");
    is_about_nobody(&shown, &enquiry);
    assert!(text.contains("Rows read 4") && text.contains("Rejected 3 Mend the export"), "{text}");
    for line in ["1 3 born", "1 4 id", "1 5 record"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("not a kind of record: expected"), "{text}");
    // The node that the rows were for goes on, and the import is in its log.
    let log = federation.log_of("SMS");
    assert!(log.iter().any(|entry| entry.action == Action::RecordsImported));
    let list = federation.assessor("SMS").worklist(pb::WorklistRequest {}).await.unwrap();
    assert_eq!(list.into_inner().ratings.len(), 1);
    federation.finish().await;
}
