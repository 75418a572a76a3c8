//! Whoever is linked to a family does not work on it.

use brag_common::{
    audit::entry::{Action, Entry},
    status::code_of,
    wire::pb::{self, AnswerStatus, Colour, IdentityDecision},
};
use brag_tests::{
    federation::{Builder, Enquiry, Federation, Holding, eventually, id, person_of},
    partnership::{COORDINATOR, Partnership},
};

fn n_alerts(log: &[Entry]) -> usize {
    let own_family = |entry: &&Entry| {
        entry.action == Action::AlertRaised
            && entry.decision.as_ref().is_some_and(|word| word.as_str() == "own_family")
    };
    log.iter().filter(own_family).count()
}

/// SMS knows P1 and P2; CSC knows P1 and rates.
async fn asked(link: impl FnOnce(Builder) -> Builder) -> (Federation, Enquiry) {
    let builder = Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", Holding::of(person_of(0)).entry("C33", "held").entry("C35", "more"))
        .holds("SMS", Holding::of(person_of(1)))
        .holds("CSC", Holding::of(person_of(0)).entry("C20", "plan"));
    let federation = link(builder).start().await;
    let enquiry = federation.open(&[("P1", &person_of(0)), ("P2", &person_of(1))]).await;
    (federation, enquiry)
}

fn assessor(agency: &str) -> String {
    Partnership::assessor(&id(agency))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x23_an_assessor_who_is_linked_to_one_person_sees_and_does_nothing_about_the_whole_family()
{
    let sms = assessor("SMS");
    let (federation, enquiry) = asked(|builder| builder.linked("SMS", &sms, 1)).await;
    // The hub shows pending from the first; what counts is that the node was told who is asked about.
    eventually("the node was told", async || {
        let told = |entry: &Entry| entry.action == Action::RateAnswered;
        federation.log_of("SMS").iter().any(told).then_some(())
    })
    .await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    let mut desk = federation.assessor("SMS");
    let list = desk.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
    assert_eq!(list.ratings, []);
    // P1 is nobody of theirs; but the family is one.
    let rated = federation.try_rate("SMS", &enquiry, "P1", Colour::Green, None).await.unwrap_err();
    let link = pb::ConfirmLinkRequest {
        enquiry: enquiry.name.clone(),
        link: Some(pb::ClaimedLink {
            from: enquiry.person("P1"),
            to: enquiry.person("P2"),
            kind: pb::LinkKind::Household.into(),
        }),
    };
    let linked = desk.confirm_link(link).await.unwrap_err();
    let decision = pb::DecideIdentityRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person("P1"),
        decision: IdentityDecision::Different.into(),
        reason: "not ours".to_owned(),
    };
    let decided = desk.decide_identity(decision).await.unwrap_err();
    for refused in [rated, linked, decided] {
        assert_eq!(code_of(&refused), Some("conflict_of_interest"));
    }
    assert_eq!(n_alerts(&federation.log_of("SMS")), 3);
    // To decline stays open: it says to the hub that somebody else has to judge.
    let declined = pb::GiveRatingRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person("P1"),
        decline_reason: "conflict_of_interest".to_owned(),
        ..pb::GiveRatingRequest::default()
    };
    desk.give_rating(declined).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Declined).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_declares_a_conflict_neither_opens_nor_rates_and_a_colleague_does() {
    let (federation, enquiry) = asked(|builder| builder).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    let mut desk = federation.assessor("SMS");
    let unknown = pb::DeclareConflictRequest { enquiry: "nothing-of-this-name".to_owned() };
    assert!(desk.declare_conflict(unknown).await.is_err());
    let declaring = pb::DeclareConflictRequest { enquiry: enquiry.name.clone() };
    desk.declare_conflict(declaring).await.unwrap();
    let refused =
        federation.try_rate("SMS", &enquiry, "P1", Colour::Green, None).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("conflict_of_interest"));
    let log = federation.log_of("SMS");
    let declared = log.iter().find(|entry| entry.action == Action::ConflictDeclared).unwrap();
    assert!(format!("{:?}", declared.actor).contains(&assessor("SMS")));
    // Another agency is not concerned.
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P1", AnswerStatus::Rated).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_who_is_linked_to_the_family_can_not_approve_or_refuse() {
    let approver = Partnership::approver(&id("SMS"), 1);
    let (federation, enquiry) = asked(|builder| builder.linked("SMS", &approver, 0)).await;
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P1", AnswerStatus::Rated).await;
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C35", &["CSC"]).await.unwrap();
    assert_eq!(views[0].decision(), pb::Decision::Review);
    let waiting = async |n| {
        let list = federation.approver("SMS", n).worklist(pb::WorklistRequest {}).await.unwrap();
        list.into_inner().reviews
    };
    assert_eq!(waiting(1).await, []);
    let work = waiting(2).await[0].work.clone();
    let mut linked = federation.approver("SMS", 1);
    let approving = pb::ApproveRequest { work: work.clone(), ..pb::ApproveRequest::default() };
    let approved = linked.approve(approving.clone()).await.unwrap_err();
    let refusing = pb::RefuseRequest { work, reason: "no".to_owned() };
    let refused = linked.refuse(refusing).await.unwrap_err();
    for refused in [approved, refused] {
        assert_eq!(code_of(&refused), Some("conflict_of_interest"));
    }
    assert_eq!(n_alerts(&federation.log_of("SMS")), 2);
    federation.approver("SMS", 2).approve(approving).await.unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x23_a_co_ordinator_who_is_linked_to_a_person_can_not_open_see_or_follow_their_enquiry() {
    let (mut federation, before) = asked(|builder| builder).await;
    let other = federation.open(&[("P1", &person_of(5))]).await;
    link_co_ordinator(&mut federation).await;
    let again = Federation::opening(&[("P1", &person_of(1))]);
    let opened = federation.coordinator().open(again).await.unwrap_err();
    let named = before.name.clone();
    let show = pb::ShowRequest { enquiry: named.clone() };
    let shown = federation.coordinator().show(show).await.unwrap_err();
    let watch = pb::WatchRequest { enquiry: named.clone() };
    let watched = federation.coordinator().watch(watch).await.map(|_| ()).unwrap_err();
    let asked = federation.ask_detail(&before, "SMS", "P1", "C33", &["CSC"]).await.unwrap_err();
    for refused in [opened, shown, watched, asked] {
        assert_eq!(code_of(&refused), Some("conflict_of_interest"));
    }
    // What was found out once holds the second time, too.
    for _ in 0..2 {
        assert_eq!(listed(&federation).await, [other.name.as_str()]);
    }
    assert_eq!(on_the_agenda(&federation).await, [other.name.as_str()]);
    assert_eq!(n_alerts(&federation.hub_log()), 4);
    let declaring = pb::StandAsideRequest { enquiry: other.name.clone() };
    federation.coordinator().stand_aside(declaring).await.unwrap();
    let show = pb::ShowRequest { enquiry: other.name.clone() };
    let refused = federation.coordinator().show(show).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("conflict_of_interest"));
    assert!(listed(&federation).await.is_empty() && on_the_agenda(&federation).await.is_empty());
    federation.finish().await;
}

/// Enquiries of the co-ordinator's list.
async fn listed(federation: &Federation) -> Vec<String> {
    let list = federation.coordinator().list(pb::ListRequest { limit: 0 }).await.unwrap();
    list.into_inner().enquiries.into_iter().map(|line| line.enquiry).collect()
}

/// Enquiries of the co-ordinator's agenda.
async fn on_the_agenda(federation: &Federation) -> Vec<String> {
    let agenda = federation.coordinator().agenda(pb::AgendaRequest { limit: 0 }).await.unwrap();
    agenda.into_inner().enquiries.into_iter().map(|line| line.enquiry).collect()
}

/// Restarts the hub with a file about P2 beside its configuration.
async fn link_co_ordinator(federation: &mut Federation) {
    let mother = person_of(1);
    let name = mother.current_name().unwrap();
    let born = mother.birth().to_string();
    let file = federation.hub_config().with_file_name("linked.toml");
    let address = &mother.addresses()[0];
    let person = format!(
        "given = {:?}\nfamily = {:?}\nborn = {born:?}\naddresses = [{{ house = {:?}, postcode = {:?} }}]\n",
        name.given(),
        name.family(),
        address.house().unwrap_or_default(),
        address.postcode().unwrap_or_default()
    );
    std::fs::write(&file, person).unwrap();
    let config = std::fs::read_to_string(federation.hub_config()).unwrap();
    let staff = format!("name = \"{COORDINATOR}\"\n");
    assert!(config.contains(&staff));
    let linked = config.replace(&staff, &format!("{staff}linked_to = [\"linked.toml\"]\n"));
    std::fs::write(federation.hub_config(), linked).unwrap();
    federation.stop_hub().await;
    federation.start_hub().await;
}
