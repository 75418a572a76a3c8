//! A whole partnership on disk: certificate authority, keys, the signed agreement, configurations and profiles.
//! The demo starts real processes from it; tests start hub and nodes in their own process.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    agreement::{self, Agreement, Signatory},
    id::{AgencyId, StaffName},
    keyfile::{self, KeyKind},
    keys::SigningKey,
    peer::{PeerName, TrustDomain},
    seal::SealingKey,
    secret::SecretBytes,
    testing::{TestCa, TestCert},
    time::Timestamp,
};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use toml_edit::{DocumentMut, value};

/// The sample agreement, without keys.
pub const AGREEMENT: &str = include_str!("../corpus/agreements/exampleshire/agreement.toml");

/// The hub's co-ordinator.
pub const COORDINATOR: &str = "hub.coordinator";

/// Another co-ordinator of the hub, who does not chair.
pub const SECOND_COORDINATOR: &str = "hub.coordinator2";

/// The hub's auditor.
pub const AUDITOR: &str = "hub.auditor";

/// The auditor's colleagues, who have the same role.
pub const AUDITOR_COLLEAGUES: [&str; 2] = ["hub.auditor2", "hub.auditor3"];

/// The people who govern what the hub keeps.
pub const HUB_GOVERNANCE: [&str; 2] = ["hub.governance1", "hub.governance2"];

/// A partnership that has been set up in a folder.
#[derive(Debug)]
pub struct Partnership {
    folder: PathBuf,
    ca: TestCa,
    agencies: Vec<AgencyId>,
}

impl Partnership {
    /// Sets up everything but the configurations in `folder`: keys for every party and the hub, and the
    /// agreement in force at `now`, signed by all. `change` may alter the agreement before it is signed.
    ///
    /// # Errors
    /// When a file can not be written, or the changed agreement is not valid.
    pub fn create(
        folder: &Path,
        now: Timestamp,
        change: impl FnOnce(&mut DocumentMut),
    ) -> anyhow::Result<Self> {
        let mut document: DocumentMut = AGREEMENT.parse()?;
        set_validity(&mut document, now)?;
        change(&mut document);
        // Each partnership is a trust domain of its own, under the name of its agreement.
        let id = document["agreement"]["id"].as_str().context("the agreement has no id")?;
        let trust_domain: TrustDomain = id.parse()?;
        let agencies = parties(&document)?;
        let partnership =
            Self { folder: folder.to_owned(), ca: TestCa::new(trust_domain), agencies };
        partnership.make_keys(&mut document)?;
        partnership.sign_agreement(&document.to_string())?;
        Ok(partnership)
    }

    /// The parties of the agreement, in its order.
    #[must_use]
    pub fn agencies(&self) -> &[AgencyId] {
        &self.agencies
    }

    /// The certificate authority.
    #[must_use]
    pub const fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// The folder of everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of one agency, for example `nodes/CSC`.
    #[must_use]
    pub fn node_folder(&self, agency: &AgencyId) -> PathBuf {
        self.folder.join("nodes").join(agency.as_str())
    }

    /// The folder of the hub.
    #[must_use]
    pub fn hub_folder(&self) -> PathBuf {
        self.folder.join("hub")
    }

    /// The signed agreement.
    #[must_use]
    pub fn agreement_path(&self) -> PathBuf {
        self.folder.join("agreement.note")
    }

    /// An agency's statement-signing key, as a colluding agency would use it.
    ///
    /// # Errors
    /// When the key file can not be read.
    pub fn signing_key(&self, agency: &AgencyId) -> anyhow::Result<SigningKey> {
        Ok(keyfile::read_signing_key(&self.node_folder(agency).join("keys/statements.key"))?)
    }

    /// An assessor of an agency.
    #[must_use]
    pub fn assessor(agency: &AgencyId) -> String {
        format!("{}.assessor", agency.as_str().to_lowercase())
    }

    /// The first or second approver of an agency.
    #[must_use]
    pub fn approver(agency: &AgencyId, n: u8) -> String {
        format!("{}.approver{n}", agency.as_str().to_lowercase())
    }

    /// The deputy of an agency's approvers.
    #[must_use]
    pub fn deputy(agency: &AgencyId) -> String {
        format!("{}.deputy", agency.as_str().to_lowercase())
    }

    /// The first or second person who governs what an agency keeps.
    #[must_use]
    pub fn governance(agency: &AgencyId, n: u8) -> String {
        format!("{}.governance{n}", agency.as_str().to_lowercase())
    }

    /// The auditor of an agency.
    #[must_use]
    pub fn auditor(agency: &AgencyId) -> String {
        format!("{}.auditor", agency.as_str().to_lowercase())
    }

    /// Whoever runs an agency's node.
    #[must_use]
    pub fn operator(agency: &AgencyId) -> String {
        format!("{}.operator", agency.as_str().to_lowercase())
    }

    /// Writes a node's configuration; ports of `0.0.0.0:0` kind are chosen when it starts.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write_node_config(
        &self,
        agency: &AgencyId,
        listen: SocketAddr,
        hub: SocketAddr,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.node_folder(agency);
        self.ca.agency(agency).write(&self.ca, &folder, "tls");
        let (assessor, one, two) =
            (Self::assessor(agency), Self::approver(agency, 1), Self::approver(agency, 2));
        let (deputy, auditor) = (Self::deputy(agency), Self::auditor(agency));
        let operator = Self::operator(agency);
        let (governance, governance_too) =
            (Self::governance(agency, 1), Self::governance(agency, 2));
        let text = format!(
            r#"agency = "{agency}"
data = "data"
agreement = "../../agreement.note"
listen = "{listen}"
admin_listen = "127.0.0.1:0"
contact_route = "Duty team of {agency}, extension 100"
deliver_retry_at_most = "1s"

[hub]
endpoint = "https://{hub}"

[tls]
certificate = "tls.pem"
private_key = "tls.key"
roots = "ca.pem"

[keys]
statements = "keys/statements.key"
sealing = "keys/sealing.key"
store = "keys/store.key"
log = "keys/log.key"
witness = "keys/witness.key"

[[staff]]
name = "{assessor}"
roles = ["assessor"]
[[staff]]
name = "{one}"
roles = ["approver"]
[[staff]]
name = "{two}"
roles = ["approver"]
[[staff]]
name = "{deputy}"
roles = ["deputy"]
[[staff]]
name = "{governance}"
roles = ["governance"]
[[staff]]
name = "{governance_too}"
roles = ["governance"]
[[staff]]
name = "{auditor}"
roles = ["auditor"]
[[staff]]
name = "{operator}"
roles = ["operator"]
"#
        );
        write(&folder.join("agency-node.toml"), &text)
    }

    /// Writes the hub's configuration.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write_hub_config(
        &self,
        listen: SocketAddr,
        nodes: &BTreeMap<AgencyId, SocketAddr>,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.hub_folder();
        self.ca.hub().write(&self.ca, &folder, "tls");
        let [first, second] = HUB_GOVERNANCE;
        let [auditor_too, third_auditor] = AUDITOR_COLLEAGUES;
        let mut text = format!(
            r#"data = "data"
agreement = "../agreement.note"
listen = "{listen}"
admin_listen = "127.0.0.1:0"

[tls]
certificate = "tls.pem"
private_key = "tls.key"
roots = "ca.pem"

[keys]
statements = "keys/statements.key"
store = "keys/store.key"
log = "keys/log.key"
witness = "keys/witness.key"

[[staff]]
name = "{COORDINATOR}"
roles = ["coordinator", "chair"]

[[staff]]
name = "{SECOND_COORDINATOR}"
roles = ["coordinator"]

[[staff]]
name = "{AUDITOR}"
roles = ["auditor"]

[[staff]]
name = "{auditor_too}"
roles = ["auditor"]

[[staff]]
name = "{third_auditor}"
roles = ["auditor"]

[[staff]]
name = "{first}"
roles = ["governance"]

[[staff]]
name = "{second}"
roles = ["governance"]

[fan_out]
call_within = "10s"
ask_again_after = "1s"

[matching]
cut = "1ms"

[nodes]
"#
        );
        for (agency, address) in nodes {
            text.push_str(&format!("{agency} = \"https://{address}\"\n"));
        }
        write(&folder.join("hub.toml"), &text)
    }

    /// Adds a console to the configuration of a program, at any free port, with a certificate of its own for `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// When a file can not be read or written.
    pub fn add_console(&self, config: &Path) -> anyhow::Result<()> {
        let folder = config.parent().context("a configuration lies in a folder")?;
        let mut spec = self.ca.spec(&self.ca.trust_domain().hub());
        spec.uris.clear();
        self.ca.issue(&spec).write(&self.ca, folder, "console");
        let mut text = fs::read_to_string(config)?;
        text.push_str(
            r#"
[console]
listen = "127.0.0.1:0"
certificate = "console.pem"
private_key = "console.key"
"#,
        );
        fs::write(config, text)?;
        Ok(())
    }

    /// Writes a person's certificate and the profile with which they reach a server.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write_profile(
        &self,
        person: &str,
        server: &PeerName,
        address: SocketAddr,
    ) -> anyhow::Result<PathBuf> {
        let name: StaffName = person.parse()?;
        self.write_profile_with(person, &self.ca.person(&name), server, address)
    }

    /// As [`Partnership::write_profile`], with any certificate.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write_profile_with(
        &self,
        file: &str,
        certificate: &TestCert,
        server: &PeerName,
        address: SocketAddr,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("people");
        fs::create_dir_all(&folder)?;
        certificate.write(&self.ca, &folder, file);
        let text = format!(
            r#"endpoint = "https://{address}"
server = "{server}"

[tls]
certificate = "{file}.pem"
private_key = "{file}.key"
roots = "ca.pem"
"#
        );
        write(&folder.join(format!("{file}.toml")), &text)
    }

    /// The next version of the agreement in `note`, changed and then signed by everybody with the key that it names for
    /// them.
    ///
    /// # Errors
    /// When the changed agreement is not valid, or somebody does not have the key that it names.
    pub fn amend(
        &self,
        note: &[u8],
        change: impl FnOnce(&mut DocumentMut),
    ) -> anyhow::Result<Vec<u8>> {
        let text = self.amendment(note, change)?;
        let mut note = text.into_bytes();
        for agency in &self.agencies {
            let path = self.node_folder(agency).join("keys/statements.key");
            note = sign_with_ring(&note, &Signatory::Party(agency.clone()), &path)?;
        }
        let path = self.hub_folder().join("keys/statements.key");
        sign_with_ring(&note, &Signatory::Hub, &path)
    }

    /// As [`Partnership::amend`], signed by nobody.
    ///
    /// # Errors
    /// When the changed agreement is not valid.
    pub fn amendment(
        &self,
        note: &[u8],
        change: impl FnOnce(&mut DocumentMut),
    ) -> anyhow::Result<String> {
        let text = agreement::text_of(note)?;
        let mut document: DocumentMut = text.parse()?;
        document["schema"] = value(2);
        let version = document["agreement"]["version"].as_integer().context("no version")?;
        document["agreement"]["version"] = value(version + 1);
        let digest = brag_common::audit::Digest::of(text.as_bytes()).to_string();
        document["agreement"]["replaces"] = value(digest);
        change(&mut document);
        let text = document.to_string();
        Agreement::parse(&text).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        Ok(text)
    }

    /// The table of one party in an agreement.
    ///
    /// # Panics
    /// When there is no such party.
    #[must_use]
    pub fn party_in<'a>(document: &'a mut DocumentMut, agency: &str) -> &'a mut toml_edit::Table {
        let agency = agency.parse().unwrap_or_else(|_| panic!("{agency} is no id"));
        party_mut(document, &agency).unwrap_or_else(|error| panic!("{agency}: {error}"))
    }

    fn make_keys(&self, document: &mut DocumentMut) -> anyhow::Result<()> {
        let domain = self.ca.trust_domain();
        for agency in &self.agencies {
            let keys = self.node_folder(agency).join("keys");
            fs::create_dir_all(&keys)?;
            let statements = SigningKey::generate()?;
            let sealing = SealingKey::generate()?;
            keyfile::write_signing_key(&keys.join("statements.key"), &statements)?;
            keyfile::write(&keys.join("sealing.key"), KeyKind::Sealing, sealing.secret())?;
            make_other_keys(&keys)?;
            let party = party_mut(document, agency)?;
            party["keys"]["tls"] = value(domain.agency(agency.clone()).to_string());
            party["keys"]["signing"] = value(statements.verifying_key().to_string());
            party["keys"]["sealing"] = value(sealing.public_key()?.to_string());
        }
        let keys = self.hub_folder().join("keys");
        fs::create_dir_all(&keys)?;
        let statements = SigningKey::generate()?;
        keyfile::write_signing_key(&keys.join("statements.key"), &statements)?;
        make_other_keys(&keys)?;
        document["hub"]["keys"]["tls"] = value(domain.hub().to_string());
        document["hub"]["keys"]["signing"] = value(statements.verifying_key().to_string());
        Ok(())
    }

    fn sign_agreement(&self, text: &str) -> anyhow::Result<()> {
        Agreement::parse(text).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        let mut note = text.as_bytes().to_vec();
        for agency in &self.agencies {
            let key = self.signing_key(agency)?;
            note = agreement::sign(&note, &Signatory::Party(agency.clone()), &key)?;
        }
        let key = keyfile::read_signing_key(&self.hub_folder().join("keys/statements.key"))?;
        note = agreement::sign(&note, &Signatory::Hub, &key)?;
        fs::write(self.agreement_path(), note)?;
        Ok(())
    }
}

fn sign_with_ring(note: &[u8], signatory: &Signatory, path: &Path) -> anyhow::Result<Vec<u8>> {
    for key in keyfile::read_signing_ring(path)? {
        match agreement::sign(note, signatory, &key) {
            Err(agreement::NoteError::OtherKey(_)) => {}
            signed => return Ok(signed?),
        }
    }
    anyhow::bail!("{signatory} does not have the key that the agreement names")
}

fn make_other_keys(keys: &Path) -> anyhow::Result<()> {
    keyfile::write(&keys.join("store.key"), KeyKind::Store, &SecretBytes::random()?)?;
    for name in ["log.key", "witness.key"] {
        keyfile::write_signing_key(&keys.join(name), &SigningKey::generate()?)?;
    }
    Ok(())
}

/// In force from a month before `now` to a year after, so that a scenario plays on any day.
fn set_validity(document: &mut DocumentMut, now: Timestamp) -> anyhow::Result<()> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let date = |day: Date| -> anyhow::Result<toml_edit::Item> {
        Ok(value(day.to_string().parse::<toml_edit::Datetime>()?))
    };
    let agreement = &mut document["agreement"];
    agreement["valid_from"] = date(today.checked_sub(30.days())?)?;
    agreement["valid_to"] = date(today.checked_add(365.days())?)?;
    agreement["review_by"] = date(today.checked_add(270.days())?)?;
    Ok(())
}

fn parties(document: &DocumentMut) -> anyhow::Result<Vec<AgencyId>> {
    let parties = document["party"].as_array_of_tables().context("no [[party]]")?;
    parties.iter().map(|party| Ok(party["id"].as_str().context("no id")?.parse()?)).collect()
}

/// The parties of the sample agreement, in its order.
///
/// # Errors
/// When the sample does not read.
pub fn sample_parties() -> anyhow::Result<Vec<AgencyId>> {
    parties(&AGREEMENT.parse()?)
}

fn party_mut<'a>(
    document: &'a mut DocumentMut,
    agency: &AgencyId,
) -> anyhow::Result<&'a mut toml_edit::Table> {
    let parties = document["party"].as_array_of_tables_mut().context("no [[party]]")?;
    let party = parties.iter_mut().find(|party| party["id"].as_str() == Some(agency.as_str()));
    let party = party.context("no such party")?;
    if !party.contains_key("keys") {
        party.insert("keys", toml_edit::Item::Table(toml_edit::Table::new()));
    }
    Ok(party)
}

fn write(path: &Path, text: &str) -> anyhow::Result<PathBuf> {
    fs::write(path, text).with_context(|| format!("can not write `{}`", path.display()))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use brag_common::{
        agreement::SignedAgreement,
        time::{Clock as _, SystemClock},
    };

    use super::*;

    #[test]
    fn a_new_partnership_has_an_agreement_that_every_party_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let partnership = Partnership::create(folder.path(), now, |_| {}).unwrap();
        assert_eq!(partnership.agencies().len(), 14);
        let note = fs::read(partnership.agreement_path()).unwrap();
        for agency in partnership.agencies() {
            let key = partnership.signing_key(agency).unwrap().verifying_key();
            let signed = SignedAgreement::verify(&note, (agency, key)).unwrap();
            assert!(signed.agreement().in_force(now));
        }
    }
}
