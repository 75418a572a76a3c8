//! `doctor`, for both programs: what is wrong or about to be, and how to mend it.
//!
//! `check-config` says what would keep a program from starting; a doctor looks at what the configuration does not say: clock, disk,
//! files, store, log, certificates, agreement and peers. It changes nothing, opens nothing that a running program holds, and says
//! nothing about anybody: numbers, times, paths and names of programs. docs/doctor.md has a row for each [`Subject`].

mod agreement;
mod certificates;
mod files;
mod log;
mod machine;
mod peers;
mod running;
mod state;

use std::{borrow::Cow, future::Future, io::Write, net::SocketAddr, path::PathBuf};

use serde::Serialize;
use serde_json::json;

pub use self::{
    agreement::Agreements,
    certificates::{BEFORE_EXPIRY_DAYS, EXPIRY_ACTION_DAYS},
    machine::{Machine, Volume},
    peers::{PeerAddress, Way},
    state::{Enrolment, State, Tell},
};
use crate::{peer::TrustDomain, time::SharedClock, tls::TlsFiles};

/// How much a finding asks of whoever runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is in order.
    Ok,
    /// It is worth knowing; nothing fails for it today.
    Note,
    /// Somebody has to do something: it fails, or will within weeks.
    Action,
}

/// What a doctor looks at. Findings of `check-config` have the name of an option instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The configuration file.
    Configuration,
    /// Whether the program runs, and serves.
    Program,
    /// The machine's clock.
    Clock,
    /// Space on the disks.
    Disk,
    /// Room for more files on the disks.
    Inodes,
    /// Modes and owners of keys and data.
    Files,
    /// What is left of writing that was interrupted.
    Leftovers,
    /// The store.
    Store,
    /// The audit log.
    Log,
    /// Who has seen the log.
    Witness,
    /// The program's own certificate.
    Certificate,
    /// A certificate that was asked for and has not come.
    CertificateRequest,
    /// The authorities that are trusted.
    Authority,
    /// The revocation lists.
    Revocation,
    /// The console's certificate.
    ConsoleCertificate,
    /// The agreement.
    Agreement,
    /// The programs that this one calls.
    Peer,
    /// Their certificates.
    PeerCertificate,
    /// Their versions.
    Version,
    /// The agency's people at the hub.
    Enrolment,
}

impl Subject {
    /// All of them, as they are looked at.
    pub const ALL: [Self; 20] = [
        Self::Configuration,
        Self::Program,
        Self::Clock,
        Self::Disk,
        Self::Inodes,
        Self::Files,
        Self::Leftovers,
        Self::Store,
        Self::Log,
        Self::Witness,
        Self::Certificate,
        Self::CertificateRequest,
        Self::Authority,
        Self::Revocation,
        Self::ConsoleCertificate,
        Self::Agreement,
        Self::Peer,
        Self::PeerCertificate,
        Self::Version,
        Self::Enrolment,
    ];

    /// As it is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Program => "program",
            Self::Clock => "clock",
            Self::Disk => "disk",
            Self::Inodes => "inodes",
            Self::Files => "files",
            Self::Leftovers => "leftovers",
            Self::Store => "store",
            Self::Log => "log",
            Self::Witness => "witness",
            Self::Certificate => "certificate",
            Self::CertificateRequest => "certificate.request",
            Self::Authority => "authority",
            Self::Revocation => "revocation",
            Self::ConsoleCertificate => "console.certificate",
            Self::Agreement => "agreement",
            Self::Peer => "peer",
            Self::PeerCertificate => "peer.certificate",
            Self::Version => "version",
            Self::Enrolment => "enrolment",
        }
    }
}

impl From<Subject> for Cow<'static, str> {
    fn from(subject: Subject) -> Self {
        Self::Borrowed(subject.word())
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it asks.
    pub severity: Severity,
    /// What it is about: the word of a [`Subject`], or an option as `check-config` names it.
    pub subject: Cow<'static, str>,
    /// What is so.
    pub what: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Something is in order.
    pub fn ok(&mut self, subject: impl Into<Cow<'static, str>>, what: impl Into<String>) {
        self.add(Severity::Ok, subject, what, "");
    }

    /// Something is worth knowing.
    pub fn note(
        &mut self,
        subject: impl Into<Cow<'static, str>>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Note, subject, what, remedy);
    }

    /// Somebody has to do something.
    pub fn action(
        &mut self,
        subject: impl Into<Cow<'static, str>>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Action, subject, what, remedy);
    }

    fn add(
        &mut self,
        severity: Severity,
        subject: impl Into<Cow<'static, str>>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (subject, what, remedy) = (subject.into(), what.into(), remedy.into());
        self.0.push(Finding { severity, subject, what, remedy });
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Those that ask so much.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(move |finding| finding.severity == severity)
    }

    /// Whether somebody has to do something.
    #[must_use]
    pub fn need_action(&self) -> bool {
        self.of(Severity::Action).next().is_some()
    }

    /// Prints them as one JSON document: `ok`, whether nothing is to be done, and `findings`.
    ///
    /// # Errors
    /// When `out` can not be written.
    pub fn print_json(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let document = json!({ "ok": !self.need_action(), "findings": self.0 });
        writeln!(out, "{document:#}")?;
        Ok(())
    }

    /// Prints them for people, what is to be done first.
    ///
    /// # Errors
    /// When `out` can not be written.
    pub fn print(&self, program: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let count = |severity| self.of(severity).count();
        writeln!(
            out,
            "{program}: {} to do, {} to know, {} in order",
            count(Severity::Action),
            count(Severity::Note),
            count(Severity::Ok)
        )?;
        let headings =
            [(Severity::Action, "to do"), (Severity::Note, "note "), (Severity::Ok, "ok   ")];
        for (severity, heading) in headings {
            for finding in self.of(severity) {
                writeln!(out, "{heading}  {}: {}", finding.subject, finding.what)?;
                if !finding.remedy.is_empty() {
                    writeln!(out, "         mend: {}", finding.remedy)?;
                }
            }
        }
        Ok(())
    }
}

/// What both programs have, and a doctor looks at.
#[derive(Debug)]
pub struct Examined {
    /// The program's name, for commands that mend something.
    pub program: &'static str,
    /// The configuration's folder.
    pub folder: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Folders of keys of enquiries and views: outside of the data.
    pub key_folders: Vec<PathBuf>,
    /// Files of secret keys.
    pub key_files: Vec<PathBuf>,
    /// The key that signs the log.
    pub log_key: PathBuf,
    /// Certificate, key, authorities, lists.
    pub tls: TlsFiles,
    /// The console's certificate and key.
    pub console: Option<(PathBuf, PathBuf)>,
    /// Where a running program tells of itself; port 0: it can not be asked.
    pub admin: SocketAddr,
    /// The partnership, where the agreement says it.
    pub trust_domain: Option<TrustDomain>,
    /// What is known of the agreement; `None`: it is not accepted, which `check-config` says.
    pub agreements: Option<Agreements>,
    /// The programs that this one calls.
    pub peers: Vec<PeerAddress>,
}

/// What is asked of a running program, and what of the store of a stopped one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It answers on its admin port.
    Runs,
    /// Something holds the store and does not answer.
    Silent,
    /// Nothing holds the store.
    Stopped,
}

/// Whether the program runs, and what it says of itself.
///
/// Call it first: what else may be looked at depends on it.
pub async fn is_running(examined: &Examined, findings: &mut Findings) -> (Life, Option<State>) {
    running::look(examined, findings).await
}

/// Looks at everything that both programs have. `store` opens the store and says what stands in it; it is called only when nothing
/// holds the store.
pub async fn examine(
    examined: &Examined,
    (life, state): (Life, Option<State>),
    clock: &SharedClock,
    machine: Machine,
    store: impl FnOnce() -> anyhow::Result<Option<Enrolment>> + Send,
    findings: &mut Findings,
) {
    let now = clock.now();
    machine::volumes(examined, machine, findings);
    files::modes(examined, findings);
    files::leftovers(examined, machine, now, findings);
    let enrolment = running::store(examined, life, state.as_ref(), store, findings);
    let last = log::verify(examined, state.as_ref(), findings);
    machine::clock(examined, machine, last, now, findings);
    certificates::own(examined, now, findings);
    if let Some(agreements) = &examined.agreements {
        agreement::days(agreements, now, findings);
    }
    peers::reach(examined, clock, findings).await;
    running::enrolment(examined, machine, enrolment, now, findings);
}

/// Runs an async examination on a runtime of its own, for a command.
///
/// # Errors
/// When the runtime can not be made.
pub fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work))
}
