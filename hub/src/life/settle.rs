//! Flags come and go: after every change of an enquiry, when somebody looks, and when its time comes, what stands is compared with what
//! stood. What was raised or cleared is recorded, kept, and told to those who watch.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use brag_common::{
    audit::entry::{Action, EntryDraft, Party},
    id::EnquiryRef,
    status::PeerFacing as _,
    time::Timestamp,
};

use super::{
    Ground, Picture,
    agenda::{self, Summary},
    flags::{self, About, Flag},
    tell,
};
use crate::{
    enquiry,
    guard::Refusal,
    hub::Shared,
    notify,
    store::{Change, life::FlagRecord},
    view::{self, Whole},
};

/// How often it is looked whether the time of an enquiry has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long changes are gathered before their enquiries are looked at. Whoever looks meanwhile sees them: that settles, too.
const GATHER: Duration = Duration::from_millis(100);

/// Reads an enquiry, with its flags as they stand now.
///
/// # Errors
/// When there is none of this name, or its flags can not be recorded or kept.
pub async fn settled(shared: &Arc<Shared>, enquiry: &EnquiryRef) -> Result<Whole, Refusal> {
    let _alone = shared.life_locks.of_enquiry(enquiry).await;
    settle(shared, enquiry).await
}

/// As [`settled`], for who has the enquiry's lock.
pub(super) async fn settle(shared: &Arc<Shared>, name: &EnquiryRef) -> Result<Whole, Refusal> {
    let generation = shared.store.changes().generation(name);
    let mut whole = enquiry::whole(shared, name).await?;
    let now = shared.clock.now();
    let (stands, summary) = {
        let ground = Ground::of(shared, name, &whole);
        let case = ground.case(shared, now);
        let picture = Picture::of(&case);
        (flags::standing(&case, &picture), Summary::of(&case, &picture))
    };
    let (flags, events) = compare(&whole.flags, &stands.0.into_iter().collect::<Vec<_>>(), now);
    if !events.is_empty() {
        let drafts = events.iter().map(|event| entry(shared, name, event)).collect();
        shared.log.record_all::<EntryDraft>(drafts).await?;
        let mut change = Change::new();
        change.flags(name, &flags)?;
        let (by, enquiry, raised) = (Arc::clone(shared), name.clone(), events.clone());
        let kept = shared.store.run(move |store| {
            let agreement = by.agreement.agreement();
            let from = (&whole, &enquiry);
            let told = tell::of_flags(store, agreement, from, &raised, now, &mut change)?;
            store.commit(change)?;
            Ok((whole, told))
        });
        let told;
        (whole, told) = kept.await?;
        for (enquiry, agency) in told {
            notify::start_one(shared, &enquiry, &agency);
        }
        for event in &events {
            shared.tell(name, view::flag_event(now, event));
        }
    }
    let stand = flags.iter().filter(|flag| flag.cleared_at.is_none());
    let words = stand.map(|flag| flag.flag.clone()).collect();
    shared.summaries.keep(name, generation, Summary { flags: words, ..summary });
    whole.flags = flags;
    Ok(whole)
}

/// The flags as they are from now on, and those of them that were raised or cleared.
fn compare(
    before: &[FlagRecord],
    stands: &[(About, Option<Timestamp>)],
    now: Timestamp,
) -> (Vec<FlagRecord>, Vec<FlagRecord>) {
    let mut flags = before.to_vec();
    let mut changed = Vec::new();
    let is = |record: &FlagRecord, about: &About| {
        record.flag == about.flag.word()
            && record.agency == about.agency
            && record.person == about.person
    };
    for record in &mut flags {
        let lasts = Flag::ALL.iter().any(|flag| flag.word() == record.flag && flag.is_lasting());
        if record.cleared_at.is_none()
            && !lasts
            && !stands.iter().any(|(about, _)| is(record, about))
        {
            record.cleared_at = Some(now);
            changed.push(record.clone());
        }
    }
    for (about, since) in stands {
        let known = |record: &&FlagRecord| is(record, about) && record.cleared_at.is_none();
        if flags.iter().any(|record| known(&record)) {
            continue;
        }
        let record = FlagRecord {
            flag: about.flag.word().to_owned(),
            agency: about.agency.clone(),
            person: about.person.clone(),
            raised_at: since.unwrap_or(now).min(now),
            cleared_at: None,
        };
        changed.push(record.clone());
        flags.push(record);
    }
    (flags, changed)
}

fn entry(shared: &Shared, enquiry: &EnquiryRef, flag: &FlagRecord) -> EntryDraft {
    let action = if flag.cleared_at.is_some() { Action::FlagCleared } else { Action::FlagRaised };
    let mut draft = shared.draft(action);
    draft.enquiry = Some(enquiry.clone());
    draft.person.clone_from(&flag.person);
    draft.peer = flag.agency.clone().map(Party::Agency);
    draft.decision = flag.flag.parse().ok();
    draft
}

/// Settles every enquiry that has changed or whose time has come, until told to stop; at the start all of them.
pub async fn keep_settling(shared: Arc<Shared>) {
    let changes = Arc::clone(shared.store.changes());
    match shared.store.run(|store| store.enquiry_names()).await {
        Ok(all) => changes.mark(all),
        Err(error) => tracing::warn!(%error, "can not read the enquiries"),
    }
    let mut left = BTreeSet::new();
    loop {
        left.extend(changes.take());
        left.extend(shared.summaries.due(shared.clock.now()));
        let failed = settle_all(&shared, &mut left).await;
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            // Fourteen agencies answer within a moment: what they change together is looked at once.
            () = changes.changed(), if !failed => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Settles what is left, one after the other; true when one could not be. It is left, with those after it.
async fn settle_all(shared: &Arc<Shared>, left: &mut BTreeSet<EnquiryRef>) -> bool {
    while let Some(enquiry) = left.first().cloned() {
        if shared.shutdown.is_cancelled() {
            return false;
        }
        match agenda::anew(shared, &enquiry).await {
            Ok(Some(_)) => {}
            // It was erased meanwhile.
            Ok(None) => shared.summaries.forget(&enquiry),
            Err(error) => {
                tracing::warn!(code = error.code(), "can not look at the flags of an enquiry");
                return true;
            }
        }
        left.remove(&enquiry);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(flag: Flag) -> (About, Option<Timestamp>) {
        (About { flag, agency: None, person: None }, None)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_flag_is_raised_once_cleared_once_and_may_be_raised_again() {
        let missing = about(Flag::LeadProfessionalMissing);
        let (flags, changed) = compare(&[], std::slice::from_ref(&missing), at(1));
        assert_eq!((flags.len(), changed.len()), (1, 1));
        let (flags, changed) = compare(&flags, std::slice::from_ref(&missing), at(2));
        assert_eq!((flags.len(), changed.len()), (1, 0));
        let (flags, changed) = compare(&flags, &[], at(3));
        assert_eq!((changed.len(), flags[0].cleared_at), (1, Some(at(3))));
        let (flags, _) = compare(&flags, &[missing], at(4));
        assert_eq!((flags.len(), flags[1].raised_at, flags[1].cleared_at), (2, at(4), None));
    }

    #[test]
    fn what_has_once_come_about_is_never_cleared() {
        let breached = (about(Flag::S47ClockBreached).0, Some(at(5)));
        let (flags, _) = compare(&[], &[breached], at(9));
        assert_eq!(flags[0].raised_at, at(5));
        let (flags, changed) = compare(&flags, &[], at(10));
        assert!(changed.is_empty() && flags[0].cleared_at.is_none());
    }
}
