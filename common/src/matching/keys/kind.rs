//! The kinds of match key, and what was measured of each.

/// A kind of match key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `K1`: a checksum-valid NHS number or UPN.
    Identifier,
    /// `K13`: day of birth and part of the identifier.
    BirthIdentifier,
    /// `K14`: starts of both names in either order and part of the identifier.
    InitialsIdentifier,
    /// `K17`: the facts of [`Self::BirthHouse`], where an identifier is on record; which one it is does not count.
    IdentifierOnRecord,
    /// `K5`: family name, given name and day of birth in full.
    NameBirth,
    /// `K2`: starts of both names in either order, and day of birth.
    InitialsBirth,
    /// `K6`: start of the family name, day of birth and postcode district.
    FamilyBirthPlace,
    /// `K3`: start of the given name, day of birth and postcode district.
    GivenBirthPlace,
    /// `K4`: starts of both names in either order, postcode district and house numbers.
    InitialsHouse,
    /// `K7`: day of birth, postcode district and house numbers.
    BirthHouse,
    /// `K8`: start of the family name, day of birth and house numbers.
    FamilyBirthHouse,
    /// `K9`: start of the given name, day of birth and house numbers.
    GivenBirthHouse,
    /// `K15`: start of the given name, year of birth, postcode district and house numbers.
    GivenYearHouse,
    /// `K10`: sounds of both names in either order, year and day of the month of birth.
    SoundsYearDay,
    /// `K11`: sounds of both names in either order, year and month of birth.
    SoundsYearMonth,
    /// `K12`: both names in full in either order, month and day of birth.
    NamesMonthDay,
    /// `K16`: family name, given name, postcode district and house numbers.
    NameHouse,
    /// `K18`: family name, given name, year of birth and postcode district.
    NameYearPlace,
}

/// What was measured of a kind of key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Of 5,000 pairs of FEBRL 4, the share that the kind alone finds.
    pub recall_febrl4: f64,
    /// Other people hit by one query among a million of an invented population.
    pub false_candidates: f64,
}

impl KeyKind {
    /// Every kind, the one that says most first: the order in which slots are given out.
    pub const ALL: [Self; 18] = [
        Self::Identifier,
        Self::BirthIdentifier,
        Self::InitialsIdentifier,
        Self::IdentifierOnRecord,
        Self::NameBirth,
        Self::InitialsBirth,
        Self::FamilyBirthPlace,
        Self::GivenBirthPlace,
        Self::InitialsHouse,
        Self::BirthHouse,
        Self::FamilyBirthHouse,
        Self::GivenBirthHouse,
        Self::GivenYearHouse,
        Self::SoundsYearDay,
        Self::SoundsYearMonth,
        Self::NamesMonthDay,
        Self::NameHouse,
        Self::NameYearPlace,
    ];

    /// The kinds that need no identifier.
    #[must_use]
    pub fn without_identifier() -> &'static [Self] {
        const { Self::ALL.split_at(4).1 }
    }

    /// The kind's name and version in the text of a key.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Identifier => "K1v1",
            Self::InitialsBirth => "K2v2",
            Self::GivenBirthPlace => "K3v2",
            Self::InitialsHouse => "K4v2",
            Self::NameBirth => "K5v2",
            Self::FamilyBirthPlace => "K6v1",
            Self::BirthHouse => "K7v1",
            Self::FamilyBirthHouse => "K8v1",
            Self::GivenBirthHouse => "K9v1",
            Self::SoundsYearDay => "K10v1",
            Self::SoundsYearMonth => "K11v1",
            Self::NamesMonthDay => "K12v1",
            Self::BirthIdentifier => "K13v1",
            Self::InitialsIdentifier => "K14v1",
            Self::GivenYearHouse => "K15v1",
            Self::NameHouse => "K16v2",
            Self::IdentifierOnRecord => "K17v1",
            Self::NameYearPlace => "K18v1",
        }
    }

    /// What was measured of the kind; `docs/matching-measured.md` has data and method.
    #[must_use]
    pub const fn measured(self) -> Measured {
        let (recall_febrl4, false_candidates) = match self {
            Self::Identifier => (0.9122, 0.0),
            Self::BirthIdentifier => (0.8158, 0.004),
            Self::InitialsIdentifier => (0.6808, 0.01145),
            Self::IdentifierOnRecord => (0.6080, 0.01595),
            Self::NameBirth => (0.4212, 0.000275),
            Self::InitialsBirth => (0.6674, 0.00555),
            Self::FamilyBirthPlace => (0.6222, 0.018175),
            Self::GivenBirthPlace => (0.5752, 0.00835),
            Self::InitialsHouse => (0.5022, 0.04835),
            Self::BirthHouse => (0.6080, 0.0168),
            Self::FamilyBirthHouse => (0.6024, 0.011025),
            Self::GivenBirthHouse => (0.5554, 0.0019),
            Self::NameHouse => (0.3094, 0.000875),
            Self::GivenYearHouse => (0.4638, 0.013775),
            Self::SoundsYearDay => (0.5892, 0.0083),
            Self::SoundsYearMonth => (0.5874, 0.021175),
            Self::NamesMonthDay => (0.4620, 0.014925),
            Self::NameYearPlace => (0.3550, 0.00185),
        };
        Measured { recall_febrl4, false_candidates }
    }

    /// Slots are given to these last: each adds little to the others, so another name or address goes before them.
    pub(super) const fn is_marginal(self) -> bool {
        matches!(
            self,
            Self::SoundsYearDay
                | Self::SoundsYearMonth
                | Self::NamesMonthDay
                | Self::NameHouse
                | Self::NameYearPlace
        )
    }
}
