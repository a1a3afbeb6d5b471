//! I1: a seat of an event is in at most one order, for ever.

use std::collections::{BTreeMap, BTreeSet};

use crate::checker::{
    Told,
    facts::{order, order_seats},
    verdict::{Promise, Violation},
};

/// By every order that Postgres has, or that anybody was answered.
pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let answered = facts.calls.iter().filter_map(|call| order(call));
    let (mut of_seat, mut of_hold) = (BTreeMap::new(), BTreeMap::new());
    let mut broken = Vec::new();
    for order in facts.orders().iter().chain(answered) {
        let order_id = order.order_id.as_str();
        let orders: &mut BTreeSet<_> = of_hold.entry(order.hold_id.as_str()).or_default();
        orders.insert(order_id);
        let mut own = BTreeSet::new();
        for seat in order_seats(order) {
            let orders: &mut BTreeSet<_> = of_seat.entry(seat).or_default();
            orders.insert(order_id);
            if !own.insert(seat) {
                let what = format!("order {order_id} has two tickets for seat {seat}");
                broken.push(facts.broken(Promise::SoldOnce, what, [format!("{order:?}")]));
            }
        }
    }
    let twice = |(what, orders): (String, &BTreeSet<&str>)| {
        (orders.len() > 1).then(|| {
            let what = format!("{what} is in {} orders", orders.len());
            facts.broken(Promise::SoldOnce, what, orders.iter().map(|id| format!("order {id}")))
        })
    };
    let seats = of_seat.iter().map(|(seat, orders)| (format!("seat {seat}"), orders));
    let holds = of_hold.iter().map(|(hold, orders)| (format!("hold {hold}"), orders));
    broken.extend(seats.chain(holds).filter_map(twice));
    broken.extend(event.replay.broken(Promise::SoldOnce));
    broken
}
