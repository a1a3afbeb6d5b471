//! Changes of an event at a fixed rate, and when each was made.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use holdfast::holds::Holds;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::events::{Place, hold_raw, places, raw_holds};

/// When each seat of an event was held.
#[derive(Debug)]
pub struct Made {
    begun: Instant,
    /// In microseconds since then; 0 is not yet.
    at: Vec<AtomicU64>,
}

impl Made {
    pub fn new(seats: usize) -> Arc<Self> {
        let at = (0..seats).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { begun: Instant::now(), at })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn note(&self, seat: usize) {
        self.at[seat].store(self.now().max(1), Relaxed);
    }

    /// How long ago the seat was held, if it was.
    pub fn ago(&self, seat: usize) -> Option<Duration> {
        let at = self.at.get(seat)?.load(Relaxed);
        (at > 0).then(|| Duration::from_micros(self.now().saturating_sub(at)))
    }
}

/// Holds these seats of an event one by one, so many a second, by calls of Redis
/// from here: the server under test only sees what its log says. A change counts
/// as made from the moment at which it is asked for.
pub async fn make(
    holds: Arc<Holds>,
    event_id: Arc<str>,
    seats: Range<usize>,
    per_second: usize,
    made: Arc<Made>,
) -> anyhow::Result<()> {
    let places: Vec<Place> = places(&[event_id], seats.start, seats.len());
    let raw = raw_holds(&places)?;
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(per_second)?);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut working = JoinSet::new();
    for (i, seat) in seats.enumerate() {
        pace.tick().await;
        made.note(seat);
        let (holds, raw) = (holds.clone(), raw.clone());
        working.spawn(async move { hold_raw(&holds, &raw[i]).await });
        while let Some(ended) = working.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = working.join_next().await {
        ended??;
    }
    Ok(())
}
