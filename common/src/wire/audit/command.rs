//! `alert list`, `alert handle` and `alert entries`, for both programs: what an auditor does at a running one.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::{Request, Status, transport::Endpoint};

use super::{
    super::pb::{self, audit_service_client::AuditServiceClient},
    time,
};
use crate::{
    profile,
    time::SystemClock,
    tls::{Channel, ClientTls, connect, with_deadline},
};

/// For one call: the program may have to read all of its log.
const CALL_WITHIN: Duration = Duration::from_secs(40);

/// The longest note that is read from a file, in bytes; the program refuses a shorter one already.
const MAX_NOTE_BYTES: u64 = 64 * 1024;

/// What an auditor does at a running program.
#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List alerts and how they were handled, oldest first
    ///
    /// Needs the role auditor. Looking is itself recorded.
    ///
    /// Example: alert list --open --profile me.toml
    #[command(verbatim_doc_comment)]
    List {
        /// Only those that nobody has handled
        #[arg(long)]
        open: bool,
        /// As whom, and in which form
        #[command(flatten)]
        to: To,
    },
    /// Say how an alert was handled
    ///
    /// Once, by somebody whom the alert is not about. That you did is in the log with your name; what you wrote stays in the program's
    /// store, encrypted.
    ///
    /// Example: alert handle 4711 --note "Spoke to her manager: a planned review of old cases." --profile me.toml
    #[command(verbatim_doc_comment)]
    Handle {
        /// The alert's number, as the list shows it
        number: u64,
        /// What was found and done, up to 4000 characters: a file that has it, or the text itself
        #[arg(long, value_name = "FILE|TEXT")]
        note: String,
        /// As whom, and in which form
        #[command(flatten)]
        to: To,
    },
    /// Print entries of the log, one line of JSON each
    ///
    /// The same entries as in the log's files, read through the running program. Needs the role auditor; looking is itself recorded.
    ///
    /// Example: alert entries --action detail_opened --profile me.toml
    #[command(verbatim_doc_comment)]
    Entries {
        /// From this number on
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        from: u64,
        /// Only entries of this action, for example `detail_opened`
        #[arg(long, value_name = "ACTION", default_value = "")]
        action: String,
        /// As whom, and in which form
        #[command(flatten)]
        to: To,
    },
}

/// Which program, as whom, and in which form the answer is wanted.
#[derive(Debug, Args)]
pub struct To {
    /// Profile: the program's address and name, and your certificate
    #[arg(long, value_name = "FILE", env = "BRAG_PROFILE")]
    profile: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// Something here failed.
    Failed(anyhow::Error),
    /// The program refused or did not answer.
    Refused(Box<Status>),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl AlertCommand {
    /// Whether one JSON document is wanted.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.to().json
    }

    const fn to(&self) -> &To {
        match self {
            Self::List { to, .. } | Self::Handle { to, .. } | Self::Entries { to, .. } => to,
        }
    }

    fn connect(&self) -> anyhow::Result<AuditServiceClient<Channel>> {
        let path = &self.to().profile;
        let profile = profile::load(path)
            .with_context(|| format!("can not use the profile `{}`", path.display()))?;
        let domain = profile.server.trust_domain().clone();
        let tls = ClientTls::load(profile.tls.files(), domain, Arc::new(SystemClock))?;
        let endpoint = Endpoint::from_shared(profile.endpoint.clone())
            .with_context(|| format!("`{}` is not an address", profile.endpoint))?;
        Ok(AuditServiceClient::new(connect(&endpoint, profile.server, tls)))
    }

    /// Runs the command at the program that its profile names.
    ///
    /// # Errors
    /// When the profile can not be used, the program refuses or does not answer, a note can not be read, or output can not be
    /// written.
    pub async fn run(&self, out: &mut dyn Write) -> Result<(), Stop> {
        let mut program = self.connect()?;
        match self {
            Self::List { open, to } => {
                let alerts = list(&mut program, *open).await?;
                if to.json {
                    let alerts: Vec<Value> = alerts.iter().map(document).collect();
                    writeln!(out, "{:#}", json!({ "alerts": alerts }))?;
                } else {
                    for alert in &alerts {
                        writeln!(out, "{}", line(alert))?;
                    }
                }
            }
            Self::Handle { number, note, to } => {
                let request = pb::HandleAlertRequest { number: *number, note: read_note(note)? };
                program.handle_alert(within(request)).await?;
                if to.json {
                    writeln!(out, "{:#}", json!({ "handled": number }))?;
                } else {
                    writeln!(out, "Recorded. Alert {number} is handled.")?;
                }
            }
            Self::Entries { from, action, to } => {
                let entries = entries(&mut program, *from, action).await?;
                if to.json {
                    let entries: Vec<Value> =
                        entries.iter().filter_map(|one| serde_json::from_str(one).ok()).collect();
                    writeln!(out, "{:#}", json!({ "entries": entries }))?;
                } else {
                    for entry in &entries {
                        writeln!(out, "{}", safe(entry))?;
                    }
                }
            }
        }
        Ok(())
    }
}

async fn list(
    program: &mut AuditServiceClient<Channel>,
    open_only: bool,
) -> Result<Vec<pb::AlertLine>, Status> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let request = pb::ListAlertsRequest { open_only, from, limit: 0 };
        let answer = program.list_alerts(within(request)).await?.into_inner();
        all.extend(answer.alerts);
        // Only ever forwards, whatever the program says.
        if answer.more_from <= from {
            return Ok(all);
        }
        from = answer.more_from;
    }
}

async fn entries(
    program: &mut AuditServiceClient<Channel>,
    mut from: u64,
    action: &str,
) -> Result<Vec<String>, Status> {
    // The reading is itself recorded: without an end it would run after its own entries.
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let request = pb::ListEntriesRequest { from, action: action.to_owned(), limit: 0 };
        let answer = program.list_entries(within(request)).await?.into_inner();
        all.extend(answer.entries);
        if answer.more_from <= from {
            break;
        }
        from = answer.more_from;
    }
    Ok(all)
}

/// The most answers that one command asks for: some hundred thousand entries. `log show` reads the files.
const MAX_PAGES: usize = 1000;

/// What stands in the file of this name, or the text itself when there is none.
fn read_note(note: &str) -> io::Result<String> {
    let path = Path::new(note);
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() > MAX_NOTE_BYTES => {
            Err(io::Error::other("the note is longer than 64 KiB"))
        }
        Ok(found) if found.is_file() => std::fs::read_to_string(path),
        Ok(_) | Err(_) => Ok(note.to_owned()),
    }
}

fn within<T>(message: T) -> Request<T> {
    with_deadline(message, CALL_WITHIN)
}

fn line(alert: &pb::AlertLine) -> String {
    let mut line =
        format!("{}  {}  {}", alert.number, time(alert.raised_at_unix_ms), safe(&alert.alert));
    for (name, value) in [
        ("by", &alert.about),
        ("peer", &alert.peer),
        ("enquiry", &alert.enquiry),
        ("person", &alert.person),
        ("category", &alert.category),
        ("reason", &alert.reason),
    ] {
        if !value.is_empty() {
            let _ = write!(line, "  {name} {}", safe(value));
        }
    }
    if alert.count > 0 {
        let _ = write!(line, "  count {}", alert.count);
    }
    if alert.handled_at_unix_ms == 0 {
        line.push_str("  OPEN");
    } else {
        let at = time(alert.handled_at_unix_ms);
        let _ = write!(line, "  handled by {} {at}", safe(&alert.handled_by));
        if !alert.note.is_empty() {
            let _ = write!(line, ": {}", safe(&alert.note));
        }
    }
    line
}

fn document(alert: &pb::AlertLine) -> Value {
    let mut document = json!({
        "number": alert.number,
        "raised_at": time(alert.raised_at_unix_ms),
        "alert": alert.alert,
        "open": alert.handled_at_unix_ms == 0,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(fields) = document.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    for (name, value) in [
        ("about", &alert.about),
        ("role", &alert.role),
        ("peer", &alert.peer),
        ("enquiry", &alert.enquiry),
        ("person", &alert.person),
        ("category", &alert.category),
        ("reason", &alert.reason),
        ("handled_by", &alert.handled_by),
        ("note", &alert.note),
    ] {
        if !value.is_empty() {
            put(name, value.clone().into());
        }
    }
    if alert.count > 0 {
        put("count", alert.count.into());
    }
    if alert.handled_at_unix_ms != 0 {
        put("handled_at", time(alert.handled_at_unix_ms).into());
    }
    document
}

/// Text on one line, without signs that play tricks on a terminal.
fn safe(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_the_file_of_its_name_or_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("note.txt");
        std::fs::write(&file, "From a file.").unwrap();
        assert_eq!(read_note(file.to_str().unwrap()).unwrap(), "From a file.");
        assert_eq!(read_note("Spoke to them.").unwrap(), "Spoke to them.");
        std::fs::write(&file, vec![b'x'; 70_000]).unwrap();
        assert!(read_note(file.to_str().unwrap()).is_err());
    }

    #[test]
    fn an_alert_is_open_in_words_and_a_note_stays_on_its_line() {
        let mut alert = pb::AlertLine { alert: "own_family".into(), ..pb::AlertLine::default() };
        assert!(line(&alert).ends_with("own_family  OPEN"));
        assert_eq!(document(&alert)["open"], true);
        alert.handled_at_unix_ms = 1;
        alert.note = "One.\nTwo.".to_owned();
        assert!(line(&alert).ends_with("One. Two."));
        assert_eq!(document(&alert)["open"], false);
    }
}
