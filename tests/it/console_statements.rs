//! What an agency signs on pages of its node: what a person said, a threshold, a challenge and its answer, an action of the plan,
//! and that detail which was taken back is not used any more. What is refused changes nothing; what is done is an entry, and is
//! the same to the ordinary calls as what a command did.

use brag_common::{
    audit::entry::Action,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour, Decision, record_request::Step},
};
use brag_tests::{
    browser_client::{Answer, Browser},
    federation::{Desk, Enquiry, Federation, Holding, cell, eventually, id, person_of},
    partnership::Partnership,
};

/// What DAS holds about P1.
const HELD: &str = "MARKER-C50 outreach since March";

/// Why somebody asks for another look, or not: others read it.
const WHY: &str = "Seen on Tuesday, sober and with the children; nothing new.";

/// What no text for others may have: an address.
const ADDRESS: &str = "She hides with the children at 12 Mill Lane since May.";

/// P1 is known to DAS, CSC and POL; DAS holds her C50.
struct Stage {
    federation: Federation,
    enquiry: Enquiry,
    /// The page of P1.
    here: String,
}

impl Stage {
    async fn new() -> Self {
        let person = person_of(0);
        let federation = Federation::builder()
            .consoles()
            .nodes(&["DAS", "CSC", "POL"])
            .holds("DAS", Holding::of(person.clone()).entry("C50", HELD))
            .holds("CSC", Holding::of(person.clone()))
            .holds("POL", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in ["DAS", "CSC", "POL"] {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        let here = format!("/people/{}/{}", enquiry.name, enquiry.person("P1"));
        Self { federation, enquiry, here }
    }

    /// An assessor's browser, at the page of P1.
    async fn assessor(&self, agency: &str) -> Browser {
        let mut browser =
            self.federation.browser_at(agency, &Partnership::assessor(&id(agency))).await;
        browser.get(&self.here).await;
        browser
    }

    /// That nobody but an assessor is shown a page or has its form taken.
    async fn is_for_assessors(&self, agency: &str, path: &str, fields: &[(&str, &str)]) {
        let agency_id = id(agency);
        for name in [Partnership::approver(&agency_id, 1), Partnership::operator(&agency_id)] {
            let mut other = self.federation.browser_at(agency, &name).await;
            for answer in [other.get(path).await, other.post(path, fields).await] {
                assert_eq!(answer.status, 403, "{name} {path}: {}", answer.text());
                assert!(answer.text().contains("You can not do this"), "{}", answer.text());
                self.names_nobody(&answer);
            }
        }
    }

    fn names_nobody(&self, answer: &Answer) {
        let name = person_of(0).current_name().unwrap().full();
        assert!(!answer.text().contains(&name) && !answer.body.contains(HELD), "{}", answer.text());
    }

    /// Who did this at an agency, as its log has it.
    fn done(&self, agency: &str, action: Action) -> Vec<String> {
        let log = self.federation.log_of(agency);
        let done = log.iter().filter(|entry| entry.action == action);
        done.map(|entry| format!("{:?}", entry.actor)).collect()
    }

    /// That the agency's assessor did this once.
    fn was_done_once(&self, agency: &str, action: Action) {
        let done = self.done(agency, action);
        assert_eq!(done.len(), 1, "{done:?}");
        assert!(done[0].contains(&Partnership::assessor(&id(agency))), "{done:?}");
    }

    /// Until the hub has recorded it, which the agency delivers of its own accord.
    async fn until_at_hub(&self, action: Action) {
        eventually("the hub has it", async || {
            let log = self.federation.hub_log();
            log.iter().any(|entry| entry.action == action).then_some(())
        })
        .await;
    }

    async fn consents(&self, agency: &str) -> Vec<pb::KnownConsent> {
        let request = pb::ShowConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
        };
        let mut desk = self.federation.assessor(agency);
        desk.show_consent(request).await.unwrap().into_inner().consents
    }
}

/// That a form came back refused, with what is wrong at these fields and nothing lost.
fn is_refused_at(answer: &Answer, fields: &[&str]) {
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.body.contains("<title>Error: "), "{}", answer.text());
    for field in fields {
        assert!(answer.error_at(field).is_some(), "{field}: {}", answer.text());
        assert!(answer.body.contains(&format!("href=\"#{field}\"")), "{field}");
        assert!(answer.body.contains(&format!("id=\"{field}\"")), "{field}");
    }
}

const AGREED: [(&str, &str); 4] =
    [("answer", "agreed"), ("category", "C50"), ("recipient", "CSC"), ("asked", "me")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_said_is_signed_once_it_says_what_to_whom_and_who_asked_and_is_taken_back() {
    let stage = Stage::new().await;
    let consent = format!("{}/consent", stage.here);
    let record = format!("{consent}/record");
    for path in [&record, &format!("{consent}/withdraw")] {
        stage.is_for_assessors("DAS", path, &AGREED).await;
    }
    let mut browser = stage.assessor("DAS").await;
    let blank = browser.post(&record, &[]).await;
    is_refused_at(&blank, &["answer", "asked"]);
    let nobody = [("answer", "agreed"), ("asked", "nobody"), ("expires", "soon")];
    is_refused_at(&browser.post(&record, &nobody).await, &["not_asked_because", "expires"]);
    let nothing = [("answer", "agreed"), ("recipient", "CSC"), ("asked", "me")];
    let nothing = browser.post(&record, &nothing).await;
    is_refused_at(&nothing, &["category"]);
    assert!(nothing.body.contains("value=\"CSC\" checked"), "filled as it was");
    let never = [("answer", "agreed"), ("category", "C43"), ("recipient", "CSC"), ("asked", "me")];
    is_refused_at(&browser.post(&record, &never).await, &["category"]);
    let over = [("expires", "2020-01-01")];
    is_refused_at(&browser.post(&record, &[&AGREED[..], &over[..]].concat()).await, &["expires"]);
    assert!(stage.consents("DAS").await.is_empty());
    assert!(stage.done("DAS", Action::ConsentRecorded).is_empty());

    let done = browser.post_and_follow(&record, &AGREED).await;
    let text = done.text();
    assert!(text.contains("What they said is recorded") && text.contains("Holds now"), "{text}");
    assert!(text.contains("Asked by das.assessor"), "{text}");
    stage.was_done_once("DAS", Action::ConsentRecorded);
    let known = stage.consents("DAS").await.remove(0);
    assert_eq!((known.stands.as_str(), known.recorded_by.as_str()), ("valid", "das.assessor"));
    assert_eq!((known.categories, known.recipients), (vec!["C50".into()], vec!["CSC".into()]));
    stage.until_at_hub(Action::ConsentRecorded).await;

    stage.federation.advance(SignedDuration::from_secs(1));
    let withdrawn =
        browser.post_and_follow(&format!("{consent}/withdraw"), &[("reason", WHY)]).await;
    let text = withdrawn.text();
    assert!(text.contains("The withdrawal is recorded") && !text.contains("Holds now"), "{text}");
    assert_eq!(stage.done("DAS", Action::ConsentRecorded).len(), 2);
    let known = stage.consents("DAS").await;
    assert!(known.iter().all(|one| one.stands != "valid"), "{known:?}");
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_is_stated_by_the_agency_whose_it_is_and_opens_its_gate_at_the_hub() {
    let stage = Stage::new().await;
    let page = format!("{}/threshold", stage.here);
    let person = stage.enquiry.person("P1");
    let met = [("people", person.as_str()), ("dash_ticks", "15")];
    stage.is_for_assessors("POL", &page, &met).await;
    let mut browser = stage.assessor("POL").await;
    let shown = browser.get(&page).await;
    assert!(shown.text().contains("The Marac threshold is met"), "{}", shown.text());
    assert!(shown.body.contains(&format!("value=\"{person}\" checked")), "begins with the person");
    let wrong = [("dash_ticks", "many"), ("reports", "-1"), ("meeting", "soon")];
    let wrong = browser.post(&page, &wrong).await;
    is_refused_at(&wrong, &["people", "dash_ticks", "reports", "meeting"]);
    assert!(wrong.body.contains("value=\"many\""), "filled as it was");
    assert!(stage.done("POL", Action::AssertionMade).is_empty());
    let mut other = stage.assessor("CSC").await;
    let theirs = other.get(&page).await.text();
    assert!(theirs.contains("Section 47") && !theirs.contains("Marac"), "{theirs}");
    let show = stage.federation.show(&stage.enquiry.name).await;
    assert!(show.people[0].gates.is_empty());

    let done = browser.post_and_follow(&page, &met).await;
    assert!(done.text().contains("The threshold is signed"), "{}", done.text());
    stage.was_done_once("POL", Action::AssertionMade);
    stage.until_at_hub(Action::AssertionMade).await;
    stage
        .federation
        .until(&stage.enquiry, "the gate is open", |show| {
            show.people[0].gates.contains(&"g5".to_owned())
        })
        .await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_is_challenged_with_a_reason_that_names_nobody_and_the_agency_that_gave_it_answers()
 {
    let stage = Stage::new().await;
    stage.federation.rate("DAS", &stage.enquiry, "P1", Colour::Red).await;
    stage.federation.until_status(&stage.enquiry, "DAS", "P1", AnswerStatus::Rated).await;
    let page = format!("{}/challenge", stage.here);
    let good = [("agency", "DAS"), ("reason", WHY)];
    stage.is_for_assessors("CSC", &page, &good).await;
    let mut challenger = stage.assessor("CSC").await;
    let blank = challenger.post(&page, &[("reason", WHY)]).await;
    is_refused_at(&blank, &["agency"]);
    assert!(blank.body.contains(WHY), "filled as it was");
    let named = challenger.post(&page, &[("agency", "DAS"), ("reason", ADDRESS)]).await;
    is_refused_at(&named, &["reason"]);
    assert!(named.body.contains("value=\"DAS\" checked"));
    assert!(stage.done("CSC", Action::RatingChallenged).is_empty());
    let done = challenger.post_and_follow(&page, &good).await;
    assert!(done.text().contains("Your challenge is signed"), "{}", done.text());
    stage.was_done_once("CSC", Action::RatingChallenged);

    let work = eventually("the challenge is on the worklist", async || {
        let mut desk = stage.federation.assessor("DAS");
        desk.worklist(pb::WorklistRequest {}).await.unwrap().into_inner().challenges.pop()
    })
    .await;
    assert_eq!((work.by.as_str(), work.reason.as_str()), ("CSC", WHY));
    let answer = format!("{}/challenges/{}", stage.here, work.challenge);
    let kept = "Two failed appointments this week say otherwise.";
    stage.is_for_assessors("DAS", &answer, &[("reason", kept)]).await;
    let mut rater = stage.assessor("DAS").await;
    let shown = rater.get(&stage.here).await;
    assert!(shown.body.contains(&answer) && shown.text().contains(WHY), "{}", shown.text());
    assert_eq!(rater.get(&format!("{}/challenges/none-such", stage.here)).await.status, 404);
    let asked = rater.get(&answer).await.text();
    assert!(asked.contains(WHY) && asked.contains("Your agency's rating now is Red."), "{asked}");
    is_refused_at(&rater.post(&answer, &[("reason", "No.")]).await, &["reason"]);
    is_refused_at(&rater.post(&answer, &[("reason", ADDRESS)]).await, &["reason"]);
    assert!(stage.done("DAS", Action::RatingKept).is_empty());
    let done = rater.post_and_follow(&answer, &[("reason", kept)]).await;
    assert!(done.text().contains("The rating stays."), "{}", done.text());
    stage.was_done_once("DAS", Action::RatingKept);
    let show = stage
        .federation
        .until(&stage.enquiry, "the challenge is answered", |show| {
            show.challenges.iter().any(|one| one.status == "kept" && one.answer == kept)
        })
        .await;
    let colour = cell(&show, "DAS", &stage.enquiry.person("P1")).colour();
    assert_eq!(colour, Colour::Red, "it is as it was");
    assert_eq!(rater.get(&answer).await.status, 404, "nothing waits any more");
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_of_the_plan_is_accepted_by_the_name_that_the_hub_told() {
    let stage = Stage::new().await;
    // Whom an action is about is told to an agency that has rated them itself.
    stage.federation.rate("POL", &stage.enquiry, "P1", Colour::Red).await;
    stage.federation.until_status(&stage.enquiry, "POL", "P1", AnswerStatus::Rated).await;
    let planned = pb::PlannedAction {
        action: "A-1".to_owned(),
        word: "bail_conditions".to_owned(),
        owner: "POL".to_owned(),
        person: stage.enquiry.person("P1"),
        what: "See to it.".to_owned(),
        ..pb::PlannedAction::default()
    };
    let step = Some(Step::Action(planned));
    let request = pb::RecordRequest { enquiry: stage.enquiry.name.clone(), step };
    stage.federation.coordinator().record(request).await.unwrap();
    let page = format!("{}/action", stage.here);
    stage.is_for_assessors("POL", &page, &[("action", "A-1")]).await;
    let mut browser = stage.assessor("POL").await;
    eventually("the node is told", async || {
        browser.get(&page).await.body.contains("value=\"A-1\"").then_some(())
    })
    .await;
    is_refused_at(&browser.post(&page, &[("action", " ")]).await, &["action"]);
    let spaced = browser.post(&page, &[("action", "a name with spaces")]).await;
    is_refused_at(&spaced, &["action"]);
    assert!(spaced.body.contains("value=\"a name with spaces\""), "filled as it was");
    assert!(stage.done("POL", Action::PlanChanged).is_empty());
    let done = browser.post_and_follow(&page, &[("action", "A-1")]).await;
    assert!(done.text().contains("Your agency has accepted the action."), "{}", done.text());
    stage.was_done_once("POL", Action::PlanChanged);
    stage
        .federation
        .until(&stage.enquiry, "the acceptance shows", |show| {
            show.plan.iter().any(|one| one.action == "A-1" && one.state == "accepted")
        })
        .await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_that_was_taken_back_is_acknowledged_once_by_somebody_at_its_recipient() {
    let stage = Stage::new().await;
    let mut holder = stage.assessor("DAS").await;
    let ends = stage.federation.now().checked_add(SignedDuration::from_hours(24)).unwrap();
    let ends = ends.to_string();
    let agreed = [&AGREED[..], &[("expires", &ends[..10])][..]].concat();
    holder.post_and_follow(&format!("{}/consent/record", stage.here), &agreed).await;
    stage.until_at_hub(Action::ConsentRecorded).await;
    let asked = stage.federation.ask_detail(&stage.enquiry, "DAS", "P1", "C50", &["CSC"]).await;
    assert_eq!(asked.unwrap()[0].decision(), Decision::Release);
    let mut desk = stage.federation.assessor("CSC");
    let inbox = async |desk: &mut Desk| desk.inbox(pb::InboxRequest {}).await.unwrap().into_inner();
    eventually("it is in the inbox", async || inbox(&mut desk).await.items.pop()).await;
    stage.federation.advance(SignedDuration::from_secs(1));
    holder.get(&stage.here).await;
    holder.post_and_follow(&format!("{}/consent/withdraw", stage.here), &[]).await;
    let notice =
        eventually("it is told", async || inbox(&mut desk).await.notices.pop()).await.notice;

    let page = format!("/inbox/notices/{notice}");
    stage.is_for_assessors("CSC", &page, &[]).await;
    let mut reader = stage.assessor("CSC").await;
    for answer in
        [reader.get("/inbox/notices/none-such").await, reader.post("/inbox/notices/x", &[]).await]
    {
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    let shown = reader.get(&page).await;
    assert!(shown.text().contains("Detail was taken back"), "{}", shown.text());
    assert!(!shown.body.contains(HELD));
    assert!(stage.done("CSC", Action::RetractionAcknowledged).is_empty());
    let done = reader.post_and_follow(&page, &[]).await;
    assert!(done.text().contains("You have acknowledged"), "{}", done.text());
    stage.was_done_once("CSC", Action::RetractionAcknowledged);
    assert_eq!(inbox(&mut desk).await.notices[0].acknowledged_by, "csc.assessor");
    stage.until_at_hub(Action::RetractionAcknowledged).await;
    let again = reader.post(&page, &[]).await;
    assert_eq!(stage.done("CSC", Action::RetractionAcknowledged).len(), 1, "{}", again.text());
    stage.federation.finish().await;
}
