//! Enquiries in a line each, kept in memory: the list and the agenda of a busy day are read many times an hour, and working out an enquiry
//! verifies every signature in it. A summary counts as long as nothing of its enquiry has changed and no time of its own has come.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brag_common::{
    agreement::{Agreement, clock::united_kingdom},
    id::{AgencyId, EnquiryRef},
    rating::Colour,
    time::Timestamp,
    wire::{pb, words},
};
use jiff::{civil::Date, tz::TimeZone};

use super::{Case, Picture, settle::settle};
use crate::{
    guard::{Refusal, SignedIn},
    hub::Shared,
};

/// One enquiry in a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How many people.
    pub n_people: usize,
    /// The highest level.
    pub level: Option<Colour>,
    /// Cells that wait.
    pub n_waiting: usize,
    /// It is closed.
    pub closed: bool,
    /// When the clock that runs out first runs out.
    pub due_at: Option<Timestamp>,
    /// Flags that stand.
    pub flags: BTreeSet<String>,
    /// When something comes about by itself.
    pub next: Option<Timestamp>,
}

impl Summary {
    /// Of an enquiry at a moment, without its flags.
    #[must_use]
    pub fn of(case: &Case<'_>, picture: &Picture) -> Self {
        let closed = case.plan.closed.is_some();
        Self {
            opened_at: case.record.opened_at,
            n_people: case.record.people.len(),
            level: case.family_level(),
            n_waiting: case.matrix.values().filter(|cell| cell.waits()).count(),
            closed,
            due_at: picture.nearest().filter(|_| !closed).map(|clock| clock.due_at),
            flags: BTreeSet::new(),
            next: picture.next(case),
        }
    }

    fn line(&self, name: &EnquiryRef, now: Timestamp) -> pb::EnquiryLine {
        pb::EnquiryLine {
            enquiry: name.to_string(),
            opened_at_unix_ms: self.opened_at.as_millisecond(),
            people: u32::try_from(self.n_people).unwrap_or(u32::MAX),
            family_level: self.level.map_or(pb::Colour::Unspecified, words::colour).into(),
            waiting: u32::try_from(self.n_waiting).unwrap_or(u32::MAX),
            closed: self.closed,
            due_at_unix_ms: self.due_at.map_or(0, Timestamp::as_millisecond),
            overdue: self.due_at.is_some_and(|due| due < now),
            flags: self.flags.iter().cloned().collect(),
        }
    }
}

/// How many enquiries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Not closed.
    pub open: usize,
    /// Cells that wait in their matrices.
    pub waiting: usize,
    /// Open ones whose clock has run out.
    pub overdue: usize,
}

/// The summaries of all enquiries, each with the generation of its enquiry that it is of.
#[derive(Debug, Default)]
pub struct Summaries(Mutex<BTreeMap<EnquiryRef, (u64, Arc<Summary>)>>);

impl Summaries {
    /// Whole at every moment, so one that a panic left is good.
    fn all(&self) -> MutexGuard<'_, BTreeMap<EnquiryRef, (u64, Arc<Summary>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one. An older one never replaces a newer.
    pub fn keep(&self, enquiry: &EnquiryRef, generation: u64, summary: Summary) {
        let mut all = self.all();
        if all.get(enquiry).is_none_or(|(known, _)| *known <= generation) {
            all.insert(enquiry.clone(), (generation, Arc::new(summary)));
        }
    }

    /// An enquiry is gone.
    pub fn forget(&self, enquiry: &EnquiryRef) {
        self.all().remove(enquiry);
    }

    /// One that counts now.
    fn current(
        &self,
        enquiry: &EnquiryRef,
        generation: u64,
        now: Timestamp,
    ) -> Option<Arc<Summary>> {
        let all = self.all();
        let (of, summary) = all.get(enquiry)?;
        let counts = *of == generation && summary.next.is_none_or(|next| next > now);
        counts.then(|| Arc::clone(summary))
    }

    /// How many enquiries there are, as they were last worked out.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for (_, one) in self.all().values().filter(|(_, one)| !one.closed) {
            counts.open += 1;
            counts.waiting += one.n_waiting;
            counts.overdue += usize::from(one.due_at.is_some_and(|due| due < now));
        }
        counts
    }

    /// Enquiries whose time has come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<EnquiryRef> {
        let all = self.all();
        let due = all.iter().filter(|(_, (_, one))| one.next.is_some_and(|next| next <= now));
        due.map(|(enquiry, _)| enquiry.clone()).collect()
    }
}

/// Enquiries that the caller may see, with a summary that counts now.
async fn visible(
    shared: &Arc<Shared>,
    who: &SignedIn,
) -> Result<Vec<(EnquiryRef, Arc<Summary>)>, Refusal> {
    let (linked, name) = (shared.linked.clone(), who.name().clone());
    let free = shared.store.run(move |store| linked.leave_free(store, &name)).await?;
    let mut seen = Vec::with_capacity(free.len());
    let mut stale = Vec::new();
    for enquiry in free {
        match known(shared, &enquiry) {
            Some(summary) => seen.push((enquiry, summary)),
            None => stale.push(enquiry),
        }
    }
    // After a start that is all of them. Who settles them then comes from the front, so that from the back it is half the work.
    for enquiry in stale.into_iter().rev() {
        let summary = anew(shared, &enquiry).await?;
        seen.extend(summary.map(|summary| (enquiry, summary)));
    }
    Ok(seen)
}

/// The summary of an enquiry, if there is one that counts now.
fn known(shared: &Shared, enquiry: &EnquiryRef) -> Option<Arc<Summary>> {
    let generation = shared.store.changes().generation(enquiry);
    shared.summaries.current(enquiry, generation, shared.clock.now())
}

/// The summary of an enquiry that had none that counts; `None` when it was erased meanwhile.
pub(super) async fn anew(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
) -> Result<Option<Arc<Summary>>, Refusal> {
    let _alone = shared.life_locks.of_enquiry(enquiry).await;
    // Whoever had the lock may have settled it.
    if let Some(summary) = known(shared, enquiry) {
        return Ok(Some(summary));
    }
    match settle(shared, enquiry).await {
        Ok(_) => Ok(shared.summaries.all().get(enquiry).map(|(_, summary)| Arc::clone(summary))),
        Err(Refusal::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest enquiries, at most `limit`, without those about a family that the caller is linked to.
///
/// # Errors
/// When the store fails, or what has come about can not be recorded.
pub async fn list(
    shared: &Arc<Shared>,
    who: &SignedIn,
    limit: usize,
) -> Result<pb::ListResponse, Refusal> {
    let mut seen = visible(shared, who).await?;
    let now = shared.clock.now();
    seen.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.opened_at));
    let enquiries = seen.iter().take(limit).map(|(name, one)| one.line(name, now)).collect();
    Ok(pb::ListResponse { enquiries })
}

/// What a meeting today should take: open enquiries, the highest level first, then the clock that runs out first, then the oldest.
///
/// # Errors
/// As [`list`].
pub async fn agenda(
    shared: &Arc<Shared>,
    who: &SignedIn,
    limit: usize,
) -> Result<pb::AgendaResponse, Refusal> {
    let mut seen = visible(shared, who).await?;
    seen.retain(|(_, summary)| !summary.closed);
    seen.sort_by_key(|(_, one)| {
        let due = one.due_at.unwrap_or(Timestamp::MAX);
        (std::cmp::Reverse(one.level), due, one.opened_at)
    });
    let now = shared.clock.now();
    let chair = chair(shared.agreement.agreement(), &shared.config.meeting.chair_rota, now);
    Ok(pb::AgendaResponse {
        chair: chair.map(ToString::to_string).unwrap_or_default(),
        enquiries: seen.iter().take(limit).map(|(name, one)| one.line(name, now)).collect(),
    })
}

/// Whose turn it is to chair: the rota goes on by one on every day from Monday to Friday, whether there is a meeting or not, so that everybody
/// knows their days ahead. One that has withdrawn is passed over.
fn chair<'r>(agreement: &Agreement, rota: &'r [AgencyId], now: Timestamp) -> Option<&'r AgencyId> {
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    let day = working_day(zone.to_datetime(now).date());
    let in_force =
        |agency: &&AgencyId| agreement.party(agency).is_some_and(|party| party.in_force(now));
    let rota: Vec<&AgencyId> = rota.iter().filter(in_force).collect();
    let turn = day.checked_rem_euclid(i64::try_from(rota.len()).ok()?)?;
    rota.get(usize::try_from(turn).ok()?).copied()
}

/// The number of days from Monday to Friday since one Monday; the weekend counts as the Friday before.
fn working_day(date: Date) -> i64 {
    const MONDAY: Date = Date::constant(2024, 1, 1);
    let days = i64::from(date.since(MONDAY).map_or(0, |span| span.get_days()));
    days.div_euclid(7) * 5 + days.rem_euclid(7).min(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rota_goes_on_by_one_each_working_day_and_not_over_the_weekend() {
        let days: Vec<i64> = (2..=8).map(|day| working_day(Date::constant(2027, 4, day))).collect();
        // Friday, Saturday, Sunday, Monday, …
        let first = days[0];
        assert_eq!(days, [first, first, first, first + 1, first + 2, first + 3, first + 4]);
    }
}
