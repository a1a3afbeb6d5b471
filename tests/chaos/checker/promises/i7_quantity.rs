//! I7: 0 <= sold <= capacity, and free + held + sold = capacity.

use crate::checker::{
    Told,
    verdict::{Promise, Violation},
};

/// Along the log by the replay; at rest, when nothing is held, exactly.
pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::Quantity);
    let Some(rest) = facts.rest else { return broken };
    let mut breaks = |what: String| {
        let proof = [format!("at rest, {} us", rest.at_us)];
        broken.push(facts.broken(Promise::Quantity, what, proof));
    };
    for (area, capacity) in &facts.event.areas {
        let tickets = rest.orders.iter().flat_map(|order| &order.tickets);
        let sold = tickets.filter(|ticket| ticket.area_id.as_ref() == Some(area)).count();
        if sold > *capacity as usize {
            breaks(format!("area {area} has {sold} tickets and {capacity} units"));
        }
        let counted = rest.areas_sold.iter().find(|(id, ..)| id == area);
        let expected = u32::try_from(sold).map(|sold| (area.clone(), *capacity, sold));
        if counted != expected.as_ref().ok() {
            breaks(format!("area {area} has {sold} tickets of {capacity}, counted {counted:?}"));
        }
        let free = rest.redis_areas.iter().find(|(id, _)| id == area).map(|(_, free)| *free);
        if free.map(|free| free as usize + sold) != Some(*capacity as usize) {
            breaks(format!("area {area}: {sold} sold, {free:?} free in Redis, of {capacity}"));
        }
    }
    broken
}
