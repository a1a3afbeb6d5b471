//! What happens to Redis, and to time.

use super::{
    protocol::Protocol,
    state::{Durability, Event, HOLDS, Redis, World},
    steps::Step,
};

impl World {
    pub fn possible_faults(&self, with: &Protocol, steps: &mut Vec<Step>) {
        if self.now < with.last_tick {
            steps.push(Step::Tick);
        }
        if self.left.losses > 0 {
            steps.push(Step::Empty);
            match &self.saved {
                None => steps.push(Step::Save),
                Some(_) => {
                    steps.push(Step::RollBack);
                    if self.deposed.is_none() {
                        steps.push(Step::FailOver);
                    }
                }
            }
        }
        if self.left.flushes > 0 {
            steps.push(Step::Flush);
        }
        if self.deposed.is_some() {
            steps.push(Step::DeposedEnds);
        }
        if self.left.restarts > 0 {
            steps.push(Step::Restart);
        }
        if self.left.relabels > 0 {
            steps.push(Step::Relabel);
        }
    }

    pub fn suffer(&mut self, with: &Protocol, fault: &Step) {
        match fault {
            Step::Tick => self.now += 1,
            Step::Save => self.saved.clone_from(&self.redis.event),
            Step::Empty => {
                self.another_redis(None);
                self.lost(with);
            }
            Step::Flush => {
                self.left.flushes -= 1;
                self.redis.event = None;
                self.forget_promises(with);
            }
            Step::RollBack => {
                let saved = self.saved.take();
                self.another_redis(saved);
                self.lost(with);
            }
            Step::FailOver => {
                let saved = self.saved.take();
                self.deposed = Some(self.another_redis(saved));
                self.lost(with);
            }
            Step::DeposedEnds => self.deposed = None,
            Step::Restart => {
                self.left.restarts -= 1;
                let all = self.redis.event.clone();
                self.another_redis(all);
            }
            Step::Relabel => {
                self.left.relabels -= 1;
                self.last_incarnation += 1;
                self.redis.before = Some(self.redis.incarnation);
                self.redis.incarnation = self.last_incarnation;
            }
            other => unreachable!("{other:?} is no fault"),
        }
    }

    /// Puts another incarnation in the place of the one that there was.
    fn another_redis(&mut self, event: Option<Event>) -> Redis {
        self.last_incarnation += 1;
        let new = Redis { incarnation: self.last_incarnation, before: None, event };
        std::mem::replace(&mut self.redis, new)
    }

    fn lost(&mut self, with: &Protocol) {
        self.left.losses -= 1;
        self.forget_promises(with);
        if self.left.losses == 0 {
            self.saved = None;
        }
    }
    /// A FAST hold is promised only while Redis keeps its state.
    fn forget_promises(&mut self, with: &Protocol) {
        if with.durability == Durability::Fast {
            self.promised = [None; HOLDS];
        }
    }
}
