//! Invented people: households, twins, moves and former names, and how agencies misspell them.
//!
//! Everything follows from a seed. No one is real: NHS numbers lie in the range 999, which is never given out, and postcodes in
//! the area `ZZ`, which does not exist. The rates are rough ones of a city region; they serve tests and the demo, not science.

use std::{
    fmt,
    io::{self, Write},
};

use brag_common::{
    id::AgencyId,
    matching::identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
        Sex,
    },
};
use jiff::civil::{Date, date};

mod names;
mod random;
mod recorded;
mod region;

#[cfg(test)]
mod tests;

pub use names::{CULTURES, Culture};
pub use random::Random;
pub use recorded::{Noise, Recorded};
pub use region::Region;

/// The day on which the invented people have their ages.
pub const TODAY: Date = date(2027, 2, 9);

/// Columns of [`Population::write_csv`], all of the import's layout.
pub const CSV_HEADER: &str =
    "record,id,given,family,other_names,born,sex,nhs,house,postcode,former_addresses";

/// An invented person, as everything is.
#[derive(Clone, PartialEq, Eq)]
pub struct Invented {
    /// Number of the household in the population.
    pub household: usize,
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// Family name before a marriage; absent when it never changed.
    pub former_family: Option<String>,
    /// Day of birth.
    pub born: Date,
    /// Sex as it would be recorded.
    pub sex: Sex,
    /// NHS number of the test range; absent beyond some 900,000 people, when the range is used up.
    pub nhs: Option<String>,
    /// First line of the address.
    pub house: String,
    /// Postcode.
    pub postcode: String,
    /// First line and postcode before the last move, and the day of the move; absent when there was none lately.
    pub former_address: Option<(String, String, Date)>,
}

impl Invented {
    /// The identity with everything known and spelt right.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut names = vec![Name::new(NameKind::Current, &self.given, &self.family).unwrap()];
        if let Some(former) = &self.former_family {
            names.push(Name::new(NameKind::Former, &self.given, former).unwrap());
        }
        let mut addresses =
            vec![Address::new(Some(&self.house), Some(&self.postcode), None, None).unwrap()];
        if let Some((house, postcode, to)) = &self.former_address {
            addresses.push(Address::new(Some(house), Some(postcode), None, Some(*to)).unwrap());
        }
        let nhs = self.nhs.iter().map(|nhs| Identifier::new(IdentifierKind::Nhs, nhs).unwrap());
        Identity::new(IdentityParts {
            names,
            birth: BirthDate::from_date(self.born).unwrap(),
            sex: Some(self.sex),
            identifiers: nhs.collect(),
            addresses,
        })
        .unwrap()
    }
}

impl fmt::Debug for Invented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invented({} {}, {})", self.given, self.family, self.born)
    }
}

/// Invented people, and who knows them.
#[derive(Debug, Clone)]
pub struct Population {
    seed: u64,
    /// The people, household by household.
    pub people: Vec<Invented>,
}

impl Population {
    /// `n` people; the same seed gives the same people.
    #[must_use]
    pub fn generate(seed: u64, n: usize) -> Self {
        let mut random = Random::new(seed);
        let mut numbers = random::NhsNumbers::new(seed);
        let mut people = Vec::with_capacity(n);
        let mut household = 0;
        while people.len() < n {
            people.extend(invent_household(household, &mut random, &mut numbers));
            household += 1;
        }
        people.truncate(n);
        Self { seed, people }
    }

    /// The places in `people` of those whom an agency knows, about `share_per_mille` of a thousand.
    #[must_use]
    pub fn known_to(&self, agency: &AgencyId, share_per_mille: u64) -> Vec<usize> {
        let known = |place: &usize| self.random(agency, *place, 1).happens(share_per_mille);
        (0..self.people.len()).filter(known).collect()
    }

    /// Writes those whom an agency knows as it would have recorded them, in the CSV layout of the import; the id is the
    /// place in `people`. Gives the number of rows.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_csv<W: Write>(
        &self,
        agency: &AgencyId,
        share_per_mille: u64,
        noise: &Noise,
        mut out: W,
    ) -> io::Result<usize> {
        let known = self.known_to(agency, share_per_mille);
        self.write_rows(agency, known.iter().copied(), noise, &mut out)?;
        Ok(known.len())
    }

    /// As [`Population::write_csv`], of the people at these places.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_rows<W: Write>(
        &self,
        agency: &AgencyId,
        places: impl IntoIterator<Item = usize>,
        noise: &Noise,
        mut out: W,
    ) -> io::Result<()> {
        writeln!(out, "{CSV_HEADER}")?;
        for place in places {
            let recorded = self.recorded(agency, place, noise);
            let fields = recorded.fields().map(|field| quoted(&field)).join(",");
            writeln!(out, "person,{place},{fields}")?;
        }
        out.flush()
    }

    /// A person as an agency would have recorded them.
    #[must_use]
    pub fn recorded(&self, agency: &AgencyId, place: usize, noise: &Noise) -> Recorded {
        Recorded::of(&self.people[place], noise, &mut self.random(agency, place, 2))
    }

    fn random(&self, agency: &AgencyId, place: usize, purpose: u64) -> Random {
        let mixed = agency
            .as_str()
            .bytes()
            .fold(self.seed, |seed, byte| Random::new(seed ^ u64::from(byte)).next());
        Random::new(mixed ^ ((place as u64) << 8 | purpose))
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn invent_household(
    household: usize,
    random: &mut Random,
    numbers: &mut random::NhsNumbers,
) -> Vec<Invented> {
    let mut share = random.below(1000) as u64;
    let of_share = |culture: &&Culture| {
        let found = share < culture.per_mille;
        share = share.saturating_sub(culture.per_mille);
        found
    };
    let culture = CULTURES.iter().find(of_share).unwrap_or(&CULTURES[0]);
    let (house, postcode) = invent_address(random);
    let former_address = random.happens(150).then(|| {
        let (house, postcode) = invent_address(random);
        (house, postcode, days_ago(random, 30, 1500))
    });
    let shared = *random.choose(culture.families);
    let mut invent = |random: &mut Random, born: Date, own_family: u64, not: &[String]| {
        let sex = if random.happens(510) { Sex::Female } else { Sex::Male };
        let given = loop {
            let names = if sex == Sex::Female { culture.women } else { culture.men };
            let name = (*random.choose(names)).to_owned();
            // Nobody calls two children of one house alike; there may be more children than names.
            if !not.contains(&name) || not.len() > 3 {
                break name;
            }
        };
        let family =
            if random.happens(own_family) { *random.choose(culture.families) } else { shared };
        let adult = born < days_before(TODAY, 365 * 22);
        let former_family = (adult && sex == Sex::Female && random.happens(300))
            .then(|| gendered(random.choose::<&str>(culture.families), sex));
        Invented {
            household,
            given,
            family: gendered(family, sex),
            former_family,
            born,
            sex,
            nhs: numbers.next(),
            house: house.clone(),
            postcode: postcode.clone(),
            former_address: former_address.clone(),
        }
    };
    let mut people: Vec<Invented> = Vec::new();
    for _ in 0..1 + random.below(2) {
        let born = days_ago(random, 365 * 19, 365 * 85);
        people.push(invent(random, born, 200, &[]));
    }
    let n_children = if random.happens(450) { 1 + random.below(4) } else { 0 };
    let twins = random.happens(60);
    let mut children: Vec<String> = Vec::new();
    for child in 0..n_children {
        let born = match people.last() {
            Some(twin) if child == 1 && twins => twin.born,
            _ => days_ago(random, 0, 365 * 18),
        };
        let invented = invent(random, born, 100, &children);
        children.push(invented.given.clone());
        people.push(invented);
    }
    people
}

/// Family names of some languages change with sex.
fn gendered(family: &str, sex: Sex) -> String {
    match (family.strip_suffix("ski"), sex) {
        (Some(stem), Sex::Female) => format!("{stem}ska"),
        _ => family.to_owned(),
    }
}

fn invent_address(random: &mut Random) -> (String, String) {
    const STREETS: [&str; 12] = [
        "Abbey Road",
        "Church Lane",
        "Cricket Close",
        "Ferry Road",
        "Gladstone Street",
        "High Street",
        "Mill Lane",
        "Orchard Way",
        "Park Avenue",
        "Quarry Hill",
        "Station Road",
        "Weir Gardens",
    ];
    const LETTERS: [char; 20] = [
        'A', 'B', 'D', 'E', 'F', 'G', 'H', 'J', 'L', 'N', 'P', 'Q', 'R', 'S', 'T', 'U', 'W', 'X',
        'Y', 'Z',
    ];
    let number = 1 + random.below(129);
    let street = random.choose(&STREETS);
    let house = match random.below(10) {
        0 => format!("Flat {}, {number} {street}", 1 + random.below(20)),
        1 => format!("{number}{} {street}", random.choose(&['a', 'b'])),
        _ => format!("{number} {street}"),
    };
    let (district, sector) = (1 + random.below(40), random.below(10));
    let (first, second) = (*random.choose(&LETTERS), *random.choose(&LETTERS));
    (house, format!("ZZ{district} {sector}{first}{second}"))
}

fn days_ago(random: &mut Random, least: usize, most: usize) -> Date {
    days_before(TODAY, least + random.below(most - least + 1))
}

fn days_before(day: Date, n_days: usize) -> Date {
    day.checked_sub(jiff::Span::new().days(i64::try_from(n_days).unwrap())).unwrap()
}
