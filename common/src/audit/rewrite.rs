//! Test support: a log as somebody would write it anew who holds a key and leaves out or alters what does not suit them.

use std::{path::Path, sync::Arc};

use super::{
    entry::{Entry, EntryDraft},
    log::{AuditLog, LogOptions},
    storage::ORIGIN_FILE,
    verify::entries,
};
use crate::{
    keys::SigningKey,
    time::{SettableClock, Timestamp},
};

/// Writes the log in `from` anew below `to`, in a directory that has the shard's name, under a key of its own: entries for which
/// `edit` gives nothing are left out, others stand as it gives them. Gives the directory. The result verifies with the key beside it.
///
/// # Panics
/// When one of the two can not be read or written.
pub async fn rewrite(
    from: &Path,
    to: &Path,
    edit: impl FnMut(Entry) -> Option<Entry>,
) -> std::path::PathBuf {
    #[expect(clippy::unwrap_used, reason = "test support")]
    rewrite_with(SigningKey::generate().unwrap(), from, to, edit).await
}

/// As [`rewrite`], with this key: the log's own, of which only others' memory shows anything.
///
/// # Panics
/// When one of the two can not be read or written.
#[expect(clippy::unwrap_used, reason = "test support")]
pub async fn rewrite_with(
    key: SigningKey,
    from: &Path,
    to: &Path,
    mut edit: impl FnMut(Entry) -> Option<Entry>,
) -> std::path::PathBuf {
    let origin: super::chain::Origin =
        std::fs::read_to_string(from.join(ORIGIN_FILE)).unwrap().trim().parse().unwrap();
    let shard = origin.shard().to_owned();
    let clock = Arc::new(SettableClock::at(Timestamp::UNIX_EPOCH));
    let all: Vec<Entry> = entries(from).unwrap().map(Result::unwrap).collect();
    let test_env = all.iter().any(|entry| entry.test_env);
    let mut options = LogOptions::new(to, origin, key, clock.clone());
    if test_env {
        options = options.in_test_environment();
    }
    let log = AuditLog::open(options).unwrap();
    let mut now = Timestamp::UNIX_EPOCH;
    for entry in all {
        let Some(entry) = edit(entry) else { continue };
        clock.advance(entry.ts.duration_since(now));
        now = entry.ts;
        log.record(draft_of(entry)).await.unwrap();
    }
    drop(log);
    to.join(shard)
}

fn draft_of(entry: Entry) -> EntryDraft {
    EntryDraft {
        action: entry.action,
        actor: entry.actor,
        enquiry: entry.enquiry,
        person: entry.person,
        commitment: entry.commitment,
        exchange: entry.exchange,
        release: entry.release,
        peer: entry.peer,
        category: entry.category,
        gate: entry.gate,
        class: entry.class,
        purpose: entry.purpose,
        art6: entry.art6,
        art9: entry.art9,
        art10: entry.art10,
        gateway: entry.gateway,
        agreement_status: entry.agreement_status,
        agreement: entry.agreement,
        evidence: entry.evidence,
        decision: entry.decision,
        reason: entry.reason,
        recipients: entry.recipients,
        obligations: entry.obligations,
        count: entry.count,
        payload_digest: entry.payload_digest,
    }
}
