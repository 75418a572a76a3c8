//! What happens in a scenario, in order.

use super::{
    Accept, Acknowledge, Assertion, At, Away, Check, Close, Confirm, Consent, Happening, History,
    HubRestart, Leader, LogFull, Meeting, Open, Planned, Progress, Rating, Release, Review,
    Scenario, Waive,
};

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A node goes.
    Leave(&'a Away),
    /// A node serves again.
    Return(&'a Away),
    /// The disk under a log fills up.
    Fill(&'a LogFull),
    /// There is room on it again.
    Room(&'a LogFull),
    /// The hub is killed and starts again.
    HubRestart(&'a HubRestart),
    /// Earlier contacts are recorded.
    History(&'a History),
    /// Links are signed.
    Confirm(&'a Confirm),
    /// Colours are given.
    Rating(&'a Rating),
    /// A threshold is signed.
    Assertion(&'a Assertion),
    /// A person's own agreement is recorded.
    Consent(&'a Consent),
    /// An action is planned.
    Planned(&'a Planned),
    /// An action is accepted.
    Accept(&'a Accept),
    /// An action comes to an end.
    Progress(&'a Progress),
    /// Something that happened is recorded.
    Happening(&'a Happening),
    /// Somebody leads.
    Leader(&'a Leader),
    /// A meeting is recorded.
    Meeting(&'a Meeting),
    /// An answer is not waited for.
    Waive(&'a Waive),
    /// Somebody closes it, or tries to.
    Close(&'a Close),
    /// Detail was taken back, and its recipient acknowledges that.
    Acknowledge(&'a Acknowledge),
    /// The enquiry is compared with what has to be so.
    Check(&'a Check),
    /// Detail is asked for.
    Release(&'a Release),
    /// Approvers act.
    Review(&'a Review),
    /// A recipient opens what it has.
    Open(&'a Open),
}

impl Scenario {
    /// Everything that happens after the enquiry is opened, in order of time; of the same time, in the order of
    /// [`Event`].
    #[must_use]
    pub fn events(&self) -> Vec<(At, Event<'_>)> {
        let mut events: Vec<(At, Event<'_>)> = Vec::new();
        let leaves = self.away.iter().filter(|away| away.from.is_after_start());
        events.extend(leaves.map(|e| (e.from, Event::Leave(e))));
        events.extend(self.away.iter().map(|e| (e.until, Event::Return(e))));
        let fills = self.log_full.iter().filter(|full| full.from.is_after_start());
        events.extend(fills.map(|e| (e.from, Event::Fill(e))));
        events.extend(self.log_full.iter().map(|e| (e.until, Event::Room(e))));
        events.extend(self.hub_restart.iter().map(|e| (e.at, Event::HubRestart(e))));
        events.extend(self.history.iter().map(|e| (e.at, Event::History(e))));
        events.extend(self.confirm.iter().map(|e| (e.at, Event::Confirm(e))));
        let given = self.rating.iter().filter(|rating| !rating.at.is_before_start());
        events.extend(given.map(|e| (e.at, Event::Rating(e))));
        events.extend(self.assertion.iter().map(|e| (e.at, Event::Assertion(e))));
        events.extend(self.consent.iter().map(|e| (e.at, Event::Consent(e))));
        events.extend(self.action.iter().map(|e| (e.at, Event::Planned(e))));
        events.extend(self.accept.iter().map(|e| (e.at, Event::Accept(e))));
        events.extend(self.progress.iter().map(|e| (e.at, Event::Progress(e))));
        events.extend(self.event.iter().map(|e| (e.at, Event::Happening(e))));
        events.extend(self.lead.iter().map(|e| (e.at, Event::Leader(e))));
        events.extend(self.meeting.iter().map(|e| (e.at, Event::Meeting(e))));
        events.extend(self.waive.iter().map(|e| (e.at, Event::Waive(e))));
        events.extend(self.close.iter().map(|e| (e.at, Event::Close(e))));
        events.extend(self.acknowledge.iter().map(|e| (e.at, Event::Acknowledge(e))));
        events.extend(self.check.iter().map(|e| (e.at, Event::Check(e))));
        events.extend(self.release.iter().map(|e| (e.at, Event::Release(e))));
        events.extend(self.review.iter().map(|e| (e.at, Event::Review(e))));
        events.extend(self.open.iter().map(|e| (e.at, Event::Open(e))));
        // Stable: what has the same time keeps its order.
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// What is so already when the enquiry is opened.
    pub fn from_the_start(&self) -> impl Iterator<Item = Event<'_>> {
        let away = self.away.iter().filter(|away| !away.from.is_after_start());
        let full = self.log_full.iter().filter(|full| !full.from.is_after_start());
        away.map(Event::Leave).chain(full.map(Event::Fill))
    }
}
