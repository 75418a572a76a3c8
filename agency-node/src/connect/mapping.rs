//! The mapping file: which field of a system's rows becomes what of the agency's records.
//!
//! TOML, read strictly; docs/connectors.md is its reference. Each row makes at most one person, one entry for each `[[entry]]`
//! and one rating: those whose `when` holds. What is made goes the way of an imported row: the same rules, the same rejects.

use std::path::Path;

use brag_common::config::{self, ConfigError};
use serde::Deserialize;
use serde_json::Value;

pub(crate) mod path;
pub(crate) mod value;

use path::FieldPath;
use value::{ListSpec, OneOrMany, ValueSpec, text_of};

use crate::import::{
    ImportOptions, Reason, Row,
    build::{
        Faults, Raw, RawAddress, RawEntry, RawIdentifier, RawName, RawPerson, RawRating, build,
    },
};

/// The mapping of HL7 FHIR R4 that holds where a connector's own does not say otherwise.
const FHIR_R4: &str = include_str!("../../../deploy/config/agency-node/mapping-fhir-r4.toml");

/// Most names, identifiers and addresses of one row that are looked at; what a person may have is less.
const MAX_LISTED: usize = 64;

/// What rows become.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    person: Option<PersonMapping>,
    entry: Vec<EntryMapping>,
    rating: Option<RatingMapping>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonMapping {
    #[serde(default)]
    when: Vec<When>,
    id: ValueSpec,
    given: Option<ValueSpec>,
    family: Option<ValueSpec>,
    born: Option<ValueSpec>,
    sex: Option<ValueSpec>,
    nhs: Option<ValueSpec>,
    upn: Option<ValueSpec>,
    house: Option<ValueSpec>,
    postcode: Option<ValueSpec>,
    address_from: Option<ValueSpec>,
    address_to: Option<ValueSpec>,
    #[serde(default)]
    name: Vec<NameMapping>,
    #[serde(default)]
    identifier: Vec<IdentifierMapping>,
    #[serde(default)]
    address: Vec<AddressMapping>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameMapping {
    #[serde(default)]
    each: Option<FieldPath>,
    #[serde(default)]
    when: Vec<When>,
    kind: ValueSpec,
    given: Option<ValueSpec>,
    family: Option<ValueSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentifierMapping {
    #[serde(default)]
    each: Option<FieldPath>,
    #[serde(default)]
    when: Vec<When>,
    kind: ValueSpec,
    value: ValueSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressMapping {
    #[serde(default)]
    each: Option<FieldPath>,
    #[serde(default)]
    when: Vec<When>,
    house: Option<ValueSpec>,
    postcode: Option<ValueSpec>,
    from: Option<ValueSpec>,
    to: Option<ValueSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryMapping {
    #[serde(default)]
    when: Vec<When>,
    id: ValueSpec,
    entry: Option<ValueSpec>,
    category: ValueSpec,
    text: ValueSpec,
    #[serde(default)]
    flags: ListSpec,
    handling_code: Option<ValueSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RatingMapping {
    #[serde(default)]
    when: Vec<When>,
    id: ValueSpec,
    colour: ValueSpec,
    analysis: ValueSpec,
    #[serde(default)]
    tags: ListSpec,
    rated_by: ValueSpec,
    rated_at: ValueSpec,
}

/// A condition on a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WhenWritten")]
struct When {
    field: FieldPath,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Is(Vec<String>),
    IsNot(Vec<String>),
    Present(bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenWritten {
    field: FieldPath,
    is: Option<OneOrMany>,
    is_not: Option<OneOrMany>,
    present: Option<bool>,
}

impl TryFrom<WhenWritten> for When {
    type Error = &'static str;

    fn try_from(written: WhenWritten) -> Result<Self, Self::Error> {
        let test = match (written.is, written.is_not, written.present) {
            (Some(OneOrMany(words)), None, None) => Test::Is(words),
            (None, Some(OneOrMany(words)), None) => Test::IsNot(words),
            (None, None, Some(present)) => Test::Present(present),
            _ => return Err("expected exactly one of `is`, `is_not` and `present`"),
        };
        Ok(Self { field: written.field, test })
    }
}

impl When {
    fn holds(&self, row: &Value) -> bool {
        let found = self.field.find(row);
        let texts = found.iter().filter_map(|value| text_of(value).ok());
        let mut texts = texts.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        match &self.test {
            Test::Is(words) => texts.any(|text| words.contains(&text)),
            Test::IsNot(words) => !texts.any(|text| words.contains(&text)),
            // An object is there too.
            Test::Present(present) => {
                let is = texts.next().is_some() || found.iter().any(|value| value.is_object());
                is == *present
            }
        }
    }
}

fn holds(all: &[When], row: &Value) -> bool {
    all.iter().all(|when| when.holds(row))
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// When it can not be read, or a key is wrong; the error names file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }

    /// The one for HL7 FHIR R4, with what `over` says in its place: a `[person]` replaces the person, entries replace all
    /// entries, a `[rating]` the rating.
    ///
    /// # Errors
    /// Never in a program whose tests pass: what is built in is read like any other.
    pub fn fhir_r4(over: Option<Self>) -> Result<Self, String> {
        let built_in: Self = toml::from_str(FHIR_R4).map_err(|error| error.to_string())?;
        let Some(over) = over else { return Ok(built_in) };
        Ok(Self {
            person: over.person.or(built_in.person),
            entry: if over.entry.is_empty() { built_in.entry } else { over.entry },
            rating: over.rating.or(built_in.rating),
        })
    }

    /// Whether it maps anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.person.is_none() && self.entry.is_empty() && self.rating.is_none()
    }

    /// Names of plain columns that it reads and that are none of `columns`.
    pub(crate) fn missing_columns(&self, columns: &[String]) -> Vec<String> {
        let mut missing: Vec<String> = self
            .fields()
            .into_iter()
            .filter(|path| path.is_plain())
            .map(|path| path.written().to_owned())
            .filter(|name| !columns.contains(name))
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    fn fields(&self) -> Vec<&FieldPath> {
        let mut specs: Vec<&ValueSpec> = Vec::new();
        let mut whens: Vec<&When> = Vec::new();
        if let Some(person) = &self.person {
            whens.extend(&person.when);
            specs.push(&person.id);
            let texts = [
                &person.given,
                &person.family,
                &person.born,
                &person.sex,
                &person.nhs,
                &person.upn,
                &person.house,
                &person.postcode,
                &person.address_from,
                &person.address_to,
            ];
            specs.extend(texts.into_iter().flatten());
            // What lies below an `each` is no column.
            for name in person.name.iter().filter(|name| name.each.is_none()) {
                whens.extend(&name.when);
                specs.push(&name.kind);
                specs.extend([&name.given, &name.family].into_iter().flatten());
            }
            for identifier in person.identifier.iter().filter(|one| one.each.is_none()) {
                whens.extend(&identifier.when);
                specs.extend([&identifier.kind, &identifier.value]);
            }
            for address in person.address.iter().filter(|address| address.each.is_none()) {
                whens.extend(&address.when);
                let texts = [&address.house, &address.postcode, &address.from, &address.to];
                specs.extend(texts.into_iter().flatten());
            }
        }
        for entry in &self.entry {
            whens.extend(&entry.when);
            specs.extend([&entry.id, &entry.category, &entry.text]);
            specs.extend([&entry.entry, &entry.handling_code].into_iter().flatten());
            specs.extend(&entry.flags.0);
        }
        if let Some(rating) = &self.rating {
            whens.extend(&rating.when);
            specs.extend([
                &rating.id,
                &rating.colour,
                &rating.analysis,
                &rating.rated_by,
                &rating.rated_at,
            ]);
            specs.extend(&rating.tags.0);
        }
        let fields = specs.into_iter().flat_map(ValueSpec::fields);
        fields.chain(whens.into_iter().map(|when| &when.field)).collect()
    }

    /// What a row becomes: nothing when no `when` holds.
    pub(crate) fn rows(&self, line: u64, row: &Value, options: &ImportOptions) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut made = |raw: Raw, faults: Faults| {
            rows.push(Row { line, item: build(raw, faults, options) });
        };
        if let Some(person) = self.person.as_ref().filter(|person| holds(&person.when, row)) {
            let mut faults = Faults::default();
            made(Raw::Person(person.of(row, &mut faults)), faults);
        }
        for entry in self.entry.iter().filter(|entry| holds(&entry.when, row)) {
            let mut faults = Faults::default();
            made(Raw::Entry(entry.of(row, &mut faults)), faults);
        }
        if let Some(rating) = self.rating.as_ref().filter(|rating| holds(&rating.when, row)) {
            let mut faults = Faults::default();
            made(Raw::Rating(rating.of(row, &mut faults)), faults);
        }
        rows
    }
}

/// A text of a row, or nothing and a fault.
fn text(spec: &ValueSpec, field: &'static str, row: &Value, faults: &mut Faults) -> String {
    faults.take(field, spec.of(row)).unwrap_or_default()
}

fn maybe(
    spec: Option<&ValueSpec>,
    field: &'static str,
    row: &Value,
    faults: &mut Faults,
) -> String {
    spec.map(|spec| text(spec, field, row, faults)).unwrap_or_default()
}

fn list(spec: &ListSpec, field: &'static str, row: &Value, faults: &mut Faults) -> Vec<String> {
    faults.take(field, spec.of(row)).unwrap_or_default()
}

/// The row itself, or each of the things that `each` finds in it.
fn each<'a>(
    path: Option<&FieldPath>,
    field: &'static str,
    row: &'a Value,
    faults: &mut Faults,
) -> Vec<&'a Value> {
    let Some(path) = path else { return vec![row] };
    let found = path.find(row);
    if found.len() > MAX_LISTED {
        faults.add(field, Reason::WrongType);
        return Vec::new();
    }
    found
}

impl PersonMapping {
    fn of(&self, row: &Value, faults: &mut Faults) -> RawPerson {
        let mut raw = RawPerson {
            id: text(&self.id, "id", row, faults),
            born: maybe(self.born.as_ref(), "born", row, faults),
            sex: maybe(self.sex.as_ref(), "sex", row, faults),
            ..RawPerson::default()
        };
        let given = maybe(self.given.as_ref(), "given", row, faults);
        let family = maybe(self.family.as_ref(), "family", row, faults);
        if !given.trim().is_empty() || !family.trim().is_empty() {
            raw.names.push(RawName { field: "given", kind: "current".to_owned(), given, family });
        }
        for (kind, spec) in [("nhs", &self.nhs), ("upn", &self.upn)] {
            let value = maybe(spec.as_ref(), kind, row, faults);
            if !value.trim().is_empty() {
                raw.identifiers.push(RawIdentifier { field: kind, kind: kind.to_owned(), value });
            }
        }
        let address = RawAddress {
            field: "house",
            house: maybe(self.house.as_ref(), "house", row, faults),
            postcode: maybe(self.postcode.as_ref(), "postcode", row, faults),
            from: maybe(self.address_from.as_ref(), "address_from", row, faults),
            to: maybe(self.address_to.as_ref(), "address_to", row, faults),
        };
        // Since when nobody lives nowhere is not worth a reject.
        if !address.house.trim().is_empty() || !address.postcode.trim().is_empty() {
            raw.addresses.push(address);
        }
        self.lists(row, &mut raw, faults);
        raw
    }

    fn lists(&self, row: &Value, raw: &mut RawPerson, faults: &mut Faults) {
        for mapping in &self.name {
            for row in each(mapping.each.as_ref(), "name", row, faults) {
                if !holds(&mapping.when, row) {
                    continue;
                }
                let name = RawName {
                    field: "name",
                    kind: text(&mapping.kind, "name", row, faults),
                    given: maybe(mapping.given.as_ref(), "name", row, faults),
                    family: maybe(mapping.family.as_ref(), "name", row, faults),
                };
                if !name.given.trim().is_empty() || !name.family.trim().is_empty() {
                    raw.names.push(name);
                }
            }
        }
        for mapping in &self.identifier {
            for row in each(mapping.each.as_ref(), "identifier", row, faults) {
                if !holds(&mapping.when, row) {
                    continue;
                }
                let identifier = RawIdentifier {
                    field: "identifier",
                    kind: text(&mapping.kind, "identifier", row, faults),
                    value: text(&mapping.value, "identifier", row, faults),
                };
                if !identifier.value.trim().is_empty() {
                    raw.identifiers.push(identifier);
                }
            }
        }
        for mapping in &self.address {
            for row in each(mapping.each.as_ref(), "address", row, faults) {
                if !holds(&mapping.when, row) {
                    continue;
                }
                let address = RawAddress {
                    field: "address",
                    house: maybe(mapping.house.as_ref(), "address", row, faults),
                    postcode: maybe(mapping.postcode.as_ref(), "address", row, faults),
                    from: maybe(mapping.from.as_ref(), "address", row, faults),
                    to: maybe(mapping.to.as_ref(), "address", row, faults),
                };
                if !address.house.trim().is_empty() || !address.postcode.trim().is_empty() {
                    raw.addresses.push(address);
                }
            }
        }
    }
}

impl EntryMapping {
    fn of(&self, row: &Value, faults: &mut Faults) -> RawEntry {
        RawEntry {
            id: text(&self.id, "id", row, faults),
            entry: maybe(self.entry.as_ref(), "entry", row, faults),
            category: text(&self.category, "category", row, faults),
            text: text(&self.text, "text", row, faults),
            flags: list(&self.flags, "flags", row, faults),
            handling_code: maybe(self.handling_code.as_ref(), "handling_code", row, faults),
        }
    }
}

impl RatingMapping {
    fn of(&self, row: &Value, faults: &mut Faults) -> RawRating {
        RawRating {
            id: text(&self.id, "id", row, faults),
            colour: text(&self.colour, "colour", row, faults),
            analysis: text(&self.analysis, "analysis", row, faults),
            tags: list(&self.tags, "tags", row, faults),
            rated_by: text(&self.rated_by, "rated_by", row, faults),
            rated_at: text(&self.rated_at, "rated_at", row, faults),
        }
    }
}

#[cfg(test)]
mod tests;
