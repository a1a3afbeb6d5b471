//! I2': a definite no to Confirm means that this hold is never sold.

use crate::{
    checker::{
        Told,
        facts::{asked, is_held, no, proof},
        verdict::{Promise, Violation},
    },
    history::{Answer, Call, Operation},
};

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let is_sold_all_the_same = |call: &&&Call| {
        let Operation::Confirm { hold_id, holder_id, .. } = &call.operation else { return false };
        let Some(order) = facts.order_of(hold_id) else { return false };
        if order.holder_id != *holder_id {
            return false;
        }
        match no(call) {
            Some("HOLD_EXPIRED" | "HOLD_RELEASED" | "HOLD_LOST") => true,
            // Unless the hold was only made, or made again, after the no: a Hold
            // whose answer is not known may take effect at any later time.
            Some("HOLD_NOT_FOUND") => {
                let holds = || facts.calls_of(hold_id).iter().filter(|c| asked(c).is_some());
                let is_over = |hold: &&Call| {
                    let is_unknown = matches!(hold.answer, Answer::Unknown { .. });
                    !is_unknown && hold.end_us < call.start_us
                };
                holds().any(|hold| is_held(hold)) && holds().all(is_over)
            }
            _ => false,
        }
    };
    let broken = facts.calls.iter().filter(is_sold_all_the_same);
    broken
        .map(|call| {
            let what = "a hold was refused for good, and sold";
            facts.broken(Promise::NoIsHonest, what, [proof(call)])
        })
        .collect()
}
