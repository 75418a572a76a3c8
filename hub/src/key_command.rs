//! `hub keys`: new keys beside those in use, without stopping the hub.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;
use brag_common::{keyfile, keys::SigningKey, store_key};
use clap::{Args, Subcommand};

use crate::{Config, agreement_command::Exit};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a signing key that is to follow the one in use, and print its public half for the agreement
    ///
    /// It lies beside the present one, and is used from the moment that a version of the agreement holds that names it.
    ///
    /// Example: hub keys new
    #[command(verbatim_doc_comment)]
    New(KeyArgs),
    /// Exchange the key file of the store; the hub may run
    ///
    /// The store's own key is wrapped by the key file, so nothing is written anew. From then on the former file opens the
    /// data no more; a copy of the data from before still opens with it, so destroy both.
    ///
    /// Example: hub keys rotate-store
    #[command(verbatim_doc_comment)]
    RotateStore(KeyArgs),
}

/// Whose keys.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The hub's configuration
    #[arg(long, value_name = "FILE", default_value = "./hub.toml")]
    config: PathBuf,
}

/// Runs a command.
///
/// # Errors
/// When a key can not be made or written.
pub fn run(command: &KeyCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::New(args) => {
            let config = Config::load(&args.config)?;
            let present = config.keys.statements.as_path();
            let path = keyfile::next_in_ring(present)
                .with_context(|| format!("looking beside {}", present.display()))?;
            let key = SigningKey::generate()?;
            keyfile::write_signing_key(&path, &key)?;
            writeln!(stdout, "Made {}. Copy it to a safe place.", path.display())?;
            writeln!(stdout, "\nFor a new version of the agreement, in [hub.keys]:\n")?;
            writeln!(stdout, "signing = \"{}\"", key.verifying_key())?;
        }
        KeyCommand::RotateStore(args) => {
            let config = Config::load(&args.config)?;
            let rotated = store_key::rotate(config.data.as_path(), config.keys.store.as_path())?;
            let path = rotated.path.display();
            writeln!(stdout, "Made {path}, which opens the store from now on.")?;
            writeln!(
                stdout,
                "Copy it to a safe place; then destroy these, and copies of the data from their time:"
            )?;
            for former in &rotated.former {
                writeln!(stdout, "  {}", former.display())?;
            }
            if rotated.former_is_data_key {
                writeln!(
                    stdout,
                    "This store is older than wrapped keys: the first of them is the key of the data itself, for as long as \
                     this store lives."
                )?;
            }
        }
    }
    Ok(Exit::Done)
}
