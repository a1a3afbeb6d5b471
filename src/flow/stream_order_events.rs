//! StreamOrderEvents: every order event that somebody wants, in order.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use super::{Error, Flows};
use crate::{
    domain::{OrderEvent, Wanted},
    limits::{FEED_HEARTBEAT, MAX_ORDER_EVENT_STREAMS},
};

/// One message: what is wanted of the numbers up to `sequence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEventMessage {
    pub sequence: i64,
    /// Empty in a heartbeat.
    pub events: Vec<Arc<OrderEvent>>,
}

/// One reader. It has a number, and at most one message in memory.
pub struct OrderEventStream {
    flows: Arc<Flows>,
    wanted: Wanted,
    /// All up to this number was told.
    at: i64,
    known: watch::Receiver<i64>,
    is_open: bool,
    _place: OwnedSemaphorePermit,
}

impl Flows {
    /// Begins to read after a number, or from now on.
    pub async fn stream_order_events(
        self: &Arc<Self>,
        after: Option<i64>,
        wanted: Wanted,
    ) -> Result<OrderEventStream, Error> {
        let _span = crate::telemetry::flow("stream_order_events");
        // 1. A server has room for so many; from now on it follows what is numbered.
        let tail = &self.couriers.tail;
        let place = tail.places.clone().try_acquire_owned().map_err(|_| {
            let text = format!("this server has {MAX_ORDER_EVENT_STREAMS} such streams already");
            Error::Overloaded(text.into())
        })?;
        let known = tail.watch();
        self.follow_order_events().await?;
        // 2. From now on is from the last number there is, not the last one heard of.
        let at = match after {
            Some(after) => after,
            None => self.ledger.last_order_event().await?,
        };
        Ok(OrderEventStream {
            flows: self.clone(),
            wanted,
            at,
            known,
            is_open: false,
            _place: place,
        })
    }
}

impl OrderEventStream {
    /// The next message; waits for it.
    pub async fn next(&mut self) -> Result<OrderEventMessage, Error> {
        // The reader learns where it is before there is anything to tell.
        if !self.is_open {
            self.is_open = true;
            return Ok(self.heartbeat());
        }
        let heartbeat_at = Instant::now() + FEED_HEARTBEAT;
        loop {
            let last = *self.known.borrow_and_update();
            while self.at < last {
                let events = self.read(last).await?;
                if !events.is_empty() || Instant::now() > heartbeat_at {
                    return Ok(OrderEventMessage { sequence: self.at, events });
                }
            }
            tokio::select! {
                changed = self.known.changed() => changed.map_err(Error::internal)?,
                () = sleep_until(heartbeat_at) => return Ok(self.heartbeat()),
            }
        }
    }

    /// What is wanted of some of the numbers up to `last`, and moves on past them.
    async fn read(&mut self, last: i64) -> Result<Vec<Arc<OrderEvent>>, Error> {
        let (events, to) = match self.flows.couriers.tail.after(self.at) {
            Ok((mut events, to)) => {
                events.retain(|event| self.wanted.takes(event));
                (events, to)
            }
            Err(floor) => {
                let ledger = &self.flows.ledger;
                let to = floor.min(last);
                let (events, to) = ledger.read_order_events(self.at, to, &self.wanted).await?;
                (events.into_iter().map(Arc::new).collect(), to)
            }
        };
        self.at = to;
        Ok(events)
    }

    fn heartbeat(&self) -> OrderEventMessage {
        OrderEventMessage { sequence: self.at, events: Vec::new() }
    }
}
