//! What readers are told, and the house at rest.

use super::{CAPACITY, EVENT, House};
use crate::history::{Answer, Final, Line, Log, Message, Operation, Status, Stream};

fn token((epoch, seq): (u64, u64)) -> String {
    format!("{epoch}-{seq}-5ea1")
}

impl House {
    fn shown(&self) -> Vec<(String, Status)> {
        self.seats.iter().map(|(seat, (status, _))| (seat.clone(), *status)).collect()
    }

    pub(super) fn call_map(&mut self) {
        let answer = Answer::SeatMap {
            seats: self.shown(),
            areas: self.floor(),
            resume_token: token((self.epoch, self.seq)),
        };
        self.call(Operation::GetSeatMap, answer);
    }

    fn tell(&mut self, reader: u32, message: Message) {
        let at_us = self.now_us;
        let event_id = EVENT.into();
        self.lines.push(Line::Stream(Stream { reader, server: 0, at_us, event_id, message }));
    }

    /// One reader reads on; now and then it is cut, and resumes.
    pub(super) fn read(&mut self) {
        let number = self.below(2) as usize;
        if self.below(8) == 0 {
            let resume_token = self.readers[number].1.map(token).unwrap_or_default();
            self.tell(number as u32, Message::Ended { code: "CUT".into() });
            self.tell(number as u32, Message::Opened { resume_token });
        }
        self.read_on(number);
    }

    fn read_on(&mut self, number: usize) {
        let (reader, at) = (number as u32, self.readers[number].1);
        let here = (self.epoch, self.seq);
        let message = match at {
            Some((epoch, seq)) if epoch == self.epoch => {
                let is_new = |log: &&Log| log.epoch == epoch && log.seq > seq;
                let news: Vec<&Log> = self.log.iter().filter(is_new).collect();
                let seats: Vec<_> = news.iter().flat_map(|log| log.seats.clone()).collect();
                let areas: Vec<_> = news.iter().flat_map(|log| log.areas.clone()).collect();
                match seats.is_empty() && areas.is_empty() {
                    true => Message::Heartbeat { resume_token: token(here) },
                    false => Message::Updates { seats, areas, resume_token: token(here) },
                }
            }
            _ => {
                if at.is_none() {
                    self.tell(reader, Message::Opened { resume_token: String::new() });
                }
                let (seats, areas) = (self.shown(), self.floor());
                Message::Snapshot { seats, areas, last: true, resume_token: token(here) }
            }
        };
        self.readers[number].1 = Some(here);
        self.tell(reader, message);
    }

    /// Waits until nothing is held, and writes what both stores have.
    pub(super) fn rest(mut self) -> Vec<Line> {
        for _ in 0..40 {
            self.now_us += 200_000;
            self.sweep();
        }
        self.now_us += 100_000;
        (0..2).for_each(|number| self.read_on(number));
        let seats = self.shown();
        let ended = self.outcomes.clone().into_iter();
        let sold = self.seats.iter().filter(|(_, (status, _))| *status != Status::Available);
        let rest = Final {
            event_id: EVENT.into(),
            at_us: self.now_us,
            orders: self.orders.clone(),
            outcomes: ended.map(|(id, (how, order))| (id, how, order)).collect(),
            open_holds: vec![],
            areas_sold: vec![("floor".into(), CAPACITY, CAPACITY - self.free)],
            outbox_open: 0,
            redis_seats: sold
                .map(|(id, (status, by))| (id.clone(), *status, Some(by.clone())))
                .collect(),
            redis_areas: self.floor(),
            redis_holds: vec![],
            maps: (0..2).map(|server| (server, seats.clone(), self.floor())).collect(),
            audit: vec![],
        };
        self.lines.push(Line::Final(rest));
        self.lines
    }
}
