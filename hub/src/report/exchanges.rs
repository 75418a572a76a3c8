//! What became of every request for detail, from the hub's log: one exchange for each request and recipient.
//!
//! The hub writes down that it asked, what the holder decided at once, and each later outcome; the same outcome may stand there
//! twice, as the answer to the request and as its delivery. The last word that says something new is what became of it.

use std::collections::BTreeMap;

use brag_common::{
    agreement::Agreement,
    audit::entry::{Action, Entry, Party, Word},
    id::{CategoryCode, EnquiryRef, PersonRef, ReleaseRef},
    reason::Reason,
    time::Timestamp,
};

use super::{
    count::{Figures, Source, Unit},
    measures::{
        CATEGORIES, EXCHANGES, HOLDERS, RECIPIENTS, REFUSALS, REVIEWS, TOTALS, WITHOUT_AGREEMENT,
    },
    period::Period,
};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Detail was released.
    Released,
    /// The holder refused, by rule, by a person, or because nobody decided in time.
    Refused,
    /// It waited for a person at the holder.
    Waiting,
    /// No decision reached the hub.
    Unanswered,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Released, Self::Refused, Self::Waiting, Self::Unanswered];

    /// The word in a figure's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Unanswered => "unanswered",
        }
    }

    /// Whether the holder has said its last word.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        match self {
            Self::Released | Self::Refused => true,
            Self::Waiting | Self::Unanswered => false,
        }
    }
}

/// One request for one recipient.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The enquiry and the person.
    pub about: Option<(EnquiryRef, PersonRef)>,
    /// Who holds.
    pub holder: Option<Party>,
    /// For whom.
    pub recipient: Party,
    /// What.
    pub category: Option<CategoryCode>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When what became of it was first recorded.
    pub decided_at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it waited for a person at any time.
    pub reviewed: bool,
    gate: Option<Word>,
    reason: Option<Reason>,
    agreement_status: Option<Word>,
    gateway: Option<Word>,
    sources: Vec<Source>,
}

impl Exchange {
    fn asked(entry: &Entry, recipient: &Party) -> Self {
        Self {
            about: entry.enquiry.clone().zip(entry.person.clone()),
            holder: entry.peer.clone(),
            recipient: recipient.clone(),
            category: entry.category,
            asked_at: entry.ts,
            decided_at: entry.ts,
            outcome: Outcome::Unanswered,
            reviewed: false,
            gate: None,
            reason: None,
            agreement_status: entry.agreement_status.clone(),
            gateway: entry.gateway.clone(),
            sources: Vec::new(),
        }
    }

    fn hear(&mut self, entry: &Entry) {
        self.sources.push(Source::of(entry));
        let outcome = match entry.decision.as_ref().map(Word::as_str) {
            Some("release") => Outcome::Released,
            Some("deny") => Outcome::Refused,
            Some("review") => Outcome::Waiting,
            _ => Outcome::Unanswered,
        };
        self.reviewed |= outcome == Outcome::Waiting;
        // How it waited, or that nobody answered, says nothing once it was decided.
        if self.outcome.is_decided() && !outcome.is_decided() {
            return;
        }
        // A refusal after a review has no gate of its own.
        if let Some(gate) = &entry.gate {
            self.gate = Some(gate.clone());
        }
        if outcome != self.outcome {
            self.outcome = outcome;
            self.decided_at = entry.ts;
        }
        self.reason = entry.reason;
    }

    /// The thing that is counted.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::new(self.sources.iter().cloned())
    }

    fn holder_word(&self) -> String {
        self.holder.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    fn class_word(&self, agreement: &Agreement) -> &'static str {
        let Some(code) = self.category else { return "unlisted" };
        if agreement.never_carries(code) {
            return "never";
        }
        agreement.category(code).map_or("unlisted", |category| category.class.word())
    }

    fn ended_word(&self) -> &'static str {
        match (self.outcome, self.reason) {
            (Outcome::Released, _) => "released",
            (Outcome::Waiting | Outcome::Unanswered, _) => "waiting",
            (Outcome::Refused, Some(Reason::ApproverRefused)) => "refused",
            (Outcome::Refused, Some(Reason::ApprovalTimeout)) => "timed_out",
            (Outcome::Refused, _) => "refused_by_rule",
        }
    }
}

/// Every request of a log, as far as it has been read.
#[derive(Debug, Default)]
pub struct Exchanges(BTreeMap<(ReleaseRef, Party), Exchange>);

impl Exchanges {
    /// Reads the next entry of the hub's log.
    pub fn read(&mut self, entry: &Entry) {
        let Some(release) = &entry.release else { return };
        match entry.action {
            Action::ReleaseAsked | Action::ReleaseDecided | Action::NoResponse => {
                for recipient in &entry.recipients {
                    let exchange = self
                        .0
                        .entry((release.clone(), recipient.clone()))
                        .or_insert_with(|| Exchange::asked(entry, recipient));
                    if entry.action == Action::ReleaseAsked {
                        exchange.sources.push(Source::of(entry));
                    } else {
                        exchange.hear(entry);
                    }
                }
            }
            _ => {}
        }
    }

    /// Every one of them.
    pub fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.values()
    }

    /// Counts them.
    pub fn count(&self, agreement: &Agreement, period: &Period, figures: &mut Figures) {
        for what in ["requests", "reviewed"] {
            figures.declare(&TOTALS, &[&what]);
        }
        for outcome in Outcome::ALL {
            figures.declare(&TOTALS, &[&outcome.word()]);
        }
        for exchange in self.iter() {
            let (unit, now) = (exchange.unit(), period.holds(exchange.asked_at));
            let mut count = |measure, by: &[&dyn std::fmt::Display]| {
                figures.count(measure, by, &unit, now);
            };
            let outcome = exchange.outcome.word();
            let holder = exchange.holder_word();
            let gate = exchange.gate.as_ref().map_or("none", Word::as_str);
            let class = exchange.class_word(agreement);
            count(&TOTALS, &[&"requests"]);
            count(&TOTALS, &[&outcome]);
            count(&EXCHANGES, &[&gate, &class, &holder, &outcome]);
            count(&HOLDERS, &[&holder, &outcome]);
            let category =
                exchange.category.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
            count(&CATEGORIES, &[&category, &"asked"]);
            match exchange.outcome {
                Outcome::Released => {
                    count(&CATEGORIES, &[&category, &"released"]);
                    count(&RECIPIENTS, &[&exchange.recipient]);
                    if gate != "g1" {
                        let in_code = |word: &Option<Word>| {
                            word.as_ref().map_or_else(|| "not_in_code".to_owned(), Word::to_string)
                        };
                        let status = in_code(&exchange.agreement_status);
                        let gateway = in_code(&exchange.gateway);
                        count(&WITHOUT_AGREEMENT, &[&gate, &status, &gateway]);
                        count(&TOTALS, &[&"released_without_agreement"]);
                    }
                }
                Outcome::Refused => {
                    let reason = exchange.reason.map_or("unknown", Reason::code);
                    count(&REFUSALS, &[&reason]);
                }
                Outcome::Waiting | Outcome::Unanswered => {}
            }
            if exchange.reviewed {
                count(&TOTALS, &[&"reviewed"]);
                count(&REVIEWS, &[&holder, &exchange.ended_word()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testkit::{Entries, agreement, february};

    fn figure(log: &Entries, name: &str) -> (usize, usize) {
        let mut exchanges = Exchanges::default();
        log.all().iter().for_each(|entry| exchanges.read(entry));
        let mut figures = Figures::default();
        exchanges.count(&agreement(), &february(), &mut figures);
        let figure = figures.named(name).map(|(_, figure)| figure.clone()).unwrap_or_default();
        (figure.in_period.len(), figure.to_date.len())
    }

    #[test]
    fn a_request_that_nobody_decided_is_unanswered_and_no_refusal() {
        let mut log = Entries::new();
        log.asked("r1", "SMS", "C33", &["CSC"]);
        assert_eq!(figure(&log, "totals.unanswered"), (1, 1));
        assert_eq!(figure(&log, "totals.refused"), (0, 0));
        log.unanswered("r1", "SMS", "C33", "CSC");
        assert_eq!(figure(&log, "totals.unanswered"), (1, 1));
        assert_eq!(figure(&log, "holders.SMS.unanswered"), (1, 1));
    }

    #[test]
    fn one_request_counts_once_for_each_recipient() {
        let mut log = Entries::new();
        log.asked("r1", "POL", "C11", &["CSC", "EDU"]);
        log.decided("r1", "POL", "C11", "CSC", "release", Some("g3"), None);
        log.decided(
            "r1",
            "POL",
            "C11",
            "EDU",
            "deny",
            None,
            Some(Reason::RecipientCategoryNotPermitted),
        );
        assert_eq!(figure(&log, "totals.requests"), (2, 2));
        assert_eq!(figure(&log, "exchanges.g3.S2.POL.released"), (1, 1));
        assert_eq!(figure(&log, "exchanges.none.S2.POL.refused"), (1, 1));
        assert_eq!(figure(&log, "refusals.RECIPIENT_CATEGORY_NOT_PERMITTED"), (1, 1));
        assert_eq!(figure(&log, "categories.C11.asked"), (2, 2));
        assert_eq!(figure(&log, "categories.C11.released"), (1, 1));
    }

    #[test]
    fn a_release_that_is_answered_and_then_delivered_is_one() {
        let mut log = Entries::new();
        log.asked("r1", "SMS", "C33", &["CSC"]);
        log.decided("r1", "SMS", "C33", "CSC", "release", Some("g3"), None);
        log.decided("r1", "SMS", "C33", "CSC", "release", Some("g3"), None);
        assert_eq!(figure(&log, "totals.released"), (1, 1));
        assert_eq!(figure(&log, "without_agreement.g3.not_sought.CA2004_S10_S11_S16E"), (1, 1));
    }

    #[test]
    fn a_review_that_a_person_refused_keeps_its_gate() {
        let mut log = Entries::new();
        log.asked("r1", "SMS", "C35", &["CSC"]);
        log.decided("r1", "SMS", "C35", "CSC", "review", Some("g3"), None);
        assert_eq!(figure(&log, "reviews.SMS.waiting"), (1, 1));
        log.decided("r1", "SMS", "C35", "CSC", "deny", None, Some(Reason::ApproverRefused));
        // Told late that it waits.
        log.decided("r1", "SMS", "C35", "CSC", "review", Some("g3"), None);
        assert_eq!(figure(&log, "exchanges.g3.S3.SMS.refused"), (1, 1));
        assert_eq!(figure(&log, "reviews.SMS.refused"), (1, 1));
        assert_eq!(figure(&log, "totals.waiting"), (0, 0));
    }

    #[test]
    fn what_is_never_carried_has_a_class_of_its_own() {
        let mut log = Entries::new();
        log.asked("r1", "DAS", "C43", &["CSC"]);
        log.decided("r1", "DAS", "C43", "CSC", "deny", None, Some(Reason::CategoryNever));
        assert_eq!(figure(&log, "exchanges.none.never.DAS.refused"), (1, 1));
    }

    #[test]
    fn a_request_of_another_month_is_in_the_count_to_date_only() {
        let mut log = Entries::new();
        log.at("2027-01-31T23:59:59Z");
        log.asked("r1", "SMS", "C33", &["CSC"]);
        log.at("2027-02-01T00:00:01Z");
        log.decided("r1", "SMS", "C33", "CSC", "release", Some("g1"), None);
        assert_eq!(figure(&log, "totals.released"), (0, 1));
        assert_eq!(figure(&log, "totals.released_without_agreement"), (0, 0));
    }
}
