//! Keys of former versions that the partnership no longer believes: lost, stolen, or used by somebody else.
//!
//! A key that is merely replaced needs no entry: what was signed with it stays good for its time. A revoked one signs
//! nothing from `revoked_at` on, whatever date a statement carries; and since whoever has it can write any date, an earlier
//! statement is believed only by those who had it before.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    faults::Collector,
    reader::{Table, Value},
};
use crate::time::Timestamp;

/// A key that is no longer believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// From when on.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: Box<str>,
}

/// Reads `[[revoked]]`; `in_use` are the keys of parties and hub, none of which may be revoked.
pub(super) fn read(
    root: &mut Table<'_, '_>,
    in_use: &BTreeMap<[u8; 32], String>,
    faults: &mut Collector,
) -> BTreeMap<[u8; 32], Revoked> {
    let mut revoked = BTreeMap::new();
    for mut table in root.tables("revoked", faults) {
        let value = table.required_value("key", faults);
        let key = value.and_then(|value| {
            let key = public_key(&value);
            let key = key.map_err(|message| faults.add(value.at(), value.path(), message)).ok()?;
            if let Some(path) = in_use.get(&key) {
                let message = format!("is in use as `{path}`; give its holder another key first");
                faults.add(value.at(), value.path(), message);
            }
            if revoked.contains_key(&key) {
                faults.add(value.at(), value.path(), "listed twice");
            }
            Some(key)
        });
        let at = table.required("revoked_at", faults, Value::instant);
        let reason = table.required("reason", faults, Value::words);
        table.finish(faults);
        if let (Some(key), Some(at), Some(reason)) = (key, at, reason) {
            revoked.insert(key, Revoked { at, reason });
        }
    }
    revoked
}

fn public_key(value: &Value<'_, '_>) -> Result<[u8; 32], String> {
    let bytes = BASE64_STANDARD.decode(value.text()?).ok();
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.ok_or_else(|| "not a public key: expected the base64 text of its 32 bytes".to_owned())
}
