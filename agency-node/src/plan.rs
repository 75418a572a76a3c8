//! Actions of an enquiry's plan that the agency takes on. Accepting one is a signed fact: holders weigh it where a
//! conflict of roles would otherwise keep detail from the agency that has to act. Nothing is planned here.

use std::sync::Arc;

use brag_common::{
    audit::entry::Action,
    id::{EnquiryRef, PersonRef, RequestId},
    statement::{Body, PersonIn},
};

use crate::{
    desk::{Act, settled, state},
    guard::{Refusal, SignedIn},
    node::Shared,
};

/// Signs that the agency accepts an action about a person.
///
/// # Errors
/// When the node was not told of the person, has still to compare them, or nothing can be recorded.
pub async fn accept(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
    person: PersonRef,
    action: RequestId,
) -> Result<RequestId, Refusal> {
    let (_, known) = settled(shared, &enquiry, &person).await?;
    let about = PersonIn { person: person.clone(), commitment: known.commitment };
    let body = Body::Action { person: about, action };
    let action = Action::PlanChanged;
    state(shared, who, Act { enquiry: &enquiry, person: Some(&person), action, body }).await
}
