//! UpdateEvent: an event's own fields.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{Event, EventChange, EventId},
    holds::{Configuration, ConfigureReply, Rules},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Changes the event; in force for every server when it is answered.
    pub async fn update_event(
        self: &Arc<Self>,
        event_id: EventId,
        change: EventChange,
    ) -> Result<Event, Error> {
        let _span = crate::telemetry::flow("update_event");
        // 1. Postgres, with a note in the outbox that Redis must follow.
        let (event, outbox_id) = self.ledger.update_event(&event_id, &change).await?;
        // 2. Redis. What fails here, the outbox repeats; the caller, who must not
        //    be told that the change is in force, is told to ask again.
        self.configure(&event_id, outbox_id).await.map_err(Error::after_a_change)?;
        Ok(event)
    }

    /// Brings Redis up to the event's revision, whichever is the latest, and
    /// the outbox row is done.
    pub(super) async fn configure(
        self: &Arc<Self>,
        event_id: &EventId,
        outbox_id: i64,
    ) -> Result<(), Error> {
        self.configure_event(event_id).await?;
        self.mark_later(&[outbox_id]);
        Ok(())
    }

    /// Brings Redis, and the caches in it, up to the event's revision, whichever is the
    /// latest.
    pub(super) async fn configure_event(self: &Arc<Self>, event_id: &EventId) -> Result<(), Error> {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            self.event_anew(event_id).await?;
            let sized = self.ledger.find_sized_event(event_id).await?;
            let sized = sized.ok_or_else(|| Error::internal("an event has gone"))?;
            let revision = sized.stored.revision;
            let configuration = Configuration {
                rules: Rules::new(&sized.stored.event, revision),
                seat_count: sized.seat_count,
                capacities: sized.capacities,
            };
            let configure = |epoch| self.holds.configure(event_id, epoch, &configuration);
            match self.on_event(event_id, configure).await?.1 {
                // A queue, too: of an event that has none any more, nobody waits on. Last
                // the caches: whoever reads anew by then finds what Redis has.
                ConfigureReply::Changed | ConfigureReply::Kept => {
                    self.let_in(event_id).await?;
                    return self.tell_caches(event_id).await;
                }
                // Units were withdrawn for a share that was never made. Whoever may still
                // be about to make it cannot, once the revision has passed; so they are
                // given back with the next one.
                ConfigureReply::Short => self.ledger.pass_revision(event_id, revision).await?,
            }
        }
        Err(Error::unsettled())
    }
}
