//! Record files of an agency's other systems.

use brag_agency_node::import::{
    Format, ImportOptions, ImportSummary, MemorySink, Mode, RejectWriter, import,
};
use brag_common::rating::AnalysisBounds;

/// CSV.
pub(crate) fn csv(bytes: &[u8]) -> bool {
    twice(bytes, Format::Csv)
}

/// JSON Lines.
pub(crate) fn jsonl(bytes: &[u8]) -> bool {
    twice(bytes, Format::Jsonl)
}

/// Loads a file twice: the second time changes nothing.
fn twice(bytes: &[u8], format: Format) -> bool {
    let mut sink = MemorySink::default();
    let Some(first) = load(bytes, format, &mut sink) else { return false };
    let n_good = first.n_new + first.n_changed + first.n_unchanged;
    assert_eq!(first.n_read, n_good + first.n_rejected, "{first:?}");
    let second = load(bytes, format, &mut sink).expect("it could be read before");
    assert_eq!((second.n_read, second.n_rejected), (first.n_read, first.n_rejected));
    assert_eq!(second.n_new, 0, "{second:?}");
    n_good > 0
}

fn load(bytes: &[u8], format: Format, sink: &mut MemorySink) -> Option<ImportSummary> {
    let options = ImportOptions {
        format,
        mode: Mode::Load,
        file: "people".to_owned(),
        bounds: AnalysisBounds { min_chars: 20, max_chars: 600 },
        categories: None,
    };
    let mut rejects = RejectWriter::new(Vec::new());
    let summary = import(bytes, &options, sink, &mut rejects, &mut |_| {}).ok()?;
    let list = String::from_utf8(rejects.into_inner()).expect("rejects are text");
    // Rejects never start a cell with what a spreadsheet would run.
    assert!(list.lines().all(|line| !line.starts_with(['=', '+', '-', '@'])));
    Some(summary)
}
