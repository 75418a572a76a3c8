//! What co-ordinators record of the life of an enquiry: events, the plan, who leads, meetings, waivers; and closing it.

use brag_common::{status::code_of, wire::pb};
use pb::record_request::Step;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{
    acts::{FOLLOWS_WITHIN, LOOK_AGAIN, Play, refused},
    flags,
    report::Row,
};
use crate::scenario::{Close, Happening, History, Leader, Mark, Meeting, Planned, Progress, Waive};

impl Play<'_> {
    pub(super) async fn history(&self, history: &History) -> anyhow::Result<()> {
        let agency = history.agency.get_ref();
        let closed = history.last_closed.map(|at| at.after(self.start).as_millisecond());
        let step = Step::History(pb::History {
            agency: agency.to_string(),
            contacts: history.contacts,
            last_closed_at_unix_ms: closed.unwrap_or_default(),
        });
        let what = format!("earlier contacts as {agency} knows them");
        self.record_step(step).await.map_err(refused(&what))
    }

    pub(super) async fn happen(&self, event: &Happening) -> anyhow::Result<()> {
        let word = event.word.get_ref();
        let agency = event.agency.as_ref().map(|agency| agency.get_ref().to_string());
        let step = Step::Event(pb::Event {
            word: word.clone(),
            people: event.people.iter().map(|label| self.reference(label.get_ref())).collect(),
            agency: agency.unwrap_or_default(),
            at_unix_ms: event.at.after(self.start).as_millisecond(),
            note: event.note.clone(),
            ..pb::Event::default()
        });
        self.record_step(step).await.map_err(refused(&format!("the event {word}")))
    }

    pub(super) async fn plan(&mut self, action: &Planned) -> anyhow::Result<()> {
        let (name, owner) = (action.id.get_ref(), action.owner.get_ref());
        // A label stands for the person, whom the hub knows by reference.
        let owner = self.references.get(owner).unwrap_or(owner).clone();
        let due = action.due.map(|at| at.after(self.start).as_millisecond());
        let step = Step::Action(pb::PlannedAction {
            action: name.to_string(),
            word: action.kind.get_ref().clone(),
            owner,
            person: self.reference(action.person.get_ref()),
            what: action.what.clone(),
            due_at_unix_ms: due.unwrap_or_default(),
            ..pb::PlannedAction::default()
        });
        let what = format!("action {name} for {}", action.owner.get_ref());
        let recorded = self.record_step(step).await;
        self.taken(what, action.refused.as_deref(), recorded)
    }

    pub(super) async fn progress(&self, progress: &Progress) -> anyhow::Result<()> {
        let (action, state) = (progress.action.get_ref(), progress.state.word());
        let step = Step::Progress(pb::ActionProgress {
            action: action.to_string(),
            state: state.to_owned(),
            note: progress.note.clone(),
        });
        self.record_step(step).await.map_err(refused(&format!("action {action} is {state}")))
    }

    pub(super) async fn lead(&self, lead: &Leader) -> anyhow::Result<()> {
        let agency = lead.agency.get_ref();
        let step = Step::Lead(pb::Lead {
            agency: agency.to_string(),
            role: lead.role.clone(),
            ..pb::Lead::default()
        });
        self.record_step(step).await.map_err(refused(&format!("{agency} leads")))
    }

    pub(super) async fn meet(&self, meeting: &Meeting) -> anyhow::Result<()> {
        let names = |agencies: &[toml::Spanned<brag_common::id::AgencyId>]| {
            agencies.iter().map(|agency| agency.get_ref().to_string()).collect()
        };
        let chair = meeting.chair.get_ref();
        let step = Step::Meeting(pb::Meeting {
            chair: chair.to_string(),
            present: names(&meeting.present),
            dialled_in: names(&meeting.dialled_in),
            at_unix_ms: meeting.at.after(self.start).as_millisecond(),
            agreed: meeting.agreed.clone(),
            ..pb::Meeting::default()
        });
        self.record_step(step).await.map_err(refused(&format!("the meeting that {chair} chaired")))
    }

    pub(super) async fn waive(&mut self, waive: &Waive) -> anyhow::Result<()> {
        let (agency, label) = (waive.agency.get_ref(), waive.person.get_ref());
        let step = Step::Waiver(pb::Waiver {
            agency: agency.to_string(),
            person: self.reference(label),
            reason: waive.reason.clone(),
        });
        let recorded = self.record_step(step).await;
        let what = format!("not waiting for {agency} on {label}");
        self.taken(what, waive.refused.as_deref(), recorded)
    }

    /// Closes it, or tries to. Just before, what stands in the way is compared.
    pub(super) async fn close(&mut self, close: &Close) -> anyhow::Result<()> {
        let (outcome, at) = (close.outcome.get_ref(), close.at);
        if let Some(unmet) = &close.unmet {
            let what = format!("in the way of closing at {at}");
            let row = self.unmet(what, unmet.iter().map(|mark| mark.get_ref())).await?;
            self.report.acts.push(row);
        }
        let request = pb::CloseRequest {
            enquiry: self.enquiry.clone(),
            outcome: outcome.clone(),
            reason: close.reason.clone(),
        };
        let closed = self.hands().close(request).await;
        let expected = match &close.refused {
            Some(code) => format!("refused {}", code.get_ref()),
            None => "closed".to_owned(),
        };
        let found = match closed {
            Ok(true) => "closed".to_owned(),
            Ok(false) => "a second person has to say the same".to_owned(),
            Err(status) => format!("refused {}", code_of(&status).unwrap_or("(no code)")),
        };
        let what = format!("closing with {outcome} at {at}");
        self.report.acts.push(Row::compare(what, expected, found));
        Ok(())
    }

    /// What stands in the way of closing, once it is what it has to be or a time has passed.
    async fn unmet(
        &self,
        what: String,
        expected: impl Iterator<Item = &Mark> + Clone,
    ) -> anyhow::Result<Row> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        loop {
            let row = flags::unmet(&what, expected.clone(), &self.show().await?, &self.labels);
            if row.ok || Instant::now() >= deadline {
                return Ok(row);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// What came of the enquiry's life at the end, and whether its flags came and went as they had to.
    pub(super) async fn life_at_the_end(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        let shown = loop {
            let shown = self.show().await?;
            let rows = flags::at_the_end(&self.scenario.flags, &shown, &self.labels);
            if rows.iter().all(|row| row.ok) || Instant::now() >= deadline {
                self.report.life = flags::report(&shown, self.start, &self.labels, rows);
                break shown;
            }
            sleep(LOOK_AGAIN).await;
        };
        self.report.shown = self.without_random_names(&shown);
        Ok(())
    }

    async fn record_step(&self, step: Step) -> Result<(), Status> {
        let request = pb::RecordRequest { enquiry: self.enquiry.clone(), step: Some(step) };
        self.hands().record(request).await
    }

    /// That a step was taken, or refused as it had to be.
    fn taken(
        &mut self,
        what: String,
        code: Option<&str>,
        recorded: Result<(), Status>,
    ) -> anyhow::Result<()> {
        let Some(code) = code else { return recorded.map_err(refused(&what)) };
        let found = match &recorded {
            Ok(()) => "taken".to_owned(),
            Err(status) => format!("refused {}", code_of(status).unwrap_or("(no code)")),
        };
        self.report.acts.push(Row::compare(what, format!("refused {code}"), found));
        Ok(())
    }
}
