//! What must hold in every state, and what must be seen in some.

use stateright::Property;

use super::{
    protocol::Protocol,
    state::{HoldId, HoldState, Items, Outcome, Seat, Task, World},
};

pub const SOLD_ONCE: &str = "I1: what is sold is sold once";
pub const YES_IS_DURABLE: &str = "I2: who was told yes owns it";
pub const NO_IS_HONEST: &str = "I2': who was told no never owns it";
pub const HOLDS_EXCLUDE: &str = "I3: no two live holds share a seat or a last unit";
pub const NO_SALE_OVER_A_HOLD: &str = "I3': nothing is sold that another's live hold has";
pub const HOLDS_ARE_KEPT: &str = "I3'': a live hold is not ended against its holder";
pub const ONE_OUTCOME: &str = "I4: tickets are there with the outcome 'confirmed', and only so";
pub const SAME_VERDICT: &str = "I6: every answer about a hold's end is the same";
pub const QUANTITY: &str = "I7: at rest, free + held + sold = capacity";
pub const REDIS_FOLLOWS: &str = "I8: at rest, Redis says of every seat what Postgres says";

/// All `always` properties.
pub const ALWAYS: [&str; 10] = [
    SOLD_ONCE,
    YES_IS_DURABLE,
    NO_IS_HONEST,
    HOLDS_EXCLUDE,
    NO_SALE_OVER_A_HOLD,
    HOLDS_ARE_KEPT,
    ONE_OUTCOME,
    SAME_VERDICT,
    QUANTITY,
    REDIS_FOLLOWS,
];

pub const CONFIRMED: &str = "a hold is confirmed";
pub const CONFIRMED_AFTER_A_LOSS: &str = "a hold is confirmed after Redis was lost";
pub const BROUGHT_BACK: &str = "a promise made before a loss of Redis is kept after it";
pub const HELD_AFTER_EXPIRY: &str = "a seat is held again after its hold ran out";
pub const SOLD_AFTER_RELEASE: &str = "a seat that was released is sold to another";
pub const GIVEN_BACK: &str = "a hold that could not be journaled is undone";
pub const NOT_GIVEN_BACK: &str = "a hold is left alone since it was repeated meanwhile";
pub const JOINED: &str = "two confirms of one hold are under way";
pub const REFUSED: &str = "a confirm is refused for good";
pub const EXTENDED: &str = "a hold outlives its first expiry";
pub const REDUCED: &str = "a seat that was given back alone is held by another";
pub const TWO_MASTERS: &str = "a deposed master still makes holds";
pub const TOLD_AGAIN: &str = "the outbox has something to tell";

pub fn all() -> Vec<Property<Protocol>> {
    let mut all = always();
    all.extend(sometimes());
    all
}

fn other(hold: HoldId) -> HoldId {
    1 - hold
}

fn each(holds: impl Fn(HoldId) -> bool) -> bool {
    holds(0) && holds(1)
}

fn any(holds: impl Fn(HoldId) -> bool) -> bool {
    holds(0) || holds(1)
}

fn at<T: Copy>(values: [T; 2], hold: HoldId) -> T {
    values[usize::from(hold)]
}

fn was_told(world: &World, hold: HoldId, outcome: Outcome) -> bool {
    at(world.told, hold) & outcome.bit() != 0
}

fn promised_items(world: &World, hold: HoldId) -> Items {
    match at(world.promised, hold).filter(|_| world.is_live(hold)) {
        None => Items::default(),
        Some(promise) => promise.items,
    }
}

fn collide(protocol: &Protocol, one: Items, two: Items) -> bool {
    one.seats & two.seats != 0 || one.units + two.units > protocol.capacity
}

fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always(SOLD_ONCE, |protocol: &Protocol, world: &World| {
            let [one, two] = world.postgres.tickets;
            !collide(protocol, one, two)
        }),
        Property::always(YES_IS_DURABLE, |_, world: &World| {
            each(|hold| {
                !was_told(world, hold, Outcome::Confirmed)
                    || at(world.postgres.tickets, hold) != Items::default()
            })
        }),
        Property::always(NO_IS_HONEST, |_, world: &World| {
            let no = !Outcome::Confirmed.bit();
            each(|hold| {
                (at(world.told, hold) & no == 0 && !at(world.not_found, hold))
                    || at(world.postgres.tickets, hold) == Items::default()
            })
        }),
        Property::always(HOLDS_EXCLUDE, |protocol, world: &World| {
            !collide(protocol, promised_items(world, 0), promised_items(world, 1))
        }),
        Property::always(NO_SALE_OVER_A_HOLD, |protocol, world: &World| {
            each(|hold| {
                let sold = at(world.postgres.tickets, other(hold));
                !collide(protocol, promised_items(world, hold), sold)
            })
        }),
        Property::always(HOLDS_ARE_KEPT, |_, world: &World| !world.wronged),
        Property::always(ONE_OUTCOME, |_, world: &World| {
            each(|hold| {
                let sold = at(world.postgres.tickets, hold) != Items::default();
                sold == (world.postgres.outcome(hold) == Some(Outcome::Confirmed))
            })
        }),
        Property::always(SAME_VERDICT, |_, world: &World| {
            each(|hold| at(world.told, hold).count_ones() <= 1)
        }),
        Property::always(QUANTITY, |protocol, world: &World| quantity(protocol, world)),
        Property::always(REDIS_FOLLOWS, |_, world: &World| redis_follows(world)),
    ]
}

/// The state in Redis, where calls are served from it, nobody is in the middle
/// of anything, and no Confirm was left to the expiry job.
fn at_rest(world: &World) -> Option<&super::state::Event> {
    let event = world.redis.event.as_ref()?;
    let serves = event.built_in == world.redis.incarnation && event.epoch == world.postgres.epoch;
    let stuck = |record: &super::state::Record| record.state == HoldState::Confirming;
    let ok = serves && world.is_at_rest() && !event.holds.iter().flatten().any(stuck);
    ok.then_some(event)
}

fn quantity(protocol: &Protocol, world: &World) -> bool {
    let Some(event) = at_rest(world) else { return true };
    let held: i8 = event
        .holds
        .iter()
        .flatten()
        .filter(|record| record.state == HoldState::Active)
        .map(|record| record.items.units)
        .sum();
    let taken = held + world.postgres.units_sold();
    event.free_units >= 0 && event.free_units + taken == protocol.capacity
}

fn redis_follows(world: &World) -> bool {
    let Some(event) = at_rest(world) else { return true };
    event.seats.iter().enumerate().all(|(seat, status)| {
        let owner = (0..).zip(world.postgres.tickets).find(|(_, t)| t.seats & (1 << seat) != 0);
        match (owner, status) {
            (Some((owner, _)), Seat::Sold(sold)) => owner == *sold,
            (None, Seat::Free) => true,
            (None, Seat::Held(hold)) => {
                event.holds[usize::from(*hold)].is_some_and(|r| r.items.seats & (1 << seat) != 0)
            }
            _ => false,
        }
    })
}

fn lost(protocol: &Protocol, world: &World) -> bool {
    world.left.losses < protocol.left.losses
}

fn sometimes() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes(CONFIRMED, |_, world: &World| {
            any(|hold| was_told(world, hold, Outcome::Confirmed))
        }),
        Property::sometimes(CONFIRMED_AFTER_A_LOSS, |protocol, world: &World| {
            let serves = world.redis.event.as_ref().is_some_and(|event| event.epoch > 1);
            lost(protocol, world)
                && serves
                && any(|hold| world.tasks.iter().any(|task| is_sale_of(*task, hold, 2)))
        }),
        Property::sometimes(BROUGHT_BACK, |protocol, world: &World| {
            let event = world.redis.event.as_ref().filter(|event| event.epoch > 1);
            let active = |hold: HoldId| event.is_some_and(|e| e.holds[usize::from(hold)].is_some());
            lost(protocol, world) && any(|hold| world.is_live(hold) && active(hold))
        }),
        Property::sometimes(HELD_AFTER_EXPIRY, |_, world: &World| {
            any(|hold| {
                at(world.promised, hold).is_some_and(|promise| promise.expires <= world.now)
                    && world.is_live(other(hold))
            })
        }),
        Property::sometimes(SOLD_AFTER_RELEASE, |_, world: &World| {
            any(|hold| {
                was_told(world, hold, Outcome::Released)
                    && was_told(world, other(hold), Outcome::Confirmed)
            })
        }),
        Property::sometimes(GIVEN_BACK, |_, world: &World| {
            any_give_back(world, |seq, now| seq == now)
        }),
        Property::sometimes(NOT_GIVEN_BACK, |_, world: &World| {
            any_give_back(world, |seq, now| seq < now)
        }),
        Property::sometimes(JOINED, |_, world: &World| {
            any(|hold| world.tasks.iter().filter(|task| is_sale_of(**task, hold, 0)).count() > 1)
        }),
        Property::sometimes(REFUSED, |_, world: &World| {
            any(|hold| {
                was_told(world, hold, Outcome::Expired) || was_told(world, hold, Outcome::Lost)
            })
        }),
        Property::sometimes(EXTENDED, |_, world: &World| {
            world.now == 1 && any(|hold| world.is_live(hold) && at(world.promised, hold).is_some())
        }),
        Property::sometimes(REDUCED, |_, world: &World| {
            any(|hold| {
                let others = promised_items(world, other(hold)).seats;
                world.is_live(hold) && at(world.given_up, hold) & others != 0
            })
        }),
        Property::sometimes(TWO_MASTERS, |_, world: &World| {
            let deposed = world.deposed.as_ref().and_then(|redis| redis.event.as_ref());
            deposed.is_some_and(|event| {
                event.holds.iter().flatten().any(|record| record.state == HoldState::Active)
            })
        }),
        Property::sometimes(TOLD_AGAIN, |_, world: &World| {
            world.tasks.is_empty() && world.postgres.outbox.contains(&true)
        }),
    ]
}

fn is_sale_of(task: Task, of: HoldId, from_epoch: u8) -> bool {
    matches!(task, Task::Sell { hold, epoch, .. } if hold == of && epoch >= from_epoch)
}

fn any_give_back(world: &World, compare: impl Fn(u8, u8) -> bool) -> bool {
    let Some(event) = &world.redis.event else { return false };
    world.tasks.iter().any(|task| match *task {
        Task::GiveBack { hold, at, made_it: true } if at.epoch == event.epoch => event.holds
            [usize::from(hold)]
        .is_some_and(|record| record.state == HoldState::Active && compare(at.seq, record.seq)),
        _ => false,
    })
}
