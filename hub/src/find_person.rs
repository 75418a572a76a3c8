//! Subject access: what was exchanged about one person. That somebody looked is recorded before anything is shown, once
//! for the look and once for every enquiry it found.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, EntryDraft},
    matching::identity::CanonicalIdentity,
    wire::{WireError, pb},
};

use crate::{
    earlier::{self, Found},
    enquiry,
    guard::{Refusal, SignedIn},
    hub::Shared,
    view,
};

/// The most enquiries in one answer.
const MAX_FOUND: usize = 100;

/// Finds a person's exchanges.
///
/// # Errors
/// When the identity is not one, or nothing can be recorded.
pub async fn find(
    shared: &Arc<Shared>,
    who: &SignedIn,
    message: pb::FindPersonRequest,
) -> Result<pb::FindPersonResponse, Refusal> {
    let identity = CanonicalIdentity::decode(&message.identity)
        .map_err(|_| WireError::invalid("identity", "a canonical identity"))?;
    let bounds = earlier::Bounds::agreement(&shared.agreement);
    let mut found =
        shared.store.run(move |store| earlier::find(store, identity.identity(), bounds)).await?;
    found.truncate(MAX_FOUND);
    let looked = |found: Option<&Found>| {
        let mut draft: EntryDraft = shared.draft(Action::ReportRead);
        draft.decision = "find_person".parse().ok();
        draft.enquiry = found.map(|found| found.name.clone());
        draft.person = found.map(|found| found.person.clone());
        who.signs(draft)
    };
    let mut look = looked(None);
    look.count = u64::try_from(found.len()).ok();
    let mut drafts = vec![look];
    drafts.extend(found.iter().map(|found| looked(Some(found))));
    shared.log.record_all::<EntryDraft>(drafts).await?;
    let mut exchanges = Vec::with_capacity(found.len());
    for found in found {
        exchanges.push(exchange(shared, found).await?);
    }
    Ok(pb::FindPersonResponse { exchanges })
}

async fn exchange(shared: &Arc<Shared>, found: Found) -> Result<pb::PersonExchange, Refusal> {
    let whole = enquiry::whole(shared, &found.name).await?;
    let show = view::show(shared, &found.name, &whole);
    let person = found.person.to_string();
    let mut cells = show.cells;
    cells.retain(|cell| cell.person == person);
    for cell in &mut cells {
        // What a professional wrote is that agency's to give out.
        cell.analysis.clear();
    }
    let mut releases = show.releases;
    releases.retain(|release| release.person == person);
    Ok(pb::PersonExchange {
        enquiry: show.enquiry,
        person,
        opened_at_unix_ms: show.opened_at_unix_ms,
        purpose: show.purpose,
        unclear: found.unclear,
        cells,
        releases,
    })
}
