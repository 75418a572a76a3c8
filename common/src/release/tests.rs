use static_assertions::assert_not_impl_any;

use super::*;
use crate::{
    agreement::{Agreement, Facts, Link, LinkKind, Moment, Outcome, Purpose, Request, decide},
    agreement::{EvidenceId, LawfulBasis, Rating},
    audit::{AuditLog, LogOptions, Origin},
    keys::SigningKey,
    rating::{Basis, Colour},
    seal::SealingKey,
    time::{SettableClock, SharedClock, SignedDuration},
};

assert_not_impl_any!(Withheld: Clone, serde::Serialize);
assert_not_impl_any!(Released: Clone, serde::Serialize);
assert_not_impl_any!(OwnText: Clone, serde::Serialize);
assert_not_impl_any!(ReleasePermit: Clone, serde::Serialize);
assert_not_impl_any!(Permit: Clone, serde::Serialize);

const AGREEMENT: &str =
    include_str!("../../../tests/corpus/agreements/exampleshire/agreement.toml");

fn category(code: &str) -> CategoryCode {
    code.parse().unwrap()
}

fn key() -> DetailKey {
    DetailKey::derive(&SecretBytes::new([9; 32]))
}

/// A permit as `decide` makes it: SMS holds C33 about P2, DAS has rated P2 Red, CSC asks.
fn permit(now: Timestamp, record: u64) -> ReleasePermit {
    let agreement = Agreement::parse(AGREEMENT).unwrap();
    let person = |name: &str| name.parse::<PersonRef>().unwrap();
    let facts = Facts {
        people: [person("P1"), person("P2")].into(),
        links: vec![Link {
            from: person("P2"),
            to: person("P1"),
            kind: LinkKind::PosesRiskTo,
            evidence: EvidenceId::new("link"),
        }],
        ratings: vec![Rating {
            agency: "DAS".parse().unwrap(),
            person: person("P2"),
            colour: Colour::Red,
            basis: Basis::Direct,
            topics: Default::default(),
            at: now,
            evidence: EvidenceId::new("red"),
        }],
        ..Facts::default()
    };
    let request = Request {
        holder: "SMS".parse().unwrap(),
        person: person("P2"),
        category: category("C33"),
        recipients: vec!["CSC".parse().unwrap()],
        purpose: Purpose::from_word("child_safeguarding"),
        basis: LawfulBasis::complete(),
    };
    let decision = decide(&agreement, &request, &facts, &Moment::fair(now)).remove(0);
    let Outcome::Release(permit) = decision.outcome else { panic!("{:?}", decision.outcome) };
    ReleasePermit {
        permit,
        record,
        enquiry: EnquiryRef::from_random([1; 16]),
        commitment: Commitment::from_bytes([2; 32]),
        release: ReleaseRef::from_random([3; 16]),
        exchange: RequestId::from_random([4; 16]),
        agreement: AgreementStamp {
            id: agreement.id().clone(),
            version: agreement.version(),
            digest: AgreementDigest::from_bytes([5; 32]),
        },
        basis: BasisWords::default(),
        evidence: Vec::new(),
    }
}

struct Bench {
    clock: std::sync::Arc<SettableClock>,
    log: AuditLog,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = std::sync::Arc::new(SettableClock::at("2027-02-09T11:05:00Z".parse().unwrap()));
        let origin = Origin::new("exampleshire", Party::Agency("SMS".parse().unwrap()), "1");
        let log = AuditLog::open(LogOptions::new(
            folder.path(),
            origin.unwrap(),
            SigningKey::generate().unwrap(),
            std::sync::Arc::clone(&clock) as SharedClock,
        ));
        Self { clock, log: log.unwrap(), _folder: folder }
    }

    fn now(&self) -> Timestamp {
        use crate::time::Clock as _;
        self.clock.now()
    }

    async fn recorded(&self, record: u64) -> Recorded<ReleasePermit> {
        self.log.record(permit(self.now(), record)).await.unwrap()
    }
}

fn withheld(record: u64, code: &str) -> Withheld {
    let place = DetailPlace { record, category: category(code) };
    Withheld::keep(&key(), place, "relapse, missed appointments").unwrap()
}

#[tokio::test]
async fn invariant_1_detail_opens_only_for_a_permit_about_this_record_and_category() {
    let bench = Bench::new();
    let permit = bench.recorded(7).await;
    for other in [withheld(8, "C33"), withheld(7, "C35")] {
        let refused = other.release(&key(), &permit, bench.now()).unwrap_err();
        assert_eq!(refused, PermitMismatch::AnotherDetail);
    }
    // Bytes of another place do not open even when they are passed off as this one's.
    let place = DetailPlace { record: 7, category: category("C33") };
    let moved = Withheld::from_sealed(place, withheld(8, "C33").into_sealed());
    let refused = moved.release(&key(), &permit, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::Unreadable);
    let other_key = DetailKey::derive(&SecretBytes::new([8; 32]));
    let refused = withheld(7, "C33").release(&other_key, &permit, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::Unreadable);
}

#[tokio::test]
async fn a_look_that_is_recorded_shows_every_category_of_its_record_and_no_other_record() {
    let bench = Bench::new();
    let entry = EntryDraft::new(Action::OwnRecordShown);
    let look = bench.log.record(OwnLook { record: 7, entry }).await.unwrap();
    let refused = withheld(8, "C33").show(&key(), &look).unwrap_err();
    assert_eq!(refused, PermitMismatch::AnotherDetail);
    let place = DetailPlace { record: 7, category: category("C33") };
    let moved = Withheld::from_sealed(place, withheld(8, "C33").into_sealed());
    assert_eq!(moved.show(&key(), &look).unwrap_err(), PermitMismatch::Unreadable);
    let shown: Vec<OwnText> =
        ["C33", "C35"].map(|code| withheld(7, code).show(&key(), &look).unwrap()).into();
    let joined = OwnText::join(&shown);
    assert_eq!(joined.as_str(), "relapse, missed appointments\n\nrelapse, missed appointments");
    assert_eq!(format!("{joined:?}"), "OwnText([personal])");
}

#[tokio::test]
async fn invariant_1_a_permit_for_a_redacted_text_opens_nothing_that_is_held() {
    let bench = Bench::new();
    let mut redacted = permit(bench.now(), 7);
    redacted.permit = redacted.permit.redacted();
    let redacted = bench.log.record(redacted).await.unwrap();
    let refused = withheld(7, "C33").release(&key(), &redacted, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::OnlyRedacted);
    let text = RedactedText::parse("missed appointments").unwrap();
    let released = Released::redacted(&redacted, &text, bench.now()).unwrap();
    assert_eq!(released.0.as_slice(), b"missed appointments");
    let obligations = redacted.get().entry().obligations;
    assert_eq!(obligations.iter().filter(|o| o.as_str() == "THIRD_PARTY_REDACTED").count(), 1);
    // No text goes in the place of what is held by a permit for what is held, or by one that has expired.
    let whole = bench.recorded(7).await;
    let refused = Released::redacted(&whole, &text, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::NotRedacted);
    bench.clock.advance(SignedDuration::from_hours(24 * 7));
    let refused = Released::redacted(&redacted, &text, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::Expired);
}

#[test]
fn a_redacted_text_says_something_within_its_size() {
    let long = "y".repeat(MAX_REDACTED_BYTES + 1);
    for (text, why) in [
        (" \n ", NotARedactedText::Empty),
        (long.as_str(), NotARedactedText::TooLong),
        ("a\u{1b}[2Jb", NotARedactedText::Control),
        ("a\rb", NotARedactedText::Control),
    ] {
        assert_eq!(RedactedText::parse(text).unwrap_err(), why);
    }
    let text = RedactedText::parse("One.\r\n\tTwo.\n").unwrap();
    assert_eq!(text.as_str(), "One.\n\tTwo.");
    assert_eq!(format!("{text:?}"), "RedactedText([personal])");
}

#[tokio::test]
async fn a_permit_past_its_time_opens_nothing() {
    let bench = Bench::new();
    let permit = bench.recorded(7).await;
    bench.clock.advance(SignedDuration::from_hours(24 * 7));
    let refused = withheld(7, "C33").release(&key(), &permit, bench.now()).unwrap_err();
    assert_eq!(refused, PermitMismatch::Expired);
}

#[tokio::test]
async fn invariant_3_what_is_released_can_only_be_read_by_its_recipient() {
    let bench = Bench::new();
    let permit = bench.recorded(7).await;
    let detail = withheld(7, "C33");
    assert!(!detail.ciphertext.windows(7).any(|bytes| bytes == b"relapse"));
    let released = detail.release(&key(), &permit, bench.now()).unwrap();
    let (enquiry, person) = (EnquiryRef::from_random([1; 16]), "P2".parse().unwrap());
    let (holder, recipient) = ("SMS".parse().unwrap(), "CSC".parse().unwrap());
    let release = ReleaseRef::from_random([3; 16]);
    let what = SealedFor {
        agreement: AgreementDigest::from_bytes([5; 32]),
        enquiry: &enquiry,
        person: &person,
        category: category("C33"),
        holder: &holder,
        recipient: &recipient,
        release: &release,
        expires: permit.get().permit.expires(),
    };
    let recipients_key = SealingKey::generate().unwrap();
    let public = recipients_key.public_key().unwrap();
    let sealed = Released::join(&[released]).seal(&public, &binding(&what)).unwrap();
    let text = recipients_key.open(&binding(&what), &sealed).unwrap();
    assert_eq!(text.as_slice(), b"relapse, missed appointments");
    let elsewhere = SealedFor { category: category("C35"), ..what };
    assert!(recipients_key.open(&binding(&elsewhere), &sealed).is_err());
    assert!(SealingKey::generate().unwrap().open(&binding(&what), &sealed).is_err());
}

#[tokio::test]
async fn the_entry_of_a_permit_names_what_it_allows_and_nobody() {
    let bench = Bench::new();
    let permit = bench.recorded(7).await;
    let entry = permit.get().entry();
    assert_eq!(entry.action, Action::ReleaseDecided);
    assert_eq!(entry.category, Some(category("C33")));
    assert_eq!(entry.recipients, vec![Party::Agency("CSC".parse().unwrap())]);
    assert_eq!(entry.gate.unwrap().as_str(), "g3");
    let obligations: Vec<_> = entry.obligations.iter().map(Word::as_str).collect();
    assert!(obligations.contains(&"NO_ONWARD") && obligations.contains(&"DO_NOT_TELL_SUBJECT"));
}
