//! The rules over the log: what only is an alert by how often or when it happens. Pure: entries in, alerts out.
//!
//! The watch is shown every entry once, in any order that the log's concurrency makes of it, with its number and time. All it knows comes
//! from entries, alerts included: shown a log from its beginning, it is where it was when the program stopped, and an alert that was due
//! and not recorded before the program died is due still ([`Watch::due`]). What it keeps is bounded: for each rule and each person or
//! party a [`Window`].

use std::collections::BTreeMap;

use super::{
    Alert,
    oversight::{Oversight, SAME_SHIFT},
    window::Window,
};
use crate::{
    agreement::WorkingHours,
    audit::entry::{Action, Actor, Entry, EntryDraft, Party},
    id::{EnquiryRef, StaffName},
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

/// The most people and parties that are watched at a time, for all rules together. A program's staff and the parties of an agreement are
/// some hundreds.
const MAX_WATCHED: usize = 20_000;

/// The role whose every act has its hours.
const COORDINATOR: &str = "coordinator";

/// Whom an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A member of staff.
    Person(StaffName),
    /// The other party of exchanges.
    Party(Party),
}

/// An entry as the watch sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its number in the log.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Who acted.
    pub actor: &'a Actor,
    /// What happened.
    pub action: Action,
    /// The other party.
    pub peer: Option<&'a Party>,
    /// What was decided.
    pub decision: Option<&'a str>,
    /// Why it was refused.
    pub reason: Option<Reason>,
    /// The enquiry it belongs to.
    pub enquiry: Option<&'a EnquiryRef>,
}

impl<'a> Seen<'a> {
    /// An entry of a log.
    #[must_use]
    pub fn entry(entry: &'a Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.ts,
            actor: &entry.actor,
            action: entry.action,
            peer: entry.peer.as_ref(),
            decision: entry.decision.as_ref().map(|word| word.as_str()),
            reason: entry.reason,
            enquiry: entry.enquiry.as_ref(),
        }
    }

    /// What was recorded just now, under this number.
    #[must_use]
    pub fn recorded(draft: &'a EntryDraft, seq: u64, at: Timestamp) -> Self {
        Self {
            seq,
            at,
            actor: &draft.actor,
            action: draft.action,
            peer: draft.peer.as_ref(),
            decision: draft.decision.as_ref().map(|word| word.as_str()),
            reason: draft.reason,
            enquiry: draft.enquiry.as_ref(),
        }
    }

    /// The person who acted or else the party that asked.
    fn subject(&self) -> Option<Subject> {
        match (self.actor, self.peer) {
            (Actor::Staff { name, .. }, _) => Some(Subject::Person(name.clone())),
            (Actor::Program, Some(party)) => Some(Subject::Party(party.clone())),
            (Actor::Program, None) => None,
        }
    }

    fn by_coordinator(&self) -> bool {
        matches!(self.actor, Actor::Staff { role, .. } if role.as_str() == COORDINATOR)
    }

    fn alert(&self) -> Option<Alert> {
        (self.action == Action::AlertRaised).then(|| Alert::from_word(self.decision?)).flatten()
    }

    /// Somebody was told no before anything was decided. A decision about detail is everyday work, whatever it is; a budget has a rule of
    /// its own; what is an alert by itself has no entry of a refusal beside it.
    fn is_refusal(&self) -> bool {
        let refused = matches!(self.action, Action::RequestRefused | Action::DetailExpired);
        (refused && self.reason != Some(Reason::BudgetExceeded))
            || matches!(self.alert(), Some(Alert::Purpose | Alert::OwnFamily))
    }
}

/// An alert that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub alert: Alert,
    /// The number of the entry that made it due.
    pub seq: u64,
    /// When that was.
    pub at: Timestamp,
    /// How many entries it rests on.
    pub count: u64,
    actor: Actor,
    peer: Option<Party>,
    enquiry: Option<EnquiryRef>,
}

impl Due {
    /// What its entry says: whom it is about, the enquiry that made it due, and how many entries it rests on.
    #[must_use]
    pub fn draft(&self) -> EntryDraft {
        let mut draft = EntryDraft::new(Action::AlertRaised);
        draft.actor = self.actor.clone();
        draft.peer.clone_from(&self.peer);
        draft.enquiry.clone_from(&self.enquiry);
        draft.count = Some(self.count);
        draft.reason = (self.alert == Alert::Budget).then_some(Reason::BudgetExceeded);
        draft
    }
}

/// From how many entries within which time on something is an alert. After one, there is no other for this time.
#[derive(Debug, Clone, Copy)]
struct Rule {
    alert: Alert,
    from: usize,
    within: SignedDuration,
    applies: fn(&Seen<'_>, &WorkingHours) -> bool,
}

#[derive(Debug, Clone)]
struct State {
    window: Window,
    /// When an alert was last due or raised.
    told: Option<Timestamp>,
    due: Option<Due>,
}

/// Looks at every entry of one log.
#[derive(Debug, Clone)]
pub struct Watch {
    rules: [Rule; 4],
    hours: WorkingHours,
    states: BTreeMap<(Alert, Subject), State>,
    /// The newest time of an entry.
    newest: Timestamp,
}

impl Watch {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(oversight: &Oversight) -> Self {
        let more_than = |n: u32| usize::try_from(n).unwrap_or(usize::MAX).saturating_add(1);
        let hour = SignedDuration::from_hours(1);
        let rules = [
            Rule {
                alert: Alert::Budget,
                from: 1,
                within: hour,
                applies: |seen, _| {
                    seen.action == Action::RequestRefused
                        && seen.reason == Some(Reason::BudgetExceeded)
                },
            },
            Rule {
                alert: Alert::UnusualHour,
                from: 1,
                within: SAME_SHIFT,
                applies: |seen, hours| {
                    let watched = seen.by_coordinator() || seen.action == Action::DetailOpened;
                    watched && seen.action != Action::AlertRaised && !hours.cover(seen.at)
                },
            },
            Rule {
                alert: Alert::UnusualVolume,
                from: more_than(oversight.openings_per_day),
                within: SignedDuration::from_hours(24),
                applies: |seen, _| seen.action == Action::DetailOpened,
            },
            Rule {
                alert: Alert::RepeatedRefusals,
                from: more_than(oversight.refusals_per_hour),
                within: hour,
                applies: |seen, _| seen.is_refusal(),
            },
        ];
        Self { rules, hours: oversight.hours(), states: BTreeMap::new(), newest: Timestamp::MIN }
    }

    /// Looks at one entry; gives the alerts that it makes due, for the caller to record.
    pub fn see(&mut self, seen: &Seen<'_>) -> Vec<Due> {
        self.newest = self.newest.max(seen.at);
        let Some(subject) = seen.subject() else { return Vec::new() };
        if let Some(alert) = seen.alert()
            && let Some(state) = self.states.get_mut(&(alert, subject.clone()))
        {
            state.told = state.told.max(Some(seen.at));
            state.due = None;
        }
        let mut due = Vec::new();
        for rule in self.rules {
            if (rule.applies)(seen, &self.hours) {
                due.extend(self.count(rule, &subject, seen));
            }
        }
        due
    }

    fn count(&mut self, rule: Rule, subject: &Subject, seen: &Seen<'_>) -> Option<Due> {
        let key = (rule.alert, subject.clone());
        if !self.states.contains_key(&key) && self.states.len() >= MAX_WATCHED {
            self.forget(seen.at);
        }
        let state = self.states.entry(key).or_insert_with(|| State {
            window: Window::new(rule.within, rule.from),
            told: None,
            due: None,
        });
        state.window.add(seen.seq, seen.at);
        let count = state.window.count(seen.at);
        let told = state.told.is_some_and(|told| seen.at.duration_since(told) < rule.within);
        if count < rule.from || told {
            return None;
        }
        let due = Due {
            alert: rule.alert,
            seq: seen.seq,
            at: seen.at,
            count: u64::try_from(count).unwrap_or(u64::MAX),
            actor: seen.actor.clone(),
            peer: seen.peer.cloned(),
            enquiry: seen.enquiry.cloned(),
        };
        state.told = Some(seen.at);
        state.due = Some(due.clone());
        Some(due)
    }

    /// Drops whoever has been quiet; when nobody has, somebody, so that there is place.
    fn forget(&mut self, now: Timestamp) {
        self.states.retain(|_, state| !state.window.is_over(now) || state.due.is_some());
        if self.states.len() >= MAX_WATCHED {
            self.states.pop_first();
        }
    }

    /// Alerts that were due and are not in the log: the program died between an entry and its alert. What is older than its rule's time, by
    /// the log's own clock, is let be: it comes from a rule that did not exist then.
    #[must_use]
    pub fn due(&self) -> Vec<Due> {
        let within = |alert: Alert| {
            let rule = self.rules.iter().find(|rule| rule.alert == alert);
            rule.map_or(SignedDuration::ZERO, |rule| rule.within)
        };
        let due = self.states.values().filter_map(|state| state.due.clone());
        due.filter(|due| self.newest.duration_since(due.at) < within(due.alert)).collect()
    }
}

#[cfg(test)]
mod tests;
