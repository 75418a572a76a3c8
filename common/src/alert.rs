//! What information governance is told of at once: an entry of its own in the log, and a warning and a metric for whoever watches the
//! program. It carries references, never identities; a person looks into it.
//!
//! Some acts are an alert by themselves, and are refused with it in one write: a purpose or category that can not be, a forgery, one's own
//! family, an enrolment over its quota. Others only are when they add up or by when they happen: [`watch`] has these rules and looks at
//! every entry of the log, [`watched`] is the log with that watch over it.
//!
//! Reading order: [`window`] counts, [`watch`] judges, [`oversight`] is what the operator says, [`watched`] puts it around the log,
//! [`docket`] is what became of each alert.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use crate::{
    audit::entry::{Action, EntryDraft},
    reason::Reason,
    telemetry::Metrics,
};

pub mod docket;
pub mod oversight;
pub mod watch;
pub mod watched;
pub mod window;

macro_rules! alerts {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// What happened that should not, or that a person should look at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Alert {
            $($(#[doc = $doc])* $name,)*
        }

        impl Alert {
            /// Every alert.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it, which stands as the decision in its entry and as the code of the metric.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it tells, in a sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

alerts! {
    /// Somebody wanted information for a purpose that the agreement does not have.
    Purpose = "purpose_not_permitted";
    /// Somebody asked for a category that the exchange never carries.
    NeverCarried = "category_never";
    /// Evidence was shown that its signer did not sign, or not for this.
    Forged = "evidence_forged";
    /// Somebody worked on an enquiry about a family that they are recorded as linked to.
    OwnFamily = "own_family";
    /// A party's log does not continue what it had signed before: it was rewritten, or put back from a copy.
    LogInconsistent = "log_inconsistent";
    /// A party's answer came without a receipt from its log, or with one that proves nothing; the answer was not used.
    NoReceipt = "no_receipt";
    /// An agency declared many more people than before in one epoch.
    DeclaredPeople = "enrolment_declared_people";
    /// An agency wanted more match keys evaluated than its quota of the epoch allows.
    EpochQuota = "enrolment_epoch_quota";
    /// An agency wanted more match keys evaluated than its quota of the day allows.
    DailyQuota = "enrolment_daily_quota";
    /// A co-ordinator wanted to ask about more people than their budget allows; or the hub, seen from a node.
    Budget = "budget_exceeded";
    /// Somebody worked outside of the hours of their work.
    UnusualHour = "unusual_hour";
    /// Somebody opened more detail in a day than their work explains.
    UnusualVolume = "unusual_volume";
    /// Somebody, or another party, was refused many times within an hour.
    RepeatedRefusals = "repeated_refusals";
}

impl Alert {
    /// The alert with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|alert| alert.word() == word)
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
        for alert in Alert::ALL {
            assert_eq!(Alert::from_word(alert.word()), Some(*alert));
        }
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
