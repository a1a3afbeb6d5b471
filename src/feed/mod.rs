//! Room 6, the stream: each event's log is followed once on this node, its
//! seat map kept, and every subscriber served from there.
//!
//! A subscriber is nothing but a position: it is handed what the node has
//! beyond it, whenever its transport asks. So one that falls behind, one that
//! resumes and one that is new take the same path, none holds memory of its
//! own, and a slow one never waits on or holds up another. What it is handed is
//! encoded once for all who stand at the same position (`told.rs`).

mod event_feed;
mod lanes;
mod seat_map;
mod subscription;
mod told;

pub use event_feed::{Changes, EventFeed};
pub use seat_map::SeatMap;
pub use subscription::{Next, Subscription};
pub use told::{Latest, Telling, Told};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    domain::EventId,
    holds::Holds,
    limits::{MAX_FEEDS, MAX_SUBSCRIBERS},
};

/// Why a feed has nothing to say.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the event's log cannot be followed at the moment")]
pub struct Stale;

/// Why one more cannot be served.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum TooMany {
    #[error("this server follows {MAX_FEEDS} events already")]
    Events,
    #[error("this server has {MAX_SUBSCRIBERS} open streams already")]
    Streams,
}

/// The feeds of the events that somebody on this node watches.
pub struct Feeds {
    holds: Arc<Holds>,
    registry: Registry,
    /// A permit for each stream that may still be opened.
    streams: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Shared with the tasks, which take themselves out when nobody watches.
type Registry = Arc<Mutex<HashMap<EventId, Arc<EventFeed>>>>;

impl Feeds {
    pub fn new(holds: Arc<Holds>) -> Self {
        Self {
            holds,
            registry: Registry::default(),
            streams: Arc::new(Semaphore::new(MAX_SUBSCRIBERS)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The feed of an event, started where it was not running. It keeps
    /// running as long as anybody has it, and for a while after.
    ///
    /// # Errors
    /// [`TooMany::Events`] beyond [`MAX_FEEDS`].
    pub fn of(&self, event_id: &EventId) -> Result<Arc<EventFeed>, TooMany> {
        let mut feeds = lock(&self.registry);
        if let Some(feed) = feeds.get(event_id) {
            return Ok(feed.clone());
        }
        if feeds.len() >= MAX_FEEDS {
            return Err(TooMany::Events);
        }
        let feed = Arc::new(EventFeed::new(event_id.clone()));
        feeds.insert(event_id.clone(), feed.clone());
        let follow = feed.clone().run(self.holds.clone(), self.registry.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(follow).await });
        Ok(feed)
    }

    /// A place for one more stream, free again when it is dropped.
    ///
    /// # Errors
    /// [`TooMany::Streams`] beyond [`MAX_SUBSCRIBERS`].
    pub fn place(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        self.streams.clone().try_acquire_owned().map_err(|_| TooMany::Streams)
    }

    /// How many events are followed.
    pub fn len(&self) -> usize {
        lock(&self.registry).len()
    }

    /// Whether no event is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all feeds.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn lock(registry: &Registry) -> MutexGuard<'_, HashMap<EventId, Arc<EventFeed>>> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_has_so_many_places() {
        let nowhere = "redis://127.0.0.1:1".to_owned().into();
        let feeds = Feeds::new(Arc::new(Holds::new(&nowhere).unwrap()));
        let mut places: Vec<_> = (0..MAX_SUBSCRIBERS).map(|_| feeds.place().unwrap()).collect();
        assert!(matches!(feeds.place(), Err(TooMany::Streams)));
        places.pop();
        assert!(feeds.place().is_ok(), "a stream has ended");
    }
}
