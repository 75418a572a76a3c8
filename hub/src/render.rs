//! Enquiries on a terminal, as pure functions: a message of the hub in, text out. [`document`] has the JSON.
//!
//! A colour is never shown by colour alone: each has its letter and word, each status its sign and words.
//! What agencies wrote is shown without control characters, so that no text can play tricks on a terminal.

use std::{collections::BTreeMap, fmt::Write as _};

use brag_common::{
    agreement::{Gate, Hypothesis},
    rating::Colour,
    reason::Reason,
    statement::{PersonRole, ReviewStage},
    time::Timestamp,
    wire::{pb, words},
};

mod changes;
pub mod document;
mod found;
mod life;
#[cfg(test)]
mod tests;

pub use document::{event_json, found_json, list_json, release_json, show_json};
pub use found::found_text;
pub use life::{agenda_json, agenda_text};

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text only: files, pipes.
    Plain,
    /// Terminal colours, beside the words.
    Colour,
}

/// Whether analyses are shown in full below the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Analyses {
    /// Left out.
    Hidden,
    /// One line each.
    Shown,
}

/// The co-ordinator's labels for the random references of people.
#[derive(Debug, Clone, Default)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The labels of an enquiry.
    #[must_use]
    pub fn of(show: &pb::ShowResponse) -> Self {
        Self(show.people.iter().map(|p| (p.person.clone(), p.label.clone())).collect())
    }

    /// The label of a person; the reference itself when there is none.
    #[must_use]
    pub fn label<'a>(&'a self, person: &'a str) -> &'a str {
        self.0.get(person).map_or(person, String::as_str)
    }

    /// The reference behind a label, or the text itself when it is a reference of the enquiry.
    #[must_use]
    pub fn reference(&self, label_or_reference: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(person, label)| *label == label_or_reference || *person == label_or_reference)
            .map(|(person, _)| person.as_str())
    }
}

/// Everything about one enquiry: people, matrix, requests for detail.
#[must_use]
pub fn show_text(show: &pb::ShowResponse, analyses: Analyses, paint: Paint) -> String {
    let mut out = String::new();
    let referral = show.referral.clone().unwrap_or_default();
    let _ = writeln!(out, "Enquiry {}  {}", safe(&show.enquiry), safe(&show.purpose));
    let _ = writeln!(
        out,
        "Referred by {} ({}), opened {}, answers by {}",
        safe(&referral.agency),
        safe(&referral.reference),
        time(show.opened_at_unix_ms),
        time(show.answer_by_unix_ms),
    );
    if !show.again_because.is_empty() {
        let _ = writeln!(out, "Asked again because: {}", safe(&show.again_because));
    }
    out.push('\n');
    out.push_str(&people_lines(show, paint));
    out.push_str(&found::earlier_lines(show, paint));
    out.push('\n');
    out.push_str(&matrix_table(show, paint));
    if analyses == Analyses::Shown {
        out.push('\n');
        out.push_str(&analysis_lines(show, paint));
    }
    out.push_str(&changes::change_lines(show, paint));
    out.push_str(&life::lines(show, paint));
    if !show.releases.is_empty() {
        out.push_str("\nRequests for detail\n");
        let labels = Labels::of(show);
        for release in &show.releases {
            out.push_str(&release_line(&labels, release, paint));
            out.push('\n');
        }
    }
    out
}

/// One line for each person: level, open gates, and what deserves a look.
#[must_use]
pub fn people_lines(show: &pb::ShowResponse, paint: Paint) -> String {
    let mut out = String::new();
    for person in &show.people {
        let _ = write!(out, "{}  {}", safe(&person.label), safe(&person.name));
        if let Some(role) = words::to_role(person.role).ok().flatten() {
            let _ = write!(out, ", {}", role.word().replace('_', " "));
        }
        let level = level_words(person.level, paint);
        let _ = write!(out, ": level {level}");
        if let Some(initial) = colour(person.initial) {
            let _ = write!(out, ", referrer's first {}", colour_words(initial, paint));
        }
        if person.victim && words::to_role(person.role) != Ok(Some(PersonRole::Victim)) {
            out.push_str(", a victim of domestic abuse");
        }
        for signed in &person.signed_roles {
            if signed.role != person.role
                && let Some(role) = words::to_role(signed.role).ok().flatten()
            {
                let role = role.word().replace('_', " ");
                let _ = write!(out, ", {} says {role}", safe(&signed.agency));
            }
        }
        if person.uprated {
            out.push_str(", UPRATED");
        }
        if person.divergence {
            out.push_str(", DIVERGENCE: ratings two steps or more apart");
        }
        let gates: Vec<String> = person.gates.iter().map(|gate| gate_words(gate)).collect();
        if !gates.is_empty() {
            let _ = write!(out, "; gates open: {}", gates.join(", "));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "Family, for display only: {}", level_words(show.family_level, paint));
    out
}

/// Agencies down, people across. Every cell has its words.
#[must_use]
pub fn matrix_table(show: &pb::ShowResponse, paint: Paint) -> String {
    let mut agencies: Vec<&str> = Vec::new();
    let mut by_place: BTreeMap<(&str, &str), &pb::MatrixCell> = BTreeMap::new();
    for cell in &show.cells {
        if !agencies.contains(&cell.agency.as_str()) {
            agencies.push(&cell.agency);
        }
        by_place.insert((&cell.agency, &cell.person), cell);
    }
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    let heads = show.people.iter().map(|person| Piece::plain(safe(&person.label)));
    rows.push(std::iter::once(Piece::plain("agency".to_owned())).chain(heads).collect());
    for agency in agencies {
        let cells = show.people.iter().map(|person| {
            let cell = by_place.get(&(agency, person.person.as_str()));
            cell.map_or_else(|| Piece::plain(String::new()), |cell| cell_piece(cell))
        });
        rows.push(std::iter::once(Piece::plain(safe(agency))).chain(cells).collect());
    }
    let level = show.people.iter().map(|person| match colour(person.level) {
        Some(colour) => Piece::coloured(colour, ""),
        None => Piece::plain("not rated".to_owned()),
    });
    rows.push(std::iter::once(Piece::plain("level".to_owned())).chain(level).collect());
    table(&rows, paint)
}

/// One line for each analysis.
#[must_use]
pub fn analysis_lines(show: &pb::ShowResponse, paint: Paint) -> String {
    let labels = Labels::of(show);
    let mut out = String::new();
    for cell in show.cells.iter().filter(|cell| !cell.analysis.is_empty()) {
        out.push_str(&cell_line(&labels, cell, Analyses::Shown, paint));
        out.push('\n');
    }
    out
}

/// One cell in a line.
#[must_use]
pub fn cell_line(
    labels: &Labels,
    cell: &pb::MatrixCell,
    analyses: Analyses,
    paint: Paint,
) -> String {
    let mut line = format!(
        "{} about {}: {}",
        safe(&cell.agency),
        safe(labels.label(&cell.person)),
        cell_piece(cell).painted(paint)
    );
    if !cell.via.is_empty() {
        let _ = write!(line, " (by way of {})", safe(labels.label(&cell.via)));
    }
    if analyses == Analyses::Shown && !cell.analysis.is_empty() {
        if !cell.topics.is_empty() {
            let _ = write!(line, " [{}]", safe(&cell.topics.join(", ")));
        }
        let _ = write!(line, " {}", safe(&cell.analysis));
        if !cell.rated_by.is_empty() {
            let _ = write!(line, " ({})", safe(&cell.rated_by));
        }
    }
    line
}

/// A request for detail, for one recipient, in a line: what was decided and what follows from it.
#[must_use]
pub fn release_line(labels: &Labels, release: &pb::ReleaseView, paint: Paint) -> String {
    let mut line = format!(
        "{} {} about {} to {}: ",
        safe(&release.holder),
        safe(&release.category),
        safe(labels.label(&release.person)),
        safe(&release.recipient)
    );
    line.push_str(&decision_words(release, paint));
    line.push_str(&retraction_words(release, paint));
    if !release.obligations.is_empty() {
        let _ = write!(line, "; obligations: {}", safe(&release.obligations.join(", ")));
    }
    if !release.would_be_released_if.is_empty() {
        let ways: Vec<String> =
            release.would_be_released_if.iter().map(|word| hypothesis_words(word)).collect();
        let _ = write!(line, "; would be released if {}", ways.join(", or "));
    }
    if !release.contact_route.is_empty() {
        let _ = write!(line, "; contact: {}", safe(&release.contact_route));
    }
    line
}

/// That the holder has taken it back, and whether the recipient knows; nothing while it stands.
fn retraction_words(release: &pb::ReleaseView, paint: Paint) -> String {
    if release.retracted_at_unix_ms == 0 {
        return String::new();
    }
    let at = time(release.retracted_at_unix_ms);
    let known = match release.retraction_acknowledged_at_unix_ms {
        0 => "the recipient has not acknowledged it yet".to_owned(),
        done => format!("acknowledged by the recipient {}", time(done)),
    };
    let word = emphasised("TAKEN BACK", paint);
    format!("; {word} {at} ({}), {known}", safe(&release.retraction_reason))
}

fn decision_words(release: &pb::ReleaseView, paint: Paint) -> String {
    let gate = gate_words(&release.gate);
    let reason = format!("{}: {}", safe(&release.reason), reason_text(&release.reason));
    match release.decision() {
        pb::Decision::Release => {
            let arrived = if release.relayed { "passed on" } else { "not yet passed on" };
            let until = time(release.view_expires_at_unix_ms);
            let word = emphasised("RELEASED", paint);
            format!("{word} by {gate}, {arrived}, to be viewed until {until}")
        }
        pb::Decision::Review => {
            let word = emphasised("REVIEW", paint);
            let n = release.approvals_needed;
            let whom = review_words(release);
            format!("{word} by {gate}, {n} approval(s) needed{whom}; {reason}")
        }
        pb::Decision::Deny => format!("{} {reason}", emphasised("REFUSED", paint)),
        pb::Decision::Unspecified => format!("{} {reason}", emphasised("NO DECISION", paint)),
    }
}

/// Who has to act on a review, and until when, as far as the holder says.
fn review_words(release: &pb::ReleaseView) -> String {
    let mut words = match words::to_review_stage(release.review_stage()) {
        None => return String::new(),
        Some(ReviewStage::Approver) => " from an approver".to_owned(),
        Some(ReviewStage::DeputyApprover) => " from an approver or deputy approver".to_owned(),
    };
    let _ = write!(words, " by {}", time(release.review_until_unix_ms));
    words
}

/// A reason code in plain words.
#[must_use]
pub fn reason_text(code: &str) -> &'static str {
    match code {
        "NO_RESPONSE" => "The holder did not answer; nothing was decided.",
        code => {
            code.parse::<Reason>().map_or("A reason that this version does not know.", Reason::text)
        }
    }
}

/// A gate with its plain name.
#[must_use]
pub fn gate_words(gate: &str) -> String {
    let known = Gate::from_word(gate);
    known.map_or_else(|| safe(gate), |known| format!("{gate} ({})", known.spoken()))
}

/// What would change a refusal, in plain words.
#[must_use]
pub fn hypothesis_words(word: &str) -> String {
    let known = Hypothesis::ALL.into_iter().find(|known| known.word() == word);
    let Some(known) = known else { return safe(word) };
    match known {
        Hypothesis::Agreement => "the person agrees to it",
        Hypothesis::AnotherAmber => "another agency rates them Amber",
        Hypothesis::AnotherRed => "another agency rates them Red",
        Hypothesis::Section47 => "children's social care asserts section 47",
        Hypothesis::Marac => "the Marac threshold is asserted",
        Hypothesis::LawfulBasis => "the request states its lawful basis in full",
        Hypothesis::AcceptedAction => "the recipient accepts an action about them",
        Hypothesis::Involvement => "the recipient rates them from its own record",
    }
    .to_owned()
}

/// One thing that happened, in a line.
#[must_use]
pub fn event_line(labels: &Labels, event: &pb::WatchResponse, paint: Paint) -> String {
    let what = match &event.event {
        Some(pb::watch_response::Event::Cell(cell)) => {
            cell_line(labels, cell, Analyses::Hidden, paint)
        }
        Some(pb::watch_response::Event::Release(release)) => release_line(labels, release, paint),
        Some(pb::watch_response::Event::Fact(kind)) => format!("signed fact: {}", safe(kind)),
        Some(pb::watch_response::Event::RatingChanged(change)) => {
            format!("RATING CHANGED: {}", changes::change_line(labels, change, paint))
        }
        Some(pb::watch_response::Event::Challenge(challenge)) => {
            changes::challenge_line(labels, challenge)
        }
        Some(pb::watch_response::Event::Flag(flag)) => {
            format!("FLAG: {}", life::flag_line(labels, flag))
        }
        Some(pb::watch_response::Event::Step(kind)) => {
            format!("recorded: {}", safe(&kind.replace('_', " ")))
        }
        None => "something that this version does not know".to_owned(),
    };
    format!("{} {what}", time(event.at_unix_ms))
}

/// Enquiries, one line each.
#[must_use]
pub fn list_text(list: &pb::ListResponse, paint: Paint) -> String {
    let mut out = String::new();
    for line in &list.enquiries {
        let _ = writeln!(out, "{}", life::line_of(line, paint));
    }
    out
}

/// Text and what it means for its colour.
struct Piece {
    text: String,
    colour: Option<Colour>,
}

impl Piece {
    const fn plain(text: String) -> Self {
        Self { text, colour: None }
    }

    fn coloured(colour: Colour, before: &str) -> Self {
        let text = format!("{before}{} {}", colour.letter(), colour.word());
        Self { text, colour: Some(colour) }
    }

    fn painted(&self, paint: Paint) -> String {
        match (paint, self.colour) {
            (Paint::Colour, Some(colour)) => {
                let code = match colour {
                    Colour::Blue => "97;44",
                    Colour::Green => "30;42",
                    Colour::Amber => "30;43",
                    Colour::Red => "97;41",
                };
                format!("\x1b[{code}m{}\x1b[0m", self.text)
            }
            (Paint::Plain, _) | (Paint::Colour, None) => self.text.clone(),
        }
    }
}

/// A cell in words, painted.
fn status_words(cell: &pb::MatrixCell, paint: Paint) -> String {
    cell_piece(cell).painted(paint)
}

fn cell_piece(cell: &pb::MatrixCell) -> Piece {
    match cell.status() {
        pb::AnswerStatus::Late => status_piece(cell.late_status(), cell, "late "),
        status => status_piece(status, cell, ""),
    }
}

fn status_piece(status: pb::AnswerStatus, cell: &pb::MatrixCell, before: &str) -> Piece {
    let reason = safe(&cell.reason);
    let words = match status {
        pb::AnswerStatus::Rated => {
            return match colour(cell.colour) {
                // Nobody has judged anew: without its day, two enquiries would seem to confirm each other.
                Some(colour) if cell.repeated => {
                    let mut piece = Piece::coloured(colour, before);
                    let _ = write!(piece.text, ", as rated on {}", day(cell.rated_at_unix_ms));
                    piece
                }
                Some(colour) => Piece::coloured(colour, before),
                // Never shown as any colour: the hub sends none without.
                None => Piece::plain(format!("{before}! rated without a colour")),
            };
        }
        pb::AnswerStatus::NotKnown => "· not known".to_owned(),
        pb::AnswerStatus::IdentityReview => format!("? identity review: {reason}"),
        pb::AnswerStatus::Unable => format!("! unable: {reason}"),
        pb::AnswerStatus::Declined => format!("x declined: {reason}"),
        pb::AnswerStatus::Pending => "… pending".to_owned(),
        pb::AnswerStatus::NoResponse => format!("– no response: {reason}"),
        pb::AnswerStatus::Late | pb::AnswerStatus::Unspecified => {
            "! status not known to this version".to_owned()
        }
    };
    Piece::plain(format!("{before}{words}"))
}

/// Columns as wide as their widest text; two spaces between.
fn table(rows: &[Vec<Piece>], paint: Paint) -> String {
    let width = |text: &str| text.chars().count();
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; n_columns];
    for row in rows {
        for (widest, piece) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(&piece.text));
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (piece, widest) in row.iter().zip(&widths) {
            line.push_str(&piece.painted(paint));
            let gap = widest.saturating_sub(width(&piece.text)) + 2;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn colour(number: i32) -> Option<Colour> {
    words::to_optional_colour(number).ok().flatten()
}

fn colour_words(colour: Colour, paint: Paint) -> String {
    Piece::coloured(colour, "").painted(paint)
}

fn level_words(number: i32, paint: Paint) -> String {
    colour(number).map_or_else(|| "not rated".to_owned(), |colour| colour_words(colour, paint))
}

fn emphasised(word: &str, paint: Paint) -> String {
    match paint {
        Paint::Plain => word.to_owned(),
        Paint::Colour => format!("\x1b[1m{word}\x1b[0m"),
    }
}

/// A time to the second, RFC 3339; `-` when it is absent.
fn time(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) if unix_ms != 0 => format!("{at:.0}"),
        Ok(_) | Err(_) => "-".to_owned(),
    }
}

/// A day by UTC; `-` when it is absent.
fn day(unix_ms: i64) -> String {
    time(unix_ms).split('T').next().unwrap_or("-").to_owned()
}

/// Text of others without control characters or marks that turn the direction of text.
pub(crate) fn safe(text: &str) -> String {
    let tricks = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if tricks(c) { '\u{fffd}' } else { c }).collect()
}
