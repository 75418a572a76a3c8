//! What co-ordinators and assessors do in a test, in few words.

use std::collections::BTreeMap;

use brag_common::{
    matching::identity::Identity,
    wire::pb::{
        self, AnswerStatus, Colour, LawfulBasis, LinkKind, MatrixCell, PersonRole, ReleaseView,
        ShowResponse,
    },
};
use tonic::Status;

use super::{Federation, eventually};
use crate::people::{Invented, Population};

/// An enquiry that was opened.
#[derive(Debug, Clone)]
pub struct Enquiry {
    /// Its name.
    pub name: String,
    /// The random reference of each person, by label.
    pub people: BTreeMap<String, String>,
}

impl Enquiry {
    /// The reference behind a label.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn person(&self, label: &str) -> String {
        self.people[label].clone()
    }
}

/// Invented people who live apart, the same in every test. The first two hundred are adults.
///
/// # Panics
/// When there are not as many.
#[must_use]
pub fn person_of(n: usize) -> Identity {
    let population = Population::generate(7, 60);
    let mut households: BTreeMap<usize, &Invented> = BTreeMap::new();
    for person in &population.people {
        households.entry(person.household).or_insert(person);
    }
    households.values().nth(n).unwrap().identity()
}

/// One cell of a matrix.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn cell<'a>(show: &'a ShowResponse, agency: &str, person: &str) -> &'a MatrixCell {
    show.cells.iter().find(|cell| cell.agency == agency && cell.person == person).unwrap()
}

/// The status of one cell.
#[must_use]
pub fn status_of(show: &ShowResponse, agency: &str, person: &str) -> AnswerStatus {
    cell(show, agency, person).status()
}

/// A person's level.
///
/// # Panics
/// When there is no such person.
#[must_use]
pub fn level(show: &ShowResponse, person: &str) -> Colour {
    show.people.iter().find(|known| known.person == person).unwrap().level()
}

impl Federation {
    /// A request that opens an enquiry about people, by label; the first poses risk to all others. It says why they are asked about
    /// again, should they be.
    #[must_use]
    pub fn opening(people: &[(&str, &Identity)]) -> pb::OpenRequest {
        let named = people.iter().enumerate().map(|(n, (label, identity))| pb::EnquiryPerson {
            label: (*label).to_owned(),
            identity: identity.canonical_bytes(),
            role: match n {
                0 => PersonRole::PersonPosingRisk.into(),
                _ => PersonRole::Victim.into(),
            },
            initial: Colour::Unspecified.into(),
        });
        let links = people.iter().skip(1).map(|(label, _)| pb::ClaimedLink {
            from: people[0].0.to_owned(),
            to: (*label).to_owned(),
            kind: LinkKind::PosesRiskTo.into(),
        });
        pb::OpenRequest {
            purpose: "domestic_abuse_safety".to_owned(),
            referral: Some(pb::Referral {
                agency: "POL".to_owned(),
                reference: "INC-1".to_owned(),
                ..pb::Referral::default()
            }),
            people: named.collect(),
            links: links.collect(),
            domestic_abuse: true,
            answer_within_s: 0,
            again_because: "There is news of them.".to_owned(),
        }
    }

    /// Opens an enquiry.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn open(&self, people: &[(&str, &Identity)]) -> Enquiry {
        let opened = self.coordinator().open(Self::opening(people)).await.unwrap();
        let name = opened.into_inner().enquiry;
        let show = self.show(&name).await;
        let people = show.people.into_iter().map(|person| (person.label, person.person)).collect();
        Enquiry { name, people }
    }

    /// An enquiry as it stands.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn show(&self, enquiry: &str) -> ShowResponse {
        let request = pb::ShowRequest { enquiry: enquiry.to_owned() };
        self.coordinator().show(request).await.unwrap().into_inner()
    }

    /// Waits until an enquiry stands as `wanted` says.
    pub async fn until(
        &self,
        enquiry: &Enquiry,
        what: &str,
        wanted: impl Fn(&ShowResponse) -> bool,
    ) -> ShowResponse {
        let mut coordinator = self.coordinator();
        eventually(what, async || {
            let request = pb::ShowRequest { enquiry: enquiry.name.clone() };
            let show = coordinator.show(request).await.ok()?.into_inner();
            wanted(&show).then_some(show)
        })
        .await
    }

    /// Waits until a cell has a status.
    pub async fn until_status(
        &self,
        enquiry: &Enquiry,
        agency: &str,
        label: &str,
        status: AnswerStatus,
    ) -> MatrixCell {
        let person = enquiry.person(label);
        let what = format!("{agency} of {label} is {status:?}");
        let show =
            self.until(enquiry, &what, |show| status_of(show, agency, &person) == status).await;
        cell(&show, agency, &person).clone()
    }

    /// Waits until the node's assessor is asked to rate a person, then rates.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn rate(&self, agency: &str, enquiry: &Enquiry, label: &str, colour: Colour) {
        self.until_asked(agency, enquiry, label).await;
        self.try_rate(agency, enquiry, label, colour, None).await.unwrap();
    }

    /// Waits until a person is on a node's worklist.
    pub async fn until_asked(&self, agency: &str, enquiry: &Enquiry, label: &str) {
        let mut desk = self.assessor(agency);
        let person = enquiry.person(label);
        eventually(&format!("{agency} is asked about {label}"), async || {
            let list = desk.worklist(pb::WorklistRequest {}).await.ok()?.into_inner();
            let here =
                |work: &pb::RatingWork| work.enquiry == enquiry.name && work.person == person;
            list.ratings.iter().any(here).then_some(())
        })
        .await;
    }

    /// Rates a person, from the agency's own record or through a linked person.
    ///
    /// # Errors
    /// What the node says.
    pub async fn try_rate(
        &self,
        agency: &str,
        enquiry: &Enquiry,
        label: &str,
        colour: Colour,
        via: Option<&str>,
    ) -> Result<String, Status> {
        let request = pb::GiveRatingRequest {
            enquiry: enquiry.name.clone(),
            person: enquiry.person(label),
            colour: colour.into(),
            analysis: ANALYSIS.to_owned(),
            topics: vec!["substance".to_owned()],
            via: via.map(|label| enquiry.person(label)).unwrap_or_default(),
            decline_reason: String::new(),
        };
        Ok(self.assessor(agency).give_rating(request).await?.into_inner().statement_id)
    }

    /// Asks for detail, with every basis stated.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn ask_detail(
        &self,
        enquiry: &Enquiry,
        holder: &str,
        label: &str,
        category: &str,
        recipients: &[&str],
    ) -> Result<Vec<ReleaseView>, Status> {
        let request = pb::RequestReleaseRequest {
            enquiry: enquiry.name.clone(),
            holder: holder.to_owned(),
            person: enquiry.person(label),
            category: category.to_owned(),
            recipients: recipients.iter().map(|agency| (*agency).to_owned()).collect(),
            lawful_basis: Some(lawful_basis()),
            purpose: String::new(),
        };
        Ok(self.coordinator().request_release(request).await?.into_inner().releases)
    }
}

/// The analysis that every rating of a test has.
pub const ANALYSIS: &str = "Relapse this month; contact with the children is not safe.";

/// A lawful basis that is complete for every category.
#[must_use]
pub fn lawful_basis() -> LawfulBasis {
    LawfulBasis {
        art6: "UKGDPR_6_1_E".to_owned(),
        art9_condition: "UKGDPR_9_2_G".to_owned(),
        art10_authority: "UKGDPR_10".to_owned(),
        dpa_schedule_para: "DPA18_SCH1_P18".to_owned(),
        statutory_gateway: "CA2004_S10_S11_S16E".to_owned(),
        confidentiality_justification: "overriding_public_interest".to_owned(),
        agreement_status: "not_sought".to_owned(),
        necessity: "Needed to plan for the children's safety tonight.".to_owned(),
        proportionality: "Only the risk summary.".to_owned(),
        asked_subject: false,
        not_asked_because: "Asking would raise the risk.".to_owned(),
    }
}
