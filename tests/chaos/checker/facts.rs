//! A history, by event and hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    order::{self, Clock, Entry},
    picture::{self, Picture},
    verdict::{Promise, Violation},
};
use crate::history::{
    Answer, Call, Event, Fault, Final, Hold, Items, Line, Log, Operation, Order, Stream,
};

/// How long after its end a fault may still be felt.
const AFTERMATH_US: u64 = 10_000_000;

/// All that is known of one event.
pub struct Facts<'a> {
    pub event: &'a Event,
    /// By their start.
    pub calls: Vec<&'a Call>,
    pub log: Vec<Entry<'a>>,
    /// Entries that contradict each other on one position.
    pub differ: Vec<[&'a Log; 2]>,
    /// By their position.
    pub pictures: Vec<Picture<'a>>,
    pub readers: BTreeMap<u32, Vec<&'a Stream>>,
    /// Both stores at rest.
    pub rest: Option<&'a Final>,
    pub faults: Vec<&'a Fault>,
    pub clock: Option<Clock>,
    calls_of: HashMap<&'a str, Vec<&'a Call>>,
    order_of: HashMap<&'a str, &'a Order>,
    order_of_seat: HashMap<&'a str, &'a Order>,
    outcome_of: HashMap<&'a str, &'a str>,
    made_last_ms: HashMap<&'a str, i64>,
}

/// The lines of one event, as they come.
#[derive(Default)]
struct Lines<'a> {
    calls: Vec<&'a Call>,
    log: Vec<&'a Log>,
    readers: BTreeMap<u32, Vec<&'a Stream>>,
    rest: Option<&'a Final>,
}

impl<'a> Facts<'a> {
    pub fn of_all(lines: &'a [Line]) -> Vec<Self> {
        let mut events = Vec::new();
        let mut of: HashMap<&str, Lines> = HashMap::new();
        let mut faults = Vec::new();
        for line in lines {
            match line {
                Line::Begin(_) => {}
                Line::Event(event) => events.push(event),
                Line::Call(call) => of.entry(&call.event_id).or_default().calls.push(call),
                Line::Log(entry) => of.entry(&entry.event_id).or_default().log.push(entry),
                Line::Stream(told) => {
                    let readers = &mut of.entry(&told.event_id).or_default().readers;
                    readers.entry(told.reader).or_default().push(told);
                }
                Line::Final(last) => of.entry(&last.event_id).or_default().rest = Some(last),
                Line::Fault(fault) => faults.push(fault),
            }
        }
        let mut lines_of = |event: &Event| of.remove(event.event_id.as_str()).unwrap_or_default();
        events.into_iter().map(|event| Self::of(event, lines_of(event), faults.clone())).collect()
    }

    fn of(event: &'a Event, lines: Lines<'a>, faults: Vec<&'a Fault>) -> Self {
        let Lines { mut calls, log, readers, rest } = lines;
        calls.sort_by_key(|call| (call.start_us, call.id));
        let mut calls_of: HashMap<&str, Vec<&Call>> = HashMap::new();
        for call in &calls {
            if let Some(hold_id) = hold_id(call) {
                calls_of.entry(hold_id).or_default().push(call);
            }
        }
        let mut made_last_ms = HashMap::new();
        for hold in log.iter().flat_map(|entry| &entry.holds) {
            let made_ms: &mut i64 = made_last_ms.entry(hold.hold_id.as_str()).or_default();
            *made_ms = hold.create_ms.max(*made_ms);
        }
        let (log, differ) = order::in_order(&log, &calls_of);
        let clock = Clock::of(&log, &faults);
        let pictures = picture::all(&calls, &readers);
        let orders = rest.map_or(&[][..], |rest| &rest.orders);
        let outcomes = rest.map_or(&[][..], |rest| &rest.outcomes);
        let mut order_of_seat = HashMap::new();
        for order in orders {
            for seat in order_seats(order) {
                order_of_seat.entry(seat).or_insert(order);
            }
        }
        Self {
            order_of: orders.iter().map(|order| (order.hold_id.as_str(), order)).collect(),
            order_of_seat,
            outcome_of: outcomes.iter().map(|(id, how, _)| (id.as_str(), how.as_str())).collect(),
            event,
            calls,
            log,
            differ,
            pictures,
            readers,
            rest,
            faults,
            clock,
            calls_of,
            made_last_ms,
        }
    }

    /// Every call that names the hold, by start.
    pub fn calls_of(&self, hold_id: &str) -> &[&'a Call] {
        self.calls_of.get(hold_id).map_or(&[], Vec::as_slice)
    }

    /// All holds that calls name.
    pub fn hold_ids(&self) -> BTreeSet<&'a str> {
        self.calls_of.keys().copied().collect()
    }

    pub fn orders(&self) -> &'a [Order] {
        self.rest.map_or(&[], |rest| &rest.orders)
    }

    pub fn order_of(&self, hold_id: &str) -> Option<&'a Order> {
        self.order_of.get(hold_id).copied()
    }

    pub fn order_of_seat(&self, seat: &str) -> Option<&'a Order> {
        self.order_of_seat.get(seat).copied()
    }

    /// How the hold ended, by Postgres.
    pub fn outcome_of(&self, hold_id: &str) -> Option<&'a str> {
        self.outcome_of.get(hold_id).copied()
    }

    /// When the hold of this id was made that is the last one on the log.
    pub fn made_last_ms(&self, hold_id: &str) -> Option<i64> {
        self.made_last_ms.get(hold_id).copied()
    }

    /// Whether Redis' clock may have been wrong at some moment of this time.
    pub fn clock_may_be_wrong(&self, from_us: u64, to_us: u64) -> bool {
        let mut moves = self.faults.iter().filter(|fault| order::moves_clock(fault));
        moves.any(|fault| is_felt(fault, from_us, to_us))
    }

    /// Whether a Hold was answered with the very hold that was made then.
    pub fn is_answered(&self, hold: &Hold) -> bool {
        let is_it = |told: &Hold| told.create_ms == hold.create_ms;
        let mut calls = self.calls_of(&hold.hold_id).iter();
        calls.any(|call| is_held(call) && self::hold(call).is_some_and(is_it))
    }

    pub fn capacity_of(&self, area: &str) -> Option<u32> {
        self.event.areas.iter().find(|(id, _)| id == area).map(|&(_, capacity)| capacity)
    }

    /// Whether no fault can be felt in this time.
    pub fn is_quiet(&self, from_us: u64, to_us: u64) -> bool {
        !self.faults.iter().any(|fault| is_felt(fault, from_us, to_us))
    }

    /// Whether a FAST hold may have been forgotten in this time: by Redis, or by
    /// a journal that was out of reach when Redis was to be built anew from it.
    pub fn may_have_forgotten(&self, from_us: u64, to_us: u64) -> bool {
        self.faults.iter().any(|fault| {
            let excuses = fault.loses_redis
                || order::moves_clock(fault)
                || order::mentions(fault, &["postgres", "disk"]);
            excuses && is_felt(fault, from_us, to_us)
        })
    }

    /// Whether no second Redis can have answered in this time.
    pub fn has_one_redis(&self, from_us: u64, to_us: u64) -> bool {
        let mut faults = self.faults.iter().filter(|fault| fault.loses_redis);
        !faults.any(|fault| is_felt(fault, from_us, to_us))
    }

    /// Whether what a hold was promised must outlast what happened in this time.
    pub fn must_last(&self, from_us: u64, to_us: u64) -> bool {
        self.event.journaled || !self.may_have_forgotten(from_us, to_us)
    }

    /// Whether a call that ends the hold, or gives part of it back, can have
    /// taken effect before this moment.
    pub fn may_be_released(&self, hold_id: &str, before_us: u64) -> bool {
        self.calls_of(hold_id).iter().any(|call| {
            matches!(call.operation, Operation::Release { .. })
                && call.start_us <= before_us
                && self.may_have_changed(call)
        })
    }

    /// Whether a call on a hold may have changed it. One of a journaled hold is
    /// answered only after its change: that the hold has ended may be news since.
    pub fn may_have_changed(&self, call: &Call) -> bool {
        const ENDED: [&str; 5] =
            ["HOLD_EXPIRED", "HOLD_RELEASED", "HOLD_LOST", "HOLD_CONFIRMED", "HOLD_CONFIRMING"];
        let has_ended = no(call).is_some_and(|reason| ENDED.contains(&reason));
        !is_refused(call) || self.event.journaled && has_ended
    }

    /// Whether an ExtendHold may have made the hold end sooner than told here.
    pub fn may_be_shortened(&self, as_told: &Hold, before_us: u64) -> bool {
        self.calls_of(&as_told.hold_id).iter().any(|call| {
            matches!(call.operation, Operation::ExtendHold { .. })
                && call.start_us <= before_us
                && self.may_have_changed(call)
                && hold(call).is_none_or(|hold| hold.expire_ms < as_told.expire_ms)
        })
    }

    pub fn broken(
        &self,
        promise: Promise,
        what: impl Into<String>,
        proof: impl IntoIterator<Item = String>,
    ) -> Violation {
        let event_id = self.event.event_id.clone();
        Violation { promise, event_id, what: what.into(), proof: proof.into_iter().collect() }
    }
}

fn is_felt(fault: &Fault, from_us: u64, to_us: u64) -> bool {
    fault.start_us <= to_us && from_us <= fault.end_us.saturating_add(AFTERMATH_US)
}

pub fn order_seats(order: &Order) -> impl Iterator<Item = &str> {
    order.tickets.iter().filter_map(|ticket| ticket.seat_id.as_deref())
}

/// The hold that a call names.
pub fn hold_id(call: &Call) -> Option<&str> {
    match &call.operation {
        Operation::Hold { hold_id, .. }
        | Operation::ExtendHold { hold_id, .. }
        | Operation::Release { hold_id, .. }
        | Operation::Confirm { hold_id, .. }
        | Operation::GetHold { hold_id } => Some(hold_id),
        Operation::GetSeatMap => None,
    }
}

pub fn holder_id(call: &Call) -> Option<&str> {
    match &call.operation {
        Operation::Hold { holder_id, .. }
        | Operation::ExtendHold { holder_id, .. }
        | Operation::Release { holder_id, .. }
        | Operation::Confirm { holder_id, .. } => Some(holder_id),
        Operation::GetHold { .. } | Operation::GetSeatMap => None,
    }
}

/// The definite no that a call was answered.
pub fn no(call: &Call) -> Option<&str> {
    match &call.answer {
        Answer::No { reason, .. } => Some(reason),
        _ => None,
    }
}

/// The hold that a call was answered.
pub fn hold(call: &Call) -> Option<&Hold> {
    match &call.answer {
        Answer::Hold(hold) => Some(hold),
        _ => None,
    }
}

pub fn order(call: &Call) -> Option<&Order> {
    match &call.answer {
        Answer::Order(order) => Some(order),
        _ => None,
    }
}

/// Whether the call changed nothing, by its own word.
pub fn is_refused(call: &Call) -> bool {
    matches!(call.answer, Answer::No { .. } | Answer::Unavailable { .. })
}

/// Whether a Hold was answered with what it asked for.
pub fn is_held(call: &Call) -> bool {
    matches!(call.operation, Operation::Hold { .. }) && hold(call).is_some()
}

pub fn asked(call: &Call) -> Option<&Items> {
    match &call.operation {
        Operation::Hold { items, .. } => Some(items),
        _ => None,
    }
}

pub fn units_in(items: &Items, area: &str) -> u32 {
    items.areas.iter().filter(|(id, _)| id == area).map(|&(_, units)| units).sum()
}

pub fn proof(call: &Call) -> String {
    let Call { id, server, start_us, end_us, operation, answer, .. } = call;
    format!("call {id} at server {server}, {start_us} to {end_us} us: {operation:?} -> {answer:?}")
}
