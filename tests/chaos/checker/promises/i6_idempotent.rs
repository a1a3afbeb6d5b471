//! I6: a mutation repeated has the same verdict and the same ids; an id that
//! comes with other content is refused.

use crate::{
    checker::{
        Told,
        facts::{Facts, asked, hold, hold_id, holder_id, is_held, no, order, proof},
        verdict::{Promise, Violation},
    },
    history::{Call, Items, Operation},
};

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::Idempotent);
    for hold_id in facts.hold_ids() {
        let calls = facts.calls_of(hold_id);
        broken.extend(calls.iter().filter_map(|call| answers_itself(facts, call)));
        broken.extend(held_again(facts, calls));
        broken.extend(confirmed_again(facts, calls));
    }
    broken
}

/// What makes a Hold the same Hold: who, what, and for how long.
fn content(call: &Call) -> Option<(&str, Items, Option<u64>)> {
    let Operation::Hold { holder_id, items, ttl_ms, .. } = &call.operation else { return None };
    let mut items = items.clone();
    items.seat_ids.sort();
    items.areas.sort();
    Some((holder_id, items, *ttl_ms))
}

/// An answer is of the hold that was asked for, and has no more than that.
fn answers_itself(facts: &Facts<'_>, call: &Call) -> Option<Violation> {
    let told = hold(call)?;
    let holds = || facts.calls_of(&told.hold_id).iter().filter(|call| asked(call).is_some());
    let is_anothers = match holder_id(call) {
        Some(holder) => holder != told.holder_id,
        None => holds().count() > 0 && holds().all(|h| holder_id(h) != Some(&told.holder_id)),
    };
    let is_other = hold_id(call) != Some(&told.hold_id) || is_anothers;
    let has_more = asked(call).is_some_and(|items| {
        let seats = told.items.seat_ids.iter().any(|seat| !items.seat_ids.contains(seat));
        let units = told.items.areas.iter().any(|(area, units)| {
            !items.areas.iter().any(|(id, asked)| id == area && units <= asked)
        });
        seats || units
    });
    let has_less = asked(call).is_some_and(|items| {
        let counts = |items: &Items| {
            (items.seat_ids.len(), items.areas.iter().map(|(_, units)| units).sum::<u32>())
        };
        counts(&told.items) != counts(items) && !facts.may_be_released(&told.hold_id, call.end_us)
    });
    (is_other || has_more || has_less).then(|| {
        facts.broken(Promise::Idempotent, "a call was answered another hold", [proof(call)])
    })
}

fn held_again(facts: &Facts<'_>, calls: &[&Call]) -> Vec<Violation> {
    let holds: Vec<&&Call> = calls.iter().filter(|call| content(call).is_some()).collect();
    let mut broken = Vec::new();
    // The first that was answered; those that ended before it began cannot
    // have been refused for it.
    let Some(first) = holds.iter().filter(|c| is_held(c)).min_by_key(|c| c.end_us) else {
        return broken_reuse(facts, &holds);
    };
    let made_ms = hold(first).map(|hold| hold.create_ms);
    for other in holds.iter().filter(|other| other.id != first.id) {
        let is_same = content(first) == content(other);
        let made_other_ms = hold(other).map(|hold| hold.create_ms);
        let from_us = first.start_us.min(other.start_us);
        let lasts = facts.must_last(from_us, first.end_us.max(other.end_us));
        let is_later = other.start_us > first.end_us;
        let what = match no(other) {
            None if made_other_ms.is_none() || !lasts => continue,
            None if !is_same => "an id was answered OK with two contents",
            None if made_other_ms != made_ms => "the same Hold was answered two holds",
            Some(
                reason @ ("SEAT_UNAVAILABLE"
                | "INSUFFICIENT_CAPACITY"
                | "HOLDER_LIMIT_EXCEEDED"
                | "EVENT_NOT_ON_SALE"
                | "HOLD_NOT_FOUND"),
            ) if is_later && lasts => match is_same {
                true => "the same Hold was answered OK, and refused later",
                false if reason == "HOLD_NOT_FOUND" => continue,
                false => "an id was used again, and not refused for it",
            },
            _ => continue,
        };
        broken.push(facts.broken(Promise::Idempotent, what, [proof(first), proof(other)]));
    }
    broken.extend(broken_reuse(facts, &holds));
    broken
}

/// An id is refused as used only where somebody used it for something else.
fn broken_reuse(facts: &Facts<'_>, holds: &[&&Call]) -> Vec<Violation> {
    let refused = holds.iter().filter(|call| no(call) == Some("HOLD_ID_REUSED"));
    let groundless = refused.filter(|call| {
        let mut others = holds.iter().filter(|other| other.start_us <= call.end_us);
        !others.any(|other| content(other) != content(call))
    });
    groundless
        .map(|call| {
            let what = "an id is called used, and nobody used it for anything else";
            facts.broken(Promise::Idempotent, what, [proof(call)])
        })
        .collect()
}

/// Confirm by the same payment has the same order; by another one it has none.
fn confirmed_again(facts: &Facts<'_>, calls: &[&Call]) -> Vec<Violation> {
    let payment = |call: &Call| match &call.operation {
        Operation::Confirm { payment_reference, holder_id, .. } => {
            Some((payment_reference.clone(), holder_id.clone()))
        }
        _ => None,
    };
    let confirms = || calls.iter().filter(|call| payment(call).is_some());
    let Some(first) = confirms().filter(|c| order(c).is_some()).min_by_key(|c| c.end_us) else {
        return Vec::new();
    };
    let is_other = |other: &&&Call| {
        let is_same = payment(other) == payment(first);
        match (order(other), no(other)) {
            (Some(order), _) => {
                !is_same || Some(&order.order_id) != self::order(first).map(|o| &o.order_id)
            }
            (None, Some(_)) => is_same && other.start_us > first.end_us,
            (None, None) => false,
        }
    };
    let broken = confirms().filter(is_other);
    broken
        .map(|other| {
            let what = "a Confirm was answered an order, and something else again";
            facts.broken(Promise::Idempotent, what, [proof(first), proof(other)])
        })
        .collect()
}
