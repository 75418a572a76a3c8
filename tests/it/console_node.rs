//! The node's console: what its pages let whom do, through a browser's own requests over real TLS.

use brag_common::{
    audit::entry::{Action, Entry},
    wire::pb::{self, AnswerStatus, Colour, Decision},
};
use brag_tests::{
    federation::{Builder, Enquiry, Federation, Holding, eventually, id, person_of},
    partnership::Partnership,
};

/// What SMS holds of P1.
const HELD: &str = "MARKER-C33 drinks daily since the autumn";
const HELD_TOO: &str = "MARKER-C35 methadone, supervised; the sister collects it";
const GOOD: &str = "Missed four appointments since May; was stable before.";

/// SMS holds detail about P1, and CSC knows P1.
async fn asked(change: impl FnOnce(Builder) -> Builder) -> (Federation, Enquiry) {
    let builder = Federation::builder()
        .consoles()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", Holding::of(person_of(0)).entry("C33", HELD).entry("C35", HELD_TOO))
        .holds("SMS", Holding::of(person_of(1)))
        .holds("CSC", Holding::of(person_of(0)));
    let federation = change(builder).start().await;
    let enquiry = federation.open(&[("P1", &person_of(0)), ("P2", &person_of(1))]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    (federation, enquiry)
}

fn page_of(enquiry: &Enquiry, label: &str) -> String {
    format!("/people/{}/{}", enquiry.name, enquiry.person(label))
}

/// Looks that the log holds, each by how much it showed and whose it was.
fn looks(log: &[Entry]) -> Vec<(String, String)> {
    let shown = log.iter().filter(|entry| entry.action == Action::OwnRecordShown);
    shown
        .map(|entry| {
            let extent = entry.decision.as_ref().map(|word| word.as_str().to_owned());
            (extent.unwrap_or_default(), format!("{:?}", entry.actor))
        })
        .collect()
}

fn assessor(agency: &str) -> String {
    Partnership::assessor(&id(agency))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_given_through_the_page_arrives_at_the_matrix_and_what_may_not_be_said_is_held_at_its_field()
 {
    let (federation, enquiry) = asked(|builder| builder).await;
    let mut browser = federation.browser_at("SMS", &assessor("SMS")).await;
    let here = page_of(&enquiry, "P1");
    let name = person_of(0).current_name().unwrap().full();
    let list = browser.get("/worklist").await;
    assert!(list.text().contains(&name) && list.body.contains(&here), "{}", list.text());
    assert_eq!(looks(&federation.log_of("SMS"))[0].0, "names");
    let shown = browser.get(&here).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let text = shown.text();
    assert!(text.contains(HELD) && text.contains("source-0"), "{text}");
    assert!(text.contains("Not permitted here: this enquiry has evidence of domestic abuse"));
    let (extent, by) = looks(&federation.log_of("SMS")).pop().unwrap();
    assert!(extent == "record" && by.contains(&assessor("SMS")), "{extent} {by}");

    let rate = format!("{here}/rate");
    let blue = browser.post(&rate, &[("colour", "blue"), ("analysis", GOOD)]).await;
    assert_eq!(blue.status, 422);
    assert!(blue.body.contains("<title>Error: "));
    let error = blue.error_at("colour").unwrap();
    assert!(
        error.contains("Blue is not a possible colour where there is evidence of domestic abuse"),
        "{error}"
    );
    assert!(blue.body.contains("href=\"#colour\"") && blue.body.contains(GOOD));

    let address = "Hides with the children at 12 Mill Lane since May.";
    let checked = browser.post(&format!("{here}/check"), &[("analysis", address)]).await;
    assert!(
        checked.text().contains("“12 Mill Lane” is a street or an address"),
        "{}",
        checked.text()
    );
    let named = browser.post(&rate, &[("colour", "red"), ("analysis", address)]).await;
    assert_eq!(named.status, 422);
    let error = named.error_at("analysis").unwrap();
    assert!(error.contains("“12 Mill Lane” is a street or an address"), "{error}");
    let show = federation.show(&enquiry.name).await;
    let cell = brag_tests::federation::cell(&show, "SMS", &enquiry.person("P1"));
    assert_ne!(cell.status(), AnswerStatus::Rated);

    let fields =
        [("colour", "red"), ("analysis", GOOD), ("topic", "substance"), ("topic", "neglect")];
    let done = browser.post_and_follow(&rate, &fields).await;
    assert!(done.text().contains("You rated this person Red."), "{}", done.text());
    let cell = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    assert_eq!((cell.colour(), cell.analysis.as_str()), (Colour::Red, GOOD));
    assert_eq!(cell.topics.len(), 2);
    assert_eq!(cell.rated_by, assessor("SMS"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_can_not_rate_an_assessor_can_not_approve_and_whoever_is_linked_does_neither() {
    let (federation, enquiry) = asked(|builder| builder.linked("CSC", &assessor("CSC"), 0)).await;
    let here = page_of(&enquiry, "P1");
    let rate = format!("{here}/rate");
    let good = [("colour", "red"), ("analysis", GOOD)];

    let mut linked = federation.browser_at("CSC", &assessor("CSC")).await;
    let list = linked.get("/worklist").await;
    assert!(list.text().contains("Nothing waits for you"), "{}", list.text());
    for answer in [linked.get(&here).await, linked.post(&rate, &good).await] {
        assert_eq!(answer.status, 422);
        assert!(
            answer.text().contains("You are recorded as linked to this family"),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains(&person_of(0).current_name().unwrap().full()));
    }

    let mut approver = federation.browser_at("SMS", &Partnership::approver(&id("SMS"), 1)).await;
    approver.get("/worklist").await;
    for answer in [approver.get(&here).await, approver.post(&rate, &good).await] {
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(!answer.text().contains(HELD));
    }

    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    let asked = federation.ask_detail(&enquiry, "SMS", "P1", "C35", &["CSC"]).await.unwrap();
    assert_eq!(asked[0].decision(), Decision::Review);
    let mut desk = federation.approver("SMS", 1);
    let list = desk.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
    let work = format!("/worklist/approve/{}", list.reviews[0].work);

    let mut rates = federation.browser_at("SMS", &assessor("SMS")).await;
    rates.get("/worklist").await;
    for answer in [rates.get(&work).await, rates.post(&work, &[]).await] {
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(!answer.text().contains(HELD_TOO));
    }

    let shown = approver.get(&work).await;
    assert!(
        shown.text().contains(HELD_TOO) && shown.text().contains("Needed to plan"),
        "{}",
        shown.text()
    );
    assert_eq!(looks(&federation.log_of("SMS")).pop().unwrap().0, "release");
    let redacted = "Methadone, supervised.";
    let fields = [("text", redacted), ("reason", "Names the sister.")];
    let preview = approver.post(&format!("{work}/redact"), &fields).await;
    assert_eq!(preview.status, 200);
    assert!(
        preview.text().contains("This is all that will leave Methadone, supervised."),
        "{}",
        preview.text()
    );
    let approve = [("text", redacted), ("reason", "Names the sister."), ("act", "approve")];
    let done = approver.post_and_follow(&format!("{work}/redact"), &approve).await;
    assert!(done.text().contains("Only your redacted text goes out."), "{}", done.text());
    let release = asked[0].release.clone();
    let show = federation
        .until(&enquiry, "it is released", |show| {
            show.releases.iter().any(|r| r.release == release && r.decision() == Decision::Release)
        })
        .await;
    let released = show.releases.iter().find(|known| known.release == release).unwrap();
    assert!(released.obligations.iter().any(|word| word == "THIRD_PARTY_REDACTED"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_view_is_opened_only_by_sending_the_form_and_is_recorded_before_it_is_shown() {
    let (federation, enquiry) = asked(|builder| builder).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    let asked = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    let view = format!("/inbox/{}", asked[0].release);
    let mut browser = federation.browser_at("CSC", &assessor("CSC")).await;
    eventually("the detail is in the inbox", async || {
        browser.get("/inbox").await.body.contains(&view).then_some(())
    })
    .await;
    let n_opened = || {
        let log = federation.log_of("CSC");
        log.iter().filter(|entry| entry.action == Action::DetailOpened).count()
    };
    let sealed = browser.get(&view).await;
    assert!(sealed.text().contains("Do not pass it on") && !sealed.body.contains(HELD));
    let not_accepted = browser.post(&view, &[]).await;
    assert_eq!(not_accepted.status, 422);
    assert!(not_accepted.error_at("accept").is_some() && !not_accepted.body.contains(HELD));
    assert_eq!(n_opened(), 0);

    // What can not be recorded is not shown.
    federation.fault_switch("CSC").fail_writes();
    let refused = browser.post(&view, &[("accept", "yes")]).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.body.contains(HELD));
    federation.fault_switch("CSC").heal();

    let opened = eventually("the log can be written again", async || {
        let opened = browser.post(&view, &[("accept", "yes")]).await;
        (opened.status == 200).then_some(opened)
    })
    .await;
    assert!(opened.text().contains(HELD), "{}", opened.text());
    assert_eq!(opened.header("cache-control"), "no-store");
    assert_eq!(n_opened(), 1);
    assert!(!browser.get(&view).await.body.contains(HELD));
    assert_eq!(n_opened(), 1);
    federation.finish().await;
}
