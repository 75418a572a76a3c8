//! `hub init`: a folder with a configuration and new keys. Never overwrites anything.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    certificate::{self, Request},
    keyfile::{self, KeyKind},
    keys::SigningKey,
    peer::TrustDomain,
    secret::SecretBytes,
};
use clap::Args;
use serde_json::json;

use crate::agreement_command::Exit;

/// What is written; the same file that the documentation shows.
const TEMPLATE: &str = include_str!("../../deploy/config/hub/basic.toml");
/// The trust domain in the template.
const TEMPLATE_DOMAIN: &str = "exampleshire";

/// The key of the certificate, as the template has it.
const TLS_KEY: &str = "tls.key";

/// Where to set up a hub.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made when it is not there
    dir: PathBuf,
    /// The partnership's trust domain: the host part of every name in its certificates
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: TrustDomain,
    /// A DNS name or address under which nodes and staff reach the hub, for the certificate; several times for several. Default: this machine's name
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Sets up a hub's folder.
///
/// # Errors
/// When anything it would write is there already, or the file system refuses.
pub fn run(args: &InitArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = args.dir.join("hub.toml");
    let keys = args.dir.join("keys");
    let names = ["statements", "store", "log", "witness"];
    let key = |name: &str| keys.join(format!("{name}.key"));
    // All of them first, so that nothing is half done.
    let there: Vec<_> = names
        .iter()
        .map(|name| key(name))
        .chain([config.clone(), args.dir.join(TLS_KEY)])
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    anyhow::ensure!(
        there.is_empty(),
        "{} exist(s) and is not overwritten; choose another folder",
        there.join(", ")
    );
    let hosts =
        if args.hosts.is_empty() { vec![certificate::this_host()] } else { args.hosts.clone() };
    let asked = Request { name: args.trust_domain.hub(), hosts };
    asked.check()?;
    make_folder(&keys)?;
    let statements = SigningKey::generate()?;
    keyfile::write_signing_key(&key("statements"), &statements)?;
    keyfile::write(&key("store"), KeyKind::Store, &SecretBytes::random()?)?;
    keyfile::write_signing_key(&key("log"), &SigningKey::generate()?)?;
    keyfile::write_signing_key(&key("witness"), &SigningKey::generate()?)?;
    let request = certificate::write_first(&asked, &args.dir.join(TLS_KEY))?;
    write_config(&config, &args.trust_domain)?;

    let tls = asked.name.to_string();
    let signing = statements.verifying_key().to_string();
    if args.json {
        let document = json!({
            "config": config,
            "keys": names.map(key),
            "hub_keys": { "tls": tls, "signing": signing },
            "certificate_request": request,
            "hosts": asked.hosts,
        });
        writeln!(stdout, "{document:#}")?;
    } else {
        writeln!(stdout, "# {} is ready. For the agreement:", args.dir.display())?;
        writeln!(stdout, "[hub.keys]\ntls = \"{tls}\"\nsigning = \"{signing}\"")?;
        writeln!(
            stdout,
            "# {} asks the partnership's authority for a certificate, reached as {}.",
            request.display(),
            asked.hosts.join(", ")
        )?;
    }
    Ok(Exit::Done)
}

fn make_folder(keys: &Path) -> anyhow::Result<()> {
    let failed = || format!("can not make `{}`", keys.display());
    if let Some(above) = keys.parent() {
        fs::create_dir_all(above).with_context(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(keys) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(failed)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write_config(path: &Path, domain: &TrustDomain) -> anyhow::Result<()> {
    let text =
        TEMPLATE.replace(&format!("spiffe://{TEMPLATE_DOMAIN}/"), &format!("spiffe://{domain}/"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("can not write `{}`", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
