//! What both programs do when they start and while they run: open the log with the replay check behind it,
//! and say whether they are ready.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::sync::watch;

mod agreements;
mod reloading;

pub use agreements::{Accepting, Loaded, Took, install, load, watch_agreements};
pub use reloading::{CertificateMetrics, Reloading, keep_log_level, keep_reloading};

use crate::{
    admin::Readiness,
    agreement::{Environment, SignedAgreement},
    audit::{
        AuditLog, Entry, LogOptions, Origin, entries,
        entry::{AgreementStamp, Party},
        restored::Restored,
        shard,
    },
    config::WitnessConfig,
    keyfile,
    peer::TrustDomain,
    replay::{MAX_SKEW, MAX_VALIDITY, ReplayGuard},
    serve::Limits,
    statement::Realm,
    time::SharedClock,
    tlog::{NoteKey, Policy},
    witness::{
        self, Witness,
        cosigned::Quorum,
        keys::{witness_key, witness_name},
    },
};

/// How often a program looks whether what depends on the clock has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The first shard of every log; a later one is begun with the year, or by a person ([`shard`]).
pub const LOG_SHARD: &str = "1";

/// The folder of the log's shards, within a program's data.
pub const LOG_FOLDER: &str = "log";

/// What a program is given besides its configuration; tests give their own.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The source of time.
    pub clock: SharedClock,
    /// Bounds on what callers may do.
    pub limits: Limits,
    /// Changes the log's options before it is opened.
    pub log_options: fn(LogOptions) -> LogOptions,
    /// Makes the log's disk fail on demand.
    #[cfg(feature = "test-util")]
    pub log_faults: Option<crate::audit::FaultSwitch>,
}

impl Surroundings {
    /// The machine's clock, the default limits.
    #[must_use]
    pub fn of_this_machine(clock: SharedClock) -> Self {
        Self {
            clock,
            limits: Limits::default(),
            log_options: |options| options,
            #[cfg(feature = "test-util")]
            log_faults: None,
        }
    }

    /// The log's options as these surroundings want them.
    #[must_use]
    pub fn change(&self, options: LogOptions) -> LogOptions {
        let options = (self.log_options)(options);
        #[cfg(feature = "test-util")]
        if let Some(switch) = self.log_faults.clone() {
            return options.faults(switch);
        }
        options
    }
}

/// The trust domain of everybody's TLS name, and where statements hold.
///
/// # Errors
/// When the agreement gives nobody a TLS name.
pub fn realm(agreement: &SignedAgreement) -> anyhow::Result<(TrustDomain, Realm)> {
    let name = agreement.agreement().trust_domain();
    let trust_domain: TrustDomain =
        name.context("the agreement gives nobody a TLS name")?.parse()?;
    let realm = Realm {
        trust_domain: trust_domain.to_string(),
        environment: agreement.agreement().environment().word().to_owned(),
        agreement: agreement.digest(),
    };
    Ok((trust_domain, realm))
}

/// The agreement as log entries name it.
#[must_use]
pub fn stamp(agreement: &SignedAgreement) -> AgreementStamp {
    let digest = agreement.digest();
    let agreement = agreement.agreement();
    AgreementStamp { id: agreement.id().clone(), version: agreement.version(), digest }
}

/// The options of a party's log in `data`, signed with the key in `key_file`.
///
/// # Errors
/// When the key can not be read.
pub fn log_options(
    data: &Path,
    key_file: &Path,
    agreement: &SignedAgreement,
    party: Party,
    clock: &SharedClock,
) -> anyhow::Result<LogOptions> {
    let (trust_domain, _) = realm(agreement)?;
    let logs = data.join(LOG_FOLDER);
    let shard = shard::current(&logs)
        .with_context(|| format!("can not read the folder `{}`", logs.display()))?;
    let origin = Origin::new(trust_domain.as_str(), party, &shard)?;
    let key = keyfile::read_signing_key(key_file)?;
    let options = LogOptions::new(logs, origin, key, Arc::clone(clock)).a_shard_each_year();
    Ok(match agreement.agreement().environment() {
        Environment::Test => options.in_test_environment(),
        Environment::Production => options,
    })
}

/// Opens a party's witness of other logs, in `data`, with the key in `key_file`.
///
/// # Errors
/// When the key can not be read, or the disk fails.
pub fn open_witness(
    data: &Path,
    key_file: &Path,
    trust_domain: &TrustDomain,
    party: &Party,
) -> anyhow::Result<Arc<Witness>> {
    let key = keyfile::read_signing_key(key_file)?;
    let public = witness_key(trust_domain, party, key.verifying_key());
    let dir = data.join(witness::FOLDER);
    let failed = || format!("can not open `{}`", dir.display());
    Ok(Arc::new(Witness::open(dir.clone(), public, key).with_context(failed)?))
}

/// Whose cosignatures a release of detail waits for: those of the operator's policy, where there is one, otherwise `own_rule`.
/// `parties` are those whom this program asks to cosign.
///
/// # Errors
/// When the policy can not be read, is not of this log, asks for no witness, or names one that is not asked.
pub fn quorum(
    config: &WitnessConfig,
    log: &AuditLog,
    trust_domain: &TrustDomain,
    parties: impl IntoIterator<Item = Party>,
    own_rule: Quorum,
) -> anyhow::Result<Quorum> {
    for witness in &config.independent {
        anyhow::ensure!(
            witness.tls.trust_domain() == trust_domain,
            "[[witness.independent]] {} is not of the trust domain {trust_domain}",
            witness.tls
        );
    }
    let Some(path) = &config.policy else { return Ok(own_rule) };
    let path = path.as_path();
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can not read the policy `{shown}`"))?;
    let policy: Policy = text.parse().with_context(|| format!("the policy `{shown}`"))?;
    let own = log.note_key();
    // The policy names some shard of it; with each year another one is written, and signed with the same key.
    let is_own_log = |known: &NoteKey| {
        let origin = known.key_name().parse::<Origin>().ok();
        let same = origin.and_then(|origin| origin.with_shard(log.origin().shard()).ok());
        known.key() == own.key() && same.as_ref() == Some(log.origin())
    };
    anyhow::ensure!(
        policy.logs().iter().any(is_own_log),
        "the policy `{shown}` does not have this program's log: add the line `log {own}`"
    );
    anyhow::ensure!(
        policy.asks_for_a_witness(),
        "the policy `{shown}` asks for no witness: detail would leave without anybody having seen that the log tells of it"
    );
    let parties: Vec<String> =
        parties.into_iter().map(|party| witness_name(trust_domain, &party)).collect();
    for key in policy.witnesses() {
        let name = key.key_name();
        match config.independent.iter().find(|one| one.key.0.key_name() == name) {
            Some(one) => anyhow::ensure!(
                one.key.0 == *key,
                "the policy `{shown}` has another key for the witness {name} than [[witness.independent]]"
            ),
            None => anyhow::ensure!(
                parties.iter().any(|party| party == name),
                "the policy `{shown}` names the witness {name}, which is not asked here: it is neither a party that \
                 this program talks to nor in [[witness.independent]]"
            ),
        }
    }
    Ok(Quorum::Policy(Box::new(policy)))
}

/// Opens the log and takes the ids of recent exchanges from it, so that the replay check survives a restart; shows every entry to
/// `see`, with its number through all shards, so that what counts entries does too. Reads the whole log, off the runtime's threads.
///
/// # Errors
/// When the log can not be opened or read.
pub async fn open_log(
    options: LogOptions,
    clock: &SharedClock,
    mut see: impl FnMut(&Entry) + Send + 'static,
) -> anyhow::Result<(AuditLog, ReplayGuard)> {
    let now = clock.now();
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let log = AuditLog::open(options)?;
        let replay = ReplayGuard::new();
        let since = now.checked_sub(MAX_VALIDITY + MAX_SKEW * 2)?;
        let mut remember = |entry: Entry| {
            if entry.ts >= since
                && let Some(exchange) = entry.exchange
            {
                replay.remember(exchange, entry.ts);
            }
        };
        // What a former shard lost is lost; what it has is still not to be repeated.
        if !shard::is_continuation(log.dir())?
            && let Some(former) = shard::former(log.dir())?
        {
            entries(&former)?.map_while(Result::ok).for_each(&mut remember);
        }
        for entry in shard::history(log.dir())? {
            let entry = entry?;
            see(&entry);
            remember(entry);
        }
        Ok((log, replay))
    });
    let (log, replay) = opened.await??;
    if log.tree().head().size == 0
        && let Some(first) = shard::first_entry(log.dir())?
    {
        // In one write: no shard begins after a restore and does not say so.
        let restored = Restored::read(log.dir())?.map(|restored| restored.entry());
        log.record_all([first].into_iter().chain(restored).collect()).await?;
    }
    Ok((log, replay))
}

/// Tells `tell` at once whether the program is ready, and the returned future keeps that up to date until the log is
/// closed: ready means that the log can be written and that `in_force` has nothing to say against it. Called
/// once the program serves and before anybody is told its address, so that nobody finds it "starting" by chance.
pub fn watch_readiness(
    log: AuditLog,
    in_force: impl Fn() -> Option<String> + Send,
    tell: watch::Sender<Readiness>,
) -> impl Future<Output = ()> + Send {
    let mut available = log.availability();
    let condemned = log.condemned();
    // Otherwise the future alone would keep the log open.
    drop(log);
    let look = move |log_is_available: bool, tell: &watch::Sender<Readiness>| {
        let mut reasons = Vec::new();
        if !log_is_available {
            reasons.push("the audit log can not be written".to_owned());
        }
        reasons.extend(condemned.get().map(ToString::to_string));
        reasons.extend(in_force());
        let next = Readiness::not_ready(reasons);
        tell.send_if_modified(|now| {
            let changed = *now != next;
            now.clone_from(&next);
            changed
        });
    };
    look(*available.borrow_and_update(), &tell);
    async move {
        loop {
            let again = tokio::time::timeout(LOOK_AGAIN, available.changed()).await;
            if matches!(again, Ok(Err(_))) {
                return;
            }
            look(*available.borrow_and_update(), &tell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{
            checkpoints::Contradiction,
            fixtures::{clock, key, origin},
        },
        config::ConfigPath,
        keys::SigningKey,
        secret::SecretBytes,
    };

    #[tokio::test]
    async fn a_policy_holds_for_every_shard_of_its_log_and_for_no_other_log() {
        let dir = tempfile::tempdir().unwrap();
        let domain: TrustDomain = "example".parse().unwrap();
        let hubs = SigningKey::from_seed(SecretBytes::new([1; 32])).unwrap().verifying_key();
        let hubs = witness_key(&domain, &Party::Hub, hubs);
        let second = origin().with_shard("2").unwrap();
        let log = LogOptions::new(dir.path(), second.clone(), key(), clock());
        let log = AuditLog::open(log).unwrap();
        let taken = |of: &Origin, rest: &str| {
            let path = dir.path().join("policy");
            let text = format!("log {}\n{rest}", of.key(key().verifying_key()));
            std::fs::write(&path, text).unwrap();
            let policy = Some(ConfigPath::new(path));
            let config = WitnessConfig { policy, ..WitnessConfig::default() };
            let own_rule = Quorum::All(vec![Party::Hub]);
            quorum(&config, &log, &domain, [Party::Hub], own_rule)
                .map_err(|error| error.to_string())
        };
        let by_hub = format!("witness hub {hubs}\nquorum hub\n");
        let other = Origin::new("example", "POL".parse().unwrap(), "2").unwrap();
        assert!(taken(&other, &by_hub).unwrap_err().contains("does not have this program's log"));
        assert!(taken(&second, "quorum none\n").unwrap_err().contains("asks for no witness"));
        let first = origin().with_shard("1").unwrap();
        for of in [first, second] {
            assert!(matches!(taken(&of, &by_hub), Ok(Quorum::Policy(_))));
        }
    }

    #[tokio::test]
    async fn whether_a_program_is_ready_is_told_before_anything_is_polled() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(LogOptions::new(dir.path(), origin(), key(), clock())).unwrap();
        let told_of = |in_force: Option<&str>| {
            let in_force = in_force.map(str::to_owned);
            let (tell, told) = watch::channel(Readiness::starting());
            drop(watch_readiness(log.clone(), move || in_force.clone(), tell));
            told.borrow().reasons().to_vec()
        };
        assert_eq!(told_of(None), [] as [&str; 0]);
        assert_eq!(told_of(Some("no agreement")), ["no agreement"]);
        log.condemn(Contradiction::Rewritten { size: 7 });
        let reasons = told_of(None);
        assert!(reasons.iter().any(|reason| reason.contains("first 7 entries")), "{reasons:?}");
    }
}
