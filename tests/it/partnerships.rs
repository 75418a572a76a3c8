//! One process that is the police's node in two partnerships, with one store of records. Nothing crosses between them: not an
//! enquiry, a name, a rating, a budget, a caller, or an entry of the log.

use std::sync::Arc;

use brag_agency_node::{
    Config, Surroundings,
    config::RecordsConfig,
    enrol,
    partnerships::Partnerships,
    records::{ImportJob, import_for},
};
use brag_common::{
    audit::entry::{Action, Entry},
    config::ConfigPath,
    keyfile::{self, KeyKind},
    secret::SecretBytes,
    testing::TestCert,
    wire::pb::{self, AnswerStatus, Colour},
};
use brag_tests::{
    federation::{ANALYSIS, Federation, cell, contains, id, person_of},
    people::{Noise, Population},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::oneshot, task::JoinHandle};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// The agency that is a party of both.
const BOTH: &str = "POL";
/// How many people it has recorded.
const PEOPLE: usize = 60;

/// Two partnerships, and the process.
struct Stage {
    east: Federation,
    west: Federation,
    configs: Vec<Config>,
    stop: CancellationToken,
    running: Option<JoinHandle<anyhow::Result<()>>>,
    _records: TempDir,
}

async fn partnership(name: &'static str) -> Federation {
    let mut federation = Federation::builder()
        .nodes(&[BOTH])
        .silent(&["CSC", "DAS", "SMS"])
        .not_enrolled(BOTH)
        .agreement(move |document| document["agreement"]["id"] = toml_edit::value(name))
        .start()
        .await;
    federation.stop_node(BOTH).await;
    federation
}

impl Stage {
    /// Both, with everybody in the store of records that they share.
    async fn set(change: impl Fn(&mut Config)) -> Self {
        let (east, west) = (partnership("eastshire").await, partnership("westshire").await);
        let records = tempfile::tempdir().unwrap();
        let key = records.path().join("records.key");
        keyfile::write(&key, KeyKind::Store, &SecretBytes::random().unwrap()).unwrap();
        let apart = RecordsConfig {
            data: ConfigPath::new(records.path().join("records")),
            key: ConfigPath::new(key),
        };
        let configs: Vec<Config> = [&east, &west]
            .into_iter()
            .map(|federation| {
                let mut config = federation.node_settings(BOTH);
                config.records = Some(apart.clone());
                change(&mut config);
                config
            })
            .collect();
        let population = Population::generate(7, PEOPLE);
        let file = records.path().join("people.csv");
        let out = std::fs::File::create(&file).unwrap();
        population.write_rows(&id(BOTH), 0..PEOPLE, &Noise::NONE, out).unwrap();
        let job = ImportJob::load(vec![file]);
        let imported = import_for(configs.clone(), east.clock(), job).await.unwrap();
        assert!(imported.is_complete(), "{imported:?}");
        for config in &configs {
            let done = enrol::run(config.clone(), east.clock(), |_| ()).await.unwrap();
            assert_eq!(done.n_people, PEOPLE as u64);
        }
        let mut stage = Self {
            east,
            west,
            configs,
            stop: CancellationToken::new(),
            running: None,
            _records: records,
        };
        stage.serve().await;
        stage
    }

    async fn serve(&mut self) {
        let around = Surroundings::of_this_machine(self.east.clock());
        let nodes = Partnerships::build(self.configs.clone(), &around).await.unwrap();
        let (tell, told) = oneshot::channel();
        let running = nodes.run(self.stop.clone(), |served| _ = tell.send(served.len()));
        self.running = Some(tokio::spawn(running));
        assert_eq!(told.await.unwrap(), 2);
    }

    async fn finish(mut self) {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap().unwrap();
        for federation in [&self.east, &self.west] {
            let report = federation.reconcile();
            assert!(report.agrees(), "{report:?}");
        }
        self.east.finish().await;
        self.west.finish().await;
    }
}

async fn worklist(federation: &Federation) -> pb::WorklistResponse {
    federation.assessor(BOTH).worklist(pb::WorklistRequest {}).await.unwrap().into_inner()
}

fn count(log: &[Entry], action: Action) -> usize {
    log.iter().filter(|entry| entry.action == action).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enquiry_of_one_partnership_is_unknown_to_the_other_though_both_know_the_person() {
    let stage = Stage::set(|_| ()).await;
    let (east, west) = (&stage.east, &stage.west);
    let person = person_of(1);
    let asked = east.open(&[("p1", &person)]).await;
    east.until_status(&asked, BOTH, "p1", AnswerStatus::Pending).await;
    let before = west.log_of(BOTH).len();
    assert!(worklist(west).await.ratings.is_empty());
    // Whoever rates for one rates nothing for the other, even by the enquiry's own name.
    let status = west.try_rate(BOTH, &asked, "p1", Colour::Amber, None).await.unwrap_err();
    assert!(!status.message().contains(&asked.name), "{status}");
    east.rate(BOTH, &asked, "p1", Colour::Amber).await;
    east.until_status(&asked, BOTH, "p1", AnswerStatus::Rated).await;
    let west_log = west.log_of(BOTH);
    let of_it = |entry: &Entry| {
        let enquiry = entry.enquiry.as_ref();
        enquiry.is_some_and(|enquiry| enquiry.as_str() == asked.name)
    };
    assert!(!west_log[..before].iter().any(of_it));
    assert_eq!(
        (count(&west_log, Action::RatingGiven), count(&west_log, Action::ScreenAnswered)),
        (0, 0)
    );
    for folder in ["nodes", "hub"] {
        let bytes = west.bytes_below(folder);
        for text in [asked.name.as_str(), asked.person("p1").as_str(), ANALYSIS] {
            assert!(!contains(&bytes, text), "{folder} of the other partnership has {text}");
        }
    }

    // The other one asks about the same person: found by the same record, and rated anew.
    let also = west.open(&[("p1", &person)]).await;
    west.until_status(&also, BOTH, "p1", AnswerStatus::Pending).await;
    west.until_asked(BOTH, &also, "p1").await;
    let list = worklist(west).await.ratings;
    assert!(list.iter().all(|work| work.enquiry == also.name) && list.len() == 1, "{list:?}");
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_import_loads_both_find_and_each_log_says_so() {
    let stage = Stage::set(|_| ()).await;
    for federation in [&stage.east, &stage.west] {
        let log = federation.log_of(BOTH);
        let loaded: Vec<_> =
            log.iter().filter(|entry| entry.action == Action::RecordsImported).collect();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].count, Some(PEOPLE as u64));
    }
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hub_and_staff_of_one_partnership_are_strangers_at_the_port_of_the_other() {
    let stage = Stage::set(|_| ()).await;
    let (east, west) = (&stage.east, &stage.west);
    let hub = |of: &Federation| of.partnership().ca().hub();
    let staff = |of: &Federation| of.person("pol.assessor");
    for own in [hub(west), staff(west)] {
        assert!(is_let_in(west, &own).await, "it is the node's own partnership");
    }
    let before = west.log_of(BOTH).len();
    for stranger in [hub(east), staff(east)] {
        assert!(!is_let_in(west, &stranger).await, "a stranger was let in");
    }
    // Strangers do not write the log.
    assert_eq!(west.log_of(BOTH).len(), before);
    stage.finish().await;
}

/// Whether the node of a partnership speaks to whoever shows this certificate, who trusts the node whatever it shows.
async fn is_let_in(at: &Federation, shown: &TestCert) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    let root = at.partnership().ca().root_pem();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let chain = vec![CertificateDer::from(shown.der.clone())];
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(at.node_address(BOTH)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let Ok(mut tls) = TlsConnector::from(Arc::new(config)).connect(name, tcp).await else {
        return false;
    };
    // Whoever is let in hears the settings of HTTP/2 first; whoever is not hears an alert.
    let mut first = [0; 1];
    matches!(tls.read(&mut first).await, Ok(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_one_hub_has_used_up_is_whole_for_the_other() {
    let stage = Stage::set(|config| config.budget.screenings_per_hour = 1).await;
    let (east, west) = (&stage.east, &stage.west);
    let person = person_of(0);
    let first = east.open(&[("p1", &person)]).await;
    east.until_status(&first, BOTH, "p1", AnswerStatus::Pending).await;
    let second = east.open(&[("p1", &person)]).await;
    let spent = |show: &pb::ShowResponse| {
        cell(show, BOTH, &show.people[0].person).reason == "BUDGET_EXCEEDED"
    };
    east.until(&second, "the budget is spent", spent).await;
    let other = west.open(&[("p1", &person)]).await;
    west.until_status(&other, BOTH, "p1", AnswerStatus::Pending).await;
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_share_a_key_or_a_folder_or_a_partnership_are_refused() {
    use brag_agency_node::partnerships::nothing_in_common;
    let mut stage = Stage::set(|_| ()).await;
    stage.stop.cancel();
    stage.running.take().unwrap().await.unwrap().unwrap();
    let (one, other) = (stage.configs[0].clone(), stage.configs[1].clone());
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut other = other.clone();
        change(&mut other);
        let named = [("one.toml".as_ref(), &one), ("other.toml".as_ref(), &other)];
        nothing_in_common(&named).unwrap_err().to_string()
    };
    let said = refused(&|other| other.data = ConfigPath::new(one.data.as_path().join("within")));
    assert!(said.starts_with("`one.toml` and `other.toml` have the same `data`"), "{said}");
    let said = refused(&|other| other.keys.statements = one.keys.statements.clone());
    assert!(said.contains("key `statements`") && said.contains("agency-node init"), "{said}");
    let said = refused(&|other| other.listen = one.listen);
    assert!(said.contains("`listen`") && said.contains("a port of its own"), "{said}");

    // Another folder and other keys do not make it another partnership.
    let around = Surroundings::of_this_machine(stage.east.clock());
    let twice = vec![one.clone(), stage.east.node_settings("SMS")];
    let error = Partnerships::build(twice, &around).await.unwrap_err();
    assert!(format!("{error:#}").contains("of one partnership"), "{error:#}");
    stage.running = Some(tokio::spawn(async { Ok(()) }));
    stage.finish().await;
}
