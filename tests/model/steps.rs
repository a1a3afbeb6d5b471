//! Every step that the world can take next.

use super::{
    protocol::Protocol,
    state::{Event, HoldId, LINKS, Link, Redis, Statement, Task, Tick, Verb, World},
};
use crate::mutants::Mutant;

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    // Customers, and servers in the middle of something: `calls.rs`.
    /// A customer calls, and the call's first script runs.
    Call(Verb, HoldId, Link),
    /// A server goes on.
    Go(Task, Link),
    /// Postgres is out of reach: nothing was written.
    Unreachable(Task),
    /// The connection breaks; the statement may still be run, later.
    AnswerLost(Task),
    /// The server dies.
    Crash(Task),
    /// A statement is run whose sender has gone.
    Orphan(Statement),
    // Jobs and loads: `jobs.rs`.
    ExpireDue(HoldId, Link),
    RepeatOutbox(HoldId, Link),
    ReadLog(Link),
    WriteJournal,
    LookForLoad(Link),
    /// The load's next step, by Redis' clock as it was read.
    Load(Tick),
    LateLoad(Tick),
    LoadCrash,
    LockLost,
    // What happens to Redis: `faults.rs`.
    Tick,
    /// A replica or a file has the state as it is now.
    Save,
    Empty,
    Flush,
    RollBack,
    /// The saved state takes over; the old master goes on beside it.
    FailOver,
    DeposedEnds,
    Restart,
    Relabel,
}

impl World {
    pub fn possible_steps(&self, with: &Protocol, steps: &mut Vec<Step>) {
        self.possible_calls(with, steps);
        self.possible_task_steps(with, steps);
        self.possible_job_steps(with, steps);
        self.possible_load_steps(with, steps);
        self.possible_faults(with, steps);
    }

    pub fn take_step(&mut self, with: &Protocol, step: Step) {
        match step {
            Step::Call(verb, hold, link) => self.call(with, verb, hold, link),
            Step::Go(task, link) => {
                self.done(task);
                self.go(with, task, link);
            }
            Step::Unreachable(task) => {
                self.left.refusals -= 1;
                self.done(task);
                self.not_journaled(with, task);
            }
            Step::AnswerLost(task) => {
                self.left.breaks -= 1;
                self.done(task);
                self.answer_lost(with, task);
            }
            Step::Crash(task) => {
                self.left.crashes -= 1;
                self.done(task);
            }
            Step::Orphan(statement) => self.run_orphan(with, statement),
            job => self.take_job_step(with, job),
        }
    }

    fn done(&mut self, task: Task) {
        let at = self.tasks.iter().position(|other| *other == task);
        self.tasks.remove(at.expect("a step is taken where it is possible"));
    }

    /// The server at a link's end, and the incarnation that the link carries.
    pub fn server(&self, link: Link) -> Option<(&Redis, u8)> {
        match link {
            Link::Main => Some((&self.redis, self.redis.incarnation)),
            Link::MainOld => Some((&self.redis, self.redis.before?)),
            Link::Deposed => self.deposed.as_ref().map(|redis| (redis, redis.incarnation)),
        }
    }

    pub fn server_mut(&mut self, link: Link) -> Option<&mut Redis> {
        match link {
            Link::Main | Link::MainOld => Some(&mut self.redis),
            Link::Deposed => self.deposed.as_mut(),
        }
    }

    /// The event, where a script that comes by this link may act on it. A
    /// caller's epoch is whatever its server last heard: here, the right one.
    pub fn served(&self, with: &Protocol, link: Link) -> Option<&Event> {
        let (redis, incarnation) = self.server(link)?;
        let guarded = with.guards(Mutant::NoIncarnationCheck);
        redis.event.as_ref().filter(|event| !guarded || event.built_in == incarnation)
    }

    pub fn served_mut(&mut self, with: &Protocol, link: Link) -> Option<&mut Event> {
        self.served(with, link)?;
        self.server_mut(link)?.event.as_mut()
    }

    /// The links by which a script can act.
    pub fn serving_links(&self, with: &Protocol) -> impl Iterator<Item = Link> {
        LINKS.into_iter().filter(|link| self.served(with, *link).is_some())
    }

    /// The same for a script of a known epoch; one link where there is none,
    /// for a caller who goes on without.
    pub fn links_of_epoch(&self, with: &Protocol, epoch: u8) -> Vec<Link> {
        let is_here = |link: &Link| self.served(with, *link).is_some_and(|e| e.epoch == epoch);
        let links: Vec<Link> = LINKS.into_iter().filter(is_here).collect();
        if links.is_empty() { vec![Link::Main] } else { links }
    }
}
