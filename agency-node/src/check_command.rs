//! `agency-node check-config`: everything that would keep a node from serving, at once, with what to do about it.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use brag_common::{
    agreement::SignedAgreement,
    durable::Look,
    keyfile::{self, KeyKind},
    program::realm,
    time::SharedClock,
    tls::{ClientTls, ServerTls},
};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    Config,
    cli::{ConfigArg, Exit, print_json},
    config::{RecordsConfig, Role},
    connect, ground,
    store::LAYOUT,
};

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Something that was found.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What it is about, for example `keys.statements`.
    pub subject: &'static str,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// What keeps the node from serving.
    pub problems: Vec<Finding>,
    /// What is worth knowing and does not.
    pub notes: Vec<Finding>,
}

impl Findings {
    fn problem(
        &mut self,
        subject: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (what, remedy) = (what.into(), remedy.into());
        self.problems.push(Finding { subject, what, remedy });
    }

    fn note(&mut self, subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        let (what, remedy) = (what.into(), remedy.into());
        self.notes.push(Finding { subject, what, remedy });
    }
}

/// Checks and says what was found.
///
/// # Errors
/// When standard output can not be written.
pub fn run(args: &CheckArgs, clock: &SharedClock, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut findings = Findings::default();
    match Config::load(args.config.path()) {
        Ok(config) => check(&config, clock, Addresses::Free, &mut findings),
        Err(error) => findings.problem(
            "configuration",
            format!("{:#}", anyhow::Error::new(error)),
            "correct the file; deploy/config/agency-node/advanced.toml explains every option",
        ),
    }
    let exit = if findings.problems.is_empty() { Exit::Done } else { Exit::Failed };
    if args.json {
        let ok = findings.problems.is_empty();
        print_json(
            stdout,
            &json!({ "ok": ok, "problems": findings.problems, "notes": findings.notes }),
        )?;
        return Ok(exit);
    }
    match findings.problems.len() {
        0 => writeln!(stdout, "{}: everything is in order", args.config.path().display())?,
        1 => writeln!(stdout, "{}: 1 problem", args.config.path().display())?,
        n => writeln!(stdout, "{}: {n} problems", args.config.path().display())?,
    }
    let problems = findings.problems.iter().map(|finding| ("problem", finding));
    let notes = findings.notes.iter().map(|finding| ("note", finding));
    for (heading, finding) in problems.chain(notes) {
        writeln!(stdout, "{heading}: {}: {}", finding.subject, finding.what)?;
        writeln!(stdout, "    to do: {}", finding.remedy)?;
    }
    Ok(exit)
}

/// Whether the addresses have to be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Nothing should listen there yet.
    Free,
    /// The program itself listens there.
    Ours,
}

/// Checks a configuration that has been read. Blocks on the disk.
pub fn check(config: &Config, clock: &SharedClock, addresses: Addresses, findings: &mut Findings) {
    let agreement = check_keys_and_agreement(config, clock, findings);
    check_tls(config, agreement.as_ref(), clock, findings);
    check_data(config.data.as_path(), findings);
    if let Some(forward) = &config.forward
        && let Err(error) = brag_common::forward::check(forward, clock)
    {
        let what = format!("{:#}", anyhow::Error::new(error));
        findings.problem("forward", what, "correct the table [forward]");
    }
    if let Some(traces) = &config.traces
        && let Err(error) = brag_common::telemetry::traces::check(traces)
    {
        findings.problem("traces", error.to_string(), "correct the table [traces]");
    }
    check_key_folder("view_keys", &config.view_key_folder(), "no backup", config, findings);
    check_key_folder(
        "enquiry_keys",
        &config.enquiry_key_folder(),
        "no backup but its own",
        config,
        findings,
    );
    if let Some(records) = &config.records {
        check_records(records, config, findings);
    }
    check_addresses(config, addresses, findings);
    if let Some(console) = &config.console
        && let Err(error) = brag_common::console::check(console, clock)
    {
        findings.problem(
            "console",
            format!("{:#}", anyhow::Error::new(error)),
            "correct the table [console]; see deploy/config/agency-node/advanced.toml",
        );
    }
    for wrong in connect::config::check(&config.connector) {
        findings.problem("connector", wrong.what, wrong.remedy);
    }
    if config.staff.is_empty() {
        findings.note(
            "staff",
            "nobody is listed, so nobody can rate, approve or open detail",
            "add a [[staff]] block for each assessor and approver",
        );
    }
    let has = |role| config.staff.iter().any(|person| person.roles.contains(&role));
    if has(Role::Approver) && !has(Role::Deputy) {
        findings.note(
            "staff",
            "there is no deputy, so a release that no approver decides is escalated to nobody and ends in a refusal",
            "give somebody the role `deputy`",
        );
    }
    for (place, person) in config.staff.iter().enumerate() {
        if person.roles.is_empty() {
            findings.note(
                "staff",
                format!("entry {} has no role", place + 1),
                "give the person `assessor`, `approver`, `deputy` or several, or take the block out",
            );
        }
    }
}

fn check_keys_and_agreement(
    config: &Config,
    clock: &SharedClock,
    findings: &mut Findings,
) -> Option<SignedAgreement> {
    let remedy = "run `agency-node init` for new keys, or put the key file back; mode 0600, owned by the node's user";
    let paths = &config.keys;
    let statements = keyfile::read_signing_ring(paths.statements.as_path());
    let rest = [
        ("keys.sealing", keyfile::read_ring(paths.sealing.as_path(), KeyKind::Sealing).map(drop)),
        ("keys.store", keyfile::read_ring(paths.store.as_path(), KeyKind::Store).map(drop)),
        ("keys.log", keyfile::read_signing_key(paths.log.as_path()).map(drop)),
        ("keys.witness", keyfile::read_signing_key(paths.witness.as_path()).map(drop)),
    ];
    let sealing_reads = rest.first().is_some_and(|(_, read)| read.is_ok());
    for (subject, read) in rest {
        if let Err(error) = read {
            findings.problem(subject, format!("{:#}", anyhow::Error::new(error)), remedy);
        }
    }
    match statements {
        Ok(_) => {}
        Err(error) => {
            let what = format!("{:#}", anyhow::Error::new(error));
            findings.problem("keys.statements", what, remedy);
            if let Err(error) = std::fs::metadata(config.agreement.as_path()) {
                let what = format!("`{}`: {error}", config.agreement.as_path().display());
                findings.problem("agreement", what, "put the signed agreement there");
            }
            return None;
        }
    }
    let agreement = match ground::read_agreement(config, clock) {
        Ok(agreement) => agreement,
        Err(error) => {
            findings.problem(
                "agreement",
                format!("{error:#}"),
                "get the note that every party and the hub have signed; if it names another key for this agency, the \
                 partnership signs anew with the key that `agency-node init` printed",
            );
            return None;
        }
    };
    if sealing_reads && let Err(error) = ground::read_sealing_key(config, &agreement) {
        let remedy =
            "put back the key whose public half the agreement names, or have the agreement changed";
        findings.problem("keys.sealing", format!("{error:#}"), remedy);
    }
    let (model, now) = (agreement.agreement(), clock.now());
    if !model.in_force(now) {
        findings.problem(
            "agreement",
            format!("{} version {} is not in force today", model.id(), model.version()),
            "put the signed successor there; without an agreement in force every request is refused",
        );
    }
    if !model.party(&config.agency).is_some_and(|party| party.in_force(now)) {
        findings.problem(
            "agency",
            format!("{} is not a party any more", config.agency),
            "an agency that has withdrawn does not serve",
        );
    }
    Some(agreement)
}

fn check_tls(
    config: &Config,
    agreement: Option<&SignedAgreement>,
    clock: &SharedClock,
    findings: &mut Findings,
) {
    let files = config.tls.files();
    let Some(agreement) = agreement else {
        // Without the agreement nobody knows which names count; whether the files are there shows all the same.
        let all = [&files.certificate, &files.private_key, &files.roots];
        for path in all.into_iter().chain(files.crls.as_ref()) {
            if let Err(error) = std::fs::File::open(path) {
                let what = format!("`{}`: {error}", path.display());
                findings.problem(
                    "tls",
                    what,
                    "put the PEM file there, readable by the node's user",
                );
            }
        }
        return;
    };
    let loaded = realm(agreement).and_then(|(domain, _)| {
        ServerTls::load(files.clone(), domain.clone(), Arc::clone(clock))?;
        Ok(ClientTls::load(files, domain, Arc::clone(clock))?)
    });
    let tls = match loaded {
        Ok(tls) => tls,
        Err(error) => {
            let remedy =
                "correct [tls]: PEM files, a private key of mode 0600 that fits the certificate";
            findings.problem("tls", format!("{error:#}"), remedy);
            return;
        }
    };
    let expected = agreement.agreement().party(&config.agency).and_then(|party| party.keys());
    if let Some(expected) = expected.map(|keys| keys.tls.as_str())
        && tls.name().to_string() != expected
    {
        findings.problem(
            "tls.certificate",
            format!("its name is `{}`, the agreement says `{expected}`", tls.name()),
            "get a certificate with the name that the agreement gives this agency",
        );
    }
    if tls.expires() <= clock.now() {
        let what = format!("it expired at {}", tls.expires());
        findings.problem("tls.certificate", what, "get a new certificate");
    }
}

fn check_data(data: &Path, findings: &mut Findings) {
    // The folder may not be there yet; then the one that would hold it has to be writable.
    let Some(folder) = data.ancestors().find(|folder| folder.exists()) else { return };
    let probe = folder.join(format!(".agency-node-check-{}", std::process::id()));
    let written =
        std::fs::write(&probe, b"may be deleted\n").and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        findings.problem(
            "data",
            format!("`{}` can not be written: {error}", folder.display()),
            "give the node's user the folder, on a local disk with space left",
        );
    }
    match LAYOUT.look(data) {
        Ok(Look::Current) => {}
        Ok(Look::Older(steps)) => findings.note(
            "data",
            format!("the next start migrates the store: {}", steps.join("; ")),
            "make a backup first; a former version of the program does not read the store afterwards",
        ),
        Ok(Look::Newer(why)) => findings.problem("data", why, "use the program's later version"),
        Err(error) => findings.problem(
            "data",
            format!("the version of the store can not be read: {error}"),
            "give the node's user the folder",
        ),
    }
}

/// Looks at the folder and the key of records that several partnerships share.
fn check_records(records: &RecordsConfig, config: &Config, findings: &mut Findings) {
    let (data, key) = (records.data.as_path(), records.key.as_path());
    if data.starts_with(config.data.as_path()) {
        findings.problem(
            "records.data",
            format!("`{}` lies in `data`, which is one partnership's", data.display()),
            "choose a folder outside of the data folder of every partnership",
        );
    }
    check_data(data, findings);
    if let Err(error) = keyfile::read_ring(key, KeyKind::Store) {
        findings.problem(
            "records.key",
            format!("{:#}", anyhow::Error::new(error)),
            "run `agency-node keys new records` for a new one, or put the key file back; mode 0600, owned by the node's user",
        );
    }
}

/// Looks at a folder of keys, which lies outside of the data. `backup` is what may copy it.
fn check_key_folder(
    option: &'static str,
    folder: &Path,
    backup: &str,
    config: &Config,
    findings: &mut Findings,
) {
    if folder.starts_with(config.data.as_path()) {
        findings.problem(
            option,
            format!(
                "`{}` lies in the data folder, so a copy of the data would hold them",
                folder.display()
            ),
            format!("choose a folder outside of `data` that {backup} takes"),
        );
    }
    let exists = folder.exists();
    let above = if exists { Some(folder) } else { folder.ancestors().find(|f| f.exists()) };
    let Some(above) = above else { return };
    let private =
        !exists || std::fs::metadata(above).is_ok_and(|metadata| metadata.mode() & 0o077 == 0);
    if !private {
        findings.problem(
            option,
            format!("`{}` is not the node's user's alone", folder.display()),
            "run chmod 700 on it",
        );
    }
    let probe = above.join(format!(".agency-node-check-{}", std::process::id()));
    let written =
        std::fs::write(&probe, b"may be deleted\n").and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        findings.problem(
            option,
            format!("`{}` can not be written: {error}", above.display()),
            format!("give the node's user the folder, on a local disk that {backup} takes"),
        );
    }
}

fn check_addresses(config: &Config, addresses: Addresses, findings: &mut Findings) {
    if !config.admin_listen.ip().is_loopback() {
        findings.problem(
            "admin_listen",
            format!("`{}` is not a loopback address, and it has no sign-in", config.admin_listen),
            "use 127.0.0.1 or [::1]",
        );
    } else if addresses == Addresses::Free {
        check_bind("admin_listen", config.admin_listen, findings);
    }
    if addresses == Addresses::Free {
        check_bind("listen", config.listen, findings);
    }
    check_way_to_the_hub(config, findings);
}

fn check_way_to_the_hub(config: &Config, findings: &mut Findings) {
    let hub = &config.hub;
    if let Err(error) = hub.route() {
        let (subject, remedy) = if error.to_string().starts_with("[hub] proxy") {
            (
                "hub.proxy",
                "write the address of the proxy, and its credentials into a file of mode 0600",
            )
        } else {
            ("hub.endpoint", "write the address that the hub's operator gave you")
        };
        findings.problem(subject, format!("{error:#}"), remedy);
    }
    if !(1..=4).contains(&hub.connections) {
        findings.problem(
            "hub.connections",
            format!("{} connections to the hub", hub.connections),
            "1 to 4; two are enough",
        );
    }
    if hub.dial_out && !config.listen.ip().is_loopback() {
        findings.note(
            "listen",
            format!("the node dials the hub, and listens on {} all the same", config.listen),
            "if no staff reach it from other machines, listen on 127.0.0.1",
        );
    }
}

fn check_bind(subject: &'static str, address: SocketAddr, findings: &mut Findings) {
    match TcpListener::bind(address) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AddrInUse => findings.note(
            subject,
            format!("something listens on {address} already"),
            "if it is this node, all is well; otherwise choose another port",
        ),
        Err(error) => findings.problem(
            subject,
            format!("can not listen on {address}: {error}"),
            "use an address of this machine, and a port that the node's user may open",
        ),
    }
}
