//! CreateEvent: an event and its chart, ready for holds.

use super::{Error, Flows};
use crate::{
    domain::{ChartDraft, Event},
    ledger::Created,
};

impl Flows {
    /// Makes the event; answers it as it is then. `fingerprint` is of what the
    /// caller gave.
    pub async fn create_event(
        &self,
        event: Event,
        chart: ChartDraft,
        fingerprint: String,
    ) -> Result<Event, Error> {
        let _span = crate::telemetry::flow("create_event");
        // 1. Postgres, in one transaction. The same again finds it made.
        let event_id = &event.event_id;
        let created = self.ledger.create_event(&event, &chart, &fingerprint).await?;
        // 2. Redis, so that the first Hold need not wait for it. What fails here,
        //    the first Hold does.
        if let Err(error) = self.position(event_id).await {
            tracing::info!(%event_id, %error, "event is not in Redis yet");
        }
        // 3. The caches: from the answer on it is listed and found, at every server. What
        //    fails here, the outbox repeats; the caller is told to ask again.
        self.tell_caches(event_id).await.map_err(Error::after_a_change)?;
        if let Created::New { outbox_id } = created {
            self.mark_later(&[outbox_id]);
        }
        let event = self.event_now(event_id).await.map_err(Error::after_a_change)?;
        Ok(event.rules.clone())
    }
}
