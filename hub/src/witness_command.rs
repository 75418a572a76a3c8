//! `hub witness`: sets up and runs a witness that is no party (see `independent_witness.rs`).

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
};

use anyhow::Context as _;
use brag_common::{
    id::StaffName,
    keyfile,
    keys::SigningKey,
    lifecycle::{Served, stop_on_signals, write_ready_file},
    peer::TrustDomain,
    telemetry,
};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    Surroundings,
    agreement_command::Exit,
    independent_witness::{Config, IndependentWitness, verifier_key},
};

/// What is written; the same file that the documentation shows.
const TEMPLATE: &str = include_str!("../../deploy/config/witness/witness.toml");
/// The trust domain in the template.
const TEMPLATE_DOMAIN: &str = "exampleshire";
/// The name in the template.
const TEMPLATE_NAME: &str = "ig";

/// A witness of the logs for information governance.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Set up a witness's folder: configuration and a new key
    ///
    /// Prints what hub and nodes put into their configuration, and the line for policies. Nothing that is there is overwritten.
    ///
    /// Example: hub witness init /etc/brag/witness --trust-domain exampleshire
    #[command(verbatim_doc_comment)]
    Init(InitArgs),
    /// Cosign the logs of hub and nodes until SIGINT or SIGTERM
    ///
    /// Example: hub witness serve --config /etc/brag/witness/witness.toml
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
}

/// Where to set up a witness.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made when it is not there
    dir: PathBuf,
    /// The partnership's trust domain: the host part of every name in its certificates
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: TrustDomain,
    /// The witness's name; its certificate says spiffe://DOMAIN/witness/NAME
    #[arg(long, default_value = TEMPLATE_NAME)]
    name: StaffName,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "./witness.toml")]
    pub config: PathBuf,
    /// Write {"listen":"ip:port","admin":"ip:port"} to this file once serving
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Sets up a witness's folder.
///
/// # Errors
/// When anything it would write is there already, or the file system refuses.
pub fn init(args: &InitArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let InitArgs { dir, trust_domain, name, json } = args;
    let (config, keys) = (dir.join("witness.toml"), dir.join("keys"));
    let key_file = keys.join("witness.key");
    for path in [&config, &key_file] {
        let is_there = fs::symlink_metadata(path).is_ok();
        anyhow::ensure!(
            !is_there,
            "`{}` exists and is not overwritten; choose another folder",
            path.display()
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("can not make `{}`", dir.display()))?;
    match DirBuilder::new().mode(0o700).create(&keys) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("can not make `{}`", keys.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let key = SigningKey::generate()?;
    keyfile::write_signing_key(&key_file, &key)?;
    let text = TEMPLATE
        .replace(&format!("\"{TEMPLATE_DOMAIN}\""), &format!("\"{trust_domain}\""))
        .replace(&format!("spiffe://{TEMPLATE_DOMAIN}/"), &format!("spiffe://{trust_domain}/"))
        .replace(&format!("name = \"{TEMPLATE_NAME}\""), &format!("name = \"{name}\""));
    let file = OpenOptions::new().write(true).create_new(true).open(&config);
    let mut file = file.with_context(|| format!("can not write `{}`", config.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;

    let public = verifier_key(trust_domain, name, key.verifying_key())?.to_string();
    let tls = trust_domain.witness(name.clone()).to_string();
    if *json {
        let document = json!({ "config": config, "keys": [key_file], "tls": tls, "key": public });
        writeln!(stdout, "{document:#}")?;
    } else {
        writeln!(stdout, "# {} is ready. For the configuration of hub and nodes:", dir.display())?;
        writeln!(stdout, "[[witness.independent]]\nendpoint = \"https://HOST:7643\"")?;
        writeln!(stdout, "tls = \"{tls}\"\nkey = \"{public}\"")?;
        writeln!(stdout, "# For policies:\nwitness {name} {public}")?;
    }
    Ok(Exit::Done)
}

/// Serves until SIGINT or SIGTERM, then lets calls under way finish.
///
/// # Errors
/// When something the witness needs is missing or wrong, or a part of it ends by itself.
pub async fn serve(args: &ServeArgs, around: Surroundings) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    telemetry::start_log(config.log)?;
    telemetry::log_start("hub witness", env!("CARGO_PKG_VERSION"), &args.config);
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let witness = IndependentWitness::build(config, around.clock, around.limits).await?;
    let listen = witness.addr()?;
    let mut written = Ok(());
    witness
        .run(shutdown.clone(), |admin| {
            if let Some(path) = &args.ready_file {
                written = write_ready_file(path, &[Served { listen, admin, console: None }]);
                if written.is_err() {
                    // Whoever waits for the file would wait for ever.
                    shutdown.cancel();
                }
            }
        })
        .await?;
    written
}
