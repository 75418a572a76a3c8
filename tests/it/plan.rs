//! Actions that agencies accept, and what accepting one changes.

use brag_common::{
    audit::entry::Action,
    status::code_of,
    wire::pb::{self, Colour, Decision, LinkKind},
};
use brag_tests::federation::{Federation, Holding, eventually, person_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_action_turns_a_conflict_of_roles_into_a_review() {
    let (child, father) = (person_of(0), person_of(1));
    let federation = Federation::builder()
        .nodes(&["CSC", "PRO"])
        .silent(&["POL", "DAS"])
        .holds("CSC", Holding::of(child.clone()).entry("C24", "MARKER-C24 two contacts"))
        .holds("CSC", Holding::of(father.clone()))
        .holds("PRO", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &child), ("P2", &father)]).await;
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.rate("CSC", &enquiry, "P2", Colour::Red).await;
    federation.rate("PRO", &enquiry, "P2", Colour::Red).await;
    let mut link = pb::ClaimedLink {
        from: enquiry.person("P2"),
        to: enquiry.person("P1"),
        ..pb::ClaimedLink::default()
    };
    link.set_kind(LinkKind::PosesRiskTo);
    let link = pb::ConfirmLinkRequest { enquiry: enquiry.name.clone(), link: Some(link) };
    federation.assessor("CSC").confirm_link(link).await.unwrap();
    until_recorded(&federation, Action::LinkConfirmed).await;
    let ask = async || {
        let asked = federation.ask_detail(&enquiry, "CSC", "P1", "C24", &["PRO"]).await;
        asked.unwrap().remove(0)
    };
    assert_eq!(ask().await.reason, "RECIPIENT_CONFLICT");

    let accept = |person: &str, action: &str| pb::AcceptActionRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person(person),
        action: action.to_owned(),
    };
    let mut desk = federation.assessor("PRO");
    let refused = desk.accept_action(accept("P1", "A-2")).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("not_found"), "the node was not told of the child");
    let refused = desk.accept_action(accept("P2", "a name with spaces")).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("invalid_message"));
    let signed = desk.accept_action(accept("P2", "A-2")).await.unwrap().into_inner();
    assert!(!signed.statement_id.is_empty());
    until_recorded(&federation, Action::PlanChanged).await;
    let asked = ask().await;
    assert_eq!((asked.decision(), asked.approvals_needed), (Decision::Review, 1), "{asked:?}");

    let log = federation.log_of("PRO");
    let accepted = log.iter().find(|entry| entry.action == Action::PlanChanged).unwrap();
    assert!(format!("{:?}", accepted.actor).contains("pro.assessor"));
    federation.finish().await;
}

/// Until the hub has recorded something, which the agency delivers of its own accord.
async fn until_recorded(federation: &Federation, action: Action) {
    eventually("the hub has it", async || {
        federation.hub_log().iter().any(|entry| entry.action == action).then_some(())
    })
    .await;
}
