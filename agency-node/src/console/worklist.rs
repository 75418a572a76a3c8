//! What waits for somebody, the most urgent first: people to rate and to compare, releases to approve, challenges, retractions; and news.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::{
    console::{Frame, Problem, Visit, page, shown::spoken},
    staff::Role as _,
    time::Timestamp,
    wire::{
        pb::{self, desk_service_server::DeskService as _},
        words,
    },
};

use super::{
    Calls, Here, approval,
    due::{Due, counted},
    news::{self, Told},
    person::{NOT_TOLD, address, age_words},
    terms::{Terms, gate_words},
};
use crate::config::Role;

/// News beside the worklist.
const NEWS: u32 = 5;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/worklist", get(list))
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct WorklistPage {
    frame: Frame,
    tasks: Vec<Task>,
    n_overdue: usize,
    /// Absent for whoever is told none.
    news: Option<Vec<Told>>,
}

/// Something that waits.
#[derive(Debug, PartialEq, Eq)]
struct Task {
    /// What it is ordered by, in Unix milliseconds: when it is due, or since when it waits.
    at: i64,
    what: &'static str,
    who: String,
    enquiry: String,
    about: String,
    due: Due,
    address: String,
}

/// All of it, in one order: what has waited longest without a clock stands among what was due then.
fn tasks(
    list: pb::WorklistResponse,
    notices: Vec<pb::Notice>,
    shown: Shown,
    terms: &Terms,
    now: Timestamp,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    if shown == Shown::ToAssessors {
        tasks.extend(list.ratings.into_iter().map(|work| rating(work, now)));
        tasks.extend(list.challenges.into_iter().map(|work| challenge(work, terms, now)));
        let waiting = notices.into_iter().filter(|notice| notice.acknowledged_by.is_empty());
        tasks.extend(waiting.map(|one| notice(one, terms, now)));
    }
    tasks.extend(list.reviews.into_iter().map(|work| review(work, terms, now)));
    tasks.sort_by(|a, b| (a.at, a.what, &a.address).cmp(&(b.at, b.what, &b.address)));
    tasks
}

/// Whose work is shown: approvers are told of people to rate too, and can not rate them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    ToAssessors,
    ToReviewers,
}

fn rating(work: pb::RatingWork, now: Timestamp) -> Task {
    let here = address(&work.enquiry, &work.person);
    let (what, address) = match work.kind.as_str() {
        "identity" => ("Compare identities", format!("{here}/identity")),
        "linked" => ("May be rated by a link", here),
        _ => ("Rate", here),
    };
    let role = words::to_role(work.role).ok().flatten().map(|role| spoken(role.word()));
    let parts = [role.unwrap_or_default(), age_words(&work.age_band), spoken(&work.purpose)];
    let about: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Task {
        at: work.answer_by_unix_ms,
        what,
        who: if work.name.is_empty() { NOT_TOLD.to_owned() } else { work.name },
        enquiry: work.enquiry,
        about: about.join(", "),
        due: Due::by(work.answer_by_unix_ms, now),
        address,
    }
}

fn challenge(work: pb::ChallengeWork, terms: &Terms, now: Timestamp) -> Task {
    let here = address(&work.enquiry, &work.person);
    Task {
        at: work.made_at_unix_ms,
        what: "Answer a challenge",
        who: format!("Person {}", work.person),
        about: format!("{} asks your agency to look again", terms.agency(&work.by)),
        due: Due::since(work.made_at_unix_ms, now),
        address: format!("{here}/challenges/{}", work.challenge),
        enquiry: work.enquiry,
    }
}

fn notice(notice: pb::Notice, terms: &Terms, now: Timestamp) -> Task {
    let what = terms.category(&notice.category);
    Task {
        at: notice.received_at_unix_ms,
        what: "Acknowledge that detail was taken back",
        who: format!("Person {}", notice.person),
        about: format!("{} has taken back {what}", terms.agency(&notice.holder)),
        due: Due::since(notice.received_at_unix_ms, now),
        address: format!("/inbox/notices/{}", notice.notice),
        enquiry: notice.enquiry,
    }
}

fn review(work: pb::ReviewWork, terms: &Terms, now: Timestamp) -> Task {
    let escalated = if work.escalated_at_unix_ms == 0 { "" } else { "; deputies are asked too" };
    let needed = counted(work.approvals_needed.into(), "approval");
    Task {
        at: work.decide_by_unix_ms,
        what: "Approve or refuse a release",
        who: format!("Person {}", work.person),
        about: format!(
            "{} for {}, on {}; {} of {needed} given{escalated}",
            terms.category(&work.category),
            terms.agency(&work.recipient),
            gate_words(&work.gate),
            work.approvals_given
        ),
        due: Due::by(work.decide_by_unix_ms, now),
        address: approval::address(&work.work),
        enquiry: work.enquiry,
    }
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let list = calls.desk.worklist_shown(visit.request(pb::WorklistRequest {})).await?;
    let (mut notices, mut shown) = (Vec::new(), Shown::ToReviewers);
    if visit.has(Role::Assessor.word()) {
        shown = Shown::ToAssessors;
        let inbox = calls.desk.inbox(visit.request(pb::InboxRequest {})).await?.into_inner();
        notices = inbox.notices;
    }
    let told = visit.has(Role::Assessor.word()) || visit.has(Role::Approver.word());
    let news = if told { Some(news::newest(&visit, &calls, NEWS).await?) } else { None };
    let tasks = tasks(list, notices, shown, &calls.terms, calls.terms.now());
    let n_overdue = tasks.iter().filter(|task| task.due.overdue).count();
    Ok(page(&WorklistPage { frame: visit.frame("Worklist"), tasks, n_overdue, news }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2027-02-09T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn who_is_not_told_by_name_is_never_an_empty_name() {
        let work = pb::RatingWork { kind: "linked".to_owned(), ..pb::RatingWork::default() };
        let task = rating(work, now());
        assert_eq!((task.who.as_str(), task.what), (NOT_TOLD, "May be rated by a link"));
    }

    #[test]
    fn each_kind_of_work_leads_to_its_own_page() {
        let work = |kind: &str| pb::RatingWork {
            enquiry: "e".to_owned(),
            person: "p".to_owned(),
            kind: kind.to_owned(),
            answer_by_unix_ms: now().as_millisecond() - 1,
            ..pb::RatingWork::default()
        };
        assert_eq!(rating(work("rate"), now()).address, "/people/e/p");
        let compared = rating(work("identity"), now());
        assert_eq!(compared.address, "/people/e/p/identity");
        assert!(compared.due.overdue);
    }
}
