//! `hub serve`: runs the hub until a signal stops it.

use std::path::{Path, PathBuf};

use brag_common::{
    lifecycle::{stop_on_signals, write_ready_file},
    program::keep_log_level,
    telemetry::{self, traces::Traces},
};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{Config, Hub, Surroundings};

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "./hub.toml")]
    pub config: PathBuf,
    /// Write {"listen":"ip:port","admin":"ip:port"}, and "console" where there is one, to this file once serving
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM, then lets calls under way finish.
///
/// # Errors
/// When something the hub needs is missing or wrong, or a part of it ends by itself.
pub async fn run(args: &ServeArgs, around: Surroundings) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let traces = match &config.traces {
        Some(traces) => {
            let (version, instance) = (env!("CARGO_PKG_VERSION"), "hub".to_owned());
            Some(Traces::start(traces, "brag-hub", version, instance)?)
        }
        None => None,
    };
    let log = telemetry::start(config.log, traces.as_ref())?;
    telemetry::log_start("hub", env!("CARGO_PKG_VERSION"), &args.config);
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let level = |path: &Path| Config::load(path).map(|config| config.log.level);
    tokio::spawn(keep_log_level(log, args.config.clone(), level, shutdown.clone()));
    let hub = Hub::build(config, around, shutdown.clone()).await?.configured_by(&args.config);
    let mut written = Ok(());
    hub.run(|served| {
        if let Some(path) = &args.ready_file {
            written = write_ready_file(path, &[served]);
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
