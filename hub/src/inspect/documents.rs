//! The documents of `hub report`, made by the running hub from its own log, its store, the agreement that holds now, and the copies of
//! nodes' logs that are configured. Making one is recorded, unlike with the command, which works on files that information governance holds.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use anyhow::Context as _;
use brag_common::{
    agreement::Agreement,
    audit::{
        Origin,
        entry::{Digest, Party},
    },
    erasure::report::Report as Erasures,
    id::AgencyId,
    keys::VerifyingKey,
};
use jiff::civil::Date;
use tonic::{Request, Status};

use super::{Inspection, refused};
use crate::{
    config::Role,
    guard::Refusal,
    hub::Shared,
    report::{
        article_30::article_30,
        command,
        count::{FigureId, Figures, Measure, Source},
        document::Document,
        dpia::dpia,
        logs::Log,
        measures,
        nfa_audit::{Closings, nfa_audit},
        performance::{self, Counted, kept::Kept, performance},
        period::{Month, Period},
        policy::policy,
        re_audit::{self, re_audit},
        signed::{Signed, SignedBy},
    },
};

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Evidence for the impact assessment.
    Dpia,
    /// The record of processing activities.
    Article30,
    /// The appropriate policy document.
    Policy,
    /// Every enquiry that was closed.
    NfaAudit,
    /// How the exchange works.
    Performance,
    /// Enquiries to look at again.
    ReAudit,
}

impl Kind {
    /// Every document.
    pub const ALL: [Self; 6] = [
        Self::Dpia,
        Self::Performance,
        Self::NfaAudit,
        Self::ReAudit,
        Self::Article30,
        Self::Policy,
    ];

    /// Its name in addresses, as the command has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dpia => "dpia",
            Self::Article30 => "article-30",
            Self::Policy => "policy",
            Self::NfaAudit => "nfa-audit",
            Self::Performance => "performance",
            Self::ReAudit => "re-audit",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Dpia => "Evidence for the data protection impact assessment",
            Self::Article30 => "Record of processing activities (Article 30), with how often",
            Self::Policy => "Appropriate policy document",
            Self::NfaAudit => "Enquiries that were closed, and what was missing",
            Self::Performance => "How the exchange works",
            Self::ReAudit => "Enquiries closed twelve months before, to look at again",
        }
    }

    /// Whether it has a form for others, in which small figures are withheld.
    #[must_use]
    pub const fn has_shared_form(self) -> bool {
        matches!(self, Self::Dpia | Self::Performance)
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or(())
    }
}

/// Days in an address: `2027-02`, or `2027-02-01..2027-02-14`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(pub Period);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "Enter a month, for example 2027-02";
        if let Some((from, to)) = text.split_once("..") {
            let day = |text: &str| text.parse::<Date>().map_err(|_| EXPECTED);
            return Period::days(day(from)?, day(to)?)
                .map(Self)
                .map_err(|_| "The last day must not be before the first");
        }
        text.parse().map(|Month(period)| Self(period)).map_err(|_| EXPECTED)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.0.first(), self.0.last())
    }
}

/// Which document, of which days, in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedDocument {
    /// Which.
    pub kind: Kind,
    /// Of which days.
    pub period: Period,
    /// The form for others.
    pub shared: bool,
}

/// A figure, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedFigure {
    /// Its name.
    pub name: String,
    /// The caption of its table.
    pub caption: String,
    /// What is counted.
    pub means: String,
    /// Each thing that was counted: whether in the period, and its entries.
    pub things: Vec<(bool, Vec<Source>)>,
    /// There are more than are shown.
    pub cut: bool,
}

/// The most things of a figure that are shown.
const MAX_THINGS: usize = 2000;

/// What documents are made from.
struct Ground {
    signed: Signed,
    dir: std::path::PathBuf,
    origin: Origin,
    key: VerifyingKey,
    copies: BTreeMap<AgencyId, std::path::PathBuf>,
    shared: Arc<Shared>,
}

impl Ground {
    fn of(shared: &Arc<Shared>) -> Self {
        let audit = shared.log.audit();
        let agreement: &Agreement = shared.agreement.agreement();
        let digest = Digest::from_bytes(*shared.agreement.digest().as_bytes());
        let copies = shared.config.governance.node_logs.iter();
        Self {
            // The hub holds no agreement that is not signed by all.
            signed: Signed { agreement: agreement.clone(), digest, by: SignedBy::All },
            dir: audit.dir().to_owned(),
            origin: audit.origin().clone(),
            key: *audit.verifying_key(),
            copies: copies.map(|(id, path)| (id.clone(), path.as_path().to_owned())).collect(),
            shared: Arc::clone(shared),
        }
    }

    fn hub_log(&self) -> anyhow::Result<Log> {
        Log::with_key(&self.dir, self.origin.clone(), &self.key)
    }

    /// The hub's log and the copies of nodes' logs, each verified.
    fn logs(&self) -> anyhow::Result<Vec<Log>> {
        let mut logs = vec![self.hub_log()?];
        for (agency, dir) in &self.copies {
            let log = Log::open(dir, None)?;
            anyhow::ensure!(
                *log.party() == Party::Agency(agency.clone()),
                "the log that is configured for {agency} is of another party"
            );
            logs.push(log);
        }
        Ok(logs)
    }

    fn kept(&self) -> anyhow::Result<Kept> {
        Ok(Kept::of(&self.shared.store)?)
    }

    fn make(&self, wanted: WantedDocument) -> anyhow::Result<Document> {
        let WantedDocument { kind, period, shared } = wanted;
        let (signed, agreement) = (&self.signed, &self.signed.agreement);
        Ok(match kind {
            Kind::Policy => policy(signed),
            Kind::Article30 => {
                let counted = command::Counted::of(&[self.hub_log()?], signed, &period)?;
                article_30(signed, None, Some(&counted.figures))
            }
            Kind::Dpia => {
                let logs = self.logs()?;
                let counted = command::Counted::of(&logs, signed, &period)?;
                dpia(&counted.evidence(signed, &logs, period), shared)
            }
            Kind::NfaAudit => {
                let log = self.hub_log()?;
                let closings = Closings::of(&log, Some(agreement), &period)?;
                nfa_audit(&closings, &log, true, &period)
            }
            Kind::Performance => {
                let (log, kept) = (self.hub_log()?, self.kept()?);
                performance(&Counted::of(&log, signed, Some(&kept), period)?, shared)
            }
            Kind::ReAudit => {
                let (log, kept) = (self.hub_log()?, self.kept()?);
                let closings = re_audit::Closings::of(&log)?;
                re_audit(&closings, &log, Some(&kept), &period)
            }
        })
    }

    fn figures(&self, kind: Kind, period: Period) -> anyhow::Result<Figures> {
        Ok(match kind {
            Kind::Dpia => command::Counted::of(&self.logs()?, &self.signed, &period)?.figures,
            Kind::Article30 => {
                command::Counted::of(&[self.hub_log()?], &self.signed, &period)?.figures
            }
            Kind::Performance => {
                let (log, kept) = (self.hub_log()?, self.kept()?);
                Counted::of(&log, &self.signed, Some(&kept), period)?.figures
            }
            Kind::NfaAudit => {
                let agreement = Some(&self.signed.agreement);
                Closings::of(&self.hub_log()?, agreement, &period)?.figures
            }
            Kind::Policy | Kind::ReAudit => Figures::default(),
        })
    }

    fn explain(&self, kind: Kind, period: Period, name: &str) -> anyhow::Result<ExplainedFigure> {
        let figures = self.figures(kind, period)?;
        let (id, figure) = figures.named(name).context("there is no such figure")?;
        let all = measures::ALL.iter().chain(performance::measures::ALL);
        let measure: Option<&&Measure> = all.into_iter().find(|measure| id.is_of(measure));
        let things = figure.to_date.iter().map(|unit| {
            (figure.in_period.contains(unit), unit.entries().cloned().collect::<Vec<_>>())
        });
        let mut things: Vec<_> = things.take(MAX_THINGS + 1).collect();
        let cut = things.len() > MAX_THINGS;
        things.truncate(MAX_THINGS);
        Ok(ExplainedFigure {
            name: FigureId::to_string(id),
            caption: measure.map_or("", |measure| measure.caption).to_owned(),
            means: measure.map_or("", |measure| measure.means).to_owned(),
            things,
            cut,
        })
    }
}

impl Inspection {
    /// Makes a document.
    ///
    /// # Errors
    /// When the caller is no auditor, it can not be recorded, or a log or the store can not be read.
    pub async fn document(&self, request: Request<WantedDocument>) -> Result<Document, Status> {
        let (who, wanted) = self.auditor(request)?;
        let _one_at_a_time = self.shared.auditing.lock().await;
        let at = format!("report:{}", wanted.kind.word());
        self.looked(&who, &at, |_| {}).await.map_err(refused)?;
        let ground = Ground::of(&self.shared);
        made(move || ground.make(wanted)).await
    }

    /// The entries behind a figure of a document.
    ///
    /// # Errors
    /// As [`document`](Self::document); also when the document has no such figure.
    pub async fn explained(
        &self,
        request: Request<(Kind, Period, String)>,
    ) -> Result<ExplainedFigure, Status> {
        let (who, (kind, period, name)) = self.auditor(request)?;
        let _one_at_a_time = self.shared.auditing.lock().await;
        let at = format!("explain:{}", kind.word());
        self.looked(&who, &at, |_| {}).await.map_err(refused)?;
        let ground = Ground::of(&self.shared);
        made(move || ground.explain(kind, period, &name)).await
    }

    /// What was erased, when and by whom, and whether a key of it exists.
    ///
    /// # Errors
    /// When the caller does not have the role `governance`, it can not be recorded, or a log or the keys can not be read.
    pub async fn erasures(&self, request: Request<()>) -> Result<Erasures, Status> {
        let (who, ()) = self.with_role(request, Role::Governance)?;
        self.looked(&who, "erasure_report", |_| {}).await.map_err(refused)?;
        let shards = self.log_dir().parent().map(std::path::Path::to_owned).unwrap_or_default();
        let keys = self.shared.config.enquiry_key_folder();
        made(move || Erasures::read(&shards, &keys)).await
    }

    /// Requests to erase that wait for a second person.
    ///
    /// # Errors
    /// When the caller does not have the role `governance`, it can not be recorded, or the store fails.
    pub async fn erasures_asked(
        &self,
        request: Request<()>,
    ) -> Result<Vec<brag_common::erasure::Waiting>, Status> {
        let (who, ()) = self.with_role(request, Role::Governance)?;
        let waiting = brag_common::erasure::waiting(&self.shared, &who).await;
        waiting.map_err(|why| brag_common::status::to_status(&why))
    }
}

async fn made<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Status> {
    let made = tokio::task::spawn_blocking(work).await.map_err(|_| refused(Refusal::Internal))?;
    made.map_err(|error| refused(Refusal::rule("not_made", format!("{error:#}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_in_an_address_are_a_month_or_two_days() {
        let period = |text: &str| text.parse::<Days>().map(|Days(period)| period.to_string());
        assert_eq!(period("2027-02").unwrap(), "2027-02-01 to 2027-02-28");
        assert_eq!(period("2027-02-03..2027-02-04").unwrap(), "2027-02-03 to 2027-02-04");
        for wrong in ["", "2027", "2027-02-03..2027-02-01", "../..", "2027-02..2027-03"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
        let days: Days = "2027-02".parse().unwrap();
        assert_eq!(days.to_string().parse::<Days>(), Ok(days));
    }
}
