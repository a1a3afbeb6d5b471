//! The statements of `src/ledger`: each one transaction, and so one step.

use super::{
    mutants::Mutant,
    protocol::Protocol,
    state::{
        Batch, Event, HOLDS, HoldId, HoldState, Items, Outcome, Position, Postgres, Record, Row,
        SEATS, Seat, Tick,
    },
};

/// What became of a sale.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Sold,
    Decided(Outcome),
    /// The event is in another epoch.
    Fenced,
    /// A seat or a unit is another's.
    Forbidden,
}

impl Postgres {
    pub fn new() -> Self {
        Self {
            epoch: 1,
            cursor: Position { epoch: 1, seq: 0 },
            journal: [None; HOLDS],
            outcomes: [None; HOLDS],
            tickets: [Items::default(); HOLDS],
            outbox: [false; HOLDS],
        }
    }

    pub fn outcome(&self, hold: HoldId) -> Option<Outcome> {
        self.outcomes[usize::from(hold)]
    }

    pub fn units_sold(&self) -> i8 {
        self.tickets.iter().map(|items| items.units).sum()
    }

    fn is_fenced(&self, with: &Protocol, epoch: u8) -> bool {
        self.epoch != epoch && with.guards(Mutant::NoEpochCheck)
    }

    /// `ledger/confirm.rs`. The outcome row comes first; an insert that meets
    /// another's waits for its end, so that statements act one after the other.
    pub fn sell(&mut self, with: &Protocol, hold: HoldId, epoch: u8, items: Items) -> Verdict {
        if self.is_fenced(with, epoch) {
            return Verdict::Fenced;
        }
        if let Some(outcome) = self.outcome(hold) {
            return Verdict::Decided(outcome);
        }
        let owned = self.tickets.iter().any(|other| other.seats & items.seats != 0);
        let too_many = self.units_sold() + items.units > with.capacity;
        if too_many || (owned && with.guards(Mutant::NoUniqueSeat)) {
            return Verdict::Forbidden;
        }
        let at = usize::from(hold);
        self.outcomes[at] = Some(Outcome::Confirmed);
        self.tickets[at] = items;
        self.outbox[at] = true;
        Verdict::Sold
    }

    /// `ledger/outcomes.rs`: ends a hold so, unless it has ended before; `None`
    /// in another epoch.
    pub fn settle(
        &mut self,
        with: &Protocol,
        hold: HoldId,
        epoch: u8,
        outcome: Outcome,
    ) -> Option<Outcome> {
        if self.is_fenced(with, epoch) {
            return None;
        }
        Some(*self.outcomes[usize::from(hold)].get_or_insert(outcome))
    }

    /// JOURNALED: one hold, before it is answered; whether it is in the
    /// journal now, so or newer.
    pub fn journal(&mut self, with: &Protocol, hold: HoldId, row: Row) -> bool {
        if self.is_fenced(with, row.at.epoch) || self.outcome(hold).is_some() {
            return false;
        }
        self.upsert(with, hold, row);
        true
    }

    fn upsert(&mut self, with: &Protocol, hold: HoldId, row: Row) {
        let known = &mut self.journal[usize::from(hold)];
        let is_newer = known.is_none_or(|known| known.at < row.at);
        if is_newer || !with.guards(Mutant::JournalWithoutSeqGuard) {
            *known = Some(row);
        }
    }

    /// `ledger/journal.rs`: the cursor, and what it passes.
    pub fn write_journal(&mut self, with: &Protocol, batch: &Batch) {
        let Some(to) = batch.entries.last().map(|entry| entry.at) else { return };
        if self.is_fenced(with, to.epoch) || self.cursor != batch.from {
            return;
        }
        self.cursor = to;
        // The batch folds its entries: each hold as it was last.
        for entry in &batch.entries {
            let is_last = |id: HoldId| {
                let later = batch.entries.iter().filter(|other| other.at > entry.at);
                later.filter_map(|other| other.hold).all(|(other, _)| other != id)
            };
            if let Some((hold, row)) = entry.hold.filter(|(hold, _)| is_last(*hold)) {
                self.upsert(with, hold, row);
            }
            for hold in (0..).take(HOLDS).filter(|hold: &HoldId| entry.expired & (1 << hold) != 0) {
                self.outcomes[usize::from(hold)].get_or_insert(Outcome::Expired);
            }
        }
    }

    /// `ledger/epochs.rs`, and what `flow/load_event.rs` makes of it: the next
    /// epoch, and the state that Redis is to have in it. What has run out by
    /// `clock` is left out.
    pub fn begin_epoch(&mut self, with: &Protocol, incarnation: u8, clock: Tick) -> Event {
        self.epoch += 1;
        let mut event = Event::empty(incarnation, self.epoch, with.capacity);
        for hold in (0..).take(HOLDS) {
            let at = usize::from(hold);
            let tickets = self.tickets[at];
            for seat in tickets.seat_numbers() {
                event.seats[seat] = Seat::Sold(hold);
            }
            event.free_units -= tickets.units;
            event.holds[at] = self.remembered(with, hold);
        }
        if with.guards(Mutant::RebuildWithoutJournal) {
            for (hold, row) in self.live(clock) {
                bring_back(with, &mut event, hold, row);
            }
        }
        event
    }

    /// A hold that has ended, as the new epoch remembers it.
    fn remembered(&self, with: &Protocol, hold: HoldId) -> Option<Record> {
        let outcome = self.outcome(hold)?;
        let sold = Items::default() != self.tickets[usize::from(hold)];
        let row = self.journal[usize::from(hold)];
        let state = HoldState::Ended(outcome);
        match row {
            Some(row) if !sold => {
                Some(Record { state, expires: row.expires, items: row.items, seq: 0 })
            }
            None if !sold || !with.guards(Mutant::ForgetUnjournaledSales) => None,
            _ => Some(Record { state, expires: 0, items: self.tickets[usize::from(hold)], seq: 0 }),
        }
    }

    /// The holds of the journal that have neither ended nor run out, the
    /// latest first: where two stand against each other, the later one was
    /// made after the earlier one had gone, or had given that much back.
    fn live(&self, clock: Tick) -> Vec<(HoldId, Row)> {
        let mut live: Vec<_> = (0..)
            .zip(self.journal)
            .filter_map(|(hold, row)| Some((hold, row?)))
            .filter(|(hold, row)| self.outcome(*hold).is_none() && row.expires > clock)
            .collect();
        live.sort_by_key(|(_, row)| std::cmp::Reverse(row.at));
        live
    }
}

/// Gives a hold of the journal its place in a new state.
fn bring_back(with: &Protocol, event: &mut Event, hold: HoldId, row: Row) {
    let free: u8 = (0..SEATS)
        .filter(|seat| event.seats[*seat] == Seat::Free)
        .fold(0, |bits, seat| bits | 1 << seat);
    let units = row.items.units;
    let mut items = row.items;
    let mut fits = event.free_units >= units;
    if with.guards(Mutant::RebuildWholeOrNothing) {
        items.seats &= free;
        fits &= items != Items::default();
    } else {
        fits &= items.seats & !free == 0;
    }
    if !fits {
        return;
    }
    for seat in items.seat_numbers() {
        event.seats[seat] = Seat::Held(hold);
    }
    event.free_units -= units;
    let state = HoldState::Active;
    event.holds[usize::from(hold)] = Some(Record { state, expires: row.expires, items, seq: 0 });
}

impl Event {
    pub fn empty(incarnation: u8, epoch: u8, capacity: i8) -> Self {
        Self {
            built_in: incarnation,
            epoch,
            seq: 0,
            seats: [Seat::Free; SEATS],
            free_units: capacity,
            holds: [None; HOLDS],
            log: Vec::new(),
        }
    }
}
