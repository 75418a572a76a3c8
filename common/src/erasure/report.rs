//! What was erased, when and by whom, from the log; and whether any key of it still exists. Reads files only.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use super::Rule;
use crate::{
    audit::{
        Action, Actor,
        command::{DONE, NOT_VERIFIED},
        entries, shard,
    },
    durable::KeyFolder,
    id::{EnquiryRef, StaffName},
    time::Timestamp,
};

/// One erased enquiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// When it was recorded, before it was done.
    pub at: Timestamp,
    /// By what rule.
    pub rule: &'static str,
    /// Who asked; absent when the program's rule erased it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<StaffName>,
    /// Who confirmed; absent when the program's rule erased it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<StaffName>,
    /// How many values of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Whether a key of it exists: then it is not erased, or a key was put back.
    pub key_exists: bool,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Oldest first.
    pub erased: Vec<Erased>,
    /// Keys of enquiries that exist, erased or not.
    pub n_keys: usize,
}

impl Report {
    /// Whether no key of anything that was erased exists.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.erased.iter().all(|erased| !erased.key_exists)
    }

    /// Reads every shard of the log in the folder `logs`, and the keys in `keys`.
    ///
    /// # Errors
    /// When one of them can not be read.
    pub fn read(logs: &Path, keys: &Path) -> anyhow::Result<Self> {
        let keys = KeyFolder::<EnquiryRef>::open(keys)
            .with_context(|| format!("can not read the enquiry keys in `{}`", keys.display()))?;
        let mut asked: BTreeMap<EnquiryRef, StaffName> = BTreeMap::new();
        let mut erased: BTreeMap<EnquiryRef, Erased> = BTreeMap::new();
        let unreadable = || format!("can not read the log in `{}`", logs.display());
        let mut read = Vec::new();
        for shard in shard::every(logs).with_context(unreadable)? {
            read.push(entries(&shard).with_context(unreadable)?);
        }
        for entry in read.into_iter().flatten() {
            let entry = entry?;
            let Some(enquiry) = entry.enquiry else { continue };
            let by = match entry.actor {
                Actor::Staff { name, .. } => Some(name),
                Actor::Program => None,
            };
            if entry.action == Action::ErasureAsked {
                by.into_iter().for_each(|by| _ = asked.insert(enquiry.clone(), by));
                continue;
            }
            if entry.action != Action::RecordsErased {
                continue;
            }
            let decision = entry.decision.as_ref().map(|word| word.as_str()).unwrap_or_default();
            let Some((rule, kind)) = decision.split_once(':') else { continue };
            let Some(rule) = Rule::from_word(rule) else { continue };
            // An erasure that was cut off is recorded again; what was first said holds.
            let one = erased.entry(enquiry.clone()).or_insert_with(|| Erased {
                enquiry: enquiry.clone(),
                at: entry.ts,
                rule: rule.word(),
                asked_by: by.as_ref().and_then(|_| asked.get(&enquiry).cloned()),
                confirmed_by: by,
                counts: BTreeMap::new(),
                key_exists: false,
            });
            one.counts.entry(kind.to_owned()).or_insert(entry.count.unwrap_or(0));
        }
        let mut erased: Vec<Erased> = erased.into_values().collect();
        for one in &mut erased {
            one.key_exists = keys.key(&one.enquiry)?.is_some();
        }
        erased.sort_by(|a, b| (a.at, &a.enquiry).cmp(&(b.at, &b.enquiry)));
        let mut n_keys = 0;
        for name in keys.names()? {
            // A file that is just being destroyed is no key any more.
            n_keys += usize::from(keys.key(&name)?.is_some());
        }
        Ok(Self { erased, n_keys })
    }
}

/// Prints the report; gives the exit code: 4 when a key of something erased exists.
///
/// # Errors
/// When something can not be read or written.
pub fn run(logs: &Path, keys: &Path, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let report = Report::read(logs, keys)?;
    if json {
        writeln!(out, "{:#}", serde_json::to_value(&report)?)?;
    } else {
        for one in &report.erased {
            let (asked, confirmed) = (one.asked_by.as_ref(), one.confirmed_by.as_ref());
            let who = match (asked, confirmed) {
                (Some(asked), Some(confirmed)) => format!("asked {asked}, confirmed {confirmed}"),
                (None, Some(confirmed)) => format!("confirmed {confirmed}"),
                (_, None) => "the program".to_owned(),
            };
            writeln!(out, "{}  {}  {}  {who}", one.at, one.enquiry, one.rule)?;
            let counts = one.counts.iter().map(|(kind, n)| format!("{kind} {n}"));
            writeln!(out, "    erased: {}", counts.collect::<Vec<_>>().join(", "))?;
            let key = if one.key_exists { "STILL EXISTS: it is not erased" } else { "none" };
            writeln!(out, "    key: {key}")?;
        }
        writeln!(out, "{} erased, {} enquiries have a key", report.erased.len(), report.n_keys)?;
    }
    Ok(if report.holds() { DONE } else { NOT_VERIFIED })
}
