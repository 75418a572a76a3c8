//! Who approves a draft: the rule, over a request as it is kept. Pure.

use brag_common::{audit::entry::Digest, id::StaffName, time::Timestamp};

use crate::{
    guard::Refusal,
    store::shapes::{AccessApproval, AccessRecord},
};

/// How many people other than the one who asked approve a draft: one, so that two have read it; under the safety profile two, so that a
/// name that slipped through one reader meets another.
#[must_use]
pub const fn needed(safety_profile: bool) -> usize {
    if safety_profile { 2 } else { 1 }
}

/// How many people have approved exactly this draft.
#[must_use]
pub fn given(record: &AccessRecord, draft: Digest) -> usize {
    record.approvals.iter().filter(|one| one.draft == draft).count()
}

/// Takes an approval of the draft that its giver has `read`, where the draft `stands` so now. An approval of a former draft by the same
/// person makes place for it.
///
/// # Errors
/// When they asked themselves, have approved this draft already, or have read another.
pub fn approve(
    record: &mut AccessRecord,
    (by, at): (&StaffName, Timestamp),
    read: Digest,
    stands: Digest,
) -> Result<(), Refusal> {
    if record.asked_by == *by {
        let text = "whoever asked can not approve: others have to read the draft";
        return Err(Refusal::rule("own_request", text));
    }
    if read != stands {
        let text = "the draft has changed since you read it; read it again, and approve that";
        return Err(Refusal::rule("draft_changed", text));
    }
    if record.approvals.iter().any(|one| one.by == *by && one.draft == stands) {
        let text = "you have approved this draft already; another person has to";
        return Err(Refusal::rule("approved_already", text));
    }
    record.approvals.retain(|one| one.by != *by);
    record.approvals.push(AccessApproval { by: by.clone(), at, draft: stands });
    Ok(())
}

/// Nothing is issued that too few people have approved as it stands.
///
/// # Errors
/// When more have to.
pub fn enough(record: &AccessRecord, draft: Digest, needed: usize) -> Result<(), Refusal> {
    let given = given(record, draft);
    if given >= needed {
        return Ok(());
    }
    let text = format!(
        "{given} of {needed} people other than the one who asked have approved the draft as it stands"
    );
    Err(Refusal::rule("approvals_missing", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> AccessRecord {
        AccessRecord {
            asked_by: "a.asker".parse().unwrap(),
            asked_at: now(),
            salt: [7; 32],
            person: brag_common::id::Commitment::from_bytes([1; 32]),
            analyses_of: Vec::new(),
            approvals: Vec::new(),
            issued_at: None,
        }
    }

    fn now() -> Timestamp {
        "2027-02-09T09:00:00Z".parse().unwrap()
    }

    fn code(outcome: &Result<(), Refusal>) -> &'static str {
        use brag_common::status::PeerFacing as _;
        outcome.as_ref().map_or_else(Refusal::code, |()| "done")
    }

    #[test]
    fn whoever_asked_a_second_time_and_another_draft_are_refused_and_two_others_approve() {
        let (mut record, draft) = (asked(), Digest::of(b"draft"));
        let by = |record: &mut AccessRecord, who: &str, read| {
            code(&approve(record, (&who.parse().unwrap(), now()), read, draft))
        };
        assert_eq!(by(&mut record, "a.asker", draft), "own_request");
        assert_eq!(by(&mut record, "b.first", Digest::of(b"other")), "draft_changed");
        assert_eq!(code(&enough(&record, draft, 1)), "approvals_missing");
        assert_eq!(by(&mut record, "b.first", draft), "done");
        assert_eq!(by(&mut record, "b.first", draft), "approved_already");
        assert_eq!(code(&enough(&record, draft, needed(false))), "done");
        assert_eq!(code(&enough(&record, draft, needed(true))), "approvals_missing");
        assert_eq!(by(&mut record, "c.second", draft), "done");
        assert_eq!(code(&enough(&record, draft, needed(true))), "done");
    }

    #[test]
    fn a_draft_that_has_changed_needs_its_approvals_again() {
        let (mut record, first, second) = (asked(), Digest::of(b"1"), Digest::of(b"2"));
        let who: StaffName = "b.first".parse().unwrap();
        approve(&mut record, (&who, now()), first, first).unwrap();
        assert_eq!(code(&enough(&record, second, 1)), "approvals_missing");
        approve(&mut record, (&who, now()), second, second).unwrap();
        assert_eq!(record.approvals.len(), 1);
        assert_eq!(code(&enough(&record, first, 1)), "approvals_missing");
    }
}
