//! One reader of one event's changes.

use std::{pin::Pin, sync::Arc};

use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};

use super::{EventFeed, SeatMap, Stale, event_feed, lanes::Head};
use crate::{
    domain::Position,
    limits::{FEED_CATCH_UP, FEED_HEARTBEAT, FEED_STALE},
    telemetry,
};

/// What a reader is to be told next.
#[derive(Debug, Clone)]
pub enum Next {
    /// Forget all before; this is the house.
    Snapshot(Arc<SeatMap>),
    /// What the feed has after a position, up to another.
    Changes { after: Position, to: Position },
    /// Nothing that shows has changed for [`FEED_HEARTBEAT`], or another number of
    /// viewers watches; it is here.
    Heartbeat { at: Position, viewers: u32 },
}

/// A reader: a feed, and how far it has been told.
pub struct Subscription {
    feed: Arc<EventFeed>,
    /// What it may know now.
    lane: watch::Receiver<Head>,
    /// It has not looked yet, wherever its lane is.
    is_new: bool,
    /// `None` until it has had a snapshot.
    position: Option<Position>,
    /// How many watch, as it was told; 0 at first.
    viewers: u32,
    /// When it was told something that shows, or that nothing does.
    told_at: Instant,
    /// When it looks up though the head does not move. It is set anew only when
    /// it has passed: timers are dear where there are ten thousand readers.
    look_up: Pin<Box<Sleep>>,
}

impl Subscription {
    /// Reads on after `position`, or from a snapshot where there is none. It is told
    /// together with others of its connection.
    ///
    /// # Errors
    /// [`Stale`] where the feed does not get going.
    pub async fn new(
        feed: Arc<EventFeed>,
        position: Option<Position>,
        connection: u64,
    ) -> Result<Self, Stale> {
        // Another server may have told it more than this node has seen yet.
        match feed.map_at(position.unwrap_or_default()).await {
            Ok(_) => {}
            // It never comes: Redis has lost that past. A snapshot mends it.
            Err(Stale) if !feed.is_stale() => {}
            Err(Stale) => return Err(Stale),
        }
        let lane = feed.join(connection);
        let told_at = Instant::now();
        let look_up = Box::pin(sleep_until(told_at + FEED_STALE));
        Ok(Self { feed, lane, is_new: true, position, viewers: 0, told_at, look_up })
    }

    /// The feed that it reads.
    pub fn feed(&self) -> &Arc<EventFeed> {
        &self.feed
    }

    /// What it is to be told next; waits for it.
    ///
    /// # Errors
    /// [`Stale`] where Redis has been silent for [`FEED_STALE`]: the reader
    /// shall not believe that nothing happens.
    pub async fn next(&mut self) -> Result<Next, Stale> {
        loop {
            let Head { position: lane_at, viewers } = *self.lane.borrow_and_update();
            if self.is_new || self.is_behind(lane_at) {
                match (self.feed.after(self.position), self.position) {
                    (event_feed::Next::Snapshot(map), position) => {
                        if position.is_some() {
                            telemetry::stream_resynced();
                        }
                        return Ok(Next::Snapshot(map));
                    }
                    (event_feed::Next::Changes { to }, Some(after)) => {
                        // Exactly as far as its lane, so that all of it are told the same.
                        let to = if self.is_new { to } else { to.min(lane_at) };
                        return Ok(Next::Changes { after, to });
                    }
                    _ => self.is_new = false,
                }
            }
            if viewers != self.viewers
                && let Some(at) = self.position
            {
                self.viewers = viewers;
                return Ok(Next::Heartbeat { at, viewers });
            }
            tokio::select! {
                _ = self.lane.changed() => continue,
                () = &mut self.look_up => {}
            }
            // Clocks and timers are dear where there are ten thousand readers: they are
            // asked only now.
            let (now, heartbeat_at) = (Instant::now(), self.told_at + FEED_HEARTBEAT);
            if self.feed.is_stale() {
                return Err(Stale);
            }
            let is_silent = now >= heartbeat_at;
            let look_up_at = now + FEED_STALE;
            self.look_up.as_mut().reset(match is_silent {
                true => look_up_at,
                false => look_up_at.min(heartbeat_at),
            });
            if is_silent {
                let at = self.position.unwrap_or_default();
                return Ok(Next::Heartbeat { at, viewers });
            }
        }
    }

    /// Whether there is more for it than it was told. One that was told more than its
    /// lane, since it came later, waits.
    fn is_behind(&self, lane_at: Position) -> bool {
        self.position.is_none_or(|at| at < lane_at)
    }

    /// It was told what leads to a position; what showed nothing does not count
    /// as a sign of life.
    pub fn told(&mut self, to: Position, shows: bool) {
        self.position = Some(to);
        self.is_new = false;
        if shows {
            self.told_at = Instant::now();
        }
    }
}

const _: () = assert!(FEED_CATCH_UP.as_secs() < FEED_STALE.as_secs());
