//! How much may be asked: by a co-ordinator at the hub, about one person, and by the hub at a node.

use std::{collections::BTreeSet, sync::OnceLock};

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    matching::identity::Identity,
    rating,
    reason::Reason,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour},
};
use brag_tests::{
    federation::{ANALYSIS, Federation, Holding, cell, eventually, person_of, status_of},
    partnership::COORDINATOR,
    people::{Invented, Population},
};

/// An agency that knows nobody, with its node; the rest of the partnership is silent.
async fn quiet() -> Federation {
    Federation::builder().nodes(&["SMS"]).silent(&["POL", "CSC"]).start().await
}

fn about(people: &[Identity], reference: &str) -> pb::OpenRequest {
    let labels: Vec<String> = (1..=people.len()).map(|n| format!("P{n}")).collect();
    let named: Vec<(&str, &Identity)> =
        labels.iter().map(String::as_str).zip(people.iter()).collect();
    let mut opening = Federation::opening(&named);
    opening.referral.as_mut().unwrap().reference = reference.to_owned();
    opening.again_because = String::new();
    opening
}

/// Three people whom nobody asked about before, for each number.
fn three(n: usize) -> Vec<Identity> {
    static STRANGERS: OnceLock<Vec<Identity>> = OnceLock::new();
    let strangers = STRANGERS.get_or_init(|| {
        let population = Population::generate(23, 300);
        let mut households = BTreeSet::new();
        let apart = population.people.iter().filter(|one| households.insert(one.household));
        apart.map(Invented::identity).collect()
    });
    strangers[3 * n..3 * n + 3].to_vec()
}

/// The alerts of a log, each as its word and the person it is about.
fn alerts(log: &[Entry]) -> Vec<(String, Option<String>)> {
    log.iter()
        .filter(|entry| entry.action == Action::AlertRaised)
        .map(|entry| {
            let about = match &entry.actor {
                Actor::Staff { name, .. } => Some(name.to_string()),
                Actor::Program => None,
            };
            (entry.decision.as_ref().unwrap().to_string(), about)
        })
        .collect()
}

fn n_of(log: &[Entry], action: Action) -> usize {
    log.iter().filter(|entry| entry.action == action).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x10_thirty_people_in_ten_minutes_without_a_referral_are_refused_asked_about_nowhere_and_told()
 {
    for reference in ["n/a", "POL-2027-17"] {
        let federation = quiet().await;
        let mut coordinator = federation.coordinator();
        let mut refused = Vec::new();
        for n in 0..10 {
            if let Err(status) = coordinator.open(about(&three(n), reference)).await {
                refused.push((n, status));
            }
            federation.advance(SignedDuration::from_mins(1));
        }
        // As many people as fit into one enquiry were asked about: 24.
        assert_eq!(refused.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [8, 9], "{reference}");
        for (_, status) in &refused {
            assert_eq!(code_of(status), Some("BUDGET_EXCEEDED"));
        }
        let log = federation.hub_log();
        let told = ("budget_exceeded".to_owned(), Some(COORDINATOR.to_owned()));
        assert_eq!(alerts(&log), [told], "told once, not for every try");
        let refusals: Vec<_> =
            log.iter().filter(|entry| entry.action == Action::RequestRefused).collect();
        assert_eq!(refusals.len(), 2, "and every try is recorded");
        assert!(refusals.iter().all(|entry| entry.reason == Some(Reason::BudgetExceeded)));
        assert_eq!(n_of(&log, Action::EnquiryOpened), 8);
        assert!(federation.hub_metrics().await.contains("alert=\"budget_exceeded\"} 1"));
        federation.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x10_a_restart_of_the_hub_gives_nobody_a_new_budget_and_a_day_does() {
    let mut federation = quiet().await;
    for n in 0..8 {
        federation.coordinator().open(about(&three(n), "-")).await.unwrap();
    }
    federation.stop_hub().await;
    federation.start_hub().await;
    let refused = federation.coordinator().open(about(&three(8), "-")).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("BUDGET_EXCEEDED"));
    // A referral of its own is work that does not count with what leads back to none.
    federation.coordinator().open(about(&three(8), "INC-77")).await.unwrap();
    federation.advance(SignedDuration::from_hours(24));
    federation.coordinator().open(about(&three(9), "-")).await.unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enquiries_that_are_opened_at_the_same_time_count_for_each_other() {
    let federation = quiet().await;
    let opening: Vec<_> = (0..10)
        .map(|n| {
            let mut coordinator = federation.coordinator();
            tokio::spawn(async move { coordinator.open(about(&three(n), "-")).await.is_ok() })
        })
        .collect();
    let mut opened = 0;
    for one in opening {
        opened += usize::from(one.await.unwrap());
    }
    assert_eq!(opened, 8);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x11_the_same_person_with_another_member_is_asked_about_again_only_with_a_reason() {
    let father = person_of(0);
    let at = "2027-02-01T15:30:00Z".parse().unwrap();
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC"])
        .holds("SMS", Holding::of(father.clone()).standing(rating::Colour::Amber, ANALYSIS, at))
        .start()
        .await;
    let mut coordinator = federation.coordinator();
    let family = about(&[father.clone(), person_of(1), person_of(2)], "INC-1");
    let first = coordinator.open(family).await.unwrap().into_inner().enquiry;
    let asked = n_of(&federation.hub_log(), Action::EnquiryOpened);

    let changed = about(&[father.clone(), person_of(1), person_of(3)], "INC-2");
    let refused = coordinator.open(changed.clone()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("second_enquiry"));
    for told in ["again_because", first.as_str(), "2027-02-09T09:00:00Z"] {
        assert!(refused.message().contains(told), "{}", refused.message());
    }
    let log = federation.hub_log();
    assert_eq!(n_of(&log, Action::EnquiryOpened), asked);
    let refusal = log.iter().find(|entry| entry.action == Action::RequestRefused).unwrap();
    assert_eq!(refusal.decision.as_ref().unwrap().as_str(), "second_enquiry");

    let because = "MARKER-WHY a neighbour rang";
    let with_reason = pb::OpenRequest { again_because: because.to_owned(), ..changed };
    let second = coordinator.open(with_reason).await.unwrap().into_inner().enquiry;
    let log = federation.hub_log();
    let again: Vec<_> = log.iter().filter(|entry| entry.action == Action::SecondEnquiry).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].enquiry.as_ref().unwrap().as_str(), second);
    assert_eq!(again[0].count, Some(1));
    // The reason is the enquiry's, not the log's.
    assert_eq!(federation.show(&second).await.again_because, because);
    assert!(!format!("{log:?}").contains("MARKER-WHY"));

    // The colour is the one that was given before either of them, and says so.
    let shown = eventually("the colour is repeated", async || {
        let show = federation.show(&second).await;
        let person = show.people[0].person.clone();
        let rated = status_of(&show, "SMS", &person) == AnswerStatus::Rated;
        rated.then(|| cell(&show, "SMS", &person).clone())
    })
    .await;
    assert!(shown.repeated);
    assert_eq!(shown.colour(), Colour::Amber);
    let rated_at: brag_common::time::Timestamp = at;
    assert_eq!(shown.rated_at_unix_ms, rated_at.as_millisecond());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x11_one_person_is_in_so_many_recent_enquiries_and_no_more_whatever_the_reason() {
    let federation = quiet().await;
    let mut coordinator = federation.coordinator();
    let open = |n: usize| pb::OpenRequest {
        again_because: "Again.".to_owned(),
        ..about(&[person_of(0), person_of(n)], &format!("INC-{n}"))
    };
    for n in 1..=6 {
        coordinator.open(open(n)).await.unwrap();
    }
    let refused = coordinator.open(open(7)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("BUDGET_EXCEEDED"));
    assert_eq!(alerts(&federation.hub_log()).len(), 1);
    // A month later it is another matter, and needs no reason either.
    federation.advance(SignedDuration::from_hours(30 * 24));
    let later = pb::OpenRequest { again_because: String::new(), ..open(7) };
    coordinator.open(later).await.unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_that_is_too_long_is_no_reason() {
    let federation = quiet().await;
    let long = pb::OpenRequest { again_because: "x".repeat(601), ..about(&three(0), "INC-1") };
    let refused = federation.coordinator().open(long).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("invalid_message"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_as_many_screenings_as_its_operator_allows_and_a_restart_changes_nothing() {
    let mut federation = quiet().await;
    let config = federation.node_config_file("SMS");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[budget]\nscreenings_per_hour = 2\n")).unwrap();
    federation.stop_node("SMS").await;
    federation.start_node("SMS").await;
    let screened =
        |federation: &Federation| n_of(&federation.log_of("SMS"), Action::ScreenAnswered);
    for n in 0..2 {
        let enquiry = federation.open(&[("P1", &person_of(n))]).await;
        federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    }
    federation.stop_node("SMS").await;
    federation.start_node("SMS").await;
    let enquiry = federation.open(&[("P1", &person_of(2))]).await;
    let unanswered = federation
        .until(&enquiry, "the node says no", |show| {
            cell(show, "SMS", &show.people[0].person).reason == "BUDGET_EXCEEDED"
        })
        .await;
    // No answer is not a colour, and not "not known".
    let person = &unanswered.people[0].person;
    assert_eq!(status_of(&unanswered, "SMS", person), AnswerStatus::NoResponse);
    let log = eventually("the node has told", async || {
        let log = federation.log_of("SMS");
        (!alerts(&log).is_empty()).then_some(log)
    })
    .await;
    assert_eq!(alerts(&log), [("budget_exceeded".to_owned(), None)]);
    let raised = log.iter().find(|entry| entry.action == Action::AlertRaised).unwrap();
    assert_eq!(raised.peer, Some(brag_common::audit::Party::Hub));
    assert_eq!(screened(&federation), 2);
    // The hub asks again by itself; an hour later it is answered.
    federation.advance(SignedDuration::from_mins(61));
    federation
        .until(&enquiry, "the node answers again", |show| {
            let cell = cell(show, "SMS", &show.people[0].person);
            [cell.status(), cell.late_status()].contains(&AnswerStatus::NotKnown)
        })
        .await;
    federation.finish().await;
}
