//! People of a scenario as identities, and as rows that an agency imports.

use std::io::{self, Write};

use brag_common::{
    id::AgencyId,
    matching::identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
    },
    rating::Colour,
    time::Timestamp,
};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use toml::Spanned;

use super::{Holding, Part, Person, Rating, Record, Scenario, csv};

/// Days after their last birthday that people with an age have: any number that keeps the age for a while.
const DAYS_SINCE_BIRTHDAY: i32 = 137;

impl Person {
    /// The person's birth as it is written, for a start.
    ///
    /// # Panics
    /// When it is outside the calendar, which the reading of the file rules out.
    #[must_use]
    pub fn birth(&self, start: Timestamp) -> String {
        match (&self.born, self.age) {
            (Some(born), _) => born.clone(),
            (None, Some(age)) => {
                let today: Date = start.to_zoned(TimeZone::UTC).date();
                let born = today
                    .checked_sub(i32::from(age).years())
                    .and_then(|day| day.checked_sub(DAYS_SINCE_BIRTHDAY.days()))
                    .unwrap();
                born.to_string()
            }
            (None, None) => String::new(),
        }
    }

    /// The identity as the co-ordinator enters it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn identity(&self, start: Timestamp) -> Result<Identity, String> {
        let several = |problems: Vec<_>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let several =
            |problems: Vec<brag_common::matching::identity::IdentityProblem>| several(problems);
        let mut parts = IdentityParts::default();
        for (kind, given, family) in self.names(None) {
            parts.names.push(Name::new(kind, given, family).map_err(several)?);
        }
        parts.birth = BirthDate::parse(&self.birth(start)).map_err(|error| error.to_string())?;
        parts.sex = self.sex;
        if let Some(nhs) = &self.nhs {
            let nhs = Identifier::new(IdentifierKind::Nhs, nhs.get_ref()).map_err(several)?;
            parts.identifiers.push(nhs);
        }
        for address in &self.addresses {
            let (house, postcode) = (address.house.as_deref(), address.postcode.as_deref());
            parts.addresses.push(Address::new(house, postcode, None, None).map_err(several)?);
        }
        Identity::new(parts).map_err(several)
    }

    /// Names as the co-ordinator or, with a record, an agency has them.
    fn names<'a>(&'a self, record: Option<&'a Record>) -> Vec<(NameKind, &'a str, &'a str)> {
        let given = record.and_then(|record| record.given.as_deref()).unwrap_or(&self.given);
        let family = record.and_then(|record| record.family.as_deref()).unwrap_or(&self.family);
        let others = self.other_names.iter().map(|other| {
            (
                other.kind,
                other.given.as_deref().unwrap_or(&self.given),
                other.family.as_deref().unwrap_or(&self.family),
            )
        });
        std::iter::once((NameKind::Current, given, family)).chain(others).collect()
    }
}

impl Scenario {
    /// Writes what an agency has on its records of this scenario, in a layout of the import: people, what
    /// is held about them, standing ratings. Gives the number of people.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_records(
        &self,
        agency: &AgencyId,
        assessor: &str,
        start: Timestamp,
        mut out: impl Write,
    ) -> io::Result<usize> {
        let records = self.record.iter().filter(|record| record.agency.get_ref() == agency);
        let people: Vec<Value> = records.map(|record| self.person_row(record, start)).collect();
        let entries = self.entry_rows(agency);
        let ratings = self.rating_rows(agency, assessor, start);
        let is_csv = self.has_csv(agency);
        if is_csv {
            writeln!(out, "{}", csv::header())?;
        }
        for row in people.iter().chain(&entries).chain(&ratings) {
            if is_csv {
                writeln!(out, "{}", csv::row(row))?;
            } else {
                writeln!(out, "{row}")?;
            }
        }
        out.flush()?;
        Ok(people.len())
    }

    /// Whether what an agency has is written as CSV; else as JSON Lines.
    #[must_use]
    pub fn has_csv(&self, agency: &AgencyId) -> bool {
        self.csv.iter().any(|of| of.get_ref() == agency)
    }

    fn entry_rows(&self, agency: &AgencyId) -> Vec<Value> {
        let held = self.holding.iter().filter(|holding| holding.agency.get_ref() == agency);
        let row = |(n, holding): (u32, &Holding)| {
            json!({
                "record": "entry",
                "id": self.record_id(agency, holding.person.get_ref()),
                "entry": format!("E{n}"),
                "category": holding.category.get_ref().to_string(),
                "text": holding.payload(),
                "flags": holding.flags,
                "handling_code": holding.handling_code,
            })
        };
        (1..).zip(held).map(row).collect()
    }

    fn rating_rows(&self, agency: &AgencyId, assessor: &str, start: Timestamp) -> Vec<Value> {
        let standing = self
            .rating
            .iter()
            .filter(|rating| rating.agency.get_ref() == agency && rating.at.is_before_start());
        let of = |rating: &Rating| {
            let rated_at = rating.at.after(start).to_string();
            let row = |(person, colour): (&Spanned<String>, &Colour)| {
                json!({
                    "record": "rating",
                    "id": self.record_id(agency, person.get_ref()),
                    "colour": colour.word(),
                    "analysis": rating.analysis,
                    "tags": rating.topics,
                    "rated_by": assessor,
                    "rated_at": rated_at,
                })
            };
            rating.colours.iter().map(row).collect::<Vec<_>>()
        };
        standing.flat_map(of).collect()
    }

    fn person_row(&self, record: &Record, start: Timestamp) -> Value {
        let person = self.person(record.person.get_ref());
        let has = |part| !record.without.contains(&part);
        let names: Vec<Value> = person
            .names(Some(record))
            .into_iter()
            .map(|(kind, given, family)| {
                json!({ "kind": kind.word(), "given": given, "family": family })
            })
            .collect();
        let nhs = person.nhs.iter().filter(|_| has(Part::Nhs));
        let identifiers: Vec<Value> =
            nhs.map(|nhs| json!({ "kind": "nhs", "value": nhs.get_ref() })).collect();
        let addresses = person.addresses.iter().filter(|_| has(Part::Addresses));
        let addresses: Vec<Value> = addresses
            .map(|address| json!({ "house": address.house, "postcode": address.postcode }))
            .collect();
        json!({
            "record": "person",
            "id": record.id,
            "names": names,
            "born": has(Part::Born).then(|| person.birth(start)),
            "sex": person.sex.map(brag_common::matching::identity::Sex::word),
            "identifiers": identifiers,
            "addresses": addresses,
        })
    }

    fn record_id(&self, agency: &AgencyId, label: &str) -> &str {
        self.record
            .iter()
            .find(|record| record.agency.get_ref() == agency && record.person.get_ref() == label)
            .map_or("", |record| &record.id)
    }
}
