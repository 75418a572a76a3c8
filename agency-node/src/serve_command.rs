//! `agency-node serve`: runs the node until a signal stops it.

use std::path::{Path, PathBuf};

use brag_common::{
    lifecycle::{stop_on_signals, write_ready_file},
    program::keep_log_level,
    telemetry,
};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{Config, Node, Surroundings, cli::ConfigArg};

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Write {"listen":"ip:port","admin":"ip:port"}, and "console" where there is one, to this file once serving
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM, then lets calls under way finish.
///
/// # Errors
/// When something the node needs is missing or wrong, or a part of it ends by itself.
pub async fn run(args: &ServeArgs, around: Surroundings) -> anyhow::Result<()> {
    let config = Config::load(args.config.path())?;
    let log = telemetry::start_log(config.log)?;
    telemetry::log_start("agency-node", env!("CARGO_PKG_VERSION"), args.config.path());
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let path = args.config.path().to_owned();
    let level = |path: &Path| Config::load(path).map(|config| config.log.level);
    tokio::spawn(keep_log_level(log, path, level, shutdown.clone()));
    let node = Node::build(config, around).await?;
    let mut written = Ok(());
    node.run(shutdown.clone(), |served| {
        if let Some(path) = &args.ready_file {
            written = write_ready_file(path, served);
            if written.is_err() {
                // Whoever waits for the file would wait for ever.
                shutdown.cancel();
            }
        }
    })
    .await?;
    written
}
