//! A model of release, checked exhaustively within small bounds: whatever a malicious hub sends, a holder releases only
//! when the evidence that the agreement demands truly exists; and each of the holder's checks is needed for that.
//!
//! - [`world`]: what is true, and what the agreement demands of it
//! - [`hub`]: what can be sent, true or not
//! - [`holder`]: the holder's checks, each of which can be taken away
//! - [`explore`]: the model as the checker walks through it
//! - [`product`]: the same requests put to the product's own code, so that the model stays true to it
//!
//! Bounds: two acts of agencies in one way through the model, four moments, any number of requests, each with at most
//! three statements and at most one lie besides them. Not in the model, because no evidence is concerned: who may call
//! (`tests/it/authz_coverage.rs`), the conflict of a recipient's roles and consent (`agreement/properties.rs`), and
//! approval by people (`tests/it/release.rs`). A recorded limit is left out by what truth means here: a hub can keep a
//! newer rating from a holder altogether, so a change counts from when the holder was told of it.

mod explore;
mod holder;
mod hub;
mod one_decision;
mod product;
mod world;

use explore::{Event, Exchange, OPENS, SAFE, State, attack, walk};
use holder::{Check, Checks, Decision};
use product::Node;
use proptest::prelude::*;
use stateright::{Checker as _, Model as _};

/// With every check made.
const WHOLE: Exchange = Exchange { checks: Checks::ALL, acts: 2 };

#[test]
fn no_way_through_the_model_releases_without_the_evidence_that_the_agreement_demands() {
    let checker = walk(WHOLE);
    if let Some(path) = checker.discovery(SAFE) {
        panic!("an attack: {:#?}", path.into_actions());
    }
    for opens in OPENS {
        assert!(checker.discovery(opens).is_some(), "never seen: {opens}");
    }
    let n_states = checker.unique_state_count();
    assert!(n_states > 20_000, "{n_states} states only");
}

#[test]
fn without_any_one_check_there_is_an_attack_and_the_product_refuses_it() {
    for check in Check::ALL {
        let weak = Exchange { checks: Checks::ALL.without(*check), ..WHOLE };
        let path = attack(weak).unwrap_or_else(|| panic!("{check:?} is not needed"));
        let events = path.into_actions();
        // The same way with every check made, in the model and in the product.
        let ask = events.iter().rposition(|event| matches!(event, Event::Ask(_)));
        let decided = play(&events);
        let refused = !matches!(decided[ask.unwrap()], Some(Decision::Release));
        assert!(refused, "without {check:?}: {events:#?}");
    }
}

/// Plays events against the model and the product side by side, until something is released.
fn play(events: &[Event]) -> Vec<Option<Decision>> {
    let mut state = events_start(events);
    let mut node = Node::default();
    let mut decided = Vec::new();
    for event in events {
        let real = node.meets(&state, event);
        let modelled = match event {
            Event::Ask(ask) => {
                let lens = state.lens(Checks::ALL, ask.lie);
                Some(holder::decide(&lens, state.holder, *ask).0)
            }
            _ => None,
        };
        assert_eq!(real, modelled, "{event:?} of {events:#?}");
        decided.push(real);
        state = match event {
            Event::Ask(ask) => state.asked(&state.lens(Checks::ALL, ask.lie), *ask),
            _ => WHOLE.next_state(&state, *event).unwrap_or(state),
        };
        state.end = None;
    }
    decided
}

/// Where a way starts: with the service bought as soon as the hub uses what only then exists.
fn events_start(events: &[Event]) -> State {
    let bought = events.iter().any(|event| match event {
        Event::Ask(ask) => ask.pile & hub::Kind::ANY_BOUGHT != 0,
        _ => false,
    });
    State::start(bought)
}

/// A way through the model, chosen by numbers: what can happen next is listed, and a number picks.
fn some_way(choices: &[(u8, u64)], bought: bool) -> Vec<Event> {
    let mut state = State::start(bought);
    let wide = Exchange { acts: 4, ..WHOLE };
    let mut events = Vec::new();
    for (what, which) in choices {
        let mut can = Vec::new();
        if what % 2 == 0 {
            let mut all = Vec::new();
            wide.actions(&state, &mut all);
            can.extend(all.into_iter().filter(|event| !matches!(event, Event::Ask(_))));
        } else {
            hub::each_request(&state.world, bought, state.used, state.now, |ask| {
                can.push(Event::Ask(ask));
            });
        }
        if can.is_empty() {
            continue;
        }
        let event = can[usize::try_from(which % can.len() as u64).unwrap()];
        events.push(event);
        state = match event {
            Event::Ask(ask) => state.asked(&state.lens(Checks::ALL, ask.lie), ask),
            other => wide.next_state(&state, other).unwrap_or(state),
        };
        state.end = None;
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_product_decides_as_the_model_does(
        choices in prop::collection::vec(any::<(u8, u64)>(), 1..9), bought in any::<bool>(),
    ) {
        let events = some_way(&choices, bought);
        play(&events);
    }
}
