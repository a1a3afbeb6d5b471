//! Histories of a house that keeps every promise: one thing after the other, by
//! the rules, while calls lie around their moments and some answers are lost.

mod ends;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};

use crate::history::{
    Answer, Begin, Call, Event, Hold, Items, Line, Log, Operation, Order, Status,
};

pub const EVENT: &str = "e";
const SEATS: usize = 5;
const CAPACITY: u32 = 6;
/// Redis' clock where the rig's is 0.
const BEGINNING_MS: i64 = 1_700_000_000_000;

#[derive(Clone)]
struct Held {
    hold: Hold,
    at_first: Items,
    ttl_ms: Option<u64>,
    /// Sold in Postgres; Redis is told later.
    is_untold: bool,
}

/// The house, and the history so far.
pub struct House {
    rng: TestRng,
    journaled: bool,
    lines: Vec<Line>,
    now_us: u64,
    epoch: u64,
    seq: u64,
    read_us: u64,
    seats: BTreeMap<String, (Status, String)>,
    free: u32,
    holds: BTreeMap<String, Held>,
    outcomes: BTreeMap<String, (String, Option<String>)>,
    orders: Vec<Order>,
    log: Vec<Log>,
    readers: Vec<(u32, Option<(u64, u64)>)>,
    next: u64,
}

pub fn history(seed: u64, steps: usize, journaled: bool) -> Vec<Line> {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut house = House::new(rng, journaled);
    for _ in 0..steps {
        house.step();
    }
    house.rest()
}

fn seat(i: usize) -> String {
    format!("S-{i}")
}

impl House {
    fn new(rng: TestRng, journaled: bool) -> Self {
        let event = Event {
            event_id: EVENT.into(),
            journaled,
            seat_ids: (0..SEATS).map(seat).collect(),
            areas: vec![("floor".into(), CAPACITY)],
        };
        let begin = Begin { seed: 0, mutant: None, topology: "single".into() };
        let free = event.seat_ids.iter().map(|id| (id.clone(), (Status::Available, String::new())));
        let mut house = Self {
            rng,
            journaled,
            seats: free.collect(),
            lines: vec![Line::Begin(begin), Line::Event(event)],
            now_us: 1_000_000,
            epoch: 1,
            seq: 0,
            read_us: 0,
            free: CAPACITY,
            holds: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            orders: Vec::new(),
            log: Vec::new(),
            readers: (0..2).map(|number| (number, None)).collect(),
            next: 0,
        };
        house.write(Log { reset: true, ..house.entry() });
        house
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn now_ms(&self) -> i64 {
        BEGINNING_MS + i64::try_from(self.now_us / 1_000).unwrap()
    }

    fn entry(&self) -> Log {
        Log {
            event_id: EVENT.into(),
            at_us: 0,
            epoch: self.epoch,
            seq: 0,
            at_ms: self.now_ms(),
            reset: false,
            seats: vec![],
            areas: vec![],
            holds: vec![],
            expired: vec![],
        }
    }

    fn write(&mut self, mut entry: Log) {
        if !entry.reset {
            self.seq += 1;
        }
        entry.seq = self.seq;
        self.read_us = self.read_us.max(self.now_us + self.below(4_000));
        entry.at_us = self.read_us;
        self.log.push(entry.clone());
        self.lines.push(Line::Log(entry));
    }

    fn floor(&self) -> Vec<(String, u32)> {
        vec![("floor".into(), self.free)]
    }

    fn step(&mut self) {
        self.now_us += 300 + self.below(4_000);
        self.sweep();
        match self.below(40) {
            0..=15 => self.call_hold(),
            16 => self.call_again(),
            17..=18 => self.call_extend(),
            19..=22 => self.call_release(),
            23..=27 => self.call_confirm(),
            28..=29 => self.call_get(),
            30..=31 => self.call_map(),
            32..=35 => self.read(),
            36 if self.below(8) == 0 => self.lose(),
            37 => (0..self.below(6)).for_each(|_| {
                self.now_us += 200_000;
                self.sweep();
            }),
            _ => {}
        }
    }

    /// Writes a call around this moment. A lost answer may have had its effect.
    fn call(&mut self, operation: Operation, answer: Answer) {
        let (before, after) = (self.below(9_000), self.below(9_000));
        let (start_us, mut end_us) = (self.now_us - before, self.now_us + after);
        let answer = match self.below(12) {
            0 => {
                // Who hangs up may do so before anything has happened.
                end_us = start_us + self.below(before + after + 1);
                Answer::Unknown { code: "UNAVAILABLE".into(), reason: "OUTCOME_UNKNOWN".into() }
            }
            _ => answer,
        };
        self.next += 1;
        let call = Call {
            id: self.next,
            client: 0,
            server: 0,
            start_us,
            end_us,
            event_id: EVENT.into(),
            operation,
            answer,
        };
        self.lines.push(Line::Call(call));
    }

    fn some_hold(&mut self) -> Option<String> {
        let ids: Vec<String> = self.holds.keys().rev().take(6).cloned().collect();
        let at = self.below(ids.len().max(1) as u64) as usize;
        ids.get(at).cloned()
    }

    fn call_hold(&mut self) {
        self.next += 1;
        let hold_id = format!("h-{:06}", self.next);
        let seats: BTreeSet<_> =
            (0..self.below(3)).map(|_| seat(self.below(SEATS as u64) as usize)).collect();
        let units = self.below(3) as u32;
        let areas = if units > 0 || seats.is_empty() {
            vec![("floor".into(), units.max(1))]
        } else {
            vec![]
        };
        let items = Items { seat_ids: seats.into_iter().collect(), areas };
        if self.below(12) == 0 {
            // Too early: it is not there yet.
            let (hold_id, holder_id) = (hold_id.clone(), "c".into());
            let payment_reference = format!("p-{hold_id}");
            let confirm = Operation::Confirm { hold_id, holder_id, payment_reference };
            self.call(confirm, Self::not_found());
            self.now_us += 200;
        }
        let ttl_ms = Some(30 + self.below(300));
        self.hold(hold_id, items, ttl_ms);
    }

    fn call_again(&mut self) {
        let Some(id) = self.some_hold() else { return };
        let known = self.holds[&id].clone();
        self.hold(id, known.at_first, known.ttl_ms);
    }

    fn hold(&mut self, hold_id: String, items: Items, ttl_ms: Option<u64>) {
        let operation = Operation::Hold {
            hold_id: hold_id.clone(),
            holder_id: "c".into(),
            items: items.clone(),
            ttl_ms,
        };
        if self.is_known(&hold_id) {
            let answer = self.as_it_is(&hold_id, true);
            return self.call(operation, answer);
        }
        let mut entry = self.entry();
        let owner_is_over = |house: &Self, owner: &str| house.has_run_out(owner);
        let doomed: BTreeSet<String> = items
            .seat_ids
            .iter()
            .map(|seat| self.seats[seat].clone())
            .filter(|(status, owner)| *status == Status::Held && owner_is_over(self, owner))
            .map(|(_, owner)| owner)
            .collect();
        let taken: Vec<String> = items
            .seat_ids
            .iter()
            .filter(|seat| {
                let (status, owner) = &self.seats[*seat];
                *status != Status::Available && !doomed.contains(owner)
            })
            .cloned()
            .collect();
        if !taken.is_empty() {
            return self.refuse(operation, "SEAT_UNAVAILABLE", taken);
        }
        let units = items.areas.first().map_or(0, |(_, units)| *units);
        let given: u32 = doomed.iter().map(|id| units_of(&self.holds[id].hold)).sum();
        if self.free + given < units {
            return self.refuse(operation, "INSUFFICIENT_CAPACITY", vec!["floor".into()]);
        }
        for id in doomed {
            entry.seats.extend(self.give_back(&id, "EXPIRED"));
            entry.expired.push(id);
        }
        for seat in &items.seat_ids {
            self.seats.insert(seat.clone(), (Status::Held, hold_id.clone()));
            entry.seats.push((seat.clone(), Status::Held));
        }
        self.free -= units;
        entry.areas = if units + given > 0 { self.floor() } else { vec![] };
        let hold = Hold {
            hold_id: hold_id.clone(),
            holder_id: "c".into(),
            items: items.clone(),
            state: "ACTIVE".into(),
            create_ms: self.now_ms(),
            expire_ms: self.now_ms() + ttl_ms.unwrap() as i64,
            order_id: None,
        };
        entry.holds.push(hold.clone());
        let held = Held { hold: hold.clone(), at_first: items, ttl_ms, is_untold: false };
        self.holds.insert(hold_id, held);
        self.write(entry);
        self.call(operation, Answer::Hold(hold));
    }

    fn refuse(&mut self, operation: Operation, reason: &str, named: Vec<String>) {
        let code = "FAILED_PRECONDITION".into();
        self.call(operation, Answer::No { code, reason: reason.into(), named });
    }

    /// Whether Redis or the journal has it; what was forgotten is not known.
    fn is_known(&self, id: &str) -> bool {
        self.holds.get(id).is_some_and(|held| held.hold.state != "FORGOTTEN")
    }

    fn has_run_out(&self, id: &str) -> bool {
        let hold = &self.holds[id].hold;
        hold.state == "ACTIVE" && hold.expire_ms <= self.now_ms()
    }

    /// The hold, or why it is over; to a Hold a sold one is an answer, too.
    fn as_it_is(&mut self, id: &str, shows_all: bool) -> Answer {
        let held = &self.holds[id];
        let state = match self.has_run_out(id) {
            true => "EXPIRED",
            false => held.hold.state.as_str(),
        };
        let state = if held.is_untold { "CONFIRMING" } else { state };
        let over = matches!(state, "EXPIRED" | "RELEASED") || !shows_all && state != "ACTIVE";
        let hold = Hold { state: state.into(), ..held.hold.clone() };
        let reason = format!("HOLD_{state}");
        match over {
            true => Answer::No { code: "FAILED_PRECONDITION".into(), reason, named: vec![] },
            false => Answer::Hold(hold),
        }
    }

    fn not_found() -> Answer {
        let (code, reason) = ("NOT_FOUND".into(), "HOLD_NOT_FOUND".into());
        Answer::No { code, reason, named: vec![] }
    }

    fn call_get(&mut self) {
        let Some(id) = self.some_hold() else { return };
        let answer = match self.is_known(&id) {
            false => Self::not_found(),
            true => {
                let mut hold = self.holds[&id].hold.clone();
                if self.has_run_out(&id) {
                    hold.state = "EXPIRED".into();
                }
                Answer::Hold(hold)
            }
        };
        self.call(Operation::GetHold { hold_id: id }, answer);
    }

    fn call_extend(&mut self) {
        let Some(id) = self.some_hold() else { return };
        let ttl_ms = 20 + self.below(400);
        let operation =
            Operation::ExtendHold { hold_id: id.clone(), holder_id: "c".into(), ttl_ms };
        if !self.is_known(&id) {
            let answer = Self::not_found();
            return self.call(operation, answer);
        }
        let answer = self.as_it_is(&id, false);
        if let Answer::Hold(_) = answer {
            let now_ms = self.now_ms();
            let held = self.holds.get_mut(&id).unwrap();
            held.hold.expire_ms = now_ms + ttl_ms as i64;
            let hold = held.hold.clone();
            self.write(Log { holds: vec![hold.clone()], ..self.entry() });
            return self.call(operation, Answer::Hold(hold));
        }
        self.call(operation, answer);
    }
}

fn units_of(hold: &Hold) -> u32 {
    hold.items.areas.iter().map(|(_, units)| units).sum()
}
