//! One reader of a stream: what it was told, against the log, and the house as
//! it has folded it.

use std::collections::BTreeMap;

use crate::{
    checker::{
        facts::Facts,
        order::{Entry, Position},
        verdict::{Promise, Violation},
    },
    history::{Final, Message, Status, Stream},
};

/// How long a change may be on its way to a reader when all is at rest, µs.
const TOLD_WITHIN_US: u64 = 5_000_000;

type House<'a> = (BTreeMap<&'a str, Status>, BTreeMap<&'a str, u32>);

/// How far a reader has been told.
pub struct Reader<'f, 'a> {
    facts: &'f Facts<'a>,
    number: u32,
    /// `None` before the first snapshot, unless it resumed.
    at: Option<Position>,
    token: &'a str,
    /// Everything it was told, where it has had a snapshot.
    house: Option<House<'a>>,
    /// Parts of a message that is not complete.
    seats: Vec<(&'a str, Status)>,
    is_open: bool,
    at_us: u64,
    pub broken: Vec<Violation>,
}

impl<'f, 'a> Reader<'f, 'a> {
    pub fn new(facts: &'f Facts<'a>, number: u32) -> Self {
        Self {
            facts,
            number,
            at: None,
            token: "",
            house: None,
            seats: Vec::new(),
            is_open: false,
            at_us: 0,
            broken: Vec::new(),
        }
    }

    fn breaks(&mut self, what: impl Into<String>) {
        let proof = format!("reader {}, told at {} us", self.number, self.at_us);
        self.broken.push(self.facts.broken(Promise::Stream, what, [proof]));
    }

    pub fn is_told(&mut self, told: &'a Stream) {
        self.at_us = told.at_us;
        match &told.message {
            Message::Opened { resume_token } => self.open(resume_token),
            Message::Ended { .. } => {
                self.is_open = false;
                self.seats.clear();
            }
            Message::Snapshot { seats, areas, last, resume_token } => {
                self.seats.extend(seats.iter().map(|(id, status)| (id.as_str(), *status)));
                if *last {
                    self.snapshot(areas, resume_token);
                }
            }
            Message::Updates { seats, areas, resume_token } => {
                self.seats.extend(seats.iter().map(|(id, status)| (id.as_str(), *status)));
                if !resume_token.is_empty() {
                    self.updates(areas, resume_token);
                }
            }
            Message::Heartbeat { resume_token } if !resume_token.is_empty() => {
                self.updates(&[], resume_token);
            }
            Message::Heartbeat { .. } => {}
        }
    }

    fn open(&mut self, token: &'a str) {
        if token != self.token {
            self.house = None;
        }
        self.at = Position::of_token(token);
        self.token = token;
        self.seats.clear();
        self.is_open = true;
    }

    fn snapshot(&mut self, areas: &'a [(String, u32)], token: &'a str) {
        let Some(at) = Position::of_token(token) else {
            return self.breaks(format!("a snapshot has no position: {token:?}"));
        };
        let goes_back = self.at.is_some_and(|before| at < before);
        if goes_back && self.facts.is_quiet(self.at_us.saturating_sub(5_000_000), self.at_us) {
            self.breaks(format!("a snapshot at {at} goes back"));
        }
        let seats: BTreeMap<_, _> = std::mem::take(&mut self.seats).into_iter().collect();
        let areas: BTreeMap<_, _> = areas.iter().map(|(id, free)| (id.as_str(), *free)).collect();
        let event = self.facts.event;
        if seats.len() != event.seat_ids.len() || areas.len() != event.areas.len() {
            self.breaks(format!("the snapshot at {at} is not of the whole house"));
        }
        self.house = Some((seats, areas));
        (self.at, self.token) = (Some(at), token);
    }

    fn updates(&mut self, areas: &'a [(String, u32)], token: &'a str) {
        let seats = std::mem::take(&mut self.seats);
        let (Some(before), Some(at)) = (self.at, Position::of_token(token)) else {
            return self.breaks(format!("changes come before any snapshot, to {token:?}"));
        };
        let is_silent = seats.is_empty() && areas.is_empty();
        if at.epoch != before.epoch || at < before || (at == before && !is_silent) {
            self.breaks(format!("changes lead from {before} to {at}"));
        } else {
            self.compare(before, at, &seats, areas);
        }
        if let Some((all_seats, all_areas)) = &mut self.house {
            all_seats.extend(seats);
            all_areas.extend(areas.iter().map(|(id, free)| (id.as_str(), *free)));
        }
        (self.at, self.token) = (Some(at), token);
    }

    /// What was told between two positions is what the log has between them, as
    /// far as the log is known.
    fn compare(
        &mut self,
        after: Position,
        to: Position,
        seats: &[(&str, Status)],
        areas: &[(String, u32)],
    ) {
        let log = &self.facts.log;
        let begin = log.partition_point(|entry| entry.at <= after);
        let end = log.partition_point(|entry| entry.at <= to);
        let expected = (after.seq + 1..).zip(&log[begin..end]);
        let known: Vec<&Entry> =
            expected.take_while(|(seq, entry)| entry.at.seq == *seq).map(|(_, e)| e).collect();
        let is_all = known.len() as u64 == to.seq - after.seq;
        let logged_seats = known.iter().flat_map(|entry| &entry.log.seats);
        let logged_seats: Vec<_> = logged_seats.map(|(id, s)| (id.as_str(), *s)).collect();
        let logged_areas: Vec<_> = known.iter().flat_map(|entry| &entry.log.areas).collect();
        let has_seats = seats.starts_with(&logged_seats);
        let has_areas = areas.len() >= logged_areas.len()
            && areas.iter().zip(&logged_areas).all(|(told, logged)| told == *logged);
        let is_more = seats.len() > logged_seats.len() || areas.len() > logged_areas.len();
        if !has_seats || !has_areas || (is_all && is_more) {
            self.breaks(format!(
                "from {after} to {to} it was told {seats:?} {areas:?}, where the log has \
                 {logged_seats:?} {logged_areas:?}"
            ));
        }
    }

    /// Whoever still reads when all is at rest has the house as it is.
    pub fn rest(&mut self, rest: &Final) {
        let (true, Some(at)) = (self.is_open, self.at) else { return };
        let shows = |e: &&Entry| !e.log.seats.is_empty() || !e.log.areas.is_empty() || e.log.reset;
        let last = self.facts.log.iter().rev().find(shows);
        if let Some(last) = last.filter(|last| last.at > at) {
            if last.log.at_us + TOLD_WITHIN_US < rest.at_us.max(self.at_us) {
                self.breaks(format!("at rest it was told up to {at}, and not {}", last.at));
            }
            return;
        }
        let Some((seats, areas)) = self.house.take() else { return };
        for (server, all_seats, all_areas) in &rest.maps {
            let wrong = all_seats.iter().find(|(id, status)| seats.get(&**id) != Some(status));
            if let Some((id, status)) = wrong {
                let told = seats.get(&**id);
                self.breaks(format!(
                    "seat {id} is {status:?} at rest by server {server}, and it was told {told:?}"
                ));
            }
            let wrong = all_areas.iter().find(|(id, free)| areas.get(&**id) != Some(free));
            if let Some((id, free)) = wrong {
                let told = areas.get(&**id);
                self.breaks(format!("area {id} has {free} free at rest, and it was told {told:?}"));
            }
        }
    }
}
