//! Searching the log, newest entries first.

use std::{
    cell::Cell,
    collections::VecDeque,
    ops::ControlFlow,
    path::Path,
    sync::{Mutex, PoisonError},
};

use brag_common::{
    audit::{Fault, VerifyError, backwards::backwards, entry::Entry, export::Table},
    id::{RequestId, StaffName},
    secret::random_bytes,
    time::SignedDuration,
};
use memchr::memmem;
use tonic::{Request, Status};

use super::{Inspection, question::Question, refused};
use crate::guard::Refusal;

/// Entries on a page.
pub const PAGE: usize = 100;

/// Entries that are looked at for one page; a page then says from where it goes on. About half a second.
const MAX_LOOKED: u64 = 500_000;

/// Entries in a table that is taken away, the newest.
pub const MAX_ROWS: usize = 10_000;

/// Entries that are looked at for a table.
const MAX_LOOKED_FOR_TABLE: u64 = 10_000_000;

/// Questions that are remembered, of all auditors together; the oldest are forgotten first.
const MAX_ASKED: usize = 500;

/// How far a clock that was set back may have gone: entries so much older than what is asked about end a search.
const CLOCK_SET_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Questions that were asked, in memory only: their addresses carry nothing but a random name.
#[derive(Debug, Default)]
pub struct Asked(Mutex<VecDeque<(RequestId, StaffName, Question)>>);

impl Asked {
    fn remember(&self, who: StaffName, question: Question) -> Result<RequestId, Refusal> {
        let name = RequestId::from_random(random_bytes().map_err(|_| Refusal::Internal)?);
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MAX_ASKED {
            asked.pop_front();
        }
        asked.push_back((name.clone(), who, question));
        Ok(name)
    }

    /// The question of this name, if this person asked it.
    fn of(&self, name: &RequestId, who: &StaffName) -> Option<Question> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = asked.iter().find(|(known, by, _)| known == name && by == who);
        found.map(|(_, _, question)| question.clone())
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// At most [`PAGE`], newest first.
    pub entries: Vec<Entry>,
    /// How many entries were looked at.
    pub n_looked: u64,
    /// Search on below this number; `None`: that was all of it.
    pub more_below: Option<u64>,
    /// Where the log is not in order; what stands behind it in its segment was not searched.
    pub fault: Option<Fault>,
}

/// How much is wanted.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    entries: usize,
    looked: u64,
}

/// Searches the log in `dir` below a number. Blocks.
fn search(
    dir: &Path,
    question: &Question,
    below: Option<u64>,
    bounds: Bounds,
) -> Result<Found, VerifyError> {
    let (times, sieve) = (question.times(), question.sieve());
    let oldest = times.0.and_then(|from| from.checked_sub(CLOCK_SET_BACK).ok());
    let oldest = oldest.map(|at| format!("{at:.0}"));
    let over = Cell::new(false);
    let may_be_wanted = |json: &[u8]| {
        if oldest.as_deref().is_some_and(|oldest| is_before(json, oldest.as_bytes())) {
            over.set(true);
            return false;
        }
        sieve.lets_through(json)
    };
    let mut found = Found { entries: Vec::new(), n_looked: 0, more_below: None, fault: None };
    let mut last = None;
    let fault = backwards(dir, below, &may_be_wanted, &mut |seq, entry| {
        if over.get() {
            return ControlFlow::Break(());
        }
        if found.entries.len() >= bounds.entries || found.n_looked >= bounds.looked {
            found.more_below = last;
            return ControlFlow::Break(());
        }
        found.n_looked += 1;
        last = Some(seq);
        found.entries.extend(entry.filter(|entry| question.is_met_by(entry, times)));
        ControlFlow::Continue(())
    })?;
    found.fault = fault;
    Ok(found)
}

/// Whether an entry is older than a time, by the first nineteen characters of both: they sort as times do.
fn is_before(json: &[u8], time: &[u8]) -> bool {
    const SECONDS: usize = "2027-02-09T10:00:00".len();
    let at = memmem::find(json, br#""ts":""#).and_then(|at| json.get(at + 6..at + 6 + SECONDS));
    at.zip(time.get(..SECONDS)).is_some_and(|(at, time)| at < time)
}

impl Inspection {
    /// Remembers a question for whoever asks it; gives the random name by which it is asked. Nothing is read yet.
    ///
    /// # Errors
    /// When the caller is no auditor.
    pub fn ask(&self, request: Request<Question>) -> Result<RequestId, Status> {
        let (who, question) = self.auditor(request)?;
        self.asked.remember(who.name().clone(), question).map_err(refused)
    }

    /// The question of this name, if the caller has asked it and it is still remembered. Nothing is read.
    ///
    /// # Errors
    /// When the caller is no auditor, or there is no such question.
    pub fn question(&self, request: Request<RequestId>) -> Result<Question, Status> {
        let (who, name) = self.auditor(request)?;
        self.asked.of(&name, who.name()).ok_or_else(|| refused(Refusal::NotFound("question")))
    }

    /// A page of what a question finds.
    ///
    /// # Errors
    /// When the caller is no auditor, or it can not be recorded or read.
    pub async fn found(&self, request: Request<(Question, Option<u64>)>) -> Result<Found, Status> {
        let (who, (question, below)) = self.auditor(request)?;
        let bounds = Bounds { entries: PAGE, looked: MAX_LOOKED };
        self.run(&who, question, below, bounds, "search").await.map_err(refused)
    }

    /// What a question finds, as a table for a spreadsheet: the newest [`MAX_ROWS`] entries, in the order of the log.
    ///
    /// # Errors
    /// As [`found`](Self::found).
    pub async fn table(&self, request: Request<Question>) -> Result<Vec<u8>, Status> {
        let (who, question) = self.auditor(request)?;
        let bounds = Bounds { entries: MAX_ROWS, looked: MAX_LOOKED_FOR_TABLE };
        let found =
            self.run(&who, question, None, bounds, "search_table").await.map_err(refused)?;
        table(&found.entries).map_err(|_| refused(Refusal::Internal))
    }

    /// One entry.
    ///
    /// # Errors
    /// As [`found`](Self::found); also when there is none of this number.
    pub async fn entry(&self, request: Request<u64>) -> Result<Entry, Status> {
        let (who, seq) = self.auditor(request)?;
        let _one_at_a_time = self.shared.auditing.lock().await;
        let looked = self.looked(&who, "entry", |draft| draft.count = Some(seq)).await;
        looked.map_err(refused)?;
        let bounds = Bounds { entries: 1, looked: 1 };
        let below = Some(seq.saturating_add(1));
        let read = self.read(move |dir| search(&dir, &Question::default(), below, bounds));
        let found = read.await.map_err(refused)?.entries.pop();
        found.filter(|entry| entry.seq == seq).ok_or_else(|| refused(Refusal::NotFound("entry")))
    }

    async fn run(
        &self,
        who: &crate::guard::SignedIn,
        question: Question,
        below: Option<u64>,
        bounds: Bounds,
        at: &str,
    ) -> Result<Found, Refusal> {
        let _one_at_a_time = self.shared.auditing.lock().await;
        let looked = self.looked(who, at, |draft| {
            draft.enquiry.clone_from(&question.enquiry);
            draft.person.clone_from(&question.person);
        });
        looked.await?;
        self.read(move |dir| search(&dir, &question, below, bounds)).await
    }
}

/// Entries as a table, the oldest first.
fn table(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut table = Table::begin(&mut bytes)?;
    entries.iter().rev().try_for_each(|entry| table.row(entry))?;
    table.flush()?;
    drop(table);
    Ok(bytes)
}
