//! A look at a release that waits: what was asked and on what grounds, how it would be decided now, and the text that would leave.

use std::{collections::BTreeMap, sync::Arc};

use brag_common::{
    agreement::{Outcome, RecipientDecision},
    audit::entry::Party,
    enquiry::ReleaseQuery,
    id::{AgencyId, WorkRef},
    release::{DetailPlace, OwnLook, OwnText, Withheld},
    statement::{Body, Statement, Threshold},
};

use super::{Extent, entry, name_in};
use crate::{
    case::Case,
    guard::{Refusal, SignedIn},
    node::Shared,
    review::{asked_again, query_of, waiting_for},
    store::shapes::Review,
};

/// A release that waits, as an approver sees it.
#[derive(Debug)]
pub struct Release {
    /// What to name in `Approve` and `Refuse`.
    pub work: WorkRef,
    /// As it waits.
    pub review: Review,
    /// The request, with its lawful basis.
    pub query: ReleaseQuery,
    /// The name of the person; empty when the agency was not told.
    pub name: String,
    /// What is held is also about somebody else.
    pub third_party: bool,
    /// How it would be decided now, with the rules that were looked at.
    pub decision: RecipientDecision,
    /// What the decision rests on, by the statement's name.
    pub evidence: BTreeMap<String, Weighed>,
    /// What is held, as it would leave if it were approved as it is; `None` when what is known now would not let it go.
    pub text: Option<OwnText>,
}

/// A signed statement that a decision weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// Who signed it.
    pub by: AgencyId,
    /// What it says, in words.
    pub says: String,
}

/// Looks at a release that waits for this person. Recorded before what is held is opened.
///
/// # Errors
/// When it does not wait for them, they are linked to the family, or the look can not be recorded.
pub async fn release(
    shared: &Arc<Shared>,
    who: &SignedIn,
    work: WorkRef,
) -> Result<Release, Refusal> {
    let review = waiting_for(shared, who, &work).await?;
    let version = shared.agreement.versions().current();
    let query = asked_again(query_of(&review)?, &version.agreement);
    let case = Case::weigh_under(shared, version, &query).await?;
    let decision = case
        .decide(shared.log.is_available())
        .into_iter()
        .find(|decision| decision.recipient == review.recipient)
        .ok_or(Refusal::Internal)?;
    let record = case.person.as_ref().and_then(|person| person.opened.as_ref()).map(|o| o.record);
    let mut draft = entry(shared, who, Extent::Release);
    draft.enquiry = Some(review.enquiry.clone());
    draft.person = Some(query.subject.clone());
    draft.commitment = Some(case.subject.commitment);
    draft.release = Some(review.release.clone());
    draft.category = Some(query.category);
    draft.recipients = vec![Party::Agency(review.recipient.clone())];
    let look = OwnLook { record: record.unwrap_or_default(), entry: draft };
    let look = shared.log.record(look).await?;
    let would_leave = !matches!(decision.outcome, Outcome::Deny(_));
    let text = match record.filter(|_| would_leave) {
        Some(record) => {
            let place = DetailPlace { record, category: query.category };
            let key = shared.store.detail_key();
            let parts = case
                .entries
                .iter()
                .map(|held| Withheld::from_sealed(place, held.withheld.clone()).show(key, &look))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| Refusal::Internal)?;
            Some(OwnText::join(&parts))
        }
        None => None,
    };
    let third_party = case.entries.iter().any(|held| held.third_party);
    let accepted = case.evidence.accepted.iter();
    let evidence = accepted.map(|(statement, _)| weighed(statement)).collect();
    let (enquiry, person) = (review.enquiry.clone(), query.subject.clone());
    let name = shared.store.run(move |store| name_in(store, &enquiry, &person)).await?;
    drop(case);
    Ok(Release { work, review, query, name, third_party, decision, evidence, text })
}

fn weighed(statement: &Statement) -> (String, Weighed) {
    let says = says(&statement.body);
    (statement.id.to_string(), Weighed { by: statement.signer.clone(), says })
}

/// What a statement says, without whom it names.
fn says(body: &Body) -> String {
    let plain = |word: &str| word.replace('_', " ");
    match body {
        Body::Rating(rating) => format!("rated {}", rating.colour),
        Body::RatingWithdrawn { .. } => "withdrew a rating".to_owned(),
        Body::Link { kind, .. } => format!("confirmed a link: {}", plain(kind.word())),
        Body::Role { role, .. } => format!("stated a part: {}", plain(role.word())),
        Body::Assertion(assertion) => match &assertion.threshold {
            Threshold::Section47 => "stated that section 47 is met".to_owned(),
            Threshold::Marac(_) => "stated that the Marac threshold is met".to_owned(),
            Threshold::CareAct42 => "stated that Care Act section 42 is met".to_owned(),
        },
        Body::Consent(consent) => {
            format!("recorded the person's agreement: {}", plain(consent.state.word()))
        }
        Body::Action { .. } => "accepted an action of the plan".to_owned(),
        _ => "made a statement".to_owned(),
    }
}
