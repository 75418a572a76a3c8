//! The plan of an enquiry: who leads, actions and how far they are, meetings, earlier contacts, answers that are not waited for.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{
        Frame, Problem, Visit, page,
        shown::{ColourTag, spoken, when},
    },
    wire::pb,
};

use super::{
    Calls, Here,
    enquiries::colour_tag,
    enquiry::{Head, read, whom},
    standing::Standing,
    step,
};
use crate::life::words::Kind;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries/{enquiry}/plan", get(show)).merge(step::routes())
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    head: Head,
    base: String,
    plan: Plan,
    standing: Standing,
    may_waive: bool,
}

/// The plan in words.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) lead: Option<String>,
    pub(super) actions: Vec<ActionLine>,
    pub(super) meetings: Vec<MeetingLine>,
    pub(super) contacts: Vec<String>,
    pub(super) waivers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct ActionLine {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) owner: String,
    pub(super) whom: String,
    pub(super) what: String,
    pub(super) due: String,
    pub(super) state: String,
    pub(super) since: String,
    /// It is neither done nor dropped.
    pub(super) open: bool,
    pub(super) overdue: bool,
}

#[derive(Debug)]
pub(super) struct MeetingLine {
    pub(super) at: String,
    pub(super) chair: String,
    pub(super) present: String,
    pub(super) dialled_in: String,
    pub(super) agreed: String,
    /// Whom, their level then, and whose required answer was missing.
    pub(super) seen: Vec<(String, ColourTag, String)>,
}

impl Plan {
    pub(super) fn of(show: &pb::ShowResponse, calls: &Calls) -> Self {
        let action = |one: &pb::PlannedAction| {
            let open = one.state != "done" && one.state != "dropped";
            ActionLine {
                name: one.action.clone(),
                kind: calls.terms.word_title(Kind::Action, &one.word),
                owner: one.owner.clone(),
                whom: whom(show, &one.person),
                what: one.what.clone(),
                due: when(one.due_at_unix_ms),
                state: spoken(&one.state),
                since: when(one.since_unix_ms),
                open,
                overdue: open && is_overdue(show, one),
            }
        };
        let lead = show.lead.as_ref().map(|lead| {
            let role =
                if lead.role.is_empty() { String::new() } else { format!(", {}", lead.role) };
            format!("{}{role}, since {}", lead.agency, when(lead.since_unix_ms))
        });
        let contacts = show.histories.iter().map(|one| {
            let last = match one.last_closed_at_unix_ms {
                0 => String::new(),
                at => format!("; its last work was closed {}", when(at)),
            };
            format!("{} knows of {}{last}", one.agency, one.contacts)
        });
        let waiver = |one: &pb::Waiver| {
            (format!("{} about {}", one.agency, whom(show, &one.person)), one.reason.clone())
        };
        Self {
            lead,
            actions: show.plan.iter().map(action).collect(),
            meetings: show.meetings.iter().rev().map(|one| MeetingLine::of(show, one)).collect(),
            contacts: contacts.collect(),
            waivers: show.waivers.iter().map(waiver).collect(),
        }
    }
}

/// Whether the day of an action that is not done has passed: the hub's own flag says so of its owner and person, and from when.
fn is_overdue(show: &pb::ShowResponse, one: &pb::PlannedAction) -> bool {
    show.flags.iter().any(|flag| {
        flag.flag == "action_overdue"
            && flag.cleared_at_unix_ms == 0
            && flag.agency == one.owner
            && flag.person == one.person
            && (1..=flag.raised_at_unix_ms).contains(&one.due_at_unix_ms)
    })
}

impl MeetingLine {
    fn of(show: &pb::ShowResponse, meeting: &pb::Meeting) -> Self {
        let seen = |one: &pb::Seen| {
            let missing = match one.missing.join(", ").as_str() {
                "" => String::new(),
                missing => format!("missing: {missing}"),
            };
            (whom(show, &one.person), colour_tag(one.level), missing)
        };
        Self {
            at: when(meeting.at_unix_ms),
            chair: meeting.chair.clone(),
            present: meeting.present.join(", "),
            dialled_in: meeting.dialled_in.join(", "),
            agreed: meeting.agreed.clone(),
            seen: meeting.seen.iter().map(seen).collect(),
        }
    }
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&PlanPage {
        frame: visit.frame("Plan"),
        head: Head::of(&shown, &calls, "/plan"),
        base: format!("/enquiries/{}", shown.enquiry),
        plan: Plan::of(&shown, &calls),
        standing: Standing::of(&shown),
        may_waive: step::Kind::Waiver.is_for(&visit),
    }))
}
