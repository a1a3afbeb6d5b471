//! `load sale`: an on-sale as it is. Of 33 people 20 watch, 10 hold seats and give
//! them back, and 3 hold seats and buy them. Half of them come as soon as it opens,
//! the others in waves; everybody wants the best seats, and who is refused looks
//! again, and tries others. Or nobody only watches, and they come until all is sold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use super::{
    Run,
    book::Taken,
    client::{No, Reservations, fit},
    houses::Need,
    meter::Meter,
    report::Played,
    stream::{Reader, Stage, Told, sum},
};
use crate::{
    config::{LoadCommon, SaleLoad},
    limits::{LOAD_SALE_HOUSE_SEATS, LOAD_SALE_TRIES, RETRY_DELAY},
    proto::{GetSeatMapRequest, SeatStatus},
};

/// Of so many people, so many watch, and so many hold and give back; the others buy.
const PEOPLE: u32 = 33;
const WATCHERS: u32 = 20;
const HOLDERS: u32 = 10;
/// Where all is to be sold: of so many people one holds and gives back; the others buy.
const SELL_OUT_PEOPLE: u32 = 5;
/// The opening, where half of all come, and so many waves after it.
const WAVES: u32 = 4;
/// A wave is over, but for a few, in this part of the time until the next one.
const WAVE_LENGTH: f64 = 0.3;
/// How long people look at what they hold, as a part of the run: at most.
const THINKING: f64 = 0.1;

/// What it needs of its houses.
///
/// # Errors
/// Where there are more people than the connections can carry.
pub fn need(load: &SaleLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    if !load.sell_out {
        fit("--people", load.people, common)?;
    }
    let holds = LOAD_SALE_HOUSE_SEATS / u64::from(load.seats);
    Ok(Need { events: 1, seats_per_hold: load.seats, holds: Some(holds) })
}

/// What somebody comes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Watch,
    Hold,
    Buy,
}

impl Wish {
    /// Mixed: 10 and 33 have no common divisor, so 33 people in a row are all kinds.
    fn of(person: u32, sells_out: bool) -> Self {
        if sells_out {
            return if person.is_multiple_of(SELL_OUT_PEOPLE) { Self::Hold } else { Self::Buy };
        }
        match u64::from(person) * 10 % u64::from(PEOPLE) {
            n if n < u64::from(WATCHERS) => Self::Watch,
            n if n < u64::from(WATCHERS + HOLDERS) => Self::Hold,
            _ => Self::Buy,
        }
    }
}

/// What all people share.
#[derive(Debug)]
struct Sale {
    stage: Arc<Stage>,
    seats: u32,
    sells_out: bool,
    time: Duration,
    looks: Meter,
    holds: Meter,
    releases: Meter,
    confirms: Meter,
    /// Seats sold.
    sold: AtomicU64,
    /// Who found nothing, however often they looked.
    unlucky: AtomicU64,
}

/// Opens the doors.
///
/// # Errors
/// Where a watcher cannot watch at all.
pub async fn play(run: &Arc<Run>, load: &SaleLoad) -> anyhow::Result<Played> {
    let sale = Arc::new(Sale {
        stage: Stage::new(run, false),
        seats: load.seats,
        sells_out: load.sell_out,
        time: load.seconds,
        looks: Meter::default(),
        holds: Meter::default(),
        releases: Meter::default(),
        confirms: Meter::default(),
        sold: AtomicU64::new(0),
        unlucky: AtomicU64::new(0),
    });
    run.start(None, Some(load.seconds), None);
    let begun = Instant::now();
    let (mut watchers, mut buyers) = (JoinSet::new(), JoinSet::new());
    let people = people(run, load);
    for person in 0..people {
        match Wish::of(person, load.sell_out) {
            Wish::Watch => _ = watchers.spawn(watch(sale.clone(), person)),
            wish => _ = buyers.spawn(Person::new(&sale, person).come(wish)),
        }
    }
    let coming = watchers.len();
    let buying = buyers.len();
    while let Some(taken) = buyers.join_next().await {
        run.write_down(taken?);
    }
    let took = begun.elapsed();
    sale.stage.over.cancel();
    let told = sum(watchers).await?;
    let mut played = Played::new("sale", took);
    played.tell("events", run.houses.len());
    played.tell("people", people);
    played.tell("watchers", coming);
    played.tell("holders_and_buyers", buying);
    played.tell("seats_per_hold", load.seats);
    played.tell("messages", told.messages);
    played.tell("changes", told.seats);
    played.tell("streams_ended", told.ended);
    played.tell("found_nothing", sale.unlucky.load(Ordering::Relaxed));
    played.tell("seats_sold", sale.sold.load(Ordering::Relaxed));
    let verbs = [("look", &sale.looks), ("hold", &sale.holds)];
    let verbs = verbs.into_iter().chain([("release", &sale.releases), ("confirm", &sale.confirms)]);
    played.verbs.extend(verbs.map(|(name, meter)| (name, meter.tally())));
    Ok(played)
}

/// How many come. Where all is to be sold, four in five want groups of half of the seats
/// on average: together a fifth more than there is.
fn people(run: &Run, load: &SaleLoad) -> u32 {
    let free: usize = run.houses.iter().map(|house| house.seats.len()).sum();
    let free = u32::try_from(free).unwrap_or(u32::MAX);
    match load.sell_out {
        true => (free.saturating_mul(3) / (1 + load.seats)).max(1),
        false => load.people,
    }
}

/// When somebody comes: half of all at the opening, the others in waves, each
/// with most people at its beginning.
fn arrival(dice: &mut fastrand::Rng, time: Duration) -> Duration {
    let between = 1.0 / f64::from(WAVES + 1);
    let wave = if dice.bool() { 0 } else { dice.u32(1..=WAVES) };
    let after = -(1.0 - dice.f64()).ln() * between * WAVE_LENGTH / 3.0;
    time.mul_f64((f64::from(wave) * between + after).min(1.0))
}

/// Comes, and watches until all is over.
async fn watch(sale: Arc<Sale>, person: u32) -> Told {
    let mut dice = fastrand::Rng::with_seed(u64::from(person));
    sale.stage.run.pause(arrival(&mut dice, sale.time)).await;
    loop {
        if sale.stage.over.is_cancelled() || sale.stage.run.is_stopped() {
            return Told::default();
        }
        if let Ok(reader) = Reader::open(&sale.stage, person as usize).await {
            return reader.read(Arc::default()).await;
        }
        sleep(RETRY_DELAY).await;
    }
}

/// Somebody who wants seats.
struct Person {
    sale: Arc<Sale>,
    number: u32,
    /// How many: side by side.
    seats: u32,
    client: Reservations,
    dice: fastrand::Rng,
    taken: Vec<Taken>,
}

impl Person {
    fn new(sale: &Arc<Sale>, number: u32) -> Self {
        let client = sale.stage.run.clients.of(number as usize);
        let mut dice = fastrand::Rng::with_seed(u64::from(number));
        let seats = if sale.sells_out { dice.u32(1..=sale.seats) } else { sale.seats };
        Self { sale: sale.clone(), number, seats, client, dice, taken: Vec::new() }
    }

    async fn come(mut self, wish: Wish) -> Vec<Taken> {
        let run = self.sale.stage.run.clone();
        run.pause(arrival(&mut self.dice, self.sale.time)).await;
        let Some(taken) = self.hold().await else { return self.taken };
        run.pause(self.sale.time.mul_f64(THINKING * self.dice.f64())).await;
        match wish {
            Wish::Buy => self.buy(taken).await,
            Wish::Watch | Wish::Hold => self.give_back(taken).await,
        }
        self.taken
    }

    /// Looks, and takes seats side by side; again where somebody was faster.
    async fn hold(&mut self) -> Option<Taken> {
        let sale = self.sale.clone();
        let (run, worker) = (&sale.stage.run, self.number as usize);
        for _ in 0..LOAD_SALE_TRIES {
            if run.is_stopped() {
                return None;
            }
            let Some((house, first)) = self.look().await else { continue };
            let mut taken = Taken::new(house, self.number, first..first + self.seats);
            let begins = Instant::now();
            let answer = self.client.hold(taken.hold_request(&run.name, &run.houses, None)).await;
            let answer = run.meter.note(worker, begins.elapsed(), answer);
            sale.holds.count(worker, begins.elapsed(), &answer);
            if taken.held(&answer) {
                if answer.is_ok() {
                    return Some(taken);
                }
                // Nobody knows: it is looked for at the end.
                self.taken.push(taken);
            }
            self.after(&answer).await;
        }
        sale.unlucky.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Free seats side by side, the best ones most often: which event, and which is
    /// the first of them.
    async fn look(&mut self) -> Option<(u32, u32)> {
        let sale = self.sale.clone();
        let (run, worker) = (&sale.stage.run, self.number as usize);
        let number = worker % run.houses.len();
        let request = GetSeatMapRequest {
            event_id: run.houses[number].event_id.clone(),
            ..GetSeatMapRequest::default()
        };
        let begins = Instant::now();
        let answer = self.client.get_seat_map(request).await;
        let answer = run.meter.note(worker, begins.elapsed(), answer);
        sale.looks.count(worker, begins.elapsed(), &answer);
        self.after(&answer).await;
        let mut free = vec![false; run.houses[number].seats.len()];
        for seat in answer.ok()?.seats {
            let is_free = seat.status() == SeatStatus::Available;
            if let Some(&seat) = sale.stage.shows[number].numbers.get(&seat.seat_id) {
                free[seat] = is_free;
            }
        }
        if sale.sells_out {
            let longest = free.split(|&free| !free).map(<[bool]>::len).max().unwrap_or(0);
            self.seats = u32::try_from(longest).ok()?.clamp(1, self.seats);
        }
        let seats = usize::try_from(self.seats).ok()?;
        let places = free.windows(seats).enumerate().filter(|(_, seats)| seats.iter().all(|&f| f));
        let places: Vec<usize> = places.map(|(first, _)| first).collect();
        // The least of three throws: the front of the house is in demand.
        let place = (0..3).map(|_| self.dice.usize(0..places.len().max(1))).min()?;
        let first = *places.get(place)?;
        Some((u32::try_from(number).ok()?, u32::try_from(first).ok()?))
    }

    async fn buy(&mut self, mut taken: Taken) {
        let sale = self.sale.clone();
        let (run, worker) = (&sale.stage.run, self.number as usize);
        let begins = Instant::now();
        let answer = self.client.confirm(taken.confirm_request(&run.name, &run.houses)).await;
        let answer = run.meter.note(worker, begins.elapsed(), answer);
        sale.confirms.count(worker, begins.elapsed(), &answer);
        taken.confirmed(&answer);
        if answer.is_ok() {
            sale.sold.fetch_add(u64::from(self.seats), Ordering::Relaxed);
        }
        self.taken.push(taken);
    }

    async fn give_back(&mut self, mut taken: Taken) {
        let sale = self.sale.clone();
        let (run, worker) = (&sale.stage.run, self.number as usize);
        let begins = Instant::now();
        let answer = self.client.release(taken.release_request(&run.name, &run.houses)).await;
        let answer = run.meter.note(worker, begins.elapsed(), answer);
        sale.releases.count(worker, begins.elapsed(), &answer);
        taken.released(&answer);
        self.taken.push(taken);
    }

    /// A server that has trouble is not asked in a spin.
    async fn after<T>(&self, answer: &Result<T, No>) {
        if matches!(answer, Err(No::Failed(_))) {
            sleep(RETRY_DELAY).await;
        }
    }
}
