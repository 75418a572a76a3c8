//! What the node stands on, whatever it is about to do: agreement, keys, store and log, opened in this order. One
//! process has them open at a time, so what works on the store is done while the node is stopped.

use anyhow::Context as _;
use brag_common::{
    agreement::SignedAgreement,
    audit::{
        AuditLog, LogOptions,
        entry::{Action, EntryDraft, Party},
    },
    durable::StoreError,
    keyfile::{self, KeyKind},
    keys::SigningKey,
    peer::TrustDomain,
    program::{log_options, open_log, realm, stamp},
    replay::ReplayGuard,
    seal::SealingKey,
    statement::Realm,
    time::SharedClock,
};

use crate::{config::Config, store::Store};

/// Everything that the configuration names, except the network.
#[derive(Debug)]
pub struct Ground {
    /// The operator's configuration.
    pub config: Config,
    /// The source of time.
    pub clock: SharedClock,
    /// The agreement, signed by all parties.
    pub agreement: SignedAgreement,
    /// Whose names count.
    pub trust_domain: TrustDomain,
    /// Where statements hold.
    pub realm: Realm,
    /// Signs statements.
    pub statements: SigningKey,
    /// Opens what is sealed to the agency.
    pub sealing: SealingKey,
    /// Records, enquiries, outgoing.
    pub store: Store,
    /// The audit log.
    pub log: AuditLog,
    /// Ids of requests that could still be alive.
    pub replay: ReplayGuard,
}

impl Ground {
    /// Opens everything.
    ///
    /// # Errors
    /// When something is missing or wrong, or another process uses the store; the error says what and where.
    pub async fn open(
        config: Config,
        clock: SharedClock,
        change_log: impl FnOnce(LogOptions) -> LogOptions,
    ) -> anyhow::Result<Self> {
        let statements = keyfile::read_signing_key(config.keys.statements.as_path())?;
        let agreement = read_agreement(&config, &statements)?;
        let (trust_domain, realm) = realm(&agreement)?;
        let store_key = keyfile::read(config.keys.store.as_path(), KeyKind::Store)?;
        let sealing = read_sealing_key(&config, &agreement)?;
        let store = Store::open(config.data.as_path(), &store_key).map_err(|error| {
            let stop = matches!(error, StoreError::Locked { .. });
            let error = anyhow::Error::new(error);
            if stop { error.context("stop the node first") } else { error }
        })?;
        let options = log_options(
            config.data.as_path(),
            config.keys.log.as_path(),
            &agreement,
            Party::Agency(config.agency.clone()),
            &clock,
        )?;
        let (log, replay) = open_log(change_log(options), &clock).await?;
        Ok(Self {
            config,
            clock,
            agreement,
            trust_domain,
            realm,
            statements,
            sealing,
            store,
            log,
            replay,
        })
    }

    /// An entry under this agreement.
    #[must_use]
    pub fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = EntryDraft::new(action);
        draft.agreement = Some(stamp(&self.agreement));
        draft
    }
}

/// Reads the signed agreement as this agency.
///
/// # Errors
/// When it can not be read, or somebody's signature is missing or wrong, or it names another key for this agency.
pub fn read_agreement(config: &Config, statements: &SigningKey) -> anyhow::Result<SignedAgreement> {
    let path = config.agreement.as_path();
    let note = std::fs::read(path)
        .with_context(|| format!("can not read the agreement `{}`", path.display()))?;
    SignedAgreement::verify(&note, (&config.agency, statements.verifying_key()))
        .with_context(|| format!("the agreement `{}` is not accepted", path.display()))
}

/// Reads the key that opens what is sealed to the agency.
///
/// # Errors
/// When it can not be read, or is not the one that the agreement names.
pub fn read_sealing_key(
    config: &Config,
    agreement: &SignedAgreement,
) -> anyhow::Result<SealingKey> {
    let path = config.keys.sealing.as_path();
    let sealing = SealingKey::from_secret(keyfile::read(path, KeyKind::Sealing)?);
    let party = agreement.agreement().party(&config.agency).context("not a party")?;
    let keys = party.keys().context("the agreement has no keys for this agency")?;
    anyhow::ensure!(
        keys.sealing == sealing.public_key()?,
        "the sealing key is not the one that the agreement names for {}",
        config.agency
    );
    Ok(sealing)
}
