//! Every answer is one that the contract has for its call, and at some moment of
//! the call it was true.

use crate::{
    checker::{
        Told,
        facts::{asked, hold_id, is_refused, no, proof},
        free::Free,
        verdict::{Promise, Violation},
    },
    history::{Answer, Call, Operation},
};

/// How long before a call a fault must have ended, µs.
const UNTROUBLED_US: u64 = 5_000_000;

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let free = Free::of(event);
    let calls = event.facts.calls.iter();
    calls
        .filter_map(|call| {
            let what = groundless(event, &free, call)?;
            Some(event.facts.broken(Promise::Answers, what, [proof(call)]))
        })
        .collect()
}

fn groundless(event: &Told<'_>, free: &Free<'_>, call: &Call) -> Option<String> {
    if !is_in_the_contract(call) {
        return Some("an answer that the contract does not have".into());
    }
    let Answer::No { reason, named, .. } = &call.answer else { return None };
    let facts = &event.facts;
    match reason.as_str() {
        "EVENT_NOT_FOUND" => Some("an event that exists is not found".into()),
        "SEAT_NOT_FOUND" | "AREA_NOT_FOUND" => {
            let (Operation::Hold { items, .. } | Operation::Release { items, .. }) =
                &call.operation
            else {
                return Some("nothing was named that could be missing".into());
            };
            let has_seats = items.seat_ids.iter().all(|seat| facts.event.seat_ids.contains(seat));
            let has_areas = items.areas.iter().all(|(area, _)| facts.capacity_of(area).is_some());
            let is_seat = reason == "SEAT_NOT_FOUND";
            (if is_seat { has_seats } else { has_seats && has_areas })
                .then(|| "what the event has is not found".into())
        }
        "SEAT_UNAVAILABLE" => {
            let items = asked(call)?;
            if named.is_empty() || named.iter().any(|seat| !items.seat_ids.contains(seat)) {
                return Some(format!("{named:?} are named as taken, not asked for"));
            }
            let was_free = free.has_one_of(named, call.start_us, call.end_us);
            (was_free && is_untroubled(event, call))
                .then(|| format!("of {named:?} one was free all the time"))
        }
        "INSUFFICIENT_CAPACITY" => {
            let short: Vec<_> =
                asked(call)?.areas.iter().filter(|(id, _)| named.contains(id)).collect();
            if short.len() != named.len() || short.is_empty() {
                return Some(format!("{named:?} are named as short, not asked for"));
            }
            let short: Vec<_> = short.into_iter().map(|(id, units)| (id, *units)).collect();
            let was_free = free.has_units_of(&short, call.start_us, call.end_us);
            (was_free && is_untroubled(event, call))
                .then(|| format!("of {named:?} one had enough all the time"))
        }
        "HOLD_RELEASED" => has_no_cause(event, call, |cause| {
            matches!(cause.operation, Operation::Release { .. }) && !is_refused(cause)
        }),
        "HOLD_CONFIRMING" | "HOLD_CONFIRMED" => {
            has_no_cause(event, call, |cause| matches!(cause.operation, Operation::Confirm { .. }))
        }
        _ => None,
    }
}

fn is_untroubled(event: &Told<'_>, call: &Call) -> bool {
    event.facts.is_quiet(call.start_us.saturating_sub(UNTROUBLED_US), call.end_us)
}

/// Nobody had asked for what the call was refused for.
fn has_no_cause(event: &Told<'_>, call: &Call, is_cause: impl Fn(&Call) -> bool) -> Option<String> {
    let calls = event.facts.calls_of(hold_id(call)?);
    let has_cause = calls.iter().any(|cause| cause.start_us <= call.end_us && is_cause(cause));
    (!has_cause).then(|| format!("{}, and nobody had asked for that", no(call).unwrap_or_default()))
}

/// Refusals that a call may be answered, besides malformed fields.
fn refusals(operation: &Operation) -> &'static [&'static str] {
    match operation {
        Operation::Hold { .. } => &[
            "SEAT_NOT_FOUND",
            "AREA_NOT_FOUND",
            "HOLD_ID_REUSED",
            "HOLD_EXPIRED",
            "HOLD_RELEASED",
            "HOLD_LOST",
            "EVENT_NOT_ON_SALE",
            "HOLDER_LIMIT_EXCEEDED",
            "SEAT_UNAVAILABLE",
            "INSUFFICIENT_CAPACITY",
        ],
        Operation::ExtendHold { .. } => &[
            "HOLD_NOT_FOUND",
            "HOLD_EXPIRED",
            "HOLD_RELEASED",
            "HOLD_LOST",
            "HOLD_CONFIRMING",
            "HOLD_CONFIRMED",
        ],
        Operation::Release { .. } => &[
            "SEAT_NOT_FOUND",
            "AREA_NOT_FOUND",
            "HOLD_NOT_FOUND",
            "HOLD_EXPIRED",
            "HOLD_LOST",
            "HOLD_CONFIRMING",
            "HOLD_CONFIRMED",
        ],
        Operation::Confirm { .. } => &[
            "HOLD_NOT_FOUND",
            "HOLD_EXPIRED",
            "HOLD_RELEASED",
            "HOLD_LOST",
            "HOLD_CONFIRMED",
            "PAYMENT_REFERENCE_USED",
        ],
        Operation::GetHold { .. } => &["HOLD_NOT_FOUND"],
        Operation::GetSeatMap => &[],
    }
}

fn is_in_the_contract(call: &Call) -> bool {
    match (&call.answer, &call.operation) {
        (Answer::Unknown { .. } | Answer::Unavailable { .. }, _)
        | (Answer::Order(_), Operation::Confirm { .. })
        | (Answer::SeatMap { .. }, Operation::GetSeatMap) => true,
        (Answer::Fault { .. } | Answer::Order(_) | Answer::SeatMap { .. }, _)
        | (Answer::Hold(_), Operation::Confirm { .. } | Operation::GetSeatMap) => false,
        (Answer::Hold(_), _) => true,
        (Answer::No { reason, .. }, operation) => {
            ["INVALID_FIELD", "EVENT_NOT_FOUND"].contains(&reason.as_str())
                || refusals(operation).contains(&reason.as_str())
        }
    }
}
