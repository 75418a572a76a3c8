//! What others have seen of a log that was put back from a backup, and that the backup does not hold.
//!
//! Each party is asked about the old shard, with the checkpoint over what the backup held. Who has cosigned more says so by showing its own last
//! checkpoint, which this log had signed: that is recorded, once for each party, as `restore_gap`. Until somebody answers it is asked again.

use std::{sync::Arc, time::Duration};

use super::cosigned::{ANSWER_WITHIN, Answer, AskWitness, Asked, Question};
use crate::audit::{
    AuditLog,
    restored::{self, Restored},
};

/// The longest pause between two attempts.
const PAUSE_AT_MOST: Duration = Duration::from_hours(1);

/// Asks every party that has not answered yet, again after `every` and then after ever longer, until all have; ends then, and at once when the log
/// was not put back.
pub async fn settle<A: AskWitness>(log: &AuditLog, witnesses: &A, every: Duration) {
    let Some(logs) = log.dir().parent().map(ToOwned::to_owned) else { return };
    // Once: it reads the log.
    let read = tokio::task::spawn_blocking(move || restored::newest(&logs)).await;
    let (found, mut said) = match read {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => return,
        Ok(Err(_)) | Err(_) => {
            tracing::error!(
                "what was put back can not be read; nobody is asked what it lacks before the next start"
            );
            return;
        }
    };
    let mut pause = every;
    loop {
        let mut is_settled = true;
        for asked in witnesses.witnesses() {
            let Asked::Party(party) = &asked else { continue };
            if said.contains(party) {
                continue;
            }
            if ask(log, witnesses, &asked, &found).await {
                said.push(party.clone());
            } else {
                is_settled = false;
            }
        }
        if is_settled {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_AT_MOST);
    }
}

/// Whether it has answered, and the answer is recorded.
async fn ask<A: AskWitness>(
    log: &AuditLog,
    witnesses: &A,
    asked: &Asked,
    found: &Restored,
) -> bool {
    let (Asked::Party(party), Some((key, note))) = (asked, found.shown()) else { return true };
    let question = Question {
        log: key.clone(),
        old_size: note.checkpoint().head.size,
        proof: Vec::new(),
        checkpoint: Arc::new(note),
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, witnesses.ask(asked, question)).await;
    let last = match answer.unwrap_or(Answer::Failed("deadline")) {
        // It has seen just this much.
        Answer::Cosigned { .. } | Answer::Last(None) => None,
        // What this log has not signed says nothing about it.
        Answer::Last(Some(last)) => last.signed_by(&key).is_ok().then_some(last),
        Answer::Failed(code) => {
            tracing::warn!(%party, code, "a party did not say what it has seen of the log that was put back; it is asked again");
            return false;
        }
    };
    let recorded = log.record(found.gap(party, last.as_deref())).await;
    if let Ok(entry) = &recorded {
        let n_missing = entry.get().count;
        tracing::warn!(%party, n_missing, "a party has seen so many entries that the backup does not hold");
    }
    recorded.is_ok()
}
