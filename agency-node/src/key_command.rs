//! `agency-node keys`: new keys beside those in use, without stopping the node.

use std::io::Write;

use anyhow::Context as _;
use brag_common::{
    keyfile::{self, KeyKind},
    keys::SigningKey,
    seal::SealingKey,
    secret::SecretBytes,
    store_key,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    Config,
    cli::{ConfigArg, Exit, print_json},
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key that is to follow the one in use, and print its public half for the agreement
    ///
    /// It lies beside the present one, for example `statements-2.key`, and is used from the moment that a version of the
    /// agreement holds that names it. Copy it to a safe place. The former key stays: what was sealed to it may still
    /// arrive.
    ///
    /// Example: agency-node keys new signing
    #[command(verbatim_doc_comment)]
    New(NewArgs),
    /// Exchange the key file of the store; the node may run
    ///
    /// The store's own key is wrapped by the key file, so nothing is written anew. From then on the former file opens the
    /// data no more; a copy of the data from before still opens with it, so destroy both.
    ///
    /// Example: agency-node keys rotate-store
    #[command(verbatim_doc_comment)]
    RotateStore(RotateArgs),
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Signs ratings, links, assertions and decisions
    Signing,
    /// Opens what others seal to the agency
    Sealing,
    /// Encrypts the records that several partnerships share: `records.key` of the configuration; made once
    Records,
}

/// Which key to make.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Which key
    which: Which,
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Whose store.
#[derive(Debug, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs a command.
///
/// # Errors
/// When a key can not be made or written.
pub fn run(command: &KeyCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::New(args) => new(args, stdout),
        KeyCommand::RotateStore(args) => rotate_store(args, stdout),
    }
}

fn new(args: &NewArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let next = |path: &std::path::Path| {
        keyfile::next_in_ring(path).with_context(|| format!("looking beside {}", path.display()))
    };
    let (field, path, public) = match args.which {
        Which::Signing => {
            let path = next(config.keys.statements.as_path())?;
            let key = SigningKey::generate()?;
            keyfile::write_signing_key(&path, &key)?;
            ("signing", path, key.verifying_key().to_string())
        }
        Which::Records => return new_records_key(&config, args.json, stdout),
        Which::Sealing => {
            let path = next(config.keys.sealing.as_path())?;
            let key = SealingKey::generate()?;
            keyfile::write(&path, KeyKind::Sealing, key.secret())?;
            ("sealing", path, key.public_key()?.to_string())
        }
    };
    if args.json {
        print_json(stdout, &json!({ "file": path, field: public }))?;
    } else {
        writeln!(stdout, "Made {}. Copy it to a safe place.", path.display())?;
        writeln!(
            stdout,
            "\nFor a new version of the agreement, in [party.keys] of {}:\n",
            config.agency
        )?;
        writeln!(stdout, "{field} = \"{public}\"")?;
    }
    Ok(Exit::Done)
}

/// Makes the key of shared records, unless there is one.
fn new_records_key(config: &Config, json: bool, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let records = config.records.as_ref();
    let path = records.context("the configuration has no [records]; add `data` and `key` there")?;
    let path = path.key.as_path();
    keyfile::write(path, KeyKind::Store, &SecretBytes::random()?)?;
    if json {
        print_json(stdout, &json!({ "file": path }))?;
    } else {
        writeln!(stdout, "Made {}. Copy it to a safe place, apart from the data.", path.display())?;
    }
    Ok(Exit::Done)
}

fn rotate_store(args: &RotateArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let rotated = store_key::rotate(config.data.as_path(), config.keys.store.as_path())?;
    writeln!(stdout, "Made {}, which opens the store from now on.", rotated.path.display())?;
    writeln!(
        stdout,
        "Copy it to a safe place; then destroy these, and copies of the data from their time:"
    )?;
    for path in &rotated.former {
        writeln!(stdout, "  {}", path.display())?;
    }
    if rotated.former_is_data_key {
        writeln!(
            stdout,
            "This store is older than wrapped keys: the first of them is the key of the data itself, for as long as this store \
             lives. If it was seen by others, import into a new data folder."
        )?;
    }
    Ok(Exit::Done)
}
