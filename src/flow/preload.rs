//! What a sale needs when it opens, made ready on this server before anybody asks.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::{Error, Flows};
use crate::{
    domain::EventId,
    limits::{PRELOAD_EVENTS, PRELOAD_FEEDS, PRELOAD_WINDOW, PRELOADED_KEPT},
    telemetry,
};

/// Of which revision this server has preloaded an event.
pub(super) type Preloaded = Cache<EventId, u64>;

pub(super) fn preloaded() -> Preloaded {
    const TIME: Duration = PRELOADED_KEPT;
    Cache::builder().time_to_live(TIME).max_capacity(PRELOADED_MOST).build()
}

/// More than a window has.
const PRELOADED_MOST: u64 = PRELOAD_EVENTS as u64 * PRELOADED_KEPT.as_secs();

impl Flows {
    /// Preloads the events whose sale has opened, or that changed while they are on sale,
    /// within [`PRELOAD_WINDOW`].
    pub async fn preload(self: &Arc<Self>) -> Result<(), Error> {
        let mut failed = Ok(());
        for (event_id, revision) in
            self.ledger.lately_on_sale(PRELOAD_WINDOW, PRELOAD_EVENTS).await?
        {
            if self.preloaded.get(&event_id).await == Some(revision) {
                continue;
            }
            match self.preload_event(&event_id).await {
                Ok(()) => {
                    self.preloaded.insert(event_id, revision).await;
                    telemetry::preloaded();
                }
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    async fn preload_event(&self, event_id: &EventId) -> Result<(), Error> {
        // 1. The chart, in this server's memory, as of the latest revision.
        self.event_now(event_id).await?;
        // 2. What GetEvent answers: in Redis, by the first server, and in memory.
        self.get_event(event_id).await?;
        // 3. Who holds which seat: in Redis, and on this server by a feed that follows it;
        //    which must leave room for those that somebody asks for.
        let (_, position) = self.position(event_id).await?;
        if self.feeds.len() < PRELOAD_FEEDS {
            self.feeds.of(event_id)?.map_at(position).await?;
        }
        Ok(())
    }
}
