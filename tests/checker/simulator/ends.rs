//! How holds end, and how Redis forgets.

use super::{BEGINNING_MS, Held, House, units_of};
use crate::history::{Answer, Fault, Line, Log, Operation, Order, Status, Ticket};

/// How long a stuck confirm is left alone after its expiry.
const GRACE_MS: i64 = 2_000;

/// The rig reads the log at once: it misses only what is as young.
const READ_WITHIN_US: u64 = 2_000_000;

impl House {
    /// Frees what a hold has; what became of its seats.
    pub(super) fn give_back(&mut self, id: &str, state: &str) -> Vec<(String, Status)> {
        let held = self.holds.get_mut(id).unwrap();
        held.hold.state = state.into();
        let (seats, units) = (held.hold.items.seat_ids.clone(), units_of(&held.hold));
        self.outcomes.insert(id.into(), (state.to_lowercase(), None));
        self.free += units;
        for seat in &seats {
            self.seats.insert(seat.clone(), (Status::Available, String::new()));
        }
        seats.into_iter().map(|seat| (seat, Status::Available)).collect()
    }

    fn end(&mut self, id: &str, state: &str) {
        let units = units_of(&self.holds[id].hold);
        let seats = self.give_back(id, state);
        let areas = if units > 0 { self.floor() } else { vec![] };
        self.write(Log { seats, areas, ..self.entry() });
    }

    pub(super) fn call_release(&mut self) {
        let Some(id) = self.some_hold() else { return };
        let part = self.below(3) == 0;
        let mut operation = Operation::Release {
            hold_id: id.clone(),
            holder_id: "c".into(),
            items: crate::history::Items::default(),
        };
        if !self.is_known(&id) {
            let answer = Self::not_found();
            return self.call(operation, answer);
        }
        if self.holds[&id].hold.state == "RELEASED" {
            let hold = self.holds[&id].hold.clone();
            return self.call(operation, Answer::Hold(hold));
        }
        let answer = self.as_it_is(&id, false);
        let Answer::Hold(hold) = answer else { return self.call(operation, answer) };
        let first = hold.items.seat_ids.first().cloned();
        if let Some(seat) = first.filter(|_| part && hold.items.seat_ids.len() > 1) {
            if let Operation::Release { items, .. } = &mut operation {
                items.seat_ids = vec![seat.clone()];
            }
            let held = self.holds.get_mut(&id).unwrap();
            held.hold.items.seat_ids.retain(|kept| *kept != seat);
            let hold = held.hold.clone();
            self.seats.insert(seat.clone(), (Status::Available, String::new()));
            let (seats, holds) = (vec![(seat, Status::Available)], vec![hold.clone()]);
            self.write(Log { seats, holds, ..self.entry() });
            return self.call(operation, Answer::Hold(hold));
        }
        self.end(&id, "RELEASED");
        let hold = self.holds[&id].hold.clone();
        self.call(operation, Answer::Hold(hold));
    }

    pub(super) fn call_confirm(&mut self) {
        let Some(id) = self.some_hold() else { return };
        let payment = if self.below(10) == 0 { format!("other-{id}") } else { format!("p-{id}") };
        let operation = Operation::Confirm {
            hold_id: id.clone(),
            holder_id: "c".into(),
            payment_reference: payment.clone(),
        };
        if !self.is_known(&id) {
            let answer = Self::not_found();
            return self.call(operation, answer);
        }
        if let Some(order) = self.orders.iter().find(|order| order.hold_id == id).cloned() {
            return match order.payment_reference == payment {
                true => self.call(operation, Answer::Order(order)),
                false => self.refuse(operation, "HOLD_CONFIRMED", vec![]),
            };
        }
        if self.has_run_out(&id) {
            // Postgres has it before anybody is told so.
            self.end(&id, "EXPIRED");
        }
        let answer = self.as_it_is(&id, false);
        let Answer::Hold(hold) = answer else { return self.call(operation, answer) };
        self.next += 1;
        let order_id = format!("o-{:06}", self.next);
        let ticket = |n: usize, seat_id: Option<String>, area_id: Option<String>| Ticket {
            ticket_id: format!("{order_id}-{n}"),
            seat_id,
            area_id,
        };
        let seats = hold.items.seat_ids.iter().map(|seat| (Some(seat.clone()), None));
        let units = (0..units_of(&hold)).map(|_| (None, Some("floor".to_owned())));
        let tickets = seats.chain(units).enumerate().map(|(n, (seat, area))| ticket(n, seat, area));
        let order = Order {
            tickets: tickets.collect(),
            order_id: order_id.clone(),
            hold_id: id.clone(),
            holder_id: "c".into(),
            payment_reference: payment,
        };
        self.orders.push(order.clone());
        self.outcomes.insert(id.clone(), ("confirmed".into(), Some(order_id.clone())));
        let is_untold = self.below(4) == 0;
        let held = self.holds.get_mut(&id).unwrap();
        held.hold.state = "CONFIRMED".into();
        held.hold.order_id = Some(order_id);
        held.is_untold = is_untold;
        if !is_untold {
            self.tell_sold(&id);
        }
        self.call(operation, Answer::Order(order));
    }

    fn tell_sold(&mut self, id: &str) {
        let held = self.holds.get_mut(id).unwrap();
        held.is_untold = false;
        let seats = held.hold.items.seat_ids.clone();
        for seat in &seats {
            self.seats.insert(seat.clone(), (Status::Sold, id.into()));
        }
        if !seats.is_empty() {
            let seats = seats.into_iter().map(|seat| (seat, Status::Sold)).collect();
            self.write(Log { seats, ..self.entry() });
        }
    }

    /// What ran out ends some time later, and what was sold is told.
    pub(super) fn sweep(&mut self) {
        let late_ms = i64::try_from(self.below(200)).unwrap();
        let now_ms = self.now_ms();
        let due = |held: &Held| match held.hold.state.as_str() {
            "ACTIVE" => held.hold.expire_ms + late_ms <= now_ms,
            "CONFIRMING" => held.hold.expire_ms + GRACE_MS + late_ms <= now_ms,
            _ => false,
        };
        let ids: Vec<_> =
            self.holds.iter().filter(|(_, h)| due(h)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.end(&id, "EXPIRED");
        }
        let untold = self.holds.iter().filter(|(_, held)| held.is_untold);
        let untold: Vec<_> = untold.map(|(id, _)| id.clone()).collect();
        for id in untold {
            if self.below(6) == 0 {
                self.tell_sold(&id);
            }
        }
    }

    /// Redis is lost: with the end of its log, as far as the rig had not read
    /// it, and with holds that are not journaled yet.
    pub(super) fn lose(&mut self) {
        let start_us = self.now_us;
        let unread = self.below(4) as usize;
        for _ in 0..unread {
            if let Some(at) = self.lines.iter().rposition(|line| matches!(line, Line::Log(_)))
                && matches!(&self.lines[at], Line::Log(l) if !l.reset
                    && l.epoch == self.epoch && l.at_us + READ_WITHIN_US > start_us)
            {
                self.lines.remove(at);
            }
        }
        self.now_us += 20_000 + self.below(200_000);
        let young_ms = BEGINNING_MS + i64::try_from(start_us / 1_000).unwrap() - 1_000;
        let ids: Vec<String> = self.holds.keys().cloned().collect();
        for id in ids {
            let hold = &self.holds[&id].hold;
            let is_young = hold.create_ms > young_ms && hold.state == "ACTIVE";
            if !self.journaled && is_young && self.below(2) == 0 {
                self.give_back(&id, "FORGOTTEN");
                self.outcomes.remove(&id);
            } else if self.has_run_out(&id) {
                self.give_back(&id, "EXPIRED");
            } else if self.holds[&id].is_untold {
                let held = self.holds.get_mut(&id).unwrap();
                held.is_untold = false;
                for seat in held.hold.items.seat_ids.clone() {
                    self.seats.insert(seat, (Status::Sold, id.clone()));
                }
            }
        }
        (self.epoch, self.seq) = (self.epoch + 1, 0);
        self.write(Log { reset: true, ..self.entry() });
        self.lines.push(Line::Fault(Fault {
            kind: "flushall".into(),
            target: "redis".into(),
            start_us,
            end_us: self.now_us,
            loses_redis: true,
            detail: String::new(),
        }));
    }
}
