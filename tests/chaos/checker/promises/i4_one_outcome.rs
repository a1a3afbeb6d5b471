//! I4: a hold ends exactly once, and nothing that is answered says otherwise.

use crate::{
    checker::{
        Told,
        facts::{Facts, hold, no, order, proof},
        verdict::{Promise, Violation},
    },
    history::{Answer, Call, Operation},
};

/// How a hold ended, as a call was told, and whether Postgres had decided it by
/// then: an expiry may be told by the clock alone, and a loss by a read.
fn told_end(call: &Call) -> Option<(&'static str, bool)> {
    let confirms = matches!(call.operation, Operation::Confirm { .. });
    let releases = matches!(call.operation, Operation::Release { .. });
    if order(call).is_some() {
        return Some(("confirmed", true));
    }
    let state = hold(call).map(|hold| hold.state.as_str());
    match no(call).or(state)? {
        "HOLD_CONFIRMED" | "CONFIRMED" => Some(("confirmed", true)),
        "HOLD_RELEASED" => Some(("released", confirms)),
        "RELEASED" => Some(("released", releases)),
        "HOLD_EXPIRED" => Some(("expired", confirms)),
        "EXPIRED" => Some(("expired", false)),
        "HOLD_LOST" => Some(("lost", confirms)),
        "LOST" => Some(("lost", false)),
        _ => None,
    }
}

/// Whether a call shows the hold alive after it had ended so. That its sale is
/// still under way may be all that Redis knows of it.
fn is_alive(call: &Call, end: &str) -> bool {
    hold(call).is_some_and(|hold| match hold.state.as_str() {
        "ACTIVE" => true,
        "CONFIRMING" => end != "confirmed",
        _ => false,
    })
}

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::OneOutcome);
    for hold_id in facts.hold_ids() {
        let calls = facts.calls_of(hold_id);
        broken.extend(at_rest(facts, hold_id, calls));
        broken.extend(in_time(facts, calls));
    }
    broken.extend(orders_and_outcomes(facts));
    broken
}

/// Every definite answer is what Postgres has in the end.
fn at_rest(facts: &Facts<'_>, hold_id: &str, calls: &[&Call]) -> Vec<Violation> {
    let outcome = facts.outcome_of(hold_id);
    if facts.rest.is_none() {
        return Vec::new();
    }
    let contradicts = |call: &&&Call| match told_end(call) {
        Some((told, true)) => outcome != Some(told),
        Some((_, false)) => {
            let from_us = calls[0].start_us;
            let excused = facts.clock_may_be_wrong(from_us, call.end_us)
                || !facts.must_last(from_us, call.end_us);
            outcome == Some("confirmed") && !excused
        }
        None => false,
    };
    let outcome = outcome.unwrap_or("not decided");
    let broken = calls.iter().filter(contradicts);
    broken
        .map(|call| {
            let what = format!("hold {hold_id} is {outcome} in the end, and was told otherwise");
            facts.broken(Promise::OneOutcome, what, [proof(call)])
        })
        .collect()
}

/// In real time: once it had ended it was not alive again, and once it was being
/// confirmed it was not free to be changed.
fn in_time(facts: &Facts<'_>, calls: &[&Call]) -> Option<Violation> {
    let from_us = calls.first()?.start_us;
    let ended = calls.iter().filter(|call| match told_end(call) {
        Some((_, decided)) => {
            let lasts = !facts.clock_may_be_wrong(from_us, call.end_us)
                && facts.must_last(from_us, call.end_us);
            decided || lasts
        }
        None => false,
    });
    let ended = ended.min_by_key(|call| call.end_us)?;
    let (first, first_decided) = told_end(ended)?;
    let is_against = |call: &&&Call| {
        let other = told_end(call).filter(|(_, decided)| *decided && first_decided);
        let moved_on = other.is_some_and(|(other, _)| first != other);
        // What was forgotten may be made anew; and a Redis that has lost its
        // place to another one still tells what it knows.
        let forgets = match call.operation {
            Operation::Hold { .. } => !facts.must_last(from_us, call.end_us),
            _ => facts.may_have_forgotten(from_us, call.end_us),
        };
        let is_back = is_alive(call, first) && !forgets;
        call.start_us > ended.end_us && (is_back || moved_on)
    };
    let against = calls.iter().find(is_against)?;
    let what = "a hold had ended, and was something else later";
    Some(facts.broken(Promise::OneOutcome, what, [proof(ended), proof(against)]))
}

/// Orders and outcomes in Postgres, and holds that never ended.
fn orders_and_outcomes(facts: &Facts<'_>) -> Vec<Violation> {
    let Some(rest) = facts.rest else { return Vec::new() };
    let mut broken = Vec::new();
    let mut breaks = |what: String| {
        let proof = [format!("at rest, {} us", rest.at_us)];
        broken.push(facts.broken(Promise::OneOutcome, what, proof));
    };
    for order in &rest.orders {
        let (order_id, hold_id) = (&order.order_id, &order.hold_id);
        let is_it = |(id, how, sold): &(String, String, Option<String>)| {
            id == hold_id && how == "confirmed" && sold.as_ref() == Some(order_id)
        };
        if !rest.outcomes.iter().any(is_it) {
            breaks(format!("order {order_id} of hold {hold_id} has no outcome that names it"));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for (hold_id, how, order_id) in &rest.outcomes {
        if !seen.insert(hold_id) {
            breaks(format!("hold {hold_id} has two outcomes"));
        }
        if (how == "confirmed") != order_id.is_some() {
            breaks(format!("hold {hold_id} is {how}, with order {order_id:?}"));
        }
        if how == "confirmed" && facts.order_of(hold_id).is_none() {
            breaks(format!("hold {hold_id} is confirmed, and has no order"));
        }
    }
    // In a state that was built anew, what had run out is nobody's any more; and
    // what was undone before anybody was answered may be in the journal.
    let is_first_state = facts.log.iter().all(|entry| entry.at.epoch == 1);
    let is_answered = |id: &str| facts.calls_of(id).iter().any(|call| hold(call).is_some());
    for hold_id in rest.open_holds.iter().filter(|id| is_first_state && is_answered(id)) {
        if !facts.log.is_empty() {
            breaks(format!("hold {hold_id} never ended"));
        }
    }
    let confirming = facts
        .calls
        .iter()
        .filter(|call| matches!(&call.answer, Answer::Hold(hold) if hold.state == "CONFIRMED"));
    for call in confirming {
        let told = hold(call).and_then(|hold| hold.order_id.as_deref());
        let id = hold(call).map(|hold| hold.hold_id.as_str()).unwrap_or_default();
        if told.is_some() && told != facts.order_of(id).map(|order| order.order_id.as_str()) {
            breaks(format!(
                "hold {id} was told to be order {told:?}, and is another: {}",
                proof(call)
            ));
        }
    }
    broken
}
