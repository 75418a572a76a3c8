//! `agency-node serve`: runs the node until a signal stops it.

use std::path::{Path, PathBuf};

use brag_common::{
    lifecycle::{stop_on_signals, write_ready_file},
    program::keep_log_level,
    telemetry::{self, traces::Traces},
};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Surroundings,
    cli::ConfigsArg,
    partnerships::{self, Partnerships},
};

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigsArg,
    /// Write {"listen":"ip:port","admin":"ip:port"}, and "console" where there is one, to this file once serving; of several
    /// partnerships a list of these
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM, then lets calls under way finish.
///
/// # Errors
/// When something the node needs is missing or wrong, or a part of it ends by itself.
pub async fn run(args: &ServeArgs, around: Surroundings) -> anyhow::Result<()> {
    let configs = partnerships::load(args.config.paths())?;
    let shutdown = CancellationToken::new();
    // One process has one log of its own messages and one place for its traces: the first configuration's.
    let mut traces = None;
    if let Some((first, path)) = configs.first().zip(args.config.paths().first()) {
        if let Some(wanted) = &first.traces {
            let (version, instance) = (env!("CARGO_PKG_VERSION"), first.agency.to_string());
            traces = Some(Traces::start(wanted, "brag-node", version, instance)?);
        }
        let log = telemetry::start(first.log, traces.as_ref())?;
        let level = |path: &Path| Config::load(path).map(|config| config.log.level);
        tokio::spawn(keep_log_level(log, path.clone(), level, shutdown.clone()));
    }
    for path in args.config.paths() {
        telemetry::log_start("agency-node", env!("CARGO_PKG_VERSION"), path);
    }
    stop_on_signals(shutdown.clone())?;
    let nodes = Partnerships::build(configs, &around).await?.configured_by(args.config.paths());
    let mut written = Ok(());
    nodes
        .run(shutdown.clone(), |served| {
            if let Some(path) = &args.ready_file {
                written = write_ready_file(path, &served);
                if written.is_err() {
                    // Whoever waits for the file would wait for ever.
                    shutdown.cancel();
                }
            }
        })
        .await?;
    if let Some(traces) = traces {
        traces.end().await;
    }
    written
}
