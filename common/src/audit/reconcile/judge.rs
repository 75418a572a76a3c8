//! What one exchange comes to. Pure.

use std::collections::BTreeMap;

use super::{
    rules::{Each, Explained, Field, Kind, Part, Side, Terms, terms},
    seen::{Said, Seen},
};
use crate::audit::entry::Action;

/// What is found of an exchange, or of one person or recipient in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finding {
    /// Both sides say the same.
    Agreed,
    /// One side only, or nothing came of it, and why that is in order.
    Explained(Explained),
    /// A side has no entry that it must have.
    Missing(Side),
    /// Two entries that belong together differ in these fields.
    Differs {
        /// The caller's entry, or the answer as it came: log and number.
        caller: (u16, u64),
        /// The called side's.
        called: (u16, u64),
        /// In which fields.
        fields: Vec<Field>,
    },
}

/// One person or recipient of an exchange.
#[derive(Default)]
struct Unit<'a> {
    /// The answer, as it was given.
    take: Option<&'a Seen>,
    /// As it came.
    back: Option<&'a Seen>,
    /// That none came.
    void: Option<&'a Seen>,
}

/// The entries of one exchange between the hub and one node.
struct Exchange<'a> {
    terms: &'static Terms,
    opens: Vec<&'a Seen>,
    takes: Vec<&'a Seen>,
    /// What came back, as the caller has it.
    returns: Vec<&'a Seen>,
    /// What the caller says came to nothing.
    voids: Vec<&'a Seen>,
    receipts: Vec<&'a Seen>,
    refused: bool,
}

impl<'a> Exchange<'a> {
    fn new(kind: Kind, terms: &'static Terms, seen: &[&'a Seen]) -> Self {
        let of = |part| -> Vec<&'a Seen> {
            seen.iter().copied().filter(|one| one.part(kind) == Some(part)).collect()
        };
        let (voids, returns) = of(Part::Returns).into_iter().partition(|one| one.is_void());
        let called = terms.caller.other();
        Self {
            terms,
            opens: of(Part::Opens),
            takes: of(Part::Takes),
            returns,
            voids,
            receipts: of(Part::Receipt),
            refused: seen
                .iter()
                .any(|one| one.side == called && one.action == Action::RequestRefused),
        }
    }

    fn is_cut_off(&self) -> bool {
        self.opens.iter().any(|one| one.cut_off)
    }

    /// Nothing of the call is on the called side.
    fn not_taken(&self) -> Finding {
        let missing = Finding::Missing(self.terms.caller.other());
        if let Some(receipt) = self.receipts.last() {
            return match receipt.said {
                Said::Refused if self.refused => Finding::Explained(Explained::Refused),
                _ => missing,
            };
        }
        let log_failed = |one: &&Seen| one.log_failed;
        if self.terms.caller == Side::Node && !self.is_call() {
            return Finding::Explained(Explained::NotDelivered);
        }
        // A word that the log failed is no answer; any other is one, and must have been given.
        if !self.returns.iter().all(log_failed) {
            return missing;
        }
        let why = if self.refused {
            Explained::Refused
        } else if self.voids.iter().chain(&self.returns).any(log_failed) {
            Explained::NotRecorded
        } else if !self.voids.is_empty() {
            Explained::NotArrived
        } else if self.is_cut_off() {
            Explained::CutOff
        } else {
            return missing;
        };
        Finding::Explained(why)
    }

    /// Whether a node's opening is a call that ends, and not a delivery that is made until it succeeds.
    fn is_call(&self) -> bool {
        let enrols = [Action::EnrolmentEvaluated, Action::EnrolmentCompleted];
        self.opens.iter().any(|one| enrols.contains(&one.action))
    }

    /// The exchange as a whole: the question beside its taking.
    fn as_one(&self) -> Vec<Finding> {
        // A holder that decides after a review writes the decision and the sealing; what travelled is the last.
        let Some(open) = self.opens.last() else {
            return vec![Finding::Missing(self.terms.caller)];
        };
        if self.takes.is_empty() {
            return vec![self.not_taken()];
        }
        let different: Vec<Finding> =
            self.takes.iter().filter_map(|take| self.compare(open, take)).collect();
        if !different.is_empty() {
            different
        } else if self.voids.is_empty() {
            vec![Finding::Agreed]
        } else {
            vec![Finding::Explained(Explained::AnswerLost)]
        }
    }

    /// Every answer beside what came of it.
    fn each(&self, key: Field) -> Vec<Finding> {
        let Some(open) = self.opens.last() else {
            return vec![Finding::Missing(self.terms.caller)];
        };
        if self.takes.is_empty() {
            return vec![self.not_taken()];
        }
        let mut found = Vec::new();
        for take in &self.takes {
            found.extend(differs(open, take, |field| self.terms.asked.contains(&field)));
        }
        let mut units: BTreeMap<u32, Unit<'_>> = BTreeMap::new();
        for take in &self.takes {
            units.entry(take.print(key)).or_default().take = Some(take);
        }
        for back in &self.returns {
            units.entry(back.print(key)).or_default().back = Some(back);
        }
        // A void that names nobody is of everybody who is not named.
        let of_all = self.voids.iter().find(|void| void.print(key) == 0);
        for void in self.voids.iter().filter(|void| void.print(key) != 0) {
            units.entry(void.print(key)).or_default().void = Some(void);
        }
        for Unit { take, back, void } in units.into_values() {
            found.push(match (take, back, void.or(of_all.copied())) {
                (_, Some(back), _) if back.log_failed => Finding::Explained(Explained::NotRecorded),
                (Some(take), Some(back), _) => self.compare(back, take).unwrap_or(Finding::Agreed),
                (None, Some(_), _) => Finding::Missing(self.terms.caller.other()),
                (_, None, Some(void)) if void.log_failed => {
                    Finding::Explained(Explained::NotRecorded)
                }
                (Some(_), None, Some(_)) => Finding::Explained(Explained::AnswerLost),
                (None, None, _) => Finding::Explained(Explained::NotArrived),
                (Some(_), None, None) if self.is_cut_off() => Finding::Explained(Explained::CutOff),
                (Some(_), None, None) => Finding::Missing(self.terms.caller),
            });
        }
        found
    }

    fn compare(&self, caller: &Seen, called: &Seen) -> Option<Finding> {
        let Terms { same, where_both, .. } = self.terms;
        differs(caller, called, |field| {
            let both = caller.print(field) != 0 && called.print(field) != 0;
            // That two versions hold is what such a refusal says.
            let either_version = field == Field::Agreement && called.of_another_version;
            !either_version && (same.contains(&field) || (both && where_both.contains(&field)))
        })
    }
}

fn differs(caller: &Seen, called: &Seen, looks: impl Fn(Field) -> bool) -> Option<Finding> {
    let differs = |field: &Field| looks(*field) && caller.print(*field) != called.print(*field);
    let fields: Vec<Field> = Field::ALL.into_iter().filter(differs).collect();
    let (caller, called) = ((caller.log, caller.seq), (called.log, called.seq));
    (!fields.is_empty()).then_some(Finding::Differs { caller, called, fields })
}

/// What the entries of one exchange between the hub and one node come to: at least one finding.
pub(super) fn judge(kind: Kind, seen: &[&Seen]) -> Vec<Finding> {
    let Some(terms) = terms(kind) else {
        let has = |side| seen.iter().any(|one| one.side == side);
        return vec![match kind {
            Kind::Unasked => Finding::Explained(Explained::NotAsked),
            _ if has(Side::Hub) && has(Side::Node) => Finding::Agreed,
            _ if has(Side::Hub) => Finding::Missing(Side::Node),
            _ => Finding::Missing(Side::Hub),
        }];
    };
    let exchange = Exchange::new(kind, terms, seen);
    let mut found = match terms.each {
        Each::Exchange => exchange.as_one(),
        Each::Person => exchange.each(Field::Person),
        Each::Recipient => exchange.each(Field::Recipients),
    };
    found.sort_unstable();
    found
}
