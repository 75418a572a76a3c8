//! The CSV layout: which column is what, and how a field that holds several things is taken apart.

use std::io::{self, BufRead};

use super::{
    Fault, ImportFailure, ImportOptions, Reason, Row,
    build::{
        Faults, Raw, RawAddress, RawEntry, RawIdentifier, RawName, RawPerson, RawRating, build,
        text_of,
    },
    csv::{CsvReader, RawRow},
};

/// The columns of each kind of record, and of all.
const COMMON: [&str; 2] = ["record", "id"];
const PERSON: [&str; 13] = [
    "given",
    "family",
    "other_names",
    "born",
    "sex",
    "nhs",
    "upn",
    "identifiers",
    "house",
    "postcode",
    "address_from",
    "address_to",
    "former_addresses",
];
const ENTRY: [&str; 5] = ["entry", "category", "text", "flags", "handling_code"];
const RATING: [&str; 5] = ["colour", "analysis", "tags", "rated_by", "rated_at"];

/// Rows of a CSV file whose header has been read.
pub(crate) struct CsvRows<R> {
    reader: CsvReader<R>,
    row: RawRow,
    columns: Vec<&'static str>,
}

impl<R: BufRead> CsvRows<R> {
    /// Reads the header.
    pub(crate) fn open(input: R) -> Result<Self, ImportFailure> {
        let mut reader = CsvReader::new(input);
        let mut row = RawRow::default();
        if !reader.next(&mut row).map_err(ImportFailure::Read)? {
            return Err(ImportFailure::NoHeader);
        }
        let columns = header(&row)?;
        Ok(Self { reader, row, columns })
    }

    pub(crate) const fn n_bytes(&self) -> u64 {
        self.reader.n_bytes()
    }

    /// The next row, good or bad; nothing at the end.
    pub(crate) fn next(&mut self, options: &ImportOptions) -> io::Result<Option<Row>> {
        if !self.reader.next(&mut self.row)? {
            return Ok(None);
        }
        let item = self.fields().and_then(|fields| {
            let mut faults = Faults::default();
            let raw = raw(&fields, &mut faults)?;
            build(raw, faults, options)
        });
        Ok(Some(Row { line: self.row.line, item }))
    }

    fn fields(&self) -> Result<Fields<'_>, Vec<Fault>> {
        let column = |place: usize| self.columns.get(place).copied();
        let fields = self
            .row
            .fields()
            .map_err(|(place, reason)| vec![Fault { field: column(place), reason }])?;
        let (found, expected) = (self.row.n_fields(), self.columns.len());
        if found < expected {
            return Err(vec![Fault::row(Reason::TooFewFields { expected, found })]);
        }
        if found > expected {
            return Err(vec![Fault::row(Reason::TooManyFields { expected })]);
        }
        let mut faults = Vec::new();
        let mut texts = Vec::with_capacity(expected);
        for (column, bytes) in self.columns.iter().copied().zip(fields) {
            match text_of(bytes) {
                Ok("") => {}
                Ok(text) => texts.push((column, text)),
                Err(reason) => faults.push(Fault::at(column, reason)),
            }
        }
        if faults.is_empty() { Ok(Fields(texts)) } else { Err(faults) }
    }
}

fn header(row: &RawRow) -> Result<Vec<&'static str>, ImportFailure> {
    let fields = row.fields().map_err(|(_, reason)| ImportFailure::BadHeader(reason))?;
    let mut columns = Vec::new();
    for (place, name) in (1..).zip(fields) {
        let mut layout = COMMON.iter().chain(&PERSON).chain(&ENTRY).chain(&RATING);
        let column = *layout
            .find(|column| column.as_bytes() == name.trim_ascii())
            .ok_or(ImportFailure::UnknownColumn(place))?;
        if columns.contains(&column) {
            return Err(ImportFailure::ColumnTwice(column));
        }
        columns.push(column);
    }
    match COMMON.into_iter().find(|column| !columns.contains(column)) {
        Some(column) => Err(ImportFailure::MissingColumn(column)),
        None => Ok(columns),
    }
}

/// The fields of a row that are not empty.
struct Fields<'a>(Vec<(&'static str, &'a str)>);

impl Fields<'_> {
    fn text(&self, column: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == column).map_or("", |(_, text)| *text)
    }

    fn owned(&self, column: &str) -> String {
        self.text(column).to_owned()
    }

    /// The parts of a field that holds several, without empty ones.
    fn parts(&self, column: &str) -> impl Iterator<Item = &str> {
        self.text(column).split(';').map(str::trim).filter(|part| !part.is_empty())
    }

    fn list(&self, column: &str) -> Vec<String> {
        self.parts(column).map(str::to_owned).collect()
    }

    /// Adds a fault for each field that this kind of record does not have.
    fn check_columns(&self, kind: &[&str], faults: &mut Faults) {
        for (column, text) in &self.0 {
            if !COMMON.contains(column) && !kind.contains(column) && !text.trim().is_empty() {
                faults.add(column, Reason::NotOfThisRecord);
            }
        }
    }
}

fn raw(fields: &Fields<'_>, faults: &mut Faults) -> Result<Raw, Vec<Fault>> {
    match fields.text("record").trim() {
        "person" => {
            fields.check_columns(&PERSON, faults);
            Ok(Raw::Person(person(fields, faults)))
        }
        "entry" => {
            fields.check_columns(&ENTRY, faults);
            Ok(Raw::Entry(RawEntry {
                id: fields.owned("id"),
                entry: fields.owned("entry"),
                category: fields.owned("category"),
                text: fields.owned("text"),
                flags: fields.list("flags"),
                handling_code: fields.owned("handling_code"),
            }))
        }
        "rating" => {
            fields.check_columns(&RATING, faults);
            Ok(Raw::Rating(RawRating {
                id: fields.owned("id"),
                colour: fields.owned("colour"),
                analysis: fields.owned("analysis"),
                tags: fields.list("tags"),
                rated_by: fields.owned("rated_by"),
                rated_at: fields.owned("rated_at"),
            }))
        }
        "" => Err(vec![Fault::at("record", Reason::Missing)]),
        _ => Err(vec![Fault::at("record", Reason::UnknownRecord)]),
    }
}

fn person(fields: &Fields<'_>, faults: &mut Faults) -> RawPerson {
    let mut raw = RawPerson {
        id: fields.owned("id"),
        born: fields.owned("born"),
        sex: fields.owned("sex"),
        ..RawPerson::default()
    };
    let (given, family) = (fields.owned("given"), fields.owned("family"));
    if !given.trim().is_empty() || !family.trim().is_empty() {
        raw.names.push(RawName { field: "given", kind: "current".to_owned(), given, family });
    }
    for part in fields.parts("other_names") {
        match part.split_once(':') {
            Some((kind, name)) => raw.names.push(other_name(kind, name)),
            None => faults.add("other_names", Reason::BadName),
        }
    }
    for kind in ["nhs", "upn"] {
        if !fields.text(kind).trim().is_empty() {
            let (kind_word, value) = (kind.to_owned(), fields.owned(kind));
            raw.identifiers.push(RawIdentifier { field: kind, kind: kind_word, value });
        }
    }
    for part in fields.parts("identifiers") {
        match part.split_once(':') {
            Some((kind, value)) => raw.identifiers.push(RawIdentifier {
                field: "identifiers",
                kind: kind.to_owned(),
                value: value.to_owned(),
            }),
            None => faults.add("identifiers", Reason::BadIdentifier),
        }
    }
    let address = RawAddress {
        field: "house",
        house: fields.owned("house"),
        postcode: fields.owned("postcode"),
        from: fields.owned("address_from"),
        to: fields.owned("address_to"),
    };
    let texts = [&address.house, &address.postcode, &address.from, &address.to];
    if texts.iter().any(|text| !text.trim().is_empty()) {
        raw.addresses.push(address);
    }
    for part in fields.parts("former_addresses") {
        let mut texts = part.split('|').map(str::to_owned);
        let mut next = || texts.next().unwrap_or_default();
        let (house, postcode, from, to) = (next(), next(), next(), next());
        if texts.next().is_some() {
            faults.add("former_addresses", Reason::BadAddress);
        } else {
            raw.addresses.push(RawAddress { field: "former_addresses", house, postcode, from, to });
        }
    }
    raw
}

/// `given/family`, or words of which the last is the family name; one word alone is a given name.
fn other_name(kind: &str, name: &str) -> RawName {
    let name = name.trim();
    let (given, family) = name
        .split_once('/')
        .or_else(|| name.rsplit_once(char::is_whitespace))
        .unwrap_or((name, ""));
    RawName {
        field: "other_names",
        kind: kind.trim().to_owned(),
        given: given.to_owned(),
        family: family.to_owned(),
    }
}
