//! Who watches an event now, in Redis: over all servers, and each viewer once.
//!
//! A viewer is there by *sources*: his own heartbeats are one, and each server that has
//! streams of his is another. A source runs out unless it is renewed; a viewer goes with
//! his last one. So one of two streams may end, or one of two servers, and he stays.
//!
//! Two keys for each event, in its slot; both go a while after the last sign of life:
//!
//! - `hf:{event_id}:presence`, a sorted set of sources by when each runs out, in ms of
//!   Redis' clock: `<viewer_id>` for heartbeats, `<viewer_id>|<server>` for the streams
//!   of a server.
//! - `hf:{event_id}:viewers`, a hash by viewer id: how many sources he has.
//!
//! Both have an entry of no name as well, so that no script ever empties them.
//!
//! Nothing of it is kept elsewhere, and nothing else depends on it: what Redis loses is
//! said again within a third of a source's life.

mod sources;
mod streams;

pub use streams::Watching;

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{EventId, ViewerId},
    redis::{Error, Links},
};
use sources::Sources;
use streams::Streams;

/// Who watches what.
pub struct Presence {
    sources: Arc<Sources>,
    streams: Streams,
}

impl Presence {
    /// A source that nobody renews runs out after so long.
    pub fn new(links: Arc<Links>, ttl_seconds: u16) -> Self {
        let ttl = Duration::from_secs(ttl_seconds.into());
        let sources = Arc::new(Sources::new(links, ttl));
        Self { streams: Streams::new(sources.clone()), sources }
    }

    /// A viewer says that he is there; answers how many are. `None` where the event has
    /// [`crate::limits::MAX_VIEWERS`] others.
    ///
    /// # Errors
    /// Those of Redis; it may be said again.
    pub async fn heartbeat(
        &self,
        event_id: &EventId,
        viewer_id: &ViewerId,
    ) -> Result<Option<u32>, Error> {
        let joined = self.sources.join(event_id, &[viewer_id.to_string()]).await?;
        if joined.refused > 0 {
            return Ok(None);
        }
        let all = if joined.is_more { self.count(event_id).await? } else { joined.viewers };
        Ok(Some(all))
    }

    /// A viewer says that he goes, but for streams of his; answers how many are there.
    ///
    /// # Errors
    /// Those of Redis; it may be said again.
    pub async fn leave(&self, event_id: &EventId, viewer_id: &ViewerId) -> Result<u32, Error> {
        self.sources.count_without(event_id, &[viewer_id.to_string()]).await
    }

    /// How many are there.
    ///
    /// # Errors
    /// Those of Redis.
    pub async fn count(&self, event_id: &EventId) -> Result<u32, Error> {
        self.sources.count_without(event_id, &[]).await
    }

    /// A stream of an event was opened: from now on `tell` is told how many watch the
    /// event, whenever that has changed; and its viewer, if it names one, is there until
    /// the answer is dropped. Neither waits for Redis. Streams of one event share the
    /// first one's `tell`.
    pub fn watch(
        &self,
        event_id: &EventId,
        viewer_id: Option<ViewerId>,
        tell: impl Fn(u32) + Send + Sync + 'static,
    ) -> Watching {
        self.streams.open(event_id, viewer_id, tell)
    }

    /// Says that the viewers of all streams have gone. No new ones may be opened.
    pub async fn stop(&self) {
        self.streams.stop().await;
    }
}
