//! `load confirm`: holds first, then nothing but their Confirms.

use std::{sync::Arc, time::Instant};

use anyhow::{bail, ensure};
use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;

use super::{
    Run,
    book::Taken,
    client::{No, Reservations, fit, told},
    houses::Need,
    report::Played,
};
use crate::{
    config::{ConfirmLoad, LoadCommon},
    limits::{LOAD_ASIDE_IN_FLIGHT, RETRY_DELAY},
};

/// Own events where one of them is hot.
const EVENTS_BESIDE_A_HOT_ONE: u32 = 50;

/// What it needs of its houses.
///
/// # Errors
/// Where the cold part has no event to go to, or there are more calls under way than
/// the connections can carry.
pub fn need(load: &ConfirmLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    fit("--in-flight", load.in_flight, common)?;
    let events = if load.hot.is_some() { EVENTS_BESIDE_A_HOT_ONE } else { 1 };
    let spread = Spread { hot: load.hot, houses: load.houses.events.unwrap_or(events) };
    let is_cold_somewhere = load.hot.is_none_or(|hot| hot == 100) || spread.houses > 1;
    ensure!(is_cold_somewhere, "--hot below 100 needs at least two --events");
    Ok(Need { events, seats_per_hold: load.seats, holds: Some(spread.most(load.calls)) })
}

/// Which house each call is on.
#[derive(Debug, Clone, Copy)]
struct Spread {
    hot: Option<u8>,
    houses: u32,
}

impl Spread {
    /// The house of a call, and how many calls were on that house before it.
    fn place(self, call: u64) -> (u32, u64) {
        let houses = u64::from(self.houses);
        let Some(hot) = self.hot else { return (nth(call % houses), call / houses) };
        let hot_before = |call: u64| call * u64::from(hot) / 100;
        if hot_before(call + 1) > hot_before(call) {
            return (0, hot_before(call));
        }
        let (cold, others) = (call - hot_before(call), houses - 1);
        (nth(1 + cold % others), cold / others)
    }

    /// Calls on the house that has most of them.
    fn most(self, calls: u64) -> u64 {
        let houses = u64::from(self.houses);
        let Some(hot) = self.hot else { return calls.div_ceil(houses) };
        let on_hot = (calls * u64::from(hot)).div_ceil(100);
        on_hot.max((calls + 1 - on_hot.min(calls)).div_ceil((houses - 1).max(1)))
    }
}

fn nth(house: u64) -> u32 {
    u32::try_from(house).unwrap_or(0)
}

/// Holds, then sells.
///
/// # Errors
/// Where what is to be sold cannot be held.
pub async fn play(run: &Arc<Run>, load: &ConfirmLoad) -> anyhow::Result<Played> {
    let houses = u32::try_from(run.houses.len())?;
    let spread = Spread { hot: load.hot, houses };
    let room = run.houses.iter().map(|house| house.seats.len() as u64).min().unwrap_or(0);
    let holds = spread.most(load.calls);
    ensure!(
        holds * u64::from(load.seats) <= room,
        "an event has {room} free seats: too few for {holds} holds of {}",
        load.seats
    );
    let held = Arc::new(hold_all(run, load, spread).await?);
    run.start(Some(load.calls), load.seconds, None);
    let begun = Instant::now();
    let workers = (0..load.in_flight).map(|n| {
        let (run, held) = (run.clone(), held.clone());
        tokio::spawn(async move { work(&run, n as usize, &held).await })
    });
    for worker in workers.collect::<Vec<_>>() {
        run.write_down(worker.await?);
    }
    let mut played = Played::new("confirm", begun.elapsed());
    let reached = usize::try_from(run.turns().handed_out())?;
    run.write_down(held[reached..].iter().cloned());
    played.tell("events", houses);
    played.tell("seats_per_hold", load.seats);
    played.tell("in_flight", load.in_flight);
    played.tell("hot_percent", load.hot);
    Ok(played)
}

/// The holds, in the order in which they are sold.
async fn hold_all(
    run: &Arc<Run>,
    load: &ConfirmLoad,
    spread: Spread,
) -> anyhow::Result<Vec<Taken>> {
    let holds = stream::iter(0..load.calls).map(async |call| {
        let (house, before) = spread.place(call);
        let first = u32::try_from(before).expect("a house has fewer seats") * load.seats;
        let holder = u32::try_from(call % u64::from(load.in_flight)).expect("a u32 bounds it");
        let mut taken = Taken::new(house, holder, first..first + load.seats);
        let request = taken.hold_request(&run.name, &run.houses, None);
        let answer = told(run.clients.of(holder as usize).hold(request).await);
        let is_there = taken.held(&answer);
        (is_there.then_some(taken), answer.err())
    });
    let holds: Vec<(Option<Taken>, Option<No>)> =
        holds.buffered(LOAD_ASIDE_IN_FLIGHT).collect().await;
    let failed = holds.iter().find_map(|(_, no)| no.clone());
    let held = holds.into_iter().filter_map(|(taken, _)| taken).collect();
    match failed {
        None => Ok(held),
        Some(no) => {
            run.write_down(held);
            bail!("cannot hold what is to be sold: {no}")
        }
    }
}

async fn work(run: &Run, worker: usize, held: &[Taken]) -> Vec<Taken> {
    let mut client: Reservations = run.clients.of(worker);
    let mut sold = Vec::new();
    while let Some(turn) = run.turns().next().await {
        let Some(taken) = usize::try_from(turn.number).ok().and_then(|n| held.get(n)) else {
            break;
        };
        let mut taken = taken.clone();
        let answer = client.confirm(taken.confirm_request(&run.name, &run.houses)).await;
        let answer = run.meter.note(worker, turn.begins.elapsed(), answer);
        let failed = matches!(answer, Err(No::Failed(_)));
        taken.confirmed(&answer);
        sold.push(taken);
        if failed {
            // As any client would; a server that is away is not asked in a spin.
            sleep(RETRY_DELAY).await;
        }
    }
    sold
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_call_has_seats_of_its_own_and_the_hot_event_its_part() {
        for (hot, houses) in [
            (None, 1),
            (None, 7),
            (Some(0), 2),
            (Some(1), 3),
            (Some(20), 50),
            (Some(99), 2),
            (Some(100), 1),
        ] {
            for calls in [1, 2, 99, 100, 101, 1_234] {
                let spread = Spread { hot, houses };
                let mut on: BTreeMap<u32, u64> = BTreeMap::new();
                for (house, before) in (0..calls).map(|call| spread.place(call)) {
                    let count = on.entry(house).or_default();
                    assert_eq!(before, *count, "{spread:?}: a seat twice, or never");
                    *count += 1;
                }
                let most = on.values().max().unwrap();
                assert!(on.keys().all(|&house| house < houses), "{spread:?}");
                assert!(spread.most(calls) >= *most, "{spread:?}, {calls}: {on:?}");
                if let Some(hot) = hot {
                    let on_hot = on.get(&0).copied().unwrap_or_default();
                    assert_eq!(on_hot, calls * u64::from(hot) / 100, "{spread:?}");
                }
            }
        }
    }
}
