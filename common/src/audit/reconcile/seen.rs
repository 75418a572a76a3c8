//! Entries as they are kept for the comparison: small, and of one size. Of a field only a keyed hash of 32 bits is kept, which
//! nobody who writes a log can foresee; an altered field goes unseen once in four thousand million.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::RandomState},
    hash::{BuildHasher as _, Hash},
    path::PathBuf,
};

use serde::Serialize;

use super::rules::{FURTHER, Field, Kind, Part, ROWS, Side, When};
use crate::{
    audit::{
        chain::Origin,
        entry::{Action, Actor, Entry, Party},
        verify::Fault,
    },
    id::RequestId,
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

/// How long a call may take: requests are dead after ten minutes, by clocks that are up to five apart.
const CALL_AT_MOST: SignedDuration = SignedDuration::from_mins(15);

/// A log that takes part.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) dir: PathBuf,
    pub(super) origin: Origin,
    pub(super) n_entries: u64,
    /// Entries of no exchange: acts that involve no other party.
    pub(super) n_local: u64,
    pub(super) first_ts: Option<Timestamp>,
    pub(super) last_ts: Option<Timestamp>,
    /// Where it is not in order; what stands behind it takes no part.
    pub(super) fault: Option<Fault>,
    /// What it lost when it was put back from a backup.
    pub(super) gaps: Vec<Gap>,
}

/// What a log lost when it was put back from a backup, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When the last entry was written that the backup held; absent when it held none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// When the log went on.
    pub until: Timestamp,
    /// How many entries of the shard before the backup held.
    pub kept: u64,
    /// How many entries behind those each party has seen, as it has said since.
    pub seen: BTreeMap<Party, u64>,
}

impl Gap {
    /// Whether an exchange that began then may be in it.
    pub(super) fn holds(&self, began: Timestamp) -> bool {
        let is_before = |after: Timestamp| after.duration_since(began) > CALL_AT_MOST;
        began <= self.until && !self.after.is_some_and(is_before)
    }
}

impl Log {
    pub(super) fn side(&self) -> Side {
        match self.origin.party() {
            Party::Hub => Side::Hub,
            Party::Agency(_) => Side::Node,
        }
    }
}

/// What the word of a decision says, where a rule depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing, or something that no rule depends on.
    Other,
    /// The agency could not answer.
    Unable,
    /// The hub has taken a delivery.
    Taken,
    /// The hub has refused a delivery for good.
    Refused,
}

/// An entry of an exchange.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The log, by its place among those given.
    pub(super) log: u16,
    pub(super) side: Side,
    pub(super) seq: u64,
    pub(super) ts: Timestamp,
    pub(super) action: Action,
    /// The other party, by its place among the parties; `None` when the entry names none.
    pub(super) peer: Option<u16>,
    pub(super) said: Said,
    /// It tells that somebody's log could take no entry.
    pub(super) log_failed: bool,
    pub(super) of_another_version: bool,
    by_staff: bool,
    on_a_basis: bool,
    /// The program was killed before it could say what became of the call.
    pub(super) cut_off: bool,
    prints: [u32; Field::ALL.len()],
}

impl Seen {
    /// The print of a field; 0 when it is absent.
    pub(super) fn print(&self, field: Field) -> u32 {
        self.prints.get(field as usize).copied().unwrap_or_default()
    }

    fn is(&self, when: When) -> bool {
        let to_somebody = self.print(Field::Recipients) != 0;
        match when {
            When::Always => true,
            When::ByStaff => self.by_staff,
            When::ByProgram => !self.by_staff,
            When::ToSomebody => to_somebody,
            When::ToNobody => !to_somebody,
            When::OnABasis => self.on_a_basis,
            When::OnNoBasis => !self.on_a_basis,
        }
    }

    fn rows(&self) -> impl Iterator<Item = (usize, Kind, Part)> + '_ {
        let all = ROWS.iter().chain(FURTHER);
        let mine = all.enumerate().filter(|(_, row)| {
            row.side == self.side && row.action == self.action && self.is(row.when)
        });
        mine.map(|(place, row)| (place, row.kind, row.part))
    }

    /// What it is in an exchange of this kind.
    pub(super) fn part(&self, kind: Kind) -> Option<Part> {
        self.rows().find(|(_, of, _)| *of == kind).map(|(_, _, part)| part)
    }

    /// It says that a call came to nothing, or could not be answered: not an answer.
    pub(super) fn is_void(&self) -> bool {
        self.action == Action::NoResponse || self.said == Said::Unable
    }
}

/// The kind of an exchange: that of the surest row among its entries.
pub(super) fn kind_of(seen: &[&Seen]) -> Kind {
    let nobody_asked = seen.iter().all(|one| one.side == Side::Hub && one.is_void());
    let rows = seen.iter().flat_map(|one| one.rows());
    let telling = rows.filter(|(place, _, _)| *place < ROWS.len());
    match telling.min_by_key(|(place, _, _)| *place) {
        Some((_, Kind::Release, _)) if nobody_asked => Kind::Release,
        _ if nobody_asked => Kind::Unasked,
        Some((_, kind, _)) => kind,
        None => Kind::Unknown,
    }
}

/// Makes entries small.
#[derive(Debug, Default)]
pub(super) struct Shrink {
    keys: RandomState,
    parties: HashMap<Party, u16>,
}

impl Shrink {
    /// The number of a party, the same for every entry.
    pub(super) fn party(&mut self, party: &Party) -> u16 {
        if let Some(known) = self.parties.get(party) {
            return *known;
        }
        // A partnership has dozens of parties; that a log names more than 65,535 of them makes the rest one.
        let next = u16::try_from(self.parties.len()).unwrap_or(u16::MAX);
        self.parties.insert(party.clone(), next);
        next
    }

    /// Every party by number.
    pub(super) fn parties(&self) -> HashMap<u16, Party> {
        self.parties.iter().map(|(party, number)| (*number, party.clone())).collect()
    }

    fn shrink(&mut self, entry: &Entry, log: u16, side: Side) -> Seen {
        let mut prints = [0; Field::ALL.len()];
        for field in Field::ALL {
            if let Some(place) = prints.get_mut(field as usize) {
                *place = self.print(entry, side, field);
            }
        }
        let word = entry.decision.as_ref().map(super::super::entry::Word::as_str);
        Seen {
            log,
            side,
            seq: entry.seq,
            ts: entry.ts,
            action: entry.action,
            peer: entry.peer.as_ref().map(|peer| self.party(peer)),
            said: match word {
                Some("unable") => Said::Unable,
                Some("taken") => Said::Taken,
                Some("refused") => Said::Refused,
                Some(_) | None => Said::Other,
            },
            log_failed: entry.reason == Some(Reason::LogUnavailable)
                || matches!(word, Some("AUDIT_UNAVAILABLE" | "log_unavailable")),
            of_another_version: entry.reason == Some(Reason::AgreementVersionMismatch),
            by_staff: matches!(entry.actor, Actor::Staff { .. }),
            on_a_basis: entry.purpose.is_some() || entry.art6.is_some() || entry.gateway.is_some(),
            cut_off: false,
            prints,
        }
    }

    fn print(&self, entry: &Entry, side: Side, field: Field) -> u32 {
        let of = |value: &dyn Fn(&RandomState) -> u64| {
            // 0 says that the field is absent.
            u32::try_from(value(&self.keys) >> 32).unwrap_or(u32::MAX).max(1)
        };
        fn one<T: Hash>(of: impl Fn(&dyn Fn(&RandomState) -> u64) -> u32, value: Option<T>) -> u32 {
            value.map_or(0, |value| of(&|keys| keys.hash_one(&value)))
        }
        fn list<T: Hash + Ord>(
            of: impl Fn(&dyn Fn(&RandomState) -> u64) -> u32,
            values: &[T],
        ) -> u32 {
            let mut sorted: Vec<&T> = values.iter().collect();
            sorted.sort_unstable();
            one(of, (!sorted.is_empty()).then_some(sorted))
        }
        match field {
            Field::Action => one(of, Some(entry.action)),
            Field::Enquiry => one(of, entry.enquiry.as_ref()),
            Field::Person => one(of, entry.person.as_ref()),
            Field::Commitment => one(of, entry.commitment.map(|c| *c.as_bytes())),
            Field::Release => one(of, entry.release.as_ref()),
            Field::Category => one(of, entry.category),
            Field::Gate => one(of, entry.gate.as_ref()),
            Field::Purpose => one(of, entry.purpose.as_ref()),
            Field::Art6 => one(of, entry.art6.as_ref()),
            Field::Art9 => one(of, entry.art9.as_ref()),
            Field::Art10 => one(of, entry.art10.as_ref()),
            Field::Gateway => one(of, entry.gateway.as_ref()),
            Field::AgreementStatus => one(of, entry.agreement_status.as_ref()),
            Field::Agreement => {
                let stamp = entry.agreement.as_ref();
                one(of, stamp.map(|a| (&a.id, a.version, *a.digest.as_bytes())))
            }
            Field::Evidence => list(of, &entry.evidence),
            Field::Decision => one(of, decision(entry, side)),
            Field::Reason => one(of, entry.reason),
            Field::Recipients => list(of, &entry.recipients),
            Field::Obligations => list(of, &entry.obligations),
            Field::Count => one(of, entry.count),
            Field::PayloadDigest => one(of, entry.payload_digest),
            Field::TestEnv => one(of, entry.test_env.then_some(true)),
        }
    }
}

/// What an entry says was decided, in the words of the other side: an act of a member of staff is an answer to the hub.
pub(super) fn decision(entry: &Entry, side: Side) -> Option<&str> {
    let word = entry.decision.as_ref().map(super::super::entry::Word::as_str);
    match (side, entry.action, word) {
        (Side::Node, Action::RatingGiven, None) => Some("rated"),
        (Side::Node, Action::IdentityReviewed, Some("same")) if entry.evidence.is_empty() => {
            Some("pending")
        }
        (Side::Node, Action::IdentityReviewed, Some("same")) => Some("rated"),
        (Side::Node, Action::IdentityReviewed, Some("different")) => Some("not_known"),
        (Side::Node, Action::ReviewEscalated, None) => Some("review"),
        _ => word,
    }
}

/// The value of a field, for a person to read; `None` when it is absent.
pub(super) fn value(entry: &Entry, side: Side, field: Field) -> Option<String> {
    fn text<T: ToString>(value: Option<&T>) -> Option<String> {
        value.map(ToString::to_string)
    }
    fn list<T: ToString>(values: &[T]) -> Option<String> {
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        (!words.is_empty()).then(|| words.join(","))
    }
    match field {
        Field::Action => Some(entry.action.to_string()),
        Field::Enquiry => text(entry.enquiry.as_ref()),
        Field::Person => text(entry.person.as_ref()),
        Field::Commitment => text(entry.commitment.as_ref()),
        Field::Release => text(entry.release.as_ref()),
        Field::Category => text(entry.category.as_ref()),
        Field::Gate => text(entry.gate.as_ref()),
        Field::Purpose => text(entry.purpose.as_ref()),
        Field::Art6 => text(entry.art6.as_ref()),
        Field::Art9 => text(entry.art9.as_ref()),
        Field::Art10 => text(entry.art10.as_ref()),
        Field::Gateway => text(entry.gateway.as_ref()),
        Field::AgreementStatus => text(entry.agreement_status.as_ref()),
        Field::Agreement => {
            let stamp = entry.agreement.as_ref();
            stamp.map(|stamp| format!("{}/{}/{}", stamp.id, stamp.version, stamp.digest))
        }
        Field::Evidence => list(&entry.evidence),
        Field::Decision => decision(entry, side).map(ToOwned::to_owned),
        Field::Reason => entry.reason.map(|reason| reason.code().to_owned()),
        Field::Recipients => list(&entry.recipients),
        Field::Obligations => list(&entry.obligations),
        Field::Count => text(entry.count.as_ref()),
        Field::PayloadDigest => text(entry.payload_digest.as_ref()),
        Field::TestEnv => entry.test_env.then(|| "true".to_owned()),
    }
}

/// Exchanges by their id.
pub(super) type Exchanges = HashMap<RequestId, Vec<Seen>>;

/// Reads one log, entry by entry.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) log: &'a mut Log,
    place: u16,
    side: Side,
    /// Calls that are perhaps under way: exchange, place among its entries, and when it was made.
    recent: VecDeque<(RequestId, usize, Timestamp)>,
    /// The program serves, or enrols, as far as the log tells.
    running: bool,
    last: Option<Timestamp>,
    /// When the last entry before the present break of the log was written.
    before_break: Option<Timestamp>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(log: &'a mut Log, place: u16) -> Self {
        let side = log.side();
        Self {
            log,
            place,
            side,
            recent: VecDeque::new(),
            running: false,
            last: None,
            before_break: None,
        }
    }

    pub(super) fn take(&mut self, entry: &Entry, shrink: &mut Shrink, exchanges: &mut Exchanges) {
        self.log.n_entries += 1;
        self.log.first_ts = self.log.first_ts.or(Some(entry.ts));
        self.log.last_ts = Some(entry.ts);
        self.breaks(entry);
        self.runs(entry, exchanges);
        self.last = Some(entry.ts);
        let Some(exchange) = &entry.exchange else {
            self.log.n_local += 1;
            return;
        };
        let seen = shrink.shrink(entry, self.place, self.side);
        let entries = exchanges.entry(exchange.clone()).or_default();
        let is_call = seen.rows().any(|(_, kind, part)| {
            // Deliveries are made again until there is a receipt; they are never open.
            let called = matches!(kind, Kind::Enrolment) || self.side == Side::Hub;
            part == Part::Opens && called
        });
        if is_call {
            while self.recent.front().is_some_and(|(_, _, at)| is_over(*at, entry.ts)) {
                self.recent.pop_front();
            }
            self.recent.push_back((exchange.clone(), entries.len(), entry.ts));
        }
        entries.push(seen);
    }

    /// Follows what the log tells of having been put back.
    fn breaks(&mut self, entry: &Entry) {
        match entry.action {
            Action::ShardBegun => self.before_break = self.last,
            Action::LogRestored => self.log.gaps.push(Gap {
                after: self.before_break,
                until: entry.ts,
                kept: entry.count.unwrap_or(0),
                seen: BTreeMap::new(),
            }),
            Action::RestoreGap => {
                if let (Some(gap), Some(peer)) = (self.log.gaps.last_mut(), &entry.peer) {
                    gap.seen.insert(peer.clone(), entry.count.unwrap_or(0));
                }
            }
            _ => {}
        }
    }

    /// Follows what the log tells of the program's own life. A hub that starts without having stopped was killed; so was an
    /// enrolment when another begins, or the node starts, before it was complete.
    fn runs(&mut self, entry: &Entry, exchanges: &mut Exchanges) {
        let (starts, ends) = match self.side {
            Side::Hub => (Action::ServiceStarted, Action::ServiceStopped),
            Side::Node => (Action::EnrolmentStarted, Action::EnrolmentCompleted),
        };
        if entry.action == starts || entry.action == Action::ServiceStarted {
            if self.running {
                self.cut_off(exchanges);
            }
            self.recent.clear();
            self.running = entry.action == starts;
        } else if entry.action == ends {
            self.running = false;
        } else if entry.action == Action::EnrolmentEvaluated && self.side == Side::Node {
            // Completed, and then again, in a newer epoch.
            self.running = true;
        }
    }

    fn cut_off(&self, exchanges: &mut Exchanges) {
        let Some(last) = self.last else { return };
        for (exchange, place, at) in &self.recent {
            if let Some(seen) = exchanges.get_mut(exchange).and_then(|all| all.get_mut(*place)) {
                seen.cut_off = !is_over(*at, last);
            }
        }
    }
}

/// Whether a call that was made `at` has ended for certain by `now`.
fn is_over(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) > CALL_AT_MOST
}
