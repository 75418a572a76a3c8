//! The model that the checker walks through: everything agencies can do, and everything a malicious hub can send.

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use super::{
    holder::{self, Checks, Decision, Holder, Lens},
    hub::{self, Ask, Kind, Lie},
    world::{Act, Done, LAST, Version, World},
};

/// What must never be.
pub const SAFE: &str = "a holder decides and releases only as the agreement allows";
/// What must be possible, or the rest says nothing.
pub const OPENS: [&str; 4] = [
    "one Red opens under version one",
    "two agencies open under version two",
    "a Red on somebody linked opens",
    "a review is asked for",
];

/// What a holder did that it must not do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wrong {
    /// Released although the evidence does not exist.
    Unproven,
    /// Released to somebody, for something, or at a time that is never allowed.
    NotAllowed(Lie),
    /// Released although part of what it was shown was forged.
    Spoilt,
    /// Decided a request that was dead or had been decided.
    Dead(Lie),
}

/// The world, what the holder keeps, and what it has done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub world: World,
    pub now: u8,
    pub holder: Holder,
    /// Whether the domestic abuse service is in the hub's hands.
    pub bought: bool,
    /// Whether a request was ever decided.
    pub used: bool,
    /// What the holder was told, kept here apart from what it keeps.
    pub told: u32,
    /// The last decision, when it was other than a refusal; nothing happens after it.
    pub end: Option<End>,
}

/// How a way through the model ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    Right { released: bool, linked: bool },
    Wrong(Wrong),
}

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// An agency does something.
    Act(Act),
    /// Four days pass.
    Wait,
    /// All parties have signed version two, and the holder has it.
    Amend,
    /// The holder's node starts again.
    Restart,
    /// The hub asks.
    Ask(Ask),
}

/// The model with some checks made.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub checks: Checks,
    /// The most acts of agencies in one way through the model.
    pub acts: usize,
}

impl State {
    pub const fn start(bought: bool) -> Self {
        Self {
            world: World::NOTHING,
            now: 0,
            holder: Holder { under: Version::One, kept: 0, remembers: true },
            bought,
            used: false,
            told: 0,
            end: None,
        }
    }

    /// What follows from a request. Any refusal leads on; everything else is an end.
    pub fn asked(mut self, lens: &Lens, ask: Ask) -> Self {
        let (decision, kept) = holder::decide(lens, self.holder, ask);
        if decision == Decision::NotAdmitted {
            return self;
        }
        self.used = true;
        self.holder.kept = kept;
        self.told |= holder::told(&self.world, self.holder.under, ask);
        self.end = match self.wrong(decision, ask) {
            Some(wrong) => Some(End::Wrong(wrong)),
            None => match decision {
                Decision::Release | Decision::Review => Some(End::Right {
                    released: decision == Decision::Release,
                    linked: ask.pile & Act::RedOfSecond.bit() != 0
                        && ask.pile & (Act::Red.bit() | Act::SecondRed.bit()) == 0,
                }),
                _ => None,
            },
        };
        self
    }

    /// How the holder sees what a request with this lie can carry.
    pub fn lens(&self, checks: Checks, lie: Lie) -> Lens {
        Lens::new(checks, self.holder.under, &self.world, self.now, self.bought, lie)
    }

    /// Judges a decision by what is true, not by what the holder was shown.
    fn wrong(&self, decision: Decision, ask: Ask) -> Option<Wrong> {
        let under = self.holder.under;
        if ask.lie.is_dead() {
            return Some(Wrong::Dead(ask.lie));
        }
        if decision != Decision::Release {
            return None;
        }
        if !ask.lie.may_release() {
            return Some(Wrong::NotAllowed(ask.lie));
        }
        // By the last moment version one has ended, and the holder has left version two.
        // A bought word counts once it is given, for the time it is given.
        let word = ask.pile & Kind::BoughtRed.bit() != 0;
        if self.now == LAST || !self.world.demanded(under, self.now, self.told, word) {
            return Some(Wrong::Unproven);
        }
        let spoils = |kind: Kind| {
            kind.is_forged() || kind.piece(&self.world, under, self.now).under != under
        };
        (ask.lie == Lie::None && Kind::of_bits(ask.pile).any(spoils)).then_some(Wrong::Spoilt)
    }
}

impl Model for Exchange {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        [false, true].map(State::start).to_vec()
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.end.is_some() {
            return;
        }
        if state.world.count() < self.acts {
            let can = |act: &Act| {
                // A service in the hub's hands says what the hub wants; it needs no acts of its own.
                let own = matches!(act, Act::SecondRed | Act::RedVia);
                state.world.allows(*act) && !(state.bought && own)
            };
            events.extend(Act::ALL.into_iter().filter(can).map(Event::Act));
        }
        if state.now < LAST {
            events.push(Event::Wait);
        }
        if state.holder.under == Version::One {
            events.push(Event::Amend);
        }
        if state.used && state.holder.remembers {
            events.push(Event::Restart);
        }
        // Requests that come to the same are one; each is weighed all the same.
        let mut reached: Vec<(u32, u32, Option<End>)> = Vec::new();
        let swaps = [Lie::None, Lie::SubjectSwapped, Lie::SecondSwapped];
        let lenses = swaps.map(|lie| state.lens(self.checks, lie));
        hub::each_request(&state.world, state.bought, state.used, state.now, |ask| {
            let lens = match ask.lie {
                Lie::SubjectSwapped => &lenses[1],
                Lie::SecondSwapped => &lenses[2],
                _ => &lenses[0],
            };
            let next = state.asked(lens, ask);
            let result = (next.holder.kept, next.told, next.end);
            let new = next.used && !reached.contains(&result);
            if new && (!state.used || result != (state.holder.kept, state.told, None)) {
                reached.push(result);
                events.push(Event::Ask(ask));
            }
        });
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        let mut next = *state;
        match event {
            Event::Act(act) => {
                let done = Done { at: state.now, under: state.holder.under };
                next.world = state.world.with(act, done);
            }
            // Whatever was sent before is dead by then, also as a replay.
            Event::Wait => {
                next.now += 1;
                next.used = false;
                next.holder.remembers = true;
            }
            Event::Amend => next.holder.under = Version::Two,
            Event::Restart => next.holder.remembers = self.checks.remembers_after_restart(),
            Event::Ask(ask) => next = state.asked(&state.lens(self.checks, ask.lie), ask),
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn right(state: &State, under: Version, by_link: bool) -> bool {
            let honest = !state.bought && state.holder.under == under;
            let end = End::Right { released: true, linked: by_link };
            honest && state.end == Some(end)
        }
        vec![
            Property::always(SAFE, |_, state: &State| !matches!(state.end, Some(End::Wrong(_)))),
            Property::sometimes(OPENS[0], |_, state| right(state, Version::One, false)),
            Property::sometimes(OPENS[1], |_, state| right(state, Version::Two, false)),
            Property::sometimes(OPENS[2], |_, state| right(state, Version::One, true)),
            Property::sometimes(OPENS[3], |_, state: &State| {
                matches!(state.end, Some(End::Right { released: false, .. }))
            }),
        ]
    }
}

/// Walks through everything and gives what was found.
pub fn walk(exchange: Exchange) -> impl Checker<Exchange> {
    exchange.checker().threads(2).spawn_bfs().join()
}

/// The shortest way to something that must never be.
pub fn attack(exchange: Exchange) -> Option<Path<State, Event>> {
    let checker = exchange.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    checker.discovery(SAFE)
}
