//! I10: what ran out is told within a second, a stuck confirm within its grace.

use crate::{
    checker::{
        Told,
        replay::Life,
        verdict::{Promise, Violation},
    },
    history::Operation,
};

/// One second, and what a busy machine may add.
const TOLD_WITHIN_MS: i64 = 2_500;
/// Two periods of the reconciler, beyond the grace of a confirm.
const STUCK_WITHIN_MS: i64 = 6_500;
/// How far back a fault counts that ended before the expiry, in µs.
const UNTROUBLED_US: u64 = 5_000_000;

/// Where the clocks are known, no fault is near, and the log is whole.
pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let is_late = |life: &&Life<'_>| late(event, life).is_some();
    let late_lives = event.replay.lives.iter().filter(is_late);
    let mut broken = event.replay.broken(Promise::InTime);
    broken.extend(late_lives.filter_map(|life| late(event, life)));
    broken
}

fn late(event: &Told<'_>, life: &Life<'_>) -> Option<Violation> {
    let (facts, hold) = (&event.facts, life.hold);
    let clock = facts.clock?;
    let confirms =
        |call: &&crate::history::Call| matches!(call.operation, Operation::Confirm { .. });
    let has_confirm = facts.calls_of(&hold.hold_id).iter().any(confirms);
    let within_ms = if has_confirm { STUCK_WITHIN_MS } else { TOLD_WITHIN_MS };
    let due_ms = hold.expire_ms + within_ms;
    let due_us = clock.passed_us(due_ms);
    let expired_us = clock.passed_us(hold.expire_ms);
    if hold.items.seat_ids.is_empty()
        || facts.outcome_of(&hold.hold_id) == Some("confirmed")
        || facts.made_last_ms(&hold.hold_id) != Some(hold.create_ms)
        || !facts.is_quiet(expired_us.saturating_sub(UNTROUBLED_US), due_us)
    {
        return None;
    }
    let of_epoch = || facts.log.iter().filter(|entry| entry.at.epoch == life.last.epoch);
    let told = life.ended.filter(|ended| ended.at.epoch == life.last.epoch);
    let is_late = match told {
        Some(ended) => ended.log.at_ms > due_ms,
        // The log goes on without it.
        None => of_epoch().next_back().is_some_and(|entry| entry.log.at_ms > due_ms),
    };
    is_late.then(|| {
        let what = format!("hold {} ran out, and was not told in time", hold.hold_id);
        let told = told.map(|ended| ended.proof());
        facts.broken(Promise::InTime, what, [life.made.proof()].into_iter().chain(told))
    })
}
