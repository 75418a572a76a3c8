//! Parses the agreement file: all faults at once, each with its line.
//!
//! The text has to be one that can be signed as it stands (C2SP signed-note): UTF-8, no control
//! character but the new line, and a new line at its end.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use toml::de::DeTable;

use super::{
    catalogue,
    clock::{WorkingHours, united_kingdom},
    faults::{AgreementFaults, Collector},
    model::{Agreement, Validity},
    parties,
    period::{Period, parse_duration, parse_percent},
    reader::{Table, Value},
    revoked,
    terms::{ClockRuns, Environment, Gate, Purpose, ReviewAuthority, Weekday},
    values::{
        Clocks, Contacts, Freshness, GateNumbers, Limit, MatchingTerms, RatingTerms, Retention,
        ReviewTerms,
    },
};
use crate::{
    id::{AgreementDigest, AgreementId},
    rating::AnalysisBounds,
    time::{SignedDuration, Timestamp},
};

/// The formats of agreement files this program reads. The second adds what an amendment says of the version before:
/// `replaces`, and `[[revoked]]` keys.
const SCHEMAS: std::ops::RangeInclusive<u32> = 1..=2;

/// The longest agreement text. A note adds at most a hundred signature lines, and stays under the
/// limit of [`super::NOTE_BYTES_MAX`].
const TEXT_BYTES_MAX: usize = 900_000;

impl Agreement {
    /// Parses an agreement file.
    ///
    /// # Errors
    /// When anything in it is wrong or unknown: every fault, for the partnership to mend.
    pub fn parse(text: &str) -> Result<Self, AgreementFaults> {
        let mut faults = Collector::new(text);
        check_signable(text, &mut faults);
        // A text too long or not signable is not worth reading further: it may be no TOML at all.
        if !faults.is_empty() {
            return Err(faults.into_faults());
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            faults.add(at, "", format!("not TOML: {}", error.message()));
        }
        if !faults.is_empty() {
            return Err(faults.into_faults());
        }
        let agreement = read(Table::root(root.get_ref()), &mut faults);
        match agreement {
            Some(agreement) if faults.is_empty() => Ok(agreement),
            Some(_) | None => {
                // INVARIANT: whatever is missing was noted. Fail closed if that were ever broken.
                if faults.is_empty() {
                    faults.add(0, "", "the agreement is not complete");
                }
                Err(faults.into_faults())
            }
        }
    }
}

fn check_signable(text: &str, faults: &mut Collector) {
    if text.len() > TEXT_BYTES_MAX {
        faults.add(0, "", format!("the text is longer than {TEXT_BYTES_MAX} bytes"));
        return;
    }
    if !text.ends_with('\n') {
        let last = text.len().saturating_sub(1);
        faults.add(last, "", "the text must end with a new line, so that it can be signed");
    }
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_control() && *c != '\n') {
        let code = u32::from(c);
        faults.add(
            at,
            "",
            format!(
                "control character U+{code:04X}; only new lines may be signed (use spaces, LF)"
            ),
        );
    }
}

fn read(mut root: Table<'_, '_>, faults: &mut Collector) -> Option<Agreement> {
    let schema = root.required("schema", faults, |value| match value.number(0, u32::MAX)? {
        known if SCHEMAS.contains(&known) => Ok(known),
        other => Err(format!("this program reads schema 1 or 2, not {other}")),
    });
    // What came with the second format is unknown in the first, so that an older program never reads half of it.
    let amends = schema == Some(2);
    let header = read_header(&mut root, amends, faults);
    let parties = parties::read(&mut root, faults);
    let revoked =
        if amends { revoked::read(&mut root, &parties.keys, faults) } else { BTreeMap::new() };
    let rating = read_rating(&mut root, faults);
    let gates = read_gates(&mut root, faults);
    let matching = read_matching(&mut root, faults);
    let freshness = read_freshness(&mut root, faults);
    let clocks = read_clocks(&mut root, faults);
    let review = read_review(&mut root, faults);
    let views = read_views(&mut root, faults);
    let retention = read_retention(&mut root, faults);
    let catalogue = catalogue::read(&mut root, &parties.declared, faults);
    let contacts = read_contacts(&mut root, faults);
    root.finish(faults);

    let header = header?;
    Some(Agreement {
        id: header.id,
        version: header.version,
        replaces: header.replaces,
        revoked,
        validity: header.validity,
        review_by: header.review_by,
        environment: header.environment,
        territory: header.territory,
        dpia_ref: header.dpia_ref,
        ropa_ref: header.ropa_ref,
        purposes: header.purposes,
        parties: parties.by_id,
        hub: parties.hub,
        rating: rating?,
        gates: gates?,
        matching: matching?,
        freshness: freshness?,
        clocks: clocks?,
        review: review?,
        views: views?,
        retention: retention?,
        disclosure: catalogue.disclosure,
        allow: catalogue.allow,
        client_only: catalogue.client_only,
        specialist: catalogue.specialist,
        categories: catalogue.categories,
        never: catalogue.never,
        contacts: contacts?,
    })
}

struct Header {
    id: AgreementId,
    version: u32,
    replaces: Option<AgreementDigest>,
    validity: Validity,
    review_by: Date,
    environment: Environment,
    territory: Vec<Box<str>>,
    dpia_ref: Box<str>,
    ropa_ref: Box<str>,
    purposes: std::collections::BTreeSet<Purpose>,
}

fn read_header(root: &mut Table<'_, '_>, amends: bool, faults: &mut Collector) -> Option<Header> {
    let mut table = root.required_table("agreement", faults)?;
    let id = table.required("id", faults, Value::parsed);
    let version = table.required("version", faults, |value| value.number(1, 1_000_000));
    let replaces = if amends { table.optional("replaces", faults, Value::parsed) } else { None };
    let validity = read_validity(&mut table, faults);
    let review_by = table.required("review_by", faults, Value::date);
    if let (Some(review_by), Some(validity)) = (review_by, validity)
        && !(validity.from..=validity.to).contains(&review_by)
        && let Some(value) = table.value("review_by")
    {
        faults.add(value.at(), value.path(), "must lie between `valid_from` and `valid_to`");
    }
    let environment = table
        .required("environment", faults, |value| value.word(Environment::ALL, Environment::word));
    let territory = table.required_value("territory", faults);
    let territory = territory.map(|value| non_empty_set(&value, faults, Value::words));
    let dpia_ref = table.required("dpia_ref", faults, Value::words);
    let ropa_ref = table.required("ropa_ref", faults, Value::words);
    let purposes = table
        .required_value("purposes", faults)
        .map(|value| non_empty_set(&value, faults, |item| item.word(Purpose::ALL, Purpose::word)));
    table.finish(faults);
    Some(Header {
        id: id?,
        version: version?,
        replaces,
        validity: validity?,
        review_by: review_by?,
        environment: environment?,
        territory: territory?.into_iter().collect(),
        dpia_ref: dpia_ref?,
        ropa_ref: ropa_ref?,
        purposes: purposes?,
    })
}

fn read_validity(table: &mut Table<'_, '_>, faults: &mut Collector) -> Option<Validity> {
    let from = table.required("valid_from", faults, Value::date);
    let to = table.required("valid_to", faults, Value::date);
    let (from, to) = (from?, to?);
    let value = table.value("valid_to")?;
    if to < from {
        faults.add(value.at(), value.path(), "is before `valid_from`");
        return None;
    }
    let bounds = local_midnight(from).zip(to.tomorrow().ok().and_then(local_midnight));
    let Some((starts, ends)) = bounds else {
        faults.add(value.at(), value.path(), "is outside the calendar this program can count");
        return None;
    };
    Some(Validity { from, to, starts, ends })
}

/// Midnight never falls into the hour that clocks skip or repeat, so there is exactly one.
fn local_midnight(day: Date) -> Option<Timestamp> {
    united_kingdom()?.to_timestamp(day.to_datetime(Time::midnight())).ok()
}

/// A list that must hold something.
pub(super) fn non_empty_set<'a, 't, T: Ord>(
    value: &Value<'a, 't>,
    faults: &mut Collector,
    parse: impl Fn(&Value<'a, 't>) -> Result<T, String>,
) -> std::collections::BTreeSet<T> {
    if value.items().is_ok_and(|items| items.is_empty()) {
        faults.add(value.at(), value.path(), "must not be empty");
    }
    value.set(faults, parse)
}

fn duration(value: &Value<'_, '_>) -> Result<SignedDuration, String> {
    parse_duration(value.text()?)
}

fn read_rating(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<RatingTerms> {
    let mut table = root.required_table("rating", faults)?;
    let forbid = table.required("forbid_blue_with_domestic_abuse", faults, Value::flag);
    let min = table.required("analysis_min_chars", faults, |value| value.number(1, 10_000));
    let max = table.required("analysis_max_chars", faults, |value| value.number(1, 10_000));
    if let (Some(min), Some(max)) = (min, max)
        && max < min
        && let Some(value) = table.value("analysis_max_chars")
    {
        faults.add(value.at(), value.path(), "is below `analysis_min_chars`");
    }
    let standing = table.required("standing_max_age", faults, duration);
    table.finish(faults);
    let analysis = AnalysisBounds {
        min_chars: usize::try_from(min?).ok()?,
        max_chars: usize::try_from(max?).ok()?,
    };
    Some(RatingTerms {
        forbid_blue_with_domestic_abuse: forbid?,
        analysis,
        standing_age_max: standing?,
    })
}

fn read_gates(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<GateNumbers> {
    let mut table = root.required_table("gates", faults)?;
    let mut number =
        |key, max| table.required(key, faults, |value: &Value<'_, '_>| value.number(1, max));
    let amber_agencies = number("amber_agencies", 100);
    // The Dash risk checklist has 27 questions.
    let marac_dash_ticks = number("marac_dash_ticks", 27);
    let marac_reports = number("marac_reports_in_12_months", 1000);
    let cumulative_history = number("cumulative_history", 1000);
    table.finish(faults);
    Some(GateNumbers {
        amber_agencies: usize::try_from(amber_agencies?).ok()?,
        marac_dash_ticks: marac_dash_ticks?,
        marac_reports: marac_reports?,
        cumulative_history: cumulative_history?,
    })
}

fn read_matching(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<MatchingTerms> {
    let mut table = root.required_table("matching", faults)?;
    let disclose_from = table.required("disclose_from", faults, Value::probability);
    let review_from = table.required("review_from", faults, Value::probability);
    if let (Some(disclose), Some(review)) = (disclose_from, review_from)
        && review > disclose
        && let Some(value) = table.value("review_from")
    {
        faults.add(value.at(), value.path(), "is above `disclose_from`");
    }
    let authority = table.required("review_authorised_by", faults, |value| {
        value.word(ReviewAuthority::ALL, ReviewAuthority::word)
    });
    table.finish(faults);
    Some(MatchingTerms {
        disclose_from: disclose_from?,
        review_from: review_from?,
        review_authorised_by: authority?,
    })
}

fn read_freshness(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<Freshness> {
    let mut table = root.required_table("freshness", faults)?;
    let amber = table.required("amber", faults, duration);
    let red = table.required("red", faults, duration);
    table.finish(faults);
    Some(Freshness { amber: amber?, red: red? })
}

fn read_clocks(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<Clocks> {
    let mut table = root.required_table("clocks", faults)?;
    let section_47 = read_limit(&mut table, "section_47", faults);
    let red = read_limit(&mut table, "red", faults);
    let amber = read_limit(&mut table, "amber", faults);
    let green = read_limit(&mut table, "green", faults);
    let notification_lag = read_limit(&mut table, "notification_lag", faults);
    let working_hours = read_working_hours(&mut table, faults);
    table.finish(faults);
    Some(Clocks {
        section_47: section_47?,
        red: red?,
        amber: amber?,
        green: green?,
        notification_lag: notification_lag?,
        working_hours: working_hours?,
    })
}

/// A table that is absent stands for Monday to Friday, 09:00 to 17:00.
fn read_working_hours(clocks: &mut Table<'_, '_>, faults: &mut Collector) -> Option<WorkingHours> {
    let Some(value) = clocks.value("working_hours") else {
        return Some(WorkingHours::default());
    };
    let mut table = match value.as_table() {
        Ok(table) => table,
        Err(message) => {
            faults.add(value.at(), value.path(), message);
            return None;
        }
    };
    let days = table.required_value("days", faults);
    let days =
        days.map(|days| non_empty_set(&days, faults, |day| day.word(Weekday::ALL, Weekday::word)));
    let from = table.required("from", faults, time_of_day);
    let to = table.required("to", faults, time_of_day);
    table.finish(faults);
    let (days, from, to) = (days?, from?, to?);
    let days: Vec<Weekday> = days.into_iter().collect();
    let hours = WorkingHours::new(&days, from, to);
    if hours.is_none() && !days.is_empty() {
        faults.add(value.at(), value.path(), "`to` must be later than `from`");
    }
    hours
}

/// Hours and minutes, as in `"09:00"`.
fn time_of_day(value: &Value<'_, '_>) -> Result<Time, String> {
    let text = value.text()?;
    let wrong = || format!("`{text}` is not a time of day: write for example `09:00`");
    let form = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
    if !form {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

fn read_limit(
    clocks: &mut Table<'_, '_>,
    key: &'static str,
    faults: &mut Collector,
) -> Option<Limit> {
    let mut table = clocks.required_table(key, faults)?;
    let limit = table.required("limit", faults, duration);
    let runs = table.required("runs", faults, |value| value.word(ClockRuns::ALL, ClockRuns::word));
    table.finish(faults);
    Some(Limit { limit: limit?, runs: runs? })
}

fn read_review(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<ReviewTerms> {
    let mut table = root.required_table("review", faults)?;
    let escalate_at = table.required("escalate_at", faults, |value| parse_percent(value.text()?));
    // The word is written so that people read it in the agreement; there is no other.
    table.required("expires_to", faults, |value| value.word(&["deny"], |word| word));
    table.finish(faults);
    Some(ReviewTerms { escalate_at_percent: escalate_at? })
}

fn read_views(
    root: &mut Table<'_, '_>,
    faults: &mut Collector,
) -> Option<BTreeMap<Gate, SignedDuration>> {
    let mut table = root.required_table("views", faults)?;
    let mut views = BTreeMap::new();
    for gate in Gate::ALL.iter().copied() {
        if gate == Gate::G6 {
            views.extend(table.optional(gate.word(), faults, duration).map(|view| (gate, view)));
        } else {
            views.extend(table.required(gate.word(), faults, duration).map(|view| (gate, view)));
        }
    }
    table.finish(faults);
    Some(views)
}

fn read_retention(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<Retention> {
    let mut table = root.required_table("retention", faults)?;
    let ratings =
        table.required("ratings_after_close", faults, |value| Period::parse(value.text()?));
    let log = table.required("audit_log", faults, |value| Period::parse(value.text()?));
    table.finish(faults);
    Some(Retention { ratings_after_close: ratings?, audit_log: log? })
}

fn read_contacts(root: &mut Table<'_, '_>, faults: &mut Collector) -> Option<Contacts> {
    let mut table = root.required_table("escalation", faults)?;
    let officer = table.required("data_protection_officer", faults, Value::words);
    let out_of_hours = table.required("out_of_hours", faults, Value::words);
    let board = table.required("board", faults, Value::words);
    table.finish(faults);
    Some(Contacts { data_protection_officer: officer?, out_of_hours: out_of_hours?, board: board? })
}

#[cfg(test)]
mod tests;
