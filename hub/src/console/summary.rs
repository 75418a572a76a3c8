//! A draft in lines, to be checked before it is opened.

use brag_common::{
    console::shown::{spoken, when},
    time::Timestamp,
};

use super::terms::{Terms, link_words};
use crate::{
    life::words::Kind,
    written_enquiry::{WrittenEnquiry, WrittenLink, WrittenPerson, WrittenTime},
};

/// A person in lines.
#[derive(Debug)]
pub(super) struct PersonSummary {
    pub(super) label: String,
    pub(super) name: String,
    /// What is known, in pairs of what and how.
    pub(super) lines: Vec<(String, String)>,
}

impl PersonSummary {
    pub(super) fn of(person: &WrittenPerson) -> Self {
        let mut lines = Vec::new();
        let mut line = |key: &str, value: String| {
            if !value.is_empty() {
                lines.push((key.to_owned(), value));
            }
        };
        let name = both(&person.given, &person.family);
        line("Name", name.clone());
        for other in &person.names {
            let kind = spoken(&other.kind);
            line(
                if kind.is_empty() { "Other name" } else { &kind },
                both(&other.given, &other.family),
            );
        }
        line("Born", person.born.as_ref().map(WrittenTime::text).unwrap_or_default());
        line("Sex", spoken(&person.sex));
        line("NHS number", person.nhs.clone().unwrap_or_default());
        line("UPN", person.upn.clone().unwrap_or_default());
        for one in &person.identifiers {
            line(&spoken(&one.kind), one.value.clone());
        }
        for one in &person.addresses {
            let day = |at: &Option<WrittenTime>| at.as_ref().map(WrittenTime::text);
            let mut text = [one.house.clone(), one.postcode.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ");
            if let Some(from) = day(&one.from) {
                text = format!("{text}, from {from}");
            }
            if let Some(to) = day(&one.to) {
                text = format!("{text}, until {to}");
            }
            line("Address", text);
        }
        line("Part", person.role.as_deref().map(spoken).unwrap_or_default());
        line("Referrer’s colour", person.initial.as_deref().map(spoken).unwrap_or_default());
        Self { label: person.label.clone(), name, lines }
    }
}

fn both(given: &str, family: &str) -> String {
    [given, family].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Referral and purpose in lines.
pub(super) fn referral(terms: &Terms, enquiry: &WrittenEnquiry) -> Vec<(String, String)> {
    let time = |written: &Option<WrittenTime>| {
        let at = written.as_ref().and_then(|at| at.text().parse::<Timestamp>().ok());
        at.map(|at| when(at.as_millisecond())).unwrap_or_default()
    };
    let referral = &enquiry.referral;
    let agency = match terms.agency_name(&referral.agency).as_str() {
        "" => referral.agency.clone(),
        name => format!("{} – {name}", referral.agency),
    };
    let source = match referral.source.as_str() {
        "" => String::new(),
        word => terms.word_title(Kind::Source, word),
    };
    let abuse = if enquiry.domestic_abuse { "Yes" } else { "No, or not known" };
    let within = enquiry.answer_within.clone();
    let lines = [
        ("Why", spoken(&enquiry.purpose)),
        ("Evidence of domestic abuse", abuse.to_owned()),
        ("Referred by", agency),
        ("Their reference", referral.reference.clone()),
        ("How it came", source),
        ("When it happened", time(&referral.incident_at)),
        ("When it came in", time(&referral.received_at)),
        ("Time to answer", within.unwrap_or_else(|| "As this hub is set".to_owned())),
        ("Asked again because", enquiry.again_because.clone()),
    ];
    let given = lines.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A link in a line.
pub(super) fn link(link: &WrittenLink) -> String {
    format!("{} {} {}", link.from, link_words(&link.kind), link.to)
}
