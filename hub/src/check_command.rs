//! `hub check-config`: everything that would keep the hub from starting, all at once, each with what to do.
//! Changes nothing and listens on nothing.

use std::{
    fmt,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use brag_common::{
    agreement::{Agreement, text_of},
    durable::Look,
    keyfile::{self, KeyKind},
    peer::TrustDomain,
    time::SharedClock,
    tls::{ClientTls, ServerTls},
};
use clap::Args;
use serde::Serialize;

use crate::{
    agreement_command::Exit,
    config::{Config, DIALS_OUT, Role},
    store::LAYOUT,
};

/// What `check-config` is told.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "./hub.toml")]
    pub config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// One thing that keeps the hub from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What was checked, for example `keys.store`.
    pub check: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

#[derive(Serialize)]
struct Report<'a> {
    config: &'a Path,
    ok: bool,
    problems: &'a [Problem],
    /// What the next start does to the store before it serves.
    migrations: &'a [String],
}

/// Checks and reports.
///
/// # Errors
/// When the output can not be written.
pub fn run(args: &CheckArgs, clock: &SharedClock, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let problems = check(&args.config, clock);
    let data = Config::load(&args.config).ok().map(|config| config.data);
    let look = data.and_then(|data| LAYOUT.look(data.as_path()).ok());
    let migrations = match look {
        Some(Look::Older(steps)) => steps,
        Some(Look::Current | Look::Newer(_)) | None => Vec::new(),
    };
    let ok = problems.is_empty();
    if args.json {
        let report =
            Report { config: &args.config, ok, problems: &problems, migrations: &migrations };
        writeln!(stdout, "{:#}", serde_json::to_value(report)?)?;
    } else if ok {
        writeln!(stdout, "{}: in order", args.config.display())?;
    } else {
        for Problem { check, problem, remedy } in &problems {
            writeln!(stdout, "{check}: {problem}\n    {remedy}")?;
        }
        writeln!(stdout, "{} problem(s)", problems.len())?;
    }
    if !args.json && !migrations.is_empty() {
        let steps = migrations.join("; ");
        writeln!(stdout, "the next start migrates the store: {steps}\n    make a backup first")?;
    }
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

/// Everything that is wrong with a configuration and what it names; empty when the hub can start.
#[must_use]
pub fn check(path: &Path, clock: &SharedClock) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            let remedy = "correct the file; deploy/config/hub/advanced.toml explains every option";
            found.add("config", chain(&error), remedy);
            return found.0;
        }
    };
    if !config.admin_listen.ip().is_loopback() {
        let problem = format!("{} can be reached from other machines", config.admin_listen);
        found.add("admin_listen", problem, "use 127.0.0.1 or [::1]");
    }
    if !config.staff.iter().any(|staff| staff.roles.contains(&Role::Coordinator)) {
        let remedy = "add a [[staff]] with the name in their certificate and that role";
        found.add("staff", "nobody has the role coordinator", remedy);
    }
    let statements = check_keys(&config, &mut found);
    let domain = check_agreement(&config, statements, clock, &mut found);
    check_tls(&config, domain.as_ref(), clock, &mut found);
    check_data("data", config.data.as_path(), &mut found);
    match LAYOUT.look(config.data.as_path()) {
        Ok(Look::Current | Look::Older(_)) => {}
        Ok(Look::Newer(why)) => found.add("data", why, "use the program's later version"),
        Err(error) => found.add("data", chain(&error), "give the hub's user the folder"),
    }
    check_enquiry_keys(&config, &mut found);
    if let Some(forward) = &config.forward
        && let Err(error) = brag_common::forward::check(forward, clock)
    {
        found.add("forward", chain(&error), "correct the table [forward]");
    }
    if let Some(traces) = &config.traces
        && let Err(error) = brag_common::telemetry::traces::check(traces)
    {
        found.add("traces", error, "correct the table [traces]");
    }
    if let Some(console) = &config.console
        && let Err(error) = brag_common::console::check(console, clock)
    {
        found.add(
            "console",
            chain(&error),
            "correct the table [console]; see deploy/config/hub/advanced.toml",
        );
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, check: &str, problem: impl fmt::Display, remedy: impl fmt::Display) {
        self.0.push(Problem {
            check: check.to_owned(),
            problem: problem.to_string(),
            remedy: remedy.to_string(),
        });
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Looks at all keys; the key for statements is needed further on.
fn check_keys(config: &Config, found: &mut Found) -> Option<()> {
    let remedy = "point to the file that `hub init` made, owned by the hub's user with mode 0600";
    if let Err(error) = keyfile::read_ring(config.keys.store.as_path(), KeyKind::Store) {
        found.add("keys.store", chain(&error), remedy);
    }
    if let Err(error) = keyfile::read_signing_key(config.keys.log.as_path()) {
        found.add("keys.log", chain(&error), remedy);
    }
    if let Err(error) = keyfile::read_signing_key(config.keys.witness.as_path()) {
        found.add("keys.witness", chain(&error), remedy);
    }
    keyfile::read_signing_ring(config.keys.statements.as_path())
        .map_err(|error| found.add("keys.statements", chain(&error), remedy))
        .ok()
        .map(drop)
}

/// Verifies the agreement and compares the nodes with its parties. Gives the trust domain as far as it is known,
/// so that the certificates are looked at even when the agreement is not yet signed.
fn check_agreement(
    config: &Config,
    key: Option<()>,
    clock: &SharedClock,
    found: &mut Found,
) -> Option<TrustDomain> {
    let path = config.agreement.as_path();
    let note = std::fs::read(path)
        .map_err(|error| {
            let problem = format!("can not read `{}`: {error}", path.display());
            found.add("agreement", problem, "put the signed agreement there");
        })
        .ok()?;
    let parsed = match key.map(|()| crate::hub::read_agreement(config, clock)) {
        Some(Ok(signed)) => {
            if !signed.agreement().in_force(clock.now()) {
                let (from, to) = (signed.agreement().valid_from(), signed.agreement().valid_to());
                let problem = format!("valid from {from} to {to}, not today");
                found.add("agreement", problem, "have all parties sign one that is in force");
            }
            text_of(&note).ok().and_then(|text| Agreement::parse(&text).ok())
        }
        Some(Err(error)) => {
            let remedy = "`hub agreement check` shows what is missing; every party and the hub sign the same bytes";
            found.add("agreement", format!("{error:#}"), remedy);
            text_of(&note).ok().and_then(|text| Agreement::parse(&text).ok())
        }
        None => {
            let problem = "not verified: the key for statements can not be read";
            found.add("agreement", problem, "correct keys.statements first");
            text_of(&note).ok().and_then(|text| Agreement::parse(&text).ok())
        }
    };
    let agreement = parsed?;
    check_nodes(config, &agreement, found);
    agreement.trust_domain()?.parse().ok()
}

fn check_nodes(config: &Config, agreement: &Agreement, found: &mut Found) {
    for party in agreement.parties() {
        if !config.nodes.contains_key(party.id()) {
            let remedy = format!(
                "add: {0} = \"https://host:port\", or {0} = \"{DIALS_OUT}\" when the node dials the hub",
                party.id()
            );
            found.add("nodes", format!("no endpoint for {}", party.id()), remedy);
        }
    }
    for (agency, uri) in &config.nodes {
        if agreement.party(agency).is_none() {
            let problem = format!("{agency} is not a party to the agreement");
            found.add("nodes", problem, "take the line out, or use the agreement's id");
        }
        let is_https = uri
            .parse::<tonic::transport::Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
        if !is_https && uri != DIALS_OUT {
            let problem = format!(
                "the endpoint of {agency} is neither `https://host:port` nor `{DIALS_OUT}`"
            );
            found.add(
                "nodes",
                problem,
                "write https://, a host its certificate is good for, and a port",
            );
        }
    }
}

fn check_tls(
    config: &Config,
    domain: Option<&TrustDomain>,
    clock: &SharedClock,
    found: &mut Found,
) {
    let Some(domain) = domain else {
        let problem = "not checked: the agreement does not say which trust domain this is";
        found.add("tls", problem, "correct the agreement first");
        return;
    };
    let remedy = "certificate, key, roots and lists are PEM files; the key has mode 0600";
    let files = config.tls.files();
    let (domain_of, clock_of) = (domain.clone(), Arc::clone(clock));
    match ServerTls::load(files.clone(), domain_of, clock_of) {
        Err(error) => found.add("tls", chain(&error), remedy),
        Ok(tls) => {
            if !tls.name().is_hub() {
                let problem = format!("the certificate is for `{}`", tls.name());
                found.add("tls.certificate", problem, format!("it must name `{}`", domain.hub()));
            }
            if tls.expires() <= clock.now() {
                let problem = format!("the certificate expired at {}", tls.expires());
                found.add("tls.certificate", problem, "have a new one issued");
            }
            // The same files in the other direction; only what the first did not say.
            if let Err(error) = ClientTls::load(files, domain.clone(), Arc::clone(clock)) {
                found.add("tls", chain(&error), remedy);
            }
        }
    }
}

/// Whether files can be made in the folder, or in the nearest one above it that exists.
fn check_data(option: &str, data: &Path, found: &mut Found) {
    let existing = data.ancestors().find(|folder| folder.exists());
    let tried = existing.ok_or_else(|| std::io::Error::other("no folder above it exists"));
    let tried = tried.and_then(|folder| {
        let probe = folder.join(format!(".brag-check-{}", std::process::id()));
        OpenOptions::new().write(true).create_new(true).open(&probe)?;
        std::fs::remove_file(probe)
    });
    if let Err(error) = tried {
        let problem = format!("can not write in `{}`: {error}", data.display());
        found.add(option, problem, "make the folder and give it to the hub's user");
    }
}

/// The folder of keys lies outside of the data, and is the hub's user's alone.
fn check_enquiry_keys(config: &Config, found: &mut Found) {
    let folder = config.enquiry_key_folder();
    if folder.starts_with(config.data.as_path()) {
        let problem = format!(
            "`{}` lies in the data folder, so a copy of the data would hold them",
            folder.display()
        );
        let remedy = "choose a folder outside of `data` that no backup but its own takes";
        found.add("enquiry_keys", problem, remedy);
    }
    let shared = std::fs::metadata(&folder).is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    if shared {
        let problem = format!("`{}` is not the hub's user's alone", folder.display());
        found.add("enquiry_keys", problem, "run chmod 700 on it");
    }
    check_data("enquiry_keys", &folder, found);
}
