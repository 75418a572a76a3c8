//! Why something is left out of an answer: codes with their titles. The program proposes; people decide.

use brag_common::{agreement::PartyType, rating::Topic};

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exemption {
    /// It is about another person too.
    ThirdParty,
    /// Giving it out would prejudice the prevention or detection of crime.
    Crime,
    /// Health, social work or education data, which may do serious harm.
    SeriousHarm,
    /// Child abuse data.
    ChildAbuse,
    /// Nobody has settled that it is about this person.
    IdentityUnclear,
}

impl Exemption {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ThirdParty => "THIRD_PARTY",
            Self::Crime => "DPA18_SCH2_P2",
            Self::SeriousHarm => "DPA18_SCH3",
            Self::ChildAbuse => "DPA18_SCH3_P5",
            Self::IdentityUnclear => "IDENTITY_UNCLEAR",
        }
    }

    /// What it is, and where it stands.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ThirdParty => {
                "about another person too (UK GDPR Article 15(4); DPA 2018 Schedule 2 paragraph 16)"
            }
            Self::Crime => "prevention and detection of crime (DPA 2018 Schedule 2 paragraph 2)",
            Self::SeriousHarm => {
                "serious harm: the opinion of the appropriate professional is needed first (DPA 2018 Schedule 3 Parts 2 to 4)"
            }
            Self::ChildAbuse => "child abuse data (DPA 2018 Schedule 3 Part 5)",
            Self::IdentityUnclear => {
                "not settled that it is about this person, so no answer to this request"
            }
        }
    }
}

/// What is proposed for what an agency of this kind wrote itself: `None`, nothing against giving it out. Domestic abuse services do
/// social work and are treated so; so is a party that the agreement no longer names.
#[must_use]
pub const fn by_kind(kind: Option<PartyType>) -> Option<Exemption> {
    match kind {
        Some(PartyType::Police) => Some(Exemption::Crime),
        Some(PartyType::Housing) => None,
        Some(
            PartyType::ChildrensSocialCare
            | PartyType::DomesticAbuseService
            | PartyType::Health
            | PartyType::Education
            | PartyType::SubstanceMisuse
            | PartyType::MentalHealth
            | PartyType::Probation
            | PartyType::EarlyHelp
            | PartyType::AdultSocialCare
            | PartyType::Camhs
            | PartyType::YouthOffending
            | PartyType::Marac,
        )
        | None => Some(Exemption::SeriousHarm),
    }
}

/// Whether what is said under a topic is about what one person does to another.
#[must_use]
pub const fn concerns_another(topic: Topic) -> bool {
    match topic {
        Topic::MentalHealth | Topic::SelfHarm | Topic::Substance | Topic::Housing => false,
        Topic::Controlling
        | Topic::Physical
        | Topic::Sexual
        | Topic::Neglect
        | Topic::Weapons
        | Topic::Stalking
        | Topic::ParentalConflict => true,
    }
}

/// What was left out, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut(Vec<(&'static str, Exemption, usize)>);

impl LeftOut {
    /// Counts something that was left out.
    pub fn add(&mut self, what: &'static str, why: Exemption, n: usize) {
        if n == 0 {
            return;
        }
        match self.0.iter_mut().find(|(known, by, _)| *known == what && *by == why) {
            Some((_, _, count)) => *count += n,
            None => self.0.push((what, why, n)),
        }
    }

    /// What, why, and how often; in the order in which it was first left out.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Exemption, usize)> + '_ {
        self.0.iter().copied()
    }
}
