//! Flags: what somebody has to see in an enquiry, named by stable words. Each follows from what is known now; when it was raised and
//! cleared is kept beside it (see `settle`).

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    agreement::{Gate, PartyType, gates},
    id::{AgencyId, PersonRef},
    reason::Reason,
    statement::PersonRole,
    time::{SignedDuration, Timestamp},
};

use super::{
    Picture,
    case::{Age, Case, age},
    clocks::{self, ClockState},
    closing,
    words::Effect,
};
use crate::matrix::{self, Said, State};

/// Somebody's own work with the family that ended so short a time before counts as a recent closure: 90 days, our own choice.
const RECENT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Ages of children whose school is told by the police: reception to the last year (Operation Encompass; statutory guidance under the
/// Domestic Abuse Act 2021, section 49A).
const AT_SCHOOL: std::ops::RangeInclusive<i16> = 4..=17;

/// The location of a refuge or safe address, which is never carried.
const SAFE_ADDRESS: &str = "C43";

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a flag says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flag {
            $($(#[$doc])* $name,)*
        }

        impl Flag {
            /// Every flag.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

flags! {
    /// A required answer is missing and has to be chased.
    MissingRating = "missing_rating";
    /// An agency answered after its round had closed.
    LateRating = "late_rating";
    /// An agency's required answer was missing when the section 47 decision was recorded or its time had passed.
    ExcludedByS47Timescale = "excluded_by_s47_timescale";
    /// An agency could not be reached, or its log can not be written.
    NodeDegraded = "node_degraded";
    /// An agency's Blue was refused, since there is evidence of domestic abuse.
    BlueRejected = "blue_rejected";
    /// The level is above the referrer's first colour; of a person, and of the case.
    Uprated = "uprated";
    /// Ratings of a person are two steps or more apart.
    Divergence = "divergence";
    /// Another agency is more worried about somebody than children's social care, and its colour counts.
    EqualVoiceApplied = "equal_voice_applied";
    /// Others raise what a specialist knows about, and the specialist has not rated.
    SpecialistPrompt = "specialist_prompt";
    /// Agencies differ on the part of a person.
    RoleConflict = "role_conflict";
    /// The Marac threshold is met.
    MaracThresholdMet = "marac_threshold_met";
    /// Somebody's address is protected: it is never exchanged.
    SafeAddressProtected = "safe_address_protected";
    /// A child's school is to be told by the police before the next school day.
    EncompassDue = "encompass_due";
    /// All have answered about a connected person, and nobody has rated them.
    ConnectedPersonUnrated = "connected_person_unrated";
    /// Early help has its part in it.
    EarlyHelpRoute = "early_help_route";
    /// The section 47 clock has started.
    S47ClockStarted = "s47_clock_started";
    /// The section 47 decision came in time.
    S47ClockMet = "s47_clock_met";
    /// The section 47 decision did not come in time.
    S47ClockBreached = "s47_clock_breached";
    /// Every required answer was there in the time that the level allows.
    ResponseClockMet = "response_clock_met";
    /// A required answer was missing when the time that the level allows had passed.
    ResponseClockBreached = "response_clock_breached";
    /// The notification came late after the incident.
    NotificationLag = "notification_lag";
    /// Somebody was asked about in an earlier enquiry.
    LinkedEarlierEnquiry = "linked_earlier_enquiry";
    /// There were as many earlier contacts as the agreement says, or more.
    CumulativeHistory = "cumulative_history";
    /// Work with the family ended a short time before.
    RecentClosure = "recent_closure";
    /// Somebody's level is above that of their last enquiry.
    EscalatedSinceLastEnquiry = "escalated_since_last_enquiry";
    /// Somebody was asked about with another family.
    ConnectedPersonInOtherFamily = "connected_person_in_other_family";
    /// Nobody leads.
    LeadProfessionalMissing = "lead_professional_missing";
    /// There is no action for one of the family.
    NoActionForMember = "no_action_for_member";
    /// There is no action about what a person does who poses risk.
    NoActionPerpetrator = "no_action_perpetrator";
    /// An action is not done although its day has passed.
    ActionOverdue = "action_overdue";
    /// Closing with no further action was refused.
    NfaBlocked = "nfa_blocked";
}

impl Flag {
    /// Whether it tells what has once come about, and is never cleared.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::LateRating
                | Self::ExcludedByS47Timescale
                | Self::S47ClockStarted
                | Self::S47ClockMet
                | Self::S47ClockBreached
                | Self::ResponseClockMet
                | Self::ResponseClockBreached
                | Self::NfaBlocked
        )
    }
}

/// A flag with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// What it says.
    pub flag: Flag,
    /// Of which agency.
    pub agency: Option<AgencyId>,
    /// Of whom.
    pub person: Option<PersonRef>,
}

/// The flags that stand, each with the moment since when; `None`: since it is looked at.
#[derive(Debug, Default)]
pub struct Standing(pub BTreeMap<About, Option<Timestamp>>);

impl Standing {
    fn of_case(&mut self, flag: Flag) {
        self.since(flag, None);
    }

    fn since(&mut self, flag: Flag, at: Option<Timestamp>) {
        self.0.insert(About { flag, agency: None, person: None }, at);
    }

    fn of_person(&mut self, flag: Flag, person: &PersonRef) {
        self.0.insert(About { flag, agency: None, person: Some(person.clone()) }, None);
    }

    fn of_agency(&mut self, flag: Flag, agency: &AgencyId) {
        self.0.insert(About { flag, agency: Some(agency.clone()), person: None }, None);
    }

    fn of_both(&mut self, flag: Flag, agency: &AgencyId, person: &PersonRef) {
        let (agency, person) = (Some(agency.clone()), Some(person.clone()));
        self.0.insert(About { flag, agency, person }, None);
    }
}

/// The flags that stand now.
#[must_use]
pub fn standing(case: &Case<'_>, picture: &Picture) -> Standing {
    let mut flags = Standing::default();
    answers(case, picture, &mut flags);
    people(case, picture, &mut flags);
    voices(case, &mut flags);
    time(case, picture, &mut flags);
    before(case, &mut flags);
    plan(case, &mut flags);
    flags
}

/// Who has not answered, late, or in vain.
fn answers(case: &Case<'_>, picture: &Picture, flags: &mut Standing) {
    for (agency, person) in &picture.to_chase {
        flags.of_both(Flag::MissingRating, agency, person);
    }
    for ((agency, _), cell) in case.matrix {
        match &cell.state {
            State::NoResponse(why) if is_degraded(why.as_str()) => {
                flags.of_agency(Flag::NodeDegraded, agency);
            }
            State::NoResponse(why) | State::Answered { said: Said::Unable(why), .. }
                if why.as_str() == Reason::BlueNotPermittedDa.code() =>
            {
                flags.of_agency(Flag::BlueRejected, agency);
            }
            State::Answered { said: Said::Unable(why), .. }
                if why.as_str() == "AUDIT_UNAVAILABLE" =>
            {
                flags.of_agency(Flag::NodeDegraded, agency);
            }
            State::Answered { said: Said::Rated(_) | Said::NotKnown, late: true } => {
                flags.of_agency(Flag::LateRating, agency);
            }
            State::Pending | State::NoResponse(_) | State::Answered { .. } => {}
        }
    }
}

/// Whether a call that failed for this reason says that the node does not work as it should.
fn is_degraded(why: &str) -> bool {
    ["UNREACHABLE", "DEADLINE", "INVALID_ANSWER", "CLOCKS_DIFFER"].contains(&why)
}

fn people(case: &Case<'_>, picture: &Picture, flags: &mut Standing) {
    let waited_for: BTreeSet<&PersonRef> =
        picture.missing.iter().map(|(_, person)| person).collect();
    let told: BTreeSet<&PersonRef> = case
        .plan
        .events_that(case.words, Effect::ClearsEncompassDue)
        .flat_map(|event| &event.people)
        .collect();
    for record in &case.record.people {
        let person = &record.person;
        let roles = case.roles(record);
        let signed: BTreeSet<PersonRole> =
            case.signed_roles(person).into_values().map(|(role, _)| role).collect();
        if differ(&signed, record.role) {
            flags.of_person(Flag::RoleConflict, person);
        }
        let connected = roles.contains(&PersonRole::ConnectedPerson);
        if connected && case.level(person).is_none() && !waited_for.contains(person) {
            flags.of_person(Flag::ConnectedPersonUnrated, person);
        }
        let at_school = match age(record, case.now) {
            Age::Years(years) => AT_SCHOOL.contains(&years),
            Age::Unborn => false,
            // A child of unknown age may be at school.
            Age::Unknown => true,
        };
        let is_child = case.is_child(record) && at_school;
        if is_child && case.domestic_abuse() && !told.contains(person) {
            flags.of_person(Flag::EncompassDue, person);
        }
        let gates = gates::open(case.agreement, case.facts, person, case.now);
        if gates.is_open(Gate::G5) {
            flags.of_case(Flag::MaracThresholdMet);
        }
    }
    let protected = case.plan.events_that(case.words, Effect::ProtectsAddress);
    let protected = protected.flat_map(|event| event.people.iter());
    let moved = case.plan.actions_that(case.words, Effect::ProtectsAddress).map(|one| &one.person);
    let asked =
        case.releases.iter().filter(|one| one.category == SAFE_ADDRESS).map(|one| &one.person);
    for person in protected.chain(moved).chain(asked) {
        flags.of_person(Flag::SafeAddressProtected, person);
    }
}

/// Whether people see the part of somebody differently. A child is a victim, too, where there is domestic abuse.
fn differ(signed: &BTreeSet<PersonRole>, entered: Option<PersonRole>) -> bool {
    let all: BTreeSet<PersonRole> = signed
        .iter()
        .copied()
        .chain(entered)
        .map(|role| if role == PersonRole::Child { PersonRole::Victim } else { role })
        .collect();
    // What nobody has signed, nobody can differ on.
    !signed.is_empty() && all.len() > 1
}

/// Who is how worried.
fn voices(case: &Case<'_>, flags: &mut Standing) {
    let referrers_highest = case.record.people.iter().filter_map(|person| person.initial).max();
    let social_care: BTreeSet<&AgencyId> = case.parties(PartyType::ChildrensSocialCare).collect();
    for record in &case.record.people {
        let person = &record.person;
        let level = case.level(person);
        if matrix::uprated(level, record.initial, referrers_highest) {
            flags.of_person(Flag::Uprated, person);
            flags.of_case(Flag::Uprated);
        }
        if matrix::divergence(case.matrix, person) {
            flags.of_person(Flag::Divergence, person);
        }
        let by_social_care = case
            .matrix
            .iter()
            .filter(|((agency, about), _)| about == person && social_care.contains(agency))
            .filter_map(|(_, cell)| cell.rated())
            .map(|rated| rated.colour)
            .max();
        if by_social_care.is_some() && level > by_social_care {
            flags.of_case(Flag::EqualVoiceApplied);
        }
        for party in case.agreement.parties().filter(|party| party.in_force(case.now)) {
            if case.facts.prompts(case.agreement, party.id(), person) {
                flags.of_both(Flag::SpecialistPrompt, party.id(), person);
            }
        }
    }
}

fn time(case: &Case<'_>, picture: &Picture, flags: &mut Standing) {
    if clocks::notified_late(case) {
        flags.of_case(Flag::NotificationLag);
    }
    if let Some(clock) = &picture.section_47 {
        flags.since(Flag::S47ClockStarted, Some(clock.started_at));
        match clock.state {
            ClockState::Running => {}
            ClockState::Met => flags.since(Flag::S47ClockMet, clock.ended_at),
            ClockState::Breached => flags.since(Flag::S47ClockBreached, Some(clock.due_at)),
        }
        let decided = case.plan.events_that(case.words, Effect::MeetsSection47);
        for (agency, _) in decided.flat_map(|event| &event.missing) {
            flags.of_agency(Flag::ExcludedByS47Timescale, agency);
        }
        if clock.state == ClockState::Breached && clock.waits() {
            for (agency, _) in &picture.missing {
                flags.of_agency(Flag::ExcludedByS47Timescale, agency);
            }
        }
    }
    if let Some(clock) = &picture.response {
        match clock.state {
            ClockState::Running => {}
            ClockState::Met => flags.since(Flag::ResponseClockMet, clock.ended_at),
            ClockState::Breached => flags.since(Flag::ResponseClockBreached, Some(clock.due_at)),
        }
    }
}

/// What came before.
fn before(case: &Case<'_>, flags: &mut Standing) {
    let (opened_at, histories) = (case.record.opened_at, &case.plan.histories);
    let enquiries: BTreeSet<_> = case.earlier.iter().map(|one| &one.record.enquiry).collect();
    let contacts = histories.values().map(|history| history.contacts).max().unwrap_or_default();
    let known = contacts.max(u32::try_from(enquiries.len()).unwrap_or(u32::MAX));
    if known >= case.agreement.gates().cumulative_history {
        flags.of_case(Flag::CumulativeHistory);
    }
    let told = histories.values().filter_map(|history| history.last_closed_at);
    let here = case.earlier.iter().filter_map(|one| one.closed_at);
    if told.chain(here).any(|closed| opened_at.duration_since(closed) <= RECENT) {
        flags.of_case(Flag::RecentClosure);
    }
    for person in case.people() {
        let mut linked: Vec<_> =
            case.earlier.iter().filter(|one| one.record.person == *person).collect();
        linked.sort_by_key(|one| one.record.opened_at);
        let Some(last) = linked.last() else { continue };
        flags.of_person(Flag::LinkedEarlierEnquiry, person);
        if last.level.is_some() && case.level(person) > last.level {
            flags.of_person(Flag::EscalatedSinceLastEnquiry, person);
        }
        // Somebody of this enquiry, alone, is in another one that has a family of its own.
        let elsewhere = linked.iter().any(|one| {
            one.n_people > 1
                && !case.earlier.iter().any(|other| {
                    other.record.enquiry == one.record.enquiry && other.record.person != *person
                })
        });
        if elsewhere && case.record.people.len() > 1 {
            flags.of_person(Flag::ConnectedPersonInOtherFamily, person);
        }
    }
}

/// What is to be done, and who does it.
fn plan(case: &Case<'_>, flags: &mut Standing) {
    let plan = case.plan;
    for (condition, person) in closing::lacking(case) {
        if let Some(flag) = condition.flag() {
            flags.0.insert(About { flag, agency: None, person }, None);
        }
    }
    for action in plan.actions.iter().filter(|action| action.is_overdue(case.now)) {
        flags.of_both(Flag::ActionOverdue, &action.owner, &action.person);
    }
    let early_help = plan.actions_that(case.words, Effect::EarlyHelp).next().is_some()
        || plan.events_that(case.words, Effect::EarlyHelp).next().is_some();
    if early_help {
        flags.of_case(Flag::EarlyHelpRoute);
    }
    if let Some(at) = plan.nfa_blocked_at {
        flags.since(Flag::NfaBlocked, Some(at));
    }
}
