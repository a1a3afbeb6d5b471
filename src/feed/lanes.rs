//! Readers of one event, told lane by lane.
//!
//! Ten thousand readers who are told at the same moment keep all cores busy for half
//! a tick, and the last of them hears of a change so much later. So readers stand in
//! lanes, and within a tick one lane is told after the other, each of all that is
//! known by then. A lane has whole connections, so that what the streams of one are
//! told goes out together. Where there are few readers, all are told at once.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    domain::Position,
    limits::{FEED_LANES, FEED_READERS_AT_ONCE, FEED_STEPS, FEED_TICK},
};

/// What there is to be told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Up to where the map is.
    pub position: Position,
    /// How many watch the event, over all servers; 0 where that is not known.
    pub viewers: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Lanes {
    /// What each lane was told last.
    lanes: Mutex<BTreeMap<u64, watch::Sender<Head>>>,
    /// In how many steps all of them are told.
    steps: AtomicU32,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { lanes: Mutex::default(), steps: AtomicU32::new(1) }
    }
}

impl Lanes {
    /// A place in the lane of a connection; a new lane has been told of `head`.
    pub fn join(&self, connection: u64, head: Head) -> watch::Receiver<Head> {
        let lane = connection % FEED_LANES;
        self.lock().entry(lane).or_insert_with(|| watch::Sender::new(head)).subscribe()
    }

    /// The time between two lanes, or few small ones, that are told.
    pub fn pause(&self) -> Duration {
        FEED_TICK / self.steps.load(Relaxed)
    }

    /// Tells the lanes in turn that the head has moved; each once a tick.
    pub async fn tell(&self, mut head: watch::Receiver<Head>) {
        let (mut last, mut due) = (0, Instant::now());
        loop {
            let to = *head.borrow_and_update();
            // A round takes a tick, also where this task has its turn late.
            let late = due.elapsed().min(FEED_TICK).as_nanos();
            let steps = 1 + u32::try_from(late / self.pause().as_nanos()).unwrap_or(0);
            match self.tell_next(last, to, steps) {
                Some(told) => last = told,
                None if head.changed().await.is_err() => return,
                None => {
                    due = due.max(Instant::now());
                    continue;
                }
            }
            due = (due + self.pause() * steps).max(Instant::now());
            sleep_until(due).await;
        }
    }

    /// Tells some of those after lane `last` that are behind, as many as so many steps
    /// have; answers the last one, if any was.
    fn tell_next(&self, last: u64, to: Head, steps_due: u32) -> Option<u64> {
        let mut lanes = self.lock();
        lanes.retain(|_, lane| lane.receiver_count() > 0);
        let readers: usize = lanes.values().map(watch::Sender::receiver_count).sum();
        let steps = readers.div_ceil(FEED_READERS_AT_ONCE).clamp(1, FEED_STEPS);
        self.steps.store(u32::try_from(steps).unwrap_or(1), Relaxed);
        let share = readers.div_ceil(steps) * steps_due as usize;
        let (mut told, mut readers_told) = (None, 0);
        let around = lanes.range((Excluded(last), Unbounded)).chain(lanes.range(..=last));
        for (&number, lane) in around {
            if *lane.borrow() == to {
                continue;
            }
            lane.send_replace(to);
            told = Some(number);
            readers_told += lane.receiver_count();
            if readers_told >= share {
                break;
            }
        }
        told
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, watch::Sender<Head>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Epoch;

    fn at(seq: u64) -> Head {
        Head { position: Position { epoch: Epoch(1), seq }, viewers: 0 }
    }

    fn lane(lanes: &Lanes, connection: u64, readers: usize) -> Vec<watch::Receiver<Head>> {
        (0..readers).map(|_| lanes.join(connection, at(0))).collect()
    }

    fn told(readers: &[watch::Receiver<Head>]) -> Head {
        *readers[0].borrow()
    }

    #[test]
    fn few_readers_are_told_at_once() {
        let lanes = Lanes::default();
        let (one, other) = (lane(&lanes, 1, 3), lane(&lanes, 2, 3));
        assert_eq!(lanes.tell_next(0, at(1), 1), Some(2));
        assert_eq!((told(&one), told(&other)), (at(1), at(1)));
        assert_eq!(lanes.pause(), FEED_TICK);
        assert_eq!(lanes.tell_next(2, at(1), 1), None, "they have it");
    }

    #[test]
    fn many_are_told_in_turn_and_each_of_the_latest() {
        let lanes = Lanes::default();
        let crowds: Vec<_> =
            (0..4).map(|lane_| lane(&lanes, lane_, FEED_READERS_AT_ONCE)).collect();
        assert_eq!(lanes.tell_next(0, at(1), 1), Some(1));
        assert_eq!(lanes.pause(), FEED_TICK / 4);
        assert_eq!(lanes.tell_next(1, at(2), 1), Some(2));
        let all: Vec<_> = crowds.iter().map(|crowd| told(crowd)).collect();
        assert_eq!(all, [at(0), at(1), at(2), at(0)]);
        assert_eq!(lanes.tell_next(2, at(2), 1), Some(3));
        assert_eq!(lanes.tell_next(3, at(2), 1), Some(0), "around");
        assert_eq!(lanes.tell_next(0, at(2), 1), Some(1), "it has not heard of the second");
        assert_eq!(lanes.tell_next(1, at(2), 1), None);
        assert_eq!(lanes.tell_next(1, at(3), 3), Some(0), "three steps at once");
    }

    #[test]
    fn another_number_of_viewers_is_told_like_a_change() {
        let lanes = Lanes::default();
        let readers = lane(&lanes, 1, 3);
        let head = Head { viewers: 3, ..at(0) };
        assert_eq!(lanes.tell_next(0, head, 1), Some(1));
        assert_eq!(told(&readers), head);
        assert_eq!(lanes.tell_next(1, head, 1), None);
    }

    #[test]
    fn lanes_end_with_their_readers() {
        let lanes = Lanes::default();
        drop(lane(&lanes, 7, 2));
        assert_eq!(lanes.tell_next(0, at(1), 1), None);
        assert!(lanes.lock().is_empty());
    }
}
