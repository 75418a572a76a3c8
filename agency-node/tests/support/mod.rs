//! A node's folder as an operator would make it: `agency-node init`, certificates, and an agreement that all have
//! signed. Every other party's keys are made here and thrown away.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use brag_common::{
    agreement::{self, Signatory},
    id::AgencyId,
    keyfile,
    keys::SigningKey,
    peer::{PeerName, TrustDomain},
    seal::SealingKey,
    testing::TestCa,
};
use serde_json::Value;

/// The sample agreement, without keys.
const AGREEMENT: &str =
    include_str!("../../../tests/corpus/agreements/exampleshire/agreement.toml");
/// The agency whose node it is.
pub(crate) const AGENCY: &str = "CSC";
const DOMAIN: &str = "exampleshire";

pub(crate) fn agency_node(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agency-node"));
    command.args(args).env_remove("BRAG_PROFILE").output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("not one JSON document: {error}\n{}{}", stdout(output), stderr(output))
    })
}

/// A folder in which a node can serve.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    ca: TestCa,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let domain: TrustDomain = DOMAIN.parse().unwrap();
        let ca = TestCa::new(domain);
        let dir = folder.path().join("node");
        let made = agency_node(&[
            "init",
            dir.to_str().unwrap(),
            "--agency",
            AGENCY,
            "--trust-domain",
            DOMAIN,
            "--json",
        ]);
        assert!(made.status.success(), "{}", stderr(&made));
        let this = Self { folder, ca };
        this.sign_agreement(&json(&made)["party_keys"]);
        this.ca.agency(&AGENCY.parse().unwrap()).write(&this.ca, &dir.join("tls"), "node");
        let config = std::fs::read_to_string(this.config()).unwrap();
        let config = config
            .replace("0.0.0.0:7443", "127.0.0.1:0")
            .replace("127.0.0.1:7480", "127.0.0.1:0")
            .replace(
                "#[[staff]]\n#name = \"j.okafor\"\n#roles = [\"assessor\"]",
                "[[staff]]\nname = \"j.okafor\"\nroles = [\"assessor\"]",
            );
        std::fs::write(this.config(), config).unwrap();
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("node/agency-node.toml")
    }

    /// Runs a command with `--config`.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let config = self.config();
        agency_node(&[args, &["--config", config.to_str().unwrap()]].concat())
    }

    /// What the authority makes of the request that waits, for an agency.
    pub(crate) fn sign(&self, agency: &str) -> PathBuf {
        let domain: TrustDomain = DOMAIN.parse().unwrap();
        let key = std::fs::read_to_string(self.path().join("node/tls/node.key.next")).unwrap();
        let spec = self.ca.spec(&domain.agency(agency.parse().unwrap()));
        let path = self.path().join(format!("{agency}.pem"));
        std::fs::write(&path, self.ca.issue_for(&spec, &key)).unwrap();
        path
    }

    /// A profile with which a person reaches a server.
    pub(crate) fn profile(&self, person: &str, endpoint: &str) -> PathBuf {
        let server: PeerName = format!("spiffe://{DOMAIN}/agency/{AGENCY}").parse().unwrap();
        self.ca.person(&person.parse().unwrap()).write(&self.ca, self.path(), person);
        let path = self.path().join(format!("{person}.toml"));
        let text = format!(
            "endpoint = \"{endpoint}\"\nserver = \"{server}\"\n[tls]\ncertificate = \"{person}.pem\"\nprivate_key = \"{person}.key\"\nroots = \"ca.pem\"\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn sign_agreement(&self, own: &Value) {
        let mut signers = Vec::new();
        let mut lines = Vec::new();
        let mut party: Option<AgencyId> = None;
        for line in AGREEMENT.lines() {
            if line.starts_with('[')
                && let Some(agency) = party.take()
            {
                let tls = format!("spiffe://{DOMAIN}/agency/{agency}");
                let (signing, sealing) = if agency.as_str() == AGENCY {
                    let key = self.path().join("node/keys/statements.key");
                    signers
                        .push((Signatory::Party(agency), keyfile::read_signing_key(&key).unwrap()));
                    let own = |name: &str| own[name].as_str().unwrap().to_owned();
                    assert_eq!(own("tls"), tls);
                    (own("signing"), own("sealing"))
                } else {
                    let key = SigningKey::generate().unwrap();
                    let public = key.verifying_key().to_string();
                    signers.push((Signatory::Party(agency), key));
                    (public, SealingKey::generate().unwrap().public_key().unwrap().to_string())
                };
                lines.push(format!(
                    "[party.keys]\ntls = \"{tls}\"\nsigning = \"{signing}\"\nsealing = \"{sealing}\""
                ));
            }
            if let Some(id) = line.strip_prefix("id = \"").filter(|_| after_party(&lines)) {
                party = id.split('"').next().unwrap().parse().ok();
            }
            lines.push(match line.split(" = ").next() {
                Some("valid_from") => "valid_from = 2020-01-01".to_owned(),
                Some("valid_to") => "valid_to = 2099-12-31".to_owned(),
                Some("review_by") => "review_by = 2099-09-30".to_owned(),
                _ => line.to_owned(),
            });
        }
        let hub = SigningKey::generate().unwrap();
        lines.push(format!(
            "[hub.keys]\ntls = \"spiffe://{DOMAIN}/hub\"\nsigning = \"{}\"",
            hub.verifying_key()
        ));
        signers.push((Signatory::Hub, hub));
        let mut note = format!("{}\n", lines.join("\n")).into_bytes();
        for (signatory, key) in &signers {
            note = agreement::sign(&note, signatory, key).unwrap();
        }
        std::fs::write(self.path().join("node/agreement.note"), note).unwrap();
    }
}

fn after_party(lines: &[String]) -> bool {
    lines.last().is_some_and(|line| line == "[[party]]")
}
