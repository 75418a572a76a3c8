//! What the node stands on, whatever it is about to do: agreement, keys, store and log, opened in this order. One
//! process has them open at a time, so what works on the store is done while the node is stopped.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use brag_common::{
    agreement::{NoteError, PartyKeys, SignedAgreement},
    alert::watched::SharedWatch,
    audit::{
        AuditLog, LogOptions,
        entry::{Action, Entry, EntryDraft, Party},
    },
    durable::StoreError,
    id::AgencyId,
    keyfile::{self, KeyKind},
    keys::SigningKey,
    peer::TrustDomain,
    program::{Accepting, Loaded, load, log_options, open_log, realm, stamp},
    replay::ReplayGuard,
    seal::SealingKey,
    secret::SecretBytes,
    store_key,
    time::SharedClock,
    version_folder::{Found, VersionFolder},
    versions::{AgreementNow, RealmNow, Versions},
};

use crate::{
    budget::Screenings,
    config::Config,
    store::{Change, SharedRecords, Store},
};

/// Everything that the configuration names, except the network.
#[derive(Debug)]
pub struct Ground {
    /// The operator's configuration.
    pub config: Config,
    /// The source of time.
    pub clock: SharedClock,
    /// The agreement that holds now, signed by all parties.
    pub agreement: AgreementNow<NodeKeys>,
    /// Where agreements are kept.
    pub folder: VersionFolder,
    /// Whose names count.
    pub trust_domain: TrustDomain,
    /// Where statements hold.
    pub realm: RealmNow<NodeKeys>,
    /// Signs statements.
    pub statements: StatementsNow,
    /// Opens what is sealed to the agency.
    pub sealing: SealingNow,
    /// Records, enquiries, outgoing.
    pub store: Store,
    /// The audit log.
    pub log: AuditLog,
    /// The key of the store.
    pub store_key: SecretBytes<32>,
    /// Ids of requests that could still be alive.
    pub replay: ReplayGuard,
    /// What watches the log; it has seen all that is in it.
    pub watch: SharedWatch,
    /// Screenings that count against the budget.
    pub screenings: Arc<Screenings>,
}

impl Ground {
    /// Opens everything, for one partnership.
    ///
    /// # Errors
    /// When something is missing or wrong, or another process uses the store; the error says what and where.
    pub async fn open(
        config: Config,
        clock: SharedClock,
        change_log: impl FnOnce(LogOptions) -> LogOptions,
    ) -> anyhow::Result<Self> {
        Self::open_beside(config, clock, change_log, &SharedRecords::default()).await
    }

    /// As [`Ground::open`], beside other partnerships of the agency, which share what is open in `records`.
    ///
    /// # Errors
    /// As [`Ground::open`], and when the agency's records can not be opened.
    pub async fn open_beside(
        config: Config,
        clock: SharedClock,
        change_log: impl FnOnce(LogOptions) -> LogOptions,
        records: &SharedRecords,
    ) -> anyhow::Result<Self> {
        // Before the store is made: a node whose agreement is not accepted leaves nothing behind.
        read_sealing_key(&config, &read_agreement(&config, &clock)?)?;
        let store_key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
        let enquiry_keys = config.enquiry_key_folder();
        let store =
            Store::open(config.data.as_path(), &enquiry_keys, &store_key).map_err(|error| {
                let stop = matches!(error, StoreError::Locked { .. });
                let error = anyhow::Error::new(error);
                if stop { error.context("stop the node first") } else { error }
            })?;
        let store = match &config.records {
            Some(apart) => store.with_records(records.open(apart)?),
            None => store,
        };
        let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
        let Loaded { versions, folder, taken_up } =
            load(folder, &AsAgency::of(&config), &clock, |digest| {
                Ok(store.agreement_taken_up(digest)?)
            })?;
        let agreement = AgreementNow::of(Arc::clone(&versions));
        let (trust_domain, _) = realm(&agreement)?;
        let options = log_options(
            config.data.as_path(),
            config.keys.log.as_path(),
            &agreement,
            Party::Agency(config.agency.clone()),
            &clock,
        )?;
        let watch = SharedWatch::new(&config.oversight);
        let screenings = Arc::new(Screenings::new(config.budget));
        let seeing = (watch.clone(), Arc::clone(&screenings));
        let see = move |entry: &Entry| {
            seeing.0.saw(entry);
            seeing.1.saw(entry);
        };
        let (log, replay) = open_log(change_log(options), &clock, see).await?;
        for (stamp, at) in taken_up {
            let mut draft = EntryDraft::new(Action::AgreementLoaded);
            let digest = stamp.digest;
            draft.agreement = Some(stamp);
            log.record(draft).await?;
            let mut change = Change::new();
            change.agreement_taken_up(digest, at)?;
            store.run(move |store| store.commit(change)).await?;
        }
        Ok(Self {
            config,
            clock,
            agreement,
            folder,
            trust_domain,
            realm: RealmNow::of(Arc::clone(&versions)),
            statements: StatementsNow(Arc::clone(&versions)),
            sealing: SealingNow(versions),
            store,
            store_key,
            log,
            replay,
            watch,
            screenings,
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

/// The agency's own keys, as one version of the agreement names them.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs statements.
    pub statements: SigningKey,
    /// Opens what is sealed to the agency, also to a key that it had before.
    pub sealing: SealingKey,
}

/// How this agency accepts an agreement.
#[derive(Debug, Clone)]
pub struct AsAgency {
    agency: AgencyId,
    statements: PathBuf,
    sealing: PathBuf,
}

impl AsAgency {
    /// The agency of a configuration, with its keys.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            agency: config.agency.clone(),
            statements: config.keys.statements.as_path().to_owned(),
            sealing: config.keys.sealing.as_path().to_owned(),
        }
    }

    /// Verifies a note by whichever of the agency's keys it names.
    ///
    /// # Errors
    /// When it names none of them, or somebody's signature is missing or wrong.
    pub fn verify_note(&self, note: &[u8]) -> anyhow::Result<SignedAgreement> {
        let mut refused = None;
        for key in keyfile::read_signing_ring(&self.statements)? {
            match SignedAgreement::verify(note, (&self.agency, key.verifying_key())) {
                Ok(agreement) => return Ok(agreement),
                // Another key of the ring may be the one.
                Err(error @ NoteError::OtherKey(_)) => _ = refused.get_or_insert(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused.map_or_else(|| anyhow::anyhow!("there is no key for statements"), Into::into))
    }
}

impl Accepting<NodeKeys> for AsAgency {
    fn verify(&self, found: &Found) -> anyhow::Result<SignedAgreement> {
        self.verify_note(&found.note)
    }

    fn keys(&self, agreement: &SignedAgreement) -> anyhow::Result<NodeKeys> {
        let party = agreement.agreement().party(&self.agency).context("not a party")?;
        let named = party.keys().context("the agreement has no keys for this agency")?;
        let mut ring = keyfile::read_signing_ring(&self.statements)?.into_iter();
        let statements = ring.find(|key| key.verifying_key() == named.signing);
        let statements = statements.with_context(|| {
            format!("the key that the agreement names for {} is not here", self.agency)
        })?;
        Ok(NodeKeys { statements, sealing: sealing_key(&self.sealing, &self.agency, named)? })
    }
}

fn sealing_key(path: &Path, agency: &AgencyId, named: &PartyKeys) -> anyhow::Result<SealingKey> {
    let (mut own, mut others) = (None, Vec::new());
    for secret in keyfile::read_ring(path, KeyKind::Sealing)? {
        let key = SealingKey::from_secret(secret);
        if key.public_key()? == named.sealing {
            own = Some(key);
        } else {
            others.push(key);
        }
    }
    let own = own.with_context(|| {
        format!("the sealing key is not the one that the agreement names for {agency}")
    })?;
    Ok(own.with_others(others))
}

/// Reads the signed agreement that holds now, as this agency; of several that are installed the newest that has begun.
///
/// # Errors
/// When it can not be read, or somebody's signature is missing or wrong, or it names another key for this agency.
pub fn read_agreement(config: &Config, clock: &SharedClock) -> anyhow::Result<SignedAgreement> {
    let own = AsAgency::of(config);
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    folder.holding(clock.now(), |found| own.verify(found))
}

/// Reads the key that opens what is sealed to the agency.
///
/// # Errors
/// When it can not be read, or is not the one that the agreement names.
pub fn read_sealing_key(
    config: &Config,
    agreement: &SignedAgreement,
) -> anyhow::Result<SealingKey> {
    let party = agreement.agreement().party(&config.agency).context("not a party")?;
    let keys = party.keys().context("the agreement has no keys for this agency")?;
    sealing_key(config.keys.sealing.as_path(), &config.agency, keys)
}

/// The key with which this agency signs statements now.
#[derive(Debug)]
pub struct StatementsNow(Arc<Versions<NodeKeys>>);

impl Deref for StatementsNow {
    type Target = SigningKey;

    fn deref(&self) -> &SigningKey {
        &self.0.current().keys.statements
    }
}

/// The key that opens what is sealed to this agency now.
#[derive(Debug)]
pub struct SealingNow(Arc<Versions<NodeKeys>>);

impl Deref for SealingNow {
    type Target = SealingKey;

    fn deref(&self) -> &SealingKey {
        &self.0.current().keys.sealing
    }
}
