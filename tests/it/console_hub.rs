//! The hub's console: what its pages let whom do, through a browser's own requests over real TLS.

use brag_common::{
    audit::entry::Action,
    matching::identity::Identity,
    wire::pb::{AnswerStatus, Colour},
};
use brag_tests::{
    browser_client::{Answer, Browser},
    federation::{Enquiry, Federation, Holding, person_of},
    partnership::{AUDITOR, COORDINATOR, SECOND_COORDINATOR},
};

/// Three agencies, all there; each knows P1 and P2.
async fn federation() -> Federation {
    let mut builder = Federation::builder().consoles().nodes(&["CSC", "POL", "MHT"]);
    for agency in ["CSC", "POL", "MHT"] {
        for n in 0..2 {
            builder = builder.holds(agency, Holding::of(person_of(n)));
        }
    }
    builder.start().await
}

/// An enquiry about both, opened over the call, and a browser of the co-ordinator who may chair.
async fn opened() -> (Federation, Enquiry, Browser) {
    let federation = federation().await;
    let enquiry = federation.open(&[("P1", &person_of(0)), ("P2", &person_of(1))]).await;
    let browser = federation.browser_at_hub(COORDINATOR).await;
    (federation, enquiry, browser)
}

/// What is known of somebody, as the form of a person takes it.
fn fields_of(person: &Identity) -> Vec<(&'static str, String)> {
    let (given, family) = name_of(person);
    let born = person.birth().day().unwrap();
    let address = &person.addresses()[0];
    vec![
        ("label", "P1".to_owned()),
        ("given", given),
        ("family", family),
        ("born-day", born.day().to_string()),
        ("born-month", born.month().to_string()),
        ("born-year", born.year().to_string()),
        ("addresses-1-house", address.house().unwrap_or_default().to_owned()),
        ("addresses-1-postcode", address.postcode().unwrap_or_default().to_owned()),
    ]
}

fn lent<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn name_of(person: &Identity) -> (String, String) {
    let full = person.current_name().unwrap().full();
    let (given, family) = full.rsplit_once(' ').unwrap();
    (given.to_owned(), family.to_owned())
}

/// Where an answer leads.
fn leads_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

const REFERRAL: [(&str, &str); 5] = [
    ("purpose", "child_safeguarding"),
    ("domestic-abuse", "yes"),
    ("agency", "POL"),
    ("reference", "POL-2027-0142"),
    ("source", "police_notification"),
];

/// Writes a draft about P1, right, and gives its address.
async fn written(browser: &mut Browser) -> String {
    browser.get("/enquiries/new").await;
    let referral = leads_to(&browser.post("/enquiries/new", &[]).await);
    let draft = referral.strip_suffix("/referral").unwrap().to_owned();
    browser.get(&referral).await;
    let another = leads_to(&browser.post(&referral, &REFERRAL).await);
    browser.get(&another).await;
    let fields = fields_of(&person_of(0));
    assert_eq!(leads_to(&browser.post(&another, &lent(&fields)).await), draft);
    draft
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enquiry_is_written_page_by_page_and_opened_once_everything_is_right() {
    let federation = federation().await;
    let mut browser = federation.browser_at_hub(COORDINATOR).await;
    browser.get("/enquiries/new").await;
    let referral = leads_to(&browser.post("/enquiries/new", &[]).await);
    let draft = referral.strip_suffix("/referral").unwrap().to_owned();
    let page = browser.get(&referral).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let blank = browser.post(&referral, &[]).await;
    assert_eq!(blank.status, 422);
    assert!(blank.body.contains("<title>Error: "));
    for field in ["purpose", "domestic-abuse", "agency", "reference"] {
        assert!(blank.error_at(field).is_some(), "{field}: {}", blank.text());
        assert!(blank.body.contains(&format!("href=\"#{field}\"")), "{field}");
    }
    let another = leads_to(&browser.post(&referral, &REFERRAL).await);
    assert_eq!(another, format!("{draft}/people/another"));

    // Wrong, and kept all the same.
    browser.get(&another).await;
    let (_, family) = name_of(&person_of(0));
    let fields = fields_of(&person_of(0));
    let mut wrong = lent(&fields);
    wrong.retain(|(name, _)| !name.starts_with("born"));
    wrong.extend([("born-day", "31"), ("born-month", "2"), ("born-year", "1990")]);
    let wrong = browser.post(&another, &wrong).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.error_at("born").is_some(), "{}", wrong.text());
    let check = browser.get(&draft).await;
    assert!(check.text().contains(&family), "what was sent is saved: {}", check.text());
    let refused = browser.post(&format!("{draft}/open"), &[]).await;
    assert_eq!(refused.status, 422);
    let mend = format!("{draft}/people/1#born");
    assert!(refused.body.contains(&mend), "it leads to where it is mended: {}", refused.text());
    let opened = |log: Vec<brag_common::audit::Entry>| {
        log.into_iter().filter(|entry| entry.action == Action::EnquiryOpened).count()
    };
    assert_eq!(opened(federation.hub_log()), 0, "nobody was asked");

    browser.get(&format!("{draft}/people/1")).await;
    let right = browser.post(&format!("{draft}/people/1"), &lent(&fields)).await;
    assert_eq!(leads_to(&right), draft);

    // Another co-ordinator's draft is nobody's.
    let mut colleague = federation.browser_at_hub(SECOND_COORDINATOR).await;
    assert_eq!(colleague.get(&draft).await.status, 404);

    browser.get(&draft).await;
    let shown = browser.post_and_follow(&format!("{draft}/open"), &[]).await;
    let text = shown.text();
    assert!(text.contains("The enquiry is open") && text.contains(&family), "{text}");
    assert_eq!(opened(federation.hub_log()), 1);
    assert_eq!(browser.get(&draft).await.status, 404, "a draft that is opened is erased");

    // Asked about again a short time after: a reason is asked for, and then it is opened.
    let draft = written(&mut browser).await;
    browser.get(&draft).await;
    let again = browser.post(&format!("{draft}/open"), &[]).await;
    assert_eq!(again.status, 422);
    assert!(again.error_at("again-because").is_some(), "{}", again.text());
    let why = [("again-because", "A second incident\r\non Sunday.")];
    let shown = browser.post_and_follow(&format!("{draft}/open"), &why).await;
    assert!(shown.text().contains("A second incident on Sunday."), "{}", shown.text());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_or_does_through_a_page_what_the_call_refuses() {
    let (federation, enquiry, mut browser) = opened().await;
    let here = format!("/enquiries/{}", enquiry.name);
    let (_, family) = name_of(&person_of(0));

    // Without the secret of the session nothing is changed.
    let forged = browser.post("/enquiries/new", &[]).await;
    assert_eq!(forged.status, 403, "{}", forged.text());
    assert!(!browser.get("/enquiries/new").await.text().contains("Saved"));

    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    for page in ["", "/thresholds", "/plan", "/history", "/close", "/meeting-view", "/matrix"] {
        let refused = auditor.get(&format!("{here}{page}")).await;
        assert_eq!(refused.status, 403, "{page}: {}", refused.text());
        assert!(!refused.body.contains(&family), "{page}");
    }
    assert_eq!(auditor.get("/enquiries/new").await.status, 403);

    // Who does not chair waives nothing.
    let mut colleague = federation.browser_at_hub(SECOND_COORDINATOR).await;
    let plan = colleague.get(&format!("{here}/plan")).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert!(!plan.body.contains("/plan/waiver"));
    assert_eq!(colleague.get(&format!("{here}/plan/waiver")).await.status, 403);
    let person = enquiry.person("P1");
    let waiver = [("agency", "MHT"), ("person", person.as_str()), ("reason", "Seen today.")];
    let refused = colleague.post(&format!("{here}/plan/waiver"), &waiver).await;
    assert_eq!(refused.status, 403, "{}", refused.text());

    // Who has stood aside sees nothing of it any more.
    colleague.get(&format!("{here}/stand-aside")).await;
    assert_eq!(leads_to(&colleague.post(&format!("{here}/stand-aside"), &[]).await), "/enquiries");
    let list = colleague.get("/enquiries").await;
    assert!(!list.body.contains(&enquiry.name), "{}", list.text());
    for page in ["", "/thresholds", "/plan", "/release", "/meeting-view"] {
        let refused = colleague.get(&format!("{here}{page}")).await;
        assert!(refused.status >= 400, "{page}");
        assert!(!refused.body.contains(&family), "{page}");
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enquiry_is_looked_at_asked_for_planned_and_closed_through_its_pages() {
    let (federation, enquiry, mut browser) = opened().await;
    let here = format!("/enquiries/{}", enquiry.name);
    for agency in ["CSC", "POL", "MHT"] {
        for label in ["P1", "P2"] {
            let green = agency == "MHT";
            let colour = if green { Colour::Green } else { Colour::Amber };
            federation.rate(agency, &enquiry, label, colour).await;
            federation.until_status(&enquiry, agency, label, AnswerStatus::Rated).await;
        }
    }
    let matrix = browser.get(&here).await;
    let text = matrix.text();
    assert!(text.contains("A Amber") && text.contains("G Green"), "{text}");
    assert!(text.contains("Nobody leads"), "{text}");
    let thresholds = browser.get(&format!("{here}/thresholds")).await.text();
    assert!(thresholds.contains("g2 (Amber, corroborated) Open CSC rates P1"), "{thresholds}");

    // A request names its recipients and its basis before it is sent.
    let person = enquiry.person("P1");
    let mut ask = vec![
        ("holder", "MHT"),
        ("person", person.as_str()),
        ("category", "C33"),
        ("recipients", "CSC"),
        ("recipients", "POL"),
        ("art6", "UKGDPR_6_1_E"),
        ("statutory-gateway", "CA1989_S47"),
        ("confidentiality-justification", "overriding_public_interest"),
        ("agreement-status", "not_sought"),
        ("necessity", "To decide today."),
        ("proportionality", "One category."),
        ("asked-subject", "no"),
        ("not-asked-because", "It would raise the risk."),
    ];
    let lacking = browser.post(&format!("{here}/release"), &ask).await;
    assert_eq!(lacking.status, 422, "{}", lacking.text());
    assert!(lacking.error_at("art9-condition").is_some(), "{}", lacking.text());
    assert!(lacking.text().contains("To decide today."), "it is filled as it was");
    ask.extend([("art9-condition", "UKGDPR_9_2_G"), ("dpa-schedule-para", "DPA18_SCH1_P18")]);
    let preview = browser.post(&format!("{here}/release"), &ask).await;
    let text = preview.text();
    assert_eq!(preview.status, 200, "{text}");
    assert!(text.contains("Nothing has been sent yet") && text.contains("CSC –"), "{text}");
    let asked = |log: Vec<brag_common::audit::Entry>| {
        log.into_iter().filter(|entry| entry.action == Action::ReleaseAsked).count()
    };
    assert_eq!(asked(federation.hub_log()), 0);
    let decided = browser.post_and_follow(&format!("{here}/release/send"), &ask).await;
    let text = decided.text();
    assert_eq!(asked(federation.hub_log()), 1);
    assert!(
        text.contains("Refused") && text.contains("for CSC") && text.contains("for POL"),
        "{text}"
    );
    assert!(text.contains("How it was decided"), "{text}");

    // Closing names everything unmet, with links to where it is put right.
    let end = [("outcome", "child_protection_plan"), ("reason", "")];
    let blocked = browser.post(&format!("{here}/close"), &end).await;
    assert_eq!(blocked.status, 422);
    for mend in [format!("{here}/plan/lead"), format!("{here}/plan/action?person={person}")] {
        assert!(blocked.body.contains(&format!("href=\"{mend}\"")), "{mend}: {}", blocked.text());
    }
    let nothing = [("outcome", "no_further_action"), ("reason", "Nothing is needed.")];
    let blocked = browser.post(&format!("{here}/close"), &nothing).await;
    assert_eq!(blocked.status, 422, "{}", blocked.text());

    let lead = [("agency", "CSC"), ("role", "social worker")];
    let plan = browser.post_and_follow(&format!("{here}/plan/lead"), &lead).await;
    assert!(plan.text().contains("CSC, social worker"), "{}", plan.text());
    let second = enquiry.person("P2");
    for (name, about) in [("A-1", &person), ("A-2", &second)] {
        let action = [
            ("action", name),
            ("word", "bail_conditions"),
            ("agency", "POL"),
            ("person", about.as_str()),
            ("what", "Ask the court."),
        ];
        browser.post_and_follow(&format!("{here}/plan/action"), &action).await;
    }
    let meeting = [
        ("agency", "CSC"),
        ("present", "POL"),
        ("dialled-in", "MHT"),
        ("agreed", "As in the plan."),
    ];
    let plan = browser.post_and_follow(&format!("{here}/plan/meeting"), &meeting).await;
    assert!(plan.text().contains("Dialled in: MHT"), "{}", plan.text());
    let view = browser.get(&format!("{here}/meeting-view")).await;
    assert!(view.text().contains("Ask the court.") && !view.body.contains("id=\"navigation\""));
    let done = [("action", "A-1"), ("state", "done"), ("note", "Granted.")];
    browser.post_and_follow(&format!("{here}/plan/progress"), &done).await;
    let history = browser.get(&format!("{here}/history")).await.text();
    assert!(history.contains("Meeting, chaired by CSC"), "{history}");
    let closed = browser.post_and_follow(&format!("{here}/close"), &end).await;
    assert!(closed.text().contains("This enquiry is closed"), "{}", closed.text());
    let after = browser.post(&format!("{here}/plan/lead"), &lead).await;
    assert_eq!(after.status, 422, "nothing is added to an enquiry that is closed");
    assert!(browser.get("/enquiries?show=closed").await.body.contains(&enquiry.name));
    assert!(!browser.get("/enquiries").await.body.contains(&enquiry.name));
    federation.finish().await;
}
