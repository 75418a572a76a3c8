//! What an auditor reads: alerts and entries as messages, cut where an answer is full.

pub mod command;

use super::{WireError, pb};
use crate::{
    alert::docket::Listed,
    audit::entry::{Action, Actor, Entry, Party},
    time::Timestamp,
};

/// The most alerts or entries in one answer.
const MAX_LINES: usize = 1000;

/// The most bytes of alerts or entries in one answer: below the bound of every message, with room for what stands around them.
const MAX_BYTES: usize = 192 * 1024;

/// How many lines are wanted.
///
/// # Errors
/// When it is more than may be.
pub fn limit(limit: u32) -> Result<usize, WireError> {
    match usize::try_from(limit) {
        Ok(0) => Ok(MAX_LINES),
        Ok(limit) if limit <= MAX_LINES => Ok(limit),
        Ok(_) | Err(_) => Err(WireError::invalid("limit", "at most 1000")),
    }
}

/// Which entries are wanted; `None`: of any action.
///
/// # Errors
/// When it is not an action of the log.
pub fn action(word: &str) -> Result<Option<Action>, WireError> {
    if word.is_empty() {
        return Ok(None);
    }
    word.parse().map(Some).map_err(|_| WireError::invalid("action", "an action of the log"))
}

/// Alerts with the notes on them, as many as fit.
#[must_use]
pub fn alerts(listed: Vec<(Listed, String)>, limit: usize) -> pb::ListAlertsResponse {
    let lines = listed.into_iter().map(|(one, note)| (one.entry.seq, alert_line(&one, note)));
    let (alerts, more_from) = fitting(lines, limit, prost_len);
    pb::ListAlertsResponse { alerts, more_from }
}

/// Entries in their canonical form, as many as fit.
#[must_use]
pub fn entries(entries: Vec<Entry>, limit: usize) -> pb::ListEntriesResponse {
    let lines = entries.into_iter().map(|entry| {
        let text = String::from_utf8(entry.encode()).unwrap_or_default();
        (entry.seq, text)
    });
    let (entries, more_from) = fitting(lines, limit, String::len);
    pb::ListEntriesResponse { entries, more_from }
}

fn prost_len(line: &pb::AlertLine) -> usize {
    // Everything else in it is short.
    line.note.len() + 1024
}

/// The first lines within both bounds, at least one, and the number from which there are more; 0 when there are not.
fn fitting<T>(
    lines: impl Iterator<Item = (u64, T)>,
    limit: usize,
    length: impl Fn(&T) -> usize,
) -> (Vec<T>, u64) {
    let (mut taken, mut n_bytes) = (Vec::new(), 0_usize);
    for (seq, line) in lines {
        n_bytes = n_bytes.saturating_add(length(&line));
        if taken.len() >= limit || (n_bytes > MAX_BYTES && !taken.is_empty()) {
            return (taken, seq);
        }
        taken.push(line);
    }
    (taken, 0)
}

fn alert_line(one: &Listed, note: String) -> pb::AlertLine {
    let Listed { entry, handled } = one;
    let (about, role) = match &entry.actor {
        Actor::Staff { name, role } => (name.to_string(), role.to_string()),
        Actor::Program => (String::new(), String::new()),
    };
    let by = handled.as_ref().and_then(|handled| handled.by.as_ref());
    pb::AlertLine {
        number: entry.seq,
        raised_at_unix_ms: entry.ts.as_millisecond(),
        alert: text(entry.decision.as_ref()),
        about,
        role,
        peer: entry.peer.as_ref().map(Party::to_string).unwrap_or_default(),
        enquiry: text(entry.enquiry.as_ref()),
        person: text(entry.person.as_ref()),
        category: text(entry.category.as_ref()),
        reason: entry.reason.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        count: entry.count.unwrap_or_default(),
        handled_at_unix_ms: handled.as_ref().map_or(0, |handled| handled.at.as_millisecond()),
        handled_by: text(by),
        note,
    }
}

fn text(field: Option<&impl ToString>) -> String {
    field.map(ToString::to_string).unwrap_or_default()
}

/// A time to the second, RFC 3339.
fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| "-".to_owned(), |at| format!("{at:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_by_number_and_by_size_and_says_where_it_goes_on() {
        let lines = |n: u64, length: usize| (0..n).map(move |seq| (seq, "x".repeat(length)));
        assert_eq!(fitting(lines(3, 1), 3, String::len).1, 0);
        assert_eq!(fitting(lines(4, 1), 3, String::len).1, 3);
        let (taken, more) = fitting(lines(9, 60 * 1024), 1000, String::len);
        assert_eq!((taken.len(), more), (3, 3));
        // One that is too long by itself goes alone.
        assert_eq!(fitting(lines(2, 300 * 1024), 1000, String::len).0.len(), 1);
    }

    #[test]
    fn limits_and_actions_that_are_none_are_refused() {
        assert_eq!(limit(0), Ok(MAX_LINES));
        assert!(limit(1001).is_err());
        assert_eq!(action("alert_raised"), Ok(Some(Action::AlertRaised)));
        assert!(action("anything").is_err());
    }
}
