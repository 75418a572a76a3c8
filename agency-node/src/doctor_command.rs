//! `agency-node doctor` and `agency-node certificate`: how the node is, and its certificate.

use std::{io::Write, net::SocketAddr, path::Path};

use brag_common::{
    certificate::command::{CertificateCommand, Own},
    doctor::{
        self, Agreements, Enrolment, Examined, Findings, Life, Machine, PeerAddress, Subject, Way,
    },
    program::{Accepting as _, realm},
    store_key,
    time::SharedClock,
    version_folder::VersionFolder,
};
use clap::Args;

use crate::{
    Config,
    check_command::{self, Addresses},
    cli::{ConfigArg, Exit},
    enrol,
    ground::{self, AsAgency},
    hot_index::HotIndex,
    store::Store,
};

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Looks, and says what was found.
///
/// # Errors
/// When standard output can not be written.
pub fn run(args: &DoctorArgs, clock: &SharedClock, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let looking = examine(args.config.path(), None, clock, Machine::default());
    let findings = doctor::block_on(looking)?;
    if args.json {
        findings.print_json(stdout)?;
    } else {
        findings.print("agency-node", stdout)?;
    }
    Ok(if findings.need_action() { Exit::Failed } else { Exit::Done })
}

/// Everything that is found of the node with this configuration. `admin` is its admin port where the configuration leaves it open.
/// Blocks on the disk now and then: not for a thread that serves.
pub async fn examine(
    path: &Path,
    admin: Option<SocketAddr>,
    clock: &SharedClock,
    machine: Machine,
) -> Findings {
    let mut findings = Findings::default();
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            findings.action(
                Subject::Configuration,
                format!("{:#}", anyhow::Error::new(error)),
                "correct the file; deploy/config/agency-node/advanced.toml explains every option",
            );
            return findings;
        }
    };
    findings.ok(Subject::Configuration, format!("`{}` is read", path.display()));
    let examined = examined(&config, path, admin, clock);
    let (life, state) = doctor::is_running(&examined, &mut findings).await;
    let addresses = if life == Life::Stopped { Addresses::Free } else { Addresses::Ours };
    let mut checked = check_command::Findings::default();
    check_command::check(&config, clock, addresses, &mut checked);
    for found in checked.problems {
        findings.action(found.subject, found.what, found.remedy);
    }
    for found in checked.notes {
        findings.note(found.subject, found.what, found.remedy);
    }
    let store = || look_into_store(&config);
    doctor::examine(&examined, (life, state), clock, machine, store, &mut findings).await;
    findings
}

fn examined(
    config: &Config,
    path: &Path,
    admin: Option<SocketAddr>,
    clock: &SharedClock,
) -> Examined {
    let agreements = agreements(config, clock);
    let domain = agreements.as_ref().and_then(|known| realm(&known.holds).ok());
    let domain = domain.map(|(domain, _)| domain);
    let ways = match &config.hub.proxy {
        None => std::iter::once(&config.hub.endpoint)
            .chain(&config.hub.other_endpoints)
            .map(|endpoint| Way::At(endpoint.clone()))
            .collect(),
        Some(_) => vec![Way::NotCalled(
            "a proxy stands between, which the doctor does not use; the operator's page Connections says when it last answered",
        )],
    };
    let hub = domain.as_ref().map(|domain| {
        let name = domain.hub();
        ways.into_iter().map(move |way| PeerAddress {
            called: "the hub".to_owned(),
            way,
            name: name.clone(),
        })
    });
    let hub = hub.into_iter().flatten();
    let witnesses = config.witness.independent.iter().map(|witness| PeerAddress {
        called: format!("the witness {}", witness.tls),
        way: Way::At(witness.endpoint.clone()),
        name: witness.tls.clone(),
    });
    let keys = &config.keys;
    let key_files = [&keys.statements, &keys.sealing, &keys.store, &keys.log, &keys.witness];
    let pair = |console: &brag_common::console::ConsoleConfig| {
        (console.certificate.as_path().to_owned(), console.private_key.as_path().to_owned())
    };
    Examined {
        program: "agency-node",
        folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        data: config.data.as_path().to_owned(),
        key_folders: vec![config.view_key_folder(), config.enquiry_key_folder()],
        key_files: key_files.into_iter().map(|path| path.as_path().to_owned()).collect(),
        log_key: keys.log.as_path().to_owned(),
        tls: config.tls.files(),
        console: config.console.as_ref().map(pair),
        admin: admin.unwrap_or(config.admin_listen),
        trust_domain: domain,
        agreements,
        peers: hub.chain(witnesses).collect(),
    }
}

/// The version that holds, and the newest that is installed and accepted; `None`: none is accepted.
fn agreements(config: &Config, clock: &SharedClock) -> Option<Agreements> {
    let holds = ground::read_agreement(config, clock).ok()?;
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    let found = folder.found().ok()?;
    let newest = found.last().and_then(|found| AsAgency::of(config).verify(found).ok());
    let newest = newest.filter(|newest| newest.digest() != holds.digest());
    Some(Agreements { holds, newest })
}

/// Opens the store of a stopped node, and counts who is enrolled.
fn look_into_store(config: &Config) -> anyhow::Result<Option<Enrolment>> {
    let data = config.data.as_path();
    let key = store_key::open(data, config.keys.store.as_path())?;
    let store = Store::open(data, &config.enquiry_key_folder(), &key)?;
    let (people, enrolled) = (enrol::count_people(&store)?, enrol::count_enrolled(&store)?);
    let index = HotIndex::open(data).ok();
    let epoch = index.and_then(|index| index.newest_epoch()).map(|epoch| epoch.0);
    Ok(Some(Enrolment { people, enrolled, epoch, told: 0 }))
}

/// Works on the node's certificate.
///
/// # Errors
/// When the configuration or a file can not be read or written.
pub fn certificate(
    command: &CertificateCommand,
    clock: &SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let config = Config::load(command.config())?;
    let agreement = ground::read_agreement(&config, clock).ok();
    let domain = agreement.and_then(|agreement| realm(&agreement).ok()).map(|(domain, _)| domain);
    let own = Own {
        files: config.tls.files(),
        trust_domain: domain,
        console: config.console.as_ref().map(|console| console.certificate.as_path().to_owned()),
    };
    let agency = config.agency;
    let code = command.run(&own, |domain| domain.agency(agency.clone()), clock, stdout)?;
    Ok(Exit::of(code))
}
