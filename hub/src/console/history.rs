//! What has happened in an enquiry, the newest first: ratings that changed, challenges, events, meetings, requests for detail, flags.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Frame, Problem, Visit, page, shown::when},
    wire::pb,
};

use super::{
    Calls, Here,
    enquiries::colour_tag,
    enquiry::{Head, read, whom},
    outcome::Decided,
    standing::{about, flag_words},
};
use crate::life::words::Kind;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries/{enquiry}/history", get(show))
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    frame: Frame,
    head: Head,
    moments: Vec<Moment>,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) struct Moment {
    at_unix_ms: i64,
    pub(super) at: String,
    pub(super) title: String,
    /// What people wrote.
    pub(super) texts: Vec<String>,
    pub(super) by: String,
}

impl Moment {
    fn new(at_unix_ms: i64, title: impl Into<String>) -> Self {
        let (texts, by) = (Vec::new(), String::new());
        Self { at_unix_ms, at: when(at_unix_ms), title: title.into(), texts, by }
    }

    fn text(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.texts.push(text);
        }
        self
    }

    fn by(mut self, by: &str) -> Self {
        by.clone_into(&mut self.by);
        self
    }
}

/// A rating that was replaced or withdrawn, in words.
pub(super) fn change_words(change: &pb::RatingChange) -> String {
    let colour = |version: &Option<pb::RatingVersion>| {
        version.as_ref().map_or("no rating", |version| colour_tag(version.colour).text())
    };
    let how = if change.withdrawn { "Withdrawn" } else { "Changed" };
    format!("{how}: from {} to {}", colour(&change.before), colour(&change.after))
}

/// What came of a challenge, in words.
pub(super) fn challenge_state(challenge: &pb::RatingChallenge) -> &'static str {
    match challenge.status.as_str() {
        "open" if challenge.told => "It waits for an answer",
        "open" => "It is not yet passed on",
        "kept" => "The rating stays",
        "changed" => "The rating has changed",
        "no_rating" => "There was no rating to challenge",
        _ => "It stands in a way that this version does not know",
    }
}

/// Everything that happened, the newest first.
pub(super) fn moments(show: &pb::ShowResponse, calls: &Calls) -> Vec<Moment> {
    let mut all = vec![Moment::new(show.opened_at_unix_ms, "The enquiry was opened")];
    for change in &show.rating_changes {
        let title = format!(
            "{}’s rating of {}. {}",
            change.agency,
            whom(show, &change.person),
            change_words(change)
        );
        let version = |when: &str, version: &Option<pb::RatingVersion>| {
            version.as_ref().map_or_else(String::new, |version| {
                format!("{when}, by {}: {}", version.rated_by, version.analysis)
            })
        };
        let moment = Moment::new(change.changed_at_unix_ms, title);
        all.push(
            moment.text(version("Before", &change.before)).text(version("After", &change.after)),
        );
    }
    for challenge in &show.challenges {
        let title = format!(
            "{} challenges {}’s rating of {}. {}.",
            challenge.by,
            challenge.of,
            whom(show, &challenge.person),
            challenge_state(challenge)
        );
        let answer = match challenge.answer.as_str() {
            "" => String::new(),
            answer => format!("Answer {}: {answer}", when(challenge.answered_at_unix_ms)),
        };
        let moment = Moment::new(challenge.made_at_unix_ms, title).by(&challenge.made_by);
        all.push(moment.text(&challenge.reason).text(answer));
    }
    for event in &show.events {
        let people: Vec<String> = event.people.iter().map(|one| whom(show, one)).collect();
        let title = calls.terms.word_title(Kind::Event, &event.word);
        let title = [title, event.agency.clone(), people.join(", ")];
        let title: Vec<String> = title.into_iter().filter(|part| !part.is_empty()).collect();
        let moment = Moment::new(event.at_unix_ms, title.join(": "));
        all.push(moment.text(&event.note).by(&event.recorded_by));
    }
    for meeting in &show.meetings {
        let title = format!("Meeting, chaired by {}", meeting.chair);
        let there = [meeting.present.as_slice(), &meeting.dialled_in].concat().join(", ");
        let there = if there.is_empty() { there } else { format!("With {there}") };
        all.push(Moment::new(meeting.at_unix_ms, title).text(there).text(&meeting.agreed));
    }
    for view in &show.releases {
        let decided = Decided::of(show, &calls.terms, view);
        let title = format!(
            "{} was asked for {} about {}, for {}: {}",
            decided.holder,
            decided.category,
            decided.whom,
            decided.recipient,
            decided.decision.to_lowercase()
        );
        all.push(Moment::new(view.asked_at_unix_ms, title));
    }
    for flag in &show.flags {
        let what = about(show, &flag_words(&flag.flag), &flag.agency, &flag.person);
        all.push(Moment::new(flag.raised_at_unix_ms, format!("Flag raised. {what}")));
        if flag.cleared_at_unix_ms != 0 {
            all.push(Moment::new(flag.cleared_at_unix_ms, format!("Flag cleared. {what}")));
        }
    }
    if let Some(closed) = &show.closed {
        let outcome = calls.terms.word_title(Kind::Outcome, &closed.outcome);
        let moment = Moment::new(closed.at_unix_ms, format!("Closed: {outcome}"));
        all.push(moment.text(&closed.reason).by(&closed.by));
    }
    // Stable: what came at the same moment keeps its order.
    all.sort_by_key(|moment| std::cmp::Reverse(moment.at_unix_ms));
    all
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&HistoryPage {
        frame: visit.frame("History"),
        head: Head::of(&shown, &calls, "/history"),
        moments: moments(&shown, &calls),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_both_colours_in_words() {
        let version = |colour: pb::Colour| {
            Some(pb::RatingVersion { colour: colour.into(), ..pb::RatingVersion::default() })
        };
        let mut change = pb::RatingChange {
            before: version(pb::Colour::Amber),
            after: version(pb::Colour::Red),
            ..pb::RatingChange::default()
        };
        assert_eq!(change_words(&change), "Changed: from A Amber to R Red");
        change.withdrawn = true;
        change.after = None;
        assert_eq!(change_words(&change), "Withdrawn: from A Amber to no rating");
    }
}
