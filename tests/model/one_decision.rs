//! Ten thousand random cases: what a node decides on signed evidence is what `hub agreement decide` prints for the same
//! facts.
//!
//! One side is the command itself, on a case file that is written for it. The other is the node's way: every fact is a
//! statement signed by a party, the request goes through its wire form, `Evidence::verify` admits the statements, and
//! `Circumstances::decide` decides.

use std::{collections::BTreeMap, fs, path::PathBuf};

use brag_agency_node::case::{Circumstances, people_as_opened};
use brag_common::{
    agreement::{
        AssertionKind, ConsentStatus, EvidenceId, Outcome, RecipientDecision, SignedAgreement,
        StepResult,
        cases::{Case, CaseFile},
    },
    enquiry::{Envelope, ReleaseQuery},
    evidence::Evidence,
    id::{AgencyId, Commitment, PersonRef, RequestId},
    keys::SigningKey,
    rating::Basis,
    statement::{
        Assertion, Body, Consent, ConsentState, MaracGrounds, PersonIn, PersonRole, Rating, Realm,
        SignedStatement, Statement, Threshold,
    },
    time::{SignedDuration, Timestamp},
    wire,
};
use brag_hub::agreement_command::{self, AgreementCommand};
use brag_tests::partnership::Partnership;
use clap::Parser;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

/// Requests in one file, and files: ten thousand in all.
const REQUESTS: usize = 50;
const FILES: u32 = 200;

const PEOPLE: [&str; 4] = ["P1", "P2", "P3", "P4"];
const AGENCIES: [&str; 7] = ["CSC", "POL", "DAS", "HLT", "HOU", "SMS", "PRO"];
const CATEGORIES: [&str; 9] = ["C01", "C10", "C32", "C33", "C35", "C42", "C60", "C71", "C99"];

/// The command as the hub's program has it.
#[derive(Debug, Parser)]
struct Hub {
    #[command(subcommand)]
    command: AgreementCommand,
}

struct Ground {
    folder: tempfile::TempDir,
    note: PathBuf,
    agreement: SignedAgreement,
    realm: Realm,
    keys: BTreeMap<AgencyId, SigningKey>,
    now: Timestamp,
}

impl Ground {
    fn new() -> Self {
        let now: Timestamp = "2027-03-02T09:00:00Z".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let partnership = Partnership::create(folder.path(), now, |_| {}).unwrap();
        let keys: BTreeMap<_, _> = partnership
            .agencies()
            .iter()
            .map(|agency| (agency.clone(), partnership.signing_key(agency).unwrap()))
            .collect();
        let note = partnership.agreement_path();
        let (own, key) = keys.first_key_value().unwrap();
        let own = (own, key.verifying_key());
        let agreement = SignedAgreement::verify(&fs::read(&note).unwrap(), own).unwrap();
        let (_, realm) = brag_common::program::realm(&agreement).unwrap();
        Self { folder, note, agreement, realm, keys, now }
    }

    /// What the command prints.
    fn by_command(&self, file: &Value) -> Value {
        let cases = self.folder.path().join("cases.json");
        fs::write(&cases, file.to_string()).unwrap();
        let (note, cases) = (self.note.to_str().unwrap(), cases.to_str().unwrap());
        let at = self.now.to_string();
        let args = ["hub", "decide", note, cases, "--json", "--at", &at];
        let mut out = Vec::new();
        agreement_command::run(&Hub::parse_from(args).command, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    /// What a node decides on the same facts, signed.
    fn by_node(&self, case: &Case) -> Vec<Value> {
        let (statements, names) = self.statements(case);
        let asked: Vec<_> = case.facts.people.iter().map(named).collect();
        let query = ReleaseQuery {
            envelope: Envelope {
                request_id: "q1".parse().unwrap(),
                agreement: self.agreement.digest(),
                valid_until: self.now,
            },
            release: "r1".parse().unwrap(),
            enquiry: "e1".parse().unwrap(),
            people: asked,
            subject: case.request.person.clone(),
            category: case.request.category,
            recipients: case.request.recipients.clone(),
            purpose: case.request.purpose.unwrap().word().to_owned(),
            basis: case.request.basis.clone(),
            requested_by: "hub.coordinator".parse().unwrap(),
            evidence: statements,
        };
        let travelled = wire::release::decode(&wire::release::encode(&query)).unwrap();
        let people = people_as_opened(&travelled.people, []);
        let evidence = Evidence::verify(
            &self.agreement,
            &self.realm,
            &travelled.enquiry,
            &people,
            &travelled.evidence,
            &[],
        );
        let circumstances = Circumstances {
            agreement: &self.agreement,
            holder: &case.request.holder,
            now: self.now,
            log_available: case.moment.log_available,
            identity: case.moment.identity,
            holding: case.moment.holding,
        };
        let decisions = circumstances.decide(&travelled, &evidence);
        decisions.iter().map(|decision| shown(decision, &names)).collect()
    }

    /// Every fact of a case as a statement of a party, and what the case file calls each.
    fn statements(&self, case: &Case) -> (Vec<SignedStatement>, BTreeMap<String, EvidenceId>) {
        let mut signed = Vec::new();
        let mut names = BTreeMap::new();
        let mut say = |signer: &AgencyId, body: Body, name: Option<&EvidenceId>| {
            // Of two ratings of one moment the one named first counts, as in the file.
            let id: RequestId = format!("s{:03}", signed.len()).parse().unwrap();
            if let Some(name) = name {
                names.insert(id.to_string(), name.clone());
            }
            let statement = Statement {
                id,
                signer: signer.clone(),
                agreement: self.realm.agreement,
                enquiry: "e1".parse().unwrap(),
                made_at: self.now,
                made_by: None,
                body,
            };
            let key = &self.keys[signer];
            signed.push(SignedStatement::sign(&statement, &self.realm, key));
        };
        let facts = &case.facts;
        let police: AgencyId = "POL".parse().unwrap();
        for rating in &facts.ratings {
            let body = Body::Rating(Rating {
                person: named(&rating.person),
                colour: rating.colour,
                analysis_digest: [0; 32],
                topics: rating.topics.clone(),
                rated_at: rating.at,
                via: match &rating.basis {
                    Basis::Direct => None,
                    Basis::ViaLinkedPerson(via) => Some(named(via)),
                },
                subject_is_child: false,
            });
            say(&rating.agency, body, Some(&rating.evidence));
        }
        for link in &facts.links {
            let (from, to) = (named(&link.from), named(&link.to));
            say(&police, Body::Link { from, to, kind: link.kind }, Some(&link.evidence));
        }
        for (people, role) in [
            (&facts.posing_risk, PersonRole::PersonPosingRisk),
            (&facts.children, PersonRole::Child),
        ] {
            for person in people {
                say(&police, Body::Role { person: named(person), role }, None);
            }
        }
        for assertion in &facts.assertions {
            let threshold = match &assertion.kind {
                AssertionKind::Section47 => Threshold::Section47,
                AssertionKind::CareAct42 => Threshold::CareAct42,
                AssertionKind::Marac(marac) => Threshold::Marac(MaracGrounds {
                    professional_judgement: true,
                    meeting_at: marac.meeting,
                    ..MaracGrounds::default()
                }),
            };
            let people = assertion.people.iter().map(named).collect();
            let body = Body::Assertion(Assertion { threshold, people });
            say(&assertion.by, body, Some(&assertion.evidence));
        }
        for consent in &facts.consents {
            let over = self.now - SignedDuration::from_hours(1);
            let (state, expires_at) = match consent.status {
                ConsentStatus::Valid => (ConsentState::Valid, consent.expires),
                ConsentStatus::Expired => (ConsentState::Valid, Some(over)),
                ConsentStatus::Refused => (ConsentState::Refused, consent.expires),
                ConsentStatus::Withdrawn => (ConsentState::Withdrawn, consent.expires),
            };
            let body = Body::Consent(Consent {
                person: named(&consent.person),
                state,
                categories: consent.categories.clone(),
                recipients: consent.recipients.clone(),
                expires_at,
                asked_by: None,
            });
            say(&police, body, Some(&consent.evidence));
        }
        for action in &facts.accepted_actions {
            let (person, name) = (named(&action.person), "a1".parse().unwrap());
            say(&action.agency, Body::Action { person, action: name }, None);
        }
        (signed, names)
    }
}

fn named(person: &PersonRef) -> PersonIn {
    let byte = person.as_str().as_bytes()[1];
    PersonIn { person: person.clone(), commitment: Commitment::from_bytes([byte; 32]) }
}

/// A decision in the words of the command, with evidence called as the case file calls it.
fn shown(decision: &RecipientDecision, names: &BTreeMap<String, EvidenceId>) -> Value {
    let (word, permit, reason, approvals) = match &decision.outcome {
        Outcome::Release(permit) => ("release", Some(permit), None, None),
        Outcome::Review(pending) => {
            ("review", Some(pending.details()), None, Some(pending.approvals().count()))
        }
        Outcome::Deny(reason) => ("deny", None, Some(reason.code()), None),
    };
    let trace = decision.trace.iter().map(|step| {
        let (result, reason) = match step.result {
            StepResult::Met => ("met", None),
            StepResult::NotMet(reason) => ("not_met", Some(reason.code())),
            StepResult::Refused(reason) => ("refused", Some(reason.code())),
        };
        let evidence: std::collections::BTreeSet<_> =
            step.evidence.iter().map(|id| names[id.as_str()].as_str()).collect();
        json!({ "stage": step.stage.word(), "rule": step.rule, "result": result, "reason": reason, "evidence": evidence })
    });
    let obligations = permit
        .map(|permit| permit.obligations().iter().map(ToString::to_string).collect::<Vec<_>>());
    let would: Vec<_> = decision.would_be_released_if.iter().map(|h| h.word()).collect();
    json!({
        "recipient": decision.recipient,
        "decision": word,
        "reason": reason,
        "approvals": approvals,
        "gate": permit.map(|permit| permit.gate()),
        "expires": permit.map(|permit| permit.expires().to_string()),
        "obligations": obligations,
        "would_be_released_if": would,
        "trace": trace.collect::<Vec<_>>(),
    })
}

fn a_person() -> impl Strategy<Value = &'static str> {
    select(&PEOPLE[..])
}

fn people(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(PEOPLE.to_vec(), 0..=most)
}

fn an_agency() -> impl Strategy<Value = &'static str> {
    select(&AGENCIES[..])
}

fn a_rating() -> impl Strategy<Value = Value> {
    let colour = select(&["blue", "green", "amber", "red", "red"][..]);
    let basis = select(&["direct", "direct", "direct", "via_linked_person"][..]);
    let tags = subsequence(vec!["substance", "mental_health", "stalking"], 0..=1);
    (an_agency(), a_person(), colour, basis, tags).prop_map(|(agency, person, colour, basis, tags)| {
        json!({ "agency": agency, "person": person, "colour": colour, "basis": basis, "tags": tags })
    })
}

fn an_assertion() -> impl Strategy<Value = Value> {
    let kind = select(&["section_47", "marac", "care_act_42"][..]);
    let by = select(&["CSC", "DAS", "POL", "ASC", "HOU"][..]);
    (kind, by, people(3)).prop_map(|(kind, by, people)| {
        let people = if people.is_empty() { vec!["P1"] } else { people };
        json!({ "kind": kind, "by": by, "people": people })
    })
}

fn a_consent() -> impl Strategy<Value = Value> {
    let state = select(&["valid", "valid", "refused", "withdrawn", "expired"][..]);
    let categories = subsequence(CATEGORIES.to_vec(), 0..=4);
    let recipients = subsequence(AGENCIES.to_vec(), 0..=4);
    let expires = prop::option::of(select(&["2027-03-01T00:00:00Z", "2027-04-01T00:00:00Z"][..]));
    (a_person(), state, categories, recipients, expires).prop_map(
        |(person, state, categories, recipients, expires)| {
            json!({ "person": person, "state": state, "categories": categories,
                "recipients": recipients, "expires": expires })
        },
    )
}

fn an_action() -> impl Strategy<Value = Value> {
    (an_agency(), a_person())
        .prop_map(|(agency, person)| json!({ "agency": agency, "person": person }))
}

fn a_request() -> impl Strategy<Value = Value> {
    let what = (an_agency(), a_person(), select(&CATEGORIES[..]));
    let to = prop_oneof![
        3 => vec(an_agency(), 1..=1),
        1 => vec(select(&["CSC", "EDU", "MHT", "ZZZ"][..]), 1..=2),
    ];
    let mostly = |often| prop::bool::weighted(often);
    let flags = (mostly(0.9), mostly(0.1), mostly(0.95), mostly(0.9), mostly(0.05));
    let evidence = (
        vec(a_rating(), 0..4),
        vec(an_assertion(), 0..2),
        vec(a_consent(), 0..2),
        vec(an_action(), 0..2),
    );
    (what, to, flags, evidence).prop_map(|((holder, person, category), to, flags, evidence)| {
        let (held, third_party, log_available, art10_stated, ambiguous) = flags;
        let (ratings, assertions, agreements, actions) = evidence;
        json!({
            "id": "", "holder": holder, "person": person, "category": category, "to": to,
            "ratings": ratings, "assertions": assertions, "agreements": agreements,
            "accepted_actions": actions, "held": held, "third_party": third_party,
            "log_available": log_available, "art10_stated": art10_stated,
            "identity": if ambiguous { "ambiguous" } else { "resolved" },
        })
    })
}

fn a_file() -> impl Strategy<Value = Value> {
    let kind =
        select(&["household", "poses_risk_to", "at_risk_from", "relative", "contact_venue"][..]);
    let link = (a_person(), a_person(), kind)
        .prop_map(|(from, to, kind)| json!({ "from": from, "to": to, "kind": kind }));
    let head = (people(1), people(2), vec(link, 0..4));
    (head, vec(a_request(), REQUESTS)).prop_map(|((posing_risk, children, links), requests)| {
        json!({ "name": "random", "people": PEOPLE, "posing_risk": posing_risk,
            "children": children, "links": links, "ratings": [], "requests": requests })
    })
}

#[test]
fn a_node_decides_ten_thousand_random_cases_as_the_command_does() {
    let ground = Ground::new();
    let words = std::cell::RefCell::new(BTreeMap::<String, usize>::new());
    // The same ten thousand every time: what fails once fails again.
    let config = Config { cases: FILES, ..Config::default() };
    let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, same);
    let ran = runner.run(&a_file(), |file| {
        let printed = ground.by_command(&file);
        let parsed = CaseFile::parse(&file.to_string()).unwrap();
        let cases = parsed.cases(ground.now);
        let requests = printed["requests"].as_array().unwrap();
        prop_assert_eq!(cases.len(), requests.len());
        for (case, by_command) in cases.iter().zip(requests) {
            let by_node = Value::Array(ground.by_node(case));
            prop_assert_eq!(&by_node, &by_command["decisions"]);
            for decision in by_node.as_array().unwrap() {
                let word = decision["reason"].as_str().or(decision["decision"].as_str());
                *words.borrow_mut().entry(word.unwrap().to_owned()).or_default() += 1;
            }
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    let words = words.into_inner();
    assert!(words.values().sum::<usize>() >= 10_000, "{words:?}");
    // It would say little about cases that all come to the same.
    assert!(words["release"] > 50 && words["review"] > 50 && words.len() >= 12, "{words:?}");
}
