//! What a seat may turn into, and why.

use super::{Life, Walk, areas::Units};
use crate::{
    checker::{facts::order_seats, order::Entry, verdict::Promise},
    history::Status,
};

/// What a seat is in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat<'a> {
    Available,
    /// By which hold, where the log told.
    Held(Option<&'a str>),
    Sold,
    Blocked,
}

impl Seat<'_> {
    pub fn status(self) -> Status {
        match self {
            Self::Available => Status::Available,
            Self::Held(_) => Status::Held,
            Self::Sold => Status::Sold,
            Self::Blocked => Status::Blocked,
        }
    }

    pub fn shown(status: Status) -> Self {
        match status {
            Status::Available => Self::Available,
            Status::Held => Self::Held(None),
            Status::Sold => Self::Sold,
            Status::Blocked => Self::Blocked,
        }
    }
}

impl<'a> Walk<'_, 'a> {
    pub(super) fn turn(
        &mut self,
        entry: &Entry<'a>,
        seat: &'a str,
        status: Status,
        units: &mut Units<'a>,
    ) {
        let before = self.seats.get(seat).copied();
        if before == Some(Seat::Sold) && status != Status::Sold {
            let what = format!("seat {seat} was sold, and turned {status:?}");
            self.breaks(Promise::Rebuildable, what, [entry.proof()]);
        }
        let now = match status {
            Status::Held => self.take(entry, seat, before),
            Status::Sold => self.sell(entry, seat, before),
            Status::Available => self.free(entry, seat, before, units),
            Status::Blocked => Seat::Blocked,
        };
        self.seats.insert(seat, now);
    }

    /// A hold takes a seat: it was free, and nobody was promised it.
    fn take(&mut self, entry: &Entry<'a>, seat: &'a str, before: Option<Seat<'a>>) -> Seat<'a> {
        let mut takers = entry.log.holds.iter();
        let taker = takers.find(|hold| hold.items.seat_ids.iter().any(|held| held == seat));
        let taker = taker.map(|hold| hold.hold_id.as_str());
        let by = taker.unwrap_or("nobody");
        match before {
            Some(Seat::Held(owner)) => {
                let owner = owner.unwrap_or("another hold");
                let what = format!("seat {seat} is held by {owner}, and taken by {by}");
                self.breaks(Promise::Exclusion, what, [entry.proof()]);
            }
            Some(Seat::Blocked) => {
                let what = format!("seat {seat} is blocked, and taken by {by}");
                self.breaks(Promise::Exclusion, what, [entry.proof()]);
            }
            Some(Seat::Sold | Seat::Available) => {}
            None => {
                let at_ms = entry.log.at_ms;
                let lives = |life: &&Life<'a>| {
                    life.hold.expire_ms > at_ms
                        && Some(life.hold.hold_id.as_str()) != taker
                        && self.is_owed(life, entry.at.epoch, seat, entry.log.at_us)
                };
                if let Some(owed) = self.lives.iter().find(lives).copied() {
                    let id = &owed.hold.hold_id;
                    let what = format!("seat {seat} is still held by {id}, and taken by {by}");
                    self.breaks(Promise::Exclusion, what, [owed.made.proof(), entry.proof()]);
                }
            }
        }
        if taker.is_none() {
            let what = format!("seat {seat} turned Held, and no hold took it");
            self.breaks(Promise::Exclusion, what, [entry.proof()]);
        }
        Seat::Held(taker)
    }

    /// Whether a hold of an earlier epoch must have come back with the seat: it
    /// was answered, nothing can have ended it but its time, and nothing excuses
    /// that it was forgotten.
    pub(super) fn is_owed(&self, life: &Life<'a>, epoch: u64, seat: &str, before_us: u64) -> bool {
        let (facts, hold) = (self.facts, life.hold);
        let may_have_run_out = facts.clock_may_be_wrong(life.made.earliest_us, before_us)
            && facts.outcome_of(&hold.hold_id) == Some("expired");
        life.ended.is_none()
            && life.is_answered
            && life.last.epoch < epoch
            && hold.items.seat_ids.iter().any(|held| held == seat)
            && !facts.may_be_released(&hold.hold_id, before_us)
            && !facts.may_be_shortened(hold, before_us)
            && !may_have_run_out
            && facts.must_last(life.made.earliest_us, before_us)
    }

    /// A seat is sold: to the hold that had it, by an order.
    fn sell(&mut self, entry: &Entry<'a>, seat: &'a str, before: Option<Seat<'a>>) -> Seat<'a> {
        self.must_be_ordered(seat, [entry.proof()]);
        let Some(order) = self.facts.order_of_seat(seat) else { return Seat::Sold };
        let buyer = order.hold_id.as_str();
        match before {
            Some(Seat::Held(Some(owner))) if owner != buyer => {
                let what = format!("seat {seat} is held by {owner}, and sold to {buyer}");
                self.breaks(Promise::Exclusion, what, [entry.proof()]);
            }
            Some(Seat::Available) => {
                let what = format!("seat {seat} is sold to {buyer}, which did not hold it");
                self.breaks(Promise::Exclusion, what, [entry.proof()]);
            }
            _ => {}
        }
        if let Some(&life) = self.life_of.get(buyer) {
            self.lives[life].ended.get_or_insert(*entry);
        }
        Seat::Sold
    }

    /// What is told as sold has an order in the end.
    pub(super) fn must_be_ordered(&mut self, seat: &str, proof: impl IntoIterator<Item = String>) {
        if self.facts.rest.is_some() && self.facts.order_of_seat(seat).is_none() {
            let what = format!("seat {seat} is told as sold, and no order has it");
            self.breaks(Promise::YesIsDurable, what, proof);
        }
    }

    /// A seat is given back: by expiry, release, or because its hold is over.
    fn free(
        &mut self,
        entry: &Entry<'a>,
        seat: &'a str,
        before: Option<Seat<'a>>,
        units: &mut Units<'a>,
    ) -> Seat<'a> {
        let owner = match before {
            Some(Seat::Held(owner)) => owner,
            Some(Seat::Available) => {
                let what = format!("seat {seat} is free, and told to turn free");
                self.breaks(Promise::Stream, what, [entry.proof()]);
                return Seat::Available;
            }
            _ => None,
        };
        let Some(owner) = owner else { return Seat::Available };
        let is_expired = entry.log.expired.iter().any(|id| id == owner);
        match entry.log.holds.iter().find(|hold| hold.hold_id == owner) {
            _ if is_expired => {}
            Some(hold) if hold.items.seat_ids.iter().any(|kept| kept == seat) => {
                let what = format!("seat {seat} turned free, and its hold {owner} keeps it");
                self.breaks(Promise::Stream, what, [entry.proof()]);
            }
            Some(_) => {}
            None => self.end_by_outcome(entry, seat, owner, units),
        }
        Seat::Available
    }

    /// A hold was ended, by what Postgres had decided; or undone, before anybody
    /// was answered with it.
    fn end_by_outcome(
        &mut self,
        entry: &Entry<'a>,
        seat: &str,
        owner: &'a str,
        units: &mut Units<'a>,
    ) {
        let Some(&index) = self.life_of.get(owner) else { return };
        let (facts, life) = (self.facts, self.lives[index]);
        if life.ended.is_none_or(|ended| ended.at != entry.at) {
            self.lives[index].ended = Some(*entry);
            units.free(life.hold);
        }
        let may_be_undone = facts.event.journaled && !life.is_answered;
        let is_made_again = facts.made_last_ms(owner) > Some(life.hold.create_ms);
        if facts.rest.is_none() || may_be_undone || is_made_again {
            return;
        }
        let (promise, what) = match facts.outcome_of(owner) {
            Some("confirmed") => {
                let order = facts.order_of(owner);
                if order.is_none_or(|order| order_seats(order).all(|sold| sold != seat)) {
                    return;
                }
                (Promise::OneOutcome, format!("seat {seat} of {owner} was sold, and freed"))
            }
            Some("expired") => {
                let may_be_wrong = facts.clock_may_be_wrong(life.made.earliest_us, entry.log.at_us);
                if may_be_wrong || life.hold.expire_ms <= self.latest_ms {
                    return;
                }
                (Promise::Exclusion, format!("{owner} was expired before it ran out"))
            }
            Some("released") => {
                if facts.may_be_released(owner, entry.log.at_us) {
                    return;
                }
                (Promise::Exclusion, format!("{owner} was released, and nobody asked for it"))
            }
            Some(_) => {
                if !facts.must_last(life.made.earliest_us, entry.log.at_us) {
                    return;
                }
                (Promise::Exclusion, format!("{owner} was given up as lost while it lived"))
            }
            None => (Promise::OneOutcome, format!("{owner} was ended, and has no outcome")),
        };
        self.breaks(promise, what, [life.made.proof(), entry.proof()]);
    }
}
