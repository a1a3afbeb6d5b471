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

use super::{Told, facts::hold_id, verdict::Violation};
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
pub fn settled(events: &[Told<'_>]) -> String {
    let (mut sold, mut ended, mut void) = (0, 0, 0);
    for event in events {
        let facts = &event.facts;
        let calls = facts.calls.iter();
        for call in calls.filter(|call| matches!(call.answer, Answer::Unknown { .. })) {
            let hold_id = hold_id(call).unwrap_or_default();
            match facts.outcome_of(hold_id) {
                Some("confirmed") => sold += 1,
                Some(_) => ended += 1,
                None => void += 1,
            }
        }
    }
    format!("of the holds of unknown answers {sold} were sold, {ended} ended, {void} left nothing")
}
