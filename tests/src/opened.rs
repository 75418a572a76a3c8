//! What a store gives whoever has every key that there is.

use std::{collections::BTreeMap, path::Path};

use brag_common::{
    durable::{Durable, Scopes},
    store_key,
};

/// Memory for a store that is opened to be read.
const CACHE_BYTES: u64 = 1 << 20;

/// Every value that the store in `data` gives with the keys that a program keeps in `folder`, by its place. `kinds` are those of the
/// program's places. Nothing else may have the store open: give it a copy, or stop the program.
///
/// # Errors
/// When a key or the store can not be read.
pub fn everything(
    folder: &Path,
    data: &Path,
    kinds: &'static [&'static str],
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let key = store_key::open(data, &folder.join("keys/store.key"))?;
    let scopes = Scopes::open(data, &folder.join("data-enquiry-keys"), kinds)?;
    let store = Durable::open_scoped(&data.join("store"), &key, CACHE_BYTES, scopes)?;
    store
        .scan(b"")
        .map(|row| {
            let (place, value) = row?;
            Ok((String::from_utf8(place)?, value.to_vec()))
        })
        .collect()
}
