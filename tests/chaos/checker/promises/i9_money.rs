//! I9: a payment pays for one order. That it ends as an order or as a refund is
//! for when there are payments.

use std::collections::BTreeMap;

use crate::{
    checker::{
        Told,
        facts::{no, proof},
        verdict::{Promise, Violation},
    },
    history::{Operation, Order},
};

/// Over all events: a payment reference is unique among them.
pub fn check(events: &[Told<'_>]) -> Vec<Violation> {
    let mut paid: BTreeMap<&str, Vec<(&Told, &Order)>> = BTreeMap::new();
    for event in events {
        for order in event.facts.orders() {
            paid.entry(&order.payment_reference).or_default().push((event, order));
        }
    }
    let twice = paid.iter().filter(|(_, orders)| orders.len() > 1);
    let mut broken: Vec<Violation> = twice
        .map(|(reference, orders)| {
            let what = format!("payment {reference} paid for {} orders", orders.len());
            let proof = orders.iter().map(|(_, order)| format!("{order:?}"));
            orders[0].0.facts.broken(Promise::Money, what, proof)
        })
        .collect();
    for event in events.iter().filter(|event| event.facts.rest.is_some()) {
        for call in &event.facts.calls {
            let Operation::Confirm { payment_reference, hold_id, .. } = &call.operation else {
                continue;
            };
            let orders = paid.get(payment_reference.as_str());
            let is_used = orders.is_some_and(|orders| {
                let is_other = |(other, order): &(&Told, &Order)| {
                    order.hold_id != *hold_id
                        || other.facts.event.event_id != event.facts.event.event_id
                };
                orders.iter().any(is_other)
            });
            if no(call) == Some("PAYMENT_REFERENCE_USED") && !is_used {
                let what = "a payment is called used, and paid for nothing else";
                broken.push(event.facts.broken(Promise::Money, what, [proof(call)]));
            }
        }
    }
    broken
}
