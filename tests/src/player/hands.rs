//! How people act: over gRPC as their programs would, or in a browser on the pages of a console. What comes of it is the same,
//! and everything that is looked at afterwards is looked at over gRPC.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use brag_common::{
    agreement::LinkKind,
    id::AgencyId,
    status::CODE_KEY,
    time::Clock as _,
    wire::{
        pb::{self, record_request::Step},
        words,
    },
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tonic::{Status, metadata::MetadataValue};

use super::{
    acts::once_told,
    people::{People, asked},
    stage::{HUB, Stage},
};
use crate::{
    browser::{Browser, NotDone},
    partnership::{COORDINATOR, Partnership},
    processes::Fleet,
};

/// Which acts are done on pages.
#[derive(Debug, Clone)]
pub struct Consoles {
    /// The browser.
    pub browser: Arc<Browser>,
    /// Whose people use it, by the names of the programs: `hub`, `CSC`.
    pub of: BTreeSet<String>,
    /// Only these acts, by the words of the driver; empty: every act.
    pub only: BTreeSet<&'static str>,
}

/// Those who act, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) people: &'a People<'a>,
    pub(super) stage: &'a Stage,
    pub(super) fleet: &'a Fleet,
    pub(super) desks: Option<&'a Desks>,
    /// Labels of people by their references, as pages show them.
    pub(super) labels: &'a BTreeMap<String, String>,
}

/// People who use consoles, and which of them have an account.
#[derive(Debug)]
pub struct Desks {
    consoles: Consoles,
    invited: Mutex<BTreeSet<String>>,
}

impl Desks {
    /// Nobody has an account yet.
    #[must_use]
    pub fn new(consoles: Consoles) -> Self {
        Self { consoles, invited: Mutex::default() }
    }

    /// One act of a person at the console of a program. Whoever acts for the first time is invited, and sets up an account.
    ///
    /// # Errors
    /// When the page refuses it, or it can not be done.
    pub async fn act(
        &self,
        (stage, fleet): (&Stage, &Fleet),
        (program, who): (&str, &str),
        act: &str,
        mut what: Value,
    ) -> Result<Value, NotDone> {
        let site = fleet.console(program)?;
        let now = stage.hand.clock().now().as_millisecond();
        let about = |act: &str, message: &mut Value| {
            message["act"] = act.into();
            message["who"] = who.into();
            message["site"] = format!("https://{site}").into();
            message["now"] = now.into();
            if let Ok(hub) = fleet.console(HUB) {
                message["hub_site"] = format!("https://{hub}").into();
            }
        };
        let mut invited = self.invited.lock().await;
        if invited.insert(format!("{program} {who}")) {
            let mut message = json!({ "invitation": invite(stage, program, who).await? });
            about("set up", &mut message);
            self.consoles.browser.act(message).await?;
        }
        drop(invited);
        about(act, &mut what);
        self.consoles.browser.act(what).await
    }

    fn takes(&self, program: &str, act: &str) -> bool {
        let Consoles { of, only, .. } = &self.consoles;
        of.contains(program) && (only.is_empty() || only.contains(act))
    }
}

/// The code of an invitation, from the operator's command.
async fn invite(stage: &Stage, program: &str, who: &str) -> anyhow::Result<String> {
    let (command, config) = if program == HUB {
        ("hub", stage.partnership.hub_folder().join("hub.toml"))
    } else {
        let folder = stage.partnership.node_folder(&program.parse()?);
        ("agency-node", folder.join("agency-node.toml"))
    };
    let config = config.display().to_string();
    let args = ["account", "invite", who, "--config", &config];
    let name = format!("{program}.{who}.invite");
    let ended = stage.staged.run(&name, command, &args).await?;
    ended.done(&format!("the invitation of {who}"))?;
    Ok(ended.stdout.lines().next().unwrap_or_default().to_owned())
}

impl Hands<'_> {
    /// What comes of an act on a page; `None` when it is not done on one.
    async fn on_page(
        &self,
        (program, who): (&str, &str),
        act: &str,
        what: Value,
    ) -> Option<Result<Value, Status>> {
        let desks = self.desks.filter(|desks| desks.takes(program, act))?;
        let done = desks.act((self.stage, self.fleet), (program, who), act, what).await;
        Some(done.map_err(|error| match error {
            NotDone::Refused { code, words } => {
                let mut status = Status::failed_precondition(words);
                if let Ok(code) = MetadataValue::try_from(code) {
                    status.metadata_mut().insert(CODE_KEY, code);
                }
                status
            }
            NotDone::Failed(error) => Status::internal(format!("{error:#}")),
        }))
    }

    async fn at_hub(&self, act: &str, what: Value) -> Option<Result<Value, Status>> {
        self.on_page((HUB, COORDINATOR), act, what).await
    }

    async fn at_node(
        &self,
        agency: &AgencyId,
        act: &str,
        what: Value,
    ) -> Option<Result<Value, Status>> {
        self.on_page((agency.as_str(), &Partnership::assessor(agency)), act, what).await
    }

    /// Opens an enquiry; its reference. `form` is what a page is filled with.
    pub(super) async fn open(
        &self,
        request: pb::OpenRequest,
        form: Value,
    ) -> Result<String, Status> {
        if let Some(done) = self.at_hub("open", form).await {
            return done.map(|said| text(&said["enquiry"]));
        }
        let mut coordinator = self.people.coordinator().map_err(failed)?;
        Ok(coordinator.open(asked(request)).await?.into_inner().enquiry)
    }

    /// Records a step in the life of an enquiry.
    pub(super) async fn record(&self, request: pb::RecordRequest) -> Result<(), Status> {
        let (act, mut form) = step_form(&request, self.labels);
        form["enquiry"] = request.enquiry.clone().into();
        // What a page does not offer is tried without it, so that the hub's or a holder's own refusal is seen.
        match self.at_hub(act, form).await {
            Some(Ok(said)) if said["offered"] == false => {}
            Some(done) => return done.map(drop),
            None => {}
        }
        let mut coordinator = self.people.coordinator().map_err(failed)?;
        coordinator.record(asked(request)).await.map(drop)
    }

    /// Closes an enquiry; whether it is closed now.
    pub(super) async fn close(&self, request: pb::CloseRequest) -> Result<bool, Status> {
        let form = json!({
            "enquiry": request.enquiry, "outcome": request.outcome, "reason": request.reason,
        });
        if let Some(done) = self.at_hub("close", form).await {
            return done.map(|said| said["closed"] == true);
        }
        let mut coordinator = self.people.coordinator().map_err(failed)?;
        Ok(coordinator.close(asked(request)).await?.into_inner().closed)
    }

    /// Asks for detail; what came of it for each recipient.
    pub(super) async fn request_release(
        &self,
        request: pb::RequestReleaseRequest,
    ) -> Result<Vec<pb::ReleaseView>, Status> {
        let mut coordinator = self.people.coordinator().map_err(failed)?;
        let basis = request.lawful_basis.clone().unwrap_or_default();
        let form = json!({
            "enquiry": request.enquiry,
            "holder": request.holder,
            "person": request.person,
            "label": self.label(&request.person),
            "category": request.category,
            "recipients": request.recipients,
            "basis": {
                "art6": basis.art6,
                "art9_condition": basis.art9_condition,
                "art10_authority": basis.art10_authority,
                "dpa_schedule_para": basis.dpa_schedule_para,
                "statutory_gateway": basis.statutory_gateway,
                "confidentiality_justification": basis.confidentiality_justification,
                "agreement_status": basis.agreement_status,
                "necessity": basis.necessity,
                "proportionality": basis.proportionality,
                "asked_subject": basis.asked_subject,
                "not_asked_because": basis.not_asked_because,
            },
        });
        let show = pb::ShowRequest { enquiry: request.enquiry.clone() };
        let before: BTreeSet<String> = match self.desks {
            None => BTreeSet::new(),
            Some(_) => {
                let shown = coordinator.show(asked(show.clone())).await?.into_inner();
                shown.releases.into_iter().map(|view| view.release).collect()
            }
        };
        match self.at_hub("ask for detail", form).await.transpose()? {
            Some(said) if said["offered"] != false => {
                let mut views = coordinator.show(asked(show)).await?.into_inner().releases;
                views.retain(|view| !before.contains(&view.release));
                return Ok(views);
            }
            // As with a step: what is never carried can not be chosen.
            _ => {}
        }
        Ok(coordinator.request_release(asked(request)).await?.into_inner().releases)
    }

    /// Rates somebody; the statement's name, where it is told.
    pub(super) async fn rate(
        &self,
        agency: &AgencyId,
        request: pb::GiveRatingRequest,
    ) -> Result<Option<String>, Status> {
        let form = json!({
            "enquiry": request.enquiry,
            "person": request.person,
            "label": self.label(&request.person),
            "colour": colour_word(request.colour()),
            "analysis": request.analysis,
            "topics": request.topics,
            "via": request.via,
            "via_label": self.label(&request.via),
        });
        if let Some(done) = self.at_node(agency, "rate", form).await {
            return done.map(|_| None);
        }
        let desk = self.people.assessor(agency).map_err(failed)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.give_rating(asked(request)).await }
        });
        Ok(Some(signed.await?.into_inner().statement_id))
    }

    /// Signs a link; the statement's name, where it is told.
    pub(super) async fn confirm_link(
        &self,
        agency: &AgencyId,
        request: pb::ConfirmLinkRequest,
    ) -> Result<Option<String>, Status> {
        let link = request.link.clone().unwrap_or_default();
        let kind = words::to_link_kind(link.kind).map_or("", LinkKind::word);
        let form = json!({
            "enquiry": request.enquiry,
            "from": link.from,
            "from_label": self.label(&link.from),
            "to": link.to,
            "to_label": self.label(&link.to),
            "kind": kind,
        });
        if let Some(done) = self.at_node(agency, "confirm a link", form).await {
            return done.map(|_| None);
        }
        let desk = self.people.assessor(agency).map_err(failed)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.confirm_link(asked(request)).await }
        });
        Ok(Some(signed.await?.into_inner().statement_id))
    }

    /// Signs that a threshold is met; the statement's name, where it is told.
    pub(super) async fn make_assertion(
        &self,
        agency: &AgencyId,
        request: pb::MakeAssertionRequest,
    ) -> Result<Option<String>, Status> {
        let kind = match request.kind() {
            pb::AssertionKind::Section47 => "section_47",
            pb::AssertionKind::Marac => "marac",
            pb::AssertionKind::CareAct42 => "care_act_42",
            pb::AssertionKind::Unspecified => "",
        };
        let form = json!({
            "enquiry": request.enquiry,
            "kind": kind,
            "people": request.people,
            "labels": request.people.iter().map(|person| self.label(person)).collect::<Vec<_>>(),
            "dash_ticks": request.dash_ticks,
            "professional_judgement": request.professional_judgement,
            "reports": request.reports_in_12_months,
            "repeat": request.repeat,
            "meeting_at": request.meeting_at_unix_ms,
        });
        if let Some(done) = self.at_node(agency, "state a threshold", form).await {
            return done.map(|_| None);
        }
        let desk = self.people.assessor(agency).map_err(failed)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.make_assertion(asked(request)).await }
        });
        Ok(Some(signed.await?.into_inner().statement_id))
    }

    /// Accepts an action of the plan; the statement's name, where it is told.
    pub(super) async fn accept_action(
        &self,
        agency: &AgencyId,
        request: pb::AcceptActionRequest,
    ) -> Result<Option<String>, Status> {
        let form = json!({
            "enquiry": request.enquiry,
            "person": request.person,
            "label": self.label(&request.person),
            "action": request.action,
        });
        if let Some(done) = self.at_node(agency, "accept an action", form).await {
            return done.map(|_| None);
        }
        let desk = self.people.assessor(agency).map_err(failed)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.accept_action(asked(request)).await }
        });
        Ok(Some(signed.await?.into_inner().statement_id))
    }

    /// Records what a person says of sharing; the statement's name, where it is told.
    pub(super) async fn record_consent(
        &self,
        agency: &AgencyId,
        request: pb::RecordConsentRequest,
    ) -> Result<Option<String>, Status> {
        let form = json!({
            "enquiry": request.enquiry,
            "person": request.person,
            "label": self.label(&request.person),
            "agreed": request.answer() == pb::ConsentAnswer::Agreed,
            "categories": request.categories,
            "recipients": request.recipients,
            "expires_at": request.expires_at_unix_ms,
            "asked_by": request.asked_by,
            "not_asked_because": request.not_asked_because,
        });
        if let Some(done) = self.at_node(agency, "record consent", form).await {
            return done.map(|_| None);
        }
        let desk = self.people.assessor(agency).map_err(failed)?;
        let signed = once_told(|| {
            let (mut desk, request) = (desk.clone(), request.clone());
            async move { desk.record_consent(asked(request)).await }
        });
        Ok(Some(signed.await?.into_inner().statement_id))
    }

    /// Records that a person takes back what they said; the statement's name, where it is told.
    pub(super) async fn withdraw_consent(
        &self,
        agency: &AgencyId,
        request: pb::WithdrawConsentRequest,
    ) -> Result<Option<String>, Status> {
        let form = json!({
            "enquiry": request.enquiry,
            "person": request.person,
            "label": self.label(&request.person),
            "reason": request.reason,
        });
        if let Some(done) = self.at_node(agency, "withdraw consent", form).await {
            return done.map(|_| None);
        }
        let mut desk = self.people.assessor(agency).map_err(failed)?;
        Ok(Some(desk.withdraw_consent(asked(request)).await?.into_inner().statement_id))
    }

    /// Acknowledges that detail was taken back.
    pub(super) async fn acknowledge(
        &self,
        agency: &AgencyId,
        notice: pb::Notice,
    ) -> Result<(), Status> {
        let form = json!({ "notice": notice.notice, "release": notice.release });
        if let Some(done) = self.at_node(agency, "acknowledge", form).await {
            return done.map(drop);
        }
        let mut desk = self.people.assessor(agency).map_err(failed)?;
        let request = pb::AcknowledgeRequest { notice: notice.notice };
        desk.acknowledge(asked(request)).await.map(drop)
    }

    /// An approver says yes; how many more have to.
    pub(super) async fn approve(
        &self,
        (holder, n): (&AgencyId, u8),
        request: pb::ApproveRequest,
    ) -> Result<u32, Status> {
        let form = json!({
            "work": request.work, "redacted_text": request.redacted_text, "reason": request.reason,
        });
        let who = Partnership::approver(holder, n);
        if let Some(done) = self.on_page((holder.as_str(), &who), "approve", form).await {
            let needed = done?["needed"].as_u64().unwrap_or_default();
            return u32::try_from(needed).map_err(|error| failed(error.into()));
        }
        let mut desk = self.people.approver(holder, n).map_err(failed)?;
        Ok(desk.approve(asked(request)).await?.into_inner().approvals_needed)
    }

    /// An approver says no.
    pub(super) async fn refuse(
        &self,
        (holder, n): (&AgencyId, u8),
        request: pb::RefuseRequest,
    ) -> Result<(), Status> {
        let form = json!({ "work": request.work, "reason": request.reason });
        let who = Partnership::approver(holder, n);
        if let Some(done) = self.on_page((holder.as_str(), &who), "refuse", form).await {
            return done.map(drop);
        }
        let mut desk = self.people.approver(holder, n).map_err(failed)?;
        desk.refuse(asked(request)).await.map(drop)
    }

    /// Opens detail and accepts what it obliges to; the text.
    pub(super) async fn open_detail(
        &self,
        recipient: &AgencyId,
        release: String,
    ) -> Result<String, Status> {
        let form = json!({ "release": release });
        match self.at_node(recipient, "open detail", form).await.transpose()? {
            Some(said) if said["offered"] != false => return Ok(text(&said["text"])),
            // A view that has ended is not offered; the node refuses it, too.
            _ => {}
        }
        let mut desk = self.people.assessor(recipient).map_err(failed)?;
        let request = pb::OpenDetailRequest { release, obligations_accepted: true };
        Ok(desk.open_detail(asked(request)).await?.into_inner().text)
    }

    fn label(&self, person: &str) -> &str {
        self.labels.get(person).map_or("", String::as_str)
    }
}

/// The act of the driver that takes a step, and what its page is filled with.
fn step_form(
    request: &pb::RecordRequest,
    labels: &BTreeMap<String, String>,
) -> (&'static str, Value) {
    let label = |person: &str| labels.get(person).cloned().unwrap_or_default();
    match request.step.as_ref() {
        Some(Step::Event(event)) => (
            "record an event",
            json!({
                "word": event.word,
                "people": event.people,
                "labels": event.people.iter().map(|person| label(person)).collect::<Vec<_>>(),
                "agency": event.agency,
                "at": event.at_unix_ms,
                "note": event.note,
            }),
        ),
        Some(Step::Action(action)) => (
            "plan an action",
            json!({
                "action": action.action,
                "word": action.word,
                "owner": action.owner,
                "owner_label": label(&action.owner),
                "person": action.person,
                "label": label(&action.person),
                "what": action.what,
                "due": action.due_at_unix_ms,
            }),
        ),
        Some(Step::Progress(progress)) => (
            "end an action",
            json!({ "action": progress.action, "state": progress.state, "note": progress.note }),
        ),
        Some(Step::Lead(lead)) => {
            ("name who leads", json!({ "agency": lead.agency, "role": lead.role }))
        }
        Some(Step::Meeting(meeting)) => (
            "record a meeting",
            json!({
                "chair": meeting.chair,
                "present": meeting.present,
                "dialled_in": meeting.dialled_in,
                "at": meeting.at_unix_ms,
                "agreed": meeting.agreed,
            }),
        ),
        Some(Step::Waiver(waiver)) => (
            "waive an answer",
            json!({
                "agency": waiver.agency,
                "person": waiver.person,
                "label": label(&waiver.person),
                "reason": waiver.reason,
            }),
        ),
        Some(Step::History(history)) => (
            "record earlier contacts",
            json!({
                "agency": history.agency,
                "contacts": history.contacts,
                "last_closed_at": history.last_closed_at_unix_ms,
            }),
        ),
        None => ("record nothing", json!({})),
    }
}

fn colour_word(colour: pb::Colour) -> &'static str {
    match colour {
        pb::Colour::Unspecified => "",
        pb::Colour::Blue => "blue",
        pb::Colour::Green => "green",
        pb::Colour::Amber => "amber",
        pb::Colour::Red => "red",
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn failed(error: anyhow::Error) -> Status {
    Status::internal(format!("{error:#}"))
}
