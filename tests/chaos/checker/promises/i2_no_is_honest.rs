//! I2': a definite no to Confirm means that this hold is never sold.

use crate::{
    checker::{
        Told,
        facts::{asked, no, proof},
        verdict::{Promise, Violation},
    },
    history::{Call, Operation},
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
            // Unless the hold was only made, or made again, after the no.
            Some("HOLD_NOT_FOUND") => {
                let mut holds = facts.calls_of(hold_id).iter().filter(|hold| asked(hold).is_some());
                holds.all(|hold| hold.end_us < call.start_us)
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
