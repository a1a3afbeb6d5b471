//! What is checked: a scenario, with all guards or without some, as a model
//! whose every state is visited.

use stateright::{Model, Property};

use super::{
    mutants::Mutant,
    properties,
    state::{Durability, Event, HOLDS, Items, Left, Postgres, Redis, Tick, World},
    steps::Step,
};

#[derive(Clone, Debug)]
pub struct Protocol {
    pub name: &'static str,
    pub durability: Durability,
    /// What each customer wants.
    pub wants: [Items; HOLDS],
    /// Units that the area has.
    pub capacity: i8,
    /// Where time stops.
    pub last_tick: Tick,
    /// Where loads stop.
    pub last_epoch: u8,
    /// Whether the job that follows the log is at work.
    pub journal_job: bool,
    /// How many ticks before an epoch begins Redis' clock may have been read.
    pub clock_behind: Tick,
    pub left: Left,
    pub without: Vec<Mutant>,
    /// What must be seen, or nothing was checked.
    pub sees: &'static [&'static str],
}

impl Protocol {
    /// Whether the guard is on whose absence the mutant is.
    pub fn guards(&self, mutant: Mutant) -> bool {
        !self.without.contains(&mutant)
    }

    pub fn without(mut self, mutants: &[Mutant]) -> Self {
        self.without.extend_from_slice(mutants);
        self
    }

    pub fn is_journaled(&self) -> bool {
        self.durability == Durability::Journaled
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            now: 0,
            redis: Redis {
                incarnation: 0,
                before: None,
                event: Some(Event::empty(0, 1, self.capacity)),
            },
            deposed: None,
            saved: None,
            last_incarnation: 0,
            postgres: Postgres::new(),
            tasks: Vec::new(),
            orphans: Vec::new(),
            load: None,
            late_load: None,
            job: None,
            left: self.left,
            promised: [None; HOLDS],
            given_up: [0; HOLDS],
            told: [0; HOLDS],
            not_found: [false; HOLDS],
            wronged: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        world.possible_steps(self, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take_step(self, step);
        next.normalize();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
