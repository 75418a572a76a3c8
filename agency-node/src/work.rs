//! Work as the agency's staff see it: from stored records to wire messages. Nothing is decided here.

use brag_common::{
    matching::identity::{Address, Identity, Sex},
    wire::{pb, words},
};

use crate::{desk, store::shapes::Standing};

/// A person who waits, as a wire message; both identities where a person has to compare.
#[must_use]
pub fn rating_work(work: &desk::ToRate) -> pb::RatingWork {
    let links = work
        .about
        .links
        .iter()
        .filter(|(from, to, _)| *from == work.person || *to == work.person)
        .filter_map(|(from, to, kind)| {
            Some(pb::ClaimedLink {
                from: from.to_string(),
                to: to.to_string(),
                kind: words::link_kind(brag_common::agreement::LinkKind::from_word(kind)?).into(),
            })
        })
        .collect();
    let (mut asked, mut own) = (None, None);
    if work.known.standing == Standing::IdentityReview {
        asked = work.known.opened.as_ref().and_then(|opened| side(&opened.identity));
        own = work.own.as_deref().and_then(side);
    }
    pb::RatingWork {
        enquiry: work.enquiry.to_string(),
        person: work.person.to_string(),
        name: work.name.clone(),
        record_id: work.record_id.clone(),
        role: words::role(work.known.role).into(),
        age_band: work.known.age_band.clone(),
        kind: match work.known.standing {
            Standing::IdentityReview => "identity",
            Standing::Linked => "linked",
            Standing::ToRate | Standing::Rated | Standing::Declined | Standing::Different => "rate",
        }
        .to_owned(),
        answer_by_unix_ms: work.about.answer_by.as_millisecond(),
        links,
        purpose: work.about.purpose.clone(),
        asked,
        own,
    }
}

/// One of the two identities that a person compares; `None` when the bytes do not read back.
pub(crate) fn side(canonical: &[u8]) -> Option<pb::IdentitySide> {
    let identity = Identity::from_canonical_bytes(canonical).ok()?;
    let names = identity.names().iter();
    let identifiers = identity.identifiers().iter();
    Some(pb::IdentitySide {
        names: names.map(|name| format!("{}: {}", name.kind().word(), name.full())).collect(),
        born: match identity.birth().year() {
            Some(_) => identity.birth().to_string(),
            None => String::new(),
        },
        sex: identity.sex().map_or("", Sex::word).to_owned(),
        addresses: identity.addresses().iter().map(address).collect(),
        identifiers: identifiers
            .map(|one| format!("{}: {}", one.kind().word(), one.value()))
            .collect(),
    })
}

fn address(address: &Address) -> String {
    let parts: Vec<&str> = [address.house(), address.postcode()].into_iter().flatten().collect();
    let text = parts.join(", ");
    match (address.from(), address.to()) {
        (None, None) => text,
        (Some(from), None) => format!("{text} (from {from})"),
        (None, Some(to)) => format!("{text} (to {to})"),
        (Some(from), Some(to)) => format!("{text} ({from} to {to})"),
    }
}
