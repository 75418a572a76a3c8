//! The hub's pages for information governance, through a browser's own requests over real TLS.

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    wire::pb::{self, Colour, Decision},
};
use brag_tests::{
    browser_client::{Answer, Browser},
    federation::{ANALYSIS, Enquiry, Federation, Holding, eventually, lawful_basis, person_of},
    partnership::{AUDITOR, AUDITOR_COLLEAGUES, COORDINATOR, HUB_GOVERNANCE},
};

/// Two agencies know P1, one has rated, and detail was refused: a log with something of everything.
async fn played() -> (Federation, Enquiry) {
    let known = person_of(0);
    let federation = Federation::builder()
        .consoles()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", Holding::of(known.clone()).entry("C33", "MARKER-C33"))
        .holds("CSC", Holding::of(known.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &known)]).await;
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P1", pb::AnswerStatus::Rated).await;
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C35", &["POL"]).await.unwrap();
    assert_eq!(views[0].decision(), Decision::Deny);
    (federation, enquiry)
}

/// How often somebody has looked at what, by the log.
fn looks(log: &[Entry], who: &str, at: &str) -> usize {
    let by =
        |entry: &&Entry| matches!(&entry.actor, Actor::Staff { name, .. } if name.as_str() == who);
    let is = |entry: &&Entry| {
        entry.action == Action::ReportRead
            && entry.decision.as_ref().is_some_and(|word| word.as_str() == at)
    };
    log.iter().filter(by).filter(is).count()
}

/// What no page of information governance may have in it.
fn assert_impersonal(answer: &Answer, path: &str) {
    let person = person_of(0);
    let name = person.current_name().unwrap();
    for personal in [name.family(), ANALYSIS, "MARKER-C33"] {
        assert!(!answer.body.contains(personal), "{path}: {personal}");
    }
    assert!(!answer.body.contains(" style="), "{path}: an inline style");
    assert!(!answer.body.contains("<style") && !answer.body.contains("onclick"), "{path}");
}

/// Asks the log, and gives the answer with where it stands.
async fn ask(browser: &mut Browser, fields: &[(&str, &str)]) -> (String, Answer) {
    browser.get("/log").await;
    let asked = browser.post("/log/search", fields).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    let to = asked.header("location").to_owned();
    let found = browser.get(&to).await;
    assert_eq!(found.status, 200, "{}", found.text());
    (to, found)
}

const PAGES: [&str; 8] = [
    "/log",
    "/log/person",
    "/log/entries/0",
    "/checks",
    "/alerts",
    "/alerts/all",
    "/reports",
    "/access",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_for_their_role_alone_and_nothing_of_a_person_is_on_any() {
    let (federation, _) = played().await;
    let mut coordinator = federation.browser_at_hub(COORDINATOR).await;
    let mut governance = federation.browser_at_hub(HUB_GOVERNANCE[0]).await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    for path in PAGES {
        assert_eq!(coordinator.get(path).await.status, 403, "{path}");
        assert_eq!(governance.get(path).await.status, 403, "{path}");
        let shown = auditor.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert_impersonal(&shown, path);
    }
    for path in ["/records", "/records/report"] {
        assert_eq!(coordinator.get(path).await.status, 403, "{path}");
        assert_eq!(auditor.get(path).await.status, 403, "{path}");
        let shown = governance.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert_impersonal(&shown, path);
    }
    coordinator.get("/enquiries").await;
    assert_eq!(coordinator.post("/log/search", &[]).await.status, 403);
    assert_eq!(coordinator.post("/checks", &[("kind", "log_verify")]).await.status, 403);
    let log = federation.hub_log();
    for at in ["search", "log_verify", "alerts", "entry", "holds"] {
        assert_eq!(looks(&log, COORDINATOR, at), 0, "{at}");
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_searched_by_its_words_by_person_and_each_look_is_an_entry() {
    let (federation, enquiry) = played().await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;

    let wrong = [("enquiry", "Marta Kowalska"), ("from", "yesterday")];
    auditor.get("/log").await;
    let refused = auditor.post("/log/search", &wrong).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("<title>Error: ") && refused.body.contains("href=\"#enquiry\""));
    assert_eq!(looks(&federation.hub_log(), AUDITOR, "search"), 0, "nothing was read");

    let asked = [("enquiry", enquiry.name.as_str()), ("action", "release_decided")];
    let (_, found) = ask(&mut auditor, &asked).await;
    assert!(found.text().contains("1 entry"), "{}", found.text());
    assert!(found.text().contains("NOTHING_HELD: The threshold is met"), "{}", found.text());
    assert_impersonal(&found, "found");
    assert_eq!(looks(&federation.hub_log(), AUDITOR, "search"), 1);
    let (at, reasons) = ask(&mut auditor, &[("gate", "g6")]).await;
    assert!(reasons.text().contains("0 entries"), "{}", reasons.text());
    assert!(
        !at.contains("gate") && !at.contains("=g6"),
        "an address says nothing of what was asked"
    );

    // A colleague can not look at what somebody else has asked.
    let mut colleague = federation.browser_at_hub(AUDITOR_COLLEAGUES[0]).await;
    assert_eq!(colleague.get(&at).await.header("location"), "/log");

    // By who somebody is: only their references come back, and nothing of them is in an address.
    let person = person_of(0);
    let name = person.current_name().unwrap();
    let born = person.birth().to_string();
    let fields = [("given", name.given()), ("family", name.family()), ("born", born.as_str())];
    auditor.get("/log/person").await;
    let found = auditor.post_and_follow("/log/person", &fields).await;
    assert_eq!(found.status, 200);
    assert!(found.text().contains("Found in 1 enquiries"), "{}", found.text());
    assert!(found.body.contains(&enquiry.person("P1")), "{}", found.text());
    assert_impersonal(&found, "found by person");
    assert_eq!(
        looks(&federation.hub_log(), AUDITOR, "find_person"),
        2,
        "the look, and what it found"
    );

    // One entry, its exchange, both its sides as far as they are here.
    let log = federation.hub_log();
    let rated = log.iter().find(|entry| entry.action == Action::RateAnswered).unwrap();
    let shown = auditor.get(&format!("/log/entries/{}", rated.seq)).await;
    assert!(shown.text().contains(&format!("Entry {}", rated.seq)), "{}", shown.text());
    // No checkpoint covers the look that was just recorded, so no link leads to a receipt of it.
    let newest = federation.hub_log().last().unwrap().seq;
    let uncovered = auditor.get(&format!("/log/entries/{newest}")).await;
    assert!(
        uncovered.text().contains("No checkpoint covers this entry yet"),
        "{}",
        uncovered.text()
    );
    assert!(!uncovered.body.contains("/proof"), "{}", uncovered.text());
    let exchange = rated.exchange.clone().unwrap();
    let both = auditor.get(&format!("/log/exchanges/{exchange}")).await;
    assert_eq!(both.status, 200, "{}", both.text());
    assert!(both.text().contains("no copy of its log is on this machine"), "{}", both.text());
    assert_impersonal(&both, "exchange");
    let log = federation.hub_log();
    assert_eq!((looks(&log, AUDITOR, "entry"), looks(&log, AUDITOR, "exchange")), (2, 1));
    assert_eq!(auditor.get("/log/exchanges/none-such").await.status, 404);
    // A look at an exchange is none of its entries: the end of this test compares both sides.
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_saved_under_words_of_the_log_and_never_under_a_name() {
    let (federation, _) = played().await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    let (at, found) =
        ask(&mut auditor, &[("action", "release_decided"), ("outcome", "deny")]).await;
    assert!(found.text().contains("1 entry"), "{}", found.text());
    let person = person_of(0);
    let family = person.current_name().unwrap().family().to_owned();
    let named = format!("What about {family}");
    let refused = auditor.post(&format!("{at}/keep"), &[("keep_as", &named)]).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.error_at("keep_as").is_some(), "{}", refused.text());
    assert!(auditor.get("/log").await.text().contains("None is saved"));

    let kept =
        auditor.post_and_follow(&format!("{at}/keep"), &[("keep_as", "Denied releases")]).await;
    assert!(kept.text().contains("Denied releases"), "{}", kept.text());
    let table = auditor.get(&format!("{at}/entries.csv")).await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(table.body.lines().count(), 2, "{}", table.body);

    // It asks about a member of staff, so it is not kept.
    let (of_staff, _) = ask(&mut auditor, &[("actor", COORDINATOR)]).await;
    let refused = auditor.post(&format!("{of_staff}/keep"), &[("keep_as", "reads")]).await;
    assert_eq!(refused.status, 422);

    // A colleague runs and deletes it.
    let mut colleague = federation.browser_at_hub(AUDITOR_COLLEAGUES[0]).await;
    let page = colleague.get("/log").await;
    let place =
        page.body.split_once("/log/questions/").unwrap().1.split_once('/').unwrap().0.to_owned();
    let run = colleague.post_and_follow(&format!("/log/questions/{place}/ask"), &[]).await;
    assert!(run.text().contains("1 entry"), "{}", run.text());
    let deleted = colleague.post_and_follow(&format!("/log/questions/{place}/delete"), &[]).await;
    assert!(deleted.text().contains("None is saved"), "{}", deleted.text());
    federation.finish().await;
}

/// Waits for the end of the check that runs, and gives the page.
async fn checked(browser: &mut Browser) -> Answer {
    let begun = browser.post_and_follow("/checks", &[("kind", "log_verify")]).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    for _ in 0..10_000 {
        let page = browser.get("/checks").await;
        if page.text().contains("Ended") {
            return page;
        }
        tokio::task::yield_now().await;
    }
    panic!("the check does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_in_order_and_after_a_flipped_byte_names_the_entry() {
    let (federation, _) = played().await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    let page = auditor.get("/checks").await;
    assert!(page.text().contains("no check since"), "{}", page.text());
    let refused = auditor.post("/checks", &[("kind", "log_reconcile")]).await;
    assert_eq!(refused.status, 422, "there is nothing to compare with");
    assert!(!refused.body.contains("id=\"log_reconcile\""), "{}", refused.body);
    let page = checked(&mut auditor).await;
    assert!(page.text().contains("In order"), "{}", page.text());
    assert!(looks(&federation.hub_log(), AUDITOR, "log_verify:in_order") == 1);

    // One byte of the third entry, in the file that the hub writes.
    let file = federation.hub_log_dir().join(format!("{:020}.seg", 0));
    let whole = std::fs::read(&file).unwrap();
    let start = br#"{"v":1,"seq":2,"#;
    let at = whole.windows(start.len()).position(|part| part == start).unwrap();
    let mut flipped = whole.clone();
    flipped[at + start.len() + 20] ^= 1;
    overwrite(&file, at + start.len() + 20, flipped[at + start.len() + 20]);
    let page = checked(&mut auditor).await;
    assert!(page.text().contains("Not in order"), "{}", page.text());
    assert!(page.text().contains("Entry 2 is the first that is wrong"), "{}", page.text());
    // A search says so as well, and shows what is before it.
    let (_, found) = ask(&mut auditor, &[]).await;
    assert!(found.text().contains("not in order at entry 2"), "{}", found.text());

    overwrite(&file, at + start.len() + 20, whole[at + start.len() + 20]);
    let log = federation.hub_log();
    let told = log.iter().find(|entry| {
        entry.decision.as_ref().is_some_and(|word| word.as_str() == "log_verify:fault")
    });
    assert_eq!(told.unwrap().count, Some(2), "what it found is an entry");
    federation.finish().await;
}

/// Writes one byte in place: the hub has the file open.
fn overwrite(file: &std::path::Path, at: usize, byte: u8) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[byte], at as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_handled_once_with_a_note() {
    let (federation, enquiry) = played().await;
    let wanted = pb::RequestReleaseRequest {
        enquiry: enquiry.name.clone(),
        holder: "SMS".to_owned(),
        person: enquiry.person("P1"),
        category: "C60".to_owned(),
        recipients: vec!["CSC".to_owned()],
        lawful_basis: Some(lawful_basis()),
        purpose: String::new(),
    };
    federation.coordinator().request_release(wanted).await.unwrap();
    let number = eventually("the alert is raised", async || {
        let log = federation.hub_log();
        log.iter().find(|entry| entry.action == Action::AlertRaised).map(|entry| entry.seq)
    })
    .await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    let list = auditor.get("/alerts").await;
    assert!(list.text().contains("Category never"), "{}", list.text());
    let path = format!("/alerts/{number}");
    let shown = auditor.get(&path).await;
    assert!(
        shown.text().contains("a category that the exchange never carries"),
        "{}",
        shown.text()
    );
    let blank = auditor.post(&path, &[("note", " ")]).await;
    assert_eq!(blank.status, 422);
    assert!(blank.error_at("note").is_some());
    let done = auditor.post_and_follow(&path, &[("note", "Spoke to the manager.")]).await;
    assert!(done.text().contains("No alert is open"), "{}", done.text());
    assert!(auditor.get(&path).await.text().contains("Spoke to the manager."));
    assert_eq!(auditor.post(&path, &[("note", "Again.")]).await.status, 422);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_shown_with_charts_taken_away_and_explained() {
    let (federation, _) = played().await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    let month = federation.now().to_string().get(..7).unwrap().to_owned();
    auditor.get("/reports").await;
    assert_eq!(auditor.post("/reports", &[("kind", "dpia")]).await.status, 422);
    for kind in ["dpia", "performance", "nfa-audit", "re-audit", "article-30", "policy"] {
        auditor.get("/reports").await;
        let chosen = [("kind", kind), ("month", month.as_str()), ("form", "full")];
        let shown = auditor.post_and_follow("/reports", &chosen).await;
        assert_eq!(shown.status, 200, "{kind}: {}", shown.text());
        assert_impersonal(&shown, kind);
        let log = federation.hub_log();
        assert_eq!(looks(&log, AUDITOR, &format!("report:{kind}")), 1);
        for form in ["csv", "json", "text", "html"] {
            let file = auditor.get(&format!("/reports/{kind}/{month}/full/{form}")).await;
            assert_eq!(file.status, 200, "{kind} {form}");
            assert!(file.header("content-disposition").starts_with("attachment"), "{kind} {form}");
        }
    }
    let shown = auditor.get(&format!("/reports/performance/{month}/full")).await;
    assert!(shown.body.contains("<svg"), "a chart");
    let shown = auditor.get(&format!("/reports/dpia/{month}/full")).await;
    let link =
        shown.body.split_once("/explained?figure=enquiries.").unwrap().1.split_once('"').unwrap().0;
    let explained =
        auditor.get(&format!("/reports/dpia/{month}/explained?figure=enquiries.{link}")).await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    assert!(explained.body.contains("/log/entries/"), "{}", explained.text());
    let shared = auditor.get(&format!("/reports/dpia/{month}/shared")).await;
    assert!(shared.text().contains("withheld"), "{}", shared.text());
    assert!(!shared.body.contains("/explained?"), "what is withheld is not explained");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_answered_by_two_and_who_they_are_is_written_each_time() {
    let (federation, _) = played().await;
    let mut auditor = federation.browser_at_hub(AUDITOR).await;
    let person = person_of(0);
    let name = person.current_name().unwrap();
    let born = person.birth().to_string();
    let fields = [("given", name.given()), ("family", name.family()), ("born", born.as_str())];
    auditor.get("/access").await;
    assert_eq!(auditor.post("/access", &[]).await.status, 422);
    let draft = auditor.post("/access", &fields).await;
    assert_eq!(draft.status, 200, "{}", draft.text());
    assert!(draft.text().contains("NOT TO BE GIVEN OUT"), "{}", draft.text());
    let log = federation.hub_log();
    let asked = log.iter().find(|entry| entry.action == Action::SubjectAccessAsked).unwrap();
    let path = format!("/access/{}", asked.seq);
    let digest =
        draft.body.split_once("name=\"draft\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let step = |step: &'static str, digest: &str| -> Vec<(String, String)> {
        let all = fields.iter().copied().chain([("step", step), ("draft", digest)]);
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    async fn send(browser: &mut Browser, path: &str, fields: &[(String, String)]) -> Answer {
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.get(path).await;
        browser.post(path, &fields).await
    }
    let own = send(&mut auditor, &path, &step("approve", digest)).await;
    assert_eq!(own.status, 422, "whoever asked does not approve: {}", own.text());
    let early = send(&mut auditor, &path, &step("text", digest)).await;
    assert_eq!(early.status, 422, "{}", early.text());
    for colleague in AUDITOR_COLLEAGUES {
        let mut colleague = federation.browser_at_hub(colleague).await;
        let shown = send(&mut colleague, &path, &step("show", "")).await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        assert_eq!(send(&mut colleague, &path, &step("approve", digest)).await.status, 303);
    }
    let issued = send(&mut auditor, &path, &step("text", digest)).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    assert!(issued.header("content-disposition").contains("subject-access-"));
    assert!(issued.body.contains("What is held about you"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enquiry_is_held_let_go_and_erased_by_two_people() {
    let (federation, enquiry) = played().await;
    let mut first = federation.browser_at_hub(HUB_GOVERNANCE[0]).await;
    let mut second = federation.browser_at_hub(HUB_GOVERNANCE[1]).await;
    let asked = |step: &'static str, reason: &'static str| {
        vec![("enquiry", enquiry.name.as_str()), ("reason", reason), ("step", step)]
    };
    first.get("/records").await;
    let blank = first.post("/records", &asked("hold", "")).await;
    assert_eq!(blank.status, 422);
    assert!(blank.error_at("reason").is_some(), "{}", blank.text());
    let held = first.post_and_follow("/records", &asked("hold", "A court case.")).await;
    assert!(held.text().contains("A court case."), "{}", held.text());
    let refused = first.post("/records", &asked("erase", "Opened by mistake.")).await;
    assert_eq!(refused.status, 422, "it is held");
    let name = [("enquiry", enquiry.name.as_str())];
    first.post_and_follow("/records/lift", &name).await;
    let waits = first.post_and_follow("/records", &asked("erase", "Opened by mistake.")).await;
    assert!(waits.text().contains("Another person has to confirm"), "{}", waits.text());
    assert_eq!(first.post("/records/confirm", &name).await.status, 422, "it takes two");
    let page = second.get("/records").await;
    assert!(page.text().contains("Erase for good"), "{}", page.text());
    let done = second.post_and_follow("/records/confirm", &name).await;
    assert!(done.text().contains("and the key"), "{}", done.text());
    let report = second.get("/records/report").await;
    assert!(
        report.text().contains(&enquiry.name) && report.text().contains("By hand"),
        "{}",
        report.text()
    );
    let table = second.get("/records/report/csv").await;
    assert_eq!(table.body.lines().count(), 2, "{}", table.body);
    federation.finish().await;
}
