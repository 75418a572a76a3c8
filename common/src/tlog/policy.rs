//! Whose cosignatures make a checkpoint believable: a C2SP *tlog-policy* file.
//!
//! ```text
//! log <key> [<url>]
//! witness <name> <key> [<url>]
//! group <name> all|any|<k> <name>…
//! quorum <name>|none
//! ```
//!
//! A verifier's trust is this file and nothing else. Unlike the format, which lets a reader pass over what it does not know, an unknown
//! word is refused here, with its line: a policy that is half understood would accept what it must not.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    checkpoint::{CheckpointError, CheckpointNote, Cosignature},
    key::{KeyKind, NoteKey},
};

/// The longest policy, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// The most logs, witnesses and groups.
const MAX_NAMES: usize = 1024;

/// A text that is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub what: Box<str>,
}

/// Which logs, which witnesses, and which of them must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<NoteKey>,
    /// In the order of the file; a group names only what stands before it.
    members: Vec<Member>,
    /// Which member is the quorum; `None` asks for no witness.
    quorum: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: Box<str>,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Witness(NoteKey),
    /// At least `least` of these, by their places.
    Group {
        least: usize,
        of: Vec<usize>,
    },
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// No log of the policy has this name.
    #[error("the policy has no log of this name")]
    UnknownLog,
    /// Not signed as it must be.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Too few of the witnesses have cosigned.
    #[error("too few witnesses have cosigned: {}", who(.by))]
    NoQuorum {
        /// Those that have, by their names in the policy.
        by: Vec<Box<str>>,
    },
}

fn who(names: &[Box<str>]) -> String {
    if names.is_empty() { "none has".to_owned() } else { format!("only {}", names.join(", ")) }
}

impl Policy {
    /// The policy of one log and a quorum of witnesses: at least `least` of them, each under its key's name.
    /// `least` 0 asks for none.
    ///
    /// # Errors
    /// When a key is of the other kind, one is there twice, or there are fewer witnesses than `least`.
    pub fn of(log: &NoteKey, witnesses: &[NoteKey], least: usize) -> Result<Self, PolicyError> {
        let mut text = format!("log {log}\n");
        let names: Vec<String> = (1..=witnesses.len()).map(|n| format!("witness-{n}")).collect();
        for (name, key) in names.iter().zip(witnesses) {
            text.push_str(&format!("witness {name} {key}\n"));
        }
        match least {
            0 => text.push_str("quorum none\n"),
            _ => {
                text.push_str(&format!(
                    "group quorum {least} {}\nquorum quorum\n",
                    names.join(" ")
                ));
            }
        }
        text.parse()
    }

    /// The logs that are accepted.
    #[must_use]
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// The log of this name, if it is accepted.
    #[must_use]
    pub fn log(&self, origin: &str) -> Option<&NoteKey> {
        self.logs.iter().find(|log| log.key_name() == origin)
    }

    /// The witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &NoteKey> {
        self.members.iter().filter_map(|member| match &member.rule {
            Rule::Witness(key) => Some(key),
            Rule::Group { .. } => None,
        })
    }

    /// Whether the quorum is somebody.
    #[must_use]
    pub const fn asks_for_a_witness(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the log has signed the checkpoint and the quorum has cosigned it: the cosignatures that are good.
    ///
    /// # Errors
    /// When not, or when a line of a known key does not verify.
    pub fn accept(&self, note: &CheckpointNote) -> Result<Vec<Cosignature>, NotAccepted> {
        let log = self.log(&note.checkpoint().origin).ok_or(NotAccepted::UnknownLog)?;
        note.signed_by(log)?;
        self.is_cosigned(note)
    }

    /// Whether the quorum has cosigned the checkpoint, whoever has signed it: the cosignatures that are good. For a log that judges its
    /// own checkpoints; anybody else asks for [`accept`](Self::accept).
    ///
    /// # Errors
    /// When it has not, or when a line of a known key does not verify.
    pub fn is_cosigned(&self, note: &CheckpointNote) -> Result<Vec<Cosignature>, NotAccepted> {
        let witnesses: Vec<NoteKey> = self.witnesses().cloned().collect();
        let found = note.cosignatures(&witnesses)?;
        let Some(quorum) = self.quorum else { return Ok(found) };
        let mut met: Vec<bool> = Vec::with_capacity(self.members.len());
        for member in &self.members {
            met.push(match &member.rule {
                Rule::Witness(key) => found.iter().any(|one| one.key == *key),
                Rule::Group { least, of } => {
                    let n_met = of.iter().filter(|&&at| met.get(at) == Some(&true)).count();
                    n_met >= *least
                }
            });
        }
        if met.get(quorum) == Some(&true) {
            return Ok(found);
        }
        let is_witness = |member: &Member| matches!(member.rule, Rule::Witness(_));
        let by = self.members.iter().zip(&met).filter(|(member, met)| **met && is_witness(member));
        Err(NotAccepted::NoQuorum { by: by.map(|(member, _)| member.name.clone()).collect() })
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut read = Reading::default();
        if text.len() > MAX_POLICY_BYTES {
            return Err(read.wrong(format!("a policy has at most {MAX_POLICY_BYTES} bytes")));
        }
        for (index, line) in text.lines().enumerate() {
            read.line = index + 1;
            read.take(line)?;
        }
        match read.quorum {
            Some(quorum) => Ok(Self { logs: read.logs, members: read.members, quorum }),
            None => Err(read.wrong("there is no `quorum` line; `quorum none` asks for no witness")),
        }
    }
}

#[derive(Debug, Default)]
struct Reading {
    line: usize,
    logs: Vec<NoteKey>,
    members: Vec<Member>,
    names: BTreeMap<Box<str>, usize>,
    quorum: Option<Option<usize>>,
}

impl Reading {
    fn wrong(&self, what: impl Into<Box<str>>) -> PolicyError {
        PolicyError { line: self.line, what: what.into() }
    }

    fn take(&mut self, line: &str) -> Result<(), PolicyError> {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(()) };
        let rest: Vec<&str> = words.collect();
        match (first, rest.as_slice()) {
            ("log", [key] | [key, _]) => {
                let key = self.key(key, KeyKind::Log)?;
                self.logs.push(key);
                Ok(())
            }
            ("witness", [name, key] | [name, key, _]) => {
                let key = self.key(key, KeyKind::Witness)?;
                self.define(name, Rule::Witness(key))
            }
            ("group", [name, least, members @ ..]) => self.group(name, least, members),
            ("quorum", [name]) => {
                if self.quorum.is_some() {
                    return Err(self.wrong("there is a `quorum` line already"));
                }
                self.quorum = Some(if *name == "none" { None } else { Some(self.find(name)?) });
                Ok(())
            }
            _ => Err(self.wrong(
                "expected `log KEY`, `witness NAME KEY`, `group NAME all|any|K NAME…` or `quorum NAME|none`",
            )),
        }
    }

    fn key(&self, text: &str, kind: KeyKind) -> Result<NoteKey, PolicyError> {
        let key: NoteKey = text.parse().map_err(|error| self.wrong(format!("{error}")))?;
        if key.kind() != kind {
            return Err(
                self.wrong("it is the key of a witness where a log's is due, or the reverse")
            );
        }
        // The shards of one log are signed with one key, each under a name of its own.
        let is_same_log = |log: &NoteKey| match kind {
            KeyKind::Log => log.key_name() == key.key_name(),
            KeyKind::Witness => log.key() == key.key(),
        };
        let is_witness = |member: &Member| match &member.rule {
            Rule::Witness(witness) => witness.key() == key.key(),
            Rule::Group { .. } => false,
        };
        if self.logs.iter().any(is_same_log) || self.members.iter().any(is_witness) {
            return Err(self.wrong("this key stands in the policy already"));
        }
        if self.logs.len() >= MAX_NAMES {
            return Err(self.wrong(format!("a policy has at most {MAX_NAMES} logs")));
        }
        Ok(key)
    }

    fn group(&mut self, name: &str, least: &str, members: &[&str]) -> Result<(), PolicyError> {
        let of: Result<Vec<usize>, _> = members.iter().map(|name| self.find(name)).collect();
        let of = of?;
        let least = match least {
            "all" => of.len(),
            "any" => 1,
            number => number.parse().map_err(|_| {
                self.wrong(format!("`{number}` is neither `all`, `any` nor a number"))
            })?,
        };
        if !(1..=of.len()).contains(&least) {
            return Err(
                self.wrong("a group asks for at least one of its members, and at most for all")
            );
        }
        self.define(name, Rule::Group { least, of })
    }

    fn find(&self, name: &str) -> Result<usize, PolicyError> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| self.wrong(format!("`{name}` is not defined on an earlier line")))
    }

    fn define(&mut self, name: &str, rule: Rule) -> Result<(), PolicyError> {
        if name == "none" || self.names.contains_key(name) {
            return Err(self.wrong(format!("the name `{name}` is taken")));
        }
        if self.members.len() >= MAX_NAMES {
            return Err(self.wrong(format!("a policy has at most {MAX_NAMES} names")));
        }
        self.names.insert(name.into(), self.members.len());
        self.members.push(Member { name: name.into(), rule });
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for log in &self.logs {
            writeln!(f, "log {log}")?;
        }
        let name_of = |at: usize| self.members.get(at).map_or("?", |member| &member.name);
        for Member { name, rule } in &self.members {
            match rule {
                Rule::Witness(key) => writeln!(f, "witness {name} {key}")?,
                Rule::Group { least, of } => {
                    let of: Vec<&str> = of.iter().map(|&at| name_of(at)).collect();
                    writeln!(f, "group {name} {least} {}", of.join(" "))?;
                }
            }
        }
        writeln!(f, "quorum {}", self.quorum.map_or("none", name_of))
    }
}

#[cfg(test)]
mod tests;
