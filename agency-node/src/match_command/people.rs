//! Files of people, of true pairs and of groups.

use std::{collections::HashMap, fs::File, path::Path};

use anyhow::{Context as _, bail};
use brag_common::{
    matching::identity::{Identity, IdentityParts},
    rating::AnalysisBounds,
};

use crate::import::{
    Format, ImportItem, ImportOptions, Mode, Put, RecordSink, RejectWriter, SinkError, SourceId,
    import,
};

/// People with the agency's own ids, in the order of the file.
pub(super) type People = Vec<(String, Identity)>;

/// Whether identifiers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identifiers {
    Kept,
    LeftOut,
}

impl From<bool> for Identifiers {
    fn from(no_identifiers: bool) -> Self {
        if no_identifiers { Self::LeftOut } else { Self::Kept }
    }
}

struct Collect {
    people: People,
    identifiers: Identifiers,
}

impl RecordSink for Collect {
    fn knows(&self, _person: &SourceId) -> Result<bool, SinkError> {
        Ok(true)
    }

    fn compare(&self, _item: &ImportItem) -> Result<Put, SinkError> {
        Ok(Put::New)
    }

    fn put(&mut self, item: ImportItem) -> Result<Put, SinkError> {
        if let ImportItem::Person { source_id, identity } = item {
            let identity = match self.identifiers {
                Identifiers::Kept => *identity,
                Identifiers::LeftOut => without_identifiers(&identity),
            };
            self.people.push((source_id.as_str().to_owned(), identity));
        }
        Ok(Put::New)
    }
}

fn without_identifiers(identity: &Identity) -> Identity {
    let parts = IdentityParts {
        names: identity.names().to_vec(),
        birth: identity.birth(),
        sex: identity.sex(),
        identifiers: Vec::new(),
        addresses: identity.addresses().to_vec(),
    };
    // Fewer than before: within every bound.
    Identity::new(parts).unwrap_or_else(|_| identity.clone())
}

/// Reads the people of a file in the import's layout; rejected rows are an error, because they would falsify the measure.
pub(super) fn read(file: &Path, identifiers: Identifiers) -> anyhow::Result<People> {
    let input = File::open(file).with_context(|| format!("can not read `{}`", file.display()))?;
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson") => Format::Jsonl,
        _ => Format::Csv,
    };
    let options = ImportOptions {
        format,
        mode: Mode::Load,
        file: file.display().to_string(),
        // Only ratings have an analysis, and those are not looked at.
        bounds: AnalysisBounds { min_chars: 0, max_chars: usize::MAX },
        categories: None,
    };
    let mut sink = Collect { people: Vec::new(), identifiers };
    let mut rejects = RejectWriter::new(std::io::stderr());
    let summary = import(input, &options, &mut sink, &mut rejects, &mut |_| ())?;
    if summary.n_rejected > 0 {
        bail!("{} rows of `{}` were rejected", summary.n_rejected, file.display());
    }
    Ok(sink.people)
}

/// For each of `left` the places in `right` of the same person.
pub(super) fn read_truth(
    file: &Path,
    left: &People,
    right: &People,
) -> anyhow::Result<Vec<Vec<u32>>> {
    let (lefts, rights) = (places(left), places(right));
    let mut truth = vec![Vec::new(); left.len()];
    for (line, row) in rows(file, ["left_id", "right_id"])?.into_iter().enumerate() {
        let [one, other] = row;
        let unknown = || format!("line {} of `{}` names nobody", line + 2, file.display());
        let one = *lefts.get(one.as_str()).with_context(unknown)?;
        let other = *rights.get(other.as_str()).with_context(unknown)?;
        if let Some(same) = truth.get_mut(one) {
            same.push(u32::try_from(other)?);
        }
    }
    Ok(truth)
}

/// The group of each of `left`; empty where none is named.
pub(super) fn read_groups(file: &Path, left: &People) -> anyhow::Result<Vec<String>> {
    let lefts = places(left);
    let mut groups = vec![String::new(); left.len()];
    for [id, name] in rows(file, ["left_id", "group"])? {
        if let Some(group) = lefts.get(id.as_str()).and_then(|place| groups.get_mut(*place)) {
            *group = name;
        }
    }
    Ok(groups)
}

fn places(people: &People) -> HashMap<&str, usize> {
    people.iter().enumerate().map(|(place, (id, _))| (id.as_str(), place)).collect()
}

fn rows(file: &Path, columns: [&str; 2]) -> anyhow::Result<Vec<[String; 2]>> {
    let context = || format!("can not read `{}`", file.display());
    let mut reader = csv::Reader::from_path(file).with_context(context)?;
    let header = reader.headers().with_context(context)?.clone();
    let find = |column: &str| {
        header.iter().position(|name| name == column).with_context(|| {
            format!("column `{column}` is missing from the first row of `{}`", file.display())
        })
    };
    let [one, other] = columns;
    let (one, other) = (find(one)?, find(other)?);
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.with_context(context)?;
        let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
        rows.push([field(one), field(other)]);
    }
    Ok(rows)
}
