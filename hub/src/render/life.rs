//! The life of an enquiry, on a terminal and as JSON: flags, clocks, the plan, what happened, and what stands in the way of closing.

use std::fmt::Write as _;

use brag_common::wire::pb;
use serde_json::{Map, Value, json};

use super::{Labels, Paint, document, emphasised, level_words, safe, time};

/// Everything that is known of the life of an enquiry, for people.
#[must_use]
pub(super) fn lines(show: &pb::ShowResponse, paint: Paint) -> String {
    let labels = Labels::of(show);
    let mut out = String::new();
    if let Some(closed) = &show.closed {
        let word = emphasised("CLOSED", paint);
        let _ = writeln!(
            out,
            "\n{word} {} by {}: {}{}",
            time(closed.at_unix_ms),
            safe(&closed.by),
            spoken(&closed.outcome),
            behind(&closed.reason)
        );
    }
    let standing: Vec<&pb::Flag> =
        show.flags.iter().filter(|flag| flag.cleared_at_unix_ms == 0).collect();
    section(&mut out, "Flags", standing.into_iter().map(|flag| flag_line(&labels, flag)));
    section(&mut out, "Clocks", show.clocks.iter().map(|clock| clock_line(clock, paint)));
    section(&mut out, "Plan", show.plan.iter().map(|action| action_line(&labels, action)));
    if let Some(lead) = &show.lead {
        let role = behind(&lead.role);
        let _ = writeln!(
            out,
            "\nLead: {}{role}, since {}",
            safe(&lead.agency),
            time(lead.since_unix_ms)
        );
    }
    section(
        &mut out,
        "Earlier contacts",
        show.histories.iter().map(|history| {
            let closed = match history.last_closed_at_unix_ms {
                0 => String::new(),
                at => format!(", the last closed {}", time(at)),
            };
            format!("{} knows of {}{closed}", safe(&history.agency), history.contacts)
        }),
    );
    section(&mut out, "What happened", show.events.iter().map(|event| event_line(&labels, event)));
    section(
        &mut out,
        "Meetings",
        show.meetings.iter().map(|meeting| {
            let present = [meeting.present.as_slice(), &meeting.dialled_in].concat().join(", ");
            let agreed = behind(&meeting.agreed);
            let (at, chair) = (time(meeting.at_unix_ms), safe(&meeting.chair));
            format!("{at} chaired by {chair}, with {}{agreed}", safe(&present))
        }),
    );
    section(
        &mut out,
        "Not waited for",
        show.waivers.iter().map(|waiver| {
            let whom = safe(labels.label(&waiver.person));
            format!("{} about {whom}: {}", safe(&waiver.agency), safe(&waiver.reason))
        }),
    );
    section(
        &mut out,
        "Before it can be closed",
        show.unmet.iter().map(|one| about(&labels, &one.condition, &one.agency, &one.person)),
    );
    if !show.closing_wanted_by.is_empty() {
        let by = safe(&show.closing_wanted_by);
        let _ = writeln!(
            out,
            "\n{by} wants to close it with no further action; a second person has to say the same"
        );
    }
    out
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (n, line) in lines.enumerate() {
        if n == 0 {
            let _ = writeln!(out, "\n{title}");
        }
        let _ = writeln!(out, "  {line}");
    }
}

/// Words without their underscores.
fn spoken(word: &str) -> String {
    safe(&word.replace('_', " "))
}

fn behind(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {}", safe(text)) }
}

fn about(labels: &Labels, word: &str, agency: &str, person: &str) -> String {
    let mut line = spoken(word);
    if !agency.is_empty() {
        let _ = write!(line, ", {}", safe(agency));
    }
    if !person.is_empty() {
        let _ = write!(line, ", {}", safe(labels.label(person)));
    }
    line
}

/// One flag in a line.
#[must_use]
pub(super) fn flag_line(labels: &Labels, flag: &pb::Flag) -> String {
    let line = about(labels, &flag.flag, &flag.agency, &flag.person);
    match flag.cleared_at_unix_ms {
        0 => format!("{line} (since {})", time(flag.raised_at_unix_ms)),
        cleared => format!("{line} (cleared {})", time(cleared)),
    }
}

fn clock_line(clock: &pb::Clock, paint: Paint) -> String {
    let name = spoken(&clock.clock);
    let (from, due) = (time(clock.started_at_unix_ms), time(clock.due_at_unix_ms));
    let ended = match clock.ended_at_unix_ms {
        0 => String::new(),
        at => format!(", ended {}", time(at)),
    };
    let state = match clock.state.as_str() {
        "breached" => emphasised("BREACHED", paint),
        state => safe(state),
    };
    format!("{name}: {state}, from {from}, due {due}{ended}")
}

fn action_line(labels: &Labels, action: &pb::PlannedAction) -> String {
    let due = match action.due_at_unix_ms {
        0 => String::new(),
        at => format!(", due {}", time(at)),
    };
    format!(
        "{} {} by {} about {} ({}{due}): {}",
        safe(&action.action),
        spoken(&action.word),
        safe(&action.owner),
        safe(labels.label(&action.person)),
        safe(&action.state),
        safe(&action.what)
    )
}

fn event_line(labels: &Labels, event: &pb::Event) -> String {
    let people: Vec<String> =
        event.people.iter().map(|person| safe(labels.label(person))).collect();
    let mut line = format!("{} {}", time(event.at_unix_ms), spoken(&event.word));
    if !event.agency.is_empty() {
        let _ = write!(line, ", {}", safe(&event.agency));
    }
    if !people.is_empty() {
        let _ = write!(line, ", {}", people.join(", "));
    }
    let _ = write!(line, "{} ({})", behind(&event.note), safe(&event.recorded_by));
    line
}

/// The agenda, a line for each enquiry.
#[must_use]
pub fn agenda_text(agenda: &pb::AgendaResponse, paint: Paint) -> String {
    let mut out = String::new();
    if !agenda.chair.is_empty() {
        let _ = writeln!(out, "Chair today: {}", safe(&agenda.chair));
    }
    for line in &agenda.enquiries {
        let _ = writeln!(out, "{}", line_of(line, paint));
    }
    out
}

/// One enquiry in a line.
#[must_use]
pub(super) fn line_of(line: &pb::EnquiryLine, paint: Paint) -> String {
    let mut out = format!(
        "{}  opened {}  {} people  {} answers awaited  family {}",
        safe(&line.enquiry),
        time(line.opened_at_unix_ms),
        line.people,
        line.waiting,
        level_words(line.family_level, paint)
    );
    if line.closed {
        out.push_str("  closed");
    } else if line.due_at_unix_ms != 0 {
        let word = if line.overdue { emphasised("OVERDUE since", paint) } else { "due".to_owned() };
        let _ = write!(out, "  {word} {}", time(line.due_at_unix_ms));
    }
    if !line.flags.is_empty() {
        let _ = write!(out, "  {}", spoken(&line.flags.join(", ")));
    }
    out
}

/// Adds the life of an enquiry to its document.
pub(super) fn add(show: &pb::ShowResponse, document: &mut Map<String, Value>) {
    let labels = Labels::of(show);
    let mut put = |key: &str, value: Value| {
        if !value.as_array().is_some_and(Vec::is_empty) {
            document.insert(key.to_owned(), value);
        }
    };
    put("flags", show.flags.iter().map(|flag| flag_json(&labels, flag)).collect());
    put(
        "clocks",
        show.clocks
            .iter()
            .map(|clock| {
                lean(json!({
                    "clock": clock.clock,
                    "started_at": document::time(clock.started_at_unix_ms),
                    "due_at": document::time(clock.due_at_unix_ms),
                    "state": clock.state,
                    "ended_at": document::time(clock.ended_at_unix_ms),
                }))
            })
            .collect(),
    );
    put(
        "plan",
        show.plan
            .iter()
            .map(|action| {
                lean(json!({
                    "action": action.action,
                    "word": action.word,
                    "owner": action.owner,
                    "person": action.person,
                    "label": labels.label(&action.person),
                    "what": action.what,
                    "due_at": document::time(action.due_at_unix_ms),
                    "state": action.state,
                    "since": document::time(action.since_unix_ms),
                }))
            })
            .collect(),
    );
    if let Some(lead) = &show.lead {
        put(
            "lead",
            lean(json!({
                "agency": lead.agency,
                "role": lead.role,
                "since": document::time(lead.since_unix_ms),
            })),
        );
    }
    put(
        "events",
        show.events
            .iter()
            .map(|event| {
                lean(json!({
                    "event": event.word,
                    "people": event.people,
                    "agency": event.agency,
                    "at": document::time(event.at_unix_ms),
                    "note": event.note,
                    "recorded_at": document::time(event.recorded_at_unix_ms),
                    "recorded_by": event.recorded_by,
                }))
            })
            .collect(),
    );
    put(
        "meetings",
        show.meetings
            .iter()
            .map(|meeting| {
                lean(json!({
                    "chair": meeting.chair,
                    "present": meeting.present,
                    "dialled_in": meeting.dialled_in,
                    "at": document::time(meeting.at_unix_ms),
                    "agreed": meeting.agreed,
                    "seen": meeting.seen.iter().map(|seen| lean(json!({
                        "person": seen.person,
                        "label": labels.label(&seen.person),
                        "level": document::colour(seen.level),
                        "missing": seen.missing,
                    }))).collect::<Vec<_>>(),
                }))
            })
            .collect(),
    );
    put(
        "waivers",
        show.waivers
            .iter()
            .map(|waiver| {
                json!({
                    "agency": waiver.agency,
                    "person": waiver.person,
                    "reason": waiver.reason,
                })
            })
            .collect(),
    );
    put(
        "histories",
        show.histories
            .iter()
            .map(|history| {
                lean(json!({
                    "agency": history.agency,
                    "contacts": history.contacts,
                    "last_closed_at": document::time(history.last_closed_at_unix_ms),
                }))
            })
            .collect(),
    );
    put(
        "unmet",
        show.unmet
            .iter()
            .map(|one| {
                lean(json!({
                    "condition": one.condition,
                    "agency": one.agency,
                    "person": one.person,
                }))
            })
            .collect(),
    );
    if let Some(closed) = &show.closed {
        put(
            "closed",
            lean(json!({
                "at": document::time(closed.at_unix_ms),
                "outcome": closed.outcome,
                "reason": closed.reason,
                "by": closed.by,
            })),
        );
    }
    if !show.closing_wanted_by.is_empty() {
        put("closing_wanted_by", json!(show.closing_wanted_by));
    }
}

/// A flag, as in `enquiry show --json`.
#[must_use]
pub(super) fn flag_json(labels: &Labels, flag: &pb::Flag) -> Value {
    let label = (!flag.person.is_empty()).then(|| labels.label(&flag.person));
    lean(json!({
        "flag": flag.flag,
        "agency": flag.agency,
        "person": flag.person,
        "label": label,
        "raised_at": document::time(flag.raised_at_unix_ms),
        "cleared_at": document::time(flag.cleared_at_unix_ms),
    }))
}

/// The document of `enquiry agenda --json`.
#[must_use]
pub fn agenda_json(agenda: &pb::AgendaResponse) -> Value {
    let lines: Vec<Value> = agenda.enquiries.iter().map(document::line_json).collect();
    lean(json!({ "chair": agenda.chair, "enquiries": lines }))
}

/// Without what is absent.
pub(super) fn lean(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}
