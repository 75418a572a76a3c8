//! Checking the whole log, and comparing it with copies of nodes' logs: one job at a time, with its progress, which can be stopped. That it
//! was begun, and what it found, are entries of the log that it checks.

use std::{
    io,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use brag_common::{
    audit::{
        Fault, Origin, VerifyError,
        reconcile::{Report, Wanted, reconcile_while},
        verify::{
            Summary, read_verified,
            witnessed::{self, Witnessed},
        },
    },
    id::{RequestId, StaffName},
    keys::VerifyingKey,
    secret::random_bytes,
    time::Timestamp,
    tlog::{Policy, policy::NotAccepted},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::{Inspection, refused};
use crate::{
    guard::{Refusal, SignedIn},
    hub::Shared,
};

/// The most differences that are kept of a comparison.
const MAX_DIFFERENCES: usize = 1000;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every entry of the hub's log, and what it has signed and others have seen of it.
    Verify,
    /// Each exchange in the hub's log against the copies of nodes' logs.
    Reconcile,
}

impl Kind {
    /// The word for it, in entries and addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verify => "log_verify",
            Self::Reconcile => "log_reconcile",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The log is in order, and is what it has signed.
    InOrder {
        /// What it holds.
        summary: Summary,
        /// What checkpoints say of it.
        witnessed: Witnessed,
        /// Whether a policy said how many witnesses must have seen it.
        by_policy: bool,
    },
    /// An entry is wrong.
    Fault(Fault),
    /// The entries are in order, and are not what was signed or seen.
    Contradicted {
        /// `rolled_back`, `fork`, `quorum_missing`, …
        code: &'static str,
        /// The first entry in doubt, where that is known.
        seq: Option<u64>,
        /// What is wrong.
        text: String,
    },
    /// Both sides were compared.
    Compared(Box<Report>),
    /// It was stopped.
    Stopped,
    /// It could not be done; why.
    NotDone(String),
}

impl Outcome {
    /// The word for it, in entries.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::InOrder { .. } => "in_order",
            Self::Fault(_) => "fault",
            Self::Contradicted { code, .. } => code,
            Self::Compared(report) if report.agrees() => "agree",
            Self::Compared(_) => "differ",
            Self::Stopped => "stopped",
            Self::NotDone(_) => "not_done",
        }
    }

    /// The first entry that is wrong or in doubt, or how many differences there are.
    fn count(&self) -> Option<u64> {
        match self {
            Self::Fault(fault) => Some(fault.seq),
            Self::Contradicted { seq, .. } => *seq,
            Self::Compared(report) => u64::try_from(report.differences.len()).ok(),
            Self::InOrder { summary, .. } => Some(summary.n_entries),
            Self::Stopped | Self::NotDone(_) => None,
        }
    }
}

/// A check as it stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its random name.
    pub name: RequestId,
    /// What is checked.
    pub kind: Kind,
    /// Who began it.
    pub by: StaffName,
    /// When.
    pub began: Timestamp,
    /// Entries that were read.
    pub n_read: u64,
    /// Entries of the hub's log when it began.
    pub n_entries: u64,
    /// What it found, and when it ended; `None`: it runs.
    pub ended: Option<(Timestamp, Arc<Outcome>)>,
}

/// A job.
#[derive(Debug)]
struct Job {
    name: RequestId,
    kind: Kind,
    by: StaffName,
    began: Timestamp,
    n_entries: u64,
    n_read: AtomicU64,
    stop: CancellationToken,
    ended: Mutex<Option<(Timestamp, Arc<Outcome>)>>,
}

impl Job {
    fn standing(&self) -> Standing {
        Standing {
            name: self.name.clone(),
            kind: self.kind,
            by: self.by.clone(),
            began: self.began,
            n_read: self.n_read.load(Ordering::Relaxed),
            n_entries: self.n_entries,
            ended: self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// One more entry was read.
    fn go_on(&self) -> ControlFlow<()> {
        self.n_read.fetch_add(1, Ordering::Relaxed);
        if self.stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The last check, kept in memory until the next one.
#[derive(Debug, Default)]
pub struct Checks(Mutex<Option<Arc<Job>>>);

impl Checks {
    fn last(&self) -> Option<Arc<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes up a job, unless one runs.
    fn begin(&self, job: Job) -> Result<Arc<Job>, Refusal> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|last| last.standing().ended.is_none()) {
            let text = "a check runs already; wait for its end, or stop it";
            return Err(Refusal::rule("check_runs", text));
        }
        let job = Arc::new(job);
        *last = Some(Arc::clone(&job));
        Ok(job)
    }
}

/// What a check reads.
struct Ground {
    dir: PathBuf,
    key: VerifyingKey,
    origin: Origin,
    policy: Option<PathBuf>,
    witnesses: Vec<PathBuf>,
    node_logs: Vec<PathBuf>,
}

impl Ground {
    fn of(shared: &Shared) -> Self {
        let (audit, config) = (shared.log.audit(), &shared.config.governance);
        let paths = |path: &brag_common::config::ConfigPath| path.as_path().to_owned();
        Self {
            dir: audit.dir().to_owned(),
            key: *audit.verifying_key(),
            origin: audit.origin().clone(),
            policy: config.policy.as_ref().map(paths),
            witnesses: config.witnesses.iter().map(paths).collect(),
            node_logs: config.node_logs.values().map(paths).collect(),
        }
    }

    /// Blocks.
    fn check(&self, job: &Job) -> Outcome {
        match job.kind {
            Kind::Verify => self.verify(job),
            Kind::Reconcile => self.reconcile(job),
        }
    }

    fn verify(&self, job: &Job) -> Outcome {
        let policy = match self.policy.as_deref().map(read_policy).transpose() {
            Ok(policy) => policy,
            Err(why) => return Outcome::NotDone(why),
        };
        let checked =
            read_verified(&self.dir, &self.key, &self.origin, &mut |_, _| match job.go_on() {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(io::Error::from(io::ErrorKind::Interrupted)),
            });
        let checked = checked.and_then(|(summary, tree)| {
            let log = self.origin.key(self.key);
            let seen = witnessed::check(&self.dir, &log, &tree, policy.as_ref(), &self.witnesses)?;
            Ok((summary, seen))
        });
        match checked {
            Ok((summary, witnessed)) => {
                Outcome::InOrder { summary, witnessed, by_policy: policy.is_some() }
            }
            Err(_) if job.stop.is_cancelled() => Outcome::Stopped,
            Err(error) => outcome_of(error),
        }
    }

    fn reconcile(&self, job: &Job) -> Outcome {
        let wanted = Wanted {
            hub: self.dir.clone(),
            others: self.node_logs.clone(),
            // What began while it was read stands in no copy.
            to: Some(job.began),
            ..Wanted::default()
        };
        match reconcile_while(&wanted, &mut |_| job.go_on()) {
            Ok(mut report) => {
                report.differences.truncate(MAX_DIFFERENCES);
                Outcome::Compared(Box::new(report))
            }
            Err(_) if job.stop.is_cancelled() => Outcome::Stopped,
            Err(error) => Outcome::NotDone(error.to_string()),
        }
    }
}

fn read_policy(path: &std::path::Path) -> Result<Policy, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|_| "the policy in the configuration can not be read".to_owned())?;
    text.trim().parse().map_err(|error| format!("the policy in the configuration is none: {error}"))
}

fn outcome_of(error: VerifyError) -> Outcome {
    let text = match &error {
        VerifyError::Contradicted { contradiction, .. } => contradiction.to_string(),
        other => other.to_string(),
    };
    match error {
        VerifyError::Fault(fault) => Outcome::Fault(fault),
        VerifyError::Contradicted { contradiction, .. } => {
            Outcome::Contradicted { code: contradiction.code(), seq: contradiction.seq(), text }
        }
        VerifyError::NotAccepted(why) => {
            let code = match why {
                Some(NotAccepted::UnknownLog) => "log_not_in_policy",
                Some(_) | None => "quorum_missing",
            };
            Outcome::Contradicted { code, seq: None, text }
        }
        VerifyError::Io { .. } => Outcome::NotDone("a file of the log can not be read".to_owned()),
    }
}

impl Inspection {
    /// Begins a check; gives its name.
    ///
    /// # Errors
    /// When the caller is no auditor, a check runs, there is nothing to compare with, or it can not be recorded.
    pub async fn begin_check(&self, request: Request<Kind>) -> Result<RequestId, Status> {
        let (who, kind) = self.auditor(request)?;
        self.begin(&who, kind).await.map_err(refused)
    }

    async fn begin(&self, who: &SignedIn, kind: Kind) -> Result<RequestId, Refusal> {
        let shared = Arc::clone(&self.shared);
        let ground = Ground::of(&shared);
        if kind == Kind::Reconcile && ground.node_logs.is_empty() {
            let text = "no copy of a node's log is configured here; the operator sets [governance] node_logs";
            return Err(Refusal::rule("no_node_logs", text));
        }
        let name = RequestId::from_random(random_bytes().map_err(|_| Refusal::Internal)?);
        let job = self.checks.begin(Job {
            name: name.clone(),
            kind,
            by: who.name().clone(),
            began: shared.clock.now(),
            n_entries: shared.log.audit().tree().head().size,
            n_read: AtomicU64::new(0),
            stop: shared.shutdown.child_token(),
            ended: Mutex::default(),
        })?;
        if let Err(failed) = self.looked(who, kind.word(), |_| {}).await {
            end(&job, shared.clock.now(), Outcome::NotDone(failed.to_string()));
            return Err(failed);
        }
        let who = who.clone();
        let running = Arc::clone(&shared);
        shared.rounds.spawn(async move {
            let (done, checked) = (Arc::clone(&job), Arc::clone(&job));
            let outcome = tokio::task::spawn_blocking(move || ground.check(&checked)).await;
            let outcome = outcome
                .unwrap_or_else(|_| Outcome::NotDone("the check ended by itself".to_owned()));
            let mut draft = running.draft(brag_common::audit::entry::Action::ReportRead);
            draft.decision = format!("{}:{}", done.kind.word(), outcome.word()).parse().ok();
            draft.count = outcome.count();
            // A log that is not in order can still be written to; one that can not be says so elsewhere.
            let _ = running.log.record(who.signs(draft)).await;
            end(&done, running.clock.now(), outcome);
        });
        Ok(name)
    }

    /// The last check as it stands, whoever began it; `None`: there was none since the program started. When it has ended, that
    /// somebody looks is recorded.
    ///
    /// # Errors
    /// When the caller is no auditor, or it can not be recorded.
    pub async fn check(&self, request: Request<()>) -> Result<Option<Standing>, Status> {
        let (who, ()) = self.auditor(request)?;
        let Some(standing) = self.checks.last().map(|job| job.standing()) else { return Ok(None) };
        if standing.ended.is_some() {
            self.looked(&who, "check_result", |_| {}).await.map_err(refused)?;
        }
        Ok(Some(standing))
    }

    /// Whether the check of this name has ended, for a page that waits for it. It says nothing of what was found.
    ///
    /// # Errors
    /// When the caller is no auditor, or there is no such check any more.
    pub fn check_progress(&self, request: Request<RequestId>) -> Result<(u64, bool), Status> {
        let (_, name) = self.auditor(request)?;
        let standing = self.checks.last().map(|job| job.standing());
        let standing = standing.filter(|standing| standing.name == name);
        let standing = standing.ok_or_else(|| refused(Refusal::NotFound("check")))?;
        Ok((standing.n_read, standing.ended.is_some()))
    }

    /// Stops the check of this name, if it runs.
    ///
    /// # Errors
    /// When the caller is no auditor, or there is no such check any more.
    pub fn stop_check(&self, request: Request<RequestId>) -> Result<(), Status> {
        let (_, name) = self.auditor(request)?;
        let job = self.checks.last().filter(|job| job.name == name);
        job.ok_or_else(|| refused(Refusal::NotFound("check")))?.stop.cancel();
        Ok(())
    }
}

fn end(job: &Job, at: Timestamp, outcome: Outcome) {
    let mut ended = job.ended.lock().unwrap_or_else(PoisonError::into_inner);
    *ended = Some((at, Arc::new(outcome)));
}
