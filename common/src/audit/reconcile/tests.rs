//! Both sides of every kind of exchange by hand, with everything that can be missing or otherwise.

use proptest::prelude::*;

use super::{rules::Part, *};
use crate::{
    audit::entry::{Action as A, AgreementStamp, Digest, Entry, EntryDraft, Place as EntryPlace},
    id::{AgreementDigest, Commitment},
    reason::Reason,
    time::SignedDuration,
};

fn start() -> Timestamp {
    "2027-02-09T09:00:00Z".parse().unwrap()
}

/// An entry of an exchange in an enquiry about P1, with the hub; by the program.
fn of(action: A, exchange: &str) -> EntryDraft {
    EntryDraft {
        enquiry: Some("e1".parse().unwrap()),
        person: Some("P1".parse().unwrap()),
        exchange: Some(exchange.parse().unwrap()),
        peer: Some(Party::Hub),
        agreement: Some(AgreementStamp {
            id: "exampleshire-ofd".parse().unwrap(),
            version: 3,
            digest: AgreementDigest::from_bytes([2; 32]),
        }),
        ..EntryDraft::new(action)
    }
}

/// The same as the hub writes it, of the exchange with CSC.
fn hub(action: A, exchange: &str) -> EntryDraft {
    EntryDraft { peer: Some(csc()), ..of(action, exchange) }
}

fn csc() -> Party {
    "CSC".parse().unwrap()
}

fn by_staff(draft: EntryDraft) -> EntryDraft {
    draft.by("j.okafor".parse().unwrap(), "assessor".parse().unwrap())
}

fn said(draft: EntryDraft, word: &str) -> EntryDraft {
    EntryDraft { decision: word.parse().ok(), ..draft }
}

fn because(draft: EntryDraft, reason: Reason) -> EntryDraft {
    EntryDraft { reason: Some(reason), ..draft }
}

fn to(draft: EntryDraft, recipients: &[&str]) -> EntryDraft {
    let recipients = recipients.iter().map(|party| party.parse().unwrap()).collect();
    EntryDraft { recipients, ..draft }
}

fn proven(draft: EntryDraft, byte: u8) -> EntryDraft {
    EntryDraft { evidence: vec![Digest::from_bytes([byte; 32])], ..draft }
}

fn for_purpose(draft: EntryDraft) -> EntryDraft {
    EntryDraft { purpose: "child_safeguarding".parse().ok(), ..draft }
}

fn detail(draft: EntryDraft) -> EntryDraft {
    let (release, category) = ("r1".parse().ok(), "C10".parse().ok());
    EntryDraft { release, category, ..draft }
}

fn about(draft: EntryDraft, person: &str) -> EntryDraft {
    EntryDraft { person: person.parse().ok(), ..draft }
}

fn nobody(draft: EntryDraft) -> EntryDraft {
    EntryDraft { person: None, ..draft }
}

fn counted(draft: EntryDraft, count: u64) -> EntryDraft {
    EntryDraft { count: Some(count), ..draft }
}

fn released(draft: EntryDraft) -> EntryDraft {
    let obligations = vec!["NO_ONWARD".parse().unwrap()];
    let payload_digest = Some(Digest::from_bytes([9; 32]));
    EntryDraft {
        gate: "g3".parse().ok(),
        obligations,
        payload_digest,
        ..said(detail(draft), "release")
    }
}

/// One exchange as both sides write it: its kind, the hub's entries, the node's.
type Pair = (Kind, Vec<EntryDraft>, Vec<EntryDraft>);

/// Every kind of exchange in good order. The exchange's name is its place.
fn good() -> Vec<Pair> {
    let fact = |x: &str, action: A| {
        (
            Kind::DeliveredFact,
            vec![proven(hub(action, x), 7)],
            vec![proven(by_staff(of(action, x)), 7), said(nobody(of(A::Delivered, x)), "taken")],
        )
    };
    let decided = |x: &str, recipient: &str| {
        let detail = detail(for_purpose(hub(A::ReleaseDecided, x)));
        because(to(said(detail, "deny"), &[recipient]), Reason::ThresholdNotMet)
    };
    let mine = |draft: EntryDraft| EntryDraft {
        peer: Some(Party::Hub),
        commitment: Some(Commitment::from_bytes([1; 32])),
        ..draft
    };
    let mut all: Vec<Pair> = vec![
        (
            Kind::Screen,
            vec![
                counted(for_purpose(nobody(hub(A::ScreenAsked, "x0"))), 4),
                said(about(hub(A::RateAnswered, "x0"), "P2"), "not_known"),
            ],
            vec![counted(EntryDraft { enquiry: None, ..nobody(of(A::ScreenAnswered, "x0")) }, 4)],
        ),
        (
            Kind::Rate,
            vec![
                counted(for_purpose(nobody(hub(A::RateAsked, "x1"))), 2),
                proven(said(hub(A::RateAnswered, "x1"), "rated"), 5),
                said(about(hub(A::RateAnswered, "x1"), "P2"), "pending"),
            ],
            vec![
                proven(said(for_purpose(of(A::RateAnswered, "x1")), "rated"), 5),
                said(about(for_purpose(of(A::RateAnswered, "x1")), "P2"), "pending"),
            ],
        ),
        (
            Kind::Release,
            vec![
                to(detail(for_purpose(hub(A::ReleaseAsked, "x2"))), &["POL", "EDU"]),
                decided("x2", "POL"),
                decided("x2", "EDU"),
            ],
            vec![mine(decided("x2", "POL")), mine(decided("x2", "EDU"))],
        ),
        (
            Kind::Receive,
            vec![to(
                EntryDraft { decision: None, gate: None, ..released(hub(A::DetailRelayed, "x3")) },
                &["CSC"],
            )],
            vec![EntryDraft {
                decision: None,
                gate: None,
                peer: "POL".parse().ok(),
                ..released(of(A::DetailReceived, "x3"))
            }],
        ),
        (
            Kind::Notice,
            vec![said(nobody(proven(hub(A::NoticeRelayed, "x4"), 6)), "retraction")],
            vec![because(
                detail(proven(of(A::DetailRetracted, "x4"), 6)),
                Reason::ConsentWithdrawn,
            )],
        ),
        (
            Kind::Notice,
            vec![said(nobody(proven(hub(A::NoticeRelayed, "x5"), 6)), "consent")],
            vec![said(proven(of(A::ConsentRecorded, "x5"), 6), "withdrawn")],
        ),
        (
            Kind::Challenge,
            vec![proven(hub(A::RatingChallenged, "x6"), 6)],
            vec![proven(of(A::RatingChallenged, "x6"), 6)],
        ),
        (
            Kind::DeliveredRating,
            vec![proven(said(hub(A::RateAnswered, "x7"), "rated"), 7)],
            vec![
                proven(by_staff(of(A::RatingGiven, "x7")), 7),
                said(nobody(of(A::Delivered, "x7")), "taken"),
            ],
        ),
        (
            Kind::DeliveredRating,
            vec![said(hub(A::RateAnswered, "x8"), "not_known")],
            vec![
                said(by_staff(of(A::IdentityReviewed, "x8")), "different"),
                said(nobody(of(A::Delivered, "x8")), "taken"),
            ],
        ),
        (
            Kind::DeliveredOutcome,
            vec![to(released(hub(A::ReleaseDecided, "x9")), &["POL"])],
            vec![
                to(released(for_purpose(of(A::DetailSealed, "x9"))), &["POL"]),
                said(nobody(of(A::Delivered, "x9")), "taken"),
            ],
        ),
        (
            Kind::DeliveredOutcome,
            vec![because(
                to(said(detail(hub(A::ReleaseDecided, "x10")), "deny"), &["POL"]),
                Reason::ApproverRefused,
            )],
            vec![
                because(
                    to(said(detail(by_staff(of(A::ReviewRefused, "x10"))), "deny"), &["POL"]),
                    Reason::ApproverRefused,
                ),
                said(nobody(of(A::Delivered, "x10")), "taken"),
            ],
        ),
        (
            Kind::DeliveredOutcome,
            vec![because(
                to(said(detail(hub(A::ReleaseDecided, "x11")), "deny"), &["POL"]),
                Reason::ConsentWithdrawn,
            )],
            vec![
                because(
                    to(said(detail(for_purpose(of(A::ReleaseDecided, "x11"))), "deny"), &["POL"]),
                    Reason::ConsentWithdrawn,
                ),
                said(nobody(of(A::Delivered, "x11")), "taken"),
            ],
        ),
        (
            Kind::Enrolment,
            vec![counted(
                EntryDraft { enquiry: None, ..nobody(hub(A::EnrolmentEvaluated, "x12")) },
                512,
            )],
            vec![counted(
                EntryDraft { enquiry: None, ..nobody(of(A::EnrolmentEvaluated, "x12")) },
                512,
            )],
        ),
    ];
    let facts = [
        A::LinkConfirmed,
        A::AssertionMade,
        A::ConsentRecorded,
        A::PlanChanged,
        A::RatingWithdrawn,
        A::RetractionAcknowledged,
        A::RatingKept,
    ];
    for action in facts {
        all.push(fact(&format!("x{}", all.len()), action));
    }
    let x = format!("x{}", all.len());
    let retracted = |draft: EntryDraft| {
        because(to(detail(proven(draft, 7)), &["POL"]), Reason::ConsentWithdrawn)
    };
    all.push((
        Kind::DeliveredFact,
        vec![retracted(hub(A::DetailRetracted, &x))],
        vec![retracted(of(A::DetailRetracted, &x)), said(nobody(of(A::Delivered, &x)), "taken")],
    ));
    let x = format!("x{}", all.len());
    all.push((
        Kind::DeliveredFact,
        vec![to(proven(hub(A::RatingChallenged, &x), 7), &["POL"])],
        vec![
            proven(by_staff(of(A::RatingChallenged, &x)), 7),
            said(nobody(of(A::Delivered, &x)), "taken"),
        ],
    ));
    let x = format!("x{}", all.len());
    all.push((
        Kind::News,
        vec![said(nobody(hub(A::NewsTold, &x)), "late_rating")],
        vec![said(nobody(of(A::NewsReceived, &x)), "late_rating")],
    ));
    // A colour that the agency's own node refused its assessor.
    let x = format!("x{}", all.len());
    let unable = |draft| because(said(draft, "unable"), Reason::BlueNotPermittedDa);
    all.push((
        Kind::DeliveredRating,
        vec![unable(hub(A::RateAnswered, &x))],
        vec![unable(by_staff(of(A::RatingGiven, &x))), said(nobody(of(A::Delivered, &x)), "taken")],
    ));
    all
}

fn log(party: &str) -> Log {
    let origin = format!("exampleshire.example/{party}/1").parse().unwrap();
    let (n_entries, n_local, first_ts, last_ts, fault) = (0, 0, None, None, None);
    let gaps = Vec::new();
    Log { dir: PathBuf::new(), origin, n_entries, n_local, first_ts, last_ts, fault, gaps }
}

/// Compares the hub's entries with those of CSC, one second apart unless a step says otherwise.
fn compare(hub: Vec<EntryDraft>, node: Vec<EntryDraft>) -> Report {
    let timed = |drafts: Vec<EntryDraft>| {
        let seconds = (0..).map(SignedDuration::from_secs);
        seconds.zip(drafts).map(|(at, draft)| (start() + at, draft)).collect()
    };
    compare_at(timed(hub), timed(node))
}

fn compare_at(hub: Vec<(Timestamp, EntryDraft)>, node: Vec<(Timestamp, EntryDraft)>) -> Report {
    let mut logs = vec![log("hub"), log("CSC")];
    let (mut shrink, mut exchanges) = (Shrink::default(), Exchanges::new());
    for ((place, log), drafts) in (0_u16..).zip(&mut logs).zip([hub, node]) {
        let party = log.origin.party().clone();
        let mut reading = Reading::new(log, place);
        for (seq, (ts, draft)) in (0_u64..).zip(drafts) {
            let (prev_hash, node) = (Digest::ZERO, party.clone());
            let entry = Entry::at(EntryPlace { seq, prev_hash, ts, node }, draft, true);
            reading.take(&entry, &mut shrink, &mut exchanges);
        }
    }
    let mut found = Judging::new(&logs, &mut shrink);
    let wanted = Wanted { list_explained: true, ..Wanted::default() };
    for (exchange, seen) in &exchanges {
        found.exchange(exchange, seen, &wanted);
    }
    // Without the second reading: the names of the fields, not their values.
    for (difference, (_, _, fields)) in found.report.differences.iter_mut().zip(&found.fields) {
        let named = |field: &Field| FieldDifference { field: *field, hub: None, node: None };
        difference.fields = fields.iter().map(named).collect();
    }
    found.report
}

fn sides(pairs: &[Pair]) -> (Vec<EntryDraft>, Vec<EntryDraft>) {
    let (hub, node) = pairs
        .iter()
        .map(|(_, hub, node)| (hub.clone(), node.clone()))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    (hub.concat(), node.concat())
}

#[test]
fn what_a_log_says_that_it_lost_is_named_and_is_a_difference_all_the_same() {
    let restored = |action, count| {
        let mut draft = EntryDraft::new(action);
        draft.count = Some(count);
        draft.peer = (action == Action::RestoreGap).then_some(Party::Hub);
        draft
    };
    let at = |hours: i64| start() + SignedDuration::from_hours(hours);
    let asked = |text: &str| {
        let mut draft = EntryDraft::new(Action::NewsTold);
        draft.exchange = Some(RequestId::from_random([text.as_bytes()[0]; 16]));
        draft.peer = Some("CSC".parse().unwrap());
        draft
    };
    let taken = |text: &str| {
        let mut draft = asked(text);
        (draft.action, draft.peer) = (Action::NewsReceived, Some(Party::Hub));
        draft
    };
    let hub =
        vec![(at(0), asked("a")), (at(2), asked("b")), (at(4), asked("c")), (at(8), asked("d"))];
    let node = vec![
        (at(0), taken("a")),
        (at(5), restored(Action::ShardBegun, 1)),
        (at(5), restored(Action::LogRestored, 1)),
        (at(5), restored(Action::RestoreGap, 7)),
    ];
    let report = compare_at(hub, node);
    let gap = &report.logs[1].gaps[0];
    assert_eq!((gap.after, gap.until, gap.kept), (Some(at(0)), at(5), 1));
    assert_eq!(gap.seen.get(&Party::Hub), Some(&7));
    assert!(!report.agrees());
    let mut found: Vec<_> = report.differences.iter().map(|d| (d.began, d.in_gap)).collect();
    found.sort();
    // What was left out after the log went on is not covered by what it says.
    assert_eq!(found, [(at(2), true), (at(4), true), (at(8), false)]);
}

/// The one class that exchanges are explained by.
fn class(report: &Report) -> Explained {
    assert!(report.differences.is_empty(), "{:?}", report.differences);
    assert_eq!(report.classes.len(), 1, "{:?}", report.classes);
    *report.classes.keys().next().unwrap()
}

/// The one difference: its kind and the side that lacks it.
fn missing(report: &Report) -> (Kind, Side) {
    assert_eq!(report.differences.len(), 1, "{:?}", report.differences);
    (report.differences[0].kind, report.differences[0].missing_at.unwrap())
}

/// Whether the other side must have an entry for this one.
fn must_have_another(side: Side, kind: Kind, draft: &EntryDraft, beside: &[EntryDraft]) -> bool {
    let by =
        |action| rules::ROWS.iter().chain(rules::FURTHER).filter(move |row| row.action == action);
    let mut parts = by(draft.action).filter(|row| row.side == side && row.kind == kind);
    let part = parts.next().map(|row| row.part);
    match part {
        // What the hub finds by itself of a screening has no other side, and a receipt is about one that is there.
        Some(Part::Returns) => kind != Kind::Screen,
        Some(Part::Receipt) => false,
        // The decision beside the sealing that follows from it.
        Some(Part::Opens) if draft.action == A::ReleaseDecided => {
            !beside.iter().any(|one| one.action == A::DetailSealed)
        }
        Some(Part::Opens | Part::Takes) => true,
        None => panic!("{:?} is of no kind", draft.action),
    }
}

#[test]
fn an_entry_that_one_side_does_not_have_is_named_with_its_kind_and_both_sides_numbers() {
    for (place, (kind, hub, node)) in good().iter().enumerate() {
        for (side, mine, other) in [(Side::Hub, hub, node), (Side::Node, node, hub)] {
            for dropped in 0..mine.len() {
                if !must_have_another(side, *kind, &mine[dropped], mine) {
                    continue;
                }
                let mut left = mine.clone();
                left.remove(dropped);
                let n_left = left.len();
                let (hub, node) = match side {
                    Side::Hub => (left, other.clone()),
                    Side::Node => (other.clone(), left),
                };
                let report = compare(hub, node);
                let what =
                    format!("{kind:?} x{place}, {side:?} without {:?}", mine[dropped].action);
                let found = &report.differences[..];
                assert_eq!(found.len(), 1, "{what}: {report:?}");
                assert_eq!(found[0].kind, *kind, "{what}");
                assert_eq!(found[0].missing_at, Some(side), "{what}");
                assert_eq!(found[0].exchange.as_str(), format!("x{place}"), "{what}");
                let lacks = if side == Side::Hub { &found[0].hub } else { &found[0].node };
                assert_eq!(lacks.len(), n_left, "{what}");
                let has = if side == Side::Hub { &found[0].node } else { &found[0].hub };
                assert_eq!(has.len(), other.len(), "{what}");
                assert!(!report.agrees());
            }
        }
    }
}

type Alter = fn(&mut EntryDraft);

#[test]
fn a_field_that_is_not_the_same_on_both_sides_is_named() {
    let alter: [(Field, Alter); 12] = [
        (Field::Enquiry, |draft| draft.enquiry = "e2".parse().ok()),
        (Field::Person, |draft| draft.person = "P9".parse().ok()),
        (Field::Release, |draft| draft.release = "r2".parse().ok()),
        (Field::Category, |draft| draft.category = "C11".parse().ok()),
        (Field::Decision, |draft| draft.decision = "declined".parse().ok()),
        (Field::Reason, |draft| draft.reason = Some(Reason::ConsentExpired)),
        (Field::Recipients, |draft| draft.recipients = vec!["HLT".parse().unwrap()]),
        (Field::Obligations, |draft| draft.obligations = vec!["DELETE_AFTER".parse().unwrap()]),
        (Field::Evidence, |draft| draft.evidence = vec![Digest::from_bytes([99; 32])]),
        (Field::PayloadDigest, |draft| draft.payload_digest = Some(Digest::from_bytes([8; 32]))),
        (Field::Count, |draft| draft.count = Some(3)),
        (Field::Agreement, |draft| {
            if let Some(stamp) = &mut draft.agreement {
                stamp.digest = AgreementDigest::from_bytes([3; 32]);
            }
        }),
    ];
    let mut n_compared = BTreeMap::new();
    for (kind, hub, node) in good() {
        let terms = terms(kind).unwrap();
        for (field, alter) in alter {
            // Where the whole exchange is one unit: its last entries are beside each other.
            if terms.each != rules::Each::Exchange || !terms.same.contains(&field) {
                continue;
            }
            let mut altered = node.clone();
            altered.iter_mut().filter(|draft| draft.action != A::Delivered).for_each(alter);
            let report = compare(hub.clone(), altered);
            let names: Vec<Field> = report.differences[0].fields.iter().map(|f| f.field).collect();
            assert_eq!(names, [field], "{kind:?}");
            *n_compared.entry(field).or_insert(0) += 1;
        }
    }
    assert_eq!(n_compared.len(), alter.len(), "{n_compared:?}");
    let (_, hub, mut node) = good().swap_remove(2);
    node[1].reason = Some(Reason::ConsentExpired);
    let report = compare(hub.clone(), node.clone());
    assert_eq!(report.differences.len(), 1);
    assert_eq!(report.differences[0].fields[0].field, Field::Reason);
    // A decision about a recipient who was not asked for: each side has one that the other has not.
    node[1].recipients = vec!["HLT".parse().unwrap()];
    let sides: Vec<_> = compare(hub, node).differences.iter().map(|d| d.missing_at).collect();
    assert_eq!(sides, [Some(Side::Hub), Some(Side::Node)]);
}

#[test]
fn everything_that_is_in_order_agrees() {
    let pairs = good();
    let (hub, node) = sides(&pairs);
    let report = compare(hub, node);
    assert!(report.agrees(), "{:?}", report.differences);
    assert_eq!(report.total.agreed, pairs.len() as u64, "{report:?}");
    assert_eq!(report.total.all(), pairs.len() as u64);
    let kinds: BTreeSet<Kind> = pairs.iter().map(|(kind, _, _)| *kind).collect();
    assert_eq!(report.kinds.keys().copied().collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn a_call_that_came_to_nothing_is_explained_by_what_both_sides_say() {
    let none = |x: &str| said(hub(A::NoResponse, x), "UNREACHABLE");
    let asked = || counted(for_purpose(nobody(hub(A::ScreenAsked, "s"))), 4);
    let answered =
        || counted(EntryDraft { enquiry: None, ..nobody(of(A::ScreenAnswered, "s")) }, 4);
    let refused = |x: &str| {
        said(EntryDraft { enquiry: None, ..nobody(of(A::RequestRefused, x)) }, "request_expired")
    };
    assert_eq!(class(&compare(vec![asked(), none("s")], vec![])), Explained::NotArrived);
    let lost = compare(vec![asked(), none("s")], vec![answered()]);
    assert_eq!(class(&lost), Explained::AnswerLost);
    let refused = compare(vec![asked(), none("s")], vec![refused("s")]);
    assert_eq!(class(&refused), Explained::Refused);
    let unable = because(said(hub(A::RateAnswered, "s"), "unable"), Reason::LogUnavailable);
    assert_eq!(class(&compare(vec![asked(), unable], vec![])), Explained::NotRecorded);
    // Without a word of its end, it must have been taken.
    assert_eq!(missing(&compare(vec![asked()], vec![])), (Kind::Screen, Side::Node));

    let none = said(hub(A::NoResponse, "u"), "NOT_ENROLLED");
    assert_eq!(class(&compare(vec![none], vec![])), Explained::NotAsked);
}

#[test]
fn a_person_of_a_round_whose_answer_did_not_count_is_told_from_one_that_was_left_out() {
    let (_, hub_log, node) = good().swap_remove(1);
    let mut counts_not = hub_log.clone();
    counts_not[2] = said(about(hub(A::NoResponse, "x1"), "P2"), "INVALID_ANSWER");
    assert_eq!(class(&compare(counts_not, node.clone())), Explained::AnswerLost);
    let mut other = hub_log;
    other[2] = said(about(hub(A::RateAnswered, "x1"), "P2"), "not_known");
    let report = compare(other, node);
    assert_eq!(report.differences[0].fields[0].field, Field::Decision);
    assert_eq!((report.total.different, report.total.agreed), (1, 0));
}

#[test]
fn a_holder_whose_log_failed_is_told_from_one_that_decided_otherwise() {
    let (_, mut hub_log, node) = good().swap_remove(2);
    for decided in &mut hub_log[1..] {
        decided.reason = Some(Reason::LogUnavailable);
    }
    assert_eq!(class(&compare(hub_log.clone(), vec![])), Explained::NotRecorded);
    assert_eq!(class(&compare(hub_log, node)), Explained::NotRecorded);
}

#[test]
fn a_refusal_because_of_the_version_may_name_either() {
    let (_, mut hub_log, mut node) = good().swap_remove(2);
    let stamp = node[0].agreement.clone().map(|stamp| AgreementStamp { version: 4, ..stamp });
    node.iter_mut().for_each(|draft| draft.agreement.clone_from(&stamp));
    assert_eq!(compare(hub_log.clone(), node.clone()).total.different, 1);
    for draft in hub_log.iter_mut().skip(1).chain(&mut node) {
        draft.reason = Some(Reason::AgreementVersionMismatch);
    }
    assert!(compare(hub_log, node).agrees());
}

#[test]
fn a_delivery_without_a_receipt_is_on_its_way_and_one_with_a_receipt_is_at_the_hub() {
    let given = || proven(by_staff(of(A::RatingGiven, "d")), 7);
    let receipt = |word| said(nobody(of(A::Delivered, "d")), word);
    let refused = || said(nobody(hub(A::RequestRefused, "d")), "recipient_unreachable");
    assert_eq!(class(&compare(vec![], vec![given()])), Explained::NotDelivered);
    assert_eq!(class(&compare(vec![refused()], vec![given()])), Explained::NotDelivered);
    let taken = compare(vec![refused()], vec![given(), receipt("taken")]);
    assert_eq!(missing(&taken), (Kind::DeliveredRating, Side::Hub));
    let told = compare(vec![refused()], vec![given(), receipt("refused")]);
    assert_eq!(class(&told), Explained::Refused);
    let silent = compare(vec![], vec![given(), receipt("refused")]);
    assert_eq!(missing(&silent), (Kind::DeliveredRating, Side::Hub));
    // A Blue that the hub does not count.
    let blue = said(hub(A::NoResponse, "d"), "BLUE_NOT_PERMITTED_DA");
    let report = compare(vec![blue, refused()], vec![given(), receipt("refused")]);
    assert_eq!(class(&report), Explained::Refused);
}

#[test]
fn a_release_that_was_decided_and_not_sealed_is_not_taken_for_harmless() {
    let decided = || to(said(detail(for_purpose(of(A::ReleaseDecided, "o"))), "release"), &["POL"]);
    let report = compare(vec![], vec![decided()]);
    // Nothing tells it from an answer to a request that the hub left out, so it is not taken for harmless.
    assert_eq!(missing(&report), (Kind::Release, Side::Hub));
    let sealed = to(released(for_purpose(of(A::DetailSealed, "o"))), &["POL"]);
    assert_eq!(class(&compare(vec![], vec![decided(), sealed])), Explained::NotDelivered);
}

#[test]
fn a_refused_call_that_the_caller_does_not_have_is_a_difference() {
    let refused = said(
        EntryDraft { enquiry: None, ..nobody(hub(A::RequestRefused, "f")) },
        "party_withdrawn",
    );
    assert_eq!(missing(&compare(vec![refused], vec![])), (Kind::Unknown, Side::Node));
    let refused =
        said(EntryDraft { enquiry: None, ..nobody(of(A::RequestRefused, "f")) }, "request_expired");
    assert_eq!(missing(&compare(vec![], vec![refused])), (Kind::Unknown, Side::Hub));
}

#[test]
fn only_a_hub_that_was_killed_may_leave_a_call_open() {
    let asked = || counted(for_purpose(nobody(hub(A::ScreenAsked, "s"))), 4);
    let (starts, stops) = (EntryDraft::new(A::ServiceStarted), EntryDraft::new(A::ServiceStopped));
    let killed = compare(vec![starts.clone(), asked(), starts.clone()], vec![]);
    assert_eq!(class(&killed), Explained::CutOff);
    let stopped = compare(vec![starts.clone(), asked(), stops, starts.clone()], vec![]);
    assert_eq!(missing(&stopped), (Kind::Screen, Side::Node));
    // Nor one that had ended long before.
    let at = |minutes, draft| (start() + SignedDuration::from_mins(minutes), draft);
    let later = vec![
        at(0, starts.clone()),
        at(1, asked()),
        at(17, EntryDraft::new(A::ReportRead)),
        at(18, starts),
    ];
    assert_eq!(missing(&compare_at(later, vec![])), (Kind::Screen, Side::Node));
}

#[test]
fn only_an_enrolment_that_was_killed_may_leave_a_call_open() {
    let evaluated =
        || counted(EntryDraft { enquiry: None, ..nobody(of(A::EnrolmentEvaluated, "n")) }, 512);
    let completed =
        counted(EntryDraft { enquiry: None, ..nobody(of(A::EnrolmentCompleted, "c")) }, 1);
    let at_hub = EntryDraft { peer: Some(csc()), ..completed.clone() };
    let starts = EntryDraft::new(A::EnrolmentStarted);
    let killed = compare(vec![], vec![starts.clone(), evaluated(), starts.clone()]);
    assert_eq!(class(&killed), Explained::CutOff);
    let ended = compare(vec![at_hub], vec![starts.clone(), evaluated(), completed, starts]);
    assert_eq!(missing(&ended), (Kind::Enrolment, Side::Hub));
    let none = said(EntryDraft { enquiry: None, ..nobody(of(A::NoResponse, "n")) }, "unreachable");
    assert_eq!(class(&compare(vec![], vec![evaluated(), none])), Explained::NotArrived);
}

#[test]
fn agencies_whose_log_was_not_given_are_left_out_and_counted() {
    let mut elsewhere = hub(A::ScreenAsked, "p");
    elsewhere.peer = "POL".parse().ok();
    let report = compare(vec![elsewhere], vec![]);
    assert!(report.agrees());
    assert_eq!(report.not_given, BTreeMap::from([("POL".parse().unwrap(), 1)]));
    assert_eq!(report.total.all(), 0);
}

#[test]
fn what_began_after_the_end_of_the_log_that_lacks_it_says_so() {
    let at = |minutes, draft| (start() + SignedDuration::from_mins(minutes), draft);
    let (_, hub_log, node) = good().swap_remove(0);
    let hub_log = hub_log.into_iter().map(|draft| at(5, draft)).collect();
    let report = compare_at(hub_log, vec![at(0, EntryDraft::new(A::ServiceStarted))]);
    assert!(report.differences[0].after_the_end);
    let later = vec![at(9, EntryDraft::new(A::ServiceStopped))];
    let report = compare_at(later, vec![at(0, node[0].clone())]);
    assert!(!report.differences[0].after_the_end);
}

#[test]
fn every_row_is_of_a_kind_that_has_terms_and_every_kind_is_opened_and_taken() {
    for row in rules::ROWS.iter().chain(rules::FURTHER) {
        let terms = terms(row.kind).unwrap();
        let by_caller = row.part != Part::Takes;
        assert_eq!(row.side == terms.caller, by_caller, "{row:?}");
    }
    for kind in Kind::ALL.into_iter().filter(|kind| terms(*kind).is_some()) {
        for part in [Part::Opens, Part::Takes] {
            assert!(rules::ROWS.iter().any(|row| row.kind == kind && row.part == part), "{kind:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// In any mixture of exchanges, in any order, one entry that must have another side is left out of one log.
    #[test]
    fn one_entry_that_is_left_out_is_found_among_all_others(
        order in Just((0..good().len()).collect::<Vec<_>>()).prop_shuffle(),
        n_exchanges in 1..good().len(),
        side in prop::sample::select(vec![Side::Hub, Side::Node]),
        which in any::<prop::sample::Index>(),
    ) {
        let all = good();
        let mixed: Vec<&Pair> = order.iter().take(n_exchanges).map(|place| &all[*place]).collect();
        let mut droppable = Vec::new();
        for (n, (kind, hub, node)) in mixed.iter().enumerate() {
            let mine = if side == Side::Hub { hub } else { node };
            let may = |(at, draft): (usize, &EntryDraft)| {
                must_have_another(side, *kind, draft, mine).then_some((n, at))
            };
            droppable.extend(mine.iter().enumerate().filter_map(may));
        }
        let (n, at) = *which.get(&droppable);
        let (mut hub, mut node) = (Vec::new(), Vec::new());
        for (place, (_, hub_entries, node_entries)) in mixed.iter().enumerate() {
            let (mut h, mut o) = (hub_entries.clone(), node_entries.clone());
            if place == n {
                if side == Side::Hub { h.remove(at); } else { o.remove(at); }
            }
            hub.extend(h);
            node.extend(o);
        }
        let report = compare(hub, node);
        prop_assert_eq!(report.differences.len(), 1, "{:?}", report.differences);
        let found = &report.differences[0];
        prop_assert_eq!(found.exchange.as_str(), format!("x{}", order[n]));
        prop_assert_eq!(found.kind, mixed[n].0);
        prop_assert_eq!(found.missing_at, Some(side));
        prop_assert_eq!(report.total.agreed, n_exchanges as u64 - 1);
    }
}
