//! GetHold: a hold as it is now, or as it ended.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{EventId, Hold, HoldId, HoldState},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Reads a hold: Redis knows the living, Postgres the dead.
    pub async fn get_hold(
        self: &Arc<Self>,
        event_id: &EventId,
        hold_id: HoldId,
    ) -> Result<Hold, Error> {
        let _span = crate::telemetry::flow("get_hold");
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let (event, found) = self
                .on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, hold_id))
                .await?;
            let record = match found.into_iter().next() {
                Some(record) if record.state != HoldState::Confirming => record,
                // Its Confirm may be through, and Redis not told yet.
                Some(record) => match self.ledger.find_outcome(event_id, hold_id).await? {
                    None => record,
                    Some(ended) => record.ended(ended.outcome),
                },
                None => match self.end_missing_hold(&event, hold_id, None).await? {
                    Some((record, outcome)) => record.ended(outcome),
                    None => {
                        self.event_anew(event_id).await?;
                        continue;
                    }
                },
            };
            return self.hold_of(&event, hold_id, &record).await;
        }
        Err(Error::unsettled())
    }
}
