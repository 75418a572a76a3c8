//! The life of an enquiry as co-ordinators see it: from what is known to wire messages. Nothing is decided here.

use brag_common::{
    id::{AgencyId, PersonRef},
    rating::Colour,
    statement::PersonRole,
    time::Timestamp,
    wire::{pb, words},
};

use super::{Case, Picture, clocks::Clock, closing::unmet, plan::Plan};
use crate::store::{
    life::{FlagRecord, SeenRecord},
    shapes::PersonRecord,
};

/// Fills in what `pb::ShowResponse` says of the life of an enquiry.
pub fn fill(shown: &mut pb::ShowResponse, case: &Case<'_>, flags: &[FlagRecord]) {
    let (plan, picture) = (case.plan, Picture::of(case));
    shown.flags = flags.iter().map(flag).collect();
    shown.clocks = clocks(&picture);
    shown.plan = plan
        .actions
        .iter()
        .map(|action| pb::PlannedAction {
            action: action.name.clone(),
            word: action.word.clone(),
            owner: action.owner.to_string(),
            person: action.person.to_string(),
            what: action.what.clone(),
            due_at_unix_ms: action.due_at.map_or(0, Timestamp::as_millisecond),
            state: action.state.word().to_owned(),
            since_unix_ms: action.since.as_millisecond(),
        })
        .collect();
    shown.lead = plan.lead.as_ref().map(|lead| pb::Lead {
        agency: lead.agency.to_string(),
        role: lead.role.clone(),
        since_unix_ms: lead.since.as_millisecond(),
    });
    shown.events = plan
        .events
        .iter()
        .map(|event| pb::Event {
            word: event.word.clone(),
            people: event.people.iter().map(ToString::to_string).collect(),
            agency: text(event.agency.as_ref()),
            at_unix_ms: event.at.as_millisecond(),
            note: event.note.clone(),
            recorded_at_unix_ms: event.recorded_at.as_millisecond(),
            recorded_by: event.recorded_by.to_string(),
        })
        .collect();
    shown.meetings = meetings(plan);
    shown.waivers = plan
        .waivers
        .iter()
        .map(|((agency, person), reason)| pb::Waiver {
            agency: agency.to_string(),
            person: person.to_string(),
            reason: reason.clone(),
        })
        .collect();
    shown.histories = plan
        .histories
        .iter()
        .map(|(agency, history)| pb::History {
            agency: agency.to_string(),
            contacts: history.contacts,
            last_closed_at_unix_ms: history.last_closed_at.map_or(0, Timestamp::as_millisecond),
        })
        .collect();
    shown.closed = plan.closed.as_ref().map(|closed| pb::Closed {
        at_unix_ms: closed.at.as_millisecond(),
        outcome: closed.outcome.clone(),
        reason: closed.reason.clone(),
        by: closed.by.to_string(),
    });
    if plan.closed.is_none() {
        shown.closing_wanted_by =
            plan.closing_wanted.as_ref().map(|(by, _)| by.to_string()).unwrap_or_default();
        shown.unmet = unmet(case, &picture, false)
            .iter()
            .map(|one| pb::Unmet {
                condition: one.condition.word().to_owned(),
                agency: text(one.agency.as_ref()),
                person: reference(one.person.as_ref()),
            })
            .collect();
    }
}

/// The parts of a person as agencies have signed them.
#[must_use]
pub fn signed_roles(case: &Case<'_>, person: &PersonRef) -> Vec<pb::SignedRole> {
    let signed = case.signed_roles(person).into_iter();
    signed
        .map(|(agency, (role, made_at))| pb::SignedRole {
            agency: agency.to_string(),
            role: words::role(Some(role)).into(),
            made_at_unix_ms: made_at.as_millisecond(),
        })
        .collect()
}

/// Whether a person counts as a victim: by their part, or as a child where there is evidence of domestic abuse (Domestic Abuse Act 2021,
/// section 3).
#[must_use]
pub fn is_victim(case: &Case<'_>, person: &PersonRecord) -> bool {
    case.roles(person).contains(&PersonRole::Victim)
        || (case.is_child(person) && case.domestic_abuse())
}

/// A flag.
#[must_use]
pub fn flag(record: &FlagRecord) -> pb::Flag {
    pb::Flag {
        flag: record.flag.clone(),
        agency: text(record.agency.as_ref()),
        person: reference(record.person.as_ref()),
        raised_at_unix_ms: record.raised_at.as_millisecond(),
        cleared_at_unix_ms: record.cleared_at.map_or(0, Timestamp::as_millisecond),
    }
}

fn clocks(picture: &Picture) -> Vec<pb::Clock> {
    let mut clocks: Vec<(&str, Clock)> =
        [("section_47", picture.section_47), ("response", picture.response)]
            .into_iter()
            .filter_map(|(name, clock)| Some((name, clock?)))
            .collect();
    clocks.sort_by_key(|(_, clock)| clock.started_at);
    clocks
        .into_iter()
        .map(|(name, clock)| pb::Clock {
            clock: name.to_owned(),
            started_at_unix_ms: clock.started_at.as_millisecond(),
            due_at_unix_ms: clock.due_at.as_millisecond(),
            state: clock.state.word().to_owned(),
            ended_at_unix_ms: clock.ended_at.map_or(0, Timestamp::as_millisecond),
        })
        .collect()
}

fn meetings(plan: &Plan) -> Vec<pb::Meeting> {
    let names = |agencies: &std::collections::BTreeSet<AgencyId>| {
        agencies.iter().map(ToString::to_string).collect()
    };
    plan.meetings
        .iter()
        .map(|meeting| pb::Meeting {
            chair: meeting.chair.to_string(),
            present: names(&meeting.present),
            dialled_in: names(&meeting.dialled_in),
            at_unix_ms: meeting.at.as_millisecond(),
            agreed: meeting.agreed.clone(),
            seen: meeting
                .seen
                .iter()
                .map(|SeenRecord { person, level, missing }| pb::Seen {
                    person: person.to_string(),
                    level: colour(*level),
                    missing: names(missing),
                })
                .collect(),
        })
        .collect()
}

fn colour(colour: Option<Colour>) -> i32 {
    colour.map_or(pb::Colour::Unspecified, words::colour).into()
}

fn text(agency: Option<&AgencyId>) -> String {
    agency.map(ToString::to_string).unwrap_or_default()
}

fn reference(person: Option<&PersonRef>) -> String {
    person.map(ToString::to_string).unwrap_or_default()
}
