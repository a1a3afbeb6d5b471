//! Hold, ExtendHold, Release and Confirm, as `src/flow` has their steps.

use super::{
    mutants::Mutant,
    postgres::Verdict,
    protocol::Protocol,
    redis::{Answer, Held},
    state::{
        HOLDS, HoldId, Items, Link, Outcome, Position, Promise, Record, Row, Statement, Task, Verb,
        World,
    },
    steps::Step,
};

/// The seat that a partial Release gives back.
const SECOND_SEAT: u8 = 0b10;

impl World {
    pub fn possible_calls(&self, with: &Protocol, steps: &mut Vec<Step>) {
        for link in self.serving_links(with) {
            for hold in (0..).take(HOLDS) {
                let at = usize::from(hold);
                let asked = |hold: usize| self.left.holds[hold] < with.left.holds[hold];
                // Customers are alike: the first one comes first.
                if self.left.holds[at] > 0 && (at == 0 || asked(0)) {
                    steps.push(Step::Call(Verb::Hold, hold, link));
                }
                let others = [
                    (Verb::Confirm, self.left.confirms[at]),
                    (Verb::Release, self.left.releases[at]),
                    (Verb::Extend, self.left.extends[at]),
                    (Verb::Reduce, self.left.reduces[at]),
                ];
                for (verb, left) in others {
                    if left > 0 && asked(at) {
                        steps.push(Step::Call(verb, hold, link));
                    }
                }
            }
        }
    }

    pub fn possible_task_steps(&self, with: &Protocol, steps: &mut Vec<Step>) {
        for &task in &self.tasks {
            match task {
                Task::Take { .. } | Task::Fence { .. } => {
                    steps.extend(self.serving_links(with).map(|link| Step::Go(task, link)));
                }
                Task::GiveBack { at: Position { epoch, .. }, .. } | Task::Finish { epoch, .. } => {
                    let links = self.links_of_epoch(with, epoch).into_iter();
                    steps.extend(links.map(|link| Step::Go(task, link)));
                }
                Task::Journal { .. }
                | Task::Sell { .. }
                | Task::Look { .. }
                | Task::Settle { .. } => steps.push(Step::Go(task, Link::Main)),
            }
            let is_journal = matches!(task, Task::Journal { .. });
            if is_journal && self.left.refusals > 0 {
                steps.push(Step::Unreachable(task));
            }
            if (is_journal || matches!(task, Task::Sell { .. })) && self.left.breaks > 0 {
                steps.push(Step::AnswerLost(task));
            }
            if self.left.crashes > 0 {
                steps.push(Step::Crash(task));
            }
        }
        steps.extend(self.orphans.iter().map(|statement| Step::Orphan(*statement)));
    }

    /// A call, up to the first moment at which something else can come between.
    pub fn call(&mut self, with: &Protocol, verb: Verb, hold: HoldId, link: Link) {
        let at = usize::from(hold);
        match verb {
            Verb::Hold => {
                self.left.holds[at] -= 1;
                self.hold(with, hold, link);
            }
            Verb::Extend => {
                self.left.extends[at] -= 1;
                let now = self.now;
                let extended = self.served_mut(with, link).and_then(|e| e.extend(hold, now));
                self.changed(with, verb, hold, link, extended, false);
            }
            Verb::Reduce => {
                self.left.reduces[at] -= 1;
                let now = self.now;
                let reduced =
                    self.served_mut(with, link).and_then(|e| e.reduce(hold, SECOND_SEAT, now));
                if reduced.is_some() {
                    self.given_up[at] |= SECOND_SEAT;
                    if let Some(promise) = &mut self.promised[at] {
                        promise.items.seats &= !SECOND_SEAT;
                    }
                }
                self.changed(with, verb, hold, link, reduced, false);
            }
            Verb::Release => {
                self.left.releases[at] -= 1;
                self.release(with, hold, link);
            }
            Verb::Confirm => {
                self.left.confirms[at] -= 1;
                self.confirm(with, hold, link);
            }
            Verb::Expire => unreachable!("nobody calls for it"),
        }
    }

    /// A task's next step; the task itself has been taken off the list.
    pub fn go(&mut self, with: &Protocol, task: Task, link: Link) {
        match task {
            Task::Take { hold } => {
                let (items, now) = (with.wants[usize::from(hold)], self.now);
                let Some(event) = self.served_mut(with, link) else { return };
                let held = event.make(hold, items, now, &[]);
                self.held(with, hold, link, &held);
            }
            Task::Journal { hold, row, verb, .. } => {
                if self.postgres.journal(with, hold, row) {
                    self.promise(hold, row, verb);
                } else {
                    self.not_journaled(with, task);
                }
            }
            Task::GiveBack { hold, at, .. } => {
                let seq = with.guards(Mutant::GiveBackUnconditionally).then_some(at.seq);
                let now = with.guards(Mutant::GiveBackAfterExpiry).then_some(self.now);
                if let Some(event) = self.served_mut(with, link).filter(|e| e.epoch == at.epoch) {
                    event.give_back(hold, seq, now);
                }
            }
            Task::Fence { hold } => self.confirm(with, hold, link),
            Task::Sell { hold, epoch, items } => self.sell(with, hold, epoch, items),
            look @ Task::Look { .. } => self.look(with, look),
            settle @ Task::Settle { .. } => self.settle(with, settle),
            Task::Finish { hold, epoch, outcome, verb } => {
                let tickets = self.postgres.tickets[usize::from(hold)];
                if let Some(event) = self.served_mut(with, link).filter(|e| e.epoch == epoch) {
                    event.finish(hold, outcome, tickets);
                    self.postgres.outbox[usize::from(hold)] &= outcome != Outcome::Confirmed;
                }
                self.answer(hold, outcome, verb);
            }
        }
    }

    // ---- Hold, ExtendHold, partial Release: flow/hold.rs, extend_hold.rs

    fn hold(&mut self, with: &Protocol, hold: HoldId, link: Link) {
        let (items, now) = (with.wants[usize::from(hold)], self.now);
        let Some(event) = self.served_mut(with, link) else { return };
        let is_known = event.holds[usize::from(hold)].is_some();
        if !with.guards(Mutant::CheckThenSetHold) && !is_known {
            if event.available(items, now).is_some() {
                self.tasks.push(Task::Take { hold });
            }
            return;
        }
        let held = event.hold(hold, items, now, with.is_journaled());
        self.held(with, hold, link, &held);
    }

    fn held(&mut self, with: &Protocol, hold: HoldId, link: Link, held: &Held) {
        let Held::Held { record, made_it } = *held else { return };
        if made_it {
            self.made_anew(hold);
        }
        self.changed(with, Verb::Hold, hold, link, Some(record), made_it);
    }

    /// What was seen of the hold before counts as before.
    fn made_anew(&mut self, made: HoldId) {
        self.not_found[usize::from(made)] = false;
        for task in &mut self.tasks {
            if let Task::Look { hold, overtaken, .. } | Task::Settle { hold, overtaken, .. } = task
            {
                *overtaken |= *hold == made;
            }
        }
    }

    /// Redis has the hold so: FAST answers, JOURNALED writes it down first.
    fn changed(
        &mut self,
        with: &Protocol,
        verb: Verb,
        hold: HoldId,
        link: Link,
        record: Option<Record>,
        made_it: bool,
    ) {
        let (Some(record), Some(event)) = (record, self.served(with, link)) else { return };
        let at = Position { epoch: event.epoch, seq: record.seq };
        let row = Row { at, expires: record.expires, items: record.items };
        if with.is_journaled() {
            self.tasks.push(Task::Journal { hold, row, verb, made_it });
        } else if self.deposed.is_none() && at.epoch == self.postgres.epoch {
            // FAST promises nothing while Redis is two, nor in an epoch that
            // has ended already.
            self.promise(hold, row, verb);
        }
    }

    fn promise(&mut self, hold: HoldId, row: Row, verb: Verb) {
        let at = usize::from(hold);
        let Items { seats, units } = row.items;
        let items = Items { seats: seats & !self.given_up[at], units };
        let new = Promise { expires: row.expires, items };
        match (&mut self.promised[at], verb) {
            // Only a Hold promises seats.
            (known @ None, Verb::Hold) => *known = Some(new),
            (None, _) => {}
            (Some(known), _) => known.expires = known.expires.max(row.expires),
        }
    }

    /// Nothing was written: the hold is undone, by the attempt that made it,
    /// if nobody has had it repeated or changed since.
    pub fn not_journaled(&mut self, with: &Protocol, task: Task) {
        let Task::Journal { hold, row, verb: Verb::Hold, made_it } = task else { return };
        if made_it || !with.guards(Mutant::GiveBackByARepeat) {
            self.tasks.push(Task::GiveBack { hold, at: row.at, made_it });
        }
    }

    // ---- Release: flow/release.rs

    fn release(&mut self, with: &Protocol, hold: HoldId, link: Link) {
        let Some(event) = self.served(with, link) else { return };
        let (verb, epoch) = (Verb::Release, event.epoch);
        match event.release(hold, self.now) {
            Answer::Granted(_) => {
                let outcome = Outcome::Released;
                self.tasks.push(Task::Settle { hold, epoch, outcome, verb, overtaken: false });
            }
            Answer::Missing => self.tasks.push(Task::Look { hold, epoch, verb, overtaken: false }),
            Answer::Ended(Outcome::Released) => self.answer(hold, Outcome::Released, verb),
            // It is being confirmed, or has ended otherwise: nothing is told
            // that Confirm would not tell better.
            Answer::Ended(_) | Answer::Confirming | Answer::Torn => {}
        }
    }

    // ---- Confirm: flow/confirm.rs

    fn confirm(&mut self, with: &Protocol, hold: HoldId, link: Link) {
        let now = self.now;
        let fence = with.guards(Mutant::NoFence);
        let Some(event) = self.served_mut(with, link) else { return };
        let (verb, epoch) = (Verb::Confirm, event.epoch);
        let task = match event.confirm(hold, now, fence) {
            Answer::Granted(items) => Task::Sell { hold, epoch, items },
            Answer::Missing => Task::Look { hold, epoch, verb, overtaken: false },
            Answer::Torn | Answer::Confirming => settle(hold, epoch, Outcome::Lost),
            Answer::Ended(Outcome::Confirmed | Outcome::Released) => {
                match self.postgres.outcome(hold) {
                    Some(outcome) => return self.answer(hold, outcome, verb),
                    None => Task::Fence { hold },
                }
            }
            Answer::Ended(outcome) => settle(hold, epoch, outcome),
        };
        self.tasks.push(task);
    }

    fn sell(&mut self, with: &Protocol, hold: HoldId, epoch: u8, items: Items) {
        let verb = Verb::Confirm;
        let task = match self.postgres.sell(with, hold, epoch, items) {
            Verdict::Sold => Task::Finish { hold, epoch, outcome: Outcome::Confirmed, verb },
            Verdict::Decided(outcome) => Task::Finish { hold, epoch, outcome, verb },
            Verdict::Fenced => Task::Fence { hold },
            Verdict::Forbidden => settle(hold, epoch, Outcome::Lost),
        };
        self.tasks.push(task);
    }

    /// The connection broke. A sale is made once more, as the same sale: it
    /// waits for the first one, if that is still under way.
    pub fn answer_lost(&mut self, with: &Protocol, task: Task) {
        match task {
            Task::Sell { hold, epoch, items } => {
                self.orphans.push(Statement::Sell { hold, epoch, items });
                if !with.guards(Mutant::FreeOnAbsent) && self.postgres.outcome(hold).is_none() {
                    if let Some(event) = self.served_mut(with, Link::Main) {
                        event.finish(hold, Outcome::Lost, Items::default());
                    }
                    self.answer(hold, Outcome::Lost, Verb::Confirm);
                } else if !with.guards(Mutant::UnfenceAfterUnknown) {
                    if let Some(event) = self.served_mut(with, Link::Main) {
                        event.unfence(hold);
                    }
                } else {
                    self.tasks.push(task);
                }
            }
            // Not known: the hold stays, and so the caller is told.
            Task::Journal { hold, row, .. } => self.orphans.push(Statement::Journal { hold, row }),
            _ => unreachable!("no statement is under way"),
        }
    }

    pub fn run_orphan(&mut self, with: &Protocol, statement: Statement) {
        let at = self.orphans.iter().position(|other| *other == statement);
        self.orphans.remove(at.expect("a step is taken where it is possible"));
        match statement {
            Statement::Sell { hold, epoch, items } => {
                self.postgres.sell(with, hold, epoch, items);
            }
            Statement::Journal { hold, row } => {
                self.postgres.journal(with, hold, row);
            }
        }
    }

    // ---- How holds end: flow/ended.rs

    /// Redis does not have the hold in this epoch: Postgres tells, if the
    /// epoch is still the last.
    fn look(&mut self, with: &Protocol, look: Task) {
        let Task::Look { hold, epoch, verb, overtaken } = look else { return };
        if with.guards(Mutant::NoEpochCheck) && self.postgres.epoch != epoch {
            return self.again(hold, verb);
        }
        let at = usize::from(hold);
        let known = self.postgres.outcome(hold);
        let is_sold = known == Some(Outcome::Confirmed);
        match (self.postgres.journal[at], known) {
            (None, Some(outcome)) if is_sold && with.guards(Mutant::LookInTheJournalAlone) => {
                self.answer(hold, outcome, verb);
            }
            (None, _) => self.not_found[at] |= !overtaken,
            (Some(_), Some(outcome)) => self.answer(hold, outcome, verb),
            (Some(row), None) => {
                let has_run_out = row.expires <= self.now;
                let outcome = if has_run_out { Outcome::Expired } else { Outcome::Lost };
                self.tasks.push(Task::Settle { hold, epoch, outcome, verb, overtaken });
            }
        }
    }

    fn settle(&mut self, with: &Protocol, settle: Task) {
        let Task::Settle { hold, epoch, outcome, verb, overtaken } = settle else { return };
        let was_live = self.is_live(hold);
        let is_no = verb == Verb::Confirm && self.postgres.outcome(hold).is_none();
        if is_no && !with.guards(Mutant::AnswerNoWithoutOutcomeRow) {
            return self.answer(hold, outcome, verb);
        }
        let Some(settled) = self.postgres.settle(with, hold, epoch, outcome) else {
            return self.again(hold, verb);
        };
        // A Confirm that finds no hold ends what a Hold makes at the same time.
        let counts = verb == Verb::Expire || !overtaken;
        let is_no = matches!(settled, Outcome::Expired | Outcome::Lost);
        self.wronged |= counts && is_no && was_live && !self.is_live(hold);
        self.tasks.push(Task::Finish { hold, epoch, outcome: settled, verb });
    }

    /// The event is in another epoch. Confirm fences anew; a Release that is
    /// made again is one more call.
    fn again(&mut self, hold: HoldId, verb: Verb) {
        if verb == Verb::Confirm {
            self.tasks.push(Task::Fence { hold });
        }
    }

    fn answer(&mut self, hold: HoldId, outcome: Outcome, verb: Verb) {
        if matches!(verb, Verb::Confirm | Verb::Release) {
            self.told[usize::from(hold)] |= outcome.bit();
        }
    }
}

/// Confirm: the no is written down before it is told.
fn settle(hold: HoldId, epoch: u8, outcome: Outcome) -> Task {
    Task::Settle { hold, epoch, outcome, verb: Verb::Confirm, overtaken: false }
}
