//! Loading the agreement: all versions at the start, and newer ones while the program runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::realm;
use crate::{
    agreement::SignedAgreement,
    audit::entry::AgreementStamp,
    id::AgreementDigest,
    time::{SharedClock, Timestamp},
    version_folder::{Found, VersionFolder, chain, follows},
    versions::{Version, Versions, takes_over},
};

/// How often the folder is looked at for a newer version.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a program accepts an agreement: by its own signature, with the keys that this version names for it.
pub trait Accepting<K>: Send + Sync + 'static {
    /// Verifies a note as this program.
    ///
    /// # Errors
    /// When its own key has not signed it, or anything else about it does not verify.
    fn verify(&self, found: &Found) -> anyhow::Result<SignedAgreement>;

    /// The program's own keys, as this version names them.
    ///
    /// # Errors
    /// When one is missing.
    fn keys(&self, agreement: &SignedAgreement) -> anyhow::Result<K>;
}

/// What was loaded at the start.
#[derive(Debug)]
pub struct Loaded<K> {
    /// The version that holds now, and those that will.
    pub versions: Arc<Versions<K>>,
    /// Where versions are kept.
    pub folder: VersionFolder,
    /// Versions that this program takes up for the first time now: to be recorded and remembered, with this time.
    pub taken_up: Vec<(AgreementStamp, Timestamp)>,
}

/// Loads every version. `accepted_at` tells when this program took a version up before.
///
/// # Errors
/// When the newest is not accepted, or the one that holds now can not be used.
pub fn load<K>(
    folder: VersionFolder,
    accepting: &impl Accepting<K>,
    clock: &SharedClock,
    accepted_at: impl Fn(AgreementDigest) -> anyhow::Result<Option<Timestamp>>,
) -> anyhow::Result<Loaded<K>> {
    let now = clock.now();
    let chain = chain(&folder.found()?, |found| {
        let path = found.path.display();
        accepting.verify(found).with_context(|| format!("the agreement `{path}` is not accepted"))
    })?;
    let mut taken_up = Vec::new();
    let mut built: Vec<SignedAgreement> = Vec::with_capacity(chain.len());
    for (agreement, found) in chain {
        let known = accepted_at(agreement.digest())?;
        if known.is_none() {
            taken_up.push((super::stamp(&agreement), now));
        }
        let next = match built.last() {
            Some(previous) => {
                let superseded_at = takes_over(&agreement, known.unwrap_or(now));
                agreement.after(previous, superseded_at)
            }
            None => agreement,
        };
        folder.keep(&next, &found.note)?;
        built.push(next);
    }
    // The one that holds, and what follows it; earlier ones are there to verify by.
    let holds = built.iter().rposition(|one| one.agreement().starts() <= now).unwrap_or(0);
    let mut later = built.into_iter().skip(holds);
    let version = |agreement: SignedAgreement| -> anyhow::Result<Version<K>> {
        let (_, realm) = realm(&agreement)?;
        Ok(Version { realm, keys: accepting.keys(&agreement)?, agreement })
    };
    let first = version(later.next().context("there is no agreement")?)?;
    let versions = Versions::new(first, Arc::clone(clock));
    for agreement in later {
        versions.add(version(agreement)?);
    }
    Ok(Loaded { versions: Arc::new(versions), folder, taken_up })
}

/// Records that a version was taken up, and remembers when. It is called before the version counts.
pub type Took =
    Box<dyn Fn(AgreementStamp, Timestamp) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Takes up newer versions as they come into the folder, until `shutdown`. One that is not accepted is left, and said why.
pub async fn watch_agreements<K: Send + Sync + 'static>(
    versions: Arc<Versions<K>>,
    folder: VersionFolder,
    accepting: impl Accepting<K>,
    clock: SharedClock,
    took: Took,
    shutdown: CancellationToken,
) {
    let accepting = Arc::new(accepting);
    // What is there now was looked at when the program started.
    let mut seen = None;
    let mut refused: BTreeMap<AgreementDigest, String> = BTreeMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let stamp = folder.stamp();
        if seen.as_ref() == Some(&stamp) {
            continue;
        }
        let (looking, with, known) =
            (folder.clone(), Arc::clone(&accepting), Arc::clone(&versions));
        let look = move || look(&looking, &*with, &known);
        let Ok(found) = tokio::task::spawn_blocking(look).await else { continue };
        // What is refused may be accepted later without a change here, when a key that it names is put in place.
        seen = found.refused.is_empty().then_some(stamp);
        for (digest, why) in &found.refused {
            if refused.get(digest) != Some(why) {
                tracing::error!(%digest, why, "a newer agreement is not taken up");
            }
        }
        refused = found.refused;
        if let Some((agreement, keys)) = found.next {
            // There may be another after it, and one that fails here is tried again.
            seen = None;
            if let Err(error) = take_up(&versions, agreement, keys, &clock, &took).await {
                let why = format!("{error:#}");
                tracing::warn!(why, "a newer agreement can not be taken up yet");
            }
        }
    }
}

async fn take_up<K>(
    versions: &Versions<K>,
    agreement: SignedAgreement,
    keys: K,
    clock: &SharedClock,
    took: &Took,
) -> anyhow::Result<()> {
    let now = clock.now();
    let (_, realm) = realm(&agreement)?;
    let stamp = super::stamp(&agreement);
    let version = stamp.version;
    took(stamp, now).await?;
    let superseded_at = takes_over(&agreement, now);
    let agreement = agreement.after(&versions.newest().agreement, superseded_at);
    versions.add(Version { agreement, realm, keys });
    tracing::info!(version, holds_from = %superseded_at, "a newer agreement was taken up");
    Ok(())
}

/// What a look into the folder found.
struct Look<K> {
    next: Option<(SignedAgreement, K)>,
    refused: BTreeMap<AgreementDigest, String>,
}

fn look<K>(
    folder: &VersionFolder,
    accepting: &impl Accepting<K>,
    versions: &Versions<K>,
) -> Look<K> {
    let mut look = Look { next: None, refused: BTreeMap::new() };
    let newest = &versions.newest().agreement;
    let found = folder.found().unwrap_or_default();
    let unknown = found
        .into_iter()
        .filter(|one| newest.version_of(one.digest).is_none())
        .filter(|one| one.version > newest.agreement().version());
    for one in unknown {
        let accepted = accepting.verify(&one).and_then(|agreement| {
            follows(newest, &agreement)?;
            let keys = accepting.keys(&agreement)?;
            folder.keep(&agreement, &one.note)?;
            Ok((agreement, keys))
        });
        match accepted {
            Ok(next) => {
                look.next = Some(next);
                return look;
            }
            Err(error) => _ = look.refused.insert(one.digest, format!("{error:#}")),
        }
    }
    look
}

/// Verifies a note as this program, and as what follows the version that is newest here, and keeps it. A program that runs
/// takes it up within a second or two; one that does not, when it starts.
///
/// # Errors
/// When it is not accepted, or does not follow the newest version here.
pub fn install<K>(
    folder: &VersionFolder,
    accepting: &impl Accepting<K>,
    note: Vec<u8>,
) -> anyhow::Result<SignedAgreement> {
    let candidate = Found {
        path: std::path::PathBuf::new(),
        note,
        version: 0,
        digest: AgreementDigest::from_bytes([0; 32]),
    };
    let agreement = accepting.verify(&candidate).context("this agreement is not accepted")?;
    accepting.keys(&agreement)?;
    // None may be here yet: the first is installed where the configuration says, or in this way.
    let found = folder.found().unwrap_or_default();
    let known = found.iter().any(|one| one.digest == agreement.digest());
    if let (Some(newest), false) = (found.last(), known) {
        let newest = accepting.verify(newest).with_context(|| {
            format!("the agreement `{}`, which is newest here", newest.path.display())
        })?;
        follows(&newest, &agreement).context("this agreement does not follow the one here")?;
    }
    folder.keep(&agreement, &candidate.note)?;
    Ok(agreement)
}
