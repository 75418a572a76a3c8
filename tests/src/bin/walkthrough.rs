//! `walkthrough`: the rest of a partnership, for `tests/clean-root/run`. An agency that installs a node by the page sends its public keys
//! and gets back what a partnership gives: a certificate, its authority, and the agreement with everybody's signature but its own.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::Context as _;
use brag_common::{
    agreement::{Signatory, sign, text_of},
    id::AgencyId,
    keyfile,
    time::{Clock as _, SystemClock},
};
use brag_tests::partnership::Partnership;
use clap::Parser;
use serde::Deserialize;
use toml_edit::{DocumentMut, value};

/// The name by which nodes reach the hub, as the page has it.
const HUB_HOST: &str = "hub.example.org";
const HUB_PORT: u16 = 8443;

/// Prepares a partnership around an agency that has made its own keys.
#[derive(Debug, Parser)]
struct Walkthrough {
    /// The folder of everything; made
    folder: PathBuf,
    /// What `agency-node init --json` printed
    keys: PathBuf,
    /// The agency
    agency: AgencyId,
    /// Where its node will be
    node: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct Printed {
    party_keys: BTreeMap<String, String>,
}

fn main() -> anyhow::Result<()> {
    let Walkthrough { folder, keys, agency, node } = Walkthrough::parse();
    let Printed { party_keys } = serde_json::from_slice(&fs::read(keys)?)?;
    fs::create_dir_all(&folder)?;
    let partnership = Partnership::create(&folder, SystemClock.now(), |_| {})?;
    // The agency's own public keys in place of those that were made for it.
    let note = fs::read(partnership.agreement_path())?;
    let mut document: DocumentMut = text_of(&note)?.parse()?;
    let parties = document["party"].as_array_of_tables_mut().context("no [[party]]")?;
    let id = |party: &toml_edit::Table| party.get("id")?.as_str().map(str::to_owned);
    let party = parties.iter_mut().find(|party| id(party).as_deref() == Some(agency.as_str()));
    let party = party.context("the agency is no party")?;
    for (name, key) in party_keys {
        party["keys"][&name] = value(key);
    }
    let mut note = document.to_string().into_bytes();
    for other in partnership.agencies().iter().filter(|other| **other != agency) {
        note = sign(&note, &Signatory::Party(other.clone()), &partnership.signing_key(other)?)?;
    }
    let hub_key = partnership.hub_folder().join("keys/statements.key");
    note = sign(&note, &Signatory::Hub, &keyfile::read_signing_key(&hub_key)?)?;
    let parcel = folder.join("parcel");
    fs::create_dir_all(&parcel)?;
    fs::write(parcel.join("agreement.note"), note)?;

    let ca = partnership.ca();
    ca.agency(&agency).write(ca, &parcel, "node");
    let hub = SocketAddr::from((Ipv4Addr::LOCALHOST, HUB_PORT));
    // Nobody is at the other nodes; the hub asks them in vain.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let at = |one: &AgencyId| (one.clone(), if *one == agency { node } else { nowhere });
    let nodes = partnership.agencies().iter().map(at).collect();
    partnership.write_hub_config(hub, &nodes)?;
    let mut spec = ca.spec(&ca.trust_domain().hub());
    spec.dns_names.push(HUB_HOST.to_owned());
    ca.issue(&spec).write(ca, &partnership.hub_folder(), "tls");
    partnership.write_profile("hub.coordinator", &ca.trust_domain().hub(), hub)?;
    Ok(())
}
