//! An entry in words.

use brag_common::{
    agreement::Agreement,
    alert::Alert,
    audit::entry::{Action, Actor, Entry, Party},
    console::shown::{spoken, when},
};

use crate::render::gate_words;

/// An entry as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub seq: u64,
    /// When, local time in the United Kingdom.
    pub at: String,
    /// Who, in which role; `The program` when nobody did.
    pub who: String,
    /// What happened.
    pub what: String,
    /// Its outcome and reason, and what else says how it ended; empty: nothing.
    pub outcome: Vec<String>,
    /// The enquiry; empty: none.
    pub enquiry: String,
    /// The person's reference; empty: none.
    pub person: String,
    /// The exchange; empty: none.
    pub exchange: String,
    /// Everything else that is known of it: what it is, and its value in words.
    pub more: Vec<(&'static str, String)>,
    /// As it stands in the log.
    pub json: String,
}

impl Told {
    /// Of what else is known, what a line of a list has room for.
    #[must_use]
    pub fn short(&self) -> Vec<&(&'static str, String)> {
        let shown = ["Other side", "Category", "Gate", "Recipients"];
        self.more.iter().filter(|(what, _)| shown.contains(what)).collect()
    }
}

/// What happened, in a few words: the first sentence, without what is said of fields.
#[must_use]
pub fn action_words(action: Action) -> String {
    let text = action.text();
    let end = text.find([';', '.']).unwrap_or(text.len());
    text.get(..end).unwrap_or(text).replace('`', "")
}

/// An entry in the words of an agreement.
#[must_use]
pub fn told(entry: &Entry, agreement: &Agreement) -> Told {
    let who = match &entry.actor {
        Actor::Program => "The program".to_owned(),
        Actor::Staff { name, role } => format!("{name} ({role})"),
    };
    let mut outcome = Vec::new();
    if let Some(decision) = &entry.decision {
        outcome.push(outcome_words(entry.action, decision.as_str()));
    }
    if let Some(reason) = entry.reason {
        outcome.push(format!("{}: {}", reason.code(), reason.text()));
    }
    Told {
        seq: entry.seq,
        at: when(entry.ts.as_millisecond()),
        who,
        what: action_words(entry.action),
        outcome,
        enquiry: text(entry.enquiry.as_ref()),
        person: text(entry.person.as_ref()),
        exchange: text(entry.exchange.as_ref()),
        more: more(entry, agreement),
        json: String::from_utf8(entry.encode()).unwrap_or_default(),
    }
}

/// The word of an outcome, with what it means where a list says so.
fn outcome_words(action: Action, word: &str) -> String {
    let is_alert = matches!(action, Action::AlertRaised | Action::AlertHandled);
    match Alert::from_word(word).filter(|_| is_alert) {
        Some(alert) => format!("{}: {}", spoken(word), alert.text()),
        None => spoken(word),
    }
}

fn more(entry: &Entry, agreement: &Agreement) -> Vec<(&'static str, String)> {
    let mut more = Vec::new();
    let mut add = |what: &'static str, value: Option<String>| {
        more.extend(value.filter(|value| !value.is_empty()).map(|value| (what, value)));
    };
    let name = |party: &Party| party_words(party, agreement);
    let names = |parties: &[Party]| parties.iter().map(name).collect::<Vec<_>>().join(", ");
    let word =
        |word: Option<&brag_common::audit::entry::Word>| word.map(|word| spoken(word.as_str()));
    add("Other side", entry.peer.as_ref().map(name));
    add("Request for detail", entry.release.as_ref().map(ToString::to_string));
    add(
        "Category",
        entry.category.map(|code| {
            let title = agreement.category_title(code).map(|title| format!(" ({title})"));
            format!("{code}{}", title.unwrap_or_default())
        }),
    );
    add("Gate", entry.gate.as_ref().map(|gate| gate_words(gate.as_str())));
    add("Class", word(entry.class.as_ref()));
    add("Purpose", word(entry.purpose.as_ref()));
    add("Article 6 basis", entry.art6.as_ref().map(ToString::to_string));
    add("Article 9 condition", entry.art9.as_ref().map(ToString::to_string));
    add("Article 10 condition", entry.art10.as_ref().map(ToString::to_string));
    add("Statutory gateway", entry.gateway.as_ref().map(ToString::to_string));
    add("The person's agreement", word(entry.agreement_status.as_ref()));
    add("Recipients", Some(names(&entry.recipients)));
    let obligations = entry.obligations.iter().map(|one| spoken(one.as_str()));
    add("Duties", Some(obligations.collect::<Vec<_>>().join(", ")));
    add(count_of(entry.action), entry.count.map(|count| count.to_string()));
    add(
        "Information sharing agreement",
        entry.agreement.as_ref().map(|stamp| format!("{}, version {}", stamp.id, stamp.version)),
    );
    add("Commitment to the identity", entry.commitment.as_ref().map(ToString::to_string));
    let evidence = entry.evidence.iter().map(ToString::to_string);
    add("Digests of evidence", Some(evidence.collect::<Vec<_>>().join(" ")));
    add("Digest of what travelled", entry.payload_digest.as_ref().map(ToString::to_string));
    add("Environment", entry.test_env.then(|| "a test: nobody in it is real".to_owned()));
    more
}

/// What the number of an entry says.
const fn count_of(action: Action) -> &'static str {
    match action {
        Action::AlertHandled => "Entry of the alert",
        Action::SubjectAccessAsked
        | Action::SubjectAccessApproved
        | Action::SubjectAccessIssued => "Number of the request",
        _ => "How many, or which number",
    }
}

/// A party with its name.
#[must_use]
pub fn party_words(party: &Party, agreement: &Agreement) -> String {
    match party {
        Party::Hub => "the hub".to_owned(),
        Party::Agency(id) => match agreement.party(id) {
            Some(known) => format!("{id} ({})", known.name()),
            None => id.to_string(),
        },
    }
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_that_end_before_what_is_said_of_fields() {
        for action in Action::ALL {
            let words = action_words(*action);
            assert!(words.len() > 10 && words.len() < 160, "{action}: {words}");
            assert!(!words.contains(['`', ';', '.', '"', '\\']), "{action}: {words}");
            assert_ne!(words, action.word());
        }
        assert_eq!(action_words(Action::EnquiryOpened), "The hub opened an enquiry");
    }

    #[test]
    fn an_alert_says_what_it_tells_and_any_other_outcome_its_word() {
        let told = outcome_words(Action::AlertRaised, "own_family");
        assert!(told.starts_with("Own family: Somebody worked"), "{told}");
        assert_eq!(outcome_words(Action::RateAnswered, "not_known"), "Not known");
    }
}
