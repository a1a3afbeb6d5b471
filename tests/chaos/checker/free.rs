//! When a seat, or units of an area, were free for certain, in real time: from
//! when the rig had read that, until the next change can have been made.

use std::collections::HashMap;

use super::{Told, order::Entry};
use crate::history::{Operation, Status};

/// A time without a doubt, in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub epoch: u64,
    pub from_us: u64,
    pub to_us: u64,
}

/// Of one event.
#[derive(Debug, Default)]
pub struct Free<'a> {
    seats: HashMap<&'a str, Vec<Span>>,
    /// With the units that were free.
    areas: HashMap<&'a str, Vec<(Span, u32)>>,
}

/// What is free since when, as the log is read.
#[derive(Default)]
struct Open<'a> {
    seats: HashMap<&'a str, u64>,
    areas: HashMap<&'a str, (u64, u32)>,
}

impl<'a> Free<'a> {
    pub fn of(event: &Told<'a>) -> Self {
        let facts = &event.facts;
        let (mut free, mut open) = (Self::default(), Open::default());
        let mut before: Option<&Entry<'a>> = None;
        for entry in &facts.log {
            if let Some(last) = before.filter(|last| last.at.next() != entry.at) {
                free.close_all(&mut open, last);
            }
            if before.is_none() && entry.at.epoch == 1 && entry.log.reset {
                let seats = facts.event.seat_ids.iter();
                open.seats = seats.map(|seat| (seat.as_str(), entry.log.at_us)).collect();
                let areas = facts.event.areas.iter();
                open.areas =
                    areas.map(|(id, all)| (id.as_str(), (entry.log.at_us, *all))).collect();
            }
            free.read(&mut open, entry);
            before = Some(entry);
        }
        if let Some(last) = before {
            free.close_all(&mut open, last);
        }
        free.add_expired(event);
        free
    }

    fn read(&mut self, open: &mut Open<'a>, entry: &Entry<'a>) {
        for (seat, status) in &entry.log.seats {
            if let Some(from_us) = open.seats.remove(seat.as_str()) {
                self.close_seat(seat, from_us, entry);
            }
            if *status == Status::Available {
                open.seats.insert(seat, entry.log.at_us);
            }
        }
        for (area, units) in &entry.log.areas {
            if let Some((from_us, free)) = open.areas.insert(area, (entry.log.at_us, *units)) {
                self.close_area(area, from_us, free, entry);
            }
        }
    }

    /// What comes after this entry is not known.
    fn close_all(&mut self, open: &mut Open<'a>, last: &Entry<'a>) {
        for (seat, from_us) in open.seats.drain() {
            self.close_seat(seat, from_us, last);
        }
        for (area, (from_us, free)) in open.areas.drain() {
            self.close_area(area, from_us, free, last);
        }
    }

    fn close_seat(&mut self, seat: &'a str, from_us: u64, entry: &Entry<'a>) {
        let span = Span { epoch: entry.at.epoch, from_us, to_us: entry.earliest_us };
        if span.from_us < span.to_us {
            self.seats.entry(seat).or_default().push(span);
        }
    }

    fn close_area(&mut self, area: &'a str, from_us: u64, free: u32, entry: &Entry<'a>) {
        let span = Span { epoch: entry.at.epoch, from_us, to_us: entry.earliest_us };
        if span.from_us < span.to_us {
            self.areas.entry(area).or_default().push((span, free));
        }
    }

    /// A hold that nobody ever confirmed has nothing any more once it ran out.
    fn add_expired(&mut self, event: &Told<'a>) {
        let Some(clock) = event.facts.clock else { return };
        for life in &event.replay.lives {
            let Some(ended) = life.ended else { continue };
            let calls = event.facts.calls_of(&life.hold.hold_id);
            let is_confirmed =
                calls.iter().any(|call| matches!(call.operation, Operation::Confirm { .. }));
            let from_us = clock.passed_us(life.hold.expire_ms);
            let to_us = ended.earliest_us;
            if is_confirmed || ended.at.epoch != life.last.epoch || from_us >= to_us {
                continue;
            }
            let span = Span { epoch: ended.at.epoch, from_us, to_us };
            for seat in &life.hold.items.seat_ids {
                self.seats.entry(seat).or_default().push(span);
            }
        }
    }

    /// Whether at every moment of this time one of the seats was free.
    pub fn has_one_of<'s>(
        &self,
        seats: impl IntoIterator<Item = &'s String>,
        from_us: u64,
        to_us: u64,
    ) -> bool {
        let spans = seats.into_iter().filter_map(|seat| self.seats.get(seat.as_str()));
        is_covered(spans.flatten().copied().collect(), from_us, to_us)
    }

    /// Whether at every moment of this time one of the areas had its units.
    pub fn has_units_of(&self, areas: &[(&String, u32)], from_us: u64, to_us: u64) -> bool {
        let spans = areas.iter().filter_map(|(area, units)| {
            let spans = self.areas.get(area.as_str())?.iter();
            Some(spans.filter(|(_, free)| free >= units).map(|(span, _)| *span))
        });
        is_covered(spans.flatten().collect(), from_us, to_us)
    }

    pub fn spans_of(&self, seat: &str) -> &[Span] {
        self.seats.get(seat).map_or(&[], Vec::as_slice)
    }
}

fn is_covered(mut spans: Vec<Span>, from_us: u64, to_us: u64) -> bool {
    spans.sort_by_key(|span| span.from_us);
    let mut covered_us = from_us;
    for span in spans.iter().filter(|span| span.to_us > from_us) {
        if span.from_us > covered_us {
            return false;
        }
        covered_us = covered_us.max(span.to_us);
        if covered_us > to_us {
            return true;
        }
    }
    false
}
