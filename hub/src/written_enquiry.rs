//! An enquiry as a co-ordinator writes it, in a file or on the pages of the console: its shape, and the message that opens it. What is
//! wrong is found here for both, each with its place; no value is repeated.

use std::{collections::BTreeSet, str::FromStr};

use brag_common::{
    agreement::{LinkKind, Purpose},
    config::DurationText,
    id::{AgencyId, PersonRef},
    matching::{
        identity::{
            Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts,
            IdentityProblem, Name, NameKind, Sex,
        },
        normalise::{WrittenDate, parse_date},
    },
    rating::Colour,
    statement::PersonRole,
    time::Timestamp,
    wire::{MAX_PEOPLE, pb, round::MAX_LINKS, words},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{enquiry::MAX_REASON_CHARS, file_problems::Found};

/// The longest that a round may be open, in seconds: 30 days.
const MAX_ANSWER_WITHIN_S: u64 = 30 * 86_400;

/// An enquiry, as a co-ordinator writes it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenEnquiry {
    pub(crate) purpose: String,
    #[serde(default)]
    pub(crate) domestic_abuse: bool,
    pub(crate) answer_within: Option<String>,
    #[serde(default)]
    pub(crate) again_because: String,
    pub(crate) referral: WrittenReferral,
    #[serde(default)]
    pub(crate) person: Vec<WrittenPerson>,
    #[serde(default)]
    pub(crate) link: Vec<WrittenLink>,
}

/// Where it comes from.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenReferral {
    pub(crate) agency: String,
    pub(crate) reference: String,
    #[serde(default)]
    pub(crate) source: String,
    pub(crate) incident_at: Option<WrittenTime>,
    pub(crate) received_at: Option<WrittenTime>,
}

/// One person.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenPerson {
    #[serde(default)]
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) given: String,
    #[serde(default)]
    pub(crate) family: String,
    #[serde(default)]
    pub(crate) names: Vec<WrittenName>,
    pub(crate) born: Option<WrittenTime>,
    #[serde(default)]
    pub(crate) sex: String,
    pub(crate) nhs: Option<String>,
    pub(crate) upn: Option<String>,
    #[serde(default)]
    pub(crate) identifiers: Vec<WrittenIdentifier>,
    #[serde(default)]
    pub(crate) addresses: Vec<WrittenAddress>,
    pub(crate) role: Option<String>,
    pub(crate) initial: Option<String>,
}

/// Another name of a person.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenName {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) given: String,
    #[serde(default)]
    pub(crate) family: String,
}

/// A number of a person.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenIdentifier {
    pub(crate) kind: String,
    pub(crate) value: String,
}

/// An address of a person.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenAddress {
    pub(crate) house: Option<String>,
    pub(crate) postcode: Option<String>,
    pub(crate) from: Option<WrittenTime>,
    pub(crate) to: Option<WrittenTime>,
}

/// How two people are connected.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenLink {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: String,
}

/// A date or time as people write it: quoted, or as TOML's own date, or a year alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a date or a time")]
pub(crate) enum WrittenTime {
    Text(String),
    Toml(toml::value::Datetime),
    Year(u16),
}

impl WrittenTime {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Toml(date) => date.to_string(),
            Self::Year(year) => year.to_string(),
        }
    }
}

/// Makes the message that opens an enquiry. What is wrong is added to `found`, each with its place, for example `person[2].born`.
pub(crate) fn request(raw: &WrittenEnquiry, found: &mut Found) -> pb::OpenRequest {
    if Purpose::from_word(&raw.purpose).is_none() {
        let known = Purpose::ALL.iter().map(|purpose| purpose.word());
        found.add("purpose", expected("a purpose", known));
    }
    if raw.person.is_empty() || raw.person.len() > MAX_PEOPLE {
        found.add("person", format!("1 to {MAX_PEOPLE} people, found {}", raw.person.len()));
    }
    if raw.link.len() > MAX_LINKS {
        found.add("link", format!("at most {MAX_LINKS} links, found {}", raw.link.len()));
    }
    let mut labels = BTreeSet::new();
    let mut people = Vec::with_capacity(raw.person.len());
    for (person, n) in raw.person.iter().zip(1..) {
        let place = |key: &str| format!("person[{n}].{key}");
        if person.label.parse::<PersonRef>().is_err() {
            found.add(place("label"), "1 to 32 letters, digits, `-` or `_`, for example `P1`");
        } else if !labels.insert(person.label.as_str()) {
            found.add(place("label"), "used for another person above; labels differ");
        }
        people.push(to_person(person, &place, found));
    }
    let mut links = Vec::with_capacity(raw.link.len());
    for (link, n) in raw.link.iter().zip(1..) {
        for (key, label) in [("from", &link.from), ("to", &link.to)] {
            if !labels.contains(label.as_str()) {
                found.add(format!("link[{n}].{key}"), "not the label of a person in this file");
            }
        }
        if link.from == link.to {
            found.add(format!("link[{n}].to"), "a person is not linked to themselves");
        }
        let kind = LinkKind::from_word(&link.kind);
        if kind.is_none() {
            let known = LinkKind::ALL.iter().map(|kind| kind.word());
            found.add(format!("link[{n}].kind"), expected("a kind of link", known));
        }
        links.push(pb::ClaimedLink {
            from: link.from.clone(),
            to: link.to.clone(),
            kind: kind.map_or(pb::LinkKind::Unspecified, words::link_kind).into(),
        });
    }
    pb::OpenRequest {
        purpose: raw.purpose.clone(),
        referral: Some(to_referral(&raw.referral, found)),
        people,
        links,
        domestic_abuse: raw.domestic_abuse,
        answer_within_s: answer_within(raw.answer_within.as_deref(), found),
        again_because: again_because(&raw.again_because, found),
    }
}

fn again_because(text: &str, found: &mut Found) -> String {
    let text = text.trim();
    if text.chars().count() > MAX_REASON_CHARS {
        found.add("again_because", format!("at most {MAX_REASON_CHARS} characters"));
    }
    text.to_owned()
}

fn to_referral(raw: &WrittenReferral, found: &mut Found) -> pb::Referral {
    found.take("referral.agency", raw.agency.parse::<AgencyId>());
    let reference = raw.reference.trim();
    if reference.is_empty() {
        found.add("referral.reference", "required: an enquiry without a reason is fishing");
    } else if reference.len() > 64 || reference.chars().any(char::is_control) {
        found.add("referral.reference", "at most 64 bytes on one line");
    }
    let mut moment = |key: &str, written: Option<&WrittenTime>| {
        let Some(written) = written else { return 0 };
        let parsed = written
            .text()
            .parse::<Timestamp>()
            .map_err(|_| "a time in RFC 3339 with its zone, for example `2026-03-02T09:00:00Z`");
        found.take(key, parsed).map_or(0, Timestamp::as_millisecond)
    };
    pb::Referral {
        agency: raw.agency.clone(),
        reference: reference.to_owned(),
        source: raw.source.clone(),
        incident_at_unix_ms: moment("referral.incident_at", raw.incident_at.as_ref()),
        received_at_unix_ms: moment("referral.received_at", raw.received_at.as_ref()),
    }
}

fn answer_within(text: Option<&str>, found: &mut Found) -> u32 {
    let Some(text) = text else { return 0 };
    let seconds = found.take("answer_within", DurationText::from_str(text));
    let seconds = seconds.map_or(1, |length| length.get().as_secs());
    match u32::try_from(seconds) {
        Ok(short @ 1..) if seconds <= MAX_ANSWER_WITHIN_S => short,
        Ok(_) | Err(_) => {
            found.add("answer_within", "1s to 30d, for example `4h`");
            0
        }
    }
}

fn to_person(
    raw: &WrittenPerson,
    place: &impl Fn(&str) -> String,
    found: &mut Found,
) -> pb::EnquiryPerson {
    let role = raw.role.as_deref().and_then(|word| {
        let role = PersonRole::from_word(word);
        if role.is_none() {
            found.add(place("role"), expected("a role", PersonRole::ALL.map(|(_, word)| word)));
        }
        role
    });
    let initial = raw
        .initial
        .as_deref()
        .and_then(|word| found.take(&place("initial"), word.parse::<Colour>()));
    let identity = to_identity(raw, place, found);
    pb::EnquiryPerson {
        label: raw.label.clone(),
        identity: identity.map(|identity| identity.canonical_bytes()).unwrap_or_default(),
        role: words::role(role).into(),
        initial: initial.map_or(pb::Colour::Unspecified, words::colour).into(),
    }
}

/// Who somebody is. What is wrong is added to `found`, at what `place` makes of its key.
pub(crate) fn to_identity(
    raw: &WrittenPerson,
    place: &impl Fn(&str) -> String,
    found: &mut Found,
) -> Option<Identity> {
    let mut parts = IdentityParts::default();
    let mut all = |key: &str, problems: Vec<IdentityProblem>| {
        problems.into_iter().for_each(|problem| found.add(place(key), problem));
    };
    match Name::new(NameKind::Current, &raw.given, &raw.family) {
        Ok(name) => parts.names.push(name),
        // A person may be known by another name only.
        Err(problems) if problems == [IdentityProblem::NameEmpty] && !raw.names.is_empty() => {}
        Err(problems) => all("given", problems),
    }
    for (name, n) in raw.names.iter().zip(1..) {
        let key = format!("names[{n}]");
        match NameKind::from_word(&name.kind) {
            None => found.add(
                place(&format!("{key}.kind")),
                expected("a kind of name", NameKind::ALL.map(NameKind::word)),
            ),
            Some(kind) => match Name::new(kind, &name.given, &name.family) {
                Ok(name) => parts.names.push(name),
                Err(problems) => {
                    problems.into_iter().for_each(|problem| found.add(place(&key), problem));
                }
            },
        }
    }
    let born = raw.born.as_ref().map(WrittenTime::text).unwrap_or_default();
    parts.birth = found.take(&place("born"), BirthDate::parse(&born)).unwrap_or_default();
    parts.sex = found.take(&place("sex"), Sex::parse(&raw.sex)).flatten();
    let short = [(IdentifierKind::Nhs, &raw.nhs), (IdentifierKind::Upn, &raw.upn)];
    for (kind, value) in short {
        let Some(value) = value else { continue };
        let key = kind.word().to_owned();
        add_identifier(&mut parts, kind, value, &place(&key), found);
    }
    for (identifier, n) in raw.identifiers.iter().zip(1..) {
        let key = place(&format!("identifiers[{n}]"));
        let kind = IdentifierKind::from_word(&identifier.kind);
        if let Some(kind) = found.take(&format!("{key}.kind"), kind) {
            add_identifier(&mut parts, kind, &identifier.value, &key, found);
        }
    }
    for (address, n) in raw.addresses.iter().zip(1..) {
        let key = place(&format!("addresses[{n}]"));
        let from = day(address.from.as_ref(), &format!("{key}.from"), found);
        let to = day(address.to.as_ref(), &format!("{key}.to"), found);
        match Address::new(address.house.as_deref(), address.postcode.as_deref(), from, to) {
            Ok(address) => parts.addresses.push(address),
            Err(problems) => {
                problems.into_iter().for_each(|problem| found.add(key.as_str(), problem));
            }
        }
    }
    match Identity::new(parts) {
        Ok(identity) => Some(identity),
        Err(problems) => {
            for problem in problems {
                let key = match problem {
                    IdentityProblem::TooManyAddresses(_) => "addresses",
                    IdentityProblem::TooManyIdentifiers(_) => "identifiers",
                    _ => "names",
                };
                found.add(place(key), problem);
            }
            None
        }
    }
}

fn add_identifier(
    parts: &mut IdentityParts,
    kind: IdentifierKind,
    value: &str,
    place: &str,
    found: &mut Found,
) {
    match Identifier::new(kind, value) {
        Ok(identifier) => parts.identifiers.push(identifier),
        Err(problems) => problems.into_iter().for_each(|problem| found.add(place, problem)),
    }
}

fn day(written: Option<&WrittenTime>, place: &str, found: &mut Found) -> Option<Date> {
    let text = written?.text();
    match parse_date(&text) {
        Ok(WrittenDate::Day(date)) => Some(date),
        Ok(WrittenDate::Month(..) | WrittenDate::Year(_)) | Err(_) => {
            found.add(place, "a day, for example `2024-05-31`");
            None
        }
    }
}

fn expected<'a>(what: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    format!("not {what}; one of {}", known.join(", "))
}
