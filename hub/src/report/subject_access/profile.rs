//! Whether a person may be shown who said what about them, or has to be answered so that nobody is put at risk.
//!
//! A document about a person who poses risk must not tell that anybody spoke to an agency, when, or which agency it was: a service that
//! only victims use, or a school, gives the victim away by its name alone. And a document is read at home: one about a child, or about a
//! relative, in a family in which somebody poses risk tells that person the same. So the whole of it is shown only where nobody poses
//! risk, or to an adult who is recorded as at risk. Pure.

use brag_common::{
    agreement::LinkKind,
    id::{EnquiryRef, PersonRef},
    statement::{Body, PersonRole},
};

use super::held::About;

/// Why the safety profile applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// The co-ordinator recorded the person as posing risk.
    Recorded,
    /// An agency stated that the person poses risk.
    Stated,
    /// A link says that the person poses risk to somebody.
    Linked,
    /// A child, in an enquiry in which somebody poses risk.
    Child,
    /// Neither at risk nor posing risk, in an enquiry in which somebody poses risk.
    Bystander,
}

impl Because {
    /// In words, for whoever reviews the draft.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Recorded => "recorded as a person posing risk",
            Self::Stated => "an agency has stated that the person poses risk",
            Self::Linked => "a link says that the person poses risk to somebody",
            Self::Child => "a child, in an enquiry in which somebody poses risk",
            Self::Bystander => {
                "not recorded as at risk, in an enquiry in which somebody else poses risk"
            }
        }
    }
}

/// In which enquiry the safety profile has its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// Why.
    pub because: Because,
}

/// Every cause for the safety profile, at most one for each enquiry; none: the whole may be shown. An enquiry counts also where it is
/// unclear whether it is the same person, and whatever was said once counts for good.
#[must_use]
pub fn causes(all: &[About]) -> Vec<Cause> {
    let cause = |about: &About| {
        because(about).map(|because| Cause { enquiry: about.enquiry.clone(), because })
    };
    all.iter().filter_map(cause).collect()
}

/// What the enquiry says of somebody's part.
#[derive(Debug, Default)]
struct Parts {
    posing: Vec<(PersonRef, Because)>,
    at_risk: Vec<PersonRef>,
    children: Vec<PersonRef>,
}

impl Parts {
    fn of(about: &About) -> Self {
        let mut parts = Self::default();
        for person in &about.whole.record.people {
            parts.role(&person.person, person.role, Because::Recorded);
        }
        for link in &about.whole.record.links {
            parts.link(&link.from, &link.to, link.kind);
        }
        for statement in about.statements() {
            match statement.body {
                Body::Role { person, role } => {
                    parts.role(&person.person, Some(role), Because::Stated);
                }
                Body::Link { from, to, kind } => parts.link(&from.person, &to.person, kind),
                Body::Rating(rating) if rating.subject_is_child => {
                    parts.children.push(rating.person.person);
                }
                _ => {}
            }
        }
        parts
    }

    fn role(&mut self, person: &PersonRef, role: Option<PersonRole>, because: Because) {
        match role {
            Some(PersonRole::PersonPosingRisk) => self.posing.push((person.clone(), because)),
            Some(PersonRole::Victim) => self.at_risk.push(person.clone()),
            Some(PersonRole::Child) => self.children.push(person.clone()),
            Some(PersonRole::ConnectedPerson | PersonRole::Unclear) | None => {}
        }
    }

    fn link(&mut self, from: &PersonRef, to: &PersonRef, kind: LinkKind) {
        let (posing, at_risk) = match kind {
            LinkKind::PosesRiskTo => (from, to),
            LinkKind::AtRiskFrom => (to, from),
            LinkKind::Household | LinkKind::Relative | LinkKind::ContactVenue => return,
        };
        self.posing.push((posing.clone(), Because::Linked));
        self.at_risk.push(at_risk.clone());
    }
}

fn because(about: &About) -> Option<Because> {
    let parts = Parts::of(about);
    let own = parts.posing.iter().filter(|(person, _)| *person == about.person);
    if let Some(because) = own.map(|(_, because)| *because).min() {
        return Some(because);
    }
    if parts.posing.is_empty() {
        None
    } else if parts.children.contains(&about.person) {
        Some(Because::Child)
    } else if parts.at_risk.contains(&about.person) {
        None
    } else {
        Some(Because::Bystander)
    }
}

/// Whether the enquiry has the person as a child: by the co-ordinator's record, or by what any agency has stated.
#[must_use]
pub fn is_child(about: &About) -> bool {
    Parts::of(about).children.contains(&about.person)
}
