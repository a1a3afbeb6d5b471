//! `load stream`: many readers of seat maps that change at a steady rate; some of
//! them stop reading.

mod changes;
mod reader;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Run,
    client::fit,
    houses::{House, Need},
    report::{Played, quantiles, rounded},
};
use crate::{
    config::{LoadCommon, StreamLoad},
    limits::{LOAD_ASIDE_IN_FLIGHT, LOAD_STREAM_GRACE, LOAD_STREAM_HOUSE_SEATS, LOAD_TICK},
    proto::{SeatState, SeatStatus},
};
use changes::change_all;
pub use reader::{Reader, Told};

/// What it needs of its houses.
///
/// # Errors
/// Where there are more readers than the connections can carry.
pub fn need(load: &StreamLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    fit("--subscribers", load.subscribers, common)?;
    Ok(Need { events: 1, seats_per_hold: 1, holds: Some(LOAD_STREAM_HOUSE_SEATS) })
}

/// One event, as readers and changers share it.
#[derive(Debug)]
pub struct Show {
    /// Which number a seat has in its house.
    pub numbers: HashMap<String, usize>,
    /// When the latest Hold of each seat began, and the latest Release: in
    /// microseconds since the clock runs; 0 before the first.
    held_us: Vec<AtomicU64>,
    released_us: Vec<AtomicU64>,
    /// Changes that were answered.
    made: AtomicU64,
}

impl Show {
    fn new(house: &House) -> Self {
        let times = || house.seats.iter().map(|_| AtomicU64::new(0)).collect();
        let numbers = house.seats.iter().cloned().zip(0..).collect();
        Self { numbers, held_us: times(), released_us: times(), made: AtomicU64::new(0) }
    }

    /// When the change began that a reader is told of; none where it is not ours.
    fn began_us(&self, told: &SeatState) -> Option<u64> {
        let number = *self.numbers.get(&told.seat_id)?;
        let times = match told.status() {
            SeatStatus::Held => &self.held_us,
            SeatStatus::Available => &self.released_us,
            _ => return None,
        };
        Some(times[number].load(Ordering::Relaxed)).filter(|&us| us > 0)
    }
}

/// What all tasks share.
#[derive(Debug)]
pub struct Stage {
    pub run: Arc<Run>,
    pub shows: Vec<Show>,
    begun: Instant,
    /// Each stream names a viewer.
    pub names_viewers: bool,
    /// Nobody watches any more.
    pub over: CancellationToken,
}

impl Stage {
    pub fn new(run: &Arc<Run>, names_viewers: bool) -> Arc<Self> {
        let shows = run.houses.iter().map(Show::new).collect();
        let (begun, over) = (Instant::now(), CancellationToken::new());
        Arc::new(Self { run: run.clone(), shows, begun, names_viewers, over })
    }
}

/// Opens the streams, then changes seats, and counts what arrives.
///
/// # Errors
/// Where a stream cannot be opened.
pub async fn play(
    run: &Arc<Run>,
    load: &StreamLoad,
    common: &LoadCommon,
) -> anyhow::Result<Played> {
    let stage = Stage::new(run, load.viewers);
    let readers = stream::iter(0..load.subscribers as usize)
        .map(|n| Reader::open(&stage, n))
        .buffered(LOAD_ASIDE_IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    let is_stalled =
        |n: u64| (n + 1) * u64::from(load.stalled) / 100 > n * u64::from(load.stalled) / 100;
    let (mut healthy, mut stalled) = (JoinSet::new(), JoinSet::new());
    let received = Arc::new(AtomicU64::new(0));
    let mut expected_of = vec![0; stage.shows.len()];
    for (n, reader) in (0..).zip(readers) {
        match is_stalled(n) {
            true => _ = stalled.spawn(reader.stall()),
            false => {
                expected_of[reader.show] += 1;
                _ = healthy.spawn(reader.read(received.clone()));
            }
        }
    }
    let began = Instant::now();
    change_all(&stage, load, common).await?;
    let took = began.elapsed();
    // What was changed last is on its way still.
    let expected = || {
        let made = stage.shows.iter().map(|show| show.made.load(Ordering::Relaxed));
        made.zip(&expected_of).map(|(made, readers)| made * readers).sum::<u64>()
    };
    let arrived = async {
        while received.load(Ordering::Relaxed) < expected() {
            sleep(LOAD_TICK).await;
        }
    };
    // The count tells what has not.
    let _ = timeout(LOAD_STREAM_GRACE, arrived).await;
    stage.over.cancel();
    let (healthy, stalled) = (sum(healthy).await?, sum(stalled).await?);
    let mut played = Played::new("stream", took);
    tell(&mut played, run, load, expected(), (healthy, stalled));
    Ok(played)
}

fn tell(
    played: &mut Played,
    run: &Run,
    load: &StreamLoad,
    expected: u64,
    (healthy, stalled): (Told, Told),
) {
    let delays = run.delays.tally().took;
    let quantiles = quantiles(&delays);
    played.tell("subscribers", load.subscribers);
    played.tell("stalled_percent", load.stalled);
    played.tell("messages", healthy.messages);
    played.tell("changes", healthy.changes);
    for ((_, took_us), name) in
        quantiles.into_iter().zip(["delay_p50_us", "delay_p99_us", "delay_p999_us", "delay_max_us"])
    {
        played.tell(name, took_us);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of changes")]
    let share = healthy.changes as f64 / expected.max(1) as f64;
    played.tell("healthy_share", rounded(share, 1e4));
    played.tell("expected_changes", expected);
    played.tell("snapshots", healthy.snapshots);
    played.tell("streams_ended", healthy.ended);
    played.tell("stalled_messages", stalled.messages);
    played.tell("stalled_changes", stalled.changes);
    played.tell("stalled_ended", stalled.ended);
}

/// What all of them were told.
pub async fn sum(mut readers: JoinSet<Told>) -> anyhow::Result<Told> {
    let mut sum = Told::default();
    while let Some(told) = readers.join_next().await {
        let told = told?;
        sum.messages += told.messages;
        sum.changes += told.changes;
        sum.seats += told.seats;
        sum.snapshots += told.snapshots;
        sum.ended += told.ended;
    }
    Ok(sum)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
