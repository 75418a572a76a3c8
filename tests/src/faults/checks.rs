//! The promises, and whether they were kept. Each check looks at what was found and gives every violation; none of them changes anything.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    replay::{MAX_SKEW, MAX_VALIDITY},
    time::{SignedDuration, Timestamp},
    wire::pb::{self, AnswerStatus},
};
use serde::Serialize;

use super::{
    evidence::{Evidence, Turned},
    ledger::{Acknowledged, Line},
    stage::{CALL_WITHIN_SECONDS, HUB},
    work::decision_word,
};

/// Which promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Programs come back, and work, once everything around them does.
    ComesBack,
    /// Every log verifies, and both sides of every exchange agree.
    LogsAgree,
    /// Nothing that was acknowledged is lost.
    NothingLost,
    /// Nothing is released without an entry on both sides.
    ReleasedOnRecord,
    /// Nothing is answered or delivered twice.
    AnsweredOnce,
    /// No stale request is carried out.
    NothingStale,
    /// Nothing personal is where it may not be.
    NothingLeaks,
    /// Memory is bounded.
    MemoryBounded,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// What was found.
    pub what: String,
}

impl Violation {
    /// A violation.
    #[must_use]
    pub const fn new(promise: Promise, what: String) -> Self {
        Self { promise, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

/// What a check counts beside violations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Acknowledged things that were found again.
    pub found_again: u64,
    /// Releases with entries on both sides.
    pub releases: u64,
    /// Entries that were written a second time in one exchange, since a fault came between the entry and what follows it. The effect is
    /// there once.
    pub recorded_again: u64,
    /// Requests that were taken, and whose life was looked at.
    pub lives: u64,
    /// Requests whose life says nothing, since one of the two clocks was turned meanwhile.
    pub lives_unclear: u64,
}

/// How long may lie between a request's arrival and the entry that it was taken, on a busy machine whose disk fails.
const HANDLED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// 1: the logs.
#[must_use]
pub fn logs(found: &Evidence) -> Vec<Violation> {
    let faults = found.faults_of_logs.iter();
    faults.map(|fault| Violation::new(Promise::LogsAgree, fault.clone())).collect()
}

/// An entry's field as text; empty when it is absent.
fn text<T: ToString>(field: Option<&T>) -> String {
    field.map(ToString::to_string).unwrap_or_default()
}

fn names(entry: &Entry, release: &str, recipient: &str) -> bool {
    text(entry.release.as_ref()) == release
        && (recipient.is_empty() || entry.recipients.iter().any(|to| to.to_string() == recipient))
}

fn has(log: &[Entry], action: Action, is: impl Fn(&Entry) -> bool) -> bool {
    log.iter().any(|entry| entry.action == action && is(entry))
}

/// 2: everything that was acknowledged is in the stores, as they show it, and in the logs.
#[must_use]
pub fn lost(lines: &[Line], found: &Evidence, seen: &mut Seen) -> Vec<Violation> {
    let mut lost = Vec::new();
    for line in lines {
        match missing(&line.what, found) {
            Some(what) => {
                let what = format!("{what}: {:?} of round {}", line.what, line.round);
                lost.push(Violation::new(Promise::NothingLost, what));
            }
            None => seen.found_again += 1,
        }
    }
    lost
}

/// What of something acknowledged is not there.
fn missing(what: &Acknowledged, found: &Evidence) -> Option<&'static str> {
    let hub = found.log(HUB);
    let shown = found.shown.get(what.enquiry());
    let in_enquiry = |entry: &Entry| text(entry.enquiry.as_ref()) == what.enquiry();
    match what {
        Acknowledged::Opened { .. } => {
            if !has(hub, Action::EnquiryOpened, in_enquiry) {
                Some("an opened enquiry is not in the hub's log")
            } else if shown.is_none_or(|shown| shown.people.len() != 2) {
                Some("an opened enquiry is not in the hub's store")
            } else {
                None
            }
        }
        Acknowledged::Rated { agency, person, colour, statement, .. } => {
            let same =
                |entry: &Entry| text(entry.exchange.as_ref()) == *statement && in_enquiry(entry);
            let cell = shown.and_then(|shown| {
                shown.cells.iter().find(|cell| cell.agency == *agency && cell.person == *person)
            });
            let stands = |cell: &pb::MatrixCell| {
                let status = match cell.status() {
                    AnswerStatus::Late => cell.late_status(),
                    status => status,
                };
                status == AnswerStatus::Rated && cell.colour == *colour
            };
            if !has(found.log(agency), Action::RatingGiven, same) {
                Some("a rating is not in the node's log")
            } else if !has(hub, Action::RateAnswered, same) && !has(hub, Action::Delivered, same) {
                Some("a rating is not in the hub's log")
            } else if !cell.is_some_and(stands) {
                Some("a rating does not stand at the hub")
            } else {
                None
            }
        }
        Acknowledged::Decided { release, holder, recipient, decision, reason, .. } => {
            let action = match decision.as_str() {
                "no_response" => Action::NoResponse,
                _ => Action::ReleaseDecided,
            };
            let same = |entry: &Entry| names(entry, release, recipient);
            let same_word =
                |entry: &Entry| same(entry) && text(entry.decision.as_ref()) == *decision;
            let is_at_holder = has(found.log(holder), Action::ReleaseDecided, same_word)
                // Nothing can be written where the log is not there, and nothing comes from a node that is away.
                || decision == "no_response"
                || reason == "LOG_UNAVAILABLE";
            let view = shown.and_then(|shown| {
                let mut all = shown.releases.iter();
                all.find(|view| view.release == *release && view.recipient == *recipient)
            });
            let is_kept = |view: &pb::ReleaseView| match decision.as_str() {
                // What came of it may have come later.
                "no_response" => true,
                _ if reason == "LOG_UNAVAILABLE" => true,
                word => decision_word(view) == word,
            };
            let inbox = found.inboxes.get(recipient).into_iter().flatten();
            let arrived = inbox.filter(|item| item.release == *release).count() == 1;
            if !has(hub, action, same) {
                Some("a decision is not in the hub's log")
            } else if !is_at_holder {
                Some("a decision is not in the holder's log")
            } else if !view.is_some_and(is_kept) {
                Some("a decision is not in the hub's store")
            } else if decision == "release" && !view.is_some_and(|view| view.relayed) {
                Some("released detail was not passed on")
            } else if decision == "release" && !arrived {
                Some("released detail is not in the recipient's inbox")
            } else {
                None
            }
        }
        Acknowledged::Read { release, recipient, .. } => {
            let same = |entry: &Entry| names(entry, release, "");
            let is_there = has(found.log(recipient), Action::DetailOpened, same);
            (!is_there).then_some("that detail was read is not in the recipient's log")
        }
    }
}

/// 3: whatever arrived, is shown as passed on, or was sealed, was decided and sealed by the holder before, and passed on by the hub, each
/// on record.
#[must_use]
pub fn released(found: &Evidence, seen: &mut Seen) -> Vec<Violation> {
    // Release and recipient, and where it was seen.
    let mut out: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    for (agency, items) in &found.inboxes {
        for item in items {
            let place = (item.release.clone(), agency.clone());
            out.entry(place).or_default().insert("in an inbox");
        }
    }
    for view in found.shown.values().flat_map(|shown| &shown.releases).filter(|view| view.relayed) {
        let place = (view.release.clone(), view.recipient.clone());
        out.entry(place).or_default().insert("shown as passed on");
    }
    for (agency, log) in found.nodes() {
        for entry in log.iter().filter(|entry| entry.action == Action::DetailReceived) {
            let place = (text(entry.release.as_ref()), agency.to_owned());
            out.entry(place).or_default().insert("received");
        }
    }
    for entry in found.log(HUB).iter().filter(|entry| entry.action == Action::DetailRelayed) {
        for recipient in &entry.recipients {
            let place = (text(entry.release.as_ref()), recipient.to_string());
            out.entry(place).or_default().insert("passed on by the hub");
        }
    }
    let mut violations = Vec::new();
    for ((release, recipient), at) in out {
        let at: Vec<&str> = at.into_iter().collect();
        let mut say = |what: &str| {
            let what = format!("{release} to {recipient} ({}) {what}", at.join(", "));
            violations.push(Violation::new(Promise::ReleasedOnRecord, what));
        };
        let mut good = true;
        let mut need = |is_there: bool, what: &str| {
            if !is_there {
                good = false;
                say(what);
            }
        };
        let same = |entry: &Entry| names(entry, &release, &recipient);
        let sealed = found.nodes().any(|(_, log)| has(log, Action::DetailSealed, same));
        need(sealed, "was sealed by nobody on record");
        need(has(found.log(HUB), Action::DetailRelayed, same), "is not in the hub's log");
        let arrived = at.iter().any(|at| *at != "passed on by the hub");
        let received =
            has(found.log(&recipient), Action::DetailReceived, |entry| names(entry, &release, ""));
        need(received || !arrived, "is not in the recipient's log");
        seen.releases += u64::from(good);
    }
    for (agency, log) in found.nodes() {
        for entry in log.iter().filter(|entry| entry.action == Action::DetailSealed) {
            let decided = log.iter().take_while(|before| before.seq < entry.seq).any(|before| {
                before.action == Action::ReleaseDecided
                    && before.release == entry.release
                    && before.recipients == entry.recipients
                    && text(before.decision.as_ref()) == "release"
            });
            if !decided {
                let what = format!(
                    "{agency} sealed detail in entry {} without a decision before it",
                    entry.seq
                );
                violations.push(Violation::new(Promise::ReleasedOnRecord, what));
            }
        }
    }
    violations
}

/// What an entry says, without where and when it was written.
fn content(entry: &Entry) -> Entry {
    let prev_hash = brag_common::audit::entry::Digest::ZERO;
    Entry { seq: 0, prev_hash, ts: Timestamp::UNIX_EPOCH, ..entry.clone() }
}

/// Entries of an exchange that stand once for each person and recipient. A node answers once whatever happens; what it receives, and what
/// the hub takes of a delivery, may be recorded again where a fault came before it was kept, and says the same.
fn once(log: &[Entry], is_hub: bool) -> impl Iterator<Item = &Entry> {
    let is_one = move |entry: &&Entry| match (is_hub, entry.action) {
        (
            false,
            Action::ScreenAnswered
            | Action::RateAnswered
            | Action::RatingGiven
            | Action::DetailSealed
            | Action::NewsReceived
            | Action::ReleaseDecided,
        ) => true,
        (
            true,
            Action::RateAsked | Action::ScreenAsked | Action::ReleaseAsked | Action::DetailRelayed,
        ) => true,
        (true, Action::RateAnswered | Action::ReleaseDecided) => true,
        (true | false, Action::Delivered) => text(entry.decision.as_ref()) == "taken",
        _ => false,
    };
    log.iter().filter(is_one)
}

/// Whether an entry may be written again: what follows it is not one with it.
fn may_come_again(entry: &Entry, is_hub: bool) -> bool {
    match entry.action {
        Action::Delivered => true,
        Action::RateAnswered | Action::ReleaseDecided => is_hub,
        _ => false,
    }
}

/// 4: nothing is answered twice, and nothing delivered twice.
#[must_use]
pub fn twice(found: &Evidence, seen: &mut Seen) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut say = |what: String| violations.push(Violation::new(Promise::AnsweredOnce, what));
    for (name, log) in &found.logs {
        let is_hub = name == HUB;
        let mut first: HashMap<(Action, String, String, String), &Entry> = HashMap::new();
        for entry in once(log, is_hub) {
            let Some(exchange) = &entry.exchange else { continue };
            let to: Vec<String> = entry.recipients.iter().map(ToString::to_string).collect();
            let key =
                (entry.action, exchange.to_string(), text(entry.person.as_ref()), to.join(","));
            let Some(before) = first.insert(key, entry) else { continue };
            if may_come_again(entry, is_hub) && content(before) == content(entry) {
                seen.recorded_again += 1;
            } else {
                let (a, b, action) = (before.seq, entry.seq, entry.action);
                say(format!(
                    "{name} has {action} twice in exchange {exchange}: entries {a} and {b}"
                ));
            }
        }
    }
    // Of each person one rating of an agency has come to the hub: whoever rated did so once, as far as they could see.
    let mut rated: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
    for entry in found.log(HUB).iter().filter(|entry| entry.action == Action::RateAnswered) {
        if text(entry.decision.as_ref()) == "rated" {
            let place = (
                text(entry.enquiry.as_ref()),
                text(entry.peer.as_ref()),
                text(entry.person.as_ref()),
            );
            rated.entry(place).or_default().extend(entry.evidence.iter().map(ToString::to_string));
        }
    }
    for ((enquiry, agency, person), ratings) in
        rated.iter().filter(|(_, ratings)| ratings.len() > 1)
    {
        say(format!("{agency} has {} ratings of {person} in {enquiry}", ratings.len()));
    }
    for (enquiry, shown) in &found.shown {
        if !shown.rating_changes.is_empty() {
            say(format!("a rating was changed in {enquiry}, and nobody rated twice"));
        }
        let mut cells = BTreeSet::new();
        for cell in &shown.cells {
            if !cells.insert((&cell.agency, &cell.person)) {
                say(format!("{} stands twice for {} in {enquiry}", cell.agency, cell.person));
            }
        }
    }
    let mut sealed = BTreeSet::new();
    for (agency, log) in found.nodes() {
        for entry in log.iter().filter(|entry| entry.action == Action::DetailSealed) {
            if !sealed.insert((entry.release.clone(), entry.recipients.clone())) {
                say(format!("{agency} sealed {} twice", text(entry.release.as_ref())));
            }
        }
    }
    for (agency, items) in &found.inboxes {
        let mut releases = BTreeSet::new();
        for item in items.iter().filter(|item| !releases.insert(&item.release)) {
            say(format!("{} is twice in the inbox of {agency}", item.release));
        }
    }
    // Who received the same again must have been cut off before it was kept, and has it once.
    for (agency, log) in found.nodes() {
        let received = log.iter().filter(|entry| entry.action == Action::DetailReceived);
        let mut releases = BTreeSet::new();
        for entry in received.filter(|entry| !releases.insert(text(entry.release.as_ref()))) {
            let kept = found.inboxes.get(agency).into_iter().flatten();
            let release = text(entry.release.as_ref());
            match kept.filter(|item| item.release == release).count() {
                1 => seen.recorded_again += 1,
                n => say(format!("{agency} received {release} again and has it {n} times")),
            }
        }
    }
    violations
}

/// Whether a clock was turned shortly before it showed this time, or while it did.
fn was_turned(turned: Option<&Vec<Turned>>, shows: Timestamp) -> bool {
    let mut before = 0;
    turned.into_iter().flatten().any(|(at, seconds)| {
        let near = [before, *seconds].into_iter().any(|skew| {
            let true_time = shows - SignedDuration::from_secs(skew);
            let since = true_time.duration_since(*at);
            since.abs() <= HANDLED_WITHIN
        });
        before = *seconds;
        near
    })
}

/// 5: no request is carried out outside of its life, by the clocks that both sides had.
#[must_use]
pub fn stale(found: &Evidence, seen: &mut Seen) -> Vec<Violation> {
    let asks = |entry: &&Entry| {
        use Action as A;
        matches!(
            entry.action,
            A::ScreenAsked
                | A::RateAsked
                | A::ReleaseAsked
                | A::DetailRelayed
                | A::NoticeRelayed
                | A::NewsTold
        )
    };
    let mut asked: HashMap<String, Timestamp> = HashMap::new();
    for entry in found.log(HUB).iter().filter(asks) {
        asked.entry(text(entry.exchange.as_ref())).or_insert(entry.ts);
    }
    let mut violations = Vec::new();
    for (agency, log) in found.nodes() {
        for entry in log {
            let takes = matches!(
                entry.action,
                Action::ScreenAnswered
                    | Action::RateAnswered
                    | Action::DetailReceived
                    | Action::NewsReceived
            ) || (entry.action == Action::ReleaseDecided
                && entry.actor == Actor::Program);
            let Some(at) = asked.get(&text(entry.exchange.as_ref())).filter(|_| takes) else {
                continue;
            };
            let life = SignedDuration::from_secs(CALL_WITHIN_SECONDS.into());
            let late = entry.ts.duration_since(*at);
            let in_time = late <= life + MAX_SKEW + HANDLED_WITHIN
                && late >= life - MAX_VALIDITY - MAX_SKEW - HANDLED_WITHIN;
            if in_time {
                seen.lives += 1;
            } else if was_turned(found.turned.get(agency), entry.ts)
                || was_turned(found.turned.get(HUB), *at)
            {
                seen.lives_unclear += 1;
            } else {
                let what = format!(
                    "{agency} carried out {} in entry {}, {late:#} after it was asked at {at}",
                    entry.action, entry.seq
                );
                violations.push(Violation::new(Promise::NothingStale, what));
            }
        }
    }
    violations
}

/// 7: the most memory that any process of a program has had.
#[must_use]
pub fn memory(peaks: &BTreeMap<String, u64>, bound: u64) -> Vec<Violation> {
    let over = peaks.iter().filter(|(_, peak)| **peak == 0 || **peak > bound);
    let say = |(name, peak): (&String, &u64)| {
        let what = format!("{name} had {} MiB, of {} MiB at the most", peak >> 20, bound >> 20);
        Violation::new(Promise::MemoryBounded, what)
    };
    over.map(say).collect()
}

#[cfg(test)]
mod tests;
