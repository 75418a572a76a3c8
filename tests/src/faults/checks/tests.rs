//! Each check beside something that it has to find, and beside the same in good order.

use brag_common::audit::{
    EntryDraft,
    entry::{Digest, Party},
};

use super::*;
use crate::faults::stage::{HOLDER, RECIPIENT};

const ENQUIRY: &str = "e1";
const PERSON: &str = "p1";
const RELEASE: &str = "r1";
const RATING: &str = "x3";

fn noon() -> Timestamp {
    "2027-02-09T12:00:00Z".parse().unwrap()
}

fn agency(name: &str) -> Party {
    Party::Agency(name.parse().unwrap())
}

/// An entry of an exchange, a second after the one before.
fn entry(seq: u64, action: Action, exchange: &str, change: impl FnOnce(&mut Entry)) -> Entry {
    let EntryDraft { actor, .. } = EntryDraft::new(action);
    let seconds = i64::try_from(seq).unwrap();
    let text = format!(
        r#"{{"v":1,"seq":{seq},"prev_hash":"{}","ts":"{}","node":"hub","actor":"program","action":"{action}"}}"#,
        Digest::ZERO,
        noon() + SignedDuration::from_secs(seconds),
    );
    let mut entry = Entry::decode(text.as_bytes()).unwrap();
    assert_eq!(entry.actor, actor);
    entry.exchange = Some(exchange.parse().unwrap());
    entry.enquiry = Some(ENQUIRY.parse().unwrap());
    change(&mut entry);
    entry
}

fn of_detail(entry: &mut Entry) {
    entry.release = Some(RELEASE.parse().unwrap());
    entry.recipients = vec![agency(RECIPIENT)];
}

fn releases(entry: &mut Entry) {
    of_detail(entry);
    entry.decision = Some("release".parse().unwrap());
}

fn rated(entry: &mut Entry) {
    entry.person = Some(PERSON.parse().unwrap());
    entry.peer = Some(agency(HOLDER));
    entry.decision = Some("rated".parse().unwrap());
    entry.evidence = vec![Digest::of(b"a rating")];
}

/// An enquiry that was opened, rated by the holder, whose detail was released, passed on and read.
fn in_good_order() -> (Vec<Line>, Evidence) {
    let hub = vec![
        entry(0, Action::EnquiryOpened, "x0", |_| {}),
        entry(1, Action::RateAsked, "x1", |_| {}),
        entry(2, Action::RateAnswered, RATING, rated),
        entry(3, Action::ReleaseAsked, "x4", of_detail),
        entry(4, Action::ReleaseDecided, "x4", releases),
        entry(5, Action::DetailRelayed, "x5", of_detail),
    ];
    let holder = vec![
        entry(2, Action::RateAnswered, "x1", |entry| entry.person = Some(PERSON.parse().unwrap())),
        entry(3, Action::RatingGiven, RATING, |entry| entry.person = Some(PERSON.parse().unwrap())),
        entry(4, Action::ReleaseDecided, "x4", releases),
        entry(5, Action::DetailSealed, "x4", of_detail),
    ];
    let recipient = vec![
        entry(6, Action::DetailReceived, "x5", |entry| {
            entry.release = Some(RELEASE.parse().unwrap())
        }),
        entry(7, Action::DetailOpened, "x6", |entry| {
            entry.release = Some(RELEASE.parse().unwrap())
        }),
    ];
    let cell = pb::MatrixCell {
        agency: HOLDER.to_owned(),
        person: PERSON.to_owned(),
        status: AnswerStatus::Rated.into(),
        colour: 4,
        ..pb::MatrixCell::default()
    };
    let view = pb::ReleaseView {
        release: RELEASE.to_owned(),
        recipient: RECIPIENT.to_owned(),
        decision: pb::Decision::Release.into(),
        relayed: true,
        ..pb::ReleaseView::default()
    };
    let shown = pb::ShowResponse {
        people: vec![pb::MatrixPerson::default(), pb::MatrixPerson::default()],
        cells: vec![cell],
        releases: vec![view],
        ..pb::ShowResponse::default()
    };
    let item = pb::InboxItem { release: RELEASE.to_owned(), ..pb::InboxItem::default() };
    let found = Evidence {
        logs: [(HUB, hub), (HOLDER, holder), (RECIPIENT, recipient)]
            .map(|(n, l)| (n.to_owned(), l))
            .into(),
        shown: [(ENQUIRY.to_owned(), shown)].into(),
        inboxes: [(RECIPIENT.to_owned(), vec![item])].into(),
        ..Evidence::default()
    };
    let enquiry = || ENQUIRY.to_owned();
    let acknowledged = [
        Acknowledged::Opened { enquiry: enquiry() },
        Acknowledged::Rated {
            enquiry: enquiry(),
            agency: HOLDER.to_owned(),
            person: PERSON.to_owned(),
            colour: 4,
            statement: RATING.to_owned(),
        },
        Acknowledged::Decided {
            enquiry: enquiry(),
            release: RELEASE.to_owned(),
            holder: HOLDER.to_owned(),
            recipient: RECIPIENT.to_owned(),
            person: PERSON.to_owned(),
            category: "C33".to_owned(),
            decision: "release".to_owned(),
            reason: String::new(),
        },
        Acknowledged::Read {
            enquiry: enquiry(),
            release: RELEASE.to_owned(),
            recipient: RECIPIENT.to_owned(),
        },
    ];
    (acknowledged.into_iter().map(|what| Line { round: 1, what }).collect(), found)
}

/// All violations after a change of what was found.
fn after(change: impl FnOnce(&mut Evidence)) -> (Vec<Promise>, Seen) {
    let (lines, mut found) = in_good_order();
    change(&mut found);
    let mut seen = Seen::default();
    let mut violations = logs(&found);
    violations.extend(lost(&lines, &found, &mut seen));
    violations.extend(released(&found, &mut seen));
    violations.extend(twice(&found, &mut seen));
    violations.extend(stale(&found, &mut seen));
    (violations.into_iter().map(|one| one.promise).collect(), seen)
}

fn log<'a>(found: &'a mut Evidence, name: &str) -> &'a mut Vec<Entry> {
    found.logs.get_mut(name).unwrap()
}

fn shown(found: &mut Evidence) -> &mut pb::ShowResponse {
    found.shown.get_mut(ENQUIRY).unwrap()
}

#[test]
fn what_is_in_good_order_violates_nothing_and_is_counted() {
    let (violated, seen) = after(|_| {});
    assert!(violated.is_empty(), "{violated:?}");
    assert_eq!((seen.found_again, seen.releases, seen.recorded_again), (4, 1, 0));
    assert_eq!(seen.lives, 3);
}

#[test]
fn a_log_that_does_not_verify_or_agree_is_found() {
    let (violated, _) = after(|found| found.faults_of_logs.push("entry 7".to_owned()));
    assert_eq!(violated, [Promise::LogsAgree]);
}

#[test]
fn whatever_is_lost_of_what_was_acknowledged_is_found() {
    let lost = |change: fn(&mut Evidence)| after(change).0.contains(&Promise::NothingLost);
    assert!(lost(|found| found.shown.clear()));
    assert!(lost(|found| log(found, HUB).retain(|entry| entry.action != Action::EnquiryOpened)));
    assert!(lost(|found| log(found, HOLDER).retain(|entry| entry.action != Action::RatingGiven)));
    assert!(lost(|found| log(found, HUB).retain(|entry| entry.action != Action::RateAnswered)));
    assert!(lost(|found| shown(found).cells.clear()));
    assert!(lost(|found| shown(found).cells[0].colour = 2));
    assert!(
        lost(|found| log(found, HOLDER).retain(|entry| entry.action != Action::ReleaseDecided))
    );
    assert!(lost(|found| shown(found).releases[0].decision = pb::Decision::Deny.into()));
    assert!(lost(|found| shown(found).releases[0].relayed = false));
    assert!(lost(|found| found.inboxes.clear()));
    assert!(lost(
        |found| log(found, RECIPIENT).retain(|entry| entry.action != Action::DetailOpened)
    ));
}

#[test]
fn detail_that_is_not_on_record_at_every_side_is_found() {
    for (name, action) in [
        (HOLDER, Action::DetailSealed),
        (HOLDER, Action::ReleaseDecided),
        (HUB, Action::DetailRelayed),
        (RECIPIENT, Action::DetailReceived),
    ] {
        let (violated, _) = after(|found| log(found, name).retain(|entry| entry.action != action));
        assert!(violated.contains(&Promise::ReleasedOnRecord), "{name} {action}");
    }
}

#[test]
fn whatever_was_answered_or_delivered_twice_is_found() {
    let again = |name: &str, action: Action| {
        after(|found| {
            let log = log(found, name);
            let mut second = log.iter().find(|entry| entry.action == action).unwrap().clone();
            second.seq += 100;
            log.push(second);
        })
    };
    for (name, action) in [
        (HOLDER, Action::RateAnswered),
        (HOLDER, Action::RatingGiven),
        (HOLDER, Action::ReleaseDecided),
        (HOLDER, Action::DetailSealed),
        (HUB, Action::RateAsked),
    ] {
        assert!(again(name, action).0.contains(&Promise::AnsweredOnce), "{name} {action}");
    }
    // The same delivery, recorded again before it was kept, and there once.
    assert_eq!(again(HUB, Action::RateAnswered).1.recorded_again, 1);
    assert_eq!(again(RECIPIENT, Action::DetailReceived).1.recorded_again, 1);
    let twice = |change: fn(&mut Evidence)| after(change).0.contains(&Promise::AnsweredOnce);
    assert!(twice(|found| {
        let mut other = log(found, HUB)[2].clone();
        other.evidence = vec![Digest::of(b"another rating")];
        log(found, HUB).push(other);
    }));
    assert!(twice(|found| {
        let mut other = log(found, HUB)[2].clone();
        other.exchange = Some("x9".parse().unwrap());
        other.evidence = vec![Digest::of(b"another rating")];
        log(found, HUB).push(other);
    }));
    assert!(twice(|found| shown(found).rating_changes.push(pb::RatingChange::default())));
    assert!(twice(|found| {
        let cell = shown(found).cells[0].clone();
        shown(found).cells.push(cell);
    }));
    assert!(twice(|found| {
        let items = found.inboxes.get_mut(RECIPIENT).unwrap();
        items.push(items[0].clone());
    }));
}

#[test]
fn a_request_that_is_carried_out_outside_of_its_life_is_found_unless_a_clock_was_turned_then() {
    let later = |minutes: i64, turned: Vec<Turned>| {
        after(|found| {
            log(found, HOLDER)[0].ts += SignedDuration::from_mins(minutes);
            found.turned.insert(HOLDER.to_owned(), turned);
        })
    };
    assert!(later(5, Vec::new()).0.is_empty());
    assert_eq!(later(7, Vec::new()).0, [Promise::NothingStale]);
    assert_eq!(later(-18, Vec::new()).0, [Promise::NothingStale]);
    // The clock was turned ahead while it was answered.
    let (violated, seen) = later(7, vec![(noon(), 7 * 60)]);
    assert!(violated.is_empty(), "{violated:?}");
    assert_eq!(seen.lives_unclear, 1);
    // It was turned an hour before: both are clear.
    let long_ago = noon() - SignedDuration::from_hours(1);
    assert_eq!(later(7, vec![(long_ago, 7 * 60)]).0, [Promise::NothingStale]);
}

#[test]
fn memory_beyond_its_bound_is_found_and_so_is_memory_that_nobody_looked_at() {
    let peaks = |peak| [("hub".to_owned(), peak)].into();
    assert!(memory(&peaks(100), 100).is_empty());
    assert_eq!(memory(&peaks(101), 100).len(), 1);
    assert_eq!(memory(&peaks(0), 100).len(), 1);
}
