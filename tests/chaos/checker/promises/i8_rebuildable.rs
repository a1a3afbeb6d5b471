//! I8: whatever Redis loses, nothing that was promised is missing.

use crate::{
    checker::{
        Told,
        facts::{Facts, order_seats},
        verdict::{Promise, Violation},
    },
    history::Status,
};

/// Along the log by the replay; at rest Redis has what Postgres has, and nothing
/// else.
pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::Rebuildable);
    let Some(rest) = facts.rest else { return broken };
    let proof = || [format!("at rest, {} us", rest.at_us)];
    let found = seats_at_rest(facts).into_iter().chain(leftovers(facts));
    broken.extend(found.map(|what| facts.broken(Promise::Rebuildable, what, proof())));
    broken
}

fn seats_at_rest(facts: &Facts<'_>) -> Vec<String> {
    let Some(rest) = facts.rest else { return Vec::new() };
    let mut wrong = Vec::new();
    for (seat, status, owner) in &rest.redis_seats {
        let order = facts.order_of_seat(seat);
        let buyer = order.map(|order| order.hold_id.as_str());
        let is_right = match status {
            Status::Sold => buyer.is_some() && owner.as_deref().is_none_or(|id| Some(id) == buyer),
            Status::Blocked => true,
            Status::Held | Status::Available => false,
        };
        if !is_right {
            wrong.push(format!("Redis has seat {seat} {status:?} by {owner:?}, sold to {buyer:?}"));
        }
    }
    for seat in rest.orders.iter().flat_map(order_seats) {
        let is_sold = |(id, status, _): &(String, Status, Option<String>)| {
            id == seat && *status == Status::Sold
        };
        if !rest.redis_seats.iter().any(is_sold) {
            wrong.push(format!("seat {seat} is sold, and free in Redis"));
        }
    }
    wrong
}

fn leftovers(facts: &Facts<'_>) -> Vec<String> {
    let Some(rest) = facts.rest else { return Vec::new() };
    let mut wrong: Vec<String> = Vec::new();
    if !rest.redis_holds.is_empty() {
        wrong.push(format!("holds live on in Redis: {:?}", rest.redis_holds));
    }
    if rest.outbox_open > 0 {
        wrong.push(format!("{} rows of the outbox are not done", rest.outbox_open));
    }
    wrong.extend(rest.audit.iter().map(|line| format!("the audit found: {line}")));
    wrong
}
