//! The entry that is appended: a release that was decided, with every field set, which is as long as entries get in service.

use brag_common::{
    audit::{Action, AgreementStamp, Digest, EntryDraft, Word},
    id::{AgreementDigest, CategoryCode, Commitment, EnquiryRef, PersonRef, ReleaseRef, RequestId},
    reason::Reason,
};

/// The entry.
pub(super) fn release_decided() -> anyhow::Result<EntryDraft> {
    let words =
        |texts: &[&str]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Word>, _>>();
    let word = |text: &str| text.parse::<Word>().map(Some);
    let mut draft = EntryDraft::new(Action::ReleaseDecided);
    draft = draft.by("j.okafor".parse()?, "approver".parse()?);
    draft.enquiry = Some(EnquiryRef::from_random([1; 16]));
    draft.person = Some(PersonRef::from_random([2; 16]));
    draft.commitment = Some(Commitment::from_bytes([3; 32]));
    draft.exchange = Some(RequestId::from_random([4; 16]));
    draft.release = Some(ReleaseRef::from_random([5; 16]));
    draft.peer = Some("HLT".parse()?);
    draft.category = CategoryCode::new(12);
    draft.gate = word("g3")?;
    draft.class = word("S2")?;
    draft.purpose = word("safeguarding_children")?;
    draft.art6 = word("6(1)(e)")?;
    draft.art9 = word("9(2)(g)")?;
    draft.art10 = word("dpa2018:sch1:18")?;
    draft.gateway = word("children_act_2004:s11")?;
    draft.agreement_status = word("not_asked:unsafe")?;
    draft.agreement = Some(AgreementStamp {
        id: "exampleshire-ofd".parse()?,
        version: 3,
        digest: AgreementDigest::from_bytes([6; 32]),
    });
    draft.evidence = (7..10).map(|n| Digest::from_bytes([n; 32])).collect();
    draft.decision = word("released")?;
    draft.reason = Some(Reason::EvidenceStale);
    draft.recipients = vec!["HLT".parse()?, "POL".parse()?];
    draft.obligations = words(&["no_onward_sharing", "delete_after:P90D"])?;
    draft.count = Some(2);
    draft.payload_digest = Some(Digest::from_bytes([10; 32]));
    Ok(draft)
}
