//! Enquiries to look at again a year after they were closed: those closed twelve months before, on days whose anniversary falls in the
//! month. The list gives references; whoever audits asks the agencies what became of the people.
//!
//! What was closed, and how, comes from the log alone. Whether the same people came back stands in the store only, since the log does not
//! know who somebody is; without it the list says so.

use std::collections::BTreeMap;

use brag_common::{
    agreement::clock::united_kingdom,
    audit::entry::{Action, Entry, Word},
    id::EnquiryRef,
    time::Timestamp,
};
use jiff::{ToSpan as _, civil::Date};

use super::{
    document::{Block, Cell, Document, Row, Section, Table},
    dpia::verdict,
    logs::Log,
    performance::kept::Kept,
    period::Period,
};

/// One closing that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The day on which it was closed, of local time in the United Kingdom.
    pub closed_on: Date,
    /// The day a year later.
    pub due_on: Date,
    /// How it ended.
    pub outcome: String,
    /// The number of the closing entry.
    pub seq: u64,
}

/// The closings of a log, and what was erased since.
#[derive(Debug, Default)]
pub struct Closings {
    closed: BTreeMap<EnquiryRef, Due>,
    erased: BTreeMap<EnquiryRef, Timestamp>,
    last_entry: Option<Timestamp>,
}

impl Closings {
    /// Those of the hub's log.
    ///
    /// # Errors
    /// When the log can not be read.
    pub fn of(log: &Log) -> anyhow::Result<Self> {
        let mut closings = Self::default();
        log.read(|entry| closings.read(entry))?;
        Ok(closings)
    }

    /// Reads the next entry of the hub's log.
    pub fn read(&mut self, entry: &Entry) {
        self.last_entry = Some(entry.ts);
        let Some(enquiry) = &entry.enquiry else { return };
        match entry.action {
            Action::EnquiryClosed => {
                let Some(closed_on) = day(entry.ts) else { return };
                let Some(due_on) = a_year_after(closed_on) else { return };
                let outcome = entry.decision.as_ref().map_or("–", Word::as_str).to_owned();
                let (enquiry, seq) = (enquiry.clone(), entry.seq);
                let due = Due { enquiry: enquiry.clone(), closed_on, due_on, outcome, seq };
                self.closed.insert(enquiry, due);
            }
            Action::RecordsErased => {
                self.erased.entry(enquiry.clone()).or_insert(entry.ts);
            }
            _ => {}
        }
    }

    /// The month of the log's last entry; `None` when it has none.
    #[must_use]
    pub fn last_month(&self) -> Option<Period> {
        let day = day(self.last_entry?)?;
        Period::days(day.first_of_month(), day.last_of_month()).ok()
    }

    /// Those whose anniversary falls in the period, in the order of their days.
    #[must_use]
    pub fn due(&self, period: &Period) -> Vec<&Due> {
        let in_it = |due: &&Due| (period.first()..=period.last()).contains(&due.due_on);
        let mut due: Vec<&Due> = self.closed.values().filter(in_it).collect();
        due.sort_by_key(|due| (due.due_on, due.seq));
        due
    }
}

/// The day of a moment in the United Kingdom.
fn day(at: Timestamp) -> Option<Date> {
    united_kingdom().map(|zone| zone.to_datetime(at).date())
}

/// The same day a year after; that of the last of February in a leap year is the last of February.
fn a_year_after(day: Date) -> Option<Date> {
    day.checked_add(1.year()).ok()
}

/// The list as a document. It is for the audit, and not for sharing.
#[must_use]
pub fn re_audit(closings: &Closings, log: &Log, kept: Option<&Kept>, period: &Period) -> Document {
    let due = closings.due(period);
    let mut list = Section::new("list", "Closed a year before").text(
        "Enquiries whose closing is twelve months old on a day of this month, for the follow-up audit: what became of the people, and was the outcome the right one? \
         References lead to people by way of the hub's store alone.",
    );
    if !log.is_in_order() {
        list = list.block(Block::Warning(
            "The log is NOT IN ORDER. What was closed from its first wrong entry on is not here."
                .to_owned(),
        ));
    }
    if due.is_empty() {
        list = list.text("Nothing was closed on these days a year before.");
    }
    let later: Vec<Again> = due.iter().map(|due| Again::of(due, closings, kept)).collect();
    let again = later.iter().filter(|again| matches!(again, Again::Yes(_))).count();
    let looked = later.iter().filter(|again| !matches!(again, Again::NotKnown(_))).count();
    list = list.block(Block::Facts(vec![
        ("Due".to_owned(), due.len().to_string()),
        (
            "Re-referred since, of those of which it is known".to_owned(),
            format!("{again} of {looked}"),
        ),
    ]));
    let rows = due.iter().zip(&later).map(|(due, again)| {
        let cells = vec![
            Cell::from(due.enquiry.as_str()),
            due.closed_on.to_string().into(),
            due.outcome.as_str().into(),
            due.due_on.to_string().into(),
            again.to_string().into(),
            format!("hub {}", due.seq).into(),
        ];
        Row { figures: Vec::new(), cells }
    });
    let table = Table {
        id: "re_audit".to_owned(),
        caption: "To be looked at again".to_owned(),
        columns: ["Enquiry", "Closed", "Outcome", "A year after", "Re-referred since", "Entry"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
        note: "Closings come from the log (`enquiry_closed`). Whether one of the people was in a later enquiry comes from the hub's store: by the links that the hub made when that one was \
               opened. A later enquiry that was erased does not show."
            .to_owned(),
    };
    let store = if kept.is_some() { "read" } else { "not read" };
    Document {
        kind: "re_audit",
        title: "Follow-up audit after twelve months".to_owned(),
        shared: false,
        facts: vec![
            ("Anniversaries".to_owned(), format!("{period}, days of local time")),
            ("Log of hub".to_owned(), verdict(log)),
            ("Store of hub".to_owned(), store.to_owned()),
        ],
        sections: vec![
            list.table(table)
                .slot("sample", "Which of these were looked at, by whom, and what was found."),
        ],
    }
}

/// Whether one of the people was in a later enquiry.
enum Again {
    Yes(Vec<(EnquiryRef, Timestamp)>),
    No,
    NotKnown(&'static str),
}

impl Again {
    fn of(due: &Due, closings: &Closings, kept: Option<&Kept>) -> Self {
        let Some(kept) = kept else {
            return Self::NotKnown("not known: the store was not read");
        };
        if closings.erased.contains_key(&due.enquiry) || kept.enquiry(&due.enquiry).is_none() {
            return Self::NotKnown("not known: it is erased");
        }
        let later = kept.later(&due.enquiry);
        if later.is_empty() {
            return Self::No;
        }
        Self::Yes(later.into_iter().map(|(later, at)| (later.clone(), at)).collect())
    }
}

impl std::fmt::Display for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::NotKnown(why) => f.write_str(why),
            Self::Yes(later) => {
                f.write_str("yes")?;
                for (n, (enquiry, at)) in later.iter().enumerate() {
                    let joined = if n == 0 { ": " } else { ", " };
                    let on = day(*at).map(|day| format!(" on {day}")).unwrap_or_default();
                    write!(f, "{joined}{enquiry}{on}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        performance::kept::Kept,
        period::Month,
        testkit::{Entries, kept_enquiry, store_of},
    };

    fn closings(log: &Entries) -> Closings {
        let mut closings = Closings::default();
        log.all().iter().for_each(|entry| closings.read(entry));
        closings
    }

    fn month(text: &str) -> Period {
        let Month(period) = text.parse().unwrap();
        period
    }

    fn closed_at(log: &mut Entries, times: &[(&str, &str)]) {
        for (enquiry, at) in times {
            log.at(at);
            log.closed(enquiry, "multi_agency_plan", None, Some(0));
        }
    }

    #[test]
    fn only_closings_whose_anniversary_is_in_the_month_are_due() {
        let mut log = Entries::new();
        closed_at(
            &mut log,
            &[
                ("e1", "2026-01-31T23:59:59Z"),
                ("e2", "2026-02-01T00:00:00Z"),
                ("e3", "2026-02-28T23:59:59Z"),
                ("e4", "2026-03-01T00:00:00Z"),
                ("e5", "2027-02-10T09:00:00Z"),
            ],
        );
        let closings = closings(&log);
        let due: Vec<String> =
            closings.due(&month("2027-02")).iter().map(|due| due.enquiry.to_string()).collect();
        assert_eq!(due, ["e2", "e3"]);
    }

    #[test]
    fn days_are_those_of_the_united_kingdom_and_the_leap_day_falls_on_the_last_of_february() {
        let mut log = Entries::new();
        // Summer time: the next day already.
        closed_at(&mut log, &[("e1", "2028-02-29T12:00:00Z"), ("e2", "2028-06-30T23:30:00Z")]);
        let closings = closings(&log);
        assert_eq!(closings.due(&month("2029-02"))[0].due_on.to_string(), "2029-02-28");
        assert_eq!(closings.due(&month("2029-07"))[0].closed_on.to_string(), "2028-07-01");
    }

    #[test]
    fn without_a_month_it_is_that_of_the_logs_last_entry() {
        let mut log = Entries::new();
        assert_eq!(Closings::default().last_month(), None);
        closed_at(&mut log, &[("e1", "2027-05-31T23:30:00Z")]);
        assert_eq!(closings(&log).last_month(), Some(month("2027-06")));
    }

    #[test]
    fn who_came_back_is_known_by_the_store_and_not_without_it_nor_when_it_is_erased() {
        let mut log = Entries::new();
        closed_at(
            &mut log,
            &[
                ("e1", "2026-02-03T09:00:00Z"),
                ("e2", "2026-02-04T09:00:00Z"),
                ("e3", "2026-02-05T09:00:00Z"),
            ],
        );
        let closings = closings(&log);
        let (store, _folder) = store_of(&[
            kept_enquiry("e1", "2026-02-01T09:00:00Z", &[("p1", None, &[])], &[]),
            kept_enquiry("e2", "2026-02-02T09:00:00Z", &[("p2", None, &[])], &[]),
            kept_enquiry("e9", "2026-08-02T09:00:00Z", &[("p9", None, &[])], &["e1"]),
        ]);
        let kept = Kept::of(&store).unwrap();
        let due = closings.due(&month("2027-02"));
        let again = |n: usize, kept| Again::of(due[n], &closings, kept).to_string();
        assert_eq!(again(0, None), "not known: the store was not read");
        assert_eq!(again(2, Some(&kept)), "not known: it is erased");
        assert_eq!(again(1, Some(&kept)), "no");
        assert_eq!(again(0, Some(&kept)), "yes: e9 on 2026-08-02");
    }
}
