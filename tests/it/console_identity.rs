//! The page of the node on which a person compares two identities: nothing before the hub has authorised it, both side by side for
//! whoever may decide, and a decision that is the same as one of the command line.

use brag_common::{
    audit::entry::{Action, Entry},
    id::{EnquiryRef, PersonRef},
    wire::pb::{self, AnswerStatus, Colour},
};
use brag_tests::{
    browser_client::Answer,
    federation::{Enquiry, Federation, id},
    partnership::Partnership,
};

use crate::identity::{authorise, possible_in};

/// Why somebody decides as they do. It stays at the agency.
const REASON: &str = "MARKER-REASON compared with the letter of March";

/// P1 may be somebody whom SMS knows: Cathryn is asked about, Rosalind is on its record.
async fn possible(to_compare: bool) -> (Federation, Enquiry, String) {
    let (federation, enquiry) = possible_in(Federation::builder().consoles(), false).await;
    if to_compare {
        authorise(&federation, &enquiry).await;
    }
    let here = format!("/people/{}/{}", enquiry.name, enquiry.person("P1"));
    (federation, enquiry, here)
}

fn assessor() -> String {
    Partnership::assessor(&id("SMS"))
}

/// Neither side's name is on a page.
fn shows_neither(answer: &Answer) -> bool {
    !["Cathryn", "Rosalind", "Mill Lane"].iter().any(|text| answer.body.contains(text))
}

/// Decisions in the node's log, each by whom.
fn decided(federation: &Federation) -> Vec<String> {
    let log = federation.log_of("SMS");
    let decided = log.iter().filter(|entry| entry.action == Action::IdentityReviewed);
    decided.map(|entry| format!("{:?}", entry.actor)).collect()
}

/// What the worklist of the desk has about P1, over the ordinary call.
async fn work(federation: &Federation, enquiry: &Enquiry) -> Option<pb::RatingWork> {
    let list = federation.assessor("SMS").worklist(pb::WorklistRequest {}).await.unwrap();
    let person = enquiry.person("P1");
    list.into_inner().ratings.into_iter().find(|work| work.person == person)
}

fn kept(federation: &Federation, enquiry: &Enquiry) -> Option<Vec<u8>> {
    let (name, person): (EnquiryRef, PersonRef) = (id(&enquiry.name), id(&enquiry.person("P1")));
    let known = federation.inside("SMS").store.person_in(&name, &person).unwrap()?;
    known.opened.map(|opened| opened.identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_compared_before_the_hub_authorises_it_and_never_by_whoever_is_no_assessor() {
    let (federation, enquiry, here) = possible(false).await;
    let page = format!("{here}/identity");
    let same = [("decision", "same"), ("reason", REASON)];
    let mut rates = federation.browser_at("SMS", &assessor()).await;
    rates.get("/people").await;
    let refused = rates.post(&page, &same).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    for answer in [refused, rates.get(&page).await] {
        assert!(answer.text().contains("There is nothing to compare"), "{}", answer.text());
        assert!(shows_neither(&answer), "{}", answer.text());
    }
    authorise(&federation, &enquiry).await;
    let sms = id("SMS");
    for name in [Partnership::approver(&sms, 1), Partnership::operator(&sms)] {
        let mut other = federation.browser_at("SMS", &name).await;
        other.get("/").await;
        for answer in [other.get(&page).await, other.post(&page, &same).await] {
            assert_eq!(answer.status, 403, "{name}: {}", answer.text());
            assert!(shows_neither(&answer), "{name}: {}", answer.text());
        }
    }
    assert!(decided(&federation).is_empty() && kept(&federation, &enquiry).is_some());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_records_stand_side_by_side_and_somebody_else_is_told_to_the_hub_as_not_known() {
    let (federation, enquiry, here) = possible(true).await;
    let page = format!("{here}/identity");
    let mut browser = federation.browser_at("SMS", &assessor()).await;
    assert_eq!(browser.get(&here).await.header("location"), page, "to compare comes first");
    let shown = browser.get(&page).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let text = shown.text();
    let line = "Current: Cathryn Brookfield Current: Rosalind Brookfield Differs";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("1988-04-17 1988-04-17 Agrees"), "{text}");
    assert!(text.contains("12 Mill Lane, LS6 2AB 12 Mill Lane, LS6 2AB Agrees"), "{text}");
    let log = federation.log_of("SMS");
    let look = |entry: &&Entry| entry.action == Action::OwnRecordShown;
    let look = log.iter().rev().find(look).unwrap();
    assert_eq!(look.decision.as_ref().unwrap().as_str(), "person");
    assert!(format!("{:?}", look.actor).contains(&assessor()));

    let blank = browser.post(&page, &[("reason", REASON)]).await;
    assert_eq!(blank.status, 422);
    assert!(blank.body.contains("<title>Error: ") && blank.body.contains("href=\"#decision\""));
    assert!(blank.error_at("decision").is_some() && blank.body.contains(REASON));
    let bare = browser.post(&page, &[("decision", "different"), ("reason", " ")]).await;
    assert_eq!(bare.status, 422);
    assert!(bare.error_at("reason").unwrap().contains("reason_missing"), "{}", bare.text());
    assert!(bare.body.contains("value=\"different\" checked"), "filled as it was");
    assert!(decided(&federation).is_empty());
    assert_eq!(work(&federation, &enquiry).await.unwrap().kind, "identity");

    let decision = [("decision", "different"), ("reason", REASON)];
    let done = browser.post_and_follow(&page, &decision).await;
    assert!(done.text().contains("It is somebody else."), "{}", done.text());
    assert!(shows_neither(&done), "{}", done.text());
    assert_eq!(decided(&federation).len(), 1);
    assert!(decided(&federation)[0].contains(&assessor()));
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    assert!(work(&federation, &enquiry).await.is_none());
    assert_eq!(kept(&federation, &enquiry), None, "what was disclosed is erased");
    let again = browser.get(&page).await;
    assert!(shows_neither(&again), "{}", again.text());
    assert!(again.text().contains("There is nothing to compare"), "{}", again.text());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_person_waits_for_a_rating_and_a_mistake_is_undone_on_the_same_page() {
    let (federation, enquiry, here) = possible(true).await;
    let page = format!("{here}/identity");
    let mut browser = federation.browser_at("SMS", &assessor()).await;
    browser.get(&page).await;
    let rate = [("colour", "red"), ("analysis", "Relapse this month; contact is not safe.")];
    let early = browser.post(&format!("{here}/rate"), &rate).await;
    assert_eq!(early.status, 422, "nobody is rated who may be somebody else");
    assert!(early.text().contains("identity_not_decided"), "{}", early.text());
    let done = browser.post_and_follow(&page, &[("decision", "same"), ("reason", REASON)]).await;
    assert!(done.text().contains("they are to be rated now"), "{}", done.text());
    assert_ne!(work(&federation, &enquiry).await.unwrap().kind, "identity");
    assert_eq!(decided(&federation).len(), 1);
    let rated = browser.post_and_follow(&format!("{here}/rate"), &rate).await;
    assert!(rated.text().contains("You rated this person Red."), "{}", rated.text());
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;

    let shown = browser.get(&page).await;
    let text = shown.text();
    assert!(text.contains("Decided before") && text.contains(REASON), "{text}");
    assert!(!shown.body.contains("value=\"same\""), "only undoing is left");
    let same = browser.post(&page, &[("decision", "same"), ("reason", REASON)]).await;
    assert_eq!(same.status, 422, "{}", same.text());
    let undone =
        browser.post_and_follow(&page, &[("decision", "different"), ("reason", REASON)]).await;
    assert!(undone.text().contains("It is somebody else."), "{}", undone.text());
    let person = enquiry.person("P1");
    federation
        .until(&enquiry, "the rating is withdrawn", |show| {
            let cell = brag_tests::federation::cell(show, "SMS", &person);
            cell.status() == AnswerStatus::NotKnown && cell.colour() == Colour::Unspecified
        })
        .await;
    assert_eq!(decided(&federation).len(), 2);
    federation.finish().await;
}
