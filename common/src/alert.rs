//! What information governance is told of at once: an entry of its own in the log, and a warning and a metric for whoever watches the
//! program. It carries references, never identities; a person looks into it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use crate::{
    audit::entry::{Action, EntryDraft},
    reason::Reason,
    telemetry::Metrics,
};

/// What happened that should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// Somebody wanted information for a purpose that the agreement does not have.
    Purpose,
    /// Somebody asked for a category that the exchange never carries.
    NeverCarried,
    /// Evidence was shown that its signer did not sign, or not for this.
    Forged,
    /// Somebody worked on an enquiry about a family that they are recorded as linked to.
    OwnFamily,
    /// A party's log does not continue what it had signed before: it was rewritten, or put back from a copy.
    LogInconsistent,
    /// An agency declared many more people than before in one epoch.
    DeclaredPeople,
    /// An agency wanted more match keys evaluated than its quota of the epoch allows.
    EpochQuota,
    /// … than its quota of the day allows.
    DailyQuota,
}

impl Alert {
    /// Every alert.
    pub const ALL: [Self; 8] = [
        Self::Purpose,
        Self::NeverCarried,
        Self::Forged,
        Self::OwnFamily,
        Self::LogInconsistent,
        Self::DeclaredPeople,
        Self::EpochQuota,
        Self::DailyQuota,
    ];

    /// The word for it, which stands as the decision in its entry and as the code of the metric.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Purpose => "purpose_not_permitted",
            Self::NeverCarried => "category_never",
            Self::Forged => "evidence_forged",
            Self::OwnFamily => "own_family",
            Self::LogInconsistent => "log_inconsistent",
            Self::DeclaredPeople => "enrolment_declared_people",
            Self::EpochQuota => "enrolment_epoch_quota",
            Self::DailyQuota => "enrolment_daily_quota",
        }
    }

    /// What a refusal for this reason says about whoever asked; `None` for refusals that are everyday work.
    #[must_use]
    pub const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::PurposeNotPermitted => Some(Self::Purpose),
            Reason::CategoryNever => Some(Self::NeverCarried),
            Reason::EvidenceUnsigned => Some(Self::Forged),
            _ => None,
        }
    }
}

/// Raises alerts in one program, and counts them by kind.
#[derive(Debug, Clone, Default)]
pub struct Alerts(Family<Label, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    alert: &'static str,
}

impl Alerts {
    /// None so far, shown by `metrics` as zero for each kind.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self::default();
        for alert in Alert::ALL {
            drop(new.0.get_or_create(&Label { alert: alert.word() }));
        }
        metrics.register("alerts", "Alerts for information governance, by kind", new.0.clone());
        new
    }

    /// The entry that raises an alert, for the caller to record. The draft says about what: enquiry, person, category, peer, actor.
    #[must_use]
    pub fn raise(&self, alert: Alert, mut draft: EntryDraft) -> EntryDraft {
        let word = alert.word();
        self.0.get_or_create(&Label { alert: word }).inc();
        // Seen on the operator's log without a look at the audit log; it names nobody.
        tracing::warn!(alert = word, "information governance should look into this");
        draft.action = Action::AlertRaised;
        draft.decision = word.parse().ok();
        draft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::Word;

    #[test]
    fn every_alert_has_a_word_of_its_own_that_an_entry_can_carry() {
        let words: std::collections::BTreeSet<Word> =
            Alert::ALL.iter().map(|alert| alert.word().parse().unwrap()).collect();
        assert_eq!(words.len(), Alert::ALL.len());
    }

    #[test]
    fn a_threshold_that_is_not_met_is_everyday_work() {
        let alerting: Vec<Reason> =
            Reason::ALL.iter().copied().filter(|reason| Alert::of(*reason).is_some()).collect();
        let expected =
            [Reason::CategoryNever, Reason::PurposeNotPermitted, Reason::EvidenceUnsigned];
        assert_eq!(alerting, expected);
    }
}
