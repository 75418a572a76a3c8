//! News of enquiries that the agency has a part in.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::{
    console::{Frame, Problem, Visit, page, shown::when},
    staff::Role as _,
    wire::pb::{self, desk_service_server::DeskService as _},
};

use super::{Calls, Here};
use crate::config::Role;

/// News on the page.
const LIMIT: u32 = 200;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/news", get(list))
}

#[derive(Template)]
#[template(path = "news.html")]
struct NewsPage {
    frame: Frame,
    items: Vec<Told>,
}

/// One piece of news.
pub(super) struct Told {
    pub(super) text: String,
    pub(super) at: String,
    /// Where an action of the plan is accepted; empty for other news.
    pub(super) accept: String,
}

impl From<pb::NewsItem> for Told {
    fn from(item: pb::NewsItem) -> Self {
        let is_action = item.news == "action_planned" && !item.person.is_empty();
        let accept = match is_action {
            true => format!("{}/action", super::person::address(&item.enquiry, &item.person)),
            false => String::new(),
        };
        Self { text: item.text, at: when(item.received_at_unix_ms), accept }
    }
}

/// The newest, at most so many.
pub(super) async fn newest(visit: &Visit, calls: &Calls, limit: u32) -> Result<Vec<Told>, Problem> {
    let news = calls.desk.news(visit.request(pb::NewsRequest { limit })).await?.into_inner();
    let mut told: Vec<Told> = news.items.into_iter().map(Told::from).collect();
    // Nobody is sent where they may not go.
    if !visit.has(Role::Assessor.word()) {
        told.iter_mut().for_each(|one| one.accept.clear());
    }
    Ok(told)
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let items = newest(&visit, &calls, LIMIT).await?;
    Ok(page(&NewsPage { frame: visit.frame("News"), items }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_of_the_plan_leads_to_where_it_is_accepted_and_other_news_to_nothing() {
        let item = |news: &str, person: &str| pb::NewsItem {
            enquiry: "e1".to_owned(),
            news: news.to_owned(),
            person: person.to_owned(),
            ..pb::NewsItem::default()
        };
        assert_eq!(Told::from(item("action_planned", "p1")).accept, "/people/e1/p1/action");
        assert_eq!(Told::from(item("action_planned", "")).accept, "");
        assert_eq!(Told::from(item("closed", "p1")).accept, "");
    }
}
