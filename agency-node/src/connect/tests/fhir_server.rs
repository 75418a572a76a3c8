//! A search of a FHIR server over real TLS.

use std::{collections::HashMap, net::SocketAddr};

use brag_common::testing::TestCa;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Handle,
};

use super::*;
use crate::connect::{config::FhirConfig, fhir::Search};

/// What the server answers to a path with its query, and what it was asked.
#[derive(Default)]
struct Answers {
    by_path: Mutex<HashMap<String, (u16, Value)>>,
    asked: Mutex<Vec<String>>,
}

struct Server {
    dir: tempfile::TempDir,
    address: SocketAddr,
    answers: Arc<Answers>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = TestCa::new("exampleshire".parse().unwrap());
        let files = ca.hub().write(&ca, dir.path(), "server");
        let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(&files.private_key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Answers::default());
        let shared = Arc::clone(&answers);
        let serving = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let token = head.to_ascii_lowercase().contains("authorization: bearer s3cret\r\n");
                shared.asked.lock().unwrap().push(path.clone());
                let found = shared.by_path.lock().unwrap().get(&path).cloned();
                let empty = (200, json!({ "resourceType": "Bundle", "type": "searchset" }));
                let (status, body) = match found {
                    _ if !token => (401, json!({ "resourceType": "OperationOutcome" })),
                    Some(found) => found,
                    None => empty,
                };
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/fhir+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        let token = dir.path().join("token");
        fs::write(&token, "s3cret\n").unwrap();
        fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { dir, address, answers, serving }
    }

    fn config(&self) -> FhirConfig {
        let text = format!(
            "base = \"https://localhost:{}/fhir\"\ntoken_file = \"{dir}/token\"\nroots = \"{dir}/ca.pem\"\nresources = [\"Patient\", \"Encounter\"]\npage = 2\n",
            self.address.port(),
            dir = self.dir.path().display(),
        );
        toml::from_str(&text).unwrap()
    }

    fn answer(&self, path: &str, status: u16, body: Value) {
        self.answers.by_path.lock().unwrap().insert(path.to_owned(), (status, body));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.answers.asked.lock().unwrap())
    }

    fn page(&self, resources: &[Value], next: Option<&str>) -> Value {
        let entries: Vec<Value> = resources
            .iter()
            .map(|one| json!({ "resource": one, "search": { "mode": "match" } }))
            .collect();
        let mut links = vec![json!({ "relation": "self", "url": "https://localhost/fhir" })];
        links.extend(next.map(|next| json!({ "relation": "next", "url": next })));
        json!({ "resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries })
    }
}

fn patient(id: &str, updated: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "meta": { "lastUpdated": updated, "security": [{ "code": "N" }] },
        "name": [{ "use": "official", "family": "Pell", "given": ["Theo"] }],
        "birthDate": "2016-03-04", "gender": "male",
        "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765919" }],
    })
}

fn encounter(id: &str, of: &str, updated: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "meta": { "lastUpdated": updated }, "status": "finished",
        "class": { "code": "EMER", "display": "emergency" }, "period": { "start": "2026-05-01T10:00:00Z" },
        "subject": { "reference": format!("Patient/{of}") },
    })
}

fn open(ground: &Ground, config: &FhirConfig, handle: &Handle) -> Result<Search, SourceFailure> {
    let waiting = Waiting { handle: handle.clone(), stop: CancellationToken::new() };
    let mapping = mapping::Mapping::fhir_r4(None).unwrap();
    let state = ground.state();
    let mark = |kind: &str| state.marks.get(kind).cloned();
    Search::open(config, mapping, options(), &ground.shared_clock(), waiting, &mark)
}

const FIRST: &str = "/fhir/Patient?_sort=_lastUpdated&_count=2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_followed_and_a_killed_run_goes_on_behind_the_last_page() {
    let (server, handle) = (Server::start().await, Handle::current());
    let next = format!("https://LOCALHOST:{}/fhir?page=2", server.address.port());
    let one = [patient("p1", "2026-05-01T10:00:00Z"), patient("p2", "2026-05-01T11:00:00Z")];
    server.answer(FIRST, 200, server.page(&one, Some(&next)));
    let outcome = json!({ "resourceType": "OperationOutcome" });
    server.answer(
        "/fhir?page=2",
        200,
        server.page(&[patient("p3", "2026-05-01T12:00:00.5Z"), outcome], Some("/fhir?page=3")),
    );
    server.answer("/fhir?page=3", 200, server.page(&[], None));
    let at = "/fhir/Encounter?_sort=_lastUpdated&_count=2";
    let encounters = [
        encounter("e1", "p3", "2026-05-02T10:00:00Z"),
        encounter("e2", "nobody", "2026-05-01T10:00:00Z"),
    ];
    server.answer(at, 200, server.page(&encounters, None));
    let work = tokio::task::spawn_blocking(move || {
        let ground = Ground::new();
        let config = server.config();
        let source = open(&ground, &config, &handle).unwrap();
        ground.bring(&mut Cut { source, after: 1 }).1.unwrap_err();
        assert_eq!(ground.state().marks["Patient"], "2026-05-01T11:00:00Z");
        server.asked();

        let since = format!("{FIRST}&_lastUpdated=ge2026-05-01T10:55:00Z");
        let rest = [patient("p2", "2026-05-01T11:00:00Z")];
        server.answer(&since, 200, server.page(&rest, Some(&next)));
        let (report, done) = ground.bring(&mut open(&ground, &config, &handle).unwrap());
        done.unwrap();
        assert_eq!(server.asked(), [since.as_str(), "/fhir?page=2", "/fhir?page=3", at]);
        assert_eq!(
            (report.rows.new, report.rows.unchanged, report.rows.rejected),
            (2, 1, 1),
            "{report:?}"
        );
        assert_eq!((report.passed_over, ground.n_people()), (1, 3));
        assert_eq!(ground.told(), [2, 2]);
        // Encounters did not come in order: the newest counts, once all are there.
        assert_eq!(ground.state().marks["Encounter"], "2026-05-02T10:00:00Z");
        assert_eq!(ground.state().marks["Patient"], "2026-05-01T12:00:00.5Z");
    });
    work.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_leads_elsewhere_in_circles_or_says_something_else_is_not_followed() {
    let (server, handle) = (Server::start().await, Handle::current());
    let own = format!("https://localhost:{}{FIRST}", server.address.port());
    let other_port =
        format!("https://localhost:{}/fhir?page=2", server.address.port().wrapping_add(1));
    let cases = [
        (200, server.page(&[], Some("https://elsewhere.example/fhir?page=2")), "another server"),
        (200, server.page(&[], Some(&other_port)), "another server"),
        (200, server.page(&[], Some("http://localhost/fhir?page=2")), "not an address of https"),
        (200, server.page(&[], Some(&own)), "in a circle"),
        (200, json!({ "resourceType": "Patient", "id": "MARKER" }), "something else than a Bundle"),
        (
            200,
            json!({ "resourceType": "Bundle", "entry": "MARKER" }),
            "something else than a Bundle",
        ),
        (503, json!({}), "status 503"),
        (403, json!({}), "refused the token"),
        (302, json!({}), "status 302"),
    ];
    let work = tokio::task::spawn_blocking(move || {
        let ground = Ground::new();
        for (status, body, words) in cases {
            server.answer(FIRST, status, body);
            let (report, failed) =
                ground.bring(&mut open(&ground, &server.config(), &handle).unwrap());
            let failed = failed.unwrap_err().to_string();
            assert!(failed.contains(words) && !failed.contains("MARKER"), "{failed}");
            assert_eq!(report.failure, Some(failed));
        }
        let config = FhirConfig { token_file: None, ..server.config() };
        let failed = ground.bring(&mut open(&ground, &config, &handle).unwrap()).1.unwrap_err();
        assert!(failed.to_string().contains("401"), "{failed}");
        // A larger page than is taken is not held.
        let long = json!({ "resourceType": "Bundle", "x": "y".repeat(17 * 1024 * 1024) });
        server.answer(FIRST, 200, long);
        let failed =
            ground.bring(&mut open(&ground, &server.config(), &handle).unwrap()).1.unwrap_err();
        assert!(failed.to_string().contains("too much"), "{failed}");
        assert!(ground.state().marks.is_empty());
        for base in ["http://localhost/fhir", "https://localhost/fhir?a=b", "https://a@localhost/"]
        {
            let config = FhirConfig { base: base.to_owned(), ..server.config() };
            assert!(
                matches!(open(&ground, &config, &handle), Err(SourceFailure::Settings(_))),
                "{base}"
            );
        }
    });
    work.await.unwrap();
}
