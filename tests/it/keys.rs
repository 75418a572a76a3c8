//! Keys are changed or revoked while everybody works: what was signed with a former key stays good for its time, what was
//! sealed to one still opens, and a stolen one proves nothing new.

use brag_common::{
    keyfile::{self, KeyKind},
    keys::SigningKey,
    rating::Colour as Judged,
    seal::SealingKey,
    statement::{Body, PersonIn, Rating, SignedStatement, Statement},
    status::code_of,
    store_key,
    time::{SignedDuration, Timestamp},
    wire::pb::{self, AnswerStatus, Colour, Decision, ReleaseView},
};
use brag_tests::{
    federation::{Enquiry, Federation, Holding, cell, eventually, fresh, id, person_of},
    partnership::Partnership,
};
use toml_edit::{ArrayOfTables, Datetime, DocumentMut, Item, Table, value};
use tonic::Status;

use crate::scene::analysis;

const NODES: [&str; 3] = ["SMS", "CSC", "POL"];

/// What CSC holds about P1.
const HISTORY: &str = "Two child protection plans since 2019";

/// SMS, CSC and POL know P1 and have been asked; CSC and POL hold detail about P1.
struct Stage {
    federation: Federation,
    enquiry: Enquiry,
}

impl Stage {
    async fn new() -> Self {
        let person = person_of(0);
        let federation = Federation::builder()
            .nodes(&NODES)
            .holds("SMS", Holding::of(person.clone()))
            .holds("CSC", Holding::of(person.clone()).entry("C24", HISTORY))
            .holds("POL", Holding::of(person.clone()).entry("C24", "Call-outs since May"))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in NODES {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    async fn rate(&self, agency: &str, colour: Colour) {
        self.federation.try_rate(agency, &self.enquiry, "P1", colour, None).await.unwrap();
        let person = self.enquiry.person("P1");
        let what = "the rating has come";
        let rated = |show: &pb::ShowResponse| cell(show, agency, &person).colour() == colour;
        self.federation.until(&self.enquiry, what, rated).await;
    }

    async fn ask(&self, holder: &str, recipient: &str) -> ReleaseView {
        let to = [recipient];
        let asked = self.federation.ask_detail(&self.enquiry, holder, "P1", "C24", &to).await;
        asked.unwrap().remove(0)
    }

    /// A key that follows SMS's signing key.
    fn new_signing_key(&self) -> SigningKey {
        let key = SigningKey::generate().unwrap();
        let first = self.federation.keys_of("SMS").join("statements.key");
        keyfile::write_signing_key(&keyfile::next_in_ring(&first).unwrap(), &key).unwrap();
        key
    }

    /// SMS's newest rating as the hub keeps it.
    fn newest(&self) -> (Statement, SignedStatement) {
        let kept = self.federation.inside_hub().store.statements(&id(&self.enquiry.name)).unwrap();
        let read =
            kept.into_iter().map(|kept| (kept.signed.read_unverified().unwrap(), kept.signed));
        read.filter(|(statement, _)| statement.signer.as_str() == "SMS")
            .max_by_key(|(statement, _)| statement.made_at)
            .unwrap()
    }

    /// What the hub says to a Red that SMS delivers, made at a time under a version and signed with a key.
    async fn deliver(
        &self,
        version: u32,
        made_at: Timestamp,
        key: &SigningKey,
    ) -> Result<(), Status> {
        let (genuine, _) = self.newest();
        let Body::Rating(Rating { person, .. }) = genuine.body else { panic!("a rating") };
        let (realm, digest) = {
            let hub = self.federation.inside_hub();
            let former = hub.agreement.former().find(|f| f.agreement().version() == version);
            let digest = former.map_or_else(|| hub.agreement.digest(), |former| former.digest());
            (brag_common::statement::Realm { agreement: digest, ..hub.realm.clone() }, digest)
        };
        let statement = Statement {
            id: id(&fresh()),
            signer: id("SMS"),
            agreement: digest,
            enquiry: id(&self.enquiry.name),
            made_at,
            made_by: Some(id("sms.assessor")),
            body: rating(person, made_at),
        };
        let signed = SignedStatement::sign(&statement, &realm, key);
        let mut answer = pb::PersonAnswer {
            person: self.enquiry.person("P1"),
            rating: Some((&signed).into()),
            analysis: analysis().text,
            analysis_salt: analysis().salt.to_vec(),
            ..pb::PersonAnswer::default()
        };
        answer.set_status(AnswerStatus::Rated);
        let request = pb::DeliverRequest {
            request_id: fresh(),
            agreement_digest: digest.as_bytes().to_vec(),
            enquiry: self.enquiry.name.clone(),
            item: Some(pb::deliver_request::Item::Answer(answer)),
        };
        self.federation.as_node("SMS").deliver(request).await.map(|_| ())
    }

    async fn deliver_refused(&self, version: u32, made_at: Timestamp, key: &SigningKey) {
        let refused = self.deliver(version, made_at, key).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("statement_refused"), "{refused:?}");
    }
}

fn rating(person: PersonIn, rated_at: Timestamp) -> Body {
    crate::scene::rating(person, Judged::Red, rated_at)
}

fn with_signing_key(document: &mut DocumentMut, agency: &str, key: &SigningKey) {
    let party = Partnership::party_in(document, agency);
    party["keys"]["signing"] = value(key.verifying_key().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_signing_key_takes_over_without_a_stop_and_what_the_former_signed_counts_for_its_time()
 {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    stage.rate("SMS", Colour::Red).await;
    let former = federation.partnership().signing_key(&id("SMS")).unwrap();
    let before = federation.now();
    federation.advance(SignedDuration::from_mins(1));
    let key = stage.new_signing_key();
    let next = federation.amended(|document| with_signing_key(document, "SMS", &key));
    federation.install_everywhere(&NODES, &next).await;
    // The Red of a minute ago was signed with the former key.
    let released = stage.ask("CSC", "POL").await;
    assert_eq!((released.decision(), released.gate.as_str()), (Decision::Release, "g3"));

    federation.advance(SignedDuration::from_mins(1));
    stage.rate("SMS", Colour::Amber).await;
    let (statement, signed) = stage.newest();
    let realm = federation.inside("SMS").realm.clone();
    let by = |key: &SigningKey| {
        signed.verify(&realm, &statement.enquiry, |_| Some(key.verifying_key())).is_ok()
    };
    assert!(by(&key) && !by(&former));
    // The former key signs nothing any more: neither under the version that replaced it, nor under its own.
    stage.deliver_refused(4, federation.now(), &former).await;
    stage.deliver_refused(3, federation.now(), &former).await;
    // Under its own and with a date of its own time it is believed: that is what revoking is for.
    stage.deliver(3, before, &former).await.unwrap();
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_proves_nothing_new_whatever_date_is_written_under_it() {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    stage.rate("SMS", Colour::Red).await;
    assert_eq!(stage.ask("CSC", "POL").await.decision(), Decision::Release);
    let stolen = federation.partnership().signing_key(&id("SMS")).unwrap();
    let before = federation.now();
    federation.advance(SignedDuration::from_mins(1));
    let key = stage.new_signing_key();
    let next = federation.amended(|document| {
        with_signing_key(document, "SMS", &key);
        let mut entry = Table::new();
        entry.insert("key", value(stolen.verifying_key().to_string()));
        entry.insert("revoked_at", value("2027-02-09T09:00:30Z".parse::<Datetime>().unwrap()));
        entry.insert("reason", value("laptop stolen"));
        document.insert("revoked", Item::ArrayOfTables(ArrayOfTables::from_iter([entry])));
    });
    federation.install_everywhere(&NODES, &next).await;
    for made_at in [before, federation.now()] {
        stage.deliver_refused(3, made_at, &stolen).await;
        stage.deliver_refused(4, made_at, &stolen).await;
    }
    // CSC had the Red before, so to CSC it is no news; POL never had it, and it could be anybody's.
    assert_eq!(stage.ask("CSC", "POL").await.decision(), Decision::Release);
    assert_eq!(stage.ask("POL", "CSC").await.decision(), Decision::Deny);
    stage.rate("SMS", Colour::Amber).await;
    federation.advance(SignedDuration::from_mins(1));
    stage.rate("SMS", Colour::Red).await;
    let released = stage.ask("POL", "CSC").await;
    assert_eq!((released.decision(), released.gate.as_str()), (Decision::Release, "g3"));
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_that_was_sealed_to_a_former_key_opens_when_it_arrives_after_the_change() {
    let mut stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    stage.federation.stop_node("POL").await;
    let early = stage.ask("CSC", "POL").await;
    assert_eq!(early.decision(), Decision::Release);
    stage.federation.advance(SignedDuration::from_mins(1));
    let key = SealingKey::generate().unwrap();
    let first = stage.federation.keys_of("POL").join("sealing.key");
    keyfile::write(&keyfile::next_in_ring(&first).unwrap(), KeyKind::Sealing, key.secret())
        .unwrap();
    let next = stage.federation.amended(|document| {
        let party = Partnership::party_in(document, "POL");
        party["keys"]["sealing"] = value(key.public_key().unwrap().to_string());
    });
    stage.federation.install_everywhere(&["SMS", "CSC"], &next).await;
    stage.federation.try_install("POL", &next).unwrap();
    stage.federation.start_node("POL").await;
    let named = stage.federation.inside("POL").sealing.public_key().unwrap();
    assert_eq!(named, key.public_key().unwrap());
    let late = stage.ask("CSC", "POL").await;
    let mut desk = stage.federation.assessor("POL");
    for release in [early, late] {
        let text = eventually("the detail opens", async || {
            let request = pb::OpenDetailRequest {
                release: release.release.clone(),
                obligations_accepted: true,
            };
            Some(desk.open_detail(request).await.ok()?.into_inner().text)
        })
        .await;
        assert_eq!(text, HISTORY);
    }
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_file_of_a_store_is_exchanged_while_the_node_runs_and_the_former_one_opens_nothing()
{
    let mut stage = Stage::new().await;
    let config = stage.federation.node_settings("SMS");
    let (data, key) = (config.data.as_path(), config.keys.store.as_path());
    let rotated = store_key::rotate(data, key).unwrap();
    stage.rate("SMS", Colour::Red).await;
    stage.federation.stop_node("SMS").await;
    std::fs::remove_file(key).unwrap();
    stage.federation.start_node("SMS").await;
    let kept = stage.federation.inside("SMS").store.statements(&id(&stage.enquiry.name)).unwrap();
    assert_eq!(kept.len(), 1);
    stage.federation.stop_node("SMS").await;
    // With the former file in place of the new one nothing opens.
    std::fs::rename(&rotated.path, rotated.path.with_extension("away")).unwrap();
    keyfile::write(key, KeyKind::Store, &brag_common::secret::SecretBytes::random().unwrap())
        .unwrap();
    assert!(store_key::open(data, key).is_err());
    std::fs::rename(rotated.path.with_extension("away"), &rotated.path).unwrap();
    stage.federation.start_node("SMS").await;
    stage.federation.finish().await;
}
