//! An entry of the audit log as a message of syslog (RFC 5424) in the frame of syslog over TLS (RFC 5425).
//!
//! Everything an entry says stands in its structured data, under the names that its canonical form has; what lies within another field is
//! named by both, `agreement.version`; a list is a parameter given several times. There is no free text.

use serde_json::Value;

use crate::{
    audit::entry::{Action, Entry},
    tlog::Hash,
};

/// RFC 5424, section 6.2.1.
const INFORMATIONAL: u16 = 6;
const WARNING: u16 = 4;

/// The most characters of a message's id (section 6).
const ID_MAX: usize = 32;
/// … of a host's name.
const HOST_MAX: usize = 255;

/// What stands in the head of every message.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    /// 0 to 23.
    pub(super) facility: u8,
    /// The machine.
    pub(super) host: String,
    /// The program.
    pub(super) program: &'static str,
    /// The private enterprise number under which the structured data stand.
    pub(super) enterprise: u32,
}

impl Heading {
    /// Appends an entry: its length in octets, a space, the message. `log` names the shard, `json` is the canonical form.
    pub(super) fn append(&self, frames: &mut Vec<u8>, log: &str, entry: &Entry, json: &[u8]) {
        let message = self.message(log, entry, json);
        frames.extend_from_slice(message.len().to_string().as_bytes());
        frames.push(b' ');
        frames.extend_from_slice(message.as_bytes());
    }

    fn message(&self, log: &str, entry: &Entry, json: &[u8]) -> String {
        // What a person should look at stands out.
        let severity = if entry.action == Action::AlertRaised { WARNING } else { INFORMATIONAL };
        let priority = u16::from(self.facility.min(23)) * 8 + severity;
        // No more than six places behind the point are allowed; `ts` below has all of them.
        let time = entry.ts.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
        let host = printable(&self.host, HOST_MAX);
        let id = printable(entry.action.word(), ID_MAX);
        let (program, enterprise) = (self.program, self.enterprise);
        let mut message =
            format!("<{priority}>1 {time} {host} {program} - {id} [brag@{enterprise}");
        parameter(&mut message, "log", log);
        // The leaf of the log's tree that the entry is: whoever has it finds the entry in the log, and sees whether it is the same.
        parameter(&mut message, "leaf", &Hash::of_leaf(json).to_string());
        if let Ok(fields) = serde_json::from_slice::<Value>(json) {
            flatten(&mut message, "", &fields);
        }
        message.push(']');
        message
    }
}

/// A word of the head: printable ASCII without spaces, at most `most` characters, or `-`.
fn printable(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// Appends what `value` says under `name`.
fn flatten(message: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(message, &format!("{name}{dot}{field}"), value);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| flatten(message, name, value)),
        Value::String(text) => parameter(message, name, text),
        Value::Number(_) | Value::Bool(_) => parameter(message, name, &value.to_string()),
        Value::Null => {}
    }
}

/// Appends ` name="value"`; the three characters that end or escape a value are escaped (section 6.3.3).
fn parameter(message: &mut String, name: &str, value: &str) {
    message.push(' ');
    message.push_str(name);
    message.push_str("=\"");
    for character in value.chars() {
        if matches!(character, '"' | '\\' | ']') {
            message.push('\\');
        }
        message.push(character);
    }
    message.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        entry::{Digest, EntryDraft, Party, Place},
        fixtures::draft,
    };

    fn heading() -> Heading {
        let host = "node 1.example".to_owned();
        Heading { facility: 13, host, program: "brag-node", enterprise: 32_473 }
    }

    fn entry(draft: EntryDraft) -> Entry {
        let ts = "2027-02-09T09:00:00.123456789Z".parse().unwrap();
        Entry::at(Place { seq: 7, prev_hash: Digest::ZERO, ts, node: Party::Hub }, draft, true)
    }

    fn message(entry: &Entry) -> String {
        let mut frames = Vec::new();
        heading().append(&mut frames, "example/hub/1", entry, &entry.encode());
        let text = String::from_utf8(frames).unwrap();
        let (length, message) = text.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), message.len(), "octets are counted");
        message.to_owned()
    }

    #[test]
    fn what_ends_or_escapes_a_value_is_escaped() {
        let mut text = String::new();
        parameter(&mut text, "x", "a\"b\\c]d[e\u{e9}");
        assert_eq!(text, " x=\"a\\\"b\\\\c\\]d[e\u{e9}\"");
    }

    #[test]
    fn a_head_has_the_form_of_the_standard() {
        let said = message(&entry(draft(3)));
        let head = said.split(" [").next().unwrap();
        let word = entry(draft(3)).action.word();
        // No more than six places of a second, no space in the host's name.
        let expected =
            format!("<110>1 2027-02-09T09:00:00.123456Z node1.example brag-node - {word}");
        assert_eq!(head, expected);
        assert!(said.ends_with("\"]"), "{said}");
        let alert = message(&entry(EntryDraft::new(Action::AlertRaised)));
        assert!(alert.starts_with("<108>1 "), "{alert}");
    }

    #[test]
    fn every_field_of_an_entry_stands_in_the_structured_data() {
        let mut full = draft(3).by("j.okafor".parse().unwrap(), "assessor".parse().unwrap());
        full.recipients = vec![Party::Hub, "CSC".parse().unwrap()];
        full.count = Some(12);
        let entry = entry(full);
        let said = message(&entry);
        let Value::Object(fields) = serde_json::from_slice(&entry.encode()).unwrap() else {
            panic!("an entry is an object")
        };
        assert!(fields.len() > 8);
        for field in fields.keys() {
            let (alone, within) = (format!(" {field}=\""), format!(" {field}."));
            assert!(said.contains(&alone) || said.contains(&within), "{field}: {said}");
        }
        for stands in [
            " ts=\"2027-02-09T09:00:00.123456789Z\"",
            " seq=\"7\"",
            " actor.staff.name=\"j.okafor\" actor.staff.role=\"assessor\"",
            " recipients=\"hub\" recipients=\"CSC\"",
            " count=\"12\"",
            " test_env=\"true\"",
            " log=\"example/hub/1\"",
        ] {
            assert!(said.contains(stands), "{stands}: {said}");
        }
    }

    #[test]
    fn every_action_fits_as_the_id_of_a_message() {
        for action in Action::ALL {
            assert_eq!(printable(action.word(), ID_MAX), action.word());
        }
    }
}
