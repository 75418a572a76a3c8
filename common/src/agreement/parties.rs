//! Reads the parties and the hub, and the keys they are known by.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    faults::Collector,
    party::{HubKeys, Party, PartyKeys, TlsName},
    period::parse_duration,
    reader::{Table, Value},
    terms::{Condition, PartyType, Requirement},
};
use crate::{id::AgencyId, keys::VerifyingKey, seal::SealingPublicKey};

/// More parties than signature lines a note may have (and one for the hub) could never be signed.
const PARTIES_MAX: usize = 99;

/// What the file says about who takes part.
pub(super) struct Parties {
    pub(super) by_id: BTreeMap<AgencyId, Party>,
    /// Every id written down, also of parties with other faults: what names them is not wrong.
    pub(super) declared: BTreeSet<AgencyId>,
    pub(super) hub: Option<HubKeys>,
    /// Every key written down, with its path.
    pub(super) keys: BTreeMap<[u8; 32], String>,
}

pub(super) fn read(root: &mut Table<'_, '_>, faults: &mut Collector) -> Parties {
    let mut seen = Seen::default();
    let mut by_id = BTreeMap::new();
    let mut declared = BTreeSet::new();
    let tables = root.tables("party", faults);
    if tables.is_empty() {
        faults.add(root.at(), "party", "there is no party; write one `[[party]]` for each agency");
    }
    if tables.len() > PARTIES_MAX {
        faults.add(root.at(), "party", format!("more than {PARTIES_MAX} parties"));
    }
    for mut table in tables {
        if let Some(value) = table.value("id")
            && let Ok(id) = value.parsed::<AgencyId>()
            && !declared.insert(id.clone())
        {
            faults.add(value.at(), value.path(), format!("there are two parties `{id}`"));
        }
        let Some(party) = read_party(table, &mut seen, faults) else { continue };
        by_id.insert(party.id.clone(), party);
    }
    let hub = root.optional_table("hub", faults).and_then(|mut table| {
        let keys = table.required_table("keys", faults);
        table.finish(faults);
        read_hub_keys(keys?, &mut seen, faults)
    });
    Parties { by_id, declared, hub, keys: seen.keys }
}

fn read_party(mut table: Table<'_, '_>, seen: &mut Seen, faults: &mut Collector) -> Option<Party> {
    let id = table.required("id", faults, Value::parsed::<AgencyId>);
    let name = table.required("name", faults, Value::words);
    let kind = table.required("type", faults, |value| value.word(PartyType::ALL, PartyType::word));
    let requirement = table
        .required("requirement", faults, |value| value.word(Requirement::ALL, Requirement::word));
    let when = read_conditions(&mut table, requirement, faults);
    let answer_within =
        table.optional("answer_within", faults, |value| parse_duration(value.text()?));
    let withdrawn_at = table.optional("withdrawn_at", faults, Value::instant);
    let keys = table.optional_table("keys", faults);
    let keys = keys.and_then(|keys| read_party_keys(keys, id.as_ref(), seen, faults));
    table.finish(faults);
    Some(Party {
        id: id?,
        name: name?,
        kind: kind?,
        requirement: requirement?,
        when,
        answer_within,
        withdrawn_at,
        keys,
    })
}

fn read_conditions(
    table: &mut Table<'_, '_>,
    requirement: Option<Requirement>,
    faults: &mut Collector,
) -> Vec<Condition> {
    let value = table.value("when");
    let conditions = value
        .as_ref()
        .map(|value| value.set(faults, |item| item.word(Condition::ALL, Condition::word)));
    let conditional = requirement.map(|requirement| requirement == Requirement::Conditional);
    match (conditional, &value) {
        (Some(true), None) => {
            faults.add(table.at(), &table.path_of("when"), "a conditional party must say when");
        }
        (Some(true), Some(value)) if value.items().is_ok_and(|items| items.is_empty()) => {
            faults.add(value.at(), value.path(), "must not be empty");
        }
        (Some(false), Some(value)) => {
            faults.add(value.at(), value.path(), "only a conditional party has conditions");
        }
        (Some(_) | None, _) => {}
    }
    conditions.into_iter().flatten().collect()
}

fn read_party_keys(
    mut table: Table<'_, '_>,
    id: Option<&AgencyId>,
    seen: &mut Seen,
    faults: &mut Collector,
) -> Option<PartyKeys> {
    let tls = table.required_value("tls", faults);
    let tls = tls.zip(id).and_then(|(value, id)| {
        let name = value.text().and_then(|uri| TlsName::of_agency(uri, id));
        seen.tls(name, &value, faults)
    });
    let signing = table.required_value("signing", faults);
    let signing = signing.and_then(|value| {
        let key = value.parsed::<VerifyingKey>().map_err(|_| not_a_key("Ed25519"));
        seen.key(key, VerifyingKey::as_bytes, &value, faults)
    });
    let sealing = table.required_value("sealing", faults);
    let sealing = sealing.and_then(|value| {
        let key = value.parsed::<SealingPublicKey>().map_err(|_| not_a_key("X25519"));
        seen.key(key, SealingPublicKey::as_bytes, &value, faults)
    });
    table.finish(faults);
    Some(PartyKeys { tls: tls?, signing: signing?, sealing: sealing? })
}

fn read_hub_keys(
    mut table: Table<'_, '_>,
    seen: &mut Seen,
    faults: &mut Collector,
) -> Option<HubKeys> {
    let tls = table.required_value("tls", faults).and_then(|value| {
        let name = value.text().and_then(TlsName::of_hub);
        seen.tls(name, &value, faults)
    });
    let signing = table.required_value("signing", faults).and_then(|value| {
        let key = value.parsed::<VerifyingKey>().map_err(|_| not_a_key("Ed25519"));
        seen.key(key, VerifyingKey::as_bytes, &value, faults)
    });
    table.finish(faults);
    Some(HubKeys { tls: tls?, signing: signing? })
}

fn not_a_key(kind: &str) -> String {
    format!("not an {kind} public key: expected the base64 text of its 32 bytes")
}

/// What other parties have already claimed.
#[derive(Default)]
struct Seen {
    trust_domain: Option<Box<str>>,
    /// Key bytes, and the path where they were first written.
    keys: BTreeMap<[u8; 32], String>,
}

impl Seen {
    fn tls(
        &mut self,
        name: Result<TlsName, String>,
        value: &Value<'_, '_>,
        faults: &mut Collector,
    ) -> Option<TlsName> {
        let name = name.map_err(|message| faults.add(value.at(), value.path(), message)).ok()?;
        let found = name.trust_domain();
        let first = self.trust_domain.get_or_insert_with(|| found.into());
        if first.as_ref() != found {
            let message = format!("trust domain `{found}` differs from `{first}` above");
            faults.add(value.at(), value.path(), message);
        }
        Some(name)
    }

    fn key<T>(
        &mut self,
        key: Result<T, String>,
        bytes: impl Fn(&T) -> &[u8; 32],
        value: &Value<'_, '_>,
        faults: &mut Collector,
    ) -> Option<T> {
        let key = key.map_err(|message| faults.add(value.at(), value.path(), message)).ok()?;
        if let Some(first) = self.keys.get(bytes(&key)) {
            faults.add(value.at(), value.path(), format!("the same key as `{first}`"));
        } else {
            self.keys.insert(*bytes(&key), value.path().to_owned());
        }
        Some(key)
    }
}
