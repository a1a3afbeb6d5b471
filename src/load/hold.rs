//! `load hold`: nothing but Holds, each of other seats.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::time::sleep;

use super::{
    Run,
    book::{Fate, Taken},
    client::{No, Reservations, fit, told},
    houses::{House, Need},
    report::Played,
};
use crate::{
    config::{HoldLoad, LoadCommon},
    limits::RETRY_DELAY,
    proto::{BestAvailable, Hold},
};

/// Where neither calls nor seconds are given.
const DEFAULT_TIME: Duration = Duration::from_secs(10);

/// What it needs of its houses.
///
/// # Errors
/// Where there are more calls under way than the connections can carry.
pub fn need(load: &HoldLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    fit("--in-flight", load.in_flight, common)?;
    let events = u64::from(load.houses.events.unwrap_or(1));
    // Every call has seats of its own; without an end, seats are used again.
    let holds = load.calls.map(|calls| calls.div_ceil(events).max(u64::from(load.in_flight)));
    Ok(Need { events: 1, seats_per_hold: load.seats, holds })
}

/// The seats of all houses in blocks, each handed out once.
#[derive(Debug)]
pub struct Blocks {
    next: AtomicU64,
    size: u32,
    /// How many each house has.
    houses: Vec<u64>,
}

impl Blocks {
    pub fn new(houses: &[House], size: u32) -> Self {
        let houses = houses.iter().map(|house| house.seats.len() as u64 / u64::from(size));
        Self { next: AtomicU64::new(0), size, houses: houses.collect() }
    }

    pub fn count(&self) -> u64 {
        self.houses.iter().sum()
    }

    /// The next block, of each house in turn: which house, which seats.
    fn next(&self) -> Option<(u32, Range<u32>)> {
        let most = self.houses.iter().copied().max()?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let houses = self.houses.len() as u64;
            let (house, block) = (number % houses, number / houses);
            if block >= most {
                return None;
            }
            let house = u32::try_from(house).ok()?;
            if block < self.houses[house as usize] {
                let first = u32::try_from(block).ok()? * self.size;
                return Some((house, first..first + self.size));
            }
        }
    }
}

/// The seats of all houses by name: which of them the server found.
#[derive(Debug)]
struct Found(Vec<HashMap<String, u32>>);

impl Found {
    fn new(houses: &[House]) -> Self {
        let numbers = |house: &House| house.seats.iter().cloned().zip(0..).collect();
        Self(houses.iter().map(numbers).collect())
    }

    /// The seats of a hold, which stand beside each other. What stands otherwise is none,
    /// and the check says so.
    fn range(&self, house: u32, hold: Option<&Hold>) -> Range<u32> {
        let seats = hold.map_or(&[][..], |hold| &hold.seat_ids[..]);
        let numbers = &self.0[house as usize];
        let first = seats.first().and_then(|seat| numbers.get(seat)).copied().unwrap_or_default();
        let together = seats.iter().zip(first..).all(|(seat, n)| numbers.get(seat) == Some(&n));
        let count = u32::try_from(seats.len()).unwrap_or_default();
        if together { first..first + count } else { 0..0 }
    }
}

/// Plays it.
///
/// # Errors
/// Where there are fewer seats than the calls under way need.
pub async fn play(run: &Arc<Run>, load: &HoldLoad) -> anyhow::Result<Played> {
    let blocks = Arc::new(Blocks::new(&run.houses, load.seats));
    ensure!(
        blocks.count() >= u64::from(load.in_flight),
        "there are free seats for {} holds of {}, fewer than the {} under way at a time",
        blocks.count(),
        load.seats,
        load.in_flight
    );
    // Without any end it would go on for ever.
    let seconds = match load.calls {
        None => load.seconds.or(Some(DEFAULT_TIME)),
        Some(_) => load.seconds,
    };
    run.start(load.calls, seconds, load.rate.map(NonZeroU32::get));
    let begun = Instant::now();
    let ttl_ms = load.ttl_ms.map_or(0, NonZeroU32::get);
    let found = load.best.then(|| Arc::new(Found::new(&run.houses)));
    let workers = (0..load.in_flight).map(|n| {
        let worker = Worker {
            run: run.clone(),
            blocks: blocks.clone(),
            client: run.clients.of(n as usize),
            n,
            ttl_ms,
            seats: load.seats,
            found: found.clone(),
            held: VecDeque::new(),
            ended: Vec::new(),
            releases: 0,
        };
        tokio::spawn(worker.work())
    });
    let mut releases = 0;
    for worker in workers.collect::<Vec<_>>() {
        let mut worker = worker.await?;
        releases += worker.releases;
        run.write_down(worker.held.drain(..).chain(worker.ended.drain(..)));
    }
    let mut played = Played::new("hold", begun.elapsed());
    played.tell("events", run.houses.len());
    played.tell("seats_per_hold", load.seats);
    played.tell("best_available", load.best.then_some(true));
    played.tell("in_flight", load.in_flight);
    played.tell("rate_asked", load.rate.map(NonZeroU32::get));
    played.tell("releases", releases);
    Ok(played)
}

/// One call at a time, again and again.
struct Worker {
    run: Arc<Run>,
    blocks: Arc<Blocks>,
    client: Reservations,
    n: u32,
    ttl_ms: u32,
    /// Of each hold.
    seats: u32,
    /// Where the server finds the seats.
    found: Option<Arc<Found>>,
    /// The oldest first.
    held: VecDeque<Taken>,
    /// Kept for the check alone.
    ended: Vec<Taken>,
    releases: u64,
}

impl Worker {
    async fn work(mut self) -> Self {
        while self.run.turns().claim() {
            let Some((house, seats)) = self.seats().await else { break };
            let Some(turn) = self.run.turns().due().await else { break };
            // What is found is not known before.
            let named = if self.found.is_some() { 0..0 } else { seats };
            let mut taken = Taken::new(house, self.n, named);
            let ttl = (self.ttl_ms > 0).then(|| prost_types::Duration {
                seconds: i64::from(self.ttl_ms / 1_000),
                nanos: i32::try_from(self.ttl_ms % 1_000).unwrap_or(0) * 1_000_000,
            });
            let mut request = taken.hold_request(&self.run.name, &self.run.houses, ttl);
            if self.found.is_some() {
                let quantity = i32::try_from(self.seats).unwrap_or(i32::MAX);
                request.best_available = Some(BestAvailable { quantity, ..Default::default() });
            }
            let answer = self.client.hold(request).await;
            let answer = self.run.meter.note(self.n as usize, turn.begins.elapsed(), answer);
            let failed = matches!(answer, Err(No::Failed(_)));
            if let (Some(found), Ok(answer)) = (&self.found, &answer) {
                taken.seats = found.range(house, answer.hold.as_ref());
            }
            if taken.held(&answer) {
                self.held.push_back(taken);
            }
            if failed {
                // As any client would; a server that is away is not asked in a spin.
                sleep(RETRY_DELAY).await;
            }
        }
        self
    }

    /// Seats that nobody of us holds: new ones, or those of the oldest hold.
    async fn seats(&mut self) -> Option<(u32, Range<u32>)> {
        if let Some(block) = self.blocks.next() {
            return Some(block);
        }
        // Each at most once: a server that is away for long ends this worker.
        for _ in 0..self.held.len() {
            let mut oldest = self.held.pop_front()?;
            let request = oldest.release_request(&self.run.name, &self.run.houses);
            let answer = self.client.release(request).await;
            self.releases += 1;
            oldest.released(&told(answer));
            let block = (oldest.house, oldest.seats.clone());
            match oldest.fate {
                Fate::Released | Fate::Ended => {
                    if self.run.check {
                        self.ended.push(oldest);
                    }
                    return Some(block);
                }
                // Its Hold may still come to be: its seats are not ours to use.
                Fate::Asked => self.ended.push(oldest),
                Fate::Held | Fate::Unsettled | Fate::Confirmed(_) => {
                    self.held.push_back(oldest);
                    self.run.pause(RETRY_DELAY).await;
                }
            }
            if self.run.turns().is_over() {
                return None;
            }
        }
        None
    }
}
