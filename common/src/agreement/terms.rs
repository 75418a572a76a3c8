//! The words an agreement is written in. A word that is not listed here is a fault, never ignored.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in an agreement.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value with this word; `None` for any other text.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// How sensitive a category is. A category that no class allows is on the never-list instead.
    Class {
        /// Involvement, plan status, protective instruction.
        S1 = "S1",
        /// Risk summaries and incidents.
        S2 = "S2",
        /// Special detail.
        S3 = "S3",
        /// Locations.
        S4 = "S4",
    }
}

words! {
    /// A threshold that opens disclosure. Colours alone (gate 0) need none.
    Gate {
        /// The person's agreement.
        G1 = "g1",
        /// Amber, corroborated.
        G2 = "g2",
        /// Red, from any one agency.
        G3 = "g3",
        /// Section 47 of the Children Act 1989.
        G4 = "g4",
        /// Marac.
        G5 = "g5",
        /// Section 42 of the Care Act 2014.
        G6 = "g6",
    }
}

impl Gate {
    /// The threshold in the words of the trade.
    #[must_use]
    pub const fn spoken(self) -> &'static str {
        match self {
            Self::G1 => "the person's agreement",
            Self::G2 => "Amber, corroborated",
            Self::G3 => "Red",
            Self::G4 => "section 47",
            Self::G5 => "Marac",
            Self::G6 => "Care Act section 42",
        }
    }
}

words! {
    /// How a release happens once a gate is open, from the widest to the narrowest.
    Mode {
        /// At once.
        Auto = "auto",
        /// After one approval at the holder.
        Review = "review",
        /// After two approvals at the holder.
        Review2 = "review2",
    }
}

words! {
    /// Why information is shared. No other purpose exists, so none can be switched on by a file.
    Purpose {
        /// Safeguarding a child.
        ChildSafeguarding = "child_safeguarding",
        /// Safeguarding an adult at risk.
        AdultSafeguarding = "adult_safeguarding",
        /// Safety from domestic abuse.
        DomesticAbuseSafety = "domestic_abuse_safety",
        /// Early help.
        EarlyHelp = "early_help",
    }
}

words! {
    /// What kind of agency a party is; recipient rules and assertions go by kind, ratings do not.
    PartyType {
        /// Children's social care.
        ChildrensSocialCare = "childrens_social_care",
        /// Police.
        Police = "police",
        /// A domestic abuse service.
        DomesticAbuseService = "domestic_abuse_service",
        /// Health.
        Health = "health",
        /// Education.
        Education = "education",
        /// Housing.
        Housing = "housing",
        /// Substance misuse.
        SubstanceMisuse = "substance_misuse",
        /// Adult mental health.
        MentalHealth = "mental_health",
        /// Probation.
        Probation = "probation",
        /// Early help.
        EarlyHelp = "early_help",
        /// Adult social care.
        AdultSocialCare = "adult_social_care",
        /// Child and adolescent mental health.
        Camhs = "camhs",
        /// Youth offending.
        YouthOffending = "youth_offending",
        /// The Marac co-ordinator.
        Marac = "marac",
    }
}

words! {
    /// Whether a party's answer is awaited.
    Requirement {
        /// Must answer; may receive under gates 3 to 6 without a rating of its own.
        Core = "core",
        /// Must answer.
        Recommended = "recommended",
        /// Always asked; that it does not know a person counts as an answer.
        Conditional = "conditional",
    }
}

words! {
    /// When a conditional party's answer is awaited.
    Condition {
        /// It knows somebody in the enquiry.
        Known = "known",
        /// Somebody in the enquiry is rated Red.
        AnyRed = "any_red",
    }
}

words! {
    /// Which nodes may use an agreement.
    Environment {
        /// Invented people only; a production node refuses it.
        Test = "test",
        /// Real people; a test node refuses it.
        Production = "production",
    }
}

words! {
    /// Articles of the UK GDPR that ask for a further condition.
    Special {
        /// Special category data.
        Art9 = "art9",
        /// Criminal offence data.
        Art10 = "art10",
    }
}

words! {
    /// Which hours a clock counts.
    ClockRuns {
        /// All hours: nights, weekends and clock changes.
        Elapsed = "elapsed",
        /// Working hours.
        Working = "working",
    }
}

words! {
    /// A clock that a review at the holder can run by.
    ClockName {
        /// From a section 47 assertion to its decision.
        Section47 = "section_47",
        /// For a Red.
        Red = "red",
        /// For an Amber.
        Amber = "amber",
        /// For a Green, and where nobody has said Amber or Red.
        Green = "green",
    }
}

words! {
    /// A day of the week, from Monday.
    Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

words! {
    /// Who authorises that identities are compared when matching is uncertain.
    ReviewAuthority {
        /// The co-ordinator.
        Coordinator = "coordinator",
    }
}

words! {
    /// How two people are linked. Directed; for a gate a link counts both ways.
    LinkKind {
        /// They live together.
        Household = "household",
        /// The first poses risk to the second.
        PosesRiskTo = "poses_risk_to",
        /// The first is at risk from the second.
        AtRiskFrom = "at_risk_from",
        /// They are related.
        Relative = "relative",
        /// The first is where contact with the second takes place.
        ContactVenue = "contact_venue",
    }
}

impl LinkKind {
    /// Whether the link says that one of the two endangers the other.
    #[must_use]
    pub const fn is_risk(self) -> bool {
        matches!(self, Self::PosesRiskTo | Self::AtRiskFrom)
    }
}
