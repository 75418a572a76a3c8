use std::slice::from_ref;

use super::*;
use crate::{
    agreement::{LinkKind, Signatory, sign},
    id::{AgreementDigest, RequestId},
    keys::SigningKey,
    rating::Colour,
    seal::SealingKey,
    statement::{ConsentState, Rating as RatingStatement},
    time::Timestamp,
};

const AGREEMENT: &str =
    include_str!("../../../tests/corpus/agreements/exampleshire/agreement.toml");

/// A party that has left the agreement an hour before.
const LEFT: &str = "YOS";

/// A partnership whose every party has keys: the text of the agreement with a `[party.keys]` for each.
struct World {
    text: String,
    agreement: SignedAgreement,
    realm: Realm,
    keys: BTreeMap<AgencyId, SigningKey>,
    enquiry: EnquiryRef,
    people: People,
}

impl World {
    fn new() -> Self {
        let mut keys = BTreeMap::new();
        let mut text = String::new();
        for line in AGREEMENT.lines() {
            text.push_str(line);
            text.push('\n');
            // The last key of every party's table is one of these two, or the line after it.
            if let Some(id) = line.strip_prefix("id = \"").and_then(|rest| rest.strip_suffix('"'))
                && let Ok(agency) = id.parse::<AgencyId>()
            {
                let key = SigningKey::generate().unwrap();
                let sealing = SealingKey::generate().unwrap().public_key().unwrap();
                text.push_str(&format!(
                    "keys.tls = \"spiffe://test/agency/{agency}\"\nkeys.signing = \"{}\"\nkeys.sealing = \"{sealing}\"\n",
                    key.verifying_key()
                ));
                if id == LEFT {
                    text.push_str(&format!("withdrawn_at = {}\n", at(-1)));
                }
                keys.insert(agency, key);
            }
        }
        let hub = SigningKey::generate().unwrap();
        text.push_str(&format!(
            "\n[hub.keys]\ntls = \"spiffe://test/hub\"\nsigning = \"{}\"\n",
            hub.verifying_key()
        ));
        let agreement = signed(&text, &keys);
        let realm = Realm {
            trust_domain: "test".to_owned(),
            environment: "test".to_owned(),
            agreement: agreement.digest(),
        };
        let people = [("P1", 1), ("P2", 2)]
            .map(|(name, byte)| (name.parse().unwrap(), Commitment::from_bytes([byte; 32])));
        let enquiry = EnquiryRef::from_random([7; 16]);
        Self { text, agreement, realm, keys, enquiry, people: people.into() }
    }

    /// The next version, which names these parties no more and took over at `at`.
    fn without(mut self, parties: &[&str], at: Timestamp) -> Self {
        let replaces = format!("version = 4\nreplaces = \"{}\"\n", self.agreement.digest());
        let mut text = self.text.replacen("schema = 1\n", "schema = 2\n", 1);
        text = text.replacen("version = 3\n", &replaces, 1);
        for party in parties {
            let (before, own) = text.split_once(&format!("[[party]]\nid = \"{party}\"")).unwrap();
            let (_, after) = own.split_once("[[party]]\n").unwrap();
            text = format!("{before}[[party]]\n{after}");
        }
        let all: BTreeSet<AgencyId> = parties.iter().map(|party| party.parse().unwrap()).collect();
        let remain = self.keys.extract_if(.., |agency, _| !all.contains(agency)).collect();
        self.agreement = signed(&text, &remain).after(&self.agreement, at);
        Self { text, keys: remain, ..self }
    }

    fn person(&self, name: &str) -> PersonIn {
        let person: PersonRef = name.parse().unwrap();
        let commitment = self.people[&person];
        PersonIn { person, commitment }
    }

    fn statement(&self, signer: &str, n: u8, body: Body) -> Statement {
        Statement {
            id: RequestId::from_random([n; 16]),
            signer: signer.parse().unwrap(),
            agreement: self.agreement.digest(),
            enquiry: self.enquiry.clone(),
            made_at: at(0),
            made_by: Some("a.assessor".parse().unwrap()),
            body,
        }
    }

    fn rating(&self, n: u8, colour: Colour, rated_at: Timestamp) -> Statement {
        self.statement(
            "DAS",
            n,
            Body::Rating(RatingStatement {
                person: self.person("P1"),
                colour,
                analysis_digest: [0; 32],
                topics: BTreeSet::new(),
                rated_at,
                via: None,
                subject_is_child: false,
            }),
        )
    }

    fn signed(&self, statement: &Statement) -> SignedStatement {
        SignedStatement::sign(statement, &self.realm, &self.keys[&statement.signer])
    }

    fn verify(&self, presented: &[SignedStatement], known: &[SignedStatement]) -> Evidence {
        Evidence::verify(
            &self.agreement,
            &self.realm,
            &self.enquiry,
            &self.people,
            presented,
            known,
        )
    }

    fn rejections(&self, presented: SignedStatement) -> Vec<Rejection> {
        let evidence = self.verify(&[presented], &[]);
        assert!(evidence.facts.ratings.is_empty() && evidence.facts.links.is_empty());
        evidence.facts.rejected.iter().map(|item| item.rejection).collect()
    }
}

/// The agreement as every party has signed it, verified by CSC.
fn signed(text: &str, keys: &BTreeMap<AgencyId, SigningKey>) -> SignedAgreement {
    let mut note = text.as_bytes().to_vec();
    for (agency, key) in keys {
        note = sign(&note, &Signatory::Party(agency.clone()), key).unwrap();
    }
    let csc: AgencyId = "CSC".parse().unwrap();
    let own = keys[&csc].verifying_key();
    SignedAgreement::verify(&note, (&csc, own)).unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

#[test]
fn invariant_1_a_rating_signed_by_another_key_is_no_evidence() {
    let world = World::new();
    let statement = world.rating(1, Colour::Red, at(0));
    for (agency, key) in &world.keys {
        let signed = SignedStatement::sign(&statement, &world.realm, key);
        if agency.as_str() != "DAS" {
            assert_eq!(world.rejections(signed), [Rejection::Unsigned], "{agency}");
        }
    }
    let mut altered = world.signed(&statement);
    let last = altered.payload.len() - 1;
    altered.payload[last] ^= 1;
    assert_eq!(world.rejections(altered), [Rejection::Unsigned]);
}

#[test]
fn a_rating_of_another_enquiry_person_or_agreement_is_no_evidence() {
    let world = World::new();
    let elsewhere = Statement {
        enquiry: EnquiryRef::from_random([8; 16]),
        ..world.rating(1, Colour::Red, at(0))
    };
    assert_eq!(world.rejections(world.signed(&elsewhere)), [Rejection::Unsigned]);

    let mut somebody_else = world.rating(1, Colour::Red, at(0));
    if let Body::Rating(rating) = &mut somebody_else.body {
        rating.person.commitment = Commitment::from_bytes([9; 32]);
    }
    assert_eq!(world.rejections(world.signed(&somebody_else)), [Rejection::Unsigned]);

    let other = AgreementDigest::from_bytes([1; 32]);
    let statement = Statement { agreement: other, ..world.rating(1, Colour::Red, at(0)) };
    let realm = Realm { agreement: other, ..world.realm.clone() };
    let signed = SignedStatement::sign(&statement, &realm, &world.keys[&statement.signer]);
    assert_eq!(world.rejections(signed), [Rejection::AgreementVersionMismatch]);
}

#[test]
fn a_statement_of_another_trust_domain_or_environment_is_no_evidence() {
    let world = World::new();
    let statement = world.rating(1, Colour::Red, at(0));
    for realm in [
        Realm { trust_domain: "other".to_owned(), ..world.realm.clone() },
        Realm { environment: "production".to_owned(), ..world.realm.clone() },
    ] {
        let signed = SignedStatement::sign(&statement, &realm, &world.keys[&statement.signer]);
        assert_eq!(world.rejections(signed), [Rejection::Unsigned]);
    }
}

#[test]
fn bytes_that_are_no_statement_are_not_silently_ignored() {
    let world = World::new();
    let noise = SignedStatement { payload: vec![0xff; 40], signature: vec![0; 64] };
    assert_eq!(world.rejections(noise), [Rejection::Unsigned]);
}

#[test]
fn an_older_rating_presented_in_place_of_a_known_newer_one_is_stale() {
    let world = World::new();
    let (older, newer) =
        (world.rating(1, Colour::Red, at(0)), world.rating(2, Colour::Green, at(5)));
    let evidence = world.verify(&[world.signed(&older)], &[world.signed(&newer)]);
    let rejected: Vec<_> = evidence.facts.rejected.iter().map(|item| item.rejection).collect();
    assert_eq!(rejected, [Rejection::Stale]);
}

#[test]
fn a_genuine_rating_and_link_become_facts_once() {
    let world = World::new();
    let rating = world.signed(&world.rating(1, Colour::Red, at(0)));
    let (from, to) = (world.person("P2"), world.person("P1"));
    let link = world.statement("POL", 2, Body::Link { from, to, kind: LinkKind::PosesRiskTo });
    let link = world.signed(&link);
    let evidence = world.verify(&[rating.clone(), link.clone(), rating], &[link]);
    assert_eq!(evidence.facts.rejected, []);
    assert_eq!(evidence.facts.ratings.len(), 1);
    assert_eq!(evidence.facts.ratings[0].colour, Colour::Red);
    assert_eq!(evidence.facts.links.len(), 1);
    assert!(evidence.facts.poses_risk(&"P2".parse().unwrap()));
    assert_eq!(evidence.accepted.len(), 2);
}

#[test]
fn a_withdrawn_rating_is_stale_when_it_is_presented_and_no_fact_when_it_is_known() {
    let world = World::new();
    let rating = world.rating(1, Colour::Red, at(0));
    let withdrawn = |signer: &str| {
        let body = Body::RatingWithdrawn {
            person: world.person("P1"),
            rating: rating.id.clone(),
            still_known: false,
        };
        world.signed(&world.statement(signer, 3, body))
    };
    let (given, own, others) = (world.signed(&rating), withdrawn("DAS"), withdrawn("POL"));
    let stale = |evidence: &Evidence| {
        let all: Vec<_> = evidence.facts.rejected.iter().map(|item| item.rejection).collect();
        all == [Rejection::Stale] && evidence.facts.ratings.is_empty()
    };
    // Alone, after the withdrawal was seen; and beside it, in either order.
    assert!(stale(&world.verify(from_ref(&given), from_ref(&own))));
    assert!(stale(&world.verify(&[given.clone(), own.clone()], &[])));
    assert!(stale(&world.verify(&[own.clone(), given.clone()], from_ref(&given))));
    // Known, it stays and proves nothing.
    let evidence = world.verify(&[own], from_ref(&given));
    assert_eq!(evidence.facts.rejected, []);
    assert!(evidence.facts.ratings.is_empty());
    assert_eq!(evidence.accepted.len(), 2);
    // Nobody takes back what somebody else has said.
    let evidence = world.verify(&[given, others], &[]);
    assert_eq!(evidence.facts.rejected, []);
    assert_eq!(evidence.facts.ratings.len(), 1);
}

/// P1's own agreement, as an agency states it at a minute.
fn said(
    world: &World,
    (signer, n, minute): (&str, u8, i64),
    state: ConsentState,
    (categories, recipients): (&str, &str),
) -> Statement {
    let body = Body::Consent(crate::statement::Consent {
        person: world.person("P1"),
        state,
        categories: categories.split_whitespace().map(|code| code.parse().unwrap()).collect(),
        recipients: recipients.split_whitespace().map(|code| code.parse().unwrap()).collect(),
        expires_at: None,
        asked_by: None,
    });
    Statement { made_at: at(minute), ..world.statement(signer, n, body) }
}

/// What statements come to: status, categories and recipients of each fact.
fn stands(world: &World, statements: &[&Statement]) -> Vec<String> {
    let signed: Vec<_> = statements.iter().map(|one| world.signed(one)).collect();
    let evidence = world.verify(&signed, &[]);
    let words = |fact: &crate::agreement::Consent| {
        let names: Vec<String> = fact.recipients.iter().map(ToString::to_string).collect();
        let codes: Vec<String> = fact.categories.iter().map(ToString::to_string).collect();
        format!("{:?} {} {}", fact.status, codes.join("+"), names.join("+"))
    };
    evidence.facts.consents.iter().map(words).collect()
}

#[test]
fn a_withdrawal_takes_back_what_any_agency_recorded_before_it_in_whatever_order_they_come() {
    let world = World::new();
    let das = said(&world, ("DAS", 1, 0), ConsentState::Valid, ("C50", "CSC EHT"));
    let hlt = said(&world, ("HLT", 2, 1), ConsentState::Valid, ("C30", "EDU"));
    let gone = said(&world, ("CSC", 3, 2), ConsentState::Withdrawn, ("", ""));
    for order in [[&das, &hlt, &gone], [&gone, &hlt, &das]] {
        assert_eq!(stands(&world, &order), ["Withdrawn  "]);
    }
    // Of the same moment, the withdrawal is the later one.
    let at_once = said(&world, ("CSC", 3, 0), ConsentState::Withdrawn, ("", ""));
    assert_eq!(stands(&world, &[&das, &at_once]), ["Withdrawn  "]);
}

#[test]
fn a_refusal_takes_back_only_what_it_names() {
    let world = World::new();
    let agreed = said(&world, ("DAS", 1, 0), ConsentState::Valid, ("C30 C50", "CSC EHT"));
    let refused = said(&world, ("HLT", 2, 1), ConsentState::Refused, ("C50", "EHT"));
    assert_eq!(
        stands(&world, &[&agreed, &refused]),
        ["Valid C50 CSC", "Valid C30 CSC+EHT", "Refused C50 EHT"]
    );
    // About somebody else it says nothing.
    let mut other = refused;
    if let Body::Consent(consent) = &mut other.body {
        consent.person = world.person("P2");
    }
    assert_eq!(stands(&world, &[&agreed, &other]), ["Valid C30+C50 CSC+EHT", "Refused C50 EHT"]);
}

#[test]
fn what_is_agreed_again_after_a_withdrawal_stands_and_what_was_before_stays_taken_back() {
    let world = World::new();
    let first = said(&world, ("DAS", 1, 0), ConsentState::Valid, ("C50", "CSC EHT"));
    let gone = said(&world, ("DAS", 2, 1), ConsentState::Withdrawn, ("", ""));
    let again = said(&world, ("HLT", 3, 2), ConsentState::Valid, ("C50", "CSC"));
    assert_eq!(stands(&world, &[&first, &gone, &again]), ["Valid C50 CSC"]);
}

#[test]
fn agreements_of_several_agencies_stand_beside_one_another() {
    let world = World::new();
    let das = said(&world, ("DAS", 1, 0), ConsentState::Valid, ("C50", "CSC"));
    let hlt = said(&world, ("HLT", 2, 1), ConsentState::Valid, ("C30", "EDU"));
    assert_eq!(stands(&world, &[&das, &hlt]), ["Valid C50 CSC", "Valid C30 EDU"]);
}

#[test]
fn what_a_party_says_after_it_has_left_is_no_fact_and_what_it_said_before_stays_one() {
    let world = World::new();
    let (from, to) = (world.person("P2"), world.person("P1"));
    let said = |n, made_at| {
        let (from, to) = (from.clone(), to.clone());
        let link = world.statement(LEFT, n, Body::Link { from, to, kind: LinkKind::PosesRiskTo });
        world.signed(&Statement { made_at, ..link })
    };
    let evidence = world.verify(&[said(1, at(0))], &[]);
    assert_eq!(evidence.facts.links, []);
    assert_eq!(evidence.accepted.len(), 1);
    assert_eq!(world.verify(&[said(2, at(-2))], &[]).facts.links.len(), 1);
}

#[test]
fn a_party_that_a_version_names_no_more_has_left_as_the_version_before_it_ended() {
    let world = World::new();
    let person = world.person("P1");
    let says = |signer, n, made_at| {
        let body = Body::Role { person: person.clone(), role: PersonRole::PersonPosingRisk };
        world.signed(&Statement { made_at, ..world.statement(signer, n, body) })
    };
    let (before, after) = (says("SMS", 1, at(0)), says("SMS", 2, at(2)));
    // This one had left before that.
    let left = says(LEFT, 3, at(0));
    let next = world.without(&["SMS", LEFT], at(1));
    assert_eq!(next.rejections(after), [Rejection::AgreementVersionMismatch]);
    assert!(next.verify(&[left], &[]).facts.posing_risk.is_empty());
    assert_eq!(next.verify(&[before], &[]).facts.posing_risk.len(), 1);
}

#[test]
fn a_statement_that_bears_the_name_of_another_agencys_takes_nothing_away_from_it() {
    let world = World::new();
    let older = world.signed(&world.rating(1, Colour::Red, at(0)));
    let newer = world.signed(&world.rating(2, Colour::Green, at(5)));
    let person = world.person("P1");
    let twin = Body::Role { person, role: PersonRole::Unclear };
    let twin = world.signed(&world.statement("POL", 2, twin));
    // Shown first, or known: the Green still counts.
    for (presented, known) in [
        (vec![twin.clone(), older.clone(), newer.clone()], vec![]),
        (vec![older, newer], vec![twin]),
    ] {
        let evidence = world.verify(&presented, &known);
        let colours: Vec<_> = evidence.facts.ratings.iter().map(|rating| rating.colour).collect();
        assert!(colours.contains(&Colour::Green), "{colours:?}");
    }
}
