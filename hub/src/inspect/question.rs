//! A question to the log: conditions that an entry has to meet, all of them. It is made of references and the log's own words.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    audit::entry::{Action, Actor, Entry, Party, Word},
    id::{CategoryCode, EnquiryRef, PersonRef, RequestId, StaffName},
    reason::Reason,
    time::Timestamp,
};
use jiff::civil::Date;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::report::period::Period;

/// Which entries are wanted. What is absent is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// Of this enquiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enquiry: Option<EnquiryRef>,
    /// About the person of this reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonRef>,
    /// Of this exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<RequestId>,
    /// With this party as the other side or a recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// By this member of staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<StaffName>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Decided on this gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Word>,
    /// About this category of detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<CategoryCode>,
    /// With this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Word>,
    /// For this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// From this day on, local time in the United Kingdom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Until this day, which is part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
    /// About one of these people of enquiries, found by an identity. Never kept: who they are together is known by the
    /// identity alone.
    #[serde(skip)]
    pub people: Option<BTreeSet<(EnquiryRef, PersonRef)>>,
}

/// What is wrong with one field of a form: the field's name, and what to write there.
pub type FieldProblem = (&'static str, String);

impl Question {
    /// Reads what somebody has written, by the names of fields. White space around it is passed over.
    ///
    /// # Errors
    /// Every field that is not what it should be.
    pub fn read(fields: &BTreeMap<String, String>) -> Result<Self, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let question = Self {
            enquiry: field(fields, "enquiry", "an enquiry's reference", &mut problems),
            person: field(fields, "person", "a person's reference, never a name", &mut problems),
            exchange: field(fields, "exchange", "an exchange's reference", &mut problems),
            party: field(
                fields,
                "party",
                "`hub` or an agency's id, for example CSC",
                &mut problems,
            ),
            actor: field(fields, "actor", "a staff name, for example j.okafor", &mut problems),
            action: field(fields, "action", "one of the list", &mut problems),
            gate: field(fields, "gate", "one of the list", &mut problems),
            category: field(fields, "category", "a code, for example C33", &mut problems),
            outcome: field(
                fields,
                "outcome",
                "a word of the log, for example refused",
                &mut problems,
            ),
            reason: field(fields, "reason", "one of the list", &mut problems),
            from: field(fields, "from", "a day, for example 2027-02-01", &mut problems),
            to: field(fields, "to", "a day, for example 2027-02-28", &mut problems),
            people: None,
        };
        if let (Some(from), Some(to)) = (question.from, question.to)
            && to < from
        {
            problems.push(("to", "the last day is before the first".to_owned()));
        }
        if problems.is_empty() { Ok(question) } else { Err(problems) }
    }

    /// The fields of a form that asks this.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let written = serde_json::to_value(self).unwrap_or_default();
        let fields = written.as_object().cloned().unwrap_or_default();
        let text = |(name, value): (String, serde_json::Value)| {
            value.as_str().map(|value| (name, value.to_owned()))
        };
        fields.into_iter().filter_map(text).collect()
    }

    /// The time that is asked about: from, and up to but without.
    #[must_use]
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let day = |day: Option<Date>| day.and_then(|day| Period::days(day, day).ok());
        (day(self.from).map(|day| day.starts()), day(self.to).map(|day| day.ends()))
    }

    /// What makes the search quick: texts that stand in the bytes of every entry that is wanted.
    #[must_use]
    pub fn sieve(&self) -> Sieve {
        fn known<T: ToString>(name: &str, value: Option<&T>) -> Option<String> {
            value.map(|value| format!("\"{name}\":\"{}\"", value.to_string()))
        }
        let texts = [
            known("enquiry", self.enquiry.as_ref()),
            known("person", self.person.as_ref()),
            known("exchange", self.exchange.as_ref()),
            self.party.as_ref().map(|party| format!("\"{party}\"")),
            known("name", self.actor.as_ref()),
            known("action", self.action.as_ref()),
            known("gate", self.gate.as_ref()),
            known("category", self.category.as_ref()),
            known("decision", self.outcome.as_ref()),
            known("reason", self.reason.as_ref()),
            self.people.as_ref().map(|_| "\"person\":\"".to_owned()),
        ];
        let texts = texts.into_iter().flatten();
        Sieve(texts.map(|text| Finder::new(&text).into_owned()).collect())
    }

    /// Whether an entry meets every condition.
    #[must_use]
    pub fn is_met_by(&self, entry: &Entry, times: (Option<Timestamp>, Option<Timestamp>)) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let actor = match &entry.actor {
            Actor::Staff { name, .. } => Some(name),
            Actor::Program => None,
        };
        let with =
            |party: &Party| entry.peer.as_ref() == Some(party) || entry.recipients.contains(party);
        let about = |people: &BTreeSet<(EnquiryRef, PersonRef)>| {
            let both = entry.enquiry.clone().zip(entry.person.clone());
            both.is_some_and(|both| people.contains(&both))
        };
        let (from, until) = times;
        same(self.enquiry.as_ref(), entry.enquiry.as_ref())
            && same(self.person.as_ref(), entry.person.as_ref())
            && same(self.exchange.as_ref(), entry.exchange.as_ref())
            && self.party.as_ref().is_none_or(with)
            && same(self.actor.as_ref(), actor)
            && same(self.action.as_ref(), Some(&entry.action))
            && same(self.gate.as_ref(), entry.gate.as_ref())
            && same(self.category.as_ref(), entry.category.as_ref())
            && same(self.outcome.as_ref(), entry.decision.as_ref())
            && same(self.reason.as_ref(), entry.reason.as_ref())
            && from.is_none_or(|from| entry.ts >= from)
            && until.is_none_or(|until| entry.ts < until)
            && self.people.as_ref().is_none_or(about)
    }
}

/// Texts that stand in the bytes of an entry that is wanted.
#[derive(Debug)]
pub struct Sieve(Vec<Finder<'static>>);

impl Sieve {
    /// Whether an entry's canonical bytes have all of them.
    #[must_use]
    pub fn lets_through(&self, json: &[u8]) -> bool {
        self.0.iter().all(|finder| finder.find(json).is_some())
    }
}

fn field<T: std::str::FromStr>(
    fields: &BTreeMap<String, String>,
    name: &'static str,
    expected: &str,
    problems: &mut Vec<FieldProblem>,
) -> Option<T> {
    let text = fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())?;
    let read = text.parse().ok();
    if read.is_none() {
        problems.push((name, format!("Enter {expected}")));
    }
    read
}

#[cfg(test)]
mod tests {
    use brag_common::audit::entry::{Digest, SCHEMA_VERSION};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn entry(more: &serde_json::Value) -> Entry {
        let mut whole = json!({
            "v": SCHEMA_VERSION, "seq": 7, "prev_hash": Digest::ZERO, "ts": "2027-02-09T10:00:00Z", "node": "hub",
            "actor": { "staff": { "name": "j.okafor", "role": "coordinator" } }, "action": "release_decided",
        });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn full() -> Entry {
        entry(&json!({
            "enquiry": "e1", "person": "p1", "exchange": "x1", "peer": "SMS", "category": "C33", "gate": "g3",
            "decision": "deny", "reason": "THRESHOLD_NOT_MET", "recipients": ["CSC"],
        }))
    }

    #[test]
    fn what_is_not_what_it_should_be_is_named_field_by_field() {
        let wrong = fields(&[
            ("enquiry", "Marta Example"),
            ("party", "csc"),
            ("action", "anything"),
            ("from", "last week"),
            ("outcome", "two words"),
        ]);
        let problems = Question::read(&wrong).unwrap_err();
        let names: Vec<_> = problems.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["enquiry", "party", "action", "outcome", "from"]);
        assert!(problems.iter().all(|(_, text)| !text.contains("Marta")));
        let order = fields(&[("from", "2027-02-02"), ("to", "2027-02-01")]);
        assert_eq!(Question::read(&order).unwrap_err()[0].0, "to");
    }

    #[test]
    fn every_condition_has_to_be_met() {
        let entry = full();
        for (name, right, wrong) in [
            ("enquiry", "e1", "e2"),
            ("person", "p1", "p2"),
            ("exchange", "x1", "x2"),
            ("party", "SMS", "POL"),
            ("party", "CSC", "hub"),
            ("actor", "j.okafor", "a.khan"),
            ("action", "release_decided", "release_asked"),
            ("gate", "g3", "g2"),
            ("category", "C33", "C35"),
            ("outcome", "deny", "release"),
            ("reason", "THRESHOLD_NOT_MET", "CATEGORY_NEVER"),
            ("from", "2027-02-09", "2027-02-10"),
            ("to", "2027-02-09", "2027-02-08"),
        ] {
            let asked = |value| Question::read(&fields(&[(name, value)])).unwrap();
            let (right, wrong) = (asked(right), asked(wrong));
            assert!(right.is_met_by(&entry, right.times()), "{name}");
            assert!(!wrong.is_met_by(&entry, wrong.times()), "{name}");
        }
    }

    #[test]
    fn a_question_about_people_wants_them_in_their_own_enquiries_only() {
        let people = |pair: (&str, &str)| {
            let people = BTreeSet::from([(pair.0.parse().unwrap(), pair.1.parse().unwrap())]);
            Question { people: Some(people), ..Question::default() }
        };
        assert!(people(("e1", "p1")).is_met_by(&full(), (None, None)));
        assert!(!people(("e2", "p1")).is_met_by(&full(), (None, None)));
        let nobody = Question { people: Some(BTreeSet::new()), ..Question::default() };
        assert!(!nobody.is_met_by(&full(), (None, None)));
    }

    #[test]
    fn what_is_written_to_be_kept_is_read_as_it_was_and_never_has_who_was_asked_about() {
        let asked = fields(&[
            ("reason", "CATEGORY_NEVER"),
            ("action", "release_decided"),
            ("from", "2027-02-01"),
        ]);
        let mut question = Question::read(&asked).unwrap();
        assert_eq!(question.fields(), asked);
        question.people = Some(BTreeSet::from([("e1".parse().unwrap(), "p1".parse().unwrap())]));
        let written = serde_json::to_string(&question).unwrap();
        assert!(!written.contains("p1"));
        assert_eq!(serde_json::from_str::<Question>(&written).unwrap().fields(), asked);
    }

    proptest! {
        /// The sieve never keeps back what is wanted.
        #[test]
        fn what_meets_the_conditions_passes_the_sieve(chosen in proptest::collection::vec(any::<bool>(), 10)) {
            let all = [
                ("enquiry", "e1"), ("person", "p1"), ("exchange", "x1"), ("party", "CSC"), ("actor", "j.okafor"),
                ("action", "release_decided"), ("gate", "g3"), ("category", "C33"), ("outcome", "deny"),
                ("reason", "THRESHOLD_NOT_MET"),
            ];
            let asked: Vec<_> = all.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(one, _)| *one).collect();
            let question = Question::read(&fields(&asked)).unwrap();
            prop_assert!(question.is_met_by(&full(), question.times()));
            prop_assert!(question.sieve().lets_through(&full().encode()));
            let other = entry(&json!({ "enquiry": "e9" }));
            prop_assert!(question.is_met_by(&other, question.times()) <= question.sieve().lets_through(&other.encode()));
        }
    }
}
