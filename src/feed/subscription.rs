//! One reader of one event's changes.

use std::sync::Arc;

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{EventFeed, SeatMap, Stale, event_feed::Next};
use crate::{
    domain::Position,
    holds::LogEntry,
    limits::{FEED_CATCH_UP, FEED_HEARTBEAT, FEED_MAX_ENTRIES_PER_MESSAGE, FEED_STALE},
};

/// What a reader is told.
#[derive(Debug, Clone)]
pub enum Message {
    /// Forget all before; this is the house.
    Snapshot(Arc<SeatMap>),
    /// The changes that follow, in order, at least one that shows.
    Changes(Vec<Arc<LogEntry>>),
    /// Nothing that shows has changed for [`FEED_HEARTBEAT`].
    Heartbeat,
}

/// A reader: a feed, and how far it has been told.
pub struct Subscription {
    feed: Arc<EventFeed>,
    head: watch::Receiver<Position>,
    /// `None` until it has had a snapshot.
    position: Option<Position>,
}

impl Subscription {
    /// Reads on after `position`, or from a snapshot where there is none.
    ///
    /// # Errors
    /// [`Stale`] where the feed does not get going.
    pub async fn new(feed: Arc<EventFeed>, position: Option<Position>) -> Result<Self, Stale> {
        let head = feed.head();
        // Another server may have told it more than this node has seen yet.
        match feed.map_at(position.unwrap_or_default()).await {
            Ok(_) => {}
            // It never comes: Redis has lost that past. A snapshot mends it.
            Err(Stale) if !feed.is_stale() => {}
            Err(Stale) => return Err(Stale),
        }
        Ok(Self { feed, head, position })
    }

    /// After all that it has been told.
    pub fn position(&self) -> Position {
        self.position.unwrap_or_default()
    }

    /// The next message; waits for it.
    ///
    /// # Errors
    /// [`Stale`] where Redis has been silent for [`FEED_STALE`]: the reader
    /// shall not believe that nothing happens.
    pub async fn next(&mut self) -> Result<Message, Stale> {
        let heartbeat_at = Instant::now() + FEED_HEARTBEAT;
        loop {
            self.head.mark_unchanged();
            match self.feed.after(self.position, FEED_MAX_ENTRIES_PER_MESSAGE) {
                Next::Snapshot(map) => {
                    self.position = Some(map.position);
                    return Ok(Message::Snapshot(map));
                }
                Next::Changes(entries) => {
                    self.position = entries.last().map(|entry| entry.position);
                    // Some changes show on no seat, such as a hold extended.
                    if entries.iter().any(|entry| entry.shows()) {
                        return Ok(Message::Changes(entries));
                    }
                    continue;
                }
                Next::Nothing => {}
            }
            if self.feed.is_stale() {
                return Err(Stale);
            }
            if Instant::now() >= heartbeat_at {
                return Ok(Message::Heartbeat);
            }
            let look_up_at = heartbeat_at.min(Instant::now() + FEED_STALE);
            // Time is up, or the head moved on: either way, look again.
            let _ = timeout_at(look_up_at, self.head.changed()).await;
        }
    }
}

const _: () = assert!(FEED_CATCH_UP.as_secs() < FEED_STALE.as_secs());
