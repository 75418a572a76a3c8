//! What both programs do when they start and while they run: open the log with the replay check behind it,
//! and say whether they are ready.

use std::time::Duration;

use tokio::sync::watch;

use crate::{
    admin::Readiness,
    audit::{AuditLog, LogOptions, entries},
    replay::{MAX_SKEW, MAX_VALIDITY, ReplayGuard},
    time::SharedClock,
};

/// How often a program looks whether what depends on the clock has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The log's shard: a new one is begun after a restore, not by the program alone.
pub const LOG_SHARD: &str = "1";

/// Opens the log and takes the ids of recent exchanges from it, so that the replay check survives a restart.
/// Reads the whole log, off the runtime's threads.
///
/// # Errors
/// When the log can not be opened or read.
pub async fn open_log(
    options: LogOptions,
    clock: &SharedClock,
) -> anyhow::Result<(AuditLog, ReplayGuard)> {
    let now = clock.now();
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let log = AuditLog::open(options)?;
        let replay = ReplayGuard::new();
        let since = now.checked_sub(MAX_VALIDITY + MAX_SKEW * 2)?;
        for entry in entries(log.dir())? {
            let entry = entry?;
            if entry.ts >= since
                && let Some(exchange) = entry.exchange
            {
                replay.remember(exchange, entry.ts);
            }
        }
        Ok((log, replay))
    });
    opened.await?
}

/// Keeps `tell` up to date until the log is closed: ready means that the log can be written and that
/// `in_force` has nothing to say against it.
pub async fn watch_readiness(
    log: AuditLog,
    in_force: impl Fn() -> Option<String> + Send,
    tell: watch::Sender<Readiness>,
) {
    let mut available = log.availability();
    // Otherwise this task alone would keep the log open.
    drop(log);
    loop {
        let mut reasons = Vec::new();
        if !*available.borrow_and_update() {
            reasons.push("the audit log can not be written".to_owned());
        }
        reasons.extend(in_force());
        let next = Readiness::not_ready(reasons);
        tell.send_if_modified(|now| {
            let changed = *now != next;
            now.clone_from(&next);
            changed
        });
        let again = tokio::time::timeout(LOOK_AGAIN, available.changed()).await;
        if matches!(again, Ok(Err(_))) {
            return;
        }
    }
}
