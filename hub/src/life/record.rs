//! Recording a step in the life of an enquiry: checked, recorded in the log, kept, and then told to those who watch. Texts stay in the
//! store, sealed under the enquiry's key.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    agreement::Requirement,
    audit::entry::{Action, EntryDraft, Party},
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    time::Timestamp,
    wire::{WireError, bounded, id, optional_time, pb},
};

use super::{
    Case, Ground, Picture,
    plan::ActionState,
    required,
    settle::settle,
    tell,
    words::{Effect, Kind},
};
use crate::{
    config::Role,
    guard::{Refusal, SignedIn},
    hub::Shared,
    notify,
    store::{
        Change,
        life::{SeenRecord, Step, StepRecord},
        shapes::EnquiryRecord,
    },
    view::{self, Whole},
};

/// The longest text of a step, in characters.
const MAX_TEXT_CHARS: usize = 600;

/// The longest part of a lead professional, in characters.
const MAX_ROLE_CHARS: usize = 64;

/// The most earlier contacts that are believed.
const MAX_CONTACTS: u32 = 10_000;

/// The most agencies that attend a meeting.
const MAX_ATTENDING: usize = 64;

/// The most steps of one enquiry: far more than any family needs, far fewer than a store can bear.
const MAX_STEPS: usize = 2_000;

/// Records one step.
///
/// # Errors
/// When it is not well-formed, a rule says no, or it can not be recorded.
pub async fn record(
    shared: &Arc<Shared>,
    who: &SignedIn,
    may_chair: bool,
    enquiry: &EnquiryRef,
    step: pb::record_request::Step,
) -> Result<(), Refusal> {
    let _alone = shared.life_locks.of_enquiry(enquiry).await;
    let whole = settle(shared, enquiry).await?;
    let recording = Recording::new(shared, enquiry, &whole);
    let (step, draft) = recording.checked(step, may_chair)?;
    recording.keep(who, vec![(step, draft)]).await
}

/// One enquiry to which steps are added.
pub(super) struct Recording<'a> {
    shared: &'a Arc<Shared>,
    whole: &'a Whole,
    enquiry: &'a EnquiryRef,
    ground: Ground<'a>,
    now: Timestamp,
}

impl<'a> Recording<'a> {
    /// Now, of an enquiry as it was just read.
    pub(super) fn new(shared: &'a Arc<Shared>, enquiry: &'a EnquiryRef, whole: &'a Whole) -> Self {
        let ground = Ground::of(shared, enquiry, whole);
        Self { shared, whole, enquiry, ground, now: shared.clock.now() }
    }

    /// Records steps and keeps them.
    pub(super) async fn keep(
        &self,
        who: &SignedIn,
        steps: Vec<(Step, EntryDraft)>,
    ) -> Result<(), Refusal> {
        let n_before = self.whole.steps.len();
        if n_before + steps.len() > MAX_STEPS {
            return Err(Refusal::rule("TOO_MANY_STEPS", "this enquiry has had too many steps"));
        }
        let drafts = steps.iter().map(|(_, draft)| who.signs(draft.clone())).collect();
        self.shared.log.record_all::<EntryDraft>(drafts).await?;
        let mut change = Change::new();
        let mut kinds = Vec::new();
        let mut told = BTreeSet::new();
        for (number, (step, _)) in (n_before..).zip(steps) {
            kinds.push(step.kind());
            told.extend(tell::of_step(self.whole, self.enquiry, (&step, self.now), &mut change)?);
            let record = StepRecord { at: self.now, by: who.name().clone(), step };
            change.step(self.enquiry, number, &record)?;
        }
        self.shared.store.run(move |store| store.commit(change)).await?;
        for agency in told {
            notify::start_one(self.shared, self.enquiry, &agency);
        }
        for kind in kinds {
            self.shared.tell(self.enquiry, view::step_event(self.now, kind));
        }
        settle(self.shared, self.enquiry).await?;
        Ok(())
    }

    pub(super) fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = self.shared.draft(action);
        draft.enquiry = Some(self.enquiry.clone());
        draft
    }

    /// The enquiry as it stands.
    pub(super) fn case(&self) -> Case<'_> {
        self.ground.case(self.shared, self.now)
    }

    fn record(&self) -> &EnquiryRecord {
        &self.whole.record
    }

    /// A step with its entry, when it may be recorded.
    fn checked(
        &self,
        step: pb::record_request::Step,
        may_chair: bool,
    ) -> Result<(Step, EntryDraft), Refusal> {
        if self.ground.plan.closed.is_some() {
            return Err(closed());
        }
        match step {
            pb::record_request::Step::Event(event) => self.event(&event),
            pb::record_request::Step::Action(action) => self.action(&action),
            pb::record_request::Step::Progress(progress) => self.progress(&progress),
            pb::record_request::Step::Lead(lead) => self.lead(&lead),
            pb::record_request::Step::Meeting(meeting) => self.meeting(&meeting),
            pb::record_request::Step::Waiver(waiver) => self.waiver(&waiver, may_chair),
            pb::record_request::Step::History(history) => self.history(&history),
        }
    }

    fn event(&self, event: &pb::Event) -> Result<(Step, EntryDraft), Refusal> {
        let words = &self.shared.words;
        if words.get(Kind::Event, &event.word).is_none() {
            return Err(unknown("event.word", Kind::Event));
        }
        let people: BTreeSet<PersonRef> = event
            .people
            .iter()
            .map(|one| self.person("event.people", one))
            .collect::<Result<_, _>>()?;
        let does = |effect| words.does(Kind::Event, &event.word, effect);
        if people.is_empty() && (does(Effect::ClearsEncompassDue) || does(Effect::ProtectsAddress))
        {
            return Err(WireError::invalid("event.people", "whom it concerns").into());
        }
        let agency = match event.agency.as_str() {
            "" => None,
            named => Some(self.agency("event.agency", named)?),
        };
        let picture = Picture::of(&self.case());
        if does(Effect::NotDuringSection47) && picture.section_47.is_some_and(|clock| clock.waits())
        {
            return Err(Refusal::rule(
                "NOT_DURING_SECTION_47",
                "who is only invited has no part in an enquiry while a section 47 clock runs",
            ));
        }
        let mut draft = self.draft(Action::EventRecorded);
        draft.decision = event.word.parse().ok();
        draft.peer = agency.clone().map(Party::Agency);
        draft.person = one(&people);
        let step = Step::Event {
            word: event.word.clone(),
            people,
            agency,
            happened_at: self.past("event.at_unix_ms", event.at_unix_ms)?.unwrap_or(self.now),
            note: text("event.note", &event.note, 0)?,
            missing: if does(Effect::MeetsSection47) { picture.missing } else { BTreeSet::new() },
        };
        Ok((step, draft))
    }

    fn action(&self, action: &pb::PlannedAction) -> Result<(Step, EntryDraft), Refusal> {
        let name: RequestId = id("action.action", &action.action)?;
        if self.ground.plan.actions.iter().any(|known| known.name == name.as_str()) {
            let code = "ACTION_NAME_TAKEN";
            return Err(Refusal::rule(code, "the plan has an action of this name; take another"));
        }
        if self.shared.words.get(Kind::Action, &action.word).is_none() {
            return Err(unknown("action.word", Kind::Action));
        }
        let person = self.person("action.person", &action.person)?;
        let owner = action.owner.trim();
        // Somebody at risk is not made answerable for what somebody else does, and nobody for their own supervision.
        let is_family =
            owner.eq_ignore_ascii_case("family")
                || self.record().people.iter().any(|one| {
                    owner.eq_ignore_ascii_case(&one.label) || owner == one.person.as_str()
                });
        if is_family {
            return Err(Refusal::rule(
                "ACTION_OWNER_IS_FAMILY",
                "an action is owned by an agency and never by one of the family; name the agency that will see to it",
            ));
        }
        let owner = self.agency("action.owner", owner)?;
        let mut draft = self.draft(Action::PlanChanged);
        draft.decision = ActionState::Proposed.word().parse().ok();
        draft.peer = Some(Party::Agency(owner.clone()));
        draft.person = Some(person.clone());
        let step = Step::Action {
            action: name.to_string(),
            word: action.word.clone(),
            owner,
            person,
            what: text("action.what", &action.what, 1)?,
            due_at: optional_time("action.due_at_unix_ms", action.due_at_unix_ms)?,
        };
        Ok((step, draft))
    }

    fn progress(&self, progress: &pb::ActionProgress) -> Result<(Step, EntryDraft), Refusal> {
        let actions = &self.ground.plan.actions;
        let action = actions.iter().find(|known| known.name == progress.action);
        let action = action.ok_or(Refusal::NotFound("action in the plan"))?;
        let (done, least) = match progress.state.as_str() {
            "done" => (true, 0),
            "dropped" => (false, 1),
            _ => return Err(WireError::invalid("progress.state", "`done` or `dropped`").into()),
        };
        let mut draft = self.draft(Action::PlanChanged);
        draft.decision = progress.state.parse().ok();
        draft.peer = Some(Party::Agency(action.owner.clone()));
        draft.person = Some(action.person.clone());
        let note = text("progress.note", &progress.note, least)?;
        Ok((Step::Progress { action: action.name.clone(), done, note }, draft))
    }

    fn lead(&self, lead: &pb::Lead) -> Result<(Step, EntryDraft), Refusal> {
        let agency = self.agency("lead.agency", &lead.agency)?;
        let mut draft = self.draft(Action::LeadNamed);
        draft.peer = Some(Party::Agency(agency.clone()));
        let role = text("lead.role", &lead.role, 0)?;
        if role.chars().count() > MAX_ROLE_CHARS {
            return Err(WireError::invalid("lead.role", "at most 64 characters").into());
        }
        Ok((Step::Lead { agency, role }, draft))
    }

    fn meeting(&self, meeting: &pb::Meeting) -> Result<(Step, EntryDraft), Refusal> {
        let chair = self.agency("meeting.chair", &meeting.chair)?;
        let all = |field, named: &[String]| {
            bounded(field, named, 0..=MAX_ATTENDING, "at most 64 agencies")?;
            named
                .iter()
                .map(|agency| self.agency(field, agency))
                .collect::<Result<BTreeSet<_>, _>>()
        };
        let present = all("meeting.present", &meeting.present)?;
        let dialled_in = all("meeting.dialled_in", &meeting.dialled_in)?;
        let case = self.case();
        let missing = required::missing(&case);
        let seen = case.people().map(|person| SeenRecord {
            person: person.clone(),
            level: case.level(person),
            missing: missing
                .iter()
                .filter(|(_, about)| about == person)
                .map(|(agency, _)| agency.clone())
                .collect(),
        });
        let mut draft = self.draft(Action::MeetingHeld);
        draft.peer = Some(Party::Agency(chair.clone()));
        draft.count = u64::try_from(present.len().saturating_add(dialled_in.len())).ok();
        let step = Step::Meeting {
            seen: seen.collect(),
            chair,
            present,
            dialled_in,
            held_at: self.past("meeting.at_unix_ms", meeting.at_unix_ms)?.unwrap_or(self.now),
            agreed: text("meeting.agreed", &meeting.agreed, 0)?,
        };
        Ok((step, draft))
    }

    fn waiver(&self, waiver: &pb::Waiver, may_chair: bool) -> Result<(Step, EntryDraft), Refusal> {
        if !may_chair {
            return Err(Refusal::RoleMissing(Role::Chair));
        }
        let agency = self.agency("waiver.agency", &waiver.agency)?;
        let person = self.person("waiver.person", &waiver.person)?;
        let party = self.shared.agreement.agreement().party(&agency);
        if party.map(|party| party.requirement()) != Some(Requirement::Recommended) {
            return Err(Refusal::rule(
                "WAIVER_NOT_PERMITTED",
                "only the answer of an agency that the agreement recommends can be waived",
            ));
        }
        let mut draft = self.draft(Action::AnswerWaived);
        draft.peer = Some(Party::Agency(agency.clone()));
        draft.person = Some(person.clone());
        let reason = text("waiver.reason", &waiver.reason, 1)?;
        Ok((Step::Waiver { agency, person, reason }, draft))
    }

    fn history(&self, history: &pb::History) -> Result<(Step, EntryDraft), Refusal> {
        let agency = self.agency("history.agency", &history.agency)?;
        if history.contacts > MAX_CONTACTS {
            return Err(WireError::invalid("history.contacts", "at most 10,000").into());
        }
        let last_closed_at =
            self.past("history.last_closed_at_unix_ms", history.last_closed_at_unix_ms)?;
        let mut draft = self.draft(Action::EventRecorded);
        draft.decision = "history".parse().ok();
        draft.peer = Some(Party::Agency(agency.clone()));
        draft.count = Some(u64::from(history.contacts));
        Ok((Step::History { agency, contacts: history.contacts, last_closed_at }, draft))
    }

    fn person(&self, field: &'static str, named: &str) -> Result<PersonRef, Refusal> {
        let person: PersonRef = id(field, named)?;
        let known = self.record().person(&person);
        known.map(|known| known.person.clone()).ok_or(Refusal::NotFound("person in this enquiry"))
    }

    fn agency(&self, field: &'static str, named: &str) -> Result<AgencyId, Refusal> {
        let agency: AgencyId = id(field, named)?;
        if self.shared.agreement.agreement().party(&agency).is_none() {
            return Err(WireError::invalid(field, "a party to the agreement").into());
        }
        Ok(agency)
    }

    /// A time that has come; `None` when none is named.
    fn past(&self, field: &'static str, ms: i64) -> Result<Option<Timestamp>, Refusal> {
        let at = optional_time(field, ms)?;
        if at.is_some_and(|at| at > self.now) {
            return Err(WireError::invalid(field, "a time that has come").into());
        }
        Ok(at)
    }
}

/// A text of `least` to 600 characters on one line.
pub(super) fn text(field: &'static str, text: &str, least: usize) -> Result<String, Refusal> {
    let text = text.trim();
    let n_chars = text.chars().take(MAX_TEXT_CHARS + 1).count();
    if n_chars > MAX_TEXT_CHARS || text.chars().any(char::is_control) {
        return Err(WireError::invalid(field, "at most 600 characters on one line").into());
    }
    if n_chars < least {
        return Err(WireError::Missing(field).into());
    }
    Ok(text.to_owned())
}

/// The only one of them.
fn one(people: &BTreeSet<PersonRef>) -> Option<PersonRef> {
    match people.len() {
        1 => people.first().cloned(),
        _ => None,
    }
}

pub(super) fn unknown(field: &'static str, kind: Kind) -> Refusal {
    let expected = match kind {
        Kind::Source => "a source of referrals; `hub words` lists them",
        Kind::Event => "an event; `hub words` lists them",
        Kind::Action => "a kind of action; `hub words` lists them",
        Kind::Outcome => "an outcome; `hub words` lists them",
    };
    WireError::invalid(field, expected).into()
}

/// Nothing is added to an enquiry that is closed.
pub(super) fn closed() -> Refusal {
    Refusal::rule(
        "ENQUIRY_CLOSED",
        "the enquiry is closed; open another one, which will be linked to it",
    )
}
