//! The same requests, put to the product: real signatures by real keys, `Evidence::verify`, `decide` and the replay
//! guard, with a memory as `Case::weigh` keeps it.

use std::sync::LazyLock;

use brag_agency_node::case::{Circumstances, people_as_opened};
use brag_common::{
    agreement::{
        Agreement, Holding, Identity, LawfulBasis, LinkKind, Outcome, Signatory, SignedAgreement,
        sign,
    },
    enquiry::{Envelope, ReleaseQuery},
    evidence::Evidence,
    id::{AgencyId, Commitment, EnquiryRef, RequestId},
    keys::SigningKey,
    rating::Colour,
    reason::Reason,
    replay::{MAX_VALIDITY, ReplayGuard},
    seal::SealingKey,
    statement::{
        Assertion, Body, PersonIn, PersonRole, Rating, Realm, SignedStatement, Statement, Threshold,
    },
    time::{SignedDuration, Timestamp},
};
use brag_tests::partnership::AGREEMENT;
use toml_edit::{DocumentMut, value};

use super::{
    explore::{Event, State},
    holder::Decision,
    hub::{Ask, Kind, Lie, Named, Piece, Says, Signer},
    world::{Act, STEP, Version, World},
};

const HOLDER: &str = "SMS";
const POLICE: &str = "POL";
const SERVICE: &str = "DAS";
const LEFT: &str = "HLT";
const PARTIES: [&str; 7] = [HOLDER, POLICE, SERVICE, LEFT, "CSC", "EDU", "ASC"];

/// Keys, and both versions of the agreement, signed by all.
struct Ground {
    keys: Vec<(AgencyId, SigningKey)>,
    /// The hub's own key; also that of somebody who is no party.
    foreign: SigningKey,
    versions: [(SignedAgreement, Realm); 2],
}

static GROUND: LazyLock<Ground> = LazyLock::new(Ground::new);

fn start() -> Timestamp {
    "2027-03-01T00:00:00Z".parse().unwrap()
}

/// The time of a request at a moment: two hours into it, when everything done at that moment is done.
fn moment(now: u8) -> Timestamp {
    start() + STEP * i32::from(now) + SignedDuration::from_hours(2)
}

impl Ground {
    fn new() -> Self {
        let keys: Vec<_> = PARTIES
            .iter()
            .map(|id| (id.parse::<AgencyId>().unwrap(), SigningKey::generate().unwrap()))
            .collect();
        let sealing = SealingKey::generate;
        let mut document: DocumentMut = AGREEMENT.parse().unwrap();
        let parties = document["party"].as_array_of_tables_mut().unwrap();
        parties.retain(|party| PARTIES.contains(&party["id"].as_str().unwrap()));
        for party in parties.iter_mut() {
            let id = party["id"].as_str().unwrap().to_owned();
            let key = &keys.iter().find(|(agency, _)| agency.as_str() == id).unwrap().1;
            let mut table = toml_edit::Table::new();
            table["tls"] = value(format!("spiffe://model/agency/{id}"));
            table["signing"] = value(key.verifying_key().to_string());
            table["sealing"] = value(sealing().unwrap().public_key().unwrap().to_string());
            party.insert("keys", toml_edit::Item::Table(table));
            if id == LEFT {
                party["withdrawn_at"] = instant("2027-02-01T00:00:00Z");
            }
        }
        let hub = SigningKey::generate().unwrap();
        document["hub"]["keys"]["tls"] = value("spiffe://model/hub");
        document["hub"]["keys"]["signing"] = value(hub.verifying_key().to_string());
        for gate in ["g1", "g2", "g4", "g5", "g6"] {
            document["disclosure"]["S2"].as_table_mut().unwrap().remove(gate);
        }
        let mut two = document.clone();
        document["agreement"]["valid_to"] =
            value("2027-03-11".parse::<toml_edit::Datetime>().unwrap());
        document["agreement"]["review_by"] = document["agreement"]["valid_to"].clone();
        two["agreement"]["version"] = value(4);
        let open = two["disclosure"]["S2"].as_table_mut().unwrap();
        open.remove("g3");
        open["g2"] = value("auto");
        open["g4"] = value("auto");
        let parties = two["party"].as_array_of_tables_mut().unwrap();
        let holder = parties.iter_mut().find(|party| party["id"].as_str() == Some(HOLDER));
        holder.unwrap()["withdrawn_at"] = instant("2027-03-12T23:00:00Z");
        let versions = [document, two].map(|document| signed(&document, &keys));
        Self { keys, foreign: hub, versions }
    }

    fn version(&self, version: Version) -> &(SignedAgreement, Realm) {
        &self.versions[version as usize]
    }

    fn key(&self, agency: &str) -> &SigningKey {
        &self.keys.iter().find(|(id, _)| id.as_str() == agency).unwrap().1
    }

    /// The statement itself, signed as the model says.
    fn statement(&self, piece: &Piece) -> SignedStatement {
        let signer = match piece.signer {
            Signer::Police => POLICE,
            Signer::Service => SERVICE,
            Signer::Left => LEFT,
            Signer::Stranger => "ZZZ",
        };
        let realm = &self.version(piece.under).1;
        let at = |hour: i32| start() + SignedDuration::from_hours(i64::from(hour));
        let named: Vec<PersonIn> = piece.names.iter().flatten().map(person).collect();
        let (body, made_at) = match piece.says {
            Says::Rating { red, via_second, hour, .. } => {
                let body = Body::Rating(Rating {
                    person: named[0].clone(),
                    colour: if red { Colour::Red } else { Colour::Green },
                    analysis_digest: [0; 32],
                    topics: [].into(),
                    rated_at: at(hour),
                    via: via_second.then(|| named[1].clone()),
                    subject_is_child: false,
                });
                (body, at(hour))
            }
            Says::Link => {
                let (from, to) = (named[0].clone(), named[1].clone());
                (Body::Link { from, to, kind: LinkKind::PosesRiskTo }, start())
            }
            Says::Withdrawal { of } => {
                let rating = name(Kind::Of(of));
                (
                    Body::RatingWithdrawn { person: named[0].clone(), rating, still_known: false },
                    start(),
                )
            }
            Says::Section47 => {
                let people = named.clone();
                (Body::Assertion(Assertion { threshold: Threshold::Section47, people }), start())
            }
            Says::NothingOfUse => {
                let (person, role) = (named[0].clone(), PersonRole::Unclear);
                (Body::Role { person, role }, start())
            }
        };
        let statement = Statement {
            id: name(piece.kind),
            signer: signer.parse().unwrap(),
            agreement: realm.agreement,
            enquiry: enquiry(piece.in_enquiry),
            made_at,
            made_by: Some("a.person".parse().unwrap()),
            body,
        };
        let by_itself = piece.truly_signed && piece.signer != Signer::Stranger;
        let key = if by_itself { self.key(signer) } else { &self.foreign };
        SignedStatement::sign(&statement, realm, key)
    }
}

fn instant(text: &str) -> toml_edit::Item {
    value(text.parse::<toml_edit::Datetime>().unwrap())
}

fn signed(document: &DocumentMut, keys: &[(AgencyId, SigningKey)]) -> (SignedAgreement, Realm) {
    let text = document.to_string();
    Agreement::parse(&text).unwrap_or_else(|faults| panic!("{faults}"));
    let mut note = text.into_bytes();
    for (agency, key) in keys {
        note = sign(&note, &Signatory::Party(agency.clone()), key).unwrap();
    }
    let (own, key) = &keys[0];
    let agreement = SignedAgreement::verify(&note, (own, key.verifying_key())).unwrap();
    let realm = Realm {
        trust_domain: "model".to_owned(),
        environment: "test".to_owned(),
        agreement: agreement.digest(),
    };
    (agreement, realm)
}

fn name(kind: Kind) -> RequestId {
    let kind = if kind == Kind::NamedAsAnothers { Kind::Of(Act::ReRate) } else { kind };
    format!("s{}", kind.bit().trailing_zeros()).parse().unwrap()
}

fn enquiry(this: bool) -> EnquiryRef {
    EnquiryRef::from_random([if this { 1 } else { 2 }; 16])
}

fn person(named: &Named) -> PersonIn {
    let (person, true_one, byte) = match named {
        Named::Subject { true_one } => ("P1", *true_one, 1),
        Named::Second { true_one } => ("P2", *true_one, 3),
    };
    let byte = if true_one { byte } else { byte + 1 };
    PersonIn { person: person.parse().unwrap(), commitment: Commitment::from_bytes([byte; 32]) }
}

/// A holder's node as far as a decision goes.
#[derive(Default)]
pub struct Node {
    kept: Vec<SignedStatement>,
    guard: ReplayGuard,
    used: Vec<(RequestId, Timestamp)>,
}

impl Node {
    /// What the product makes of one event of the model.
    pub fn meets(&mut self, before: &State, event: &Event) -> Option<Decision> {
        match event {
            Event::Act(_) | Event::Wait | Event::Amend => None,
            Event::Restart => {
                self.guard = ReplayGuard::new();
                for (id, written_at) in &self.used {
                    self.guard.remember(id.clone(), *written_at);
                }
                None
            }
            Event::Ask(ask) => {
                Some(self.asked(&before.world, before.holder.under, before.now, *ask))
            }
        }
    }

    fn asked(&mut self, world: &World, under: Version, now: u8, ask: Ask) -> Decision {
        let ground = &*GROUND;
        let (agreement, realm) = ground.version(under);
        let other = match under {
            Version::One => Version::Two,
            Version::Two => Version::One,
        };
        let at = moment(now);
        let valid_until = match ask.lie {
            Lie::Late => at - STEP,
            Lie::TooLong => at + STEP,
            _ => at + MAX_VALIDITY,
        };
        let request_id = match (ask.lie, self.used.last()) {
            (Lie::Replayed, Some((id, _))) => id.clone(),
            _ => format!("q{}", self.used.len()).parse().unwrap(),
        };
        let claimed = if ask.lie == Lie::OtherAgreement { other } else { under };
        let envelope = Envelope {
            request_id: request_id.clone(),
            agreement: ground.version(claimed).0.digest(),
            valid_until,
        };
        if self.guard.admit(&envelope, at).is_err() {
            return Decision::NotAdmitted;
        }
        self.used.push((request_id, at));
        let subject = person(&Named::Subject { true_one: true });
        let asked = [
            person(&Named::Subject { true_one: ask.lie != Lie::SubjectSwapped }),
            person(&Named::Second { true_one: ask.lie != Lie::SecondSwapped }),
        ];
        let people = people_as_opened(&asked, [(&subject.person, subject.commitment)]);
        let pile: Vec<_> = Kind::of_bits(ask.pile)
            .map(|kind| ground.statement(&kind.piece(world, under, now)))
            .collect();
        let evidence =
            Evidence::verify(agreement, realm, &enquiry(true), &people, &pile, &self.kept);
        for (statement, signed) in &evidence.accepted {
            // The hub signs anew for whom it has bought; what it has of them is always of the moment.
            let bought = Kind::of_bits(ask.pile & !((1 << Act::ALL.len()) - 1))
                .any(|kind| kind != Kind::NamedAsAnothers && name(kind) == statement.id)
                || matches!(statement.body, Body::Role { .. });
            if !bought && !self.kept.contains(signed) {
                self.kept.push(signed.clone());
            }
        }
        let query = query(ask.lie, under, envelope, &asked, pile);
        let held = Holding::Held {
            third_party: false,
            restricted: ask.lie == Lie::Restricted,
            handling_code: false,
            more_detrimental: false,
        };
        let settled = ask.lie != Lie::AboutSecond;
        let circumstances = Circumstances {
            agreement,
            holder: &HOLDER.parse().unwrap(),
            now: at,
            log_available: ask.lie != Lie::LogFull,
            identity: if settled { Identity::Resolved } else { Identity::Ambiguous },
            holding: held,
        };
        let decisions = circumstances.decide(&query, &evidence);
        decision(&decisions[0].outcome)
    }
}

fn query(
    lie: Lie,
    under: Version,
    envelope: Envelope,
    people: &[PersonIn],
    evidence: Vec<SignedStatement>,
) -> ReleaseQuery {
    let recipient = match (lie, under) {
        (Lie::ToStranger, _) => "ZZZ",
        (Lie::ToLeft, _) => LEFT,
        (Lie::ToUnlisted, _) => "EDU",
        (Lie::ToUninvolved, _) => "ASC",
        (_, Version::One) => "CSC",
        (_, Version::Two) => SERVICE,
    };
    let category = match lie {
        Lie::NeverCarried => "C60",
        Lie::Unopened => "C42",
        Lie::Reviewed => "C35",
        _ => "C33",
    };
    let purpose = if lie == Lie::OtherPurpose { "immigration" } else { "child_safeguarding" };
    let mut basis = LawfulBasis::complete();
    if lie == Lie::NoBasis {
        basis.art6 = None;
    }
    ReleaseQuery {
        envelope,
        release: "r1".parse().unwrap(),
        enquiry: enquiry(true),
        people: people.to_vec(),
        subject: if lie == Lie::AboutSecond { "P2" } else { "P1" }.parse().unwrap(),
        category: category.parse().unwrap(),
        recipients: vec![recipient.parse().unwrap()],
        purpose: purpose.to_owned(),
        basis,
        requested_by: "hub.coordinator".parse().unwrap(),
        evidence,
    }
}

fn decision(outcome: &Outcome) -> Decision {
    match outcome {
        Outcome::Release(_) => Decision::Release,
        Outcome::Review(_) => Decision::Review,
        Outcome::Deny(
            Reason::EvidenceStale
            | Reason::ConsentRequired
            | Reason::ThresholdNotMet
            | Reason::CategoryNotInTier
            | Reason::RecipientNotInvolved,
        ) => Decision::NoWay,
        Outcome::Deny(reason) => Decision::Deny(*reason),
    }
}
