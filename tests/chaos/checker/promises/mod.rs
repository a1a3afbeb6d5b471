//! The promises, a file each: what would break it, and nothing else.

mod i10_in_time;
mod i1_sold_once;
mod i2_no_is_honest;
mod i2_yes_is_durable;
mod i3_exclusion;
mod i4_one_outcome;
mod i5_stream;
mod i6_idempotent;
mod i7_quantity;
mod i8_rebuildable;
mod i9_money;
mod justified;
mod reader;

use super::{Told, verdict::Violation};
use crate::history::Answer;

pub use i9_money::check as money;

type Check = fn(&Told<'_>) -> Vec<Violation>;

/// What is promised of each event by itself.
pub const OF_AN_EVENT: [Check; 11] = [
    i1_sold_once::check,
    i2_yes_is_durable::check,
    i2_no_is_honest::check,
    i3_exclusion::check,
    i4_one_outcome::check,
    i5_stream::check,
    i6_idempotent::check,
    i7_quantity::check,
    i8_rebuildable::check,
    i10_in_time::check,
    justified::check,
];

/// How the answers that were not known are settled by the state at rest.
pub fn unsettled(event: &Told<'_>) -> Option<String> {
    let facts = &event.facts;
    let unknown: Vec<_> =
        facts.calls.iter().filter(|call| matches!(call.answer, Answer::Unknown { .. })).collect();
    let has_order = |id| facts.order_of(id).is_some();
    let hold_ids = || unknown.iter().filter_map(|call| super::facts::hold_id(call));
    let sold = hold_ids().filter(|id| has_order(id)).count();
    let ended = hold_ids().filter(|id| !has_order(id) && facts.outcome_of(id).is_some()).count();
    (!unknown.is_empty()).then(|| {
        let (id, all) = (&facts.event.event_id, unknown.len());
        let rest = all - sold - ended;
        format!("event {id}: of {all} unknown answers {sold} were sold, {ended} ended, {rest} void")
    })
}
