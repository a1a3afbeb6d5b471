//! The scripts of `src/holds/lua`: each one step.

use super::state::{
    Entry, Event, HoldId, HoldState, Items, Outcome, Position, Record, Row, Seat, Tick,
};

/// How long a hold lives from its making, and from an Extend.
const TTL: Tick = 1;
const EXTENDED_TTL: Tick = 2;

pub enum Held {
    /// Made now, or by the same request before.
    Held {
        record: Record,
        made_it: bool,
    },
    Refused,
}

/// What Confirm's fence or Release's question comes to.
pub enum Answer {
    /// It is fenced, or may be released.
    Granted(Items),
    Missing,
    /// It has ended so, by the clock.
    Ended(Outcome),
    /// It is being confirmed, which forbids a Release.
    Confirming,
    /// Some of its seats are not the hold's any more.
    Torn,
}

impl Event {
    fn find(&self, hold: HoldId) -> Option<Record> {
        self.holds[usize::from(hold)]
    }

    fn put(&mut self, hold: HoldId, record: Record) {
        self.holds[usize::from(hold)] = Some(record);
    }

    fn take(&mut self, hold: HoldId, items: Items) {
        for seat in items.seat_numbers() {
            self.seats[seat] = Seat::Held(hold);
        }
        self.free_units -= items.units;
    }

    /// Takes back what is still the hold's.
    fn free(&mut self, hold: HoldId, items: Items) {
        for seat in items.seat_numbers() {
            if self.seats[seat] == Seat::Held(hold) {
                self.seats[seat] = Seat::Free;
            }
        }
        self.free_units += items.units;
    }

    fn next(&mut self) -> Position {
        self.seq += 1;
        Position { epoch: self.epoch, seq: self.seq }
    }

    /// Writes the hold as it is now, under the next number.
    fn log_hold(&mut self, hold: HoldId, mut record: Record, expired: u8) -> Record {
        let at = self.next();
        record.seq = at.seq;
        self.put(hold, record);
        let row = Row { at, expires: record.expires, items: record.items };
        self.log.push(Entry { at, hold: Some((hold, row)), expired });
        record
    }

    /// Whether the items are free, or stand under holds that have run out;
    /// answers those.
    pub fn available(&self, items: Items, now: Tick) -> Option<Vec<HoldId>> {
        let mut doomed = Vec::new();
        for seat in items.seat_numbers() {
            match self.seats[seat] {
                Seat::Free => {}
                Seat::Sold(_) => return None,
                Seat::Held(owner) => match self.find(owner) {
                    None => {} // A seat whose hold is gone is nobody's.
                    Some(other) if other.state == HoldState::Active && other.expires <= now => {
                        doomed.push(owner);
                    }
                    Some(_) => return None,
                },
            }
        }
        let units = items.units;
        if self.free_units < units {
            let run_out = |id: &HoldId| {
                self.find(*id)
                    .is_some_and(|other| other.state == HoldState::Active && other.expires <= now)
            };
            doomed = (0..).take(self.holds.len()).filter(run_out).collect();
            let back: i8 =
                doomed.iter().filter_map(|id| self.find(*id)).map(|r| r.items.units).sum();
            if self.free_units + back < units {
                return None;
            }
        }
        doomed.dedup();
        Some(doomed)
    }

    /// `hold.lua`. For a journaled event a repeated request has a new number.
    pub fn hold(&mut self, hold: HoldId, items: Items, now: Tick, renumber: bool) -> Held {
        if let Some(known) = self.find(hold) {
            return match known.state {
                HoldState::Active if known.expires <= now => Held::Refused,
                HoldState::Active | HoldState::Confirming => {
                    let record = if renumber { self.log_hold(hold, known, 0) } else { known };
                    Held::Held { record, made_it: false }
                }
                HoldState::Ended(_) => Held::Refused,
            };
        }
        match self.available(items, now) {
            Some(doomed) => self.make(hold, items, now, &doomed),
            None => Held::Refused,
        }
    }

    /// The writing half of `hold.lua`.
    pub fn make(&mut self, hold: HoldId, items: Items, now: Tick, doomed: &[HoldId]) -> Held {
        let mut expired = 0;
        for &other in doomed {
            self.end(other, Outcome::Expired);
            expired |= 1 << other;
        }
        self.take(hold, items);
        let record = Record { state: HoldState::Active, expires: now + TTL, items, seq: 0 };
        Held::Held { record: self.log_hold(hold, record, expired), made_it: true }
    }

    /// Ends a hold whose items go back on sale.
    fn end(&mut self, hold: HoldId, outcome: Outcome) {
        if let Some(record) = self.find(hold) {
            self.free(hold, record.items);
            self.put(hold, Record { state: HoldState::Ended(outcome), ..record });
        }
    }

    /// Undoes a hold that could not be journaled. One that has run out stays:
    /// its end may be on the way to Postgres, and the id be made anew before.
    pub fn give_back(&mut self, hold: HoldId, seq: Option<u8>, now: Option<Tick>) {
        let Some(record) = self.find(hold).filter(|r| r.state == HoldState::Active) else { return };
        let is_unchanged = seq.is_none_or(|seq| seq == record.seq);
        if is_unchanged && now.is_none_or(|now| record.expires > now) {
            self.free(hold, record.items);
            self.holds[usize::from(hold)] = None;
            self.next();
        }
    }

    /// What a hold's state is by the clock: `None` while it is active.
    fn standing(record: Record, now: Tick) -> Option<Outcome> {
        match record.state {
            HoldState::Active if record.expires <= now => Some(Outcome::Expired),
            HoldState::Ended(outcome) => Some(outcome),
            HoldState::Active | HoldState::Confirming => None,
        }
    }

    /// `extend_hold.lua`.
    pub fn extend(&mut self, hold: HoldId, now: Tick) -> Option<Record> {
        let record = self.find(hold).filter(|record| is_active(*record, now))?;
        Some(self.log_hold(hold, Record { expires: now + EXTENDED_TTL, ..record }, 0))
    }

    /// `release.lua`, of some seats.
    pub fn reduce(&mut self, hold: HoldId, seats: u8, now: Tick) -> Option<Record> {
        let record = self.find(hold).filter(|record| is_active(*record, now))?;
        let given = Items { seats: record.items.seats & seats, units: 0 };
        let kept = Items { seats: record.items.seats & !seats, ..record.items };
        if given.seats == 0 || kept == Items::default() {
            return None;
        }
        self.free(hold, given);
        Some(self.log_hold(hold, Record { items: kept, ..record }, 0))
    }

    /// `release.lua`, of all: says only whether it may be released.
    pub fn release(&self, hold: HoldId, now: Tick) -> Answer {
        let Some(record) = self.find(hold) else { return Answer::Missing };
        match (record.state, Self::standing(record, now)) {
            (_, Some(outcome)) => Answer::Ended(outcome),
            (HoldState::Confirming, None) => Answer::Confirming,
            (_, None) => Answer::Granted(record.items),
        }
    }

    /// `confirm.lua`.
    pub fn confirm(&mut self, hold: HoldId, now: Tick, fence: bool) -> Answer {
        let Some(record) = self.find(hold) else { return Answer::Missing };
        if let Some(outcome) = Self::standing(record, now) {
            return Answer::Ended(outcome);
        }
        let is_own = |seat: usize| self.seats[seat] == Seat::Held(hold);
        if record.state == HoldState::Active && !record.items.seat_numbers().all(is_own) {
            return Answer::Torn;
        }
        if fence {
            self.put(hold, Record { state: HoldState::Confirming, ..record });
        }
        Answer::Granted(record.items)
    }

    /// Takes the fence off again: what no guard ever does.
    pub fn unfence(&mut self, hold: HoldId) {
        if let Some(record) = self.find(hold).filter(|r| r.state == HoldState::Confirming) {
            self.put(hold, Record { state: HoldState::Active, ..record });
        }
    }

    /// `due_holds.lua`: run out, or stuck in a Confirm beyond that.
    pub fn is_due(&self, hold: HoldId, now: Tick, early: bool) -> bool {
        self.find(hold).is_some_and(|record| match record.state {
            HoldState::Active => record.expires <= now,
            HoldState::Confirming => record.expires <= now || early,
            HoldState::Ended(_) => false,
        })
    }

    /// `finish.lua`; `tickets` are the order's own, where there is one.
    pub fn finish(&mut self, hold: HoldId, outcome: Outcome, tickets: Items) {
        let record = self.find(hold);
        if outcome == Outcome::Confirmed {
            self.sell(hold, record, tickets);
            return;
        }
        match record.map(|record| record.state) {
            Some(HoldState::Active | HoldState::Confirming) => self.end(hold, outcome),
            Some(HoldState::Ended(Outcome::Confirmed)) | None => {}
            Some(HoldState::Ended(_)) => {
                let state = HoldState::Ended(outcome);
                self.holds[usize::from(hold)] = record.map(|record| Record { state, ..record });
            }
        }
    }

    fn sell(&mut self, hold: HoldId, mut record: Option<Record>, tickets: Items) {
        if let Some(other) = record.filter(|record| record.items != tickets) {
            if matches!(other.state, HoldState::Active | HoldState::Confirming) {
                self.end(hold, Outcome::Confirmed);
            }
            self.holds[usize::from(hold)] = None;
            record = None;
        }
        for seat in tickets.seat_numbers() {
            self.seats[seat] = Seat::Sold(hold);
        }
        let Some(record) = record else { return };
        if let HoldState::Ended(outcome) = record.state
            && outcome != Outcome::Confirmed
        {
            self.free_units -= record.items.units;
        }
        self.put(hold, Record { state: HoldState::Ended(Outcome::Confirmed), ..record });
    }
}

fn is_active(record: Record, now: Tick) -> bool {
    record.state == HoldState::Active && record.expires > now
}
