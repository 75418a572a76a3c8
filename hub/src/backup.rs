//! `hub backup` and `restore`: what of the hub goes into a backup, and what is looked at before one is put back.

use std::path::Path;

use anyhow::Context as _;
use brag_common::{
    audit::entry::Party,
    backup::take::{Backups, Parts},
    program::{log_options, open_log},
    store_key,
    time::SharedClock,
};

use crate::{
    config::Config,
    hub::{Shared, read_agreement},
    store::Store,
};

/// Where the parts of the hub are. The keys of the witness and of TLS are not among them.
#[must_use]
pub fn parts(config: &Config, file: Option<&Path>) -> Parts {
    let keys = &config.keys;
    let named = [("statements", &keys.statements), ("store", &keys.store), ("log", &keys.log)];
    Parts {
        program: "hub",
        version: env!("CARGO_PKG_VERSION"),
        party: Party::Hub,
        config: file.map(Path::to_owned),
        data: config.data.as_path().to_owned(),
        agreement: config.agreement.as_path().to_owned(),
        enquiry_keys: config.enquiry_key_folder(),
        keys: named.map(|(name, path)| (name, path.as_path().to_owned())).into(),
        recovery_key: config.backup.recovery_key,
    }
}

/// Makes backups of the hub that runs, with the configuration in `file`.
#[must_use]
pub fn of_running(shared: &Shared, file: Option<&Path>) -> Backups {
    Backups {
        parts: parts(&shared.config, file),
        store: shared.store.durable().clone(),
        log: shared.log.audit().clone(),
        clock: shared.clock.clone(),
    }
}

/// Makes backups of a hub that is stopped: opens its store and its log.
///
/// # Errors
/// When something is missing or wrong, or the hub runs and can not be asked.
pub async fn of_stopped(
    config: Config,
    file: &Path,
    clock: SharedClock,
) -> anyhow::Result<Backups> {
    let agreement = read_agreement(&config, &clock)?;
    let data = config.data.as_path();
    let key = store_key::open(data, config.keys.store.as_path())?;
    let store = Store::open(data, &config.enquiry_key_folder(), &key)?;
    let options = log_options(data, config.keys.log.as_path(), &agreement, Party::Hub, &clock)?;
    let (log, _) = open_log(options, &clock, |_| ()).await?;
    let parts = parts(&config, Some(file));
    Ok(Backups { parts, store: store.durable().clone(), log, clock })
}

/// Looks at a hub that was put together from a backup: that the agreement verifies, that the store opens, and that every value in it reads, as
/// far as it has a key. Blocking.
///
/// # Errors
/// The first that is not in order.
pub fn check(file: &Path, clock: &SharedClock) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    read_agreement(&config, clock)?;
    let key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
    let store = Store::open(config.data.as_path(), &config.enquiry_key_folder(), &key)
        .context("the store, with the keys of enquiries")?;
    for row in store.durable().scan(b"") {
        row.context("the store")?;
    }
    Ok(())
}
