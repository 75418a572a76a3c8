//! What an agency has on record of an invented person, and what went wrong on the way.

use std::fmt;

use brag_common::matching::identity::{
    Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind, Sex,
};
use jiff::civil::Date;

use super::{Invented, Random};

/// What goes wrong on the way into one agency's records, in cases of a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    /// A letter of the given name wrong, missing, doubled or swapped.
    pub given_typo: u64,
    /// The same in the family name.
    pub family_typo: u64,
    /// The former family name is the one on record.
    pub old_family: u64,
    /// Given and family name change places.
    pub swapped: u64,
    /// Day and month of birth change places, where that is a day.
    pub born_swapped: u64,
    /// Only the year of birth is known.
    pub born_year_only: u64,
    /// The birth is not known.
    pub born_missing: u64,
    /// The NHS number is not known.
    pub nhs_missing: u64,
    /// The address is the one before the last move.
    pub old_address: u64,
    /// The first line of the address is not known.
    pub house_missing: u64,
}

impl Noise {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        given_typo: 0,
        family_typo: 0,
        old_family: 0,
        swapped: 0,
        born_swapped: 0,
        born_year_only: 0,
        born_missing: 0,
        nhs_missing: 0,
        old_address: 0,
        house_missing: 0,
    };

    /// About what agencies have: most records right, NHS numbers in two of three.
    pub const TYPICAL: Self = Self {
        given_typo: 40,
        family_typo: 40,
        old_family: 300,
        swapped: 10,
        born_swapped: 10,
        born_year_only: 15,
        born_missing: 15,
        nhs_missing: 330,
        old_address: 300,
        house_missing: 80,
    };
}

/// What one agency has on record of a person; empty when it is not known.
#[derive(Clone, PartialEq, Eq)]
pub struct Recorded {
    given: String,
    family: String,
    other_names: String,
    born: String,
    sex: String,
    nhs: String,
    house: String,
    postcode: String,
    former_addresses: String,
}

impl Recorded {
    pub(super) fn of(person: &Invented, noise: &Noise, random: &mut Random) -> Self {
        let mut recorded = Self {
            given: person.given.clone(),
            family: person.family.clone(),
            other_names: String::new(),
            born: person.born.to_string(),
            sex: person.sex.word().to_owned(),
            nhs: person.nhs.clone().unwrap_or_default(),
            house: person.house.clone(),
            postcode: person.postcode.clone(),
            former_addresses: String::new(),
        };
        if let Some(former) = &person.former_family {
            if random.happens(noise.old_family) {
                recorded.family.clone_from(former);
            } else if random.happens(500) {
                recorded.other_names = format!("former:{}/{former}", person.given);
            }
        }
        if let Some((house, postcode, to)) = &person.former_address {
            if random.happens(noise.old_address) {
                (recorded.house, recorded.postcode) = (house.clone(), postcode.clone());
            } else if random.happens(500) {
                recorded.former_addresses = format!("{house}|{postcode}||{to}");
            }
        }
        if random.happens(noise.given_typo) {
            recorded.given = misspelt(&recorded.given, random);
        }
        if random.happens(noise.family_typo) {
            recorded.family = misspelt(&recorded.family, random);
        }
        if random.happens(noise.swapped) {
            std::mem::swap(&mut recorded.given, &mut recorded.family);
        }
        let swapped = Date::new(person.born.year(), person.born.day(), person.born.month());
        if let (Ok(swapped), true) = (swapped, random.happens(noise.born_swapped)) {
            recorded.born = swapped.to_string();
        }
        if random.happens(noise.born_year_only) {
            recorded.born = person.born.year().to_string();
        }
        if random.happens(noise.born_missing) {
            recorded.born.clear();
        }
        if random.happens(noise.nhs_missing) {
            recorded.nhs.clear();
        }
        if random.happens(noise.house_missing) {
            recorded.house.clear();
        }
        recorded
    }

    /// The identity as the import makes it of the record.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut names: Vec<Name> =
            Name::new(NameKind::Current, &self.given, &self.family).into_iter().collect();
        if let Some((given, family)) =
            self.other_names.trim_start_matches("former:").split_once('/')
        {
            names.push(Name::new(NameKind::Former, given, family).unwrap());
        }
        let mut addresses: Vec<Address> =
            Address::new(Some(&self.house), Some(&self.postcode), None, None).into_iter().collect();
        if let [house, postcode, _, to] = self.former_addresses.split('|').collect::<Vec<_>>()[..] {
            addresses
                .push(Address::new(Some(house), Some(postcode), None, to.parse().ok()).unwrap());
        }
        Identity::new(IdentityParts {
            names,
            birth: BirthDate::parse(&self.born).unwrap(),
            sex: Sex::parse(&self.sex).unwrap(),
            identifiers: Identifier::new(IdentifierKind::Nhs, &self.nhs).into_iter().collect(),
            addresses,
        })
        .unwrap()
    }

    pub(super) fn fields(&self) -> [String; 9] {
        [
            &self.given,
            &self.family,
            &self.other_names,
            &self.born,
            &self.sex,
            &self.nhs,
            &self.house,
            &self.postcode,
            &self.former_addresses,
        ]
        .map(Clone::clone)
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded({:?})", self.fields())
    }
}

/// One letter changed, dropped, doubled, or swapped with the next.
fn misspelt(name: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let place = random.below(letters.len());
    match random.below(4) {
        0 => letters[place] = *random.choose(&['a', 'e', 'i', 'o', 'n', 'r', 's', 't']),
        1 if letters.len() > 2 => drop(letters.remove(place)),
        2 if place + 1 < letters.len() => letters.swap(place, place + 1),
        _ => letters.insert(place, letters[place]),
    }
    letters.into_iter().collect()
}
