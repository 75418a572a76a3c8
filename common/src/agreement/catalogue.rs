//! Reads what may be disclosed: the catalogue, the never-list, the disclosure table, recipients.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::non_empty_set,
    faults::Collector,
    model::{NEVER_CARRIED, fixed_never},
    reader::{Table, Value},
    terms::{Class, Gate, Mode, PartyType, Special},
    values::{Category, Cell},
};
use crate::id::{AgencyId, CategoryCode};

/// What the file says about disclosure. Whatever is not in it is denied.
pub(super) struct Catalogue {
    pub(super) disclosure: BTreeMap<(Class, Gate), Cell>,
    pub(super) allow: BTreeMap<PartyType, BTreeSet<CategoryCode>>,
    pub(super) client_only: BTreeSet<PartyType>,
    pub(super) specialist: BTreeSet<CategoryCode>,
    pub(super) categories: BTreeMap<CategoryCode, Category>,
    pub(super) never: BTreeSet<CategoryCode>,
}

pub(super) fn read(
    root: &mut Table<'_, '_>,
    parties: &BTreeSet<AgencyId>,
    faults: &mut Collector,
) -> Catalogue {
    let never = read_never(root, faults);
    let (categories, declared) = read_categories(root, &never, faults);
    let disclosure = read_disclosure(root, parties, faults);
    let mut catalogue = Catalogue {
        disclosure,
        allow: BTreeMap::new(),
        client_only: BTreeSet::new(),
        specialist: BTreeSet::new(),
        categories,
        never,
    };
    if let Some(table) = root.optional_table("recipients", faults) {
        read_recipients(table, &declared, &mut catalogue, faults);
    }
    catalogue
}

fn read_never(root: &mut Table<'_, '_>, faults: &mut Collector) -> BTreeSet<CategoryCode> {
    let Some(mut table) = root.required_table("never", faults) else { return BTreeSet::new() };
    let list = table.required_value("categories", faults);
    table.finish(faults);
    let Some(list) = list else { return BTreeSet::new() };
    let never = list.set(faults, Value::parsed::<CategoryCode>);
    let fixed = NEVER_CARRIED.into_iter().filter_map(CategoryCode::new);
    let missing: Vec<_> = fixed.filter(|code| !never.contains(code)).collect();
    if !missing.is_empty() {
        let codes: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let message = format!("must list {} too: they are never carried", codes.join(", "));
        faults.add(list.at(), list.path(), message);
    }
    never
}

/// The catalogue, and every code written down, also of categories with other faults: what names
/// those is not wrong.
fn read_categories(
    root: &mut Table<'_, '_>,
    never: &BTreeSet<CategoryCode>,
    faults: &mut Collector,
) -> (BTreeMap<CategoryCode, Category>, BTreeSet<CategoryCode>) {
    let mut categories = BTreeMap::new();
    let mut declared = BTreeSet::new();
    for mut table in root.tables("category", faults) {
        let at = table.at();
        let code_value = table.required_value("code", faults);
        let code = table.optional("code", faults, Value::parsed::<CategoryCode>);
        let title = table.required("title", faults, Value::words);
        let class = table.required("class", faults, |value| value.word(Class::ALL, Class::word));
        let special = table.value("special").map(|value| {
            non_empty_set(&value, faults, |item| item.word(Special::ALL, Special::word))
        });
        let path = table.path_of("code");
        let at = code_value.map_or(at, |value| value.at());
        table.finish(faults);
        let Some(code) = code else { continue };
        if fixed_never(code) || never.contains(&code) {
            faults.add(
                at,
                &path,
                format!("{code} is never carried: leave it out of the catalogue"),
            );
        }
        if !declared.insert(code) {
            faults.add(at, &path, format!("{code} is listed twice"));
        }
        let (Some(title), Some(class)) = (title, class) else { continue };
        let category = Category { title, class, special: special.unwrap_or_default() };
        categories.insert(code, category);
    }
    (categories, declared)
}

fn read_disclosure(
    root: &mut Table<'_, '_>,
    parties: &BTreeSet<AgencyId>,
    faults: &mut Collector,
) -> BTreeMap<(Class, Gate), Cell> {
    let mut cells = BTreeMap::new();
    let Some(mut table) = root.optional_table("disclosure", faults) else { return cells };
    for class in Class::ALL.iter().copied() {
        let Some(mut row) = table.optional_table(class.word(), faults) else { continue };
        for gate in Gate::ALL.iter().copied() {
            let Some(value) = row.value(gate.word()) else { continue };
            if let Some(cell) = read_cell(&value, parties, faults) {
                cells.insert((class, gate), cell);
            }
        }
        row.finish(faults);
    }
    table.finish(faults);
    cells
}

/// A mode alone, or a mode and who alone may receive.
fn read_cell(
    value: &Value<'_, '_>,
    parties: &BTreeSet<AgencyId>,
    faults: &mut Collector,
) -> Option<Cell> {
    let mode = |value: &Value<'_, '_>| value.word(Mode::ALL, Mode::word);
    if value.text().is_ok() {
        let mode = mode(value).map_err(|message| faults.add(value.at(), value.path(), message));
        return Some(Cell { mode: mode.ok()?, recipients: None });
    }
    let Ok(mut table) = value.as_table() else {
        let message = "expected a mode, or a table with `mode` and `recipients`";
        faults.add(value.at(), value.path(), message);
        return None;
    };
    let mode = table.required("mode", faults, mode);
    let recipients = table.required_value("recipients", faults).map(|list| {
        non_empty_set(&list, faults, |item| {
            let id: AgencyId = item.parsed()?;
            if parties.contains(&id) { Ok(id) } else { Err(format!("`{id}` is not a party")) }
        })
    });
    table.finish(faults);
    Some(Cell { mode: mode?, recipients: Some(recipients?) })
}

fn read_recipients(
    mut table: Table<'_, '_>,
    categories: &BTreeSet<CategoryCode>,
    catalogue: &mut Catalogue,
    faults: &mut Collector,
) {
    let known = |item: &Value<'_, '_>| {
        let code: CategoryCode = item.parsed()?;
        if categories.contains(&code) {
            Ok(code)
        } else {
            Err(format!("{code} is not in the catalogue"))
        }
    };
    if let Some(mut allow) = table.optional_table("allow", faults) {
        for kind in PartyType::ALL.iter().copied() {
            if let Some(list) = allow.value(kind.word()) {
                catalogue.allow.insert(kind, list.set(faults, known));
            }
        }
        allow.finish(faults);
    }
    if let Some(mut client_only) = table.optional_table("client_only", faults) {
        if let Some(list) = client_only.required_value("types", faults) {
            catalogue.client_only =
                list.set(faults, |item| item.word(PartyType::ALL, PartyType::word));
        }
        client_only.finish(faults);
    }
    if let Some(mut specialist) = table.optional_table("specialist", faults) {
        if let Some(list) = specialist.required_value("categories", faults) {
            catalogue.specialist = list.set(faults, known);
        }
        specialist.finish(faults);
    }
    table.finish(faults);
}
