//! `hub doctor` and `hub certificate`: how the hub is, and its certificate.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use brag_common::{
    certificate::command::{CertificateCommand, Own},
    doctor::{
        self, Agreements, Examined, Findings, Machine, PeerAddress, State, Subject, Tell, Way,
    },
    program::{Accepting as _, realm},
    store_key,
    time::{SharedClock, Timestamp},
    version_folder::VersionFolder,
};
use clap::Args;

use crate::{
    agreement_command::Exit,
    check_command,
    config::{Config, DIALS_OUT},
    hub::{AsHub, Shared, read_agreement},
    store::Store,
};

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "./hub.toml")]
    pub config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Looks, and says what was found.
///
/// # Errors
/// When the output can not be written.
pub fn run(args: &DoctorArgs, clock: &SharedClock, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let looking = examine(&args.config, None, clock, Machine::default());
    let findings = doctor::block_on(looking)?;
    if args.json {
        findings.print_json(stdout)?;
    } else {
        findings.print("hub", stdout)?;
    }
    Ok(if findings.need_action() { Exit::Failed } else { Exit::Done })
}

/// Everything that is found of the hub with this configuration. `admin` is its admin port where the configuration leaves it open.
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
                "correct the file; deploy/config/hub/advanced.toml explains every option",
            );
            return findings;
        }
    };
    findings.ok(Subject::Configuration, format!("`{}` is read", path.display()));
    let examined = examined(&config, path, admin, clock);
    let (life, state) = doctor::is_running(&examined, &mut findings).await;
    for found in check_command::check(path, clock) {
        findings.action(found.check, found.problem, found.remedy);
    }
    let store = || {
        let data = config.data.as_path();
        let key = store_key::open(data, config.keys.store.as_path())?;
        Store::open(data, &config.enquiry_key_folder(), &key)?;
        Ok(None)
    };
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
    // A party that has withdrawn is called no more.
    let now = clock.now();
    let is_called = |agency| {
        let known = agreements.as_ref().and_then(|known| known.holds.agreement().party(agency));
        known.is_none_or(|party| party.in_force(now))
    };
    let called = config.nodes.iter().filter(|(agency, _)| is_called(agency));
    let nodes: Vec<PeerAddress> = called
        .filter_map(|(agency, endpoint)| {
            Some(PeerAddress {
                called: agency.to_string(),
                way: if endpoint == DIALS_OUT {
                    Way::NotCalled(
                        "it dials the hub; the metric brag_hub_standing_connections says whether it does",
                    )
                } else {
                    Way::At(endpoint.clone())
                },
                name: domain.as_ref()?.agency(agency.clone()),
            })
        })
        .collect();
    let witnesses = config.witness.independent.iter().map(|witness| PeerAddress {
        called: format!("the witness {}", witness.tls),
        way: Way::At(witness.endpoint.clone()),
        name: witness.tls.clone(),
    });
    let keys = &config.keys;
    let key_files = [&keys.statements, &keys.store, &keys.log, &keys.witness];
    let pair = |console: &brag_common::console::ConsoleConfig| {
        (console.certificate.as_path().to_owned(), console.private_key.as_path().to_owned())
    };
    Examined {
        program: "hub",
        folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        data: config.data.as_path().to_owned(),
        key_folders: vec![config.enquiry_key_folder()],
        key_files: key_files.into_iter().map(|path| path.as_path().to_owned()).collect(),
        log_key: keys.log.as_path().to_owned(),
        tls: config.tls.files(),
        console: config.console.as_ref().map(pair),
        admin: admin.unwrap_or(config.admin_listen),
        peers: nodes.into_iter().chain(witnesses).collect(),
        trust_domain: domain,
        agreements,
    }
}

/// The version that holds, and the newest that is installed and accepted; `None`: none is accepted.
fn agreements(config: &Config, clock: &SharedClock) -> Option<Agreements> {
    let holds = read_agreement(config, clock).ok()?;
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    let found = folder.found().ok()?;
    let newest = found.last().and_then(|found| AsHub::of(config).verify(found).ok());
    let newest = newest.filter(|newest| newest.digest() != holds.digest());
    Some(Agreements { holds, newest })
}

/// What the running hub tells its doctor. Weak: the admin port outlives the hub.
pub(crate) fn tell(shared: &Arc<Shared>, started: Timestamp) -> Tell {
    let shared = Arc::downgrade(shared);
    Tell::new(move || {
        let shared = shared.upgrade();
        Box::pin(async move {
            let shared = shared?;
            let log = shared.log.audit();
            Some(State {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                now: shared.clock.now(),
                started,
                store_available: shared.store.durable().is_available(),
                log_available: log.is_available(),
                log_entries: log.tree().head().size,
                log_cosigned: shared.cosigned.size(),
                waiting: 0,
                enrolment: None,
            })
        })
    })
}

/// Works on the hub's certificate.
///
/// # Errors
/// When the configuration or a file can not be read or written.
pub fn certificate(
    command: &CertificateCommand,
    clock: &SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<u8> {
    let config = Config::load(command.config())?;
    let agreement = read_agreement(&config, clock).ok();
    let domain = agreement.and_then(|agreement| realm(&agreement).ok()).map(|(domain, _)| domain);
    let own = Own {
        files: config.tls.files(),
        trust_domain: domain,
        console: config.console.as_ref().map(|console| console.certificate.as_path().to_owned()),
    };
    command.run(&own, |domain| domain.hub(), clock, stdout)
}
