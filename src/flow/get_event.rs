//! GetEvent: one event and its chart, from a cache beside Postgres.

use std::sync::Arc;

use bytes::Bytes;

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    cache::Place,
    domain::{EventId, Refusal},
};

impl Flows {
    /// The event as it is now, as bytes.
    pub async fn get_event(&self, event_id: &EventId) -> Result<Bytes, Error> {
        let _span = crate::telemetry::flow("get_event");
        let load = async {
            let event = self.event_now(event_id).await?;
            // Without Redis many ask here: what this server knows is encoded once.
            let encode = || (self.encoders.detail)(event.rules.clone(), event.chart.draft());
            Ok(event.detail.get_or_init(encode).clone())
        };
        self.cache.get(&Place::detail(event_id), load).await.map_err(Error::shared)
    }

    /// The event, of the revision that Postgres has now.
    pub(super) async fn event_now(&self, event_id: &EventId) -> Result<Arc<LoadedEvent>, Error> {
        let stored = self.ledger.find_event(event_id).await?;
        let stored = stored.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
        let known = self.event(event_id).await?;
        match known.revision < stored.revision {
            true => self.event_anew(event_id).await,
            false => Ok(known),
        }
    }
}
