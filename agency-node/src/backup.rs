//! `agency-node backup` and `restore`: what of a node goes into a backup, and what is looked at before one is put back.

use std::path::Path;

use anyhow::Context as _;
use brag_common::{
    audit::entry::Party,
    backup::take::{Backups, Parts},
    store_key,
    time::SharedClock,
};

use crate::{
    config::Config,
    ground::{self, Ground},
    node::Shared,
    store::Store,
};

/// Where the parts of a node are. The keys of views, of the witness and of TLS are not among them.
#[must_use]
pub fn parts(config: &Config, file: Option<&Path>) -> Parts {
    let keys = &config.keys;
    let named = [
        ("statements", &keys.statements),
        ("sealing", &keys.sealing),
        ("store", &keys.store),
        ("log", &keys.log),
    ];
    Parts {
        program: "agency-node",
        version: env!("CARGO_PKG_VERSION"),
        party: Party::Agency(config.agency.clone()),
        config: file.map(Path::to_owned),
        data: config.data.as_path().to_owned(),
        agreement: config.agreement.as_path().to_owned(),
        enquiry_keys: config.enquiry_key_folder(),
        keys: named.map(|(name, path)| (name, path.as_path().to_owned())).into(),
        recovery_key: config.backup.recovery_key,
    }
}

/// Makes backups of a node that runs, with the configuration in `file`.
#[must_use]
pub fn of_running(shared: &Shared, file: Option<&Path>) -> Backups {
    Backups {
        parts: parts(&shared.config, file),
        store: shared.store.durable().clone(),
        log: shared.log.audit().clone(),
        clock: shared.clock.clone(),
    }
}

/// Makes backups of a node that is stopped. It is opened as for any work on a stopped node, so its log is written too.
///
/// # Errors
/// When something is missing or wrong, or the node runs and can not be asked.
pub async fn of_stopped(
    config: Config,
    file: &Path,
    clock: SharedClock,
) -> anyhow::Result<Backups> {
    let Ground { config, clock, store, log, .. } =
        Ground::open(config, clock, |options| options).await?;
    let parts = parts(&config, Some(file));
    Ok(Backups { parts, store: store.durable().clone(), log, clock })
}

/// Looks at a node that was put together from a backup: that the agreement verifies and names keys that are there, that the store opens, and that
/// every value in it reads, as far as it has a key. Blocking.
///
/// # Errors
/// The first that is not in order.
pub fn check(file: &Path, clock: &SharedClock) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    let agreement = ground::read_agreement(&config, clock)?;
    ground::read_sealing_key(&config, &agreement)?;
    let key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
    let store = Store::open(config.data.as_path(), &config.enquiry_key_folder(), &key)
        .context("the store, with the keys of enquiries")?;
    for row in store.durable().scan(b"") {
        row.context("the store")?;
    }
    Ok(())
}
