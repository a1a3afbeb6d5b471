//! The jobs, and the load of an event into Redis.

use super::{
    mutants::Mutant,
    protocol::Protocol,
    state::{Batch, Event, HOLDS, HoldId, Link, Load, Outcome, Task, Tick, Verb, World},
    steps::Step,
};

/// The incarnation of a state that nobody may change any more.
const SEALED: u8 = u8::MAX;

impl World {
    pub fn possible_job_steps(&self, with: &Protocol, steps: &mut Vec<Step>) {
        let early = !with.guards(Mutant::AbortBeforeExpiry);
        for link in self.serving_links(with) {
            for hold in (0..).take(HOLDS) {
                let due = self.served(with, link).is_some_and(|e| e.is_due(hold, self.now, early));
                if due && !self.tasks.iter().any(|task| is_expiry_of(*task, hold)) {
                    steps.push(Step::ExpireDue(hold, link));
                }
                if self.postgres.outbox[usize::from(hold)] {
                    steps.push(Step::RepeatOutbox(hold, link));
                }
            }
        }
        if self.job.is_some() {
            steps.push(Step::WriteJournal);
        } else if with.journal_job {
            let unread = |link: &Link| self.unread(*link).is_some();
            let links = [Link::Main, Link::Deposed].into_iter().filter(unread);
            steps.extend(links.map(Step::ReadLog));
        }
    }

    pub fn possible_load_steps(&self, with: &Protocol, steps: &mut Vec<Step>) {
        let clocks = self.now.saturating_sub(with.clock_behind)..=self.now;
        let clocks = |load: &Load| match load {
            Load::Begin { .. } => clocks.clone(),
            _ => self.now..=self.now,
        };
        match &self.load {
            None if self.postgres.epoch < with.last_epoch => {
                let behind = |link: &Link| self.is_behind(with, *link);
                let links = [Link::Main, Link::Deposed].into_iter().filter(behind);
                steps.extend(links.map(Step::LookForLoad));
            }
            None => {}
            Some(load) => {
                steps.extend(clocks(load).map(Step::Load));
                if self.left.crashes > 0 {
                    steps.push(Step::LoadCrash);
                }
                if self.left.lost_locks > 0 && self.late_load.is_none() {
                    steps.push(Step::LockLost);
                }
            }
        }
        if let Some(load) = &self.late_load {
            steps.extend(clocks(load).map(Step::LateLoad));
        }
    }

    pub fn take_job_step(&mut self, with: &Protocol, step: Step) {
        match step {
            Step::ExpireDue(hold, link) => {
                let event = self.served(with, link).expect("a step is taken where it is possible");
                self.tasks.push(expiry(event, hold));
            }
            Step::RepeatOutbox(hold, link) => {
                let at = usize::from(hold);
                let tickets = self.postgres.tickets[at];
                if let Some(event) = self.served_mut(with, link) {
                    event.finish(hold, Outcome::Confirmed, tickets);
                }
                self.postgres.outbox[at] = false;
            }
            Step::ReadLog(link) => self.job = self.unread(link),
            Step::WriteJournal => {
                let batch = self.job.take().expect("a step is taken where it is possible");
                self.postgres.write_journal(with, &batch);
            }
            Step::LookForLoad(link) => self.load = self.look_for_load(with, link),
            Step::Load(clock) => {
                let load = self.load.take().expect("a step is taken where it is possible");
                self.load = self.load_step(with, load, clock);
            }
            Step::LateLoad(clock) => {
                let load = self.late_load.take().expect("a step is taken where it is possible");
                self.late_load = self.load_step(with, load, clock);
            }
            Step::LoadCrash => {
                self.left.crashes -= 1;
                self.load = None;
            }
            Step::LockLost => {
                self.left.lost_locks -= 1;
                self.late_load = self.load.take();
            }
            fault => self.suffer(with, &fault),
        }
    }

    /// What the log has after the journal's cursor. Whoever reads it compares
    /// no incarnation: what it writes is fenced by the epoch.
    fn unread(&self, link: Link) -> Option<Batch> {
        let from = self.postgres.cursor;
        let event = self.server(link)?.0.event.as_ref()?;
        let entries: Vec<_> = event.log.iter().copied().filter(|entry| entry.at > from).collect();
        (!entries.is_empty()).then_some(Batch { from, entries })
    }

    /// Whether the journal may still have it.
    fn is_of_this_epoch(&self, batch: &Batch) -> bool {
        batch.entries.last().is_some_and(|entry| entry.at.epoch == self.postgres.epoch)
    }

    /// Whether Redis lacks the event, or has it in another epoch than Postgres.
    fn is_behind(&self, with: &Protocol, link: Link) -> bool {
        let epoch = self.served(with, link).map(|event| event.epoch);
        self.server(link).is_some() && epoch != Some(self.postgres.epoch)
    }

    // ---- The load: flow/load_event.rs

    /// The lock is taken, the incarnation read, and the old state sealed, so
    /// that what is then read of its log is all that there will be.
    fn look_for_load(&mut self, with: &Protocol, link: Link) -> Option<Load> {
        let seal = with.guards(Mutant::SalvageUnsealed);
        let redis = self.server_mut(link)?;
        let incarnation = redis.incarnation;
        if let Some(event) = redis.event.as_mut().filter(|_| seal) {
            event.built_in = SEALED;
        }
        Some(match self.unread(link) {
            Some(batch) => Load::Salvage { link, incarnation, batch },
            None => Load::Begin { link, incarnation },
        })
    }

    fn load_step(&mut self, with: &Protocol, load: Load, clock: Tick) -> Option<Load> {
        match load {
            Load::Salvage { link, incarnation, batch } => {
                self.postgres.write_journal(with, &batch);
                // The job may have been faster, with a part of it.
                let left = self.unread(link).filter(|left| self.is_of_this_epoch(left));
                Some(match left {
                    Some(batch) => Load::Salvage { link, incarnation, batch },
                    None => Load::Begin { link, incarnation },
                })
            }
            Load::Begin { link, incarnation } => {
                if self.postgres.epoch >= with.last_epoch {
                    return None;
                }
                let event = self.postgres.begin_epoch(with, incarnation, clock);
                Some(Load::Build { link, incarnation, event, sent: false })
            }
            Load::Build { link, incarnation, event, sent } => {
                let guarded = with.guards(Mutant::NoIncarnationCheck);
                let redis = self.server_mut(link)?;
                let is_same = redis.incarnation == incarnation || !guarded;
                if is_same && redis.event.as_ref().is_none_or(|old| old.epoch < event.epoch) {
                    redis.event = Some(event.clone());
                }
                let is_sent_again = !sent && !with.guards(Mutant::LoadSentAgain);
                is_sent_again.then_some(Load::Build { link, incarnation, event, sent: true })
            }
        }
    }
}

fn is_expiry_of(task: Task, of: HoldId) -> bool {
    match task {
        Task::Settle { hold, verb, .. } | Task::Finish { hold, verb, .. } => {
            hold == of && verb == Verb::Expire
        }
        _ => false,
    }
}

fn expiry(event: &Event, hold: HoldId) -> Task {
    let (epoch, outcome) = (event.epoch, Outcome::Expired);
    Task::Settle { hold, epoch, outcome, verb: Verb::Expire, overtaken: false }
}
