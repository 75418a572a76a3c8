//! The way of a query through keys, weighing and confirmation, with plain keys in the place of tokens, and counts of
//! what comes out right and wrong.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use brag_common::matching::{
    compare::{
        Confirmation,
        levels::{Comparable, Comparison},
    },
    identity::Identity,
    keys::{KeyKind, enrolment_keys, query_slots},
    screen::CANDIDATES,
    weigh::{Kinds, Thresholds, Verdict, posterior_with},
    weights::Weights,
};
use rand_core::OsRng;

use super::people::People;

/// With what it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) weights: &'a Weights,
    pub(super) thresholds: Thresholds,
    pub(super) n_people: u64,
}

/// Pairs found by one stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) right: u64,
    pub(super) wrong: u64,
}

impl Found {
    fn add(&mut self, is_right: bool) {
        if is_right {
            self.right += 1;
        } else {
            self.wrong += 1;
        }
    }
}

/// Counts of one group, or of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Queries about people who are enrolled, and about people who are not.
    pub(super) known: u64,
    pub(super) unknown: u64,
    /// True pairs.
    pub(super) pairs: u64,
    /// Pairs that share a key, and those within the four candidates of an answer.
    pub(super) keys: Found,
    pub(super) candidates: Found,
    /// Best candidates above the upper threshold: the identity is disclosed.
    pub(super) disclosed: Found,
    /// Identities disclosed though the person asked about is not enrolled.
    pub(super) disclosed_for_unknown: u64,
    /// Queries between the thresholds, about people enrolled and not, and how many true pairs are among them.
    pub(super) review_known: u64,
    pub(super) review_unknown: u64,
    pub(super) review_right: u64,
    /// Confirmed as the same: of all candidates by key, of those disclosed, of those disclosed or authorised.
    pub(super) confirmed: Found,
    pub(super) confirmed_disclosed: Found,
    pub(super) confirmed_authorised: Found,
    /// Left to the node's person, of all candidates by key.
    pub(super) unclear: Found,
}

/// What one kind of key finds alone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OfKind {
    pub(super) found: Found,
}

/// An identity that went to the wrong record: places in the two files, and what it rested on.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    pub(super) asked: usize,
    pub(super) candidate: u32,
    /// Whether the person asked about is enrolled at all.
    pub(super) is_known: bool,
    pub(super) posterior: f64,
    pub(super) asked_kinds: Kinds,
    pub(super) hits: Kinds,
    pub(super) confirmed: Confirmation,
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) wrong: Vec<Wrong>,
    pub(super) n_left: usize,
    pub(super) n_right: usize,
    pub(super) n_people: u64,
    pub(super) all: Counts,
    pub(super) groups: BTreeMap<String, Counts>,
    pub(super) kinds: Vec<(KeyKind, OfKind)>,
    pub(super) n_keys: usize,
    pub(super) index_time: Duration,
    pub(super) screen_time: Duration,
    pub(super) confirm_time: Duration,
}

/// Hashes of the keys of all who are enrolled, in order, with their places.
struct Index(Vec<(u64, u32)>);

impl Index {
    fn of(people: &People) -> Self {
        let mut entries = Vec::new();
        for ((_, person), place) in people.iter().zip(0..) {
            entries.extend(enrolment_keys(person).iter().map(|key| (hash(key.as_bytes()), place)));
        }
        entries.sort_unstable();
        Self(entries)
    }

    fn lookup(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        let wanted = hash(key);
        let start = self.0.partition_point(|(hash, _)| *hash < wanted);
        let rest = self.0.get(start..).unwrap_or_default().iter();
        rest.take_while(move |(hash, _)| *hash == wanted).map(|(_, place)| *place)
    }
}

/// 64 bits: among 16 million keys, one query in 100 million meets a wrong one by chance.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// One answer, weighed: candidates with most hits first, as the node sends them.
struct Answered {
    asked: Kinds,
    /// All that share a key, with the keys.
    hits: Vec<(u32, Kinds)>,
    /// Posterior of the first four, the likeliest first.
    weighed: Vec<(u32, f64)>,
}

/// Measures all stages.
pub(super) fn evaluate(
    left: &People,
    right: &People,
    truth: &[Vec<u32>],
    groups: &[String],
    setting: &Setting<'_>,
) -> Measured {
    let start = Instant::now();
    let index = Index::of(right);
    let mut measured = Measured {
        n_left: left.len(),
        n_right: right.len(),
        n_people: setting.n_people,
        n_keys: index.0.len(),
        index_time: start.elapsed(),
        ..Measured::default()
    };
    let start = Instant::now();
    let mut cache = HashMap::new();
    let answers: Vec<Answered> =
        left.iter().map(|(_, asked)| answer(asked, &index, setting, &mut cache)).collect();
    measured.screen_time = start.elapsed();

    let start = Instant::now();
    let mut confirmations = Vec::with_capacity(answers.len());
    for ((_, asked), answer) in left.iter().zip(&answers) {
        let asked = Comparable::of(asked);
        let confirm = |(place, _): &(u32, f64)| {
            let own = usize::try_from(*place).ok().and_then(|place| right.get(place));
            own.map_or(Confirmation::Different, |(_, own)| {
                let comparison = Comparison::between(&asked, &Comparable::of(own));
                setting.weights.confirm.decide(&comparison)
            })
        };
        confirmations.push(answer.weighed.iter().map(confirm).collect::<Vec<_>>());
    }
    measured.confirm_time = start.elapsed();

    let mut kinds = vec![OfKind::default(); KeyKind::ALL.len()];
    for ((((asked, answer), confirmed), same), group) in
        answers.iter().enumerate().zip(&confirmations).zip(truth).zip(groups)
    {
        measured.wrong.extend(wrong(asked, answer, confirmed, same, setting));
        for (candidate, hits) in &answer.hits {
            for (kind, of_kind) in KeyKind::ALL.iter().zip(&mut kinds) {
                if hits.contains(*kind) {
                    of_kind.found.add(same.contains(candidate));
                }
            }
        }
        count(&mut measured.all, answer, confirmed, same, setting);
        if !group.is_empty() {
            let counts = measured.groups.entry(group.clone()).or_default();
            count(counts, answer, confirmed, same, setting);
        }
    }
    measured.kinds = KeyKind::ALL.into_iter().zip(kinds).collect();
    measured
}

/// The best candidate, when it is disclosed and is somebody else.
fn wrong(
    asked: usize,
    answer: &Answered,
    confirmed: &[Confirmation],
    same: &[u32],
    setting: &Setting<'_>,
) -> Option<Wrong> {
    let (candidate, posterior) = *answer.weighed.first()?;
    let is_wrong =
        setting.thresholds.verdict(posterior) == Verdict::Known && !same.contains(&candidate);
    let (_, hits) =
        answer.hits.iter().find(|(place, _)| *place == candidate).filter(|_| is_wrong)?;
    Some(Wrong {
        asked,
        candidate,
        is_known: !same.is_empty(),
        posterior,
        asked_kinds: answer.asked,
        hits: *hits,
        confirmed: *confirmed.first()?,
    })
}

fn answer(
    asked: &Identity,
    index: &Index,
    setting: &Setting<'_>,
    cache: &mut HashMap<(u32, u32), f64>,
) -> Answered {
    let slots = query_slots(asked, &mut OsRng);
    let mut kinds = Kinds::default();
    let mut hits: BTreeMap<u32, (Kinds, usize)> = BTreeMap::new();
    for key in slots.iter().flatten() {
        kinds = kinds.with(key.kind());
        for place in index.lookup(key.as_bytes()) {
            let (found, n_hits) = hits.entry(place).or_default();
            *found = found.with(key.kind());
            *n_hits += 1;
        }
    }
    let mut ranked: Vec<_> = hits.into_iter().collect();
    ranked.sort_by_key(|(place, (_, n_hits))| (std::cmp::Reverse(*n_hits), *place));
    let mut weighed: Vec<(u32, f64)> = ranked
        .iter()
        .take(CANDIDATES)
        .map(|(place, (hits, _))| {
            let posterior = cache.entry((kinds.bits(), hits.bits())).or_insert_with(|| {
                posterior_with(&setting.weights.screen, kinds, *hits, setting.n_people)
            });
            (*place, *posterior)
        })
        .collect();
    weighed.sort_by(|one, other| other.1.total_cmp(&one.1));
    let hits = ranked.into_iter().map(|(place, (hits, _))| (place, hits)).collect();
    Answered { asked: kinds, hits, weighed }
}

fn count(
    counts: &mut Counts,
    answer: &Answered,
    confirmed: &[Confirmation],
    same: &[u32],
    setting: &Setting<'_>,
) {
    let is_known = !same.is_empty();
    counts.known += u64::from(is_known);
    counts.unknown += u64::from(!is_known);
    counts.pairs += same.len() as u64;
    for (candidate, _) in &answer.hits {
        counts.keys.add(same.contains(candidate));
    }
    let verdict = |posterior| setting.thresholds.verdict(posterior);
    let best = answer.weighed.first().map_or(Verdict::Unknown, |(_, best)| verdict(*best));
    match (best, answer.weighed.first()) {
        (Verdict::Known, Some((candidate, _))) => {
            counts.disclosed.add(same.contains(candidate));
            counts.disclosed_for_unknown += u64::from(!is_known);
        }
        (Verdict::Possible, _) => {
            counts.review_known += u64::from(is_known);
            counts.review_unknown += u64::from(!is_known);
        }
        _ => {}
    }
    for (place, ((candidate, posterior), confirmed)) in
        answer.weighed.iter().zip(confirmed).enumerate()
    {
        let is_right = same.contains(candidate);
        counts.candidates.add(is_right);
        let in_review = best == Verdict::Possible && verdict(*posterior) == Verdict::Possible;
        counts.review_right += u64::from(in_review && is_right);
        let disclosed = best == Verdict::Known && place == 0;
        match confirmed {
            Confirmation::Same => {
                counts.confirmed.add(is_right);
                if disclosed {
                    counts.confirmed_disclosed.add(is_right);
                }
                if disclosed || in_review {
                    counts.confirmed_authorised.add(is_right);
                }
            }
            Confirmation::Unclear => counts.unclear.add(is_right),
            Confirmation::Different => {}
        }
    }
}
