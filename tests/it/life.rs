//! The life of an enquiry over its calls: what is recorded, what stands in the way of closing, who is told, and that a hub which is
//! started again stands where it stood.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    audit::entry::Action,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour, PersonRole, record_request::Step},
};
use brag_tests::{
    federation::{Enquiry, Federation, Holding, eventually, person_of},
    partnership::{COORDINATOR, SECOND_COORDINATOR},
};
use tonic::Status;

/// Three agencies, all there. P1 poses risk to P2; all know both, nobody has rated.
async fn opened(change: impl FnOnce(&mut pb::OpenRequest)) -> (Federation, Enquiry) {
    let (father, mother) = (person_of(0), person_of(1));
    let mut builder = Federation::builder().nodes(&["CSC", "POL", "MHT"]);
    for agency in ["CSC", "POL", "MHT"] {
        for person in [&father, &mother] {
            builder = builder.holds(agency, Holding::of(person.clone()));
        }
    }
    let federation = builder.start().await;
    let mut request = Federation::opening(&[("P1", &father), ("P2", &mother)]);
    change(&mut request);
    let name = federation.coordinator().open(request).await.unwrap().into_inner().enquiry;
    let show = federation.show(&name).await;
    let people = show.people.into_iter().map(|person| (person.label, person.person)).collect();
    (federation, Enquiry { name, people })
}

async fn record(federation: &Federation, enquiry: &Enquiry, step: Step) -> Result<(), Status> {
    let request = pb::RecordRequest { enquiry: enquiry.name.clone(), step: Some(step) };
    federation.coordinator().record(request).await.map(|_| ())
}

async fn close(
    federation: &Federation,
    person: &str,
    enquiry: &Enquiry,
    outcome: &str,
) -> Result<bool, Status> {
    let request = pb::CloseRequest {
        enquiry: enquiry.name.clone(),
        outcome: outcome.to_owned(),
        reason: "The family is looked after elsewhere.".to_owned(),
    };
    Ok(federation.coordinator_as(person).close(request).await?.into_inner().closed)
}

fn action(enquiry: &Enquiry, name: &str, word: &str, owner: &str, label: &str) -> Step {
    Step::Action(pb::PlannedAction {
        action: name.to_owned(),
        word: word.to_owned(),
        owner: owner.to_owned(),
        person: enquiry.person(label),
        what: "See to it.".to_owned(),
        ..pb::PlannedAction::default()
    })
}

fn lead(agency: &str) -> Step {
    let role = "social worker".to_owned();
    Step::Lead(pb::Lead { agency: agency.to_owned(), role, ..pb::Lead::default() })
}

fn event(word: &str) -> Step {
    Step::Event(pb::Event { word: word.to_owned(), ..pb::Event::default() })
}

async fn all_rate(federation: &Federation, enquiry: &Enquiry, colour: Colour) {
    for agency in ["CSC", "POL", "MHT"] {
        for label in ["P1", "P2"] {
            federation.rate(agency, enquiry, label, colour).await;
            federation.until_status(enquiry, agency, label, AnswerStatus::Rated).await;
        }
    }
}

fn standing(show: &pb::ShowResponse) -> BTreeSet<&str> {
    let stands = show.flags.iter().filter(|flag| flag.cleared_at_unix_ms == 0);
    stands.map(|flag| flag.flag.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_forbids_is_refused_with_its_code_and_changes_nothing() {
    let (federation, enquiry) = opened(|_| {}).await;
    let waiver = |agency: &str| {
        Step::Waiver(pb::Waiver {
            agency: agency.to_owned(),
            person: enquiry.person("P1"),
            reason: "Seen today.".to_owned(),
        })
    };
    let progress = |action: &str, state: &str| {
        let (action, state) = (action.to_owned(), state.to_owned());
        Step::Progress(pb::ActionProgress { action, state, note: String::new() })
    };
    let stranger = Step::Event(pb::Event {
        people: vec!["nobody".to_owned()],
        ..pb::Event { word: "childs_voice".to_owned(), ..pb::Event::default() }
    });
    let ahead = Step::Event(pb::Event {
        at_unix_ms: federation.now().as_millisecond() + 60_000,
        ..pb::Event { word: "bail".to_owned(), ..pb::Event::default() }
    });
    for (step, code) in [
        (action(&enquiry, "A-1", "other", "P2", "P1"), "ACTION_OWNER_IS_FAMILY"),
        (action(&enquiry, "A-1", "other", "family", "P1"), "ACTION_OWNER_IS_FAMILY"),
        (action(&enquiry, "A-1", "other", &enquiry.person("P1"), "P1"), "ACTION_OWNER_IS_FAMILY"),
        (action(&enquiry, "A-1", "other", "XYZ", "P1"), "invalid_message"),
        (action(&enquiry, "A 1", "other", "CSC", "P1"), "invalid_message"),
        (action(&enquiry, "A-1", "a_word_of_nobody", "CSC", "P1"), "invalid_message"),
        (progress("A-9", "done"), "not_found"),
        (waiver("CSC"), "WAIVER_NOT_PERMITTED"),
        (event("a_word_of_nobody"), "invalid_message"),
        (event("operation_encompass"), "invalid_message"),
        (stranger, "not_found"),
        (ahead, "invalid_message"),
        (lead("XYZ"), "invalid_message"),
    ] {
        let refused = record(&federation, &enquiry, step).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "{refused}");
    }
    let request = pb::RecordRequest { enquiry: enquiry.name.clone(), step: Some(waiver("MHT")) };
    let refused = federation.coordinator_as(SECOND_COORDINATOR).record(request).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("role_missing"), "who does not chair waives nothing");
    let refused = close(&federation, SECOND_COORDINATOR, &enquiry, "a_word_of_nobody").await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("invalid_message"));
    let show = federation.show(&enquiry.name).await;
    assert!(show.plan.is_empty() && show.events.is_empty() && show.lead.is_none());
    let changed = |action| federation.hub_log().iter().any(|entry| entry.action == action);
    assert!(!changed(Action::PlanChanged) && !changed(Action::EventRecorded));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enquiry_is_closed_once_everything_is_there_and_all_who_had_a_part_are_told() {
    let (federation, enquiry) = opened(|_| {}).await;
    let me = COORDINATOR;
    let refused = close(&federation, me, &enquiry, "no_further_action").await.unwrap_err();
    assert_eq!(code_of(&refused), Some("NFA_BLOCKED"));
    assert!(refused.message().contains("evidence of domestic abuse"), "{refused}");
    let refused = close(&federation, me, &enquiry, "multi_agency_plan").await.unwrap_err();
    assert_eq!(code_of(&refused), Some("CLOSE_BLOCKED"));
    for part in ["CSC has not answered about P1", "nobody leads", "the risk that P1 poses"] {
        assert!(refused.message().contains(part), "{refused}");
    }
    all_rate(&federation, &enquiry, Colour::Amber).await;
    record(&federation, &enquiry, action(&enquiry, "A-1", "bail_conditions", "POL", "P1"))
        .await
        .unwrap();
    record(&federation, &enquiry, action(&enquiry, "A-2", "idva_support", "CSC", "P2"))
        .await
        .unwrap();
    let taken = record(&federation, &enquiry, action(&enquiry, "A-2", "other", "CSC", "P2"));
    assert_eq!(code_of(&taken.await.unwrap_err()), Some("ACTION_NAME_TAKEN"));
    record(&federation, &enquiry, lead("CSC")).await.unwrap();
    let show = federation.show(&enquiry.name).await;
    assert!(show.unmet.is_empty(), "{:?}", show.unmet);
    assert!(!standing(&show).contains("lead_professional_missing"));
    let cleared =
        |flag: &pb::Flag| flag.flag == "no_action_perpetrator" && flag.cleared_at_unix_ms > 0;
    assert!(show.flags.iter().any(cleared) && standing(&show).contains("nfa_blocked"));

    let accepted = pb::AcceptActionRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person("P1"),
        action: "A-1".to_owned(),
    };
    federation.assessor("POL").accept_action(accepted).await.unwrap();
    federation
        .until(&enquiry, "the owner's acceptance shows", |show| {
            show.plan.iter().any(|one| one.action == "A-1" && one.state == "accepted")
        })
        .await;
    assert!(close(&federation, me, &enquiry, "multi_agency_plan").await.unwrap());
    let show = federation.show(&enquiry.name).await;
    assert_eq!(show.closed.as_ref().unwrap().outcome, "multi_agency_plan");
    let refused = record(&federation, &enquiry, lead("POL")).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("ENQUIRY_CLOSED"));

    for agency in ["CSC", "POL", "MHT"] {
        let told = eventually("who had a part is told how it ended", async || {
            let news = pb::NewsRequest::default();
            let news = federation.assessor(agency).news(news).await.unwrap().into_inner().items;
            news.iter().any(|one| one.news == "closed").then_some(news)
        })
        .await;
        let words: BTreeMap<_, _> =
            told.iter().map(|one| (one.news.as_str(), one.about.as_str())).collect();
        assert_eq!(words.get("closed"), Some(&"multi_agency_plan"));
        assert_eq!(words.get("lead_named"), Some(&"CSC"));
    }
    let log = federation.hub_log();
    let closed = log.iter().find(|entry| entry.action == Action::EnquiryClosed).unwrap();
    assert_eq!(
        (closed.count, closed.decision.as_ref().unwrap().as_str()),
        (Some(0), "multi_agency_plan")
    );
    assert!(log.iter().any(|entry| {
        entry.action == Action::RequestRefused
            && entry.decision.as_ref().is_some_and(|word| word.as_str() == "NFA_BLOCKED")
    }));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agencies_sign_which_part_a_person_has_and_where_they_differ_shows_until_they_agree() {
    let (federation, enquiry) = opened(|_| {}).await;
    for agency in ["CSC", "POL"] {
        federation.until_asked(agency, &enquiry, "P2").await;
    }
    let state = async |agency: &str, person: String, role: PersonRole| {
        let enquiry = enquiry.name.clone();
        let request = pb::StateRoleRequest { enquiry, person, role: role.into() };
        federation.assessor(agency).state_role(request).await.map(|_| ())
    };
    let nobody = state("POL", "nobody".to_owned(), PersonRole::Victim).await.unwrap_err();
    assert_eq!(code_of(&nobody), Some("not_found"));
    let none = state("POL", enquiry.person("P2"), PersonRole::Unspecified).await.unwrap_err();
    assert_eq!(code_of(&none), Some("invalid_message"));
    state("CSC", enquiry.person("P2"), PersonRole::Victim).await.unwrap();
    state("POL", enquiry.person("P2"), PersonRole::PersonPosingRisk).await.unwrap();
    let show = federation
        .until(&enquiry, "they differ", |show| standing(show).contains("role_conflict"))
        .await;
    let of_risk = |show: &pb::ShowResponse| {
        let about = enquiry.person("P2");
        show.flags.iter().any(|flag| {
            flag.flag == "no_action_perpetrator"
                && flag.person == about
                && flag.cleared_at_unix_ms == 0
        })
    };
    assert!(of_risk(&show), "whoever is said to pose risk needs an action about it");
    federation.advance(SignedDuration::from_secs(60));
    state("POL", enquiry.person("P2"), PersonRole::Victim).await.unwrap();
    let show = federation
        .until(&enquiry, "they agree", |show| !standing(show).contains("role_conflict"))
        .await;
    let signed = show.people.iter().find(|one| one.person == enquiry.person("P2")).unwrap();
    let signed: Vec<_> = signed.signed_roles.iter().map(pb::SignedRole::role).collect();
    assert_eq!(signed, [PersonRole::Victim, PersonRole::Victim]);
    assert!(!of_risk(&show));
    eventually("both sides agree", async || federation.reconcile().agrees().then_some(())).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_further_action_takes_two_people_and_a_reason() {
    let (federation, enquiry) = opened(|request| request.domestic_abuse = false).await;
    let me = COORDINATOR;
    all_rate(&federation, &enquiry, Colour::Green).await;
    for (name, word, label) in [("A-1", "one_to_one_work", "P1"), ("A-2", "other", "P2")] {
        record(&federation, &enquiry, action(&enquiry, name, word, "POL", label)).await.unwrap();
    }
    record(&federation, &enquiry, lead("POL")).await.unwrap();
    let silent = pb::CloseRequest {
        enquiry: enquiry.name.clone(),
        outcome: "no_further_action".to_owned(),
        reason: " ".to_owned(),
    };
    let refused = federation.coordinator().close(silent).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("invalid_message"));
    for _ in 0..2 {
        assert!(!close(&federation, me, &enquiry, "no_further_action").await.unwrap());
    }
    let show = federation.show(&enquiry.name).await;
    assert_eq!((show.closed, show.closing_wanted_by.as_str()), (None, me));
    assert!(close(&federation, SECOND_COORDINATOR, &enquiry, "no_further_action").await.unwrap());
    let closed = federation.show(&enquiry.name).await.closed.unwrap();
    assert_eq!(closed.by, SECOND_COORDINATOR);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_started_again_knows_every_flag_clock_and_step() {
    let (mut federation, enquiry) = opened(|request| {
        request.people[1].role = PersonRole::Child.into();
        request.answer_within_s = 7_200;
    })
    .await;
    federation.rate("CSC", &enquiry, "P2", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P2", AnswerStatus::Rated).await;
    record(&federation, &enquiry, event("strategy_meeting")).await.unwrap();
    record(&federation, &enquiry, lead("CSC")).await.unwrap();
    let meeting = Step::Meeting(pb::Meeting {
        chair: "POL".to_owned(),
        present: vec!["POL".to_owned(), "CSC".to_owned()],
        ..pb::Meeting::default()
    });
    record(&federation, &enquiry, meeting).await.unwrap();
    let invited = record(&federation, &enquiry, event("school_invited")).await.unwrap_err();
    assert_eq!(code_of(&invited), Some("NOT_DURING_SECTION_47"));
    let before = federation.show(&enquiry.name).await;
    let clock = before.clocks.iter().find(|clock| clock.clock == "section_47").unwrap().clone();
    assert_eq!(
        (clock.state.as_str(), clock.due_at_unix_ms - clock.started_at_unix_ms),
        ("running", 86_400_000)
    );
    let seen = &before.meetings[0].seen;
    let child = seen.iter().find(|seen| seen.person == enquiry.person("P2")).unwrap();
    assert_eq!((child.level(), child.missing.join(" ")), (Colour::Red, "MHT POL".to_owned()));

    federation.stop_hub().await;
    federation.start_hub().await;
    let after = federation
        .until(&enquiry, "it stands as it stood", |show| show.flags == before.flags)
        .await;
    assert_eq!(after.clocks, before.clocks);
    assert_eq!((after.plan, after.events, after.lead), (before.plan, before.events, before.lead));
    assert_eq!((after.meetings, after.unmet), (before.meetings, before.unmet));

    // Whoever was away when its time came finds that it has come.
    federation.stop_hub().await;
    federation.advance(SignedDuration::from_hours(24) + SignedDuration::from_secs(1));
    federation.start_hub().await;
    let show = federation
        .until(&enquiry, "the clock has run out", |show| {
            standing(show).contains("s47_clock_breached")
        })
        .await;
    let breached = show.flags.iter().find(|flag| flag.flag == "s47_clock_breached").unwrap();
    assert_eq!(
        breached.raised_at_unix_ms, clock.due_at_unix_ms,
        "when it ran out, not when it was seen"
    );
    assert!(show.unmet.iter().any(|one| one.condition == "section_47_decision_missing"));
    let agenda = federation.coordinator().agenda(pb::AgendaRequest { limit: 0 }).await.unwrap();
    let line = agenda.into_inner().enquiries.remove(0);
    assert!(line.overdue && line.family_level() == Colour::Red);
    federation.finish().await;
}

/// Commands in any order, by a seed; what must hold is said of what the hub shows, and not of how it decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_commands_closes_an_enquiry_that_lacks_something() {
    let (federation, enquiry) = opened(|_| {}).await;
    let mut state = 0x5eed_u64;
    let mut pick = move |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let agencies = ["CSC", "POL", "MHT"];
    let me = COORDINATOR;
    let (mut n_refused, mut n_done, mut closed) = (0, 0, false);
    for n in 0..160 {
        let owner = agencies[usize::try_from(pick(3)).unwrap()];
        let label = ["P1", "P2"][usize::try_from(pick(2)).unwrap()];
        let done = match pick(8) {
            0 | 1 => {
                let word = ["bail_conditions", "idva_support"][usize::try_from(pick(2)).unwrap()];
                record(
                    &federation,
                    &enquiry,
                    action(&enquiry, &format!("A-{n}"), word, owner, label),
                )
                .await
            }
            2 => {
                let progress = pb::ActionProgress {
                    action: format!("A-{}", pick(160)),
                    state: "dropped".to_owned(),
                    note: "No.".to_owned(),
                };
                record(&federation, &enquiry, Step::Progress(progress)).await
            }
            3 if n > 60 => record(&federation, &enquiry, lead(owner)).await,
            4 => {
                let waiver = pb::Waiver {
                    agency: owner.to_owned(),
                    person: enquiry.person(label),
                    reason: "So.".to_owned(),
                };
                record(&federation, &enquiry, Step::Waiver(waiver)).await
            }
            5 if n > 30 && federation.show(&enquiry.name).await.closed.is_none() => {
                // Who has rated rates anew.
                let rated = federation.try_rate(owner, &enquiry, label, Colour::Amber, None).await;
                rated.map(|_| ())
            }
            _ => {
                let outcome =
                    ["no_further_action", "multi_agency_plan"][usize::try_from(pick(2)).unwrap()];
                let before = federation.show(&enquiry.name).await;
                let asked = close(&federation, me, &enquiry, outcome).await;
                if asked.as_ref().is_ok_and(|closed| *closed) {
                    lacks_nothing(&before, &enquiry);
                    closed = true;
                }
                asked.map(|_| ())
            }
        };
        match done {
            Ok(()) => n_done += 1,
            Err(_) => n_refused += 1,
        }
        if closed {
            break;
        }
    }
    assert!(n_refused > 10 && n_done > 10, "{n_refused} refused, {n_done} done");
    let show = federation.show(&enquiry.name).await;
    assert!(closed || !show.unmet.is_empty(), "it could have been closed, and was not tried");
    federation.finish().await;
}

/// Every required answer, a lead, an action for everybody, and one about the risk.
fn lacks_nothing(show: &pb::ShowResponse, enquiry: &Enquiry) {
    assert!(show.lead.is_some());
    let counts = |label: &str, word: Option<&str>| {
        show.plan.iter().any(|one| {
            one.person == enquiry.person(label)
                && one.state != "dropped"
                && word.is_none_or(|word| one.word == word)
        })
    };
    assert!(counts("P1", Some("bail_conditions")) && counts("P2", None));
    for cell in &show.cells {
        let waived = cell.agency == "MHT"
            && show
                .waivers
                .iter()
                .any(|one| one.agency == cell.agency && one.person == cell.person);
        let answered = [AnswerStatus::Rated, AnswerStatus::NotKnown].contains(&cell.status());
        assert!(answered || waived, "{cell:?}");
    }
}
