//! What operators are shown, in rows of a name, a value, and a word where something is to be done.

use brag_common::{
    console::shown::when,
    machine::{DiskAlarm, Space, spoken_bytes},
    time::{SignedDuration, Timestamp},
};

use crate::{
    operating::{Certificate, Connected, Connections, Health, Records},
    records::ImportReport,
};

/// From here on a certificate is to be renewed.
const RENEW_DAYS: i64 = 30;
/// From here on it is urgent.
const RENEW_NOW_DAYS: i64 = 7;
/// A hub from which nothing came for so long: usual when nobody works, worth a look when somebody does.
const QUIET: SignedDuration = SignedDuration::from_mins(15);

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) word: Option<Word>,
}

/// A word beside a value: how urgent it is, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The colour of its tag; the word says the same.
    pub(super) colour: &'static str,
    pub(super) text: &'static str,
}

const fn word(colour: &'static str, text: &'static str) -> Option<Word> {
    Some(Word { colour, text })
}

fn row(name: &str, value: impl Into<String>, word: Option<Word>) -> Row {
    Row { name: name.to_owned(), value: value.into(), word }
}

/// A length of time in its two largest units.
fn length(of: SignedDuration) -> String {
    let minutes = of.as_mins().max(0);
    let (days, hours) = (minutes / (24 * 60), minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} minutes"),
        (0, hours) => format!("{hours} hours {} minutes", minutes % 60),
        (days, hours) => format!("{days} days {hours} hours"),
    }
}

fn disk(space: &Result<Space, String>) -> Row {
    let name = "Disk of the data folder";
    match space {
        Err(problem) => row(name, problem.clone(), word("red", "Unknown")),
        Ok(space) => {
            let (percent, free) = (space.used_percent(), spoken_bytes(space.free));
            let alarm = match space.alarm() {
                DiskAlarm::None => None,
                DiskAlarm::Soon => word("yellow", "Make room soon"),
                DiskAlarm::Now => word("red", "Make room now"),
            };
            row(name, format!("{percent} % used, {free} free"), alarm)
        }
    }
}

fn available(is: bool) -> Option<Word> {
    if is { word("green", "Can be written") } else { word("red", "Can not be written") }
}

pub(super) fn health_rows(health: &Health) -> Vec<Row> {
    let bytes = |bytes: Option<u64>| bytes.map_or("size not known".to_owned(), spoken_bytes);
    let behind = health.log_entries.saturating_sub(health.log_cosigned);
    vec![
        row("Version", health.version, None),
        row("Clock", when(health.now.as_millisecond()), None),
        row(
            "Running for",
            format!(
                "{}, since {}",
                length(health.now.duration_since(health.started)),
                when(health.started.as_millisecond())
            ),
            None,
        ),
        disk(&health.disk),
        row("Store", bytes(health.store_bytes), available(health.store_available)),
        row(
            "Log",
            format!("{} entries, {}", health.log_entries, bytes(health.log_bytes)),
            available(health.log_available),
        ),
        row(
            "Log seen by the hub",
            format!("{} entries cosigned, {behind} not yet", health.log_cosigned),
            None,
        ),
        row(
            "Deliveries that wait for the hub",
            health.outbox.to_string(),
            if health.outbox == 0 { None } else { word("yellow", "Waiting") },
        ),
    ]
}

pub(super) fn enrolment_rows(records: &Records) -> Vec<Row> {
    let epoch = match records.epoch {
        None => row("Epoch", "never enrolled", word("red", "Run agency-node enrol")),
        Some(epoch) if epoch < records.told => row(
            "Epoch",
            format!("{epoch}; the hub is at {}", records.told),
            word("yellow", "Being enrolled"),
        ),
        Some(epoch) => row("Epoch", epoch.to_string(), None),
    };
    let missing = records.people.saturating_sub(records.enrolled);
    vec![
        epoch,
        row(
            "People enrolled",
            format!("{} of {}", records.enrolled.min(records.people), records.people),
            if missing == 0 { None } else { word("yellow", "Some are not; see the guide") },
        ),
    ]
}

pub(super) fn import_rows(import: &ImportReport) -> Vec<Row> {
    let number = |name, n: u64| row(name, n.to_string(), None);
    vec![
        row("When", when(import.at.as_millisecond()), None),
        row(
            "Files read",
            import.files.to_string(),
            if import.given_up { word("red", "A file was given up") } else { None },
        ),
        number("Rows read", import.rows.read),
        number("New", import.rows.new),
        number("Changed", import.rows.changed),
        number("Unchanged", import.rows.unchanged),
        row(
            "Rejected",
            import.rows.rejected.to_string(),
            if import.rows.rejected == 0 { None } else { word("yellow", "Mend the export") },
        ),
    ]
}

pub(super) fn connector_rows(connected: &Connected) -> Vec<Row> {
    let mut rows = vec![row(
        "Source",
        format!("{}, every {}", connected.kind, connected.every),
        if connected.last.is_none() { word("grey", "Not run yet") } else { None },
    )];
    let Some(last) = &connected.last else { return rows };
    rows.push(row(
        "Last run",
        when(last.at.as_millisecond()),
        if last.failure.is_some() { word("red", "Given up") } else { None },
    ));
    rows.extend(last.failure.iter().map(|why| row("Why", why.clone(), None)));
    let number = |name, n: u64| row(name, n.to_string(), None);
    rows.extend([
        row("Files read", last.files.to_string(), None),
        number("Records read", last.rows.read),
        number("New", last.rows.new),
        number("Changed", last.rows.changed),
        number("Unchanged", last.rows.unchanged),
        row(
            "Rejected",
            last.rows.rejected.to_string(),
            if last.rows.rejected == 0 { None } else { word("yellow", "Mend them in the system") },
        ),
        number("Rows that the mapping makes nothing of", last.passed_over),
    ]);
    rows
}

pub(super) fn hub_rows(seen: &Connections) -> Vec<Row> {
    let last = |name, ms: i64| {
        if ms == 0 {
            return row(name, "not since the start", None);
        }
        let quiet =
            Timestamp::from_millisecond(ms).is_ok_and(|then| seen.now.duration_since(then) > QUIET);
        row(name, when(ms), if quiet { word("grey", "Quiet") } else { None })
    };
    let mut rows = vec![
        row("Address of the hub", seen.hub.clone(), None),
        last("It last called", seen.called),
        last("It last answered", seen.answered),
        row(
            "Agreement that holds",
            format!("version {}, until {}", seen.version, when(seen.until.as_millisecond())),
            expiry(seen.until, seen.now, "Have the partnership sign the next"),
        ),
    ];
    if let Some(standing) = seen.standing {
        let urgent =
            if standing < 1 { word("red", "The hub can not reach the node") } else { None };
        rows.insert(1, row("Connections that this node has dialled", standing.to_string(), urgent));
    }
    if let Some((version, from)) = seen.coming {
        let value = format!("version {version}, from {}", when(from.as_millisecond()));
        rows.push(row("Agreement that is coming", value, None));
    }
    rows
}

fn expiry(at: Timestamp, now: Timestamp, remedy: &'static str) -> Option<Word> {
    match at.duration_since(now).as_hours().div_euclid(24) {
        ..0 => word("red", "Expired"),
        0..RENEW_NOW_DAYS => word("red", remedy),
        RENEW_NOW_DAYS..RENEW_DAYS => word("yellow", remedy),
        _ => None,
    }
}

pub(super) fn certificates(all: &[Certificate], now: Timestamp) -> Vec<Row> {
    let shown = all.iter().map(|one| match &one.expires {
        Err(problem) => row(one.what, problem.clone(), word("red", "Can not be read")),
        Ok(at) => {
            let days = at.duration_since(now).as_hours().div_euclid(24).max(0);
            let value = format!("{}, {days} days left", when(at.as_millisecond()));
            row(one.what, value, expiry(*at, now, "Renew it"))
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_is_to_be_renewed_a_month_before_its_end() {
        let now = at("2026-11-01T00:00:00Z");
        for (end, text) in [
            ("2026-10-31T23:00:00Z", Some("Expired")),
            ("2026-11-01T00:00:00Z", Some("Renew it")),
            ("2026-11-07T23:00:00Z", Some("Renew it")),
            ("2026-11-30T23:00:00Z", Some("Renew it")),
            ("2026-12-01T00:00:00Z", None),
        ] {
            let all = [Certificate { what: "x", expires: Ok(at(end)) }];
            let shown = certificates(&all, now);
            assert_eq!(shown[0].word.as_ref().map(|word| word.text), text, "{end}");
        }
    }

    #[test]
    fn a_full_disk_and_a_log_that_can_not_be_written_are_said_in_words() {
        let full = disk(&Ok(Space { total: 100, free: 5 }));
        assert_eq!(full.value, "95 % used, 5 bytes free");
        assert_eq!(full.word.unwrap().text, "Make room now");
        assert_eq!(available(false).unwrap().text, "Can not be written");
    }

    #[test]
    fn who_is_not_enrolled_is_counted() {
        let mut records = Records {
            import: None,
            connectors: Vec::new(),
            people: 10,
            enrolled: 8,
            epoch: Some(3),
            told: 4,
        };
        let rows = enrolment_rows(&records);
        assert_eq!(rows[0].word.as_ref().unwrap().text, "Being enrolled");
        assert_eq!(rows[1].value, "8 of 10");
        assert!(rows[1].word.is_some());
        records = Records { enrolled: 10, told: 0, ..records };
        assert!(enrolment_rows(&records).iter().all(|row| row.word.is_none()));
    }

    #[test]
    fn a_connector_that_was_given_up_says_why_in_words() {
        let mut connected = Connected {
            name: "housing".parse().unwrap(),
            kind: "folder",
            every: brag_common::config::DurationText::from_secs(900),
            last: None,
        };
        let rows = connector_rows(&connected);
        assert_eq!(rows[0].value, "folder, every 15m");
        assert_eq!(rows[0].word.as_ref().unwrap().text, "Not run yet");
        let mut last = crate::connect::state::RunReport::begun(at("2026-11-01T00:00:00Z"));
        last.failure = Some("the folder can not be read".to_owned());
        connected.last = Some(last);
        let rows = connector_rows(&connected);
        assert_eq!(rows[1].word.as_ref().unwrap().text, "Given up");
        assert_eq!(rows[2].value, "the folder can not be read");
    }

    #[test]
    fn lengths_are_said_in_two_units() {
        for (minutes, said) in
            [(5, "5 minutes"), (61, "1 hours 1 minutes"), (1500, "1 days 1 hours")]
        {
            assert_eq!(length(SignedDuration::from_mins(minutes)), said);
        }
    }
}
