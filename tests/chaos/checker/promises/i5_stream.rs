//! I5: a snapshot at (epoch, seq), then every change after it, without a gap and
//! without a repeat; at rest everybody sees the same house.

use super::reader::Reader;
use crate::{
    checker::{
        Told,
        facts::{Facts, asked, hold, is_held, proof},
        verdict::{Promise, Violation},
    },
    history::Status,
};

/// How far from a fault every change must be found on the log, µs.
const UNTROUBLED_US: u64 = 5_000_000;

pub fn check(event: &Told<'_>) -> Vec<Violation> {
    let facts = &event.facts;
    let mut broken = event.replay.broken(Promise::Stream);
    for (&number, told) in &facts.readers {
        let mut reader = Reader::new(facts, number);
        for message in told {
            reader.is_told(message);
        }
        if let Some(rest) = facts.rest {
            reader.rest(rest);
        }
        broken.extend(reader.broken);
    }
    broken.extend(out_of_order(facts));
    broken.extend(untold(event));
    broken.extend(maps_at_rest(facts));
    broken
}

/// The log's order respects real time: nothing comes before what had been
/// answered when it was asked for.
fn out_of_order(facts: &Facts<'_>) -> Option<Violation> {
    facts.log.windows(2).find_map(|pair| {
        let [before, entry] = pair else { return None };
        let latest_us = entry.log.holds.iter().filter_map(|made| {
            let calls = facts.calls_of(&made.hold_id).iter();
            let answered = calls.filter(|call| {
                is_held(call)
                    && hold(call).is_some_and(|told| {
                        // The change that made it, not one that came later.
                        told.create_ms == made.create_ms && made.create_ms == entry.log.at_ms
                    })
            });
            answered.map(|call| call.end_us).min()
        });
        let latest_us = latest_us.min().unwrap_or(u64::MAX).min(entry.log.at_us);
        (before.at.epoch == entry.at.epoch && latest_us < before.earliest_us).then(|| {
            let what = "a hold was answered before what comes before it on the log was asked for";
            facts.broken(Promise::Stream, what, [before.proof(), entry.proof()])
        })
    })
}

/// What was answered far from any fault is on the log.
fn untold(event: &Told<'_>) -> Option<Violation> {
    let facts = &event.facts;
    let first = facts.log.first()?;
    let last_us = facts.log.last()?.log.at_us;
    let call = facts.calls.iter().find(|call| {
        let Some(held) = hold(call).filter(|_| is_held(call)) else {
            return false;
        };
        // It may have been made by an earlier call.
        let calls = facts.calls_of(&held.hold_id).iter().filter(|call| asked(call).is_some());
        let first_us = calls.map(|call| call.start_us).min().unwrap_or(call.start_us);
        let from_us = first_us.saturating_sub(UNTROUBLED_US);
        let is_made = |made: Option<i64>| made.is_some_and(|made_ms| made_ms >= held.create_ms);
        let is_of_this_log = held.create_ms >= first.log.at_ms && call.end_us < last_us;
        is_of_this_log
            && !is_made(facts.made_last_ms(&held.hold_id))
            && facts.is_quiet(from_us, call.end_us + UNTROUBLED_US)
    })?;
    let what = "a hold was answered, and is not on the log";
    Some(facts.broken(Promise::Stream, what, [proof(call)]))
}

/// At rest every server shows what is sold, and nothing else.
fn maps_at_rest(facts: &Facts<'_>) -> Vec<Violation> {
    let Some(rest) = facts.rest else { return Vec::new() };
    let mut broken = Vec::new();
    for (server, seats, areas) in &rest.maps {
        let wrong = seats.iter().filter(|(seat, told)| {
            let is_sold = facts.order_of_seat(seat).is_some();
            *told != Status::Blocked && is_sold != (*told == Status::Sold) || *told == Status::Held
        });
        broken.extend(wrong.map(|(seat, told)| {
            let sold = facts.order_of_seat(seat).map(|order| &order.order_id);
            format!("server {server} shows seat {seat} {told:?} at rest, order {sold:?}")
        }));
        if seats.len() != facts.event.seat_ids.len() {
            broken.push(format!("server {server} shows {} seats at rest", seats.len()));
        }
        for (area, capacity, sold) in &rest.areas_sold {
            let free = areas.iter().find(|(id, _)| id == area).map(|(_, free)| *free);
            if free != capacity.checked_sub(*sold) {
                let sale = format!("{sold} of {capacity} sold");
                broken.push(format!("server {server} shows {free:?} free in {area}, {sale}"));
            }
        }
    }
    let proof = || [format!("at rest, {} us", rest.at_us)];
    broken.into_iter().map(|what| facts.broken(Promise::Stream, what, proof())).collect()
}
