//! `agency-node init`: the configuration and the keys of a new node.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    certificate::{self, Request},
    id::AgencyId,
    keyfile::{self, KeyKind},
    keys::SigningKey,
    peer::TrustDomain,
    seal::SealingKey,
    secret::SecretBytes,
};
use clap::Args;
use serde_json::json;

use crate::cli::{Exit, print_json};

/// The configuration that is written, with another agency in it.
const TEMPLATE: &str = include_str!("../../deploy/config/agency-node/basic.toml");
/// The line of the template that names the agency.
const TEMPLATE_AGENCY: &str = "agency = \"EXAMPLE\"";

/// The key of the certificate, as the template has it.
const TLS_KEY: &str = "tls/node.key";

/// The files of keys, in the folder `keys`.
const KEYS: [&str; 5] = ["statements.key", "sealing.key", "store.key", "log.key", "witness.key"];

/// What to make, and where.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder of the configuration; made when it is not there
    dir: PathBuf,
    /// This agency's id in the agreement: 2 to 8 upper-case letters or digits
    #[arg(long, value_name = "ID")]
    agency: AgencyId,
    /// The partnership's trust domain, the first part of every TLS name: spiffe://DOMAIN/agency/ID
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: TrustDomain,
    /// A DNS name or address under which the hub reaches the node, for the certificate; several times for several. Default: this machine's name
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Makes configuration and keys, and prints what the agreement says of this agency.
///
/// # Errors
/// When anything is there already, or a file can not be written.
pub fn run(args: &InitArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = args.dir.join("agency-node.toml");
    let keys = args.dir.join("keys");
    let mut wanted = vec![config.clone()];
    wanted.extend(KEYS.iter().map(|name| keys.join(name)));
    let tls_key = args.dir.join(TLS_KEY);
    wanted.push(tls_key.clone());
    let there: Vec<String> = wanted
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    anyhow::ensure!(
        there.is_empty(),
        "nothing was written, because there is {} already; nothing is ever overwritten: use another folder, or \
         move it away",
        there.join(", ")
    );
    let name = args.trust_domain.agency(args.agency.clone());
    let hosts =
        if args.hosts.is_empty() { vec![certificate::this_host()] } else { args.hosts.clone() };
    let asked = Request { name, hosts };
    asked.check()?;
    let statements = SigningKey::generate()?;
    let sealing = SealingKey::generate()?;
    let log = SigningKey::generate()?;
    make_folder(&args.dir)?;
    make_folder(&keys)?;
    keyfile::write_signing_key(&keys.join("statements.key"), &statements)?;
    keyfile::write(&keys.join("sealing.key"), KeyKind::Sealing, sealing.secret())?;
    keyfile::write(&keys.join("store.key"), KeyKind::Store, &SecretBytes::random()?)?;
    keyfile::write_signing_key(&keys.join("log.key"), &log)?;
    keyfile::write_signing_key(&keys.join("witness.key"), &SigningKey::generate()?)?;
    make_folder(&args.dir.join("tls"))?;
    let request = certificate::write_first(&asked, &tls_key)?;
    write_config(&config, &args.agency)?;

    let tls = asked.name.to_string();
    let signing = statements.verifying_key().to_string();
    let sealing = sealing.public_key()?.to_string();
    let log = log.verifying_key().to_string();
    if args.json {
        print_json(
            stdout,
            &json!({
                "config": config.display().to_string(),
                "party_keys": { "tls": tls, "signing": signing, "sealing": sealing },
                "log_key": log,
                "certificate_request": request.display().to_string(),
                "hosts": asked.hosts,
            }),
        )?;
        return Ok(Exit::Done);
    }
    writeln!(stdout, "Made {} and five keys in {}.", config.display(), keys.display())?;
    writeln!(stdout, "\nFor the agreement, below the [[party]] with id = \"{}\":\n", args.agency)?;
    writeln!(stdout, "[party.keys]")?;
    writeln!(stdout, "tls = \"{tls}\"\nsigning = \"{signing}\"\nsealing = \"{sealing}\"")?;
    writeln!(stdout, "\nFor information governance, who verify the log with it: {log}")?;
    writeln!(
        stdout,
        "\nNext: copy the keys to a safe place, apart from the data; send {} (for {}, reached as {}) to the \
         partnership's authority and install what it sends back (agency-node certificate install); fill in the configuration; \
         sign the agreement; then run\n  agency-node doctor --config {}",
        request.display(),
        asked.name,
        asked.hosts.join(", "),
        config.display()
    )?;
    Ok(Exit::Done)
}

/// Makes a folder for its owner alone; one that is there stays as it is.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("can not make the folder `{}`", path.display()))
}

fn write_config(path: &Path, agency: &AgencyId) -> anyhow::Result<()> {
    let text = TEMPLATE.replacen(TEMPLATE_AGENCY, &format!("agency = \"{agency}\""), 1);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("can not write `{}`", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}
