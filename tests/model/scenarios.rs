//! Who does what, and what goes wrong: small enough to visit every state.

use super::{
    properties as p,
    protocol::Protocol,
    state::{Durability, HOLDS, Items, Left},
};

const ONE_SEAT: [Items; HOLDS] = [Items::new(0b01, 0); HOLDS];
const ONE_UNIT: [Items; HOLDS] = [Items::new(0, 1); HOLDS];
/// The first customer gives the second seat back, which the other one wants.
const TWO_SEATS: [Items; HOLDS] = [Items::new(0b11, 0), Items::new(0b10, 0)];

fn base(name: &'static str, durability: Durability) -> Protocol {
    Protocol {
        name,
        durability,
        wants: ONE_SEAT,
        capacity: 0,
        last_tick: 1,
        last_epoch: 2,
        journal_job: false,
        clock_behind: 0,
        left: NO_LEFT,
        without: Vec::new(),
        sees: &[],
    }
}

fn fast(name: &'static str) -> Protocol {
    base(name, Durability::Fast)
}

fn journaled(name: &'static str) -> Protocol {
    base(name, Durability::Journaled)
}

const NO_LEFT: Left = Left {
    holds: [1; HOLDS],
    confirms: [0; HOLDS],
    releases: [0; HOLDS],
    extends: [0; HOLDS],
    reduces: [0; HOLDS],
    losses: 0,
    flushes: 0,
    restarts: 0,
    relabels: 0,
    crashes: 0,
    breaks: 0,
    refusals: 0,
    lost_locks: 0,
};

/// What is visited whole with every run of the tests.
pub fn bounded() -> Vec<Protocol> {
    [bounded_fast(), bounded_journaled()].concat()
}

fn bounded_fast() -> Vec<Protocol> {
    vec![
        Protocol {
            left: Left { confirms: [2, 1], releases: [1, 0], crashes: 1, breaks: 1, ..NO_LEFT },
            sees: &[
                p::CONFIRMED,
                p::JOINED,
                p::HELD_AFTER_EXPIRY,
                p::SOLD_AFTER_RELEASE,
                p::REFUSED,
            ],
            ..fast("two customers, no loss")
        },
        Protocol {
            left: Left { confirms: [1, 1], losses: 1, ..NO_LEFT },
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::TWO_MASTERS, p::TOLD_AGAIN],
            ..fast("a loss")
        },
        Protocol {
            left: Left { confirms: [1, 0], restarts: 1, relabels: 1, ..NO_LEFT },
            journal_job: true,
            sees: &[p::CONFIRMED, p::HELD_AFTER_EXPIRY],
            ..fast("another incarnation, no loss")
        },
        Protocol {
            left: Left { holds: [1, 1], confirms: [1, 1], crashes: 1, ..NO_LEFT },
            wants: ONE_UNIT,
            capacity: 1,
            sees: &[p::CONFIRMED, p::HELD_AFTER_EXPIRY],
            ..fast("the last unit")
        },
        Protocol {
            left: Left { holds: [2, 0], confirms: [2, 0], losses: 1, ..NO_LEFT },
            wants: ONE_UNIT,
            capacity: 2,
            last_tick: 0,
            sees: &[p::CONFIRMED_AFTER_A_LOSS],
            ..fast("one customer twice, a loss")
        },
    ]
}

fn bounded_journaled() -> Vec<Protocol> {
    vec![
        Protocol {
            left: Left { holds: [2, 1], refusals: 1, ..NO_LEFT },
            sees: &[p::GIVEN_BACK, p::NOT_GIVEN_BACK, p::HELD_AFTER_EXPIRY],
            ..journaled("a hold twice, not journaled")
        },
        Protocol {
            left: Left { confirms: [1, 0], losses: 1, ..NO_LEFT },
            clock_behind: 1,
            sees: &[p::BROUGHT_BACK, p::CONFIRMED_AFTER_A_LOSS, p::TWO_MASTERS],
            ..journaled("a journaled hold, a loss")
        },
        Protocol {
            left: Left { confirms: [1, 0], restarts: 1, relabels: 1, ..NO_LEFT },
            sees: &[p::CONFIRMED, p::HELD_AFTER_EXPIRY],
            ..journaled("a journaled hold, another incarnation")
        },
        Protocol {
            left: Left { confirms: [1, 0], flushes: 2, ..NO_LEFT },
            last_epoch: 3,
            sees: &[p::CONFIRMED, p::HELD_AFTER_EXPIRY],
            ..journaled("a journaled hold, flushed twice")
        },
        Protocol {
            left: Left { extends: [1, 0], losses: 1, ..NO_LEFT },
            journal_job: true,
            sees: &[p::BROUGHT_BACK, p::EXTENDED],
            ..journaled("an extended hold, a loss")
        },
        Protocol {
            left: Left { confirms: [1, 0], reduces: [1, 0], losses: 1, ..NO_LEFT },
            wants: TWO_SEATS,
            last_tick: 0,
            sees: &[p::BROUGHT_BACK, p::REDUCED],
            ..journaled("a seat given back alone, a loss")
        },
    ]
}

/// More of everything: minutes.
pub fn full() -> Vec<Protocol> {
    [full_fast(), full_journaled()].concat()
}

fn full_fast() -> Vec<Protocol> {
    vec![
        Protocol {
            left: Left {
                holds: [2, 1],
                confirms: [2, 2],
                releases: [1, 1],
                crashes: 1,
                breaks: 1,
                ..NO_LEFT
            },
            sees: &[p::CONFIRMED, p::JOINED, p::SOLD_AFTER_RELEASE, p::REFUSED],
            ..fast("full: two customers, no loss")
        },
        Protocol {
            left: Left { confirms: [2, 1], losses: 1, breaks: 1, ..NO_LEFT },
            last_epoch: 3,
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::TWO_MASTERS, p::JOINED],
            ..fast("full: a loss")
        },
        Protocol {
            left: Left { confirms: [1, 1], losses: 1, crashes: 1, ..NO_LEFT },
            journal_job: true,
            last_epoch: 3,
            clock_behind: 1,
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::TWO_MASTERS, p::BROUGHT_BACK],
            ..fast("full: a loss, and the journal")
        },
        Protocol {
            left: Left { confirms: [1, 1], restarts: 1, relabels: 1, crashes: 1, ..NO_LEFT },
            journal_job: true,
            last_epoch: 3,
            sees: &[p::CONFIRMED, p::HELD_AFTER_EXPIRY],
            ..fast("full: another incarnation, no loss")
        },
        Protocol {
            left: Left { holds: [2, 1], confirms: [2, 1], losses: 1, ..NO_LEFT },
            wants: ONE_UNIT,
            capacity: 1,
            journal_job: true,
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::HELD_AFTER_EXPIRY],
            ..fast("full: the last unit")
        },
    ]
}

fn full_journaled() -> Vec<Protocol> {
    vec![
        Protocol {
            left: Left { holds: [2, 1], confirms: [1, 1], losses: 1, refusals: 1, ..NO_LEFT },
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::BROUGHT_BACK, p::GIVEN_BACK, p::NOT_GIVEN_BACK],
            ..journaled("full: journaled holds, a loss")
        },
        Protocol {
            left: Left { confirms: [1, 1], losses: 1, flushes: 1, ..NO_LEFT },
            last_epoch: 3,
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::BROUGHT_BACK],
            ..journaled("full: journaled holds, flushed, a loss")
        },
        Protocol {
            left: Left { confirms: [2, 1], losses: 1, breaks: 1, crashes: 1, ..NO_LEFT },
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::BROUGHT_BACK, p::JOINED],
            ..journaled("full: journaled holds, a broken connection")
        },
        Protocol {
            left: Left { holds: [1, 1], confirms: [1, 0], losses: 1, lost_locks: 1, ..NO_LEFT },
            journal_job: true,
            last_epoch: 3,
            sees: &[p::CONFIRMED_AFTER_A_LOSS, p::BROUGHT_BACK],
            ..journaled("full: journaled holds, a lost lock")
        },
        Protocol {
            left: Left { holds: [2, 1], extends: [1, 0], losses: 1, ..NO_LEFT },
            journal_job: true,
            clock_behind: 1,
            sees: &[p::BROUGHT_BACK, p::EXTENDED],
            ..journaled("full: an extended hold, a loss")
        },
        Protocol {
            left: Left {
                holds: [1, 2],
                confirms: [1, 0],
                reduces: [1, 0],
                losses: 1,
                refusals: 1,
                ..NO_LEFT
            },
            wants: TWO_SEATS,
            sees: &[p::BROUGHT_BACK, p::REDUCED, p::GIVEN_BACK],
            ..journaled("full: a seat given back alone, a loss")
        },
    ]
}

/// What no guard keeps: where promises end, so that nobody believes more.
pub fn limits() -> Vec<(Protocol, &'static str)> {
    vec![
        // A loader that has lost its lock builds over what another one built.
        (
            Protocol {
                left: Left { losses: 1, lost_locks: 1, ..NO_LEFT },
                last_epoch: 3,
                ..fast("two load at once")
            },
            p::HOLDS_EXCLUDE,
        ),
    ]
}
