//! Alerts of a log and what became of them, read from the log itself.

use std::{collections::BTreeMap, path::Path};

use crate::{
    audit::{
        VerifyError,
        entry::{Action, Actor, Entry},
        shard::history,
    },
    id::StaffName,
    time::Timestamp,
};

/// The most alerts that are kept in memory while a log is read; older ones that were handled are left out first.
const MAX_READ: usize = 100_000;

/// The longest note on how an alert was handled, in characters.
pub const MAX_NOTE_CHARS: usize = 4_000;

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its entry.
    pub entry: Entry,
    /// When it was handled and by whom; `None`: it is open.
    pub handled: Option<Handled>,
}

/// That a person looked into an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Option<StaffName>,
}

/// Every alert of the log whose present shard is in `dir`, by number through all its shards. Blocking: it reads the whole log.
///
/// # Errors
/// When the log can not be read.
pub fn read(dir: &Path) -> Result<BTreeMap<u64, Listed>, VerifyError> {
    let mut listed = BTreeMap::new();
    for entry in history(dir)? {
        take(&mut listed, entry?);
    }
    Ok(listed)
}

fn take(listed: &mut BTreeMap<u64, Listed>, entry: Entry) {
    match entry.action {
        Action::AlertRaised => {
            listed.insert(entry.seq, Listed { entry, handled: None });
            if listed.len() > MAX_READ {
                let oldest = listed.iter().find(|(_, one)| one.handled.is_some());
                let oldest = oldest.map(|(seq, _)| *seq);
                match oldest {
                    Some(seq) => drop(listed.remove(&seq)),
                    None => drop(listed.pop_first()),
                }
            }
        }
        Action::AlertHandled => {
            let Some(alert) = entry.count.and_then(|seq| listed.get_mut(&seq)) else { return };
            let by = match entry.actor {
                Actor::Staff { name, .. } => Some(name),
                Actor::Program => None,
            };
            // Handled once; the program refuses a second time.
            alert.handled.get_or_insert(Handled { at: entry.ts, by });
        }
        _ => {}
    }
}

/// Why somebody may not say how an alert was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHandled {
    /// There is none with this number.
    #[error("there is no alert with this number")]
    NoAlert,
    /// Somebody has.
    #[error("this alert was handled before; what was written stays")]
    Before,
    /// It is about them.
    #[error("this alert is about you; a colleague has to look into it")]
    Own,
    /// The note is empty or too long.
    #[error("write what was found and done, in 1 to 4000 characters")]
    Note,
}

impl NotHandled {
    /// The stable code of the refusal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoAlert => "alert_not_found",
            Self::Before => "alert_handled",
            Self::Own => "alert_own",
            Self::Note => "note_missing",
        }
    }
}

/// The open alert with this number, when `by` may handle it with this note.
///
/// # Errors
/// See [`NotHandled`].
pub fn to_handle<'a>(
    listed: &'a BTreeMap<u64, Listed>,
    number: u64,
    by: &StaffName,
    note: &str,
) -> Result<&'a Entry, NotHandled> {
    if !(1..=MAX_NOTE_CHARS).contains(&note.trim().chars().count()) {
        return Err(NotHandled::Note);
    }
    let alert = listed.get(&number).ok_or(NotHandled::NoAlert)?;
    if alert.handled.is_some() {
        return Err(NotHandled::Before);
    }
    match &alert.entry.actor {
        Actor::Staff { name, .. } if name == by => Err(NotHandled::Own),
        Actor::Staff { .. } | Actor::Program => Ok(&alert.entry),
    }
}

/// At most `limit` entries from number `from` on, through all shards, of one kind or of any. Blocking: it reads the log up to them.
///
/// # Errors
/// When the log can not be read.
pub fn page(
    dir: &Path,
    from: u64,
    limit: usize,
    action: Option<Action>,
) -> Result<Vec<Entry>, VerifyError> {
    let wanted = |entry: &Result<Entry, VerifyError>| match entry {
        Ok(entry) => entry.seq >= from && action.is_none_or(|action| entry.action == action),
        Err(_) => true,
    };
    history(dir)?.filter(wanted).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::{Digest, EntryDraft, Party, SCHEMA_VERSION};

    fn entry(seq: u64, draft: &EntryDraft) -> Entry {
        let ts = "2027-02-09T10:00:00Z".parse().unwrap();
        let text = serde_json::json!({
            "v": SCHEMA_VERSION, "seq": seq, "prev_hash": Digest::ZERO, "ts": Timestamp::to_string(&ts),
            "node": Party::Hub, "actor": draft.actor, "action": draft.action, "count": draft.count,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn nobody_handles_an_alert_about_themselves() {
        let (own, other) = ("a".parse().unwrap(), "b".parse().unwrap());
        let draft = EntryDraft::new(Action::AlertRaised)
            .by("a".parse().unwrap(), "coordinator".parse().unwrap());
        let mut listed = BTreeMap::new();
        take(&mut listed, entry(0, &draft));
        assert_eq!(to_handle(&listed, 0, &own, "I was right."), Err(NotHandled::Own));
        assert!(to_handle(&listed, 0, &other, "A busy morning.").is_ok());
    }

    #[test]
    fn an_alert_is_open_until_the_first_person_has_handled_it() {
        let mut listed = BTreeMap::new();
        let handled = |seq, alert, name: &str| {
            let mut draft = EntryDraft::new(Action::AlertHandled)
                .by(name.parse().unwrap(), "auditor".parse().unwrap());
            draft.count = Some(alert);
            entry(seq, &draft)
        };
        take(&mut listed, entry(0, &EntryDraft::new(Action::AlertRaised)));
        take(&mut listed, entry(1, &EntryDraft::new(Action::AlertRaised)));
        take(&mut listed, handled(2, 1, "a"));
        take(&mut listed, handled(3, 1, "b"));
        // What is no alert is not handled.
        take(&mut listed, handled(4, 2, "a"));
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[&0].handled, None);
        let by: StaffName = "a".parse().unwrap();
        assert!(to_handle(&listed, 0, &by, "Spoke to them.").is_ok());
        assert_eq!(to_handle(&listed, 0, &by, " "), Err(NotHandled::Note));
        assert_eq!(to_handle(&listed, 1, &by, "Again."), Err(NotHandled::Before));
        assert_eq!(to_handle(&listed, 2, &by, "None."), Err(NotHandled::NoAlert));
        assert_eq!(listed[&1].handled.as_ref().unwrap().by.as_ref().unwrap().as_str(), "a");
    }
}
