//! What can be wrong with the steps of an enquiry's life, and with what has to become of flags and clocks.

use std::collections::BTreeMap;

use brag_common::id::{AgencyId, RequestId};
use brag_hub::life::words::{Kind, Words};
use toml::Spanned;

use super::Found;
use crate::scenario::{At, Check, FAMILY, Mark};

/// Codes with which the hub refuses to close.
const CLOSING_CODES: [&str; 2] = ["NFA_BLOCKED", "CLOSE_BLOCKED"];

impl Found<'_> {
    pub(super) fn life(&mut self) {
        self.words();
        self.plan();
        let scenario = self.scenario;
        for history in &scenario.history {
            self.step(&history.agency, history.at);
            self.agency(&history.agency);
        }
        for event in &scenario.event {
            self.step(&event.word, event.at);
            event.agency.iter().for_each(|agency| self.agency(agency));
            event.people.iter().for_each(|label| self.label(label));
        }
        for lead in &scenario.lead {
            self.step(&lead.agency, lead.at);
            self.agency(&lead.agency);
        }
        for meeting in &scenario.meeting {
            self.step(&meeting.chair, meeting.at);
            let there = meeting.present.iter().chain(&meeting.dialled_in);
            there.chain([&meeting.chair]).for_each(|agency| self.agency(agency));
        }
        for waive in &scenario.waive {
            self.step(&waive.agency, waive.at);
            self.agency(&waive.agency);
            self.label(&waive.person);
        }
        for close in &scenario.close {
            self.step(&close.outcome, close.at);
            close.unmet.iter().flatten().for_each(|mark| self.mark(mark));
            match &close.refused {
                Some(code) if !CLOSING_CODES.contains(&code.get_ref().as_str()) => {
                    self.fault(
                        code,
                        format!("closing is refused with {}", CLOSING_CODES.join(" or ")),
                    );
                }
                None if close.unmet.as_ref().is_some_and(|unmet| !unmet.is_empty()) => {
                    self.fault(&close.outcome, "what is `unmet` has closing `refused`");
                }
                _ => {}
            }
        }
        scenario.flags.all().for_each(|mark| self.mark(mark));
    }

    /// A scenario uses the words that every hub has.
    fn words(&mut self) {
        let scenario = self.scenario;
        let words = match Words::load(None) {
            Ok(words) => words,
            Err(error) => return self.fault(&Spanned::new(0..0, ()), format!("{error:#}")),
        };
        let source = &scenario.referral.source;
        let events = scenario.event.iter().map(|event| (Kind::Event, &event.word));
        let actions = scenario.action.iter().map(|action| (Kind::Action, &action.kind));
        let outcomes = scenario.close.iter().map(|close| (Kind::Outcome, &close.outcome));
        let sources = source.iter().map(|source| (Kind::Source, source));
        for (kind, word) in events.chain(actions).chain(outcomes).chain(sources) {
            if words.get(kind, word.get_ref()).is_none() {
                let what = format!("`{}` is no word for an {}", word.get_ref(), kind.word());
                self.fault(word, what.replace("an source", "a source"));
            }
        }
    }

    fn plan(&mut self) {
        let scenario = self.scenario;
        let mut planned: BTreeMap<&RequestId, At> = BTreeMap::new();
        for action in &scenario.action {
            self.step(&action.id, action.at);
            self.label(&action.person);
            let owner = action.owner.get_ref();
            let is_family = owner == FAMILY || scenario.labels().any(|label| label == owner);
            let is_agency =
                owner.parse::<AgencyId>().is_ok_and(|owner| self.agencies.contains(&owner));
            if is_family && action.refused.is_none() {
                self.fault(&action.owner, "nobody of the family owns an action: it is `refused`");
            } else if !is_family && !is_agency {
                let what = format!("`{owner}` is no party, no label and not `{FAMILY}`");
                self.fault(&action.owner, what);
            }
            if action.refused.is_none() && planned.insert(action.id.get_ref(), action.at).is_some()
            {
                let what = format!("the action `{}` is planned twice", action.id.get_ref());
                self.fault(&action.id, what);
            }
        }
        for progress in &scenario.progress {
            self.step(&progress.action, progress.at);
            if planned.get(progress.action.get_ref()).is_none_or(|at| *at > progress.at) {
                self.fault(&progress.action, "no such action is planned before");
            }
        }
    }

    /// A step of the enquiry's life has to be after its opening.
    fn step<T>(&mut self, place: &Spanned<T>, at: At) {
        if at.is_before_start() {
            self.fault(place, "what co-ordinators record is recorded after the start");
        }
    }

    /// What a flag is about: an agency, somebody, or both, the agency first.
    fn mark(&mut self, mark: &Spanned<Mark>) {
        let about = &mark.get_ref().about;
        let is_label = |text: &String| self.scenario.labels().any(|label| label == text);
        let is_agency = |text: &String| {
            text.parse::<AgencyId>().is_ok_and(|agency| self.agencies.contains(&agency))
        };
        let known = match about.as_slice() {
            [] => true,
            [one] => is_agency(one) || is_label(one),
            [agency, label] => is_agency(agency) && is_label(label),
            _ => false,
        };
        if !known {
            let what = format!("`{}` is not about an agency, a person, or both", mark.get_ref());
            self.fault(mark, what);
        }
    }

    pub(super) fn life_of(&mut self, check: &Check) {
        let marks = check.flags.iter().chain(&check.no_flags);
        marks.chain(check.unmet.iter().flatten()).for_each(|mark| self.mark(mark));
        check.lead.iter().for_each(|agency| self.agency(agency));
    }
}
