//! GetHold: a hold as it is now, or as it ended.

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{EventId, Hold, HoldId, HoldRecord, HoldState, Outcome, Refusal},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Reads a hold: Redis knows the living, Postgres the dead.
    pub async fn get_hold(&self, event_id: &EventId, hold_id: HoldId) -> Result<Hold, Error> {
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
                None => match self.hold_of_the_past(&event, hold_id).await? {
                    Some(record) => record,
                    None => continue,
                },
            };
            return self.hold_of(&event, hold_id, &record).await;
        }
        Err(Error::unsettled())
    }

    /// A hold that Redis does not have, as Postgres knows it; `None` where it
    /// may be in Redis after all.
    async fn hold_of_the_past(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
    ) -> Result<Option<HoldRecord>, Error> {
        let event_id = &event.event_id;
        let found = self.ledger.find_hold(event_id, hold_id).await?;
        let found = found.ok_or(Refusal::HoldNotFound(hold_id))?;
        if let Some(outcome) = found.outcome {
            return Ok(Some(found.record.ended(outcome)));
        }
        // Redis has lost it, unless it was made since, or all of this epoch is
        // lost.
        let is_gone = self.is_missing(event, hold_id).await?
            && self.event_anew(event_id).await?.epoch == event.epoch;
        let outcome = if found.has_run_out { Outcome::Expired } else { Outcome::Lost };
        Ok(is_gone.then(|| found.record.ended(outcome)))
    }
}
