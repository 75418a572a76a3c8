//! What was found across enquiries: links to earlier ones, and what was exchanged about one person.

use std::fmt::Write as _;

use brag_common::wire::pb;

use super::{Labels, Paint, level_words, release_line, safe, status_words, time};

/// One line for each earlier enquiry about somebody of this one.
pub(super) fn earlier_lines(show: &pb::ShowResponse, paint: Paint) -> String {
    let labels = Labels::of(show);
    let mut out = String::new();
    for earlier in &show.linked_earlier_enquiry {
        let _ = writeln!(
            out,
            "{}  was asked about before: enquiry {} of {}, level {}",
            safe(labels.label(&earlier.person)),
            safe(&earlier.enquiry),
            time(earlier.opened_at_unix_ms),
            level_words(earlier.level, paint),
        );
    }
    out
}

/// Everything that was exchanged about one person, enquiry by enquiry.
#[must_use]
pub fn found_text(found: &pb::FindPersonResponse, paint: Paint) -> String {
    if found.exchanges.is_empty() {
        return "No enquiry has asked about this person.\n".to_owned();
    }
    let mut out = String::new();
    let labels = Labels::of(&pb::ShowResponse::default());
    for one in &found.exchanges {
        let unclear = if one.unclear { "  UNCLEAR: compare first" } else { "" };
        let opened = time(one.opened_at_unix_ms);
        let (enquiry, purpose) = (safe(&one.enquiry), safe(&one.purpose));
        let _ = writeln!(out, "{enquiry}  {opened}  {purpose}{unclear}");
        for cell in &one.cells {
            let _ = writeln!(out, "  {}  {}", safe(&cell.agency), status_words(cell, paint));
        }
        for release in &one.releases {
            let _ = writeln!(out, "  {}", release_line(&labels, release, paint));
        }
    }
    out
}
