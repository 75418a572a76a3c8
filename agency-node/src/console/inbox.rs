//! Detail that others released to this agency, and notices that they took it back.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Form, Frame, Problem, Visit, form_page, page, shown::when},
    wire::pb::{self, desk_service_server::DeskService as _},
};

use super::{
    Calls, Here,
    ask::refuse,
    due::Due,
    terms::{Terms, reason_words},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{release}", get(show).post(open))
        .route("/inbox/notices/{notice}", get(show_notice).post(acknowledge))
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    notices: Vec<Notice>,
    open: Vec<Item>,
    closed: Vec<Item>,
}

/// One sealed view.
struct Item {
    release: String,
    enquiry: String,
    person: String,
    category: String,
    holder: String,
    ends: Due,
    /// What each obligation asks, with its code.
    obligations: Vec<(String, String)>,
    /// Why it has ended; empty: it is open.
    closed: &'static str,
    closed_at: String,
}

/// That detail was taken back.
struct Notice {
    notice: String,
    enquiry: String,
    person: String,
    category: String,
    holder: String,
    reason: String,
    text: String,
    at: String,
    acknowledged: String,
}

fn item(item: pb::InboxItem, terms: &Terms) -> Item {
    // The text has the time in words; its code is told without.
    let codes = item.obligations.iter().map(|word| word.split('=').next().unwrap_or(word));
    let codes: Vec<String> = codes.map(str::to_owned).collect();
    Item {
        category: terms.category(&item.category),
        holder: terms.agency(&item.holder),
        ends: Due::by(item.expires_at_unix_ms, terms.now()),
        obligations: codes.into_iter().zip(item.obligation_texts).collect(),
        closed: closed_words(&item.closed),
        closed_at: when(item.closed_at_unix_ms),
        release: item.release,
        enquiry: item.enquiry,
        person: item.person,
    }
}

/// Why a view has ended, in words; empty while it is open.
fn closed_words(word: &str) -> &'static str {
    match word {
        "" => "",
        "view_expired" => "Its time has passed; ask the co-ordinator to ask again",
        "view_retracted" => "The agency that released it has taken it back",
        "agreement_expired" => "The information sharing agreement has ended",
        "party_withdrawn" => "Your agency has withdrawn from the agreement",
        _ => "It has ended",
    }
}

fn notice(notice: pb::Notice, terms: &Terms) -> Notice {
    let acknowledged = match notice.acknowledged_by.as_str() {
        "" => String::new(),
        by => format!("{by}, {}", when(notice.acknowledged_at_unix_ms)),
    };
    Notice {
        category: terms.category(&notice.category),
        holder: terms.agency(&notice.holder),
        reason: reason_words(&notice.reason),
        at: when(notice.received_at_unix_ms),
        acknowledged,
        notice: notice.notice,
        enquiry: notice.enquiry,
        person: notice.person,
        text: notice.text,
    }
}

async fn read(visit: &Visit, calls: &Calls) -> Result<pb::InboxResponse, Problem> {
    Ok(calls.desk.inbox(visit.request(pb::InboxRequest {})).await?.into_inner())
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let inbox = read(&visit, &calls).await?;
    let items = inbox.items.into_iter().map(|one| item(one, &calls.terms));
    let (open, closed) = items.partition(|item| item.closed.is_empty());
    let notices = inbox.notices.into_iter().map(|one| notice(one, &calls.terms)).collect();
    Ok(page(&InboxPage { frame: visit.frame("Inbox"), notices, open, closed }))
}

#[derive(Template)]
#[template(path = "view.html")]
struct ViewPage {
    frame: Frame,
    item: Item,
    form: Form,
}

fn view_page(visit: &Visit, item: Item, form: Form) -> Response {
    let frame = visit.frame(form.title("Detail released to you"));
    form_page(form.status(), &ViewPage { frame, item, form })
}

async fn one(visit: &Visit, calls: &Calls, release: &str) -> Result<Item, Problem> {
    let inbox = read(visit, calls).await?;
    let found = inbox.items.into_iter().find(|item| item.release == release);
    found.map(|found| item(found, &calls.terms)).ok_or(Problem::NotFound)
}

/// What comes with the detail. Nothing is opened: that is what sending the form does.
async fn show(
    visit: Visit,
    State(calls): Here,
    Path(release): Path<String>,
) -> Result<Response, Problem> {
    let item = one(&visit, &calls, &release).await?;
    Ok(view_page(&visit, item, Form::default()))
}

#[derive(Template)]
#[template(path = "opened.html")]
struct OpenedPage {
    frame: Frame,
    item: Item,
    text: String,
}

/// Opens a view: it is recorded, and then shown in the answer itself, which nothing keeps.
async fn open(
    visit: Visit,
    State(calls): Here,
    Path(release): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = pb::OpenDetailRequest {
        release: release.clone(),
        obligations_accepted: form.has("accept", "yes"),
    };
    match calls.desk.open_detail(visit.request(request)).await {
        Ok(opened) => {
            let item = one(&visit, &calls, &release).await?;
            let text = opened.into_inner().text;
            Ok(page(&OpenedPage { frame: visit.frame("Opened detail"), item, text }))
        }
        Err(status) => {
            refuse(&mut form, status, &[("obligations_not_accepted", "accept")])?;
            if !form.error("accept").is_empty() {
                form.right("accept");
                form.wrong("accept", "Say that you have read the obligations and accept them");
            }
            let item = one(&visit, &calls, &release).await?;
            Ok(view_page(&visit, item, form))
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    frame: Frame,
    notice: Notice,
    form: Form,
}

fn notice_page(visit: &Visit, notice: Notice, form: Form) -> Response {
    let frame = visit.frame(form.title("Detail was taken back"));
    form_page(form.status(), &NoticePage { frame, notice, form })
}

async fn one_notice(visit: &Visit, calls: &Calls, name: &str) -> Result<Notice, Problem> {
    let inbox = read(visit, calls).await?;
    let found = inbox.notices.into_iter().find(|notice| notice.notice == name);
    found.map(|found| notice(found, &calls.terms)).ok_or(Problem::NotFound)
}

async fn show_notice(
    visit: Visit,
    State(calls): Here,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let notice = one_notice(&visit, &calls, &name).await?;
    Ok(notice_page(&visit, notice, Form::default()))
}

async fn acknowledge(
    visit: Visit,
    State(calls): Here,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let request = pb::AcknowledgeRequest { notice: name.clone() };
    match calls.desk.acknowledge(visit.request(request)).await {
        Ok(_) => Ok(visit.done("/inbox", "You have acknowledged that the detail was taken back. The agency that took it back is told.")),
        Err(status) => {
            let mut form = Form::default();
            refuse(&mut form, status, &[])?;
            let notice = one_notice(&visit, &calls, &name).await?;
            Ok(notice_page(&visit, notice, form))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::shapes::CloseReason;

    #[test]
    fn every_way_in_which_a_view_ends_has_words_of_its_own() {
        let all = [
            CloseReason::Expired,
            CloseReason::Retracted,
            CloseReason::AgreementEnded,
            CloseReason::PartyWithdrawn,
        ];
        let words: std::collections::BTreeSet<_> =
            all.iter().map(|why| closed_words(why.word())).collect();
        assert_eq!(words.len(), 4);
        assert!(!words.contains("It has ended") && closed_words("").is_empty());
        assert_eq!(closed_words("a_later_version"), "It has ended");
    }
}
