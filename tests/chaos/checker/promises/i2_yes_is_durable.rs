//! I2: OK from Confirm means that the order is there, and stays as it was told.

use crate::{
    checker::{
        Told,
        facts::{asked, order, order_seats, proof, units_in},
        verdict::{Promise, Violation},
    },
    history::{Operation, Order, Ticket},
};

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::YesIsDurable);
    for call in &facts.calls {
        let (Some(told), Operation::Confirm { hold_id, holder_id, payment_reference }) =
            (order(call), &call.operation)
        else {
            continue;
        };
        let mut breaks = |what: String| {
            broken.push(facts.broken(Promise::YesIsDurable, what, [proof(call)]));
        };
        if told.hold_id != *hold_id
            || told.holder_id != *holder_id
            || told.payment_reference != *payment_reference
        {
            breaks(format!("Confirm of {hold_id} was answered with another order"));
        }
        let kept = facts.orders().iter().find(|kept| kept.order_id == told.order_id);
        match kept {
            _ if facts.rest.is_none() => {}
            None => breaks(format!("order {} was answered, and is not there", told.order_id)),
            Some(kept) if !is_same(kept, told) => {
                breaks(format!("order {} is not what was answered: {kept:?}", told.order_id));
            }
            Some(_) => {}
        }
    }
    for order in facts.orders() {
        broken.extend(sells_what_was_held(event, order));
    }
    broken
}

fn is_same(one: &Order, other: &Order) -> bool {
    let tickets = |order: &Order| -> Vec<Ticket> {
        let mut tickets = order.tickets.clone();
        tickets.sort_by(|a, b| a.ticket_id.cmp(&b.ticket_id));
        tickets
    };
    let same = Order { tickets: tickets(one), ..one.clone() };
    same == Order { tickets: tickets(other), ..other.clone() }
}

/// An order has what its hold was made with; less, only where some of it was
/// given back.
fn sells_what_was_held(event: &Told<'_>, order: &Order) -> Option<Violation> {
    let (facts, hold_id) = (&event.facts, &order.hold_id);
    let calls = facts.calls_of(hold_id);
    let has_all = |parts: bool| {
        calls.iter().filter_map(|call| asked(call)).any(|items| {
            let seats: Vec<&str> = order_seats(order).collect();
            let units = |area: &str| {
                let tickets = order.tickets.iter();
                tickets.filter(|ticket| ticket.area_id.as_deref() == Some(area)).count()
            };
            let fits = |area: &str| {
                let held = units_in(items, area) as usize;
                if parts { units(area) <= held } else { units(area) == held }
            };
            let areas = facts.event.areas.iter().all(|(area, _)| fits(area));
            let all_held = seats.iter().all(|seat| items.seat_ids.iter().any(|held| held == seat));
            areas && all_held && (parts || seats.len() == items.seat_ids.len())
        })
    };
    let is_asked = calls.iter().any(|call| asked(call).is_some());
    let parts = facts.may_be_released(hold_id, u64::MAX);
    (is_asked && !has_all(parts)).then(|| {
        let what = format!("order {} is not what {hold_id} held", order.order_id);
        let holds = calls.iter().filter(|call| asked(call).is_some()).map(|call| proof(call));
        let proof = holds.chain([format!("{order:?}")]).collect::<Vec<_>>();
        facts.broken(Promise::YesIsDurable, what, proof)
    })
}
