//! From texts to items: the rules that both layouts share. Every wrong field of a row is found, not only the first.

use std::{collections::BTreeSet, str::FromStr};

use brag_common::{
    id::CategoryCode,
    lint,
    matching::{
        identity::{
            Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts,
            IdentityProblem, Name, NameKind, Sex,
        },
        normalise::{WrittenDate, parse_date},
    },
    rating::{Analysis, Colour, Topic},
    time::Timestamp,
};
use jiff::civil::Date;

use super::{
    Entry, Fault, Flag, Format, ImportItem, ImportOptions, Rating, Reason, SourceId,
    reject::{MAX_FIELD_BYTES, MAX_TEXT_BYTES},
};

/// The faults of one row: the first of each field.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, field: &'static str, reason: Reason) {
        if !self.0.iter().any(|fault| fault.field == Some(field)) {
            self.0.push(Fault::at(field, reason));
        }
    }

    /// The value, or nothing and a fault.
    pub(crate) fn take<T>(&mut self, field: &'static str, result: Result<T, Reason>) -> Option<T> {
        result.map_err(|reason| self.add(field, reason)).ok()
    }

    fn take_identity<T>(
        &mut self,
        field: &'static str,
        result: Result<T, Vec<IdentityProblem>>,
    ) -> Option<T> {
        let problems = match result {
            Ok(value) => return Some(value),
            Err(problems) => problems,
        };
        problems.into_iter().for_each(|problem| self.add(field, Reason::Identity(problem)));
        None
    }

    fn finish(self, item: Option<ImportItem>) -> Result<ImportItem, Vec<Fault>> {
        match item {
            Some(item) if self.0.is_empty() => Ok(item),
            _ => Err(self.0),
        }
    }
}

/// A name as written; `field` is where a fault is reported, here and below.
pub(crate) struct RawName {
    pub(crate) field: &'static str,
    pub(crate) kind: String,
    pub(crate) given: String,
    pub(crate) family: String,
}

pub(crate) struct RawIdentifier {
    pub(crate) field: &'static str,
    pub(crate) kind: String,
    pub(crate) value: String,
}

pub(crate) struct RawAddress {
    pub(crate) field: &'static str,
    pub(crate) house: String,
    pub(crate) postcode: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Default)]
pub(crate) struct RawPerson {
    pub(crate) id: String,
    pub(crate) names: Vec<RawName>,
    pub(crate) born: String,
    pub(crate) sex: String,
    pub(crate) identifiers: Vec<RawIdentifier>,
    pub(crate) addresses: Vec<RawAddress>,
}

#[derive(Default)]
pub(crate) struct RawEntry {
    pub(crate) id: String,
    pub(crate) entry: String,
    pub(crate) category: String,
    pub(crate) text: String,
    pub(crate) flags: Vec<String>,
    pub(crate) handling_code: String,
}

#[derive(Default)]
pub(crate) struct RawRating {
    pub(crate) id: String,
    pub(crate) colour: String,
    pub(crate) analysis: String,
    pub(crate) tags: Vec<String>,
    pub(crate) rated_by: String,
    pub(crate) rated_at: String,
}

/// A row, its texts taken apart.
pub(crate) enum Raw {
    Person(RawPerson),
    Entry(RawEntry),
    Rating(RawRating),
}

/// Builds the item of a row, or says everything that is wrong with it, also what was found while taking it apart.
pub(crate) fn build(
    raw: Raw,
    mut faults: Faults,
    options: &ImportOptions,
) -> Result<ImportItem, Vec<Fault>> {
    let item = match raw {
        Raw::Person(raw) => person(raw, &mut faults, options.format),
        Raw::Entry(raw) => entry(raw, &mut faults, options).map(ImportItem::Entry),
        Raw::Rating(raw) => rating(&raw, &mut faults, options).map(ImportItem::Rating),
    };
    faults.finish(item)
}

fn person(raw: RawPerson, faults: &mut Faults, format: Format) -> Option<ImportItem> {
    let source_id = faults.take("id", raw.id.parse());
    let mut parts = IdentityParts::default();
    if raw.names.is_empty() {
        let field = match format {
            Format::Csv => "given",
            Format::Jsonl => "names",
        };
        faults.add(field, Reason::Missing);
    }
    for name in raw.names {
        let kind = NameKind::from_word(&name.kind).ok_or(Reason::BadName);
        if let Some(kind) = faults.take(name.field, kind) {
            parts.names.extend(
                faults.take_identity(name.field, Name::new(kind, &name.given, &name.family)),
            );
        }
    }
    let birth = BirthDate::parse(&raw.born).map_err(Reason::Date);
    parts.birth = faults.take("born", birth).unwrap_or_default();
    parts.sex = faults.take("sex", Sex::parse(&raw.sex).map_err(Reason::Identity)).flatten();
    for identifier in raw.identifiers {
        let kind = IdentifierKind::from_word(identifier.kind.trim()).map_err(Reason::Identity);
        if let Some(kind) = faults.take(identifier.field, kind) {
            let identifier_or = Identifier::new(kind, &identifier.value);
            parts.identifiers.extend(faults.take_identity(identifier.field, identifier_or));
        }
    }
    for address in raw.addresses {
        let (from_field, to_field) = match address.field {
            "house" => ("address_from", "address_to"),
            field => (field, field),
        };
        let from = faults.take(from_field, day(&address.from)).flatten();
        let to = faults.take(to_field, day(&address.to)).flatten();
        // Exports write the lines of an address below each other.
        let house = address.house.split_whitespace().collect::<Vec<_>>().join(" ");
        let address_or = Address::new(Some(&house), Some(&address.postcode), from, to);
        parts.addresses.extend(faults.take_identity(address.field, address_or));
    }
    let identity = match Identity::new(parts) {
        Ok(identity) => Box::new(identity),
        Err(problems) => {
            for problem in problems {
                let field = match (format, problem) {
                    (_, IdentityProblem::TooManyIdentifiers(_)) => "identifiers",
                    (Format::Csv, IdentityProblem::TooManyAddresses(_)) => "former_addresses",
                    (Format::Jsonl, IdentityProblem::TooManyAddresses(_)) => "addresses",
                    (Format::Csv, _) => "other_names",
                    (Format::Jsonl, _) => "names",
                };
                faults.add(field, Reason::Identity(problem));
            }
            return None;
        }
    };
    Some(ImportItem::Person { source_id: source_id?, identity })
}

fn entry(raw: RawEntry, faults: &mut Faults, options: &ImportOptions) -> Option<Entry> {
    let person = faults.take("id", raw.id.parse());
    let id =
        if raw.entry.trim().is_empty() { None } else { faults.take("entry", raw.entry.parse()) };
    let category = faults.take("category", required(&raw.category, Reason::UnknownCategory));
    if let (Some(category), Some(known)) = (category, &options.categories) {
        let known: &BTreeSet<CategoryCode> = known;
        if !known.contains(&category) {
            faults.add("category", Reason::UnknownCategory);
        }
    }
    if raw.text.trim().is_empty() {
        faults.add("text", Reason::Missing);
    } else if raw.text.len() > MAX_TEXT_BYTES {
        faults.add("text", Reason::FieldTooLong(MAX_TEXT_BYTES));
    }
    let flags = words(&raw.flags, |word| Flag::from_word(word).ok_or(Reason::UnknownFlag));
    let flags = faults.take("flags", flags)?;
    let handling_code = match raw.handling_code.trim() {
        "" => None,
        code => faults.take("handling_code", code.parse()),
    };
    Some(Entry {
        person: person?,
        entry: id,
        category: category?,
        text: raw.text.into(),
        flags,
        handling_code,
    })
}

fn rating(raw: &RawRating, faults: &mut Faults, options: &ImportOptions) -> Option<Rating> {
    let person: Option<SourceId> = faults.take("id", raw.id.parse());
    let colour = match raw.colour.trim() {
        "" => Err(Reason::Missing),
        word => word.parse::<Colour>().map_err(Reason::Colour),
    };
    let colour = faults.take("colour", colour);
    // Names wait for the enquiry: only there is it known who may not be named.
    let analysis = Analysis::parse(&raw.analysis, options.bounds).map_err(Reason::Analysis);
    let analysis = analysis.and_then(|analysis| {
        let first = lint::findings(analysis.as_str(), &[]).first().copied();
        first.map_or(Ok(analysis), |finding| Err(Reason::NotToBeSaid(finding)))
    });
    let analysis = faults.take("analysis", analysis);
    let mut tags = Vec::new();
    for word in raw.tags.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        if let Some(topic) = faults.take("tags", Topic::from_word(word).ok_or(Reason::UnknownTag)) {
            tags.push(topic);
        }
    }
    tags.sort();
    tags.dedup();
    let rated_by = faults.take("rated_by", required(&raw.rated_by, Reason::BadStaffName));
    let rated_at = faults.take("rated_at", required::<Timestamp>(&raw.rated_at, Reason::BadTime));
    Some(Rating {
        person: person?,
        colour: colour?,
        analysis: analysis?,
        tags,
        rated_by: rated_by?,
        rated_at: rated_at?,
    })
}

fn required<T: FromStr>(text: &str, reason: Reason) -> Result<T, Reason> {
    match text.trim() {
        "" => Err(Reason::Missing),
        text => text.parse().map_err(|_| reason),
    }
}

/// Words in order, each once.
fn words<T: Ord>(
    texts: &[String],
    word: impl Fn(&str) -> Result<T, Reason>,
) -> Result<Vec<T>, Reason> {
    let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    let words: BTreeSet<T> = texts.map(word).collect::<Result<_, _>>()?;
    Ok(words.into_iter().collect())
}

fn day(text: &str) -> Result<Option<Date>, Reason> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    match parse_date(text) {
        Ok(WrittenDate::Day(date)) => Ok(Some(date)),
        Ok(WrittenDate::Month(..) | WrittenDate::Year(_)) | Err(_) => Err(Reason::NotADay),
    }
}

/// The text of a field, if it is short enough and UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, Reason> {
    if bytes.len() > MAX_FIELD_BYTES {
        return Err(Reason::FieldTooLong(MAX_FIELD_BYTES));
    }
    std::str::from_utf8(bytes).map_err(|error| Reason::NotUtf8(error.valid_up_to() + 1))
}
