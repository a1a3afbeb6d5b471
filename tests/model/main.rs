//! The protocol between Redis and Postgres, as a model that can be executed:
//! every order of steps, with whatever may go wrong between two of them.
//!
//! Read `state.rs` for what there is, `calls.rs` and `jobs.rs` for the steps
//! (beside `src/flow`), `redis.rs` and `postgres.rs` for what each script and
//! statement does (beside `src/holds/lua` and `src/ledger`), `faults.rs` for
//! what goes wrong, `properties.rs` for what is promised. `mutants.rs` names
//! each guard; a test takes it away and sees a promise broken.
//!
//! Left out: charts, rules and limits, the stream of changes, blocked seats.
//! A statement is one step, since the outcome row and the event's row make
//! statements wait for each other. `make model` visits more than the tests do.

mod calls;
mod faults;
mod jobs;
mod mutants;
mod postgres;
mod properties;
mod protocol;
mod redis;
mod scenarios;
mod state;
mod steps;

use std::{collections::BTreeSet, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

use mutants::{CONTROLS, TWICE_GUARDED};
use protocol::Protocol;

/// Visits every state, or those up to the first that breaks `looked_for`;
/// answers which properties were discovered: broken, or seen.
fn visit(protocol: Protocol, looked_for: Option<&'static str>) -> BTreeSet<&'static str> {
    let begun = Instant::now();
    let label = format!("{} {:?}", protocol.name, protocol.without);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let until = match looked_for {
        Some(property) => HasDiscoveries::AnyOf(BTreeSet::from([property])),
        None => HasDiscoveries::All,
    };
    let checker = protocol.checker().threads(threads).finish_when(until).spawn_bfs().join();
    println!(
        "{label}: {} states, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed()
    );
    let discoveries = checker.discoveries();
    for property in properties::ALWAYS {
        let Some(path) = discoveries.get(property) else { continue };
        println!("  broken: {property}");
        for step in path.clone().into_actions() {
            println!("    {step:?}");
        }
    }
    discoveries.into_keys().collect()
}

fn assert_kept(protocol: Protocol) {
    let (name, sees) = (protocol.name, protocol.sees);
    let found = visit(protocol, None);
    for promise in properties::ALWAYS {
        assert!(!found.contains(promise), "{name}: {promise}: broken, as printed above");
    }
    for sight in sees {
        assert!(found.contains(sight), "{name}: never seen: {sight}");
    }
}

fn scenario(name: &str) -> Protocol {
    let found = scenarios::bounded().into_iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| panic!("no scenario {name}"))
}

#[test]
fn every_promise_is_kept() {
    for scenario in scenarios::bounded() {
        assert_kept(scenario);
    }
}

#[test]
fn each_guard_is_needed() {
    for control in CONTROLS.iter().chain(&TWICE_GUARDED) {
        let mutant = scenario(control.scenario).without(control.without);
        let found = visit(mutant, Some(control.breaks));
        assert!(found.contains(control.breaks), "{:?} is not caught", control.without);
    }
}

#[test]
fn where_two_guards_stand_one_is_enough() {
    for control in &TWICE_GUARDED {
        for guard in control.without {
            let mutant = scenario(control.scenario).without(&[*guard]);
            let found = visit(mutant, Some(control.breaks));
            assert!(!found.contains(control.breaks), "{guard:?} is needed alone");
        }
    }
}

#[test]
fn limits_are_where_they_are_said_to_be() {
    for (scenario, promise) in scenarios::limits() {
        let found = visit(scenario, Some(promise));
        assert!(found.contains(promise), "kept after all: {promise}");
    }
}

#[test]
#[ignore = "takes minutes: make model"]
fn every_promise_is_kept_in_full() {
    for scenario in scenarios::full() {
        assert_kept(scenario);
    }
}
