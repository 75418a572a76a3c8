//! Closing an enquiry, or seeing everything that stands in the way, each with where it is put right.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Choice, Form, Frame, Problem, Visit, Wrong, form_page},
    status::code_of,
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};

use super::{
    Calls, Here,
    enquiry::{Head, read},
    standing::Unmet,
};
use crate::life::{
    close::{CLOSE_BLOCKED, NFA_BLOCKED},
    words::Kind,
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries/{enquiry}/close", get(ask).post(close))
}

#[derive(Template)]
#[template(path = "close.html")]
struct ClosePage {
    frame: Frame,
    head: Head,
    form: Form,
    outcomes: Vec<Choice>,
    unmet: Vec<Unmet>,
    /// Whoever looks is the one who wanted to close it: somebody else has to say the same.
    own_wish: bool,
}

fn close_page(visit: &Visit, calls: &Calls, show: &pb::ShowResponse, form: Form) -> Response {
    form_page(
        form.status(),
        &ClosePage {
            frame: visit.frame(form.title("Close")),
            head: Head::of(show, calls, "/close"),
            outcomes: calls.terms.words(Kind::Outcome),
            unmet: show.unmet.iter().map(|one| Unmet::of(show, one)).collect(),
            own_wish: show.closing_wanted_by == visit.name().as_str(),
            form,
        },
    )
}

async fn ask(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(close_page(&visit, &calls, &shown, Form::default()))
}

async fn close(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let outcome = form.chosen("outcome", &calls.terms.words(Kind::Outcome), "Choose how it ends");
    let reason = form.line("reason");
    if reason.chars().count() > 600 {
        form.wrong("reason", "Say it in at most 600 characters");
    }
    if reason.is_empty() && calls.terms.does_nothing(&outcome) {
        form.wrong("reason", "Say why nothing is done");
    }
    if form.is_right() {
        let request = pb::CloseRequest { enquiry: enquiry.clone(), outcome, reason };
        match calls.coordinators.close(visit.request(request)).await {
            Ok(answer) if answer.get_ref().closed => {
                return Ok(visit.done(&format!("/enquiries/{enquiry}"), "The enquiry is closed."));
            }
            Ok(_) => {
                let address = format!("/enquiries/{enquiry}/close");
                return Ok(visit.done(
                    &address,
                    "It was recorded. The enquiry is closed once a second person says the same.",
                ));
            }
            Err(status) => {
                let code = code_of(&status).unwrap_or_default().to_owned();
                let blocked = code == CLOSE_BLOCKED || code == NFA_BLOCKED;
                let whole = status.message().to_owned();
                if !blocked {
                    form.refuse("", status)?;
                }
                let shown = read(&visit, &calls, &enquiry).await?;
                if blocked {
                    form.refused_for(&code);
                    say(&mut form, &shown, (code == NFA_BLOCKED, &whole));
                }
                return Ok(close_page(&visit, &calls, &shown, form));
            }
        }
    }
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(close_page(&visit, &calls, &shown, form))
}

/// Says everything that stands in the way, each with where it is put right. What the enquiry itself does not list is in the text of
/// the refusal: evidence of domestic abuse, which is in the way of no further action alone.
fn say(form: &mut Form, show: &pb::ShowResponse, (nothing_done, refusal): (bool, &str)) {
    let mut wrong: Vec<Wrong> = show
        .unmet
        .iter()
        .map(|one| Unmet::of(show, one))
        .map(|one| Wrong { at: one.address, text: one.text })
        .collect();
    let abuse = Unmet::of(
        show,
        &pb::Unmet { condition: "domestic_abuse".to_owned(), ..pb::Unmet::default() },
    );
    if nothing_done && refusal.contains("domestic abuse") {
        wrong.push(Wrong { at: "#outcome".to_owned(), text: abuse.text });
    }
    if wrong.is_empty() {
        wrong.push(Wrong { at: String::new(), text: refusal.to_owned() });
    }
    wrong.into_iter().for_each(|one| form.wrong_elsewhere(one));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_everything_unmet_and_where_it_is_mended() {
        let unmet = |condition: &str| pb::Unmet {
            condition: condition.to_owned(),
            agency: "CSC".to_owned(),
            person: "r1".to_owned(),
        };
        let show = pb::ShowResponse {
            enquiry: "e1".to_owned(),
            unmet: vec![unmet("missing_rating"), unmet("no_action_for_member")],
            ..pb::ShowResponse::default()
        };
        let mut form = Form::default();
        say(&mut form, &show, (true, "…; there is evidence of domestic abuse, so …"));
        let at: Vec<_> = form.all_wrong().iter().map(|wrong| wrong.at.as_str()).collect();
        assert_eq!(
            at,
            ["/enquiries/e1#cell-CSC-r1", "/enquiries/e1/plan/action?person=r1", "#outcome"]
        );
    }
}
