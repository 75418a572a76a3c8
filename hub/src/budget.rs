//! How much co-ordinators may ask: against fishing, and against asking again about the same person until the difference between two answers
//! tells something. Beyond it an enquiry is refused, recorded, and told to information governance.
//!
//! What counts is what the store holds: every enquiry that was opened, and every person who can be found. So a restart forgets nothing.

use brag_common::{
    durable::StoreError,
    id::{EnquiryRef, StaffName},
    matching::identity::Identity,
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

use crate::{
    config::Budget,
    earlier::{self, Bounds},
    guard::Refusal,
    store::{
        Store,
        shapes::{EnquiryRecord, OpeningRecord, Referral},
    },
};

/// How long an opening is kept for the budgets: twice the longest time that one looks back, so that a clock which is set right forgets nothing.
pub const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// The fewest letters and digits of a reference that leads back to a referral.
const REFERENCE_CHARS: usize = 3;

/// The enquiries of a short time before about people of a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// In which enquiries, newest first.
    pub enquiries: Vec<(Timestamp, EnquiryRef)>,
    /// In how many enquiries the one of its people was asked about who was in the most.
    pub most_of_one: u32,
}

impl Recent {
    /// Those about the people of `record` that are recent at `now`, found by the same keys and weights as any earlier enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find(
        store: &Store,
        record: &EnquiryRecord,
        bounds: Bounds,
        (now, budget): (Timestamp, &Budget),
    ) -> Result<Self, StoreError> {
        let length = SignedDuration::try_from(budget.recent.get()).unwrap_or(SignedDuration::MAX);
        let since = now.checked_sub(length).unwrap_or(Timestamp::MIN);
        let mut recent = Self::default();
        for person in &record.people {
            let Ok(identity) = Identity::from_canonical_bytes(&person.identity) else { continue };
            let mut of_one: Vec<(Timestamp, EnquiryRef)> = earlier::find(store, &identity, bounds)?
                .into_iter()
                .filter(|found| found.enquiry.opened_at > since && found.is_linked(bounds))
                .map(|found| (found.enquiry.opened_at, found.name))
                .collect();
            of_one.sort();
            of_one.dedup();
            recent.most_of_one =
                recent.most_of_one.max(u32::try_from(of_one.len()).unwrap_or(u32::MAX));
            recent.enquiries.extend(of_one);
        }
        recent.enquiries.sort_by(|a, b| b.cmp(a));
        recent.enquiries.dedup();
        Ok(recent)
    }

    /// Refuses a new enquiry about somebody who was asked about a short time before and about whom nobody says why again; and one beyond
    /// what may be asked about one person, whatever they say.
    ///
    /// # Errors
    /// When it is one of these.
    pub fn allows(&self, because: Option<&str>, budget: &Budget) -> Result<(), Refusal> {
        let Some((at, newest)) = self.enquiries.first() else { return Ok(()) };
        if self.most_of_one >= budget.enquiries_per_person {
            return Err(over("one person of it is in as many recent enquiries as may be"));
        }
        if because.is_some() {
            return Ok(());
        }
        Err(Refusal::rule(
            "second_enquiry",
            format!(
                "somebody in this enquiry was asked about in enquiry {newest}, opened {at}; look there first (`hub enquiry show`). If they \
                 have to be asked about again, write why in the enquiry file: again_because = \"…\""
            ),
        ))
    }
}

/// An enquiry as the budgets count it.
#[must_use]
pub fn opening(record: &EnquiryRecord) -> OpeningRecord {
    OpeningRecord {
        at: record.opened_at,
        by: record.opened_by.clone(),
        people: u32::try_from(record.people.len()).unwrap_or(u32::MAX),
        referral: lead(&record.referral),
    }
}

/// Agency and reference in one form, however it was typed; `None` where it leads back to no referral: without a digit, too short, or one
/// sign over and over.
fn lead(referral: &Referral) -> Option<String> {
    let signs: String = referral
        .reference
        .chars()
        .filter(|sign| sign.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let first = signs.chars().next()?;
    let leads = signs.chars().count() >= REFERENCE_CHARS
        && signs.chars().any(|sign| sign.is_ascii_digit())
        && signs.chars().any(|sign| sign != first);
    leads.then(|| format!("{}/{signs}", referral.agency))
}

/// Refuses a new enquiry that is beyond what its co-ordinator may ask, or what may be asked on its referral. `before` are enquiries of
/// the day before it at least, in any order.
///
/// # Errors
/// When it is beyond.
pub fn allows(
    budget: &Budget,
    before: &[OpeningRecord],
    new: &OpeningRecord,
) -> Result<(), Refusal> {
    let hour = SignedDuration::from_hours(1);
    let day = SignedDuration::from_hours(24);
    let within = |length: SignedDuration| {
        let old = move |one: &&OpeningRecord| new.at.duration_since(one.at) < length;
        before.iter().filter(old)
    };
    let own = |one: &&OpeningRecord| is_of(one, &new.by);
    let people = |counted: &mut dyn Iterator<Item = &OpeningRecord>| {
        counted.fold(new.people, |n, one| n.saturating_add(one.people))
    };
    let enquiries = |length| {
        u32::try_from(within(length).filter(own).count()).unwrap_or(u32::MAX).saturating_add(1)
    };
    if enquiries(hour) > budget.enquiries_per_hour
        || people(&mut within(hour).filter(own)) > budget.people_per_hour
    {
        return Err(over("you have opened as many as may be within an hour"));
    }
    if enquiries(day) > budget.enquiries_per_day
        || people(&mut within(day).filter(own)) > budget.people_per_day
    {
        return Err(over("you have opened as many as may be within a day"));
    }
    let same = |one: &&OpeningRecord| match &new.referral {
        Some(lead) => one.referral.as_ref() == Some(lead),
        None => one.referral.is_none() && is_of(one, &new.by),
    };
    if people(&mut within(day).filter(same)) > budget.people_per_referral {
        return Err(over(match new.referral {
            Some(_) => "as many people were asked about on this referral as may be within a day",
            None => "its referral's reference leads back to none; give the referring agency's own",
        }));
    }
    Ok(())
}

fn is_of(one: &OpeningRecord, name: &StaffName) -> bool {
    one.by == *name
}

fn over(what: &str) -> Refusal {
    let told = "information governance has been told; if the work is real, they raise the budget with the hub's operator";
    Refusal::rule(Reason::BudgetExceeded.code(), format!("BUDGET_EXCEEDED: {what}; {told}"))
}

#[cfg(test)]
mod tests;
