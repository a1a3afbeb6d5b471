//! The latest order events, read once for all streams of a server.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, watch};

use super::{Error, Flows};
use crate::{
    domain::{OrderEvent, Wanted},
    limits::{MAX_ORDER_EVENT_STREAMS, ORDER_EVENTS_KEPT, ORDER_EVENTS_READ},
};

/// What this server has of the numbered order events.
pub(super) struct Tail {
    latest: Mutex<Latest>,
    /// The last number that it knows of: all up to it can be read.
    known: watch::Sender<i64>,
    /// Whoever reads on.
    reading: tokio::sync::Mutex<()>,
    /// One for each stream.
    pub places: Arc<Semaphore>,
}

/// All after `floor`, up to the last number known.
#[derive(Debug, Default)]
struct Latest {
    floor: i64,
    events: VecDeque<Arc<OrderEvent>>,
}

impl Tail {
    pub fn new() -> Self {
        Self {
            latest: Mutex::default(),
            known: watch::Sender::new(0),
            reading: tokio::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_ORDER_EVENT_STREAMS)),
        }
    }

    pub fn watch(&self) -> watch::Receiver<i64> {
        self.known.subscribe()
    }

    /// Those after a number, so many at most, and the number of the last; where it does
    /// not have them any more, up to which number to read elsewhere.
    pub fn after(&self, after: i64) -> Result<(Vec<Arc<OrderEvent>>, i64), i64> {
        let latest = self.lock();
        if after < latest.floor {
            return Err(latest.floor);
        }
        let begin = latest.events.partition_point(|event| event.sequence <= after);
        let most = usize::try_from(ORDER_EVENTS_READ).unwrap_or(usize::MAX);
        let events: Vec<_> = latest.events.iter().skip(begin).take(most).cloned().collect();
        let to = events.last().map_or(after, |event| event.sequence);
        Ok((events, to))
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all, and goes on from a number.
    fn begin_at(&self, last: i64) {
        *self.lock() = Latest { floor: last, events: VecDeque::new() };
        self.known.send_replace(last);
    }

    fn add(&self, events: Vec<OrderEvent>, to: i64) {
        let mut latest = self.lock();
        latest.events.extend(events.into_iter().map(Arc::new));
        while latest.events.len() > ORDER_EVENTS_KEPT {
            let forgotten = latest.events.pop_front();
            latest.floor = forgotten.map_or(to, |event| event.sequence);
        }
        drop(latest);
        self.known.send_replace(to);
    }
}

impl Flows {
    /// Reads the order events that were numbered since, if anybody streams them.
    pub(super) async fn follow_order_events(&self) -> Result<(), Error> {
        let tail = &self.couriers.tail;
        let _reading = tail.reading.lock().await;
        let is_streamed = tail.places.available_permits() < MAX_ORDER_EVENT_STREAMS;
        let last = match is_streamed {
            true => self.ledger.last_order_event().await?,
            false => return Ok(()),
        };
        let mut known = *tail.known.borrow();
        // Nobody has streamed for a while: whoever is that far back reads by itself.
        if last - known > ORDER_EVENTS_READ {
            tail.begin_at(last);
            return Ok(());
        }
        while known < last {
            let (events, to) =
                self.ledger.read_order_events(known, last, &Wanted::default()).await?;
            tail.add(events, to);
            known = to;
        }
        Ok(())
    }
}
