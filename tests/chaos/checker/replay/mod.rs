//! The log, replayed in a model that knows one thing at a time: what every seat
//! and area is, and which hold has it. Each entry must follow from the state
//! before it by the rules, and each picture must be that state.
//!
//! After the state was built anew, only what is sold is still known; the rest is
//! learned from the entries and pictures that follow, and what a hold was
//! promised before must be found again.

mod areas;
mod holds;
mod seats;

use std::collections::HashMap;

use super::{
    facts::Facts,
    order::{Entry, Position},
    picture::Picture,
    verdict::{Promise, Violation},
};
use crate::history::{Hold, Status};

pub use seats::Seat;

/// One hold as the log tells it, from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    /// As it was last.
    pub hold: &'a Hold,
    /// The entry that made it, or the first that was read of it.
    pub made: Entry<'a>,
    /// The entry that told of it last.
    pub last: Position,
    pub ended: Option<Entry<'a>>,
    /// Whether a Hold was answered with it.
    pub is_answered: bool,
}

/// What the replay came to.
pub struct Replay<'a> {
    pub lives: Vec<Life<'a>>,
    broken: Vec<Violation>,
}

impl Life<'_> {
    /// Whether the entry that made it is known.
    pub fn is_whole(&self) -> bool {
        self.made.log.at_ms == self.hold.create_ms
    }
}

impl<'a> Replay<'a> {
    pub fn of(facts: &Facts<'a>) -> Self {
        let mut walk = Walk::new(facts);
        let mut pictures = facts.pictures.iter().peekable();
        for (i, entry) in facts.log.iter().enumerate() {
            while let Some(picture) = pictures.next_if(|picture| picture.at < entry.at) {
                walk.see(picture, Some(entry));
            }
            walk.come_to(entry);
            walk.apply(entry);
            let next = facts.log.get(i + 1);
            while let Some(picture) = pictures.next_if(|picture| picture.at == entry.at) {
                walk.see(picture, next);
            }
        }
        for picture in pictures {
            walk.see(picture, None);
        }
        Self { lives: walk.lives, broken: walk.broken }
    }

    /// Where the log and its pictures break a promise.
    pub fn broken(&self, promise: Promise) -> Vec<Violation> {
        self.broken.iter().filter(|found| found.promise == promise).cloned().collect()
    }
}

struct Walk<'f, 'a> {
    facts: &'f Facts<'a>,
    /// What is not here is not known.
    seats: HashMap<&'a str, Seat<'a>>,
    /// Free units of each area, where known.
    areas: HashMap<&'a str, u32>,
    lives: Vec<Life<'a>>,
    /// The last life of each hold.
    life_of: HashMap<&'a str, usize>,
    at: Option<Position>,
    logged: Option<Position>,
    /// The latest that Redis' clock has shown.
    latest_ms: i64,
    broken: Vec<Violation>,
}

impl<'f, 'a> Walk<'f, 'a> {
    fn new(facts: &'f Facts<'a>) -> Self {
        let mut walk = Self {
            facts,
            seats: HashMap::new(),
            areas: HashMap::new(),
            lives: Vec::new(),
            life_of: HashMap::new(),
            at: None,
            logged: None,
            latest_ms: i64::MIN,
            broken: Vec::new(),
        };
        for [one, other] in &facts.differ {
            walk.breaks(
                Promise::Stream,
                "two entries of the log differ and have the same position",
                [format!("{one:?}"), format!("{other:?}")],
            );
        }
        walk
    }

    fn breaks(
        &mut self,
        promise: Promise,
        what: impl Into<String>,
        proof: impl IntoIterator<Item = String>,
    ) {
        self.broken.push(self.facts.broken(promise, what, proof));
    }

    /// Moves to an entry: the next one, or the first of an epoch.
    fn come_to(&mut self, entry: &Entry<'a>) {
        let at = entry.at;
        let logged = self.logged.replace(at);
        match logged {
            // The event as it was created.
            None if at.epoch == 1 && entry.log.reset => {
                let event = self.facts.event;
                self.seats = event.seat_ids.iter().map(|id| (&**id, Seat::Available)).collect();
                self.areas = event.areas.iter().map(|(id, all)| (&**id, *all)).collect();
            }
            Some(logged) if logged.epoch == at.epoch && logged.next() != at => {
                let what = format!("the log has a gap between {logged} and {at}");
                self.breaks(Promise::Stream, what, [entry.proof()]);
                self.forget();
            }
            Some(logged) if logged.epoch != at.epoch && !entry.log.reset => {
                let what = format!("epoch {} does not begin with a reset", at.epoch);
                self.breaks(Promise::Stream, what, [entry.proof()]);
            }
            Some(logged) if logged.epoch == at.epoch && entry.log.reset => {
                let what = "the state was built anew in the same epoch";
                self.breaks(Promise::Stream, what, [entry.proof()]);
            }
            _ => {}
        }
        if self.at.is_some_and(|before| before.epoch != at.epoch || before >= at) {
            self.forget();
        }
        self.at = Some(at);
        self.latest_ms = self.latest_ms.max(entry.log.at_ms);
    }

    /// Only what is sold, or cannot be, stays as it is for sure.
    fn forget(&mut self) {
        self.seats.retain(|_, seat| matches!(seat, Seat::Sold | Seat::Blocked));
        self.areas.clear();
    }

    fn apply(&mut self, entry: &Entry<'a>) {
        // Of what was built anew, only this much is told.
        if entry.log.reset {
            return;
        }
        let mut units = areas::Units::default();
        for hold_id in &entry.log.expired {
            self.expire_in_passing(entry, hold_id, &mut units);
        }
        for hold in &entry.log.holds {
            self.put(entry, hold, &mut units);
        }
        for (seat, status) in &entry.log.seats {
            self.turn(entry, seat, *status, &mut units);
        }
        self.count(entry, &units);
    }

    /// Compares a picture with what is known, and learns the rest from it.
    /// `next` is the first entry of the log after it.
    fn see(&mut self, picture: &Picture<'a>, next: Option<&Entry<'a>>) {
        // The log's end was lost before the rig read it.
        if self.at != Some(picture.at) {
            self.forget();
        }
        self.at = Some(picture.at);
        let next = next.filter(|next| next.at.epoch == picture.at.epoch);
        for &(seat, told) in &picture.seats {
            self.see_seat(picture, next, seat, told);
        }
        for &(area, told) in &picture.areas {
            self.see_area(picture, area, told);
        }
    }

    fn see_seat(
        &mut self,
        picture: &Picture<'a>,
        next: Option<&Entry<'a>>,
        seat: &'a str,
        told: Status,
    ) {
        let proof = || [format!("{} at {}", picture.proof, picture.at)];
        let known = self.seats.get(seat).copied();
        match known.map(Seat::status) {
            Some(Status::Sold) if told != Status::Sold => {
                let what = format!("seat {seat} was sold, and is shown {told:?} later");
                self.breaks(Promise::Rebuildable, what, proof());
            }
            Some(known) if known != told => {
                let what = format!("seat {seat} is {known:?} by the log, and shown {told:?}");
                self.breaks(Promise::Stream, what, proof());
            }
            Some(_) => return,
            None if told == Status::Available => {
                if let Some(owed) = self.owed_in(picture, next, seat) {
                    let what = format!("hold {} has seat {seat}, shown as free", owed.0);
                    self.breaks(Promise::Rebuildable, what, [owed.1, picture.proof.clone()]);
                }
            }
            None => {}
        }
        if told == Status::Sold {
            self.must_be_ordered(seat, proof());
        }
        self.seats.insert(seat, Seat::shown(told));
    }

    /// The hold that must have the seat in a picture, and what made it.
    fn owed_in(
        &self,
        picture: &Picture<'a>,
        next: Option<&Entry<'a>>,
        seat: &str,
    ) -> Option<(&'a str, String)> {
        let epoch = picture.at.epoch;
        let is_owed = |life: &&Life<'a>| {
            let expire_ms = life.hold.expire_ms;
            let lives = match (next, self.facts.clock) {
                (Some(next), _) => next.log.at_ms < expire_ms,
                (None, Some(clock)) => clock.is_before(picture.taken_us, expire_ms),
                (None, None) => false,
            };
            lives && self.is_owed(life, epoch, seat, picture.taken_us)
        };
        let owed = self.lives.iter().find(is_owed)?;
        Some((&owed.hold.hold_id, owed.made.proof()))
    }
}
