//! A hub that has turned bad: it has the real hub's certificate and everything the real hub keeps, and calls a real
//! node over real TLS. It colludes with nobody unless a test signs with an agency's key.

use std::collections::BTreeMap;

use brag_common::{
    agreement::LinkKind,
    enquiry::{Envelope, RatePerson, RateQuery, ReleaseQuery},
    id::{AgencyId, AgreementDigest, Commitment, EnquiryRef, PersonRef, RequestId},
    keys::SigningKey,
    matching::identity::{CanonicalIdentity, commit},
    rating::{Colour, SaltedAnalysis, Topic},
    release::SealedFor,
    seal::{Binding, SealingPublicKey},
    secret::random_bytes,
    statement::{
        Body, DecidedOutcome, PersonIn, Rating, Realm, ReleaseDecision, SignedStatement, Statement,
    },
    time::{SignedDuration, Timestamp},
    wire::{pb, release::to_lawful_basis, statement::decode},
};
use brag_hub::{
    round::{envelope, in_enquiry},
    screening::{Asked, Screening},
    store::shapes::PersonRecord,
};
use brag_tests::federation::{
    ANALYSIS, Builder, Enquiry, Federation, Holding, NodeClient, fresh, id, lawful_basis, person_of,
};
use tonic::Status;

/// What the holder keeps, sealed; it must turn up nowhere else.
pub const MARKER: &str = "MARKER-c33-of-the-holder";

/// The holder in every scene.
pub const HOLDER: &str = "SMS";

/// One enquiry about P1, whom the holder knows and has been asked about, and P2, whom it does not know.
pub struct Scene {
    pub federation: Federation,
    pub enquiry: Enquiry,
    pub hub: NodeClient,
    people: BTreeMap<String, PersonRecord>,
}

impl Scene {
    pub async fn new() -> Self {
        Self::under(|_| {}).await
    }

    /// A scene whose secrets last so long.
    pub async fn with_epoch(length: &str) -> Self {
        Self::of(Federation::builder().epoch(length)).await
    }

    /// A scene under a changed agreement.
    pub async fn under(change: impl FnOnce(&mut toml_edit::DocumentMut) + 'static) -> Self {
        Self::of(Federation::builder().agreement(change)).await
    }

    async fn of(builder: Builder) -> Self {
        let (known, unknown) = (person_of(0), person_of(1));
        let federation = builder
            .nodes(&[HOLDER])
            .silent(&["POL", "CSC", "DAS"])
            .holds(HOLDER, Holding::of(known.clone()).entry("C33", MARKER))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &known), ("P2", &unknown)]).await;
        federation.until_asked(HOLDER, &enquiry, "P1").await;
        let name = enquiry.name.parse().unwrap();
        let record = federation.inside_hub().store.enquiry(&name).unwrap().unwrap();
        let people = record.people.into_iter().map(|p| (p.label.clone(), p)).collect();
        let hub = federation.as_hub(HOLDER);
        Self { federation, enquiry, hub, people }
    }

    pub fn name(&self) -> EnquiryRef {
        id(&self.enquiry.name)
    }

    pub fn record(&self, label: &str) -> &PersonRecord {
        &self.people[label]
    }

    pub fn person(&self, label: &str) -> PersonIn {
        in_enquiry(self.record(label))
    }

    pub fn realm(&self) -> &Realm {
        self.federation.realm()
    }

    /// An agency's real key: with it, the agency colludes or has spoken in good faith.
    pub fn key(&self, agency: &str) -> SigningKey {
        self.federation.partnership().signing_key(&id(agency)).unwrap()
    }

    /// The key with which the hub signed the agreement.
    pub fn hub_key(&self) -> SigningKey {
        let path = self.federation.partnership().hub_folder().join("keys/statements.key");
        brag_common::keyfile::read_signing_key(&path).unwrap()
    }

    pub fn ago(&self, length: SignedDuration) -> Timestamp {
        self.federation.now().checked_sub(length).unwrap()
    }

    /// A statement that names `signer`, not yet signed.
    pub fn statement(&self, signer: &str, body: Body) -> Statement {
        Statement {
            id: RequestId::from_random(random_bytes().unwrap()),
            signer: id(signer),
            agreement: self.realm().agreement,
            enquiry: self.name(),
            made_at: self.federation.now(),
            made_by: Some("a.assessor".parse().unwrap()),
            body,
        }
    }

    pub fn sign(&self, statement: &Statement, key: &SigningKey) -> SignedStatement {
        let realm = Realm { agreement: statement.agreement, ..self.realm().clone() };
        SignedStatement::sign(statement, &realm, key)
    }

    /// A rating by an agency with its real key.
    pub fn rated(
        &self,
        agency: &str,
        person: PersonIn,
        colour: Colour,
        at: Timestamp,
    ) -> SignedStatement {
        self.sign(&self.statement(agency, rating(person, colour, at)), &self.key(agency))
    }

    /// A genuine Red of an agency, given just now.
    pub fn red(&self, agency: &str, label: &str) -> SignedStatement {
        self.rated(agency, self.person(label), Colour::Red, self.federation.now())
    }

    pub fn envelope(&self) -> Envelope {
        envelope(&self.federation.inside_hub(), std::time::Duration::from_secs(10)).unwrap()
    }

    /// A request for the holder's C33 about P1 for CSC, with this evidence.
    pub fn release(&self, evidence: &[SignedStatement]) -> pb::ReleaseRequest {
        (&ReleaseQuery {
            envelope: self.envelope(),
            release: id(&fresh()),
            enquiry: self.name(),
            people: vec![self.person("P1"), self.person("P2")],
            subject: self.person("P1").person,
            category: id("C33"),
            recipients: vec![id("CSC")],
            purpose: "domestic_abuse_safety".to_owned(),
            basis: to_lawful_basis(lawful_basis()).unwrap(),
            requested_by: id("hub.coordinator"),
            evidence: evidence.to_vec(),
        })
            .into()
    }

    /// What the holder decides on a request.
    pub async fn ask(&self, request: pb::ReleaseRequest) -> Result<DecidedOutcome, Status> {
        let response = self.hub.clone().release(request).await?.into_inner();
        let signed = response.decisions[0].decision.as_ref().unwrap();
        let Body::Release(decision) = decode(&signed.payload).unwrap().body else {
            panic!("not a decision")
        };
        Ok(decision.outcome)
    }

    /// What the holder decides on a request with this evidence.
    pub async fn decide(&self, evidence: &[SignedStatement]) -> DecidedOutcome {
        self.ask(self.release(evidence)).await.unwrap()
    }

    /// The holder refused for this reason, says so in its log, and sealed nothing.
    pub async fn end_with_refusal(self, outcome: DecidedOutcome, code: &str) {
        let DecidedOutcome::Deny(reason) = outcome else { panic!("not refused: {outcome:?}") };
        assert_eq!(reason.code(), code);
        let log = self.federation.log_of(HOLDER);
        assert!(log.iter().any(|entry| entry.reason == Some(reason)), "the refusal is recorded");
        self.end_with_nothing_sealed().await;
    }

    pub async fn end_with_nothing_sealed(self) {
        let sealed = |entry: &brag_common::audit::Entry| entry.action.word() == "detail_sealed";
        assert!(!self.federation.log_of(HOLDER).iter().any(sealed));
        self.federation.finish().await;
    }

    /// The public key that the holder enrolled under.
    pub async fn public_key(&self) -> Vec<u8> {
        let inside = self.federation.inside_hub();
        let agency: AgencyId = id(HOLDER);
        let screening = Screening::prepare(&inside, &agency, self.envelope(), &[]).await.unwrap();
        screening.unwrap().request().public_key
    }

    /// A screening of one person as the real hub does it: what travelled, and what it comes to.
    pub async fn screen_raw(&self, label: &str) -> (Vec<Vec<u8>>, (RequestId, Asked)) {
        let inside = self.federation.inside_hub();
        let agency: AgencyId = id(HOLDER);
        let (envelope, record) = (self.envelope(), self.record(label));
        let request = envelope.request_id.clone();
        let screening =
            Screening::prepare(&inside, &agency, envelope, &[record]).await.unwrap().unwrap();
        let answer = self.hub.clone().screen(screening.request()).await.unwrap().into_inner();
        let asked = screening.weigh(&inside, &agency, &answer.answers).await.unwrap();
        (answer.answers, (request, asked[&record.person]))
    }

    /// A screening of one person: the request's id, and the handle the node answered.
    pub async fn screen(&self, label: &str) -> (RequestId, Asked) {
        self.screen_raw(label).await.1
    }

    /// A round about P1 in another enquiry: `disclosed` is the identity that is sealed, under the commitment to `label`.
    pub fn round(
        &self,
        enquiry: &EnquiryRef,
        screen: &RequestId,
        handle: [u8; 16],
        disclosed: &str,
    ) -> pb::RateRequest {
        let (record, person) = (self.record(disclosed), self.person("P1"));
        let inside = self.federation.inside(HOLDER);
        let binding = Binding::identity(&[
            self.realm().agreement.as_bytes(),
            enquiry.as_str().as_bytes(),
            person.person.as_str().as_bytes(),
            person.commitment.as_bytes(),
            HOLDER.as_bytes(),
        ]);
        let text = [&record.salt[..], &record.identity].concat();
        let sealed = inside.sealing.public_key().unwrap().seal(&binding, &text).unwrap();
        (&RateQuery {
            envelope: self.envelope(),
            enquiry: enquiry.clone(),
            purpose: "domestic_abuse_safety".to_owned(),
            answer_by: self.federation.now().checked_add(SignedDuration::from_hours(1)).unwrap(),
            screen: screen.clone(),
            people: vec![RatePerson {
                person,
                sealed_identity: sealed,
                handle,
                role: None,
                possible_match: false,
            }],
            linked: Vec::new(),
            links: Vec::new(),
            domestic_abuse: false,
        })
            .into()
    }

    /// Whether the holder keeps anything of an enquiry.
    pub fn is_kept(&self, enquiry: &EnquiryRef) -> bool {
        let store = &self.federation.inside(HOLDER).store;
        store.enquiry(enquiry).unwrap().is_some()
            || !store.people_in(enquiry).unwrap().is_empty()
            || !store.statements(enquiry).unwrap().is_empty()
    }
}

/// The analysis of every rating of a scene.
pub fn analysis() -> SaltedAnalysis {
    SaltedAnalysis { salt: [1; 32], text: ANALYSIS.to_owned() }
}

/// The body of a rating.
pub fn rating(person: PersonIn, colour: Colour, rated_at: Timestamp) -> Body {
    Body::Rating(Rating {
        person,
        colour,
        analysis_digest: analysis().digest(),
        topics: [Topic::Substance].into(),
        rated_at,
        via: None,
        subject_is_child: false,
    })
}

/// The body of a link by which `from` poses risk to `to`.
pub fn link(from: PersonIn, to: PersonIn) -> Body {
    Body::Link { from, to, kind: LinkKind::PosesRiskTo }
}

/// Somebody's reference with a commitment to another identity.
pub fn swapped(person: &PersonRef, canonical: &[u8]) -> PersonIn {
    CanonicalIdentity::decode(canonical).unwrap();
    PersonIn { person: person.clone(), commitment: commit(&[7; 32], canonical) }
}

/// The digest of no agreement.
pub fn other_agreement() -> AgreementDigest {
    AgreementDigest::from_bytes([9; 32])
}

/// Detail that a holder seals to a key, and the decision that names `recipient` as whom it is for.
pub fn parcel(
    realm: &Realm,
    enquiry: &EnquiryRef,
    (holder, recipient): (&str, &str),
    key: &SealingPublicKey,
    (text, until): (&str, Timestamp),
) -> (Body, Vec<u8>) {
    let person = PersonIn { person: id("P1"), commitment: Commitment::from_bytes([5; 32]) };
    let Body::Release(mut decision) = permit(person, recipient, &[], until) else { panic!() };
    let binding = brag_common::release::binding(&SealedFor {
        agreement: realm.agreement,
        enquiry,
        person: &decision.person.person,
        category: decision.category,
        holder: &id(holder),
        recipient: &id(recipient),
        release: &decision.release,
        expires: until,
    });
    let sealed = key.seal(&binding, text.as_bytes()).unwrap();
    if let DecidedOutcome::Release { sealed_digest, .. } = &mut decision.outcome {
        *sealed_digest = Some(*brag_common::audit::Digest::of(&sealed).as_bytes());
    }
    (Body::Release(decision), sealed)
}

/// A holder's decision that releases `sealed` to a recipient.
pub fn permit(person: PersonIn, recipient: &str, sealed: &[u8], until: Timestamp) -> Body {
    Body::Release(ReleaseDecision {
        release: id(&fresh()),
        person,
        category: id("C10"),
        recipient: id(recipient),
        outcome: DecidedOutcome::Release {
            gate: "g3".to_owned(),
            obligations: vec!["NO_ONWARD".to_owned()],
            view_expires_at: until,
            sealed_digest: Some(*brag_common::audit::Digest::of(sealed).as_bytes()),
        },
    })
}
