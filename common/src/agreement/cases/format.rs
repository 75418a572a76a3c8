//! The parts of a case file as they are written. Unknown fields and words are errors.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Expected;
use crate::{
    agreement::{
        facts::{Assertion, AssertionKind, Consent, ConsentStatus, EvidenceId, Marac, MaracGround},
        terms::LinkKind,
    },
    id::{AgencyId, CategoryCode, PersonRef},
    rating::{Colour, Topic},
    time::Timestamp,
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseLink {
    pub(super) from: PersonRef,
    pub(super) to: PersonRef,
    pub(super) kind: LinkKind,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Initial {
    pub(super) person: PersonRef,
    pub(super) colour: Colour,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseRating {
    pub(super) agency: AgencyId,
    pub(super) person: PersonRef,
    pub(super) colour: Colour,
    pub(super) basis: CaseBasis,
    #[serde(default)]
    pub(super) tags: BTreeSet<Topic>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseBasis {
    Direct,
    ViaLinkedPerson,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseAssertion {
    pub(super) kind: CaseAssertionKind,
    pub(super) by: AgencyId,
    pub(super) people: BTreeSet<PersonRef>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum CaseAssertionKind {
    #[serde(rename = "section_47")]
    Section47,
    #[serde(rename = "marac")]
    Marac,
    #[serde(rename = "care_act_42")]
    CareAct42,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseConsent {
    pub(super) person: PersonRef,
    pub(super) state: CaseConsentState,
    #[serde(default)]
    pub(super) categories: BTreeSet<CategoryCode>,
    #[serde(default)]
    pub(super) recipients: BTreeSet<AgencyId>,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseConsentState {
    Valid,
    Refused,
    Withdrawn,
    Expired,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseAction {
    pub(super) agency: AgencyId,
    pub(super) person: PersonRef,
}

/// One request of a case file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseRequest {
    pub(super) id: String,
    pub(super) holder: AgencyId,
    pub(super) person: PersonRef,
    pub(super) category: CategoryCode,
    pub(super) to: Vec<AgencyId>,
    pub(super) ratings: Option<Vec<CaseRating>>,
    pub(super) assertions: Option<Vec<CaseAssertion>>,
    pub(super) agreements: Option<Vec<CaseConsent>>,
    pub(super) accepted_actions: Option<Vec<CaseAction>>,
    #[serde(default = "yes")]
    pub(super) held: bool,
    #[serde(default)]
    pub(super) third_party: bool,
    #[serde(default = "yes")]
    pub(super) log_available: bool,
    #[serde(default)]
    pub(super) identity: CaseIdentity,
    #[serde(default = "yes")]
    pub(super) art10_stated: bool,
    pub(super) specialist_prompt: Option<AgencyId>,
    pub(super) expect: Option<BTreeMap<AgencyId, Expected>>,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseIdentity {
    #[default]
    Resolved,
    Ambiguous,
}

impl CaseAssertion {
    pub(super) fn stated(&self, now: Timestamp) -> Assertion {
        let (kind, word) = match self.kind {
            CaseAssertionKind::Section47 => (AssertionKind::Section47, "section_47"),
            CaseAssertionKind::Marac => {
                let marac = Marac { ground: MaracGround::WorkedOut, meeting: None };
                (AssertionKind::Marac(marac), "marac")
            }
            CaseAssertionKind::CareAct42 => (AssertionKind::CareAct42, "care_act_42"),
        };
        Assertion {
            by: self.by.clone(),
            kind,
            people: self.people.clone(),
            at: now,
            evidence: EvidenceId::new(format!("{} {word}", self.by)),
        }
    }
}

impl CaseConsent {
    pub(super) fn stated(&self) -> Consent {
        Consent {
            person: self.person.clone(),
            status: match self.state {
                CaseConsentState::Valid => ConsentStatus::Valid,
                CaseConsentState::Refused => ConsentStatus::Refused,
                CaseConsentState::Withdrawn => ConsentStatus::Withdrawn,
                CaseConsentState::Expired => ConsentStatus::Expired,
            },
            categories: self.categories.clone(),
            recipients: self.recipients.clone(),
            expires: self.expires,
            evidence: EvidenceId::new(format!("agreement of {}", self.person)),
        }
    }
}
