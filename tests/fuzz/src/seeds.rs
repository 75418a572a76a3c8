//! First inputs for every target, made by the product's own code with keys that are public here and used nowhere else.

use std::sync::LazyLock;

use brag_common::{
    agreement::{Agreement, LawfulBasis, LinkKind, Signatory, SignedAgreement, sign},
    enquiry::{Answer, Envelope, PersonAnswer, RatePerson, RateQuery, RatedAnswer, ReleaseQuery},
    id::{AgencyId, AgreementDigest, Commitment},
    keys::{SigningKey, VerifyingKey},
    matching::identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
    },
    rating::{Colour, SaltedAnalysis, Topic},
    seal::{Binding, SealingKey},
    secret::SecretBytes,
    statement::{Body, PersonIn, Rating, Realm, SignedStatement, Statement},
    time::Timestamp,
    wire::{self, pb},
};
use prost::Message as _;
use toml_edit::{DocumentMut, value};

/// The sample agreement, without keys.
pub(crate) const AGREEMENT: &str =
    include_str!("../../corpus/agreements/exampleshire/agreement.toml");

const CASES: [(&str, &str); 3] = [
    ("s1", include_str!("../../corpus/agreements/exampleshire/s1.json")),
    ("s2", include_str!("../../corpus/agreements/exampleshire/s2.json")),
    ("s5", include_str!("../../corpus/agreements/exampleshire/s5.json")),
];

/// What the sealed seeds hold.
pub(crate) const SEALED_TEXT: &[u8] = b"a detail that nobody else can read";

const PEOPLE_CSV: &str = "record,id,given,family,other_names,born,sex,nhs,upn,identifiers,house,postcode,\
address_from,address_to,former_addresses,entry,category,text,flags,handling_code,colour,analysis,tags,rated_by,rated_at
person,17,Ann,Lee,former:Ann/Moss;alias:Annie Lee,1992-03-07,female,9990000018,,police:AB/123,3 Mill Lane,ZZ1 2AB,\
2020-01-31,,1 High St|ZZ1 3CD|2015-01-01|2020-01-30,,,,,,,,,,
entry,17,,,,,,,,,,,,,,9,C33,\"Attends, with gaps\",third_party,C,,,,,
rating,17,,,,,,,,,,,,,,,,,,,amber,Missed three appointments in a row,substance,j.okafor,2027-02-09T08:40:00Z
";

const PEOPLE_JSONL: &str = r#"{"record":"person","id":"17","names":[{"kind":"current","given":"Ann","family":"Lee"}],"born":"1992-03","sex":"female","identifiers":[{"kind":"nhs","value":"999 000 0018"}],"addresses":[{"house":"3 Mill Lane","postcode":"ZZ1 2AB","from":"2020-01-31","to":null}]}
{"record":"entry","id":"17","entry":"9","category":"C33","text":"Attends, with gaps","flags":["third_party"],"handling_code":"C"}
{"record":"rating","id":"17","colour":"amber","analysis":"Missed three appointments in a row","tags":["substance"],"rated_by":"j.okafor","rated_at":"2027-02-09T08:40:00Z"}
"#;

/// One first input.
#[derive(Debug)]
pub struct Seed {
    /// For which target.
    pub target: &'static str,
    /// Its file's name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Keys, and the agreement that all have signed with them: the same on every run.
#[derive(Debug)]
pub struct Ground {
    pub(crate) own: AgencyId,
    pub(crate) agreement: SignedAgreement,
    pub(crate) sealing: SealingKey,
    keys: Vec<(AgencyId, SigningKey)>,
    text: String,
    note: Vec<u8>,
}

impl Ground {
    /// The one ground.
    #[must_use]
    pub fn get() -> &'static Self {
        static GROUND: LazyLock<Ground> = LazyLock::new(Ground::new);
        &GROUND
    }

    fn new() -> Self {
        let agencies: Vec<AgencyId> = Agreement::parse(AGREEMENT)
            .expect("the sample is valid")
            .parties()
            .map(|party| party.id().clone())
            .collect();
        let keys: Vec<_> = agencies.into_iter().zip(1..).map(|(id, n)| (id, key(n))).collect();
        let sealing = SealingKey::from_secret(SecretBytes::new([200; 32]));
        let mut document: DocumentMut = AGREEMENT.parse().expect("the sample is TOML");
        let parties = document["party"].as_array_of_tables_mut().expect("parties");
        for (n, party) in (100..).zip(parties.iter_mut()) {
            let id = party["id"].as_str().expect("an id").to_owned();
            let (_, key) = keys.iter().find(|(known, _)| known.as_str() == id).expect("its key");
            let own = SealingKey::from_secret(SecretBytes::new([n; 32]));
            party["keys"]["tls"] = value(format!("spiffe://fuzz/agency/{id}"));
            party["keys"]["signing"] = value(key.verifying_key().to_string());
            party["keys"]["sealing"] = value(own.public_key().expect("a key").to_string());
        }
        document["hub"]["keys"]["tls"] = value("spiffe://fuzz/hub");
        document["hub"]["keys"]["signing"] = value(key(99).verifying_key().to_string());
        let text = document.to_string();
        let mut note = text.clone().into_bytes();
        for (agency, key) in &keys {
            note = sign(&note, &Signatory::Party(agency.clone()), key).expect("it can be signed");
        }
        let (own, own_key) = &keys[0];
        let agreement = SignedAgreement::verify(&note, (own, own_key.verifying_key()))
            .expect("all have signed");
        Self { own: own.clone(), agreement, sealing, keys, text, note }
    }

    pub(crate) fn own_key(&self) -> VerifyingKey {
        self.keys[0].1.verifying_key()
    }

    fn signed(&self, statement: &Statement) -> SignedStatement {
        let realm = Realm {
            trust_domain: "fuzz".to_owned(),
            environment: "test".to_owned(),
            agreement: self.agreement.digest(),
        };
        SignedStatement::sign(statement, &realm, &self.keys[0].1)
    }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([n; 32])).expect("any seed is a key")
}

/// Every seed there is.
#[must_use]
pub fn all() -> Vec<Seed> {
    let ground = Ground::get();
    let mut seeds = wires(ground);
    let mut seed = |target, name: &str, bytes: &[u8]| {
        seeds.push(Seed { target, name: name.to_owned(), bytes: bytes.to_vec() });
    };
    seed("agreement", "sample", AGREEMENT.as_bytes());
    seed("agreement", "with-keys", ground.text.as_bytes());
    seed("agreement", "unknown-condition", AGREEMENT.replace("any_red", "if_moon_full").as_bytes());
    seed("note", "signed", &ground.note);
    seed("note", "unsigned", ground.text.as_bytes());
    let one_missing = ground.note.len() - 120;
    seed("note", "one-missing", &ground.note[..one_missing]);
    for (name, json) in CASES {
        seed("case_file", name, json.as_bytes());
    }
    seed("case_file", "unknown-field", CASES[1].1.replace("holder", "houlder").as_bytes());
    let public = ground.sealing.public_key().expect("a key");
    let binding = Binding::detail(&[b"detail"]);
    let sealed = public.seal(&binding, SEALED_TEXT).expect("it seals");
    seed("sealed", "sealed", &sealed);
    seed("sealed", "short", &sealed[..40]);
    let person = person();
    seed("identity", "canonical", &[&[0], person.canonical_bytes().as_slice()].concat());
    let canonical = person.canonical_bytes();
    seed("identity", "cut-short", &[&[0], &canonical[..canonical.len() - 1]].concat());
    let lines =
        "Siân-Marie\nO'Brien-Łukasz\n07/03/1992\nFlat 2, 3 Mill Lane\nZZ1 2AB\nnhs\n9990000018";
    seed("identity", "lines", &[&[1], lines.as_bytes()].concat());
    seed("import_csv", "people", PEOPLE_CSV.as_bytes());
    seed("import_csv", "unknown-column", PEOPLE_CSV.replace("given,", "forename,").as_bytes());
    seed("import_jsonl", "people", PEOPLE_JSONL.as_bytes());
    seed("import_jsonl", "unknown-key", PEOPLE_JSONL.replace("\"sex\"", "\"sax\"").as_bytes());
    let receipt = &crate::logs::LOG.receipt;
    seed("receipt", "third-of-five", receipt.as_bytes());
    seed("receipt", "extra", receipt.replace("index", "extra AAAA\nindex").as_bytes());
    let policy = crate::logs::LOG.policy.to_string();
    seed("policy", "one-witness", policy.as_bytes());
    seed("policy", "unknown-word", format!("{policy}if_moon_full yes\n").as_bytes());
    seed("planted", "start", b"B");
    seeds
}

fn person() -> Identity {
    let name = |kind, given, family| Name::new(kind, given, family).expect("a name");
    let parts = IdentityParts {
        names: vec![
            name(NameKind::Current, "Ann", "Lee"),
            name(NameKind::Former, "Ann", "Moss-Owen"),
        ],
        birth: BirthDate::parse("1992-03-07").expect("a date"),
        sex: None,
        identifiers: vec![
            Identifier::new(IdentifierKind::Nhs, "9990000018").expect("an identifier"),
        ],
        addresses: vec![
            Address::new(Some("3 Mill Lane"), Some("ZZ1 2AB"), None, None).expect("an address"),
        ],
    };
    Identity::new(parts).expect("an identity")
}

/// Messages as programs send them, each behind the byte that says which it is.
fn wires(ground: &Ground) -> Vec<Seed> {
    let at = Timestamp::from_second(1_800_000_000).expect("a time");
    let named = |reference: &str, byte| PersonIn {
        person: reference.parse().expect("a reference"),
        commitment: Commitment::from_bytes([byte; 32]),
    };
    let analysis = SaltedAnalysis { salt: [3; 32], text: "Missed three appointments".to_owned() };
    let statement = |id: &str, body| Statement {
        id: id.parse().expect("a name"),
        signer: ground.own.clone(),
        agreement: ground.agreement.digest(),
        enquiry: "e1".parse().expect("a reference"),
        made_at: at,
        made_by: Some("a.assessor".parse().expect("a name")),
        body,
    };
    let rating = statement(
        "s1",
        Body::Rating(Rating {
            person: named("P1", 1),
            colour: Colour::Red,
            analysis_digest: analysis.digest(),
            topics: [Topic::Substance].into(),
            rated_at: at,
            via: Some(named("P2", 2)),
            subject_is_child: true,
        }),
    );
    let (from, to) = (named("P2", 2), named("P1", 1));
    let link = statement("s2", Body::Link { from, to, kind: LinkKind::PosesRiskTo });
    let envelope = || Envelope {
        request_id: "q1".parse().expect("a name"),
        agreement: AgreementDigest::from_bytes([7; 32]),
        valid_until: at,
    };
    let round = RateQuery {
        envelope: envelope(),
        enquiry: "e1".parse().expect("a reference"),
        purpose: "child_safeguarding".to_owned(),
        answer_by: at,
        screen: "q0".parse().expect("a name"),
        people: vec![RatePerson {
            person: named("P1", 1),
            sealed_identity: vec![9; 80],
            handle: [4; 16],
            role: None,
            possible_match: false,
        }],
        linked: Vec::new(),
        links: Vec::new(),
        domestic_abuse: true,
    };
    let release = ReleaseQuery {
        envelope: envelope(),
        release: "r1".parse().expect("a reference"),
        enquiry: "e1".parse().expect("a reference"),
        people: vec![named("P1", 1), named("P2", 2)],
        subject: "P1".parse().expect("a reference"),
        category: "C33".parse().expect("a category"),
        recipients: vec![ground.own.clone()],
        purpose: "child_safeguarding".to_owned(),
        basis: LawfulBasis::complete(),
        requested_by: "hub.coordinator".parse().expect("a name"),
        evidence: vec![ground.signed(&rating), ground.signed(&link)],
    };
    let rated = PersonAnswer {
        person: "P1".parse().expect("a reference"),
        answer: Answer::Rated(RatedAnswer { signed: ground.signed(&rating), analysis }),
    };
    let screen = pb::ScreenRequest {
        request_id: "q1".to_owned(),
        agreement_digest: vec![7; 32],
        valid_until_unix_ms: at.as_millisecond(),
        epoch: 1,
        slots: vec![vec![5; 288]; 12],
        public_key: vec![6; 32],
        newest_epoch: 1,
    };
    let sealed =
        pb::SealedRelease { permit: Some((&ground.signed(&rating)).into()), sealed: vec![8; 64] };
    let receive = pb::ReceiveRequest {
        request_id: "q1".to_owned(),
        agreement_digest: vec![7; 32],
        valid_until_unix_ms: at.as_millisecond(),
        release: Some(sealed),
    };
    let deliver = pb::DeliverRequest {
        request_id: "q2".to_owned(),
        agreement_digest: vec![7; 32],
        enquiry: "e1".to_owned(),
        item: Some(pb::deliver_request::Item::Answer((&rated).into())),
    };
    [
        ("screen", 0, screen.encode_to_vec()),
        ("rate", 1, pb::RateRequest::from(&round).encode_to_vec()),
        ("release", 2, wire::release::encode(&release)),
        ("receive", 3, receive.encode_to_vec()),
        ("deliver", 4, deliver.encode_to_vec()),
        ("release-of-nothing", 2, Vec::new()),
        ("rating", 5, wire::statement::encode(&rating)),
        ("link", 5, wire::statement::encode(&link)),
        ("answer", 6, pb::PersonAnswer::from(&rated).encode_to_vec()),
        ("rate-response", 22, wire::padding::rate_response(vec![(&rated).into()]).encode_to_vec()),
    ]
    .into_iter()
    .map(|(name, which, bytes)| Seed {
        target: "wire",
        name: name.to_owned(),
        bytes: [&[which], bytes.as_slice()].concat(),
    })
    .collect()
}
