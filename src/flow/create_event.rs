//! CreateEvent: an event and its chart, ready for holds.

use super::{Error, Flows};
use crate::domain::{ChartDraft, Event};

impl Flows {
    /// Makes the event; answers it as it is then. `fingerprint` is of what the
    /// caller gave.
    pub async fn create_event(
        &self,
        event: Event,
        chart: ChartDraft,
        fingerprint: String,
    ) -> Result<Event, Error> {
        // 1. Postgres, in one transaction. The same again finds it made.
        self.ledger.create_event(&event, &chart, &fingerprint).await?;
        // 2. Redis, so that the first Hold need not wait for it. What fails here,
        //    the first Hold does.
        if let Err(error) = self.position(&event.event_id).await {
            tracing::info!(event_id = %event.event_id, %error, "event is not in Redis yet");
        }
        let (event, _) = self.get_event(&event.event_id).await.map_err(Error::after_a_change)?;
        Ok(event)
    }
}
